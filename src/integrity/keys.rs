//! CloudTrail's public keys, as `aws cloudtrail list-public-keys` printed them.
//!
//! Sources: "ListPublicKeys" (AWS CloudTrail API Reference); "Custom implementations of CloudTrail log file integrity
//! validation" (AWS CloudTrail User Guide), whose sample holds keys in PKCS#1 and one in SubjectPublicKeyInfo form.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::model::time::Timestamp;

use super::read::unhex;

/// Size of a file of keys: a year of one region is some ten kilobytes.
pub const MAX_KEYS_BYTES: u64 = 16 << 20;
/// How far outside a key's validity a digest may end: the AWS CLI asks for keys up to two hours after the end of the
/// time that it validates, and digests can be late.
const VALIDITY_SLACK_SECONDS: i64 = 24 * 3600;
/// RSA modulus sizes that are verified, in bits. CloudTrail's keys have 2048.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a file of keys cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeysError {
    /// It is not the output of `list-public-keys`.
    #[error("not the output of `aws cloudtrail list-public-keys`: {0}")]
    Format(String),
    /// One of its keys is no RSA key that can be used.
    #[error("the key with fingerprint {fingerprint}: {reason}")]
    Key {
        /// The key's fingerprint.
        fingerprint: String,
        /// What is wrong.
        reason: String,
    },
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    /// PKCS#1 DER.
    der: Vec<u8>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    region: Option<String>,
}

/// Public keys by fingerprint.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys {
    keys: BTreeMap<String, Vec<Key>>,
}

/// A key that may verify a certain digest.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsableKey<'a>(&'a Key);

impl PublicKeys {
    /// Adds the keys of a file: an object with `PublicKeyList`, perhaps with a `Region` beside it or in each key, or
    /// a list of such objects. Gives how many keys it holds.
    ///
    /// # Errors
    /// When it is something else, or holds a key that cannot be used.
    pub fn add(&mut self, json: &[u8]) -> Result<usize, KeysError> {
        let whole: Value = serde_json::from_slice(json).map_err(|error| KeysError::Format(error.to_string()))?;
        let lists = match &whole {
            Value::Array(lists) => lists.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut count = 0;
        for list in lists {
            let list = list.as_object().ok_or_else(|| KeysError::Format("expected an object".to_owned()))?;
            let keys = ["PublicKeyList", "publicKeyList"].iter().find_map(|name| list.get(*name)?.as_array());
            let keys = keys.ok_or_else(|| KeysError::Format("it has no `PublicKeyList`".to_owned()))?;
            let region = text(list, "Region");
            for key in keys {
                let key = key.as_object().ok_or_else(|| KeysError::Format("a key is no object".to_owned()))?;
                self.add_key(key, region)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn add_key(&mut self, entry: &Map<String, Value>, region: Option<&str>) -> Result<(), KeysError> {
        let missing = |name: &str| KeysError::Format(format!("a key has no `{name}`"));
        let fingerprint = text(entry, "Fingerprint").ok_or_else(|| missing("Fingerprint"))?.to_ascii_lowercase();
        if unhex(&fingerprint).is_none_or(|bytes| bytes.is_empty()) {
            return Err(KeysError::Format("a fingerprint is not hexadecimal".to_owned()));
        }
        let bad = |reason: &str| KeysError::Key { fingerprint: fingerprint.clone(), reason: reason.to_owned() };
        let value = text(entry, "Value").ok_or_else(|| missing("Value"))?;
        let der = STANDARD.decode(value.trim()).map_err(|_| bad("its value is not base64"))?;
        let time = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => instant(value).map(Some).ok_or_else(|| bad("its validity is not a time")),
        };
        let key = Key {
            der: pkcs1(&der).map_err(bad)?,
            from: time("ValidityStartTime")?,
            to: time("ValidityEndTime")?,
            region: text(entry, "Region").or(region).map(str::to_owned),
        };
        let known = self.keys.entry(fingerprint.clone()).or_default();
        if known.iter().any(|other| other.der != key.der) {
            return Err(bad("another key with this fingerprint was given before"));
        }
        if !known.contains(&key) {
            known.push(key);
        }
        Ok(())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key for a digest of a region that was signed at about that time (unknown where it is none).
    ///
    /// # Errors
    /// Says why there is none.
    pub(super) fn find(&self, fingerprint: &str, region: &str, at: Option<Timestamp>) -> Result<UsableKey<'_>, String> {
        let shown: String = fingerprint.chars().take(80).collect();
        let known = self.keys.get(&fingerprint.to_ascii_lowercase()).map_or(&[][..], Vec::as_slice);
        if known.is_empty() {
            return Err(format!("no key with fingerprint {shown} was given"));
        }
        // Every region signs with keys of its own.
        let here: Vec<&Key> = known.iter().filter(|key| key.region.as_deref().is_none_or(|r| r == region)).collect();
        if here.is_empty() {
            return Err(format!("the key with fingerprint {shown} belongs to another region"));
        }
        let in_time = |key: &&&Key| {
            let Some(at) = at else { return true };
            key.from.is_none_or(|from| from.plus_seconds(-VALIDITY_SLACK_SECONDS) <= at)
                && key.to.is_none_or(|to| at <= to.plus_seconds(VALIDITY_SLACK_SECONDS))
        };
        here.iter()
            .find(in_time)
            .map(|key| UsableKey(key))
            .ok_or_else(|| format!("the key with fingerprint {shown} was not valid at that time"))
    }
}

impl UsableKey<'_> {
    /// Whether a hexadecimal signature (RSA PKCS#1 v1.5 with SHA-256) is this key's over the text.
    pub(super) fn verifies(self, signed: &str, signature: &str) -> bool {
        unhex(signature).is_some_and(|bytes| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0.der).verify(signed.as_bytes(), &bytes).is_ok()
        })
    }
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

/// RFC 3339, or seconds since the epoch as a number or as its text.
fn instant(value: &Value) -> Option<Timestamp> {
    let seconds = |seconds: f64| {
        let micros = seconds * 1e6;
        (micros.abs() < 1e18).then(|| Timestamp::from_micros(micros as i64))
    };
    match value {
        Value::Number(number) => seconds(number.as_f64()?),
        Value::String(text) => text.parse().ok().or_else(|| seconds(text.parse().ok()?)),
        _ => None,
    }
}

/// AlgorithmIdentifier of RSA: `rsaEncryption` (1.2.840.113549.1.1.1) with NULL parameters (RFC 3279, 2.3.1).
const RSA_ALGORITHM: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// The PKCS#1 form of a key in PKCS#1 or SubjectPublicKeyInfo form, checked so far that a verification that fails
/// means the signature.
fn pkcs1(der: &[u8]) -> Result<Vec<u8>, &'static str> {
    const BAD: &str = "its value is no RSA key in DER";
    let (body, rest) = element(der, SEQUENCE).ok_or(BAD)?;
    if !rest.is_empty() {
        return Err(BAD);
    }
    if let Some((algorithm, rest)) = element(body, SEQUENCE) {
        if algorithm != RSA_ALGORITHM {
            return Err("it is not an RSA key");
        }
        let (bits, rest) = element(rest, BIT_STRING).ok_or(BAD)?;
        return match bits.split_first() {
            Some((0, inner))
                if rest.is_empty()
                    && element(inner, SEQUENCE).is_some_and(|(body, _)| element(body, SEQUENCE).is_none()) =>
            {
                pkcs1(inner)
            }
            _ => Err(BAD),
        };
    }
    let (modulus, rest) = element(body, INTEGER).ok_or(BAD)?;
    let (exponent, rest) = element(rest, INTEGER).ok_or(BAD)?;
    if !rest.is_empty() || exponent.is_empty() || exponent.len() > 8 {
        return Err(BAD);
    }
    let number = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let bits = number.first().map_or(0, |top| number.len() * 8 - top.leading_zeros() as usize);
    if !MODULUS_BITS.contains(&bits) {
        return Err("its modulus has fewer than 2048 or more than 8192 bits");
    }
    Ok(der.to_vec())
}

/// The content of the DER element at the beginning, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    (*found == tag).then_some(())?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of AWS's own sample response: the first is PKCS#1, the second SubjectPublicKeyInfo.
    const SAMPLE: &str = r#"{"publicKeyList":[
        {"ValidityStartTime":"1436317441.0","ValidityEndTime":"1438909441.0","Fingerprint":"8eba5db5bea9b640d1c96a77256fe7f2",
         "Value":"MIIBCgKCAQEAn11L2YZ9h7onug2ILi1MWyHiMRsTQjfWE+pHVRLk1QjfWhirG+lpOa8NrwQ/r7Ah5bNL6HepznOU9XTDSfmmnP97mqyc7z/upfZdS/AHhYcGaz7n6Wc/RRBU6VmiPCrAUojuSk6/GjvA8iOPFsYDuBtviXarvuLPlrT9kAd4Lb+rFfR5peEgBEkhlzc5HuWO7S0y+KunqxX6jQBnXGMtxmPBPP0FylgWGNdFtks/4YSKcgqwH0YDcawP9GGGDAeCIqPWIXDLG1jOjRRzWfCmD0iJUkz8vTsn4hq/5ZxRFE7UBAUiVcGbdnDdvVfhF9C3dQiDq3k7adQIziLT0cShgQIDAQAB"},
        {"ValidityStartTime":1434589370.0,"ValidityEndTime":"2015-07-18T00:09:30Z","Fingerprint":"31E8b5433410dfb61a9dc45cc65b22ff",
         "Value":"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqlzPJbvZJ42UdcmLfPUqXYNfOs6I8lCfao/tOs8CmzPOEdtLWugB9xoIUz78qVHdKIqxbaG4jWHfJBiOSSFBM0lt8cdVo4TnRa7oG9io5pysS6DJhBBAeXsicufsiFJR+wrUNh8RSLxL4k6G1+BhLX20tJkZ/erT97tDGBujAelqseGg3vPZbTx9SMfOLN65PdLFudLP7Gat0Z9p5jw/rjpclKfo9Bfc3heeBxWGKwBBOKnFAaN9V57pOaosCvPKmHd9bg7jsQkI9Xp22IzGLsTFJZYVA3KiTAElDMu80iFXPHEq9hKNbt9e4URFam+1utKVEiLkR2disdCmPTK0VQIDAQAB"}]}"#;

    #[test]
    fn the_sample_of_the_user_guide() {
        let mut keys = PublicKeys::default();
        assert_eq!(keys.add(SAMPLE.as_bytes()), Ok(2));
        assert_eq!(keys.add(SAMPLE.as_bytes()), Ok(2), "the same twice");
        let found: Vec<usize> = keys.keys.values().flatten().map(|key| key.der.len()).collect();
        assert_eq!(found, [270, 270], "both are PKCS#1 now");
        let at = |text: &str| Some(text.parse().unwrap());
        let find = |fingerprint, at| keys.find(fingerprint, "us-east-1", at).map(|_| ());
        assert_eq!(find("31e8b5433410dfb61a9dc45cc65b22ff", at("2015-07-18T12:00:00Z")), Ok(()));
        assert_eq!(find("31e8b5433410dfb61a9dc45cc65b22ff", None), Ok(()));
        assert!(
            find("31e8b5433410dfb61a9dc45cc65b22ff", at("2015-07-20T00:00:00Z")).unwrap_err().contains("not valid")
        );
        assert!(find("00", None).unwrap_err().contains("no key with fingerprint 00"));
    }

    #[test]
    fn regions() {
        let mut keys = PublicKeys::default();
        let of = |region: &str| SAMPLE.replacen('{', &format!("{{\"Region\":\"{region}\","), 1);
        assert_eq!(keys.add(format!("[{}]", of("eu-west-1")).as_bytes()), Ok(2));
        let print = "8eba5db5bea9b640d1c96a77256fe7f2";
        assert!(keys.find(print, "eu-west-1", None).is_ok());
        assert!(keys.find(print, "us-east-1", None).unwrap_err().contains("another region"));
        assert_eq!(keys.add(of("us-east-1").as_bytes()), Ok(2));
        assert!(keys.find(print, "us-east-1", None).is_ok());
    }

    #[test]
    fn what_is_refused() {
        let mut keys = PublicKeys::default();
        for (from, to, said) in [
            ("publicKeyList", "keys", "PublicKeyList"),
            ("\"Fingerprint\"", "\"F\"", "no `Fingerprint`"),
            ("8eba5d", "zz", "not hexadecimal"),
            ("MIIBCgKCAQEAn", "MIIBCgKCAQEAA", "fewer than 2048"),
            ("MIIBCgKCAQEAn", "!", "not base64"),
            ("MIIBCgKCAQEAn", "MIIBCgKCAQE", "not base64"),
            ("MIIBCgKCAQEAn11L", "MIIBCgKCAQEAn11L2222", "no RSA key in DER"),
            ("MIIBIjANBgkqhkiG9w0BAQEF", "MIIBIjANBgkqhkiG9w0BAQQF", "not an RSA key"),
            ("1436317441.0", "soon", "not a time"),
            ("31E8b5433410dfb61a9dc45cc65b22ff", "8eba5db5bea9b640d1c96a77256fe7f2", "another key"),
        ] {
            let text = SAMPLE.replacen(from, to, 1);
            assert_ne!(text, SAMPLE, "{from}");
            let error = keys.clone().add(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{from} → {to}: {error}");
        }
        assert!(keys.add(b"{").is_err());
        for der in
            [&b""[..], &[0x30], &[0x30, 0x80], &[0x30, 0x02, 0x30, 0x00], &[0x30, 0x83, 1, 0, 0], &[0x30, 0x00, 0x00]]
        {
            assert!(pkcs1(der).is_err(), "{der:?}");
        }
    }
}
