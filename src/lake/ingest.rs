//! Reads CloudTrail logs into a store: what is new, in batches, each batch one generation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::chunk::{Chunk, MAX_CHUNK_BYTES};
use super::compact::Effort;
use super::error::LakeError;
use super::large::{Ended, Large, read_large};
use super::source::find::{Found, Listing, find};
use super::source::layout::{FileKind, path_text};
use super::source::read::{FileEnd, ReadError, Room, read};
use super::writer::{Counts, Writer};
use crate::model::time::Timestamp;

/// How much larger a gzip file's text is taken to be when batches are planned; CloudTrail compresses 10 to 12 fold.
const GZIP_RATIO: u64 = 12;
/// Text that a batch is planned with for each byte that it may hold: what is kept of records is a third of their text,
/// of slim ones an eighth. Whether there is room is asked again before every file.
const TEXT_PER_HELD: u64 = 6;
/// Text of a batch that is worth a further chunk: every chunk becomes files of its own.
const MIN_CHUNK_BYTES: u64 = 8 << 20;
/// How many times as many files of a kind as a run leaves at its end it may make before it merges them.
const CROWD: usize = 2;
/// Large files that are read before files are merged again.
const LARGE_FILES: usize = 16;
/// Bytes that a chunk gains before the others of its batch are told.
const TELL_BYTES: usize = 64 << 10;

/// How to ingest.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Threads to read and fold with; 0 for one per core.
    pub threads: usize,
    /// Wait for another writer instead of failing.
    pub wait: bool,
    /// Bytes held before a commit, by all threads together; bounds memory to a small multiple. Segments become about a
    /// tenth as large as what each thread holds.
    pub batch_bytes: u64,
    /// Files read before a commit.
    pub batch_files: usize,
    /// Files larger than this (as text) are read one after the other and committed in parts.
    pub large_bytes: u64,
    /// Files of one kind and month beyond which they are merged at the end.
    pub compact_over: usize,
    /// Leave out request parameters and response elements.
    pub slim: bool,
    /// Keep the files that are read, unchanged, within the store.
    pub archive: bool,
    /// The exports given hold every event of their span: they count as coverage like trail files.
    pub complete: bool,
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
            batch_bytes: 128 << 20,
            batch_files: 8192,
            large_bytes: 128 << 20,
            compact_over: 64,
            slim: false,
            archive: false,
            complete: false,
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
    /// What a prune leaves is written and durable, not yet named.
    InPrune,
}

/// Told how far an ingest is.
pub trait Progress: Sync {
    /// The listing is done: files to read, and their bytes on disk.
    fn files_found(&self, files: usize, bytes: u64);
    /// More was read, of one file or another: bytes on disk, as far as that is known before its end, and events.
    fn more(&self, _bytes: u64, _events: u64) {}
    /// A file was read; so many bytes of it were not told of before.
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
    /// Records that lie before what was pruned: they are left out, and are not among those read.
    pub pruned: u64,
    /// Files that end in the middle; a whole version will be read again.
    pub incomplete: u64,
    /// Files that changed while they were read; they will be read again.
    pub changing: u64,
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
            || self
                .sources
                .iter()
                .any(|row| row.quarantined > 0 || row.incomplete > 0 || row.changing > 0 || !row.lost.is_empty())
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
    writer.set_archive(options.archive);
    ingest_listed(&mut writer, paths, listings, options, progress)
}

/// Ingests what was listed below paths.
///
/// # Errors
/// As [`ingest_cloudtrail`].
pub(crate) fn ingest_listed(
    writer: &mut Writer,
    paths: &[PathBuf],
    listings: Vec<Listing>,
    options: &IngestOptions,
    progress: &dyn Progress,
) -> Result<IngestReport, LakeError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|e| LakeError::Threads { threads: options.threads, reason: e.to_string() })?;
    pool.install(|| {
        let mut run = Run::plan(writer, paths, listings, options, progress)?;
        let done = run.read_all(writer).and_then(|()| run.relieve(writer, 1));
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

    fn large(&self) -> Large<'_> {
        Large { found: &self.found, known_hash: self.known_hash.as_deref() }
    }
}

struct Run<'o> {
    options: &'o IngestOptions,
    progress: &'o dyn Progress,
    report: IngestReport,
    jobs: Vec<Job>,
    /// Chunks that were committed, to be filled again.
    spare: Mutex<Vec<Chunk>>,
}

/// What reading a file into a chunk brought.
enum Outcome {
    Stopped,
    Lost(String),
    Unchanged,
    /// It has to be read in parts.
    Large,
    /// There was no room left beside the files before it.
    Later,
    Read,
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
        let mut run =
            Self { options, progress, report: IngestReport::default(), jobs: Vec::new(), spare: Mutex::default() };
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
                let before = known.get(&path_text(&found.path));
                // What was read as an export is read again where it is now declared complete.
                let before = before.filter(|known| !(options.complete && known.export));
                let same = before.is_some_and(|known| (known.size, known.mtime) == (found.size, found.mtime));
                if !same && planned.insert(found.path.clone()) {
                    run.jobs.push(Job { found, source, known_hash: before.map(|known| known.hash.clone()) });
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
        let mut jobs: VecDeque<Job> = std::mem::take(&mut self.jobs).into();
        while let Some(job) = jobs.pop_front() {
            if self.stopped() {
                self.report.interrupted = true;
                return Ok(());
            }
            if job.text_bytes() > self.options.large_bytes {
                let mut large = vec![job];
                while large.len() < LARGE_FILES
                    && let Some(next) = jobs.pop_front_if(|next| next.text_bytes() > self.options.large_bytes)
                {
                    large.push(next);
                }
                self.read_large(&large.iter().collect::<Vec<_>>(), writer)?;
                self.relieve(writer, CROWD)?;
                continue;
            }
            let mut bytes = job.text_bytes();
            let mut batch = vec![job];
            while batch.len() < self.options.batch_files
                && let Some(next) = jobs.front().map(Job::text_bytes)
                && next <= self.options.large_bytes
                && bytes + next <= self.options.batch_bytes.saturating_mul(TEXT_PER_HELD)
            {
                bytes += next;
                batch.extend(jobs.pop_front());
            }
            for later in self.read_batch(batch, writer)?.into_iter().rev() {
                jobs.push_front(later);
            }
            if self.report.interrupted {
                return Ok(());
            }
            self.relieve(writer, CROWD)?;
        }
        Ok(())
    }

    /// Merges files in the midst of a long run, so that commits, listings and queries stay what they are however much
    /// comes in.
    fn relieve(&self, writer: &mut Writer, crowd: usize) -> Result<(), LakeError> {
        let few = self.options.compact_over;
        if !self.stopped() && writer.is_crowded(few.saturating_mul(crowd))? {
            // Merging wants memory of its own.
            self.spare().clear();
            writer.compact_until(Effort::Needed(few), self.options.now, &self.options.stop)?;
        }
        Ok(())
    }

    /// Reads files and commits them; returns those for which there was no room. There is for the first.
    fn read_batch(&mut self, jobs: Vec<Job>, writer: &mut Writer) -> Result<Vec<Job>, LakeError> {
        let next = AtomicUsize::new(0);
        let bytes: u64 = jobs.iter().map(Job::text_bytes).sum();
        let chunks = (bytes / MIN_CHUNK_BYTES).clamp(1, rayon::current_num_threads() as u64) as usize;
        let budget = Budget::new(self.options);
        let read: Vec<(Chunk, Vec<(usize, Outcome)>)> =
            (0..chunks).into_par_iter().with_max_len(1).map(|_| self.fill(&jobs, &next, &budget)).collect();
        let mut chunks = Vec::with_capacity(read.len());
        let (mut touched, mut large, mut later) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (chunk, outcomes) in read {
            for (at, outcome) in outcomes {
                let Some(job) = jobs.get(at) else { continue };
                match outcome {
                    Outcome::Stopped => self.report.interrupted = true,
                    Outcome::Lost(reason) => self.lose(job, reason),
                    Outcome::Unchanged => touched.push((job.found.clone(), job.known_hash.clone().unwrap_or_default())),
                    Outcome::Large => large.push(at),
                    Outcome::Later => drop(later.insert(at)),
                    Outcome::Read => {}
                }
            }
            chunks.push(chunk);
        }
        if self.report.interrupted {
            return Ok(Vec::new());
        }
        if !touched.is_empty() {
            writer.touch(&touched)?;
        }
        if chunks.iter().any(|chunk| !chunk.files.is_empty()) {
            let counts = writer.commit(&chunks, self.options.now)?;
            for (file, own) in chunks.iter().flat_map(|chunk| &chunk.files).zip(counts.iter().flatten()) {
                let source = jobs.get(file.job).map_or(0, |job| job.source);
                self.count(source, file.end.as_ref(), own);
            }
        }
        chunks.iter_mut().for_each(Chunk::clear);
        self.spare().append(&mut chunks);
        large.sort_unstable();
        let large: Vec<&Job> = large.into_iter().filter_map(|at| jobs.get(at)).collect();
        self.read_large(&large, writer)?;
        let taken = next.into_inner();
        let left = jobs.into_iter().enumerate().filter(|(at, _)| *at >= taken || later.contains(at));
        Ok(left.map(|(_, job)| job).collect())
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Chunk>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunk(&self) -> Chunk {
        let spare = self.spare().pop();
        spare.unwrap_or_else(|| Chunk::new(self.options.slim).declared(self.options.complete))
    }

    /// Reads files into one chunk until there are none left, or all chunks together hold enough.
    fn fill(&self, jobs: &[Job], next: &AtomicUsize, budget: &Budget) -> (Chunk, Vec<(usize, Outcome)>) {
        let mut chunk = self.chunk();
        let mut outcomes = Vec::new();
        let mut room = Limit { budget, told: 0 };
        while budget.has_room() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { break };
            if self.stopped() {
                outcomes.push((at, Outcome::Stopped));
                break;
            }
            let before = chunk.rows.len();
            chunk.begin(&job.found, at);
            let outcome = match read(&job.found, job.known_hash.as_deref(), &mut chunk, &mut room) {
                Ok(end) if end.unchanged => Outcome::Unchanged,
                Ok(end) => {
                    chunk.end(end);
                    Outcome::Read
                }
                Err(ReadError::File(error)) => Outcome::Lost(error.to_string()),
                Err(ReadError::Full(TooLarge)) if chunk.files.len() == 1 => Outcome::Large,
                Err(ReadError::Full(TooLarge)) => Outcome::Later,
            };
            if !matches!(outcome, Outcome::Read) {
                chunk.forget();
            }
            room.tell(&chunk);
            let full = matches!(outcome, Outcome::Later);
            if !matches!(outcome, Outcome::Large | Outcome::Later) {
                self.progress.more(0, (chunk.rows.len() - before) as u64);
                self.progress.file_done(&job.found.path, job.found.size);
            }
            outcomes.push((at, outcome));
            if full {
                break;
            }
        }
        (chunk, outcomes)
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
        row.pruned += own.pruned;
        if let Some(end) = end {
            row.new_files += 1;
            row.incomplete += u64::from(!end.whole);
            row.changing += u64::from(own.changing);
            match end.kind {
                FileKind::Log => {}
                FileKind::Digest => row.digests += 1,
                FileKind::Insight => row.insights += 1,
                FileKind::NetworkActivity => row.network_activity += 1,
            }
        }
    }

    fn read_large(&mut self, jobs: &[&Job], writer: &mut Writer) -> Result<(), LakeError> {
        let files: Vec<Large<'_>> = jobs.iter().map(|job| job.large()).collect();
        let mut ends = Vec::with_capacity(jobs.len());
        let how = (self.options, self.progress);
        read_large(
            &files,
            writer,
            how,
            || self.chunk(),
            |at, ended, counts| {
                ends.extend(jobs.get(at).map(|job| (*job, ended, counts)));
            },
        )?;
        for (job, ended, counts) in ends {
            match ended {
                Ended::Unchanged => {}
                Ended::Read(end) => self.count(job.source, Some(&end), &counts),
                Ended::Lost(reason) => {
                    self.count(job.source, None, &counts);
                    self.lose(job, reason);
                }
                Ended::Stopped => {
                    self.count(job.source, None, &counts);
                    self.report.interrupted = true;
                }
            }
        }
        Ok(())
    }
}

/// There is no room for more of a file within its batch.
struct TooLarge;

/// How much the chunks of a batch hold together. Batches are planned by the size of files, from which what they hold
/// cannot be told: gzip packs up to a thousandfold.
struct Budget {
    held: AtomicUsize,
    /// No file is begun beyond this.
    enough: usize,
    /// No file goes on beyond this.
    most: usize,
}

impl Budget {
    fn new(options: &IngestOptions) -> Self {
        let enough = usize::try_from(options.batch_bytes).unwrap_or(usize::MAX).min(MAX_CHUNK_BYTES);
        Self { held: AtomicUsize::new(0), enough, most: enough + enough / 2 }
    }

    fn has_room(&self) -> bool {
        self.held.load(Ordering::Relaxed) <= self.enough
    }
}

/// The part of a batch's budget that one chunk takes.
struct Limit<'b> {
    budget: &'b Budget,
    /// Bytes of the chunk that the budget was told of.
    told: usize,
}

impl Limit<'_> {
    fn tell(&mut self, chunk: &Chunk) {
        let bytes = chunk.bytes();
        if bytes >= self.told {
            self.budget.held.fetch_add(bytes - self.told, Ordering::Relaxed);
        } else {
            self.budget.held.fetch_sub(self.told - bytes, Ordering::Relaxed);
        }
        self.told = bytes;
    }
}

impl Room for Limit<'_> {
    type Error = TooLarge;

    fn after(&mut self, chunk: &mut Chunk) -> Result<(), TooLarge> {
        if chunk.bytes() < self.told + TELL_BYTES {
            return Ok(());
        }
        self.tell(chunk);
        if self.budget.held.load(Ordering::Relaxed) > self.budget.most { Err(TooLarge) } else { Ok(()) }
    }
}
