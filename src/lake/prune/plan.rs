//! What a prune would take away.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::lake::error::LakeError;
use crate::lake::ids::ENTRY_BYTES;
use crate::lake::manifest::{OLD_ARCHIVE, OLD_QUARANTINE, Part, count};
use crate::lake::parts::month;
use crate::lake::schema::PartKind;
use crate::lake::sql::{Sql, files};
use crate::model::time::{MICROS_PER_HOUR, Timestamp};

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrunedWhat {
    /// Events.
    Events,
    /// What was folded from them: usage, shapes, sessions, credentials, coverage.
    Facts,
    /// The ids by which their copies are known.
    Ids,
    /// What was set aside of log files all of whose events go.
    Quarantine,
    /// Original files all of whose events go.
    Archive,
    /// Spans for which digests speak.
    Digests,
}

impl PrunedWhat {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Facts => "facts",
            Self::Ids => "ids",
            Self::Quarantine => "quarantine",
            Self::Archive => "archive",
            Self::Digests => "digests",
        }
    }
}

/// One kind of thing that goes, of one month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneRow {
    /// What.
    pub what: PrunedWhat,
    /// Of which month, such as `2023-07`; empty where no month is known.
    pub month: String,
    /// How many events, ids, stretches, originals or spans; none for facts, which are folded anew in part.
    pub entries: Option<u64>,
    /// Files of the store that go or are written anew.
    pub files: u64,
    /// Bytes of these files, or of what goes within the manifest.
    pub bytes: u64,
}

/// What a prune does.
#[derive(Debug)]
pub(super) struct Plan {
    pub before: Timestamp,
    /// Parts that go as a whole.
    pub gone: Vec<Part>,
    /// Parts that lie on both sides, and those that are written anew with them.
    pub cut: BTreeMap<PartKind, Vec<Part>>,
    /// Events that go.
    pub events: u64,
    pub rows: Vec<PruneRow>,
}

/// A SQL instant.
pub(super) fn instant(time: Timestamp) -> String {
    format!("make_timestamp({})", time.micros())
}

impl Plan {
    pub(super) fn of(
        connection: &Connection,
        path: &Path,
        store: &Path,
        parts: &[Part],
        sql: &Sql,
        before: Timestamp,
    ) -> Result<Self, LakeError> {
        let mut plan = Self { before, gone: Vec::new(), cut: BTreeMap::new(), events: 0, rows: Vec::new() };
        plan.choose(parts);
        plan.count_parts(store, sql)?;
        plan.count_manifest(connection).map_err(|e| LakeError::manifest(path, e))?;
        plan.rows.sort_by(|a, b| (&a.month, a.what).cmp(&(&b.month, b.what)));
        Ok(plan)
    }

    /// Which parts go, and which are cut. Calls that changed trails stay: they tell what was recorded later, too.
    fn choose(&mut self, parts: &[Part]) {
        let before = self.before.micros();
        for kind in PartKind::ALL.into_iter().filter(|kind| *kind != PartKind::TrailCalls) {
            let (gone, rest): (Vec<&Part>, Vec<&Part>) =
                parts.iter().filter(|part| part.kind == kind.as_str()).partition(|part| part.last < before);
            self.gone.extend(gone.into_iter().cloned());
            let months: Vec<&str> =
                rest.iter().filter(|part| part.first < before).map(|part| part.month.as_str()).collect();
            // Distinct calls and sessions do not tell when: those of the month are made anew from its events.
            let whole = matches!(kind, PartKind::Shapes | PartKind::Sessions);
            let cut: Vec<Part> = rest
                .into_iter()
                .filter(|part| part.first < before || (whole && months.contains(&part.month.as_str())))
                .cloned()
                .collect();
            if !cut.is_empty() {
                self.cut.insert(kind, cut);
            }
        }
    }

    fn count_parts(&mut self, store: &Path, sql: &Sql) -> Result<(), LakeError> {
        let mut rows: BTreeMap<(String, PrunedWhat), PruneRow> = BTreeMap::new();
        let events = PartKind::Events.as_str();
        for (part, whole) in
            self.gone.iter().map(|part| (part, true)).chain(self.cut.values().flatten().map(|part| (part, false)))
        {
            let what = if part.kind == events { PrunedWhat::Events } else { PrunedWhat::Facts };
            let row = rows.entry((part.month.clone(), what)).or_insert_with(|| PruneRow {
                what,
                month: part.month.clone(),
                entries: (what == PrunedWhat::Events).then_some(0),
                files: 0,
                bytes: 0,
            });
            row.files += 1;
            row.bytes += part.bytes;
            if what == PrunedWhat::Events {
                let count = if whole { part.rows } else { earlier(store, sql, part, self.before)? };
                self.events += count;
                row.entries = row.entries.map(|sum| sum + count);
            }
        }
        self.rows.extend(rows.into_values());
        Ok(())
    }

    fn count_manifest(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut put = |what, month: String, entries: u64, files: u64, bytes: u64| {
            if entries > 0 {
                self.rows.push(PruneRow { what, month, entries: Some(entries), files, bytes });
            }
        };
        let mut ids: BTreeMap<String, u64> = BTreeMap::new();
        let mut by_hour = connection.prepare("SELECT hour, sum(count) FROM id_runs WHERE hour < ?1 GROUP BY hour")?;
        let mut hours = by_hour.query([self.before.hour()])?;
        while let Some(row) = hours.next()? {
            let hour: i32 = row.get(0)?;
            let day = Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR).day();
            *ids.entry(month(day)).or_default() += count(row, 1)?;
        }
        for (month, entries) in ids {
            put(PrunedWhat::Ids, month, entries, 0, entries.saturating_mul(ENTRY_BYTES as u64));
        }
        let before = self.before.micros();
        let one = |sql: &str| {
            connection.query_row(sql, params![before], |row| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?)))
        };
        let (entries, files, bytes) =
            one(&format!("SELECT count(*), 0, coalesce(sum(length(raw)), 0) FROM quarantine WHERE {OLD_QUARANTINE}"))?;
        put(PrunedWhat::Quarantine, String::new(), entries, files, bytes);
        let (entries, _, _) = one(&format!("SELECT count(*), 0, 0 FROM archive WHERE {OLD_ARCHIVE}"))?;
        let (files, bytes, _) = one(&format!(
            "SELECT count(*), coalesce(sum(bytes), 0), 0 FROM (
                 SELECT name, max(bytes) AS bytes FROM archive GROUP BY name
                 HAVING count(*) = coalesce(sum({OLD_ARCHIVE}), 0))"
        ))?;
        put(PrunedWhat::Archive, String::new(), entries, files, bytes);
        let (entries, files, bytes) = one("SELECT count(*), 0, 0 FROM digests WHERE first < ?1")?;
        put(PrunedWhat::Digests, String::new(), entries, files, bytes);
        Ok(())
    }
}

/// Events of a segment that lie before a time.
pub(super) fn earlier(store: &Path, sql: &Sql, part: &Part, before: Timestamp) -> Result<u64, LakeError> {
    let from = files(store, std::iter::once(part.name.as_str()))?;
    let query = format!("SELECT count(*) FROM {from} WHERE time < {}", instant(before));
    let [count] = sql.integers(&query, &store.join(&part.name))?;
    Ok(u64::try_from(count).unwrap_or(0))
}
