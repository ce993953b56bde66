//! Pruning: events before a day go, with everything that speaks of them. What is left is what a store would hold into
//! which only the rest was ever ingested, but for what tells that it was: the log files that were read, so that they are
//! not read again, and the calls that changed trails, which are the history of what was recorded.
//!
//! Spans of digests that begin before the day go, too: they would say of hours whose events are gone that nothing
//! happened in them.

mod plan;
mod refold;

use std::path::Path;

use rusqlite::params;

use super::compact::{MERGE_FILES, verify};
use super::disk;
use super::error::LakeError;
use super::ingest::FaultPoint;
use super::manifest::{Manifest, OLD_ARCHIVE, OLD_QUARANTINE, Pack, Part, insert_part, signed};
use super::merge;
use super::packs;
use super::parts::part_name;
use super::reader::Reader;
use super::schema::PartKind;
use super::sql::{Spill, Sql, files};
use super::writer::{Writer, insert_ids};
use crate::model::time::Timestamp;
use plan::{Plan, instant};

pub use plan::{PruneRow, PrunedWhat};

/// What a prune did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Everything before this time goes.
    pub before: Timestamp,
    /// The store's generation now.
    pub generation: i64,
    /// What goes, by month; empty where nothing does.
    pub rows: Vec<PruneRow>,
    /// What the store no longer names is still on the disk, because somebody reads: the next writer that finds no
    /// reader removes it.
    pub held: bool,
}

impl Reader {
    /// What [`Writer::prune`] would do.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn prune_plan(&self, before: Timestamp) -> Result<Pruned, LakeError> {
        let before = before.day().start();
        let sql = Sql::open(self.store(), Spill::Reader)?;
        let plan = self
            .with_manifest(|connection, path, parts| Plan::of(connection, path, self.store(), parts, &sql, before))?;
        Ok(Pruned { before, generation: self.generation().number, rows: plan.rows, held: false })
    }
}

impl Writer {
    /// Removes the events of all days before the one of `before`, and everything that speaks of them, as one
    /// generation. Events of these days that come in again, from whatever file, are left out.
    ///
    /// # Errors
    /// When a file that is to be cut is not what was written, or the store cannot be read or written. It then stands at
    /// its last complete generation.
    pub fn prune(&mut self, before: Timestamp, now: Timestamp) -> Result<Pruned, LakeError> {
        let before = before.day().start();
        let parts = self.manifest().parts()?;
        let sql = Sql::open(self.store(), Spill::Writer)?;
        let manifest = self.manifest();
        let plan = Plan::of(&manifest.connection, &manifest.path, self.store(), &parts, &sql, before)?;
        let last = manifest.generation()?;
        if plan.rows.is_empty() {
            let held = self.forget()?;
            return Ok(Pruned { before, generation: last, rows: plan.rows, held });
        }
        let generation = last + 1;
        let written = self.cut(&sql, &plan, &parts, generation)?;
        drop(sql);
        let packs = old_packs(manifest, before)?;
        let mut ids = Vec::new();
        for (at, group) in packs::groups(packs.clone(), usize::MAX).iter().enumerate() {
            ids.push(self.merge_packs(group, Some(before.hour()), generation, at)?);
        }
        self.sync_folders()?;
        self.fault(FaultPoint::InPrune);
        let pruned = self.manifest().pruned_before()?.map_or(before, |earlier| earlier.max(before));
        self.publish(generation, now, -signed(plan.events), |tx| {
            for part in plan.gone.iter().chain(plan.cut.values().flatten()) {
                tx.execute("DELETE FROM parts WHERE name = ?1", [&part.name])?;
            }
            for pack in &packs {
                tx.execute("DELETE FROM id_runs WHERE pack = ?1", [&pack.name])?;
                tx.execute("DELETE FROM packs WHERE name = ?1", [&pack.name])?;
            }
            ids.iter().try_for_each(|one| insert_ids(tx, one.pack.as_ref(), &one.runs, generation))?;
            let micros = params![before.micros()];
            tx.execute(&format!("DELETE FROM quarantine WHERE {OLD_QUARANTINE}"), micros)?;
            tx.execute(&format!("DELETE FROM archive WHERE {OLD_ARCHIVE}"), micros)?;
            tx.execute("DELETE FROM digests WHERE first < ?1", micros)?;
            tx.execute("INSERT OR REPLACE INTO kv VALUES ('pruned_before', ?1)", params![pruned.micros().to_string()])?;
            written.iter().try_for_each(|part| insert_part(tx, part))
        })?;
        self.fault(FaultPoint::AfterManifest);
        let held = self.forget()?;
        Ok(Pruned { before, generation, rows: plan.rows, held })
    }

    /// Removes what no generation names any more from the disk: files, and what the manifest's log still holds. True
    /// where readers keep some of it.
    fn forget(&self) -> Result<bool, LakeError> {
        let files = self.sweep()?;
        Ok(!self.manifest().forget_deleted()? || files > 0)
    }

    /// Writes what is left of the parts that lie on both sides.
    fn cut(&self, sql: &Sql, plan: &Plan, parts: &[Part], generation: i64) -> Result<Vec<Part>, LakeError> {
        // What is damaged must not be written anew as if it were whole.
        let cut: Vec<&Part> = plan.cut.values().flatten().collect();
        verify(self.store(), cut.clone())?;
        let mut cutter = Cutter { store: self.store(), sql, plan, generation, written: Vec::new(), number: 0 };
        let of = |kind| plan.cut.get(&kind).map(Vec::as_slice).unwrap_or_default();
        for part in of(PartKind::Events) {
            cutter.events(part)?;
        }
        // The segments of the cut month, as they will be.
        let months: std::collections::BTreeSet<&str> = cut.iter().map(|part| part.month.as_str()).collect();
        let kept = parts.iter().filter(|part| {
            part.kind == PartKind::Events.as_str()
                && months.contains(part.month.as_str())
                && part.first >= plan.before.micros()
        });
        let kept: Vec<&Part> = kept.collect();
        verify(self.store(), kept.clone())?;
        let left: Vec<Part> = kept.into_iter().chain(&cutter.written).cloned().collect();
        for (kind, is_left) in [
            (PartKind::Usage, format!("day >= strftime({}, '%Y-%m-%d')", instant(plan.before))),
            (PartKind::Coverage, format!("hour >= {}", instant(plan.before))),
            (PartKind::Issued, format!("time >= {}", instant(plan.before))),
        ] {
            cutter.filter(kind, of(kind), &is_left)?;
        }
        cutter.sessions(of(PartKind::Sessions), &left)?;
        if !of(PartKind::Shapes).is_empty() {
            let sessions: Vec<&Part> = parts
                .iter()
                .filter(|part| part.kind == PartKind::Sessions.as_str() && months.contains(part.month.as_str()))
                .collect();
            cutter.shapes(&left, &sessions)?;
        }
        Ok(cutter.written)
    }
}

/// The packs that hold an entry of an hour before the day.
fn old_packs(manifest: &Manifest, before: Timestamp) -> Result<Vec<Pack>, LakeError> {
    let read = || {
        let mut statement = manifest.connection.prepare("SELECT DISTINCT pack FROM id_runs WHERE hour < ?1")?;
        let rows = statement.query_map([before.hour()], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<std::collections::BTreeSet<String>>>()
    };
    let old = read().map_err(manifest.fail())?;
    let mut packs = manifest.packs()?;
    packs.retain(|pack| old.contains(&pack.name));
    Ok(packs)
}

/// Writes the parts of a prune.
struct Cutter<'s> {
    store: &'s Path,
    sql: &'s Sql,
    plan: &'s Plan,
    generation: i64,
    written: Vec<Part>,
    number: usize,
}

impl Cutter<'_> {
    fn name(&mut self, kind: PartKind, month: &str) -> String {
        self.number += 1;
        part_name(kind, month, self.number, self.generation)
    }

    /// What is left of a segment.
    fn events(&mut self, part: &Part) -> Result<(), LakeError> {
        let from = files(self.store, std::iter::once(part.name.as_str()))?;
        let left = format!("(SELECT * FROM {from} WHERE time >= {})", instant(self.plan.before));
        let gone = plan::earlier(self.store, self.sql, part, self.plan.before)?;
        let rows = self.copy(PartKind::Events, &part.month, &left, std::slice::from_ref(part))?;
        if rows + gone != part.rows {
            let reason = format!("{rows} events are left of it and {gone} go, the manifest says {}", part.rows);
            return Err(LakeError::Damaged { path: self.store.join(&part.name), reason });
        }
        Ok(())
    }

    /// What is left of the facts of a kind that tell when they were.
    fn filter(&mut self, kind: PartKind, parts: &[Part], is_left: &str) -> Result<(), LakeError> {
        for (month, group) in groups(parts) {
            let from = files(self.store, group.iter().map(|part| part.name.as_str()))?;
            self.copy(kind, &month, &format!("(SELECT * FROM {from} WHERE {is_left})"), &group)?;
        }
        Ok(())
    }

    /// The sessions of the events that are left.
    fn sessions(&mut self, parts: &[Part], events: &[Part]) -> Result<(), LakeError> {
        if parts.is_empty() {
            return Ok(());
        }
        self.sql.run("CREATE OR REPLACE TEMP TABLE left_sessions (session UBIGINT)", self.store)?;
        for group in events.chunks(MERGE_FILES) {
            let from = files(self.store, group.iter().map(|part| part.name.as_str()))?;
            let insert =
                format!("INSERT INTO left_sessions SELECT DISTINCT session FROM {from} WHERE category <> 'insight'");
            self.sql.run(&insert, self.store)?;
        }
        self.filter(PartKind::Sessions, parts, "session IN (SELECT session FROM left_sessions)")
    }

    /// Writes the rows of a query as a part; how many there are. None makes no part.
    fn copy(&mut self, kind: PartKind, month: &str, from: &str, of: &[Part]) -> Result<u64, LakeError> {
        let name = self.name(kind, month);
        let path = self.store.join(&name);
        let rows = merge::copy(self.sql, kind, from, &path)?;
        if rows == 0 {
            std::fs::remove_file(&path).map_err(|e| LakeError::io("remove", &path, e))?;
            return Ok(0);
        }
        let (first, last) = self.span(kind, &name, of)?;
        let (hash, bytes) = disk::hash_file(&path)?;
        self.written.push(Part {
            kind: kind.as_str().to_owned(),
            month: month.to_owned(),
            name,
            rows,
            bytes,
            hash,
            first,
            last,
            fold_version: of.iter().map(|part| part.fold_version).min().unwrap_or(0),
            generation: self.generation,
        });
        Ok(rows)
    }

    /// The first and last time of which a new part speaks: exact for events, for others within those of which its
    /// sources spoke.
    fn span(&self, kind: PartKind, name: &str, of: &[Part]) -> Result<(i64, i64), LakeError> {
        if kind == PartKind::Events {
            let from = files(self.store, std::iter::once(name))?;
            let query = format!("SELECT epoch_us(min(time)), epoch_us(max(time)) FROM {from}");
            let [first, last] = self.sql.integers(&query, &self.store.join(name))?;
            return Ok((first, last));
        }
        let first = of.iter().map(|part| part.first).min().unwrap_or(0);
        let last = of.iter().map(|part| part.last).max().unwrap_or(0);
        Ok((first.max(self.plan.before.micros()), last))
    }
}

/// Parts by month, so many at a time.
fn groups(parts: &[Part]) -> Vec<(String, Vec<Part>)> {
    let mut months: std::collections::BTreeMap<&str, Vec<Part>> = std::collections::BTreeMap::new();
    for part in parts {
        months.entry(&part.month).or_default().push(part.clone());
    }
    let chunks = |(month, parts): (&str, Vec<Part>)| {
        parts.chunks(MERGE_FILES).map(|group| (month.to_owned(), group.to_vec())).collect::<Vec<_>>()
    };
    months.into_iter().flat_map(chunks).collect()
}
