//! Facts about principals as a whole: dormant, administrator, break-glass, assumed by others, deleted and made again.

use std::collections::BTreeSet;

use jitscan::model::event::Outcome;

use super::Checks;
use super::answers::{number, text};

pub fn check(checks: &mut Checks<'_>) {
    dormant(checks);
    administrators(checks);
    untouchable(checks);
    assumed(checks);
    service_events(checks);
    made_again(checks);
}

fn dormant(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let etl = &answers.fact("F13").principal;
    checks.finding("F13", etl, "dormant_principal", "", &["last seen 2025-11-02"]);
    checks.kinds("F13", etl, &["dormant_principal"]);
    // Who else is dormant is so in truth: nothing of them stands in the logs.
    let dormant: BTreeSet<&str> = answers
        .findings
        .iter()
        .filter(|row| text(row, "kind") == "dormant_principal")
        .map(|row| text(row, "principal"))
        .collect();
    let seen: BTreeSet<&str> =
        answers.usage.iter().filter(|row| number(row, "count") > 0).map(|row| text(row, "principal")).collect();
    checks.equal("F13", "dormant, but used", dormant.intersection(&seen).collect::<Vec<_>>(), Vec::new());
    for id in ["F12", "F13", "F14"] {
        checks.that(id, dormant.contains(answers.fact(id).principal.as_str()), "not called dormant");
    }
}

fn administrators(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    checks.counts("F19");
    checks.verdict("F19");
    checks.person("F19", answers.person("E003"));
    let admin = &answers.fact("F19").principal;
    checks.finding("F19", admin, "administrator_equivalent", "", &["administrator rights"]);
    let standing = "standing_privileged_access";
    checks.finding("F19", admin, standing, answers.person("E003"), &["2 days of 90", "convert to just-in-time"]);
    checks.counts("F20");
    checks.finding("F20", admin, standing, answers.person("E004"), &["0 days of 90", "never used"]);
    let ines = answers.person("E004");
    let acted = answers.usage.iter().any(|row| text(row, "principal") == admin && text(row, "person") == ines);
    checks.that("F20", !acted, "she did something");
    let sessions = answers.world.actors.values().any(|a| a.principal == *admin && a.person.as_deref() == Some(ines));
    checks.that("F20", !sessions, "she had a session");

    let automation = &answers.fact("F21").principal;
    // Whoever may write the policies of every role may write its own: administrator by another name, which holds
    // more than privilege-managing and is said once.
    checks.finding("F21", automation, "administrator_equivalent", "", &["a machine holds administrator rights"]);
    checks.that("F21", !answers.kinds(automation).contains(standing), "a machine's rights are no standing access");
}

fn untouchable(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let glass = &answers.fact("F34").principal;
    checks.counts("F34");
    checks.that("F34", answers.truth.break_glass.contains(glass), "named in the configuration");
    checks.kinds("F34", glass, &["administrator_equivalent"]);
    for row in answers.found(glass) {
        checks.equal("F34", "severity", text(row, "severity"), "info");
    }
    checks.that("F34", answers.usage.iter().all(|row| text(row, "principal") != glass), "never used");
    checks.counts("F35");
    let linked: Vec<_> =
        answers.findings.iter().filter(|row| text(row, "principal").contains(":role/aws-service-role/")).collect();
    checks.that("F35", linked.is_empty(), format!("{linked:?}"));
    let support = &answers.fact("F35").principal;
    checks.that("F35", answers.usage.iter().all(|row| text(row, "principal") != support), "never used");
    let known = answers.entitlements.iter().any(|row| text(row, "principal") == support);
    checks.that("F35", known, "its entitlements are listed all the same");
}

fn assumed(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let idle = answers.query("dormant_principals", &["days=1"]);
    for (id, by) in [("F30", "scheduler.amazonaws.com"), ("F43", "640218395517")] {
        let fact = answers.fact(id);
        let role = |row: &jitscan::usage::fold::UsageRow| row.key.resource == fact.principal;
        let (count, days) = answers.calls("AssumeRole", role, Outcome::Authorised);
        checks.equal(id, "assumptions and days", (count, days as u64), (fact.count, fact.active_days));
        let known = answers.world.activity.assumed.get(&fact.principal);
        let callers: Vec<&str> = known.iter().flat_map(|assumed| &assumed.by).map(String::as_str).collect();
        checks.that(
            id,
            callers.len() == 1 && callers.iter().all(|name| name.contains(by)),
            format!("assumed by {callers:?}"),
        );
        checks.that(id, !answers.kinds(&fact.principal).contains("dormant_principal"), "called dormant");
        checks.that(id, idle.iter().all(|row| text(row, "principal") != fact.principal), "idle for a day");
    }
    let scheduler = &answers.fact("F30").principal;
    checks.that("F30", answers.usage.iter().all(|row| text(row, "principal") != scheduler), "no call of it is logged");
    let supplier = &answers.fact("F43").principal;
    checks.kinds("F43", supplier, &[]);
    checks.that("F43", answers.usage.iter().any(|row| text(row, "principal") == supplier), "used");
    // Copies of calls in other accounts make no principal.
    for row in &answers.usage {
        let mine = answers.truth.accounts.iter().any(|(_, id)| text(row, "principal").contains(id.as_str()));
        checks.that("F43", mine, format!("a principal of nobody's account: {row}"));
        let nobody = !text(row, "principal").starts_with("arn:aws:iam::");
        checks.that("F43", !nobody, format!("no IAM principal: {row}"));
    }
}

fn service_events(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let fact = answers.fact("F37");
    checks.equal("F37", "events stored", answers.rotations.len() as u64, fact.count);
    let days: BTreeSet<_> = answers.rotations.iter().map(|(_, day)| day).collect();
    checks.equal("F37", "days", days.len() as u64, fact.active_days);
    checks.equal("F37", "first day", days.first().copied(), fact.first.as_ref());
    let folded = answers.calls.iter().filter(|row| row.key.name == "RotateKey").count();
    checks.equal("F37", "rows of use", folded, 0);
    let rotation =
        |row: &&serde_json::Value| text(row, "action").starts_with("kms:") && text(row, "action").contains("Rotat");
    checks.equal("F37", "use", answers.usage.iter().filter(rotation).count(), 0);
    for (id, _) in &answers.rotations {
        let Some(actor) = answers.world.actors.get(id) else { continue };
        let is_ours = actor.principal.starts_with("arn:aws:iam::");
        checks.that("F37", !is_ours && actor.person.is_none(), format!("{actor:?}"));
    }
}

fn made_again(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let fact = answers.fact("F40");
    let rows = answers.used(&fact.principal, "s3:ListAllMyBuckets");
    let mut counts: Vec<(u64, u64)> =
        rows.iter().map(|row| (number(row, "count"), number(row, "active_days"))).collect();
    counts.sort_unstable();
    checks.equal("F40", "two principals of one name", counts, vec![(15, 15), (20, 20)]);
    let id = answers
        .world
        .snapshot
        .accounts
        .values()
        .flat_map(|iam| &iam.users)
        .find(|user| user.holder.arn.as_str() == fact.principal)
        .unwrap()
        .holder
        .id
        .clone();
    let action = answers.world.catalog.find("s3:ListAllMyBuckets").unwrap();
    let mine: Vec<_> = answers
        .world
        .activity
        .rows
        .iter()
        .filter(|(key, _)| *key.principal.id == *id && key.action == action)
        .map(|(_, use_)| (use_.count, use_.days().next(), use_.days().last()))
        .collect();
    checks.equal("F40", "the present user's calls", mine, vec![(fact.count, fact.first, fact.last)]);
    checks.verdict("F40");
    checks.person("F40", "");
    let assessment = jitscan::compare::assess(&answers.world.inputs());
    let facts = assessment.principals.iter().find(|facts| facts.arn == fact.principal).unwrap();
    checks.equal("F40", "days on which the present user acted", facts.active_days.len() as u64, fact.active_days);
}
