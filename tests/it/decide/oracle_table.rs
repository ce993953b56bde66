//! Hand-made cases from AWS's documentation; each name says what it shows.

use super::oracle::decide;
use serde_json::{Value, json};

const ALICE: &str = "arn:aws:iam::111111111111:user/alice";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/ops/s1";
const OPS: &str = "arn:aws:iam::111111111111:role/team/ops";
const ROOT: &str = "arn:aws:iam::111111111111:root";
const OBJECT: &str = "arn:aws:s3:::data/a.txt";
const KEY: &str = "arn:aws:kms:us-east-1:111111111111:key/k1";
const ROLE: &str = "arn:aws:iam::111111111111:role/app";

fn get(principal: &str) -> Value {
    json!({"principal": principal, "action": "s3:GetObject", "resource": OBJECT})
}

fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn session() -> Value {
    with(get(SESSION), json!({"principal_role_arn": OPS}))
}

fn doc(statement: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statement})
}

fn allow(action: &str, resource: &str) -> Value {
    doc(json!({"Effect": "Allow", "Action": action, "Resource": resource}))
}

fn deny(action: &str, resource: &str) -> Value {
    doc(json!({"Effect": "Deny", "Action": action, "Resource": resource}))
}

fn full() -> Value {
    allow("*", "*")
}

/// A resource policy statement for everything.
fn grant(effect: &str, principal: Value) -> Value {
    doc(json!({"Effect": effect, "Principal": principal, "Action": "*", "Resource": "*"}))
}

fn not_grant(principal: Value) -> Value {
    doc(json!([
        {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "NotPrincipal": principal, "Action": "*", "Resource": "*"},
    ]))
}

fn trust(principal: Value) -> Value {
    doc(json!({"Effect": "Allow", "Principal": principal, "Action": "sts:*"}))
}

fn level(policies: Value) -> Value {
    json!({"org_identifier": "x", "policies": policies})
}

fn run(rows: Vec<(&str, &str, Value, Value)>) {
    let mut wrong = Vec::new();
    for (name, expected, request, rest) in rows {
        let case = with(json!({"id": name, "request": request}), rest);
        let got = decide(&case);
        if got != expected {
            wrong.push(format!("{name}: expected {expected}, got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const A: &str = "Allowed";
const I: &str = "ImplicitlyDenied";
const E: &str = "ExplicitlyDenied";
const U: &str = "Undecided";

#[test]
fn one_account() {
    let one = |policy: Value| json!({"identity_policies": [policy]});
    run(vec![
        ("nothing allows", I, get(ALICE), json!({})),
        ("identity allows", A, get(ALICE), one(allow("s3:Get*", "arn:aws:s3:::data/*"))),
        ("deny wins", E, get(ALICE), json!({"identity_policies": [full(), deny("s3:*", "*")]})),
        ("other partition", I, get(ALICE), one(allow("s3:*", "arn:aws-cn:s3:::data/*"))),
        ("resource case counts", I, get(ALICE), one(allow("s3:*", "arn:aws:s3:::DATA/*"))),
        ("action case does not", A, get(ALICE), one(allow("S3:getobject", "*"))),
        (
            "boundary lacks it",
            I,
            get(ALICE),
            with(one(full()), json!({"permission_boundaries": [allow("sqs:*", "*")]})),
        ),
        ("empty boundary", I, get(ALICE), with(one(full()), json!({"permission_boundaries": []}))),
        ("boundary alone grants nothing", I, get(ALICE), json!({"permission_boundaries": [full()]})),
        ("session lacks it", I, session(), with(one(full()), json!({"session_policy": allow("sqs:*", "*")}))),
        ("session of two", A, session(), with(one(full()), json!({"session_policy": [allow("sqs:*", "*"), full()]}))),
        ("user in bucket policy", A, get(ALICE), json!({"resource_policy": grant("Allow", json!({"AWS": ALICE}))})),
        (
            "user beyond boundary",
            A,
            get(ALICE),
            json!({
            "permission_boundaries": [], "resource_policy": grant("Allow", json!({"AWS": ALICE}))}),
        ),
        (
            "role within boundary only",
            I,
            session(),
            json!({
            "permission_boundaries": [], "resource_policy": grant("Allow", json!({"AWS": OPS}))}),
        ),
        (
            "role within session only",
            I,
            session(),
            json!({
            "session_policy": allow("sqs:*", "*"), "resource_policy": grant("Allow", json!({"AWS": OPS}))}),
        ),
        ("role needs no identity", A, session(), json!({"resource_policy": grant("Allow", json!({"AWS": OPS}))})),
        (
            "session beyond boundary",
            A,
            session(),
            json!({
            "permission_boundaries": [], "resource_policy": grant("Allow", json!({"AWS": SESSION}))}),
        ),
        (
            "star beyond boundary",
            A,
            session(),
            json!({
            "permission_boundaries": [], "resource_policy": grant("Allow", json!("*"))}),
        ),
        (
            "account only delegates",
            I,
            get(ALICE),
            json!({
            "resource_policy": grant("Allow", json!({"AWS": "111111111111"}))}),
        ),
        (
            "account deny hits all",
            E,
            get(ALICE),
            with(
                one(full()),
                json!({
            "resource_policy": grant("Deny", json!({"AWS": ROOT}))}),
            ),
        ),
        (
            "endpoint lacks it",
            I,
            get(ALICE),
            with(
                one(full()),
                json!({
            "vpc_endpoint_policies": [grant("Allow", json!({"AWS": SESSION}))]}),
            ),
        ),
        ("unknown resource policy, same account", I, get(ALICE), json!({"resource_policy_unknown": true})),
        ("root has all", A, get(ROOT), json!({})),
        ("root and bucket deny", E, get(ROOT), json!({"resource_policy": grant("Deny", json!("*"))})),
        ("identity is without root", A, get(ROOT), one(deny("*", "*"))),
        (
            "caller identity",
            A,
            json!({"principal": ALICE, "action": "sts:GetCallerIdentity", "resource": "*"}),
            one(deny("*", "*")),
        ),
        (
            "federated user named",
            A,
            get("arn:aws:sts::111111111111:federated-user/carol"),
            json!({
            "resource_policy": grant("Allow", json!({"AWS": "arn:aws:sts::111111111111:federated-user/carol"}))}),
        ),
    ]);
}

#[test]
fn organization() {
    let member = with(get(ALICE), json!({}));
    let scps = |levels: Value| json!({"identity_policies": [full()], "scps": levels});
    let rcps = |levels: Value| json!({"identity_policies": [full()], "rcps": levels});
    let linked = get("arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX");
    run(vec![
        ("all levels allow", A, member.clone(), scps(json!([level(json!([full()])), level(json!([full()]))]))),
        ("one level is empty", I, member.clone(), scps(json!([level(json!([full()])), level(json!([]))]))),
        ("one level denies", E, member.clone(), scps(json!([level(json!([full(), deny("s3:*", "*")]))]))),
        (
            "management account",
            A,
            with(member.clone(), json!({"principal_account_is_management": true})),
            scps(json!([level(json!([deny("*", "*")]))])),
        ),
        ("service-linked role", A, linked, scps(json!([level(json!([]))]))),
        ("member root", I, get(ROOT), scps(json!([level(json!([]))]))),
        ("rcp denies", E, member.clone(), rcps(json!([level(json!([full(), deny("s3:*", "*")]))]))),
        (
            "rcp of management",
            A,
            with(member.clone(), json!({"resource_account_is_management": true})),
            rcps(json!([level(json!([deny("*", "*")]))])),
        ),
        (
            "rcp without the service",
            A,
            json!({"principal": ALICE, "action": "ec2:RunInstances", "resource": "arn:aws:ec2:us-east-1:111111111111:instance/*"}),
            rcps(json!([level(json!([deny("*", "*")]))])),
        ),
        (
            "rcp binds anonymous",
            E,
            with(get(ALICE), json!({"principal": {"type": "Anonymous"}})),
            json!({
            "resource_policy": grant("Allow", json!("*")), "rcps": [level(json!([full(), deny("*", "*")]))]}),
        ),
        (
            "scp spares services",
            A,
            with(get(ALICE), json!({"principal": {"type": "Service", "name": "ec2.amazonaws.com"}})),
            json!({
            "resource_policy": grant("Allow", json!({"Service": "ec2.amazonaws.com"})), "scps": [level(json!([]))]}),
        ),
        ("unparsable scp", U, member.clone(), scps(json!([level(json!([full(), "oops"]))]))),
        ("unparsable identity beside a deny", E, member, json!({"identity_policies": ["oops", deny("*", "*")]})),
    ]);
}

#[test]
fn cross_account_and_special() {
    let far = with(get(ALICE), json!({"resource_account": "222222222222"}));
    let far_root = with(get(ROOT), json!({"resource_account": "222222222222"}));
    let account = grant("Allow", json!({"AWS": "111111111111"}));
    let key = json!({"principal": ALICE, "action": "kms:Decrypt", "resource": KEY});
    let key_root = with(key.clone(), json!({"principal": ROOT}));
    let role = json!({"principal": ALICE, "action": "sts:AssumeRole", "resource": ROLE});
    let saml = "arn:aws:iam::111111111111:saml-provider/corp";
    let with_saml = json!({"principal": saml, "action": "sts:AssumeRoleWithSAML", "resource": ROLE});
    run(vec![
        ("both sides", A, far.clone(), json!({"identity_policies": [full()], "resource_policy": account})),
        ("only identity", I, far.clone(), json!({"identity_policies": [full()]})),
        ("only resource", I, far.clone(), json!({"resource_policy": grant("Allow", json!({"AWS": ALICE}))})),
        (
            "far boundary",
            I,
            far.clone(),
            json!({"identity_policies": [full()], "permission_boundaries": [],
            "resource_policy": grant("Allow", json!({"AWS": ALICE}))}),
        ),
        ("far unknown", U, far.clone(), json!({"identity_policies": [full()], "resource_policy_unknown": true})),
        ("far unknown, identity lacks", I, far, json!({"resource_policy_unknown": true})),
        ("far root", A, far_root, json!({"resource_policy": account})),
        (
            "key without account",
            I,
            key.clone(),
            json!({"identity_policies": [full()], "resource_policy": trust(json!({"AWS": ROLE}))}),
        ),
        ("key with account", A, key.clone(), json!({"identity_policies": [full()], "resource_policy": account})),
        ("key account alone", I, key.clone(), json!({"resource_policy": account})),
        ("key names user", A, key.clone(), json!({"resource_policy": grant("Allow", json!({"AWS": ALICE}))})),
        ("key without policy", I, key.clone(), json!({"identity_policies": [full()]})),
        ("key unknown policy", U, key, json!({"resource_policy_unknown": true})),
        ("key and root", A, key_root.clone(), json!({"resource_policy": account})),
        ("key and root not named", I, key_root, json!({"resource_policy": grant("Allow", json!({"AWS": ALICE}))})),
        ("trust names user", A, role.clone(), json!({"resource_policy": trust(json!({"AWS": ALICE}))})),
        ("trust names account", I, role.clone(), json!({"resource_policy": trust(json!({"AWS": ROOT}))})),
        (
            "trust and identity",
            A,
            role.clone(),
            json!({"identity_policies": [full()], "resource_policy": trust(json!({"AWS": ROOT}))}),
        ),
        (
            "root assumes no role",
            I,
            with(role, json!({"principal": ROOT})),
            json!({"resource_policy": trust(json!({"AWS": ROOT}))}),
        ),
        (
            "saml trust",
            A,
            with_saml.clone(),
            json!({"resource_policy": trust(json!({"Federated": saml})), "scps": [level(json!([]))]}),
        ),
        (
            "saml not trusted",
            I,
            with_saml,
            json!({"identity_policies": [full()], "resource_policy": trust(json!({"AWS": ROOT}))}),
        ),
    ]);
}

#[test]
fn not_principal() {
    let user_and_account = json!({"AWS": [ALICE, ROOT]});
    run(vec![
        ("fully named user", A, get(ALICE), json!({"resource_policy": not_grant(user_and_account.clone())})),
        ("user without account", U, get(ALICE), json!({"resource_policy": not_grant(json!({"AWS": ALICE}))})),
        ("user not named", E, get(ALICE), json!({"resource_policy": not_grant(json!({"AWS": ROOT}))})),
        (
            "boundary is always hit",
            E,
            get(ALICE),
            json!({"permission_boundaries": [full()], "resource_policy": not_grant(user_and_account)}),
        ),
        (
            "fully named session",
            A,
            session(),
            json!({"resource_policy": not_grant(json!({"AWS": [SESSION, OPS, "111111111111"]}))}),
        ),
        ("role without session", U, session(), json!({"resource_policy": not_grant(json!({"AWS": [OPS, ROOT]}))})),
        ("neither role nor session", E, session(), json!({"resource_policy": not_grant(json!({"AWS": ROOT}))})),
        ("role, session unknown", U, get(OPS), json!({"resource_policy": not_grant(json!({"AWS": [OPS, ROOT]}))})),
        (
            "bare role, a session is granted",
            U,
            get(OPS),
            json!({"resource_policy": grant("Allow", json!({"AWS": SESSION}))}),
        ),
        (
            "bare role, a session is denied",
            U,
            get(OPS),
            json!({"identity_policies": [full()], "resource_policy": grant("Deny", json!({"AWS": SESSION}))}),
        ),
        ("root by account", A, get(ROOT), json!({"resource_policy": not_grant(json!({"AWS": ROOT}))})),
        (
            "service not named",
            E,
            with(get(ALICE), json!({"principal": {"type": "Service", "name": "a.amazonaws.com"}})),
            json!({"resource_policy": not_grant(json!({"AWS": ROOT}))}),
        ),
    ]);
}

/// (condition, context, holds)
fn conditions(rows: Vec<(Value, Value, bool)>) {
    for (condition, context, holds) in rows {
        let request = with(get(ALICE), json!({"context": context}));
        let policy = doc(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}));
        let got = decide(&json!({"request": request, "identity_policies": [policy]}));
        assert_eq!(got == A, holds, "{condition} with {context}: {got}");
    }
}

#[test]
fn text_and_sets() {
    let tags = |keys: Value| json!({"aws:TagKeys": keys});
    conditions(vec![
        (json!({"StringEquals": {"k": "a*"}}), json!({"k": "ab"}), false),
        (json!({"StringLike": {"K": "a*"}}), json!({"k": "ab"}), true),
        (json!({"StringNotLike": {"k": "a*"}}), json!({}), true),
        (json!({"StringEquals": {"k": "a"}}), json!({}), false),
        (json!({"StringEqualsIfExists": {"k": "a"}}), json!({}), true),
        (json!({"StringEqualsIgnoreCase": {"k": "AB"}}), json!({"k": "ab"}), true),
        (json!({"StringEquals": {"k": ["x", "a"], "l": "b"}}), json!({"k": "a", "l": "b"}), true),
        (json!({"StringEquals": {"k": "a", "l": "b"}}), json!({"k": "a"}), false),
        (json!({"Null": {"k": true}}), json!({}), true),
        (json!({"Null": {"k": "false"}}), json!({"k": []}), false),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}), tags(json!(["a", "c"])), false),
        (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}), json!({}), true),
        (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}), tags(json!(["a", "c"])), true),
        (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}), json!({}), false),
        (json!({"ForAnyValue:StringNotEquals": {"aws:TagKeys": "a"}}), tags(json!(["a", "c"])), true),
        (json!({"ForAllValues:StringNotEquals": {"aws:TagKeys": "a"}}), tags(json!(["a", "c"])), false),
        (json!({"StringNotEquals": {"aws:TagKeys": "a"}}), tags(json!(["a", "c"])), false),
        (json!({"StringEquals": {"aws:username": "alice"}}), json!({}), true),
        (json!({"StringEquals": {"aws:PrincipalType": "User"}}), json!({}), true),
    ]);
}

#[test]
fn numbers_dates_addresses_arns() {
    conditions(vec![
        (json!({"NumericLessThan": {"k": 10}}), json!({"k": "9.5"}), true),
        (json!({"NumericEquals": {"k": "10"}}), json!({"k": "10.0"}), true),
        (json!({"NumericGreaterThan": {"k": "9"}}), json!({"k": "10"}), true),
        (json!({"NumericNotEquals": {"k": "9"}}), json!({"k": "many"}), true),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-03-01T00:00:00Z"}}),
            json!({"aws:CurrentTime": "2026-02-28T23:59:59Z"}),
            true,
        ),
        (json!({"DateEquals": {"k": "2026-03-01T01:00:00+01:00"}}), json!({"k": "1772323200"}), true),
        (json!({"DateEquals": {"k": "2025-02-29"}}), json!({"k": "2025-02-29"}), false),
        (json!({"Bool": {"aws:SecureTransport": "TRUE"}}), json!({"aws:SecureTransport": "true"}), true),
        (json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}}), json!({}), false),
        (json!({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}), json!({}), true),
        (json!({"BinaryEquals": {"k": "Qg=="}}), json!({"k": "Qg=="}), true),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), json!({"aws:SourceIp": "10.255.0.1"}), true),
        (json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), json!({"aws:SourceIp": "::1"}), false),
        (json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), json!({"aws:SourceIp": "2001:db8::1"}), true),
        (json!({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}), json!({"aws:SourceIp": "2001:db8:1::1"}), true),
        (json!({"ArnLike": {"k": "arn:aws:sns:*:1:*"}}), json!({"k": "arn:aws:sns:eu:1:topic:sub"}), true),
        (json!({"ArnEquals": {"k": "arn:*:1:x"}}), json!({"k": "arn:aws:sns:eu:1:x"}), false),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111111111111:user/${aws:username}"}}), json!({}), true),
        (json!({"StringLike": {"k": "a${*}"}}), json!({"k": "ab"}), false),
        (json!({"StringEquals": {"k": "${aws:PrincipalTag/t, 'z'}"}}), json!({"k": "z"}), true),
        (json!({"StringNotEquals": {"k": "${aws:PrincipalTag/t}"}}), json!({"k": "z"}), true),
        (json!({"StringEquals": {"k": "${aws:TagKeys}"}}), json!({"k": "z", "aws:TagKeys": ["z", "z"]}), false),
    ]);
}

#[test]
fn unknown_keys() {
    let request = with(get(ALICE), json!({"unknown_context": ["k", "aws:TagKeys"]}));
    let two = |effect_condition: Vec<(&str, Value)>| {
        let statements: Vec<Value> = effect_condition
            .into_iter()
            .map(
                |(effect, condition)| json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition}),
            )
            .collect();
        json!({"identity_policies": [doc(json!(statements))]})
    };
    run(vec![
        ("may match", U, request.clone(), two(vec![("Allow", json!({"StringEquals": {"k": "a"}}))])),
        (
            "either way",
            A,
            request.clone(),
            two(vec![
                ("Allow", json!({"StringEquals": {"k": "a"}})),
                ("Allow", json!({"StringNotEquals": {"k": "a"}})),
            ]),
        ),
        (
            "contradiction",
            I,
            request.clone(),
            two(vec![("Allow", json!({"StringEquals": {"k": "a"}, "StringLike": {"k": "b*"}}))]),
        ),
        (
            "present or absent",
            A,
            request.clone(),
            two(vec![("Allow", json!({"Null": {"k": "true"}})), ("Allow", json!({"Null": {"k": "false"}}))]),
        ),
        (
            "between two numbers",
            U,
            request.clone(),
            two(vec![("Allow", json!({"NumericGreaterThan": {"k": "1"}, "NumericLessThan": {"k": "1.5"}}))]),
        ),
        (
            "no number between",
            I,
            request.clone(),
            two(vec![("Allow", json!({"NumericGreaterThan": {"k": "2"}, "NumericLessThan": {"k": "1.5"}}))]),
        ),
        (
            "both patterns",
            U,
            request.clone(),
            two(vec![("Allow", json!({"StringLike": {"k": "a*"}, "StringNotLike": {"k": "*b"}}))]),
        ),
        (
            "two tags at once",
            U,
            request.clone(),
            two(vec![(
                "Allow",
                json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}, "ForAnyValue:StringLike": {"aws:TagKeys": "b*"}}),
            )]),
        ),
        (
            "all and any contradict",
            I,
            request.clone(),
            two(vec![(
                "Allow",
                json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}, "ForAllValues:StringLike": {"aws:TagKeys": "b*"}}),
            )]),
        ),
        ("denied or not allowed", I, request.clone(), two(vec![("Deny", json!({"StringEquals": {"k": "a"}}))])),
        (
            "variable fits the resource",
            U,
            request.clone(),
            json!({"identity_policies": [allow("*", "arn:aws:s3:::data/${k}.txt")]}),
        ),
        ("variable cannot fit", I, request, json!({"identity_policies": [allow("*", "arn:aws:s3:::logs/${k}.txt")]})),
    ]);
}
