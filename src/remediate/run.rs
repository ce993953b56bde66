//! Carrying a plan out, and taking it back: a journal that is ahead of every effect, places that are read before and after,
//! and one rule for whatever went wrong in between.
//!
//! What was announced and not confirmed may have been made or not, because the program died or an answer was lost. The
//! place tells: it stands as before, or as after. So a new run goes on where the last one ended, whenever that was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model::arn::AccountId;

use super::effect::Effect;
use super::journal::{Journal, JournalError, Record};
use super::place::{Place, Value};
use super::{Failing, Plan, Step};

pub use super::progress::{Phase, Progress, State};

/// What access is changed at: AWS, or what stands for it in tests.
pub trait Target {
    /// What stands at a place.
    ///
    /// # Errors
    /// When that cannot be read.
    fn read(&mut self, account: AccountId, place: &Place) -> Result<Value, Trouble>;

    /// Makes a call. An error does not say that nothing was changed: the answer may have been lost.
    ///
    /// # Errors
    /// When it was refused, or nobody knows.
    fn make(&mut self, account: AccountId, effect: &Effect) -> Result<(), Trouble>;

    /// The unique id of a user or role, by ARN; none where it is not there.
    ///
    /// # Errors
    /// When that cannot be read.
    fn unique_id(&mut self, account: AccountId, arn: &str) -> Result<Option<String>, Trouble>;

    /// Waits for what is not to be seen yet.
    fn pause(&mut self, time: Duration);
}

/// Why a call did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why, in words.
    pub why: String,
    /// It may go through when it is tried again.
    pub again: bool,
}

/// How often a call is tried that may go through the next time, the first included.
const TRIES: usize = 4;
/// How often a place is read until it shows what was made. Source: IAM User Guide, "Changes that I make are not always
/// immediately visible": what is written is seen everywhere after seconds, seldom later.
const LOOKS: u32 = 12;
/// First wait between two looks; it doubles up to the longest. All of them are less than a minute.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

fn wait(look: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << look.min(10)).min(LONGEST_WAIT)
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was made, but for the groups that failed and were taken back.
    Applied,
    /// Everything was taken back that was to be.
    RolledBack,
    /// There was nothing to be done, and why.
    Already(String),
    /// It was not begun, and why.
    Refused(String),
    /// Something could not be taken back: a person has to look.
    Stuck,
    /// It was asked to stop; a new run goes on.
    Stopped,
}

/// A step with whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Item<'p> {
    /// Account.
    pub account: AccountId,
    /// ARN of the principal because of which it is made.
    pub principal: &'p str,
    /// Its unique id; empty where not known.
    pub id: &'p str,
    /// The step.
    pub step: &'p Step,
}

impl Plan {
    /// Its steps in order, each with the principal that it belongs to: what fails together is taken back together.
    #[must_use]
    pub fn items(&self) -> Vec<Item<'_>> {
        let grants = self.grants.iter().map(|one| (one.account, &one.principal, &one.id, &one.steps));
        let changes = self.changes.iter().map(|one| (one.account, &one.principal, &one.id, &one.steps));
        let mut out = Vec::new();
        for (account, principal, id, steps) in grants.chain(changes) {
            out.extend(steps.iter().map(|step| Item { account, principal, id, step }));
        }
        out
    }
}

/// A run: a plan, what it is made at, and where that is recorded.
pub struct Run<'a> {
    items: Vec<Item<'a>>,
    failing: Failing,
    target: &'a mut dyn Target,
    journal: &'a mut dyn Journal,
    progress: Progress,
    stop: &'a AtomicBool,
    /// Principals that were looked at, and why one is not the one that the plan means.
    known: BTreeMap<&'a str, Option<String>>,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<'a> Run<'a> {
    /// A run that goes on from what the journal says.
    pub fn new(plan: &'a Plan, target: &'a mut dyn Target, journal: &'a mut dyn Journal, stop: &'a AtomicBool) -> Self {
        let items = plan.items();
        let progress = Progress::of(items.len(), plan.failing, journal.lines());
        Self { items, failing: plan.failing, target, journal, progress, stop, known: BTreeMap::new() }
    }

    /// How far the plan came.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    fn record(&mut self, record: Record) -> Result<(), JournalError> {
        self.journal.write(record)?;
        if let Some(line) = self.journal.lines().last() {
            self.progress.take(line, self.failing);
        }
        Ok(())
    }

    /// Applies the plan, or goes on with it; `begin` is recorded where it begins, and is none where it did.
    ///
    /// # Errors
    /// When the journal cannot be written: then nothing more is made.
    pub fn apply(&mut self, begin: Option<Record>) -> Result<Ended, JournalError> {
        match &self.progress.phase {
            Phase::New | Phase::Scheduled(_) | Phase::RolledBack => match begin {
                Some(begin) => self.record(begin)?,
                None => return Ok(Ended::Refused("it was not begun".to_owned())),
            },
            Phase::Applying => {}
            Phase::Unwinding => return self.unwind(),
            Phase::Applied => return Ok(Ended::Already("it is applied already".to_owned())),
            Phase::RollingBack(_) => {
                return Ok(Ended::Refused("it is being rolled back: `remediate rollback` ends that".to_owned()));
            }
        }
        for at in 0..self.items.len() {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
            let Some(item) = self.items.get(at).copied() else { continue };
            // What failed with a principal is taken back before anything else is made.
            if self.failed_with(item.principal) {
                if !self.take_back(&|one: &Item<'_>| one.principal == item.principal)? {
                    return Ok(Ended::Stuck);
                }
                continue;
            }
            match self.forward(at, &item)? {
                Ok(()) => {}
                Err(why) => {
                    self.record(Record::Failed { step: at, why })?;
                    match self.failing {
                        Failing::Unwind => return self.unwind(),
                        Failing::GoOn => {
                            if !self.take_back(&|one: &Item<'_>| one.principal == item.principal)? {
                                return Ok(Ended::Stuck);
                            }
                        }
                    }
                }
            }
        }
        self.record(Record::Applied)?;
        Ok(Ended::Applied)
    }

    fn failed_with(&self, principal: &str) -> bool {
        self.progress.failed.keys().any(|at| self.items.get(*at).is_some_and(|item| item.principal == principal))
    }

    /// Takes back what was applied, of some principals or of all. What stands at the stuck calls of `accepted` principals
    /// stays, and the rest of these is taken back.
    ///
    /// # Errors
    /// When the journal cannot be written: then nothing more is made.
    pub fn roll_back(&mut self, by: &str, principals: &[String], accepted: &[String]) -> Result<Ended, JournalError> {
        match &self.progress.phase {
            Phase::New => return Ok(Ended::Already("nothing of it was applied".to_owned())),
            Phase::RolledBack => return Ok(Ended::Already("it is rolled back already".to_owned())),
            Phase::Scheduled(_) => {
                self.record(Record::RolledBack)?;
                return Ok(Ended::Already("it was announced, and is withdrawn".to_owned()));
            }
            Phase::Applying | Phase::Unwinding if !principals.is_empty() => {
                let why = "it was not applied to its end: only all of it can be rolled back";
                return Ok(Ended::Refused(why.to_owned()));
            }
            Phase::RollingBack(under_way)
                if under_way.is_empty() == principals.is_empty()
                    && principals.iter().all(|one| under_way.contains(one)) => {}
            _ => self.record(Record::RollingBack { by: by.to_owned(), principals: principals.to_vec() })?,
        }
        let chosen = match &self.progress.phase {
            Phase::RollingBack(chosen) => chosen.clone(),
            _ => BTreeSet::new(),
        };
        let of = |item: &Item<'_>| chosen.is_empty() || chosen.contains(item.principal);
        let stuck: Vec<usize> = self.progress.stuck.keys().copied().collect();
        for step in stuck {
            if self.items.get(step).is_some_and(|item| accepted.iter().any(|one| one == item.principal)) {
                self.record(Record::Accepted { step, by: by.to_owned() })?;
            }
        }
        if !self.take_back(&of)? {
            return Ok(Ended::Stuck);
        }
        self.record(Record::RolledBack)?;
        Ok(Ended::RolledBack)
    }

    fn unwind(&mut self) -> Result<Ended, JournalError> {
        if !self.take_back(&|_: &Item<'_>| true)? {
            return Ok(Ended::Stuck);
        }
        self.record(Record::RolledBack)?;
        Ok(Ended::RolledBack)
    }

    /// Whether a principal is the one that the plan means: the same name with another unique id is another one, to which
    /// nothing is given and from which nothing is taken.
    fn is_meant(&mut self, item: &Item<'a>) -> Result<(), String> {
        if item.id.is_empty() {
            return Ok(());
        }
        if !self.known.contains_key(item.principal) {
            let found = self.target.unique_id(item.account, item.principal).map_err(|trouble| trouble.why)?;
            let other = found.filter(|found| found != item.id);
            let why = other.map(|found| {
                format!("{} is another one of the same name: its id is {found}, and was {}", item.principal, item.id)
            });
            self.known.insert(item.principal, why);
        }
        match self.known.get(item.principal) {
            Some(Some(why)) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Takes back what was made, the last first. Says whether all of it could be. What cannot be given back to a principal
    /// keeps what took its place; others are taken back all the same.
    fn take_back(&mut self, of: &dyn Fn(&Item<'_>) -> bool) -> Result<bool, JournalError> {
        let mut stuck: BTreeSet<&str> = BTreeSet::new();
        for at in (0..self.items.len()).rev() {
            let Some(item) = self.items.get(at).copied().filter(|item| of(item)) else { continue };
            if stuck.contains(item.principal) {
                continue;
            }
            let (before, sure) = match self.progress.states.get(at) {
                Some(State::Done(before)) => (before.clone(), true),
                // A call may still be under way.
                Some(State::Doing(before) | State::Undoing(before)) => (before.clone(), false),
                _ => continue,
            };
            self.record(Record::Undoing { step: at })?;
            let back = self.is_meant(&item).and_then(|()| self.backward(at, &item, &before, sure));
            match back {
                Ok(()) => self.record(Record::Undone { step: at })?,
                Err(why) => {
                    stuck.insert(item.principal);
                    self.record(Record::Stuck { step: at, why })?;
                }
            }
        }
        Ok(stuck.is_empty())
    }

    /// Whether something else of the permission set that a place is of is in a state: before a step, or after it. Its roles
    /// follow what was written into it, and are left alone where nothing was.
    fn any_of_set(&self, of: std::ops::Range<usize>, place: &Place, is: fn(&State) -> bool) -> bool {
        let set = place.set();
        of.into_iter().any(|at| {
            let other = self.items.get(at).map(|item| item.step.effect.place());
            let theirs = other.is_some_and(|other| other.set() == set && !other.follows());
            theirs && self.progress.states.get(at).is_some_and(is)
        })
    }

    /// Makes a step; says why it cannot be made.
    fn forward(&mut self, at: usize, item: &Item<'a>) -> Result<Result<(), String>, JournalError> {
        let (place, wanted) = (item.step.effect.place(), item.step.effect.leaves());
        let ours = place.follows() && self.any_of_set(0..at, &place, |state| matches!(state, State::Done(_)));
        if let Err(why) = self.is_meant(item) {
            return Ok(Err(why));
        }
        let before = match self.progress.states.get(at) {
            Some(State::Doing(before)) => before.clone(),
            Some(State::Untouched) => {
                let expected = item.step.undo.leaves();
                let looked = match ours {
                    true => Ok(expected.clone()),
                    false => self.steady(item.account, &place, &expected),
                };
                let found = match looked {
                    Ok(found) => found,
                    Err(trouble) => return Ok(Err(trouble.why)),
                };
                if found != expected {
                    let why = format!(
                        "{place}: {} stands there, and the plan found {}: it was changed since",
                        found.told(),
                        expected.told()
                    );
                    return Ok(Err(why));
                }
                // As it stands, to the byte: that is what is put back.
                self.record(Record::Doing { step: at, before: found.clone() })?;
                found
            }
            _ => return Ok(Ok(())),
        };
        // Where nothing was written yet, there is nothing to follow.
        let made = match place.follows() && !ours {
            true => Ok(()),
            false => self.bring(item.account, &item.step.effect, &before, &wanted),
        };
        if made.is_ok() {
            self.record(Record::Done { step: at })?;
        }
        Ok(made)
    }

    /// Takes a step back; says why it cannot be.
    fn backward(&mut self, at: usize, item: &Item<'_>, before: &Value, sure: bool) -> Result<(), String> {
        let (place, after) = (item.step.effect.place(), item.step.effect.leaves());
        if place.follows() && !self.any_of_set(at..self.items.len(), &place, |state| *state == State::Undone) {
            // What others wrote into the set and did not bring into force would come into force with what is taken back.
            // Where nothing of ours stands there is nothing to take back, whatever others did.
            let ours = self.any_of_set(0..at, &place, |state| matches!(state, State::Done(_) | State::Doing(_)));
            let behind =
                sure && ours && self.steady(item.account, &place, &after).map_err(|trouble| trouble.why)? != after;
            return match behind {
                true => Err(format!("{place}: somebody changed the set and did not provision it since")),
                false => Ok(()),
            };
        }
        let undo = place.putting(before).ok_or_else(|| format!("{place}: no call puts {} there", before.told()))?;
        if !sure && !place.follows() && self.read(item.account, &place).map_err(|trouble| trouble.why)? == *before {
            // It was not made, or not yet: what may still be under way is overtaken. That it finds nothing to take back
            // is what is hoped for.
            let _ = self.target.make(item.account, &undo);
            return match self.seen(item.account, &place, before) {
                true => Ok(()),
                false => Err(format!("{place} does not come to rest")),
            };
        }
        self.bring(item.account, &undo, &after, before)
    }

    /// Brings a place from one value to another by a call. It may have been made before.
    fn bring(&mut self, account: AccountId, effect: &Effect, from: &Value, wanted: &Value) -> Result<(), String> {
        let place = effect.place();
        let mut why = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.target.pause(wait(attempt as u32 + 2));
            }
            let mut behind = false;
            match self.read(account, &place) {
                // Made whatever is seen: what was written a moment ago may not be.
                Ok(found) if place.follows() => behind = found != *wanted,
                Ok(found) if found == *wanted => return Ok(()),
                Ok(found) if found == *from => {}
                Ok(found) => {
                    return Err(format!(
                        "{place}: {} stands there, which is neither as before nor as after: somebody else changed it",
                        found.told()
                    ));
                }
                Err(trouble) => return Err(trouble.why),
            }
            match self.target.make(account, effect) {
                Ok(()) if self.seen(account, &place, wanted) => return Ok(()),
                Ok(()) => why = format!("{place}: it was changed, and does not show it"),
                Err(trouble) => {
                    // Made all the same: the answer was lost, or the call was repeated.
                    let steady =
                        |run: &mut Self| run.steady(account, &place, wanted).is_ok_and(|found| found == *wanted);
                    if (behind && trouble.again || !place.follows()) && steady(self) {
                        return Ok(());
                    }
                    why = trouble.why;
                    if !trouble.again {
                        return Err(why);
                    }
                }
            }
        }
        Err(why)
    }

    /// What stands at a place; what may be answered the next time is asked again.
    fn read(&mut self, account: AccountId, place: &Place) -> Result<Value, Trouble> {
        let mut tried = 0;
        loop {
            match self.target.read(account, place) {
                Err(trouble) if trouble.again && tried + 1 < TRIES => {
                    tried += 1;
                    self.target.pause(wait(tried as u32 + 2));
                }
                read => return read,
            }
        }
    }

    /// What stands at a place that should be as expected: where it is not, it is looked at again, for what was written last
    /// may not be seen everywhere yet.
    fn steady(&mut self, account: AccountId, place: &Place, expected: &Value) -> Result<Value, Trouble> {
        let mut found = self.read(account, place)?;
        for look in 0..4 {
            if found == *expected {
                break;
            }
            self.target.pause(wait(look));
            found = self.read(account, place)?;
        }
        Ok(found)
    }

    /// Whether a place comes to show a value.
    fn seen(&mut self, account: AccountId, place: &Place, wanted: &Value) -> bool {
        for look in 0..LOOKS {
            if self.read(account, place).is_ok_and(|found| found == *wanted) {
                return true;
            }
            self.target.pause(wait(look));
        }
        false
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
