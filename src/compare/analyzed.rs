//! IAM Access Analyzer's findings of unused access beside the logs: where both say the same it is evidence, where they
//! differ both are shown. They change no verdict: nothing is unused that the logs could not show.
//!
//! It finds roles without activity, keys and passwords of users that were not used, and services and actions that roles
//! hold by their identity-based policies and did not use, of actions only those that IAM tracks ("IAM Access Analyzer
//! findings", AWS IAM User Guide). It rests on IAM's last accessed information ("Using AWS Identity and Access
//! Management Access Analyzer"), which counts denied attempts too ("Refine permissions in AWS using last accessed
//! information"), and looks back over a tracking period of 1 to 365 days, at what existed for all of it ("Create an IAM
//! Access Analyzer unused access analyzer"). The zone of trust is an account or the organisation, less what analysis
//! rules exclude, which is not collected ("AnalyzerSummary" and "UnusedAccessConfiguration", IAM Access Analyzer API
//! Reference).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::catalog::{Action, ActionId, ActionSet, Catalog};
use crate::entitlements::{PrincipalEntitlements, PrincipalKind};
use crate::model::access_analyzer::{Analyzer, AnalyzerFinding, FindingDetail, FindingStatus};
use crate::model::account::AccountDetails;
use crate::model::arn::AccountId;
use crate::model::snapshot::{CredentialRow, Snapshot};
use crate::model::time::{Day, Timestamp, Window};

use super::Shared;
use super::assessment::{AnalyzerNotes, CredentialFacts, CredentialKind, Verdict};
use super::used::OwnActivity;

/// The longest tracking period that can be chosen, in days: what counts where the period is not known.
const LONGEST_TRACKING: u32 = 365;

/// A new analyzer needs time for its first findings; the documentation does not say how much.
const SETTLING_DAYS: i64 = 2;

/// How far a tracking period may reach beyond the window: one of the same length ends when the analyzer looked, not
/// when the logs are settled.
const SLACK_DAYS: i64 = 2;

/// IAM knows recent activity within four hours ("Refine permissions in AWS using last accessed information").
const UNTRACKED_SECONDS: i64 = 4 * 3_600;

/// Most actions that a note names.
const SHOWN: usize = 12;

/// An unused access analyzer.
#[derive(Clone, Copy, Debug)]
struct Watcher<'a> {
    analyzer: &'a Analyzer,
    /// The account that has it.
    account: AccountId,
    captured_at: Timestamp,
}

impl Watcher<'_> {
    /// When it looked last: it looks at everything within a day ("Understanding unused access findings in Security
    /// Hub", AWS Security Hub User Guide).
    fn looked(&self) -> Timestamp {
        self.analyzer.analyzed.unwrap_or_else(|| self.captured_at.plus_days(-1))
    }

    /// Since when it would have to have seen no use.
    fn since(&self) -> Timestamp {
        let days = self.analyzer.unused_age.unwrap_or(LONGEST_TRACKING).min(LONGEST_TRACKING);
        self.looked().plus_days(-i64::from(days))
    }

    /// Its name, for somebody who looks at `account`.
    fn name(&self, account: AccountId) -> String {
        let whose = if self.account == account { String::new() } else { format!(" of {}", self.account) };
        let age = match self.analyzer.unused_age {
            Some(1) => " (unused for 1 day)".to_owned(),
            Some(days) => format!(" (unused for {days} days)"),
            None => String::new(),
        };
        format!("Access Analyzer {}{whose}{age}", self.analyzer.name)
    }
}

/// Something that an analyzer calls unused.
#[derive(Clone, Copy, Debug)]
struct Claim<'a> {
    watcher: Watcher<'a>,
    finding: &'a AnalyzerFinding,
    detail: &'a FindingDetail,
}

impl Claim<'_> {
    /// Days on which a use contradicts it: whole days within the tracking period, after the last use that it knows of,
    /// and so long before it looked that IAM knew of them.
    fn days(&self, last: Option<Timestamp>) -> Range<Day> {
        let looked = looked(self.watcher, self.finding);
        let age = self.watcher.analyzer.unused_age.map(|days| looked.plus_days(-i64::from(days)));
        let first = last.max(age).map_or(Day(i32::MIN), |from| from.day().next());
        first..looked.plus_seconds(-UNTRACKED_SECONDS).day()
    }

    fn reference(&self) -> String {
        let archived = if self.finding.status == FindingStatus::Archived { "archived " } else { "" };
        let updated = self.finding.updated.map(|at| format!(", updated {}", at.day())).unwrap_or_default();
        format!("{archived}finding {}{updated}", self.finding.id)
    }
}

/// When an analyzer looked at what a finding is about.
fn looked(watcher: Watcher<'_>, finding: &AnalyzerFinding) -> Timestamp {
    finding.analyzed.or(finding.updated).unwrap_or(watcher.captured_at)
}

/// The unused access analyzers of a snapshot, and what they found.
#[derive(Debug, Default)]
pub struct Analyzers<'a> {
    /// Those that work.
    watchers: Vec<Watcher<'a>>,
    /// By the ARN that findings are about, by analyzer and id; without those that are resolved.
    found: BTreeMap<&'a str, Vec<(Watcher<'a>, &'a AnalyzerFinding)>>,
    /// Accounts of the organisation.
    members: BTreeSet<AccountId>,
}

/// A user or role that analyzers may know.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// ARN.
    pub arn: &'s str,
    /// Account.
    pub account: AccountId,
    /// Whether it is a role.
    pub role: bool,
    /// Creation time.
    pub created: Option<Timestamp>,
}

impl<'a> Analyzers<'a> {
    /// Gathers them.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut all = Self::default();
        for one in snapshot.access_analyzers.values() {
            for analyzer in one.analyzers.iter().filter(|analyzer| analyzer.of_unused_access()) {
                let watcher = Watcher { analyzer, account: one.account, captured_at: one.captured_at };
                if analyzer.active() {
                    all.watchers.push(watcher);
                }
                for finding in analyzer.findings.iter().filter(|one| one.status != FindingStatus::Resolved) {
                    all.found.entry(finding.resource.as_str()).or_default().push((watcher, finding));
                }
            }
        }
        if let Some(organization) = &snapshot.organization {
            all.members = organization.accounts.iter().map(|account| account.id).collect();
            all.members.insert(organization.management_account);
        }
        all
    }

    /// What they say of a user or role. A finding from before it was created is about another one of that ARN.
    #[must_use]
    pub fn on(&self, subject: Subject<'_>) -> Analyzed<'a> {
        let mut claims = Vec::new();
        let mut unclear: BTreeSet<&str> = BTreeSet::new();
        for (watcher, finding) in self.found.get(subject.arn).into_iter().flatten().copied() {
            if subject.created.is_some_and(|created| created > looked(watcher, finding)) {
                continue;
            }
            let known = |detail: &&FindingDetail| **detail != FindingDetail::Unknown;
            let all_known = !finding.details.is_empty() && finding.details.iter().all(|detail| known(&detail));
            let readable = finding.complete && finding.error.is_empty() && all_known;
            if !readable {
                unclear.insert(watcher.analyzer.arn.as_str());
            }
            let details = finding.details.iter().filter(|_| finding.error.is_empty()).filter(known);
            claims.extend(details.map(|detail| Claim { watcher, finding, detail }));
        }
        let watching = self.watchers.iter().filter(|watcher| self.watches(watcher, subject));
        let silent = watching.filter(|watcher| !unclear.contains(watcher.analyzer.arn.as_str())).copied().collect();
        Analyzed { account: subject.account, role: subject.role, claims, silent }
    }

    /// Whether an analyzer would have found it, had it been unused: its zone of trust holds the account, it had time to
    /// look, all that it found is known, and the user or role existed for the whole tracking period.
    fn watches(&self, watcher: &Watcher<'_>, subject: Subject<'_>) -> bool {
        let zone = if watcher.analyzer.of_organization() {
            self.members.contains(&watcher.account) && self.members.contains(&subject.account)
        } else {
            watcher.account == subject.account
        };
        let settled = |created: Timestamp| created.plus_days(SETTLING_DAYS) <= watcher.captured_at;
        zone && watcher.analyzer.complete
            && watcher.analyzer.created.is_some_and(settled)
            && subject.created.is_some_and(|created| created <= watcher.since())
    }

    /// What they say of a credential of a user, which `row` and `details` tell more about.
    #[must_use]
    pub fn on_credential(
        &self,
        facts: &CredentialFacts,
        row: &CredentialRow,
        details: Option<&AccountDetails>,
    ) -> Vec<String> {
        if facts.root {
            return Vec::new();
        }
        let subject = Subject { arn: &facts.arn, account: facts.account, role: false, created: row.created };
        let analyzed = self.on(subject);
        let password = facts.kind == CredentialKind::Password;
        let same_kind = |detail: &FindingDetail| match detail {
            FindingDetail::UnusedPassword { .. } => password,
            FindingDetail::UnusedAccessKey { .. } => !password,
            _ => false,
        };
        let this = |detail: &FindingDetail| match detail {
            FindingDetail::UnusedAccessKey { id, .. } => is_key(id, facts, row, details),
            _ => true,
        };
        let claims = analyzed.claims.iter().filter(|claim| same_kind(claim.detail) && this(claim.detail));
        let mut notes: Vec<String> = claims.map(|claim| analyzed.said(claim, "finds the same")).collect();
        // Which key a finding is about may not be known, so one about any of them speaks.
        if let Some(since) = facts.last_used.or(facts.since).filter(|_| facts.active) {
            let until = facts.reported_at.plus_days(SLACK_DAYS);
            let idle = |watcher: &Watcher<'_>| since <= watcher.since() && watcher.looked() <= until;
            notes.extend(analyzed.absent(same_kind, idle));
        }
        notes
    }
}

/// Whether a key id belongs to a key of the credential report, which names none: keys are told by their creation, or
/// there is only one.
fn is_key(id: &str, facts: &CredentialFacts, row: &CredentialRow, details: Option<&AccountDetails>) -> bool {
    let mut listed = details.and_then(|details| details.access_keys.as_deref()).into_iter().flatten();
    match listed.find(|key| key.id == id) {
        Some(key) => key.user == facts.user && key.created.is_some() && key.created == facts.since,
        None => row.keys.iter().filter(|key| key.active || key.rotated.is_some()).count() == 1,
    }
}

/// What the logs show of one principal.
#[derive(Clone, Copy, Debug)]
pub struct Logs<'l> {
    /// What it did.
    pub own: &'l OwnActivity<'l>,
    /// The catalogue.
    pub catalog: &'l Catalog,
    /// The window.
    pub window: Window,
}

impl Logs<'_> {
    /// The last authorised call of one of the actions, given by their numbers, on the days.
    fn used(&self, actions: Range<u32>, days: &Range<Day>) -> Option<(Day, ActionId)> {
        let rows = self.own.by_action.range(ActionId(actions.start)..ActionId(actions.end));
        let uses = rows.flat_map(|(action, rows)| rows.iter().map(move |(_, use_)| (*action, *use_)));
        let used = uses.filter(|(_, use_)| use_.count > 0);
        let on = used.flat_map(|(action, use_)| use_.days().map(move |day| (day, action)));
        on.filter(|(day, _)| days.contains(day)).max()
    }

    /// The last of the days with an authorised call of whatever action.
    fn active(&self, days: &Range<Day>) -> Option<Day> {
        self.own.presence.iter().flat_map(|presence| &presence.days).copied().filter(|day| days.contains(day)).max()
    }

    /// An action of a service that Access Analyzer names.
    fn find(&self, namespace: &str, name: &str) -> Option<Action<'_>> {
        self.catalog.action(self.catalog.find_in(namespace, bare(name))?)
    }
}

/// The name of an action, also where the service stands before it.
fn bare(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

const fn only(action: ActionId) -> Range<u32> {
    action.0..action.0.saturating_add(1)
}

/// What the analyzers say of one user or role.
#[derive(Debug)]
pub struct Analyzed<'a> {
    account: AccountId,
    role: bool,
    claims: Vec<Claim<'a>>,
    /// Analyzers of which everything that they say of it is known.
    silent: Vec<Watcher<'a>>,
}

impl Analyzed<'_> {
    fn said(&self, claim: &Claim<'_>, what: &str) -> String {
        format!("{} {what}, {}", claim.watcher.name(self.account), claim.reference())
    }

    /// Analyzers that would have found something, and have no finding with a detail that `speaks` of it.
    fn absent(&self, speaks: impl Fn(&FindingDetail) -> bool, would: impl Fn(&Watcher<'_>) -> bool) -> Vec<String> {
        let said = |watcher: &Watcher<'_>| {
            let mut claims = self.claims.iter();
            claims.any(|claim| claim.watcher.analyzer.arn == watcher.analyzer.arn && speaks(claim.detail))
        };
        let silent = self.silent.iter().filter(|watcher| would(watcher) && !said(watcher));
        let note = |watcher: &Watcher<'_>| {
            format!("{} has no such finding; its analysis rules may leave this out", watcher.name(self.account))
        };
        silent.map(note).collect()
    }

    /// What they say of a service of which `idle` is unused by the logs; `untouched` where the logs could have shown
    /// all of it and show nothing.
    #[must_use]
    pub fn on_service(&self, logs: &Logs<'_>, namespace: &str, idle: &ActionSet, untouched: bool) -> Vec<String> {
        let Some(range) = logs.catalog.service(namespace) else { return Vec::new() };
        let mut notes = Vec::new();
        for claim in &self.claims {
            let what = match claim.detail {
                FindingDetail::UnusedRole { last } if logs.active(&claim.days(*last)).is_none() => {
                    "finds the whole role unused".to_owned()
                }
                FindingDetail::UnusedPermission { namespace: named, last, actions } if named == namespace => {
                    let whole = actions.is_empty();
                    if whole && logs.used(range.clone(), &claim.days(*last)).is_some() {
                        continue;
                    }
                    let also: Vec<String> = actions
                        .iter()
                        .filter_map(|unused| logs.find(namespace, &unused.action))
                        .filter(|action| idle.contains(action.id()))
                        .map(|action| action.full_name())
                        .collect();
                    match (whole, untouched, also.len()) {
                        (true, true, _) => "finds the same".to_owned(),
                        (true, false, _) => "finds the whole service unused".to_owned(),
                        (false, _, 0) => continue,
                        (false, _, number) => format!("finds {number} of these actions unused ({})", listed(&also)),
                    }
                }
                _ => continue,
            };
            notes.push(self.said(claim, &what));
        }
        // IAM counts attempts: one that was denied explains that nothing was found.
        let days = logs.window.from.day()..=logs.window.to.day();
        if self.role && untouched && !logs.own.attempted_service(namespace, &range, &days) {
            let speaks = |detail: &FindingDetail| match detail {
                FindingDetail::UnusedRole { .. } => true,
                FindingDetail::UnusedPermission { namespace: named, .. } => named == namespace,
                _ => false,
            };
            notes.extend(self.absent(speaks, |watcher| within(watcher, logs.window)));
        }
        notes
    }

    /// What they say of whether it is used at all, and what the logs contradict.
    #[must_use]
    pub fn on_all(&self, logs: &Logs<'_>, last_activity: Option<Timestamp>) -> AnalyzerNotes {
        let mut idle = Vec::new();
        for claim in &self.claims {
            let what = match claim.detail {
                FindingDetail::UnusedRole { last } if logs.active(&claim.days(*last)).is_none() => {
                    "finds the same".to_owned()
                }
                FindingDetail::UnusedAccessKey { id, .. } => format!("finds its access key {id} unused"),
                FindingDetail::UnusedPassword { .. } => "finds its console password unused".to_owned(),
                _ => continue,
            };
            idle.push(self.said(claim, &what));
        }
        let attempted = logs.own.presence.iter().any(|presence| presence.denied > 0);
        if self.role && !attempted && last_activity.is_none_or(|at| at < logs.window.from) {
            let speaks = |detail: &FindingDetail| matches!(detail, FindingDetail::UnusedRole { .. });
            idle.extend(self.absent(speaks, |watcher| within(watcher, logs.window)));
        }
        let differs = |claim: &Claim<'_>| Some(self.said(claim, &contradicted(claim, logs)?));
        AnalyzerNotes { idle, disagreements: self.claims.iter().filter_map(differs).collect() }
    }

    /// What they say of an action, where it agrees with the verdict or contradicts it.
    #[must_use]
    pub fn of_action(&self, logs: &Logs<'_>, action: Action<'_>, verdict: Verdict) -> Option<String> {
        let mut said = Vec::new();
        for claim in &self.claims {
            let last = match claim.detail {
                FindingDetail::UnusedRole { last } => *last,
                FindingDetail::UnusedPermission { namespace, last, actions } if namespace == action.prefix() => {
                    let this = actions.iter().find(|one| bare(&one.action).eq_ignore_ascii_case(action.name()));
                    match this {
                        Some(one) => one.last,
                        None if actions.is_empty() => *last,
                        None => continue,
                    }
                }
                _ => continue,
            };
            let what = match verdict {
                Verdict::Unused => "finds it unused too",
                Verdict::Used if logs.used(only(action.id()), &claim.days(last)).is_some() => "calls it unused",
                _ => continue,
            };
            said.push(self.said(claim, what));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Whether an analyzer looked over no more than the window: what was used before or after it is no disagreement.
fn within(watcher: &Watcher<'_>, window: Window) -> bool {
    window.from <= watcher.since().plus_days(SLACK_DAYS) && watcher.looked() <= window.to.plus_days(SLACK_DAYS)
}

/// What of a claim the logs contradict.
fn contradicted(claim: &Claim<'_>, logs: &Logs<'_>) -> Option<String> {
    match claim.detail {
        FindingDetail::UnusedRole { last } => {
            let day = logs.active(&claim.days(*last))?;
            Some(format!("calls the role unused, and the logs show authorised calls up to {day}"))
        }
        FindingDetail::UnusedPermission { namespace, last, actions } if actions.is_empty() => {
            let (day, action) = logs.used(logs.catalog.service(namespace)?, &claim.days(*last))?;
            let name = logs.catalog.action(action)?.full_name();
            Some(format!("calls {namespace} unused, and the logs show an authorised call of {name} on {day}"))
        }
        FindingDetail::UnusedPermission { namespace, actions, .. } => {
            let used = actions.iter().filter_map(|unused| {
                let action = logs.find(namespace, &unused.action)?;
                let (day, _) = logs.used(only(action.id()), &claim.days(unused.last))?;
                Some(format!("{} on {day}", action.full_name()))
            });
            let used: Vec<String> = used.collect();
            (!used.is_empty())
                .then(|| format!("calls actions unused of which the logs show authorised calls: {}", listed(&used)))
        }
        _ => None,
    }
}

fn listed(items: &[String]) -> String {
    let mut text = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN {
        text.push_str(&format!(" and {} more", items.len() - SHOWN));
    }
    text
}

impl<'a> Shared<'a> {
    /// What analyzers say of a principal. Whether they look at service-linked roles is not documented: that they say
    /// nothing of one is no disagreement.
    pub(super) fn analyzed(&self, granted: &PrincipalEntitlements) -> Analyzed<'a> {
        let created = self.records.get(granted.arn.as_str()).and_then(|record| record.holder.created);
        let role = matches!(granted.kind, PrincipalKind::Role | PrincipalKind::IdentityCenterRole);
        self.analyzers.on(Subject { arn: granted.arn.as_str(), account: granted.account, role, created })
    }

    pub(super) fn logs<'l>(&'l self, own: &'l OwnActivity<'_>) -> Logs<'l> {
        Logs { own, catalog: self.inputs.catalog, window: self.inputs.coverage.window() }
    }
}

#[cfg(test)]
mod tests;
