//! The layering rules of ARCHITECTURE.md, enforced: which folder may import which, who may print, and who may
//! name the heavy libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folder → folders that it may import (`crate::<folder>`). A folder may always import itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("catalog", &["model"]),
    ("policy", &["catalog", "model"]),
    ("usage", &["catalog", "model"]),
    ("collect", &["model"]),
    ("fetch", &["model"]),
    ("lake", &["model", "usage"]),
    ("integrity", &["model"]),
    ("decide", &["policy", "catalog", "model"]),
    ("entitlements", &["decide", "policy", "catalog", "model"]),
    ("compare", &["entitlements", "decide", "usage", "policy", "catalog", "model"]),
    ("findings", &["compare", "model"]),
    ("compliance", &["findings", "compare", "model"]),
    ("query", &["findings", "compare", "model"]),
    ("recommend", &["findings", "compare", "entitlements", "decide", "usage", "policy", "catalog", "model"]),
    (
        "remediate",
        &["recommend", "findings", "compare", "entitlements", "decide", "usage", "policy", "catalog", "model"],
    ),
    ("executor", &["remediate", "fetch", "collect", "model"]),
    ("report", &["recommend", "compliance", "findings", "compare", "model"]),
    ("demo", &["model"]),
    (
        "cli",
        &[
            "report",
            "executor",
            "remediate",
            "recommend",
            "compliance",
            "query",
            "findings",
            "compare",
            "entitlements",
            "decide",
            "usage",
            "policy",
            "catalog",
            "collect",
            "fetch",
            "lake",
            "integrity",
            "demo",
            "model",
        ],
    ),
];

/// Library → the only folders (or folders within them) that may name it.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("duckdb", &["query", "lake"]),
    ("polars", &["lake"]),
    ("rusqlite", &["lake"]),
    ("ring", &["integrity"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli"]),
    ("indicatif", &["cli"]),
    ("minijinja", &["report"]),
    ("aws_config", &["fetch"]),
    ("aws_sdk_accessanalyzer", &["fetch"]),
    ("aws_sdk_account", &["fetch"]),
    ("aws_sdk_cloudtrail", &["fetch"]),
    ("aws_sdk_dynamodb", &["fetch"]),
    ("aws_sdk_ecr", &["fetch"]),
    ("aws_sdk_iam", &["executor", "fetch"]),
    ("aws_sdk_kms", &["fetch"]),
    ("aws_sdk_lambda", &["fetch"]),
    ("aws_sdk_identitystore", &["fetch"]),
    ("aws_sdk_organizations", &["fetch"]),
    ("aws_sdk_s3", &["fetch"]),
    ("aws_sdk_secretsmanager", &["fetch"]),
    ("aws_sdk_sns", &["fetch"]),
    ("aws_sdk_sqs", &["fetch"]),
    ("aws_sdk_ssoadmin", &["executor", "fetch"]),
    ("aws_sdk_sts", &["fetch"]),
    ("tokio", &["executor", "fetch"]),
];

/// Text that only the named folders may hold: printing, the clock, the file system.
const MAY_SAY: &[(&str, &[&str])] = &[
    ("println!", &["cli"]),
    ("eprintln!", &["cli"]),
    ("print!(", &["cli"]),
    ("std::io::stdout", &["cli"]),
    ("SystemTime::now", &["cli"]),
    ("Timestamp::now", &["cli"]),
    ("std::fs", &["lake", "integrity", "executor/ledger.rs", "cli", "report", "query", "catalog/build"]),
    // Who writes puts its process into the lock, so that the next one can say who holds it.
    ("std::env::", &["cli", "executor/ledger.rs", "lake/disk.rs"]),
];

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The code of a file without line comments and without its `#[cfg(test)] mod tests { … }` tail.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `text` as a whole path segment followed by `::`, or as `use word;`.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (head, tail) = text.split_at(at);
        let before = head.chars().next_back();
        let after = tail.strip_prefix(word).unwrap_or(tail);
        let bounded = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '"' && c != '.');
        bounded && (after.starts_with("::") || after.starts_with(" as ") || after.starts_with(';'))
    })
}

fn folder_of(path: &Path, root: &Path) -> Option<String> {
    let relative = path.strip_prefix(root).unwrap();
    let first = relative.components().next()?.as_os_str().to_str()?.to_owned();
    (!matches!(first.as_str(), "lib.rs" | "main.rs" | "bin")).then_some(first)
}

#[test]
fn every_folder_keeps_to_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let may_import: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut broken = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for path in &files {
        let Some(folder) = folder_of(path, &root) else { continue };
        // Test modules in files of their own may reach further: they build worlds.
        if path.file_stem().is_some_and(|stem| stem == "tests") || path.components().any(|c| c.as_os_str() == "tests") {
            continue;
        }
        let here = path.strip_prefix(&root).unwrap();
        let shown = here.display();
        let Some(allowed) = may_import.get(folder.as_str()) else {
            broken.insert(format!("{shown}: the folder `{folder}` has no layer; add it to MAY_IMPORT"));
            continue;
        };
        let text = code(path);
        for (other, _) in MAY_IMPORT {
            if *other != folder && text.contains(&format!("crate::{other}")) && !allowed.contains(other) {
                broken.insert(format!("{shown}: `{folder}` may not import `{other}`"));
            }
        }
        for (library, folders) in MAY_NAME {
            if names(&text, library) && !folders.iter().any(|may| here.starts_with(may)) {
                broken.insert(format!("{shown}: only {folders:?} may name `{library}`"));
            }
        }
        for (words, folders) in MAY_SAY {
            if text.contains(words) && !folders.iter().any(|may| here.starts_with(may)) {
                broken.insert(format!("{shown}: only {folders:?} may say `{words}`"));
            }
        }
        seen.insert(folder);
    }
    assert!(seen.len() >= 10, "the walk found only {seen:?}");
    assert!(broken.is_empty(), "{}", broken.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_checks_can_fail() {
    assert!(names("use duckdb::Connection;", "duckdb"));
    assert!(names("let x = polars::prelude::DataFrame::empty();", "polars"));
    assert!(!names("let my_duckdb::x", "duckdb"));
    assert!(!names("\"duckdb::\"", "duckdb"));
}
