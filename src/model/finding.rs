//! Findings: something to act on, with evidence that can be followed down to an event and a statement.

use serde::{Deserialize, Serialize};

/// How bad it is. Ordered: `Critical` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Hygiene.
    Low,
    /// Attack surface.
    Medium,
    /// Attack surface with consequences.
    High,
    /// Control of the account or the organisation.
    Critical,
}

impl Severity {
    /// Stable text used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How sure the finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Rests on an assumption that is named.
    Low,
    /// Rests on incomplete but consistent facts.
    Medium,
    /// Rests on recorded facts.
    High,
}

impl Confidence {
    /// Stable text used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The life of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// Not seen by any scan before this one.
    New,
    /// Seen before, still there.
    Open,
    /// Gone.
    Resolved,
    /// Accepted by an owner until a day.
    Excepted,
}

impl FindingState {
    /// Stable text used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Excepted => "excepted",
        }
    }
}

/// What a finding rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Statements, as `layer policy-name#sid-or-index`.
    pub statements: Vec<String>,
    /// Event ids.
    pub events: Vec<String>,
    /// Facts in words: figures with their window, coverage and reasons.
    pub notes: Vec<String>,
}

/// Something to act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable across scans: a hash of kind and subject.
    pub id: String,
    /// Kind, such as `unused_permissions`.
    pub kind: String,
    /// Severity.
    pub severity: Severity,
    /// ARN of the principal, or of the resource that others may use.
    pub principal: String,
    /// The person behind it; empty where none or not known.
    pub person: String,
    /// Account id.
    pub account: String,
    /// One line.
    pub title: String,
    /// State.
    pub state: FindingState,
    /// Confidence.
    pub confidence: Confidence,
    /// What it rests on.
    pub evidence: Evidence,
}
