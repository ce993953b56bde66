//! The join itself: usage rows one by one, with who stands behind their sessions and which actions behind their calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::{ActionUse, Activity, ActivityKey, Assumed, Attempts, DataResource};
use super::{PersonPresence, Presence, PrincipalKey, TimeKey};
use crate::catalog::{ActionId, CallResource, Catalog, Mapped, Need};
use crate::model::event::{EventCategory, Identity, Outcome};
use crate::model::time::Day;
use crate::usage::fold::{SessionId, Slots, UsageRef};
use crate::usage::identity::{Actor, ActorKind};
use crate::usage::unseen::{Unseen, unseen};

/// Joins usage rows with actors and actions, row by row: rows of one key may come several times, in any order.
///
/// Within, texts are numbers: there are millions of rows, and a few thousand principals, resources and regions.
#[derive(Debug)]
pub struct Join<'a> {
    sessions: &'a BTreeMap<SessionId, Identity>,
    actors: &'a BTreeMap<SessionId, Actor>,
    collected: &'a BTreeSet<String>,
    catalog: &'a Catalog,
    texts: Texts,
    /// Who is behind each session met, and where they are kept; none where no identity or nobody is known.
    known: HashMap<SessionId, Option<Behind<'a>>>,
    who: HashMap<Who, u32>,
    acts: Vec<Acts>,
    rows: HashMap<Cell, ActionUse>,
    assumed: BTreeMap<String, Assumed>,
    /// Resource and action.
    data: HashSet<(u32, ActionId)>,
    /// When people used what, where that is asked for.
    times: Option<HashMap<(u32, ActionId, Day), Slots>>,
    /// The first day that counts; of days before only times are kept.
    from: Day,
    permissionless: BTreeSet<ActionId>,
    unmapped: BTreeMap<(String, String), u64>,
}

/// Texts by number.
#[derive(Debug, Default)]
struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    all: Vec<Arc<str>>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let text: Arc<str> = text.into();
        let number = self.all.len() as u32;
        self.all.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    fn get(&self, number: u32) -> Arc<str> {
        self.all.get(number as usize).cloned().unwrap_or_default()
    }
}

/// Who acts in a session.
#[derive(Clone, Copy, Debug)]
struct Behind<'a> {
    identity: &'a Identity,
    actor: &'a Actor,
    /// Index of what they did; none where it is no principal whose use is compared.
    acts: Option<u32>,
}

/// Who acts, as far as rows of activity tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Who {
    principal: PrincipalKey,
    /// The person whose own act it is; empty where not known.
    person: Arc<str>,
    likely: Arc<str>,
    machine: bool,
}

/// What they did, whatever action stands behind it.
#[derive(Debug)]
struct Acts {
    who: Who,
    /// Whether a row of theirs counted.
    met: bool,
    seen: PersonPresence,
    calls: u64,
    denied: u64,
    attempts: Attempts,
}

/// A row of activity, as numbers: who, action, resource, account, region.
type Cell = (u32, ActionId, u32, u32, u32);

impl<'a> Join<'a> {
    /// Nothing joined yet. `collected` are the accounts whose own logs the lake holds.
    #[must_use]
    pub fn new(
        sessions: &'a BTreeMap<SessionId, Identity>,
        actors: &'a BTreeMap<SessionId, Actor>,
        collected: &'a BTreeSet<String>,
        catalog: &'a Catalog,
    ) -> Self {
        Self {
            sessions,
            actors,
            collected,
            catalog,
            texts: Texts::default(),
            known: HashMap::new(),
            who: HashMap::new(),
            acts: Vec::new(),
            rows: HashMap::new(),
            assumed: BTreeMap::new(),
            data: HashSet::new(),
            times: None,
            from: Day(i32::MIN),
            permissionless: BTreeSet::new(),
            unmapped: BTreeMap::new(),
        }
    }

    /// Also keeps when people used what (see [`Activity::times`]), and of rows before `from` nothing else.
    #[must_use]
    pub fn with_times(mut self, from: Day) -> Self {
        (self.times, self.from) = (Some(HashMap::new()), from);
        self
    }

    fn behind(&mut self, session: SessionId) -> Option<Behind<'a>> {
        if let Some(known) = self.known.get(&session) {
            return *known;
        }
        let found = self.sessions.get(&session).zip(self.actors.get(&session));
        let found = found.map(|(identity, actor)| Behind { identity, actor, acts: self.acts_of(actor) });
        self.known.insert(session, found);
        found
    }

    /// Where what an actor does is kept.
    fn acts_of(&mut self, actor: &Actor) -> Option<u32> {
        if !matches!(actor.kind, ActorKind::User | ActorKind::Role | ActorKind::Root) {
            return None;
        }
        let mut text = |text: &str| {
            let number = self.texts.number(text);
            self.texts.get(number)
        };
        let who = Who {
            principal: PrincipalKey { arn: text(&actor.principal), id: text(&actor.principal_id) },
            person: text(actor.sure_person().filter(|_| actor.own_act).unwrap_or_default()),
            likely: text(actor.likely_person().filter(|_| actor.own_act).unwrap_or_default()),
            machine: actor.machine,
        };
        let next = self.acts.len() as u32;
        let acts = &mut self.acts;
        Some(*self.who.entry(who).or_insert_with_key(|who| {
            let (seen, attempts) = (PersonPresence::default(), Attempts::default());
            acts.push(Acts { who: who.clone(), met: false, seen, calls: 0, denied: 0, attempts });
            next
        }))
    }

    /// Adds a row.
    pub fn add(&mut self, row: &UsageRef<'_>) {
        let Some(Behind { identity, actor, acts }) = self.behind(row.session) else { return };
        if !counts(row, identity, self.collected) {
            return;
        }
        if row.day < self.from {
            self.note_times(row, acts);
            return;
        }
        self.note_assumption(row, actor);
        let mapping = self.catalog.event(row.source, row.name, row.variant);
        if row.category == EventCategory::Data
            && !row.resource.is_empty()
            && let Some(action) = mapping.actions().first()
        {
            self.data.insert((self.texts.number(row.resource), action.id));
        }
        if mapping.mapped == Mapped::Unmapped {
            *self.unmapped.entry((row.source.to_owned(), row.name.to_owned())).or_default() += row.fact.count;
        }
        let Some(who) = acts else { return };
        self.note_presence(row, who);
        // What the call is named for comes first.
        self.note_attempt(row, who, mapping.actions().first().map(|named| named.id));
        if let Some(action) = without_permission(&mapping.mapped, row, self.catalog) {
            self.permissionless.insert(action);
            self.add_use(row, who, (action, Need::Always, row.resource));
        }
        // A denial that names its action is a denial of that action and of no other: RunInstances refused for
        // iam:PassRole is no refusal of ec2:RunInstances.
        let refused = (row.outcome == Outcome::Denied).then(|| self.catalog.find(&row.variant.refused)).flatten();
        if let Some(action) = refused
            && !mapping.actions().iter().any(|mapped| mapped.id == action)
        {
            self.add_use(row, who, (action, Need::Always, row.resource));
        }
        let others = unseen(row.source, row.name) == Some(Unseen::Others) && !row.resource.is_empty();
        for action in mapping.actions().iter().filter(|mapped| refused.is_none_or(|refused| mapped.id == refused)) {
            let resource = match &action.on {
                CallResource::Main => row.resource,
                CallResource::Role { value, .. } => value,
                CallResource::Named(_) => "",
            };
            self.add_use(row, who, (action.id, action.need, resource));
            // The same call touched more than it shows: on anything else the action is neither used nor unused.
            if others && action.on == CallResource::Main && row.outcome.supports_use() {
                self.add_use(row, who, (action.id, Need::Sometimes, ""));
            }
        }
    }

    /// When something was done on a day that does not count otherwise.
    fn note_times(&mut self, row: &UsageRef<'_>, who: Option<u32>) {
        let (Some(who), Some(times)) = (who.filter(|_| row.outcome.supports_use()), &mut self.times) else { return };
        for action in self.catalog.event(row.source, row.name, row.variant).certain() {
            times.entry((who, action.id, row.day)).or_default().merge(&row.fact.slots);
        }
    }

    fn add_use(&mut self, row: &UsageRef<'_>, who: u32, (action, need, resource): (ActionId, Need, &str)) {
        let texts = &mut self.texts;
        let cell = (who, action, texts.number(resource), texts.number(row.account), texts.number(row.region));
        self.rows.entry(cell).or_default().add(row.outcome, need, row.day, &row.fact);
        if let Some(times) = &mut self.times
            && need == Need::Always
            && row.outcome.supports_use()
        {
            times.entry((who, action, row.day)).or_default().merge(&row.fact.slots);
        }
    }

    /// `AssumeRole*` and the services' own assumptions keep a role in use.
    fn note_assumption(&mut self, row: &UsageRef<'_>, actor: &Actor) {
        if !row.outcome.supports_use() || !row.source.starts_with("sts.") || !row.name.starts_with("AssumeRole") {
            return;
        }
        if !row.resource.contains(":role/") {
            return;
        }
        let assumed = self.assumed.entry(row.resource.to_owned()).or_default();
        assumed.last = assumed.last.max(Some(row.fact.last));
        assumed.days.insert(row.day);
        if !assumed.by.contains(&actor.principal) {
            assumed.by.insert(actor.principal.clone());
        }
    }

    fn note_presence(&mut self, row: &UsageRef<'_>, who: u32) {
        let Some(acts) = self.acts.get_mut(who as usize) else { return };
        acts.met = true;
        if row.outcome == Outcome::Denied {
            acts.denied += row.fact.count;
        }
        if row.outcome.supports_use() {
            acts.calls += row.fact.count;
            acts.seen.last = acts.seen.last.max(Some(row.fact.last));
            acts.seen.days.insert(row.day);
        }
    }

    fn note_attempt(&mut self, row: &UsageRef<'_>, who: u32, named: Option<ActionId>) {
        let Some(acts) = self.acts.get_mut(who as usize) else { return };
        let Attempts { actions, services } = &mut acts.attempts;
        if let Some(action) = named {
            actions.entry(action).or_default().insert(row.day);
            return;
        }
        let service = row.source.split('.').next().unwrap_or_default();
        if let Some(days) = services.get_mut(service) {
            days.insert(row.day);
        } else {
            services.insert(service.to_owned(), BTreeSet::from([row.day]));
        }
    }

    /// What was joined.
    #[must_use]
    pub fn finish(self) -> Activity {
        let Self { texts, acts, rows, data, catalog, times, .. } = self;
        // Texts are compared once, not with every row.
        let ranks = ranks(&texts.all);
        let people: Vec<_> =
            acts.iter().map(|acts| (&acts.who.principal, &acts.who.person, &acts.who.likely)).collect();
        let people = self::ranks(&people);
        let rank = |ranks: &[u32], at: u32| ranks.get(at as usize).copied().unwrap_or_default();
        let order = |(who, action, resource, account, region): &Cell| {
            let text = |number: &u32| rank(&ranks, *number);
            (rank(&people, *who), *action, text(resource), text(account), text(region))
        };
        let mut sorted: Vec<(Cell, ActionUse)> = rows.into_iter().collect();
        sorted.sort_unstable_by_key(|(cell, _)| order(cell));
        // A principal may act as a machine and as a person of no known name.
        sorted.dedup_by(|(cell, use_), (before, kept)| {
            let same = order(cell) == order(before);
            if same {
                kept.merge(use_);
            }
            same
        });
        let key = |(who, action, resource, account, region): Cell| {
            let Who { principal, person, likely, .. } = acts.get(who as usize)?.who.clone();
            let [resource, account, region] = [resource, account, region].map(|number| texts.get(number));
            Some(ActivityKey { principal, person, likely, action, resource, account, region })
        };
        let joined = sorted.into_iter().filter_map(|(cell, use_)| Some((key(cell)?, use_))).collect();
        let data_seen = data.into_iter().filter_map(|(resource, action)| {
            use crate::catalog::AccessLevel::{List, Read};
            let action = catalog.action(action)?;
            let write = !matches!(action.access(), List | Read);
            Some(DataResource { service: action.prefix().to_owned(), resource: texts.get(resource).to_string(), write })
        });
        let mut timed: BTreeMap<TimeKey, BTreeMap<Day, Slots>> = BTreeMap::new();
        for ((who, action, day), slots) in times.into_iter().flatten() {
            let Some(Acts { who, .. }) = acts.get(who as usize) else { continue };
            // What only the name of a session leads to is no act of anybody's.
            let person = Arc::clone(&who.person);
            let key = TimeKey { principal: who.principal.clone(), person, action };
            timed.entry(key).or_default().entry(day).or_default().merge(&slots);
        }
        Activity {
            rows: joined,
            times: timed,
            data_seen: data_seen.collect(),
            presence: presence(&acts),
            assumed: self.assumed,
            permissionless: self.permissionless,
            unmapped: self.unmapped,
        }
    }
}

/// The rank of each value among the others; equal ones have the same.
fn ranks<T: Ord>(values: &[T]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|at| values.get(*at));
    let mut ranks = vec![0; values.len()];
    let (mut rank, mut before) = (0, None);
    for at in order {
        let value = values.get(at);
        if before.is_some() && before != value {
            rank += 1;
        }
        before = value;
        if let Some(slot) = ranks.get_mut(at) {
            *slot = rank;
        }
    }
    ranks
}

/// What each principal did.
fn presence(acts: &[Acts]) -> BTreeMap<PrincipalKey, Presence> {
    let mut all: BTreeMap<PrincipalKey, Presence> = BTreeMap::new();
    for Acts { who, seen, calls, denied, attempts, .. } in acts.iter().filter(|acts| acts.met) {
        let presence = all.entry(who.principal.clone()).or_default();
        presence.denied += denied;
        presence.attempts.merge(attempts);
        if seen.days.is_empty() {
            continue;
        }
        presence.calls += calls;
        presence.last = presence.last.max(seen.last);
        presence.days.extend(&seen.days);
        presence.machine |= who.machine;
        let Presence { people, likely, .. } = presence;
        for (person, into) in [(&who.person, people), (&who.likely, likely)] {
            if !person.is_empty() {
                let person = into.entry(person.to_string()).or_default();
                person.last = person.last.max(seen.last);
                person.days.extend(&seen.days);
            }
        }
    }
    all
}

/// The action that bears the name of a call which needs no permission; a policy may name it without effect.
fn without_permission(mapped: &Mapped<'_>, key: &UsageRef<'_>, catalog: &Catalog) -> Option<ActionId> {
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
fn counts(row: &UsageRef<'_>, identity: &Identity, collected: &BTreeSet<String>) -> bool {
    !row.shared
        || identity.account.is_empty()
        || identity.account == row.account
        || !collected.contains(&identity.account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::CallVariant;
    use crate::model::time::{Day, Timestamp};
    use crate::usage::fold::{UsageFact, UsageKey, UsageRow};

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
            .map(|(key, use_)| (name(key.action), key.person.to_string(), use_))
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
        joined_all(rows, identity, collected, own_act).rows.into_iter().collect()
    }

    fn joined_all(rows: &[UsageRow], identity: &Identity, collected: &[&str], own_act: bool) -> Activity {
        let id = SessionId::of(identity);
        let sessions = BTreeMap::from([(id, identity.clone())]);
        let actor = Actor {
            kind: ActorKind::User,
            principal: identity.arn.clone(),
            principal_id: "AIDA1".into(),
            account: identity.account.clone(),
            session_name: String::new(),
            person: Some("ada".into()),
            basis: crate::usage::identity::Basis::IamUser,
            machine: false,
            own_act,
            hops: Vec::new(),
            missing: None,
        };
        let collected = collected.iter().map(|account| (*account).to_owned()).collect();
        let catalog = Catalog::get();
        let actors = BTreeMap::from([(id, actor)]);
        let mut join = Join::new(&sessions, &actors, &collected, catalog);
        rows.iter().for_each(|row| join.add(&row.view()));
        join.finish()
    }

    fn identity() -> Identity {
        Identity { arn: "arn:aws:iam::1:user/ada".into(), account: "1".into(), ..Identity::default() }
    }

    #[test]
    fn ranks_are_those_of_a_sort() {
        assert_eq!(ranks(&["b", "a", "c", "b", ""]), [2, 1, 3, 2, 0]);
        assert_eq!(ranks::<u8>(&[]), Vec::<u32>::new());
    }

    #[test]
    fn rows_come_in_the_order_of_their_keys_however_they_came() {
        let ada = identity();
        let rows: Vec<UsageRow> = ["StopInstances", "DescribeVpcs", "DescribeVpcs", "RunInstances"]
            .iter()
            .zip(["2", "1", "10", "1"])
            .map(|(name, account)| row(name, Outcome::Authorised, "", account, false, &ada))
            .collect();
        let forth = joined_keys(&rows, &ada);
        let back = joined_keys(&rows.iter().rev().cloned().collect::<Vec<_>>(), &ada);
        assert_eq!(forth, back);
        assert!(forth.windows(2).all(|pair| pair[0].0 < pair[1].0), "{forth:?}");
        // In two halves it is as in one.
        assert_eq!(joined_keys(&[&rows[..], &rows[..]].concat(), &ada)[0].1.count, 2 * forth[0].1.count);
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
    fn every_call_is_an_attempt_at_what_it_is_named_for() {
        let ada = identity();
        let mut unknown = row("NoSuchCall", Outcome::Unknown, "", "1", false, &ada);
        unknown.key.day = Day(20_001);
        let rows = [
            row("RunInstances", Outcome::Denied, "iam:PassRole", "1", false, &ada),
            row("DescribeVpcs", Outcome::NotEvaluated, "", "1", false, &ada),
            unknown,
        ];
        let presence = joined_all(&rows, &ada, &["1"], true).presence;
        let attempts = &presence.values().next().unwrap().attempts;
        let days = |name: &str| attempts.actions.get(&Catalog::get().find(name).unwrap()).cloned().unwrap_or_default();
        assert_eq!(days("ec2:RunInstances"), BTreeSet::from([Day(20_000)]));
        assert_eq!(days("ec2:DescribeVpcs"), BTreeSet::from([Day(20_000)]));
        // It was refused for this, and is named for something else.
        assert_eq!(days("iam:PassRole"), BTreeSet::new());
        assert_eq!(attempts.services, BTreeMap::from([("ec2".to_owned(), BTreeSet::from([Day(20_001)]))]));
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
                .map(|(key, use_)| (key.resource.to_string(), use_.count, use_.undecided))
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
