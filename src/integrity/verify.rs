//! Everything below some paths, verified.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rayon::prelude::*;
use thiserror::Error;

use crate::model::time::Timestamp;

use super::chain::{ChainId, Hole, Judged, Scope, Trust, judge, read_digest};
use super::keys::PublicKeys;
use super::layout::{digest_name, folders, log_name, name_of, organization};
use super::logs::{self, Logs};
use super::status::{ChainSummary, Kind, Report, Row, Status};
use super::tree::{FileId, FileKind, Found, Tree};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only what digests and logs say from then on. Whoever gives it says that the files should reach back so far.
    pub from: Option<Timestamp>,
    /// Only what they say before then. Whoever gives it says that the files should reach so far.
    pub to: Option<Timestamp>,
    /// Keep the rows of what is valid, too.
    pub keep_valid: bool,
}

impl Options {
    /// Whether a span has a part in the asked time.
    pub(super) fn touches(&self, start: Timestamp, end: Timestamp) -> bool {
        self.from.is_none_or(|from| end > from) && self.to.is_none_or(|to| start < to)
    }
}

/// Why nothing could be verified.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A path that was given does not exist.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Verifies the digests and logs below the paths: files, or folders in the layout that CloudTrail gives its objects,
/// at any depth. Chains and files are worked on in parallel; memory holds the list of files and the digests of as many
/// chains as there are threads.
///
/// # Errors
/// When a path does not exist. What lies below and cannot be read is part of the report.
pub fn verify(paths: &[PathBuf], keys: &PublicKeys, options: &Options) -> Result<Report, VerifyError> {
    let tree = Tree::list(paths).map_err(|(path, source)| VerifyError::Path { path, source })?;
    let scope = Scope { tree: &tree, keys, options };
    let mut chains: BTreeMap<ChainId, Vec<(Timestamp, FileId)>> = BTreeMap::new();
    for (id, file) in tree.files.iter().enumerate().filter(|(_, file)| file.kind == FileKind::Digest) {
        if let Some((chain, end)) = chain_of(file) {
            chains.entry(chain).or_default().push((end, id));
        }
    }
    let chains: Vec<(ChainId, Vec<(Timestamp, FileId)>)> = chains.into_iter().collect();
    let done: Vec<Chain> = chains
        .par_iter()
        .map(|(id, files)| {
            let mut files = files.clone();
            files.sort_unstable();
            Chain::verify(scope, id, &files)
        })
        .collect();
    let mut report = Report { lost: tree.lost.clone(), ..Report::default() };
    for file in &tree.files {
        match file.kind {
            FileKind::Digest | FileKind::OddDigest => report.digest_files += 1,
            FileKind::Log | FileKind::OtherLog | FileKind::OddLog => report.log_files += 1,
            FileKind::Sidecar | FileKind::Other => {}
        }
    }
    let mut loose = Loose::default();
    loose.undigested(scope, &done);
    loose.misnamed(scope);
    report.other_kinds = loose.other_kinds;
    report.chains.extend(loose.sums.into_values());
    report.rows.append(&mut loose.rows);
    for chain in done {
        report.chains.push(chain.summary);
        report.rows.extend(chain.rows);
    }
    report.chains.sort();
    report.rows.sort();
    Ok(report)
}

fn chain_of(file: &Found) -> Option<(ChainId, Timestamp)> {
    let name = digest_name(file.name())?;
    let id = ChainId {
        account: name.account.to_owned(),
        region: name.region.to_owned(),
        trail: name.trail.to_owned(),
        backfill: name.backfill,
        home: name.home.to_owned(),
        organization: organization(&file.path).map(str::to_owned),
    };
    Some((id, name.end))
}

/// What is kept of a chain.
struct Chain {
    summary: ChainSummary,
    rows: Vec<Row>,
    named: Vec<FileId>,
    distrusted: Vec<FileId>,
    holes: Vec<Hole>,
}

impl Chain {
    fn verify(scope: Scope<'_>, id: &ChainId, files: &[(Timestamp, FileId)]) -> Self {
        let judged = judge(scope, id, files);
        let Logs { rows: log_rows, named, distrusted } = logs::check(scope, id, &judged);
        let (from, to) = span(&judged);
        let Judged { rows: digest_rows, holes, .. } = judged;
        let mut summary = ChainSummary {
            account: id.account.clone(),
            region: id.region.clone(),
            trail: Some(id.trail.clone()),
            backfill: id.backfill,
            organization: id.organization.clone(),
            home: id.home.clone(),
            from,
            to,
            ..ChainSummary::default()
        };
        let mut rows = Vec::new();
        for row in digest_rows.into_iter().chain(log_rows) {
            summary.count(&row);
            if scope.options.keep_valid || row.status != Status::Valid {
                rows.push(row);
            }
        }
        Self { summary, rows, named, distrusted, holes }
    }
}

/// From the first to the last proven digest of the asked time.
fn span(judged: &Judged<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    let proven = || {
        let pairs = judged.nodes.iter().zip(&judged.verdicts);
        let sure = pairs.filter(|(node, verdict)| node.wanted && verdict.trust == Trust::Proven);
        sure.filter_map(|(node, _)| node.digest.as_ref().ok())
    };
    (proven().map(|digest| digest.start).min(), proven().map(|digest| digest.end).max())
}

/// Files that belong to no chain.
#[derive(Default)]
struct Loose {
    /// By account and region.
    sums: BTreeMap<(String, String), ChainSummary>,
    rows: Vec<Row>,
    other_kinds: u64,
}

impl Loose {
    /// Logs of management and data events that no digest names.
    fn undigested(&mut self, scope: Scope<'_>, done: &[Chain]) {
        let named: BTreeSet<FileId> = done.iter().flat_map(|chain| &chain.named).copied().collect();
        let distrusted: BTreeSet<FileId> = done.iter().flat_map(|chain| &chain.distrusted).copied().collect();
        for (id, file) in scope.tree.files.iter().enumerate() {
            let is_log = matches!(file.kind, FileKind::Log | FileKind::OddLog | FileKind::OtherLog);
            if !is_log || named.contains(&id) {
                continue;
            }
            let name = log_name(file.name());
            let delivered = name.as_ref().map(|name| name.delivered);
            if delivered.is_some_and(|at| !scope.options.touches(at, at.plus_seconds(60))) {
                continue;
            }
            if file.kind == FileKind::OtherLog {
                self.other_kinds += 1;
                continue;
            }
            let (account, region) = place(file, name.map(|name| (name.account, name.region)));
            let (detail, follows) = if distrusted.contains(&id) {
                ("only a digest that is not valid names it".to_owned(), true)
            } else {
                why_undigested(done, account, region, delivered)
            };
            let row = row(file, Kind::Log, account, region);
            self.add(Row { status: Status::NotDigested, detail, time: delivered, follows, ..row });
        }
    }

    /// Files in the folders of digests whose names are none of a digest.
    fn misnamed(&mut self, scope: Scope<'_>) {
        for file in scope.tree.files.iter().filter(|file| file.kind == FileKind::OddDigest) {
            let (status, detail, time) = match read_digest(&file.path) {
                Ok(digest) if !scope.options.touches(digest.start, digest.end) => continue,
                Ok(digest) if digest_name(name_of(&digest.key)).is_some() => {
                    (Status::Moved, format!("it says that it is {}", digest.address()), Some(digest.end))
                }
                Ok(digest) => (Status::Unreadable, "its name is not that of a digest".to_owned(), Some(digest.end)),
                // A digest that was renamed and damaged is missing at its place.
                Err(_) => (Status::Unreadable, "it is neither a digest nor named as one".to_owned(), None),
            };
            let (account, region) = place(file, None);
            self.add(Row { status, detail, time, ..row(file, Kind::Digest, account, region) });
        }
    }

    fn add(&mut self, row: Row) {
        let sum = self.sums.entry((row.account.clone(), row.region.clone())).or_insert_with(|| ChainSummary {
            account: row.account.clone(),
            region: row.region.clone(),
            ..ChainSummary::default()
        });
        sum.count(&row);
        self.rows.push(row);
    }
}

/// A row of a file that belongs to no chain.
fn row(file: &Found, kind: Kind, account: &str, region: &str) -> Row {
    Row {
        account: account.to_owned(),
        region: region.to_owned(),
        trail: None,
        backfill: false,
        time: None,
        kind,
        object: file.path.clone(),
        file: Some(file.path.clone()),
        status: Status::Valid,
        detail: String::new(),
        follows: false,
    }
}

/// Account and region of a file, by its name, else by its folders; empty where neither says.
fn place<'f>(file: &'f Found, name: Option<(&'f str, &'f str)>) -> (&'f str, &'f str) {
    name.unwrap_or_else(|| {
        let (account, region) = folders(&file.path);
        (account.unwrap_or_default(), region.unwrap_or_default())
    })
}

/// Why no digest names a log, and whether that follows from tampering.
fn why_undigested(done: &[Chain], account: &str, region: &str, delivered: Option<Timestamp>) -> (String, bool) {
    let mut newest = None;
    let mut oldest = None;
    let mut hole = None;
    for chain in done.iter().filter(|chain| chain.summary.account == account && chain.summary.region == region) {
        newest = newest.max(chain.summary.to);
        oldest = [oldest, chain.summary.from].into_iter().flatten().min();
        // Names of logs have minutes only.
        let within = |hole: &&Hole| delivered.is_some_and(|at| at.plus_seconds(60) > hole.from && at < hole.to);
        hole = chain.holes.iter().filter(within).map(|hole| hole.tampered).max().max(hole);
    }
    let text = match (hole, delivered) {
        (Some(true), _) => "the digest of its hour is missing or not valid",
        (Some(false), _) => "it was delivered in a gap of the chain",
        (None, None) => "no digest names it",
        _ if newest.is_none() => "there is no valid digest of its account and region",
        (None, at) if at > newest => "it was delivered after the newest digest that is here; fetch the next one",
        (None, at) if at < oldest => "it was delivered before the oldest digest that is here",
        _ => "the digests of its time do not name it: it is not of this trail, or was put there later",
    };
    (text.to_owned(), hole == Some(true))
}
