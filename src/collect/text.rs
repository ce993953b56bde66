//! Bytes to text: byte-order marks, UTF-16 and percent-encoding.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::CollectError;
use crate::model::defect::{Defect, Place};

/// The text of a file: UTF-8 with or without a byte-order mark, or UTF-16 with one (as spreadsheets write it).
pub(super) fn decode<'a>(bytes: &'a [u8], file: &str) -> Result<Cow<'a, str>, CollectError> {
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        return utf16(rest, u16::from_le_bytes, file);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xFE, 0xFF]) {
        return utf16(rest, u16::from_be_bytes, file);
    }
    let (rest, skipped) = bytes.strip_prefix(b"\xEF\xBB\xBF").map_or((bytes, 0), |rest| (rest, 3));
    std::str::from_utf8(rest).map(Cow::Borrowed).map_err(|error| CollectError::Encoding {
        file: file.to_owned(),
        offset: skipped + error.valid_up_to(),
        encoding: "UTF-8",
    })
}

fn utf16<'a>(bytes: &[u8], unit: fn([u8; 2]) -> u16, file: &str) -> Result<Cow<'a, str>, CollectError> {
    let bad = |offset| CollectError::Encoding { file: file.to_owned(), offset, encoding: "UTF-16" };
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(bad(bytes.len() + 1));
    }
    let mut text = String::with_capacity(pairs.len());
    let mut offset = 2;
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let character = decoded.map_err(|_| bad(offset))?;
        offset += character.len_utf16() * 2;
        text.push(character);
    }
    Ok(Cow::Owned(text))
}

/// Undoes percent-encoding (RFC 3986, as IAM encodes policy documents: a plus sign stands for itself).
/// None where the text holds a broken escape or the result is not UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// A policy document as the API of IAM sends it: percent-encoded, or plain where somebody decoded it. None where the encoding
/// is broken.
#[must_use]
pub fn document_text(text: &str) -> Option<String> {
    if text.trim_start().starts_with('%') { percent_decode(text) } else { Some(text.to_owned()) }
}

/// The text of a policy document: an object as it stands, or a string that holds it, plain or percent-encoded.
/// What is neither is returned unchanged, so that the policy parser reports it with its place.
pub(super) fn document(raw: &RawValue) -> String {
    let raw = raw.get();
    if !raw.starts_with('"') {
        return raw.to_owned();
    }
    let Ok(text) = serde_json::from_str::<String>(raw) else { return raw.to_owned() };
    document_text(&text).unwrap_or(text)
}

/// The defect of a part of a document: `raw` is borrowed from `text`, which tells its offset.
pub(super) fn defect(file: &str, text: &str, raw: &RawValue, path: String, reason: String) -> Defect {
    let offset = raw.get().as_ptr().addr().checked_sub(text.as_ptr().addr()).map(|offset| offset as u64);
    Defect { place: Place { file: file.to_owned(), offset, path: Some(path) }, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let utf16 = |text: &str, unit: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            let mut bytes = mark.to_vec();
            bytes.extend(text.encode_utf16().flat_map(unit));
            bytes
        };
        let text = "user,arn\nzoë🦀";
        let mut with_bom = b"\xEF\xBB\xBF".to_vec();
        with_bom.extend(text.as_bytes());
        for bytes in [
            text.as_bytes().to_vec(),
            with_bom,
            utf16(text, u16::to_le_bytes, [0xFF, 0xFE]),
            utf16(text, u16::to_be_bytes, [0xFE, 0xFF]),
        ] {
            assert_eq!(decode(&bytes, "f").unwrap(), text);
        }
        let error = decode(b"ab\xFFc", "f.csv").unwrap_err().to_string();
        assert_eq!(error, "f.csv: byte 2 is not valid UTF-8; expected UTF-8 (or UTF-16 with a byte-order mark)");
        assert!(decode(&[0xFF, 0xFE, 0x00, 0xD8], "f").is_err(), "a lone surrogate");
        assert!(decode(&[0xFF, 0xFE, 0x41], "f").is_err(), "half a unit");
    }

    #[test]
    fn documents_in_every_wrapping() {
        for (raw, want) in [
            (r#"{"Version": "2012-10-17"}"#, r#"{"Version": "2012-10-17"}"#),
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            (r#""%7B%22a%22%3A%221+1%22%7D""#, r#"{"a":"1+1"}"#),
            (r#""%7B%zz""#, "%7B%zz"),
            ("12", "12"),
        ] {
            assert_eq!(document(serde_json::from_str(raw).unwrap()), want);
        }
    }
}
