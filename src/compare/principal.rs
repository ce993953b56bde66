//! The facts about one principal.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{AccessLevel, ActionId, ActionSet, Catalog};
use crate::entitlements::{self, AccessClass, AccessClasses, AdminPath, PrincipalEntitlements, Privileges};
use crate::model::time::{Day, Timestamp};

use super::Shared;
use super::accessed::Accessed;
use super::analyzed::{Analyzed, Logs};
use super::assessment::{
    LevelCounts, Nature, PersonUse, PolicyRemark, PrincipalFacts, PrincipalKind, ServiceUse, UnusedPart, VerdictCounts,
};
use super::observe::Blindness;
use super::rows::provenance_text;
use super::used::OwnActivity;
use super::verdict::Part;

/// Most example events that a principal carries.
const EXAMPLES: usize = 10;

/// The verdicts on all of a principal's actions: the best verdict over its entitlements counts.
pub(super) struct Totals {
    pub used: ActionSet,
    pub unused: ActionSet,
    pub unused_low: ActionSet,
    pub unobservable: ActionSet,
    beyond: ActionSet,
    /// Unused on some of the resources on which they are granted.
    parts: BTreeSet<(ActionId, UnusedPart)>,
}

/// Gathers the facts.
pub(super) fn facts(shared: &Shared<'_>, granted: &PrincipalEntitlements, own: &OwnActivity<'_>) -> PrincipalFacts {
    let inputs = shared.inputs;
    let catalog = inputs.catalog;
    let arn = granted.arn.to_string();
    let accessed = shared.accessed(granted, own);
    let (analyzed, logs) = (shared.analyzed(granted), shared.logs(own));
    let totals = totals(shared, granted, own, &accessed);
    let privileged = entitlements::privileged(granted, Privileges::get());
    let administrator = administrator_paths(shared, granted);
    let holding = shared.holders.get(&arn).cloned().unwrap_or_default();
    let mut nature = holding.nature();
    if nature == Nature::Unknown {
        let people = own.presence.iter().any(|presence| !presence.people.is_empty());
        let machine = own.presence.iter().any(|presence| presence.machine);
        nature = match (people, machine) {
            (true, true) => Nature::Mixed,
            (true, false) => Nature::Human,
            (false, true) => Nature::Machine,
            (false, false) => Nature::Unknown,
        };
    }
    let blindness = activity_blindness(shared, granted);
    // Privileged is what it may do with what it holds: assuming one named role is ordinary work.
    let privileged_days = own.days_of(&privileged);
    let users = people(own, &privileged_days);
    let mut holders: Vec<String> = holding.people.into_iter().collect();
    if holders.is_empty()
        && inputs.snapshot.identity_center.is_none()
        && granted.kind == entitlements::PrincipalKind::IdentityCenterRole
    {
        // Nobody told who is assigned: those who came in hold it at least.
        holders = users.iter().filter(|user| !user.active_days.is_empty()).map(|user| user.person.clone()).collect();
    }
    let last_activity = last_activity(shared, granted, own, &accessed);
    PrincipalFacts {
        id: granted.id.clone(),
        account: granted.account,
        kind: granted.kind.into(),
        nature,
        holders,
        users,
        created: shared.records.get(granted.arn.as_str()).and_then(|record| record.holder.created),
        break_glass: inputs.settings.break_glass.iter().any(|glob| glob.matches(&arn)),
        administrator: !administrator.is_empty(),
        active_days: own
            .presence
            .iter()
            .flat_map(|presence| presence.days.iter().copied())
            .collect::<BTreeSet<Day>>()
            .into_iter()
            .collect(),
        privileged_days: privileged_days.values().flatten().copied().collect::<BTreeSet<Day>>().into_iter().collect(),
        last_activity,
        activity_observable: blindness.reasons.is_empty(),
        unobservable_because: blindness.reasons,
        denied_calls: own.presence.iter().map(|presence| presence.denied).sum(),
        counts: counts(&totals, &granted.granted, None),
        services: services(&logs, granted, &totals, &privileged, &accessed, &analyzed),
        remarks: remarks(shared, granted),
        privileged_statements: statements(granted, &privileged, &administrator),
        privileged_events: examples(shared, &arn, &privileged),
        analyzers: analyzed.on_all(&logs, last_activity),
        privileged: privileged.iter().filter_map(|id| catalog.action(id)).map(|action| action.full_name()).collect(),
        arn,
    }
}

/// The ways in which it is an administrator. Permission sets and assignments live in the management account (or in
/// a delegated administrator's, which no file says yet): elsewhere those actions change nothing.
fn administrator_paths(shared: &Shared<'_>, granted: &PrincipalEntitlements) -> Vec<AdminPath> {
    let organization = shared.inputs.snapshot.organization.as_ref();
    let manages = organization.is_some_and(|organization| organization.management_account == granted.account);
    let mut paths = entitlements::administrator_equivalent(granted, shared.inputs.catalog);
    paths.retain(|path| manages || !path.rule.id.starts_with("permission_set_"));
    paths
}

pub(super) fn totals(
    shared: &Shared<'_>,
    granted: &PrincipalEntitlements,
    own: &OwnActivity<'_>,
    accessed: &Accessed<'_>,
) -> Totals {
    let catalog = shared.inputs.catalog;
    let mut totals = Totals {
        used: catalog.no_actions(),
        unused: catalog.no_actions(),
        unused_low: catalog.no_actions(),
        unobservable: catalog.no_actions(),
        beyond: own.ever_used(catalog),
        parts: BTreeSet::new(),
    };
    let mut parts = Vec::new();
    if let Some(bench) = shared.bench(granted, accessed) {
        for entitlement in &granted.entitlements {
            for part in bench.judge(entitlement, own) {
                let verdicts = &part.verdicts;
                totals.used.union_with(&verdicts.used);
                totals.used.union_with(&verdicts.unplaced);
                totals.unused.union_with(&verdicts.unused);
                totals.unused_low.union_with(&verdicts.unused_low);
                for (set, _) in &verdicts.unobservable {
                    totals.unobservable.union_with(set);
                }
                parts.push(part);
            }
        }
    }
    // One action may stand in several entitlements: a use of any of them is a use, and what is not observable in
    // one of them is not unused.
    totals.unobservable.subtract(&totals.used);
    totals.unused_low.subtract(&totals.used);
    totals.unused_low.subtract(&totals.unobservable);
    totals.unused.subtract(&totals.used);
    totals.unused.subtract(&totals.unobservable);
    totals.unused.subtract(&totals.unused_low);
    totals.beyond.subtract(&granted.granted);
    totals.beyond.subtract(&granted.undecided);
    for action in &shared.inputs.activity.permissionless {
        totals.beyond.remove(*action);
    }
    totals.parts = unused_parts(catalog, &totals, &parts);
    totals
}

/// Actions that are used, or not observable, on some resources and unused on others. A part that another one covers
/// for the same action is left out: taking it away would change nothing.
fn unused_parts(catalog: &Catalog, totals: &Totals, parts: &[Part]) -> BTreeSet<(ActionId, UnusedPart)> {
    let mut elsewhere = totals.used.clone();
    elsewhere.union_with(&totals.unobservable);
    let mut found = BTreeSet::new();
    for (at, part) in parts.iter().enumerate() {
        for (set, low_confidence) in [(&part.verdicts.unused, false), (&part.verdicts.unused_low, true)] {
            let mut set = set.clone();
            set.intersect_with(&elsewhere);
            for id in set.iter() {
                let covered = parts.iter().enumerate().any(|(other_at, other)| {
                    other_at != at && other.verdicts.holds(id) && other.scope.resources.covers(&part.scope.resources)
                });
                if let Some(action) = catalog.action(id).filter(|_| !covered) {
                    let resources = part.scope.resources_text();
                    found.insert((id, UnusedPart { action: action.full_name(), resources, low_confidence }));
                }
            }
        }
    }
    found
}

fn counts(totals: &Totals, granted: &ActionSet, range: Option<&std::ops::Range<u32>>) -> VerdictCounts {
    let count = |set: &ActionSet| match range {
        Some(range) => set.count_range(range.clone()) as u64,
        None => set.len() as u64,
    };
    VerdictCounts {
        granted: count(granted),
        used: count(&totals.used),
        unused: count(&totals.unused),
        unused_low_confidence: count(&totals.unused_low),
        unobservable: count(&totals.unobservable),
        used_not_granted: count(&totals.beyond),
    }
}

fn services(
    logs: &Logs<'_>,
    granted: &PrincipalEntitlements,
    totals: &Totals,
    privileged: &ActionSet,
    accessed: &Accessed<'_>,
    analyzed: &Analyzed<'_>,
) -> Vec<ServiceUse> {
    let (catalog, own) = (logs.catalog, logs.own);
    let mut idle = totals.unused.clone();
    idle.union_with(&totals.unused_low);
    let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (action, rows) in &own.by_action {
        let Some(action) = catalog.action(*action) else { continue };
        if let Some(at) = rows.iter().filter_map(|(_, use_)| use_.last).max() {
            let known = last.entry(action.prefix()).or_insert(at);
            *known = (*known).max(at);
        }
    }
    let mut found = Vec::new();
    for (service, range) in catalog.service_ranges() {
        let counts = counts(totals, &granted.granted, Some(&range));
        if counts == VerdictCounts::default() {
            continue;
        }
        let mut levels = LevelCounts::default();
        let mut unused_privileged = Vec::new();
        let in_service = range.clone();
        let classes = classes(totals, &granted.granted, &range);
        for id in range.map(ActionId).filter(|id| idle.contains(*id)) {
            let Some(action) = catalog.action(id) else { continue };
            match action.access() {
                AccessLevel::List => levels.list += 1,
                AccessLevel::Read => levels.read += 1,
                AccessLevel::Write => levels.write += 1,
                AccessLevel::Tagging => levels.tagging += 1,
                AccessLevel::PermissionsManagement => levels.permissions_management += 1,
            }
            if privileged.contains(id) {
                unused_privileged.push(action.full_name());
            }
        }
        found.push(ServiceUse {
            service: service.to_owned(),
            counts,
            classes,
            unused_privileged,
            unused_levels: levels,
            last_used: last.get(service).copied(),
            unused_parts: totals
                .parts
                .iter()
                .filter(|(id, _)| in_service.contains(&id.0))
                .map(|(_, part)| part.clone())
                .collect(),
            last_accessed: accessed.of_service(in_service.start),
            analyzers: if counts.unused + counts.unused_low_confidence > 0 {
                let untouched = counts.used + counts.unobservable + counts.used_not_granted == 0;
                analyzed.on_service(logs, service, &idle, untouched)
            } else {
                Vec::new()
            },
        });
    }
    found
}

/// The verdicts within a service by kind of access.
fn classes(totals: &Totals, granted: &ActionSet, range: &std::ops::Range<u32>) -> Vec<(AccessClass, VerdictCounts)> {
    let all = AccessClasses::get();
    let mut found: BTreeMap<AccessClass, VerdictCounts> = BTreeMap::new();
    for id in range.clone().map(ActionId) {
        if !granted.contains(id) && !totals.beyond.contains(id) {
            continue;
        }
        let counts = found.entry(all.of(id)).or_default();
        for (set, number) in [
            (granted, &mut counts.granted),
            (&totals.used, &mut counts.used),
            (&totals.unused, &mut counts.unused),
            (&totals.unused_low, &mut counts.unused_low_confidence),
            (&totals.unobservable, &mut counts.unobservable),
            (&totals.beyond, &mut counts.used_not_granted),
        ] {
            *number += u64::from(set.contains(id));
        }
    }
    found.into_iter().collect()
}

fn people(own: &OwnActivity<'_>, privileged: &BTreeMap<&str, BTreeSet<Day>>) -> Vec<PersonUse> {
    let mut found: BTreeMap<&str, PersonUse> = BTreeMap::new();
    let all = own.presence.iter().flat_map(|presence| {
        let sure = presence.people.iter().map(|(name, person)| (name, person, true));
        sure.chain(presence.likely.iter().map(|(name, person)| (name, person, false)))
    });
    for (name, person, sure) in all {
        let entry = found.entry(name).or_insert_with(|| PersonUse {
            person: name.clone(),
            active_days: Vec::new(),
            privileged_days: privileged.get(name.as_str()).into_iter().flatten().copied().collect(),
            likely_days: Vec::new(),
            last: None,
        });
        let known = if sure { &mut entry.active_days } else { &mut entry.likely_days };
        let days: BTreeSet<Day> = known.iter().chain(&person.days).copied().collect();
        *known = days.into_iter().collect();
        if sure {
            entry.last = entry.last.max(person.last);
        }
    }
    found.into_values().collect()
}

/// Why the logs could not have shown that the principal was used at all: any management call would have done, so
/// every open region and day counts, but no single kind of call.
fn activity_blindness(shared: &Shared<'_>, granted: &PrincipalEntitlements) -> Blindness {
    let catalog = shared.inputs.catalog;
    let Some(eyes) = shared.eyes.get(&granted.account.to_string()) else {
        let reasons = vec!["the account has no logs".to_owned()];
        return Blindness { actions: catalog.no_actions(), reasons, left_out: Vec::new() };
    };
    // Management calls that a role or user may make; where it holds none, assuming it or signing in still shows.
    let mut asked = granted.granted.clone();
    asked.intersect_with(&shared.classes.management);
    if let Some(assume) = catalog.find("sts:AssumeRole") {
        asked.insert(assume);
    }
    let mut blind = eyes.blind(&asked, None);
    // Whatever a session does begins with a call that assumes the role, and of keys and passwords the credential report
    // knows the last use: calls that trails left out matter where that call is among them.
    if let Some(assume) = catalog.find("sts:AssumeRole") {
        let unseen = blind.left_out.iter().filter(|(set, _)| set.contains(assume));
        blind.reasons.extend(unseen.map(|(_, reason)| reason.clone()).collect::<Vec<_>>());
    }
    if granted.kind == entitlements::PrincipalKind::User
        && !shared.inputs.snapshot.credential_reports.contains_key(&granted.account)
    {
        // A key that only reads data leaves no management event; the credential report would know it.
        blind.reasons.push(format!("no credential report of {}", granted.account));
    }
    blind
}

fn last_activity(
    shared: &Shared<'_>,
    granted: &PrincipalEntitlements,
    own: &OwnActivity<'_>,
    accessed: &Accessed<'_>,
) -> Option<Timestamp> {
    let snapshot = shared.inputs.snapshot;
    let arn = granted.arn.as_str();
    let presence = own.presence.iter().filter_map(|presence| presence.last).max();
    let assumed = shared.inputs.activity.assumed.get(arn).and_then(|assumed| assumed.last);
    // IAM's own last-used data counts attempts, so it never makes "used"; but it does contradict "dormant".
    let role = shared.records.get(arn).and_then(|record| record.last_used);
    let report = snapshot
        .credential_reports
        .get(&granted.account)
        .and_then(|report| report.rows.iter().find(|row| row.arn == granted.arn))
        .and_then(|row| row.password.iter().chain(&row.keys).filter_map(|credential| credential.last_used).max());
    let user = granted.kind == entitlements::PrincipalKind::User;
    let details = snapshot.account_details.get(&granted.account).filter(|_| user);
    let keys = details.and_then(|details| details.last_key_use(granted.arn.name()));
    [presence, assumed, role, report, keys, accessed.last()].into_iter().flatten().max()
}

/// The statements that make it an administrator, or else those that hold a privileged action.
fn statements(granted: &PrincipalEntitlements, privileged: &ActionSet, administrator: &[AdminPath]) -> Vec<String> {
    let admin: BTreeSet<usize> = administrator.iter().flat_map(|path| path.entitlements.iter().copied()).collect();
    let found: BTreeSet<String> = granted
        .entitlements
        .iter()
        .enumerate()
        .filter(
            |(at, entitlement)| {
                if admin.is_empty() { entitlement.actions.intersects(privileged) } else { admin.contains(at) }
            },
        )
        .flat_map(|(_, entitlement)| entitlement.provenance.iter().map(provenance_text))
        .collect();
    found.into_iter().collect()
}

fn examples(shared: &Shared<'_>, arn: &str, privileged: &ActionSet) -> Vec<String> {
    let from = (arn.to_owned(), ActionId(0));
    shared
        .inputs
        .examples
        .range(from..)
        .take_while(|((principal, _), _)| principal == arn)
        .filter(|((_, action), _)| privileged.contains(*action))
        .flat_map(|(_, events)| events.iter().cloned())
        .take(EXAMPLES)
        .collect()
}

/// Full administrator statements, service wildcards and policies attached straight to users.
fn remarks(shared: &Shared<'_>, granted: &PrincipalEntitlements) -> Vec<PolicyRemark> {
    let catalog = shared.inputs.catalog;
    let mut found = BTreeSet::new();
    for entitlement in granted.entitlements.iter().filter(|entitlement| entitlement.scope.is_everything()) {
        let kinds: Vec<(&str, &str)> = if entitlement.open {
            // NotAction grants are open as well, but leave something out.
            if entitlement.actions.len() == catalog.len() { vec![("full_administrator", "")] } else { Vec::new() }
        } else {
            let whole = |range: &std::ops::Range<u32>| entitlement.actions.count_range(range.clone()) == range.len();
            let services = catalog.service_ranges().filter(|(_, range)| whole(range));
            services.map(|(service, _)| ("service_wildcard", service)).collect()
        };
        for provenance in &entitlement.provenance {
            let managed = provenance.policy.starts_with("arn:");
            for (kind, service) in &kinds {
                found.insert(PolicyRemark {
                    kind: (*kind).to_owned(),
                    policy: if managed {
                        last_part(&provenance.policy).to_owned()
                    } else {
                        format!("inline:{}", provenance.policy)
                    },
                    policy_arn: if managed { provenance.policy.clone() } else { String::new() },
                    statement: if provenance.sid.is_empty() {
                        format!("[{}]", provenance.statement)
                    } else {
                        provenance.sid.clone()
                    },
                    service: (*service).to_owned(),
                });
            }
        }
    }
    if granted.kind == entitlements::PrincipalKind::User
        && let Some(record) = shared.records.get(granted.arn.as_str())
    {
        for attached in &record.holder.attached {
            found.insert(direct(attached.name.clone(), attached.arn.clone()));
        }
        for inline in &record.holder.inline {
            found.insert(direct(format!("inline:{}", inline.name), String::new()));
        }
    }
    found.into_iter().collect()
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn direct(policy: String, policy_arn: String) -> PolicyRemark {
    PolicyRemark {
        kind: "direct_attachment".to_owned(),
        policy,
        policy_arn,
        statement: String::new(),
        service: String::new(),
    }
}

impl From<entitlements::PrincipalKind> for PrincipalKind {
    fn from(kind: entitlements::PrincipalKind) -> Self {
        use crate::entitlements::PrincipalKind as Kind;
        match kind {
            Kind::User => Self::User,
            Kind::Role => Self::Role,
            Kind::ServiceLinkedRole => Self::ServiceLinkedRole,
            Kind::IdentityCenterRole => Self::IdentityCenterRole,
        }
    }
}
