//! Compaction: many small files become few large ones. Events and facts stay what they are; only the files change.
//!
//! Files are merged by DuckDB, which sorts and groups in bounded memory; id packs, which are sorted already, are
//! merged cell by cell.

use std::collections::{BTreeMap, VecDeque};
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
const SEGMENT_BYTES: u64 = 16 << 20;
/// Bytes and rows of a full file of facts. DuckDB does not spill what `arg_min` keeps of a group: within 384 MB, 42 MB of
/// shapes were seen to be too much and 28 MB to be enough.
const FACTS_BYTES: u64 = 8 << 20;
const FACTS_ROWS: u64 = 1 << 19;

/// Bytes and rows that one file of a kind should hold at most. A key of facts may stand in several files anyway.
fn full(kind: PartKind) -> (u64, u64) {
    match kind {
        PartKind::Events => (SEGMENT_BYTES, u64::MAX),
        _ => (FACTS_BYTES, FACTS_ROWS),
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Only where there are more than so many files of one kind and month, or id packs: after an ingest.
    Needed(usize),
    /// All that can be merged: `lake compact`.
    Full,
}

impl Effort {
    /// Files of a full one's size divided by this are left as they are. To sort events costs more than to ingest them: what
    /// a run with much to read makes is large enough; the small ones of every night are not.
    const fn share(self) -> u64 {
        match self {
            Self::Needed(_) => 8,
            Self::Full => 2,
        }
    }

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

/// Parts of a kind and month to be merged into one.
type Group = (PartKind, String, Vec<Part>);

/// The parts to be merged, each list into one file. Those of different versions of the fold stay apart, so that a row
/// tells by its file which version made it.
fn groups(parts: Vec<Part>, effort: Effort) -> Vec<Group> {
    let mut kinds: BTreeMap<(PartKind, String, u32), Vec<Part>> = BTreeMap::new();
    for part in parts {
        if let Some(kind) = PartKind::ALL.into_iter().find(|kind| kind.as_str() == part.kind) {
            kinds.entry((kind, part.month.clone(), part.fold_version)).or_default().push(part);
        }
    }
    let mut out = Vec::new();
    for ((kind, month, _), mut parts) in kinds {
        let (most_bytes, most_rows) = full(kind);
        parts.retain(|part| part.bytes < most_bytes / effort.share() && part.rows < most_rows / effort.share());
        if kind != PartKind::Events && effort != Effort::Full {
            leave_large(&mut parts);
        }
        if !effort.merges(parts.len()) {
            continue;
        }
        // By time, so that segments of a month overlap little.
        parts.sort_by(|a, b| (a.first, &a.name).cmp(&(b.first, &b.name)));
        let mut group: Vec<Part> = Vec::new();
        for part in parts {
            let sum = |of: fn(&Part) -> u64| group.iter().map(of).fold(of(&part), u64::saturating_add);
            let full = sum(|part| part.bytes) > most_bytes || sum(|part| part.rows) > most_rows;
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
        let groups = groups(self.manifest().parts()?, effort);
        let mut packs = self.small_packs(effort)?;
        if groups.is_empty() && packs.is_empty() {
            return Ok(false);
        }
        let generation = self.manifest().generation()? + 1;
        let done = match groups.is_empty() {
            true => Vec::new(),
            false => self.merge_all(&Sql::open(self.store(), Spill::Writer)?, groups, generation, stop)?,
        };
        let mut merged = Vec::with_capacity(packs.len());
        for (at, group) in packs.iter().enumerate() {
            if stopped() {
                break;
            }
            merged.push(self.merge_packs(group, None, generation, at)?);
        }
        packs.truncate(merged.len());
        if done.is_empty() && merged.is_empty() {
            return Ok(false);
        }
        self.sync_folders()?;
        self.fault(FaultPoint::InCompaction);
        let replaced = || done.iter().flat_map(|(_, parts)| parts);
        self.publish(generation, now, 0, |tx| {
            for part in replaced() {
                tx.execute("DELETE FROM parts WHERE name = ?1", [&part.name])?;
            }
            for pack in packs.iter().flatten() {
                tx.execute("DELETE FROM id_runs WHERE pack = ?1", [&pack.name])?;
                tx.execute("DELETE FROM packs WHERE name = ?1", [&pack.name])?;
            }
            merged.iter().try_for_each(|one| insert_ids(tx, one.pack.as_ref(), &one.runs, generation))?;
            done.iter().try_for_each(|(part, _)| insert_part(tx, part))
        })?;
        self.sweep()?;
        let events = PartKind::Events.as_str();
        Ok(done.iter().any(|(part, of)| part.kind != events && of.len() >= MERGE_FILES))
    }

    /// Merges each group of parts into one; what was made, and of what. Parts that take more memory than there is are
    /// merged in smaller groups, or stay as they are: to have fewer files is worth no failure.
    fn merge_all(
        &self,
        sql: &Sql,
        groups: Vec<Group>,
        generation: i64,
        stop: &AtomicBool,
    ) -> Result<Vec<(Part, Vec<Part>)>, LakeError> {
        let mut done = Vec::with_capacity(groups.len());
        let mut waiting: VecDeque<Group> = groups.into();
        while let Some((kind, month, mut parts)) = waiting.pop_front() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            match self.merge(sql, kind, &month, &parts, done.len(), generation) {
                Ok(part) => done.push((part, parts)),
                Err(LakeError::Memory { reason, .. }) => {
                    tracing::warn!("{} files of {kind} {month} were not merged at once: {reason}", parts.len());
                    let rest = parts.split_off(parts.len() / 2);
                    let halves = [parts, rest].into_iter().filter(|half| half.len() > 1);
                    waiting.extend(halves.map(|half| (kind, month.clone(), half)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
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
        let share = Effort::Needed(few).share();
        let most: i64 = manifest
            .connection
            .query_row(
                "SELECT max((SELECT count(*) FROM packs WHERE bytes < ?2), coalesce(max(n), 0)) FROM (
                     SELECT count(*) AS n FROM parts
                     WHERE bytes < CASE kind WHEN ?3 THEN ?1 ELSE ?4 END AND (kind = ?3 OR rows < ?5)
                     GROUP BY kind, month)",
                params![
                    signed(SEGMENT_BYTES / share),
                    signed(PACK_BYTES / 2),
                    PartKind::Events.as_str(),
                    signed(FACTS_BYTES / share),
                    signed(FACTS_ROWS / share)
                ],
                |row| row.get(0),
            )
            .map_err(manifest.fail())?;
        Ok(u64::try_from(most).unwrap_or(0) > few.max(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{IngestOptions, Quiet, Reader, ingest_cloudtrail};

    fn part(kind: PartKind, first: i64, bytes: u64, rows: u64) -> Part {
        Part {
            kind: kind.as_str().to_owned(),
            month: "2025-03".to_owned(),
            name: format!("{first:04}"),
            rows,
            bytes,
            hash: String::new(),
            first,
            last: first,
            fold_version: 1,
            generation: 1,
        }
    }

    #[test]
    fn groups_are_what_memory_can_hold() {
        let sizes = |kind, effort, parts: &[(u64, u64)]| {
            let parts = parts.iter().enumerate().map(|(at, (bytes, rows))| part(kind, at as i64, *bytes, *rows));
            groups(parts.collect(), effort).iter().map(|(_, _, parts)| parts.len()).collect::<Vec<_>>()
        };
        let (needed, full) = (Effort::Needed(4), Effort::Full);
        for (kind, effort, parts, want) in [
            (PartKind::Events, needed, [(1 << 20, 1); 20].as_slice(), vec![16, 4]),
            // Large enough for what one run needs, not for a compaction.
            (PartKind::Events, needed, &[(2 << 20, 1); 12], vec![]),
            (PartKind::Events, full, &[(4 << 20, 1); 12], vec![4, 4, 4]),
            (PartKind::Events, full, &[(8 << 20, 1); 12], vec![]),
            (PartKind::Shapes, needed, &[(1 << 19, 1); 20], vec![16, 4]),
            (PartKind::Usage, needed, &[(1, 60_000); 12], vec![8, 4]),
            (PartKind::Usage, full, &[(1, 1 << 18); 12], vec![]),
            (PartKind::Sessions, needed, &[(1, 1); 300], vec![128, 128, 44]),
            (PartKind::Sessions, needed, &[(1, 1); 4], vec![]),
        ] {
            assert_eq!(sizes(kind, effort, parts), want, "{kind} {effort:?} {parts:?}");
        }
    }

    #[test]
    fn what_memory_cannot_hold_stays_in_several_files() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, store) = (folder.path().join("logs"), folder.path().join("store"));
        std::fs::create_dir(&logs).unwrap();
        for file in 0..6 {
            let record = |n: u32| {
                format!(
                    r#"{{"eventTime":"2025-03-01T{file:02}:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"r","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::1:user/{n}"}},"resources":[{{"ARN":"arn:aws:s3:::b/{file}/{n}"}}],"eventID":"{file}-{n}"}}"#
                )
            };
            let records: Vec<String> = (0..3000).map(record).collect();
            std::fs::write(logs.join(format!("{file}.json")), records.join("\n")).unwrap();
        }
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let options = IngestOptions { batch_files: 1, compact_over: 99, ..IngestOptions::new(now) };
        ingest_cloudtrail(&store, std::slice::from_ref(&logs), &options, &Quiet).unwrap();
        let mut writer = Writer::open(&store, false, &Default::default()).unwrap();
        let parts = writer.manifest().parts().unwrap();
        let sql = crate::lake::sql::tests::poor(&store);
        let groups = groups(parts.clone(), Effort::Full);
        assert!(groups.len() >= 5, "{groups:?}");
        let done = writer.merge_all(&sql, groups, 99, &AtomicBool::new(false)).unwrap();
        // Shapes of this size are beyond it, whatever else is not.
        assert!(done.iter().all(|(part, _)| part.kind != "shapes"), "{done:?}");
        assert_eq!(writer.manifest().parts().unwrap().len(), parts.len());
        drop(sql);
        // With the ordinary memory all are merged, and nothing else changes.
        let before = Reader::open(&store).unwrap().shapes().unwrap();
        writer.compact(Effort::Full, now).unwrap();
        assert_eq!(Reader::open(&store).unwrap().shapes().unwrap(), before);
        assert_eq!(before.len(), 18_000);
    }
}
