//! A report as templates see it: everything in it is text or a number that they only place.

use serde::Serialize;

use super::model::InputRecord;
use crate::compare::assessment::Gap;
use crate::compliance::{ExceptionUse, TestResult};
use crate::model::finding::Finding;
use crate::model::time::{Timestamp, Window};

/// What the logs speak for, in sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageView {
    /// Accounts with log records.
    pub accounts: u64,
    /// Pairs of account and region.
    pub regions: u64,
    /// Hours with management events.
    pub hours_covered: u64,
    /// Hours.
    pub hours_total: u64,
    /// Share as text with one decimal, rounded down; empty where there are no hours.
    pub percent: String,
}

/// What stands above a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Version of the program.
    pub tool_version: String,
    /// The command that makes this report again.
    pub command: String,
    /// Name of the framework.
    pub framework: String,
    /// Its version.
    pub framework_version: String,
    /// Version of the mapping.
    pub mapping_version: String,
    /// Period.
    pub window: Window,
    /// Instant of the state.
    pub as_of: Timestamp,
    /// Generation of the lake.
    pub generation: u64,
    /// Hash of the snapshot.
    pub snapshot: String,
    /// Version of the catalogue.
    pub catalogue: String,
    /// Version and hash of the PRIV set.
    pub privileged_set: String,
    /// Accounts in the snapshot.
    pub accounts: Vec<String>,
    /// Principals in the snapshot.
    pub principals: u64,
    /// Coverage.
    pub coverage: CoverageView,
}

/// How many tests have a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusCount {
    /// `PASS`, …, or `NOT_IN_THIS_RELEASE`.
    pub status: String,
    /// Number of tests.
    pub count: u64,
    /// What the status means.
    pub meaning: &'static str,
    /// One letter for the grid.
    pub letter: &'static str,
}

/// A row of the grid of controls and tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GridRow {
    /// Control id.
    pub control: String,
    /// A letter for each test of [`ReportModel::grid_tests`], empty where the test does not serve the control.
    pub cells: Vec<&'static str>,
    /// Tests that serve it and are not in this release.
    pub later: u64,
}

/// A test as a control sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControlTest {
    /// Id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Status.
    pub status: String,
    /// Failing members.
    pub fail: u64,
    /// Inconclusive members.
    pub inconclusive: u64,
    /// Population.
    pub population: u64,
}

/// A control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControlView {
    /// Id.
    pub id: String,
    /// What it asks for.
    pub gist: String,
    /// Tests that ran.
    pub tests: Vec<ControlTest>,
    /// Tests that are not in this release, as "T05 Title".
    pub later: Vec<String>,
    /// What no test can evidence.
    pub cannot: Vec<String>,
}

/// A row as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowView {
    /// Account.
    pub account: String,
    /// Subject.
    pub subject: String,
    /// Part; may be empty.
    pub part: String,
    /// Why.
    pub why: String,
    /// Members that it stands for.
    pub units: u64,
    /// Evidence shown.
    pub evidence: Vec<String>,
    /// Evidence not shown.
    pub evidence_more: u64,
}

/// The rows of one result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// Result.
    pub result: String,
    /// Members of the population.
    pub units: u64,
    /// Rows.
    pub total: u64,
    /// Rows not shown.
    pub omitted: u64,
    /// Whether it is unfolded from the start.
    pub open: bool,
    /// Rows shown.
    pub rows: Vec<RowView>,
}

/// A test section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestView {
    /// The test without its rows.
    pub result: TestResult,
    /// Status as text.
    pub status: String,
    /// Sources as text.
    pub sources: Vec<&'static str>,
    /// Controls that it serves.
    pub controls: Vec<String>,
    /// Rows by result.
    pub groups: Vec<GroupView>,
    /// Hash over all rows, shown or not.
    pub rows_hash: String,
}

/// Findings beside the tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FindingsView {
    /// (severity, number) of those that are new or open, worst first.
    pub by_severity: Vec<(String, u64)>,
    /// Number of those that are new or open.
    pub open: u64,
    /// Number of those that are excepted.
    pub excepted: u64,
    /// Number of those that are resolved.
    pub resolved: u64,
    /// Open ones shown, worst first.
    pub rows: Vec<Finding>,
    /// Open ones not shown.
    pub omitted: u64,
}

/// Inputs of one kind, in sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputKind {
    /// Kind.
    pub kind: String,
    /// Inputs.
    pub files: u64,
    /// Records in them, as far as they have any.
    pub records: u64,
    /// Hash over kind, name, hash and records of all of them, in order of name.
    pub hash: String,
}

/// What the report rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InputsView {
    /// By kind: all of them.
    pub kinds: Vec<InputKind>,
    /// Those shown one by one.
    pub rows: Vec<InputRecord>,
    /// Number not shown one by one.
    pub omitted: u64,
}

/// A whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportModel {
    /// Id of the framework; names the files.
    pub id: String,
    /// Title.
    pub title: String,
    /// What stands above.
    pub header: Header,
    /// What a reader has to know first.
    pub notes: Vec<String>,
    /// Tests by status.
    pub summary: Vec<StatusCount>,
    /// Ids of the tests that ran, in order: the columns of the grid.
    pub grid_tests: Vec<String>,
    /// The grid.
    pub grid: Vec<GridRow>,
    /// Controls.
    pub controls: Vec<ControlView>,
    /// Tests.
    pub tests: Vec<TestView>,
    /// Exceptions.
    pub exceptions: Vec<ExceptionUse>,
    /// Findings.
    pub findings: FindingsView,
    /// Gaps.
    pub gaps: Vec<Gap>,
    /// Inputs.
    pub inputs: InputsView,
}
