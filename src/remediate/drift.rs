//! Whether what a plan changed still stands: the next scan tells what was undone, or changed again, outside of jitscan.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::findings::id;
use crate::model::finding::{Confidence, Evidence, Finding, FindingState, Severity};
use crate::model::snapshot::Snapshot;

use super::Plan;
use super::place::{Place, Value};
use super::run::{Progress, State};

/// Kind of the findings.
pub const KIND: &str = "remediation_undone";

/// A trust policy without the time at which it ends: a grant moves that.
fn without_end(trust: &str) -> Option<Json> {
    let mut value: Json = serde_json::from_str(trust).ok()?;
    let statements = value.get_mut("Statement")?;
    let all = match statements {
        Json::Array(all) => all.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for statement in all {
        if let Some(condition) = statement.get_mut("Condition").and_then(Json::as_object_mut) {
            condition.remove("DateLessThan");
        }
    }
    Some(value)
}

/// Whether a place stands as a step left it.
fn stands(found: &Value, left: &Value) -> bool {
    match (found, left) {
        (Value::Role { trust: a, boundary, .. }, Value::Role { trust: b, boundary: wanted, .. }) => {
            let same = without_end(a).zip(without_end(b)).is_some_and(|(a, b)| a == b);
            same && boundary == wanted
        }
        (found, left) => found == left,
    }
}

/// What does not stand any more of an applied plan, a finding for each principal. An account of which nothing was collected
/// since then says nothing.
#[must_use]
pub fn drift(plan: &Plan, progress: &Progress, snapshot: &Snapshot) -> Vec<Finding> {
    let Some(applied) = progress.applied else { return Vec::new() };
    let items = plan.items();
    // Of places that were written twice the last step counts.
    let mut last: BTreeMap<(String, Place), usize> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if matches!(progress.states.get(at), Some(State::Done(_))) {
            last.insert((item.account.to_string(), item.step.effect.place()), at);
        }
    }
    let mut by_principal: BTreeMap<&str, (Vec<String>, bool)> = BTreeMap::new();
    for at in last.into_values() {
        let Some(item) = items.get(at) else { continue };
        let Some(iam) = snapshot.accounts.get(&item.account).filter(|iam| iam.captured_at > applied) else { continue };
        let (place, left) = (item.step.effect.place(), item.step.effect.leaves());
        let seconds = if let Value::Role { max_session_seconds, .. } = &left { *max_session_seconds } else { 0 };
        let found = place.found(iam, seconds);
        if stands(&found, &left) {
            continue;
        }
        let Some(State::Done(before)) = progress.states.get(at) else { continue };
        let back = found == *before;
        let what = if back { "is as it was before" } else { "was changed again" };
        let (notes, any) = by_principal.entry(item.principal).or_default();
        notes.push(format!("{place} {what}: {} stands there, and the plan left {}", found.told(), left.told()));
        *any |= back;
    }
    let finding = |(principal, (mut notes, back)): (&str, (Vec<String>, bool))| {
        notes.insert(0, format!("plan {}, applied {applied}", plan.hash));
        let name = principal.rsplit('/').next().unwrap_or(principal);
        let what = if back { "was undone" } else { "was changed again" };
        Finding {
            id: id(KIND, &[&plan.hash, principal]),
            kind: KIND.to_owned(),
            severity: if back { Severity::High } else { Severity::Medium },
            principal: principal.to_owned(),
            person: String::new(),
            account: principal.split(':').nth(4).unwrap_or_default().to_owned(),
            title: format!("what jitscan changed of {name} {what} outside of jitscan"),
            state: FindingState::New,
            confidence: Confidence::High,
            evidence: Evidence { notes, ..Evidence::default() },
        }
    };
    by_principal.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_moves_the_end_of_a_trust_policy_and_nothing_else() {
        let role = |trust: &str| Value::Role {
            trust: trust.to_owned(),
            boundary: None,
            max_session_seconds: 3600,
            tags: BTreeMap::new(),
        };
        let trust = |who: &str, end: &str| {
            role(&format!(
                r#"{{"Statement": [{{"Principal": "{who}", "Condition": {{"Bool": {{"k": "true"}}, "DateLessThan":
                   {{"aws:CurrentTime": "{end}"}}}}}}]}}"#
            ))
        };
        assert!(stands(&trust("a", "2026"), &trust("a", "1970")));
        assert!(!stands(&trust("b", "1970"), &trust("a", "1970")));
        assert!(!stands(&Value::Absent, &trust("a", "1970")));
    }
}
