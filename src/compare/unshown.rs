//! Kinds of management events that nothing shows to be recorded: nobody told what an account's trails record, and its logs
//! hold not one event of the kind. A trail of write events only looks like an account in which nobody reads.

use std::collections::BTreeMap;

use crate::catalog::{ActionSet, Catalog, LogClass};
use crate::usage::kinds::Kinds;
use crate::usage::trails::Trails;

use super::logged::Calls;
use super::observe::Classes;

/// What each kind takes with it, and the kinds that logs hold.
#[derive(Debug, Default)]
pub(super) struct Unshown<'a> {
    kinds: Option<&'a BTreeMap<String, Kinds>>,
    /// Management actions of which some call is, or may be, of the kind.
    actions: Vec<(Kinds, ActionSet)>,
}

/// Of an account of which nobody told what its trails record, the kinds of which its logs hold no event; none where nobody
/// looked. That a trail recorded one region only, or from a day on, is told by the hours without logs.
pub(super) fn lacking(trails: &Trails, account: &str, kinds: Option<&BTreeMap<String, Kinds>>) -> Vec<Kinds> {
    let Some(kinds) = kinds.filter(|_| !trails.told(account)) else { return Vec::new() };
    // Of an account without any there is nothing to be told from what is not there.
    let Some(there) = kinds.get(account) else { return Vec::new() };
    Kinds::EACH.into_iter().filter(|kind| !there.has(*kind)).collect()
}

impl<'a> Unshown<'a> {
    pub(super) fn of(
        calls: &Calls<'_>,
        catalog: &Catalog,
        classes: &Classes,
        kinds: Option<&'a BTreeMap<String, Kinds>>,
    ) -> Self {
        let mut actions: Vec<(Kinds, ActionSet)> =
            Kinds::EACH.iter().map(|kind| (*kind, catalog.no_actions())).collect();
        for id in classes.management.iter() {
            let mut of = Kinds::default();
            for call in calls.of_action(id, LogClass::Management) {
                let read = if call.read_only == Some(false) { Kinds::default() } else { Kinds::READS };
                let write = if call.read_only == Some(true) { Kinds::default() } else { Kinds::WRITES };
                of = of.with(read).with(write).with(Kinds::of_source(call.source.as_deref().unwrap_or_default()));
            }
            for (_, set) in actions.iter_mut().filter(|(kind, _)| of.has(*kind)) {
                set.insert(id);
            }
        }
        Self { kinds, actions }
    }

    /// See [`lacking`].
    pub(super) fn lacking(&self, trails: &Trails, account: &str) -> Vec<Kinds> {
        lacking(trails, account, self.kinds)
    }

    /// The actions that the logs of an account may not show, with the reason.
    pub(super) fn shades(&self, trails: &Trails, account: &str) -> Vec<(ActionSet, String)> {
        let lacking = self.lacking(trails, account);
        let of_kind = self.actions.iter().filter(|(kind, _)| lacking.contains(kind));
        let why = |kind: &Kinds| {
            format!("nobody told what the trails of {account} record, and its logs hold no {}", kind.words())
        };
        of_kind.map(|(kind, set)| (set.clone(), why(kind))).collect()
    }
}
