//! `jitscan usage`: what principals and people did.

use crate::cli::args::Filter;
use crate::cli::commands::{Wanted, entitlements, open};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::{Depth, World};
use crate::model::table::{Column, ColumnKind, Table};

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text, Time};
    vec![
        Column::new("principal", Text, "ARN of the principal"),
        Column::new("principal_id", Text, "its unique id: the same ARN with another id is another principal"),
        Column::new("person", Text, "the person; empty where not known, and where a service made the call on behalf"),
        Column::new("likely_person", Text, "the person to whom the session's name alone leads: a guess, no evidence"),
        Column::new("action", Text, "the IAM action"),
        Column::new("resource", Text, "the main resource; empty where the record names none"),
        Column::new("account", Text, "the account in whose logs it stands"),
        Column::new("region", Text, "the region"),
        Column::new("count", Integer, "authorised calls"),
        Column::new("denied", Integer, "denied calls"),
        Column::new("not_evaluated", Integer, "calls that ended before authorisation"),
        Column::new("undecided", Integer, "calls of which the record does not show whether they exercised the action"),
        Column::new("first", Time, "first authorised call"),
        Column::new("last", Time, "last authorised call"),
        Column::new("active_days", Integer, "days with an authorised call"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read, or the action pattern names nothing.
pub fn run(context: &Context<'_>, filter: &Filter) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load_to(context, &reader, Depth::Activity)?;
    let wanted = Wanted::of(filter);
    let actions = match &filter.action {
        Some(pattern) => Some(entitlements::actions(pattern)?),
        None => None,
    };
    let mut table = Table { columns: columns(), rows: Vec::new() };
    for (key, use_) in &world.activity.rows {
        let Some(action) = world.catalog.action(key.action) else { continue };
        if !wanted.principal(&key.principal.arn)
            || !wanted.person(&key.person)
            || actions.as_ref().is_some_and(|actions| !actions.contains(key.action))
        {
            continue;
        }
        table.rows.push(vec![
            key.principal.arn.to_string().into(),
            key.principal.id.to_string().into(),
            key.person.to_string().into(),
            key.likely.to_string().into(),
            action.full_name().into(),
            key.resource.to_string().into(),
            key.account.to_string().into(),
            key.region.to_string().into(),
            use_.count.into(),
            use_.denied.into(),
            use_.not_evaluated.into(),
            use_.undecided.into(),
            use_.first.into(),
            use_.last.into(),
            use_.days().count().into(),
        ]);
    }
    context.emit(&world.meta("usage", world.gaps.clone()), &table)?;
    Ok(Status::Done)
}
