//! The result of holding what is granted against what was used: one value that findings, compliance tests, reports
//! and queries read. Plain facts, totally ordered; nothing here is judged against a threshold.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::entitlements::AccessClass;
use crate::model::arn::AccountId;
use crate::model::time::{Day, Timestamp, Window};

/// What the logs say of an entitlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An authorised call exercised it.
    Used,
    /// The logs could have shown a use and show none.
    Unused,
    /// The logs could not have shown it.
    Unobservable,
    /// Used, but not granted by what was collected.
    UsedNotGranted,
}

impl Verdict {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Unused => "unused",
            Self::Unobservable => "unobservable",
            Self::UsedNotGranted => "used_not_granted",
        }
    }
}

/// A resource that, as IAM Access Analyzer says, others than its owner may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedAccess {
    /// Who owns it.
    pub account: AccountId,
    /// Its ARN.
    pub resource: String,
    /// Its type, such as `AWS::S3::Bucket`.
    pub resource_type: String,
    /// Somebody outside the analyzer's zone of trust may, not somebody within.
    pub external: bool,
    /// Everybody may.
    pub public: bool,
    /// The policy as it was collected says otherwise of some of it.
    pub disputed: bool,
    /// Who may do what under which condition, and what the collected policy says of it.
    pub notes: Vec<String>,
}

/// What kind of principal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// An IAM user.
    User,
    /// A role.
    Role,
    /// A role that Identity Center made of a permission set (`AWSReservedSSO_*`).
    IdentityCenterRole,
    /// A role that only an AWS service may assume and nobody may change (path `/aws-service-role/`).
    ServiceLinkedRole,
    /// The root user of an account.
    Root,
}

/// Who acts through a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// People.
    Human,
    /// Programs, pipelines and AWS services.
    Machine,
    /// Both are let in, or were seen.
    Mixed,
    /// Nothing says.
    Unknown,
}

/// Numbers of distinct actions by verdict; they add up to `granted` without `used_not_granted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerdictCounts {
    /// Actions granted on at least one resource.
    pub granted: u64,
    /// Of these, used.
    pub used: u64,
    /// Of these, unused, by documented or observed logging.
    pub unused: u64,
    /// Of these, unused as far as an assumption about logging holds: never removed automatically.
    pub unused_low_confidence: u64,
    /// Of these, not observable.
    pub unobservable: u64,
    /// Used but not granted, without calls that need no permission.
    pub used_not_granted: u64,
}

/// Numbers of actions by access level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LevelCounts {
    /// List.
    pub list: u64,
    /// Read.
    pub read: u64,
    /// Write.
    pub write: u64,
    /// Tagging.
    pub tagging: u64,
    /// Permissions management.
    pub permissions_management: u64,
}

/// What one person did through a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersonUse {
    /// The person.
    pub person: String,
    /// Days in the window with an authorised call.
    pub active_days: Vec<Day>,
    /// Days in the window with an authorised call of a PRIV action, also of a session that only its name leads from to the
    /// person.
    pub privileged_days: Vec<Day>,
    /// Days in the window with an authorised call of such a session: no evidence of an act, nor of the lack of one.
    pub likely_days: Vec<Day>,
    /// Last authorised call in the window.
    pub last: Option<Timestamp>,
}

/// What stands behind a principal in one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceUse {
    /// IAM prefix.
    pub service: String,
    /// Counts within the service.
    pub counts: VerdictCounts,
    /// The same by kind of access; kinds of which it holds nothing are left out.
    pub classes: Vec<(AccessClass, VerdictCounts)>,
    /// Unused actions that manage privileges or escalate them (from the PRIV set), sorted.
    pub unused_privileged: Vec<String>,
    /// Unused actions (of any confidence) by access level.
    pub unused_levels: LevelCounts,
    /// Last authorised call, none where never in the window.
    pub last_used: Option<Timestamp>,
    /// Actions that are not unused as a whole, but unused on some of the resources that are named for them.
    pub unused_parts: Vec<UnusedPart>,
    /// What IAM's last accessed information says of the service, in words; none where it says nothing.
    pub last_accessed: Option<String>,
    /// What IAM Access Analyzer says of what is unused in it, in words.
    pub analyzers: Vec<String>,
}

/// An action that was never used on some of the resources on which it is granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnusedPart {
    /// The action.
    pub action: String,
    /// The resources, as the policy names them.
    pub resources: String,
    /// Unused as far as an assumption about logging holds.
    pub low_confidence: bool,
}

/// A statement or attachment that an auditor asks about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PolicyRemark {
    /// `full_administrator` (Allow `*` on `*`), `service_wildcard` (Allow `service:*` on `*`),
    /// `direct_attachment` (a policy attached to, or inline in, an IAM user).
    pub kind: String,
    /// Policy name, for inline ones as `inline:NAME`.
    pub policy: String,
    /// Policy ARN, empty for inline ones.
    pub policy_arn: String,
    /// Statement, as Sid or `[index]`; empty for attachments.
    pub statement: String,
    /// The service, for service wildcards.
    pub service: String,
}

/// What IAM Access Analyzer's findings of unused access say of a principal, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AnalyzerNotes {
    /// Of whether it is used at all.
    pub idle: Vec<String>,
    /// What is called unused, and used by the logs.
    pub disagreements: Vec<String>,
}

/// All about one principal of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrincipalFacts {
    /// ARN with path.
    pub arn: String,
    /// Unique id.
    pub id: String,
    /// Account.
    pub account: AccountId,
    /// Kind.
    pub kind: PrincipalKind,
    /// Who acts through it.
    pub nature: Nature,
    /// People who may use it now (assigned, trusted, or its owner), sorted.
    pub holders: Vec<String>,
    /// People who did use it in the window, by name.
    pub users: Vec<PersonUse>,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// Named in configuration as break-glass: never recommended for removal or conversion.
    pub break_glass: bool,
    /// Whether its policies amount to administrator rights.
    pub administrator: bool,
    /// Privilege-managing actions it holds (from the PRIV set), sorted; for administrators only their number counts.
    pub privileged: Vec<String>,
    /// Days in the window with an authorised call of any action.
    pub active_days: Vec<Day>,
    /// Days in the window with an authorised call of a PRIV action.
    pub privileged_days: Vec<Day>,
    /// Last authorised call or assumption in the window, or as IAM's own last-used data says.
    pub last_activity: Option<Timestamp>,
    /// Whether the logs could have shown its activity on every day of the window.
    pub activity_observable: bool,
    /// Why not, where not.
    pub unobservable_because: Vec<String>,
    /// Denied calls in the window.
    pub denied_calls: u64,
    /// Counts over all services.
    pub counts: VerdictCounts,
    /// The services of which it holds something, sorted.
    pub services: Vec<ServiceUse>,
    /// What an auditor asks about in its policies.
    pub remarks: Vec<PolicyRemark>,
    /// Statements that make it an administrator or let it manage privileges, as `policy#statement`, sorted.
    pub privileged_statements: Vec<String>,
    /// Ids of some events with PRIV actions (at most ten, oldest first).
    pub privileged_events: Vec<String>,
    /// What IAM Access Analyzer says of it.
    pub analyzers: AnalyzerNotes,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// Console password.
    Password,
    /// Access key 1.
    AccessKey1,
    /// Access key 2.
    AccessKey2,
}

impl CredentialKind {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::AccessKey1 => "access_key_1",
            Self::AccessKey2 => "access_key_2",
        }
    }
}

/// A long-lived credential of an IAM user or of root, from the credential report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialFacts {
    /// Account.
    pub account: AccountId,
    /// User name, or `<root_account>`.
    pub user: String,
    /// ARN of the user or of root.
    pub arn: String,
    /// The person behind it; empty where not known.
    pub person: String,
    /// What it is.
    pub kind: CredentialKind,
    /// Whether it can be used.
    pub active: bool,
    /// Creation or last rotation; for passwords of old reports the user's creation.
    pub since: Option<Timestamp>,
    /// Last use as the report says; none where never or not recorded.
    pub last_used: Option<Timestamp>,
    /// When the report was made.
    pub reported_at: Timestamp,
    /// Whether its user has MFA.
    pub mfa: bool,
    /// Whether it belongs to root.
    pub root: bool,
    /// Whether the user may sign in to the console.
    pub console: bool,
    /// What IAM Access Analyzer says of whether it is used, in words.
    pub analyzers: Vec<String>,
}

/// What the logs speak for in one account and region.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RegionCoverage {
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Days of the window with management events.
    pub days_covered: u64,
    /// Days of the window without.
    pub days_missing: Vec<Day>,
    /// Hours of the window with management events.
    pub hours_covered: u64,
    /// Hours of the window.
    pub hours_total: u64,
    /// Data events in the window.
    pub data_events: u64,
    /// Hours without management events for which digests say that nothing was delivered.
    pub hours_empty: u64,
    /// Hours that are missing between digests.
    pub hours_missing: u64,
    /// The last hours, which may still be delivered.
    pub settling_hours: u64,
    /// Which management events the trails recorded through the whole window.
    pub management: ManagementEvents,
    /// Event sources whose management events were left out at some time, sorted.
    pub excluded_sources: Vec<String>,
    /// Data events that were selected at the window's end, as type and number of resources, sorted.
    pub data_selectors: Vec<String>,
    /// Names of the trails that this rests on, sorted; empty where none are known.
    pub trails: Vec<String>,
}

/// Which management events were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagementEvents {
    /// Reads and writes.
    All,
    /// Writes, and not all reads.
    WriteOnly,
    /// Reads, and not all writes.
    ReadOnly,
    /// None through the whole window.
    None,
    /// Some at some times, and neither reads nor writes through the whole window.
    Some,
    /// Nobody knows.
    #[default]
    Unknown,
}

impl ManagementEvents {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::WriteOnly => "write_only",
            Self::ReadOnly => "read_only",
            Self::None => "none",
            Self::Some => "some",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that narrows what can be said, and what would widen it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// Kind, such as `coverage`, `snapshot`, `policy`, `mapping`, `quarantine`.
    pub kind: String,
    /// What is missing, in one sentence.
    pub what: String,
    /// What can be done, in one sentence; empty where nothing can.
    pub remedy: String,
}

/// The whole comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    /// The instant that it speaks for.
    pub as_of: Timestamp,
    /// The window of use.
    pub window: Window,
    /// Generation of the lake that was read.
    pub generation: u64,
    /// Hash of the snapshot.
    pub snapshot: String,
    /// Version of the catalogue.
    pub catalogue: String,
    /// Version and hash of the PRIV set.
    pub privileged_set: String,
    /// Accounts with IAM in the snapshot, sorted.
    pub accounts: Vec<AccountId>,
    /// Principals by ARN.
    pub principals: Vec<PrincipalFacts>,
    /// Credentials by (account, user, kind).
    pub credentials: Vec<CredentialFacts>,
    /// Resources that analyzers found to be open to others, by resource.
    pub shared: Vec<SharedAccess>,
    /// People of the roster who have left by then, with their last day.
    pub ended: BTreeMap<String, Day>,
    /// Coverage by (account, region).
    pub coverage: Vec<RegionCoverage>,
    /// What narrows the claims.
    pub gaps: Vec<Gap>,
}
