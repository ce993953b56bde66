//! `jitscan scan`: entitlements × usage → findings.

use crate::cli::args::ScanArgs;
use crate::cli::commands::{findings as findings_command, open, remediate};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::World;
use crate::compare;
use crate::compare::assessment::{Assessment, Verdict, VerdictCounts};
use crate::findings;
use crate::lake::Writer;
use crate::model::finding::{Finding, Severity};

/// What a scan found.
#[derive(Debug)]
pub struct Scan {
    /// The comparison.
    pub assessment: Assessment,
    /// The findings, with their states.
    pub findings: Vec<Finding>,
}

/// Scans a store and remembers the findings in it.
///
/// # Errors
/// When the store cannot be read or written.
pub fn scan(context: &Context<'_>, world: &World) -> Result<Scan, CommandError> {
    let mut assessment = compare::assess(&world.inputs());
    assessment.gaps.extend(world.gaps.iter().cloned());
    assessment.gaps.sort();
    let mut found = findings::find(&assessment);
    let (drifted, unread) = remediate::drifted(context, &world.snapshot, world.as_of)?;
    assessment.gaps.extend(unread);
    found.extend(drifted);
    findings::sort(&mut found);
    let before = findings_command::log(&open(context)?)?;
    let after = findings::apply_lifecycle(&mut found, &before, assessment.as_of);
    if after != before {
        let value = serde_json::to_value(&after).map_err(|error| CommandError::Failed(error.to_string()))?;
        match Writer::open(&context.global.store, false, &context.stop) {
            Ok(mut writer) => {
                writer.put_state(findings_command::STATE, &value)?;
            }
            // What was found holds all the same.
            Err(error) if error.is_of_read_only() => {
                context.note("the store cannot be written here: which findings are new is not kept");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Scan { assessment, findings: found })
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read or written.
pub fn run(context: &Context<'_>, args: &ScanArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load(context, &reader)?;
    drop(reader);
    let scan = scan(context, &world)?;
    let shown: Vec<Finding> = scan
        .findings
        .iter()
        .filter(|finding| args.severity.is_none_or(|least| finding.severity >= least))
        .cloned()
        .collect();
    let meta = world.meta("scan", scan.assessment.gaps.clone());
    context.emit(&meta, &findings_command::table(&shown, findings_command::audience(context)))?;
    context.note(&summary(&world, &scan));
    Ok(status(context, &scan))
}

/// The exit status that a scan's result means.
#[must_use]
pub fn status(context: &Context<'_>, scan: &Scan) -> Status {
    let mut status = Status::Done;
    if context.global.fail_on.is_some_and(|least| scan.findings.iter().any(|finding| finding.severity >= least)) {
        status = status.and(Status::Findings);
    }
    let gap = |kind: &str| scan.assessment.gaps.iter().any(|gap| gap.kind == kind);
    if context.global.strict && (gap("coverage") || gap("window")) {
        status = status.and(Status::Incomplete);
    }
    status
}

/// The scan in a few lines, for stderr.
#[must_use]
pub fn summary(world: &World, scan: &Scan) -> String {
    let assessment = &scan.assessment;
    let total = totals(assessment);
    let count = |severity: Severity| scan.findings.iter().filter(|finding| finding.severity == severity).count();
    let mut out = format!(
        "\n{} principals in {} accounts, window {}\n{} (catalogue {})\n\
         granted {} permissions: {} {}, {} {}, {} {} ({} of the unused by an assumption); {} {}\n\
         findings: {} critical, {} high, {} medium, {} low, {} info",
        assessment.principals.len(),
        assessment.accounts.len(),
        assessment.window,
        world.coverage_line(),
        assessment.catalogue,
        total.granted,
        total.used,
        Verdict::Used.as_str(),
        total.unused + total.unused_low_confidence,
        Verdict::Unused.as_str(),
        total.unobservable,
        Verdict::Unobservable.as_str(),
        total.unused_low_confidence,
        total.used_not_granted,
        "used but not granted",
        count(Severity::Critical),
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low),
        count(Severity::Info),
    );
    for gap in assessment.gaps.iter().take(MOST_GAPS_SAID) {
        out.push_str(&format!("\ngap: {}", gap.what));
        if !gap.remedy.is_empty() {
            out.push_str(&format!("\n     {}", gap.remedy));
        }
    }
    if assessment.gaps.len() > MOST_GAPS_SAID {
        out.push_str(&format!("\n… and {} more gaps (--format json has all)", assessment.gaps.len() - MOST_GAPS_SAID));
    }
    out
}

/// Most gaps that the summary says.
const MOST_GAPS_SAID: usize = 8;

/// The counts of all principals together.
#[must_use]
pub fn totals(assessment: &Assessment) -> VerdictCounts {
    let mut total = VerdictCounts::default();
    for principal in &assessment.principals {
        total.granted += principal.counts.granted;
        total.used += principal.counts.used;
        total.unused += principal.counts.unused;
        total.unused_low_confidence += principal.counts.unused_low_confidence;
        total.unobservable += principal.counts.unobservable;
        total.used_not_granted += principal.counts.used_not_granted;
    }
    total
}
