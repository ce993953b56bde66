//! Work that people repeat by hand: the same changes at regular times could be a pipeline's or a runbook's, and then the
//! permission need not exist at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::catalog::{ActionId, Catalog};
use crate::entitlements::{AccessClass, AccessClasses};
use crate::model::time::Timestamp;
use crate::usage::activity::TimeKey;

use super::rhythm::Rhythm;
use super::times::{GAP_SLOTS, Slot, WorkingHours, slot_of, start_of};

/// How often the same changes have to come back: less is not a habit.
const LEAST_TIMES: usize = 4;
/// More different changes than this in one session are work, not a sequence.
const MOST_ACTIONS: usize = 8;

/// Changes that somebody makes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routine {
    /// The person.
    pub person: String,
    /// ARN of the principal.
    pub principal: String,
    /// The changes, sorted.
    pub actions: Vec<String>,
    /// When sessions with exactly these changes come.
    pub rhythm: Rhythm,
    /// The first and the last.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
}

/// The routines of people from some time on, the most frequent first.
#[must_use]
pub fn routines(
    times: &BTreeMap<TimeKey, Vec<Slot>>,
    from: Timestamp,
    hours: WorkingHours,
    catalog: &Catalog,
) -> Vec<Routine> {
    let (classes, from) = (AccessClasses::get(), slot_of(from));
    let mut changes: BTreeMap<(&str, &str), BTreeMap<Slot, BTreeSet<ActionId>>> = BTreeMap::new();
    for (key, slots) in times {
        let changes_things = matches!(classes.of(key.action), AccessClass::Write | AccessClass::Permissions);
        // Becoming a role is how work begins, not what is done.
        let entry = catalog.action(key.action).is_some_and(|action| action.prefix() == "sts");
        // A user of whom nobody says whose it is may be a program's.
        let nobody = key.person.is_empty() || key.person == key.principal.arn;
        if nobody || !changes_things || entry {
            continue;
        }
        let of = changes.entry((&key.person, &key.principal.arn)).or_default();
        for slot in slots.iter().filter(|slot| **slot >= from) {
            of.entry(*slot).or_default().insert(key.action);
        }
    }
    let mut out = Vec::new();
    for ((person, principal), slots) in changes {
        let mut by_actions: BTreeMap<BTreeSet<ActionId>, Vec<Slot>> = BTreeMap::new();
        for (first, actions) in sessions(&slots) {
            by_actions.entry(actions).or_default().push(first);
        }
        for (actions, starts) in by_actions {
            if starts.len() >= LEAST_TIMES && actions.len() <= MOST_ACTIONS {
                out.extend(routine(person, principal, &actions, &starts, hours, catalog));
            }
        }
    }
    out.sort_by(|a, b| {
        let key = |one: &Routine| (one.person.clone(), one.principal.clone(), one.actions.clone());
        b.rhythm.times.cmp(&a.rhythm.times).then_with(|| key(a).cmp(&key(b)))
    });
    out
}

/// Sessions of changes: where each begins, and all that was changed in it.
fn sessions(slots: &BTreeMap<Slot, BTreeSet<ActionId>>) -> Vec<(Slot, BTreeSet<ActionId>)> {
    let mut out: Vec<(Slot, BTreeSet<ActionId>)> = Vec::new();
    let mut last = Slot::MIN;
    for (slot, actions) in slots {
        match out.last_mut() {
            Some((_, open)) if slot - last < GAP_SLOTS => open.extend(actions),
            _ => out.push((*slot, actions.clone())),
        }
        last = *slot;
    }
    out
}

fn routine(
    person: &str,
    principal: &str,
    actions: &BTreeSet<ActionId>,
    starts: &[Slot],
    hours: WorkingHours,
    catalog: &Catalog,
) -> Option<Routine> {
    Some(Routine {
        person: person.to_owned(),
        principal: principal.to_owned(),
        actions: actions.iter().filter_map(|id| catalog.action(*id)).map(|action| action.full_name()).collect(),
        rhythm: Rhythm::of(starts, hours)?,
        first: start_of(*starts.first()?),
        last: start_of(*starts.last()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::activity::PrincipalKey;

    fn times(calls: &[(&str, &str)]) -> BTreeMap<TimeKey, Vec<Slot>> {
        let mut out: BTreeMap<TimeKey, Vec<Slot>> = BTreeMap::new();
        for (action, at) in calls {
            let at: Timestamp = at.parse().unwrap();
            let action = Catalog::get().find(action).unwrap();
            let principal = PrincipalKey { arn: "arn:aws:iam::1:role/r".into(), id: "".into() };
            let key = TimeKey { principal, person: "ann".into(), action };
            out.entry(key).or_default().push(slot_of(at));
        }
        out.values_mut().for_each(|slots| slots.sort_unstable());
        out
    }

    #[test]
    fn the_same_changes_every_monday_are_a_routine() {
        let mut calls = Vec::new();
        let days = ["2026-03-02", "2026-03-09", "2026-03-16", "2026-03-23"];
        let at: Vec<(String, String)> =
            days.iter().map(|d| (format!("{d}T09:00:00Z"), format!("{d}T09:20:00Z"))).collect();
        for (one, two) in &at {
            calls.push(("rds:CreateDBSnapshot", one.as_str()));
            calls.push(("rds:ModifyDBInstance", two.as_str()));
            // Looking is no change.
            calls.push(("rds:DescribeDBInstances", one.as_str()));
        }
        // Another session of that person's.
        calls.push(("rds:DeleteDBInstance", "2026-03-11T09:00:00Z"));
        let found = routines(&times(&calls), "2026-01-01".parse().unwrap(), WorkingHours::default(), Catalog::get());
        assert_eq!(found.len(), 1, "{found:?}");
        let one = &found[0];
        assert_eq!(one.actions, ["rds:CreateDBSnapshot", "rds:ModifyDBInstance"]);
        let rhythm = &one.rhythm;
        assert_eq!(
            (rhythm.times, rhythm.every_days, rhythm.punctual_tenths, rhythm.weekday.as_str()),
            (4, 7, 10, "Monday")
        );
        // Three times are no habit.
        let later = "2026-03-05".parse().unwrap();
        assert!(routines(&times(&calls), later, WorkingHours::default(), Catalog::get()).is_empty());
    }
}
