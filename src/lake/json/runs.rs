//! Members that stand together in record after record, known by their text.
//!
//! Most of a record says what the records before it said: who called, from where, which service. Between the members
//! that differ from call to call ([`VARIABLE`]) stand runs of such members, up to two thirds of all bytes. A run that
//! was parsed before is told by comparing bytes; whoever reads it may keep what it made of it, by its stamp.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Node, Tape, Value};

/// Keys whose values differ from call to call, as they stand in a record.
const VARIABLE: [&[u8]; 10] = [
    b"\"eventTime\"",
    b"\"requestParameters\"",
    b"\"responseElements\"",
    b"\"additionalEventData\"",
    b"\"requestID\"",
    b"\"eventID\"",
    b"\"resources\"",
    b"\"sharedEventID\"",
    b"\"errorMessage\"",
    b"\"vpcEndpointId\"",
];
/// Runs kept for each place: records of a file come from few sessions and clients at a time.
const KEPT: usize = 20;
/// Longest run that is kept, in bytes: policies and the like do not repeat.
const MAX_RUN_BYTES: usize = 4096;

/// The place in a record before which no variable member stands.
pub(super) const START: usize = VARIABLE.len();

/// Members as they stood in a record, with the punctuation between and after them.
#[derive(Debug)]
pub(crate) struct Run {
    stamp: u64,
    text: String,
    /// Where it differs from the run that was the latest when it came, and the eight bytes there: most others are told
    /// apart by looking at these.
    probe: (usize, [u8; 8]),
    /// The members, one after the other, without an object around them.
    tape: Tape,
    /// The run ends its record.
    pub(super) last: bool,
}

impl Run {
    /// Tells the run from all others of this process.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The members, keys and values as they stand, each with where its value stands: see [`Run::value`].
    pub(crate) fn members(&self) -> impl Iterator<Item = (Value<'_>, Value<'_>, u32)> {
        let mut children = super::Children::over(&self.tape, &self.text, 0, self.tape.nodes.len());
        std::iter::from_fn(move || {
            let (key, value) = (children.next()?, children.next()?);
            Some((key, value, value.at as u32))
        })
    }

    /// The value at a place that [`Run::members`] told.
    pub(crate) fn value(&self, at: u32) -> Value<'_> {
        Value { tape: &self.tape, text: &self.text, at: at as usize }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn children(&self) -> super::Children<'_> {
        super::Children::over(&self.tape, &self.text, 0, self.tape.nodes.len())
    }
}

/// The runs that were met, by the variable member before them, the latest first.
#[derive(Debug, Default)]
pub(super) struct Runs {
    places: [Vec<Run>; START + 1],
}

impl Runs {
    /// Which variable member a key begins, where it begins one.
    pub(super) fn variable(key: &[u8]) -> Option<usize> {
        VARIABLE.iter().position(|known| *known == key)
    }

    /// The run at the start of `rest` after the variable member `place`: its stamp, length and whether it ends the
    /// record.
    pub(super) fn find(&mut self, place: usize, rest: &[u8]) -> Option<(u64, usize, bool)> {
        let known = self.places.get_mut(place)?;
        let at = known.iter().position(|run| {
            let (at, bytes) = run.probe;
            rest.get(at..).is_some_and(|rest| rest.first_chunk() == Some(&bytes))
                && rest.starts_with(run.text.as_bytes())
        })?;
        if at > 0
            && let Some(head) = known.get_mut(..=at)
        {
            head.rotate_right(1);
        }
        known.first().map(|run| (run.stamp, run.len(), run.last))
    }

    /// Keeps the run `text` after the variable member `place`. `nodes` are its members over the whole record, in which
    /// it begins at `start`, and of whose nodes there are `before` before it.
    pub(super) fn keep(&mut self, place: usize, text: &[u8], last: bool, nodes: &[Node], start: usize, before: usize) {
        static STAMP: AtomicU64 = AtomicU64::new(1);
        let (Some(known), Ok(text)) = (self.places.get_mut(place), std::str::from_utf8(text)) else { return };
        if nodes.is_empty() || text.len() > MAX_RUN_BYTES {
            return;
        }
        let moved = nodes.iter().map(|node| Node {
            kind: node.kind,
            start: node.start - start as u32,
            end: node.end - start as u32,
            next: node.next - before as u32,
        });
        let tape = Tape { nodes: moved.collect(), ..Tape::default() };
        if known.len() >= KEPT {
            known.pop();
        }
        let stamp = STAMP.fetch_add(1, Ordering::Relaxed);
        let latest = known.first().map_or("", |run| &run.text);
        let Some(probe) = probe(text.as_bytes(), latest.as_bytes()) else { return };
        known.insert(0, Run { stamp, text: text.to_owned(), probe, tape, last });
    }

    /// A run that was found in the record at hand.
    pub(super) fn get(&self, place: u8, stamp: u64) -> Option<&Run> {
        self.places.get(usize::from(place))?.iter().find(|run| run.stamp == stamp)
    }
}

/// Where a text first differs from another, and its eight bytes there, or its last ones; none where it is too short to
/// be worth keeping.
fn probe(text: &[u8], other: &[u8]) -> Option<(usize, [u8; 8])> {
    let last = text.len().checked_sub(8)?;
    let differs = text.iter().zip(other).position(|(a, b)| a != b).unwrap_or(other.len());
    let at = differs.min(last);
    Some((at, *text.get(at..)?.first_chunk()?))
}
