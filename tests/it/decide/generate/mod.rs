//! Random cases: small organisations with few names, so that things collide, and statements near the request.

mod conditions;
mod rng;
mod statements;

use super::oracle::pattern::Context;
use super::oracle::principal::{Caller, Kind};
use conditions::KEYS;
use rng::Rng;
use serde_json::{Value, json};
use statements::{Place, document};

/// What the policies of a case are written around.
pub struct Plan {
    /// The partition.
    pub partition: &'static str,
    /// The principal's account (or, for callers without one, the resource's).
    pub home: String,
    /// Another account of the partition.
    pub away: String,
    /// The caller.
    pub caller: Caller,
    /// The action asked for.
    pub action: String,
    /// The resource asked for.
    pub resource: String,
    /// Keys that are known, as the request has them.
    pub known: Context,
    /// Keys that are not known.
    pub unknown: Vec<&'static str>,
}

/// What a request asks for.
struct Target {
    action: &'static str,
    resource: String,
    has_policy: bool,
    trust: bool,
}

/// A single value, or the list (always for several).
fn maybe_list(rng: &mut Rng, mut values: Vec<Value>) -> Value {
    if values.len() == 1 && rng.chance(60) { values.remove(0) } else { Value::Array(values) }
}

/// A random case.
pub fn generate(seed: u64) -> Value {
    let mut rng = Rng::new(seed);
    let rng = &mut rng;
    let partition = if rng.chance(88) { "aws" } else { "aws-cn" };
    let accounts = if partition == "aws" { ["111111111111", "222222222222"] } else { ["333333333333", "444444444444"] };
    let (home, away) = (accounts[0], accounts[1]);
    let (principal, role_arn) = principal(rng, partition, home);
    let mut request = json!({"principal": principal});
    if let Some(role_arn) = role_arn {
        request["principal_role_arn"] = json!(role_arn);
    }
    let caller = Caller::read(&request);
    let owner = if rng.chance(72) { home } else { away };
    let target = target(rng, partition, owner, caller.kind);
    request["action"] = if rng.chance(6) { json!(target.action.to_lowercase()) } else { json!(target.action) };
    request["resource"] = json!(target.resource);
    let in_arn = target.resource.contains(owner);
    if !in_arn && (owner != home || rng.chance(50)) && (target.resource != "*") {
        request["resource_account"] = json!(owner);
    }
    management(rng, &mut request, owner == home || target.resource == "*");
    let mut plan = Plan {
        partition,
        home: home.to_string(),
        away: away.to_string(),
        caller,
        action: target.action.to_string(),
        resource: target.resource.clone(),
        known: Context::new(),
        unknown: Vec::new(),
    };
    context(rng, &mut plan, &mut request);
    plan.known = super::oracle::known_context(&json!({"request": request}));
    let cross = owner != home;
    let mut case = json!({"id": format!("gen-{seed}"), "request": request});
    layers(rng, &plan, &target, cross, &mut case);
    if rng.chance(3) {
        break_one(rng, &mut case);
    }
    case
}

fn principal(rng: &mut Rng, p: &str, a: &str) -> (Value, Option<String>) {
    let session = rng.pick(&["s1", "s2"]).to_string();
    let ops = format!("arn:{p}:iam::{a}:role/team/ops");
    let linked_path = "aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway";
    match rng.below(100) {
        0..=24 => (json!(format!("arn:{p}:iam::{a}:user/alice")), None),
        25..=31 => (json!(format!("arn:{p}:iam::{a}:user/dev/bob")), None),
        32..=38 => (json!(format!("arn:{p}:iam::{a}:role/app")), None),
        39..=42 => (json!(ops), None),
        43..=56 => (json!(format!("arn:{p}:sts::{a}:assumed-role/app/{session}")), None),
        57..=66 => (json!(format!("arn:{p}:sts::{a}:assumed-role/ops/{session}")), Some(ops)),
        67..=69 => (json!(format!("arn:{p}:iam::{a}:role/{linked_path}")), None),
        70..=71 => (
            json!(format!("arn:{p}:sts::{a}:assumed-role/AWSServiceRoleForAPIGateway/{session}")),
            Some(format!("arn:{p}:iam::{a}:role/{linked_path}")),
        ),
        72..=78 => (json!(format!("arn:{p}:sts::{a}:federated-user/carol")), None),
        79..=85 => (json!(format!("arn:{p}:iam::{a}:root")), None),
        86..=88 => (json!(format!("arn:{p}:iam::{a}:saml-provider/corp")), None),
        89..=91 => (json!(format!("arn:{p}:iam::{a}:oidc-provider/token.example.com")), None),
        92..=95 => (json!({"type": "Service", "name": rng.pick(&["ec2.amazonaws.com", "lambda.amazonaws.com"])}), None),
        _ => (json!({"type": "Anonymous"}), None),
    }
}

fn target(rng: &mut Rng, p: &str, owner: &str, kind: Kind) -> Target {
    let plain = |action, resource: String| Target { action, resource, has_policy: false, trust: false };
    let open = |action, resource: String| Target { action, resource, has_policy: true, trust: false };
    let role = format!("arn:{p}:iam::{owner}:role/{}", rng.pick(&["app", "team/ops", "admin"]));
    if kind == Kind::Provider {
        let action = *rng.pick(&["sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"]);
        return Target { action, resource: role, has_policy: true, trust: true };
    }
    if kind != Kind::Anonymous && rng.chance(14) {
        let all = ["sts:AssumeRole", "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
        let action = if kind == Kind::Root { "sts:AssumeRole" } else { *rng.pick(&all) };
        return Target { action, resource: role, has_policy: true, trust: true };
    }
    let object = *rng.pick(&["data/alice/a.txt", "data/team-x/a.txt", "data/b:c/a.txt", "data"]);
    let read = if object == "data" { "s3:ListBucket" } else { "s3:GetObject" };
    match rng.below(if matches!(kind, Kind::Anonymous | Kind::Service) { 10 } else { 22 }) {
        0..=5 => open(read, format!("arn:{p}:s3:::{object}")),
        6 | 7 => open("sqs:SendMessage", format!("arn:{p}:sqs:us-east-1:{owner}:{}", rng.pick(&["jobs", "alice"]))),
        8 => open("secretsmanager:GetSecretValue", format!("arn:{p}:secretsmanager:us-east-1:{owner}:secret:alice/db")),
        9 => open("lambda:InvokeFunction", format!("arn:{p}:lambda:us-east-1:{owner}:function:alice")),
        10..=12 => open("kms:Decrypt", format!("arn:{p}:kms:us-east-1:{owner}:key/1234-team-x")),
        13 => plain("s3:ListAllMyBuckets", "*".to_string()),
        14 => plain("ec2:DescribeInstances", "*".to_string()),
        15 => plain("ec2:StartInstances", format!("arn:{p}:ec2:us-east-1:{owner}:instance/i-alice")),
        16 => plain("iam:GetUser", format!("arn:{p}:iam::{owner}:user/alice")),
        17 => plain("kms:ListKeys", "*".to_string()),
        18 => plain("kms:CreateAlias", format!("arn:{p}:kms:us-east-1:{owner}:alias/team-x")),
        19 if rng.chance(30) => plain("sts:GetCallerIdentity", "*".to_string()),
        _ => open("s3:PutObject", format!("arn:{p}:s3:::{object}/new")),
    }
}

fn management(rng: &mut Rng, request: &mut Value, same: bool) {
    let of_principal = rng.chance(8);
    let of_resource = if same { of_principal } else { !of_principal && rng.chance(8) };
    if of_principal {
        request["principal_account_is_management"] = json!(true);
    }
    if of_resource {
        request["resource_account_is_management"] = json!(true);
    }
}

fn context(rng: &mut Rng, plan: &mut Plan, request: &mut Value) {
    request["context"] = json!({});
    let unknown = if rng.chance(30) { 1 + rng.below(2) } else { 0 };
    for _ in 0..unknown {
        let (key, _, usual) = *rng.pick(KEYS);
        if (usual || rng.chance(25)) && !plan.unknown.contains(&key) {
            plan.unknown.push(key);
        }
    }
    for (key, family, usual) in KEYS {
        let present = rng.chance(if *usual { 50 } else { 2 });
        if !present || (plan.unknown.contains(key) && rng.chance(90)) {
            continue;
        }
        let spelled = if rng.chance(6) { key.to_uppercase() } else { key.to_string() };
        let value = conditions::request_value(rng, plan, *family);
        let single = !value.is_array() && rng.chance(5);
        let several = !value.is_array() && rng.chance(3) && !plan.unknown.contains(key);
        request["context"][spelled] = match (single, several) {
            (true, _) => json!([value]),
            (_, true) => json!([value, conditions::request_value(rng, plan, *family)]),
            _ => value,
        };
    }
    if !plan.unknown.is_empty() {
        request["unknown_context"] = json!(plan.unknown);
    }
}

fn layers(rng: &mut Rng, plan: &Plan, target: &Target, cross: bool, case: &mut Value) {
    let kind = plan.caller.kind;
    let bare = matches!(kind, Kind::Provider | Kind::Service | Kind::Anonymous);
    let count = if bare { usize::from(rng.chance(10)) } else { *rng.pick(&[0, 1, 1, 1, 2]) };
    let identity: Vec<Value> = (0..count).map(|_| document(rng, plan, Place::Identity, 88, 22)).collect();
    case["identity_policies"] = json!(identity);
    case["permission_boundaries"] = match rng.below(100) {
        0..=29 if kind != Kind::Root && !bare => json!([document(rng, plan, Place::Identity, 88, 10)]),
        30 | 31 if kind != Kind::Root && !bare => json!([]),
        _ => Value::Null,
    };
    let sessions = matches!(kind, Kind::Role | Kind::Session | Kind::FederatedUser);
    // A federated user without a session policy has no identity side in AWS; the brief leaves it open.
    let one = sessions && (rng.chance(25) || kind == Kind::FederatedUser);
    case["session_policy"] = match (one, rng.chance(35)) {
        (false, _) => Value::Null,
        (true, false) => document(rng, plan, Place::Identity, 88, 10),
        (true, true) => json!((0..2).map(|_| document(rng, plan, Place::Identity, 60, 10)).collect::<Vec<_>>()),
    };
    case["scps"] = levels(rng, plan, Place::Identity);
    case["rcps"] = levels(rng, plan, Place::Rcp);
    let needed = cross || bare || target.trust || plan.action == "kms:Decrypt";
    let place = if target.trust { Place::Trust } else { Place::Resource };
    case["resource_policy"] = Value::Null;
    if target.has_policy && rng.chance(if needed { 92 } else { 45 }) {
        case["resource_policy"] = document(rng, plan, place, 85, 32);
    } else if target.has_policy && rng.chance(45) {
        case["resource_policy_unknown"] = json!(true);
    }
    case["vpc_endpoint_policies"] = match rng.below(100) {
        0..=11 => json!([document(rng, plan, Place::Endpoint, 88, 15)]),
        12 => json!([]),
        _ => Value::Null,
    };
}

fn levels(rng: &mut Rng, plan: &Plan, place: Place) -> Value {
    if rng.chance(60) {
        return json!([]);
    }
    let mut full = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    if place == Place::Rcp {
        full["Statement"][0]["Principal"] = json!("*");
    }
    let count = 1 + rng.below(3);
    let mut out = Vec::new();
    for index in 0..count {
        let mut policies = Vec::new();
        if rng.chance(60) {
            policies.push(full.clone());
        }
        if rng.chance(35) || (policies.is_empty() && rng.chance(95)) {
            policies.push(document(rng, plan, place, 90, 40));
        }
        out.push(json!({"org_identifier": format!("level-{index}"), "policies": policies}));
    }
    json!(out)
}

/// Puts a document that does not parse in the place of one that does.
fn break_one(rng: &mut Rng, case: &mut Value) {
    let field = *rng.pick(&["identity_policies", "resource_policy", "scps", "rcps", "permission_boundaries"]);
    let broken = statements::broken(rng);
    let slot = match field {
        "scps" | "rcps" => case[field].get_mut(0).and_then(|level| level["policies"].get_mut(0)),
        "resource_policy" => case.get_mut(field).filter(|doc| !doc.is_null()),
        _ => case[field].get_mut(0),
    };
    if let Some(slot) = slot {
        *slot = broken;
    }
}
