//! The command line: clap structs only, no behaviour.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::model::time::Timestamp;
use crate::recommend::Advice;

use super::output::Format;

mod aws;
mod remediate;

pub use aws::{
    AwsArgs, CollectArgs, DraftKind, PermissionsArgs, PermissionsFor, PermissionsForm, PermissionsRole, ValidateArgs,
};
pub use remediate::{
    ApplyArgs, ExecutorArgs, ExportArgs, ExportForm, PlanArgs, ProveArgs, RemediateAction, ResourcesOf, RollbackArgs,
    ShadowArgs, WatchArgs,
};

/// Audit and entitlement engine for AWS: granted against used, standing access against just-in-time.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage; 3 findings at or above --fail-on; 4 done, but something was
/// quarantined or a source was lost (with --strict also: the logs have gaps); 5 a change of access could not be taken
/// back and needs a person. stdout carries data only.
#[derive(Debug, Parser)]
#[command(name = "jitscan", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The store
    #[arg(long, global = true, value_name = "DIR", env = "JITSCAN_STORE", default_value = "./jitscan-store")]
    pub store: PathBuf,
    /// Configuration file [default: jitscan.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "JITSCAN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The instant that analysis speaks for, RFC 3339 or a date [default: now]
    #[arg(long, global = true, value_name = "TIME", env = "JITSCAN_AS_OF")]
    pub as_of: Option<Timestamp>,
    /// The window of use that ends there (without `--as-of`: two hours before the newest event of logs that are still coming in), such as 90d, 12w or 48h
    #[arg(long, global = true, value_name = "SPAN", default_value = "90d", value_parser = super::span::parse)]
    pub window: super::span::Span,
    /// Threads for every pool [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = super::span::threads)]
    pub threads: Option<std::num::NonZeroUsize>,
    /// Exit with 3 where a finding is at or above this severity (info, low, medium, high, critical)
    #[arg(long, global = true, value_name = "SEVERITY", value_parser = super::span::severity)]
    pub fail_on: Option<crate::model::finding::Severity>,
    /// Exit with 4 where the logs have gaps in the window, too
    #[arg(long, global = true)]
    pub strict: bool,
    /// Put stable pseudonyms in place of people's names in everything that is told. FILE holds the key that makes them; it is
    /// made where there is none, and whoever destroys it leaves nobody who could say whose they were
    #[arg(long, global = true, value_name = "FILE")]
    pub pseudonymise: Option<PathBuf>,
    /// No progress and no notes on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Log more to stderr (-v, -vv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a small organisation up, run the whole main job on it and say what came out; no credentials needed
    Demo(DemoArgs),
    /// Bring logs, IAM state and people into the store
    Ingest {
        /// What the files hold.
        #[command(subcommand)]
        kind: IngestKind,
    },
    /// Bring the state of live AWS accounts into the store, with read-only credentials
    #[command(after_long_help = super::commands::collect::HELP)]
    Collect(CollectArgs),
    /// Print what a role must be allowed so that jitscan can do its work, and no more
    Permissions(PermissionsArgs),
    /// Look after the store: merge its files, check its invariants, remove what is old
    Lake {
        /// What to do.
        #[command(subcommand)]
        action: LakeAction,
    },
    /// Say what the logs can speak for
    Coverage(CoverageArgs),
    /// Verify that log files are what CloudTrail delivered
    Logs {
        /// What to do.
        #[command(subcommand)]
        action: LogsAction,
    },
    /// Hold what is granted against what was used, and list what to act on
    Scan(ScanArgs),
    /// List what principals hold, with the verdict on each entitlement
    Entitlements(Filter),
    /// List what principals used
    Usage(Filter),
    /// Decide one request as AWS would: the answer, the layer that made it, the statements
    Can(CanArgs),
    /// List the principals that may do something, also through roles that they may assume
    WhoCan(WhoCanArgs),
    /// Decide recorded cases
    Policy {
        /// What to do.
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Say what to do about standing access: keep, shrink, convert to just-in-time, remove, or decide later, with what that
    /// removes of exposure and what people would feel of it
    #[command(after_long_help = super::commands::recommend::HELP)]
    Recommend(RecommendArgs),
    /// Say who can become an administrator, by which known techniques of privilege escalation, and by which statements:
    /// calls that a Deny, a boundary, a service control policy or a condition stops are no way
    Escalations(EscalationsArgs),
    /// Turn recommendations into a plan that changes access, and prove on what was recorded that it breaks nobody's work
    #[command(after_long_help = super::commands::remediate::HELP)]
    Remediate {
        /// What to do.
        #[command(subcommand)]
        action: RemediateAction,
    },
    /// Look at the findings of the last scan
    Findings {
        /// What to do with them.
        #[command(subcommand)]
        action: FindingsAction,
    },
    /// Ask the catalogue of actions and events
    Catalog {
        /// What to ask.
        #[command(subcommand)]
        action: CatalogAction,
    },
    /// Write a compliance report
    Report(ReportArgs),
    /// Run a named query over the store
    Query {
        /// What to do.
        #[command(subcommand)]
        action: QueryAction,
    },
    /// Describe the fields of every command's machine output
    Schema,
}

/// `jitscan demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Seed of the made-up noise; planted facts do not depend on it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the organisation's files, its store and the report go
    #[arg(long, value_name = "DIR", default_value = "./jitscan-demo")]
    pub output_dir: PathBuf,
}

/// `jitscan ingest …`.
#[derive(Debug, Subcommand)]
pub enum IngestKind {
    /// CloudTrail logs: files or folders of .json, .json.gz, {"Records":[…]}, arrays, NDJSON, S3 key layout; also
    /// exports of CloudTrail Lake, Athena, CloudWatch Logs and LookupEvents, and Security Lake, told by their content
    Cloudtrail(IngestLogs),
    /// GetAccountAuthorizationDetails output
    Iam(IngestFiles),
    /// IAM credential reports (CSV)
    CredentialReport(IngestFiles),
    /// People: a CSV with id, name, email, manager, team, kind (human, service, vendor), start, end, iam_users
    Roster(IngestFiles),
    /// Accounts, organisational units and organisation policies, as one JSON document
    Organization(IngestFiles),
    /// Permission sets, assignments, users and groups of Identity Center, as one JSON document
    IdentityCenter(IngestFiles),
    /// What the trails whose logs are ingested record: answers of `aws cloudtrail describe-trails`, get-trail,
    /// get-event-selectors and get-trail-status
    Trails(IngestFiles),
    /// What IAM says of an account beside its principals: summary, password policy, access keys, MFA devices and
    /// identity providers, as one JSON document
    Account(IngestFiles),
    /// When principals last accessed services, as IAM saw it: answers of `aws iam
    /// get-service-last-accessed-details`, with the principal's ARN added to each as "Arn"
    LastAccessed(IngestFiles),
    /// IAM Access Analyzer's analyzers and findings, as one JSON document
    AccessAnalyzer(IngestFiles),
    /// Policies of an account's buckets, keys, secrets, queues, topics, functions, repositories and tables, as one JSON
    /// document
    ResourcePolicies(IngestFiles),
    /// Public keys of CloudTrail, for `logs verify`: answers of `aws cloudtrail list-public-keys`
    PublicKeys(IngestFiles),
}

/// Paths of logs.
#[derive(Debug, Args)]
pub struct IngestLogs {
    /// Files or folders
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Leave out request parameters and response elements: a smaller store, and the same facts, but investigations see
    /// less. Ingesting the same logs without it later brings nothing back: the events are known
    #[arg(long)]
    pub slim: bool,
    /// The exports given (query results, log groups, LookupEvents) hold every event of their span: they count as coverage
    /// like trail files. Exports that were read without it are read again
    #[arg(long)]
    pub complete: bool,
    /// Leave it to `lake compact` to merge the store's files, however many this run makes
    #[arg(long)]
    pub no_compact: bool,
    /// Also keep the files that this run reads, unchanged, within the store
    #[arg(long)]
    pub archive: bool,
    /// Wait for another writer instead of failing
    #[arg(long)]
    pub wait: bool,
}

/// `jitscan lake …`.
#[derive(Debug, Subcommand)]
pub enum LakeAction {
    /// Merge small files into large ones; the events and facts stay what they are
    Compact {
        /// Wait for another writer instead of failing
        #[arg(long)]
        wait: bool,
    },
    /// List the documents of the store: states of AWS as they were read. With --export they are written out
    Documents(DocumentsArgs),
    /// Check every invariant of the store: files against their hashes, facts and ids against events, counts against
    /// each other. Exits with 1 where something is damaged, and names it
    Check,
    /// Remove the events before a day, and everything that speaks of them. Says what would go; --yes does it
    #[command(after_long_help = super::commands::lake::PRUNE_HELP)]
    Prune(PruneArgs),
}

/// `jitscan lake documents`.
#[derive(Debug, Args)]
pub struct DocumentsArgs {
    /// Write the newest of each kind and account as DIR/KIND/ACCOUNT.json (.csv), `_` where it is no account's
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
}

/// `jitscan lake prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// The first day that stays, such as 2026-01-31; it begins at midnight UTC
    #[arg(long, value_name = "DATE", value_parser = super::span::date)]
    pub before: Timestamp,
    /// Do it; there is no way back
    #[arg(long)]
    pub yes: bool,
    /// Wait for another writer instead of failing
    #[arg(long)]
    pub wait: bool,
}

/// Paths of documents.
#[derive(Debug, Args)]
pub struct IngestFiles {
    /// Files, or folders whose files are all read
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// When the state was read from AWS [default: the file's modification time]
    #[arg(long, value_name = "TIME")]
    pub captured_at: Option<Timestamp>,
    /// Wait for another writer instead of failing
    #[arg(long)]
    pub wait: bool,
}

/// `jitscan coverage`.
#[derive(Debug, Args)]
pub struct CoverageArgs {
    /// A map of regions and days for each account instead of the table
    #[arg(long)]
    pub heatmap: bool,
}

/// `jitscan logs …`.
#[derive(Debug, Subcommand)]
pub enum LogsAction {
    /// Verify digests and logs as they were downloaded from S3: chains, signatures, hashes. Needs no store and no
    /// network
    #[command(after_long_help = super::commands::logs::HELP)]
    Verify(VerifyArgs),
}

/// `jitscan logs verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folders in the layout of CloudTrail's objects, below any folders; or files
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Saved output of `aws cloudtrail list-public-keys`, or a folder of such files; repeat for more [default: the
    /// store's, see `collect --only public-keys`]. Each region signs with keys of its own; a `Region` beside
    /// `PublicKeyList` ties a file to one
    #[arg(long = "public-keys", value_name = "FILE")]
    pub public_keys: Vec<PathBuf>,
    /// Only from then on: the files should reach back so far [default: from the oldest digest on]
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Only before then: the files should reach so far [default: to the newest digest]
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
    /// List what is valid, too
    #[arg(long)]
    pub all: bool,
}

/// `jitscan scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Show only findings at or above this severity
    #[arg(long, value_name = "SEVERITY", value_parser = super::span::severity)]
    pub severity: Option<crate::model::finding::Severity>,
}

/// Filters of listings.
#[derive(Debug, Args)]
pub struct Filter {
    /// Only this principal: an ARN, or a name; `*` and `?` are wildcards
    #[arg(long, value_name = "ARN")]
    pub principal: Option<String>,
    /// Only this person
    #[arg(long, value_name = "PERSON")]
    pub person: Option<String>,
    /// Only actions that match, such as s3:Get*
    #[arg(long, value_name = "PATTERN")]
    pub action: Option<String>,
}

/// What is known about a request beside principal, action and resource.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// A condition key of the request, as key=value; repeat for more keys or values
    #[arg(long = "context", value_name = "KEY=VALUE")]
    pub context: Vec<String>,
    /// A condition key that the request does not have; repeat for more [default: keys not given are not known]
    #[arg(long = "absent", value_name = "KEY")]
    pub absent: Vec<String>,
    /// The request has no keys but those given and those that follow from it
    #[arg(long)]
    pub no_other_context: bool,
    /// The account that owns the resource [default: as its ARN says, else the principal's]
    #[arg(long, value_name = "ACCOUNT")]
    pub resource_account: Option<crate::model::arn::AccountId>,
    /// The resource's policy, a JSON file
    #[arg(long, value_name = "FILE", conflicts_with = "no_resource_policy")]
    pub resource_policy: Option<PathBuf>,
    /// The resource has no policy
    #[arg(long)]
    pub no_resource_policy: bool,
}

/// `jitscan can`.
#[derive(Debug, Args)]
pub struct CanArgs {
    /// ARN of a user, role, role session, root, or federated user; or the name of a user or role; or a service, such
    /// as logs.amazonaws.com; or `anonymous`
    pub principal: String,
    /// The action, such as s3:GetObject
    pub action: String,
    /// ARN of the resource [default: *, a request that names none]
    pub resource: Option<String>,
    /// What else is known about the request.
    #[command(flatten)]
    pub request: RequestArgs,
    /// A session policy, a JSON file; repeat for more
    #[arg(long, value_name = "FILE")]
    pub session_policy: Vec<PathBuf>,
    /// Exit with 3 where it is not allowed
    #[arg(long)]
    pub exit_code: bool,
}

/// `jitscan who-can`.
#[derive(Debug, Args)]
pub struct WhoCanArgs {
    /// The action, such as s3:GetObject
    pub action: String,
    /// ARN of the resource [default: *, a request that names none]
    pub resource: Option<String>,
    /// What else is known about the request.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Most roles to assume on the way
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub hops: usize,
}

/// `jitscan policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyAction {
    /// Decide recorded cases: one JSON object a line; prints a JSON line each, and exits with 1 where an expectation
    /// is missed
    Test {
        /// The file, or - for standard input
        file: PathBuf,
        /// Also print the statements, what an open answer depends on, and what could not be looked at
        #[arg(long)]
        explain: bool,
    },
    /// Ask IAM Access Analyzer about policies before they go out: whether they are well made, allow more than another one,
    /// allow what they must not, or make a resource public. Wants credentials (see `permissions --for validate`); exits
    /// with 3 where something should not go out like this
    Validate(ValidateArgs),
}

/// `jitscan recommend`.
#[derive(Debug, Default, Args)]
pub struct RecommendArgs {
    /// Requests that one person is willing to make, such as 2/week or 5/month: the conversions that remove the most exposure
    /// within it are chosen [default: each conversion up to 2/week]
    #[arg(long, value_name = "N/SPAN", value_parser = super::span::budget)]
    pub friction_budget: Option<u64>,
    /// Only principals whose ARN or name contains this
    #[arg(long, value_name = "TEXT")]
    pub principal: Option<String>,
    /// Only this person
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// Only this advice; repeat for more
    #[arg(long, value_name = "ADVICE", value_enum)]
    pub advice: Vec<AdviceArg>,
    /// The trade-off instead: by budget, how many requests and how much exposure is removed
    #[arg(long, group = "view")]
    pub curve: bool,
    /// Who holds both sides of a toxic combination instead
    #[arg(long, group = "view")]
    pub combinations: bool,
    /// Changes that people make again and again instead: what could be a pipeline's or a runbook's
    #[arg(long, group = "view")]
    pub automation: bool,
    /// When each kind of access is used over the week instead, by all of its holders together
    #[arg(long, group = "view")]
    pub weeks: bool,
    /// Where the numbers of one recommendation come from instead: sessions, requests, arithmetic, statements and events
    #[arg(long, group = "view", value_name = "ID")]
    pub explain: Option<String>,
    /// What somebody with this person's sign-in could reach and do instead: now, and after what is advised
    #[arg(long, group = "view", value_name = "PERSON")]
    pub phished: Option<String>,
    /// The narrowed policies instead: what would be left standing of each principal's
    #[arg(long, group = "view")]
    pub policies: bool,
    /// Also write a page with plots to this file
    #[arg(long, value_name = "FILE", conflicts_with = "view")]
    pub html: Option<PathBuf>,
}

/// `jitscan escalations`.
#[derive(Debug, Args)]
pub struct EscalationsArgs {
    /// Only principals whose ARN contains this
    #[arg(long, value_name = "TEXT")]
    pub principal: Option<String>,
    /// List the techniques instead
    #[arg(long)]
    pub list: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AdviceArg {
    /// Take it away
    Remove,
    /// Make it just-in-time
    ConvertToJit,
    /// Keep what is used of it
    Shrink,
    /// The evidence does not carry a decision
    DecideLater,
    /// Leave it as it is
    KeepStanding,
}

impl AdviceArg {
    /// The advice.
    #[must_use]
    pub const fn advice(self) -> Advice {
        match self {
            Self::Remove => Advice::Remove,
            Self::ConvertToJit => Advice::ConvertToJit,
            Self::Shrink => Advice::Shrink,
            Self::DecideLater => Advice::DecideLater,
            Self::KeepStanding => Advice::KeepStanding,
        }
    }
}

/// `jitscan findings …`.
#[derive(Debug, Subcommand)]
pub enum FindingsAction {
    /// List them
    List(ScanArgs),
    /// Show one with its evidence
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
}

/// `jitscan catalog …`.
#[derive(Debug, Subcommand)]
pub enum CatalogAction {
    /// Actions that match a pattern, such as s3:Get* or iam:*
    Action {
        /// The pattern
        pattern: String,
    },
    /// The actions that an event exercises, such as `s3.amazonaws.com ListObjects`
    Event {
        /// Event source
        source: String,
        /// Event name
        name: String,
    },
    /// The same for many events
    Events {
        /// Read `SOURCE NAME` lines from stdin
        #[arg(long, required = true)]
        stdin: bool,
    },
}

/// `jitscan report …`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("framework").required(true))]
pub struct ReportArgs {
    /// SOC 2, Trust Services Criteria
    #[arg(long, group = "framework")]
    pub soc2: bool,
    /// Formats, separated by commas: html, md
    #[arg(long, value_delimiter = ',', default_value = "html,md", value_name = "FORMATS")]
    pub formats: Vec<ReportFormat>,
    /// Accepted exceptions: a JSON array of {id, test, subject, owner, reason, approved_by, expires, …}
    #[arg(long, value_name = "FILE")]
    pub exceptions: Option<PathBuf>,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = "./jitscan-report")]
    pub output_dir: PathBuf,
}

/// Report formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// One HTML file.
    Html,
    /// Markdown.
    Md,
}

/// `jitscan query …`.
#[derive(Debug, Subcommand)]
pub enum QueryAction {
    /// List the queries
    List,
    /// Show a query's text
    Show {
        /// Its name
        name: String,
    },
    /// Run a query
    Run {
        /// Its name
        name: String,
        /// A parameter, as name=value; repeat for more
        #[arg(long = "param", value_name = "NAME=VALUE")]
        params: Vec<String>,
    },
}
