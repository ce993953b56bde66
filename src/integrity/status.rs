//! What is said of digests and logs, and what each class weighs.

use crate::model::time::Timestamp;

/// What became of a digest or a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Proven to be what CloudTrail delivered.
    Valid,
    /// A digest whose content does not agree with its signature.
    InvalidSignature,
    /// A digest or log that cannot be uncompressed or read as what it should be.
    InvalidFormat,
    /// A digest at another place than the one that it names, or a log that was found elsewhere only.
    Moved,
    /// A log whose content is not the one that was digested.
    LogHashMismatch,
    /// A log that a digest names and that is not there.
    LogMissing,
    /// A digest that the next one names and that is not there, although older ones are.
    DigestMissing,
    /// The public key that a digest names was not given.
    KeyMissing,
    /// A digest without a signature at hand: the newest one, or one whose next digest is missing or not valid.
    NewestUnsigned,
    /// A span of time that no digest of the chain speaks for.
    Gap,
    /// A log that no digest names.
    NotDigested,
    /// A file that could not be read, or that is too large to be checked.
    Unreadable,
}

/// What a class means for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// As it should be.
    Good,
    /// Neither proven nor disproved.
    Inconclusive,
    /// Changed, moved or deleted after delivery.
    Tampering,
}

impl Status {
    /// Every class, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Valid,
        Self::InvalidSignature,
        Self::InvalidFormat,
        Self::Moved,
        Self::LogHashMismatch,
        Self::LogMissing,
        Self::DigestMissing,
        Self::KeyMissing,
        Self::NewestUnsigned,
        Self::Gap,
        Self::NotDigested,
        Self::Unreadable,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::InvalidSignature => "invalid-signature",
            Self::InvalidFormat => "invalid-format",
            Self::Moved => "moved",
            Self::LogHashMismatch => "log-hash-mismatch",
            Self::LogMissing => "log-missing",
            Self::DigestMissing => "digest-missing",
            Self::KeyMissing => "key-missing",
            Self::NewestUnsigned => "newest-unsigned",
            Self::Gap => "gap",
            Self::NotDigested => "not-digested",
            Self::Unreadable => "unreadable",
        }
    }

    /// What it means for the whole.
    #[must_use]
    pub const fn weight(self) -> Weight {
        match self {
            Self::Valid => Weight::Good,
            Self::InvalidSignature
            | Self::InvalidFormat
            | Self::Moved
            | Self::LogHashMismatch
            | Self::LogMissing
            | Self::DigestMissing => Weight::Tampering,
            Self::KeyMissing | Self::NewestUnsigned | Self::Gap | Self::NotDigested | Self::Unreadable => {
                Weight::Inconclusive
            }
        }
    }
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A digest file, or the place of one.
    Digest,
    /// A log file.
    Log,
}

impl Kind {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Log => "log",
        }
    }
}

/// One digest or log, and what became of it. The order of the fields is the order of the output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Account whose events they are.
    pub account: String,
    /// Region that they come from.
    pub region: String,
    /// Trail; none for a log that no digest names.
    pub trail: Option<String>,
    /// Whether it belongs to the trail's backfill chain.
    pub backfill: bool,
    /// When a digest ends or a log was delivered, by its name; where a gap begins.
    pub time: Option<Timestamp>,
    /// Digest or log.
    pub kind: Kind,
    /// The S3 address that it was delivered to, or the path of a file that belongs nowhere.
    pub object: String,
    /// Where it was found.
    pub file: Option<String>,
    /// What became of it.
    pub status: Status,
    /// Why, in one sentence; empty where the status says all.
    pub detail: String,
    /// Whether it is inconclusive only because something else was tampered with: then that, not this, counts.
    pub follows: bool,
}

/// The sums of a chain, or of the logs of a region that no digest names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainSummary {
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Trail; none for logs that no digest names.
    pub trail: Option<String>,
    /// Whether it is the trail's backfill chain.
    pub backfill: bool,
    /// Organisation, where the objects lie under one.
    pub organization: Option<String>,
    /// Region in which the trail was made.
    pub home: String,
    /// Where its first proven digest begins.
    pub from: Option<Timestamp>,
    /// Where its last proven digest ends.
    pub to: Option<Timestamp>,
    /// Digests looked at.
    pub digests: u64,
    /// Digests that are valid.
    pub digests_valid: u64,
    /// Logs that they name, found or not.
    pub logs: u64,
    /// Logs that are valid.
    pub logs_valid: u64,
    /// Rows that mean tampering.
    pub tampered: u64,
    /// Rows that are inconclusive, but for those that follow from tampering.
    pub inconclusive: u64,
}

impl ChainSummary {
    /// Counts a row.
    pub(super) fn count(&mut self, row: &Row) {
        match row.status.weight() {
            Weight::Good => {}
            Weight::Inconclusive if row.follows => {}
            Weight::Inconclusive => self.inconclusive += 1,
            Weight::Tampering => self.tampered += 1,
        }
        let valid = u64::from(row.status == Status::Valid);
        match (row.kind, row.status) {
            // These speak of time or of a place, not of a file that was looked at.
            (Kind::Digest, Status::Gap | Status::DigestMissing) => {}
            (Kind::Digest, _) => {
                self.digests += 1;
                self.digests_valid += valid;
            }
            (Kind::Log, _) => {
                self.logs += 1;
                self.logs_valid += valid;
            }
        }
    }

    /// What the worst of its rows weighs: tampering above all.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        if self.tampered > 0 {
            Weight::Tampering
        } else if self.inconclusive > 0 {
            Weight::Inconclusive
        } else {
            Weight::Good
        }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Chains, in order.
    pub chains: Vec<ChainSummary>,
    /// Digests and logs, in order; valid ones only where they were asked for.
    pub rows: Vec<Row>,
    /// Digest files found, also those outside the asked time.
    pub digest_files: u64,
    /// Log files found.
    pub log_files: u64,
    /// Log files of other kinds (Insights, network activity) that no digest names. AWS does not say whether digests
    /// name such files, so nothing is concluded.
    pub other_kinds: u64,
    /// Folders and files that could not be looked at, and why.
    pub lost: Vec<(String, String)>,
}

impl Report {
    /// Rows that mean tampering.
    #[must_use]
    pub fn tampered(&self) -> u64 {
        self.chains.iter().map(|chain| chain.tampered).sum()
    }

    /// Whether anything is inconclusive that is not the consequence of tampering, or nothing was looked at.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let nothing = self.chains.iter().all(|chain| chain.digests == 0);
        !self.lost.is_empty()
            || self.chains.iter().any(|chain| chain.inconclusive > 0)
            || (nothing && self.tampered() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_of_its_own_and_a_weight() {
        let names: std::collections::BTreeSet<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(names.len(), Status::ALL.len());
        let good: Vec<&Status> = Status::ALL.iter().filter(|status| status.weight() == Weight::Good).collect();
        assert_eq!(good, [&Status::Valid]);
    }

    #[test]
    fn what_follows_from_tampering_does_not_make_a_run_incomplete() {
        let row = |status, follows| Row {
            account: String::new(),
            region: String::new(),
            trail: None,
            backfill: false,
            time: None,
            kind: Kind::Digest,
            object: String::new(),
            file: None,
            status,
            detail: String::new(),
            follows,
        };
        let mut chain = ChainSummary::default();
        chain.count(&row(Status::InvalidSignature, false));
        chain.count(&row(Status::NewestUnsigned, true));
        chain.count(&row(Status::Valid, false));
        assert_eq!((chain.tampered, chain.inconclusive, chain.digests, chain.digests_valid), (1, 0, 3, 1));
        chain.count(&row(Status::Gap, false));
        assert_eq!((chain.inconclusive, chain.digests, chain.weight()), (1, 3, Weight::Tampering));
        assert!(Report::default().is_incomplete(), "nothing looked at is not all valid");
    }
}
