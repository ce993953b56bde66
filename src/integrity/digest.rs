//! A digest file, read. Source: "CloudTrail digest file structure" (AWS CloudTrail User Guide).

use serde::{Deserialize, Deserializer};

use crate::model::time::Timestamp;

use super::read::{Hash, hex, unhex};

/// The digest before this one, as this one names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Previous {
    pub bucket: String,
    pub key: String,
    /// Hexadecimal; the signature of that digest.
    pub signature: Option<String>,
    /// Of that digest's uncompressed content.
    pub hash: Option<Hash>,
}

impl Previous {
    /// Whether this is the place that a digest says is its own.
    pub(super) fn names(&self, digest: &Digest) -> bool {
        self.bucket == digest.bucket && self.key == digest.key
    }

    /// Whether its content is the one that is meant, too.
    pub(super) fn is(&self, digest: &Digest) -> bool {
        self.names(digest) && self.hash == Some(digest.hash)
    }
}

/// A log that a digest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedLog {
    pub bucket: String,
    pub key: String,
    /// None where the hash is not SHA-256 in hexadecimal.
    pub hash: Option<Hash>,
}

/// A digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub bucket: String,
    pub key: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub fingerprint: String,
    /// None for a starting digest.
    pub previous: Option<Previous>,
    pub logs: Vec<NamedLog>,
    /// Of its uncompressed content.
    pub hash: Hash,
    /// What its signature signs.
    pub signed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    digest_public_key_fingerprint: String,
    digest_s3_bucket: String,
    digest_s3_object: String,
    digest_start_time: String,
    digest_end_time: String,
    #[serde(deserialize_with = "null_but_there")]
    previous_digest_signature: Option<String>,
    previous_digest_s3_bucket: Option<String>,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    #[serde(deserialize_with = "null_but_there")]
    log_files: Option<Vec<WireLog>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLog {
    s3_bucket: String,
    s3_object: String,
    hash_value: String,
    hash_algorithm: Option<String>,
}

/// A field that may be null, but not absent.
fn null_but_there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

impl Digest {
    /// Reads a digest's uncompressed content.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn parse(text: &[u8], hash: Hash) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(text).map_err(|error| format!("not a digest: {error}"))?;
        let time = |text: &str| text.parse::<Timestamp>().map_err(|error| error.to_string());
        let (start, end) = (time(&wire.digest_start_time)?, time(&wire.digest_end_time)?);
        if start > end {
            return Err(format!("it ends at {end}, before it starts"));
        }
        // The literal `null` stands in for the signature where there is no previous digest.
        let signed = format!(
            "{}\n{}/{}\n{}\n{}",
            wire.digest_end_time,
            wire.digest_s3_bucket,
            wire.digest_s3_object,
            hex(&hash),
            wire.previous_digest_signature.as_deref().unwrap_or("null"),
        );
        let previous = match (wire.previous_digest_s3_bucket, wire.previous_digest_s3_object) {
            (Some(bucket), Some(key)) => Some(Previous {
                bucket,
                key,
                signature: wire.previous_digest_signature,
                hash: wire.previous_digest_hash_value.as_deref().and_then(sha256),
            }),
            _ => None,
        };
        let logs = wire.log_files.unwrap_or_default().into_iter().map(|log| NamedLog {
            bucket: log.s3_bucket,
            key: log.s3_object,
            hash: match log.hash_algorithm.as_deref() {
                None | Some("SHA-256") => sha256(&log.hash_value),
                Some(_) => None,
            },
        });
        Ok(Self {
            bucket: wire.digest_s3_bucket,
            key: wire.digest_s3_object,
            start,
            end,
            fingerprint: wire.digest_public_key_fingerprint,
            previous,
            logs: logs.collect(),
            hash,
            signed,
        })
    }

    /// Its S3 address.
    pub(super) fn address(&self) -> String {
        address(&self.bucket, &self.key)
    }
}

/// An S3 address.
pub(super) fn address(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

fn sha256(text: &str) -> Option<Hash> {
    unhex(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"awsAccountId":"111122223333","digestStartTime":"2015-08-17T14:01:31Z",
        "digestEndTime":"2015-08-17T15:01:31Z","digestS3Bucket":"b","digestS3Object":"AWSLogs/k",
        "digestPublicKeyFingerprint":"31e8","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":null,
        "previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,
        "previousDigestSignature":null,"logFiles":[{"s3Bucket":"b","s3Object":"l","hashValue":"00"}]}"#;

    #[test]
    fn the_string_that_is_signed() {
        let digest = Digest::parse(SAMPLE.as_bytes(), [0xab; 32]).unwrap();
        assert_eq!(digest.signed, format!("2015-08-17T15:01:31Z\nb/AWSLogs/k\n{}\nnull", "ab".repeat(32)));
        assert_eq!((digest.previous, digest.logs.len()), (None, 1));
        let next = SAMPLE
            .replace(r#""previousDigestS3Bucket":null"#, r#""previousDigestS3Bucket":"b""#)
            .replace(r#""previousDigestS3Object":null"#, r#""previousDigestS3Object":"p""#)
            .replace(r#""previousDigestSignature":null"#, r#""previousDigestSignature":"0aFF""#);
        let digest = Digest::parse(next.as_bytes(), [0; 32]).unwrap();
        assert!(digest.signed.ends_with("\n0aFF"), "as it is written: {}", digest.signed);
        assert_eq!(digest.previous.unwrap().key, "p");
    }

    #[test]
    fn what_is_no_digest() {
        for (from, to) in [
            ("\"digestEndTime\"", "\"digestEndTimes\""),
            ("\"previousDigestSignature\"", "\"previousDigestSignatures\""),
            ("\"logFiles\"", "\"logFilez\""),
            ("2015-08-17T15:01:31Z", "2015-08-17T13:01:31Z"),
            ("2015-08-17T14:01:31Z", "yesterday"),
            ("\"31e8\"", "31"),
            ("\"awsAccountId\"", "\"digestS3Bucket\":\"c\",\"awsAccountId\""),
            ("{\"aws", "[\"aws"),
        ] {
            let text = SAMPLE.replacen(from, to, 1);
            assert_ne!(text, SAMPLE);
            assert!(Digest::parse(text.as_bytes(), [0; 32]).is_err(), "{from} → {to}");
        }
        assert!(Digest::parse(&[0xff], [0; 32]).is_err());
        assert!(Digest::parse("[".repeat(100_000).as_bytes(), [0; 32]).is_err());
    }
}
