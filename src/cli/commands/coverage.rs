//! `jitscan coverage`: what the logs can speak for.

use crate::cli::args::CoverageArgs;
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::heatmap;
use crate::cli::output::Format;
use crate::cli::pipeline::World;
use crate::compare;
use crate::compare::assessment::{Gap, RegionCoverage};
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::usage::coverage::show_days;

/// Kinds of gaps that this command's meta carries: those about logs.
const GAPS: [&str; 2] = ["settling", "trails"];

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new("account", Text, "the account"),
        Column::new("region", Text, "the region"),
        Column::new("days_covered", Integer, "days of the window for which the logs speak"),
        Column::new("days_missing", Integer, "days of the window for which they do not"),
        Column::new("missing", Text, "which days"),
        Column::new(
            "hours_covered",
            Integer,
            "hours of the window with management events; a quiet hour writes no file",
        ),
        Column::new("hours_total", Integer, "hours of the window"),
        Column::new("data_events", Integer, "data events in the window"),
        Column::new(
            "management",
            Text,
            "which management events the trails recorded through the whole window: all, write_only, read_only, none, unknown",
        ),
        Column::new("excluded_sources", List, "event sources whose management events trails left out"),
        Column::new("data_selectors", List, "data events that trails select at the end of the window: type and number"),
        Column::new("hours_empty", Integer, "hours without management events of which digests say that nothing came"),
        Column::new("hours_missing", Integer, "hours that are missing between digests; their days are not covered"),
        Column::new("settling_hours", Integer, "the last hours of the logs, which may still be delivered"),
        Column::new("trails", List, "trails that the columns on what was recorded rest on"),
    ]
}

/// Columns that a table for people leaves out where they say the same everywhere, or nothing.
const OPTIONAL: [&str; 7] =
    ["missing", "hours_total", "excluded_sources", "data_selectors", "hours_empty", "hours_missing", "settling_hours"];

/// Runs it.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &Context<'_>, args: &CoverageArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load(context, &reader)?;
    let assessment = compare::assess(&world.inputs());
    let rows = &assessment.coverage;
    let missing = rows.iter().any(|row| !row.days_missing.is_empty());
    let status = if missing && context.global.strict { Status::Incomplete } else { Status::Done };
    let mut gaps = world.gaps.clone();
    gaps.extend(assessment.gaps.iter().filter(|gap| GAPS.contains(&gap.kind.as_str())).cloned());
    let meta = world.meta("coverage", gaps.clone());
    let for_people = matches!(context.global.format, Format::Table | Format::Md);
    if args.heatmap {
        let cells = heatmap::cells(&world.coverage, rows);
        if for_people {
            let fenced = context.global.format == Format::Md;
            context.emit_text(&heatmap::draw(&cells, context.width().unwrap_or(heatmap::WIDTH), fenced))?;
        } else {
            context.emit(&meta, &heatmap::table(&cells))?;
        }
    } else {
        let mut table = table(rows);
        if context.is_for_people() {
            leave_out(&mut table);
        }
        context.emit(&meta, &table)?;
    }
    if for_people {
        say(context, &gaps);
    }
    Ok(status)
}

fn say(context: &Context<'_>, gaps: &[Gap]) {
    for gap in gaps.iter().filter(|gap| GAPS.contains(&gap.kind.as_str())) {
        context.note(&format!("{}; {}", gap.what, gap.remedy));
    }
}

fn table(rows: &[RegionCoverage]) -> Table {
    let mut table = Table { columns: columns(), rows: Vec::new() };
    for row in rows {
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
            row.management.as_str().into(),
            row.excluded_sources.clone().into(),
            row.data_selectors.clone().into(),
            row.hours_empty.into(),
            row.hours_missing.into(),
            row.settling_hours.into(),
            row.trails.clone().into(),
        ]);
    }
    table
}

/// Leaves columns out of a table for people that say nothing, or that say the same in every row without being what
/// the question is about. Machine formats always have all of them.
fn leave_out(table: &mut Table) {
    let says_nothing = |cell: &Cell| match cell {
        Cell::Null | Cell::Integer(0) => true,
        Cell::Text(text) => text.is_empty(),
        Cell::List(items) => items.is_empty(),
        _ => false,
    };
    let kept: Vec<bool> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let name = column.name.as_str();
            let told = table.rows.iter().any(|row| row.get(at).is_some_and(|cell| !says_nothing(cell)));
            match name {
                // They are the window's, and said below the table or in the window itself.
                "hours_total" | "settling_hours" => false,
                "trails" => told,
                _ => told || !OPTIONAL.contains(&name),
            }
        })
        .collect();
    let keep = |at: usize| kept.get(at).copied().unwrap_or(true);
    let columns = std::mem::take(&mut table.columns);
    table.columns = columns.into_iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, column)| column).collect();
    for row in &mut table.rows {
        let cells = std::mem::take(row);
        *row = cells.into_iter().enumerate().filter(|(at, _)| keep(*at)).map(|(_, cell)| cell).collect();
    }
}
