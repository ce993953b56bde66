//! Processes that die: the next run completes, with no event twice and none missing.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use jitscan::lake::{CheckStatus, Effort, Fault, FaultPoint, Progress, Writer, check};
use proptest::prelude::*;

use super::*;

const STORE: &str = "JITSCAN_TEST_STORE";
const LOGS: &str = "JITSCAN_TEST_LOGS";
const FAULT: &str = "JITSCAN_TEST_FAULT";
const JOB: &str = "JITSCAN_TEST_JOB";

const POINTS: [FaultPoint; 7] = [
    FaultPoint::BeforeFiles,
    FaultPoint::AfterSegments,
    FaultPoint::BeforeManifest,
    FaultPoint::InManifest,
    FaultPoint::AfterManifest,
    FaultPoint::InCompaction,
    FaultPoint::InPrune,
];

/// What a process does that is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    /// Reads the logs and keeps the originals.
    Ingest,
    /// Merges all that can be merged.
    Compact,
    /// Removes what lies before [`CUT`].
    Prune,
    /// Reads the logs, each file in parts.
    Parts,
}

/// Within the second of the days of [`Case`].
const CUT: &str = "2025-03-02";

impl Job {
    const ALL: [Self; 3] = [Self::Ingest, Self::Compact, Self::Prune];
    const NUMBERED: [Self; 4] = [Self::Ingest, Self::Compact, Self::Prune, Self::Parts];

    fn run(self, store: &Path, logs: &Path, fault: Option<Fault>) {
        // Compaction is a job of its own, unless it is where an ingest is to die.
        let compact_over = if fault.is_some_and(|fault| fault.point == FaultPoint::InCompaction) { 8 } else { 99 };
        let mut options = IngestOptions { archive: true, fault, compact_over, ..small() };
        if self == Self::Parts {
            options = IngestOptions { large_bytes: 1, batch_bytes: 100_000, ..options };
        }
        if matches!(self, Self::Ingest | Self::Parts) {
            counts(&ingest_cloudtrail(store, &[logs.to_owned()], &options, &Quiet).unwrap());
            return;
        }
        let mut writer = Writer::open(store, false, &Default::default()).unwrap();
        writer.set_fault(fault);
        match self {
            Self::Prune => drop(writer.prune(CUT.parse().unwrap(), options.now).unwrap()),
            _ => drop(writer.compact(Effort::Full, options.now).unwrap()),
        }
    }
}

/// Small batches, so that a run has many commits, and its folds are merged at the end.
fn small() -> IngestOptions {
    IngestOptions { batch_files: 2, threads: 2, ..options() }
}

/// Not a test of its own: the process that the tests below start and kill.
#[test]
fn child() {
    let (Some(store), Some(logs)) = (std::env::var_os(STORE), std::env::var_os(LOGS)) else { return };
    let fault = std::env::var(FAULT).ok().map(|fault| {
        let (point, commit) = fault.split_once(' ').unwrap();
        Fault { point: POINTS[point.parse::<usize>().unwrap()], commit: commit.parse().unwrap() }
    });
    let job = Job::NUMBERED[std::env::var(JOB).unwrap().parse::<usize>().unwrap()];
    job.run(Path::new(&store), Path::new(&logs), fault);
}

fn start(job: Job, store: &Path, logs: &Path, fault: Option<&str>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lake::crash::child"]).env(STORE, store).env(LOGS, logs);
    command.env(JOB, Job::NUMBERED.iter().position(|other| *other == job).unwrap().to_string());
    if let Some(fault) = fault {
        command.env(FAULT, fault);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

struct Case {
    folder: tempfile::TempDir,
    want: Contents,
    /// What is left of it after a prune.
    pruned: Contents,
}

impl Case {
    /// Twenty-four files, some of whose events overlap, and what a run without interruption makes of them.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The last thousand are of the second day.
        let start = 86_400 - 1350;
        logs(&folder.path().join("logs"), start..start + 1200, 100);
        logs(&folder.path().join("logs/again"), start + 1150..start + 2350, 100);
        let store = folder.path().join("want");
        ingest(&store, &folder.path().join("logs"));
        let want = contents(&store);
        assert_eq!(want.events.len(), 2350);
        assert!(want.events.values().all(|count| *count == 1));
        Job::Prune.run(&store, Path::new(""), None);
        let pruned = contents(&store);
        assert_eq!(pruned.events.len(), 1000);
        Self { folder, want, pruned }
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn want(&self) -> Contents {
        self.want.clone()
    }

    fn pruned(&self) -> Contents {
        self.pruned.clone()
    }

    /// Compares with what was never disturbed; nothing else is left in the store.
    fn settled(&self, store: &Path, pruned: bool, how: &str) {
        let want = if pruned { &self.pruned } else { &self.want };
        assert_eq!(&contents(store), want, "{how}");
        let strays: Vec<_> =
            check(store).unwrap().rows.into_iter().filter(|row| row.status == CheckStatus::Info).collect();
        assert!(strays.iter().all(|row| !row.detail.contains("no generation names it")), "{how}: {strays:#?}");
        // Of the twenty-four files, those all of whose events went are gone.
        let kept = if pruned { 10 } else { 24 };
        assert_eq!(std::fs::read_dir(store.join("archive")).unwrap().count(), kept, "{how}");
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
        let commits: &[u32] = match point {
            FaultPoint::InPrune => continue,
            FaultPoint::InCompaction => &[12],
            _ => &[0, 3, 11],
        };
        for commit in commits {
            let store = case.folder.path().join(format!("store-{number}-{commit}"));
            let status = start(Job::Ingest, &store, &case.logs(), Some(&format!("{number} {commit}"))).wait().unwrap();
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
fn abort_at_every_point_of_what_looks_after_a_store() {
    let case = Case::new();
    let first = case.folder.path().join("first");
    Job::Ingest.run(&first, &case.logs(), None);
    for (job, points) in [
        (Job::Compact, &[FaultPoint::InCompaction, FaultPoint::InManifest][..]),
        (Job::Prune, &[FaultPoint::InPrune, FaultPoint::InManifest, FaultPoint::AfterManifest]),
    ] {
        for point in points {
            let store = case.folder.path().join(format!("{job:?}-{point:?}"));
            copy_store(&first, &store);
            let number = POINTS.iter().position(|other| other == point).unwrap();
            let status = start(job, &store, &case.logs(), Some(&format!("{number} 0"))).wait().unwrap();
            assert!(!status.success(), "{job:?} {point:?} was not reached");
            let done = job == Job::Prune && *point == FaultPoint::AfterManifest;
            assert_eq!(contents(&store), if done { case.pruned() } else { case.want() }, "{job:?} {point:?}");
            job.run(&store, &case.logs(), None);
            case.settled(&store, job == Job::Prune, &format!("{job:?} {point:?}"));
        }
    }
}

fn copy_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_store(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Numbers that look random, the same in every run of a seed.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides.max(1)
    }
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Ingest, compaction and prune, killed at random, again and again: `JITSCAN_KILLS=300 cargo nextest run kill_at` for
/// more of it, `JITSCAN_SEED` for other moments.
#[test]
fn kill_at_any_time() {
    let case = Case::new();
    let (wanted, seed) = (from_environment("JITSCAN_KILLS", 30), from_environment("JITSCAN_SEED", 20_261_121));
    let mut dice = Dice(seed | 1);
    let mut took: [u64; 3] = [0; 3];
    let (mut kills, mut late, mut lives) = ([0u64; 3], 0, 0);
    while kills.iter().sum::<u64>() < wanted {
        lives += 1;
        let store = case.folder.path().join(format!("life-{lives}"));
        for (at, mut job) in Job::ALL.into_iter().enumerate() {
            if job == Job::Ingest && lives % 2 == 0 {
                job = Job::Parts;
            }
            if took[at] == 0 {
                // How long it takes undisturbed, in a process of its own.
                let measured = case.folder.path().join("measured");
                let begin = std::time::Instant::now();
                assert!(start(job, &measured, &case.logs(), None).wait().unwrap().success());
                took[at] = begin.elapsed().as_micros() as u64;
            }
            for _ in 0..1 + dice.roll(5) {
                let mut child = start(job, &store, &case.logs(), None);
                std::thread::sleep(Duration::from_micros(dice.roll(took[at])));
                let late_now = child.try_wait().unwrap().is_some();
                child.kill().unwrap();
                child.wait().unwrap();
                late += u64::from(late_now);
                kills[at] += u64::from(!late_now);
                if store.join("manifest.sqlite").is_file() && kills[at].is_multiple_of(3) {
                    match check(&store) {
                        Ok(report) => assert!(report.is_clean(), "{job:?}, seed {seed}: {:#?}", report.rows),
                        // Killed before the first table was there.
                        Err(error) => assert!(matches!(error, jitscan::lake::LakeError::Missing { .. }), "{error}"),
                    }
                }
            }
            job.run(&store, &case.logs(), None);
            case.settled(&store, job == Job::Prune, &format!("{job:?}, life {lives}, seed {seed}"));
        }
        std::fs::remove_dir_all(&store).unwrap();
    }
    println!(
        "{lives} stores; killed: ingest {}, compact {}, prune {}; {late} came too late",
        kills[0], kills[1], kills[2]
    );
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
    // A single thread reads and commits by turns.
    for threads in [1, 2, 4] {
        let store = folder.path().join(format!("whole-{threads}"));
        let options = IngestOptions { threads, ..parts() };
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&all), &options, &Quiet).unwrap();
        assert_eq!(counts(&report), (6001, 6000, 0, 0, 1));
        assert!(report.generation > 8, "{report:?}");
        assert_eq!(contents(&store), want);
        let reader = Reader::open(&store).unwrap();
        assert_eq!(reader.quarantine().unwrap().len(), 1);
        let files: Vec<(u64, u64)> = reader.files().unwrap().iter().map(|file| (file.read, file.stored)).collect();
        assert_eq!(files, [(3001, 3000), (3000, 3000)], "the counts of all parts");
    }
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

/// A large file that cannot be read, or is what it was, is no reason to leave the next one out.
#[test]
fn large_files_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, all) = (folder.path().join("store"), folder.path().join("logs"));
    std::fs::create_dir(&all).unwrap();
    let lines = |range: std::ops::Range<usize>| range.map(|n| record(n) + "\n").collect::<String>();
    std::fs::write(all.join("a.json"), lines(0..500)).unwrap();
    std::fs::write(all.join("b.parquet"), b"PAR1 and then nothing that is Parquet PAR1").unwrap();
    std::fs::write(all.join("c.json"), lines(500..1500)).unwrap();
    let large = IngestOptions { large_bytes: 1, batch_bytes: 100_000, ..options() };
    let read = || ingest_cloudtrail(&store, std::slice::from_ref(&all), &large, &Quiet).unwrap();
    let report = read();
    assert_eq!(counts(&report), (1500, 1500, 0, 0, 0));
    let lost: Vec<_> = report.sources[0].lost.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(lost, ["b.parquet"]);
    // Another time, the same content: noted, so that the next run need not look.
    let file = std::fs::File::options().append(true).open(all.join("a.json")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    std::fs::write(all.join("c.json"), lines(500..1600)).unwrap();
    let report = read();
    assert_eq!((counts(&report), report.sources[0].new_files), ((1100, 100, 1000, 0, 0), 1));
    assert_eq!((counts(&read()), contents(&store).events.len()), ((0, 0, 0, 0, 0), 1600));
}

#[test]
fn a_reading_that_was_killed_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs) = (folder.path().join("store"), folder.path().join("logs"));
    std::fs::create_dir(&logs).unwrap();
    let path = logs.join("a.json");
    let lines = |range: std::ops::Range<usize>| range.map(|n| record(n) + "\n").collect::<String>();
    let first = "{}\n".to_owned() + &lines(0..1000);
    std::fs::write(&path, &first).unwrap();
    Job::Parts.run(&store, &logs, None);
    let set_aside = Reader::open(&store).unwrap().quarantine().unwrap();
    assert_eq!(set_aside.len(), 1);
    // It changes, is read in part, and then is what it was: what was set aside of it has to come back.
    std::fs::write(&path, lines(0..3000)).unwrap();
    let number = POINTS.iter().position(|point| *point == FaultPoint::AfterManifest).unwrap();
    assert!(!start(Job::Parts, &store, &logs, Some(&format!("{number} 1"))).wait().unwrap().success());
    assert!(Reader::open(&store).unwrap().quarantine().unwrap().is_empty());
    let manifest = rusqlite::Connection::open(store.join("manifest.sqlite")).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let (status, hash) = manifest.query_row("SELECT status, hash FROM files", [], row).unwrap();
    assert_eq!((status.as_str(), hash.as_str()), ("changing", ""));
    assert_clean(&store);
    std::fs::write(&path, &first).unwrap();
    assert_eq!(counts(&ingest(&store, &logs)), (1001, 0, 1000, 0, 1));
    assert_eq!(Reader::open(&store).unwrap().quarantine().unwrap(), set_aside);
    assert_clean(&store);
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
