//! What a test says: rows, counts that add up, and the limits of what was seen.

use serde::Serialize;

use super::EvaluateError;
use super::exception::{Exception, ExceptionUse, apply};
use crate::compare::assessment::Assessment;
use crate::model::time::{Timestamp, Window};

/// The answer of a whole test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every member of the population was tested and none failed (excepted ones aside).
    Pass,
    /// At least one member failed.
    Fail,
    /// No member failed, but at least one could not be judged.
    Inconclusive,
    /// The sources cannot answer; a person has to look elsewhere.
    Manual,
    /// The population is empty, and the sources could have shown otherwise.
    NotApplicable,
}

impl Status {
    /// Every status, in the order of a legend.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Fail, Self::Inconclusive, Self::Manual, Self::NotApplicable];

    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Manual => "MANUAL",
            Self::NotApplicable => "NOT_APPLICABLE",
        }
    }
}

/// The answer for one member of a population.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowResult {
    /// The predicate does not hold.
    Fail,
    /// It could not be judged.
    Inconclusive,
    /// It does not hold, and that is accepted.
    Excepted,
    /// The predicate holds.
    Pass,
}

impl RowResult {
    /// Every result, in the order in which rows are shown: what needs attention first.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Inconclusive, Self::Excepted, Self::Pass];

    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Excepted => "EXCEPTED",
            Self::Pass => "PASS",
        }
    }
}

/// Where a fact comes from (the codes of the evidence sources).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Source {
    /// IAM configuration snapshot.
    C,
    /// Credential report.
    R,
    /// IAM's own last-used data.
    S,
    /// CloudTrail records.
    T,
    /// Which log files were delivered.
    O,
}

impl Source {
    /// Code and meaning.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::C => "C (IAM configuration snapshot)",
            Self::R => "R (IAM credential report)",
            Self::S => "S (IAM last-used data; counts attempts)",
            Self::T => "T (CloudTrail records)",
            Self::O => "O (hours for which log records exist)",
        }
    }
}

/// A threshold with which a test ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParameterValue {
    /// Name, as in the configuration.
    pub name: String,
    /// Value.
    pub value: String,
    /// Unit.
    pub unit: String,
    /// Where it comes from.
    pub source: String,
}

/// What was left out of a population on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// How many.
    pub count: u64,
    /// What and why.
    pub what: String,
}

/// One member of a population, or several like ones (`units`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Row {
    /// The answer. First, so that rows sort by it.
    pub result: RowResult,
    /// The account.
    pub account: String,
    /// ARN or other name of the subject; exceptions refer to it.
    pub subject: String,
    /// Which part of the subject, such as `access_key_1`; empty where it has none.
    pub part: String,
    /// Why, in words.
    pub why: String,
    /// How many members of the population the row stands for.
    pub units: u64,
    /// What it rests on: events, statements, reports.
    pub evidence: Vec<String>,
}

impl Row {
    /// A row for one member, without evidence yet.
    #[must_use]
    pub fn new(subject: &str, account: &str, result: RowResult, why: String) -> Self {
        Self {
            result,
            account: account.to_owned(),
            subject: subject.to_owned(),
            part: String::new(),
            why,
            units: 1,
            evidence: Vec::new(),
        }
    }
}

/// Counts of a test. `population = pass + fail + excepted + inconclusive`, `tested` leaves out the inconclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Members of the population, counted from the assessment and not from the rows.
    pub population: u64,
    /// Members that could be judged.
    pub tested: u64,
    /// The predicate holds.
    pub pass: u64,
    /// It does not.
    pub fail: u64,
    /// It does not, and that is accepted.
    pub excepted: u64,
    /// Could not be judged.
    pub inconclusive: u64,
}

impl Counts {
    /// The sum of the four results.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.pass.saturating_add(self.fail).saturating_add(self.excepted).saturating_add(self.inconclusive)
    }

    /// Whether they add up.
    #[must_use]
    pub const fn add_up(&self) -> bool {
        self.sum() == self.population && self.tested == self.sum() - self.inconclusive
    }
}

/// What a test says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// Id, such as `T01`.
    pub id: String,
    /// Version of the predicate: it changes when the same facts may get another answer.
    pub version: u32,
    /// Title.
    pub title: String,
    /// The period, for tests over a period; none for tests of a state.
    pub period: Option<Window>,
    /// The instant of the state, or the end of what is known.
    pub as_of: Timestamp,
    /// One member of the population, in words.
    pub unit: String,
    /// The population, in words.
    pub population: String,
    /// The predicate, in words.
    pub predicate: String,
    /// Thresholds.
    pub parameters: Vec<ParameterValue>,
    /// The answer.
    pub status: Status,
    /// Why the answer is not simply what the counts say; empty where it is.
    pub status_note: String,
    /// Counts.
    pub counts: Counts,
    /// What was left out on purpose.
    pub excluded: Vec<Excluded>,
    /// Rows, those that need attention first.
    pub rows: Vec<Row>,
    /// Exceptions that name this test.
    pub exceptions: Vec<ExceptionUse>,
    /// What it cannot show.
    pub limits: Vec<String>,
    /// What a person has to show by other means.
    pub manual: Vec<String>,
    /// Sources.
    pub sources: Vec<Source>,
}

/// What a test function hands over: everything but the arithmetic and the exceptions.
#[derive(Debug)]
pub(super) struct Draft {
    pub id: &'static str,
    pub version: u32,
    /// Whether the test speaks of the window and not of a state only.
    pub over_period: bool,
    pub unit: &'static str,
    pub population: &'static str,
    pub predicate: &'static str,
    pub parameters: Vec<ParameterValue>,
    /// Size of the population, counted independently of the rows.
    pub size: u64,
    pub rows: Vec<Row>,
    pub excluded: Vec<Excluded>,
    pub limits: Vec<String>,
    pub manual: Vec<String>,
    pub sources: &'static [Source],
    /// Failing members that are tolerated.
    pub tolerated: u64,
}

impl Draft {
    /// Applies the exceptions, counts, and derives the status.
    ///
    /// # Errors
    /// When the rows do not make up the population.
    pub(super) fn finish(
        mut self,
        assessment: &Assessment,
        exceptions: &[Exception],
    ) -> Result<TestResult, EvaluateError> {
        let exceptions = apply(self.id, &mut self.rows, exceptions, assessment.as_of);
        self.rows.sort();
        let mut counts = Counts { population: self.size, ..Counts::default() };
        for row in &self.rows {
            let to = match row.result {
                RowResult::Pass => &mut counts.pass,
                RowResult::Fail => &mut counts.fail,
                RowResult::Excepted => &mut counts.excepted,
                RowResult::Inconclusive => &mut counts.inconclusive,
            };
            *to = to.saturating_add(row.units);
        }
        counts.tested = counts.sum().saturating_sub(counts.inconclusive);
        if !counts.add_up() {
            return Err(EvaluateError::Arithmetic {
                test: self.id.to_owned(),
                population: counts.population,
                counted: counts.sum(),
            });
        }
        let (status, status_note) = self.status(assessment, &counts);
        let title = super::test_entry(self.id).map_or(self.id, |entry| entry.title);
        Ok(TestResult {
            id: self.id.to_owned(),
            version: self.version,
            title: title.to_owned(),
            period: self.over_period.then_some(assessment.window),
            as_of: assessment.as_of,
            unit: self.unit.to_owned(),
            population: self.population.to_owned(),
            predicate: self.predicate.to_owned(),
            parameters: self.parameters,
            status,
            status_note,
            counts,
            excluded: self.excluded.into_iter().filter(|excluded| excluded.count > 0).collect(),
            rows: self.rows,
            exceptions,
            limits: self.limits,
            manual: self.manual,
            sources: self.sources.to_vec(),
        })
    }

    fn status(&self, assessment: &Assessment, counts: &Counts) -> (Status, String) {
        if counts.fail > self.tolerated {
            return (Status::Fail, String::new());
        }
        if counts.inconclusive > 0 {
            return (Status::Inconclusive, String::new());
        }
        if counts.population == 0 {
            if assessment.accounts.is_empty() {
                return (Status::Inconclusive, "no account was collected, so the population is not known".to_owned());
            }
            if !self.manual.is_empty() {
                return (Status::Manual, "nothing to test in the sources; see what a person has to show".to_owned());
            }
            return (Status::NotApplicable, "the population is empty".to_owned());
        }
        let mut notes = Vec::new();
        if counts.fail > 0 {
            notes.push(format!("{} failing, within the configured {}", counts.fail, self.tolerated));
        }
        if counts.excepted > 0 {
            notes.push(format!("passes only with {}", super::counted(counts.excepted, "exception")));
        }
        (Status::Pass, notes.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample;
    use super::*;

    fn draft(rows: Vec<Row>, size: u64) -> Draft {
        Draft {
            id: "T01",
            version: 1,
            over_period: false,
            unit: "principal",
            population: "p",
            predicate: "q",
            parameters: Vec::new(),
            size,
            rows,
            excluded: Vec::new(),
            limits: Vec::new(),
            manual: Vec::new(),
            sources: &[Source::C],
            tolerated: 0,
        }
    }

    fn row(result: RowResult, units: u64) -> Row {
        Row { units, ..Row::new("s", "1", result, String::new()) }
    }

    #[test]
    fn a_population_that_does_not_add_up_is_refused() {
        let error = draft(vec![row(RowResult::Pass, 1)], 2).finish(&sample::assessment(), &[]).unwrap_err();
        assert!(error.to_string().starts_with("population of T01 does not add up: 2 in the population, 1 in the rows"));
    }

    #[test]
    fn the_status_follows_from_the_rows() {
        use RowResult::{Excepted, Fail, Inconclusive, Pass};
        for (rows, want) in [
            (vec![], Status::NotApplicable),
            (vec![Pass], Status::Pass),
            (vec![Pass, Inconclusive], Status::Inconclusive),
            (vec![Pass, Inconclusive, Fail], Status::Fail),
            (vec![Pass, Excepted], Status::Pass),
            (vec![Excepted, Inconclusive], Status::Inconclusive),
        ] {
            let size = rows.len() as u64;
            let made = draft(rows.iter().map(|result| row(*result, 1)).collect(), size);
            assert_eq!(made.finish(&sample::assessment(), &[]).unwrap().status, want, "{rows:?}");
        }
        let mut empty = sample::assessment();
        empty.accounts.clear();
        assert_eq!(draft(vec![], 0).finish(&empty, &[]).unwrap().status, Status::Inconclusive);
        let manual = Draft { manual: vec!["ask".into()], ..draft(vec![], 0) };
        assert_eq!(manual.finish(&sample::assessment(), &[]).unwrap().status, Status::Manual);
        let tolerant = Draft { tolerated: 1, ..draft(vec![row(Fail, 1)], 1) };
        let result = tolerant.finish(&sample::assessment(), &[]).unwrap();
        assert_eq!((result.status, result.status_note.as_str()), (Status::Pass, "1 failing, within the configured 1"));
    }

    proptest! {
        #[test]
        fn counts_always_add_up(rows in prop::collection::vec((0usize..4, 0u64..1000), 0..40)) {
            let rows: Vec<Row> = rows.iter().map(|(result, units)| row(RowResult::ALL[*result], *units)).collect();
            let size = rows.iter().map(|row| row.units).sum();
            let result = draft(rows, size).finish(&sample::assessment(), &[]).unwrap();
            prop_assert!(result.counts.add_up());
            prop_assert!(result.rows.is_sorted());
        }
    }
}
