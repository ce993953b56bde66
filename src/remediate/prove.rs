//! Every distinct recorded call of a plan's principals, decided again in the state after the plan.
//!
//! A plan narrows statements to fewer actions and resources, and leaves the rest of them as it is. So for most calls nothing
//! has to be decided: where the same statements bear on an action before and after, on all resources or on those that the
//! record names, the answer is the same, whatever the request carried; what was authorised still is. Only where they differ
//! the engine is asked, and where it cannot tell, the proof says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use rayon::prelude::*;
use serde::Serialize;

use crate::catalog::{ActionId, Catalog, Mapped, MappedAction, Need};
use crate::compare::last_day;
use crate::decide::compile::Compiler;
use crate::decide::context::{Context, Slot};
use crate::decide::inquiry::{Inquiry, Question, set_time};
use crate::decide::reach::Reach;
use crate::decide::request::ResourceRule;
use crate::decide::{Answer, Roster, exempt};
use crate::model::arn::Arn;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, Window};
use crate::usage::fold::{ShapeFact, ShapeKey};
use crate::usage::identity::{Actor, Actors};
use crate::usage::sessions::Sessions;

use super::entering::{self, Entered};
use super::found::Found;
use super::leaving::Leavers;
use super::opened::{Not, closed};
use super::side::Side;
use super::{Grant, Misfit, Plan};

pub use super::opened::opened;
pub(super) use super::opened::unusable;

/// Most example events of a row.
const EXAMPLES: usize = 3;
/// Calls that are decided at a time, on all cores.
const CHUNK: usize = 16_384;

/// Rows by verdict, principal, person, action, role and reason.
type Rows = BTreeMap<(Verdict, String, String, String, String, String), Row>;

/// What becomes of a recorded call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It would be refused.
    WouldBeDenied,
    /// It cannot be told.
    Undecidable,
    /// It would be refused, as it should be: whoever made it has left since.
    PersonLeft,
    /// It goes through while a grant is open: that is the friction.
    ThroughAGrant,
    /// It goes through as before.
    StillAllowed,
}

impl Verdict {
    /// As output names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldBeDenied => "would_be_denied",
            Self::Undecidable => "undecidable",
            Self::PersonLeft => "person_left",
            Self::ThroughAGrant => "through_a_grant",
            Self::StillAllowed => "still_allowed",
        }
    }
}

/// Calls of which the same is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// ARN of the principal.
    pub principal: String,
    /// Who made them; the subject of the token of one who came by that; empty where nobody is known.
    pub person: String,
    /// What becomes of them.
    pub verdict: Verdict,
    /// The action that decides; of calls behind which none is known, source and name.
    pub action: String,
    /// The role through which they go, where a grant is needed.
    pub through: String,
    /// Why, or what is missing.
    pub why: String,
    /// Recorded calls; copies in several accounts count each.
    pub calls: u64,
    /// Distinct ones.
    pub shapes: u64,
    /// The last.
    pub last: Timestamp,
    /// Events, the first ones of their kind.
    pub examples: Vec<String>,
}

/// A proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Hash of the plan.
    pub plan: String,
    /// Generation of the lake.
    pub generation: u64,
    /// The window of which every call was decided.
    pub window: Window,
    /// What becomes of them, the worst first.
    pub rows: Vec<Row>,
}

impl Proof {
    /// Recorded calls with a verdict.
    #[must_use]
    pub fn calls(&self, verdict: Verdict) -> u64 {
        self.rows.iter().filter(|row| row.verdict == verdict).map(|row| row.calls).sum()
    }
}

/// All that a proof is made from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The state that it was made from.
    pub before: &'a Snapshot,
    /// Every distinct call.
    pub shapes: &'a BTreeMap<ShapeKey, ShapeFact>,
    /// Who stands behind the sessions.
    pub actors: &'a Actors,
    /// The sessions themselves.
    pub sessions: &'a Sessions,
    /// People who have left.
    pub leavers: &'a Leavers,
    /// Which calls count.
    pub window: Window,
    /// Generation of the lake.
    pub generation: u64,
    /// The catalogue.
    pub catalog: &'a Catalog,
}

/// Proves.
///
/// # Errors
/// When the plan does not fit the state.
pub fn prove(inputs: &Inputs<'_>) -> Result<Proof, Misfit> {
    let after = opened(inputs.plan.after(inputs.before)?, inputs.plan);
    let compiler = Compiler::deciding(inputs.catalog);
    let (roster, old) = (Roster::new(&after, &compiler), Roster::new(inputs.before, &compiler));
    let before = Inquiry { roster: &old, organization: inputs.before.organization.as_ref() };
    let inquiry = Inquiry { roster: &roster, organization: after.organization.as_ref() };
    let changed = inputs.plan.changes.iter().flat_map(|change| change.holders().map(move |holder| (change, holder)));
    let worlds: HashMap<&str, World<'_>> = changed
        .map(|(change, holder)| {
            let grants = inputs.plan.grants.iter().filter(|grant| grant.principal == change.principal);
            let side = |snapshot: &Snapshot, arn: &str| Side::of(snapshot, arn, inputs.catalog);
            let found = Found::of(inputs.before, holder);
            let world = World {
                id: found.as_ref().map_or_else(|| change.id.clone(), |found| found.holder.id.clone()),
                before: side(inputs.before, holder),
                after: side(&after, holder),
                grants: grants
                    .filter_map(|grant| {
                        let closed = closed(&inquiry, grant, inputs.window.to, inputs.catalog);
                        let role = grant.role_for(holder)?;
                        Some(Open { grant, people: grant.people_for(holder), side: side(&after, &role), role, closed })
                    })
                    .collect(),
            };
            (holder, world)
        })
        .collect();
    let mut rows = Rows::new();
    let reach = Reach::new(inputs.catalog);
    let mine: Vec<Call<'_>> = inputs
        .shapes
        .iter()
        .filter_map(|(key, fact)| {
            let actor = inputs.actors.get(&key.session)?;
            let world = worlds.get(actor.principal.as_str())?;
            let within = fact.last >= inputs.window.from && fact.first < inputs.window.to;
            // The same name with another unique id was another principal.
            let other = !world.id.is_empty() && !actor.principal_id.is_empty() && actor.principal_id != world.id;
            let counts = within && !other && key.outcome.supports_use();
            counts.then_some(Call { inputs, inquiry: &inquiry, old: &before, world, reach: &reach, key, fact, actor })
        })
        .collect();
    // Some at a time: what is told of each is text.
    for some in mine.chunks(CHUNK) {
        let told: Vec<Told> = some.par_iter().map(Call::told).collect();
        for (call, told) in some.iter().zip(told) {
            call.add(told, &mut rows);
        }
    }
    for one in entering::entered(inputs, &after, (&before, &inquiry)) {
        enter(one, &mut rows);
    }
    let (plan, generation, window) = (inputs.plan.hash.clone(), inputs.generation, inputs.window);
    Ok(Proof { plan, generation, window, rows: rows.into_values().collect() })
}

/// Adds an entry with a token to the row of which the same is said: it is the role that is looked at.
fn enter(one: Entered<'_>, rows: &mut Rows) {
    let (role, action) = (one.role.to_owned(), entering::ACTION.to_owned());
    let at = (one.verdict, role.clone(), one.subject.clone(), action.clone(), String::new(), one.why.clone());
    let row = rows.entry(at).or_insert_with(|| Row::of(one.fact, (role, one.subject), one.verdict, action, one.why));
    row.count(one.fact);
}

impl Row {
    fn of(
        fact: &ShapeFact,
        (principal, person): (String, String),
        verdict: Verdict,
        action: String,
        why: String,
    ) -> Self {
        let (through, examples) = (String::new(), Vec::new());
        Self { principal, person, verdict, action, through, why, calls: 0, shapes: 0, last: fact.last, examples }
    }

    fn count(&mut self, fact: &ShapeFact) {
        self.calls += fact.count;
        self.shapes += 1;
        self.last = self.last.max(fact.last);
        if self.examples.len() < EXAMPLES && !fact.example.is_empty() {
            self.examples.push(fact.example.clone());
        }
    }
}

/// What bears on the calls of a principal.
#[derive(Debug)]
struct World<'p> {
    /// Unique id of the user or role; empty where not known.
    id: String,
    before: Side,
    after: Side,
    grants: Vec<Open<'p>>,
}

/// A grant that is open.
#[derive(Debug)]
struct Open<'p> {
    grant: &'p Grant,
    /// Who is eligible.
    people: &'p [String],
    /// ARN of its role, in the account of the principal.
    role: String,
    side: Side,
    /// Why its role cannot be assumed all the same.
    closed: Option<Not>,
}

/// What is said of a call.
struct Told {
    verdict: Verdict,
    action: String,
    through: String,
    why: String,
}

/// A recorded call.
struct Call<'a> {
    inputs: &'a Inputs<'a>,
    inquiry: &'a Inquiry<'a, 'a>,
    /// The state before.
    old: &'a Inquiry<'a, 'a>,
    world: &'a World<'a>,
    reach: &'a Reach<'a>,
    key: &'a ShapeKey,
    fact: &'a ShapeFact,
    actor: &'a Actor,
}

/// Why nothing is said of a call that would be refused already.
pub(super) const BEFORE_TOO: &str = "the policies before would not have allowed it either: what did is not known";

/// Name of a session of a grant's role, where policies ask for it.
const SESSION: &str = "jitscan";

impl Call<'_> {
    /// Adds it to the row of which the same is said.
    fn add(&self, told: Told, rows: &mut Rows) {
        let (actor, fact) = (self.actor, self.fact);
        let person = actor.sure_person().or_else(|| actor.likely_person()).unwrap_or_default();
        let Told { verdict, action, through, why } = told;
        let at =
            (verdict, actor.principal.to_string(), person.to_owned(), action.clone(), through.clone(), why.clone());
        let row = rows.entry(at).or_insert_with(|| {
            let whose = (actor.principal.to_string(), person.to_owned());
            Row { through, ..Row::of(fact, whose, verdict, action, why) }
        });
        row.count(fact);
    }

    fn told(&self) -> Told {
        let catalog = self.inputs.catalog;
        let mapping = catalog.event(&self.key.source, &self.key.name, &self.key.variant);
        let call = || format!("{} {}", self.key.source, self.key.name);
        let said =
            |verdict, action: String, why: &str| Told { verdict, action, through: String::new(), why: why.into() };
        match &mapping.mapped {
            Mapped::Unmapped => {
                let why = "the catalogue does not know which action stands behind this call";
                return said(Verdict::Undecidable, call(), why);
            }
            Mapped::None { .. } => return said(Verdict::StillAllowed, call(), "it needs no permission"),
            Mapped::Actions(_) => {}
        }
        let one = |action: &MappedAction<'_>| {
            let name = catalog.action(action.id).map(|one| one.full_name()).unwrap_or_default();
            let (verdict, through, why) = self.on(action, &name);
            // What the call may not have needed does not have to be allowed.
            if action.need == Need::Sometimes && verdict != Verdict::StillAllowed {
                let why = format!("the record does not show whether it needed {name}");
                return Told { verdict: Verdict::Undecidable, action: name, through: String::new(), why };
            }
            Told { verdict, action: name, through, why }
        };
        let worst = mapping.actions().iter().map(one).min_by_key(|told| told.verdict);
        worst.unwrap_or_else(|| said(Verdict::StillAllowed, call(), "it needs no permission"))
    }

    /// What becomes of it as far as one action goes, through which role, and why.
    fn on(&self, asked: &MappedAction<'_>, name: &str) -> (Verdict, String, String) {
        let action = asked.id;
        let world = self.world;
        let nothing = String::new;
        if world.before.is_broken() || world.after.is_broken() {
            return (Verdict::Undecidable, nothing(), "a policy cannot be read".to_owned());
        }
        let before = world.before.on(action);
        if before == world.after.on(action) || self.is_same_there(action) {
            // What was authorised is authorised again, unless something else of the state changed since: then it would be
            // refused now as it would be afterwards, and the plan has no part in it.
            let refused = asked.need != Need::Sometimes
                && (!world.before.allows(action) || !self.key.resources.is_empty())
                && matches!(self.ask(self.old, &self.actor.principal, None, name), Ok(Answer::ImplicitlyDenied));
            if refused {
                return (Verdict::Undecidable, nothing(), BEFORE_TOO.to_owned());
            }
            let why = "the same statements bear on it".to_owned();
            return (Verdict::StillAllowed, nothing(), why);
        }
        let (mut surely, mut perhaps) = (BTreeSet::new(), BTreeSet::new());
        for open in &world.grants {
            let there = open.side.on(action);
            if there.is_disjoint(&before) {
                continue;
            }
            match self.through(open, there == before, name) {
                Ok(why) => return (Verdict::ThroughAGrant, open.grant.role.clone(), why),
                Err(Not::Surely(why)) => drop(surely.insert(why)),
                Err(Not::Perhaps(why)) => drop(perhaps.insert(why)),
            }
        }
        let said = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join("; ");
        // What the state before would have refused was allowed by something that is not in it: nothing follows for after.
        if let Ok(Answer::ImplicitlyDenied) = self.ask(self.old, &self.actor.principal, None, name) {
            return (Verdict::Undecidable, nothing(), BEFORE_TOO.to_owned());
        }
        match self.ask(self.inquiry, &self.actor.principal, None, name) {
            Ok(Answer::Allowed) => (Verdict::StillAllowed, nothing(), "what is left allows it".to_owned()),
            Ok(_) if !perhaps.is_empty() => (Verdict::Undecidable, nothing(), said(perhaps)),
            Ok(_) => {
                surely.insert("nothing that is left allows it".to_owned());
                match self.left() {
                    Some(why) => (Verdict::PersonLeft, nothing(), why),
                    None => (Verdict::WouldBeDenied, nothing(), said(surely)),
                }
            }
            Err(why) => (Verdict::Undecidable, nothing(), why),
        }
    }

    /// Of somebody who has left when that was.
    fn left(&self) -> Option<String> {
        let (person, end) = self.inputs.leavers.of_call(self.actor)?;
        Some(format!("the last day of {person} was {}", last_day(end)))
    }

    /// Whether the same statements bear on an action on the very resources that the record names, whatever became of others.
    fn is_same_there(&self, action: ActionId) -> bool {
        let name = self.inputs.catalog.action(action).map(|action| action.full_name()).unwrap_or_default();
        let named = !self.key.inexact && self.key.resources.iter().all(|one| one.starts_with("arn:"));
        if !named || self.key.resources.is_empty() || self.lacks(&name) {
            return false;
        }
        let Ok(targets) = self.targets(&name) else { return false };
        let targets: Vec<String> = targets.into_iter().map(str::to_owned).collect();
        let on = |side: &Side| side.on_each(action, &targets);
        on(&self.world.before)
            .zip(on(&self.world.after))
            .is_some_and(|(before, after)| !before.is_empty() && before == after)
    }

    /// The resources of the call on which an action can work, of which it is asked: a function, and the role that it gets, are
    /// asked about by different ones.
    fn targets(&self, name: &str) -> Result<Vec<&str>, String> {
        let all: Vec<&str> = self.key.resources.iter().map(String::as_str).collect();
        let action = self.inputs.catalog.find(name).and_then(|id| self.inputs.catalog.action(id));
        let Some(action) = action.filter(|_| !all.is_empty()) else {
            return Ok(if all.is_empty() { vec!["*"] } else { all });
        };
        let some: Vec<&str> = all.into_iter().filter(|target| self.reach.works(action, target)).collect();
        match (some.is_empty(), action.resource_types().next().is_none()) {
            (false, _) => Ok(some),
            (true, true) => Ok(vec!["*"]),
            (true, false) => Err(format!("the record does not name on what it needed {name}")),
        }
    }

    /// Whether an action is checked on more than the record names.
    fn lacks(&self, name: &str) -> bool {
        let named: Vec<&str> = self.key.resources.iter().map(String::as_str).collect();
        let action = self.inputs.catalog.find(name).and_then(|id| self.inputs.catalog.action(id));
        action.is_some_and(|action| !named.is_empty() && self.reach.lacks(action, &named))
    }

    /// Whether it goes through by way of a grant, and why, or why that cannot be told.
    fn through(&self, open: &Open<'_>, same: bool, name: &str) -> Result<String, Not> {
        let grant = open.grant;
        let eligible = |person: &str| open.people.iter().any(|one| one == person);
        match (self.actor.sure_person(), self.actor.likely_person()) {
            (Some(person), _) if self.inputs.leavers.has(person) => {
                return Err(Not::Surely(format!("{person} has left")));
            }
            (Some(person), _) if eligible(person) => {}
            (None, Some(person)) if eligible(person) => {
                return Err(Not::Perhaps(format!(
                    "only the name of the session leads to {person}, who could ask for it"
                )));
            }
            (Some(person), _) => return Err(Not::Surely(format!("{person} is not eligible for {}", grant.role))),
            (None, Some(person)) => {
                return Err(Not::Perhaps(format!("only the name of the session leads to {person}")));
            }
            (None, None) => return Err(Not::Surely("nobody is known who could ask for it".to_owned())),
        }
        if let Some(why) = &open.closed {
            return Err(why.clone());
        }
        // What a session says it is stays along a chain of roles.
        let identity =
            self.inputs.sessions.get(self.key.session).map(|(_, identity)| identity.source_identity.as_str());
        if let Some(other) = identity.filter(|text| !text.is_empty() && grant.reach.is_empty())
            && !grant.source_identities.iter().any(|one| one == other)
        {
            return Err(Not::Surely(format!(
                "the session's source identity is {other}, which {} does not take",
                grant.role
            )));
        }
        match self.ask(self.inquiry, &open.role, Some(SESSION), name) {
            Ok(Answer::Allowed) => Ok("the role of the grant allows it".to_owned()),
            Ok(_) => Err(Not::Surely(format!("nor would the role of the grant, {}", grant.role))),
            // What cannot be decided was authorised once by the same statements; that they say nothing of the caller, and
            // that nobody else has a say, makes it so again.
            Err(_) if same && !open.side.depends_on_caller() && self.is_its_own() => {
                Ok("the same statements bear on it in the role of the grant".to_owned())
            }
            Err(why) => Err(Not::Perhaps(why)),
        }
    }

    /// Whether no policy but its own has to allow it: everything is in its own account, and no key's policy decides.
    fn is_its_own(&self) -> bool {
        let account = |arn: &String| {
            arn.parse::<Arn>()
                .is_ok_and(|arn| arn.account_text().is_empty() || arn.account_text() == self.actor.account.as_str())
        };
        let keys = self.key.source.starts_with("kms.");
        !keys && self.key.account == self.actor.account.as_str() && self.key.resources.iter().all(account)
    }

    /// What the engine answers in the state after the plan for every resource of the call; or why it cannot tell.
    fn ask(
        &self,
        inquiry: &Inquiry<'_, '_>,
        principal: &str,
        session: Option<&str>,
        action: &str,
    ) -> Result<Answer, String> {
        if self.key.inexact {
            return Err("too many calls like it were recorded to keep their resources apart".to_owned());
        }
        let standing = inquiry.roster.of(principal).next();
        let standing = standing.ok_or_else(|| format!("{principal} is not in the state after the plan"))?;
        let recorded = self.inputs.sessions.get(self.key.session).map(|(_, identity)| identity.arn.as_str());
        let recorded = match session {
            Some(name) => {
                let own = &standing.holder.arn;
                Some(format!("arn:{}:sts::{}:assumed-role/{}/{name}", own.partition(), own.account_text(), own.name()))
            }
            None => recorded.map(str::to_owned),
        };
        let session: Option<Arn> = recorded.and_then(|arn| arn.parse().ok());
        let session = session.filter(|arn| arn.service() == "sts");
        let caller = inquiry.caller(standing, session.as_ref()).ok_or("the caller's ARN cannot be read")?;
        let caller = Arc::new(caller);
        let targets = self.targets(action)?;
        let mut answers = BTreeSet::new();
        let mut missing = BTreeSet::new();
        for target in targets {
            if target != "*" && !target.starts_with("arn:") {
                return Err(format!("the record names its resource `{target}` without an ARN"));
            }
            let mut question = Question::new(action, target, self.fact.first, self.inputs.catalog);
            question.context = self.context();
            let (policies, request) = inquiry.of_principal(standing, Arc::clone(&caller), &question);
            let decision = policies.explain(&request);
            let shared = request.rule() == ResourceRule::Key || exempt::has_resource_policies(request.action.prefix());
            match decision.answer {
                Answer::Undecided => missing.extend(decision.depends_on.iter().chain(&decision.caveats).cloned()),
                // A policy that was not collected could give it.
                Answer::ImplicitlyDenied if shared && !decision.caveats.is_empty() => {
                    missing.extend(decision.caveats.iter().cloned());
                }
                answer => drop(answers.insert(answer == Answer::Allowed)),
            }
        }
        if !missing.is_empty() {
            return Err(format!("it depends on {}", missing.into_iter().collect::<Vec<_>>().join(", ")));
        }
        match answers.into_iter().collect::<Vec<_>>().as_slice() {
            [true] if self.lacks(action) => Err(format!("the record does not name all that {action} is checked on")),
            [true] => Ok(Answer::Allowed),
            [false] => Ok(Answer::ImplicitlyDenied),
            _ => Err("it is allowed on some of its resources only".to_owned()),
        }
    }

    /// What the record shows of the request.
    fn context(&self) -> Context {
        let mut context = Context::open();
        let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (key, value) in &self.key.context {
            values.entry(key).or_default().push(value.clone());
        }
        for (key, values) in values {
            context.set(key, Slot::Known(values));
        }
        if !self.key.region.is_empty() {
            context.set_default("aws:RequestedRegion", Slot::one(self.key.region.as_str()));
        }
        if self.fact.first == self.fact.last {
            set_time(&mut context, self.fact.first);
        }
        context
    }
}
