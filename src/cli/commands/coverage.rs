//! `jitscan coverage`: what the logs can speak for.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::args::CoverageArgs;
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::heatmap;
use crate::cli::output::Format;
use crate::cli::pipeline::{Depth, World};
use crate::compare;
use crate::compare::assessment::RegionCoverage;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::usage::coverage::show_days;

/// Kinds of gaps that this command's meta carries: those about logs.
const GAPS: [&str; 3] = ["exports", "settling", "trails"];

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
            "which management events the trails recorded through the whole window: all, write_only, read_only, none, some (neither kind all the time), unknown",
        ),
        Column::new("excluded_sources", List, "event sources whose management events trails left out"),
        Column::new("data_selectors", List, "data events that trails select at the end of the window: type and number"),
        Column::new("hours_empty", Integer, "hours without management events of which digests say that nothing came"),
        Column::new("hours_missing", Integer, "hours that are missing between digests; their days are not covered"),
        Column::new("settling_hours", Integer, "the last hours of the logs, which may still be delivered"),
        Column::new("trails", List, "trails that the columns on what was recorded rest on"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &Context<'_>, args: &CoverageArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load_to(context, &reader, Depth::Ground)?;
    let assessment = compare::assess(&world.inputs());
    let rows = &assessment.coverage;
    let missing = rows.iter().any(|row| !row.days_missing.is_empty());
    let status = if missing && context.global.strict { Status::Incomplete } else { Status::Done };
    let mut gaps = world.gaps.clone();
    gaps.extend(assessment.gaps.iter().filter(|gap| GAPS.contains(&gap.kind.as_str())).cloned());
    let meta = world.meta("coverage", gaps.clone());
    let people = matches!(context.global.format, Format::Table | Format::Md);
    if args.heatmap {
        let cells = heatmap::cells(&world.coverage, rows);
        if people {
            let fenced = context.global.format == Format::Md;
            context.emit_text(&heatmap::draw(&cells, context.width().unwrap_or(heatmap::WIDTH), fenced))?;
        } else {
            context.emit(&meta, &heatmap::table(&cells))?;
        }
    } else {
        context.emit(&meta, &if context.is_for_people() { for_people(rows) } else { table(rows) })?;
    }
    if people {
        for line in trail_lines(rows) {
            context.note(&line);
        }
        for gap in gaps.iter().filter(|gap| GAPS.contains(&gap.kind.as_str())) {
            context.note(&format!("{}; {}", gap.what, gap.remedy));
        }
    }
    Ok(status)
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

/// The table for people: short, so that it fits a terminal. What trails record beside management events is said once
/// below it, not in every row.
fn for_people(rows: &[RegionCoverage]) -> Table {
    use ColumnKind::{Integer, Text};
    let any = |pick: fn(&RegionCoverage) -> u64| rows.iter().any(|row| pick(row) > 0);
    let (empty, lost) = (any(|row| row.hours_empty), any(|row| row.hours_missing));
    let mut columns = vec![
        Column::new("account", Text, ""),
        Column::new("region", Text, ""),
        Column::new("days", Integer, "covered, of how many"),
        Column::new("hours", Integer, "with management events"),
        Column::new("data_events", Integer, ""),
        Column::new("management", Text, ""),
        Column::new("days_missing", Text, ""),
    ];
    if lost {
        columns.insert(4, Column::new("hours_missing", Integer, ""));
    }
    if empty {
        columns.insert(4, Column::new("hours_empty", Integer, ""));
    }
    let mut table = Table { columns, rows: Vec::new() };
    for row in rows {
        let days = row.days_covered + row.days_missing.len() as u64;
        let missing = if row.days_missing.is_empty() { String::new() } else { show_days(&row.days_missing) };
        let mut cells: Vec<Cell> = vec![
            row.account.as_str().into(),
            row.region.as_str().into(),
            format!("{}/{days}", row.days_covered).into(),
            row.hours_covered.into(),
        ];
        cells.extend(empty.then(|| row.hours_empty.into()));
        cells.extend(lost.then(|| row.hours_missing.into()));
        cells.extend([row.data_events.into(), row.management.as_str().into(), missing.into()]);
        table.rows.push(cells);
    }
    table
}

/// What trails record, once for all rows that say the same.
fn trail_lines(rows: &[RegionCoverage]) -> Vec<String> {
    let mut said: BTreeMap<String, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.trails.is_empty()) {
        let left_out = match row.excluded_sources.as_slice() {
            [] => String::new(),
            sources => format!(", left out: {}", sources.join(", ")),
        };
        let data = match row.data_selectors.as_slice() {
            [] => "none".to_owned(),
            selectors => selectors.join(", "),
        };
        let line = format!(
            "{}: management events: {}{left_out}; data events selected at the end: {data}",
            row.trails.join(", "),
            row.management.as_str()
        );
        let (accounts, regions) = said.entry(line).or_default();
        accounts.insert(&row.account);
        regions.insert(&row.region);
    }
    let all = rows.iter().map(|row| row.account.as_str()).collect::<BTreeSet<_>>().len();
    let whose = |accounts: &BTreeSet<&str>| match accounts.len() {
        count if count == all => "all accounts".to_owned(),
        1..=3 => accounts.iter().copied().collect::<Vec<_>>().join(", "),
        count => format!("{count} accounts"),
    };
    let said = said.iter().map(|(line, (accounts, regions))| {
        let regions = regions.iter().copied().collect::<Vec<_>>().join(", ");
        format!("{line} ({} in {regions})", whose(accounts))
    });
    said.collect()
}
