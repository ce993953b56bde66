//! Timelines of trails, as tables, and what adding and stopping a trail may never do.

use proptest::prelude::*;

use super::*;
use crate::model::event::EventCategory;
use crate::usage::fold::CoverageKey;

const ACCOUNT: &str = "111111111111";
const OTHER: &str = "222222222222";
const ARN: &str = "arn:aws:cloudtrail:us-east-1:111111111111:trail/main";

fn at(day: i64) -> Timestamp {
    "2026-03-01".parse::<Timestamp>().unwrap().plus_days(day)
}

/// Ten days, with records in the first hour of each of `days` in us-east-1.
fn coverage(days: impl IntoIterator<Item = i64>) -> Coverage {
    let cells = days.into_iter().map(|day| {
        let key = CoverageKey {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            hour: at(day).hour(),
            category: EventCategory::Management,
        };
        (key, 1)
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
        request: request.into(),
        response: response.into(),
        event_id: String::new(),
    }
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
            let answers = span.states.iter().map(|(_, state)| match state {
                State::On { selectors, .. } => recorded(selectors, &Question::management(true)),
                State::Off(_) => Recorded::No,
                State::Unclear(_) => Recorded::Maybe,
            });
            match answers.fold(Recorded::No, Recorded::or) {
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
        ("refused calls change nothing", vec![document(10, all())], vec![denied, failed], "yyyyyyyyyy"),
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
        let trails = Trails::of(&states, &calls, None, &coverage(0..10));
        assert_eq!(reads(&trails, ACCOUNT, "eu-west-1"), want, "{what}");
        assert_eq!(reads(&trails, OTHER, "eu-west-1"), "----------", "{what}: no trail of another account's");
    }
    let since = TrailState { logging_since: Some(at(4)), ..document(10, all()) };
    assert_eq!(reads(&Trails::of(&[since], &[], None, &coverage(0..10)), ACCOUNT, "us-east-1"), "????yyyyyy");
}

#[test]
fn trails_that_only_calls_speak_of() {
    let made = |day| call(day, "CreateTrail", NAMED, r#"{"isMultiRegionTrail":true}"#);
    for (what, calls, days, want) in [
        ("selectors from the call on", vec![call(4, "PutEventSelectors", PUT_WRITES, "")], 0..10, "????nnnnnn"),
        ("an irrelevant call", vec![call(4, "StartLogging", NAMED, "")], 0..10, "????yyyyyy"),
        (
            "updated",
            vec![call(4, "UpdateTrail", r#"{"name":"main","isMultiRegionTrail":true}"#, "")],
            0..10,
            "????yyyyyy",
        ),
        ("stopped, and nothing came after", vec![call(4, "StopLogging", NAMED, "")], 0..4, "????nnnnnn"),
        // Somebody else wrote these logs.
        ("stopped, and logs went on", vec![call(4, "StopLogging", NAMED, "")], 0..10, "----------"),
        ("made and deleted among logs", vec![made(3), call(4, "DeleteTrail", NAMED, "")], 0..10, "----------"),
    ] {
        let trails = Trails::of(&[], &calls, None, &coverage(days));
        assert!(!trails.documented(ACCOUNT));
        assert_eq!(reads(&trails, ACCOUNT, "eu-west-1"), want, "{what}");
    }
    // Where settings were collected, calls on other trails do not count.
    let other = call(4, "PutEventSelectors", r#"{"trailName":"other","eventSelectors":[{"readWriteType":"All"}]}"#, "");
    let trails = Trails::of(&[document(10, Some(write_only()))], &[other], None, &coverage(0..10));
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
        let trails = Trails::of(std::slice::from_ref(state), &[], members, &coverage(0..10));
        assert_eq!(reads(&trails, account, region), want, "{state:?} {account} {region}");
    }
    let update = call(5, "UpdateTrail", NAMED, r#"{"isMultiRegionTrail":false,"isOrganizationTrail":false}"#);
    let before = TrailState { captured_at: at(-1), ..organization };
    let trails = Trails::of(&[before], &[update], None, &coverage(0..10));
    assert_eq!(reads(&trails, OTHER, "us-east-1"), "yyyyynnnnn");
    assert_eq!(reads(&trails, ACCOUNT, "eu-west-1"), "yyyyynnnnn");
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
    assert_eq!(reads(&trails, ACCOUNT, "us-east-1"), "----------");
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
    /// One trail more never makes less observable.
    #[test]
    fn a_trail_more_never_hides(states in prop::collection::vec(states(), 1..6)) {
        // The account keeps a trail whose settings are known, or the comparison would be with files alone.
        let without: Vec<TrailState> = states.iter().filter(|state| !state.arn.ends_with("t2")).cloned().collect();
        prop_assume!(!without.is_empty());
        let coverage = coverage(0..10);
        let (less, more) = (Trails::of(&without, &[], None, &coverage), Trails::of(&states, &[], None, &coverage));
        for (less, more) in answers(&less).into_iter().zip(answers(&more)) {
            prop_assert!(more >= less);
        }
    }

    /// Stopping a trail never shows more from then on. (Before, it may explain what answers of two times say.)
    #[test]
    fn stopping_never_shows_more(states in prop::collection::vec(states(), 1..6), day in 0i64..10) {
        let coverage = coverage(0..10);
        let stop = TrailCall {
            region: "eu-west-1".into(),
            ..call(day, "StopLogging", r#"{"name":"t0"}"#, "")
        };
        let before = answers(&Trails::of(&states, &[], None, &coverage));
        let after = answers(&Trails::of(&states, &[stop], None, &coverage));
        for (before, after) in before.into_iter().zip(after).skip(usize::try_from(day).unwrap()) {
            prop_assert!(after < Recorded::Yes || before == Recorded::Yes);
        }
    }
}
