//! The trail's files: records sorted into gz files by account, region and half day, with what lies beside them.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::emit::{Emitter, Record};
use super::rng::Rng;
use super::{DemoError, Sink};
use crate::model::time::Timestamp;

/// libdeflate's level: the file size hardly falls after it.
const GZIP_LEVEL: i32 = 6;
/// A duplicate delivery comes with the next file, so many seconds later.
const REDELIVERY_SECONDS: i64 = 420;
/// The trail.
const TRAIL: &str = "lantern-organisation";

/// What the trail holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TrailCounts {
    pub files: u64,
    pub records: u64,
    pub duplicates: u64,
    pub beside: u64,
}

/// Key of a file: account, region, half day since the epoch, number within it.
type FileKey<'a> = (&'a str, &'a str, i64, u8);

/// Writes every file of the trail.
pub(super) fn write(
    emitter: &mut Emitter<'_>,
    seed: u64,
    end: Timestamp,
    sink: &mut dyn Sink,
) -> Result<TrailCounts, DemoError> {
    let mut records = std::mem::take(&mut emitter.records);
    records.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    let mut files: BTreeMap<FileKey<'_>, Vec<&Record>> = BTreeMap::new();
    let mut counts = TrailCounts::default();
    for record in &records {
        let half = i64::from(record.time.hour()).div_euclid(12);
        files.entry((&record.account, &record.region, half, 0)).or_default().push(record);
        counts.records += 1;
        if record.twice {
            files.entry((&record.account, &record.region, half, 1)).or_default().push(record);
            counts.duplicates += 1;
        }
    }
    counts.files = files.len() as u64;
    let org = &emitter.world.org.id;
    let files: Vec<(FileKey<'_>, Vec<&Record>)> = files.into_iter().collect();
    // In batches, so that only some of the compressed files are in memory at once.
    for batch in files.chunks(128) {
        let done: Vec<Result<(String, Vec<u8>), DemoError>> = batch
            .par_iter()
            .map(|(key, records)| {
                let mut text =
                    String::with_capacity(records.iter().map(|record| record.body.len() + 1).sum::<usize>() + 16);
                text.push_str("{\"Records\":[");
                for (index, record) in records.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    text.push_str(&record.body);
                }
                text.push_str("]}");
                Ok((path_of(org, seed, key), gzip(text.as_bytes())?))
            })
            .collect();
        for file in done {
            let (path, bytes) = file?;
            sink.file(&path, &bytes)?;
        }
    }
    counts.beside = beside(emitter, seed, end, &records, sink)?;
    Ok(counts)
}

fn path_of(org: &str, seed: u64, (account, region, half, number): &FileKey<'_>) -> String {
    let at = Timestamp::from_seconds((half + 1) * 43_200 - 300 + i64::from(*number) * REDELIVERY_SECONDS);
    let day = Timestamp::from_seconds(half * 43_200).day().to_string().replace('-', "/");
    let stamp = stamp(at, false);
    let random = Rng::stream(seed, &format!("file {account} {region} {half} {number}")).alnum(16);
    format!(
        "cloudtrail/AWSLogs/{org}/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{stamp}_{random}.json.gz"
    )
}

/// `YYYYMMDDTHHMMZ`, or with seconds.
fn stamp(at: Timestamp, seconds: bool) -> String {
    let text: String = at.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let digits = if seconds { 15 } else { 13 };
    format!("{}Z", text.chars().take(digits).collect::<String>())
}

/// An Insights file, and digests of hours in which nothing was delivered.
fn beside(
    emitter: &Emitter<'_>,
    seed: u64,
    end: Timestamp,
    records: &[Record],
    sink: &mut dyn Sink,
) -> Result<u64, DemoError> {
    let org = &emitter.world.org.id;
    let account = emitter.world.account("production")?;
    let mut written = 0u64;
    let mut rng = Rng::stream(seed, "beside");
    for days_ago in [33i64, 12] {
        let at = end.plus_days(-days_ago).plus_seconds(16 * 3_600);
        let shared = rng.uuid();
        let insight = |state: &str, minutes: i64, id: String| {
            json!({
                "eventVersion": "1.09", "eventTime": at.plus_seconds(60 * minutes), "awsRegion": "us-east-1",
                "eventID": id, "eventType": "AwsCloudTrailInsight", "recipientAccountId": account, "sharedEventID": shared,
                "insightDetails": {
                    "state": state, "eventSource": "rds.amazonaws.com", "eventName": "DeleteDBInstance",
                    "insightType": "ApiErrorRateInsight", "errorCode": "AccessDenied",
                    "insightContext": {"statistics": {"baseline": {"average": 0.0}, "insight": {"average": 2.0}, "insightDuration": 2}},
                },
                "eventCategory": "Insight",
            })
        };
        let body = json!({"Records": [insight("Start", 0, rng.uuid()), insight("End", 2, rng.uuid())]});
        let day = at.day().to_string().replace('-', "/");
        let path = format!(
            "cloudtrail/AWSLogs/{org}/{account}/CloudTrail-Insight/us-east-1/{day}/{account}_CloudTrail-Insight_us-east-1_{}_{}.json.gz",
            stamp(at.plus_seconds(1_800), false),
            rng.alnum(16)
        );
        sink.file(&path, &gzip(&json_bytes(&body)?)?)?;
        written += 1;
    }
    let busy: BTreeSet<(&str, &str, i32)> =
        records.iter().map(|record| (record.account.as_str(), record.region.as_str(), record.time.hour())).collect();
    for (_, account) in emitter.world.logged_accounts() {
        for region in &emitter.world.org.regions {
            // The last hour of the window in which this account and region were silent.
            let last = end.plus_seconds(-1).hour();
            let Some(hour) = (last - 167..=last).rev().find(|hour| !busy.contains(&(account, region, *hour))) else {
                continue;
            };
            let from = Timestamp::from_seconds(i64::from(hour) * 3_600);
            let (path, body) = empty_digest(org, account, region, from);
            sink.file(&path, &gzip(&json_bytes(&body)?)?)?;
            written += 1;
        }
    }
    Ok(written)
}

/// A digest that says that nothing was delivered in an hour. Signatures lie in S3 metadata, which files do not carry.
fn empty_digest(org: &str, account: &str, region: &str, from: Timestamp) -> (String, Value) {
    let to = from.plus_seconds(3_600);
    let folder = from.day().to_string().replace('-', "/");
    let object = format!(
        "AWSLogs/{org}/{account}/CloudTrail-Digest/{region}/{folder}/{account}_CloudTrail-Digest_{region}_{TRAIL}_us-east-1_{}.json.gz",
        stamp(to, true)
    );
    let body = json!({
        "awsAccountId": account, "digestStartTime": from, "digestEndTime": to,
        "digestS3Bucket": "lantern-organisation-trail", "digestS3Object": object,
        "digestPublicKeyFingerprint": super::rng::named_hex("digest key", 32),
        "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": null, "oldestEventTime": null,
        "previousDigestS3Bucket": null, "previousDigestS3Object": null, "previousDigestHashValue": null,
        "previousDigestHashAlgorithm": null, "previousDigestSignature": null, "logFiles": [],
    });
    (format!("cloudtrail/{object}"), body)
}

fn json_bytes(value: &Value) -> Result<Vec<u8>, DemoError> {
    serde_json::to_vec(value).map_err(|error| DemoError::Fixture { file: "records", reason: error.to_string() })
}

/// One gzip member. libdeflate writes no time and no name, so the same input gives the same bytes.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>, DemoError> {
    let level = libdeflater::CompressionLvl::new(GZIP_LEVEL).unwrap_or_default();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor
        .gzip_compress(bytes, &mut out)
        .map_err(|error| DemoError::Fixture { file: "records", reason: error.to_string() })?;
    out.truncate(length);
    Ok(out)
}
