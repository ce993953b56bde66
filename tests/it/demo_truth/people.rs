//! Facts about who stands behind a principal.

use std::collections::BTreeMap;

use super::Checks;
use super::answers::{number, text};

pub fn check(checks: &mut Checks<'_>) {
    for id in ["F28", "F29", "F32", "F33", "F41", "F46"] {
        checks.counts(id);
        checks.verdict(id);
    }
    for (id, person) in [("F28", "E007"), ("F32", "E018"), ("F33", "E021"), ("F41", "V001"), ("F46", "E007")] {
        checks.equal(id, "the fact's person", checks.answers.fact(id).person.as_str(), person);
        checks.person(id, checks.answers.person(person));
    }
    chain(checks);
    shared(checks);
    claims(checks);
    contractor(checks);
    pipeline(checks);
    owner(checks);
}

fn chain(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let restore = &answers.fact("F28").principal;
    let account = answers.account("production");
    let operator = format!("arn:aws:iam::{account}:role/prod-db-operator");
    let calls: Vec<_> = answers
        .usage
        .iter()
        .filter(|row| text(row, "action") == "sts:AssumeRole" && text(row, "resource") == restore)
        .collect();
    checks.equal("F28", "rows of the assumption", calls.len(), 1);
    for row in calls {
        checks.equal("F28", "assumed by", text(row, "principal"), operator.as_str());
        checks.equal("F28", "assumed for", text(row, "person"), answers.person("E007"));
        checks.equal("F28", "two copies count once", number(row, "count"), 2);
    }
    for actor in answers.world.actors.values().filter(|actor| actor.principal == *restore) {
        checks.that("F28", origins(actor).last() == Some(&operator), format!("chain {:?}", actor.hops));
        checks.that("F28", actor.hops.len() >= 2, format!("origin in {:?}", actor.hops));
    }
}

fn shared(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let fact = answers.fact("F29");
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    for row in answers.used(&fact.principal, "ssm:StartSession") {
        *by.entry(text(row, "person")).or_default() += number(row, "count");
    }
    let expected = BTreeMap::from([(answers.person("E005"), 11), (answers.person("E011"), 5)]);
    checks.equal("F29", "calls by person", by, expected);
    checks.equal("F29", "Yusuf Demir", answers.person("E005").starts_with("yusuf.demir@"), true);
    for actor in answers.world.actors.values().filter(|actor| actor.principal == fact.principal) {
        checks.equal("F29", "claimed name", actor.session_name.as_str(), "ops");
    }
}

fn claims(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let responder = &answers.fact("F32").principal;
    for actor in answers.world.actors.values().filter(|actor| actor.principal == *responder) {
        checks.equal("F32", "session name", actor.session_name.as_str(), "case-1182");
        checks.equal("F32", "person", actor.person.as_deref(), Some(answers.person("E018")));
    }
    let tools = &answers.fact("F33").principal;
    let grace = answers.person("E020");
    for actor in answers.world.actors.values().filter(|actor| actor.principal == *tools) {
        checks.equal("F33", "claimed name", actor.session_name.as_str(), "grace.wanjiru");
    }
    let hers = answers.usage.iter().any(|row| text(row, "principal") == tools && text(row, "person") == grace);
    checks.that("F33", !hers, "the session name decides");
    let users = answers.query("who_used_principal", &[&format!("principal={tools}")]);
    let users: Vec<(&str, u64)> = users.iter().map(|row| (text(row, "person"), number(row, "calls"))).collect();
    checks.equal("F33", "who used it", users, vec![(answers.person("E021"), 2)]);
}

fn contractor(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let fact = answers.fact("F41");
    let stefan = answers.person("V001");
    let kind = "active_after_end_date";
    checks.finding("F41", &fact.principal, kind, stefan, &["2026-09-20", "4 days"]);
    let all: Vec<&str> =
        answers.findings.iter().filter(|row| text(row, "kind") == kind).map(|row| text(row, "person")).collect();
    checks.equal("F41", "active after the end", all, vec![stefan]);
}

fn pipeline(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let deploy = &answers.fact("F31").principal;
    let security = answers.account("security");
    let pipeline = format!("arn:aws:iam::{security}:role/gha-pipeline");
    let mut sessions = 0;
    for actor in answers.world.actors.values().filter(|actor| actor.principal == *deploy) {
        sessions += 1;
        checks.that("F31", actor.machine && actor.person.is_none(), format!("{actor:?}"));
        checks.that("F31", origins(actor).last() == Some(&pipeline), format!("chain {:?}", actor.hops));
        let origin = actor.hops.first().map_or("", |hop| hop.principal.as_str());
        checks.that("F31", origin.contains("token.actions.githubusercontent.com"), format!("origin {origin}"));
    }
    checks.that("F31", sessions >= 22, format!("{sessions} sessions"));
    let subject = "repo:lantern-freight/platform:ref:refs/heads/main";
    let named = answers.world.actors.values().any(|actor| actor.session_name == subject);
    checks.that("F31", named, "the repository and branch of the pipeline");
    for row in answers.usage.iter().filter(|row| text(row, "principal") == deploy) {
        checks.equal("F31", "person", text(row, "person"), "");
    }
}

fn owner(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let fact = answers.fact("F46");
    for row in answers.granted(&fact.principal, "ec2:DescribeInstances") {
        let from = row["provenance"].as_array().unwrap();
        let group = from
            .iter()
            .all(|by| by.as_str().unwrap().starts_with("group ") && by.as_str().unwrap().ends_with("via legacy-cli"));
        checks.that("F46", !from.is_empty() && group, format!("provenance {from:?}"));
    }
}

fn origins(actor: &jitscan::usage::identity::Actor) -> Vec<String> {
    actor.hops.iter().map(|hop| hop.principal.to_string()).collect()
}
