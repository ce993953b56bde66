//! Every account that somebody administers has somebody who does so afterwards: a plan leaves the last ones as they are.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;
use crate::recommend::escalation;

use super::found::Found;
use super::make::Inputs;
use super::{Change, Left, Plan};

/// ARNs of those who are or can become administrator, by account.
type Administrators = BTreeMap<AccountId, BTreeSet<String>>;

/// The accounts of a plan that had an administrator, and have none after it.
pub(super) fn lost(
    plan: &Plan,
    state: &Snapshot,
    before: &Administrators,
    after: &Administrators,
) -> BTreeSet<AccountId> {
    let holders = plan.changes.iter().flat_map(Change::holders);
    let accounts = holders.filter_map(|arn| Found::of(state, arn)).map(|found| found.iam.account);
    let some = |all: &Administrators, account: &AccountId| {
        // A role for what is asked for is closed: nobody has it yet.
        let granted = |arn: &String| plan.grants.iter().any(|grant| grant.role == *arn);
        all.get(account).is_some_and(|arns| arns.iter().any(|arn| !granted(arn)))
    };
    accounts.filter(|account| some(before, account) && !some(after, account)).collect()
}

/// Takes out of a plan what would leave an account without an administrator: one after the other, first what leaves most of
/// them with one.
pub(super) fn keep_an_administrator(inputs: &Inputs<'_>, made: &mut Plan) {
    let (state, catalog) = (inputs.recommend.snapshot, inputs.recommend.catalog);
    if made.changes.is_empty() {
        return;
    }
    let of = |state: &Snapshot| escalation::administrators(state, catalog, inputs.recommend.assessment.as_of);
    let before = of(state);
    let all: BTreeSet<&str> = before.values().flatten().map(String::as_str).collect();
    if !made.changes.iter().flat_map(Change::holders).any(|holder| all.contains(holder)) {
        return;
    }
    loop {
        let Ok(after) = made.after(state) else { return };
        let lost = lost(made, state, &before, &of(&after));
        if lost.is_empty() {
            return;
        }
        let administers = |change: &Change, account: &AccountId| {
            before.get(account).is_some_and(|arns| change.holders().any(|holder| arns.contains(holder)))
        };
        // For each account who administers most of those that are left without.
        let best = |account: &AccountId| {
            let theirs = made.changes.iter().filter(|change| administers(change, account));
            let counted =
                theirs.map(|change| (lost.iter().filter(|one| administers(change, one)).count(), &change.principal));
            counted.max().map(|(_, principal)| principal.clone())
        };
        let picked: BTreeSet<String> = lost.iter().filter_map(best).collect();
        if picked.is_empty() {
            return;
        }
        leave(made, &picked, &lost);
    }
}

/// Takes principals out of a plan.
fn leave(made: &mut Plan, picked: &BTreeSet<String>, lost: &BTreeSet<AccountId>) {
    let accounts: Vec<String> = lost.iter().map(ToString::to_string).collect();
    for principal in picked {
        let principal = principal.clone();
        let name = made.called(&principal).into_owned();
        let of_set = if name == principal { String::new() } else { format!("{name}: ") };
        let Some(at) = made.changes.iter().position(|change| change.principal == principal) else { continue };
        let change = made.changes.remove(at);
        made.grants.retain(|grant| grant.principal != principal);
        made.left.retain(|left| left.principal != principal && !change.roles.contains(&left.principal));
        made.left.push(Left {
            principal,
            ids: change.reasons.iter().map(|reason| reason.id.clone()).collect(),
            why: format!("{of_set}without it nobody would be administrator of {}", accounts.join(", ")),
        });
    }
}
