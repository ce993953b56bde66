//! Decisions: written cases, the slow oracle, properties, and agreement with entitlements.

mod agreement;
mod cases;
mod differential;
#[expect(clippy::string_slice, reason = "the names and patterns that are cut are ASCII")]
mod generate;
#[expect(clippy::string_slice, clippy::unreachable, reason = "a test stops at what it does not expect")]
mod oracle;
mod oracle_table;
mod patterns;
mod properties;
mod shrink;
mod support;

use jitscan::decide::Decide;
use jitscan::decide::case::Case;
use jitscan::decide::compile::Compiler;

/// What the engine answers to a case.
fn engine(line: &str, compiler: &Compiler<'_>) -> String {
    match Case::parse(line, compiler) {
        Ok(case) => case.policies.decide(&case.request).as_str().to_owned(),
        Err(error) => format!("not a case: {error}"),
    }
}
