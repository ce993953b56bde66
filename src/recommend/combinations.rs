//! Toxic combinations: what one person, or one program, should not hold both sides of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::{ActionSet, Catalog};
use crate::compare::assessment::{Assessment, PrincipalKind};
use crate::entitlements::Entitlements;
use crate::model::arn::AccountId;

const DATA: &str = include_str!("data/combinations.toml");

/// Two sides that do not belong in one hand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// Stable name.
    pub id: String,
    /// What both make possible.
    pub title: String,
    /// Action patterns of one side; one action suffices.
    pub left: Vec<String>,
    /// Of the other.
    pub right: Vec<String>,
    /// What can be done with both.
    pub why: String,
    /// Both sides work in the management account alone.
    #[serde(default)]
    pub management: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "combination")]
    combinations: Vec<Combination>,
}

/// Somebody who holds both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Held {
    /// Id of the combination.
    pub combination: String,
    /// What both sides make possible.
    pub title: String,
    /// What can be done with both.
    pub why: String,
    /// Account in which both are held.
    pub account: String,
    /// The person; empty for programs and where nobody is known.
    pub person: String,
    /// Actions of the one side, with the ARN of the principal through which they are held.
    pub left: Vec<String>,
    /// Of the other side.
    pub right: Vec<String>,
}

/// A principal, and what it is granted.
type Through<'a> = (&'a str, &'a ActionSet);

/// The combinations that come with the program. That they can be read is what a test asserts.
#[must_use]
pub fn known() -> Vec<Combination> {
    parse(DATA).unwrap_or_default()
}

/// Reads combinations; see the head of `data/combinations.toml` for the fields.
///
/// # Errors
/// Says what is wrong.
pub fn parse(text: &str) -> Result<Vec<Combination>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let catalog = Catalog::get();
    for one in &file.combinations {
        for pattern in one.left.iter().chain(&one.right) {
            if catalog.actions_matching(pattern).is_empty() {
                return Err(format!("combination `{}`: no action matches `{pattern}`", one.id));
            }
        }
        if one.left.is_empty() || one.right.is_empty() {
            return Err(format!("combination `{}`: a side is empty", one.id));
        }
    }
    Ok(file.combinations)
}

/// Who holds both sides of a combination in one account, through one principal or several. Break-glass principals and the
/// roles that services made are left out. `management` is the organisation's management account, where it is known. What is granted only on some resources or under conditions counts as held.
#[must_use]
pub fn held(
    assessment: &Assessment,
    entitlements: &Entitlements,
    combinations: &[Combination],
    management: Option<AccountId>,
    catalog: &Catalog,
) -> Vec<Held> {
    // Programs and principals without known holders stand for themselves.
    let mut hands: BTreeMap<(AccountId, String, &str), Vec<Through<'_>>> = BTreeMap::new();
    let granted: BTreeMap<(&str, &str), &ActionSet> =
        entitlements.principals.iter().map(|one| ((one.arn.as_str(), one.id.as_str()), &one.granted)).collect();
    for principal in &assessment.principals {
        if principal.break_glass || principal.kind == PrincipalKind::ServiceLinkedRole {
            continue;
        }
        let Some(actions) = granted.get(&(principal.arn.as_str(), principal.id.as_str())) else { continue };
        let through = (principal.arn.as_str(), *actions);
        if principal.holders.is_empty() {
            hands.entry((principal.account, String::new(), &principal.arn)).or_default().push(through);
        }
        for person in &principal.holders {
            hands.entry((principal.account, person.clone(), "")).or_default().push(through);
        }
    }
    let mut out = BTreeSet::new();
    for one in combinations {
        let set = |patterns: &[String]| {
            let mut set = catalog.no_actions();
            patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
            set
        };
        let (left, right) = (set(&one.left), set(&one.right));
        let elsewhere =
            |account: &AccountId| one.management && management.is_some_and(|management| management != *account);
        for ((account, person, _), principals) in hands.iter().filter(|((account, _, _), _)| !elsewhere(account)) {
            let side = |wanted: &ActionSet| side(principals, wanted, catalog);
            let (left, right) = (side(&left), side(&right));
            if !left.is_empty() && !right.is_empty() {
                out.insert(Held {
                    combination: one.id.clone(),
                    title: one.title.clone(),
                    why: one.why.clone(),
                    account: account.to_string(),
                    person: person.clone(),
                    left,
                    right,
                });
            }
        }
    }
    out.into_iter().collect()
}

/// The actions of a side that somebody holds, each with the principal.
fn side(principals: &[Through<'_>], wanted: &ActionSet, catalog: &Catalog) -> Vec<String> {
    let of = |(arn, granted): &Through<'_>| {
        let mut both = (*granted).clone();
        both.intersect_with(wanted);
        let names =
            both.iter().filter_map(|id| catalog.action(id)).map(|action| format!("{} by {arn}", action.full_name()));
        names.collect::<Vec<_>>()
    };
    principals.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_combinations_are_whole() {
        let all = parse(DATA).unwrap();
        assert!(all.len() >= 10);
        let ids: BTreeSet<&str> = all.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids.len(), all.len());
        let error = parse("[[combination]]\nid=\"x\"\ntitle=\"t\"\nleft=[\"s3:Nothing\"]\nright=[\"s3:*\"]\nwhy=\"w\"")
            .unwrap_err();
        assert!(error.contains("no action matches `s3:Nothing`"), "{error}");
    }
}
