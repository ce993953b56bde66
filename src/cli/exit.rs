//! Exit codes: a contract that scripts and schedulers rely on.

use std::process::ExitCode;

/// How a run ended. Where several hold, the most urgent wins: 2, 1, 5, 4, 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// Failed: nothing, or not all, of what was asked was done.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// Findings at or above `--fail-on`.
    Findings,
    /// Done, but this run quarantined something or lost a source (`--strict`: or the logs have gaps).
    Incomplete,
    /// What was changed could not be taken back: a person has to look.
    Stuck,
}

impl Status {
    const fn urgency(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Incomplete => 2,
            Self::Stuck => 3,
            Self::Failed => 4,
            Self::Usage => 5,
        }
    }

    /// The more urgent of two.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        if other.urgency() > self.urgency() { other } else { self }
    }

    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Findings => 3,
            Self::Incomplete => 4,
            Self::Stuck => 5,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_wins() {
        let order = [Status::Done, Status::Findings, Status::Incomplete, Status::Stuck, Status::Failed, Status::Usage];
        for (i, a) in order.into_iter().enumerate() {
            for (j, b) in order.into_iter().enumerate() {
                assert_eq!(a.and(b), order[i.max(j)]);
            }
        }
        assert_eq!(order.map(Status::code), [0, 3, 4, 5, 1, 2]);
    }
}
