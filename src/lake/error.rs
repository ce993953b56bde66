//! What working with a store can fail with.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// An error of the store or of its inputs as a whole; single bad records never are.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The disk or quota is full. The store stands at its last complete generation.
    #[error("cannot write {path}: no space left; the store stays at its last complete generation")]
    NoSpace {
        /// What was being written.
        path: PathBuf,
    },
    /// A file or folder of the store cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The store lies where nothing can be written, and its manifest has to be written before it can be read.
    #[error(
        "the store {path} cannot be written here, and the last changes of its manifest are still in {path}/manifest.sqlite-wal; \
         copy all of it, or open it once where it can be written"
    )]
    Sealed {
        /// The store.
        path: PathBuf,
    },
    /// A path given to ingest does not exist.
    #[error("cannot read {path}: {source}")]
    Input {
        /// The path as given.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The manifest refuses.
    #[error("manifest {path}: {source}")]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A Parquet file cannot be made or understood.
    #[error("{path}: {reason}")]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A query over the store's files needs more memory than it may have, and cannot spill it.
    #[error("{path}: {reason}")]
    Memory {
        /// What was being read or written.
        path: PathBuf,
        /// What DuckDB says.
        reason: String,
    },
    /// Another process writes.
    #[error("the store {path} is being written by {holder}; wait for it to end (an ingest does so with --wait)")]
    Locked {
        /// The store.
        path: PathBuf,
        /// Process id and command, as the holder wrote them.
        holder: String,
    },
    /// The caller asked to stop while waiting for the lock.
    #[error("stopped while waiting for the store {path}")]
    Stopped {
        /// The store.
        path: PathBuf,
    },
    /// The store was written by a newer program.
    #[error("the store {path} has format {found}; this program knows formats up to {known}: use a newer jitscan")]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The store was written by an older program, in a form that is no longer read.
    #[error(
        "the store {path} has format {found}; this program knows format {known} only: ingest the logs into a new store"
    )]
    Older {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format known here.
        known: u32,
    },
    /// A store cannot stand there.
    #[error(
        "a store cannot stand at {}: the path must be UTF-8 and without `*`, `?` and `[`, which DuckDB takes for \
         patterns; name another folder", path.display()
    )]
    Place {
        /// Where it was to stand.
        path: PathBuf,
    },
    /// There is no store.
    #[error("there is no store at {path}; ingest something first, or name another with --store")]
    Missing {
        /// Where one was expected.
        path: PathBuf,
    },
    /// The store holds something that it should not.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A thread pool could not be made.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        reason: String,
    },
}

impl LakeError {
    /// Whether the place is mounted so that nobody can write there.
    pub(crate) fn is_of_read_only(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
    }

    /// An input/output error, told apart where the disk is full.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::NoSpace { path },
            _ => Self::Io { action, path, source },
        }
    }

    /// An error of SQLite, told apart where the disk is full.
    pub(crate) fn manifest(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::NoSpace { path: path.to_owned() },
            _ => Self::Manifest { path: path.to_owned(), source },
        }
    }
}
