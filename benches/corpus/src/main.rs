//! `corpus`: makes CloudTrail corpora with planted truth, and times the physical floor of reading them.

mod clock;
mod floor;
mod generate;
mod names;
mod plan;
mod plant;
mod prng;
mod render;
mod template;
mod truth;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use generate::Order;
use plan::Sizes;
use plant::Shares;

/// CloudTrail corpora for benches and tests: real record shapes, made-up everything else, the same for the same
/// arguments.
#[derive(Parser)]
#[command(name = "corpus")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a corpus in the layout of a trail's bucket.
    Generate(Generate),
    /// Reads and decompresses every file below a folder, and says how long that took.
    Floor {
        /// A folder of .json.gz files.
        dir: PathBuf,
        /// Threads; 0 for one a core.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// Also parse every file, with simd-json into its tape.
        #[arg(long)]
        parse: bool,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Generate {
    /// Records, beside what is planted.
    #[arg(long)]
    events: u64,
    /// An empty or new folder.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First day.
    #[arg(long, default_value = "2026-09-16")]
    start: String,
    #[arg(long, default_value_t = 30)]
    days: u64,
    #[arg(long, default_value_t = 20)]
    accounts: usize,
    /// 8 at most.
    #[arg(long, default_value_t = 4)]
    regions: usize,
    /// Records of a file on average [default: 1000; 7.7 with --small].
    #[arg(long)]
    events_per_file: Option<f64>,
    /// Small files only.
    #[arg(long)]
    small: bool,
    /// Share of records that another file holds again.
    #[arg(long, default_value_t = 0.005)]
    duplicates: f64,
    /// Share of sessions' calls of which another account holds a copy.
    #[arg(long, default_value_t = 0.005)]
    shared: f64,
    /// Share of records whose id another record has too.
    #[arg(long, default_value_t = 0.0001)]
    conflicts: f64,
    /// Share of records that cannot be read, beside the others.
    #[arg(long, default_value_t = 0.0)]
    bad: f64,
    /// Where to write what the corpus holds, as JSON.
    #[arg(long)]
    truth: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Generate(args) => generate(args),
        Command::Floor { dir, threads, parse, json } => floor(&dir, threads, parse, json),
    };
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(args: Generate) -> Result<String, String> {
    let began = std::time::Instant::now();
    if std::fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} is not empty", args.out.display()));
    }
    let mean = args.events_per_file.unwrap_or(if args.small { 7.7 } else { 1000.0 });
    let order = Order {
        out: args.out,
        seed: args.seed,
        events: args.events,
        start: clock::parse_date(&args.start)
            .ok_or_else(|| format!("{} is not a date such as 2026-09-16", args.start))?,
        days: args.days,
        accounts: args.accounts,
        regions: args.regions,
        sizes: Sizes { mean: mean.max(1.0), small: args.small },
        shares: Shares { duplicates: args.duplicates, shared: args.shared, conflicts: args.conflicts, bad: args.bad },
    };
    let truth = generate::generate(&order)?;
    if let Some(path) = &args.truth {
        let text = serde_json::to_vec(&truth).map_err(|e| e.to_string())?;
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(format!(
        "{} files, {} records ({} stored, {} duplicates, {} bad), {} identities, {:.1} MB of JSON in {:.1} MB of gzip ({:.2} : 1), {:.1} s",
        truth.files,
        truth.read,
        truth.stored,
        truth.duplicates,
        truth.bad,
        truth.identities.len(),
        truth.json_bytes as f64 / 1e6,
        truth.gzip_bytes as f64 / 1e6,
        truth.json_bytes as f64 / truth.gzip_bytes.max(1) as f64,
        began.elapsed().as_secs_f64(),
    ))
}

fn floor(dir: &std::path::Path, threads: usize, parse: bool, json: bool) -> Result<String, String> {
    let found = floor::floor(dir, threads, parse)?;
    let all = found.seconds + found.listing;
    if json {
        return Ok(format!(
            "{{\"files\":{},\"bytes_in\":{},\"bytes_out\":{},\"nodes\":{},\"unparsed\":{},\"seconds\":{:.6},\"listing_seconds\":{:.6}}}",
            found.files, found.bytes_in, found.bytes_out, found.nodes, found.unparsed, found.seconds, found.listing
        ));
    }
    Ok(format!(
        "{} files, {:.1} MB in, {:.1} MB out, {all:.3} s ({:.3} s of it listing), {:.0} MB/s of text{}",
        found.files,
        found.bytes_in as f64 / 1e6,
        found.bytes_out as f64 / 1e6,
        found.listing,
        found.bytes_out as f64 / 1e6 / all.max(1e-9),
        if parse {
            format!(", {} nodes, {} files that are not JSON", found.nodes, found.unparsed)
        } else {
            String::new()
        },
    ))
}
