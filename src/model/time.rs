//! Time: instants in microseconds, UTC days, five-minute slots and half-open windows.
//!
//! Everything that jitscan stores or prints is UTC; nothing here asks the system clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in an hour.
pub const MICROS_PER_HOUR: i64 = 3_600 * MICROS_PER_SECOND;
/// Microseconds in a UTC day (leap seconds do not exist in this time scale).
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// Length of a usage slot: five minutes, fine enough to cluster calls into sessions of use.
pub const SLOT_SECONDS: i64 = 300;
/// Slots in a day.
pub const SLOTS_PER_DAY: usize = 288;
/// A slot, counted from 1970-01-01.
pub type Slot = i64;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 instant.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{text}` is not a time; expected RFC 3339 such as 2026-01-31T09:00:00Z or a date such as 2026-01-31")]
pub struct TimeError {
    text: String,
}

impl Timestamp {
    /// The instant that lies `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The UTC day that holds this instant.
    #[must_use]
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// Hours since the epoch, rounded down.
    #[must_use]
    pub const fn hour(self) -> i32 {
        self.0.div_euclid(MICROS_PER_HOUR) as i32
    }

    /// The five-minute slot of its day, 0 to 287.
    #[must_use]
    pub const fn slot(self) -> u16 {
        (self.0.rem_euclid(MICROS_PER_DAY) / (SLOT_SECONDS * MICROS_PER_SECOND)) as u16
    }

    /// This instant moved by whole seconds, stopping at the ends of the scale.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    /// This instant moved by whole days, stopping at the ends of the scale.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(MICROS_PER_DAY)))
    }

    /// Whole days from `earlier` to this instant, rounded down.
    #[must_use]
    pub const fn days_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(MICROS_PER_DAY)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads RFC 3339 (any offset; `+00:00` as the credential report writes it), or a date, meaning its midnight UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError { text: text.chars().take(64).collect() };
        let trimmed = text.trim();
        if trimmed.len() == 10 {
            let date: jiff::civil::Date = trimmed.parse().map_err(|_| bad())?;
            let days = Day::from_civil(date);
            return Ok(days.start());
        }
        let instant: jiff::Timestamp = trimmed.parse().map_err(|_| bad())?;
        Ok(Self(instant.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; fractions only where there are some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A UTC day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// Midnight at which this day starts.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * MICROS_PER_DAY)
    }

    /// The next day.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    fn from_civil(date: jiff::civil::Date) -> Self {
        let epoch = jiff::civil::Date::constant(1970, 1, 1);
        let span = date.since((jiff::Unit::Day, epoch)).map(|s| s.get_days()).unwrap_or(0);
        Self(span)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        f.write_str(text.get(..10).unwrap_or(&text))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A half-open span of time: `from` belongs to it, `to` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

impl Window {
    /// The `days` whole days that end at `to`.
    #[must_use]
    pub const fn last_days(to: Timestamp, days: i64) -> Self {
        Self { from: to.plus_days(-days), to }
    }

    /// Whether the instant lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// Every UTC day that the window touches, in order.
    pub fn days(&self) -> impl Iterator<Item = Day> + use<> {
        let last = if self.to > self.from { Timestamp(self.to.0 - 1).day().0 } else { self.from.day().0 - 1 };
        (self.from.day().0..=last).map(Day)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_aws_writes() {
        for (text, shown) in [
            ("2023-07-10T11:42:24Z", "2023-07-10T11:42:24Z"),
            ("2016-07-15T15:02:03+00:00", "2016-07-15T15:02:03Z"),
            ("2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00Z"),
            ("2026-01-31T09:00:00.250Z", "2026-01-31T09:00:00.25Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("1969-12-31", "1969-12-31T00:00:00Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), shown);
        }
        for text in ["", "N/A", "no_information", "2026-13-01", "yesterday", "2026-01-31T25:00:00Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn days_slots_and_windows() {
        let t: Timestamp = "2026-03-01T23:59:59Z".parse().unwrap();
        assert_eq!(t.day().to_string(), "2026-03-01");
        assert_eq!(t.slot(), 287);
        let before_epoch: Timestamp = "1969-12-31T23:59:59Z".parse().unwrap();
        assert_eq!((before_epoch.day().0, before_epoch.slot()), (-1, 287));
        let window = Window::last_days("2026-03-01".parse().unwrap(), 3);
        assert!(window.contains(window.from) && !window.contains(window.to));
        let days: Vec<String> = window.days().map(|d| d.to_string()).collect();
        assert_eq!(days, ["2026-02-26", "2026-02-27", "2026-02-28"]);
        assert_eq!(Window { from: t, to: t }.days().count(), 0);
    }
}
