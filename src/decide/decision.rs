//! An answer with its reasons.

use std::sync::Arc;

use crate::policy::Effect;

use super::evaluate::{Answer, Policies, ResourcePolicy};
use super::exempt;
use super::layers::{LayerKind, PolicySet, Provenance};
use super::request::{CallerKind, Request, ResourceRule};
use super::truth::Truth;
use super::worlds::{self, World};

/// A statement that had a part in a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// Where it stands.
    pub provenance: Provenance,
    /// Allow or Deny.
    pub effect: Effect,
    /// Whether it applies, or may.
    pub applies: Truth,
}

impl std::fmt::Display for Cited {
    /// `Deny scp p-1#NoRegions via ou-1`, with `perhaps` where it may not apply.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let perhaps = if self.applies.is_true() { "" } else { "perhaps " };
        let effect = if self.effect == Effect::Allow { "Allow" } else { "Deny" };
        write!(f, "{perhaps}{effect} {}", self.provenance)
    }
}

/// An answer with its reasons.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The answer.
    pub answer: Answer,
    /// The layers that decided: those that deny; for an implicit denial those that had to allow and do not; for an
    /// allowed request those that grant it. Empty where it is open.
    pub decided_by: Vec<LayerKind>,
    /// The statements that apply or may apply: for an explicit denial the Denies, otherwise all.
    pub statements: Vec<Cited>,
    /// Condition keys, as some policy writes them, on which an undecided answer depends.
    pub depends_on: Vec<String>,
    /// Values of those keys with which it is allowed, and with which it is not.
    pub examples: Vec<World>,
    /// What could not be looked at and could change the answer.
    pub caveats: Vec<String>,
}

impl Policies {
    /// The answer to one request, with its reasons.
    #[must_use]
    pub fn explain(&self, request: &Request) -> Decision {
        if let Some(answer) = exempt::permissionless(request) {
            let name = &request.action.text;
            let why = if answer == Answer::Allowed {
                format!("{name} needs no permission, and no policy takes it away")
            } else {
                format!("this caller cannot make {name}, whatever policies say")
            };
            return Decision {
                answer,
                decided_by: Vec::new(),
                statements: Vec::new(),
                depends_on: Vec::new(),
                examples: Vec::new(),
                caveats: vec![why],
            };
        }
        let mut evaluation = self.evaluate(request);
        let mut answer = evaluation.answered();
        let (mut depends_on, mut examples) = (Vec::new(), Vec::new());
        if answer == Answer::ImplicitlyDenied
            && evaluation.deny == Truth::Unknown
            && worlds::always_denied_explicitly(self, request)
        {
            answer = Answer::ExplicitlyDenied;
        } else if answer == Answer::Undecided {
            let settled = worlds::settle(self, request);
            answer = settled.answer;
            if answer == Answer::Undecided {
                depends_on = settled.keys;
                examples = settled.examples;
            } else if answer == Answer::Allowed
                && let Some(world) = settled.examples.first()
            {
                // It is the same in all worlds: any of them shows which layers give it.
                let mut known = request.clone();
                for (key, slot) in &world.values {
                    known.context.set(key, slot.clone());
                }
                let taken = world.caller.as_ref().and_then(|text| request.caller.taken_for(&text.parse().ok()?));
                if let Some(caller) = taken {
                    known.caller = Arc::new(caller);
                }
                evaluation = self.evaluate(&known);
            }
        }
        let mut decided_by: Vec<LayerKind> = match answer {
            Answer::ExplicitlyDenied => {
                let sure = evaluation.denies.iter().filter(|(_, deny)| deny.is_true()).map(|(layer, _)| *layer);
                let sure: Vec<LayerKind> = sure.collect();
                // In every world something denies, but not the same.
                if sure.is_empty() { evaluation.denies.iter().map(|(layer, _)| *layer).collect() } else { sure }
            }
            Answer::ImplicitlyDenied => {
                let lacking = |wanted: Truth| {
                    evaluation.needs.iter().filter(move |(_, allow)| *allow == wanted).map(|(layer, _)| *layer)
                };
                let sure: Vec<LayerKind> = lacking(Truth::False).collect();
                if sure.is_empty() { lacking(Truth::Unknown).collect() } else { sure }
            }
            Answer::Allowed => evaluation.grants,
            Answer::Undecided => Vec::new(),
        };
        decided_by.sort_unstable();
        decided_by.dedup();
        let statements = self.cite(request, answer);
        Decision { answer, decided_by, statements, depends_on, examples, caveats: self.caveats(request, answer) }
    }

    /// Every set that is looked at for the request.
    pub(super) fn sets(&self, request: &Request) -> Vec<&PolicySet> {
        let mut out: Vec<&PolicySet> = Vec::new();
        if request.caller.is_of_account() && request.caller.kind != CallerKind::Root {
            out.push(&self.identity);
            out.extend(self.boundary.as_deref());
            out.extend(self.session.as_deref());
        }
        if exempt::scps_bind(request) {
            out.extend(self.scps.iter());
        }
        if exempt::rcps_bind(request) {
            out.extend(self.rcps.iter());
        }
        if let ResourcePolicy::Is(set) = &self.resource {
            out.push(set);
        }
        out.extend(self.endpoint.as_deref());
        out
    }

    /// Every set that there is, whether it binds the caller or not.
    pub(super) fn every_set(&self) -> Vec<&PolicySet> {
        let mut out: Vec<&PolicySet> = vec![&self.identity];
        out.extend(self.boundary.as_deref());
        out.extend(self.session.as_deref());
        out.extend(self.scps.iter().chain(self.rcps.iter()));
        if let ResourcePolicy::Is(set) = &self.resource {
            out.push(set);
        }
        out.extend(self.endpoint.as_deref());
        out
    }

    fn cite(&self, request: &Request, answer: Answer) -> Vec<Cited> {
        let bounded = self.boundary.is_some();
        let mut out = Vec::new();
        for placed in self.sets(request).into_iter().flat_map(PolicySet::statements) {
            let effect = placed.statement.effect;
            if answer == Answer::ExplicitlyDenied && effect == Effect::Allow {
                continue;
            }
            let applies = placed.statement.applies(request, bounded).any();
            if !applies.is_false() {
                out.push(Cited { provenance: placed.provenance(), effect, applies });
            }
        }
        // What denies first, then what grants, then what merely lets through.
        out.sort_by(|a, b| {
            let key = |one: &Cited| {
                (one.effect == Effect::Allow, matches!(one.provenance.layer.kind(), LayerKind::Scp | LayerKind::Rcp))
            };
            key(a).cmp(&key(b)).then_with(|| a.provenance.cmp(&b.provenance))
        });
        out
    }

    fn caveats(&self, request: &Request, answer: Answer) -> Vec<String> {
        let mut out = Vec::new();
        for name in self.sets(request).into_iter().flat_map(|set| &set.broken) {
            out.push(format!("{name} cannot be read; it may allow or deny anything"));
        }
        let prefix = request.action.prefix().to_ascii_lowercase();
        let rule = request.rule();
        let allowed = answer == Answer::Allowed;
        let open = answer != Answer::ExplicitlyDenied;
        if matches!(self.resource, ResourcePolicy::NotCollected) && open && request.resource.as_str() != "*" {
            if !request.is_within_account() || rule != ResourceRule::Ordinary {
                out.push(format!("the policy of {} was not collected, and it decides", request.resource.as_str()));
            } else if exempt::has_resource_policies(&prefix) {
                out.push(format!(
                    "the policy of {} was not collected; it could grant or deny this",
                    request.resource.as_str()
                ));
            }
        }
        if rule == ResourceRule::Key && answer == Answer::ImplicitlyDenied {
            out.push("KMS grants are not looked at; one could allow this".to_owned());
        }
        if prefix == "s3" && request.resource.as_str() != "*" {
            if allowed && (!request.is_within_account() || request.caller.account.is_none()) {
                out.push(
                    "S3 Block Public Access and access points are not looked at; they could refuse this".to_owned(),
                );
            } else if answer == Answer::ImplicitlyDenied {
                out.push("S3 access control lists are not looked at; one could allow this".to_owned());
            }
            if request.resource.parts().is_some_and(|[_, _, _, _, resource]| resource.starts_with("accesspoint/")) {
                out.push("access points are not looked at: the bucket's policy has to allow this too".to_owned());
            }
        }
        out.sort();
        out.dedup();
        out
    }
}
