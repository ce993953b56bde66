//! The command line: the only place that prints, asks the clock, or chooses an exit code.

pub mod args;
pub mod commands;
pub mod config;
pub mod context;
pub mod documents;
pub mod escape;
pub mod exit;
pub mod heatmap;
pub mod output;
pub mod pipeline;
pub mod pseudonyms;
pub mod span;
mod table;

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use crate::model::time::Timestamp;

use args::{Cli, Command};
use context::{CommandError, Context};
use exit::Status;
use pseudonyms::Pseudonyms;

/// Signals that ask a run to end.
const INTERRUPTS: &[i32] = &[signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];

/// Parses the command line, runs the command and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let status = if error.use_stderr() { Status::Usage } else { Status::Done };
            return status.into();
        }
    };
    start_logging(cli.global.verbose);
    let stop = Arc::new(AtomicBool::new(false));
    // What fills the store has a batch to finish or discard, and what changes access a step to end; whatever else runs ends
    // at once, and its store stands it.
    let signals: &[i32] = match &cli.command {
        Command::Ingest { .. } | Command::Collect(_) => INTERRUPTS,
        Command::Remediate { action } if action.changes() => INTERRUPTS,
        _ => &[],
    };
    for &signal in signals {
        // A second signal ends the program at once: the store stands it.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop));
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    let mut names = None;
    match run(&cli, stop, &mut names) {
        Ok(status) => status.into(),
        Err(error) => {
            let status = error.status();
            if status != Status::Done {
                let text = error.to_string();
                let text = names.as_ref().map_or_else(|| Cow::Borrowed(text.as_str()), |names| names.text(&text));
                let _ = writeln!(io::stderr(), "jitscan: {}", escape::terminal_lines(&text));
            }
            status.into()
        }
    }
}

/// Runs a parsed command line. `names` is set to what stands in place of people's names, where that is asked for.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(cli: &Cli, stop: Arc<AtomicBool>, names: &mut Option<Arc<Pseudonyms>>) -> Result<Status, CommandError> {
    let config = config::load(cli.global.config.as_deref())?;
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    if let Some(key) = &cli.global.pseudonymise {
        let as_of = cli.global.as_of.unwrap_or(now);
        *names = Some(Arc::new(Pseudonyms::of_store(&cli.global.store, key, as_of)?));
    }
    let context = Context { global: &cli.global, config, now, stop, names: names.clone() };
    // One pool for everything, so that --threads governs all of it. A second initialisation (tests) is harmless.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(context.threads()).build_global();
    match &cli.command {
        Command::Demo(args) => commands::demo::run(&context, args),
        Command::Ingest { kind } => commands::ingest::run(&context, kind),
        Command::Collect(args) => commands::collect::run(&context, args),
        Command::Permissions(args) => commands::permissions::run(&context, args),
        Command::Coverage(args) => commands::coverage::run(&context, args),
        Command::Logs { action } => commands::logs::run(&context, action),
        Command::Lake { action } => commands::lake::run(&context, action),
        Command::Scan(args) => commands::scan::run(&context, args),
        Command::Entitlements(filter) => commands::entitlements::run(&context, filter),
        Command::Usage(filter) => commands::usage::run(&context, filter),
        Command::Can(args) => commands::can::run(&context, args),
        Command::WhoCan(args) => commands::who_can::run(&context, args),
        Command::Policy { action } => commands::policy::run(&context, action),
        Command::Escalations(args) => commands::escalations::run(&context, args),
        Command::Recommend(args) => commands::recommend::run(&context, args),
        Command::Remediate { action } => commands::remediate::run(&context, action),
        Command::Findings { action } => commands::findings::run(&context, action),
        Command::Catalog { action } => commands::catalog::run(&context, action),
        Command::Report(args) => commands::report::run(&context, args),
        Command::Query { action } => commands::query::run(&context, action),
        Command::Schema => commands::schema::run(&context),
    }
}

fn start_logging(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::new(format!("warn,jitscan={level}"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}
