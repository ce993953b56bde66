//! The snapshot readers on real exports.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jitscan::collect::{
    FileKind, access_analyzer, account, authorization_details, credential_report, identity_center, kind_of,
    last_accessed, organization, roster,
};
use jitscan::model::snapshot::AccountIam;
use jitscan::model::time::Timestamp;
use jitscan::policy::{DocumentKind, PolicyDocument};
use proptest::prelude::*;

/// A file or folder of the shared data, or none with a printed message where it is not there.
pub fn shared_root(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("JITSCAN_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = root.join(path);
    if path.exists() {
        Some(path)
    } else {
        println!("skipped: {} does not exist", path.display());
        None
    }
}

/// The bytes of a file of the shared data.
pub fn shared(path: &str) -> Option<Vec<u8>> {
    shared_root(path).map(|path| std::fs::read(path).unwrap())
}

fn at() -> Timestamp {
    "2026-01-01".parse().unwrap()
}

/// Users, groups, roles and distinct policies over all accounts of a file.
fn counts(accounts: &[AccountIam]) -> [usize; 4] {
    let policies: BTreeSet<&str> =
        accounts.iter().flat_map(|iam| &iam.policies).map(|policy| policy.arn.as_str()).collect();
    let sum = |count: fn(&AccountIam) -> usize| accounts.iter().map(count).sum();
    [sum(|iam| iam.users.len()), sum(|iam| iam.groups.len()), sum(|iam| iam.roles.len()), policies.len()]
}

#[test]
fn authorization_details_of_cloudsplaining() {
    for (file, want_accounts, want) in [
        // The file unites the exports of two accounts.
        ("example.json", vec!["012345678901", "200611803367"], [44, 5, 78, 84]),
        ("example-authz-details.json", vec!["012345678901"], [3, 2, 3, 32]),
        ("example_authz_v2.json", vec!["012345678901"], [1, 1, 2, 2]),
    ] {
        let Some(bytes) = shared(&format!("cloudsplaining/{file}")) else { return };
        let parsed = authorization_details(&bytes, file, at()).unwrap();
        assert_eq!(parsed.defects, [], "{file}");
        let accounts: Vec<String> = parsed.value.iter().map(|iam| iam.account.to_string()).collect();
        assert_eq!(accounts, want_accounts, "{file}");
        assert_eq!(counts(&parsed.value), want, "{file}");
        assert_eq!(kind_of(&bytes), FileKind::AuthorizationDetails);
    }
}

#[test]
fn a_findings_file_is_not_authorization_details() {
    let Some(bytes) = shared("cloudsplaining/iam-results-example.json") else { return };
    let error = authorization_details(&bytes, "iam-results-example.json", at()).unwrap_err().to_string();
    assert!(error.contains("no UserDetailList"), "{error}");
}

#[test]
fn cloudmapper_account() {
    let folder = "cloudmapper/account-data/demo/us-east-1";
    let Some(bytes) = shared(&format!("{folder}/iam-get-account-authorization-details.json")) else { return };
    let parsed = authorization_details(&bytes, "f", at()).unwrap();
    assert_eq!(parsed.defects, []);
    assert_eq!(counts(&parsed.value), [2, 1, 4, 2]);
    assert_eq!(parsed.value[0].users[0].groups, ["GROUP_WITH_BAD_INLINE_POLICY"]);

    let bytes = shared(&format!("{folder}/iam-get-credential-report.json")).unwrap();
    let report = credential_report(&bytes, "f", at()).unwrap();
    assert_eq!(report.defects, []);
    assert_eq!(report.value.captured_at.to_string(), "2019-05-07T15:40:22Z");
    let users: Vec<&str> = report.value.rows.iter().map(|row| row.user.as_str()).collect();
    assert_eq!(users, ["<root_account>", "auditor_tmp", "user"]);
    assert!(report.value.rows[0].keys[0].active && report.value.rows[0].keys[0].last_used.is_some());
}

/// Every reader on the same bytes: none may panic, whatever they are.
fn read_all(bytes: &[u8]) {
    let _ = kind_of(bytes);
    let _ = access_analyzer(bytes, "f", at());
    let _ = account(bytes, "f", at());
    let _ = last_accessed(bytes, "f", at());
    let _ = authorization_details(bytes, "f", at());
    let _ = credential_report(bytes, "f", at());
    let _ = identity_center(bytes, "f", at());
    let _ = organization(bytes, "f", at());
    let _ = roster(bytes, "f");
    let text = String::from_utf8_lossy(bytes);
    for kind in [DocumentKind::Identity, DocumentKind::Trust, DocumentKind::Resource] {
        let _ = PolicyDocument::parse(&text, kind);
    }
}

/// Several kinds of document in one: each reader takes its own parts of it.
const ANSWERS: &str = r#"{"AccountId":"111111111111","SummaryMap":{"Users":1},"PasswordPolicy":{"MaxPasswordAge":90},
    "AccessKeys":[{"UserName":"u","AccessKeyId":"AKIA","Status":"Active","AccessKeyLastUsed":{"Region":"N/A"}}],
    "LastAccessedDetails":[{"Arn":"arn:aws:iam::111111111111:user/u","JobCompletionDate":"2026-11-01",
    "ServicesLastAccessed":[{"ServiceNamespace":"s3","LastAuthenticated":"2026-10-01T00:00:00Z",
    "TrackedActionsLastAccessed":[{"ActionName":"CreateBucket"}]}]}],
    "Analyzers":[{"Arn":"arn:aws:access-analyzer:eu-west-1:111111111111:analyzer/a","Type":"ACCOUNT","Status":"ACTIVE",
    "Findings":[{"Id":"f","Status":"ACTIVE","ResourceOwnerAccount":"111111111111","FindingDetails":[
    {"UnusedIamRoleDetails":{"LastAccessed":"2026-10-01T00:00:00Z"}},{"ExternalAccessDetails":{"Action":["s3:*"],
    "Principal":{"AWS":"*"},"IsPublic":true}}]}]}]}"#;

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_answers_of_iam_do_not_panic(at in 0usize..ANSWERS.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = ANSWERS.as_bytes().to_vec();
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        read_all(&bytes);
    }

    #[test]
    fn damaged_files_do_not_panic(at in 0usize..5_352, byte in any::<u8>(), cut in any::<bool>()) {
        let Some(mut bytes) = shared("cloudsplaining/example_authz_v2.json") else { return Ok(()) };
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        read_all(&bytes);
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    read_all(deep.as_bytes());
    read_all(format!("{{\"UserDetailList\":{deep}}}").as_bytes());
    read_all(format!("{{\"Statement\":{deep}}}").as_bytes());
    read_all(format!("{{\"AccountId\":\"111111111111\",\"AccessKeys\":{deep}}}").as_bytes());
    read_all(format!("{{\"LastAccessedDetails\":{deep}}}").as_bytes());
    read_all(format!("{{\"AccountId\":\"111111111111\",\"Analyzers\":{deep}}}").as_bytes());
}
