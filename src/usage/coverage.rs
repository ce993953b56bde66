//! What the logs can speak for, from the log files themselves: hours and days of each account and region.
//!
//! A day counts as covered where at least one record of that account and region lies in it, or where digests speak for
//! all of it. An hour without files proves nothing by itself: CloudTrail writes no empty log files, but it writes a
//! digest every hour, also where nothing was delivered. Between digests an hour without one is a gap, and its day is
//! not covered.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::EventCategory;
use crate::model::time::{Day, MICROS_PER_HOUR, Timestamp, Window};

use super::digests;
use super::fold::{CoverageKey, DigestSpan};

/// Hours before the newest delivery that are not yet complete. CloudTrail delivers within 5 minutes on average and does
/// not guarantee it ("How CloudTrail works", AWS CloudTrail User Guide); calls that were refused have been seen missing
/// after 25 minutes and present after 85, so two hours are left to them.
pub const SETTLING_HOURS: i32 = 2;

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
    /// Hours with records of any kind: files came.
    any: BTreeSet<i32>,
    /// Hours without records for which digests speak.
    empty: BTreeSet<i32>,
    /// Hours between digests for which none speaks, or whose files are not in hand.
    missing: BTreeSet<i32>,
}

/// What the logs say of an hour, or of the hours of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Hours with management events.
    pub covered: u64,
    /// Hours without, for which digests speak.
    pub empty: u64,
    /// Hours that are missing between digests.
    pub missing: u64,
    /// Hours of the window.
    pub total: u64,
    /// Hours that may still be delivered.
    pub settling: u64,
}

/// The coverage of a window.
#[derive(Clone, Debug)]
pub struct Coverage {
    window: Window,
    seen: BTreeMap<String, BTreeMap<String, Seen>>,
    /// Hours that may still be delivered: from the first on, before the second.
    settling: (i32, i32),
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
            region.any.insert(key.hour);
            match key.category {
                EventCategory::Management => {
                    region.hours.insert(key.hour);
                    region.days.insert(start.day());
                }
                EventCategory::Data => region.data_events += events,
                EventCategory::NetworkActivity | EventCategory::Insight | EventCategory::Unknown => {}
            }
        }
        Self { window, seen, settling: (0, 0) }
    }

    /// Adds what digests speak for, and the end of the newest record or digest of the lake.
    #[must_use]
    pub fn with_deliveries(mut self, spans: &[DigestSpan], newest: Option<Timestamp>) -> Self {
        if let Some(newest) = newest {
            // Both a span of events and a digest end just after what they hold.
            let end = Timestamp::from_micros(newest.micros().saturating_sub(1)).hour().saturating_add(1);
            let (first, last) = self.hour_range();
            self.settling = (end.saturating_sub(SETTLING_HOURS).max(first), end.min(last));
        }
        let mut by_region: BTreeMap<(&str, &str), Vec<&DigestSpan>> = BTreeMap::new();
        for span in spans.iter().filter(|span| span.from < span.to) {
            by_region.entry((&span.account, &span.region)).or_default().push(span);
        }
        let (range, settling) = (self.hour_range(), self.settling);
        for ((account, region), spans) in by_region {
            // A digest of a quiet region is all that is known of it.
            if !spans.iter().any(|span| span.to > self.window.from && span.from < self.window.to) {
                continue;
            }
            let seen = self.seen.entry(account.to_owned()).or_default().entry(region.to_owned()).or_default();
            let told = digests::tell(range, &spans, &seen.any);
            seen.empty = told.empty.difference(&seen.hours).copied().collect();
            seen.missing = told.missing.difference(&seen.hours).copied().collect();
            seen.missing.retain(|hour| !(settling.0..settling.1).contains(hour));
        }
        self
    }

    /// The first hour that the window touches, and the first after them.
    fn hour_range(&self) -> (i32, i32) {
        let first = self.window.from.hour();
        (first, first.saturating_add(i32::try_from(self.hours_total()).unwrap_or(i32::MAX)))
    }

    fn of_region(&self, account: &str, region: &str) -> Option<&Seen> {
        self.seen.get(account)?.get(region)
    }

    /// What is known of the hours of a day that lie in the window.
    #[must_use]
    pub fn tally(&self, account: &str, region: &str, day: Day) -> Tally {
        let (first, last) = self.hour_range();
        let start = day.start().hour();
        let hours = start.max(first)..start.saturating_add(24).min(last);
        self.count(self.of_region(account, region), hours)
    }

    /// What is known of the hours of the window.
    #[must_use]
    pub fn tally_all(&self, account: &str, region: &str) -> Tally {
        let (first, last) = self.hour_range();
        self.count(self.of_region(account, region), first..last)
    }

    fn count(&self, seen: Option<&Seen>, hours: std::ops::Range<i32>) -> Tally {
        if hours.is_empty() {
            return Tally::default();
        }
        let within =
            |set: fn(&Seen) -> &BTreeSet<i32>| seen.map_or(0, |seen| set(seen).range(hours.clone()).count() as u64);
        let (from, to) = self.settling;
        Tally {
            covered: within(|seen| &seen.hours),
            empty: within(|seen| &seen.empty),
            missing: within(|seen| &seen.missing),
            total: hours.len() as u64,
            settling: (from.max(hours.start)..to.min(hours.end)).len() as u64,
        }
    }

    /// The hours that may still be delivered, as a span; none where all are settled.
    #[must_use]
    pub fn settling(&self) -> Option<Window> {
        let at = |hour: i32| Timestamp::from_seconds(i64::from(hour) * 3_600);
        let (from, to) = self.settling;
        (from < to).then(|| Window { from: at(from), to: at(to) })
    }

    /// Whether an hour that lies wholly within the span has management events of the account in any region.
    #[must_use]
    pub fn seen_within(&self, account: &str, span: Window) -> bool {
        let first = span.from.plus_seconds(3_599).hour();
        let end = span.to.hour();
        first < end
            && self
                .seen
                .get(account)
                .is_some_and(|regions| regions.values().any(|seen| seen.hours.range(first..end).next().is_some()))
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

    /// Days of the window for which the logs of the account and region do not speak: without a management event and
    /// without digests for all of it, or with an hour that is missing between digests.
    #[must_use]
    pub fn missing_days(&self, account: &str, region: &str) -> Vec<Day> {
        let Some(seen) = self.of_region(account, region) else { return self.window.days().collect() };
        let covered = |day: &Day| {
            if seen.empty.is_empty() && seen.missing.is_empty() {
                return seen.days.contains(day);
            }
            let Tally { covered, empty, missing, total, settling } = self.tally(account, region, *day);
            let proven = empty > 0 && covered + empty + settling >= total;
            missing == 0 && (seen.days.contains(day) || proven)
        };
        self.window.days().filter(|day| !covered(day)).collect()
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
    fn digests_prove_quiet_days_and_tell_gaps() {
        let window = Window::last_days("2026-03-04".parse().unwrap(), 3);
        let cells = BTreeMap::from([
            (key("us-east-1", "2026-03-01T05:00:00Z", EventCategory::Management), 3),
            (key("us-east-1", "2026-03-03T02:00:00Z", EventCategory::Management), 3),
        ]);
        let span = |from: &str, hours: i64, log_files| {
            let from: Timestamp = from.parse().unwrap();
            let to = from.plus_seconds(hours * 3600);
            DigestSpan {
                account: "111111111111".into(),
                region: "us-east-1".into(),
                trail: String::new(),
                from,
                to,
                log_files,
            }
        };
        let newest = Some("2026-03-04T00:10:00Z".parse().unwrap());
        let missing = |spans: &[DigestSpan]| {
            let coverage = Coverage::of(window, &cells).with_deliveries(spans, newest);
            let days = coverage.missing_days("111111111111", "us-east-1");
            (days.iter().map(Day::to_string).collect::<Vec<_>>().join(" "), coverage)
        };
        assert_eq!(missing(&[]).0, "2026-03-02");
        // Digests over the quiet day, and a little beyond it, for what comes late.
        let (days, coverage) = missing(&[span("2026-03-01T22:30:00Z", 27, 0)]);
        assert_eq!(days, "");
        let day = "2026-03-02".parse::<Timestamp>().unwrap().day();
        assert_eq!(
            coverage.tally("111111111111", "us-east-1", day),
            Tally { empty: 24, total: 24, ..Tally::default() }
        );
        assert_eq!(coverage.tally_all("111111111111", "us-east-1").settling, 1);
        // The last hour of the day is not proven: late deliveries would lie in the next digest.
        assert_eq!(missing(&[span("2026-03-01T22:30:00Z", 25, 0)]).0, "2026-03-02");
        // A digest is missing in between, on a day with records.
        let holed = [span("2026-03-01T00:00:00Z", 9, 1), span("2026-03-01T10:00:00Z", 40, 0)];
        let (days, coverage) = missing(&holed);
        assert_eq!((days.as_str(), coverage.tally_all("111111111111", "us-east-1").missing), ("2026-03-01", 1));
        // A digest names files of which nothing is in hand.
        assert_eq!(missing(&[span("2026-03-01T22:00:00Z", 8, 0), span("2026-03-02T06:00:00Z", 1, 2)]).0, "2026-03-02");
        // A region of which there are digests only is covered where they speak.
        let quiet = DigestSpan { region: "eu-west-3".into(), ..span("2026-02-28T20:00:00Z", 100, 0) };
        let coverage = Coverage::of(window, &cells).with_deliveries(&[quiet], newest);
        assert!(coverage.missing_days("111111111111", "eu-west-3").is_empty());
        assert_eq!(coverage.regions("111111111111").collect::<Vec<_>>(), ["eu-west-3", "us-east-1"]);
    }

    #[test]
    fn the_last_hours_settle() {
        let window = Window::last_days("2026-03-04".parse().unwrap(), 3);
        let settling = |newest: &str| {
            let newest = Some(newest.parse().unwrap());
            let coverage = Coverage::of(window, &BTreeMap::new()).with_deliveries(&[], newest);
            coverage.settling().map(|span| span.to_string()).unwrap_or_default()
        };
        assert_eq!(settling("2026-03-03T23:50:00Z"), "2026-03-03T22:00:00Z to 2026-03-04T00:00:00Z");
        assert_eq!(settling("2026-03-02T10:00:00Z"), "2026-03-02T08:00:00Z to 2026-03-02T10:00:00Z");
        for settled in ["2026-03-04T02:00:00Z", "2026-02-01T00:00:00Z"] {
            assert_eq!(settling(settled), "", "{settled}");
        }
    }

    #[test]
    fn an_hour_within_a_span() {
        let window = Window::last_days("2026-03-04".parse().unwrap(), 3);
        let cells = BTreeMap::from([(key("us-east-1", "2026-03-02T05:00:00Z", EventCategory::Management), 3)]);
        let coverage = Coverage::of(window, &cells);
        for (from, to, want) in [
            ("2026-03-02T05:00:00Z", "2026-03-02T06:00:00Z", true),
            ("2026-03-02T04:30:00Z", "2026-03-03T00:00:00Z", true),
            ("2026-03-02T05:00:01Z", "2026-03-03T00:00:00Z", false),
            ("2026-03-02T04:00:00Z", "2026-03-02T05:59:00Z", false),
        ] {
            let span = Window { from: from.parse().unwrap(), to: to.parse().unwrap() };
            assert_eq!(coverage.seen_within("111111111111", span), want, "{span}");
        }
    }

    #[test]
    fn runs_of_days() {
        let day = |text: &str| text.parse::<Timestamp>().unwrap().day();
        let days = [day("2026-01-01"), day("2026-01-02"), day("2026-01-05")];
        assert_eq!(show_days(&days), "2026-01-01..2026-01-02, 2026-01-05 (3 days)");
        assert_eq!(show_days(&days[..1]), "2026-01-01 (1 day)");
    }
}
