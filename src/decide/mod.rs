//! Decisions: may this caller do this, by every layer of policies, and why.
//!
//! [`Policies::answer`] is the engine. It works on compiled statements ([`compile`]), three-valued: a condition key
//! that a request does not say is absent or not known, and what is not known travels to the answer, which is
//! `Undecided` only where both outcomes remain possible ([`worlds`] tries them where the layers each for itself
//! leave it open). [`Policies::explain`] adds the layers and statements that decided, and what could not be looked at.
//! Entitlements are computed from the same compiled statements ([`crate::entitlements`]).
//!
//! Not modelled: KMS grants, S3 access control lists, Block Public Access, access points; a [`Decision`] says so where
//! they could change it.
//! Source: IAM User Guide, "Policy evaluation logic".

pub mod case;
pub mod compile;
pub mod condition;
pub mod context;
mod decision;
mod evaluate;
pub mod exempt;
pub mod inquiry;
pub mod layers;
pub mod principal;
pub mod reach;
pub mod request;
mod resources;
pub mod scope;
pub mod standing;
mod truth;
pub mod value;
pub mod who;
pub mod worlds;

pub use decision::{Cited, Decision};
pub use evaluate::{Answer, Policies, ResourcePolicy};
pub use layers::{Layer, LayerKind, Placed, PolicySet, Provenance};
pub use request::{ActionName, Caller, CallerKind, Request, Target};
pub use standing::{PrincipalKind, Roster, Standing, UnmatchedPattern};
pub use truth::Truth;

/// Something that decides requests: the engine on a set of policies, a slow oracle, the world after a plan.
pub trait Decide {
    /// The answer to a request.
    fn decide(&self, request: &Request) -> Answer;
}

impl Decide for Policies {
    /// The exact answer: [`Policies::answer`], and where that leaves it open, [`worlds`].
    fn decide(&self, request: &Request) -> Answer {
        match self.answer(request) {
            Answer::Undecided => worlds::answer(self, request),
            // Something may deny it, in every world perhaps.
            Answer::ImplicitlyDenied
                if !request.context.is_complete()
                    && self.may_deny(request)
                    && worlds::always_denied_explicitly(self, request) =>
            {
                Answer::ExplicitlyDenied
            }
            answer => answer,
        }
    }
}
