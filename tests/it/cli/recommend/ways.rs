//! Other ways to look at recommendations: one explained, one person's access in wrong hands, narrowed policies, pages
//! without names; and what must not change when everything moves in time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use jitscan::catalog::{ActionSet, Catalog};
use jitscan::model::time::{Day, Timestamp};
use jitscan::policy::compile::compile;
use jitscan::policy::{DocumentKind, Effect, PolicyDocument};
use serde_json::Value;

use super::{AT, demo, records, text};

#[test]
fn an_explanation_holds_all_that_the_numbers_rest_on() {
    let place = demo();
    let rows = place.rows(&format!("{AT} recommend"));
    let mut all = BTreeMap::new();
    records(&place.path("demo/input/cloudtrail"), &mut all);
    let few = |row: &&Value| (2..6).contains(&row["requests"].as_u64().unwrap()) && row["person"] != "";
    let mut explained = 0;
    for row in rows.iter().filter(few).take(4) {
        let lines = place.rows(&format!("{AT} recommend --explain {}", text(row, "/id")));
        let of = |part: &str| lines.iter().filter(|line| line["part"] == part).collect::<Vec<_>>();
        assert_eq!(of("session").len() as u64, row["sessions"].as_u64().unwrap(), "{row}");
        assert_eq!(of("request").len() as u64, row["requests"].as_u64().unwrap(), "{row}");
        let outside = of("request").iter().filter(|line| text(line, "/text").contains("outside")).count() as u64;
        assert_eq!(outside, row["out_of_hours"].as_u64().unwrap(), "{row}");
        let arithmetic: Vec<&str> = of("arithmetic").iter().map(|line| text(line, "/text")).collect();
        let risk = row["risk"].as_u64().unwrap();
        let product = |parts: &Value| -> u64 {
            let last = |part: &Value| part.as_str().unwrap().rsplit([' ', 'x']).next().unwrap().parse::<u64>().unwrap();
            parts.as_array().unwrap().iter().map(last).product()
        };
        assert_eq!(product(&row["risk_parts"]), risk, "the parts make the number: {row}");
        assert!(arithmetic.iter().any(|text| text.starts_with(&format!("risk {risk} = "))), "{arithmetic:?}");
        assert_eq!(row["exposure_before"].as_u64().unwrap(), risk * 168);
        // Every session is one of recorded calls by that person, and statements say where they stand.
        let events = of("event");
        assert!(!events.is_empty() && !of("statement").is_empty(), "{lines:?}");
        let person = text(row, "/person").split('@').next().unwrap();
        for event in &events {
            let record = &all[text(event, "/reference")];
            assert!(record.to_string().contains(person), "{record}");
            assert_eq!(text(record, "/eventTime"), text(event, "/at"));
        }
        assert!(of("statement").iter().all(|line| !text(line, "/reference").is_empty()));
        explained += 1;
    }
    assert_eq!(explained, 4);
    let run = place.line(&format!("{AT} recommend --explain nothing"));
    assert!(run.code == Some(2) && run.stderr.contains("no recommendation `nothing`"), "{run:?}");
}

#[test]
fn what_a_stolen_sign_in_reaches_shrinks() {
    let place = demo();
    let measures = |person: &str| {
        let rows = place.rows(&format!("{AT} recommend --phished {person}"));
        let of = |row: &Value| {
            let number = |name: &str| row[name].as_u64().unwrap();
            (text(row, "/what").to_owned(), (number("now"), number("after"), number("on_request")))
        };
        rows.iter().map(of).collect::<BTreeMap<String, (u64, u64, u64)>>()
    };
    // An administrator of three accounts who needed it twice.
    let mara = measures("mara.lindqvist");
    assert_eq!(mara["accounts to become administrator of"], (3, 0, 3), "{mara:?}");
    for (what, (now, after, on_request)) in &mara {
        assert!(after + on_request <= *now, "{what}: {mara:?}");
    }
    assert!(mara["exposure: hours a week x risk"].1 * 2 < mara["exposure: hours a week x risk"].0, "{mara:?}");
    // Somebody may be called by name; an analyst is no administrator before or after.
    let run = place.run(format!("{AT} recommend --format ndjson --phished").split(' ').chain(["Freya Sorensen"]));
    assert!(
        run.code == Some(0) && run.stdout.contains(r#""what":"accounts to become administrator of","now":0"#),
        "{run:?}"
    );
    let run = place.line(&format!("{AT} recommend --phished nobody"));
    assert!(run.code == Some(2) && run.stderr.contains("`nobody` holds nothing"), "{run:?}");
}

/// What the Allow statements of a document name.
fn allowed(document: &str) -> ActionSet {
    let catalog = Catalog::get();
    let mut set = catalog.no_actions();
    let document = PolicyDocument::parse(document, DocumentKind::Identity).unwrap();
    for statement in document.statements.iter().filter(|one| one.effect == Effect::Allow) {
        set.union_with(&compile(&statement.actions, catalog).set);
    }
    set
}

#[test]
fn narrowed_policies_keep_what_is_used_and_what_nobody_could_see() {
    let place = demo();
    let policies = place.rows(&format!("{AT} recommend --policies"));
    assert!(policies.len() > 20);
    let mut left: BTreeMap<&str, ActionSet> = BTreeMap::new();
    let mut managed = 0;
    for row in &policies {
        let document = text(row, "/document");
        let set = if document.is_empty() { Catalog::get().no_actions() } else { allowed(document) };
        assert_eq!(row["actions_after"], set.len(), "{row}");
        assert!(row["actions_after"].as_u64() < row["actions_before"].as_u64(), "{row}");
        left.entry(text(row, "/principal")).or_insert_with(|| Catalog::get().no_actions()).union_with(&set);
        managed += usize::from(!row["managed"].as_array().unwrap().is_empty());
    }
    assert!(managed > 0, "some AWS managed policy would do");
    // By the verdicts as `entitlements` lists them: of machines nothing goes but what is surely unused.
    let rows = place.rows(&format!("{AT} recommend"));
    let machines: BTreeSet<&str> =
        rows.iter().filter(|row| row["person"] == "").map(|row| text(row, "/principal")).collect();
    let people: BTreeSet<&str> =
        rows.iter().filter(|row| row["person"] != "").map(|row| text(row, "/principal")).collect();
    let mut looked_at = 0;
    for (principal, left) in left.iter().filter(|(one, _)| machines.contains(*one) && !people.contains(*one)) {
        let changed: BTreeSet<&str> = policies
            .iter()
            .filter(|row| text(row, "/principal") == *principal)
            .map(|row| text(row, "/policy"))
            .collect();
        for row in place.rows(&format!("{AT} entitlements --principal {principal}")) {
            let of_changed = row["provenance"]
                .as_array()
                .unwrap()
                .iter()
                .all(|statement| changed.iter().any(|policy| statement.as_str().unwrap().contains(policy)));
            let Some(action) = Catalog::get().find(text(&row, "/action")).filter(|_| of_changed) else { continue };
            if row["verdict"] == "used" || row["verdict"] == "unobservable" {
                assert!(left.contains(action), "{principal} would lose {row}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

#[test]
fn pages_and_tables_name_nobody_where_that_is_asked_for() {
    let place = demo();
    let roster = fs::read_to_string(place.path("demo/input/roster.csv")).unwrap();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for line in roster.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if fields[5] != "service" {
            names.extend([fields[1].to_lowercase(), fields[2].to_lowercase()]);
            names.insert(fields[2].split('@').next().unwrap().to_lowercase());
        }
    }
    assert!(names.len() > 60 && names.contains("raj patel") && names.contains("raj.patel"));
    let nobody = |what: &str, text: &str| {
        let lower = text.to_lowercase();
        let found = names.iter().find(|name| lower.contains(name.as_str()));
        assert_eq!(found, None, "{what}");
    };
    let mut first = BTreeMap::new();
    for line in [
        "recommend --format ndjson",
        "recommend",
        "recommend --phished raj.patel --format json",
        "recommend --combinations --format csv",
        "recommend --automation --format md",
        "usage --format ndjson",
        "scan --format json",
        "escalations --format ndjson",
        "query run sessions",
        "recommend --html page.html --format csv",
        "report --soc2 --output-dir out",
    ] {
        let run = place.line(&format!("{AT} --pseudonymise key {line}"));
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
        nobody(line, &run.stdout);
        nobody(line, &run.stderr);
        first.insert(line, run.stdout);
    }
    for file in ["page.html", "out/soc2.html", "out/soc2.md"] {
        let page = fs::read_to_string(place.path(file)).unwrap();
        nobody(file, &page);
        assert!(page.contains("person-"), "{file}");
    }
    use std::os::unix::fs::PermissionsExt;
    for file in ["key", "page.html"] {
        assert_eq!(fs::metadata(place.path(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    // With the key it is the same again; without it nobody knows whose they were.
    let line = "recommend --format ndjson";
    let again = || place.line(&format!("{AT} --pseudonymise key {line}")).stdout;
    assert_eq!(again(), first[line]);
    fs::remove_file(place.path("key")).unwrap();
    let other = again();
    nobody(line, &other);
    assert_ne!(other, first[line]);
    fs::write(place.path("key"), "short").unwrap();
    let run = place.line(&format!("{AT} --pseudonymise key {line}"));
    assert!(run.code == Some(2) && run.stderr.contains("expected a key of 32 bytes"), "{run:?}");
}

#[test]
fn calendars_are_of_several_people() {
    let place = demo();
    let weeks = place.rows(&format!("{AT} recommend --weeks"));
    assert!(weeks.len() > 70 && weeks.len().is_multiple_of(7));
    for row in &weeks {
        assert!(row["holders"].as_u64() >= Some(3), "{row}");
        assert_eq!(row["hours"].as_array().unwrap().len(), 24);
    }
    // A person's own pattern is told of that person alone.
    let rows = place.rows(&format!("{AT} recommend"));
    assert!(rows.iter().all(|row| row["rhythm"] == ""));
    let own = place.rows(&format!("{AT} recommend --person freya.sorensen"));
    assert!(
        own.iter().all(|row| text(row, "/person").starts_with("freya")) && own.iter().any(|row| row["rhythm"] != "")
    );
}

/// Days by which everything is moved: whole weeks, so that working hours stay working hours.
const SHIFT: i64 = 364;

/// Versions of the policy language look like dates.
const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

/// A text with all of its dates moved.
fn moved(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut from, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at + 10 <= bytes.len() {
        let date =
            text.get(at..at + 10).filter(|date| date.starts_with("20") && !VERSIONS.contains(date)).and_then(|date| {
                let shape = date.bytes().enumerate().all(|(n, byte)| {
                    if n == 4 || n == 7 { byte == b'-' || byte == b'/' } else { byte.is_ascii_digit() }
                });
                let day: Timestamp = date.replace('/', "-").parse().ok().filter(|_| shape)?;
                let moved: Day = day.plus_days(SHIFT).day();
                Some(if date.contains('/') { moved.to_string().replace('-', "/") } else { moved.to_string() })
            });
        match date {
            Some(date) => {
                out.push_str(text.get(from..at).unwrap());
                out.push_str(&date);
                at += 10;
                from = at;
            }
            None => at += 1,
        }
    }
    out.push_str(text.get(from..).unwrap());
    out
}

fn move_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            move_all(&path, to);
            continue;
        }
        // Digests are signed.
        if path.to_str().unwrap().contains("CloudTrail-Digest") {
            continue;
        }
        let target = to.join(moved(path.to_str().unwrap().trim_start_matches('/')));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|end| end == "gz") {
            let mut plain = String::new();
            flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut plain).unwrap();
            let mut out = flate2::write::GzEncoder::new(fs::File::create(target).unwrap(), flate2::Compression::fast());
            out.write_all(moved(&plain).as_bytes()).unwrap();
            out.finish().unwrap();
        } else {
            fs::write(target, moved(std::str::from_utf8(&bytes).unwrap())).unwrap();
        }
    }
}

#[test]
fn moving_the_window_with_its_data_moves_nothing_else() {
    let place = demo();
    let input = place.path("demo/input");
    move_all(&input, &place.path("moved"));
    let root = place.path("moved").join(input.to_str().unwrap().trim_start_matches('/'));
    let root = root.to_str().unwrap();
    let at = "2026-11-01".parse::<Timestamp>().unwrap().plus_days(SHIFT).day().to_string();
    let mut lines = vec![format!("cloudtrail {root}/cloudtrail")];
    for account in fs::read_dir(format!("{root}/iam")).unwrap().map(|entry| entry.unwrap().path()) {
        let account = account.to_str().unwrap().to_owned();
        lines.push(format!("iam {account}/authorization-details.json --captured-at {at}"));
        lines.push(format!("credential-report {account}/credential-report.csv --captured-at {at}"));
    }
    for (kind, file) in
        [("organization", "organization.json"), ("identity-center", "identity-center.json"), ("roster", "roster.csv")]
    {
        lines.push(format!("{kind} {root}/{file} --captured-at {at}"));
    }
    for line in &lines {
        let run = place.line(&format!("--store later ingest {line}"));
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
    }
    let told = |line: &str| {
        let run = place.line(&format!("{line} recommend --format ndjson"));
        assert_eq!(run.code, Some(0), "{run:?}");
        (run.stdout, run.stderr)
    };
    let (before, summary) = told(AT);
    let (after, later) = told(&format!("--config demo/jitscan.toml --store later --as-of {at}"));
    assert_eq!(later, summary);
    for (now, then) in moved(&before).lines().zip(after.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(moved(&before).lines().count(), after.lines().count());
}

/// Permissions that nobody used: of services held already and of new ones, on one thing and on everything, named like
/// something worth stealing, ways to more power.
const ADDED: [(&str, &str); 10] = [
    ("glue:CreateJob", "*"),
    ("s3:GetObject", "arn:aws:s3:::web-assets/*"),
    ("s3:DeleteBucket", "arn:aws:s3:::customers-archive"),
    ("iam:CreateAccessKey", "*"),
    ("iam:PassRole", "*"),
    ("dynamodb:*", "arn:aws:dynamodb:us-east-1:710293847561:table/payments"),
    ("kms:Decrypt", "*"),
    ("sqs:DeleteQueue", "*"),
    ("workspaces:*", "*"),
    ("sts:AssumeRole", "arn:aws:iam::583920174628:role/*"),
];

#[test]
fn a_permission_that_nobody_uses_never_lowers_risk() {
    let place = demo();
    // The whole risk of each holder, by kind of access.
    let risks = |rows: &[Value]| {
        let mut sums: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        for row in rows {
            let key =
                (text(row, "/principal").to_owned(), text(row, "/person").to_owned(), text(row, "/class").to_owned());
            *sums.entry(key).or_default() += row["risk"].as_u64().unwrap();
        }
        sums
    };
    let before = risks(&place.rows(&format!("{AT} recommend")));
    let path = place.path("demo/input/iam/710293847561/authorization-details.json");
    let mut details: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut added: Vec<(String, &str)> = Vec::new();
    let roles = details["RoleDetailList"].as_array_mut().unwrap().iter_mut();
    for (role, (action, resource)) in roles.filter(|role| role["Path"] == "/").zip(ADDED) {
        let document = serde_json::json!({"Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": action, "Resource": resource}});
        let policy = serde_json::json!({"PolicyName": "added", "PolicyDocument": document});
        role["RolePolicyList"].as_array_mut().unwrap().push(policy);
        added.push((text(role, "/Arn").to_owned(), action));
    }
    assert_eq!(added.len(), ADDED.len());
    fs::write(place.path("more.json"), details.to_string()).unwrap();
    let run = place.line("--store demo/store ingest iam more.json --captured-at 2026-10-31T23:59:59Z");
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = place.line("--store demo/store ingest iam more.json --captured-at 2026-11-01T00:00:00Z");
    assert_eq!(run.code, Some(0), "{run:?}");
    let after = risks(&place.rows(&format!("{AT} recommend")));
    let mut grown = BTreeSet::new();
    for (key, risk) in &before {
        let now = after.get(key).copied().unwrap_or(0);
        assert!(now >= *risk, "{key:?}: {risk} -> {now}");
        let own = added.iter().any(|(arn, _)| *arn == key.0);
        // Whoever may take such a role, or pass it, reaches further, too.
        if own && now > *risk {
            grown.insert(&key.0);
        }
    }
    let new: BTreeSet<&String> = after.keys().filter(|key| !before.contains_key(*key)).map(|key| &key.0).collect();
    assert!(grown.union(&new).count() >= 8, "{grown:?} {new:?} of {added:?}");
}
