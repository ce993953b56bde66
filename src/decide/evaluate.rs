//! From what each layer says to the answer.
//!
//! Source: IAM User Guide, "Policy evaluation logic" (single account, cross-account, how resource policies work with
//! boundaries and session policies); AWS Organizations User Guide, "SCP evaluation" and "RCP evaluation"; KMS
//! Developer Guide, "Key policies"; IAM User Guide, "Grant a user permissions to switch roles".

use std::sync::Arc;

use super::exempt;
use super::layers::{LayerKind, PolicySet, Said};
use super::principal::Ways;
use super::request::{CallerKind, Request, ResourceRule};
use super::truth::Truth;

/// What AWS would answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Answer {
    /// It goes through.
    Allowed,
    /// Nothing allows it.
    ImplicitlyDenied,
    /// A Deny statement applies.
    ExplicitlyDenied,
    /// Both are possible: it depends on something that is not known.
    Undecided,
}

impl Answer {
    /// As output names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::ImplicitlyDenied => "ImplicitlyDenied",
            Self::ExplicitlyDenied => "ExplicitlyDenied",
            Self::Undecided => "Undecided",
        }
    }
}

/// What is known of the resource's policy.
#[derive(Clone, Debug, Default)]
pub enum ResourcePolicy {
    /// There is none.
    #[default]
    Absent,
    /// Whether there is one, or what it says, is not known.
    NotCollected,
    /// This one.
    Is(Arc<PolicySet>),
}

/// Every policy that bears on a caller's requests for a resource.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// The caller's identity policies.
    pub identity: Arc<PolicySet>,
    /// Its permissions boundary; a set without statements allows nothing.
    pub boundary: Option<Arc<PolicySet>>,
    /// Its session policies.
    pub session: Option<Arc<PolicySet>>,
    /// Service control policies above the caller's account, a set a level; none where none bind it.
    pub scps: Arc<[PolicySet]>,
    /// Resource control policies above the resource's account, a set a level; none where none bind it.
    pub rcps: Arc<[PolicySet]>,
    /// The resource's policy.
    pub resource: ResourcePolicy,
    /// The policy of the VPC endpoint by which the request comes.
    pub endpoint: Option<Arc<PolicySet>>,
}

/// What every layer says, and what follows.
#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    /// Layers with a Deny that may apply.
    pub(super) denies: Vec<(LayerKind, Truth)>,
    /// Layers that have to allow for the answer to be yes, and whether they do.
    pub(super) needs: Vec<(LayerKind, Truth)>,
    /// Layers whose Allow grants it.
    pub(super) grants: Vec<LayerKind>,
    pub(super) deny: Truth,
    pub(super) allow: Truth,
}

impl Evaluation {
    fn answer(deny: Truth, allow: Truth) -> Answer {
        match (deny, allow) {
            (Truth::True, _) => Answer::ExplicitlyDenied,
            (_, Truth::False) => Answer::ImplicitlyDenied,
            (Truth::False, Truth::True) => Answer::Allowed,
            _ => Answer::Undecided,
        }
    }
}

/// What the layers say, without their names.
struct Heard {
    identity: Said,
    boundary: Said,
    session: Said,
    resource: Said,
    endpoint: Said,
    scp: (Truth, Truth),
    rcp: (Truth, Truth),
    has_session: bool,
}

/// A layer that is not there: it denies nothing and lets everything through.
const PASSES: Said = Said { allow: Ways::ITSELF, deny: Truth::False };
/// A layer that grants nothing.
const SILENT: Said = Said { allow: Ways::NONE, deny: Truth::False };
/// A layer of which nothing is known.
const ANYTHING: Said = Said {
    allow: Ways { itself: Truth::Unknown, issuer: Truth::Unknown, account: Truth::Unknown },
    deny: Truth::Unknown,
};

impl Policies {
    /// The answer to one request, each layer for itself: it may leave open what [`Policies::decide`] settles, and call
    /// implicit a denial of which only the layers together show that it is explicit in every world.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Answer {
        if let Some(answer) = exempt::permissionless(request) {
            return answer;
        }
        let heard = match self.hear(request) {
            Ok(heard) => heard,
            Err(denied) => return denied,
        };
        Evaluation::answer(heard.deny(), heard.allow(request).0)
    }

    /// Whether something may deny a request that is surely not allowed.
    pub(super) fn may_deny(&self, request: &Request) -> bool {
        !self.hear_all(request, false).deny().is_false()
    }

    /// The answer with what led to it.
    pub(super) fn evaluate(&self, request: &Request) -> Evaluation {
        let heard = self.hear_all(request, false);
        let (allow, needs, grants) = heard.allow(request);
        let denies = [
            (LayerKind::Boundary, heard.boundary.deny),
            (LayerKind::Identity, heard.identity.deny),
            (LayerKind::Rcp, heard.rcp.1),
            (LayerKind::Resource, heard.resource.deny),
            (LayerKind::Scp, heard.scp.1),
            (LayerKind::Session, heard.session.deny),
            (LayerKind::VpcEndpoint, heard.endpoint.deny),
        ];
        let denies = denies.into_iter().filter(|(_, deny)| !deny.is_false()).collect();
        Evaluation { denies, needs, grants, deny: heard.deny(), allow }
    }

    fn hear(&self, request: &Request) -> Result<Heard, Answer> {
        let heard = self.hear_all(request, true);
        if heard.deny().is_true() { Err(Answer::ExplicitlyDenied) } else { Ok(heard) }
    }

    /// Asks every layer; with `hasty` only until one surely denies.
    fn hear_all(&self, request: &Request, hasty: bool) -> Heard {
        let caller = &request.caller;
        let own = caller.is_of_account() && caller.kind != CallerKind::Root;
        let bounded = own && self.boundary.is_some();
        let ask = |set: &PolicySet| set.says(request, bounded);
        let mut heard = Heard {
            identity: SILENT,
            boundary: PASSES,
            session: PASSES,
            resource: SILENT,
            endpoint: PASSES,
            scp: (Truth::True, Truth::False),
            rcp: (Truth::True, Truth::False),
            has_session: self.session.is_some(),
        };
        let done = |said: &Said| hasty && said.deny.is_true();
        if own {
            heard.identity = ask(&self.identity);
            if done(&heard.identity) {
                return heard;
            }
            heard.boundary = self.boundary.as_deref().map_or(PASSES, ask);
            heard.session = self.session.as_deref().map_or(PASSES, ask);
        }
        if exempt::scps_bind(request) {
            heard.scp = levels(&self.scps, &ask);
        }
        heard.resource = match &self.resource {
            ResourcePolicy::Is(set) => ask(set),
            ResourcePolicy::Absent => SILENT,
            ResourcePolicy::NotCollected if request.is_within_account() && request.rule() == ResourceRule::Ordinary => {
                SILENT
            }
            ResourcePolicy::NotCollected => ANYTHING,
        };
        if exempt::rcps_bind(request) {
            heard.rcp = levels(&self.rcps, &ask);
        }
        heard.endpoint = self.endpoint.as_deref().map_or(PASSES, ask);
        heard
    }
}

/// Every level has to allow; one Deny at any level is enough.
fn levels(sets: &[PolicySet], ask: &impl Fn(&PolicySet) -> Said) -> (Truth, Truth) {
    let mut out = (Truth::True, Truth::False);
    for set in sets {
        let said = ask(set);
        out = (out.0.and(said.allow.any()), out.1.or(said.deny));
    }
    out
}

impl Heard {
    fn deny(&self) -> Truth {
        [
            self.identity.deny,
            self.boundary.deny,
            self.session.deny,
            self.resource.deny,
            self.endpoint.deny,
            self.scp.1,
            self.rcp.1,
        ]
        .into_iter()
        .fold(Truth::False, Truth::or)
    }

    /// Whether it is allowed if nothing denies it, the layers that have to allow, and those that grant.
    fn allow(&self, request: &Request) -> (Truth, Vec<(LayerKind, Truth)>, Vec<LayerKind>) {
        use LayerKind as L;
        let mut needs = vec![(L::Scp, self.scp.0), (L::Rcp, self.rcp.0), (L::VpcEndpoint, self.endpoint.allow.any())];
        let identity = self.identity.allow.itself;
        let Ways { itself, issuer, account } = self.resource.allow;
        // A federated user's session has of its identity policies what a session policy passes on: nothing without.
        let unpassed = request.caller.kind == CallerKind::FederatedUser && !self.has_session;
        let session = if unpassed { Truth::False } else { self.session.allow.any() };
        let limits = [(L::Boundary, self.boundary.allow.any()), (L::Session, session)];
        let limit = limits.iter().fold(Truth::True, |all, (_, truth)| all.and(*truth));
        let within = request.is_within_account();
        let rule = request.rule();
        let mut grants = Vec::new();
        let granted = match request.caller.kind {
            CallerKind::Anonymous | CallerKind::Service(_) | CallerKind::Provider(_) => {
                needs.push((L::Resource, itself));
                grants.push(L::Resource);
                itself
            }
            CallerKind::Root if request.is_assuming() => {
                // Root credentials cannot assume a role, whatever its trust policy says.
                needs.push((L::Identity, Truth::False));
                Truth::False
            }
            CallerKind::Root if within && rule == ResourceRule::Ordinary => Truth::True,
            CallerKind::Root => {
                let crosses = within || rule != ResourceRule::Key || exempt::kms_crosses_accounts(&request.action);
                let any = if crosses { itself.or(issuer).or(account) } else { Truth::False };
                needs.push((L::Resource, any));
                grants.push(L::Resource);
                any
            }
            _ if !within => {
                let crosses = rule != ResourceRule::Key || exempt::kms_crosses_accounts(&request.action);
                let any = if crosses { itself.or(issuer).or(account) } else { Truth::False };
                needs.extend([(L::Identity, identity), (L::Resource, any)]);
                needs.extend(limits);
                grants.extend([L::Identity, L::Resource]);
                identity.and(limit).and(any)
            }
            _ => {
                let delegated =
                    if rule == ResourceRule::Ordinary { Truth::True } else { account.or(issuer).or(itself) };
                let limited = identity.and(delegated).or(issuer);
                if itself.is_true() || issuer.and(limit).is_true() {
                    grants.push(L::Resource);
                }
                if identity.and(delegated).and(limit).is_true() {
                    grants.push(L::Identity);
                    grants.extend((rule != ResourceRule::Ordinary).then_some(L::Resource));
                }
                // What would have been enough: the limits alone where the resource's policy names the role.
                if !itself.is_true() {
                    needs.extend(limits);
                    if issuer.is_false() && !delegated.is_false() {
                        needs.push((L::Identity, identity));
                    }
                    if issuer.is_false() && rule != ResourceRule::Ordinary {
                        needs.push((L::Resource, delegated));
                    }
                }
                limited.and(limit).or(itself)
            }
        };
        let allow = needs.iter().take(3).fold(granted, |all, (_, truth)| all.and(*truth));
        (allow, needs, grants)
    }
}

impl Evaluation {
    /// The answer, as far as the layers decide it each for itself.
    pub(super) fn answered(&self) -> Answer {
        Self::answer(self.deny, self.allow)
    }
}
