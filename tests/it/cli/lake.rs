//! `jitscan lake …`, and what ingest keeps.

use std::fs;

use super::*;
use crate::lake::record;

/// A store with events of two days.
fn stored() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    for (name, start) in [("a.json", 0), ("b.json", 86_400)] {
        let records: Vec<String> = (start..start + 50).map(record).collect();
        fs::write(place.path("logs").join(name), records.join("\n")).unwrap();
    }
    let run = place.line("ingest cloudtrail logs --archive --slim");
    assert_eq!(run.code, Some(0), "{run:?}");
    place
}

#[test]
fn a_plan_first_then_the_deed() {
    let place = stored();
    let plan = place.line("lake prune --before 2025-03-02 --format ndjson");
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.stderr.contains("nothing was removed; with --yes, what lies before 2025-03-02T00:00:00Z goes"));
    let row = &plan.rows()[1];
    assert_eq!((row["what"].as_str(), row["entries"].as_u64()), (Some("events"), Some(50)), "{plan:?}");
    assert!(plan.rows().iter().all(|row| row["done"] == false));
    let again = place.line("lake prune --before 2025-03-02 --format ndjson");
    assert_eq!(plan.stdout, again.stdout, "a plan changes nothing");
    let done = place.line("lake prune --before 2025-03-02 --yes --format ndjson");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(done.stdout, plan.stdout.replace("\"done\":false", "\"done\":true"));
    for yes in ["", " --yes"] {
        place.line(&format!("lake prune --before 2999-01-01{yes}")).fails(2, "lies after today");
    }
    let nothing = place.line("lake prune --before 2025-03-02 --yes --format ndjson");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""));
    assert!(nothing.stderr.contains("nothing lies before"));
    assert_eq!(place.rows("lake check").iter().filter(|row| row["status"] == "bad").count(), 0);
    let archive: Vec<_> = fs::read_dir(place.path("jitscan-store/archive")).unwrap().collect();
    assert_eq!(archive.len(), 1);
    let kept = archive.into_iter().next().unwrap().unwrap().path();
    assert_eq!(fs::read(kept).unwrap(), fs::read(place.path("logs/b.json")).unwrap());
}

#[test]
fn damage_is_1_and_named() {
    let place = stored();
    let sound = place.line("lake check");
    assert_eq!((sound.code, sound.stderr.as_str()), (Some(0), ""));
    let segment = fs::read_dir(place.path("jitscan-store/segments")).unwrap().next().unwrap().unwrap();
    let mut bytes = fs::read(segment.path()).unwrap();
    bytes[100] ^= 1;
    fs::write(segment.path(), bytes).unwrap();
    let run = place.line("lake check --format ndjson");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("the store is damaged"), "{run:?}");
    let bad: Vec<_> = run.rows().into_iter().filter(|row| row["status"] == "bad").collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    let name = segment.file_name().into_string().unwrap();
    assert_eq!(bad[0]["subject"].as_str().unwrap(), format!("segments/{name}"));
    place.line("lake prune --before 2025-03-02 --yes").fails(1, "BLAKE3 differs");
}

#[test]
fn no_store_is_made_by_looking_after_it() {
    let place = Place::new();
    for line in ["check", "compact", "prune --before 2025-01-01", "prune --before 2025-01-01 --yes"] {
        place.line(&format!("lake {line}")).fails(1, "there is no store at");
    }
    assert!(!place.path("jitscan-store").exists());
}

#[test]
fn names_that_steer_are_escaped() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    for name in [b"a\x1b[31m\n\xff.json".as_slice(), b"a\x1b[31m\n\xfe.json"] {
        fs::write(place.path("logs").join(OsStr::from_bytes(name)), format!("{}\n{{}}\n", record(name.len()))).unwrap();
    }
    let run = place.line("ingest cloudtrail logs");
    assert_eq!(run.code, Some(4), "{run:?}");
    let manifest = rusqlite::Connection::open(place.path("jitscan-store/manifest.sqlite")).unwrap();
    manifest.execute("DELETE FROM quarantine", []).unwrap();
    drop(manifest);
    for format in ["table", "csv", "md", "json"] {
        let run = place.line(&format!("lake check --format {format}"));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(!run.stdout.contains('\u{1b}') && run.stdout.contains("xff.json"), "{}", run.stdout);
    }
    assert_eq!(place.line("lake check --format csv").stdout.matches("stretches of it were set aside").count(), 2);
}
