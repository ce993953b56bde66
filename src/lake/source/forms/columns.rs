//! From the columns of a query's result to a record: names get their case back, text that stands for a structure
//! becomes one.
//!
//! Sources: "Supported SQL schemas for event data stores" (CloudTrail User Guide); "Create a table for CloudTrail
//! logs in Athena using manual partitioning" (Athena User Guide); "CloudTrail userIdentity element".

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::notation;
use crate::lake::normalise::Carried;

/// A cell as the form has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Text: of a CSV file, or a JSON string.
    Text(&'a str),
    /// Any other JSON value.
    Json(&'a Value),
}

/// A record that was put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Built {
    pub text: String,
    pub carried: Carried,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    Flag,
    Time,
    /// Anything, as JSON text or as a map of text.
    Any,
    Struct(&'static [Field]),
    List(&'static [Field]),
}

/// A field of a record, as CloudTrail spells it.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub shape: Shape,
}

const fn f(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

const fn t(name: &'static str) -> Field {
    Field { name, shape: Shape::Text }
}

const SESSION_CONTEXT: &[Field] = &[
    f("attributes", Shape::Struct(&[t("creationDate"), t("mfaAuthenticated")])),
    f("sessionIssuer", Shape::Struct(&[t("type"), t("principalId"), t("arn"), t("accountId"), t("userName")])),
    f("webIdFederationData", Shape::Struct(&[t("federatedProvider"), f("attributes", Shape::Any)])),
    t("sourceIdentity"),
    t("ec2RoleDelivery"),
    t("ec2IssuedInVpc"),
    f("assumedRoot", Shape::Flag),
];

const USER_IDENTITY: &[Field] = &[
    t("type"),
    t("principalId"),
    t("arn"),
    t("accountId"),
    t("accessKeyId"),
    t("userName"),
    t("invokedBy"),
    t("identityProvider"),
    t("credentialId"),
    f("onBehalfOf", Shape::Struct(&[t("userId"), t("identityStoreArn")])),
    f("inScopeOf", Shape::Struct(&[t("sourceArn"), t("sourceAccount"), t("issuerType"), t("credentialsIssuedTo")])),
    f("sessionContext", Shape::Struct(SESSION_CONTEXT)),
];

/// The fields of a record.
pub(super) const RECORD: &[Field] = &[
    t("eventVersion"),
    f("userIdentity", Shape::Struct(USER_IDENTITY)),
    f("eventTime", Shape::Time),
    t("eventSource"),
    t("eventName"),
    t("awsRegion"),
    t("sourceIPAddress"),
    t("userAgent"),
    t("errorCode"),
    t("errorMessage"),
    f("requestParameters", Shape::Any),
    f("responseElements", Shape::Any),
    f("additionalEventData", Shape::Any),
    t("requestID"),
    t("eventID"),
    f("readOnly", Shape::Flag),
    f("resources", Shape::List(&[t("ARN"), t("accountId"), t("type"), t("ARNPrefix")])),
    t("eventType"),
    t("apiVersion"),
    f("managementEvent", Shape::Flag),
    t("recipientAccountId"),
    f("serviceEventDetails", Shape::Any),
    t("sharedEventID"),
    t("vpcEndpointId"),
    t("vpcEndpointAccountId"),
    t("eventCategory"),
    f("addendum", Shape::Any),
    f("sessionCredentialFromConsole", Shape::Flag),
    f("edgeDeviceDetails", Shape::Any),
    f("tlsDetails", Shape::Struct(&[t("tlsVersion"), t("cipherSuite"), t("clientProvidedHostHeader")])),
    f("insightDetails", Shape::Any),
];

/// The column that holds the whole record. Source: "Supported SQL schemas for event data stores".
pub(super) const WHOLE: &str = "eventjson";

/// A field by its name in any case.
pub(super) fn field<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
}

/// The record of a row.
///
/// Columns that no record has (partition columns, expressions) are left out; a query may give a part of a structure
/// as a column of its own, with a dot in its name.
///
/// # Errors
/// A structure that cannot be read, naming the column.
pub(super) fn record(cells: &[(&str, Cell<'_>)]) -> Result<Built, String> {
    let whole = cells.iter().find(|(name, _)| name.eq_ignore_ascii_case(WHOLE));
    if let Some((_, Cell::Text(text))) = whole
        && text.trim_start().starts_with('{')
    {
        return Ok(Built { text: text.trim().to_owned(), carried: Carried::WHOLE });
    }
    let (mut parts, mut nested): (Vec<(&str, String)>, Map<String, Value>) = (Vec::new(), Map::new());
    for (name, cell) in cells {
        let (first, rest) = name.split_once('.').map_or((*name, None), |(first, rest)| (first, Some(rest)));
        let Some(known) = field(RECORD, first) else { continue };
        match (rest, known.shape) {
            (None, shape) => {
                let value = json(*cell, shape).map_err(|why| format!("{}: {why}", known.name))?;
                match value {
                    Some(_) if parts.iter().any(|(name, _)| *name == known.name) => {
                        return Err(format!("the column {} stands twice", known.name));
                    }
                    Some(value) => parts.push((known.name, value)),
                    None => {}
                }
            }
            (Some(rest), Shape::Struct(fields)) => {
                let inner = nested.entry(known.name).or_insert_with(|| Value::Object(Map::new()));
                put(inner, fields, rest, *cell);
            }
            (Some(_), _) => {}
        }
    }
    for (name, value) in nested {
        if let Some(known) = field(RECORD, &name)
            && parts.iter().all(|(other, _)| *other != known.name)
        {
            parts.push((known.name, value.to_string()));
        }
    }
    let members: Vec<String> = parts.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    Ok(Built { text: format!("{{{}}}", members.join(",")), carried: carried(cells) })
}

/// What columns of these names carry. A part of a structure does not stand for the structure.
fn carried(cells: &[(&str, Cell<'_>)]) -> Carried {
    let has = |wanted: &str| cells.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    Carried {
        whole: false,
        error_code: has("errorCode"),
        request: has("requestParameters"),
        response: has("responseElements"),
        category: has("eventCategory") || has("managementEvent"),
    }
}

/// Puts a text at a dotted path; what the record does not have is left out.
fn put(into: &mut Value, fields: &[Field], path: &str, cell: Cell<'_>) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (Some(known), Some(members)) = (field(fields, first), into.as_object_mut()) else { return };
    match (rest, known.shape) {
        (Some(rest), Shape::Struct(inner)) => {
            let value = members.entry(known.name).or_insert_with(|| Value::Object(Map::new()));
            put(value, inner, rest, cell);
        }
        (None, shape) => {
            if let Ok(Some(text)) = json(cell, shape)
                && let Ok(value) = serde_json::from_str(&text)
            {
                members.insert(known.name.to_owned(), value);
            }
        }
        (Some(_), _) => {}
    }
}

/// The JSON text of a cell; none where it is null or empty, which forms do not tell apart.
fn json(cell: Cell<'_>, shape: Shape) -> Result<Option<String>, String> {
    let text = match cell {
        Cell::Json(Value::Null) => return Ok(None),
        Cell::Json(value) => return Ok(Some(shaped(value.clone(), shape).to_string())),
        Cell::Text(text) => text,
    };
    // A literal `null` is what engines write for it inside structures, and some outside.
    if text.is_empty() || text == "null" {
        return Ok(None);
    }
    Ok(Some(match shape {
        Shape::Text => quoted(text),
        Shape::Flag => flag(text).to_string(),
        Shape::Time => quoted(&time(text)),
        Shape::Any => any(text),
        Shape::Struct(_) | Shape::List(_) => match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_object() || value.is_array() => shaped(value, shape).to_string(),
            _ => notation::read(text, shape).ok_or("a structure that cannot be read")?.to_string(),
        },
    }))
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn flag(text: &str) -> Value {
    match text {
        "true" | "TRUE" => Value::Bool(true),
        "false" | "FALSE" => Value::Bool(false),
        other => Value::from(other),
    }
}

/// `2023-07-10 11:42:24.000`, as query engines write times, which are UTC, as RFC 3339.
fn time(text: &str) -> String {
    let text = text.trim();
    let bare = text.strip_suffix(" UTC").unwrap_or(text);
    let Some((day, clock)) = bare.split_once(' ') else { return text.to_owned() };
    let clock =
        clock.split_once('.').filter(|(_, part)| part.bytes().all(|b| b == b'0')).map_or(clock, |(whole, _)| whole);
    format!("{day}T{clock}Z")
}

/// Request parameters and the like: JSON text as it stands, a map of text as an object, anything else as text.
pub(super) fn any(text: &str) -> String {
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '[', '"']) {
        if serde_json::from_str::<&RawValue>(trimmed).is_ok() {
            return opened(trimmed).unwrap_or_else(|| trimmed.to_owned());
        }
        if let Some(map) = notation::map(trimmed) {
            return map;
        }
    }
    quoted(text)
}

/// An object of which members are text that holds an object or a list, as a column of type `map<string, string>` has
/// them, with these as what they are; none where there are no such members.
fn opened(text: &str) -> Option<String> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let mut changed = false;
    let parts: Vec<String> = members
        .iter()
        .map(|(name, value)| {
            let inner = if value.get().starts_with('"') && !notation::is_document(name) {
                serde_json::from_str(value.get()).ok().and_then(|text: String| notation::nested(&text, 0))
            } else {
                None
            };
            changed |= inner.is_some();
            format!("{}:{}", quoted(name), inner.unwrap_or_else(|| value.get().to_owned()))
        })
        .collect();
    changed.then(|| format!("{{{}}}", parts.join(",")))
}

/// Gives the members of a value the names that the record has, and drops what is null.
fn shaped(value: Value, shape: Shape) -> Value {
    match (shape, value) {
        (Shape::Struct(fields), Value::Object(members)) => {
            let renamed = members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
                match field(fields, &name) {
                    Some(known) => (known.name.to_owned(), shaped(value, known.shape)),
                    None => (name, value),
                }
            });
            Value::Object(renamed.collect())
        }
        (Shape::List(fields), Value::Array(items)) => {
            Value::Array(items.into_iter().map(|item| shaped(item, Shape::Struct(fields))).collect())
        }
        (Shape::Flag, Value::String(text)) => flag(&text),
        (Shape::Time, Value::String(text)) => Value::from(time(&text)),
        (_, value) => value,
    }
}
