//! Events on their way into the store: rows of numbers over tables of texts, filled record by record from borrowed
//! text, so that an event costs no allocation of its own.

mod add;
mod empty;
mod restore;

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::content::{Content, Hasher};
use super::fold::Noted;
use super::ids::Entry;
use super::json::{Tape, Value};
use super::normalise::{self, Field, Named, Record, parent, several};
use super::source::find::Found;
use super::source::layout::path_text;
use super::source::read::{Bad, FileEnd};
use super::symbols::{Numbered, Sym, Symbols};
use super::writer::Counts;
use crate::model::event::{EventCategory, Identity, Outcome};
use crate::model::time::Timestamp;
use crate::usage::fold::SessionId;
use add::{Effect, Known};

/// Bytes that a chunk holds at most, whatever limit a caller sets: places within its texts have 32 bits. Far above it
/// stands what one record can add.
pub(crate) const MAX_CHUNK_BYTES: usize = 1 << 30;
/// Bytes of a record, at most, for each that it adds to the texts of a chunk: lists of its resources, written as JSON.
const RECORD_FACTOR: usize = 16;
/// Bytes of the reason for which a record was set aside that are kept: it may quote the record.
const MAX_REASON: usize = 512;
/// What an identity takes beside its text, roughly: its fields, and its places in tables.
const IDENTITY_BYTES: usize = size_of::<(SessionId, Identity)>() + 64;

/// A stretch of a chunk's long texts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    at: u32,
    len: u32,
}

/// What tells calls apart, as texts of the chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub version_id: bool,
    pub tags: bool,
    /// JSON list of [path, value].
    pub roles: Sym,
    pub refused: Sym,
}

/// The resources of an event, as texts of the chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Targets {
    /// JSON list of [arn, kind, account], the main one first.
    pub list: Span,
    /// JSON list of ARNs, sorted.
    pub arns: Span,
    pub main: Span,
    /// What the main one lies in.
    pub parent: Sym,
    /// Whether there are others of its kind, in something else.
    pub several: bool,
}

/// An event. Texts that repeat are symbols, those that do not are spans.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub time: Timestamp,
    pub entry: Entry,
    pub id: Span,
    /// Index of its identity.
    pub session: u32,
    pub source: Sym,
    pub name: Sym,
    pub region: Sym,
    pub account: Sym,
    pub event_type: Sym,
    pub error_code: Sym,
    pub error_message: Sym,
    pub source_ip: Sym,
    pub user_agent: Sym,
    pub endpoint: Sym,
    pub tls: Sym,
    pub variant: u32,
    pub targets: u32,
    pub category: EventCategory,
    pub outcome: Outcome,
    pub read_only: Option<bool>,
    pub console: bool,
    pub shared: Span,
    pub request_id: Span,
    pub request: Span,
    pub response: Span,
    pub additional: Span,
    pub details: Span,
    /// Index of its file.
    pub file: u32,
    pub offset: u64,
    pub length: u64,
}

/// What is known of how a file came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody asked for some events: what was left out is not known.
    #[default]
    Export,
    /// The same, and the user says that nothing was left out.
    Declared,
    /// It holds all that was delivered: a trail's file, a digest, a file of Security Lake.
    Whole,
}

impl Origin {
    /// Stable text used in the manifest.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Declared => "declared",
            Self::Whole => "whole",
        }
    }
}

/// A file, or a part of a large one, of which a chunk holds the events.
#[derive(Debug)]
pub(crate) struct ChunkFile {
    pub found: Found,
    pub path: String,
    /// Number of the job that it belongs to, for whoever began it.
    pub job: usize,
    /// None while more of the file is to come: its events are committed, the file is not yet ticked off.
    pub end: Option<FileEnd>,
    pub bad: Vec<Bad>,
    pub origin: Origin,
    /// Counts of the parts committed before.
    pub before: Counts,
    /// No part of this file was committed in this run.
    pub fresh: bool,
}

/// The identities of a chunk. All records of a session carry the same text, so it is read once.
#[derive(Debug, Default)]
struct Identities {
    /// Texts seen, and where each begins and ends, its session and its hash.
    raw: String,
    seen: Vec<(Span, u32, u64)>,
    /// Index of the one seen last.
    latest: usize,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    by_id: HashMap<SessionId, u32>,
    list: Vec<(SessionId, Identity)>,
}

impl Identities {
    /// Bytes held, roughly: the text of an identity, and its fields.
    fn bytes(&self) -> usize {
        2 * self.raw.len() + self.seen.len() * 32 + self.list.len() * IDENTITY_BYTES
    }

    /// Takes back all but the first texts and identities.
    fn truncate(&mut self, raw: usize, seen: usize, list: usize) {
        self.raw.truncate(raw);
        self.seen.truncate(seen);
        self.list.truncate(list);
        self.table.retain(|at| (*at as usize) < seen);
        self.by_id.retain(|_, session| (*session as usize) < list);
        self.latest = 0;
    }

    /// The session and the hash of an identity's text.
    fn of(&mut self, value: Option<Value<'_>>, hasher: &mut Hasher) -> Result<(u32, u64), String> {
        let text = value.map(Value::raw).unwrap_or_default();
        let known = self.seen.get(self.latest).filter(|seen| slice(&self.raw, seen.0) == text);
        if let Some(seen) = known {
            return Ok((seen.1, seen.2));
        }
        let hash = self.hasher.hash_one(text);
        let span = |at: u32| self.seen.get(at as usize).map(|seen| slice(&self.raw, seen.0)).unwrap_or_default();
        if let Some(known) = self.table.find(hash, |known| span(*known) == text) {
            self.latest = *known as usize;
            return Ok(self.seen.get(self.latest).map(|seen| (seen.1, seen.2)).unwrap_or_default());
        }
        // The record's own tape may know this text already and hold none of its members.
        let mut tape = Tape::default();
        let value = tape.parse(text.as_bytes(), usize::MAX).is_ok().then(|| tape.root(text));
        let content = value.map_or(Ok(0), |value| hasher.value(value))?;
        let identity = value.map(normalise::identity).unwrap_or_default();
        let id = SessionId::of(&identity);
        let session = *self.by_id.entry(id).or_insert_with(|| {
            self.list.push((id, identity));
            self.list.len() as u32 - 1
        });
        let place = append(&mut self.raw, text);
        self.seen.push((place, session, content));
        let Self { raw, seen, table, hasher, .. } = self;
        let rehash =
            |at: &u32| hasher.hash_one(seen.get(*at as usize).map(|seen| slice(raw, seen.0)).unwrap_or_default());
        table.insert_unique(hash, seen.len() as u32 - 1, rehash);
        Ok((session, content))
    }
}

fn slice(text: &str, span: Span) -> &str {
    text.get(span.at as usize..span.at as usize + span.len as usize).unwrap_or("")
}

fn append(text: &mut String, more: &str) -> Span {
    let at = text.len() as u32;
    text.push_str(more);
    Span { at, len: more.len() as u32 }
}

/// What is appended to a text.
fn written(text: &mut String, write: impl FnOnce(&mut String)) -> Span {
    let at = text.len() as u32;
    write(text);
    Span { at, len: text.len() as u32 - at }
}

/// How much a chunk held when its last file began.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    rows: usize,
    symbols: usize,
    variants: usize,
    targets: usize,
    target_keys: usize,
    texts: usize,
    noted: usize,
    bad_bytes: usize,
    noted_bytes: usize,
    /// Text, texts and identities of sessions.
    identities: (usize, usize, usize),
}

/// Events of some files.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub files: Vec<ChunkFile>,
    pub rows: Vec<Row>,
    pub symbols: Symbols,
    pub variants: Numbered<Variant>,
    pub targets: Vec<Targets>,
    /// What single events say beside their row, by index of the row: credentials handed out, trails changed.
    pub noted: Vec<(u32, Noted)>,
    /// Request and response are left out.
    slim: bool,
    /// The user says that exports are complete.
    declared: bool,
    bad_bytes: usize,
    noted_bytes: usize,
    mark: Mark,
    texts: String,
    target_keys: Symbols,
    identities: Identities,
    hasher: Hasher,
    /// What runs of members bring, by their stamp.
    effects: HashMap<u64, Effect>,
    /// Memory that is used again: hashes of keys.
    others: Vec<u64>,
    scratch: String,
}

impl Chunk {
    /// Notes how the file begun last came to be. `whole`: by its form it holds all that was delivered.
    pub(crate) fn set_origin(&mut self, whole: bool) {
        let origin = match (whole, self.declared) {
            (true, _) => Origin::Whole,
            (false, true) => Origin::Declared,
            (false, false) => Origin::Export,
        };
        if let Some(file) = self.files.last_mut() {
            file.origin = origin;
        }
    }

    /// Whether what a file holds is all of its source.
    pub(crate) fn is_whole(&self, file: u32) -> bool {
        self.files.get(file as usize).is_some_and(|file| file.origin != Origin::Export)
    }

    /// Bytes that the chunk holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len()
            + self.symbols.bytes()
            + self.target_keys.bytes()
            + self.targets.len() * size_of::<Targets>()
            + self.identities.bytes()
            + self.rows.len() * size_of::<Row>()
            + self.bad_bytes
            + self.noted_bytes
    }

    /// Begins a file; what is added belongs to it.
    pub(crate) fn begin(&mut self, found: &Found, job: usize) {
        self.resume(found, job, Counts::default(), true);
    }

    /// Goes on with a file of which parts are committed.
    pub(crate) fn resume(&mut self, found: &Found, job: usize, before: Counts, fresh: bool) {
        let path = path_text(&found.path);
        self.mark = Mark {
            rows: self.rows.len(),
            symbols: self.symbols.len(),
            variants: self.variants.all().len(),
            targets: self.targets.len(),
            target_keys: self.target_keys.len(),
            texts: self.texts.len(),
            noted: self.noted.len(),
            bad_bytes: self.bad_bytes,
            noted_bytes: self.noted_bytes,
            identities: (self.identities.raw.len(), self.identities.seen.len(), self.identities.list.len()),
        };
        self.files.push(ChunkFile {
            found: found.clone(),
            path,
            job,
            end: None,
            bad: Vec::new(),
            origin: Origin::default(),
            before,
            fresh,
        });
    }

    /// Ends the file begun last.
    pub(crate) fn end(&mut self, end: FileEnd) {
        if let Some(file) = self.files.last_mut() {
            file.end = Some(end);
        }
    }

    /// Takes back the file begun last, with all its events and texts.
    pub(crate) fn forget(&mut self) -> Option<ChunkFile> {
        let file = self.files.pop()?;
        let mark = self.mark;
        self.rows.truncate(mark.rows);
        self.symbols.truncate(mark.symbols);
        self.variants.truncate(mark.variants);
        self.targets.truncate(mark.targets);
        self.target_keys.truncate(mark.target_keys);
        self.texts.truncate(mark.texts);
        self.noted.truncate(mark.noted);
        (self.bad_bytes, self.noted_bytes) = (mark.bad_bytes, mark.noted_bytes);
        let (raw, seen, list) = mark.identities;
        self.identities.truncate(raw, seen, list);
        // They name symbols and sessions that may be gone.
        self.effects.clear();
        Some(file)
    }

    pub(crate) fn bad(&mut self, mut bad: Bad) {
        cut(&mut bad.reason, MAX_REASON);
        self.bad_bytes += size_of::<Bad>() + bad.reason.len() + bad.raw.as_ref().map_or(0, Vec::len);
        if let Some(file) = self.files.last_mut() {
            file.bad.push(bad);
        }
    }

    fn row(
        &mut self,
        record: &Record<'_>,
        known: &Known,
        session: u32,
        content: Content,
        (offset, length): (u64, u64),
    ) -> Row {
        let variant = self.variant(record);
        let targets = self.target(&record.resources);
        let slim = self.slim;
        let texts = &mut self.texts;
        let mut raw = |value: Option<Value<'_>>| append(texts, value.map(Value::raw).unwrap_or_default());
        let request = raw(record.request.filter(|_| !slim));
        let response = raw(record.response.filter(|_| !slim));
        let (additional, details) = (raw(record.additional), raw(record.service_details));
        let mut text = |text: &str| append(&mut self.texts, text);
        let (id, shared, request_id) = (text(&record.id), text(&record.shared_id), text(&record.request_id));
        // Mostly a run of the record tells, or it is what the record before said. Insights may be named elsewhere.
        let before = self.rows.last();
        let told = record.category != EventCategory::Insight;
        let symbols = &mut self.symbols;
        let mut sym = |text: &str, field: Option<Field>, of: fn(&Row) -> Sym| {
            if let Some(sym) = field.and_then(|field| known.get(field)).filter(|_| told) {
                return sym;
            }
            match before.map(of) {
                Some(known) if symbols.get(known) == text => known,
                _ => symbols.intern(text),
            }
        };
        // Without a recipient it is another's account.
        let recipient = known.get(Field::Recipient).filter(|sym| !sym.is_empty()).map(|_| Field::Recipient);
        let tls = match known.get(Field::Tls).filter(|_| told) {
            Some(_) => Cow::Borrowed(""),
            None => record.tls.map(normalise::tls_version).unwrap_or_default(),
        };
        Row {
            time: record.time,
            entry: Entry::new(&record.id, content),
            id,
            session,
            source: sym(&record.source, Some(Field::Source), |r| r.source),
            name: sym(&record.name, Some(Field::Name), |r| r.name),
            region: sym(&record.region, Some(Field::Region), |r| r.region),
            account: sym(&record.recipient_account, recipient, |r| r.account),
            event_type: sym(&record.event_type, Some(Field::Type), |r| r.event_type),
            error_code: sym(&record.error_code, Some(Field::ErrorCode), |r| r.error_code),
            error_message: sym(&record.error_message, None, |r| r.error_message),
            source_ip: sym(&record.source_ip, Some(Field::SourceIp), |r| r.source_ip),
            user_agent: sym(&record.user_agent, Some(Field::UserAgent), |r| r.user_agent),
            endpoint: sym(&record.vpc_endpoint, Some(Field::Endpoint), |r| r.endpoint),
            tls: sym(&tls, Some(Field::Tls).filter(|_| record.tls.is_some()), |r| r.tls),
            variant,
            targets,
            category: record.category,
            outcome: record.outcome,
            read_only: record.read_only,
            console: record.from_console,
            shared,
            request_id,
            request,
            response,
            additional,
            details,
            file: (self.files.len() as u32).saturating_sub(1),
            offset,
            length,
        }
    }

    fn variant(&mut self, record: &Record<'_>) -> u32 {
        let variant = &record.variant;
        if !variant.version_id && !variant.tags && variant.roles.is_empty() && variant.refused.is_empty() {
            return 0;
        }
        let roles = if variant.roles.is_empty() {
            self.symbols.intern("[]")
        } else {
            self.symbols.intern(&json(&variant.roles))
        };
        let refused = self.symbols.intern(&variant.refused);
        self.variants.number(Variant { version_id: variant.version_id, tags: variant.tags, roles, refused })
    }

    fn target(&mut self, resources: &[Named<'_>]) -> u32 {
        let Some(first) = resources.first() else { return 0 };
        self.scratch.clear();
        for resource in resources {
            for text in [&resource.arn, &resource.kind, &resource.account] {
                // The length first, as one character beyond the basic plane: keys differ where the lists do.
                let length = 0x1_0000 + text.len().min(0xf_ffff) as u32;
                self.scratch.push(char::from_u32(length).unwrap_or_default());
                self.scratch.push_str(text);
            }
        }
        let key = self.target_keys.intern(&self.scratch);
        if (key.0 as usize) < self.targets.len() {
            return key.0;
        }
        let texts = &mut self.texts;
        let list = written(texts, |texts| {
            texts.push('[');
            for (at, resource) in resources.iter().enumerate() {
                if at > 0 {
                    texts.push(',');
                }
                append_list(texts, [&resource.arn, &resource.kind, &resource.account].into_iter().map(AsRef::as_ref));
            }
            texts.push(']');
        });
        let arns = written(texts, |texts| match resources {
            [one] => append_list(texts, std::iter::once(one.arn.as_ref())),
            _ => {
                let mut arns: Vec<&str> = resources.iter().map(|resource| resource.arn.as_ref()).collect();
                arns.sort_unstable();
                append_list(texts, arns.into_iter());
            }
        });
        let main = append(texts, &first.arn);
        let several = several(resources.iter().map(|one| (one.arn.as_ref(), one.kind.as_ref())));
        self.targets.push(Targets { list, arns, main, parent: self.symbols.intern(parent(&first.arn)), several });
        key.0
    }

    /// The text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        slice(&self.texts, span)
    }

    /// The text of a symbol.
    pub(crate) fn sym(&self, sym: Sym) -> &str {
        self.symbols.get(sym)
    }

    pub(crate) fn variant_of(&self, number: u32) -> Variant {
        self.variants.get(number).copied().unwrap_or_default()
    }

    pub(crate) fn targets_of(&self, number: u32) -> Targets {
        self.targets.get(number as usize).copied().unwrap_or_default()
    }

    /// The identity of a row.
    pub(crate) fn identity(&self, session: u32) -> Option<&(SessionId, Identity)> {
        self.identities.list.get(session as usize)
    }

    /// How many sessions there are: their indices are below.
    pub(crate) fn sessions(&self) -> usize {
        self.identities.list.len()
    }

    pub(crate) fn session_id(&self, session: u32) -> SessionId {
        self.identity(session).map_or(SessionId(0), |(id, _)| *id)
    }

    /// Path of the file of a row.
    pub(crate) fn path_of(&self, file: u32) -> &str {
        self.files.get(file as usize).map(|file| file.path.as_str()).unwrap_or_default()
    }

    /// Names an event that may have no id of its own.
    pub(crate) fn example(&self, row: &Row) -> Cow<'_, str> {
        match self.text(row.id) {
            "" => Cow::Owned(format!("content:{:032x}", u128::from_be_bytes(row.entry.content.to_bytes()))),
            id => Cow::Borrowed(id),
        }
    }
}

impl Span {
    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Cuts a text to so many bytes, at the end of a character.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

/// Lists of texts as JSON, which cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Appends a text as JSON.
fn append_json(out: &mut String, text: &str) {
    // The rule of serde_json: only these are escaped. No early end: that way it goes in blocks.
    if text.bytes().fold(false, |found, b| found | (b < 0x20) | (b == b'"') | (b == b'\\')) {
        out.push_str(&json(&text));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// Appends texts as a JSON list.
fn append_list<'a>(out: &mut String, texts: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (at, text) in texts.enumerate() {
        if at > 0 {
            out.push(',');
        }
        append_json(out, text);
    }
    out.push(']');
}
