//! What principals and people did: the usage fold, joined with who stands behind its sessions and which IAM actions
//! stand behind its calls. Joined when read, so that a better catalogue or a late record changes the answer without
//! reading the logs again.

mod join;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::catalog::{ActionId, Need};
use crate::model::event::Outcome;
use crate::model::time::{Day, Slot, Timestamp};

use super::fold::UsageFact;
use super::kinds::Kinds;

pub use join::Join;

/// A principal as the logs name it: the same ARN with another unique id is another principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalKey {
    /// ARN.
    pub arn: Arc<str>,
    /// Unique id; empty where not recorded.
    pub id: Arc<str>,
}

/// Key of a row of activity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivityKey {
    /// Who, as a principal.
    pub principal: PrincipalKey,
    /// The person; empty where not known, and for calls that a service made on the principal's behalf.
    pub person: Arc<str>,
    /// The person to whom nothing but the name of the session leads; empty where there is none.
    pub likely: Arc<str>,
    /// The IAM action.
    pub action: ActionId,
    /// The main resource; empty where the record names none.
    pub resource: Arc<str>,
    /// The account in whose logs the call stands.
    pub account: Arc<str>,
    /// Region.
    pub region: Arc<str>,
}

/// Day → (authorised calls, denied calls), in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByDay(Vec<(Day, (u64, u64))>);

impl ByDay {
    fn add(&mut self, day: Day, authorised: u64, denied: u64) {
        // Logs are read day by day.
        let at = match self.0.last() {
            Some((last, _)) if *last < day => Err(self.0.len()),
            _ => self.0.binary_search_by_key(&day, |(day, _)| *day),
        };
        match at.map(|at| self.0.get_mut(at)) {
            Ok(Some((_, both))) => *both = (both.0 + authorised, both.1 + denied),
            Ok(None) => {}
            Err(at) => self.0.insert(at, (day, (authorised, denied))),
        }
    }

    /// The days, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(Day, (u64, u64))> {
        self.0.iter()
    }

    /// Whether one of the days is there.
    #[must_use]
    pub fn any_of(&self, days: &RangeInclusive<Day>) -> bool {
        let at = self.0.partition_point(|(day, _)| day < days.start());
        self.0.get(at).is_some_and(|(day, _)| day <= days.end())
    }
}

impl From<(Day, (u64, u64))> for ByDay {
    fn from(day: (Day, (u64, u64))) -> Self {
        Self(vec![day])
    }
}

/// How often something was done, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionUse {
    /// Authorised calls that surely exercised the action.
    pub count: u64,
    /// Denied calls.
    pub denied: u64,
    /// Calls that ended before authorisation (throttled, expired credential).
    pub not_evaluated: u64,
    /// Calls whose outcome is not known, and authorised ones of which the record does not show whether they
    /// exercised the action: they never support "used" and always block "unused".
    pub undecided: u64,
    /// First authorised call.
    pub first: Option<Timestamp>,
    /// Last authorised call.
    pub last: Option<Timestamp>,
    /// Calls by day, for days with authorised or denied ones.
    pub by_day: ByDay,
}

impl ActionUse {
    /// Days with an authorised call, in order.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.by_day.iter().filter(|(_, (authorised, _))| *authorised > 0).map(|(day, _)| *day)
    }

    pub(super) fn add(&mut self, outcome: Outcome, need: Need, day: Day, fact: &UsageFact) {
        match (outcome, need) {
            (Outcome::Denied, _) => {
                self.denied += fact.count;
                self.by_day.add(day, 0, fact.count);
            }
            (Outcome::NotEvaluated, _) => self.not_evaluated += fact.count,
            (Outcome::Unknown, _) | (_, Need::Sometimes) => self.undecided += fact.count,
            (Outcome::Authorised | Outcome::AuthorisedNoEffect | Outcome::FailedAfterAuthorisation, Need::Always) => {
                self.count += fact.count;
                self.first = Some(self.first.map_or(fact.first, |first| first.min(fact.first)));
                self.last = self.last.max(Some(fact.last));
                self.by_day.add(day, fact.count, 0);
            }
        }
    }

    /// Adds what other rows tell of the same.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.denied += other.denied;
        self.not_evaluated += other.not_evaluated;
        self.undecided += other.undecided;
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        for (day, (authorised, denied)) in other.by_day.iter() {
            self.by_day.add(*day, *authorised, *denied);
        }
    }
}

/// Days with calls, whatever became of them: what was attempted. A call counts for what it is named for alone, not for
/// what it needs beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// By action.
    pub actions: BTreeMap<ActionId, BTreeSet<Day>>,
    /// Calls behind which no action is known, by the first part of their event source, which mostly is the service's
    /// prefix.
    pub services: BTreeMap<String, BTreeSet<Day>>,
}

impl Attempts {
    /// Adds what others attempted.
    pub(super) fn merge(&mut self, other: &Self) {
        for (action, days) in &other.actions {
            self.actions.entry(*action).or_default().extend(days);
        }
        for (service, days) in &other.services {
            self.services.entry(service.clone()).or_default().extend(days);
        }
    }
}

/// All that a principal did, whatever action stands behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Last authorised call.
    pub last: Option<Timestamp>,
    /// Days with an authorised call.
    pub days: BTreeSet<Day>,
    /// Authorised calls.
    pub calls: u64,
    /// Denied calls.
    pub denied: u64,
    /// What was attempted.
    pub attempts: Attempts,
    /// People who acted themselves.
    pub people: BTreeMap<String, PersonPresence>,
    /// People to whom nothing but the name of a session leads: no act of theirs for certain, but no lack of one either.
    pub likely: BTreeMap<String, PersonPresence>,
    /// Whether a program, a pipeline or a service acted.
    pub machine: bool,
}

/// What one person did through a principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonPresence {
    /// Last authorised call.
    pub last: Option<Timestamp>,
    /// Days with an authorised call.
    pub days: BTreeSet<Day>,
}

/// How a role was assumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// Last successful assumption.
    pub last: Option<Timestamp>,
    /// Days with one.
    pub days: BTreeSet<Day>,
    /// Who assumed it: principals and services.
    pub by: BTreeSet<String>,
}

/// A resource of which data events were seen, and of which kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataResource {
    /// IAM prefix of the service.
    pub service: String,
    /// The resource.
    pub resource: String,
    /// Whether a write was seen; reads and writes are selected apart.
    pub write: bool,
}

/// Whose use of what: the person is empty for machines, and where nobody is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeKey {
    /// Through which principal.
    pub principal: PrincipalKey,
    /// The person whose own act it was.
    pub person: Arc<str>,
    /// The IAM action.
    pub action: ActionId,
}

/// The joined activity of a window.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Rows by key.
    pub rows: BTreeMap<ActivityKey, ActionUse>,
    /// Five-minute slots (UTC) in which an action was surely exercised, in order; only where that was asked for.
    pub times: BTreeMap<TimeKey, Vec<Slot>>,
    /// All that each principal did.
    pub presence: BTreeMap<PrincipalKey, Presence>,
    /// Role ARN → how it was assumed.
    pub assumed: BTreeMap<String, Assumed>,
    /// Resources with data events.
    pub data_seen: BTreeSet<DataResource>,
    /// Actions of which a call was seen although it needs no permission, such as `sts:GetCallerIdentity`.
    pub permissionless: BTreeSet<ActionId>,
    /// (event source, event name) that the catalogue does not know → calls.
    pub unmapped: BTreeMap<(String, String), u64>,
    /// Account → the kinds of management events that its logs hold, whoever made them; none where nobody looked.
    pub recorded: Option<BTreeMap<String, Kinds>>,
}
