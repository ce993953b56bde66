//! The engine against the slow oracle of `tests/it/decide`, optimised: `differential [CASES [SEED]]`.
//!
//! Prints how many differ, and the first ones as small as they get; exits with 1 where one does.

use std::process::ExitCode;

use jitscan_fuzz::catalog::Catalog;
use jitscan_fuzz::decide::Decide;
use jitscan_fuzz::decide::case::Case;
use jitscan_fuzz::decide::compile::Compiler;
use rayon::prelude::*;
use serde_json::Value;

#[path = "../../it/decide/generate/mod.rs"]
mod generate;
#[path = "../../it/decide/oracle/mod.rs"]
mod oracle;
#[path = "../../it/decide/shrink.rs"]
mod shrink;

/// Cases that share a compiler, which keeps every document that it has seen.
const CHUNK: u64 = 1_000;
/// Differences that are made small and shown.
const SHOWN: usize = 10;

fn engine(case: &Value, compiler: &Compiler<'_>) -> String {
    match Case::parse(&case.to_string(), compiler) {
        Ok(case) => case.policies.decide(&case.request).as_str().to_owned(),
        Err(error) => format!("not a case: {error}"),
    }
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Ok(cases), Ok(seed)) = (numbers.next().unwrap_or(Ok(1_000_000)), numbers.next().unwrap_or(Ok(0))) else {
        eprintln!("usage: differential [CASES [SEED]]");
        return ExitCode::from(2);
    };
    let compiler = || Compiler::deciding(Catalog::get());
    let chunks: Vec<u64> = (0..cases.div_ceil(CHUNK)).collect();
    let unlike = |chunk: u64| {
        let compiler = compiler();
        let from = seed + chunk * CHUNK;
        let all = from..(from + CHUNK).min(seed + cases);
        all.filter(|seed| {
            let case = generate::generate(*seed);
            engine(&case, &compiler) != oracle::decide(&case)
        })
        .collect::<Vec<u64>>()
    };
    let unlike: Vec<u64> = chunks.into_par_iter().flat_map_iter(unlike).collect();
    for seed in unlike.iter().take(SHOWN) {
        let case = generate::generate(*seed);
        let both = |case: &Value| (engine(case, &compiler()), oracle::decide(case).to_owned());
        let wanted = both(&case);
        let small = shrink::shrink(&case, &|case| both(case) == wanted);
        println!("seed {seed}: the engine says {}, the oracle {}:\n{small}", wanted.0, wanted.1);
    }
    println!("{cases} cases from seed {seed}: {} differ", unlike.len());
    ExitCode::from(u8::from(!unlike.is_empty()))
}
