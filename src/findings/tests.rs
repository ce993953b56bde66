use super::*;
use crate::compare::assessment::{
    AnalyzerNotes, CredentialFacts, CredentialKind, LevelCounts, Nature, PersonUse, PrincipalFacts, PrincipalKind,
    ServiceUse, UnusedPart, VerdictCounts,
};
use crate::model::finding::{Confidence, FindingState, Severity};
use crate::model::time::{Day, Timestamp, Window};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn principal(name: &str) -> PrincipalFacts {
    PrincipalFacts {
        arn: format!("arn:aws:iam::111111111111:role/{name}"),
        id: format!("AROA{name}"),
        account: "111111111111".parse().unwrap(),
        kind: PrincipalKind::Role,
        nature: Nature::Human,
        holders: vec!["ada".into()],
        users: Vec::new(),
        created: Some(at("2020-01-01")),
        break_glass: false,
        administrator: false,
        privileged: Vec::new(),
        active_days: Vec::new(),
        privileged_days: Vec::new(),
        last_activity: Some(at("2026-10-30")),
        activity_observable: true,
        unobservable_because: Vec::new(),
        denied_calls: 0,
        counts: VerdictCounts::default(),
        services: Vec::new(),
        remarks: Vec::new(),
        privileged_statements: Vec::new(),
        privileged_events: Vec::new(),
        analyzers: AnalyzerNotes::default(),
    }
}

fn assessment(principals: Vec<PrincipalFacts>, credentials: Vec<CredentialFacts>) -> Assessment {
    Assessment {
        as_of: at("2026-11-01"),
        window: Window::last_days(at("2026-11-01"), 90),
        generation: 1,
        snapshot: String::new(),
        catalogue: String::new(),
        privileged_set: String::new(),
        accounts: Vec::new(),
        principals,
        credentials,
        shared: Vec::new(),
        ended: std::collections::BTreeMap::new(),
        coverage: Vec::new(),
        gaps: Vec::new(),
    }
}

/// Whether a finding says what Access Analyzer says.
fn analyzed(finding: &Finding) -> bool {
    finding.evidence.notes.iter().any(|note| note == "Access Analyzer a finds the same")
}

#[test]
fn what_access_analyzer_says_is_evidence_and_no_finding() {
    let mut dormant = principal("old");
    dormant.last_activity = None;
    dormant.analyzers.idle = vec!["Access Analyzer a finds the same".to_owned()];
    let found = find(&assessment(vec![dormant.clone()], vec![]));
    assert_eq!((found.len(), found[0].kind.as_str(), analyzed(&found[0])), (1, "dormant_principal", true));
    // What the logs could not show is not unused, whoever says so.
    dormant.activity_observable = false;
    assert_eq!(kinds(&assessment(vec![dormant], vec![])), Vec::<String>::new());
    // It is not dormant, and somebody else says that it is unused.
    let mut used = principal("used");
    used.analyzers.disagreements = vec!["Access Analyzer a calls the role unused".to_owned()];
    for break_glass in [false, true] {
        used.break_glass = break_glass;
        let found = find(&assessment(vec![used.clone()], vec![]));
        assert_eq!((found.len(), found[0].kind.as_str()), (1, "access_analyzer_disagrees"));
        assert_eq!(found[0].severity, Severity::Info);
        assert_eq!(found[0].title, "used uses what IAM Access Analyzer calls unused");
        assert_eq!(found[0].evidence.notes[0], "Access Analyzer a calls the role unused");
    }
    used.kind = PrincipalKind::ServiceLinkedRole;
    assert_eq!(kinds(&assessment(vec![used], vec![])), Vec::<String>::new());
}

fn kinds(assessment: &Assessment) -> Vec<String> {
    find(assessment).into_iter().map(|finding| finding.kind).collect()
}

#[test]
fn dormancy_needs_age_silence_and_eyes() {
    let mut dormant = principal("old");
    dormant.last_activity = None;
    assert_eq!(kinds(&assessment(vec![dormant.clone()], vec![])), ["dormant_principal"]);
    for change in [
        (|p: &mut PrincipalFacts| p.activity_observable = false) as fn(&mut PrincipalFacts),
        |p| p.created = Some(at("2026-10-01")),
        |p| p.created = None,
        |p| p.last_activity = Some(at("2026-08-03")),
        |p| p.break_glass = true,
        |p| p.kind = PrincipalKind::ServiceLinkedRole,
    ] {
        let mut other = dormant.clone();
        change(&mut other);
        assert_eq!(kinds(&assessment(vec![other], vec![])), Vec::<String>::new());
    }
}

#[test]
fn standing_privilege_is_weighed_by_days_of_use() {
    for (days, observable, advice, severity) in [
        (0, true, "never used", Severity::High),
        (0, false, "gaps", Severity::Medium),
        (2, true, "convert to just-in-time", Severity::High),
        (18, true, "convert to just-in-time", Severity::High),
        (19, true, "used often", Severity::Medium),
    ] {
        let mut admin = principal("admin");
        admin.administrator = true;
        admin.activity_observable = observable;
        let privileged_days: Vec<Day> = (0..days).map(Day).collect();
        admin.users = vec![PersonUse {
            person: "ada".into(),
            active_days: Vec::new(),
            privileged_days,
            likely_days: Vec::new(),
            last: None,
        }];
        let findings = find(&assessment(vec![admin], vec![]));
        let standing = findings.iter().find(|f| f.kind == "standing_privileged_access").unwrap();
        assert!(standing.title.contains(advice), "{}", standing.title);
        assert_eq!((standing.severity, standing.person.as_str()), (severity, "ada"));
    }
    let mut machine = principal("deploy");
    machine.administrator = true;
    machine.nature = Nature::Machine;
    assert_eq!(kinds(&assessment(vec![machine], vec![])), ["administrator_equivalent"]);
}

#[test]
fn who_has_left_must_be_out() {
    let day = |text: &str| at(text).day();
    for (days, holds, expected) in [
        (vec!["2026-09-20"], false, vec![]),
        (vec!["2026-09-20"], true, vec!["access_after_end_date"]),
        (vec!["2026-09-20", "2026-09-21"], false, vec!["active_after_end_date"]),
        (vec!["2026-09-21", "2026-10-21"], true, vec!["active_after_end_date"]),
    ] {
        let mut role = principal("app");
        role.holders = if holds { vec!["ada".into()] } else { Vec::new() };
        let active_days = days.iter().map(|text| day(text)).collect();
        role.users = vec![PersonUse {
            person: "ada".into(),
            active_days,
            privileged_days: Vec::new(),
            likely_days: Vec::new(),
            last: None,
        }];
        let mut of = assessment(vec![role], vec![]);
        assert_eq!(kinds(&of), Vec::<String>::new(), "nobody has left");
        of.ended.insert("ada".into(), day("2026-09-20"));
        assert_eq!(kinds(&of), expected, "{days:?} {holds}");
    }
}

#[test]
fn unused_on_part_of_the_resources() {
    let part = |low_confidence| UnusedPart {
        action: "s3:DeleteObject".into(),
        resources: "arn:aws:s3:::a/*".into(),
        low_confidence,
    };
    for (low, confidence) in [(true, Confidence::Low), (false, Confidence::High)] {
        let mut role = principal("app");
        role.services = vec![ServiceUse {
            service: "s3".into(),
            counts: VerdictCounts { granted: 1, used: 1, ..VerdictCounts::default() },
            classes: Vec::new(),
            unused_privileged: Vec::new(),
            unused_levels: LevelCounts::default(),
            last_used: None,
            unused_parts: vec![part(low)],
            last_accessed: None,
            analyzers: Vec::new(),
        }];
        let found = find(&assessment(vec![role], vec![]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "app never used s3:DeleteObject on arn:aws:s3:::a/*");
        assert_eq!(found[0].confidence, confidence);
    }
}

#[test]
fn unused_permissions_by_service_and_risk() {
    let service = |name: &str, privileged: &[&str], levels: LevelCounts| ServiceUse {
        service: name.into(),
        counts: VerdictCounts { granted: 5, used: 1, unused: 4, ..VerdictCounts::default() },
        classes: Vec::new(),
        unused_privileged: privileged.iter().map(|p| (*p).to_owned()).collect(),
        unused_levels: levels,
        last_used: None,
        unused_parts: Vec::new(),
        analyzers: if name == "s3" { vec!["Access Analyzer a finds the same".to_owned()] } else { Vec::new() },
        last_accessed: (name == "s3").then(|| "IAM reports nothing".to_owned()),
    };
    let mut role = principal("app");
    role.services = vec![
        service("ec2", &[], LevelCounts { write: 1, ..LevelCounts::default() }),
        service("iam", &["iam:PassRole"], LevelCounts::default()),
        service("s3", &[], LevelCounts { read: 4, ..LevelCounts::default() }),
    ];
    let findings = find(&assessment(vec![role.clone()], vec![]));
    let severities: Vec<(&str, Severity)> = findings
        .iter()
        .map(|f| (f.title.split(" in ").nth(1).unwrap().split(':').next().unwrap(), f.severity))
        .collect();
    assert_eq!(severities, [("iam", Severity::High), ("ec2", Severity::Medium), ("s3", Severity::Low)]);
    let told = |finding: &Finding| finding.evidence.notes.iter().any(|note| note == "IAM reports nothing");
    let notes: Vec<bool> = findings.iter().map(told).collect();
    assert_eq!(notes, [false, false, true]);
    let notes: Vec<bool> = findings.iter().map(analyzed).collect();
    assert_eq!(notes, [false, false, true]);
    let ids: std::collections::BTreeSet<_> = findings.iter().map(|f| f.id.clone()).collect();
    assert_eq!(ids.len(), 3);
    role.services = (0..=SERVICES_LISTED).map(|i| service(&format!("s{i:02}"), &[], LevelCounts::default())).collect();
    assert_eq!(kinds(&assessment(vec![role], vec![])), ["unused_permissions"]);
}

#[test]
fn credentials_age_from_creation_when_never_used() {
    let credential = |kind, since: &str, used: Option<&str>| CredentialFacts {
        account: "111111111111".parse().unwrap(),
        user: "ada".into(),
        arn: "arn:aws:iam::111111111111:user/ada".into(),
        person: String::new(),
        kind,
        active: true,
        since: Some(at(since)),
        last_used: used.map(at),
        reported_at: at("2026-11-01"),
        mfa: true,
        root: false,
        console: kind == CredentialKind::Password,
        analyzers: vec!["Access Analyzer a finds the same".to_owned()],
    };
    let key = CredentialKind::AccessKey1;
    for (found, expected) in [
        (credential(key, "2026-09-16", None), vec!["never_used_credential"]),
        (credential(key, "2026-09-17", None), vec![]),
        (credential(key, "2026-08-03", Some("2026-10-31")), vec![]),
        (credential(key, "2026-08-02", Some("2026-10-31")), vec!["old_access_key"]),
        (credential(key, "2026-08-10", Some("2026-09-16")), vec!["unused_credential"]),
        (credential(CredentialKind::Password, "2020-01-01", Some("2026-10-31")), vec![]),
        (CredentialFacts { active: false, ..credential(key, "2020-01-01", None) }, vec![]),
        (
            CredentialFacts { mfa: false, ..credential(CredentialKind::Password, "2026-10-01", Some("2026-10-31")) },
            vec!["console_without_mfa"],
        ),
        (CredentialFacts { root: true, ..credential(key, "2026-10-01", Some("2026-10-31")) }, vec!["root_access_key"]),
        (
            CredentialFacts { root: true, mfa: false, ..credential(CredentialKind::Password, "2020-01-01", None) },
            vec!["root_without_mfa"],
        ),
    ] {
        let findings = find(&assessment(vec![], vec![found.clone()]));
        assert_eq!(findings.iter().map(|finding| finding.kind.as_str()).collect::<Vec<_>>(), expected, "{found:?}");
        for finding in &findings {
            let idle = matches!(finding.kind.as_str(), "never_used_credential" | "unused_credential");
            assert_eq!(analyzed(finding), idle, "{finding:?}");
        }
    }
}

#[test]
fn findings_are_born_live_and_end() {
    let mut dormant = principal("old");
    dormant.last_activity = None;
    let mut first = find(&assessment(vec![dormant], vec![]));
    let log = apply_lifecycle(&mut first, &FindingLog::default(), at("2026-11-01"));
    assert_eq!(first[0].state, FindingState::New);
    let again = apply_lifecycle(&mut first, &log, at("2026-11-01"));
    assert_eq!((first[0].state, &again), (FindingState::New, &log));
    let log = apply_lifecycle(&mut first, &log, at("2026-11-02"));
    assert_eq!(first[0].state, FindingState::Open);
    let log = apply_lifecycle(&mut [], &log, at("2026-11-03"));
    assert_eq!(log.entries[&first[0].id].finding.state, FindingState::Resolved);
    let _ = apply_lifecycle(&mut first, &log, at("2026-11-04"));
    assert_eq!(first[0].state, FindingState::New);
}
