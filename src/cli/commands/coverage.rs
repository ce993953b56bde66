//! `jitscan coverage`: what the logs can speak for.

use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::World;
use crate::compare;
use crate::model::table::{Column, ColumnKind, Table};
use crate::usage::coverage::show_days;

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("account", Text, "the account"),
        Column::new("region", Text, "the region"),
        Column::new("days_covered", Integer, "days of the window with management events"),
        Column::new("days_missing", Integer, "days of the window without"),
        Column::new("missing", Text, "which days"),
        Column::new(
            "hours_covered",
            Integer,
            "hours of the window with management events; a quiet hour writes no file",
        ),
        Column::new("hours_total", Integer, "hours of the window"),
        Column::new("data_events", Integer, "data events in the window"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &Context<'_>) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load(context, &reader)?;
    let assessment = compare::assess(&world.inputs());
    let mut table = Table { columns: columns(), rows: Vec::new() };
    let mut status = Status::Done;
    for row in &assessment.coverage {
        if !row.days_missing.is_empty() && context.global.strict {
            status = Status::Incomplete;
        }
        let missing = if row.days_missing.is_empty() { String::new() } else { show_days(&row.days_missing) };
        table.rows.push(vec![
            row.account.as_str().into(),
            row.region.as_str().into(),
            row.days_covered.into(),
            row.days_missing.len().into(),
            missing.into(),
            row.hours_covered.into(),
            row.hours_total.into(),
            row.data_events.into(),
        ]);
    }
    context.emit(&world.meta("coverage", world.gaps.clone()), &table)?;
    Ok(status)
}
