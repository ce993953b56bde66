//! What digest files say of hours: CloudTrail writes one an hour for every region of a trail, and it names the log
//! files that were delivered in that hour, also where there was none. Source: "CloudTrail digest file structure", AWS
//! CloudTrail User Guide.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::time::{MICROS_PER_HOUR, Timestamp};

use super::fold::DigestSpan;

/// How long after a call its record may be delivered and still be usual, in seconds: CloudTrail delivers within 5
/// minutes on average, and 15 minutes is what AWS named as typical before ("How CloudTrail works", AWS CloudTrail User
/// Guide). An hour is proven empty only by digests that reach so far beyond its end.
const LATE_SECONDS: i64 = 15 * 60;

/// Hours since the epoch, of a range of hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Nothing was delivered that belongs to them. Some may have records all the same, from before or after a digest.
    pub empty: BTreeSet<i32>,
    /// They lie between digests and none speaks for all of them, or one names files of which nothing is in hand.
    pub missing: BTreeSet<i32>,
}

/// Reads the digests of one account and region. `any` are the hours with records of any kind.
///
/// Every trail has digests of its own, and what it records is not known here: an hour is empty only where all trails
/// say so whose digests reach around it, and missing where one of them misses it.
pub(super) fn tell(range: (i32, i32), spans: &[&DigestSpan], any: &BTreeSet<i32>) -> Told {
    let mut trails: BTreeMap<&str, Vec<&DigestSpan>> = BTreeMap::new();
    for span in spans {
        trails.entry(span.trail.as_str()).or_default().push(span);
    }
    let each: Vec<(Told, (i32, i32))> = trails.values().map(|own| (tell_one(range, own, any), around(own))).collect();
    let mut all = Told::default();
    for (told, _) in &each {
        all.missing.extend(&told.missing);
        all.empty.extend(&told.empty);
    }
    let agreed =
        |hour: &i32| each.iter().all(|(told, (from, to))| told.empty.contains(hour) || hour < from || hour >= to);
    all.empty.retain(agreed);
    all
}

/// The hours that the digests of a trail reach around, as a range.
fn around(spans: &[&DigestSpan]) -> (i32, i32) {
    let from = spans.iter().map(|span| span.from.hour()).min().unwrap_or(0);
    let to = spans.iter().map(|span| before(span.to).hour()).max().unwrap_or(0);
    (from, to)
}

/// Reads the digests of one trail.
fn tell_one((first, last): (i32, i32), spans: &[&DigestSpan], any: &BTreeSet<i32>) -> Told {
    let mut told = Told::default();
    let mut good: Vec<(i64, i64)> = Vec::new();
    for span in spans {
        if span.log_files == 0 || in_hand(span, any) {
            good.push((span.from.micros(), span.to.micros()));
        } else {
            // The calls of its files were made at most so long before it began.
            let from = span.from.plus_seconds(-LATE_SECONDS).hour().max(first);
            told.missing.extend(from..before(span.to).hour().saturating_add(1).min(last));
        }
    }
    good.sort_unstable();
    let joined = joined(&good);
    let begin = spans.iter().map(|span| span.from.micros()).min();
    let end = spans.iter().map(|span| span.to.micros()).max();
    for hour in first..last {
        let (from, to) = (i64::from(hour) * MICROS_PER_HOUR, (i64::from(hour) + 1) * MICROS_PER_HOUR);
        let at = joined.partition_point(|(start, _)| *start <= from);
        let reach = at.checked_sub(1).and_then(|at| joined.get(at)).map_or(i64::MIN, |(_, end)| *end);
        let late = to.saturating_add(LATE_SECONDS * 1_000_000);
        if reach >= late && !told.missing.contains(&hour) {
            told.empty.insert(hour);
        } else if reach < to && begin.is_some_and(|begin| begin <= from) && end.is_some_and(|end| to <= end) {
            told.missing.insert(hour);
        }
    }
    told
}

/// Whether records are in hand that the files of a digest may hold: CloudTrail writes no empty log files.
fn in_hand(span: &DigestSpan, any: &BTreeSet<i32>) -> bool {
    let hours = span.from.plus_seconds(-LATE_SECONDS).hour()..=before(span.to).hour();
    hours.start() <= hours.end() && any.range(hours).next().is_some()
}

fn before(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_sub(1))
}

/// Spans that touch or overlap, as one; sorted.
fn joined(spans: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut out: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match out.last_mut() {
            Some((_, end)) if from <= end => *end = (*end).max(*to),
            _ => out.push((*from, *to)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_a_day() {
        let span = |from: i64, to: i64, log_files| DigestSpan {
            account: String::new(),
            region: String::new(),
            trail: String::new(),
            from: Timestamp::from_seconds(from * 60),
            to: Timestamp::from_seconds(to * 60),
            log_files,
        };
        let shown = |spans: &[DigestSpan], any: &[i32]| {
            let spans: Vec<&DigestSpan> = spans.iter().collect();
            let told = tell((0, 8), &spans, &any.iter().copied().collect());
            (0..8)
                .map(|hour| match (told.empty.contains(&hour), told.missing.contains(&hour)) {
                    (true, false) => 'e',
                    (false, true) => '!',
                    (false, false) => '.',
                    (true, true) => '?',
                })
                .collect::<String>()
        };
        for (spans, any, want) in [
            (vec![], vec![], "........"),
            (vec![span(60, 120, 0)], vec![], "........"),
            (vec![span(60, 135, 0)], vec![], ".e......"),
            (vec![span(0, 480, 0)], vec![], "eeeeeee."),
            // Not aligned to the hour: 23 minutes past, each touching the next.
            (vec![span(-37, 23, 0), span(23, 83, 0), span(83, 143, 0)], vec![], "ee......"),
            // One is missing.
            (vec![span(0, 120, 0), span(180, 300, 0)], vec![], "e.!e...."),
            // One names files, and they are in hand, or not.
            (vec![span(0, 120, 0), span(120, 180, 1), span(180, 300, 0)], vec![2], "eeee...."),
            (vec![span(0, 120, 0), span(120, 180, 1), span(180, 300, 0)], vec![], "e!!e...."),
        ] {
            assert_eq!(shown(&spans, &any), want, "{spans:?}");
        }
    }

    #[test]
    fn trails_must_agree() {
        let span = |trail: &str, from: i64, to: i64| DigestSpan {
            account: String::new(),
            region: String::new(),
            trail: trail.to_owned(),
            from: Timestamp::from_seconds(from * 3600),
            to: Timestamp::from_seconds(to * 3600),
            log_files: 0,
        };
        let spans = [span("a", 0, 8), span("b", 2, 3), span("b", 4, 6)];
        let told = tell((0, 8), &spans.iter().collect::<Vec<_>>(), &BTreeSet::new());
        // The second trail misses hour 3, does not yet reach beyond hour 2 there, and ends within hour 5.
        assert_eq!(told.empty.into_iter().collect::<Vec<_>>(), [0, 1, 4, 5, 6]);
        assert_eq!(told.missing.into_iter().collect::<Vec<_>>(), [3]);
    }
}
