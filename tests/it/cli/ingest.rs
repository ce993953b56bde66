//! Real logs and documents, and inputs that are broken.

use std::fs;
use std::io::Write;

use super::*;
use crate::lake::{gz, record, shared};

#[test]
fn invictus_once_and_again() {
    let Some(logs) = shared("invictus/CloudTrail") else { return };
    let place = Place::new();
    let first = place.ingest(&logs);
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    assert_eq!(counts(&first.rows()), [2900, 2900, 0, 0]);
    let again = place.ingest(&logs);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    assert_eq!(counts(&again.rows()), [0, 0, 0, 0]);
    assert_eq!((again.rows()[0]["files"].as_u64(), again.rows()[0]["new_files"].as_u64()), (Some(55), Some(0)));
    // The same files elsewhere are the same events.
    let copy = place.path("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&logs).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    assert_eq!(counts(&place.ingest(&copy).rows()), [2900, 0, 2900, 0]);
}

#[test]
fn stratus_and_panther() {
    let (Some(stratus), Some(panther)) = (shared("stratus"), shared("panther/CloudTrail")) else { return };
    let place = Place::new();
    let run = place.ingest(&stratus);
    assert_eq!((run.code, counts(&run.rows())), (Some(0), [310, 310, 0, 0]));
    let place = Place::new();
    let run = place.ingest(&panther);
    assert_eq!(run.code, Some(4), "{run:?}");
    let [read, stored, _, quarantined] = counts(&run.rows());
    assert_eq!((read, quarantined), (458, 15));
    assert!(run.stderr.contains("query run quarantine"));
    // Ids used twice with other content are no duplicates.
    assert!(run.rows()[0]["conflicts"].as_u64().unwrap() >= 38);
    let rows = place.rows("query run quarantine");
    assert_eq!(rows.len(), 15);
    assert!(rows.iter().all(|row| row["reason"].as_str().unwrap().contains("eventTime")), "{rows:?}");
    assert!(stored > 400, "{stored}");
    // Again: the file is known, and nothing is set aside by that run.
    let again = place.ingest(&panther);
    assert_eq!((again.code, counts(&again.rows())), (Some(0), [0, 0, 0, 0]));
}

#[test]
fn cloudsplaining_is_read_and_scanned() {
    let Some(file) = shared("cloudsplaining/example.json") else { return };
    let place = Place::new();
    let run = place.run(["ingest", "iam", file.to_str().unwrap(), "--format", "ndjson", "--captured-at", "2020-06-01"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let row = &run.rows()[0];
    let sizes: Vec<u64> =
        ["users", "groups", "roles", "policies", "defects"].map(|name| row[name].as_u64().unwrap()).into();
    assert_eq!(sizes, [44, 5, 78, 84, 0]);
    let scan = place.line("scan --format json --as-of 2020-06-02");
    assert_eq!(scan.code, Some(0), "{}", scan.stderr);
    let whole: Value = serde_json::from_str(&scan.stdout).unwrap();
    assert!(whole["rows"].as_array().unwrap().len() > 50);
    assert_eq!(whole["meta"]["as_of"], "2020-06-02T00:00:00Z");
    assert!(!whole["meta"]["gaps"].as_array().unwrap().is_empty(), "without logs there are gaps");
    assert!(scan.stderr.contains("122 principals in 2 accounts"), "{}", scan.stderr);
}

/// Ingests one file of these bytes, with good company, and gives the run and the quarantine.
fn broken(name: &str, bytes: &[u8]) -> (Run, Vec<Value>) {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    fs::write(place.path("logs/good.json"), format!("[{}]", record(900_000))).unwrap();
    fs::write(place.path("logs").join(name), bytes).unwrap();
    let run = place.ingest(&place.path("logs"));
    let rows = place.rows("query run quarantine");
    let used = place.rows("usage --as-of 2025-04-01");
    assert!(!used.is_empty(), "the store opens, and has the good file");
    (run, rows)
}

#[test]
fn broken_files_cost_themselves() {
    let list = |range: std::ops::Range<usize>| {
        format!("{{\"Records\":[{}]}}", range.map(record).collect::<Vec<_>>().join(",")).into_bytes()
    };
    let whole = gz(&String::from_utf8(list(0..300)).unwrap());
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0x55);
    let mut utf8 = format!("[{},{{\"eventID\":\"", record(1)).into_bytes();
    utf8.extend_from_slice(b"\xff\xfe\"}]");
    for (name, bytes, reason) in [
        ("cut.json.gz", whole[..whole.len() / 2].to_vec(), "truncated"),
        ("flipped.json.gz", flipped, ""),
        ("utf8.json", utf8, "invalid UTF-8"),
        ("text.json", b"This is no JSON.\n".to_vec(), "not JSON"),
        ("no.json.gz", b"not gzip at all".to_vec(), ""),
        ("deep.json", "[".repeat(100_000).into_bytes(), ""),
        ("cut.json", list(0..3)[..400].to_vec(), ""),
        ("number.json", b"42".to_vec(), ""),
        ("null.json", b"{\"Records\":[null,1,\"x\",{}]}".to_vec(), ""),
    ] {
        let (run, rows) = broken(name, &bytes);
        assert_eq!(run.code, Some(4), "{name}: {run:?}");
        let [_, stored, _, quarantined] = counts(&run.rows());
        assert!(stored >= 1 && quarantined >= 1, "{name}: {run:?}");
        assert_eq!(rows.len() as u64, quarantined, "{name}");
        for row in &rows {
            assert!(row["file"].as_str().unwrap().ends_with(name), "{name}: {row}");
            assert!(row["reason"].as_str().unwrap().contains(reason), "{name}: {row}");
        }
    }
}

#[test]
fn a_record_of_50_megabytes_is_set_aside_with_its_reason() {
    let place = Place::new();
    let big = record(1).replace("aws-cli/2", &"x".repeat(50 << 20));
    let mut file = fs::File::create(place.path("big.json")).unwrap();
    write!(file, "{{\"Records\":[{},{big},{}]}}", record(0), record(2)).unwrap();
    let run = place.ingest(&place.path("big.json"));
    assert_eq!((run.code, counts(&run.rows())), (Some(4), [3, 2, 0, 1]), "{}", run.stderr);
    let rows = place.rows("query run quarantine");
    let reason = rows[0]["reason"].as_str().unwrap();
    assert!(reason.contains("bytes is longer than the limit of"), "{reason}");
    assert_eq!(rows[0]["byte_length"].as_u64(), Some(big.len() as u64));
}

#[test]
fn an_empty_file_and_an_empty_folder_are_no_error() {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    let run = place.ingest(&place.path("logs"));
    assert_eq!((run.code, counts(&run.rows())), (Some(0), [0, 0, 0, 0]));
    assert_eq!(place.line("scan").code, Some(0));
    place.line("ingest cloudtrail nowhere").fails(1, "cannot read nowhere");
}

pub const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
    password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
    access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
    access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
    cert_1_last_rotated,cert_2_active,cert_2_last_rotated\n\
    bob,arn:aws:iam::111122223333:user/bob,2020-01-01T00:00:00Z,false,N/A,N/A,N/A,false,false,N/A,N/A,N/A,N/A,false,\
    N/A,N/A,N/A,N/A,false,N/A,false,N/A\n";
const DETAILS: &str = r#"{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[]}"#;
pub const ROSTER: &str = "id,name,email,kind\np1,Ada,ada@example.com,human\n";

#[test]
fn a_document_of_another_kind_names_the_right_command() {
    let place = Place::new();
    fs::write(place.path("report.csv"), REPORT).unwrap();
    fs::write(place.path("details.json"), DETAILS).unwrap();
    fs::write(place.path("roster.csv"), ROSTER).unwrap();
    fs::write(place.path("log.json"), format!("{{\"Records\":[{}]}}", record(1))).unwrap();
    for (kind, file, said) in [
        ("iam", "report.csv", "`jitscan ingest credential-report`"),
        ("iam", "roster.csv", "`jitscan ingest roster`"),
        ("iam", "log.json", "`jitscan ingest cloudtrail`"),
        ("credential-report", "details.json", "`jitscan ingest iam`"),
        ("credential-report", "log.json", "`jitscan ingest cloudtrail`"),
        ("credential-report", "roster.csv", "`jitscan ingest roster`"),
        ("roster", "report.csv", "`jitscan ingest credential-report`"),
        ("roster", "details.json", "`jitscan ingest iam`"),
        ("organization", "details.json", "`jitscan ingest iam`"),
        ("identity-center", "report.csv", "`jitscan ingest credential-report`"),
    ] {
        let run = place.line(&format!("ingest {kind} {file}"));
        run.fails(1, said);
        assert!(run.stderr.contains(file), "{run:?}");
    }
    assert!(!place.path("jitscan-store").exists(), "nothing was written");
    // A wrong file among right ones leaves the store as it was.
    assert_eq!(place.line("ingest roster roster.csv").code, Some(0));
    place.line("ingest credential-report report.csv details.json").fails(1, "ingest iam");
    let report = place.line("report --soc2 --output-dir out --as-of 2025-01-01");
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(!fs::read_to_string(place.path("out/soc2.md")).unwrap().contains("report.csv"));
}
