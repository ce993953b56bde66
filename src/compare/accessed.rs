//! IAM's last accessed information beside the logs: where it saw an attempt that the logs do not show, what may have
//! been attempted is not called unused; where it agrees with the logs, it is evidence.
//!
//! It counts attempts, also those that were denied ("Refine permissions in AWS using last accessed information", AWS
//! IAM User Guide), so it never makes "used"; and a call that the logs do show about that time, whatever became of it,
//! explains it. It tells the last attempt only: one before the window or after the instant asked about says nothing
//! against the logs. That IAM tracked no attempt is no proof of none: it tracks neither every region nor every action,
//! nor for ever, and only access that the principal's own policies allow.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::catalog::{Action, ActionId, ActionSet, Catalog};
use crate::entitlements::PrincipalEntitlements;
use crate::model::last_accessed::{ActionLastAccessed, PrincipalLastAccessed, ServiceLastAccessed};
use crate::model::time::{Day, Timestamp, Window};

use super::Shared;
use super::used::OwnActivity;

/// What IAM says of one principal, held against its logs. Without a report it says nothing.
#[derive(Debug, Default)]
pub struct Accessed<'a> {
    report: Option<&'a PrincipalLastAccessed>,
    /// First number of a service's actions → the number after its last, and what IAM says of the service.
    services: BTreeMap<u32, (u32, &'a ServiceLastAccessed)>,
    /// What IAM says of the actions that it tracks.
    actions: BTreeMap<ActionId, &'a ActionLastAccessed>,
    contradicted: Vec<(ActionSet, String)>,
    /// Start of the window.
    from: Timestamp,
    /// The instant asked about.
    as_of: Timestamp,
}

impl<'a> Accessed<'a> {
    /// Holds a report against what the logs show of the principal in the window. Attempts between the window's end and
    /// `as_of`, of which the logs are not settled yet, count as well: nobody is to be told that something is unused
    /// that IAM saw accessed an hour ago.
    #[must_use]
    pub fn of(
        report: &'a PrincipalLastAccessed,
        own: &OwnActivity<'_>,
        catalog: &Catalog,
        window: Window,
        as_of: Timestamp,
    ) -> Self {
        let mut accessed = Self { report: Some(report), from: window.from, as_of, ..Self::default() };
        let within = |at: Option<Timestamp>| at.filter(|at| window.from <= *at && *at <= as_of);
        for service in &report.services {
            let namespace = service.namespace.as_str();
            let Some(range) = catalog.service(namespace) else { continue };
            accessed.services.insert(range.start, (range.end, service));
            let mut tracked = Vec::new();
            for action in &service.actions {
                let Some(id) = catalog.find_in(namespace, &action.name) else { continue };
                tracked.push(id);
                accessed.actions.insert(id, action);
                if let Some(at) = within(action.at)
                    && !own.attempted(id, &about(at))
                {
                    let mut set = catalog.no_actions();
                    set.insert(id);
                    let what = format!("{namespace}:{}", action.name);
                    accessed.contradicted.push((set, unseen(&what, at, &action.region)));
                }
            }
            if let Some(at) = within(service.at)
                && !own.attempted_service(namespace, &range, &about(at))
            {
                // What IAM says of an action itself tells more than what it says of the service.
                let mut set = catalog.no_actions();
                set.insert_range(range);
                for id in tracked {
                    set.remove(id);
                }
                accessed.contradicted.push((set, unseen(namespace, at, &service.region)));
            }
        }
        accessed
    }

    /// Actions of which IAM saw, or may have seen, an attempt that the logs do not show, with the reason; the sets do
    /// not overlap.
    #[must_use]
    pub fn contradicted(&self) -> &[(ActionSet, String)] {
        &self.contradicted
    }

    /// What agrees with an action being unused: IAM tracked no attempt, or the last one before the window. None where
    /// it says something else or nothing, or where the report is older than the window.
    #[must_use]
    pub fn agrees(&self, action: Action<'_>) -> Option<String> {
        let report = self.report.filter(|report| report.completed > self.from)?;
        let (what, at) = self.of_action(action)?;
        at.is_none_or(|at| at < self.from).then(|| said(&what, at, report.completed))
    }

    /// What does not fit an authorised call at `last`: IAM, asked more than a day later, knows of no attempt about then
    /// or after it. For information only: IAM does not track every call.
    #[must_use]
    pub fn misses(&self, action: Action<'_>, last: Timestamp) -> Option<String> {
        let report = self.report.filter(|report| last.plus_days(1) < report.completed)?;
        let (what, at) = self.of_action(action)?;
        let older = at.is_none_or(|at| at.day() < *about(last).start());
        older.then(|| format!("{}, and does not track every call", said(&what, at, report.completed)))
    }

    /// What IAM says of a service, given by the first number of its actions, in words.
    #[must_use]
    pub fn of_service(&self, first: u32) -> Option<String> {
        let (_, service) = self.services.get(&first)?;
        Some(said(&service.namespace, service.at, self.report?.completed))
    }

    /// The last attempt that IAM tracked, up to the instant asked about.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        let services = self.report.into_iter().flat_map(|report| &report.services);
        let all = services.flat_map(|service| {
            service.actions.iter().map(|action| action.at).chain(std::iter::once(service.at)).flatten()
        });
        all.filter(|at| *at <= self.as_of).max()
    }

    /// What IAM says of an action, or where it does not track it of its service: of what, and the last attempt.
    fn of_action(&self, action: Action<'_>) -> Option<(String, Option<Timestamp>)> {
        if let Some(tracked) = self.actions.get(&action.id()) {
            return Some((action.full_name(), tracked.at));
        }
        let number = action.id().0;
        let (_, (end, service)) = self.services.range(..=number).next_back()?;
        (number < *end).then(|| (service.namespace.clone(), service.at))
    }
}

impl Shared<'_> {
    /// What IAM saw of a principal. A report from before it was created is on another one of that ARN.
    pub(super) fn accessed(&self, granted: &PrincipalEntitlements, own: &OwnActivity<'_>) -> Accessed<'_> {
        let inputs = self.inputs;
        let created = self.records.get(granted.arn.as_str()).and_then(|record| record.holder.created);
        match inputs.snapshot.last_accessed.get(&granted.arn) {
            Some(report) if created.is_none_or(|created| created <= report.completed) => {
                Accessed::of(report, own, inputs.catalog, inputs.coverage.window(), inputs.as_of)
            }
            _ => Accessed::default(),
        }
    }
}

/// The days on which a call counts as the one that IAM saw: 24 hours before and after it, by whole days like all use.
fn about(at: Timestamp) -> RangeInclusive<Day> {
    at.plus_days(-1).day()..=at.plus_days(1).day()
}

fn unseen(what: &str, at: Timestamp, region: &str) -> String {
    let place = if region.is_empty() { String::new() } else { format!(" in {region}") };
    format!("IAM saw {what} accessed on {}{place}, allowed or denied, which the logs do not show", at.day())
}

fn said(what: &str, at: Option<Timestamp>, completed: Timestamp) -> String {
    let completed = completed.day();
    match at {
        Some(at) => format!("as of {completed} IAM tracked the last attempt on {what} on {}", at.day()),
        None => format!("as of {completed} IAM tracked no attempt on {what} within its tracking period"),
    }
}

#[cfg(test)]
mod tests;
