//! IAM Access Analyzer: an account's analyzers and what they found.
//!
//! Source: "AnalyzerSummary", "FindingSummaryV2", "FindingDetails" and "UnusedAccessConfiguration", IAM Access Analyzer
//! API Reference. Types and states that are newer than this program are kept in AWS's words.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::arn::{AccountId, Arn};
use super::time::Timestamp;

/// Whether a finding asks for something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// `ACTIVE`.
    Active,
    /// `ARCHIVED`: still so, and somebody or an archive rule accepted it.
    Archived,
    /// `RESOLVED`: no longer so.
    Resolved,
}

/// An action of an unused permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnusedAction {
    /// The action, as Access Analyzer writes it.
    pub action: String,
    /// Last use; none where not known.
    pub last: Option<Timestamp>,
}

/// Access that a policy gives to somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedAccess {
    /// Actions, sorted.
    pub actions: BTreeSet<String>,
    /// The principal, by kind such as `AWS` or `Federated`; empty where not said.
    pub principal: BTreeMap<String, String>,
    /// Conditions of the statement, by key.
    pub condition: BTreeMap<String, String>,
}

/// What exactly was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingDetail {
    /// Permissions for one service that were not used.
    UnusedPermission {
        /// Service namespace, such as `s3`.
        namespace: String,
        /// Last use of the service; none where not known.
        last: Option<Timestamp>,
        /// Actions that were not used, by name; empty where the whole service was not.
        actions: Vec<UnusedAction>,
    },
    /// A role that nobody assumed.
    UnusedRole {
        /// Last use; none where not known.
        last: Option<Timestamp>,
    },
    /// An access key that was not used.
    UnusedAccessKey {
        /// Key id (`AKIA…`).
        id: String,
        /// Last use; none where not known.
        last: Option<Timestamp>,
    },
    /// A console password that was not used.
    UnusedPassword {
        /// Last use; none where not known.
        last: Option<Timestamp>,
    },
    /// A resource that somebody outside of the zone of trust may access.
    ExternalAccess {
        /// To whom, and what.
        access: GrantedAccess,
        /// Whether everybody may.
        public: Option<bool>,
    },
    /// A resource that somebody within the zone of trust may access.
    InternalAccess {
        /// To whom, and what.
        access: GrantedAccess,
        /// Account of the principal; empty where not said.
        owner: String,
        /// `INTRA_ACCOUNT` or `INTRA_ORG`; empty where not said.
        access_type: String,
    },
    /// Something that this program does not know.
    Unknown,
}

/// What an analyzer found about one resource, user or role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnalyzerFinding {
    /// Id.
    pub id: String,
    /// `FindingType`, such as `UnusedPermission`; empty where not said.
    pub kind: String,
    /// Status.
    pub status: FindingStatus,
    /// ARN of what it is about; empty where not said.
    pub resource: String,
    /// Its type, such as `AWS::IAM::Role`; empty where not said.
    pub resource_type: String,
    /// The account that owns it.
    pub owner: AccountId,
    /// Why it could not be analyzed; empty where it could.
    pub error: String,
    /// When it was analyzed.
    pub analyzed: Option<Timestamp>,
    /// When the finding was made.
    pub created: Option<Timestamp>,
    /// When the finding last changed.
    pub updated: Option<Timestamp>,
    /// What was found.
    pub details: Vec<FindingDetail>,
    /// Whether all of its details could be read.
    pub complete: bool,
}

/// An analyzer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analyzer {
    /// ARN.
    pub arn: Arn,
    /// Name.
    pub name: String,
    /// `Type`, such as `ACCOUNT_UNUSED_ACCESS`: the zone of trust and what it looks for.
    pub kind: String,
    /// `Status`, such as `ACTIVE`.
    pub status: String,
    /// Region.
    pub region: String,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// When it last analyzed something.
    pub analyzed: Option<Timestamp>,
    /// For unused access the tracking period in days; none where not said.
    pub unused_age: Option<u32>,
    /// What it found and is not resolved, by id.
    pub findings: Vec<AnalyzerFinding>,
    /// Whether all of its findings could be read. Where not, one that is not there may exist.
    pub complete: bool,
}

impl Analyzer {
    /// Whether its zone of trust is the organisation.
    #[must_use]
    pub fn of_organization(&self) -> bool {
        self.kind.starts_with("ORGANIZATION")
    }

    /// Whether it looks for unused access.
    #[must_use]
    pub fn of_unused_access(&self) -> bool {
        matches!(self.kind.as_str(), "ACCOUNT_UNUSED_ACCESS" | "ORGANIZATION_UNUSED_ACCESS")
    }

    /// Whether it works: others found nothing lately, or never anything.
    #[must_use]
    pub fn active(&self) -> bool {
        self.status == "ACTIVE"
    }
}

/// The analyzers of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessAnalyzer {
    /// The account: for an organisation the management account or its delegated administrator.
    pub account: AccountId,
    /// When this state was read from AWS.
    pub captured_at: Timestamp,
    /// Analyzers of every region, by ARN.
    pub analyzers: Vec<Analyzer>,
}
