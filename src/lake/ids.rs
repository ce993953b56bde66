//! Duplicates, without holding every id: ids are kept as sorted runs per recipient account and hour, and a commit
//! looks only at the runs of the hours that it touches.

use std::collections::BTreeMap;

/// Bytes of an entry on disk: 16 of the id, 16 of the content.
pub(crate) const ENTRY_BYTES: usize = 32;

/// What identifies an event: a hash of its id (of its content where it has none), and a hash of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry {
    pub id: [u8; 16],
    pub content: [u8; 16],
}

impl Entry {
    pub(crate) fn new(id: Option<&str>, content: [u8; 16]) -> Self {
        let mut hash = blake3::Hasher::new();
        match id {
            Some(id) => hash.update(b"i").update(id.as_bytes()),
            None => hash.update(b"c").update(&content),
        };
        Self { id: first(&hash), content }
    }

    fn to_bytes(self) -> impl Iterator<Item = u8> {
        self.id.into_iter().chain(self.content)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self { id: bytes.get(..16)?.try_into().ok()?, content: bytes.get(16..32)?.try_into().ok()? })
    }
}

/// The hash of a record's canonical content.
pub(crate) fn content(canonical: &[u8]) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    hash.update(canonical);
    first(&hash)
}

fn first(hash: &blake3::Hasher) -> [u8; 16] {
    let mut out = [0u8; 16];
    for (to, from) in out.iter_mut().zip(hash.finalize().as_bytes()) {
        *to = *from;
    }
    out
}

/// What an event turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    New,
    /// Same id and content as one that is stored.
    Duplicate,
    /// Same id as one that is stored, other content: stored too.
    Conflict,
}

/// Known entries of one cell, from several sorted runs.
#[derive(Debug, Default)]
pub(crate) struct Known {
    runs: Vec<Vec<Entry>>,
}

impl Known {
    /// Adds a run as it stands on disk; none where its length is wrong.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Option<()> {
        if !bytes.len().is_multiple_of(ENTRY_BYTES) {
            return None;
        }
        self.runs.push(bytes.chunks_exact(ENTRY_BYTES).filter_map(Entry::from_bytes).collect());
        Some(())
    }

    fn class(&self, entry: Entry) -> Class {
        let mut class = Class::New;
        for run in &self.runs {
            let from = run.partition_point(|known| known.id < entry.id);
            for known in run.iter().skip(from).take_while(|known| known.id == entry.id) {
                if known.content == entry.content {
                    return Class::Duplicate;
                }
                class = Class::Conflict;
            }
        }
        class
    }
}

/// Classes of the events of one cell, in their order, against what is known and each other; and the new run.
pub(crate) fn classify(known: &Known, entries: &[Entry]) -> (Vec<Class>, Vec<Entry>) {
    let mut here: BTreeMap<[u8; 16], Vec<[u8; 16]>> = BTreeMap::new();
    let mut run = Vec::new();
    let classes = entries
        .iter()
        .map(|entry| {
            let same = here.entry(entry.id).or_default();
            let class = match known.class(*entry) {
                _ if same.contains(&entry.content) => Class::Duplicate,
                Class::New if !same.is_empty() => Class::Conflict,
                class => class,
            };
            if class != Class::Duplicate {
                same.push(entry.content);
                run.push(*entry);
            }
            class
        })
        .collect();
    run.sort();
    (classes, run)
}

/// Appends a run to a pack; returns its offset in bytes.
pub(crate) fn append(pack: &mut Vec<u8>, run: &[Entry]) -> u64 {
    let offset = pack.len() as u64;
    pack.extend(run.iter().flat_map(|entry| entry.to_bytes()));
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_within_and_across_commits() {
        let entry = |id: Option<&str>, content: u8| Entry::new(id, [content; 16]);
        let first = [entry(Some("a"), 1), entry(Some("a"), 1), entry(Some("a"), 2), entry(None, 1), entry(None, 1)];
        let (classes, run) = classify(&Known::default(), &first);
        use Class::{Conflict, Duplicate, New};
        assert_eq!(classes, [New, Duplicate, Conflict, New, Duplicate]);
        let mut pack = vec![0; 32];
        assert_eq!(append(&mut pack, &run), 32);
        let mut known = Known::default();
        known.add(&pack[32..]).unwrap();
        assert!(known.add(&pack[1..]).is_none());
        let second = [entry(Some("a"), 2), entry(Some("a"), 3), entry(Some("b"), 1), entry(None, 1), entry(None, 2)];
        assert_eq!(classify(&known, &second).0, [Duplicate, Conflict, New, Duplicate, New]);
    }
}
