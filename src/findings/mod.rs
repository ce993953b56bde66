//! From an assessment to things to act on. Thresholds live here, facts do not.
//!
//! Service-linked roles are left alone (nobody can change them); break-glass principals are never called dormant
//! or a candidate for anything, since being unused is their purpose.

mod credentials;
mod lifecycle;
mod principals;
mod sharing;

pub use lifecycle::{FindingLog, apply as apply_lifecycle};

use crate::compare::assessment::Assessment;
use crate::compare::holders::permission_set_of;
use crate::model::finding::Finding;

/// Days without use after which a credential counts as unused (CIS AWS Foundations Benchmark: 45 days).
pub const CREDENTIAL_IDLE_DAYS: i64 = 45;
/// Age in days at which an access key is due for rotation (CIS AWS Foundations Benchmark: 90 days).
pub const KEY_AGE_DAYS: i64 = 90;
/// Share of the window's days, in percent, up to which privileged access is a candidate for just-in-time. Access
/// used more often than one day in five costs its holder a request nearly every week.
pub const JIT_MAX_DAY_SHARE_PERCENT: usize = 20;
/// More services than this with unused permissions make one finding for the principal instead of one a service:
/// nobody reads four hundred.
pub const SERVICES_LISTED: usize = 25;

/// Every finding of an assessment, sorted by severity (worst first), kind, principal and id. All are `New`: the
/// lifecycle is applied by [`apply_lifecycle`].
#[must_use]
pub fn find(assessment: &Assessment) -> Vec<Finding> {
    let mut findings = Vec::new();
    for principal in &assessment.principals {
        principals::find(assessment, principal, &mut findings);
    }
    for credential in &assessment.credentials {
        credentials::find(credential, &mut findings);
    }
    for shared in &assessment.shared {
        sharing::find(shared, &mut findings);
    }
    sort(&mut findings);
    findings
}

/// The order in which findings are shown.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.kind.cmp(&b.kind))
            .then_with(|| a.principal.cmp(&b.principal))
            .then_with(|| a.person.cmp(&b.person))
            .then_with(|| a.id.cmp(&b.id))
    });
}

/// The stable id of a finding: the first 16 hex digits of BLAKE3 over kind and subject, so that the next scan gives
/// the same thing the same id.
pub(crate) fn id(kind: &str, subject: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in std::iter::once(&kind).chain(subject) {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.finalize().to_hex().chars().take(16).collect()
}

/// A principal's name, for titles: the last part of its ARN; for the roles of Identity Center the permission set.
fn short(arn: &str) -> String {
    let name = arn.rsplit(['/', ':']).next().unwrap_or(arn);
    permission_set_of(name).map_or_else(|| name.to_owned(), |set| format!("permission set {set}"))
}

/// `1 day`, `2 days`.
fn count(number: usize, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

#[cfg(test)]
mod tests;
