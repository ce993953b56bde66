//! The columns of every Parquet kind. Names are a contract for queries: snake_case, only ever added to.
//!
//! Times are UTC, microseconds, without a zone (DuckDB `TIMESTAMP`). `day` is text such as `2023-07-10` and orders
//! like a date. Lists are JSON text. Session keys are unsigned 64-bit numbers. Empty text means that the record did
//! not say; only `event_id`, `read_only` and `mfa` are null then.
//!
//! Every commit adds files of its own, so rows of the folds repeat: one key may stand in several files. SQL sums
//! `count`, takes `min(first)` and `max(last)`, and reads sessions with `SELECT DISTINCT`. Events never repeat.
//!
//! **events** (by month, sorted by account, time, id): `event_id, time, source, name, region, category`
//! (`management|data|network_activity|insight|unknown`)`, event_type, read_only, session`, the identity columns,
//! `version_id, tags, roles` (JSON list of [path, value]; path `?`: the request is not known)`, refused` (IAM action named by a denial)`, resource` (main resource)`, parent_resource, resources`
//! (JSON list of [arn, kind, account])`, outcome, error_code, error_message, account` (recipient)`, shared_id,
//! request_id, source_ip, user_agent, vpc_endpoint, tls_version, from_console, request, response, additional,
//! service_details` (JSON text)`, file, offset, length` (place of the record in the decompressed file)`, content_core,
//! content_whole` (hashes of the content; the latter 0 where the record's form cannot carry all of it). The file has
//! `session` only; the view adds the identity columns and `counted`: false for the copy of a cross-account call that
//! another record of the lake stands for.
//!
//! **usage** (by month): `session, source, name, version_id, tags, roles, refused, category, resource` (parent of the main
//! resource)`, outcome, account, region, day, shared, count, first, last, slots_0` to
//! `slots_4` (288 bits, five minutes each, the first in the lowest bit of the first)`, several` (of `count`, calls that named further
//! resources of the kind of the main one, in something else).
//!
//! **shapes** (by month): `session, source, name, version_id, tags, roles, refused, resources` (JSON list)`, outcome, account, region,
//! context` (JSON list of [key, value])`, shared, inexact, count, first, last, example, example_time`.
//!
//! **sessions** (by month): `session` and the identity columns: `identity_type, principal_id, principal_arn,
//! principal_account, access_key, user_name, invoked_by, issuer_type, issuer_arn, issuer_id, source_identity,
//! provider, mfa, on_behalf_of, identity_store, assumed_root, created` (when the credentials were handed out, RFC 3339).
//!
//! **issued** (by month): `access_key` (empty where the record does not show it)`, session_principal_id, role_arn,
//! session` (who called)`, time, event_id`.
//!
//! **trail_calls** (by month), also those that enable regions: `time, account, region, name, outcome, error_code, request,
//! response, event_id`.
//!
//! **coverage** (by month): `account, region, hour` (start of the hour)`, category, count, whole` (records from files that
//! hold all of their source, copies included: see [`crate::usage::fold::CoverageFact`])`.

use std::fmt;

/// A kind of Parquet file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// Normalised records.
    Events,
    /// Calls by day.
    Usage,
    /// Distinct calls.
    Shapes,
    /// Identities by key.
    Sessions,
    /// Credentials handed out.
    Issued,
    /// Hours with events.
    Coverage,
    /// Calls that change what is recorded.
    TrailCalls,
}

impl PartKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Events, Self::Usage, Self::Shapes, Self::Sessions, Self::Issued, Self::Coverage, Self::TrailCalls];

    /// Stable text: names tables for SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Usage => "usage",
            Self::Shapes => "shapes",
            Self::Sessions => "sessions",
            Self::Issued => "issued",
            Self::Coverage => "coverage",
            Self::TrailCalls => "trail_calls",
        }
    }

    /// Folder within the store.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Events => "segments",
            _ => "folds",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
