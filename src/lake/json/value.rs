//! Values of a parsed record: what they are, and what lies in them.
//!
//! What is marked `inline` is asked for every value of every record: left to the compiler, whether it is inlined depends on
//! which of the crate's functions happen to be compiled together, and an ingest takes a twentieth more or less.

use std::borrow::Cow;

use super::escape::unescape;
use super::{Kind, Node, Run, Tape};

/// A value within a parsed record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'t> {
    pub(super) tape: &'t Tape,
    pub(super) text: &'t str,
    pub(super) at: usize,
}

impl<'t> Value<'t> {
    #[inline]
    fn node(self) -> Node {
        self.tape.nodes.get(self.at).copied().unwrap_or(Node { kind: Kind::Null, start: 0, end: 0, next: 0 })
    }

    #[inline]
    pub(crate) fn kind(self) -> Kind {
        self.node().kind
    }

    /// The bytes of the value as they stand in the record.
    #[inline]
    pub(crate) fn raw(self) -> &'t str {
        let node = self.node();
        self.text.get(node.start as usize..node.end as usize).unwrap_or("")
    }

    /// The text of a string.
    #[inline]
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
    #[inline]
    pub(crate) fn plain(self) -> Option<&'t [u8]> {
        let node = self.node();
        if node.kind != Kind::Text {
            return None;
        }
        self.text.as_bytes().get(node.start as usize + 1..(node.end as usize).saturating_sub(1))
    }

    /// The members of an object, in their order; nothing where it is something else.
    #[inline]
    pub(crate) fn pairs(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        let mut children = self.children();
        if self.kind() != Kind::Object {
            children.end = 0;
        }
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// A string's text, nothing for null, and the JSON text of anything else: odd types are kept, not judged.
    #[inline]
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

    #[inline]
    fn children(self) -> Children<'t> {
        let node = self.node();
        Children::over(self.tape, self.text, self.at + 1, node.next as usize)
    }

    /// The elements of an array; nothing where it is something else.
    #[inline]
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
    #[inline]
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
pub(super) struct Children<'t> {
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
    #[inline]
    pub(super) fn over(tape: &'t Tape, text: &'t str, at: usize, end: usize) -> Self {
        Self { tape, text, at, end, runs: 0, after: None }
    }

    /// Into a run and out of it again; none where there is nothing more. Only records hold runs: for all that stands
    /// within them this is the end.
    fn turn(&mut self) -> Option<()> {
        if self.at >= self.end {
            (self.tape, self.text, self.at, self.end) = self.after.take()?;
            return Some(());
        }
        let run = self.run()?;
        let after = (self.tape, self.text, self.at, self.end);
        let runs = self.runs;
        *self = Self { runs, after: Some(after), ..run.children() };
        Some(())
    }

    /// The next run, where one stands here.
    #[inline]
    fn run(&mut self) -> Option<&'t Run> {
        let node = self.tape.nodes.get(self.at).filter(|node| self.at < self.end && node.kind == Kind::Run)?;
        let run = self.tape.run(self.runs)?;
        (self.at, self.runs) = (node.next as usize, self.runs + 1);
        Some(run)
    }
}

impl<'t> Iterator for Children<'t> {
    type Item = Value<'t>;

    #[inline]
    fn next(&mut self) -> Option<Value<'t>> {
        loop {
            if self.at < self.end
                && let Some(node) = self.tape.nodes.get(self.at)
                && node.kind != Kind::Run
            {
                let value = Value { tape: self.tape, text: self.text, at: self.at };
                let next = node.next as usize;
                if next <= self.at {
                    return None;
                }
                self.at = next;
                return Some(value);
            }
            self.turn()?;
        }
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

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.children.next()?.text()?;
        Some((key, self.children.next()?))
    }
}
