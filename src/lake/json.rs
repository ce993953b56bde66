//! A JSON parser for one record at a time: it keeps spans instead of copies, finds where the record ends by
//! itself, and keeps duplicate keys. `serde_json` does none of these three; the splitter and the duplicate rule
//! need them.

mod escape;
mod runs;
mod syntax;

use std::borrow::Cow;

use wide::u8x16;

use escape::unescape;
pub(crate) use runs::Run;
use runs::{Runs, START};
pub(crate) use syntax::{Syntax, SyntaxKind};

/// Nesting allowed inside a record. CloudTrail records nest about ten deep; the bound keeps the stack small.
const MAX_DEPTH: usize = 128;

/// What a node of the tape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    False,
    True,
    Number,
    Text,
    /// Text with at least one backslash escape.
    Escaped,
    Array,
    Object,
    /// Members of a record that were met before: see [`runs`].
    Run,
}

/// A value: its bytes (`start..end`, quotes and brackets included) and the index of the node after its subtree.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    next: u32,
}

/// The nodes of one parsed value; reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    /// Runs of members that were parsed in records before, for tapes of records.
    runs: Option<Box<Runs>>,
    /// The runs of the record at hand, in their order: the variable member before, and the stamp.
    used: Vec<(u8, u64)>,
}

impl Tape {
    /// Parses the value at the start of `bytes` and returns its length. UTF-8 is not checked here.
    pub(crate) fn parse(&mut self, bytes: &[u8], limit: usize) -> Result<usize, Syntax> {
        self.nodes.clear();
        self.used.clear();
        let Self { nodes, runs, used } = self;
        let limit = limit.min(u32::MAX as usize);
        let mut parser = Parser { bytes, at: 0, limit, nodes, used };
        match runs {
            Some(runs) if parser.token()? == b'{' => parser.record(runs)?,
            _ => parser.value(0)?,
        }
        Ok(parser.at)
    }

    /// A tape for records one after the other, which knows again what they have in common.
    pub(crate) fn of_records() -> Self {
        Self { runs: Some(Box::default()), ..Self::default() }
    }

    /// The parsed value over the text that was parsed.
    pub(crate) fn root<'t>(&'t self, text: &'t str) -> Value<'t> {
        Value { tape: self, text, at: 0 }
    }

    /// The n-th run of the record at hand.
    fn run(&self, n: usize) -> Option<&Run> {
        let (place, stamp) = self.used.get(n)?;
        self.runs.as_ref()?.get(*place, *stamp)
    }
}

/// Runs of one record, known and new: fewer than are kept for a place.
const MAX_RUNS: usize = 16;

/// A run of members that is not known: the variable member before it, and where it begins and ends, in bytes and nodes.
struct Stretch {
    place: usize,
    from: (usize, usize),
    to: (usize, usize),
    last: bool,
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    limit: usize,
    nodes: &'a mut Vec<Node>,
    used: &'a mut Vec<(u8, u64)>,
}

impl Parser<'_> {
    fn fail(&self, kind: SyntaxKind) -> Syntax {
        Syntax { at: self.at, kind }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte after white space, or the error that the text ends.
    fn token(&mut self) -> Result<u8, Syntax> {
        self.space();
        self.peek().ok_or_else(|| self.fail(SyntaxKind::End))
    }

    fn push(&mut self, kind: Kind, start: usize) -> Result<(), Syntax> {
        if self.at > self.limit {
            return Err(self.fail(SyntaxKind::Long));
        }
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { kind, start: start as u32, end: self.at as u32, next });
        Ok(())
    }

    fn close(&mut self, index: usize) -> Result<(), Syntax> {
        if self.at > self.limit {
            return Err(self.fail(SyntaxKind::Long));
        }
        let next = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(index) {
            node.end = self.at as u32;
            node.next = next;
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Syntax> {
        if depth > MAX_DEPTH {
            return Err(self.fail(SyntaxKind::Deep));
        }
        match self.token()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.fail(SyntaxKind::Bad)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Syntax> {
        let index = self.nodes.len();
        self.push(Kind::Object, self.at)?;
        self.at += 1;
        if self.token()? == b'}' {
            self.at += 1;
            return self.close(index);
        }
        loop {
            if self.token()? != b'"' {
                return Err(self.fail(SyntaxKind::Bad));
            }
            self.string()?;
            if self.token()? != b':' {
                return Err(self.fail(SyntaxKind::Bad));
            }
            self.at += 1;
            self.value(depth + 1)?;
            match self.token()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return self.close(index);
                }
                _ => return Err(self.fail(SyntaxKind::Bad)),
            }
        }
    }

    /// A record: an object whose members may stand in runs that are known.
    fn record(&mut self, runs: &mut Runs) -> Result<(), Syntax> {
        let index = self.nodes.len();
        self.push(Kind::Object, self.at)?;
        self.at += 1;
        if self.token()? == b'}' {
            self.at += 1;
            return self.close(index);
        }
        let mut place = START;
        // Runs that are not known; they are kept when the record is at its end.
        let mut new: Vec<Stretch> = Vec::new();
        let mut open: Option<(usize, usize)> = None;
        loop {
            if self.token()? != b'"' {
                return Err(self.fail(SyntaxKind::Bad));
            }
            while open.is_none()
                && let Some((stamp, length, last)) = runs.find(place, self.bytes.get(self.at..).unwrap_or(&[]))
            {
                let start = self.at;
                self.at += length;
                self.push(Kind::Run, start)?;
                self.used.push((place as u8, stamp));
                if last {
                    self.keep(runs, &new);
                    return self.close(index);
                }
                if self.token()? != b'"' {
                    return Err(self.fail(SyntaxKind::Bad));
                }
            }
            let (start, before) = (self.at, self.nodes.len());
            self.string()?;
            let variable = Runs::variable(self.bytes.get(start..self.at).unwrap_or(&[]));
            if variable.is_none() {
                open = open.or(Some((start, before)));
            } else if let Some(from) = open.take() {
                new.push(Stretch { place, from, to: (start, before), last: false });
            }
            if self.token()? != b':' {
                return Err(self.fail(SyntaxKind::Bad));
            }
            self.at += 1;
            self.value(1)?;
            place = variable.unwrap_or(place);
            match self.token()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    if let Some(from) = open {
                        new.push(Stretch { place, from, to: (self.at, self.nodes.len()), last: true });
                    }
                    self.keep(runs, &new);
                    return self.close(index);
                }
                _ => return Err(self.fail(SyntaxKind::Bad)),
            }
        }
    }

    /// Keeps runs of the record at hand, as long as that drives out none that it uses itself.
    fn keep(&self, runs: &mut Runs, new: &[Stretch]) {
        if self.used.len() + new.len() > MAX_RUNS {
            return;
        }
        for Stretch { place, from: (start, before), to: (end, after), last } in new {
            if let (Some(text), Some(nodes)) = (self.bytes.get(*start..*end), self.nodes.get(*before..*after)) {
                runs.keep(*place, text, *last, nodes, *start, *before);
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Syntax> {
        let index = self.nodes.len();
        self.push(Kind::Array, self.at)?;
        self.at += 1;
        if self.token()? == b']' {
            self.at += 1;
            return self.close(index);
        }
        loop {
            self.value(depth + 1)?;
            match self.token()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return self.close(index);
                }
                _ => return Err(self.fail(SyntaxKind::Bad)),
            }
        }
    }

    fn string(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        let mut kind = Kind::Text;
        self.at += 1;
        loop {
            let plain = plain_run(self.bytes.get(self.at..).unwrap_or(&[]));
            if self.at + plain >= self.bytes.len() {
                self.at = self.bytes.len();
                return Err(self.fail(SyntaxKind::End));
            }
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return self.push(kind, start);
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                _ => return Err(self.fail(SyntaxKind::Bad)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        match self.bytes.get(self.at + 1) {
            None => Err(self.fail(SyntaxKind::End)),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match self.bytes.get(self.at + 2..self.at + 6) {
                None => Err(self.fail(SyntaxKind::End)),
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                    self.at += 6;
                    Ok(())
                }
                Some(_) => Err(self.fail(SyntaxKind::Bad)),
            },
            Some(_) => Err(self.fail(SyntaxKind::Bad)),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Syntax> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        if rest.starts_with(word) {
            self.at += word.len();
            return self.push(kind, start);
        }
        Err(self.fail(if word.starts_with(rest) { SyntaxKind::End } else { SyntaxKind::Bad }))
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let before = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == before {
            return Err(self.fail(if self.peek().is_none() { SyntaxKind::End } else { SyntaxKind::Bad }));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let first = self.at;
        self.digits()?;
        if leading_zero && self.at > first + 1 {
            return Err(self.fail(SyntaxKind::Bad));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.push(Kind::Number, start)
    }
}

/// How many bytes at the start of `bytes` a string may hold as they are: up to the first quote, backslash or control
/// character. In blocks: a record is mostly text, in stretches of 8 to 40 bytes.
fn plain_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        if let Some(at) = first_special(block) {
            return bytes.len() - rest.len() + at;
        }
        rest = after;
    }
    let tail = rest.iter().position(|b| *b == b'"' || *b == b'\\' || *b < 0x20).unwrap_or(rest.len());
    bytes.len() - rest.len() + tail
}

/// Bytes looked at in one step.
const BLOCK: usize = 16;

/// Where in a block the first quote, backslash or control character stands.
fn first_special(block: &[u8; BLOCK]) -> Option<usize> {
    let bytes = u8x16::new(*block);
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let hits = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\')) | control;
    match hits.to_bitmask() {
        0 => None,
        hits => Some(hits.trailing_zeros() as usize),
    }
}

/// A value within a parsed record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    tape: &'t Tape,
    text: &'t str,
    at: usize,
}

impl<'t> Value<'t> {
    fn node(self) -> Node {
        self.tape.nodes.get(self.at).copied().unwrap_or(Node { kind: Kind::Null, start: 0, end: 0, next: 0 })
    }

    pub(crate) fn kind(self) -> Kind {
        self.node().kind
    }

    /// The bytes of the value as they stand in the record.
    pub(crate) fn raw(self) -> &'t str {
        let node = self.node();
        self.text.get(node.start as usize..node.end as usize).unwrap_or("")
    }

    /// The text of a string.
    pub(crate) fn text(self) -> Option<Cow<'t, str>> {
        let node = self.node();
        let inner = || self.text.get(node.start as usize + 1..(node.end as usize).saturating_sub(1)).unwrap_or("");
        match node.kind {
            Kind::Text => Some(Cow::Borrowed(inner())),
            Kind::Escaped => Some(Cow::Owned(unescape(inner()))),
            _ => None,
        }
    }

    /// The bytes of a string's text where nothing in it is escaped.
    pub(crate) fn plain(self) -> Option<&'t [u8]> {
        let node = self.node();
        if node.kind != Kind::Text {
            return None;
        }
        self.text.as_bytes().get(node.start as usize + 1..(node.end as usize).saturating_sub(1))
    }

    /// The members of an object, in their order; nothing where it is something else.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        let mut children = self.children();
        if self.kind() != Kind::Object {
            children.end = 0;
        }
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// A string's text, nothing for null, and the JSON text of anything else: odd types are kept, not judged.
    pub(crate) fn lenient(self) -> Cow<'t, str> {
        match self.kind() {
            Kind::Null => Cow::Borrowed(""),
            Kind::Text | Kind::Escaped => self.text().unwrap_or_default(),
            _ => Cow::Borrowed(self.raw()),
        }
    }

    /// A boolean, also when written as text.
    pub(crate) fn boolean(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Text => match self.text()?.as_ref() {
                "true" | "True" => Some(true),
                "false" | "False" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    fn children(self) -> Children<'t> {
        let node = self.node();
        Children::over(self.tape, self.text, self.at + 1, node.next as usize)
    }

    /// The elements of an array; nothing where it is something else.
    pub(crate) fn elements(self) -> impl Iterator<Item = Value<'t>> {
        let some = self.kind() == Kind::Array;
        self.children().take_while(move |_| some)
    }

    /// The members of a record, known runs of them in one; nothing where it is no object.
    pub(crate) fn parts(self) -> impl Iterator<Item = Part<'t>> {
        let mut children = self.children();
        if self.kind() != Kind::Object {
            children.end = 0;
        }
        std::iter::from_fn(move || match children.run() {
            Some(run) => Some(Part::Run(run)),
            None => Some(Part::Member(children.next()?, children.next()?)),
        })
    }

    /// The members of an object; nothing where it is something else.
    pub(crate) fn members(self) -> Members<'t> {
        let mut children = self.children();
        if self.kind() != Kind::Object {
            children.end = 0;
        }
        Members { children }
    }

    /// A member by its key.
    pub(crate) fn get(self, key: &str) -> Option<Value<'t>> {
        self.members().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// Nodes side by side; runs are as if their members stood there.
struct Children<'t> {
    tape: &'t Tape,
    text: &'t str,
    at: usize,
    end: usize,
    /// How many runs were met.
    runs: usize,
    /// Where to go on after a run.
    after: Option<(&'t Tape, &'t str, usize, usize)>,
}

impl<'t> Children<'t> {
    fn over(tape: &'t Tape, text: &'t str, at: usize, end: usize) -> Self {
        Self { tape, text, at, end, runs: 0, after: None }
    }

    /// The next run, where one stands here.
    fn run(&mut self) -> Option<&'t Run> {
        let node = self.tape.nodes.get(self.at).filter(|node| self.at < self.end && node.kind == Kind::Run)?;
        let run = self.tape.run(self.runs)?;
        (self.at, self.runs) = (node.next as usize, self.runs + 1);
        Some(run)
    }
}

impl<'t> Iterator for Children<'t> {
    type Item = Value<'t>;

    fn next(&mut self) -> Option<Value<'t>> {
        loop {
            if self.at >= self.end {
                (self.tape, self.text, self.at, self.end) = self.after.take()?;
            } else if let Some(run) = self.run() {
                let after = (self.tape, self.text, self.at, self.end);
                let runs = self.runs;
                *self = Self { runs, after: Some(after), ..run.children() };
            } else {
                break;
            }
        }
        let value = Value { tape: self.tape, text: self.text, at: self.at };
        let next = value.node().next as usize;
        if next <= self.at {
            return None;
        }
        self.at = next;
        Some(value)
    }
}

/// A stretch of a record's members.
pub(crate) enum Part<'t> {
    /// One member: key and value.
    Member(Value<'t>, Value<'t>),
    /// Members that stood together like this before.
    Run(&'t Run),
}

/// The members of an object, in their order.
pub(crate) struct Members<'t> {
    children: Children<'t>,
}

impl<'t> Iterator for Members<'t> {
    type Item = (Cow<'t, str>, Value<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.children.next()?.text()?;
        Some((key, self.children.next()?))
    }
}

#[cfg(test)]
mod tests;
