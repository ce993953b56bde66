//! Timelines of trails, as tables, and what adding and stopping a trail may never do.

use proptest::prelude::*;

use super::*;
use crate::model::event::EventCategory;
use crate::usage::fold::{CoverageFact, CoverageKey};

const ACCOUNT: &str = "111111111111";
const OTHER: &str = "222222222222";
const ARN: &str = "arn:aws:cloudtrail:us-east-1:111111111111:trail/main";

fn at(day: i64) -> Timestamp {
    "2026-03-01".parse::<Timestamp>().unwrap().plus_days(day)
}

/// Ten days, with records in every hour of each of `days` in us-east-1, and on the two days around.
fn coverage(days: impl IntoIterator<Item = i64>) -> Coverage {
    coverage_of(&[(ACCOUNT, "us-east-1")], days)
}

fn coverage_of(places: &[(&str, &str)], days: impl IntoIterator<Item = i64>) -> Coverage {
    let days: Vec<i64> = days.into_iter().chain([-1, 10]).collect();
    let hours = days.iter().flat_map(|day| at(*day).hour()..at(day + 1).hour());
    let cells = hours.flat_map(|hour| {
        places.iter().map(move |(account, region)| {
            let key = CoverageKey {
                account: (*account).into(),
                region: (*region).into(),
                hour,
                category: EventCategory::Management,
            };
            (key, CoverageFact::whole(1))
        })
    });
    Coverage::of(Window { from: at(0), to: at(10) }, &cells.collect())
}

fn selectors(json: &str) -> Selectors {
    Selectors::of_json(&serde_json::from_str(json).unwrap()).unwrap()
}

fn write_only() -> Selectors {
    selectors(r#"{"EventSelectors":[{"ReadWriteType":"WriteOnly"}]}"#)
}

fn document(day: i64, selectors: Option<Selectors>) -> TrailState {
    TrailState {
        multi_region: Some(true),
        global_events: Some(true),
        organization: Some(false),
        logging: Some(true),
        selectors,
        ..TrailState::new(ARN.to_owned(), at(day))
    }
}

fn call(day: i64, name: &str, request: &str, response: &str) -> TrailCall {
    TrailCall {
        time: at(day),
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
        name: name.into(),
        outcome: Outcome::Authorised,
        error_code: String::new(),
        request: request.into(),
        response: response.into(),
        event_id: String::new(),
    }
}

/// A call that was answered with an error whose outcome is in no table.
fn failed(code: &str, call: &TrailCall) -> TrailCall {
    TrailCall { outcome: Outcome::Unknown, error_code: code.to_owned(), ..call.clone() }
}

const NAMED: &str = r#"{"name":"main"}"#;
const PUT_ALL: &str = r#"{"trailName":"main","eventSelectors":[{"readWriteType":"All"}]}"#;
const PUT_WRITES: &str = r#"{"trailName":"main","eventSelectors":[{"readWriteType":"WriteOnly"}]}"#;

/// What is known of a management read on each day: y, n, or ? for neither; - where nothing is known of any trail.
fn reads(trails: &Trails, account: &str, region: &str) -> String {
    let spans = trails.spans(account, region);
    (0..10)
        .map(|day| {
            let Some(span) = spans.iter().find(|span| span.from <= at(day) && at(day) < span.to) else { return '-' };
            match span.records(&Question::management(true)) {
                Recorded::Yes => 'y',
                Recorded::Maybe => '?',
                Recorded::No => 'n',
            }
        })
        .collect()
}

#[test]
fn documents_and_calls_make_spans() {
    let all = || Some(Selectors::of_new_trail());
    let denied = TrailCall { outcome: Outcome::Denied, ..call(4, "StopLogging", NAMED, "") };
    let failed = TrailCall { outcome: Outcome::Unknown, ..call(4, "PutEventSelectors", PUT_WRITES, "") };
    let elsewhere = TrailCall { region: "eu-west-1".into(), ..call(4, "StopLogging", "", "") };
    let by_arn = format!(r#"{{"name":"{ARN}"}}"#);
    for (what, states, calls, want) in [
        ("nothing", vec![], vec![], "----------"),
        ("today's answer", vec![document(10, all())], vec![], "yyyyyyyyyy"),
        ("an answer of before", vec![document(-5, all())], vec![], "yyyyyyyyyy"),
        ("changed within", vec![document(10, all())], vec![call(4, "PutEventSelectors", PUT_ALL, "")], "????yyyyyy"),
        (
            "changed within, and seen before",
            vec![document(-5, Some(write_only())), document(10, all())],
            vec![call(4, "PutEventSelectors", PUT_ALL, "")],
            "nnnnyyyyyy",
        ),
        (
            "changed without a call on record",
            vec![document(1, Some(write_only())), document(8, all())],
            vec![],
            "n???????yy",
        ),
        ("no selectors", vec![document(10, None)], vec![], "??????????"),
        ("refused calls change nothing", vec![document(10, all())], vec![denied], "yyyyyyyyyy"),
        ("nobody knows whether it was carried out", vec![document(-1, all())], vec![failed], "yyyy??????"),
        ("a call on no known trail", vec![document(-1, all())], vec![call(4, "StopLogging", "", "")], "yyyy??????"),
        ("another region's", vec![document(-1, all())], vec![elsewhere], "yyyyyyyyyy"),
        (
            "what was updated is not said",
            vec![document(-1, all())],
            vec![call(4, "UpdateTrail", NAMED, "")],
            "yyyyyyyyyy",
        ),
        (
            "stopped and started",
            vec![document(10, all())],
            vec![call(3, "StopLogging", NAMED, "null"), call(5, "StartLogging", &by_arn, "null")],
            "???nnyyyyy",
        ),
        (
            "made within",
            vec![document(10, all())],
            vec![
                call(3, "CreateTrail", NAMED, r#"{"isMultiRegionTrail":true,"includeGlobalServiceEvents":true}"#),
                call(4, "StartLogging", NAMED, ""),
            ],
            "nnnnyyyyyy",
        ),
        (
            "what was put cannot be read",
            vec![document(-1, all())],
            vec![call(4, "PutEventSelectors", NAMED, "")],
            "yyyy??????",
        ),
        (
            "another trail's calls",
            vec![document(10, all())],
            vec![call(4, "StopLogging", r#"{"name":"other"}"#, "")],
            "yyyyyyyyyy",
        ),
        (
            "insights say nothing",
            vec![document(10, all())],
            vec![call(4, "PutInsightSelectors", PUT_ALL, "")],
            "yyyyyyyyyy",
        ),
    ] {
        let trails = gather(&states, &calls, None);
        assert_eq!(reads(&trails, ACCOUNT, "eu-west-1"), want, "{what}");
        assert_eq!(reads(&trails, OTHER, "eu-west-1"), "----------", "{what}: no trail of another account's");
    }
    let since = TrailState { logging_since: Some(at(4)), ..document(10, all()) };
    assert_eq!(reads(&gather(&[since], &[], None), ACCOUNT, "us-east-1"), "????yyyyyy");
}

#[test]
fn trails_that_only_calls_speak_of() {
    let stop = call(4, "StopLogging", NAMED, "");
    let made = |day| call(day, "CreateTrail", NAMED, r#"{"isMultiRegionTrail":true}"#);
    for (what, calls, days, want) in [
        ("selectors from the call on", vec![call(4, "PutEventSelectors", PUT_WRITES, "")], 0..10, "????nnnnnn"),
        ("an irrelevant call", vec![call(4, "StartLogging", NAMED, "")], 0..10, "????yyyyyy"),
        (
            "updated",
            vec![call(4, "UpdateTrail", r#"{"name":"main","isMultiRegionTrail":true}"#, "")],
            0..10,
            "yyyyyyyyyy|????yyyyyy",
        ),
        ("stopped, and nothing came after", vec![call(4, "StopLogging", NAMED, "")], 0..4, "????nnnnnn"),
        // Somebody else wrote these logs: in that region, and for all of the time, or for a part of it.
        ("stopped, and logs went on", vec![call(4, "StopLogging", NAMED, "")], 0..10, "????yyyyyy|????nnnnnn"),
        ("stopped, and some came", vec![call(4, "StopLogging", NAMED, "")], 0..7, "??????????|????nnnnnn"),
        (
            "made and deleted among logs",
            vec![made(3), call(6, "DeleteTrail", NAMED, "")],
            0..10,
            "yyyyyyyyyy|nnnnnnnnnn",
        ),
        ("a call that cannot be read", vec![call(4, "StopLogging", "", "")], 0..10, "??????????"),
        (
            "its outcome is not known",
            vec![TrailCall { outcome: Outcome::Unknown, ..stop.clone() }],
            0..10,
            "??????????",
        ),
        ("there was no such trail", vec![failed("TrailNotFoundException", &stop)], 0..10, "----------"),
        ("CloudTrail broke off", vec![failed("InternalFailure", &stop)], 0..10, "??????????"),
        (
            "nobody knows whether it was made",
            vec![TrailCall { outcome: Outcome::Unknown, ..made(3) }],
            0..10,
            "----------",
        ),
    ] {
        let trails = Trails::of(&[], &calls, None, &coverage(days));
        assert!(!trails.documented(ACCOUNT));
        let (home, elsewhere) = want.split_once('|').unwrap_or((want, want));
        assert_eq!(reads(&trails, ACCOUNT, "us-east-1"), home, "{what}");
        assert_eq!(reads(&trails, ACCOUNT, "eu-west-1"), elsewhere, "{what}");
    }
    // Where settings were collected, calls on other trails do not count.
    let other = call(4, "PutEventSelectors", r#"{"trailName":"other","eventSelectors":[{"readWriteType":"All"}]}"#, "");
    let trails = gather(&[document(10, Some(write_only()))], &[other], None);
    assert_eq!(reads(&trails, ACCOUNT, "us-east-1"), "nnnnnnnnnn");
}

#[test]
fn regions_and_organisations() {
    let base = document(10, Some(Selectors::of_new_trail()));
    let organization = TrailState { organization: Some(true), ..base.clone() };
    let single = TrailState { multi_region: Some(false), ..base.clone() };
    let open = TrailState { multi_region: None, ..base.clone() };
    let members = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect());
    let (yes, no, maybe, unknown) = ("yyyyyyyyyy", "nnnnnnnnnn", "??????????", "----------");
    for (state, members, account, region, want) in [
        (&base, None, ACCOUNT, "eu-west-1", yes),
        (&single, None, ACCOUNT, "us-east-1", yes),
        (&single, None, ACCOUNT, "eu-west-1", no),
        (&open, None, ACCOUNT, "eu-west-1", maybe),
        (&base, None, OTHER, "us-east-1", unknown),
        (&organization, None, OTHER, "us-east-1", yes),
        (&organization, members(&[ACCOUNT, OTHER]), OTHER, "us-east-1", yes),
        (&organization, members(&[ACCOUNT]), OTHER, "us-east-1", unknown),
    ] {
        let trails = gather(std::slice::from_ref(state), &[], members);
        assert_eq!(reads(&trails, account, region), want, "{state:?} {account} {region}");
    }
    let off = r#"{"isMultiRegionTrail":false,"isOrganizationTrail":false}"#;
    let before = TrailState { captured_at: at(-1), ..organization };
    let asked = off.replacen('{', r#"{"name":"main","#, 1);
    for (request, response, want) in [
        (asked.as_str(), "null", "yyyyynnnnn"),
        (&asked, off, "yyyyynnnnn"),
        // Where the request is not known it may have been this call.
        ("null", &off.replacen('{', &format!(r#"{{"trailARN":"{ARN}","#), 1), "yyyyynnnnn"),
        // What was not asked for was so before: something changed it unseen.
        (NAMED, off, "?????nnnnn"),
        (NAMED, r#"{"isMultiRegionTrail":true,"isOrganizationTrail":true}"#, "yyyyyyyyyy"),
    ] {
        let trails = gather(std::slice::from_ref(&before), &[call(5, "UpdateTrail", request, response)], None);
        assert_eq!(reads(&trails, OTHER, "us-east-1"), want, "{request} {response}");
        assert_eq!(reads(&trails, ACCOUNT, "eu-west-1"), want, "{request} {response}");
    }
    // Another setting was changed: what the answer says of the rest held before, too.
    let answer = r#"{"isMultiRegionTrail":true,"includeGlobalServiceEvents":true,"isOrganizationTrail":false}"#;
    let bucket = call(5, "UpdateTrail", r#"{"name":"main","s3BucketName":"b"}"#, answer);
    assert_eq!(reads(&gather(&[base], &[bucket], None), ACCOUNT, "eu-west-1"), yes);
}

#[test]
fn hostile_calls_do_no_harm() {
    let calls: Vec<TrailCall> = [
        ("CreateTrail", "", ""),
        ("StopLogging", "[1]", "{"),
        ("PutEventSelectors", r#"{"trailName":"arn:aws:s3:::x"}"#, "null"),
        ("PutEventSelectors", r#"{"trailName":5}"#, "null"),
        ("UpdateTrail", r#"{"name":""}"#, "null"),
    ]
    .map(|(name, request, response)| call(1, name, request, response))
    .into();
    let trails = Trails::of(&[TrailState::new("x".into(), at(1))], &calls, None, &coverage(0..10));
    assert_eq!(reads(&trails, ACCOUNT, "us-east-1"), "??????????");
    assert_eq!(trails.unread().len(), 5);
}

#[test]
fn changes_that_may_go_unseen() {
    let all = || Some(Selectors::of_new_trail());
    let read_only = || Some(selectors(r#"{"EventSelectors":[{"ReadWriteType":"ReadOnly"}]}"#));
    let quiet = r#"{"EventSelectors":[{"ReadWriteType":"WriteOnly"}]}"#;
    let organization = TrailState { organization: Some(true), ..document(10, all()) };
    let members = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<String>>());
    let (own, both) = (vec![(ACCOUNT, "us-east-1")], vec![(ACCOUNT, "us-east-1"), (OTHER, "us-east-1")]);
    for (what, state, members, places, days, want) in [
        ("collected at the end", document(10, all()), None, &own, 0..10, true),
        ("collected before", document(-1, all()), None, &own, 0..10, false),
        ("a day is missing at home", document(10, all()), None, &own, 0..9, false),
        ("home is elsewhere", document(10, all()), None, &vec![(ACCOUNT, "eu-west-1")], 0..10, false),
        ("it records writes", document(10, Some(selectors(quiet))), None, &own, 0..10, true),
        ("it records reads", document(10, read_only()), None, &own, 0..10, false),
        ("an organisation of which nobody knows the accounts", organization.clone(), None, &own, 0..10, false),
        ("its member's logs are not here", organization.clone(), members(&[ACCOUNT, OTHER]), &own, 0..10, false),
        ("all are here", organization, members(&[ACCOUNT, OTHER]), &both, 0..10, true),
    ] {
        let trails = Trails::of(&[state], &[], members, &coverage_of(places, days));
        assert_eq!(trails.of_account(ACCOUNT)[0].changes_seen, want, "{what}");
        let unclear = trails
            .spans(ACCOUNT, "us-east-1")
            .iter()
            .any(|span| span.states.iter().any(|(_, state)| *state == State::Unclear("may have been changed unseen")));
        assert_eq!(unclear, !want, "{what}");
    }
}

#[test]
fn digests_of_known_trails() {
    let span = |trail: &str, from: i64| DigestSpan {
        account: ACCOUNT.into(),
        region: "eu-west-1".into(),
        trail: trail.into(),
        from: at(from),
        to: at(from + 1),
        log_files: 0,
        in_hand: 0,
        management: 0,
        lost_from: None,
    };
    let data = selectors(
        r#"{"EventSelectors":[{"IncludeManagementEvents":false,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}]}]}"#,
    );
    let put = |json| call(4, "PutEventSelectors", json, "");
    for (what, states, calls, trail, day, want) in [
        ("nothing is known", vec![], vec![], "main_us-east-1", 5, None),
        ("it records them", vec![document(10, Some(write_only()))], vec![], "main_us-east-1", 5, Some(true)),
        ("data only", vec![document(10, Some(data))], vec![], "main_us-east-1", 5, Some(false)),
        ("another trail", vec![document(10, Some(write_only()))], vec![], "other_us-east-1", 5, None),
        ("a call said so", vec![], vec![put(PUT_ALL)], "main_us-east-1", 5, Some(true)),
        ("a call said less", vec![], vec![put(PUT_WRITES)], "main_us-east-1", 5, None),
        ("before the call", vec![], vec![put(PUT_ALL)], "main_us-east-1", 2, None),
        ("stopped", vec![], vec![put(PUT_ALL), call(6, "StopLogging", NAMED, "")], "main_us-east-1", 7, Some(false)),
        (
            "only its being stopped is known",
            vec![],
            vec![call(6, "StartLogging", NAMED, "")],
            "main_us-east-1",
            7,
            None,
        ),
    ] {
        assert_eq!(gather(&states, &calls, None).records_management(&span(trail, day)), want, "{what}");
    }
}

fn gather(states: &[TrailState], calls: &[TrailCall], members: Option<BTreeSet<String>>) -> Trails {
    Trails::gather(states, calls, members, Window { from: at(0), to: at(10) })
}

fn answers(trails: &Trails) -> Vec<Recorded> {
    reads(trails, ACCOUNT, "us-east-1")
        .chars()
        .map(|c| match c {
            'y' => Recorded::Yes,
            'n' => Recorded::No,
            _ => Recorded::Maybe,
        })
        .collect()
}

fn states() -> impl Strategy<Value = TrailState> {
    let kinds = prop_oneof![
        Just(None),
        Just(Some(Selectors::of_new_trail())),
        Just(Some(write_only())),
        Just(Some(selectors(r#"{"EventSelectors":[{"IncludeManagementEvents":false}]}"#))),
    ];
    (0usize..3, -2i64..12, kinds, any::<bool>(), any::<bool>()).prop_map(|(trail, day, selectors, logging, multi)| {
        let arn = format!("arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/t{trail}");
        TrailState { arn, logging: Some(logging), multi_region: Some(multi), ..document(day, selectors) }
    })
}

proptest! {
    /// One trail more never makes more observable, where any may have written the logs, but where nothing else recorded.
    #[test]
    fn a_trail_more_never_shows(states in prop::collection::vec(states(), 1..6)) {
        // The account keeps a trail whose settings are known, or the comparison would be with files alone.
        let without: Vec<TrailState> = states.iter().filter(|state| !state.arn.ends_with("t2")).cloned().collect();
        prop_assume!(!without.is_empty());
        let (less, more) = (gather(&without, &[], None), gather(&states, &[], None));
        for (less, more) in answers(&less).into_iter().zip(answers(&more)) {
            prop_assert!(more <= less || less == Recorded::No);
        }
    }

    /// Stopping a trail never shows more from then on. (Before, it may explain what answers of two times say.)
    #[test]
    fn stopping_never_shows_more(states in prop::collection::vec(states(), 1..6), day in 0i64..10) {
        let stop = TrailCall {
            region: "eu-west-1".into(),
            ..call(day, "StopLogging", r#"{"name":"t0"}"#, "")
        };
        let trails = gather(&states, &[stop], None);
        // One that was off in the whole window wrote none of its logs.
        let spans = trails.spans(ACCOUNT, "us-east-1");
        let wrote = spans.iter().flat_map(|span| span.writers(EventCategory::Management)).any(|(t, _)| t.name == "t0");
        prop_assume!(wrote);
        let before = answers(&gather(&states, &[], None));
        let after = answers(&trails);
        for (before, after) in before.into_iter().zip(after).skip(usize::try_from(day).unwrap()) {
            prop_assert!(after < Recorded::Yes || before == Recorded::Yes);
        }
    }
}

#[test]
fn settings_of_a_trail_say_nothing_of_anothers_files() {
    let all = || Some(Selectors::of_new_trail());
    for (trail, said, want) in [
        ("main_us-east-1", None, "yyyyyyyyyy"),
        // The digests are of a trail that nobody told of.
        ("other_us-east-1", None, "----------"),
        ("other_us-east-1", Some("main"), "yyyyyyyyyy"),
    ] {
        let span = |day| DigestSpan {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            trail: trail.into(),
            from: at(day),
            to: at(day + 1),
            log_files: 1,
            in_hand: 1,
            management: 1,
            lost_from: None,
        };
        let spans: Vec<DigestSpan> = (-1..11).map(span).collect();
        let coverage = coverage(0..10).with_deliveries(&spans, |_| Some(true));
        let said: Vec<String> = said.into_iter().map(str::to_owned).collect();
        let trails = Trails::gather(&[document(10, all())], &[], None, coverage.window()).judged(&said, &coverage);
        assert_eq!(reads(&trails, ACCOUNT, "us-east-1"), want, "{trail} {said:?}");
        assert_eq!(trails.documented(ACCOUNT), want.starts_with('y'));
    }
}

#[test]
fn each_setting_has_to_be_looked_at_anew() {
    let state = |day, selectors| document(day, selectors);
    let described = TrailState { selectors: None, ..state(10, None) };
    let all = Some(Selectors::of_new_trail());
    for (what, states, want) in [
        ("all of it", vec![state(10, all.clone())], true),
        ("selectors long before, and the rest", vec![state(-100, all.clone()), described.clone()], false),
        ("both", vec![state(-100, all.clone()), described, state(9, all)], true),
    ] {
        let trails = Trails::of(&states, &[], None, &coverage(0..10));
        assert_eq!(trails.of_account(ACCOUNT)[0].changes_seen, want, "{what}");
    }
}
