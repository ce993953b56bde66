//! Stores in places whose names mean something to others.

use std::fs;

use jitscan::lake::{Effort, PartKind, Writer};
use jitscan::model::table::{Column, ColumnKind};
use jitscan::query::{LakeFiles, Limits, QueryInfo, Session, Tables};

use super::*;

/// Files of several commits with every kind of fact.
fn write_logs(folder: &Path) {
    logs(folder, 0..120, 30);
    let trail = record(2).replace("AssumeRole", "StopLogging").replace("sts.amazonaws", "cloudtrail.amazonaws");
    for n in 0..2 {
        let path = folder.join(format!("trail-{n}.json"));
        fs::write(path, trail.replace("\"e2\"", &format!("\"trail-{n}\""))).unwrap();
    }
}

/// The rows of some questions, as text.
fn ask(store: &Path, questions: &[&str]) -> Vec<String> {
    let reader = Reader::open(store).unwrap();
    let files = |kind| reader.parquet_files(kind);
    let lake = LakeFiles {
        events: files(PartKind::Events),
        usage: files(PartKind::Usage),
        shapes: files(PartKind::Shapes),
        sessions: files(PartKind::Sessions),
        issued: files(PartKind::Issued),
        coverage: files(PartKind::Coverage),
        trail_calls: files(PartKind::TrailCalls),
    };
    let assessment = crate::query::nothing_collected(options().now);
    let tables =
        Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
    let session = Session::open(&lake, &tables, Limits::default()).unwrap();
    let answer = |question: &&str| {
        let info = QueryInfo {
            name: "rows".into(),
            question: "Which rows?".into(),
            about: String::new(),
            parameters: vec![],
            columns: vec![Column::new("rows", ColumnKind::Text, "all of them")],
            sql: format!("SELECT string_agg(t::VARCHAR, '|' ORDER BY t::VARCHAR) AS rows FROM ({question}) t"),
        };
        format!("{:?}", session.run_info(&info, &BTreeMap::new()).unwrap().rows)
    };
    questions.iter().map(answer).collect()
}

#[test]
fn folders_that_look_like_columns() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    write_logs(&logs);
    let questions = [
        "SELECT DISTINCT account, region, strftime(time, '%Y-%m-%d'), session IS NULL, name FROM events",
        "SELECT account, region, day, sum(count), session IS NULL FROM usage GROUP BY ALL",
        "SELECT account, region, sum(count) FROM coverage GROUP BY ALL",
        "SELECT DISTINCT name, account FROM trail_calls",
        "SELECT * FROM sessions",
    ];
    let plain = folder.path().join("plain");
    let odd: Vec<PathBuf> =
        ["region=mars/st", "region=x/account=1/day=2023-01-01", "session=5/name=Evil/count=7", "t=1"]
            .iter()
            .map(|name| folder.path().join("odd").join(name))
            .collect();
    let options = IngestOptions { batch_files: 1, compact_over: 99, ..options() };
    let mut want: Option<(Contents, Vec<String>)> = None;
    for store in std::iter::once(&plain).chain(&odd) {
        ingest_cloudtrail(store, std::slice::from_ref(&logs), &options, &Quiet).unwrap();
        let told = || (contents(store), ask(store, &questions));
        let got = told();
        let want = want.get_or_insert_with(|| got.clone());
        assert!(&got == want, "{}: {:?}", store.display(), got.1);
        let mut writer = Writer::open(store, false, &Default::default()).unwrap();
        let compacted = writer.compact(Effort::Full, options.now).unwrap();
        assert!(compacted.kinds.iter().all(|kind| kind.files[1] == 1), "{compacted:?}");
        drop(writer);
        let got = told();
        assert!(&got == want, "{} compacted: {:?}", store.display(), got.1);
        let before = "2025-03-02".parse().unwrap();
        Writer::open(store, false, &Default::default()).unwrap().prune(before, options.now).unwrap();
        assert_clean(store);
    }
}

#[test]
fn a_store_within_the_logs_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write_logs(&root.join("logs"));
    let archive = IngestOptions { archive: true, ..options() };
    // Beside the logs, below them, and the very folder.
    for store in [root.join("st"), root.join("logs/st"), root.clone()] {
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&root), &archive, &Quiet).unwrap();
        assert_eq!(counts(&report).1, 122, "{}", store.display());
        let before = contents(&store);
        fs::write(root.join("logs/new.json"), record(5000)).unwrap();
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&root), &archive, &Quiet).unwrap();
        assert_eq!((counts(&report), report.sources[0].lost.len()), ((1, 1, 0, 0, 0), 0), "{}", store.display());
        assert!(report.sources[0].skipped.contains(&store) && report.sources[0].files == 7, "{report:?}");
        assert_eq!(contents(&store).events.len(), before.events.len() + 1);
        fs::remove_file(root.join("logs/new.json")).unwrap();
    }
    // What was archived is read where it is named.
    let other = folder.path().join("other");
    assert_eq!(counts(&ingest(&other, &root.join("archive"))).1, 123);
}

#[test]
fn no_store_is_made_where_nobody_could_read_it() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 5] = [b"a[1]", b"a*", b"what?", b"[", b"a\xff"];
    for name in names {
        let parent = folder.path().join(std::ffi::OsStr::from_bytes(name));
        for store in [parent.clone(), parent.join("st")] {
            let error = Writer::open(&store, false, &Default::default()).unwrap_err();
            assert!(error.to_string().contains("name another folder"), "{error}");
            assert!(!parent.exists(), "{error}");
        }
    }
    let store = folder.path().join("it's \"one\" of; -- {these} $x %y ]");
    ingest(&store, &{
        logs(&folder.path().join("logs"), 0..30, 10);
        folder.path().join("logs")
    });
    let mut writer = Writer::open(&store, false, &Default::default()).unwrap();
    writer.compact(Effort::Full, options().now).unwrap();
    drop(writer);
    assert_eq!(contents(&store).events.len(), 30);
}
