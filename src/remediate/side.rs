//! What a principal's own policies say, statement by statement: what is compared between the state before and after.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{ActionId, ActionSet, Catalog};
use crate::model::snapshot::Snapshot;
use crate::policy::compile::compile;
use crate::policy::{ArnPattern, DocumentKind, Effect, PolicyDocument, ResourceMatch, Statement, Variable, Version};

use super::found::Found;

/// Beginnings of condition keys, in lower case, that say something of the caller: the role of a grant is another caller.
const OF_CALLER: [&str; 9] = [
    "aws:principal",
    "aws:user",
    "aws:multifactor",
    "aws:token",
    "aws:source",
    "aws:federated",
    "aws:assumedroot",
    "sts:",
    "saml:",
];

/// A principal's identity policies, by statement.
#[derive(Debug, Default)]
pub(super) struct Side {
    statements: Vec<(Statement, Arc<ActionSet>)>,
    /// A document cannot be read, or was not collected.
    broken: bool,
}

impl Side {
    pub(super) fn of(snapshot: &Snapshot, arn: &str, catalog: &Catalog) -> Self {
        let mut out = Self::default();
        let Some(policies) = Found::of(snapshot, arn).and_then(|found| found.policies().ok()) else {
            return Self { broken: true, ..out };
        };
        for held in policies {
            let Ok(document) = PolicyDocument::parse(held.json, DocumentKind::Identity) else {
                out.broken = true;
                continue;
            };
            let plain = document.version != Version::V2012;
            for mut statement in document.statements {
                // What is a text in the older version of the language is a variable in the newer one.
                for value in statement.conditions.iter_mut().flat_map(|one| &mut one.values).filter(|_| plain) {
                    *value = value.replace("${", "\u{0}{");
                }
                let set = compile(&statement.actions, catalog).set;
                out.statements.push((statement, set));
            }
        }
        out
    }

    /// Its statements, with the actions of the catalogue that each names.
    pub(super) fn statements(&self) -> &[(Statement, Arc<ActionSet>)] {
        &self.statements
    }

    /// Whether a document could not be read.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// What bears on an action: the statements without their ids and actions.
    pub(super) fn on(&self, action: ActionId) -> BTreeSet<String> {
        let named = self.statements.iter().filter(|(_, set)| set.contains(action));
        named.map(|(one, _)| format!("{:?} {:?} {:?}", one.effect, one.resources, one.conditions)).collect()
    }
}

impl Side {
    /// What bears on an action on some resources: for each the statements that surely mean it, without their ids, actions and
    /// resources. None where that depends on a variable.
    pub(super) fn on_each(&self, action: ActionId, resources: &[String]) -> Option<BTreeSet<String>> {
        let mut out = BTreeSet::new();
        for resource in resources {
            let parts: Vec<&str> = resource.splitn(6, ':').skip(1).collect();
            let parts: [&str; 5] = parts.try_into().ok()?;
            for (one, _) in self.statements.iter().filter(|(_, set)| set.contains(action)) {
                let any = |patterns: &[ArnPattern]| {
                    let told =
                        |pattern: &ArnPattern| pattern.matches_with(resource, Some(&parts), &|_| Variable::Unknown);
                    let all: Vec<Option<bool>> = patterns.iter().map(told).collect();
                    if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) }
                };
                let meant = match &one.resources {
                    ResourceMatch::Resource(patterns) => any(patterns)?,
                    ResourceMatch::NotResource(patterns) => !any(patterns)?,
                    ResourceMatch::Implied => true,
                };
                if meant {
                    out.insert(format!("{resource} {:?} {:?}", one.effect, one.conditions));
                }
            }
        }
        Some(out)
    }

    /// Whether a statement allows an action on something.
    pub(super) fn allows(&self, action: ActionId) -> bool {
        self.statements.iter().any(|(one, set)| one.effect == Effect::Allow && set.contains(action))
    }

    /// Whether a statement allows an action on a resource, as far as names go.
    pub(super) fn allows_on(&self, action: ActionId, resource: &str) -> bool {
        let named = self.statements.iter().filter(|(one, set)| one.effect == Effect::Allow && set.contains(action));
        named.into_iter().any(|(one, _)| one.resources.may_match(resource))
    }

    /// Whether a statement speaks of the caller.
    pub(super) fn depends_on_caller(&self) -> bool {
        self.statements.iter().any(|(statement, _)| {
            let text = format!("{:?} {:?}", statement.resources, statement.conditions).to_ascii_lowercase();
            OF_CALLER.iter().any(|key| text.contains(key))
        })
    }
}
