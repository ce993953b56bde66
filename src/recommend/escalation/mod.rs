//! Privilege escalation: who can become an administrator, by which known techniques. Every call of a technique is decided
//! by the policy engine, on the resources and with the conditions, boundaries and organisation policies that there are:
//! what a Deny closes is no path, and what hangs on an unknown is marked so.

mod graph;
mod steps;
mod technique;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::catalog::Catalog;
use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

pub use technique::{Technique, known, parse};

/// One technique on a way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Id of the technique.
    pub technique: String,
    /// What is done.
    pub title: String,
    /// ARN of who does it.
    pub from: String,
    /// ARN of what it is done to; empty where that is itself.
    pub on: String,
    /// What it leads to: an ARN, or the goal in words.
    pub to: String,
    /// Whether it surely works.
    pub sure: bool,
    /// The statements that allow it.
    pub statements: Vec<String>,
    /// What it hangs on, where it is not sure.
    pub depends_on: Vec<String>,
}

/// A way from a principal to more power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// ARN of where it begins.
    pub principal: String,
    /// `administrator of ACCOUNT`, or `the organization`.
    pub goal: String,
    /// Whether every hop surely works.
    pub sure: bool,
    /// The hops.
    pub hops: Vec<Hop>,
}

/// Who can get where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// See [`escalations`].
    pub paths: Vec<Path>,
    /// ARN → ARNs of the roles that it surely gets by assuming one after the other; whoever gets none is left out.
    pub chains: BTreeMap<String, BTreeSet<String>>,
}

impl Survey {
    /// ARN → other accounts into which the chains lead.
    #[must_use]
    pub fn accounts(&self) -> BTreeMap<String, BTreeSet<AccountId>> {
        let account = |arn: &str| arn.split(':').nth(4).and_then(|id| id.parse::<AccountId>().ok());
        let of = |(arn, roles): (&String, &BTreeSet<String>)| {
            let own = account(arn);
            let others = roles.iter().filter_map(|role| account(role)).filter(|one| Some(*one) != own);
            (arn.clone(), others.collect::<BTreeSet<_>>())
        };
        self.chains.iter().map(of).filter(|(_, accounts)| !accounts.is_empty()).collect()
    }
}

/// The ways to more power, and the roles that can be assumed.
#[must_use]
pub fn survey(snapshot: &Snapshot, techniques: &[Technique], catalog: &Catalog, at: Timestamp) -> Survey {
    graph::survey(snapshot, techniques, catalog, at)
}

/// Who surely administers their account, by account: users, and roles that somebody other than a service may enter.
#[must_use]
pub fn administrators(snapshot: &Snapshot, catalog: &Catalog, at: Timestamp) -> BTreeMap<AccountId, BTreeSet<String>> {
    graph::administrators(snapshot, catalog, at)
}

/// The shortest way of each principal that is no administrator to becoming one, and to power over the organisation; a way
/// that surely works before one that may. Sorted by principal and goal. Two of the ways to reach an administrator may
/// differ in nothing but their order in the table of techniques: the first counts.
#[must_use]
pub fn escalations(snapshot: &Snapshot, techniques: &[Technique], catalog: &Catalog, at: Timestamp) -> Vec<Path> {
    survey(snapshot, techniques, catalog, at).paths
}

#[cfg(test)]
mod tests;
