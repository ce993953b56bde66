//! Every call that collecting makes, as data: the guard lets nothing else through, and the policies that
//! `jitscan permissions` prints are made of it, so that neither can drift from what the program does.

use std::time::Duration;

/// For what a call is made: a part of what is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Who we are, and becoming the role of a member account.
    Session,
    /// Which accounts there are: the organisation's tree. Always read.
    Accounts,
    /// The organisation's policies and what they are attached to.
    Organization,
    /// Permission sets, assignments and people.
    IdentityCenter,
    /// Users, groups, roles and policies of an account.
    Iam,
    /// The credential report of an account.
    Credentials,
    /// What else tells how an account's people sign in: keys, MFA devices, providers, password policy.
    Account,
    /// What IAM itself saw of use, for about 400 days.
    LastAccessed,
    /// Trails, and what they record.
    Trails,
    /// What Access Analyzer found.
    Analyzer,
    /// Policies of buckets, keys, secrets, queues, topics, functions, repositories and tables.
    Resources,
    /// The public keys that CloudTrail's digests are signed with.
    PublicKeys,
    /// CloudTrail's events, from the buckets of trails or from the event history.
    Events,
    /// What Access Analyzer says of a policy that is given to it; no part of collecting.
    Validation,
    /// Changing access, and reading it back; no part of collecting.
    Remediation,
}

impl Purpose {
    /// What may be chosen, in the order in which it is collected.
    pub const CHOICES: [Self; 11] = [
        Self::Organization,
        Self::IdentityCenter,
        Self::PublicKeys,
        Self::Iam,
        Self::Credentials,
        Self::Account,
        Self::LastAccessed,
        Self::Trails,
        Self::Analyzer,
        Self::Resources,
        Self::Events,
    ];

    /// Name on the command line and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Accounts => "accounts",
            Self::Organization => "organization",
            Self::IdentityCenter => "identity-center",
            Self::Iam => "iam",
            Self::Credentials => "credential-report",
            Self::Account => "account",
            Self::LastAccessed => "last-accessed",
            Self::Trails => "trails",
            Self::Analyzer => "access-analyzer",
            Self::Resources => "resource-policies",
            Self::PublicKeys => "public-keys",
            Self::Events => "events",
            Self::Validation => "validation",
            Self::Remediation => "remediation",
        }
    }

    /// The purpose of a name that may be chosen.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::CHOICES.into_iter().find(|purpose| purpose.as_str() == text)
    }

    /// Whether it is for the organisation as a whole: its management account or a delegated administrator answers.
    #[must_use]
    pub const fn is_central(self) -> bool {
        matches!(self, Self::Accounts | Self::Organization | Self::IdentityCenter | Self::PublicKeys | Self::Validation)
    }
}

/// One operation of AWS.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// The service, as the SDK names it.
    pub service: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// The IAM action that it needs.
    pub action: &'static str,
    /// For what it is made.
    pub purpose: Purpose,
}

macro_rules! calls {
    ($($constant:ident: $service:literal $operation:literal $action:literal $purpose:ident;)*) => {
        $(pub(crate) const $constant: Call = Call {
            service: $service,
            operation: $operation,
            action: $action,
            purpose: Purpose::$purpose,
        };)*
        /// Every call, by purpose.
        pub const CALLS: &[&Call] = &[$(&$constant),*];
    };
}

calls! {
    GET_CALLER_IDENTITY: "STS" "GetCallerIdentity" "sts:GetCallerIdentity" Session;
    ASSUME_ROLE: "STS" "AssumeRole" "sts:AssumeRole" Session;
    GET_ACCOUNT_AUTHORIZATION_DETAILS: "IAM" "GetAccountAuthorizationDetails" "iam:GetAccountAuthorizationDetails" Iam;
    GENERATE_CREDENTIAL_REPORT: "IAM" "GenerateCredentialReport" "iam:GenerateCredentialReport" Credentials;
    GET_CREDENTIAL_REPORT: "IAM" "GetCredentialReport" "iam:GetCredentialReport" Credentials;
    GET_ACCOUNT_SUMMARY: "IAM" "GetAccountSummary" "iam:GetAccountSummary" Account;
    GET_ACCOUNT_PASSWORD_POLICY: "IAM" "GetAccountPasswordPolicy" "iam:GetAccountPasswordPolicy" Account;
    LIST_ACCESS_KEYS: "IAM" "ListAccessKeys" "iam:ListAccessKeys" Account;
    GET_ACCESS_KEY_LAST_USED: "IAM" "GetAccessKeyLastUsed" "iam:GetAccessKeyLastUsed" Account;
    LIST_MFA_DEVICES: "IAM" "ListMFADevices" "iam:ListMFADevices" Account;
    LIST_SAML_PROVIDERS: "IAM" "ListSAMLProviders" "iam:ListSAMLProviders" Account;
    LIST_OPEN_ID_CONNECT_PROVIDERS: "IAM" "ListOpenIDConnectProviders" "iam:ListOpenIDConnectProviders" Account;
    GET_OPEN_ID_CONNECT_PROVIDER: "IAM" "GetOpenIDConnectProvider" "iam:GetOpenIDConnectProvider" Account;
    GENERATE_LAST_ACCESSED: "IAM" "GenerateServiceLastAccessedDetails"
        "iam:GenerateServiceLastAccessedDetails" LastAccessed;
    GET_LAST_ACCESSED: "IAM" "GetServiceLastAccessedDetails" "iam:GetServiceLastAccessedDetails" LastAccessed;
    LIST_REGIONS: "Account" "ListRegions" "account:ListRegions" IdentityCenter;
    DESCRIBE_ORGANIZATION: "Organizations" "DescribeOrganization" "organizations:DescribeOrganization" Accounts;
    LIST_ROOTS: "Organizations" "ListRoots" "organizations:ListRoots" Accounts;
    LIST_ORGANIZATIONAL_UNITS_FOR_PARENT: "Organizations" "ListOrganizationalUnitsForParent"
        "organizations:ListOrganizationalUnitsForParent" Accounts;
    LIST_ACCOUNTS_FOR_PARENT: "Organizations" "ListAccountsForParent" "organizations:ListAccountsForParent" Accounts;
    LIST_POLICIES: "Organizations" "ListPolicies" "organizations:ListPolicies" Organization;
    DESCRIBE_POLICY: "Organizations" "DescribePolicy" "organizations:DescribePolicy" Organization;
    LIST_TARGETS_FOR_POLICY: "Organizations" "ListTargetsForPolicy" "organizations:ListTargetsForPolicy" Organization;
    LIST_DELEGATED_ADMINISTRATORS: "Organizations" "ListDelegatedAdministrators"
        "organizations:ListDelegatedAdministrators" Organization;
    LIST_INSTANCES: "SSO Admin" "ListInstances" "sso:ListInstances" IdentityCenter;
    LIST_PERMISSION_SETS: "SSO Admin" "ListPermissionSets" "sso:ListPermissionSets" IdentityCenter;
    DESCRIBE_PERMISSION_SET: "SSO Admin" "DescribePermissionSet" "sso:DescribePermissionSet" IdentityCenter;
    LIST_MANAGED_POLICIES: "SSO Admin" "ListManagedPoliciesInPermissionSet"
        "sso:ListManagedPoliciesInPermissionSet" IdentityCenter;
    LIST_CUSTOMER_POLICIES: "SSO Admin" "ListCustomerManagedPolicyReferencesInPermissionSet"
        "sso:ListCustomerManagedPolicyReferencesInPermissionSet" IdentityCenter;
    GET_INLINE_POLICY: "SSO Admin" "GetInlinePolicyForPermissionSet" "sso:GetInlinePolicyForPermissionSet" IdentityCenter;
    GET_PERMISSIONS_BOUNDARY: "SSO Admin" "GetPermissionsBoundaryForPermissionSet"
        "sso:GetPermissionsBoundaryForPermissionSet" IdentityCenter;
    LIST_TAGS_OF_SET: "SSO Admin" "ListTagsForResource" "sso:ListTagsForResource" IdentityCenter;
    LIST_ACCOUNTS_FOR_SET: "SSO Admin" "ListAccountsForProvisionedPermissionSet"
        "sso:ListAccountsForProvisionedPermissionSet" IdentityCenter;
    LIST_ACCOUNT_ASSIGNMENTS: "SSO Admin" "ListAccountAssignments" "sso:ListAccountAssignments" IdentityCenter;
    LIST_USERS: "identitystore" "ListUsers" "identitystore:ListUsers" IdentityCenter;
    LIST_GROUPS: "identitystore" "ListGroups" "identitystore:ListGroups" IdentityCenter;
    LIST_GROUP_MEMBERSHIPS: "identitystore" "ListGroupMemberships" "identitystore:ListGroupMemberships" IdentityCenter;
    LIST_TRAILS: "CloudTrail" "ListTrails" "cloudtrail:ListTrails" Trails;
    DESCRIBE_TRAILS: "CloudTrail" "DescribeTrails" "cloudtrail:DescribeTrails" Trails;
    GET_TRAIL_STATUS: "CloudTrail" "GetTrailStatus" "cloudtrail:GetTrailStatus" Trails;
    GET_EVENT_SELECTORS: "CloudTrail" "GetEventSelectors" "cloudtrail:GetEventSelectors" Trails;
    LIST_ANALYZERS: "AccessAnalyzer" "ListAnalyzers" "access-analyzer:ListAnalyzers" Analyzer;
    GET_ANALYZER: "AccessAnalyzer" "GetAnalyzer" "access-analyzer:GetAnalyzer" Analyzer;
    LIST_FINDINGS: "AccessAnalyzer" "ListFindingsV2" "access-analyzer:ListFindings" Analyzer;
    GET_FINDING: "AccessAnalyzer" "GetFindingV2" "access-analyzer:GetFinding" Analyzer;
    LIST_PUBLIC_KEYS: "CloudTrail" "ListPublicKeys" "cloudtrail:ListPublicKeys" PublicKeys;
    LIST_TABLES: "DynamoDB" "ListTables" "dynamodb:ListTables" Resources;
    GET_TABLE_POLICY: "DynamoDB" "GetResourcePolicy" "dynamodb:GetResourcePolicy" Resources;
    DESCRIBE_REPOSITORIES: "ECR" "DescribeRepositories" "ecr:DescribeRepositories" Resources;
    GET_REPOSITORY_POLICY: "ECR" "GetRepositoryPolicy" "ecr:GetRepositoryPolicy" Resources;
    LIST_KEYS: "KMS" "ListKeys" "kms:ListKeys" Resources;
    GET_KEY_POLICY: "KMS" "GetKeyPolicy" "kms:GetKeyPolicy" Resources;
    LIST_FUNCTIONS: "Lambda" "ListFunctions" "lambda:ListFunctions" Resources;
    GET_FUNCTION_POLICY: "Lambda" "GetPolicy" "lambda:GetPolicy" Resources;
    LIST_BUCKETS: "S3" "ListBuckets" "s3:ListAllMyBuckets" Resources;
    GET_BUCKET_POLICY: "S3" "GetBucketPolicy" "s3:GetBucketPolicy" Resources;
    LIST_SECRETS: "Secrets Manager" "ListSecrets" "secretsmanager:ListSecrets" Resources;
    GET_SECRET_POLICY: "Secrets Manager" "GetResourcePolicy" "secretsmanager:GetResourcePolicy" Resources;
    LIST_TOPICS: "SNS" "ListTopics" "sns:ListTopics" Resources;
    GET_TOPIC_ATTRIBUTES: "SNS" "GetTopicAttributes" "sns:GetTopicAttributes" Resources;
    LIST_QUEUES: "SQS" "ListQueues" "sqs:ListQueues" Resources;
    GET_QUEUE_ATTRIBUTES: "SQS" "GetQueueAttributes" "sqs:GetQueueAttributes" Resources;
    VALIDATE_POLICY: "AccessAnalyzer" "ValidatePolicy" "access-analyzer:ValidatePolicy" Validation;
    CHECK_NO_NEW_ACCESS: "AccessAnalyzer" "CheckNoNewAccess" "access-analyzer:CheckNoNewAccess" Validation;
    CHECK_ACCESS_NOT_GRANTED: "AccessAnalyzer" "CheckAccessNotGranted"
        "access-analyzer:CheckAccessNotGranted" Validation;
    CHECK_NO_PUBLIC_ACCESS: "AccessAnalyzer" "CheckNoPublicAccess" "access-analyzer:CheckNoPublicAccess" Validation;
    LOOKUP_EVENTS: "CloudTrail" "LookupEvents" "cloudtrail:LookupEvents" Events;
    GET_BUCKET_LOCATION: "S3" "GetBucketLocation" "s3:GetBucketLocation" Events;
    LIST_OBJECTS: "S3" "ListObjectsV2" "s3:ListBucket" Events;
    GET_OBJECT: "S3" "GetObject" "s3:GetObject" Events;
}

/// Actions that a call needs beside its own: logs may be encrypted with a key of the customer's.
pub(super) const ALSO: &[(&Call, &str)] = &[(&GET_OBJECT, "kms:Decrypt")];

/// Calls that another part makes, too.
pub(super) const SHARED: &[(Purpose, &Call)] = &[
    (Purpose::Events, &LIST_TRAILS),
    (Purpose::Events, &DESCRIBE_TRAILS),
    (Purpose::Events, &GET_TRAIL_STATUS),
    (Purpose::Events, &GET_EVENT_SELECTORS),
    (Purpose::Events, &LIST_REGIONS),
    (Purpose::Analyzer, &LIST_REGIONS),
    (Purpose::Resources, &LIST_REGIONS),
    (Purpose::PublicKeys, &LIST_REGIONS),
];

/// Least time between two calls of a kind in one account and region. Sources: "Quotas in AWS CloudTrail" (LookupEvents 2 a
/// second in each account and region; Get, Describe and List 10); "Best practices design patterns", S3 User Guide (5,500
/// reads a second and prefix); "Lambda quotas" (GetPolicy 15 a second); "Amazon SNS endpoints and quotas" (ListTopics 30 a
/// second). AWS does not publish the others' for reading; what is taken is far below where consoles
/// and other tools are seen to be throttled, and every throttled call slows its kind down further (`pace`).
pub(super) fn pace(call: &Call) -> Duration {
    Duration::from_millis(match (call.service, call.operation) {
        ("CloudTrail", "LookupEvents") => 500,
        ("CloudTrail" | "Organizations" | "Account", _) => 100,
        ("SSO Admin" | "identitystore" | "AccessAnalyzer", _) => 50,
        ("IAM", _) => 30,
        ("Lambda", _) => 70,
        ("SNS", _) => 35,
        ("S3", _) => 0,
        _ => 20,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_unique_and_named_after_their_action() {
        for (at, call) in CALLS.iter().enumerate() {
            let other = CALLS
                .iter()
                .skip(at + 1)
                .find(|other| (other.service, other.operation) == (call.service, call.operation));
            assert!(other.is_none(), "{call:?} {other:?}");
            // Actions that are named otherwise than their operation. Source: Service Authorization Reference, "Amazon
            // S3" and "AWS IAM Access Analyzer".
            let operation = match call.operation {
                "ListObjectsV2" => "ListBucket",
                "ListBuckets" => "ListAllMyBuckets",
                operation => operation.trim_end_matches("V2"),
            };
            assert_eq!(call.action.split_once(':').unwrap().1, operation, "{call:?}");
        }
    }
}
