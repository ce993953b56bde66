//! The last scan as tables. Lists are JSON text, as in the lake.

use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, appender_params_from_iter};
use hashbrown::HashMap;

use crate::compare::assessment::{Assessment, Nature, PrincipalFacts, PrincipalKind, VerdictCounts};
use crate::model::finding::Finding;
use crate::model::time::{Day, Timestamp};

/// Calls of one principal and person with one IAM action on one day: usage with its meaning joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActivityRow<'a> {
    /// ARN of the principal, with path.
    pub principal: &'a str,
    /// The person; empty where none or not known.
    pub person: &'a str,
    /// IAM action, such as `s3:GetObject`.
    pub action: &'a str,
    /// Resource; empty where the records name none.
    pub resource: &'a str,
    /// Account in whose logs it stands.
    pub account: &'a str,
    /// Region.
    pub region: &'a str,
    /// UTC day.
    pub day: Day,
    /// Authorised calls.
    pub count: u64,
    /// Denied calls.
    pub denied: u64,
}

/// Hands over every row of activity: there may be millions.
pub type ActivityRows<'a> = &'a dyn Fn(&mut dyn FnMut(ActivityRow<'_>));

/// A stretch of an input that was set aside because it could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineRow {
    /// The file.
    pub file: String,
    /// Byte offset within the decompressed file.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// Why.
    pub reason: String,
}

/// Who stands behind a session, with the way that leads there. Times and events stand in the texts of the hops.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributionRow {
    /// Key of the session, as in the lake's views.
    pub session: u64,
    /// Kind of actor.
    pub kind: String,
    /// ARN of its principal, with path.
    pub principal: String,
    /// Account that owns the principal.
    pub account: String,
    /// Role session name; empty for others.
    pub session_name: String,
    /// The key that signed; empty where not recorded.
    pub access_key: String,
    /// The person; empty where none or not known.
    pub person: String,
    /// What that rests on.
    pub basis: String,
    /// A program, a pipeline or a service acts.
    pub machine: bool,
    /// The principal at the start of the chain.
    pub start: String,
    /// The calls through which the credentials came, the first one first, a text each.
    pub hops: Vec<String>,
    /// Why the start is not known, or not for certain, as a stable word; empty where it is.
    pub missing: String,
    /// The same in words.
    pub why: String,
}

/// What a session's tables are filled from.
#[derive(Clone, Copy)]
pub struct Tables<'a> {
    /// The assessment of the last scan.
    pub assessment: &'a Assessment,
    /// Its findings.
    pub findings: &'a [Finding],
    /// Activity in the window.
    pub activity: ActivityRows<'a>,
    /// What ingest set aside.
    pub quarantine: &'a [QuarantineRow],
    /// Who stands behind the sessions of the lake.
    pub attribution: &'a [AttributionRow],
}

const DEFINITIONS: &str = "
CREATE TABLE scan (as_of TIMESTAMP, window_from TIMESTAMP, window_to TIMESTAMP, generation BIGINT, snapshot VARCHAR,
  catalogue VARCHAR);
CREATE TABLE principals (arn VARCHAR, id VARCHAR, account VARCHAR, kind VARCHAR, nature VARCHAR, holders VARCHAR,
  users VARCHAR, created TIMESTAMP, break_glass BOOLEAN, administrator BOOLEAN, privileged BIGINT, active_days BIGINT,
  privileged_days BIGINT, last_activity TIMESTAMP, activity_observable BOOLEAN, unobservable_because VARCHAR,
  denied_calls BIGINT, granted BIGINT, used BIGINT, unused BIGINT, unused_low_confidence BIGINT, unobservable BIGINT,
  used_not_granted BIGINT);
CREATE TABLE services (principal VARCHAR, account VARCHAR, service VARCHAR, granted BIGINT, used BIGINT, unused BIGINT,
  unused_low_confidence BIGINT, unobservable BIGINT, used_not_granted BIGINT, unused_privileged VARCHAR,
  last_used TIMESTAMP);
CREATE TABLE credentials (account VARCHAR, user_name VARCHAR, arn VARCHAR, person VARCHAR, kind VARCHAR, active BOOLEAN,
  since TIMESTAMP, last_used TIMESTAMP, reported_at TIMESTAMP, mfa BOOLEAN, root BOOLEAN, console BOOLEAN);
CREATE TABLE findings (id VARCHAR, kind VARCHAR, severity VARCHAR, principal VARCHAR, person VARCHAR, account VARCHAR,
  title VARCHAR, state VARCHAR, confidence VARCHAR);
CREATE TABLE coverage_regions (account VARCHAR, region VARCHAR, days_covered BIGINT, days_missing BIGINT,
  hours_covered BIGINT, hours_total BIGINT, data_events BIGINT);
CREATE TABLE activity_texts (id INTEGER, text VARCHAR);
CREATE TABLE activity_rows (principal INTEGER, person INTEGER, action INTEGER, resource INTEGER, account INTEGER,
  region INTEGER, day INTEGER, count BIGINT, denied BIGINT);
CREATE VIEW activity AS SELECT p.text AS principal, q.text AS person, a.text AS action, s.text AS resource,
  c.text AS account, g.text AS region, d.text AS day, r.count, r.denied FROM activity_rows r
  JOIN activity_texts p ON p.id = r.principal JOIN activity_texts q ON q.id = r.person
  JOIN activity_texts a ON a.id = r.action JOIN activity_texts s ON s.id = r.resource
  JOIN activity_texts c ON c.id = r.account JOIN activity_texts g ON g.id = r.region
  JOIN activity_texts d ON d.id = r.day;
CREATE TABLE attribution (session UBIGINT, kind VARCHAR, principal VARCHAR, account VARCHAR, session_name VARCHAR,
  access_key VARCHAR, person VARCHAR, basis VARCHAR, machine BOOLEAN, start VARCHAR, hops VARCHAR, missing VARCHAR,
  why VARCHAR);
CREATE TABLE quarantine (file VARCHAR, byte_offset BIGINT, byte_length BIGINT, reason VARCHAR);
";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn count(number: u64) -> Value {
    Value::BigInt(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn time(at: Timestamp) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, at.micros())
}

fn maybe_time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, time)
}

fn list(texts: &[String]) -> Value {
    Value::Text(serde_json::Value::from(texts).to_string())
}

fn verdicts(counts: &VerdictCounts) -> impl Iterator<Item = Value> {
    let VerdictCounts { granted, used, unused, unused_low_confidence, unobservable, used_not_granted } = *counts;
    [granted, used, unused, unused_low_confidence, unobservable, used_not_granted].into_iter().map(count)
}

/// Stable text of a principal's kind, as in machine output.
const fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::Role => "role",
        PrincipalKind::IdentityCenterRole => "identity_center_role",
        PrincipalKind::ServiceLinkedRole => "service_linked_role",
        PrincipalKind::Root => "root",
    }
}

/// Stable text of who acts, as in machine output.
const fn nature(nature: Nature) -> &'static str {
    match nature {
        Nature::Human => "human",
        Nature::Machine => "machine",
        Nature::Mixed => "mixed",
        Nature::Unknown => "unknown",
    }
}

fn principal(facts: &PrincipalFacts) -> Vec<Value> {
    let users = facts.users.iter().filter(|user| !user.active_days.is_empty());
    let mut row = vec![
        text(&facts.arn),
        text(&facts.id),
        text(&facts.account.to_string()),
        text(kind(facts.kind)),
        text(nature(facts.nature)),
        list(&facts.holders),
        list(&users.map(|user| user.person.clone()).collect::<Vec<_>>()),
        maybe_time(facts.created),
        Value::Boolean(facts.break_glass),
        Value::Boolean(facts.administrator),
        count(facts.privileged.len() as u64),
        count(facts.active_days.len() as u64),
        count(facts.privileged_days.len() as u64),
        maybe_time(facts.last_activity),
        Value::Boolean(facts.activity_observable),
        list(&facts.unobservable_because),
        count(facts.denied_calls),
    ];
    row.extend(verdicts(&facts.counts));
    row
}

fn attribution(row: &AttributionRow) -> Vec<Value> {
    let mut values = vec![Value::UBigInt(row.session)];
    let before = [&row.kind, &row.principal, &row.account, &row.session_name, &row.access_key, &row.person, &row.basis];
    values.extend(before.into_iter().map(|field| text(field)));
    values.extend([Value::Boolean(row.machine), text(&row.start), list(&row.hops), text(&row.missing), text(&row.why)]);
    values
}

impl std::fmt::Debug for Tables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

/// Texts by number.
#[derive(Default)]
struct Numbers {
    texts: HashMap<String, i64>,
    days: HashMap<Day, i64>,
}

impl Numbers {
    fn number(&mut self, text: &str) -> i64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = self.texts.len() as i64;
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn day(&mut self, day: Day) -> i64 {
        if let Some(known) = self.days.get(&day) {
            return *known;
        }
        let number = self.number(&day.to_string());
        self.days.insert(day, number);
        number
    }
}

impl Tables<'_> {
    /// Makes and fills the tables.
    pub(super) fn fill(&self, connection: &Connection) -> duckdb::Result<()> {
        connection.execute_batch(DEFINITIONS)?;
        let a = self.assessment;
        let scan = vec![
            time(a.as_of),
            time(a.window.from),
            time(a.window.to),
            count(a.generation),
            text(&a.snapshot),
            text(&a.catalogue),
        ];
        append(connection, "scan", std::iter::once(scan))?;
        append(connection, "principals", a.principals.iter().map(principal))?;
        let services = a.principals.iter().flat_map(|facts| facts.services.iter().map(move |service| (facts, service)));
        append(
            connection,
            "services",
            services.map(|(facts, service)| {
                let mut row = vec![text(&facts.arn), text(&facts.account.to_string()), text(&service.service)];
                row.extend(verdicts(&service.counts));
                row.extend([list(&service.unused_privileged), maybe_time(service.last_used)]);
                row
            }),
        )?;
        self.fill_credentials(connection)?;
        append(
            connection,
            "findings",
            self.findings.iter().map(|finding| {
                vec![
                    text(&finding.id),
                    text(&finding.kind),
                    text(finding.severity.as_str()),
                    text(&finding.principal),
                    text(&finding.person),
                    text(&finding.account),
                    text(&finding.title),
                    text(finding.state.as_str()),
                    text(finding.confidence.as_str()),
                ]
            }),
        )?;
        append(
            connection,
            "coverage_regions",
            a.coverage.iter().map(|region| {
                vec![
                    text(&region.account),
                    text(&region.region),
                    count(region.days_covered),
                    count(region.days_missing.len() as u64),
                    count(region.hours_covered),
                    count(region.hours_total),
                    count(region.data_events),
                ]
            }),
        )?;
        self.fill_activity(connection)?;
        append(connection, "attribution", self.attribution.iter().map(attribution))?;
        append(
            connection,
            "quarantine",
            self.quarantine
                .iter()
                .map(|row| vec![text(&row.file), count(row.offset), count(row.length), text(&row.reason)]),
        )
    }

    /// Rows are numbers over a table of texts: as text, millions of them would not fit.
    fn fill_activity(&self, connection: &Connection) -> duckdb::Result<()> {
        let mut appender = connection.appender("activity_rows")?;
        let (mut texts, mut result) = (Numbers::default(), Ok(()));
        (self.activity)(&mut |row| {
            let ActivityRow { principal, person, action, resource, account, region, day, count, denied } = row;
            let day = texts.day(day);
            let [principal, person, action, resource, account, region] =
                [principal, person, action, resource, account, region].map(|text| texts.number(text));
            let [count, denied] = [count, denied].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
            if result.is_ok() {
                let row = [principal, person, action, resource, account, region, day, count, denied];
                result = appender.append_row(row);
            }
        });
        result?;
        appender.flush()?;
        drop(appender);
        let texts = texts.texts.iter().map(|(text, id)| vec![Value::BigInt(*id), self::text(text)]);
        append(connection, "activity_texts", texts)
    }

    fn fill_credentials(&self, connection: &Connection) -> duckdb::Result<()> {
        append(
            connection,
            "credentials",
            self.assessment.credentials.iter().map(|credential| {
                vec![
                    text(&credential.account.to_string()),
                    text(&credential.user),
                    text(&credential.arn),
                    text(&credential.person),
                    text(credential.kind.as_str()),
                    Value::Boolean(credential.active),
                    maybe_time(credential.since),
                    maybe_time(credential.last_used),
                    time(credential.reported_at),
                    Value::Boolean(credential.mfa),
                    Value::Boolean(credential.root),
                    Value::Boolean(credential.console),
                ]
            }),
        )
    }
}

fn append(connection: &Connection, table: &str, rows: impl Iterator<Item = Vec<Value>>) -> duckdb::Result<()> {
    let mut appender = connection.appender(table)?;
    for row in rows {
        appender.append_row(appender_params_from_iter(row))?;
    }
    appender.flush()
}
