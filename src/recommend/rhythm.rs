//! Rhythm: whether use comes at regular times.

use std::fmt;

use serde::Serialize;

use super::times::{SLOT_MINUTES, SLOTS_A_DAY, Slot, WorkingHours};

/// Names of the days of a week.
pub const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Times within so many slots of the usual one are punctual: two hours.
const PUNCTUAL_SLOTS: i64 = 24;
/// Less than this says nothing of regularity.
const LEAST: usize = 3;
/// The last days of a quarter and the first of the next in which its work is done.
const QUARTER_DAYS: i64 = 10;

/// When something comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rhythm {
    /// How often it came.
    pub times: u64,
    /// Days from one to the next, the median.
    pub every_days: u64,
    /// Minute of the day around which it comes, the median, by the clock of working hours.
    pub around_minute: u64,
    /// Of ten times so many lie within two hours of that.
    pub punctual_tenths: u64,
    /// The weekday of at least half of them; empty where there is none.
    pub weekday: String,
    /// All of them lie within ten days of the end of a quarter.
    pub quarter_ends: bool,
}

impl Rhythm {
    /// The rhythm of what begins at these slots, in order; none of fewer than three.
    #[must_use]
    pub fn of(starts: &[Slot], hours: WorkingHours) -> Option<Self> {
        if starts.len() < LEAST {
            return None;
        }
        let local: Vec<Slot> =
            starts.iter().map(|slot| slot + i64::from(hours.offset_minutes).div_euclid(SLOT_MINUTES)).collect();
        let mut gaps: Vec<i64> =
            local.iter().zip(local.iter().skip(1)).map(|(a, b)| (b - a + SLOTS_A_DAY / 2) / SLOTS_A_DAY).collect();
        let mut of_day: Vec<i64> = local.iter().map(|slot| slot.rem_euclid(SLOTS_A_DAY)).collect();
        let usual = median(&mut of_day)?;
        let punctual = of_day.iter().filter(|at| (*at - usual).abs() <= PUNCTUAL_SLOTS).count();
        let mut weekdays = [0usize; 7];
        for slot in &local {
            if let Some(count) = weekdays.get_mut(weekday(*slot)) {
                *count += 1;
            }
        }
        let most = weekdays.iter().zip(WEEKDAYS).max_by_key(|(count, _)| **count);
        let most = most.filter(|(count, _)| **count * 2 >= local.len()).map(|(_, name)| name.to_owned());
        Some(Self {
            times: local.len() as u64,
            every_days: u64::try_from(median(&mut gaps)?).unwrap_or(0),
            around_minute: u64::try_from(usual * SLOT_MINUTES).unwrap_or(0),
            punctual_tenths: (punctual * 10 / local.len()) as u64,
            weekday: most.unwrap_or_default(),
            quarter_ends: local.iter().all(|slot| at_quarter_end(*slot)),
        })
    }

    /// Whether it is regular: at its time of day, and on its weekday or at ends of quarters.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        self.punctual_tenths >= 8 && (!self.weekday.is_empty() || self.every_days <= 1 || self.quarter_ends)
    }
}

impl fmt::Display for Rhythm {
    /// `12 times, every 7 days, mostly on Monday, around 09:00 (9 of 10 within two hours)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times", self.times)?;
        match self.every_days {
            0 => f.write_str(", several a day")?,
            1 => f.write_str(", every day or two")?,
            days => write!(f, ", every {days} days")?,
        }
        if self.quarter_ends {
            f.write_str(", at ends of quarters")?;
        }
        if !self.weekday.is_empty() {
            write!(f, ", mostly on {}", self.weekday)?;
        }
        let (hour, minute) = (self.around_minute / 60, self.around_minute % 60);
        write!(f, ", around {hour:02}:{minute:02} ({} of 10 within two hours)", self.punctual_tenths)
    }
}

/// Weekday of a slot, Monday being 0: 1970-01-01 was a Thursday.
#[must_use]
pub fn weekday(slot: Slot) -> usize {
    usize::try_from((slot.div_euclid(SLOTS_A_DAY) + 3).rem_euclid(7)).unwrap_or(0)
}

/// Whether a slot lies in the last or first ten days of a quarter.
fn at_quarter_end(slot: Slot) -> bool {
    let near = |days: i64| {
        let date = super::times::start_of(slot).plus_days(days).day().to_string();
        // Another quarter so many days on, or so many days ago.
        let month: u32 = date.get(5..7).and_then(|month| month.parse().ok()).unwrap_or(0);
        (date.get(..4).map(str::to_owned), month.saturating_sub(1) / 3)
    };
    near(-QUARTER_DAYS) != near(0) || near(QUARTER_DAYS) != near(0)
}

fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::times::slot_of;
    use super::*;

    fn of(times: &[&str]) -> Option<Rhythm> {
        let starts: Vec<Slot> = times.iter().map(|at| slot_of(at.parse().unwrap())).collect();
        Rhythm::of(&starts, WorkingHours::default())
    }

    #[test]
    fn what_comes_back_is_told() {
        let weekly = of(&["2026-03-02T09:00:00Z", "2026-03-09T09:30:00Z", "2026-03-16T08:40:00Z"]).unwrap();
        assert!(weekly.is_regular());
        assert_eq!(
            weekly.to_string(),
            "3 times, every 7 days, mostly on Monday, around 09:00 (10 of 10 within two hours)"
        );
        let quarterly = of(&["2025-12-30T10:00:00Z", "2026-03-31T10:00:00Z", "2026-07-02T11:00:00Z"]).unwrap();
        assert!(quarterly.quarter_ends && quarterly.is_regular(), "{quarterly}");
        let odd = of(&["2026-03-02T01:00:00Z", "2026-03-04T12:00:00Z", "2026-03-13T22:00:00Z"]).unwrap();
        assert!(!odd.is_regular() && !odd.quarter_ends, "{odd}");
        assert_eq!(of(&["2026-03-02T09:00:00Z", "2026-03-09T09:30:00Z"]), None);
    }
}
