//! Giving back, for a time, what somebody was denied because of a plan: as a plan of its own, so that it is journaled,
//! checked and taken back like any other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::catalog::Catalog;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::policy::narrow::narrow;

use super::effect::Effect;
use super::found::Found;
use super::watch::Denial;
use super::{Change, FORM, Failing, Plan, Reason, Step, fresh, quota};

/// What a plan's recommendations are called that gives something back.
pub const ADVICE: &str = "restore";

/// What is given back, and how.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The plan that took it.
    pub plan: &'a Plan,
    /// The state that the plan was made from.
    pub before: &'a Snapshot,
    /// What stands now.
    pub now: &'a Snapshot,
    /// Denials that may be given back.
    pub denials: &'a [Denial],
    /// Until when, at most.
    pub until: Timestamp,
    /// People who leave, by the roster, and when: nothing is given back beyond.
    pub ends: &'a BTreeMap<String, Timestamp>,
    /// When it is made.
    pub at: Timestamp,
    /// Generation of the lake that shows the denials.
    pub generation: u64,
    /// The catalogue.
    pub catalog: &'a Catalog,
}

impl Wanted<'_> {
    /// Until when somebody is given back what they were denied.
    fn until_for(&self, denial: &Denial) -> Timestamp {
        self.ends.get(&denial.person).map_or(self.until, |end| self.until.min(*end))
    }
}

/// Adds what must hold beside what does; none where the statement says something of the same key by the same operator.
fn bounded(statement: &mut Map<String, Value>, more: &[(&str, &str, &str)]) -> Option<()> {
    let condition = statement.entry("Condition").or_insert_with(|| json!({})).as_object_mut()?;
    for (operator, key, value) in more {
        let keys = condition.entry(*operator).or_insert_with(|| json!({})).as_object_mut()?;
        if keys.keys().any(|known| known.eq_ignore_ascii_case(key)) {
            return None;
        }
        keys.insert((*key).to_owned(), json!(value));
    }
    Some(())
}

/// The statements of a document that allow an action, narrowed to these actions and bounded.
fn statements(
    json: &str,
    actions: &crate::catalog::ActionSet,
    wanted: &Wanted<'_>,
    (source, until): (&str, Timestamp),
) -> Option<Vec<Value>> {
    let narrowed = narrow(json, actions, wanted.catalog).ok()?;
    let Some(text) = narrowed.json.filter(|_| narrowed.after > 0) else { return Some(Vec::new()) };
    let mut value: Value = serde_json::from_str(&text).ok()?;
    // What was a text in the older version of the language would be a variable in this one.
    if value.get("Version").is_none_or(|version| version != "2012-10-17") && text.contains("${") {
        return None;
    }
    let all = match value.get_mut("Statement")?.take() {
        Value::Array(all) => all,
        one => vec![one],
    };
    let until = until.to_string();
    let mut more = vec![("DateLessThanEquals", "aws:CurrentTime", until.as_str())];
    if !source.is_empty() {
        more.push(("StringEquals", "aws:SourceIdentity", source));
    }
    let mut out = Vec::new();
    for mut statement in all {
        let fields = statement.as_object_mut()?;
        // What denies still stands with the principal.
        if fields.get("Effect")? == "Deny" {
            continue;
        }
        // Ids are unique within a document, and these come from several.
        fields.remove("Sid");
        bounded(fields, &more)?;
        out.push(statement);
    }
    Some(out)
}

/// A plan that gives back what the denials name, to whom they name, for a time. Denials of which nothing can be given back
/// are left out, with why.
#[must_use]
pub fn restoring(wanted: &Wanted<'_>) -> (Plan, Vec<(String, String)>) {
    let mut by_principal: BTreeMap<&str, Vec<&Denial>> = BTreeMap::new();
    for denial in wanted.denials.iter().filter(|denial| denial.not_restored.is_empty()) {
        by_principal.entry(&denial.principal).or_default().push(denial);
    }
    let (mut changes, mut left) = (Vec::new(), Vec::new());
    for (arn, denials) in by_principal {
        match change(wanted, arn, &denials) {
            Ok(made) => changes.push(made),
            Err(why) => left.push((arn.to_owned(), why)),
        }
    }
    let mut plan = Plan {
        form: FORM,
        hash: String::new(),
        as_of: wanted.at,
        generation: wanted.generation,
        snapshot: wanted.now.hash.clone(),
        catalogue: wanted.plan.catalogue.clone(),
        failing: Failing::GoOn,
        grants: Vec::new(),
        changes,
        left: Vec::new(),
    };
    plan.hash = plan.hashed();
    (plan, left)
}

fn change(wanted: &Wanted<'_>, arn: &str, denials: &[&Denial]) -> Result<Change, String> {
    let before = Found::of(wanted.before, arn).ok_or("it was not in the state before")?;
    let now = Found::of(wanted.now, arn).ok_or("it is not there any more")?;
    if wanted.plan.changes.iter().any(|change| change.roles.iter().any(|role| role == arn)) {
        return Err("it is the role of a permission set, which is the same for everybody".to_owned());
    }
    let taken =
        wanted.plan.changes.iter().find(|change| change.principal == arn).ok_or("the plan does not change it")?;
    let mut by_source: BTreeMap<&str, (BTreeSet<&str>, Timestamp)> = BTreeMap::new();
    for denial in denials {
        let (actions, until) = by_source.entry(&denial.source_identity).or_insert((BTreeSet::new(), wanted.until));
        actions.insert(&denial.action);
        *until = wanted.until_for(denial).min(*until);
    }
    let mut all = Vec::new();
    for (source, (names, until)) in by_source {
        let mut actions = wanted.catalog.no_actions();
        for id in names.iter().filter_map(|name| wanted.catalog.find(name)) {
            actions.insert(id);
        }
        for held in before.policies()? {
            let why = "its statements cannot be bounded in time without changing what else they say";
            all.extend(statements(held.json, &actions, wanted, (source, until)).ok_or(why)?);
        }
    }
    if all.is_empty() {
        return Err("no statement before allowed it".to_owned());
    }
    let document = json!({ "Version": "2012-10-17", "Statement": all }).to_string();
    let digits: String = wanted.plan.hash.chars().take(8).collect();
    let stamp: String = wanted.at.to_string().chars().filter(char::is_ascii_digit).take(12).collect();
    let policy = format!("jitscan-restored-{digits}-{stamp}");
    let name = now.holder.name.clone();
    let (effect, undo, most) = if now.groups.is_some() {
        let put = Effect::PutUserPolicy { user: name.clone(), policy: policy.clone(), document: document.clone() };
        (put, Effect::DeleteUserPolicy { user: name, policy }, quota::USER_INLINE)
    } else {
        let put = Effect::PutRolePolicy { role: name.clone(), policy: policy.clone(), document: document.clone() };
        (put, Effect::DeleteRolePolicy { role: name, policy }, quota::ROLE_INLINE)
    };
    let held: usize = now.holder.inline.iter().map(|one| quota::size(&one.json)).sum();
    if held + quota::size(&document) > most {
        return Err(format!("its inline policies would be longer than {most} characters"));
    }
    let reasons = denials.iter().map(|denial| Reason {
        id: wanted.plan.hash.clone(),
        advice: ADVICE.to_owned(),
        capability: denial.action.clone(),
        person: denial.person.clone(),
        why: vec![
            format!("denied {} times since {}, and used before", denial.calls, denial.first),
            format!("until {}", wanted.until_for(denial)),
        ],
    });
    Ok(Change {
        principal: arn.to_owned(),
        id: taken.id.clone(),
        account: taken.account,
        state: fresh::state_of(&now)?,
        roles: Vec::new(),
        reasons: reasons.collect(),
        granted: 0,
        removed: 0,
        steps: vec![Step {
            about: format!("gives back what was denied, until {} at most", wanted.until),
            effect,
            undo,
        }],
    })
}

/// Principal, person and action.
pub type GivenTo = (String, String, String);

/// What plans gave back of what a plan took, each with when it was given back last.
#[must_use]
pub fn given_back<'p>(plans: impl Iterator<Item = (&'p Plan, Timestamp)>, hash: &str) -> BTreeMap<GivenTo, Timestamp> {
    let mut out: BTreeMap<GivenTo, Timestamp> = BTreeMap::new();
    for (plan, at) in plans {
        for change in &plan.changes {
            for reason in change.reasons.iter().filter(|reason| reason.advice == ADVICE && reason.id == hash) {
                let whose = (change.principal.clone(), reason.person.clone(), reason.capability.clone());
                let last = out.entry(whose).or_insert(at);
                *last = (*last).max(at);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_ends_and_is_of_one_person() {
        let mut statement =
            json!({ "Effect": "Allow", "Condition": { "StringEquals": { "aws:RequestedRegion": "x" } } });
        let more = [("DateLessThanEquals", "aws:CurrentTime", "t"), ("StringEquals", "aws:SourceIdentity", "p")];
        assert!(bounded(statement.as_object_mut().unwrap(), &more).is_some());
        assert_eq!(
            statement["Condition"],
            json!({
                "StringEquals": { "aws:RequestedRegion": "x", "aws:SourceIdentity": "p" },
                "DateLessThanEquals": { "aws:CurrentTime": "t" }
            })
        );
        // What the statement says of the same key is never put aside.
        let mut own = json!({ "Condition": { "StringEquals": { "AWS:sourceidentity": "q" } } });
        assert!(bounded(own.as_object_mut().unwrap(), &more).is_none());
    }
}
