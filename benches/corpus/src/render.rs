//! Writes records: templates with their slots filled.

use crate::clock;
use crate::names;
use crate::prng::{Rng, hash};
use crate::template::{MAX_VALUES, Piece, Spelling, Template};
use crate::world::Session;

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8] = b"0123456789abcdef";
const DIGITS: &[u8] = b"0123456789";

/// What a record is about, beside its template.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub account: &'a str,
    /// Of the account: its pools hang on it.
    pub account_seed: u64,
    pub region: &'a str,
    pub time: i64,
    pub session: &'a Session<'a>,
    pub event_id: &'a str,
    /// `recipientAccountId`.
    pub recipient: &'a str,
    /// `sharedEventID`; empty for none.
    pub shared: &'a str,
    /// In place of the session's identity: the copy that another account gets.
    pub identity: Option<&'a str>,
}

/// A UUID, version 4.
pub fn uuid(rng: &mut Rng, out: &mut Vec<u8>) {
    let (high, low) = (rng.next(), rng.next());
    let digit = |bits: u64, at: u32| HEX.get(((bits >> (at * 4)) & 15) as usize).copied().unwrap_or(b'0');
    for at in 0..32u32 {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push(b'-');
        }
        out.push(match at {
            12 => b'4',
            16 => digit((low & 3) | 8, 0),
            0..16 => digit(high, at),
            _ => digit(low, at - 16),
        });
    }
}

/// Appends a record. What is new in it comes from `rng` alone.
pub fn render(template: &Template, about: &About<'_>, rng: &mut Rng, out: &mut Vec<u8>) {
    let mut known: [(u32, u32); MAX_VALUES] = [(0, 0); MAX_VALUES];
    let before = about.time - 60 - (hash(&[about.time as u64, about.account_seed]) % 5000) as i64;
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Identity => identity(template, about, out),
            Piece::Arn => out.extend_from_slice(about.session.arn.as_bytes()),
            Piece::User => out.extend_from_slice(about.session.user_name.as_bytes()),
            Piece::Time => {
                clock::iso(about.time, out);
                out.push(b'Z');
            }
            Piece::Iso => clock::iso(before, out),
            Piece::Spelled => clock::spelled(about.time, out),
            Piece::Date => clock::date(&clock::civil(about.time), b'-', out),
            Piece::Path => clock::date(&clock::civil(about.time), b'/', out),
            Piece::SourceIp => out.extend_from_slice(about.session.source_ip.as_bytes()),
            Piece::UserAgent => out.extend_from_slice(about.session.user_agent.as_bytes()),
            Piece::Account => out.extend_from_slice(about.account.as_bytes()),
            Piece::Region => out.extend_from_slice(about.region.as_bytes()),
            Piece::Recipient => {
                out.extend_from_slice(about.recipient.as_bytes());
                if !about.shared.is_empty() {
                    out.extend_from_slice(b"\",\"sharedEventID\":\"");
                    out.extend_from_slice(about.shared.as_bytes());
                }
            }
            Piece::EventId => out.extend_from_slice(about.event_id.as_bytes()),
            Piece::Fresh { spelling, size, value } => {
                once(&mut known, *value, out, |out| spell(*spelling, *size, about.region, rng, out));
            }
            Piece::Pooled { spelling, size, kind, pool, value } => {
                let skew = rng.unit();
                let member = (skew * skew * skew * *pool as f64) as u64;
                once(&mut known, *value, out, |out| {
                    let mut rng = Rng::new(&[about.account_seed, *kind, member]);
                    spell(*spelling, *size, about.region, &mut rng, out);
                });
            }
        }
    }
}

fn identity(template: &Template, about: &About<'_>, out: &mut Vec<u8>) {
    if let Some(identity) = about.identity {
        out.extend_from_slice(identity.as_bytes());
        return;
    }
    out.extend_from_slice(about.session.json.as_bytes());
    if !template.via.is_empty() {
        out.extend_from_slice(b",\"invokedBy\":\"");
        out.extend_from_slice(template.via.as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
}

/// Writes a value, or again what was written for it in this record.
fn once(known: &mut [(u32, u32); MAX_VALUES], value: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    match known.get(value) {
        Some((from, to)) if to > from => out.extend_from_within(*from as usize..*to as usize),
        _ => {
            let from = out.len() as u32;
            write(out);
            if let Some(slot) = known.get_mut(value) {
                *slot = (from, out.len() as u32);
            }
        }
    }
}

fn spell(spelling: Spelling, size: u64, region: &str, rng: &mut Rng, out: &mut Vec<u8>) {
    let n = size as usize;
    match spelling {
        Spelling::Uuid => uuid(rng, out),
        Spelling::UpperUuid => {
            let from = out.len();
            uuid(rng, out);
            if let Some(written) = out.get_mut(from..) {
                written.make_ascii_uppercase();
            }
        }
        Spelling::Hex => rng.letters(HEX, n, out),
        Spelling::Upper => rng.letters(UPPER, n, out),
        Spelling::Mixed => rng.letters(MIXED, n, out),
        Spelling::Base64 => rng.letters(BASE64, n, out),
        Spelling::Digits => {
            // Numbers do not begin with a zero.
            rng.letters(DIGITS.get(1..).unwrap_or(DIGITS), 1, out);
            rng.letters(DIGITS, n.saturating_sub(1), out);
        }
        Spelling::Number => out.extend_from_slice(rng.below(size.max(1)).to_string().as_bytes()),
        Spelling::Name => names::name(rng.next(), out),
        Spelling::Bucket => names::bucket(rng.next(), region, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn every_template_gives_a_record() {
        let world = World::new(1, 2, 2).unwrap();
        let account = &world.accounts[0];
        let mut rng = Rng::new(&[3]);
        for (at, template) in world.templates.iter().enumerate() {
            for turn in 0..20u64 {
                let session = account.session(1_790_000_000 + turn as i64 * 7777, &mut rng).unwrap();
                let about = About {
                    account: &account.id,
                    account_seed: account.seed,
                    region: "eu-west-1",
                    time: 1_790_000_000,
                    session: &session,
                    event_id: "e",
                    recipient: "999999999999",
                    shared: if turn % 2 == 0 { "s" } else { "" },
                    identity: None,
                };
                let (mut a, mut b) = (Vec::new(), Vec::new());
                render(template, &about, &mut Rng::new(&[at as u64, turn]), &mut a);
                render(template, &about, &mut Rng::new(&[at as u64, turn]), &mut b);
                assert_eq!(a, b);
                let record: serde_json::Value = serde_json::from_slice(&a).unwrap();
                assert_eq!(record["eventSource"], template.source);
                assert_eq!(record["eventTime"], "2026-09-21T14:13:20Z");
                assert_eq!(record["recipientAccountId"], "999999999999");
                assert!(!serde_json::to_string(&record).unwrap().contains('⟦'));
            }
        }
    }
}
