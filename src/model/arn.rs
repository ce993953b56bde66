//! ARNs and account ids, parsed once at the edge and typed from there on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A twelve-digit AWS account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

/// A text that is not an account id.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not an AWS account id; expected twelve digits")]
pub struct AccountIdError(String);

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        let bad = || AccountIdError(text.chars().take(32).collect());
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        text.parse().map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An Amazon Resource Name in any partition: `arn:partition:service:region:account:resource`.
///
/// Region and account may be empty (S3 buckets, IAM's region); the resource part may hold colons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    text: String,
    /// Ends of the first five parts within `text`.
    ends: [usize; 5],
}

/// A text that is not an ARN.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not an ARN; expected arn:partition:service:region:account:resource")]
pub struct ArnError(String);

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let bad = || ArnError(text.chars().take(128).collect());
        let mut ends = [0usize; 5];
        let mut colons = text.match_indices(':').map(|(at, _)| at);
        for end in &mut ends {
            *end = colons.next().ok_or_else(bad)?;
        }
        let arn = Self { text: text.to_owned(), ends };
        if arn.text.get(..ends.first().copied().unwrap_or(0)) != Some("arn")
            || arn.partition().is_empty()
            || arn.service().is_empty()
            || arn.resource().is_empty()
        {
            return Err(bad());
        }
        Ok(arn)
    }
}

impl Arn {
    fn part(&self, from: usize, to: usize) -> &str {
        let start = self.ends.get(from).map_or(0, |end| end + 1);
        let end = self.ends.get(to).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or("")
    }

    /// `aws`, `aws-cn`, `aws-us-gov`, ….
    #[must_use]
    pub fn partition(&self) -> &str {
        self.part(0, 1)
    }

    /// The service namespace, such as `iam`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.part(1, 2)
    }

    /// The region, or nothing.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(2, 3)
    }

    /// The account text, or nothing (also `aws` for managed policies).
    #[must_use]
    pub fn account_text(&self) -> &str {
        self.part(3, 4)
    }

    /// The account, where the ARN names one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.account_text().parse().ok()
    }

    /// All after the fifth colon, such as `role/path/name`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.part(4, 5)
    }

    /// The last path component of the resource, such as the role's name.
    #[must_use]
    pub fn name(&self) -> &str {
        let resource = self.resource();
        resource.rsplit(['/', ':']).next().unwrap_or(resource)
    }

    /// The ARN as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Arn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Arn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_arns() {
        for (text, want) in [
            ("arn:aws:iam::123456789012:role/a/b", ["aws", "iam", "", "123456789012", "role/a/b"]),
            ("arn:aws-cn:s3:::bucket/key:with:colons", ["aws-cn", "s3", "", "", "bucket/key:with:colons"]),
            ("arn:aws:iam::aws:policy/ReadOnlyAccess", ["aws", "iam", "", "aws", "policy/ReadOnlyAccess"]),
        ] {
            let arn: Arn = text.parse().unwrap();
            assert_eq!([arn.partition(), arn.service(), arn.region(), arn.account_text(), arn.resource()], want);
        }
        for text in ["", "arn", "arn:aws:iam::1", "arn:aws:iam:::", "urn:aws:iam::1:role/x", "arn::iam::1:role/x"] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
        assert_eq!("arn:aws:iam::123456789012:role/a/b".parse::<Arn>().unwrap().name(), "b");
    }

    #[test]
    fn account_ids_keep_leading_zeros() {
        assert_eq!("000123456789".parse::<AccountId>().unwrap().to_string(), "000123456789");
        for text in ["", "12345678901", "1234567890123", "12345678901a", "+23456789012"] {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }
}
