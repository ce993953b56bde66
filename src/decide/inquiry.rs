//! Questions to a snapshot: the policies that bear on a principal's request, and what is known about it beforehand.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::model::arn::{AccountId, Arn};
use crate::model::snapshot::Organization;
use crate::model::time::Timestamp;
use crate::policy::Effect;

use super::context::{Context, Slot};
use super::evaluate::{Policies, ResourcePolicy};
use super::exempt;
use super::layers::PolicySet;
use super::request::{ActionName, Caller, CallerKind, Request, ResourceRule, Target};
use super::standing::{PrincipalKind, Roster, Standing};

/// What is asked of a snapshot, for any caller.
#[derive(Clone, Debug)]
pub struct Question {
    /// The action.
    pub action: ActionName,
    /// The resource.
    pub target: Target,
    /// Who owns the resource, where that is said.
    pub owner: Option<AccountId>,
    /// What is said about the request.
    pub context: Context,
    /// The resource's policy, where that is said.
    pub resource: Option<ResourcePolicy>,
}

impl Question {
    /// A question about a resource of which nothing else is said, at an instant.
    #[must_use]
    pub fn new(action: &str, target: &str, at: Timestamp, catalog: &Catalog) -> Self {
        let mut context = Context::open();
        set_time(&mut context, at);
        let (action, target) = (ActionName::new(action, catalog), Target::new(target));
        Self { action, target, owner: None, context, resource: None }
    }
}

/// Sets the keys of the time of a request, where they are not set.
pub fn set_time(context: &mut Context, at: Timestamp) {
    context.set_default("aws:CurrentTime", Slot::one(at.to_string()));
    context.set_default("aws:EpochTime", Slot::one(at.micros().div_euclid(1_000_000).to_string()));
}

/// A snapshot that can be asked.
#[derive(Debug)]
pub struct Inquiry<'r, 's> {
    /// Its principals and policies.
    pub roster: &'r Roster<'s>,
    /// Its organisation.
    pub organization: Option<&'s Organization>,
}

impl<'s> Inquiry<'_, 's> {
    /// A user or role as a caller.
    #[must_use]
    pub fn caller(&self, standing: &Standing<'s>, session: Option<&Arn>) -> Option<Caller> {
        let own = &standing.holder.arn;
        let caller = match session {
            Some(session) => Caller::of_arn(session, Some(own))?,
            None => Caller::of_arn(own, None)?,
        };
        Some(caller.with_unique_id(&standing.holder.id))
    }

    /// The request of a user or role, and the policies that bear on it.
    #[must_use]
    pub fn of_principal(
        &self,
        standing: &Standing<'s>,
        caller: Arc<Caller>,
        question: &Question,
    ) -> (Policies, Request) {
        let mut context = question.context.clone();
        self.know_principal(standing, &caller, &mut context);
        let request = self.request(caller, context, question);
        let mut policies = self.resource_side(&request, question);
        policies.identity = Arc::clone(&standing.identity);
        policies.boundary = standing.boundary.as_ref().map(|boundary| Arc::clone(&boundary.policies));
        policies.scps = Arc::clone(&standing.control.levels);
        (policies, request)
    }

    /// The request of somebody without policies of its own in the snapshot: root, a service, anybody.
    #[must_use]
    pub fn of_other(&self, caller: Arc<Caller>, question: &Question) -> (Policies, Request) {
        let mut context = question.context.clone();
        if let Some(account) = caller.account {
            self.know_account(account, &mut context);
        }
        // Of an account that was not collected nobody knows what binds it.
        let scps = caller.account.map(|account| match self.roster.scps(account) {
            Some(control) => Arc::clone(&control.levels),
            None => [PolicySet::unknown(format!("what binds account {account}"))].into(),
        });
        let unknown = caller.is_of_account() && caller.kind != CallerKind::Root;
        let request = self.request(caller, context, question);
        let mut policies = self.resource_side(&request, question);
        policies.scps = scps.unwrap_or_default();
        if unknown {
            policies.identity = Arc::new(PolicySet::unknown("the caller's identity policies"));
        }
        (policies, request)
    }

    fn request(&self, caller: Arc<Caller>, mut context: Context, question: &Question) -> Request {
        let said = question.owner.or_else(|| self.roster.resource_owner(&question.target));
        let owner = said.or_else(|| question.target.account()).or(caller.account);
        if let (Some(organization), Some(owner)) = (self.organization, owner)
            && question.target.as_str() != "*"
            && let Some(paths) = paths(organization, owner)
        {
            context.set_default("aws:ResourceOrgID", Slot::one(organization.id.as_str()));
            context.set_default("aws:ResourceOrgPaths", Slot::one(paths));
        }
        Request::new(caller, question.action.clone(), question.target.clone(), said, context)
    }

    fn know_account(&self, account: AccountId, context: &mut Context) {
        let Some(organization) = self.organization else { return };
        // Another account is in another organisation, or in none.
        if let Some(paths) = paths(organization, account) {
            context.set_default("aws:PrincipalOrgID", Slot::one(organization.id.as_str()));
            context.set_default("aws:PrincipalOrgPaths", Slot::one(paths));
        }
    }

    fn know_principal(&self, standing: &Standing<'s>, caller: &Caller, context: &mut Context) {
        self.know_account(standing.account, context);
        if standing.kind == PrincipalKind::User && caller.kind == CallerKind::User {
            context.set_default("aws:userid", Slot::one(standing.holder.id.as_str()));
        }
        // Tags that come with a session take the place of the role's.
        if standing.kind == PrincipalKind::User || !self.takes_session_tags(standing) {
            for (key, value) in &standing.holder.tags {
                context.set_default(&format!("aws:PrincipalTag/{key}"), Slot::one(value.as_str()));
            }
            context.close("aws:PrincipalTag/");
        }
    }

    /// Whether sessions of the role may carry tags: where its trust policy allows `sts:TagSession`.
    fn takes_session_tags(&self, standing: &Standing<'s>) -> bool {
        let tagging = ActionName::new("sts:TagSession", Catalog::get());
        self.roster.trust(standing.holder.arn.as_str()).is_none_or(|trust| {
            !trust.broken.is_empty()
                || trust
                    .statements()
                    .iter()
                    .any(|placed| placed.statement.effect == Effect::Allow && placed.statement.names(&tagging))
        })
    }

    fn resource_side(&self, request: &Request, question: &Question) -> Policies {
        let collected = || self.roster.resource_policy(&request.resource);
        let resource = question.resource.clone().unwrap_or_else(|| match request.rule() {
            ResourceRule::Trust => match self.roster.trust(request.resource.as_str()) {
                Some(trust) => ResourcePolicy::Is(Arc::clone(trust)),
                None => ResourcePolicy::NotCollected,
            },
            ResourceRule::Key => collected().unwrap_or(ResourcePolicy::NotCollected),
            ResourceRule::Ordinary if request.resource.as_str() == "*" => ResourcePolicy::Absent,
            ResourceRule::Ordinary
                if request.is_within_account() && !exempt::has_resource_policies(request.action.prefix()) =>
            {
                ResourcePolicy::Absent
            }
            ResourceRule::Ordinary => collected().unwrap_or(ResourcePolicy::NotCollected),
        });
        let rcps = request.resource_account.and_then(|owner| self.roster.rcps(owner));
        let rcps = rcps.map(|control| Arc::clone(&control.levels)).unwrap_or_default();
        Policies { resource, rcps, ..Policies::default() }
    }
}

/// Where an account stands in its organisation, as `aws:PrincipalOrgPaths` writes it.
fn paths(organization: &Organization, account: AccountId) -> Option<String> {
    let member = organization.accounts.iter().find(|member| member.id == account)?;
    let mut path = organization.id.clone();
    for parent in &member.parents {
        path.push('/');
        path.push_str(parent);
    }
    path.push('/');
    Some(path)
}
