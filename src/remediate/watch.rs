//! What became of a plan once it was applied, and what would have become of it before it is: denied calls that the change
//! explains, and requests that people would have had to make.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::catalog::{ActionId, Catalog};
use crate::entitlements::{AccessClass, AccessClasses};
use crate::model::event::{CallVariant, Outcome};
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, Window};
use crate::recommend::friction::requests;
use crate::recommend::times::{SLOT_MINUTES, start_of};
use crate::usage::activity::Activity;
use crate::usage::fold::{SessionId, ShapeFact, ShapeKey};
use crate::usage::identity::{Actor, Actors, Basis};
use crate::usage::sessions::Sessions;

use super::entering;
use super::found::Found;
use super::prove::opened;
use super::side::Side;
use super::{Change, Grant, Misfit, Plan};

/// Most example events of a row.
pub(super) const EXAMPLES: usize = 3;

/// What bears on actions before and after a plan, by principal, and in its grants.
struct Sides<'p> {
    before: BTreeMap<&'p str, Side>,
    after: BTreeMap<&'p str, Side>,
    grants: BTreeMap<&'p str, Vec<(&'p Grant, Side)>>,
}

impl<'p> Sides<'p> {
    fn of(plan: &'p Plan, before: &Snapshot, catalog: &Catalog) -> Result<Self, Misfit> {
        let after = plan.after(before)?;
        let arns = || plan.changes.iter().flat_map(Change::holders);
        let mut grants: BTreeMap<&str, Vec<(&Grant, Side)>> = BTreeMap::new();
        let opened = opened(after.clone(), plan);
        for change in &plan.changes {
            let theirs = plan.grants.iter().filter(|grant| grant.principal == change.principal);
            for (grant, holder) in theirs.flat_map(|grant| change.holders().map(move |holder| (grant, holder))) {
                if let Some(role) = grant.role_for(holder) {
                    grants.entry(holder).or_default().push((grant, Side::of(&opened, &role, catalog)));
                }
            }
        }
        Ok(Self {
            before: arns().map(|arn| (arn, Side::of(before, arn, catalog))).collect(),
            after: arns().map(|arn| (arn, Side::of(&after, arn, catalog))).collect(),
            grants,
        })
    }

    /// Whether a plan takes something of an action from a principal.
    fn takes(&self, principal: &str, action: ActionId) -> bool {
        let sides = self.before.get(principal).zip(self.after.get(principal));
        sides.is_some_and(|(before, after)| before.on(action) != after.on(action))
    }

    /// Whether what bears on an action on some resources is what it was, by their names: something else may have refused it, or
    /// IAM knows the resource by another name.
    fn leaves(&self, principal: &str, action: ActionId, resources: &[String]) -> bool {
        let sides = self.before.get(principal).zip(self.after.get(principal));
        let named = !resources.is_empty() && resources.iter().all(|one| one.starts_with("arn:"));
        let same = |(before, after): (&Side, &Side)| {
            let (before, after) = (before.on_each(action, resources)?, after.on_each(action, resources)?);
            Some(!before.is_empty() && before == after)
        };
        named && sides.and_then(same).unwrap_or(false)
    }

    /// The grant by which a person gets an action of a principal.
    fn grant(&self, principal: &str, person: &str, action: ActionId) -> Option<&'p Grant> {
        let all = self.grants.get(principal)?;
        let eligible = |grant: &Grant| grant.people_for(principal).iter().any(|one| one == person);
        let fits = |(grant, side): &&(&'p Grant, Side)| eligible(grant) && side.allows(action);
        all.iter().find(fits).map(|(grant, _)| *grant)
    }
}

/// A denied call that a plan explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// ARN of the principal.
    pub principal: String,
    /// Who was denied; empty where nobody is known.
    pub person: String,
    /// The source identity of the session, for policies that let in this one alone; empty where it has none.
    pub source_identity: String,
    /// The action that was refused.
    pub action: String,
    /// Calls.
    pub calls: u64,
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// Events, the first ones.
    pub examples: Vec<String>,
    /// ARN of the role by which the person can ask for it; empty where there is none.
    pub through: String,
    /// Why it is not to be given back by itself; empty where it is.
    pub not_restored: String,
}

/// All that is looked at.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The state that it was made from.
    pub before: &'a Snapshot,
    /// Distinct calls of its principals, from the beginning of what it was proved on.
    pub shapes: &'a BTreeMap<ShapeKey, ShapeFact>,
    /// Their refused calls since it was applied; none of a lake that keeps no events.
    pub refused: &'a [Refusal],
    /// Who stands behind the sessions.
    pub actors: &'a Actors,
    /// The sessions.
    pub sessions: &'a Sessions,
    /// People who have left by the roster, with their end.
    pub left: &'a BTreeMap<String, Timestamp>,
    /// On which calls it was proved.
    pub proved: Window,
    /// When it was applied.
    pub applied: Timestamp,
    /// Until when denials count.
    pub until: Timestamp,
    /// The catalogue.
    pub catalog: &'a Catalog,
}

/// Whose denial it is: principal, person, source identity, action, whether the person is sure, and whether what bears on the
/// resources that were named is what it was.
type Whose = (String, String, String, ActionId, bool, bool);

/// A refused call, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose credentials made it.
    pub session: SessionId,
    /// `eventSource`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// What tells the call apart.
    pub variant: CallVariant,
    /// When.
    pub time: Timestamp,
    /// Its id; empty where it has none.
    pub id: String,
    /// ARNs of the resources that it names, or their bare names.
    pub resources: Vec<String>,
}

/// What tells whose a denial is.
struct Reading<'a> {
    inputs: &'a Inputs<'a>,
    sides: Sides<'a>,
    ids: BTreeMap<&'a str, &'a str>,
}

impl Reading<'_> {
    /// Who made a call, where that is a principal that the plan changes: the same name with another unique id is another
    /// one.
    fn actor(&self, session: SessionId) -> Option<&Actor> {
        let actor = self.inputs.actors.get(&session)?;
        let id = self.ids.get(actor.principal.as_str())?;
        let same = id.is_empty() || actor.principal_id.is_empty() || actor.principal_id == **id;
        same.then_some(actor)
    }

    /// Whose a refusal is that the plan explains, for each action that may have been refused.
    fn whose(
        &self,
        session: SessionId,
        (source, name): (&str, &str),
        variant: &CallVariant,
        on: &[String],
    ) -> Vec<Whose> {
        let Some(actor) = self.actor(session) else { return Vec::new() };
        let (catalog, arn) = (self.inputs.catalog, actor.principal.as_str());
        let actions: Vec<ActionId> = match catalog.find(&variant.refused) {
            Some(action) => vec![action],
            None => catalog.event(source, name, variant).certain().map(|action| action.id).collect(),
        };
        let person = actor.sure_person().or_else(|| actor.likely_person()).unwrap_or_default();
        let identity = self.inputs.sessions.get(session).map(|(_, identity)| identity);
        let source = identity.map(|one| one.source_identity.to_string()).unwrap_or_default();
        // Who says themselves who they are is not known for it.
        let sure = matches!(actor.basis, Basis::CredentialChain | Basis::IdentityCenter | Basis::IamUser);
        let sure = sure && actor.sure_person().is_some();
        let taken = actions.into_iter().filter(|action| self.sides.takes(arn, *action));
        let left = |action| self.sides.leaves(arn, action, on);
        taken.map(|action| (arn.to_owned(), person.to_owned(), source.clone(), action, sure, left(action))).collect()
    }

    fn row(&self, whose: &Whose, first: Timestamp) -> Denial {
        let (principal, person, source, action, ..) = whose;
        let through = self.sides.grant(principal, person, *action);
        Denial {
            principal: principal.clone(),
            person: person.clone(),
            source_identity: source.clone(),
            action: self.inputs.catalog.action(*action).map(|one| one.full_name()).unwrap_or_default(),
            calls: 0,
            first,
            last: first,
            examples: Vec::new(),
            through: through.map(|grant| grant.role.clone()).unwrap_or_default(),
            not_restored: String::new(),
        }
    }
}

/// Denied calls since a plan was applied that it explains: what it took bears on the action that was refused.
///
/// # Errors
/// When the plan does not fit the state that it was made from.
pub fn denials(inputs: &Inputs<'_>) -> Result<Vec<Denial>, Misfit> {
    let classes = AccessClasses::get();
    let holders = inputs.plan.changes.iter().flat_map(|change| change.holders().map(move |holder| (change, holder)));
    let ids = holders.map(|(change, holder)| {
        // Roles of a permission set have ids of their own.
        let own = Found::of(inputs.before, holder).filter(|_| !change.roles.is_empty());
        (holder, own.map_or(change.id.as_str(), |found| found.holder.id.as_str()))
    });
    let ids = ids.collect();
    let reading = Reading { inputs, sides: Sides::of(inputs.plan, inputs.before, inputs.catalog)?, ids };
    let mut rows: BTreeMap<Whose, Denial> = BTreeMap::new();
    for one in inputs.refused.iter().filter(|one| one.time >= inputs.applied && one.time < inputs.until) {
        for whose in reading.whose(one.session, (&one.source, &one.name), &one.variant, &one.resources) {
            let row = rows.entry(whose).or_insert_with_key(|whose| reading.row(whose, one.time));
            row.calls += 1;
            (row.first, row.last) = (row.first.min(one.time), row.last.max(one.time));
            if row.examples.len() < EXAMPLES && !one.id.is_empty() {
                row.examples.push(one.id.clone());
            }
        }
    }
    let mut used: BTreeSet<(String, String, ActionId)> = BTreeSet::new();
    let mut kept: BTreeMap<Whose, Denial> = BTreeMap::new();
    for (key, fact) in inputs.shapes {
        if key.outcome.supports_use() {
            let Some(actor) = reading.actor(key.session) else { continue };
            // What the proof saw: used before it was applied, by this very person.
            if fact.first < inputs.proved.to && fact.first < inputs.applied {
                let (arn, person) = (actor.principal.to_string(), actor.sure_person().unwrap_or_default().to_owned());
                let mapping = inputs.catalog.event(&key.source, &key.name, &key.variant);
                used.extend(mapping.certain().map(|action| (arn.clone(), person.clone(), action.id)));
            }
            continue;
        }
        // Of a lake without events: the last one is known for sure.
        let resources = if key.inexact { &[] } else { key.resources.as_slice() };
        if key.outcome == Outcome::Denied && fact.last >= inputs.applied && fact.last < inputs.until {
            for whose in reading.whose(key.session, (&key.source, &key.name), &key.variant, resources) {
                if rows.contains_key(&whose) {
                    continue;
                }
                let row = kept.entry(whose).or_insert_with_key(|whose| reading.row(whose, fact.last));
                row.calls += if fact.first >= inputs.applied { fact.count } else { 1 };
                row.first = row.first.min(fact.first.max(inputs.applied));
                row.last = row.last.max(fact.last);
            }
        }
    }
    rows.append(&mut kept);
    let entries = entering::refused(inputs)?;
    let of_set = |arn: &String| inputs.plan.changes.iter().any(|change| change.roles.contains(arn));
    for ((arn, person, source, action, sure, left), row) in &mut rows {
        let known = used.contains(&(arn.clone(), person.clone(), *action));
        let is_user = arn.contains(":user/");
        // Whoever provokes denials must not come to what they did not have: each of these is a way to try.
        row.not_restored = match () {
            () if inputs.left.contains_key(person) => "they have left: nobody should be there to be denied",
            () if *left => "what the plan left allows it on what was named: something else may have refused it",
            () if !row.through.is_empty() => "it can be asked for",
            () if of_set(arn) => "a permission set is the same for everybody: a person has to look",
            () if !is_user && !*sure => "nothing sure says who was denied",
            () if !is_user && source.is_empty() => {
                "the session has no source identity: who else comes by this role would get it, too"
            }
            () if !known => "the proof does not show that it was used before by whoever was denied",
            () if classes.of(*action) == AccessClass::Permissions => "it manages privileges",
            () => "",
        }
        .to_owned();
    }
    Ok(rows.into_values().chain(entries).collect())
}

/// What somebody would have had to ask for, had a plan been applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Who.
    pub person: String,
    /// ARN of the principal that they use now.
    pub principal: String,
    /// ARN of the role of the grant.
    pub role: String,
    /// How often, had a grant lasted as long as the plan says.
    pub requests: u64,
    /// The first request.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// Actions that were used, by name.
    pub actions: BTreeSet<String>,
}

/// What somebody used of a grant: when, and which actions.
struct Used<'p> {
    grant: &'p Grant,
    slots: BTreeSet<i64>,
    actions: BTreeSet<String>,
}

/// The requests that people would have had to make within a window: what they used that a plan moves to grants.
///
/// # Errors
/// When the plan does not fit the state that it was made from.
pub fn shadow(
    plan: &Plan,
    before: &Snapshot,
    activity: &Activity,
    window: Window,
    catalog: &Catalog,
) -> Result<Vec<Asked>, Misfit> {
    let sides = Sides::of(plan, before, catalog)?;
    let within = |slot: &i64| {
        let at = start_of(*slot);
        at >= window.from && at < window.to
    };
    // A permission set is asked for in each account.
    let mut used: BTreeMap<(String, &str, &str), Used<'_>> = BTreeMap::new();
    for (key, times) in &activity.times {
        let arn: &str = &key.principal.arn;
        if !sides.takes(arn, key.action) {
            continue;
        }
        let Some(grant) = sides.grant(arn, &key.person, key.action) else { continue };
        let times: Vec<i64> = times.iter().copied().filter(within).collect();
        if times.is_empty() {
            continue;
        }
        let at = (key.person.to_string(), grant.role.as_str(), arn);
        let one = used.entry(at).or_insert_with(|| Used { grant, slots: BTreeSet::new(), actions: BTreeSet::new() });
        one.slots.extend(times);
        one.actions.extend(catalog.action(key.action).map(|one| one.full_name()));
    }
    let asked = |((person, role, principal), used): ((String, &str, &str), Used<'_>)| {
        let slots: Vec<i64> = used.slots.into_iter().collect();
        let made = requests(&slots, (used.grant.minutes / SLOT_MINUTES).max(1));
        Some(Asked {
            person,
            principal: principal.to_owned(),
            role: role.to_owned(),
            requests: made.len() as u64,
            first: start_of(*made.first()?),
            last: start_of(*made.last()?),
            actions: used.actions,
        })
    };
    Ok(used.into_iter().filter_map(asked).collect())
}
