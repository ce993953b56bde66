//! Real logs: the counts that are known of them.

use super::*;
use jitscan::lake::PartKind;

#[test]
fn invictus_in_and_again() {
    let Some(logs) = shared("invictus/CloudTrail") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    assert_eq!(counts(&ingest(&store, &logs)), (2900, 2900, 0, 0, 0));
    let again = ingest(&store, &logs);
    assert_eq!(counts(&again), (0, 0, 0, 0, 0));
    assert_eq!((again.sources[0].files, again.sources[0].new_files), (55, 0));
    let reader = Reader::open(&store).unwrap();
    assert_eq!(reader.event_count(), 2900);
    assert_eq!(reader.files().unwrap().len(), 55);
    let span = reader.event_span().unwrap();
    assert_eq!(span.from.day().to_string(), "2023-07-10");
    let usage = reader.usage(all_time()).unwrap();
    let mut calls = 0;
    reader.events(|row| calls += u64::from(row.event.is_call())).unwrap();
    assert_eq!(usage.iter().map(|row| row.fact.count).sum::<u64>(), calls);
    assert_eq!(reader.shapes().unwrap().values().map(|fact| fact.count).sum::<u64>(), calls);
    assert_eq!(reader.coverage(all_time()).unwrap().values().map(|fact| fact.count).sum::<u64>(), 2900);
    assert!(reader.usage(Window::last_days(span.from.day().start(), 3)).unwrap().is_empty());
    assert!(reader.parquet_files(PartKind::Events).iter().all(|path| path.is_file()));
    let sessions = reader.sessions().unwrap();
    assert!(usage.iter().all(|row| sessions.get(row.key.session).is_some()));
}

#[test]
fn stratus_in_full() {
    let Some(logs) = shared("stratus") else { return };
    let folder = tempfile::tempdir().unwrap();
    let report = ingest(folder.path(), &logs);
    assert_eq!(counts(&report), (310, 310, 0, 0, 0));
    assert_eq!(report.sources[0].skipped.len(), 3, "{:?}", report.sources[0].skipped);
}

#[test]
fn panther_keeps_what_differs() {
    let Some(logs) = shared("panther/CloudTrail") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (read, stored, duplicates, conflicts, quarantined) = counts(&ingest(folder.path(), &logs));
    let reader = Reader::open(folder.path()).unwrap();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for row in reader.quarantine().unwrap() {
        *reasons.entry(row.reason).or_default() += 1;
    }
    println!("{read} {stored} {duplicates} {conflicts} {quarantined} {reasons:?}");
    assert_eq!(read, 458);
    // Fifteen have no time at all, so nothing can place them; all else is kept.
    let unplaced = |text: &str| (format!("eventTime `{text}` is not a time; expected RFC 3339"), 1);
    let none = ("the record has no eventTime".to_owned(), 13);
    assert_eq!(reasons, BTreeMap::from([unplaced("..."), unplaced("redacted"), none]));
    assert_eq!((stored, duplicates, quarantined), (419, 24, 15));
    assert!(conflicts >= 38, "{conflicts}");
    // What was dropped as a duplicate is really there: as many distinct contents as stored events.
    let kept = contents(folder.path()).events;
    assert!(kept.values().all(|count| *count == 1) && kept.len() as u64 == stored);
}
