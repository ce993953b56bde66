//! `lake prune`: what is left is what only the rest would have given.

use std::fs;

use jitscan::lake::{Effort, LakeError, PartKind, PrunedWhat, Writer};

use super::*;

/// A record of a day of spring 2025.
fn on(n: usize, day: usize) -> String {
    let (month, of) = if day <= 31 { (3, day) } else { (4, day - 31) };
    let at = record(n).find("\"eventTime\":\"").unwrap() + 13;
    let mut text = record(n);
    text.replace_range(at..at + 10, &format!("2025-{month:02}-{of:02}"));
    // Some have no id, some go by way of a service, some are no calls.
    match n % 11 {
        3 => text.replace(&format!("\"eventID\":\"e{n}\","), ""),
        5 => text.replace(
            "\"accountId\":\"111122223333\",\"access",
            "\"accountId\":\"111122223333\",\"invokedBy\":\"x.amazonaws.com\",\"access",
        ),
        7 => text.replace("AwsApiCall", "AwsServiceEvent"),
        8 => text.replace("\"readOnly\"", "\"sharedEventID\":\"s1\",\"vpcEndpointId\":\"vpce-1\",\"readOnly\""),
        _ => text,
    }
}

/// Log files of so many events over 45 days, two days a file; only events of days from `from` on.
fn write_logs(folder: &Path, from: usize) {
    fs::create_dir_all(folder).unwrap();
    for file in 0..23 {
        let days = [1 + 2 * file, 2 + 2 * file];
        let records: Vec<String> = (0..120)
            .map(|n| (days[n % 2], n))
            .filter(|(day, _)| *day >= from)
            .map(|(day, n)| on(file * 1000 + n, day))
            .collect();
        fs::write(folder.join(format!("{file:02}.json")), records.join("\n") + "\n{}\n").unwrap();
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn prune(store: &Path, before: &str) -> jitscan::lake::Pruned {
    let planned = Reader::open(store).unwrap().prune_plan(time(before)).unwrap();
    let mut writer = Writer::open(store, false, &Default::default()).unwrap();
    let pruned = writer.prune(time(before), options().now).unwrap();
    assert_eq!(planned.rows, pruned.rows, "the plan says what is done");
    pruned
}

fn gone(pruned: &jitscan::lake::Pruned) -> u64 {
    pruned.rows.iter().filter(|row| row.what == PrunedWhat::Events).filter_map(|row| row.entries).sum()
}

#[test]
fn equals_a_store_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_logs(&path("all"), 0);
    // A first of a month, days in the middle of either, the first day, after the last.
    for (number, (before, day)) in
        [("2025-03-01", 1), ("2025-03-18", 18), ("2025-04-01", 32), ("2025-04-09", 40), ("2026-01-01", 999)]
            .into_iter()
            .enumerate()
    {
        let rest = path(&format!("rest-{number}"));
        write_logs(&rest, day);
        let want = path(&format!("want-{number}"));
        ingest(&want, &rest);
        let want = contents(&want);
        for (how, batch_files, effort) in
            [("one commit", 99, None), ("many commits", 1, None), ("compacted", 3, Some(Effort::Full))]
        {
            let store = path(&format!("store-{number}-{batch_files}"));
            let options = IngestOptions { batch_files, compact_over: 99, ..options() };
            ingest_cloudtrail(&store, &[path("all")], &options, &Quiet).unwrap();
            let all = Reader::open(&store).unwrap().event_count();
            if let Some(effort) = effort {
                Writer::open(&store, false, &Default::default()).unwrap().compact(effort, options.now).unwrap();
            }
            let pruned = prune(&store, before);
            let got = contents(&store);
            assert_eq!(got.events, want.events, "{before} {how}");
            assert_eq!(got.shapes, want.shapes, "{before} {how}");
            assert_eq!(got.sessions, want.sessions, "{before} {how}");
            assert_eq!(got, want, "{before} {how}");
            let left = Reader::open(&store).unwrap().event_count();
            assert_eq!(gone(&pruned), all - left, "{before} {how}: {pruned:?}");
            // Again: nothing is left to do.
            let generation = Reader::open(&store).unwrap().generation().number;
            let again = prune(&store, before);
            assert_eq!((again.rows.len(), again.generation), (0, generation), "{again:?}");
            // Compacted afterwards, it is the same.
            Writer::open(&store, false, &Default::default()).unwrap().compact(Effort::Full, options.now).unwrap();
            assert_eq!(contents(&store), want, "{before} {how}, compacted");
            // The files are known: they are not read again.
            assert_eq!(counts(&ingest(&store, &path("all"))).0, 0);
            let quarantine = Reader::open(&store).unwrap().quarantine().unwrap().len();
            let old_files = (0..23).filter(|file| 2 + 2 * file < day).count();
            assert_eq!(quarantine, 23 - old_files, "{before} {how}");
        }
    }
}

#[test]
fn what_else_goes_and_what_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs) = (folder.path().join("store"), folder.path().join("logs"));
    write_logs(&logs, 0);
    let key = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2025/03";
    for (day, hour) in [(5, 10), (20, 10)] {
        let path = logs.join(key).join(format!("{day:02}"));
        fs::create_dir_all(&path).unwrap();
        let digest = format!(
            r#"{{"awsAccountId":"111122223333","digestStartTime":"2025-03-{day:02}T{hour:02}:00:00Z","digestEndTime":"2025-03-{day:02}T{:02}:00:00Z","digestS3Object":"{key}/{day:02}/111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_202503{day:02}T{hour:02}0000Z.json.gz","logFiles":[]}}"#,
            hour + 1
        );
        let name =
            format!("111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_202503{day:02}T{:02}0000Z.json.gz", hour + 1);
        fs::write(path.join(name), gz(&digest)).unwrap();
    }
    let trail = record(2).replace("AssumeRole", "StopLogging").replace("sts.amazonaws", "cloudtrail.amazonaws");
    fs::write(logs.join("trail.json"), trail.replace("\"e2\"", "\"trail\"")).unwrap();
    let options = IngestOptions { archive: true, ..options() };
    ingest_cloudtrail(&store, std::slice::from_ref(&logs), &options, &Quiet).unwrap();
    let reader = Reader::open(&store).unwrap();
    assert_eq!((reader.digest_spans().unwrap().len(), reader.trail_calls().unwrap().len()), (2, 1));
    let files = reader.files().unwrap();
    drop(reader);
    assert_eq!(fs::read_dir(store.join("archive")).unwrap().count(), 26);
    let pruned = prune(&store, "2025-03-18");
    assert_clean(&store);
    let reader = Reader::open(&store).unwrap();
    // The history of what was recorded stays, the span of a day whose events are gone does not.
    assert_eq!((reader.digest_spans().unwrap().len(), reader.trail_calls().unwrap().len()), (1, 1));
    assert_eq!(reader.files().unwrap(), files);
    let months: Vec<(PrunedWhat, &str)> = pruned.rows.iter().map(|row| (row.what, row.month.as_str())).collect();
    assert_eq!(
        months,
        [
            (PrunedWhat::Quarantine, ""),
            (PrunedWhat::Archive, ""),
            (PrunedWhat::Digests, ""),
            (PrunedWhat::Events, "2025-03"),
            (PrunedWhat::Facts, "2025-03"),
            (PrunedWhat::Ids, "2025-03")
        ]
    );
    // Eight files of two days each end before the eighteenth, and with them one digest and the trail's call.
    assert_eq!(fs::read_dir(store.join("archive")).unwrap().count(), 26 - 10);
    let ids: u64 = fs::read_dir(store.join("ids")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(ids, reader.event_count() * 32, "packs hold what is alive, and nothing else");
    drop(reader);
    // Copies of what is gone do not come back, nor their originals and what was set aside of them.
    fs::copy(logs.join("00.json"), logs.join("copy.json")).unwrap();
    let archive = options;
    let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs), &archive, &Quiet).unwrap();
    assert_eq!((counts(&report), report.sources[0].pruned), ((1, 0, 0, 0, 1), 120));
    assert_eq!(fs::read_dir(store.join("archive")).unwrap().count(), 26 - 10);
    // A file that grew: only what it says of days that are kept.
    let grown = fs::read_to_string(logs.join("08.json")).unwrap() + &on(999_999, 25) + "\n";
    fs::write(logs.join("08.json"), grown).unwrap();
    let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs), &archive, &Quiet).unwrap();
    assert_eq!((counts(&report), report.sources[0].pruned), ((62, 1, 60, 0, 1), 60));
    assert_clean(&store);
}

#[test]
fn nothing_of_it_is_left_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir(&logs).unwrap();
    let bad = |n: usize, day| on(n, day).replace("\"eventTime\"", "\"SECRETSECRET\":AAAA,\"eventTime\"");
    fs::write(logs.join("old.json"), (0..200).map(|n| bad(n, 1) + "\n").collect::<String>() + &on(1, 1)).unwrap();
    fs::write(logs.join("new.json"), on(5, 20)).unwrap();
    ingest(&store, &logs);
    let manifest = || {
        let names = ["manifest.sqlite", "manifest.sqlite-wal"];
        let bytes = names.iter().filter_map(|name| fs::read(store.join(name)).ok()).flatten().collect::<Vec<_>>();
        // What was set aside is packed; the paths of its rows are not.
        (bytes.len(), memchr::memmem::find_iter(&bytes, b"old.json").count())
    };
    let before = manifest();
    assert!(before.1 > 100, "{before:?}");
    // Somebody reads: nothing is claimed that was not done.
    let reader = Reader::open(&store).unwrap();
    let pruned = prune(&store, "2025-03-10");
    assert!(pruned.held && gone(&pruned) == 1, "{pruned:?}");
    drop(reader);
    let again = prune(&store, "2025-03-10");
    assert!(!again.held && again.rows.is_empty(), "{again:?}");
    // The file itself is known, and named once more by its index at most.
    let after = manifest();
    assert!(after.1 <= 2, "{before:?} {after:?}");
    assert_clean(&store);
}

#[test]
fn nothing_is_cut_from_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs) = (folder.path().join("store"), folder.path().join("logs"));
    write_logs(&logs, 0);
    ingest(&store, &logs);
    let path = Reader::open(&store).unwrap().parquet_files(PartKind::Shapes)[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let mut writer = Writer::open(&store, false, &Default::default()).unwrap();
    let error = writer.prune(time("2025-03-18"), options().now).unwrap_err();
    assert!(matches!(error, LakeError::Damaged { .. }) && error.to_string().contains("BLAKE3"), "{error}");
    bytes[200] ^= 4;
    fs::write(&path, &bytes).unwrap();
    writer.prune(time("2025-03-18"), options().now).unwrap();
    drop(writer);
    assert_clean(&store);
}
