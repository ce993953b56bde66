//! What is told of a plan once it was applied: denials that it explains, what may be given back, what was undone outside,
//! and what it would have cost before. The plan is applied on a state in memory, with a real journal.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jitscan::catalog::Catalog;
use jitscan::executor::ledger::Ledger;
use jitscan::model::arn::AccountId;
use jitscan::model::snapshot::Snapshot;
use jitscan::model::time::Timestamp;
use jitscan::remediate::Plan;
use jitscan::remediate::effect::Effect;
use jitscan::remediate::journal::Record;
use jitscan::remediate::place::{Place as At, Value as Stands};
use jitscan::remediate::restore::{Wanted, restoring};
use jitscan::remediate::run::{Ended, Run, Target, Trouble};
use jitscan::remediate::watch::Denial;
use serde_json::{Value, json};

use super::super::Place;
use super::super::recommend::{AT, demo, records, text};

pub(super) const LATER: &str = "--config demo/jitscan.toml --store demo/store --as-of 2026-11-05";

/// IAM and Identity Center in memory.
struct Memory(Snapshot);

impl Target for Memory {
    fn read(&mut self, account: AccountId, place: &At) -> Result<Stands, Trouble> {
        // How long sessions may be the state does not keep: whatever is asked for stands.
        let wanted =
            Stands::Role { trust: String::new(), boundary: None, max_session_seconds: 3600, tags: BTreeMap::new() };
        Ok(place.found_in(&self.0, account, &wanted).unwrap())
    }

    fn make(&mut self, account: AccountId, effect: &Effect) -> Result<(), Trouble> {
        let made = effect.make_in(&mut self.0, account);
        made.map(drop).map_err(|conflict| Trouble { why: conflict.to_string(), again: false })
    }

    fn unique_id(&mut self, _: AccountId, _: &str) -> Result<Option<String>, Trouble> {
        Ok(None)
    }

    fn pause(&mut self, _: Duration) {}
}

pub(super) fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn snapshot(place: &Place) -> Snapshot {
    let reader = jitscan::lake::Reader::open(&place.path("demo/store")).unwrap();
    jitscan::cli::documents::load(&reader, day("2026-11-01")).unwrap().snapshot
}

pub(super) fn read(path: &Path) -> Plan {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A plan with its hash, as it is now.
pub(super) fn write(plan: &mut Plan, path: &Path) {
    for grant in &mut plan.grants {
        for step in &mut grant.steps {
            if let Effect::CreateRole { max_session_seconds, .. } = &mut step.effect {
                *max_session_seconds = 3600;
            }
        }
    }
    plan.hash = plan.hashed();
    fs::write(path, serde_json::to_string_pretty(plan).unwrap()).unwrap();
}

/// Applies a plan on 1 November.
pub(super) fn applied(place: &Place, plan: &Plan) {
    let ledger = Ledger::open(&place.path("demo/store/changes"), || "2026-11-01T00:00:00Z".parse().unwrap()).unwrap();
    let mut journal = ledger.journal(&plan.hash, &serde_json::to_string_pretty(plan).unwrap()).unwrap();
    let mut memory = Memory(snapshot(place));
    let begin = Record::Begin {
        by: "arn:aws:iam::710293847561:user/somebody".into(),
        generation: 1,
        from: day("2026-08-03"),
        to: day("2026-11-01"),
        accepted: Vec::new(),
    };
    let ended = Run::new(plan, &mut memory, &mut journal, &AtomicBool::new(false)).apply(Some(begin)).unwrap();
    assert_eq!(ended, Ended::Applied);
}

/// Ingests records that are like another one and were refused.
pub(super) fn denied(place: &Place, name: &str, like: &[(&Value, &str, &str)]) {
    let mut all = Vec::new();
    for (at, (record, time, source)) in like.iter().enumerate() {
        let mut record = (*record).clone();
        let fields = record.as_object_mut().unwrap();
        let action = format!(
            "{}:{}",
            fields["eventSource"].as_str().unwrap().split('.').next().unwrap(),
            text(&json!(fields), "/eventName")
        );
        fields.insert("eventID".into(), format!("denied-{name}-{at}").into());
        fields.insert("eventTime".into(), (*time).into());
        fields.insert("errorCode".into(), "AccessDenied".into());
        let message =
            format!("User: x is not authorized to perform: {action} because no identity-based policy allows it");
        fields.insert("errorMessage".into(), message.into());
        if !source.is_empty() {
            fields["userIdentity"]["sessionContext"]["sourceIdentity"] = (*source).into();
        }
        all.push(record);
    }
    fs::create_dir_all(place.path(name)).unwrap();
    fs::write(place.path(&format!("{name}/x.json")), json!({ "Records": all }).to_string()).unwrap();
    let run = place.line(&format!("--store demo/store ingest cloudtrail {name}"));
    assert_eq!(run.code, Some(0), "{run:?}");
}

pub(super) fn all_records(place: &Place) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    records(&place.path("demo/input/cloudtrail"), &mut all);
    all
}

pub(super) fn made_by<'r>(all: &'r BTreeMap<String, Value>, role: &str, name: &str) -> &'r Value {
    let is = |record: &&Value| {
        text(record, "/eventName") == name
            && text(record, "/errorCode").is_empty()
            && text(record, "/userIdentity/sessionContext/sessionIssuer/arn").contains(role)
    };
    all.values().find(is).unwrap_or_else(|| panic!("{name} by {role}"))
}

#[test]
fn denials_that_a_plan_explains_are_shown_and_what_was_undone_is_found() {
    let place = demo();
    let path = place.path("plan.json");
    place.rows(&format!("{AT} remediate plan --out {}", path.display()));
    let run = place.line(&format!("{LATER} remediate watch plan.json"));
    assert!(run.code == Some(1) && run.stderr.contains("was not applied"), "{run:?}");
    let mut plan = read(&path);
    write(&mut plan, &path);
    applied(&place, &plan);
    // Nothing was denied, and nothing undone.
    assert_eq!(place.line(&format!("{LATER} remediate watch plan.json --format csv")).stdout.lines().count(), 1);
    let phase = |at: &str| {
        let rows = place.rows(&format!("--store demo/store --as-of {at} remediate list"));
        rows.iter().map(|row| text(row, "/phase").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((phase("2026-11-02"), phase("2026-10-31")), (vec!["applied".to_owned()], Vec::new()));
    let all = all_records(&place);
    let reboot = made_by(&all, "role/prod-db-operator", "ModifyDBInstance");
    let other = made_by(&all, "role/deploy", "RunInstances");
    denied(
        &place,
        "later",
        &[
            (reboot, "2026-11-02T09:00:00Z", ""),
            (reboot, "2026-11-02T09:05:00Z", ""),
            // It was denied before, and what the plan did not touch is denied for other reasons.
            (reboot, "2026-10-30T09:00:00Z", ""),
            (other, "2026-11-02T10:00:00Z", ""),
        ],
    );
    let rows = place.line(&format!("{LATER} remediate watch plan.json --format ndjson"));
    assert_eq!(rows.code, Some(3), "{rows:?}");
    let rows: Vec<Value> = rows.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    let row = &rows[0];
    let schema = place.rows("schema");
    let fields: Vec<&str> =
        schema.iter().filter(|one| one["command"] == "remediate watch").map(|one| text(one, "/field")).collect();
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
    assert_eq!((text(row, "/action"), &row["calls"]), ("rds:ModifyDBInstance", &json!(2)), "{row}");
    assert!(text(row, "/through").contains("role/jitscan/jit-prod-db-operator-"), "{row}");
    assert_eq!(text(row, "/restored"), "it can be asked for");
    assert_eq!(row["examples"].as_array().unwrap().len(), 2, "{row}");
    // Before its end it is not looked at any more.
    let early = place.line(&format!("{LATER} remediate watch plan.json --days 1d --format csv"));
    assert_eq!((early.code, early.stdout.lines().count()), (Some(0), 1), "{early:?}");

    // Somebody puts everything back: the next scan tells.
    let kind = |row: &&Value| row["kind"] == "remediation_undone";
    assert_eq!(place.rows(&format!("{LATER} scan")).iter().filter(kind).count(), 0);
    let changed: Vec<&str> = plan
        .changes
        .iter()
        .filter(|one| one.account.to_string() == "710293847561")
        .map(|one| one.principal.as_str())
        .collect();
    let file = place.path("demo/input/iam/710293847561/authorization-details.json");
    let run =
        place.line(&format!("--store demo/store ingest iam {} --captured-at 2026-11-04T00:00:00Z", file.display()));
    assert_eq!(run.code, Some(0), "{run:?}");
    let found = place.rows(&format!("{LATER} scan"));
    let found: Vec<&Value> = found.iter().filter(kind).collect();
    let mut principals: Vec<&str> = found.iter().map(|row| text(row, "/principal")).collect();
    principals.sort_unstable();
    let granted = |arn: &&str| plan.grants.iter().any(|grant| grant.principal == **arn);
    let mut wanted: Vec<&str> = changed.clone();
    wanted.extend(
        plan.grants
            .iter()
            .filter(|one| one.account.to_string() == "710293847561")
            .map(|one| one.principal.as_str())
            .filter(|arn| !changed.contains(arn)),
    );
    wanted.sort_unstable();
    assert_eq!(principals, wanted, "{found:#?}");
    assert!(wanted.iter().any(granted));
    assert!(found.iter().all(|row| row["severity"] == "high" && text(row, "/title").contains("undone")), "{found:#?}");
}

#[test]
fn what_is_given_back_was_used_before_by_who_was_denied_and_ends() {
    let place = demo();
    let path = place.path("plan.json");
    place.rows(&format!("{AT} remediate plan --out {}", path.display()));
    // A plan that takes too much: no grants, and all that pipelines hold.
    let mut plan = read(&path);
    plan.grants.clear();
    let state = snapshot(&place);
    for change in &mut plan.changes {
        let Some(name) = change.principal.strip_suffix("role/deploy").map(|_| "deploy") else { continue };
        let iam = &state.accounts[&change.account];
        let role = iam.roles.iter().find(|role| role.holder.name == name).unwrap();
        let document = role.holder.inline.iter().find(|one| one.name == "deploy").unwrap().json.clone();
        let (role, policy) = ("deploy".to_owned(), "deploy".to_owned());
        change.steps = vec![jitscan::remediate::Step {
            about: "all of it".into(),
            effect: Effect::DeleteRolePolicy { role: role.clone(), policy: policy.clone() },
            undo: Effect::PutRolePolicy { role, policy, document },
        }];
    }
    write(&mut plan, &path);
    applied(&place, &plan);
    let all = all_records(&place);
    let modify = made_by(&all, "role/prod-db-operator", "ModifyDBInstance");
    let update = made_by(&all, "710293847561:role/deploy", "UpdateStack");
    let policy = made_by(&all, "710293847561:role/deploy", "CreatePolicyVersion");
    let mut never = made_by(&all, "role/incident-responder", "CreateSnapshot").clone();
    never["eventName"] = "ModifyInstanceAttribute".into();
    denied(
        &place,
        "later",
        &[
            (modify, "2026-11-02T09:00:00Z", "raj.patel@lanternfreight.example"),
            (modify, "2026-11-02T09:10:00Z", ""),
            (&never, "2026-11-02T09:20:00Z", ""),
            (update, "2026-11-02T10:00:00Z", "pipeline"),
            (policy, "2026-11-02T10:10:00Z", "pipeline"),
        ],
    );
    let rows = place.line(&format!("{LATER} remediate watch plan.json --format ndjson"));
    let rows: Vec<Value> = rows.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<(&str, &str)> = rows.iter().map(|row| (text(row, "/action"), text(row, "/restored"))).collect();
    println!("{said:#?}");
    let of = |action: &str| said.iter().filter(|(name, _)| *name == action).map(|(_, why)| *why).collect::<Vec<_>>();
    // With and without a source identity.
    let modified = of("rds:ModifyDBInstance");
    assert!(modified.contains(&"may be: --auto-restore gives it back for a time"), "{rows:#?}");
    assert!(modified.iter().any(|why| why.contains("source identity") || why.contains("nothing sure")), "{rows:#?}");
    // What was never used, and what manages privileges, is not given back to whoever asks for it by being denied.
    assert!(
        of("rds:DeleteDBInstance").iter().all(|why| why.contains("used before") || why.contains("nothing sure")),
        "{rows:#?}"
    );
    assert!(!of("iam:CreatePolicyVersion").is_empty(), "{rows:#?}");
    assert!(of("iam:CreatePolicyVersion").iter().all(|why| !why.starts_with("may be")), "{rows:#?}");
    // Whoever has left gets nothing back, whatever they did.
    let roster = fs::read_to_string(place.path("demo/input/roster.csv")).unwrap();
    let gone: Vec<String> = roster
        .lines()
        .map(|line| match line.contains("raj.patel@") {
            true => line.replacen(",human,2022-08-01,,", ",human,2022-08-01,2026-11-01,", 1),
            false => line.to_owned(),
        })
        .collect();
    assert_ne!(gone.join("\n"), roster.trim_end());
    fs::write(place.path("roster.csv"), gone.join("\n")).unwrap();
    let run = place.line("--store demo/store ingest roster roster.csv --captured-at 2026-11-02");
    assert_eq!(run.code, Some(0), "{run:?}");
    let left = place.line(&format!("{LATER} remediate watch plan.json --format ndjson"));
    let left: Vec<Value> = left.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_raj = |row: &&Value| text(row, "/person").starts_with("raj.patel@");
    assert!(left.iter().filter(of_raj).count() > 0, "{left:#?}");
    assert!(left.iter().filter(of_raj).all(|row| text(row, "/restored").contains("they have left")), "{left:#?}");
    // And who is about to leave gets it until then.
    assert_eq!(given_until(&plan, &state, "raj"), ["2026-11-04T00:00:00Z", "2026-11-03T00:00:00Z"]);
    // Enough is enough.
    let capped = place.line(&format!("{LATER} remediate watch plan.json --max-restored 0 --format ndjson"));
    assert!(!capped.stdout.contains("may be"), "{capped:?}");
}

/// Until when two sessions of the deploy role are given back what they were denied, where `leaving` leaves on the 3rd.
fn given_until(plan: &Plan, before: &Snapshot, leaving: &str) -> Vec<String> {
    let deploy = plan.changes.iter().find(|change| change.principal.ends_with("710293847561:role/deploy")).unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let denial = |person: &str| Denial {
        principal: deploy.principal.clone(),
        person: person.into(),
        source_identity: person.into(),
        action: "cloudformation:UpdateStack".into(),
        calls: 1,
        first: at("2026-11-02T09:00:00Z"),
        last: at("2026-11-02T09:00:00Z"),
        examples: Vec::new(),
        through: String::new(),
        not_restored: String::new(),
    };
    let (made, left) = restoring(&Wanted {
        plan,
        before,
        now: before,
        denials: &["ann", leaving].map(denial),
        until: at("2026-11-04T00:00:00Z"),
        ends: &[(leaving.to_owned(), at("2026-11-03T00:00:00Z"))].into(),
        at: at("2026-11-02T10:00:00Z"),
        generation: 1,
        catalog: Catalog::get(),
    });
    assert!(left.is_empty() && made.changes.len() == 1, "{left:?}");
    let Effect::PutRolePolicy { document, .. } = &made.changes[0].steps[0].effect else { panic!("{made:#?}") };
    let document: Value = serde_json::from_str(document).unwrap();
    let until = |statement: &Value| {
        let who = text(statement, "/Condition/StringEquals/aws:SourceIdentity").to_owned();
        (who, text(statement, "/Condition/DateLessThanEquals/aws:CurrentTime").to_owned())
    };
    let mut all: Vec<(String, String)> = document["Statement"].as_array().unwrap().iter().map(until).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>(), ["ann", leaving]);
    all.into_iter().map(|(_, until)| until).collect()
}

#[test]
fn on_paper_it_costs_what_people_did_since() {
    let place = demo();
    let early = "--config demo/jitscan.toml --store demo/store --as-of 2026-10-01";
    place.rows(&format!("{early} remediate plan --advice convert-to-jit --out plan.json"));
    let rows = place.line(&format!("{AT} remediate shadow plan.json --format ndjson"));
    let rows: Vec<Value> = rows.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let plan = read(&place.path("plan.json"));
    assert!(!rows.is_empty() && !plan.grants.is_empty());
    let asked: Vec<&Value> = rows.iter().filter(|row| row["kind"] == "asked").collect();
    let all = all_records(&place);
    for row in &asked {
        let grant = plan.grants.iter().find(|grant| grant.role == text(row, "/role")).unwrap();
        assert!(grant.people.iter().any(|one| one == text(row, "/person")), "{row}");
        // No more requests than calls of these actions through that role since then.
        let names: Vec<&str> = row["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap().split(':').nth(1).unwrap())
            .collect();
        let calls = all.values().filter(|record| {
            // CloudTrail writes the version of Lambda's API after the name.
            names.iter().any(|name| text(record, "/eventName").starts_with(name))
                && text(record, "/eventTime") >= "2026-10-01"
                && text(record, "/userIdentity/sessionContext/sessionIssuer/arn") == text(row, "/principal")
        });
        let (requests, calls) = (row["requests"].as_u64().unwrap(), calls.count() as u64);
        assert!(requests >= 1 && requests <= calls, "{row}: {calls}");
    }
    // As of the day on which it was made nothing was asked for yet.
    let then = place.line(&format!("{early} remediate shadow plan.json --format csv"));
    assert_eq!((then.code, then.stdout.lines().count()), (Some(0), 1), "{then:?}");
}

#[test]
fn access_is_changed_now_and_not_at_another_time() {
    let place = demo();
    place.rows(&format!("{AT} remediate plan --out plan.json"));
    for what in ["apply", "rollback"] {
        let run = place.line(&format!("{AT} remediate {what} plan.json --yes"));
        assert!(run.code == Some(2) && run.stderr.contains("--as-of is for analysis"), "{run:?}");
    }
}
