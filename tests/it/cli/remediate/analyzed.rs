//! `remediate prove --access-analyzer` against a server of a few lines, which answers as it is told.

use jitscan::policy::{DocumentKind, PolicyDocument};
use jitscan::remediate::Plan;
use jitscan::remediate::corroborate::questions;

use super::super::collect::{Answer, Front};
use super::super::recommend::{AT, demo, text};
use super::super::{Place, Run};

/// One finding about everything, which is no news where it was said of the policies before.
const FINDING: &str = r#"{"findings":[{"findingDetails":"Too open","findingType":"SECURITY_WARNING","issueCode":"OPEN",
    "learnMoreLink":"x","locations":[]}]}"#;

fn prove(place: &Place, front: &Front, form: &str) -> Run {
    let line = format!("{AT} {form} remediate prove plan.json --access-analyzer --endpoint-url {}", front.url);
    front.run(place, &line)
}

fn answering(no_new_access: (u16, &'static str)) -> Front {
    Front::new(move |operation: &str| -> Answer {
        let (status, body) = match operation.split('?').next().unwrap() {
            "policy/validation" => (200, FINDING),
            "policy/check-no-new-access" => no_new_access,
            other => panic!("nobody should ask for {other}"),
        };
        Some((status, "application/json", body.to_owned()))
    })
}

#[test]
fn access_analyzer_corroborates_a_proof_or_contradicts_it() {
    let place = demo();
    place.rows(&format!("{AT} remediate plan --principal prod-db-operator --out plan.json"));
    let plan: Plan = serde_json::from_str(&std::fs::read_to_string(place.path("plan.json")).unwrap()).unwrap();
    let reader = jitscan::lake::Reader::open(&place.path("demo/store")).unwrap();
    let before = jitscan::cli::documents::load(&reader, "2026-11-01".parse().unwrap()).unwrap().snapshot;
    let asked = questions(&plan, &before).unwrap();
    // What is left of the role, what the grant gives, and who may enter it.
    assert!(asked.not.is_empty() && asked.all.len() == 3, "{asked:#?}");
    for question in asked.all.iter().filter(|question| question.existing.is_some()) {
        for json in [Some(&question.policy), question.existing.as_ref()].into_iter().flatten() {
            assert!(PolicyDocument::parse(json, DocumentKind::Identity).is_ok(), "{json}");
        }
    }
    let front = answering((200, r#"{"result":"PASS","message":"nothing new"}"#));
    let run = prove(&place, &front, "--format ndjson");
    assert_eq!(run.code, Some(0), "{run:?}");
    let rows = run.rows();
    let said: Vec<(&str, &str)> = rows
        .iter()
        .filter(|row| text(row, "/action") == "CheckNoNewAccess")
        .map(|row| (text(row, "/verdict"), text(row, "/why")))
        .collect();
    assert_eq!(said, [("corroborated", "PASS: nothing new"); 2], "{rows:#?}");
    assert!(rows.iter().all(|row| text(row, "/action") != "ValidatePolicy"), "it says the same of what was before");
    let calls = front.asked();
    assert_eq!(calls.iter().filter(|call| call.starts_with("policy/validation")).count(), 2 * asked.all.len());
    let told = prove(&place, &front, "");
    assert!(told.stderr.contains("3 documents: 3 are corroborated, 0 contradicted"), "{told:?}");

    let front = answering((
        200,
        r#"{"result":"FAIL","message":"more","reasons":[{"description":"more of it","statementIndex":0}]}"#,
    ));
    let run = prove(&place, &front, "--format ndjson");
    assert_eq!(run.code, Some(3), "{run:?}");
    let contradicted = run.rows();
    let contradicted: Vec<&str> = contradicted
        .iter()
        .filter(|row| text(row, "/verdict") == "contradicted")
        .map(|row| text(row, "/why"))
        .collect();
    assert_eq!(contradicted, ["FAIL: more of it: Statement[0]"; 2]);

    let front = answering((403, r#"{"__type":"AccessDeniedException","message":"no"}"#));
    let run = prove(&place, &front, "");
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stderr.contains("it needs access-analyzer:CheckNoNewAccess"), "{run:?}");
    assert!(run.stderr.contains("3 documents: 1 are corroborated, 0 contradicted, 2 could not be asked"), "{run:?}");
    // Where it is not asked for, nobody is asked.
    assert_eq!(place.line(&format!("{AT} remediate prove plan.json")).code, Some(0));
}
