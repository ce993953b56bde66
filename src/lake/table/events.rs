//! Events as Parquet. Columns: `lake::schema`.

use std::path::Path;

use super::{Columns, Table, at, failed, from_json, json};
use crate::lake::error::LakeError;
use crate::lake::normalise::parent;
use crate::model::event::{CallVariant, Event, EventCategory, EventResource, Identity, Outcome};
use crate::usage::fold::SessionId;

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
    /// Hash of its canonical content.
    pub content: [u8; 16],
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut out = [0u8; 16];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(out)
}

/// The category that [`EventCategory::as_str`] wrote.
pub(super) fn category(path: &Path, text: &str) -> Result<EventCategory, LakeError> {
    [EventCategory::Management, EventCategory::Data, EventCategory::NetworkActivity, EventCategory::Insight]
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
    columns.optional_flag("mfa", identities.clone().map(|i| i.mfa));
    columns.flag("assumed_root", identities.map(|i| i.assumed_root));
}

pub(super) fn identities(table: &Table<'_>) -> Result<Vec<Identity>, LakeError> {
    let text = |name: &str| table.text(name);
    let (kind, principal_id, arn, account) =
        (text("identity_type")?, text("principal_id")?, text("principal_arn")?, text("principal_account")?);
    let (access_key, user_name, invoked_by) = (text("access_key")?, text("user_name")?, text("invoked_by")?);
    let (issuer_kind, issuer_arn, issuer_id) = (text("issuer_type")?, text("issuer_arn")?, text("issuer_id")?);
    let (source_identity, provider) = (text("source_identity")?, text("provider")?);
    let (on_behalf_of, identity_store) = (text("on_behalf_of")?, text("identity_store")?);
    let (mfa, assumed_root) = (table.optional_flag("mfa")?, table.flag("assumed_root")?);
    let own = |column: &[&str], row: usize| at(column, row).to_owned();
    Ok((0..table.height())
        .map(|row| Identity {
            kind: own(&kind, row),
            principal_id: own(&principal_id, row),
            arn: own(&arn, row),
            account: own(&account, row),
            access_key: own(&access_key, row),
            user_name: own(&user_name, row),
            invoked_by: own(&invoked_by, row),
            issuer_kind: own(&issuer_kind, row),
            issuer_arn: own(&issuer_arn, row),
            issuer_id: own(&issuer_id, row),
            source_identity: own(&source_identity, row),
            provider: own(&provider, row),
            mfa: at(&mfa, row),
            on_behalf_of: own(&on_behalf_of, row),
            identity_store: own(&identity_store, row),
            assumed_root: at(&assumed_root, row),
        })
        .collect())
}

pub(super) fn put_variants<'a>(columns: &mut Columns, variants: impl Iterator<Item = &'a CallVariant> + Clone) {
    columns.flag("version_id", variants.clone().map(|v| v.version_id));
    columns.flag("tags", variants.clone().map(|v| v.tags));
    columns.texts("roles", variants.clone().map(|v| if v.roles.is_empty() { "[]".to_owned() } else { json(&v.roles) }));
    columns.texts("refused", variants.map(|v| v.refused.clone()));
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

/// The event's plain text columns.
const TEXTS: [(&str, TextOf<Event>); 18] = [
    ("source", |e| &e.source),
    ("name", |e| &e.name),
    ("region", |e| &e.region),
    ("category", |e| e.category.as_str()),
    ("event_type", |e| &e.event_type),
    ("outcome", |e| e.outcome.as_str()),
    ("error_code", |e| &e.error_code),
    ("error_message", |e| &e.error_message),
    ("account", |e| &e.recipient_account),
    ("shared_id", |e| &e.shared_id),
    ("request_id", |e| &e.request_id),
    ("source_ip", |e| &e.source_ip),
    ("user_agent", |e| &e.user_agent),
    ("vpc_endpoint", |e| &e.vpc_endpoint),
    ("tls_version", |e| &e.tls_version),
    ("request", |e| &e.request),
    ("response", |e| &e.response),
    ("additional", |e| &e.additional),
];

/// Events, in the order given, as a Parquet file.
pub(crate) fn events_bytes(rows: &[&EventRow], path: &Path) -> Result<Vec<u8>, LakeError> {
    let events = || rows.iter().map(|row| &row.event);
    let main = |e: &'_ Event| -> String { e.resources.first().map(|r| r.arn.clone()).unwrap_or_default() };
    let mut columns = Columns::default();
    let built = (|| {
        columns.optional_text("event_id", events().map(|e| e.id.as_deref()));
        columns.time("time", events().map(|e| e.time))?;
        for (name, of) in TEXTS {
            columns.text(name, events().map(of));
        }
        columns.text("service_details", events().map(|e| e.service_details.as_str()));
        columns.optional_flag("read_only", events().map(|e| e.read_only));
        columns.flag("from_console", events().map(|e| e.from_console));
        columns.key("session", rows.iter().map(|row| row.session.0));
        put_identities(&mut columns, events().map(|e| &e.identity));
        put_variants(&mut columns, events().map(|e| &e.variant));
        columns.texts("resource", events().map(main));
        columns.texts("parent_resource", events().map(|e| parent(&main(e)).to_owned()));
        columns.texts("resources", events().map(resources_json));
        columns.text("file", rows.iter().map(|row| row.file.as_ref()));
        columns.count("offset", rows.iter().map(|row| row.offset));
        columns.count("length", rows.iter().map(|row| row.length));
        columns.texts("content", rows.iter().map(|row| hex(&row.content)));
        columns.into_parquet(rows.len())
    })();
    built.map_err(|e| failed(path, &e))
}

fn resources_json(event: &Event) -> String {
    if event.resources.is_empty() {
        return "[]".to_owned();
    }
    json(&event.resources.iter().map(|r| [&r.arn, &r.kind, &r.account]).collect::<Vec<_>>())
}

/// Reads a segment back.
pub(crate) fn read_events(path: &Path) -> Result<Vec<EventRow>, LakeError> {
    let table = Table::read(path)?;
    let text = |name: &str| table.text(name);
    let texts: Vec<Vec<&str>> = TEXTS.iter().map(|(name, _)| table.text(name)).collect::<Result<_, _>>()?;
    let nth = |column: usize, row: usize| texts.get(column).map(|c| at(c, row).to_owned()).unwrap_or_default();
    let (identities, variants) = (identities(&table)?, variants(&table)?);
    let (id, time, details) = (table.optional_text("event_id")?, table.time("time")?, text("service_details")?);
    let (read_only, console) = (table.optional_flag("read_only")?, table.flag("from_console")?);
    let (resources, file, content) = (text("resources")?, text("file")?, text("content")?);
    let (offset, length) = (table.count("offset")?, table.count("length")?);
    (0..table.height())
        .map(|row| {
            let list: Vec<[String; 3]> = from_json(path, at(&resources, row))?;
            let event = Event {
                id: at(&id, row).map(str::to_owned),
                time: at(&time, row),
                source: nth(0, row),
                name: nth(1, row),
                region: nth(2, row),
                category: category(path, &nth(3, row))?,
                event_type: nth(4, row),
                read_only: at(&read_only, row),
                identity: at(&identities, row),
                variant: at(&variants, row),
                resources: list.into_iter().map(|[arn, kind, account]| EventResource { arn, kind, account }).collect(),
                outcome: outcome(path, &nth(5, row))?,
                error_code: nth(6, row),
                error_message: nth(7, row),
                recipient_account: nth(8, row),
                shared_id: nth(9, row),
                request_id: nth(10, row),
                source_ip: nth(11, row),
                user_agent: nth(12, row),
                vpc_endpoint: nth(13, row),
                tls_version: nth(14, row),
                from_console: at(&console, row),
                request: nth(15, row),
                response: nth(16, row),
                additional: nth(17, row),
                service_details: at(&details, row).to_owned(),
            };
            let content = unhex(at(&content, row))
                .ok_or_else(|| LakeError::Damaged { path: path.to_owned(), reason: "bad content hash".to_owned() })?;
            Ok(EventRow {
                session: SessionId::of(&event.identity),
                event,
                file: at(&file, row).into(),
                offset: at(&offset, row),
                length: at(&length, row),
                content,
            })
        })
        .collect()
}
