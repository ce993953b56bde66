//! `jitscan findings …`: the findings of the last scan.

use crate::cli::args::{FindingsAction, ScanArgs};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::findings::{self, FindingLog};
use crate::lake::Reader;
use crate::model::finding::{Finding, FindingState};
use crate::model::table::{Cell, Column, ColumnKind, Table};

/// Key under which the store keeps the findings.
pub const STATE: &str = "findings";

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Object, Text};
    vec![
        Column::new("id", Text, "stable across scans"),
        Column::new("kind", Text, "what kind of finding"),
        Column::new("severity", Text, "info, low, medium, high or critical"),
        Column::new("principal", Text, "ARN of the principal, or of the resource that others may use"),
        Column::new("person", Text, "the person, where it is about one"),
        Column::new("account", Text, "the account"),
        Column::new("title", Text, "what it says"),
        Column::new("state", Text, "new, open, resolved or excepted"),
        Column::new("confidence", Text, "low, medium or high"),
        Column::new("evidence", Object, "statements, event ids and figures that it rests on"),
    ]
}

/// For whom a table of findings is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A program: every column.
    Program,
    /// A person, with this many columns of terminal; none where the output goes elsewhere.
    Person(Option<u16>),
}

/// Terminal columns from which the kind and the state find room beside the title.
const WIDE: u16 = 110;
/// Characters of an id that a person sees; `findings show` takes any beginning.
const ID_SHOWN: usize = 8;

/// Findings as a table. For people the columns that a title repeats are left out.
#[must_use]
pub fn table(found: &[Finding], reader: Audience) -> Table {
    let shown = |name: &str| match reader {
        Audience::Program => true,
        Audience::Person(width) => {
            matches!(name, "id" | "severity" | "account" | "title")
                || (matches!(name, "kind" | "state") && width.is_none_or(|width| width >= WIDE))
        }
    };
    let id = |id: &str| match reader {
        Audience::Program => id.to_owned(),
        Audience::Person(_) => id.chars().take(ID_SHOWN).collect(),
    };
    let all = columns();
    let rows = found
        .iter()
        .map(|finding| {
            let cells: [Cell; 10] = [
                id(&finding.id).into(),
                finding.kind.as_str().into(),
                finding.severity.as_str().into(),
                finding.principal.as_str().into(),
                finding.person.as_str().into(),
                finding.account.as_str().into(),
                finding.title.as_str().into(),
                finding.state.as_str().into(),
                finding.confidence.as_str().into(),
                Cell::Object(serde_json::to_value(&finding.evidence).unwrap_or_default()),
            ];
            all.iter().zip(cells).filter(|(column, _)| shown(&column.name)).map(|(_, cell)| cell).collect()
        })
        .collect();
    Table { columns: all.iter().filter(|column| shown(&column.name)).cloned().collect(), rows }
}

/// Who reads what a run prints.
#[must_use]
pub fn audience(context: &Context<'_>) -> Audience {
    if context.is_for_people() { Audience::Person(context.width()) } else { Audience::Program }
}

/// The log of findings that the store keeps.
///
/// # Errors
/// When the store cannot be read, or holds something else under that name.
pub fn log(reader: &Reader) -> Result<FindingLog, CommandError> {
    match reader.state(STATE)? {
        None => Ok(FindingLog::default()),
        Some(value) => serde_json::from_value(value)
            .map_err(|error| CommandError::Failed(format!("the store's findings cannot be read: {error}"))),
    }
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read, or no finding has that id.
pub fn run(context: &Context<'_>, action: &FindingsAction) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let log = log(&reader)?;
    let mut all: Vec<Finding> = log.entries.into_values().map(|entry| entry.finding).collect();
    findings::sort(&mut all);
    let meta = Meta {
        command: "findings".to_owned(),
        generation: u64::try_from(reader.generation().number).ok(),
        ..Meta::default()
    };
    match action {
        FindingsAction::List(ScanArgs { severity }) => {
            all.retain(|finding| {
                finding.state != FindingState::Resolved && severity.is_none_or(|least| finding.severity >= least)
            });
            context.emit(&meta, &table(&all, audience(context)))?;
        }
        FindingsAction::Show { id } => {
            all.retain(|finding| finding.id.starts_with(id.as_str()));
            match all.as_slice() {
                [one] if context.is_for_people() => context.emit_text(&text(one))?,
                [_] => context.emit(&meta, &table(&all, Audience::Program))?,
                [] => {
                    return Err(CommandError::Usage(format!(
                        "no finding has an id that begins with `{id}`; see `jitscan findings list`"
                    )));
                }
                more => {
                    return Err(CommandError::Usage(format!(
                        "{} findings have an id that begins with `{id}`",
                        more.len()
                    )));
                }
            }
        }
    }
    Ok(Status::Done)
}

fn text(finding: &Finding) -> String {
    use crate::cli::escape::terminal;
    let mut out = format!("{}\n\n", terminal(&finding.title));
    let fields = [
        ("id", finding.id.as_str()),
        ("kind", &finding.kind),
        ("severity", finding.severity.as_str()),
        ("state", finding.state.as_str()),
        ("confidence", finding.confidence.as_str()),
        ("principal", &finding.principal),
        ("person", &finding.person),
        ("account", &finding.account),
    ];
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        out.push_str(&format!("{name:<11} {}\n", terminal(value)));
    }
    for (name, items) in [
        ("statements", &finding.evidence.statements),
        ("events", &finding.evidence.events),
        ("notes", &finding.evidence.notes),
    ] {
        if !items.is_empty() {
            out.push_str(&format!("\n{name}\n"));
            for item in items {
                out.push_str(&format!("  {}\n", terminal(item)));
            }
        }
    }
    out
}
