//! What is in a corpus, counted while it is made.

use std::collections::BTreeMap;

use serde::Serialize;

/// An identity as recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Who {
    #[serde(rename = "type")]
    pub kind: String,
    pub principal_id: String,
    pub arn: String,
    pub account: String,
    pub access_key: String,
    pub invoked_by: String,
}

/// Counts of an identity. Times are seconds since the epoch.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Acts {
    /// Stored records, service events included.
    pub events: u64,
    /// Calls: records that are no service events.
    pub calls: u64,
    pub denied: u64,
    pub first: i64,
    pub last: i64,
}

/// A record as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub category: &'a str,
    pub source: &'a str,
    pub name: &'a str,
    pub time: i64,
    pub call: bool,
    pub denied: bool,
}

/// What a corpus holds. Maps are keyed by texts joined by `|`; stored records alone are counted in them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Truth {
    pub files: u64,
    /// Bytes of JSON and of gzip.
    pub json_bytes: u64,
    pub gzip_bytes: u64,
    /// Records in the files: `stored + duplicates + bad`.
    pub read: u64,
    /// Different records: `events + shared_copies + conflicts`.
    pub stored: u64,
    /// Records as they happened.
    pub events: u64,
    /// Copies of cross-account calls in the logs of the other account (own `eventID`, same `sharedEventID`).
    pub shared_copies: u64,
    /// Records with the id of another in the same account and hour, and other content.
    pub conflicts: u64,
    /// Records delivered again with the same content, and how many of these with keys in another order.
    pub duplicates: u64,
    pub duplicates_reordered: u64,
    /// Records that cannot be read, by what is wrong with them.
    pub bad: u64,
    pub bad_kinds: BTreeMap<&'static str, u64>,
    /// Calls that are no service events, and those that were refused.
    pub calls: u64,
    pub denied: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// `account|region|category`.
    pub by_account_region_category: BTreeMap<String, u64>,
    /// `eventSource|eventName`.
    pub by_source_name: BTreeMap<String, u64>,
    /// `account|region|hour` (hours since the epoch).
    pub by_account_region_hour: BTreeMap<String, u64>,
    #[serde(serialize_with = "rows")]
    pub identities: BTreeMap<Who, Acts>,
}

fn rows<S: serde::Serializer>(map: &BTreeMap<Who, Acts>, out: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        who: &'a Who,
        #[serde(flatten)]
        acts: &'a Acts,
    }
    out.collect_seq(map.iter().map(|(who, acts)| Row { who, acts }))
}

impl Truth {
    /// Counts a stored record.
    pub fn store(&mut self, fact: &Fact<'_>, who: &Who) {
        let Fact { account, region, category, source, name, time, call, denied } = *fact;
        self.stored += 1;
        self.read += 1;
        self.calls += u64::from(call);
        self.denied += u64::from(denied);
        self.first = Some(self.first.map_or(time, |known| known.min(time)));
        self.last = Some(self.last.map_or(time, |known| known.max(time)));
        add(&mut self.by_account_region_category, &format!("{account}|{region}|{category}"), 1);
        add(&mut self.by_source_name, &format!("{source}|{name}"), 1);
        add(&mut self.by_account_region_hour, &format!("{account}|{region}|{}", time.div_euclid(3600)), 1);
        let acts = Acts { events: 1, calls: u64::from(call), denied: u64::from(denied), first: time, last: time };
        self.acts(who, acts);
    }

    fn acts(&mut self, who: &Who, more: Acts) {
        match self.identities.get_mut(who) {
            Some(known) => {
                known.events += more.events;
                known.calls += more.calls;
                known.denied += more.denied;
                known.first = known.first.min(more.first);
                known.last = known.last.max(more.last);
            }
            None => {
                self.identities.insert(who.clone(), more);
            }
        }
    }

    /// Adds what another part of the corpus holds.
    pub fn merge(mut self, other: Self) -> Self {
        self.files += other.files;
        self.json_bytes += other.json_bytes;
        self.gzip_bytes += other.gzip_bytes;
        self.read += other.read;
        self.stored += other.stored;
        self.events += other.events;
        self.shared_copies += other.shared_copies;
        self.conflicts += other.conflicts;
        self.duplicates += other.duplicates;
        self.duplicates_reordered += other.duplicates_reordered;
        self.bad += other.bad;
        self.calls += other.calls;
        self.denied += other.denied;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = [self.last, other.last].into_iter().flatten().max();
        for (kind, count) in other.bad_kinds {
            *self.bad_kinds.entry(kind).or_default() += count;
        }
        for (to, from) in [
            (&mut self.by_account_region_category, other.by_account_region_category),
            (&mut self.by_source_name, other.by_source_name),
            (&mut self.by_account_region_hour, other.by_account_region_hour),
        ] {
            for (key, count) in from {
                add(to, &key, count);
            }
        }
        for (who, acts) in other.identities {
            self.acts(&who, acts);
        }
        self
    }
}

fn add(map: &mut BTreeMap<String, u64>, key: &str, count: u64) {
    match map.get_mut(key) {
        Some(known) => *known += count,
        None => {
            map.insert(key.to_owned(), count);
        }
    }
}
