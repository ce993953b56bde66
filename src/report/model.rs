//! The one value that every report format is rendered from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use super::views::{
    ControlTest, ControlView, CoverageView, FindingsView, GridRow, GroupView, Header, InputKind, InputsView,
    ReportModel, RowView, StatusCount, TestView,
};
use crate::compare::assessment::Assessment;
use crate::compliance::{
    CATALOGUE, Exception, ExceptionState, ExceptionUse, Framework, Row, RowResult, Status, TestResult, test_entry,
};
use crate::model::finding::{Finding, FindingState, Severity};

/// Rows of one result that a test section shows; the others stay counted. A page with more cannot be read.
const ROWS_SHOWN_MAX: usize = 500;
/// Evidence references shown in a row; the others stay counted.
const EVIDENCE_SHOWN_MAX: usize = 8;
/// Findings shown; the others stay counted.
const FINDINGS_SHOWN_MAX: usize = 200;
/// Inputs shown; the others stay counted and hashed. A year of logs is a hundred thousand files.
const INPUTS_SHOWN_MAX: usize = 200;
/// Rows up to which a list is unfolded from the start: about a screen.
const ROWS_OPEN_MAX: usize = 12;

/// Why a report could not be built.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    /// The counts of a test do not add up.
    #[error("counts of {test} do not add up: {sum} in the results, {population} in the population")]
    Arithmetic {
        /// The test.
        test: String,
        /// Sum of the four results.
        sum: u64,
        /// Population.
        population: u64,
    },
    /// The same test was handed over twice.
    #[error("result of {0} occurs twice; expected one a test")]
    Duplicate(String),
    /// The framework asks for a test that this release has, and its result is missing.
    #[error("result of {0} is missing; expected one for every test that the framework names and this release has")]
    Missing(String),
}

/// An input and its hash, so that a reader can check what the report rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InputRecord {
    /// Kind, such as `credential_report`.
    pub kind: String,
    /// Name, as it was given.
    pub name: String,
    /// Hash with its algorithm, such as `blake3:…`.
    pub hash: String,
    /// Records in it; none where that has no meaning.
    pub records: Option<u64>,
}

/// What a report is built from.
#[derive(Clone, Copy, Debug)]
pub struct ReportInputs<'a> {
    /// The framework.
    pub framework: &'a Framework,
    /// The assessment that was evaluated.
    pub assessment: &'a Assessment,
    /// What [`crate::compliance::evaluate`] said.
    pub results: &'a [TestResult],
    /// Every exception that was handed to the evaluation.
    pub exceptions: &'a [Exception],
    /// Findings of the same scan.
    pub findings: &'a [Finding],
    /// Input files.
    pub inputs: &'a [InputRecord],
    /// Version of the program.
    pub tool_version: &'a str,
    /// The command that makes this report again.
    pub command: &'a str,
}

/// The status of tests that a later release brings.
const NOT_IN_THIS_RELEASE: &str = "NOT_IN_THIS_RELEASE";

const fn letter(status: Status) -> &'static str {
    match status {
        Status::Pass => "P",
        Status::Fail => "F",
        Status::Inconclusive => "I",
        Status::Manual => "M",
        Status::NotApplicable => "N",
    }
}

const fn meaning(status: Status) -> &'static str {
    match status {
        Status::Pass => "every member of the population was tested and none failed, accepted exceptions aside",
        Status::Fail => "at least one member of the population failed",
        Status::Inconclusive => "none failed, but at least one could not be judged; never a pass",
        Status::Manual => "the sources cannot answer; a person has to show it by other means",
        Status::NotApplicable => "the population is empty",
    }
}

/// Builds the model.
///
/// # Errors
/// When the counts of a test do not add up, or results are missing or repeated.
pub fn build(inputs: &ReportInputs<'_>) -> Result<ReportModel, BuildError> {
    let results = checked(inputs)?;
    let framework = inputs.framework;
    let grid_tests: Vec<String> = results.keys().map(|id| (*id).to_owned()).collect();
    let controls = framework.controls.iter().map(|control| control_view(control, &results)).collect();
    let grid = framework
        .controls
        .iter()
        .map(|control| GridRow {
            control: control.id.clone(),
            cells: results
                .iter()
                .map(
                    |(id, result)| if control.tests.iter().any(|test| test == id) { letter(result.status) } else { "" },
                )
                .collect(),
            later: control.tests.iter().filter(|test| !results.contains_key(test.as_str())).count() as u64,
        })
        .collect();
    let tests = results.values().map(|result| test_view(framework, result)).collect();
    let mut gaps = inputs.assessment.gaps.clone();
    gaps.sort();
    Ok(ReportModel {
        id: framework.id.clone(),
        title: "Evidence on access to AWS".to_owned(),
        header: header(inputs),
        notes: notes(framework),
        summary: summary(framework, &results),
        grid_tests,
        grid,
        controls,
        tests,
        exceptions: exceptions(inputs, &results),
        findings: findings(inputs.findings),
        gaps,
        inputs: inputs_view(inputs.inputs),
    })
}

type Results<'a> = BTreeMap<&'a str, &'a TestResult>;

fn checked<'a>(inputs: &ReportInputs<'a>) -> Result<Results<'a>, BuildError> {
    let mut results = Results::new();
    for result in inputs.results {
        if !result.counts.add_up() || result.rows.iter().map(|row| row.units).sum::<u64>() != result.counts.population {
            return Err(BuildError::Arithmetic {
                test: result.id.clone(),
                sum: result.counts.sum(),
                population: result.counts.population,
            });
        }
        if results.insert(&result.id, result).is_some() {
            return Err(BuildError::Duplicate(result.id.clone()));
        }
    }
    for test in inputs.framework.controls.iter().flat_map(|control| &control.tests) {
        if test_entry(test).is_some_and(|entry| entry.in_this_release) && !results.contains_key(test.as_str()) {
            return Err(BuildError::Missing(test.clone()));
        }
    }
    Ok(results)
}

fn header(inputs: &ReportInputs<'_>) -> Header {
    let assessment = inputs.assessment;
    let covered: u64 = assessment.coverage.iter().map(|region| region.hours_covered).sum();
    let total: u64 = assessment.coverage.iter().map(|region| region.hours_total).sum();
    let permille = u128::from(covered) * 1000 / u128::from(total.max(1));
    Header {
        tool_version: inputs.tool_version.to_owned(),
        command: inputs.command.to_owned(),
        framework: inputs.framework.name.clone(),
        framework_version: inputs.framework.version.clone(),
        mapping_version: inputs.framework.mapping_version.clone(),
        window: assessment.window,
        as_of: assessment.as_of,
        generation: assessment.generation,
        snapshot: assessment.snapshot.clone(),
        catalogue: assessment.catalogue.clone(),
        privileged_set: assessment.privileged_set.clone(),
        accounts: assessment.accounts.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect(),
        principals: assessment.principals.len() as u64,
        coverage: CoverageView {
            accounts: assessment.coverage.iter().map(|region| &region.account).collect::<BTreeSet<_>>().len() as u64,
            regions: assessment.coverage.len() as u64,
            hours_covered: covered,
            hours_total: total,
            percent: if total == 0 { String::new() } else { format!("{}.{} %", permille / 10, permille % 10) },
        },
    }
}

fn notes(framework: &Framework) -> Vec<String> {
    let own = [
        "Every result holds for the population and the period that stand beside it, and for nothing else.",
        "Every member of every population was tested; nothing was sampled.",
        "In every test the population is the sum of pass, fail, excepted and inconclusive; a report in which it is not cannot be made.",
    ];
    own.iter().map(|text| (*text).to_owned()).chain(framework.notes.iter().cloned()).collect()
}

fn summary(framework: &Framework, results: &Results<'_>) -> Vec<StatusCount> {
    let mut summary: Vec<StatusCount> = Status::ALL
        .into_iter()
        .map(|status| StatusCount {
            status: status.as_str().to_owned(),
            count: results.values().filter(|result| result.status == status).count() as u64,
            meaning: meaning(status),
            letter: letter(status),
        })
        .collect();
    let named: BTreeSet<&str> =
        framework.controls.iter().flat_map(|control| control.tests.iter().map(String::as_str)).collect();
    summary.push(StatusCount {
        status: NOT_IN_THIS_RELEASE.to_owned(),
        count: named.iter().filter(|test| !results.contains_key(*test)).count() as u64,
        meaning: "the mapping names the test, this release cannot run it: not evidenced",
        letter: "+",
    });
    summary
}

fn control_view(control: &crate::compliance::Control, results: &Results<'_>) -> ControlView {
    let of_control = |test: &String| {
        results.get(test.as_str()).map(|result| ControlTest {
            id: result.id.clone(),
            title: result.title.clone(),
            status: result.status.as_str().to_owned(),
            fail: result.counts.fail,
            inconclusive: result.counts.inconclusive,
            population: result.counts.population,
        })
    };
    let later = CATALOGUE
        .iter()
        .filter(|entry| control.tests.iter().any(|test| test == entry.id) && !results.contains_key(entry.id))
        .map(|entry| format!("{} {}", entry.id, entry.title))
        .collect();
    ControlView {
        id: control.id.clone(),
        gist: control.gist.clone(),
        tests: control.tests.iter().filter_map(of_control).collect(),
        later,
        cannot: control.cannot.clone(),
    }
}

fn test_view(framework: &Framework, result: &TestResult) -> TestView {
    let serves = |control: &&crate::compliance::Control| control.tests.contains(&result.id);
    TestView {
        status: result.status.as_str().to_owned(),
        sources: result.sources.iter().map(|source| source.as_str()).collect(),
        controls: framework.controls.iter().filter(serves).map(|control| control.id.clone()).collect(),
        groups: RowResult::ALL.into_iter().filter_map(|wanted| group(wanted, &result.rows)).collect(),
        rows_hash: rows_hash(&result.rows),
        result: TestResult { rows: Vec::new(), ..result.clone() },
    }
}

fn group(wanted: RowResult, rows: &[Row]) -> Option<GroupView> {
    let of_result: Vec<&Row> = rows.iter().filter(|row| row.result == wanted).collect();
    if of_result.is_empty() {
        return None;
    }
    let shown: Vec<RowView> = of_result.iter().take(ROWS_SHOWN_MAX).map(|row| row_view(row)).collect();
    Some(GroupView {
        result: wanted.as_str().to_owned(),
        units: of_result.iter().map(|row| row.units).sum(),
        total: of_result.len() as u64,
        omitted: (of_result.len() - shown.len()) as u64,
        open: wanted == RowResult::Fail && of_result.len() <= ROWS_OPEN_MAX,
        rows: shown,
    })
}

fn row_view(row: &Row) -> RowView {
    let evidence: Vec<String> = row.evidence.iter().take(EVIDENCE_SHOWN_MAX).cloned().collect();
    RowView {
        account: row.account.clone(),
        subject: row.subject.clone(),
        part: row.part.clone(),
        why: row.why.clone(),
        units: row.units,
        evidence_more: (row.evidence.len() - evidence.len()) as u64,
        evidence,
    }
}

fn inputs_view(inputs: &[InputRecord]) -> InputsView {
    let mut all = inputs.to_vec();
    all.sort();
    let mut by_kind: BTreeMap<&str, Vec<&InputRecord>> = BTreeMap::new();
    for input in &all {
        by_kind.entry(&input.kind).or_default().push(input);
    }
    let kinds = by_kind
        .into_iter()
        .map(|(kind, of_kind)| InputKind {
            kind: kind.to_owned(),
            files: of_kind.len() as u64,
            records: of_kind.iter().filter_map(|input| input.records).sum(),
            hash: hash_of(of_kind.iter().flat_map(|input| {
                let records = input.records.map_or_else(String::new, |records| records.to_string());
                [input.kind.clone(), input.name.clone(), input.hash.clone(), records]
            })),
        })
        .collect();
    let omitted = all.len().saturating_sub(INPUTS_SHOWN_MAX) as u64;
    all.truncate(INPUTS_SHOWN_MAX);
    InputsView { kinds, rows: all, omitted }
}

/// BLAKE3 over texts, every one with its length before it, so that no two lists share a hash by accident.
fn hash_of(texts: impl Iterator<Item = String>) -> String {
    let mut hash = blake3::Hasher::new();
    for text in texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    format!("blake3:{}", hash.finalize().to_hex())
}

fn rows_hash(rows: &[Row]) -> String {
    hash_of(rows.iter().flat_map(|row| {
        let fields = [row.result.as_str(), &row.account, &row.subject, &row.part, &row.why].map(str::to_owned);
        let numbers = [row.units.to_string(), row.evidence.len().to_string()];
        fields.into_iter().chain(numbers).chain(row.evidence.iter().cloned())
    }))
}

/// Every exception, also those whose test did not run here.
fn exceptions(inputs: &ReportInputs<'_>, results: &Results<'_>) -> Vec<ExceptionUse> {
    let mut uses: Vec<ExceptionUse> = results.values().flat_map(|result| result.exceptions.iter().cloned()).collect();
    let without = inputs.exceptions.iter().filter(|exception| !results.contains_key(exception.test.as_str()));
    uses.extend(without.map(|exception| ExceptionUse {
        exception: exception.clone(),
        state: ExceptionState::NotTested,
        rows: 0,
    }));
    uses.sort_by(|a, b| (&a.exception.test, &a.exception.id).cmp(&(&b.exception.test, &b.exception.id)));
    uses
}

fn findings(findings: &[Finding]) -> FindingsView {
    let number = |state: FindingState| findings.iter().filter(|finding| finding.state == state).count() as u64;
    let is_open = |finding: &&Finding| matches!(finding.state, FindingState::New | FindingState::Open);
    let mut open: Vec<&Finding> = findings.iter().filter(is_open).collect();
    open.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (&a.kind, &a.principal, &a.id).cmp(&(&b.kind, &b.principal, &b.id)))
    });
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let rows: Vec<Finding> = open.iter().take(FINDINGS_SHOWN_MAX).map(|finding| (*finding).clone()).collect();
    FindingsView {
        by_severity: severities
            .into_iter()
            .map(|severity| {
                let number = open.iter().filter(|finding| finding.severity == severity).count() as u64;
                (severity.as_str().to_owned(), number)
            })
            .collect(),
        open: open.len() as u64,
        excepted: number(FindingState::Excepted),
        resolved: number(FindingState::Resolved),
        omitted: (open.len() - rows.len()) as u64,
        rows,
    }
}
