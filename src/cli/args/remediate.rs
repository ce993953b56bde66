//! The command line of plans and proofs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::span;
use crate::recommend::Advice;
use crate::remediate::Whose;

use super::AwsArgs;

/// `jitscan remediate …`.
#[derive(Debug, Subcommand)]
pub enum RemediateAction {
    /// Make a plan from recommendations, all of them or those chosen, and write it to a file; nothing in AWS changes
    Plan(PlanArgs),
    /// Show a plan: what changes and why, each call with the one that takes it back, documents line by line
    Show {
        /// The plan
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Change access in AWS as a plan says it, after everything that speaks against it was looked at: what stands there now,
    /// who would be locked out, and what was recorded; a run that died goes on
    Apply(ApplyArgs),
    /// Take back what was applied of a plan, all of it or of some principals; what others changed since is shown and left
    Rollback(RollbackArgs),
    /// Show denied calls since a plan was applied that it explains, and give back for a time what may be; exits with 3 where
    /// there are some
    Watch(WatchArgs),
    /// Run a plan on paper: what people would have had to ask for since it was made; nothing changes
    Shadow(ShadowArgs),
    /// How far plans came
    List,
    /// Write a plan as code, for teams whose IAM lives there: Terraform, CloudFormation, or AWS CLI calls
    Export(ExportArgs),
    /// Decide every distinct recorded call of the plan's principals in the window again, in the state after the plan; exits
    /// with 3 where one would be denied
    Prove(ProveArgs),
}

/// Arguments of `remediate prove`.
#[derive(Debug, clap::Args)]
pub struct ProveArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Ask IAM Access Analyzer, too, whether what is left allows anything that was not allowed (CheckNoNewAccess, which AWS
    /// charges for) and what it thinks of the policies (ValidatePolicy)
    #[arg(long)]
    pub access_analyzer: bool,
    /// Whom to ask, and as whom.
    #[command(flatten)]
    pub aws: AwsArgs,
}

impl RemediateAction {
    /// Whether it changes access.
    #[must_use]
    pub const fn changes(&self) -> bool {
        matches!(self, Self::Apply(_) | Self::Rollback(_) | Self::Watch(_))
    }
}

/// `jitscan remediate plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Where the plan is written
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Only recommendations whose id begins so; repeat for more
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// Only principals whose ARN contains this
    #[arg(long, value_name = "TEXT")]
    pub principal: Option<String>,
    /// Only what this person holds; others keep what they have through the same principals
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// Only this account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Only this advice; repeat for more
    #[arg(long, value_name = "ADVICE", value_enum)]
    pub advice: Vec<PlanAdvice>,
    /// As for `recommend`: requests that one person is willing to make, such as 2/week
    #[arg(long, value_name = "N/SPAN", value_parser = span::budget)]
    pub friction_budget: Option<u64>,
    /// Whose policies are confined to the resources that were used, where the logs show all of them
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = ResourcesOf::Machines)]
    pub resources: ResourcesOf,
    /// Also change principals that CloudFormation or Terraform manage, by their tags
    #[arg(long)]
    pub managed_by_code: bool,
    /// When a step fails, take back what concerns its principal and go on with the others, in place of taking back all
    #[arg(long)]
    pub go_on: bool,
}

/// Whose resources a plan narrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResourcesOf {
    /// Nobody's: statements keep the resources that are written
    Nobody,
    /// Those of programs, pipelines and services
    Machines,
    /// Also those of people and of whom nobody knows what they are
    Everybody,
}

impl From<ResourcesOf> for Whose {
    fn from(of: ResourcesOf) -> Self {
        match of {
            ResourcesOf::Nobody => Self::Nobody,
            ResourcesOf::Machines => Self::Machines,
            ResourcesOf::Everybody => Self::Everybody,
        }
    }
}

/// What a plan can carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanAdvice {
    /// Take it away
    Remove,
    /// Make it just-in-time
    ConvertToJit,
    /// Keep what is used of it
    Shrink,
    /// Narrow whom a role lets in by the token of an OIDC provider to the pipelines that came
    BindToPipeline,
}

impl PlanAdvice {
    /// The advice about what is held; none where it is about who comes in.
    #[must_use]
    pub const fn advice(self) -> Option<Advice> {
        match self {
            Self::Remove => Some(Advice::Remove),
            Self::ConvertToJit => Some(Advice::ConvertToJit),
            Self::Shrink => Some(Advice::Shrink),
            Self::BindToPipeline => None,
        }
    }
}

/// As whom access is changed.
#[derive(Debug, Args)]
pub struct ExecutorArgs {
    /// Whom to ask, and as whom.
    #[command(flatten)]
    pub aws: AwsArgs,
    /// Name of the role to assume in every account that is not the caller's own
    #[arg(long, value_name = "NAME", value_parser = span::role_name)]
    pub role_name: Option<String>,
    /// External id that the trust of that role asks for
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,
    /// Attempts of one call, the first included
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_attempts: u32,
    /// Longest wait for one attempt, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

/// `jitscan remediate apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// As whom.
    #[command(flatten)]
    pub executor: ExecutorArgs,
    /// Do not ask; for machines
    #[arg(long)]
    pub yes: bool,
    /// Look at everything that speaks against it, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Accept that recorded calls of a principal for an action would be denied, by ARN and action; repeat for more
    #[arg(long, value_name = "PRINCIPAL=ACTION")]
    pub accept_denial: Vec<String>,
    /// Most principals that one run changes
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub max_principals: usize,
    /// Largest share of all users and roles that one run changes, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_share: u8,
    /// Also change principals that CloudFormation or Terraform manage, which may change them back
    #[arg(long)]
    pub managed_by_code: bool,
    /// Announce it: whom it concerns is named, and it can be applied after this time
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    pub notice: Option<span::Span>,
}

/// `jitscan remediate rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Only this principal, by ARN; repeat for more
    #[arg(long, value_name = "ARN")]
    pub principal: Vec<String>,
    /// Where a call on this principal could not be taken back, leave what stands there and take back the rest; repeat for more
    #[arg(long, value_name = "ARN")]
    pub accept: Vec<String>,
    /// As whom.
    #[command(flatten)]
    pub executor: ExecutorArgs,
    /// Do not ask; for machines
    #[arg(long)]
    pub yes: bool,
}

/// `jitscan remediate export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The form
    #[arg(long = "as", value_enum)]
    pub form: ExportForm,
    /// Where it is written: a folder for each account
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportForm {
    /// HCL with import blocks
    Terraform,
    /// Templates: one that takes what is there into a stack, and one that changes it
    Cloudformation,
    /// Scripts of AWS CLI calls: one that changes, and one that takes back
    Cli,
}

/// `jitscan remediate watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// For how long after it was applied
    #[arg(long, value_name = "SPAN", default_value = "14d", value_parser = span::parse)]
    pub days: span::Span,
    /// Give back for a time what was denied and used before by the same person, never what manages privileges
    #[arg(long)]
    pub auto_restore: bool,
    /// For how long it is given back
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span::parse)]
    pub restore_for: span::Span,
    /// Most actions that one person is given back of a plan
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub max_restored: usize,
    /// As whom.
    #[command(flatten)]
    pub executor: ExecutorArgs,
    /// Do not ask; for machines
    #[arg(long)]
    pub yes: bool,
}

/// `jitscan remediate shadow`.
#[derive(Debug, Args)]
pub struct ShadowArgs {
    /// The plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
}
