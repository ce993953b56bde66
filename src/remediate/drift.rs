//! Whether what a plan changed still stands: the next scan tells what was undone, or changed again, outside of jitscan.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::id;
use crate::model::arn::AccountId;
use crate::model::finding::{Confidence, Evidence, Finding, FindingState, Severity};
use crate::model::snapshot::Snapshot;

use super::Plan;
use super::place::Place;
use super::run::{Progress, State};

/// Kind of the findings.
pub const KIND: &str = "remediation_undone";

/// The places that a plan wrote and did not take back.
#[must_use]
pub fn written(plan: &Plan, progress: &Progress) -> BTreeSet<(AccountId, Place)> {
    let items = plan.items().into_iter().zip(&progress.states);
    let done = items.filter(|(_, state)| matches!(state, State::Done(_)));
    done.map(|(item, _)| (item.account, item.step.effect.place())).collect()
}

/// What does not stand any more of an applied plan, a finding for each principal. Places that plans wrote `later` are theirs
/// to judge. An account of which nothing was collected since then says nothing.
#[must_use]
pub fn drift(
    plan: &Plan,
    progress: &Progress,
    later: &BTreeSet<(AccountId, Place)>,
    snapshot: &Snapshot,
) -> Vec<Finding> {
    let Some(applied) = progress.applied else { return Vec::new() };
    let items = plan.items();
    // Of places that were written twice the last step counts.
    let mut last: BTreeMap<(AccountId, Place), usize> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if matches!(progress.states.get(at), Some(State::Done(_))) {
            last.insert((item.account, item.step.effect.place()), at);
        }
    }
    let mut by_principal: BTreeMap<(&str, AccountId), (Vec<String>, bool)> = BTreeMap::new();
    for (_, at) in last.into_iter().filter(|(place, _)| !later.contains(place)) {
        let Some(item) = items.get(at) else { continue };
        let (place, left) = (item.step.effect.place(), item.step.effect.leaves());
        let captured = match &place {
            Place::PermissionSet { .. } => snapshot.identity_center.as_ref().map(|center| center.captured_at),
            _ => snapshot.accounts.get(&item.account).map(|iam| iam.captured_at),
        };
        if captured.is_none_or(|at| at <= applied) {
            continue;
        }
        let Some(found) = place.found_in(snapshot, item.account, &left) else { continue };
        if found == left {
            continue;
        }
        let Some(State::Done(before)) = progress.states.get(at) else { continue };
        let back = found == *before;
        let what = if back { "is as it was before" } else { "was changed again" };
        let (notes, any) = by_principal.entry((item.principal, item.account)).or_default();
        notes.push(format!("{place} {what}: {} stands there, and the plan left {}", found.told(), left.told()));
        *any |= back;
    }
    let finding = |((principal, account), (mut notes, back)): ((&str, AccountId), (Vec<String>, bool))| {
        notes.insert(0, format!("plan {}, applied {applied}", plan.hash));
        let called = plan.called(principal);
        let name = called.rsplit('/').next().unwrap_or(principal);
        let what = if back { "was undone" } else { "was changed again" };
        Finding {
            id: id(KIND, &[&plan.hash, principal]),
            kind: KIND.to_owned(),
            severity: if back { Severity::High } else { Severity::Medium },
            principal: principal.to_owned(),
            person: String::new(),
            account: account.to_string(),
            title: format!("what jitscan changed of {name} {what} outside of jitscan"),
            state: FindingState::New,
            confidence: Confidence::High,
            evidence: Evidence { notes, ..Evidence::default() },
        }
    };
    by_principal.into_iter().map(finding).collect()
}
