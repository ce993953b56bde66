//! Snapshot readers: from the bytes of an exported file to the nouns of [`crate::model::snapshot`].
//!
//! Nothing here opens files, calls AWS or asks the clock: a reader takes the bytes, the name by which a person
//! knows the file, and the time at which AWS gave the answer. A wrong kind of file is an error that says what the
//! file looks like; a bad entry inside a good file is a [`Defect`](crate::model::defect::Defect), and the rest
//! is kept.

mod access_analyzer;
mod account;
mod assemble;
mod credential_report;
mod entries;
mod iam;
mod identity_center;
mod kind;
mod last_accessed;
mod organization;
mod resource_policies;
mod roster;
mod table;
mod text;
mod trails;

use thiserror::Error;

pub use access_analyzer::access_analyzer;
pub use account::account;
pub use assemble::{Content, Loaded, assemble};
pub use credential_report::credential_report;
pub use iam::authorization_details;
pub use identity_center::identity_center;
pub use kind::{FileKind, kind_of};
pub use last_accessed::last_accessed;
pub use organization::organization;
pub use resource_policies::resource_policies;
pub use roster::roster;
pub use text::document_text;
pub use trails::trails;

/// Why a whole file could not be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CollectError {
    /// The bytes are not text.
    #[error("{file}: byte {offset} is not valid {encoding}; expected UTF-8 (or UTF-16 with a byte-order mark)")]
    Encoding {
        /// The file.
        file: String,
        /// First offending byte, counted from the start of the file.
        offset: usize,
        /// `UTF-8` or `UTF-16`.
        encoding: &'static str,
    },
    /// The file is of another kind than the reader's.
    #[error("{file}: this looks like {found}, not {wanted}{}", hint(found))]
    WrongKind {
        /// The file.
        file: String,
        /// What it looks like.
        found: FileKind,
        /// What the reader reads.
        wanted: FileKind,
    },
    /// The file is not what it claims to be.
    #[error("{file}: {reason}; expected {wanted}")]
    Malformed {
        /// The file.
        file: String,
        /// The parser's words, with line and column where it has them.
        reason: String,
        /// What the reader reads.
        wanted: FileKind,
    },
    /// A table lacks columns.
    #[error("{file}: missing column{} {}; expected {wanted}", if missing.len() == 1 { "" } else { "s" }, missing.join(", "))]
    MissingColumns {
        /// The file.
        file: String,
        /// Names of the missing columns.
        missing: Vec<String>,
        /// What the reader reads.
        wanted: FileKind,
    },
}

fn hint(found: &FileKind) -> String {
    found.ingest_command().map(|command| format!("; use `jitscan {command}`")).unwrap_or_default()
}

/// The error for a file that `wanted`'s reader cannot use: names the kind that it looks like, where that is known.
fn unusable(bytes: &[u8], file: &str, wanted: FileKind, reason: String) -> CollectError {
    let found = kind_of(bytes);
    if found == FileKind::Unknown || found == wanted {
        CollectError::Malformed { file: file.to_owned(), reason, wanted }
    } else {
        CollectError::WrongKind { file: file.to_owned(), found, wanted }
    }
}
