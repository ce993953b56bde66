//! The integration tests: one binary, a module for each subject.
//!
//! `#[cfg(test)]` on each lets clippy's allowances for tests reach their helper functions.

#[cfg(test)]
mod catalog;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod collect;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod demo_fixture;
#[cfg(test)]
mod demo_truth;
#[cfg(test)]
mod integrity;
#[cfg(test)]
mod lake;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod licences;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod query;
#[cfg(test)]
mod report;
