//! Events as Parquet. Columns: `lake::schema`.

use std::collections::BTreeMap;
use std::path::Path;

use hashbrown::HashMap;

use super::{Columns, ParquetBytes, ROW_GROUP_ROWS, Table, at, failed, from_json};
use crate::lake::chunk::{Chunk, Row, Span};
use crate::lake::content::Content;
use crate::lake::error::LakeError;
use crate::lake::symbols::Sym;
use crate::model::event::{CallVariant, Event, EventCategory, EventResource, Identity, Outcome};
use crate::usage::fold::SessionId;
use crate::usage::sessions::Sessions;

/// An event and where its record stands.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// Key of its identity.
    pub session: SessionId,
    /// The file, as an absolute path.
    pub file: std::sync::Arc<str>,
    /// Byte offset of the record within the decompressed file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Hashes of its content: the core, then the whole.
    pub content: [u8; 16],
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The category that [`EventCategory::as_str`] wrote.
pub(super) fn category(path: &Path, text: &str) -> Result<EventCategory, LakeError> {
    EventCategory::ALL
        .into_iter()
        .find(|category| category.as_str() == text)
        .ok_or_else(|| LakeError::Damaged { path: path.to_owned(), reason: format!("unknown category `{text}`") })
}

pub(super) fn outcome(path: &Path, text: &str) -> Result<Outcome, LakeError> {
    Outcome::parse(text)
        .ok_or_else(|| LakeError::Damaged { path: path.to_owned(), reason: format!("unknown outcome `{text}`") })
}

type TextOf<T> = fn(&T) -> &str;

/// The identity's text columns.
const IDENTITY: [(&str, TextOf<Identity>); 13] = [
    ("identity_type", |i| &i.kind),
    ("principal_id", |i| &i.principal_id),
    ("principal_arn", |i| &i.arn),
    ("principal_account", |i| &i.account),
    ("access_key", |i| &i.access_key),
    ("user_name", |i| &i.user_name),
    ("invoked_by", |i| &i.invoked_by),
    ("issuer_type", |i| &i.issuer_kind),
    ("issuer_arn", |i| &i.issuer_arn),
    ("issuer_id", |i| &i.issuer_id),
    ("source_identity", |i| &i.source_identity),
    ("provider", |i| &i.provider),
    ("on_behalf_of", |i| &i.on_behalf_of),
];

pub(super) fn put_identities<'a>(columns: &mut Columns, identities: impl Iterator<Item = &'a Identity> + Clone) {
    for (name, of) in IDENTITY {
        columns.text(name, identities.clone().map(of));
    }
    columns.text("identity_store", identities.clone().map(|i| i.identity_store.as_str()));
    columns.text("created", identities.clone().map(|i| i.created.as_str()));
    columns.optional_flag("mfa", identities.clone().map(|i| i.mfa));
    columns.flag("assumed_root", identities.map(|i| i.assumed_root));
}

pub(super) fn identities(table: &Table<'_>) -> Result<Vec<(SessionId, Identity)>, LakeError> {
    let sessions = sessions(table)?;
    Ok(sessions.ids().into_iter().filter_map(|id| Some((id, sessions.whole(id)?))).collect())
}

/// What sessions have in common: texts, identity store, MFA, and whether root was assumed.
type Alike<'t> = ([&'t str; IDENTITY.len()], &'t str, Option<bool>, bool);

/// The sessions of a table. What rows have in common is made once.
pub(super) fn sessions(table: &Table<'_>) -> Result<Sessions, LakeError> {
    let columns = IDENTITY.iter().map(|(name, _)| table.text(name)).collect::<Result<Vec<_>, _>>()?;
    let (store, created) = (table.text("identity_store")?, table.later_text("created")?);
    let (mfa, assumed_root) = (table.optional_flag("mfa")?, table.flag("assumed_root")?);
    let mut sessions = Sessions::default();
    let mut known: HashMap<Alike<'_>, u32> = HashMap::new();
    for (row, session) in table.key("session")?.into_iter().enumerate() {
        let mut texts: [&str; IDENTITY.len()] =
            std::array::from_fn(|at| columns.get(at).map_or("", |one| super::at(one, row)));
        let [_, _, _, _, access_key, ..] = &mut texts;
        let key = std::mem::take(access_key);
        let whole = (texts, at(&store, row), at(&mfa, row), at(&assumed_root, row));
        let number = *known
            .entry(whole)
            .or_insert_with_key(|(texts, store, mfa, root)| sessions.number(identity_of(texts, store, *mfa, *root)));
        sessions.put(SessionId(session), number, key, at(&created, row));
    }
    Ok(sessions)
}

/// An identity from the texts of [`IDENTITY`] and what else it has.
fn identity_of(texts: &[&str; IDENTITY.len()], store: &str, mfa: Option<bool>, assumed_root: bool) -> Identity {
    let [
        kind,
        principal_id,
        arn,
        account,
        access_key,
        user_name,
        invoked_by,
        issuer_kind,
        issuer_arn,
        issuer_id,
        source_identity,
        provider,
        on_behalf_of,
    ] = texts.map(str::to_owned);
    Identity {
        kind,
        principal_id,
        arn,
        account,
        access_key,
        user_name,
        invoked_by,
        issuer_kind,
        issuer_arn,
        issuer_id,
        source_identity,
        provider,
        mfa,
        created: String::new(),
        on_behalf_of,
        identity_store: store.to_owned(),
        assumed_root,
    }
}

pub(super) fn put_variants(columns: &mut Columns, chunk: &Chunk, variants: impl Iterator<Item = u32> + Clone) {
    let variants = || variants.clone().map(|number| chunk.variant_of(number));
    columns.flag("version_id", variants().map(|v| v.version_id));
    columns.flag("tags", variants().map(|v| v.tags));
    put_symbols(columns, chunk, "roles", variants().map(|v| v.roles));
    put_symbols(columns, chunk, "refused", variants().map(|v| v.refused));
}

/// Texts that are symbols of the chunk.
pub(super) fn put_symbols(
    columns: &mut Columns,
    chunk: &Chunk,
    name: &str,
    symbols: impl Iterator<Item = Sym> + Clone,
) {
    columns.coded(name, chunk.symbols.len(), symbols.map(|sym| sym.0), |number| chunk.sym(Sym(number)));
}

/// Keys of sessions.
pub(super) fn put_sessions(columns: &mut Columns, chunk: &Chunk, sessions: impl Iterator<Item = u32> + Clone) {
    columns.coded_key("session", chunk.sessions(), sessions, |session| chunk.session_id(session).0);
}

pub(super) fn variants(table: &Table<'_>) -> Result<Vec<CallVariant>, LakeError> {
    let (version_id, tags, roles) = (table.flag("version_id")?, table.flag("tags")?, table.text("roles")?);
    let refused = table.text("refused")?;
    (0..table.height())
        .map(|row| {
            let text = at(&roles, row);
            let roles = if text == "[]" { Vec::new() } else { from_json(table.path, text)? };
            Ok(CallVariant {
                version_id: at(&version_id, row),
                tags: at(&tags, row),
                roles,
                refused: at(&refused, row).to_owned(),
            })
        })
        .collect()
}

type SymOf = fn(&Row) -> Sym;

/// The columns whose texts repeat.
const SYMBOLS: [(&str, SymOf); 11] = [
    ("source", |r| r.source),
    ("name", |r| r.name),
    ("region", |r| r.region),
    ("event_type", |r| r.event_type),
    ("error_code", |r| r.error_code),
    ("error_message", |r| r.error_message),
    ("account", |r| r.account),
    ("source_ip", |r| r.source_ip),
    ("user_agent", |r| r.user_agent),
    ("vpc_endpoint", |r| r.endpoint),
    ("tls_version", |r| r.tls),
];

type SpanOf = fn(&Row) -> Span;

/// The columns whose texts do not.
const SPANS: [(&str, SpanOf); 6] = [
    ("shared_id", |r| r.shared),
    ("request_id", |r| r.request_id),
    ("request", |r| r.request),
    ("response", |r| r.response),
    ("additional", |r| r.additional),
    ("service_details", |r| r.details),
];

/// Events of a chunk, in the order given, as a Parquet file.
pub(crate) fn events_bytes(chunk: &Chunk, rows: &[&Row], path: &Path) -> Result<Vec<u8>, LakeError> {
    let mut file = ParquetBytes::new();
    let built = rows.chunks(ROW_GROUP_ROWS).try_for_each(|rows| file.add(event_columns(chunk, rows)));
    built.and_then(|()| file.finish()).map_err(|e| failed(path, &e))
}

fn event_columns(chunk: &Chunk, rows: &[&Row]) -> Columns {
    let rows = || rows.iter().copied();
    let mut columns = Columns::default();
    columns.optional("event_id", rows().map(|r| chunk.text(r.id)));
    columns.time("time", rows().map(|r| r.time));
    for (name, of) in SYMBOLS {
        put_symbols(&mut columns, chunk, name, rows().map(of));
    }
    columns.text("category", rows().map(|r| r.category.as_str()));
    columns.text("outcome", rows().map(|r| r.outcome.as_str()));
    for (name, of) in SPANS {
        columns.plain(name, rows().map(|r| chunk.text(of(r))));
    }
    columns.optional_flag("read_only", rows().map(|r| r.read_only));
    columns.flag("from_console", rows().map(|r| r.console));
    put_sessions(&mut columns, chunk, rows().map(|r| r.session));
    put_variants(&mut columns, chunk, rows().map(|r| r.variant));
    let targets = || rows().map(|r| r.targets);
    let count = chunk.targets.len();
    columns.coded("resource", count, targets(), |t| chunk.text(chunk.targets_of(t).main));
    put_symbols(&mut columns, chunk, "parent_resource", targets().map(|t| chunk.targets_of(t).parent));
    columns.coded("resources", count, targets(), |t| chunk.text(chunk.targets_of(t).list));
    columns.coded("file", chunk.files.len(), rows().map(|r| r.file), |file| chunk.path_of(file));
    columns.count("offset", rows().map(|r| r.offset));
    columns.count("length", rows().map(|r| r.length));
    columns.hash("content_core", rows().map(|r| r.entry.content.core));
    columns.hash("content_whole", rows().map(|r| r.entry.content.whole));
    columns
}

/// Reads a segment back. `sessions` are the identities of the store.
pub(crate) fn read_events(
    path: &Path,
    sessions: &BTreeMap<SessionId, Identity>,
    each: &mut dyn FnMut(EventRow),
) -> Result<(), LakeError> {
    let table = Table::read(path)?;
    let text = |name: &str| table.text(name);
    let (source, name, region, kind) = (text("source")?, text("name")?, text("region")?, text("category")?);
    let (event_type, result) = (text("event_type")?, text("outcome")?);
    let (code, message, account) = (text("error_code")?, text("error_message")?, text("account")?);
    let (shared, request_id, ip) = (text("shared_id")?, text("request_id")?, text("source_ip")?);
    let (agent, endpoint, tls) = (text("user_agent")?, text("vpc_endpoint")?, text("tls_version")?);
    let (request, response, additional) = (text("request")?, text("response")?, text("additional")?);
    let (variants, session) = (variants(&table)?, table.key("session")?);
    let (id, time, details) = (table.optional_text("event_id")?, table.time("time")?, text("service_details")?);
    let (read_only, console) = (table.optional_flag("read_only")?, table.flag("from_console")?);
    let (resources, file) = (text("resources")?, text("file")?);
    let (offset, length) = (table.count("offset")?, table.count("length")?);
    let (core, whole) = (table.key("content_core")?, table.key("content_whole")?);
    for row in 0..table.height() {
        let own = |column: &[&str]| at(column, row).to_owned();
        let list: Vec<[String; 3]> = from_json(path, at(&resources, row))?;
        let session = SessionId(at(&session, row));
        let event = Event {
            id: at(&id, row).map(str::to_owned),
            time: at(&time, row),
            source: own(&source),
            name: own(&name),
            region: own(&region),
            category: category(path, at(&kind, row))?,
            event_type: own(&event_type),
            read_only: at(&read_only, row),
            identity: sessions.get(&session).cloned().unwrap_or_default(),
            variant: at(&variants, row),
            resources: list.into_iter().map(|[arn, kind, account]| EventResource { arn, kind, account }).collect(),
            outcome: outcome(path, at(&result, row))?,
            error_code: own(&code),
            error_message: own(&message),
            recipient_account: own(&account),
            shared_id: own(&shared),
            request_id: own(&request_id),
            source_ip: own(&ip),
            user_agent: own(&agent),
            vpc_endpoint: own(&endpoint),
            tls_version: own(&tls),
            from_console: at(&console, row),
            request: own(&request),
            response: own(&response),
            additional: own(&additional),
            service_details: own(&details),
        };
        let content = Content { core: at(&core, row), whole: at(&whole, row) }.to_bytes();
        let (offset, length) = (at(&offset, row), at(&length, row));
        each(EventRow { session, event, file: at(&file, row).into(), offset, length, content });
    }
    Ok(())
}
