//! What a plan must not do, whoever wrote it: checked with the policy engine on the state before and the state after, before
//! the first step is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Catalog, Glob};
use crate::decide::compile::Compiler;
use crate::decide::context::Slot;
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::{Answer, Roster};
use crate::model::arn::{AccountId, Arn};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::recommend::escalation;

use super::effect::Effect;
use super::place::Place;
use super::{PATH, Plan};

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
    /// How much it may change.
    pub limits: Limits,
    /// Now.
    pub at: Timestamp,
    /// The catalogue.
    pub catalog: &'a Catalog,
}

/// Why the plan is not to be applied; empty where nothing speaks against it.
#[must_use]
pub fn objections(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(reaches_too_far(inputs.plan));
    out.extend(touches_the_untouchable(inputs));
    out.extend(too_much(inputs));
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
fn reaches_too_far(plan: &Plan) -> Vec<String> {
    let mut out = Vec::new();
    let ours = |policy: &str| policy.split_once(":policy").is_some_and(|(_, rest)| rest.starts_with(PATH));
    for change in &plan.changes {
        let name = change.principal.rsplit('/').next().unwrap_or_default();
        let is_user = change.principal.contains(":user/");
        for step in &change.steps {
            let place = step.effect.place();
            let own = match &place {
                Place::RolePolicy { role, .. } | Place::RoleAttachment { role, .. } => !is_user && role == name,
                Place::UserPolicy { user, .. }
                | Place::UserAttachment { user, .. }
                | Place::Membership { user, .. } => is_user && user == name,
                Place::Policy { policy } => ours(policy),
                Place::Role { .. } => false,
            };
            // What takes a step back must lead back to the same place.
            if !own || step.undo.place() != place {
                out.push(format!("a step of {} changes {place}, which is not its own", change.principal));
            }
        }
    }
    for grant in &plan.grants {
        let name = grant.role.rsplit('/').next().unwrap_or_default();
        let fits = grant.role.split_once(":role").is_some_and(|(_, rest)| rest.starts_with(PATH));
        for step in &grant.steps {
            let place = step.effect.place();
            let own = match &place {
                Place::Role { role } => *role == grant.role,
                Place::RolePolicy { role, .. } | Place::RoleAttachment { role, .. } => role == name,
                _ => false,
            };
            if !fits || !own || step.undo.place() != place {
                out.push(format!("a step of {} changes {place}, which is not its own", grant.role));
            }
        }
    }
    out
}

/// Who asked, who carries it out, break-glass, and what AWS manages.
fn touches_the_untouchable(inputs: &Inputs<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let holder = |arn: &str| holder_of(inputs.before, arn);
    let caller = holder(inputs.caller);
    let executors: BTreeSet<String> = inputs.executors.values().filter_map(|arn| holder(arn)).collect();
    for change in &inputs.plan.changes {
        let arn = change.principal.as_str();
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
    let changed = inputs.plan.changes.len();
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
    let asked = |roster: &Roster<'_>, snapshot: &Snapshot, account: AccountId, effect: &Effect, of: &str| {
        let executor = inputs.executors.get(&account)?;
        let holder = holder_of(inputs.before, executor)?;
        let standing = roster.of(&holder).next()?;
        let inquiry = Inquiry { roster, organization: snapshot.organization.as_ref() };
        let session: Option<Arn> = executor.parse().ok().filter(|arn: &Arn| arn.service() == "sts");
        let caller = Arc::new(inquiry.caller(standing, session.as_ref())?);
        let (action, policy) = effect.action();
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
        out.extend(asked(&old, inputs.before, account, &step.effect, of));
        out.extend(
            asked(&new, inputs.after, account, &step.undo, of)
                .map(|why| format!("{why}, which takes back what it does")),
        );
    }
    out.into_iter().collect()
}

#[cfg(test)]
#[path = "safety_tests.rs"]
mod tests;
