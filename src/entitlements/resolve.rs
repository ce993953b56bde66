//! From a snapshot to the entitlements of its principals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::catalog::{ActionSet, Catalog};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Place};
use crate::model::snapshot::{
    AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Organization, Snapshot,
};
use crate::model::time::Timestamp;
use crate::policy::{DocumentKind, Effect, PolicyError};

use super::facts::Facts;
use super::layers::{Cap, Ceiling, Part, Placed};
use super::policies::{Compiled, Compiler};
use super::{Entitlement, Entitlements, Layer, PrincipalEntitlements, PrincipalKind, Scope, UnmatchedPattern};

/// Path of the roles that services make for themselves.
const SERVICE_LINKED: &str = "/aws-service-role/";
/// Path of the roles that Identity Center makes.
const IDENTITY_CENTER: &str = "/aws-reserved/sso.amazonaws.com/";
/// Type of service control policies.
const SCP: &str = "SERVICE_CONTROL_POLICY";

/// Shared state of one computation.
struct Context<'s, 'c> {
    compiler: Compiler<'c>,
    notes: Mutex<Notes>,
    organization: Option<&'s Organization>,
}

#[derive(Default)]
struct Notes {
    defects: Vec<Defect>,
    unmatched: Vec<UnmatchedPattern>,
}

impl Context<'_, '_> {
    fn defect(&self, policy: &str, path: Option<String>, reason: String) {
        let place = Place { file: policy.to_owned(), offset: None, path };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).defects.push(Defect { place, reason });
    }

    /// The organisation's id, where it is collected and has the account.
    fn organization_of(&self, account: AccountId) -> Option<&str> {
        let organization = self.organization?;
        organization.accounts.iter().any(|member| member.id == account).then_some(organization.id.as_str())
    }

    /// Compiles and reports; none where the document is no policy.
    fn compile(&self, name: &str, text: &str, kind: DocumentKind) -> Option<Statements> {
        let compiled: Compiled = self.compiler.document(text, kind);
        match compiled {
            Ok(statements) => {
                for statement in statements.iter().filter(|statement| !statement.unmatched.is_empty()) {
                    let list = statement.unmatched.iter().map(|pattern| UnmatchedPattern {
                        policy: name.to_owned(),
                        statement: statement.index,
                        pattern: pattern.clone(),
                    });
                    self.notes.lock().unwrap_or_else(PoisonError::into_inner).unmatched.extend(list);
                }
                Some(statements)
            }
            Err(error) => {
                let PolicyError { path, reason } = &*error;
                self.defect(name, (!path.is_empty()).then(|| path.clone()), reason.clone());
                None
            }
        }
    }
}

type Statements = Arc<[Arc<super::policies::CompiledStatement>]>;

/// A compiled managed policy; no statements where it is no policy.
struct Managed {
    statements: Option<Statements>,
    created: Option<Timestamp>,
    name: Arc<str>,
}

/// What the principals of one account share.
struct Account<'s> {
    iam: &'s AccountIam,
    managed: BTreeMap<&'s str, Managed>,
    groups: BTreeMap<&'s str, &'s Group>,
    /// By boundary (none or its ARN), for principals that SCPs bind.
    ceilings: BTreeMap<Option<&'s str>, Ceiling>,
    /// The same without SCPs, for service-linked roles.
    exempt: Ceiling,
}

pub(super) fn resolve(snapshot: &Snapshot, catalog: &Catalog) -> Entitlements {
    let context = Context {
        compiler: Compiler::new(catalog),
        notes: Mutex::default(),
        organization: snapshot.organization.as_ref(),
    };
    let accounts: Vec<Account<'_>> = snapshot.accounts.values().map(|iam| Account::new(&context, iam)).collect();
    let mut principals: Vec<PrincipalEntitlements> = accounts
        .par_iter()
        .flat_map(|account| {
            let users = account
                .iam
                .users
                .par_iter()
                .map(|user| principal(&context, account, &user.holder, PrincipalKind::User, &user.groups));
            let roles = account
                .iam
                .roles
                .par_iter()
                .map(|role| principal(&context, account, &role.holder, kind_of_role(&role.holder), &[]));
            users.chain(roles)
        })
        .collect();
    principals.sort_by(|a, b| (&a.arn, &a.id).cmp(&(&b.arn, &b.id)));
    let Notes { mut defects, mut unmatched } = context.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    defects.sort();
    defects.dedup();
    unmatched.sort();
    unmatched.dedup();
    Entitlements { principals, unmatched, defects }
}

fn kind_of_role(holder: &Holder) -> PrincipalKind {
    if holder.path.starts_with(SERVICE_LINKED) {
        PrincipalKind::ServiceLinkedRole
    } else if holder.path.starts_with(IDENTITY_CENTER) {
        PrincipalKind::IdentityCenterRole
    } else {
        PrincipalKind::Role
    }
}

impl<'s> Account<'s> {
    fn new(context: &Context<'s, '_>, iam: &'s AccountIam) -> Self {
        let managed: BTreeMap<&str, Managed> = iam
            .policies
            .par_iter()
            .map(|policy: &ManagedPolicy| {
                let statements = context.compile(&policy.arn, &policy.json, DocumentKind::Identity);
                let name: Arc<str> = policy.arn.as_str().into();
                (policy.arn.as_str(), Managed { statements, created: policy.version_created, name })
            })
            .collect();
        let groups = iam.groups.iter().map(|group| (group.name.as_str(), group)).collect();
        let control = control(context, iam.account);
        let mut account = Self { iam, managed, groups, ceilings: BTreeMap::new(), exempt: Ceiling::default() };
        let holders = iam.users.iter().map(|user| &user.holder).chain(iam.roles.iter().map(|role| &role.holder));
        let mut boundaries: Vec<Option<&str>> = holders.map(|holder| holder.boundary.as_deref()).collect();
        boundaries.sort_unstable();
        boundaries.dedup();
        for boundary in boundaries {
            let ceiling = account.ceiling(context, &control, boundary);
            account.ceilings.insert(boundary, ceiling);
        }
        account
    }

    fn ceiling(&self, context: &Context<'_, '_>, control: &Control, boundary: Option<&str>) -> Ceiling {
        let mut ceiling =
            Ceiling { caps: control.caps.clone(), undecidable: control.undecidable, ..Ceiling::default() };
        ceiling.deny(control.denies.iter().cloned());
        let Some(arn) = boundary else { return ceiling };
        match self.managed.get(arn) {
            Some(Managed { statements: Some(statements), created, name }) => {
                let placed = place(statements, Layer::Boundary, name, &"".into());
                ceiling.caps.push(Arc::new(Cap::new(&placed, context.compiler.catalog.len())));
                ceiling.deny(placed);
                ceiling.since = *created;
            }
            Some(_) => ceiling.undecidable = true,
            None => {
                ceiling.undecidable = true;
                let reason = "is a permissions boundary, and its document was not collected".to_owned();
                context.defect(arn, None, reason);
            }
        }
        ceiling
    }
}

fn place(statements: &Statements, layer: Layer, policy: &Arc<str>, via: &Arc<str>) -> Vec<Placed> {
    statements
        .iter()
        .map(|statement| Placed {
            statement: Arc::clone(statement),
            layer,
            policy: Arc::clone(policy),
            via: Arc::clone(via),
        })
        .collect()
}

/// The levels of SCPs above an account.
#[derive(Default)]
struct Control {
    caps: Vec<Arc<Cap>>,
    denies: Vec<Placed>,
    undecidable: bool,
}

/// SCPs bind member accounts, not the management account. Each level must allow: the root, every OU on the way
/// down, and the account itself. Source: AWS Organizations User Guide, "SCP evaluation".
fn control(context: &Context<'_, '_>, account: AccountId) -> Control {
    let mut control = Control::default();
    let Some(organization) = context.organization else { return control };
    if organization.management_account == account {
        return control;
    }
    // Without any SCP the policy type is not enabled: AWS attaches FullAWSAccess everywhere when it is.
    if !organization.policies.iter().any(|policy| policy.kind == SCP) {
        return control;
    }
    let Some(member) = organization.accounts.iter().find(|member| member.id == account) else {
        let reason = format!("does not list account {account}; its service control policies are not known");
        context.defect(&organization.id, None, reason);
        control.undecidable = true;
        return control;
    };
    if !member.parents.first().is_some_and(|root| root.starts_with("r-")) {
        control.undecidable = true;
    }
    let own = account.to_string();
    for target in member.parents.iter().chain(std::iter::once(&own)) {
        let attached: Vec<_> = organization
            .policies
            .iter()
            .filter(|policy| policy.kind == SCP && policy.targets.iter().any(|id| id == target))
            .collect();
        if attached.is_empty() {
            let reason = "has no service control policy attached, which AWS does not permit; expected at least one, \
                          such as FullAWSAccess; the level was taken to allow everything"
                .to_owned();
            context.defect(target, None, reason);
            continue;
        }
        let mut level = Vec::new();
        let mut whole = true;
        for policy in attached {
            match context.compile(&policy.id, &policy.json, DocumentKind::ServiceControl) {
                Some(statements) => {
                    level.extend(place(
                        &statements,
                        Layer::ServiceControl,
                        &policy.id.as_str().into(),
                        &target.as_str().into(),
                    ));
                }
                None => whole = false,
            }
        }
        control.denies.extend(level.iter().filter(|placed| placed.statement.effect == Effect::Deny).cloned());
        if whole {
            control.caps.push(Arc::new(Cap::new(&level, context.compiler.catalog.len())));
        } else {
            control.undecidable = true;
        }
    }
    control
}

/// What is gathered for one principal.
struct Gathered {
    allows: Vec<(Placed, Option<Timestamp>)>,
    denies: Vec<Placed>,
    /// Whether one of its policies is missing or cannot be parsed: it may allow or deny anything.
    unknown: bool,
}

impl Gathered {
    fn add(&mut self, statements: &Statements, layer: Layer, policy: &Arc<str>, via: &Arc<str>, at: Option<Timestamp>) {
        for placed in place(statements, layer, policy, via) {
            match placed.statement.effect {
                Effect::Allow => self.allows.push((placed, at)),
                Effect::Deny => self.denies.push(placed),
            }
        }
    }

    fn inline(&mut self, context: &Context<'_, '_>, arn: &Arn, list: &[NamedDocument], layer: Layer, via: &Arc<str>) {
        for document in list {
            let name = format!("{arn} inline policy {}", document.name);
            match context.compile(&name, &document.json, DocumentKind::Identity) {
                Some(statements) => self.add(&statements, layer, &document.name.as_str().into(), via, None),
                None => self.unknown = true,
            }
        }
    }

    fn attached(
        &mut self,
        context: &Context<'_, '_>,
        account: &Account<'_>,
        list: &[Attachment],
        layer: Layer,
        via: &Arc<str>,
    ) {
        for attachment in list {
            match account.managed.get(attachment.arn.as_str()) {
                Some(Managed { statements: Some(statements), created, name }) => {
                    self.add(statements, layer, name, via, *created);
                }
                Some(_) => self.unknown = true,
                None => {
                    self.unknown = true;
                    let reason =
                        format!("is attached in account {}, and its document was not collected", account.iam.account);
                    context.defect(&attachment.arn, None, reason);
                }
            }
        }
    }
}

fn gather(context: &Context<'_, '_>, account: &Account<'_>, holder: &Holder, groups: &[String]) -> Gathered {
    let mut gathered = Gathered { allows: Vec::new(), denies: Vec::new(), unknown: false };
    let nobody: Arc<str> = "".into();
    gathered.inline(context, &holder.arn, &holder.inline, Layer::IdentityInline, &nobody);
    gathered.attached(context, account, &holder.attached, Layer::IdentityManaged, &nobody);
    for name in groups {
        let Some(group) = account.groups.get(name.as_str()) else {
            gathered.unknown = true;
            let reason = format!("is in group `{name}`, which was not collected");
            context.defect(holder.arn.as_str(), None, reason);
            continue;
        };
        let via: Arc<str> = name.as_str().into();
        gathered.inline(context, &group.arn, &group.inline, Layer::Group, &via);
        gathered.attached(context, account, &group.attached, Layer::Group, &via);
    }
    gathered
}

fn principal(
    context: &Context<'_, '_>,
    account: &Account<'_>,
    holder: &Holder,
    kind: PrincipalKind,
    groups: &[String],
) -> PrincipalEntitlements {
    let size = context.compiler.catalog.len();
    let gathered = gather(context, account, holder, groups);
    let ceiling = match kind {
        PrincipalKind::ServiceLinkedRole => &account.exempt,
        _ => account.ceilings.get(&holder.boundary.as_deref()).unwrap_or(&account.exempt),
    };
    let account_facts = Facts {
        account: account.iam.account,
        organization: context.organization_of(account.iam.account),
        principal: None,
    };
    let facts = Facts { principal: Some((&holder.arn, &holder.name, kind)), ..account_facts.clone() };
    let mut out = PrincipalEntitlements {
        arn: holder.arn.clone(),
        id: holder.id.clone(),
        account: account.iam.account,
        kind,
        granted: ActionSet::new(size),
        undecided: ActionSet::new(size),
        ineffective: ActionSet::new(size),
        open: false,
        entitlements: Vec::new(),
    };
    let mut sure = ActionSet::new(size);
    // The same statement may come by several ways; it is one entitlement with several provenances.
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for (placed, version) in &gathered.allows {
        let since = [*version, holder.created, ceiling.since].into_iter().flatten().max();
        let key = Arc::as_ptr(&placed.statement).addr();
        if let Some(known) = seen.get(&key).and_then(|at| out.entitlements.get_mut(*at)) {
            known.provenance.push(placed.provenance());
            // Held by either way, so as old as the older of the two.
            known.since = known.since.zip(since).map(|(a, b)| a.min(b));
            continue;
        }
        if let Some(ineffective) = &placed.statement.ineffective {
            out.ineffective.union_with(ineffective);
        }
        let mut part: Arc<Part> = ceiling.under(&placed.statement, &account_facts);
        for deny in ceiling.personal.iter().chain(&gathered.denies).filter(|deny| deny.concerns(&placed.statement)) {
            Arc::make_mut(&mut part).deny(deny, &facts);
        }
        if part.actions.is_empty() && !part.open {
            continue;
        }
        out.granted.union_with(&part.actions);
        out.open |= part.open;
        if part.undecided.is_some() {
            out.undecided.union_with(&part.doubtful());
            sure.union_with(&part.certain());
        } else {
            sure.union_with(&part.actions);
        }
        seen.insert(key, out.entitlements.len());
        out.entitlements.push(Entitlement {
            scope: Arc::clone(&part.scope_of.scope),
            actions: Arc::clone(&part.actions),
            open: part.open,
            limits: live_limits(&part),
            provenance: vec![placed.provenance()],
            since,
        });
    }
    finish(&mut out, &sure, gathered.unknown, ceiling.undecidable);
    out
}

/// Limits noted before a later Deny took all their actions away say nothing any more.
fn live_limits(part: &Part) -> Vec<Arc<super::Limit>> {
    part.limits.iter().filter(|limit| limit.actions.intersects(&part.actions)).cloned().collect()
}

fn finish(out: &mut PrincipalEntitlements, sure: &ActionSet, unknown: bool, capped_unknown: bool) {
    if unknown {
        out.undecided = ActionSet::full(out.granted.capacity());
    } else if capped_unknown {
        out.undecided.union_with(&out.granted);
    } else {
        // What one entitlement surely grants is decided, whatever becomes of the others.
        out.undecided.subtract(sure);
    }
    out.ineffective.subtract(&out.granted);
    for entitlement in &mut out.entitlements {
        entitlement.provenance.sort();
        entitlement.provenance.dedup();
        entitlement.limits.sort_by(|a, b| limit_key(a).cmp(&limit_key(b)));
    }
    out.entitlements.sort_by(|a, b| (&a.scope, &a.provenance).cmp(&(&b.scope, &b.provenance)));
}

fn limit_key(limit: &super::Limit) -> (super::LimitKind, &Scope, &super::Provenance) {
    (limit.kind, &limit.scope, &limit.provenance)
}
