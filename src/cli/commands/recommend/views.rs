//! What `recommend` can show beside its list.

use crate::cli::context::{CommandError, Context};
use crate::compare::holders::permission_set_of;
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::recommend::automation::Routine;
use crate::recommend::combinations::{self, Combination, Held};
use crate::recommend::explain::Line;
use crate::recommend::phished::Measure;
use crate::recommend::week::Week;
use crate::recommend::{self, Recommendations};

/// Columns of `recommend --curve`.
#[must_use]
pub fn curve_columns() -> Vec<Column> {
    use ColumnKind::Integer;
    vec![
        Column::new("budget_hundredths", Integer, "requests a week that one person makes at most, in hundredths"),
        Column::new("conversions", Integer, "capabilities that become just-in-time"),
        Column::new("requests_hundredths", Integer, "requests a week of everybody together, in hundredths"),
        Column::new("removed_permille", Integer, "share of all exposure that is removed, in thousandths"),
    ]
}

/// Columns of `recommend --combinations`.
#[must_use]
pub fn combination_columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("combination", Text, "id of the combination"),
        Column::new("title", Text, "what both sides make possible"),
        Column::new("person", Text, "who holds both; empty for programs and where nobody is known"),
        Column::new("account", Text, "where"),
        Column::new("left", List, "actions of the one side, with the principal through which they are held"),
        Column::new("right", List, "actions of the other side"),
        Column::new("why", Text, "what can be done with both"),
    ]
}

/// Columns of `recommend --automation`.
#[must_use]
pub fn automation_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text, Time};
    vec![
        Column::new("person", Text, "who does it by hand"),
        Column::new("principal", Text, "through which principal"),
        Column::new("actions", List, "the changes of such a session"),
        Column::new("times", Integer, "sessions with exactly these changes"),
        Column::new("every_days", Integer, "days from one to the next, the median"),
        Column::new("punctual_tenths", Integer, "of ten so many within two hours of the usual time of day"),
        Column::new("weekday", Text, "the weekday of at least half of them"),
        Column::new("first", Time, "the first"),
        Column::new("last", Time, "the last"),
    ]
}

/// Columns of `recommend --explain`.
#[must_use]
pub fn explain_columns() -> Vec<Column> {
    use ColumnKind::{Text, Time};
    vec![
        Column::new("part", Text, "advice, arithmetic, session, request, actions, statement or event"),
        Column::new("at", Time, "when, for sessions, requests and events"),
        Column::new("text", Text, "in words"),
        Column::new("reference", Text, "what it can be looked up by: an eventID, or a statement with its policy"),
    ]
}

/// Columns of `recommend --phished`.
#[must_use]
pub fn phished_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new("what", Text, "what is counted"),
        Column::new("now", Integer, "as it stands"),
        Column::new("after", Integer, "once the recommendations are followed, without asking anybody"),
        Column::new("on_request", Integer, "of what goes, what could be had for some hours if somebody approved"),
        Column::new("some", List, "names, as it stands: the first ones"),
    ]
}

/// Columns of `recommend --policies`.
#[must_use]
pub fn policies_columns() -> Vec<Column> {
    use ColumnKind::{Boolean, Integer, List, Text};
    vec![
        Column::new("principal", Text, "ARN of the principal"),
        Column::new("through", Text, "the permission set through which alone it changes; empty for others"),
        Column::new("policy", Text, "name of the policy; of a group's, with the group"),
        Column::new("arn", Text, "its ARN; empty for inline ones"),
        Column::new("holders", Integer, "users, groups and roles that it is attached to; 1 for inline ones"),
        Column::new("actions_before", Integer, "actions of the catalogue that its Allow statements name"),
        Column::new("actions_after", Integer, "the same of the narrowed document"),
        Column::new("characters", Integer, "length of the narrowed document without white space; quotas count it so"),
        Column::new("closed", Boolean, "also actions that the catalogue does not know were allowed, and are no longer"),
        Column::new("document", Text, "the narrowed document; empty where nothing of it is left"),
        Column::new(
            "managed",
            List,
            "AWS managed policies that would do instead: they allow all that is left of this one, and less than it does",
        ),
    ]
}

/// Columns of `recommend --weeks`.
#[must_use]
pub fn weeks_columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new("capability", Text, "kind of access and service, over all accounts"),
        Column::new("holders", Integer, "people who used it; of fewer than three nothing is shown"),
        Column::new("sessions", Integer, "sessions of use of all of them"),
        Column::new("weekday", Text, "Monday to Sunday, by the clock of working hours"),
        Column::new("hours", List, "five-minute slots with use in each of the 24 hours, over the window"),
    ]
}

/// The combinations that come with the program, and those of the configuration.
pub(super) fn known(context: &Context<'_>) -> Result<Vec<Combination>, CommandError> {
    let mut all = combinations::known();
    for path in &context.config.combinations {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| CommandError::File { path: name.clone(), source })?;
        all.extend(combinations::parse(&text).map_err(|reason| CommandError::Failed(format!("{name}: {reason}")))?);
    }
    Ok(all)
}

pub(super) fn combinations_table(held: &[&Held]) -> Table {
    let row = |one: &&Held| {
        vec![
            one.combination.as_str().into(),
            one.title.as_str().into(),
            one.person.as_str().into(),
            one.account.as_str().into(),
            one.left.clone().into(),
            one.right.clone().into(),
            one.why.as_str().into(),
        ]
    };
    Table { columns: combination_columns(), rows: held.iter().map(row).collect() }
}

pub(super) fn automation_table(found: &[&Routine]) -> Table {
    let row = |one: &&Routine| {
        vec![
            one.person.as_str().into(),
            one.principal.as_str().into(),
            one.actions.clone().into(),
            one.rhythm.times.into(),
            one.rhythm.every_days.into(),
            one.rhythm.punctual_tenths.into(),
            one.rhythm.weekday.as_str().into(),
            one.first.into(),
            one.last.into(),
        ]
    };
    Table { columns: automation_columns(), rows: found.iter().map(row).collect() }
}

pub(super) fn curve(all: &Recommendations) -> Table {
    let row = |point: &recommend::Point| {
        [point.budget_hundredths, point.conversions, point.requests_hundredths, point.removed_permille]
            .map(Cell::from)
            .to_vec()
    };
    Table { columns: curve_columns(), rows: all.curve.iter().map(row).collect() }
}

pub(super) fn explain_table(lines: &[Line]) -> Table {
    let row =
        |line: &Line| vec![line.part.into(), line.at.into(), line.text.as_str().into(), line.reference.as_str().into()];
    Table { columns: explain_columns(), rows: lines.iter().map(row).collect() }
}

pub(super) fn phished_table(measures: &[Measure]) -> Table {
    let row = |one: &Measure| {
        vec![one.what.as_str().into(), one.now.into(), one.after.into(), one.on_request.into(), one.some.clone().into()]
    };
    Table { columns: phished_columns(), rows: measures.iter().map(row).collect() }
}

/// Bars for counts, from nothing to the most.
const BARS: [&str; 9] =
    [" ", "\u{2581}", "\u{2582}", "\u{2583}", "\u{2584}", "\u{2585}", "\u{2586}", "\u{2587}", "\u{2588}"];

/// `people`: bars in place of numbers.
pub(super) fn weeks_table(weeks: &[Week], people: bool) -> Table {
    let mut rows = Vec::new();
    for week in weeks {
        let most = week.hours.iter().flatten().copied().max().unwrap_or(0).max(1);
        let bar = |count: &u64| {
            let at = usize::try_from((count * 8).div_ceil(most)).unwrap_or(0);
            BARS.get(at).copied().unwrap_or(" ")
        };
        for (weekday, hours) in recommend::rhythm::WEEKDAYS.iter().zip(&week.hours) {
            let shown: Cell = if people {
                hours.iter().map(bar).collect::<String>().into()
            } else {
                hours.iter().map(u64::to_string).collect::<Vec<_>>().into()
            };
            rows.push(vec![
                week.capability.as_str().into(),
                week.holders.into(),
                week.sessions.into(),
                (*weekday).into(),
                shown,
            ]);
        }
    }
    Table { columns: weeks_columns(), rows }
}

/// What people look at first: whose, which, how much goes; the documents stand in the other formats.
pub(super) fn short_policies(table: &Table) -> Table {
    const SHOWN: [&str; 6] = ["principal", "policy", "actions_before", "actions_after", "characters", "managed"];
    let at: Vec<usize> =
        SHOWN.iter().filter_map(|name| table.columns.iter().position(|column| column.name == *name)).collect();
    let cell = |row: &Vec<Cell>, at: usize| match row.get(at) {
        Some(Cell::Text(text)) => short(text).into(),
        Some(cell) => cell.clone(),
        None => Cell::Null,
    };
    Table {
        columns: at.iter().filter_map(|at| table.columns.get(*at).cloned()).collect(),
        rows: table.rows.iter().map(|row| at.iter().map(|at| cell(row, *at)).collect()).collect(),
    }
}

/// An ARN as people read it: account and name. Other texts stay.
fn short(text: &str) -> String {
    let mut parts = text.splitn(6, ':');
    let (lead, _, service, _, account, resource) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
    match (lead, service, account, resource) {
        (Some("arn"), Some("iam"), Some(account), Some(resource)) => {
            let name = resource.rsplit('/').next().unwrap_or(resource);
            format!("{} ({account})", permission_set_of(name).unwrap_or(name))
        }
        (Some("arn"), Some(service), _, Some(resource)) => format!("{service} {resource}"),
        _ => text.to_owned(),
    }
}

/// Names that a line for people shows.
const NAMES: usize = 3;

/// As people read it: the first names, shortened.
pub(super) fn short_phished(measures: &[Measure]) -> Table {
    let brief = |one: &Measure| {
        let more = usize::try_from(one.now).unwrap_or(0).saturating_sub(NAMES.min(one.some.len()));
        let mut some: Vec<String> = one.some.iter().take(NAMES).map(|name| short(name)).collect();
        if more > 0 && !some.is_empty() {
            some.push(format!("and {more} more"));
        }
        Measure { some, ..one.clone() }
    };
    phished_table(&measures.iter().map(brief).collect::<Vec<_>>())
}
