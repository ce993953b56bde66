//! Folds as Parquet. Columns: `lake::schema`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use hashbrown::HashMap;

use super::events::{category, identities, outcome, put_identities, put_sessions, put_symbols, put_variants, variants};
use super::{Columns, ParquetBytes, Table, at, failed, from_json, json};
use crate::lake::chunk::{Chunk, Row};
use crate::lake::error::LakeError;
use crate::lake::fold::{Call, ChunkFolds, Noted, ShapeCell, ShapeSum, merge};
use crate::lake::schema::PartKind;
use crate::lake::symbols::{Sym, Symbols};
use crate::model::event::CallVariant;
use crate::model::text::Text;
use crate::model::time::{Day, MICROS_PER_HOUR, Timestamp};
use crate::usage::block::{UsageBlock, UsageCall, UsageCell};
use crate::usage::fold::{
    CoverageFact, CoverageKey, Folds, IssuedCredential, SessionId, ShapeFact, ShapeKey, Slots, TrailCall, UsageFact,
};
use crate::usage::sessions::Sessions;

/// One kind of a chunk's folds as a Parquet file, and its rows; none where it has none.
pub(crate) fn fold_bytes(
    kind: PartKind,
    chunk: &Chunk,
    folds: &ChunkFolds<'_>,
    noted: &[(&Row, &Noted)],
    path: &Path,
) -> Result<Option<(Vec<u8>, usize)>, LakeError> {
    let mut columns = Columns::default();
    let rows = match kind {
        PartKind::Usage => usage(&mut columns, chunk, folds),
        PartKind::Shapes => shapes(&mut columns, chunk, folds),
        PartKind::Sessions => sessions(&mut columns, chunk, folds),
        PartKind::Coverage => coverage(&mut columns, chunk, folds),
        PartKind::Issued => issued(&mut columns, chunk, noted),
        PartKind::TrailCalls => trail_calls(&mut columns, chunk, noted),
        PartKind::Events => 0,
    };
    if rows == 0 {
        return Ok(None);
    }
    let mut file = ParquetBytes::new();
    let bytes = file.add(columns).and_then(|()| file.finish());
    Ok(Some((bytes.map_err(|e| failed(path, &e))?, rows)))
}

const SLOTS: [&str; 5] = ["slots_0", "slots_1", "slots_2", "slots_3", "slots_4"];

fn usage(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds<'_>) -> usize {
    let cells = || folds.usage.all().iter();
    let calls = || cells().filter_map(|cell| folds.calls.get(cell.call));
    let facts = || folds.usage_facts.iter();
    let mut days = BTreeMap::new();
    for cell in cells() {
        days.entry(cell.day).or_insert_with(|| cell.day.to_string());
    }
    put_sessions(columns, chunk, calls().map(|c| c.session));
    put_symbols(columns, chunk, "source", calls().map(|c| c.source));
    put_symbols(columns, chunk, "name", calls().map(|c| c.name));
    put_variants(columns, chunk, calls().map(|c| c.variant));
    columns.text("category", cells().map(|c| c.category.as_str()));
    put_symbols(columns, chunk, "resource", cells().map(|c| c.resource));
    columns.text("outcome", calls().map(|c| c.outcome.as_str()));
    put_symbols(columns, chunk, "account", calls().map(|c| c.account));
    put_symbols(columns, chunk, "region", calls().map(|c| c.region));
    columns.text("day", cells().map(|c| days.get(&c.day).map(String::as_str).unwrap_or_default()));
    columns.flag("shared", calls().map(|c| c.shared));
    columns.count("count", facts().map(|f| f.count));
    columns.time("first", facts().map(|f| f.first));
    columns.time("last", facts().map(|f| f.last));
    for (word, name) in SLOTS.iter().enumerate() {
        columns.key(name, facts().map(|f| f.slots.words().get(word).copied().unwrap_or_default()));
    }
    columns.count("several", facts().map(|f| f.several));
    folds.usage_facts.len()
}

/// The rows of the shapes: cells of the fold, then what is left of many.
struct Shapes<'f> {
    chunk: &'f Chunk,
    whole: Vec<(&'f Call, &'f ShapeCell, &'f ShapeSum<'f>)>,
    cut: &'f BTreeMap<ShapeKey, ShapeFact>,
}

impl<'f> Shapes<'f> {
    /// A column of texts: of the cells by their number below `count`, of the rest as they are.
    fn put(
        &self,
        columns: &mut Columns,
        name: &str,
        (count, text): (usize, impl Fn(u32) -> &'f str),
        whole: impl Fn(&Call, &ShapeCell) -> u32,
        cut: impl Fn(&ShapeKey) -> Cow<'_, str>,
    ) {
        let mut extra = Symbols::default();
        let rest: Vec<u32> = self.cut.keys().map(|key| count as u32 + extra.intern(&cut(key)).0).collect();
        let numbers = self.whole.iter().map(|(call, cell, _)| whole(call, cell)).chain(rest.iter().copied());
        columns.coded(name, count + extra.len(), numbers, |number| match number.checked_sub(count as u32) {
            Some(number) => extra.text(number),
            None => text(number),
        });
    }

    /// A column of texts that are symbols of the chunk.
    fn symbols(
        &self,
        columns: &mut Columns,
        name: &str,
        whole: impl Fn(&Call) -> Sym,
        cut: impl Fn(&ShapeKey) -> Cow<'_, str>,
    ) {
        let chunk = self.chunk;
        let text = |number| chunk.sym(Sym(number));
        self.put(columns, name, (chunk.symbols.len(), text), |call, _| whole(call).0, cut);
    }

    fn flag(&self, columns: &mut Columns, name: &str, whole: impl Fn(&Call) -> bool, cut: impl Fn(&ShapeKey) -> bool) {
        columns.flag(name, self.whole.iter().map(|(call, ..)| whole(call)).chain(self.cut.keys().map(cut)));
    }

    fn time(
        &self,
        columns: &mut Columns,
        name: &str,
        whole: impl Fn(&ShapeSum<'_>) -> Timestamp,
        cut: impl Fn(&ShapeFact) -> Timestamp,
    ) {
        columns.time(name, self.whole.iter().map(|(.., sum)| whole(sum)).chain(self.cut.values().map(cut)));
    }
}

fn shapes(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds<'_>) -> usize {
    let cells = folds.shapes.all().iter().zip(&folds.shape_facts);
    let whole = cells.filter_map(|(cell, sum)| {
        let call = folds.calls.get(cell.call).filter(|_| !folds.cut_calls.contains(&cell.call))?;
        Some((call, cell, sum))
    });
    let shapes = Shapes { chunk, whole: whole.collect(), cut: &folds.cut };
    let Shapes { whole, cut, .. } = &shapes;
    let variant = |call: &Call| chunk.variant_of(call.variant);
    let sessions = whole.iter().map(|(call, ..)| call.session).chain(chunk.sessions() as u32..).take(shapes.rows());
    let cut_sessions: Vec<u64> = cut.keys().map(|key| key.session.0).collect();
    columns.coded_key("session", chunk.sessions() + cut.len(), sessions, |session| {
        let past = (session as usize).checked_sub(chunk.sessions());
        past.and_then(|at| cut_sessions.get(at)).copied().unwrap_or_else(|| chunk.session_id(session).0)
    });
    shapes.symbols(columns, "source", |c| c.source, |k| k.source.as_str().into());
    shapes.symbols(columns, "name", |c| c.name, |k| k.name.as_str().into());
    shapes.flag(columns, "version_id", |c| variant(c).version_id, |k| k.variant.version_id);
    shapes.flag(columns, "tags", |c| variant(c).tags, |k| k.variant.tags);
    shapes.symbols(columns, "roles", |c| variant(c).roles, |k| json(&k.variant.roles).into());
    shapes.symbols(columns, "refused", |c| variant(c).refused, |k| k.variant.refused.as_str().into());
    let arns = |number| chunk.text(chunk.targets_of(number).arns);
    shapes.put(columns, "resources", (chunk.targets.len(), arns), |_, s| s.targets, |k| json(&k.resources).into());
    columns.text(
        "outcome",
        whole.iter().map(|(call, ..)| call.outcome.as_str()).chain(cut.keys().map(|k| k.outcome.as_str())),
    );
    shapes.symbols(columns, "account", |c| c.account, |k| k.account.as_str().into());
    shapes.symbols(columns, "region", |c| c.region, |k| k.region.as_str().into());
    let lists = &folds.context_lists;
    let context = |number| lists.text(number);
    shapes.put(columns, "context", (lists.len(), context), |_, s| s.context.0, |k| json(&k.context).into());
    shapes.flag(columns, "shared", |c| c.shared, |k| k.shared);
    shapes.flag(columns, "inexact", |_| false, |k| k.inexact);
    columns.count("count", whole.iter().map(|(.., sum)| sum.count).chain(cut.values().map(|fact| fact.count)));
    shapes.time(columns, "first", |sum| sum.example.time, |fact| fact.first);
    shapes.time(columns, "last", |sum| sum.last, |fact| fact.last);
    let examples: Vec<Cow<'_, str>> = whole
        .iter()
        .map(|(.., sum)| chunk.example(sum.example))
        .chain(cut.values().map(|fact| fact.example.as_str().into()))
        .collect();
    columns.plain("example", examples.iter().map(AsRef::as_ref));
    shapes.time(columns, "example_time", |sum| sum.example.time, |fact| fact.example_time);
    shapes.rows()
}

impl Shapes<'_> {
    fn rows(&self) -> usize {
        self.whole.len() + self.cut.len()
    }
}

fn sessions(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds<'_>) -> usize {
    let all = || folds.sessions.iter().filter_map(|session| chunk.identity(*session));
    columns.key("session", all().map(|(id, _)| id.0));
    put_identities(columns, all().map(|(_, identity)| identity));
    all().count()
}

fn issued(columns: &mut Columns, chunk: &Chunk, noted: &[(&Row, &Noted)]) -> usize {
    let all = || {
        noted.iter().filter_map(|(row, noted)| match noted {
            Noted::Issued { access_key, session_principal_id, role_arn } => {
                Some((*row, access_key, session_principal_id, role_arn))
            }
            Noted::Trail { .. } => None,
        })
    };
    columns.plain("access_key", all().map(|(_, key, _, _)| key.as_str()));
    columns.plain("session_principal_id", all().map(|(_, _, principal, _)| principal.as_str()));
    columns.text("role_arn", all().map(|(_, _, _, role)| role.as_str()));
    put_sessions(columns, chunk, all().map(|(row, _, _, _)| row.session));
    columns.time("time", all().map(|(row, _, _, _)| row.time));
    let examples: Vec<Cow<'_, str>> = all().map(|(row, _, _, _)| chunk.example(row)).collect();
    columns.plain("event_id", examples.iter().map(AsRef::as_ref));
    examples.len()
}

fn trail_calls(columns: &mut Columns, chunk: &Chunk, noted: &[(&Row, &Noted)]) -> usize {
    let all = || {
        noted.iter().filter_map(|(row, noted)| match noted {
            Noted::Trail { request, response } => Some((*row, request, response)),
            Noted::Issued { .. } => None,
        })
    };
    columns.time("time", all().map(|(row, _, _)| row.time));
    put_symbols(columns, chunk, "account", all().map(|(row, _, _)| row.account));
    put_symbols(columns, chunk, "region", all().map(|(row, _, _)| row.region));
    put_symbols(columns, chunk, "name", all().map(|(row, _, _)| row.name));
    columns.text("outcome", all().map(|(row, _, _)| row.outcome.as_str()));
    put_symbols(columns, chunk, "error_code", all().map(|(row, _, _)| row.error_code));
    columns.plain("request", all().map(|(_, request, _)| request.as_str()));
    columns.plain("response", all().map(|(_, _, response)| response.as_str()));
    let examples: Vec<Cow<'_, str>> = all().map(|(row, _, _)| chunk.example(row)).collect();
    columns.plain("event_id", examples.iter().map(AsRef::as_ref));
    examples.len()
}

fn coverage(columns: &mut Columns, chunk: &Chunk, folds: &ChunkFolds<'_>) -> usize {
    let keys = || folds.coverage.keys();
    put_symbols(columns, chunk, "account", keys().map(|(account, ..)| *account));
    put_symbols(columns, chunk, "region", keys().map(|(_, region, ..)| *region));
    let hour = |hour: i32| Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR);
    columns.time("hour", keys().map(|(_, _, at, _)| hour(*at)));
    columns.text("category", keys().map(|(.., category)| category.as_str()));
    columns.count("count", folds.coverage.values().map(|fact| fact.count));
    columns.count("whole", folds.coverage.values().map(|fact| fact.whole));
    folds.coverage.len()
}

/// Which distinct calls to read: by source, name and variant.
pub type CallFilter<'f> = &'f (dyn Fn(&str, &str, &CallVariant) -> bool + Sync);

/// Whose calls to read.
pub type SessionFilter<'f> = &'f (dyn Fn(SessionId) -> bool + Sync);

/// Reads one file of distinct calls and merges those that are wanted into `folds`.
pub(crate) fn read_shapes_of(
    path: &Path,
    (whose, wanted): (SessionFilter<'_>, CallFilter<'_>),
    folds: &mut Folds,
) -> Result<(), LakeError> {
    // The sessions alone tell whether there is anything to read.
    if !Table::read_columns(path, &["session"])?.key("session")?.into_iter().any(|session| whose(SessionId(session))) {
        return Ok(());
    }
    read_shapes(&Table::read(path)?, (whose, wanted), folds)
}

/// Reads one file of a kind and merges it into `folds`.
pub(crate) fn read_fold(kind: PartKind, path: &Path, folds: &mut Folds) -> Result<(), LakeError> {
    let table = Table::read(path)?;
    let mut more = Folds::default();
    match kind {
        PartKind::Usage => {
            for row in usage_block(&table, &|_| true)?.rows() {
                more.usage.entry(row.to_key()).and_modify(|known| known.merge(&row.fact)).or_insert(row.fact);
            }
        }
        PartKind::Shapes => read_shapes(&table, (&|_| true, &|_, _, _| true), &mut more)?,
        PartKind::Sessions => {
            more.sessions = identities(&table)?.into_iter().collect();
        }
        PartKind::Issued => more.issued = issued_of(&table)?.into_iter().collect(),
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

/// The rows of one file of usage whose days are wanted.
pub(crate) fn read_usage(path: &Path, inside: &(dyn Fn(Day) -> bool + Sync)) -> Result<UsageBlock, LakeError> {
    usage_block(&Table::read(path)?, inside)
}

/// Widens the spans of sessions by the rows of one file of usage whose days lie in the window.
pub(crate) fn widen_spans(
    path: &Path,
    inside: &(dyn Fn(Day) -> bool + Sync),
    spans: &mut BTreeMap<SessionId, (Timestamp, Timestamp)>,
) -> Result<(), LakeError> {
    let table = Table::read_columns(path, &["session", "day", "first", "last"])?;
    let (session, days) = (table.key("session")?, table.text("day")?);
    let (first, last) = (table.time("first")?, table.time("last")?);
    let mut known_days = BTreeMap::new();
    for (row, session) in session.into_iter().enumerate() {
        if !inside(known_day(path, at(&days, row), &mut known_days)?) {
            continue;
        }
        let (first, last) = (at(&first, row), at(&last, row));
        let span = spans.entry(SessionId(session)).or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }
    Ok(())
}

fn known_day<'t>(path: &Path, text: &'t str, known: &mut BTreeMap<&'t str, Day>) -> Result<Day, LakeError> {
    match known.get(text) {
        Some(day) => Ok(*day),
        None => Ok(*known.entry(text).or_insert(day(path, text)?)),
    }
}

/// What tells calls apart, as numbers: of source, name, category, outcome, roles and refused action, and the two flags.
type CallCode = ([u32; 6], bool, bool);

fn usage_block(table: &Table<'_>, inside: &(dyn Fn(Day) -> bool + Sync)) -> Result<UsageBlock, LakeError> {
    let path = table.path;
    let days = table.coded("day")?;
    let known = days.texts.iter().map(|text| day(path, text)).collect::<Result<Vec<Day>, _>>()?;
    let (session, source, name) = (table.key("session")?, table.coded("source")?, table.coded("name")?);
    let (kind, result) = (table.coded("category")?, table.coded("outcome")?);
    let (roles, refused) = (table.coded("roles")?, table.coded("refused")?);
    let (version_id, tags) = (table.flag("version_id")?, table.flag("tags")?);
    let (resource, account, region) = (table.coded("resource")?, table.coded("account")?, table.coded("region")?);
    let (shared, count) = (table.flag("shared")?, table.count("count")?);
    let slots = SLOTS.iter().map(|name| table.key(name)).collect::<Result<Vec<_>, _>>()?;
    let (first, last) = (table.time("first")?, table.time("last")?);
    let several = table.later_count("several")?;
    let mut block = UsageBlock::default();
    let [resources, accounts, regions] = [&resource, &account, &region]
        .map(|column| column.texts.iter().map(|text| block.text(text)).collect::<Vec<u32>>());
    let mut calls: HashMap<CallCode, u32> = HashMap::new();
    for row in 0..table.height() {
        let day = at(&known, days.at(row) as usize);
        if !inside(day) {
            continue;
        }
        let columns = [&source, &name, &kind, &result, &roles, &refused];
        let code = (columns.map(|column| column.at(row)), at(&version_id, row), at(&tags, row));
        let call = match calls.get(&code) {
            Some(call) => *call,
            None => {
                let [source, name, kind, result, roles, refused] = columns.map(|column| column.text(row));
                let roles = if roles == "[]" { Vec::new() } else { from_json(path, roles)? };
                let refused = refused.to_owned();
                let variant = CallVariant { version_id: at(&version_id, row), tags: at(&tags, row), roles, refused };
                let (category, outcome) = (category(path, kind)?, outcome(path, result)?);
                let (source, name) = (source.to_owned(), name.to_owned());
                let call = block.call(UsageCall { source, name, variant, category, outcome });
                calls.insert(code, call);
                call
            }
        };
        let mut words = slots.iter().map(|column| at(column, row));
        let slots = Slots::from_words(std::array::from_fn(|_| words.next().unwrap_or_default()));
        let (count, several) = (at(&count, row), at(&several, row));
        let fact = UsageFact { count, first: at(&first, row), last: at(&last, row), slots, several };
        let session = block.session(SessionId(at(&session, row)));
        let [resource, account, region] = [(&resource, &resources), (&account, &accounts), (&region, &regions)]
            .map(|(column, numbers)| at(numbers, column.at(row) as usize));
        block.put(UsageCell { session, call, resource, account, region, day, shared: at(&shared, row), fact });
    }
    Ok(block)
}

fn read_shapes(
    table: &Table<'_>,
    (whose, wanted): (SessionFilter<'_>, CallFilter<'_>),
    folds: &mut Folds,
) -> Result<(), LakeError> {
    let path = table.path;
    let (session, variants) = (table.key("session")?, variants(table)?);
    let (source, name) = (table.text("source")?, table.text("name")?);
    let (resources, result, context) = (table.text("resources")?, table.text("outcome")?, table.text("context")?);
    let (account, region) = (table.text("account")?, table.text("region")?);
    let (shared, inexact, count) = (table.flag("shared")?, table.flag("inexact")?, table.count("count")?);
    let (first, last) = (table.time("first")?, table.time("last")?);
    let (example, example_time) = (table.text("example")?, table.time("example_time")?);
    // Asked once for every call, not once a row.
    let mut asked: HashMap<(&str, &str, &CallVariant), bool> = HashMap::new();
    for (row, variant) in variants.iter().enumerate() {
        if !whose(SessionId(at(&session, row))) {
            continue;
        }
        let call = (at(&source, row), at(&name, row), variant);
        if !*asked.entry(call).or_insert_with_key(|(source, name, variant)| wanted(source, name, variant)) {
            continue;
        }
        let variant = variant.clone();
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

/// The sessions of a file.
pub(crate) fn read_sessions(path: &Path) -> Result<Sessions, LakeError> {
    super::events::sessions(&Table::read(path)?)
}

/// The credentials that the calls of a file handed out.
pub(crate) fn read_issued(path: &Path) -> Result<Vec<IssuedCredential>, LakeError> {
    issued_of(&Table::read(path)?)
}

fn issued_of(table: &Table<'_>) -> Result<Vec<IssuedCredential>, LakeError> {
    let (key, principal) = (table.text("access_key")?, table.text("session_principal_id")?);
    let (role, by) = (table.text("role_arn")?, table.key("session")?);
    let (time, event) = (table.time("time")?, table.text("event_id")?);
    // Roles and sessions repeat.
    let mut known: HashMap<&str, Text> = HashMap::new();
    let mut found = Vec::with_capacity(table.height());
    for row in 0..table.height() {
        found.push(IssuedCredential {
            access_key: at(&key, row).into(),
            session_principal_id: known.entry(at(&principal, row)).or_insert_with_key(|one| (*one).into()).clone(),
            role_arn: known.entry(at(&role, row)).or_insert_with_key(|one| (*one).into()).clone(),
            by: SessionId(at(&by, row)),
            time: at(&time, row),
            event_id: at(&event, row).into(),
        });
    }
    Ok(found)
}

fn read_trail_calls(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let (time, account, region) = (table.time("time")?, table.text("account")?, table.text("region")?);
    let (name, result, event) = (table.text("name")?, table.text("outcome")?, table.text("event_id")?);
    let (request, response, error_code) =
        (table.text("request")?, table.text("response")?, table.later_text("error_code")?);
    for row in 0..table.height() {
        folds.trail_calls.insert(TrailCall {
            time: at(&time, row),
            account: at(&account, row).to_owned(),
            region: at(&region, row).to_owned(),
            name: at(&name, row).to_owned(),
            outcome: outcome(table.path, at(&result, row))?,
            error_code: at(&error_code, row).to_owned(),
            request: at(&request, row).to_owned(),
            response: at(&response, row).to_owned(),
            event_id: at(&event, row).to_owned(),
        });
    }
    Ok(())
}

fn read_coverage(table: &Table<'_>, folds: &mut Folds) -> Result<(), LakeError> {
    let (account, region, kind) = (table.text("account")?, table.text("region")?, table.text("category")?);
    let (hour, count, whole) = (table.time("hour")?, table.count("count")?, table.count("whole")?);
    for row in 0..table.height() {
        let key = CoverageKey {
            account: at(&account, row).to_owned(),
            region: at(&region, row).to_owned(),
            hour: at(&hour, row).hour(),
            category: category(table.path, at(&kind, row))?,
        };
        let fact = CoverageFact { count: at(&count, row), whole: at(&whole, row) };
        folds.coverage.entry(key).or_default().merge(&fact);
    }
    Ok(())
}
