//! The state in which every grant of a plan is open, and grants that nobody could use even then.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::decide::compile::Compiler;
use crate::decide::context::Slot;
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::{Answer, Roster};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

use super::make::CLOSED;
use super::{Grant, Plan, sets};

/// Why a call does not go through by way of a grant.
#[derive(Clone, Debug)]
pub(super) enum Not {
    /// It surely does not.
    Surely(String),
    /// That cannot be told.
    Perhaps(String),
}

/// When the trust of an open grant ends: after all that is asked.
const OPEN: &str = "2999-01-01T00:00:00Z";

/// A state in which every grant of a plan is open: the end of its trust is moved, as a grant moves it; and permission sets
/// are in every account in which somebody is eligible for them.
#[must_use]
pub fn opened(mut state: Snapshot, plan: &Plan) -> Snapshot {
    for grant in &plan.grants {
        sets::granted(&mut state, grant);
        let roles = state.accounts.get_mut(&grant.account).into_iter().flat_map(|iam| &mut iam.roles);
        for role in roles.filter(|role| role.holder.arn.as_str() == grant.role) {
            role.trust = role.trust.replace(CLOSED, OPEN);
        }
    }
    state
}

/// Grants of which the role can surely not be assumed, by the principal that they are for, with why.
pub(super) fn unusable(plan: &Plan, before: &Snapshot, at: Timestamp, catalog: &Catalog) -> BTreeMap<String, String> {
    let Ok(after) = plan.after(before) else { return BTreeMap::new() };
    let after = opened(after, plan);
    let compiler = Compiler::deciding(catalog);
    let roster = Roster::new(&after, &compiler);
    let inquiry = Inquiry { roster: &roster, organization: after.organization.as_ref() };
    let of = |grant: &Grant| match closed(&inquiry, grant, at, catalog)? {
        Not::Surely(why) => Some((grant.principal.clone(), why)),
        Not::Perhaps(_) => None,
    };
    plan.grants.iter().filter_map(of).collect()
}

/// Why the role of a grant could not be assumed while the grant is open: a boundary or a Deny of the principal's, say.
pub(super) fn closed(inquiry: &Inquiry<'_, '_>, grant: &Grant, at: Timestamp, catalog: &Catalog) -> Option<Not> {
    // Nobody has to be let in to be assigned to a permission set.
    if !grant.reach.is_empty() {
        return None;
    }
    let Some(standing) = inquiry.roster.of(&grant.principal).next() else {
        return Some(Not::Surely(format!("{} is not in the state after the plan", grant.principal)));
    };
    let Some(caller) = inquiry.caller(standing, None).map(Arc::new) else {
        return Some(Not::Perhaps(format!("the ARN {} cannot be read", grant.principal)));
    };
    ["sts:AssumeRole", "sts:SetSourceIdentity"].into_iter().find_map(|action| {
        // By somebody eligible, with MFA.
        let mut question = Question::new(action, &grant.role, at, catalog);
        question.context.set("aws:MultiFactorAuthPresent", Slot::one("true"));
        question
            .context
            .set("sts:SourceIdentity", Slot::Known(grant.source_identities.iter().take(1).cloned().collect()));
        let (policies, request) = inquiry.of_principal(standing, Arc::clone(&caller), &question);
        let decision = policies.explain(&request);
        let why = |what: &str| format!("{} {what} {action} on {}", grant.principal, grant.role);
        match decision.answer {
            Answer::Allowed => None,
            Answer::Undecided => Some(Not::Perhaps(format!(
                "{}: it depends on {}",
                why("may perhaps not make"),
                decision.depends_on.join(", ")
            ))),
            Answer::ImplicitlyDenied | Answer::ExplicitlyDenied => Some(Not::Surely(why("may not make"))),
        }
    })
}
