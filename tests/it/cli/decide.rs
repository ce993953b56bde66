//! `can`, `who-can` and `policy test` as people and scripts see them.

use std::fs;

use serde_json::{Value, json};

use super::{Place, Run};

const ACCOUNT: &str = "123456789012";

fn document(statements: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn trust(principal: &Value) -> Value {
    document(&json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]))
}

/// ann may assume `deploy` and read one bucket with MFA; `deploy` may assume `admin` of the same account, which holds
/// everything under a boundary that lacks IAM; bob has a policy that is none.
fn store() -> Place {
    let place = Place::new();
    let arn = |rest: &str| format!("arn:aws:iam::{ACCOUNT}:{rest}");
    let user = |name: &str, policy: Value| {
        json!({"Path": "/", "UserName": name, "UserId": format!("AIDA{name}00000000"), "Arn": arn(&format!("user/{name}")),
            "CreateDate": "2024-01-01T00:00:00Z", "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": policy}],
            "GroupList": [], "AttachedManagedPolicies": [], "Tags": [{"Key": "team", "Value": "blue"}]})
    };
    let role = |name: &str, trust: Value, policy: Value| {
        json!({"Path": "/", "RoleName": name, "RoleId": format!("AROA{name}00000000"), "Arn": arn(&format!("role/{name}")),
            "CreateDate": "2024-01-01T00:00:00Z", "AssumeRolePolicyDocument": trust, "InstanceProfileList": [],
            "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": policy}], "AttachedManagedPolicies": [], "Tags": []})
    };
    let mut admin = role(
        "admin",
        trust(&json!({"AWS": arn("role/deploy")})),
        document(&json!([{"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}])),
    );
    admin["PermissionsBoundary"] =
        json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn("policy/edge")});
    let ann = document(&json!([
        {"Sid": "Deploy", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn("role/deploy")},
        {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::${aws:PrincipalTag/team}-data/*",
            "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
    ]));
    let edge = document(&json!([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]));
    let details = json!({
        "UserDetailList": [user("ann", ann), user("bob", json!({"Version": "2012-10-17"}))],
        "GroupDetailList": [],
        "RoleDetailList": [role("deploy", trust(&json!({"AWS": ACCOUNT})), document(&json!([{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]))), admin],
        "Policies": [{"PolicyName": "edge", "PolicyId": "ANPAEDGE", "Arn": arn("policy/edge"), "Path": "/", "DefaultVersionId": "v1",
            "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true, "CreateDate": "2024-01-01T00:00:00Z", "Document": edge}]}],
    });
    fs::write(place.path("details.json"), details.to_string()).unwrap();
    let ingested = place.line("ingest iam details.json --captured-at 2026-10-31 --quiet");
    assert_eq!(ingested.code, Some(0), "{ingested:?}");
    place
}

fn ask(place: &Place, line: &str) -> Run {
    let run = place.line(&format!("--as-of 2026-11-01 --quiet {line}"));
    assert_eq!(run.code, Some(0), "{line}: {run:?}");
    run
}

#[test]
fn the_decision_its_layer_and_its_statements() {
    let place = store();
    let rows = |line: &str| ask(&place, &format!("{line} --format ndjson")).rows().remove(0);
    let read = "can ann s3:GetObject arn:aws:s3:::blue-data/x";
    for (line, decision, layers) in [
        (format!("{read} --context aws:MultiFactorAuthPresent=true"), "Allowed", json!(["identity"])),
        (format!("{read} --absent aws:MultiFactorAuthPresent"), "ImplicitlyDenied", json!(["identity"])),
        (read.to_owned(), "Undecided", json!([])),
        (format!("{read} --no-other-context"), "ImplicitlyDenied", json!(["identity"])),
        ("can ann s3:GetObject arn:aws:s3:::red-data/x".to_owned(), "ImplicitlyDenied", json!(["identity"])),
        ("can admin iam:CreateUser".to_owned(), "ImplicitlyDenied", json!(["boundary"])),
        ("can admin ec2:RunInstances".to_owned(), "Allowed", json!(["identity"])),
        (
            format!("can ann sts:AssumeRole arn:aws:iam::{ACCOUNT}:role/deploy"),
            "Allowed",
            json!(["identity", "resource"]),
        ),
        (format!("can ann sts:AssumeRole arn:aws:iam::{ACCOUNT}:role/admin"), "ImplicitlyDenied", json!(["resource"])),
        (format!("can deploy sts:AssumeRole arn:aws:iam::{ACCOUNT}:role/admin"), "Allowed", json!(["resource"])),
        (format!("can arn:aws:sts::{ACCOUNT}:assumed-role/admin/x sqs:ListQueues"), "Allowed", json!(["identity"])),
        (format!("can arn:aws:iam::{ACCOUNT}:root iam:CreateUser"), "Allowed", json!([])),
        (format!("can ann kms:Decrypt arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"), "Undecided", json!([])),
        ("can bob s3:ListAllMyBuckets".to_owned(), "Undecided", json!([])),
        ("can ann sts:GetCallerIdentity".to_owned(), "Allowed", json!([])),
        (
            "can anonymous s3:GetObject arn:aws:s3:::blue-data/x --no-resource-policy".to_owned(),
            "ImplicitlyDenied",
            json!(["resource"]),
        ),
    ] {
        let row = rows(&line);
        assert_eq!((&row["decision"], &row["decided_by"]), (&json!(decision), &layers), "{line}: {row}");
    }
    let open = rows(read);
    assert_eq!(open["depends_on"], json!(["aws:MultiFactorAuthPresent"]));
    assert_eq!(open["allowed_with"], "aws:MultiFactorAuthPresent=true");
    assert_eq!(open["denied_with"], "aws:MultiFactorAuthPresent absent");
    assert!(open["statements"][0].as_str().unwrap().starts_with("perhaps Allow inline own#Read"), "{open}");
}

#[test]
fn exit_codes_and_what_is_refused() {
    let place = store();
    let code = |line: &str| place.line(&format!("--quiet {line}")).code;
    assert_eq!(code("can deploy iam:CreateUser"), Some(0));
    assert_eq!(code("can deploy iam:CreateUser --exit-code"), Some(3));
    assert_eq!(code("can deploy sqs:ListQueues --exit-code"), Some(0));
    for (line, said) in [
        ("can nobody sqs:ListQueues", "is no principal of the store"),
        ("can ann ListQueues", "expected one action such as s3:GetObject"),
        ("can ann s3:*", "expected one action such as s3:GetObject"),
        ("can ann s3:GetObject bucket/x", "expected an ARN"),
        ("can ann s3:GetObject --context x", "expected KEY=VALUE"),
        ("who-can sqs:* ", "expected one action"),
    ] {
        place.line(line).fails(2, said);
    }
    place.line("can ann sqs:ListQueues --resource-policy missing.json").fails(1, "missing.json");
    fs::write(place.path("bad.json"), r#"{"Version":"2012-10-17","Statement":[{"Effect":"Permit"}]}"#).unwrap();
    place
        .line("can ann sqs:ListQueues --resource-policy bad.json")
        .fails(2, "Statement[0].Effect: expected \"Allow\" or \"Deny\"");
}

#[test]
fn what_is_told_to_people() {
    let place = store();
    let told = ask(&place, "can ann s3:GetObject arn:aws:s3:::blue-data/x").stdout;
    assert_eq!(
        told,
        "ann: s3:GetObject on arn:aws:s3:::blue-data/x\n  \
         Undecided: it depends on aws:MultiFactorAuthPresent\n  \
         allowed for example with aws:MultiFactorAuthPresent=true\n  \
         denied for example with aws:MultiFactorAuthPresent absent\n\
         Statements\n  \
         perhaps Allow inline own#Read\n\
         Not looked at\n  \
         the policy of arn:aws:s3:::blue-data/x was not collected; it could grant or deny this\n\
         Missing\n  \
         no organisation was ingested: service and resource control policies are not known, and were taken not to exist \
         (jitscan ingest organization PATH)\n"
    );
    let hostile = place.run(["--quiet", "can", "ann", "s3:GetObject", "arn:aws:s3:::a\u{1b}[31m/x"]);
    assert!(!hostile.stdout.contains('\u{1b}'), "{hostile:?}");
}

#[test]
fn who_can_tells_the_way() {
    let place = store();
    let rows = ask(&place, "who-can ec2:RunInstances --format ndjson").rows();
    let found: Vec<(&str, &str, i64)> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap();
            (text("principal").rsplit('/').next().unwrap(), text("decision"), row["hops"].as_i64().unwrap())
        })
        .collect();
    // bob's policy cannot be read: it may allow anything.
    assert_eq!(
        found,
        [("admin", "Allowed", 0), ("deploy", "Allowed", 1), ("ann", "Allowed", 2), ("bob", "Undecided", 0)]
    );
    let path: Vec<&str> = rows[2]["path"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect();
    assert_eq!(path, [format!("arn:aws:iam::{ACCOUNT}:role/deploy"), format!("arn:aws:iam::{ACCOUNT}:role/admin")]);
    let whole: Value = serde_json::from_str(&ask(&place, "who-can ec2:RunInstances --format json").stdout).unwrap();
    let gaps = whole["meta"]["gaps"].to_string();
    assert!(gaps.contains("user/bob inline policy own: expected a Statement"), "{gaps}");
    // Of an account that was not collected not even root is known to be free.
    let other = ask(&place, "can arn:aws:iam::999999999999:root sqs:ListQueues --format ndjson").rows().remove(0);
    assert_eq!(other["decision"], "Undecided", "{other}");
    let direct = ask(&place, "who-can ec2:RunInstances --hops 0 --format ndjson").rows();
    assert_eq!(direct.len(), 2, "{direct:?}");
}

#[test]
fn cases_are_tested_a_line_each() {
    let place = Place::new();
    let allow = document(&json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]));
    let case = |id: &str, expected: &str| {
        json!({"id": id, "request": {"principal": "arn:aws:iam::123456789012:user/ann", "action": "s3:GetObject",
            "resource": "arn:aws:s3:::b/k"}, "identity_policies": [{"name": "p", "policy": allow}], "expected": expected})
    };
    let good = case("one", "Allowed").to_string();
    fs::write(place.path("good.jsonl"), format!("\u{feff}{good}\r\n\r\n")).unwrap();
    let run = place.line("policy test good.jsonl");
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "{\"id\":\"one\",\"decision\":\"Allowed\",\"decided_by\":[\"identity\"],\"expected\":\"Allowed\"}\n")
    );
    assert_eq!(
        run.stderr,
        "1 cases: 1 allowed, 0 implicitly denied, 0 explicitly denied, 0 undecided; 0 unlike expected\n"
    );
    let explained = place.line("policy test good.jsonl --explain").rows().remove(0);
    assert_eq!(explained["statements"], json!(["Allow inline p#[0]"]));
    fs::write(place.path("bad.jsonl"), format!("{}\n{{}}\n{good}\n", case("two", "ExplicitlyDenied"))).unwrap();
    let run = place.line("policy test bad.jsonl");
    assert_eq!((run.code, run.rows().len()), (Some(1), 3));
    assert!(run.stderr.contains("bad.jsonl:1: two: expected ExplicitlyDenied, decided Allowed"), "{run:?}");
    assert!(run.stderr.contains("bad.jsonl:2: expected a case as one JSON object: missing field `request`"), "{run:?}");
    let broken = json!({"id": "x", "request": {"principal": "arn:aws:iam::123456789012:user/ann", "action": "s3:GetObject",
        "resource": "arn:aws:s3:::b/k"}, "identity_policies": [{"Statement": [{"Effect": "Permit"}]}, allow]});
    fs::write(place.path("broken.jsonl"), broken.to_string()).unwrap();
    let run = place.line("policy test broken.jsonl");
    // What cannot be read may deny anything.
    assert_eq!(run.rows()[0]["decision"], "Undecided");
    assert!(run.stderr.contains("broken.jsonl:1: identity_policies[0] at Statement[0].Effect"), "{run:?}");
}

#[test]
fn collected_policies_at_resources_decide() {
    let place = store();
    let arn = |rest: &str| format!("arn:aws:{rest}");
    let key = format!("kms:eu-west-1:{ACCOUNT}:key/");
    let at = |principal: Value, action: &str| {
        document(&json!([{"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}])).to_string()
    };
    let bob = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:user/bob")});
    let deploy = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:role/deploy")});
    let closed = document(&json!([{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::blue-data", "arn:aws:s3:::blue-data/*"]}]));
    let services = |services: Value, account: &str| json!({"AccountId": account, "Services": services}).to_string();
    let own = services(
        json!([
            {"Service": "s3", "Resources": [
                {"Arn": "arn:aws:s3:::blue-data", "Region": "eu-west-1", "Policy": closed.to_string()}]},
            {"Service": "kms", "Regions": ["eu-west-1"], "Resources": [
                {"Arn": arn(&format!("{key}for-deploy")), "Policy": at(deploy.clone(), "kms:Decrypt")},
                {"Arn": arn(&format!("{key}closed")), "Denied": true}]},
            {"Service": "sqs", "Regions": ["eu-west-1"], "Resources": [
                {"Arn": arn(&format!("sqs:eu-west-1:{ACCOUNT}:open")), "Policy": at(bob, "sqs:SendMessage")},
                {"Arn": arn(&format!("sqs:eu-west-1:{ACCOUNT}:plain"))}]},
            {"Service": "secretsmanager", "Regions": ["eu-west-1"], "Resources": [
                {"Arn": arn(&format!("secretsmanager:eu-west-1:{ACCOUNT}:secret:x-AbCdEf")), "Policy": "{no json"}]},
        ]),
        ACCOUNT,
    );
    let other = services(
        json!([{"Service": "sqs", "Regions": [], "Resources": [
            {"Arn": "arn:aws:sqs:eu-west-1:999988887777:shared", "Policy": at(deploy, "sqs:*")},
            {"Arn": "arn:aws:sqs:eu-west-1:999988887777:private"}]}]),
        "999988887777",
    );
    let read =
        "can ann s3:GetObject arn:aws:s3:::blue-data/x --context aws:MultiFactorAuthPresent=true --no-other-context";
    let answer = |line: &str| ask(&place, &format!("{line} --format ndjson")).rows()[0]["decision"].clone();
    assert_eq!(answer(read), "Allowed", "as far as identity policies go: what the bucket says is a caveat");
    for (name, text) in [("own.json", own), ("other.json", other)] {
        fs::write(place.path(name), text).unwrap();
        let run = place.line(&format!("ingest resource-policies {name} --captured-at 2026-10-31 --quiet"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let queue = format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:");
    let secret = format!("arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:x-AbCdEf");
    let none = "--no-other-context";
    for (line, want) in [
        (read.to_owned(), "ExplicitlyDenied"),
        (format!("can deploy kms:Decrypt arn:aws:{key}for-deploy {none}"), "Allowed"),
        // The key policy gives the account nothing: IAM policies do not count.
        (format!("can admin kms:Decrypt arn:aws:{key}for-deploy {none}"), "ImplicitlyDenied"),
        (format!("can admin kms:Decrypt arn:aws:{key}closed {none}"), "Undecided"),
        (format!("can admin kms:Decrypt arn:aws:{key}another {none}"), "Undecided"),
        (format!("can admin sqs:SendMessage {queue}plain {none}"), "Allowed"),
        (format!("can ann sqs:SendMessage {queue}plain {none}"), "ImplicitlyDenied"),
        (format!("can ann sqs:SendMessage {queue}unknown {none}"), "ImplicitlyDenied"),
        (format!("can admin secretsmanager:GetSecretValue {secret} {none}"), "Undecided"),
        (format!("can deploy sqs:SendMessage arn:aws:sqs:eu-west-1:999988887777:shared {none}"), "Allowed"),
        (format!("can deploy sqs:SendMessage arn:aws:sqs:eu-west-1:999988887777:private {none}"), "ImplicitlyDenied"),
        (format!("can deploy sqs:SendMessage {queue}plain --no-resource-policy {none}"), "Allowed"),
    ] {
        assert_eq!(answer(&line), want, "{line}");
    }
    let who = ask(&place, &format!("who-can kms:Decrypt arn:aws:{key}for-deploy --no-other-context --format ndjson"));
    let themselves: Vec<Value> =
        who.rows().into_iter().filter(|row| row["hops"] == 0).map(|row| row["principal"].clone()).collect();
    assert_eq!(themselves, [format!("arn:aws:iam::{ACCOUNT}:role/deploy")], "{who:?}");
}
