//! `jitscan policy validate`: what IAM Access Analyzer says of policies.

use std::path::Path;
use std::time::Duration;

use crate::cli::args::{AwsArgs, DraftKind, ValidateArgs};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::compare::assessment::Gap;
use crate::fetch::{self, Draft, Failure, FailureKind, PolicyKind, Start, Validated};
use crate::model::table::{Column, ColumnKind, Table};

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::Text;
    vec![
        Column::new("file", Text, "the policy"),
        Column::new("check", Text, "ValidatePolicy, CheckNoNewAccess, CheckAccessNotGranted or CheckNoPublicAccess"),
        Column::new("result", Text, "PASS, FAIL, or of ValidatePolicy ERROR, SECURITY_WARNING, WARNING, SUGGESTION"),
        Column::new("code", Text, "AWS's code of the issue"),
        Column::new("message", Text, "AWS's words"),
        Column::new("place", Text, "where in the policy, with line and column where AWS says so"),
    ]
}

/// Runs it.
///
/// # Errors
/// When a file cannot be read, options do not go together, or nobody can be asked.
pub fn run(context: &Context<'_>, args: &ValidateArgs) -> Result<Status, CommandError> {
    let kind = match args.kind {
        DraftKind::Identity => PolicyKind::Identity,
        DraftKind::Resource => PolicyKind::Resource,
        DraftKind::Scp => PolicyKind::ServiceControl,
        DraftKind::Rcp => PolicyKind::ResourceControl,
    };
    let of_organization = matches!(kind, PolicyKind::ServiceControl | PolicyKind::ResourceControl);
    if of_organization && (args.existing.is_some() || !args.denied.is_empty()) {
        let reason = "--existing and --deny-action ask about identity and resource policies only";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    let existing = args.existing.as_deref().map(read).transpose()?;
    let mut drafts = Vec::with_capacity(args.files.len());
    for file in &args.files {
        drafts.push(Draft {
            policy: read(file)?,
            kind,
            resource_type: args.resource_type.clone(),
            existing: existing.clone(),
            denied: args.denied.clone(),
            not_public: args.not_public,
        });
    }
    let told =
        fetch::validate(&start(&args.aws), &drafts).map_err(|failure| CommandError::Failed(failure.to_string()))?;
    let mut table = Table { columns: columns(), rows: Vec::new() };
    let (mut gaps, mut grave) = (Vec::new(), false);
    for (file, Validated { remarks, failures }) in args.files.iter().zip(told) {
        let name = file.display().to_string();
        for remark in remarks {
            grave |= remark.is_grave();
            table.rows.push(vec![
                name.as_str().into(),
                remark.check.into(),
                remark.result.into(),
                remark.code.into(),
                remark.message.into(),
                remark.place.into(),
            ]);
        }
        for failure in failures {
            gaps.push(gap(&name, &failure));
        }
    }
    let incomplete = !gaps.is_empty();
    for gap in &gaps {
        context.note(&format!("{}; {}", gap.what, gap.remedy));
    }
    context.emit(&Meta { command: "policy validate".to_owned(), gaps, ..Meta::default() }, &table)?;
    let mut status = Status::Done;
    if grave {
        status = status.and(Status::Findings);
    }
    if incomplete {
        status = status.and(Status::Incomplete);
    }
    Ok(status)
}

/// Whom to ask.
pub(super) fn start(aws: &AwsArgs) -> Start {
    Start {
        profile: aws.profile.clone(),
        region: aws.region.clone(),
        endpoint_url: aws.endpoint_url.clone(),
        attempts: ATTEMPTS,
        attempt_timeout: TIMEOUT,
    }
}

/// What could not be asked about something.
pub(super) fn gap(name: &str, failure: &Failure) -> Gap {
    let remedy = match failure.kind {
        FailureKind::Denied => format!("allow {} (see `jitscan permissions --for validate`)", failure.action),
        FailureKind::Credentials => "renew the credentials".to_owned(),
        _ => "run it again".to_owned(),
    };
    Gap { kind: "account".to_owned(), what: format!("{name}: {failure}"), remedy }
}

/// Attempts of one call, and the longest wait for one: a person waits for the answer.
const ATTEMPTS: u32 = 5;
const TIMEOUT: Duration = Duration::from_secs(30);

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|source| CommandError::File { path: path.display().to_string(), source })
}
