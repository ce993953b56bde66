//! Kinds of management events that a trail can leave out, and which of them the logs of an account hold.
//!
//! Where nobody told what the trails record, what is not there may have been left out: logs without a single read may be
//! those of a trail of write events.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{AccessLevel, Action};
use crate::model::event::EventCategory;
use crate::model::time::SLOTS_PER_DAY;

use super::block::UsageCell;
use super::fold::{CoverageFact, CoverageKey};

/// Services of which `readOnly` follows neither IAM's access level nor the verb: `AssumeRole`, `Decrypt`, `Encrypt` and
/// `GenerateDataKey` were seen as reads and `GetFederationToken` as a write in real logs (invictus, Panther's samples).
const READ_OR_WRITE: [&str; 2] = ["sts", "kms"];
/// Verbs of operations that are recorded as read-only where IAM takes them for reads. CloudTrail documents no rule, but
/// of 379 operations in the same logs none of these verbs was recorded otherwise, outside those services.
const READING: [&str; 7] = ["BatchDescribe", "BatchGet", "Describe", "Get", "Head", "List", "Lookup"];
/// Verbs that may be of reads whatever IAM says: with them a write is not surely recorded as one.
const MAYBE_READING: [&str; 32] = [
    "Assume", "Batch", "Check", "Compare", "Count", "Decode", "Decrypt", "Detect", "Discover", "Download", "Encrypt",
    "Estimate", "Evaluate", "Export", "Filter", "Generate", "Has", "Is", "Preview", "Query", "Read", "Receive",
    "Resolve", "Retrieve", "Scan", "Search", "Select", "Sign", "Simulate", "Test", "Validate", "View",
];

/// Whether a call is recorded as read-only: none where IAM's access level (`reads`) and the operation's name do not
/// agree, which is what trails of read or write events alone are asked about.
#[must_use]
pub fn read_only(prefix: &str, name: &str, reads: bool) -> Option<bool> {
    let verb = |verbs: &[&str]| verbs.iter().any(|verb| name.starts_with(verb));
    let agrees = if reads { verb(&READING) } else { !verb(&READING) && !verb(&MAYBE_READING) };
    (agrees && !READ_OR_WRITE.contains(&prefix)).then_some(reads)
}

/// Hours in which some records came from exports that nobody declared complete. What a query left out of them is not known,
/// so such a record tells nothing of what the trails recorded.
#[derive(Clone, Debug, Default)]
pub struct Exported(BTreeMap<(String, String), BTreeSet<(i32, EventCategory)>>);

impl Exported {
    /// Reads the cells of a lake.
    #[must_use]
    pub fn of(cells: &BTreeMap<CoverageKey, CoverageFact>) -> Self {
        let mut hours: BTreeMap<(String, String), BTreeSet<(i32, EventCategory)>> = BTreeMap::new();
        for (key, _) in cells.iter().filter(|(_, fact)| fact.whole < fact.count) {
            let place = (key.account.clone(), key.region.clone());
            hours.entry(place).or_default().insert((key.hour, key.category));
        }
        Self(hours)
    }

    /// Whether all calls of a row may have come from such exports.
    pub(super) fn holds(&self, cell: &UsageCell, category: EventCategory, account: &str, region: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(hours) = self.0.get(&(account.to_owned(), region.to_owned())) else { return false };
        let midnight = i64::from(cell.day.0) * 24;
        let of_slot = |slot: u16| midnight + i64::from(slot) * 24 / SLOTS_PER_DAY as i64;
        let mut slots = cell.fact.slots.iter().map(of_slot);
        slots.all(|hour| i32::try_from(hour).is_ok_and(|hour| hours.contains(&(hour, category))))
    }
}

/// A set of kinds of management events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kinds(u8);

impl Kinds {
    /// Events recorded as read-only.
    pub const READS: Self = Self(1);
    /// All others.
    pub const WRITES: Self = Self(2);
    /// Events of KMS. Source: `ExcludeManagementEventSources` of "EventSelector", AWS CloudTrail API Reference.
    pub const KMS: Self = Self(4);
    /// Every kind. Those of the RDS Data API can be left out, too; its actions are taken to be recorded as data events.
    pub const EACH: [Self; 3] = [Self::READS, Self::WRITES, Self::KMS];

    /// The kinds that a recorded call shows; `named` is the action that it is named for.
    #[must_use]
    pub fn of_call(source: &str, name: &str, category: EventCategory, named: Option<Action<'_>>) -> Self {
        if category != EventCategory::Management {
            return Self::default();
        }
        let reads = |action: &Action<'_>| matches!(action.access(), AccessLevel::List | AccessLevel::Read);
        let read = named.and_then(|action| read_only(action.prefix(), name, reads(&action)));
        let of_read = read.map_or(Self::default(), |read| if read { Self::READS } else { Self::WRITES });
        of_read.with(Self::of_source(source))
    }

    /// The kind of a source whose events a trail can leave out by its name.
    #[must_use]
    pub fn of_source(source: &str) -> Self {
        match source.split('.').next() {
            Some("kms") => Self::KMS,
            _ => Self::default(),
        }
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the other set is in this one.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a single kind is called in sentences.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::READS => "read events",
            Self::WRITES => "write events",
            _ => "events of KMS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn kinds_of_calls() {
        let catalog = Catalog::get();
        for (source, name, action, want) in [
            ("ec2.amazonaws.com", "DescribeInstances", "ec2:DescribeInstances", Kinds::READS),
            ("ec2.amazonaws.com", "RunInstances", "ec2:RunInstances", Kinds::WRITES),
            ("kms.amazonaws.com", "Decrypt", "kms:Decrypt", Kinds::KMS),
            ("kms.amazonaws.com", "CreateKey", "kms:CreateKey", Kinds::KMS),
            ("sts.amazonaws.com", "AssumeRole", "sts:AssumeRole", Kinds::default()),
            ("signin.amazonaws.com", "ConsoleLogin", "", Kinds::default()),
        ] {
            let named = catalog.find(action).and_then(|id| catalog.action(id));
            let of = |category| Kinds::of_call(source, name, category, named);
            assert_eq!(of(EventCategory::Management), want, "{name}");
            assert!(of(EventCategory::Data).is_empty(), "{name}");
        }
        let both = Kinds::READS.with(Kinds::KMS);
        assert!(both.has(Kinds::READS) && both.has(Kinds::KMS) && !both.has(Kinds::WRITES));
    }
}
