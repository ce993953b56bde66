//! Records: one session makes one call at one time, and CloudTrail writes it down.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::DemoError;
use super::calls::{Call, Ending, Slots, error_of, resources_of};
use super::rng::{Rng, unique_id};
use super::world::World;
use crate::model::time::Timestamp;

/// One CloudTrail record and where it is delivered.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub time: Timestamp,
    /// Account id in whose logs it stands.
    pub account: String,
    pub region: String,
    pub id: String,
    /// Delivered a second time in another file.
    pub twice: bool,
    /// The record as JSON text: a tree of each would cost several times the memory and time.
    pub body: String,
}

/// Credentials at work.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Alias of the account.
    pub account: String,
    /// `userIdentity`.
    pub identity: Map<String, Value>,
    /// ARN as AWS names the caller in a denial.
    pub arn: String,
    /// ARN of the role or user behind it.
    pub holder: String,
    /// Session or user name.
    pub name: String,
    pub address: String,
    pub agent: String,
    /// The service behind it where the session belongs to a service-linked role.
    pub service: Option<String>,
    /// Session calls are marked as made from the console.
    pub console: bool,
}

/// When and where a principal was last seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub time: Timestamp,
    pub region: String,
    pub service: String,
}

/// The parts of a record that differ from call to call.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub source: String,
    pub name: String,
    pub region: String,
    pub read_only: bool,
    pub request: Value,
    pub response: Value,
    pub extra: Value,
    pub resources: Value,
    pub error: Option<(String, String)>,
    pub event_type: &'static str,
    pub data: bool,
    pub shared: Option<String>,
    /// Calls that leave a service for its caller have no TLS details.
    pub from_service: bool,
    pub console: bool,
}

/// Collects records and remembers who was last seen when.
#[derive(Debug)]
pub(super) struct Emitter<'w> {
    pub world: &'w World,
    pub rng: Rng,
    pub records: Vec<Record>,
    /// By role ARN, user ARN, and `key <access key id>`.
    pub seen: BTreeMap<String, Seen>,
    end: Timestamp,
}

impl<'w> Emitter<'w> {
    pub fn new(world: &'w World, rng: Rng, end: Timestamp) -> Self {
        Self { world, rng, records: Vec::new(), seen: BTreeMap::new(), end }
    }

    /// Whether the logs of that account, region and time are lost.
    pub fn in_gap(&self, account: &str, region: &str, time: Timestamp) -> bool {
        let gap = &self.world.org.gap;
        let days_ago = self.end.plus_seconds(-1).day().0 - time.day().0 + 1;
        gap.account == account
            && gap.region == region
            && (gap.to_days_ago..=gap.from_days_ago).contains(&i64::from(days_ago))
    }

    /// Notes that a principal was active; the newest time stays.
    pub fn see(&mut self, who: &str, time: Timestamp, region: &str, service: &str) {
        let seen = Seen { time, region: region.to_owned(), service: service.to_owned() };
        let entry = self.seen.entry(who.to_owned()).or_insert_with(|| seen.clone());
        if entry.time < time {
            *entry = seen;
        }
    }

    /// Makes a call and notes who was seen making it.
    pub fn call(
        &mut self,
        session: &Session,
        call: &Call<'_>,
        time: Timestamp,
        region: &str,
        twice: bool,
    ) -> Result<(), DemoError> {
        let region = if call.template.global { "us-east-1" } else { region };
        let account = self.world.account(&session.account)?.to_owned();
        let management = self.world.account(&self.world.org.management)?.to_owned();
        let date = time.day().to_string();
        let slots = Slots {
            arguments: &call.arguments,
            account: &account,
            management: &management,
            region,
            date: &date,
            user: &session.name,
        };
        let template = call.template;
        let arn = template.arn.as_ref().map_or_else(|| "*".to_owned(), |arn| slots.fill(arn, &mut self.rng));
        let bucket = template.bucket.as_ref().map(|bucket| slots.fill(bucket, &mut self.rng));
        let error = error_of(call, &session.arn, &arn);
        let response = if error.is_some() { Value::Null } else { slots.fill_json(&template.response, &mut self.rng) };
        let mut identity = session.identity.clone();
        let service = call.invoked_by.map(str::to_owned).or_else(|| session.service.clone());
        if let Some(service) = &service {
            identity.insert("invokedBy".to_owned(), json!(service));
        }
        let parts = Parts {
            source: format!("{}.amazonaws.com", call.service()),
            name: call.event_name().to_owned(),
            region: region.to_owned(),
            read_only: template.read,
            request: slots.fill_json(&template.request, &mut self.rng),
            response,
            extra: slots.fill_json(&template.extra, &mut self.rng),
            resources: resources_of(call, &arn, bucket.as_deref(), &account),
            error,
            event_type: "AwsApiCall",
            data: template.data,
            shared: None,
            from_service: service.is_some(),
            console: session.console && call.ending != Ending::Throttled,
        };
        let (address, agent) = match &service {
            Some(service) => (service.clone(), service.clone()),
            None => (session.address.clone(), session.agent.clone()),
        };
        self.see(&session.holder, time, region, call.service());
        if let Some(Value::String(key)) = session.identity.get("accessKeyId") {
            let key = format!("key {key}");
            self.see(&key, time, region, call.service());
        }
        let alias = session.account.clone();
        self.record(&alias, identity, (&address, &agent), time, parts, twice)
    }

    /// Writes one record into the logs of an account, unless they are lost.
    pub fn record(
        &mut self,
        account: &str,
        identity: Map<String, Value>,
        (address, agent): (&str, &str),
        time: Timestamp,
        parts: Parts,
        twice: bool,
    ) -> Result<(), DemoError> {
        // Ids are drawn also for lost records: the gap must not change anything else.
        let (request_id, event_id) = (self.rng.uuid(), self.rng.uuid());
        if self.in_gap(account, &parts.region, time) {
            return Ok(());
        }
        let account_id = self.world.account(account)?.to_owned();
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("eventVersion", json!(if parts.data { "1.11" } else { version_of(time) }));
        put("userIdentity", Value::Object(identity));
        put("eventTime", json!(time));
        put("eventSource", json!(parts.source));
        put("eventName", json!(parts.name));
        put("awsRegion", json!(parts.region));
        put("sourceIPAddress", json!(address));
        put("userAgent", json!(agent));
        if let Some((code, message)) = parts.error {
            // A failed sign-in has a message only.
            if !code.is_empty() {
                put("errorCode", json!(code));
            }
            put("errorMessage", json!(message));
        }
        put("requestParameters", parts.request);
        put("responseElements", parts.response);
        if !parts.extra.is_null() {
            put("additionalEventData", parts.extra);
        }
        if parts.event_type != "AwsConsoleSignIn" {
            put("requestID", json!(request_id));
        }
        put("eventID", json!(event_id));
        put("readOnly", json!(parts.read_only));
        if !parts.resources.is_null() {
            put("resources", parts.resources);
        }
        put("eventType", json!(parts.event_type));
        put("managementEvent", json!(!parts.data));
        put("recipientAccountId", json!(account_id));
        if let Some(shared) = parts.shared {
            put("sharedEventID", json!(shared));
        }
        put("eventCategory", json!(if parts.data { "Data" } else { "Management" }));
        if !parts.from_service && parts.event_type != "AwsServiceEvent" {
            let host = parts.source.replace(".amazonaws.com", &format!(".{}.amazonaws.com", parts.region));
            put(
                "tlsDetails",
                json!({"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": host}),
            );
        }
        if parts.console {
            put("sessionCredentialFromConsole", json!("true"));
        }
        self.records.push(Record {
            time,
            account: account_id,
            region: parts.region,
            id: event_id,
            twice,
            body: Value::Object(body).to_string(),
        });
        Ok(())
    }
}

/// Record versions as AWS rolled them out; the demo only needs that several occur.
fn version_of(time: Timestamp) -> &'static str {
    match time.day().0 % 4 {
        0 => "1.08",
        1 => "1.09",
        2 => "1.10",
        _ => "1.11",
    }
}

/// The unique id of a role.
pub(super) fn role_id(account: &str, role: &str) -> String {
    unique_id("AROA", &format!("{account}/{role}"))
}
