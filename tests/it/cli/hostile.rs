//! Names that were chosen to steer a terminal, a spreadsheet, a Markdown page or a browser.

use std::fs;

use super::*;

/// Control sequences, bidirectional overrides, zero-width characters, a formula, markup, a line of another finding.
const EVIL: &str = "=cmd|'/C calc'!A1\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\r\n| x | <script>alert(1)</script> [a](javascript:alert(1)) `x` \"q\" &amp;";

/// Whether a character steers what a person reads.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}')
}

fn place() -> Place {
    let place = Place::new();
    let role_arn = format!("arn:aws:iam::111122223333:role/{EVIL}");
    let allow = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Sid": EVIL, "Effect": "Allow", "Action": "*", "Resource": [format!("arn:aws:s3:::{EVIL}"), "*"]},
        {"Sid": "x", "Effect": EVIL, "Action": EVIL, "Resource": EVIL, "Condition": {EVIL: {EVIL: EVIL}}}]});
    let plain = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Sid": EVIL, "Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let details = serde_json::json!({
        "UserDetailList": [{"UserName": EVIL, "UserId": "AIDAEVIL", "Arn": format!("arn:aws:iam::111122223333:user/{EVIL}"),
            "Path": "/", "CreateDate": "2020-01-01T00:00:00Z", "GroupList": [EVIL], "AttachedManagedPolicies": [],
            "UserPolicyList": [{"PolicyName": EVIL, "PolicyDocument": allow}, {"PolicyName": format!("2{EVIL}"), "PolicyDocument": plain}], "Tags": [{"Key": EVIL, "Value": EVIL}]}],
        "GroupDetailList": [], "Policies": [],
        "RoleDetailList": [{"RoleName": EVIL, "RoleId": "AROAEVIL", "Arn": role_arn, "Path": "/",
            "CreateDate": "2020-01-01T00:00:00Z", "InstanceProfileList": [], "AttachedManagedPolicies": [
                {"PolicyName": EVIL, "PolicyArn": format!("arn:aws:iam::111122223333:policy/{EVIL}")}],
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": EVIL}, "Action": "sts:AssumeRole"}]},
            "RolePolicyList": [{"PolicyName": EVIL, "PolicyDocument": allow}, {"PolicyName": format!("2{EVIL}"), "PolicyDocument": plain}], "Tags": [{"Key": EVIL, "Value": EVIL}]}]});
    fs::write(place.path("details.json"), details.to_string()).unwrap();
    let mut lines = String::new();
    for (n, (source, name, error)) in [
        ("s3.amazonaws.com", "ListBuckets", None),
        ("iam.amazonaws.com", "CreateUser", Some("AccessDenied")),
        (EVIL, EVIL, Some(EVIL)),
        ("signin.amazonaws.com", "ConsoleLogin", None),
    ]
    .into_iter()
    .enumerate()
    {
        for kind in ["AssumedRole", "IAMUser", EVIL] {
            let event = serde_json::json!({"eventVersion": "1.09", "userIdentity": {"type": kind,
                "principalId": format!("AROAEVIL:{EVIL}"), "accountId": "111122223333", "userName": EVIL,
                "arn": format!("arn:aws:sts::111122223333:assumed-role/{EVIL}/{EVIL}"), "accessKeyId": EVIL,
                "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAEVIL", "arn": role_arn,
                    "userName": EVIL}, "sourceIdentity": EVIL}},
                "eventTime": format!("2025-03-01T00:0{n}:00Z"), "eventSource": source, "eventName": name,
                "awsRegion": if kind == "IAMUser" { EVIL } else { "eu-west-1" }, "sourceIPAddress": EVIL,
                "userAgent": EVIL, "errorCode": error, "errorMessage": error.map(|_| format!("{EVIL} is not authorized to perform: {EVIL}")),
                "requestParameters": {"userName": EVIL, "bucketName": EVIL}, "responseElements": {"ConsoleLogin": "Success"},
                "additionalEventData": {"MFAUsed": "No"}, "eventID": format!("e{n}{}", kind.len()),
                "requestID": EVIL, "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true,
                "recipientAccountId": "111122223333", "eventCategory": "Management"});
            lines.push_str(&event.to_string());
            lines.push('\n');
        }
    }
    lines.push_str(&serde_json::json!({"eventTime": EVIL, "eventSource": EVIL, "eventName": EVIL}).to_string());
    fs::create_dir(place.path("logs")).unwrap();
    // File names can hold anything but a slash.
    fs::write(place.path("logs").join(format!("{}.json", EVIL.replace('/', "÷"))), lines).unwrap();
    let mut roster = csv::Writer::from_path(place.path("roster.csv")).unwrap();
    roster.write_record(["id", "name", "email", "manager", "team", "kind", "iam_users"]).unwrap();
    roster.write_record([EVIL, EVIL, EVIL, EVIL, EVIL, "human", EVIL]).unwrap();
    roster.flush().unwrap();
    place
}

fn clean(what: &str, text: &str) {
    if let Some((at, c)) = text.char_indices().find(|(_, c)| steers(*c)) {
        let (head, _) = text.split_at(at);
        let from = head.char_indices().rev().nth(60).map_or(0, |(i, _)| i);
        panic!("{what}: {:?} after {:?}", c, head.split_at(from).1);
    }
}

#[test]
fn nothing_steers_the_reader_in_any_format() {
    let place = place();
    let mut commands = vec![
        "ingest cloudtrail logs".to_owned(),
        "ingest iam details.json --captured-at 2025-02-01".to_owned(),
        "ingest roster roster.csv".to_owned(),
        "ingest iam roster.csv".to_owned(),
    ];
    commands.extend(
        [
            "scan",
            "findings list",
            "entitlements --action s3:Get*",
            "usage",
            "coverage",
            "report --soc2 --output-dir out",
        ]
        .map(|command| format!("{command} --as-of 2025-03-02")),
    );
    for query in place.rows("query list") {
        let name = query["name"].as_str().unwrap();
        let required: String = query["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|parameter| parameter.as_str().unwrap().strip_suffix('*'))
            .map(|name| format!(" --param {name}=EVIL"))
            .collect();
        commands.push(format!("query run {name}{required} --as-of 2025-03-02"));
    }
    let role = format!("arn:aws:iam::111122223333:role/{EVIL}");
    let mut evil_cells = 0;
    for command in &commands {
        for format in ["table", "json", "ndjson", "csv", "md"] {
            let args: Vec<String> = command
                .split_whitespace()
                .map(|word| match word {
                    "principal=EVIL" => format!("principal={role}"),
                    word => word.replace("EVIL", EVIL),
                })
                .chain([format!("--format={format}")])
                .collect();
            let run = place.run(&args);
            let expected: &[i32] = if command.starts_with("ingest iam roster") { &[1] } else { &[0, 4] };
            assert!(run.code.is_some_and(|code| expected.contains(&code)), "{command}: {run:?}");
            clean(&format!("stdout of {command} as {format}"), &run.stdout);
            clean(&format!("stderr of {command} as {format}"), &run.stderr);
            match format {
                "csv" => {
                    for record in csv::Reader::from_reader(run.stdout.as_bytes()).records() {
                        for cell in &record.unwrap() {
                            assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{command}: {cell}");
                            evil_cells += usize::from(cell.contains("calc"));
                        }
                    }
                }
                "md" => assert!(!run.stdout.contains("<script"), "{command}"),
                "json" => {
                    let value: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
                    // Machine formats that can hold it hold it unchanged.
                    if command.starts_with("usage") {
                        let rows = value["rows"].as_array().unwrap();
                        assert!(rows.iter().any(|row| row["principal"] == role.as_str()), "{value}");
                    }
                }
                _ => {}
            }
        }
    }
    assert!(evil_cells > 20, "the names were shown: {evil_cells}");
    let first = place.rows("findings list").remove(0);
    let shown = place.line(&format!("findings show {}", first["id"].as_str().unwrap()));
    assert_eq!(shown.code, Some(0));
    clean("findings show", &shown.stdout);
    for file in ["out/soc2.html", "out/soc2.md"] {
        let text = fs::read_to_string(place.path(file)).unwrap();
        clean(file, &text);
        assert!(!text.contains("<script>alert"), "{file}");
        // In HTML a Markdown link is but text; in Markdown the bracket is escaped.
        let links = text.replace("\\](", "").contains("](javascript:");
        assert!(file.ends_with("html") || !links, "{file}");
        assert!(text.contains("calc"), "{file} names what it is about");
    }
}
