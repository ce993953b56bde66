//! One setting through time: what was seen of it, and when it was changed.

use crate::model::time::{Timestamp, Window};

/// How a value is known at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Somebody looked, and found this value: it held before, too.
    Seen,
    /// It was set to this value then. What held before is not known.
    Set,
}

/// A setting through time. A value is none where what was set cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track<T> {
    /// In order of time; of one time the one that was added last comes last.
    points: Vec<(Timestamp, Mark, Option<T>)>,
}

impl<T> Default for Track<T> {
    fn default() -> Self {
        Self { points: Vec::new() }
    }
}

impl<T: PartialEq> Track<T> {
    /// Adds what is known at a time.
    pub fn add(&mut self, at: Timestamp, mark: Mark, value: Option<T>) {
        let place = self.points.partition_point(|(time, _, _)| *time <= at);
        self.points.insert(place, (at, mark, value));
    }

    /// Whether nobody ever said anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The value at a time: what was known last before it still holds, unless what was seen next contradicts it, for
    /// then it changed in between, and nobody knows when. Before all else what was seen first held, but not what was
    /// set first.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<&T> {
        let next = self.points.partition_point(|(time, _, _)| *time <= at);
        let before = next.checked_sub(1).and_then(|last| self.points.get(last));
        let seen_next = self.points.get(next).filter(|(_, mark, _)| *mark == Mark::Seen);
        match (before, seen_next) {
            (None, seen) => seen.and_then(|(_, _, value)| value.as_ref()),
            (Some((_, _, value)), Some((_, _, seen))) if value != seen => None,
            (Some((_, _, value)), _) => value.as_ref(),
        }
    }

    /// The times at which the value may change.
    pub fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.points.iter().map(|(time, _, _)| *time)
    }

    /// Whether somebody looked within a window, or nobody ever did.
    #[must_use]
    pub fn looked_at(&self, window: Window) -> bool {
        let mut seen = self.points.iter().filter(|(_, mark, _)| *mark == Mark::Seen).map(|(time, ..)| *time).peekable();
        seen.peek().is_none() || seen.any(|time| window.contains(time))
    }

    /// Whether it ever had this value.
    #[must_use]
    pub fn ever(&self, value: &T) -> bool {
        self.points.iter().any(|(_, _, known)| known.as_ref() == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::Mark::{Seen, Set};
    use super::*;

    #[test]
    fn values_are_walked_backward_and_forward() {
        let values = |points: &[(i64, Mark, Option<char>)]| -> String {
            let mut track = Track::default();
            for (at, mark, value) in points {
                track.add(Timestamp::from_seconds(*at), *mark, *value);
            }
            (0..6).map(|at| track.at(Timestamp::from_seconds(at)).copied().unwrap_or('?')).collect()
        };
        for (points, want) in [
            (&[][..], "??????"),
            // Seen: it held before, and holds until something is known to change it.
            (&[(3, Seen, Some('a'))], "aaaaaa"),
            // Set: nobody knows what was before.
            (&[(3, Set, Some('a'))], "???aaa"),
            (&[(2, Set, Some('a')), (4, Set, Some('b'))], "??aabb"),
            // Today's answer agrees with the last call, whenever either was.
            (&[(5, Seen, Some('b')), (2, Set, Some('b'))], "??bbbb"),
            (&[(1, Seen, Some('a')), (3, Set, Some('b'))], "aaabbb"),
            // It does not: something changed it unseen, in between.
            (&[(2, Set, Some('a')), (5, Seen, Some('b'))], "?????b"),
            (&[(1, Seen, Some('a')), (4, Seen, Some('b'))], "a???bb"),
            (&[(1, Seen, Some('a')), (4, Seen, Some('a'))], "aaaaaa"),
            // What was set cannot be read.
            (&[(1, Seen, Some('a')), (3, Set, None)], "aaa???"),
            (&[(4, Seen, Some('a')), (2, Set, None)], "????aa"),
        ] {
            assert_eq!(values(points), want, "{points:?}");
        }
    }
}
