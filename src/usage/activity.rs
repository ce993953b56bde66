//! What principals and people did: the usage fold, joined with who stands behind its sessions and which IAM actions
//! stand behind its calls. Joined when read, so that a better catalogue or a late record changes the answer without
//! reading the logs again.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{ActionId, CallResource, Catalog, LogClass, Mapped, Need};
use crate::model::event::{EventCategory, Identity, Outcome};
use crate::model::time::{Day, Timestamp};

use super::fold::{SessionId, UsageFact, UsageKey, UsageRow};
use super::identity::{Actor, ActorKind};
use super::unseen::{Unseen, unseen};

/// A principal as the logs name it: the same ARN with another unique id is another principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalKey {
    /// ARN.
    pub arn: String,
    /// Unique id; empty where not recorded.
    pub id: String,
}

/// Key of a row of activity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivityKey {
    /// Who, as a principal.
    pub principal: PrincipalKey,
    /// The person; empty where not known, and for calls that a service made on the principal's behalf.
    pub person: String,
    /// The person to whom nothing but the name of the session leads; empty where there is none.
    pub likely: String,
    /// The IAM action.
    pub action: ActionId,
    /// The main resource; empty where the record names none.
    pub resource: String,
    /// The account in whose logs the call stands.
    pub account: String,
    /// Region.
    pub region: String,
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
    /// Day → (authorised calls, denied calls), for days with either.
    pub by_day: BTreeMap<Day, (u64, u64)>,
}

impl ActionUse {
    /// Days with an authorised call, in order.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.by_day.iter().filter(|(_, (authorised, _))| *authorised > 0).map(|(day, _)| *day)
    }

    fn add(&mut self, outcome: Outcome, need: Need, day: Day, fact: &UsageFact) {
        match (outcome, need) {
            (Outcome::Denied, _) => {
                self.denied += fact.count;
                self.by_day.entry(day).or_default().1 += fact.count;
            }
            (Outcome::NotEvaluated, _) => self.not_evaluated += fact.count,
            (Outcome::Unknown, _) | (_, Need::Sometimes) => self.undecided += fact.count,
            (Outcome::Authorised | Outcome::AuthorisedNoEffect | Outcome::FailedAfterAuthorisation, Need::Always) => {
                self.count += fact.count;
                self.first = Some(self.first.map_or(fact.first, |first| first.min(fact.first)));
                self.last = self.last.max(Some(fact.last));
                self.by_day.entry(day).or_default().0 += fact.count;
            }
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

/// The joined activity of a window.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Rows by key.
    pub rows: BTreeMap<ActivityKey, ActionUse>,
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
}

/// Joins usage rows with actors and actions. `collected` are the accounts whose own logs the lake holds.
#[must_use]
pub fn join(
    rows: &[UsageRow],
    sessions: &BTreeMap<SessionId, Identity>,
    actors: &BTreeMap<SessionId, Actor>,
    collected: &BTreeSet<String>,
    catalog: &Catalog,
) -> Activity {
    let mut activity = Activity::default();
    for row in rows {
        let key = &row.key;
        let (Some(identity), Some(actor)) = (sessions.get(&key.session), actors.get(&key.session)) else { continue };
        if !counts(key, identity, collected) {
            continue;
        }
        activity.note_assumption(row, actor);
        let mapping = catalog.event(&key.source, &key.name, &key.variant);
        if key.category == EventCategory::Data || mapping.class == LogClass::Data {
            activity.note_data(row, mapping.actions().first().map(|action| action.id), catalog);
        }
        if mapping.mapped == Mapped::Unmapped {
            *activity.unmapped.entry((key.source.clone(), key.name.clone())).or_default() += row.fact.count;
        }
        if !matches!(actor.kind, ActorKind::User | ActorKind::Role | ActorKind::Root) {
            continue;
        }
        let principal = PrincipalKey { arn: actor.principal.clone(), id: actor.principal_id.clone() };
        activity.note_presence(row, actor, &principal);
        if let Some(action) = without_permission(&mapping.mapped, key, catalog) {
            activity.permissionless.insert(action);
            activity.add(row, actor, &principal, (action, Need::Always, key.resource.clone()));
        }
        // A denial that names its action is a denial of that action and of no other: RunInstances refused for
        // iam:PassRole is no refusal of ec2:RunInstances.
        let refused = catalog.find(&key.variant.refused).filter(|_| key.outcome == Outcome::Denied);
        if let Some(action) = refused
            && !mapping.actions().iter().any(|mapped| mapped.id == action)
        {
            let resource = key.resource.clone();
            activity.add(row, actor, &principal, (action, Need::Always, resource));
        }
        let others = unseen(&key.source, &key.name) == Some(Unseen::Others) && !key.resource.is_empty();
        for action in mapping.actions().iter().filter(|mapped| refused.is_none_or(|refused| mapped.id == refused)) {
            let resource = match &action.on {
                CallResource::Main => key.resource.clone(),
                CallResource::Role { value, .. } => (*value).to_owned(),
                CallResource::Named(_) => String::new(),
            };
            activity.add(row, actor, &principal, (action.id, action.need, resource));
            // The same call touched more than it shows: on anything else the action is neither used nor unused.
            if others && action.on == CallResource::Main && key.outcome.supports_use() {
                activity.add(row, actor, &principal, (action.id, Need::Sometimes, String::new()));
            }
        }
    }
    activity
}

/// The action that bears the name of a call which needs no permission; a policy may name it without effect.
fn without_permission(mapped: &Mapped<'_>, key: &UsageKey, catalog: &Catalog) -> Option<ActionId> {
    match mapped {
        Mapped::None { reason: "permissionless call" } => {
            let service = key.source.split('.').next()?;
            catalog.find(&format!("{service}:{}", key.name))
        }
        _ => None,
    }
}

/// Whether this record is the one that counts: of the copies of a cross-account call the one in the caller's own
/// account, else, where that account's logs were not collected, the other.
fn counts(key: &UsageKey, identity: &Identity, collected: &BTreeSet<String>) -> bool {
    !key.shared
        || identity.account.is_empty()
        || identity.account == key.account
        || !collected.contains(&identity.account)
}

impl Activity {
    /// `AssumeRole*` and the services' own assumptions keep a role in use.
    fn note_assumption(&mut self, row: &UsageRow, actor: &Actor) {
        let key = &row.key;
        if !key.outcome.supports_use() || !key.source.starts_with("sts.") || !key.name.starts_with("AssumeRole") {
            return;
        }
        if !key.resource.contains(":role/") {
            return;
        }
        let assumed = self.assumed.entry(key.resource.clone()).or_default();
        assumed.last = assumed.last.max(Some(row.fact.last));
        assumed.days.insert(key.day);
        assumed.by.insert(actor.principal.clone());
    }

    fn note_data(&mut self, row: &UsageRow, action: Option<ActionId>, catalog: &Catalog) {
        let Some(action) = action.and_then(|id| catalog.action(id)) else { return };
        if row.key.category != EventCategory::Data || row.key.resource.is_empty() {
            return;
        }
        use crate::catalog::AccessLevel::{List, Read};
        self.data_seen.insert(DataResource {
            service: action.prefix().to_owned(),
            resource: row.key.resource.clone(),
            write: !matches!(action.access(), List | Read),
        });
    }

    fn add(
        &mut self,
        row: &UsageRow,
        actor: &Actor,
        principal: &PrincipalKey,
        (action, need, resource): (ActionId, Need, String),
    ) {
        let key = ActivityKey {
            principal: principal.clone(),
            person: actor.sure_person().filter(|_| actor.own_act).unwrap_or_default().to_owned(),
            likely: actor.likely_person().filter(|_| actor.own_act).unwrap_or_default().to_owned(),
            action,
            resource,
            account: row.key.account.clone(),
            region: row.key.region.clone(),
        };
        self.rows.entry(key).or_default().add(row.key.outcome, need, row.key.day, &row.fact);
    }

    fn note_presence(&mut self, row: &UsageRow, actor: &Actor, principal: &PrincipalKey) {
        let presence = self.presence.entry(principal.clone()).or_default();
        if row.key.outcome == Outcome::Denied {
            presence.denied += row.fact.count;
        }
        if !row.key.outcome.supports_use() {
            return;
        }
        presence.calls += row.fact.count;
        presence.last = presence.last.max(Some(row.fact.last));
        presence.days.insert(row.key.day);
        presence.machine |= actor.machine;
        let Presence { people, likely, .. } = presence;
        for (found, into) in [(actor.sure_person(), people), (actor.likely_person(), likely)] {
            if let Some(person) = found.filter(|_| actor.own_act) {
                let person = into.entry(person.to_owned()).or_default();
                person.last = person.last.max(Some(row.fact.last));
                person.days.insert(row.key.day);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::CallVariant;

    fn row(name: &str, outcome: Outcome, refused: &str, account: &str, shared: bool, by: &Identity) -> UsageRow {
        let key = UsageKey {
            session: SessionId::of(by),
            source: "ec2.amazonaws.com".into(),
            name: name.into(),
            variant: CallVariant { refused: refused.into(), ..CallVariant::default() },
            category: EventCategory::Management,
            resource: String::new(),
            outcome,
            account: account.into(),
            region: "us-east-1".into(),
            day: Day(20_000),
            shared,
        };
        UsageRow { key, fact: UsageFact::of(Timestamp::from_seconds(20_000 * 86_400)) }
    }

    fn joined(
        rows: &[UsageRow],
        identity: &Identity,
        collected: &[&str],
        own_act: bool,
    ) -> Vec<(String, String, ActionUse)> {
        let catalog = Catalog::get();
        let name = |id: ActionId| catalog.action(id).unwrap().full_name();
        activity_of(rows, identity, collected, own_act)
            .into_iter()
            .map(|(key, use_)| (name(key.action), key.person, use_))
            .collect()
    }

    fn joined_keys(rows: &[UsageRow], identity: &Identity) -> Vec<(ActivityKey, ActionUse)> {
        activity_of(rows, identity, &["1"], true)
    }

    fn activity_of(
        rows: &[UsageRow],
        identity: &Identity,
        collected: &[&str],
        own_act: bool,
    ) -> Vec<(ActivityKey, ActionUse)> {
        let id = SessionId::of(identity);
        let sessions = BTreeMap::from([(id, identity.clone())]);
        let actor = Actor {
            kind: ActorKind::User,
            principal: identity.arn.clone(),
            principal_id: "AIDA1".into(),
            account: identity.account.clone(),
            session_name: String::new(),
            person: Some("ada".into()),
            basis: super::super::identity::Basis::IamUser,
            machine: false,
            own_act,
            hops: Vec::new(),
            missing: None,
        };
        let collected = collected.iter().map(|account| (*account).to_owned()).collect();
        let catalog = Catalog::get();
        let activity = join(rows, &sessions, &BTreeMap::from([(id, actor)]), &collected, catalog);
        activity.rows.into_iter().collect()
    }

    fn identity() -> Identity {
        Identity { arn: "arn:aws:iam::1:user/ada".into(), account: "1".into(), ..Identity::default() }
    }

    #[test]
    fn a_denial_belongs_to_the_action_that_it_names() {
        let ada = identity();
        let found =
            joined(&[row("RunInstances", Outcome::Denied, "iam:PassRole", "1", false, &ada)], &ada, &["1"], true);
        let names: Vec<(&str, u64)> = found.iter().map(|(name, _, use_)| (name.as_str(), use_.denied)).collect();
        assert_eq!(names, [("iam:PassRole", 1)]);
        let found = joined(&[row("RunInstances", Outcome::Denied, "", "1", false, &ada)], &ada, &["1"], true);
        assert!(found.iter().any(|(name, _, use_)| name == "ec2:RunInstances" && use_.denied == 1));
    }

    #[test]
    fn one_call_counts_once_whatever_its_copies() {
        let ada = identity();
        let rows = [
            row("DescribeVpcs", Outcome::Authorised, "", "1", true, &ada),
            row("DescribeVpcs", Outcome::Authorised, "", "2", true, &ada),
        ];
        let count =
            |collected: &[&str]| -> u64 { joined(&rows, &ada, collected, true).iter().map(|r| r.2.count).sum() };
        assert_eq!(count(&["1", "2"]), 1);
        // Where the caller's own account is not collected, the other copy is all there is.
        assert_eq!(joined(&rows[1..], &ada, &["2"], true)[0].2.count, 1);
    }

    #[test]
    fn what_a_batch_does_not_show_is_undecided() {
        let ada = identity();
        let mut batch = row("BatchWriteItem", Outcome::Authorised, "", "1", false, &ada);
        batch.key.source = "dynamodb.amazonaws.com".into();
        batch.key.resource = "arn:aws:dynamodb:r:1:table/a".into();
        let activity = |row: UsageRow| {
            let mut found: Vec<(String, u64, u64)> = joined_keys(&[row], &ada)
                .into_iter()
                .map(|(key, use_)| (key.resource, use_.count, use_.undecided))
                .collect();
            found.sort();
            found.dedup();
            found
        };
        let table = "arn:aws:dynamodb:r:1:table/a".to_owned();
        assert_eq!(activity(batch.clone()), [(String::new(), 0, 1), (table.clone(), 1, 0)]);
        batch.key.name = "PutItem".into();
        assert_eq!(activity(batch), [(table, 1, 0)]);
    }

    #[test]
    fn a_call_by_a_service_is_use_but_nobodys_act() {
        let ada = identity();
        let found = joined(&[row("DescribeVpcs", Outcome::Authorised, "", "1", false, &ada)], &ada, &["1"], false);
        assert_eq!((found[0].1.as_str(), found[0].2.count), ("", 1));
    }
}
