//! From live AWS to the documents that `collect` reads: users, roles and policies, credentials, the organisation,
//! Identity Center and trails, of one account or of many.
//!
//! It never writes: [`calls::CALLS`] names every operation, and a guard in front of the wire refuses any other. What may
//! not be read narrows the claim and not the run: it is named, and the rest goes on. A document is handed over only when
//! all of it was read, so half an account never replaces a whole one.

pub(crate) mod access;
mod account;
mod analyzer;
pub mod calls;
mod events;
mod failure;
mod guard;
pub(crate) mod iam;
pub(crate) mod identity_center;
mod last_accessed;
mod lookup;
mod objects;
mod organization;
mod pace;
pub mod permissions;
mod public_keys;
mod reading;
mod regions;
mod resources;
pub(crate) mod run;
mod scope;
mod shape;
mod trails;
mod validation;

pub use access::Start;
pub use calls::{CALLS, Call, Purpose};
pub use events::{Known, Log, Wanted};
pub use failure::{Failure, FailureKind};
pub use run::{AccountReport, Brought, Ended, Event, Options, Outcome, Plan, collect, plan};
pub use validation::{Draft, PolicyKind, Remark, Validated, validate};
