//! The heat map of coverage: regions down, time across, one character a cell, readable without colour.

use std::collections::BTreeSet;

use crate::cli::escape;
use crate::compare::assessment::RegionCoverage;
use crate::model::table::{Column, ColumnKind, Table};
use crate::model::time::Day;
use crate::usage::coverage::{Coverage, Tally};

/// Columns of a line where stdout is no terminal.
pub const WIDTH: u16 = 80;
/// Days of a cell where days do not fit on a line, at least.
const DAYS_OF_WEEK: usize = 7;
/// Characters of a date over the cells, `08-03`, and a space.
const DATE: usize = 6;

/// What is known of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DayState {
    /// The logs speak for it.
    Covered,
    /// Digests say that nothing happened.
    Empty,
    /// Its last hours may still be delivered.
    Settling,
    /// Hours are missing between digests.
    Gap,
    /// The logs do not speak for it.
    None,
}

impl DayState {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Empty => "empty",
            Self::Settling => "settling",
            Self::Gap => "gap",
            Self::None => "none",
        }
    }
}

/// One day of an account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCell {
    /// The day.
    pub day: Day,
    /// Its hours.
    pub tally: Tally,
    /// What they come to.
    pub state: DayState,
}

/// The days of an account and region.
#[derive(Clone, Debug)]
pub struct Line {
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Every day of the window.
    pub days: Vec<DayCell>,
}

/// The days of every account and region.
#[must_use]
pub fn cells(coverage: &Coverage, rows: &[RegionCoverage]) -> Vec<Line> {
    let line = |row: &RegionCoverage| {
        let missing: BTreeSet<Day> = row.days_missing.iter().copied().collect();
        let cell = |day: Day| {
            let tally = coverage.tally(&row.account, &row.region, day);
            let state = match tally {
                Tally { missing, .. } if missing > 0 => DayState::Gap,
                _ if missing.contains(&day) => DayState::None,
                Tally { settling, .. } if settling > 0 => DayState::Settling,
                Tally { covered: 0, empty, .. } if empty > 0 => DayState::Empty,
                _ => DayState::Covered,
            };
            DayCell { day, tally, state }
        };
        let days = coverage.window().days().map(cell).collect();
        Line { account: row.account.clone(), region: row.region.clone(), days }
    };
    rows.iter().map(line).collect()
}

/// Columns of the map in machine formats.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("account", Text, "the account"),
        Column::new("region", Text, "the region"),
        Column::new("day", Text, "the day, UTC"),
        Column::new("hours_covered", Integer, "hours of the day with management events"),
        Column::new("hours_empty", Integer, "hours without, of which digests say that nothing came"),
        Column::new(
            "state",
            Text,
            "covered; empty: digests say that nothing happened; settling: may still be delivered; gap: hours are missing between digests; none: no logs",
        ),
    ]
}

/// The map as rows.
#[must_use]
pub fn table(lines: &[Line]) -> Table {
    let mut rows = Vec::new();
    for line in lines {
        for cell in &line.days {
            rows.push(vec![
                line.account.as_str().into(),
                line.region.as_str().into(),
                cell.day.to_string().into(),
                cell.tally.covered.into(),
                cell.tally.empty.into(),
                cell.state.as_str().into(),
            ]);
        }
    }
    Table { columns: columns(), rows }
}

/// Draws the map within `width` characters; `fenced` for Markdown.
#[must_use]
pub fn draw(lines: &[Line], width: u16, fenced: bool) -> String {
    let label = lines.iter().map(|line| shown(&line.region, fenced).chars().count()).max().unwrap_or(0);
    let days = lines.iter().map(|line| line.days.len()).max().unwrap_or(0);
    let room = usize::from(width).saturating_sub(label + 2).max(1);
    let size = if days <= room { 1 } else { DAYS_OF_WEEK.max(days.div_ceil(room)) };
    let count = days.div_ceil(size.max(1));
    // Weeks are far fewer than there is room for: a space between them reads better.
    let pitch = if size > 1 && count * 2 <= room { 2 } else { 1 };
    let mut out = String::new();
    for (at, account) in lines.chunk_by(|a, b| a.account == b.account).enumerate() {
        let Some(first) = account.first() else { continue };
        let name = shown(&first.account, fenced);
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&if fenced { format!("### {name}\n\n```text\n") } else { format!("{name}\n") });
        push_line(&mut out, &format!("{:label$}  {}", "", dates(first, size, pitch)));
        for line in account {
            let cells: Vec<String> = line.days.chunks(size).map(|days| character(days).to_string()).collect();
            let gap = if pitch == 2 { " " } else { "" };
            push_line(&mut out, &format!("{:label$}  {}", shown(&line.region, fenced), cells.join(gap)));
        }
        if fenced {
            out.push_str("```\n");
        }
    }
    out.push('\n');
    out.push_str(&legend(size));
    out
}

fn shown(text: &str, fenced: bool) -> String {
    let text = escape::terminal(text);
    if fenced { text.replace('`', "'") } else { text.into_owned() }
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Month and day over every so many cells.
fn dates(line: &Line, size: usize, pitch: usize) -> String {
    let every = DATE.div_ceil(pitch).max(if size == 1 { 10 } else { 1 });
    let mut text = String::new();
    for (at, days) in line.days.chunks(size).enumerate() {
        let column = at * pitch;
        if at % every == 0 && text.chars().count() <= column {
            let day = days.first().map(|cell| cell.day.to_string()).unwrap_or_default();
            text = format!("{text:column$}{}", day.get(5..).unwrap_or_default());
        }
    }
    text
}

/// The character of one day, or of a run of days: how many of them the logs do not speak for, else how much of their
/// hours is known.
fn character(days: &[DayCell]) -> char {
    let bad = days.iter().filter(|cell| matches!(cell.state, DayState::None | DayState::Gap)).count();
    match days {
        [] => ' ',
        [one] if one.state == DayState::Gap => '!',
        _ if bad == days.len() => '.',
        _ if bad > 0 => u32::try_from(bad).ok().and_then(|bad| char::from_digit(bad, 10)).unwrap_or('9'),
        _ => shade(days),
    }
}

fn shade(days: &[DayCell]) -> char {
    let sum = |pick: fn(&Tally) -> u64| days.iter().map(|cell| pick(&cell.tally)).sum::<u64>();
    let (covered, empty, total) = (sum(|t| t.covered), sum(|t| t.empty), sum(|t| t.total).max(1));
    if days.iter().any(|cell| cell.state == DayState::Settling) {
        return '~';
    }
    if covered == 0 && empty > 0 {
        return 'o';
    }
    match (covered + empty) * 4 / total {
        0 => '-',
        1 | 2 => '+',
        _ => '#',
    }
}

fn legend(size: usize) -> String {
    let bad = if size == 1 {
        "  .  no logs\n  !  hours are missing between digests\n".to_owned()
    } else {
        format!("  .  no logs on any of its days, 1 to {} no logs on so many of them\n", size - 1)
    };
    let span = if size == 1 { "one day".to_owned() } else { format!("{size} days from the date above") };
    format!(
        "A cell is {span} (UTC).\n  #  records in, or digests over, three quarters of the hours and more\n  +  a quarter \
         and more\n  -  fewer: quiet, but recorded\n  o  digests say that nothing happened\n  ~  the last hours may \
         still be delivered\n{bad}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::EventCategory;
    use crate::model::time::Window;
    use crate::usage::fold::{CoverageFact, CoverageKey};
    use std::collections::BTreeMap;

    fn map(days: i64, missing: &[i64]) -> Vec<Line> {
        let window = Window::last_days("2026-11-01".parse().unwrap(), days);
        let mut cells = BTreeMap::new();
        for day in (0..days).filter(|day| !missing.contains(day)) {
            let (until, step) = if day % 2 == 0 { (20, 1) } else { (24, 3) };
            for hour in (0..until).step_by(step) {
                let at = window.from.plus_days(day).plus_seconds(hour * 3600);
                let (account, region) = ("111111111111".to_owned(), "ap-southeast-2".to_owned());
                let category = EventCategory::Management;
                cells.insert(CoverageKey { account, region, hour: at.hour(), category }, CoverageFact::whole(1));
            }
        }
        // The logs go on after the window.
        let last = cells.keys().next_back().unwrap().clone();
        cells.insert(CoverageKey { hour: window.to.hour() + 3, ..last }, CoverageFact::whole(1));
        let coverage = Coverage::of(window, &cells);
        let row = RegionCoverage {
            account: "111111111111".into(),
            region: "ap-southeast-2".into(),
            days_missing: coverage.missing_days("111111111111", "ap-southeast-2"),
            ..RegionCoverage::default()
        };
        super::cells(&coverage, &[row])
    }

    #[test]
    fn days_where_they_fit_and_weeks_where_not() {
        let lines = map(90, &[10, 11, 30]);
        let wide = draw(&lines, 120, false);
        let row = wide.lines().nth(2).unwrap();
        assert!(row.starts_with("ap-southeast-2  #+#+#+#+#+..#+#+"), "{row}");
        assert_eq!(row.chars().count(), 14 + 2 + 90);
        assert!(wide.lines().nth(1).unwrap().starts_with("                08-03     08-13     "), "{wide}");
        let narrow = draw(&lines, 80, false);
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert_eq!(narrow.lines().nth(2), Some("ap-southeast-2  + 2 + + 1 + + + + + + + +"));
        assert_eq!(narrow.lines().nth(1), Some("                08-03 08-24 09-14 10-05 10-26"));
    }

    #[test]
    fn years_and_odd_widths_fit() {
        for (days, width) in [(1, 80), (365, 80), (365, 20), (90, 1), (3650, 80)] {
            let text = draw(&map(days, &[]), width, false);
            let cells = text.lines().nth(2).unwrap().chars().count();
            assert!(cells <= usize::from(width).max(17), "{days} days on {width}: {cells}");
        }
        assert!(draw(&[], 80, true).contains("A cell is"));
    }

    #[test]
    fn markdown_is_fenced_and_rows_are_whole() {
        let lines = map(2, &[1]);
        let text = draw(&lines, 80, true);
        assert!(text.starts_with("### 111111111111\n\n```text\n"), "{text}");
        assert_eq!(text.matches("```").count(), 2);
        let table = table(&lines);
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[1].last(), Some(&"none".into()));
    }
}
