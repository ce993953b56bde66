//! The manifest: which files make up the store, what was ingested, what was set aside. One SQLite database in WAL
//! mode; a generation is one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::error::LakeError;
use super::{FORMAT, disk};
use crate::model::time::Timestamp;

/// How long to wait for SQLite's own locks, which are held for milliseconds.
const BUSY: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generations (
    id INTEGER PRIMARY KEY, committed_at INTEGER NOT NULL, program TEXT NOT NULL, events INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL,
    account TEXT NOT NULL, region TEXT NOT NULL, delivered INTEGER, read INTEGER NOT NULL, stored INTEGER NOT NULL,
    duplicates INTEGER NOT NULL, conflicts INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    first INTEGER, last INTEGER, status TEXT NOT NULL, origin TEXT NOT NULL, management INTEGER NOT NULL,
    generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS digests (
    path TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, trail TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, log_files INTEGER NOT NULL,
    names BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    reason TEXT NOT NULL, hash TEXT NOT NULL, raw BLOB, generation INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS quarantine_file ON quarantine (file);
CREATE TABLE IF NOT EXISTS parts (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, month TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    hash TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, fold_version INTEGER NOT NULL,
    generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS id_runs (
    account TEXT NOT NULL, hour INTEGER NOT NULL, pack TEXT NOT NULL, offset INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (account, hour, pack)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packs (
    name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, hash TEXT NOT NULL, generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archive (
    path TEXT NOT NULL, hash TEXT NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, last INTEGER,
    generation INTEGER NOT NULL, PRIMARY KEY (path, hash)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, captured_at INTEGER NOT NULL,
    source TEXT NOT NULL, hash TEXT NOT NULL, bytes INTEGER NOT NULL, generation INTEGER NOT NULL,
    UNIQUE (kind, account, captured_at, hash));
CREATE TABLE IF NOT EXISTS state (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, generation INTEGER NOT NULL) WITHOUT ROWID;
";

/// A Parquet file of the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// `events`, `usage`, `shapes`, `sessions`, `issued` or `coverage`.
    pub kind: String,
    /// `2023-07`.
    pub month: String,
    /// Path within the store.
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub hash: String,
    /// First and last event of which it speaks, in microseconds.
    pub first: i64,
    pub last: i64,
    pub fold_version: u32,
    pub generation: i64,
}

/// What is known of a file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownFile {
    pub size: u64,
    /// Modification time in nanoseconds.
    pub mtime: i64,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// It was read as an export that nobody declared complete.
    pub export: bool,
}

/// The open manifest.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub connection: Connection,
    pub path: PathBuf,
}

/// A database as a URI by which SQLite takes it for a file that nobody changes. Source: "Uniform Resource Identifiers"
/// (SQLite).
fn immutable(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_');
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let text: String =
        bytes.map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect();
    format!("file:{text}?immutable=1")
}

/// What a manifest says about the store's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// The database is empty.
    Absent,
    /// It is somebody else's, or from a program that marks it otherwise.
    Unreadable,
    /// A number.
    Known(u32),
}

impl Manifest {
    /// Opens the manifest of a store and makes it where `create` says so.
    pub(crate) fn open(store: &Path, create: bool) -> Result<Self, LakeError> {
        let path = store.join("manifest.sqlite");
        if create {
            if !path.exists() {
                Self::refuse_orphans(store, &path)?;
            }
            // SQLite gives its side files the mode of the database.
            drop(disk::touch(&path)?);
        } else if !path.is_file() {
            return Err(LakeError::Missing { path: store.to_owned() });
        }
        let fail = |e| LakeError::manifest(&path, e);
        let connection = Connection::open(&path).map_err(fail)?;
        connection.busy_timeout(BUSY).map_err(fail)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=ON;",
            )
            .map_err(fail)?;
        let mut format = Self::format(&connection).map_err(fail)?;
        if format == Mark::Absent {
            Self::refuse_orphans(store, &path)?;
        }
        if create && matches!(format, Mark::Absent | Mark::Known(FORMAT)) {
            // Tables that a format gained since the store was made are added to it.
            connection
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE; {SCHEMA} INSERT OR IGNORE INTO kv VALUES ('format', '{FORMAT}'); COMMIT;"
                ))
                .map_err(fail)?;
            format = Mark::Known(FORMAT);
        }
        Self::of_format(format, store, connection, path)
    }

    /// Opens the manifest of a store that cannot be written: as it stands in the file, of which SQLite otherwise wants to
    /// make an index beside it.
    ///
    /// # Errors
    /// As [`Manifest::open`], and where its last changes are still beside it.
    pub(crate) fn open_sealed(store: &Path) -> Result<Self, LakeError> {
        let path = store.join(disk::MANIFEST);
        let ahead = std::fs::metadata(store.join(format!("{}-wal", disk::MANIFEST)));
        if ahead.is_ok_and(|ahead| ahead.len() > 0) {
            return Err(LakeError::Sealed { path: store.to_owned() });
        }
        let fail = |e| LakeError::manifest(&path, e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let absolute = std::path::absolute(&path).map_err(|e| LakeError::io("find", &path, e))?;
        let connection = Connection::open_with_flags(immutable(&absolute), flags).map_err(fail)?;
        let format = Self::format(&connection).map_err(fail)?;
        Self::of_format(format, store, connection, path)
    }

    fn of_format(format: Mark, store: &Path, connection: Connection, path: PathBuf) -> Result<Self, LakeError> {
        match format {
            Mark::Known(found) if found > FORMAT => {
                Err(LakeError::Newer { path: store.to_owned(), found, known: FORMAT })
            }
            Mark::Known(found) if found < FORMAT => {
                Err(LakeError::Older { path: store.to_owned(), found, known: FORMAT })
            }
            Mark::Known(_) => Ok(Self { connection, path }),
            Mark::Absent => Err(LakeError::Missing { path: store.to_owned() }),
            // Never written anew: what this program does not understand may be newer than it.
            Mark::Unreadable => {
                let reason = format!("it does not say which format it has; expected a number, such as {FORMAT}");
                Err(LakeError::Damaged { path, reason })
            }
        }
    }

    /// A store whose manifest is gone, or a folder of somebody else's: a new manifest would name none of the files
    /// there, and what no manifest names is swept.
    fn refuse_orphans(store: &Path, path: &Path) -> Result<(), LakeError> {
        if !disk::holds_files(store)? {
            return Ok(());
        }
        let reason = format!(
            "it is missing or empty, but {} of {} hold files; bring it back, or name another folder",
            disk::FOLDERS.join(", "),
            store.display()
        );
        Err(LakeError::Damaged { path: path.to_owned(), reason })
    }

    fn format(connection: &Connection) -> rusqlite::Result<Mark> {
        let (tables, known): (i64, i64) = connection.query_row(
            "SELECT count(*), coalesce(sum(name = 'kv'), 0) FROM sqlite_master WHERE type = 'table'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if tables == 0 {
            return Ok(Mark::Absent);
        }
        if known == 0 {
            return Ok(Mark::Unreadable);
        }
        let value: Option<String> =
            connection.query_row("SELECT value FROM kv WHERE key = 'format'", [], |row| row.get(0)).optional()?;
        Ok(value.and_then(|text| text.parse().ok()).map_or(Mark::Unreadable, Mark::Known))
    }

    pub(crate) fn fail(&self) -> impl Fn(rusqlite::Error) -> LakeError + use<> {
        let path = self.path.clone();
        move |error| LakeError::manifest(&path, error)
    }

    /// The last complete generation; zero for an empty store.
    pub(crate) fn generation(&self) -> Result<i64, LakeError> {
        self.connection
            .query_row("SELECT coalesce(max(id), 0) FROM generations", [], |row| row.get(0))
            .map_err(self.fail())
    }

    /// Every Parquet file, by kind, month and name.
    pub(crate) fn parts(&self) -> Result<Vec<Part>, LakeError> {
        let read = || {
            let mut statement = self.connection.prepare(
                "SELECT kind, month, name, rows, bytes, first, last, fold_version, generation, hash
                 FROM parts ORDER BY kind, month, name",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Part {
                    kind: row.get(0)?,
                    month: row.get(1)?,
                    name: row.get(2)?,
                    rows: count(row, 3)?,
                    bytes: count(row, 4)?,
                    first: row.get(5)?,
                    last: row.get(6)?,
                    fold_version: row.get(7)?,
                    generation: row.get(8)?,
                    hash: row.get(9)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<Part>>>()
        };
        read().map_err(self.fail())
    }

    /// Every file that was read, by path.
    pub(crate) fn known_files(&self) -> Result<BTreeMap<String, KnownFile>, LakeError> {
        let read = || {
            let mut statement =
                self.connection.prepare("SELECT path, size, mtime, hash, origin = 'export' FROM files")?;
            let rows = statement.query_map([], |row| {
                let known =
                    KnownFile { size: count(row, 1)?, mtime: row.get(2)?, hash: row.get(3)?, export: row.get(4)? };
                Ok((row.get(0)?, known))
            })?;
            rows.collect::<rusqlite::Result<BTreeMap<String, KnownFile>>>()
        };
        read().map_err(self.fail())
    }

    /// The id runs of a cell as (pack, offset, count).
    pub(crate) fn runs(&self, account: &str, hour: i32) -> Result<Vec<(String, u64, u64)>, LakeError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached("SELECT pack, offset, count FROM id_runs WHERE account = ?1 AND hour = ?2")?;
            let rows =
                statement.query_map(params![account, hour], |row| Ok((row.get(0)?, count(row, 1)?, count(row, 2)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, u64, u64)>>>()
        };
        read().map_err(self.fail())
    }

    /// Before which time events were pruned; none where they never were.
    pub(crate) fn pruned_before(&self) -> Result<Option<Timestamp>, LakeError> {
        let text: Option<String> = self
            .connection
            .query_row("SELECT value FROM kv WHERE key = 'pruned_before'", [], |row| row.get(0))
            .optional()
            .map_err(self.fail())?;
        match text.map(|text| text.parse::<i64>().map_err(|_| text)).transpose() {
            Ok(micros) => Ok(micros.map(Timestamp::from_micros)),
            Err(text) => {
                let reason = format!("`pruned_before` is `{}`; expected microseconds", text.escape_default());
                Err(LakeError::Damaged { path: self.path.clone(), reason })
            }
        }
    }

    /// Log files that speak of nothing but what was pruned.
    pub(crate) fn pruned_files(&self) -> Result<BTreeSet<String>, LakeError> {
        let before = self.pruned_before()?.map_or(i64::MIN, Timestamp::micros);
        let read = || {
            let mut statement = self.connection.prepare(OLD_FILES)?;
            statement.query_map([before], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<String>>>()
        };
        read().map_err(self.fail())
    }

    /// Empties the write-ahead log, which holds what was deleted; false where a reader keeps it from that.
    pub(crate) fn forget_deleted(&self) -> Result<bool, LakeError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
            .map_err(self.fail())
    }

    /// Every file that the store needs, as paths within it.
    pub(crate) fn named(&self) -> Result<BTreeSet<String>, LakeError> {
        let read = || {
            let mut statement = self.connection.prepare(
                "SELECT name FROM parts UNION SELECT DISTINCT pack FROM id_runs
                 UNION SELECT 'documents/' || hash || '.zst' FROM documents UNION SELECT name FROM archive",
            )?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<BTreeSet<String>>>()
        };
        read().map_err(self.fail())
    }
}

/// Log files all of whose events lie before a time (`?1`). Where no event is known, the time at which it was delivered
/// counts, and where that is not known either, the one at which it was read: what it holds is older than that.
pub(crate) const OLD_FILES: &str = "SELECT path FROM files WHERE coalesce(last, delivered,
     (SELECT committed_at FROM generations WHERE id = files.generation)) < ?1";

/// What was set aside of log files all of which lies before a time (`?1`): of those, and of files that were never read to
/// their end, what was read before it.
pub(crate) const OLD_QUARANTINE: &str = "(file IN (SELECT path FROM files WHERE coalesce(last, delivered,
     (SELECT committed_at FROM generations WHERE id = files.generation)) < ?1)
     OR (file NOT IN (SELECT path FROM files)
         AND (SELECT committed_at FROM generations WHERE id = quarantine.generation) < ?1))";

/// Original files all of which lies before a time (`?1`).
pub(crate) const OLD_ARCHIVE: &str =
    "coalesce(last, (SELECT committed_at FROM generations WHERE id = archive.generation)) < ?1";

/// A count that SQLite holds as a signed integer.
pub(crate) fn count(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0))
}

/// A count as SQLite holds it.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An id pack of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pack {
    /// Path within the store.
    pub name: String,
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub hash: String,
}

pub(crate) fn insert_pack(tx: &Transaction<'_>, pack: &Pack, generation: i64) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO packs (name, bytes, hash, generation) VALUES (?1, ?2, ?3, ?4)",
        params![pack.name, signed(pack.bytes), pack.hash, generation],
    )
    .map(|_| ())
}

pub(crate) fn insert_part(tx: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO parts (kind, month, name, rows, bytes, first, last, fold_version, generation, hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        part.kind,
        part.month,
        part.name,
        signed(part.rows),
        signed(part.bytes),
        part.first,
        part.last,
        part.fold_version,
        part.generation,
        part.hash
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_read_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("a #1?%20 store");
        for name in disk::FOLDERS {
            disk::make_dir(&store.join(name)).unwrap();
        }
        Manifest::open(&store, true).unwrap();
        let sealed = Manifest::open_sealed(&store).unwrap();
        assert_eq!(sealed.generation().unwrap(), 0);
        assert!(sealed.connection.execute("INSERT INTO kv VALUES ('a', 'b')", []).is_err());
        assert!(!store.join("manifest.sqlite-shm").exists(), "nothing is written beside it");
        std::fs::write(store.join("manifest.sqlite-wal"), "x").unwrap();
        let refused = Manifest::open_sealed(&store).unwrap_err();
        assert!(matches!(refused, LakeError::Sealed { .. }), "{refused}");
    }
}
