//! Facts about long-lived credentials, sign-in and root.

use jitscan::model::event::Outcome;

use super::Checks;
use super::answers::text;

pub fn check(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    for id in ["F12", "F13", "F14", "F15", "F18"] {
        checks.counts(id);
    }
    let old = &answers.fact("F14").principal;
    checks.finding("F14", old, "never_used_credential", "", &["access_key_1", "165 days", "2026-05-20"]);
    checks.finding("F14", old, "old_access_key", "", &["165 days"]);
    let test = &answers.fact("F15").principal;
    checks.finding("F15", test, "never_used_credential", answers.person("E021"), &["60 days", "2026-09-02"]);
    // Younger than the window, so neither dormant nor due for rotation.
    checks.kinds("F15", test, &["never_used_credential"]);

    checks.counts("F16");
    checks.verdict("F16");
    checks.person("F16", "");
    let backup = &answers.fact("F16").principal;
    checks.kinds("F16", backup, &["old_access_key"]);
    checks.finding("F16", backup, "old_access_key", "", &["rotation is due"]);

    let console = &answers.fact("F17").principal;
    checks.finding("F17", console, "console_without_mfa", answers.person("E009"), &["without MFA"]);
    let others = answers.findings.iter().filter(|row| text(row, "kind") == "console_without_mfa").count();
    checks.equal("F17", "console users without MFA", others, 1);
    let signed_in = answers.query("console_sign_ins_without_mfa", &[]);
    let mine = signed_in.iter().filter(|row| text(row, "principal") == console).count() as u64;
    checks.equal("F17", "sign-ins", mine, answers.fact("F17").count);
    let sessions = answers.world.actors.iter().filter(|(_, actor)| actor.principal == *console);
    let ids: Vec<_> = sessions.map(|(id, _)| *id).collect();
    let (count, days) = answers.calls("ConsoleLogin", |row| ids.contains(&row.key.session), Outcome::Authorised);
    checks.equal("F17", "stored sign-ins and days", (count, days), (5, 5));

    let root = &answers.fact("F18").principal;
    checks.finding("F18", root, "root_without_mfa", "", &[]);
    checks.finding("F18", root, "root_access_key", "", &[]);
    let roots: Vec<_> = answers.findings.iter().filter(|row| text(row, "principal").ends_with(":root")).collect();
    checks.that("F18", roots.iter().all(|row| text(row, "principal") == root), format!("{roots:?}"));

    failed_sign_ins(checks);
}

fn failed_sign_ins(checks: &mut Checks<'_>) {
    let answers = checks.answers;
    let fact = answers.fact("F47");
    let ids: Vec<_> =
        answers.world.actors.iter().filter(|(_, actor)| actor.principal == fact.principal).map(|(id, _)| *id).collect();
    for (outcome, expected) in
        [(Outcome::NotEvaluated, fact.not_evaluated), (Outcome::Authorised, 0), (Outcome::Denied, 0)]
    {
        let (count, _) = answers.calls("ConsoleLogin", |row| ids.contains(&row.key.session), outcome);
        checks.equal("F47", outcome.as_str(), count, expected);
    }
    for id in ["F12", "F47"] {
        checks.finding(id, &fact.principal, "dormant_principal", "", &["last seen 2026-02-11"]);
        checks.kinds(id, &fact.principal, &["dormant_principal", "unused_credential"]);
    }
    let param = format!("principal={}", fact.principal);
    checks.equal("F47", "who used it", answers.query("who_used_principal", &[&param]).len(), 0);
    let owner: Vec<_> =
        answers.found(&fact.principal).into_iter().filter(|row| !text(row, "person").is_empty()).collect();
    checks.that("F12", owner.is_empty(), format!("belongs to nobody in the roster: {owner:?}"));
}
