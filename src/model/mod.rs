//! Nouns that every stage shares. Nothing here reads files, asks the clock, prints or decides.

pub mod access_analyzer;
pub mod account;
pub mod arn;
pub mod defect;
pub mod event;
pub mod finding;
pub mod last_accessed;
pub mod region;
pub mod resource_policy;
pub mod snapshot;
pub mod table;
pub mod text;
pub mod time;
pub mod trail;
