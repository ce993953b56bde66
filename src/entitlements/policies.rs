//! Compiled policies: every distinct document is parsed and expanded once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::{ActionSet, Catalog};
use crate::policy::compile::{CompiledActions, compile};
use crate::policy::{ActionMatch, DocumentKind, Effect, PolicyDocument, PolicyError};

use super::reach::Reach;
use super::scope::Scope;

/// A statement over the catalogue.
#[derive(Debug)]
pub(super) struct CompiledStatement {
    pub(super) index: usize,
    pub(super) sid: String,
    pub(super) effect: Effect,
    /// Actions that the statement's resources can be used with.
    pub(super) actions: Arc<ActionSet>,
    /// Actions that it names in vain.
    pub(super) ineffective: Option<ActionSet>,
    /// Whether it also means actions that the catalogue does not know.
    pub(super) open: bool,
    pub(super) scope: Arc<Scope>,
    /// Patterns that match nothing.
    pub(super) unmatched: Vec<String>,
}

/// A document over the catalogue, or why it is not one.
pub(super) type Compiled = Result<Arc<[Arc<CompiledStatement>]>, Arc<PolicyError>>;

/// Compiles documents, each distinct text once.
pub(super) struct Compiler<'c> {
    pub(super) catalog: &'c Catalog,
    reach: Reach<'c>,
    documents: Mutex<HashMap<(blake3::Hash, DocumentKind), Compiled>>,
    actions: Mutex<BTreeMap<ActionMatch, Arc<CompiledActions>>>,
    scopes: Mutex<BTreeSet<Arc<Scope>>>,
}

impl<'c> Compiler<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Self {
        Self {
            catalog,
            reach: Reach::new(catalog),
            documents: Mutex::default(),
            actions: Mutex::default(),
            scopes: Mutex::default(),
        }
    }

    /// The compiled document. Of two threads that compile the same text, one's result serves both.
    pub(super) fn document(&self, text: &str, kind: DocumentKind) -> Compiled {
        let key = (blake3::hash(text.as_bytes()), kind);
        if let Some(known) = lock(&self.documents).get(&key) {
            return known.clone();
        }
        let made = match PolicyDocument::parse(text, kind) {
            Ok(document) => {
                Ok(document.statements.into_iter().enumerate().map(|(at, s)| self.statement(at, s)).collect())
            }
            Err(error) => Err(Arc::new(error)),
        };
        lock(&self.documents).entry(key).or_insert(made).clone()
    }

    fn statement(&self, index: usize, statement: crate::policy::Statement) -> Arc<CompiledStatement> {
        let compiled = self.actions(&statement.actions);
        let scope = self.scope(Scope { resources: statement.resources, conditions: statement.conditions });
        let unreachable = self.reach.unreachable(&compiled.set, &scope.resources);
        let (actions, ineffective) = if unreachable.is_empty() {
            (Arc::clone(&compiled.set), None)
        } else {
            let mut actions = (*compiled.set).clone();
            actions.subtract(&unreachable);
            (Arc::new(actions), Some(unreachable))
        };
        Arc::new(CompiledStatement {
            index,
            sid: statement.sid.unwrap_or_default(),
            effect: statement.effect,
            actions,
            ineffective,
            open: compiled.open,
            scope,
            unmatched: compiled.unmatched.clone(),
        })
    }

    fn actions(&self, actions: &ActionMatch) -> Arc<CompiledActions> {
        if let Some(known) = lock(&self.actions).get(actions) {
            return Arc::clone(known);
        }
        let made = Arc::new(compile(actions, self.catalog));
        Arc::clone(lock(&self.actions).entry(actions.clone()).or_insert(made))
    }

    fn scope(&self, scope: Scope) -> Arc<Scope> {
        let mut scopes = lock(&self.scopes);
        if let Some(known) = scopes.get(&scope) {
            return Arc::clone(known);
        }
        let made = Arc::new(scope);
        scopes.insert(Arc::clone(&made));
        made
    }
}

/// A poisoned cache holds whole entries only, so what is in it may be used.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
