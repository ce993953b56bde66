//! Findings about long-lived credentials, from the credential report.

use crate::compare::assessment::{CredentialFacts, CredentialKind};
use crate::model::finding::{Confidence, Evidence, Finding, FindingState, Severity};
use crate::model::time::Timestamp;

use super::{CREDENTIAL_IDLE_DAYS, KEY_AGE_DAYS, id};

/// Adds every finding about one credential.
pub(super) fn find(credential: &CredentialFacts, into: &mut Vec<Finding>) {
    let key = matches!(credential.kind, CredentialKind::AccessKey1 | CredentialKind::AccessKey2);
    if !key && credential.console && !credential.mfa {
        let (kind, severity) = if credential.root {
            ("root_without_mfa", Severity::Critical)
        } else {
            ("console_without_mfa", Severity::High)
        };
        into.push(finding(
            credential,
            kind,
            severity,
            format!("{} can sign in to the console without MFA", credential.user),
        ));
    }
    if !credential.active {
        return;
    }
    if key && credential.root {
        into.push(finding(
            credential,
            "root_access_key",
            Severity::Critical,
            "the root user has an access key".to_owned(),
        ));
    }
    if credential.root && !key {
        // The root password cannot be removed, so its idleness is no finding.
        return;
    }
    let what = credential.kind.as_str();
    let now = credential.reported_at;
    match (credential.last_used, credential.since) {
        // A credential that was never used ages from its creation: it is no less open for that.
        (None, Some(since)) if now.days_since(since) > CREDENTIAL_IDLE_DAYS => into.push(idle(
            credential,
            "never_used_credential",
            format!(
                "{} of {} was never used in the {} days since {}",
                what,
                credential.user,
                calendar_days(since, now),
                since.day()
            ),
        )),
        (Some(used), _) if now.days_since(used) > CREDENTIAL_IDLE_DAYS => into.push(idle(
            credential,
            "unused_credential",
            format!(
                "{} of {} was last used {} days ago, on {}",
                what,
                credential.user,
                calendar_days(used, now),
                used.day()
            ),
        )),
        _ => {}
    }
    if key && credential.since.is_some_and(|since| now.days_since(since) > KEY_AGE_DAYS) {
        let age = credential.since.map_or(0, |since| calendar_days(since, now));
        into.push(finding(
            credential,
            "old_access_key",
            Severity::Low,
            format!("{what} of {} is {age} days old; rotation is due after {KEY_AGE_DAYS}", credential.user),
        ));
    }
}

/// Days between the dates of two instants, which is what a reader of the dates counts.
fn calendar_days(from: Timestamp, to: Timestamp) -> i64 {
    i64::from(to.day().0) - i64::from(from.day().0)
}

/// A finding about a credential that nobody uses, with what IAM Access Analyzer says of it.
fn idle(credential: &CredentialFacts, kind: &str, title: String) -> Finding {
    let mut found = finding(credential, kind, Severity::Medium, title);
    found.evidence.notes.extend(credential.analyzers.iter().cloned());
    found
}

fn finding(credential: &CredentialFacts, kind: &str, severity: Severity, title: String) -> Finding {
    Finding {
        id: id(kind, &[&credential.arn, credential.kind.as_str()]),
        kind: kind.to_owned(),
        severity,
        principal: credential.arn.clone(),
        person: credential.person.clone(),
        account: credential.account.to_string(),
        title,
        state: FindingState::New,
        confidence: Confidence::High,
        evidence: Evidence {
            notes: vec![format!("credential report of {}", credential.reported_at)],
            ..Evidence::default()
        },
    }
}
