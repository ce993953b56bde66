//! Exceptions: a failing row that an owner accepts until a day. They are always listed, never silently applied.

use serde::{Deserialize, Serialize};

use super::EvaluateError;
use super::result::{Row, RowResult};
use crate::model::time::Timestamp;

/// An accepted deviation. Without owner or expiry, or past its expiry, it excepts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exception {
    /// Its id.
    pub id: String,
    /// The test, such as `T01`.
    pub test: String,
    /// The row's subject, exactly: an ARN, for T16 an account's root ARN, as the report prints it.
    pub subject: String,
    /// The part of the subject, such as `access_key_1`; empty for every part.
    pub part: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is accepted.
    pub reason: String,
    /// Who approved it.
    pub approved_by: String,
    /// The first instant at which it no longer holds.
    pub expires: Option<Timestamp>,
}

/// What became of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionState {
    /// It excepts at least one failing row.
    Applied,
    /// It has expired; the row fails.
    Expired,
    /// It has no owner or no expiry; the row fails.
    Incomplete,
    /// Its row does not fail.
    NotNeeded,
    /// No row has its subject.
    Unmatched,
    /// Its test is not part of this report.
    NotTested,
}

impl ExceptionState {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Expired => "expired",
            Self::Incomplete => "incomplete",
            Self::NotNeeded => "not_needed",
            Self::Unmatched => "unmatched",
            Self::NotTested => "not_tested",
        }
    }
}

/// An exception and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptionUse {
    /// The exception.
    pub exception: Exception,
    /// What became of it.
    pub state: ExceptionState,
    /// Rows that it excepted.
    pub rows: u64,
}

impl Exception {
    /// Reads a JSON array of exceptions, as kept in a file by the entity.
    ///
    /// # Errors
    /// When the text is no such array, or has a field that exceptions do not have.
    pub fn read_all(json: &str) -> Result<Vec<Self>, EvaluateError> {
        serde_json::from_str(json).map_err(|error| EvaluateError::Exceptions(error.to_string()))
    }

    fn covers(&self, test: &str, row: &Row) -> bool {
        self.test == test && self.subject == row.subject && (self.part.is_empty() || self.part == row.part)
    }

    /// Whether it can except at all at the given instant, and if not, why.
    fn validity(&self, as_of: Timestamp) -> Result<Timestamp, (ExceptionState, String)> {
        if self.owner.trim().is_empty() {
            return Err((ExceptionState::Incomplete, format!("exception {} has no owner", self.id)));
        }
        match self.expires {
            None => Err((ExceptionState::Incomplete, format!("exception {} has no expiry", self.id))),
            Some(at) if at <= as_of => Err((ExceptionState::Expired, format!("exception {} expired at {at}", self.id))),
            Some(at) => Ok(at),
        }
    }
}

/// Applies the exceptions that name the test to its rows, in order of exception id.
pub(super) fn apply(test: &str, rows: &mut [Row], exceptions: &[Exception], as_of: Timestamp) -> Vec<ExceptionUse> {
    let mut naming: Vec<&Exception> = exceptions.iter().filter(|exception| exception.test == test).collect();
    naming.sort_by(|a, b| a.id.cmp(&b.id));
    let mut uses = Vec::with_capacity(naming.len());
    for exception in naming {
        let validity = exception.validity(as_of);
        let (mut matched, mut applied) = (false, 0u64);
        for row in rows.iter_mut().filter(|row| exception.covers(test, row)) {
            matched = true;
            if row.result != RowResult::Fail {
                continue;
            }
            match &validity {
                Ok(until) => {
                    row.result = RowResult::Excepted;
                    row.why.push_str(&format!(
                        "; excepted by {} until {until}, owner {}",
                        exception.id,
                        exception.owner.trim()
                    ));
                    applied += 1;
                }
                Err((_, why)) => row.why.push_str(&format!("; {why}")),
            }
        }
        let state = match (&validity, matched, applied) {
            (_, false, _) => ExceptionState::Unmatched,
            (Err((state, _)), true, _) => *state,
            (Ok(_), true, 0) => ExceptionState::NotNeeded,
            (Ok(_), true, _) => ExceptionState::Applied,
        };
        uses.push(ExceptionUse { exception: exception.clone(), state, rows: applied });
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn only_owned_and_unexpired_exceptions_except() {
        let now = sample::as_of();
        let later = Some(now.plus_days(1));
        let base = sample::exception("E", "T01", "s");
        for (exception, result, state) in [
            (base.clone(), RowResult::Excepted, ExceptionState::Applied),
            (Exception { expires: Some(now), ..base.clone() }, RowResult::Fail, ExceptionState::Expired),
            (Exception { expires: None, ..base.clone() }, RowResult::Fail, ExceptionState::Incomplete),
            (
                Exception { owner: "  ".into(), expires: later, ..base.clone() },
                RowResult::Fail,
                ExceptionState::Incomplete,
            ),
            (Exception { subject: "other".into(), ..base.clone() }, RowResult::Fail, ExceptionState::Unmatched),
            (Exception { part: "b".into(), ..base.clone() }, RowResult::Fail, ExceptionState::Unmatched),
            (Exception { part: "a".into(), ..base }, RowResult::Excepted, ExceptionState::Applied),
        ] {
            let mut rows = [Row { part: "a".into(), ..Row::new("s", "1", RowResult::Fail, "bad".into()) }];
            let uses = apply("T01", &mut rows, std::slice::from_ref(&exception), now);
            assert_eq!((rows[0].result, uses[0].state), (result, state), "{exception:?}");
        }
    }

    #[test]
    fn what_is_not_a_failure_is_not_excepted() {
        for result in [RowResult::Pass, RowResult::Inconclusive] {
            let mut rows = [Row::new("s", "1", result, "why".into())];
            let uses = apply("T01", &mut rows, &[sample::exception("E", "T01", "s")], sample::as_of());
            assert_eq!((rows[0].result, uses[0].state), (result, ExceptionState::NotNeeded));
        }
    }

    #[test]
    fn files_are_read_strictly() {
        assert_eq!(Exception::read_all(r#"[{"id":"E","test":"T01","expires":"2026-01-01"}]"#).unwrap().len(), 1);
        for bad in ["{}", r#"[{"ownr":"x"}]"#, r#"[{"expires":"soon"}]"#] {
            assert!(Exception::read_all(bad).is_err(), "{bad}");
        }
    }
}
