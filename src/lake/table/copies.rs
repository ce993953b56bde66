//! Copies of cross-account calls, from segments: which call each is a copy of, and in whose logs it stands.

use std::fs::File;
use std::path::Path;

use hashbrown::HashMap;
use polars::prelude::{ParquetReader, SerReader};

use super::events::{category, outcome, variants};
use super::{LakeError, Table, at, failed, from_json};
use crate::lake::normalise::several;
use crate::model::event::EventCategory;
use crate::model::time::{Day, Timestamp};
use crate::usage::block::{UsageBlock, UsageCall, UsageCell};
use crate::usage::fold::{SessionId, UsageFact};
use crate::usage::sessions::Sessions;

/// Tells a `sharedEventID` from others: a part of its hash.
pub(crate) type SharedId = [u8; 16];

/// The copies in a segment.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Of those in the caller's own account, their shared ids.
    pub own: Vec<SharedId>,
    /// The others.
    pub foreign: Vec<Foreign>,
}

/// A copy in another account than the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Foreign {
    /// Which call it is a copy of.
    pub id: SharedId,
    /// What passed an endpoint, which shows less than any other copy.
    pub passing: bool,
    /// The account in whose logs it stands: of several copies that of the first counts, whatever order they came in.
    pub account: u64,
    /// The row.
    pub row: u32,
}

/// Reads some columns without reading the file whole: of a segment's text only a little is asked for.
fn columns<'p>(path: &'p Path, names: &[&str]) -> Result<Table<'p>, LakeError> {
    let file = File::open(path).map_err(|e| LakeError::io("read", path, e))?;
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    match ParquetReader::new(file).with_columns(Some(names)).finish() {
        Ok(frame) => Ok(Table { frame, path }),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Reads which copies a segment holds; those of callers without an account are the only ones of their call.
pub(crate) fn read_copies(path: &Path, sessions: &Sessions) -> Result<Copies, LakeError> {
    let ids = columns(path, &["shared_id"])?;
    let ids = ids.text("shared_id")?;
    let mut found = Copies::default();
    if ids.iter().all(|id| id.is_empty()) {
        return Ok(found);
    }
    let table = columns(path, &["account", "category", "session"])?;
    let (accounts, kinds, keys) = (table.text("account")?, table.text("category")?, table.key("session")?);
    for (row, id) in (0u32..).zip(&ids).filter(|(_, id)| !id.is_empty()) {
        let (account, id) = (at(&accounts, row as usize), hashed(id));
        let passing = category(path, at(&kinds, row as usize))? == EventCategory::NetworkActivity;
        let caller = sessions.get(SessionId(at(&keys, row as usize))).map_or("", |(_, identity)| &identity.account);
        if !caller.is_empty() && caller != account {
            found.foreign.push(Foreign { id, passing, account: account.parse().unwrap_or(0), row });
        } else if !passing {
            found.own.push(id);
        }
    }
    Ok(found)
}

fn hashed(text: &str) -> SharedId {
    blake3::hash(text.as_bytes()).as_bytes().first_chunk::<16>().copied().unwrap_or_default()
}

/// Reads rows of a segment as rows of usage that count; those of other days are left out.
pub(crate) fn read_calls(path: &Path, rows: &[u32], inside: &impl Fn(Day) -> bool) -> Result<UsageBlock, LakeError> {
    let table = columns(
        path,
        &[
            "time",
            "source",
            "name",
            "version_id",
            "tags",
            "roles",
            "refused",
            "category",
            "parent_resource",
            "resources",
            "outcome",
            "account",
            "region",
            "session",
        ],
    )?;
    let text = |name: &str| table.text(name);
    let (time, session) = (table.time("time")?, table.key("session")?);
    let (source, name, resource) = (text("source")?, text("name")?, text("parent_resource")?);
    let targets = text("resources")?;
    let (kind, result) = (text("category")?, text("outcome")?);
    let (account, region, variants) = (text("account")?, text("region")?, variants(&table)?);
    let mut block = UsageBlock::default();
    let mut cells: HashMap<(u32, u32, [u32; 3], Day), UsageFact> = HashMap::new();
    for row in rows.iter().map(|row| *row as usize) {
        let time: Timestamp = at(&time, row);
        if !inside(time.day()) {
            continue;
        }
        let call = block.call(UsageCall {
            source: at(&source, row).to_owned(),
            name: at(&name, row).to_owned(),
            variant: variants.get(row).cloned().unwrap_or_default(),
            category: category(path, at(&kind, row))?,
            outcome: outcome(path, at(&result, row))?,
        });
        let session = block.session(SessionId(at(&session, row)));
        let [resource, account, region] = [&resource, &account, &region].map(|column| block.text(at(column, row)));
        let cell = cells.entry((session, call, [resource, account, region], time.day()));
        let named: Vec<[String; 3]> = from_json(path, at(&targets, row))?;
        let several = several(named.iter().map(|[arn, kind, _]| (arn.as_str(), kind.as_str())));
        cell.and_modify(|fact| fact.add(time, several)).or_insert_with(|| UsageFact::of_several(time, several));
    }
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_unstable_by_key(|(cell, _)| *cell);
    for ((session, call, [resource, account, region], day), fact) in cells {
        block.put(UsageCell { session, call, resource, account, region, day, shared: false, fact });
    }
    Ok(block)
}
