//! The command line of what speaks to AWS.

use std::path::PathBuf;

use clap::Args;

use crate::cli::span;

/// Whom to ask, and as whom.
#[derive(Debug, Args)]
pub struct AwsArgs {
    /// Profile of the AWS configuration files [default: the usual chain of credentials]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Region to ask where a service has one [default: the profile's, else us-east-1]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Endpoint of every service, such as an emulator's
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// `jitscan collect`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// Whom to ask, and as whom.
    #[command(flatten)]
    pub aws: AwsArgs,
    /// Name of the role to assume in every other account; without it only the caller's own account is read
    #[arg(long, value_name = "NAME", value_parser = span::role_name)]
    pub role_name: Option<String>,
    /// External id that the trust of that role asks for
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,
    /// Only this account, or the accounts below this organisational unit or root (ou-…, r-…); repeat for more
    #[arg(long = "account", value_name = "ID", value_parser = span::account_or_unit)]
    pub accounts: Vec<String>,
    /// Only these parts: organization, identity-center, public-keys, iam, credential-report, account, last-accessed,
    /// trails, access-analyzer, resource-policies, events
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = span::part)]
    pub only: Vec<crate::fetch::Purpose>,
    /// All parts but these
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = span::part, conflicts_with = "only")]
    pub skip: Vec<crate::fetch::Purpose>,
    /// Events from that far back on; the event history of accounts without a trail reaches back 90 days
    #[arg(long, value_name = "SPAN", default_value = "90d", value_parser = span::parse)]
    pub since: span::Span,
    /// Leave request parameters and response elements of events out; see `ingest cloudtrail --slim`
    #[arg(long)]
    pub slim: bool,
    /// Accounts read at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = span::threads)]
    pub at_once: std::num::NonZeroUsize,
    /// Attempts of one call, the first included
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=50))]
    pub max_attempts: u32,
    /// Longest wait for one attempt, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Read every account, also those that an interrupted run has read
    #[arg(long)]
    pub afresh: bool,
    /// Look at the organisation only, and say what would be called how often
    #[arg(long)]
    pub dry_run: bool,
    /// Wait for another writer instead of failing
    #[arg(long)]
    pub wait: bool,
}

/// `jitscan permissions`.
#[derive(Debug, Args)]
pub struct PermissionsArgs {
    /// The command that the role is for
    #[arg(long = "for", value_enum, default_value_t = PermissionsFor::Collect)]
    pub purpose: PermissionsFor,
    /// The form
    #[arg(long = "as", value_enum, default_value_t = PermissionsForm::Json)]
    pub form: PermissionsForm,
    /// Which of both roles
    #[arg(long, value_enum, default_value_t = PermissionsRole::Central)]
    pub role: PermissionsRole,
    /// Name of the role in the member accounts [default: jitscan- and the command]
    #[arg(long, value_name = "NAME", value_parser = span::role_name)]
    pub role_name: Option<String>,
    /// A bucket with CloudTrail logs; repeat for more [default: what lies below AWSLogs/ of any bucket]
    #[arg(long = "bucket", value_name = "NAME", value_parser = span::bucket)]
    pub buckets: Vec<String>,
    /// Only for these parts of `collect`
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = span::part)]
    pub only: Vec<crate::fetch::Purpose>,
    /// For `remediate`: users and roles with this tag may be changed
    #[arg(long, value_name = "KEY=VALUE", default_value = "jitscan:managed=true")]
    pub tag: String,
    /// For `remediate`: users and roles below this path may be changed, whatever their tags; repeat for more
    #[arg(long, value_name = "PATH", value_parser = span::iam_path)]
    pub path: Vec<String>,
    /// For `remediate`: users may be taken out of this group; repeat for more
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// For `remediate`: whom the role of this name lets in may be narrowed, for which it has to be allowed to write its whole
    /// trust policy; repeat for more
    #[arg(long, value_name = "ROLE", value_parser = span::role_name)]
    pub trust: Vec<String>,
    /// For `remediate`: permission sets may be changed, too; it takes the account that owns Identity Center
    #[arg(long)]
    pub permission_sets: bool,
}

/// What a role is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PermissionsFor {
    /// `jitscan collect`, which reads
    Collect,
    /// `jitscan policy validate`, which asks Access Analyzer about policies
    Validate,
    /// `jitscan remediate apply` and `rollback`, which change access
    Remediate,
}

/// Form of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PermissionsForm {
    /// An IAM policy
    Json,
    /// Terraform: the role, its trust and its policy
    Terraform,
    /// A CloudFormation template of the member role, for a StackSet
    Cloudformation,
}

/// Which role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PermissionsRole {
    /// The one that starts: it reads the organisation and its own account, and becomes the other
    Central,
    /// The one that is assumed in every other account
    Member,
}

/// `jitscan policy validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Policy documents
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What kind of policies they are
    #[arg(long = "type", value_enum, default_value_t = DraftKind::Identity)]
    pub kind: DraftKind,
    /// Type of the resource that they are for, such as AWS::S3::Bucket
    #[arg(long, value_name = "TYPE")]
    pub resource_type: Option<String>,
    /// The policy that they replace: they must not allow more
    #[arg(long, value_name = "FILE")]
    pub existing: Option<PathBuf>,
    /// An action that they must not allow; repeat for more
    #[arg(long = "deny-action", value_name = "ACTION")]
    pub denied: Vec<String>,
    /// They must not make their resource public
    #[arg(long, requires = "resource_type")]
    pub not_public: bool,
    /// Whom to ask, and as whom.
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Kind of a policy document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DraftKind {
    /// Of users, groups, roles and permission sets
    Identity,
    /// At resources; trust policies of roles
    Resource,
    /// Service control policies
    Scp,
    /// Resource control policies
    Rcp,
}
