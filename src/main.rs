//! The `jitscan` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    jitscan::cli::main()
}
