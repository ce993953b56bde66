//! The same logs, and policies made at random: whatever people hold, a plan takes nothing that was used, gives nobody more,
//! keeps within quotas, leads back, and says the same as Terraform.
//!
//! `JITSCAN_RANDOM_ORGANISATIONS` says how many are made, `JITSCAN_RANDOM_SEED` which is the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use jitscan::catalog::Catalog;
use jitscan::decide::compile::Compiler;
use jitscan::decide::inquiry::{Inquiry, Question};
use jitscan::decide::{Answer, Roster};
use jitscan::model::snapshot::Snapshot;
use jitscan::remediate::export::{Form, export};
use jitscan::remediate::{Plan, fresh, quota, safety};
use serde_json::{Value, json};

use super::super::Place;
use super::super::recommend::{demo, text};
use super::export::{applied, sets_of, state};
use super::leaving::{last_seen, leavers, nobody_is_denied};

/// At the end of the demo's logs: of an hour that they do not cover nothing can be called unused.
const AT: &str = "--config demo/jitscan.toml --store store --as-of 2026-11-01";

const ACCOUNTS: [&str; 2] = ["583920174628", "710293847561"];

/// Actions and resources of authorised calls, by principal.
type Usage = BTreeMap<String, Vec<(String, String)>>;

/// splitmix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

const POOL: [&str; 22] = [
    "s3:Get*",
    "s3:*",
    "ec2:Describe*",
    "ec2:*",
    "iam:List*",
    "iam:PassRole",
    "iam:*",
    "rds:Modify*",
    "rds:*",
    "kms:Decrypt",
    "lambda:*",
    "sts:AssumeRole",
    "ssm:StartSession",
    "sqs:*",
    "dynamodb:*",
    "logs:*",
    "cloudformation:*",
    "secretsmanager:Get*",
    "*",
    "*:Describe*",
    "nosuchservice:Do",
    "s3:GetObject",
];

fn condition(random: &mut Random) -> Value {
    match random.below(6) {
        0 => json!({ "StringEquals": { "aws:RequestedRegion": ["us-east-1", "eu-west-1"] } }),
        1 => json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" } }),
        2 => json!({ "IpAddress": { "aws:SourceIp": ["198.51.100.0/24", "10.0.0.0/8"] } }),
        3 => json!({ "StringLike": { "aws:userid": "*:${aws:username}" } }),
        4 => json!({ "DateLessThan": { "aws:CurrentTime": "2030-01-01T00:00:00Z" } }),
        _ => {
            json!({ "StringNotEqualsIfExists": { "aws:PrincipalTag/team": ["red", "blue"] }, "Null": { "aws:TagKeys": "true" } })
        }
    }
}

fn document(random: &mut Random, used: &[(String, String)]) -> Value {
    let mut statements = Vec::new();
    for at in 0..=random.below(4) {
        let mut actions: Vec<String> = (0..=random.below(3)).map(|_| (*random.pick(&POOL)).to_owned()).collect();
        let mut resource = json!("*");
        if !used.is_empty() && !random.one_in(3) {
            let (action, named) = random.pick(used).clone();
            actions.push(action.clone());
            let service = action.split(':').next().unwrap().to_owned();
            match random.below(4) {
                0 => actions.push(format!("{service}:*")),
                1 if named.starts_with("arn:") => resource = json!([named, "arn:aws:s3:::home/${aws:username}/*"]),
                _ => {}
            }
        }
        let mut one = json!({ "Effect": if random.one_in(9) { "Deny" } else { "Allow" }, "Resource": resource });
        let key = if random.one_in(6) { "NotAction" } else { "Action" };
        one[key] = if actions.len() == 1 { json!(actions[0]) } else { json!(actions) };
        if random.one_in(8) {
            one.as_object_mut().unwrap().remove("Resource");
            one["NotResource"] = json!("arn:aws:s3:::secret/*");
        }
        if random.one_in(3) {
            one["Condition"] = condition(random);
        }
        if random.one_in(2) {
            one["Sid"] = json!(format!("S{at}"));
        }
        statements.push(one);
    }
    let all = if statements.len() == 1 && random.one_in(2) { statements.remove(0) } else { Value::from(statements) };
    json!({ "Version": "2012-10-17", "Statement": all })
}

/// What a user or role holds, anew.
fn hold(
    random: &mut Random,
    holder: &mut Value,
    inline: &str,
    used: &[(String, String)],
    policies: &[(String, String)],
) {
    let names = ["a", "b.c", "x+y=z,@-_"];
    let own: Vec<Value> = names[..random.below(4)]
        .iter()
        .map(|name| json!({ "PolicyName": name, "PolicyDocument": document(random, used) }))
        .collect();
    holder[inline] = Value::from(own);
    let count = if random.one_in(8) { 10 } else { random.below(4) };
    let mut attached: BTreeMap<&str, &str> = BTreeMap::new();
    while attached.len() < count.min(policies.len()) {
        let (arn, name) = random.pick(policies);
        attached.insert(arn, name);
    }
    let attached = attached.into_iter().map(|(arn, name)| json!({ "PolicyArn": arn, "PolicyName": name }));
    holder["AttachedManagedPolicies"] = attached.collect();
    if random.one_in(6) {
        let (arn, _) = random.pick(policies);
        holder["PermissionsBoundary"] = json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn });
    }
}

/// What a permission set holds: inline, AWS's managed policies, one of each account, and the boundary.
struct Set {
    inline: Option<Value>,
    managed: Vec<(String, String)>,
    shared: bool,
    boundary: Option<String>,
}

/// Permission sets anew, in the file that is ingested, by name.
fn sets(random: &mut Random, center: &mut Value, used: &Usage, managed: &[(String, String)]) -> BTreeMap<String, Set> {
    let mut out = BTreeMap::new();
    for set in center["PermissionSets"].as_array_mut().unwrap() {
        let name = set["Name"].as_str().unwrap().to_owned();
        let of = |arn: &&String| arn.contains(&format!("AWSReservedSSO_{name}_"));
        let own: Vec<(String, String)> =
            used.iter().filter(|(arn, _)| of(arn)).flat_map(|(_, used)| used.clone()).collect();
        let mut attached: BTreeMap<&str, &str> = BTreeMap::new();
        (0..random.below(3)).for_each(|_| {
            let (arn, name) = random.pick(managed);
            attached.insert(arn, name);
        });
        let one = Set {
            inline: (!random.one_in(5)).then(|| document(random, &own)),
            managed: attached.into_iter().map(|(arn, name)| (arn.to_owned(), name.to_owned())).collect(),
            shared: random.one_in(3),
            boundary: random.one_in(6).then(|| random.pick(managed).0.clone()),
        };
        set["InlinePolicy"] = one.inline.as_ref().map_or(json!(""), |inline| json!(inline.to_string()));
        set["ManagedPolicies"] = one.managed.iter().map(|(arn, name)| json!({ "Name": name, "Arn": arn })).collect();
        let shared: Vec<Value> = one.shared.then(|| json!({ "Name": "shared", "Path": "/" })).into_iter().collect();
        set["CustomerManagedPolicyReferences"] = shared.into();
        if let Some(arn) = &one.boundary {
            set["PermissionsBoundary"] = json!({ "ManagedPolicyArn": arn });
        }
        out.insert(name, one);
    }
    out
}

/// What the roles of permission sets hold in an account.
fn provision(new: &mut Value, account: &str, sets: &BTreeMap<String, Set>) {
    for role in new["RoleDetailList"].as_array_mut().unwrap() {
        let name =
            role["RoleName"].as_str().unwrap().strip_prefix("AWSReservedSSO_").and_then(|name| name.rsplit_once('_'));
        let Some(set) = name.and_then(|(name, _)| sets.get(name)) else { continue };
        let inline = set.inline.iter();
        role["RolePolicyList"] =
            inline.map(|inline| json!({ "PolicyName": "AwsSSOInlinePolicy", "PolicyDocument": inline })).collect();
        let shared = (format!("arn:aws:iam::{account}:policy/shared"), "shared".to_owned());
        let attached = set.managed.iter().chain(set.shared.then_some(&shared));
        role["AttachedManagedPolicies"] =
            attached.map(|(arn, name)| json!({ "PolicyArn": arn, "PolicyName": name })).collect();
        if let Some(arn) = &set.boundary {
            role["PermissionsBoundary"] = json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn });
        }
    }
}

/// An account's details with other policies, some more principals with odd names, and trusts across accounts.
fn details(random: &mut Random, account: &str, old: &Value, used: &Usage) -> Value {
    let mut new = old.clone();
    let none = Vec::new();
    for policy in new["Policies"].as_array_mut().unwrap() {
        if policy["Arn"].as_str().unwrap().contains(account) {
            let all: Vec<(String, String)> = used.values().flatten().cloned().collect();
            for version in policy["PolicyVersionList"].as_array_mut().unwrap() {
                version["Document"] = document(random, &all);
            }
        }
    }
    let policies: Vec<(String, String)> = new["Policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["Arn"].as_str().unwrap().to_owned(), one["PolicyName"].as_str().unwrap().to_owned()))
        .collect();
    for group in new["GroupDetailList"].as_array_mut().unwrap() {
        group["GroupPolicyList"] = json!([{ "PolicyName": "g", "PolicyDocument": document(random, &none) }]);
    }
    for (list, inline) in [("UserDetailList", "UserPolicyList"), ("RoleDetailList", "RolePolicyList")] {
        for holder in new[list].as_array_mut().unwrap() {
            let path = holder["Path"].as_str().unwrap();
            if path.starts_with("/aws-") || random.one_in(10) {
                continue;
            }
            let arn = holder["Arn"].as_str().unwrap().to_owned();
            hold(random, holder, inline, used.get(&arn).unwrap_or(&none), &policies);
        }
    }
    let odd = ["o.d+d=na,me@x-_", "UPPER.lower", &"n".repeat(64)].map(str::to_owned);
    for (at, name) in odd.iter().enumerate() {
        let path = ["/", "/team/a+b/"][at % 2];
        let mut user = json!({
            "Path": path, "UserName": name, "UserId": format!("AIDARANDOM{at:010}"), "CreateDate": "2023-01-01T00:00:00+00:00",
            "Arn": format!("arn:aws:iam::{account}:user{path}{name}"), "GroupList": [], "Tags": [],
        });
        let group = new["GroupDetailList"].as_array().unwrap().first().map(|group| group["GroupName"].clone());
        if let Some(group) = group.filter(|_| random.one_in(2)) {
            user["GroupList"] = json!([group]);
        }
        hold(random, &mut user, "UserPolicyList", &none, &policies);
        new["UserDetailList"].as_array_mut().unwrap().push(user);
        let who =
            [format!("arn:aws:iam::{}:root", ACCOUNTS[at % 2]), format!("arn:aws:iam::{account}:user{path}{name}")];
        let mut role = json!({
            "Path": path, "RoleName": name, "RoleId": format!("AROARANDOM{at:010}"), "CreateDate": "2023-01-01T00:00:00+00:00",
            "Arn": format!("arn:aws:iam::{account}:role{path}{name}"), "InstanceProfileList": [], "Tags": [],
            "AssumeRolePolicyDocument": { "Version": "2012-10-17", "Statement": [
                { "Effect": "Allow", "Principal": { "AWS": random.pick(&who) }, "Action": "sts:AssumeRole" }
            ] },
        });
        hold(random, &mut role, "RolePolicyList", &none, &policies);
        new["RoleDetailList"].as_array_mut().unwrap().push(role);
    }
    new
}

/// The demo's logs and documents in a store of their own, collected a day before the logs end: what is made at random is
/// newer.
fn stored(place: &Place) {
    for what in [
        "cloudtrail demo/input/cloudtrail",
        "organization demo/input/organization.json --captured-at 2026-10-31",
        "identity-center demo/input/identity-center.json --captured-at 2026-10-31",
        "roster demo/input/roster.csv --captured-at 2026-10-31",
        "iam demo/input/iam --captured-at 2026-10-31",
        "credential-report demo/input/iam --captured-at 2026-10-31",
    ] {
        let run = place.line(&format!("--store store ingest {what}"));
        assert_eq!(run.code, Some(0), "{what}: {run:?}");
    }
}

/// Actions and resources of authorised calls, by principal.
fn usage(place: &Place) -> Usage {
    let mut out = Usage::new();
    for row in place.rows(&format!("{AT} usage")) {
        if row["count"].as_u64().unwrap() > 0 {
            let used = (text(&row, "/action").to_owned(), text(&row, "/resource").to_owned());
            out.entry(text(&row, "/principal").to_owned()).or_default().push(used);
        }
    }
    out
}

fn snapshot(place: &Place) -> Snapshot {
    let reader = jitscan::lake::Reader::open(&place.path("store")).unwrap();
    jitscan::cli::documents::load(&reader, "2026-11-01".parse().unwrap()).unwrap().snapshot
}

/// Nobody may do what they might not before, as the engine answers to requests made at random.
fn nobody_gains(
    random: &mut Random,
    (plan, used): (&Plan, &Usage),
    before: &Snapshot,
    after: &Snapshot,
    seed: u64,
) -> usize {
    let catalog = Catalog::get();
    let compiler = Compiler::deciding(catalog);
    let (old, new) = (Roster::new(before, &compiler), Roster::new(after, &compiler));
    let asked = [
        "s3:GetObject",
        "s3:PutObject",
        "ec2:RunInstances",
        "iam:CreateUser",
        "rds:ModifyDBInstance",
        "kms:Decrypt",
        "sqs:DeleteQueue",
        "dynamodb:DeleteTable",
        "lambda:InvokeFunction",
        "ssm:StartSession",
        "logs:PutLogEvents",
    ];
    let own = |arn: &str| (arn.to_owned(), arn.to_owned());
    let mut subjects: Vec<(String, String)> =
        plan.changes.iter().flat_map(|change| change.holders()).map(own).collect();
    for grant in &plan.grants {
        let change = plan.changes.iter().find(|change| change.principal == grant.principal).unwrap();
        for from in change.holders() {
            let account = from.split(':').nth(4).unwrap().parse().unwrap();
            if grant.reach.is_empty() || grant.reach.contains_key(&account) {
                subjects.push((from.to_owned(), grant.role_in(account, "aws")));
            }
        }
    }
    let mut allowed = 0;
    for (from, to) in &subjects {
        let (from, to) = (from.as_str(), to.as_str());
        for _ in 0..40 {
            let action = *random.pick(&asked);
            let resource = *random.pick(&[
                "*",
                "arn:aws:s3:::secret/x",
                "arn:aws:s3:::home/x/y",
                "arn:aws:rds:us-east-1:710293847561:db:x",
            ]);
            // Of what is used something is left.
            let own = used.get(from).filter(|_| random.one_in(2)).map(|all| random.pick(all));
            let (action, resource) = own.map_or((action, resource), |(action, named)| {
                (action.as_str(), if named.starts_with("arn:") { named.as_str() } else { "*" })
            });
            let mut question = Question::new(action, resource, "2026-11-01".parse().unwrap(), catalog);
            for key in ["aws:MultiFactorAuthPresent", "aws:RequestedRegion", "aws:SourceIp", "aws:PrincipalTag/team"] {
                let value = match key {
                    "aws:MultiFactorAuthPresent" => "true",
                    "aws:RequestedRegion" => *random.pick(&["us-east-1", "sa-east-1"]),
                    "aws:SourceIp" => *random.pick(&["198.51.100.7", "203.0.113.9"]),
                    _ => *random.pick(&["red", "green"]),
                };
                question.context.set(key, jitscan::decide::context::Slot::one(value));
            }
            let ask = |roster: &Roster<'_>, snapshot: &Snapshot, arn: &str| {
                let inquiry = Inquiry { roster, organization: snapshot.organization.as_ref() };
                let standing = roster.of(arn).next().unwrap();
                let caller = Arc::new(inquiry.caller(standing, None).unwrap());
                let (policies, request) = inquiry.of_principal(standing, caller, &question);
                policies.answer(&request)
            };
            if ask(&new, after, to) == Answer::Allowed {
                allowed += 1;
                let was = ask(&old, before, from);
                // A role for grants is another caller: what speaks of the caller may be open of the one before.
                let fine = was == Answer::Allowed || (from != to && was == Answer::Undecided);
                assert!(fine, "seed {seed}: {to} may {action} on {resource}, and {from}: {was:?}");
            }
        }
    }
    allowed
}

/// What `apply` would say against a plan of our own: nothing.
fn not_refused(plan: &Plan, before: &Snapshot, after: &Snapshot, seed: u64) {
    let found = safety::objections(&safety::Inputs {
        plan,
        before,
        after,
        executors: &BTreeMap::new(),
        caller: "",
        break_glass: &[],
        may_return: None,
        going_on: false,
        limits: safety::Limits { principals: usize::MAX, share: 100 },
        at: "2026-11-01".parse().unwrap(),
        catalog: Catalog::get(),
    });
    assert!(found.is_empty(), "seed {seed}: {found:#?}");
}

fn within_quotas(plan: &Plan, after: &Snapshot, seed: u64) {
    let holders = plan.changes.iter().flat_map(|change| change.holders().map(move |holder| (change, holder)));
    for (change, of) in holders {
        let iam = &after.accounts[&of.split(':').nth(4).unwrap().parse().unwrap()];
        let users = iam.users.iter().map(|user| (&user.holder, quota::USER_INLINE));
        let holders = users.chain(iam.roles.iter().map(|role| (&role.holder, quota::ROLE_INLINE)));
        for (holder, most) in holders.filter(|(holder, _)| holder.arn.as_str() == of) {
            let written: usize = holder.inline.iter().map(|one| quota::size(&one.json)).sum();
            let touched = change.steps.iter().any(|step| step.effect.arguments()[1].starts_with("put-"));
            assert!(!touched || written <= most, "seed {seed}: {} has {written} characters", change.principal);
            let attached = change.steps.iter().any(|step| step.effect.arguments()[1].starts_with("attach-"));
            assert!(!attached || holder.attached.len() <= quota::ATTACHED, "seed {seed}: {}", change.principal);
        }
        for policy in iam.policies.iter().filter(|policy| policy.arn.contains(":policy/jitscan/")) {
            assert!(quota::size(&policy.json) <= quota::MANAGED, "seed {seed}: {}", policy.arn);
        }
    }
}

#[test]
fn whatever_people_hold_what_they_used_stays_and_nobody_gains() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let (first, count) = (number("JITSCAN_RANDOM_SEED", 1), number("JITSCAN_RANDOM_ORGANISATIONS", 4));
    let place = demo();
    stored(&place);
    let used = usage(&place);
    let old: BTreeMap<&str, Value> = ACCOUNTS
        .into_iter()
        .map(|account| {
            let file = place.path(&format!("demo/input/iam/{account}/authorization-details.json"));
            (account, serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
        })
        .collect();
    let file = place.path("demo/input/identity-center.json");
    let center: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    // AWS's own policies, once each, in every account.
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for policy in old.values().flat_map(|old| old["Policies"].as_array().unwrap()) {
        let arn = policy["Arn"].as_str().unwrap();
        if arn.starts_with("arn:aws:iam::aws:policy/") && !arn.contains("/aws-service-role/") {
            known.insert(arn.to_owned(), policy.clone());
        }
    }
    let managed: Vec<(String, String)> =
        known.iter().map(|(arn, one)| (arn.clone(), one["PolicyName"].as_str().unwrap().to_owned())).collect();
    let managed_documents: Vec<Value> = known.values().cloned().collect();
    let old: BTreeMap<&str, Value> = old
        .into_iter()
        .map(|(account, mut old)| {
            let others = |one: &Value| !known.contains_key(one["Arn"].as_str().unwrap());
            old["Policies"].as_array_mut().unwrap().retain(others);
            (account, old)
        })
        .collect();
    let roster = fs::read_to_string(place.path("demo/input/roster.csv")).unwrap();
    let seen = last_seen(&place);
    let (mut of_left, mut of_later) = (0, 0);
    let (mut changed, mut of_sets, mut granted, mut allowed, mut steps) = (0, 0, 0, 0, BTreeSet::new());
    let mut confined = 0;
    let mut hash = snapshot(&place).hash;
    let mut whys: BTreeMap<String, usize> = BTreeMap::new();
    for seed in first..first + count {
        let mut random = Random(seed);
        let mut center = center.clone();
        let sets = sets(&mut random, &mut center, &used, &managed);
        fs::write(place.path("center.json"), center.to_string()).unwrap();
        let at = format!("2026-10-31T01:{:02}:{:02}Z", (seed - first) / 60, (seed - first) % 60);
        let run = place.line(&format!("--store store ingest identity-center center.json --captured-at {at}"));
        assert_eq!(run.code, Some(0), "seed {seed}: {run:?}");
        let (roster, ended) = leavers(&mut random, &roster);
        fs::write(place.path("roster.csv"), roster).unwrap();
        let run = place.line(&format!("--store store ingest roster roster.csv --captured-at {at}"));
        assert_eq!(run.code, Some(0), "seed {seed}: {run:?}");
        // Of the same name, and now and then with other words in another account.
        let all: Vec<(String, String)> = used.values().flatten().cloned().collect();
        let mut shared = document(&mut random, &all);
        for (account, old) in &old {
            let mut new = details(&mut random, account, old, &used);
            provision(&mut new, account, &sets);
            shared = if random.one_in(4) { document(&mut random, &all) } else { shared };
            new["Policies"].as_array_mut().unwrap().extend(managed_documents.clone());
            new["Policies"].as_array_mut().unwrap().push(json!({
                "PolicyName": "shared", "PolicyId": "ANPASHARED", "Arn": format!("arn:aws:iam::{account}:policy/shared"),
                "Path": "/", "DefaultVersionId": "v1", "AttachmentCount": 1, "PermissionsBoundaryUsageCount": 0,
                "IsAttachable": true, "CreateDate": "2023-01-01T00:00:00+00:00", "UpdateDate": "2023-01-01T00:00:00+00:00",
                "PolicyVersionList": [{ "Document": shared, "VersionId": "v1", "IsDefaultVersion": true,
                                        "CreateDate": "2023-01-01T00:00:00+00:00" }],
            }));
            fs::write(place.path("new.json"), new.to_string()).unwrap();
            // Each a second later than the last one: the newest counts.
            let run = place.line(&format!("--store store ingest iam new.json --captured-at {at}"));
            assert_eq!(run.code, Some(0), "seed {seed}: {run:?}");
        }
        let before = snapshot(&place);
        let last = std::mem::replace(&mut hash, before.hash.clone());
        assert_ne!(hash, last, "seed {seed}: the state is another one");
        let whose = if seed % 2 == 0 { "machines" } else { "everybody" };
        // What code manages is most of what programs hold.
        let code = if seed % 3 == 0 { "" } else { "--managed-by-code" };
        place.rows(&format!("{AT} remediate plan --resources {whose} {code} --out plan.json"));
        let plan: Plan = serde_json::from_str(&fs::read_to_string(place.path("plan.json")).unwrap()).unwrap();
        let may_ask = plan.grants.iter().flat_map(|grant| &grant.people).find(|person| ended.contains_key(*person));
        assert_eq!(may_ask, None, "seed {seed}: apply would refuse it");
        let proof = place.line(&format!("{AT} remediate prove plan.json --format ndjson"));
        let (left, later) = nobody_is_denied(&proof.stdout, &ended, &seen, seed);
        (of_left, of_later) = (of_left + left, of_later + later);
        assert_eq!(proof.code, Some(if later > 0 { 3 } else { 0 }), "seed {seed}: {}", proof.stderr);
        let after = plan.after(&before).unwrap();
        assert!(fresh::same(&plan.undone(&after).unwrap(), &before), "seed {seed}");
        assert!(fresh::same(&before, &before) && (plan.changes.is_empty() || !fresh::same(&after, &before)));
        within_quotas(&plan, &after, seed);
        not_refused(&plan, &before, &after, seed);
        let open = jitscan::remediate::prove::opened(after.clone(), &plan);
        allowed += nobody_gains(&mut random, (&plan, &used), &before, &open, seed);
        of_sets += plan.changes.iter().filter(|change| !change.roles.is_empty()).count();
        for file in export(&plan, &before, Form::Terraform).unwrap() {
            if !before.accounts.contains_key(&file.account) {
                assert!(sets_of(&file.text, &plan, &after) > 0, "seed {seed}");
                continue;
            }
            let (old, new) = (&before.accounts[&file.account], &after.accounts[&file.account]);
            let ((from, mut policies), (to, wanted)) = (state(old), state(new));
            assert_eq!(applied(&file.text, &file.account.to_string(), from, &mut policies), to, "seed {seed}");
            assert_eq!(policies, wanted, "seed {seed}");
        }
        // Once it is applied, another plan over the same principals is out of date.
        let stale: BTreeSet<String> =
            plan.outdated(&after).iter().map(|why| why.split(' ').next().unwrap().to_owned()).collect();
        for change in &plan.changes {
            assert!(stale.contains(&change.principal), "seed {seed}: {}", change.principal);
        }
        for left in &plan.left {
            let kind: String = left.why.chars().take(40).collect();
            *whys.entry(kind).or_insert(0) += 1;
        }
        let reasons = plan.changes.iter().flat_map(|change| &change.reasons);
        confined += reasons.filter(|reason| reason.advice == "confine").count();
        changed += plan.changes.len();
        granted += plan.grants.len();
        steps.extend(plan.steps().map(|(_, _, step)| step.effect.arguments()[1].clone()));
    }
    println!(
        "{count} organisations: {changed} principals changed, {of_sets} of them permission sets, {confined} confined to resources, {granted} grants, {allowed} requests allowed, {of_left} kinds of calls of who has left, {of_later} of who may not have, by {steps:?}; left: {whys:#?}"
    );
    assert!(
        changed >= 2 * usize::try_from(count).unwrap() && of_sets > 0 && granted > 0 && allowed > 0 && steps.len() >= 6,
        "{changed} {granted} {steps:?}"
    );
    assert!(count < 4 || of_left > 0 && of_later > 0, "nobody who left lost what they used: {of_left}, {of_later}");
    assert!(count < 4 || confined > 0, "nothing was confined to resources");
}
