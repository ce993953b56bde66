//! What was done of a plan, record by record: each is kept before what it announces is done.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::time::Timestamp;

use super::place::Value;

/// What is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// It is to be applied, and not before a time.
    Scheduled {
        /// Who said so: an ARN.
        by: String,
        /// From when on.
        not_before: Timestamp,
    },
    /// Applying begins.
    Begin {
        /// As whom: an ARN.
        by: String,
        /// Generation of the lake on which it was proved.
        generation: u64,
        /// From when on calls were looked at.
        from: Timestamp,
        /// And until when.
        to: Timestamp,
        /// How many calls would be denied, and were accepted, by principal and action.
        accepted: Vec<String>,
    },
    /// A step is about to be made.
    Doing {
        /// Its number, from 0.
        step: usize,
        /// What stands at its place.
        before: Value,
    },
    /// It was made, and read back.
    Done {
        /// Its number.
        step: usize,
    },
    /// It could not be made; what was made of its group, or of the plan, is taken back.
    Failed {
        /// Its number.
        step: usize,
        /// Why.
        why: String,
    },
    /// Everything that could be was made.
    Applied,
    /// Taking back begins: of everything, or of some principals.
    RollingBack {
        /// As whom: an ARN.
        by: String,
        /// ARNs; all where empty.
        principals: Vec<String>,
    },
    /// A step is about to be taken back.
    Undoing {
        /// Its number.
        step: usize,
    },
    /// It was taken back, and read back.
    Undone {
        /// Its number.
        step: usize,
    },
    /// It could not be taken back: a person has to look.
    Stuck {
        /// Its number.
        step: usize,
        /// Why.
        why: String,
    },
    /// What stands where it could not be taken back stays: a person said so.
    Accepted {
        /// Its number.
        step: usize,
        /// Who: an ARN.
        by: String,
    },
    /// What was to be taken back was.
    RolledBack,
}

/// A record with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number, from 0.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// BLAKE3 of the line before it, 64 hexadecimal digits; empty of the first.
    pub after: String,
    /// What.
    pub record: Record,
}

/// Why a journal cannot be read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The disk.
    #[error("{path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not as it was written.
    #[error("{path}, line {line}: {why}: the journal was changed, and says nothing for certain")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// How that is known.
        why: String,
    },
    /// Somebody else is at work.
    #[error("{path}: {holder} changes access now; one at a time")]
    Busy {
        /// The lock.
        path: PathBuf,
        /// Who.
        holder: String,
    },
    /// The program is told to stop: in tests, as if it died.
    #[error("stopped")]
    Stopped,
}

/// Where records go.
pub trait Journal {
    /// Everything that was recorded.
    fn lines(&self) -> &[Line];

    /// Records something. When it returns it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&mut self, record: Record) -> Result<(), JournalError>;
}
