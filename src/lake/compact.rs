//! Compaction: many small files become few large ones. Events and facts stay what they are; only the files change.
//!
//! Files are merged by DuckDB, which sorts and groups in bounded memory; id packs, which are sorted already, are
//! merged cell by cell.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rusqlite::params;

use super::disk;
use super::error::LakeError;
use super::ids::ENTRY_BYTES;
use super::ingest::FaultPoint;
use super::manifest::{Manifest, Pack, Part, insert_part, signed};
use super::merge;
use super::packs::{self, PACK_BYTES};
use super::parts::part_name;
use super::schema::PartKind;
use super::sql::{Spill, Sql, files};
use super::writer::{Writer, insert_ids};
use crate::model::time::Timestamp;

/// Most files that one merge reads: DuckDB keeps each of them open, and 1024 may be all that the system allows.
pub(crate) const MERGE_FILES: usize = 128;
/// Bytes of a full segment, packed: it is sorted in memory, some eight times as large there. DuckDB does not spill the
/// long texts of events soon enough to sort more within its limit.
const SEGMENT_BYTES: u64 = 24 << 20;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Only where there are more than so many files of one kind and month, or id packs: after an ingest.
    Needed(usize),
    /// All that can be merged: `lake compact`.
    Full,
}

impl Effort {
    fn merges(self, files: usize) -> bool {
        files
            > match self {
                Self::Needed(few) => few.max(1),
                Self::Full => 1,
            }
    }
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The store's generation now.
    pub generation: i64,
    /// A row for each kind of file that the store has: the Parquet kinds, then the id packs.
    pub kinds: Vec<CompactedKind>,
    /// It was asked to stop before the end.
    pub interrupted: bool,
}

/// What a compaction did to one kind of file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactedKind {
    /// As [`PartKind::as_str`] says, or `ids`.
    pub kind: &'static str,
    /// Before and after.
    pub files: [u64; 2],
    /// Rows, or ids, before and after. Rows of facts with one key become one; events and ids stay as many.
    pub rows: [u64; 2],
    /// Bytes before and after.
    pub bytes: [u64; 2],
}

/// Files, rows and bytes of every kind.
fn sizes(manifest: &Manifest) -> Result<BTreeMap<(usize, &'static str), [u64; 3]>, LakeError> {
    let mut sizes: BTreeMap<(usize, &'static str), [u64; 3]> = BTreeMap::new();
    let mut add = |at, kind, rows, bytes| {
        let [files, all_rows, all_bytes] = sizes.entry((at, kind)).or_default();
        *files += 1;
        *all_rows += rows;
        *all_bytes += bytes;
    };
    for part in manifest.parts()? {
        if let Some((at, kind)) = PartKind::ALL.iter().enumerate().find(|(_, kind)| kind.as_str() == part.kind) {
            add(at, kind.as_str(), part.rows, part.bytes);
        }
    }
    for pack in manifest.packs()? {
        add(PartKind::ALL.len(), "ids", pack.bytes / ENTRY_BYTES as u64, pack.bytes);
    }
    Ok(sizes)
}

/// Compares parts with what the manifest says of them.
///
/// # Errors
/// The first that is not what was written.
pub(crate) fn verify(store: &Path, parts: Vec<&Part>) -> Result<(), LakeError> {
    parts.into_par_iter().try_for_each(|part| disk::verify(&store.join(&part.name), part.bytes, &part.hash))
}

/// The parts to be merged, each list into one file. Those of different versions of the fold stay apart, so that a row
/// tells by its file which version made it.
fn groups(parts: Vec<Part>, effort: Effort) -> Vec<(PartKind, String, Vec<Part>)> {
    let mut kinds: BTreeMap<(PartKind, String, u32), Vec<Part>> = BTreeMap::new();
    for part in parts {
        if let Some(kind) = PartKind::ALL.into_iter().find(|kind| kind.as_str() == part.kind) {
            kinds.entry((kind, part.month.clone(), part.fold_version)).or_default().push(part);
        }
    }
    let mut out = Vec::new();
    for ((kind, month, _), mut parts) in kinds {
        if kind == PartKind::Events {
            parts.retain(|part| part.bytes < SEGMENT_BYTES / 2);
        } else if effort != Effort::Full {
            leave_large(&mut parts);
        }
        if !effort.merges(parts.len()) {
            continue;
        }
        // By time, so that segments of a month overlap little.
        parts.sort_by(|a, b| (a.first, &a.name).cmp(&(b.first, &b.name)));
        let mut group: Vec<Part> = Vec::new();
        for part in parts {
            let bytes: u64 = group.iter().map(|part| part.bytes).sum();
            let full = kind == PartKind::Events && bytes + part.bytes > SEGMENT_BYTES;
            if full || group.len() >= MERGE_FILES {
                out.push((kind, month.clone(), std::mem::take(&mut group)));
            }
            group.push(part);
        }
        out.push((kind, month, group));
    }
    out.retain(|(_, _, parts)| parts.len() > 1);
    out
}

/// Leaves out parts that are larger than all smaller ones together: writing them anew for the sake of those would cost
/// more with every run. So there are some few of them, each twice as large as the one before.
fn leave_large(parts: &mut Vec<Part>) {
    parts.sort_by(|a, b| (a.bytes, &a.name).cmp(&(b.bytes, &b.name)));
    let mut sum = 0u64;
    let mut keep = 0;
    for (at, part) in parts.iter().enumerate() {
        if part.bytes <= sum.saturating_mul(2) || at == 0 {
            keep = at + 1;
        }
        sum = sum.saturating_add(part.bytes);
    }
    parts.truncate(keep);
}

impl Writer {
    /// Merges files, and sweeps what they replace.
    ///
    /// # Errors
    /// When a file of the store is not what was written, or the store cannot be read or written. It then stands at its
    /// last complete generation.
    pub fn compact(&mut self, effort: Effort, now: Timestamp) -> Result<Compacted, LakeError> {
        self.compact_until(effort, now, &AtomicBool::new(false))
    }

    /// As [`Writer::compact`], until told to stop: what is merged by then becomes part of the store.
    ///
    /// # Errors
    /// As there.
    pub fn compact_until(&mut self, effort: Effort, now: Timestamp, stop: &AtomicBool) -> Result<Compacted, LakeError> {
        let before = sizes(self.manifest())?;
        // What was too many files for one merge becomes few enough for the next.
        while self.compact_once(effort, now, stop)? {}
        let after = sizes(self.manifest())?;
        let kinds = before.iter().map(|((at, kind), old)| {
            let new = after.get(&(*at, *kind)).copied().unwrap_or_default();
            let [files, rows, bytes] =
                std::array::from_fn(|n| [old, &new].map(|size| size.get(n).copied().unwrap_or(0)));
            CompactedKind { kind, files, rows, bytes }
        });
        let interrupted = stop.load(Ordering::Relaxed);
        Ok(Compacted { generation: self.manifest().generation()?, kinds: kinds.collect(), interrupted })
    }

    /// One generation of merging; whether there may be more to merge.
    fn compact_once(&mut self, effort: Effort, now: Timestamp, stop: &AtomicBool) -> Result<bool, LakeError> {
        let stopped = || stop.load(Ordering::Relaxed);
        if stopped() {
            return Ok(false);
        }
        let mut groups = groups(self.manifest().parts()?, effort);
        let mut packs = self.small_packs(effort)?;
        if groups.is_empty() && packs.is_empty() {
            return Ok(false);
        }
        let generation = self.manifest().generation()? + 1;
        let mut written = Vec::with_capacity(groups.len());
        if !groups.is_empty() {
            let sql = Sql::open(self.store(), Spill::Writer)?;
            for (at, (kind, month, parts)) in groups.iter().enumerate() {
                if stopped() {
                    break;
                }
                written.push(self.merge(&sql, *kind, month, parts, at, generation)?);
            }
        }
        let mut merged = Vec::with_capacity(packs.len());
        for (at, group) in packs.iter().enumerate() {
            if stopped() {
                break;
            }
            merged.push(self.merge_packs(group, None, generation, at)?);
        }
        groups.truncate(written.len());
        packs.truncate(merged.len());
        self.sync_folders()?;
        self.fault(FaultPoint::InCompaction);
        let replaced: Vec<&Part> = groups.iter().flat_map(|(_, _, parts)| parts).collect();
        self.publish(generation, now, 0, |tx| {
            for part in &replaced {
                tx.execute("DELETE FROM parts WHERE name = ?1", [&part.name])?;
            }
            for pack in packs.iter().flatten() {
                tx.execute("DELETE FROM id_runs WHERE pack = ?1", [&pack.name])?;
                tx.execute("DELETE FROM packs WHERE name = ?1", [&pack.name])?;
            }
            merged.iter().try_for_each(|one| insert_ids(tx, one.pack.as_ref(), &one.runs, generation))?;
            written.iter().try_for_each(|part| insert_part(tx, part))
        })?;
        self.sweep()?;
        Ok(groups.iter().any(|(kind, _, parts)| *kind != PartKind::Events && parts.len() >= MERGE_FILES))
    }

    fn merge(
        &self,
        sql: &Sql,
        kind: PartKind,
        month: &str,
        parts: &[Part],
        at: usize,
        generation: i64,
    ) -> Result<Part, LakeError> {
        // What is damaged must not be written anew as if it were whole.
        verify(self.store(), parts.iter().collect())?;
        let name = part_name(kind, month, at, generation);
        let path = self.store().join(&name);
        let from = files(self.store(), parts.iter().map(|part| part.name.as_str()))?;
        let rows = merge::copy(sql, kind, &from, &path)?;
        let (hash, bytes) = disk::hash_file(&path)?;
        Ok(Part {
            kind: kind.as_str().to_owned(),
            month: month.to_owned(),
            name,
            rows,
            bytes,
            hash,
            first: parts.iter().map(|part| part.first).min().unwrap_or(0),
            last: parts.iter().map(|part| part.last).max().unwrap_or(0),
            fold_version: parts.iter().map(|part| part.fold_version).min().unwrap_or(0),
            generation,
        })
    }

    /// Packs that are worth merging, in the order of their names, each group into one.
    fn small_packs(&self, effort: Effort) -> Result<Vec<Vec<Pack>>, LakeError> {
        let mut packs = self.manifest().packs()?;
        packs.retain(|pack| pack.bytes < PACK_BYTES / 2);
        if !effort.merges(packs.len()) {
            return Ok(Vec::new());
        }
        let mut groups = packs::groups(packs, usize::MAX);
        groups.retain(|group| group.len() > 1);
        Ok(groups)
    }

    /// Whether files of a kind and month, or id packs, are more than so many, apart from those that are full.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub(crate) fn is_crowded(&self, few: usize) -> Result<bool, LakeError> {
        let manifest = self.manifest();
        let most: i64 = manifest
            .connection
            .query_row(
                "SELECT max((SELECT count(*) FROM packs WHERE bytes < ?2), coalesce(max(n), 0)) FROM (
                     SELECT count(*) AS n FROM parts WHERE kind <> ?3 OR bytes < ?1 GROUP BY kind, month)",
                params![signed(SEGMENT_BYTES / 2), signed(PACK_BYTES / 2), PartKind::Events.as_str()],
                |row| row.get(0),
            )
            .map_err(manifest.fail())?;
        Ok(u64::try_from(most).unwrap_or(0) > few.max(1) as u64)
    }
}
