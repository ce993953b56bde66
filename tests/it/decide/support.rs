//! Small policies and requests, made at random from few names so that they collide, and the engine's answers to them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jitscan::catalog::Catalog;
use jitscan::decide::case::Case;
use jitscan::decide::compile::Compiler;
use jitscan::decide::context::Slot;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

/// One compiler for all cases of a test: the same documents come again and again.
pub fn compiler() -> &'static Compiler<'static> {
    static COMPILER: OnceLock<Compiler<'static>> = OnceLock::new();
    COMPILER.get_or_init(|| Compiler::new(Catalog::get()))
}

/// Runs a property. The test says for each case whether it showed anything (the premise held, something changed); a
/// share of `least` percent must, lest the property hold for want of cases. `PROPTEST_CASES` overrides their number.
pub fn check<S: Strategy>(
    cases: u32,
    least: usize,
    strategy: S,
    test: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let (shown, all) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run = TestRunner::new(config).run(&strategy, |value| {
        all.fetch_add(1, Ordering::Relaxed);
        if test(value)? {
            shown.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
    let (shown, all) = (shown.into_inner(), all.into_inner());
    assert!(shown * 100 >= all * least, "only {shown} of {all} cases showed anything");
}

/// The action or resource element of a statement.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `NotAction`, `NotResource`.
    pub all_but: bool,
    pub list: Vec<String>,
}

/// A condition of a statement.
#[derive(Clone, Debug)]
pub struct Requirement {
    pub operator: String,
    pub key: String,
    pub values: Vec<String>,
}

/// Whom a statement is about: `NotPrincipal` or not, and names by their kind.
#[derive(Clone, Debug)]
pub struct Who {
    pub all_but: bool,
    pub names: Vec<(&'static str, &'static str)>,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Clause {
    pub allow: bool,
    /// Left out where the layer knows no principals.
    pub who: Who,
    pub actions: Listed,
    pub resources: Listed,
    pub conditions: Vec<Requirement>,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Document {
    /// Version 2012-10-17 or 2008-10-17.
    pub variables: bool,
    pub clauses: Vec<Clause>,
}

/// What elements a document's statements have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Identity,
    Resource,
    Trust,
}

/// Every layer.
#[derive(Clone, Debug)]
pub struct Layers {
    pub identity: Vec<Document>,
    pub boundary: Option<Vec<Document>>,
    pub session: Option<Vec<Document>>,
    pub scps: Vec<Vec<Document>>,
    pub rcps: Vec<Vec<Document>>,
    pub resource: Option<Document>,
    pub endpoint: Option<Vec<Document>>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub principal: Value,
    pub role: Option<&'static str>,
    pub action: &'static str,
    pub resource: &'static str,
    pub owner: Option<&'static str>,
    pub context: Vec<(&'static str, Slot)>,
}

impl Listed {
    fn write(&self, name: &str, into: &mut serde_json::Map<String, Value>) {
        let not = if self.all_but { "Not" } else { "" };
        into.insert(format!("{not}{name}"), json!(self.list));
    }
}

impl Clause {
    fn json(&self, form: Form) -> Value {
        let mut out = serde_json::Map::new();
        out.insert("Effect".into(), json!(if self.allow { "Allow" } else { "Deny" }));
        if form != Form::Identity {
            let mut kinds = serde_json::Map::new();
            for (kind, name) in &self.who.names {
                if let Value::Array(list) = kinds.entry(*kind).or_insert_with(|| json!([])) {
                    list.push(json!(name));
                }
            }
            out.insert(if self.who.all_but { "NotPrincipal" } else { "Principal" }.into(), kinds.into());
        }
        self.actions.write("Action", &mut out);
        if form != Form::Trust {
            self.resources.write("Resource", &mut out);
        }
        let mut conditions = serde_json::Map::new();
        for one in &self.conditions {
            let keys = conditions.entry(&one.operator).or_insert_with(|| json!({}));
            keys[&one.key] = json!(one.values);
        }
        out.insert("Condition".into(), conditions.into());
        out.into()
    }
}

impl Document {
    pub fn json(&self, form: Form) -> Value {
        let version = if self.variables { "2012-10-17" } else { "2008-10-17" };
        let list: Vec<Value> = self.clauses.iter().map(|clause| clause.json(form)).collect();
        json!({"Version": version, "Statement": list})
    }
}

impl Asked {
    /// Whether a role is to be assumed, so that the resource's policy is a trust policy.
    pub fn is_trust(&self) -> bool {
        self.action.starts_with("sts:") && self.resource.contains(":role/")
    }

    fn json(&self) -> Value {
        let known = self.context.iter().filter_map(|(key, slot)| match slot {
            Slot::Known(values) => Some(((*key).to_owned(), json!(values))),
            // An empty list is an absent key, also of those that would follow from the caller.
            Slot::Absent => Some(((*key).to_owned(), json!([]))),
            Slot::Unknown => None,
        });
        let known: serde_json::Map<String, Value> = known.collect();
        let unknown = self.context.iter().filter(|(_, slot)| *slot == Slot::Unknown).map(|(key, _)| *key);
        json!({
            "principal": self.principal, "principal_role_arn": self.role, "action": self.action,
            "resource": self.resource, "resource_account": self.owner, "context": known,
            "unknown_context": unknown.collect::<Vec<_>>(),
        })
    }
}

/// The case as a line of `policy test`.
pub fn line(layers: &Layers, asked: &Asked) -> String {
    let set = |list: &[Document], form| list.iter().map(|one| one.json(form)).collect::<Vec<_>>();
    let some = |list: &Option<Vec<Document>>, form| list.as_ref().map(|list| set(list, form));
    let levels = |levels: &[Vec<Document>], form| {
        let level = |level: &Vec<Document>| json!({"org_identifier": "level", "policies": set(level, form)});
        levels.iter().map(level).collect::<Vec<_>>()
    };
    let resource = if asked.is_trust() { Form::Trust } else { Form::Resource };
    json!({
        "id": "random", "request": asked.json(),
        "identity_policies": set(&layers.identity, Form::Identity),
        "permission_boundaries": some(&layers.boundary, Form::Identity),
        "session_policy": some(&layers.session, Form::Identity),
        "scps": levels(&layers.scps, Form::Identity),
        "rcps": levels(&layers.rcps, Form::Resource),
        "resource_policy": layers.resource.as_ref().map(|one| one.json(resource)),
        "vpc_endpoint_policies": some(&layers.endpoint, Form::Resource),
    })
    .to_string()
}

/// The case, which must be without defects.
pub fn case(layers: &Layers, asked: &Asked) -> Case {
    let line = line(layers, asked);
    let case = Case::parse(&line, compiler()).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(case.defects.is_empty(), "{:?}: {line}", case.defects);
    case
}

/// Requests that belong together, and what policies name for them.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    asked: &'static [(&'static str, &'static str)],
    actions: &'static [&'static str],
    resources: &'static [&'static str],
}

/// One for each rule of resource policies, with and without resource control policies, and one that no catalogue knows.
const FAMILIES: [Family; 6] = [
    Family {
        asked: &[("s3:GetObject", "arn:aws:s3:::b/k"), ("s3:PutObject", "arn:aws:s3:::b/a")],
        actions: &["*", "s3:*", "S3:get*", "s3:GetObject", "s3:p?tObject"],
        resources: &["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k", "arn:aws:s3:::b/${aws:username}", "arn:aws:sqs:*"],
    },
    Family {
        asked: &[("sqs:SendMessage", "arn:aws:sqs:r:111111111111:q")],
        actions: &["*", "sqs:*", "sqs:Send*", "sqs:ReceiveMessage"],
        resources: &["*", "arn:aws:sqs:*:111111111111:*", "arn:aws:sqs:?:*:${aws:PrincipalTag/t, 'q'}"],
    },
    Family {
        asked: &[
            ("kms:Decrypt", "arn:aws:kms:r:111111111111:key/1"),
            ("kms:ScheduleKeyDeletion", "arn:aws:kms:r:111111111111:key/1"),
        ],
        actions: &["*", "kms:*", "kms:Decrypt", "kms:De*"],
        resources: &["*", "arn:aws:kms:*:*:key/*", "arn:aws:kms:r:111111111111:key/2"],
    },
    Family {
        asked: &[
            ("sts:AssumeRole", "arn:aws:iam::111111111111:role/team/app"),
            ("sts:TagSession", "arn:aws:iam::111111111111:role/team/app"),
        ],
        actions: &["*", "sts:*", "sts:AssumeRole", "sts:TagSession"],
        resources: &["*", "arn:aws:iam::*:role/*", "arn:aws:iam::111111111111:role/team/a?p"],
    },
    Family {
        asked: &[("iam:GetUser", "arn:aws:iam::111111111111:user/ann"), ("iam:ListUsers", "*")],
        actions: &["*", "iam:*", "iam:Get*", "iam:ListUsers"],
        resources: &["*", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::111111111111:user/*"],
    },
    Family {
        asked: &[("nosuch:Thing", "*"), ("nosuch:Thing", "arn:aws:nosuch:r:222222222222:a")],
        actions: &["*", "nosuch:*", "nosuch:Thing", "s3:*"],
        resources: &["*", "arn:aws:nosuch:*:*:*", "arn:aws:nosuch:r:222222222222:${aws:PrincipalTag/t}"],
    },
];

pub const USER: &str = "arn:aws:iam::111111111111:user/ann";
const ROLE: &str = "arn:aws:iam::111111111111:role/team/app";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/app/s";
const FEDERATED: &str = "arn:aws:sts::111111111111:federated-user/ann";
const ELSEWHERE: &str = "arn:aws:iam::222222222222:user/ann";
const PROVIDER: &str = "arn:aws:iam::111111111111:saml-provider/corp";
const LINKED: &str = "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/l";

/// Callers of whom every statement without `NotPrincipal` knows whether it means them.
fn definite_callers() -> Vec<(Value, Option<&'static str>)> {
    vec![
        (json!(USER), None),
        (json!(SESSION), Some(ROLE)),
        (json!(FEDERATED), None),
        (json!("arn:aws:iam::111111111111:root"), None),
        (json!(ELSEWHERE), None),
        (json!("arn:aws:iam::222222222222:root"), None),
        (json!({"type": "Service", "name": "logs.amazonaws.com"}), None),
        (json!({"type": "Anonymous"}), None),
        (json!(PROVIDER), None),
        (json!(LINKED), None),
    ]
}

/// The same and some session of a role, of which nothing says which.
fn callers() -> Vec<(Value, Option<&'static str>)> {
    let mut all = definite_callers();
    all.push((json!(ROLE), None));
    all
}

const NAMES: [(&str, &str); 11] = [
    ("AWS", "*"),
    ("AWS", "111111111111"),
    ("AWS", USER),
    ("AWS", ROLE),
    ("AWS", SESSION),
    ("AWS", FEDERATED),
    ("AWS", "arn:aws:iam::222222222222:root"),
    ("AWS", ELSEWHERE),
    ("AWS", LINKED),
    ("Service", "logs.amazonaws.com"),
    ("Federated", PROVIDER),
];

/// What random policies may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `NotPrincipal`, and callers of whom it is not known which session they are.
    pub vague_principals: bool,
    /// Several unknown keys at once, some of them in variables.
    pub many_unknown: bool,
}

/// All of it.
pub const ANYTHING: Limits = Limits { vague_principals: true, many_unknown: true };

fn texts(from: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    let most = most.min(from.len());
    subsequence(from, 1..=most).prop_map(|list| list.into_iter().map(str::to_owned).collect())
}

fn requirement(
    operators: &'static [&'static str],
    keys: &'static [&'static str],
    values: &'static [&'static str],
    most: usize,
) -> impl Strategy<Value = Requirement> {
    (select(operators), select(keys), texts(values, most)).prop_map(|(operator, key, values)| Requirement {
        operator: operator.to_owned(),
        key: key.to_owned(),
        values,
    })
}

/// Conditions; each key is used with operators of one kind, as policies do.
pub fn conditions(most: usize) -> impl Strategy<Value = Vec<Requirement>> {
    const TEXT: &[&str] = &[
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "StringEqualsIfExists",
        "StringNotEqualsIfExists",
        "StringEqualsIgnoreCase",
    ];
    const SETS: &[&str] =
        &["ForAnyValue:StringEquals", "ForAllValues:StringLike", "ForAnyValue:StringNotEquals", "StringEquals"];
    const KEYS: &[&str] = &["aws:RequestedRegion", "aws:PrincipalTag/t", "aws:TagKeys", "x:n", "aws:SourceIp"];
    let one = prop_oneof![
        6 => requirement(TEXT, &["aws:RequestedRegion", "AWS:principaltag/T"], &["a", "b", "a*", "A"], 2),
        1 => requirement(TEXT, &["aws:RequestedRegion"], &["${aws:username}", "${aws:PrincipalTag/t, 'b'}"], 1),
        3 => requirement(SETS, &["aws:TagKeys"], &["a", "b", "?"], 2),
        1 => requirement(&["Null"], KEYS, &["true", "false"], 1),
        1 => requirement(&["NumericLessThan", "NumericEqualsIfExists"], &["x:n"], &["1", "2"], 2),
        1 => requirement(&["IpAddress", "NotIpAddress"], &["aws:SourceIp"], &["10.0.0.0/8", "10.1.0.0/16"], 2),
        1 => requirement(
            &["ArnLike", "ArnNotEquals", "ArnLikeIfExists"],
            &["aws:PrincipalArn"],
            &["arn:aws:iam::*:user/*", ROLE, "arn:aws:iam::111111111111:*"],
            2,
        ),
        1 => requirement(&["Bool"], &["aws:PrincipalIsAWSService"], &["true", "false"], 1),
    ];
    proptest::collection::vec(one, most.min(1)..=most).prop_map(|mut list: Vec<Requirement>| {
        // A key may stand once under an operator.
        let name = |one: &Requirement| (one.operator.clone(), one.key.to_ascii_lowercase());
        list.sort_by_key(name);
        list.dedup_by_key(|one| name(one));
        list
    })
}

/// Statements; `allow` for one effect only.
pub fn clause(
    family: Family,
    allow: Option<bool>,
    most_conditions: usize,
    limits: Limits,
) -> impl Strategy<Value = Clause> {
    let names = prop_oneof![1 => Just(vec![NAMES[0]]), 2 => subsequence(NAMES.to_vec(), 1..=3)];
    // `NotPrincipal` beside Allow is not AWS's any more.
    let who = (prop::bool::weighted(0.15), names);
    let actions = (prop::bool::weighted(0.1), texts(family.actions, 2));
    let resources = (prop::bool::weighted(0.1), texts(family.resources, 2));
    let effect = match allow {
        Some(allow) => Just(allow).boxed(),
        None => prop::bool::weighted(0.88).boxed(),
    };
    let some = conditions(most_conditions);
    let conditions = prop_oneof![1 => Just(Vec::new()), 1 => some];
    (effect, who, actions, resources, conditions).prop_map(move |(allow, who, actions, resources, conditions)| Clause {
        allow,
        who: Who { all_but: who.0 && !allow && limits.vague_principals, names: who.1 },
        resources: about(&actions, resources),
        actions: Listed { all_but: actions.0, list: actions.1 },
        conditions,
    })
}

/// The resource element. Which of all actions a few ARNs can be used with takes a debug build long to find out, and
/// does not matter here: statements about nearly all actions are about `*`, or about all but something.
pub fn about(actions: &(bool, Vec<String>), (all_but, list): (bool, Vec<String>)) -> Listed {
    let wide = actions.0 || actions.1.iter().any(|action| action == "*");
    if wide && !all_but { Listed { all_but, list: vec!["*".to_owned()] } } else { Listed { all_but, list } }
}

fn document(family: Family, limits: Limits) -> impl Strategy<Value = Document> {
    let clauses = proptest::collection::vec(clause(family, None, 2, limits), 1..=3);
    (prop::bool::weighted(0.9), clauses).prop_map(|(variables, clauses)| Document { variables, clauses })
}

/// Layers for requests of a family.
pub fn layers(family: Family, limits: Limits) -> impl Strategy<Value = Layers> {
    let one = move || document(family, limits);
    // Few beside identity and resource policies: each takes away from what can still be allowed.
    let seldom = move || prop::option::weighted(0.2, proptest::collection::vec(one(), 1..=2));
    let levels = move || {
        let level = proptest::collection::vec(one(), 1..=2);
        prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(level, 1..=2)]
    };
    let own = proptest::collection::vec(one(), 1..=2);
    let inner = (own, seldom(), seldom(), levels(), levels(), prop::option::of(one()), seldom());
    inner.prop_map(|(identity, boundary, session, scps, rcps, resource, endpoint)| Layers {
        identity,
        boundary,
        session,
        scps,
        rcps,
        resource,
        endpoint,
    })
}

/// Values that a key may have in a request.
pub fn values(key: &str) -> Vec<Slot> {
    let single: &[&str] = match key {
        "x:n" => &["0", "1", "1.5", "2", "3", "many"],
        "aws:SourceIp" => &["10.0.0.1", "10.1.2.3", "11.0.0.1", "::1", "here"],
        "aws:PrincipalArn" => &[USER, ROLE, "arn:aws:iam::222222222222:user/x", "x"],
        "aws:username" => &["a", "ann", "k", "*"],
        _ => &["a", "b", "A", "ab", "q", "k", "another"],
    };
    let mut out = vec![Slot::Absent];
    out.extend(single.iter().map(|text| Slot::one(*text)));
    if key == "aws:TagKeys" {
        let list = |list: &[&str]| Slot::Known(list.iter().map(|text| (*text).to_owned()).collect());
        out.extend([list(&["a", "b"]), list(&["a", "another"]), list(&["another", "yet another"])]);
    }
    out
}

/// Keys that requests may say or not; the last two follow from the caller where they are not set.
pub const KEYS: [&str; 7] = [
    "aws:RequestedRegion",
    "aws:PrincipalTag/t",
    "aws:TagKeys",
    "x:n",
    "aws:SourceIp",
    "aws:username",
    "aws:PrincipalArn",
];

fn context(limits: Limits) -> impl Strategy<Value = Vec<(&'static str, Slot)>> {
    let set = KEYS.map(|key| {
        let follows = key == "aws:username" || key == "aws:PrincipalArn";
        prop::option::weighted(if follows { 0.02 } else { 0.7 }, select(values(key)))
    });
    // More unknown keys than two only make for more worlds.
    const COMMON: [&str; 3] = ["aws:RequestedRegion", "aws:PrincipalTag/t", "aws:TagKeys"];
    let unknown = if limits.many_unknown {
        prop_oneof![subsequence(COMMON.to_vec(), 0..=2), subsequence(KEYS.to_vec(), 0..=2)].boxed()
    } else {
        prop_oneof![subsequence(COMMON.to_vec(), 1), subsequence(KEYS.to_vec(), 1)].boxed()
    };
    let rarely = prop::bool::weighted(if limits.many_unknown { 0.5 } else { 1.0 });
    (set, unknown, rarely).prop_map(|(set, unknown, rarely)| {
        let mut out = Vec::new();
        for (key, slot) in KEYS.into_iter().zip(set) {
            if rarely && unknown.contains(&key) {
                out.push((key, Slot::Unknown));
            } else if let Some(slot) = slot {
                out.push((key, slot));
            }
        }
        out
    })
}

pub fn asked(family: Family, limits: Limits) -> impl Strategy<Value = Asked> {
    let callers = if limits.vague_principals { callers() } else { definite_callers() };
    // Users and sessions in their own account have the most layers.
    let caller = prop_oneof![2 => select(callers[..2].to_vec()), 1 => select(callers)];
    let owner = prop_oneof![3 => Just(None), 1 => Just(Some("222222222222"))];
    (caller, select(family.asked), owner, context(limits)).prop_map(
        |((principal, role), (action, resource), owner, context)| Asked {
            principal,
            role,
            action,
            resource,
            // Only a bucket's ARN leaves open whose it is.
            owner: owner.filter(|_| resource.starts_with("arn:aws:s3")),
            context,
        },
    )
}

pub fn family() -> impl Strategy<Value = Family> {
    select(FAMILIES.to_vec())
}

/// Layers and a request for them.
pub fn situation(limits: Limits) -> impl Strategy<Value = (Layers, Asked)> {
    family().prop_flat_map(move |family| (layers(family, limits), asked(family, limits)))
}
/// Statements that all mean the request, each under one condition on the same unknown key: together they often decide
/// what none of them decides.
pub fn crowded() -> impl Strategy<Value = (Layers, Asked)> {
    let text: &[&str] = &["StringEquals", "StringNotEquals", "StringLikeIfExists", "StringNotLike", "Null"];
    let sets: &[&str] = &["ForAnyValue:StringEquals", "ForAllValues:StringLike", "ForAnyValue:StringNotEquals", "Null"];
    let keys = prop_oneof![Just(("aws:RequestedRegion", text)), Just(("aws:TagKeys", sets))];
    let everything = || Listed { all_but: false, list: vec!["*".to_owned()] };
    let all = move |allow, operator: &str, key: &str, values: &[&str]| {
        // `Null` asks for truth values; `a` stands for true.
        let null = |value: &&str| if *value == "a" { "true".to_owned() } else { "false".to_owned() };
        let values = match operator {
            "Null" => values.iter().take(1).map(null).collect(),
            _ => values.iter().map(|value| (*value).to_owned()).collect(),
        };
        Clause {
            allow,
            who: Who { all_but: false, names: vec![NAMES[0]] },
            actions: everything(),
            resources: everything(),
            conditions: vec![Requirement { operator: operator.to_owned(), key: key.to_owned(), values }],
        }
    };
    keys.prop_flat_map(move |(key, operators)| {
        let values = subsequence(vec!["a", "b", "a*"], 1..=2);
        let one = (prop::bool::weighted(0.7), select(operators.to_vec()), values);
        let clause = one.prop_map(move |(allow, operator, values)| all(allow, operator, key, &values));
        (proptest::collection::vec(clause, 2..=5), Just(key))
    })
    .prop_map(|(clauses, key)| {
        let identity = vec![Document { variables: true, clauses }];
        let layers = Layers {
            identity,
            boundary: None,
            session: None,
            scps: Vec::new(),
            rcps: Vec::new(),
            resource: None,
            endpoint: None,
        };
        let (principal, context) = (json!(USER), vec![(key, Slot::Unknown)]);
        let asked = Asked { principal, role: None, action: "iam:ListUsers", resource: "*", owner: None, context };
        (layers, asked)
    })
}
