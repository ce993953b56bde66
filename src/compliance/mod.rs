//! Compliance tests: named, versioned questions with a population, a predicate and a three-valued answer.
//!
//! A test is a pure function over the [`Assessment`], the [`Parameters`] and the owner's [`Exception`]s. What the
//! sources cannot show is `INCONCLUSIVE`, never a pass. Every population adds up
//! (`population = pass + fail + excepted + inconclusive`), or evaluation fails. Nothing here says "compliant": a
//! result holds for the population and the period that it names. A [`Framework`] is data: control ids, their gist
//! in our own words, the tests that serve them and what they cannot evidence.

mod catalogue;
mod coverage;
mod credentials;
mod dormancy;
mod exception;
mod framework;
mod parameters;
mod privilege;
mod result;
#[cfg(test)]
pub(crate) mod sample;
mod unused;
mod wildcard;

use std::collections::BTreeSet;

use thiserror::Error;

use crate::compare::assessment::Assessment;

pub use catalogue::{CATALOGUE, TestEntry, test_entry};
pub use exception::{Exception, ExceptionState, ExceptionUse};
pub use framework::{Control, Framework, FrameworkError, SOC2};
pub use parameters::Parameters;
pub use result::{Counts, Excluded, ParameterValue, Row, RowResult, Source, Status, TestResult};

/// Why an evaluation could not be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EvaluateError {
    /// The rows of a test do not make up its population: a fault in the program, and no report is built on it.
    #[error(
        "population of {test} does not add up: {population} in the population, {counted} in the rows; this is a fault in jitscan"
    )]
    Arithmetic {
        /// The test.
        test: String,
        /// Members counted from the assessment.
        population: u64,
        /// Members counted from the rows.
        counted: u64,
    },
    /// An exception names a test that does not exist.
    #[error("exception `{exception}` names test `{test}`; expected one of the catalogue, such as T01")]
    UnknownTest {
        /// The exception.
        exception: String,
        /// The name it gave.
        test: String,
    },
    /// Two exceptions share an id.
    #[error("exception id `{0}` occurs twice; expected every exception to have its own id")]
    DuplicateException(String),
    /// The exceptions are not a JSON array of exceptions.
    #[error("exceptions cannot be read: {0}")]
    Exceptions(String),
}

/// Runs every test that the framework names and this release has, in order of test id.
///
/// `exceptions` may be given in any order; each one that names a test shows up in that test's
/// [`TestResult::exceptions`] with what became of it.
///
/// # Errors
/// When a population does not add up, or an exception names an unknown test or repeats an id.
pub fn evaluate(
    assessment: &Assessment,
    framework: &Framework,
    parameters: &Parameters,
    exceptions: &[Exception],
) -> Result<Vec<TestResult>, EvaluateError> {
    let mut seen = BTreeSet::new();
    for exception in exceptions {
        if test_entry(&exception.test).is_none() {
            return Err(EvaluateError::UnknownTest { exception: exception.id.clone(), test: exception.test.clone() });
        }
        if !seen.insert(exception.id.as_str()) {
            return Err(EvaluateError::DuplicateException(exception.id.clone()));
        }
    }
    let wanted: BTreeSet<&str> =
        framework.controls.iter().flat_map(|control| control.tests.iter().map(String::as_str)).collect();
    let mut results = Vec::new();
    for id in wanted {
        let Some(draft) = run(id, assessment, parameters) else { continue };
        results.push(draft.finish(assessment, exceptions)?);
    }
    Ok(results)
}

/// Runs one test; none where this release does not have it.
fn run(id: &str, assessment: &Assessment, parameters: &Parameters) -> Option<result::Draft> {
    Some(match id {
        "T01" => privilege::standing_privilege(assessment, parameters),
        "T02" => unused::unused_permissions(assessment, parameters),
        "T03" => dormancy::dormant_identities(assessment, parameters),
        "T04" => credentials::never_used(assessment, parameters),
        "T16" => credentials::root(assessment),
        "T17" => credentials::mfa(assessment),
        "T18" => credentials::key_hygiene(assessment, parameters),
        "T22" => coverage::log_coverage(assessment),
        "T32" => wildcard::wildcards_and_attachments(assessment, parameters),
        _ => return None,
    })
}

/// "1 action", "2 actions".
pub(crate) fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_says_what_runs() {
        let assessment = sample::assessment();
        for entry in CATALOGUE {
            let ran = run(entry.id, &assessment, &Parameters::default()).is_some();
            assert_eq!(ran, entry.in_this_release, "{}", entry.id);
        }
    }

    #[test]
    fn exceptions_with_unknown_tests_or_double_ids_are_refused() {
        let assessment = sample::assessment();
        let soc2 = Framework::soc2().unwrap();
        let one = sample::exception("E-1", "T99", "x");
        let error = evaluate(&assessment, &soc2, &Parameters::default(), &[one]).unwrap_err();
        assert_eq!(error.to_string(), "exception `E-1` names test `T99`; expected one of the catalogue, such as T01");
        let twice = [sample::exception("E-1", "T01", "x"), sample::exception("E-1", "T02", "y")];
        assert!(matches!(
            evaluate(&assessment, &soc2, &Parameters::default(), &twice),
            Err(EvaluateError::DuplicateException(id)) if id == "E-1"
        ));
    }

    #[test]
    fn the_order_of_the_input_does_not_show() {
        let mut assessment = sample::assessment();
        let soc2 = Framework::soc2().unwrap();
        let first = evaluate(&assessment, &soc2, &Parameters::default(), &[]).unwrap();
        assessment.principals.reverse();
        assessment.credentials.reverse();
        assessment.coverage.reverse();
        let second = evaluate(&assessment, &soc2, &Parameters::default(), &[]).unwrap();
        assert_eq!(first, second);
    }
}
