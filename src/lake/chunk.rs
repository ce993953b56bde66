//! Events on their way into the store: rows of numbers over tables of texts, filled record by record from borrowed
//! text, so that an event costs no allocation of its own.

mod restore;

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::content::{Content, Hasher};
use super::fold::{self, Noted};
use super::ids::Entry;
use super::json::{Tape, Value};
use super::normalise::{self, Carried, Named, Record, parent};
use super::source::find::Found;
use super::source::layout::path_text;
use super::source::read::{Bad, FileEnd};
use super::symbols::{Numbered, Sym, Symbols};
use super::writer::Counts;
use crate::model::event::{EventCategory, Identity, Outcome};
use crate::model::time::Timestamp;
use crate::usage::fold::SessionId;

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
    bad_bytes: usize,
    texts: String,
    target_keys: Symbols,
    identities: Identities,
    hasher: Hasher,
    scratch: String,
}

impl Chunk {
    pub(crate) fn new(slim: bool) -> Self {
        let mut chunk = Self { slim, ..Self::default() };
        let none = chunk.symbols.intern("[]");
        chunk.variants.number(Variant { roles: none, ..Variant::default() });
        let empty = append(&mut chunk.texts, "[]");
        chunk.targets.push(Targets { list: empty, arns: empty, ..Targets::default() });
        chunk
    }

    /// Bytes that the chunk holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len()
            + self.symbols.bytes()
            + self.target_keys.bytes()
            + self.identities.raw.len()
            + self.rows.len() * size_of::<Row>()
            + self.bad_bytes
    }

    /// Begins a file; what is added belongs to it.
    pub(crate) fn begin(&mut self, found: &Found, job: usize) {
        self.resume(found, job, Counts::default(), true);
    }

    /// Goes on with a file of which parts are committed.
    pub(crate) fn resume(&mut self, found: &Found, job: usize, before: Counts, fresh: bool) {
        let path = path_text(&found.path);
        self.files.push(ChunkFile { found: found.clone(), path, job, end: None, bad: Vec::new(), before, fresh });
    }

    /// Ends the file begun last.
    pub(crate) fn end(&mut self, end: FileEnd) {
        if let Some(file) = self.files.last_mut() {
            file.end = Some(end);
        }
    }

    /// Takes back the file begun last, with all its events.
    pub(crate) fn forget(&mut self) -> Option<ChunkFile> {
        let file = self.files.pop()?;
        let index = self.files.len() as u32;
        let keep = self.rows.partition_point(|row| row.file < index);
        self.rows.truncate(keep);
        self.noted.retain(|(row, _)| (*row as usize) < keep);
        Some(file)
    }

    pub(crate) fn bad(&mut self, bad: Bad) {
        self.bad_bytes += size_of::<Bad>() + bad.raw.as_ref().map_or(0, Vec::len);
        if let Some(file) = self.files.last_mut() {
            file.bad.push(bad);
        }
    }

    /// Adds a record of the file begun last, of which its form carries so much.
    ///
    /// # Errors
    /// Why the record cannot be an event, in words.
    pub(crate) fn add(&mut self, value: Value<'_>, offset: u64, length: u64, carried: Carried) -> Result<(), String> {
        let Self { hasher, identities, .. } = self;
        let mut session = None;
        let whole = hasher.record(value, |hasher, identity| {
            let (index, hash) = identities.of(Some(identity), hasher)?;
            session = Some(index);
            Ok(hash)
        });
        let whole = whole.map_err(|key| format!("the key `{key}` stands twice in one object"))?;
        let session = match session {
            Some(session) => session,
            None => identities.of(None, hasher)?.0,
        };
        let list = &identities.list;
        let owner = || list.get(session as usize).map(|(_, i)| i.account.clone()).unwrap_or_default();
        let record = normalise::normalise(value, carried, &owner)?;
        let content = Content { core: Content::core(&record), whole: if carried.whole { whole } else { 0 } };
        let row = self.row(&record, session, content, (offset, length));
        if let Some(noted) = fold::noted(&record) {
            self.noted.push((self.rows.len() as u32, noted));
        }
        self.rows.push(row);
        Ok(())
    }

    fn row(&mut self, record: &Record<'_>, session: u32, content: Content, (offset, length): (u64, u64)) -> Row {
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
        // Mostly what the record before said.
        let before = self.rows.last();
        let symbols = &mut self.symbols;
        let mut sym = |text: &str, known: fn(&Row) -> Sym| match before.map(known) {
            Some(known) if symbols.get(known) == text => known,
            _ => symbols.intern(text),
        };
        Row {
            time: record.time,
            entry: Entry::new(&record.id, content),
            id,
            session,
            source: sym(&record.source, |r| r.source),
            name: sym(&record.name, |r| r.name),
            region: sym(&record.region, |r| r.region),
            account: sym(&record.recipient_account, |r| r.account),
            event_type: sym(&record.event_type, |r| r.event_type),
            error_code: sym(&record.error_code, |r| r.error_code),
            error_message: sym(&record.error_message, |r| r.error_message),
            source_ip: sym(&record.source_ip, |r| r.source_ip),
            user_agent: sym(&record.user_agent, |r| r.user_agent),
            endpoint: sym(&record.vpc_endpoint, |r| r.endpoint),
            tls: sym(&record.tls_version, |r| r.tls),
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
        let mut arns: Vec<&str> = resources.iter().map(|resource| resource.arn.as_ref()).collect();
        arns.sort_unstable();
        let list: Vec<[&str; 3]> = resources.iter().map(|r| [r.arn.as_ref(), &r.kind, &r.account]).collect();
        self.targets.push(Targets {
            list: append(&mut self.texts, &json(&list)),
            arns: append(&mut self.texts, &json(&arns)),
            main: append(&mut self.texts, &first.arn),
            parent: self.symbols.intern(parent(&first.arn)),
        });
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

/// Lists of texts as JSON, which cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
