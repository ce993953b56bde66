//! Lake files as views. The columns are those that the lake documents; views have all of them, in any lake.

use std::path::{Path, PathBuf};

/// The Parquet files of one generation of the lake, by kind: what a reader has pinned, never a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LakeFiles {
    /// Normalised records.
    pub events: Vec<PathBuf>,
    /// Calls by day.
    pub usage: Vec<PathBuf>,
    /// Distinct calls.
    pub shapes: Vec<PathBuf>,
    /// Identities by key.
    pub sessions: Vec<PathBuf>,
    /// Credentials handed out.
    pub issued: Vec<PathBuf>,
    /// Hours with events.
    pub coverage: Vec<PathBuf>,
    /// Calls that change what is recorded.
    pub trail_calls: Vec<PathBuf>,
}

/// The view `events`: the records with the identities of their sessions, and whether they count. Of the copies of a
/// cross-account call the one in the caller's own account counts, else, where that is not in the lake, the other: as
/// `usage::activity` counts. What passed an endpoint is the last that counts for another.
const WITH_IDENTITY: &str = "CREATE VIEW events AS SELECT r.*, s.* EXCLUDE (session), \
     coalesce(r.shared_id, '') = '' OR coalesce(s.principal_account, '') IN ('', r.account) \
     OR (r.shared_id, concat(r.category = 'network_activity', r.account)) IN ( \
       SELECT (o.shared_id, min(concat(o.category = 'network_activity', o.account))) FROM event_records o \
       LEFT JOIN sessions t USING (session) WHERE o.shared_id <> '' GROUP BY o.shared_id \
       HAVING NOT bool_or(coalesce(t.principal_account, '') IN ('', o.account) \
         AND coalesce(o.category, '') <> 'network_activity')) AS counted \
     FROM event_records r LEFT JOIN sessions s USING (session);\n";

/// Columns of an identity.
macro_rules! identity {
    () => {
        "identity_type VARCHAR, principal_id VARCHAR, principal_arn VARCHAR, principal_account VARCHAR, \
         access_key VARCHAR, user_name VARCHAR, invoked_by VARCHAR, issuer_type VARCHAR, issuer_arn VARCHAR, \
         issuer_id VARCHAR, source_identity VARCHAR, provider VARCHAR, mfa BOOLEAN, on_behalf_of VARCHAR, \
         identity_store VARCHAR, assumed_root BOOLEAN, created VARCHAR"
    };
}

const EVENTS: &str = concat!(
    "event_id VARCHAR, time TIMESTAMP, source VARCHAR, name VARCHAR, region VARCHAR, category VARCHAR, ",
    "event_type VARCHAR, read_only BOOLEAN, session UBIGINT, ",
    "version_id BOOLEAN, tags BOOLEAN, roles VARCHAR, refused VARCHAR, resource VARCHAR, parent_resource VARCHAR, ",
    "resources VARCHAR, outcome VARCHAR, error_code VARCHAR, error_message VARCHAR, account VARCHAR, ",
    "shared_id VARCHAR, request_id VARCHAR, source_ip VARCHAR, user_agent VARCHAR, vpc_endpoint VARCHAR, ",
    "tls_version VARCHAR, from_console BOOLEAN, request VARCHAR, response VARCHAR, additional VARCHAR, ",
    "service_details VARCHAR, file VARCHAR, \"offset\" BIGINT, length BIGINT, ",
    "content_core UBIGINT, content_whole UBIGINT"
);
const USAGE: &str = "session UBIGINT, source VARCHAR, name VARCHAR, version_id BOOLEAN, tags BOOLEAN, roles VARCHAR, refused VARCHAR, \
     category VARCHAR, resource VARCHAR, outcome VARCHAR, account VARCHAR, region VARCHAR, day VARCHAR, \
     shared BOOLEAN, count BIGINT, first TIMESTAMP, last TIMESTAMP, \
     slots_0 UBIGINT, slots_1 UBIGINT, slots_2 UBIGINT, slots_3 UBIGINT, slots_4 UBIGINT";
const SHAPES: &str = "session UBIGINT, source VARCHAR, name VARCHAR, version_id BOOLEAN, tags BOOLEAN, roles VARCHAR, refused VARCHAR, \
     resources VARCHAR, outcome VARCHAR, account VARCHAR, region VARCHAR, context VARCHAR, shared BOOLEAN, \
     inexact BOOLEAN, count BIGINT, first TIMESTAMP, last TIMESTAMP, example VARCHAR, example_time TIMESTAMP";
const SESSIONS: &str = concat!("session UBIGINT, ", identity!());
const ISSUED: &str = "access_key VARCHAR, session_principal_id VARCHAR, role_arn VARCHAR, session UBIGINT, \
     time TIMESTAMP, event_id VARCHAR";
const TRAIL_CALLS: &str = "time TIMESTAMP, account VARCHAR, region VARCHAR, name VARCHAR, outcome VARCHAR, \
     request VARCHAR, response VARCHAR, event_id VARCHAR";
const COVERAGE: &str = "account VARCHAR, region VARCHAR, hour TIMESTAMP, category VARCHAR, count BIGINT, \
     whole BIGINT";

impl LakeFiles {
    /// (view, columns, files) of every kind.
    pub(super) fn kinds(&self) -> [(&'static str, &'static str, &[PathBuf]); 7] {
        [
            ("event_records", EVENTS, &self.events),
            ("usage", USAGE, &self.usage),
            ("shapes", SHAPES, &self.shapes),
            ("sessions", SESSIONS, &self.sessions),
            ("issued", ISSUED, &self.issued),
            ("coverage", COVERAGE, &self.coverage),
            ("trail_calls", TRAIL_CALLS, &self.trail_calls),
        ]
    }

    /// SQL that makes the views, and the setting that lets them (and nothing else) read their files.
    ///
    /// Each view is the union, by column name, of an empty table that has every column and of the files: a lake
    /// written before a column existed has nulls there, and a kind without files is empty.
    ///
    /// # Errors
    /// A path that is not UTF-8, which DuckDB cannot name.
    pub(super) fn sql(&self) -> Result<String, PathBuf> {
        let mut sql = String::new();
        let mut allowed = Vec::new();
        for (view, columns, files) in self.kinds() {
            sql.push_str(&format!("CREATE TABLE no_{view} ({columns});\n"));
            let mut paths = Vec::with_capacity(files.len());
            for file in files {
                paths.push(quoted(file)?);
            }
            let from_files = if paths.is_empty() {
                String::new()
            } else {
                // Folders such as `region=eu-west-1` above the lake are no columns of it.
                format!(
                    " UNION ALL BY NAME SELECT * FROM \
                     read_parquet([{}], union_by_name = true, hive_partitioning = false)",
                    paths.join(", ")
                )
            };
            // Every file of sessions names those of its own events.
            let distinct = if view == "sessions" { "DISTINCT " } else { "" };
            sql.push_str(&format!(
                "CREATE VIEW {view} AS SELECT {distinct}* FROM (SELECT * FROM no_{view}{from_files});\n"
            ));
            allowed.extend(paths);
        }
        sql.push_str(WITH_IDENTITY);
        // Before the views: they read the files' columns when they are made.
        Ok(format!("SET allowed_paths = [{}];\n{sql}", allowed.join(", ")))
    }
}

/// The absolute path as a SQL string. DuckDB takes wildcards in paths for patterns, so those are refused.
fn quoted(path: &Path) -> Result<String, PathBuf> {
    let absolute = std::path::absolute(path).map_err(|_| path.to_owned())?;
    match absolute.to_str() {
        Some(text) if !text.contains(['*', '?', '[', '\0']) => Ok(format!("'{}'", text.replace('\'', "''"))),
        _ => Err(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_and_patterns_refused() {
        assert_eq!(quoted(Path::new("/a/o'b.parquet")), Ok("'/a/o''b.parquet'".to_owned()));
        for pattern in ["/a/*.parquet", "/a/?.parquet", "/a/[b].parquet"] {
            assert!(quoted(Path::new(pattern)).is_err(), "{pattern}");
        }
    }
}
