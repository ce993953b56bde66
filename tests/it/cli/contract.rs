//! What scripts rely on: field names, formats, and the same bytes for the same inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::*;
use crate::lake::{record, shared};

/// What analysis is asked for here.
const AT: &str = "--as-of 2025-03-02 --window 30d";

/// A store with events, an administrator, credentials and a person: small, so that many commands can be tried.
fn fill(place: &Place, store: &str, threads: usize) {
    if !place.path("logs").exists() {
        crate::lake::logs(&place.path("logs"), 0..300, 20);
        fs::write(place.path("details.json"), arguments::ADMINISTRATOR).unwrap();
        fs::write(place.path("report.csv"), ingest::REPORT).unwrap();
        fs::write(place.path("roster.csv"), ingest::ROSTER).unwrap();
    }
    for line in [
        "cloudtrail logs",
        "iam details.json --captured-at 2025-02-01",
        "credential-report report.csv --captured-at 2025-02-01",
        "roster roster.csv --captured-at 2025-02-01",
    ] {
        let run = place.line(&format!("--store {store} --threads {threads} ingest {line}"));
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
    }
}

/// Field names by the command that the schema gives them to.
fn schema(place: &Place) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in place.rows("schema") {
        assert!(!row["about"].as_str().unwrap().is_empty(), "{row}");
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        fields.entry(text("command")).or_default().push(text("field"));
    }
    fields
}

#[test]
fn fields_are_those_of_the_schema_in_every_format() {
    let place = Place::new();
    fill(&place, "jitscan-store", 2);
    // For the documents that are only made up there.
    let demo = place.line("demo --output-dir demo --format csv");
    assert_eq!(demo.code, Some(0), "{demo:?}");
    let case = r#"{"id":"one","request":{"principal":{"type":"Anonymous"},"action":"s3:GetObject","resource":"*"}}"#;
    fs::write(place.path("cases.jsonl"), case).unwrap();
    fs::write(place.path("trails.json"), r#"{"trailList":[]}"#).unwrap();
    fs::write(place.path("account.json"), r#"{"AccountId":"111122223333","SummaryMap":{"Users":1}}"#).unwrap();
    fs::write(place.path("accessed.json"), r#"{"AccountId":"111122223333","LastAccessedDetails":[]}"#).unwrap();
    fs::write(place.path("analyzers.json"), r#"{"AccountId":"111122223333","Analyzers":[]}"#).unwrap();
    fs::write(place.path("resources.json"), r#"{"AccountId":"111122223333","Services":[]}"#).unwrap();
    let corpus = crate::integrity::generate::Corpus::small();
    corpus.download(&place.path("chains"), crate::integrity::generate::Sidecars::Newest);
    fs::write(place.path("keys.json"), corpus.keys.to_string()).unwrap();
    let schema = schema(&place);
    assert!(demo.stdout.starts_with(&format!("{}\n", schema["scan, findings, demo"].join(","))));
    let at = AT;
    let documents = "ingest iam, credential-report, roster, organization, identity-center";
    let more = "ingest trails, account, last-accessed, access-analyzer, resource-policies, public-keys";
    let explained = place.rows(&format!("{at} recommend"))[0]["id"].as_str().unwrap().to_owned();
    let made_up = "--store demo/store --as-of 2026-11-01";
    let mut cases: Vec<(String, String)> = [
        ("ingest cloudtrail", "ingest cloudtrail logs --store new".to_owned()),
        (documents, "ingest iam details.json --store new".to_owned()),
        (documents, "ingest credential-report report.csv --store new".to_owned()),
        (documents, "ingest roster roster.csv --store new".to_owned()),
        (documents, "ingest organization demo/input/organization.json --store new".to_owned()),
        (documents, "ingest identity-center demo/input/identity-center.json --store new".to_owned()),
        (more, "ingest trails trails.json --store new".to_owned()),
        (more, "ingest account account.json --store new".to_owned()),
        (more, "ingest last-accessed accessed.json --store new".to_owned()),
        (more, "ingest access-analyzer analyzers.json --store new".to_owned()),
        (more, "ingest resource-policies resources.json --store new".to_owned()),
        (more, "ingest public-keys keys.json --store new".to_owned()),
        ("lake check", "lake check".to_owned()),
        ("lake documents", "lake documents".to_owned()),
        ("lake compact", "lake compact".to_owned()),
        ("lake prune", "lake prune --before 2025-04-01".to_owned()),
        ("coverage", format!("{at} coverage")),
        ("coverage --heatmap", format!("{at} coverage --heatmap")),
        ("logs verify", "logs verify chains --public-keys keys.json --all".to_owned()),
        ("scan, findings, demo", format!("{at} scan")),
        ("scan, findings, demo", format!("{at} findings list")),
        ("entitlements", format!("{at} entitlements --principal admin --action iam:*")),
        ("usage", format!("{at} usage")),
        ("can", format!("{at} can admin iam:CreateUser --no-other-context")),
        ("who-can", format!("{at} who-can iam:CreateUser --no-other-context")),
        ("policy test (from statements on with --explain)", "policy test cases.jsonl --explain".to_owned()),
        ("escalations", format!("{at} escalations")),
        ("escalations --list", "escalations --list".to_owned()),
        ("remediate plan", format!("{at} remediate plan --out plan.json")),
        ("remediate show", "remediate show plan.json".to_owned()),
        ("remediate prove", format!("{at} remediate prove plan.json")),
        ("remediate list", "remediate list".to_owned()),
        ("remediate shadow", format!("{at} remediate shadow plan.json")),
        ("remediate export", format!("{at} remediate export plan.json --as terraform --out code")),
        ("recommend", format!("{at} recommend")),
        ("recommend --curve", format!("{at} recommend --curve")),
        ("recommend --combinations", format!("{at} recommend --combinations")),
        ("recommend --automation", format!("{at} recommend --automation")),
        ("recommend --weeks", format!("{at} recommend --weeks")),
        ("recommend --explain", format!("{at} recommend --explain {explained}")),
        ("recommend --phished", format!("{made_up} recommend --phished mara.lindqvist")),
        ("recommend --policies", format!("{made_up} recommend --policies --principal legacy-etl")),
        ("catalog action", "catalog action s3:Get*".to_owned()),
        ("catalog event, events", "catalog event s3.amazonaws.com ListObjects".to_owned()),
        ("report", format!("{at} report --soc2 --output-dir out")),
        ("query list", "query list".to_owned()),
    ]
    .map(|(command, line)| (command.to_owned(), line))
    .into();
    cases.extend(
        queries(&place)
            .into_iter()
            .map(|(name, params)| (format!("query run {name}"), format!("{at} query run {name}{params}"))),
    );
    let mut described: BTreeSet<&String> = cases.iter().map(|(command, _)| command).collect();
    // They ask AWS: fields are looked at in `cli::collect` and, of `watch`, in `cli::remediate::after`; those of `apply` and
    // `rollback` in tests/wire.
    described.extend(schema.keys().filter(|c| {
        c.starts_with("collect")
            || ["policy validate", "remediate apply, rollback", "remediate watch"].contains(&c.as_str())
    }));
    assert_eq!(described, schema.keys().collect(), "every command of the schema is tried, and every command is in it");
    for (command, line) in &cases {
        let want = &schema[command];
        let ndjson = place.rows(line);
        for row in &ndjson {
            assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), want.iter().collect::<Vec<_>>(), "{line}");
        }
        let csv = place.line(&format!("{line} --format csv"));
        let mut reader = csv::Reader::from_reader(csv.stdout.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), *want, "{line}");
        let csv_rows = reader.records().map(Result::unwrap).count();
        let json = place.line(&format!("{line} --format json"));
        let whole: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(whole.as_object().unwrap().keys().collect::<Vec<_>>(), ["meta", "rows"], "{line}");
        for name in ["command", "as_of", "window", "generation", "catalogue", "coverage", "gaps"] {
            assert!(whole["meta"].as_object().unwrap().contains_key(name), "{line}: meta.{name}");
        }
        let rows = whole["rows"].as_array().unwrap();
        assert_eq!((rows.len(), csv_rows), (ndjson.len(), ndjson.len()), "{line}");
        for row in rows {
            assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), want.iter().collect::<Vec<_>>(), "{line}");
        }
    }
}

/// Every query, with parameters that fit any log.
fn queries(place: &Place) -> Vec<(String, String)> {
    place
        .rows("query list")
        .into_iter()
        .map(|query| {
            let params = query["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|parameter| parameter.as_str().unwrap().strip_suffix('*'))
                .map(|name| format!(" --param {name}=nothing"))
                .collect();
            (query["name"].as_str().unwrap().to_owned(), params)
        })
        .collect()
}

#[test]
fn the_fields_that_the_design_promises() {
    let schema = schema(&Place::new());
    for (command, fields) in [
        ("ingest cloudtrail", "source files read stored duplicates conflicts quarantined"),
        ("usage", "principal person action resource account region count denied not_evaluated first last active_days"),
        ("entitlements", "principal action resource_scope conditions verdict reason provenance"),
        ("catalog event, events", "event_source event_name actions class provenance"),
        ("scan, findings, demo", "id kind severity principal person account title state confidence evidence"),
    ] {
        let have: Vec<&str> = schema[command].iter().map(String::as_str).collect();
        let promised: Vec<&str> = fields.split(' ').collect();
        let kept: Vec<&str> = have.iter().copied().filter(|field| promised.contains(field)).collect();
        assert_eq!(kept, promised, "{command}, in this order");
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let place = Place::new();
    fill(&place, "one", 1);
    fill(&place, "four", 4);
    let mut commands: Vec<String> =
        ["scan", "usage", "coverage", "entitlements --action iam:*", "findings list"].map(str::to_owned).into();
    commands.extend(queries(&place).into_iter().map(|(name, params)| format!("query run {name}{params}")));
    for command in &commands {
        let seen: BTreeSet<(String, String)> = [("one", 1), ("one", 4), ("four", 4), ("one", 1)]
            .map(|(store, threads)| {
                let line = format!("--store {store} {AT} --threads {threads} --format json {command}");
                let run = place.line(&line);
                assert_eq!(run.code, Some(0), "{line}: {run:?}");
                (run.stdout, run.stderr)
            })
            .into();
        assert_eq!(seen.len(), 1, "{command}: {seen:?}");
    }
    let reports: BTreeSet<[Vec<u8>; 2]> = [("one", 1), ("one", 4), ("four", 4)]
        .map(|(store, threads)| {
            let run = place.line(&format!("--store {store} {AT} --threads {threads} report --soc2 --output-dir out"));
            assert_eq!(run.code, Some(0), "{run:?}");
            ["soc2.html", "soc2.md"].map(|name| fs::read(place.path("out").join(name)).unwrap())
        })
        .into();
    assert_eq!(reports.len(), 1);
}

#[test]
fn every_query_runs_on_invictus() {
    let Some(logs) = shared("invictus/CloudTrail") else { return };
    let place = Place::new();
    assert_eq!(place.ingest(&logs).code, Some(0));
    let user = "arn:aws:iam::123837392027:user/bert-jan";
    let text: String = fs::read_dir(&logs).unwrap().map(|e| fs::read_to_string(e.unwrap().path()).unwrap()).collect();
    let key = |prefix: &str| {
        text.split("\"accessKeyId\"").skip(1).find_map(|rest| {
            let key = rest.split('"').nth(1)?;
            key.starts_with(prefix).then(|| key.to_owned())
        })
    };
    // The key of a user for what it did, that of a session for where it came from.
    let (long, short) = (key("AKIA").unwrap(), key("ASIA").unwrap());
    let mut with_rows = Vec::new();
    for (name, params) in queries(&place) {
        let params = params
            .replace("principal=nothing", &format!("principal={user}"))
            .replace("access_key=nothing", &format!("access_key={}", if name == "role_chain" { &short } else { &long }))
            .replace("source_ip=nothing", "source_ip=192.168.10.20");
        let run = place.line(&format!("query run {name}{params} --as-of 2023-07-11 --format ndjson"));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{name}");
        if !run.rows().is_empty() {
            with_rows.push(name);
        }
    }
    for name in [
        "access_key_activity",
        "console_sign_ins_without_mfa",
        "coverage_gaps",
        "denied_calls",
        "events_of_ip",
        "first_time_actions",
        "iam_changes",
        "role_chain",
        "who_used_principal",
    ] {
        assert!(with_rows.iter().any(|known| known == name), "{name} has no rows; these have: {with_rows:?}");
    }
}

#[test]
fn stdout_is_data_only_and_quiet_is_quiet() {
    let place = Place::new();
    fs::write(place.path("log.json"), format!("[{},{{}}]", record(1))).unwrap();
    for line in ["ingest cloudtrail log.json", "scan --as-of 2025-03-02", "coverage --strict --as-of 2025-03-02"] {
        let run = place.line(&format!("{line} --quiet --format ndjson"));
        assert!(matches!(run.code, Some(0 | 4)), "{run:?}");
        assert_eq!(run.stderr, "", "{line}");
        run.rows();
    }
    let run = place.line("scan -vv --format json --as-of 2025-03-02");
    assert!(serde_json::from_str::<Value>(&run.stdout).is_ok(), "logs go to stderr: {run:?}");
}

#[test]
fn catalogue_events_from_stdin() {
    use std::io::Write;
    let place = Place::new();
    let ask = |text: &[u8]| -> Run {
        let mut child = place
            .command(["catalog", "events", "--stdin", "--format", "ndjson"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        child.wait_with_output().unwrap().into()
    };
    let run = ask(
        b"s3.amazonaws.com ListObjects\r\n\n  monitoring.amazonaws.com\tPutMetricData  \nnosuch.amazonaws.com What\n",
    );
    assert_eq!(run.code, Some(0), "{run:?}");
    let rows = run.rows();
    assert_eq!(rows[0]["actions"], serde_json::json!(["s3:ListBucket"]));
    assert_eq!(rows[1]["actions"], serde_json::json!(["cloudwatch:PutMetricData"]));
    assert_eq!(rows[2]["mapping"], "unmapped");
    ask(b"one\n").fails(2, "line 1");
    ask(b"\xff\xfe\n").fails(1, "stdin");
    assert_eq!(ask(b"").code, Some(0));
}
