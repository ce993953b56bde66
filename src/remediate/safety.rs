//! What a plan must not do, whoever wrote it: checked with the policy engine on the state before and the state after, before
//! the first step is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{ActionSet, Catalog, Glob};
use crate::decide::compile::Compiler;
use crate::decide::context::Slot;
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::{Answer, Roster};
use crate::model::arn::{AccountId, Arn};
use crate::model::snapshot::{IdentityCenter, Snapshot};
use crate::model::time::Timestamp;
use crate::policy::{ActionMatch, ActionPattern, Effect as Says, Statement, Wild};
use crate::recommend::escalation;

use super::effect::Effect;
use super::found::Found;
use super::lasting;
use super::make::CLOSED;
use super::place::{Place, SetPart};
use super::prove::opened;
use super::set_effect::{SetChange, SetEffect};
use super::sets::roles_of as of_set_arn;
use super::side::Side;
use super::trust::is_within;
use super::{Change, Grant, PATH, Plan, Step};

/// How much a run may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most principals.
    pub principals: usize,
    /// Largest share of all users and roles, in percent.
    pub share: u8,
}

/// All that is looked at.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The state that it is made on, as it is now.
    pub before: &'a Snapshot,
    /// The state that it leads to.
    pub after: &'a Snapshot,
    /// As whom its calls are made in each account: the ARN of a user or role, or of a session of one.
    pub executors: &'a BTreeMap<AccountId, String>,
    /// Who asked for it: as above.
    pub caller: &'a str,
    /// Who must never lose anything.
    pub break_glass: &'a [Glob],
    /// The state before a plan that took too much: what stood there may be given back.
    pub may_return: Option<&'a Snapshot>,
    /// Whether it was begun: what it makes may be there.
    pub going_on: bool,
    /// How much it may change.
    pub limits: Limits,
    /// Now.
    pub at: Timestamp,
    /// The catalogue.
    pub catalog: &'a Catalog,
}

/// Why the plan is not to be applied, whatever stands: also of one that was begun. Empty where nothing speaks against it.
#[must_use]
pub fn objections_to_itself(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(reaches_too_far(inputs.plan, inputs.before, inputs.going_on));
    out.extend(touches_the_untouchable(inputs));
    out.extend(too_much(inputs));
    out
}

/// Why the plan is not to be applied; empty where nothing speaks against it.
#[must_use]
pub fn objections(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = objections_to_itself(inputs);
    if out.is_empty() {
        out.extend(gives_more(inputs));
        out.extend(lets_in_more(inputs));
    }
    if out.is_empty() {
        out.extend(gives_more_between(inputs));
    }
    // What is wrong so far makes the rest moot.
    if out.is_empty() {
        out.extend(no_administrator(inputs));
        out.extend(not_permitted(inputs));
    }
    out
}

/// The user or role behind an ARN of a caller, as IAM names it in an account's state.
#[must_use]
pub fn holder_of(snapshot: &Snapshot, arn: &str) -> Option<String> {
    let parsed: Arn = arn.parse().ok()?;
    if parsed.service() == "iam" {
        return Some(arn.to_owned());
    }
    let name = parsed.resource().strip_prefix("assumed-role/")?.split('/').next()?;
    let account: AccountId = parsed.account_text().parse().ok()?;
    let iam = snapshot.accounts.get(&account)?;
    iam.roles.iter().find(|role| role.holder.name == name).map(|role| role.holder.arn.to_string())
}

/// A change touches its own principal and policies that jitscan made; a grant its own role. Nothing else is anybody's.
fn reaches_too_far(plan: &Plan, before: &Snapshot, going_on: bool) -> Vec<String> {
    let mut out = Vec::new();
    let ours = |policy: &str| policy.split_once(":policy").is_some_and(|(_, rest)| rest.starts_with(PATH));
    out.extend(plan.changes.iter().filter(|change| writes_twice(&change.steps)).map(|change| {
        let whose = &change.principal;
        format!("a step of {whose} changes what another one of its steps changes")
    }));
    for change in plan.changes.iter().filter(|change| change.roles.is_empty()) {
        // Names are unique in an account: one that leads to another ARN is somebody else.
        let found = Found::of(before, &change.principal).filter(|found| found.iam.account == change.account);
        let name = found.as_ref().map_or("", |found| found.holder.name.as_str());
        let is_user = found.as_ref().is_some_and(|found| found.groups.is_some());
        for step in &change.steps {
            let place = step.effect.place();
            let own = match &place {
                Place::RolePolicy { role, .. } | Place::RoleAttachment { role, .. } | Place::RoleTrust { role } => {
                    !is_user && role == name
                }
                Place::UserPolicy { user, .. }
                | Place::UserAttachment { user, .. }
                | Place::Membership { user, .. } => is_user && user == name,
                Place::Policy { policy } => {
                    ours(policy) && policy.split(':').nth(4) == Some(&change.account.to_string())
                }
                Place::Role { .. } | Place::PermissionSet { .. } => false,
            };
            // What takes a step back must lead back to the same place.
            if found.is_none() || !own || step.undo.place() != place {
                out.push(format!("a step of {} changes {place}, which is not its own", change.principal));
            }
        }
    }
    out.extend(
        plan.changes.iter().filter(|change| !change.roles.is_empty()).flat_map(|change| set_too_far(change, before)),
    );
    out.extend(
        plan.grants
            .iter()
            .filter(|grant| !grant.reach.is_empty())
            .flat_map(|grant| new_set_too_far(grant, before, going_on)),
    );
    for grant in plan.grants.iter().filter(|grant| grant.reach.is_empty()) {
        if writes_twice(&grant.steps) {
            out.push(format!("{} is written twice", grant.role));
        }
        let name = grant.role.rsplit('/').next().unwrap_or_default();
        let path = grant.role.split_once(":role").is_some_and(|(_, rest)| rest.starts_with(PATH));
        let account = grant.role.split(':').nth(4) == Some(&grant.account.to_string());
        // It is made here: a role of that name that stands already is somebody else's.
        let made = matches!(grant.steps.first().map(|step| &step.effect), Some(Effect::CreateRole { role, .. }) if *role == grant.role);
        for step in &grant.steps {
            let place = step.effect.place();
            let own = match &place {
                Place::Role { role } => *role == grant.role,
                Place::RolePolicy { role, .. } | Place::RoleAttachment { role, .. } => role == name,
                _ => false,
            };
            if !path || !account || !made || !own || step.undo.place() != place {
                out.push(format!("a step of {} changes {place}, which is not its own", grant.role));
            }
        }
    }
    out
}

/// Whether a step is about this permission set of this organisation's Identity Center, and its undo, too.
fn is_of_set(step: &Step, set: &str, center: &IdentityCenter) -> bool {
    let place = step.effect.place();
    let own =
        matches!(&place, Place::PermissionSet { instance, set: of, .. } if of == set && *instance == center.instance);
    own && step.undo.place() == place
}

fn is_of_owner(account: AccountId, center: &IdentityCenter, state: &Snapshot) -> bool {
    let owner = center.owner.or_else(|| state.organization.as_ref().map(|one| one.management_account));
    owner == Some(account)
}

/// A change of a permission set is about that set, with all the roles that it becomes, and brings them to it.
fn set_too_far(change: &Change, before: &Snapshot) -> Vec<String> {
    let mut out = Vec::new();
    let set = &change.principal;
    let Some(center) = &before.identity_center else {
        return vec![format!("{set} is no permission set that is known")];
    };
    let known = center.permission_sets.iter().any(|one| one.arn == *set);
    let roles: BTreeSet<String> = of_set_arn(before, set).into_iter().map(|(_, arn)| arn).collect();
    if !known || !roles.iter().eq(&change.roles.iter().cloned().collect::<BTreeSet<_>>()) {
        out.push(format!("{set} has other roles than the plan says"));
    }
    if !is_of_owner(change.account, center, before) {
        out.push(format!("account {} does not own the Identity Center of {set}", change.account));
    }
    // Of every account that it reaches something has to be known: provisioning reaches them all.
    let known: BTreeSet<AccountId> = of_set_arn(before, set).into_iter().map(|(account, _)| account).collect();
    let unknown = center.assignments.iter().filter(|one| one.permission_set == *set && !known.contains(&one.account));
    for account in unknown.map(|one| one.account).collect::<BTreeSet<_>>() {
        out.push(format!("{set} is also used in account {account}, of which nothing is known"));
    }
    // Nor are its bounds anything that a plan changes.
    let fixed = |step: &Step| {
        matches!(step.effect.place(), Place::PermissionSet { part: SetPart::Whole | SetPart::Boundary, .. })
    };
    for step in change.steps.iter().filter(|step| !is_of_set(step, set, center) || fixed(step)) {
        out.push(format!("a step of {set} changes {}, which is not its own", step.effect.place()));
    }
    // The last call brings the roles to it; taken back, the first does.
    let provisions = |step: Option<&Step>| step.is_some_and(|step| step.effect.place().follows());
    if !provisions(change.steps.first()) || !provisions(change.steps.last()) {
        out.push(format!("the plan would leave the roles of {set} behind what it says"));
    }
    out
}

/// A permission set for a grant is made here, and is for accounts in which there is the one whose place it takes.
fn new_set_too_far(grant: &Grant, before: &Snapshot, going_on: bool) -> Vec<String> {
    let mut out = Vec::new();
    let name = &grant.role;
    let Some(center) = &before.identity_center else { return vec![format!("{name} has no Identity Center to be in")] };
    let creates = |step: &Step| matches!(&step.effect, Effect::Set(effect) if matches!(effect.change, SetChange::CreatePermissionSet { .. }));
    // Of a plan that was begun it may be there.
    let there = !going_on && center.permission_sets.iter().any(|one| one.name == *name);
    let made = grant.steps.first().is_some_and(creates) && !there;
    let accounts: BTreeSet<AccountId> =
        of_set_arn(before, &grant.principal).into_iter().map(|(account, _)| account).collect();
    if !made || name.starts_with("arn:") || !is_of_owner(grant.account, center, before) {
        out.push(format!("{name} is not made here"));
    }
    out.extend(
        grant
            .reach
            .keys()
            .filter(|account| !accounts.contains(account))
            .map(|account| format!("{name} would reach account {account}, which {} does not", grant.principal)),
    );
    for step in grant.steps.iter().filter(|step| !is_of_set(step, name, center)) {
        out.push(format!("a step of {name} changes {}, which is not its own", step.effect.place()));
    }
    if writes_twice(&grant.steps) {
        out.push(format!("{name} is written twice"));
    }
    out
}

/// Whether two steps write one place: then what stands there in between is nowhere looked at. Bringing its roles to a permission
/// set is no writing.
fn writes_twice(steps: &[Step]) -> bool {
    let places = || steps.iter().map(|step| step.effect.place()).filter(|place| !place.follows());
    places().collect::<BTreeSet<Place>>().len() < places().count()
}

/// Whether every action of a statement is one of another.
fn within(new: &(Statement, Arc<ActionSet>), old: &(Statement, Arc<ActionSet>)) -> bool {
    let mut more = (*new.1).clone();
    more.subtract(&old.1);
    let parse = |pattern: &str| Wild::parse(&pattern.to_ascii_lowercase(), false);
    let covered = |one: &str, all: &[ActionPattern]| all.iter().any(|other| parse(other.as_str()).covers(&parse(one)));
    let named = match (&new.0.actions, &old.0.actions) {
        // Also of actions that the catalogue does not know.
        (ActionMatch::Action(new), ActionMatch::Action(old)) => new.iter().all(|one| covered(one.as_str(), old)),
        (ActionMatch::NotAction(new), ActionMatch::NotAction(old)) => old.iter().all(|one| covered(one.as_str(), new)),
        (ActionMatch::NotAction(_), ActionMatch::Action(old)) => old.iter().any(ActionPattern::is_everything),
        (ActionMatch::Action(new), ActionMatch::NotAction(old)) => {
            let overlaps =
                |one: &ActionPattern| old.iter().any(|other| parse(other.as_str()).overlaps(&parse(one.as_str())));
            !new.iter().any(overlaps)
        }
    };
    more.is_empty() && named
}

/// Whether what a statement allows is allowed by one of others: the same resources, at least the same conditions, and no
/// action more.
fn allowed_before(new: &(Statement, Arc<ActionSet>), before: &[(Statement, Arc<ActionSet>)]) -> bool {
    before.iter().any(|old| {
        old.0.effect == Says::Allow
            && (old.0.resources == new.0.resources || old.0.resources.covers(&new.0.resources))
            && old.0.conditions.iter().all(|condition| new.0.conditions.contains(condition))
            && within(new, old)
    })
}

/// What somebody could do that they could not before.
fn more_than(of: &str, old: &[(Statement, Arc<ActionSet>)], new: &Side) -> Vec<String> {
    let mut out = Vec::new();
    let denied = |one: &&(Statement, Arc<ActionSet>)| one.0.effect == Says::Deny;
    let more = new.statements().iter().filter(|one| !denied(one)).any(|one| !allowed_before(one, old));
    let same = |a: &Statement, b: &Statement| {
        (a.effect, &a.actions, &a.resources, &a.conditions) == (b.effect, &b.actions, &b.resources, &b.conditions)
    };
    let gone = old.iter().filter(denied).any(|one| !new.statements().iter().any(|other| same(&one.0, &other.0)));
    if more || new.is_broken() {
        out.push(format!("{of} could do more than before"));
    }
    if gone {
        out.push(format!("{of} would be denied less than before"));
    }
    out
}

/// Nor may anybody while the plan is being made, after whichever of its steps: it may stop there.
fn gives_more_between(inputs: &Inputs<'_>) -> Vec<String> {
    let mut state = inputs.before.clone();
    let mut out = BTreeSet::new();
    let side = |state: &Snapshot, arn: &str| Side::of(state, arn, inputs.catalog);
    for change in inputs.plan.changes.iter().filter(|change| change.roles.is_empty()) {
        let mut old = side(inputs.before, &change.principal).statements().to_vec();
        if let Some(past) = inputs.may_return {
            let past = side(past, &change.principal);
            old.extend(past.statements().iter().filter(|one| one.0.effect == Says::Allow).cloned());
        }
        for step in &change.steps {
            if step.effect.make_in(&mut state, change.account).is_err() {
                break;
            }
            out.extend(more_than(&change.principal, &old, &side(&state, &change.principal)));
        }
    }
    out.into_iter().map(|why| format!("{why}, for a while")).collect()
}

/// Nobody may do more than before: every statement that allows was there, with as many actions or more, and every statement
/// that denies still is. The role of a grant holds no more than whom it is for, and lets in nobody else.
fn gives_more(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let side = |snapshot: &Snapshot, arn: &str| Side::of(snapshot, arn, inputs.catalog);
    let mut check = |of: &str, old: &[(Statement, Arc<ActionSet>)], new: &Side| out.extend(more_than(of, old, new));
    let held = |arn: &str| -> Vec<(Statement, Arc<ActionSet>)> {
        let mut all = side(inputs.before, arn).statements().to_vec();
        all.extend(inputs.may_return.iter().flat_map(|past| {
            let past = side(past, arn);
            past.statements().iter().filter(|one| one.0.effect == Says::Allow).cloned().collect::<Vec<_>>()
        }));
        all
    };
    for holder in inputs.plan.changes.iter().flat_map(Change::holders) {
        check(holder, &held(holder), &side(inputs.after, holder));
    }
    let open = opened(inputs.after.clone(), inputs.plan);
    for grant in &inputs.plan.grants {
        if grant.reach.is_empty() {
            check(&grant.role, &held(&grant.principal), &side(inputs.after, &grant.role));
        }
        for (account, role) in of_set_arn(inputs.before, &grant.principal) {
            if grant.reach.contains_key(&account) {
                let granted = grant.role_in(account, role.split(':').nth(1).unwrap_or("aws"));
                check(&granted, &held(&role), &side(&open, &granted));
            }
        }
    }
    let bounds =
        |snapshot: &Snapshot, arn: &str| Found::of(snapshot, arn).and_then(|found| found.holder.boundary.clone());
    let others = inputs.plan.changes.iter().flat_map(Change::holders);
    for holder in others.filter(|holder| bounds(inputs.before, holder) != bounds(inputs.after, holder)) {
        out.push(format!("{holder} would have another permissions boundary"));
    }
    for grant in inputs.plan.grants.iter().filter(|grant| !is_closed_to_others(grant, inputs.before, inputs.after)) {
        out.push(format!("{} would let in others than {}, or at another time", grant.role, grant.principal));
    }
    out
}

/// Nobody may come in who could not before.
fn lets_in_more(inputs: &Inputs<'_>) -> Vec<String> {
    let trust = |snapshot: &Snapshot, arn: &str| {
        let mut roles = snapshot.accounts.values().flat_map(|iam| &iam.roles);
        roles.find(|role| role.holder.arn.as_str() == arn).map(|role| role.trust.clone())
    };
    let more = |holder: &&str| {
        let (new, old) = (trust(inputs.after, holder), trust(inputs.before, holder));
        new != old && !new.zip(old).is_some_and(|(new, old)| is_within(&new, &old))
    };
    let holders = inputs.plan.changes.iter().flat_map(Change::holders).filter(more);
    holders.map(|holder| format!("{holder} would let in others than before")).collect()
}

/// Whether the role of a grant lets in its principal alone, closed, with a source identity, and within the same boundary.
fn is_closed_to_others(grant: &Grant, before: &Snapshot, after: &Snapshot) -> bool {
    // To a permission set nobody is assigned when it is made; it stands within the same bounds.
    if !grant.reach.is_empty() {
        let bounds = |state: &Snapshot, set: &str| {
            let sets = state.identity_center.iter().flat_map(|center| &center.permission_sets);
            let found = sets.into_iter().find(|one| one.arn == set || one.name == set)?;
            Some(found.policies.as_ref()?.boundary.clone())
        };
        let old = bounds(before, &grant.principal);
        return old.is_some() && old == bounds(after, &grant.role);
    }
    let Some(Effect::CreateRole { trust, boundary, .. }) = grant.steps.first().map(|step| &step.effect) else {
        return false;
    };
    let Ok(trust) = serde_json::from_str::<serde_json::Value>(trust) else { return false };
    let statement = match trust.get("Statement").and_then(serde_json::Value::as_array).map(Vec::as_slice) {
        Some([one]) => one,
        _ => return false,
    };
    let said = |pointer: &str| statement.pointer(pointer);
    let only = said("/Principal").is_some_and(|who| *who == serde_json::json!({ "AWS": grant.principal }));
    let actions =
        said("/Action").is_some_and(|all| *all == serde_json::json!(["sts:AssumeRole", "sts:SetSourceIdentity"]));
    let closed =
        said("/Condition/DateLessThan").is_some_and(|end| *end == serde_json::json!({ "aws:CurrentTime": CLOSED }));
    let named = said("/Condition/StringEquals/sts:SourceIdentity");
    let named = named.is_some_and(|all| *all == serde_json::json!(grant.source_identities))
        && !grant.source_identities.is_empty();
    let bounded = Found::of(before, &grant.principal).is_some_and(|found| found.holder.boundary == *boundary);
    only && actions && closed && named && bounded
}

/// Who asked, who carries it out, break-glass, and what AWS manages.
fn touches_the_untouchable(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let holder = |arn: &str| holder_of(inputs.before, arn);
    let caller = holder(inputs.caller);
    let executors: BTreeSet<String> = inputs.executors.values().filter_map(|arn| holder(arn)).collect();
    for arn in everybody(inputs.plan) {
        if caller.as_deref() == Some(arn) {
            out.push(format!("{arn} is who asks for it: somebody else has to"));
        }
        if executors.contains(arn) && caller.as_deref() != Some(arn) {
            out.push(format!("{arn} carries it out, and would change itself"));
        }
        if inputs.break_glass.iter().any(|glob| glob.matches(arn)) {
            out.push(format!("{arn} is break-glass: there to be when all else fails"));
        }
        let of_set = inputs.plan.changes.iter().any(|change| change.roles.iter().any(|role| role == arn));
        if arn.contains("/aws-reserved/") && !of_set || arn.contains("/aws-service-role/") {
            out.push(format!("{arn} is managed by AWS"));
        }
    }
    out
}

/// Everybody whom a plan changes: users, roles, and permission sets with their roles.
fn everybody(plan: &Plan) -> BTreeSet<&str> {
    let changes = plan.changes.iter().flat_map(|change| change.holders().chain([change.principal.as_str()]));
    changes.chain(plan.grants.iter().map(|grant| grant.principal.as_str())).collect()
}

fn too_much(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    // Of a permission set its roles count.
    let named: Vec<&str> = inputs.plan.changes.iter().map(|change| change.principal.as_str()).collect();
    let distinct: BTreeSet<&str> = named.iter().copied().collect();
    if distinct.len() < named.len() {
        out.push("it names a principal twice".to_owned());
    }
    let sets = inputs.plan.changes.iter().filter(|change| !change.roles.is_empty()).map(|change| &change.principal);
    let changed = everybody(inputs.plan).len().saturating_sub(sets.collect::<BTreeSet<_>>().len());
    let all: usize = inputs.before.accounts.values().map(|iam| iam.users.len() + iam.roles.len()).sum();
    let Limits { principals, share } = inputs.limits;
    if changed > principals {
        out.push(format!("it changes {changed} principals, and at most {principals} may change in one run"));
    }
    if changed * 100 > all * usize::from(share) {
        out.push(format!("it changes {changed} of {all} users and roles, and at most {share} % may change in one run"));
    }
    out
}

/// Every account that somebody administers has somebody who does so afterwards.
fn no_administrator(inputs: &Inputs<'_>) -> Vec<String> {
    let of = |snapshot: &Snapshot| escalation::administrators(snapshot, inputs.catalog, inputs.at);
    let (before, after) = (of(inputs.before), of(inputs.after));
    let lost = lasting::lost(inputs.plan, inputs.before, &before, &after);
    lost.into_iter()
        .map(|account| {
            let who = before.get(&account).into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
            format!("account {account} would be left without an administrator: {who} is the last")
        })
        .collect()
}

fn set_resource(effect: &Effect) -> Option<String> {
    if let Effect::Set(effect) = effect { Some(effect.resource()) } else { None }
}

/// Every call, and every call that takes one back, may be made: the former now, the latter afterwards.
fn not_permitted(inputs: &Inputs<'_>) -> Vec<String> {
    let compiler = Compiler::deciding(inputs.catalog);
    let (old, new) = (Roster::new(inputs.before, &compiler), Roster::new(inputs.after, &compiler));
    type Named<'e> = ((&'static str, Option<&'e str>), &'e Effect);
    let asked =
        |roster: &Roster<'_>, snapshot: &Snapshot, account: AccountId, (action, effect): Named<'_>, of: &str| {
            let executor = inputs.executors.get(&account)?;
            let holder = holder_of(inputs.before, executor)?;
            let standing = roster.of(&holder).next()?;
            let inquiry = Inquiry { roster, organization: snapshot.organization.as_ref() };
            let session: Option<Arn> = executor.parse().ok().filter(|arn: &Arn| arn.service() == "sts");
            let caller = Arc::new(inquiry.caller(standing, session.as_ref())?);
            let (action, policy) = action;
            let resource = match effect.place() {
                Place::PermissionSet { .. } => set_resource(effect)?,
                Place::Policy { policy } => policy,
                Place::Role { role } => role,
                // Who is in a group is the group's.
                Place::Membership { group, .. } => {
                    let groups = snapshot.accounts.get(&account).map(|iam| &iam.groups);
                    groups.into_iter().flatten().find(|one| one.name == group)?.arn.to_string()
                }
                _ => of.to_owned(),
            };
            let mut question = Question::new(action, &resource, inputs.at, inputs.catalog);
            if let Some(policy) = policy {
                question.context.set("iam:PolicyARN", Slot::one(policy));
            }
            if let Effect::CreateRole { boundary: Some(boundary), .. } = effect {
                question.context.set("iam:PermissionsBoundary", Slot::one(boundary.as_str()));
            }
            let (policies, request) = inquiry.of_principal(standing, caller, &question);
            match policies.answer(&request) {
                Answer::ImplicitlyDenied | Answer::ExplicitlyDenied => {
                    Some(format!("{executor} may not call {action} on {resource}"))
                }
                Answer::Allowed | Answer::Undecided => None,
            }
        };
    let mut out = BTreeSet::new();
    for (account, of, step) in inputs.plan.steps() {
        out.extend(asked(&old, inputs.before, account, (step.effect.action(), &step.effect), of));
        let tags = match &step.effect {
            Effect::CreateRole { tags, .. } if !tags.is_empty() => Some("iam:TagRole"),
            Effect::Set(SetEffect { change: SetChange::CreatePermissionSet { tags, .. }, .. }) if !tags.is_empty() => {
                Some("sso:TagResource")
            }
            _ => None,
        };
        out.extend(tags.and_then(|tags| asked(&old, inputs.before, account, ((tags, None), &step.effect), of)));
        out.extend(
            asked(&new, inputs.after, account, (step.undo.action(), &step.undo), of)
                .map(|why| format!("{why}, which takes back what it does")),
        );
    }
    out.into_iter().collect()
}

#[cfg(test)]
#[path = "safety_tests.rs"]
mod tests;
