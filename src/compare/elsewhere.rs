//! Actions that were used on some resources, and on all others that they are granted on were not: judged as if the calls on
//! those resources had not been made, by the same rules as everything that is called unused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalog::{ActionId, Catalog};
use crate::decide::reach::Reach;
use crate::entitlements::PrincipalEntitlements;
use crate::model::event::Outcome;
use crate::model::time::{Day, Timestamp};
use crate::usage::fold::ShapeKey;

use super::observe::Classes;
use super::used::OwnActivity;
use super::{Inputs, Shared, accounts, recording};

/// Verbs of calls that make something, which has a new name every time. Source: names of operations in the Service
/// Authorization Reference.
const MAKING: [&str; 14] = [
    "Allocate",
    "Clone",
    "Copy",
    "Create",
    "Import",
    "Issue",
    "Launch",
    "Provision",
    "Publish",
    "Register",
    "Request",
    "Restore",
    "Run",
    "Upload",
];

/// A resource that calls of an action name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnResource {
    /// Its ARN, without what lies inside it: a bucket for its objects.
    pub resource: Arc<str>,
    /// Calls.
    pub calls: u64,
    /// Days with calls.
    pub days: BTreeSet<Day>,
    /// The first call.
    pub first: Option<Timestamp>,
}

/// What a principal used on the resources that its calls name, and nowhere else.
#[derive(Clone, Debug, Default)]
pub struct Confined {
    /// ARN of the principal.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// The resources, by action.
    pub actions: BTreeMap<ActionId, Vec<OnResource>>,
    /// Every resource that its calls name and the action works on, in full; none where the records do not keep them apart.
    pub named: BTreeMap<ActionId, Option<BTreeSet<String>>>,
    /// Services and kinds of what it makes, such as `lambda` and `function`; an empty kind where no call names one.
    pub makes: BTreeSet<(String, String)>,
}

/// The kind of a resource: what stands before the first `/` or `:` of its last part; empty for one that has none, as a bucket.
#[must_use]
pub fn kind_of(resource: &str) -> &str {
    let last = resource.splitn(6, ':').nth(5).unwrap_or_default();
    last.split_once(['/', ':']).map_or("", |(kind, _)| kind)
}

/// Of the principals that `wanted` accepts.
#[must_use]
pub fn confined(inputs: &Inputs<'_>, wanted: impl Fn(&str) -> bool + Sync) -> Vec<Confined> {
    let classes = Classes::of(inputs.catalog);
    let recording = recording(inputs, &classes, &accounts(inputs));
    let shared = Shared::new(inputs, &classes, &recording);
    let principals = inputs.entitlements.principals.par_iter().zip(&shared.own);
    let wanted = principals.filter(|(granted, _)| wanted(granted.arn.as_str()));
    wanted.map(|(granted, own)| of_principal(&shared, granted, own)).collect()
}

fn of_principal(shared: &Shared<'_>, granted: &PrincipalEntitlements, own: &OwnActivity<'_>) -> Confined {
    let catalog = shared.inputs.catalog;
    let mut out = Confined {
        arn: granted.arn.to_string(),
        id: granted.id.clone(),
        actions: BTreeMap::new(),
        named: BTreeMap::new(),
        makes: makes(own, catalog),
    };
    for (action, rows) in own.by_action.iter().filter(|(action, _)| granted.granted.contains(**action)) {
        out.actions.extend(on_resources(rows).map(|seen| (*action, seen)));
    }
    if out.actions.is_empty() {
        return out;
    }
    // As if these had not been called.
    let rest = own.by_action.iter().filter(|(action, _)| !out.actions.contains_key(action));
    let others = OwnActivity {
        by_action: rest.map(|(action, rows)| (*action, rows.clone())).collect(),
        presence: own.presence.clone(),
    };
    let accessed = shared.accessed(granted, own);
    let (mut unused, mut not) = (catalog.no_actions(), catalog.no_actions());
    for part in shared.bench(granted, &accessed).iter().flat_map(|bench| {
        granted.entitlements.iter().flat_map(|entitlement| bench.judge(entitlement, &others)).collect::<Vec<_>>()
    }) {
        unused.union_with(&part.verdicts.unused);
        not.union_with(&part.verdicts.used);
        not.union_with(&part.verdicts.unused_low);
        part.verdicts.unobservable.iter().for_each(|(set, _)| not.union_with(set));
    }
    unused.subtract(&not);
    unused.subtract(&granted.undecided);
    out.actions.retain(|action, _| unused.contains(*action));
    out
}

impl Confined {
    /// Adds what a call names, beside the resource by which it is counted: a batch has many.
    pub fn add(&mut self, key: &ShapeKey, reach: &Reach<'_>, catalog: &Catalog) {
        if key.outcome == Outcome::Denied || key.outcome == Outcome::NotEvaluated {
            return;
        }
        for asked in catalog.event(&key.source, &key.name, &key.variant).actions() {
            let Some(action) = catalog.action(asked.id).filter(|action| self.actions.contains_key(&action.id())) else {
                continue;
            };
            let all = self.named.entry(asked.id).or_insert_with(|| Some(BTreeSet::new()));
            match all {
                Some(all) if !key.inexact => {
                    all.extend(key.resources.iter().filter(|one| reach.works(action, one)).cloned());
                }
                _ => *all = None,
            }
        }
    }
}

/// The resources of an action's calls; none where a call names none in full, or none was authorised.
fn on_resources(
    rows: &[(&crate::usage::activity::ActivityKey, &crate::usage::activity::ActionUse)],
) -> Option<Vec<OnResource>> {
    let mut seen: BTreeMap<&Arc<str>, OnResource> = BTreeMap::new();
    for (key, used) in rows.iter().filter(|(_, used)| used.count + used.undecided + used.not_evaluated > 0) {
        let whole = key.resource.starts_with("arn:") && !key.resource.contains(['*', '?', '$']);
        let one = seen.entry(&key.resource).or_insert_with(|| OnResource {
            resource: Arc::clone(&key.resource),
            calls: 0,
            days: BTreeSet::new(),
            first: None,
        });
        if !whole {
            return None;
        }
        one.calls += used.count;
        one.days.extend(used.days());
        one.first = [one.first, used.first].into_iter().flatten().min();
    }
    let any = seen.values().any(|one| one.calls > 0);
    any.then(|| seen.into_values().collect())
}

/// Services and kinds of what somebody makes.
fn makes(own: &OwnActivity<'_>, catalog: &Catalog) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    for (action, rows) in &own.by_action {
        let Some(action) = catalog.action(*action) else { continue };
        if MAKING.iter().any(|verb| action.name().starts_with(verb)) {
            let kinds = rows.iter().map(|(key, _)| kind_of(&key.resource).to_owned());
            out.extend(kinds.map(|kind| (action.prefix().to_owned(), kind)));
        }
    }
    out
}

/// Whether an action makes something.
#[must_use]
pub fn is_making(name: &str) -> bool {
    MAKING.iter().any(|verb| name.starts_with(verb))
}
