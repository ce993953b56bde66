//! The named queries: the files of `queries/`, part of the program. A test keeps the list in step with the folder.

use super::header::{HeaderError, QueryInfo};

macro_rules! queries {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../queries/", $name, ".sql")))),*]
    };
}

/// (name, SQL text), by name.
pub const QUERIES: &[(&str, &str)] = queries![
    "access_key_activity",
    "bucket_reads",
    "console_sign_ins_without_mfa",
    "coverage_gaps",
    "denied_calls",
    "dormant_principals",
    "events_of_ip",
    "first_time_actions",
    "iam_changes",
    "new_source_addresses",
    "quarantine",
    "role_chain",
    "root_activity",
    "sessions",
    "standing_administrators",
    "who_used_principal",
];

/// Every named query, by name.
///
/// # Errors
/// When a header is faulty, which a test rules out.
pub fn list() -> Result<Vec<QueryInfo>, HeaderError> {
    QUERIES.iter().map(|(name, sql)| QueryInfo::parse(name, sql)).collect()
}

/// The query of that name; none where there is no such query.
///
/// # Errors
/// When its header is faulty, which a test rules out.
pub fn show(name: &str) -> Result<Option<QueryInfo>, HeaderError> {
    QUERIES.iter().find(|(known, _)| *known == name).map(|(name, sql)| QueryInfo::parse(name, sql)).transpose()
}
