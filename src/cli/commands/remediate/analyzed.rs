//! What IAM Access Analyzer says of a plan, where it is asked.

use std::collections::BTreeMap;

use crate::cli::args::AwsArgs;
use crate::cli::commands::validate::{gap, start};
use crate::cli::context::CommandError;
use crate::compare::assessment::Gap;
use crate::fetch::{self, Draft, PolicyKind, Remark, Validated};
use crate::model::snapshot::Snapshot;
use crate::model::table::Cell;
use crate::remediate::Plan;
use crate::remediate::corroborate::{Question, questions};

/// The verdict on policies of which nothing grave is said.
pub(super) const CORROBORATED: &str = "corroborated";

/// What it says of a plan.
#[derive(Debug, Default)]
pub(super) struct Analyzed {
    /// Rows of the proof.
    pub(super) rows: Vec<Vec<Cell>>,
    /// Whether it says that something is allowed anew, or cannot be.
    pub(super) contradicted: bool,
    /// What could not be asked.
    pub(super) gaps: Vec<Gap>,
    /// All of it in a line.
    pub(super) said: String,
}

fn draft(policy: &str, existing: Option<&String>, of_trust: bool) -> Draft {
    Draft {
        policy: policy.to_owned(),
        kind: if of_trust { PolicyKind::Resource } else { PolicyKind::Identity },
        resource_type: of_trust.then(|| "AWS::IAM::AssumeRolePolicyDocument".to_owned()),
        existing: existing.cloned(),
        denied: Vec::new(),
        not_public: false,
    }
}

/// How often ValidatePolicy says each thing.
fn counted(told: &Validated) -> BTreeMap<(&str, &str), usize> {
    let mut out = BTreeMap::new();
    for remark in told.remarks.iter().filter(|remark| remark.check == VALIDATE && remark.result != "PASS") {
        *out.entry((remark.result.as_str(), remark.code.as_str())).or_insert(0) += 1;
    }
    out
}

/// The operation.
const VALIDATE: &str = "ValidatePolicy";

/// Asks about a plan.
pub(super) fn corroborated(aws: &AwsArgs, plan: &Plan, before: &Snapshot) -> Result<Analyzed, CommandError> {
    let asked = questions(plan, before)
        .map_err(|misfit| CommandError::Failed(format!("the plan does not fit the state: {misfit}")))?;
    // What it said of the policies before is no news.
    let mut drafts = Vec::new();
    for question in &asked.all {
        let old = question.existing.as_deref().unwrap_or(NOTHING);
        drafts.push(draft(old, None, false));
        drafts.push(draft(&question.policy, question.existing.as_ref(), question.existing.is_none()));
    }
    let told = fetch::validate(&start(aws), &drafts).map_err(|failure| CommandError::Failed(failure.to_string()))?;
    let mut out = Analyzed::default();
    for (of, why) in &asked.not {
        out.gaps.push(Gap {
            kind: "access_analyzer".to_owned(),
            what: format!("{of}: its policies cannot be put together: {why}"),
            remedy: "ask about each of them with `jitscan policy validate`".to_owned(),
        });
    }
    let (mut fine, mut grave, mut open) = (0, 0, asked.not.len());
    for (question, pair) in asked.all.iter().zip(told.chunks(2)) {
        let [old, new] = pair else { continue };
        match (out.add(question, old, new), old.failures.is_empty() && new.failures.is_empty()) {
            (true, _) => grave += 1,
            (false, true) => fine += 1,
            (false, false) => open += 1,
        }
    }
    out.contradicted = grave > 0;
    out.said = format!(
        "Access Analyzer was asked about {} documents: {fine} are corroborated, {grave} contradicted, {open} could not be asked in full",
        asked.all.len() + asked.not.len(),
    );
    Ok(out)
}

/// A document of which nothing is to be said.
const NOTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

impl Analyzed {
    /// Adds what was said of a document; whether that contradicts the plan.
    fn add(&mut self, question: &Question, old: &Validated, new: &Validated) -> bool {
        let mut known = counted(old);
        let mut row = |verdict: &str, check: &str, why: String| {
            self.rows.push(vec![
                verdict.into(),
                question.of.as_str().into(),
                "".into(),
                check.into(),
                "".into(),
                why.into(),
                0_u64.into(),
                0_u64.into(),
                Cell::Null,
                Cell::List(Vec::new()),
            ]);
        };
        let mut contradicted = false;
        // Where it could not be asked about what was before, all that it says may be no news.
        let news = |remark: &&Remark| remark.check != VALIDATE || old.failures.is_empty();
        for remark in new.remarks.iter().filter(news) {
            let times = known.entry((remark.result.as_str(), remark.code.as_str())).or_insert(0);
            if remark.check == VALIDATE && *times > 0 {
                *times -= 1;
                continue;
            }
            let Remark { check, result, code, message, place } = remark;
            let why = [result, code, message, place].map(String::as_str);
            let why: Vec<&str> = why.into_iter().filter(|text| !text.is_empty()).collect();
            let verdict = match (remark.is_grave(), result.as_str()) {
                (true, _) => "contradicted",
                (false, "PASS") => CORROBORATED,
                (false, _) => "remarked",
            };
            contradicted |= remark.is_grave();
            row(verdict, check, why.join(": "));
        }
        self.gaps.extend(old.failures.iter().chain(&new.failures).map(|failure| gap(&question.of, failure)));
        contradicted
    }
}
