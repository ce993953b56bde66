//! jitscan: an audit and entitlement engine for AWS.
//!
//! It compares what every identity is granted with what it used, says which standing privileges should become
//! just-in-time, and never calls unused what the logs could not show. `ARCHITECTURE.md` has the code map.

pub mod catalog;
pub mod cli;
pub mod collect;
pub mod compare;
pub mod compliance;
pub mod decide;
pub mod demo;
pub mod entitlements;
pub mod executor;
pub mod fetch;
pub mod findings;
pub mod integrity;
pub mod lake;
pub mod model;
pub mod policy;
pub mod query;
pub mod recommend;
pub mod remediate;
pub mod report;
pub mod usage;
