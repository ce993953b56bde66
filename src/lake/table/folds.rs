//! Folds as Parquet. Columns: `lake::schema`.

use std::path::Path;

use polars::prelude::PolarsResult;

use super::events::{category, identities, outcome, put_identities, put_variants, variants};
use super::{Columns, Table, at, failed, from_json, json};
use crate::lake::error::LakeError;
use crate::lake::fold::merge;
use crate::lake::schema::PartKind;
use crate::model::time::{Day, MICROS_PER_HOUR, Timestamp};
use crate::usage::fold::{
    CoverageKey, Folds, IssuedCredential, SessionId, ShapeFact, ShapeKey, Slots, TrailCall, UsageFact, UsageKey,
};

/// One kind of the folds as a Parquet file, in key order; its rows are counted by the caller.
pub(crate) fn fold_bytes(kind: PartKind, folds: &Folds, path: &Path) -> Result<Vec<u8>, LakeError> {
    match kind {
        PartKind::Usage => usage(folds),
        PartKind::Shapes => shapes(folds),
        PartKind::Sessions => sessions(folds),
        PartKind::Issued => issued(folds),
        PartKind::Coverage => coverage(folds),
        PartKind::TrailCalls => trail_calls(folds),
        PartKind::Events => Columns::default().into_parquet(0),
    }
    .map_err(|e| failed(path, &e))
}

fn usage(folds: &Folds) -> PolarsResult<Vec<u8>> {
    let keys = || folds.usage.keys();
    let facts = || folds.usage.values();
    let mut days = std::collections::BTreeMap::new();
    for key in keys() {
        days.entry(key.day).or_insert_with(|| key.day.to_string());
    }
    let mut columns = Columns::default();
    columns.key("session", keys().map(|k| k.session.0));
    columns.text("source", keys().map(|k| k.source.as_str()));
    columns.text("name", keys().map(|k| k.name.as_str()));
    put_variants(&mut columns, keys().map(|k| &k.variant));
    columns.text("category", keys().map(|k| k.category.as_str()));
    columns.text("resource", keys().map(|k| k.resource.as_str()));
    columns.text("outcome", keys().map(|k| k.outcome.as_str()));
    columns.text("account", keys().map(|k| k.account.as_str()));
    columns.text("region", keys().map(|k| k.region.as_str()));
    columns.text("day", keys().map(|k| days.get(&k.day).map(String::as_str).unwrap_or_default()));
    columns.flag("shared", keys().map(|k| k.shared));
    columns.count("count", facts().map(|f| f.count));
    columns.time("first", facts().map(|f| f.first))?;
    columns.time("last", facts().map(|f| f.last))?;
    columns.bytes("slots", facts().map(|f| f.slots.to_bytes().to_vec()));
    columns.into_parquet(folds.usage.len())
}

fn shapes(folds: &Folds) -> PolarsResult<Vec<u8>> {
    let keys = || folds.shapes.keys();
    let facts = || folds.shapes.values();
    let mut columns = Columns::default();
    columns.key("session", keys().map(|k| k.session.0));
    columns.text("source", keys().map(|k| k.source.as_str()));
    columns.text("name", keys().map(|k| k.name.as_str()));
    put_variants(&mut columns, keys().map(|k| &k.variant));
    columns.texts("resources", keys().map(|k| json(&k.resources)));
    columns.text("outcome", keys().map(|k| k.outcome.as_str()));
    columns.text("account", keys().map(|k| k.account.as_str()));
    columns.text("region", keys().map(|k| k.region.as_str()));
    columns.texts("context", keys().map(|k| json(&k.context)));
    columns.flag("shared", keys().map(|k| k.shared));
    columns.flag("inexact", keys().map(|k| k.inexact));
    columns.count("count", facts().map(|f| f.count));
    columns.time("first", facts().map(|f| f.first))?;
    columns.time("last", facts().map(|f| f.last))?;
    columns.text("example", facts().map(|f| f.example.as_str()));
    columns.time("example_time", facts().map(|f| f.example_time))?;
    columns.into_parquet(folds.shapes.len())
}

fn sessions(folds: &Folds) -> PolarsResult<Vec<u8>> {
    let mut columns = Columns::default();
    columns.key("session", folds.sessions.keys().map(|id| id.0));
    put_identities(&mut columns, folds.sessions.values());
    columns.into_parquet(folds.sessions.len())
}

fn issued(folds: &Folds) -> PolarsResult<Vec<u8>> {
    let all = || folds.issued.iter();
    let mut columns = Columns::default();
    columns.text("access_key", all().map(|i| i.access_key.as_str()));
    columns.text("session_principal_id", all().map(|i| i.session_principal_id.as_str()));
    columns.text("role_arn", all().map(|i| i.role_arn.as_str()));
    columns.key("session", all().map(|i| i.by.0));
    columns.time("time", all().map(|i| i.time))?;
    columns.text("event_id", all().map(|i| i.event_id.as_str()));
    columns.into_parquet(folds.issued.len())
}

fn trail_calls(folds: &Folds) -> PolarsResult<Vec<u8>> {
    let all = || folds.trail_calls.iter();
    let mut columns = Columns::default();
    columns.time("time", all().map(|c| c.time))?;
    columns.text("account", all().map(|c| c.account.as_str()));
    columns.text("region", all().map(|c| c.region.as_str()));
    columns.text("name", all().map(|c| c.name.as_str()));
    columns.text("outcome", all().map(|c| c.outcome.as_str()));
    columns.text("request", all().map(|c| c.request.as_str()));
    columns.text("response", all().map(|c| c.response.as_str()));
    columns.text("event_id", all().map(|c| c.event_id.as_str()));
    columns.into_parquet(folds.trail_calls.len())
}

fn coverage(folds: &Folds) -> PolarsResult<Vec<u8>> {
    let keys = || folds.coverage.keys();
    let mut columns = Columns::default();
    columns.text("account", keys().map(|k| k.account.as_str()));
    columns.text("region", keys().map(|k| k.region.as_str()));
    columns.time("hour", keys().map(|k| Timestamp::from_micros(i64::from(k.hour) * MICROS_PER_HOUR)))?;
    columns.text("category", keys().map(|k| k.category.as_str()));
    columns.count("count", folds.coverage.values().copied());
    columns.into_parquet(folds.coverage.len())
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
    let (shared, count, slots) = (table.flag("shared")?, table.count("count")?, table.bytes("slots")?);
    let (first, last) = (table.time("first")?, table.time("last")?);
    let mut known_days = std::collections::BTreeMap::new();
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
        let slots = Slots::from_bytes(at(&slots, row))
            .ok_or_else(|| LakeError::Damaged { path: path.to_owned(), reason: "slots are not 40 bytes".to_owned() })?;
        let fact = UsageFact { count: at(&count, row), first: at(&first, row), last: at(&last, row), slots };
        folds.usage.insert(key, fact);
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
        folds.shapes.insert(key, fact);
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
        folds.coverage.insert(key, at(&count, row));
    }
    Ok(())
}
