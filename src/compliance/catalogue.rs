//! Every test that a framework may name, also those that later releases bring.

/// An entry of the test catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestEntry {
    /// Id, such as `T01`; never used again for another question.
    pub id: &'static str,
    /// What it asks, in a few words.
    pub title: &'static str,
    /// Whether this release can run it. Others are listed as not evidenced by this release.
    pub in_this_release: bool,
}

const fn now(id: &'static str, title: &'static str) -> TestEntry {
    TestEntry { id, title, in_this_release: true }
}

const fn later(id: &'static str, title: &'static str) -> TestEntry {
    TestEntry { id, title, in_this_release: false }
}

/// The catalogue, by id.
pub const CATALOGUE: &[TestEntry] = &[
    now("T01", "Standing privilege held by people"),
    now("T02", "Unused permissions"),
    now("T03", "Dormant identities"),
    now("T04", "Credentials never used"),
    later("T05", "Approval precedes access"),
    later("T06", "Access windows are bounded"),
    later("T07", "Access is revoked on time"),
    later("T08", "Privileged acts without a grant"),
    later("T09", "Activity matches the justification"),
    later("T10", "Grants refer to a ticket"),
    later("T11", "Segregation of duties"),
    later("T12", "Access review is complete"),
    later("T13", "Review decisions are carried out"),
    later("T14", "Leavers lose access"),
    later("T15", "Root activity"),
    now("T16", "Root credentials"),
    now("T17", "Multi-factor authentication"),
    now("T18", "Access key hygiene"),
    later("T19", "Password policy"),
    later("T20", "Sessions lead to a person"),
    later("T21", "Machine identities used by people"),
    now("T22", "Log coverage"),
    later("T23", "Log integrity"),
    later("T24", "Audit log configuration and changes"),
    later("T25", "The audit store is protected"),
    later("T26", "Identity changes are authorised"),
    later("T27", "Failed access"),
    later("T28", "Anomalies are disposed of"),
    later("T29", "Log retention"),
    later("T30", "External access"),
    later("T31", "Break-glass use is reviewed"),
    now("T32", "Wildcards and direct attachments"),
    later("T33", "Ordinary work in privileged sessions"),
    later("T34", "Deny by default"),
    later("T35", "Direct queries of data stores"),
    later("T36", "Session length"),
    later("T37", "Integrity of this report"),
];

/// The entry of a test id; none where the catalogue has no such test.
#[must_use]
pub fn test_entry(id: &str) -> Option<&'static TestEntry> {
    CATALOGUE.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_and_without_gaps() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.id, format!("T{:02}", index + 1));
        }
    }
}
