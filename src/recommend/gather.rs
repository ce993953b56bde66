//! From verdicts and times to one row for every holder and capability.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::compare::assessment::{Assessment, CredentialKind, Nature, PrincipalFacts, PrincipalKind, VerdictCounts};
use crate::entitlements::{AccessClass, AccessClasses, PrincipalEntitlements, TrustedBy, who_may_assume};
use crate::model::arn::AccountId;
use crate::model::finding::Confidence;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Day, Timestamp};
use crate::usage::activity::{ActivityKey, TimeKey};

use super::capability::{Capability, Place};
use super::friction::{Forecast, Friction};
use super::rhythm::Rhythm;
use super::risk::{Risk, Units};
use super::scope::{self, Ground, Kind, Reach};
use super::times::{Slot, bursts, sessions, slot_of, start_of};
use super::verdict::{Advised, Evidence, advise};
use super::{Advice, DEFAULT_LIMIT, Disregard, Inputs, Recommendation, standing};

/// Days after which an access key is old, as for findings.
const KEY_AGE_DAYS: i64 = crate::findings::KEY_AGE_DAYS;

/// Days of a year: how far back something has to be looked for before it counts as never done.
const YEAR_DAYS: i64 = 365;

/// Rows, and how well friction is foreseen.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub rows: Vec<Recommendation>,
    pub forecast: Forecast,
}

/// When somebody used an action through a principal.
type Timed<'a> = (&'a TimeKey, &'a [Slot]);

/// What one holder did through a principal; the empty name stands for programs and for those whom the logs do not name.
#[derive(Debug, Default)]
struct Own<'a> {
    /// All slots, in order, by kind of access and service.
    uses: BTreeMap<Kind<'a>, Vec<Slot>>,
    /// Slots of the window in which many services were gone through.
    bursts: BTreeSet<Slot>,
    /// How many slots of the window do not count for another reason: an incident, or that its person had left.
    aside: BTreeMap<Kind<'a>, u64>,
    /// Resources on which something was done in the window.
    touched: BTreeMap<Kind<'a>, BTreeSet<&'a str>>,
}

impl<'a> Own<'a> {
    fn slots<'s>(&'s self, class: AccessClass, services: &'s [String]) -> Vec<Slot> {
        let of = |service: &'s String| self.uses.get(&(class, service.as_str())).into_iter().flatten().copied();
        let mut all: Vec<Slot> = services.iter().flat_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether something of it was used from a slot on.
    fn used(&self, class: AccessClass, services: &[String], from: Slot) -> bool {
        let last = |service: &String| self.uses.get(&(class, service.as_str())).and_then(|slots| slots.last()).copied();
        services.iter().filter_map(last).any(|slot| slot >= from)
    }

    fn touched<'s>(&'s self, class: AccessClass, services: &'s [String]) -> Vec<String> {
        let of = |service: &'s String| self.touched.get(&(class, service.as_str())).into_iter().flatten().copied();
        services.iter().flat_map(of).collect::<BTreeSet<&str>>().into_iter().map(str::to_owned).collect()
    }
}

/// What is known of all principals, sorted out by principal.
struct Sorted<'a> {
    times: BTreeMap<&'a str, Vec<Timed<'a>>>,
    granted: BTreeMap<(&'a str, &'a str), &'a PrincipalEntitlements>,
    /// (person, action, resource) by ARN and unique id.
    touched: BTreeMap<&'a str, Vec<&'a ActivityKey>>,
    ground: Ground<'a>,
    /// Roles that somebody outside the organisation may assume.
    outside: BTreeSet<String>,
    approvers: BTreeMap<&'a str, &'a str>,
}

impl<'a> Sorted<'a> {
    fn of(inputs: &'a Inputs<'a>) -> Self {
        let mut times: BTreeMap<&str, Vec<Timed<'_>>> = BTreeMap::new();
        for (key, slots) in inputs.times {
            times.entry(&key.principal.arn).or_default().push((key, slots));
        }
        let mut touched: BTreeMap<&str, Vec<&ActivityKey>> = BTreeMap::new();
        for (key, used) in &inputs.activity.rows {
            if used.count > 0 && !key.resource.is_empty() {
                touched.entry(&key.principal.arn).or_default().push(key);
            }
        }
        let granted = inputs.entitlements.principals.iter().map(|one| ((one.arn.as_str(), one.id.as_str()), one));
        let sensitivity = &inputs.settings.sensitivity;
        Self {
            times,
            granted: granted.collect(),
            touched,
            ground: Ground::new(inputs.snapshot, inputs.activity, inputs.entitlements, sensitivity, inputs.catalog),
            outside: outside(inputs.snapshot),
            approvers: approvers(inputs.snapshot),
        }
    }
}

/// ARNs of roles that let in somebody who is of no account of the organisation, or of none that was collected where no
/// organisation was.
fn outside(snapshot: &Snapshot) -> BTreeSet<String> {
    let own: BTreeSet<AccountId> = match &snapshot.organization {
        Some(organization) => organization.accounts.iter().map(|account| account.id).collect(),
        None => snapshot.accounts.keys().copied().collect(),
    };
    let foreign = |arn: &str| arn.split(':').nth(4).and_then(|id| id.parse().ok()).is_some_and(|id| !own.contains(&id));
    let mut found = BTreeSet::new();
    for role in snapshot.accounts.values().flat_map(|iam| &iam.roles) {
        let Ok(trust) = who_may_assume(role) else { continue };
        let lets_in = trust.allowed.iter().any(|way| match &way.who {
            TrustedBy::Account(account) => !own.contains(account),
            TrustedBy::User(arn) | TrustedBy::Role(arn) | TrustedBy::Session(arn) => foreign(arn),
            // Whoever is asked for by conditions alone: mostly the own organisation.
            TrustedBy::Everyone => way.conditions.is_empty(),
            _ => false,
        });
        if lets_in {
            found.insert(role.holder.arn.to_string());
        }
    }
    found
}

/// Rows for all principals.
pub(super) fn gather(inputs: &Inputs<'_>) -> Gathered {
    let sorted = Sorted::of(inputs);
    let principals = inputs.assessment.principals.par_iter();
    let of = |principal: &PrincipalFacts| {
        let mut found = Gathered::default();
        let times = sorted.times.get(principal.arn.as_str()).map_or(&[][..], Vec::as_slice);
        // The same name with another unique id was another principal.
        let of_this = |id: &str| id.is_empty() || principal.id.is_empty() || id == principal.id;
        let times: Vec<_> = times.iter().copied().filter(|(key, _)| of_this(&key.principal.id)).collect();
        let mut owns = owns(inputs, &times);
        for key in sorted.touched.get(principal.arn.as_str()).into_iter().flatten() {
            let Some(action) = inputs.catalog.action(key.action).filter(|_| of_this(&key.principal.id)) else {
                continue;
            };
            let kind = (AccessClasses::get().of(key.action), action.prefix());
            owns.entry(&key.person).or_default().touched.entry(kind).or_default().insert(&key.resource);
        }
        of_principal(inputs, &sorted, principal, &owns, &mut found);
        found
    };
    // Nobody can change what a service made for itself.
    let found: Vec<Gathered> = principals.filter(|one| one.kind != PrincipalKind::ServiceLinkedRole).map(of).collect();
    let mut out = Gathered::default();
    for one in found {
        out.rows.extend(one.rows);
        out.forecast.merge(one.forecast);
    }
    out
}

/// Whether a use does not count as need: it falls into a span that the configuration names, or its person had left.
fn disregarded(inputs: &Inputs<'_>, key: &TimeKey, slot: Slot) -> bool {
    let named = |one: &Disregard| {
        let at = start_of(slot);
        let name = key.principal.arn.rsplit(['/', ':']).next().unwrap_or_default();
        one.from <= at
            && at < one.to
            && (one.who.matches(&key.person) || one.who.matches(&key.principal.arn) || one.who.matches(name))
    };
    let left = inputs.assessment.ended.get(key.person.as_ref()).is_some_and(|last| start_of(slot).day() > *last);
    left || inputs.settings.disregarded.iter().any(named)
}

fn owns<'a>(inputs: &Inputs<'a>, times: &[Timed<'a>]) -> BTreeMap<&'a str, Own<'a>> {
    let (catalog, classes) = (inputs.catalog, AccessClasses::get());
    let from = slot_of(inputs.assessment.window.from);
    let mut owns: BTreeMap<&str, Own<'_>> = BTreeMap::new();
    let mut touched: BTreeMap<&str, BTreeMap<Slot, BTreeSet<&str>>> = BTreeMap::new();
    for (key, slots) in times {
        let Some(action) = catalog.action(key.action) else { continue };
        let (class, service) = (classes.of(key.action), action.prefix());
        let (aside, slots): (Vec<Slot>, Vec<Slot>) = slots.iter().partition(|slot| disregarded(inputs, key, **slot));
        let aside = aside.iter().filter(|slot| **slot >= from).count() as u64;
        if aside > 0 {
            *owns.entry(&key.person).or_default().aside.entry((class, service)).or_default() += aside;
        }
        for slot in slots.iter().filter(|slot| **slot >= from) {
            touched.entry(&key.person).or_default().entry(*slot).or_default().insert(service);
        }
        owns.entry(&key.person).or_default().uses.entry((class, service)).or_default().extend(slots);
    }
    for (person, own) in &mut owns {
        own.bursts = touched.get(person).map(bursts).unwrap_or_default();
        for slots in own.uses.values_mut() {
            slots.sort_unstable();
            slots.dedup();
        }
    }
    owns
}

/// What a principal holds, as capabilities: services that somebody used apart, others together.
fn capabilities(
    principal: &PrincipalFacts,
    place: &Place,
    apart: &BTreeSet<Kind<'_>>,
    accessed: &BTreeMap<String, Timestamp>,
) -> Vec<(Capability, VerdictCounts)> {
    let mut single: Vec<(Capability, VerdictCounts)> = Vec::new();
    // By kind of access, and by whether the logs can tell, or tell by an assumption.
    let mut together: BTreeMap<(AccessClass, bool, bool), (Vec<String>, VerdictCounts)> = BTreeMap::new();
    for service in &principal.services {
        for (class, counts) in service.classes.iter().filter(|(_, counts)| counts.granted > 0) {
            let used = counts.used > 0 || apart.contains(&(*class, service.service.as_str()));
            if used || accessed.contains_key(&service.service) {
                let services = vec![service.service.clone()];
                single.push((Capability { class: *class, services, place: place.clone() }, *counts));
            } else {
                let key = (*class, counts.unobservable > 0, counts.unused_low_confidence > 0);
                let (services, sum) = together.entry(key).or_default();
                services.push(service.service.clone());
                add(sum, counts);
            }
        }
    }
    let together = together
        .into_iter()
        .map(|((class, _, _), (services, counts))| (Capability { class, services, place: place.clone() }, counts));
    single.into_iter().chain(together).collect()
}

fn add(sum: &mut VerdictCounts, counts: &VerdictCounts) {
    sum.granted += counts.granted;
    sum.used += counts.used;
    sum.unused += counts.unused;
    sum.unused_low_confidence += counts.unused_low_confidence;
    sum.unobservable += counts.unobservable;
    sum.used_not_granted += counts.used_not_granted;
}

/// When IAM last saw the principal attempt a service, for services of which that was before the window. What no report
/// tells of may have been what the principal was last used for: its own last use, of which IAM says no more, counts there.
fn accessed(inputs: &Inputs<'_>, principal: &PrincipalFacts) -> BTreeMap<String, Timestamp> {
    let report = principal.arn.parse().ok().and_then(|arn| inputs.snapshot.last_accessed.get(&arn));
    let before = |at: &Timestamp| *at < inputs.assessment.window.from;
    let last = principal.last_activity.filter(before);
    let of_service = |service: &str| match report.and_then(|r| r.services.iter().find(|one| one.namespace == service)) {
        Some(told) => told.at.filter(before),
        None => last,
    };
    let services = principal.services.iter().map(|one| one.service.as_str());
    services.filter_map(|service| Some((service.to_owned(), of_service(service)?))).collect()
}

/// What makes the holder of a user an easier prey.
fn exposed(assessment: &Assessment, principal: &PrincipalFacts) -> Vec<String> {
    let own = assessment.credentials.iter().filter(|one| one.arn == principal.arn && one.active);
    let old = assessment.as_of.plus_days(-KEY_AGE_DAYS);
    let mut out = BTreeSet::new();
    let (mut console, mut key) = (false, false);
    for one in own {
        console |= one.console;
        key |= matches!(one.kind, CredentialKind::AccessKey1 | CredentialKind::AccessKey2);
        if one.console && !one.mfa {
            out.insert("console without MFA".to_owned());
        }
        if !one.console && one.since.is_some_and(|since| since < old) {
            out.insert(format!("credential older than {KEY_AGE_DAYS} days"));
        }
    }
    if console && key {
        out.insert("console and access keys".to_owned());
    }
    out.into_iter().collect()
}

/// The managers of people, by all that the roster calls them.
fn approvers(snapshot: &Snapshot) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for entry in &snapshot.roster {
        for name in [&entry.id, &entry.name, &entry.email].into_iter().filter(|name| !name.is_empty()) {
            found.entry(name.as_str()).or_insert(entry.manager.as_str());
        }
    }
    found
}

/// What makes a principal an easier prey, or reach further than its account: each doubles the risk.
fn factors(inputs: &Inputs<'_>, sorted: &Sorted<'_>, principal: &PrincipalFacts) -> Vec<String> {
    let mut found = exposed(inputs.assessment, principal);
    if inputs.escalating.contains(&principal.arn) {
        found.push("a way to become administrator".to_owned());
    }
    if let Some(accounts) = inputs.chains.get(&principal.arn).filter(|accounts| !accounts.is_empty()) {
        found.push(format!("roles in {} other accounts", accounts.len()));
    }
    if sorted.outside.contains(&principal.arn) {
        found.push("trusted from outside the organization".to_owned());
    }
    found
}

fn of_principal<'a>(
    inputs: &'a Inputs<'a>,
    sorted: &Sorted<'a>,
    principal: &'a PrincipalFacts,
    owns: &BTreeMap<&'a str, Own<'a>>,
    out: &mut Gathered,
) {
    let place = Place::of(inputs.snapshot, &inputs.settings.environments, principal.account);
    let apart: BTreeSet<Kind<'_>> = owns.values().flat_map(|own| own.uses.keys().copied()).collect();
    let accessed = accessed(inputs, principal);
    let capabilities = capabilities(principal, &place, &apart, &accessed);
    let factors = factors(inputs, sorted, principal);
    let granted = sorted.granted.get(&(principal.arn.as_str(), principal.id.as_str()));
    let reaches = granted
        .map(|granted| scope::reaches(granted, &sorted.ground, &inputs.settings.sensitivity))
        .unwrap_or_default();
    let from = slot_of(inputs.assessment.window.from);
    let users: Vec<BTreeSet<&str>> = capabilities
        .iter()
        .map(|(capability, _)| {
            let used = |own: &Own<'_>| own.used(capability.class, &capability.services, from);
            owns.iter().filter(|(_, own)| used(own)).map(|(person, _)| *person).collect()
        })
        .collect();
    let reached: Vec<(Arc<Reach>, Risk)> = capabilities
        .iter()
        .map(|(capability, _)| {
            let (mut whole, mut units) = (Reach::default(), Units::default());
            for service in &capability.services {
                let Some(reach) = reaches.get(&(capability.class, service.as_str())) else {
                    units.add(capability.class, &Reach::default());
                    continue;
                };
                units.add(capability.class, reach);
                whole.merge(reach);
            }
            let risk = Risk::of(capability, units, &factors);
            (Arc::new(whole), risk)
        })
        .collect();
    let mut people: BTreeSet<&str> = principal.holders.iter().map(String::as_str).collect();
    people.extend(owns.keys().copied().filter(|person| !person.is_empty()));
    let alone = people.is_empty();
    // A user with keys alone, of whom nobody says whose it is, may be a program's.
    let asks = |person: &str| person != principal.arn || principal.nature == Nature::Human;
    let mut subjects: Vec<(&str, bool)> = people.into_iter().map(|person| (person, asks(person))).collect();
    if alone || principal.nature == Nature::Mixed {
        subjects.push(("", alone && principal.nature == Nature::Human));
    }
    for (person, human) in subjects {
        for (((capability, counts), (reach, risk)), users) in capabilities.iter().zip(&reached).zip(&users) {
            let approvers = &sorted.approvers;
            let subject = Subject { inputs, principal, person, human, owns, accessed: &accessed, approvers };
            let (row, foreseen) = subject.row((capability, users), *counts, (Arc::clone(reach), risk.clone()));
            if let Some(slots) = foreseen {
                let window = inputs.assessment.window;
                out.forecast.add(&slots, slot_of(window.from), slot_of(window.to));
            }
            out.rows.push(row);
        }
    }
}

/// Somebody's own use of a capability.
struct Seen {
    /// The last, also before the window.
    last: Option<Timestamp>,
    /// The last before the window.
    before: Option<Timestamp>,
    /// Slots of the window that count as need.
    needed: Vec<Slot>,
    /// Where sessions of them begin.
    starts: Vec<Slot>,
    burst_slots: u64,
    aside_slots: u64,
    touched: Vec<String>,
}

/// Somebody who holds something.
struct Subject<'a> {
    inputs: &'a Inputs<'a>,
    principal: &'a PrincipalFacts,
    person: &'a str,
    human: bool,
    owns: &'a BTreeMap<&'a str, Own<'a>>,
    accessed: &'a BTreeMap<String, Timestamp>,
    approvers: &'a BTreeMap<&'a str, &'a str>,
}

impl Subject<'_> {
    /// Whether it is a permission set's role and nobody is assigned.
    fn unassigned(&self) -> bool {
        self.principal.kind == PrincipalKind::IdentityCenterRole
            && self.inputs.snapshot.identity_center.is_some()
            && self.principal.holders.is_empty()
            && self.owns.is_empty()
    }

    /// Since when there are logs, where neither they nor IAM's last accessed information look back a year: work that comes
    /// once a year would not have been seen.
    fn short(&self, capability: &Capability) -> Option<Day> {
        let from = self.inputs.logged_from.unwrap_or(self.inputs.assessment.window.from);
        if from <= self.inputs.assessment.window.to.plus_days(-YEAR_DAYS) {
            return None;
        }
        let report = self.principal.arn.parse().ok().and_then(|arn| self.inputs.snapshot.last_accessed.get(&arn));
        let told =
            |service: &String| report.is_some_and(|report| report.services.iter().any(|one| one.namespace == *service));
        (!capability.services.iter().all(told)).then(|| from.day())
    }

    /// The holder's own use of a capability.
    fn seen(&self, capability: &Capability) -> Seen {
        let from = slot_of(self.inputs.assessment.window.from);
        let own = self.owns.get(self.person);
        let all = own.map(|own| own.slots(capability.class, &capability.services)).unwrap_or_default();
        let (before, within): (Vec<Slot>, Vec<Slot>) = all.iter().partition(|slot| **slot < from);
        // Of programs everything counts: going through everything is what some are for.
        let in_burst = |slot: &Slot| self.human && own.is_some_and(|own| own.bursts.contains(slot));
        let needed: Vec<Slot> = within.iter().copied().filter(|slot| !in_burst(slot)).collect();
        let aside =
            |service: &String| own.and_then(|own| own.aside.get(&(capability.class, service.as_str())).copied());
        Seen {
            last: all.last().map(|slot| start_of(*slot)),
            before: before.last().map(|slot| start_of(*slot)),
            starts: sessions(&needed).iter().map(|one| one.first).collect(),
            burst_slots: (within.len() - needed.len()) as u64,
            aside_slots: capability.services.iter().filter_map(aside).sum(),
            touched: own.map(|own| own.touched(capability.class, &capability.services)).unwrap_or_default(),
            needed,
        }
    }

    /// What the advice on a capability rests on, which `users` used in the window.
    fn evidence<'e>(
        &self,
        (capability, users): (&Capability, &BTreeSet<&str>),
        counts: VerdictCounts,
        seen: &Seen,
        friction: &'e Friction,
    ) -> Evidence<'e> {
        let claimed =
            self.principal.users.iter().any(|user| user.person == self.person && !user.likely_days.is_empty());
        Evidence {
            class: capability.class,
            human: self.human,
            counts,
            sessions: seen.starts.len() as u64,
            burst_slots: seen.burst_slots,
            aside_slots: seen.aside_slots,
            short: self.short(capability),
            before: seen.before,
            unassigned: self.unassigned(),
            left: self.inputs.assessment.ended.get(self.person).copied(),
            accessed: capability.services.iter().filter_map(|service| self.accessed.get(service)).max().copied(),
            others: users.iter().any(|person| *person != self.person && !person.is_empty()),
            nameless: self.human && (claimed || (!self.person.is_empty() && users.contains(""))),
            friction,
            limit: DEFAULT_LIMIT,
        }
    }

    /// The row about a capability, which `users` used in the window; and the use of the window where friction is worth
    /// foreseeing.
    fn row(
        &self,
        (capability, users): (&Capability, &BTreeSet<&str>),
        counts: VerdictCounts,
        (reach, risk): (Arc<Reach>, Risk),
    ) -> (Recommendation, Option<Vec<Slot>>) {
        let (window, hours) = (self.inputs.assessment.window, self.inputs.settings.hours);
        let days = window.days().count() as i64;
        let seen = self.seen(capability);
        let unseen = counts.unobservable + counts.unused_low_confidence > 0;
        let friction = Friction::of(&seen.needed, days, hours, unseen);
        let Advised { advice, why, confidence } = if self.principal.break_glass {
            let why = "break-glass: named in the configuration, to be there when all else fails".to_owned();
            Advised { advice: Advice::KeepStanding, why: vec![why], confidence: Confidence::High }
        } else {
            advise(&self.evidence((capability, users), counts, &seen, &friction))
        };
        let active: BTreeSet<Day> = seen.needed.iter().map(|slot| start_of(*slot).day()).collect();
        let working = seen.needed.iter().filter(|slot| hours.contains(**slot)).count() as i64;
        let duty = working * 1000 / hours.slots_in(days).max(1);
        let sessions = seen.starts.len() as u64;
        let (account, services) = (self.principal.account.to_string(), capability.services.join(","));
        let (class, principal) = (capability.class.as_str(), self.principal);
        let worth = self.human && capability.class != AccessClass::Read && sessions > 0 && !principal.break_glass;
        let foreseen = worth.then(|| seen.needed.clone());
        let row = Recommendation {
            id: id(&[&principal.arn, &principal.id, self.person, class, &account, &services]),
            principal: principal.arn.clone(),
            person: self.person.to_owned(),
            account,
            capability: capability.to_string(),
            class: capability.class,
            services: capability.services.clone(),
            advice,
            why,
            confidence,
            break_glass: principal.break_glass,
            granted: counts.granted,
            used: counts.used,
            reach,
            touched: seen.touched,
            rhythm: Rhythm::of(&seen.starts, hours),
            needed: seen.needed,
            sessions,
            active_days: active.len() as u64,
            duty_permille: u64::try_from(duty).unwrap_or(0),
            last: seen.last,
            friction,
            approver: self.approvers.get(self.person).map(|manager| (*manager).to_owned()).unwrap_or_default(),
            exposure_before: standing(&risk),
            exposure_after: 0,
            risk,
        };
        (row, foreseen)
    }
}

/// The first 16 hexadecimal digits of BLAKE3 over the parts.
fn id(parts: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.finalize().to_hex().chars().take(16).collect()
}
