//! Digest chains: made up and signed here, tampered with in every way, and verified.

// The lints that spare tests know a test module by this.
#![cfg(test)]

pub mod generate;

mod dump;
mod properties;
mod scenarios;
mod scope;

use std::path::{Path, PathBuf};

use jitscan::integrity::{Options, PublicKeys, Report, Row, Status, Weight, verify};

use generate::Corpus;

/// The keys of a corpus, read as jitscan reads them.
pub fn keys(corpus: &Corpus) -> PublicKeys {
    let mut keys = PublicKeys::default();
    keys.add(corpus.keys.to_string().as_bytes()).unwrap();
    keys
}

pub fn run(root: &Path, corpus: &Corpus, options: Options) -> Report {
    verify(&[PathBuf::from(root)], &keys(corpus), &options).unwrap()
}

pub fn all() -> Options {
    Options { keep_valid: true, ..Options::default() }
}

/// The rows of a weight, as (status, object).
pub fn of_weight(report: &Report, weight: Weight) -> Vec<(Status, String)> {
    let rows = report.rows.iter().filter(|row| row.status.weight() == weight);
    let mut out: Vec<(Status, String)> = rows.map(|row| (row.status, row.object.clone())).collect();
    out.sort();
    out
}

/// Inconclusive rows that do not follow from tampering.
pub fn open_ends(report: &Report) -> Vec<&Row> {
    let open = |row: &&Row| row.status.weight() == Weight::Inconclusive && !row.follows;
    report.rows.iter().filter(open).collect()
}
