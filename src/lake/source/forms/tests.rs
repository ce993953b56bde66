//! Forms from small hand-written files: what is told apart, what is kept, what damage costs.

use std::path::Path;

use super::*;

const A: &str =
    r#"{"eventTime":"2023-07-10T11:42:24Z","eventSource":"s3.amazonaws.com","eventName":"ListBuckets","eventID":"a"}"#;

#[derive(Debug, Default)]
struct Seen {
    records: Vec<(u64, u64, String, Carried)>,
    bad: Vec<(u64, u64, String)>,
    whole: bool,
}

fn seen_at(path: &Path, bytes: &[u8]) -> Result<Seen, String> {
    let detected = detect(path, &head_of(bytes)).expect("a form");
    let mut seen = Seen::default();
    let whole = read::<()>(detected, path, &mut &*bytes, &mut |item| {
        match item {
            Item::Record { offset, length, text, carried } => {
                seen.records.push((offset, length, text.to_owned(), carried));
            }
            Item::Bad { offset, length, reason, .. } => seen.bad.push((offset, length, reason)),
        }
        Ok(())
    });
    match whole {
        Ok(whole) => Ok(Seen { whole, ..seen }),
        Err(FormError::Lost(reason)) => Err(reason),
        Err(FormError::Sink(())) => Err("the sink never refuses".to_owned()),
    }
}

fn seen(name: &str, text: &str) -> Seen {
    seen_at(Path::new(name), text.as_bytes()).unwrap()
}

fn texts(seen: &Seen) -> Vec<&str> {
    seen.records.iter().map(|(_, _, text, _)| text.as_str()).collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[test]
fn forms_are_told_by_their_first_bytes() {
    use Form::{ColumnLines, Container, Delimited, Empty, ExportedLines, Parquet};
    for (name, head, want) in [
        ("a.json", r#"{"Records":[{"eventVersion":"1"}]}"#, None),
        ("a.json", r#"{"eventVersion":"1.08","events":[]}"#, None),
        ("a.json", r#"[{"eventVersion":"1.08"}]"#, None),
        ("a.json", r#"{"nextToken":null,"Records":[]}"#, None),
        ("a.json", "", None),
        ("a.json", "{", None),
        ("README", "# Readme, with, commas\n", None),
        ("a.json", " \n{ \"Events\" : [", Some(Container)),
        (
            "a.json",
            "\u{feff}{\"QueryStatus\":\"FINISHED\",\"QueryStatistics\":{\"a\":[1]},\"QueryResultRows\":[",
            Some(Container),
        ),
        ("a.json", r#"{"events":"none"}"#, None),
        ("x", r#"{"messageType":"DATA_MESSAGE","owner":"1""#, Some(Container)),
        ("x", r#"[[{"eventName":"x"}]]"#, Some(Container)),
        ("x", r#"[{"EventId":"x","CloudTrailEvent":"{}"}]"#, Some(Container)),
        ("x", r#"{"results":[[{"field":"@message","value":"{}"}]]}"#, Some(Container)),
        ("x", "2023-07-10T11:42:24.000Z {\"eventVersion\"", Some(ExportedLines)),
        ("x", "2023-07-10T11:42:24Z hello", None),
        ("x", r#"{"eventversion":"1.08","#, Some(ColumnLines)),
        ("x", "eventTime,eventName,eventSource\n", Some(Delimited)),
        ("x", "\"eventjson\"\r\n", Some(Delimited)),
        ("x.csv", "a,b\n", Some(Delimited)),
        ("x.csv.gz", "a,b\n", Some(Delimited)),
        ("x", "PAR1....", Some(Parquet)),
        ("x.parquet", "", Some(Parquet)),
        ("aws-logs-write-test", "Permission Check Successful", Some(Empty)),
        ("result_sign.json", r#"{"version":"1.0","files":[]}"#, Some(Empty)),
    ] {
        assert_eq!(detect(Path::new(name), head.as_bytes()).map(|d| d.form), want, "{name} {head}");
    }
}

#[test]
fn containers_of_all_kinds() {
    let q = quoted(A);
    for text in [
        format!(r#"{{"Events":[{{"EventId":"a","EventTime":1.5,"CloudTrailEvent":{q}}}],"NextToken":"x"}}"#),
        format!(r#"[{{"EventId":"a","CloudTrailEvent":{q}}}]"#),
        format!(r#"{{"EventId":"a","CloudTrailEvent":{q}}}"#),
        format!(r#"{{"events":[{{"timestamp":1,"message":{q}}}],"searchedLogStreams":[{{"a":"]"}}]}}"#),
        format!(r#"{{"owner":"1","messageType":"DATA_MESSAGE","logEvents":[{{"id":"1","message":{A}}}]}}"#),
        format!(
            r#"{{"messageType":"CONTROL_MESSAGE","logEvents":[{{"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}}]}}{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":{q}}}]}}"#
        ),
        format!(r#"{{"QueryStatus":"FINISHED","QueryResultRows":[[{{"eventId":"x"}},{{"eventJson":{q}}}]]}}"#),
        format!(r#"[[{{"eventJson":{q}}}]]"#),
        format!(
            r#"{{"results":[[{{"field":"@ptr","value":"p"}},{{"field":"@message","value":{q}}}]],"status":"Complete"}}"#
        ),
        format!("{{\"events\":[{A}]}}"),
    ] {
        let got = seen("a.json", &text);
        assert_eq!(texts(&got), [A], "{text}");
        let (offset, length, _, carried) = &got.records[0];
        let place = text.get(*offset as usize..(*offset + *length) as usize).unwrap();
        assert!(place.contains("ListBuckets") && carried.whole, "{place}");
        assert!(got.bad.is_empty() && got.whole, "{text}: {:?}", got.bad);
    }
}

#[test]
fn one_bad_element_costs_one_element() {
    let good = format!(r#"{{"message":{}}}"#, quoted(A));
    for (bad, reason) in [
        ("17", "expected an object"),
        (r#"{"message":"hello"}"#, "not a CloudTrail record"),
        (r#"{"message":17}"#, "not a message"),
        (r#"{"x":1}"#, "neither"),
        (r#"{"message":}"#, "not JSON"),
        (r#"{"message":"a","message":"b"}"#, "not JSON"),
        (r#"{"message":"\ud800"}"#, "not a message"),
        (r#"[1]"#, "not a row"),
    ] {
        let got = seen("a.json", &format!(r#"{{"events":[{good},{bad},{good}]}}"#));
        assert_eq!((got.records.len(), got.bad.len(), got.whole), (2, 1, true), "{bad}: {:?}", got.bad);
        assert!(got.bad[0].2.contains(reason), "{bad}: {:?}", got.bad);
        assert_eq!(got.bad[0].1, bad.len() as u64);
    }
    let whole = format!(r#"{{"events":[{good},{good}]}}"#);
    for end in 13..whole.len() {
        let got = seen("a.json", whole.get(..end).unwrap());
        assert!(!got.whole && got.bad.len() == 1 && got.bad[0].2.contains("truncated"), "{end}: {got:?}");
    }
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(20 << 20));
    let got = seen("a.json", &format!(r#"{{"events":[{good},{long},{good}]}}"#));
    assert_eq!((got.records.len(), got.bad.len(), got.whole), (2, 1, true), "{:?}", got.bad);
    assert_eq!(got.bad[0].1, long.len() as u64);
    let got = seen("a.json", &format!(r#"{{"events":[{}]}}"#, "1,".repeat(100_000)));
    assert_eq!((got.records.len(), got.bad.len()), (0, 1), "garbage is one stretch");
    assert!(!seen("a.json", r#"{"events":[]} hello"#).whole);
}

#[test]
fn lines_of_exports() {
    let text = format!("2023-07-10T11:42:24.000Z {A}\r\n\nhello\n2023-07-10T11:42:25.000Z {A}");
    let got = seen("x", &text);
    assert_eq!(texts(&got), [A, A]);
    assert_eq!((got.bad.len(), got.whole), (1, true));
    let (from, length, _) = &got.bad[0];
    assert_eq!(text.get(*from as usize..(from + length) as usize), Some("hello"));
    let mut bytes = text.into_bytes();
    bytes[40] = 0xff;
    let got = seen_at(Path::new("x"), &bytes).unwrap();
    assert_eq!((got.records.len(), got.bad.len()), (1, 1), "{:?}", got.bad);
}

const HEADER: &str = "eventtime,eventsource,eventname,useridentity,requestparameters,resources,readonly,errorcode,year,responseelements\n";

fn row(cells: [&str; 9]) -> String {
    cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).join(",") + ",\n"
}

#[test]
fn structures_get_their_names_and_types_back() {
    let identity = "{type=AssumedRole, principalid=AROA1:a=b,c@d, arn=arn:aws:sts::1:assumed-role/r/a=b,c@d, \
        accountid=1, invokedby=null, newfield=null, accesskeyid=ASIA1, username=CN=Jane, OU=People, \
        onbehalfof={userid=u-1, identitystorearn=arn:x}, sessioncontext={attributes={mfaauthenticated=false, \
        creationdate=2023-06-07 23:59:12.000}, sessionissuer={type=Role, principalid=AROA1, arn=arn:r, accountid=1, \
        username=r}, webidfederationdata={federatedprovider=p, attributes={a=1, b=2}}}}";
    let resources = "[{arn=arn:aws:s3:::b/k}, {x, accountid=1, type=AWS::S3::Object}, {arn=arn:aws:s3:::b, accountid=null, type=AWS::S3::Bucket}]";
    for (request, want) in [
        ("{\"a\":{\"b\":12345678901234567890123}}", "{\"a\":{\"b\":12345678901234567890123}}"),
        (
            "{bucketName=b, key=a=b, c, items={\"x\":[\"}, y=\"]}, none=null}",
            r#"{"bucketName":"b","key":"a=b, c","items":{"x":["}, y="]}}"#,
        ),
        ("hello", "\"hello\""),
        ("{broken", "\"{broken\""),
        ("{a={b=c, d={e=f}}, g={h}}", r#"{"a":{"b":"c","d":{"e":"f"}},"g":"{h}"}"#),
        (r#"{a={"b":1}, policyDocument={"c":2}}"#, r#"{"a":{"b":1},"policyDocument":"{\"c\":2}"}"#),
        (
            r#"{"a":"{\"b\":12345678901234567890123}","c":"[1]","d":"{e=f}","policy":"{\"g\":1}","h":"x"}"#,
            r#"{"a":{"b":12345678901234567890123},"c":[1],"d":{"e":"f"},"h":"x","policy":"{\"g\":1}"}"#,
        ),
    ] {
        let line = row([
            "2023-07-10 11:42:24.000",
            "s3.amazonaws.com",
            "GetObject",
            identity,
            request,
            resources,
            "true",
            "null",
            "2023",
        ]);
        let got = seen("x.csv", &format!("\u{feff}{HEADER}{line}"));
        assert!(got.bad.is_empty() && got.whole, "{:?}", got.bad);
        let expected = format!(
            r#"{{"eventTime":"2023-07-10T11:42:24Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":{{"type":"AssumedRole","principalId":"AROA1:a=b,c@d","arn":"arn:aws:sts::1:assumed-role/r/a=b,c@d","accountId":"1","accessKeyId":"ASIA1","userName":"CN=Jane, OU=People","onBehalfOf":{{"userId":"u-1","identityStoreArn":"arn:x"}},"sessionContext":{{"attributes":{{"mfaAuthenticated":"false","creationDate":"2023-06-07 23:59:12.000"}},"sessionIssuer":{{"type":"Role","principalId":"AROA1","arn":"arn:r","accountId":"1","userName":"r"}},"webIdFederationData":{{"federatedProvider":"p","attributes":{{"a":"1","b":"2"}}}}}}}},"requestParameters":{want},"resources":[{{"ARN":"arn:aws:s3:::b/k}}, {{x","accountId":"1","type":"AWS::S3::Object"}},{{"ARN":"arn:aws:s3:::b","type":"AWS::S3::Bucket"}}],"readOnly":true}}"#
        );
        assert_eq!(texts(&got), [expected.as_str()]);
        assert!(!got.records[0].3.whole, "lossy");
    }
}

#[test]
fn parts_of_structures_may_be_columns() {
    let got = seen(
        "x.csv",
        "eventTime,eventSource,eventName,userIdentity.arn,userIdentity.sessionContext.sessionIssuer.arn,useridentity.zz,x.y\n2023-07-10T11:42:24Z,a,b,c,d,e,f\n",
    );
    let want = r#"{"eventTime":"2023-07-10T11:42:24Z","eventSource":"a","eventName":"b","userIdentity":{"arn":"c","sessionContext":{"sessionIssuer":{"arn":"d"}}}}"#;
    assert_eq!(texts(&got), [want]);
}

#[test]
fn one_bad_row_costs_one_row() {
    let good = row(["t", "s", "n", "", "", "", "", "", ""]);
    for (bad, reason) in [
        ("\"t\",\"s\"\n".to_owned(), "a row of 2 columns; expected 10"),
        (row(["t", "s", "n", "{type=", "", "", "", "", ""]), "userIdentity: a structure that cannot be read"),
        ("\"t\"x,\"s\",\"n\",,,,,,,\n".to_owned(), "text follows a closing quote"),
    ] {
        let got = seen("x.csv", &format!("{HEADER}{good}{bad}{good}"));
        assert_eq!((got.records.len(), got.bad.len(), got.whole), (2, 1, true), "{bad}: {:?}", got.bad);
        assert_eq!(got.bad[0].2, reason);
        assert_eq!(got.bad[0].0, (HEADER.len() + good.len()) as u64);
    }
    // A quote that nobody closes costs its line.
    let got = seen("x.csv", &format!("{HEADER}{good}\"t,s\n{good}{good}"));
    assert_eq!((got.records.len(), got.bad.len()), (3, 1), "{:?}", got.bad);
    let plain = "t,s,n,,,,,,,\n";
    let got = seen("x.csv", &format!("{HEADER}\"t,s,n\n{}", plain.repeat(5)));
    assert_eq!((got.records.len(), got.bad.len()), (5, 1), "{:?}", got.bad);
    // A cell longer than a record may be.
    let got = seen("x.csv", &format!("{HEADER}{good}\"{}\",{plain}{good}", "x".repeat(40 << 20)));
    assert_eq!((got.records.len(), got.bad.len()), (2, 1), "{:?}", got.bad);
    let mut bytes = format!("{HEADER}{plain}{plain}").into_bytes();
    bytes[HEADER.len()] = 0xff;
    let got = seen_at(Path::new("x.csv"), &bytes).unwrap();
    assert_eq!((got.records.len(), got.bad[0].2.as_str()), (1, "invalid UTF-8"));
    let got = seen("x.csv", &format!("{HEADER}{}", ",\n".repeat(100_000)));
    assert_eq!((got.records.len(), got.bad.len()), (0, 0), "empty lines");
    let got = seen("x.csv", &format!("{HEADER}{}", "x\n".repeat(100_000)));
    assert_eq!((got.records.len(), got.bad.len()), (0, 1), "garbage is one stretch");
    let got = seen("x.csv", "user,arn\nroot,x\n");
    assert!(got.bad[0].2.starts_with("not a table of CloudTrail records"), "{:?}", got.bad);
}

#[test]
fn columns_that_stand_twice_are_no_record() {
    let got = seen(
        "x",
        "{\"eventtime\":\"t\",\"eventTime\":\"u\"}\n{\"eventtime\":\"t\",\"readonly\":true,\"useridentity\":{\"principalid\":null,\"arn\":\"x\"}}\n",
    );
    assert_eq!(got.bad[0].2, "the column eventTime stands twice; and 1 more up to the next record");
    assert_eq!(texts(&got), [r#"{"eventTime":"t","readOnly":true,"userIdentity":{"arn":"x"}}"#]);
}

/// A Parquet file with the rows of a query.
fn parquet(folder: &Path, sql: &str) -> std::path::PathBuf {
    let path = folder.join("it's.parquet");
    let shown = path.to_str().unwrap().replace('\'', "''");
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection.execute_batch(&format!("COPY ({sql}) TO '{shown}' (FORMAT parquet)")).unwrap();
    path
}

const EVENT: &str = "{'product': {'name': 'CloudTrail', 'version': '1.08'}, 'uid': 'e' || i} AS metadata, \
    1688989344000 + i * 1000 AS time, {'operation': 'GetObject', 'service': {'name': 's3.amazonaws.com'}, \
    'request': {'data': '{\"bucketName\":\"b\"}', 'uid': ''''''}} AS api, MAP {'readOnly': 'true', \
    'recipientAccountId': '1', 'sharedEventID': '', 'additionalEventData.x.y': '[1]'} AS unmapped";

#[test]
fn security_lake_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = parquet(folder.path(), &format!("SELECT {EVENT} FROM range(20000) AS r(i)"));
    let got = seen_at(&path, b"PAR1").unwrap();
    assert!(got.bad.len() == 1 && got.whole && got.records.len() == 20_000, "{:?}", got.bad);
    assert!(got.bad[0].2.starts_with("not set aside, but without errorCode"), "{:?}", got.bad);
    let want = r#"{"readOnly":true,"recipientAccountId":"1","additionalEventData":{"x":{"y":[1]}},"eventTime":"2023-07-10T11:42:25Z","eventID":"e1","eventVersion":"1.08","eventSource":"s3.amazonaws.com","eventName":"GetObject","requestParameters":{"bucketName":"b"}}"#;
    let carried = Carried { error_code: false, response: false, ..Carried::LOSSY };
    assert_eq!(got.records[1], (1, 0, want.to_owned(), carried));
    // One row of something else.
    let other = EVENT.replace("'CloudTrail'", "CASE WHEN i = 7 THEN 'Route 53' ELSE 'CloudTrail' END");
    let path = parquet(folder.path(), &format!("SELECT {other} FROM range(10) AS r(i)"));
    let got = seen_at(&path, b"PAR1").unwrap();
    assert_eq!((got.records.len(), got.bad.len()), (9, 2));
    assert_eq!(got.bad[1], (7, 1, "an event of `Route 53`; expected CloudTrail".to_owned()));
}

#[test]
fn parquet_of_something_else_is_lost_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (sql, reason) in [
        ("SELECT 1 AS a".to_owned(), "no column `metadata`"),
        ("SELECT 1 AS metadata, 2 AS time, 3 AS api".to_owned(), "does not name its product"),
        (format!("SELECT {} FROM range(3) AS r(i)", EVENT.replace("CloudTrail", "VPC Flow")), "an event of `VPC Flow`"),
        (format!("SELECT {} FROM range(3) AS r(i)", EVENT.replace("1688989344000 + i * 1000", "NULL")), "no time"),
    ] {
        let path = parquet(folder.path(), &sql);
        let lost = seen_at(&path, b"PAR1").unwrap_err();
        assert!(lost.contains(reason), "{lost}");
    }
    let path = folder.path().join("x.parquet");
    for bytes in [b"PAR1".to_vec(), Vec::new(), b"PAR1garbagePAR1".to_vec(), vec![0xff; 5000]] {
        std::fs::write(&path, &bytes).unwrap();
        assert!(seen_at(&path, b"PAR1").is_err());
    }
    let odd = folder.path().join("a[b]*.parquet");
    std::fs::write(&odd, b"PAR1").unwrap();
    assert!(seen_at(&odd, b"PAR1").unwrap_err().contains("rename it"));
}

#[test]
fn damaged_parquet_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = parquet(folder.path(), &format!("SELECT {EVENT} FROM range(300) AS r(i)"));
    let whole = std::fs::read(&path).unwrap();
    for step in 0..12 {
        let mut bytes = whole.clone();
        let at = step * (bytes.len() / 12) + 4;
        for byte in bytes.iter_mut().skip(at).take(3) {
            *byte ^= 0x55;
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(got) = seen_at(&path, b"PAR1") {
            assert!(got.records.len() + got.bad.len() > 0);
        }
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(seen_at(&path, b"PAR1").is_err());
    }
}

#[test]
fn a_column_that_is_not_there_is_unknown_and_said_once() {
    let all = "errorcode,requestparameters,responseelements,eventcategory";
    for (columns, want, words) in [
        (all, Carried::LOSSY, ""),
        (
            "requestParameters,responseElements,managementEvent",
            Carried { error_code: false, ..Carried::LOSSY },
            "not set aside, but without errorCode, so what became of the calls is unknown",
        ),
        (
            "errorCode,requestParameters.roleArn,responseElements",
            Carried { request: false, category: false, ..Carried::LOSSY },
            "not set aside, but without requestParameters, so what exactly was called and which roles were passed is unknown",
        ),
    ] {
        let cells = ",".repeat(columns.matches(',').count());
        let row = format!("t,s,n,{cells}\n");
        let got = seen("x.csv", &format!("eventtime,eventsource,eventname,{columns}\n{row}{row}"));
        assert_eq!(got.records.iter().map(|(.., carried)| *carried).collect::<Vec<_>>(), [want; 2], "{columns}");
        let said: Vec<&str> = got.bad.iter().map(|(.., reason)| reason.as_str()).collect();
        assert_eq!(said, [words].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>(), "{columns}");
    }
    let got = seen("x", "{\"eventtime\":\"t\",\"errorcode\":null}\n{\"eventtime\":\"t\"}\n");
    assert_eq!(got.records.iter().map(|(.., carried)| carried.error_code).collect::<Vec<_>>(), [true, false]);
}
