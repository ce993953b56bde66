//! DuckDB over the store's own Parquet files, for what has to be sorted or grouped without holding it: compaction,
//! pruning, checking. Always in memory, spilling into a folder of the store.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use duckdb::Connection;

use super::disk;
use super::error::LakeError;

/// Memory that DuckDB may use before it spills to disk. It holds about as much again outside of this account.
const MEMORY: &str = "256MB";

/// Who spills: the writer, of whom there is one, or readers, who must not sweep what the others are using.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spill {
    Writer,
    Reader,
}

impl Spill {
    fn folder(self, store: &Path) -> PathBuf {
        store.join(disk::SPILL).join(match self {
            Self::Writer => "writer",
            Self::Reader => "readers",
        })
    }
}

/// A connection for one job.
#[derive(Debug)]
pub(crate) struct Sql {
    connection: Connection,
    spill: PathBuf,
}

impl Sql {
    /// Opens a connection that spills into a store.
    ///
    /// # Errors
    /// When the spill folder cannot be made or DuckDB refuses a setting.
    pub(crate) fn open(store: &Path, spill: Spill) -> Result<Self, LakeError> {
        Self::open_with(store, spill, MEMORY)
    }

    /// The same with so much memory.
    fn open_with(store: &Path, spill: Spill, memory: &str) -> Result<Self, LakeError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = match (spill, disk::make_dir(&spill.folder(store))) {
            // A store that cannot be written is read all the same.
            (Spill::Reader, Err(error)) if error.is_of_read_only() => disk::elsewhere(),
            (_, made) => made.map(|()| spill.folder(store))?,
        };
        // Another process may have this number elsewhere: in another container, or on another machine.
        let spill = loop {
            let own = format!("jitscan-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            if let Some(made) = disk::make_new_dir(&folder.join(own))? {
                break made;
            }
        };
        let connection = Connection::open_in_memory().map_err(|e| failed(store, &e))?;
        let settings = format!(
            "SET memory_limit = '{memory}'; SET threads = {}; SET temp_directory = {};
             SET preserve_insertion_order = false; SET autoinstall_known_extensions = false;
             SET autoload_known_extensions = false; SET TimeZone = 'UTC';",
            rayon::current_num_threads(),
            text(&spill)?
        );
        connection.execute_batch(&settings).map_err(|e| failed(store, &e))?;
        Ok(Self { connection, spill })
    }

    /// Writes the rows of a query as a Parquet file and returns how many there are. The file is private and durable,
    /// under its temporary name until all of it is there.
    ///
    /// # Errors
    /// When the query fails or the disk refuses.
    pub(crate) fn copy(&self, query: &str, to: &Path) -> Result<u64, LakeError> {
        let temporary = disk::temporary(to);
        drop(disk::touch(&temporary)?);
        // By default DuckDB writes beside a file that is there, with permissions of its own, and moves that over it.
        let copy = format!(
            "COPY ({query}) TO {} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE 122880,
             USE_TMP_FILE false)",
            text(&temporary)?
        );
        let written = self.connection.execute(&copy, []).map_err(|e| failed(to, &e));
        match written.and_then(|rows| disk::finish(&temporary, to).map(|()| rows as u64)) {
            Ok(rows) => Ok(rows),
            Err(error) => {
                // Best effort: the next writer sweeps what is left.
                let _ = std::fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    /// The names of the columns of rows.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub(crate) fn columns(&self, from: &str, of: &Path) -> Result<Vec<String>, LakeError> {
        let rows = self.texts(&format!("SELECT column_name FROM (DESCRIBE SELECT * FROM {from})"), of)?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
    }

    /// Runs a statement that returns nothing.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn run(&self, statement: &str, of: &Path) -> Result<(), LakeError> {
        self.connection.execute_batch(statement).map_err(|e| failed(of, &e))
    }

    /// The rows of a query, every value as text.
    ///
    /// # Errors
    /// When the query fails.
    pub(crate) fn texts(&self, query: &str, of: &Path) -> Result<Vec<Vec<String>>, LakeError> {
        let read = || -> duckdb::Result<Vec<Vec<String>>> {
            let mut statement = self.connection.prepare(&format!("SELECT COLUMNS(*)::VARCHAR FROM ({query})"))?;
            let mut rows = statement.query([])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                let width = row.as_ref().column_count();
                let value = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
                out.push((0..width).map(value).collect::<duckdb::Result<_>>()?);
            }
            Ok(out)
        };
        read().map_err(|e| failed(of, &e))
    }

    /// The one row of a query that returns integers; nulls are zero.
    ///
    /// # Errors
    /// When the query fails.
    pub(crate) fn integers<const N: usize>(&self, query: &str, of: &Path) -> Result<[i64; N], LakeError> {
        let row = self.texts(query, of)?.into_iter().next().unwrap_or_default();
        Ok(std::array::from_fn(|at| row.get(at).and_then(|text| text.parse().ok()).unwrap_or(0)))
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        // DuckDB empties the folder when it closes; what stays is swept by the next writer.
        let _ = std::fs::remove_dir(&self.spill);
    }
}

/// Removes what runs that were killed spilled.
///
/// # Errors
/// When the folder cannot be removed.
pub(crate) fn clear(store: &Path, spill: Spill) -> Result<(), LakeError> {
    let spill = spill.folder(store);
    match std::fs::remove_dir_all(&spill) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LakeError::io("remove", &spill, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &duckdb::Error) -> LakeError {
    let text = error.to_string();
    // The rest of it quotes the query.
    let reason = text.split("\n\nLINE ").next().unwrap_or(&text).to_owned();
    // DuckDB tells errors of the disk by their text only.
    if ["No space left on device", "Disk quota exceeded"].iter().any(|text| reason.contains(text)) {
        return LakeError::NoSpace { path: path.to_owned() };
    }
    // Nothing is wrong with the file then.
    if ["Too many open files", "Permission denied", "Input/output error"].iter().any(|text| reason.contains(text)) {
        return LakeError::io("read", path, std::io::Error::other(reason));
    }
    if reason.contains("Out of Memory Error") {
        let reason = reason.split("\n\n").next().unwrap_or(&reason).to_owned();
        return LakeError::Memory { path: path.to_owned(), reason };
    }
    LakeError::Table { path: path.to_owned(), reason }
}

/// What `read_parquet` is told of the store's own files. Their columns are those that stand in them: DuckDB would take
/// folders such as `region=eu-west-1`, above the store, for columns of that name, and put them in place of those.
const READ: &str = "union_by_name = true, hive_partitioning = false";

/// A list of files for `read_parquet`.
///
/// # Errors
/// A path that DuckDB cannot name.
pub(crate) fn files<'p>(store: &Path, names: impl Iterator<Item = &'p str>) -> Result<String, LakeError> {
    let quoted: Vec<String> = names.map(|name| text(&store.join(name))).collect::<Result<_, _>>()?;
    Ok(format!("read_parquet([{}], {READ})", quoted.join(", ")))
}

/// One file for `read_parquet`.
///
/// # Errors
/// A path that DuckDB cannot name.
pub(crate) fn file(path: &Path) -> Result<String, LakeError> {
    Ok(format!("read_parquet({}, {READ})", text(path)?))
}

/// A path as a SQL string. DuckDB takes wildcards in paths for patterns.
fn text(path: &Path) -> Result<String, LakeError> {
    match path.to_str() {
        Some(text) if !text.contains(['*', '?', '[', '\0']) => Ok(format!("'{}'", text.replace('\'', "''"))),
        _ => Err(LakeError::Table {
            path: path.to_owned(),
            reason: "DuckDB cannot name this path: it holds `*`, `?`, `[` or is not UTF-8".to_owned(),
        }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A connection that has hardly any memory.
    pub(in crate::lake) fn poor(store: &Path) -> Sql {
        Sql::open_with(store, Spill::Writer, "1MB").unwrap()
    }

    #[test]
    fn too_little_memory_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let error = poor(folder.path()).texts("SELECT list(i) FROM range(10000000) t(i)", folder.path()).unwrap_err();
        assert!(matches!(&error, LakeError::Memory { reason, .. } if !reason.contains("Possible")), "{error:?}");
    }
}
