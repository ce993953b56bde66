//! Compaction: many small files become few large ones. Events and facts stay what they are; only the files change.
//!
//! Files are merged by DuckDB, which sorts and groups in bounded memory; id packs, which are sorted already, are
//! merged cell by cell.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;

use super::disk;
use super::error::LakeError;
use super::ids::{self, ENTRY_BYTES, Known};
use super::ingest::FaultPoint;
use super::manifest::{Part, count, insert_part};
use super::parts::part_name;
use super::schema::PartKind;
use super::sql::{Sql, files};
use super::writer::{Writer, insert_runs};
use crate::model::time::Timestamp;

/// Bytes of a full segment, packed: it is sorted in memory, some eight times as large there. DuckDB does not spill the
/// long texts of events soon enough to sort more within its limit.
const SEGMENT_BYTES: u64 = 24 << 20;
/// Id packs larger than this are left as they are.
const PACK_BYTES: u64 = 256 << 20;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files and packs that were merged.
    pub merged: u64,
    /// What became of them.
    pub written: u64,
}

/// How rows of a kind with the same key become one. The columns are those of `lake::schema`.
fn query(kind: PartKind, from: &str) -> String {
    match kind {
        PartKind::Events => {
            format!("SELECT * FROM {from} ORDER BY account, time, event_id, content_core, content_whole")
        }
        PartKind::Usage => format!(
            "SELECT session, source, name, version_id, tags, roles, refused, category, resource, outcome, account,
             region, day, shared, sum(count)::BIGINT AS count, min(first) AS first, max(last) AS last,
             bit_or(slots_0) AS slots_0, bit_or(slots_1) AS slots_1, bit_or(slots_2) AS slots_2,
             bit_or(slots_3) AS slots_3, bit_or(slots_4) AS slots_4
             FROM {from} GROUP BY ALL ORDER BY ALL"
        ),
        PartKind::Shapes => format!(
            "SELECT session, source, name, version_id, tags, roles, refused, resources, outcome, account, region,
             context, shared, inexact, sum(count)::BIGINT AS count, min(first) AS first, max(last) AS last,
             arg_min(example, (example_time, example)) AS example, min(example_time) AS example_time
             FROM {from} GROUP BY ALL ORDER BY ALL"
        ),
        PartKind::Coverage => format!(
            "SELECT account, region, hour, category, sum(count)::BIGINT AS count FROM {from} GROUP BY ALL ORDER BY ALL"
        ),
        PartKind::Sessions | PartKind::Issued | PartKind::TrailCalls => {
            format!("SELECT DISTINCT * FROM {from} ORDER BY ALL")
        }
    }
}

/// The parts to be merged, each list into one file.
fn groups(parts: Vec<Part>, effort: Effort) -> Vec<(PartKind, String, Vec<Part>)> {
    let mut kinds: BTreeMap<(PartKind, String), Vec<Part>> = BTreeMap::new();
    for part in parts {
        if let Some(kind) = PartKind::ALL.into_iter().find(|kind| kind.as_str() == part.kind) {
            kinds.entry((kind, part.month.clone())).or_default().push(part);
        }
    }
    let mut out = Vec::new();
    for ((kind, month), mut parts) in kinds {
        if kind == PartKind::Events {
            parts.retain(|part| part.bytes < SEGMENT_BYTES / 2);
        }
        if !effort.merges(parts.len()) {
            continue;
        }
        if kind != PartKind::Events {
            out.push((kind, month, parts));
            continue;
        }
        // By time, so that segments of a month overlap little.
        parts.sort_by(|a, b| (a.first, &a.name).cmp(&(b.first, &b.name)));
        let mut group: Vec<Part> = Vec::new();
        for part in parts {
            let bytes: u64 = group.iter().map(|part| part.bytes).sum();
            if bytes + part.bytes > SEGMENT_BYTES {
                out.push((kind, month.clone(), std::mem::take(&mut group)));
            }
            group.push(part);
        }
        out.push((kind, month, group));
    }
    out.retain(|(_, _, parts)| parts.len() > 1);
    out
}

impl Writer {
    /// Merges files, and sweeps what they replace.
    ///
    /// # Errors
    /// When the store cannot be read or written. It then stands at its last complete generation.
    pub fn compact(&mut self, effort: Effort, now: Timestamp) -> Result<Compacted, LakeError> {
        let groups = groups(self.manifest().parts()?, effort);
        let packs = self.small_packs(effort)?;
        if groups.is_empty() && packs.is_empty() {
            return Ok(Compacted::default());
        }
        let generation = self.manifest().generation()? + 1;
        let mut written = Vec::with_capacity(groups.len());
        if !groups.is_empty() {
            let sql = Sql::open(self.store(), 0)?;
            for (at, (kind, month, parts)) in groups.iter().enumerate() {
                written.push(self.merge(&sql, *kind, month, parts, at, generation)?);
            }
        }
        let runs = self.merge_packs(&packs, generation)?;
        self.sync_folders()?;
        self.fault(FaultPoint::InCompaction);
        let replaced: Vec<&Part> = groups.iter().flat_map(|(_, _, parts)| parts).collect();
        let done = Compacted {
            merged: (replaced.len() + packs.len()) as u64,
            written: (written.len() + usize::from(!packs.is_empty())) as u64,
        };
        self.publish(generation, now, 0, |tx| {
            for part in &replaced {
                tx.execute("DELETE FROM parts WHERE name = ?1", [&part.name])?;
            }
            for pack in &packs {
                tx.execute("DELETE FROM id_runs WHERE pack = ?1", [pack])?;
            }
            insert_runs(tx, &runs)?;
            written.iter().try_for_each(|part| insert_part(tx, part))
        })?;
        self.sweep()?;
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
        let name = part_name(kind, month, at, generation);
        let path = self.store().join(&name);
        let from = files(self.store(), parts.iter().map(|part| part.name.as_str()))?;
        let rows = sql.copy(&query(kind, &from), &path)?;
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

    /// Packs that are worth merging, in the order of their names.
    fn small_packs(&self, effort: Effort) -> Result<Vec<String>, LakeError> {
        let manifest = self.manifest();
        let read = || {
            let mut statement =
                manifest.connection.prepare("SELECT pack, sum(count) FROM id_runs GROUP BY pack ORDER BY pack")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, count(row, 1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut sum = 0;
        let mut packs: Vec<(String, u64)> = read().map_err(manifest.fail())?;
        packs.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        packs.retain(|(_, entries)| {
            sum += entries * ENTRY_BYTES as u64;
            sum <= PACK_BYTES
        });
        if !effort.merges(packs.len()) {
            return Ok(Vec::new());
        }
        let mut packs: Vec<String> = packs.into_iter().map(|(pack, _)| pack).collect();
        packs.sort();
        Ok(packs)
    }

    /// Writes the runs of some packs as one pack, a run a cell.
    fn merge_packs(&self, packs: &[String], generation: i64) -> Result<Vec<super::writer::Run>, LakeError> {
        if packs.is_empty() {
            return Ok(Vec::new());
        }
        let manifest = self.manifest();
        let cells: Vec<(String, i32)> = {
            let read = || {
                let mut statement =
                    manifest.connection.prepare("SELECT DISTINCT account, hour FROM id_runs ORDER BY account, hour")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            };
            read().map_err(manifest.fail())?
        };
        let mut open: BTreeMap<&str, File> = BTreeMap::new();
        for pack in packs {
            let path = self.store().join(pack);
            open.insert(pack, File::open(&path).map_err(|e| LakeError::io("open", &path, e))?);
        }
        let name = format!("ids/{generation:08}.ids");
        let path = self.store().join(&name);
        let temporary = disk::temporary(&path);
        let mut out = BufWriter::new(disk::touch(&temporary)?);
        let (mut runs, mut offset) = (Vec::new(), 0u64);
        for (account, hour) in cells {
            let mut known = Known::default();
            for (pack, at, count) in manifest.runs(&account, hour)? {
                let Some(file) = open.get(pack.as_str()) else { continue };
                let mut bytes = vec![0u8; count as usize * ENTRY_BYTES];
                file.read_exact_at(&mut bytes, at).map_err(|e| LakeError::io("read", &path, e))?;
                known.add(&bytes);
            }
            let mut bytes = Vec::new();
            let entries = known.merged();
            if entries.is_empty() {
                continue;
            }
            ids::append(&mut bytes, &entries);
            out.write_all(&bytes).map_err(|e| LakeError::io("write", &path, e))?;
            runs.push((account, hour, name.clone(), offset, entries.len() as u64));
            offset += bytes.len() as u64;
        }
        out.flush().map_err(|e| LakeError::io("write", &path, e))?;
        drop(out);
        disk::finish(&temporary, &path)?;
        Ok(runs)
    }
}
