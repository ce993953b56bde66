//! Folds as Parquet. Columns: `lake::schema`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::PolarsResult;

use super::events::{category, identities, outcome, put_identities, put_variants, variants};
use super::{Columns, Table, at, failed, from_json, json};
use crate::lake::chunk::{Chunk, Row};
use crate::lake::error::LakeError;
use crate::lake::fold::{ChunkFolds, Noted, merge};
use crate::lake::schema::PartKind;
use crate::model::event::Outcome;
use crate::model::time::{Day, MICROS_PER_HOUR, Timestamp};
use crate::usage::fold::{
    CoverageKey, Folds, IssuedCredential, SessionId, ShapeFact, ShapeKey, Slots, TrailCall, UsageFact, UsageKey,
};

/// One kind of a chunk's folds as a Parquet file, and its rows; none where it has none.
pub(crate) fn fold_bytes(
    kind: PartKind,
    chunk: &Chunk,
    folds: &ChunkFolds,
    noted: &[(&Row, &Noted)],
    path: &Path,
) -> Result<Option<(Vec<u8>, usize)>, LakeError> {
    let mut columns = Columns::default();
    let rows = match kind {
        PartKind::Usage => usage(&mut columns, chunk, folds),
        PartKind::Shapes => shapes(&mut columns, chunk, folds),
        PartKind::Sessions => Ok(sessions(&mut columns, chunk, folds)),
        PartKind::Coverage => coverage(&mut columns, chunk, folds),
        PartKind::Issued => issued(&mut columns, chunk, noted),
        PartKind::TrailCalls => trail_calls(&mut columns, chunk, noted),
        PartKind::Events => Ok(0),
    };
    let rows = rows.map_err(|e| failed(path, &e))?;
    if rows == 0 {
        return Ok(None);
    }
    Ok(Some((columns.into_parquet(rows).map_err(|e| failed(path, &e))?, rows)))
}

const SLOTS: [&str; 5] = ["slots_0", "slots_1", "slots_2", "slots_3", "slots_4"];

fn usage(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds) -> PolarsResult<usize> {
    let cells = || folds.usage.all().iter();
    let calls = || cells().filter_map(|cell| folds.calls.get(cell.call));
    let facts = || folds.usage_facts.iter();
    let mut days = BTreeMap::new();
    for cell in cells() {
        days.entry(cell.day).or_insert_with(|| cell.day.to_string());
    }
    columns.key("session", calls().map(|c| chunk.session_id(c.session).0));
    columns.text("source", calls().map(|c| chunk.sym(c.source)));
    columns.text("name", calls().map(|c| chunk.sym(c.name)));
    put_variants(columns, chunk, calls().map(|c| c.variant));
    columns.text("category", cells().map(|c| c.category.as_str()));
    columns.text("resource", cells().map(|c| chunk.sym(c.resource)));
    columns.text("outcome", calls().map(|c| c.outcome.as_str()));
    columns.text("account", calls().map(|c| chunk.sym(c.account)));
    columns.text("region", calls().map(|c| chunk.sym(c.region)));
    columns.text("day", cells().map(|c| days.get(&c.day).map(String::as_str).unwrap_or_default()));
    columns.flag("shared", calls().map(|c| c.shared));
    columns.count("count", facts().map(|f| f.count));
    columns.time("first", facts().map(|f| f.first))?;
    columns.time("last", facts().map(|f| f.last))?;
    for (word, name) in SLOTS.iter().enumerate() {
        columns.key(name, facts().map(|f| f.slots.words().get(word).copied().unwrap_or_default()));
    }
    Ok(folds.usage_facts.len())
}

/// A row of the shapes: a cell of the fold, or what is left of many.
struct Shape<'f> {
    session: u64,
    source: &'f str,
    name: &'f str,
    version_id: bool,
    tags: bool,
    roles: Cow<'f, str>,
    refused: &'f str,
    resources: Cow<'f, str>,
    outcome: Outcome,
    account: &'f str,
    region: &'f str,
    context: Cow<'f, str>,
    shared: bool,
    inexact: bool,
    fact: &'f ShapeFact,
}

fn shape_rows<'f>(chunk: &'f Chunk, folds: &'f ChunkFolds) -> Vec<Shape<'f>> {
    let whole = folds.shapes.all().iter().zip(&folds.shape_facts).filter_map(|(cell, fact)| {
        let call = folds.calls.get(cell.call).filter(|_| !folds.cut_calls.contains(&cell.call))?;
        let variant = chunk.variant_of(call.variant);
        Some(Shape {
            session: chunk.session_id(call.session).0,
            source: chunk.sym(call.source),
            name: chunk.sym(call.name),
            version_id: variant.version_id,
            tags: variant.tags,
            roles: chunk.sym(variant.roles).into(),
            refused: chunk.sym(variant.refused),
            resources: chunk.text(chunk.targets_of(cell.targets).arns).into(),
            outcome: call.outcome,
            account: chunk.sym(call.account),
            region: chunk.sym(call.region),
            context: folds.context_lists.get(cell.context).into(),
            shared: call.shared,
            inexact: false,
            fact,
        })
    });
    let cut = folds.cut.iter().map(|(key, fact)| Shape {
        session: key.session.0,
        source: &key.source,
        name: &key.name,
        version_id: key.variant.version_id,
        tags: key.variant.tags,
        roles: json(&key.variant.roles).into(),
        refused: &key.variant.refused,
        resources: json(&key.resources).into(),
        outcome: key.outcome,
        account: &key.account,
        region: &key.region,
        context: json(&key.context).into(),
        shared: key.shared,
        inexact: key.inexact,
        fact,
    });
    whole.chain(cut).collect()
}

fn shapes(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds) -> PolarsResult<usize> {
    let shapes = shape_rows(chunk, folds);
    let rows = || shapes.iter();
    columns.key("session", rows().map(|s| s.session));
    columns.text("source", rows().map(|s| s.source));
    columns.text("name", rows().map(|s| s.name));
    columns.flag("version_id", rows().map(|s| s.version_id));
    columns.flag("tags", rows().map(|s| s.tags));
    columns.text("roles", rows().map(|s| s.roles.as_ref()));
    columns.text("refused", rows().map(|s| s.refused));
    columns.text("resources", rows().map(|s| s.resources.as_ref()));
    columns.text("outcome", rows().map(|s| s.outcome.as_str()));
    columns.text("account", rows().map(|s| s.account));
    columns.text("region", rows().map(|s| s.region));
    columns.text("context", rows().map(|s| s.context.as_ref()));
    columns.flag("shared", rows().map(|s| s.shared));
    columns.flag("inexact", rows().map(|s| s.inexact));
    columns.count("count", rows().map(|s| s.fact.count));
    columns.time("first", rows().map(|s| s.fact.first))?;
    columns.time("last", rows().map(|s| s.fact.last))?;
    columns.text("example", rows().map(|s| s.fact.example.as_str()));
    columns.time("example_time", rows().map(|s| s.fact.example_time))?;
    Ok(shapes.len())
}

fn sessions(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds) -> usize {
    let all = || folds.sessions.iter().filter_map(|session| chunk.identity(*session));
    columns.key("session", all().map(|(id, _)| id.0));
    put_identities(columns, all().map(|(_, identity)| identity));
    all().count()
}

fn issued(columns: &mut Columns, chunk: &Chunk, noted: &[(&Row, &Noted)]) -> PolarsResult<usize> {
    let all = || {
        noted.iter().filter_map(|(row, noted)| match noted {
            Noted::Issued { access_key, session_principal_id, role_arn } => {
                Some((*row, access_key, session_principal_id, role_arn))
            }
            Noted::Trail { .. } => None,
        })
    };
    columns.text("access_key", all().map(|(_, key, _, _)| key.as_str()));
    columns.text("session_principal_id", all().map(|(_, _, principal, _)| principal.as_str()));
    columns.text("role_arn", all().map(|(_, _, _, role)| role.as_str()));
    columns.key("session", all().map(|(row, _, _, _)| chunk.session_id(row.session).0));
    columns.time("time", all().map(|(row, _, _, _)| row.time))?;
    columns.texts("event_id", all().map(|(row, _, _, _)| chunk.example(row)));
    Ok(all().count())
}

fn trail_calls(columns: &mut Columns, chunk: &Chunk, noted: &[(&Row, &Noted)]) -> PolarsResult<usize> {
    let all = || {
        noted.iter().filter_map(|(row, noted)| match noted {
            Noted::Trail { request, response } => Some((*row, request, response)),
            Noted::Issued { .. } => None,
        })
    };
    columns.time("time", all().map(|(row, _, _)| row.time))?;
    columns.text("account", all().map(|(row, _, _)| chunk.sym(row.account)));
    columns.text("region", all().map(|(row, _, _)| chunk.sym(row.region)));
    columns.text("name", all().map(|(row, _, _)| chunk.sym(row.name)));
    columns.text("outcome", all().map(|(row, _, _)| row.outcome.as_str()));
    columns.text("request", all().map(|(_, request, _)| request.as_str()));
    columns.text("response", all().map(|(_, _, response)| response.as_str()));
    columns.texts("event_id", all().map(|(row, _, _)| chunk.example(row)));
    Ok(all().count())
}

fn coverage(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds) -> PolarsResult<usize> {
    let keys = || folds.coverage.keys();
    columns.text("account", keys().map(|(account, ..)| chunk.sym(*account)));
    columns.text("region", keys().map(|(_, region, ..)| chunk.sym(*region)));
    let hour = |hour: i32| Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR);
    columns.time("hour", keys().map(|(_, _, at, _)| hour(*at)))?;
    columns.text("category", keys().map(|(.., category)| category.as_str()));
    columns.count("count", folds.coverage.values().copied());
    Ok(folds.coverage.len())
}

/// Reads one file of a kind and merges it into `folds`.
pub(crate) fn read_fold(kind: PartKind, path: &Path, folds: &mut Folds) -> Result<(), LakeError> {
    let table = Table::read(path)?;
    let mut more = Folds::default();
    match kind {
        PartKind::Usage => read_usage(&table, &mut more)?,
        PartKind::Shapes => read_shapes(&table, &mut more)?,
        PartKind::Sessions => {
            let keys = table.key("session")?;
            more.sessions = keys.into_iter().map(SessionId).zip(identities(&table)?).collect();
        }
        PartKind::Issued => read_issued(&table, &mut more)?,
        PartKind::Coverage => read_coverage(&table, &mut more)?,
        PartKind::TrailCalls => read_trail_calls(&table, &mut more)?,
        PartKind::Events => {}
    }
    merge(folds, more);
    Ok(())
}

fn day(path: &Path, text: &str) -> Result<Day, LakeError> {
    text.parse::<Timestamp>()
        .map(Timestamp::day)
        .map_err(|e| LakeError::Damaged { path: path.to_owned(), reason: e.to_string() })
}

fn read_usage(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let path = table.path;
    let (session, variants) = (table.key("session")?, variants(table)?);
    let (source, name) = (table.text("source")?, table.text("name")?);
    let (kind, resource, result) = (table.text("category")?, table.text("resource")?, table.text("outcome")?);
    let (account, region, days) = (table.text("account")?, table.text("region")?, table.text("day")?);
    let (shared, count) = (table.flag("shared")?, table.count("count")?);
    let slots = SLOTS.iter().map(|name| table.key(name)).collect::<Result<Vec<_>, _>>()?;
    let (first, last) = (table.time("first")?, table.time("last")?);
    let mut known_days = BTreeMap::new();
    for (row, variant) in variants.into_iter().enumerate() {
        let text = at(&days, row);
        let day = match known_days.get(text) {
            Some(day) => *day,
            None => *known_days.entry(text).or_insert(day(path, text)?),
        };
        let key = UsageKey {
            session: SessionId(at(&session, row)),
            source: at(&source, row).to_owned(),
            name: at(&name, row).to_owned(),
            variant,
            category: category(path, at(&kind, row))?,
            resource: at(&resource, row).to_owned(),
            outcome: outcome(path, at(&result, row))?,
            account: at(&account, row).to_owned(),
            region: at(&region, row).to_owned(),
            day,
            shared: at(&shared, row),
        };
        let mut words = slots.iter().map(|column| at(column, row));
        let slots = Slots::from_words(std::array::from_fn(|_| words.next().unwrap_or_default()));
        let fact = UsageFact { count: at(&count, row), first: at(&first, row), last: at(&last, row), slots };
        folds.usage.entry(key).and_modify(|known| known.merge(&fact)).or_insert(fact);
    }
    Ok(())
}

fn read_shapes(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let path = table.path;
    let (session, variants) = (table.key("session")?, variants(table)?);
    let (source, name) = (table.text("source")?, table.text("name")?);
    let (resources, result, context) = (table.text("resources")?, table.text("outcome")?, table.text("context")?);
    let (account, region) = (table.text("account")?, table.text("region")?);
    let (shared, inexact, count) = (table.flag("shared")?, table.flag("inexact")?, table.count("count")?);
    let (first, last) = (table.time("first")?, table.time("last")?);
    let (example, example_time) = (table.text("example")?, table.time("example_time")?);
    for (row, variant) in variants.into_iter().enumerate() {
        let key = ShapeKey {
            session: SessionId(at(&session, row)),
            source: at(&source, row).to_owned(),
            name: at(&name, row).to_owned(),
            variant,
            resources: from_json(path, at(&resources, row))?,
            outcome: outcome(path, at(&result, row))?,
            account: at(&account, row).to_owned(),
            region: at(&region, row).to_owned(),
            context: from_json(path, at(&context, row))?,
            shared: at(&shared, row),
            inexact: at(&inexact, row),
        };
        let fact = ShapeFact {
            count: at(&count, row),
            first: at(&first, row),
            last: at(&last, row),
            example: at(&example, row).to_owned(),
            example_time: at(&example_time, row),
        };
        match folds.shapes.get_mut(&key) {
            Some(known) => known.merge(&fact),
            None => {
                folds.shapes.insert(key, fact);
            }
        }
    }
    Ok(())
}

fn read_issued(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let (key, principal) = (table.text("access_key")?, table.text("session_principal_id")?);
    let (role, by) = (table.text("role_arn")?, table.key("session")?);
    let (time, event) = (table.time("time")?, table.text("event_id")?);
    for row in 0..table.height() {
        folds.issued.insert(IssuedCredential {
            access_key: at(&key, row).to_owned(),
            session_principal_id: at(&principal, row).to_owned(),
            role_arn: at(&role, row).to_owned(),
            by: SessionId(at(&by, row)),
            time: at(&time, row),
            event_id: at(&event, row).to_owned(),
        });
    }
    Ok(())
}

fn read_trail_calls(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let (time, account, region) = (table.time("time")?, table.text("account")?, table.text("region")?);
    let (name, result, event) = (table.text("name")?, table.text("outcome")?, table.text("event_id")?);
    let (request, response) = (table.text("request")?, table.text("response")?);
    for row in 0..table.height() {
        folds.trail_calls.insert(TrailCall {
            time: at(&time, row),
            account: at(&account, row).to_owned(),
            region: at(&region, row).to_owned(),
            name: at(&name, row).to_owned(),
            outcome: outcome(table.path, at(&result, row))?,
            request: at(&request, row).to_owned(),
            response: at(&response, row).to_owned(),
            event_id: at(&event, row).to_owned(),
        });
    }
    Ok(())
}

fn read_coverage(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let (account, region, kind) = (table.text("account")?, table.text("region")?, table.text("category")?);
    let (hour, count) = (table.time("hour")?, table.count("count")?);
    for row in 0..table.height() {
        let key = CoverageKey {
            account: at(&account, row).to_owned(),
            region: at(&region, row).to_owned(),
            hour: at(&hour, row).hour(),
            category: category(table.path, at(&kind, row))?,
        };
        *folds.coverage.entry(key).or_default() += at(&count, row);
    }
    Ok(())
}
