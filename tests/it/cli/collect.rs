//! `collect` and `permissions` against a server of a few lines, which answers as it is told. Whole organisations on real
//! emulators are tried by `make collect` (tests/wire/collect.py).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Place, Run};

const SECRET: &str = "a-secret-that-is-nowhere-said";
const ACCOUNT: &str = "111122223333";

/// An answer: status, content type, body. None: never.
pub(super) type Answer = Option<(u16, &'static str, String)>;

/// Answers by operation, and notes which were asked for.
pub(super) struct Front {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Front {
    pub(super) fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &noted, answer.as_ref()));
            }
        });
        Self { url, asked }
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn collect(&self, place: &Place, line: &str) -> Run {
        self.run(place, &format!("collect --endpoint-url {} {line}", self.url))
    }

    /// Runs a command with credentials, which it says nowhere.
    pub(super) fn run(&self, place: &Place, line: &str) -> Run {
        let mut command = place.command(line.split_whitespace());
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET);
        let run: Run = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap().into();
        assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET), "{run:?}");
        run
    }
}

/// One connection: requests one after the other.
fn serve(stream: TcpStream, noted: &Mutex<Vec<String>>, answer: &(dyn Fn(&str) -> Answer + Send + Sync)) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length, mut operation) = (String::new(), 0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if lower.starts_with("x-amz-target:") {
                operation = line.trim().rsplit('.').next().unwrap().to_owned();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        if operation.is_empty() {
            let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
            let path = head.split_whitespace().nth(1).unwrap_or("").trim_start_matches('/').to_owned();
            operation = action.map_or(path, str::to_owned);
        }
        noted.lock().unwrap().push(operation.clone());
        let Some((status, kind, text)) = answer(&operation) else {
            std::thread::sleep(Duration::from_secs(60));
            return;
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", text.len());
        if reader.get_mut().write_all(format!("{head}{text}").as_bytes()).is_err() {
            return;
        }
    }
}

fn xml(operation: &str, result: &str) -> Answer {
    let text = format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>");
    Some((200, "text/xml", text))
}

fn xml_error(status: u16, code: &str) -> Answer {
    let text = format!("<ErrorResponse><Error><Code>{code}</Code><Message>said so</Message></Error></ErrorResponse>");
    Some((status, "text/xml", text))
}

/// A lone account with one role, in which nothing else is in use.
fn lone(operation: &str) -> Answer {
    let json = |text: &str| Some((200, "application/x-amz-json-1.1", text.to_owned()));
    match operation {
        "GetCallerIdentity" => xml(
            operation,
            &format!("<Arn>arn:aws:iam::{ACCOUNT}:user/u</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account>"),
        ),
        "DescribeOrganization" => Some((
            400,
            "application/x-amz-json-1.1",
            r#"{"__type":"AWSOrganizationsNotInUseException","Message":"none"}"#.to_owned(),
        )),
        "ListInstances" => json(r#"{"Instances":[]}"#),
        "listRegions" => json(r#"{"Regions":[{"RegionName":"us-east-1","RegionOptStatus":"ENABLED_BY_DEFAULT"}]}"#),
        "GetAccountAuthorizationDetails" => xml(
            operation,
            &format!(
                "<IsTruncated>false</IsTruncated><UserDetailList/><GroupDetailList/><Policies/><RoleDetailList><member>\
                 <Path>/</Path><RoleName>r</RoleName><RoleId>AROA1</RoleId><Arn>arn:aws:iam::{ACCOUNT}:role/r</Arn>\
                 <CreateDate>2024-01-02T03:04:05Z</CreateDate><AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17\
                 %22%2C%22Statement%22%3A%5B%5D%7D</AssumeRolePolicyDocument></member></RoleDetailList>"
            ),
        ),
        other => panic!("nobody should ask for {other}"),
    }
}

/// The parts that [`lone`] answers.
const PARTS: &str = "--only organization,identity-center,iam --max-attempts 1";

#[test]
fn a_lone_account_is_read_and_kept() {
    let (place, front) = (Place::new(), Front::new(lone));
    let run = front.collect(&place, &format!("{PARTS} --format ndjson -vv"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let rows = run.rows();
    assert_eq!(rows.len(), 1, "{run:?}");
    assert_eq!((rows[0]["account"].as_str(), rows[0]["outcome"].as_str()), (Some(ACCOUNT), Some("complete")));
    assert_eq!(rows[0]["collected"], serde_json::json!(["iam"]));
    let fields: Vec<Value> = place
        .rows("schema")
        .into_iter()
        .filter(|row| row["command"] == "collect")
        .map(|row| row["field"].clone())
        .collect();
    assert_eq!(rows[0].as_object().unwrap().keys().cloned().map(Value::from).collect::<Vec<_>>(), fields);

    let documents = place.rows("lake documents --export out");
    assert_eq!((documents.len(), documents[0]["kind"].as_str()), (1, Some("iam")));
    let text = std::fs::read_to_string(place.path(&format!("out/iam/{ACCOUNT}.json"))).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["RoleDetailList"][0]["CreateDate"], "2024-01-02T03:04:05Z");
    // What a store tells of it is what it tells of the same file.
    let run = place.line(&format!("--store other ingest iam out/iam/{ACCOUNT}.json --format ndjson"));
    assert_eq!((run.code, run.rows()[0]["roles"].as_u64()), (Some(0), Some(1)), "{run:?}");
    assert_eq!(place.line("lake check").code, Some(0));
}

#[test]
fn what_is_not_read_is_named_and_what_is_known_stays() {
    type Case = (fn(&str) -> Answer, &'static str, &'static str);
    let cases: [Case; 4] = [
        (
            |_| xml_error(403, "AccessDenied"),
            "",
            "is denied (AccessDenied): it needs iam:GetAccountAuthorizationDetails",
        ),
        (|_| xml_error(400, "Throttling"), "", "is throttled (Throttling), also after retries"),
        (|_| Some((500, "text/html", "<html>\n<b>sorry</b>".to_owned())), "", "the service failed"),
        (|_| None, "--timeout 1", "no answer in time"),
    ];
    for (answer, more, said) in cases {
        let place = Place::new();
        let run = Front::new(lone).collect(&place, PARTS);
        assert_eq!(run.code, Some(0), "{run:?}");
        let before = place.rows("lake documents");
        let front =
            Front::new(
                move |operation| {
                    if operation == "GetAccountAuthorizationDetails" { answer(operation) } else { lone(operation) }
                },
            );
        let begun = Instant::now();
        let run = front.collect(&place, &format!("{PARTS} {more} --format ndjson"));
        assert_eq!(run.code, Some(4), "{said}: {run:?}");
        let row = run.rows().remove(0);
        assert!(row["missing"][0].as_str().unwrap().contains(said), "{said}: {row}");
        assert_eq!(row["outcome"], "failed");
        assert_eq!(place.rows("lake documents"), before, "{said}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{said}");
    }
}

#[test]
fn where_nothing_can_begin_nothing_is_made() {
    let front = Front::new(|_| xml_error(403, "ExpiredToken"));
    let place = Place::new();
    let run = front.collect(&place, PARTS);
    run.fails(1, "the credentials do not work (ExpiredToken)");
    assert_eq!(front.asked(), ["GetCallerIdentity"]);
    // No credentials at all, and nobody there.
    let mut command = place.command("collect --endpoint-url http://127.0.0.1:9 --max-attempts 1".split_whitespace());
    let run: Run = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap().into();
    run.fails(1, "the credentials do not work");
    // With credentials, and nobody there: that is another matter.
    let nobody = Front { url: "http://127.0.0.1:9".to_owned(), asked: Arc::default() };
    nobody.collect(&place, "--max-attempts 1").fails(1, "GetCallerIdentity: no connection");
    for (line, said) in [
        ("collect --account 12", "names no account"),
        ("collect --only everything", "is no part of what is collected"),
        ("collect --role-name a/b", "is no name of a role"),
        ("collect --only iam --skip trails", "cannot be used with"),
    ] {
        let run = place.line(line);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(said), "{run:?}");
    }
}

#[test]
fn credentials_of_a_profile_and_of_its_process() {
    let (place, front) = (Place::new(), Front::new(lone));
    let told = format!(r#"{{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"{SECRET}"}}"#);
    std::fs::write(place.path("told.json"), told).unwrap();
    let process = format!(
        "[profile audit]\nregion = eu-west-1\ncredential_process = cat {}\n",
        place.path("told.json").display()
    );
    let shared = format!("[plain]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {SECRET}\n");
    std::fs::write(place.path("config"), process).unwrap();
    std::fs::write(place.path("shared"), shared).unwrap();
    for (profile, code, said) in [("audit", 0, "1 complete"), ("plain", 0, "1 complete"), ("none", 1, "credentials")] {
        let line = format!("--store {profile} collect --endpoint-url {} {PARTS} --profile {profile}", front.url);
        let mut command = place.command(line.split_whitespace());
        command.env("AWS_CONFIG_FILE", place.path("config")).env("AWS_SHARED_CREDENTIALS_FILE", place.path("shared"));
        let run: Run = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap().into();
        assert_eq!(run.code, Some(code), "{profile}: {run:?}");
        assert!(run.stderr.contains(said) && !run.stderr.contains(SECRET), "{profile}: {run:?}");
    }
}

/// A lone account in a foreign organisation, whose trail it is shown; it has one of its own, which records only one region.
fn shown_a_foreign_trail(operation: &str) -> Answer {
    let json = |text: String| Some((200, "application/x-amz-json-1.1", text));
    let own = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/own");
    let trail = |arn: &str, more: &str| format!(r#"{{"TrailARN":"{arn}","HomeRegion":"us-east-1"{more}}}"#);
    let foreign = "arn:aws:cloudtrail:us-east-1:999988887777:trail/all";
    match operation {
        "ListTrails" => json(format!(r#"{{"Trails":[{}]}}"#, trail(&own, ""))),
        "DescribeTrails" => json(format!(
            r#"{{"trailList":[{},{}]}}"#,
            trail(&own, r#","IsMultiRegionTrail":false"#),
            trail(foreign, r#","IsMultiRegionTrail":true,"IsOrganizationTrail":true"#)
        )),
        "GetTrailStatus" => json(r#"{"IsLogging":true}"#.to_owned()),
        "GetEventSelectors" => {
            json(r#"{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true}]}"#.to_owned())
        }
        "LookupEvents" => json(r#"{"Events":[]}"#.to_owned()),
        "listRegions" => json(
            ["us-east-1", "eu-west-1"]
                .map(|name| format!(r#"{{"RegionName":"{name}","RegionOptStatus":"ENABLED_BY_DEFAULT"}}"#))
                .join(","),
        )
        .map(|(status, kind, list)| (status, kind, format!(r#"{{"Regions":[{list}]}}"#))),
        other => lone(other),
    }
}

#[test]
fn the_event_history_fills_in_where_no_trail_is_read() {
    let lookups = |front: &Front| front.asked().iter().filter(|one| *one == "LookupEvents").count();
    // The foreign trail's logs are not read; of two regions the own trail records one.
    let (place, front) = (Place::new(), Front::new(shown_a_foreign_trail));
    let run = front.collect(&place, "--only events --max-attempts 1 --since 2d");
    assert_eq!((run.code, lookups(&front)), (Some(0), 1), "{run:?} {:?}", front.asked());
    // A trail that does not record stands for nothing.
    let (place, front) = (
        Place::new(),
        Front::new(|operation| match operation {
            "GetTrailStatus" => Some((200, "application/x-amz-json-1.1", r#"{"IsLogging":false}"#.to_owned())),
            other => shown_a_foreign_trail(other),
        }),
    );
    let run = front.collect(&place, "--only events --max-attempts 1 --since 2d");
    assert_eq!((run.code, lookups(&front)), (Some(0), 2), "{run:?} {:?}", front.asked());
}

#[test]
fn a_dry_run_reads_no_account() {
    let (place, front) = (Place::new(), Front::new(lone));
    let run = front.collect(&place, &format!("{PARTS} --dry-run --format ndjson"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(front.asked(), ["GetCallerIdentity", "DescribeOrganization"]);
    assert!(!place.path("jitscan-store").exists());
    let rows = run.rows();
    assert!(rows.iter().any(|row| row["action"] == "iam:GetAccountAuthorizationDetails"), "{run:?}");
    assert!(rows.iter().all(|row| row["part"] != "events" && row["operation"] != "AssumeRole"), "{run:?}");
    let fields: Vec<String> = place
        .rows("schema")
        .iter()
        .filter(|row| row["command"] == "collect --dry-run")
        .map(|row| row["field"].as_str().unwrap().to_owned())
        .collect();
    assert!(rows.iter().all(|row| row.as_object().unwrap().keys().eq(fields.iter())), "{fields:?}");
}

#[test]
fn permissions_are_real_actions_that_read() {
    let place = Place::new();
    for role in ["--role central", "--role member", "--for validate"] {
        let run = place.line(&format!("permissions {role}"));
        assert_eq!(run.code, Some(0), "{run:?}");
        let policy: Value = serde_json::from_str(&run.stdout).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let actions = match &statement["Action"] {
                Value::String(action) => vec![action.clone()],
                actions => actions.as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned()).collect(),
            };
            for action in actions {
                let rows = place.rows(&format!("catalog action {action}"));
                let level = rows.first().unwrap_or_else(|| panic!("no such action: {action}"))["access"].clone();
                let level = level.as_str().unwrap().to_owned();
                // Becoming the other role and decrypting logs are no reading by AWS's own levels, and change nothing.
                let other = ["sts:AssumeRole", "kms:Decrypt"].contains(&action.as_str());
                assert!(other || ["list", "read"].contains(&level.as_str()), "{action}: {level}");
            }
        }
        let run = place.line(&format!("permissions {role} --as terraform"));
        assert!(run.code == Some(0) && run.stdout.contains("resource \"aws_iam_role\""), "{run:?}");
        let run = place.line(&format!("permissions {role} --as cloudformation"));
        let template: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(template["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"], policy);
    }
}

/// Access Analyzer as it answers about a policy that is open to everybody.
fn analyzer(operation: &str) -> Answer {
    let json = |text: &str| Some((200, "application/json", text.to_owned()));
    match operation.split('?').next().unwrap() {
        "policy/validation" => json(
            r#"{"findings":[{"findingDetails":"Too open","findingType":"SECURITY_WARNING","issueCode":"OPEN",
            "learnMoreLink":"x","locations":[{"path":[{"value":"Statement"},{"index":0},{"value":"Action"}],
            "span":{"start":{"line":1,"column":4,"offset":4},"end":{"line":1,"column":5,"offset":5}}}]}]}"#,
        ),
        "policy/check-no-new-access" => json(r#"{"result":"PASS","message":"nothing new"}"#),
        "policy/check-access-not-granted" => {
            json(r#"{"result":"FAIL","message":"it does","reasons":[{"description":"grants it","statementIndex":0}]}"#)
        }
        "policy/check-no-public-access" => {
            Some((403, "application/json", r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned()))
        }
        other => panic!("nobody should ask for {other}"),
    }
}

#[test]
fn access_analyzer_is_asked_about_policies() {
    let (place, front) = (Place::new(), Front::new(analyzer));
    std::fs::write(place.path("p.json"), r#"{"Statement":[]}"#).unwrap();
    let ask = |line: &str| {
        let line = format!("policy validate p.json --endpoint-url {} --format ndjson {line}", front.url);
        let mut command = place.command(line.split_whitespace());
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET);
        Run::from(command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap())
    };
    let shown = |run: &Run| -> Vec<String> {
        let one = |row: &Value| {
            let of = |name: &str| row[name].as_str().unwrap().to_owned();
            format!("{} {} {} {} {}", of("check"), of("result"), of("code"), of("message"), of("place"))
        };
        run.rows().iter().map(one).collect()
    };
    let warned = "ValidatePolicy SECURITY_WARNING OPEN Too open Statement[0].Action 1:5".to_owned();
    let run = ask("");
    assert_eq!((run.code, shown(&run)), (Some(3), vec![warned.clone()]), "{run:?}");
    let fields: Vec<Value> = place
        .rows("schema")
        .into_iter()
        .filter(|row| row["command"] == "policy validate")
        .map(|row| row["field"].clone())
        .collect();
    assert_eq!(run.rows()[0].as_object().unwrap().keys().cloned().map(Value::from).collect::<Vec<_>>(), fields);
    let run = ask(
        "--existing p.json --deny-action iam:PassRole --not-public --type resource --resource-type AWS::S3::Bucket",
    );
    let all = vec![
        warned,
        "CheckNoNewAccess PASS  nothing new ".to_owned(),
        "CheckAccessNotGranted FAIL  grants it Statement[0]".to_owned(),
    ];
    assert_eq!((run.code, shown(&run)), (Some(4), all), "{run:?}");
    assert!(run.stderr.contains("it needs access-analyzer:CheckNoPublicAccess"), "{run:?}");
    assert!(!place.path("jitscan-store").exists());
    for (line, said) in
        [("--type scp --existing p.json", "identity and resource policies only"), ("--not-public", "--resource-type")]
    {
        assert_eq!((ask(line).code, ask(line).stderr.contains(said)), (Some(2), true), "{line}");
    }
}

#[test]
fn a_permission_set_that_is_not_provisioned_is_told_of() {
    let (place, front) = (Place::new(), Front::new(lone));
    let run = front.collect(&place, PARTS);
    assert_eq!(run.code, Some(0), "{run:?}");
    let text = format!(
        r#"{{"PermissionSets":[{{"PermissionSetArn":"arn:b","Name":"Admin"}}],"AccountAssignments":[],
        "OutdatedProvisionings":[{{"AccountId":"{ACCOUNT}","PermissionSetArn":"arn:b"}}]}}"#
    );
    std::fs::write(place.path("center.json"), text).unwrap();
    assert_eq!(place.line("ingest identity-center center.json").code, Some(0));
    let run = place.line("scan --format json");
    let whole: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    let gaps = whole["meta"]["gaps"].as_array().unwrap();
    let drift: Vec<&Value> = gaps.iter().filter(|gap| gap["kind"] == "drift").collect();
    assert_eq!(drift.len(), 1, "{gaps:?}");
    let said = drift[0]["what"].as_str().unwrap();
    assert!(said.contains("Admin") && said.contains(ACCOUNT), "{said}");
}
