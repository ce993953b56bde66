//! What was used: the folds over events, and who and what stands behind their keys.

pub mod activity;
pub mod block;
pub mod category;
pub mod chain;
pub mod changes;
pub mod code;
pub mod coverage;
mod digests;
pub mod fold;
pub mod identity;
pub mod kinds;
pub mod people;
pub mod regions;
pub mod sessions;
mod silence;
pub mod trails;
pub mod unseen;
