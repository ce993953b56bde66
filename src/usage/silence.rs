//! Which hours without records may simply have been quiet, where no digest says so.
//!
//! An hour without a log file proves nothing: CloudTrail writes none for a quiet hour, and none is there either where a
//! trail was off or a file was not ingested. What a region did at other times has to tell them apart:
//!
//! - Before the oldest record of its account and after the newest nothing shows that logs were delivered at all.
//! - In between, up to [`MOST_SILENT`] hours without records are taken to be quiet. A longer hole is quiet only where the
//!   region is often so: where holes at least half as long come at least every other week. So nights, weekends and
//!   regions with a record a day stay what they are, and a busy region that falls silent for a day does not.

use std::collections::BTreeSet;

/// Hours without records that are taken to be quiet anywhere: trails that are turned off for less cannot be told.
pub const MOST_SILENT: i32 = 6;
/// Hours of two weeks.
const FORTNIGHT: i32 = 14 * 24;

/// The hours of a range of which nothing shows that the logs would have recorded something. `known` are hours with
/// records or proven empty, also those around the range.
pub(super) fn dark((first, last): (i32, i32), known: &BTreeSet<i32>) -> BTreeSet<i32> {
    let (Some(oldest), Some(newest)) = (known.first().copied(), known.last().copied()) else {
        return (first..last).collect();
    };
    let mut dark: BTreeSet<i32> = (first..last.min(oldest)).collect();
    dark.extend(first.max(newest.saturating_add(1))..last);
    let holes: Vec<(i32, i32)> =
        known.iter().zip(known.iter().skip(1)).map(|(a, b)| (a + 1, *b)).filter(|(from, to)| from < to).collect();
    let mut lengths: Vec<i32> = holes.iter().map(|(from, to)| to - from).collect();
    lengths.sort_unstable();
    let needed = usize::try_from((newest - oldest) / FORTNIGHT).unwrap_or(0).max(1);
    for (from, to) in holes {
        let length = to - from;
        let alike = lengths.len() - lengths.partition_point(|other| other.saturating_mul(2) < length);
        // The hole itself is among those alike.
        if length > MOST_SILENT && alike <= needed {
            // The hours next to records are quiet as anywhere.
            let margin = MOST_SILENT / 2;
            dark.extend((from + margin).max(first)..(to - margin).min(last));
        }
    }
    dark
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of days, each with the hours of the day that have records.
    fn days(days: &[&[i32]]) -> BTreeSet<i32> {
        (0..).zip(days).flat_map(|(day, hours)| hours.iter().map(move |hour| day * 24 + hour)).collect()
    }

    #[test]
    fn what_may_be_quiet() {
        let all: Vec<i32> = (0..24).collect();
        let office: Vec<i32> = (8..18).collect();
        let shown = |known: &BTreeSet<i32>, range| {
            let dark = dark(range, known);
            match (dark.first(), dark.last()) {
                (Some(from), Some(to)) => format!("{from}..={to}, {}", dark.len()),
                _ => String::new(),
            }
        };
        // A busy region falls silent for 23 hours.
        assert_eq!(shown(&days(&[&all, &[0], &all]), (0, 72)), "28..=44, 17");
        // Nights are quiet, as every night, and so is a day a week.
        let nights = days(&[office.as_slice(); 5]);
        assert_eq!(shown(&nights, (8, 114)), "");
        // A day that ends at nine is not.
        let short = days(&[&office, &office, &[8], &office, &office]);
        assert_eq!(shown(&short, (8, 114)), "", "half of it is a night");
        let shorter = days(&[&office, &office, &[], &office, &office]);
        assert_eq!(shown(&shorter, (8, 114)), "45..=76, 32");
        // A record a day.
        assert_eq!(shown(&days(&[&[5], &[5], &[5], &[5]]), (5, 78)), "");
        // What lies before the oldest and after the newest is not known.
        assert_eq!(shown(&days(&[&[5, 6]]), (0, 24)), "0..=23, 22");
        assert_eq!(shown(&BTreeSet::new(), (0, 3)), "0..=2, 3");
        // Six hours are, seven are not.
        for (to, want) in [(10, ""), (11, "7..=7, 1")] {
            let known: BTreeSet<i32> = (0..4).chain(to..48).collect();
            assert_eq!(shown(&known, (0, 48)), want, "{to}");
        }
        // Twice in ten weeks is not often.
        let mut known: BTreeSet<i32> = (0..70 * 24).collect();
        known.retain(|hour| !(100..120).contains(hour) && !(900..920).contains(hour));
        assert_eq!(dark((0, 70 * 24), &known).len(), 28);
    }
}
