//! From one record's JSON to a [`Record`]. Nothing is judged here that a later release might judge differently.
//!
//! Essential are `eventTime`, `eventSource` and `eventName`; any other field may be missing or of an odd type and
//! is then empty or kept as its JSON text.

mod carried;
mod outcome;
mod resources;

use std::borrow::Cow;

use super::json::{Kind, Value};
#[cfg(test)]
use crate::model::event::Event;
use crate::model::event::{CallVariant, EventCategory, Identity, Outcome};
use crate::model::time::Timestamp;
use crate::usage::category::recorded_as;

pub(crate) use carried::Carried;
pub(crate) use resources::{Named, parent, several};

/// Role-like request parameters kept of one record, and bytes of one such value at most (an ARN has at most 2,048).
const MAX_ROLES: usize = 16;
const MAX_ROLE_BYTES: usize = 2048;

/// The members of a record by their key. Most are read; the others are known to tell a key that stands twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Time,
    Window,
    Resources,
    Request,
    Response,
    Additional,
    ServiceDetails,
    InsightDetails,
    Id,
    IdInLowerCase,
    Source,
    Name,
    Region,
    Category,
    Type,
    ErrorCode,
    ErrorMessage,
    Recipient,
    Account,
    Shared,
    RequestId,
    SourceIp,
    UserAgent,
    Endpoint,
    Tls,
    ReadOnly,
    Management,
    Console,
    Identity,
    Version,
    ApiVersion,
    Addendum,
}

impl Field {
    /// How many there are.
    pub(crate) const COUNT: usize = 32;

    /// The field of a key.
    pub(crate) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "eventTime" => Self::Time,
            "timeWindow" => Self::Window,
            "resources" => Self::Resources,
            "requestParameters" => Self::Request,
            "responseElements" => Self::Response,
            "additionalEventData" => Self::Additional,
            "serviceEventDetails" => Self::ServiceDetails,
            "insightDetails" => Self::InsightDetails,
            "eventID" => Self::Id,
            "eventId" => Self::IdInLowerCase,
            "eventSource" => Self::Source,
            "eventName" => Self::Name,
            "awsRegion" => Self::Region,
            "eventCategory" => Self::Category,
            "eventType" => Self::Type,
            "errorCode" => Self::ErrorCode,
            "errorMessage" => Self::ErrorMessage,
            "recipientAccountId" => Self::Recipient,
            "accountId" => Self::Account,
            "sharedEventID" => Self::Shared,
            "requestID" => Self::RequestId,
            "sourceIPAddress" => Self::SourceIp,
            "userAgent" => Self::UserAgent,
            "vpcEndpointId" => Self::Endpoint,
            "tlsDetails" => Self::Tls,
            "readOnly" => Self::ReadOnly,
            "managementEvent" => Self::Management,
            "sessionCredentialFromConsole" => Self::Console,
            "userIdentity" => Self::Identity,
            "eventVersion" => Self::Version,
            "apiVersion" => Self::ApiVersion,
            "addendum" => Self::Addendum,
            _ => return None,
        })
    }

    /// Its place in a set of 64 bits.
    pub(crate) fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// The values of a record's members.
#[derive(Default)]
pub(crate) struct Fields<'t> {
    values: [Option<Value<'t>>; Field::COUNT],
}

impl<'t> Fields<'t> {
    /// All members of an object.
    #[cfg(test)]
    pub(crate) fn of(record: Value<'t>) -> Self {
        let mut fields = Self::default();
        for (key, value) in record.members() {
            if let Some(field) = Field::of(&key) {
                fields.set(field, value);
            }
        }
        fields
    }

    #[inline]
    pub(crate) fn set(&mut self, field: Field, value: Value<'t>) {
        if let Some(slot) = self.values.get_mut(field as usize) {
            *slot = Some(value);
        }
    }

    #[inline]
    fn get(&self, field: Field) -> Option<Value<'t>> {
        self.values.get(field as usize).copied().flatten()
    }

    #[inline]
    fn text(&self, field: Field) -> Cow<'t, str> {
        self.get(field).map(Value::lenient).unwrap_or_default()
    }

    #[inline]
    fn flag(&self, field: Field) -> Option<bool> {
        self.get(field).and_then(Value::boolean)
    }

    /// None where null.
    #[inline]
    fn some(&self, field: Field) -> Option<Value<'t>> {
        self.get(field).filter(|value| !value.is_null())
    }

    fn details(&self) -> Option<Value<'t>> {
        self.get(Field::ServiceDetails).or(self.get(Field::InsightDetails))
    }
}

/// The version of TLS that `tlsDetails` tells.
pub(crate) fn tls_version(details: Value<'_>) -> Cow<'_, str> {
    details.get("tlsVersion").map(Value::lenient).unwrap_or_default()
}

/// What names a call.
struct Call<'t> {
    time: Option<Value<'t>>,
    source: Cow<'t, str>,
    name: Cow<'t, str>,
    category: Cow<'t, str>,
    event_type: Cow<'t, str>,
}

impl<'t> Call<'t> {
    /// With what records of other kinds say elsewhere.
    fn of(fields: &Fields<'t>) -> Self {
        let text = |field| fields.text(field);
        let (source, name) = (text(Field::Source), text(Field::Name));
        let (category, event_type) = (text(Field::Category), text(Field::Type));
        let mut call = Self { time: fields.get(Field::Time), source, name, category, event_type };
        // Aggregated records count calls over a window and name none ("CloudTrail record contents for aggregated
        // events"): they are measurements, told apart like Insights.
        if call.category == "Aggregated" {
            call.time = call.time.or_else(|| fields.get(Field::Window).and_then(|w| w.get("windowStart")));
            if call.name.is_empty() {
                call.name = call.event_type.clone();
            }
        }
        // Insights records name the measured call inside `insightDetails` ("CloudTrail record contents for Insights
        // events for trails").
        if call.category == "Insight" || call.event_type == "AwsCloudTrailInsight" {
            let detail = |key: &str| fields.details().and_then(|d| d.get(key)).map(Value::lenient).unwrap_or_default();
            if call.source.is_empty() {
                call.source = detail("eventSource");
            }
            if call.name.is_empty() {
                call.name = detail("eventName");
            }
        }
        call
    }
}

/// A record, normalised, over the text that it was parsed from. [`Record::to_event`] owns it.
pub(crate) struct Record<'t> {
    /// Empty where the record has none.
    pub id: Cow<'t, str>,
    pub time: Timestamp,
    pub source: Cow<'t, str>,
    pub name: Cow<'t, str>,
    pub region: Cow<'t, str>,
    pub category: EventCategory,
    pub event_type: Cow<'t, str>,
    pub read_only: Option<bool>,
    pub variant: CallVariant,
    pub resources: Vec<Named<'t>>,
    pub outcome: Outcome,
    pub error_code: Cow<'t, str>,
    pub error_message: Cow<'t, str>,
    pub recipient_account: Cow<'t, str>,
    pub shared_id: Cow<'t, str>,
    pub request_id: Cow<'t, str>,
    pub source_ip: Cow<'t, str>,
    pub user_agent: Cow<'t, str>,
    pub vpc_endpoint: Cow<'t, str>,
    /// `tlsDetails`; see [`tls_version`].
    pub tls: Option<Value<'t>>,
    pub from_console: bool,
    /// None where null, as the next three.
    pub request: Option<Value<'t>>,
    pub response: Option<Value<'t>>,
    pub additional: Option<Value<'t>>,
    pub service_details: Option<Value<'t>>,
}

/// Normalises a record by its members. `carried` says what its form carries of it, `owner` tells the account of its
/// identity, for records that do not say whose they are.
///
/// # Errors
/// Why the record cannot be placed at all: lower case, naming the field and what was expected.
pub(crate) fn normalise<'t>(
    fields: &Fields<'t>,
    carried: Carried,
    owner: &dyn Fn() -> String,
) -> Result<Record<'t>, String> {
    let call = Call::of(fields);
    if call.source.is_empty() && call.name.is_empty() {
        return Err("not a CloudTrail record: it has neither eventSource nor eventName".to_owned());
    }
    for (name, text) in [("eventSource", &call.source), ("eventName", &call.name)] {
        if text.is_empty() {
            return Err(format!("the record has no {name}"));
        }
    }
    let time = time(call.time)?;
    let text = |field| fields.text(field);
    let account = [Field::Recipient, Field::Account].into_iter().map(text).find(|text| !text.is_empty());
    let account = account.unwrap_or_else(|| Cow::Owned(owner()));
    let (region, error_code, error_message) = (text(Field::Region), text(Field::ErrorCode), text(Field::ErrorMessage));
    let request = fields.some(Field::Request);
    let recorded = fields.get(Field::Resources);
    // The record of a call that was delivered before, with more in it: a call of its own for nobody. Where the first is not in
    // hand it is all there is. Source: "CloudTrail record contents" (`addendum`).
    let outcome = match is_update(fields) {
        true => Outcome::Unknown,
        false => outcome_of(&call, fields, &error_code, &error_message, carried),
    };
    let mut variant = match request {
        _ if !carried.request => CallVariant::unknown(),
        request => request.map(variant).unwrap_or_default(),
    };
    if outcome == Outcome::Denied {
        outcome::refused(&error_message).unwrap_or_default().clone_into(&mut variant.refused);
    }
    Ok(Record {
        time,
        category: category(&call, fields, carried),
        outcome,
        variant,
        resources: resources::resources(&call.source, &call.name, &region, &account, recorded, request),
        request,
        response: fields.some(Field::Response),
        additional: fields.some(Field::Additional),
        service_details: fields.details().filter(|value| !value.is_null()),
        id: fields.get(Field::Id).or(fields.get(Field::IdInLowerCase)).map(Value::lenient).unwrap_or_default(),
        source: call.source,
        name: call.name,
        region,
        event_type: call.event_type,
        read_only: fields.flag(Field::ReadOnly),
        error_code,
        error_message,
        recipient_account: account,
        shared_id: text(Field::Shared),
        request_id: text(Field::RequestId),
        source_ip: text(Field::SourceIp),
        user_agent: text(Field::UserAgent),
        vpc_endpoint: text(Field::Endpoint),
        tls: fields.get(Field::Tls),
        from_console: fields.flag(Field::Console) == Some(true),
    })
}

/// Whether a record tells more of a call that was recorded before.
fn is_update(fields: &Fields<'_>) -> bool {
    let reason = fields.some(Field::Addendum).and_then(|addendum| addendum.get("reason"));
    reason.and_then(Value::text).is_some_and(|reason| reason == "UPDATED_DATA")
}

/// What became of the call.
fn outcome_of(call: &Call<'_>, fields: &Fields<'_>, code: &str, message: &str, carried: Carried) -> Outcome {
    // Sign-in events say success or failure under their own name: `"ConsoleLogin": "Failure"`.
    let sign_in = fields.get(Field::Response).filter(|_| call.source == "signin.amazonaws.com");
    let sign_in = sign_in.and_then(|r| r.get(&call.name)).and_then(Value::text);
    // A sign-in always says how it went, and nothing else says it.
    let silent = call.name == "ConsoleLogin" && call.source == "signin.amazonaws.com" || !carried.error_code;
    match (&sign_in, code.is_empty() && silent) {
        (None, true) => Outcome::Unknown,
        _ => outcome::classify(&call.source, &call.name, code, message, sign_in.as_deref()),
    }
}

#[cfg(test)]
impl Record<'_> {
    /// The record as an event of its own, with its identity: what the tests of normalisation look at.
    pub(crate) fn to_event(&self, identity: Identity) -> Event {
        let own = |text: &Cow<'_, str>| text.clone().into_owned();
        let raw = |value: Option<Value<'_>>| value.map(Value::raw).unwrap_or_default().to_owned();
        Event {
            id: Some(own(&self.id)).filter(|id| !id.is_empty()),
            time: self.time,
            source: own(&self.source),
            name: own(&self.name),
            region: own(&self.region),
            category: self.category,
            event_type: own(&self.event_type),
            read_only: self.read_only,
            identity,
            variant: self.variant.clone(),
            resources: self.resources.iter().map(Named::to_resource).collect(),
            outcome: self.outcome,
            error_code: own(&self.error_code),
            error_message: own(&self.error_message),
            recipient_account: own(&self.recipient_account),
            shared_id: own(&self.shared_id),
            request_id: own(&self.request_id),
            source_ip: own(&self.source_ip),
            user_agent: own(&self.user_agent),
            vpc_endpoint: own(&self.vpc_endpoint),
            tls_version: self.tls.map(tls_version).map(|text| own(&text)).unwrap_or_default(),
            from_console: self.from_console,
            request: raw(self.request),
            response: raw(self.response),
            additional: raw(self.additional),
            service_details: raw(self.service_details),
        }
    }
}

/// The category. Records of event versions before 1.07 do not say it; of others that do not, only what is known of the
/// event tells.
fn category(call: &Call<'_>, fields: &Fields<'_>, carried: Carried) -> EventCategory {
    match (call.category.as_ref(), call.event_type.as_ref(), fields.flag(Field::Management)) {
        ("Insight" | "Aggregated", _, _) | (_, "AwsCloudTrailInsight" | "AwsAggregatedEvent", _) => {
            EventCategory::Insight
        }
        ("NetworkActivity", _, _) | ("", "AwsVpceEvent", _) => EventCategory::NetworkActivity,
        ("Data", _, _) | ("", _, Some(false)) => EventCategory::Data,
        ("Management", _, _) | ("", _, Some(true)) | ("", "AwsConsoleSignIn" | "AwsConsoleAction", _) => {
            EventCategory::Management
        }
        _ if !carried.category || !is_old(&fields.text(Field::Version)) => recorded_as(&call.source, &call.name),
        _ => {
            // Before `managementEvent` existed only S3 objects and Lambda invocations were data events.
            let object = |value: Value<'_>| {
                value.elements().any(|r| r.get("type").and_then(Value::text).as_deref() == Some("AWS::S3::Object"))
            };
            let data = call.source == "s3.amazonaws.com" && fields.get(Field::Resources).is_some_and(object)
                || call.source == "lambda.amazonaws.com" && call.name == "Invoke";
            if data { EventCategory::Data } else { EventCategory::Management }
        }
    }
}

/// Whether a record's version is one of before 1.07, which added `eventCategory`. Source: "CloudTrail record contents".
fn is_old(version: &str) -> bool {
    let (major, minor) = version.split_once('.').unwrap_or((version, ""));
    major == "1" && minor.parse::<u8>().is_ok_and(|minor| minor < 7)
}

fn time(value: Option<Value<'_>>) -> Result<Timestamp, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Err("the record has no eventTime".to_owned());
    };
    let text = value.lenient();
    instant(&text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!("eventTime `{shown}` is not a time; expected RFC 3339")
    })
}

/// A time in any form that records and exports have.
fn instant(text: &str) -> Option<Timestamp> {
    let general = || text.parse().ok();
    // Exports through other tools write `2022-09-15 13:45:24`: CloudTrail's times are UTC, so that is what is meant.
    let zoneless = || format!("{}Z", text.trim()).parse().ok();
    plain_time(text.as_bytes()).or_else(general).or_else(zoneless)
}

/// `2023-07-10T11:42:24Z`, as CloudTrail writes it, without a general parser.
fn plain_time(text: &[u8]) -> Option<Timestamp> {
    let &[y0, y1, y2, y3, b'-', o0, o1, b'-', d0, d1, b'T', h0, h1, b':', m0, m1, b':', s0, s1, b'Z'] = text else {
        return None;
    };
    let number =
        |digits: &[u8]| digits.iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')));
    let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[o0, o1])?, number(&[d0, d1])?);
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[m0, m1])?, number(&[s0, s1])?);
    // Odd dates and leap seconds are left to the general parser.
    if !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days from civil: March-based years make the month lengths a line.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Timestamp::from_seconds(days * 86_400 + hour * 3600 + minute * 60 + second))
}

/// The `userIdentity` of a record.
pub(crate) fn identity(value: Value<'_>) -> Identity {
    let mut out = Identity::default();
    if value.kind() != Kind::Object {
        // Hand-made records put a bare text here.
        let text = value.lenient().into_owned();
        if text.starts_with("arn:") {
            out.arn = text;
        } else {
            out.user_name = text;
        }
        return out;
    }
    for (key, member) in value.members() {
        let text = || member.lenient().into_owned();
        match key.as_ref() {
            "type" => out.kind = text(),
            "principalId" => out.principal_id = text(),
            "arn" => out.arn = text(),
            "accountId" => out.account = text(),
            "accessKeyId" => out.access_key = text(),
            "userName" => out.user_name = text(),
            "invokedBy" => out.invoked_by = text(),
            "identityProvider" if out.provider.is_empty() => out.provider = text(),
            "onBehalfOf" => {
                out.on_behalf_of = member.get("userId").map(|v| v.lenient().into_owned()).unwrap_or_default();
                out.identity_store =
                    member.get("identityStoreArn").map(|v| v.lenient().into_owned()).unwrap_or_default();
            }
            "sessionContext" => session(member, &mut out),
            _ => {}
        }
    }
    out
}

fn session(value: Value<'_>, out: &mut Identity) {
    for (key, member) in value.members() {
        match key.as_ref() {
            "sessionIssuer" => {
                for (key, field) in member.members() {
                    let text = field.lenient().into_owned();
                    match key.as_ref() {
                        "type" => out.issuer_kind = text,
                        "arn" => out.issuer_arn = text,
                        "principalId" => out.issuer_id = text,
                        _ => {}
                    }
                }
            }
            "attributes" => {
                out.mfa = member.get("mfaAuthenticated").and_then(Value::boolean);
                // Forms write the same time in several ways, and a session has one.
                out.created = match member.get("creationDate").map(Value::lenient) {
                    Some(text) => instant(&text).map_or_else(|| text.clone().into_owned(), |at| at.to_string()),
                    None => String::new(),
                };
            }
            "sourceIdentity" => out.source_identity = member.lenient().into_owned(),
            "assumedRoot" => out.assumed_root = member.boolean() == Some(true),
            "webIdFederationData" => {
                if let Some(provider) = member.get("federatedProvider").filter(|p| !p.is_null()) {
                    out.provider = provider.lenient().into_owned();
                }
            }
            _ => {}
        }
    }
}

/// Names under which requests carry tags to be set on what they create.
fn is_tags(key: &str) -> bool {
    ["tags", "tagset", "taglist", "tagslist", "tagging", "tagspecificationset", "tagspecifications", "x-amz-tagging"]
        .iter()
        .any(|name| key.eq_ignore_ascii_case(name))
}

fn is_empty(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Null => true,
        Kind::Text | Kind::Escaped => value.text().is_some_and(|text| text.is_empty()),
        Kind::Array => value.elements().next().is_none(),
        Kind::Object => value.members().all(|(_, member)| is_empty(member)),
        _ => false,
    }
}

fn variant(request: Value<'_>) -> CallVariant {
    let mut out = CallVariant::default();
    for (key, value) in request.members() {
        if key.eq_ignore_ascii_case("versionId") && !is_empty(value) {
            out.version_id = true;
        } else if is_tags(&key) && !is_empty(value) {
            out.tags = true;
        }
    }
    if may_speak_of_roles(request.raw()) {
        roles(request, &mut String::new(), false, &mut out.roles);
        out.roles.sort();
        out.roles.dedup();
    }
    out
}

/// Whether a text may hold `role` or `profile` in any case, or hides letters behind escapes: all that [`roles`]
/// looks for has one of these. Most requests have none, and walking them costs more than this.
fn may_speak_of_roles(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is =
        |at: Option<usize>, want: u8| at.and_then(|at| bytes.get(at)).is_some_and(|b| b.eq_ignore_ascii_case(&want));
    memchr::memchr2_iter(b'l', b'L', bytes)
        .any(|at| is(at.checked_add(1), b'e') && (is(at.checked_sub(1), b'o') || is(at.checked_sub(1), b'i')))
        || memchr::memmem::find(bytes, b"\\u").is_some()
}

/// Gathers texts below a key that speaks of a role or an instance profile. Session names are left out: they are
/// no role, and a new one each time.
fn roles(value: Value<'_>, path: &mut String, speaks: bool, out: &mut Vec<(String, String)>) {
    for (key, member) in value.members() {
        let before = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.extend(key.chars().map(|c| c.to_ascii_lowercase()));
        let own = path.get(before..).unwrap_or("");
        if !own.ends_with("rolesessionname") {
            let speaks = speaks || own.contains("role") || own.contains("instanceprofile");
            leaf(member, path, speaks, out);
        }
        path.truncate(before);
    }
}

fn leaf(value: Value<'_>, path: &mut String, speaks: bool, out: &mut Vec<(String, String)>) {
    match value.kind() {
        Kind::Object => roles(value, path, speaks, out),
        Kind::Array => value.elements().for_each(|element| leaf(element, path, speaks, out)),
        Kind::Text if out.len() < MAX_ROLES => {
            // Names and ARNs have neither blanks nor braces; policy documents (also as escaped text) are no role.
            let text = value.text().unwrap_or_default();
            let plain = !text.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '<' | '"'));
            // A role's ARN is one wherever it stands (`DeliverLogsPermissionArn`, API Gateway's `credentials`).
            let role = speaks || (text.starts_with("arn:") && text.contains(":role/"));
            if role && plain && !text.is_empty() && text.len() <= MAX_ROLE_BYTES {
                out.push((path.clone(), text.into_owned()));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
