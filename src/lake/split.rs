//! Finds the records of a log file, whatever it is wrapped in, so that each record parses alone: one bad record
//! costs one record, a truncated file costs its tail.
//!
//! Accepted at top level, also mixed and one after the other: `{"Records":[…]}` with keys in any order, bare
//! arrays, and single objects (newline-delimited or concatenated). A byte order mark and CRLF are tolerated.

use std::io::Read;

use super::json::{Syntax, SyntaxKind, Tape, Value};

/// Bytes of one record at most. CloudTrail documents 256 KB (1 MB for enriched ones); the bound keeps memory small
/// whatever a file holds.
pub(crate) const MAX_RECORD_BYTES: usize = 16 << 20;
/// Bytes asked of a streaming source at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes that the search for the next good record may parse in vain, as a multiple of the bytes searched.
const PROBE_FACTOR: usize = 4;

/// What the splitter found.
pub(crate) enum Piece<'a> {
    /// A JSON object that parses. Offset is within the decompressed file.
    Record { offset: u64, text: &'a str, value: Value<'a> },
    /// A stretch that does not.
    Bad {
        offset: u64,
        length: u64,
        reason: String,
        /// The bytes, where they are at hand.
        raw: &'a [u8],
    },
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every bracket was closed.
    Whole,
    /// The file stops in the middle: a later, whole version of it should be read again.
    Truncated,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Top,
    /// Inside a list of records; `true` where the list is the value of `Records`.
    List(bool),
    /// Inside the wrapper object, outside the list.
    Wrapper,
}

/// Reads records out of bytes at hand, of a stream, or of both.
pub(crate) struct Splitter<R> {
    buffer: Vec<u8>,
    at: usize,
    base: u64,
    source: Option<R>,
    /// What the source failed with, such as a gzip stream that ends early.
    source_error: Option<String>,
    tape: Tape,
    probe: Tape,
    state: State,
    ending: Ending,
}

impl Splitter<std::io::Empty> {
    /// All bytes are at hand. `cut` says why they are not the whole file.
    pub(crate) fn whole(bytes: Vec<u8>, cut: Option<String>) -> Self {
        Self { source_error: cut, ..Self::new(bytes, None) }
    }
}

impl<R: Read> Splitter<R> {
    fn new(buffer: Vec<u8>, source: Option<R>) -> Self {
        Self {
            buffer,
            at: 0,
            base: 0,
            source,
            source_error: None,
            tape: Tape::of_records(),
            probe: Tape::default(),
            state: State::Top,
            ending: Ending::Whole,
        }
    }

    /// Bytes come from a stream; no more than about twice [`MAX_RECORD_BYTES`] are held.
    pub(crate) fn streaming(source: R) -> Self {
        Self::new(Vec::new(), Some(source))
    }

    /// With a tape that has seen records before.
    pub(crate) fn with_tape(mut self, tape: Option<Tape>) -> Self {
        self.tape = tape.unwrap_or(self.tape);
        self
    }

    /// The bytes and the tape, to be used again.
    pub(crate) fn into_reusable(self) -> (Vec<u8>, Tape) {
        (self.buffer, self.tape)
    }

    /// The source after the last piece, for whoever counts or hashes what went through it.
    pub(crate) fn into_source(self) -> Option<R> {
        self.source
    }

    /// Hands every piece to `sink`, in order; stops at its first error.
    pub(crate) fn run<E>(&mut self, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<Ending, E> {
        let mut pieces = 0usize;
        loop {
            self.compact();
            if self.base == 0 && self.at == 0 {
                while self.buffer.len() < 3 && self.fill(CHUNK_BYTES) {}
                if self.buffer.starts_with(b"\xef\xbb\xbf") {
                    self.at = 3;
                }
            }
            let Some(byte) = self.token() else { break };
            match (self.state, byte) {
                (_, b',') => self.at += 1,
                (State::List(wrapped), b']') => {
                    self.at += 1;
                    self.state = if wrapped { State::Wrapper } else { State::Top };
                }
                (State::Wrapper, b'}') => {
                    self.at += 1;
                    self.state = State::Top;
                }
                (State::Top, b'[') => {
                    self.at += 1;
                    self.state = State::List(false);
                }
                (State::Top, b'{') => {
                    if !self.enter_wrapper() {
                        pieces += 1;
                        self.record(sink)?;
                    }
                }
                (State::List(_), b'{') => {
                    pieces += 1;
                    self.record(sink)?;
                }
                (State::Wrapper, b'"') if self.wrapper_member() => {}
                _ => {
                    pieces += 1;
                    self.garbage(sink)?;
                }
            }
        }
        self.finish(pieces, sink)
    }

    fn finish<E>(&mut self, pieces: usize, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<Ending, E> {
        let offset = self.base + self.at as u64;
        let cut = self.source_error.take();
        if self.ending == Ending::Whole && (self.state != State::Top || cut.is_some()) {
            self.ending = Ending::Truncated;
            let reason = cut.unwrap_or_else(|| "truncated: the file ends inside its list of records".to_owned());
            sink(Piece::Bad { offset, length: 0, reason, raw: &[] })?;
        } else if pieces == 0 && offset == 0 {
            sink(Piece::Bad { offset, length: 0, reason: "the file is empty".to_owned(), raw: &[] })?;
        }
        Ok(self.ending)
    }

    /// Gets at least one more byte, asking for `wish`; false at the end.
    fn fill(&mut self, wish: usize) -> bool {
        let Some(source) = self.source.as_mut() else { return false };
        if self.source_error.is_some() {
            return false;
        }
        let before = self.buffer.len();
        match source.take(wish.max(CHUNK_BYTES) as u64).read_to_end(&mut self.buffer) {
            Ok(_) => {}
            Err(error) => self.source_error = Some(format!("truncated: {error}")),
        }
        self.buffer.len() > before
    }

    fn compact(&mut self) {
        if self.source.is_some() && self.at >= CHUNK_BYTES {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or(&[])
    }

    /// The next byte that is not white space; none at the end.
    fn token(&mut self) -> Option<u8> {
        loop {
            let rest = self.rest();
            if let Some(skip) = rest.iter().position(|b| !b.is_ascii_whitespace()) {
                self.at += skip;
                return self.rest().first().copied();
            }
            self.at = self.buffer.len();
            self.compact();
            if !self.fill(CHUNK_BYTES) {
                return None;
            }
        }
    }

    /// Looks whether the object at hand is a wrapper and if so moves into its list of records.
    fn enter_wrapper(&mut self) -> bool {
        let mut from = 0usize;
        loop {
            match wrapper_list(self.buffer.get(self.at..).unwrap_or(&[]), &mut self.probe) {
                Ok(Some(list)) => {
                    self.at += list;
                    self.state = State::List(true);
                    return true;
                }
                Err(Syntax { kind: SyntaxKind::End, .. }) if self.rest().len() < MAX_RECORD_BYTES => {
                    let have = self.rest().len();
                    if have == from || !self.fill(have) {
                        return false;
                    }
                    from = have;
                }
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Reads `"key": value` of the wrapper after or between lists; false where that is not what stands there.
    fn wrapper_member(&mut self) -> bool {
        loop {
            match member(self.buffer.get(self.at..).unwrap_or(&[]), &mut self.probe) {
                Ok((skip, list)) => {
                    self.at += skip;
                    if list {
                        self.state = State::List(true);
                    }
                    return true;
                }
                Err(Syntax { kind: SyntaxKind::End, .. }) if self.rest().len() < MAX_RECORD_BYTES => {
                    if !self.fill(self.rest().len()) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    /// The record at hand, or the stretch that it spoils.
    fn record<E>(&mut self, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or(&[]);
            let have = rest.len();
            match self.tape.parse(rest, MAX_RECORD_BYTES) {
                Ok(length) => {
                    let offset = self.base + self.at as u64;
                    self.at += length;
                    let raw = rest.get(..length).unwrap_or(rest);
                    return match simdutf8::basic::from_utf8(raw) {
                        Ok(text) => sink(Piece::Record { offset, text, value: self.tape.root(text) }),
                        Err(_) => {
                            let valid = std::str::from_utf8(raw).err().map_or(0, |error| error.valid_up_to());
                            let reason = format!("invalid UTF-8 at byte {valid} of the record");
                            sink(Piece::Bad { offset, length: length as u64, reason, raw })
                        }
                    };
                }
                Err(Syntax { kind: SyntaxKind::End, .. }) if have > MAX_RECORD_BYTES && self.fill(CHUNK_BYTES) => {
                    return self.oversize(sink);
                }
                Err(Syntax { kind: SyntaxKind::End, .. }) if have <= MAX_RECORD_BYTES && self.fill(have) => {}
                Err(Syntax { kind: SyntaxKind::Long, .. }) => return self.oversize(sink),
                Err(error) => return self.recover(error, sink),
            }
        }
    }

    /// Skips a record that is longer than the limit, without holding it.
    fn oversize<E>(&mut self, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        let offset = self.base + self.at as u64;
        let mut scan = Balance::default();
        let closed = loop {
            let rest = self.buffer.get(self.at..).unwrap_or(&[]);
            if let Some(end) = scan.feed(rest) {
                self.at += end;
                break true;
            }
            self.at = self.buffer.len();
            self.compact();
            if !self.fill(CHUNK_BYTES) {
                break false;
            }
        };
        let length = self.base + self.at as u64 - offset;
        let mut reason = format!("record of {length} bytes is longer than the limit of {MAX_RECORD_BYTES}");
        if !closed {
            self.state = State::Top;
            self.ending = Ending::Truncated;
            reason.push_str(", and the file ends inside it");
        }
        sink(Piece::Bad { offset, length, reason, raw: &[] })
    }

    /// After a syntax error: up to the next place where a whole event stands, or where this record's brackets
    /// close, whichever comes first.
    fn recover<E>(&mut self, error: Syntax, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        while self.rest().len() < MAX_RECORD_BYTES && self.fill(CHUNK_BYTES) {}
        let rest = self.buffer.get(self.at..).unwrap_or(&[]);
        let closes = Balance::default().feed(rest);
        let found = next_event(rest.get(..closes.unwrap_or(rest.len())).unwrap_or(rest), &mut self.probe);
        let end = found.or(closes).unwrap_or(rest.len());
        let mut reason = error.reason();
        if found.is_none() && closes.is_none() {
            // Nothing good follows in what is left of the file.
            self.state = State::Top;
            self.ending = Ending::Truncated;
            if error.kind == SyntaxKind::End
                && let Some(cut) = self.source_error.take()
            {
                reason = cut;
            }
        } else if error.kind == SyntaxKind::End {
            reason = "not JSON: the record is not closed".to_owned();
        }
        self.bad(end, reason, sink)
    }

    /// Something that is no object: one value of a list, or all up to the next event.
    fn garbage<E>(&mut self, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
        while self.rest().len() < MAX_RECORD_BYTES && self.fill(CHUNK_BYTES) {}
        let rest = self.buffer.get(self.at..).unwrap_or(&[]);
        if self.state != State::Top
            && let Ok(length) = self.probe.parse(rest, MAX_RECORD_BYTES)
        {
            return self.bad(length, "not a CloudTrail record: expected a JSON object".to_owned(), sink);
        }
        let shown: String = String::from_utf8_lossy(rest.get(..rest.len().min(1)).unwrap_or(&[])).into_owned();
        let mut reason = format!("not JSON: expected a record, found `{}`", shown.escape_default());
        match next_event(rest, &mut self.probe) {
            Some(end) => self.bad(end, reason, sink),
            None => {
                let offset = self.base + self.at as u64;
                let mut raw = rest.to_vec();
                self.at = self.buffer.len();
                // What is left of a stream is searched window by window; the last chunk is kept for a boundary.
                while self.fill(MAX_RECORD_BYTES) {
                    raw.clear();
                    self.at = self.at.saturating_sub(CHUNK_BYTES);
                    self.compact();
                    let window = self.buffer.get(self.at..).unwrap_or(&[]);
                    if let Some(next) = next_event(window, &mut self.probe) {
                        self.at += next;
                        let length = self.base + self.at as u64 - offset;
                        return sink(Piece::Bad { offset, length, reason, raw: &[] });
                    }
                    self.at = self.buffer.len();
                }
                if self.state != State::Top {
                    self.ending = Ending::Truncated;
                    self.state = State::Top;
                }
                if let Some(cut) = self.source_error.take() {
                    self.ending = Ending::Truncated;
                    reason = format!("{reason}; {cut}");
                }
                let length = self.base + self.at as u64 - offset;
                sink(Piece::Bad { offset, length, reason, raw: &raw })
            }
        }
    }

    /// Hands over the next `end` bytes (white space and separators at their end left out) as bad.
    fn bad<E>(
        &mut self,
        end: usize,
        reason: String,
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let offset = self.base + self.at as u64;
        let rest = self.buffer.get(self.at..).unwrap_or(&[]);
        let end = end.clamp(1.min(rest.len()), rest.len());
        let span = rest.get(..end).unwrap_or(rest);
        let kept = span.iter().rposition(|b| !b.is_ascii_whitespace() && *b != b',').map_or(end, |last| last + 1);
        self.at += end;
        sink(Piece::Bad { offset, length: kept as u64, reason, raw: span.get(..kept).unwrap_or(span) })
    }
}

fn space(bytes: &[u8], mut at: usize) -> Result<usize, Syntax> {
    loop {
        match bytes.get(at) {
            Some(b) if b.is_ascii_whitespace() => at += 1,
            Some(_) => return Ok(at),
            None => return Err(Syntax { at, kind: SyntaxKind::End }),
        }
    }
}

/// Reads `"key" : value`; returns its length and whether it ends right behind the `[` of `Records`.
fn member(bytes: &[u8], probe: &mut Tape) -> Result<(usize, bool), Syntax> {
    let key = probe.parse(bytes, MAX_RECORD_BYTES)?;
    let is_records = bytes.get(..key) == Some(b"\"Records\"");
    let colon = space(bytes, key)?;
    if bytes.get(colon) != Some(&b':') {
        return Err(Syntax { at: colon, kind: SyntaxKind::Bad });
    }
    let value = space(bytes, colon + 1)?;
    if is_records && bytes.get(value) == Some(&b'[') {
        return Ok((value + 1, true));
    }
    let length = probe.parse(bytes.get(value..).unwrap_or(&[]), MAX_RECORD_BYTES)?;
    Ok((value + length, false))
}

/// Keys that open a record and never a wrapper: most objects are told by their first key.
const RECORD_KEYS: [&[u8]; 8] = [
    b"\"eventVersion\"",
    b"\"userIdentity\"",
    b"\"eventTime\"",
    b"\"eventSource\"",
    b"\"eventName\"",
    b"\"awsRegion\"",
    b"\"eventID\"",
    b"\"additionalEventData\"",
];

/// Where the list of records of the object at the start of `bytes` begins; none where the object has none.
fn wrapper_list(bytes: &[u8], probe: &mut Tape) -> Result<Option<usize>, Syntax> {
    let mut at = space(bytes, 1)?;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        if rest.first() != Some(&b'"') || RECORD_KEYS.iter().any(|key| rest.starts_with(key)) {
            return Ok(None);
        }
        let (length, list) = member(rest, probe)?;
        if list {
            return Ok(Some(at + length));
        }
        at = space(bytes, at + length)?;
        if bytes.get(at) != Some(&b',') {
            return Ok(None);
        }
        at = space(bytes, at + 1)?;
    }
}

/// Whether a parsed value looks like an event: two of the names that every event has.
fn is_event(value: Value<'_>) -> bool {
    let names = ["eventTime", "eventSource", "eventName", "eventVersion", "eventID", "userIdentity"];
    value.members().filter(|(key, _)| names.contains(&key.as_ref())).count() >= 2
}

/// Where after the first byte the next whole event begins.
fn next_event(bytes: &[u8], probe: &mut Tape) -> Option<usize> {
    let mut budget = bytes.len().saturating_mul(PROBE_FACTOR).saturating_add(CHUNK_BYTES);
    for at in memchr::memchr_iter(b'{', bytes).filter(|at| *at > 0) {
        let before = bytes.get(..at).and_then(|head| head.iter().rev().find(|b| !matches!(b, b' ' | b'\t' | b'\r')));
        if !matches!(before, Some(b',' | b'\n' | b'}' | b'[' | b']')) {
            continue;
        }
        let rest = bytes.get(at..).unwrap_or(&[]);
        if space(rest, 1).ok().and_then(|next| rest.get(next)) != Some(&b'"') {
            continue;
        }
        match probe.parse(rest, MAX_RECORD_BYTES) {
            Ok(length) => {
                let event = rest.get(..length).and_then(|raw| std::str::from_utf8(raw).ok());
                if event.is_some_and(|text| is_event(probe.root(text))) {
                    return Some(at);
                }
                budget = budget.checked_sub(length)?;
            }
            Err(error) => budget = budget.checked_sub(error.at)?,
        }
    }
    None
}

/// Finds where the brackets of a value close, looking at nothing but brackets and quotes.
#[derive(Default)]
struct Balance {
    depth: usize,
    text: bool,
    escape: bool,
}

impl Balance {
    fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.text {
                match byte {
                    _ if self.escape => self.escape = false,
                    b'\\' => self.escape = true,
                    b'"' => self.text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
