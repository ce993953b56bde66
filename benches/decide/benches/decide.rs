//! How fast requests are decided, and what compiling an account costs. `cargo bench --bench decide`.
//!
//! Requests are made once: a replay decides the same distinct calls under one set of policies after another.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jitscan::catalog::Catalog;
use jitscan::decide::case::Case;
use jitscan::decide::compile::Compiler;
use jitscan::decide::inquiry::{Inquiry, Question};
use jitscan::decide::who::who_can;
use jitscan::decide::{Decide, Roster};
use jitscan::entitlements::entitlements;
use jitscan::model::snapshot::{AccountIam, Attachment, Holder, ManagedPolicy, NamedDocument, Role, Snapshot};
use jitscan::model::time::Timestamp;
use serde_json::{Value, json};

const SERVICES: [&str; 10] = [
    "s3:Get*",
    "s3:List*",
    "ec2:Describe*",
    "dynamodb:Get*",
    "dynamodb:Query",
    "sqs:*",
    "logs:*",
    "lambda:Get*",
    "lambda:Invoke*",
    "kms:Decrypt",
];

const REQUESTS: [(&str, &str); 8] = [
    ("s3:GetObject", "arn:aws:s3:::app-data-prod/2026/11/01/part-0001.json"),
    ("s3:PutObject", "arn:aws:s3:::app-logs/x"),
    ("ec2:DescribeInstances", "*"),
    ("dynamodb:Query", "arn:aws:dynamodb:eu-west-1:111111111111:table/orders/index/by-day"),
    ("sqs:SendMessage", "arn:aws:sqs:eu-west-1:111111111111:q5"),
    ("iam:CreateUser", "arn:aws:iam::111111111111:user/x"),
    ("logs:PutLogEvents", "arn:aws:logs:eu-west-1:111111111111:log-group:/app/web:log-stream:1"),
    ("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:111111111111:function:resize"),
];

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Statement number `i` of a made-up application: two kinds of actions on three resources, every eighth on all.
fn statement(i: usize) -> Value {
    let service = |at: usize| SERVICES.get(at % SERVICES.len()).unwrap();
    let third = if i % 8 == 7 { "*".to_owned() } else { format!("arn:aws:sqs:eu-west-1:111111111111:q{i}") };
    json!({
        "Effect": "Allow",
        "Action": [service(i), service(i * 3 + 1)],
        "Resource": [format!("arn:aws:s3:::app-data-{i}/*"), format!("arn:aws:dynamodb:*:111111111111:table/t{i}*"), third],
    })
}

/// As many statements as a role's inline policies may hold: 10,240 characters.
fn largest_inline() -> Vec<Value> {
    let mut out = Vec::new();
    while document(&out).to_string().len() < 10_240 {
        out.push(statement(out.len()));
    }
    out.pop();
    out
}

/// Root with a region Deny and guardrails, an organisational unit and the account with `FullAWSAccess`.
fn scps() -> Value {
    let full = document(&[json!({"Effect": "Allow", "Action": "*", "Resource": "*"})]);
    let guard = document(&[
        json!({"Effect": "Deny", "NotAction": ["iam:*", "sts:*", "organizations:*", "support:*", "route53:*"], "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]},
                "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/break-glass"}}}),
        json!({"Effect": "Deny", "Action": ["organizations:LeaveOrganization", "cloudtrail:StopLogging"], "Resource": "*"}),
    ]);
    json!([{"org_identifier": "r-1", "policies": [full, guard]}, {"org_identifier": "ou-1", "policies": [full]},
        {"org_identifier": "111111111111", "policies": [full]}])
}

fn cases(compiler: &Compiler<'_>, identity: &[Value], organisation: bool) -> Vec<Case> {
    let context = json!({"aws:RequestedRegion": "eu-west-1", "aws:SourceIp": "203.0.113.7", "aws:SecureTransport": "true",
        "aws:UserAgent": "aws-cli/2", "aws:CurrentTime": "2026-11-01T00:00:00Z", "aws:ViaAWSService": "false",
        "aws:PrincipalOrgID": "o-1", "aws:TokenIssueTime": "2026-11-01T00:00:00Z"});
    let boundary = document(&[json!({"Effect": "Allow", "Resource": "*",
        "Action": ["s3:*", "ec2:*", "dynamodb:*", "sqs:*", "logs:*", "lambda:*"]})]);
    let case = |(action, resource): &(&str, &str)| {
        let mut case = json!({
            "request": {"principal": "arn:aws:sts::111111111111:assumed-role/app/s", "action": action, "resource": resource,
                "principal_role_arn": "arn:aws:iam::111111111111:role/svc/app", "resource_account": "111111111111"},
            "identity_policies": identity,
        });
        if organisation {
            case["request"]["context"] = context.clone();
            case["permission_boundaries"] = json!([boundary]);
            case["scps"] = scps();
        }
        Case::parse(&case.to_string(), compiler).unwrap()
    };
    REQUESTS.iter().map(case).collect()
}

fn decisions(criterion: &mut Criterion) {
    let compiler = Compiler::deciding(Catalog::get());
    let list = |count: usize| (0..count).map(statement).collect::<Vec<_>>();
    let in_three = |all: &[Value]| all.chunks(all.len().div_ceil(3)).map(document).collect::<Vec<_>>();
    let one =
        document(&[json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::app-data-*/*"})]);
    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(REQUESTS.len() as u64));
    for (name, identity, organisation) in [
        ("small: 1 statement", vec![one], false),
        ("typical: 24 statements, boundary, 3 SCP levels, 8 keys", in_three(&list(24)), true),
        ("10,240 characters, boundary, SCPs", vec![document(&largest_inline())], true),
        ("500 statements, boundary, SCPs", vec![document(&list(500))], true),
    ] {
        let cases = cases(&compiler, &identity, organisation);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                for case in &cases {
                    black_box(case.policies.decide(black_box(&case.request)));
                }
            });
        });
    }
    group.finish();
}

/// Roles of one account: each with an inline policy of its own and two of fifty managed policies.
fn account(roles: usize) -> Snapshot {
    let arn = |at: usize| format!("arn:aws:iam::111111111111:policy/p{at}");
    let policies = (0..50)
        .map(|at| ManagedPolicy {
            arn: arn(at),
            name: format!("p{at}"),
            id: format!("ANPA{at}"),
            version_created: None,
            version_id: "v1".to_owned(),
            json: document(&(at * 7..at * 7 + 8).map(statement).collect::<Vec<_>>()).to_string(),
        })
        .collect();
    let role = |at: usize| Role {
        holder: Holder {
            arn: format!("arn:aws:iam::111111111111:role/r{at}").parse().unwrap(),
            name: format!("r{at}"),
            path: "/".to_owned(),
            id: format!("AROA{at}"),
            created: None,
            inline: vec![NamedDocument {
                name: "own".to_owned(),
                json: document(&[statement(at), statement(at + 1)]).to_string(),
            }],
            attached: [at % 50, (at * 13 + 5) % 50]
                .map(|policy| Attachment { name: format!("p{policy}"), arn: arn(policy) })
                .into(),
            boundary: None,
            tags: BTreeMap::new(),
        },
        trust: document(&[
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"}}),
        ])
        .to_string(),
        last_used: None,
        instance_profiles: Vec::new(),
    };
    let account = "111111111111".parse().unwrap();
    let iam = AccountIam {
        account,
        captured_at: Timestamp::default(),
        users: Vec::new(),
        groups: Vec::new(),
        roles: (0..roles).map(role).collect(),
        policies,
    };
    Snapshot { accounts: BTreeMap::from([(account, iam)]), ..Snapshot::default() }
}

fn accounts(criterion: &mut Criterion) {
    let catalog = Catalog::get();
    let snapshot = account(5_000);
    let mut group = criterion.benchmark_group("5,000 principals");
    group.sample_size(10);
    group.bench_function("compile", |bencher| {
        bencher.iter(|| {
            let compiler = Compiler::deciding(catalog);
            black_box(Roster::new(&snapshot, &compiler).principals.len())
        });
    });
    group.bench_function("compile and set algebra over the whole catalogue", |bencher| {
        bencher.iter(|| black_box(entitlements(&snapshot, catalog).principals.len()));
    });
    let compiler = Compiler::deciding(catalog);
    let roster = Roster::new(&snapshot, &compiler);
    let inquiry = Inquiry { roster: &roster, organization: None };
    let question = Question::new("s3:GetObject", "arn:aws:s3:::app-data-7/x", Timestamp::default(), catalog);
    group.bench_function("who-can, compiled", |bencher| {
        bencher.iter(|| black_box(who_can(&inquiry, &question, 4, Timestamp::default(), catalog).len()));
    });
    group.finish();
    println!("resident at most: {}", peak());
}

/// The most memory that this process has had resident, as Linux tells it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.map_or_else(
        || "not told by this system".to_owned(),
        |line| line.trim_start_matches("VmHWM:").trim().to_owned(),
    )
}

criterion_group!(benches, decisions, accounts);
criterion_main!(benches);
