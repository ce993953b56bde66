//! Questions in SQL over the lake and the last scan. Only this module knows DuckDB.
//!
//! A [`Session`] is an in-memory database with a view for each kind of lake file and a table for each part of the
//! scan. Once they exist it can reach nothing else: no other file, no network, no extension, no setting. The named
//! queries are the files of `queries/`: one question each, its parameters bound and never formatted into the text.
//! All times are UTC `TIMESTAMP`s.

mod header;
mod lake;
mod library;
mod session;
mod tables;
#[cfg(test)]
mod tests;

pub use header::{HeaderError, ParameterKind, QueryInfo, QueryParameter};
pub use lake::LakeFiles;
pub use library::{QUERIES, list, show};
pub use session::{Limits, QueryError, Session};
pub use tables::{ActivityRow, ActivityRows, AttributionRow, QuarantineRow, Tables};
