//! The journals of plans on the disk: each record is there before what it announces is done, and names the hash of the one
//! before it, so that one which was changed or taken out from among others is found; that the last ones are missing is not.
//!
//! A line that was being written when the program died has no end: it announced nothing yet, and goes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::time::Timestamp;
use crate::remediate::journal::{Journal, JournalError, Line, Record};

fn disk(path: &Path) -> impl Fn(io::Error) -> JournalError + '_ {
    move |source| JournalError::Disk { path: path.to_owned(), source }
}

/// The folder of everything that plans did, in which one process at a time works.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    clock: fn() -> Timestamp,
    _lock: File,
}

/// Name of the file of a plan's journal.
const JOURNAL: &str = "journal.jsonl";
/// Name of the file of the plan itself.
pub const PLAN: &str = "plan.json";
/// Name of the lock.
const LOCK: &str = "lock";
/// Bytes read of what the holder wrote into the lock.
const HOLDER_BYTES: u64 = 512;

fn file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn folder(path: &Path) -> Result<(), JournalError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(disk(path))?;
    let parent = path.parent().unwrap_or(path);
    for one in [parent, path] {
        File::open(one).and_then(|folder| folder.sync_all()).map_err(disk(one))?;
    }
    Ok(())
}

impl Ledger {
    /// Opens it for work, or says who is at it.
    ///
    /// # Errors
    /// When another process is at work, or the folder cannot be written.
    pub fn open(path: &Path, clock: fn() -> Timestamp) -> Result<Self, JournalError> {
        folder(path)?;
        let name = path.join(LOCK);
        let mut lock = file(&name).map_err(disk(&name))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&mut lock).take(HOLDER_BYTES).read_to_string(&mut text);
                let holder = text.lines().next().filter(|line| !line.is_empty()).unwrap_or("another process");
                return Err(JournalError::Busy { path: name, holder: holder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(JournalError::Disk { path: name, source }),
        }
        let command: Vec<String> = std::env::args_os().take(3).map(|arg| arg.to_string_lossy().into_owned()).collect();
        let text = format!("process {} ({})\n", std::process::id(), command.join(" "));
        // Who reads it meanwhile finds a whole line: this one, or the last one's.
        let written = lock
            .seek(SeekFrom::Start(0))
            .and_then(|_| lock.write_all(text.as_bytes()))
            .and_then(|()| lock.set_len(text.len() as u64));
        written.map_err(disk(&name))?;
        Ok(Self { folder: path.to_owned(), clock, _lock: lock })
    }

    /// The journal of a plan, begun where there is none; `text` is the plan, kept beside it.
    ///
    /// # Errors
    /// When it cannot be written, or is not as it was written.
    pub fn journal(&self, hash: &str, text: &str) -> Result<OnDisk, JournalError> {
        let folder_of = self.folder.join(hash);
        folder(&folder_of)?;
        let plan = folder_of.join(PLAN);
        if std::fs::read_to_string(&plan).ok().as_deref() != Some(text) {
            let temporary = folder_of.join(".plan.json.part");
            let written = (|| {
                let mut out = file(&temporary)?;
                out.set_len(0)?;
                out.write_all(text.as_bytes())?;
                out.sync_all()?;
                std::fs::rename(&temporary, &plan)?;
                File::open(&folder_of)?.sync_all()
            })();
            written.map_err(disk(&plan))?;
        }
        OnDisk::open(&folder_of.join(JOURNAL), self.clock)
    }
}

/// What plans did, as the folder tells it, for whoever only reads: hash of the plan, its text and its journal, by hash. A
/// record that is being written does not count yet.
///
/// # Errors
/// When something cannot be read, or is not as it was written.
pub fn journals(path: &Path) -> Result<Vec<(String, String, Vec<Line>)>, JournalError> {
    let mut out = Vec::new();
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(out),
        Err(error) => return Err(disk(path)(error)),
    };
    for entry in entries {
        let folder = entry.map_err(disk(path))?.path();
        let (plan, journal) = (folder.join(PLAN), folder.join(JOURNAL));
        if !plan.is_file() || !journal.is_file() {
            continue;
        }
        let hash = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&plan).map_err(disk(&plan))?;
        let recorded = std::fs::read(&journal).map_err(disk(&journal))?;
        out.push((hash, text, parse(&journal, whole(&recorded))?));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// A journal on the disk.
#[derive(Debug)]
pub struct OnDisk {
    path: PathBuf,
    file: File,
    lines: Vec<Line>,
    last: String,
    clock: fn() -> Timestamp,
}

fn hash(line: &[u8]) -> String {
    blake3::hash(line).to_hex().to_string()
}

/// Up to the last end of a line.
fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Line>, JournalError> {
    let (mut out, mut after) = (Vec::new(), String::new());
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let changed = |why: String| JournalError::Changed { path: path.to_owned(), line: at + 1, why };
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let read: Line = serde_json::from_slice(text).map_err(|error| changed(error.to_string()))?;
        if read.number != at as u64 || read.after != after {
            return Err(changed("it does not follow the line before it".to_owned()));
        }
        after = hash(text);
        out.push(read);
    }
    Ok(out)
}

impl OnDisk {
    fn open(path: &Path, clock: fn() -> Timestamp) -> Result<Self, JournalError> {
        let failed = disk(path);
        let mut file = file(path).map_err(&failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(&failed)?;
        let kept = whole(&bytes);
        let lines = parse(path, kept)?;
        if kept.len() < bytes.len() {
            file.set_len(kept.len() as u64).and_then(|()| file.sync_all()).map_err(&failed)?;
        }
        file.seek(SeekFrom::End(0)).map_err(&failed)?;
        if let Some(parent) = path.parent() {
            File::open(parent).and_then(|folder| folder.sync_all()).map_err(&failed)?;
        }
        let last = kept.strip_suffix(b"\n").and_then(|text| text.rsplit(|byte| *byte == b'\n').next());
        let last = last.map(hash).unwrap_or_default();
        Ok(Self { path: path.to_owned(), file, lines, last, clock })
    }
}

impl Journal for OnDisk {
    fn lines(&self) -> &[Line] {
        &self.lines
    }

    fn write(&mut self, record: Record) -> Result<(), JournalError> {
        let line = Line { number: self.lines.len() as u64, at: (self.clock)(), after: self.last.clone(), record };
        let failed = disk(&self.path);
        let mut text = serde_json::to_vec(&line).map_err(|error| failed(io::Error::other(error)))?;
        let next = hash(&text);
        text.push(b'\n');
        // One write: what is cut off has no end, and goes when the journal is opened again.
        self.file.write_all(&text).and_then(|()| self.file.sync_data()).map_err(failed)?;
        self.last = next;
        self.lines.push(line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remediate::place::Value;

    fn record(step: usize) -> Record {
        Record::Doing { step, before: Value::Document("{\n}".to_owned()) }
    }

    #[test]
    fn a_record_that_was_cut_off_goes_and_one_that_was_changed_is_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("changes");
        {
            let ledger = Ledger::open(&folder, Timestamp::default).unwrap();
            let mut journal = ledger.journal("h", "plan").unwrap();
            for step in 0..3 {
                journal.write(record(step)).unwrap();
            }
            // Another one is told who is at work.
            let busy = Ledger::open(&folder, Timestamp::default).unwrap_err();
            assert!(matches!(&busy, JournalError::Busy { holder, .. } if holder.contains("process")), "{busy}");
        }
        let path = folder.join("h").join(JOURNAL);
        let text = std::fs::read(&path).unwrap();
        // Cut off anywhere, it holds the records before the cut, and goes on.
        for end in 0..=text.len() {
            std::fs::write(&path, &text[..end]).unwrap();
            let ledger = Ledger::open(&folder, Timestamp::default).unwrap();
            let mut journal = ledger.journal("h", "plan").unwrap();
            let kept = text[..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(journal.lines().len(), kept, "{end}");
            journal.write(record(9)).unwrap();
            drop(journal);
            assert_eq!(ledger.journal("h", "plan").unwrap().lines().len(), kept + 1, "{end}");
        }
        // A line taken out, or changed.
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let changed = String::from_utf8(text.clone()).unwrap().replacen("\"step\":1", "\"step\":7", 1).into_bytes();
        for bad in [[lines[0], lines[2]].concat(), lines[1..].concat(), changed] {
            std::fs::write(&path, bad).unwrap();
            let found = Ledger::open(&folder, Timestamp::default).unwrap().journal("h", "plan").unwrap_err();
            assert!(matches!(found, JournalError::Changed { .. }), "{found}");
            assert!(journals(&folder).is_err());
        }
        std::fs::write(&path, &text).unwrap();
        assert_eq!(journals(&folder).unwrap()[0].2.len(), 3);
    }
}
