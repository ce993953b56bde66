//! The life of findings across scans: new, open, resolved.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::finding::{Finding, FindingState};
use crate::model::time::Timestamp;

/// What scans remember of findings, in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingLog {
    /// Id → when it was first seen and whether it is still there.
    pub entries: BTreeMap<String, Entry>,
}

/// One finding's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// First scan that saw it.
    pub first_seen: Timestamp,
    /// First scan that no longer saw it.
    pub resolved_at: Option<Timestamp>,
    /// The finding as it last was.
    pub finding: Finding,
}

/// Sets the state of each finding from what earlier scans saw, and returns the log that the next scan needs.
/// Scanning the same state again at the same instant changes nothing.
#[must_use]
pub fn apply(findings: &mut [Finding], before: &FindingLog, as_of: Timestamp) -> FindingLog {
    let mut log = before.clone();
    let mut present = BTreeSet::new();
    for finding in findings.iter_mut() {
        present.insert(finding.id.clone());
        let known = before.entries.get(&finding.id).filter(|entry| entry.resolved_at.is_none());
        let first_seen = known.map_or(as_of, |entry| entry.first_seen);
        finding.state = if first_seen < as_of { FindingState::Open } else { FindingState::New };
        log.entries.insert(finding.id.clone(), Entry { first_seen, resolved_at: None, finding: finding.clone() });
    }
    for (id, entry) in &mut log.entries {
        if !present.contains(id) && entry.resolved_at.is_none() {
            entry.resolved_at = Some(as_of);
            entry.finding.state = FindingState::Resolved;
        }
    }
    log
}
