//! Telling what kind of file the bytes are, for good error messages.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::text;

/// Kinds of input files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// `aws iam get-account-authorization-details`.
    AuthorizationDetails,
    /// The credential report, as CSV or as `aws iam get-credential-report` prints it.
    CredentialReport,
    /// A CSV of people.
    Roster,
    /// The organisation: accounts, OUs and policies.
    Organization,
    /// Identity Center: permission sets, assignments, users and groups.
    IdentityCenter,
    /// Trails and their selectors, as the CloudTrail commands print them.
    Trails,
    /// CloudTrail records.
    CloudTrail,
    /// A CloudTrail digest file.
    CloudTrailDigest,
    /// An account's summary, password policy, keys, MFA devices and identity providers.
    Account,
    /// `aws iam get-service-last-accessed-details`, with the principals.
    LastAccessed,
    /// IAM Access Analyzer's analyzers and findings.
    AccessAnalyzer,
    /// Policies at resources.
    ResourcePolicies,
    /// `aws cloudtrail list-public-keys`.
    PublicKeys,
    /// A gzip archive.
    Gzip,
    /// None of these.
    Unknown,
}

impl FileKind {
    /// The command that reads this kind, without the program's name.
    #[must_use]
    pub const fn ingest_command(self) -> Option<&'static str> {
        match self {
            Self::AuthorizationDetails => Some("ingest iam"),
            Self::CredentialReport => Some("ingest credential-report"),
            Self::Roster => Some("ingest roster"),
            Self::Organization => Some("ingest organization"),
            Self::IdentityCenter => Some("ingest identity-center"),
            Self::Trails => Some("ingest trails"),
            Self::CloudTrail => Some("ingest cloudtrail"),
            Self::Account => Some("ingest account"),
            Self::LastAccessed => Some("ingest last-accessed"),
            Self::AccessAnalyzer => Some("ingest access-analyzer"),
            Self::ResourcePolicies => Some("ingest resource-policies"),
            Self::PublicKeys => Some("ingest public-keys"),
            Self::CloudTrailDigest | Self::Gzip | Self::Unknown => None,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthorizationDetails => "the output of `aws iam get-account-authorization-details`",
            Self::CredentialReport => "an IAM credential report",
            Self::Roster => "a roster (a CSV of people with at least an id column)",
            Self::Organization => {
                "an organisation export (Organization, Roots, OrganizationalUnits, Accounts, Policies)"
            }
            Self::IdentityCenter => {
                "an Identity Center export (Instances, PermissionSets, AccountAssignments, Users, Groups)"
            }
            Self::Trails => {
                "trail settings (the output of `aws cloudtrail describe-trails`, `get-event-selectors`, `get-trail-status`)"
            }
            Self::CloudTrail => "a CloudTrail log",
            Self::CloudTrailDigest => "a CloudTrail digest",
            Self::Account => {
                "an account's IAM settings (AccountId; SummaryMap, PasswordPolicy, AccessKeys, MFADevices, \
                 SAMLProviderList, OpenIDConnectProviderList)"
            }
            Self::LastAccessed => {
                "last accessed information (the output of `aws iam get-service-last-accessed-details` with the \
                 principal's Arn)"
            }
            Self::AccessAnalyzer => "IAM Access Analyzer's findings (AccountId, Analyzers with their Findings)",
            Self::ResourcePolicies => "policies at resources (AccountId, Services with their Resources)",
            Self::PublicKeys => "public keys of CloudTrail (the output of `aws cloudtrail list-public-keys`)",
            Self::Gzip => "a gzip archive",
            Self::Unknown => "a file of a kind that jitscan does not know",
        })
    }
}

/// Marker keys of the JSON kinds; the first that occurs at the top level decides.
const MARKERS: [(&str, FileKind); 34] = [
    ("UserDetailList", FileKind::AuthorizationDetails),
    ("RoleDetailList", FileKind::AuthorizationDetails),
    ("GroupDetailList", FileKind::AuthorizationDetails),
    ("ReportFormat", FileKind::CredentialReport),
    ("AccountAssignments", FileKind::IdentityCenter),
    ("PermissionSets", FileKind::IdentityCenter),
    ("GroupMemberships", FileKind::IdentityCenter),
    ("Organization", FileKind::Organization),
    ("OrganizationalUnits", FileKind::Organization),
    ("Roots", FileKind::Organization),
    ("Records", FileKind::CloudTrail),
    ("eventSource", FileKind::CloudTrail),
    ("eventVersion", FileKind::CloudTrail),
    ("digestStartTime", FileKind::CloudTrailDigest),
    ("digestS3Bucket", FileKind::CloudTrailDigest),
    ("LastAccessedDetails", FileKind::LastAccessed),
    ("ServicesLastAccessed", FileKind::LastAccessed),
    ("JobCompletionDate", FileKind::LastAccessed),
    ("Analyzers", FileKind::AccessAnalyzer),
    ("Services", FileKind::ResourcePolicies),
    ("PublicKeyList", FileKind::PublicKeys),
    ("SummaryMap", FileKind::Account),
    ("PasswordPolicy", FileKind::Account),
    ("AccessKeys", FileKind::Account),
    ("MFADevices", FileKind::Account),
    ("SAMLProviderList", FileKind::Account),
    ("OpenIDConnectProviderList", FileKind::Account),
    ("trailList", FileKind::Trails),
    ("Trail", FileKind::Trails),
    ("EventSelectors", FileKind::Trails),
    ("AdvancedEventSelectors", FileKind::Trails),
    ("InsightSelectors", FileKind::Trails),
    ("IsLogging", FileKind::Trails),
    ("TrailARN", FileKind::Trails),
];

/// What the bytes look like, from their first JSON value or their header line. Never fails; a guess only.
#[must_use]
pub fn kind_of(bytes: &[u8]) -> FileKind {
    if bytes.starts_with(&[0x1F, 0x8B]) {
        return FileKind::Gzip;
    }
    let Ok(text) = text::decode(bytes, "") else { return FileKind::Unknown };
    if text.trim_start().starts_with(['{', '[']) {
        let keys = top_level_keys(&text);
        return MARKERS
            .iter()
            .find(|(key, _)| keys.iter().any(|k| k == key))
            .map_or(FileKind::Unknown, |found| found.1);
    }
    let header = text.trim_start().lines().next().unwrap_or("").to_ascii_lowercase();
    let columns: Vec<&str> = header.split([',', ';', '\t']).map(|column| column.trim().trim_matches('"')).collect();
    let has = |name: &str| columns.contains(&name);
    if has("user") && has("arn") && (has("password_enabled") || has("access_key_1_active")) {
        return FileKind::CredentialReport;
    }
    if columns.len() > 1 && (has("manager") || has("email") || has("e-mail") || has("mail")) {
        return FileKind::Roster;
    }
    FileKind::Unknown
}

/// Keys of the first object, or of the first object in the first array. Reads up to where the JSON breaks.
fn top_level_keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // A broken document still tells its kind by the keys before the break, so the error is of no interest.
    let _ = deserializer.deserialize_any(Keys { into: &mut keys });
    keys
}

struct Keys<'k> {
    into: &'k mut Vec<String>,
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.into.push(key);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        seq.next_element_seed(KeysSeed(self)).map(drop)
    }
}

struct KeysSeed<'k>(Keys<'k>);

impl<'de> serde::de::DeserializeSeed<'de> for KeysSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_their_marks() {
        for (text, want) in [
            (r#"{"UserDetailList":[]}"#, FileKind::AuthorizationDetails),
            (r#"[{"Policies":[],"RoleDetailList":[]}]"#, FileKind::AuthorizationDetails),
            (r#"{"RoleDetailList":[{"broken"#, FileKind::AuthorizationDetails),
            (r#"{"RoleDetailList":[],"UserDetailList":[{"broken"#, FileKind::AuthorizationDetails),
            ("user,arn,user_creation_time,password_enabled\n", FileKind::CredentialReport),
            (r#"{"Content":"","ReportFormat":"text/csv"}"#, FileKind::CredentialReport),
            ("ID;Name;E-Mail;Manager\n", FileKind::Roster),
            (r#"{"Organization":{},"Policies":[]}"#, FileKind::Organization),
            (r#"{"Users":[],"AccountAssignments":[]}"#, FileKind::IdentityCenter),
            (r#"{"Records":[]}"#, FileKind::CloudTrail),
            (r#"[{"eventVersion":"1.08"}]"#, FileKind::CloudTrail),
            (r#"{"digestStartTime":"x"}"#, FileKind::CloudTrailDigest),
            (r#"{"JobStatus":"COMPLETED","ServicesLastAccessed":[]}"#, FileKind::LastAccessed),
            (r#"{"AccountId":"1","LastAccessedDetails":[]}"#, FileKind::LastAccessed),
            (r#"{"AccountId":"1","Analyzers":[]}"#, FileKind::AccessAnalyzer),
            (r#"{"AccountId":"1","Services":[]}"#, FileKind::ResourcePolicies),
            (r#"[{"Region":"r","PublicKeyList":[]}]"#, FileKind::PublicKeys),
            (r#"{"AccountId":"1","SummaryMap":{}}"#, FileKind::Account),
            (r#"{"MFADevices":[],"AccountId":"1"}"#, FileKind::Account),
            (r#"{"trailList":[]}"#, FileKind::Trails),
            (r#"{"TrailARN":"x","EventSelectors":[]}"#, FileKind::Trails),
            (r#"{"IsLogging":true}"#, FileKind::Trails),
            ("", FileKind::Unknown),
            ("hello", FileKind::Unknown),
            ("[1,2]", FileKind::Unknown),
        ] {
            assert_eq!(kind_of(text.as_bytes()), want, "{text}");
        }
        assert_eq!(kind_of(&[0x1F, 0x8B, 8]), FileKind::Gzip);
        assert_eq!(kind_of(&[0xFF, 0xD8, 0xFF]), FileKind::Unknown);
    }
}
