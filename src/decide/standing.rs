//! From a snapshot to the policies that stand above each of its principals: the one place that knows which policies
//! bind whom. Decisions and entitlements both start here.
//!
//! Source: IAM User Guide, "Policy evaluation logic"; AWS Organizations User Guide, "SCP evaluation", "RCP evaluation".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Place};
use crate::model::snapshot::{
    AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Organization, Role, Snapshot,
};
use crate::model::time::Timestamp;
use crate::policy::{DocumentKind, PolicyError};

use super::compile::{CompiledStatement, Compiler};
use super::evaluate::ResourcePolicy;
use super::layers::{Layer, PolicySet};
use super::request::{SERVICE_LINKED, Target};
use super::resources::Resources;

/// Path of the roles that Identity Center makes.
const IDENTITY_CENTER: &str = "/aws-reserved/sso.amazonaws.com/";
/// Type of service control policies.
const SCP: &str = "SERVICE_CONTROL_POLICY";
/// Type of resource control policies.
const RCP: &str = "RESOURCE_CONTROL_POLICY";

/// What kind of principal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// An IAM user.
    User,
    /// A role.
    Role,
    /// A role that a service made for itself (path `/aws-service-role/`): SCPs do not bind it, nobody edits it.
    ServiceLinkedRole,
    /// A role that Identity Center made for a permission set (path `/aws-reserved/sso.amazonaws.com/`).
    IdentityCenterRole,
}

impl PrincipalKind {
    fn of_role(holder: &Holder) -> Self {
        if holder.path.starts_with(SERVICE_LINKED) {
            Self::ServiceLinkedRole
        } else if holder.path.starts_with(IDENTITY_CENTER) {
            Self::IdentityCenterRole
        } else {
            Self::Role
        }
    }
}

/// An action pattern that matches nothing in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct UnmatchedPattern {
    /// The policy: ARN or id, or for inline policies the holder's ARN and the name.
    pub policy: String,
    /// Index of the statement.
    pub statement: usize,
    /// The pattern as written.
    pub pattern: String,
}

/// A principal with all that stands above it.
#[derive(Clone, Debug)]
pub struct Standing<'s> {
    /// The user or role.
    pub holder: &'s Holder,
    /// Its account.
    pub account: AccountId,
    /// Its kind.
    pub kind: PrincipalKind,
    /// Its identity policies: inline, attached, and of its groups.
    pub identity: Arc<PolicySet>,
    /// Its permissions boundary.
    pub boundary: Option<Arc<Boundary>>,
    /// The SCPs that bind it; none for service-linked roles and in the management account.
    pub control: Arc<Control>,
    /// The organisation's id, where its account is known to be in it.
    pub organization: Option<&'s str>,
}

/// A permissions boundary.
#[derive(Debug)]
pub struct Boundary {
    /// Its ARN.
    pub arn: String,
    /// Its statements; broken where the document was not collected or is no policy.
    pub policies: Arc<PolicySet>,
    /// Creation of its version.
    pub since: Option<Timestamp>,
}

/// Organisation policies above an account: a set a level, from the root down.
#[derive(Debug, Default)]
pub struct Control {
    /// The levels.
    pub levels: Arc<[PolicySet]>,
    /// Whether some level is not known or has a policy that cannot be read.
    pub undecidable: bool,
}

#[derive(Default, Debug)]
struct Notes {
    defects: Vec<Defect>,
    unmatched: Vec<UnmatchedPattern>,
}

type Statements = Arc<[Arc<CompiledStatement>]>;

/// A compiled managed policy; no statements where it is no policy.
#[derive(Debug)]
struct Managed {
    statements: Option<Statements>,
    created: Option<Timestamp>,
    name: Arc<str>,
}

/// What the principals of one account share.
#[derive(Debug)]
struct Account<'s> {
    iam: &'s AccountIam,
    managed: BTreeMap<&'s str, Managed>,
    groups: BTreeMap<&'s str, &'s Group>,
    boundaries: BTreeMap<&'s str, Arc<Boundary>>,
    scps: Arc<Control>,
    organization: Option<&'s str>,
}

/// A snapshot with its policies compiled.
#[derive(Debug)]
pub struct Roster<'s> {
    /// Every user and role, sorted by ARN and unique id.
    pub principals: Vec<Standing<'s>>,
    /// Creation of the version of each managed policy, by account and ARN.
    versions: BTreeMap<(AccountId, &'s str), Option<Timestamp>>,
    /// Patterns in policies in use that match nothing in the catalogue; sorted.
    pub unmatched: Vec<UnmatchedPattern>,
    /// Policies that are missing or cannot be parsed, once each; sorted.
    pub defects: Vec<Defect>,
    /// Trust policies that cannot be read: nobody knows who may enter these roles.
    pub unreadable_trusts: Vec<Defect>,
    /// RCPs above each account of the snapshot or of its organisation.
    rcps: BTreeMap<AccountId, Arc<Control>>,
    scps: BTreeMap<AccountId, Arc<Control>>,
    trusts: BTreeMap<&'s str, Arc<PolicySet>>,
    roles: BTreeMap<&'s str, &'s Role>,
    resources: Resources<'s>,
}

/// Compiles and takes notes.
pub(super) struct Compilation<'s, 'c> {
    compiler: &'c Compiler<'c>,
    notes: Mutex<Notes>,
    organization: Option<&'s Organization>,
}

impl<'s> Compilation<'s, '_> {
    fn defect(&self, policy: &str, path: Option<String>, reason: String) {
        let place = Place { file: policy.to_owned(), offset: None, path };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).defects.push(Defect { place, reason });
    }

    /// The organisation's id, where it is collected and has the account.
    fn organization_of(&self, account: AccountId) -> Option<&'s str> {
        let organization = self.organization?;
        organization.accounts.iter().any(|member| member.id == account).then_some(organization.id.as_str())
    }

    /// Compiles and reports; none where the document is no policy.
    pub(super) fn compile(&self, name: &str, text: &str, kind: DocumentKind) -> Option<Statements> {
        match self.compiler.document(text, kind) {
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

    /// The levels of organisation policies above an account: the root, every OU on the way down, the account itself.
    /// They bind member accounts, not the management account.
    fn control(&self, account: AccountId, policy_type: &str, kind: DocumentKind, layer: Layer) -> Control {
        let mut control = Control::default();
        let Some(organization) = self.organization else { return control };
        if organization.management_account == account {
            return control;
        }
        // Without any, the policy type is not enabled: AWS attaches a full-access policy everywhere when it is.
        if !organization.policies.iter().any(|policy| policy.kind == policy_type) {
            return control;
        }
        let Some(member) = organization.accounts.iter().find(|member| member.id == account) else {
            if policy_type == SCP {
                let reason = format!("does not list account {account}; its service control policies are not known");
                self.defect(&organization.id, None, reason);
            }
            control.undecidable = true;
            control.levels = [PolicySet::unknown(format!("what binds account {account} ({policy_type})"))].into();
            return control;
        };
        if !member.parents.first().is_some_and(|root| root.starts_with("r-")) {
            control.undecidable = true;
        }
        let own = account.to_string();
        let mut levels = Vec::new();
        for target in member.parents.iter().chain(std::iter::once(&own)) {
            let mut attached = organization
                .policies
                .iter()
                .filter(|policy| policy.kind == policy_type && policy.targets.iter().any(|id| id == target))
                .peekable();
            if attached.peek().is_none() {
                if policy_type == SCP {
                    let reason =
                        "has no service control policy attached, which AWS does not permit; expected at least \
                                  one, such as FullAWSAccess; the level was taken to allow everything"
                            .to_owned();
                    self.defect(target, None, reason);
                }
                // RCPFullAWSAccess is attached everywhere and cannot be taken away; listings may leave it out.
                continue;
            }
            let mut level = PolicySet::named(target.as_str());
            for policy in attached {
                match self.compile(&policy.id, &policy.json, kind) {
                    Some(statements) => {
                        level.add(&statements, layer, &policy.id.as_str().into(), &target.as_str().into());
                    }
                    None => level.broken.push(policy.id.clone()),
                }
            }
            control.undecidable |= !level.broken.is_empty();
            levels.push(level);
        }
        if policy_type == RCP {
            levels.iter_mut().for_each(|level| self.complete_rcps(level));
        }
        control.levels = levels.into();
        control
    }

    /// AWS attaches `RCPFullAWSAccess` everywhere for good; where a listing has only the Denies, it is added.
    fn complete_rcps(&self, level: &mut PolicySet) {
        const FULL: &str =
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
        if let Ok(statements) = self.compiler.document(FULL, DocumentKind::Resource) {
            let via = level.name.as_str().into();
            level.add(&statements, Layer::ResourceControl, &"p-RCPFullAWSAccess".into(), &via);
        }
    }

    fn boundary(&self, account: &Account<'_>, arn: &str) -> Boundary {
        let mut policies = PolicySet::default();
        let mut since = None;
        match account.managed.get(arn) {
            Some(Managed { statements: Some(statements), created, name }) => {
                policies.add(statements, Layer::Boundary, name, &"".into());
                since = *created;
            }
            Some(_) => policies.broken.push(arn.to_owned()),
            None => {
                policies.broken.push(arn.to_owned());
                let reason = "is a permissions boundary, and its document was not collected".to_owned();
                self.defect(arn, None, reason);
            }
        }
        Boundary { arn: arn.to_owned(), policies: Arc::new(policies), since }
    }

    fn inline(&self, into: &mut PolicySet, arn: &Arn, list: &[NamedDocument], layer: Layer, via: &Arc<str>) {
        for document in list {
            let name = format!("{arn} inline policy {}", document.name);
            match self.compile(&name, &document.json, DocumentKind::Identity) {
                Some(statements) => into.add(&statements, layer, &document.name.as_str().into(), via),
                None => into.broken.push(name),
            }
        }
    }

    fn attached(&self, into: &mut PolicySet, account: &Account<'_>, list: &[Attachment], layer: Layer, via: &Arc<str>) {
        for attachment in list {
            match account.managed.get(attachment.arn.as_str()) {
                Some(Managed { statements: Some(statements), name, .. }) => into.add(statements, layer, name, via),
                Some(_) => into.broken.push(attachment.arn.clone()),
                None => {
                    into.broken.push(attachment.arn.clone());
                    let reason =
                        format!("is attached in account {}, and its document was not collected", account.iam.account);
                    self.defect(&attachment.arn, None, reason);
                }
            }
        }
    }

    fn identity(&self, account: &Account<'_>, holder: &Holder, groups: &[String]) -> PolicySet {
        let mut set = PolicySet::default();
        let nobody: Arc<str> = "".into();
        self.inline(&mut set, &holder.arn, &holder.inline, Layer::IdentityInline, &nobody);
        self.attached(&mut set, account, &holder.attached, Layer::IdentityManaged, &nobody);
        for name in groups {
            let Some(group) = account.groups.get(name.as_str()) else {
                set.broken.push(format!("group {name}"));
                let reason = format!("is in group `{name}`, which was not collected");
                self.defect(holder.arn.as_str(), None, reason);
                continue;
            };
            let via: Arc<str> = name.as_str().into();
            self.inline(&mut set, &group.arn, &group.inline, Layer::Group, &via);
            self.attached(&mut set, account, &group.attached, Layer::Group, &via);
        }
        set
    }

    fn account(&self, iam: &'s AccountIam) -> Account<'s> {
        let managed: BTreeMap<&str, Managed> = iam
            .policies
            .par_iter()
            .map(|policy: &ManagedPolicy| {
                let statements = self.compile(&policy.arn, &policy.json, DocumentKind::Identity);
                let name: Arc<str> = policy.arn.as_str().into();
                (policy.arn.as_str(), Managed { statements, created: policy.version_created, name })
            })
            .collect();
        let groups = iam.groups.iter().map(|group| (group.name.as_str(), group)).collect();
        let scps = Arc::new(self.control(iam.account, SCP, DocumentKind::ServiceControl, Layer::ServiceControl));
        let organization = self.organization_of(iam.account);
        let mut account = Account { iam, managed, groups, boundaries: BTreeMap::new(), scps, organization };
        let holders = iam.users.iter().map(|user| &user.holder).chain(iam.roles.iter().map(|role| &role.holder));
        let mut arns: Vec<&str> = holders.filter_map(|holder| holder.boundary.as_deref()).collect();
        arns.sort_unstable();
        arns.dedup();
        for arn in arns {
            let boundary = Arc::new(self.boundary(&account, arn));
            account.boundaries.insert(arn, boundary);
        }
        account
    }

    fn standing(
        &self,
        account: &Account<'s>,
        holder: &'s Holder,
        kind: PrincipalKind,
        groups: &[String],
    ) -> Standing<'s> {
        let exempt = kind == PrincipalKind::ServiceLinkedRole;
        Standing {
            holder,
            account: account.iam.account,
            kind,
            identity: Arc::new(self.identity(account, holder, groups)),
            // A service-linked role cannot have one.
            boundary: holder
                .boundary
                .as_deref()
                .filter(|_| !exempt)
                .and_then(|arn| account.boundaries.get(arn))
                .cloned(),
            control: if exempt { Arc::default() } else { Arc::clone(&account.scps) },
            organization: account.organization,
        }
    }
}

impl<'s> Roster<'s> {
    /// Compiles a snapshot's policies, in parallel.
    #[must_use]
    pub fn new(snapshot: &'s Snapshot, compiler: &Compiler<'_>) -> Self {
        let context = Compilation { compiler, notes: Mutex::default(), organization: snapshot.organization.as_ref() };
        let accounts: Vec<Account<'_>> = snapshot.accounts.values().map(|iam| context.account(iam)).collect();
        let mut principals: Vec<Standing<'_>> = accounts
            .par_iter()
            .flat_map(|account| {
                let users = account
                    .iam
                    .users
                    .par_iter()
                    .map(|user| context.standing(account, &user.holder, PrincipalKind::User, &user.groups));
                let roles = account
                    .iam
                    .roles
                    .par_iter()
                    .map(|role| context.standing(account, &role.holder, PrincipalKind::of_role(&role.holder), &[]));
                users.chain(roles)
            })
            .collect();
        principals.sort_by(|a, b| (&a.holder.arn, &a.holder.id).cmp(&(&b.holder.arn, &b.holder.id)));
        let versions = accounts
            .iter()
            .flat_map(|account| {
                account.managed.iter().map(|(arn, policy)| ((account.iam.account, *arn), policy.created))
            })
            .collect();
        let owners = snapshot.accounts.keys().copied();
        let members = snapshot.organization.iter().flat_map(|organization| organization.accounts.iter().map(|a| a.id));
        let rcps = owners
            .chain(members)
            .map(|id| (id, Arc::new(context.control(id, RCP, DocumentKind::Resource, Layer::ResourceControl))))
            .collect();
        let scps = accounts.iter().map(|account| (account.iam.account, Arc::clone(&account.scps))).collect();
        let all_roles = || snapshot.accounts.values().flat_map(|iam| &iam.roles);
        let roles = all_roles().map(|role| (role.holder.arn.as_str(), role)).collect();
        let mut unreadable_trusts = Vec::new();
        let trusts = all_roles()
            .map(|role| (role.holder.arn.as_str(), Arc::new(trust(&context, role, &mut unreadable_trusts))))
            .collect();
        let resources = Resources::of(snapshot, &context);
        let Notes { mut defects, mut unmatched } = context.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        defects.sort();
        defects.dedup();
        unmatched.sort();
        unmatched.dedup();
        Self { principals, versions, unmatched, defects, unreadable_trusts, rcps, scps, trusts, roles, resources }
    }

    /// The principals of that ARN: usually one, more where it was deleted and made again between snapshots' pages.
    pub fn of(&self, arn: &str) -> impl Iterator<Item = &Standing<'s>> {
        let first = self.principals.partition_point(|principal| principal.holder.arn.as_str() < arn);
        let arn = arn.to_owned();
        self.principals.iter().skip(first).take_while(move |principal| principal.holder.arn.as_str() == arn)
    }

    /// When the version of a managed policy was made that an account uses.
    #[must_use]
    pub fn version_created(&self, account: AccountId, policy: &str) -> Option<Timestamp> {
        self.versions.get(&(account, policy)).copied().flatten()
    }

    /// The RCPs above an account's resources; none where the account is not known.
    #[must_use]
    pub fn rcps(&self, account: AccountId) -> Option<&Arc<Control>> {
        self.rcps.get(&account)
    }

    /// The SCPs above an account's principals; none where the account's IAM was not collected.
    #[must_use]
    pub fn scps(&self, account: AccountId) -> Option<&Arc<Control>> {
        self.scps.get(&account)
    }

    /// A role's trust policy, by the role's ARN.
    #[must_use]
    pub fn trust(&self, role: &str) -> Option<&Arc<PolicySet>> {
        self.trusts.get(role)
    }

    /// The policy at what is asked for; none where it was not collected.
    #[must_use]
    pub fn resource_policy(&self, target: &Target) -> Option<ResourcePolicy> {
        self.resources.policy(target)
    }

    /// The account that owns what is asked for, where it was collected.
    #[must_use]
    pub fn resource_owner(&self, target: &Target) -> Option<AccountId> {
        self.resources.owner(target)
    }

    /// A role by its ARN.
    #[must_use]
    pub fn role(&self, arn: &str) -> Option<&'s Role> {
        self.roles.get(arn).copied()
    }
}

/// A trust policy; one that cannot be read goes to `unreadable`.
fn trust(context: &Compilation<'_, '_>, role: &Role, unreadable: &mut Vec<Defect>) -> PolicySet {
    let mut set = PolicySet::default();
    match context.compiler.document(&role.trust, DocumentKind::Trust) {
        Ok(statements) => {
            set.add(&statements, Layer::Resource, &"trust policy".into(), &role.holder.arn.as_str().into());
        }
        Err(error) => {
            let name = format!("the trust policy of {}", role.holder.arn);
            let path = (!error.path.is_empty()).then(|| error.path.clone());
            let place = Place { file: name.clone(), offset: None, path };
            unreadable.push(Defect { place, reason: error.reason.clone() });
            set.broken.push(name);
        }
    }
    set
}
