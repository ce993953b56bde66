//! The same records in every form that people hold: what the lake makes of them equals what it makes of the trail
//! files. The writers in `write.rs` follow AWS's pages and share nothing with the readers.

mod write;

use std::collections::BTreeSet;

use jitscan::catalog::Catalog;
use jitscan::demo::{DemoOptions, Sink, generate};
use jitscan::model::snapshot::Snapshot;
use jitscan::usage::activity::Join;
use jitscan::usage::block::UsageBlock;
use jitscan::usage::identity::Resolver;
use jitscan::usage::people::People;
use serde_json::Value;

use super::*;

/// Records of the made-up organisation, every twenty-fifth, and every third of invictus where it is at hand.
fn records() -> Vec<Value> {
    #[derive(Default)]
    struct Trails(Vec<Value>, BTreeSet<String>);
    impl Sink for Trails {
        fn file(&mut self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
            if path.contains("/CloudTrail/") {
                let mut plain = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut plain)?;
                let document: Value = serde_json::from_slice(&plain).unwrap();
                for record in document["Records"].as_array().unwrap() {
                    if self.1.insert(record["eventID"].as_str().unwrap().to_owned()) {
                        self.0.push(record.clone());
                    }
                }
            }
            Ok(())
        }
    }
    let mut trails = Trails::default();
    generate(DemoOptions::default(), &mut trails).unwrap();
    let mut all: Vec<Value> = trails.0.into_iter().step_by(25).collect();
    if let Some(folder) = shared("invictus/CloudTrail") {
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            all.extend(document["Records"].as_array().unwrap().iter().step_by(3).cloned());
        }
    }
    all
}

/// What `jitscan usage` shows, a text a row.
fn usage(store: &Path) -> BTreeSet<String> {
    let reader = Reader::open(store).unwrap();
    let (snapshot, catalog) = (Snapshot::default(), Catalog::get());
    let people = People::of(&snapshot);
    let (sessions, issued) = (reader.sessions().unwrap(), reader.issued().unwrap());
    let actors = Resolver::new(&snapshot, &people, &sessions, &issued).resolve_all();
    let rows = reader.usage(all_time()).unwrap();
    let mut join = Join::new(&sessions, &actors, catalog);
    let mut block = UsageBlock::default();
    rows.iter().for_each(|row| block.push(&row.view()));
    join.add(&block);
    reader.lone_copies(all_time(), &sessions, &mut |block| join.add(block)).unwrap();
    let activity = join.finish();
    activity
        .rows
        .iter()
        .map(|(key, used)| {
            format!(
                "{:?} {} {} {} {} {} {used:?}",
                key.principal,
                key.person,
                catalog.action(key.action).unwrap().full_name(),
                key.resource,
                key.account,
                key.region
            )
        })
        .collect()
}

fn store(folder: &Path, name: &str, file: &str, bytes: &[u8]) -> PathBuf {
    let (logs, store) = (folder.join(format!("{name}-logs")), folder.join(format!("{name}-store")));
    std::fs::create_dir_all(logs.join(file).parent().unwrap()).unwrap();
    std::fs::write(logs.join(file), bytes).unwrap();
    let report = ingest(&store, &logs);
    let row = &report.sources[0];
    let reader = Reader::open(&store).unwrap();
    let reasons: Vec<String> = reader.quarantine().unwrap().into_iter().take(3).map(|row| row.reason).collect();
    assert_eq!((row.files, row.quarantined, row.incomplete), (1, 0, 0), "{name}: {:?} {reasons:?}", row.lost);
    assert!(row.lost.is_empty() && row.skipped.is_empty(), "{name}: {row:?}");
    store
}

fn missing(wanted: &BTreeSet<String>, found: &BTreeSet<String>) -> String {
    let show =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).take(3).cloned().collect::<Vec<_>>().join("\n");
    format!("only in the trail files:\n{}\nonly in the form:\n{}", show(wanted, found), show(found, wanted))
}

#[test]
fn every_form_counts_what_the_trail_files_count() {
    let records = records();
    let folder = tempfile::tempdir().unwrap();
    let trail = store(folder.path(), "trail", "a.json.gz", &gz(&write::trail(&records)));
    let (wanted, contents) = (usage(&trail), contents(&trail));
    assert!(wanted.len() > 300, "{}", wanted.len());
    // All exact forms and the trail file in one folder: each record is read as often as there are forms, and once.
    let mixed = folder.path().join("mixed");
    std::fs::create_dir(&mixed).unwrap();
    let exact = write::exact(&records);
    for (name, file, bytes) in &exact {
        let path = mixed.join(name).join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(mixed.join("trail.json.gz"), gz(&write::trail(&records))).unwrap();
    std::fs::write(mixed.join("credential-report.csv"), "user,arn\nroot,x\n").unwrap();
    std::fs::write(mixed.join("aws-logs-write-test"), "Permission Check Successful").unwrap();
    let both = folder.path().join("mixed-store");
    let report = ingest(&both, &mixed);
    let (events, forms) = (records.len() as u64, exact.len() as u64 + 1);
    assert_eq!(counts(&report), (forms * events, events, (forms - 1) * events, 0, 0));
    assert_eq!((report.sources[0].files, report.sources[0].skipped.len()), (forms, 2), "{:?}", report.sources[0]);
    assert!(super::contents(&both) == contents, "another content");
    for (name, file, bytes) in write::lossy(&records, folder.path()) {
        let found = store(folder.path(), name, file, &bytes);
        assert_eq!(Reader::open(&found).unwrap().event_count(), records.len() as u64, "{name}");
        let found = usage(&found);
        assert!(found == wanted, "{name}: {}", missing(&wanted, &found));
    }
}
