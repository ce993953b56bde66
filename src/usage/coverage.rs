//! What the logs can speak for, from the log files themselves: hours and days of each account and region.
//!
//! Only files that hold all of their source count: a trail's files, Security Lake, and exports that the user declared
//! complete. Of other exports nobody knows what their query left out.
//!
//! A day counts as covered where at least one management event of that account and region lies in it and none of its
//! hours is one that the logs ought to have and do not, or where digests speak for all of it. An hour without files
//! proves nothing by itself: CloudTrail writes no empty log files, but it writes a digest every hour, also where nothing
//! was delivered. Between digests an hour without one is a gap. Without digests, `usage::silence` says which hours may
//! have been quiet.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::EventCategory;
use crate::model::time::{Day, Timestamp, Window};

use super::fold::{CoverageFact, CoverageKey, DigestSpan};
use super::{digests, silence};

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

/// What is known of one account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Something of it lies in the window.
    present: bool,
    /// Hours with management events from whole files, also those around the window.
    hours: BTreeSet<i32>,
    /// Hours with data events from whole files.
    data: BTreeSet<i32>,
    data_events: u64,
    /// Hours without records for which digests speak.
    empty: BTreeSet<i32>,
    /// Hours between digests for which none speaks, or whose files are not in hand.
    missing: BTreeSet<i32>,
    /// Hours of which nothing shows that the logs would have recorded something.
    dark: BTreeSet<i32>,
    /// Hours for which the digests of a trail speak, and all the files that they name are in hand.
    by_trail: BTreeMap<String, BTreeSet<i32>>,
}

/// What the logs say of an hour, or of the hours of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Hours with management events.
    pub covered: u64,
    /// Hours without, for which digests speak.
    pub empty: u64,
    /// Hours that are missing between digests, or whose files are not in hand.
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
    /// The first hour after the newest record of a whole file.
    newest: Option<i32>,
    exported: u64,
    placeless: u64,
    unproven: BTreeSet<(String, String)>,
    in_hand: BTreeSet<(String, String)>,
}

/// A digest, and whether its trail is known to have recorded management events.
type Said<'d> = (&'d DigestSpan, Option<bool>);

/// How far around the window cells are worth reading: what lies there shows that silence at its ends is silence.
pub const AROUND_DAYS: i64 = 7;

impl Coverage {
    /// Reads the cells of a lake. Those outside the window tell only how the logs went on.
    #[must_use]
    pub fn of(window: Window, cells: &BTreeMap<CoverageKey, CoverageFact>) -> Self {
        let mut out = Self {
            window,
            seen: BTreeMap::new(),
            settling: (0, 0),
            newest: None,
            exported: 0,
            placeless: 0,
            unproven: BTreeSet::new(),
            in_hand: BTreeSet::new(),
        };
        let (first, last) = out.hour_range();
        for (key, fact) in cells {
            let inside = (first..last).contains(&key.hour);
            if key.account.is_empty() || key.region.is_empty() {
                out.placeless += if inside { fact.count } else { 0 };
                continue;
            }
            let seen = out.seen.entry(key.account.clone()).or_default().entry(key.region.clone()).or_default();
            seen.present |= inside;
            if inside && key.category == EventCategory::Data {
                seen.data_events += fact.count;
            }
            if fact.whole == 0 {
                out.exported += if inside { fact.count } else { 0 };
                continue;
            }
            out.newest = out.newest.max(Some(key.hour.saturating_add(1)));
            match key.category {
                EventCategory::Management => seen.hours.insert(key.hour),
                EventCategory::Data => seen.data.insert(key.hour),
                EventCategory::NetworkActivity | EventCategory::Insight | EventCategory::Unknown => false,
            };
        }
        out.settle(out.newest);
        out.look();
        out
    }

    /// Adds what digests speak for. `records` says of a digest whether its trail is known to have recorded management
    /// events then; none where nobody knows.
    #[must_use]
    pub fn with_deliveries(mut self, spans: &[DigestSpan], records: impl Fn(&DigestSpan) -> Option<bool>) -> Self {
        // A digest ends just after what it speaks for.
        let ends = spans.iter().map(|span| Timestamp::from_micros(span.to.micros().saturating_sub(1)).hour() + 1);
        self.settle(self.newest.max(ends.max()));
        let evidence = digests::evidence(spans);
        let mut by_region: BTreeMap<(&str, &str), Vec<Said<'_>>> = BTreeMap::new();
        let mut by_trail: BTreeMap<(&str, &str), Vec<&DigestSpan>> = BTreeMap::new();
        for span in spans.iter().filter(|span| span.from < span.to) {
            let said = records(span).or_else(|| digests::shown(&evidence, span));
            by_region.entry((&span.account, &span.region)).or_default().push((span, said));
            by_trail.entry((&span.account, &span.trail)).or_default().push(span);
        }
        let window = self.window;
        let inside = |span: &DigestSpan| span.to > window.from && span.from < window.to;
        let (range, settling) = (self.hour_range(), self.settling);
        for ((account, region), spans) in by_region {
            // A digest of a quiet region is all that is known of it.
            if !spans.iter().any(|(span, _)| inside(span)) {
                continue;
            }
            let unknown = spans.iter().filter(|(span, said)| said.is_none() && inside(span));
            self.unproven.extend(unknown.map(|(span, _)| (account.to_owned(), span.trail.clone())));
            let seen = self.seen.entry(account.to_owned()).or_default().entry(region.to_owned()).or_default();
            seen.present = true;
            let told = digests::tell(range, &spans);
            seen.by_trail = told.by_trail;
            seen.empty = told.empty.difference(&seen.hours).copied().collect();
            seen.missing = told.missing.difference(&seen.hours).copied().collect();
            // Records of one file say nothing of another that is not here.
            seen.missing.extend(told.lost);
            seen.missing.retain(|hour| !(settling.0..settling.1).contains(hour));
        }
        let in_hand = by_trail.into_iter().filter(|((account, _), spans)| {
            let regions = self.seen.get(*account).into_iter().flatten();
            let recorded = regions.filter(|(_, seen)| seen.hours.range(range.0..range.1).next().is_some());
            digests::all_in_hand(window, spans, recorded.map(|(region, _)| region.as_str()))
        });
        self.in_hand = in_hand.map(|((account, trail), _)| (account.to_owned(), trail.to_owned())).collect();
        self.look();
        self
    }

    fn settle(&mut self, end: Option<i32>) {
        if let Some(end) = end {
            let (first, last) = self.hour_range();
            self.settling = (end.saturating_sub(SETTLING_HOURS).max(first), end.min(last));
        }
    }

    /// Finds the hours of which nothing is known.
    fn look(&mut self) {
        let range = self.hour_range();
        for regions in self.seen.values_mut() {
            // Files of a trail come together: a region is quiet, not cut off, while others of its account go on.
            let hours = || regions.values().flat_map(|seen| seen.hours.iter().chain(&seen.empty)).copied();
            let edges = [hours().min(), hours().max()];
            for seen in regions.values_mut() {
                let mut known: BTreeSet<i32> = seen.hours.union(&seen.empty).copied().collect();
                if !known.is_empty() {
                    known.extend(edges.into_iter().flatten());
                }
                seen.dark = silence::dark(range, &known);
            }
        }
    }

    /// The first hour that the window touches, and the first after them.
    fn hour_range(&self) -> (i32, i32) {
        let first = self.window.from.hour();
        (first, first.saturating_add(i32::try_from(self.hours_total()).unwrap_or(i32::MAX)))
    }

    fn of_region(&self, account: &str, region: &str) -> Option<&Seen> {
        self.seen.get(account)?.get(region)
    }

    /// The hours of a day that lie in the window.
    fn hours_of(&self, day: Day) -> std::ops::Range<i32> {
        let (first, last) = self.hour_range();
        let start = day.start().hour();
        start.max(first)..start.saturating_add(24).min(last)
    }

    /// What is known of the hours of a day that lie in the window.
    #[must_use]
    pub fn tally(&self, account: &str, region: &str, day: Day) -> Tally {
        self.count(self.of_region(account, region), self.hours_of(day))
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

    /// Events of the window in hours of which only exports tell.
    #[must_use]
    pub const fn exported(&self) -> u64 {
        self.exported
    }

    /// Events of the window that name no account or no region.
    #[must_use]
    pub const fn placeless(&self) -> u64 {
        self.placeless
    }

    /// Accounts and trails whose digests prove nothing, for nobody knows whether they record management events.
    pub fn unproven(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unproven.iter().map(|(account, trail)| (account.as_str(), trail.as_str()))
    }

    /// Whether digests show that the files of a trail of an account are in hand, all of the window's. `trail` is its name
    /// and home region, as in [`DigestSpan::trail`].
    #[must_use]
    pub fn in_hand(&self, account: &str, trail: &str) -> bool {
        self.in_hand.contains(&(account.to_owned(), trail.to_owned()))
    }

    /// The trails of which that is so, by name and home region.
    pub fn trails_in_hand(&self, account: &str) -> impl Iterator<Item = &str> {
        self.in_hand.iter().filter(move |(of, _)| of == account).map(|(_, trail)| trail.as_str())
    }

    /// Whether every hour of the window's part of a day is one for which the digests of a trail speak, with all of their
    /// files in hand.
    #[must_use]
    pub fn digested(&self, account: &str, region: &str, trail: &str, day: Day) -> bool {
        let hours = self.of_region(account, region).and_then(|seen| seen.by_trail.get(trail));
        hours.is_some_and(|hours| self.hours_of(day).all(|hour| hours.contains(&hour)))
    }

    /// Whether data events of whole files lie in the window's part of a day.
    #[must_use]
    pub fn has_data(&self, account: &str, region: &str, day: Day) -> bool {
        let hours = self.hours_of(day);
        !hours.is_empty() && self.of_region(account, region).is_some_and(|seen| seen.data.range(hours).next().is_some())
    }

    /// Of the whole hours of a span, how many have management events or are proven empty, and whether nothing speaks
    /// against the logs having gone on in the others: none is missing, and the region was as quiet as it often is.
    #[must_use]
    pub fn known_within(&self, account: &str, region: &str, first: i32, end: i32) -> (u64, bool) {
        let Some(seen) = self.of_region(account, region).filter(|_| first < end) else { return (0, false) };
        let Tally { covered, empty, missing, .. } = self.count(Some(seen), first..end);
        (covered + empty, missing == 0 && seen.dark.range(first..end).next().is_none())
    }

    /// The window.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// Accounts with any record in the window.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        let present = |regions: &BTreeMap<String, Seen>| regions.values().any(|seen| seen.present);
        self.seen.iter().filter(move |(_, regions)| present(regions)).map(|(account, _)| account.as_str())
    }

    /// Regions of an account with any record in the window.
    pub fn regions(&self, account: &str) -> impl Iterator<Item = &str> {
        let regions = self.seen.get(account).into_iter().flatten();
        regions.filter(|(_, seen)| seen.present).map(|(region, _)| region.as_str())
    }

    /// Days of the window for which the logs of the account and region do not speak: without a management event and
    /// without digests for all of it; or with an hour that is missing between digests, whose files are not in hand, or
    /// that lies where the region is not known to have been recorded.
    #[must_use]
    pub fn missing_days(&self, account: &str, region: &str) -> Vec<Day> {
        let Some(seen) = self.of_region(account, region) else { return self.window.days().collect() };
        let (from, to) = self.settling;
        let covered = |day: &Day| {
            let hours = self.hours_of(*day);
            if hours.is_empty() {
                return true;
            }
            let Tally { covered, empty, missing, total, settling } = self.tally(account, region, *day);
            let dark = seen.dark.range(hours).any(|hour| !(from..to).contains(hour));
            missing == 0 && !dark && (covered > 0 || covered + empty + settling >= total)
        };
        self.window.days().filter(|day| !covered(day)).collect()
    }

    /// The days of the window with hours that may still be delivered.
    #[must_use]
    pub fn settling_days(&self) -> Vec<Day> {
        let (from, to) = self.settling;
        let settling = |day: &Day| self.hours_of(*day).any(|hour| (from..to).contains(&hour));
        self.window.days().filter(settling).collect()
    }

    /// Days of the window of which nothing can be said that rests on silence: those that are missing, and those whose last
    /// hours may still be delivered.
    #[must_use]
    pub fn blind_days(&self, account: &str, region: &str) -> Vec<Day> {
        let mut days = self.missing_days(account, region);
        days.extend(self.settling_days());
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Hours of the window with a management event of the account and region.
    #[must_use]
    pub fn hours(&self, account: &str, region: &str) -> u64 {
        self.tally_all(account, region).covered
    }

    /// Data events of the account and region in the window.
    #[must_use]
    pub fn data_events(&self, account: &str, region: &str) -> u64 {
        self.of_region(account, region).map_or(0, |seen| seen.data_events)
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
mod tests;
