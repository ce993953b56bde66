//! What is planted: records delivered twice, copies in other accounts, conflicts, and records that cannot be read.

use crate::clock;
use crate::generate::{Made, fact};
use crate::prng::Rng;
use crate::render::{self, About};
use crate::truth::{Truth, Who};
use crate::world::World;

/// Shares of the records, 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shares {
    pub duplicates: f64,
    pub shared: f64,
    pub conflicts: f64,
    pub bad: f64,
}

/// Records beside those that happened.
#[derive(Debug, Default)]
pub struct Planted {
    /// For the same file.
    pub here: Vec<Vec<u8>>,
    /// For another file of the same account and region.
    pub copies: Vec<Vec<u8>>,
    /// For a file of another account.
    pub elsewhere: Vec<(usize, Vec<u8>)>,
}

/// Plants what chance wants after a record, and counts it. `shared` is the other account of a shared call.
///
/// # Errors
/// When the record is no JSON.
pub fn plant(
    made: &Made<'_>,
    shared: Option<(usize, &World)>,
    shares: &Shares,
    rng: &mut Rng,
    planted: &mut Planted,
    truth: &mut Truth,
) -> Result<(), String> {
    if rng.chance(shares.duplicates) {
        let reorder = rng.chance(0.5);
        planted.copies.push(if reorder { reordered(made.text, rng)? } else { made.text.to_vec() });
        truth.duplicates += 1;
        truth.duplicates_reordered += u64::from(reorder);
        truth.read += 1;
    }
    if let Some((other, world)) = shared
        && let Some(account) = world.accounts.get(other)
    {
        planted.elsewhere.push((other, copy(made, &account.id, rng, truth)));
    }
    if rng.chance(shares.conflicts) {
        // Another version is other content and the same call.
        planted.copies.push(replaced(made.text, b"\"eventVersion\":\"", b"\"", b"1.99"));
        truth.conflicts += 1;
        truth.store(&fact(made.template, &made.about), &crate::generate::who(made.template, &made.about));
    }
    if rng.chance(shares.bad) {
        let (kind, text) = bad(made.text, rng);
        planted.here.push(text);
        truth.bad += 1;
        truth.read += 1;
        *truth.bad_kinds.entry(kind).or_default() += 1;
    }
    Ok(())
}

/// The copy that the account of the resource gets: its own `eventID`, and an `AWSAccount` in place of the caller.
/// Source: "CloudTrail record contents", `sharedEventID`; "CloudTrail userIdentity element".
fn copy(made: &Made<'_>, recipient: &str, rng: &mut Rng, truth: &mut Truth) -> Vec<u8> {
    let session = made.about.session;
    let event_id = clock::text(|out| render::uuid(rng, out));
    let who = Who {
        kind: "AWSAccount".to_owned(),
        principal_id: session.principal_id.clone(),
        account: made.about.account.to_owned(),
        ..Who::default()
    };
    let identity =
        format!(r#"{{"type":"AWSAccount","principalId":"{}","accountId":"{}"}}"#, who.principal_id, who.account);
    let about = About { event_id: &event_id, recipient, identity: Some(&identity), ..made.about };
    let mut out = Vec::with_capacity(made.text.len());
    render::render(made.template, &about, &mut made.rng.clone(), &mut out);
    truth.shared_copies += 1;
    truth.store(&fact(made.template, &about), &who);
    out
}

/// The same record, its keys in another order.
fn reordered(text: &[u8], rng: &mut Rng) -> Result<Vec<u8>, String> {
    let record: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|e| format!("a record that is none: {e}"))?;
    let mut members: Vec<(String, serde_json::Value)> = record.into_iter().collect();
    let turn = rng.below(members.len() as u64) as usize;
    members.rotate_left(turn);
    if rng.chance(0.5) {
        members.reverse();
    }
    serde_json::to_vec(&members.into_iter().collect::<serde_json::Map<_, _>>()).map_err(|e| e.to_string())
}

/// The text with what stands between two marks replaced; as it is where they are not found.
fn replaced(text: &[u8], from: &[u8], to: &[u8], with: &[u8]) -> Vec<u8> {
    let found = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
    let start = found(text, from).map(|at| at + from.len());
    let end = start.and_then(|start| found(text.get(start..)?, to).map(|at| start + at));
    match (start, end) {
        (Some(start), Some(end)) => [text.get(..start).unwrap_or(&[]), with, text.get(end..).unwrap_or(&[])].concat(),
        _ => text.to_vec(),
    }
}

/// A record that cannot be read, and what is wrong with it. Each is one stretch: what surrounds it can be read.
fn bad(text: &[u8], rng: &mut Rng) -> (&'static str, Vec<u8>) {
    match rng.below(4) {
        0 => ("no_event_time", replaced(text, b"\"eventTime\":", b",", b"null")),
        1 => ("time_is_none", replaced(text, b"\"eventTime\":\"", b"\"", b"yesterday at noon")),
        2 => ("key_without_quotes", replaced(text, b"\"eventTime\":", b",", b"\"2026-09-16T00:00:00Z\",oops:1")),
        _ => {
            let mut twice = text.strip_suffix(b"}").unwrap_or(text).to_vec();
            twice.extend_from_slice(b",\"eventName\":\"SaidTwice\"}");
            ("key_twice", twice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing() {
        assert_eq!(replaced(b"{\"a\":\"xyz\",\"b\":1}", b"\"a\":\"", b"\"", b"new"), b"{\"a\":\"new\",\"b\":1}");
        assert_eq!(replaced(b"{}", b"\"a\":\"", b"\"", b"new"), b"{}");
    }

    #[test]
    fn reordering_keeps_the_content() {
        let text = br#"{"a":1,"b":{"z":1,"y":2},"c":[1,2]}"#;
        let mut rng = Rng::new(&[1]);
        let all: Vec<Vec<u8>> = (0..10).map(|_| reordered(text, &mut rng).unwrap()).collect();
        assert!(all.iter().any(|copy| copy != text));
        for copy in all {
            let of = |text: &[u8]| {
                serde_json::from_slice::<std::collections::BTreeMap<String, serde_json::Value>>(text).unwrap()
            };
            assert_eq!(of(&copy), of(text));
        }
    }
}
