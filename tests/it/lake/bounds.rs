//! Inputs that would take more memory than is meant for them.

use std::fs;

use super::*;

/// Records with a request that packs to nothing.
fn padded(range: std::ops::Range<usize>, bytes: usize) -> String {
    let pad = format!("\"requestParameters\":{{\"policyDocument\":\"{}\",", "A".repeat(bytes));
    let records: Vec<String> = range.map(|n| record(n).replace("\"requestParameters\":{", &pad)).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

#[test]
fn files_that_hold_more_than_their_size_tells() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    for file in 0..30 {
        // Among small ones some that fill a batch, and some that alone are more than one.
        let (records, bytes) = if file % 10 == 4 { (200, 20_000) } else { (20, 10_000) };
        let text = padded(file * 1000..file * 1000 + records, bytes);
        fs::write(logs.join(format!("{file:02}.json.gz")), gz(&text)).unwrap();
    }
    fs::write(logs.join("15.json.gz"), b"\x1f\x8bno gzip").unwrap();
    let (want, store) = (folder.path().join("want"), folder.path().join("store"));
    ingest(&want, &logs);
    for threads in [1, 3] {
        let store = store.join(threads.to_string());
        let options = IngestOptions { threads, batch_bytes: 1 << 20, compact_over: 99, ..options() };
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs), &options, &Quiet).unwrap();
        let stored = 26 * 20 + 3 * 200;
        assert_eq!(counts(&report), (stored + 1, stored, 0, 0, 1));
        assert_eq!((report.sources[0].new_files, report.sources[0].files), (30, 30));
        // Three of four megabytes each, and five of small ones.
        assert!(report.generation >= 15, "{}", report.generation);
        assert_eq!(contents(&store), contents(&want));
    }
}

#[test]
fn a_reason_that_quotes_its_record_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let key = "é".repeat(300_000);
    let twice = record(1).replacen("{", &format!("{{\"{key}\":1,\"{key}\":2,"), 1);
    fs::write(&path, format!("{}\n{twice}\n", record(0))).unwrap();
    let store = folder.path().join("store");
    assert_eq!(counts(&ingest(&store, &path)), (2, 1, 0, 0, 1));
    let row = &Reader::open(&store).unwrap().quarantine().unwrap()[0];
    assert!(row.reason.len() < 600, "{}", row.reason);
}

#[test]
fn a_long_run_leaves_few_files_at_any_time() {
    use jitscan::lake::{PartKind, Progress};
    struct Most<'f>(&'f Path, std::sync::atomic::AtomicUsize);
    impl Progress for Most<'_> {
        fn files_found(&self, _files: usize, _bytes: u64) {}
        fn file_done(&self, _path: &Path, _bytes: u64) {
            let packs = fs::read_dir(self.0.join("ids")).map_or(0, Iterator::count);
            self.1.fetch_max(packs, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (all, want, store) = (folder.path().join("logs"), folder.path().join("want"), folder.path().join("store"));
    logs(&all, 0..800, 10);
    ingest(&want, &all);
    let options = IngestOptions { batch_files: 1, compact_over: 4, ..options() };
    let most = Most(&store, 0.into());
    ingest_cloudtrail(&store, std::slice::from_ref(&all), &options, &most).unwrap();
    let most = most.1.into_inner();
    assert!((5..=9).contains(&most), "{most} packs at a time");
    assert_eq!(contents(&store), contents(&want));
    let reader = Reader::open(&store).unwrap();
    for kind in PartKind::ALL {
        assert!(reader.parquet_files(kind).len() <= 8, "{kind}");
    }
    // Told not to merge anything, it leaves all of them.
    let options = IngestOptions { compact_over: usize::MAX, ..options };
    let store = folder.path().join("apart");
    ingest_cloudtrail(&store, std::slice::from_ref(&all), &options, &Quiet).unwrap();
    assert_eq!(Reader::open(&store).unwrap().parquet_files(PartKind::Usage).len(), 80);
}
