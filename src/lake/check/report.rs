//! What a check found.

use std::collections::BTreeMap;
use std::fmt;

/// Rows of one check that are listed; the rest is counted.
const MOST_ROWS: usize = 50;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// It holds.
    Ok,
    /// It does not: the store is damaged.
    Bad,
    /// Nothing is wrong, but somebody may want to know.
    Info,
}

impl CheckStatus {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Bad => "bad",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow {
    /// Which invariant, such as `parts` or `ids`.
    pub check: &'static str,
    /// Of what: a file of the store, a month, a log file.
    pub subject: String,
    /// Whether it holds.
    pub status: CheckStatus,
    /// What was found, in words.
    pub detail: String,
}

/// All that was checked, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The generation that was checked.
    pub generation: i64,
    /// The rows.
    pub rows: Vec<CheckRow>,
    listed: BTreeMap<(&'static str, CheckStatus), usize>,
}

impl CheckReport {
    /// Whether every invariant holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rows.iter().all(|row| row.status != CheckStatus::Bad)
    }

    /// Notes that something is wrong.
    pub(super) fn bad(&mut self, check: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        self.put(check, CheckStatus::Bad, subject.into(), detail.into());
    }

    /// Notes what is not wrong.
    pub(super) fn info(&mut self, check: &'static str, subject: impl Into<String>, detail: impl Into<String>) {
        self.put(check, CheckStatus::Info, subject.into(), detail.into());
    }

    /// Notes that a check holds, unless it was noted that it does not.
    pub(super) fn close(&mut self, check: &'static str, subject: &str, detail: impl Into<String>) {
        match self.listed.get(&(check, CheckStatus::Bad)) {
            None => self.put(check, CheckStatus::Ok, subject.to_owned(), detail.into()),
            Some(count) if *count > MOST_ROWS => {
                let more = count - MOST_ROWS;
                let detail = format!("{more} more that are not listed");
                self.rows.push(CheckRow { check, subject: subject.to_owned(), status: CheckStatus::Bad, detail });
            }
            Some(_) => {}
        }
    }

    fn put(&mut self, check: &'static str, status: CheckStatus, subject: String, detail: String) {
        let listed = self.listed.entry((check, status)).or_default();
        *listed += 1;
        if *listed <= MOST_ROWS {
            self.rows.push(CheckRow { check, subject, status, detail });
        }
    }
}
