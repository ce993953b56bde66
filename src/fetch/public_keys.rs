//! The public keys with which CloudTrail's digests can be checked, also where there is no network.

use aws_smithy_types::DateTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::model::time::Timestamp;

use super::access::{Access, pages};
use super::calls::LIST_PUBLIC_KEYS;
use super::failure::Failure;
use super::regions;
use super::shape::{list, maybe, object, text, time};

/// How far back keys are asked for: logs are kept for years, and keys end. Without a time only the key of now is told.
const YEARS: i64 = 5;
const YEAR_SECONDS: i64 = 366 * 86_400;

/// The keys of every region, as `logs verify` takes them.
pub(super) async fn public_keys(access: &Access, now: Timestamp) -> Result<Value, Failure> {
    let regions = regions::regions(access).await?;
    let read = regions.iter().map(|region| of_region(access.at(region), now));
    Ok(Value::Array(regions::open(read.collect()).await?))
}

async fn of_region(access: Access, now: Timestamp) -> Result<Value, Failure> {
    let client = access.cloudtrail();
    let seconds = |at: Timestamp| DateTime::from_secs(at.micros().div_euclid(1_000_000));
    let (from, to) = (seconds(now.plus_seconds(-YEARS * YEAR_SECONDS)), seconds(now));
    let request = || client.list_public_keys().start_time(from).end_time(to);
    let found = pages!(access, &LIST_PUBLIC_KEYS, request(), public_key_list);
    let key = |key: &aws_sdk_cloudtrail::types::PublicKey| {
        object([
            ("Value", key.value().map(|value| Value::from(STANDARD.encode(value.as_ref())))),
            ("ValidityStartTime", time(key.validity_start_time())),
            ("ValidityEndTime", time(key.validity_end_time())),
            ("Fingerprint", maybe(key.fingerprint())),
        ])
    };
    Ok(object([("Region", text(access.region())), ("PublicKeyList", list(&found, key))]))
}
