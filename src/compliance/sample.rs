//! Made-up assessments for the tests of `compliance` and `report`.

use super::Exception;
use crate::compare::assessment::{
    AnalyzerNotes, Assessment, CredentialFacts, CredentialKind, Gap, LevelCounts, Nature, PolicyRemark, PrincipalFacts,
    PrincipalKind, RegionCoverage, ServiceUse, VerdictCounts,
};
use crate::model::time::{Day, Timestamp, Window};

pub(crate) const ACCOUNT: &str = "111122223333";

pub(crate) fn as_of() -> Timestamp {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

/// A principal that is old, observable and has never done anything.
pub(crate) fn principal(name: &str, kind: PrincipalKind, nature: Nature) -> PrincipalFacts {
    let resource = match kind {
        PrincipalKind::User => format!("user/{name}"),
        PrincipalKind::Root => "root".to_owned(),
        _ => format!("role/{name}"),
    };
    PrincipalFacts {
        arn: format!("arn:aws:iam::{ACCOUNT}:{resource}"),
        id: format!("AIDA{name}"),
        account: ACCOUNT.parse().unwrap(),
        kind,
        nature,
        holders: vec![],
        users: vec![],
        created: Some(as_of().plus_days(-400)),
        break_glass: false,
        administrator: false,
        privileged: vec![],
        active_days: vec![],
        privileged_days: vec![],
        last_activity: None,
        activity_observable: true,
        unobservable_because: vec![],
        denied_calls: 0,
        counts: VerdictCounts::default(),
        services: vec![],
        remarks: vec![],
        privileged_statements: vec![],
        privileged_events: vec![],
        analyzers: AnalyzerNotes::default(),
    }
}

/// The password row of a user; `console` says whether it may sign in.
pub(crate) fn password(user: &PrincipalFacts, console: bool) -> CredentialFacts {
    CredentialFacts {
        account: user.account,
        user: user.arn.rsplit('/').next().unwrap_or("").to_owned(),
        arn: user.arn.clone(),
        person: String::new(),
        kind: CredentialKind::Password,
        active: console,
        since: Some(as_of().plus_days(-400)),
        last_used: None,
        reported_at: as_of(),
        mfa: true,
        root: user.kind == PrincipalKind::Root,
        console,
        analyzers: vec![],
    }
}

pub(crate) fn remark(kind: &str, policy: &str) -> PolicyRemark {
    PolicyRemark {
        kind: kind.to_owned(),
        policy: policy.to_owned(),
        policy_arn: String::new(),
        statement: if kind == "direct_attachment" { String::new() } else { "s1".to_owned() },
        service: "s3".to_owned(),
    }
}

pub(crate) fn exception(id: &str, test: &str, subject: &str) -> Exception {
    Exception {
        id: id.to_owned(),
        test: test.to_owned(),
        subject: subject.to_owned(),
        part: String::new(),
        owner: "ciso".to_owned(),
        reason: "accepted until the move".to_owned(),
        approved_by: "board".to_owned(),
        expires: Some(as_of().plus_days(30)),
    }
}

/// One account with the given principals and credentials, ninety days of window, no coverage.
pub(crate) fn of(principals: Vec<PrincipalFacts>, credentials: Vec<CredentialFacts>) -> Assessment {
    Assessment {
        as_of: as_of(),
        window: Window::last_days(as_of(), 90),
        generation: 7,
        snapshot: "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e".to_owned(),
        catalogue: "2026-11-01".to_owned(),
        privileged_set: "1 (0123456789abcdef)".to_owned(),
        accounts: vec![ACCOUNT.parse().unwrap()],
        principals,
        credentials,
        shared: Vec::new(),
        ended: std::collections::BTreeMap::new(),
        coverage: vec![],
        gaps: vec![],
    }
}

/// A small organisation in which every kind of answer occurs.
pub(crate) fn assessment() -> Assessment {
    let mut admin =
        principal("AWSReservedSSO_Admin_0011223344556677", PrincipalKind::IdentityCenterRole, Nature::Human);
    admin.administrator = true;
    admin.holders = vec!["ana".into(), "bo".into(), "cy".into(), "dee".into()];
    admin.privileged_days = vec![Day(20_700), Day(20_710)];
    admin.last_activity = Some(as_of().plus_days(-2));
    admin.counts =
        VerdictCounts { granted: 20_000, used: 120, unused: 15_000, unobservable: 4_880, ..VerdictCounts::default() };
    admin.services = vec![ServiceUse {
        unused_levels: LevelCounts::default(),
        service: "iam".into(),
        counts: VerdictCounts { granted: 170, used: 3, unused: 167, ..VerdictCounts::default() },
        classes: Vec::new(),
        unused_privileged: vec!["iam:CreateAccessKey".into(), "iam:PutUserPolicy".into()],
        last_used: None,
        unused_parts: Vec::new(),
        last_accessed: None,
        analyzers: Vec::new(),
    }];
    admin.remarks = vec![remark("full_administrator", "AdministratorAccess")];
    admin.privileged_statements = vec!["AdministratorAccess#[0]".into()];
    admin.privileged_events = vec!["8f9a0b1c-0001".into()];
    let mut legacy = principal("legacy", PrincipalKind::User, Nature::Human);
    legacy.privileged = vec!["iam:PassRole".into()];
    legacy.remarks = vec![remark("direct_attachment", "Legacy")];
    let mut ci = principal("ci", PrincipalKind::Role, Nature::Machine);
    ci.last_activity = Some(as_of().plus_days(-1));
    ci.counts = VerdictCounts { granted: 10, used: 9, unused: 1, ..VerdictCounts::default() };
    let mut unseen = principal("unseen", PrincipalKind::Role, Nature::Unknown);
    unseen.activity_observable = false;
    unseen.unobservable_because = vec!["eu-west-3 has no logs for 7 days".into()];
    let mut glass = principal("break-glass", PrincipalKind::Role, Nature::Human);
    glass.administrator = true;
    glass.break_glass = true;
    let root = principal("root", PrincipalKind::Root, Nature::Human);
    let linked = principal("AWSServiceRoleForSupport", PrincipalKind::ServiceLinkedRole, Nature::Machine);
    let mut legacy_password = password(&legacy, true);
    legacy_password.mfa = false;
    let legacy_key = CredentialFacts { kind: CredentialKind::AccessKey1, active: true, ..legacy_password.clone() };
    let root_row = password(&root, true);
    let mut assessment =
        of(vec![admin, legacy, ci, unseen, glass, root, linked], vec![legacy_password, legacy_key, root_row]);
    let region = |name: &str, covered, missing: &[i32]| RegionCoverage {
        account: ACCOUNT.to_owned(),
        region: name.to_owned(),
        days_covered: 90 - missing.len() as u64,
        days_missing: missing.iter().map(|day| Day(*day)).collect(),
        hours_covered: covered,
        hours_total: 2160,
        data_events: 4,
        ..RegionCoverage::default()
    };
    assessment.coverage = vec![region("eu-west-1", 2160, &[]), region("eu-west-3", 1400, &[20_700, 20_701, 20_702])];
    assessment.gaps = vec![Gap {
        kind: "coverage".into(),
        what: "eu-west-3 has no records on 3 days".into(),
        remedy: "ingest the missing log files".into(),
    }];
    assessment
}
