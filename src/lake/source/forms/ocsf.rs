//! From an OCSF event of Security Lake back to the CloudTrail record that it was made of.
//!
//! Source: the mapping of AWS in github.com/ocsf/examples (AWS/v1.1.0 and v1.5.0, CloudTrail: API Activity, Account
//! Change, Authentication); "CloudTrail event logs in Security Lake", Security Lake User Guide. Version 1.0 spelled
//! the user otherwise (`uid` for the unique id, `uuid` for the ARN) and is read too. What the mapping puts nowhere
//! stands in `unmapped` under its dotted path in the record; what it leaves out stays absent.

use serde_json::{Map, Value};

use super::columns::{Field, RECORD, Shape, any, field};
use crate::lake::normalise::Carried;
use crate::model::time::Timestamp;

/// Names of the feature that are CloudTrail's `eventCategory`.
const CATEGORIES: [&str; 4] = ["Management", "Data", "NetworkActivity", "Insight"];

/// Texts of an event that are texts of the record: path in OCSF, path in the record.
const TEXTS: &[(&str, &str)] = &[
    ("metadata.uid", "eventID"),
    ("metadata.product.version", "eventVersion"),
    ("metadata.event_code", "eventType"),
    ("api.service.name", "eventSource"),
    ("api.operation", "eventName"),
    ("api.version", "apiVersion"),
    ("api.request.uid", "requestID"),
    ("api.response.error", "errorCode"),
    ("api.response.message", "errorMessage"),
    ("cloud.region", "awsRegion"),
    ("src_endpoint.uid", "vpcEndpointId"),
    ("src_endpoint.ip", "sourceIPAddress"),
    ("src_endpoint.domain", "sourceIPAddress"),
    ("http_request.user_agent", "userAgent"),
    ("actor.user.type", "userIdentity.type"),
    ("actor.user.account.uid", "userIdentity.accountId"),
    ("actor.user.account_uid", "userIdentity.accountId"),
    ("actor.user.credential_uid", "userIdentity.accessKeyId"),
    ("actor.user.name", "userIdentity.userName"),
    ("actor.invoked_by", "userIdentity.invokedBy"),
    ("actor.idp.name", "userIdentity.identityProvider"),
    ("actor.session.issuer", "userIdentity.sessionContext.sessionIssuer.arn"),
    ("dst_endpoint.svc_name", "additionalEventData.LoginTo"),
    ("cloud.account.uid", "recipientAccountId"),
];

/// Where unique id and ARN of the caller stand: in OCSF 1.1 and later, and in 1.0.
const USER: &[(&str, &str)] =
    &[("actor.user.uid_alt", "userIdentity.principalId"), ("actor.user.uid", "userIdentity.arn")];
const USER_1_0: &[(&str, &str)] =
    &[("actor.user.uid", "userIdentity.principalId"), ("actor.user.uuid", "userIdentity.arn")];
/// Where they stand for an Identity Center user, who has neither (OCSF 1.5, conditional mapping).
const CENTER_USER: &[(&str, &str)] = &[
    ("actor.user.uid_alt", "userIdentity.onBehalfOf.userId"),
    ("actor.idp.uid", "userIdentity.onBehalfOf.identityStoreArn"),
];

/// The record of an event, as JSON text.
///
/// # Errors
/// Why the event is none of CloudTrail's.
pub(super) fn record(event: &Value) -> Result<String, String> {
    match text(event, "metadata.product.name") {
        Some("CloudTrail") => {}
        Some(other) => {
            let shown: String = other.chars().take(64).collect();
            return Err(format!("an event of `{}`; expected CloudTrail", shown.escape_default()));
        }
        None => return Err("the event does not name its product; expected CloudTrail".to_owned()),
    }
    let mut record = Map::new();
    // First what stands under the record's own paths: it is literal.
    if let Some(Value::Object(unmapped)) = event.get("unmapped") {
        for (path, value) in unmapped {
            if let Some(value) = literal(path, value) {
                put(&mut record, path, value);
            }
        }
    }
    record.insert("eventTime".to_owned(), Value::from(time(event)?));
    let center = text(event, "actor.user.type") == Some("IdentityCenterUser");
    let user = match (center, text(event, "actor.user.uuid")) {
        (true, _) => CENTER_USER,
        (false, Some(_)) => USER_1_0,
        (false, None) => USER,
    };
    for (from, to) in TEXTS.iter().chain(user) {
        if let Some(found) = text(event, from) {
            put(&mut record, to, Value::from(found));
        }
    }
    if let Some(category) = text(event, "metadata.product.feature.name").filter(|name| CATEGORIES.contains(name)) {
        put(&mut record, "eventCategory", Value::from(category));
    }
    session(event, &mut record);
    for (from, to) in [("api.request.data", "requestParameters"), ("api.response.data", "responseElements")] {
        if let Some(data) = text(event, from) {
            let value = serde_json::from_str(&any(data)).unwrap_or_else(|_| Value::from(data));
            put(&mut record, to, value);
        }
    }
    let resources = resources(event);
    if !resources.is_empty() {
        record.insert("resources".to_owned(), Value::from(resources));
    }
    Ok(Value::Object(record).to_string())
}

/// What the columns of an event carry.
pub(super) fn carried(event: &Value) -> Carried {
    let has = |path: &str| at(event, path).is_some();
    Carried {
        error_code: has("api.response"),
        request: has("api.request"),
        response: has("api.response"),
        ..Carried::LOSSY
    }
}

/// The text at a dotted path; none where it is null or empty, or the two quotes that stand for an absent request id.
fn text<'e>(event: &'e Value, path: &str) -> Option<&'e str> {
    at(event, path)?.as_str().filter(|text| !text.is_empty() && *text != "''")
}

fn at<'e>(event: &'e Value, path: &str) -> Option<&'e Value> {
    path.split('.').try_fold(event, |value, key| value.get(key))
}

/// Milliseconds since the epoch, as RFC 3339.
fn time(event: &Value) -> Result<String, String> {
    let millis = match event.get("time") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let micros = millis.and_then(|millis| millis.checked_mul(1000)).ok_or("the event has no time")?;
    Ok(Timestamp::from_micros(micros).to_string())
}

/// A value of `unmapped`, all of which are text: with its type, where the record's field has one.
fn literal(path: &str, value: &Value) -> Option<Value> {
    let Value::String(text) = value else { return Some(value.clone()).filter(|value| !value.is_null()) };
    if text.is_empty() || text == "null" {
        return None;
    }
    let first = path.split('.').next().unwrap_or(path);
    let shape = shape_at(RECORD, path);
    Some(match (shape, text.as_str()) {
        (Some(Shape::Flag), "true") => Value::Bool(true),
        (Some(Shape::Flag), "false") => Value::Bool(false),
        (Some(Shape::Any | Shape::Struct(_) | Shape::List(_)), _) => {
            serde_json::from_str(&any(text)).unwrap_or_else(|_| Value::from(text.as_str()))
        }
        // A list or an object deep inside request or response.
        (None, json) if json.starts_with(['{', '[']) && field(RECORD, first).is_some() => {
            serde_json::from_str(json).unwrap_or_else(|_| Value::from(json))
        }
        (_, text) => Value::from(text),
    })
}

fn shape_at(fields: &[Field], path: &str) -> Option<Shape> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let known = field(fields, first)?;
    match (rest, known.shape) {
        (None, shape) => Some(shape),
        (Some(rest), Shape::Struct(inner)) => shape_at(inner, rest),
        (Some(_), _) => None,
    }
}

/// Puts a value at a dotted path unless something stands there.
fn put(record: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            record.entry(path).or_insert(value);
        }
        Some((first, rest)) => {
            let inner = record.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Session and second factor. `is_mfa` of the event itself is the `MFAUsed` of a sign-in.
fn session(event: &Value, record: &mut Map<String, Value>) {
    let attribute = "userIdentity.sessionContext.attributes";
    if let Some(mfa) = at(event, "actor.session.is_mfa").and_then(Value::as_bool) {
        put(record, &format!("{attribute}.mfaAuthenticated"), Value::from(mfa.to_string()));
    }
    if let Some(created) = text(event, "actor.session.created_time_dt") {
        put(record, &format!("{attribute}.creationDate"), Value::from(created));
    }
    if let Some(mfa) = event.get("is_mfa").and_then(Value::as_bool)
        && text(event, "api.operation") == Some("ConsoleLogin")
    {
        put(record, "additionalEventData.MFAUsed", Value::from(if mfa { "Yes" } else { "No" }));
    }
}

fn resources(event: &Value) -> Vec<Value> {
    let list = event.get("resources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|resource| {
            let mut out = Map::new();
            for (from, to) in
                [("uid", "ARN"), ("account.uid", "accountId"), ("account_uid", "accountId"), ("type", "type")]
            {
                if let Some(found) = text(resource, from) {
                    put(&mut out, to, Value::from(found));
                }
            }
            (!out.is_empty()).then_some(Value::Object(out))
        })
        .collect()
}
