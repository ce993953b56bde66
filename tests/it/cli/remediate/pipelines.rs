//! Roles that are bound to the pipelines that enter them.

use std::fs;

use jitscan::remediate::Plan;
use jitscan::remediate::effect::Effect;
use serde_json::{Value, json};

use super::super::Place;
use super::super::recommend::{AT, demo, text};
use super::after::{LATER, all_records, applied, read, snapshot, write};
use super::sets::objections;

const ROLE: &str = "arn:aws:iam::394857261043:role/gha-pipeline";
const SUBJECT: &str = "repo:lantern-freight/platform:ref:refs/heads/main";
const KEY: &str = "token.actions.githubusercontent.com:sub";

/// The rows of a plan that binds roles, by way of some arguments before.
fn bound(place: &Place, at: &str) -> Vec<Value> {
    place.rows(&format!("{at} remediate plan --advice bind-to-pipeline --out bind.json"))
}

fn entry(place: &Place) -> Value {
    let is = |record: &&Value| text(record, "/eventName") == "AssumeRoleWithWebIdentity";
    let all = all_records(place);
    all.values().find(is).unwrap().clone()
}

fn ingested(place: &Place, name: &str, records: &[Value]) {
    fs::create_dir_all(place.path(name)).unwrap();
    fs::write(place.path(&format!("{name}/x.json")), json!({ "Records": records }).to_string()).unwrap();
    let run = place.line(&format!("--store demo/store ingest cloudtrail {name}"));
    assert_eq!(run.code, Some(0), "{run:?}");
}

fn with_trust(place: &Place, change: &dyn Fn(&mut Value)) -> Plan {
    let mut plan = read(&place.path("bind.json"));
    let Effect::UpdateAssumeRolePolicy { document, .. } = &mut plan.changes[0].steps[0].effect else { panic!() };
    let mut value: Value = serde_json::from_str(document).unwrap();
    change(&mut value);
    *document = value.to_string();
    write(&mut plan, &place.path("bind.json"));
    plan
}

#[test]
fn a_role_is_bound_to_who_came_and_they_still_come() {
    let place = demo();
    let rows = bound(&place, AT);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((text(&rows[0], "/kind"), text(&rows[0], "/principal")), ("change", ROLE));
    let why = rows[0]["why"][0].as_str().unwrap();
    assert!(why.contains(SUBJECT) && why.contains("came 61 times, the last on 2026-10-29"), "{why}");
    let id = rows[0]["recommendations"][0].as_str().unwrap();
    assert_eq!(place.rows(&format!("{AT} remediate plan --id {id} --out bind.json")).len(), 1);
    let proved = place.rows(&format!("{AT} remediate prove bind.json"));
    let entries: Vec<&Value> = proved.iter().filter(|row| row["action"] == "sts:AssumeRoleWithWebIdentity").collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let row = entries[0];
    assert_eq!(
        (text(row, "/verdict"), text(row, "/principal"), text(row, "/person")),
        ("still_allowed", ROLE, SUBJECT)
    );
    assert_eq!(row["calls"], 61);
    assert!(row["examples"][0].is_string());
    let (plan, before) = (read(&place.path("bind.json")), snapshot(&place));
    assert!(objections(&plan, &before).is_empty());
    assert_eq!(plan.undone(&plan.after(&before).unwrap()).unwrap().accounts, before.accounts);

    // By hand: another branch, with which those that came would be refused.
    let plan = with_trust(&place, &|value| {
        value["Statement"][0]["Condition"]["StringEquals"][KEY] = "repo:lantern-freight/platform:pull_request".into();
    });
    assert!(objections(&plan, &before).is_empty());
    let run = place.line(&format!("{AT} remediate prove bind.json"));
    assert!(run.code == Some(3) && run.stdout.contains(SUBJECT), "{run:?}");
    // And wider ones, or for others.
    for change in [
        &(|value: &mut Value| value["Statement"][0]["Condition"]["StringEquals"][KEY] = "repo:others/x:y".into())
            as &dyn Fn(&mut Value),
        &|value| value["Statement"][0]["Condition"] = json!({}),
        &|value| value["Statement"][0]["Principal"] = json!({"AWS": "*"}),
    ] {
        let plan = with_trust(&place, change);
        assert_eq!(objections(&plan, &before), [format!("{ROLE} would let in others than before")]);
    }
    // Nor may the trust policy of somebody else be written by the way.
    let mut plan = with_trust(&place, &|_| {});
    for step in &mut plan.changes[0].steps {
        for effect in [&mut step.effect, &mut step.undo] {
            let Effect::UpdateAssumeRolePolicy { role, .. } = effect else { panic!() };
            *role = "deploy".to_owned();
        }
    }
    assert!(!objections(&plan, &before).is_empty());
}

#[test]
fn what_the_logs_do_not_show_is_not_closed() {
    let place = demo();
    let left = |rows: &[Value], why: &str| {
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((text(&rows[0], "/kind"), text(&rows[0], "/principal")), ("left", ROLE));
        assert!(rows[0]["why"][0].as_str().unwrap().contains(why), "{rows:?}");
    };
    // Any region's endpoint lets in, and nothing says that the others are not used.
    let config = fs::read_to_string(place.path("demo/jitscan.toml")).unwrap();
    let (without, _) = config.split_once("regions").unwrap();
    fs::write(place.path("all.toml"), without).unwrap();
    let all = AT.replace("demo/jitscan.toml", "all.toml");
    left(&bound(&place, &all), "the logs do not show everybody who came");
    // What code manages is left to it.
    fs::write(place.path("code.toml"), format!("managed_by_code = [\"*role/gha-*\"]\n{config}")).unwrap();
    left(&bound(&place, &AT.replace("demo/jitscan.toml", "code.toml")), "managed by code");
    // Whom it is for was said anew within the window.
    let mut record = entry(&place);
    let fields = record.as_object_mut().unwrap();
    fields.insert("eventID".into(), "update-1".into());
    fields.insert("eventTime".into(), "2026-10-30T10:00:00Z".into());
    fields.insert("eventName".into(), "UpdateAssumeRolePolicy".into());
    fields.insert("eventSource".into(), "iam.amazonaws.com".into());
    fields.insert("requestParameters".into(), json!({"roleName": "gha-pipeline", "policyDocument": "{}"}));
    fields.insert("responseElements".into(), Value::Null);
    fields.insert("resources".into(), Value::Null);
    fields.insert(
        "userIdentity".into(),
        json!({"type": "IAMUser", "principalId": "AIDAX", "arn": "arn:aws:iam::394857261043:user/x",
               "accountId": "394857261043", "accessKeyId": "AKIAX", "userName": "x"}),
    );
    ingested(&place, "update", &[record]);
    left(&bound(&place, AT), "its trust policy was written on 2026-10-30");
}

#[test]
fn a_pipeline_that_is_kept_out_is_shown() {
    let place = demo();
    bound(&place, AT);
    let path = place.path("bind.json");
    let mut plan = read(&path);
    write(&mut plan, &path);
    applied(&place, &plan);
    let mut record = entry(&place);
    let other = "repo:lantern-freight/platform:ref:refs/heads/next";
    let provider = text(&record, "/userIdentity/identityProvider").to_owned();
    record["userIdentity"]["userName"] = other.into();
    record["userIdentity"]["principalId"] = format!("{provider}:sts.amazonaws.com:{other}").into();
    record["errorCode"] = "AccessDenied".into();
    record["errorMessage"] = "Not authorized to perform sts:AssumeRoleWithWebIdentity".into();
    record["responseElements"] = Value::Null;
    let at = |id: &str, time: &str, subject: &str| {
        let mut one = record.clone();
        one["eventID"] = id.into();
        one["eventTime"] = time.into();
        one["userIdentity"]["userName"] = subject.into();
        one["userIdentity"]["principalId"] = format!("{provider}:sts.amazonaws.com:{subject}").into();
        one
    };
    // One before it was applied, and one of somebody whom nothing ever let in.
    let records = [
        at("d-1", "2026-11-02T09:00:00Z", other),
        at("d-2", "2026-11-02T09:10:00Z", other),
        at("d-3", "2026-10-30T09:00:00Z", "repo:lantern-freight/platform:ref:refs/heads/old"),
        at("d-4", "2026-11-02T09:20:00Z", "repo:others/x:ref:refs/heads/main"),
    ];
    ingested(&place, "later", &records);
    let run = place.line(&format!("{LATER} remediate watch bind.json --format ndjson"));
    assert_eq!(run.code, Some(3), "{run:?}");
    let rows: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!((text(&rows[0], "/principal"), text(&rows[0], "/person")), (ROLE, other));
    assert_eq!((&rows[0]["calls"], text(&rows[0], "/action")), (&json!(2), "sts:AssumeRoleWithWebIdentity"));
    assert!(text(&rows[0], "/restored").contains("a person has to look"), "{rows:?}");
}
