//! Who can become whom: what single techniques give, and the shortest ways from there to an administrator.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalog::{ActionId, Catalog};
use crate::decide::compile::Compiler;
use crate::decide::inquiry::{Inquiry, Question};
use crate::decide::{Answer, Caller, Layer, PolicySet, PrincipalKind, Roster, Standing};
use crate::entitlements::who_may_assume;
use crate::model::arn::AccountId;
use crate::model::snapshot::{AccountIam, Attachment, Group, Role, Snapshot};
use crate::model::time::Timestamp;
use crate::policy::{DocumentKind, Effect, PrincipalElement, PrincipalPattern};

use super::steps::{Asker, Proof};
use super::technique::{By, Gives, On, Step, Technique};
use super::{Hop, Path, Survey};

/// What somebody with all power would hold.
const ANYTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
/// Who may do these on anything in the account can give itself the rest: an administrator, whatever it is called.
const ADMINISTRATOR: [(&str, &str); 3] =
    [("iam:CreateUser", "user/x"), ("iam:AttachUserPolicy", "user/x"), ("iam:PutRolePolicy", "role/x")];

/// Somebody, or something to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    /// Index into the roster.
    Principal(usize),
    /// Administrator of an account.
    Account(AccountId),
    /// Power over the organisation.
    Organization,
}

/// One technique that works.
#[derive(Clone, Debug)]
struct Edge {
    to: Node,
    technique: usize,
    proof: Proof,
    /// What the calls are made on, in words; empty where that is the caller.
    via: String,
}

/// The snapshot, indexed for what techniques ask.
struct Ground<'a> {
    inquiry: Inquiry<'a, 'a>,
    roster: &'a Roster<'a>,
    snapshot: &'a Snapshot,
    techniques: &'a [Technique],
    catalog: &'a Catalog,
    at: Timestamp,
    anything: Arc<PolicySet>,
    actions: BTreeSet<ActionId>,
    /// Principals by account.
    by_account: BTreeMap<AccountId, Vec<usize>>,
    /// Roles by account and service that their trust lets in, with whether that is sure.
    serving: BTreeMap<(AccountId, String), Vec<(usize, Proof)>>,
    /// Roles that let in an account, an ARN, or anybody.
    entered_by_account: BTreeMap<AccountId, Vec<usize>>,
    entered_by_arn: BTreeMap<String, Vec<usize>>,
    entered_by_anybody: Vec<usize>,
    management: Option<AccountId>,
}

/// Every way by which a principal that is no administrator can become one, the shortest of each, surest first, sorted by
/// principal and goal; and the roles that each principal surely gets by assuming one after the other.
pub(super) fn survey(snapshot: &Snapshot, techniques: &[Technique], catalog: &Catalog, at: Timestamp) -> Survey {
    let compiler = Compiler::deciding(catalog);
    let roster = Roster::new(snapshot, &compiler);
    let mut anything = PolicySet::default();
    if let Ok(statements) = compiler.document(ANYTHING, DocumentKind::Identity) {
        anything.add(&statements, Layer::IdentityInline, &"anything".into(), &"".into());
    }
    let ground = Ground::new(snapshot, &roster, techniques, catalog, at, Arc::new(anything));
    let administrators: Vec<bool> =
        roster.principals.par_iter().map(|one| ground.administers(one, None, false).is_some()).collect();
    let starts = |at: &usize| {
        let one = roster.principals.get(*at);
        let free = one.is_some_and(|one| one.kind != PrincipalKind::ServiceLinkedRole);
        free && administrators.get(*at) == Some(&false)
    };
    let edges: Vec<Vec<Edge>> =
        (0..roster.principals.len()).into_par_iter().map(|at| ground.edges(at, !starts(&at))).collect();
    let chains = ground.chains(&edges);
    let mut found = Vec::new();
    for goal in [false, true] {
        let is_goal = |node: &Node| match node {
            Node::Principal(at) => !goal && administrators.get(*at) == Some(&true),
            Node::Account(_) => !goal,
            Node::Organization => goal,
        };
        let sure = towards(&edges, &starts, &is_goal, true);
        let any = towards(&edges, &starts, &is_goal, false);
        for at in (0..roster.principals.len()).filter(starts) {
            let next = if sure.contains_key(&at) { &sure } else { &any };
            found.extend(ground.path(at, next, &edges));
        }
    }
    found.sort_by(|a, b| (&a.principal, &a.goal).cmp(&(&b.principal, &b.goal)));
    Survey { paths: found, chains }
}

/// Who surely administers their account, by account.
pub(super) fn administrators(
    snapshot: &Snapshot,
    catalog: &Catalog,
    at: Timestamp,
) -> BTreeMap<AccountId, BTreeSet<String>> {
    let compiler = Compiler::deciding(catalog);
    let roster = Roster::new(snapshot, &compiler);
    let ground = Ground::new(snapshot, &roster, &[], catalog, at, Arc::default());
    let entered = |one: &Standing<'_>| {
        let role = roster.role(one.holder.arn.as_str());
        let by_somebody = |role: &Role| who_may_assume(role).is_ok_and(|trust| trust.human_assumable(true));
        one.kind != PrincipalKind::ServiceLinkedRole && role.is_none_or(by_somebody)
    };
    let sure = |one: &&Standing<'_>| entered(one) && ground.administers(one, None, false) == Some(true);
    let found: Vec<&Standing<'_>> = roster.principals.par_iter().filter(sure).collect();
    let mut out: BTreeMap<AccountId, BTreeSet<String>> = BTreeMap::new();
    for one in found {
        out.entry(one.account).or_default().insert(one.holder.arn.to_string());
    }
    out
}

/// For every principal from which a goal can be reached the edge to take first on a shortest way: breadth first, from the
/// goals back.
///
/// Whoever is no start, such as an administrator, goes nowhere: that a way leads to it is its end.
fn towards(
    edges: &[Vec<Edge>],
    starts: &impl Fn(&usize) -> bool,
    is_goal: &impl Fn(&Node) -> bool,
    only_sure: bool,
) -> BTreeMap<usize, usize> {
    let usable = |edge: &Edge| edge.proof.sure || !only_sure;
    let mut back: BTreeMap<Node, Vec<(usize, usize)>> = BTreeMap::new();
    for (from, edges) in edges.iter().enumerate().filter(|(from, _)| starts(from)) {
        for (at, edge) in edges.iter().enumerate().filter(|(_, edge)| usable(edge)) {
            back.entry(edge.to).or_default().push((from, at));
        }
    }
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting: VecDeque<Node> = back.keys().copied().filter(|node| is_goal(node)).collect();
    while let Some(node) = waiting.pop_front() {
        for (from, at) in back.get(&node).into_iter().flatten() {
            if !next.contains_key(from) {
                next.insert(*from, *at);
                waiting.push_back(Node::Principal(*from));
            }
        }
    }
    next
}

impl<'a> Ground<'a> {
    fn new(
        snapshot: &'a Snapshot,
        roster: &'a Roster<'a>,
        techniques: &'a [Technique],
        catalog: &'a Catalog,
        at: Timestamp,
        anything: Arc<PolicySet>,
    ) -> Self {
        let organization = snapshot.organization.as_ref();
        let mut ground = Self {
            inquiry: Inquiry { roster, organization },
            roster,
            snapshot,
            techniques,
            catalog,
            at,
            anything,
            actions: techniques.iter().flat_map(Technique::actions).filter_map(|name| catalog.find(name)).collect(),
            by_account: BTreeMap::new(),
            serving: BTreeMap::new(),
            entered_by_account: BTreeMap::new(),
            entered_by_arn: BTreeMap::new(),
            entered_by_anybody: Vec::new(),
            management: organization.map(|organization| organization.management_account),
        };
        let services: BTreeSet<&str> = techniques.iter().flat_map(|one| &one.trusts).map(String::as_str).collect();
        for (at, standing) in roster.principals.iter().enumerate() {
            ground.by_account.entry(standing.account).or_default().push(at);
            if matches!(standing.kind, PrincipalKind::Role | PrincipalKind::IdentityCenterRole) {
                ground.enter(at, standing, &services);
            }
        }
        ground
    }

    /// Notes whom the trust policy of a role lets in.
    fn enter(&mut self, at: usize, standing: &Standing<'_>, services: &BTreeSet<&str>) {
        let arn = standing.holder.arn.as_str();
        let Some(trust) = self.roster.trust(arn) else { return };
        let mut trusted: BTreeSet<&str> = BTreeSet::new();
        for placed in trust.statements().iter().filter(|one| one.statement.effect == Effect::Allow) {
            let Some(PrincipalElement::Principal(patterns)) = &placed.statement.principal else {
                self.entered_by_anybody.push(at);
                continue;
            };
            for pattern in patterns {
                match pattern {
                    PrincipalPattern::Account(account) => self.entered_by_account.entry(*account).or_default().push(at),
                    PrincipalPattern::Arn(arn) => self.entered_by_arn.entry(arn.to_string()).or_default().push(at),
                    PrincipalPattern::Everyone => {
                        self.entered_by_anybody.push(at);
                        trusted.extend(services);
                    }
                    PrincipalPattern::Service(name) => trusted.extend(services.get(name.as_str())),
                    _ => {}
                }
            }
        }
        for service in trusted {
            let caller = Arc::new(Caller::service(service));
            let question = Question::new("sts:AssumeRole", arn, self.at, self.catalog);
            let (policies, request) = self.inquiry.of_other(caller, &question);
            let proof = match policies.answer(&request) {
                Answer::Allowed => Proof::nothing(),
                Answer::Undecided => {
                    let depends_on = policies.explain(&request).depends_on.into_iter().collect();
                    Proof { sure: false, depends_on, ..Proof::nothing() }
                }
                _ => continue,
            };
            self.serving.entry((standing.account, service.to_owned())).or_default().push((at, proof));
        }
    }

    fn standing(&self, at: usize) -> Option<&'a Standing<'a>> {
        self.roster.principals.get(at)
    }

    fn account(&self, account: AccountId) -> Option<&'a AccountIam> {
        self.snapshot.accounts.get(&account)
    }

    /// Whether a principal administers its account: surely, or perhaps. `identity` stands for its own policies, and
    /// `free` takes its boundary away.
    fn administers(&self, standing: &Standing<'a>, identity: Option<&Arc<PolicySet>>, free: bool) -> Option<bool> {
        let caller = Arc::new(self.inquiry.caller(standing, None)?);
        let mut sure = true;
        for (action, name) in ADMINISTRATOR {
            let resource = format!("arn:{}:iam::{}:{name}", standing.holder.arn.partition(), standing.account);
            let question = Question::new(action, &resource, self.at, self.catalog);
            let (mut policies, request) = self.inquiry.of_principal(standing, Arc::clone(&caller), &question);
            if let Some(identity) = identity {
                policies.identity = Arc::clone(identity);
            }
            if free {
                policies.boundary = None;
            }
            match policies.answer(&request) {
                Answer::Allowed => {}
                Answer::Undecided => sure = false,
                _ => return None,
            }
        }
        Some(sure)
    }

    /// The roles that each principal surely gets by assuming one after the other.
    fn chains(&self, edges: &[Vec<Edge>]) -> BTreeMap<String, BTreeSet<String>> {
        let assumes = |edge: &Edge| self.techniques.get(edge.technique).is_some_and(Technique::assumes);
        let next = |at: usize| {
            let sure = edges.get(at).into_iter().flatten().filter(|edge| edge.proof.sure && assumes(edge));
            sure.filter_map(|edge| if let Node::Principal(to) = edge.to { Some(to) } else { None })
        };
        let of = |from: usize| {
            let (mut met, mut waiting) = (BTreeSet::new(), vec![from]);
            while let Some(at) = waiting.pop() {
                waiting.extend(next(at).filter(|to| *to != from && met.insert(*to)));
            }
            let arn = |at: usize| self.standing(at).map(|one| one.holder.arn.to_string());
            Some((arn(from)?, met.into_iter().filter_map(arn).collect()))
        };
        (0..edges.len()).filter_map(of).filter(|(_, roles): &(_, BTreeSet<_>)| !roles.is_empty()).collect()
    }

    /// The techniques that work for a principal; of an administrator, who needs no others, only the roles to assume.
    fn edges(&self, from: usize, only_assume: bool) -> Vec<Edge> {
        let Some(standing) = self.standing(from) else { return Vec::new() };
        if standing.kind == PrincipalKind::ServiceLinkedRole {
            return Vec::new();
        }
        let Some(mut asker) = Asker::new(&self.inquiry, standing, self.at, self.catalog, &self.actions) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for (at, technique) in self.techniques.iter().enumerate() {
            let user = standing.kind == PrincipalKind::User;
            let by = technique.by.is_none_or(|by| (by == By::User) == user);
            let whole = technique.gives != Gives::Organization || self.management == Some(standing.account);
            let asked = |step: &Step| {
                step.actions.iter().all(|action| asker.may_ask(action))
                    && (step.any_of.is_empty() || step.any_of.iter().any(|action| asker.may_ask(action)))
            };
            if !by || !whole || only_assume && !technique.assumes() || !technique.steps.iter().all(asked) {
                continue;
            }
            for target in self.targets(from, standing, technique) {
                if let Some((to, proof)) = self.works(&mut asker, technique, &target) {
                    let via = target.arn().map(str::to_owned).unwrap_or_default();
                    out.push(Edge { to, technique: at, proof, via });
                }
            }
        }
        out
    }

    /// On whom a technique can be tried.
    fn targets(&self, from: usize, standing: &Standing<'a>, technique: &Technique) -> Vec<Target<'a>> {
        let account = standing.account;
        let others = |user: bool| {
            let all = self.by_account.get(&account).into_iter().flatten().copied().filter(move |at| *at != from);
            all.filter_map(move |at| {
                let one = self.standing(at)?;
                let fits = if user { one.kind == PrincipalKind::User } else { one.kind == PrincipalKind::Role };
                fits.then(|| Target::Principal(at, one, Proof::nothing()))
            })
        };
        match technique.gives {
            Gives::SelfAdmin | Gives::AccountAdmin | Gives::Organization => vec![Target::Nobody],
            Gives::TargetUser => others(true).collect(),
            Gives::TargetGroup => {
                let groups = self.account(account).map(|iam| iam.groups.as_slice()).unwrap_or_default();
                groups.iter().map(Target::Group).collect()
            }
            Gives::TargetRole | Gives::TargetAdminRole if !technique.trusts.is_empty() => {
                let serving = technique.trusts.iter().filter_map(|name| self.serving.get(&(account, name.clone())));
                let mut found: BTreeMap<usize, Proof> = BTreeMap::new();
                for (at, proof) in serving.flatten().filter(|(at, _)| *at != from) {
                    found.entry(*at).or_insert_with(|| proof.clone());
                }
                let target = |(at, proof)| Some(Target::Principal(at, self.standing(at)?, proof));
                found.into_iter().filter_map(target).collect()
            }
            Gives::TargetRole | Gives::TargetAdminRole if technique.actions().any(|name| name == "sts:AssumeRole") => {
                let mut roles: BTreeSet<usize> = self.entered_by_anybody.iter().copied().collect();
                roles.extend(self.entered_by_account.get(&account).into_iter().flatten());
                roles.extend(self.entered_by_arn.get(standing.holder.arn.as_str()).into_iter().flatten());
                roles.remove(&from);
                let target = |at| Some(Target::Principal(at, self.standing(at)?, Proof::nothing()));
                roles.into_iter().filter_map(target).collect()
            }
            Gives::TargetRole | Gives::TargetAdminRole => others(false).collect(),
        }
    }

    /// Whether a technique works on a target, and what it leads to.
    fn works(
        &self,
        asker: &mut Asker<'_, 'a, 'a>,
        technique: &Technique,
        target: &Target<'a>,
    ) -> Option<(Node, Proof)> {
        let mut proof = match target {
            Target::Principal(_, _, proof) => proof.clone(),
            Target::Nobody | Target::Group(_) => Proof::nothing(),
        };
        for step in &technique.steps {
            proof.and(self.step(asker, step, target)?);
        }
        if let Some(holds) = &technique.holds {
            proof.sure = false;
            proof.depends_on.insert(format!("whether some {} runs with it", holds.replace('-', " ")));
        }
        let account = asker.standing.account;
        let (node, sure) = match (technique.gives, target) {
            (Gives::SelfAdmin, _) => {
                let free = technique.lifts_boundary();
                (Node::Account(account), self.administers(asker.standing, Some(&self.anything), free)?)
            }
            (Gives::AccountAdmin, _) => (Node::Account(account), true),
            (Gives::Organization, _) => (Node::Organization, true),
            (Gives::TargetGroup, Target::Group(group)) => {
                let identity = self.with_group(asker.standing, group);
                (Node::Account(account), self.administers(asker.standing, Some(&identity), false)?)
            }
            (Gives::TargetAdminRole, Target::Principal(at, standing, _)) => {
                match self.administers(standing, Some(&self.anything), false) {
                    Some(sure) => (Node::Account(standing.account), sure),
                    None => (Node::Principal(*at), true),
                }
            }
            (Gives::TargetUser | Gives::TargetRole, Target::Principal(at, _, _)) => (Node::Principal(*at), true),
            _ => return None,
        };
        proof.sure &= sure;
        if !sure {
            proof.depends_on.insert("conditions on what it would hold".to_owned());
        }
        Some((node, proof))
    }

    /// A principal's identity policies with those of a group.
    fn with_group(&self, standing: &Standing<'a>, group: &Group) -> Arc<PolicySet> {
        let compiler = Compiler::deciding(self.catalog);
        let mut set = (*standing.identity).clone();
        let managed = self.account(standing.account).map(|iam| iam.policies.as_slice()).unwrap_or_default();
        let attached = group.attached.iter().filter_map(|one| managed.iter().find(|policy| policy.arn == one.arn));
        let texts = group.inline.iter().map(|one| &one.json).chain(attached.map(|policy| &policy.json));
        for text in texts {
            if let Ok(statements) = compiler.document(text, DocumentKind::Identity) {
                set.add(&statements, Layer::Group, &group.name.as_str().into(), &group.name.as_str().into());
            }
        }
        Arc::new(set)
    }

    /// Whether a step is allowed.
    fn step(&self, asker: &mut Asker<'_, 'a, 'a>, step: &Step, target: &Target<'a>) -> Option<Proof> {
        let resources = self.resources(asker.standing, step.on, target);
        let mut ask = |action: &String| -> Option<Proof> {
            if step.on == On::Any {
                return asker.on_any(action, &step.context);
            }
            // One of them suffices: the surest.
            let found = resources.iter().filter_map(|resource| asker.on(action, resource, &step.context));
            found.max_by_key(|proof| proof.sure)
        };
        let mut proof = Proof::nothing();
        for action in &step.actions {
            proof.and(ask(action)?);
        }
        if !step.any_of.is_empty() {
            proof.and(step.any_of.iter().filter_map(&mut ask).max_by_key(|proof| proof.sure)?);
        }
        Some(proof)
    }

    /// What a step's calls are made on.
    fn resources(&self, standing: &Standing<'a>, on: On, target: &Target<'a>) -> Vec<String> {
        // Only policies of the account can be edited.
        let own = |list: &[Attachment], account: AccountId| {
            let part = format!("::{account}:policy/");
            list.iter().map(|one| one.arn.clone()).filter(|arn| arn.contains(&part)).collect::<Vec<_>>()
        };
        let groups = || {
            let iam = self.account(standing.account);
            let user = iam.and_then(|iam| iam.users.iter().find(|user| user.holder.arn == standing.holder.arn));
            let names = user.map(|user| user.groups.as_slice()).unwrap_or_default();
            let all = iam.map(|iam| iam.groups.as_slice()).unwrap_or_default();
            all.iter().filter(|group| names.contains(&group.name)).collect::<Vec<_>>()
        };
        match on {
            On::Itself => vec![standing.holder.arn.to_string()],
            On::OwnPolicy => {
                let mut found = own(&standing.holder.attached, standing.account);
                found.extend(groups().iter().flat_map(|group| own(&group.attached, standing.account)));
                found
            }
            On::OwnBoundary => {
                let part = format!("::{}:policy/", standing.account);
                standing.holder.boundary.iter().filter(|arn| arn.contains(&part)).cloned().collect()
            }
            On::OwnGroup => groups().iter().map(|group| group.arn.to_string()).collect(),
            On::TargetUser | On::TargetRole | On::TargetGroup => target.arn().map(str::to_owned).into_iter().collect(),
            On::TargetPolicy => match target {
                Target::Principal(_, one, _) => own(&one.holder.attached, one.account),
                Target::Group(group) => own(&group.attached, standing.account),
                Target::Nobody => Vec::new(),
            },
            On::Any => Vec::new(),
        }
    }

    /// The way that `next` leads from a principal.
    fn path(&self, from: usize, next: &BTreeMap<usize, usize>, edges: &[Vec<Edge>]) -> Option<Path> {
        let name = |at: usize| self.standing(at).map(|one| one.holder.arn.to_string()).unwrap_or_default();
        let (mut at, mut hops) = (from, Vec::new());
        let goal = loop {
            let edge = edges.get(at)?.get(*next.get(&at)?)?;
            let technique = self.techniques.get(edge.technique)?;
            let to = match edge.to {
                Node::Principal(to) => name(to),
                Node::Account(account) => format!("administrator of {account}"),
                Node::Organization => "the organization".to_owned(),
            };
            hops.push(Hop {
                technique: technique.id.clone(),
                title: technique.title.clone(),
                from: name(at),
                on: edge.via.clone(),
                to: to.clone(),
                sure: edge.proof.sure,
                statements: edge.proof.statements.iter().cloned().collect(),
                depends_on: edge.proof.depends_on.iter().cloned().collect(),
            });
            match edge.to {
                Node::Principal(to) if next.contains_key(&to) && hops.len() <= edges.len() => at = to,
                Node::Principal(to) => {
                    let account = self.standing(to).map(|one| one.account.to_string()).unwrap_or_default();
                    break format!("administrator of {account}");
                }
                _ => break to,
            }
        };
        Some(Path { principal: name(from), goal, sure: hops.iter().all(|hop| hop.sure), hops })
    }
}

/// On whom a technique is tried.
enum Target<'a> {
    Nobody,
    /// A user or role, and how sure it is that the technique's service can act as it.
    Principal(usize, &'a Standing<'a>, Proof),
    Group(&'a Group),
}

impl Target<'_> {
    fn arn(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Principal(_, standing, _) => Some(standing.holder.arn.as_str()),
            Self::Group(group) => Some(group.arn.as_str()),
        }
    }
}
