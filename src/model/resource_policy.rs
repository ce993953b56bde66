//! Policies that stand at resources: who else may use a bucket, a key, a secret, a queue.
//!
//! Source: IAM User Guide, "Identity-based policies and resource-based policies"; "AWS services that work with IAM".

use std::fmt;

use serde::{Deserialize, Serialize};

use super::arn::{AccountId, Arn};
use super::time::Timestamp;

/// A service whose resources' policies are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceService {
    /// Tables.
    DynamoDb,
    /// Repositories.
    Ecr,
    /// Customer managed and AWS managed keys.
    Kms,
    /// Functions, by their unqualified ARN.
    Lambda,
    /// General purpose buckets.
    S3,
    /// Secrets.
    SecretsManager,
    /// Topics.
    Sns,
    /// Queues.
    Sqs,
}

impl ResourceService {
    /// All of them, by name.
    pub const ALL: [Self; 8] =
        [Self::DynamoDb, Self::Ecr, Self::Kms, Self::Lambda, Self::S3, Self::SecretsManager, Self::Sns, Self::Sqs];

    /// The prefix of its actions and of its ARNs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::Ecr => "ecr",
            Self::Kms => "kms",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
            Self::SecretsManager => "secretsmanager",
            Self::Sns => "sns",
            Self::Sqs => "sqs",
        }
    }

    /// The service of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == text)
    }
}

impl fmt::Display for ResourceService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a resource's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyState {
    /// The resource has none.
    None,
    /// It may not be read.
    Unread,
    /// This text, as AWS gives it.
    Text(String),
}

/// A resource that may have a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicedResource {
    /// Its ARN.
    pub arn: Arn,
    /// Where it is; empty where not said.
    pub region: String,
    /// Its policy.
    pub policy: PolicyState,
}

/// The resources of one service in one account, all that could be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceResources {
    /// The service.
    pub service: ResourceService,
    /// The regions that were asked, sorted; none for S3, which lists the buckets of all.
    pub regions: Vec<String>,
    /// Sorted by ARN.
    pub resources: Vec<PolicedResource>,
}

/// The policies at an account's resources, by service; a service that could not be read is not among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcePolicies {
    /// Whose resources they are.
    pub account: AccountId,
    /// When they were read.
    pub captured_at: Timestamp,
    /// Sorted by service.
    pub services: Vec<ServiceResources>,
}
