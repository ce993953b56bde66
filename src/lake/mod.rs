//! The store of events, facts and documents on disk: immutable Parquet files and a transactional manifest.
//!
//! [`ingest_cloudtrail`] reads log files into it, [`Writer`] publishes generations, [`Reader`] pins one and answers
//! [`crate::usage::fold::FactSource`]. `schema` documents every column.
//!
//! What holds: only [`Writer`] changes a store; a file that the manifest does not name does not exist; files and
//! events become part of a generation in one transaction, so a crash at any instant leaves the last generation.

mod ahead;
mod archive;
mod check;
mod chunk;
mod compact;
mod content;
mod copies;
mod disk;
mod documents;
mod error;
pub mod fold;
mod ids;
mod incoming;
mod ingest;
mod json;
mod large;
mod manifest;
mod merge;
mod normalise;
mod packs;
mod parts;
mod prune;
mod reader;
pub mod schema;
mod source;
mod split;
mod sql;
mod symbols;
mod table;
mod writer;

pub use check::{CheckReport, CheckRow, CheckStatus, check};
pub use compact::{Compacted, CompactedKind, Effort};
pub use disk::CHANGES;
pub use documents::{NewDocument, PutDocument};
pub use error::LakeError;
pub use incoming::{Incoming, Object};
pub use ingest::{Fault, FaultPoint, IngestOptions, IngestReport, Progress, Quiet, SourceRow, ingest_cloudtrail};
pub use prune::{PruneRow, Pruned, PrunedWhat};
pub use reader::{DocumentMeta, FileRow, Generation, QuarantineRow, Reader};
pub use schema::PartKind;
pub use source::layout::path_text;
pub use table::EventRow;
pub use writer::Writer;

/// Format of the store. An older program refuses a newer store.
pub const FORMAT: u32 = 3;
