//! Writes records in the forms of AWS's tools. Sources: the pages named in `src/lake/source/forms/mod.rs`.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::gz;

type File = (&'static str, &'static str, Vec<u8>);

pub fn trail(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

fn member(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Forms that hold each record as it was.
pub fn exact(records: &[Value]) -> Vec<File> {
    let texts: Vec<String> = records.iter().map(ToString::to_string).collect();
    let messages = |chunk: &[String]| -> Vec<Value> {
        chunk.iter().map(|text| json!({"id": "319", "timestamp": 1, "message": text})).collect()
    };
    let subscription = |chunk: &[String], kind: &str| {
        json!({"messageType": kind, "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"],
               "logEvents": if kind == "DATA_MESSAGE" { messages(chunk) } else {
                   vec![json!({"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose."})]
               }})
        .to_string()
    };
    let mut firehose = member(subscription(&[], "CONTROL_MESSAGE").as_bytes());
    let mut joined = subscription(&[], "CONTROL_MESSAGE");
    for chunk in texts.chunks(100) {
        firehose.extend(member(subscription(chunk, "DATA_MESSAGE").as_bytes()));
        joined.push_str(&subscription(chunk, "DATA_MESSAGE"));
    }
    let lookup: Vec<Value> = records
        .iter()
        .zip(&texts)
        .map(|(record, text)| json!({"EventId": record["eventID"], "EventName": record["eventName"], "ReadOnly": "true", "EventTime": 1.5, "Resources": [], "CloudTrailEvent": text}))
        .collect();
    let answer = json!({"events": messages(&texts), "searchedLogStreams": [], "nextToken": "x"}).to_string();
    let insights: Vec<Value> = texts
        .iter()
        .map(|text| json!([{"field": "@timestamp", "value": "t"}, {"field": "@message", "value": text}, {"field": "@ptr", "value": "p"}]))
        .collect();
    let insights = json!({"results": insights, "statistics": {}, "status": "Complete"}).to_string();
    let lines: String = texts.iter().map(|text| format!("2023-07-10T11:42:24.000Z {text}\n")).collect();
    let mut table = String::from("\"eventJson\"\n");
    for text in &texts {
        table.push_str(&format!("\"{}\"\r\n", text.replace('"', "\"\"")));
    }
    vec![
        ("lookup", "events.json", json!({"Events": lookup, "NextToken": "x"}).to_string().into_bytes()),
        ("lookup-list", "events.json", json!(lookup).to_string().into_bytes()),
        ("firehose", "trail-1-2023-07-10-11-42-24-0a1b", firehose.clone()),
        ("firehose-twice", "x.gz", member(&firehose)),
        ("subscriptions", "x.json", joined.into_bytes()),
        ("filter-log-events", "x.json", answer.into_bytes()),
        ("insights", "x.json", insights.into_bytes()),
        ("export", "exportedlogs/t/s/000000.gz", gz(&lines)),
        ("lake-whole", "query_results_1.csv.gz", gz(&table)),
    ]
}

/// Columns of an event data store, and of the `cloudtrail_logs` table, in the order of AWS's pages.
const LAKE: [&str; 28] = [
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "apiVersion",
    "managementEvent",
    "recipientAccountId",
    "sharedEventID",
    "vpcEndpointId",
    "serviceEventDetails",
    "addendum",
    "eventCategory",
    "sessionCredentialFromConsole",
    "tlsDetails",
];
const ATHENA: [&str; 24] = [
    "eventversion",
    "useridentity",
    "eventtime",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "errormessage",
    "requestparameters",
    "responseelements",
    "additionaleventdata",
    "requestid",
    "eventid",
    "resources",
    "eventtype",
    "apiversion",
    "readonly",
    "recipientaccountid",
    "serviceeventdetails",
    "sharedeventid",
    "vpcendpointid",
    "tlsdetails",
];
/// Fields of the structures, as the tables define them; `.` leads into one.
const IDENTITY: [&str; 7] = ["type", "principalId", "arn", "accountId", "invokedBy", "accessKeyId", "userName"];
const ATTRIBUTES: [&str; 2] = ["mfaAuthenticated", "creationDate"];
const ISSUER: [&str; 5] = ["type", "principalId", "arn", "accountId", "userName"];

fn of<'v>(record: &'v Value, name: &str) -> &'v Value {
    let found = record.as_object().unwrap().iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or(&Value::Null, |(_, value)| value)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fields(value: &Value, names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("{}={}", name.to_lowercase(), plain(of(value, name))))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A user identity as Presto prints a structure.
fn identity(value: &Value) -> String {
    let context = &value["sessionContext"];
    let context = if context.is_null() {
        "null".to_owned()
    } else {
        let part = |name: &str, names: &[&str]| {
            if context[name].is_object() && context[name].as_object().is_some_and(|o| !o.is_empty()) {
                format!("{{{}}}", fields(&context[name], names))
            } else {
                "null".to_owned()
            }
        };
        let provider = match &context["webIdFederationData"]["federatedProvider"] {
            Value::String(text) => format!("{{federatedprovider={text}, attributes={{a=b, c=d}}}}"),
            _ => "null".to_owned(),
        };
        format!(
            "{{attributes={}, sessionissuer={}, ec2roledelivery={}, webidfederationdata={provider}, sourceidentity={}}}",
            part("attributes", &ATTRIBUTES),
            part("sessionIssuer", &ISSUER),
            plain(&context["ec2RoleDelivery"]),
            plain(&context["sourceIdentity"]),
        )
    };
    let behalf = match &value["onBehalfOf"] {
        Value::Null => "null".to_owned(),
        behalf => format!("{{{}}}", fields(behalf, &["userId", "identityStoreArn"])),
    };
    format!(
        "{{{}, identityprovider={}, onbehalfof={behalf}, credentialid=null, sessioncontext={context}}}",
        fields(value, &IDENTITY),
        plain(&value["identityProvider"])
    )
}

fn resources(value: &Value) -> String {
    let items: Vec<String> = value
        .as_array()
        .into_iter()
        .flatten()
        .map(|resource| format!("{{{}}}", fields(resource, &["ARN", "accountId", "type"])))
        .collect();
    format!("[{}]", items.join(", "))
}

/// A map of text as Presto prints it; nested values are JSON.
fn map(value: &Value) -> String {
    let Some(members) = value.as_object() else { return plain(value) };
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    format!("{{{}}}", members.join(", "))
}

/// A cell as text; empty for null. `maps` where request and response are maps and not JSON text.
fn cell(record: &Value, name: &str, maps: bool) -> String {
    let value = of(record, name);
    match (name.to_lowercase().as_str(), value) {
        (_, Value::Null) => String::new(),
        ("useridentity", value) => identity(value),
        ("resources", value) => resources(value),
        ("tlsdetails", value) => {
            format!("{{{}}}", fields(value, &["tlsVersion", "cipherSuite", "clientProvidedHostHeader"]))
        }
        ("eventtime", value) if maps => plain(value).replace('T', " ").replace('Z', ".000"),
        ("requestparameters" | "responseelements" | "additionaleventdata" | "serviceeventdetails", value) => {
            if maps {
                map(value)
            } else {
                value.to_string()
            }
        }
        (_, value) => plain(value),
    }
}

fn table(records: &[Value], columns: &[&str], maps: bool) -> String {
    let line = |cells: Vec<String>| {
        cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect::<Vec<_>>().join(",")
    };
    let mut text = line(columns.iter().map(|name| (*name).to_owned()).collect());
    for record in records {
        text.push('\n');
        text.push_str(&line(columns.iter().map(|name| cell(record, name, maps)).collect()));
    }
    text.push('\n');
    text
}

/// Keys in lower case, all the way down, as the table's structures have them.
fn lowered(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.to_lowercase(), lowered(value))).collect(),
        Value::Array(items) => items.iter().map(lowered).collect(),
        other => other.clone(),
    }
}

fn unloaded(records: &[Value]) -> String {
    let mut text = String::new();
    for record in records {
        let mut row = Map::new();
        for name in ATHENA {
            let value = match (name, of(record, name)) {
                // Athena's writer (Trino's JsonSerializer, which follows Hive's) names every column.
                (_, Value::Null) => Value::Null,
                ("useridentity" | "resources" | "tlsdetails", value) => lowered(value),
                (_, Value::String(text)) => json!(text),
                (_, value) => json!(value.to_string()),
            };
            row.insert(name.to_owned(), value);
        }
        text.push_str(&Value::Object(row).to_string());
        text.push('\n');
    }
    text
}

fn answer(records: &[Value]) -> String {
    let rows: Vec<Value> = records
        .iter()
        .map(|record| LAKE.iter().map(|name| json!({ *name: cell(record, name, true) })).collect())
        .collect();
    json!({"QueryStatus": "FINISHED", "QueryStatistics": {"ResultsCount": rows.len()}, "QueryResultRows": rows})
        .to_string()
}

/// Forms that cannot hold everything.
pub fn lossy(records: &[Value], folder: &Path) -> Vec<File> {
    vec![
        ("lake", "query_results_1.csv.gz", gz(&table(records, &LAKE, true))),
        ("lake-answer", "results.json", answer(records).into_bytes()),
        ("athena", "0a1b-2c.csv", table(records, &ATHENA, false).into_bytes()),
        ("athena-unload", "20230710_114224_00001_abcde_0a1b", gz(&unloaded(records))),
        (
            "security-lake",
            "aws/CLOUD_TRAIL_MGMT/2.0/region=us-east-1/accountId=1/eventDay=20230710/x.gz.parquet",
            parquet(records, folder),
        ),
    ]
}

/// Types of the Security Lake table, source version 2.
const OCSF: &str = "metadata: 'STRUCT(product STRUCT(version VARCHAR, name VARCHAR, vendor_name VARCHAR, feature STRUCT(name VARCHAR)), event_code VARCHAR, uid VARCHAR, profiles VARCHAR[], version VARCHAR)',
 time: 'BIGINT', time_dt: 'TIMESTAMP', cloud: 'STRUCT(region VARCHAR, provider VARCHAR)',
 api: 'STRUCT(response STRUCT(error VARCHAR, message VARCHAR, data VARCHAR), operation VARCHAR, version VARCHAR, service STRUCT(name VARCHAR), request STRUCT(data VARCHAR, uid VARCHAR))',
 dst_endpoint: 'STRUCT(svc_name VARCHAR)',
 actor: 'STRUCT(\"user\" STRUCT(type VARCHAR, name VARCHAR, uid_alt VARCHAR, uid VARCHAR, account STRUCT(uid VARCHAR), credential_uid VARCHAR), session STRUCT(created_time_dt TIMESTAMP, is_mfa BOOLEAN, issuer VARCHAR), invoked_by VARCHAR, idp STRUCT(name VARCHAR))',
 http_request: 'STRUCT(user_agent VARCHAR)', src_endpoint: 'STRUCT(uid VARCHAR, ip VARCHAR, domain VARCHAR)',
 resources: 'STRUCT(uid VARCHAR, account STRUCT(uid VARCHAR), type VARCHAR)[]', class_name: 'VARCHAR', class_uid: 'INTEGER',
 is_mfa: 'BOOLEAN', accountid: 'VARCHAR', region: 'VARCHAR', unmapped: 'MAP(VARCHAR, VARCHAR)'";

/// What the mapping has a place for; all else goes to `unmapped`.
const MAPPED: [&str; 28] = [
    "userIdentity.accountId",
    "userIdentity.accessKeyId",
    "userIdentity.userName",
    "userIdentity.type",
    "userIdentity.principalId",
    "userIdentity.arn",
    "userIdentity.sessionContext.attributes.creationDate",
    "userIdentity.sessionContext.attributes.mfaAuthenticated",
    "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.invokedBy",
    "userIdentity.identityProvider",
    "userIdentity.sessionContext.webIdFederationData.federatedProvider",
    "vpcEndpointId",
    "requestID",
    "eventSource",
    "apiVersion",
    "eventName",
    "awsRegion",
    "userAgent",
    "eventVersion",
    "eventID",
    "eventType",
    "eventTime",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "resources",
];

fn unmapped(path: &str, value: &Value, into: &mut Map<String, Value>) {
    if MAPPED.contains(&path) || ["sourceIPAddress", "eventCategory"].contains(&path) || value.is_null() {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                unmapped(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, into);
            }
        }
        value => {
            into.insert(path.to_owned(), json!(plain(value)));
        }
    }
}

fn ocsf(record: &Value) -> Value {
    let (identity, context) = (&record["userIdentity"], &record["userIdentity"]["sessionContext"]);
    let text = |value: &Value| if value.is_null() { Value::Null } else { json!(value.to_string()) };
    let mfa = context["attributes"]["mfaAuthenticated"].as_str().map(|text| text == "true");
    let ip = record["sourceIPAddress"].as_str().unwrap_or("");
    let is_ip = ip.parse::<std::net::IpAddr>().is_ok();
    let provider = match &context["webIdFederationData"]["federatedProvider"] {
        Value::Null => &identity["identityProvider"],
        provider => provider,
    };
    let resources: Vec<Value> = record["resources"].as_array().into_iter().flatten().map(|resource| {
        json!({"uid": of(resource, "ARN"), "account": {"uid": of(resource, "accountId")}, "type": of(resource, "type")})
    }).collect();
    let seconds = record["eventTime"].as_str().unwrap().parse::<jitscan::model::time::Timestamp>().unwrap();
    let mut rest = Map::new();
    unmapped("", record, &mut rest);
    json!({
        "metadata": {"product": {"version": record["eventVersion"], "name": "CloudTrail", "vendor_name": "AWS", "feature": {"name": record["eventCategory"]}}, "event_code": record["eventType"], "uid": record["eventID"], "profiles": ["cloud", "datetime"], "version": "1.1.0"},
        "time": seconds.micros() / 1000, "time_dt": record["eventTime"], "cloud": {"region": record["awsRegion"], "provider": "AWS"},
        "api": {"response": {"error": record["errorCode"], "message": record["errorMessage"], "data": text(&record["responseElements"])}, "operation": record["eventName"], "version": record["apiVersion"], "service": {"name": record["eventSource"]}, "request": {"data": text(&record["requestParameters"]), "uid": record["requestID"]}},
        "actor": {"user": {"type": identity["type"], "name": identity["userName"], "uid_alt": identity["principalId"], "uid": identity["arn"], "account": {"uid": identity["accountId"]}, "credential_uid": identity["accessKeyId"]}, "session": {"created_time_dt": context["attributes"]["creationDate"], "is_mfa": mfa, "issuer": context["sessionIssuer"]["arn"]}, "invoked_by": identity["invokedBy"], "idp": {"name": provider}},
        "http_request": {"user_agent": record["userAgent"]},
        "src_endpoint": {"uid": record["vpcEndpointId"], "ip": if is_ip { ip } else { "" }, "domain": if is_ip { "" } else { ip }},
        "resources": resources, "class_name": "API Activity", "class_uid": 6003, "unmapped": rest,
    })
}

/// Events of Security Lake as a Parquet file, written by DuckDB.
fn parquet(records: &[Value], folder: &Path) -> Vec<u8> {
    let (lines, file) = (folder.join("ocsf.ndjson"), folder.join("ocsf.parquet"));
    let text: Vec<String> = records.iter().map(|record| ocsf(record).to_string()).collect();
    std::fs::write(&lines, text.join("\n")).unwrap();
    let connection = duckdb::Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&format!(
            "COPY (SELECT * FROM read_json('{}', format = 'newline_delimited', columns = {{{OCSF}}})) TO '{}' (FORMAT parquet, COMPRESSION gzip, ROW_GROUP_SIZE 2048)",
            lines.display(), file.display()
        ))
        .unwrap();
    std::fs::read(file).unwrap()
}
