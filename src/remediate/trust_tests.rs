use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalog::Catalog;
use crate::decide::compile::Compiler;
use crate::decide::context::{Context, Slot};
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::request::Caller;
use crate::decide::{Answer, Roster};
use crate::model::arn::Arn;
use crate::model::snapshot::{AccountIam, Holder, Role, Snapshot};

const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
const OTHER: &str = "arn:aws:iam::111122223333:oidc-provider/gitlab.example.com";
const SUB: &str = "token.actions.githubusercontent.com:sub";

fn entry(provider: &str, subject: &str, calls: u64) -> Entry {
    let last = "2026-10-02T03:04:05Z".parse().unwrap();
    let first = "2026-08-10".parse().unwrap();
    Entry { provider: provider.to_owned(), subject: Some(subject.to_owned()), calls, first, last }
}

fn late() -> Timestamp {
    "2026-10-01".parse().unwrap()
}

fn door(provider: &str, condition: Value) -> Value {
    json!({
        "Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    })
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn narrowed(condition: Value, came: &[&str]) -> Option<Value> {
    let entries: Vec<Entry> = came.iter().map(|subject| entry(GITHUB, subject, 5)).collect();
    let bound = bound(&document(&[door(GITHUB, condition)]), &entries, late()).unwrap()?;
    let found: Value = serde_json::from_str(&bound.document).unwrap();
    Some(found["Statement"][0]["Condition"].clone())
}

#[test]
fn the_subject_is_narrowed_to_who_came_and_nothing_else_changes() {
    let main = "repo:o/r:ref:refs/heads/main";
    let like = |values: Value| json!({"StringLike": {SUB: values}});
    for (condition, came, want) in [
        (like(json!("repo:o/*")), &[main][..], Some(json!({"StringEquals": {SUB: main}}))),
        (
            like(json!(["repo:o/r:*", "repo:o/gone:*"])),
            &["repo:o/r:ref:refs/tags/v1", main],
            Some(like(json!([main, "repo:o/r:ref:refs/tags/*"]))),
        ),
        // It says so already.
        (like(json!(main)), &[main], None),
        (json!({"StringEquals": {SUB: [main]}}), &[main], None),
        (like(json!("repo:o/r:ref:refs/tags/*")), &["repo:o/r:ref:refs/tags/v1"], None),
        // No wider than it was, and no narrower than somebody thought right where more is to be expected.
        (
            like(json!(["repo:o/r:ref:refs/heads/release/*", "repo:o/s:*"])),
            &[
                "repo:o/r:ref:refs/heads/release/1",
                "repo:o/r:ref:refs/heads/release/2",
                "repo:o/r:ref:refs/heads/release/3",
            ],
            Some(like(json!("repo:o/r:ref:refs/heads/release/*"))),
        ),
        // Who came by another way than this.
        (like(json!("repo:o/r:*")), &["repo:other/r:ref:refs/heads/main"], None),
        (like(json!("repo:o/r:*")), &[], None),
        // Asked in a way that is left alone.
        (json!({"StringNotLike": {SUB: "repo:o/x:*"}}), &[main], None),
        (json!({"ForAllValues:StringLike": {SUB: "repo:o/*"}}), &[main], None),
        (like(json!("repo:${aws:x}/*")), &[main], None),
        // As many modules write it: of one value some value is that one.
        (
            json!({"ForAnyValue:StringLike": {SUB: ["repo:o/r:*", "repo:o/s:*"]}}),
            &[main],
            Some(json!({"StringEquals": {SUB: main}})),
        ),
        // Keys have any case.
        (
            json!({"stringlike": {"Token.Actions.githubusercontent.com:SUB": "repo:o/*"}}),
            &[main],
            Some(json!({"StringEquals": {SUB: main}})),
        ),
        // Both hold.
        (
            json!({"StringLike": {SUB: "repo:o/*"}, "StringEquals": {SUB: [main, "repo:o/r:pull_request"]}}),
            &[main],
            Some(json!({"StringEquals": {SUB: main}})),
        ),
    ] {
        assert_eq!(narrowed(condition.clone(), came), want, "{condition} {came:?}");
    }
}

#[test]
fn what_asks_nothing_of_the_subject_asks_it_from_now_on_where_that_can_be_taken_back() {
    let key = "gitlab.example.com:sub";
    let subject = "project_path:g/p:ref_type:branch:ref:main";
    let narrowed = |provider: &str, condition: Value| {
        bound(&document(&[door(provider, condition)]), &[entry(provider, subject, 5)], late())
    };
    let of = |condition: Value| {
        let new = narrowed(OTHER, condition).unwrap().unwrap().document;
        serde_json::from_str::<Value>(&new).unwrap()["Statement"][0]["Condition"].clone()
    };
    assert_eq!(of(json!({})), json!({"StringEquals": {key: subject}}));
    let audience = json!({"StringEquals": {"gitlab.example.com:aud": "a"}});
    assert_eq!(of(audience), json!({"StringEquals": {"gitlab.example.com:aud": "a", key: subject}}));
    // IAM would not take back a policy for these.
    let shared = narrowed(GITHUB, json!({})).unwrap_err();
    assert!(shared.contains("could not be given back") && shared.contains(subject), "{shared}");
}

#[test]
fn who_may_be_followed_by_others_is_not_bound() {
    let trust = document(&[door(GITHUB, json!({"StringLike": {SUB: "repo:o/*"}}))]);
    let at = |subject: &str, calls: u64, first: &str| Entry {
        first: first.parse().unwrap(),
        ..entry(GITHUB, subject, calls)
    };
    let old = at("repo:o/r:pull_request", 9, "2026-08-10");
    let why = |entries: &[Entry]| bound(&trust, entries, late()).unwrap_err();
    assert!(why(&[old.clone(), at("repo:o/s:pull_request", 9, "2026-10-02")]).contains("others may follow"));
    assert!(why(&[at("repo:o/r:pull_request", 2, "2026-08-10")]).contains("came 2 times"));
    assert!(why(&[old.clone(), Entry { provider: String::new(), ..old.clone() }]).contains("the provider"));
    assert!(bound(&trust, &[old], late()).unwrap().is_some());
    // A text that would be a pattern is one, wherever it stands.
    let odd = document(&[door(GITHUB, json!({"StringEquals": {SUB: ["job?1", "job2"]}}))]);
    let came = [entry(GITHUB, "job?1", 5), entry(GITHUB, "job2", 5)];
    assert!(bound(&odd, &came, late()).unwrap_err().contains("pattern"));
}

#[test]
fn other_ways_in_stay() {
    let others = [
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"}),
        json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        door(OTHER, json!({"StringLike": {"gitlab.example.com:sub": "project_path:g/*"}})),
        json!({"Effect": "Allow", "Principal": {"Federated": [GITHUB, OTHER]}, "Action": "sts:AssumeRoleWithWebIdentity"}),
        json!({"Effect": "Allow", "Principal": {"Federated": GITHUB}, "Action": "sts:*"}),
    ];
    let mut all = others.to_vec();
    all.insert(2, door(GITHUB, json!({"StringLike": {SUB: "repo:o/*"}})));
    let old = document(&all);
    let new = bound(&old, &[entry(GITHUB, "repo:o/r:pull_request", 9)], late()).unwrap().unwrap();
    let found: Value = serde_json::from_str(&new.document).unwrap();
    let kept: Vec<&Value> = found["Statement"].as_array().unwrap().iter().filter(|one| others.contains(one)).collect();
    assert_eq!(kept.len(), others.len());
    assert_eq!(new.why, ["repo:o/r:pull_request came 9 times, the last on 2026-10-02"]);
    assert!(is_within(&new.document, &old) && !is_within(&old, &new.document));
    assert_eq!(providers(&old), BTreeSet::from([GITHUB.to_owned(), OTHER.to_owned()]));
}

#[test]
fn what_the_records_do_not_show_is_not_guessed() {
    let trust = document(&[door(GITHUB, json!({"StringLike": {SUB: "repo:*"}}))]);
    let nameless = Entry { subject: None, ..entry(GITHUB, "", 1) };
    assert!(
        bound(&trust, &[entry(GITHUB, "repo:o/r:pull_request", 9), nameless], late()).unwrap_err().contains("subject")
    );
    let many: Vec<Entry> =
        (0..80).map(|at| entry(GITHUB, &format!("repo:organisation/repository-{at}:pull_request"), 9)).collect();
    assert!(bound(&trust, &many, late()).unwrap_err().contains("longer than 2048"));
    let whole = |name: &str, id: &str| {
        subject_of(&Identity { user_name: name.into(), principal_id: id.into(), ..Identity::default() }).is_some()
    };
    assert!(whole("s", "p:aud:s") && whole("s", "") && !whole("", "p:aud:s") && !whole("cut", "p:aud:cut-short"));
}

#[test]
fn somebody_else_s_words_are_read_strictly() {
    let old = document(&[door(GITHUB, json!({"StringLike": {SUB: "repo:o/*"}})), door(OTHER, json!({}))]);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&old).unwrap();
        change(&mut value);
        is_within(&value.to_string(), &old)
    };
    assert!(with(&|_| {}));
    assert!(with(&|value| value["Statement"][0]["Condition"]["StringLike"][SUB] = json!(["repo:o/r:*", "repo:o/s:x"])));
    assert!(with(
        &|value| value["Statement"][1]["Condition"] = json!({"StringEquals": {"gitlab.example.com:sub": "x"}})
    ));
    for change in [
        &(|value: &mut Value| value["Statement"][0]["Condition"]["StringLike"][SUB] = json!(["repo:o/r:*", "repo:*"]))
            as &dyn Fn(&mut Value),
        &|value| value["Statement"][0]["Condition"] = json!({}),
        &|value| value["Statement"][0]["Condition"] = json!({"StringNotEquals": {SUB: "repo:o/r:x"}}),
        &|value| value["Statement"][0]["Condition"] = json!({"StringLikeIfExists": {SUB: "repo:o/r:x"}}),
        &|value| value["Statement"][0]["Principal"] = json!({"Federated": OTHER}),
        &|value| value["Statement"][0]["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
        &|value| value["Statement"][1]["Principal"] = json!("*"),
        &|value| value["Statement"] = json!([]),
        &|value| value["Version"] = json!("2008-10-17"),
        &|value| {
            let more = json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"});
            value["Statement"].as_array_mut().unwrap().push(more);
        },
    ] {
        assert!(!with(change));
    }
    assert!(!is_within("{", &old) && !is_within(&old, "{"));
    // Said twice: readers differ in which of them counts.
    let wide = r#""Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]"#;
    for twice in [
        old.replacen("{", &format!("{{{},", wide.replace("Statement", "statement")), 1),
        old.replacen("{", &format!("{{{wide},"), 1),
        old.replacen(r#""Condition":{"#, r#""condition":{},"Condition":{"#, 1),
        old.replacen(r#""StringLike":{"#, r#""StringLike":{},"StringLike":{"#, 1),
    ] {
        assert!(twice != old && !is_within(&twice, &old), "{twice}");
    }
}

/// Whether the engine lets somebody in with a token.
fn lets_in(trust: &str, subject: &str) -> bool {
    let arn = "arn:aws:iam::111122223333:role/r";
    let holder = Holder {
        arn: arn.parse().unwrap(),
        name: "r".into(),
        path: "/".into(),
        id: "AROA1".into(),
        created: None,
        inline: Vec::new(),
        attached: Vec::new(),
        boundary: None,
        tags: BTreeMap::new(),
    };
    let account = "111122223333".parse().unwrap();
    let role = Role { holder, trust: trust.to_owned(), last_used: None, instance_profiles: Vec::new() };
    let captured_at = Timestamp::default();
    let (users, groups, policies) = Default::default();
    let iam = AccountIam { account, captured_at, users, groups, roles: vec![role], policies };
    let state = Snapshot { accounts: [(account, iam)].into(), ..Snapshot::default() };
    let compiler = Compiler::deciding(Catalog::get());
    let roster = Roster::new(&state, &compiler);
    let inquiry = Inquiry { roster: &roster, organization: None };
    let caller = std::sync::Arc::new(Caller::of_arn(&GITHUB.parse::<Arn>().unwrap(), None).unwrap());
    let mut question = Question::new("sts:AssumeRoleWithWebIdentity", arn, captured_at, Catalog::get());
    question.context = Context::open();
    question.context.set(SUB, Slot::one(subject));
    let (policies, request) = inquiry.of_other(caller, &question);
    policies.answer(&request) == Answer::Allowed
}

fn subject() -> impl Strategy<Value = String> {
    let repository = prop::sample::select(vec!["o/r", "o/s", "p/r"]);
    let kind = prop::sample::select(vec![
        "ref:refs/heads/main",
        "ref:refs/heads/a",
        "ref:refs/heads/b/c",
        "ref:refs/tags/v1",
        "ref:refs/tags/v2",
        "ref:refs/pull/1/merge",
        "pull_request",
        "environment:production",
    ]);
    (repository, kind).prop_map(|(repository, kind)| format!("repo:{repository}:{kind}"))
}

fn pattern() -> impl Strategy<Value = Value> {
    let wild = prop::sample::select(vec!["*", "repo:o/*", "repo:o/r:*", "repo:*:ref:refs/heads/*", "repo:?/r:*"]);
    let one = prop_oneof![wild.prop_map(str::to_owned), subject()];
    let operator = prop::sample::select(vec!["StringLike", "StringEquals", "StringNotLike", "ForAnyValue:StringLike"]);
    let some = (operator, prop::collection::vec(one, 1..4)).prop_map(|(operator, all)| json!({operator: {SUB: all}}));
    prop_oneof![4 => some, 1 => Just(json!({}))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// By the policy engine: whoever came and was let in still is, and nobody is who was not.
    #[test]
    fn who_came_comes_in_and_nobody_else_does(
        doors in prop::collection::vec(pattern(), 1..4),
        came in prop::collection::btree_set(subject(), 0..6),
        others in prop::collection::vec(subject(), 0..6),
    ) {
        let statements: Vec<Value> = doors.into_iter().map(|condition| door(GITHUB, condition)).collect();
        let old = document(&statements);
        let entries: Vec<Entry> = came.iter().map(|subject| entry(GITHUB, subject, 5)).collect();
        let Ok(Some(new)) = bound(&old, &entries, late()) else { return Ok(()) };
        prop_assert!(is_within(&new.document, &old), "{} in {}", new.document, old);
        prop_assert_ne!(&new.document, &old);
        for subject in &came {
            prop_assert_eq!(lets_in(&new.document, subject), lets_in(&old, subject), "{}", subject);
        }
        for subject in &others {
            prop_assert!(!lets_in(&new.document, subject) || lets_in(&old, subject), "{}", subject);
        }
    }
}
