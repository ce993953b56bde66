//! DuckDB over the store's own Parquet files, for what has to be sorted or grouped without holding it: compaction,
//! pruning, checking. Always in memory, spilling into a folder of the store.

use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::disk;
use super::error::LakeError;

/// Memory that DuckDB may use before it spills to disk. It holds about as much again outside of this account.
const MEMORY: &str = "384MB";
/// Folder within a store into which DuckDB spills; empty between runs.
pub(crate) const SPILL: &str = "spill";

/// A connection for one job.
#[derive(Debug)]
pub(crate) struct Sql {
    connection: Connection,
    spill: PathBuf,
}

impl Sql {
    /// Opens a connection that spills into a store. `threads` as everywhere: 0 for one per core.
    ///
    /// # Errors
    /// When the spill folder cannot be made or DuckDB refuses a setting.
    pub(crate) fn open(store: &Path, threads: usize) -> Result<Self, LakeError> {
        let spill = store.join(SPILL);
        disk::make_dir(&spill)?;
        let connection = Connection::open_in_memory().map_err(|e| failed(store, &e))?;
        let threads = if threads == 0 { rayon::current_num_threads() } else { threads };
        let settings = format!(
            "SET memory_limit = '{MEMORY}'; SET threads = {threads}; SET temp_directory = {};
             SET preserve_insertion_order = false; SET autoinstall_known_extensions = false;
             SET autoload_known_extensions = false; SET TimeZone = 'UTC';",
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
        let copy = format!(
            "COPY ({query}) TO {} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE 122880)",
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
}

impl Drop for Sql {
    fn drop(&mut self) {
        // DuckDB empties the folder when it closes; what stays is swept by the next writer.
        let _ = std::fs::remove_dir(&self.spill);
    }
}

/// Removes what a run that was killed spilled. Only the writer spills.
///
/// # Errors
/// When the folder cannot be removed.
pub(crate) fn clear(store: &Path) -> Result<(), LakeError> {
    let spill = store.join(SPILL);
    match std::fs::remove_dir_all(&spill) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LakeError::io("remove", &spill, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &duckdb::Error) -> LakeError {
    LakeError::Table { path: path.to_owned(), reason: error.to_string() }
}

/// A list of files for `read_parquet`.
///
/// # Errors
/// A path that DuckDB cannot name.
pub(crate) fn files<'p>(store: &Path, names: impl Iterator<Item = &'p str>) -> Result<String, LakeError> {
    let quoted: Vec<String> = names.map(|name| text(&store.join(name))).collect::<Result<_, _>>()?;
    Ok(format!("read_parquet([{}], union_by_name = true)", quoted.join(", ")))
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
