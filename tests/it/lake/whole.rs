//! What covers hours: trail files, exports, exports that the user declares complete, and copies.

use std::fs;
use std::path::Path;

use jitscan::lake::{Effort, IngestOptions, Quiet, Reader, Writer, ingest_cloudtrail};
use jitscan::usage::fold::FactSource;

use super::{all_time, assert_clean, counts, ingest, options};

fn record(id: u32) -> String {
    let (hour, minute) = (id / 60, id % 60);
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::111122223333:user/a","accountId":"111122223333"}},"eventTime":"2025-03-31T{hour:02}:{minute:02}:00Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"eu-west-1","requestParameters":null,"responseElements":null,"eventID":"e{id}","eventType":"AwsApiCall","recipientAccountId":"111122223333","managementEvent":true,"eventCategory":"Management"}}"#
    )
}

fn trail_file(ids: std::ops::Range<u32>) -> String {
    format!(r#"{{"Records":[{}]}}"#, ids.map(record).collect::<Vec<_>>().join(","))
}

/// The answer of LookupEvents.
fn answer(ids: std::ops::Range<u32>) -> String {
    let event = |id| format!(r#"{{"EventId":"e{id}","CloudTrailEvent":{}}}"#, serde_json::json!(record(id)));
    format!(r#"{{"Events":[{}]}}"#, ids.map(event).collect::<Vec<_>>().join(","))
}

/// (stored, whole) of all hours, and the origins of the files.
fn state(store: &Path) -> (u64, u64, Vec<String>) {
    assert_clean(store);
    let reader = Reader::open(store).unwrap();
    let coverage = reader.coverage(all_time()).unwrap();
    let origins = reader.files().unwrap().into_iter().map(|file| file.origin).collect();
    (coverage.values().map(|fact| fact.count).sum(), coverage.values().map(|fact| fact.whole).sum(), origins)
}

#[test]
fn a_trail_file_covers_what_an_export_brought() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join("answer.json"), answer(0..100)).unwrap();
    assert_eq!(counts(&ingest(&store, &logs)), (100, 100, 0, 0, 0));
    assert_eq!(state(&store), (100, 0, vec!["export".into()]));
    fs::write(logs.join("log.json"), trail_file(30..90)).unwrap();
    assert_eq!(counts(&ingest(&store, &logs)), (60, 0, 60, 0, 0));
    let want = (100, 60, vec!["export".to_owned(), "whole".to_owned()]);
    assert_eq!(state(&store), want);
    let reader = Reader::open(&store).unwrap();
    let hours: Vec<(u64, u64)> =
        reader.coverage(all_time()).unwrap().values().map(|fact| (fact.count, fact.whole)).collect();
    assert_eq!(hours, [(60, 30), (40, 30)]);
    drop(reader);
    let writer = || Writer::open(&store, false, &Default::default()).unwrap();
    writer().compact(Effort::Full, options().now).unwrap();
    assert_eq!(state(&store), want, "compacted");
    writer().prune("2025-04-01".parse().unwrap(), options().now).unwrap();
    assert_eq!((state(&store).0, state(&store).1), (0, 0), "pruned");
}

#[test]
fn the_user_may_declare_an_export_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer.json");
    fs::write(&path, answer(0..300)).unwrap();
    for parts in [false, true] {
        let store = folder.path().join(format!("store-{parts}"));
        let mut options = IngestOptions { complete: true, ..options() };
        if parts {
            (options.large_bytes, options.batch_bytes) = (1000, 20_000);
        }
        let complete = || counts(&ingest_cloudtrail(&store, std::slice::from_ref(&path), &options, &Quiet).unwrap());
        assert_eq!(counts(&ingest(&store, &path)), (300, 300, 0, 0, 0));
        assert_eq!(complete(), (300, 0, 300, 0, 0), "it is read again");
        assert_eq!(state(&store), (300, 300, vec!["declared".into()]), "{parts}");
        // It stays what it was declared to be.
        assert_eq!((complete().0, counts(&ingest(&store, &path)).0), (0, 0));
    }
}

#[test]
fn digests_know_which_of_their_files_are_here() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir_all(&logs).unwrap();
    let name = |letter: &str| format!("111122223333_CloudTrail_eu-west-1_20250331T0010Z_{letter}");
    let file = |letter: &str| format!(r#"{{"s3Object":"p/AWSLogs/{}.json.gz"}}"#, name(letter));
    let digest = format!(
        r#"{{"awsAccountId":"111122223333","digestStartTime":"2025-03-31T00:00:00Z","digestEndTime":"2025-03-31T01:00:00Z","digestS3Object":"AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2025/03/31/111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_20250331T010000Z.json.gz","logFiles":[{},{},{}]}}"#,
        file("a"),
        file("b"),
        file("c")
    );
    fs::write(logs.join("digest.json"), digest).unwrap();
    let span = || {
        let spans = Reader::open(&store).unwrap().digest_spans().unwrap();
        (spans[0].log_files, spans[0].in_hand, spans[0].management)
    };
    ingest(&store, &logs);
    assert_eq!(span(), (3, 0, 0));
    // Unpacked, in another folder.
    fs::write(logs.join(format!("{}.json", name("b"))), trail_file(0..7)).unwrap();
    ingest(&store, &logs);
    assert_eq!(span(), (3, 1, 7));
    // Cut short, and with a record that cannot be read.
    fs::write(logs.join(format!("{}.json", name("a"))), trail_file(7..9).split_at(700).0).unwrap();
    fs::write(logs.join(format!("{}.json", name("c"))), r#"{"Records":[{"eventTime":"x"}]}"#).unwrap();
    ingest(&store, &logs);
    assert_eq!(span(), (3, 1, 7));
    fs::write(logs.join(format!("{}.json", name("a"))), trail_file(7..9)).unwrap();
    ingest(&store, &logs);
    assert_eq!(span(), (3, 2, 9));
}
