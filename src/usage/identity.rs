//! Who did it: from an identity as recorded to principal, session and person.
//!
//! The name that a caller gives to a role session is only a claim. Who obtained the credentials decides: the caller
//! of the AssumeRole call that handed out the access key, followed back to its origin. Only on the roles that Identity
//! Center provisioned, under a path that nobody else can use, is the session name the person's user name.
//!
//! Sources: "CloudTrail userIdentity element" (CloudTrail User Guide); "Monitor and control actions taken with
//! assumed roles" (IAM User Guide); "Identity Center information in CloudTrail" (Identity Center User Guide).

mod actor;
mod foreign;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use rayon::prelude::*;

use crate::model::arn::Arn;
use crate::model::event::Identity;
use crate::model::snapshot::{RosterKind, Snapshot};
use crate::model::text::Text;

use super::chain::{Hop, Logs, Missing, Told, hidden};
use super::fold::{IssuedCredential, SessionId};
use super::people::People;
use super::sessions::{Session, Sessions};

use foreign::Ids;

pub use actor::{Actor, ActorKind, Basis};

/// Longest chain of role sessions that is followed back. IAM allows a chained session one hour, so real chains are
/// short; the limit only bounds made-up ones.
const MAX_CHAIN: usize = 16;

/// Sessions that are resolved together.
const PART: usize = 1 << 15;

/// Who stands behind each session.
pub type Actors = BTreeMap<SessionId, Arc<Actor>>;

/// Sessions that are resolved already.
type Done = HashMap<SessionId, Arc<Actor>>;

/// A session and its identity.
type Recorded<'s> = (&'s Session, &'s Identity);

/// How a session is linked to one that obtained its credentials.
#[derive(Clone, Copy)]
struct Link<'a> {
    /// The call; of several by the same caller the last.
    call: &'a IssuedCredential,
    /// Several calls of the same caller could be the one.
    several: bool,
    told: Told,
}

impl Link<'_> {
    fn hop(&self, caller: &Actor, ids: &Ids) -> Hop {
        let foreign = Some(&caller.principal_id).filter(|_| caller.kind == ActorKind::OtherAccount);
        Hop {
            kind: caller.kind,
            principal: foreign.and_then(|id| ids.arn(id)).map_or_else(|| caller.principal.clone(), Text::from),
            account: caller.account.clone(),
            session_name: caller.session_name.clone(),
            event_id: if self.several { Text::default() } else { self.call.event_id.clone() },
            time: self.call.time,
            told: self.told,
        }
    }
}

/// Resolves sessions against a snapshot and the credentials that the logs saw handed out.
#[derive(Debug)]
pub struct Resolver<'a> {
    people: &'a People,
    sessions: &'a Sessions,
    by_key: HashMap<&'a str, &'a IssuedCredential>,
    by_session_name: HashMap<&'a str, Vec<&'a IssuedCredential>>,
    /// Role ARN → calls whose records do not show what they handed out.
    unreadable: BTreeMap<&'a str, Vec<&'a IssuedCredential>>,
    logs: Logs,
    /// Who each identity is by itself, as the sessions number them.
    principals: Vec<Actor>,
    /// (account, role name) → ARN with path, where unique.
    roles: BTreeMap<(String, String), String>,
    /// Partitions of accounts outside the commercial one, for records without an ARN.
    partitions: BTreeMap<&'a str, &'a str>,
    /// ARNs of users and roles by their unique ids.
    ids: Ids,
}

impl<'a> Resolver<'a> {
    /// A resolver over all sessions and issued credentials of a lake.
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        people: &'a People,
        sessions: &'a Sessions,
        issued: &'a [IssuedCredential],
    ) -> Self {
        let mut by_key: HashMap<&'a str, &'a IssuedCredential> = HashMap::with_capacity(issued.len());
        for credential in issued {
            // An access key id is handed out once; copies of the call in other accounts name the same caller less
            // well, so the copy that knows a principal wins.
            let better = |new: &IssuedCredential, old: &IssuedCredential| {
                let rank = |c: &IssuedCredential| sessions.get(c.by).map_or(0, |(_, identity)| issuer_rank(identity));
                rank(new) > rank(old)
            };
            if !credential.access_key.is_empty() {
                by_key
                    .entry(credential.access_key.as_str())
                    .and_modify(|known| {
                        if better(credential, known) {
                            *known = credential;
                        }
                    })
                    .or_insert(credential);
            }
        }
        // By name only what the best copy of each call says.
        let mut by_session_name: HashMap<&str, Vec<&IssuedCredential>> = HashMap::new();
        let mut unreadable: BTreeMap<&str, Vec<&IssuedCredential>> = BTreeMap::new();
        // In the order of the calls, whatever that of the table is.
        let best = |call: &&IssuedCredential| {
            by_key.get(call.access_key.as_str()).is_some_and(|one| std::ptr::eq(*one, *call))
        };
        for credential in issued.iter().filter(best).chain(hidden(issued)) {
            if !credential.session_principal_id.is_empty() {
                by_session_name.entry(credential.session_principal_id.as_str()).or_default().push(credential);
            } else if credential.access_key.is_empty() {
                unreadable.entry(credential.role_arn.as_str()).or_default().push(credential);
            }
        }
        let mut roles = BTreeMap::new();
        for iam in snapshot.accounts.values() {
            for role in &iam.roles {
                roles.insert((iam.account.to_string(), role.holder.name.clone()), role.holder.arn.to_string());
            }
        }
        let partitions = partitions(sessions.identities());
        let (logs, principals) = (Logs::default(), Vec::new());
        let ids = Ids::of(snapshot, sessions.identities(), issued);
        let mut made =
            Self { people, sessions, by_key, by_session_name, unreadable, logs, roles, principals, partitions, ids };
        made.principals = sessions.identities().par_iter().map(|identity| made.principal(identity)).collect();
        made
    }

    /// With what is known of the logs: sessions linked by their name alone are linked to calls near their own, and what
    /// is missing says why.
    #[must_use]
    pub fn with_logs(mut self, logs: Logs) -> Self {
        self.logs = logs;
        self
    }

    /// Resolves every session.
    #[must_use]
    pub fn resolve_all(&self) -> Actors {
        // Some at a time: who obtained credentials for sessions of several parts is resolved for each, which gives the same.
        // The parts do not depend on the machine, so neither does what is said of records that go round in a circle.
        let of_part = |ids: &[SessionId]| {
            let mut done = Done::default();
            ids.iter().for_each(|id| self.resolve_into(*id, &mut done, &mut Vec::new()));
            ids.iter().filter_map(|id| Some((*id, done.remove(id)?))).collect::<Vec<_>>()
        };
        let parts: Vec<Vec<_>> = self.sessions.ids().par_chunks(PART).map(of_part).collect();
        parts.into_iter().flatten().collect()
    }

    fn resolve_into(&self, id: SessionId, done: &mut Done, path: &mut Vec<SessionId>) {
        if done.contains_key(&id) || path.contains(&id) || path.len() >= MAX_CHAIN {
            return;
        }
        let Some((session, identity)) = self.sessions.get(id) else { return };
        path.push(id);
        let links = self.links(id, session, identity);
        for link in &links {
            self.resolve_into(link.call.by, done, path);
        }
        path.pop();
        let known: Vec<(Link<'_>, &Actor)> =
            links.iter().filter_map(|link| Some((*link, &**done.get(&link.call.by)?))).collect();
        let actor = if known.len() == links.len() {
            self.actor(id, (session, identity), &known)
        } else {
            Actor { missing: Some(Missing::Circle), ..self.actor(id, (session, identity), &[]) }
        };
        done.insert(id, Arc::new(actor));
    }

    /// The calls that can have handed out this session's credentials, one a caller: that of the access key, or, where
    /// the key was not seen handed out, those that obtained a session of this name near its time.
    fn links(&self, id: SessionId, session: &Session, identity: &Identity) -> Vec<Link<'a>> {
        if let Some(call) = self.by_key.get(session.access_key.as_str()) {
            return vec![Link { call, several: false, told: Told::Key }];
        }
        if !session.access_key.is_empty() && identity.kind != "AssumedRole" {
            return Vec::new();
        }
        let mut links: BTreeMap<SessionId, Link<'a>> = BTreeMap::new();
        let (role, created) = (is_role(identity), session.created());
        for call in self.by_session_name.get(identity.principal_id.as_str()).into_iter().flatten().copied() {
            let Some(told) = self.logs.told(id, role, created, call.time) else { continue };
            links
                .entry(call.by)
                .and_modify(|link| {
                    link.several |= told == link.told;
                    let better = (link.told, call.time, &call.event_id) > (told, link.call.time, &link.call.event_id);
                    if better {
                        (link.call, link.told, link.several) = (call, told, link.several && told == link.told);
                    }
                })
                .or_insert(Link { call, several: false, told });
        }
        let start = links.values().any(|link| link.told == Told::Start);
        links.into_values().filter(|link| !start || link.told == Told::Start).collect()
    }

    fn actor(&self, id: SessionId, (session, identity): Recorded<'_>, origins: &[(Link<'_>, &Actor)]) -> Actor {
        let known = self.principals.get(session.identity as usize);
        let mut actor = known.cloned().unwrap_or_else(|| self.principal(identity));
        // Identity Center's own way to a session is SAML. Whoever obtained one otherwise stands behind it, whatever the
        // role and the session are called.
        let other =
            |(link, origin): &(Link<'_>, &Actor)| link.told == Told::Key && origin.kind != ActorKind::SamlSubject;
        if actor.basis == Basis::IdentityCenter && actor.kind == ActorKind::Role && origins.iter().any(other) {
            actor.person = None;
            actor.basis = Basis::None;
        }
        let center = actor.basis == Basis::IdentityCenter;
        let assumed = actor.kind == ActorKind::Role && !center && !actor.principal.contains(":role/aws-service-role/");
        let foreign = actor.kind == ActorKind::OtherAccount && !origins.is_empty();
        if (actor.kind == ActorKind::Role || foreign) && !center {
            self.follow(identity, origins, &mut actor);
        }
        if let [(link, origin)] = origins
            && (matches!(actor.kind, ActorKind::Role | ActorKind::Root | ActorKind::User) || foreign)
        {
            actor.hops.clone_from(&origin.hops);
            actor.hops.push(link.hop(origin, &self.ids));
            if actor.kind == ActorKind::Root {
                actor.person.clone_from(&origin.person);
                actor.basis = chain_basis(origins, origin.person.is_some());
            }
        }
        if assumed || foreign && !center || (actor.kind == ActorKind::Root && identity.assumed_root) {
            actor.missing = self.missing(id, (session, identity), &actor, origins);
            actor.machine |= actor.missing == Some(Missing::Workload);
        }
        // Who used an application that carries their identity on, as a context that only Identity Center asserts. Source:
        // "Identity-enhanced IAM role sessions" (IAM Identity Center User Guide).
        let carried = !identity.on_behalf_of.is_empty() && !is_identity_center_role(&actor.principal);
        if actor.kind == ActorKind::Role && !center && carried {
            actor.person = self.center_user(identity, "");
            actor.basis = Basis::IdentityCenter;
            actor.machine = false;
        }
        if let Some(person) = &actor.person
            && self.people.kind(person) == Some(RosterKind::Service)
        {
            // The roster names a machine identity: somebody answers for it, but nobody acts.
            actor.machine = true;
            actor.person = None;
        }
        actor
    }

    /// The person and the nature of a role's session, from who obtained its credentials.
    fn follow(&self, identity: &Identity, origins: &[(Link<'_>, &Actor)], actor: &mut Actor) {
        let named = identity.source_identity.as_str();
        if let Some(person) = one_person(origins) {
            actor.person = Some(person);
            actor.basis = chain_basis(origins, true);
            // What the caller had to set as source identity binds more than the name of a session.
            if actor.basis == Basis::SessionName && !named.is_empty() {
                actor.person = Some(self.people.named(named).unwrap_or(named).into());
                actor.basis = Basis::SourceIdentity;
            }
        } else if !named.is_empty() {
            actor.person = Some(self.people.named(named).unwrap_or(named).into());
            actor.basis = Basis::SourceIdentity;
        }
        actor.machine = !origins.is_empty() && origins.iter().all(|(_, origin)| origin.machine);
    }

    /// Why the start of a chain is not known, or not for certain.
    fn missing(
        &self,
        id: SessionId,
        (session, identity): Recorded<'_>,
        actor: &Actor,
        origins: &[(Link<'_>, &Actor)],
    ) -> Option<Missing> {
        match origins {
            [] if self.is_unreadable(id, (session, identity), actor) => Some(Missing::Unreadable),
            [] => Some(self.logs.unrecorded(id, is_role(identity), session.created(), &actor.session_name)),
            [(_, origin)] if origin.kind == ActorKind::OtherAccount && origin.person.is_none() && !origin.machine => {
                let account = origin.account.to_string();
                let collected = self.logs.collected.contains(&account);
                Some(if collected { Missing::CopyOnly(account) } else { Missing::NotCollected(account) })
            }
            [(link, origin)] => origin.missing.clone().or((link.told == Told::Name).then_some(Missing::NameOnly)),
            several if one_person(several).is_some() && told(several) < Told::Name => None,
            several if one_person(several).is_some() => Some(Missing::NameOnly),
            several if several.iter().all(|(_, origin)| origin.machine) => Some(Missing::NameOnly),
            _ => Some(Missing::SeveralCallers),
        }
    }

    /// Whether a call obtained credentials of the session's role at the right time without showing which.
    fn is_unreadable(&self, id: SessionId, (session, identity): Recorded<'_>, actor: &Actor) -> bool {
        let calls = self.unreadable.get(actor.principal.as_str()).into_iter().flatten();
        let (role, created) = (is_role(identity), session.created());
        calls.into_iter().any(|call| self.logs.told(id, role, created, call.time).is_some())
    }

    /// The principal of an identity, and the person where the identity alone says who it is.
    fn principal(&self, identity: &Identity) -> Actor {
        let mut actor = Actor {
            kind: ActorKind::Unknown,
            principal: identity.arn.as_str().into(),
            principal_id: identity.principal_id.as_str().into(),
            account: identity.account.as_str().into(),
            session_name: Text::default(),
            person: None,
            basis: Basis::None,
            machine: false,
            own_act: identity.invoked_by.is_empty(),
            hops: Vec::new(),
            missing: None,
        };
        match identity.kind.as_str() {
            "IAMUser" => self.iam_user(identity, &mut actor),
            "AssumedRole" | "Role" => self.assumed_role(identity, &mut actor),
            "Root" => {
                actor.kind = ActorKind::Root;
                if actor.principal.is_empty() {
                    actor.principal = self.iam_arn(&identity.account, "root");
                }
            }
            "FederatedUser" if !identity.issuer_arn.is_empty() => {
                // GetFederationToken: the session has at most its user's permissions, so the user is the principal.
                actor.kind = if identity.issuer_kind == "Root" { ActorKind::Root } else { ActorKind::User };
                actor.principal = identity.issuer_arn.as_str().into();
                actor.session_name = last_part(&identity.arn).into();
                actor.principal_id = identity.issuer_id.as_str().into();
                if actor.kind == ActorKind::User {
                    let name = last_part(&identity.issuer_arn);
                    self.own_user(&identity.issuer_arn, name, &mut actor);
                }
            }
            "SAMLUser" => {
                actor.kind = ActorKind::SamlSubject;
                actor.principal = non_empty(&identity.arn, &identity.provider, &identity.principal_id);
                actor.basis = Basis::SamlSubject;
                actor.person = self.subject(&identity.user_name);
            }
            "WebIdentityUser" => {
                actor.kind = ActorKind::WebIdentity;
                actor.principal = non_empty(&identity.provider, &identity.arn, &identity.principal_id);
                actor.basis = Basis::WebIdentity;
                actor.session_name = identity.user_name.as_str().into();
                actor.person = self.web_subject(&identity.user_name);
                actor.machine = actor.person.is_none();
            }
            "IdentityCenterUser" => {
                actor.kind = ActorKind::IdentityCenterUser;
                actor.basis = Basis::IdentityCenter;
                actor.person = self.center_user(identity, &identity.user_name);
            }
            "Directory" => actor.kind = ActorKind::Directory,
            "AWSService" => Self::service(identity, &mut actor),
            "AWSAccount" => self.foreign(identity, &mut actor),
            // Service events and some calls that services make carry no type, only `invokedBy`.
            "" if !identity.invoked_by.is_empty() => Self::service(identity, &mut actor),
            _ => {}
        }
        actor
    }

    /// The person behind a subject of a web identity provider: whom the roster names, or an e-mail address that is no service
    /// account's. Pipelines and workloads come by the same providers, and most subjects are theirs.
    fn web_subject(&self, subject: &str) -> Option<Text> {
        let address =
            subject.contains('@') && !subject.contains([':', '/']) && !subject.ends_with(".gserviceaccount.com");
        let named = self.people.named(subject).filter(|_| !subject.is_empty());
        named.map(Text::from).or_else(|| address.then(|| subject.to_lowercase().into()))
    }

    /// A caller from another account: never a principal, but often known by the unique id.
    fn foreign(&self, identity: &Identity, actor: &mut Actor) {
        actor.kind = ActorKind::OtherAccount;
        actor.principal = non_empty(&identity.arn, &identity.account, &identity.principal_id);
        actor.session_name = foreign::session_name(identity).unwrap_or_default().into();
        match self.ids.arn(&identity.principal_id) {
            Some(arn) if arn.contains(":user/") => self.own_user(arn, last_part(arn), actor),
            Some(arn) if is_identity_center_role(arn) => {
                actor.basis = Basis::IdentityCenter;
                let session = actor.session_name.clone();
                actor.person = self.center_user(identity, &session);
            }
            Some(arn) if arn.contains(":role/aws-service-role/") => actor.machine = true,
            _ => {}
        }
    }

    /// An ARN that a record does not have.
    fn iam_arn(&self, account: &str, resource: &str) -> Text {
        let partition = self.partitions.get(account).copied().unwrap_or("aws");
        format!("arn:{partition}:iam::{account}:{resource}").into()
    }

    fn service(identity: &Identity, actor: &mut Actor) {
        actor.kind = ActorKind::Service;
        actor.principal = non_empty(&identity.invoked_by, &identity.principal_id, &identity.arn);
        actor.machine = true;
        actor.basis = Basis::Service;
    }

    fn iam_user(&self, identity: &Identity, actor: &mut Actor) {
        // A sign-in under a name that no user has: what was typed there may be a password.
        if identity.user_name == HIDDEN_NAME {
            actor.principal = non_empty(&identity.arn, HIDDEN_NAME, "");
            return;
        }
        actor.kind = ActorKind::User;
        if actor.principal.is_empty() {
            // Some records of console sign-in and of deleted users have no ARN.
            actor.principal = self.iam_arn(&identity.account, &format!("user/{}", identity.user_name));
        }
        let arn = actor.principal.clone();
        self.own_user(&arn, &identity.user_name, actor);
    }

    fn own_user(&self, arn: &str, name: &str, actor: &mut Actor) {
        actor.basis = Basis::IamUser;
        let owner = self.people.owner_of_iam_user(arn, name);
        actor.person = Some(owner.unwrap_or(arn).into());
    }

    fn assumed_role(&self, identity: &Identity, actor: &mut Actor) {
        actor.kind = ActorKind::Role;
        let (id, session) = identity.principal_id.split_once(':').unwrap_or((&identity.principal_id, ""));
        actor.session_name = session.into();
        actor.principal_id = if identity.issuer_id.is_empty() { id.into() } else { identity.issuer_id.as_str().into() };
        let mut rebuilt = false;
        if identity.issuer_arn.is_empty() {
            let role = self.role_of_session(identity);
            rebuilt = role.as_ref().is_some_and(|(_, known)| !known);
            actor.principal = role.map_or_else(|| identity.arn.as_str().into(), |(arn, _)| arn.into());
        } else {
            actor.principal = identity.issuer_arn.as_str().into();
        }
        if actor.session_name.is_empty() && identity.arn.contains(":assumed-role/") {
            actor.session_name = last_part(&identity.arn).into();
        }
        if is_identity_center_role(&actor.principal) || rebuilt && is_named_for_identity_center(&actor.principal) {
            actor.basis = Basis::IdentityCenter;
            let session = actor.session_name.clone();
            actor.person = self.center_user(identity, &session);
        } else if actor.principal.contains(":role/aws-service-role/") {
            actor.machine = true;
        }
    }

    /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION` lacks the role's path: the snapshot has it, which the flag says.
    fn role_of_session(&self, identity: &Identity) -> Option<(String, bool)> {
        let arn: Arn = identity.arn.parse().ok()?;
        let name = arn.resource().strip_prefix("assumed-role/")?.split('/').next()?;
        let account = arn.account_text();
        Some(match self.roles.get(&(account.to_owned(), name.to_owned())) {
            Some(known) => (known.clone(), true),
            None => (format!("arn:{}:iam::{account}:role/{name}", arn.partition()), false),
        })
    }

    fn center_user(&self, identity: &Identity, name: &str) -> Option<Text> {
        self.people
            .with_store_id(&identity.on_behalf_of)
            .or_else(|| self.people.named(name))
            .map(Text::from)
            .or_else(|| (!name.is_empty()).then(|| name.to_lowercase().into()))
            .or_else(|| (!identity.on_behalf_of.is_empty()).then(|| identity.on_behalf_of.as_str().into()))
    }

    fn subject(&self, name: &str) -> Option<Text> {
        (!name.is_empty()).then(|| self.people.named(name).map_or_else(|| name.to_lowercase().into(), Text::from))
    }
}

/// What stands in place of a user's name that does not exist. Source: "AWS Management Console sign-in events" (AWS
/// CloudTrail User Guide).
const HIDDEN_NAME: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// The partitions that ARNs of an account's identities name, other than the commercial one.
fn partitions(identities: &[Identity]) -> BTreeMap<&str, &str> {
    let arns = identities.iter().flat_map(|identity| [&identity.arn, &identity.issuer_arn]);
    let named = arns.filter_map(|arn| {
        let mut parts = arn.split(':').skip(1);
        let (partition, account) = (parts.next()?, parts.nth(2)?);
        (partition != "aws" && !account.is_empty()).then_some((account, partition))
    });
    named.collect()
}

/// How well a caller's identity names who obtained credentials: a copy in another account only knows the account.
fn issuer_rank(identity: &Identity) -> u8 {
    match identity.kind.as_str() {
        "AWSAccount" | "Unknown" => 1,
        "" => 0,
        _ => 2,
    }
}

/// The one person behind all origins, if they agree.
fn one_person(origins: &[(Link<'_>, &Actor)]) -> Option<Text> {
    let mut people = origins.iter().map(|(_, origin)| origin.person.as_ref());
    let first = people.next()??;
    people.all(|person| person == Some(first)).then(|| first.clone())
}

/// The weakest of the links.
fn told(origins: &[(Link<'_>, &Actor)]) -> Told {
    origins.iter().map(|(link, _)| link.told).max().unwrap_or(Told::Key)
}

/// What a person at the start of the links rests on: no more than the weakest of all links back to them.
fn chain_basis(origins: &[(Link<'_>, &Actor)], known: bool) -> Basis {
    let weak = |(_, origin): &(Link<'_>, &Actor)| origin.basis == Basis::SessionName;
    match known {
        false => Basis::None,
        true if told(origins) == Told::Name || origins.iter().any(weak) => Basis::SessionName,
        true => Basis::CredentialChain,
    }
}

/// Whether the identity is a role's session.
fn is_role(identity: &Identity) -> bool {
    matches!(identity.kind.as_str(), "AssumedRole" | "Role") || foreign::session_name(identity).is_some()
}

/// Whether an ARN is that of a role which Identity Center provisioned: the path is reserved, nobody else can create a
/// role there. Source: "Referencing permission sets in resource policies", Identity Center User Guide.
#[must_use]
pub fn is_identity_center_role(arn: &str) -> bool {
    arn.contains(":role/aws-reserved/sso.amazonaws.com/")
}

/// Whether a role has a name as Identity Center gives them. Anybody may give a role such a name: it counts only where
/// the ARN of a session, which lacks the path, is all there is.
fn is_named_for_identity_center(arn: &str) -> bool {
    arn.contains(":role/AWSReservedSSO_")
}

fn last_part(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

fn non_empty(first: &str, second: &str, third: &str) -> Text {
    [first, second, third].into_iter().find(|text| !text.is_empty()).unwrap_or("").into()
}

#[cfg(test)]
mod tests;
