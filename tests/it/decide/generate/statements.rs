//! Statements and policy documents that are near the request.

use super::super::oracle::pattern;
use super::super::oracle::principal::Kind;
use super::conditions::{self, VARIABLES};
use super::rng::Rng;
use super::{Plan, maybe_list};
use serde_json::{Value, json};

/// Where a policy stands: what its statements must or may have.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    /// Identity policy, boundary, session policy, SCP: no principals.
    Identity,
    /// RCP: Principal `*`.
    Rcp,
    /// Resource policy.
    Resource,
    /// Role trust policy: no Resource.
    Trust,
    /// VPC endpoint policy.
    Endpoint,
}

fn action_pattern(rng: &mut Rng, plan: &Plan, near: bool) -> String {
    let action = plan.action.as_str();
    let (service, name) = action.split_once(':').unwrap();
    if !near {
        let other =
            ["s3:DeleteBucket", "sqs:PurgeQueue", "iam:*", "ec2:Run*", "kms:Enc*", "sts:AssumeRoot", "s3:Put?cl"];
        return rng.pick(&other).to_string();
    }
    match rng.below(8) {
        0 => "*".to_string(),
        1 | 2 => format!("{service}:*"),
        3 => format!("{service}:{}*", &name[..3]),
        4 => format!("{service}:?{}", &name[1..]),
        5 => action.to_uppercase(),
        6 => format!("{service}:*{}", &name[name.len() - 3..]),
        _ => action.to_string(),
    }
}

fn resource_pattern(rng: &mut Rng, plan: &Plan, near: bool, variables: bool) -> String {
    let (p, a) = (plan.partition, &plan.home);
    if plan.resource == "*" {
        let no = format!("arn:{p}:ec2:us-east-1:{a}:instance/*");
        return if near { "*".to_string() } else { no };
    }
    for _ in 0..8 {
        let pattern = any_resource_pattern(rng, plan, variables);
        let matches = pattern::arn_matches(&pattern, &plan.resource, variables, &plan.known);
        if matches == near {
            return pattern;
        }
    }
    if near { plan.resource.clone() } else { format!("arn:{p}:s3:::nothing") }
}

fn any_resource_pattern(rng: &mut Rng, plan: &Plan, variables: bool) -> String {
    let resource = plan.resource.as_str();
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let head = parts[..5].join(":");
    let tail = parts[5];
    let cut = 1 + rng.below(tail.len());
    let name = rng.pick(VARIABLES);
    let variable = match rng.below(3) {
        0 => format!("${{{name}, '{}'}}", rng.pick(&["team-x", "alice", "nobody"])),
        _ => format!("${{{name}}}"),
    };
    match rng.below(if variables { 13 } else { 10 }) {
        0 | 1 => "*".to_string(),
        2 => resource.to_string(),
        3 => format!("{head}:{}*", &tail[..cut]),
        4 => format!("{head}:*"),
        5 => format!("arn:*:{}:*:*:*", parts[2]),
        6 => format!("arn:{}:{}:{}:*:{tail}", parts[1], parts[2], parts[3]),
        7 => format!("{head}:?{}", &tail[1..]),
        8 => format!("{head}:*{}", &tail[tail.len() - 1..]),
        9 => format!("{head}:{}", tail.to_uppercase()),
        10 => format!("{head}:{}", tail.replace("alice", &variable).replace("team-x", &variable)),
        11 => {
            let filled = tail.replace("alice", &variable).replace("team-x", &variable).replace("a.txt", "*");
            format!("arn:{}:{}:*:*:{filled}", parts[1], parts[2])
        }
        // AWS allows variables only after the fifth colon.
        _ => match rng.below(2) {
            0 => format!("{head}:{}${{*}}", &tail[..cut]),
            _ => format!("{head}:{tail}${{$}}"),
        },
    }
}

/// ARNs by which a Principal element can name the caller, from near to far, as (type, value).
fn own_entries(plan: &Plan) -> Vec<(&'static str, String)> {
    let caller = &plan.caller;
    let mut out = Vec::new();
    match caller.kind {
        Kind::Service => out.push(("Service", caller.arn.clone())),
        Kind::Provider => out.push(("Federated", caller.arn.clone())),
        Kind::Anonymous => {}
        Kind::Role => {
            let account = caller.account.as_deref().unwrap();
            let name = caller.arn.rsplit('/').next().unwrap();
            out.push(("AWS", format!("arn:{}:sts::{account}:assumed-role/{name}/s1", plan.partition)));
        }
        Kind::Root => {}
        Kind::User | Kind::Session | Kind::FederatedUser => out.push(("AWS", caller.arn.clone())),
    }
    out.extend(caller.role_arn.iter().map(|arn| ("AWS", arn.clone())));
    if let Some(account) = &caller.account {
        out.push(("AWS", account.clone()));
        out.push(("AWS", caller.root_arn.clone()));
    }
    out
}

fn other_entry(rng: &mut Rng, plan: &Plan) -> (&'static str, String) {
    let (p, a, b) = (plan.partition, &plan.home, &plan.away);

    match rng.below(9) {
        0 => ("AWS", format!("arn:{p}:iam::{a}:user/zoe")),
        1 => ("AWS", format!("arn:{p}:iam::{a}:role/other")),
        2 => ("AWS", format!("arn:{p}:sts::{a}:assumed-role/other/s1")),
        3 => ("AWS", "999999999999".to_string()),
        4 => ("Service", "states.amazonaws.com".to_string()),
        5 => ("AWS", format!("arn:{p}:iam::{b}:role/other")),
        6 => ("AWS", format!("arn:{p}:iam::{a}:user/ALICE")),
        7 => ("Federated", format!("arn:{p}:iam::{a}:saml-provider/other")),
        _ => ("AWS", "arn:aws:iam::999999999999:root".to_string()),
    }
}

fn element(rng: &mut Rng, entries: Vec<(&'static str, String)>) -> Value {
    let mut map: std::collections::BTreeMap<&str, Vec<Value>> = std::collections::BTreeMap::new();
    for (sort, value) in entries {
        map.entry(sort).or_default().push(json!(value));
    }
    let pairs = map.into_iter().map(|(sort, values)| (sort.to_string(), maybe_list(rng, values)));
    Value::Object(pairs.collect())
}

fn principal(rng: &mut Rng, plan: &Plan, near: bool) -> Value {
    let own = own_entries(plan);
    if near && (own.is_empty() || rng.chance(18)) {
        return if rng.chance(50) { json!("*") } else { json!({"AWS": "*"}) };
    }
    let mut entries = Vec::new();
    if near {
        entries.push(rng.pick(&own).clone());
    }
    if !near || rng.chance(30) {
        entries.push(other_entry(rng, plan));
    }
    element(rng, entries)
}

/// A NotPrincipal element that names the caller fully, partly or not.
fn not_principal(rng: &mut Rng, plan: &Plan) -> Value {
    if rng.chance(4) {
        return json!({"AWS": "*"});
    }
    let mut entries: Vec<_> = own_entries(plan).into_iter().filter(|_| rng.chance(75)).collect();
    if entries.is_empty() || rng.chance(30) {
        entries.push(other_entry(rng, plan));
    }
    // Which session a bare role is, and how AWS takes a partly named one, are two unknowns at once: the oracle takes
    // them for independent, the engine does not.
    if plan.caller.kind == Kind::Role {
        entries.retain(|entry| !format!("{entry:?}").contains(":assumed-role/"));
    }
    if entries.is_empty() {
        return json!({"AWS": "arn:aws:iam::999999999999:root"});
    }
    element(rng, entries)
}

/// One statement. `near`: it rather applies to the request.
pub fn statement(rng: &mut Rng, plan: &Plan, place: Place, allow: bool, near: bool, variables: bool) -> Value {
    let mut out = json!({"Effect": if allow { "Allow" } else { "Deny" }});
    // A statement that is not to apply fails in one or two of its elements.
    let miss = if near { 9 } else { rng.below(4) };
    if rng.chance(10) {
        let values = vec![json!(action_pattern(rng, plan, miss == 0))];
        out["NotAction"] = maybe_list(rng, values);
    } else {
        let mut values = vec![json!(action_pattern(rng, plan, miss != 0))];
        if rng.chance(30) {
            values.push(json!(action_pattern(rng, plan, false)));
        }
        out["Action"] = maybe_list(rng, values);
    }
    if place != Place::Trust {
        if rng.chance(10) {
            let values = vec![json!(resource_pattern(rng, plan, miss == 1, variables))];
            out["NotResource"] = maybe_list(rng, values);
        } else {
            let mut values = vec![json!(resource_pattern(rng, plan, miss != 1, variables))];
            if rng.chance(25) {
                values.push(json!(resource_pattern(rng, plan, false, variables)));
            }
            out["Resource"] = maybe_list(rng, values);
        }
    }
    let condition_chance = if plan.unknown.is_empty() { 30 } else { 50 };
    if miss == 2 || rng.chance(condition_chance) {
        out["Condition"] = conditions::block(rng, plan, variables, miss != 2);
    }
    name_principals(rng, plan, place, allow, miss != 3, &mut out);
    if rng.chance(15) {
        out["Sid"] = json!(format!("S{}", rng.below(1000)));
    }
    out
}

fn name_principals(rng: &mut Rng, plan: &Plan, place: Place, allow: bool, near: bool, out: &mut Value) {
    match place {
        Place::Identity => {}
        Place::Rcp => out["Principal"] = json!("*"),
        Place::Endpoint if rng.chance(70) => out["Principal"] = json!("*"),
        Place::Endpoint | Place::Resource | Place::Trust => {
            if rng.chance(if allow { 2 } else { 40 }) {
                out["NotPrincipal"] = not_principal(rng, plan);
            } else {
                out["Principal"] = principal(rng, plan, near);
            }
        }
    }
}

fn version(rng: &mut Rng, out: &mut Value) -> bool {
    match rng.below(20) {
        0 | 1 => out["Version"] = json!("2008-10-17"),
        2 => {}
        _ => {
            out["Version"] = json!("2012-10-17");
            return true;
        }
    }
    false
}

/// A document; `allow` percent of its first statements allow the request.
pub fn document(rng: &mut Rng, plan: &Plan, place: Place, allow: usize, deny: usize) -> Value {
    let mut out = json!({});
    let variables = version(rng, &mut out);
    let near = rng.chance(allow);
    let mut all = vec![statement(rng, plan, place, true, near, variables)];
    if rng.chance(25) {
        let near = rng.chance(30);
        all.push(statement(rng, plan, place, true, near, variables));
    }
    if rng.chance(deny) {
        let near = rng.chance(12);
        let at = rng.below(all.len() + 1);
        all.insert(at, statement(rng, plan, place, false, near, variables));
    }
    out["Statement"] = if all.len() == 1 && rng.chance(25) { all.remove(0) } else { json!(all) };
    if rng.chance(12) { json!({"name": format!("P{}", rng.below(100)), "policy": out}) } else { out }
}

/// A document that does not parse.
pub fn broken(rng: &mut Rng) -> Value {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    match rng.below(6) {
        0 => json!("not a policy"),
        1 => json!({"Version": "2012-10-17"}),
        2 => json!({"Version": "2012-10-17", "Statement": "Allow"}),
        3 => json!({"Version": "2012-10-17", "Statement": [{"Effect": "Permit", "Action": "*", "Resource": "*"}]}),
        4 => json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": 7, "Resource": "*"}]}),
        _ => json!({"Version": "1999-01-01", "Statement": [statement]}),
    }
}
