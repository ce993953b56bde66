//! What digest files say of hours: CloudTrail writes one an hour for every region of a trail, and it names the log
//! files that were delivered in that hour, also where there was none. Source: "CloudTrail digest file structure", AWS
//! CloudTrail User Guide.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::time::{MICROS_PER_HOUR, Timestamp, Window};

use super::fold::DigestSpan;

/// How long after a call its record may be delivered and still be usual, in seconds: CloudTrail delivers within 5
/// minutes on average, and 15 minutes is what AWS named as typical before ("How CloudTrail works", AWS CloudTrail User
/// Guide). An hour is proven empty only by digests that reach so far beyond its end.
const LATE_SECONDS: i64 = 15 * 60;

/// How long before the first and after the last management event in its files a trail of which nobody knows the settings
/// is taken to record such events, in seconds. Any account has some every day in some region.
const SHOWN_SECONDS: i64 = 24 * 3600;

/// The first and the last time at which the files of a trail in hand hold management events, by account and trail.
pub(super) type Evidence<'d> = BTreeMap<(&'d str, &'d str), (Timestamp, Timestamp)>;

/// What the files of trails show of their recording management events.
pub(super) fn evidence(spans: &[DigestSpan]) -> Evidence<'_> {
    let mut found: Evidence<'_> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.management > 0) {
        let (from, to) = found.entry((&span.account, &span.trail)).or_insert((span.from, span.to));
        *from = span.from.min(*from);
        *to = span.to.max(*to);
    }
    found
}

/// Whether the files of a trail show that it recorded management events at the time of one of its digests; none where
/// they show nothing.
pub(super) fn shown(evidence: &Evidence<'_>, span: &DigestSpan) -> Option<bool> {
    let (from, to) = evidence.get(&(span.account.as_str(), span.trail.as_str()))?;
    let near = from.plus_seconds(-SHOWN_SECONDS) <= span.from && span.to <= to.plus_seconds(SHOWN_SECONDS);
    near.then_some(true)
}

/// Whether a trail's files of a window are all in hand, by its digests of one account: those of every region of whose logs
/// there are any follow each other without a hole, and no file that they name is missing.
pub(super) fn all_in_hand<'r>(
    window: Window,
    spans: &[&DigestSpan],
    mut regions: impl Iterator<Item = &'r str>,
) -> bool {
    let inside = || spans.iter().filter(|span| span.to > window.from && span.from < window.to);
    let follow = |region: &str| {
        let mut own: Vec<_> = inside().filter(|span| span.region == region).map(|span| (span.from, span.to)).collect();
        own.sort_unstable();
        let reached = own.into_iter().try_fold(window.from, |at, (from, to)| (from <= at).then_some(at.max(to)));
        reached.is_some_and(|at| at >= window.to)
    };
    inside().any(|span| span.in_hand > 0) && inside().all(|span| span.in_hand == span.log_files) && regions.all(follow)
}

/// Hours since the epoch, of a range of hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// No management event was delivered that belongs to them. Some may have records all the same, from before or after a
    /// digest.
    pub empty: BTreeSet<i32>,
    /// They lie between digests and none speaks for all of them.
    pub missing: BTreeSet<i32>,
    /// Digests name files of them that are not in hand.
    pub lost: BTreeSet<i32>,
    /// Hours for which a trail's digests speak, with all of their files in hand.
    pub by_trail: BTreeMap<String, BTreeSet<i32>>,
}

/// Reads the digests of one account and region, each with whether its trail recorded management events then; none where
/// nobody knows.
///
/// Every trail has digests of its own: an hour is empty only where all trails say so whose digests reach around it and
/// that may record management events, and missing where one of them misses it. A trail of which nobody knows what it
/// records can make an hour missing, and none empty.
pub(super) fn tell(range: (i32, i32), spans: &[(&DigestSpan, Option<bool>)]) -> Told {
    let mut trails: BTreeMap<&str, Vec<(&DigestSpan, Option<bool>)>> = BTreeMap::new();
    for (span, said) in spans {
        trails.entry(span.trail.as_str()).or_default().push((span, *said));
    }
    let mut all = Told::default();
    let mut each: Vec<(Hours, (i32, i32))> = Vec::new();
    for (trail, own) in trails {
        let whole: Vec<(&DigestSpan, bool)> = own.iter().map(|(span, _)| (*span, true)).collect();
        all.by_trail.insert(trail.to_owned(), tell_one(range, &whole).empty);
        let own: Vec<(&DigestSpan, bool)> = own
            .into_iter()
            .filter(|(_, said)| *said != Some(false))
            .map(|(span, said)| (span, said == Some(true)))
            .collect();
        if own.is_empty() {
            continue;
        }
        let told = tell_one(range, &own);
        all.missing.extend(&told.missing);
        all.lost.extend(&told.lost);
        all.empty.extend(&told.empty);
        each.push((told, around(&own)));
    }
    let agreed =
        |hour: &i32| each.iter().all(|(told, (from, to))| told.empty.contains(hour) || hour < from || hour >= to);
    all.empty.retain(agreed);
    all
}

/// What the digests of one trail say.
#[derive(Default)]
struct Hours {
    empty: BTreeSet<i32>,
    missing: BTreeSet<i32>,
    lost: BTreeSet<i32>,
}

/// The hours that the digests of a trail reach around, as a range.
fn around(spans: &[(&DigestSpan, bool)]) -> (i32, i32) {
    let from = spans.iter().map(|(span, _)| span.from.hour()).min().unwrap_or(0);
    let to = spans.iter().map(|(span, _)| before(span.to).hour()).max().unwrap_or(0);
    (from, to)
}

/// Reads the digests of one trail, each with whether it can prove an hour empty.
fn tell_one((first, last): (i32, i32), spans: &[(&DigestSpan, bool)]) -> Hours {
    let mut told = Hours::default();
    let mut whole: Vec<(i64, i64)> = Vec::new();
    let mut proving: Vec<(i64, i64)> = Vec::new();
    for (span, proves) in spans {
        let own = (span.from.micros(), span.to.micros());
        if span.log_files == span.in_hand {
            whole.push(own);
            proving.extend(proves.then_some(own));
        } else {
            // The calls of its files were made at most so long before it began, unless it says how old they are.
            let late = span.from.plus_seconds(-LATE_SECONDS);
            let from = span.lost_from.map_or(late, |oldest| oldest.min(late)).hour().max(first);
            told.lost.extend(from..before(span.to).hour().saturating_add(1).min(last));
        }
    }
    let [whole, proving] = [whole, proving].map(|mut spans| {
        spans.sort_unstable();
        joined(&spans)
    });
    let reach = |joined: &[(i64, i64)], from: i64| {
        let at = joined.partition_point(|(start, _)| *start <= from);
        at.checked_sub(1).and_then(|at| joined.get(at)).map_or(i64::MIN, |(_, end)| *end)
    };
    let begin = spans.iter().map(|(span, _)| span.from.micros()).min();
    let end = spans.iter().map(|(span, _)| span.to.micros()).max();
    for hour in first..last {
        let (from, to) = (i64::from(hour) * MICROS_PER_HOUR, (i64::from(hour) + 1) * MICROS_PER_HOUR);
        let late = to.saturating_add(LATE_SECONDS * 1_000_000);
        if told.lost.contains(&hour) {
            continue;
        }
        if reach(&proving, from) >= late {
            told.empty.insert(hour);
        } else if reach(&whole, from) < to
            && begin.is_some_and(|begin| begin <= from)
            && end.is_some_and(|end| to <= end)
        {
            told.missing.insert(hour);
        }
    }
    told
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
            in_hand: 0,
            management: 0,
            lost_from: None,
        };
        let late =
            |span: DigestSpan, hour: i64| DigestSpan { lost_from: Some(Timestamp::from_seconds(hour * 3600)), ..span };
        let here = |from: i64, to: i64| DigestSpan { in_hand: 1, ..span(from, to, 1) };
        let shown = |spans: &[DigestSpan]| {
            let spans: Vec<(&DigestSpan, Option<bool>)> = spans.iter().map(|span| (span, Some(true))).collect();
            let told = tell((0, 8), &spans);
            (0..8)
                .map(|hour| {
                    match (told.empty.contains(&hour), told.missing.contains(&hour) || told.lost.contains(&hour)) {
                        (true, false) => 'e',
                        (false, true) => '!',
                        (false, false) => '.',
                        (true, true) => '?',
                    }
                })
                .collect::<String>()
        };
        for (spans, want) in [
            (vec![], "........"),
            (vec![span(60, 120, 0)], "........"),
            (vec![span(60, 135, 0)], ".e......"),
            (vec![span(0, 480, 0)], "eeeeeee."),
            // Not aligned to the hour: 23 minutes past, each touching the next.
            (vec![span(-37, 23, 0), span(23, 83, 0), span(83, 143, 0)], "ee......"),
            // One is missing.
            (vec![span(0, 120, 0), span(180, 300, 0)], "e.!e...."),
            // One names files, and they are in hand, or not.
            (vec![span(0, 120, 0), here(120, 180), span(180, 300, 0)], "eeee...."),
            (vec![span(0, 120, 0), span(120, 180, 1), span(180, 300, 0)], "e!!e...."),
            // A file that was delivered late.
            (vec![span(0, 180, 0), late(span(180, 240, 1), 1), span(240, 480, 0)], "e!!!eee."),
            (vec![span(0, 180, 0), late(span(180, 240, 1), 3), span(240, 480, 0)], "ee!!eee."),
        ] {
            assert_eq!(shown(&spans), want, "{spans:?}");
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
            in_hand: 0,
            management: 0,
            lost_from: None,
        };
        let spans = [span("a", 0, 8), span("b", 2, 3), span("b", 4, 6)];
        let told = tell((0, 8), &spans.iter().map(|span| (span, Some(true))).collect::<Vec<_>>());
        // The second trail misses hour 3, does not yet reach beyond hour 2 there, and ends within hour 5.
        assert_eq!(told.empty.into_iter().collect::<Vec<_>>(), [0, 1, 4, 5, 6]);
        assert_eq!(told.missing.into_iter().collect::<Vec<_>>(), [3]);
        // One that records no management events has no say; of one that nobody knows, silence proves nothing.
        for (second, empty, missing) in [(Some(false), 7, 0), (None, 4, 1)] {
            let said = |span: &DigestSpan| if span.trail == "b" { second } else { Some(true) };
            let told = tell((0, 8), &spans.iter().map(|span| (span, said(span))).collect::<Vec<_>>());
            assert_eq!((told.empty.len(), told.missing.len()), (empty, missing), "{second:?}");
        }
    }
}
