//! Plans that change permission sets, and what is refused of those that somebody wrote by hand.

use std::collections::BTreeMap;

use jitscan::catalog::Catalog;
use jitscan::model::snapshot::{Assignment, SetBoundary, Snapshot};
use jitscan::remediate::effect::Effect;
use jitscan::remediate::safety::{self, Limits};
use jitscan::remediate::set_effect::{SetChange, SetEffect};
use jitscan::remediate::{Plan, Step};
use serde_json::Value;

use super::super::Place;
use super::super::recommend::{AT, demo, text};
use super::after::{LATER, all_records, applied, denied, made_by, read, snapshot};

fn planned(place: &Place) -> (Plan, Snapshot) {
    place.rows(&format!("{AT} remediate plan --principal AWSReservedSSO_SupportEngineer --out plan.json"));
    (read(&place.path("plan.json")), snapshot(place))
}

pub(super) fn objections(plan: &Plan, before: &Snapshot) -> Vec<String> {
    let Ok(after) = plan.after(before) else { return vec!["it does not fit".to_owned()] };
    safety::objections(&safety::Inputs {
        plan,
        before,
        after: &after,
        executors: &BTreeMap::new(),
        caller: "",
        break_glass: &[],
        may_return: None,
        going_on: false,
        limits: Limits { principals: 100, share: 100 },
        at: "2026-11-01".parse().unwrap(),
        catalog: Catalog::get(),
    })
}

/// A step with the one that takes it back, as the state says.
fn step(of: &Step, before: &Snapshot, change: SetChange) -> Step {
    let Effect::Set(SetEffect { instance, set, .. }) = &of.effect else { panic!("{of:?}") };
    let effect = Effect::Set(SetEffect { change, instance: instance.clone(), set: set.clone() });
    let undo = effect.make_in(&mut before.clone(), "902716354820".parse().unwrap()).unwrap();
    Step { about: "by hand".into(), effect, undo }
}

#[test]
fn a_set_that_its_tags_say_is_managed_as_code_is_left_to_it() {
    let place = demo();
    let file = std::fs::read_to_string(place.path("demo/input/identity-center.json")).unwrap();
    let mut center: Value = serde_json::from_str(&file).unwrap();
    for set in center["PermissionSets"].as_array_mut().unwrap() {
        if set["Name"] == "SupportEngineer" {
            set["Tags"] = serde_json::json!([{ "Key": "managed-by", "Value": "Terraform" }]);
        }
    }
    std::fs::write(place.path("center.json"), center.to_string()).unwrap();
    let run = place.line("--store demo/store ingest identity-center center.json --captured-at 2026-11-01T01:00:00Z");
    assert_eq!(run.code, Some(0), "{run:?}");
    let plan = |more: &str| {
        let line = format!("{LATER} remediate plan --principal AWSReservedSSO_SupportEngineer {more} --out plan.json");
        let run = place.line(&line);
        assert!(run.code == Some(0) && !run.stderr.contains("tags"), "{run:?}");
        read(&place.path("plan.json"))
    };
    let left = plan("");
    assert!(left.changes.is_empty() && left.grants.is_empty(), "{left:#?}");
    assert!(left.left.iter().any(|one| one.why.contains("managed by Terraform (tag managed-by)")), "{left:#?}");
    assert_eq!(plan("--managed-by-code").changes.len(), 1);
    // Whoever may not read tags is told what that costs.
    let sets = center["PermissionSets"].as_array_mut().unwrap();
    sets.iter_mut().for_each(|set| drop(set.as_object_mut().unwrap().remove("Tags")));
    std::fs::write(place.path("center.json"), center.to_string()).unwrap();
    let run = place.line("--store demo/store ingest identity-center center.json --captured-at 2026-11-01T01:00:01Z");
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = place.line(&format!("{LATER} remediate plan --principal AWSReservedSSO_SupportEngineer --out plan.json"));
    assert!(run.stderr.contains("no tags were collected of 1 of the permission sets"), "{run:?}");
    // Where tags may not be read anew, those that are known stay.
    let mut known = snapshot(&place).identity_center.unwrap();
    let mut now = known.clone();
    now.permission_sets.retain(|set| set.name == "SupportEngineer");
    let arn = now.permission_sets[0].arn.clone();
    known.permission_sets.iter_mut().filter(|set| set.arn == arn).for_each(|set| {
        set.tags = Some([("managed-by".to_owned(), "Terraform".to_owned())].into());
    });
    known.replace(&[arn.as_str()].into(), now);
    assert!(known.permission_sets.iter().any(|set| set.arn == arn && set.tags.is_some()));
}

#[test]
fn what_somebody_wrote_by_hand_widens_nothing() {
    let place = demo();
    let (plan, before) = planned(&place);
    assert_eq!((plan.changes.len(), plan.grants.len()), (1, 1), "{plan:#?}");
    assert_eq!(objections(&plan, &before), Vec::<String>::new());
    let refused = |plan: &Plan, before: &Snapshot, why: &str| {
        let found = objections(plan, before);
        assert!(found.iter().any(|one| one.contains(why)), "{why}: {found:#?}");
    };
    let everything = SetBoundary::Managed("arn:aws:iam::aws:policy/AdministratorAccess".into());
    // Its bounds.
    let mut other = plan.clone();
    let more = step(
        &other.changes[0].steps[0],
        &before,
        SetChange::PutPermissionsBoundaryToPermissionSet { boundary: everything.clone() },
    );
    other.changes[0].steps.insert(1, more);
    refused(&other, &before, "which is not its own");
    // More than it held.
    let mut other = plan.clone();
    let wide = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#;
    other.changes[0].steps[1] =
        step(&plan.changes[0].steps[0], &before, SetChange::PutInlinePolicyToPermissionSet { document: wide.into() });
    refused(&other, &before, "could do more than before");
    let mut other = plan.clone();
    let more =
        SetChange::AttachManagedPolicyToPermissionSet { policy: "arn:aws:iam::aws:policy/AdministratorAccess".into() };
    other.changes[0].steps.insert(1, step(&plan.changes[0].steps[0], &before, more));
    refused(&other, &before, "could do more than before");
    // Without bringing its roles to it, or as if it had others.
    let mut other = plan.clone();
    other.changes[0].steps.pop();
    refused(&other, &before, "behind what it says");
    let mut other = plan.clone();
    other.changes[0].roles.push("arn:aws:iam::710293847561:role/deploy".into());
    refused(&other, &before, "has other roles");
    let mut other = plan.clone();
    other.changes[0].account = "710293847561".parse().unwrap();
    refused(&other, &before, "does not own");
    // Another set.
    let sets = &before.identity_center.as_ref().unwrap().permission_sets;
    let admin = sets.iter().find(|set| set.name == "AdministratorAccess").unwrap().arn.clone();
    let mut other = plan.clone();
    for step in &mut other.changes[0].steps {
        let (Effect::Set(effect), Effect::Set(undo)) = (&mut step.effect, &mut step.undo) else { panic!() };
        (effect.set, undo.set) = (admin.clone(), admin.clone());
    }
    assert!(!objections(&other, &before).is_empty());
    // Twice, so that it counts once.
    let mut other = plan.clone();
    let mut again = plan.changes[0].clone();
    again.steps = vec![plan.changes[0].steps[0].clone()];
    other.changes.extend([again.clone(), again]);
    refused(&other, &before, "names a principal twice");
    // An account of which nothing is known.
    let mut state = before.clone();
    state.identity_center.as_mut().unwrap().assignments.push(Assignment {
        account: "111122223333".parse().unwrap(),
        permission_set: plan.changes[0].principal.clone(),
        is_group: true,
        principal_id: "g".into(),
    });
    refused(&plan, &state, "of which nothing is known");
    // A grant beyond the accounts of the set, without its bounds, or for a set that is there.
    let mut other = plan.clone();
    other.grants[0].reach.insert("583920174628".parse().unwrap(), vec!["emily.clarke@lanternfreight.example".into()]);
    refused(&other, &before, "would reach account 583920174628");
    let mut other = plan.clone();
    let created = {
        let mut state = before.clone();
        plan.grants[0].steps[0].effect.make_in(&mut state, "902716354820".parse().unwrap()).unwrap();
        state
    };
    let bounds = SetChange::PutPermissionsBoundaryToPermissionSet { boundary: everything };
    other.grants[0].steps.push(step(&plan.grants[0].steps[0], &created, bounds));
    refused(&other, &before, "would let in others");
    let mut other = plan;
    for step in &mut other.grants[0].steps {
        let (Effect::Set(effect), Effect::Set(undo)) = (&mut step.effect, &mut step.undo) else { panic!() };
        (effect.set, undo.set) = ("SupportEngineer".into(), "SupportEngineer".into());
    }
    other.grants[0].role = "SupportEngineer".into();
    assert!(!objections(&other, &before).is_empty());
}

#[test]
fn who_is_denied_by_a_permission_set_is_shown_and_given_nothing_back() {
    let place = demo();
    let (plan, _) = planned(&place);
    applied(&place, &plan);
    let all = all_records(&place);
    let secret = made_by(&all, "AWSReservedSSO_SupportEngineer", "GetSecretValue");
    denied(&place, "later", &[(secret, "2026-11-02T09:00:00Z", "")]);
    let run = place.line(&format!("{LATER} remediate watch plan.json --format ndjson"));
    assert_eq!(run.code, Some(3), "{run:?}");
    let rows = run.rows();
    let row: &Value = rows.iter().find(|row| text(row, "/action") == "secretsmanager:GetSecretValue").unwrap();
    assert!(text(row, "/principal").contains("AWSReservedSSO_SupportEngineer"), "{row}");
    assert!(text(row, "/through").starts_with("jit-SupportEngineer-"), "{row}");
    assert!(!text(row, "/restored").starts_with("may be"), "{row}");
}
