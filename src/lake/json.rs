//! A JSON parser for one record at a time: it keeps spans instead of copies, finds where the record ends by
//! itself, and keeps duplicate keys. `serde_json` does none of these three; the splitter and the duplicate rule
//! need them.

mod escape;
mod runs;
mod syntax;
mod value;

use wide::u8x16;

pub(crate) use runs::Run;
use runs::{Runs, START};
pub(crate) use syntax::{Syntax, SyntaxKind};
use value::Children;
pub(crate) use value::{Part, Value};

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

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte after white space, or the error that the text ends.
    #[inline]
    fn token(&mut self) -> Result<u8, Syntax> {
        self.space();
        self.peek().ok_or_else(|| self.fail(SyntaxKind::End))
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize) -> Result<(), Syntax> {
        if self.at > self.limit {
            return Err(self.fail(SyntaxKind::Long));
        }
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { kind, start: start as u32, end: self.at as u32, next });
        Ok(())
    }

    #[inline]
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

#[cfg(test)]
mod tests;
