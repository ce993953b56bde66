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
    let tables = Tables { assessment: &assessment, findings: &[], activity: &[], quarantine: &[], attribution: &[] };
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
