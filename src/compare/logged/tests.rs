//! What trails left out, and the verdicts that follow.

use super::*;
use crate::compare::RoleNames;
use crate::compare::accessed::Accessed;
use crate::compare::observe::Eyes;
use crate::compare::used::OwnActivity;
use crate::compare::verdict::{Bench, DataSeen};
use crate::entitlements::{Entitlement, Reach, Scope as Granted};
use crate::model::event::{EventCategory, Outcome};
use crate::model::time::Timestamp;
use crate::model::trail::TrailState;
use crate::policy::ResourceMatch;
use crate::usage::changes::PolicyChanges;
use crate::usage::fold::{CoverageFact, CoverageKey, TrailCall};

const ACCOUNT: &str = "111111111111";
const ARN: &str = "arn:aws:cloudtrail:us-east-1:111111111111:trail/main";
const DATA: &str = r#""IncludeManagementEvents":true,"DataResources":"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window() -> Window {
    Window { from: at("2026-03-01"), to: at("2026-03-05") }
}

/// Records in every hour in us-east-1, and on some days after the window; `data` adds data events on so many days.
fn coverage(data: usize) -> Coverage {
    let mut cells: BTreeMap<CoverageKey, CoverageFact> = BTreeMap::new();
    let first = window().from.hour();
    for (hour, at) in (first..first + 24 * 5).zip(0usize..) {
        let key = CoverageKey {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            hour,
            category: EventCategory::Management,
        };
        if at % 24 == 5 && at / 24 < data {
            cells.insert(CoverageKey { category: EventCategory::Data, ..key.clone() }, CoverageFact::whole(1));
        }
        cells.insert(key, CoverageFact::whole(1));
    }
    Coverage::of(window(), &cells)
}

fn trail(arn: &str, selectors: &str) -> TrailState {
    let json = serde_json::from_str(selectors).unwrap();
    TrailState {
        multi_region: Some(true),
        global_events: Some(true),
        logging: Some(true),
        selectors: Some(Selectors::of_json(&json).unwrap()),
        ..TrailState::new(arn.to_owned(), at("2026-03-05"))
    }
}

fn basic(selector: &str) -> Vec<TrailState> {
    vec![trail(ARN, &format!(r#"{{"EventSelectors":[{{{selector}}}]}}"#))]
}

fn put(time: &str, selector: &str) -> TrailCall {
    TrailCall {
        time: at(time),
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        name: "PutEventSelectors".into(),
        outcome: Outcome::Authorised,
        error_code: String::new(),
        request: format!(r#"{{"trailName":"main","eventSelectors":[{{{selector}}}]}}"#),
        response: String::new(),
        event_id: String::new(),
    }
}

/// Actions and the resources on which they are granted.
type Grant<'g> = (&'g [&'g str], &'g [&'g str]);

/// The verdict on each action of one grant: see [`judge_all`].
fn judge(states: &[TrailState], calls: &[TrailCall], data: usize, grant: Grant<'_>) -> BTreeMap<String, String> {
    judge_all(states, calls, data, &[grant]).remove(0)
}

/// The verdicts on the actions of grants that were never used: `unused`, `low`, or the reason.
fn judge_all(
    states: &[TrailState],
    calls: &[TrailCall],
    data: usize,
    grants: &[Grant<'_>],
) -> Vec<BTreeMap<String, String>> {
    judge_in_hand(states, calls, data, grants, &[])
}

/// The same, where the user says whose files are in hand.
fn judge_in_hand(
    states: &[TrailState],
    calls: &[TrailCall],
    data: usize,
    grants: &[Grant<'_>],
    in_hand: &[String],
) -> Vec<BTreeMap<String, String>> {
    judge_with(states, calls, data, grants, (in_hand, None))
}

/// The same, with the kinds of events that the account's logs hold.
fn judge_with(
    states: &[TrailState],
    calls: &[TrailCall],
    data: usize,
    grants: &[Grant<'_>],
    (in_hand, kinds): (&[String], Option<&BTreeMap<String, Kinds>>),
) -> Vec<BTreeMap<String, String>> {
    let catalog = Catalog::get();
    let classes = Classes::of(catalog);
    let coverage = coverage(data);
    let trails = Trails::gather(states, calls, None, window()).judged(in_hand, &coverage);
    let accounts = BTreeSet::from([ACCOUNT.to_owned()]);
    let recording = Recording::of(&trails, &coverage, (catalog, &classes), &accounts, kinds);
    let regions = ["us-east-1".to_owned()];
    let eyes = Eyes::on(&coverage, &classes, ACCOUNT, "aws", &regions, Vec::new()).with_recording(&recording);
    let reach = Reach::new(catalog);
    let (changes, seen, roles) = (PolicyChanges::default(), DataSeen::default(), RoleNames::default());
    let accessed = Accessed::default();
    let bench = Bench {
        catalog,
        classes: &classes,
        eyes: &eyes,
        data_seen: &seen,
        changes: &changes,
        reach: &reach,
        accessed: &accessed,
        roles: &roles,
        pass: catalog.find("iam:PassRole"),
        granted: &[],
        principal: "arn:aws:iam::111111111111:role/x",
        window: window(),
    };
    grants.iter().map(|grant| verdicts(&bench, *grant)).collect()
}

fn verdicts(bench: &Bench<'_>, (actions, resources): Grant<'_>) -> BTreeMap<String, String> {
    let mut set = bench.catalog.no_actions();
    for action in actions {
        assert!(set.insert(bench.catalog.find(action).unwrap()), "{action}");
    }
    let resources = resources.iter().map(|text| ArnPattern::parse(text, true)).collect();
    let entitlement = Entitlement {
        scope: Arc::new(Granted { resources: ResourceMatch::Resource(resources), conditions: Vec::new() }),
        actions: Arc::new(set),
        open: false,
        limits: Vec::new(),
        provenance: Vec::new(),
        since: None,
    };
    let mut found = BTreeMap::new();
    for part in &bench.judge(&entitlement, &OwnActivity::default()) {
        let verdicts = &part.verdicts;
        let plain = [(&verdicts.unused, "unused"), (&verdicts.unused_low, "low")];
        let reasons = verdicts.unobservable.iter().map(|(set, why)| (set, why.as_str()));
        for (set, why) in plain.into_iter().chain(reasons) {
            let names = set.iter().map(|id| bench.catalog.action(id).unwrap().full_name());
            found.extend(names.map(|name| (name, why.to_owned())));
        }
    }
    found
}

const ACTIONS: [&str; 5] =
    ["ec2:DescribeInstances", "ec2:RunInstances", "kms:Decrypt", "kms:CreateKey", "sts:AssumeRole"];

/// One verdict for each of [`ACTIONS`].
fn management(states: &[TrailState], calls: &[TrailCall]) -> [String; 5] {
    let found = judge(states, calls, 0, (&ACTIONS, &["*"]));
    ACTIONS.map(|action| found[action].clone())
}

fn management_of(states: &[TrailState], in_hand: &[String]) -> [String; 5] {
    let found = judge_in_hand(states, &[], 0, &[(&ACTIONS, &["*"])], in_hand).remove(0);
    ACTIONS.map(|action| found[action].clone())
}

#[test]
fn without_trails_files_decide() {
    assert_eq!(management(&[], &[]), ["unused"; 5]);
    assert_eq!(management(&basic(""), &[]), ["unused"; 5]);
}

/// Of each of [`ACTIONS`], where the account's logs hold these kinds only.
fn of_kinds(kinds: &[Kinds], states: &[TrailState], calls: &[TrailCall]) -> [String; 5] {
    let kinds = kinds.iter().copied().fold(Kinds::default(), Kinds::with);
    let kinds = BTreeMap::from([(ACCOUNT.to_owned(), kinds)]);
    let found = judge_with(states, calls, 0, &[(&ACTIONS, &["*"])], (&[], Some(&kinds))).remove(0);
    ACTIONS.map(|action| found[action].clone())
}

#[test]
fn without_trails_a_kind_of_which_there_is_no_event_is_unobservable() {
    let why = |kind: &str| format!("nobody told what the trails of 111111111111 record, and its logs hold no {kind}");
    let [reads, writes, kms] = ["read events", "write events", "events of KMS"].map(why);
    let unused = "unused".to_owned();
    let all = [Kinds::READS, Kinds::WRITES, Kinds::KMS];
    let without = |kind: Kinds| all.iter().copied().filter(|other| *other != kind).collect::<Vec<_>>();
    assert_eq!(of_kinds(&all, &[], &[]), ["unused"; 5]);
    for (kind, want) in [
        // Decrypt and AssumeRole are recorded as reads or as writes: both have to be there.
        (Kinds::READS, [&reads, &unused, &reads, &reads, &reads]),
        (Kinds::WRITES, [&unused, &writes, &writes, &writes, &writes]),
        (Kinds::KMS, [&unused, &unused, &kms, &kms, &unused]),
    ] {
        assert_eq!(of_kinds(&without(kind), &[], &[]), want.map(String::clone));
        // Where somebody told, that is what counts.
        assert_eq!(of_kinds(&without(kind), &basic(""), &[]), ["unused"; 5]);
        assert_eq!(of_kinds(&without(kind), &[], &[put("2026-02-01", "")]), ["unused"; 5]);
    }
    // One that was made for a try and deleted did not write these logs.
    let named =
        |time: &str, name: &str| TrailCall { name: name.into(), request: r#"{"name":"main"}"#.into(), ..put(time, "") };
    let tried = [named("2026-02-01", "CreateTrail"), named("2026-02-02", "DeleteTrail")];
    assert_eq!(of_kinds(&without(Kinds::READS), &[], &tried)[0], reads);
    // A call that starts a trail tells nothing of its selectors.
    let start = TrailCall { name: "StartLogging".into(), ..put("2026-02-01", "") };
    assert_eq!(of_kinds(&without(Kinds::KMS), &[], &[start])[2], kms);
}

#[test]
fn what_selectors_leave_out_is_unobservable() {
    let whole = |why: &str| format!("trail main {why} in the whole window");
    let writes = whole("recorded write events only");
    let kms = whole("left out kms.amazonaws.com");
    let unused = "unused".to_owned();
    // Decrypt and AssumeRole are recorded as reads, whatever IAM says.
    let write_only = [&writes, &unused, &writes, &writes, &writes].map(String::clone);
    assert_eq!(management(&basic(r#""ReadWriteType":"WriteOnly""#), &[]), write_only);
    let no_kms = [&unused, &unused, &kms, &kms, &unused].map(String::clone);
    assert_eq!(management(&basic(r#""ExcludeManagementEventSources":["kms.amazonaws.com"]"#), &[]), no_kms);
    let advanced = trail(
        ARN,
        r#"{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},
            {"Field":"eventSource","NotEquals":["kms.amazonaws.com"]}]}]}"#,
    );
    assert_eq!(management(&[advanced], &[]), no_kms);
    let off = TrailState { logging: Some(false), ..trail(ARN, r#"{"EventSelectors":[{}]}"#) };
    assert_eq!(management(&[off], &[]), [(); 5].map(|()| whole("was stopped")));
    // Of one that records no changes nobody knows what else it was set to.
    let unseen = whole("may have been changed unseen");
    assert_eq!(management(&basic(r#""IncludeManagementEvents":false"#), &[]), [(); 5].map(|()| unseen.clone()));
    assert_eq!(management(&basic(r#""ReadWriteType":"ReadOnly""#), &[]), [(); 5].map(|()| unseen.clone()));
}

#[test]
fn any_trail_may_have_written_the_logs() {
    let no_kms = r#""ExcludeManagementEventSources":["kms.amazonaws.com"]"#;
    let mut both = basic(no_kms);
    both.push(trail(&ARN.replace("main", "second"), r#"{"EventSelectors":[{}]}"#));
    let kms = "trail main left out kms.amazonaws.com in the whole window";
    assert_eq!(management(&both, &[]), ["unused", "unused", kms, kms, "unused"]);
    // The user says whose files are here.
    for (name, want) in [("second", "unused"), ("main", kms), (ARN, kms)] {
        assert_eq!(management_of(&both, &[name.to_owned()])[2], want, "{name}");
    }
    // One that records no management events did not write those that are here.
    let data = r#"{"EventSelectors":[{"IncludeManagementEvents":false,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}]}]}"#;
    let mut both = basic("");
    both.push(trail(&ARN.replace("main", "data"), data));
    assert_eq!(management(&both, &[]), ["unused"; 5]);
}

#[test]
fn a_change_within_the_window_counts() {
    let mut known = basic("");
    known.push(TrailState { captured_at: at("2026-02-01"), ..known[0].clone() });
    let narrowed = [put("2026-03-02T12:00:00Z", r#""ReadWriteType":"WriteOnly""#), put("2026-03-03", "")];
    let found = management(&known, &narrowed);
    assert_eq!(found[0], "trail main recorded write events only from 2026-03-02T12:00:00Z to 2026-03-03T00:00:00Z");
    assert_eq!(found[1], "unused");
    // What was set before is not known: then nothing is.
    let found = management(&basic(""), &[put("2026-03-03", "")]);
    assert_eq!(
        found[1],
        "trail main had selectors that nobody knows from 2026-03-01T00:00:00Z to 2026-03-03T00:00:00Z"
    );
}

#[test]
fn data_events_where_they_were_selected() {
    let s3 = |value: &str| basic(&format!(r#"{DATA}[{{"Type":"AWS::S3::Object","Values":["{value}"]}}]"#));
    let unselected = "no trail is known to have recorded data events of all these resources through the whole window";
    let checks = |states: &[TrailState], cases: &[(&str, &str, &str)]| {
        let grants: Vec<([&str; 1], [&str; 1])> = cases.iter().map(|(a, r, _)| ([*a], [*r])).collect();
        let grants: Vec<Grant<'_>> = grants.iter().map(|(a, r)| (&a[..], &r[..])).collect();
        for (found, (action, resource, want)) in judge_all(states, &[], 0, &grants).iter().zip(cases) {
            assert_eq!(found[*action], *want, "{action} {resource}");
        }
    };
    let unseen = "data events of these resources are not in the logs";
    checks(
        &s3("arn:aws:s3:::a/"),
        &[
            ("s3:GetObject", "arn:aws:s3:::a/*", "unused"),
            ("s3:PutObject", "arn:aws:s3:::a/in/x", "unused"),
            ("s3:GetObject", "arn:aws:s3:::ab/*", unselected),
            // The scope is wider than what is selected.
            ("s3:GetObject", "arn:aws:s3:::*", unselected),
            ("s3:GetObject", "*", unselected),
            ("s3:DeleteObject", "arn:aws:s3:::a/in/*", "unused"),
            ("s3:ListBucket", "arn:aws:s3:::a", "unused"),
            ("s3:ListBucketVersions", "arn:aws:s3:::ab", unselected),
        ],
    );
    checks(
        &s3("arn:aws:s3:::a/in/"),
        &[
            ("s3:GetObject", "arn:aws:s3:::a/*", unselected),
            ("s3:GetObject", "arn:aws:s3:::a/in/*", "unused"),
            // A batch of deletions is recorded on the bucket.
            ("s3:DeleteObject", "arn:aws:s3:::a/in/*", unselected),
        ],
    );
    checks(
        &s3("arn:aws:s3"),
        &[
            ("s3:GetObject", "arn:aws:s3:::a/*", "unused"),
            // Through an access point it may be selected under another type.
            ("s3:GetObject", "*", "low"),
            ("lambda:InvokeFunction", "*", unselected),
            ("dynamodb:GetItem", "*", unselected),
            // Of these nothing says under which type they are selected, so what was seen decides.
            ("kinesis:PutRecord", "*", unseen),
        ],
    );
    let function = "arn:aws:lambda:us-east-1:111111111111:function:f";
    let lambda = |value: &str| basic(&format!(r#"{DATA}[{{"Type":"AWS::Lambda::Function","Values":["{value}"]}}]"#));
    // That this is the only call that exercises it is an assumption of the catalogue.
    checks(&lambda("arn:aws:lambda"), &[("lambda:InvokeFunction", "*", "low")]);
    let wider = format!("{function}*");
    checks(
        &lambda(function),
        &[("lambda:InvokeFunction", function, "low"), ("lambda:InvokeFunction", &wider, unselected)],
    );
    checks(&basic(""), &[("s3:GetObject", "arn:aws:s3:::a/*", unselected)]);
    checks(&[], &[("s3:GetObject", "arn:aws:s3:::a/*", unseen)]);
    let reads = basic(&format!(
        r#""ReadWriteType":"WriteOnly"}},{{"ReadWriteType":"ReadOnly",{DATA}[{{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::a/"]}}]"#
    ));
    checks(
        &reads,
        &[
            ("s3:GetObjectTagging", "arn:aws:s3:::a/*", "unused"),
            ("s3:PutObject", "arn:aws:s3:::a/*", unselected),
            // CopyObject reads an object, and is recorded as a write.
            ("s3:GetObject", "arn:aws:s3:::a/*", unselected),
        ],
    );
}

#[test]
fn data_events_are_selected_from_when_they_are() {
    let all = basic(&format!(r#"{DATA}[{{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}}]"#));
    // Selected only since the middle of the window.
    let late = put("2026-03-03", &format!(r#"{DATA}[{{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}}]"#));
    let found = judge(&all, &[late], 4, (&["s3:GetObject"], &["arn:aws:s3:::a/*"]));
    assert_eq!(
        found["s3:GetObject"],
        "no trail is known to have recorded data events of all these resources through the whole window"
    );
}

#[test]
fn data_events_prove_nothing_where_their_trail_may_write_elsewhere() {
    let s3 = r#"{"EventSelectors":[{"IncludeManagementEvents":false,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}]}]}"#;
    let mut both = basic("");
    both.push(trail(&ARN.replace("main", "data"), s3));
    let verdict =
        |data: usize| judge(&both, &[], data, (&["s3:GetObject"], &["arn:aws:s3:::a/*"]))["s3:GetObject"].clone();
    assert_eq!(verdict(4), "unused");
    assert_eq!(verdict(1), "low", "of three days nothing is in hand");
    assert!(verdict(0).starts_with("no trail is known"), "no data event is in hand");
    // One that records other buckets may have written what is in hand.
    let other = r#"{"EventSelectors":[{"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::b/"]}]}]}"#;
    both.push(trail(&ARN.replace("main", "other"), other));
    let found = judge(&both, &[], 4, (&["s3:GetObject"], &["arn:aws:s3:::a/*"]));
    assert!(found["s3:GetObject"].starts_with("no trail is known"), "{found:?}");
}

#[test]
fn advanced_selectors_of_data_events() {
    let fields = |more: &str| {
        vec![trail(
            ARN,
            &format!(
                r#"{{"AdvancedEventSelectors":[{{"FieldSelectors":[{{"Field":"eventCategory","Equals":["Management"]}}]}},
                {{"FieldSelectors":[{{"Field":"eventCategory","Equals":["Data"]}},
                {{"Field":"resources.type","Equals":["AWS::S3::Object"]}}{more}]}}]}}"#
            ),
        )]
    };
    for (more, resource, unused) in [
        ("", "arn:aws:s3:::a/*", true),
        (r#",{"Field":"resources.ARN","StartsWith":["arn:aws:s3:::a/","arn:aws:s3:::b/"]}"#, "arn:aws:s3:::b/k*", true),
        (r#",{"Field":"resources.ARN","StartsWith":["arn:aws:s3:::a/"]}"#, "arn:aws:s3:::b/k*", false),
        (r#",{"Field":"resources.ARN","NotStartsWith":["arn:aws:s3:::logs/"]}"#, "arn:aws:s3:::b/*", true),
        (r#",{"Field":"resources.ARN","NotStartsWith":["arn:aws:s3:::logs/"]}"#, "arn:aws:s3:::l*", false),
        (r#",{"Field":"resources.ARN","NotEndsWith":[".tmp"]}"#, "arn:aws:s3:::b/*", false),
        (r#",{"Field":"resources.ARN","Equals":["arn:aws:s3:::b/k"]}"#, "arn:aws:s3:::b/k", true),
        // A literal star is no wildcard.
        (r#",{"Field":"resources.ARN","StartsWith":["arn:aws:s3:::*"]}"#, "arn:aws:s3:::b/k", false),
        // CopyObject is no read.
        (r#",{"Field":"readOnly","Equals":["true"]}"#, "arn:aws:s3:::b/k", false),
        (r#",{"Field":"readOnly","Equals":["false"]}"#, "arn:aws:s3:::b/k", false),
        (r#",{"Field":"eventName","NotEquals":["PutObject"]}"#, "arn:aws:s3:::b/k", true),
        // HeadObject exercises it, too.
        (r#",{"Field":"eventName","Equals":["GetObject"]}"#, "arn:aws:s3:::b/k", false),
        (r#",{"Field":"userIdentity.arn","NotStartsWith":["arn:aws:sts::1:"]}"#, "arn:aws:s3:::b/k", false),
    ] {
        let found = judge(&fields(more), &[], 4, (&["s3:GetObject"], &[resource]));
        assert_eq!(found["s3:GetObject"] == "unused", unused, "{more} {resource}: {found:?}");
    }
}

#[test]
fn one_region_and_no_global_services() {
    let single = TrailState { multi_region: Some(false), ..trail(ARN, r#"{"EventSelectors":[{}]}"#) };
    assert_eq!(management(std::slice::from_ref(&single), &[]), ["unused"; 5], "its home is the only region in use");
    let elsewhere = TrailState { arn: ARN.replace("us-east-1", "eu-west-1"), ..single.clone() };
    let found = management(&[elsewhere], &[]);
    assert_eq!(found[1], "trail main recorded its home region only in the whole window");
    let no_global = TrailState { global_events: Some(false), ..single };
    let found = judge(&[no_global], &[], 0, (&["iam:CreateUser", "ec2:RunInstances", "sts:AssumeRole"], &["*"]));
    assert_eq!(found["sts:AssumeRole"], found["iam:CreateUser"]);
    assert_eq!(found["iam:CreateUser"], "trail main left out global services in the whole window");
    assert_eq!(found["ec2:RunInstances"], "unused");
}

#[test]
fn whether_a_call_is_recorded_as_a_read_is_known_where_level_and_verb_agree() {
    for (prefix, name, reads, want) in [
        ("ec2", "DescribeInstances", true, Some(true)),
        ("s3", "HeadObject", true, Some(true)),
        ("ec2", "RunInstances", false, Some(false)),
        // IAM takes it for a read, and its verb is none of those that are always recorded so.
        ("logs", "StartQuery", true, None),
        ("bedrock", "InvokeModel", true, None),
        // IAM takes it for a write, and it is called a read.
        ("cognito-identity", "GetCredentialsForIdentity", false, None),
        ("redshift", "GetClusterCredentials", false, None),
        ("ec2", "GetConsoleScreenshot", true, Some(true)),
        ("sts", "AssumeRole", false, None),
        ("sts", "GetFederationToken", true, None),
        ("kms", "Decrypt", false, None),
    ] {
        assert_eq!(read_only(prefix, name, reads), want, "{prefix}:{name}");
    }
    let writes = judge(&basic(r#""ReadWriteType":"WriteOnly""#), &[], 0, (&["redshift:GetClusterCredentials"], &["*"]));
    assert_eq!(writes["redshift:GetClusterCredentials"], "trail main recorded write events only in the whole window");
    let reads = judge(&basic(r#""ReadWriteType":"ReadOnly""#), &[], 0, (&["logs:StartQuery"], &["*"]));
    // A trail of reads records no change of itself.
    assert_eq!(reads["logs:StartQuery"], "trail main may have been changed unseen in the whole window");
}
