//! Condition keys, operators and values.

use super::super::oracle::condition;
use super::super::oracle::principal::Kind;
use super::rng::Rng;
use super::{Plan, maybe_list};
use serde_json::{Value, json};

/// What kind of values a key has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Text.
    Text,
    /// true or false.
    Bool,
    /// Numbers.
    Number,
    /// Times.
    Date,
    /// Addresses.
    Address,
    /// ARNs.
    Arn,
    /// Base64.
    Binary,
    /// Several texts.
    Many,
}

/// Keys with their families; the flag says that the key may be in the request context of a generated case.
pub const KEYS: &[(&str, Family, bool)] = &[
    ("aws:PrincipalTag/team", Family::Text, true),
    ("aws:ResourceTag/Env", Family::Text, true),
    ("aws:RequestTag/team", Family::Text, true),
    ("aws:RequestedRegion", Family::Text, true),
    ("sts:ExternalId", Family::Text, true),
    ("aws:username", Family::Text, false),
    ("aws:PrincipalAccount", Family::Text, false),
    ("aws:PrincipalType", Family::Text, false),
    ("aws:ResourceAccount", Family::Text, false),
    ("aws:PrincipalServiceName", Family::Text, false),
    ("aws:SecureTransport", Family::Bool, true),
    ("aws:MultiFactorAuthPresent", Family::Bool, true),
    ("aws:PrincipalIsAWSService", Family::Bool, false),
    ("s3:max-keys", Family::Number, true),
    ("aws:MultiFactorAuthAge", Family::Number, true),
    ("aws:CurrentTime", Family::Date, true),
    ("aws:TokenIssueTime", Family::Date, true),
    ("aws:EpochTime", Family::Date, true),
    ("aws:SourceIp", Family::Address, true),
    ("aws:VpcSourceIp", Family::Address, true),
    ("aws:PrincipalArn", Family::Arn, false),
    ("aws:SourceArn", Family::Arn, true),
    ("app:Blob", Family::Binary, true),
    ("aws:TagKeys", Family::Many, true),
    ("aws:CalledVia", Family::Many, true),
    ("aws:PrincipalOrgPaths", Family::Many, true),
];

/// Keys that a variable may name.
pub const VARIABLES: &[&str] = &[
    "aws:username",
    "aws:PrincipalTag/team",
    "aws:RequestTag/team",
    "aws:PrincipalAccount",
    "aws:TagKeys",
    "AWS:UserName",
];

const TEXTS: &[&str] = &["team-x", "team-y", "alice", "bob", "us-east-1", "Team-X", "team*", "a", "ab", "te?m", "$x"];
const PATTERNS: &[&str] = &["team-*", "*-x", "a*", "te?m-?", "*", "*e*", "us-*-1", "?", "b?b", "t*-*x"];
const NUMBERS: &[&str] = &["5", "10", "10.0", "10.5", "-1", "007", "11", "many"];
const DATES: &[&str] = &[
    "2026-03-01",
    "2026-03-01T00:00:00Z",
    "2026-03-01T01:00:00+01:00",
    "2026-02-28T23:59:59Z",
    "1772323200",
    "2026-03-01T00:00:00.500Z",
    "2024-02-29T12:00:00Z",
    "2025-02-29T12:00:00Z",
    "1709208000",
    "soon",
];
const ADDRESSES: &[&str] =
    &["10.0.0.1", "10.0.0.255", "10.0.1.0", "192.0.2.7", "2001:db8::1", "2001:db8:0:1::", "nowhere"];
const BLOCKS: &[&str] = &[
    "10.0.0.0/24",
    "10.0.0.0/8",
    "10.0.0.77/25",
    "0.0.0.0/0",
    "192.0.2.7",
    "2001:db8::/64",
    "::/0",
    "2001:db8::1/128",
];
const BLOBS: &[&str] = &["QmluYXJ5", "qmluYXJ5", "Qg=="];
const MANY: &[&str] = &["team", "env", "owner", "Team"];

fn arns(plan: &Plan) -> Vec<String> {
    let (p, a, b) = (plan.partition, &plan.home, &plan.away);
    vec![
        format!("arn:{p}:iam::{a}:user/alice"),
        format!("arn:{p}:iam::{a}:user/dev/bob"),
        format!("arn:{p}:iam::{a}:role/team/ops"),
        format!("arn:{p}:iam::{a}:role/app"),
        format!("arn:{p}:iam::{a}:root"),
        format!("arn:{p}:iam::{b}:role/app"),
        format!("arn:{p}:sns:us-east-1:{a}:topic:sub"),
        format!("arn:{p}:s3:::data"),
    ]
}

fn arn_patterns(plan: &Plan) -> Vec<String> {
    let (p, a) = (plan.partition, &plan.home);
    vec![
        format!("arn:{p}:iam::{a}:*"),
        format!("arn:{p}:iam::*:role/*"),
        format!("arn:*:iam::{a}:user/*"),
        format!("arn:{p}:iam::{a}:role/team/*"),
        format!("arn:{p}:*:*:{a}:*"),
        format!("arn:{p}:sns:*:{a}:topic:*"),
        format!("arn:{p}:iam::{}:role/???", plan.away),
        format!("arn:{p}:iam::{a}:user/${{aws:username}}"),
        format!("arn:{p}:iam::{a}:*/${{aws:PrincipalTag/team, 'app'}}"),
        "notanarn".to_string(),
    ]
}

/// A value for the request context.
pub fn request_value(rng: &mut Rng, plan: &Plan, family: Family) -> Value {
    match family {
        Family::Text => json!(rng.pick(&TEXTS[..7])),
        Family::Bool => json!(rng.pick(&["true", "false", "True"])),
        Family::Number => json!(rng.pick(NUMBERS)),
        Family::Date => json!(rng.pick(DATES)),
        Family::Address => json!(rng.pick(ADDRESSES)),
        Family::Arn => json!(rng.pick(&arns(plan))),
        Family::Binary => json!(rng.pick(BLOBS)),
        Family::Many => {
            let count = rng.below(4);
            json!((0..count).map(|_| *rng.pick(MANY)).collect::<Vec<_>>())
        }
    }
}

fn variable(rng: &mut Rng) -> String {
    let key = rng.pick(VARIABLES);
    match rng.below(6) {
        0 => format!("${{{key}, 'team-x'}}"),
        1 => "team${*}".to_string(),
        2 => "${$}x".to_string(),
        3 => "te${?}m".to_string(),
        4 => format!("*${{{key}}}"),
        _ => format!("${{{key}}}"),
    }
}

fn policy_value(rng: &mut Rng, plan: &Plan, family: Family, like: bool, variables: bool) -> Value {
    match family {
        Family::Text | Family::Many if variables && rng.chance(18) => json!(variable(rng)),
        Family::Text if rng.chance(15) => {
            json!(rng.pick(&[plan.home.as_str(), plan.away.as_str(), "User", "AssumedRole"]))
        }
        Family::Text if like && rng.chance(60) => json!(rng.pick(PATTERNS)),
        Family::Text => json!(rng.pick(TEXTS)),
        Family::Many if like => json!(rng.pick(&["t*", "*", "?nv", "T*", "o*r"])),
        Family::Many => json!(rng.pick(MANY)),
        Family::Bool if rng.chance(30) => json!(rng.chance(50)),
        Family::Bool => json!(rng.pick(&["true", "false", "TRUE"])),
        Family::Number if rng.chance(30) => json!(rng.pick(&[5, 10, 11])),
        Family::Number => json!(rng.pick(NUMBERS)),
        Family::Date => json!(rng.pick(DATES)),
        Family::Address if rng.chance(30) => json!(rng.pick(ADDRESSES)),
        Family::Address => json!(rng.pick(BLOCKS)),
        Family::Arn if rng.chance(50) => json!(rng.pick(&arns(plan))),
        Family::Arn => {
            let pattern = rng.pick(&arn_patterns(plan)).clone();
            if !variables && pattern.contains('$') { json!("arn:aws:iam::1:x") } else { json!(pattern) }
        }
        Family::Binary => json!(rng.pick(BLOBS)),
    }
}

fn operators(family: Family) -> &'static [&'static str] {
    match family {
        Family::Text | Family::Many => &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
            "StringEquals",
            "StringLike",
        ],
        Family::Bool => &["Bool"],
        Family::Number => &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        Family::Date => &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        Family::Address => &["IpAddress", "NotIpAddress"],
        Family::Arn => &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        Family::Binary => &["BinaryEquals"],
    }
}

/// One (operator, key, values).
fn one(rng: &mut Rng, plan: &Plan) -> (String, String, Value) {
    let unknown = !plan.unknown.is_empty() && rng.chance(50);
    let key = if unknown { *rng.pick(&plan.unknown) } else { rng.pick(KEYS).0 };
    // What these keys are for callers without an account is not agreed on.
    let bare = matches!(plan.caller.kind, Kind::Anonymous | Kind::Provider | Kind::Service);
    let of_caller = ["aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalType", "aws:PrincipalIsAWSService"];
    let agreed = plan.caller.kind == Kind::Service && key == "aws:PrincipalIsAWSService";
    let key = if bare && !agreed && of_caller.contains(&key) { "aws:SourceIp" } else { key };
    let family = KEYS.iter().find(|(name, _, _)| *name == key).unwrap().1;
    let is_unknown = plan.unknown.contains(&key);
    let spelled = if rng.chance(8) { key.to_lowercase() } else { key.to_string() };
    if rng.chance(8) {
        return ("Null".to_string(), spelled, json!(rng.pick(&["true", "false"])));
    }
    let base = *rng.pick(operators(family));
    let set_chance = match (family, is_unknown) {
        (Family::Many, _) => 88,
        (_, true) => 6,
        _ => 14,
    };
    let set = if rng.chance(set_chance) { *rng.pick(&["ForAllValues:", "ForAnyValue:"]) } else { "" };
    let exists = if rng.chance(22) { "IfExists" } else { "" };
    let like = base.contains("Like");
    let count = *rng.pick(&[1, 1, 1, 2, 3]);
    let values = (0..count).map(|_| policy_value(rng, plan, family, like, !is_unknown)).collect();
    (format!("{set}{base}{exists}"), spelled, maybe_list(rng, values))
}

/// A Condition block; with `wanted` it rather holds (or, if false, rather does not) for the request.
pub fn block(rng: &mut Rng, plan: &Plan, variables: bool, wanted: bool) -> Value {
    let mut out = json!({});
    let count = *rng.pick(&[1, 1, 1, 2]);
    for index in 0..count {
        let mut chosen = one(rng, plan);
        for _ in 0..6 {
            let unknown = plan.unknown.iter().any(|key| key.eq_ignore_ascii_case(&chosen.1));
            if unknown || holds(plan, &chosen, variables) == (wanted || index > 0) || rng.chance(10) {
                break;
            }
            chosen = one(rng, plan);
        }
        let (op, key, values) = chosen;
        let taken = out[&op].as_object().is_some_and(|keys| keys.keys().any(|k| k.eq_ignore_ascii_case(&key)));
        if !taken {
            out[op][key] = values;
        }
    }
    out
}

fn holds(plan: &Plan, (op, key, values): &(String, String, Value), variables: bool) -> bool {
    let op = condition::operator(op).unwrap();
    let list: Vec<Value> = values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]);
    let texts: Vec<String> = list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_string)).collect();
    let request = plan.known.get(&key.to_lowercase()).map(Vec::as_slice);
    condition::holds(&op, &texts, request, variables, &plan.known)
}
