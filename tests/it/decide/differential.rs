//! The engine against the slow oracle, on random organisations, policies and requests.
//!
//! `JITSCAN_CASES` sets how many (a million takes about an hour in a debug build: see tests/fuzz for the optimised
//! runner), `JITSCAN_SEED` where to begin. A mismatch is made small and printed as a line for `cases/found.jsonl`.

use rayon::prelude::*;

use super::{engine, generate, oracle, shrink};

/// Cases in an ordinary run.
const CASES: u64 = 800;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn the_engine_agrees_with_the_oracle() {
    let (cases, seed) = (setting("JITSCAN_CASES", CASES), setting("JITSCAN_SEED", 0));
    let counted: Vec<&'static str> = (seed..seed + cases)
        .into_par_iter()
        .map(|seed| {
            let case = generate::generate(seed);
            let (found, wanted) = (engine(&case.to_string()), oracle::decide(&case));
            if found != wanted {
                let differ = |case: &serde_json::Value| {
                    let (one, other) = (engine(&case.to_string()), oracle::decide(case));
                    one == found && other == wanted
                };
                let small = shrink::shrink(&case, &differ);
                panic!("seed {seed}: the engine says {found}, the oracle {wanted}:\n{small}");
            }
            wanted
        })
        .collect();
    // The generator must keep hitting every answer, or the comparison says little.
    for answer in ["Allowed", "ImplicitlyDenied", "ExplicitlyDenied", "Undecided"] {
        let share = counted.iter().filter(|one| **one == answer).count() as f64 / counted.len() as f64;
        assert!(share > 0.04, "only {:.1} % are {answer}", share * 100.0);
    }
}
