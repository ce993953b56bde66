//! Sets of actions as bits over the catalogue, so that granted − used is a few hundred word operations.

use std::ops::Range;

use super::ActionId;

const BITS: u32 = u64::BITS;

/// A set of actions of one catalogue. Sets of the same length may be combined; missing words count as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionSet {
    words: Vec<u64>,
    /// Number of actions in the catalogue: ids from here on are never members.
    size: u32,
}

impl ActionSet {
    /// The empty set over a catalogue of `size` actions.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        Self { words: vec![0; size.div_ceil(BITS) as usize], size }
    }

    /// The set of all `size` actions.
    #[must_use]
    pub fn full(size: usize) -> Self {
        let mut set = Self::new(size);
        set.insert_range(0..set.size);
        set
    }

    /// Number of actions over which the set ranges, members or not.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.size as usize
    }

    /// Adds an action; says whether it was new. Ids outside the catalogue are never added.
    pub fn insert(&mut self, id: ActionId) -> bool {
        if id.0 >= self.size {
            return false;
        }
        let Some(word) = self.words.get_mut((id.0 / BITS) as usize) else { return false };
        let bit = 1u64 << (id.0 % BITS);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Removes an action; says whether it was there.
    pub fn remove(&mut self, id: ActionId) -> bool {
        let Some(word) = self.words.get_mut((id.0 / BITS) as usize) else { return false };
        let bit = 1u64 << (id.0 % BITS);
        let there = *word & bit != 0;
        *word &= !bit;
        there
    }

    /// Adds a contiguous range of ids, cut to the catalogue.
    pub fn insert_range(&mut self, range: Range<u32>) {
        for (at, mask) in masks(range.start..range.end.min(self.size)) {
            if let Some(word) = self.words.get_mut(at) {
                *word |= mask;
            }
        }
    }

    /// Whether the action is a member.
    #[must_use]
    pub fn contains(&self, id: ActionId) -> bool {
        self.words.get((id.0 / BITS) as usize).is_some_and(|word| word >> (id.0 % BITS) & 1 == 1)
    }

    /// Adds every member of the other set (of the same catalogue).
    pub fn union_with(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Keeps only what the other set has too.
    pub fn intersect_with(&mut self, other: &Self) {
        let shared = other.words.len();
        for (word, keep) in self.words.iter_mut().zip(&other.words) {
            *word &= keep;
        }
        self.words.iter_mut().skip(shared).for_each(|word| *word = 0);
    }

    /// Takes away every member of the other set.
    pub fn subtract(&mut self, other: &Self) {
        for (word, less) in self.words.iter_mut().zip(&other.words) {
            *word &= !less;
        }
    }

    /// Every action of the catalogue that is not a member.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut all = Self::full(self.size as usize);
        all.subtract(self);
        all
    }

    /// Whether the sets share a member.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether every member is one of the other set too.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.iter().enumerate().all(|(at, word)| word & !other.words.get(at).copied().unwrap_or(0) == 0)
    }

    /// Number of members among a contiguous range of ids.
    #[must_use]
    pub fn count_range(&self, range: Range<u32>) -> usize {
        let masks = masks(range.start..range.end.min(self.size));
        masks.map(|(at, mask)| self.words.get(at).map_or(0, |word| (word & mask).count_ones() as usize)).sum()
    }

    /// Members in order.
    pub fn iter(&self) -> impl Iterator<Item = ActionId> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let base = at as u32 * BITS;
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(ActionId(base + bit))
            })
        })
    }
}

/// The words of a set that a range of ids touches, each with the bits of the range in it.
fn masks(range: Range<u32>) -> impl Iterator<Item = (usize, u64)> {
    let words = if range.is_empty() { 0..0 } else { range.start / BITS..(range.end - 1) / BITS + 1 };
    words.map(move |at| {
        let base = at * BITS;
        let from = range.start.saturating_sub(base);
        let to = (range.end - base).min(BITS);
        (at as usize, (u64::MAX << from) & (u64::MAX >> (BITS - to)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const SIZE: usize = 200;

    fn set_of(ids: &BTreeSet<u32>) -> ActionSet {
        let mut set = ActionSet::new(SIZE);
        for id in ids {
            set.insert(ActionId(*id));
        }
        set
    }

    fn ids_of(set: &ActionSet) -> BTreeSet<u32> {
        set.iter().map(|id| id.0).collect()
    }

    #[test]
    fn edges() {
        let mut set = ActionSet::new(SIZE);
        assert!(!set.insert(ActionId(200)) && !set.insert(ActionId(u32::MAX)));
        assert!(set.insert(ActionId(199)) && !set.insert(ActionId(199)));
        assert!(set.remove(ActionId(199)) && !set.remove(ActionId(199)) && set.is_empty());
        assert_eq!(ActionSet::full(SIZE).len(), SIZE);
        assert_eq!(ActionSet::full(SIZE).complement(), ActionSet::new(SIZE));
        assert_eq!(ActionSet::full(0).len(), 0);
        assert_eq!(ActionSet::full(64).len(), 64);
    }

    proptest! {
        #[test]
        fn agrees_with_ordered_sets(
            a in prop::collection::btree_set(0u32..200, 0..80),
            b in prop::collection::btree_set(0u32..200, 0..80),
            from in 0u32..220, to in 0u32..220,
        ) {
            let (x, y) = (set_of(&a), set_of(&b));
            prop_assert_eq!(&ids_of(&x), &a);
            prop_assert_eq!(x.len(), a.len());
            let mut union = x.clone();
            union.union_with(&y);
            prop_assert_eq!(ids_of(&union), &a | &b);
            let mut both = x.clone();
            both.intersect_with(&y);
            prop_assert_eq!(ids_of(&both), &a & &b);
            let mut less = x.clone();
            less.subtract(&y);
            prop_assert_eq!(ids_of(&less), &a - &b);
            prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
            prop_assert_eq!(x.intersects(&y), !a.is_disjoint(&b));
            let mut range = ActionSet::new(SIZE);
            range.insert_range(from..to);
            prop_assert_eq!(ids_of(&range), (from..to).filter(|id| *id < 200).collect::<BTreeSet<_>>());
            prop_assert_eq!(x.count_range(from..to), a.iter().filter(|id| (from..to).contains(id)).count());
        }
    }
}
