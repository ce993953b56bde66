//! `jitscan lake …`: looking after the store.

use std::path::Path;

use crate::cli::args::{DocumentsArgs, LakeAction, PruneArgs};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::lake::{CheckStatus, DocumentMeta, Effort, Writer, check};
use crate::model::table::{Cell, Column, ColumnKind, Table};

/// What `lake prune --help` says at its end.
pub const PRUNE_HELP: &str = "\
What goes: events of the days before DATE, and what was folded from them; the ids by which their copies are known; \
what was set aside of log files, and their originals, where all events of the file go; spans of digests that begin \
before DATE. Analysis then takes these days for days without logs.

What stays: the list of the log files that were read, so that they are not read again; calls that changed trails, \
which are the history of what was recorded; IAM state and the lives of findings.

Events before DATE that come in later, from old files, copies of them or files that grew, are left out and counted as \
`pruned`: to look at such days again, ingest their logs into another store. Files are removed, not overwritten: what \
the disk, its snapshots and backups keep of them is theirs.";

/// Runs it.
///
/// # Errors
/// When the store cannot be read or written.
pub fn run(context: &Context<'_>, action: &LakeAction) -> Result<Status, CommandError> {
    match action {
        LakeAction::Compact { wait } => compact(context, *wait),
        LakeAction::Check => check_store(context),
        LakeAction::Documents(args) => documents(context, args),
        LakeAction::Prune(args) => prune(context, args),
    }
}

/// Opens a store that is there for writing. What looks after a store makes none.
fn writer(context: &Context<'_>, wait: bool) -> Result<Writer, CommandError> {
    let store = &context.global.store;
    if !store.join("manifest.sqlite").is_file() {
        return Err(crate::lake::LakeError::Missing { path: store.clone() }.into());
    }
    Ok(Writer::open(store, wait, &context.stop)?)
}

fn meta(command: &str, generation: i64) -> Meta {
    Meta { command: command.to_owned(), generation: u64::try_from(generation).ok(), ..Meta::default() }
}

/// Columns of `lake compact`.
#[must_use]
pub fn compact_columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("kind", Text, "kind of file: a kind of Parquet file, or ids"),
        Column::new("files_before", Integer, "files before"),
        Column::new("files_after", Integer, "files after"),
        Column::new("rows_before", Integer, "rows, or ids, before"),
        Column::new("rows_after", Integer, "rows, or ids, after: rows of facts with one key become one"),
        Column::new("bytes_before", Integer, "bytes before"),
        Column::new("bytes_after", Integer, "bytes after"),
    ]
}

fn compact(context: &Context<'_>, wait: bool) -> Result<Status, CommandError> {
    let done = writer(context, wait)?.compact_until(Effort::Full, context.now, &context.stop)?;
    let mut table = Table { columns: compact_columns(), rows: Vec::new() };
    for kind in &done.kinds {
        let numbers = kind.files.iter().chain(&kind.rows).chain(&kind.bytes);
        table.rows.push(std::iter::once(kind.kind.into()).chain(numbers.map(|n| Cell::from(*n))).collect());
    }
    context.emit(&meta("lake compact", done.generation), &table)?;
    if done.interrupted {
        context.note("interrupted: what was merged is part of the store; run the same command again to go on");
        return Ok(Status::Failed);
    }
    Ok(Status::Done)
}

/// Columns of `lake check`.
#[must_use]
pub fn check_columns() -> Vec<Column> {
    use ColumnKind::Text;
    vec![
        Column::new("check", Text, "what was looked at"),
        Column::new("subject", Text, "where: a file of the store, a month, a log file, or the kind as a whole"),
        Column::new("status", Text, "ok, bad (the store is damaged) or info (nothing is wrong)"),
        Column::new("detail", Text, "what was found"),
    ]
}

fn check_store(context: &Context<'_>) -> Result<Status, CommandError> {
    let report = check(&context.global.store)?;
    let mut table = Table { columns: check_columns(), rows: Vec::new() };
    for row in &report.rows {
        let cells =
            [row.check.into(), row.subject.as_str().into(), row.status.as_str().into(), row.detail.as_str().into()];
        table.rows.push(cells.to_vec());
    }
    context.emit(&meta("lake check", report.generation), &table)?;
    let bad = report.rows.iter().filter(|row| row.status == CheckStatus::Bad).count();
    if bad > 0 {
        let what = "bring it back from a copy, or ingest the logs into a new one";
        context.note(&format!("the store is damaged (see {bad} of the rows): {what}"));
    }
    Ok(if report.is_clean() { Status::Done } else { Status::Failed })
}

/// Columns of `lake documents`.
#[must_use]
pub fn document_columns() -> Vec<Column> {
    use ColumnKind::{Boolean, Integer, Text, Time};
    vec![
        Column::new("kind", Text, "what it holds"),
        Column::new("account", Text, "the account that it speaks for, where it is one"),
        Column::new("captured_at", Time, "when the state was read from AWS"),
        Column::new("source", Text, "the file, or the command, that it is from"),
        Column::new("bytes", Integer, "its length"),
        Column::new("hash", Text, "BLAKE3 of its bytes"),
        Column::new("newest", Boolean, "whether it is the newest of its kind and account"),
    ]
}

fn documents(context: &Context<'_>, args: &DocumentsArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let mut all = reader.documents()?;
    let order = |d: &DocumentMeta| (d.kind.clone(), d.account.clone(), d.captured_at, d.generation, d.hash.clone());
    all.sort_by_key(order);
    let mut table = Table { columns: document_columns(), rows: Vec::new() };
    for (at, document) in all.iter().enumerate() {
        let whose = |d: &DocumentMeta| (d.kind.clone(), d.account.clone());
        let newest = all.get(at + 1).is_none_or(|next| whose(next) != whose(document));
        table.rows.push(vec![
            document.kind.as_str().into(),
            document.account.as_str().into(),
            document.captured_at.into(),
            document.source.as_str().into(),
            document.bytes.into(),
            document.hash.as_str().into(),
            newest.into(),
        ]);
        if let Some(dir) = args.export.as_deref().filter(|_| newest) {
            export(dir, document, &reader.document_bytes(document)?)?;
        }
    }
    let meta = Meta { command: "lake documents".to_owned(), ..Meta::default() };
    context.emit(&meta, &table)?;
    Ok(Status::Done)
}

/// Writes a document as DIR/KIND/ACCOUNT.json.
fn export(dir: &Path, document: &DocumentMeta, bytes: &[u8]) -> Result<(), CommandError> {
    let plain =
        |text: &str| text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    let (kind, account): (String, String) = (plain(&document.kind), plain(&document.account));
    let account = if account.is_empty() { "_".to_owned() } else { account };
    let form = if bytes.first().is_some_and(|byte| matches!(byte, b'{' | b'[')) { "json" } else { "csv" };
    let folder = dir.join(kind);
    let wrap = |path: &Path| {
        let path = path.display().to_string();
        move |source| CommandError::File { path, source }
    };
    std::fs::create_dir_all(&folder).map_err(wrap(&folder))?;
    let path = folder.join(format!("{account}.{form}"));
    std::fs::write(&path, bytes).map_err(wrap(&path))
}

/// Columns of `lake prune`.
#[must_use]
pub fn prune_columns() -> Vec<Column> {
    use ColumnKind::{Boolean, Integer, Text};
    vec![
        Column::new("what", Text, "events, facts, ids, quarantine, archive (original files) or digests"),
        Column::new("month", Text, "the month of which it speaks, where it is known"),
        Column::new("entries", Integer, "how many go; not told of facts, which are in part folded anew"),
        Column::new("files", Integer, "files of the store that go or are written anew"),
        Column::new("bytes", Integer, "their bytes, or the bytes of the entries"),
        Column::new("done", Boolean, "whether they are gone, or would go"),
    ]
}

fn prune(context: &Context<'_>, args: &PruneArgs) -> Result<Status, CommandError> {
    // What lies before a prune is left out for good, so a slip in the year would turn every event to come away.
    if args.before > context.now {
        let (before, today) = (args.before.day(), context.now.day());
        return Err(CommandError::Usage(format!(
            "--before {before} lies after today, {today}: events that are still to come would be left out for good, too; \
             give a day up to {today}"
        )));
    }
    let pruned = if args.yes {
        writer(context, args.wait)?.prune(args.before, context.now)?
    } else {
        open(context)?.prune_plan(args.before)?
    };
    let mut table = Table { columns: prune_columns(), rows: Vec::new() };
    for row in &pruned.rows {
        table.rows.push(vec![
            row.what.as_str().into(),
            row.month.as_str().into(),
            row.entries.map_or(Cell::Null, Cell::from),
            row.files.into(),
            row.bytes.into(),
            args.yes.into(),
        ]);
    }
    context.emit(&meta("lake prune", pruned.generation), &table)?;
    if pruned.rows.is_empty() {
        context.note(&format!("nothing lies before {}", pruned.before));
    } else if !args.yes {
        context.note(&format!("nothing was removed; with --yes, what lies before {} goes for good", pruned.before));
    }
    if pruned.held {
        context.note(
            "somebody reads the store: what was removed is no longer part of it, but is still on the disk until the \
             next command that writes to the store finds no reader",
        );
    }
    Ok(Status::Done)
}
