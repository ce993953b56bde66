//! Access Analyzer's findings from outside: what is stored, and what entitlements say of them.

use std::fs;

use super::last_accessed::{ROLE, place, verdict};

/// The document of an analyzer with one finding on the role.
fn document(account: &str, status: &str, detail: &str) -> String {
    format!(
        r#"{{"AccountId":"{account}","Analyzers":[{{"Arn":"arn:aws:access-analyzer:us-east-1:{account}:analyzer/a",
        "Name":"a","Type":"ACCOUNT_UNUSED_ACCESS","Status":"ACTIVE","Region":"us-east-1","UnusedAccessAge":3,
        "CreatedAt":"2024-01-01T00:00:00Z","Findings":[{{"Id":"f","FindingType":"UnusedPermission","Status":"{status}",
        "Resource":"{ROLE}","ResourceType":"AWS::IAM::Role","ResourceOwnerAccount":"{account}",
        "AnalyzedAt":"2025-03-05T20:00:00Z","CreatedAt":"2025-03-01T00:00:00Z","UpdatedAt":"2025-03-04T00:00:00Z",
        "FindingDetails":[{detail}]}}]}}]}}"#
    )
}

#[test]
fn what_it_says_stands_beside_the_verdict_and_changes_none() {
    let place = place();
    let ec2 = r#"{"UnusedPermissionDetails":{"ServiceNamespace":"ec2"}}"#;
    let text = "Access Analyzer a (unused for 3 days) finds it unused too, ";
    for (n, (status, detail, want)) in [
        ("ACTIVE", ec2, format!("{text}finding f, updated 2025-03-04")),
        ("ARCHIVED", ec2, format!("{text}archived finding f, updated 2025-03-04")),
        ("RESOLVED", ec2, String::new()),
        ("ACTIVE", r#"{"Unknown":true}"#, String::new()),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(place.path("analyzers.json"), document("111122223333", status, detail)).unwrap();
        let row =
            &place.rows(&format!("ingest access-analyzer analyzers.json --captured-at 2025-03-05T2{n}:00:00Z"))[0];
        assert_eq!((&row["kind"], &row["account"]), (&"access-analyzer".into(), &"111122223333".into()));
        assert_eq!((&row["users"], &row["roles"], &row["defects"]), (&0.into(), &1.into(), &0.into()));
        let (unused, reason) = verdict(&place);
        assert_eq!(unused, "unused", "{reason}");
        let said = reason.split_once("; ").map_or("", |(_, said)| said);
        assert_eq!(said, want, "{status} {detail}");
    }
    assert_eq!(place.line("scan --as-of 2025-03-06 --window 5d").code, Some(0));
}

#[test]
fn what_is_refused_and_set_aside() {
    let place = place();
    fs::write(place.path("analyzers.json"), document("111122223333", "ASLEEP", "7")).unwrap();
    let run = place.line("ingest access-analyzer analyzers.json --format ndjson");
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stderr.contains("Status `ASLEEP` is not known; expected ACTIVE, ARCHIVED or RESOLVED"), "{run:?}");
    place.line("ingest account analyzers.json").fails(1, "`jitscan ingest access-analyzer`");
    place.line("ingest access-analyzer details.json").fails(1, "`jitscan ingest iam`");
}
