//! The planted truth, typed: one entry for every fact that jitscan must find, or must not claim.

use serde::{Deserialize, Serialize};

use super::DemoError;
use super::world::{World, fixture};
use crate::model::time::{Day, Timestamp};

/// All planted facts. It does not depend on the seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// End of the window, excluded.
    pub as_of: Timestamp,
    /// Days of the window.
    pub days: u32,
    /// Accounts with IAM data and logs, as (alias, id).
    pub accounts: Vec<(String, String)>,
    /// The management account's id; it has no logs and no IAM data here.
    pub management_account: String,
    /// Regions with logs.
    pub regions: Vec<String>,
    /// The days without logs.
    pub gap: LogGap,
    /// ARN of the bucket with data events.
    pub data_event_bucket: String,
    /// ARNs of break-glass principals.
    pub break_glass: Vec<String>,
    /// Facts by id.
    pub facts: Vec<Fact>,
    /// Grants by id.
    pub grants: Vec<GrantTruth>,
}

/// The days without logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogGap {
    /// Account id.
    pub account: String,
    /// Region.
    pub region: String,
    /// First day without logs.
    pub first: Day,
    /// Last day without logs.
    pub last: Day,
}

/// A planted fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// `F01`, …, as in `fixtures/README.md`.
    pub id: String,
    /// What sort of fact, such as `used_permission`.
    pub kind: String,
    /// One line for people.
    pub title: String,
    /// ARN of the IAM principal (role with path, user, root); empty where the fact is that there is none.
    pub principal: String,
    /// Roster id of the person behind it; empty where none.
    pub person: String,
    /// Account id.
    pub account: String,
    /// IAM actions (`signin:ConsoleLogin` and `kms:RotateKey` stand for events that are no IAM action).
    pub actions: Vec<String>,
    /// Resource ARN, or its beginning; empty means any.
    pub resource: String,
    /// Region; empty means any.
    pub region: String,
    /// Authorised calls of these actions on this resource by this principal (and person, where there is one).
    pub count: u64,
    /// Denied calls.
    pub denied: u64,
    /// Calls that authorisation never looked at: throttled, failed sign-ins.
    pub not_evaluated: u64,
    /// Days with an authorised call.
    pub active_days: u64,
    /// Day of the first authorised call.
    pub first: Option<Day>,
    /// Day of the last.
    pub last: Option<Day>,
    /// Expected verdict: `used`, `unused`, `unobservable`, `used but not granted`, `not granted` (no entitlement at
    /// all after all layers), or empty where the fact is not about a permission.
    pub verdict: String,
    /// Expected finding in words; empty where none is expected.
    pub finding: String,
    /// What jitscan must say, in words.
    pub expected: String,
    /// What `recommend` must say of it.
    pub advice: Vec<PlantedAdvice>,
}

/// What `recommend` must say about a capability of the fact's principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedAdvice {
    /// Roster id of the holder; empty for programs.
    pub person: String,
    /// The beginning of its name, such as `write rds`.
    pub capability: String,
    /// `remove`, `convert_to_jit`, `shrink`, `decide_later` or `keep_standing`.
    pub advice: String,
    /// Requests that just-in-time would have cost in the window; none where the noise decides.
    pub requests: Option<u64>,
}

/// What was planted about a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantTruth {
    /// `G01`, ….
    pub grant_id: String,
    /// Roster id.
    pub person: String,
    /// ARN of the role that it is used through.
    pub principal: String,
    /// `clean`, `violated` or `unused`.
    pub verdict: String,
    /// Calls made through it within its window, denied ones included.
    pub acts_inside: u64,
    /// What is wrong with it.
    pub violations: Vec<GrantViolation>,
}

/// A planted violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantViolation {
    /// `out_of_scope_action`, `out_of_scope_resource`, `use_after_end`, `use_before_start`, `missing_ticket`,
    /// `self_approval`, `approved_after_start`, `late_revocation`, `denied_attempt`, `other_account`,
    /// `privilege_escalation`, `window_too_long`, `unused_grant`.
    pub kind: String,
    /// IAM action; empty where the violation is not a call.
    pub action: String,
    /// Resource ARN; empty where none.
    pub resource: String,
    /// How many calls, or 1.
    pub count: u64,
    /// In words.
    pub note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactFixture {
    id: String,
    kind: String,
    title: String,
    principal: String,
    person: String,
    account: String,
    actions: Vec<String>,
    resource: String,
    region: String,
    count: u64,
    denied: u64,
    not_evaluated: u64,
    active_days: u64,
    first_days_ago: Option<i64>,
    last_days_ago: Option<i64>,
    verdict: String,
    finding: String,
    expected: String,
    #[serde(default)]
    advice: Vec<PlantedAdvice>,
}

/// The facts of the fixture with ids and dates filled in.
pub(super) fn facts(world: &World, end: Timestamp) -> Result<Vec<Fact>, DemoError> {
    let fixtures: Vec<FactFixture> = fixture("facts.json", include_str!("../../fixtures/demo/facts.json"))?;
    let day = |ago: Option<i64>| ago.map(|ago| end.plus_days(-ago).day());
    fixtures
        .into_iter()
        .map(|fact| {
            Ok(Fact {
                principal: world.principal_arn(&fact.principal)?,
                account: world.account(&fact.account)?.to_owned(),
                resource: world.resolve(&fact.resource),
                first: day(fact.first_days_ago),
                last: day(fact.last_days_ago),
                id: fact.id,
                kind: fact.kind,
                title: fact.title,
                person: fact.person,
                actions: fact.actions,
                region: fact.region,
                count: fact.count,
                denied: fact.denied,
                not_evaluated: fact.not_evaluated,
                active_days: fact.active_days,
                verdict: fact.verdict,
                finding: fact.finding,
                expected: fact.expected,
                advice: fact.advice,
            })
        })
        .collect()
}
