//! What Access Analyzer says against what the logs show.

use super::*;
use crate::model::access_analyzer::{AccessAnalyzer, UnusedAction};
use crate::model::account::AccessKey;
use crate::model::snapshot::{Credential, Organization, OrganizationAccount};
use crate::usage::activity::{ActionUse, ActivityKey, Presence};

const ACCOUNT: &str = "111111111111";
const OTHER: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::111111111111:role/x";
const USER: &str = "arn:aws:iam::111111111111:user/u";
const ABSENT: &str =
    "Access Analyzer a (unused for 90 days) has no such finding; its analysis rules may leave this out";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(name: &str) -> ActionId {
    Catalog::get().find(name).unwrap()
}

fn set(names: &[&str]) -> ActionSet {
    let mut set = Catalog::get().no_actions();
    for name in names {
        set.insert(id(name));
    }
    set
}

/// A window of 92 days that ends six hours before the analyzers are read.
fn window() -> Window {
    Window { from: at("2026-03-01"), to: at("2026-06-01") }
}

fn found(resource: &str, details: Vec<FindingDetail>) -> AnalyzerFinding {
    AnalyzerFinding {
        id: "f".to_owned(),
        kind: "UnusedPermission".to_owned(),
        status: FindingStatus::Active,
        resource: resource.to_owned(),
        resource_type: String::new(),
        owner: ACCOUNT.parse().unwrap(),
        error: String::new(),
        analyzed: Some(at("2026-05-31T10:00:00Z")),
        created: Some(at("2026-05-01")),
        updated: Some(at("2026-05-30")),
        details,
        complete: true,
    }
}

fn analyzer(findings: Vec<AnalyzerFinding>) -> Analyzer {
    Analyzer {
        arn: "arn:aws:access-analyzer:eu-west-1:111111111111:analyzer/a".parse().unwrap(),
        name: "a".to_owned(),
        kind: "ACCOUNT_UNUSED_ACCESS".to_owned(),
        status: "ACTIVE".to_owned(),
        region: "eu-west-1".to_owned(),
        created: Some(at("2025-01-01")),
        analyzed: None,
        unused_age: Some(90),
        findings,
        complete: true,
    }
}

fn snapshot(account: &str, analyzers: Vec<Analyzer>) -> Snapshot {
    let account: AccountId = account.parse().unwrap();
    let one = AccessAnalyzer { account, captured_at: at("2026-06-01T06:00:00Z"), analyzers };
    Snapshot { access_analyzers: BTreeMap::from([(account, one)]), ..Snapshot::default() }
}

fn permission(namespace: &str, actions: &[&str]) -> FindingDetail {
    let action = |name: &&str| UnusedAction { action: (*name).to_owned(), last: None };
    FindingDetail::UnusedPermission {
        namespace: namespace.to_owned(),
        last: None,
        actions: actions.iter().map(action).collect(),
    }
}

fn subject(arn: &str) -> Subject<'_> {
    let role = arn.contains(":role/");
    Subject { arn, account: ACCOUNT.parse().unwrap(), role, created: Some(at("2020-01-01")) }
}

fn logs<'l>(own: &'l OwnActivity<'l>) -> Logs<'l> {
    Logs { own, catalog: Catalog::get(), window: window() }
}

/// What is said of s3, of which nothing was used (`untouched`) or something that no day tells.
fn on_s3(snapshot: &Snapshot, untouched: bool) -> Vec<String> {
    let idle = set(&["s3:CreateBucket", "s3:DeleteBucket"]);
    let own = OwnActivity::default();
    Analyzers::of(snapshot).on(subject(ROLE)).on_service(&logs(&own), "s3", &idle, untouched)
}

fn of_role(details: Vec<FindingDetail>) -> Snapshot {
    snapshot(ACCOUNT, vec![analyzer(vec![found(ROLE, details)])])
}

#[test]
fn agreement_on_a_service() {
    let said = |what: &str| format!("Access Analyzer a (unused for 90 days) {what}, finding f, updated 2026-05-30");
    for (detail, untouched, want) in [
        (permission("s3", &[]), true, Some("finds the same")),
        (permission("s3", &[]), false, Some("finds the whole service unused")),
        (
            permission("s3", &["PutBucketPolicy", "s3:createbucket", "NoSuchAction"]),
            false,
            Some("finds 1 of these actions unused (s3:CreateBucket)"),
        ),
        (permission("s3", &["PutBucketPolicy"]), false, None),
        (permission("ec2", &[]), false, None),
        (FindingDetail::UnusedRole { last: None }, true, Some("finds the whole role unused")),
        (FindingDetail::UnusedPassword { last: None }, false, None),
        (FindingDetail::Unknown, false, None),
    ] {
        let want: Vec<String> = want.into_iter().map(said).collect();
        assert_eq!(on_s3(&of_role(vec![detail.clone()]), untouched), want, "{detail:?}");
    }
    assert_eq!(on_s3(&of_role(vec![permission("ec2", &[])]), true), [ABSENT]);
}

#[test]
fn whose_finding_and_in_which_state() {
    let same = |change: fn(&mut Analyzer)| {
        let mut one = analyzer(vec![found(ROLE, vec![permission("s3", &[])])]);
        change(&mut one);
        on_s3(&snapshot(ACCOUNT, vec![one]), true)
    };
    let text = "Access Analyzer a (unused for 90 days) finds the same, ";
    type Case = (fn(&mut Analyzer), Vec<String>);
    let cases: [Case; 9] = [
        (
            |one| one.findings[0].status = FindingStatus::Archived,
            vec![format!("{text}archived finding f, updated 2026-05-30")],
        ),
        (|one| one.findings[0].updated = None, vec![format!("{text}finding f")]),
        // Resolved is as good as none.
        (|one| one.findings[0].status = FindingStatus::Resolved, vec![ABSENT.to_owned()]),
        // Of somebody else of that name, in another account.
        (|one| one.findings[0].resource = ROLE.replace(ACCOUNT, OTHER), vec![ABSENT.to_owned()]),
        // Of a role of that name which was deleted since.
        (|one| one.findings[0].analyzed = Some(at("2019-01-01")), vec![ABSENT.to_owned()]),
        // What was found is not known: neither the same nor nothing.
        (|one| one.findings[0].details = vec![FindingDetail::Unknown], vec![]),
        (|one| one.findings[0].details.clear(), vec![]),
        (|one| one.findings[0].error = "ACCESS_DENIED".to_owned(), vec![]),
        // Findings of analyzers that look for something else are not about use.
        (|one| one.kind = "ACCOUNT".to_owned(), vec![]),
    ];
    for (change, want) in cases {
        assert_eq!(same(change), want);
    }
    let mut aged = analyzer(vec![found(ROLE, vec![permission("s3", &[])])]);
    aged.unused_age = None;
    let of_other = on_s3(&snapshot(OTHER, vec![aged.clone()]), true);
    assert_eq!(of_other, ["Access Analyzer a of 222222222222 finds the same, finding f, updated 2026-05-30"]);
    aged.unused_age = Some(1);
    assert!(on_s3(&snapshot(ACCOUNT, vec![aged]), true)[0].starts_with("Access Analyzer a (unused for 1 day) finds"));
}

#[test]
fn absence_is_said_only_where_the_analyzer_would_have_found_it() {
    let none = |change: fn(&mut Analyzer)| {
        let mut one = analyzer(Vec::new());
        change(&mut one);
        on_s3(&snapshot(ACCOUNT, vec![one]), true)
    };
    type Case = (&'static str, fn(&mut Analyzer), bool);
    let cases: [Case; 9] = [
        ("it covers it", |_| (), true),
        ("inactive", |one| one.status = "DISABLED".to_owned(), false),
        ("another kind", |one| one.kind = "ACCOUNT".to_owned(), false),
        ("some findings cannot be read", |one| one.complete = false, false),
        ("new", |one| one.created = Some(at("2026-05-31")), false),
        ("looks back before the window", |one| one.unused_age = Some(180), false),
        ("nobody knows how far it looks back", |one| one.unused_age = None, false),
        ("looked after the logs end", |one| one.analyzed = Some(at("2026-06-05")), false),
        ("an organisation that is not known", |one| one.kind = "ORGANIZATION_UNUSED_ACCESS".to_owned(), false),
    ];
    for (why, change, said) in cases {
        assert_eq!(!none(change).is_empty(), said, "{why}");
    }
    let own = OwnActivity::default();
    let idle = set(&["s3:CreateBucket"]);
    let snapshot = snapshot(ACCOUNT, vec![analyzer(Vec::new())]);
    let analyzers = Analyzers::of(&snapshot);
    let of = |subject: Subject<'_>| analyzers.on(subject).on_service(&logs(&own), "s3", &idle, true);
    assert_eq!(of(subject(ROLE)), [ABSENT]);
    assert!(of(subject(USER)).is_empty(), "of users it finds no unused permissions");
    assert!(
        of(Subject { account: OTHER.parse().unwrap(), ..subject(ROLE) }).is_empty(),
        "outside of its zone of trust"
    );
    assert!(of(Subject { created: Some(at("2026-04-01")), ..subject(ROLE) }).is_empty(), "younger than the period");
    assert!(of(Subject { created: None, ..subject(ROLE) }).is_empty());
    assert!(analyzers.on(subject(ROLE)).on_service(&logs(&own), "s3", &idle, false).is_empty(), "not all is unused");
    // A denied attempt is one that IAM counts.
    let mut presence = Presence { denied: 1, ..Presence::default() };
    presence.attempts.actions.insert(id("s3:CreateBucket"), BTreeSet::from([at("2026-05-01").day()]));
    let denied = OwnActivity { presence: vec![&presence], ..OwnActivity::default() };
    assert!(analyzers.on(subject(ROLE)).on_service(&logs(&denied), "s3", &idle, true).is_empty());
    assert!(analyzers.on(subject(ROLE)).on_all(&logs(&denied), None).idle.is_empty());
}

#[test]
fn an_organisation_is_a_zone_of_trust() {
    let mut one = analyzer(Vec::new());
    one.kind = "ORGANIZATION_UNUSED_ACCESS".to_owned();
    let mut snapshot = snapshot(OTHER, vec![one]);
    let member = |id: &str| OrganizationAccount { id: id.parse().unwrap(), name: String::new(), parents: Vec::new() };
    let organization = |management: &str, members: &[&str]| Organization {
        id: "o-1".to_owned(),
        management_account: management.parse().unwrap(),
        captured_at: at("2026-06-01"),
        accounts: members.iter().map(|id| member(id)).collect(),
        policies: Vec::new(),
    };
    for (management, members, said) in [
        (OTHER, vec![ACCOUNT, OTHER], true),
        ("333333333333", vec![ACCOUNT, OTHER], true),
        (ACCOUNT, vec![OTHER], true),
        (OTHER, vec![OTHER], false),
        ("333333333333", vec![ACCOUNT], false),
    ] {
        snapshot.organization = Some(organization(management, &members));
        let want = ABSENT.replace("Analyzer a", "Analyzer a of 222222222222");
        let want = if said { vec![want] } else { Vec::new() };
        assert_eq!(on_s3(&snapshot, true), want, "{management} {members:?}");
    }
}

fn row() -> ActivityKey {
    ActivityKey {
        principal: Default::default(),
        person: "".into(),
        likely: "".into(),
        action: id("s3:CreateBucket"),
        resource: "".into(),
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
    }
}

#[test]
fn what_is_called_unused_and_used_is_a_disagreement() {
    let key = row();
    let role = |last: Option<&str>| FindingDetail::UnusedRole { last: last.map(at) };
    let whole = |last: Option<&str>| FindingDetail::UnusedPermission {
        namespace: "s3".to_owned(),
        last: last.map(at),
        actions: Vec::new(),
    };
    let named = permission("s3", &["CreateBucket", "DeleteBucket"]);
    let service = "calls s3 unused, and the logs show an authorised call of s3:CreateBucket on 2026-05-30";
    for (day, detail, want) in [
        ("2026-05-30", role(None), "calls the role unused, and the logs show authorised calls up to 2026-05-30"),
        ("2026-05-30", whole(None), service),
        (
            "2026-05-30",
            named.clone(),
            "calls actions unused of which the logs show authorised calls: s3:CreateBucket on 2026-05-30",
        ),
        ("2026-05-30", permission("s3", &["DeleteBucket"]), ""),
        ("2026-05-30", permission("ec2", &[]), ""),
        // Of this use it knows.
        ("2026-05-30", whole(Some("2026-05-30T09:00:00Z")), ""),
        ("2026-05-30", whole(Some("2026-05-29T09:00:00Z")), service),
        // Before its tracking period, and after it looked.
        ("2026-03-02", whole(None), ""),
        ("2026-05-31", whole(None), ""),
        ("2026-05-31", named, ""),
    ] {
        let day = at(day).day();
        let used = ActionUse { count: 1, by_day: (day, (1, 0)).into(), ..ActionUse::default() };
        let presence = Presence { days: BTreeSet::from([day]), ..Presence::default() };
        let mut own = OwnActivity { presence: vec![&presence], ..OwnActivity::default() };
        own.by_action.insert(key.action, vec![(&key, &used)]);
        let snapshot = of_role(vec![detail.clone()]);
        let analyzed = Analyzers::of(&snapshot).on(subject(ROLE));
        let notes = analyzed.on_all(&logs(&own), Some(day.start()));
        let said = |what: &str| format!("Access Analyzer a (unused for 90 days) {what}, finding f, updated 2026-05-30");
        let wanted: Vec<String> = (!want.is_empty()).then(|| said(want)).into_iter().collect();
        assert_eq!((notes.disagreements, notes.idle.len()), (wanted, 0), "{day} {detail:?}");
        // Where it is shown as a disagreement, it is not shown as agreement, too.
        let also = analyzed.on_service(&logs(&own), "s3", &set(&["s3:PutBucketPolicy"]), false);
        assert!(want.is_empty() || also.is_empty(), "{day} {detail:?}");
        let action = Catalog::get().action(key.action).unwrap();
        let told = analyzed.of_action(&logs(&own), action, Verdict::Used);
        assert_eq!(told.is_some(), !want.is_empty(), "{day} {detail:?}: {told:?}");
        assert!(told.is_none_or(|told| told == said("calls it unused")));
    }
}

#[test]
fn a_denied_call_is_no_use() {
    let key = row();
    let day = at("2026-05-30").day();
    let denied = ActionUse { denied: 1, by_day: (day, (0, 1)).into(), ..ActionUse::default() };
    let mut own = OwnActivity::default();
    own.by_action.insert(key.action, vec![(&key, &denied)]);
    let snapshot = of_role(vec![permission("s3", &[])]);
    assert!(Analyzers::of(&snapshot).on(subject(ROLE)).on_all(&logs(&own), None).disagreements.is_empty());
}

#[test]
fn of_actions_and_of_the_whole() {
    let own = OwnActivity::default();
    let logs = logs(&own);
    let action = Catalog::get().action(id("s3:CreateBucket")).unwrap();
    let text = "Access Analyzer a (unused for 90 days) finds it unused too, finding f, updated 2026-05-30";
    for (detail, said) in [
        (permission("s3", &[]), true),
        (permission("s3", &["CreateBucket"]), true),
        (permission("s3", &["DeleteBucket"]), false),
        (permission("ec2", &[]), false),
        (FindingDetail::UnusedRole { last: None }, true),
        (FindingDetail::Unknown, false),
    ] {
        let snapshot = of_role(vec![detail.clone()]);
        let analyzed = Analyzers::of(&snapshot).on(subject(ROLE));
        let told = analyzed.of_action(&logs, action, Verdict::Unused);
        assert_eq!(told.as_deref(), said.then_some(text), "{detail:?}");
        for verdict in [Verdict::Unobservable, Verdict::UsedNotGranted, Verdict::Used] {
            assert_eq!(analyzed.of_action(&logs, action, verdict), None, "{detail:?} {verdict:?}");
        }
    }
    let idle = |arn: &str, details: Vec<FindingDetail>, last: Option<&str>| {
        let snapshot = snapshot(ACCOUNT, vec![analyzer(vec![found(arn, details)])]);
        Analyzers::of(&snapshot).on(subject(arn)).on_all(&logs, last.map(at)).idle
    };
    let same = "Access Analyzer a (unused for 90 days) finds the same, finding f, updated 2026-05-30";
    assert_eq!(idle(ROLE, vec![FindingDetail::UnusedRole { last: None }], None), [same]);
    assert_eq!(idle(ROLE, vec![permission("s3", &[])], Some("2025-01-01")), [ABSENT]);
    assert!(idle(ROLE, vec![permission("s3", &[])], Some("2026-04-01")).is_empty(), "it was used");
    let of_user = vec![
        FindingDetail::UnusedPassword { last: None },
        FindingDetail::UnusedAccessKey { id: "AKIA1".to_owned(), last: None },
    ];
    let said = idle(USER, of_user, None);
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("finds its console password unused, finding f"), "{said:?}");
    assert!(said[1].contains("finds its access key AKIA1 unused, finding f"), "{said:?}");
    assert!(idle(USER, vec![permission("s3", &[])], None).is_empty(), "users as such are never found unused");
}

#[test]
fn credentials() {
    use CredentialKind::{AccessKey1, AccessKey2, Password};
    let credential =
        |rotated: Option<&str>| Credential { active: rotated.is_some(), rotated: rotated.map(at), last_used: None };
    let facts = |kind: CredentialKind, since: &str, used: Option<&str>| CredentialFacts {
        account: ACCOUNT.parse().unwrap(),
        user: "u".to_owned(),
        arn: USER.to_owned(),
        person: String::new(),
        kind,
        active: true,
        since: Some(at(since)),
        last_used: used.map(at),
        reported_at: at("2026-06-01"),
        mfa: true,
        root: false,
        console: true,
        analyzers: Vec::new(),
    };
    let row = |second: Option<&str>| CredentialRow {
        user: "u".to_owned(),
        arn: USER.parse().unwrap(),
        created: Some(at("2020-01-01")),
        password: Some(credential(Some("2020-01-01"))),
        mfa: true,
        keys: vec![credential(Some("2021-01-01")), credential(second)],
    };
    let key = |created: &str| AccessKey {
        id: "AKIA1".to_owned(),
        user: "u".to_owned(),
        active: true,
        created: Some(at(created)),
        last_used: None,
        last_service: String::new(),
        last_region: String::new(),
    };
    let details = |created: &str| AccountDetails {
        account: ACCOUNT.parse().unwrap(),
        captured_at: at("2026-06-01"),
        summary: BTreeMap::new(),
        password_policy: None,
        access_keys: Some(vec![key(created)]),
        mfa_devices: None,
        saml_providers: None,
        oidc_providers: None,
    };
    let of_key = FindingDetail::UnusedAccessKey { id: "AKIA1".to_owned(), last: None };
    let of_password = FindingDetail::UnusedPassword { last: None };
    let (one, two, old) = (row(None), row(Some("2022-01-01")), "2021-01-01");
    let (first, second) = (details("2021-01-01"), details("2022-01-01"));
    for (why, found_details, facts, row, details, want) in [
        ("a password", vec![of_password.clone()], facts(Password, old, None), &one, None, "same"),
        ("its only key", vec![of_key.clone()], facts(AccessKey1, old, None), &one, None, "same"),
        ("one of two keys", vec![of_key.clone()], facts(AccessKey1, old, None), &two, None, ""),
        ("this of two keys", vec![of_key.clone()], facts(AccessKey1, old, None), &two, Some(&first), "same"),
        ("the other one", vec![of_key.clone()], facts(AccessKey1, old, None), &two, Some(&second), ""),
        ("the second", vec![of_key.clone()], facts(AccessKey2, "2022-01-01", None), &two, Some(&second), "same"),
        ("nothing of keys", vec![of_password], facts(AccessKey1, old, None), &two, Some(&first), "absent"),
        ("nothing at all", Vec::new(), facts(Password, old, None), &one, None, "absent"),
        ("idle for too short a time", Vec::new(), facts(Password, old, Some("2026-04-01")), &one, None, ""),
        ("too young", Vec::new(), facts(AccessKey1, "2026-04-01", None), &one, None, ""),
        ("off", Vec::new(), CredentialFacts { active: false, ..facts(AccessKey1, old, None) }, &one, None, ""),
        ("root's", vec![of_key], CredentialFacts { root: true, ..facts(AccessKey1, old, None) }, &one, None, ""),
    ] {
        let findings = if found_details.is_empty() { Vec::new() } else { vec![found(USER, found_details)] };
        let snapshot = snapshot(ACCOUNT, vec![analyzer(findings)]);
        let said = Analyzers::of(&snapshot).on_credential(&facts, row, details);
        let want: Vec<&str> = match want {
            "same" => vec!["Access Analyzer a (unused for 90 days) finds the same, finding f, updated 2026-05-30"],
            "absent" => vec![ABSENT],
            _ => Vec::new(),
        };
        assert_eq!(said, want, "{why}");
    }
}

#[test]
fn several_analyzers_in_one_order() {
    let named = |name: &str| {
        let mut one = analyzer(vec![found(ROLE, vec![permission("s3", &[])])]);
        one.arn = one.arn.as_str().replace("/a", &format!("/{name}")).parse().unwrap();
        one.name = name.to_owned();
        one
    };
    let mut all = snapshot(OTHER, vec![named("c")]);
    all.access_analyzers.extend(snapshot(ACCOUNT, vec![named("a"), named("b")]).access_analyzers);
    let said = on_s3(&all, true);
    let names: Vec<&str> = said.iter().filter_map(|note| note.split(' ').nth(2)).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(on_s3(&all, true), said);
}
