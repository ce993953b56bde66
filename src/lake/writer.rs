//! The one door through which a store changes: a commit writes files, makes them durable, and names them in one
//! transaction as the next generation.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use rusqlite::{OptionalExtension, Transaction, params};

use super::disk::{self, FOLDERS};
use super::error::LakeError;
use super::fold;
use super::ids::{self, Class, ENTRY_BYTES, Entry, Known};
use super::ingest::{Fault, FaultPoint};
use super::manifest::{Manifest, Part, insert_part, signed};
use super::parts::PartWriter;
use super::schema::PartKind;
use super::source::find::Found;
use super::source::read::{Bad, FileEnd};
use super::table::{EventRow, hex, read_events, read_fold};
use crate::model::time::Timestamp;
use crate::usage::fold::Folds;

/// Files of one kind and month before they are merged into one.
const MAX_PARTS: usize = 8;
/// Segments of more events than this are left as they are.
const SMALL_SEGMENT_ROWS: u64 = 25_000;
/// Events of small segments that are merged into one at a time: all are held in memory, some 3 KB each.
const MERGED_SEGMENT_ROWS: u64 = 100_000;
/// Events folded by one task.
const FOLD_CHUNK: usize = 8192;
/// zstd level for quarantined records and documents.
const ZSTD_LEVEL: i32 = 6;

/// Counts of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub read: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub quarantined: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.quarantined += other.quarantined;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = [self.last, other.last].into_iter().flatten().max();
    }
}

/// A file, or a part of a large one, to be committed.
#[derive(Debug)]
pub(crate) struct FileBatch {
    pub found: Found,
    /// None while more of the file is to come: its events are committed, the file is not yet ticked off.
    pub end: Option<FileEnd>,
    pub rows: Vec<EventRow>,
    pub bad: Vec<Bad>,
    /// Counts of the parts committed before.
    pub before: Counts,
    /// No part of this file was committed in this run.
    pub fresh: bool,
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutDocument {
    /// It is new.
    New,
    /// The same bytes of the same kind, account and time were there already.
    AlreadyPresent,
}

/// The only thing that changes a store. There is one at a time.
#[derive(Debug)]
pub struct Writer {
    store: PathBuf,
    manifest: Manifest,
    fault: Option<Fault>,
    commits: u32,
    _lock: disk::WriteLock,
}

/// What a commit wrote and has to name.
#[derive(Default)]
struct Written {
    parts: Vec<Part>,
    runs: Vec<(String, i32, String, u64, u64)>,
}

impl Writer {
    /// Opens a store for writing, making it where there is none, and sweeps what no generation names.
    ///
    /// # Errors
    /// When another process writes (unless `wait`), the store is newer than this program, the folder holds files in
    /// the store's places but no store, or the disk refuses.
    pub fn open(store: &Path, wait: bool, stop: &AtomicBool) -> Result<Self, LakeError> {
        disk::make_dir(store)?;
        for folder in FOLDERS {
            disk::make_dir(&store.join(folder))?;
        }
        let lock = disk::WriteLock::take(store, wait, stop)?;
        let manifest = Manifest::open(store, true)?;
        let writer = Self { store: store.to_owned(), manifest, fault: None, commits: 0, _lock: lock };
        writer.sweep()?;
        Ok(writer)
    }

    pub(crate) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn fault(&self, point: FaultPoint) {
        if self.fault.is_some_and(|fault| fault.point == point && fault.commit == self.commits) {
            std::process::abort();
        }
    }

    /// Removes files of the store's own that no generation names, unless somebody reads: a reader may hold an older generation.
    pub(crate) fn sweep(&self) -> Result<(), LakeError> {
        let readers = disk::readers_file(&self.store)?;
        if readers.try_lock().is_err() {
            return Ok(());
        }
        let named = self.manifest.named()?;
        for folder in FOLDERS {
            let path = self.store.join(folder);
            let entries = std::fs::read_dir(&path).map_err(|e| LakeError::io("read", &path, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| LakeError::io("read", &path, e))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if disk::is_own_name(folder, &name) && !named.contains(&format!("{folder}/{name}")) {
                    std::fs::remove_file(entry.path()).map_err(|e| LakeError::io("remove", &entry.path(), e))?;
                }
            }
        }
        Ok(())
    }

    /// Commits files with their events, folds, ids and quarantine as one generation; returns the counts of each.
    pub(crate) fn commit(&mut self, batch: &mut [FileBatch], now: Timestamp) -> Result<Vec<Counts>, LakeError> {
        let generation = self.manifest.generation()? + 1;
        let mut written = Written::default();
        self.fault(FaultPoint::BeforeFiles);
        let classes = self.classify(batch, generation, &mut written)?;
        let mut kept: Vec<&EventRow> = Vec::new();
        let mut counts = Vec::with_capacity(batch.len());
        for (file, classes) in batch.iter().zip(&classes) {
            let mut own = Counts { quarantined: file.bad.len() as u64, ..Counts::default() };
            own.read = own.quarantined + file.rows.len() as u64;
            for (row, class) in file.rows.iter().zip(classes) {
                let time = Some(row.event.time);
                own.first = [own.first, time].into_iter().flatten().min();
                own.last = own.last.max(time);
                if *class == Class::Duplicate {
                    own.duplicates += 1;
                } else {
                    own.stored += 1;
                    own.conflicts += u64::from(*class == Class::Conflict);
                    kept.push(row);
                }
            }
            counts.push(own);
        }
        let stored = kept.len() as u64;
        let mut segments = PartWriter::new(&self.store, generation);
        let (written_segments, folds) = rayon::join(|| segments.segments(&kept), || fold_all(&kept));
        written_segments?;
        self.fault(FaultPoint::AfterSegments);
        let mut fold_parts = PartWriter::new(&self.store, generation);
        fold_parts.folds(folds)?;
        written.parts = [segments.parts, fold_parts.parts].concat();
        self.sync_folders()?;
        self.fault(FaultPoint::BeforeManifest);
        self.publish(generation, now, stored, |tx| {
            for part in &written.parts {
                insert_part(tx, part)?;
            }
            insert_runs(tx, &written.runs)?;
            for (file, own) in batch.iter().zip(&counts) {
                insert_file(tx, file, own, generation)?;
            }
            Ok(())
        })?;
        self.fault(FaultPoint::AfterManifest);
        self.commits += 1;
        Ok(counts)
    }

    fn sync_folders(&self) -> Result<(), LakeError> {
        FOLDERS.iter().try_for_each(|folder| disk::sync_dir(&self.store.join(folder)))
    }

    /// Runs one transaction that ends in a new generation.
    fn publish(
        &mut self,
        generation: i64,
        now: Timestamp,
        events: u64,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), LakeError> {
        let fail = self.manifest.fail();
        let (fault, commits) = (self.fault, self.commits);
        let tx = self.manifest.connection.transaction().map_err(&fail)?;
        let done = change(&tx).and_then(|()| {
            tx.execute(
                "INSERT INTO generations (id, committed_at, program, events) VALUES (?1, ?2, ?3, ?4)",
                params![generation, now.micros(), env!("CARGO_PKG_VERSION"), signed(events)],
            )
        });
        done.map_err(&fail)?;
        if fault.is_some_and(|f| f.point == FaultPoint::InManifest && f.commit == commits) {
            std::process::abort();
        }
        tx.commit().map_err(&fail)
    }

    /// Finds duplicates and conflicts, and writes the pack of the new ids.
    fn classify(
        &self,
        batch: &[FileBatch],
        generation: i64,
        written: &mut Written,
    ) -> Result<Vec<Vec<Class>>, LakeError> {
        let mut classes: Vec<Vec<Class>> = batch.iter().map(|f| vec![Class::New; f.rows.len()]).collect();
        let mut order: Vec<(&str, i32, usize, usize)> = Vec::new();
        for (at, file) in batch.iter().enumerate() {
            for (row, item) in file.rows.iter().enumerate() {
                order.push((&item.event.recipient_account, item.event.time.hour(), at, row));
            }
        }
        order.sort_unstable();
        let name = format!("ids/{generation:08}.ids");
        let mut pack = Vec::new();
        let mut packs: BTreeMap<String, File> = BTreeMap::new();
        for cell in order.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((account, hour, _, _)) = cell.first() else { continue };
            let known = self.known(account, *hour, &mut packs)?;
            let entries: Vec<Entry> = cell
                .iter()
                .filter_map(|(_, _, at, row)| batch.get(*at)?.rows.get(*row))
                .map(|row| Entry::new(row.event.id.as_deref(), row.content))
                .collect();
            let (found, run) = ids::classify(&known, &entries);
            for ((_, _, at, row), class) in cell.iter().zip(found) {
                if let Some(slot) = classes.get_mut(*at).and_then(|c| c.get_mut(*row)) {
                    *slot = class;
                }
            }
            if !run.is_empty() {
                let offset = ids::append(&mut pack, &run);
                written.runs.push(((*account).to_owned(), *hour, name.clone(), offset, run.len() as u64));
            }
        }
        if !pack.is_empty() {
            disk::write_file(&self.store.join(&name), &pack)?;
        }
        Ok(classes)
    }

    fn known(&self, account: &str, hour: i32, packs: &mut BTreeMap<String, File>) -> Result<Known, LakeError> {
        let mut known = Known::default();
        for (pack, offset, count) in self.manifest.runs(account, hour)? {
            let path = self.store.join(&pack);
            if !packs.contains_key(&pack) {
                let file = File::open(&path).map_err(|e| LakeError::io("open", &path, e))?;
                packs.insert(pack.clone(), file);
            }
            let mut bytes = vec![0u8; count as usize * ENTRY_BYTES];
            if let Some(file) = packs.get(&pack) {
                file.read_exact_at(&mut bytes, offset).map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => LakeError::Damaged {
                        path: path.clone(),
                        reason: "it is shorter than the manifest says".to_owned(),
                    },
                    _ => LakeError::io("read", &path, error),
                })?;
            }
            known.add(&bytes).ok_or_else(|| LakeError::Damaged { path, reason: "odd length".to_owned() })?;
        }
        Ok(known)
    }

    /// Merges fold files and small segments where there are many of one kind and month, then sweeps. Events and
    /// facts stay what they are.
    pub(crate) fn compact(&mut self, now: Timestamp) -> Result<(), LakeError> {
        let mut groups: BTreeMap<(String, String), Vec<Part>> = BTreeMap::new();
        for part in self.manifest.parts()? {
            if part.kind == PartKind::Events.as_str() && part.rows > SMALL_SEGMENT_ROWS {
                continue;
            }
            groups.entry((part.kind.clone(), part.month.clone())).or_default().push(part);
        }
        for parts in groups.values_mut() {
            if parts.first().is_some_and(|part| part.kind == PartKind::Events.as_str()) {
                let mut rows = 0;
                parts.sort_by(|a, b| (a.rows, &a.name).cmp(&(b.rows, &b.name)));
                parts.retain(|part| {
                    rows += part.rows;
                    rows <= MERGED_SEGMENT_ROWS
                });
            }
        }
        groups.retain(|_, parts| parts.len() > MAX_PARTS);
        if groups.is_empty() {
            return Ok(());
        }
        let generation = self.manifest.generation()? + 1;
        let mut written = PartWriter::new(&self.store, generation);
        for ((name, month), parts) in &groups {
            let Some(kind) = PartKind::ALL.into_iter().find(|kind| kind.as_str() == name) else { continue };
            if kind == PartKind::Events {
                let read = |part: &Part| read_events(&self.store.join(&part.name));
                let rows: Vec<Vec<EventRow>> = parts.iter().map(read).collect::<Result<_, _>>()?;
                written.segments(&rows.iter().flatten().collect::<Vec<_>>())?;
                continue;
            }
            let mut folds = Folds::default();
            for part in parts {
                read_fold(kind, &self.store.join(&part.name), &mut folds)?;
            }
            fold::collapse(&mut folds.shapes, fold::MAX_SHAPES);
            written.fold(kind, month, &folds)?;
        }
        let merged = written.parts;
        self.sync_folders()?;
        self.fault(FaultPoint::InCompaction);
        self.publish(generation, now, 0, |tx| {
            for part in groups.values().flatten() {
                tx.execute("DELETE FROM parts WHERE name = ?1", [&part.name])?;
            }
            merged.iter().try_for_each(|part| insert_part(tx, part))
        })?;
        self.sweep()
    }

    /// Notes a new modification time of a file whose content did not change.
    pub(crate) fn touch(&mut self, files: &[Found]) -> Result<(), LakeError> {
        let fail = self.manifest.fail();
        let tx = self.manifest.connection.transaction().map_err(&fail)?;
        for found in files {
            tx.execute(
                "UPDATE files SET mtime = ?2, size = ?3 WHERE path = ?1",
                params![found.path.to_string_lossy(), found.mtime, signed(found.size)],
            )
            .map_err(&fail)?;
        }
        tx.commit().map_err(&fail)
    }

    /// Keeps a document, such as a collected snapshot input, by its content.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_document(
        &mut self,
        kind: &str,
        account: Option<&str>,
        captured_at: Timestamp,
        source: &str,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<PutDocument, LakeError> {
        let hash = blake3::hash(bytes).to_hex().to_string();
        let account = account.unwrap_or("");
        let known: Option<i64> = self
            .manifest
            .connection
            .query_row(
                "SELECT id FROM documents WHERE kind = ?1 AND account = ?2 AND captured_at = ?3 AND hash = ?4",
                params![kind, account, captured_at.micros(), hash],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.manifest.fail())?;
        if known.is_some() {
            return Ok(PutDocument::AlreadyPresent);
        }
        let path = self.store.join(format!("documents/{hash}.zst"));
        if !path.exists() {
            let packed = zstd::encode_all(bytes, ZSTD_LEVEL).map_err(|e| LakeError::io("compress", &path, e))?;
            disk::write_file(&path, &packed)?;
            disk::sync_dir(&self.store.join("documents"))?;
        }
        let generation = self.manifest.generation()? + 1;
        self.publish(generation, now, 0, |tx| {
            tx.execute(
                "INSERT INTO documents (kind, account, captured_at, source, hash, bytes, generation)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![kind, account, captured_at.micros(), source, hash, signed(bytes.len() as u64), generation],
            )
            .map(|_| ())
        })?;
        Ok(PutDocument::New)
    }

    /// Keeps a value under a key, replacing the one before. It makes no generation: what analysis remembers is no
    /// input of analysis, so that the same inputs keep giving the same output.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_state(&mut self, key: &str, value: &serde_json::Value) -> Result<(), LakeError> {
        let generation = self.manifest.generation()?;
        self.manifest
            .connection
            .execute(
                "INSERT OR REPLACE INTO state (key, value, generation) VALUES (?1, ?2, ?3)",
                params![key, value.to_string(), generation],
            )
            .map(|_| ())
            .map_err(self.manifest.fail())
    }
}

fn insert_runs(tx: &Transaction<'_>, runs: &[(String, i32, String, u64, u64)]) -> rusqlite::Result<()> {
    let mut statement =
        tx.prepare_cached("INSERT INTO id_runs (account, hour, pack, offset, count) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (account, hour, pack, offset, count) in runs {
        statement.execute(params![account, hour, pack, signed(*offset), signed(*count)])?;
    }
    Ok(())
}

fn insert_file(tx: &Transaction<'_>, file: &FileBatch, own: &Counts, generation: i64) -> rusqlite::Result<()> {
    let path = file.found.path.to_string_lossy();
    if file.fresh {
        tx.prepare_cached("DELETE FROM quarantine WHERE file = ?1")?.execute([path.as_ref()])?;
    }
    for bad in &file.bad {
        let hash = bad.raw.as_ref().map(|raw| hex(blake3::hash(raw).as_bytes().get(..16).unwrap_or(&[])));
        let raw = bad.raw.as_ref().and_then(|raw| zstd::encode_all(raw.as_slice(), ZSTD_LEVEL).ok());
        tx.prepare_cached(
            "INSERT INTO quarantine (file, offset, length, reason, hash, raw, generation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            path,
            signed(bad.offset),
            signed(bad.length),
            bad.reason,
            hash.unwrap_or_default(),
            raw,
            generation
        ])?;
    }
    let Some(end) = &file.end else { return Ok(()) };
    tx.prepare_cached("DELETE FROM digests WHERE path = ?1")?.execute([path.as_ref()])?;
    if let Some(span) = &end.digest {
        tx.prepare_cached(
            "INSERT INTO digests (path, account, region, first, last, log_files) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            path,
            span.account,
            span.region,
            span.from.micros(),
            span.to.micros(),
            signed(span.log_files)
        ])?;
    }
    let mut sum = file.before;
    sum.add(own);
    let layout = &file.found.layout;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO files (path, size, mtime, hash, kind, account, region, delivered, read, stored,
         duplicates, conflicts, quarantined, first, last, status, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        path,
        signed(file.found.size),
        file.found.mtime,
        end.hash,
        end.kind.as_str(),
        layout.account,
        layout.region,
        layout.delivered.map(Timestamp::micros),
        signed(sum.read),
        signed(sum.stored),
        signed(sum.duplicates),
        signed(sum.conflicts),
        signed(sum.quarantined),
        sum.first.map(Timestamp::micros),
        sum.last.map(Timestamp::micros),
        if end.whole { "complete" } else { "incomplete" },
        generation
    ])?;
    Ok(())
}

fn fold_all(kept: &[&EventRow]) -> Folds {
    let mut folds = kept
        .par_chunks(FOLD_CHUNK)
        .map(|rows| {
            let mut folds = Folds::default();
            for row in rows {
                if row.event.id.is_some() {
                    fold::add(&mut folds, &row.event, row.session, "");
                } else {
                    fold::add(&mut folds, &row.event, row.session, &format!("content:{}", hex(&row.content)));
                }
            }
            folds
        })
        .reduce(Folds::default, |mut a, b| {
            fold::merge(&mut a, b);
            a
        });
    fold::collapse(&mut folds.shapes, fold::MAX_SHAPES);
    folds
}
