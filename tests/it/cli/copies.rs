//! Copies of a cross-account call, in whatever order they come: one counts, and never none.

use std::fs;

use super::*;
use crate::lake::record;

const OWNER: &str = "444455556666";

/// The copy of a call that stands in the logs of an account.
fn copy(n: usize, account: &str) -> String {
    record(n)
        .replace(r#""recipientAccountId":"111122223333""#, &format!(r#""recipientAccountId":"{account}""#))
        .replace(&format!(r#""eventID":"e{n}""#), &format!(r#""eventID":"e{n}-{account}","sharedEventID":"s{n}""#))
}

/// Ingests records one after the other, and says after each how often the roles of records 0 and 10 called.
fn counted(records: &[String]) -> Vec<[u64; 2]> {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    let after = |(at, record): (usize, &String)| {
        fs::write(place.path("logs").join(format!("{at}.json")), record).unwrap();
        let run = place.line("ingest cloudtrail logs");
        assert_eq!(run.code, Some(0), "{run:?}");
        let rows = place.line("usage --as-of 2025-03-10 --window 30d --format ndjson").rows();
        ["role/r0", "role/r3"].map(|role| {
            let own = rows.iter().filter(|row| row["principal"].as_str().is_some_and(|arn| arn.ends_with(role)));
            own.map(|row| row["count"].as_u64().unwrap()).sum()
        })
    };
    records.iter().enumerate().map(after).collect()
}

#[test]
fn one_counts_wherever_the_callers_own_is() {
    let (own, owners, other) = (copy(0, "111122223333"), copy(0, OWNER), record(10));
    let again = copy(10, OWNER);
    // The caller's account is in the store, and its trail did not record this call.
    assert_eq!(counted(&[owners.clone(), other.clone()]), [[1, 0], [1, 1]]);
    assert_eq!(counted(&[other.clone(), owners.clone(), own.clone()]), [[0, 1], [1, 1], [1, 1]]);
    assert_eq!(counted(&[own, other, owners]), [[1, 0], [1, 1], [1, 1]]);
    // One in the logs of who owns the endpoint, and one in those of who owns the thing.
    let third = copy(10, "777788889999");
    assert_eq!(counted(&[again.clone(), third.clone()]), [[0, 1], [0, 1]]);
    assert_eq!(counted(&[third, again.clone(), copy(10, "111122223333")]), [[0, 1], [0, 1], [0, 1]]);
    assert_eq!(counted(&[again.clone(), again]), [[0, 1], [0, 1]]);
    // What passed the caller's own endpoint is no record of what was allowed, and the owner's is.
    let passed =
        copy(0, "111122223333").replace("\"Management\"", "\"NetworkActivity\"").replace("AwsApiCall", "AwsVpceEvent");
    assert_eq!(counted(&[passed, copy(0, OWNER)]), [[0, 0], [1, 0]]);
}
