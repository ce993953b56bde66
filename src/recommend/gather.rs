//! From verdicts and times to one row for every holder and capability.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::assessment::{Assessment, Nature, PrincipalFacts, PrincipalKind, VerdictCounts};
use crate::entitlements::{AccessClass, AccessClasses};
use crate::model::finding::Confidence;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Day, Timestamp};
use crate::usage::activity::TimeKey;
use crate::usage::fold::Slots;

use super::capability::{Capability, Place};
use super::friction::{Forecast, Friction};
use super::risk::Risk;
use super::times::{Slot, bursts, sessions, slot_of, slots, start_of};
use super::verdict::{Advised, Evidence, advise};
use super::{Advice, DEFAULT_LIMIT, Inputs, Recommendation, standing};

/// Days after which an access key is old, as for findings.
const KEY_AGE_DAYS: i64 = crate::findings::KEY_AGE_DAYS;

/// Rows, and how well friction is foreseen.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub rows: Vec<Recommendation>,
    pub forecast: Forecast,
}

/// When somebody used an action through a principal.
type Timed<'a> = (&'a TimeKey, &'a BTreeMap<Day, Slots>);

/// A kind of access to a service, as it was used.
type Use<'a> = (AccessClass, &'a str);

/// What one holder did through a principal; the empty name stands for programs and for those whom the logs do not name.
#[derive(Debug, Default)]
struct Own<'a> {
    /// All slots, in order, by kind of access and service.
    uses: BTreeMap<Use<'a>, Vec<Slot>>,
    /// Slots of the window in which many services were gone through.
    bursts: BTreeSet<Slot>,
}

impl<'a> Own<'a> {
    fn slots<'s>(&'s self, class: AccessClass, services: &'s [String]) -> Vec<Slot> {
        let of = |service: &'s String| self.uses.get(&(class, service.as_str())).into_iter().flatten().copied();
        services.iter().flat_map(of).collect::<BTreeSet<Slot>>().into_iter().collect()
    }
}

/// Rows for all principals.
pub(super) fn gather(inputs: &Inputs<'_>) -> Gathered {
    let mut by_principal: BTreeMap<&str, Vec<Timed<'_>>> = BTreeMap::new();
    for (key, days) in inputs.times {
        by_principal.entry(&key.principal.arn).or_default().push((key, days));
    }
    let mut out = Gathered::default();
    for principal in &inputs.assessment.principals {
        // Nobody can change what a service made for itself.
        if principal.kind == PrincipalKind::ServiceLinkedRole {
            continue;
        }
        let times = by_principal.get(principal.arn.as_str()).map_or(&[][..], Vec::as_slice);
        // The same name with another unique id was another principal.
        let of_this = |key: &TimeKey| {
            let id = key.principal.id.as_ref();
            id.is_empty() || principal.id.is_empty() || id == principal.id
        };
        let times: Vec<_> = times.iter().copied().filter(|(key, _)| of_this(key)).collect();
        of_principal(inputs, principal, &times, &mut out);
    }
    out
}

fn owns<'a>(inputs: &Inputs<'a>, times: &[Timed<'a>]) -> BTreeMap<&'a str, Own<'a>> {
    let (catalog, classes) = (inputs.catalog, AccessClasses::get());
    let from = slot_of(inputs.assessment.window.from);
    let mut owns: BTreeMap<&str, Own<'_>> = BTreeMap::new();
    let mut touched: BTreeMap<&str, BTreeMap<Slot, BTreeSet<&str>>> = BTreeMap::new();
    for (key, days) in times {
        let Some(action) = catalog.action(key.action) else { continue };
        let (class, service) = (classes.of(catalog, key.action), action.prefix());
        let slots = slots(days);
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
    apart: &BTreeSet<Use<'_>>,
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

/// When IAM last saw the principal attempt a service, for services of which that was before the window.
fn accessed(inputs: &Inputs<'_>, principal: &PrincipalFacts) -> BTreeMap<String, Timestamp> {
    let report = principal.arn.parse().ok().and_then(|arn| inputs.snapshot.last_accessed.get(&arn));
    let services = report.iter().flat_map(|report| &report.services);
    let before = |at: &Timestamp| *at < inputs.assessment.window.from;
    services.filter_map(|one| Some((one.namespace.clone(), one.at.filter(before)?))).collect()
}

/// What makes the holder of a user an easier prey.
fn exposed(assessment: &Assessment, principal: &PrincipalFacts) -> Vec<String> {
    let own = assessment.credentials.iter().filter(|one| one.arn == principal.arn && one.active);
    let old = assessment.as_of.plus_days(-KEY_AGE_DAYS);
    let mut out = BTreeSet::new();
    for one in own {
        if one.console && !one.mfa {
            out.insert("console without MFA".to_owned());
        }
        if !one.console && one.since.is_some_and(|since| since < old) {
            out.insert(format!("credential older than {KEY_AGE_DAYS} days"));
        }
    }
    out.into_iter().collect()
}

/// The manager of a person in the roster.
fn approver(snapshot: &Snapshot, person: &str) -> String {
    let known =
        snapshot.roster.iter().find(|entry| [&entry.id, &entry.name, &entry.email].iter().any(|one| *one == person));
    known.map(|entry| entry.manager.clone()).unwrap_or_default()
}

fn of_principal(inputs: &Inputs<'_>, principal: &PrincipalFacts, times: &[Timed<'_>], out: &mut Gathered) {
    let place = Place::of(inputs.snapshot, &inputs.settings.environments, principal.account);
    let owns = owns(inputs, times);
    let apart: BTreeSet<Use<'_>> = owns.values().flat_map(|own| own.uses.keys().copied()).collect();
    let accessed = accessed(inputs, principal);
    let capabilities = capabilities(principal, &place, &apart, &accessed);
    let mut exposed = exposed(inputs.assessment, principal);
    if inputs.escalating.contains(&principal.arn) {
        exposed.push("a way to become administrator".to_owned());
    }
    let mut people: BTreeSet<&str> = principal.holders.iter().map(String::as_str).collect();
    people.extend(owns.keys().copied().filter(|person| !person.is_empty()));
    let alone = people.is_empty();
    let mut subjects: Vec<(&str, bool)> = people.into_iter().map(|person| (person, true)).collect();
    if alone || principal.nature == Nature::Mixed {
        subjects.push(("", alone && principal.nature == Nature::Human));
    }
    for (person, human) in subjects {
        for (capability, counts) in &capabilities {
            let subject = Subject { inputs, principal, person, human, owns: &owns, accessed: &accessed };
            let (row, foreseen) = subject.row(capability, *counts, Risk::of(capability, &exposed));
            if let Some(slots) = foreseen {
                let window = inputs.assessment.window;
                out.forecast.add(&slots, slot_of(window.from), slot_of(window.to));
            }
            out.rows.push(row);
        }
    }
}

/// Somebody who holds something.
struct Subject<'a> {
    inputs: &'a Inputs<'a>,
    principal: &'a PrincipalFacts,
    person: &'a str,
    human: bool,
    owns: &'a BTreeMap<&'a str, Own<'a>>,
    accessed: &'a BTreeMap<String, Timestamp>,
}

impl Subject<'_> {
    /// The row about a capability; and the use of the window where friction is worth foreseeing.
    fn row(&self, capability: &Capability, counts: VerdictCounts, risk: Risk) -> (Recommendation, Option<Vec<Slot>>) {
        let (window, hours) = (self.inputs.assessment.window, self.inputs.settings.hours);
        let from = slot_of(window.from);
        let days = window.days().count() as i64;
        let own = self.owns.get(self.person);
        let all = own.map(|own| own.slots(capability.class, &capability.services)).unwrap_or_default();
        let (before, within): (Vec<Slot>, Vec<Slot>) = all.iter().partition(|slot| **slot < from);
        // Of programs everything counts: going through everything is what some are for.
        let in_burst = |slot: &Slot| self.human && own.is_some_and(|own| own.bursts.contains(slot));
        let needed: Vec<Slot> = within.iter().copied().filter(|slot| !in_burst(slot)).collect();
        let unseen = counts.unobservable + counts.unused_low_confidence > 0;
        let friction = Friction::of(&needed, days, hours, unseen);
        let used_by = |person: &str| {
            let own = self.owns.get(person);
            own.is_some_and(|own| own.slots(capability.class, &capability.services).iter().any(|slot| *slot >= from))
        };
        let claimed =
            self.principal.users.iter().any(|user| user.person == self.person && !user.likely_days.is_empty());
        let accessed = capability.services.iter().filter_map(|service| self.accessed.get(service)).max().copied();
        let evidence = Evidence {
            class: capability.class,
            human: self.human,
            counts,
            sessions: sessions(&needed).len() as u64,
            burst_slots: (within.len() - needed.len()) as u64,
            before: before.last().map(|slot| start_of(*slot)),
            accessed,
            others: self.owns.keys().any(|person| *person != self.person && !person.is_empty() && used_by(person)),
            nameless: self.human && (claimed || (!self.person.is_empty() && used_by(""))),
            friction: &friction,
            limit: DEFAULT_LIMIT,
        };
        let Advised { advice, why, confidence } = if self.principal.break_glass {
            let why = "break-glass: named in the configuration, to be there when all else fails".to_owned();
            Advised { advice: Advice::KeepStanding, why: vec![why], confidence: Confidence::High }
        } else {
            advise(&evidence)
        };
        let active: BTreeSet<Day> = needed.iter().map(|slot| start_of(*slot).day()).collect();
        let working = needed.iter().filter(|slot| hours.contains(**slot)).count() as i64;
        let duty = working * 1000 / hours.slots_in(days).max(1);
        let sessions = evidence.sessions;
        let name = capability.to_string();
        let row = Recommendation {
            id: id(&[&self.principal.arn, &self.principal.id, self.person, &name, &capability.services.join(",")]),
            principal: self.principal.arn.clone(),
            person: self.person.to_owned(),
            account: self.principal.account.to_string(),
            capability: name,
            class: capability.class,
            services: capability.services.clone(),
            advice,
            why,
            confidence,
            break_glass: self.principal.break_glass,
            granted: counts.granted,
            used: counts.used,
            sessions,
            active_days: active.len() as u64,
            duty_permille: u64::try_from(duty).unwrap_or(0),
            last: all.last().map(|slot| start_of(*slot)),
            friction,
            approver: approver(self.inputs.snapshot, self.person),
            exposure_before: standing(&risk),
            exposure_after: 0,
            risk,
        };
        let worth = self.human && capability.class != AccessClass::Read && sessions > 0 && !self.principal.break_glass;
        (row, worth.then_some(needed))
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
