//! Findings about resources that others may use.

use crate::compare::assessment::SharedAccess;
use crate::model::finding::{Confidence, Evidence, Finding, FindingState, Severity};

use super::{count, id, short};

/// Adds the finding about one resource.
pub(super) fn find(shared: &SharedAccess, into: &mut Vec<Finding>) {
    let (kind, severity) = match (shared.external, shared.public) {
        (true, true) => ("public_access", Severity::High),
        (true, false) => ("external_access", Severity::Medium),
        (false, _) => ("internal_access", Severity::Info),
    };
    let who = match kind {
        "public_access" => "everybody",
        "external_access" => "somebody outside the zone of trust",
        _ => "others within the zone of trust",
    };
    let ways = count(shared.notes.len(), "way");
    into.push(Finding {
        id: id(kind, &[&shared.resource]),
        kind: kind.to_owned(),
        severity,
        principal: shared.resource.clone(),
        person: String::new(),
        account: shared.account.to_string(),
        title: format!("{} is open to {who}, says IAM Access Analyzer ({ways})", short(&shared.resource)),
        state: FindingState::New,
        // Where the collected policy says otherwise one of both is out of date, or wrong.
        confidence: if shared.disputed { Confidence::Low } else { Confidence::High },
        evidence: Evidence { notes: shared.notes.clone(), ..Evidence::default() },
    });
}
