//! Stores that were damaged, are not there, or are not stores: a clear error, and nothing of anybody's is removed.

use std::fs;

use super::*;
use crate::lake::record;

fn stored() -> Place {
    let place = Place::new();
    fs::write(place.path("log.json"), format!("[{},{}]", record(1), record(2))).unwrap();
    assert_eq!(place.ingest(&place.path("log.json")).code, Some(0));
    assert_eq!(place.line("usage --as-of 2025-04-01").code, Some(0));
    place
}

fn parts(place: &Place, folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(place.path("jitscan-store").join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn files_cut_short_missing_or_garbled() {
    for folder in ["segments", "folds"] {
        for at in 0..parts(&stored(), folder).len() {
            for how in ["truncate", "remove", "garble"] {
                let place = stored();
                let path = parts(&place, folder).remove(at);
                let length = fs::metadata(&path).unwrap().len() as usize;
                match how {
                    "truncate" => fs::write(&path, &fs::read(&path).unwrap()[..length / 2]).unwrap(),
                    "remove" => fs::remove_file(&path).unwrap(),
                    _ => fs::write(&path, vec![0x55; length]).unwrap(),
                }
                let run = place.line("query run events_of_ip --param source_ip=192.0.2.1 --as-of 2025-04-01");
                let name = path.file_name().unwrap().to_str().unwrap();
                run.fails(1, name);
                if how != "garble" {
                    run.fails(1, "is damaged");
                    place.line("usage --as-of 2025-04-01").fails(1, name);
                }
            }
        }
    }
}

#[test]
fn ids_cut_short_stop_an_ingest() {
    let place = stored();
    let path = parts(&place, "ids").remove(0);
    fs::write(&path, b"short").unwrap();
    fs::write(place.path("more.json"), record(1)).unwrap();
    place.line("ingest cloudtrail more.json").fails(1, "is damaged");
    fs::remove_file(&path).unwrap();
    place.line("ingest cloudtrail more.json").fails(1, "ids");
}

#[test]
fn manifests_that_cannot_be_trusted() {
    let sql = |place: &Place, sql: &str| {
        rusqlite::Connection::open(place.path("jitscan-store/manifest.sqlite")).unwrap().execute_batch(sql).unwrap();
    };
    type Change<'a> = &'a dyn Fn(&Place);
    let manifest = "jitscan-store/manifest.sqlite";
    let cases: [(Change<'_>, &str); 7] = [
        (&|p| fs::write(p.path(manifest), "hello, this is no database\n").unwrap(), "not a database"),
        (&|p| fs::write(p.path(manifest), &fs::read(p.path(manifest)).unwrap()[..20_000]).unwrap(), "malformed"),
        (&|p| fs::write(p.path(manifest), "").unwrap(), "missing or empty"),
        (&|p| sql(p, "UPDATE kv SET value = '99' WHERE key = 'format'"), "has format 99"),
        (&|p| sql(p, "UPDATE kv SET value = '2.1' WHERE key = 'format'"), "which format"),
        (&|p| sql(p, "DELETE FROM kv"), "which format"),
        (&|p| sql(p, "DROP TABLE kv"), "which format"),
    ];
    for (change, said) in cases {
        let place = stored();
        change(&place);
        let before: Vec<_> = ["segments", "folds", "ids"].map(|folder| parts(&place, folder)).into();
        for command in ["usage", "scan", "query run quarantine", "report --soc2", "ingest cloudtrail log.json"] {
            place.line(command).fails(1, said);
        }
        let after: Vec<_> = ["segments", "folds", "ids"].map(|folder| parts(&place, folder)).into();
        assert_eq!(before, after, "{said}: nothing was removed");
    }
}

#[test]
fn a_lost_manifest_is_not_made_anew_over_the_events() {
    let place = stored();
    let before = parts(&place, "segments");
    fs::remove_file(place.path("jitscan-store/manifest.sqlite")).unwrap();
    place.line("ingest cloudtrail log.json").fails(1, "missing or empty");
    assert_eq!(parts(&place, "segments"), before);
}

#[test]
fn files_of_somebody_else_are_left_alone() {
    let place = Place::new();
    fs::write(place.path("log.json"), record(1)).unwrap();
    fs::create_dir_all(place.path("home/documents")).unwrap();
    fs::write(place.path("home/documents/thesis.txt"), "years of work").unwrap();
    place.line("--store home ingest cloudtrail log.json").fails(1, "name another folder");
    assert!(place.path("home/documents/thesis.txt").exists());
    assert!(!place.path("home/manifest.sqlite").exists());
    // Nor in a store.
    let place = stored();
    fs::write(place.path("jitscan-store/documents/note.txt"), "mine").unwrap();
    fs::create_dir(place.path("jitscan-store/segments/folder")).unwrap();
    fs::write(place.path("jitscan-store/segments/events-2025-03-00000099.parquet"), "an orphan").unwrap();
    fs::write(place.path("more.json"), record(7)).unwrap();
    assert_eq!(place.line("ingest cloudtrail more.json").code, Some(0));
    assert!(place.path("jitscan-store/documents/note.txt").exists());
    assert!(place.path("jitscan-store/segments/folder").exists());
    assert!(!place.path("jitscan-store/segments/events-2025-03-00000099.parquet").exists());
}

#[test]
fn no_store() {
    let place = Place::new();
    for command in [
        "scan",
        "usage",
        "entitlements",
        "coverage",
        "findings list",
        "findings show x",
        "query run quarantine",
        "report --soc2",
    ] {
        place.line(command).fails(1, "there is no store at ./jitscan-store; ingest something first");
    }
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0, "reading makes nothing");
    fs::write(place.path("file"), "").unwrap();
    place.line("--store file ingest cloudtrail file").fails(1, "cannot create ");
    fs::create_dir(place.path("empty")).unwrap();
    place.line("--store empty usage").fails(1, "there is no store at empty");
}

#[test]
fn an_unreadable_trust_policy_is_a_gap() {
    let place = Place::new();
    let role = serde_json::json!({"RoleDetailList": [{
        "RoleName": "odd", "Arn": "arn:aws:iam::111122223333:role/odd", "RoleId": "AROAODD", "Path": "/",
        "CreateDate": "2020-01-01T00:00:00Z", "AssumeRolePolicyDocument": {"Statement": [{"Effect": "Perhaps"}]},
        "RolePolicyList": [], "AttachedManagedPolicies": [], "InstanceProfileList": [], "Tags": []}]});
    fs::write(place.path("iam.json"), role.to_string()).unwrap();
    let file = place.path("iam.json");
    place.run(["ingest", "iam", file.to_str().unwrap(), "--captured-at", "2026-01-01"]);
    let scan = place.run(["scan", "--as-of", "2026-02-01", "--format", "json"]);
    let whole: Value = serde_json::from_str(&scan.stdout).unwrap();
    let gaps = whole["meta"]["gaps"].as_array().unwrap();
    let said = |gap: &Value| {
        gap["what"].as_str().is_some_and(|what| what.contains("trust policy of arn:aws:iam::111122223333:role/odd"))
    };
    assert!(gaps.iter().any(said), "{gaps:?}");
}
