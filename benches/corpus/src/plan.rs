//! Which files a corpus has: where, when, and how many records each holds.

use crate::clock::{self, DAY};
use crate::prng::Rng;
use crate::world::World;

/// Records that are made together: their copies go into each other's files.
const GROUP_EVENTS: u64 = 24_000;
/// Files of such a group at most.
const GROUP_FILES: usize = 64;

/// A file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    pub account: usize,
    pub region: usize,
    /// Delivery, in whole minutes, as seconds since the epoch.
    pub delivered: i64,
    /// Number of the file: its records follow from this and the seed.
    pub number: u64,
    pub events: u64,
}

/// How files are sized.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Records of a file on average.
    pub mean: f64,
    /// Small files only.
    pub small: bool,
}

impl Sizes {
    /// Real trails have many files of a few records, and a few of thousands.
    fn draw(self, rng: &mut Rng) -> u64 {
        let events = if self.small {
            // From 1 to e^k: the mean of a log-uniform number is (high - low) / ln(high / low); 3.4 times the mean
            // comes close for means from 5 to 20.
            rng.log_uniform(1.0, (self.mean * 3.4).max(2.0))
        } else {
            let base = match rng.below(100) {
                0..45 => rng.log_uniform(1.0, 50.0),
                45..80 => rng.log_uniform(50.0, 1000.0),
                _ => rng.log_uniform(1000.0, 8000.0),
            };
            // The mixture's own mean is about 790.
            base * self.mean / 790.0
        };
        (events as u64).max(1)
    }
}

/// The groups of files of a corpus, in a fixed order.
pub fn plan(world: &World, seed: u64, events: u64, start: i64, days: u64, sizes: Sizes) -> Vec<Vec<File>> {
    let mut rng = Rng::new(&[seed, 40]);
    let mut files = Vec::new();
    let mut left = events;
    while left > 0 {
        let events = sizes.draw(&mut rng).min(left);
        left -= events;
        files.push(File {
            account: rng.weighted(&world.account_sums),
            region: rng.weighted(&world.region_sums),
            delivered: delivery(start, days, &mut rng),
            number: files.len() as u64,
            events,
        });
    }
    files.sort_unstable();
    let mut groups: Vec<Vec<File>> = Vec::new();
    for file in files {
        match groups.last_mut() {
            Some(group)
                if group.len() < GROUP_FILES
                    && group.iter().map(|f| f.events).sum::<u64>() + file.events <= GROUP_EVENTS
                    && group.first().is_some_and(|f| (f.account, f.region) == (file.account, file.region)) =>
            {
                group.push(file);
            }
            _ => groups.push(vec![file]),
        }
    }
    groups
}

/// A time of delivery: more on working days and in working hours. Files come about every five minutes.
fn delivery(start: i64, days: u64, rng: &mut Rng) -> i64 {
    loop {
        let at = start + (rng.below(days.max(1) * DAY as u64) as i64 / 300) * 300;
        let day = if clock::weekday(at) < 5 { 1.0 } else { 0.45 };
        let hour = match clock::civil(at).hour {
            8..18 => 1.0,
            6..8 | 18..21 => 0.6,
            _ => 0.35,
        };
        if rng.chance(day * hour) {
            return at + rng.below(5) as i64 * 60;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up_and_hold_their_mean() {
        let world = World::new(1, 3, 2).unwrap();
        for (sizes, events) in
            [(Sizes { mean: 1000.0, small: false }, 2_000_000), (Sizes { mean: 7.7, small: true }, 200_000)]
        {
            let groups = plan(&world, 5, events, 1_790_000_000, 30, sizes);
            let files: usize = groups.iter().map(Vec::len).sum();
            assert_eq!(groups.iter().flatten().map(|f| f.events).sum::<u64>(), events);
            let mean = events as f64 / files as f64;
            assert!((mean / sizes.mean - 1.0).abs() < 0.2, "{mean} of {sizes:?}");
            assert!(groups.iter().flatten().all(|f| f.delivered < 1_790_000_000 + 30 * DAY + 300));
        }
    }
}
