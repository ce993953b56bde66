//! `jitscan demo`: a made-up organisation, and every stage that exists run on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cli::args::{DemoArgs, ReportFormat};
use crate::cli::commands::{findings as findings_command, ingest, open, report, scan};
use crate::cli::context::{CommandError, Context};
use crate::cli::documents::DocumentKind;
use crate::cli::escape::terminal;
use crate::cli::exit::Status;
use crate::cli::pipeline::World;
use crate::cli::span;
use crate::compare::holders::permission_set_of;
use crate::demo::{self, DEMO_AS_OF, Demo, DemoOptions, Sink};
use crate::lake::{IngestOptions, Quiet, ingest_cloudtrail};
use crate::model::finding::Finding;

/// Name of the file that marks a folder as made by the demo, so that only such a folder is ever cleared.
const MARKER: &str = ".jitscan-demo";
/// What the demo makes in its folder.
const MADE: [&str; 4] = ["input", "store", "report", "jitscan.toml"];
/// Rows of the summary's list of people.
const PEOPLE_SHOWN: usize = 12;

/// Runs it.
///
/// # Errors
/// When the folder is somebody else's, or a stage fails.
pub fn run(context: &Context<'_>, args: &DemoArgs) -> Result<Status, CommandError> {
    let started = Instant::now();
    let dir = args.output_dir.as_path();
    prepare(dir)?;
    let input = dir.join("input");
    context.note("making the organisation up …");
    let options = DemoOptions { seed: args.seed, ..DemoOptions::default() };
    let demo = demo::generate(options, &mut Folder(input.clone())).map_err(|e| CommandError::Failed(e.to_string()))?;
    let config = dir.join("jitscan.toml");
    let settings = format!(
        "# Break-glass principals: never called dormant, never a candidate for conversion.\nbreak_glass = {:?}\n\n\
         # Regions in use: the organisation's policies close the others, but not for every service.\nregions = {:?}\n",
        demo.truth.break_glass, demo.truth.regions
    );
    std::fs::write(&config, settings).map_err(file_error(&config))?;

    let mut global = context.global.clone();
    global.store = dir.join("store");
    global.as_of = Some(DEMO_AS_OF);
    global.window = span::parse("90d").map_err(CommandError::Usage)?;
    let inner = Context {
        global: &global,
        config: crate::cli::config::load(Some(&config))?,
        now: context.now,
        stop: std::sync::Arc::clone(&context.stop),
        names: context.names.clone(),
    };
    context.note("reading its logs and its IAM state …");
    let ingested = ingest_all(&inner, &input)?;
    context.note("comparing what is granted with what was used …");
    let reader = open(&inner)?;
    let world = World::load(&inner, &reader)?;
    let inputs = report::inputs(&reader)?;
    drop(reader);
    let scan = scan::scan(&inner, &world)?;
    let folder = dir.join("report");
    report::write(&inner, &scan, &inputs, &[], &[ReportFormat::Html, ReportFormat::Md], &folder)?;

    if context.is_for_people() {
        context.emit_text(&summary(dir, &demo, ingested, &world, &scan))?;
        context.note(&format!("\n{:.1} s in all", started.elapsed().as_secs_f64()));
    } else {
        let meta = world.meta("demo", scan.assessment.gaps.clone());
        context.emit(&meta, &findings_command::table(&scan.findings, findings_command::Audience::Program))?;
    }
    Ok(scan::status(context, &scan))
}

/// What went into the lake.
#[derive(Clone, Copy, Debug)]
struct Ingested {
    files: u64,
    stored: u64,
    duplicates: u64,
}

fn ingest_all(context: &Context<'_>, input: &Path) -> Result<Ingested, CommandError> {
    let mut options = IngestOptions::new(context.now);
    options.threads = context.threads();
    options.stop = std::sync::Arc::clone(&context.stop);
    let logs = ingest_cloudtrail(&context.global.store, &[input.join("cloudtrail")], &options, &Quiet)?;
    if logs.interrupted || logs.is_incomplete() {
        return Err(CommandError::Failed("the demo's own logs were not read whole".to_owned()));
    }
    let in_folders = |name: &str| -> Result<Vec<PathBuf>, CommandError> {
        let iam = input.join("iam");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&iam).map_err(file_error(&iam))? {
            found.push(entry.map_err(file_error(&iam))?.path().join(name));
        }
        found.sort();
        Ok(found)
    };
    for (kind, files) in [
        (DocumentKind::Iam, in_folders("authorization-details.json")?),
        (DocumentKind::CredentialReport, in_folders("credential-report.csv")?),
        (DocumentKind::Organization, vec![input.join("organization.json")]),
        (DocumentKind::IdentityCenter, vec![input.join("identity-center.json")]),
        (DocumentKind::Roster, vec![input.join("roster.csv")]),
    ] {
        let stored = ingest::store_documents(context, kind, &files, Some(DEMO_AS_OF), false)?;
        if let Some(defect) = stored.defects.first() {
            return Err(CommandError::Failed(format!(
                "the demo's own files have a defect: {}: {}",
                defect.place, defect.reason
            )));
        }
    }
    let sum = |of: fn(&crate::lake::SourceRow) -> u64| logs.sources.iter().map(of).sum();
    Ok(Ingested {
        files: sum(|source| source.new_files),
        stored: sum(|source| source.stored),
        duplicates: sum(|source| source.duplicates),
    })
}

/// Makes the folder ready: an absent or empty one is taken, one of an earlier demo is cleared, any other refused.
fn prepare(dir: &Path) -> Result<(), CommandError> {
    let marker = dir.join(MARKER);
    let occupied = match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => return Err(file_error(dir)(source)),
    };
    if occupied && !marker.exists() {
        return Err(CommandError::Usage(format!(
            "{} holds something that is not a demo of jitscan; name another folder with --output-dir",
            dir.display()
        )));
    }
    for name in MADE {
        let path = dir.join(name);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(&path)(error)),
            _ => {}
        }
    }
    std::fs::create_dir_all(dir).map_err(file_error(dir))?;
    std::fs::write(&marker, "made by `jitscan demo`; it may clear this folder\n").map_err(file_error(&marker))
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> CommandError + use<> {
    let path = path.display().to_string();
    move |source| CommandError::File { path: path.clone(), source }
}

/// Writes the generated files below a folder.
struct Folder(PathBuf);

impl Sink for Folder {
    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)
    }
}

fn summary(dir: &Path, demo: &Demo, ingested: Ingested, world: &World, scan: &scan::Scan) -> String {
    let assessment = &scan.assessment;
    let total = scan::totals(assessment);
    let people = world.snapshot.roster.len();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Lantern Freight, a made-up organisation: {} accounts, {people} people and machines in the roster, {} principals.\n\
         {} events from {} log files ({} delivered twice and counted once), window {}.\n\
         {}.\n",
        assessment.accounts.len(),
        assessment.principals.len(),
        ingested.stored,
        ingested.files,
        ingested.duplicates,
        assessment.window,
        world.coverage_line(),
    );
    let share = |n: u64| if total.granted == 0 { 0.0 } else { n as f64 * 100.0 / total.granted as f64 };
    let unused = total.unused + total.unused_low_confidence;
    let _ = writeln!(out, "Granted against used, permissions of all principals together:");
    for (name, number, note) in [
        ("granted", total.granted, ""),
        ("used", total.used, ""),
        ("unused", unused, "the logs could have shown a use and show none"),
        ("  of these by an assumption", total.unused_low_confidence, "never removed automatically"),
        ("unobservable", total.unobservable, "the logs could not have shown it: never called unused"),
    ] {
        let line = format!("  {name:<28}{number:>8}  {:>5.1} %  {note}", share(number));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let _ = writeln!(
        out,
        "  {:<28}{:>8}           taken away since, or granted elsewhere\n",
        "used but not granted", total.used_not_granted
    );
    standing(&mut out, world, scan);
    kinds(&mut out, &scan.findings);
    if !assessment.gaps.is_empty() {
        let _ = writeln!(out, "\nWhat could not be seen:");
        for gap in &assessment.gaps {
            let _ = writeln!(out, "  {}", terminal(&gap.what));
        }
    }
    let shown = terminal(&dir.display().to_string()).into_owned();
    let _ = write!(
        out,
        "\nPlanted truth: {} facts and {} grants, in fixtures/README.md; the tests hold this output against them.\n\n\
         What to type next:\n\
         \x20 export JITSCAN_STORE={shown}/store JITSCAN_CONFIG={shown}/jitscan.toml JITSCAN_AS_OF={}\n\
         \x20 jitscan findings list --severity high          what to act on first\n\
         \x20 jitscan findings show {}                 one of them, with its evidence\n\
         \x20 jitscan entitlements --principal deploy        what a principal holds, verdict by verdict\n\
         \x20 jitscan usage --person 'grace.wanjiru@*'       what a person did\n\
         \x20 jitscan coverage                               what the logs can speak for\n\
         \x20 jitscan query list                             questions with names\n\
         The report is {shown}/report/soc2.html, and soc2.md beside it; the input files are in {shown}/input.\n",
        demo.truth.facts.len(),
        demo.truth.grants.len(),
        DEMO_AS_OF.day(),
        scan.findings.first().map_or("ID", |finding| finding.id.get(..8).unwrap_or(&finding.id)),
    );
    out
}

/// The people with standing privileged access, those who used it least first.
fn standing(out: &mut String, world: &World, scan: &scan::Scan) {
    let window = scan.assessment.window.days().count();
    let accounts: BTreeMap<String, &str> = world
        .snapshot
        .organization
        .iter()
        .flat_map(|organization| &organization.accounts)
        .map(|account| (account.id.to_string(), account.name.as_str()))
        .collect();
    let mut rows: Vec<(usize, String, String, String, String)> = Vec::new();
    for principal in &scan.assessment.principals {
        let standing = |f: &&Finding| f.kind == "standing_privileged_access" && f.principal == principal.arn;
        for finding in scan.findings.iter().filter(standing) {
            let days =
                principal.users.iter().find(|u| u.person == finding.person).map_or(0, |u| u.privileged_days.len());
            let name = principal.arn.rsplit('/').next().unwrap_or(&principal.arn);
            let name = permission_set_of(name).unwrap_or(name);
            let account = accounts.get(&finding.account).copied().unwrap_or(finding.account.as_str());
            let advice = finding.title.rsplit(": ").next().unwrap_or_default();
            rows.push((
                days,
                terminal(finding.person.split('@').next().unwrap_or_default()).into_owned(),
                terminal(name).into_owned(),
                terminal(account).into_owned(),
                advice.to_owned(),
            ));
        }
    }
    rows.sort();
    let never = rows.iter().filter(|row| row.0 == 0).count();
    let _ = writeln!(
        out,
        "Standing privileged access held by people: {} times, {never} of them never used in {window} days.",
        rows.len()
    );
    let width = |of: fn(&(usize, String, String, String, String)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (people, names, places) =
        (width(|r| r.1.chars().count()), width(|r| r.2.chars().count()), width(|r| r.3.chars().count()));
    for (days, person, name, account, advice) in rows.iter().take(PEOPLE_SHOWN) {
        let days = format!("{days} of {window} days");
        let _ = writeln!(out, "  {days:>13}  {person:<people$}  {name:<names$}  {account:<places$}  {advice}");
    }
    if rows.len() > PEOPLE_SHOWN {
        let _ = writeln!(out, "  … and {} more: jitscan findings list", rows.len() - PEOPLE_SHOWN);
    }
}

fn kinds(out: &mut String, findings: &[Finding]) {
    let mut counted: Vec<(crate::model::finding::Severity, &str, usize)> = Vec::new();
    for finding in findings {
        match counted
            .iter_mut()
            .find(|(severity, kind, _)| (*severity, *kind) == (finding.severity, finding.kind.as_str()))
        {
            Some((_, _, number)) => *number += 1,
            None => counted.push((finding.severity, finding.kind.as_str(), 1)),
        }
    }
    let _ = writeln!(out, "\nFindings: {}", findings.len());
    for (severity, kind, number) in counted {
        let _ = writeln!(out, "  {:<9} {number:>4}  {kind}", severity.as_str());
    }
}
