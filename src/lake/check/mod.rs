//! `lake check`: every invariant of a store, looked at again. Nothing is changed; memory is bounded by one file, or by
//! one month's hours of each account, whatever the store holds.
//!
//! Facts are compared with the events without sorting either: sums of hashes of their keys agree where the sets do.

mod facts;
mod files;
mod ids;
mod manifest;
mod notes;
mod parts;
mod report;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::disk::ReadLock;
use super::error::LakeError;
use super::manifest::{Manifest, Pack, Part};
use super::schema::PartKind;
use super::sql::{Spill, Sql};

pub use report::{CheckReport, CheckRow, CheckStatus};

/// A store that is being checked.
struct Check<'s> {
    store: &'s Path,
    manifest: Manifest,
    sql: Sql,
    parts: Vec<Part>,
    packs: Vec<Pack>,
    /// Names of files that cannot be relied on: what they should agree with is not held against them.
    broken: BTreeSet<String>,
    report: CheckReport,
}

/// Checks every invariant of a store, at the generation that is complete when it begins. A writer may go on meanwhile.
///
/// # Errors
/// When there is no store, its manifest cannot be read at all, or the disk refuses. Damage is no error: it is in the
/// report.
pub fn check(store: &Path) -> Result<CheckReport, LakeError> {
    let (_lock, manifest) = open(store)?;
    let (parts, packs) = (manifest.parts()?, manifest.packs()?);
    let sql = Sql::open(store, Spill::Reader)?;
    let (broken, report) = (BTreeSet::new(), CheckReport::default());
    let mut check = Check { store, manifest, sql, parts, packs, broken, report };
    check.manifest()?;
    check.generations()?;
    check.part_files()?;
    check.part_contents()?;
    check.facts()?;
    check.ids()?;
    check.log_files()?;
    check.places()?;
    check.origins()?;
    check.documents()?;
    check.originals()?;
    check.folders()?;
    Ok(check.report)
}

/// Takes a reader's lock and one state of the manifest.
fn open(store: &Path) -> Result<(ReadLock, Manifest), LakeError> {
    if !store.join("manifest.sqlite").is_file() {
        return Err(LakeError::Missing { path: store.to_owned() });
    }
    let lock = ReadLock::take(store)?;
    let manifest = if lock.sealed { Manifest::open_sealed(store)? } else { Manifest::open(store, false)? };
    manifest.connection.execute_batch("BEGIN").map_err(manifest.fail())?;
    // The state is fixed by the first reading.
    manifest.generation()?;
    Ok((lock, manifest))
}

impl Check<'_> {
    /// The parts of a month and kind; none where one of them cannot be relied on.
    fn month(&self, kind: PartKind, month: &str) -> Option<Vec<&Part>> {
        let parts: Vec<&Part> =
            self.parts.iter().filter(|part| part.kind == kind.as_str() && part.month == month).collect();
        parts.iter().all(|part| !self.broken.contains(&part.name)).then_some(parts)
    }

    /// Every month of which there are files, with the kinds that it has.
    fn months(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut months: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for part in &self.parts {
            months.entry(part.month.clone()).or_default().insert(part.kind.clone());
        }
        months
    }
}
