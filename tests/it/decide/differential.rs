//! The engine against the slow oracle, on random organisations, policies and requests.
//!
//! `JITSCAN_CASES` sets how many (`make million` runs a million of them, optimised), `JITSCAN_SEED` where to begin. A
//! mismatch is made small and printed as a line for `cases/found.jsonl`.

use jitscan::catalog::Catalog;
use jitscan::decide::compile::Compiler;
use rayon::prelude::*;
use serde_json::Value;

use super::{engine, generate, oracle, shrink};

/// Cases in an ordinary run.
const CASES: u64 = 2_000;
/// Cases that share a compiler.
const CHUNK: u64 = 200;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// The answer to a random case, on which both must agree.
fn agreed(seed: u64, compiler: &Compiler<'_>) -> &'static str {
    let case = generate::generate(seed);
    let (found, wanted) = (engine(&case.to_string(), compiler), oracle::decide(&case));
    if found != wanted {
        let differ = |case: &Value| engine(&case.to_string(), compiler) == found && oracle::decide(case) == wanted;
        let small = shrink::shrink(&case, &differ);
        panic!("seed {seed}: the engine says {found}, the oracle {wanted}:\n{small}");
    }
    wanted
}

#[test]
fn the_engine_agrees_with_the_oracle() {
    let (cases, seed) = (setting("JITSCAN_CASES", CASES), setting("JITSCAN_SEED", 0));
    // Compiling is shared by a chunk: a compiler keeps every document that it has seen.
    let chunks: Vec<u64> = (0..cases.div_ceil(CHUNK)).collect();
    let counted: Vec<&'static str> = chunks
        .into_par_iter()
        .flat_map_iter(|chunk| {
            let compiler = Compiler::deciding(Catalog::get());
            let from = seed + chunk * CHUNK;
            (from..(from + CHUNK).min(seed + cases)).map(|seed| agreed(seed, &compiler)).collect::<Vec<_>>()
        })
        .collect();
    // The generator must keep hitting every answer, or the comparison says little.
    for answer in ["Allowed", "ImplicitlyDenied", "ExplicitlyDenied", "Undecided"] {
        let share = counted.iter().filter(|one| **one == answer).count() as f64 / counted.len() as f64;
        assert!(share > 0.04, "only {:.1} % are {answer}", share * 100.0);
    }
}
