//! `remediate` on the demo: what is planned narrows and breaks nothing, what is proved is so, and what was changed by hand
//! or grew old is refused.

mod after;
mod analyzed;
mod executor;
mod export;
mod leaving;
mod pipelines;
mod random;
mod resources;
mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use super::recommend::{AT, demo, text};

fn count(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or(0)
}

#[test]
fn a_plan_for_everything_denies_nothing_that_was_done() {
    let place = demo();
    let plan = place.path("plan.json");
    let rows = place.rows(&format!("{AT} remediate plan --out {}", plan.display()));
    let of = |kind: &str| rows.iter().filter(|row| row["kind"] == kind).collect::<Vec<_>>();
    assert!(of("grant").len() >= 4 && of("change").len() >= 10 && !of("left").is_empty(), "{rows:#?}");
    // Nobody loses more than was advised, and everything that stays says why.
    let bound = |row: &&Value| text(row, "/why/0").starts_with("bind to pipeline: ");
    let (bound, narrowed): (Vec<&Value>, Vec<&Value>) = of("change").into_iter().partition(bound);
    assert!(narrowed.iter().all(|row| count(row, "removed") > 0 && count(row, "removed") <= count(row, "granted")));
    assert!(!bound.is_empty() && bound.iter().all(|row| count(row, "removed") == 0 && count(row, "calls") == 1));
    assert!(of("left").iter().all(|row| !text(row, "/why/0").is_empty() && row["recommendations"][0].is_string()));
    let advised = place.rows(&format!("{AT} recommend"));
    let for_emergencies: BTreeSet<&str> = advised
        .iter()
        .filter(|row| text(row, "/why/0").starts_with("break-glass"))
        .map(|row| text(row, "/principal"))
        .collect();
    assert!(!for_emergencies.is_empty());
    assert!(rows.iter().all(|row| row["kind"] == "left" || !for_emergencies.contains(text(row, "/principal"))));

    let proved = place.rows(&format!("{AT} remediate prove {}", plan.display()));
    let calls = |verdict: &str| -> u64 {
        proved.iter().filter(|row| row["verdict"] == verdict).map(|row| count(row, "calls")).sum()
    };
    assert_eq!(calls("would_be_denied"), 0, "{proved:#?}");
    assert!(calls("still_allowed") > 10_000 && calls("through_a_grant") > 20, "{proved:#?}");
    // What goes through a grant was asked for by somebody who is eligible, for that very role.
    let grants: BTreeMap<&str, BTreeSet<&str>> = of("grant")
        .into_iter()
        .map(|row| {
            (text(row, "/role"), row["people"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect())
        })
        .collect();
    for row in proved.iter().filter(|row| row["verdict"] == "through_a_grant") {
        assert!(grants[text(row, "/through")].contains(text(row, "/person")), "{row}");
        assert!(row["examples"][0].is_string(), "{row}");
    }
}

#[test]
fn a_plan_that_takes_too_much_is_found_out() {
    let place = demo();
    let plan = place.path("plan.json");
    place.rows(&format!("{AT} remediate plan --out {}", plan.display()));
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&plan).unwrap()).unwrap();
    // Without its grants, what people would ask for is refused.
    value["grants"] = Value::Array(Vec::new());
    let changed: jitscan::remediate::Plan = serde_json::from_value(value.clone()).unwrap();
    fs::write(&plan, value.to_string()).unwrap();
    let run = place.line(&format!("{AT} remediate prove {}", plan.display()));
    assert!(run.code == Some(1) && run.stderr.contains("it was changed"), "{run:?}");
    value["hash"] = changed.hashed().into();
    fs::write(&plan, value.to_string()).unwrap();
    let run = place.line(&format!("{AT} remediate prove {}", plan.display()));
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stdout.contains("would be denied") && run.stdout.contains("ModifyDBInstance"), "{run:?}");
    // Where a principal holds something else nothing is proved.
    value["changes"][0]["state"] = "0".repeat(32).into();
    let changed: jitscan::remediate::Plan = serde_json::from_value(value.clone()).unwrap();
    value["hash"] = changed.hashed().into();
    fs::write(&plan, value.to_string()).unwrap();
    let run = place.line(&format!("{AT} remediate prove {}", plan.display()));
    assert!(run.code == Some(1) && run.stderr.contains("make it anew"), "{run:?}");
}

#[test]
fn every_step_has_the_call_that_takes_it_back() {
    let place = demo();
    let plan = place.path("plan.json");
    place.rows(&format!("{AT} remediate plan --advice convert-to-jit --out {}", plan.display()));
    let steps = place.rows(&format!("remediate show {}", plan.display()));
    assert!(steps.len() > 8);
    let back = |call: &str| match call {
        "create-role" => vec!["delete-role"],
        "create-policy" => vec!["delete-policy"],
        "put-role-policy" => vec!["put-role-policy", "delete-role-policy"],
        "put-user-policy" => vec!["put-user-policy", "delete-user-policy"],
        "delete-role-policy" => vec!["put-role-policy"],
        "delete-user-policy" => vec!["put-user-policy"],
        "attach-role-policy" => vec!["detach-role-policy"],
        "detach-role-policy" => vec!["attach-role-policy"],
        "attach-user-policy" => vec!["detach-user-policy"],
        "detach-user-policy" => vec!["attach-user-policy"],
        "create-permission-set" => vec!["delete-permission-set"],
        "put-inline-policy-to-permission-set" => {
            vec!["put-inline-policy-to-permission-set", "delete-inline-policy-from-permission-set"]
        }
        "detach-managed-policy-from-permission-set" => vec!["attach-managed-policy-to-permission-set"],
        "provision-permission-set" => vec!["provision-permission-set"],
        other => panic!("{other}"),
    };
    for step in &steps {
        assert!(back(text(step, "/do/1")).contains(&text(step, "/undo/1")), "{step}");
    }
    let run = place.line(&format!("remediate show {}", plan.display()));
    assert!(run.code == Some(0) && run.stdout.contains("in place of standing access of"), "{run:?}");
    assert!(run.stdout.contains("-      \"Action\"") || run.stdout.contains("-        \""), "documents line by line");
    // One person's conversions leave what others hold.
    let one = place.path("one.json");
    place.rows(&format!("{AT} remediate plan --person raj.patel --advice convert-to-jit --out {}", one.display()));
    let proved = place.rows(&format!("{AT} remediate prove {}", one.display()));
    assert!(proved.iter().all(|row| row["verdict"] != "would_be_denied"), "{proved:#?}");
}

#[test]
fn taken_back_everything_is_what_it_was_and_nobody_ever_has_more() {
    let place = demo();
    let path = place.path("plan.json");
    place.rows(&format!("{AT} remediate plan --out {}", path.display()));
    let plan: jitscan::remediate::Plan = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let reader = jitscan::lake::Reader::open(&place.path("demo/store")).unwrap();
    let before = jitscan::cli::documents::load(&reader, "2026-11-01".parse().unwrap()).unwrap().snapshot;
    let after = plan.after(&before).unwrap();
    assert_ne!(after.accounts, before.accounts);
    assert!(jitscan::remediate::fresh::same(&plan.undone(&after).unwrap(), &before));
    assert!(!jitscan::remediate::fresh::same(&after, &before));
    // Taken back twice, or made twice, it does not fit.
    assert!(plan.undone(&before).is_err() && plan.after(&after).is_err());
    let catalog = jitscan::catalog::Catalog::get();
    let granted = |snapshot| {
        let all = jitscan::entitlements::entitlements(snapshot, catalog).principals;
        all.into_iter().map(|one| (one.arn.to_string(), one.granted)).collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (granted(&before), granted(&after));
    let mut less = BTreeSet::new();
    for (arn, left) in &new {
        // What a grant's role holds, the principal in whose place it stands held.
        let grant = plan.grants.iter().find(|grant| grant.role == *arn);
        let mut more = left.clone();
        more.subtract(&old[grant.map_or(arn, |grant| &grant.principal)]);
        assert!(more.is_empty(), "{arn} has more than before");
        if grant.is_none() && left.len() < old[arn].len() {
            less.insert(arn.as_str());
        }
    }
    // Of a permission set each of its roles has less.
    let narrowed = plan.changes.iter().filter(|change| change.removed > 0);
    let changed: BTreeSet<&str> = narrowed.flat_map(|change| change.holders()).collect();
    assert_eq!(less, changed, "every change that says so takes something");
    assert!(plan.changes.iter().any(|change| change.roles.len() > 1), "a permission set in two accounts");
    // Nothing is longer than IAM takes.
    for iam in after.accounts.values() {
        for policy in iam.policies.iter().filter(|policy| policy.arn.contains(":policy/jitscan/")) {
            assert!(jitscan::remediate::quota::size(&policy.json) <= jitscan::remediate::quota::MANAGED);
        }
    }
}

#[test]
fn what_code_manages_is_left_to_it_and_written_as_code() {
    let place = demo();
    let config = fs::read_to_string(place.path("demo/jitscan.toml")).unwrap();
    fs::write(place.path("demo/jitscan.toml"), format!("managed_by_code = [\"*:role/deploy\"]\n{config}")).unwrap();
    let deploy = |rows: &[Value], kind: &str| {
        let of = |row: &&Value| row["kind"] == kind && text(row, "/principal").ends_with(":role/deploy");
        rows.iter().filter(of).count()
    };
    let rows = place.rows(&format!("{AT} remediate plan --out plan.json"));
    assert_eq!((deploy(&rows, "change"), deploy(&rows, "left")), (0, 2), "{rows:#?}");
    let why =
        rows.iter().find(|row| row["kind"] == "left" && text(row, "/principal").ends_with(":role/deploy")).unwrap();
    assert!(text(why, "/why/0").contains("export"), "{why}");
    // So is what a pipeline changed, as the logs show.
    let pipelines = |rows: &[Value]| {
        let why = |row: &Value| row["why"][0].as_str().unwrap().to_owned();
        let told = rows.iter().filter(|row| row["kind"] == "left").map(why);
        told.filter(|why| why.starts_with("managed by a pipeline (repo:lantern-freight/platform:")).collect::<Vec<_>>()
    };
    let told = pipelines(&rows);
    assert!(
        told.len() == 2 && told.iter().any(|why| why.contains("called PutRolePolicy on it on 2026-10-20")),
        "{told:?}"
    );
    let rows = place.rows(&format!("{AT} remediate plan --managed-by-code --out plan.json"));
    assert!(pipelines(&rows).is_empty());
    assert_eq!((deploy(&rows, "change"), deploy(&rows, "left")), (2, 0), "{rows:#?}");
    place.rows(&format!("{AT} remediate export plan.json --as terraform --out code"));
    let code = fs::read_to_string(place.path("code/710293847561/main.tf")).unwrap();
    assert!(code.contains("id = \"deploy:deploy\""), "{code}");
}

#[test]
fn one_of_awss_own_policies_is_preferred_where_it_covers_the_use() {
    let place = demo();
    let role = "arn:aws:iam::583920174628:role/security-audit";
    let planned = |place: &super::Place| -> jitscan::remediate::Plan {
        place.rows(&format!("{AT} remediate plan --principal {role} --out plan.json"));
        serde_json::from_str(&fs::read_to_string(place.path("plan.json")).unwrap()).unwrap()
    };
    let calls = |plan: &jitscan::remediate::Plan| -> Vec<String> {
        plan.steps().map(|(_, _, step)| step.effect.arguments()[1].clone()).collect()
    };
    let before = planned(&place);
    assert_eq!(calls(&before), ["create-policy", "attach-role-policy", "detach-role-policy"]);
    let words = before.changes[0].steps[0].effect.arguments();
    let mut document: Value = serde_json::from_str(words.iter().find(|word| word.starts_with('{')).unwrap()).unwrap();
    // AWS has one that allows what stays, and something beside it that only shows what there is.
    let statement = &mut document["Statement"][0];
    assert_eq!(statement["Resource"], "*");
    let mut actions = statement["Action"].as_array().unwrap().clone();
    actions.push("iam:ListSAMLProviders".into());
    statement["Action"] = actions.into();
    let file = place.path("demo/input/iam/583920174628/authorization-details.json");
    let mut details: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let with = |details: &mut Value, document: &Value| {
        details["Policies"].as_array_mut().unwrap().push(serde_json::json!({
            "PolicyName": "NarrowAudit", "PolicyId": "ANPANARROW", "Arn": "arn:aws:iam::aws:policy/NarrowAudit", "Path": "/",
            "DefaultVersionId": "v1", "AttachmentCount": 0, "PermissionsBoundaryUsageCount": 0, "IsAttachable": true,
            "CreateDate": "2023-01-01T00:00:00+00:00", "UpdateDate": "2023-01-01T00:00:00+00:00",
            "PolicyVersionList": [{ "Document": document, "VersionId": "v1", "IsDefaultVersion": true,
                                    "CreateDate": "2023-01-01T00:00:00+00:00" }],
        }));
    };
    let plain = details.clone();
    with(&mut details, &document);
    fs::write(place.path("new.json"), details.to_string()).unwrap();
    let ingest = "--store demo/store ingest iam new.json --captured-at";
    assert_eq!(place.line(&format!("{ingest} 2026-11-01T00:00:00Z")).code, Some(0));
    let plan = planned(&place);
    assert_eq!(calls(&plan), ["attach-role-policy", "detach-role-policy"]);
    assert_eq!(plan.changes[0].steps[0].effect.arguments()[5], "arn:aws:iam::aws:policy/NarrowAudit");
    assert_eq!(plan.changes[0].removed + 1, before.changes[0].removed, "what it only shows beside stays");
    let proof = place.line(&format!("{AT} remediate prove plan.json"));
    assert!(proof.code == Some(0) && proof.stderr.contains(" 0 would be denied"), "{proof:?}");
    // One that allows something that should go does not do.
    document["Statement"][0]["Action"].as_array_mut().unwrap().push("iam:CreateUser".into());
    let mut details = plain;
    with(&mut details, &document);
    fs::write(place.path("new.json"), details.to_string()).unwrap();
    assert_eq!(place.line(&format!("{ingest} 2026-11-01T00:00:00Z")).code, Some(0));
    assert_eq!(calls(&planned(&place)), calls(&before));
}
