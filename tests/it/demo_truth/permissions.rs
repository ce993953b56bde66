//! Facts about permissions: used, unused, unobservable, not granted.

use super::Checks;
use super::answers::{number, text};

pub fn check(checks: &mut Checks<'_>) {
    used_and_unused(checks);
    data_events(checks);
    gap(checks);
    outcomes(checks);
    layers(checks);
    passed_roles(checks);
    shapes(checks);
}

fn used_and_unused(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    for id in ["F01", "F02"] {
        checks.counts(id);
        checks.verdict(id);
    }
    checks.person("F01", answers.person("E020"));
    let set = &answers.fact("F02").principal;
    checks.finding("F02", set, "unused_permissions", "", &["1 of its 2 actions", "secretsmanager"]);
    let wide: Vec<_> = answers.found(set).into_iter().filter(|row| !text(row, "title").contains("secrets")).collect();
    checks.equal("F02", "other findings", wide.len(), 0);

    checks.counts("F09");
    checks.verdict("F09");
    let fact = answers.fact("F09");
    let gone = answers.granted(&fact.principal, "rds:CreateDBSnapshot");
    checks.equal("F09", "rows", gone.len(), 1);
    let reason = gone.first().map_or("", |row| text(row, "reason"));
    checks.that("F09", reason.contains("iam:DeleteRolePolicy") && reason.contains("2026-10-11"), reason);

    checks.counts("F42");
    checks.verdict("F42");
    checks.kinds("F42", &answers.fact("F42").principal, &[]);

    checks.counts("F44");
    checks.verdict("F44");
    let fact = answers.fact("F44");
    for row in answers.granted(&fact.principal, "sqs:PurgeQueue") {
        checks.that("F44", text(row, "reason").contains("2026-10-22"), format!("{row}"));
    }
    let said = answers.found(&fact.principal).into_iter().any(|row| text(row, "title").contains("sqs"));
    checks.that("F44", !said, "a finding about sqs");

    checks.verdict("F45");
    let fact = answers.fact("F45");
    for row in answers.granted(&fact.principal, "sts:GetCallerIdentity") {
        checks.that("F45", text(row, "reason").contains("needs no permission"), format!("{row}"));
    }
    checks.counts("F45");
    checks.person("F45", answers.person("E022"));
    let said = answers.found(&fact.principal).into_iter().any(|row| text(row, "title").contains("sts"));
    checks.that("F45", !said, "a finding about sts");
}

fn data_events(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    checks.counts("F03");
    checks.verdict("F03");
    let role = &answers.fact("F03").principal;
    let bucket = answers.fact("F03").resource.as_str();
    let put: Vec<_> = answers.used(role, "s3:PutObject");
    checks.equal("F03", "PutObject", put.iter().map(|row| number(row, "count")).sum(), 90u64);
    checks.equal("F03", "PutObject days", put.iter().map(|row| number(row, "active_days")).max(), Some(90));
    checks.verdict_of("F03", role, "s3:PutObject", bucket, "used");
    checks.counts("F04");
    checks.verdict("F04");
    checks.finding("F04", role, "unused_permissions", "", &["s3:DeleteObject", "lantern-invoices-prod"]);
    checks.counts("F05");
    checks.verdict("F05");
    let archive = answers.found(role).into_iter().any(|row| text(row, "title").contains("lantern-archive"));
    checks.that("F05", !archive, "a finding about the bucket without data events");
    for row in answers.granted(role, "s3:GetObject") {
        if text(row, "verdict") == "unobservable" {
            checks.that("F05", text(row, "reason").contains("data events"), format!("{row}"));
        }
    }
}

fn gap(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    for id in ["F06", "F07", "F08"] {
        checks.counts(id);
        checks.verdict(id);
    }
    let worker = &answers.fact("F06").principal;
    for row in answers.granted(worker, "sqs:PurgeQueue") {
        let reason = text(row, "reason");
        checks.that("F06", reason.contains("eu-west-1") && reason.contains("2026-09-22..2026-09-28"), reason);
    }
    checks.finding("F07", worker, "unused_permissions", "", &["1 of its 3 actions in sqs"]);
    checks.kinds("F07", worker, &["unused_permissions"]);
    let orders = &answers.fact("F08").principal;
    checks.finding("F08", orders, "unused_permissions", "", &["1 of its 2 actions in sqs"]);
    // The gap is one account's, one region's, one week.
    let gap = &answers.truth.gap;
    for row in &answers.coverage {
        let here = text(row, "account") == gap.account && text(row, "region") == gap.region;
        checks.equal("F06", &format!("days missing in {row}"), number(row, "days_missing"), if here { 7 } else { 0 });
        checks.equal("F06", "days covered", number(row, "days_covered"), if here { 83 } else { 90 });
        let missing = if here { format!("{}..{} (7 days)", gap.first, gap.last) } else { String::new() };
        checks.equal("F06", "missing", text(row, "missing"), missing.as_str());
    }
    checks.equal("F06", "rows of coverage", answers.coverage.len(), 6);
    for row in &answers.entitlements {
        let blamed = text(row, "reason").contains("no logs of");
        if blamed {
            let here = text(row, "principal").contains(&gap.account) && text(row, "reason").contains(&gap.region);
            checks.that("F08", here, format!("blames the gap: {row}"));
            checks.equal("F08", "a gap is", text(row, "verdict"), "unobservable");
        }
    }
}

fn outcomes(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    checks.counts("F10");
    let fact = answers.fact("F10");
    checks.verdict_of("F10", &fact.principal, "rds:DeleteDBInstance", "", "not_granted");
    checks.person("F10", answers.person("E007"));
    let denied = answers.query("denied_calls", &[]);
    let refused = |principal: &str, name: &str| {
        denied
            .iter()
            .filter(|row| text(row, "principal") == principal && text(row, "name") == name)
            .map(|row| (number(row, "calls"), text(row, "layer").to_owned(), row["explicit"].as_bool().unwrap()))
            .collect::<Vec<_>>()
    };
    let layer = |calls, layer: &str, explicit| vec![(calls, layer.to_owned(), explicit)];
    checks.equal(
        "F10",
        "layer",
        refused(&fact.principal, "DeleteDBInstance"),
        layer(4, "identity-based policy", false),
    );
    checks.counts("F11");
    checks.verdict("F11");
    let throttled = answers.fact("F11");
    let said =
        answers.found(&throttled.principal).into_iter().any(|row| text(row, "title").contains("GetQueueAttributes"));
    checks.that("F11", !said, "a throttled action is called unused");

    checks.counts("F22");
    checks.verdict("F22");
    let fact = answers.fact("F22");
    checks.equal("F22", "layer", refused(&fact.principal, "CreateUser"), layer(2, "permissions boundary", false));
    checks.counts("F27");
    checks.verdict("F27");
    checks.person("F27", answers.person("E002"));
    let fact = answers.fact("F27");
    checks.equal("F27", "layer", refused(&fact.principal, "StopLogging"), layer(1, "service control policy", true));
}

fn layers(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    checks.kinds("F22", &answers.fact("F22").principal, &[]);
    checks.counts("F23");
    checks.verdict("F23");
    let builder = &answers.fact("F23").principal;
    checks.verdict_of("F23", builder, "dynamodb:UpdateTable", "", "used");
    for (action, limits) in
        [("cloudtrail:StopLogging", true), ("cloudtrail:DeleteTrail", true), ("ec2:RunInstances", false)]
    {
        let admin = &answers.fact("F27").principal;
        checks.equal("F27", action, answers.granted(admin, action).is_empty(), limits);
    }
    checks.counts("F24");
    checks.verdict("F24");
    let power = &answers.fact("F24").principal;
    checks.person("F24", answers.person("E006"));
    checks.verdict_of("F24", power, "iam:CreateUser", "", "not_granted");
    let listed = answers.granted(power, "iam:ListRoles").len();
    checks.equal("F24", "iam:ListRoles, which the second statement gives back", listed, 1);
    // Identity Center lives in the management account: rights over it in a member account reach nothing.
    checks.that(
        "F24",
        !answers.kinds(power).contains("administrator_equivalent"),
        "PowerUserAccess is no administrator",
    );
    checks.counts("F25");
    checks.verdict("F25");
    checks.person("F25", "");
    let fact = answers.fact("F25");
    for row in answers.granted(&fact.principal, "codebuild:StartBuild") {
        let from = row["provenance"].as_array().unwrap();
        let group = from
            .iter()
            .all(|by| by.as_str().unwrap().starts_with("group ") && by.as_str().unwrap().contains("qa-builds"));
        checks.that("F25", from.len() == 1 && group, format!("provenance {from:?}"));
    }
}

fn passed_roles(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    checks.counts("F39");
    checks.verdict("F39");
    let deploy = &answers.fact("F39").principal;
    let passed = answers.used(deploy, "iam:PassRole");
    let of = |name: &str| {
        passed
            .iter()
            .filter(|row| text(row, "resource").ends_with(&format!("/{name}")))
            .map(|row| number(row, "count"))
            .sum::<u64>()
    };
    checks.equal("F39", "order-processor-lambda", of("order-processor-lambda"), 4);
    checks.equal("F39", "web-app-ec2", of("web-app-ec2"), 2);
    checks.equal("F39", "all", passed.iter().map(|row| number(row, "count")).sum::<u64>(), 6);
    let account = answers.account("production");
    for name in ["order-processor-lambda", "web-app-ec2"] {
        let role = format!("arn:aws:iam::{account}:role/{name}");
        checks.verdict_of("F39", deploy, "iam:PassRole", &role, "used");
    }
    checks.person("F39", "");
    checks.counts("F21");
    checks.verdict("F21");
    let automation = &answers.fact("F21").principal;
    checks.that("F21", answers.used(automation, "iam:PassRole").is_empty(), "PassRole was never used");
    let granted = answers.granted(automation, "iam:PassRole");
    checks.that(
        "F21",
        !granted.is_empty() && granted.iter().all(|row| text(row, "verdict") != "used"),
        "PassRole used",
    );
}

fn shapes(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    checks.counts("F26");
    checks.verdict("F26");
    checks.person("F26", answers.person("E008"));
    let set = &answers.fact("F26").principal;
    checks.verdict_of("F26", set, "s3:GetBucketAcl", "", "unused");
    checks.verdict_of("F26", set, "s3:GetObject", "", "unobservable");
    checks.counts("F36");
    checks.verdict("F36");
    checks.person("F36", "");
    let analyst = &answers.fact("F36").principal;
    let freya = answers.person("E014");
    let own: Vec<_> = answers
        .usage
        .iter()
        .filter(|row| text(row, "person") == freya && text(row, "action") == "athena:StartQueryExecution")
        .collect();
    checks.equal("F36", "her own queries", own.iter().map(|row| number(row, "count")).sum::<u64>(), 14);
    checks.that("F36", own.iter().all(|row| text(row, "principal") == analyst), "through another principal");
    checks.counts("F38");
    checks.verdict("F38");
    checks.person("F38", answers.person("E015"));
    checks.that("F38", answers.summary.contains("(5 delivered twice and counted once)"), answers.summary.as_str());
    checks.counts("F31");
    checks.verdict("F31");
    checks.person("F31", "");
}
