//! Use in time: slots of five minutes, gathered into sessions of use; what working hours are; and which use is no need.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::time::{SLOTS_PER_DAY, Timestamp};

pub use crate::model::time::Slot;

/// Minutes of a slot.
pub const SLOT_MINUTES: i64 = 5;
/// Slots of a day.
pub const SLOTS_A_DAY: i64 = SLOTS_PER_DAY as i64;
/// A pause of so many slots ends a session of use: an hour, after which people have turned to something else.
pub const GAP_SLOTS: i64 = 12;
/// Services that somebody touches within [`BURST_SLOTS`] slots by way of looking at everything: an inventory tool, a
/// script or an intruder. Work touches a handful; the console's start page about five.
pub const BURST_SERVICES: usize = 12;
const BURST_SLOTS: i64 = 3;

/// The slot of an instant.
#[must_use]
pub fn slot_of(at: Timestamp) -> Slot {
    at.micros().div_euclid(SLOT_MINUTES * 60 * 1_000_000)
}

/// When a slot begins.
#[must_use]
pub fn start_of(slot: Slot) -> Timestamp {
    Timestamp::from_seconds(slot * SLOT_MINUTES * 60)
}

/// A session of use: first and last slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// First slot.
    pub first: Slot,
    /// Last slot.
    pub last: Slot,
}

impl Session {
    /// How long it is, in slots.
    #[must_use]
    pub const fn slots(self) -> i64 {
        self.last - self.first + 1
    }
}

/// Sessions of use: slots with pauses shorter than [`GAP_SLOTS`] between them. `slots` are in order.
#[must_use]
pub fn sessions(slots: &[Slot]) -> Vec<Session> {
    let mut out: Vec<Session> = Vec::new();
    for slot in slots {
        match out.last_mut() {
            Some(open) if slot - open.last < GAP_SLOTS => open.last = *slot,
            _ => out.push(Session { first: *slot, last: *slot }),
        }
    }
    out
}

/// When people work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorkingHours {
    /// First hour, from 0.
    pub from: u8,
    /// The hour after the last, up to 24.
    pub to: u8,
    /// Minutes by which the clock there is ahead of UTC.
    pub offset_minutes: i32,
}

impl Default for WorkingHours {
    /// Monday to Friday, eight to six, UTC: people's time zones are not in any log.
    fn default() -> Self {
        Self { from: 8, to: 18, offset_minutes: 0 }
    }
}

impl WorkingHours {
    /// Whether a slot lies within them.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        let minutes = slot * SLOT_MINUTES + i64::from(self.offset_minutes);
        // 1970-01-01 was a Thursday: Monday is 0.
        let weekday = (minutes.div_euclid(1440) + 3).rem_euclid(7);
        let hour = minutes.rem_euclid(1440) / 60;
        weekday < 5 && (i64::from(self.from)..i64::from(self.to)).contains(&hour)
    }

    /// Slots of working time in so many days, weekends counted out on average.
    #[must_use]
    pub fn slots_in(self, days: i64) -> i64 {
        let hours = i64::from(self.to.saturating_sub(self.from));
        days * 5 * hours * 60 / SLOT_MINUTES / 7
    }
}

/// Slots in which somebody went through many services at once: each within [`BURST_SLOTS`] slots of
/// [`BURST_SERVICES`] services or more. `touched` are services by slot.
#[must_use]
pub fn bursts(touched: &BTreeMap<Slot, BTreeSet<&str>>) -> BTreeSet<Slot> {
    let mut out = BTreeSet::new();
    for slot in touched.keys() {
        let span = touched.range(*slot..*slot + BURST_SLOTS);
        let services: BTreeSet<&str> = span.clone().flat_map(|(_, services)| services.iter().copied()).collect();
        if services.len() >= BURST_SERVICES {
            out.extend(span.map(|(slot, _)| *slot));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_become_sessions_at_pauses() {
        let of = |slots: &[Slot]| sessions(slots).iter().map(|one| (one.first, one.slots())).collect::<Vec<_>>();
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[5]), [(5, 1)]);
        assert_eq!(of(&[5, 6, 5 + GAP_SLOTS]), [(5, GAP_SLOTS + 1)]);
        assert_eq!(of(&[5, 5 + GAP_SLOTS]), [(5, 1), (5 + GAP_SLOTS, 1)]);
        // Midnight ends nothing.
        assert_eq!(of(&[287, 288]), [(287, 2)]);
    }

    #[test]
    fn slots_are_those_of_the_instant() {
        let at: Timestamp = "2026-03-02T08:04:59Z".parse().unwrap();
        assert_eq!(slot_of(at), i64::from(at.day().0) * SLOTS_A_DAY + i64::from(at.slot()));
        assert_eq!(start_of(slot_of(at)).to_string(), "2026-03-02T08:00:00Z");
    }

    #[test]
    fn working_hours_are_those_of_the_place() {
        let hours = WorkingHours::default();
        let tokyo = WorkingHours { offset_minutes: 540, ..hours };
        for (at, here, there) in [
            ("2026-03-02T08:00:00Z", true, true),
            ("2026-03-02T07:59:59Z", false, true),
            ("2026-03-02T17:59:59Z", true, false),
            ("2026-03-02T18:00:00Z", false, false),
            ("2026-03-01T23:30:00Z", false, true),
            ("2026-02-28T10:00:00Z", false, false),
        ] {
            let slot = slot_of(at.parse().unwrap());
            assert_eq!((hours.contains(slot), tokyo.contains(slot)), (here, there), "{at}");
        }
        assert_eq!(hours.slots_in(7), 5 * 10 * 12);
    }

    #[test]
    fn going_through_everything_is_a_burst() {
        let names: Vec<String> = (0..BURST_SERVICES).map(|n| format!("s{n}")).collect();
        let mut touched: BTreeMap<Slot, BTreeSet<&str>> = BTreeMap::new();
        for (n, name) in names.iter().enumerate() {
            touched.entry(100 + (n as i64 % 3)).or_default().insert(name);
        }
        touched.insert(200, [names[0].as_str()].into());
        assert_eq!(bursts(&touched), [100, 101, 102].into());
        // Over a longer time it is work.
        let slow = names.iter().enumerate().map(|(n, name)| (n as i64 * 2, [name.as_str()].into())).collect();
        assert_eq!(bursts(&slow), BTreeSet::new());
    }
}
