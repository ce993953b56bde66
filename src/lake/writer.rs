//! The one door through which a store changes: a commit writes files, makes them durable, and names them in one
//! transaction as the next generation.

use std::collections::BTreeSet;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use rusqlite::{Transaction, params};

use super::archive::{self, Archived, Original};
use super::chunk::{Chunk, ChunkFile, Row};
use super::disk::{self, FOLDERS};
use super::error::LakeError;
use super::ids::{self, Class, Entry, Known};
use super::ingest::{Fault, FaultPoint};
use super::manifest::{Manifest, Pack, Part, insert_pack, insert_part, signed};
use super::packs::OpenPacks;
use super::parts::PartWriter;
use super::source::find::Found;
use super::source::layout::path_text;
use super::source::read::Digest;
use super::symbols::{Sym, Symbols};
use super::table::hex;
use crate::model::event::EventCategory;
use crate::model::time::Timestamp;

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
    /// Records, not among those read, that lie before what was pruned.
    pub pruned: u64,
    /// First and last event, those left out among them.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Of those read, management events.
    pub management: u64,
    /// The file changed while it was read.
    pub changing: bool,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.quarantined += other.quarantined;
        self.pruned += other.pruned;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = [self.last, other.last].into_iter().flatten().max();
        self.management += other.management;
        self.changing |= other.changing;
    }
}

/// The only thing that changes a store. There is one at a time.
#[derive(Debug)]
pub struct Writer {
    pub(super) store: PathBuf,
    pub(super) manifest: Manifest,
    fault: Option<Fault>,
    commits: u32,
    archive: bool,
    _lock: disk::WriteLock,
}

/// Where ids of a cell stand within a pack: account, hour, offset in bytes, how many.
pub(crate) type Run = (Arc<str>, i32, u64, u64);

/// The classes of every chunk's rows, the runs of the new ids and the pack that holds them.
type Classified = (Vec<Vec<Class>>, Vec<Run>, Option<Pack>);

/// The path of an id pack within the store; `at` is its number within the generation, from 0.
pub(crate) fn pack_name(generation: i64, at: usize) -> String {
    match at {
        0 => format!("ids/{generation:08}.ids"),
        _ => format!("ids/{generation:08}{at:04}.ids"),
    }
}

impl Writer {
    /// Opens a store for writing, making it where there is none, and sweeps what no generation names.
    ///
    /// # Errors
    /// When a store cannot stand there, another process writes (unless `wait`), the store is newer than this program, the
    /// folder holds files in the store's places but no store, or the disk refuses.
    pub fn open(store: &Path, wait: bool, stop: &AtomicBool) -> Result<Self, LakeError> {
        disk::check_place(store)?;
        disk::make_durable_dir(store)?;
        for folder in FOLDERS {
            disk::make_dir(&store.join(folder))?;
        }
        let lock = disk::WriteLock::take(store, wait, stop)?;
        let manifest = Manifest::open(store, true)?;
        disk::sync_dir(store)?;
        super::sql::clear(store, super::sql::Spill::Writer)?;
        let writer = Self { store: store.to_owned(), manifest, fault: None, commits: 0, archive: false, _lock: lock };
        writer.sweep()?;
        Ok(writer)
    }

    /// For tests: where to abort the process.
    pub fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// Whether what is committed from now on keeps its original files.
    pub(crate) fn set_archive(&mut self, archive: bool) {
        self.archive = archive;
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    pub(crate) fn fault(&self, point: FaultPoint) {
        if self.fault.is_some_and(|fault| fault.point == point && fault.commit == self.commits) {
            std::process::abort();
        }
    }

    /// Removes files of the store's own that no generation names, unless somebody reads: a reader may hold an older
    /// generation. Returns how many are kept for readers.
    pub(crate) fn sweep(&self) -> Result<u64, LakeError> {
        let named = self.manifest.named()?;
        let mut left = Vec::new();
        for folder in FOLDERS {
            let path = self.store.join(folder);
            let entries = std::fs::read_dir(&path).map_err(|e| LakeError::io("read", &path, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| LakeError::io("read", &path, e))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if disk::is_own_name(folder, &name) && !named.contains(&format!("{folder}/{name}")) {
                    left.push(entry.path());
                }
            }
        }
        let path = self.store.join("readers.lock");
        match disk::readers_file(&self.store)?.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(left.len() as u64),
            Err(TryLockError::Error(error)) => return Err(LakeError::io("lock", &path, error)),
        }
        super::sql::clear(&self.store, super::sql::Spill::Reader)?;
        for path in left {
            std::fs::remove_file(&path).map_err(|e| LakeError::io("remove", &path, e))?;
        }
        Ok(0)
    }

    /// Commits chunks with their files, events, folds, ids and quarantine as one generation; returns the counts of
    /// each file of each chunk.
    pub(crate) fn commit(&mut self, chunks: &[Chunk], now: Timestamp) -> Result<Vec<Vec<Counts>>, LakeError> {
        let generation = self.manifest.generation()? + 1;
        self.fault(FaultPoint::BeforeFiles);
        let pruned = self.manifest.pruned_before()?;
        let (classes, runs, pack) = self.classify(chunks, generation, pruned)?;
        let mut counts: Vec<Vec<Counts>> =
            chunks.iter().zip(&classes).map(|(c, classes)| counts_of(c, classes)).collect();
        let stored = counts.iter().flatten().map(|own| own.stored).sum();
        let store = self.store.as_path();
        let written: Vec<Vec<Part>> = chunks
            .par_iter()
            .zip(&classes)
            .enumerate()
            .with_max_len(1)
            .map(|(at, (chunk, classes))| PartWriter { store, generation, chunk: at }.write(chunk, classes))
            .collect::<Result<_, _>>()?;
        self.fault(FaultPoint::AfterSegments);
        let archived = self.keep_originals(chunks, &mut counts, pruned)?;
        self.sync_folders()?;
        self.fault(FaultPoint::BeforeManifest);
        self.publish(generation, now, signed(stored), |tx| {
            for part in written.iter().flatten() {
                insert_part(tx, part)?;
            }
            insert_ids(tx, pack.as_ref(), &runs, generation)?;
            archive::insert(tx, &archived, generation)?;
            for (chunk, counts) in chunks.iter().zip(&counts) {
                for (file, own) in chunk.files.iter().zip(counts) {
                    insert_file(tx, file, own, generation, pruned)?;
                }
            }
            Ok(())
        })?;
        self.fault(FaultPoint::AfterManifest);
        self.commits += 1;
        Ok(counts)
    }

    /// Looks whether the files that end here are still what was read, and keeps their originals where that is wanted.
    fn keep_originals(
        &self,
        chunks: &[Chunk],
        counts: &mut [Vec<Counts>],
        pruned: Option<Timestamp>,
    ) -> Result<Vec<Archived>, LakeError> {
        let mut files: Vec<(&ChunkFile, &mut Counts)> = chunks
            .iter()
            .zip(counts)
            .flat_map(|(chunk, counts)| chunk.files.iter().zip(counts.iter_mut()))
            .filter(|(file, _)| file.end.is_some())
            .collect();
        files.par_iter_mut().for_each(|(file, own)| own.changing = file.found.has_changed());
        if !self.archive {
            return Ok(Vec::new());
        }
        let last = |file: &ChunkFile, own: &Counts| {
            let digest = file.end.as_ref().and_then(|end| end.digest.as_ref());
            let last = [file.before.last, own.last, digest.map(|digest| digest.span.to)];
            last.into_iter().flatten().max().or(file.found.layout.delivered)
        };
        // What only speaks of days that were pruned stays away.
        files.retain(|(file, own)| !is_before(last(file, own), pruned));
        let originals: Vec<Original<'_>> = files
            .iter()
            .filter_map(|(file, own)| {
                let end = file.end.as_ref().filter(|_| !own.changing)?;
                Some(Original { path: &file.found.path, hash: &end.hash, last: last(file, own) })
            })
            .collect();
        let kept = archive::keep(&self.store, &originals)?;
        let known: BTreeSet<&str> = kept.iter().map(|one| one.path.as_str()).collect();
        for (file, own) in &mut files {
            own.changing = !known.contains(file.path.as_str());
        }
        Ok(kept)
    }

    pub(crate) fn sync_folders(&self) -> Result<(), LakeError> {
        FOLDERS.iter().try_for_each(|folder| disk::sync_dir(&self.store.join(folder)))
    }

    /// Runs one transaction that ends in a new generation, with so many events more than the one before.
    pub(crate) fn publish(
        &mut self,
        generation: i64,
        now: Timestamp,
        events: i64,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), LakeError> {
        let fail = self.manifest.fail();
        let (fault, commits) = (self.fault, self.commits);
        let tx = self.manifest.connection.transaction().map_err(&fail)?;
        let done = change(&tx).and_then(|()| {
            tx.execute(
                "INSERT INTO generations (id, committed_at, program, events) VALUES (?1, ?2, ?3, ?4)",
                params![generation, now.micros(), env!("CARGO_PKG_VERSION"), events],
            )
        });
        done.map_err(&fail)?;
        if fault.is_some_and(|f| f.point == FaultPoint::InManifest && f.commit == commits) {
            std::process::abort();
        }
        tx.commit().map_err(&fail)
    }

    /// Finds duplicates and conflicts, and writes the pack of the new ids. Of copies within a commit the one in the
    /// first file by name is the one that is kept.
    fn classify(&self, chunks: &[Chunk], generation: i64, pruned: Option<Timestamp>) -> Result<Classified, LakeError> {
        let class = |row: &Row| if is_before(Some(row.time), pruned) { Class::Pruned } else { Class::New };
        let mut classes: Vec<Vec<Class>> = chunks.iter().map(|c| c.rows.iter().map(class).collect()).collect();
        let mut accounts = Symbols::default();
        // Of equal events the first of the first file is the one that is stored, however files fell into chunks.
        let mut paths: Vec<(&Path, u32, u32)> = (0..)
            .zip(chunks)
            .flat_map(|(at, chunk)| {
                (0..).zip(&chunk.files).map(move |(file, own)| (own.found.path.as_path(), at, file))
            })
            .collect();
        paths.par_sort_unstable();
        let mut ranks: Vec<Vec<u32>> = chunks.iter().map(|chunk| vec![0; chunk.files.len()]).collect();
        for ((_, at, file), rank) in paths.iter().zip(0..) {
            if let Some(slot) = ranks.get_mut(*at as usize).and_then(|ranks| ranks.get_mut(*file as usize)) {
                *slot = rank;
            }
        }
        let mut order: Vec<(Sym, i32, u32, u32, u32)> = Vec::with_capacity(chunks.iter().map(|c| c.rows.len()).sum());
        for ((at, chunk), ranks) in (0..).zip(chunks).zip(&ranks) {
            let mut global = vec![Sym::default(); chunk.symbols.len()];
            for (index, row) in (0..).zip(&chunk.rows).filter(|(_, row)| class(row) == Class::New) {
                let Some(account) = global.get_mut(row.account.0 as usize) else { continue };
                if account.is_empty() {
                    *account = accounts.intern(chunk.sym(row.account));
                }
                let rank = ranks.get(row.file as usize).copied().unwrap_or_default();
                order.push((*account, row.time.hour(), rank, at, index));
            }
        }
        order.par_sort_unstable();
        let mut packs = OpenPacks::new(&self.store);
        let mut cells = Vec::new();
        for cell in order.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((account, hour, ..)) = cell.first() else { continue };
            let account = accounts.get(*account);
            cells.push((account, *hour, cell, self.known(account, *hour, &mut packs)?));
        }
        let entry = |at: u32, row: u32| Some(chunks.get(at as usize)?.rows.get(row as usize)?.entry);
        let found: Vec<(Vec<Class>, Vec<Entry>)> = cells
            .par_iter()
            .map(|(_, _, cell, known)| {
                let entries: Vec<Entry> = cell.iter().filter_map(|(.., at, row)| entry(*at, *row)).collect();
                ids::classify(known, &entries)
            })
            .collect();
        let name = pack_name(generation, 0);
        let (mut pack, mut runs) = (Vec::new(), Vec::new());
        for ((account, hour, cell, _), (found, run)) in cells.iter().zip(found) {
            for ((.., at, row), class) in cell.iter().zip(found) {
                if let Some(slot) = classes.get_mut(*at as usize).and_then(|c| c.get_mut(*row as usize)) {
                    *slot = class;
                }
            }
            if !run.is_empty() {
                let offset = ids::append(&mut pack, &run);
                let same = runs.last().map(|(known, ..): &Run| known).filter(|known| &***known == *account);
                runs.push((same.map_or_else(|| (*account).into(), Arc::clone), *hour, offset, run.len() as u64));
            }
        }
        if pack.is_empty() {
            return Ok((classes, runs, None));
        }
        disk::write_file(&self.store.join(&name), &pack)?;
        let (bytes, hash) = (pack.len() as u64, blake3::hash(&pack).to_hex().to_string());
        Ok((classes, runs, Some(Pack { name, bytes, hash })))
    }

    fn known(&self, account: &str, hour: i32, packs: &mut OpenPacks<'_>) -> Result<Known, LakeError> {
        let mut known = Known::default();
        for (pack, offset, count) in self.manifest.runs(account, hour)? {
            packs.read(&pack, offset, count, &mut known)?;
        }
        Ok(known)
    }

    /// Notes a new modification time of files whose content, with this hash, did not change.
    pub(crate) fn touch(&mut self, files: &[(Found, String)]) -> Result<(), LakeError> {
        let old = if self.archive { self.manifest.pruned_files()? } else { BTreeSet::new() };
        let originals: Vec<Original<'_>> = files
            .iter()
            .filter(|(found, _)| self.archive && !old.contains(&path_text(&found.path)))
            .map(|(found, hash)| Original { path: &found.path, hash, last: None })
            .collect();
        let archived = archive::keep(&self.store, &originals)?;
        disk::sync_dir(&self.store.join(disk::ARCHIVE))?;
        let fail = self.manifest.fail();
        let generation = self.manifest.generation()?;
        let tx = self.manifest.connection.transaction().map_err(&fail)?;
        archive::insert(&tx, &archived, generation).map_err(&fail)?;
        for (found, _) in files {
            tx.prepare_cached(
                "UPDATE files SET mtime = ?2, size = ?3, status = CASE status WHEN 'changing' THEN 'complete'
                 WHEN 'changing_incomplete' THEN 'incomplete' ELSE status END WHERE path = ?1",
            )
            .and_then(|mut update| update.execute(params![path_text(&found.path), found.mtime, signed(found.size)]))
            .map_err(&fail)?;
        }
        tx.commit().map_err(&fail)
    }
}

/// Names a pack and its runs.
pub(crate) fn insert_ids(
    tx: &Transaction<'_>,
    pack: Option<&Pack>,
    runs: &[Run],
    generation: i64,
) -> rusqlite::Result<()> {
    let Some(pack) = pack else { return Ok(()) };
    insert_pack(tx, pack, generation)?;
    let mut statement =
        tx.prepare_cached("INSERT INTO id_runs (account, hour, pack, offset, count) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (account, hour, offset, count) in runs {
        statement.execute(params![&**account, hour, pack.name, signed(*offset), signed(*count)])?;
    }
    Ok(())
}

/// Whether a time is known and lies before what was pruned.
fn is_before(time: Option<Timestamp>, pruned: Option<Timestamp>) -> bool {
    time.zip(pruned).is_some_and(|(time, pruned)| time < pruned)
}

fn insert_file(
    tx: &Transaction<'_>,
    file: &ChunkFile,
    own: &Counts,
    generation: i64,
    pruned: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let path = file.path.as_str();
    let mut sum = file.before;
    sum.add(own);
    // As a prune does with the files that it finds: see `OLD_FILES`.
    let old = file.end.is_some() && is_before(sum.last.or(file.found.layout.delivered), pruned);
    if file.fresh || old {
        tx.prepare_cached("DELETE FROM quarantine WHERE file = ?1")?.execute([path])?;
    }
    for bad in file.bad.iter().filter(|_| !old) {
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
    let Some(end) = &file.end else {
        // What an earlier reading said of the file no longer fits what is set aside of it.
        // No file has this time and hash: it is read again, also where it then is what it was before.
        tx.prepare_cached("UPDATE files SET status = 'changing', mtime = -1, hash = '' WHERE path = ?1")?
            .execute([path])?;
        return Ok(());
    };
    tx.prepare_cached("DELETE FROM digests WHERE path = ?1")?.execute([path])?;
    let digest = end.digest.as_ref().filter(|digest| !is_before(Some(digest.span.from), pruned));
    if let Some(Digest { span, files }) = digest {
        let named = |(key, oldest): &(u64, i64)| key.to_be_bytes().into_iter().chain(oldest.to_be_bytes());
        let names: Vec<u8> = files.iter().flat_map(named).collect();
        tx.prepare_cached(
            "INSERT INTO digests (path, account, region, trail, first, last, log_files, names)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            path,
            span.account,
            span.region,
            span.trail,
            span.from.micros(),
            span.to.micros(),
            signed(span.log_files),
            names
        ])?;
    }
    let layout = &file.found.layout;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO files (path, size, mtime, hash, kind, account, region, delivered, read, stored,
         duplicates, conflicts, quarantined, first, last, status, origin, management, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(params![
        path,
        signed(file.found.size),
        // No file has this time: it is read again.
        if sum.changing { -1 } else { file.found.mtime },
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
        match (sum.changing, end.whole) {
            (true, true) => "changing",
            (true, false) => "changing_incomplete",
            (false, true) => "complete",
            (false, false) => "incomplete",
        },
        file.origin.as_str(),
        signed(sum.management),
        generation
    ])?;
    Ok(())
}

fn counts_of(chunk: &Chunk, classes: &[Class]) -> Vec<Counts> {
    let own = |file: &ChunkFile| {
        let quarantined = file.bad.len() as u64;
        Counts { read: quarantined, quarantined, ..Counts::default() }
    };
    let mut counts: Vec<Counts> = chunk.files.iter().map(own).collect();
    for (row, class) in chunk.rows.iter().zip(classes) {
        let Some(own) = counts.get_mut(row.file as usize) else { continue };
        let time = Some(row.time);
        own.first = [own.first, time].into_iter().flatten().min();
        own.last = own.last.max(time);
        if *class == Class::Pruned {
            own.pruned += 1;
            continue;
        }
        own.read += 1;
        own.management += u64::from(row.category == EventCategory::Management);
        own.duplicates += u64::from(*class == Class::Duplicate);
        own.stored += u64::from(class.is_stored());
        own.conflicts += u64::from(*class == Class::Conflict);
    }
    counts
}
