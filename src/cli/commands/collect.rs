//! `jitscan collect`: state from live AWS into the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cli::args::CollectArgs;
use crate::cli::context::{CommandError, Context};
use crate::cli::documents::DocumentKind;
use crate::cli::escape::terminal;
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::compare::assessment::Gap;
use crate::fetch::{self, AccountReport, Brought, Ended, Event, Failure, FailureKind, Known, Log, Outcome, Purpose};
use crate::lake::{Incoming, IngestOptions, NewDocument, Object, Writer, path_text};
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::Timestamp;

/// What `collect --help` says at its end.
pub const HELP: &str = "\
Nothing is changed in AWS: the program has a table of the calls that it may make, all of which read, and refuses any \
other before it is sent. `jitscan permissions` prints the policies that these calls need. What may not be read is named \
(exit code 4) and leaves what the store knows of it as it was; a document is kept only when all of it was read, and \
what was read of one account is kept at once.

After an interruption, or where AWS did not answer, run the same command again within twelve hours: it goes on with the \
accounts that are not done. Credentials come from where the AWS CLI takes them: environment, profiles, IAM Identity \
Center (after `aws sso login`), processes, containers and instances.";

/// Where the store keeps how far a run came.
const STATE: &str = "collect";
/// For how long what an interrupted run has read counts as read, in seconds.
const RESUME_SECONDS: i64 = 12 * 3600;

/// Columns of `collect`.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("account", Text, "the account"),
        Column::new("name", Text, "its name in the organisation"),
        Column::new("outcome", Text, "complete, partial (see missing) or failed"),
        Column::new("collected", List, "parts that were read and are in the store"),
        Column::new("missing", List, "parts that were not read, and why"),
    ]
}

/// Columns of `collect --dry-run`.
#[must_use]
pub fn plan_columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("service", Text, "the service that would be asked"),
        Column::new("operation", Text, "the operation"),
        Column::new("action", Text, "the IAM action that it needs"),
        Column::new("part", Text, "the part of what is collected that it is for"),
        Column::new(
            "calls",
            Integer,
            "how often at least: lists have further pages, and users, roles and sets count apart",
        ),
    ]
}

/// How far a run came that did not come to its end.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Progress {
    /// When it began, in microseconds.
    begun: i64,
    /// What it was asked for.
    asked: String,
    /// Accounts that are done.
    done: BTreeSet<String>,
}

fn parts(args: &CollectArgs) -> BTreeSet<Purpose> {
    let chosen = |purpose: &Purpose| match args.only.is_empty() {
        true => !args.skip.contains(purpose),
        false => args.only.contains(purpose),
    };
    Purpose::CHOICES.into_iter().filter(chosen).collect()
}

fn options(context: &Context<'_>, args: &CollectArgs, done: BTreeSet<String>, known: Known) -> fetch::Options {
    let what = parts(args);
    let since = args.since.ending(context.now).from;
    fetch::Options {
        events: what.contains(&Purpose::Events).then(|| fetch::Wanted { since, known: Arc::new(known) }),
        start: fetch::Start {
            profile: args.aws.profile.clone(),
            region: args.aws.region.clone(),
            endpoint_url: args.aws.endpoint_url.clone(),
            attempts: args.max_attempts,
            attempt_timeout: Duration::from_secs(args.timeout),
        },
        role_name: args.role_name.clone(),
        external_id: args.external_id.clone(),
        only: args.accounts.clone(),
        what,
        done,
        at_once: args.at_once.get(),
        clock: || Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()),
        stop: Arc::clone(&context.stop),
    }
}

/// What tells a run that goes on from another one.
fn asked(args: &CollectArgs) -> String {
    let parts: Vec<&str> = parts(args).into_iter().map(Purpose::as_str).collect();
    let role = args.role_name.as_deref().unwrap_or("-");
    let endpoint = args.aws.endpoint_url.as_deref().unwrap_or("-");
    let profile = args.aws.profile.as_deref().unwrap_or("-");
    let events = format!("{} {}", args.since, if args.slim { "slim" } else { "full" });
    format!("{} {role} {endpoint} {profile} {events}", parts.join(","))
}

/// Runs `collect`.
///
/// # Errors
/// Where nothing can be read at all, or the store cannot be written.
pub fn run(context: &Context<'_>, args: &CollectArgs) -> Result<Status, CommandError> {
    let failed = |failure: Failure| CommandError::Failed(failure.to_string());
    if args.dry_run {
        let plan = fetch::plan(&options(context, args, BTreeSet::new(), Known::new())).map_err(failed)?;
        return say_plan(context, &plan);
    }
    let mut writer = Writer::open(&context.global.store, args.wait, &context.stop)?;
    let mut known = writer.known_objects("s3://")?;
    known.extend(writer.known_objects("cloudtrail://")?);
    let mut keeper = Keeper::new(context, &mut writer, args)?;
    let done = keeper.progress.done.clone();
    if !done.is_empty() {
        context.note(&format!("going on where a run ended early: {} accounts are done", done.len()));
    }
    let ended =
        fetch::collect(&options(context, args, done, known), &mut |event| keeper.take(event)).map_err(failed)?;
    if let Some(error) = keeper.error.take() {
        return Err(error);
    }
    keeper.finish(ended)
}

/// Log objects that are read together: bytes, and how many.
const BATCH_BYTES: u64 = 64 << 20;
const BATCH_OBJECTS: usize = 4096;

/// What became of events.
#[derive(Clone, Copy, Debug, Default)]
struct Events {
    objects: u64,
    read: u64,
    stored: u64,
    quarantined: u64,
}

/// Puts what comes in into the store.
struct Keeper<'a> {
    context: &'a Context<'a>,
    writer: &'a mut Writer,
    incoming: Incoming,
    ingest: IngestOptions,
    events: Events,
    progress: Progress,
    /// Accounts of which logs wait to be read.
    waiting: BTreeSet<String>,
    /// Accounts that are to be read, and how many are.
    total: usize,
    count: usize,
    rows: Vec<AccountReport>,
    /// Entries within documents that could not be understood.
    defects: usize,
    /// Documents that could not be read at all, by account and kind, and why.
    unreadable: BTreeMap<(String, &'static str), String>,
    /// Logs that were not read in full; those of which nothing was.
    incomplete: bool,
    lost: Vec<Gap>,
    error: Option<CommandError>,
}

impl<'a> Keeper<'a> {
    fn new(context: &'a Context<'a>, writer: &'a mut Writer, args: &CollectArgs) -> Result<Self, CommandError> {
        let known: Option<Progress> = writer.state(STATE)?.and_then(|state| serde_json::from_value(state).ok());
        let since = context.now.plus_seconds(-RESUME_SECONDS).micros();
        let known = known.filter(|known| !args.afresh && known.begun >= since && known.asked == asked(args));
        let begun = context.now.micros();
        let progress = known.unwrap_or_else(|| Progress { begun, asked: asked(args), done: BTreeSet::new() });
        let mut ingest = IngestOptions::new(context.now);
        ingest.threads = context.threads();
        ingest.slim = args.slim;
        Ok(Self {
            context,
            incoming: Incoming::begin(writer)?,
            writer,
            ingest,
            events: Events::default(),
            progress,
            waiting: BTreeSet::new(),
            total: 0,
            count: 0,
            rows: Vec::new(),
            defects: 0,
            unreadable: BTreeMap::new(),
            incomplete: false,
            lost: Vec::new(),
            error: None,
        })
    }

    fn take(&mut self, event: Event) {
        if self.error.is_some() {
            return;
        }
        let taken = match event {
            Event::Accounts(total) => {
                self.total = total;
                Ok(())
            }
            Event::Central(mut row, documents) => self.documents(&documents).map(|()| {
                self.withdraw(&mut row, "");
                self.rows.push(row);
            }),
            Event::State(documents) => self.documents(&documents),
            Event::Log(account, log) => self.log(account, &log),
            Event::Account(row) => self.account(row),
        };
        if let Err(error) = taken {
            // What comes after could not be kept either.
            self.context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
            self.error = Some(error);
        }
    }

    /// Documents that belong together: all of them, or none. One that cannot be read is set aside, and told with its
    /// account.
    fn documents(&mut self, documents: &[Brought]) -> Result<(), CommandError> {
        let mut sources = Vec::with_capacity(documents.len());
        let mut readable = Vec::with_capacity(documents.len());
        for document in documents {
            let source = document.account.as_ref().map_or_else(|| "collect".to_owned(), |id| format!("collect {id}"));
            let unknown = || CommandError::Failed(format!("no reader for documents of kind {}", document.kind));
            let kind = DocumentKind::parse(document.kind).ok_or_else(unknown)?;
            match kind.read(&document.bytes, &source, document.captured_at) {
                Ok(parsed) => {
                    self.defects += parsed.defects.len();
                    sources.push(source);
                    readable.push(document);
                }
                Err(error) => {
                    let account = document.account.clone().unwrap_or_default();
                    self.unreadable.insert((account, document.kind), error.to_string());
                }
            }
        }
        let new: Vec<NewDocument<'_>> = readable
            .into_iter()
            .zip(&sources)
            .map(|(document, source)| NewDocument {
                kind: document.kind,
                account: document.account.as_deref(),
                captured_at: document.captured_at,
                source,
                bytes: &document.bytes,
            })
            .collect();
        self.writer.put_documents(&new, self.context.now)?;
        Ok(())
    }

    /// Takes back from a row what could not be read. `account` is empty for what is of the organisation as a whole.
    fn withdraw(&mut self, row: &mut AccountReport, account: &str) {
        for ((_, kind), reason) in self.unreadable.extract_if(.., |(of, _), _| of == account) {
            row.withdraw(kind, Failure::unreadable(kind, &reason));
        }
    }

    fn log(&mut self, account: String, log: &Log) -> Result<(), CommandError> {
        self.waiting.insert(account);
        let Log { name, modified, bytes, complete } = log;
        self.incoming.add(&Object { name, modified: *modified, bytes, complete: *complete })?;
        if self.incoming.bytes() >= BATCH_BYTES || self.incoming.waiting() >= BATCH_OBJECTS {
            self.read_waiting()?;
        }
        Ok(())
    }

    /// Reads the logs that wait.
    fn read_waiting(&mut self) -> Result<(), CommandError> {
        let waiting = self.incoming.waiting();
        for report in self.incoming.ingest(self.writer, &self.ingest)? {
            self.incomplete |= report.is_incomplete();
            for source in &report.sources {
                self.events.read += source.read;
                self.events.stored += source.stored;
                self.events.quarantined += source.quarantined;
                for (path, reason) in &source.lost {
                    self.context.note(&format!("lost: {}: {reason}", terminal(&path_text(path))));
                    self.lost.push(Gap {
                        kind: "source".to_owned(),
                        what: format!("{} could not be read: {reason}", path_text(path)),
                        remedy: "run it again: it is fetched anew".to_owned(),
                    });
                }
            }
        }
        self.events.objects += waiting as u64;
        self.waiting.clear();
        Ok(())
    }

    fn account(&mut self, mut row: AccountReport) -> Result<(), CommandError> {
        let account = row.account.clone();
        self.withdraw(&mut row, &account);
        // Done is what is in the store.
        if self.waiting.contains(&row.account) {
            self.read_waiting()?;
        }
        self.count += 1;
        let missing = match row.missing.len() {
            0 => String::new(),
            1 => ", 1 part missing".to_owned(),
            n => format!(", {n} parts missing"),
        };
        let (count, total) = (self.count, self.total);
        let name = if row.name.is_empty() { String::new() } else { format!(" {}", row.name) };
        self.context.note(&format!("[{count}/{total}] {}{name}: {}{missing}", row.account, row.outcome.as_str()));
        if !row.missing.iter().any(|(_, failure)| is_worth_another_try(failure)) {
            self.progress.done.insert(row.account.clone());
            let state = serde_json::to_value(&self.progress).unwrap_or_default();
            self.writer.put_state(STATE, &state)?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// The summary.
    fn finish(mut self, ended: Ended) -> Result<Status, CommandError> {
        self.read_waiting()?;
        let retry = self.rows.iter().flat_map(|row| &row.missing).any(|(_, failure)| is_worth_another_try(failure));
        if ended == Ended::Whole && !retry {
            self.writer.put_state(STATE, &serde_json::Value::Null)?;
        }
        let mut table = Table { columns: columns(), rows: Vec::new() };
        let mut gaps = std::mem::take(&mut self.lost);
        self.rows.sort_by(|a, b| (&a.account, a.brought.first()).cmp(&(&b.account, b.brought.first())));
        for row in &self.rows {
            let missing: Vec<String> =
                row.missing.iter().map(|(purpose, failure)| format!("{}: {failure}", purpose.as_str())).collect();
            for (purpose, failure) in &row.missing {
                gaps.push(gap(&row.account, *purpose, failure));
            }
            table.rows.push(vec![
                row.account.as_str().into(),
                row.name.as_str().into(),
                row.outcome.as_str().into(),
                Cell::from(row.brought.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>()),
                Cell::from(missing),
            ]);
        }
        let generation = self.writer.generation()?;
        let incomplete = !gaps.is_empty() || self.defects > 0 || self.incomplete;
        let meta =
            Meta { command: "collect".to_owned(), generation: u64::try_from(generation).ok(), gaps, ..Meta::default() };
        self.context.emit(&meta, &table)?;
        let Events { objects, read, stored, quarantined } = self.events;
        if objects > 0 {
            let (fetched, counts) = (format!("{objects} log objects"), format!("{read} records, {stored} of them new"));
            self.context.note(&format!("{fetched}: {counts}, {quarantined} set aside"));
        }
        if self.defects > 0 {
            self.context.note(&format!("{} entries could not be understood and were set aside", self.defects));
        }
        let of = |outcome| self.rows.iter().filter(|row| row.outcome == outcome).count();
        let counts =
            [Outcome::Complete, Outcome::Partial, Outcome::Failed].map(|o| format!("{} {}", of(o), o.as_str()));
        self.context.note(&counts.join(", "));
        if ended == Ended::Early {
            self.context.note("interrupted: what is in the store is complete; run the same command again to go on");
            return Ok(Status::Failed);
        }
        Ok(if incomplete { Status::Incomplete } else { Status::Done })
    }
}

/// Whether the same call may succeed without anybody changing a policy.
fn is_worth_another_try(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Credentials | FailureKind::Throttled | FailureKind::Service | FailureKind::Network
    )
}

fn gap(account: &str, purpose: Purpose, failure: &Failure) -> Gap {
    let remedy = match failure.kind {
        FailureKind::Denied => format!("allow {} (see `jitscan permissions`)", failure.action),
        FailureKind::Credentials => "renew the credentials, and run it again: it goes on".to_owned(),
        FailureKind::Absent => "nothing can be read of what is not there".to_owned(),
        FailureKind::Program => "report it: jitscan is at fault".to_owned(),
        FailureKind::Throttled | FailureKind::Service | FailureKind::Network => "run it again: it goes on".to_owned(),
    };
    Gap { kind: "account".to_owned(), what: format!("{account}: {}: {failure}", purpose.as_str()), remedy }
}

fn say_plan(context: &Context<'_>, plan: &fetch::Plan) -> Result<Status, CommandError> {
    let mut table = Table { columns: plan_columns(), rows: Vec::new() };
    for (call, times) in &plan.calls {
        table.rows.push(vec![
            call.service.into(),
            call.operation.into(),
            call.action.into(),
            call.purpose.as_str().into(),
            (*times).into(),
        ]);
    }
    let calls: usize = plan.calls.iter().map(|(_, times)| times).sum();
    context.emit(&Meta { command: "collect --dry-run".to_owned(), ..Meta::default() }, &table)?;
    context.note(&format!("{} accounts, at least {calls} calls; nothing was stored", plan.accounts.len()));
    Ok(Status::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::CALLS;

    #[test]
    fn what_a_policy_forbids_is_not_tried_again() {
        let call = CALLS.iter().find(|call| call.operation == "ListRoots").unwrap();
        for (kind, again) in [
            (FailureKind::Denied, false),
            (FailureKind::Absent, false),
            (FailureKind::Credentials, true),
            (FailureKind::Throttled, true),
            (FailureKind::Service, true),
            (FailureKind::Network, true),
        ] {
            let failure = Failure::of_kind(call, kind, "x");
            assert_eq!(is_worth_another_try(&failure), again, "{kind:?}");
            assert!(!gap("1", Purpose::Organization, &failure).remedy.is_empty());
        }
    }
}
