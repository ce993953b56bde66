//! Whether log files are what CloudTrail delivered: chains of digest files, their RSA signatures, the hashes of the
//! logs that they name. Offline, over files as they were downloaded from S3.
//!
//! Sources: "CloudTrail digest file structure", "Custom implementations of CloudTrail log file integrity validation",
//! "Validating CloudTrail log file integrity with the AWS CLI" (AWS CloudTrail User Guide).
//!
//! A chain is what one trail digested in one account and region; backfill digests form a chain of their own. Digests
//! are judged from the newest to the oldest, since each holds the signature of the one before it. Whatever verifies
//! with AWS's key is proven, wherever its signature was found; nothing is accused because of what an unproven digest
//! says, where the same could be explained by that digest itself having been changed.

mod chain;
mod digest;
mod keys;
mod layout;
mod logs;
mod read;
mod sidecar;
mod status;
mod tree;
mod verify;

pub use keys::{KeysError, MAX_KEYS_BYTES, PublicKeys};
pub use status::{ChainSummary, Kind, Report, Row, Status, Weight};
pub use verify::{Options, VerifyError, verify};
