//! Compiled policies: every distinct document is parsed and expanded once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::{ActionSet, Catalog, Glob};
use crate::policy::compile::{CompiledActions, compile};
use crate::policy::{
    ActionMatch, ArnPattern, DocumentKind, Effect, PolicyDocument, PolicyError, PrincipalElement, ResourceMatch,
    Version,
};

use super::condition::{self, CompiledCondition};
use super::principal::{self, Ways};
use super::reach::Reach;
use super::request::{ActionName, Request};
use super::scope::Scope;
use super::truth::Truth;

/// A statement over the catalogue: the one form from which both requests are decided and entitlements are computed.
#[derive(Debug)]
pub struct CompiledStatement {
    /// Its place in the document.
    pub index: usize,
    /// Its Sid; empty where none.
    pub sid: String,
    /// Allow or Deny.
    pub effect: Effect,
    /// Actions of the catalogue that it names.
    named: Arc<ActionSet>,
    /// Its action element, for actions that the catalogue does not know.
    patterns: ActionMatch,
    globs: Vec<Glob>,
    /// Actions that the statement's resources can be used with.
    pub actions: Arc<ActionSet>,
    /// Actions that it names in vain.
    pub ineffective: Option<ActionSet>,
    /// Whether it also means actions that the catalogue does not know.
    pub open: bool,
    /// Whom it is about; none in policies that are about their holder.
    pub principal: Option<PrincipalElement>,
    /// Resources and conditions, as written.
    pub scope: Arc<Scope>,
    /// The conditions, ready to be decided.
    pub conditions: Vec<CompiledCondition>,
    /// Patterns that match nothing.
    pub unmatched: Vec<String>,
}

impl CompiledStatement {
    /// Whether it is about the action.
    #[must_use]
    pub fn names(&self, action: &ActionName) -> bool {
        match action.id {
            Some(id) => self.named.contains(id),
            None => {
                let named = self.globs.iter().any(|glob| glob.matches(&action.text));
                named == matches!(self.patterns, ActionMatch::Action(_))
            }
        }
    }

    /// Whether it is about the resource.
    #[must_use]
    pub fn concerns(&self, request: &Request) -> Truth {
        let any = |patterns: &[ArnPattern]| {
            let (text, parts) = (request.resource.as_str(), request.resource.parts());
            let value = condition::variable(&request.context);
            let mut found = Truth::False;
            for pattern in patterns {
                match pattern.matches_with(text, parts.as_ref(), &value) {
                    Some(true) => return Truth::True,
                    Some(false) => {}
                    None => found = Truth::Unknown,
                }
            }
            found
        };
        match &self.scope.resources {
            ResourceMatch::Resource(patterns) => any(patterns),
            ResourceMatch::NotResource(patterns) => any(patterns).negate(),
            ResourceMatch::Implied => Truth::True,
        }
    }

    /// Whether it applies to a request, and in which ways it reaches the caller. `bounded`: the caller has a
    /// permissions boundary.
    #[must_use]
    pub fn applies(&self, request: &Request, bounded: bool) -> Ways {
        if !self.names(&request.action) {
            return Ways::NONE;
        }
        let ways = match &self.principal {
            None => Ways::ITSELF,
            Some(element) => principal::reaches(element, self.effect, &request.caller, bounded),
        };
        if ways.any().is_false() {
            return ways;
        }
        let concerned = self.concerns(request);
        if concerned.is_false() {
            return Ways::NONE;
        }
        ways.and(concerned.and(condition::all(&self.conditions, &request.context)))
    }
}

/// A document over the catalogue, or why it is not one.
pub type Compiled = Result<Arc<[Arc<CompiledStatement>]>, Arc<PolicyError>>;

/// Compiles documents, each distinct text once.
#[derive(Debug)]
pub struct Compiler<'c> {
    /// The catalogue.
    pub catalog: &'c Catalog,
    /// None where only requests are decided: which actions a resource can be used with does not matter to them.
    reach: Option<Reach<'c>>,
    documents: Mutex<HashMap<(blake3::Hash, DocumentKind), Compiled>>,
    actions: Mutex<BTreeMap<ActionMatch, Arc<CompiledActions>>>,
    scopes: Mutex<BTreeSet<Arc<Scope>>>,
}

impl<'c> Compiler<'c> {
    /// Over a catalogue, for entitlements and decisions.
    #[must_use]
    pub fn new(catalog: &'c Catalog) -> Self {
        Self { reach: Some(Reach::new(catalog)), ..Self::deciding(catalog) }
    }

    /// Over a catalogue, for decisions only: many times as fast, since [`CompiledStatement::actions`] is then simply
    /// what the statement names.
    #[must_use]
    pub fn deciding(catalog: &'c Catalog) -> Self {
        Self { catalog, reach: None, documents: Mutex::default(), actions: Mutex::default(), scopes: Mutex::default() }
    }

    /// The compiled document. Of two threads that compile the same text, one's result serves both.
    ///
    /// # Errors
    /// When the text is not a document of that kind.
    pub fn document(&self, text: &str, kind: DocumentKind) -> Compiled {
        let key = (blake3::hash(text.as_bytes()), kind);
        if let Some(known) = lock(&self.documents).get(&key) {
            return known.clone();
        }
        let made = match PolicyDocument::parse(text, kind) {
            Ok(document) => {
                let variables = document.version == Version::V2012;
                let statements = document.statements.into_iter().enumerate();
                Ok(statements.map(|(at, statement)| self.statement(at, statement, variables)).collect())
            }
            Err(error) => Err(Arc::new(error)),
        };
        lock(&self.documents).entry(key).or_insert(made).clone()
    }

    fn statement(&self, index: usize, statement: crate::policy::Statement, variables: bool) -> Arc<CompiledStatement> {
        let compiled = self.actions(&statement.actions);
        let conditions =
            statement.conditions.iter().map(|one| CompiledCondition::new(one.clone(), variables)).collect();
        let globs = statement.actions.patterns().iter().map(|pattern| pattern.glob()).collect();
        let scope = self.scope(Scope { resources: statement.resources, conditions: statement.conditions });
        let unreachable = self.reach.as_ref().map(|reach| reach.unreachable(&compiled.set, &scope.resources));
        let (actions, ineffective) = match unreachable.filter(|actions| !actions.is_empty()) {
            None => (Arc::clone(&compiled.set), None),
            Some(unreachable) => {
                let mut actions = (*compiled.set).clone();
                actions.subtract(&unreachable);
                (Arc::new(actions), Some(unreachable))
            }
        };
        Arc::new(CompiledStatement {
            index,
            sid: statement.sid.unwrap_or_default(),
            effect: statement.effect,
            named: Arc::clone(&compiled.set),
            patterns: statement.actions,
            globs,
            principal: statement.principal,
            conditions,
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
