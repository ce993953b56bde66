//! The case files in `cases/`: what is asked, what AWS's documentation says the answer is, and which layer gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jitscan::catalog::Catalog;
use jitscan::decide::Decide;
use jitscan::decide::case::Case;
use jitscan::decide::compile::Compiler;
use jitscan::policy::Operator;
use serde_json::Value;

use super::oracle;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/decide/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn lines() -> Vec<(String, Value)> {
    let mut out = Vec::new();
    for file in files() {
        for (at, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let name = format!("{}:{}", file.file_name().unwrap().to_str().unwrap(), at + 1);
            let case = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}"));
            out.push((name, case));
        }
    }
    out
}

#[test]
fn every_case_is_decided_as_written_and_by_the_layer_that_is_written() {
    let compiler = Compiler::deciding(Catalog::get());
    let mut wrong = Vec::new();
    let lines = lines();
    for (name, written) in &lines {
        let case = Case::parse(&written.to_string(), &compiler).unwrap_or_else(|error| panic!("{name}: {error}"));
        let decision = case.policies.explain(&case.request);
        let expected = written["expected"].as_str().unwrap_or_else(|| panic!("{name}: no `expected`"));
        if decision.answer.as_str() != expected {
            wrong.push(format!("{name}: expected {expected}, decided {}", decision.answer.as_str()));
            continue;
        }
        assert_eq!(case.policies.decide(&case.request), decision.answer, "{name}: deciding and explaining differ");
        if let Some(layers) = written["expected_layer"].as_array() {
            let expected: Vec<&str> = layers.iter().map(|layer| layer.as_str().unwrap()).collect();
            let found: Vec<&str> = decision.decided_by.iter().map(|layer| layer.as_str()).collect();
            if expected != found {
                wrong.push(format!("{name}: {} by {expected:?}, found {found:?}", decision.answer.as_str()));
            }
        }
    }
    assert!(lines.len() >= 1_500, "only {} cases", lines.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

#[test]
fn the_oracle_decides_the_cases_alike() {
    let wrong: Vec<String> = lines()
        .iter()
        .filter(|(_, case)| oracle::decide(case) != case["expected"].as_str().unwrap())
        .map(|(name, case)| format!("{name}: expected {}, oracle {}", case["expected"], oracle::decide(case)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The files have no holes: every operator with every outcome, every pair of layers.
#[test]
fn every_operator_and_every_pair_of_layers_is_covered() {
    let text: String = files().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for operator in Operator::ALL {
        for form in ["", "ForAllValues:", "ForAnyValue:"] {
            let name = format!("\"{form}{}\"", operator.as_str());
            let pointless = *operator == Operator::Null && !form.is_empty();
            assert!(pointless || text.contains(&name), "no case has {name}");
        }
        let lenient = format!("\"{}IfExists\"", operator.as_str());
        assert!(*operator == Operator::Null || text.contains(&lenient), "no case has {lenient}");
    }
    const LAYERS: [(&str, &str); 7] = [
        ("identity", "identity_policies"),
        ("boundary", "permission_boundaries"),
        ("session", "session_policy"),
        ("scp", "scps"),
        ("rcp", "rcps"),
        ("resource", "resource_policy"),
        ("vpc_endpoint", "vpc_endpoint_policies"),
    ];
    let mut seen: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for (_, case) in lines() {
        let has = |field: &str| case.get(field).is_some_and(|value| !value.is_null());
        for (at, (first, one)) in LAYERS.iter().enumerate() {
            for (second, other) in LAYERS.iter().skip(at + 1) {
                if has(one) && has(other) {
                    seen.entry((first, second)).or_default().insert(case["expected"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    assert_eq!(seen.len(), 21, "{:?}", seen.keys());
    for (pair, answers) in seen {
        assert!(answers.len() >= 3, "{pair:?} has only {answers:?}");
    }
}
