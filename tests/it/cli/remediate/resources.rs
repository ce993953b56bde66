//! Policies that are confined to the resources that were used.

use std::fs;

use jitscan::remediate::Plan;
use jitscan::remediate::effect::Effect;
use serde_json::{Value, json};

use super::super::Place;
use super::super::recommend::{AT, demo, text};
use super::after::{read, snapshot, write};
use super::sets::objections;

const ROLE: &str = "arn:aws:iam::710293847561:role/iam-automation";
const USED: &str = "arn:aws:iam::710293847561:role/report-builder";

fn planned(place: &Place, at: &str, more: &str) -> Plan {
    place.rows(&format!("{at} remediate plan --principal role/iam-automation {more} --out plan.json"));
    read(&place.path("plan.json"))
}

fn confined(plan: &Plan) -> Vec<&str> {
    let reasons = plan.changes.iter().flat_map(|change| &change.reasons).filter(|reason| reason.advice == "confine");
    reasons.flat_map(|reason| &reason.why).map(String::as_str).collect()
}

/// The plan with another policy in place of its first one.
fn with_policy(place: &Place, change: &dyn Fn(&mut Value)) -> Plan {
    let mut plan = read(&place.path("plan.json"));
    let documents = plan.changes[0].steps.iter_mut().filter_map(|step| match &mut step.effect {
        Effect::PutRolePolicy { document, .. } => Some(document),
        _ => None,
    });
    let document = documents.last().unwrap();
    let mut value: Value = serde_json::from_str(document).unwrap();
    let statements = value["Statement"].as_array_mut().unwrap();
    let of = |one: &&mut Value| one["Action"] == "iam:PutRolePolicy";
    change(statements.iter_mut().find(of).unwrap());
    *document = value.to_string();
    write(&mut plan, &place.path("plan.json"));
    plan
}

#[test]
fn what_a_program_changed_is_what_it_may_change() {
    let place = demo();
    let plan = planned(&place, AT, "");
    assert_eq!(confined(&plan), [format!("iam:PutRolePolicy: 3 calls on 3 days, all on {USED}")]);
    let text_of = |plan: &Plan| serde_json::to_string(&plan.changes).unwrap();
    assert!(text_of(&plan).contains(USED));
    let (before, put) = (snapshot(&place), |row: &&Value| row["action"] == "iam:PutRolePolicy");
    assert!(objections(&plan, &before).is_empty());
    let proved = place.rows(&format!("{AT} remediate prove plan.json"));
    let rows: Vec<&Value> = proved.iter().filter(put).collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((text(rows[0], "/verdict"), &rows[0]["calls"]), ("still_allowed", &json!(3)));

    // Another role than the one that it was used on: what was done would be refused.
    let other = with_policy(&place, &|one| one["Resource"] = json!("arn:aws:iam::710293847561:role/deploy"));
    assert!(objections(&other, &before).is_empty());
    let run = place.line(&format!("{AT} remediate prove plan.json"));
    assert!(run.code == Some(3) && run.stdout.contains("iam:PutRolePolicy"), "{run:?}");

    // As they are written, where that is asked for.
    let plain = planned(&place, AT, "--resources nobody");
    assert!(confined(&plain).is_empty() && !text_of(&plain).contains(USED));
}

#[test]
fn nobody_widens_what_is_confined() {
    let place = demo();
    let mut narrow = snapshot(&place);
    let plan = planned(&place, AT, "");
    // A policy that is narrow to begin with.
    let iam = narrow.accounts.values_mut().find(|iam| iam.account.to_string() == "710293847561").unwrap();
    let role = iam.roles.iter_mut().find(|role| role.holder.arn.as_str() == ROLE).unwrap();
    let Some(Effect::PutRolePolicy { document, policy, .. }) = plan.changes[0].steps.last().map(|step| &step.effect)
    else {
        panic!("{:?}", plan.changes[0].steps)
    };
    role.holder.inline.iter_mut().find(|one| one.name == *policy).unwrap().json.clone_from(document);
    assert!(objections(&plan, &narrow).is_empty());
    for resource in [
        json!("*"),
        json!([USED, "arn:aws:iam::710293847561:role/deploy"]),
        json!("arn:aws:iam::*:role/report-builder"),
    ] {
        let wider = with_policy(&place, &|one| one["Resource"] = resource.clone());
        let why = objections(&wider, &narrow);
        assert_eq!(why, [format!("{ROLE} could do more than before")], "{resource}");
    }
}

#[test]
fn where_logs_are_missing_nothing_is_confined() {
    let place = demo();
    let all = |at: &str| {
        place.rows(&format!("{at} remediate plan --principal order-processor-lambda --out plan.json"));
        let plan = read(&place.path("plan.json"));
        confined(&plan).iter().map(|why| why.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(all(AT), ["kms", "secretsmanager"]);
    // One day without logs is one on which it may have been used on others.
    let day = place.path("demo/input/cloudtrail");
    let mut gone = 0;
    let mut folders = vec![day];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && path.ends_with("2026/09/15") && path.to_string_lossy().contains("/710293847561/") {
                fs::remove_dir_all(&path).unwrap();
                gone += 1;
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(gone > 0);
    let run = place.line("--store other ingest cloudtrail demo/input/cloudtrail");
    assert_eq!(run.code, Some(0), "{run:?}");
    for account in ["394857261043", "583920174628", "710293847561"] {
        let file = format!("demo/input/iam/{account}/authorization-details.json");
        let run = place.line(&format!("--store other ingest iam {file} --captured-at 2026-11-01T00:00:00Z"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert!(all(&AT.replace("demo/store", "other")).is_empty());
}
