//! A JSON parser for one record at a time: it keeps spans instead of copies, finds where the record ends by
//! itself, and keeps duplicate keys. `serde_json` does none of these three; the splitter and the duplicate rule
//! need them.

use std::borrow::Cow;

use wide::u8x16;

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
}

/// A value: its bytes (`start..end`, quotes and brackets included) and the index of the node after its subtree.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    next: u32,
}

/// Why a text does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxKind {
    /// The text ends inside the value.
    End,
    /// Not JSON.
    Bad,
    /// Nested deeper than [`MAX_DEPTH`].
    Deep,
    /// Longer than the limit given.
    Long,
}

/// A place at which a text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub at: usize,
    pub kind: SyntaxKind,
}

impl Syntax {
    pub(crate) fn reason(self) -> String {
        match self.kind {
            SyntaxKind::End => "truncated: the text ends inside the record".to_owned(),
            SyntaxKind::Bad => format!("not JSON: unexpected text at byte {} of the record", self.at),
            SyntaxKind::Deep => format!("nested deeper than {MAX_DEPTH} levels"),
            SyntaxKind::Long => "longer than the limit for one record".to_owned(),
        }
    }
}

/// Identities that are remembered. Records of a file come from few sessions at a time.
const KNOWN_IDENTITIES: usize = 8;
/// The key of the identity, as it stands in a record.
const IDENTITY_KEY: &[u8] = b"\"userIdentity\"";

/// The nodes of one parsed value; reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    /// Texts of identities that were parsed before, the latest first. The identity is up to half of a record and the
    /// same in all records of a session: where one of these texts stands again, it is not parsed again.
    identities: Vec<Vec<u8>>,
    /// Whether to look for known identities.
    records: bool,
}

impl Tape {
    /// Parses the value at the start of `bytes` and returns its length. UTF-8 is not checked here.
    pub(crate) fn parse(&mut self, bytes: &[u8], limit: usize) -> Result<usize, Syntax> {
        self.nodes.clear();
        let identities = self.records.then_some(&mut self.identities);
        let limit = limit.min(u32::MAX as usize);
        let mut parser = Parser { bytes, at: 0, limit, nodes: &mut self.nodes, identities };
        parser.value(0)?;
        Ok(parser.at)
    }

    /// A tape for records one after the other: the `userIdentity` of a record that was the same before is an object
    /// without members, and tells itself by its text only.
    pub(crate) fn of_records() -> Self {
        Self { records: true, ..Self::default() }
    }

    /// The parsed value over the text that was parsed.
    pub(crate) fn root<'t>(&'t self, text: &'t str) -> Value<'t> {
        Value { tape: self, text, at: 0 }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    limit: usize,
    nodes: &'a mut Vec<Node>,
    identities: Option<&'a mut Vec<Vec<u8>>>,
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
            let key_end = self.at;
            if self.token()? != b':' {
                return Err(self.fail(SyntaxKind::Bad));
            }
            self.at += 1;
            if depth == 0 && self.bytes.get(..key_end).is_some_and(|text| text.ends_with(IDENTITY_KEY)) {
                self.identity()?;
            } else {
                self.value(depth + 1)?;
            }
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

    /// The value of a record's `userIdentity`.
    fn identity(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        let Some(known) = self.identities.as_mut() else { return self.value(1) };
        // A text that is an object once is one wherever it stands.
        if let Some(at) = known.iter().position(|text| rest.starts_with(text)) {
            if let Some(head) = known.get_mut(..=at) {
                head.rotate_right(1);
            }
            self.at += known.first().map_or(0, Vec::len);
            return self.push(Kind::Object, start);
        }
        self.value(1)?;
        let text = self.bytes.get(start..self.at).unwrap_or(&[]);
        if text.first() == Some(&b'{')
            && let Some(known) = self.identities.as_mut()
        {
            if known.len() == KNOWN_IDENTITIES {
                known.pop();
            }
            known.insert(0, text.to_vec());
        }
        Ok(())
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
        Children { tape: self.tape, text: self.text, at: self.at + 1, end: node.next as usize }
    }

    /// The elements of an array; nothing where it is something else.
    pub(crate) fn elements(self) -> impl Iterator<Item = Value<'t>> {
        let some = self.kind() == Kind::Array;
        self.children().take_while(move |_| some)
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

struct Children<'t> {
    tape: &'t Tape,
    text: &'t str,
    at: usize,
    end: usize,
}

impl<'t> Iterator for Children<'t> {
    type Item = Value<'t>;

    fn next(&mut self) -> Option<Value<'t>> {
        if self.at >= self.end {
            return None;
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

fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or(""));
        let after = rest.get(at + 1..).unwrap_or("");
        let mut skip = 1;
        match after.bytes().next() {
            Some(b'n') => out.push('\n'),
            Some(b't') => out.push('\t'),
            Some(b'r') => out.push('\r'),
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'u') => {
                let unit = |text: &str| u32::from_str_radix(text, 16).ok();
                let high = after.get(1..5).and_then(unit).unwrap_or(0xfffd);
                skip = 5;
                let low = after.get(5..7).filter(|p| *p == "\\u").and_then(|_| after.get(7..11)).and_then(unit);
                match low {
                    Some(low) if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) => {
                        skip = 11;
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    // A lone surrogate is JSON but no text.
                    _ => out.push(char::from_u32(high).unwrap_or('\u{fffd}')),
                }
            }
            Some(other) => out.push(char::from(other)),
            None => skip = 0,
        }
        rest = after.get(skip..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
