//! A made-up organisation with planted, documented truth: Lantern Freight, three accounts, ninety days.
//!
//! `fixtures/demo` defines who exists, what they hold and what they do; this module turns that into the files that
//! a user would have: CloudTrail logs, IAM, Identity Center and organisation exports, a roster and grants. The
//! same options give the same bytes. The seed moves the everyday noise and the ids of events and temporary keys;
//! it never changes who exists, what they hold, or a planted fact. `fixtures/README.md` lists the facts.
//!
//! **Invariant:** nothing here reads a file, asks the clock or prints; files leave through [`Sink`] only.

mod calls;
mod emit;
mod grants;
mod iam;
mod people;
mod rng;
mod script;
mod session;
mod trail;
mod truth;
mod world;

use std::io;

use serde_json::Value;
use thiserror::Error;

pub use truth::{Fact, GrantTruth, GrantViolation, LogGap, PlantedAdvice, Truth};

use crate::model::time::Timestamp;
use emit::Emitter;
use rng::Rng;
use world::World;

/// The default end of the window: 2026-11-01T00:00:00Z, a fixed date, so that the demo never changes.
pub const DEMO_AS_OF: Timestamp = Timestamp::from_seconds(1_793_491_200);
/// The bucket whose objects have data events.
const DATA_EVENT_BUCKET: &str = "arn:aws:s3:::lantern-invoices-prod";

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoOptions {
    /// Moves the noise; never the planted facts.
    pub seed: u64,
    /// End of the window, excluded; must be a midnight (UTC). Dates of the roster, of keys and of roles are fixed
    /// in the fixtures and fit [`DEMO_AS_OF`].
    pub end: Timestamp,
    /// Length of the window in days; less than 90 is taken as 90, because planted facts reach so far.
    pub days: u32,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { seed: 1, end: DEMO_AS_OF, days: script::PLANTED_DAYS }
    }
}

/// Where the generated files go.
pub trait Sink {
    /// Takes one file. `path` is relative, with `/` between its parts; no path comes twice.
    ///
    /// # Errors
    /// Whatever keeps the file from being stored; the generator stops there.
    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
}

/// What was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Demo {
    /// Log files with records, Insights and digests not counted.
    pub log_files: u64,
    /// Insights and digest files.
    pub other_log_files: u64,
    /// Distinct CloudTrail records (copies in two accounts are two records).
    pub records: u64,
    /// Records that stand in a second file as well.
    pub duplicates: u64,
    /// The planted facts.
    pub truth: Truth,
}

/// Why nothing (or not all) was generated.
#[derive(Debug, Error)]
pub enum DemoError {
    /// An embedded fixture is broken: a bug of this program.
    #[error("broken demo fixture {file}: {reason}")]
    Fixture {
        /// The fixture's name.
        file: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The end is not a midnight.
    #[error("the demo must end at a midnight (UTC), not at {0}")]
    End(Timestamp),
    /// A file could not be stored.
    #[error("cannot store a demo file: {0}")]
    Io(#[from] io::Error),
}

impl DemoError {
    fn unknown(what: &str, name: &str) -> Self {
        Self::Fixture { file: "fixtures/demo", reason: format!("unknown {what} `{name}`") }
    }
}

/// Generates all files: `cloudtrail/AWSLogs/…`, `iam/ACCOUNT/authorization-details.json` and
/// `credential-report.csv`, `organization.json`, `identity-center.json`, `roster.csv`, `grants.jsonl`.
///
/// # Errors
/// When a file cannot be stored, or when the end is not a midnight.
pub fn generate(options: DemoOptions, sink: &mut dyn Sink) -> Result<Demo, DemoError> {
    let DemoOptions { seed, end, .. } = options;
    if end != end.day().start() {
        return Err(DemoError::End(end));
    }
    let days = options.days.max(script::PLANTED_DAYS);
    let world = World::load()?;
    let grants = grants::load()?;
    let mut emitter = Emitter::new(&world, Rng::stream(seed, "ids"), end);
    script::plant(&mut emitter, end)?;
    script::act_on_grants(&mut emitter, &grants, end)?;
    script::routine(&mut emitter, seed, end, days)?;
    script::backups(&mut emitter, end, days)?;
    let counts = trail::write(&mut emitter, seed, end, sink)?;

    for (alias, account) in world.logged_accounts() {
        let details = iam::details(&world, alias, &emitter.seen, end)?;
        sink.file(&format!("iam/{account}/authorization-details.json"), &pretty(&details)?)?;
        let report = iam::credential_report(&world, alias, &emitter.seen, end)?;
        sink.file(&format!("iam/{account}/credential-report.csv"), report.as_bytes())?;
    }
    sink.file("organization.json", &pretty(&people::organization(&world)?)?)?;
    sink.file("identity-center.json", &pretty(&people::identity_center(&world)?)?)?;
    sink.file("roster.csv", &people::roster(&world)?)?;
    let mut lines = String::new();
    for grant in &grants {
        lines.push_str(&grant.line(&world, end)?);
        lines.push('\n');
    }
    sink.file("grants.jsonl", lines.as_bytes())?;
    Ok(Demo {
        log_files: counts.files,
        other_log_files: counts.beside,
        records: counts.records,
        duplicates: counts.duplicates,
        truth: truth_of(&world, &grants, end, days)?,
    })
}

fn truth_of(world: &World, grants: &[grants::Grant], end: Timestamp, days: u32) -> Result<Truth, DemoError> {
    let gap = &world.org.gap;
    Ok(Truth {
        as_of: end,
        days,
        accounts: world.logged_accounts().map(|(alias, id)| (alias.to_owned(), id.to_owned())).collect(),
        management_account: world.account(&world.org.management)?.to_owned(),
        regions: world.org.regions.clone(),
        gap: LogGap {
            account: world.account(&gap.account)?.to_owned(),
            region: gap.region.clone(),
            first: end.plus_days(-gap.from_days_ago).day(),
            last: end.plus_days(-gap.to_days_ago).day(),
        },
        data_event_bucket: DATA_EVENT_BUCKET.to_owned(),
        break_glass: vec![world.principal_arn("role:production:break-glass")?],
        facts: truth::facts(world, end)?,
        grants: grants.iter().map(|grant| grant.truth(world, end)).collect::<Result<_, _>>()?,
    })
}

fn pretty(value: &Value) -> Result<Vec<u8>, DemoError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| DemoError::Fixture { file: "output", reason: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}
