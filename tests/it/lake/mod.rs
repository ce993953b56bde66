//! The lake from outside: log files in, facts out, whatever happens in between.

// The lints that spare tests know a test module by this.
#![cfg(test)]

mod archive;
mod bounds;
mod check;
mod crash;
mod faults;
mod forms;
mod places;
mod prune;
mod real;
mod speed;
mod whole;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jitscan::lake::{EventRow, IngestOptions, IngestReport, Quiet, Reader, ingest_cloudtrail};
use jitscan::model::time::{Timestamp, Window};
use jitscan::usage::fold::{
    CoverageKey, FactSource, IssuedCredential, SessionId, ShapeFact, ShapeKey, UsageFact, UsageKey,
};

/// The folder of third-party data, or none with a message.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("JITSCAN_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = root.join(path);
    if !path.exists() {
        println!("skipped: {} is absent (set JITSCAN_SHARED_DATA)", path.display());
        return None;
    }
    Some(path)
}

pub fn options() -> IngestOptions {
    // Merges soon, so that it happens in tests.
    IngestOptions { compact_over: 8, ..IngestOptions::new("2026-01-01T00:00:00Z".parse().unwrap()) }
}

pub fn ingest(store: &Path, path: &Path) -> IngestReport {
    ingest_cloudtrail(store, &[path.to_owned()], &options(), &Quiet).unwrap()
}

/// (read, stored, duplicates, conflicts, quarantined) of the only path.
pub fn counts(report: &IngestReport) -> (u64, u64, u64, u64, u64) {
    let row = &report.sources[0];
    assert_eq!(row.read, row.stored + row.duplicates + row.quarantined);
    (row.read, row.stored, row.duplicates, row.conflicts, row.quarantined)
}

pub fn all_time() -> Window {
    Window { from: Timestamp::from_seconds(-5_000_000_000), to: Timestamp::from_seconds(5_000_000_000) }
}

/// All that a store says, in an order that does not depend on how it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub events: BTreeMap<[u8; 16], usize>,
    pub usage: BTreeMap<UsageKey, UsageFact>,
    pub shapes: BTreeMap<ShapeKey, ShapeFact>,
    pub sessions: BTreeMap<SessionId, jitscan::model::event::Identity>,
    pub issued: Vec<IssuedCredential>,
    /// Events stored; records of whole files depend on how often they came.
    pub coverage: BTreeMap<CoverageKey, u64>,
}

/// Fails where an invariant of the store does not hold.
pub fn assert_clean(store: &Path) {
    let report = jitscan::lake::check(store).unwrap();
    let bad: Vec<_> = report.rows.iter().filter(|row| row.status == jitscan::lake::CheckStatus::Bad).collect();
    assert!(report.is_clean() && bad.is_empty(), "{bad:#?}");
}

/// Every session's identity as it was recorded.
fn whole(sessions: &jitscan::usage::sessions::Sessions) -> BTreeMap<SessionId, jitscan::model::event::Identity> {
    sessions.ids().into_iter().map(|id| (id, sessions.whole(id).unwrap())).collect()
}

/// What a store says, which must be clean.
pub fn contents(store: &Path) -> Contents {
    assert_clean(store);
    let reader = Reader::open(store).unwrap();
    let mut events: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    reader.events(|row: EventRow| *events.entry(row.content).or_default() += 1).unwrap();
    Contents {
        events,
        usage: reader.usage(all_time()).unwrap().into_iter().map(|row| (row.key, row.fact)).collect(),
        shapes: reader.shapes().unwrap(),
        sessions: whole(&reader.sessions().unwrap()),
        issued: reader.issued().unwrap(),
        coverage: reader
            .coverage(all_time())
            .unwrap()
            .into_iter()
            .map(|(key, fact)| (key, fact.count))
            .filter(|(_, count)| *count > 0)
            .collect(),
    }
}

/// A record as CloudTrail writes it, made up from a number.
pub fn record(n: usize) -> String {
    let (minute, second) = (n / 60 % 60, n % 60);
    let (hour, day) = (n / 3600 % 24, 1 + n / 86_400 % 28);
    let (role, name) = (n % 7, ["ListBuckets", "GetBucketAcl", "AssumeRole", "ListUsers"][n % 4]);
    let source = ["s3", "s3", "sts", "iam"][n % 4];
    format!(
        r#"{{"eventVersion":"1.09","userIdentity":{{"type":"AssumedRole","principalId":"AROA{role}:s{n}","arn":"arn:aws:sts::111122223333:assumed-role/r{role}/s","accountId":"111122223333","accessKeyId":"ASIA{role}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{role}","arn":"arn:aws:iam::111122223333:role/r{role}"}}}}}},"eventTime":"2025-03-{day:02}T{hour:02}:{minute:02}:{second:02}Z","eventSource":"{source}.amazonaws.com","eventName":"{name}","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.{role}","userAgent":"aws-cli/2","requestParameters":{{"bucketName":"b{role}","roleArn":"arn:aws:iam::111122223333:role/x{role}"}},"responseElements":{{"credentials":{{"accessKeyId":"ASIAX{n}"}}}},"requestID":"r{n}","eventID":"e{n}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
    )
}

pub fn gz(text: &str) -> Vec<u8> {
    let mut packer = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut out = vec![0; packer.gzip_compress_bound(text.len())];
    let length = packer.gzip_compress(text.as_bytes(), &mut out).unwrap();
    out.truncate(length);
    out
}

/// A folder of log files with the records of a range, so many a file.
pub fn logs(folder: &Path, range: std::ops::Range<usize>, per_file: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for start in range.clone().step_by(per_file) {
        let records: Vec<String> = (start..(start + per_file).min(range.end)).map(record).collect();
        std::fs::write(
            folder.join(format!("{start:08}.json.gz")),
            gz(&format!("{{\"Records\":[{}]}}", records.join(","))),
        )
        .unwrap();
    }
}
