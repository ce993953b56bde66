//! IAM Access Analyzer's analyzers and findings, as `jitscan collect` writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries::{insert, parse};
use super::text;
use super::{CollectError, FileKind, unusable};
use crate::model::access_analyzer::{
    AccessAnalyzer, Analyzer, AnalyzerFinding, FindingDetail, FindingStatus, GrantedAccess, UnusedAction,
};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Parsed};
use crate::model::time::Timestamp;

/// Reads one JSON object: `AccountId`, and `Analyzers` of every region as `list-analyzers` gives them, with their
/// `Region`, their `UnusedAccessAge` and their `Findings`: of each the answer of `list-findings-v2` with the
/// `FindingDetails` of `get-finding-v2`. All names begin with a capital letter.
///
/// An entry that cannot be read, an analyzer of another account, and a second entry of the same id with other content
/// are defects; what stood around them is marked as incomplete. Details of a kind that is not known are kept as such.
///
/// # Errors
/// Fails where the file is not text, is of another kind, names no account or holds no list of analyzers.
pub fn access_analyzer(
    bytes: &[u8],
    file: &str,
    captured_at: Timestamp,
) -> Result<Parsed<AccessAnalyzer>, CollectError> {
    const WANTED: FileKind = FileKind::AccessAnalyzer;
    let decoded = text::decode(bytes, file)?;
    let raw: Raw<'_> =
        serde_json::from_str(&decoded).map_err(|error| unusable(bytes, file, WANTED, error.to_string()))?;
    let mut reader = Reader { file, text: &decoded, account: raw.account_id, defects: Vec::new() };
    let (analyzers, _) = reader.list(&raw.analyzers, "Analyzers", Reader::analyzer, |analyzer| analyzer.arn.as_str());
    let value = AccessAnalyzer { account: raw.account_id, captured_at, analyzers };
    Ok(Parsed { value, defects: reader.defects })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    account_id: AccountId,
    #[serde(borrow)]
    analyzers: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAnalyzer<'a> {
    arn: Arn,
    name: Option<String>,
    r#type: String,
    status: String,
    region: Option<String>,
    created_at: Option<Timestamp>,
    last_resource_analyzed_at: Option<Timestamp>,
    unused_access_age: Option<u32>,
    #[serde(borrow)]
    findings: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawFinding<'a> {
    id: String,
    finding_type: Option<String>,
    status: String,
    resource: Option<String>,
    resource_type: Option<String>,
    resource_owner_account: AccountId,
    error: Option<String>,
    analyzed_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    #[serde(borrow)]
    finding_details: Option<&'a RawValue>,
}

/// An object with one member, whose name says what it holds.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawDetail {
    unused_permission_details: Option<RawPermission>,
    unused_iam_role_details: Option<RawUnused>,
    unused_iam_user_access_key_details: Option<RawKey>,
    unused_iam_user_password_details: Option<RawUnused>,
    external_access_details: Option<RawAccess>,
    internal_access_details: Option<RawAccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPermission {
    service_namespace: String,
    last_accessed: Option<Timestamp>,
    actions: Option<Vec<RawAction>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAction {
    action: String,
    last_accessed: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawUnused {
    last_accessed: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawKey {
    access_key_id: String,
    last_accessed: Option<Timestamp>,
}

/// Of external and of internal access.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAccess {
    action: Option<BTreeSet<String>>,
    condition: Option<BTreeMap<String, String>>,
    principal: Option<BTreeMap<String, String>>,
    is_public: Option<bool>,
    principal_owner_account: Option<String>,
    access_type: Option<String>,
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    account: AccountId,
    defects: Vec<Defect>,
}

impl Reader<'_> {
    fn defect(&mut self, raw: &RawValue, path: String, reason: String) {
        self.defects.push(text::defect(self.file, self.text, raw, path, reason));
    }

    /// The entries of a list by their keys, and whether all of them could be read.
    fn list<T: PartialEq>(
        &mut self,
        entries: &[&RawValue],
        path: &str,
        read: impl Fn(&mut Self, &RawValue, &str) -> Result<T, String>,
        key: impl Fn(&T) -> &str,
    ) -> (Vec<T>, bool) {
        let mut found: BTreeMap<String, T> = BTreeMap::new();
        let mut complete = true;
        for (at, entry) in entries.iter().enumerate() {
            let place = format!("{path}[{at}]");
            let read = read(self, entry, &place).and_then(|value| insert(&mut found, key(&value).to_owned(), value));
            if let Err(reason) = read {
                complete = false;
                self.defect(entry, place, reason);
            }
        }
        (found.into_values().collect(), complete)
    }

    /// The members of a list that may be missing or none; none, with a defect, where it is something else.
    fn entries<'r>(&mut self, raw: Option<&'r RawValue>, path: &str) -> Option<Vec<&'r RawValue>> {
        match parse(raw?) {
            Ok(entries) => Some(entries),
            Err(reason) => {
                self.defect(raw?, path.to_owned(), reason);
                None
            }
        }
    }

    fn analyzer(&mut self, raw: &RawValue, path: &str) -> Result<Analyzer, String> {
        let read: RawAnalyzer<'_> = parse(raw)?;
        if read.arn.service() != "access-analyzer" {
            return Err(format!(
                "`{}` is no analyzer; expected arn:aws:access-analyzer:REGION:ACCOUNT:analyzer/NAME",
                read.arn
            ));
        }
        if read.arn.account() != Some(self.account) {
            return Err(format!("`{}` does not belong to account {}, as the document does", read.arn, self.account));
        }
        let place = format!("{path}.Findings");
        let (findings, complete) = match self.entries(read.findings, &place) {
            Some(entries) => self.list(&entries, &place, Self::finding, |finding| finding.id.as_str()),
            None => (Vec::new(), false),
        };
        Ok(Analyzer {
            name: read.name.unwrap_or_else(|| read.arn.name().to_owned()),
            region: read.region.unwrap_or_else(|| read.arn.region().to_owned()),
            arn: read.arn,
            kind: read.r#type,
            status: read.status,
            created: read.created_at,
            analyzed: read.last_resource_analyzed_at,
            unused_age: read.unused_access_age,
            findings,
            complete,
        })
    }

    fn finding(&mut self, raw: &RawValue, path: &str) -> Result<AnalyzerFinding, String> {
        let read: RawFinding<'_> = parse(raw)?;
        let status = match read.status.as_str() {
            "ACTIVE" => FindingStatus::Active,
            "ARCHIVED" => FindingStatus::Archived,
            "RESOLVED" => FindingStatus::Resolved,
            other => return Err(format!("Status `{other}` is not known; expected ACTIVE, ARCHIVED or RESOLVED")),
        };
        let place = format!("{path}.FindingDetails");
        let entries = self.entries(read.finding_details, &place);
        let mut complete = entries.is_some();
        let mut details = Vec::new();
        for (at, entry) in entries.into_iter().flatten().enumerate() {
            match parse::<RawDetail>(entry) {
                Ok(detail) => details.push(detail_of(detail)),
                Err(reason) => {
                    complete = false;
                    self.defect(entry, format!("{place}[{at}]"), reason);
                }
            }
        }
        Ok(AnalyzerFinding {
            id: read.id,
            kind: read.finding_type.unwrap_or_default(),
            status,
            resource: read.resource.unwrap_or_default(),
            resource_type: read.resource_type.unwrap_or_default(),
            owner: read.resource_owner_account,
            error: read.error.unwrap_or_default(),
            analyzed: read.analyzed_at,
            created: read.created_at,
            updated: read.updated_at,
            details,
            complete,
        })
    }
}

fn detail_of(raw: RawDetail) -> FindingDetail {
    if let Some(found) = raw.unused_permission_details {
        let actions = found.actions.unwrap_or_default().into_iter();
        let mut actions: Vec<UnusedAction> =
            actions.map(|action| UnusedAction { action: action.action, last: action.last_accessed }).collect();
        actions.sort();
        actions.dedup();
        return FindingDetail::UnusedPermission {
            namespace: found.service_namespace,
            last: found.last_accessed,
            actions,
        };
    }
    if let Some(found) = raw.unused_iam_role_details {
        return FindingDetail::UnusedRole { last: found.last_accessed };
    }
    if let Some(found) = raw.unused_iam_user_access_key_details {
        return FindingDetail::UnusedAccessKey { id: found.access_key_id, last: found.last_accessed };
    }
    if let Some(found) = raw.unused_iam_user_password_details {
        return FindingDetail::UnusedPassword { last: found.last_accessed };
    }
    if let Some(found) = raw.external_access_details {
        let public = found.is_public;
        return FindingDetail::ExternalAccess {
            access: granted(found.action, found.principal, found.condition),
            public,
        };
    }
    if let Some(found) = raw.internal_access_details {
        return FindingDetail::InternalAccess {
            access: granted(found.action, found.principal, found.condition),
            owner: found.principal_owner_account.unwrap_or_default(),
            access_type: found.access_type.unwrap_or_default(),
        };
    }
    FindingDetail::Unknown
}

fn granted(
    actions: Option<BTreeSet<String>>,
    principal: Option<BTreeMap<String, String>>,
    condition: Option<BTreeMap<String, String>>,
) -> GrantedAccess {
    GrantedAccess {
        actions: actions.unwrap_or_default(),
        principal: principal.unwrap_or_default(),
        condition: condition.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:access-analyzer:eu-west-1:111111111111:analyzer/unused";

    fn read(text: &str) -> Parsed<AccessAnalyzer> {
        access_analyzer(text.as_bytes(), "a.json", "2026-11-05".parse().unwrap()).unwrap()
    }

    fn finding(id: &str, details: &str) -> String {
        format!(
            r#"{{"Id":"{id}","FindingType":"UnusedPermission","Status":"ACTIVE","ResourceType":"AWS::IAM::Role",
            "Resource":"arn:aws:iam::111111111111:role/ci","ResourceOwnerAccount":"111111111111",
            "AnalyzedAt":"2026-11-03T00:00:00Z","CreatedAt":"2026-10-01T00:00:00Z","UpdatedAt":"2026-11-02T00:00:00Z",
            "FindingDetails":{details}}}"#
        )
    }

    fn analyzer(arn: &str, findings: &str) -> String {
        format!(
            r#"{{"Arn":"{arn}","Name":"unused","Type":"ACCOUNT_UNUSED_ACCESS","Status":"ACTIVE","Region":"eu-west-1",
            "CreatedAt":"2026-01-01T00:00:00Z","UnusedAccessAge":90,"Findings":{findings}}}"#
        )
    }

    fn document(analyzers: &[String]) -> String {
        format!(r#"{{"AccountId":"111111111111","Analyzers":[{}]}}"#, analyzers.join(","))
    }

    #[test]
    fn every_kind_of_detail() {
        let at = Some("2026-07-01".parse().unwrap());
        let action = |action: &str, last| UnusedAction { action: action.to_owned(), last };
        let access = GrantedAccess {
            actions: ["s3:GetObject".to_owned(), "s3:ListBucket".to_owned()].into(),
            principal: [("AWS".to_owned(), "*".to_owned())].into(),
            condition: [("aws:SourceVpc".to_owned(), "vpc-1".to_owned())].into(),
        };
        let granted = r#""Action":["s3:ListBucket","s3:GetObject"],"Condition":{"aws:SourceVpc":"vpc-1"},"Principal":{"AWS":"*"}"#;
        for (text, want) in [
            (
                r#"{"UnusedPermissionDetails":{"ServiceNamespace":"s3","LastAccessed":"2026-07-01","Actions":[
                {"Action":"PutObject"},{"Action":"GetObject","LastAccessed":"2026-07-01"},{"Action":"PutObject"}]}}"#
                    .to_owned(),
                FindingDetail::UnusedPermission {
                    namespace: "s3".to_owned(),
                    last: at,
                    actions: vec![action("GetObject", at), action("PutObject", None)],
                },
            ),
            (
                r#"{"UnusedPermissionDetails":{"ServiceNamespace":"ec2"}}"#.to_owned(),
                FindingDetail::UnusedPermission { namespace: "ec2".to_owned(), last: None, actions: Vec::new() },
            ),
            (r#"{"UnusedIamRoleDetails":{}}"#.to_owned(), FindingDetail::UnusedRole { last: None }),
            (
                r#"{"UnusedIamRoleDetails":{"LastAccessed":"2026-07-01"}}"#.to_owned(),
                FindingDetail::UnusedRole { last: at },
            ),
            (
                r#"{"UnusedIamUserAccessKeyDetails":{"AccessKeyId":"AKIA1","LastAccessed":"2026-07-01"}}"#.to_owned(),
                FindingDetail::UnusedAccessKey { id: "AKIA1".to_owned(), last: at },
            ),
            (r#"{"UnusedIamUserPasswordDetails":{}}"#.to_owned(), FindingDetail::UnusedPassword { last: None }),
            (
                format!(r#"{{"ExternalAccessDetails":{{{granted},"IsPublic":true}}}}"#),
                FindingDetail::ExternalAccess { access: access.clone(), public: Some(true) },
            ),
            (
                r#"{"ExternalAccessDetails":{}}"#.to_owned(),
                FindingDetail::ExternalAccess { access: GrantedAccess::default(), public: None },
            ),
            (
                format!(
                    r#"{{"InternalAccessDetails":{{{granted},"PrincipalOwnerAccount":"222222222222","AccessType":"INTRA_ORG"}}}}"#
                ),
                FindingDetail::InternalAccess {
                    access,
                    owner: "222222222222".to_owned(),
                    access_type: "INTRA_ORG".to_owned(),
                },
            ),
            (r#"{"Unknown":true}"#.to_owned(), FindingDetail::Unknown),
            (r#"{"UnusedPolarBearDetails":{"LastAccessed":7}}"#.to_owned(), FindingDetail::Unknown),
        ] {
            let Parsed { value, defects } =
                read(&document(&[analyzer(ARN, &format!("[{}]", finding("f", &format!("[{text}]"))))]));
            assert_eq!(defects, [], "{text}");
            let found = &value.analyzers[0].findings[0];
            assert_eq!((found.details.as_slice(), found.complete), ([want].as_slice(), true), "{text}");
        }
    }

    #[test]
    fn analyzers_of_every_type() {
        for (kind, organization, unused) in [
            ("ACCOUNT", false, false),
            ("ORGANIZATION", true, false),
            ("ACCOUNT_UNUSED_ACCESS", false, true),
            ("ORGANIZATION_UNUSED_ACCESS", true, true),
            ("ACCOUNT_INTERNAL_ACCESS", false, false),
            ("ORGANIZATION_INTERNAL_ACCESS", true, false),
            ("GALAXY", false, false),
        ] {
            let text = document(&[analyzer(ARN, "[]").replace("ACCOUNT_UNUSED_ACCESS", kind)]);
            let Parsed { value, defects } = read(&text);
            let one = &value.analyzers[0];
            assert_eq!(
                (one.of_organization(), one.of_unused_access(), defects.len()),
                (organization, unused, 0),
                "{kind}"
            );
            assert_eq!((one.unused_age, one.complete, one.active()), (Some(90), true, true));
        }
    }

    #[test]
    fn one_bad_entry_costs_one_entry() {
        let list = [
            finding("b", "[]"),
            finding("a", r#"[7,{"UnusedIamRoleDetails":{"LastAccessed":12}},{"UnusedIamRoleDetails":{}}]"#),
            finding("b", "[]"),
            finding("b", r#"[{"Unknown":true}]"#),
            finding("c", "[]").replace("ACTIVE", "ASLEEP"),
            finding("d", "[]").replace(r#""ResourceOwnerAccount":"111111111111","#, ""),
            finding("e", "{}").replace("ACTIVE", "ARCHIVED"),
            "null".to_owned(),
        ];
        let text = document(&[
            analyzer(ARN, &format!("[{}]", list.join(","))),
            analyzer(&ARN.replace("111111111111", "222222222222"), "[]"),
            analyzer("arn:aws:iam::111111111111:role/r", "[]"),
            analyzer(&ARN.replace("unused", "missing"), "null"),
            analyzer(&ARN.replace("unused", "odd"), "{}"),
            "7".to_owned(),
        ]);
        let Parsed { value, defects } = read(&text);
        let shown: Vec<(&str, usize, bool)> =
            value.analyzers.iter().map(|one| (one.arn.name(), one.findings.len(), one.complete)).collect();
        // What cannot be read is not known to be empty.
        assert_eq!(shown, [("missing", 0, false), ("odd", 0, false), ("unused", 3, false)]);
        let findings: Vec<(&str, FindingStatus, usize, bool)> = value.analyzers[2]
            .findings
            .iter()
            .map(|found| (found.id.as_str(), found.status, found.details.len(), found.complete))
            .collect();
        assert_eq!(
            findings,
            [
                ("a", FindingStatus::Active, 1, false),
                ("b", FindingStatus::Active, 0, true),
                ("e", FindingStatus::Archived, 0, false),
            ]
        );
        let shown: Vec<String> = defects
            .iter()
            .map(|defect| format!("{}: {}", defect.place.path.clone().unwrap_or_default(), defect.reason))
            .collect();
        let want = [
            "Analyzers[0].Findings[1].FindingDetails[0]: invalid type",
            "Analyzers[0].Findings[1].FindingDetails[1]: invalid type",
            "Analyzers[0].Findings[3]: `b` is listed a second time",
            "Analyzers[0].Findings[4]: Status `ASLEEP` is not known; expected ACTIVE",
            "Analyzers[0].Findings[5]: missing field `ResourceOwnerAccount`",
            "Analyzers[0].Findings[6].FindingDetails: invalid type",
            "Analyzers[0].Findings[7]: invalid type",
            "Analyzers[1]: `arn:aws:access-analyzer:eu-west-1:222222222222:analyzer/unused` does not belong",
            "Analyzers[2]: `arn:aws:iam::111111111111:role/r` is no analyzer",
            "Analyzers[4].Findings: invalid type",
            "Analyzers[5]: invalid type",
        ];
        assert_eq!(shown.len(), want.len(), "{shown:#?}");
        for (shown, want) in shown.iter().zip(want) {
            assert!(shown.starts_with(want), "{shown}, not {want}");
        }
        let seven = usize::try_from(defects[0].place.offset.unwrap()).unwrap();
        assert_eq!(text.as_bytes()[seven], b'7');
    }

    #[test]
    fn the_order_of_entries_does_not_matter() {
        let details = r#"[{"UnusedPermissionDetails":{"ServiceNamespace":"s3"}}]"#;
        let (one, two) = (finding("a", details), finding("b", details));
        let other = analyzer(&ARN.replace("unused", "other"), "[]");
        let forth = document(&[analyzer(ARN, &format!("[{one},{two}]")), other.clone()]);
        let back = document(&[other, analyzer(ARN, &format!("[{two},{one}]"))]);
        assert_eq!(read(&forth).value, read(&back).value);
    }

    #[test]
    fn wrong_files() {
        for (text, want) in [
            (r#"{"Analyzers":[]}"#, "missing field `AccountId`"),
            (r#"{"AccountId":"1","Analyzers":[]}"#, "is not an AWS account id"),
            (r#"{"AccountId":"111111111111"}"#, "missing field `Analyzers`"),
            (r#"{"AccountId":"111111111111","Analyzers":{}}"#, "invalid type"),
            (r#"{"AccountId":"111111111111","SummaryMap":{}}"#, "use `jitscan ingest account`"),
            (r#"{"UserDetailList":[]}"#, "use `jitscan ingest iam`"),
            ("", "EOF while parsing"),
        ] {
            let error = access_analyzer(text.as_bytes(), "f", Timestamp::default()).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
        let none = read(r#"{"AccountId":"111111111111","Analyzers":[]}"#);
        assert_eq!((none.value.analyzers.len(), none.defects.len()), (0, 0));
    }
}
