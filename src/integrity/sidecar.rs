//! What S3 knew of a digest beside its content: the file `NAME.meta.json` next to it, as `aws s3api head-object`
//! prints it. A download loses it otherwise, and with it the signature of the newest digest.

use serde_json::{Map, Value};

use crate::model::time::Timestamp;

/// The metadata of a digest object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sidecar {
    /// Hexadecimal.
    pub signature: String,
    /// When a backfill digest was signed, which can be long after it ends.
    pub generated: Option<Timestamp>,
}

impl Sidecar {
    /// Reads one: `{"Metadata": {"signature": …}}`, `{"signature": …}` or `{"x-amz-meta-signature": …}`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let whole: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
        let whole = whole.as_object().ok_or("expected a JSON object")?;
        let inner = whole.get("Metadata").and_then(Value::as_object).unwrap_or(whole);
        let signature = field(inner, "signature").ok_or("it holds no signature")?;
        // "SHA256withRSA" is the only algorithm that AWS documents.
        if let Some(algorithm) = field(inner, "signature-algorithm").filter(|name| *name != "SHA256withRSA") {
            let shown: String = algorithm.chars().take(40).collect();
            return Err(format!("the signature algorithm `{shown}` is not known"));
        }
        let generated = field(inner, "backfill-generation-timestamp").and_then(|text| text.parse().ok());
        Ok(Self { signature: signature.to_owned(), generated })
    }
}

fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let fits = |key: &str| {
        let key = key.to_ascii_lowercase();
        key.strip_prefix("x-amz-meta-").unwrap_or(&key) == name
    };
    map.iter().find(|(key, _)| fits(key)).and_then(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        for text in [
            r#"{"ETag":"x","Metadata":{"signature":"0a","signature-algorithm":"SHA256withRSA"}}"#,
            r#"{"signature":"0a"}"#,
            r#"{"x-amz-meta-signature":"0a","x-amz-meta-signature-algorithm":"SHA256withRSA"}"#,
            r#"{"Metadata":{"X-Amz-Meta-Signature":"0a"}}"#,
        ] {
            assert_eq!(Sidecar::parse(text.as_bytes()).unwrap().signature, "0a", "{text}");
        }
        let back = r#"{"Metadata":{"signature":"0a","backfill-generation-timestamp":"2026-01-02T03:04:05Z"}}"#;
        assert_eq!(Sidecar::parse(back.as_bytes()).unwrap().generated, "2026-01-02T03:04:05Z".parse().ok());
        for text in [
            "",
            "[]",
            "{}",
            r#"{"Metadata":{}}"#,
            r#"{"signature":1}"#,
            r#"{"signature":"a","signature-algorithm":"MD5"}"#,
        ] {
            assert!(Sidecar::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
