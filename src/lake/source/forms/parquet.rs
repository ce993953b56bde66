//! Parquet files of Security Lake, read with DuckDB: locked to the one file, one thread, bounded memory, rows in
//! batches. DuckDB is in memory and loads nothing. Polars would need features for nested columns that cost the whole
//! program a rebuild.

use std::path::Path;
use std::sync::Mutex;

use duckdb::{Config, Connection};

use super::{FormError, Item, Out, ocsf};
use crate::lake::normalise::Carried;

/// Memory of the engine, in MiB: a batch of rows as JSON and a row group's pages.
const MEMORY_MIB: u32 = 256;
/// Rows read at a time.
const BATCH_ROWS: u64 = 8192;
/// Batches that may fail before the rest of a file is given up. A batch that fails is halved, down to one row, so
/// that one bad row costs one row; a damaged file would take for ever.
const MAX_FAILURES: u32 = 64;
/// Columns of an event that a record is made of; the rest is not read.
const COLUMNS: [&str; 10] = [
    "metadata",
    "time",
    "api",
    "cloud",
    "actor",
    "src_endpoint",
    "dst_endpoint",
    "http_request",
    "resources",
    "unmapped",
];
/// Columns that some classes have. `is_mfa` is of sign-ins.
const OPTIONAL: [&str; 1] = ["is_mfa"];
/// Without these a table holds no API activity.
const NEEDED: [&str; 3] = ["metadata", "time", "api"];

/// One Parquet file at a time: the engine's memory is for one.
static ENGINE: Mutex<()> = Mutex::new(());

/// The engine, and how it names the file.
struct File {
    connection: Connection,
    table: String,
    rows: u64,
    select: String,
}

fn said(error: &duckdb::Error) -> String {
    let text = error.to_string();
    let line: String = text.lines().next().unwrap_or("").chars().take(300).collect();
    line.escape_debug().to_string()
}

/// The path as a SQL string in which no letter is a pattern.
fn quoted(path: &Path) -> Result<String, String> {
    let text = path.to_str().filter(|text| !text.contains('\0')).ok_or("its path is no UTF-8, which DuckDB needs")?;
    if text.contains(['*', '?', '[', '{']) {
        return Err("its path has a letter of `*?[{`, which DuckDB takes for a pattern; rename it".to_owned());
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

impl File {
    fn open(path: &Path) -> Result<Self, String> {
        let path = quoted(path)?;
        let connection = connection(&path).map_err(|error| format!("DuckDB cannot be started: {}", said(&error)))?;
        // The path may say `region=…/accountId=…`, as Security Lake lays files out: those are no columns.
        let table = format!("read_parquet({path}, hive_partitioning = false, file_row_number = true)");
        let unreadable = |error: duckdb::Error| format!("not a Parquet file that can be read: {}", said(&error));
        let columns = columns(&connection, &table).map_err(unreadable)?;
        let has = |name: &&str| columns.iter().any(|column| column == name);
        if let Some(missing) = NEEDED.iter().find(|name| !has(name)) {
            return Err(format!("a Parquet file of something else: it has no column `{missing}`, as OCSF events have"));
        }
        let members: Vec<String> =
            COLUMNS.iter().chain(&OPTIONAL).filter(|name| has(name)).map(|name| format!("'{name}': {name}")).collect();
        let rows = connection
            .query_row(&format!("SELECT count(*)::UBIGINT FROM {table}"), [], |row| row.get(0))
            .map_err(unreadable)?;
        Ok(Self { connection, table, rows, select: format!("to_json({{{}}})::VARCHAR", members.join(", ")) })
    }

    /// Rows as JSON text, by number, from the one given to before the other.
    fn batch(&self, from: u64, to: u64) -> duckdb::Result<Vec<(u64, String)>> {
        let sql = format!(
            "SELECT file_row_number::UBIGINT, {} FROM {} WHERE file_row_number >= ? AND file_row_number < ? ORDER BY 1",
            self.select, self.table
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

/// An engine that can read the file and nothing else.
fn connection(path: &str) -> duckdb::Result<Connection> {
    let config = Config::default()
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("allow_community_extensions", "false")?
        .max_memory(&format!("{MEMORY_MIB}MiB"))?
        .threads(1)?
        .with("temp_directory", "")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    connection.execute_batch(&format!(
        "SET allowed_paths = [{path}]; SET enable_external_access = false; SET TimeZone = 'UTC'; \
         SET lock_configuration = true;"
    ))?;
    Ok(connection)
}

fn columns(connection: &Connection, table: &str) -> duckdb::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("SELECT column_name FROM (DESCRIBE SELECT * FROM {table})"))?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

pub(super) fn read<E>(path: &Path, out: &mut Out<'_, E>) -> Result<bool, FormError<E>> {
    // A panic of another thread while it held the lock leaves nothing behind that matters here.
    let _one = ENGINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let file = File::open(path).map_err(FormError::Lost)?;
    let (mut from, mut size, mut failures) = (0u64, BATCH_ROWS, 0u32);
    let mut useful = false;
    let mut strange: Option<String> = None;
    while from < file.rows {
        let to = from.saturating_add(size).min(file.rows);
        match file.batch(from, to) {
            Ok(rows) if rows.len() as u64 == to - from => {
                for (row, text) in rows {
                    match event(&text) {
                        Ok((record, carried)) => {
                            useful = true;
                            out(Item::Record { offset: row, length: 0, text: &record, carried })?;
                        }
                        Err(reason) => {
                            strange.get_or_insert_with(|| reason.clone());
                            out(Item::Bad { offset: row, length: 1, reason, raw: &[] })?;
                        }
                    }
                }
                from = to;
                size = size.saturating_mul(2).min(BATCH_ROWS);
                continue;
            }
            Ok(rows) => {
                let reason = format!("rows {from} to {to} are {} rows: the file's own count is wrong", rows.len());
                out(Item::Bad { offset: from, length: file.rows - from, reason, raw: &[] })?;
                return Ok(false);
            }
            Err(error) => {
                failures += 1;
                if failures == MAX_FAILURES {
                    let reason = format!("the rest of the file cannot be read: {}", said(&error));
                    out(Item::Bad { offset: from, length: file.rows - from, reason, raw: &[] })?;
                    return Ok(false);
                }
                if size > 1 {
                    size /= 2;
                    continue;
                }
                let reason = format!("the row cannot be read: {}", said(&error));
                out(Item::Bad { offset: from, length: 1, reason, raw: &[] })?;
                from = to;
            }
        }
    }
    match strange {
        Some(reason) if !useful => Err(FormError::Lost(format!("a Parquet file of something else: {reason}"))),
        _ => Ok(true),
    }
}

fn event(text: &str) -> Result<(String, Carried), String> {
    let event = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    Ok((ocsf::record(&event)?, ocsf::carried(&event)))
}
