//! `recommend` on the made-up organisation: its advice on what was planted there, and its forecast against a replay of
//! the raw records.

mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use jitscan::catalog::Catalog;
use jitscan::demo::{DemoOptions, Sink, generate};
use jitscan::entitlements::AccessClasses;
use jitscan::model::event::CallVariant;
use jitscan::model::time::Timestamp;
use serde_json::Value;

use super::Place;

pub(super) const AT: &str = "--config demo/jitscan.toml --store demo/store --as-of 2026-11-01";

pub(super) fn demo() -> Place {
    let place = Place::new();
    let run = place.line("demo --output-dir demo");
    assert_eq!(run.code, Some(0), "{run:?}");
    place
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

struct Nowhere;

impl Sink for Nowhere {
    fn file(&mut self, _path: &str, _bytes: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// Roster id → e-mail address.
fn names(place: &Place) -> BTreeMap<String, String> {
    let roster = std::fs::read_to_string(place.path("demo/input/roster.csv")).unwrap();
    let fields = roster.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    fields.map(|fields| (fields[0].to_owned(), fields[2].to_lowercase())).collect()
}

/// Every distinct record, from the files.
pub(super) fn records(folder: &Path, into: &mut BTreeMap<String, Value>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            records(&entry.path(), into);
        } else if entry.path().extension().is_some_and(|end| end == "gz") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(std::fs::File::open(entry.path()).unwrap()).read_to_end(&mut plain).unwrap();
            let file: Value = serde_json::from_slice(&plain).unwrap();
            for record in file["Records"].as_array().into_iter().flatten() {
                into.insert(text(record, "/eventID").to_owned(), record.clone());
            }
        }
    }
}

/// Who called what when, through roles of Identity Center, whose sessions bear the person's name: (person, role, class,
/// service) → instants. Read off the records by hand.
fn calls(place: &Place) -> BTreeMap<(String, String, &'static str, String), BTreeSet<Timestamp>> {
    let (catalog, classes) = (Catalog::get(), AccessClasses::get());
    let (mut all, plain) = (BTreeMap::new(), CallVariant::default());
    // What somebody did who had left is no need.
    let roster = std::fs::read_to_string(place.path("demo/input/roster.csv")).unwrap();
    let ends: BTreeMap<String, Timestamp> = roster
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter_map(|fields| Some((fields[2].split('@').next()?.to_owned(), fields[7].parse().ok()?)))
        .collect();
    assert_eq!(ends.len(), 2, "{ends:?}");
    records(&place.path("demo/input/cloudtrail"), &mut all);
    let mut found: BTreeMap<_, BTreeSet<Timestamp>> = BTreeMap::new();
    for record in all.values() {
        let role = text(record, "/userIdentity/sessionContext/sessionIssuer/userName");
        let person = text(record, "/userIdentity/arn").rsplit('/').next().unwrap();
        let on_behalf = !text(record, "/userIdentity/invokedBy").is_empty();
        if !role.starts_with("AWSReservedSSO_") || on_behalf || !text(record, "/errorCode").is_empty() {
            continue;
        }
        let at: Timestamp = text(record, "/eventTime").parse().unwrap();
        if ends.get(person).is_some_and(|end| at >= end.plus_days(1)) {
            continue;
        }
        let account = text(record, "/userIdentity/accountId");
        assert_eq!(account, text(record, "/recipientAccountId"));
        let mapping = catalog.event(text(record, "/eventSource"), text(record, "/eventName"), &plain);
        // What the call is named for, and what it needs beside; which of these it needs may hang on parameters.
        let named =
            text(record, "/eventSource").split('.').next().and_then(|s| catalog.find_in(s, text(record, "/eventName")));
        for action in mapping.certain().map(|action| action.id).chain(named).collect::<BTreeSet<_>>() {
            let service = catalog.action(action).unwrap().prefix().to_owned();
            let class = classes.of(action).as_str();
            let key = (person.to_owned(), format!("{account} {role}"), class, service);
            found.entry(key).or_default().insert(at);
        }
    }
    found
}

#[test]
fn the_forecast_is_what_a_replay_of_the_records_counts() {
    let place = demo();
    let rows = place.rows(&format!("{AT} recommend"));
    let from: Timestamp = "2026-08-03".parse().unwrap();
    let replay = calls(&place);
    let (mut compared, mut requests) = (0, 0);
    for row in rows.iter().filter(|row| row["sessions"].as_u64() > Some(0)) {
        let role = text(row, "/principal").rsplit('/').next().unwrap();
        let (person, class) = (text(row, "/person").split('@').next().unwrap(), text(row, "/class"));
        if person.is_empty() || !role.starts_with("AWSReservedSSO_") {
            continue;
        }
        let length = row["grant_minutes"].as_i64().unwrap() * 60;
        let mut at: BTreeSet<Timestamp> = BTreeSet::new();
        for service in row["services"].as_array().unwrap() {
            let service = service.as_str().unwrap().to_owned();
            let role = format!("{} {role}", text(row, "/account"));
            let class =
                ["read", "sensitive_read", "write", "permissions"].into_iter().find(|one| *one == class).unwrap();
            at.extend(replay.get(&(person.to_owned(), role, class, service)).into_iter().flatten());
        }
        // Just-in-time, call by call: who has no open grant asks for one, which begins with its five minutes.
        let (mut asked, mut until) = (0, from);
        for call in at.into_iter().filter(|at| *at >= from) {
            if call >= until || asked == 0 {
                asked += 1;
                let slot = call.micros().div_euclid(300_000_000) * 300;
                until = Timestamp::from_seconds(slot + length);
            }
        }
        assert_eq!(row["requests"], asked, "{row}");
        (compared, requests) = (compared + 1, requests + asked);
    }
    assert!(compared >= 100 && requests >= 1000, "{compared} capabilities, {requests} requests");
}

#[test]
fn planted_facts_get_their_advice() {
    let place = demo();
    // A role and a person whose work is of a season: IAM remembers what the logs of the window do not show.
    let rows = place.rows(&format!("{AT} recommend"));
    let role =
        |name: &str| rows.iter().map(|row| text(row, "/principal").to_owned()).find(|arn| arn.contains(name)).unwrap();
    let (etl, admin) = (role("role/legacy-etl"), role("AWSReservedSSO_AdministratorAccess_bd"));
    let report = |arn: &str, service: &str| {
        format!(
            r#"{{"Arn":"{arn}","JobCompletionDate":"2026-10-31T20:00:00Z","ServicesLastAccessed":[
            {{"ServiceNamespace":"{service}","LastAuthenticated":"2025-12-30T10:00:00Z"}}]}}"#
        )
    };
    let advice = |rows: &[Value], principal: &str, person: &str, capability: &str| {
        let found: Vec<String> = rows
            .iter()
            .filter(|row| text(row, "/principal").contains(principal) && text(row, "/person").starts_with(person))
            .filter(|row| text(row, "/capability").starts_with(capability))
            .map(|row| format!("{} {}", text(row, "/advice"), row["requests"]))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        found.join(", ")
    };
    let truth = generate(DemoOptions::default(), &mut Nowhere).unwrap().truth;
    let people = names(&place);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for fact in &truth.facts {
        for planted in &fact.advice {
            let person = people.get(&planted.person).map_or("", String::as_str);
            let found: BTreeSet<(&str, Option<u64>)> = rows
                .iter()
                .filter(|row| text(row, "/principal") == fact.principal && text(row, "/person") == person)
                .filter(|row| text(row, "/capability").starts_with(&format!("{} in ", planted.capability)))
                .map(|row| (text(row, "/advice"), row["requests"].as_u64().filter(|_| planted.requests.is_some())))
                .collect();
            let want = (planted.advice.as_str(), planted.requests);
            assert_eq!(found, [want].into(), "{}: {planted:?}", fact.id);
            *kinds.entry(want.0).or_default() += 1;
        }
    }
    assert!(kinds.len() == 5 && kinds.values().sum::<usize>() >= 20, "{kinds:?}");
    // A read of contents whose data events were not logged, and others through the same principal.
    for (principal, person, capability, want) in [
        ("role/legacy-etl", "", "read sensitive data of s3", "decide_later 0"),
        ("AdministratorAccess_bd", "tomas.okafor", "manage permissions of iam", "convert_to_jit 0"),
        ("AdministratorAccess_bd", "tomas.okafor", "manage permissions of 19 services", "remove 0"),
    ] {
        assert_eq!(advice(&rows, principal, person, capability), want, "{principal} {person} {capability}");
    }
    assert!(rows.iter().all(|row| !text(row, "/principal").contains("/aws-service-role/")), "nobody can change those");
    let ids: BTreeSet<&str> = rows.iter().map(|row| text(row, "/id")).collect();
    assert_eq!(ids.len(), rows.len(), "ids are unique");

    let account = etl.split(':').nth(4).unwrap();
    let all = format!(
        r#"{{"AccountId":"{account}","LastAccessedDetails":[{},{}]}}"#,
        report(&etl, "glue"),
        report(&admin, "guardduty")
    );
    std::fs::write(place.path("accessed.json"), all).unwrap();
    let run = place.line("--store demo/store ingest last-accessed accessed.json --captured-at 2026-10-31T20:00:00Z");
    assert_eq!(run.code, Some(0), "{run:?}");
    let rows = place.rows(&format!("{AT} recommend"));
    // IAM's report says when each service was last attempted: that of another one is no season of this one.
    assert_eq!(advice(&rows, "role/legacy-etl", "", "write glue"), "decide_later 0");
    assert_eq!(advice(&rows, "role/legacy-etl", "", "read glue"), "decide_later 0");
    let guardduty = advice(&rows, "AdministratorAccess_bd", "tomas.okafor", "manage permissions of guardduty");
    assert_eq!(guardduty, "convert_to_jit 0");
}

#[test]
fn budgets_choose_and_people_can_read_it() {
    let place = demo();
    let rows = |line: &str| place.rows(&format!("{AT} recommend {line}"));
    let per_person = |rows: &[Value]| {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows.iter().filter(|row| row["advice"] == "convert_to_jit") {
            *sums.entry(text(row, "/person").to_owned()).or_default() += row["requests"].as_u64().unwrap();
        }
        sums
    };
    let removed = |rows: &[Value]| -> u64 {
        let of = |row: &Value, name: &str| row[name].as_u64().unwrap();
        rows.iter().map(|row| of(row, "exposure_before") - of(row, "exposure_after")).sum()
    };
    let (none, one, many) =
        (rows("--friction-budget 0/week"), rows("--friction-budget 1/week"), rows("--friction-budget 9/week"));
    assert!(per_person(&none).values().all(|requests| *requests == 0));
    // 90 days at one a week are twelve.
    assert!(per_person(&one).values().all(|requests| *requests <= 12));
    assert!(removed(&none) < removed(&one) && removed(&one) < removed(&many));
    let curve = rows("--curve");
    assert_eq!(curve.len(), 8);
    let shares: Vec<u64> = curve.iter().map(|point| point["removed_permille"].as_u64().unwrap()).collect();
    assert!(shares.is_sorted() && shares[0] < shares[7], "{shares:?}");

    // Administrators hold both sides of everything; whoever does the same every week is told.
    let held = rows("--combinations");
    let admin = |id: &str| held.iter().any(|row| row["combination"] == id && text(row, "/person").starts_with("mara"));
    assert!(admin("create-user-and-attach-policy") && admin("kms-admin-and-decrypt"), "{held:?}");
    // Permission sets live in the management account, of which no principal was collected here.
    assert!(held.iter().all(|row| row["combination"] != "assign-and-define"), "{held:?}");
    assert!(held.iter().all(|row| !row["left"].to_string().contains("role/break-glass")));
    let routines = rows("--automation");
    assert!(!routines.is_empty() && routines.iter().all(|row| row["times"].as_u64() >= Some(4)), "{routines:?}");

    let run = place.line(&format!("{AT} recommend --advice remove"));
    assert_eq!(run.code, Some(0), "{run:?}");
    for said in ["% removed", "requests a week", "foreseen", "granted and unused"] {
        assert!(run.stdout.contains(said) || run.stderr.contains(said), "{said}: {run:?}");
    }
    assert_eq!(place.line("recommend --friction-budget 2").code, Some(2));
}
