//! Use over the week, by kind of access and service: of all holders together, and only where that tells nobody's own
//! pattern.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rhythm::weekday;
use super::times::{SLOT_MINUTES, SLOTS_A_DAY, Slot, WorkingHours};
use super::{Recommendation, capability};

/// People who have to stand behind a calendar: of fewer, one could tell what a single one does when.
pub const LEAST_HOLDERS: usize = 3;
const SLOTS_AN_HOUR: i64 = SLOTS_A_DAY / 24;

/// When a kind of access to a service is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Week {
    /// Such as `write rds`, over all accounts.
    pub capability: String,
    /// People who used it in the window.
    pub holders: u64,
    /// Their sessions.
    pub sessions: u64,
    /// Five-minute slots with somebody's use, by weekday from Monday and hour of the day.
    pub hours: [[u64; 24]; 7],
}

/// Slots with use, by person.
type Slots<'a> = BTreeMap<&'a str, BTreeSet<Slot>>;

/// The calendars, the most used first.
#[must_use]
pub fn weeks(rows: &[Recommendation], hours: WorkingHours) -> Vec<Week> {
    let mut by_kind: BTreeMap<String, (u64, Slots<'_>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.person.is_empty() && !row.needed.is_empty()) {
        let (sessions, slots) = by_kind.entry(capability::words(row.class, &row.services)).or_default();
        *sessions += row.sessions;
        // Somebody who works through two principals at once works once.
        slots.entry(&row.person).or_default().extend(&row.needed);
    }
    let mut out: Vec<Week> = by_kind
        .into_iter()
        .filter(|(_, (_, slots))| slots.len() >= LEAST_HOLDERS)
        .map(|(capability, (sessions, slots))| {
            let mut counts = [[0u64; 24]; 7];
            for slot in slots.values().flatten() {
                let local = slot + i64::from(hours.offset_minutes).div_euclid(SLOT_MINUTES);
                let hour = usize::try_from(local.rem_euclid(SLOTS_A_DAY) / SLOTS_AN_HOUR).unwrap_or(0);
                if let Some(count) = counts.get_mut(weekday(local)).and_then(|day| day.get_mut(hour)) {
                    *count += 1;
                }
            }
            Week { capability, holders: slots.len() as u64, sessions, hours: counts }
        })
        .collect();
    out.sort_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.capability.cmp(&b.capability)));
    out
}
