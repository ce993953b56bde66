//! In which two records agree that say the same: what makes a duplicate a duplicate.
//!
//! A record's content is two hashes. The `core` covers the fields that every form of a record has (trail file,
//! CloudTrail Lake, Athena, Security Lake); the `whole` covers everything, whatever the order of keys, the white
//! space or the escapes. A form that cannot carry the whole record has no `whole`.
//!
//! The hashes (64 bits each) are part of the store's format. They tell copies of one event id apart and are no
//! protection against forged logs: that is what digest files are for.

use std::borrow::Cow;

use super::json::{Kind, Value};
use super::normalise::Record;

/// Objects with more members than this are searched for duplicate keys by sorting.
const FEW_MEMBERS: usize = 32;

/// What a record says, hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Content {
    /// Over time, source, name, account and error code.
    pub core: u64,
    /// Over everything; zero where the record's form cannot carry everything.
    pub whole: u64,
}

impl Content {
    /// Whether two records of one id are copies: they agree in as much as both carry.
    pub(crate) fn same(self, other: Self) -> bool {
        self.core == other.core && (self.whole == other.whole || self.whole == 0 || other.whole == 0)
    }

    /// The core of a normalised record; `whole` is added by whoever has it.
    pub(crate) fn core(record: &Record<'_>) -> u64 {
        let texts = [&record.source, &record.name, &record.recipient_account, &record.error_code];
        texts.iter().fold(record.time.micros() as u64, |hash, text| mix(hash, text_hash(text)))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.core) << 64) | u128::from(self.whole)).to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { core: (both >> 64) as u64, whole: both as u64 }
    }
}

/// A 128-bit product, folded: every bit of both sides reaches every bit of the result.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xe703_7ed1_a0b4_28db);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hashes bytes, sixteen at a time; the ends of what is left overlap. Most texts of a record are short, and a call into
/// a general hash costs more than hashing them.
fn bytes_hash(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(0xa076_1d64_78bd_642f);
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<16>() {
        let word = u128::from_le_bytes(*word);
        hash = mix(hash ^ (word as u64), (word >> 64) as u64);
        rest = after;
    }
    let (first, last) = match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last))),
            _ => (rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)), 0),
        },
    };
    mix(hash ^ first, last)
}

fn text_hash(text: &str) -> u64 {
    bytes_hash(text.as_bytes(), 1)
}

/// The hash of a string's text, whose bytes are mostly what stands in the record.
fn string_hash(value: Value<'_>) -> u64 {
    match value.plain() {
        Some(bytes) => bytes_hash(bytes, 1),
        None => text_hash(&value.text().unwrap_or_default()),
    }
}

/// Hashes whole values; holds what is reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Hasher {
    /// Hashes of the keys of the objects that are being read.
    keys: Vec<u64>,
}

impl Hasher {
    /// The hash of a record without members, to which those of the members are added.
    pub(crate) const RECORD: u64 = 15;

    /// What a member adds to the hash of its object; and the hash of its key.
    ///
    /// # Errors
    /// The key that an object within it holds twice.
    pub(crate) fn member(&mut self, key: Value<'_>, value: Value<'_>) -> Result<(u64, u64), String> {
        let hash = self.value(value)?;
        Ok(Self::with_key(key, hash))
    }

    /// The same with the hash of the value.
    pub(crate) fn with_key(key: Value<'_>, value: u64) -> (u64, u64) {
        let name = string_hash(key);
        (mix(name, value), name)
    }

    /// Hashes a value.
    ///
    /// # Errors
    /// The key that an object holds twice.
    pub(crate) fn value(&mut self, value: Value<'_>) -> Result<u64, String> {
        Ok(match value.kind() {
            Kind::Text | Kind::Escaped => string_hash(value),
            // No value is a run.
            Kind::Null | Kind::Run => 11,
            Kind::False => 12,
            Kind::True => 13,
            Kind::Number => bytes_hash(number(value.raw()).as_bytes(), 2),
            Kind::Array => {
                let mut hash = 14;
                for element in value.elements() {
                    hash = mix(hash, self.value(element)?);
                }
                hash
            }
            // The sum of the members, so that their order does not matter.
            Kind::Object => {
                let base = self.keys.len();
                let mut sum = Self::RECORD;
                for (key, member) in value.pairs() {
                    let name = string_hash(key);
                    self.keys.push(name);
                    sum = sum.wrapping_add(mix(name, self.value(member)?));
                }
                self.close(value, base)?;
                sum
            }
        })
    }

    /// Looks for keys that stand twice in the object whose keys begin at `base`, and forgets them.
    fn close(&mut self, object: Value<'_>, base: usize) -> Result<(), String> {
        let twice = repeats(self.keys.get_mut(base..).unwrap_or(&mut []));
        self.keys.truncate(base);
        match twice.then(|| twice_named(object)).flatten() {
            Some(key) => {
                self.keys.clear();
                Err(key.chars().take(64).collect())
            }
            None => Ok(()),
        }
    }
}

/// Whether a hash stands twice; the order is lost.
pub(crate) fn repeats(keys: &mut [u64]) -> bool {
    if keys.len() > FEW_MEMBERS {
        keys.sort_unstable();
        return keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    }
    let mut rest: &[u64] = keys;
    while let Some((first, after)) = rest.split_first() {
        // No early end: the comparison of a few words is faster without it.
        if after.iter().fold(false, |found, key| found | (key == first)) {
            return true;
        }
        rest = after;
    }
    false
}

/// The key that stands twice; none where only hashes agreed.
pub(crate) fn twice_named(object: Value<'_>) -> Option<Cow<'_, str>> {
    let mut keys: Vec<Cow<'_, str>> = object.members().map(|(key, _)| key).collect();
    keys.sort();
    keys.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(a.clone()),
        _ => None,
    })
}

/// A number's canonical text: integers as they stand, others by their double where that is exact enough to read
/// back; `1.0`, `1e0` and `1` agree.
fn number(raw: &str) -> Cow<'_, str> {
    if raw == "-0" {
        return Cow::Borrowed("0");
    }
    if !raw.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        return Cow::Borrowed(raw);
    }
    match raw.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let shown = if value == 0.0 { "0".to_owned() } else { format!("{value}") };
            Cow::Owned(shown)
        }
        _ => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::json::Tape;

    fn whole(text: &str) -> Result<u64, String> {
        let mut tape = Tape::default();
        assert_eq!(tape.parse(text.as_bytes(), usize::MAX).unwrap(), text.len(), "{text}");
        Hasher::default().value(tape.root(text))
    }

    #[test]
    fn the_whole_ignores_order_space_and_spelling() {
        for (a, b, same) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{ "b" : [ 1 , 2 ], "a":1.0 }"#, true),
            (r#"{"a":"é\n"}"#, r#"{"\u0061":"\u00e9\u000a"}"#, true),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, false),
            (r#"{"a":null}"#, r#"{}"#, false),
            (r#"{"a":{}}"#, r#"{"a":[]}"#, false),
            (r#"{"a":{"b":1},"c":{"d":2}}"#, r#"{"a":{"d":2},"c":{"b":1}}"#, false),
            (r#"{"a":"b","c":"d"}"#, r#"{"a":"d","c":"b"}"#, false),
            (r#"{"a":1e2}"#, r#"{"a":100}"#, true),
            (r#"{"a":12345678901234567890123}"#, r#"{"a":12345678901234567890124}"#, false),
            (r#"{"a":"😀"}"#, r#"{"a":"\ud83d\ude00"}"#, true),
        ] {
            assert_eq!(whole(a) == whole(b), same, "{a} {b}");
        }
    }

    #[test]
    fn texts_of_every_length_differ() {
        let text = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..text.len() {
            assert!(seen.insert(bytes_hash(&text[..length], 1)));
            for at in 0..length {
                let mut other = text[..length].to_vec();
                other[at] ^= 1;
                assert!(seen.insert(bytes_hash(&other, 1)), "{length} {at}");
            }
        }
    }

    #[test]
    fn keys_that_stand_twice() {
        assert_eq!(whole(r#"{"a":{"x":1,"y":2,"\u0078":3}}"#), Err("x".to_owned()));
        assert!(whole(r#"[{"a":1},{"a":1}]"#).is_ok());
        let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
        assert!(whole(&format!("{{{}}}", many.join(","))).is_ok());
        assert_eq!(whole(&format!("{{{},\"k7\":0}}", many.join(","))), Err("k7".to_owned()));
    }

    #[test]
    fn a_form_without_the_whole_agrees_with_the_core() {
        let of = |core, whole| Content { core, whole };
        for (a, b, same) in [
            (of(1, 2), of(1, 2), true),
            (of(1, 2), of(1, 3), false),
            (of(1, 0), of(1, 3), true),
            (of(2, 0), of(1, 0), false),
        ] {
            assert_eq!((a.same(b), b.same(a)), (same, same));
            assert_eq!(Content::from_bytes(a.to_bytes()), a);
        }
    }
}
