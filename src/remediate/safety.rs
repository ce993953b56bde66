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
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::policy::{ActionMatch, ActionPattern, Effect as Says, Statement, Wild};
use crate::recommend::escalation;

use super::effect::Effect;
use super::make::{CLOSED, Found};
use super::place::Place;
use super::side::Side;
use super::{Grant, PATH, Plan};

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
    out.extend(reaches_too_far(inputs.plan, inputs.before));
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
fn reaches_too_far(plan: &Plan, before: &Snapshot) -> Vec<String> {
    let mut out = Vec::new();
    let ours = |policy: &str| policy.split_once(":policy").is_some_and(|(_, rest)| rest.starts_with(PATH));
    for change in &plan.changes {
        // Names are unique in an account: one that leads to another ARN is somebody else.
        let found = Found::of(before, &change.principal).filter(|found| found.iam.account == change.account);
        let name = found.as_ref().map_or("", |found| found.holder.name.as_str());
        let is_user = found.as_ref().is_some_and(|found| found.groups.is_some());
        for step in &change.steps {
            let place = step.effect.place();
            let own = match &place {
                Place::RolePolicy { role, .. } | Place::RoleAttachment { role, .. } => !is_user && role == name,
                Place::UserPolicy { user, .. }
                | Place::UserAttachment { user, .. }
                | Place::Membership { user, .. } => is_user && user == name,
                Place::Policy { policy } => {
                    ours(policy) && policy.split(':').nth(4) == Some(&change.account.to_string())
                }
                Place::Role { .. } => false,
            };
            // What takes a step back must lead back to the same place.
            if found.is_none() || !own || step.undo.place() != place {
                out.push(format!("a step of {} changes {place}, which is not its own", change.principal));
            }
        }
    }
    for grant in &plan.grants {
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
        (ActionMatch::Action(_), ActionMatch::NotAction(_)) => true,
    };
    more.is_empty() && named
}

/// Whether what a statement allows is allowed by one of others: the same resources, at least the same conditions, and no
/// action more.
fn allowed_before(new: &(Statement, Arc<ActionSet>), before: &[(Statement, Arc<ActionSet>)]) -> bool {
    before.iter().any(|old| {
        old.0.effect == Says::Allow
            && old.0.resources == new.0.resources
            && old.0.conditions.iter().all(|condition| new.0.conditions.contains(condition))
            && within(new, old)
    })
}

/// Nobody may do more than before: every statement that allows was there, with as many actions or more, and every statement
/// that denies still is. The role of a grant holds no more than whom it is for, and lets in nobody else.
fn gives_more(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let side = |snapshot: &Snapshot, arn: &str| Side::of(snapshot, arn, inputs.catalog);
    let mut check = |of: &str, old: &[(Statement, Arc<ActionSet>)], new: &Side| {
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
    };
    let held = |arn: &str| -> Vec<(Statement, Arc<ActionSet>)> {
        let mut all = side(inputs.before, arn).statements().to_vec();
        all.extend(inputs.may_return.iter().flat_map(|past| {
            let past = side(past, arn);
            past.statements().iter().filter(|one| one.0.effect == Says::Allow).cloned().collect::<Vec<_>>()
        }));
        all
    };
    for change in &inputs.plan.changes {
        check(&change.principal, &held(&change.principal), &side(inputs.after, &change.principal));
    }
    for grant in &inputs.plan.grants {
        check(&grant.role, &held(&grant.principal), &side(inputs.after, &grant.role));
    }
    for grant in inputs.plan.grants.iter().filter(|grant| !is_closed_to_others(grant, inputs.before)) {
        out.push(format!("{} would let in others than {}, or at another time", grant.role, grant.principal));
    }
    out
}

/// Whether the role of a grant lets in its principal alone, closed, with a source identity, and within the same boundary.
fn is_closed_to_others(grant: &Grant, before: &Snapshot) -> bool {
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
    let changes = inputs.plan.changes.iter().map(|change| change.principal.as_str());
    let all: BTreeSet<&str> = changes.chain(inputs.plan.grants.iter().map(|grant| grant.principal.as_str())).collect();
    for arn in all {
        if caller.as_deref() == Some(arn) {
            out.push(format!("{arn} is who asks for it: somebody else has to"));
        }
        if executors.contains(arn) && caller.as_deref() != Some(arn) {
            out.push(format!("{arn} carries it out, and would change itself"));
        }
        if inputs.break_glass.iter().any(|glob| glob.matches(arn)) {
            out.push(format!("{arn} is break-glass: there to be when all else fails"));
        }
        if arn.contains("/aws-reserved/") || arn.contains("/aws-service-role/") {
            out.push(format!("{arn} is managed by AWS"));
        }
    }
    out
}

fn too_much(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let changes = inputs.plan.changes.iter().map(|change| change.principal.as_str());
    let all: BTreeSet<&str> = changes.chain(inputs.plan.grants.iter().map(|grant| grant.principal.as_str())).collect();
    let changed = all.len();
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
    let accounts: BTreeSet<AccountId> = inputs.plan.changes.iter().map(|change| change.account).collect();
    let of = |snapshot: &Snapshot| escalation::administrators(snapshot, inputs.catalog, inputs.at);
    let (before, after) = (of(inputs.before), of(inputs.after));
    let some = |all: &BTreeMap<AccountId, BTreeSet<String>>, account: &AccountId| {
        // A role for what is asked for is closed: nobody has it yet.
        let granted = |arn: &String| inputs.plan.grants.iter().any(|grant| grant.role == *arn);
        all.get(account).is_some_and(|arns| arns.iter().any(|arn| !granted(arn)))
    };
    let lost = accounts.iter().filter(|account| some(&before, account) && !some(&after, account));
    lost.map(|account| {
        let who = before.get(account).into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        format!("account {account} would be left without an administrator: {who} is the last")
    })
    .collect()
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
        if let Effect::CreateRole { tags, .. } = &step.effect
            && !tags.is_empty()
        {
            out.extend(asked(&old, inputs.before, account, (("iam:TagRole", None), &step.effect), of));
        }
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
