//! Policy documents as types: parsed once, nothing dropped, and reasoned about with typed wildcards.
//!
//! [`PolicyDocument::parse`] takes what AWS takes and refuses what AWS refuses, naming the place and what was
//! expected there. Patterns are compared with [`ArnPattern::matches`], [`ArnPattern::covers`] and
//! [`ArnPattern::overlaps`], never as text. [`compile`](compile::compile) turns the action part of a statement
//! into a set over the catalogue.

pub mod compile;
mod condition;
pub mod confine;
mod document;
mod json;
pub mod narrow;
mod pattern;
mod principal;
mod statement;
mod wild;

pub use condition::{Condition, Operator, Qualifier};
pub use document::{DocumentKind, PolicyDocument, PolicyError, Version};
pub use pattern::{ArnParts, ArnPattern};
pub use principal::{PrincipalElement, PrincipalPattern};
pub use statement::{ActionMatch, ActionPattern, Effect, ResourceMatch, Statement};
pub use wild::{Bound, Variable, Wild};
