//! `jitscan remediate watch | shadow`: what became of a plan, and what would become of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::args::{ShadowArgs, WatchArgs};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::documents;
use crate::cli::exit::Status;
use crate::cli::pipeline::{Depth, World};
use crate::lake::Reader;
use crate::model::event::Outcome;
use crate::model::snapshot::Snapshot;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::{Timestamp, Window};
use crate::remediate::entering::concerns;
use crate::remediate::prove::Verdict;
use crate::remediate::restore::{self, GivenTo, given_back, restoring};
use crate::remediate::run::State;
use crate::remediate::watch::{self, Denial, Refusal, shadow as shadowed};
use crate::remediate::{Change, Plan};
use crate::usage::fold::SessionId;

use super::apply::{self, Checks};
use super::past;
use super::prove::{fits, proved_within};
use super::{for_people, read};

/// Days of use before a plan's window that are looked at when shadowing, at most.
const SHADOW_DAYS: i64 = 400;

/// Columns of `watch`.
#[must_use]
pub fn watch_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text, Time};
    vec![
        Column::new("principal", Text, "ARN"),
        Column::new("person", Text, "who was denied; empty where nobody is known"),
        Column::new("action", Text, "the action that was refused"),
        Column::new("calls", Integer, "denied calls"),
        Column::new("first", Time, "the first"),
        Column::new("last", Time, "the last"),
        Column::new("examples", List, "event ids, the first three"),
        Column::new("through", Text, "ARN of the role by which the person can ask for it; empty where there is none"),
        Column::new("restored", Text, "yes, may be, or why it is not given back by itself"),
    ]
}

/// Columns of `shadow`.
#[must_use]
pub fn shadow_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text, Time};
    vec![
        Column::new(
            "kind",
            Text,
            "asked: they would have asked for a grant; denied: the calls would have been refused",
        ),
        Column::new("person", Text, "who"),
        Column::new("principal", Text, "ARN of what they use now"),
        Column::new("role", Text, "ARN of the role of the grant, or name of its permission set"),
        Column::new("requests", Integer, "how often they would have asked"),
        Column::new("calls", Integer, "calls that would have been refused"),
        Column::new("first", Time, "the first request"),
        Column::new("last", Time, "the last request or call"),
        Column::new("actions", List, "actions that were used"),
    ]
}

/// The state that a plan was made from.
fn made_from(reader: &Reader, plan: &Plan) -> Result<Snapshot, CommandError> {
    let snapshot = documents::load(reader, plan.as_of)?.snapshot;
    fits(plan, &snapshot)?;
    Ok(snapshot)
}

/// Shows denied calls that an applied plan explains; gives back what may be.
pub(super) fn watch(context: &Context<'_>, args: &WatchArgs) -> Result<Status, CommandError> {
    let plan = read(&args.plan)?;
    let (begun, unread) = past::begun(context, context.as_of())?;
    let progress = begun.iter().find(|(one, ..)| one.hash == plan.hash).map(|(_, progress, _)| progress);
    let applied = progress.and_then(|progress| Some((progress, progress.applied?, progress.window?)));
    let Some((progress, applied, proved)) = applied else {
        return Err(CommandError::Failed(format!(
            "plan {} was not applied: `remediate list` has those that were",
            plan.hash
        )));
    };
    let reader = open(context)?;
    let world = World::load_to(context, &reader, Depth::Actors)?;
    let before = made_from(&reader, &plan)?;
    let until = args.days.after(applied).min(context.as_of());
    // What was taken back explains nothing any more.
    let stands = plan.items().into_iter().zip(&progress.states);
    let stands = stands.filter(|(_, state)| matches!(state, State::Done(_)));
    let stands: BTreeSet<&str> = stands.map(|(item, _)| item.principal).collect();
    // Of a permission set its roles make the calls.
    let changes = plan.changes.iter().filter(|change| stands.contains(change.principal.as_str()));
    let principals: BTreeSet<&str> = changes.flat_map(Change::holders).collect();
    let theirs =
        |session| world.actors.get(&session).is_some_and(|actor| principals.contains(&actor.principal.as_str()));
    let by_token = |session| world.actors.get(&session).is_some_and(|actor| concerns(&plan, actor));
    let shapes = reader
        .shapes_of_sessions(&|session| theirs(session) || by_token(session), Window { from: proved.from, to: until })?;
    let refused = refused(&reader, Window { from: applied, to: until.max(applied) }, &theirs)?;
    let found = watch::denials(&watch::Inputs {
        plan: &plan,
        before: &before,
        shapes: &shapes,
        refused: &refused,
        actors: &world.actors,
        sessions: &world.sessions,
        left: &world.left(),
        proved,
        applied,
        until,
        catalog: world.catalog,
    });
    let mut denials =
        found.map_err(|misfit| CommandError::Failed(format!("the plan does not fit the state: {misfit}")))?;
    denials.retain(|denial| principals.contains(denial.principal.as_str()));
    let plans = begun.iter().filter_map(|(plan, progress, _)| Some((plan, progress.applied?)));
    cap(&mut denials, &given_back(plans, &plan.hash), args.max_restored);
    let mut status = if denials.is_empty() { Status::Done } else { Status::Findings };
    let mut given = BTreeSet::new();
    if args.auto_restore && denials.iter().any(|denial| denial.not_restored.is_empty()) {
        let (restoring, to) = give_back(context, args, &world, (&plan, &before), &denials)?;
        status = restoring.and(status);
        given = to;
    }
    let rows = denials.iter().map(|denial| cells(denial, given.contains(&denial.principal))).collect();
    let table = Table { columns: watch_columns(), rows };
    let meta = world.meta("remediate watch", [world.gaps.clone(), unread].concat());
    let columns = ["principal", "person", "action", "calls", "last", "through", "restored"];
    match context.is_for_people() {
        true => context.emit(&meta, &for_people(&table, &columns))?,
        false => context.emit(&meta, &table)?,
    }
    context.note(&format!(
        "plan {}, applied {applied}: {} kinds of denied calls since then that it explains, of {} principals",
        plan.hash,
        denials.len(),
        plan.changes.len()
    ));
    Ok(status)
}

/// The refused calls of some sessions within a window.
fn refused(reader: &Reader, window: Window, theirs: &dyn Fn(SessionId) -> bool) -> Result<Vec<Refusal>, CommandError> {
    let mut refused = Vec::new();
    reader.events_within(window, |row| {
        if row.event.outcome == Outcome::Denied && theirs(row.session) {
            refused.push(Refusal {
                session: row.session,
                source: row.event.source,
                name: row.event.name,
                variant: row.event.variant,
                time: row.event.time,
                id: row.event.id.unwrap_or_default(),
                resources: row.event.resources.into_iter().map(|one| one.arn).collect(),
            });
        }
    })?;
    Ok(refused)
}

fn cells(denial: &Denial, restored: bool) -> Vec<Cell> {
    let what = match (denial.not_restored.as_str(), restored) {
        ("", true) => "yes",
        ("", false) => "may be: --auto-restore gives it back for a time",
        (why, _) => why,
    };
    vec![
        denial.principal.as_str().into(),
        denial.person.as_str().into(),
        denial.action.as_str().into(),
        denial.calls.into(),
        denial.first.into(),
        denial.last.into(),
        denial.examples.clone().into(),
        denial.through.as_str().into(),
        what.into(),
    ]
}

/// What was given back once is not given back for the same denials again, and whoever was given back enough gets no more.
fn cap(denials: &mut [Denial], given: &BTreeMap<GivenTo, Timestamp>, most: usize) {
    let mut counts: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (principal, person, action) in given.keys().cloned() {
        counts.entry((principal, person)).or_default().insert(action);
    }
    for denial in denials.iter_mut().filter(|denial| denial.not_restored.is_empty()) {
        let whose = (denial.principal.clone(), denial.person.clone(), denial.action.clone());
        let actions = counts.entry((whose.0.clone(), whose.1.clone())).or_default();
        if let Some(at) = given.get(&whose).filter(|at| denial.last <= **at) {
            denial.not_restored = format!("it was given back at {at}, and not denied since");
        } else if !actions.contains(&denial.action) && actions.len() >= most {
            denial.not_restored = format!("{} actions were given back already: a person has to look", actions.len());
        } else {
            actions.insert(denial.action.clone());
        }
    }
}

fn give_back(
    context: &Context<'_>,
    args: &WatchArgs,
    world: &World,
    (plan, before): (&Plan, &Snapshot),
    denials: &[Denial],
) -> Result<(Status, BTreeSet<String>), CommandError> {
    apply::only_now(context)?;
    // To the roles of a permission set nothing is given back by itself.
    let own = plan.changes.iter().filter(|change| change.roles.is_empty());
    let accounts = own.map(|change| change.account).collect();
    let mut executor = apply::connect(&args.executor, &accounts, "")?;
    let mut now = world.snapshot.clone();
    apply::live(context, &mut now, &executor, None)?;
    let (made, left) = restoring(&restore::Wanted {
        plan,
        before,
        now: &now,
        denials,
        until: args.restore_for.after(context.now),
        ends: &world.ends(),
        at: context.now,
        generation: world.generation,
        catalog: world.catalog,
    });
    for (arn, why) in left {
        context.note(&format!("not given back to {arn}: {why}"));
    }
    if made.changes.is_empty() {
        return Ok((Status::Done, BTreeSet::new()));
    }
    for change in &made.changes {
        for reason in &change.reasons {
            let who = if reason.person.is_empty() { &change.principal } else { &reason.person };
            context.note(&format!("gives back {} to {who}: {}", reason.capability, reason.why.join("; ")));
        }
    }
    let mut text = serde_json::to_string_pretty(&made).map_err(|error| CommandError::Failed(error.to_string()))?;
    text.push('\n');
    let mut work = apply::Work::of(context, made, &text)?;
    let checks = Checks {
        accepted: &[],
        principals: work.plan.changes.len(),
        share: 100,
        may_return: Some(before),
        // The plan that took it was applied to it.
        managed_by_code: true,
    };
    let proof = apply::checked(context, &checks, &work.plan, &executor)?;
    apply::confirmed(args.yes, &format!("Give back for {}?", args.restore_for))?;
    let record = apply::beginning(&executor, &proof, &[]);
    let to = work.plan.changes.iter().map(|change| change.principal.clone()).collect();
    let done = apply::carry_out(context, &mut work, &mut executor, record)?;
    context
        .note(&format!("to take it back before its time: jitscan remediate rollback {}", work.kept(context).display()));
    Ok(if done == Status::Done { (done, to) } else { (done, BTreeSet::new()) })
}

/// What people would have had to ask for since a plan was made, had it been applied then.
pub(super) fn shadow(context: &Context<'_>, args: &ShadowArgs) -> Result<Status, CommandError> {
    let plan = read(&args.plan)?;
    let reader = open(context)?;
    let world = World::load_with_times(context, &reader, SHADOW_DAYS)?;
    let before = made_from(&reader, &plan)?;
    let to = world.coverage.window().to;
    let window = Window { from: plan.as_of, to: to.max(plan.as_of) };
    let misfit = |misfit| CommandError::Failed(format!("the plan does not fit the state: {misfit}"));
    let asked = shadowed(&plan, &before, &world.activity, window, world.catalog).map_err(misfit)?;
    let proof = proved_within(&reader, &world, &before, &plan, window)?;
    let mut rows = Vec::new();
    for one in &asked {
        rows.push(vec![
            "asked".into(),
            one.person.as_str().into(),
            one.principal.as_str().into(),
            one.role.as_str().into(),
            one.requests.into(),
            Cell::Null,
            one.first.into(),
            one.last.into(),
            one.actions.iter().cloned().collect::<Vec<_>>().into(),
        ]);
    }
    let denied = proof.rows.iter().filter(|row| row.verdict == Verdict::WouldBeDenied);
    let refused = denied.clone().count();
    for row in denied {
        rows.push(vec![
            "denied".into(),
            row.person.as_str().into(),
            row.principal.as_str().into(),
            "".into(),
            Cell::Null,
            row.calls.into(),
            Cell::Null,
            row.last.into(),
            vec![row.action.clone()].into(),
        ]);
    }
    let table = Table { columns: shadow_columns(), rows };
    let meta = world.meta("remediate shadow", world.gaps.clone());
    let columns = ["kind", "person", "principal", "requests", "calls", "last", "actions"];
    match context.is_for_people() {
        true => context.emit(&meta, &for_people(&table, &columns))?,
        false => context.emit(&meta, &table)?,
    }
    let requests: u64 = asked.iter().map(|one| one.requests).sum();
    let days = (window.to.micros() - window.from.micros()) / (86_400 * 1_000_000);
    context.note(&format!(
        "plan {} on paper since {} ({days} days): {requests} requests of {} people; {refused} kinds of calls would \
         have been denied",
        plan.hash,
        window.from,
        asked.iter().map(|one| one.person.as_str()).collect::<BTreeSet<_>>().len()
    ));
    Ok(if refused == 0 { Status::Done } else { Status::Findings })
}
