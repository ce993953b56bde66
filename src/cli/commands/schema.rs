//! `jitscan schema`: the fields of every command's machine output.

use crate::cli::commands::{
    can, catalog, collect, coverage, entitlements, escalations, findings, ingest, lake, logs, policy, query, recommend,
    remediate, report, usage, validate, who_can,
};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::model::table::{Cell, Column, ColumnKind, Table};

/// Every command with machine output, and its columns.
#[must_use]
pub fn all() -> Vec<(String, Vec<Column>)> {
    let fixed = [
        ("ingest cloudtrail", ingest::log_columns()),
        ("ingest iam, credential-report, roster, organization, identity-center", ingest::document_columns()),
        (
            "ingest trails, account, last-accessed, access-analyzer, resource-policies, public-keys",
            ingest::document_columns(),
        ),
        ("collect", collect::columns()),
        ("collect --dry-run", collect::plan_columns()),
        ("lake documents", lake::document_columns()),
        ("lake compact", lake::compact_columns()),
        ("lake check", lake::check_columns()),
        ("lake prune", lake::prune_columns()),
        ("coverage", coverage::columns()),
        ("coverage --heatmap", crate::cli::heatmap::columns()),
        ("logs verify", logs::columns()),
        ("scan, findings, demo", findings::columns()),
        ("entitlements", entitlements::columns()),
        ("usage", usage::columns()),
        ("can", can::columns()),
        ("who-can", who_can::columns()),
        ("policy validate", validate::columns()),
        ("escalations", escalations::columns()),
        ("escalations --list", escalations::technique_columns()),
        ("recommend", recommend::columns()),
        ("recommend --curve", recommend::curve_columns()),
        ("recommend --combinations", recommend::combination_columns()),
        ("recommend --automation", recommend::automation_columns()),
        ("recommend --weeks", recommend::weeks_columns()),
        ("recommend --explain", recommend::explain_columns()),
        ("recommend --phished", recommend::phished_columns()),
        ("recommend --policies", recommend::policies_columns()),
        ("remediate plan", remediate::plan_columns()),
        ("remediate show", remediate::show_columns()),
        ("remediate prove", remediate::prove_columns()),
        ("remediate apply, rollback", remediate::run_columns()),
        ("remediate watch", remediate::watch_columns()),
        ("remediate shadow", remediate::shadow_columns()),
        ("remediate list", remediate::list_columns()),
        ("remediate export", remediate::export_columns()),
        ("policy test (from statements on with --explain)", policy::columns(true)),
        ("catalog action", catalog::action_columns()),
        ("catalog event, events", catalog::event_columns()),
        ("report", report::columns()),
        ("query list", query::columns()),
    ];
    // The headers of the queries are checked by a test; one that could not be read has no columns to describe.
    let queries = crate::query::list().unwrap_or_default();
    fixed
        .into_iter()
        .map(|(command, columns)| (command.to_owned(), columns))
        .chain(queries.into_iter().map(|info| (format!("query run {}", info.name), info.columns)))
        .collect()
}

/// Runs it.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &Context<'_>) -> Result<Status, CommandError> {
    use ColumnKind::Text;
    let columns = vec![
        Column::new("command", Text, "the command"),
        Column::new("field", Text, "field name, the same in every machine format"),
        Column::new("kind", Text, "kind of value"),
        Column::new("about", Text, "what it means"),
    ];
    let mut rows = Vec::new();
    for (command, fields) in all() {
        for field in fields {
            let kind = serde_json::to_value(field.kind).ok().and_then(|v| v.as_str().map(str::to_owned));
            rows.push(vec![command.as_str().into(), field.name.into(), Cell::from(kind), field.about.into()]);
        }
    }
    context.emit(&Meta { command: "schema".to_owned(), ..Meta::default() }, &Table { columns, rows })?;
    Ok(Status::Done)
}
