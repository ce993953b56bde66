//! What caps a principal from above: its permissions boundary and the levels of service control policies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::ActionSet;
use crate::decide::Placed;
use crate::decide::compile::CompiledStatement;
use crate::model::time::Timestamp;
use crate::policy::Effect;

use super::facts::{self, Facts, Truth};
use super::{Limit, LimitKind};

/// Whether a Deny could take something from an Allow: a cheap test before anything is copied.
pub(super) fn concerns(deny: &Placed, allow: &CompiledStatement) -> bool {
    deny.statement.actions.intersects(&allow.actions) || (deny.statement.open && allow.open)
}

fn limit(placed: &Placed, kind: LimitKind, actions: ActionSet) -> Arc<Limit> {
    let scope = Arc::clone(&placed.statement.scope);
    Arc::new(Limit { kind, scope, actions: Arc::new(actions), provenance: placed.provenance() })
}

/// One cap: the boundary, or one level of SCPs. Only what some Allow of it allows passes.
#[derive(Debug)]
pub(super) struct Cap {
    /// Allowed on every resource, always.
    free: ActionSet,
    free_open: bool,
    /// Allow statements that are limited by resource or condition.
    limited: Vec<Placed>,
}

impl Cap {
    pub(super) fn new(statements: &[Placed], size: usize) -> Self {
        let mut cap = Self { free: ActionSet::new(size), free_open: false, limited: Vec::new() };
        for placed in statements.iter().filter(|placed| placed.statement.effect == Effect::Allow) {
            if placed.statement.scope.is_everything() {
                cap.free.union_with(&placed.statement.actions);
                cap.free_open |= placed.statement.open;
            } else {
                cap.limited.push(placed.clone());
            }
        }
        cap
    }

    fn apply(&self, to: &mut Part) {
        let mut rest = (*to.actions).clone();
        rest.subtract(&self.free);
        let mut open = self.free_open;
        if rest.is_empty() && (open || !to.open) {
            return;
        }
        let mut kept = (*to.actions).clone();
        kept.intersect_with(&self.free);
        // Whole first, so that no limit is noted for what another statement allows without one.
        let meets = |placed: &&Placed| placed.statement.scope.resources.overlaps(&to.scope_of.scope.resources);
        let (whole, partly): (Vec<&Placed>, Vec<&Placed>) = self.limited.iter().filter(meets).partition(|placed| {
            let scope = &placed.statement.scope;
            scope.conditions.is_empty() && scope.resources.covers(&to.scope_of.scope.resources)
        });
        for placed in whole {
            kept.union_with(&intersection(&rest, &placed.statement.actions));
            open |= placed.statement.open;
        }
        rest.subtract(&kept);
        for placed in partly {
            open |= placed.statement.open;
            let part = intersection(&rest, &placed.statement.actions);
            if !part.is_empty() {
                kept.union_with(&part);
                to.limits.push(limit(placed, LimitKind::OnlyWithin, part));
            }
        }
        to.open &= open;
        to.actions = Arc::new(kept);
    }
}

fn intersection(a: &ActionSet, b: &ActionSet) -> ActionSet {
    let mut out = a.clone();
    out.intersect_with(b);
    out
}

/// What is left of an Allow statement on the way through the layers.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) scope_of: Arc<CompiledStatement>,
    pub(super) actions: Arc<ActionSet>,
    pub(super) open: bool,
    pub(super) limits: Vec<Arc<Limit>>,
    /// Actions that a Deny may take away altogether, which depends on what is not known about the principal.
    pub(super) undecided: Option<ActionSet>,
}

impl Part {
    pub(super) fn of(statement: &Arc<CompiledStatement>) -> Self {
        Self {
            scope_of: Arc::clone(statement),
            actions: Arc::clone(&statement.actions),
            open: statement.open,
            limits: Vec::new(),
            undecided: None,
        }
    }

    /// The actions left of which it is not known whether they are granted.
    pub(super) fn doubtful(&self) -> ActionSet {
        self.undecided
            .as_ref()
            .map_or_else(|| ActionSet::new(self.actions.capacity()), |undecided| intersection(undecided, &self.actions))
    }

    /// The actions left that are surely granted.
    pub(super) fn certain(&self) -> ActionSet {
        let mut out = (*self.actions).clone();
        if let Some(undecided) = &self.undecided {
            out.subtract(undecided);
        }
        out
    }

    /// Applies a Deny: takes away what it surely denies on all of the scope, and notes the rest.
    pub(super) fn deny(&mut self, deny: &Placed, facts: &Facts) {
        let statement = &deny.statement;
        if !(statement.actions.intersects(&self.actions) || (statement.open && self.open)) {
            return;
        }
        let (theirs, mine) = (&statement.scope, &self.scope_of.scope);
        if !theirs.resources.overlaps(&mine.resources) {
            return;
        }
        let applies = facts.decide(&statement.conditions);
        if applies == Truth::Never {
            return;
        }
        let conditional = applies != Truth::Always;
        if !conditional && theirs.resources.covers(&mine.resources) {
            let mut left = (*self.actions).clone();
            left.subtract(&statement.actions);
            self.actions = Arc::new(left);
            self.open &= !statement.open;
            return;
        }
        let touched = intersection(&self.actions, &statement.actions);
        if applies == Truth::Unknown {
            self.undecided.get_or_insert_with(|| ActionSet::new(touched.capacity())).union_with(&touched);
        }
        let kind = if conditional { LimitKind::DeniedIf } else { LimitKind::Denied };
        self.limits.push(limit(deny, kind, touched));
    }
}

/// All that caps the principals of one account that have the same boundary.
#[derive(Debug, Default)]
pub(super) struct Ceiling {
    pub(super) caps: Vec<Arc<Cap>>,
    /// Denies that mean every principal of the account alike.
    pub(super) denies: Vec<Placed>,
    /// Denies under conditions on which principal it is.
    pub(super) personal: Vec<Placed>,
    /// Whether a boundary or SCP is missing or cannot be parsed, so that every answer may be another.
    pub(super) undecidable: bool,
    /// Creation of the boundary's version.
    pub(super) since: Option<Timestamp>,
    /// What the ceiling leaves of a statement, by the statement's address (which the value keeps alive).
    pub(super) cache: Mutex<HashMap<usize, Arc<Part>>>,
}

impl Ceiling {
    /// Adds the Deny statements of a boundary or of SCPs.
    pub(super) fn deny(&mut self, statements: impl IntoIterator<Item = Placed>) {
        for placed in statements.into_iter().filter(|placed| placed.statement.effect == Effect::Deny) {
            let personal = facts::personal(&placed.statement.conditions);
            if personal { self.personal.push(placed) } else { self.denies.push(placed) }
        }
    }

    /// What is left of an Allow statement below this ceiling, but for its personal denies; computed once for each.
    pub(super) fn under(&self, statement: &Arc<CompiledStatement>, account: &Facts) -> Arc<Part> {
        let key = Arc::as_ptr(statement).addr();
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return Arc::clone(known);
        }
        let mut part = Part::of(statement);
        for cap in &self.caps {
            cap.apply(&mut part);
        }
        for deny in &self.denies {
            part.deny(deny, account);
        }
        Arc::clone(lock().entry(key).or_insert(Arc::new(part)))
    }
}
