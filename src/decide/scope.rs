//! Scopes: the resources and conditions under which a statement speaks.

use crate::policy::{Condition, ResourceMatch};

/// Resources and conditions. Interned, so that equal scopes of one computation share one allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The resources.
    pub resources: ResourceMatch,
    /// Conditions, all of which must hold; sorted.
    pub conditions: Vec<Condition>,
}

impl Scope {
    /// Whether it means every resource, always.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.conditions.is_empty() && self.resources.is_everything()
    }

    /// Resource patterns as text, such as `arn:aws:s3:::bucket/*, arn:aws:s3:::bucket` or `not arn:…`.
    #[must_use]
    pub fn resources_text(&self) -> String {
        self.resources.to_string()
    }

    /// Conditions in their canonical form, joined by ` and `; empty where none.
    #[must_use]
    pub fn conditions_text(&self) -> String {
        let texts: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        texts.join(" and ")
    }
}
