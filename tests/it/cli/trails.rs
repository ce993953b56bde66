//! Trails from outside: their settings go in as documents, calls on them come out of the logs, and both narrow what
//! coverage and verdicts claim.

use std::fs;

use super::*;

const ARN: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";

/// A record every six hours, from the day before five days to the day after them, and one call that narrows the trail on
/// the third of five days.
fn place() -> Place {
    place_of(&(0..28).map(|n| format!("2025-03-0{}T{:02}", n / 4, n % 4 * 6)).collect::<Vec<_>>())
}

/// The same, of records at these hours.
fn place_of(hours: &[String]) -> Place {
    let place = Place::new();
    let record = |hour: &str, id: usize, source: &str, name: &str, request: &str| {
        let hour = hour.replace("03-00", "02-28");
        format!(
            r#"{{"eventVersion":"1.09","userIdentity":{{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::111122223333:user/admin","accountId":"111122223333","userName":"admin"}},"eventTime":"{hour}:00:00Z","eventSource":"{source}.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","requestParameters":{request},"responseElements":null,"eventID":"00000000-0000-4000-8000-{id:012}","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
        )
    };
    let mut records: Vec<String> =
        hours.iter().enumerate().map(|(id, hour)| record(hour, id, "ec2", "StartInstances", "null")).collect();
    let put = r#"{"trailName":"main","eventSelectors":[{"readWriteType":"WriteOnly","includeManagementEvents":true}]}"#;
    records.push(record("2025-03-03T12", 99, "cloudtrail", "PutEventSelectors", put));
    fs::write(place.path("log.json"), format!(r#"{{"Records":[{}]}}"#, records.join(","))).unwrap();
    fs::write(place.path("details.json"), arguments::ADMINISTRATOR).unwrap();
    let trails = |name: &str, selector: &str| {
        let text = format!(
            r#"{{"trailList":[{{"TrailARN":"{ARN}","IsMultiRegionTrail":true,"IncludeGlobalServiceEvents":true,"IsOrganizationTrail":false}}]}}
            {{"TrailARN":"{ARN}","EventSelectors":[{{{selector}}}]}}{{"IsLogging":true}}"#
        );
        fs::write(place.path(name), text).unwrap();
    };
    trails("before.json", r#""ReadWriteType":"All""#);
    trails("after.json", r#""ReadWriteType":"WriteOnly""#);
    for line in ["cloudtrail log.json", "iam details.json --captured-at 2025-02-01"] {
        let run = place.line(&format!("ingest {line}"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    place
}

const AT: &str = "--as-of 2025-03-06 --window 5d";

fn management(place: &Place) -> String {
    let rows = place.rows(&format!("{AT} coverage"));
    let row = rows.iter().find(|row| row["region"] == "us-east-1" && row["account"] == "111122223333").unwrap();
    assert_eq!((&row["settling_hours"], &row["days_missing"]), (&0.into(), &0.into()), "{row}");
    row["management"].as_str().unwrap().to_owned()
}

#[test]
fn settings_and_calls_narrow_what_is_claimed() {
    let place = place();
    fs::write(place.path("jitscan.toml"), "regions = [\"us-east-1\"]\n").unwrap();
    let reasons = |place: &Place| {
        let rows = place.rows(&format!("{AT} entitlements --action iam:ListUsers"));
        rows.iter().map(|row| row["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    // No settings, but a call that narrowed them: before it nobody knows.
    assert_eq!(management(&place), "unknown");
    let run = place.line("ingest trails before.json --captured-at 2025-02-20");
    assert_eq!(run.code, Some(0), "{run:?}");
    // Settings of before say nothing of changes that nobody recorded.
    assert_eq!(management(&place), "unknown");
    assert!(reasons(&place).contains("may have been changed unseen"), "{}", reasons(&place));
    let said = "trail main recorded write events only from 2025-03-03T12:00:00Z to 2025-03-06T00:00:00Z";
    // Today's answer says the same from then on.
    assert_eq!(place.line("ingest trails after.json --captured-at 2025-03-05T20:00:00Z").code, Some(0));
    assert_eq!(management(&place), "write_only");
    assert!(reasons(&place).contains(said), "{}", reasons(&place));
}

#[test]
fn other_files_are_told_apart() {
    let place = place();
    place.line("ingest trails log.json").fails(1, "`jitscan ingest cloudtrail`");
    place.line("ingest iam after.json").fails(1, "`jitscan ingest trails`");
    fs::write(place.path("half.json"), r#"{"trailList":[{"Name":"x"}]}"#).unwrap();
    assert_eq!(place.line("ingest trails half.json").code, Some(4));
}

#[test]
fn the_map_fits_and_says_each_day() {
    let hours: Vec<String> = (0..22)
        .map(|n| format!("2025-03-0{}T{:02}", n / 4, n % 4 * 6))
        .chain(["2025-03-05T17", "2025-03-05T23"].map(str::to_owned))
        .collect();
    let place = place_of(&hours);
    let map = place.line(&format!("{AT} coverage --heatmap --format table"));
    assert_eq!(map.code, Some(0), "{map:?}");
    assert!(map.stdout.contains("us-east-1  ----~"), "{}", map.stdout);
    assert!(map.stdout.lines().all(|line| line.chars().count() <= 80), "{}", map.stdout);
    let rows = place.rows(&format!("{AT} coverage --heatmap"));
    let states: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["covered", "covered", "covered", "covered", "settling"], "{rows:?}");
}
