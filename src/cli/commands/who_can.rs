//! `jitscan who-can`: every principal that may do something, also through roles.

use crate::catalog::Catalog;
use crate::cli::args::WhoCanArgs;
use crate::cli::commands::{can, open};
use crate::cli::context::{CommandError, Context};
use crate::cli::documents;
use crate::cli::exit::Status;
use crate::compare::assessment::Gap;
use crate::decide::Roster;
use crate::decide::compile::Compiler;
use crate::decide::inquiry::Inquiry;
use crate::decide::who::{Able, who_can};
use crate::model::arn::Arn;
use crate::model::table::{Cell, Column, ColumnKind, Table};

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, List, Text};
    vec![
        Column::new("principal", Text, "who can: a user or role; a service, identity provider or account outside"),
        Column::new("decision", Text, "Allowed; or Undecided, where a step depends on what is not known"),
        Column::new("hops", Integer, "roles to assume on the way; 0 where it can itself"),
        Column::new("path", List, "these roles, first to last"),
        Column::new("decided_by", List, "the layers that allow the first step"),
        Column::new("depends_on", List, "condition keys on which it depends, over all steps"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store or a file cannot be read.
pub fn run(context: &Context<'_>, args: &WhoCanArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let loaded = documents::load(&reader, context.as_of())?;
    let catalog = Catalog::get();
    let compiler = Compiler::deciding(catalog);
    let roster = Roster::new(&loaded.snapshot, &compiler);
    let inquiry = Inquiry { roster: &roster, organization: loaded.snapshot.organization.as_ref() };
    let question = can::question(context, &args.action, args.resource.as_deref(), &args.request, &compiler)?;
    let found = who_can(&inquiry, &question, args.hops, context.as_of(), catalog);
    let people = context.is_for_people();
    let rows = found.into_iter().map(|able| row(able, people)).collect();
    let mut gaps = can::gaps(&loaded.snapshot, &loaded.younger);
    // `can` says this of what concerns its one principal; here it concerns whoever is not listed.
    gaps.extend(roster.defects.iter().chain(&roster.unreadable_trusts).map(|defect| Gap {
        kind: "policy".to_owned(),
        what: format!("{}: {}", defect.place, defect.reason),
        remedy: "ingest the document that AWS has; until then it may allow or deny anything".to_owned(),
    }));
    for gap in &gaps {
        context.note(&format!("{} ({})", gap.what, gap.remedy));
    }
    let mut table = Table { columns: columns(), rows };
    if people && let Some(at) = table.columns.iter().position(|column| column.name == "decided_by") {
        // `can` tells it for one principal; here it would take the room of the names.
        table.columns.remove(at);
        table.rows.iter_mut().for_each(|row| drop(row.remove(at)));
    }
    context.emit(&can::meta(context, "who-can", &loaded.snapshot, gaps), &table)?;
    Ok(Status::Done)
}

/// For people a role on the way is its account and name: ARNs would not fit beside each other.
fn short(role: &str) -> String {
    role.parse::<Arn>().map_or_else(|_| role.to_owned(), |arn| format!("{}:{}", arn.account_text(), arn.name()))
}

fn row(able: Able, people: bool) -> Vec<Cell> {
    let path = if people { able.path.iter().map(|role| short(role)).collect() } else { able.path };
    vec![
        able.principal.into(),
        able.answer.as_str().into(),
        path.len().into(),
        Cell::List(path),
        Cell::List(able.decided_by.iter().map(|layer| layer.as_str().to_owned()).collect()),
        Cell::List(able.depends_on),
    ]
}
