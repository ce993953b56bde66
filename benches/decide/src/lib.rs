//! The modules that decisions and entitlements need, without the rest of jitscan.
#[path = "../../../src/catalog/mod.rs"]
pub mod catalog;
#[path = "../../../src/decide/mod.rs"]
pub mod decide;
#[path = "../../../src/entitlements/mod.rs"]
pub mod entitlements;
#[path = "../../../src/model/mod.rs"]
pub mod model;
#[path = "../../../src/policy/mod.rs"]
pub mod policy;
