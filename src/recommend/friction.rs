//! Friction: what people would have had to ask for, had their access been just-in-time.

use serde::Serialize;

use super::times::{GAP_SLOTS, SLOT_MINUTES, Session, Slot, WorkingHours, sessions};

/// Lengths of a grant that are offered, in slots: one, two, four, eight and twelve hours.
const LENGTHS: [i64; 5] = [SHORTEST, 24, 48, 96, LONGEST];
const SHORTEST: i64 = 12;
const LONGEST: i64 = 144;
/// Share of sessions, in percent, that a grant is to outlast: of ten sessions two may have to ask twice.
const FITS_PERCENT: usize = 80;
/// Days of a week, in which friction is counted.
const WEEK_DAYS: i64 = 7;

/// The grant length, in slots, that fits most sessions: the shortest on offer that outlasts [`FITS_PERCENT`] of them.
#[must_use]
pub fn grant_length(sessions: &[Session]) -> i64 {
    let fits = |length: i64| sessions.iter().filter(|session| session.slots() <= length).count() * 100;
    LENGTHS.into_iter().find(|length| fits(*length) >= sessions.len() * FITS_PERCENT).unwrap_or(LONGEST)
}

/// When somebody would have had to ask: whenever access was used and no grant was open. A grant opens with the slot of
/// the request and lasts `length` slots. `slots` are in order.
#[must_use]
pub fn requests(slots: &[Slot], length: i64) -> Vec<Slot> {
    let mut out: Vec<Slot> = Vec::new();
    for slot in slots {
        if out.last().is_none_or(|opened| *slot >= opened + length) {
            out.push(*slot);
        }
    }
    out
}

/// What conversion would have cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Friction {
    /// Requests in the window.
    pub requests: u64,
    /// Of these, outside working hours.
    pub out_of_hours: u64,
    /// Length of a grant in minutes.
    pub grant_minutes: i64,
    /// Days that were counted.
    pub days: i64,
    /// Some of the use may not have been logged: the true number may be greater.
    pub at_least: bool,
}

impl Friction {
    /// Counts over slots of use, in order, within so many days.
    #[must_use]
    pub fn of(slots: &[Slot], days: i64, hours: WorkingHours, at_least: bool) -> Self {
        let length = grant_length(&sessions(slots));
        let requests = requests(slots, length);
        let out_of_hours = requests.iter().filter(|slot| !hours.contains(**slot)).count() as u64;
        let grant_minutes = length * SLOT_MINUTES;
        Self { requests: requests.len() as u64, out_of_hours, grant_minutes, days, at_least }
    }

    /// Requests a week, in hundredths.
    #[must_use]
    pub fn per_week_hundredths(&self) -> u64 {
        let days = u64::try_from(self.days.max(1)).unwrap_or(1);
        (self.requests * WEEK_DAYS as u64 * 100).div_ceil(days)
    }
}

/// How well the past told the future: learned on the first two thirds of the window, counted on the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Requests that were foreseen for the last third, in hundredths.
    pub foreseen_hundredths: u64,
    /// Requests that there were.
    pub counted: u64,
    /// Sum of the errors of all proposals, in hundredths of a request, whichever way they went.
    pub error_hundredths: u64,
    /// Proposals that were looked at.
    pub proposals: u64,
}

impl Forecast {
    /// Adds what others were foreseen and counted.
    pub fn merge(&mut self, other: Self) {
        self.foreseen_hundredths += other.foreseen_hundredths;
        self.counted += other.counted;
        self.error_hundredths += other.error_hundredths;
        self.proposals += other.proposals;
    }

    /// Adds one person's use of a capability. `from` and `to` are the window in slots.
    pub fn add(&mut self, slots: &[Slot], from: Slot, to: Slot) {
        let cut = from + (to - from) * 2 / 3;
        let (before, after): (Vec<Slot>, Vec<Slot>) = slots.iter().partition(|slot| **slot < cut);
        let length = grant_length(&sessions(&before));
        let learned = requests(&before, length).len() as i64;
        let counted = requests(&after, length).len() as u64;
        let (known, asked) = ((cut - from).max(1), to - cut);
        let foreseen = u64::try_from(learned * 100 * asked / known).unwrap_or(0);
        self.foreseen_hundredths += foreseen;
        self.counted += counted;
        self.error_hundredths += foreseen.abs_diff(counted * 100);
        self.proposals += 1;
    }
}

// A grant that ends within a session's pause would be asked for again: pauses are no longer than the shortest grant.
const _: () = assert!(GAP_SLOTS <= SHORTEST);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::time::Timestamp;
    use crate::recommend::times::{slot_of, start_of};

    #[test]
    fn grants_fit_most_sessions() {
        let session = |slots: i64| Session { first: 0, last: slots - 1 };
        for (lengths, want) in [
            (vec![], 12),
            (vec![1, 2, 12], 12),
            (vec![13], 24),
            (vec![1, 1, 1, 1, 50], 12),
            (vec![1, 1, 1, 50, 50], 96),
            (vec![500, 500], 144),
        ] {
            let all: Vec<Session> = lengths.iter().map(|slots| session(*slots)).collect();
            assert_eq!(grant_length(&all), want, "{lengths:?}");
        }
    }

    #[test]
    fn requests_come_where_no_grant_is_open() {
        assert_eq!(requests(&[0, 5, 11, 12, 13, 40], 12), [0, 12, 40]);
        assert_eq!(requests(&[], 12), [0; 0]);
        let friction = Friction::of(&[0, 5, 11, 12, 13, 40], 14, WorkingHours::default(), true);
        // The session of the first five lasts 14 slots: two hours fit it.
        assert_eq!((friction.requests, friction.grant_minutes, friction.out_of_hours), (2, 120, 2));
        assert_eq!(friction.per_week_hundredths(), 100);
    }

    proptest! {
        /// A just-in-time regime, event by event: whoever calls without an open grant asks for one.
        #[test]
        fn the_forecast_is_what_a_replay_counts(seconds in prop::collection::vec(0i64..90 * 86_400, 0..200)) {
            let mut at: Vec<Timestamp> =
                seconds.into_iter().map(|s| Timestamp::from_seconds(1_770_000_000 + s)).collect();
            at.sort_unstable();
            let mut slots: Vec<Slot> = at.iter().map(|at| slot_of(*at)).collect();
            slots.dedup();
            let friction = Friction::of(&slots, 90, WorkingHours::default(), false);
            let (mut asked, mut until) = (0, None::<Timestamp>);
            for call in at {
                if until.is_none_or(|until| call >= until) {
                    asked += 1;
                    until = Some(start_of(slot_of(call)).plus_seconds(friction.grant_minutes * 60));
                }
            }
            prop_assert_eq!(friction.requests, asked);
        }
    }

    #[test]
    fn regular_use_is_foreseen() {
        let mut forecast = Forecast::default();
        let daily: Vec<Slot> = (0..90).map(|day| day * 288 + 100).collect();
        forecast.add(&daily, 0, 90 * 288);
        assert_eq!((forecast.foreseen_hundredths, forecast.counted, forecast.error_hundredths), (3000, 30, 0));
        // What stopped is foreseen, and did not come.
        forecast.add(&daily[..60], 0, 90 * 288);
        assert_eq!((forecast.counted, forecast.error_hundredths, forecast.proposals), (30, 3000, 2));
    }
}
