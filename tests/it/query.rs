//! Named queries: the list in the program against the folder, and answers against a plain reader of the same logs.

// The lints that spare tests know a test module by this.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::Path;

use jitscan::compare::assessment::Assessment;
use jitscan::lake::{IngestOptions, PartKind, Quiet, Reader, ingest_cloudtrail};
use jitscan::model::table::{Cell, Table};
use jitscan::model::time::{Timestamp, Window};
use jitscan::query::{LakeFiles, Limits, QUERIES, Session, Tables, list, show};

use crate::lake::shared;

#[test]
fn the_program_has_every_file_of_the_folder_and_no_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".sql").map(str::to_owned))
        .collect();
    let names: Vec<&str> = QUERIES.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted(), "the list is by name");
    assert_eq!(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), files);
    assert!(names.len() >= 10);
}

#[test]
fn every_header_is_complete_and_questions_are_questions() {
    for info in list().unwrap() {
        assert!(info.question.ends_with('?'), "{}: {}", info.name, info.question);
        assert!(info.columns.iter().all(|column| !column.about.is_empty()));
        assert_eq!(show(&info.name).unwrap(), Some(info));
    }
    assert_eq!(show("no_such_query").unwrap(), None);
}

#[test]
fn nothing_is_formatted_into_a_query() {
    for info in list().unwrap() {
        assert!(!info.sql.contains('{') && !info.sql.contains("||"), "{}", info.name);
        for column in &info.columns {
            assert!(!column.name.is_empty());
        }
    }
}

pub fn nothing_collected(as_of: Timestamp) -> Assessment {
    Assessment {
        as_of,
        window: Window::last_days(as_of, 90),
        generation: 0,
        snapshot: String::new(),
        catalogue: "0".into(),
        privileged_set: "0".into(),
        accounts: vec![],
        principals: vec![],
        credentials: vec![],
        shared: Vec::new(),
        ended: std::collections::BTreeMap::new(),
        coverage: vec![],
        gaps: vec![],
    }
}

/// What a JSON reader counts in the same files, without the lake and without SQL.
fn counted(folder: &Path, holds: impl Fn(&serde_json::Value) -> bool) -> usize {
    let mut number = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        number += document["Records"].as_array().unwrap().iter().filter(|record| holds(record)).count();
    }
    number
}

fn sum(table: &Table, column: &str) -> i64 {
    let at = table.columns.iter().position(|known| known.name == column).unwrap();
    table.rows.iter().map(|row| if let Cell::Integer(n) = row[at] { n } else { 0 }).sum()
}

#[test]
fn queries_over_real_logs_agree_with_a_plain_reader() {
    let Some(folder) = shared("invictus/CloudTrail") else { return };
    let store = tempfile::tempdir().unwrap();
    let options = IngestOptions::new("2023-07-11T00:00:00Z".parse().unwrap());
    ingest_cloudtrail(store.path(), std::slice::from_ref(&folder), &options, &Quiet).unwrap();
    let reader = Reader::open(store.path()).unwrap();
    let lake = LakeFiles {
        events: reader.parquet_files(PartKind::Events),
        usage: reader.parquet_files(PartKind::Usage),
        shapes: reader.parquet_files(PartKind::Shapes),
        sessions: reader.parquet_files(PartKind::Sessions),
        issued: reader.parquet_files(PartKind::Issued),
        coverage: reader.parquet_files(PartKind::Coverage),
        trail_calls: reader.parquet_files(PartKind::TrailCalls),
    };
    let assessment = nothing_collected("2023-07-11T00:00:00Z".parse().unwrap());
    let tables =
        Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
    let session = Session::open(&lake, &tables, Limits::default()).unwrap();
    let run = |name: &str, given: &[(&str, &str)]| {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        session.run(name, &given).unwrap()
    };
    for info in list().unwrap() {
        let given: Vec<(&str, &str)> =
            info.parameters.iter().filter(|p| p.required).map(|p| (p.name.as_str(), "x")).collect();
        run(&info.name, &given);
    }
    let key = "AKIATFQR7NSC8Q4X20BJ";
    let of_key = counted(&folder, |record| record["userIdentity"]["accessKeyId"] == key);
    assert_eq!(sum(&run("access_key_activity", &[("access_key", key)]), "calls"), of_key as i64);
    let address = "192.168.10.20";
    let of_address = counted(&folder, |record| record["sourceIPAddress"] == address);
    assert_eq!(run("events_of_ip", &[("source_ip", address), ("limit", "100000")]).rows.len(), of_address);
    let changes = counted(&folder, |record| {
        record["readOnly"] == false
            && ["iam.amazonaws.com", "organizations.amazonaws.com", "rolesanywhere.amazonaws.com"]
                .iter()
                .any(|source| record["eventSource"] == *source)
    });
    assert_eq!(run("iam_changes", &[]).rows.len(), changes);
    let without_mfa = counted(&folder, |record| {
        record["eventName"] == "ConsoleLogin" && record["additionalEventData"]["MFAUsed"] == "No"
    });
    assert_eq!(run("console_sign_ins_without_mfa", &[]).rows.len(), without_mfa);
    assert!(of_key > 2000 && of_address > 2000 && changes > 80 && without_mfa == 1, "the data is what it was");
    let denied = run("denied_calls", &[]);
    let layer = denied.columns.iter().position(|column| column.name == "layer").unwrap();
    assert!(denied.rows.iter().any(|row| row[layer] == Cell::from("identity-based policy")));
    assert!(run("root_activity", &[]).rows.is_empty());
}
