//! Whether a principal may make the calls of a technique: decided by the policy engine, on real resources and with every
//! condition, boundary and organisation policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{ActionId, Catalog};
use crate::decide::context::Slot;
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::{Answer, Caller, PolicySet, Standing};
use crate::model::time::Timestamp;
use crate::policy::{Effect, ResourceMatch};
use crate::usage::coverage::DEFAULT_REGIONS;

/// An answer, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Sure; else it hangs on what is not known.
    pub sure: bool,
    /// Statements that allow it.
    pub statements: BTreeSet<String>,
    /// Condition keys, and what else it hangs on.
    pub depends_on: BTreeSet<String>,
}

impl Proof {
    pub(super) fn nothing() -> Self {
        Self { sure: true, statements: BTreeSet::new(), depends_on: BTreeSet::new() }
    }

    /// Both are needed.
    pub(super) fn and(&mut self, other: Self) {
        self.sure &= other.sure;
        self.statements.extend(other.statements);
        self.depends_on.extend(other.depends_on);
    }
}

/// Asks for one principal.
pub(super) struct Asker<'a, 'r, 's> {
    pub inquiry: &'a Inquiry<'r, 's>,
    pub standing: &'a Standing<'s>,
    pub caller: Arc<Caller>,
    pub at: Timestamp,
    pub catalog: &'a Catalog,
    /// Actions that some Allow of its names; all where a policy cannot be read.
    named: Option<BTreeSet<ActionId>>,
    known: BTreeMap<(String, String, String), Option<Proof>>,
}

impl<'a, 'r, 's> Asker<'a, 'r, 's> {
    /// `wanted` are the actions of all techniques.
    pub(super) fn new(
        inquiry: &'a Inquiry<'r, 's>,
        standing: &'a Standing<'s>,
        at: Timestamp,
        catalog: &'a Catalog,
        wanted: &BTreeSet<ActionId>,
    ) -> Option<Self> {
        let caller = Arc::new(inquiry.caller(standing, None)?);
        let named = standing.identity.broken.is_empty().then(|| {
            let allows = || standing.identity.statements().iter().filter(|one| one.statement.effect == Effect::Allow);
            wanted.iter().copied().filter(|id| allows().any(|one| one.statement.actions.contains(*id))).collect()
        });
        Some(Self { inquiry, standing, caller, at, catalog, named, known: BTreeMap::new() })
    }

    /// Whether some policy of its names the action: most techniques end here.
    pub(super) fn may_ask(&self, action: &str) -> bool {
        let Some(named) = &self.named else { return true };
        // Trust policies may let in whose own policies say nothing.
        action == "sts:AssumeRole" || self.catalog.find(action).is_some_and(|id| named.contains(&id))
    }

    /// Whether the call is allowed on a resource; none where it is not.
    pub(super) fn on(&mut self, action: &str, resource: &str, context: &BTreeMap<String, String>) -> Option<Proof> {
        let carried: Vec<String> = context.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let key = (action.to_owned(), resource.to_owned(), carried.join(" "));
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut proof = self.ask(action, resource, context, None);
        // The caller chooses the region: one in which it is allowed suffices.
        if proof.as_ref().is_some_and(|proof| !proof.sure && proof.depends_on.contains(REGION)) {
            let found = self.regions(action).iter().find_map(|region| {
                let there = self.ask(action, &in_region(resource, region), context, Some(region));
                there.filter(|proof| proof.sure)
            });
            proof = found.or(proof);
        }
        self.known.insert(key, proof.clone());
        proof
    }

    fn ask(
        &self,
        action: &str,
        resource: &str,
        context: &BTreeMap<String, String>,
        region: Option<&str>,
    ) -> Option<Proof> {
        let mut question = Question::new(action, resource, self.at, self.catalog);
        for (name, value) in context {
            question.context.set(name, Slot::one(value.as_str()));
        }
        if let Some(region) = region {
            question.context.set(REGION, Slot::one(region));
        }
        let (policies, request) = self.inquiry.of_principal(self.standing, Arc::clone(&self.caller), &question);
        match policies.answer(&request) {
            Answer::Allowed | Answer::Undecided => {
                let decision = policies.explain(&request);
                let allow = |cited: &&crate::decide::Cited| cited.effect == Effect::Allow;
                let statements = decision.statements.iter().filter(allow).map(|one| one.provenance.to_string());
                Some(Proof {
                    sure: decision.answer == Answer::Allowed,
                    statements: statements.collect(),
                    depends_on: decision.depends_on.into_iter().collect(),
                })
            }
            Answer::ImplicitlyDenied | Answer::ExplicitlyDenied => None,
        }
    }

    /// Regions in which the action's calls may be made: that of a global service, or those that are on in every account.
    fn regions(&self, action: &str) -> &'static [&'static str] {
        let prefix = action.split(':').next().unwrap_or_default();
        let global = self.catalog.services().any(|service| service.prefix == prefix && service.home_region.is_some());
        match (self.standing.holder.arn.partition(), global) {
            ("aws", true) => &["us-east-1"],
            ("aws", false) => &DEFAULT_REGIONS,
            ("aws-cn", true) => &["cn-north-1"],
            ("aws-cn", false) => &["cn-north-1", "cn-northwest-1"],
            ("aws-us-gov", true) => &["us-gov-west-1"],
            ("aws-us-gov", false) => &["us-gov-east-1", "us-gov-west-1"],
            _ => &[],
        }
    }

    /// Whether the call is allowed on anything: the surest of what its policies name.
    pub(super) fn on_any(&mut self, action: &str, context: &BTreeMap<String, String>) -> Option<Proof> {
        let id = self.catalog.find(action)?;
        let mut found: Option<Proof> = None;
        for resource in self.samples(id) {
            match self.on(action, &resource, context) {
                Some(proof) if proof.sure => return Some(proof),
                Some(proof) => found = found.or(Some(proof)),
                None => {}
            }
        }
        found
    }

    /// Resources on which some layer allows the action: a name for every pattern.
    fn samples(&self, action: ActionId) -> BTreeSet<String> {
        let account = self.standing.account.to_string();
        let prefix = self.catalog.action(action).map(|action| action.prefix().to_owned()).unwrap_or_default();
        let any = format!("arn:aws:{prefix}:{SAMPLE_REGION}:{account}:x/x");
        let boundary = self.standing.boundary.iter().map(|boundary| &*boundary.policies);
        let sets: Vec<&PolicySet> = std::iter::once(&*self.standing.identity)
            .chain(boundary)
            .chain(self.standing.control.levels.iter())
            .collect();
        let mut out = BTreeSet::new();
        for placed in sets.iter().flat_map(|set| set.statements()) {
            if placed.statement.effect != Effect::Allow || !placed.statement.actions.contains(action) {
                continue;
            }
            match &placed.statement.scope.resources {
                ResourceMatch::Resource(patterns) => {
                    out.extend(patterns.iter().map(|pattern| sample(&pattern.to_string(), &account)));
                }
                ResourceMatch::NotResource(_) => drop(out.insert(any.clone())),
                ResourceMatch::Implied => {}
            }
        }
        out
    }
}

/// Condition key of the region that a request goes to.
const REGION: &str = "aws:RequestedRegion";
/// The region of resources that only a wildcard names.
const SAMPLE_REGION: &str = "us-east-1";

/// A resource as it would be called in another region, where the region is that of a sample.
fn in_region(resource: &str, region: &str) -> String {
    let mut parts: Vec<&str> = resource.splitn(6, ':').collect();
    match parts.get_mut(3) {
        Some(part) if *part == SAMPLE_REGION => *part = region,
        _ => return resource.to_owned(),
    }
    parts.join(":")
}

/// A name that a pattern matches.
fn sample(pattern: &str, account: &str) -> String {
    if pattern == "*" {
        return pattern.to_owned();
    }
    let mut parts: Vec<&str> = pattern.splitn(6, ':').collect();
    for (at, instead) in [(1, "aws"), (3, SAMPLE_REGION), (4, account)] {
        if let Some(part) = parts.get_mut(at).filter(|part| part.contains(['*', '?'])) {
            *part = instead;
        }
    }
    parts.join(":").replace(['*', '?'], "x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_chooses_the_region() {
        for (resource, want) in [
            ("arn:aws:lambda:us-east-1:1:function:x", "arn:aws:lambda:eu-west-1:1:function:x"),
            ("arn:aws:lambda:us-west-2:1:function:x", "arn:aws:lambda:us-west-2:1:function:x"),
            ("arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x"),
            ("*", "*"),
        ] {
            assert_eq!(in_region(resource, "eu-west-1"), want);
        }
    }

    #[test]
    fn samples_are_what_patterns_match() {
        for (pattern, want) in [
            ("*", "*"),
            ("arn:aws:lambda:*:*:function:dev-*", "arn:aws:lambda:us-east-1:111122223333:function:dev-x"),
            ("arn:*:iam::111122223333:role/*", "arn:aws:iam::111122223333:role/x"),
            ("arn:aws:s3:::b?cket", "arn:aws:s3:::bxcket"),
        ] {
            assert_eq!(sample(pattern, "111122223333"), want);
        }
    }
}
