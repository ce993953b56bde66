//! Entitlements: what every principal may effectively do, by algebra on sets of actions.
//!
//! For each user and role: its Allow statements (inline, managed, group), capped by the permissions boundary and
//! by every level of service control policies, less what Deny statements surely take away. What a Deny takes away
//! only for some resources or under conditions stays granted and is noted as a [`Limit`]. Conditions on the principal
//! itself (its ARN, account, organisation) are decided here; where one depends on something about the principal
//! that is not known (a tag that a session may carry), the actions are `undecided`. A policy that is missing or cannot be parsed makes its holders'
//! answers undecided and hides nothing else.
//!
//! Not considered here: resource policies, resource control policies, session policies, and endpoint policies.
//! Source: IAM User Guide, "Policy evaluation logic".

mod class;
mod facts;
mod layers;
mod privilege;
mod resolve;
#[cfg(test)]
mod tests;
mod trust;

use std::sync::Arc;

use serde::Serialize;

use crate::catalog::{ActionId, ActionSet, Catalog};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::Defect;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

pub use crate::decide::reach::Reach;
pub use crate::decide::scope::Scope;
pub use crate::decide::{Layer, PrincipalKind, Provenance, UnmatchedPattern};
pub use class::{AccessClass, AccessClasses};
pub use privilege::{
    AdminPath, AdminRule, Breadth, PrivilegeRule, Privileges, administrator_equivalent, privileged, privileged_actions,
};
pub use trust::{Assumer, Trust, TrustPrincipal, TrustedBy, who_may_assume};

/// How a limit restricts the entitlement on which it is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Denied on the limit's resources.
    Denied,
    /// Denied on the limit's resources where its conditions hold.
    DeniedIf,
    /// Allowed only on the limit's resources, and where its conditions hold (boundary or SCP).
    OnlyWithin,
}

/// A restriction that does not remove the whole entitlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How it restricts.
    pub kind: LimitKind,
    /// Resources and conditions.
    pub scope: Arc<Scope>,
    /// The actions that it restricts.
    pub actions: Arc<ActionSet>,
    /// The statement.
    pub provenance: Provenance,
}

/// What one Allow statement effectively grants.
#[derive(Clone, Debug)]
pub struct Entitlement {
    /// Resources and conditions, shared among all entitlements that have the same.
    pub scope: Arc<Scope>,
    /// The actions that are left of the statement.
    pub actions: Arc<ActionSet>,
    /// Whether it also grants actions that the catalogue does not know.
    pub open: bool,
    /// What restricts it further, for some of its actions.
    pub limits: Vec<Arc<Limit>>,
    /// The statements that grant it (the same policy may come by several ways).
    pub provenance: Vec<Provenance>,
    /// It is not older than this: the youngest of the principal's and the policy version's (also the boundary's)
    /// creation. Attachments and inline policies have no date, so the true age may be less. None where no date
    /// is known.
    pub since: Option<Timestamp>,
}

/// What a principal may effectively do.
#[derive(Clone, Debug)]
pub struct PrincipalEntitlements {
    /// ARN.
    pub arn: Arn,
    /// Unique id.
    pub id: String,
    /// Account.
    pub account: AccountId,
    /// Kind.
    pub kind: PrincipalKind,
    /// Actions that are allowed on at least one resource, possibly under conditions.
    pub granted: ActionSet,
    /// Actions whose answer could be another: a Deny under a condition on the principal that cannot be decided here,
    /// or a policy, boundary or SCP that is missing or cannot be parsed. They may be granted or not. (A Deny under a
    /// condition on the request, such as its region or MFA, leaves the action granted for other requests: see
    /// [`LimitKind::DeniedIf`].)
    pub undecided: ActionSet,
    /// Actions that a statement names on resources that cannot be theirs, so that it does not grant them; never
    /// granted by another statement.
    pub ineffective: ActionSet,
    /// Whether actions that the catalogue does not know are granted too.
    pub open: bool,
    /// The parts of `granted`, sorted by scope and provenance. Empty ones are left out.
    pub entitlements: Vec<Entitlement>,
}

impl PrincipalEntitlements {
    /// The entitlements that grant an action.
    pub fn granting(&self, action: ActionId) -> impl Iterator<Item = &Entitlement> {
        self.entitlements.iter().filter(move |entitlement| entitlement.actions.contains(action))
    }

    /// Since when the action has been granted at the earliest: the oldest `since` of what grants it, none where one
    /// of them has no date or nothing grants it.
    #[must_use]
    pub fn effective_since(&self, action: ActionId) -> Option<Timestamp> {
        let dates: Option<Vec<Timestamp>> = self.granting(action).map(|entitlement| entitlement.since).collect();
        dates?.into_iter().min()
    }
}

/// Effective entitlements of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Entitlements {
    /// Every user and role, sorted by ARN and unique id.
    pub principals: Vec<PrincipalEntitlements>,
    /// Patterns in policies in use that match nothing in the catalogue; sorted.
    pub unmatched: Vec<UnmatchedPattern>,
    /// Policies that are missing or cannot be parsed, once each; sorted.
    pub defects: Vec<Defect>,
}

impl Entitlements {
    /// The principals of that ARN: usually one, more where it was deleted and made again between snapshots' pages.
    pub fn of<'e>(&'e self, arn: &str) -> impl Iterator<Item = &'e PrincipalEntitlements> + use<'e> {
        let first = self.principals.partition_point(|principal| principal.arn.as_str() < arn);
        let arn = arn.to_owned();
        self.principals.iter().skip(first).take_while(move |principal| principal.arn.as_str() == arn)
    }
}

/// Computes the entitlements of every principal of the snapshot, in parallel.
#[must_use]
pub fn entitlements(snapshot: &Snapshot, catalog: &Catalog) -> Entitlements {
    resolve::resolve(snapshot, catalog)
}
