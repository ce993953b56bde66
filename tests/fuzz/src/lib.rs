//! What the fuzz targets share: the modules of jitscan that read texts of others, taken in by path, and helpers.
//!
//! The library itself is not depended upon: it links Polars and DuckDB. `model`, `catalog`, `policy` and `decide`
//! need neither, and name each other as `crate::…`, which holds here too.

#[path = "../../../src/catalog/mod.rs"]
pub mod catalog;
#[path = "../../../src/decide/mod.rs"]
pub mod decide;
#[path = "../../../src/model/mod.rs"]
pub mod model;
#[path = "../../../src/policy/mod.rs"]
pub mod policy;

pub mod mutate;
pub mod oracle;
pub mod print;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Whether a property is left out: `FUZZ_SKIP` names them, separated by commas. For a run past a known fault.
#[must_use]
pub fn is_skipped(property: &str) -> bool {
    static SKIPPED: OnceLock<Vec<String>> = OnceLock::new();
    SKIPPED
        .get_or_init(|| {
            std::env::var("FUZZ_SKIP").unwrap_or_default().split(',').map(|name| name.trim().to_owned()).collect()
        })
        .iter()
        .any(|name| name == property)
}

/// Panics with the name of a property that does not hold, unless it is skipped.
#[macro_export]
macro_rules! check {
    ($property:literal, $holds:expr, $($what:tt)+) => {
        if !$holds && !$crate::is_skipped($property) {
            panic!("property `{}` does not hold: {}", $property, format_args!($($what)+));
        }
    };
}

/// Takes a time; what takes longer than `limit` is a fault. The clock is the wall's, so limits are generous.
pub fn timed<T>(property: &str, limit: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = work();
    let took = start.elapsed();
    if took > limit && !is_skipped(property) {
        panic!("property `{property}` does not hold: took {took:?}, more than {limit:?}");
    }
    out
}
