//! A window over a stream of bytes: what is at hand, more on demand, never all of it.

use std::io::Read;

use super::{Item, MAX_BYTES, Out};

/// Bytes asked of the source at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The window. What was taken is forgotten; offsets count from the start of the stream.
pub(super) struct Input<'r> {
    source: &'r mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
    base: u64,
    ended: bool,
    /// What the source failed with, such as a gzip stream that ends early.
    pub(super) failure: Option<String>,
}

/// A line of a text.
pub(super) enum Line {
    /// Of so many bytes, its end included.
    Whole(usize),
    /// Longer than the limit; it was skipped. Its length.
    Long(u64),
}

impl<'r> Input<'r> {
    pub(super) fn new(source: &'r mut dyn Read) -> Self {
        let mut input = Self { source, buffer: Vec::new(), at: 0, base: 0, ended: false, failure: None };
        while input.buffer.len() < 3 && input.fill() {}
        if input.buffer.starts_with(b"\xef\xbb\xbf") {
            input.at = 3;
        }
        input
    }

    /// Where the window begins.
    pub(super) const fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// What is at hand.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or(&[])
    }

    /// Forgets the next bytes.
    pub(super) fn take(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.buffer.len());
    }

    /// Gets as much again as is at hand, at least a chunk; false at the end.
    pub(super) fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
        }
        let before = self.buffer.len();
        let wish = before.max(CHUNK_BYTES) as u64;
        match (&mut *self.source).take(wish).read_to_end(&mut self.buffer) {
            Ok(read) => self.ended = (read as u64) < wish,
            Err(error) => {
                self.ended = true;
                self.failure = Some(format!("truncated: {error}"));
            }
        }
        self.buffer.len() > before
    }

    /// The next byte that is no white space; none at the end.
    pub(super) fn token(&mut self) -> Option<u8> {
        loop {
            if let Some(skip) = self.rest().iter().position(|b| !b.is_ascii_whitespace()) {
                self.take(skip);
                return self.rest().first().copied();
            }
            self.take(self.rest().len());
            if !self.fill() {
                return None;
            }
        }
    }

    /// The next line; none at the end. The last one need not have an end.
    pub(super) fn line(&mut self) -> Option<Line> {
        let mut searched = 0;
        loop {
            let rest = self.rest();
            if let Some(end) = memchr::memchr(b'\n', rest.get(searched..).unwrap_or(&[])) {
                return Some(Line::Whole(searched + end + 1));
            }
            searched = rest.len();
            if searched > MAX_BYTES {
                return Some(Line::Long(self.skip_line()));
            }
            if !self.fill() {
                return (searched > 0).then_some(Line::Whole(searched));
            }
        }
    }

    /// Skips to behind the next end of a line, without holding what is skipped.
    pub(super) fn skip_line(&mut self) -> u64 {
        let from = self.offset();
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.rest()) {
                self.take(end + 1);
                break;
            }
            self.take(self.rest().len());
            if !self.fill() {
                break;
            }
        }
        self.offset() - from
    }

    /// Hands over the next bytes as bad and forgets them.
    pub(super) fn bad<E>(&mut self, bytes: usize, reason: String, out: &mut Out<'_, E>) -> Result<(), E> {
        let bytes = bytes.min(self.rest().len());
        let raw = self.rest().get(..bytes).unwrap_or(&[]);
        let offset = self.offset();
        out(Item::Bad { offset, length: bytes as u64, reason, raw })?;
        self.take(bytes);
        Ok(())
    }

    /// Reports that the source failed, if it did; true where it did not.
    pub(super) fn finish<E>(&mut self, out: &mut Out<'_, E>) -> Result<bool, E> {
        let Some(reason) = self.failure.take() else { return Ok(true) };
        out(Item::Bad { offset: self.offset(), length: 0, reason, raw: &[] })?;
        Ok(false)
    }
}
