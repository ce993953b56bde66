//! What plans did, as their journals tell it: `jitscan remediate list`, and what of it does not stand any more.

use std::collections::BTreeSet;

use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::compare::assessment::Gap;
use crate::executor::ledger::journals;
use crate::lake::CHANGES;
use crate::model::finding::Finding;
use crate::model::snapshot::Snapshot;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::model::time::Timestamp;
use crate::remediate::Plan;
use crate::remediate::drift::{drift, written};
use crate::remediate::journal::{Line, Record};
use crate::remediate::run::{Phase, Progress, State};

/// Columns of `list`.
#[must_use]
pub fn list_columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text, Time};
    vec![
        Column::new("plan", Text, "hash of the plan"),
        Column::new("phase", Text, "scheduled, applying, unwinding, applied, rolling_back or rolled_back"),
        Column::new("since", Time, "when that began"),
        Column::new("by", Text, "ARN of who began it"),
        Column::new("principals", Integer, "principals that it changes"),
        Column::new("made", Integer, "calls to IAM that stand"),
        Column::new("taken_back", Integer, "calls that were taken back"),
        Column::new("stuck", Integer, "calls that could not be taken back"),
    ]
}

/// Plans that were begun, each with how far it came and its journal; and what could not be read.
type Begun = (Vec<(Plan, Progress, Vec<Line>)>, Vec<Gap>);

/// Every plan that was begun by a time. One that cannot be read, of another release say, keeps none of the others.
pub(super) fn begun(context: &Context<'_>, at: Timestamp) -> Result<Begun, CommandError> {
    let (mut out, mut gaps) = (Vec::new(), Vec::new());
    for (hash, text, mut lines) in journals(&context.global.store.join(CHANGES))? {
        let plan: Plan = match serde_json::from_str(&text) {
            Ok(plan) => plan,
            Err(error) => {
                gaps.push(Gap {
                    kind: "plan".to_owned(),
                    what: format!("the plan kept as {hash} cannot be read: {error}"),
                    remedy: "the release that applied it can take it back".to_owned(),
                });
                continue;
            }
        };
        lines.retain(|line| line.at <= at);
        let progress = Progress::of(plan.items().len(), plan.failing, &lines);
        out.push((plan, progress, lines));
    }
    Ok((out, gaps))
}

/// What plans changed and does not stand any more.
///
/// # Errors
/// When a journal cannot be read.
pub fn drifted(
    context: &Context<'_>,
    snapshot: &Snapshot,
    at: Timestamp,
) -> Result<(Vec<Finding>, Vec<Gap>), CommandError> {
    let (mut begun, gaps) = begun(context, at)?;
    begun.sort_by_key(|(_, progress, _)| std::cmp::Reverse(progress.applied));
    let (mut later, mut out) = (BTreeSet::new(), Vec::new());
    for (plan, progress, _) in &begun {
        out.extend(drift(plan, progress, &later, snapshot));
        later.extend(written(plan, progress));
    }
    Ok((out, gaps))
}

/// How far plans came.
pub(super) fn list(context: &Context<'_>) -> Result<Status, CommandError> {
    open(context)?;
    let mut rows = Vec::new();
    let (begun, gaps) = begun(context, context.as_of())?;
    for (plan, progress, lines) in begun {
        // Looked at, and not begun.
        if progress.phase == Phase::New {
            continue;
        }
        let by = lines.iter().rev().find_map(|line| match &line.record {
            Record::Scheduled { by, .. } | Record::Begin { by, .. } | Record::RollingBack { by, .. } => {
                Some((by, line.at))
            }
            _ => None,
        });
        let count = |is: fn(&State) -> bool| progress.states.iter().filter(|state| is(state)).count();
        rows.push(vec![
            plan.hash.as_str().into(),
            progress.phase.as_str().into(),
            by.map_or(Cell::Null, |(_, at)| at.into()),
            by.map_or("", |(by, _)| by.as_str()).into(),
            plan.changes.len().into(),
            count(|state| matches!(state, State::Done(_))).into(),
            count(|state| *state == State::Undone).into(),
            progress.stuck.len().into(),
        ]);
    }
    let meta = Meta { command: "remediate list".to_owned(), gaps, ..Meta::default() };
    context.emit(&meta, &Table { columns: list_columns(), rows })?;
    Ok(Status::Done)
}
