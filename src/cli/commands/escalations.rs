//! `jitscan escalations`: who can become an administrator, and how.

use crate::cli::args::EscalationsArgs;
use crate::cli::commands::{can, open};
use crate::cli::context::{CommandError, Context};
use crate::cli::documents;
use crate::cli::exit::Status;
use crate::model::table::{Column, ColumnKind, Table};
use crate::recommend::escalation::{self, Path, Technique};

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Boolean, Integer, List, Object, Text};
    vec![
        Column::new("principal", Text, "ARN of the user or role that is no administrator"),
        Column::new("goal", Text, "administrator of an account, or the organization"),
        Column::new("sure", Boolean, "every hop surely works; else some hang on what is not known"),
        Column::new("hops", Integer, "how many"),
        Column::new("techniques", List, "ids of the techniques, in order"),
        Column::new("path", Object, "the hops with the statements behind them, and what they hang on"),
    ]
}

/// Columns of `escalations --list`.
#[must_use]
pub fn technique_columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("id", Text, "id of the technique"),
        Column::new("title", Text, "what is done"),
        Column::new("actions", List, "what it needs: all, or of those of one step one"),
        Column::new("why", Text, "how it works, and what limits it"),
        Column::new("source", Text, "where that is documented"),
    ]
}

/// The techniques that come with the program, and those of the configuration.
///
/// # Errors
/// When a file cannot be read, or is wrong.
pub fn techniques(context: &Context<'_>) -> Result<Vec<Technique>, CommandError> {
    let mut all = escalation::known();
    for path in &context.config.escalation_techniques {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| CommandError::File { path: name.clone(), source })?;
        let more = escalation::parse(&text).map_err(|reason| CommandError::Failed(format!("{name}: {reason}")))?;
        if let Some(twice) = more.iter().find(|one| all.iter().any(|known| known.id == one.id)) {
            return Err(CommandError::Failed(format!("{name}: there is a technique `{}` already", twice.id)));
        }
        all.extend(more);
    }
    Ok(all)
}

/// Runs it.
///
/// # Errors
/// When the store, or a file of techniques, cannot be read.
pub fn run(context: &Context<'_>, args: &EscalationsArgs) -> Result<Status, CommandError> {
    let techniques = techniques(context)?;
    if args.list {
        let row = |one: &Technique| {
            let actions: Vec<String> = one.actions().map(str::to_owned).collect();
            vec![
                one.id.as_str().into(),
                one.title.as_str().into(),
                actions.into(),
                one.why.as_str().into(),
                one.source.as_str().into(),
            ]
        };
        let table = Table { columns: technique_columns(), rows: techniques.iter().map(row).collect() };
        let meta = crate::cli::output::Meta { command: "escalations --list".to_owned(), ..Default::default() };
        context.emit(&meta, &table)?;
        return Ok(Status::Done);
    }
    let reader = open(context)?;
    let loaded = documents::load(&reader, context.as_of())?;
    drop(reader);
    let catalog = crate::catalog::Catalog::get();
    let mut paths = escalation::escalations(&loaded.snapshot, &techniques, catalog, context.as_of());
    if let Some(text) = &args.principal {
        paths.retain(|path| path.principal.contains(text.as_str()));
    }
    let gaps = can::gaps(&loaded.snapshot, &loaded.younger);
    let meta = can::meta(context, "escalations", &loaded.snapshot, gaps);
    if context.is_for_people() {
        for path in &paths {
            context.emit_text(&told(path))?;
        }
        let sure = paths.iter().filter(|path| path.sure).count();
        context.note(&format!(
            "{} ways to more power, {sure} of them sure; {} techniques were tried",
            paths.len(),
            techniques.len()
        ));
        return Ok(Status::Done);
    }
    let row = |path: &Path| {
        let techniques: Vec<String> = path.hops.iter().map(|hop| hop.technique.clone()).collect();
        vec![
            path.principal.as_str().into(),
            path.goal.as_str().into(),
            path.sure.into(),
            path.hops.len().into(),
            techniques.into(),
            crate::model::table::Cell::Object(serde_json::to_value(&path.hops).unwrap_or_default()),
        ]
    };
    context.emit(&meta, &Table { columns: columns(), rows: paths.iter().map(row).collect() })?;
    Ok(Status::Done)
}

/// A way as people read it.
fn told(path: &Path) -> String {
    let may = if path.sure { "can" } else { "may be able to" };
    let mut out = format!("{} {may} become {}\n", path.principal, path.goal);
    for hop in &path.hops {
        let on = if hop.on.is_empty() || hop.on == hop.to { String::new() } else { format!(" ({})", hop.on) };
        out.push_str(&format!("  {}{on} -> {}  [{}]\n", hop.title, hop.to, hop.technique));
        // That a service control policy lets it through is so of everything that is left.
        for statement in hop.statements.iter().filter(|statement| !statement.starts_with("scp ")) {
            out.push_str(&format!("    by {statement}\n"));
        }
        for unknown in &hop.depends_on {
            out.push_str(&format!("    hangs on {unknown}\n"));
        }
    }
    out
}
