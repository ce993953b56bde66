//! Rebuilds the embedded catalogue: `catalog-build DATA_DIR [OUTPUT_DIR [LISTING]]`.
//!
//! Reads the third-party tables under `DATA_DIR` (see `NOTICE`) and writes the catalogue, the disagreements of
//! the sources and the operations without a known action into `OUTPUT_DIR` (default `src/catalog/data`);
//! `LISTING` names a file for every event as text, to compare two builds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jitscan::catalog::build::{BuildError, Curated, Sources, build};

fn run(data: &Path, output: &Path, listing: Option<&Path>) -> Result<Vec<String>, BuildError> {
    let built = build(&Sources::read(data)?, &Curated::embedded()?)?;
    let files = [
        (Some(output.join("catalog.zst")), built.compressed.as_slice()),
        (Some(output.join("disagreements.tsv")), built.disagreements.as_bytes()),
        (Some(output.join("unmapped.tsv")), built.unmapped.as_bytes()),
        (listing.map(Path::to_owned), built.listing.as_bytes()),
    ];
    for (path, bytes) in files {
        let Some(path) = path else { continue };
        std::fs::write(&path, bytes).map_err(|source| BuildError::Read { path: path.display().to_string(), source })?;
    }
    Ok(built.summary)
}

#[expect(clippy::print_stderr, reason = "a developer's tool, not part of the jitscan binary")]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(data) = arguments.next() else {
        eprintln!("usage: catalog-build DATA_DIR [OUTPUT_DIR [LISTING]]");
        return ExitCode::from(2);
    };
    let output = arguments.next().unwrap_or_else(|| PathBuf::from("src/catalog/data"));
    let listing = arguments.next();
    match run(&data, &output, listing.as_deref()) {
        Ok(summary) => {
            for line in summary {
                eprintln!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("catalog-build: {error}");
            ExitCode::FAILURE
        }
    }
}
