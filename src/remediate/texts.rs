//! Texts as AWS takes them: values of tags, source identities, documents.

use super::effect::DEFAULT_SESSION;

/// Longest value of a tag. Source: "IAM and AWS STS quotas", IAM User Guide.
const TAG_VALUE: usize = 256;

/// Whether a text can be a source identity. Source: "AssumeRole", AWS STS API Reference (SourceIdentity).
pub(super) fn is_source_identity(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (2..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// A text as the value of a tag: letters, digits, spaces and `_.:/=+-@`.
pub(super) fn tag(text: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '_' }).take(TAG_VALUE).collect()
}

pub(super) fn short(name: &str, most: usize) -> String {
    name.chars().take(most).collect()
}

/// Longest session of a role for grants of so many minutes: an hour at least, twelve at most.
pub(super) fn seconds(minutes: i64) -> u32 {
    let hours = u32::try_from(minutes.clamp(0, 12 * 60)).unwrap_or(0).div_ceil(60).max(1);
    hours * DEFAULT_SESSION
}

/// A document without white space between its elements.
pub(super) fn compact(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}

/// Whether a document denies anything.
pub(super) fn denies(json: &str) -> bool {
    use crate::policy::{DocumentKind, Effect, PolicyDocument};
    let document = PolicyDocument::parse(json, DocumentKind::Identity);
    document.is_ok_and(|document| document.statements.iter().any(|one| one.effect == Effect::Deny))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_identities_are_what_sts_takes() {
        for (text, fits) in [
            ("ann@example.com", true),
            ("x", false),
            ("o'brien@example.com", false),
            ("arn:aws:iam::111122223333:user/dan", false),
            ("ü@example.com", false),
        ] {
            assert_eq!(is_source_identity(text), fits, "{text}");
        }
        assert!(is_source_identity(&"x".repeat(64)) && !is_source_identity(&"x".repeat(65)));
    }

    #[test]
    fn sessions_are_whole_hours_within_what_a_role_takes() {
        for (minutes, want) in [(0, 3600), (60, 3600), (61, 7200), (720, 43_200), (100_000, 43_200), (-5, 3600)] {
            assert_eq!(seconds(minutes), want, "{minutes}");
        }
        assert_eq!(tag("write rds in \u{e9}t\u{e9} (shop)"), "write rds in \u{e9}t\u{e9} _shop_");
    }
}
