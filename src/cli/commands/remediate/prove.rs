//! `jitscan remediate prove`: every recorded call decided again.

use std::collections::BTreeSet;

use crate::cli::args::ProveArgs;
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::{Depth, World};
use crate::compare::assessment::Gap;
use crate::lake::Reader;
use crate::model::snapshot::Snapshot;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::{MICROS_PER_HOUR, Window};
use crate::remediate::entering::concerns;
use crate::remediate::leaving::Leavers;
use crate::remediate::prove::{self, Proof, Verdict};
use crate::remediate::{Change, Plan};
use crate::usage::coverage::show_days;
use crate::usage::fold::FactSource;
use crate::usage::identity::Actor;

use super::analyzed::{Analyzed, CORROBORATED, corroborated};
use super::for_people;

/// Columns of `prove`.
#[must_use]
pub fn prove_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text, Time};
    vec![
        Column::new(
            "verdict",
            Text,
            "would_be_denied, undecidable, person_left, through_a_grant or still_allowed; of Access Analyzer contradicted, \
             remarked or corroborated",
        ),
        Column::new("principal", Text, "ARN"),
        Column::new("person", Text, "who made the calls; empty where nobody is known"),
        Column::new(
            "action",
            Text,
            "the action that decides; source and name where none is known; of Access Analyzer the check",
        ),
        Column::new(
            "through",
            Text,
            "ARN of the role of the grant, where one is needed, or name of its permission set",
        ),
        Column::new("why", Text, "why, or what is missing"),
        Column::new("calls", Integer, "recorded calls; copies in several accounts count each"),
        Column::new("shapes", Integer, "distinct ones"),
        Column::new("last", Time, "the last"),
        Column::new("examples", List, "event ids, the first three"),
    ]
}

pub(super) fn prove(context: &Context<'_>, args: &ProveArgs, plan: &Plan) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load_to(context, &reader, Depth::Actors)?;
    fits(plan, &world.snapshot)?;
    let proof = proved_on(&reader, &world, plan)?;
    let rows = proof.rows.iter().map(proved).collect();
    let mut table = Table { columns: prove_columns(), rows };
    let mut analyzed = Analyzed::default();
    if args.access_analyzer {
        analyzed = corroborated(&args.aws, plan, &world.snapshot)?;
        table.rows.append(&mut analyzed.rows);
    }
    let blind = cannot_see(&reader, &world, plan);
    let meta = world.meta("remediate prove", [world.gaps.clone(), blind.clone(), analyzed.gaps.clone()].concat());
    if context.is_for_people() {
        let mut worse = table;
        let fine = [Verdict::StillAllowed.as_str(), CORROBORATED].map(Cell::from);
        worse.rows.retain(|row| row.first().is_none_or(|verdict| !fine.contains(verdict)));
        let columns = ["verdict", "principal", "person", "action", "calls", "why"];
        context.emit(&meta, &for_people(&worse, &columns))?;
    } else {
        context.emit(&meta, &table)?;
    }
    context.note(&summary(&proof));
    say_blind(context, &blind);
    if args.access_analyzer {
        context.note(&analyzed.said);
        analyzed.gaps.iter().for_each(|gap| context.note(&format!("  {}; {}", gap.what, gap.remedy)));
    }
    let mut status = Status::Done;
    if proof.calls(Verdict::WouldBeDenied) > 0 || analyzed.contradicted {
        status = status.and(Status::Findings);
    }
    if !analyzed.gaps.is_empty() {
        status = status.and(Status::Incomplete);
    }
    Ok(status)
}

/// Whether a plan's principals hold in the store what they held when it was made.
pub(super) fn fits(plan: &Plan, snapshot: &Snapshot) -> Result<(), CommandError> {
    let outdated = plan.outdated(snapshot);
    if outdated.is_empty() {
        return Ok(());
    }
    Err(CommandError::Failed(format!(
        "the plan was made from state {}, and the store has {}: make it anew, or choose the time with --as-of {}\n  {}",
        plan.snapshot,
        snapshot.hash,
        plan.as_of,
        outdated.join("\n  ")
    )))
}

/// Proves a plan on what a store recorded in its window.
pub(super) fn proved_on(reader: &Reader, world: &World, plan: &Plan) -> Result<Proof, CommandError> {
    proved_within(reader, world, &world.snapshot, plan, world.coverage.window())
}

/// Proves a plan, from a state, on what was recorded within a window.
pub(super) fn proved_within(
    reader: &Reader,
    world: &World,
    before: &Snapshot,
    plan: &Plan,
    window: Window,
) -> Result<Proof, CommandError> {
    let changed: BTreeSet<&str> = plan.changes.iter().flat_map(Change::holders).collect();
    let own = |actor: &Actor| changed.contains(actor.principal.as_str()) || concerns(plan, actor);
    let theirs = |session| world.actors.get(&session).is_some_and(|actor| own(actor));
    let leavers = Leavers::of(world.left(), &world.actors, &reader.session_spans(window)?);
    let proof = prove::prove(&prove::Inputs {
        plan,
        before,
        shapes: &reader.shapes_of_sessions(&theirs, window)?,
        actors: &world.actors,
        sessions: &world.sessions,
        leavers: &leavers,
        window,
        generation: world.generation,
        catalog: world.catalog,
    });
    proof.map_err(|misfit| CommandError::Failed(format!("the plan does not fit the state: {misfit}")))
}

/// Days in a year.
const YEAR_DAYS: i64 = 365;

/// What a proof cannot see of a plan's accounts: days without logs, and work that is older than its window.
pub(super) fn cannot_see(reader: &Reader, world: &World, plan: &Plan) -> Vec<Gap> {
    let mut out = Vec::new();
    let window = world.coverage.window();
    let accounts: BTreeSet<&str> =
        plan.changes.iter().flat_map(Change::holders).filter_map(|arn| arn.split(':').nth(4)).collect();
    for account in &accounts {
        let mut silent = true;
        for region in world.coverage.regions(account) {
            silent = false;
            let missing = world.coverage.missing_days(account, region);
            if !missing.is_empty() {
                out.push(Gap {
                    kind: "proof".to_owned(),
                    what: format!("account {account}, {region}: no logs of {}", show_days(&missing)),
                    remedy: "ingest the logs of these days, and prove it again".to_owned(),
                });
            }
        }
        if silent {
            out.push(Gap {
                kind: "proof".to_owned(),
                what: format!("account {account}: no logs at all within {window}"),
                remedy: "ingest its logs, and prove it again".to_owned(),
            });
        }
    }
    let days = (window.to.micros() - window.from.micros()) / (24 * MICROS_PER_HOUR);
    if days < YEAR_DAYS {
        let logged = reader.event_span().map(|span| span.from).filter(|from| *from < window.from);
        out.push(Gap {
            kind: "proof".to_owned(),
            what: format!(
                "work that is done once a year, before {}, is outside of the window of {days} days",
                window.from
            ),
            remedy: match logged {
                Some(from) => format!("the store has logs since {from}: --window {YEAR_DAYS}d looks at more of them"),
                None => "older logs would show it".to_owned(),
            },
        });
    }
    out
}

pub(super) fn proved(row: &prove::Row) -> Vec<Cell> {
    vec![
        row.verdict.as_str().into(),
        row.principal.as_str().into(),
        row.person.as_str().into(),
        row.action.as_str().into(),
        row.through.as_str().into(),
        row.why.as_str().into(),
        row.calls.into(),
        row.shapes.into(),
        row.last.into(),
        row.examples.clone().into(),
    ]
}

pub(super) fn summary(proof: &Proof) -> String {
    let all: u64 = proof.rows.iter().map(|row| row.calls).sum();
    let left = match proof.calls(Verdict::PersonLeft) {
        0 => String::new(),
        calls => format!(", {calls} of people who have left, who are to be refused"),
    };
    format!(
        "plan {} on generation {}, {}: {all} recorded calls of its principals: {} still allowed, {} through a grant, {} \
         would be denied, {} undecidable{left}",
        proof.plan,
        proof.generation,
        proof.window,
        proof.calls(Verdict::StillAllowed),
        proof.calls(Verdict::ThroughAGrant),
        proof.calls(Verdict::WouldBeDenied),
        proof.calls(Verdict::Undecidable),
    )
}

/// Most gaps of a proof that are said one by one.
const MOST_SAID: usize = 6;

/// Says what a proof cannot see.
pub(super) fn say_blind(context: &Context<'_>, blind: &[Gap]) {
    context.note("What was not recorded is not proved. CloudTrail does not log every kind of call, and:");
    for gap in blind.iter().take(MOST_SAID) {
        context.note(&format!("  {}", gap.what));
    }
    if blind.len() > MOST_SAID {
        context.note(&format!("  … and {} more (--format json has all)", blind.len() - MOST_SAID));
    }
}
