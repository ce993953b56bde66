//! What the logs can speak for, from the log files themselves: hours and days of each account and region.
//!
//! A day counts as covered where at least one record or digest of that account and region lies in it. An hour
//! without files proves nothing by itself: CloudTrail writes no empty log files.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::EventCategory;
use crate::model::time::{Day, MICROS_PER_HOUR, Timestamp, Window};

use super::fold::CoverageKey;

/// Regions that are on in every account of the commercial partition unless a policy closes them; a trail for all
/// regions covers them. Source: "Enable or disable AWS Regions in your account", AWS Account Management
/// Reference Guide (regions introduced before 2019-03-20).
pub const DEFAULT_REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Hours of the window in which one account and region has management events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    hours: BTreeSet<i32>,
    days: BTreeSet<Day>,
    data_events: u64,
}

/// The coverage of a window.
#[derive(Clone, Debug)]
pub struct Coverage {
    window: Window,
    seen: BTreeMap<String, BTreeMap<String, Seen>>,
}

impl Coverage {
    /// Reads the cells of a lake; cells outside the window do not count.
    #[must_use]
    pub fn of(window: Window, cells: &BTreeMap<CoverageKey, u64>) -> Self {
        let mut seen: BTreeMap<String, BTreeMap<String, Seen>> = BTreeMap::new();
        for (key, events) in cells {
            let start = Timestamp::from_micros(i64::from(key.hour).saturating_mul(MICROS_PER_HOUR));
            let end = start.plus_seconds(3600);
            if end <= window.from || start >= window.to {
                continue;
            }
            let region = seen.entry(key.account.clone()).or_default().entry(key.region.clone()).or_default();
            match key.category {
                EventCategory::Management => {
                    region.hours.insert(key.hour);
                    region.days.insert(start.day());
                }
                EventCategory::Data => region.data_events += events,
                EventCategory::NetworkActivity | EventCategory::Insight => {}
            }
        }
        Self { window, seen }
    }

    /// The window.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// Accounts with any record in the window.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.seen.keys().map(String::as_str)
    }

    /// Regions of an account with any record in the window.
    pub fn regions(&self, account: &str) -> impl Iterator<Item = &str> {
        self.seen.get(account).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// Days of the window without a management event of the account and region.
    #[must_use]
    pub fn missing_days(&self, account: &str, region: &str) -> Vec<Day> {
        let seen = self.seen.get(account).and_then(|regions| regions.get(region));
        self.window.days().filter(|day| seen.is_none_or(|seen| !seen.days.contains(day))).collect()
    }

    /// Hours of the window with a management event of the account and region.
    #[must_use]
    pub fn hours(&self, account: &str, region: &str) -> u64 {
        self.seen.get(account).and_then(|regions| regions.get(region)).map_or(0, |seen| seen.hours.len() as u64)
    }

    /// Data events of the account and region in the window.
    #[must_use]
    pub fn data_events(&self, account: &str, region: &str) -> u64 {
        self.seen.get(account).and_then(|regions| regions.get(region)).map_or(0, |seen| seen.data_events)
    }

    /// Hours that the window touches.
    #[must_use]
    pub fn hours_total(&self) -> u64 {
        if self.window.to <= self.window.from {
            return 0;
        }
        let last = Timestamp::from_micros(self.window.to.micros() - 1).hour();
        u64::try_from(i64::from(last) - i64::from(self.window.from.hour()) + 1).unwrap_or(0)
    }
}

/// Days as short text: runs are joined, such as `2026-09-01..2026-09-07 (7 days)`.
#[must_use]
pub fn show_days(days: &[Day]) -> String {
    let mut runs: Vec<(Day, Day)> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some((_, last)) if last.next() == *day => *last = *day,
            _ => runs.push((*day, *day)),
        }
    }
    let shown: Vec<String> = runs
        .iter()
        .take(3)
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}..{to}") })
        .collect();
    let more = if runs.len() > 3 { format!(" and {} more spans", runs.len() - 3) } else { String::new() };
    let unit = if days.len() == 1 { "day" } else { "days" };
    format!("{}{more} ({} {unit})", shown.join(", "), days.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(region: &str, at: &str, category: EventCategory) -> CoverageKey {
        CoverageKey {
            account: "111111111111".into(),
            region: region.into(),
            hour: at.parse::<Timestamp>().unwrap().hour(),
            category,
        }
    }

    #[test]
    fn days_hours_and_what_is_missing() {
        let window = Window::last_days("2026-03-04".parse().unwrap(), 3);
        let cells = BTreeMap::from([
            (key("us-east-1", "2026-03-01T05:00:00Z", EventCategory::Management), 3),
            (key("us-east-1", "2026-03-03T23:00:00Z", EventCategory::Management), 1),
            (key("us-east-1", "2026-03-02T23:00:00Z", EventCategory::Data), 7),
            (key("us-east-1", "2026-03-04T00:00:00Z", EventCategory::Management), 1),
            (key("eu-west-1", "2026-02-28T23:00:00Z", EventCategory::Management), 1),
        ]);
        let coverage = Coverage::of(window, &cells);
        let missing = coverage.missing_days("111111111111", "us-east-1");
        assert_eq!(missing.iter().map(Day::to_string).collect::<Vec<_>>(), ["2026-03-02"]);
        assert_eq!(coverage.hours("111111111111", "us-east-1"), 2);
        assert_eq!(coverage.hours_total(), 72);
        assert_eq!(coverage.data_events("111111111111", "us-east-1"), 7);
        assert_eq!(coverage.missing_days("111111111111", "eu-west-1").len(), 3);
        assert_eq!(coverage.regions("111111111111").collect::<Vec<_>>(), ["us-east-1"]);
    }

    #[test]
    fn runs_of_days() {
        let day = |text: &str| text.parse::<Timestamp>().unwrap().day();
        let days = [day("2026-01-01"), day("2026-01-02"), day("2026-01-05")];
        assert_eq!(show_days(&days), "2026-01-01..2026-01-02, 2026-01-05 (3 days)");
        assert_eq!(show_days(&days[..1]), "2026-01-01 (1 day)");
    }
}
