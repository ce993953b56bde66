//! Account settings and last accessed information from outside: what is refused, and what verdicts make of the rest.

use std::fs;

use super::*;

pub const ROLE: &str = "arn:aws:iam::111122223333:role/admin";
const AT: &str = "--as-of 2025-03-06 --window 5d";

/// An administrator's role, and somebody else's call every six hours, from the day before five days to the day after.
pub fn place() -> Place {
    let place = Place::new();
    let records: Vec<String> = (0..28)
        .map(|n| {
            let hour = format!("2025-03-0{}T{:02}", n / 4, n % 4 * 6).replace("03-00", "02-28");
            format!(
                r#"{{"eventVersion":"1.09","userIdentity":{{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::111122223333:user/other","accountId":"111122223333","userName":"other"}},"eventTime":"{hour}:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"StartInstances","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","requestParameters":null,"responseElements":null,"eventID":"00000000-0000-4000-8000-{n:012}","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
            )
        })
        .collect();
    fs::write(place.path("log.json"), format!(r#"{{"Records":[{}]}}"#, records.join(","))).unwrap();
    fs::write(place.path("details.json"), arguments::ADMINISTRATOR).unwrap();
    fs::write(place.path("jitscan.toml"), "regions = [\"us-east-1\"]\n").unwrap();
    for line in ["cloudtrail log.json", "iam details.json --captured-at 2025-02-01"] {
        let run = place.line(&format!("ingest {line}"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    place
}

fn services(last: &str) -> String {
    format!(r#""JobCompletionDate":"2025-03-05T20:00:00Z","ServicesLastAccessed":[{{"ServiceNamespace":"ec2"{last}}}]"#)
}

/// Verdict and reason of one permission that nobody used.
pub fn verdict(place: &Place) -> (String, String) {
    let rows = place.rows(&format!("{AT} entitlements --action ec2:RunInstances"));
    assert_eq!(rows.len(), 1, "{rows:?}");
    let text = |name: &str| rows[0][name].as_str().unwrap().to_owned();
    (text("verdict"), text("reason"))
}

#[test]
fn what_iam_saw_and_the_logs_do_not_show_is_not_unused() {
    let place = place();
    assert_eq!(verdict(&place).0, "unused");
    let ingest = |name: &str, text: String, at: &str| {
        fs::write(place.path(name), text).unwrap();
        place.line(&format!("ingest last-accessed {name} --captured-at {at}"))
    };
    // IAM agrees.
    let run = ingest("none.json", format!(r#"{{"Arn":"{ROLE}",{}}}"#, services("")), "2025-03-04");
    assert_eq!(run.code, Some(0), "{run:?}");
    let (unused, reason) = verdict(&place);
    assert_eq!(unused, "unused");
    assert!(reason.ends_with("as of 2025-03-05 IAM tracked no attempt on ec2 within its tracking period"), "{reason}");
    // IAM saw something.
    let seen = services(r#","LastAuthenticated":"2025-03-03T10:00:00+00:00","LastAuthenticatedRegion":"us-east-1""#);
    let list = format!(r#"{{"AccountId":"111122223333","LastAccessedDetails":[{{"Arn":"{ROLE}",{seen}}}]}}"#);
    let run = ingest("seen.json", list, "2025-03-05T21:00:00Z");
    assert_eq!(run.code, Some(0), "{run:?}");
    let (unobservable, reason) = verdict(&place);
    assert_eq!(unobservable, "unobservable", "{reason}");
    assert!(reason.starts_with("IAM saw ec2 accessed on 2025-03-03 in us-east-1"), "{reason}");
}

#[test]
fn what_is_stored_and_what_is_refused() {
    let place = place();
    let write = |name: &str, text: &str| fs::write(place.path(name), text).unwrap();
    // As the command line prints it: of whom is it?
    write("plain.json", &format!(r#"{{"JobStatus":"COMPLETED",{}}}"#, services("")));
    place.line("ingest last-accessed plain.json").fails(1, "names no principal: add the ARN");
    place.line("ingest account plain.json").fails(1, "`jitscan ingest last-accessed`");
    write("account.json", r#"{"AccountId":"111122223333","SummaryMap":{"Users":2,"Roles":3},"AccessKeys":[7]}"#);
    place.line("ingest last-accessed account.json").fails(1, "`jitscan ingest account`");
    let run = place.line("ingest account account.json --format ndjson");
    assert_eq!(run.code, Some(4), "{run:?}");
    let row = &run.rows()[0];
    assert_eq!((&row["kind"], &row["account"]), (&"account".into(), &"111122223333".into()));
    assert_eq!((&row["users"], &row["roles"], &row["defects"]), (&2.into(), &3.into(), &1.into()));
    write(
        "list.json",
        &format!(r#"{{"AccountId":"111122223333","LastAccessedDetails":[{{"Arn":"{ROLE}",{}}}]}}"#, services("")),
    );
    let row = &place.rows("ingest last-accessed list.json")[0];
    assert_eq!((&row["kind"], &row["account"]), (&"last-accessed".into(), &"111122223333".into()));
    assert_eq!((&row["users"], &row["roles"], &row["defects"]), (&0.into(), &1.into(), &0.into()));
    assert_eq!(place.line("scan --as-of 2025-03-06").code, Some(0));
}
