//! Every named query on an empty lake and on a small one with known answers.

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::Connection;

use super::*;
use crate::compare::assessment::{Assessment, Nature, PrincipalKind};
use crate::compliance::sample;
use crate::model::table::Cell;
use crate::model::time::Day;

const DEV: &str = "arn:aws:iam::111122223333:role/team/dev";
const ANA: &str = "arn:aws:iam::111122223333:user/ana";

/// Rows of the small lake, by kind: as `INSERT … BY NAME` sources. What is left out is empty.
const ROWS: &[(&str, &str)] = &[
    (
        "sessions",
        "SELECT 1 AS session, 'AssumedRole' AS identity_type, 'AROA1:ana' AS principal_id,
           'arn:aws:sts::111122223333:assumed-role/dev/ana' AS principal_arn, 'ASIADEV' AS access_key,
           'arn:aws:iam::111122223333:role/team/dev' AS issuer_arn
         UNION ALL BY NAME SELECT 2 AS session, 'IAMUser' AS identity_type, 'AIDA1' AS principal_id,
           'arn:aws:iam::111122223333:user/ana' AS principal_arn, 'AKIAANA' AS access_key, 'ana' AS user_name
         UNION ALL BY NAME SELECT 3 AS session, 'AWSAccount' AS identity_type, '111122223333' AS principal_account",
    ),
    (
        "issued",
        "SELECT 'ASIADEV' AS access_key, 'AROA1:ana' AS session_principal_id, '{dev}' AS role_arn, 2 AS session,
           TIMESTAMP '2026-11-10 08:00:00' AS time, 'i1' AS event_id
         UNION ALL BY NAME SELECT 'ASIAPROD' AS access_key, 'AROA2:x' AS session_principal_id,
           'arn:aws:iam::444455556666:role/prod' AS role_arn, 1 AS session,
           TIMESTAMP '2026-11-10 09:00:00' AS time, 'i2' AS event_id
         UNION ALL BY NAME SELECT 'ASIAPROD' AS access_key, 'AROA2:x' AS session_principal_id,
           'arn:aws:iam::444455556666:role/prod' AS role_arn, 3 AS session,
           TIMESTAMP '2026-11-10 09:00:00' AS time, 'i2b' AS event_id",
    ),
    (
        "usage",
        "SELECT 1 AS session, 's3.amazonaws.com' AS source, 'ListBuckets' AS name, 'authorised' AS outcome,
           '2026-09-01' AS day, 4 AS count, TIMESTAMP '2026-09-01 10:00:00' AS first, TIMESTAMP '2026-09-01 11:00:00' AS last
         UNION ALL BY NAME SELECT 1 AS session, 's3.amazonaws.com' AS source, 'ListBuckets' AS name, 'authorised' AS outcome,
           '2026-11-18' AS day, 1 AS count, TIMESTAMP '2026-11-18 10:00:00' AS first, TIMESTAMP '2026-11-18 10:00:00' AS last
         UNION ALL BY NAME SELECT 1 AS session, 'iam.amazonaws.com' AS source, 'CreateUser' AS name, 'denied' AS outcome,
           '2026-11-19' AS day, 2 AS count, TIMESTAMP '2026-11-19 10:00:00' AS first, TIMESTAMP '2026-11-19 10:05:00' AS last",
    ),
    (
        "coverage",
        "SELECT '111122223333' AS account, 'eu-west-3' AS region, TIMESTAMP '2026-11-01 05:00:00' AS hour,
           'management' AS category, 3 AS count",
    ),
    (
        "event_records",
        "SELECT 'e1' AS event_id, TIMESTAMP '2026-11-10 10:00:00' AS time, 'iam.amazonaws.com' AS source,
           'CreateUser' AS name, 'denied' AS outcome, 'AccessDenied' AS error_code, false AS read_only,
           'User: x is not authorized to perform: iam:CreateUser on resource: y with an explicit deny in a service control policy' AS error_message,
           'arn:aws:iam::111122223333:role/team/dev' AS issuer_arn, 'AROA1:ana' AS principal_id, 'ASIADEV' AS access_key,
           '111122223333' AS account, '198.51.100.7' AS source_ip, 'management' AS category, 'AwsApiCall' AS event_type
         UNION ALL BY NAME SELECT 'e2' AS event_id, TIMESTAMP '2026-11-11 10:00:00' AS time, 'ec2.amazonaws.com' AS source,
           'RunInstances' AS name, 'denied' AS outcome, 'UnauthorizedOperation' AS error_code,
           'You are not authorized to perform: iam:PassRole on r because no identity-based policy allows the iam:PassRole action' AS error_message,
           'arn:aws:iam::111122223333:user/ana' AS principal_arn, 'AKIAANA' AS access_key, 'ana' AS user_name,
           '111122223333' AS account, '203.0.113.9' AS source_ip, 'management' AS category, 'AwsApiCall' AS event_type
         UNION ALL BY NAME SELECT 'e3' AS event_id, TIMESTAMP '2026-11-18 09:00:00' AS time, 'signin.amazonaws.com' AS source,
           'ConsoleLogin' AS name, 'authorised' AS outcome, 'IAMUser' AS identity_type,
           'arn:aws:iam::111122223333:user/ana' AS principal_arn, '111122223333' AS account, '203.0.113.200' AS source_ip,
           '{{\"MFAUsed\":\"No\"}}' AS additional, 'AwsConsoleSignIn' AS event_type
         UNION ALL BY NAME SELECT 'e9' AS event_id, TIMESTAMP '2026-11-18 09:05:00' AS time, 'signin.amazonaws.com' AS source,
           'ConsoleLogin' AS name, 'not_evaluated' AS outcome, 'IAMUser' AS identity_type,
           'arn:aws:iam::111122223333:user/ana' AS principal_arn, '111122223333' AS account
         UNION ALL BY NAME SELECT 'f1' AS event_id, TIMESTAMP '2026-11-18 09:06:00' AS time, 'signin.amazonaws.com' AS source,
           'ConsoleLogin' AS name, 'unknown' AS outcome, 'IAMUser' AS identity_type,
           'arn:aws:iam::111122223333:user/ana' AS principal_arn, '111122223333' AS account
         UNION ALL BY NAME SELECT 'e4' AS event_id, TIMESTAMP '2026-11-18 09:30:00' AS time, 'signin.amazonaws.com' AS source,
           'ConsoleLogin' AS name, 'authorised' AS outcome, 'AssumedRole' AS identity_type,
           'arn:aws:iam::111122223333:role/team/dev' AS issuer_arn, '111122223333' AS account, '198.51.100.7' AS source_ip,
           '{{\"ConsoleLogin\":\"Success\"}}' AS response, '{{\"MFAUsed\":\"No\"}}' AS additional, 'AwsConsoleSignIn' AS event_type
         UNION ALL BY NAME SELECT 'e5' AS event_id, TIMESTAMP '2026-11-18 10:00:00' AS time, 's3.amazonaws.com' AS source,
           'GetObject' AS name, 'authorised' AS outcome, 'data' AS category, true AS read_only,
           'arn:aws:iam::111122223333:role/team/dev' AS issuer_arn, 'AROA1:ana' AS principal_id,
           'arn:aws:s3:::secrets/a.txt' AS resource, 'arn:aws:s3:::secrets' AS parent_resource, '111122223333' AS account,
           '198.51.100.7' AS source_ip, 'AwsApiCall' AS event_type
         UNION ALL BY NAME SELECT 'e6' AS event_id, TIMESTAMP '2026-11-18 10:01:00' AS time, 's3.amazonaws.com' AS source,
           'PutObject' AS name, 'authorised' AS outcome, 'data' AS category, false AS read_only,
           'arn:aws:s3:::secrets/a.txt' AS resource, 'arn:aws:s3:::secrets' AS parent_resource, 's3.amazonaws.com' AS source_ip
         UNION ALL BY NAME SELECT 'e7' AS event_id, TIMESTAMP '2026-11-19 00:00:00' AS time, 'iam.amazonaws.com' AS source,
           'DeleteAccountPasswordPolicy' AS name, 'authorised' AS outcome, 'Root' AS identity_type, true AS mfa,
           'arn:aws:iam::111122223333:root' AS principal_arn, '111122223333' AS principal_account,
           '111122223333' AS account, '203.0.113.9' AS source_ip, 'AwsApiCall' AS event_type
         UNION ALL BY NAME SELECT 'e8' AS event_id, TIMESTAMP '2026-11-19 01:00:00' AS time, 'kms.amazonaws.com' AS source,
           'Decrypt' AS name, 'authorised' AS outcome, 'Root' AS identity_type, 'ec2.amazonaws.com' AS invoked_by,
           'AwsApiCall' AS event_type",
    ),
];

/// Writes the rows as Parquet, one file a kind, as the lake would: every column there, texts empty and not null.
fn write_lake(folder: &Path) -> LakeFiles {
    let connection = Connection::open_in_memory().unwrap();
    let mut lake = LakeFiles::default();
    let empty = LakeFiles::default();
    let kinds = empty.kinds();
    let identity = kinds.iter().find(|kind| kind.0 == "sessions").unwrap().1.trim_start_matches("session UBIGINT, ");
    for (kind, columns, _) in kinds {
        let Some((_, rows)) = ROWS.iter().find(|(of, _)| *of == kind) else { continue };
        let rows = rows.replace("{dev}", DEV).replace("{{", "{").replace("}}", "}");
        // Events are written here with their identities, which the lake keeps apart.
        let whole = if kind == "event_records" { format!("{columns}, {identity}") } else { columns.to_owned() };
        connection
            .execute_batch(&format!("CREATE TABLE {kind} ({whole}); INSERT INTO {kind} BY NAME {rows};"))
            .unwrap();
        for column in whole.split(", ").filter_map(|column| column.strip_suffix(" VARCHAR")) {
            let id = if column == "event_id" { "NULL" } else { "''" };
            connection.execute_batch(&format!("UPDATE {kind} SET {column} = {id} WHERE {column} IS NULL")).unwrap();
        }
    }
    let names = identity.split(", ").map(|column| column.split(' ').next().unwrap()).collect::<Vec<_>>().join(", ");
    connection
        .execute_batch(&format!(
            "UPDATE event_records SET session = hash({names});
             INSERT INTO sessions BY NAME SELECT DISTINCT session, {names} FROM event_records;
             {}",
            names.split(", ").map(|name| format!("ALTER TABLE event_records DROP {name};")).collect::<String>()
        ))
        .unwrap();
    for (kind, _) in ROWS {
        let path = folder.join(format!("it's {kind}.parquet"));
        let quoted = path.to_str().unwrap().replace('\'', "''");
        connection.execute_batch(&format!("COPY {kind} TO '{quoted}' (FORMAT parquet)")).unwrap();
        match *kind {
            "event_records" => lake.events.push(path),
            "usage" => lake.usage.push(path),
            "sessions" => lake.sessions.push(path),
            "issued" => lake.issued.push(path),
            _ => lake.coverage.push(path),
        }
    }
    lake
}

fn activity<'a>(person: &'a str, action: &'a str, day: &str, count: u64, denied: u64) -> ActivityRow<'a> {
    ActivityRow {
        principal: DEV,
        person,
        action,
        resource: "",
        account: sample::ACCOUNT,
        region: "eu-west-1",
        day: day.parse::<crate::model::time::Timestamp>().unwrap().day(),
        count,
        denied,
    }
}

fn assessment() -> Assessment {
    let mut assessment = sample::assessment();
    let mut idle = sample::principal("idle", PrincipalKind::Role, Nature::Machine);
    idle.administrator = true;
    idle.last_activity = Some(sample::as_of().plus_days(-50));
    idle.active_days = vec![Day(20_700)];
    assessment.principals.push(idle);
    assessment
}

fn run(session: &Session, name: &str, parameters: &[(&str, &str)]) -> Vec<String> {
    let parameters: BTreeMap<String, String> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let shown = |cell: &Cell| match cell {
        Cell::Null => "-".to_owned(),
        Cell::Boolean(yes) => yes.to_string(),
        Cell::Integer(n) => n.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Time(at) => at.to_string(),
        Cell::List(items) => format!("[{}]", items.join(",")),
        Cell::Object(value) => value.to_string(),
    };
    let table = session.run(name, &parameters).unwrap_or_else(|error| panic!("{name}: {error}"));
    table.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join(" | ")).collect()
}

#[test]
fn every_query_runs_on_an_empty_lake() {
    let mut empty = sample::of(vec![], vec![]);
    empty.accounts.clear();
    let tables = Tables { assessment: &empty, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
    let session = Session::open(&LakeFiles::default(), &tables, Limits::default()).unwrap();
    for info in list().unwrap() {
        let given: Vec<(&str, &str)> =
            info.parameters.iter().filter(|p| p.required).map(|p| (p.name.as_str(), "x")).collect();
        assert_eq!(run(&session, &info.name, &given), Vec::<String>::new(), "{}", info.name);
    }
}

/// (query, parameters, rows with their cells joined by ` | `)
type Case = (&'static str, Vec<(&'static str, &'static str)>, Vec<&'static str>);

fn cases() -> Vec<Case> {
    vec![
        (
            "who_used_principal",
            vec![("principal", DEV)],
            vec!["ana | 2 | 2 | 6 | 1 | 2026-11-01 | 2026-11-02", " | 1 | 1 | 1 | 0 | 2026-11-03 | 2026-11-03"],
        ),
        (
            "denied_calls",
            vec![],
            vec![
                "arn:aws:iam::111122223333:role/team/dev | iam.amazonaws.com | CreateUser | iam:CreateUser | service control policy | true | 1 | 2026-11-10T10:00:00Z | 2026-11-10T10:00:00Z | e1",
                "arn:aws:iam::111122223333:user/ana | ec2.amazonaws.com | RunInstances | iam:PassRole | identity-based policy | false | 1 | 2026-11-11T10:00:00Z | 2026-11-11T10:00:00Z | e2",
            ],
        ),
        ("denied_calls", vec![("principal", ANA), ("until", "2026-11-11")], vec![]),
        (
            "access_key_activity",
            vec![("access_key", "AKIAANA")],
            vec![
                "ec2.amazonaws.com | RunInstances | 111122223333 |  | 203.0.113.9 | denied | UnauthorizedOperation | 1 | 2026-11-11T10:00:00Z | 2026-11-11T10:00:00Z",
            ],
        ),
        ("access_key_activity", vec![("access_key", "AKIAANA"), ("until", "2026-11-11T10:00:00Z")], vec![]),
        (
            "role_chain",
            vec![("access_key", "ASIAPROD")],
            vec![
                "1 | 2026-11-10T09:00:00Z | ASIAPROD | arn:aws:iam::444455556666:role/prod | AROA2:x | AssumedRole | arn:aws:iam::111122223333:role/team/dev | AROA1:ana | ASIADEV | i2",
                "2 | 2026-11-10T08:00:00Z | ASIADEV | arn:aws:iam::111122223333:role/team/dev | AROA1:ana | IAMUser | arn:aws:iam::111122223333:user/ana | AIDA1 | AKIAANA | i1",
            ],
        ),
        (
            "sessions",
            vec![],
            vec![
                "arn:aws:iam::111122223333:role/team/dev | ana | ASIADEV | ana | credential_chain | false | [arn:aws:iam::111122223333:user/ana] | arn:aws:iam::111122223333:user/ana |  |  | 7 | 2026-09-01T10:00:00Z | 2026-11-19T10:05:00Z",
                "arn:aws:iam::111122223333:role/team/dev |  |  |  |  | false | [] | arn:aws:iam::111122223333:role/team/dev | no_record | x | 0 | - | -",
            ],
        ),
        (
            "sessions",
            vec![("missing_only", "true"), ("principal", DEV)],
            vec![
                "arn:aws:iam::111122223333:role/team/dev |  |  |  |  | false | [] | arn:aws:iam::111122223333:role/team/dev | no_record | x | 0 | - | -",
            ],
        ),
        ("sessions", vec![("person", "bo")], vec![]),
        (
            "first_time_actions",
            vec![("principal", DEV)],
            vec!["iam.amazonaws.com | CreateUser | 2026-11-19T10:00:00Z | 2 | 2 | 2026-09-01"],
        ),
        (
            "console_sign_ins_without_mfa",
            vec![],
            vec![
                "2026-11-18T09:00:00Z | 111122223333 | IAMUser | arn:aws:iam::111122223333:user/ana | authorised | No | 203.0.113.200 |  | e3",
                "2026-11-18T09:06:00Z | 111122223333 | IAMUser | arn:aws:iam::111122223333:user/ana | unknown |  |  |  | f1",
            ],
        ),
        (
            "dormant_principals",
            vec![],
            vec![
                "arn:aws:iam::111122223333:role/break-glass | 111122223333 | role | human | 2025-10-16T00:00:00Z | - | 400 | true | 0",
                "arn:aws:iam::111122223333:user/legacy | 111122223333 | user | human | 2025-10-16T00:00:00Z | - | 400 | true | 0",
                "arn:aws:iam::111122223333:role/idle | 111122223333 | role | machine | 2025-10-16T00:00:00Z | 2026-10-01T00:00:00Z | 50 | true | 0",
                "arn:aws:iam::111122223333:role/unseen | 111122223333 | role | unknown | 2025-10-16T00:00:00Z | - | 400 | false | 0",
            ],
        ),
        (
            "standing_administrators",
            vec![],
            vec![
                "arn:aws:iam::111122223333:role/break-glass | 111122223333 | role | human | [] | true | 0 | 0 | 90 | -",
                "arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0011223344556677 | 111122223333 | identity_center_role | human | [ana,bo,cy,dee] | false | 2 | 0 | 90 | 2026-11-18T00:00:00Z",
            ],
        ),
        (
            "new_source_addresses",
            vec![],
            vec![
                "arn:aws:iam::111122223333:user/ana | 203.0.113.200 | 2026-11-18T09:00:00Z | 2026-11-18T09:00:00Z | 1 | 0 | 1",
                "arn:aws:iam::111122223333:root | 203.0.113.9 | 2026-11-19T00:00:00Z | 2026-11-19T00:00:00Z | 1 | 0 | 0",
            ],
        ),
        (
            "bucket_reads",
            vec![("bucket", "secrets")],
            vec![
                "arn:aws:iam::111122223333:role/team/dev | ana | 198.51.100.7 | GetObject | authorised | 1 | 1 | 2026-11-18T10:00:00Z | 2026-11-18T10:00:00Z",
            ],
        ),
        ("bucket_reads", vec![("bucket", "secret")], vec![]),
        (
            "iam_changes",
            vec![],
            vec![
                "2026-11-10T10:00:00Z | 111122223333 | arn:aws:iam::111122223333:role/team/dev | ana | iam.amazonaws.com | CreateUser |  | denied | 198.51.100.7 | e1",
                "2026-11-19T00:00:00Z | 111122223333 | arn:aws:iam::111122223333:root |  | iam.amazonaws.com | DeleteAccountPasswordPolicy |  | authorised | 203.0.113.9 | e7",
            ],
        ),
        (
            "events_of_ip",
            vec![("source_ip", "203.0.113.9"), ("limit", "1")],
            vec![
                "2026-11-19T00:00:00Z | 111122223333 |  | arn:aws:iam::111122223333:root |  | iam.amazonaws.com | DeleteAccountPasswordPolicy |  | authorised |  |  | e7",
            ],
        ),
        ("quarantine", vec![], vec!["a.json | 7 | 9 | not JSON"]),
        (
            "root_activity",
            vec![],
            vec![
                "2026-11-19T00:00:00Z | 111122223333 | iam.amazonaws.com | DeleteAccountPasswordPolicy | authorised | true | - | 203.0.113.9 |  |  | e7",
            ],
        ),
        ("coverage_gaps", vec![], vec!["111122223333 | eu-west-3 | 760 | 2160 | 3 | 2026-11-01T05:00:00Z | 4"]),
    ]
}

#[test]
fn every_query_answers_as_expected() {
    let folder = tempfile::tempdir().unwrap();
    let lake = write_lake(folder.path());
    let assessment = assessment();
    let activity = [
        activity("ana", "s3:GetObject", "2026-11-01", 5, 0),
        activity("ana", "iam:CreateUser", "2026-11-02", 1, 1),
        activity("", "s3:GetObject", "2026-11-03", 1, 0),
    ];
    let quarantine = [QuarantineRow { file: "a.json".into(), offset: 7, length: 9, reason: "not JSON".into() }];
    let attribution = [
        AttributionRow {
            session: 1,
            kind: "role".into(),
            principal: DEV.into(),
            account: sample::ACCOUNT.into(),
            session_name: "ana".into(),
            access_key: "ASIADEV".into(),
            person: "ana".into(),
            basis: "credential_chain".into(),
            start: ANA.into(),
            hops: vec![ANA.into()],
            ..AttributionRow::default()
        },
        AttributionRow {
            session: 3,
            principal: DEV.into(),
            missing: "no_record".into(),
            why: "x".into(),
            start: DEV.into(),
            ..AttributionRow::default()
        },
    ];
    let rows = |each: &mut dyn FnMut(ActivityRow<'_>)| activity.into_iter().for_each(each);
    let tables = Tables {
        assessment: &assessment,
        findings: &[],
        activity: &rows,
        quarantine: &quarantine,
        attribution: &attribution,
    };
    let session = Session::open(&lake, &tables, Limits::default()).unwrap();
    let cases = cases();
    for (name, _) in QUERIES {
        assert!(cases.iter().any(|(of, _, rows)| of == name && !rows.is_empty()), "{name} has no case with rows");
    }
    let mut nothing = sample::of(vec![], vec![]);
    (nothing.coverage, nothing.credentials) = (assessment.coverage.clone(), assessment.credentials.clone());
    for (name, parameters, want) in cases {
        assert_eq!(run(&session, name, &parameters), want, "{name} {parameters:?}");
        // What a query does not name changes nothing: whoever runs it need not load it.
        let info = show(name).unwrap().unwrap();
        let scanned = ["principals", "services", "findings"].iter().any(|table| info.names(table));
        let needed = Tables {
            assessment: if scanned { &assessment } else { &nothing },
            activity: if info.names("activity") { &rows } else { &|_| () },
            quarantine: if info.names("quarantine") { &quarantine } else { &[] },
            attribution: if info.names("attribution") { &attribution } else { &[] },
            ..tables
        };
        let session = Session::open(&lake, &needed, Limits::default()).unwrap();
        assert_eq!(run(&session, name, &parameters), want, "{name} {parameters:?}, of what it names");
    }
}

#[test]
fn federated_sign_ins_are_listed_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let lake = write_lake(folder.path());
    let assessment = assessment();
    let tables =
        Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
    let session = Session::open(&lake, &tables, Limits::default()).unwrap();
    assert_eq!(run(&session, "console_sign_ins_without_mfa", &[("include_federated", "true")]).len(), 3);
}

#[test]
fn a_lake_without_a_newer_column_still_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.parquet");
    let connection = Connection::open_in_memory().unwrap();
    let sql = "COPY (SELECT 'e' AS event_id, TIMESTAMP '2026-11-01' AS time, 'AKIA' AS access_key, 's' AS source) TO";
    connection.execute_batch(&format!("{sql} '{}' (FORMAT parquet)", path.display())).unwrap();
    let lake = LakeFiles { events: vec![path], ..LakeFiles::default() };
    let assessment = assessment();
    let tables =
        Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
    let session = Session::open(&lake, &tables, Limits::default()).unwrap();
    assert_eq!(run(&session, "access_key_activity", &[("access_key", "AKIA")]).len(), 1);
}

#[test]
fn a_missing_lake_file_is_a_clear_error() {
    let assessment = assessment();
    let tables =
        Tables { assessment: &assessment, findings: &[], activity: &|_| (), quarantine: &[], attribution: &[] };
    let lake = LakeFiles { usage: vec!["/nonexistent/x.parquet".into()], ..LakeFiles::default() };
    let error = Session::open(&lake, &tables, Limits::default()).unwrap_err().to_string();
    assert!(error.starts_with("the lake cannot be opened: "), "{error}");
    assert!(error.contains("/nonexistent/x.parquet"), "{error}");
}

/// Not a test of anything: how long a large scan takes to load. `cargo nextest run --run-ignored only -E 'test(loading_a_large_scan)' --no-capture`
/// Copies of a cross-account call: that of the caller's own account counts where it is in the lake.
#[test]
fn one_record_counts_of_the_copies_of_a_call() {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&LakeFiles::default().sql().unwrap().lines().skip(1).collect::<Vec<_>>().join("\n"))
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO no_sessions BY NAME SELECT 1 AS session, 'a' AS principal_account;
             INSERT INTO no_sessions BY NAME SELECT 2 AS session, 'c' AS principal_account;
             INSERT INTO no_coverage BY NAME SELECT 'a' AS account UNION ALL SELECT 'b' AS account;
             INSERT INTO no_event_records BY NAME
               SELECT 'own' AS event_id, 1 AS session, 'a' AS account, 's' AS shared_id
               UNION ALL SELECT 'copy', 1, 'b', 's' UNION ALL SELECT 'only', 2, 'b', 't'
               UNION ALL SELECT 'lone', 1, 'b', 'u' UNION ALL SELECT 'second', 1, 'c', 'u' UNION ALL SELECT 'plain', 1, 'b', '';
             INSERT INTO no_event_records BY NAME
               SELECT 'passed' AS event_id, 1 AS session, 'a' AS account, 'v' AS shared_id, 'network_activity' AS category
               UNION ALL SELECT 'read', 1, 'b', 'v', 'data' UNION ALL SELECT 'through', 2, 'a', 'w', 'network_activity'
               UNION ALL SELECT 'written', 2, 'b', 'w', 'data';",
        )
        .unwrap();
    let mut statement = connection.prepare("SELECT event_id FROM events WHERE counted ORDER BY 1").unwrap();
    let counted: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(counted, ["lone", "only", "own", "passed", "plain", "read", "written"]);
}

#[test]
#[ignore = "a measurement"]
fn loading_a_large_scan() {
    let mut assessment = sample::of(vec![], vec![]);
    assessment.principals = (0..5000)
        .map(|index| {
            let mut facts = sample::principal(&format!("r{index:04}"), PrincipalKind::Role, Nature::Machine);
            facts.services = (0..100)
                .map(|service| crate::compare::assessment::ServiceUse {
                    service: format!("s{service}"),
                    counts: Default::default(),
                    classes: Vec::new(),
                    unused_privileged: vec![],
                    last_used: None,
                    unused_parts: Vec::new(),
                    last_accessed: None,
                    analyzers: Vec::new(),
                    unused_levels: Default::default(),
                })
                .collect();
            facts
        })
        .collect();
    let actions: Vec<String> = (0..900).map(|index| format!("s3:A{index}")).collect();
    let rows = |each: &mut dyn FnMut(ActivityRow<'_>)| {
        actions.iter().cycle().take(200_000).for_each(|action| each(activity("ana", action, "2026-11-01", 5, 0)));
    };
    let tables = Tables { assessment: &assessment, findings: &[], activity: &rows, quarantine: &[], attribution: &[] };
    let started = std::time::Instant::now();
    let session = Session::open(&LakeFiles::default(), &tables, Limits::default()).unwrap();
    println!("500,000 services and 200,000 activity rows: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    run(&session, "who_used_principal", &[("principal", DEV)]);
    println!("who_used_principal: {:?}", started.elapsed());
}

/// Stores that are filled with `--slim` have neither, and no rows would read as "none".
#[test]
fn no_query_reads_what_slim_leaves_out() {
    for (name, sql) in QUERIES {
        let code: String = sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        assert!(words.into_iter().all(|word| !matches!(word, "request" | "response")), "{name}");
    }
}
