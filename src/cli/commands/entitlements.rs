//! `jitscan entitlements`: what principals hold, with the verdict on each entitlement.

use crate::catalog::Catalog;
use crate::cli::args::Filter;
use crate::cli::commands::{Wanted, open};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::World;
use crate::compare;
use crate::model::table::{Column, ColumnKind, Table};

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("principal", Text, "ARN of the principal"),
        Column::new("action", Text, "the IAM action"),
        Column::new("resource_scope", Text, "the resources, as the policy names them"),
        Column::new("conditions", Text, "conditions and limits on the grant"),
        Column::new("verdict", Text, "used, unused, unobservable or used_not_granted"),
        Column::new("reason", Text, "what the verdict rests on"),
        Column::new("provenance", List, "the statements that grant it"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read, or the action pattern names nothing.
pub fn run(context: &Context<'_>, filter: &Filter) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load(context, &reader)?;
    let wanted = Wanted::of(filter);
    let actions = match &filter.action {
        Some(pattern) => Some(actions(pattern)?),
        None => None,
    };
    // A person holds what the principals hold that the person may use.
    let holders = compare::holders::holders(&world.snapshot, &world.people);
    let accepts = |arn: &str| {
        wanted.principal(arn)
            && (filter.person.is_none()
                || holders.get(arn).is_some_and(|holding| holding.people.iter().any(|person| wanted.person(person))))
    };
    let rows = compare::entitlement_rows(&world.inputs(), accepts, actions.as_ref());
    let rows = rows
        .into_iter()
        .map(|row| {
            vec![
                row.principal.into(),
                row.action.into(),
                row.resource_scope.into(),
                row.conditions.into(),
                row.verdict.as_str().into(),
                row.reason.into(),
                row.provenance.into(),
            ]
        })
        .collect();
    context.emit(&world.meta("entitlements", world.gaps.clone()), &Table { columns: columns(), rows })?;
    Ok(Status::Done)
}

/// The actions of a pattern.
///
/// # Errors
/// When it names none.
pub fn actions(pattern: &str) -> Result<crate::catalog::ActionSet, CommandError> {
    let set = Catalog::get().actions_matching(pattern);
    if set.is_empty() {
        return Err(CommandError::Usage(format!(
            "`{pattern}` names no action of the catalogue; expected a pattern such as s3:Get* (see `jitscan catalog action`)"
        )));
    }
    Ok(set)
}
