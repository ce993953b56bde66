//! `jitscan ingest …`: files into the store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::cli::args::{IngestFiles, IngestKind, IngestLogs};
use crate::cli::context::{CommandError, Context};
use crate::cli::documents::{DocumentKind, account_of};
use crate::cli::escape::terminal;
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::compare::assessment::Gap;
use crate::lake::{IngestOptions, Progress, PutDocument, Writer, ingest_cloudtrail, path_text};
use crate::model::defect::Defect;
use crate::model::resource_policy::{PolicyState, ServiceResources};
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::Timestamp;

/// Runs an ingest.
///
/// # Errors
/// When the store cannot be written, or a named file is not what it should be.
pub fn run(context: &Context<'_>, kind: &IngestKind) -> Result<Status, CommandError> {
    match kind {
        IngestKind::Cloudtrail(args) => cloudtrail(context, args),
        IngestKind::Iam(args) => documents(context, DocumentKind::Iam, args),
        IngestKind::CredentialReport(args) => documents(context, DocumentKind::CredentialReport, args),
        IngestKind::Roster(args) => documents(context, DocumentKind::Roster, args),
        IngestKind::Organization(args) => documents(context, DocumentKind::Organization, args),
        IngestKind::IdentityCenter(args) => documents(context, DocumentKind::IdentityCenter, args),
        IngestKind::Trails(args) => documents(context, DocumentKind::Trails, args),
        IngestKind::Account(args) => documents(context, DocumentKind::Account, args),
        IngestKind::LastAccessed(args) => documents(context, DocumentKind::LastAccessed, args),
        IngestKind::AccessAnalyzer(args) => documents(context, DocumentKind::AccessAnalyzer, args),
        IngestKind::ResourcePolicies(args) => documents(context, DocumentKind::ResourcePolicies, args),
        IngestKind::PublicKeys(args) => documents(context, DocumentKind::PublicKeys, args),
    }
}

/// Columns of `ingest cloudtrail`.
#[must_use]
pub fn log_columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("source", Text, "the path as it was given"),
        Column::new("files", Integer, "log files found under it"),
        Column::new("new_files", Integer, "of these, read by this run; the others were known"),
        Column::new(
            "skipped",
            Integer,
            "digests, Insights and files that are no logs, told apart and not read as events",
        ),
        Column::new("read", Integer, "records read by this run"),
        Column::new("stored", Integer, "events that are new in the store"),
        Column::new("duplicates", Integer, "records with an id and content that the store has"),
        Column::new("conflicts", Integer, "stored events whose id the store has with other content"),
        Column::new("quarantined", Integer, "records that could not be read, set aside"),
        Column::new("pruned", Integer, "records, not among those read, that lie before what was pruned: left out"),
    ]
}

fn cloudtrail(context: &Context<'_>, args: &IngestLogs) -> Result<Status, CommandError> {
    let mut options = IngestOptions::new(context.now);
    options.threads = context.threads();
    options.wait = args.wait;
    options.slim = args.slim;
    if args.no_compact {
        options.compact_over = usize::MAX;
    }
    options.archive = args.archive;
    options.complete = args.complete;
    options.stop = std::sync::Arc::clone(&context.stop);
    let bar = Bar::new(context.shows_progress());
    let report = ingest_cloudtrail(&context.global.store, &args.paths, &options, &bar)?;
    bar.finish();
    let mut table = Table { columns: log_columns(), rows: Vec::new() };
    let mut status = Status::Done;
    let mut gaps = Vec::new();
    for source in &report.sources {
        let numbers = [
            source.files,
            source.new_files,
            source.digests + source.insights + source.skipped.len() as u64,
            source.read,
            source.stored,
            source.duplicates,
            source.conflicts,
            source.quarantined,
            source.pruned,
        ];
        let mut row: Vec<Cell> = vec![path_text(&source.source).into()];
        row.extend(numbers.map(Cell::from));
        table.rows.push(row);
        gaps.extend(packed_gap(&source.skipped));
        for (path, reason) in &source.lost {
            context.note(&format!("lost: {}: {reason}", terminal(&path_text(path))));
            gaps.push(Gap {
                kind: "source".to_owned(),
                what: format!("{} could not be read: {reason}", path_text(path)),
                remedy: "make it readable and ingest it again".to_owned(),
            });
        }
    }
    let changing: u64 = report.sources.iter().map(|source| source.changing).sum();
    if changing > 0 {
        context.note(&format!("{changing} files changed while they were read; the next ingest reads them again"));
    }
    let pruned: u64 = report.sources.iter().map(|source| source.pruned).sum();
    if pruned > 0 {
        context.note(&format!("{pruned} records lie before what was pruned, and were left out"));
    }
    if report.is_incomplete() {
        status = status.and(Status::Incomplete);
    }
    if report.interrupted {
        context.note("interrupted: what is in the store is complete; run the same command again to go on");
        status = status.and(Status::Failed);
    }
    let meta = Meta {
        command: "ingest cloudtrail".to_owned(),
        generation: u64::try_from(report.generation).ok(),
        gaps,
        ..Meta::default()
    };
    context.emit(&meta, &table)?;
    // What was lost as a whole was named above.
    if status == Status::Incomplete && report.sources.iter().any(|source| source.quarantined > 0) {
        context.note("some input could not be read, or lacks what matters; `jitscan query run quarantine` lists it");
    }
    Ok(status)
}

/// Files that were left out and look like logs, packed in a way that is not read.
fn packed_gap(skipped: &[PathBuf]) -> Option<Gap> {
    const PACKED: [&str; 11] = ["zst", "bz2", "xz", "lz4", "zip", "7z", "tar", "tgz", "snappy", "br", "z"];
    let packed = |path: &&PathBuf| {
        let extension = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        extension.is_some_and(|end| PACKED.contains(&end.as_str()))
    };
    let mut all = skipped.iter().filter(packed);
    let first = all.next()?;
    Some(Gap {
        kind: "source".to_owned(),
        what: format!(
            "{} files are packed in a way that is not read, and were left out, such as {}",
            1 + all.count(),
            path_text(first)
        ),
        remedy: "unpack them, or pack them with gzip, and ingest them again".to_owned(),
    })
}

/// Columns of the other ingests.
#[must_use]
pub fn document_columns() -> Vec<Column> {
    use ColumnKind::{Boolean, Integer, Text, Time};
    vec![
        Column::new("source", Text, "the file"),
        Column::new("kind", Text, "what it holds"),
        Column::new("account", Text, "the account that it speaks for, where it is one"),
        Column::new("captured_at", Time, "when the state was read from AWS"),
        Column::new("users", Integer, "IAM users, rows or people in it"),
        Column::new("groups", Integer, "groups in it"),
        Column::new("roles", Integer, "roles or permission sets in it"),
        Column::new("policies", Integer, "managed or organisation policies in it"),
        Column::new("defects", Integer, "entries that could not be understood, set aside"),
        Column::new("new", Boolean, "whether the store did not have it"),
    ]
}

fn documents(context: &Context<'_>, kind: DocumentKind, args: &IngestFiles) -> Result<Status, CommandError> {
    let stored = store_documents(context, kind, &files(&args.paths)?, args.captured_at, args.wait)?;
    for defect in stored.defects.iter().take(MOST_DEFECTS_SAID) {
        context.note(&say(defect));
    }
    if stored.defects.len() > MOST_DEFECTS_SAID {
        context.note(&format!("… and {} more", stored.defects.len() - MOST_DEFECTS_SAID));
    }
    let meta = Meta { command: format!("ingest {}", kind.as_str()), ..Meta::default() };
    context.emit(&meta, &stored.table)?;
    Ok(if stored.defects.is_empty() { Status::Done } else { Status::Incomplete })
}

/// What became of documents.
#[derive(Debug)]
pub struct StoredDocuments {
    /// A row a file.
    pub table: Table,
    /// What was set aside.
    pub defects: Vec<Defect>,
}

/// Reads documents and puts them into the store. Nothing is written before everything was read: a wrong file among
/// right ones leaves the store as it was.
///
/// # Errors
/// When a file cannot be read or is not of that kind, or the store cannot be written.
pub fn store_documents(
    context: &Context<'_>,
    kind: DocumentKind,
    files: &[PathBuf],
    captured_at: Option<Timestamp>,
    wait: bool,
) -> Result<StoredDocuments, CommandError> {
    let mut read = Vec::new();
    for file in files {
        let label = file.display().to_string();
        let bytes = std::fs::read(file).map_err(|source| CommandError::File { path: label.clone(), source })?;
        let captured_at = captured_at.unwrap_or_else(|| modified(file).unwrap_or(context.now));
        let parsed = kind.read(&bytes, &label, captured_at)?;
        read.push((label, captured_at, bytes, parsed));
    }
    let mut writer = Writer::open(&context.global.store, wait, &context.stop)?;
    let mut stored =
        StoredDocuments { table: Table { columns: document_columns(), rows: Vec::new() }, defects: Vec::new() };
    for (label, captured_at, bytes, parsed) in read {
        let account = account_of(&parsed.value);
        let put = writer.put_document(kind.as_str(), account.as_deref(), captured_at, &label, &bytes, context.now)?;
        let [users, groups, roles, policies] = sizes(&parsed.value);
        stored.table.rows.push(vec![
            label.into(),
            kind.as_str().into(),
            account.into(),
            captured_at.into(),
            users.into(),
            groups.into(),
            roles.into(),
            policies.into(),
            parsed.defects.len().into(),
            (put == PutDocument::New).into(),
        ]);
        stored.defects.extend(parsed.defects);
    }
    Ok(stored)
}

/// Most defects of one file that are said on stderr.
const MOST_DEFECTS_SAID: usize = 20;

fn say(defect: &Defect) -> String {
    format!("set aside: {}: {}", defect.place, defect.reason)
}

fn sizes(content: &crate::collect::Content) -> [usize; 4] {
    use crate::collect::Content;
    match content {
        Content::Iam(accounts) => [
            accounts.iter().map(|iam| iam.users.len()).sum(),
            accounts.iter().map(|iam| iam.groups.len()).sum(),
            accounts.iter().map(|iam| iam.roles.len()).sum(),
            // AWS managed policies belong to no account: in a document of two accounts they stand once.
            accounts.iter().flat_map(|iam| &iam.policies).map(|p| p.arn.as_str()).collect::<BTreeSet<_>>().len(),
        ],
        Content::CredentialReport(report) => [report.rows.len(), 0, 0, 0],
        Content::Organization(organization) => [0, organization.accounts.len(), 0, organization.policies.len()],
        Content::IdentityCenter(center) => {
            let groups: BTreeSet<&String> = center.users.iter().flat_map(|user| &user.groups).collect();
            [center.users.len(), groups.len(), center.permission_sets.len(), 0]
        }
        Content::Roster(people) => [people.len(), 0, 0, 0],
        Content::Trails(_) | Content::PublicKeys => [0; 4],
        Content::ResourcePolicies(one) => {
            let of = |of: &ServiceResources| {
                of.resources.iter().filter(|one| matches!(one.policy, PolicyState::Text(_))).count()
            };
            [0, 0, 0, one.services.iter().map(of).sum()]
        }
        // As its summary counts them.
        Content::Account(details) => ["Users", "Groups", "Roles", "Policies"]
            .map(|name| details.summary.get(name).and_then(|count| usize::try_from(*count).ok()).unwrap_or(0)),
        Content::LastAccessed(accounts) => {
            let principals = || accounts.iter().flat_map(|one| &one.principals);
            let roles = principals().filter(|report| report.arn.resource().starts_with("role/")).count();
            [principals().count() - roles, 0, roles, 0]
        }
        // Those that findings are about.
        Content::AccessAnalyzer(one) => {
            let of_type = |wanted: &str| {
                let findings = one.analyzers.iter().flat_map(|analyzer| &analyzer.findings);
                let about = findings.filter(|found| found.resource_type == wanted);
                about.map(|found| found.resource.as_str()).collect::<BTreeSet<_>>().len()
            };
            [of_type("AWS::IAM::User"), 0, of_type("AWS::IAM::Role"), 0]
        }
    }
}

/// The named files, and for folders every file in them, sorted.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let mut found = Vec::new();
    for path in paths {
        let wrap = |source| CommandError::File { path: path.display().to_string(), source };
        if std::fs::metadata(path).map_err(wrap)?.is_dir() {
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path).map_err(wrap)? {
                let entry = entry.map_err(wrap)?.path();
                if entry.is_file() {
                    inside.push(entry);
                }
            }
            inside.sort();
            found.extend(inside);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn modified(path: &Path) -> Option<Timestamp> {
    let since = std::fs::metadata(path).ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(i64::try_from(since.as_secs()).ok()?))
}

/// Progress on a terminal: files, events, bytes, time left.
#[derive(Default)]
struct Bar {
    shown: Option<Mutex<ProgressBar>>,
    files: AtomicU64,
    of: AtomicU64,
    events: AtomicU64,
}

impl Bar {
    fn new(shown: bool) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {binary_bytes}/{binary_total_bytes}, {msg}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { shown: shown.then(|| Mutex::new(ProgressBar::new(0).with_style(style))), ..Self::default() }
    }

    /// So many files of all, and so many events.
    fn counts(&self) -> String {
        let [files, of, events] = [&self.files, &self.of, &self.events].map(|count| count.load(Ordering::Relaxed));
        format!("{}/{} files, {} events", HumanCount(files), HumanCount(of), HumanCount(events))
    }

    fn with(&self, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &self.shown
            && let Ok(bar) = bar.lock()
        {
            act(&bar);
        }
    }

    fn finish(&self) {
        self.with(ProgressBar::finish_and_clear);
    }
}

impl Progress for Bar {
    fn files_found(&self, files: usize, bytes: u64) {
        self.of.store(files as u64, Ordering::Relaxed);
        self.with(|bar| {
            bar.set_message(self.counts());
            bar.set_length(bytes);
        });
    }

    fn more(&self, bytes: u64, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.with(|bar| {
            bar.inc(bytes);
            bar.set_message(self.counts());
        });
    }

    fn file_done(&self, _path: &Path, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.with(|bar| {
            bar.inc(bytes);
            bar.set_message(self.counts());
        });
    }
}
