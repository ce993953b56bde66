//! `lake check`: whatever is damaged is found and named.

use std::fs;

use jitscan::lake::{CheckReport, CheckStatus, Effort, PartKind, Writer, check};

use super::*;

/// A store with everything in it: two months, several files a kind, quarantine, documents, originals, conflicts.
struct Sound {
    folder: tempfile::TempDir,
}

impl Sound {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let logs_folder = folder.path().join("logs");
        for (start, month) in [(0, "03"), (5000, "04")] {
            fs::create_dir_all(&logs_folder).unwrap();
            for file in 0..3 {
                let records: Vec<String> = (start + file * 700..start + file * 700 + 400)
                    .map(record)
                    .chain([record(start).replace("aws-cli/2", &format!("aws-cli/{month}-{file}")), "{}".to_owned()])
                    .map(|record| record.replace("\"2025-03-", &format!("\"2025-{month}-")))
                    .collect();
                fs::write(logs_folder.join(format!("{month}-{file}.json")), records.join("\n")).unwrap();
            }
        }
        let store = folder.path().join("store");
        let options = IngestOptions { batch_files: 1, archive: true, compact_over: 99, ..options() };
        ingest_cloudtrail(&store, &[logs_folder], &options, &Quiet).unwrap();
        let mut writer = Writer::open(&store, false, &Default::default()).unwrap();
        writer.put_document("iam", None, options.now, "a.json", b"a document", options.now).unwrap();
        drop(writer);
        assert_clean(&store);
        Self { folder }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A copy of the store, damaged, and what is bad of it.
    fn damaged(&self, damage: impl FnOnce(&Path)) -> (tempfile::TempDir, CheckReport) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.store(), copy.path());
        damage(copy.path());
        let report = check(copy.path()).unwrap();
        (copy, report)
    }

    fn file(&self, folder: &str, part: &str) -> String {
        let mut names: Vec<String> = fs::read_dir(self.store().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(part))
            .collect();
        names.sort();
        format!("{folder}/{}", names[names.len() / 2])
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy_folder(&entry.path(), &target) } else { drop(fs::copy(entry.path(), target)) }
    }
}

fn bad(report: &CheckReport) -> Vec<String> {
    let bad = report.rows.iter().filter(|row| row.status == CheckStatus::Bad);
    bad.map(|row| format!("{} {}: {}", row.check, row.subject, row.detail)).collect()
}

fn sql(store: &Path, statement: &str) -> usize {
    rusqlite::Connection::open(store.join("manifest.sqlite")).unwrap().execute(statement, []).unwrap()
}

#[test]
fn a_sound_store_says_what_was_looked_at() {
    let sound = Sound::new();
    let report = check(&sound.store()).unwrap();
    assert!(report.generation > 6);
    let checks: Vec<&str> = report.rows.iter().filter(|r| r.status == CheckStatus::Ok).map(|row| row.check).collect();
    assert_eq!(
        checks,
        [
            "manifest",
            "generations",
            "parts",
            "contents",
            "usage",
            "shapes",
            "coverage",
            "sessions",
            "issued",
            "trail_calls",
            "ids",
            "quarantine",
            "files",
            "digests",
            "origins",
            "documents",
            "archive",
            "folders"
        ]
    );
    let info: Vec<_> = report.rows.iter().filter(|row| row.status == CheckStatus::Info).collect();
    assert_eq!(info.len(), 1, "{info:?}");
    assert!(info[0].subject == "conflicts" && info[0].detail.starts_with("6 events"), "{info:?}");
    let mut writer = Writer::open(&sound.store(), false, &Default::default()).unwrap();
    let compacted = writer.compact(Effort::Full, options().now).unwrap();
    drop(writer);
    let events = compacted.kinds.iter().find(|kind| kind.kind == "events").unwrap();
    assert_eq!((events.files, events.rows[0], events.rows[1]), ([6, 2], 2406, 2406));
    let ids = compacted.kinds.iter().find(|kind| kind.kind == "ids").unwrap();
    assert_eq!((ids.files, ids.rows), ([6, 1], [2406, 2406]));
    assert_clean(&sound.store());
    assert!(matches!(check(sound.folder.path()), Err(jitscan::lake::LakeError::Missing { .. })));
}

#[test]
fn every_kind_of_file_is_looked_at() {
    let sound = Sound::new();
    let mut files: Vec<String> = PartKind::ALL
        .iter()
        .filter(|k| !matches!(k, PartKind::TrailCalls | PartKind::Events))
        .map(|kind| sound.file("folds", kind.as_str()))
        .collect();
    files.extend([sound.file("segments", "events"), sound.file("ids", "ids")]);
    files.extend([sound.file("documents", "zst"), sound.file("archive", "json")]);
    assert_eq!(files.len(), 9);
    for name in &files {
        let length = fs::metadata(sound.store().join(name)).unwrap().len() as usize;
        type Damage<'d> = (&'d str, &'d dyn Fn(&Path));
        let damages: [Damage<'_>; 5] = [
            ("a byte flipped in the middle", &|path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[length / 2] ^= 1;
                fs::write(path, bytes).unwrap();
            }),
            ("the last byte flipped", &|path| {
                let mut bytes = fs::read(path).unwrap();
                *bytes.last_mut().unwrap() ^= 0x80;
                fs::write(path, bytes).unwrap();
            }),
            ("cut short", &|path| fs::write(path, &fs::read(path).unwrap()[..length / 2]).unwrap()),
            ("grown", &|path| fs::write(path, [fs::read(path).unwrap(), vec![0]].concat()).unwrap()),
            ("deleted", &|path| fs::remove_file(path).unwrap()),
        ];
        for (how, damage) in damages {
            // What follows the frame of a packed document is no part of it.
            if name.starts_with("documents") && how == "grown" {
                continue;
            }
            let (_copy, report) = sound.damaged(|store| damage(&store.join(name)));
            let bad = bad(&report);
            assert!(!report.is_clean() && bad.iter().any(|row| row.contains(name.as_str())), "{name} {how}: {bad:?}");
            assert!(bad.iter().all(|row| row.contains(name.as_str())), "{name} {how}: others are named too: {bad:?}");
        }
    }
    // Two files change places.
    let (a, b) = (sound.file("segments", "2025-03"), sound.file("segments", "2025-04"));
    let (_copy, report) = sound.damaged(|store| {
        fs::rename(store.join(&a), store.join("x")).unwrap();
        fs::rename(store.join(&b), store.join(&a)).unwrap();
        fs::rename(store.join("x"), store.join(&b)).unwrap();
    });
    let bad = bad(&report);
    assert!(bad.iter().any(|row| row.contains(&a)) && bad.iter().any(|row| row.contains(&b)), "{bad:?}");
}

#[test]
fn a_manifest_that_was_edited() {
    let sound = Sound::new();
    let part = sound.file("segments", "2025-03");
    let usage = sound.file("folds", "usage");
    let pack = sound.file("ids", "ids");
    for (statement, names) in [
        (format!("UPDATE parts SET rows = rows + 1 WHERE name = '{part}'"), vec!["generations", part.as_str()]),
        (format!("UPDATE parts SET rows = rows + 1 WHERE name = '{usage}'"), vec![usage.as_str()]),
        (format!("UPDATE parts SET first = first + 1 WHERE name = '{part}'"), vec![part.as_str()]),
        (format!("UPDATE parts SET last = last - 1 WHERE name = '{usage}'"), vec![usage.as_str()]),
        (format!("UPDATE parts SET month = '2024-01' WHERE name = '{part}'"), vec![part.as_str(), "usage 2024-01"]),
        (format!("UPDATE parts SET hash = '00' WHERE name = '{part}'"), vec![part.as_str()]),
        (format!("UPDATE parts SET kind = 'odd' WHERE name = '{usage}'"), vec![usage.as_str(), "usage 2025-"]),
        (format!("UPDATE parts SET fold_version = 99 WHERE name = '{usage}'"), vec![usage.as_str()]),
        (format!("UPDATE parts SET name = '../../etc/passwd' WHERE name = '{part}'"), vec!["../../etc/passwd"]),
        (format!("DELETE FROM parts WHERE name = '{usage}'"), vec!["usage 2025-", "calls, the events have"]),
        (format!("DELETE FROM parts WHERE name = '{part}'"), vec!["generations", "usage 2025-03", "ids "]),
        ("DELETE FROM parts WHERE kind = 'sessions' AND month = '2025-04'".to_owned(), vec!["sessions 2025-04"]),
        ("DELETE FROM parts WHERE kind = 'shapes' AND month = '2025-04'".to_owned(), vec!["shapes 2025-04"]),
        ("DELETE FROM parts WHERE kind = 'coverage' AND month = '2025-04'".to_owned(), vec!["coverage 2025-04"]),
        ("DELETE FROM parts WHERE kind = 'events' AND month = '2025-04'".to_owned(), vec!["issued 2025-04"]),
        ("UPDATE generations SET events = events + 1 WHERE id = 2".to_owned(), vec!["generations"]),
        ("DELETE FROM generations WHERE id = 2".to_owned(), vec!["generations"]),
        ("UPDATE files SET stored = stored + 1".to_owned(), vec!["files", "03-1.json"]),
        ("UPDATE files SET stored = stored + 1, read = read + 1".to_owned(), vec!["files", "the generations"]),
        ("UPDATE files SET quarantined = 0, read = read - quarantined".to_owned(), vec!["quarantine", "04-2.json"]),
        ("DELETE FROM quarantine WHERE file LIKE '%04-1.json'".to_owned(), vec!["quarantine", "04-1.json"]),
        ("UPDATE files SET status = 'fine'".to_owned(), vec!["files"]),
        (format!("UPDATE id_runs SET count = count - 1 WHERE pack = '{pack}'"), vec!["ids", "no entry", pack.as_str()]),
        (format!("UPDATE id_runs SET count = 1 << 60 WHERE pack = '{pack}'"), vec!["shorter than the manifest says"]),
        ("UPDATE id_runs SET hour = hour + 24 * 365".to_owned(), vec!["ids", "have no entry", "no events"]),
        ("UPDATE id_runs SET account = '000000000000'".to_owned(), vec!["ids", "have no entry", "have no event"]),
        ("DELETE FROM packs".to_owned(), vec!["no such pack is known"]),
        (format!("UPDATE packs SET hash = '00' WHERE name = '{pack}'"), vec![pack.as_str()]),
        ("UPDATE documents SET hash = replace(hash, 'a', 'b')".to_owned(), vec!["documents"]),
        ("UPDATE documents SET bytes = 1".to_owned(), vec!["documents"]),
        ("UPDATE archive SET name = '../x' WHERE path LIKE '%03-0.json'".to_owned(), vec!["archive ../x"]),
    ] {
        let (_copy, report) = sound.damaged(|store| assert!(sql(store, &statement) > 0, "{statement}"));
        let bad = bad(&report).join("\n");
        assert!(!report.is_clean(), "{statement}");
        for name in names {
            assert!(bad.contains(name), "{statement}: `{name}` is not named in:\n{bad}");
        }
    }
    // Pages of the database itself.
    let (copy, _) = sound.damaged(|_| {});
    let path = copy.path().join("manifest.sqlite");
    drop(rusqlite::Connection::open(&path).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 4096;
    bytes[at..at + 64].fill(0xee);
    fs::write(&path, bytes).unwrap();
    assert!(check(copy.path()).map_or(true, |report| !report.is_clean()));
}

/// A part that was written by somebody else, with a manifest row that fits it.
fn plant(store: &Path, kind: &str, query: &str) {
    let folder = if kind == "events" { "segments" } else { "folds" };
    let name = format!("{folder}/{kind}-2025-03-777-00000001.parquet");
    let path = store.join(&name);
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection.execute_batch(&format!("COPY ({query}) TO '{}' (FORMAT parquet)", path.display())).unwrap();
    let bytes = fs::read(&path).unwrap();
    let rows: i64 = connection
        .query_row(&format!("SELECT count(*) FROM read_parquet('{}')", path.display()), [], |row| row.get(0))
        .unwrap();
    let manifest = rusqlite::Connection::open(store.join("manifest.sqlite")).unwrap();
    manifest
        .execute(
            "INSERT INTO parts (kind, month, name, rows, bytes, hash, first, last, fold_version, generation)
             SELECT ?1, '2025-03', ?2, ?3, ?4, ?5, min(first), max(last), 1, 1 FROM parts WHERE month = '2025-03'",
            rusqlite::params![kind, name, rows, bytes.len() as i64, blake3::hash(&bytes).to_hex().to_string()],
        )
        .unwrap();
    if kind == "events" {
        manifest.execute("UPDATE generations SET events = events + ?1 WHERE id = 1", [rows]).unwrap();
    }
}

#[test]
fn what_fits_the_manifest_but_not_the_rest() {
    let sound = Sound::new();
    let of = |kind: &str, folder: &str| {
        format!("read_parquet('{}')", sound.store().join(sound.file(folder, &format!("{kind}-2025-03"))).display())
    };
    let (events, usage, shapes) = (of("events", "segments"), of("usage", "folds"), of("shapes", "folds"));
    let (sessions, coverage, issued) = (of("sessions", "folds"), of("coverage", "folds"), of("issued", "folds"));
    for (kind, query, names) in [
        (
            "events",
            format!("SELECT * FROM {events} LIMIT 1"),
            vec!["ids 111122223333, hour", "stand twice (e", "usage"],
        ),
        (
            "events",
            format!("SELECT * REPLACE ('new' AS event_id) FROM {events} LIMIT 1"),
            vec!["1 events have no entry (new)", "coverage 2025-03"],
        ),
        ("usage", format!("SELECT * FROM {usage} LIMIT 1"), vec!["usage 2025-03", "account 111122223333"]),
        ("usage", format!("SELECT * REPLACE (0 AS count) FROM {usage} LIMIT 1"), vec!["times and counts cannot be"]),
        (
            "usage",
            format!("SELECT * REPLACE (count + 1 AS several) FROM {usage} LIMIT 1"),
            vec!["times and counts cannot be"],
        ),
        ("usage", format!("SELECT * EXCLUDE (slots_3) FROM {usage} LIMIT 1"), vec!["usage 2025-03"]),
        ("shapes", format!("SELECT * FROM {shapes} LIMIT 1"), vec!["shapes 2025-03"]),
        ("coverage", format!("SELECT * FROM {coverage} LIMIT 1"), vec!["coverage 2025-03: 2025-03-01"]),
        (
            "sessions",
            format!("SELECT * REPLACE (1::UBIGINT AS session) FROM {sessions} LIMIT 1"),
            vec!["1 sessions are of no event"],
        ),
        (
            "sessions",
            format!("SELECT * REPLACE ('x' AS user_name) FROM {sessions} LIMIT 1"),
            vec!["1 sessions have two identities"],
        ),
        ("issued", format!("SELECT * REPLACE ('x' AS event_id) FROM {issued} LIMIT 1"), vec!["issued 2025-03: 1 cred"]),
        (
            "issued",
            format!("SELECT * REPLACE (time + INTERVAL 1 YEAR AS time) FROM {issued} LIMIT 1"),
            vec!["lie outside of 2025-03", "speaks of"],
        ),
    ] {
        let (_copy, report) = sound.damaged(|store| plant(store, kind, &query));
        let bad = bad(&report).join("\n");
        for name in names {
            assert!(bad.contains(name), "{query}: `{name}` is not named in:\n{bad}");
        }
    }
    // One call less and one more: the sums of calls agree, the calls do not.
    let (_copy, report) = sound.damaged(|store| {
        let changed = format!(
            "SELECT * REPLACE (CASE WHEN name = 'ListUsers' THEN 'ListRoles' ELSE name END AS name) FROM {usage}"
        );
        plant(store, "usage", &changed);
        let removed = sound.file("folds", "usage-2025-03");
        assert_eq!(sql(store, &format!("DELETE FROM parts WHERE name = '{removed}'")), 1);
    });
    println!("{:?}", report.rows);
    let found = bad(&report).join("\n");
    assert!(found.contains("but not the same or not at the same times"), "{found}");
}

#[test]
fn what_is_no_damage_is_said_as_such() {
    let sound = Sound::new();
    let (_copy, report) = sound.damaged(|store| {
        use std::os::unix::fs::PermissionsExt;
        fs::write(store.join("segments/events-2025-03-000-00000099.parquet"), "left over").unwrap();
        fs::write(store.join("folds/notes.txt"), "mine").unwrap();
        fs::set_permissions(store.join(sound.file("ids", "ids")), fs::Permissions::from_mode(0o644)).unwrap();
    });
    assert!(report.is_clean());
    let said = |text: &str| report.rows.iter().filter(|row| row.detail.contains(text)).count();
    assert_eq!([said("no generation names it"), said("not of the store")], [1, 1]);
    // The copy's own folder, those within it, its two new files, and the one that was opened.
    assert_eq!(said("others than its owner"), 10);
}

/// A store with calls that changed trails, credentials and digests; two months, nothing twice.
fn with_notes(folder: &Path, slim: bool) -> PathBuf {
    let (store, logs) = (folder.join(format!("store-{slim}")), folder.join("logs"));
    let day = logs.join("AWSLogs/111122223333/CloudTrail/eu-west-1/2025/03/01");
    fs::create_dir_all(&day).unwrap();
    let trail = record(6).replace("AssumeRole", "StopLogging").replace("sts.amazonaws", "cloudtrail.amazonaws");
    let without_id = record(2).replace("\"eventID\":\"e2\",", "");
    let failed = record(10).replace("\"responseElements\":{", "\"responseElements\":null,\"other\":{");
    let later = record(14).replace("2025-03", "2025-04");
    let lines = [record(0), record(1), trail, without_id, failed, later];
    fs::write(day.join("111122223333_CloudTrail_eu-west-1_20250301T0005Z_a.json"), lines.join("\n")).unwrap();
    let digests = logs.join("AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2025/03/01");
    fs::create_dir_all(&digests).unwrap();
    let digest = r#"{"awsAccountId":"111122223333","digestStartTime":"2025-03-01T00:00:00Z","digestEndTime":"2025-03-01T01:00:00Z","digestS3Object":"","logFiles":[]}"#;
    let name = "111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_20250301T010000Z.json";
    fs::write(digests.join(name), digest).unwrap();
    let options = IngestOptions { slim, ..options() };
    ingest_cloudtrail(&store, &[logs], &options, &Quiet).unwrap();
    assert_clean(&store);
    store
}

#[test]
fn what_single_events_and_paths_say() {
    let folder = tempfile::tempdir().unwrap();
    for slim in [false, true] {
        let store = with_notes(folder.path(), slim);
        let reader = Reader::open(&store).unwrap();
        // The fifth record is of a call that succeeded and shows no key: somebody has one.
        let keys: Vec<_> = reader.issued().unwrap().into_iter().map(|issued| issued.access_key).collect();
        assert_eq!(keys, ["", "ASIAX14", "ASIAX2"]);
        assert_eq!(reader.trail_calls().unwrap().len(), 1);
        assert_eq!(reader.digest_spans().unwrap().len(), 1);
        drop(reader);
        for (statement, name) in [
            ("DELETE FROM parts WHERE kind = 'trail_calls'", "trail_calls 2025-03: 1 calls that may change trails"),
            ("DELETE FROM parts WHERE kind = 'issued'", "issued 2025-03: 1 events show credentials"),
            ("DELETE FROM digests", "for which hours it speaks"),
            ("UPDATE digests SET first = last + 1", "no such digest was read"),
            ("UPDATE files SET kind = 'log' WHERE kind = 'digest'", "no such digest was read"),
            ("UPDATE files SET kind = 'digest' WHERE kind = 'log'", "for which hours it speaks"),
            ("UPDATE files SET kind = 'insight' WHERE kind = 'log'", "its kind is not that"),
            ("UPDATE files SET account = '444455556666'", "not those of its path"),
            ("UPDATE files SET region = 'mars'", "not those of its path"),
            ("UPDATE files SET delivered = 0", "not those of its path"),
            ("UPDATE files SET first = first + 1 WHERE kind = 'log'", "the manifest says otherwise"),
            ("UPDATE files SET first = first - 1 WHERE kind = 'log'", "the manifest says otherwise"),
            ("UPDATE files SET last = last - 1 WHERE kind = 'log'", "the manifest says otherwise"),
            ("UPDATE files SET first = NULL WHERE kind = 'log'", "the manifest says otherwise"),
            ("UPDATE files SET path = path || 'x', delivered = 1 WHERE kind = 'log'", "said to have brought events"),
        ] {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(&store, copy.path());
            assert!(sql(copy.path(), statement) > 0, "{statement}");
            let report = check(copy.path()).unwrap();
            let found = bad(&report).join("\n");
            if slim && statement.contains("'issued'") {
                // What responses showed is known from nowhere else.
                let info = |row: &&jitscan::lake::CheckRow| row.detail.contains("none is listed");
                assert_eq!((found.as_str(), report.rows.iter().filter(info).count()), ("", 2));
            } else {
                assert!(found.contains(name), "slim {slim}: {statement}: `{name}` is not in:\n{found}");
            }
        }
        // Pruned and compacted, it is as sound as before.
        let mut writer = Writer::open(&store, false, &Default::default()).unwrap();
        writer.prune("2025-03-15".parse().unwrap(), options().now).unwrap();
        writer.compact(Effort::Full, options().now).unwrap();
        drop(writer);
        assert_clean(&store);
        assert_eq!(Reader::open(&store).unwrap().trail_calls().unwrap().len(), 1);
    }
}

#[test]
fn others_may_not_look() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = with_notes(folder.path(), false);
    let open = || {
        let report = check(&store).unwrap();
        let rows = report.rows.into_iter().filter(|row| row.detail.contains("others than its owner"));
        rows.map(|row| row.subject).collect::<Vec<_>>()
    };
    assert!(open().is_empty(), "{:?}", open());
    for (name, mode) in [("", 0o755), ("manifest.sqlite", 0o644), ("writer.lock", 0o640), ("ids", 0o701)] {
        fs::set_permissions(store.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir_all(store.join("spill")).unwrap();
    fs::set_permissions(store.join("spill"), fs::Permissions::from_mode(0o777)).unwrap();
    // SQLite makes its side files as open as the database.
    let side = ["manifest.sqlite-shm", "manifest.sqlite-wal"];
    assert_eq!(open(), ["ids", "manifest.sqlite", side[0], side[1], "spill", "the store's folder", "writer.lock"]);
}
