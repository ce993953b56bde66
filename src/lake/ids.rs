//! Duplicates, without holding every id: ids are kept as sorted runs per recipient account and hour, and a commit
//! looks only at the runs of the hours that it touches.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::content::Content;

/// Bytes of an entry on disk: 16 of the id, 16 of the content.
pub(crate) const ENTRY_BYTES: usize = 32;

/// What identifies an event: its id (a UUID as it is, anything else hashed; its content where it has none), and what
/// it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Entry {
    pub id: [u8; 16],
    pub content: Content,
}

impl Entry {
    /// The entry of an event; an empty id is none.
    pub(crate) fn new(id: &str, content: Content) -> Self {
        let id = match id {
            "" => xxh3_128_with_seed(&content.to_bytes(), 2).to_be_bytes(),
            id => uuid(id).unwrap_or_else(|| xxh3_128_with_seed(id.as_bytes(), 1).to_be_bytes()),
        };
        Self { id, content }
    }

    /// A hash whose sum over a set of entries tells sets apart.
    pub(crate) fn hash(self) -> u128 {
        let mut bytes = [0u8; ENTRY_BYTES];
        bytes.iter_mut().zip(self.to_bytes()).for_each(|(to, from)| *to = from);
        xxh3_128_with_seed(&bytes, 3)
    }

    fn to_bytes(self) -> impl Iterator<Item = u8> {
        self.id.into_iter().chain(self.content.to_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let content = bytes.get(16..32)?.try_into().ok()?;
        Some(Self { id: bytes.get(..16)?.try_into().ok()?, content: Content::from_bytes(content) })
    }
}

/// The bytes of a UUID in its usual form (lower case), as CloudTrail writes them.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut digits = text.iter().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23)).map(|(_, b)| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    });
    if [8, 13, 18, 23].iter().any(|at| text.get(*at) != Some(&b'-')) {
        return None;
    }
    let mut out = [0u8; 16];
    for byte in &mut out {
        *byte = (digits.next()?? << 4) | digits.next()??;
    }
    Some(out)
}

/// What an event turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Class {
    #[default]
    New,
    /// Same id and content as one that is stored.
    Duplicate,
    /// Same id as one that is stored, other content: stored too.
    Conflict,
    /// It lies before what was pruned.
    Pruned,
}

impl Class {
    /// Whether an event of this class becomes part of the store.
    pub(crate) fn is_stored(self) -> bool {
        matches!(self, Self::New | Self::Conflict)
    }
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

    /// Whether each run stands as it was written.
    pub(crate) fn is_sorted(&self) -> bool {
        self.runs.iter().all(|run| run.is_sorted())
    }

    /// All entries, sorted.
    pub(crate) fn merged(self) -> Vec<Entry> {
        let mut all = self.runs.concat();
        all.sort();
        all
    }

    fn class(&self, entry: Entry) -> Class {
        let mut class = Class::New;
        for run in &self.runs {
            let from = run.partition_point(|known| known.id < entry.id);
            for known in run.iter().skip(from).take_while(|known| known.id == entry.id) {
                if known.content.same(entry.content) {
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
    let mut order: Vec<(u128, u32)> = entries.iter().map(|entry| u128::from_be_bytes(entry.id)).zip(0..).collect();
    order.sort_unstable();
    let mut classes = vec![Class::Duplicate; entries.len()];
    let mut run: Vec<Entry> = Vec::with_capacity(entries.len());
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        let start = run.len();
        for (_, at) in group {
            let Some(entry) = entries.get(*at as usize) else { continue };
            let same = run.get(start..).unwrap_or_default();
            let class = match known.class(*entry) {
                _ if same.iter().any(|known| known.content.same(entry.content)) => Class::Duplicate,
                Class::New if !same.is_empty() => Class::Conflict,
                class => class,
            };
            if class != Class::Duplicate {
                run.push(*entry);
            }
            if let Some(slot) = classes.get_mut(*at as usize) {
                *slot = class;
            }
        }
        if let Some(group) = run.get_mut(start..) {
            group.sort_unstable();
        }
    }
    (classes, run)
}

/// Appends a run to a pack; returns its offset in bytes.
pub(crate) fn append(pack: &mut Vec<u8>, run: &[Entry]) -> u64 {
    let offset = pack.len() as u64;
    pack.reserve(run.len() * ENTRY_BYTES);
    for entry in run {
        pack.extend_from_slice(&entry.id);
        pack.extend_from_slice(&entry.content.to_bytes());
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_within_and_across_commits() {
        let entry =
            |id: Option<&str>, whole: u64| Entry::new(id.unwrap_or_default(), Content { core: whole.min(1), whole });
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

    #[test]
    fn uuids_are_their_own_hash() {
        let of = |id: &str| Entry::new(id, Content::default()).id;
        assert_eq!(of("00112233-4455-6677-8899-aabbccddeeff")[..4], [0x00, 0x11, 0x22, 0x33]);
        let others = ["00112233-4455-6677-8899-AABBCCDDEEFF", "00112233-4455-6677-8899_aabbccddeeff", "x", ""];
        let all: std::collections::BTreeSet<_> = others.iter().map(|id| of(id)).collect();
        assert_eq!(all.len(), others.len());
    }
}
