//! `jitscan remediate apply | rollback`: plans carried out and taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalog::{Catalog, Glob};
use crate::cli::args::{ApplyArgs, ExecutorArgs, RollbackArgs};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::documents;
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::cli::pipeline::{Depth, World};
use crate::collect;
use crate::executor::Executor;
use crate::executor::ledger::{Ledger, OnDisk, PLAN};
use crate::fetch;
use crate::lake::CHANGES;
use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::Timestamp;
use crate::remediate::effect::Effect;
use crate::remediate::export::in_code;
use crate::remediate::export::script::shell;
use crate::remediate::journal::{Journal as _, JournalError, Line, Record};
use crate::remediate::prove::{Proof, Verdict};
use crate::remediate::run::{Ended, Phase, Progress, Run, State};
use crate::remediate::safety::{self, Limits};
use crate::remediate::{Code, Misfit, Plan, fresh};
use crate::usage::code::{WrittenByCode, is_write};

use super::past::begun;
use super::prove::{cannot_see, prove_columns, proved, proved_on, say_blind, summary};
use super::{for_people, patterns, read_with_text};

/// Columns of `apply` and `rollback`.
#[must_use]
pub fn run_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new("principal", Text, "ARN of a user, a role or a permission set"),
        Column::new("account", Text, "the account"),
        Column::new("outcome", Text, "changed, rolled_back, failed (and taken back), unfinished, stuck or unchanged"),
        Column::new("made", Integer, "calls that stand"),
        Column::new("taken_back", Integer, "calls that were taken back"),
        Column::new("why", List, "what went wrong"),
        Column::new("by_hand", List, "calls that a person has to look at, as the AWS CLI takes them"),
    ]
}

fn clock() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

fn failed(error: &impl ToString) -> CommandError {
    CommandError::Failed(error.to_string())
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What changes access happens now, and names names.
pub(super) fn only_now(context: &Context<'_>) -> Result<(), CommandError> {
    if context.global.as_of.is_some() {
        return Err(CommandError::Usage("access is changed now: --as-of is for analysis".to_owned()));
    }
    Ok(())
}

pub(super) fn connect(
    args: &ExecutorArgs,
    accounts: &BTreeSet<AccountId>,
    center: &str,
) -> Result<Executor, CommandError> {
    let start = fetch::Start {
        profile: args.aws.profile.clone(),
        region: args.aws.region.clone(),
        endpoint_url: args.aws.endpoint_url.clone(),
        attempts: args.max_attempts,
        attempt_timeout: Duration::from_secs(args.timeout),
    };
    Executor::connect(&start, args.role_name.as_deref(), args.external_id.as_deref(), accounts, center)
        .map_err(|failure| failed(&failure))
}

/// The accounts that a plan is made in, and those whose roles it changes by a permission set, which are looked at before it
/// begins.
fn accounts(plan: &Plan) -> BTreeSet<AccountId> {
    let of_roles =
        plan.changes.iter().flat_map(|change| &change.roles).filter_map(|arn| arn.split(':').nth(4)?.parse().ok());
    plan.steps().map(|(account, ..)| account).chain(of_roles).collect()
}

/// Enters the accounts of a plan: of one that was begun those in which calls are made.
fn enter(context: &Context<'_>, args: &ExecutorArgs, plan: &Plan, begun: bool) -> Result<Executor, CommandError> {
    let mut center = String::new();
    if plan.steps().any(|(.., step)| matches!(step.effect, Effect::Set(_))) {
        let state = documents::load(&open(context)?, context.now)?.snapshot;
        center = state.identity_center.map(|center| center.region).unwrap_or_default();
    }
    let made_in = plan.steps().map(|(account, ..)| account).collect();
    connect(args, &if begun { made_in } else { accounts(plan) }, &center)
}

/// A plan with its journal, which nobody else works on.
pub(super) struct Work {
    pub(super) plan: Plan,
    journal: OnDisk,
    _ledger: Ledger,
}

impl Work {
    /// Takes up a plan; `text` is what is kept of it.
    pub(super) fn of(context: &Context<'_>, plan: Plan, text: &str) -> Result<Self, CommandError> {
        open(context)?;
        let ledger = Ledger::open(&context.global.store.join(CHANGES), clock)?;
        let journal = ledger.journal(&plan.hash, text)?;
        Ok(Self { plan, journal, _ledger: ledger })
    }

    /// Where the plan is kept.
    pub(super) fn kept(&self, context: &Context<'_>) -> PathBuf {
        context.global.store.join(CHANGES).join(&self.plan.hash).join(PLAN)
    }
}

fn begin(context: &Context<'_>, path: &Path) -> Result<Work, CommandError> {
    only_now(context)?;
    let (plan, text) = read_with_text(path)?;
    Work::of(context, plan, &text)
}

/// What speaks against a plan unless it was accepted.
pub(super) struct Checks<'a> {
    /// Denials that were accepted, as PRINCIPAL=ACTION.
    pub(super) accepted: &'a [String],
    /// Most principals.
    pub(super) principals: usize,
    /// Largest share of users and roles, in percent.
    pub(super) share: u8,
    /// A state of which what stood there may be given back.
    pub(super) may_return: Option<&'a Snapshot>,
    /// Whether what code manages may be changed.
    pub(super) managed_by_code: bool,
}

/// What is recorded where applying begins; refusals of who has left are as good as accepted.
pub(super) fn beginning(executor: &Executor, proof: &Proof, accepted: &[String]) -> Record {
    let accepted: BTreeSet<String> = accepted.iter().cloned().chain(named(proof, Verdict::PersonLeft)).collect();
    Record::Begin {
        by: executor.caller().to_owned(),
        generation: proof.generation,
        from: proof.window.from,
        to: proof.window.to,
        accepted: accepted.into_iter().collect(),
    }
}

/// Carries a plan out, or goes on with one that began (`record` is none then).
fn carried_out(
    context: &Context<'_>,
    work: &mut Work,
    executor: &mut Executor,
    record: Option<Record>,
) -> Result<(Ended, Progress), CommandError> {
    let mut run = Run::new(&work.plan, executor, &mut work.journal, &context.stop);
    let ended = run.apply(record)?;
    Ok((ended, run.progress().clone()))
}

/// Carries a plan out that another command made, which tells of it itself.
pub(super) fn carry_out(
    context: &Context<'_>,
    work: &mut Work,
    executor: &mut Executor,
    record: Record,
) -> Result<Status, CommandError> {
    let (ended, progress) = carried_out(context, work, executor, Some(record))?;
    let (status, text) = said(&work.plan, &progress, &ended, true);
    context.note(&text);
    Ok(status)
}

/// Applies a plan, or goes on with it.
pub(super) fn apply(context: &Context<'_>, args: &ApplyArgs) -> Result<Status, CommandError> {
    let mut work = begin(context, &args.plan)?;
    let items = work.plan.items().len();
    let progress = Progress::of(items, work.plan.failing, work.journal.lines());
    let begun = !matches!(progress.phase, Phase::New | Phase::Scheduled(_) | Phase::RolledBack);
    let mut executor = enter(context, &args.executor, &work.plan, begun)?;
    let checks = Checks {
        accepted: &args.accept_denial,
        principals: args.max_principals,
        share: args.max_share,
        may_return: None,
        managed_by_code: args.managed_by_code,
    };
    if begun {
        context.note(&format!("plan {} is {} already", work.plan.hash, progress.phase.as_str().replace('_', " ")));
        if args.dry_run {
            return Ok(Status::Done);
        }
        if progress.phase == Phase::Applying {
            still_safe(context, &checks, &work.plan, &executor)?;
        }
        if progress.phase != Phase::Applied {
            confirmed(args.yes, "Go on with it?")?;
        }
        let (ended, progress) = carried_out(context, &mut work, &mut executor, None)?;
        return told(context, &work.plan, &progress, &ended, "remediate apply");
    }
    let proof = checked(context, &checks, &work.plan, &executor)?;
    if let Some(status) = later(context, args, &mut work, &executor, &progress)? {
        return Ok(status);
    }
    if args.dry_run {
        context.note("nothing was changed");
        return Ok(Status::Done);
    }
    confirmed(args.yes, &format!("Change {} principals now?", work.plan.changes.len()))?;
    let record = beginning(&executor, &proof, &args.accept_denial);
    let (ended, progress) = carried_out(context, &mut work, &mut executor, Some(record))?;
    told(context, &work.plan, &progress, &ended, "remediate apply")
}

/// What is looked at again where a run goes on: the state is between, but who must not be changed still must not.
fn still_safe(
    context: &Context<'_>,
    checks: &Checks<'_>,
    plan: &Plan,
    executor: &Executor,
) -> Result<(), CommandError> {
    let mut snapshot = documents::load(&open(context)?, context.now)?.snapshot;
    live(context, &mut snapshot, executor, Some(plan))?;
    let break_glass = break_glass(context);
    let objections = safety::objections_to_itself(&safety::Inputs {
        plan,
        before: &snapshot,
        after: &snapshot,
        executors: &executor.executors(),
        caller: executor.caller(),
        break_glass: &break_glass,
        may_return: None,
        going_on: true,
        limits: Limits { principals: checks.principals, share: checks.share },
        at: context.now,
        catalog: Catalog::get(),
    });
    refuse("it is not safe to go on; `remediate rollback` takes back what was made", &objections)
}

fn break_glass(context: &Context<'_>) -> Vec<Glob> {
    context.config.break_glass.iter().map(|pattern| Glob::new(pattern)).collect()
}

/// Everything that is looked at before the first step: what stands now, what must not happen, and what was recorded.
pub(super) fn checked(
    context: &Context<'_>,
    checks: &Checks<'_>,
    plan: &Plan,
    executor: &Executor,
) -> Result<Proof, CommandError> {
    let reader = open(context)?;
    let mut world = World::load_to(context, &reader, Depth::Actors)?;
    live(context, &mut world.snapshot, executor, Some(plan))?;
    let outdated = plan.outdated(&world.snapshot);
    refuse("the plan does not fit what stands in AWS now; make it anew from a new collection", &outdated)?;
    let misfit =
        |misfit: Misfit| CommandError::Failed(format!("the plan does not fit what stands in AWS now: {misfit}"));
    let after = plan.after(&world.snapshot).map_err(misfit)?;
    let undone = plan.undone(&after).map_err(misfit)?;
    if !fresh::same(&undone, &world.snapshot) {
        return Err(CommandError::Failed("the plan's undo does not lead back to what stands in AWS now".to_owned()));
    }
    if !checks.managed_by_code {
        let shapes = reader.shapes_of(&|source, name, _| is_write(source, name))?;
        let written = WrittenByCode::of(&shapes, &world.actors);
        let code = Code { patterns: &patterns(context), written: &written };
        let code = in_code(plan, &world.snapshot, code);
        refuse(
            "code would change this back: `remediate export` writes it as code, --managed-by-code applies it all the same",
            &code,
        )?;
    }
    let break_glass = break_glass(context);
    let objections = safety::objections(&safety::Inputs {
        plan,
        before: &world.snapshot,
        after: &after,
        executors: &executor.executors(),
        caller: executor.caller(),
        break_glass: &break_glass,
        may_return: checks.may_return,
        going_on: false,
        limits: Limits { principals: checks.principals, share: checks.share },
        at: context.now,
        catalog: world.catalog,
    });
    refuse("the plan is not safe to apply", &objections)?;
    let proof = proved_on(&reader, &world, plan)?;
    let gone: BTreeSet<&str> = plan.grants.iter().flat_map(|grant| &grant.people).map(String::as_str).collect();
    let left = world.left();
    let gone: Vec<String> = gone.into_iter().filter(|person| left.contains_key(*person)).map(str::to_owned).collect();
    refuse("people who have left could ask for grants of this plan; make it anew", &gone)?;
    let (accepted, unknown) = denials(&proof, checks.accepted);
    if context.is_for_people() {
        let mut worse = Table { columns: prove_columns(), rows: proof.rows.iter().map(proved).collect() };
        worse.rows.retain(|row| row.first() != Some(&Cell::from(Verdict::StillAllowed.as_str())));
        let columns = ["verdict", "principal", "person", "action", "calls", "why"];
        if !worse.rows.is_empty() {
            context.emit(&world.meta("remediate apply", Vec::new()), &for_people(&worse, &columns))?;
        }
    }
    context.note(&summary(&proof));
    say_blind(context, &cannot_see(&reader, &world, plan));
    refuse("nothing of what is accepted would be denied, so this must be meant otherwise", &unknown)?;
    refuse("calls that were recorded would be denied; --accept-denial PRINCIPAL=ACTION accepts one", &accepted)?;
    Ok(proof)
}

/// Principals and actions of a verdict, as they are accepted.
fn named(proof: &Proof, verdict: Verdict) -> impl Iterator<Item = String> {
    let rows = proof.rows.iter().filter(move |row| row.verdict == verdict);
    rows.map(|row| format!("{}={}", row.principal, row.action))
}

/// Denials that were not accepted by name, and what was accepted without being there.
fn denials(proof: &Proof, accepted: &[String]) -> (Vec<String>, Vec<String>) {
    let of = |verdict| named(proof, verdict);
    let names: BTreeSet<String> = of(Verdict::WouldBeDenied).collect();
    let open = names.iter().filter(|name| !accepted.contains(name)).cloned().collect();
    // Who was accepted while they were there may have left since.
    let known = |name: &String| names.contains(name) || of(Verdict::PersonLeft).any(|one| one == *name);
    let unknown = accepted.iter().filter(|name| !known(name)).cloned().collect();
    (open, unknown)
}

/// Puts what stands in AWS now in place of what was collected: the accounts, and the permission sets of a plan.
pub(super) fn live(
    context: &Context<'_>,
    snapshot: &mut Snapshot,
    executor: &Executor,
    plan: Option<&Plan>,
) -> Result<(), CommandError> {
    let details = executor.details().map_err(|failure| failed(&failure))?;
    for (account, bytes) in details {
        let read = collect::authorization_details(&bytes, &format!("IAM of {account}"), clock())?;
        for defect in &read.defects {
            context.note(&format!("not understood: {}: {}", defect.place, defect.reason));
        }
        for iam in read.value {
            snapshot.accounts.insert(iam.account, iam);
        }
    }
    let Some(center) = &mut snapshot.identity_center else { return Ok(()) };
    let changed = plan.into_iter().flat_map(|plan| &plan.changes).filter(|change| !change.roles.is_empty());
    let (mut sets, mut owner) = (BTreeSet::new(), None);
    for change in changed {
        sets.insert(change.principal.as_str());
        owner = Some(change.account);
    }
    let Some(owner) = owner else { return Ok(()) };
    let bytes = executor.permission_sets(owner, &center.instance, &sets).map_err(|failure| failed(&failure))?;
    let read = collect::identity_center(&bytes, "Identity Center", clock())?;
    for defect in &read.defects {
        context.note(&format!("not understood: {}: {}", defect.place, defect.reason));
    }
    center.replace(&sets, read.value);
    Ok(())
}

fn refuse(what: &str, why: &[String]) -> Result<(), CommandError> {
    if why.is_empty() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("{what}:\n  {}", why.join("\n  "))))
}

/// Whether it is to be applied later: then that is recorded, and those whom it concerns are named.
fn later(
    context: &Context<'_>,
    args: &ApplyArgs,
    work: &mut Work,
    executor: &Executor,
    progress: &Progress,
) -> Result<Option<Status>, CommandError> {
    if let Phase::Scheduled(not_before) = progress.phase
        && context.now < not_before
        && args.notice.is_none()
    {
        return Err(CommandError::Failed(format!("it is announced for {not_before}: not before")));
    }
    let Some(notice) = args.notice else { return Ok(None) };
    let not_before = notice.after(context.now);
    let would = if args.dry_run { "would be " } else { "" };
    if !args.dry_run {
        work.journal.write(Record::Scheduled { by: executor.caller().to_owned(), not_before })?;
    }
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for grant in &work.plan.grants {
        for one in &grant.people {
            people.entry(one).or_default().insert(&grant.principal);
        }
    }
    for change in &work.plan.changes {
        for reason in change.reasons.iter().filter(|reason| !reason.person.is_empty()) {
            people.entry(&reason.person).or_default().insert(&change.principal);
        }
    }
    context.note(&format!("{would}announced for {not_before}: apply it again from then on. It concerns:"));
    for (person, principals) in people {
        context.note(&format!("  {person}: {}", principals.into_iter().collect::<Vec<_>>().join(", ")));
    }
    Ok(Some(Status::Done))
}

/// Asks at a terminal; elsewhere it has to be said on the command line.
pub(super) fn confirmed(yes: bool, question: &str) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage("nobody is there to be asked: --yes says that it is meant".to_owned()));
    }
    write!(io::stderr(), "{question} [yes/no] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(CommandError::Failed("nothing was changed".to_owned())) }
}

/// Takes a plan back.
pub(super) fn rollback(context: &Context<'_>, args: &RollbackArgs) -> Result<Status, CommandError> {
    let mut work = begin(context, &args.plan)?;
    let items = work.plan.items();
    let known: BTreeSet<&str> = items.iter().map(|item| item.principal).collect();
    let named = args.principal.iter().chain(&args.accept);
    let unknown: Vec<&String> = named.filter(|arn| !known.contains(arn.as_str())).collect();
    if let Some(arn) = unknown.first() {
        return Err(CommandError::Usage(format!("{arn}: the plan does not change it")));
    }
    let wanted: BTreeSet<&str> = match args.principal.is_empty() {
        true => known.clone(),
        false => args.principal.iter().map(String::as_str).collect(),
    };
    let before = Progress::of(items.len(), work.plan.failing, work.journal.lines());
    for arn in &args.accept {
        let stuck = before.stuck.keys().filter_map(|at| items.get(*at)).any(|item| item.principal == arn);
        if !stuck {
            return Err(CommandError::Usage(format!("--accept {arn}: nothing of it is stuck")));
        }
    }
    not_under_others(context, &work, &wanted)?;
    let mut executor = enter(context, &args.executor, &work.plan, true)?;
    let of = if args.principal.is_empty() { known.len() } else { args.principal.len() };
    confirmed(args.yes, &format!("Take back what was changed of {of} principals?"))?;
    let by = executor.caller().to_owned();
    let mut run = Run::new(&work.plan, &mut executor, &mut work.journal, &context.stop);
    let ended = run.roll_back(&by, &args.principal, &args.accept)?;
    let progress = run.progress().clone();
    told(context, &work.plan, &progress, &ended, "remediate rollback")
}

/// Refuses to take back what a later plan rests on: that one goes first.
fn not_under_others(context: &Context<'_>, work: &Work, principals: &BTreeSet<&str>) -> Result<(), CommandError> {
    let began = |lines: &[Line]| {
        lines.iter().rev().find(|line| matches!(line.record, Record::Begin { .. })).map(|line| line.at)
    };
    let own = began(work.journal.lines());
    let (begun, unread) = begun(context, context.now)?;
    for gap in unread {
        context.note(&gap.what);
    }
    for (plan, progress, lines) in begun {
        if plan.hash == work.plan.hash || !progress.stands() || began(&lines) < own {
            continue;
        }
        let touched = plan
            .items()
            .into_iter()
            .map(|item| item.principal)
            .find(|arn| principals.contains(*arn))
            .map(str::to_owned);
        if let Some(arn) = touched {
            return Err(CommandError::Failed(format!(
                "plan {} changed {arn} after this one: roll it back first, or leave {arn} out with --principal",
                plan.hash
            )));
        }
    }
    Ok(())
}

/// What became of each principal.
fn told(
    context: &Context<'_>,
    plan: &Plan,
    progress: &Progress,
    ended: &Ended,
    command: &str,
) -> Result<Status, CommandError> {
    let table = Table { columns: run_columns(), rows: outcomes(plan, progress, context.is_for_people()) };
    let meta = Meta { command: command.to_owned(), catalogue: Some(plan.catalogue.clone()), ..Meta::default() };
    if context.is_for_people() {
        context.emit(&meta, &for_people(&table, &["principal", "outcome", "made", "taken_back", "why", "by_hand"]))?;
    } else {
        context.emit(&meta, &table)?;
    }
    let (status, text) = said(plan, progress, ended, command.ends_with("apply"));
    context.note(&text);
    Ok(status)
}

/// How a run ended, in words.
fn said(plan: &Plan, progress: &Progress, ended: &Ended, applying: bool) -> (Status, String) {
    let hash = &plan.hash;
    match ended {
        Ended::Applied if progress.failed.is_empty() => (Status::Done, format!("plan {hash} is applied")),
        Ended::Applied => {
            let why = "some principals could not be changed, and are as they were";
            (Status::Failed, format!("plan {hash} is applied but for what failed: {why}"))
        }
        Ended::RolledBack if applying => {
            let why = progress.failed.values().next().cloned().unwrap_or_default();
            (Status::Failed, format!("plan {hash} was taken back, and everything is as it was: {why}"))
        }
        Ended::RolledBack => (Status::Done, format!("plan {hash} was taken back: read back, it is as it was")),
        Ended::Already(why) => (Status::Done, format!("plan {hash}: {why}")),
        Ended::Refused(why) => (Status::Failed, format!("plan {hash}: {why}")),
        Ended::Stuck => {
            let why = "look at each, put it right by hand, and run it again; `rollback --accept ARN` leaves what stands there";
            (Status::Stuck, format!("plan {hash}: some calls could not be taken back: {why}"))
        }
        Ended::Stopped => {
            (Status::Failed, format!("plan {hash}: stopped; apply goes on with it, rollback takes it back"))
        }
    }
}

fn outcomes(plan: &Plan, progress: &Progress, people: bool) -> Vec<Vec<Cell>> {
    let mut of: BTreeMap<(&str, AccountId), Vec<usize>> = BTreeMap::new();
    let items = plan.items();
    for (at, item) in items.iter().enumerate() {
        of.entry((item.principal, item.account)).or_default().push(at);
    }
    let row = |((principal, account), steps): ((&str, AccountId), Vec<usize>)| {
        let principal = if people { plan.called(principal) } else { principal.into() };
        let state = |at: &usize| progress.states.get(*at);
        let count = |is: fn(&State) -> bool| steps.iter().filter_map(state).filter(|one| is(one)).count();
        let made = count(|state| matches!(state, State::Done(_)));
        let back = count(|state| *state == State::Undone);
        let between = count(|state| matches!(state, State::Doing(_) | State::Undoing(_)));
        let stuck: Vec<&usize> = steps.iter().filter(|at| progress.stuck.contains_key(at)).collect();
        let failed = steps.iter().any(|at| progress.failed.contains_key(at));
        let outcome = match () {
            () if !stuck.is_empty() => "stuck",
            () if between > 0 => "unfinished",
            () if failed => "failed",
            () if made == steps.len() => "changed",
            () if made > 0 => "unfinished",
            () if back > 0 => "rolled_back",
            () => "unchanged",
        };
        let said =
            |all: &BTreeMap<usize, String>| steps.iter().filter_map(|at| all.get(at).cloned()).collect::<Vec<_>>();
        let why = [said(&progress.failed), said(&progress.stuck)].concat();
        let by_hand: Vec<String> =
            stuck.iter().filter_map(|at| items.get(**at)).map(|item| shell(&item.step.undo.arguments())).collect();
        vec![
            principal.into_owned().into(),
            account.to_string().into(),
            outcome.into(),
            made.into(),
            back.into(),
            why.into(),
            by_hand.into(),
        ]
    };
    of.into_iter().map(row).collect()
}
