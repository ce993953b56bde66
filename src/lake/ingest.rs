//! Reads CloudTrail logs into a store: what is new, in batches, each batch one generation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::error::LakeError;
use super::source::find::{Found, Listing, find};
use super::source::layout::FileKind;
use super::source::read::{Bad, FileEnd, ReadError, Sink, read};
use super::table::EventRow;
use super::writer::{Counts, FileBatch, Writer};
use crate::model::time::Timestamp;

/// How much larger a gzip file's text is taken to be when batches are planned; CloudTrail compresses 10 to 12 fold.
const GZIP_RATIO: u64 = 12;
/// Bytes that an event holds beside its text.
const EVENT_OVERHEAD: u64 = 1024;

/// How to ingest.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Threads to read and fold with; 0 for one per core.
    pub threads: usize,
    /// Wait for another writer instead of failing.
    pub wait: bool,
    /// Decompressed bytes read before a commit; bounds memory to a small multiple.
    pub batch_bytes: u64,
    /// Files read before a commit.
    pub batch_files: usize,
    /// Files larger than this (as text) are read alone and committed in parts.
    pub large_bytes: u64,
    /// Set to end early: the batch in hand is discarded, what was committed stays.
    pub stop: Arc<AtomicBool>,
    /// The time written into the generations.
    pub now: Timestamp,
    /// For tests: where to abort the process.
    pub fault: Option<Fault>,
}

impl IngestOptions {
    /// The ordinary limits, at a time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            threads: 0,
            wait: false,
            batch_bytes: 96 << 20,
            batch_files: 8192,
            large_bytes: 128 << 20,
            stop: Arc::new(AtomicBool::new(false)),
            now,
            fault: None,
        }
    }
}

/// A place at which a test aborts the process, to see that the next run recovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub point: FaultPoint,
    /// In which commit of the run, from 0.
    pub commit: u32,
}

/// Instants of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Nothing is written yet.
    BeforeFiles,
    /// Ids and segments are written, folds are not.
    AfterSegments,
    /// All files are durable, none is named.
    BeforeManifest,
    /// Inside the transaction.
    InManifest,
    /// The generation is complete.
    AfterManifest,
    /// Folds are merged and durable, not yet named.
    InCompaction,
}

/// Told how far an ingest is.
pub trait Progress: Sync {
    /// The listing is done: files to read, and their bytes on disk.
    fn files_found(&self, files: usize, bytes: u64);
    /// A file was read.
    fn file_done(&self, path: &Path, bytes: u64);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn files_found(&self, _files: usize, _bytes: u64) {}
    fn file_done(&self, _path: &Path, _bytes: u64) {}
}

/// What one given path brought. `read = stored + duplicates + quarantined`; conflicts are among the stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRow {
    /// The path as given.
    pub source: PathBuf,
    /// Files below it that look like logs.
    pub files: u64,
    /// Of these, read in this run.
    pub new_files: u64,
    /// Digest files read: they hold no events.
    pub digests: u64,
    /// Insights files read.
    pub insights: u64,
    /// Network activity files read.
    pub network_activity: u64,
    /// Records found in this run, unreadable stretches included.
    pub read: u64,
    /// Events added.
    pub stored: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Events added although their id was there with other content.
    pub conflicts: u64,
    /// Stretches set aside.
    pub quarantined: u64,
    /// Files that end in the middle; a whole version will be read again.
    pub incomplete: u64,
    /// Files that are no logs by their name.
    pub skipped: Vec<PathBuf>,
    /// Files and folders that could not be read at all, and why.
    pub lost: Vec<(PathBuf, String)>,
}

/// What an ingest did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// One row a path given, in their order.
    pub sources: Vec<SourceRow>,
    /// It was asked to stop before the end.
    pub interrupted: bool,
    /// The store's generation now.
    pub generation: i64,
}

impl IngestReport {
    /// Whether something was set aside, cut short or could not be read: exit code 4.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.interrupted
            || self.sources.iter().any(|row| row.quarantined > 0 || row.incomplete > 0 || !row.lost.is_empty())
    }
}

/// Ingests log files and folders.
///
/// # Errors
/// When a path does not exist, another process writes, or the store cannot be written. The store then stands at
/// its last complete generation.
pub fn ingest_cloudtrail(
    store: &Path,
    paths: &[PathBuf],
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<IngestReport, LakeError> {
    let listings: Vec<Listing> = paths.iter().map(|path| find(path)).collect::<Result<_, _>>()?;
    let mut writer = Writer::open(store, options.wait, &options.stop)?;
    writer.set_fault(options.fault);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|e| LakeError::Threads { threads: options.threads, reason: e.to_string() })?;
    pool.install(|| {
        let mut run = Run::plan(&writer, paths, listings, options, progress)?;
        let done = run.read_all(&mut writer).and_then(|()| writer.compact(options.now));
        if let Err(error) = done {
            // Frees what the failed commit wrote: the disk may be full. The first error is the one that counts.
            let _ = writer.sweep();
            return Err(error);
        }
        run.report.generation = writer.manifest().generation()?;
        Ok(run.report)
    })
}

/// A file to read, and for which given path.
struct Job {
    found: Found,
    source: usize,
    known_hash: Option<String>,
}

impl Job {
    fn text_bytes(&self) -> u64 {
        let gzip = self.found.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        if gzip { self.found.size.saturating_mul(GZIP_RATIO) } else { self.found.size }
    }
}

struct Run<'o> {
    options: &'o IngestOptions,
    progress: &'o dyn Progress,
    report: IngestReport,
    jobs: Vec<Job>,
}

/// What reading a file into memory brought.
enum Outcome {
    Stopped,
    Lost(String),
    Read(FileEnd, Collect),
}

#[derive(Default)]
struct Collect {
    rows: Vec<EventRow>,
    bad: Vec<Bad>,
}

impl Sink for Collect {
    type Error = std::convert::Infallible;

    fn row(&mut self, row: EventRow) -> Result<(), Self::Error> {
        self.rows.push(row);
        Ok(())
    }

    fn bad(&mut self, bad: Bad) -> Result<(), Self::Error> {
        self.bad.push(bad);
        Ok(())
    }
}

impl<'o> Run<'o> {
    /// Leaves out what was read before, by path, size and modification time.
    fn plan(
        writer: &Writer,
        paths: &[PathBuf],
        listings: Vec<Listing>,
        options: &'o IngestOptions,
        progress: &'o dyn Progress,
    ) -> Result<Self, LakeError> {
        let known = if listings.iter().all(|l| l.files.is_empty()) {
            BTreeMap::new()
        } else {
            writer.manifest().known_files()?
        };
        let mut run = Self { options, progress, report: IngestReport::default(), jobs: Vec::new() };
        let mut planned = BTreeSet::new();
        for (source, (path, listing)) in paths.iter().zip(listings).enumerate() {
            run.report.sources.push(SourceRow {
                source: path.clone(),
                files: listing.files.len() as u64,
                skipped: listing.skipped,
                lost: listing.lost,
                ..SourceRow::default()
            });
            for found in listing.files {
                let before = known.get(found.path.to_string_lossy().as_ref());
                let same = before.is_some_and(|(size, mtime, _)| (*size, *mtime) == (found.size, found.mtime));
                if !same && planned.insert(found.path.clone()) {
                    run.jobs.push(Job { found, source, known_hash: before.map(|(_, _, hash)| hash.clone()) });
                }
            }
        }
        progress.files_found(run.jobs.len(), run.jobs.iter().map(|job| job.found.size).sum());
        Ok(run)
    }

    fn stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    fn read_all(&mut self, writer: &mut Writer) -> Result<(), LakeError> {
        let mut jobs = std::mem::take(&mut self.jobs).into_iter().peekable();
        while let Some(job) = jobs.next() {
            if self.stopped() {
                self.report.interrupted = true;
                return Ok(());
            }
            if job.text_bytes() > self.options.large_bytes {
                self.read_large(job, writer)?;
                continue;
            }
            let mut bytes = job.text_bytes();
            let mut batch = vec![job];
            while batch.len() < self.options.batch_files
                && let Some(next) = jobs.next_if(|next| {
                    next.text_bytes() <= self.options.large_bytes
                        && bytes + next.text_bytes() <= self.options.batch_bytes
                })
            {
                bytes += next.text_bytes();
                batch.push(next);
            }
            self.read_batch(batch, writer)?;
        }
        Ok(())
    }

    fn read_batch(&mut self, jobs: Vec<Job>, writer: &mut Writer) -> Result<(), LakeError> {
        let (stop, progress) = (&self.options.stop, self.progress);
        let outcomes: Vec<Outcome> = jobs
            .par_iter()
            .with_max_len(1)
            .map(|job| {
                if stop.load(Ordering::Relaxed) {
                    return Outcome::Stopped;
                }
                let mut collect = Collect::default();
                let outcome = match read(&job.found, job.known_hash.as_deref(), &mut collect) {
                    Ok(end) => Outcome::Read(end, collect),
                    Err(ReadError::File(error)) => Outcome::Lost(error.to_string()),
                    Err(ReadError::Sink(never)) => match never {},
                };
                progress.file_done(&job.found.path, job.found.size);
                outcome
            })
            .collect();
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Stopped)) {
            self.report.interrupted = true;
            return Ok(());
        }
        let (mut files, mut sources, mut touched) = (Vec::new(), Vec::new(), Vec::new());
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Stopped => {}
                Outcome::Lost(reason) => self.lose(&job, reason),
                Outcome::Read(end, _) if end.unchanged => touched.push(job.found),
                Outcome::Read(end, collect) => {
                    sources.push(job.source);
                    files.push(FileBatch {
                        found: job.found,
                        end: Some(end),
                        rows: collect.rows,
                        bad: collect.bad,
                        before: Counts::default(),
                        fresh: true,
                    });
                }
            }
        }
        if !touched.is_empty() {
            writer.touch(&touched)?;
        }
        if files.is_empty() {
            return Ok(());
        }
        let counts = writer.commit(&mut files, self.options.now)?;
        for ((source, file), own) in sources.into_iter().zip(&files).zip(&counts) {
            self.count(source, file.end.as_ref(), own);
        }
        Ok(())
    }

    fn lose(&mut self, job: &Job, reason: String) {
        if let Some(row) = self.report.sources.get_mut(job.source) {
            row.lost.push((job.found.path.clone(), reason));
        }
    }

    fn count(&mut self, source: usize, end: Option<&FileEnd>, own: &Counts) {
        let Some(row) = self.report.sources.get_mut(source) else { return };
        row.read += own.read;
        row.stored += own.stored;
        row.duplicates += own.duplicates;
        row.conflicts += own.conflicts;
        row.quarantined += own.quarantined;
        if let Some(end) = end {
            row.new_files += 1;
            row.incomplete += u64::from(!end.whole);
            match end.kind {
                FileKind::Log => {}
                FileKind::Digest => row.digests += 1,
                FileKind::Insight => row.insights += 1,
                FileKind::NetworkActivity => row.network_activity += 1,
            }
        }
    }

    /// A file that does not fit in memory: its events are committed in parts, the file with the last one. After an
    /// interruption it is read again, and what is there already is known by its ids.
    fn read_large(&mut self, job: Job, writer: &mut Writer) -> Result<(), LakeError> {
        let batch = FileBatch {
            found: job.found.clone(),
            end: None,
            rows: Vec::new(),
            bad: Vec::new(),
            before: Counts::default(),
            fresh: true,
        };
        let mut parts = Parts { writer, options: self.options, batch, bytes: 0 };
        match read(&job.found, job.known_hash.as_deref(), &mut parts) {
            Ok(end) if end.unchanged => parts.writer.touch(std::slice::from_ref(&job.found))?,
            Ok(end) => {
                parts.batch.end = Some(end);
                parts.flush()?;
                let (end, sum) = (parts.batch.end.take(), parts.batch.before);
                self.count(job.source, end.as_ref(), &sum);
            }
            Err(ReadError::File(error)) => {
                let sum = parts.batch.before;
                self.count(job.source, None, &sum);
                self.lose(&job, error.to_string());
            }
            Err(ReadError::Sink(Halt::Lake(error))) => return Err(error),
            Err(ReadError::Sink(Halt::Stopped)) => {
                let sum = parts.batch.before;
                self.count(job.source, None, &sum);
                self.report.interrupted = true;
            }
        }
        self.progress.file_done(&job.found.path, job.found.size);
        Ok(())
    }
}

enum Halt {
    Stopped,
    Lake(LakeError),
}

struct Parts<'w> {
    writer: &'w mut Writer,
    options: &'w IngestOptions,
    batch: FileBatch,
    bytes: u64,
}

impl Parts<'_> {
    fn flush(&mut self) -> Result<(), LakeError> {
        let counts = self.writer.commit(std::slice::from_mut(&mut self.batch), self.options.now)?;
        for own in &counts {
            self.batch.before.add(own);
        }
        self.batch.rows.clear();
        self.batch.bad.clear();
        self.batch.fresh = false;
        self.bytes = 0;
        Ok(())
    }

    fn grow(&mut self, bytes: u64) -> Result<(), Halt> {
        self.bytes += bytes + EVENT_OVERHEAD;
        if self.options.stop.load(Ordering::Relaxed) {
            return Err(Halt::Stopped);
        }
        if self.bytes > self.options.batch_bytes {
            self.flush().map_err(Halt::Lake)?;
        }
        Ok(())
    }
}

impl Sink for Parts<'_> {
    type Error = Halt;

    fn row(&mut self, row: EventRow) -> Result<(), Halt> {
        let bytes = row.length;
        self.batch.rows.push(row);
        self.grow(bytes)
    }

    fn bad(&mut self, bad: Bad) -> Result<(), Halt> {
        let bytes = bad.raw.as_ref().map_or(0, |raw| raw.len() as u64);
        self.batch.bad.push(bad);
        self.grow(bytes)
    }
}
