//! Who can do something: every principal that may itself, and every one that may through roles that it can assume.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalog::Catalog;
use crate::model::arn::{AccountId, Arn};
use crate::model::time::Timestamp;
use crate::policy::{Effect, PrincipalElement, PrincipalPattern};

use super::decision::Decision;
use super::evaluate::Answer;
use super::inquiry::{Inquiry, Question};
use super::layers::LayerKind;
use super::request::{ActionName, Caller};
use super::standing::Standing;

/// The calls that give a session of a role.
const WAYS_IN: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];

/// Somebody who can, or may be able to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Able {
    /// ARN of a user or role; a service's or provider's name; an account outside; `*` for anybody.
    pub principal: String,
    /// `Allowed`, or `Undecided` where some step depends on what is not known.
    pub answer: Answer,
    /// The roles to assume on the way, first to last; empty where it can itself.
    pub path: Vec<String>,
    /// The layers that allow the last step.
    pub decided_by: Vec<LayerKind>,
    /// Condition keys on which it depends, over all steps.
    pub depends_on: Vec<String>,
}

/// A way to the goal.
#[derive(Clone)]
struct Way {
    answer: Answer,
    path: Vec<String>,
    decided_by: Vec<LayerKind>,
    depends_on: BTreeSet<String>,
}

/// Finds them, with at most `hops` roles on the way. Of several ways the shortest is told, and of these one that is
/// sure. Sorted by principal.
#[must_use]
pub fn who_can(
    inquiry: &Inquiry<'_, '_>,
    question: &Question,
    hops: usize,
    at: Timestamp,
    catalog: &Catalog,
) -> Vec<Able> {
    let ask = |standing: &Standing<'_>, question: &Question| -> Option<Decision> {
        let caller = Arc::new(inquiry.caller(standing, None)?);
        let (policies, request) = inquiry.of_principal(standing, caller, question);
        let quick = policies.answer(&request);
        if matches!(quick, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied) {
            return None;
        }
        let decision = policies.explain(&request);
        matches!(decision.answer, Answer::Allowed | Answer::Undecided).then_some(decision)
    };
    let principals = &inquiry.roster.principals;
    let direct: Vec<(String, Way)> = principals
        .par_iter()
        .filter_map(|standing| {
            let decision = ask(standing, question)?;
            let way = Way {
                answer: decision.answer,
                path: Vec::new(),
                decided_by: decision.decided_by,
                depends_on: decision.depends_on.into_iter().collect(),
            };
            Some((standing.holder.arn.to_string(), way))
        })
        .collect();
    let mut found: BTreeMap<String, Way> = BTreeMap::new();
    for (arn, way) in direct {
        keep(&mut found, arn, way);
    }
    let mut frontier: BTreeSet<String> = found.keys().cloned().collect();
    let entries = Entries::new(inquiry, catalog);
    for _ in 0..hops {
        let goals: Vec<(String, Way)> = frontier
            .iter()
            .filter(|arn| inquiry.roster.role(arn).is_some())
            .filter_map(|arn| Some((arn.clone(), found.get(arn)?.clone())))
            .collect();
        let steps: Vec<(String, Way)> =
            goals.par_iter().flat_map_iter(|(role, goal)| entries.of_role(role, goal, &ask, at)).collect();
        frontier =
            steps.into_iter().filter_map(|(arn, way)| keep(&mut found, arn.clone(), way).then_some(arn)).collect();
        if frontier.is_empty() {
            break;
        }
    }
    let tell = |(principal, way): (String, Way)| Able {
        principal,
        answer: way.answer,
        path: way.path,
        decided_by: way.decided_by,
        depends_on: way.depends_on.into_iter().collect(),
    };
    found.into_iter().map(tell).collect()
}

/// Keeps the better of two ways; says whether it is the new one.
fn keep(found: &mut BTreeMap<String, Way>, principal: String, way: Way) -> bool {
    let rank = |way: &Way| (way.answer == Answer::Undecided, way.path.len(), way.path.clone());
    match found.get(&principal) {
        Some(known) if rank(known) <= rank(&way) => false,
        _ => {
            found.insert(principal, way);
            true
        }
    }
}

/// Who may be able to enter roles, so that not everybody is asked about every role.
struct Entries<'i, 'r, 's> {
    inquiry: &'i Inquiry<'r, 's>,
    catalog: &'i Catalog,
    /// By account, the principals with some Allow for `sts:AssumeRole`, or a policy that cannot be read.
    assumers: BTreeMap<AccountId, Vec<&'i Standing<'s>>>,
}

impl<'i, 'r, 's> Entries<'i, 'r, 's> {
    fn new(inquiry: &'i Inquiry<'r, 's>, catalog: &'i Catalog) -> Self {
        let assume = ActionName::new("sts:AssumeRole", catalog);
        let mut assumers: BTreeMap<AccountId, Vec<&Standing<'_>>> = BTreeMap::new();
        for standing in &inquiry.roster.principals {
            let may = !standing.identity.broken.is_empty()
                || standing
                    .identity
                    .statements()
                    .iter()
                    .any(|placed| placed.statement.effect == Effect::Allow && placed.statement.names(&assume));
            if may {
                assumers.entry(standing.account).or_default().push(standing);
            }
        }
        Self { inquiry, catalog, assumers }
    }

    fn of_role(
        &self,
        role: &str,
        goal: &Way,
        ask: &(impl Fn(&Standing<'_>, &Question) -> Option<Decision> + Sync),
        at: Timestamp,
    ) -> Vec<(String, Way)> {
        let Some(trust) = self.inquiry.roster.trust(role) else { return Vec::new() };
        let step = |decision: Decision| {
            let open = decision.answer == Answer::Undecided || goal.answer == Answer::Undecided;
            let mut path = vec![role.to_owned()];
            path.extend(goal.path.iter().cloned());
            let mut depends_on = goal.depends_on.clone();
            depends_on.extend(decision.depends_on);
            let answer = if open { Answer::Undecided } else { Answer::Allowed };
            Way { answer, path, decided_by: decision.decided_by, depends_on }
        };
        let mut candidates: BTreeMap<&str, &Standing<'_>> = BTreeMap::new();
        let mut outside: BTreeSet<&PrincipalPattern> = BTreeSet::new();
        let everybody = self.inquiry.roster.principals.iter();
        for placed in trust.statements().iter().filter(|placed| placed.statement.effect == Effect::Allow) {
            let patterns = match &placed.statement.principal {
                Some(PrincipalElement::Principal(patterns)) => patterns.as_slice(),
                _ => &[PrincipalPattern::Everyone],
            };
            for pattern in patterns {
                match pattern {
                    PrincipalPattern::Account(account) => match self.assumers.get(account) {
                        Some(list) => candidates.extend(list.iter().map(|one| (one.holder.arn.as_str(), *one))),
                        None if self.inquiry.roster.scps(*account).is_none() => {
                            outside.insert(pattern);
                        }
                        None => {}
                    },
                    PrincipalPattern::Arn(arn) => self.named(arn, &mut candidates, &mut outside, pattern),
                    PrincipalPattern::Everyone => {
                        candidates.extend(everybody.clone().map(|one| (one.holder.arn.as_str(), one)));
                        outside.insert(pattern);
                    }
                    PrincipalPattern::Service(_) | PrincipalPattern::Federated(_) => {
                        outside.insert(pattern);
                    }
                    PrincipalPattern::UniqueId(_) | PrincipalPattern::CanonicalUser(_) => {}
                }
            }
        }
        let question = |action: &str| Question::new(action, role, at, self.catalog);
        let assume = question("sts:AssumeRole");
        let mut out: Vec<(String, Way)> = candidates
            .into_iter()
            .filter(|(arn, _)| *arn != role)
            .filter_map(|(arn, standing)| Some((arn.to_owned(), step(ask(standing, &assume)?))))
            .collect();
        for pattern in outside {
            let Some(caller) = outsider(pattern) else { continue };
            let caller = Arc::new(caller);
            for action in WAYS_IN {
                let (policies, request) = self.inquiry.of_other(Arc::clone(&caller), &question(action));
                let decision = policies.explain(&request);
                if matches!(decision.answer, Answer::Allowed | Answer::Undecided) {
                    out.push((pattern_text(pattern), step(decision)));
                }
            }
        }
        out
    }

    fn named<'p>(
        &self,
        arn: &Arn,
        candidates: &mut BTreeMap<&'i str, &'i Standing<'s>>,
        outside: &mut BTreeSet<&'p PrincipalPattern>,
        pattern: &'p PrincipalPattern,
    ) {
        // A session is entered through its role.
        let role = arn.resource().strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
        let mut known = false;
        let all = &self.inquiry.roster.principals;
        for standing in all {
            let is = standing.holder.arn == *arn
                || role.is_some_and(|name| Some(standing.account) == arn.account() && standing.holder.name == name);
            if is {
                known = true;
                candidates.insert(standing.holder.arn.as_str(), standing);
            }
        }
        if !known && arn.account().is_some_and(|account| self.inquiry.roster.scps(account).is_none()) {
            outside.insert(pattern);
        }
    }
}

/// A caller that stands for a pattern that names nobody of the snapshot.
fn outsider(pattern: &PrincipalPattern) -> Option<Caller> {
    match pattern {
        PrincipalPattern::Service(name) => Some(Caller::service(name)),
        PrincipalPattern::Federated(name) => Some(Caller::provider(name)),
        PrincipalPattern::Arn(arn) => Caller::of_arn(arn, None),
        // Some role of that account.
        PrincipalPattern::Account(account) => {
            Caller::of_arn(&format!("arn:aws:iam::{account}:role/(any)").parse().ok()?, None)
        }
        PrincipalPattern::Everyone => Caller::of_arn(&"arn:aws:iam::000000000000:role/(any)".parse().ok()?, None),
        PrincipalPattern::UniqueId(_) | PrincipalPattern::CanonicalUser(_) => None,
    }
}

fn pattern_text(pattern: &PrincipalPattern) -> String {
    match pattern {
        PrincipalPattern::Account(account) => format!("account {account} (not collected)"),
        PrincipalPattern::Everyone => "* (any account)".to_owned(),
        other => other.to_string(),
    }
}
