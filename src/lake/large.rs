//! Files that do not fit in memory: their events are committed in parts, the file with the last one. While one part is
//! committed the next is read.
//!
//! Parts come in the order of the files and of their events, so a store is the same however long each step takes. After
//! an interruption a file is read again, and what is there already is known by its ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::chunk::{Chunk, MAX_CHUNK_BYTES, Origin};
use super::error::LakeError;
use super::ingest::{IngestOptions, Progress};
use super::source::find::Found;
use super::source::read::{FileEnd, ReadError, Room, read};
use super::writer::{Counts, Writer};

/// Chunks in use: one is read into while the other is committed.
const CHUNKS: usize = 2;
/// Events, and bytes of a file, that are read before somebody is told.
const TELL_EVENTS: usize = 4096;
const TELL_BYTES: u64 = 4 << 20;

/// A large file: where it is, and the hash of its content as last read.
pub(super) struct Large<'j> {
    pub found: &'j Found,
    pub known_hash: Option<&'j str>,
}

/// How reading a large file ended.
pub(super) enum Ended {
    /// It was read to its end.
    Read(FileEnd),
    /// It is what it was.
    Unchanged,
    /// It cannot be read, or no further.
    Lost(String),
    /// The run was asked to stop.
    Stopped,
}

/// What the reading thread hands over.
enum Step {
    /// A full chunk; more of the file is to come.
    Part(Chunk),
    /// The rest of a file, how it ended, and how many of its bytes were told of.
    End(Chunk, Ended, u64),
}

/// Reads files and commits them, one after the other; `each` is told of every file that was begun, in their order, what
/// it brought. `chunk` makes one that is empty.
///
/// # Errors
/// When a part cannot be committed.
pub(super) fn read_large(
    files: &[Large<'_>],
    writer: &mut Writer,
    (options, progress): (&IngestOptions, &dyn Progress),
    chunk: impl Fn() -> Chunk,
    mut each: impl FnMut(usize, Ended, Counts),
) -> Result<(), LakeError> {
    if files.is_empty() {
        return Ok(());
    }
    // A single thread reads and commits by turns.
    let chunks = CHUNKS.min(rayon::current_num_threads().max(1));
    let (steps, taken) = channel();
    let (emptied, empty) = channel();
    for _ in 0..chunks {
        // The other end is here, too.
        let _ = emptied.send(chunk());
    }
    let limit = usize::try_from(options.batch_bytes / chunks as u64).unwrap_or(usize::MAX).min(MAX_CHUNK_BYTES);
    std::thread::scope(|scope| {
        let (taken, emptied): (Receiver<Step>, Sender<Chunk>) = (taken, emptied);
        let reader = Reader { options, progress, limit, steps, empty };
        scope.spawn(move || reader.read_all(files));
        // Both ends are dropped with this closure's return, early or not, and the reader ends with them.
        commit_all(files, writer, (options, progress), &taken, &emptied, &mut each)
    })
}

/// Reads files into chunks, and hands these over.
struct Reader<'r> {
    options: &'r IngestOptions,
    progress: &'r dyn Progress,
    /// Bytes that a chunk holds when it is handed over.
    limit: usize,
    steps: Sender<Step>,
    empty: Receiver<Chunk>,
}

impl Reader<'_> {
    /// Ends when nobody takes what is read any more.
    fn read_all(&self, files: &[Large<'_>]) {
        for file in files {
            let Ok(mut chunk) = self.empty.recv() else { return };
            chunk.begin(file.found, 0);
            let mut parts = Parts { reader: self, found: file.found, position: Arc::default(), told: (0, 0) };
            let ended = match read(file.found, file.known_hash, &mut chunk, &mut parts) {
                Ok(end) => Ended::Read(end),
                Err(ReadError::File(error)) => Ended::Lost(error.to_string()),
                Err(ReadError::Full(Halt)) => Ended::Stopped,
            };
            parts.tell(&chunk);
            let stopped = matches!(ended, Ended::Stopped);
            if self.steps.send(Step::End(chunk, ended, parts.told.0)).is_err() || stopped {
                return;
            }
        }
    }
}

fn commit_all(
    files: &[Large<'_>],
    writer: &mut Writer,
    (options, progress): (&IngestOptions, &dyn Progress),
    taken: &Receiver<Step>,
    emptied: &Sender<Chunk>,
    each: &mut dyn FnMut(usize, Ended, Counts),
) -> Result<(), LakeError> {
    let (mut at, mut sum) = (0, Counts::default());
    while at < files.len() {
        let Ok(step) = taken.recv() else { break };
        let mut chunk = match step {
            // Without it the rest of the file is not to be committed either.
            Step::Part(_) if options.stop.load(Ordering::Relaxed) => {
                each(at, Ended::Stopped, sum);
                return Ok(());
            }
            Step::Part(mut chunk) => {
                commit(writer, options, &mut chunk, &mut sum)?;
                chunk
            }
            Step::End(mut chunk, ended, told) => {
                let ended = match ended {
                    Ended::Read(end) if end.unchanged => {
                        if let Some(file) = files.get(at) {
                            writer.touch(&[(file.found.clone(), end.hash)])?;
                        }
                        Ended::Unchanged
                    }
                    Ended::Read(end) => {
                        chunk.end(end.clone());
                        commit(writer, options, &mut chunk, &mut sum)?;
                        Ended::Read(end)
                    }
                    other => other,
                };
                if let Some(Large { found, .. }) = files.get(at) {
                    progress.file_done(&found.path, found.size.saturating_sub(told));
                }
                each(at, ended, std::mem::take(&mut sum));
                at += 1;
                chunk
            }
        };
        chunk.clear();
        // Nobody wants it where all is read.
        let _ = emptied.send(chunk);
    }
    Ok(())
}

/// Commits a part of a file, of which parts with these counts were committed before, and adds its own.
fn commit(writer: &mut Writer, options: &IngestOptions, chunk: &mut Chunk, sum: &mut Counts) -> Result<(), LakeError> {
    if let Some(file) = chunk.files.last_mut() {
        file.before = *sum;
    }
    let counts = writer.commit(std::slice::from_ref(chunk), options.now)?;
    counts.iter().flatten().for_each(|own| sum.add(own));
    Ok(())
}

/// Reading is to end.
struct Halt;

/// Hands the chunks of a file over as they fill.
struct Parts<'r> {
    reader: &'r Reader<'r>,
    found: &'r Found,
    /// Bytes of the file that were read from the disk.
    position: Arc<AtomicU64>,
    /// Of these, those that were told of; and events of the chunk at hand.
    told: (u64, usize),
}

impl Parts<'_> {
    fn tell(&mut self, chunk: &Chunk) {
        // Who reads a file that grows reads more than was found.
        let position = self.position.load(Ordering::Relaxed).min(self.found.size);
        let (bytes, events) = self.told;
        self.told = (position.max(bytes), chunk.rows.len());
        self.reader.progress.more(position.saturating_sub(bytes), chunk.rows.len().saturating_sub(events) as u64);
    }
}

impl Room for Parts<'_> {
    type Error = Halt;

    fn after(&mut self, chunk: &mut Chunk) -> Result<(), Halt> {
        let Reader { options, limit, steps, empty, .. } = self.reader;
        if options.stop.load(Ordering::Relaxed) {
            return Err(Halt);
        }
        let full = chunk.bytes() > *limit;
        let (bytes, events) = self.told;
        let position = self.position.load(Ordering::Relaxed);
        if full || chunk.rows.len() >= events + TELL_EVENTS || position >= bytes + TELL_BYTES {
            self.tell(chunk);
        }
        if !full {
            return Ok(());
        }
        let whole = chunk.files.last().is_some_and(|file| file.origin == Origin::Whole);
        // With one chunk only it is this one that comes back.
        steps.send(Step::Part(std::mem::take(chunk))).map_err(|_| Halt)?;
        *chunk = empty.recv().map_err(|_| Halt)?;
        self.told.1 = 0;
        chunk.resume(self.found, 0, Counts::default(), false);
        chunk.set_origin(whole);
        Ok(())
    }

    fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }
}
