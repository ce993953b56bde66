//! Processes that die: the next run completes, with no event twice and none missing.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use jitscan::lake::{Fault, FaultPoint, Progress};
use proptest::prelude::*;

use super::*;

const STORE: &str = "JITSCAN_TEST_STORE";
const LOGS: &str = "JITSCAN_TEST_LOGS";
const FAULT: &str = "JITSCAN_TEST_FAULT";

const POINTS: [FaultPoint; 6] = [
    FaultPoint::BeforeFiles,
    FaultPoint::AfterSegments,
    FaultPoint::BeforeManifest,
    FaultPoint::InManifest,
    FaultPoint::AfterManifest,
    FaultPoint::InCompaction,
];

/// Small batches, so that a run has many commits, and its folds are merged at the end.
fn small() -> IngestOptions {
    IngestOptions { batch_files: 2, threads: 2, ..options() }
}

/// Not a test of its own: the process that the tests below start and kill.
#[test]
fn child() {
    let (Some(store), Some(logs)) = (std::env::var_os(STORE), std::env::var_os(LOGS)) else { return };
    let mut options = small();
    if let Ok(fault) = std::env::var(FAULT) {
        let (point, commit) = fault.split_once(' ').unwrap();
        let point = POINTS[point.parse::<usize>().unwrap()];
        options.fault = Some(Fault { point, commit: commit.parse().unwrap() });
    }
    ingest_cloudtrail(Path::new(&store), &[PathBuf::from(logs)], &options, &Quiet).unwrap();
}

fn start(store: &Path, logs: &Path, fault: Option<&str>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lake::crash::child"]).env(STORE, store).env(LOGS, logs);
    if let Some(fault) = fault {
        command.env(FAULT, fault);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

struct Case {
    folder: tempfile::TempDir,
    want: Contents,
}

impl Case {
    /// Twenty-four files, some of whose events overlap, and what a run without interruption makes of them.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        logs(&folder.path().join("logs"), 0..1200, 100);
        logs(&folder.path().join("logs/again"), 1150..2350, 100);
        let want = folder.path().join("want");
        ingest(&want, &folder.path().join("logs"));
        let want = contents(&want);
        assert_eq!(want.events.len(), 2350);
        assert!(want.events.values().all(|count| *count == 1));
        Self { folder, want }
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// Runs again and compares with the uninterrupted run.
    fn complete(&self, store: &Path, how: &str) {
        let report = ingest_cloudtrail(store, &[self.logs()], &small(), &Quiet).unwrap();
        counts(&report);
        let got = contents(store);
        assert_eq!(got.events, self.want.events, "{how}");
        assert_eq!(got, self.want, "{how}");
    }
}

#[test]
fn abort_at_every_point_of_a_commit() {
    let case = Case::new();
    for (number, point) in POINTS.iter().enumerate() {
        // The folds are merged after the last of twelve commits.
        let commits: &[u32] = if *point == FaultPoint::InCompaction { &[12] } else { &[0, 3, 11] };
        for commit in commits {
            let store = case.folder.path().join(format!("store-{number}-{commit}"));
            let status = start(&store, &case.logs(), Some(&format!("{number} {commit}"))).wait().unwrap();
            assert!(!status.success(), "{point:?} {commit} was not reached");
            if *commit > 0 {
                // What was complete can be read before anything is repaired.
                let partial = contents(&store);
                let folded: u64 = partial.usage.values().map(|fact| fact.count).sum();
                assert_eq!(folded, partial.events.len() as u64, "{point:?} {commit}");
            }
            case.complete(&store, &format!("{point:?} {commit}"));
        }
    }
}

#[test]
fn kill_at_any_time() {
    let case = Case::new();
    for (number, delay) in [5u64, 20, 40, 60, 90, 130, 200].into_iter().enumerate() {
        let store = case.folder.path().join(format!("store-{number}"));
        // Several deaths in a row.
        for more in 0..3 {
            let mut child = start(&store, &case.logs(), None);
            std::thread::sleep(Duration::from_millis(delay + 10 * more));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        case.complete(&store, &format!("killed after {delay} ms"));
    }
}

#[test]
fn large_files_are_committed_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let (all, again) = (folder.path().join("logs"), folder.path().join("want"));
    std::fs::create_dir(&all).unwrap();
    let lines: String = (0..3000).map(|n| record(n) + "\n").collect();
    std::fs::write(all.join("a.json"), format!("{lines}{{\"eventTime\":\n")).unwrap();
    std::fs::write(all.join("b.json.gz"), gz(&lines.replace("\"eventID\":\"e", "\"eventID\":\"f"))).unwrap();
    ingest(&again, &all);
    let want = contents(&again);
    assert_eq!(want.events.len(), 6000);
    let parts = || IngestOptions { large_bytes: 1, batch_bytes: 400_000, ..options() };
    let whole_store = folder.path().join("whole");
    let report = ingest_cloudtrail(&whole_store, std::slice::from_ref(&all), &parts(), &Quiet).unwrap();
    assert_eq!(counts(&report), (6001, 6000, 0, 0, 1));
    assert!(report.generation > 8, "{report:?}");
    assert_eq!(contents(&whole_store), want);
    assert_eq!(Reader::open(&whole_store).unwrap().quarantine().unwrap().len(), 1);
    // Stopped between the parts: the file is read again, what is there is known.
    let store = folder.path().join("stopped");
    let stopped = IngestOptions { fault: None, stop: Default::default(), ..parts() };
    struct Stop(std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl Progress for Stop {
        fn files_found(&self, _files: usize, _bytes: u64) {}
        fn file_done(&self, _path: &Path, _bytes: u64) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let report = ingest_cloudtrail(&store, std::slice::from_ref(&all), &stopped, &Stop(stopped.stop.clone())).unwrap();
    assert!(report.interrupted);
    let report = ingest_cloudtrail(&store, std::slice::from_ref(&all), &parts(), &Quiet).unwrap();
    assert_eq!(counts(&report), (3000, 3000, 0, 0, 0));
    assert_eq!(contents(&store), want);
}

/// A file that streams from the disk, larger than what is read in one piece.
#[test]
fn a_file_larger_than_memory_is_meant_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.json");
    let padding = "x".repeat(100_000);
    let lines: String = (0..700).map(|n| record(n).replace("aws-cli/2", &padding) + "\n").collect();
    assert!(lines.len() > 64 << 20);
    for bytes in [lines.clone().into_bytes(), lines.as_bytes()[..lines.len() - 10].to_vec()] {
        std::fs::write(&path, &bytes).unwrap();
        let store = folder.path().join(bytes.len().to_string());
        let report = ingest(&store, &path);
        let cut = u64::from(bytes.len() < lines.len());
        assert_eq!(counts(&report), (700, 700 - cut, 0, 0, cut));
        let file = &Reader::open(&store).unwrap().files().unwrap()[0];
        assert_eq!((file.hash.as_str(), file.complete), (blake3::hash(&bytes).to_hex().as_str(), cut == 0));
    }
}

#[test]
fn a_stop_discards_the_batch_in_hand_only() {
    struct StopAfter(std::sync::atomic::AtomicUsize, usize, std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl Progress for StopAfter {
        fn files_found(&self, _files: usize, _bytes: u64) {}
        fn file_done(&self, _path: &Path, _bytes: u64) {
            if self.0.fetch_add(1, Ordering::Relaxed) + 1 == self.1 {
                self.2.store(true, Ordering::Relaxed);
            }
        }
    }
    let case = Case::new();
    for files in [1, 2, 7, 24] {
        let store = case.folder.path().join(format!("store-{files}"));
        let options = small();
        let progress = StopAfter(0.into(), files, options.stop.clone());
        let report = ingest_cloudtrail(&store, &[case.logs()], &options, &progress).unwrap();
        counts(&report);
        // The other file of the batch may have been under way.
        let most = files.next_multiple_of(2) as u64;
        assert!(report.interrupted == (files < 24) && report.sources[0].new_files <= most, "{report:?}");
        case.complete(&store, &format!("stopped after {files} files"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// However the records are cut into files and runs: the same events, the same folds.
    #[test]
    fn folds_do_not_depend_on_how_the_logs_came(
        cuts in prop::collection::vec(1usize..400, 1..5),
        per_file in 1usize..60,
        batch_files in 1usize..5,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (all, parts) = (folder.path().join("all"), folder.path().join("parts"));
        let end: usize = cuts.iter().sum();
        logs(&all.join("logs"), 0..end, 1000);
        ingest(&all.join("store"), &all.join("logs"));
        let mut start = 0;
        for cut in cuts {
            // Each run overlaps the one before.
            logs(&parts.join("logs"), start.max(20) - 20..start + cut, per_file);
            start += cut;
            let options = IngestOptions { batch_files, ..options() };
            let report = ingest_cloudtrail(&parts.join("store"), &[parts.join("logs")], &options, &Quiet).unwrap();
            counts(&report);
        }
        prop_assert_eq!(contents(&parts.join("store")), contents(&all.join("store")));
    }
}
