//! IAM, organisation and people as they stood at a time. Policy documents stay text here: only `policy` reads them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::access_analyzer::AccessAnalyzer;
use super::account::AccountDetails;
use super::arn::{AccountId, Arn};
use super::defect::Defect;
use super::last_accessed::PrincipalLastAccessed;
use super::resource_policy::{ResourceService, ServiceResources};
use super::time::Timestamp;
use super::trail::TrailState;

/// A policy document with its name. `json` is the decoded document text, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedDocument {
    /// Policy name.
    pub name: String,
    /// The document.
    pub json: String,
}

/// A managed policy attached by ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attachment {
    /// Policy name.
    pub name: String,
    /// Policy ARN.
    pub arn: String,
}

/// A managed policy in its default version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// Unique id (`ANPA…`).
    pub id: String,
    /// Creation time of the default version: the youngest moment at which its grants may have changed.
    pub version_created: Option<Timestamp>,
    /// Id of the default version, such as `v3`.
    pub version_id: String,
    /// The default version's document.
    pub json: String,
}

/// Something that holds policies: the parts that users and roles share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// ARN with path.
    pub arn: Arn,
    /// Name.
    pub name: String,
    /// Path, such as `/` or `/aws-reserved/sso.amazonaws.com/`.
    pub path: String,
    /// Unique id (`AIDA…`, `AROA…`).
    pub id: String,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// Inline policies.
    pub inline: Vec<NamedDocument>,
    /// Attached managed policies.
    pub attached: Vec<Attachment>,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What it shares with roles.
    pub holder: Holder,
    /// Names of its groups.
    pub groups: Vec<String>,
}

/// An IAM group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// ARN with path.
    pub arn: Arn,
    /// Name.
    pub name: String,
    /// Inline policies.
    pub inline: Vec<NamedDocument>,
    /// Attached managed policies.
    pub attached: Vec<Attachment>,
}

/// An IAM role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// What it shares with users.
    pub holder: Holder,
    /// Trust policy document.
    pub trust: String,
    /// `RoleLastUsed`: time and region; counts attempts, at most 400 days back.
    pub last_used: Option<Timestamp>,
    /// Names and role lists of instance profiles that carry this role: (instance profile ARN).
    pub instance_profiles: Vec<String>,
}

/// One account's IAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountIam {
    /// The account.
    pub account: AccountId,
    /// When this state was read from AWS.
    pub captured_at: Timestamp,
    /// Users by ARN.
    pub users: Vec<User>,
    /// Groups by ARN.
    pub groups: Vec<Group>,
    /// Roles by ARN.
    pub roles: Vec<Role>,
    /// Managed policies by ARN: customer managed and the AWS managed ones in use.
    pub policies: Vec<ManagedPolicy>,
}

/// A credential of an IAM user or root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Whether it can be used.
    pub active: bool,
    /// Creation or last rotation.
    pub rotated: Option<Timestamp>,
    /// Last use, none where never or not recorded.
    pub last_used: Option<Timestamp>,
}

/// One row of the credential report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRow {
    /// User name, or `<root_account>`.
    pub user: String,
    /// ARN of the user or of root.
    pub arn: Arn,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// The console password; none where the report says not supported or no information (root).
    pub password: Option<Credential>,
    /// Whether MFA is on.
    pub mfa: bool,
    /// Access keys 1 and 2.
    pub keys: Vec<Credential>,
}

/// A credential report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialReport {
    /// The account.
    pub account: AccountId,
    /// When AWS made it.
    pub captured_at: Timestamp,
    /// One row a user, and root.
    pub rows: Vec<CredentialRow>,
}

/// An organisation policy and what it is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationPolicy {
    /// `p-…`.
    pub id: String,
    /// Name.
    pub name: String,
    /// `SERVICE_CONTROL_POLICY` or `RESOURCE_CONTROL_POLICY`.
    pub kind: String,
    /// The document.
    pub json: String,
    /// Ids of the root, OUs and accounts to which it is attached.
    pub targets: Vec<String>,
}

/// A member account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationAccount {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// The parents' ids from the root down to the direct parent.
    pub parents: Vec<String>,
}

/// The organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// `o-…`.
    pub id: String,
    /// The management account: SCPs do not bind it.
    pub management_account: AccountId,
    /// When this state was read.
    pub captured_at: Timestamp,
    /// Accounts by id.
    pub accounts: Vec<OrganizationAccount>,
    /// Policies by id.
    pub policies: Vec<OrganizationPolicy>,
}

/// An Identity Center permission set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionSet {
    /// ARN.
    pub arn: String,
    /// Name; its roles are called `AWSReservedSSO_<name>_<16 hex digits>`.
    pub name: String,
    /// Session duration as ISO 8601, such as `PT8H`.
    pub session_duration: String,
    /// What it puts into its roles; none where that was not collected.
    pub policies: Option<SetPolicies>,
    /// Tags; none where they were not collected.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
}

/// What a permission set puts into its roles. Source: "PermissionSet" and the operations on its policies, IAM Identity
/// Center API Reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPolicies {
    /// The inline policy's document; none where it has none.
    pub inline: Option<String>,
    /// ARNs of AWS's managed policies, sorted.
    pub managed: Vec<String>,
    /// Policies of that name in each account, sorted.
    pub customer: Vec<PolicyName>,
    /// The permissions boundary.
    pub boundary: Option<SetBoundary>,
}

impl SetPolicies {
    /// ARNs of the managed policies that its role has in an account, sorted.
    #[must_use]
    pub fn attached(&self, partition: &str, account: AccountId) -> Vec<String> {
        let customer = self.customer.iter().map(|policy| policy.arn(partition, account));
        let mut out: Vec<String> = self.managed.iter().cloned().chain(customer).collect();
        out.sort();
        out
    }
}

/// A managed policy by its name: a permission set refers to the one of each account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyName {
    /// Path, `/` where none.
    pub path: String,
    /// Name.
    pub name: String,
}

impl PolicyName {
    /// The policy's ARN in an account.
    #[must_use]
    pub fn arn(&self, partition: &str, account: AccountId) -> String {
        format!("arn:{partition}:iam::{account}:policy{}{}", self.path, self.name)
    }
}

/// The permissions boundary of a permission set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBoundary {
    /// One of AWS's managed policies, by ARN.
    Managed(String),
    /// The policy of that name in each account.
    Customer(PolicyName),
}

impl SetBoundary {
    /// Its ARN in an account.
    #[must_use]
    pub fn arn(&self, partition: &str, account: AccountId) -> String {
        match self {
            Self::Managed(arn) => arn.clone(),
            Self::Customer(policy) => policy.arn(partition, account),
        }
    }
}

/// An account assignment: who may enter an account with a permission set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Assignment {
    /// The account.
    pub account: AccountId,
    /// ARN of the permission set.
    pub permission_set: String,
    /// True where `principal_id` is a group.
    pub is_group: bool,
    /// Identity store id of the user or group.
    pub principal_id: String,
}

/// An Identity Center user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityCenterUser {
    /// Identity store id.
    pub id: String,
    /// User name: the session name on `AWSReservedSSO_*` roles.
    pub user_name: String,
    /// Primary e-mail; empty where none.
    pub email: String,
    /// Ids of the user's groups.
    pub groups: Vec<String>,
}

/// Identity Center.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityCenter {
    /// When this state was read.
    pub captured_at: Timestamp,
    /// ARN of the instance; empty where not said.
    pub instance: String,
    /// The account that owns it: the organisation's management account. None where not said.
    pub owner: Option<AccountId>,
    /// The region in which it stands; empty where not said.
    pub region: String,
    /// Permission sets by ARN.
    pub permission_sets: Vec<PermissionSet>,
    /// Assignments.
    pub assignments: Vec<Assignment>,
    /// Users by id.
    pub users: Vec<IdentityCenterUser>,
    /// Permission sets (by ARN) that were changed and not provisioned since, with the account: the role there is the
    /// older one, and what counts. By (account, ARN).
    pub outdated: Vec<(AccountId, String)>,
}

impl IdentityCenter {
    /// Puts some permission sets, with who is assigned to them, in place of what is known of these; tags stay where they
    /// could not be read anew.
    pub fn replace(&mut self, sets: &BTreeSet<&str>, mut now: Self) {
        for set in now.permission_sets.iter_mut().filter(|set| set.tags.is_none()) {
            let known = self.permission_sets.iter().find(|known| known.arn == set.arn);
            set.tags = known.and_then(|known| known.tags.clone());
        }
        let others = |arn: &str| !sets.contains(arn);
        self.permission_sets.retain(|set| others(&set.arn));
        self.permission_sets.extend(now.permission_sets);
        self.permission_sets.sort_by(|a, b| a.arn.cmp(&b.arn));
        self.assignments.retain(|one| others(&one.permission_set));
        self.assignments.extend(now.assignments);
        self.assignments.sort();
        self.outdated.retain(|(_, set)| others(set));
        self.outdated.extend(now.outdated);
        self.outdated.sort();
    }
}

/// What the roster says a person or identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RosterKind {
    /// An employee.
    Human,
    /// A machine identity.
    Service,
    /// A contractor or supplier.
    Vendor,
}

/// A row of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// The entity's own id of the person.
    pub id: String,
    /// Display name.
    pub name: String,
    /// E-mail; empty where none.
    pub email: String,
    /// Id, name or e-mail of the manager; empty where none.
    pub manager: String,
    /// Team; empty where none.
    pub team: String,
    /// Human, service or vendor.
    pub kind: RosterKind,
    /// First day of employment.
    pub start: Option<Timestamp>,
    /// End of employment.
    pub end: Option<Timestamp>,
    /// IAM user names or ARNs that belong to the person (optional column `iam_users`, separated by `;`).
    pub iam_users: Vec<String>,
}

/// All that was collected, as it stood.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Snapshot {
    /// Hash over the hashes of the documents that make it up; 32 hex digits.
    pub hash: String,
    /// IAM by account.
    pub accounts: BTreeMap<AccountId, AccountIam>,
    /// Credential reports by account.
    pub credential_reports: BTreeMap<AccountId, CredentialReport>,
    /// Summary, password policy, keys and identity providers by account.
    pub account_details: BTreeMap<AccountId, AccountDetails>,
    /// IAM's last accessed information by principal.
    pub last_accessed: BTreeMap<Arn, PrincipalLastAccessed>,
    /// Analyzers and their findings by the account that has them.
    pub access_analyzers: BTreeMap<AccountId, AccessAnalyzer>,
    /// Resources with their policies, by account and service.
    pub resources: BTreeMap<(AccountId, ResourceService), ServiceResources>,
    /// The organisation, where collected.
    pub organization: Option<Organization>,
    /// Identity Center, where collected.
    pub identity_center: Option<IdentityCenter>,
    /// People, by id.
    pub roster: Vec<RosterEntry>,
    /// What was said of trails, at any time, by (ARN, time).
    pub trails: Vec<TrailState>,
    /// What could not be read.
    pub defects: Vec<Defect>,
}
