//! What IAM Access Analyzer is asked about a plan: whether what is left of a principal's policies allows anything that they did
//! not allow before, and what it thinks of them.

use std::collections::BTreeSet;

use crate::model::snapshot::Snapshot;

use super::effect::Effect;
use super::found::Found;
use super::merged::Merged;
use super::prove::opened;
use super::{Grant, Misfit, Plan};

/// A question about one document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// ARN of whose policies they are: a user, a role, or what a grant gives.
    pub of: String,
    /// All that it says afterwards, as one document; or a trust policy.
    pub policy: String,
    /// All that it said before, as one document; none of a trust policy.
    pub existing: Option<String>,
}

/// The questions about a plan, and of whom nothing can be asked, with why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Questions.
    pub all: Vec<Question>,
    /// ARN, and why.
    pub not: Vec<(String, String)>,
}

/// All policies of a user or role as one document; none where it has none.
fn whole(state: &Snapshot, arn: &str) -> Result<Option<String>, String> {
    let found = Found::of(state, arn).ok_or("it is not in the state")?;
    let mut merged = Merged::default();
    for held in found.policies()? {
        merged.add(Some(held.json))?;
    }
    Ok(merged.whole())
}

fn trust_of(grant: &Grant) -> Option<&str> {
    grant.steps.iter().find_map(|step| match &step.effect {
        Effect::CreateRole { trust, .. } => Some(trust.as_str()),
        _ => None,
    })
}

/// What is to be asked about a plan.
///
/// # Errors
/// When the plan does not fit the state.
pub fn questions(plan: &Plan, before: &Snapshot) -> Result<Questions, Misfit> {
    let after = opened(plan.after(before)?, plan);
    let mut pairs: BTreeSet<(String, String)> = BTreeSet::new();
    for change in &plan.changes {
        for holder in change.holders() {
            pairs.insert((holder.to_owned(), holder.to_owned()));
            let theirs = plan.grants.iter().filter(|grant| grant.principal == change.principal);
            pairs.extend(theirs.filter_map(|grant| Some((holder.to_owned(), grant.role_for(holder)?))));
        }
    }
    let mut out = Questions::default();
    let mut asked: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for (from, to) in pairs {
        match (whole(before, &from), whole(&after, &to)) {
            (Ok(existing), Ok(Some(policy))) => {
                // The roles of a permission set say the same.
                if asked.insert((existing.clone(), policy.clone())) {
                    out.all.push(Question { of: to, policy, existing });
                }
            }
            // Nothing is left to ask about.
            (Ok(_), Ok(None)) => {}
            (Err(why), _) | (_, Err(why)) => out.not.push((to, why)),
        }
    }
    for change in &plan.changes {
        let trusts = change.steps.iter().filter_map(|step| match &step.effect {
            Effect::UpdateAssumeRolePolicy { document, .. } => Some(document.clone()),
            _ => None,
        });
        out.all.extend(trusts.map(|policy| Question { of: change.principal.clone(), policy, existing: None }));
    }
    for grant in &plan.grants {
        let trust = trust_of(grant).map(str::to_owned);
        out.all.extend(trust.map(|policy| Question { of: grant.role.clone(), policy, existing: None }));
    }
    Ok(out)
}
