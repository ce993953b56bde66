//! `jitscan query …`: named questions over the store.

use std::collections::BTreeMap;

use crate::catalog::ActionId;
use crate::cli::args::QueryAction;
use crate::cli::commands::{findings as findings_command, open};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::cli::pipeline::{Depth, World};
use crate::compare;
use crate::findings;
use crate::lake::{PartKind, Reader};
use crate::model::table::{Cell, Column, ColumnKind, Table};
use crate::query::{self, ActivityRow, AttributionRow, LakeFiles, Limits, QuarantineRow, QueryInfo, Session, Tables};
use crate::usage::chain::{Hop, Missing, Told};

/// Columns of `query list`.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{List, Text};
    vec![
        Column::new("name", Text, "the query's name"),
        Column::new("question", Text, "what it answers"),
        Column::new("parameters", List, "its parameters; * marks required ones, = gives the default"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read, there is no such query, or a parameter does not fit.
pub fn run(context: &Context<'_>, action: &QueryAction) -> Result<Status, CommandError> {
    match action {
        QueryAction::List => list(context)?,
        QueryAction::Show { name } => context.emit_text(&known(name)?.sql)?,
        QueryAction::Run { name, params } => run_named(context, name, params)?,
    }
    Ok(Status::Done)
}

fn known(name: &str) -> Result<QueryInfo, CommandError> {
    query::show(name)
        .map_err(|error| CommandError::Failed(error.to_string()))?
        .ok_or_else(|| CommandError::Usage(format!("no query is called `{name}`; see `jitscan query list`")))
}

fn list(context: &Context<'_>) -> Result<(), CommandError> {
    let all = query::list().map_err(|error| CommandError::Failed(error.to_string()))?;
    let rows = all
        .into_iter()
        .map(|info| {
            let parameters: Vec<String> = info
                .parameters
                .iter()
                .map(|parameter| match &parameter.default {
                    _ if parameter.required => format!("{}*", parameter.name),
                    Some(default) => format!("{}={default}", parameter.name),
                    None => parameter.name.clone(),
                })
                .collect();
            vec![info.name.into(), info.question.into(), Cell::List(parameters)]
        })
        .collect();
    context.emit(&Meta { command: "query list".to_owned(), ..Meta::default() }, &Table { columns: columns(), rows })
}

fn run_named(context: &Context<'_>, name: &str, params: &[String]) -> Result<(), CommandError> {
    // A wrong name or parameter is told before the store is read.
    let info = known(name)?;
    let mut parameters = BTreeMap::new();
    for param in params {
        let (key, value) = param
            .split_once('=')
            .ok_or_else(|| CommandError::Usage(format!("`{param}` is not a parameter; expected NAME=VALUE")))?;
        parameters.insert(key.to_owned(), value.to_owned());
    }
    let reader = open(context)?;
    // Most questions are about events: they need nothing that takes all logs to work out.
    let world = World::load_to(context, &reader, depth(&info))?;
    let assessment = compare::assess(&world.inputs());
    let mut found = findings::find(&assessment);
    let _ = findings::apply_lifecycle(&mut found, &findings_command::log(&reader)?, assessment.as_of);
    let wanted = info.names("activity");
    let activity = |each: &mut dyn FnMut(ActivityRow<'_>)| {
        if wanted {
            each_activity(&world, each);
        }
    };
    let quarantine = if info.names("quarantine") { quarantine(&reader)? } else { Vec::new() };
    let attribution = if info.names("attribution") { attribution(&world) } else { Vec::new() };
    let tables = Tables {
        assessment: &assessment,
        findings: &found,
        activity: &activity,
        quarantine: &quarantine,
        attribution: &attribution,
    };
    let limits = Limits { threads: context.threads(), ..Limits::default() };
    let failed = |error: query::QueryError| match error {
        query::QueryError::UnknownParameter { .. }
        | query::QueryError::MissingParameter { .. }
        | query::QueryError::Value { .. } => CommandError::Usage(error.to_string()),
        other => CommandError::Failed(other.to_string()),
    };
    let session = Session::open(&lake_files(&reader), &tables, limits).map_err(failed)?;
    let table = session.run_info(&info, &parameters).map_err(failed)?;
    let mut gaps = assessment.gaps;
    gaps.extend(world.gaps.iter().cloned());
    context.emit(&world.meta(&format!("query run {name}"), gaps), &table)
}

/// How much of the store the tables that a query names are filled from.
fn depth(info: &QueryInfo) -> Depth {
    let tables = [
        (Depth::Granted, ["principals", "services", "findings"].as_slice()),
        (Depth::Activity, &["activity"]),
        (Depth::Actors, &["attribution"]),
    ];
    let needed = tables.into_iter().find(|(_, tables)| tables.iter().any(|table| info.names(table)));
    needed.map_or(Depth::Ground, |(depth, _)| depth)
}

fn quarantine(reader: &Reader) -> Result<Vec<QuarantineRow>, CommandError> {
    let rows = reader.quarantine()?.into_iter();
    let row = |row: crate::lake::QuarantineRow| QuarantineRow {
        file: row.file,
        offset: row.offset,
        length: row.length,
        reason: row.reason,
    };
    Ok(rows.map(row).collect())
}

fn lake_files(reader: &Reader) -> LakeFiles {
    LakeFiles {
        events: reader.parquet_files(PartKind::Events),
        usage: reader.parquet_files(PartKind::Usage),
        shapes: reader.parquet_files(PartKind::Shapes),
        sessions: reader.parquet_files(PartKind::Sessions),
        issued: reader.parquet_files(PartKind::Issued),
        coverage: reader.parquet_files(PartKind::Coverage),
        trail_calls: reader.parquet_files(PartKind::TrailCalls),
    }
}

fn attribution(world: &World) -> Vec<AttributionRow> {
    world
        .actors
        .iter()
        .map(|(session, actor)| AttributionRow {
            session: session.0,
            kind: actor.kind.as_str().to_owned(),
            principal: actor.principal.to_string(),
            account: actor.account.to_string(),
            session_name: actor.session_name.to_string(),
            access_key: world
                .sessions
                .get(*session)
                .map(|(session, _)| session.access_key.to_string())
                .unwrap_or_default(),
            person: actor.person.as_deref().unwrap_or_default().to_owned(),
            basis: actor.basis.as_str().to_owned(),
            machine: actor.machine,
            start: actor.start().to_owned(),
            hops: actor.hops.iter().map(hop).collect(),
            missing: actor.missing.as_ref().map(|missing| missing.as_str().to_owned()).unwrap_or_default(),
            why: actor.missing.as_ref().map(Missing::about).unwrap_or_default(),
        })
        .collect()
}

/// `ARN (session NAME) at TIME, event ID`, and how weak the link is.
fn hop(hop: &Hop) -> String {
    let session = if hop.session_name.is_empty() { String::new() } else { format!(" (session {})", hop.session_name) };
    let event = match hop.event_id.as_str() {
        "" => ", several events".to_owned(),
        id => format!(", event {id}"),
    };
    let link = match hop.told {
        Told::Key => "",
        Told::Start => ", told by the session's name and start",
        Told::Name => ", told by the session name",
    };
    format!("{}{session} at {}{event}{link}", hop.principal, hop.time)
}

fn each_activity(world: &World, each: &mut dyn FnMut(ActivityRow<'_>)) {
    let names: BTreeMap<ActionId, String> = world
        .activity
        .rows
        .keys()
        .filter_map(|key| Some((key.action, world.catalog.action(key.action)?.full_name())))
        .collect();
    for (key, use_) in &world.activity.rows {
        let Some(action) = names.get(&key.action) else { continue };
        for (day, (count, denied)) in use_.by_day.iter() {
            each(ActivityRow {
                principal: &key.principal.arn,
                person: &key.person,
                action,
                resource: &key.resource,
                account: &key.account,
                region: &key.region,
                day: *day,
                count: *count,
                denied: *denied,
            });
        }
    }
}
