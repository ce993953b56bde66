//! `jitscan logs verify`: whether log files are what CloudTrail delivered.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::args::{LogsAction, VerifyArgs};
use crate::cli::context::{CommandError, Context};
use crate::cli::documents::DocumentKind;
use crate::cli::exit::Status as Exit;
use crate::cli::output::Meta;
use crate::compare::assessment::Gap;
use crate::integrity::{ChainSummary, MAX_KEYS_BYTES, Options, PublicKeys, Report, Row, VerifyError, Weight, verify};
use crate::lake::Reader;
use crate::model::table::{Cell, Column, ColumnKind, Table};

/// What `--help` says after the options.
pub const HELP: &str = "\
What can be said of a digest or log, and the exit code that it leads to:
  valid              0  proven to be what CloudTrail delivered
  invalid-signature  3  a digest that was changed, or that the signed chain passes by
  invalid-format     3  cannot be uncompressed, has bytes after its end, or is no digest
  moved              3  stands at another place than the one it was delivered to
  log-hash-mismatch  3  a log that was changed
  log-missing        3  a log that its digest names and that is not there
  digest-missing     3  a digest that the next one names and that is not there, although older ones are, or --from asks
  key-missing        4  the digest's public key was not given
  newest-unsigned    4  a digest whose signature is not at hand: S3 holds that of the newest in the object's metadata;
                        save it as OBJECT.meta.json beside the file: aws s3api head-object --bucket B --key OBJECT
  gap                4  a time that no digest speaks for: validation or logging was off, or digests were not downloaded
  not-digested       4  a log that no digest names
  unreadable         4  cannot be read, or is too large to be checked (4 GiB uncompressed)
What is inconclusive only because a neighbour was tampered with does not lead to 4. Where both hold the exit code is 4,
as everywhere in jitscan: look at `status`, where a chain is `tampered` above all else.
AWS's own validator cannot work on downloaded files. What no tool can see offline: that the newest digests and their
logs were all deleted (give --to), or that a whole tree was copied to another bucket or prefix.";

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text, Time};
    vec![
        Column::new("account", Text, "the account whose events they are"),
        Column::new("region", Text, "the region that they come from"),
        Column::new("trail", Text, "the trail; null for what belongs to no chain of digests"),
        Column::new("chain", Text, "standard or backfill: which of the trail's two chains"),
        Column::new("kind", Text, "digest, log, or chain: the sums of a chain, after all digests and logs"),
        Column::new("object", Text, "S3 address that it was delivered to; the path of a file that belongs nowhere"),
        Column::new(
            "status",
            Text,
            "valid; tampering (exit 3): invalid-signature, invalid-format, moved, log-hash-mismatch, log-missing, \
             digest-missing; inconclusive (exit 4): key-missing, newest-unsigned, gap, not-digested, unreadable; of a \
             chain: valid, incomplete, or tampered, which stands above incomplete",
        ),
        Column::new("detail", Text, "why; of a chain: its sums in words"),
        Column::new("time", Time, "when a digest ends, a log was delivered, a gap begins"),
        Column::new("file", Text, "where it was found"),
        Column::new(
            "follows",
            ColumnKind::Boolean,
            "whether it is inconclusive only because something else was tampered with, and does not lead to exit 4",
        ),
        Column::new("from", Time, "of a chain: where its first proven digest begins"),
        Column::new("to", Time, "of a chain: where its last proven digest ends"),
        Column::new("digests", Integer, "of a chain: digests looked at"),
        Column::new("digests_valid", Integer, "of a chain: digests that are valid"),
        Column::new("logs", Integer, "of a chain: logs that its digests name"),
        Column::new("logs_valid", Integer, "of a chain: logs that are valid"),
        Column::new("tampered", Integer, "of a chain: digests and logs that mean tampering"),
    ]
}

/// Columns that machines get and people do not: the detail has them in words.
const FOR_MACHINES: [&str; 9] =
    ["file", "follows", "from", "to", "digests", "digests_valid", "logs", "logs_valid", "tampered"];

/// Runs it.
///
/// # Errors
/// When a path or a file of keys cannot be read.
pub fn run(context: &Context<'_>, action: &LogsAction) -> Result<Exit, CommandError> {
    let LogsAction::Verify(args) = action;
    let options = Options { from: args.from, to: args.to, keep_valid: args.all };
    if let (Some(from), Some(to)) = (options.from, options.to)
        && from >= to
    {
        return Err(CommandError::Usage(format!("--from {from} is not before --to {to}")));
    }
    let keys = match args.public_keys.as_slice() {
        [] => stored_keys(context)?,
        paths => read_keys(paths)?,
    };
    let report = verify(&args.paths, &keys, &options).map_err(|VerifyError::Path { path, source }| {
        CommandError::File { path: path.display().to_string(), source }
    })?;
    let gaps = gaps(&report, args, keys.is_empty());
    context.emit(
        &Meta { command: "logs verify".to_owned(), gaps: gaps.clone(), ..Meta::default() },
        &table(context, &report),
    )?;
    for gap in &gaps {
        let remedy = if gap.remedy.is_empty() { String::new() } else { format!("; {}", gap.remedy) };
        context.note(&format!("{}: {}{remedy}", gap.kind, gap.what));
    }
    let mut status = Exit::Done;
    if report.tampered() > 0 {
        status = status.and(Exit::Findings);
    }
    if report.is_incomplete() {
        status = status.and(Exit::Incomplete);
    }
    Ok(status)
}

/// The keys that `collect` or `ingest public-keys` put into the store, where there is one.
fn stored_keys(context: &Context<'_>) -> Result<PublicKeys, CommandError> {
    let mut keys = PublicKeys::default();
    if !context.global.store.exists() {
        return Ok(keys);
    }
    let reader = Reader::open(&context.global.store)?;
    for meta in reader.documents()?.iter().filter(|meta| meta.kind == DocumentKind::PublicKeys.as_str()) {
        let bytes = reader.document_bytes(meta)?;
        keys.add(&bytes).map_err(|error| CommandError::Failed(format!("{}: {error}", meta.source)))?;
    }
    Ok(keys)
}

/// Reads files of keys; of a folder, every `.json` in it.
fn read_keys(paths: &[PathBuf]) -> Result<PublicKeys, CommandError> {
    let mut keys = PublicKeys::default();
    for path in paths {
        let wrap = |source| CommandError::File { path: path.display().to_string(), source };
        let mut files = vec![path.clone()];
        if std::fs::metadata(path).map_err(wrap)?.is_dir() {
            files.clear();
            for entry in std::fs::read_dir(path).map_err(wrap)? {
                let entry = entry.map_err(wrap)?.path();
                if entry.extension().is_some_and(|extension| extension == "json") {
                    files.push(entry);
                }
            }
            files.sort();
        }
        for file in &files {
            let bytes = read_bounded(file)?;
            keys.add(&bytes).map_err(|error| CommandError::Failed(format!("{}: {error}", file.display())))?;
        }
    }
    Ok(keys)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, CommandError> {
    let wrap = |source| CommandError::File { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(wrap)?;
    file.take(MAX_KEYS_BYTES + 1).read_to_end(&mut bytes).map_err(wrap)?;
    if bytes.len() as u64 > MAX_KEYS_BYTES {
        let text = format!("{}: more than {MAX_KEYS_BYTES} bytes are no list of public keys", path.display());
        return Err(CommandError::Failed(text));
    }
    Ok(bytes)
}

/// What narrows the claims, tampering first.
fn gaps(report: &Report, args: &VerifyArgs, no_keys: bool) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut gap = |kind: &str, what: String, remedy: &str| {
        gaps.push(Gap { kind: kind.to_owned(), what, remedy: remedy.to_owned() });
    };
    match report.tampered() {
        0 => {}
        count => {
            let what = format!("{count} digests or logs were changed, moved or deleted after delivery");
            gap("TAMPERING", what, "compare the object versions and the access logs of the bucket");
        }
    }
    let inconclusive: u64 = report.chains.iter().map(|chain| chain.inconclusive).sum();
    if inconclusive > 0 {
        let what = format!("{inconclusive} digests, logs or times are neither proven nor disproved");
        gap("incomplete", what, "`jitscan logs verify --help` says what each status wants");
    }
    if report.digest_files == 0 {
        let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        let what = format!("no digest files below {}", paths.join(", "));
        gap("incomplete", what, "download the CloudTrail-Digest folders of the bucket, too");
    } else if report.chains.iter().all(|chain| chain.digests == 0) {
        gap("incomplete", "no digest is of the time that is asked about".to_owned(), "widen --from and --to");
    } else if no_keys {
        gap(
            "incomplete",
            "no public keys were given, and the store has none".to_owned(),
            "`jitscan collect --only public-keys`, or `aws cloudtrail list-public-keys` in each region",
        );
    }
    if report.other_kinds > 0 {
        let what = format!(
            "{} log files of other kinds (Insights, network activity) are named by no digest",
            report.other_kinds
        );
        gap("not judged", what, "");
    }
    for (path, reason) in &report.lost {
        gap("source", format!("{path} could not be read: {reason}"), "make it readable");
    }
    gaps
}

fn table(context: &Context<'_>, report: &Report) -> Table {
    let mut table = Table { columns: columns(), rows: Vec::new() };
    table.rows.extend(report.rows.iter().map(cells));
    table.rows.extend(report.chains.iter().map(sums));
    if context.is_for_people() {
        let kept: Vec<bool> = table.columns.iter().map(|c| !FOR_MACHINES.contains(&c.name.as_str())).collect();
        let mut keep = kept.iter().copied().cycle();
        table.columns.retain(|_| keep.next().unwrap_or(true));
        for row in &mut table.rows {
            let mut keep = kept.iter().copied();
            row.retain(|_| keep.next().unwrap_or(true));
        }
    }
    table
}

fn cells(row: &Row) -> Vec<Cell> {
    let mut cells = vec![
        row.account.as_str().into(),
        row.region.as_str().into(),
        row.trail.clone().into(),
        chain(row.trail.as_deref(), row.backfill),
        row.kind.as_str().into(),
        row.object.as_str().into(),
        row.status.as_str().into(),
        row.detail.as_str().into(),
        row.time.into(),
        row.file.clone().into(),
        row.follows.into(),
    ];
    cells.resize(columns().len(), Cell::Null);
    cells
}

fn sums(chain: &ChainSummary) -> Vec<Cell> {
    let status = match chain.weight() {
        Weight::Good if chain.digests == 0 => "none",
        Weight::Good => "valid",
        Weight::Inconclusive => "incomplete",
        Weight::Tampering => "tampered",
    };
    vec![
        chain.account.as_str().into(),
        chain.region.as_str().into(),
        chain.trail.clone().into(),
        self::chain(chain.trail.as_deref(), chain.backfill),
        "chain".into(),
        Cell::Null,
        status.into(),
        in_words(chain).into(),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        chain.from.into(),
        chain.to.into(),
        chain.digests.into(),
        chain.digests_valid.into(),
        chain.logs.into(),
        chain.logs_valid.into(),
        chain.tampered.into(),
    ]
}

fn chain(trail: Option<&str>, backfill: bool) -> Cell {
    match (trail, backfill) {
        (None, _) => Cell::Null,
        (Some(_), false) => "standard".into(),
        (Some(_), true) => "backfill".into(),
    }
}

fn in_words(chain: &ChainSummary) -> String {
    if chain.digests == 0 && chain.logs == 0 && chain.weight() == Weight::Good {
        return "none of its digests is of the time that is asked about".to_owned();
    }
    let mut text = format!(
        "{} of {} digests and {} of {} logs are valid",
        chain.digests_valid, chain.digests, chain.logs_valid, chain.logs
    );
    if let (Some(from), Some(to)) = (chain.from, chain.to) {
        text.push_str(&format!(", {from} to {to}"));
    }
    for (count, what) in [(chain.tampered, "TAMPERED"), (chain.inconclusive, "inconclusive")] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    text
}
