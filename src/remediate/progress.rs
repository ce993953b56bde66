//! What a journal says of a plan: how far it came, and each of its steps.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::time::{Timestamp, Window};

use super::Failing;
use super::journal::{Line, Record};
use super::place::Value;

/// How far a step came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was announced.
    Untouched,
    /// It was announced; what stood at its place before.
    Doing(Value),
    /// It was made and read back.
    Done(Value),
    /// Taking it back was announced.
    Undoing(Value),
    /// It was taken back and read back.
    Undone,
}

/// How far a plan came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was done.
    New,
    /// It is announced for later.
    Scheduled(Timestamp),
    /// It is being applied.
    Applying,
    /// It could not be applied, and is being taken back.
    Unwinding,
    /// It was applied; what was taken back of it or failed the states tell.
    Applied,
    /// It is being taken back: of these principals, or of all where none is named.
    RollingBack(BTreeSet<String>),
    /// All of it was taken back.
    RolledBack,
}

impl Phase {
    /// As output names it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Scheduled(_) => "scheduled",
            Self::Applying => "applying",
            Self::Unwinding => "unwinding",
            Self::Applied => "applied",
            Self::RollingBack(_) => "rolling_back",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What a journal says of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How far it came.
    pub phase: Phase,
    /// How far each step came.
    pub states: Vec<State>,
    /// Why steps could not be made.
    pub failed: BTreeMap<usize, String>,
    /// Why steps could not be taken back.
    pub stuck: BTreeMap<usize, String>,
    /// When it was applied, and proved on which window.
    pub applied: Option<Timestamp>,
    /// Of which calls it was proved.
    pub window: Option<Window>,
}

impl Progress {
    /// Reads a journal of a plan with so many steps.
    #[must_use]
    pub fn of(steps: usize, failing: Failing, lines: &[Line]) -> Self {
        let mut out = Self {
            phase: Phase::New,
            states: vec![State::Untouched; steps],
            failed: BTreeMap::new(),
            stuck: BTreeMap::new(),
            applied: None,
            window: None,
        };
        for line in lines {
            out.take(line, failing);
        }
        out
    }

    pub(super) fn take(&mut self, line: &Line, failing: Failing) {
        match &line.record {
            Record::Scheduled { not_before, .. } => {
                if matches!(self.phase, Phase::New | Phase::Scheduled(_) | Phase::RolledBack) {
                    self.phase = Phase::Scheduled(*not_before);
                }
            }
            Record::Begin { from, to, .. } => {
                *self = Self::of(self.states.len(), failing, &[]);
                self.phase = Phase::Applying;
                self.window = Some(Window { from: *from, to: *to });
            }
            Record::Doing { step, before } => self.set(*step, State::Doing(before.clone())),
            Record::Done { step } => self.become_of(*step, State::Done),
            Record::Undoing { step } => self.become_of(*step, State::Undoing),
            Record::Undone { step } => {
                self.stuck.remove(step);
                self.set(*step, State::Undone);
            }
            Record::Failed { step, why } => {
                self.failed.insert(*step, why.clone());
                if failing == Failing::Unwind {
                    self.phase = Phase::Unwinding;
                }
            }
            Record::Stuck { step, why } => drop(self.stuck.insert(*step, why.clone())),
            // A person answers for what stands there.
            Record::Accepted { step, .. } => {
                self.stuck.remove(step);
                self.set(*step, State::Undone);
            }
            Record::Applied => {
                self.phase = Phase::Applied;
                self.applied = Some(line.at);
            }
            Record::RollingBack { principals, .. } => {
                let mut all: BTreeSet<String> = principals.iter().cloned().collect();
                // What was to be taken back before still is.
                if let Phase::RollingBack(before) = &self.phase {
                    all = if before.is_empty() || all.is_empty() { BTreeSet::new() } else { &all | before };
                }
                self.phase = Phase::RollingBack(all);
            }
            Record::RolledBack => {
                self.phase = if self.stands() { Phase::Applied } else { Phase::RolledBack };
            }
        }
    }

    fn set(&mut self, step: usize, state: State) {
        if let Some(at) = self.states.get_mut(step) {
            *at = state;
        }
    }

    fn become_of(&mut self, step: usize, state: fn(Value) -> State) {
        let Some(at) = self.states.get_mut(step) else { return };
        if let State::Doing(before) | State::Done(before) | State::Undoing(before) = &*at {
            *at = state(before.clone());
        }
    }

    /// Whether anything of the plan stands, or may.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.states.iter().any(|state| !matches!(state, State::Untouched | State::Undone))
    }
}
