//! The action part of a statement as a set over the catalogue.

use std::sync::Arc;

use crate::catalog::{ActionSet, Catalog};

use super::statement::ActionMatch;

/// What the action part of a statement means in one catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledActions {
    /// The actions that the catalogue knows.
    pub set: Arc<ActionSet>,
    /// Whether it also means actions that the catalogue does not know (`*`, and every `NotAction`).
    pub open: bool,
    /// Patterns that match nothing in the catalogue, as written: misspelt, retired, or newer than the catalogue.
    pub unmatched: Vec<String>,
}

/// Expands the patterns over the catalogue. `NotAction` is the complement of what its patterns match.
#[must_use]
pub fn compile(actions: &ActionMatch, catalog: &Catalog) -> CompiledActions {
    let mut set = ActionSet::new(catalog.len());
    let mut unmatched = Vec::new();
    let mut everything = false;
    for pattern in actions.patterns() {
        if pattern.is_everything() {
            everything = true;
            set = ActionSet::full(catalog.len());
            continue;
        }
        let matching = catalog.actions_matching(pattern.as_str());
        if matching.is_empty() {
            unmatched.push(pattern.as_str().to_owned());
        }
        set.union_with(&matching);
    }
    match actions {
        ActionMatch::Action(_) => CompiledActions { set: Arc::new(set), open: everything, unmatched },
        ActionMatch::NotAction(_) => CompiledActions { set: Arc::new(set.complement()), open: !everything, unmatched },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DocumentKind, PolicyDocument};
    use super::*;

    fn compiled(element: &str) -> CompiledActions {
        let text = format!(r#"{{"Statement":{{"Effect":"Allow",{element},"Resource":"*"}}}}"#);
        let document = PolicyDocument::parse(&text, DocumentKind::Identity).unwrap();
        compile(&document.statements[0].actions, Catalog::get())
    }

    #[test]
    fn actions_and_their_complements() {
        let all = Catalog::get().len();
        let get = |name: &str| Catalog::get().find(name).unwrap();
        let everything = compiled(r#""Action":"*""#);
        assert_eq!((everything.set.len(), everything.open), (all, true));
        assert_eq!(compiled(r#""Action":"*:*""#), everything);
        let s3 = compiled(r#""Action":["S3:get*","s3:GetObject","iam:Pass?ole","nosuch:Thing"]"#);
        assert!(s3.set.contains(get("s3:GetObject")) && s3.set.contains(get("iam:PassRole")));
        assert!(!s3.set.contains(get("s3:PutObject")) && !s3.open);
        assert_eq!(s3.unmatched, ["nosuch:Thing"]);
        let not = compiled(r#""NotAction":["iam:*","organizations:*"]"#);
        assert!(not.open && not.set.contains(get("s3:GetObject")) && !not.set.contains(get("iam:PassRole")));
        let nothing = compiled(r#""NotAction":"*""#);
        assert!(nothing.set.is_empty() && !nothing.open);
    }
}
