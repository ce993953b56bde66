//! How rows of several files of a kind become the rows of one: the columns by name, and what has to be the same before
//! and after.

use std::path::Path;

use super::error::LakeError;
use super::schema::PartKind;
use super::sql::Sql;

/// How rows of a kind are merged. Together the columns are those of `lake::schema`, in the order of the files.
struct Columns {
    /// Columns that tell rows apart.
    keys: &'static [&'static str],
    /// Columns of which rows with one key make one value, and how.
    sums: &'static [(&'static str, &'static str)],
    /// Whether rows that are the same are one. Those of events are not.
    distinct: bool,
}

/// Columns of `events`.
const EVENTS: &[&str] = &[
    "event_id",
    "time",
    "source",
    "name",
    "region",
    "event_type",
    "error_code",
    "error_message",
    "account",
    "source_ip",
    "user_agent",
    "vpc_endpoint",
    "tls_version",
    "category",
    "outcome",
    "shared_id",
    "request_id",
    "request",
    "response",
    "additional",
    "service_details",
    "read_only",
    "from_console",
    "session",
    "version_id",
    "tags",
    "roles",
    "refused",
    "resource",
    "parent_resource",
    "resources",
    "file",
    "offset",
    "length",
    "content_core",
    "content_whole",
];

/// Columns of `sessions`.
const SESSIONS: &[&str] = &[
    "session",
    "identity_type",
    "principal_id",
    "principal_arn",
    "principal_account",
    "access_key",
    "user_name",
    "invoked_by",
    "issuer_type",
    "issuer_arn",
    "issuer_id",
    "source_identity",
    "provider",
    "on_behalf_of",
    "identity_store",
    "created",
    "mfa",
    "assumed_root",
];

/// Key of `usage`.
const USAGE: &[&str] = &[
    "session",
    "source",
    "name",
    "version_id",
    "tags",
    "roles",
    "refused",
    "category",
    "resource",
    "outcome",
    "account",
    "region",
    "day",
    "shared",
];

/// Key of `shapes`.
const SHAPES: &[&str] = &[
    "session",
    "source",
    "name",
    "version_id",
    "tags",
    "roles",
    "refused",
    "resources",
    "outcome",
    "account",
    "region",
    "context",
    "shared",
    "inexact",
];

/// What all counted facts have.
const COUNT: (&str, &str) = ("count", "sum(count)::BIGINT");
const FIRST: (&str, &str) = ("first", "min(first)");
const LAST: (&str, &str) = ("last", "max(last)");

fn columns(kind: PartKind) -> Columns {
    let distinct = |keys| Columns { keys, sums: &[], distinct: true };
    match kind {
        PartKind::Events => Columns { keys: EVENTS, sums: &[], distinct: false },
        PartKind::Usage => Columns {
            keys: USAGE,
            sums: &[
                COUNT,
                FIRST,
                LAST,
                ("slots_0", "bit_or(slots_0)"),
                ("slots_1", "bit_or(slots_1)"),
                ("slots_2", "bit_or(slots_2)"),
                ("slots_3", "bit_or(slots_3)"),
                ("slots_4", "bit_or(slots_4)"),
                // Rows of earlier releases do not say it.
                ("several", "sum(coalesce(several, 0))::BIGINT"),
            ],
            distinct: true,
        },
        PartKind::Shapes => Columns {
            keys: SHAPES,
            sums: &[
                COUNT,
                FIRST,
                LAST,
                ("example", "arg_min(example, (example_time, example))"),
                ("example_time", "min(example_time)"),
            ],
            distinct: true,
        },
        PartKind::Coverage => {
            let sums = &[COUNT, ("whole", "sum(whole)::BIGINT")];
            Columns { keys: &["account", "region", "hour", "category"], sums, distinct: true }
        }
        PartKind::Sessions => distinct(SESSIONS),
        PartKind::Issued => {
            distinct(&["access_key", "session_principal_id", "role_arn", "session", "time", "event_id"])
        }
        PartKind::TrailCalls => {
            distinct(&["time", "account", "region", "name", "outcome", "error_code", "request", "response", "event_id"])
        }
    }
}

/// The columns of a kind that some rows have: those that a later version added may be missing.
struct Present {
    kind: PartKind,
    keys: Vec<String>,
    sums: Vec<(String, &'static str)>,
    distinct: bool,
}

impl Present {
    /// Which of the columns of a kind the rows of `from` have. `of` is what errors name.
    ///
    /// # Errors
    /// When they have one of another name: whoever merges rows must not lose or make up what they do not know.
    fn of(sql: &Sql, kind: PartKind, from: &str, of: &Path) -> Result<Self, LakeError> {
        let found = sql.columns(from, of)?;
        let Columns { keys, sums, distinct } = columns(kind);
        let known = |name: &String| keys.contains(&name.as_str()) || sums.iter().any(|(sum, _)| sum == name);
        if let Some(stranger) = found.iter().find(|name| !known(name)) {
            let reason =
                format!("the {kind} to be written have a column `{stranger}`, which this program does not know");
            return Err(LakeError::Damaged { path: of.to_owned(), reason });
        }
        let has = |name: &str| found.iter().any(|found| found == name);
        Ok(Self {
            kind,
            keys: keys.iter().filter(|name| has(name)).map(|name| quoted(name)).collect(),
            sums: sums.iter().filter(|(name, _)| has(name)).map(|(name, how)| (quoted(name), *how)).collect(),
            distinct,
        })
    }

    /// The merged rows.
    fn rows(&self, from: &str) -> String {
        let keys = self.keys.join(", ");
        if self.kind == PartKind::Events {
            return format!("SELECT {keys} FROM {from} ORDER BY account, time, event_id, content_core, content_whole");
        }
        let sums: String = self.sums.iter().map(|(name, how)| format!(", {how} AS {name}")).collect();
        format!("SELECT {keys}{sums} FROM {from} GROUP BY {keys} ORDER BY ALL")
    }

    /// What does not change when rows are merged: hashes of the keys, times their counts, and what all rows make
    /// together.
    fn sum(&self, from: &str) -> String {
        let keys = self.keys.join(", ");
        let counted = self.sums.iter().any(|(name, _)| *name == quoted(COUNT.0));
        let times = if counted { " * count" } else { "" };
        let sums: String = self.sums.iter().map(|(_, how)| format!(", {how}")).collect();
        let from = match (self.distinct, counted) {
            (true, false) => format!("(SELECT DISTINCT {keys} FROM {from})"),
            _ => from.to_owned(),
        };
        let rows = if counted { "0" } else { "count(*)" };
        format!("SELECT {rows}, sum(hash({keys})::HUGEINT{times}){sums} FROM {from}")
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// Writes the rows of `from`, merged, as a part and returns how many there are. What was written is read again and held
/// against what it was made of.
///
/// # Errors
/// When both do not say the same: then nothing is left behind. When a query fails or the disk refuses.
pub(crate) fn copy(sql: &Sql, kind: PartKind, from: &str, to: &Path) -> Result<u64, LakeError> {
    let present = Present::of(sql, kind, from, to)?;
    let rows = sql.copy(&present.rows(from), to)?;
    let sum = |of: &str| sql.texts(&present.sum(of), to);
    let same = super::sql::file(to).and_then(|written| Ok(sum(from)? == sum(&written)?));
    match same {
        Ok(true) => return Ok(rows),
        Ok(false) | Err(_) => {
            // Best effort: the next writer sweeps what is left.
            let _ = std::fs::remove_file(to);
        }
    }
    same?;
    let reason = format!("what was written of the {kind} is not what it was made of: nothing was replaced");
    Err(LakeError::Damaged { path: to.to_owned(), reason })
}
