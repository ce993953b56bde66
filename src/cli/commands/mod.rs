//! One file a command: from arguments to a typed table and a status.

pub mod can;
pub mod catalog;
pub mod collect;
pub mod coverage;
pub mod demo;
pub mod entitlements;
pub mod escalations;
pub mod findings;
pub mod ingest;
pub mod lake;
pub mod logs;
pub mod permissions;
pub mod policy;
pub mod query;
pub mod recommend;
pub mod remediate;
pub mod report;
pub mod scan;
pub mod schema;
pub mod usage;
pub mod validate;
pub mod who_can;

use crate::catalog::Glob;
use crate::lake::Reader;

use super::args::Filter;
use super::context::{CommandError, Context};

/// Opens the store for reading.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn open(context: &Context<'_>) -> Result<Reader, CommandError> {
    Ok(Reader::open(&context.global.store)?)
}

/// A filter, ready to be asked.
#[derive(Debug)]
pub struct Wanted {
    principal: Option<Glob>,
    person: Option<Glob>,
}

impl Wanted {
    /// Prepares a filter.
    #[must_use]
    pub fn of(filter: &Filter) -> Self {
        Self { principal: filter.principal.as_deref().map(Glob::new), person: filter.person.as_deref().map(Glob::new) }
    }

    /// Whether a principal is wanted: by ARN, or by its name.
    #[must_use]
    pub fn principal(&self, arn: &str) -> bool {
        let name = arn.rsplit(['/', ':']).next().unwrap_or(arn);
        self.principal.as_ref().is_none_or(|glob| glob.matches(arn) || glob.matches(name))
    }

    /// Whether a person is wanted.
    #[must_use]
    pub fn person(&self, person: &str) -> bool {
        self.person.as_ref().is_none_or(|glob| glob.matches(person))
    }
}
