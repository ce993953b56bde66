//! Inputs and disks that misbehave: a clear error or a quarantine row, and a store that still opens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use jitscan::lake::{Effort, LakeError, PartKind, PutDocument, Writer};

use super::*;

/// A folder with one file of the given bytes, ingested into a fresh store.
fn one(name: &str, bytes: &[u8]) -> (tempfile::TempDir, IngestReport) {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join(name), bytes).unwrap();
    let report = ingest(&folder.path().join("store"), &logs);
    Reader::open(&folder.path().join("store")).unwrap();
    (folder, report)
}

fn list(range: std::ops::Range<usize>) -> String {
    format!("{{\"Records\":[{}]}}", range.map(record).collect::<Vec<_>>().join(","))
}

#[test]
fn truncated_gzip_keeps_what_came_before_and_is_read_again_when_whole() {
    let whole = gz(&list(0..300));
    let (folder, report) = one("a.json.gz", &whole[..whole.len() / 2]);
    let (read, stored, _, _, quarantined) = counts(&report);
    assert!(stored > 50 && stored < 280 && quarantined == 1 && read == stored + 1, "{report:?}");
    assert_eq!(report.sources[0].incomplete, 1);
    assert!(report.is_incomplete());
    let store = folder.path().join("store");
    assert_eq!(counts(&ingest(&store, &folder.path().join("logs"))).0, 0, "unchanged: not read again");
    fs::write(folder.path().join("logs/a.json.gz"), &whole).unwrap();
    let again = ingest(&store, &folder.path().join("logs"));
    assert_eq!(counts(&again), (300, 300 - stored, stored, 0, 0));
    let reader = Reader::open(&store).unwrap();
    assert!(reader.quarantine().unwrap().is_empty(), "the whole file replaces the verdict on its half");
    assert!(reader.files().unwrap()[0].complete);
}

#[test]
fn bad_records_cost_themselves() {
    let mut bytes = format!("[{},{{\"eventID\":\"", record(1)).into_bytes();
    bytes.extend_from_slice(b"\xff\"},");
    bytes.extend_from_slice(format!("{}]", record(2)).as_bytes());
    let (folder, report) = one("a.json", &bytes);
    assert_eq!(counts(&report), (3, 2, 0, 0, 1));
    let row = &Reader::open(&folder.path().join("store")).unwrap().quarantine().unwrap()[0];
    assert_eq!((row.offset, row.length), (record(1).len() as u64 + 2, 15));
    assert!(row.reason.contains("invalid UTF-8") && row.file.ends_with("a.json") && row.hash.len() == 32, "{row:?}");
}

#[test]
fn a_record_of_50_megabytes() {
    let big = record(1).replace("aws-cli/2", &"x".repeat(50 << 20));
    let text = format!("{{\"Records\":[{},{big},{}]}}", record(0), record(2));
    for (name, bytes) in [("a.json", text.clone().into_bytes()), ("a.json.gz", gz(&text))] {
        let (folder, report) = one(name, &bytes);
        assert_eq!(counts(&report), (3, 2, 0, 0, 1), "{name}");
        let row = &Reader::open(&folder.path().join("store")).unwrap().quarantine().unwrap()[0];
        assert_eq!((row.offset, row.length), (record(0).len() as u64 + 13, big.len() as u64));
        assert!(row.reason.contains("longer than the limit"), "{}", row.reason);
    }
}

#[test]
fn what_is_no_log() {
    let (_folder, report) = one("a.json", b"This is no JSON.\nNot at all, {really}.\n");
    assert_eq!(counts(&report), (1, 0, 0, 0, 1));
    let (folder, report) = one("README.md", b"# Logs\n");
    assert_eq!((counts(&report).0, report.sources[0].skipped.len(), report.is_incomplete()), (0, 1, false));
    let named = ingest(&folder.path().join("store"), &folder.path().join("logs/README.md"));
    assert_eq!(counts(&named), (1, 0, 0, 0, 1));
    let missing = ingest_cloudtrail(folder.path(), &[folder.path().join("none")], &options(), &Quiet);
    assert!(matches!(missing, Err(LakeError::Input { .. })));
    assert!(missing.unwrap_err().to_string().contains("none"));
}

#[test]
fn unreadable_files_and_folders_are_lost_not_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let logs_folder = folder.path().join("logs");
    logs(&logs_folder, 0..10, 5);
    fs::create_dir(logs_folder.join("closed")).unwrap();
    fs::set_permissions(logs_folder.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    std::os::unix::fs::symlink("nowhere", logs_folder.join("dangling.json")).unwrap();
    let superuser = fs::read_dir(logs_folder.join("closed")).is_ok();
    let report = ingest(&folder.path().join("store"), &logs_folder);
    fs::set_permissions(logs_folder.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(counts(&report), (10, 10, 0, 0, 0));
    assert!(report.is_incomplete());
    // The superuser may read any folder; the dangling link is lost for everyone.
    assert_eq!(report.sources[0].lost.len(), if superuser { 1 } else { 2 }, "{:?}", report.sources[0].lost);
}

#[test]
fn digests_insights_and_network_activity_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("logs/AWSLogs/o-abc/111122223333");
    let write = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let day = "eu-west-1/2025/03/01/111122223333_CloudTrail";
    write(&format!("CloudTrail/{day}_eu-west-1_20250301T0005Z_a.json.gz"), &gz(&list(0..3)));
    let digest = r#"{"awsAccountId":"111122223333","digestStartTime":"2025-02-28T23:05:00Z","digestEndTime":"2025-03-01T00:05:00Z","digestS3Object":"","logFiles":[]}"#;
    write(&format!("CloudTrail-Digest/{day}-Digest_eu-west-1_t_eu-west-1_20250301T000500Z.json.gz"), &gz(digest));
    // What stands among digests and is none is set aside.
    write(&format!("CloudTrail-Digest/{day}-Digest_eu-west-1_t_eu-west-1_20250301T010500Z.json.gz"), &gz("{\"x\":1}"));
    let insight = r#"{"Records":[{"eventVersion":"1.07","eventTime":"2025-03-01T00:00:00Z","awsRegion":"eu-west-1","eventID":"i","eventType":"AwsCloudTrailInsight","recipientAccountId":"111122223333","sharedEventID":"s","insightDetails":{"state":"Start","eventSource":"ec2.amazonaws.com","eventName":"RunInstances"},"eventCategory":"Insight"}]}"#;
    write(&format!("CloudTrail-Insight/{day}-Insight_eu-west-1_20250301T0005Z_a.json.gz"), &gz(insight));
    let vpce = list(7..8).replace("\"Management\"", "\"NetworkActivity\"").replace("AwsApiCall", "AwsVpceEvent");
    write(&format!("CloudTrail-NetworkActivity/{day}-NetworkActivity_eu-west-1_20250301T0005Z_a.json.gz"), &gz(&vpce));
    let report = ingest(&folder.path().join("store"), &folder.path().join("logs"));
    let row = &report.sources[0];
    assert_eq!((row.files, row.digests, row.insights, row.network_activity), (5, 1, 1, 1));
    assert_eq!(counts(&report), (6, 5, 0, 0, 1));
    let reader = Reader::open(&folder.path().join("store")).unwrap();
    assert_eq!(reader.usage(all_time()).unwrap().iter().map(|r| r.fact.count).sum::<u64>(), 4);
    let file = &reader.files().unwrap()[0];
    assert_eq!((file.account.as_str(), file.region.as_str()), ("111122223333", "eu-west-1"));
    assert_eq!(file.delivered.unwrap().to_string(), "2025-03-01T00:05:00Z");
}

#[test]
fn calls_on_several_resources_of_a_kind_are_counted_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir(&logs_folder).unwrap();
    for (at, others) in [(0, r#"{"ARN":"arn:aws:kms:r:1:key/b"}"#), (1, ""), (2, r#"{"ARN":"arn:aws:kms:r:1:key/c"}"#)]
    {
        let list =
            format!(r#"[{{"ARN":"arn:aws:kms:r:1:key/a"}}{}{others}]"#, if others.is_empty() { "" } else { "," });
        let text = format!(
            r#"{{"Records":[{{"eventTime":"2025-03-01T00:00:0{at}Z","eventSource":"kms.amazonaws.com","eventName":"ReEncrypt","eventID":"e{at}","awsRegion":"r","recipientAccountId":"111122223333","resources":{list}}}]}}"#
        );
        fs::write(logs_folder.join(format!("{at}.json.gz")), gz(&text)).unwrap();
    }
    let options = IngestOptions { batch_files: 1, compact_over: 99, ..options() };
    ingest_cloudtrail(&store, &[logs_folder], &options, &Quiet).unwrap();
    let told = || {
        let rows = Reader::open(&store).unwrap().usage(all_time()).unwrap();
        rows.iter().map(|row| (row.key.resource.clone(), row.fact.count, row.fact.several)).collect::<Vec<_>>()
    };
    let want = [("arn:aws:kms:r:1:key/a".to_owned(), 3, 2)];
    assert_eq!(told(), want);
    let mut writer = Writer::open(&store, false, &AtomicBool::new(false)).unwrap();
    writer.compact(Effort::Full, options.now).unwrap();
    drop(writer);
    assert_clean(&store);
    assert_eq!(told(), want);
}

#[test]
fn copies_and_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    logs(&logs_folder, 0..20, 10);
    fs::copy(logs_folder.join("00000000.json.gz"), logs_folder.join("copy.json.gz")).unwrap();
    assert_eq!(counts(&ingest(&store, &logs_folder)), (30, 20, 10, 0, 0));
    let before = contents(&store);
    // Touched, not changed.
    let path = logs_folder.join("00000010.json.gz");
    let same = fs::read(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(counts(&ingest(&store, &logs_folder)), (0, 0, 0, 0, 0));
    // Changed: read again, nothing counted twice.
    fs::write(&path, gz(&list(10..25))).unwrap();
    assert_eq!(counts(&ingest(&store, &logs_folder)), (15, 5, 10, 0, 0));
    assert_eq!(contents(&store).events.len(), before.events.len() + 5);
    // Same id, other content: kept and reported.
    let other = record(3).replace("aws-cli/2", "aws-cli/3");
    fs::write(logs_folder.join("other.json"), format!("{other}\n{}\n", record(3))).unwrap();
    assert_eq!(counts(&ingest(&store, &logs_folder)), (2, 1, 1, 1, 0));
    fs::write(&path, same).unwrap();
}

#[test]
fn two_writers_and_a_newer_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    logs(&logs_folder, 0..10, 10);
    let stop = AtomicBool::new(false);
    let writer = Writer::open(&store, false, &stop).unwrap();
    let second = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options(), &Quiet).unwrap_err();
    let text = second.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    let waiting = {
        let (store, logs_folder) = (store.clone(), logs_folder);
        std::thread::spawn(move || {
            let options = IngestOptions { wait: true, ..options() };
            ingest_cloudtrail(&store, &[logs_folder], &options, &Quiet).unwrap()
        })
    };
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!waiting.is_finished());
    drop(writer);
    assert_eq!(counts(&waiting.join().unwrap()), (10, 10, 0, 0, 0));
    for path in ["", "segments", "folds", "ids", "documents"] {
        assert_eq!(fs::metadata(store.join(path)).unwrap().permissions().mode() & 0o777, 0o700, "{path}");
    }
    for entry in ["manifest.sqlite", "writer.lock", "readers.lock"] {
        assert_eq!(fs::metadata(store.join(entry)).unwrap().permissions().mode() & 0o777, 0o600, "{entry}");
    }
    for kind in PartKind::ALL {
        for path in Reader::open(&store).unwrap().parquet_files(kind) {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    let manifest = rusqlite::Connection::open(store.join("manifest.sqlite")).unwrap();
    manifest.execute("UPDATE kv SET value = '99' WHERE key = 'format'", []).unwrap();
    for refused in [Reader::open(&store).map(drop), Writer::open(&store, false, &stop).map(drop)] {
        assert!(matches!(refused, Err(LakeError::Newer { found: 99, .. })), "{refused:?}");
    }
    assert!(matches!(Reader::open(&folder.path().join("no")), Err(LakeError::Missing { .. })));
}

#[test]
fn a_reader_keeps_its_generation_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    logs(&logs_folder, 0..10, 10);
    ingest(&store, &logs_folder);
    let reader = Reader::open(&store).unwrap();
    let usage = reader.usage(all_time()).unwrap();
    // Enough generations for the folds to be merged and the old ones to be swept, were it not for the reader.
    for n in 1..12 {
        logs(&logs_folder, n * 100..n * 100 + 10, 10);
        ingest(&store, &logs_folder);
    }
    assert_eq!(reader.usage(all_time()).unwrap(), usage);
    assert_eq!(reader.files().unwrap().len(), 1);
    drop(reader);
    let reader = Reader::open(&store).unwrap();
    assert_eq!(reader.event_count(), 120);
    assert_eq!(reader.usage(all_time()).unwrap().iter().map(|r| r.fact.count).sum::<u64>(), 120);
    for kind in [PartKind::Usage, PartKind::Events] {
        assert!(reader.parquet_files(kind).len() <= 8, "{kind} files were merged");
    }
    let mut ids = std::collections::BTreeSet::new();
    reader.events(|row| assert!(ids.insert(row.event.id))).unwrap();
    assert_eq!(ids.len(), 120);
    drop(reader);
    // The next writer sweeps what the reader held.
    drop(Writer::open(&store, false, &AtomicBool::new(false)).unwrap());
    let reader = Reader::open(&store).unwrap();
    let named: usize =
        PartKind::ALL.iter().filter(|k| **k != PartKind::Events).map(|k| reader.parquet_files(*k).len()).sum();
    assert_eq!(fs::read_dir(store.join("folds")).unwrap().count(), named);
}

#[test]
fn documents_and_state() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let now = time("2026-01-05");
    let mut writer = Writer::open(folder.path(), false, &stop).unwrap();
    let mut put =
        |account, at: &str, bytes: &[u8]| writer.put_document("iam", account, time(at), "a.json", bytes, now).unwrap();
    assert_eq!(put(Some("111122223333"), "2026-01-01", b"old"), PutDocument::New);
    assert_eq!(put(Some("111122223333"), "2026-01-02", b"new"), PutDocument::New);
    assert_eq!(put(Some("111122223333"), "2026-01-02", b"new"), PutDocument::AlreadyPresent);
    assert_eq!(put(None, "2026-01-01", b"old"), PutDocument::New);
    writer.put_state("findings", &serde_json::json!({"a": 1})).unwrap();
    writer.put_state("findings", &serde_json::json!({"a": 2})).unwrap();
    drop(writer);
    let reader = Reader::open(folder.path()).unwrap();
    let documents = reader.documents().unwrap();
    let shown: Vec<_> = documents.iter().map(|d| (d.account.as_str(), reader.document_bytes(d).unwrap())).collect();
    assert_eq!(shown, [("", b"old".to_vec()), ("111122223333", b"new".to_vec()), ("111122223333", b"old".to_vec())]);
    assert_eq!(reader.state("findings").unwrap(), Some(serde_json::json!({"a": 2})));
    assert_eq!(reader.state("none").unwrap(), None);
    assert_eq!(fs::read_dir(folder.path().join("documents")).unwrap().count(), 2);
    fs::write(folder.path().join(format!("documents/{}.zst", documents[0].hash)), b"broken").unwrap();
    assert!(reader.document_bytes(&documents[0]).is_err());
}

#[test]
fn a_full_disk_leaves_the_last_generation() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, logs_folder) = (folder.path().join("disk"), folder.path().join("logs"));
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small tmpfs needs the superuser");
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let store = disk.join("store");
        logs(&logs_folder, 0..10, 10);
        ingest(&store, &logs_folder);
        let before = contents(&store);
        logs(&logs_folder, 1000..61_000, 6000);
        let mut fails = 0;
        for (batch_bytes, large_bytes) in [(1 << 30, 1 << 30), (1 << 20, 1 << 30), (1 << 20, 1)] {
            let options = IngestOptions { batch_bytes, large_bytes, ..options() };
            let full = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &Quiet);
            fails += usize::from(matches!(full, Err(LakeError::NoSpace { .. })));
            if let Err(error) = full {
                println!("{error}");
                assert!(error.to_string().contains("no space left"), "{error}");
            }
            let after = contents(&store);
            assert!(before.events.keys().all(|event| after.events.contains_key(event)));
            assert_eq!(after.usage.values().map(|f| f.count).sum::<u64>(), after.events.values().sum::<usize>() as u64);
        }
        assert_eq!(fails, 3, "sixty thousand events do not fit into 2 MiB");
        // More room: the same command completes.
        let grown = Command::new("mount").args(["-o", "remount,size=256m"]).arg(&disk).output().unwrap();
        assert!(grown.status.success());
        ingest(&store, &logs_folder);
        let elsewhere = folder.path().join("elsewhere");
        ingest(&elsewhere, &logs_folder);
        assert_eq!(contents(&store), contents(&elsewhere));
    });
    let _ = Command::new("umount").arg(&disk).output();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Whoever watches is told of every file, event and byte once, of a large file while it is read.
#[test]
fn progress_adds_up() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    #[derive(Default)]
    struct Sums {
        found: [AtomicU64; 2],
        /// Bytes and events, and how often there were bytes before the end of a file.
        more: [AtomicU64; 3],
        done: [AtomicU64; 2],
    }
    impl jitscan::lake::Progress for Sums {
        fn files_found(&self, files: usize, bytes: u64) {
            self.found[0].store(files as u64, Relaxed);
            self.found[1].store(bytes, Relaxed);
        }
        fn more(&self, bytes: u64, events: u64) {
            self.more[0].fetch_add(bytes, Relaxed);
            self.more[1].fetch_add(events, Relaxed);
            self.more[2].fetch_add(u64::from(bytes > 0), Relaxed);
        }
        fn file_done(&self, _path: &Path, bytes: u64) {
            self.done[0].fetch_add(1, Relaxed);
            self.done[1].fetch_add(bytes, Relaxed);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let logs_folder = folder.path().join("logs");
    logs(&logs_folder, 0..300, 100);
    let padding = "x".repeat(100_000);
    let lines: String = (1000..1400).map(|n| record(n).replace("aws-cli/2", &padding) + "\n").collect();
    assert!(lines.len() > 32 << 20);
    fs::write(logs_folder.join("large.json"), &lines).unwrap();
    fs::write(logs_folder.join("bad.json"), "{\"eventTime\":\n").unwrap();
    let size: u64 = fs::read_dir(&logs_folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    for (large_bytes, steps) in [(1 << 30, 0), (32 << 20, 5), (1, 5)] {
        let (store, sums) = (folder.path().join(large_bytes.to_string()), Sums::default());
        let options = IngestOptions { large_bytes, ..options() };
        ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &sums).unwrap();
        let [bytes, events, told] = sums.more.map(AtomicU64::into_inner);
        let [done, rest] = sums.done.map(AtomicU64::into_inner);
        assert_eq!(sums.found.map(AtomicU64::into_inner), [done, size], "{large_bytes}");
        assert_eq!((done, events, bytes + rest), (5, 700, size), "{large_bytes}");
        assert!(told >= steps, "{large_bytes}: {told}");
    }
}
