//! A locked in-memory database, and running queries in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use duckdb::types::{TimeUnit, Value};
use duckdb::{Config, Connection};
use thiserror::Error;

use super::header::{HeaderError, ParameterKind, QueryInfo, QueryParameter};
use super::lake::LakeFiles;
use super::library::{list, show};
use super::tables::{Tables, time};
use crate::model::table::{Cell, Table};
use crate::model::time::{Day, MICROS_PER_DAY, Timestamp};

/// Rows that one query may return; more would be held in memory twice and read by nobody.
const ROWS_MAX: usize = 1_000_000;
/// Memory that the engine may take where nothing else is said: half of what the whole program may, in MiB.
const MEMORY_MIB: u64 = 512;
/// Smallest memory that is accepted, in MiB: below it DuckDB cannot read a Parquet row group.
const MEMORY_MIB_MIN: u64 = 64;

/// What a session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the engine in MiB; at least 64.
    pub memory_mib: u64,
    /// Threads; at least one.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib: MEMORY_MIB, threads: 1 }
    }
}

/// Why a query could not be answered.
#[derive(Debug, Error)]
pub enum QueryError {
    /// There is no query of that name.
    #[error("no query is called `{0}`; `query list` names them all")]
    UnknownQuery(String),
    /// A query file of this program is faulty.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A parameter that the query does not have.
    #[error("query `{query}` has no parameter `{parameter}`; expected one of: {known}")]
    UnknownParameter {
        /// The query.
        query: String,
        /// What was given.
        parameter: String,
        /// What it has.
        known: String,
    },
    /// A parameter without which the query cannot run.
    #[error("query `{query}` needs the parameter `{parameter}`: {about}")]
    MissingParameter {
        /// The query.
        query: String,
        /// The parameter.
        parameter: String,
        /// Its meaning.
        about: String,
    },
    /// A value that is not of the parameter's kind.
    #[error("parameter `{parameter}` cannot be `{value}`; expected {expected}")]
    Value {
        /// The parameter.
        parameter: String,
        /// What was given.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The columns are not those that the header names.
    #[error("query `{query}` gives the columns {actual}; expected {declared}, as its header says")]
    Columns {
        /// The query.
        query: String,
        /// Columns that came.
        actual: String,
        /// Columns of the header.
        declared: String,
    },
    /// More rows than can be handed on.
    #[error("query gives more than {ROWS_MAX} rows; expected a narrower question")]
    TooManyRows,
    /// A lake file cannot be named in SQL.
    #[error("lake file `{0}` cannot be read; expected a path in UTF-8 without `*`, `?` and `[`")]
    Path(PathBuf),
    /// The engine refused.
    #[error("{doing}: {source}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// Cause.
        source: duckdb::Error,
    },
}

fn engine(doing: &'static str) -> impl Fn(duckdb::Error) -> QueryError {
    move |source| QueryError::Engine { doing, source }
}

/// An in-memory database over one generation of the lake and one scan. It reads the named lake files and nothing else.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
}

impl Session {
    /// Opens a database, makes views and tables, and then locks it: no other file, no network, no extension, no
    /// change of settings. (`enable_external_access = false` leaves the paths of `allowed_paths` readable, and neither
    /// can be changed once the configuration is locked: DuckDB documentation, Securing DuckDB.)
    ///
    /// # Errors
    /// When a lake file cannot be read or the engine cannot be started.
    pub fn open(lake: &LakeFiles, tables: &Tables<'_>, limits: Limits) -> Result<Self, QueryError> {
        let starting = engine("the query engine cannot be started");
        let memory = format!("{}MiB", limits.memory_mib.max(MEMORY_MIB_MIN));
        let threads = i64::try_from(limits.threads.max(1)).unwrap_or(1);
        let config = (|| {
            Config::default()
                .enable_autoload_extension(false)?
                .with("autoinstall_known_extensions", "false")?
                .with("allow_community_extensions", "false")?
                .max_memory(&memory)?
                .threads(threads)?
                // Nothing is spilled to disk: a question that needs more memory fails.
                .with("temp_directory", "")
        })()
        .map_err(&starting)?;
        let connection = Connection::open_in_memory_with_flags(config).map_err(&starting)?;
        tables.fill(&connection).map_err(engine("the scan cannot be loaded"))?;
        let views = lake.sql().map_err(QueryError::Path)?;
        connection.execute_batch(&views).map_err(engine("the lake cannot be opened"))?;
        connection
            .execute_batch("SET enable_external_access = false; SET lock_configuration = true;")
            .map_err(engine("the query engine cannot be locked"))?;
        Ok(Self { connection })
    }

    /// Every named query, by name.
    ///
    /// # Errors
    /// When a header is faulty, which a test rules out.
    pub fn list(&self) -> Result<Vec<QueryInfo>, QueryError> {
        Ok(list()?)
    }

    /// Runs a named query. Parameters are given as text and bound, each as its kind.
    ///
    /// # Errors
    /// When there is no such query, a parameter does not fit, or the engine fails.
    pub fn run(&self, name: &str, parameters: &BTreeMap<String, String>) -> Result<Table, QueryError> {
        let info = show(name)?.ok_or_else(|| QueryError::UnknownQuery(name.to_owned()))?;
        self.run_info(&info, parameters)
    }

    /// Runs a query that is not part of the program, such as a user's own file with a header.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_info(&self, info: &QueryInfo, parameters: &BTreeMap<String, String>) -> Result<Table, QueryError> {
        if let Some(parameter) = parameters.keys().find(|given| info.parameters.iter().all(|p| p.name != **given)) {
            let known: Vec<&str> = info.parameters.iter().map(|p| p.name.as_str()).collect();
            return Err(QueryError::UnknownParameter {
                query: info.name.clone(),
                parameter: parameter.clone(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            });
        }
        let mut values = BTreeMap::new();
        for parameter in &info.parameters {
            let given = parameters.get(&parameter.name).or(parameter.default.as_ref());
            if given.is_none() && parameter.required {
                return Err(QueryError::MissingParameter {
                    query: info.name.clone(),
                    parameter: parameter.name.clone(),
                    about: parameter.about.clone(),
                });
            }
            values.insert(parameter.name.as_str(), given.map_or(Ok(Value::Null), |text| value(parameter, text))?);
        }
        let (columns, rows) = self.rows(&info.sql, &values)?;
        let declared: Vec<&str> = info.columns.iter().map(|column| column.name.as_str()).collect();
        if columns.iter().map(String::as_str).ne(declared.iter().copied()) {
            return Err(QueryError::Columns {
                query: info.name.clone(),
                actual: columns.join(", "),
                declared: declared.join(", "),
            });
        }
        Ok(Table { columns: info.columns.clone(), rows })
    }

    /// Binds, runs and collects.
    fn rows(&self, sql: &str, values: &BTreeMap<&str, Value>) -> Result<(Vec<String>, Vec<Vec<Cell>>), QueryError> {
        let failed = engine("the query failed");
        let mut statement = self.connection.prepare(sql).map_err(&failed)?;
        for index in 1..=statement.parameter_count() {
            let name = statement.parameter_name(index).map_err(&failed)?;
            // A name in the text that the header lacks stays null; a test compares the two.
            statement.raw_bind_parameter(index, values.get(name.as_str()).unwrap_or(&Value::Null)).map_err(&failed)?;
        }
        statement.raw_execute().map_err(&failed)?;
        let columns = statement.column_names();
        let mut found = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(&failed)? {
            if rows.len() == ROWS_MAX {
                return Err(QueryError::TooManyRows);
            }
            let mut cells = Vec::with_capacity(columns.len());
            for index in 0..columns.len() {
                cells.push(cell(row.get(index).map_err(&failed)?));
            }
            rows.push(cells);
        }
        Ok((columns, rows))
    }

    /// Names of the parameters that a statement has, for the test that compares them with its header.
    #[cfg(test)]
    fn parameters_of(&self, sql: &str) -> std::collections::BTreeSet<String> {
        let statement = self.connection.prepare(sql).unwrap();
        (1..=statement.parameter_count()).map(|index| statement.parameter_name(index).unwrap()).collect()
    }
}

fn value(parameter: &QueryParameter, text: &str) -> Result<Value, QueryError> {
    let wrong = |expected| QueryError::Value {
        parameter: parameter.name.clone(),
        value: text.chars().take(128).collect(),
        expected,
    };
    match parameter.kind {
        ParameterKind::Text => Ok(Value::Text(text.to_owned())),
        ParameterKind::Integer => text.parse().map(Value::BigInt).map_err(|_| wrong("a whole number")),
        ParameterKind::Time => {
            text.parse().map(time).map_err(|_| wrong("a time such as 2026-01-31T09:00:00Z or a date"))
        }
        ParameterKind::Boolean => text.parse().map(Value::Boolean).map_err(|_| wrong("true or false")),
    }
}

/// A value of the engine as a cell. What cells have no form for (fractions, intervals) becomes text.
fn cell(value: Value) -> Cell {
    let whole = |number: i128| i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer);
    match value {
        Value::Null => Cell::Null,
        Value::Boolean(yes) => Cell::Boolean(yes),
        Value::TinyInt(n) => Cell::Integer(n.into()),
        Value::SmallInt(n) => Cell::Integer(n.into()),
        Value::Int(n) => Cell::Integer(n.into()),
        Value::BigInt(n) => Cell::Integer(n),
        Value::HugeInt(n) => whole(n),
        Value::UTinyInt(n) => Cell::Integer(n.into()),
        Value::USmallInt(n) => Cell::Integer(n.into()),
        Value::UInt(n) => Cell::Integer(n.into()),
        Value::UBigInt(n) => whole(n.into()),
        Value::UHugeInt(n) => i128::try_from(n).map_or_else(|_| Cell::Text(n.to_string()), whole),
        Value::Float(n) => Cell::Text(n.to_string()),
        Value::Double(n) => Cell::Text(n.to_string()),
        Value::Text(text) | Value::Enum(text) => Cell::Text(text),
        Value::Timestamp(unit, n) => Cell::Time(Timestamp::from_micros(micros(unit, n))),
        Value::Date32(days) => Cell::Text(Day(days).to_string()),
        Value::List(items) | Value::Array(items) => Cell::List(items.into_iter().map(item).collect()),
        Value::Blob(bytes) => Cell::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        other => Cell::Text(format!("{other:?}")),
    }
}

fn item(value: Value) -> String {
    match cell(value) {
        Cell::Text(text) => text,
        Cell::Integer(n) => n.to_string(),
        Cell::Boolean(yes) => yes.to_string(),
        Cell::Time(at) => at.to_string(),
        Cell::List(items) => items.join(", "),
        Cell::Object(value) => value.to_string(),
        Cell::Null => String::new(),
    }
}

const fn micros(unit: TimeUnit, n: i64) -> i64 {
    match unit {
        TimeUnit::Second => n.saturating_mul(MICROS_PER_DAY / 86_400),
        TimeUnit::Millisecond => n.saturating_mul(1_000),
        TimeUnit::Microsecond => n,
        TimeUnit::Nanosecond => n.div_euclid(1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::sample;

    fn session() -> Session {
        let assessment = sample::assessment();
        let tables =
            Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
        Session::open(&LakeFiles::default(), &tables, Limits::default()).unwrap()
    }

    #[test]
    fn the_engine_is_the_pinned_one() {
        let (columns, rows) = session().rows("SELECT version() AS v", &BTreeMap::new()).unwrap();
        assert_eq!((columns, rows), (vec!["v".to_owned()], vec![vec![Cell::from("v1.5.5")]]));
    }

    #[test]
    fn nothing_outside_can_be_reached_or_changed() {
        let session = session();
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.csv");
        let target = target.display();
        for sql in [
            "SELECT * FROM read_text('/etc/passwd')".to_owned(),
            "SELECT * FROM read_csv('/etc/passwd')".to_owned(),
            "SELECT * FROM '/etc/passwd.csv'".to_owned(),
            "SELECT * FROM glob('/etc/*')".to_owned(),
            "SELECT * FROM read_text('https://example.org/')".to_owned(),
            "INSTALL httpfs".to_owned(),
            "LOAD httpfs".to_owned(),
            "LOAD '/tmp/x.duckdb_extension'".to_owned(),
            format!("ATTACH '{target}' AS other"),
            format!("COPY (SELECT 1) TO '{target}'"),
            format!("EXPORT DATABASE '{}'", folder.path().display()),
            "SET enable_external_access = true".to_owned(),
            "SET allowed_paths = ['/etc/passwd']".to_owned(),
            "SET allowed_directories = ['/etc']".to_owned(),
            "SET memory_limit = '100GB'".to_owned(),
            "SET lock_configuration = false".to_owned(),
            "RESET lock_configuration".to_owned(),
            "PRAGMA threads = 64".to_owned(),
        ] {
            assert!(session.rows(&sql, &BTreeMap::new()).is_err(), "{sql}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn settings_are_as_asked() {
        let assessment = sample::assessment();
        let tables =
            Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
        let limits = Limits { memory_mib: 128, threads: 2 };
        let session = Session::open(&LakeFiles::default(), &tables, limits).unwrap();
        let sql = "SELECT current_setting('memory_limit') AS m, current_setting('threads') AS t, \
                   current_setting('temp_directory') AS d, current_setting('autoload_known_extensions') AS a";
        let (_, rows) = session.rows(sql, &BTreeMap::new()).unwrap();
        let want = [Cell::from("128.0 MiB"), Cell::Integer(2), Cell::from(""), Cell::Boolean(false)];
        assert_eq!(rows, [want]);
    }

    #[test]
    fn headers_and_statements_name_the_same_parameters() {
        let session = session();
        for info in list().unwrap() {
            let declared: std::collections::BTreeSet<String> = info.parameters.iter().map(|p| p.name.clone()).collect();
            assert_eq!(session.parameters_of(&info.sql), declared, "{}", info.name);
        }
    }

    #[test]
    fn parameters_are_checked() {
        let session = session();
        let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        for (query, pairs, message) in [
            ("nope", vec![], "no query is called `nope`"),
            ("who_used_principal", vec![], "needs the parameter `principal`"),
            ("dormant_principals", vec![("dayz", "1")], "has no parameter `dayz`; expected one of: days"),
            ("dormant_principals", vec![("days", "many")], "cannot be `many`; expected a whole number"),
        ] {
            let error = session.run(query, &given(&pairs)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let hostile = given(&[("principal", "x'; DROP TABLE activity; --")]);
        assert!(session.run("who_used_principal", &hostile).unwrap().rows.is_empty());
        assert!(session.rows("SELECT count(*) AS n FROM activity", &BTreeMap::new()).is_ok());
    }
}
