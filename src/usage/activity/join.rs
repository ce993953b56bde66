//! The join itself: usage rows one by one, with who stands behind their sessions and which actions behind their calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::{ActionUse, Activity, ActivityKey, Assumed, Attempts, DataResource};
use super::{PersonPresence, Presence, PrincipalKey, TimeKey};
use crate::catalog::{ActionId, CallResource, Catalog, Mapped, Need, RoleKind};
use crate::model::event::{EventCategory, Identity, Outcome};
use crate::model::time::{Day, SLOTS_PER_DAY, Slot};
use crate::usage::block::{UsageBlock, UsageCall, UsageCell};
use crate::usage::fold::SessionId;
use crate::usage::identity::{Actor, ActorKind, Actors};
use crate::usage::kinds::{Exported, Kinds};
use crate::usage::sessions::Sessions;
use crate::usage::unseen::{Unseen, unseen};

/// Joins usage rows with actors and actions, row by row: rows of one key may come several times, in any order.
///
/// Within, texts are numbers: there are millions of rows, and a few thousand principals, resources and regions.
#[derive(Debug)]
pub struct Join<'a> {
    sessions: &'a Sessions,
    actors: &'a Actors,
    catalog: &'a Catalog,
    texts: Texts,
    who: HashMap<Who, u32>,
    acts: Vec<Acts>,
    rows: HashMap<Cell, ActionUse>,
    assumed: BTreeMap<String, Assumed>,
    /// Resource and action.
    data: HashSet<(u32, ActionId)>,
    /// When people used what, where that is asked for; the same may stand several times.
    times: Option<Vec<(u32, ActionId, Slot)>>,
    /// The first day that counts; of days before only times are kept.
    from: Day,
    permissionless: BTreeSet<ActionId>,
    unmapped: BTreeMap<(String, String), u64>,
    recorded: BTreeMap<String, Kinds>,
    exported: Exported,
    /// Names of roles and instance profiles without an account.
    bare: HashSet<u32>,
    copies: bool,
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

/// What stands behind a call, whoever makes it.
#[derive(Debug)]
struct Meaning {
    /// What it is named for.
    named: Option<ActionId>,
    /// The same of data events.
    data: Option<ActionId>,
    /// Whether the catalogue does not know it.
    unmapped: bool,
    /// What it shows of what the trails record.
    kinds: Kinds,
    /// The action of its name, where it needs no permission.
    permissionless: Option<ActionId>,
    /// Whether it touches more than its record shows.
    others: bool,
    /// Whether a role was assumed.
    assumption: bool,
    /// Actions that it surely exercised.
    certain: Vec<ActionId>,
    uses: Vec<Use>,
}

/// An action that a call needs, and on what if not on its main resource.
type Use = (ActionId, Need, Option<u32>);

/// A row of activity, as numbers: who, action, resource, account, region.
type Cell = (u32, ActionId, u32, u32, u32);

impl<'a> Join<'a> {
    /// Nothing joined yet.
    #[must_use]
    pub fn new(sessions: &'a Sessions, actors: &'a Actors, catalog: &'a Catalog) -> Self {
        Self {
            sessions,
            actors,
            catalog,
            texts: Texts::default(),
            who: HashMap::new(),
            acts: Vec::new(),
            rows: HashMap::new(),
            assumed: BTreeMap::new(),
            data: HashSet::new(),
            times: None,
            from: Day(i32::MIN),
            permissionless: BTreeSet::new(),
            unmapped: BTreeMap::new(),
            recorded: BTreeMap::new(),
            exported: Exported::default(),
            bare: HashSet::new(),
            copies: false,
        }
    }

    /// Also keeps when people used what (see [`Activity::times`]), and of rows before `from` nothing else.
    #[must_use]
    pub fn with_times(mut self, from: Day) -> Self {
        (self.times, self.from) = (Some(Vec::new()), from);
        self
    }

    /// With the hours of which only exports tell something: what lies there shows nothing of what the trails record.
    #[must_use]
    pub fn with_exported(mut self, exported: Exported) -> Self {
        self.exported = exported;
        self
    }

    fn behind(&mut self, session: SessionId) -> Option<Behind<'a>> {
        let (_, identity) = self.sessions.get(session)?;
        let actor = self.actors.get(&session)?;
        Some(Behind { identity, actor, acts: self.acts_of(actor) })
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

    /// Notes what the trails of the accounts recorded, by any record whoever made the call.
    fn note_kinds(&mut self, block: &UsageBlock, meanings: &[Meaning]) {
        let mut by_account: Vec<Kinds> = vec![Kinds::default(); block.texts().len()];
        for cell in block.cells().iter().filter(|cell| cell.day >= self.from) {
            if let (Some(known), Some(meaning)) =
                (by_account.get_mut(cell.account as usize), meanings.get(cell.call as usize))
                && !known.has(meaning.kinds)
                && !self.of_exports(block, cell, EventCategory::Management)
            {
                *known = known.with(meaning.kinds);
            }
        }
        for (number, kinds) in (0u32..).zip(by_account).filter(|(_, kinds)| !kinds.is_empty()) {
            let known = self.recorded.entry(block.text_of(number).to_owned()).or_default();
            *known = known.with(kinds);
        }
    }

    fn of_exports(&self, block: &UsageBlock, cell: &UsageCell, category: EventCategory) -> bool {
        self.exported.holds(cell, category, block.text_of(cell.account), block.text_of(cell.region))
    }

    /// Adds rows.
    pub fn add(&mut self, block: &UsageBlock) {
        let behind: Vec<Option<Behind<'a>>> = block.sessions().iter().map(|session| self.behind(*session)).collect();
        let meanings: Vec<Meaning> = block.calls().iter().map(|call| self.meaning(call)).collect();
        self.note_kinds(block, &meanings);
        // Rows of days that do not count need no texts.
        let mut texts: Vec<Option<u32>> = vec![None; block.texts().len()];
        let mut text = |known: &mut Texts, number: u32| match texts.get_mut(number as usize) {
            Some(there) => *there.get_or_insert_with(|| known.number(block.text_of(number))),
            None => known.number(""),
        };
        let (nothing, mut unmapped) = (self.texts.number(""), vec![0u64; meanings.len()]);
        let mut times = Vec::new();
        for cell in block.cells() {
            let at = (behind.get(cell.session as usize), block.calls().get(cell.call as usize));
            let ((Some(Some(behind)), Some(call)), Some(meaning)) = (at, meanings.get(cell.call as usize)) else {
                continue;
            };
            if !counts(cell.shared, block.text_of(cell.account), behind.identity) {
                self.copies = true;
                continue;
            }
            if let Some(who) = behind.acts.filter(|_| self.times.is_some() && call.outcome.supports_use()) {
                let start = i64::from(cell.day.0) * SLOTS_PER_DAY as i64;
                let slots = || cell.fact.slots.iter().map(|slot| start + i64::from(slot));
                times.extend(meaning.certain.iter().flat_map(|action| slots().map(|slot| (who, *action, slot))));
            }
            if cell.day < self.from {
                continue;
            }
            let resource = block.text_of(cell.resource);
            if meaning.assumption && resource.contains(":role/") {
                self.note_assumption(resource, cell, behind.actor);
            }
            let shows_data = meaning.data.is_some() && !self.of_exports(block, cell, EventCategory::Data);
            let [resource, account, region] =
                [cell.resource, cell.account, cell.region].map(|number| text(&mut self.texts, number));
            let is_named = resource != nothing;
            self.data.extend(meaning.data.filter(|_| is_named && shows_data).map(|action| (resource, action)));
            if let Some(calls) = unmapped.get_mut(cell.call as usize).filter(|_| meaning.unmapped) {
                *calls += cell.fact.count;
            }
            let Some(who) = behind.acts else { continue };
            if call.category != EventCategory::NetworkActivity || !call.outcome.supports_use() {
                self.note_presence(cell, call.outcome, who);
            }
            self.note_attempt(cell.day, &call.source, who, meaning.named);
            self.permissionless.extend(meaning.permissionless);
            for (action, need, on) in &meaning.uses {
                let on = on.map(|on| self.in_account(on, behind));
                let place = (on.unwrap_or(resource), account, region);
                self.add_use(cell, call.outcome, who, (*action, *need), place);
                // The same call touched more than it shows: on anything else the action is neither used nor unused.
                let others = meaning.others || cell.fact.several > 0;
                if others && is_named && on.is_none() && call.outcome != Outcome::Denied {
                    let place = (nothing, account, region);
                    self.add_use(cell, call.outcome, who, (*action, Need::Sometimes), place);
                }
            }
        }
        for (call, calls) in block.calls().iter().zip(unmapped).filter(|(_, calls)| *calls > 0) {
            *self.unmapped.entry((call.source.clone(), call.name.clone())).or_default() += calls;
        }
        times.sort_unstable();
        times.dedup();
        self.times.iter_mut().for_each(|all| all.append(&mut times));
    }

    /// What stands behind a call, whoever makes it.
    fn meaning(&mut self, call: &UsageCall) -> Meaning {
        let mapping = self.catalog.event(&call.source, &call.name, &call.variant);
        let first = mapping.actions().first().map(|named| named.id);
        let permissionless = without_permission(&mapping.mapped, call, self.catalog);
        // A denial that names its action is a denial of that action and of no other: RunInstances refused for
        // iam:PassRole is no refusal of ec2:RunInstances.
        let refused = (call.outcome == Outcome::Denied).then(|| self.catalog.find(&call.variant.refused)).flatten();
        let beside = refused.filter(|action| !mapping.actions().iter().any(|mapped| mapped.id == *action));
        let mut uses: Vec<Use> = permissionless.into_iter().chain(beside).map(|id| (id, Need::Always, None)).collect();
        for action in mapping.actions().iter().filter(|mapped| refused.is_none_or(|refused| mapped.id == refused)) {
            let on = match &action.on {
                CallResource::Main => None,
                CallResource::Role { value, kind } => Some(self.named(value, *kind)),
                CallResource::Named(_) => Some(self.texts.number("")),
            };
            uses.push((action.id, action.need, on));
        }
        // What passed an endpoint is recorded for the endpoint's owner beside the record of the call itself, which alone tells
        // whether it was allowed. Source: "Logging network activity events" (AWS CloudTrail User Guide).
        let passing = call.category == EventCategory::NetworkActivity;
        if passing {
            uses.iter_mut().for_each(|(_, need, _)| *need = Need::Sometimes);
        }
        let sts = call.source.starts_with("sts.") && call.name.starts_with("AssumeRole");
        let certain = permissionless.into_iter().chain(mapping.certain().map(|action| action.id));
        Meaning {
            named: first,
            data: first.filter(|_| call.category == EventCategory::Data),
            unmapped: mapping.mapped == Mapped::Unmapped,
            kinds: Kinds::of_call(
                &call.source,
                &call.name,
                call.category,
                first.and_then(|id| self.catalog.action(id)),
            ),
            permissionless,
            others: unseen(&call.source, &call.name) == Some(Unseen::Others),
            assumption: sts && call.outcome.supports_use() && !passing,
            certain: certain.filter(|_| !passing).collect(),
            uses,
        }
    }

    /// A role that a request names: its ARN, or what an ARN has after the account.
    fn named(&mut self, value: &str, kind: RoleKind) -> u32 {
        if value.starts_with("arn:") {
            return self.texts.number(value);
        }
        let name = match kind {
            RoleKind::Role => format!("role/{}", value.trim_start_matches('/')),
            RoleKind::InstanceProfile => format!("instance-profile/{value}"),
        };
        let number = self.texts.number(&name);
        self.bare.insert(number);
        number
    }

    /// The ARN of what [`Join::named`] has no account of: a role is passed in the account of whoever passes it. Source: "Granting
    /// a user permissions to pass a role to an AWS service" (IAM User Guide).
    fn in_account(&mut self, on: u32, behind: &Behind<'_>) -> u32 {
        let account = behind.identity.account.as_str();
        if account.is_empty() || !self.bare.contains(&on) {
            return on;
        }
        let name = self.texts.get(on);
        let partition = behind.actor.principal.strip_prefix("arn:").and_then(|rest| rest.split(':').next());
        self.texts.number(&format!("arn:{}:iam::{account}:{name}", partition.unwrap_or("aws")))
    }

    fn add_use(
        &mut self,
        cell: &UsageCell,
        outcome: Outcome,
        who: u32,
        (action, need): (ActionId, Need),
        (resource, account, region): (u32, u32, u32),
    ) {
        let row = self.rows.entry((who, action, resource, account, region)).or_default();
        row.add(outcome, need, cell.day, &cell.fact);
    }

    /// `AssumeRole*` and the services' own assumptions keep a role in use.
    fn note_assumption(&mut self, role: &str, cell: &UsageCell, actor: &Actor) {
        let assumed = self.assumed.entry(role.to_owned()).or_default();
        assumed.last = assumed.last.max(Some(cell.fact.last));
        assumed.days.insert(cell.day);
        if !assumed.by.contains(actor.principal.as_str()) {
            assumed.by.insert(actor.principal.to_string());
        }
    }

    fn note_presence(&mut self, cell: &UsageCell, outcome: Outcome, who: u32) {
        let Some(acts) = self.acts.get_mut(who as usize) else { return };
        acts.met = true;
        if outcome == Outcome::Denied {
            acts.denied += cell.fact.count;
        }
        if outcome.supports_use() {
            acts.calls += cell.fact.count;
            acts.seen.last = acts.seen.last.max(Some(cell.fact.last));
            acts.seen.days.insert(cell.day);
        }
    }

    /// What the call is named for comes first.
    fn note_attempt(&mut self, day: Day, source: &str, who: u32, named: Option<ActionId>) {
        let Some(acts) = self.acts.get_mut(who as usize) else { return };
        let Attempts { actions, services } = &mut acts.attempts;
        if let Some(action) = named {
            actions.entry(action).or_default().insert(day);
            return;
        }
        let service = source.split('.').next().unwrap_or_default();
        if let Some(days) = services.get_mut(service) {
            days.insert(day);
        } else {
            services.insert(service.to_owned(), BTreeSet::from([day]));
        }
    }

    /// Whether rows were left out that are copies in other accounts than the caller's: those that are the only record of
    /// their call are to be added, as rows that nobody shares.
    #[must_use]
    pub const fn left_copies(&self) -> bool {
        self.copies
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
        let mut sorted: Vec<(Cell, Cell, ActionUse)> = rows
            .into_iter()
            .map(|(cell, use_)| {
                let (who, action, resource, account, region) = cell;
                let text = |number: u32| rank(&ranks, number);
                ((rank(&people, who), action, text(resource), text(account), text(region)), cell, use_)
            })
            .collect();
        sorted.par_sort_unstable_by_key(|(order, ..)| *order);
        // A principal may act as a machine and as a person of no known name.
        sorted.dedup_by(|(order, _, use_), (before, _, kept)| {
            let same = order == before;
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
        let joined = sorted.into_iter().filter_map(|(_, cell, use_)| Some((key(cell)?, use_))).collect();
        let data_seen = data.into_iter().filter_map(|(resource, action)| {
            use crate::catalog::AccessLevel::{List, Read};
            let action = catalog.action(action)?;
            let write = !matches!(action.access(), List | Read);
            Some(DataResource { service: action.prefix().to_owned(), resource: texts.get(resource).to_string(), write })
        });
        let timed = timed(times.unwrap_or_default(), &acts);
        Activity {
            rows: joined,
            times: timed,
            data_seen: data_seen.collect(),
            presence: presence(&acts),
            assumed: self.assumed,
            permissionless: self.permissionless,
            unmapped: self.unmapped,
            recorded: Some(self.recorded),
        }
    }
}

/// When each person used what. Within, slots are in order, each once.
fn timed(mut times: Vec<(u32, ActionId, Slot)>, acts: &[Acts]) -> BTreeMap<TimeKey, Vec<Slot>> {
    times.par_sort_unstable();
    times.dedup();
    let mut found: BTreeMap<TimeKey, Vec<Slot>> = BTreeMap::new();
    for group in times.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let [(who, action, _), ..] = group else { continue };
        let Some(Acts { who, .. }) = acts.get(*who as usize) else { continue };
        // What only the name of a session leads to is no act of anybody's.
        let person = Arc::clone(&who.person);
        let key = TimeKey { principal: who.principal.clone(), person, action: *action };
        let slots = found.entry(key).or_default();
        let ordered = slots.is_empty();
        slots.extend(group.iter().map(|(_, _, slot)| *slot));
        // A principal may act as a machine and as a person of no known name.
        if !ordered {
            slots.sort_unstable();
            slots.dedup();
        }
    }
    found
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
fn without_permission(mapped: &Mapped<'_>, call: &UsageCall, catalog: &Catalog) -> Option<ActionId> {
    match mapped {
        Mapped::None { reason: "permissionless call" } => {
            let service = call.source.split('.').next()?;
            catalog.find(&format!("{service}:{}", call.name))
        }
        _ => None,
    }
}

/// Whether this record surely is the one that counts of the copies of a cross-account call: that of the caller's own
/// account. Of the others a store keeps one where it has not that.
fn counts(shared: bool, account: &str, identity: &Identity) -> bool {
    !shared || identity.account.is_empty() || identity.account == account
}

#[cfg(test)]
mod tests;
