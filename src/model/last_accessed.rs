//! Last accessed information: when IAM last saw a user or role attempt a service or an action.
//!
//! Source: "Refine permissions in AWS using last accessed information", AWS IAM User Guide. It reports attempts, also
//! those that were denied, but none that were not authenticated. Services are tracked for at least 400 days (less in
//! regions that AWS began to track later, and not in all); recent activity appears within four hours. Actions are
//! tracked where AWS lists them, and only management actions: no data events, and not `iam:PassRole`. Listed are the
//! services that the principal's identity-based policies allow; access that other policies give is not reported.

use serde::{Deserialize, Serialize};

use super::arn::{AccountId, Arn};
use super::time::Timestamp;

/// When an action was last attempted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActionLastAccessed {
    /// Name without the service, such as `CreateBucket`.
    pub name: String,
    /// When; none where not within the tracking period.
    pub at: Option<Timestamp>,
    /// In which region; empty where not said.
    pub region: String,
}

/// When a service was last attempted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceLastAccessed {
    /// Service namespace: the prefix of its actions, such as `s3`.
    pub namespace: String,
    /// When; none where not within the tracking period.
    pub at: Option<Timestamp>,
    /// In which region; empty where not said.
    pub region: String,
    /// Actions that IAM tracks, by name; empty where the report is of services only.
    pub actions: Vec<ActionLastAccessed>,
}

/// What a report says of one user or role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalLastAccessed {
    /// ARN with path.
    pub arn: Arn,
    /// When the report was completed, or where it does not say when it was read from AWS.
    pub completed: Timestamp,
    /// Services that the principal's policies allow, by namespace. What is not listed is not known.
    pub services: Vec<ServiceLastAccessed>,
}

/// The reports on principals of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLastAccessed {
    /// The account.
    pub account: AccountId,
    /// Reports by ARN, one each.
    pub principals: Vec<PrincipalLastAccessed>,
}
