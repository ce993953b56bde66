//! The forty grants: what was asked for and approved, as `ingest grants` reads it, and what was done under them.

use serde::Deserialize;
use serde_json::json;

use super::DemoError;
use super::script::moment;
use super::truth::{GrantTruth, GrantViolation};
use super::world::{World, fixture};
use crate::model::time::Timestamp;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    /// Minutes after the start of the grant; negative is before it.
    pub minute: i64,
    pub call: String,
    /// Another door than the grant's.
    #[serde(default)]
    pub through: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Violation {
    kind: String,
    count: u64,
    action: String,
    resource: String,
    note: String,
}

/// A grant as the fixture defines it. Times are relative to the end of the window.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub id: String,
    pub person: String,
    /// `sso:SET:ACCOUNT` or `role:ROLE:ACCOUNT`.
    pub through: String,
    start_days_ago: i64,
    start_at: String,
    hours: i64,
    requested_minutes_before: i64,
    /// Negative where it was approved after the start.
    approved_minutes_before: i64,
    revoked_minutes_after_end: i64,
    approver: String,
    ticket: String,
    emergency: bool,
    justification: String,
    actions: Vec<String>,
    resources: Vec<String>,
    pub acts: Vec<Act>,
    verdict: String,
    violations: Vec<Violation>,
}

/// Reads the fixture.
pub(super) fn load() -> Result<Vec<Grant>, DemoError> {
    fixture("grants.json", include_str!("../../fixtures/demo/grants.json"))
}

impl Grant {
    pub fn start(&self, end: Timestamp) -> Result<Timestamp, DemoError> {
        moment(end, self.start_days_ago, &self.start_at)
    }

    fn finish(&self, end: Timestamp) -> Result<Timestamp, DemoError> {
        Ok(self.start(end)?.plus_seconds(self.hours * 3_600))
    }

    /// The chain of sessions that opens a door.
    pub fn chain(&self, door: &str) -> Result<String, DemoError> {
        let (kind, name, account) = split(door)?;
        let person = &self.person;
        Ok(match kind {
            "sso" => format!("sso:{person}:{name}:{account}"),
            _ => format!("sso:{person}:DeveloperAccess:{account} > role:{account}:{name}:{}", self.id.to_lowercase()),
        })
    }

    /// The line of `grants.jsonl`.
    pub fn line(&self, world: &World, end: Timestamp) -> Result<String, DemoError> {
        let (_, name, account) = split(&self.through)?;
        let (start, finish) = (self.start(end)?, self.finish(end)?);
        let resources: Vec<String> = self.resources.iter().map(|text| world.resolve(text)).collect();
        let line = json!({
            "grant_id": self.id,
            "person": world.person(&self.person)?.email(),
            "principal": principal_arn(world, &self.through)?,
            "account": world.account(account)?,
            "capability": name,
            "requested_at": start.plus_seconds(-60 * self.requested_minutes_before),
            "approved_at": start.plus_seconds(-60 * self.approved_minutes_before),
            "approver": world.person(&self.approver)?.email(),
            "starts_at": start,
            "ends_at": finish,
            "revoked_at": finish.plus_seconds(60 * self.revoked_minutes_after_end),
            "justification": self.justification,
            "ticket": self.ticket,
            "emergency": self.emergency,
            "scope": {"actions": self.actions, "resources": resources},
            "source": "lantern-access-desk",
        });
        Ok(line.to_string())
    }

    /// What was planted about it.
    pub fn truth(&self, world: &World, end: Timestamp) -> Result<GrantTruth, DemoError> {
        let (start, finish) = (self.start(end)?, self.finish(end)?);
        let inside =
            |act: &&Act| act.through.is_none() && act.minute >= 0 && start.plus_seconds(act.minute * 60) < finish;
        Ok(GrantTruth {
            grant_id: self.id.clone(),
            person: world.person(&self.person)?.id.clone(),
            principal: principal_arn(world, &self.through)?,
            verdict: self.verdict.clone(),
            acts_inside: self.acts.iter().filter(inside).count() as u64,
            violations: self
                .violations
                .iter()
                .map(|violation| GrantViolation {
                    kind: violation.kind.clone(),
                    action: violation.action.clone(),
                    resource: world.resolve(&violation.resource),
                    count: violation.count,
                    note: violation.note.clone(),
                })
                .collect(),
        })
    }
}

fn split(door: &str) -> Result<(&str, &str, &str), DemoError> {
    let mut words = door.split(':');
    match (words.next(), words.next(), words.next()) {
        (Some(kind), Some(name), Some(account)) => Ok((kind, name, account)),
        _ => Err(DemoError::unknown("door", door)),
    }
}

fn principal_arn(world: &World, door: &str) -> Result<String, DemoError> {
    let (kind, name, account) = split(door)?;
    match kind {
        "sso" => world.principal_arn(&format!("sso:{name}:{account}")),
        _ => world.principal_arn(&format!("role:{account}:{name}")),
    }
}
