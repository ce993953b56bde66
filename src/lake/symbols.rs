//! Texts that repeat, kept once.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A text of a [`Symbols`] table. Zero is the empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sym(pub u32);

impl Sym {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a text takes beside its bytes: where it ends, and its place in the table.
const SYMBOL_BYTES: usize = 12;

/// A table of texts, numbered in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    text: String,
    /// Where each text ends; the first, empty one is not listed.
    ends: Vec<u32>,
    /// Hash and number: to grow the table, and to tell most others, no text has to be looked at.
    table: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
}

fn text_of<'a>(text: &'a str, ends: &[u32], sym: u32) -> &'a str {
    let end = |n: u32| if n == 0 { 0 } else { ends.get(n as usize - 1).map_or(0, |end| *end as usize) };
    if sym == 0 { "" } else { text.get(end(sym - 1)..end(sym)).unwrap_or("") }
}

impl Symbols {
    /// The number of a text.
    pub(crate) fn intern(&mut self, new: &str) -> Sym {
        if new.is_empty() {
            return Sym(0);
        }
        let Self { text, ends, table, hasher } = self;
        let hash = hasher.hash_one(new);
        let same = |known: &(u64, u32)| known.0 == hash && text_of(text, ends, known.1) == new;
        if let Some((_, known)) = table.find(hash, same) {
            return Sym(*known);
        }
        text.push_str(new);
        ends.push(text.len() as u32);
        let sym = ends.len() as u32;
        table.insert_unique(hash, (hash, sym), |known| known.0);
        Sym(sym)
    }

    /// The text of a number.
    pub(crate) fn get(&self, sym: Sym) -> &str {
        text_of(&self.text, &self.ends, sym.0)
    }

    /// The text of a bare number.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.get(Sym(number))
    }

    /// How many there are, the empty text included: numbers are below.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() + 1
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * SYMBOL_BYTES
    }

    /// Forgets all texts, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.table.clear();
    }

    /// Takes back all but the first `len` texts, the empty one among them.
    pub(crate) fn truncate(&mut self, len: usize) {
        let kept = len.saturating_sub(1);
        if kept >= self.ends.len() {
            return;
        }
        self.ends.truncate(kept);
        self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
        self.table.retain(|(_, sym)| *sym as usize <= kept);
    }
}

/// Values that repeat, numbered in the order in which they came.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    list: Vec<T>,
    table: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), table: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<T: std::hash::Hash + Eq> Numbered<T> {
    /// The number of a value.
    pub(crate) fn number(&mut self, value: T) -> u32 {
        let Self { list, table, hasher } = self;
        let hash = hasher.hash_one(&value);
        let same = |known: &(u64, u32)| known.0 == hash && list.get(known.1 as usize) == Some(&value);
        if let Some((_, known)) = table.find(hash, same) {
            return *known;
        }
        let number = list.len() as u32;
        list.push(value);
        table.insert_unique(hash, (hash, number), |known| known.0);
        number
    }

    /// A value by its number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.list.get(number as usize)
    }

    /// Forgets all values, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.table.clear();
    }

    /// Takes back all but the first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
        self.table.retain(|(_, number)| (*number as usize) < len);
    }

    /// All values, by number.
    pub(crate) fn all(&self) -> &[T] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_once() {
        let mut symbols = Symbols::default();
        assert_eq!(symbols.intern(""), Sym(0));
        let texts: Vec<String> = (0..1000).map(|n| format!("text {}", n % 300)).collect();
        let numbers: Vec<Sym> = texts.iter().map(|text| symbols.intern(text)).collect();
        for (text, sym) in texts.iter().zip(&numbers) {
            assert_eq!(symbols.get(*sym), text);
        }
        assert_eq!(numbers.iter().max(), Some(&Sym(300)));
        assert_eq!(symbols.get(Sym(999)), "");
        // What came last is taken back, and may come again.
        symbols.truncate(101);
        assert_eq!((symbols.len(), symbols.get(Sym(101))), (101, ""));
        assert_eq!([&texts[299], &texts[0]].map(|text| symbols.intern(text)), [Sym(101), Sym(1)]);
        symbols.truncate(1);
        assert_eq!((symbols.len(), symbols.intern("x"), symbols.get(Sym(1))), (1, Sym(1), "x"));
    }

    #[test]
    fn values_are_numbered() {
        let mut numbers = Numbered::default();
        for n in 0..500u64 {
            assert_eq!(numbers.number(n % 100), (n % 100) as u32);
        }
        assert_eq!((numbers.all().len(), numbers.get(7)), (100, Some(&7)));
        numbers.truncate(10);
        assert_eq!([numbers.number(3), numbers.number(77)], [3, 10]);
    }
}
