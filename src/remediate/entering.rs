//! Every recorded entry with a token into a role of which a plan says anew whom it lets in, decided again.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::Answer;
use crate::decide::context::{Context, Slot};
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::request::Caller;
use crate::model::arn::Arn;
use crate::model::event::Outcome;
use crate::model::snapshot::Snapshot;
use crate::usage::fold::{ShapeFact, ShapeKey};
use crate::usage::identity::{Actor, ActorKind};

use super::effect::Effect;
use super::found::Found;
use super::prove::{BEFORE_TOO, Inputs, Verdict};
use super::trust::{self, bearing, subject_of};
use super::watch::{self, Denial};
use super::{Misfit, Plan};

/// The action.
pub(super) const ACTION: &str = "sts:AssumeRoleWithWebIdentity";

/// The roles of which a plan says anew whom they let in, by ARN.
#[must_use]
pub fn rewritten(plan: &Plan) -> BTreeSet<&str> {
    let rewrites = |change: &&super::Change| {
        change.steps.iter().any(|step| matches!(step.effect, Effect::UpdateAssumeRolePolicy { .. }))
    };
    plan.changes.iter().filter(rewrites).map(|change| change.principal.as_str()).collect()
}

/// Whether the calls of somebody bear on a plan because it says anew who may come in by a token.
#[must_use]
pub fn concerns(plan: &Plan, actor: &Actor) -> bool {
    actor.kind == ActorKind::WebIdentity && !rewritten(plan).is_empty()
}

/// An entry, and what becomes of it.
pub(super) struct Entered<'a> {
    /// ARN of the role.
    pub(super) role: &'a str,
    /// Subject of the token; empty where the record does not show it.
    pub(super) subject: String,
    pub(super) verdict: Verdict,
    pub(super) why: String,
    pub(super) fact: &'a ShapeFact,
}

fn trust_of<'s>(state: &'s Snapshot, arn: &str) -> Option<&'s str> {
    let found = Found::of(state, arn)?;
    found.iam.roles.iter().find(|role| role.holder.arn == found.holder.arn).map(|role| role.trust.as_str())
}

/// The entries of a proof's window into roles whose trust policies change.
pub(super) fn entered<'a>(
    inputs: &Inputs<'a>,
    after: &Snapshot,
    (old, new): (&Inquiry<'_, '_>, &Inquiry<'_, '_>),
) -> Vec<Entered<'a>> {
    let roles = rewritten(inputs.plan);
    let trusts: BTreeMap<&str, (&str, &str)> = roles
        .into_iter()
        .filter_map(|role| Some((role, (trust_of(inputs.before, role)?, trust_of(after, role)?))))
        .collect();
    if trusts.is_empty() {
        return Vec::new();
    }
    let within = |fact: &ShapeFact| fact.last >= inputs.window.from && fact.first < inputs.window.to;
    let entries =
        inputs.shapes.iter().filter(|(key, fact)| trust::is_entry(key) && key.outcome.supports_use() && within(fact));
    let mut out = Vec::new();
    for (key, fact) in entries {
        let Some((_, identity)) = inputs.sessions.get(key.session) else { continue };
        let subject = subject_of(identity);
        for (role, both) in trusts.iter().filter(|(role, _)| trust::names(key, role)) {
            let (verdict, why) = match subject {
                _ if key.inexact || key.resources.is_empty() => {
                    (Verdict::Undecidable, "the record does not show into which role".to_owned())
                }
                None => (Verdict::Undecidable, "the record does not show the token's subject".to_owned()),
                Some(subject) => decided(inputs, (old, new), (key, fact), role, *both, (&identity.provider, subject)),
            };
            out.push(Entered { role, subject: subject.unwrap_or_default().to_owned(), verdict, why, fact });
        }
    }
    out
}

/// Refused entries since a plan was applied that it explains: it took the subject of the token out of what the role takes.
///
/// # Errors
/// When the plan does not fit the state that it was made from.
pub(super) fn refused(inputs: &watch::Inputs<'_>) -> Result<Vec<Denial>, Misfit> {
    let roles = rewritten(inputs.plan);
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    let after = inputs.plan.after(inputs.before)?;
    let mut out: BTreeMap<(&str, String), Denial> = BTreeMap::new();
    let late = |fact: &ShapeFact| fact.last >= inputs.applied && fact.last < inputs.until;
    let denied = |key: &ShapeKey| trust::is_entry(key) && key.outcome == Outcome::Denied;
    for (key, fact) in inputs.shapes.iter().filter(|(key, fact)| denied(key) && late(fact)) {
        let Some((_, identity)) = inputs.sessions.get(key.session) else { continue };
        let Some(subject) = subject_of(identity) else { continue };
        for role in roles.iter().filter(|role| trust::names(key, role)) {
            let told = |state| bearing(trust_of(state, role)?, &identity.provider, subject);
            if told(inputs.before) == told(&after) {
                continue;
            }
            let row = out.entry((role, subject.to_owned())).or_insert_with(|| Denial {
                principal: (*role).to_owned(),
                person: subject.to_owned(),
                source_identity: String::new(),
                action: ACTION.to_owned(),
                calls: 0,
                first: fact.first.max(inputs.applied),
                last: fact.last,
                examples: Vec::new(),
                through: String::new(),
                not_restored: "it is about whom a role lets in: a person has to look".to_owned(),
            });
            // Of those that began before it was applied the last one is known for sure.
            row.calls += if fact.first >= inputs.applied { fact.count } else { 1 };
            row.first = row.first.min(fact.first.max(inputs.applied));
            row.last = row.last.max(fact.last);
            if row.examples.len() < watch::EXAMPLES && fact.first >= inputs.applied && !fact.example.is_empty() {
                row.examples.push(fact.example.clone());
            }
        }
    }
    Ok(out.into_values().collect())
}

fn decided(
    inputs: &Inputs<'_>,
    (old, new): (&Inquiry<'_, '_>, &Inquiry<'_, '_>),
    (key, fact): (&ShapeKey, &ShapeFact),
    role: &str,
    (before, after): (&str, &str),
    (provider, subject): (&str, &str),
) -> (Verdict, String) {
    let told = |trust: &str| bearing(trust, provider, subject);
    if let (Some(before), Some(after)) = (told(before), told(after))
        && before == after
        && !before.is_empty()
    {
        return (Verdict::StillAllowed, "the same statements let it in".to_owned());
    }
    let issuer = provider.split_once(":oidc-provider/").map_or(provider, |(_, issuer)| issuer);
    let caller = provider.parse::<Arn>().ok().and_then(|arn| Caller::of_arn(&arn, None));
    let Some(caller) = caller.map(std::sync::Arc::new) else {
        return (Verdict::Undecidable, format!("the provider `{provider}` has no ARN"));
    };
    let ask = |inquiry: &Inquiry<'_, '_>| {
        let mut question = Question::new(ACTION, role, fact.first, inputs.catalog);
        let mut context = Context::open();
        for (name, value) in &key.context {
            context.set(name, Slot::one(value.as_str()));
        }
        context.set(&format!("{issuer}:sub"), Slot::one(subject));
        question.context = context;
        let (policies, request) = inquiry.of_other(std::sync::Arc::clone(&caller), &question);
        policies.explain(&request)
    };
    let (was, is) = (ask(old), ask(new));
    match (was.answer, is.answer) {
        (Answer::ImplicitlyDenied | Answer::ExplicitlyDenied, _) => (Verdict::Undecidable, BEFORE_TOO.to_owned()),
        (_, Answer::Allowed) => (Verdict::StillAllowed, "what is left lets it in".to_owned()),
        (_, Answer::Undecided) => (Verdict::Undecidable, format!("it depends on {}", is.depends_on.join(", "))),
        (_, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied) => {
            (Verdict::WouldBeDenied, format!("nothing that is left lets in {subject}"))
        }
    }
}
