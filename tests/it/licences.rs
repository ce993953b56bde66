//! Licences and bans over everything that is linked, as `cargo metadata` lists it.

use std::collections::BTreeSet;
use std::process::Command;

/// Licences under which a dependency may be used; of alternatives one suffices.
const ALLOWED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that must not come in: a second TLS stack, and an SDK crate whose compile cost is out of all proportion.
const BANNED: [&str; 4] = ["aws-sdk-ec2", "native-tls", "openssl", "openssl-sys"];

/// Whether an SPDX expression can be met by allowed licences. Of `AND` every part is needed, of `OR` (and of the old
/// `/`) one; parentheses hold no other operator in the expressions that occur.
fn allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|one| ALLOWED.contains(&one.trim())))
}

#[test]
fn expressions() {
    assert!(allowed("MIT OR Apache-2.0") && allowed("MIT/Apache-2.0") && allowed("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(!allowed("AGPL-3.0-or-later") && !allowed("MIT AND GPL-3.0-only") && !allowed(""));
}

#[test]
fn every_dependency_may_be_used() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform"])
        .arg(if cfg!(target_os = "macos") { "aarch64-apple-darwin" } else { "x86_64-unknown-linux-gnu" })
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let resolved: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|node| node["id"].as_str()).collect();
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        if !resolved.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        seen += 1;
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("");
        assert!(!BANNED.contains(&name), "{name} is banned");
        assert!(allowed(licence), "{name} has the licence `{licence}`");
    }
    assert!(seen > 100, "only {seen} packages were looked at");
}
