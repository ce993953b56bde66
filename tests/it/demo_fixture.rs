//! The made-up organisation: the same bytes for the same seed, logs that are consistent in themselves, and every
//! planted fact counted again from the records, by a path that shares nothing with the generator or the program.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use jitscan::demo::{Demo, DemoError, DemoOptions, Fact, GrantTruth, Sink, generate};
use jitscan::model::time::{Timestamp, Window};
use serde_json::Value;

/// Keeps every file.
#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Sink for Memory {
    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        assert!(self.0.insert(path.to_owned(), bytes.to_vec()).is_none(), "{path} came twice");
        Ok(())
    }
}

fn demo(seed: u64) -> (Demo, Memory) {
    let mut memory = Memory::default();
    let demo = generate(DemoOptions { seed, ..DemoOptions::default() }, &mut memory).unwrap();
    (demo, memory)
}

/// What the files say, read back without the program.
struct World {
    demo: Demo,
    files: Memory,
    /// Every record as delivered, with its file.
    delivered: Vec<(String, Value)>,
    /// Distinct records.
    records: Vec<Value>,
    /// Issued access key → who asked for it.
    issued: BTreeMap<String, Value>,
    /// Identity Center user name or IAM user name → roster id.
    people: BTreeMap<String, String>,
    /// ARN → unique id, of everyone in the authorization details.
    principals: BTreeMap<String, String>,
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn unzip(bytes: &[u8]) -> Value {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    json(&plain)
}

fn read_back(seed: u64) -> World {
    let (demo, files) = demo(seed);
    let mut delivered = Vec::new();
    for (path, bytes) in files.0.iter().filter(|(path, _)| path.contains("/CloudTrail/")) {
        for record in unzip(bytes)["Records"].as_array().unwrap() {
            delivered.push((path.clone(), record.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    let records: Vec<Value> = delivered
        .iter()
        .filter(|(_, record)| seen.insert(text(record, "/eventID").to_owned()))
        .map(|(_, record)| record.clone())
        .collect();
    let mut issued = BTreeMap::new();
    for record in &records {
        let key = text(record, "/responseElements/credentials/accessKeyId");
        let ours = text(record, "/userIdentity/type") != "AWSAccount";
        if !key.is_empty() && (ours || !issued.contains_key(key)) {
            issued.insert(key.to_owned(), record["userIdentity"].clone());
        }
    }
    let mut people = BTreeMap::new();
    for row in csv::Reader::from_reader(files.0["roster.csv"].as_slice()).records() {
        let row = row.unwrap();
        if let Some((user, _)) = row[2].split_once('@') {
            people.insert(user.to_owned(), row[0].to_owned());
        }
        for user in row[8].split(';').filter(|user| !user.is_empty()) {
            people.insert(user.to_owned(), row[0].to_owned());
        }
    }
    let mut principals = BTreeMap::new();
    for (_, bytes) in files.0.iter().filter(|(path, _)| path.ends_with("authorization-details.json")) {
        let details = json(bytes);
        for (list, id) in [("RoleDetailList", "/RoleId"), ("UserDetailList", "/UserId")] {
            for holder in details[list].as_array().unwrap() {
                principals.insert(text(holder, "/Arn").to_owned(), text(holder, id).to_owned());
            }
        }
    }
    World { demo, files, delivered, records, issued, people, principals }
}

impl World {
    /// Who obtained the credentials, followed back to a person; empty where it is nobody.
    fn person(&self, record: &Value) -> &str {
        let mut identity = &record["userIdentity"];
        for _ in 0..8 {
            let name = match text(identity, "/type") {
                "SAMLUser" | "IAMUser" => text(identity, "/userName"),
                "AssumedRole" => match self.issued.get(text(identity, "/accessKeyId")) {
                    Some(before) => {
                        identity = before;
                        continue;
                    }
                    None => "",
                },
                _ => "",
            };
            return self.people.get(name).map_or("", String::as_str);
        }
        ""
    }
}

/// ARN of the role or user behind a record.
fn principal(record: &Value) -> &str {
    match text(record, "/userIdentity/sessionContext/sessionIssuer/arn") {
        "" => text(record, "/userIdentity/arn"),
        issuer => issuer,
    }
}

/// The event names of an action as planted here.
fn is_action(record: &Value, action: &str) -> bool {
    let (source, name) = (text(record, "/eventSource"), text(record, "/eventName"));
    let (prefix, wanted) = action.split_once(':').unwrap();
    source.strip_suffix(".amazonaws.com") == Some(prefix)
        && (name == wanted
            || name.strip_prefix(wanted).is_some_and(|version| version.starts_with("2015"))
            || (action == "s3:ListAllMyBuckets" && name == "ListBuckets"))
}

/// Whether the record's parameters, resources or message name the last part of the resource.
fn names(record: &Value, resource: &str) -> bool {
    let tail = resource.rsplit([':', '/']).next().unwrap_or("");
    [&record["requestParameters"], &record["resources"], &record["errorMessage"]]
        .iter()
        .any(|part| part.to_string().contains(tail))
}

fn time(record: &Value) -> Timestamp {
    text(record, "/eventTime").parse().unwrap()
}

/// The records that a fact speaks of.
fn of_fact<'a>(world: &'a World, fact: &Fact) -> Vec<&'a Value> {
    let id = world.principals.get(&fact.principal).map_or("", String::as_str);
    world
        .records
        .iter()
        .filter(|record| fact.actions.iter().any(|action| is_action(record, action)))
        .filter(|record| {
            if fact.actions == ["sts:AssumeRole"] {
                return text(record, "/requestParameters/roleArn") == fact.principal;
            }
            // A user's unique id decides: one of the same name may have been deleted.
            // Failed sign-ins have no ARN.
            let arn = principal(record);
            (fact.principal.is_empty() || arn == fact.principal || arn.is_empty())
                && (text(record, "/userIdentity/type") != "IAMUser" || text(record, "/userIdentity/principalId") == id)
        })
        .filter(|record| fact.person.is_empty() || world.person(record) == fact.person)
        .filter(|record| fact.region.is_empty() || text(record, "/awsRegion") == fact.region)
        .filter(|record| fact.resource.is_empty() || names(record, &fact.resource))
        .collect()
}

fn every_fact_counts_out(world: &World) {
    assert!(world.demo.truth.facts.len() >= 25);
    for fact in &world.demo.truth.facts {
        let records = of_fact(world, fact);
        let coded =
            |codes: &[&str]| records.iter().filter(|record| codes.contains(&text(record, "/errorCode"))).count() as u64;
        let denied = coded(&["AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"]);
        let failed = records.iter().filter(|record| text(record, "/errorMessage") == "Failed authentication").count();
        let throttled = coded(&["ThrottlingException"]) + failed as u64;
        let done: Vec<Timestamp> =
            records.iter().filter(|record| record.get("errorMessage").is_none()).map(|record| time(record)).collect();
        let days: BTreeSet<_> = done.iter().map(|at| at.day()).collect();
        assert_eq!(
            (done.len() as u64, denied, throttled, days.len() as u64, days.first().copied(), days.last().copied()),
            (fact.count, fact.denied, fact.not_evaluated, fact.active_days, fact.first, fact.last),
            "{} {}",
            fact.id,
            fact.title
        );
        if fact.id != "F18" && !fact.principal.is_empty() {
            assert!(world.principals.contains_key(&fact.principal), "{} {}", fact.id, fact.principal);
        }
    }
}

fn facts_that_are_not_counts(world: &World) {
    let fact = |id: &str| world.demo.truth.facts.iter().find(|fact| fact.id == id).unwrap();
    let by = |id: &'static str| world.records.iter().filter(move |record| principal(record) == fact(id).principal);
    for id in ["F12", "F13", "F14", "F15", "F34", "F35"] {
        assert_eq!(by(id).count(), 0, "{id}: never acts");
        let taken = |record: &&Value| text(record, "/requestParameters/roleArn") == fact(id).principal;
        assert_eq!(world.records.iter().filter(taken).count(), 0, "{id}: never assumed");
    }
    assert_eq!(by("F20").filter(|record| world.person(record) == "E004").count(), 0, "Ines never signs in as admin");
    assert_eq!(by("F30").count(), 0, "the scheduler's role is only assumed");
    // Two people behind one session name, and a name that lies.
    let shares: BTreeMap<&str, usize> =
        by("F29").filter(|r| is_action(r, "ssm:StartSession")).fold(BTreeMap::new(), |mut shares, record| {
            *shares.entry(world.person(record)).or_default() += 1;
            shares
        });
    assert_eq!(shares, BTreeMap::from([("E005", 11), ("E011", 5)]));
    assert!(by("F33").all(|record| text(record, "/userIdentity/arn").ends_with("/grace.wanjiru")));
    assert!(by("F32").all(|r| text(r, "/userIdentity/sessionContext/sourceIdentity") == "chloe.martin"));
    assert!(by("F31").all(|record| world.person(record).is_empty()), "a pipeline is nobody");
    // Data events for one bucket only.
    let data: BTreeSet<&str> = world
        .records
        .iter()
        .filter(|record| text(record, "/eventCategory") == "Data")
        .map(|record| text(record, "/requestParameters/bucketName"))
        .collect();
    assert_eq!(data, BTreeSet::from([world.demo.truth.data_event_bucket.rsplit(':').next().unwrap()]));
    // The deleted user and the one who has its name.
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for record in by("F40") {
        *ids.entry(text(record, "/userIdentity/principalId")).or_default() += 1;
    }
    let mut counts: Vec<usize> = ids.values().copied().collect();
    counts.sort_unstable();
    assert_eq!(counts, [15, 20]);
    for record in by("F36").filter(|record| is_action(record, "glue:GetTable")) {
        assert_eq!(text(record, "/userIdentity/invokedBy"), "athena.amazonaws.com");
    }
    for record in world.records.iter().filter(|record| text(record, "/eventType") == "AwsServiceEvent") {
        assert!(record.pointer("/userIdentity/type").is_none());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, files) = demo(7);
    let (again, same) = demo(7);
    assert_eq!(first, again);
    assert_eq!(files.0, same.0);
    let other = read_back(8);
    assert_eq!(first.truth, other.demo.truth);
    assert_ne!(files.0.keys().collect::<Vec<_>>(), other.files.0.keys().collect::<Vec<_>>());
    for path in ["organization.json", "identity-center.json", "roster.csv", "grants.jsonl"] {
        assert_eq!(files.0[path], other.files.0[path], "{path}");
    }
    // Another seed's noise does not touch what was planted.
    for fact in &other.demo.truth.facts {
        let done = of_fact(&other, fact).iter().filter(|record| record.get("errorMessage").is_none()).count();
        assert_eq!(done as u64, fact.count, "{}", fact.id);
    }
}

fn counts_and_places_of_records(world: &World) {
    let (demo, truth) = (&world.demo, &world.demo.truth);
    assert!((20_000..=40_000).contains(&demo.records), "{}", demo.records);
    assert!((500..=2_000).contains(&demo.log_files), "{}", demo.log_files);
    assert_eq!(world.records.len() as u64, demo.records);
    assert_eq!(world.delivered.len() as u64, demo.records + demo.duplicates);
    assert_eq!(demo.duplicates, 5);
    let logs = world.files.0.keys().filter(|path| path.starts_with("cloudtrail/")).count() as u64;
    assert_eq!(logs, demo.log_files + demo.other_log_files);
    // A copy has the same content; otherwise ids are unique.
    let mut by_id: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (_, record) in &world.delivered {
        by_id.entry(text(record, "/eventID")).or_default().push(record);
    }
    for (id, copies) in &by_id {
        assert_eq!(id.len(), 36, "{id}");
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{id}");
        let planted = text(copies[0], "/eventName") == "GetWorkGroup";
        assert_eq!(copies.len(), if planted { 2 } else { 1 }, "{id}");
    }
    let window = Window::last_days(truth.as_of, i64::from(truth.days));
    for (path, record) in &world.delivered {
        // What AWS does by itself goes on before and after.
        let around = if text(record, "/eventType") == "AwsServiceEvent" { 8 * 3600 } else { 0 };
        let window = Window { from: window.from.plus_seconds(-around), to: window.to.plus_seconds(around) };
        assert!(window.contains(time(record)), "{path}");
        let place = format!(
            "/{}/CloudTrail/{}/{}/",
            text(record, "/recipientAccountId"),
            text(record, "/awsRegion"),
            time(record).day().to_string().replace('-', "/")
        );
        assert!(path.contains(&place), "{path} holds a record of {place}");
    }
}

fn every_day_has_a_file_but_the_planted_week(world: &World) {
    let truth = &world.demo.truth;
    let window = Window::last_days(truth.as_of, i64::from(truth.days));
    let mut missing = 0;
    for (_, account) in &truth.accounts {
        for region in &truth.regions {
            for day in window.days() {
                let folder = format!("/{account}/CloudTrail/{region}/{}/", day.to_string().replace('-', "/"));
                let there = world.files.0.keys().any(|path| path.contains(&folder));
                let gap = &truth.gap;
                let lost = *account == gap.account && *region == gap.region && (gap.first..=gap.last).contains(&day);
                assert_eq!(there, !lost, "{folder}");
                missing += usize::from(lost);
            }
        }
    }
    assert_eq!(missing, 7);
}

fn sessions_are_consistent(world: &World) {
    for record in &world.records {
        let identity = &record["userIdentity"];
        let issuer = text(identity, "/sessionContext/sessionIssuer/arn");
        if text(identity, "/type") == "AssumedRole" {
            let id = text(identity, "/sessionContext/sessionIssuer/principalId");
            assert_eq!(world.principals.get(issuer).map(String::as_str), Some(id), "{issuer}");
            assert!(text(identity, "/principalId").starts_with(&format!("{id}:")));
            assert!(world.issued.contains_key(text(identity, "/accessKeyId")), "{issuer}: nobody issued the key");
        }
    }
    // Copies in two accounts: one call, seen from both sides.
    let mut shared: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in world.records.iter().filter(|record| record.get("sharedEventID").is_some()) {
        shared.entry(text(record, "/sharedEventID")).or_default().push(record);
    }
    let pairs: Vec<_> = shared.values().filter(|copies| copies.len() == 2).collect();
    assert!(pairs.len() > 100 && shared.values().all(|copies| copies.len() <= 2));
    for copies in pairs {
        assert_ne!(copies[0]["recipientAccountId"], copies[1]["recipientAccountId"]);
        assert_eq!(copies[0]["responseElements"], copies[1]["responseElements"]);
        let kinds: BTreeSet<&str> = copies.iter().map(|copy| text(copy, "/userIdentity/type")).collect();
        assert_eq!(kinds, BTreeSet::from(["AWSAccount", "AssumedRole"]));
    }
}

/// Calls of a person through a principal at some time.
fn acts<'a>(world: &'a World, grant: &GrantTruth, from: Timestamp, to: Timestamp) -> Vec<&'a Value> {
    let window = Window { from, to };
    world
        .records
        .iter()
        .filter(|record| window.contains(time(record)) && world.person(record) == grant.person)
        .filter(|record| text(record, "/eventSource") != "sts.amazonaws.com")
        .collect()
}

fn grants_and_their_violations_are_in_the_logs(world: &World) {
    let lines = String::from_utf8(world.files.0["grants.jsonl"].clone()).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 40);
    for (line, grant) in lines.iter().zip(&world.demo.truth.grants) {
        assert_eq!(text(line, "/grant_id"), grant.grant_id);
        let at = |name: &str| text(line, name).parse::<Timestamp>().unwrap();
        let (start, end, revoked) = (at("/starts_at"), at("/ends_at"), at("/revoked_at"));
        let inside = acts(world, grant, start, end).iter().filter(|r| principal(r) == grant.principal).count();
        assert_eq!(inside as u64, grant.acts_inside, "{}", grant.grant_id);
        assert_eq!(grant.verdict == "unused", grant.acts_inside == 0, "{}", grant.grant_id);
        assert_eq!(grant.verdict == "clean", grant.violations.is_empty(), "{}", grant.grant_id);
        for violation in &grant.violations {
            let (from, to) = match violation.kind.as_str() {
                "use_after_end" => (end, end.plus_seconds(7_200)),
                "use_before_start" => (start.plus_seconds(-7_200), start),
                _ => (start, end),
            };
            let count = acts(world, grant, from, to)
                .iter()
                .filter(|record| !violation.action.is_empty() && is_action(record, &violation.action))
                .filter(|record| violation.resource.is_empty() || names(record, &violation.resource))
                .count() as u64;
            if !violation.action.is_empty() {
                assert_eq!(count, violation.count, "{} {}", grant.grant_id, violation.kind);
            }
            let shown = match violation.kind.as_str() {
                "missing_ticket" => text(line, "/ticket").is_empty(),
                "self_approval" => text(line, "/approver") == text(line, "/person"),
                "approved_after_start" => at("/approved_at") > start,
                "late_revocation" => revoked > end.plus_seconds(3_600),
                "window_too_long" => end > start.plus_seconds(14_400),
                _ => true,
            };
            assert!(shown, "{} {}", grant.grant_id, violation.kind);
        }
        // What is not planted must not be there by accident.
        let kinds: BTreeSet<&str> = grant.violations.iter().map(|violation| violation.kind.as_str()).collect();
        for (kind, broken) in [
            ("missing_ticket", text(line, "/ticket").is_empty()),
            ("self_approval", text(line, "/approver") == text(line, "/person")),
            ("approved_after_start", at("/approved_at") > start),
            ("late_revocation", revoked > end.plus_seconds(3_600)),
            ("window_too_long", end > start.plus_seconds(14_400)),
        ] {
            assert_eq!(broken, kinds.contains(kind), "{} {kind}", grant.grant_id);
        }
        assert!(at("/requested_at") < at("/approved_at") && start < end, "{}", grant.grant_id);
    }
}

/// The table of `fixtures/README.md` and the truth name the same facts.
fn the_readme_lists_every_fact(world: &World) {
    let readme = include_str!("../../fixtures/README.md");
    let truth = &world.demo.truth;
    let ids = truth.facts.iter().map(|fact| &fact.id).chain(truth.grants.iter().map(|grant| &grant.grant_id));
    for id in ids {
        assert!(readme.contains(&format!("| {id} |")), "{id} is missing in fixtures/README.md");
    }
    for fact in &truth.facts {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {} |", fact.id))).unwrap();
        let days = if fact.active_days == 1 { "day" } else { "days" };
        let (first, last) = (fact.first.unwrap_or_default(), fact.last.unwrap_or_default());
        let used = format!(": {} calls on {} {days}, {first} to {last}", fact.count, fact.active_days);
        assert_eq!(row.contains(&used), fact.count > 0, "{}: {row}", fact.id);
        assert_eq!(row.contains(&format!(" {} denied", fact.denied)), fact.denied > 0, "{}: {row}", fact.id);
        assert!(row.contains(&fact.expected), "{}: {row}", fact.id);
    }
    for row in readme.lines().filter(|line| line.starts_with("| F") || line.starts_with("| G")) {
        let id = row.split('|').nth(1).unwrap().trim();
        assert!(
            truth.facts.iter().any(|fact| fact.id == id) || truth.grants.iter().any(|grant| grant.grant_id == id),
            "{id} stands in fixtures/README.md only"
        );
    }
}

/// Whether a pattern with `*` matches a whole text, letter case aside.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// Allow statements by ARN of the principal, group policies included.
fn allowed(world: &World) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::new();
    for (_, bytes) in world.files.0.iter().filter(|(path, _)| path.ends_with("authorization-details.json")) {
        let details = json(bytes);
        let managed = |holder: &Value| -> Vec<Value> {
            let arns = holder["AttachedManagedPolicies"].as_array().unwrap();
            arns.iter()
                .flat_map(|attached| {
                    let policies = details["Policies"].as_array().unwrap();
                    let policy = policies.iter().find(|policy| policy["Arn"] == attached["PolicyArn"]).unwrap();
                    policy["PolicyVersionList"][0]["Document"]["Statement"].as_array().unwrap().clone()
                })
                .collect()
        };
        for (kind, inline) in [("RoleDetailList", "RolePolicyList"), ("UserDetailList", "UserPolicyList")] {
            for holder in details[kind].as_array().unwrap() {
                let mut statements = managed(holder);
                for policy in holder[inline].as_array().unwrap() {
                    statements.extend(policy["PolicyDocument"]["Statement"].as_array().unwrap().clone());
                }
                for group in details["GroupDetailList"].as_array().unwrap() {
                    if holder["GroupList"].as_array().is_some_and(|groups| groups.contains(&group["GroupName"])) {
                        statements.extend(managed(group));
                    }
                }
                statements.retain(|statement| statement["Effect"] == "Allow");
                all.insert(text(holder, "/Arn").to_owned(), statements);
            }
        }
    }
    all
}

/// Noise never uses what its principal does not hold; only planted facts do.
fn nobody_uses_what_they_do_not_hold(world: &World) {
    let allowed = allowed(world);
    let mut used = BTreeSet::new();
    for record in &world.records {
        let kind = text(record, "/userIdentity/type");
        let source = text(record, "/eventSource");
        if !matches!(kind, "AssumedRole" | "IAMUser")
            || record.get("errorCode").is_some()
            || source == "signin.amazonaws.com"
        {
            continue;
        }
        let prefix = source.trim_end_matches(".amazonaws.com").replace("monitoring", "cloudwatch");
        let name = text(record, "/eventName");
        let name = name.split_once("2015").map_or(name, |(name, _)| name);
        let action = match (prefix.as_str(), name) {
            ("s3", "ListBuckets") => "s3:ListAllMyBuckets".to_owned(),
            ("s3", "GetBucketEncryption") => "s3:GetEncryptionConfiguration".to_owned(),
            _ => format!("{prefix}:{name}"),
        };
        used.insert((principal(record).to_owned(), action));
    }
    let mut beyond = BTreeSet::new();
    for (holder, action) in used {
        let holds = allowed[&holder].iter().any(|statement| match statement.get("NotAction") {
            Some(not) => !list(not).iter().any(|pattern| matches(pattern, &action)),
            None => list(&statement["Action"]).iter().any(|pattern| matches(pattern, &action)),
        });
        if !holds {
            beyond.insert((holder.rsplit('/').next().unwrap().to_owned(), action));
        }
    }
    beyond.retain(|(_, action)| action != "sts:GetCallerIdentity");
    let planted = BTreeSet::from([("nightly-maintenance".to_owned(), "rds:CreateDBSnapshot".to_owned())]);
    assert_eq!(beyond, planted);
}

/// One test, because every test runs in a process of its own and would have to make and read the demo again.
#[test]
fn the_planted_truth_stands_in_the_files() {
    let world = read_back(DemoOptions::default().seed);
    counts_and_places_of_records(&world);
    every_day_has_a_file_but_the_planted_week(&world);
    sessions_are_consistent(&world);
    nobody_uses_what_they_do_not_hold(&world);
    every_fact_counts_out(&world);
    facts_that_are_not_counts(&world);
    grants_and_their_violations_are_in_the_logs(&world);
    the_readme_lists_every_fact(&world);
}

/// Takes nothing.
struct Full;

impl Sink for Full {
    fn file(&mut self, _: &str, _: &[u8]) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

#[test]
fn the_generator_says_what_it_cannot_do() {
    let options = DemoOptions::default();
    assert_eq!(options.end.to_string(), "2026-11-01T00:00:00Z");
    let noon = DemoOptions { end: options.end.plus_seconds(43_200), ..options };
    let error = generate(noon, &mut Memory::default()).unwrap_err().to_string();
    assert_eq!(error, "the demo must end at a midnight (UTC), not at 2026-11-01T12:00:00Z");
    assert!(
        matches!(generate(options, &mut Full), Err(DemoError::Io(error)) if error.kind() == io::ErrorKind::StorageFull)
    );
}
