//! What a capability reaches: the resources on which it is granted, which of the known ones these are, and which of them
//! bear names of what is worth stealing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use serde::Serialize;

use crate::catalog::{ActionSet, Catalog, Glob};
use crate::compare::verdict::scope_may_hold;
use crate::entitlements::{AccessClass, AccessClasses, Entitlements, PrincipalEntitlements, Scope};
use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;
use crate::policy::{ArnPattern, ResourceMatch};
use crate::usage::activity::Activity;

/// A kind of access to a service, by its prefix.
pub type Kind<'a> = (AccessClass, &'a str);

/// Words in the names of resources that hold what is worth stealing, where the configuration names none. Words are what
/// stands between separators; a plural counts.
const WORDS: [&str; 24] = [
    "customer",
    "client",
    "pii",
    "gdpr",
    "personal",
    "payment",
    "card",
    "invoice",
    "billing",
    "payroll",
    "salary",
    "patient",
    "medical",
    "hr",
    "finance",
    "ledger",
    "secret",
    "credential",
    "password",
    "token",
    "confidential",
    "restricted",
    "backup",
    "audit",
];

/// Which resources hold what is worth stealing, by their names.
#[derive(Clone, Debug, Default)]
pub struct Sensitivity {
    /// Patterns over ARNs and names; where there are none, usual words decide.
    pub patterns: Vec<Glob>,
}

impl Sensitivity {
    /// Whether a resource's name says so.
    #[must_use]
    pub fn holds(&self, resource: &str) -> bool {
        // Names of services are no names of resources: `arn:aws:secretsmanager:` says nothing yet.
        let name =
            if resource.starts_with("arn:") { resource.splitn(6, ':').nth(5).unwrap_or(resource) } else { resource };
        if !self.patterns.is_empty() {
            return self.patterns.iter().any(|glob| glob.matches(resource) || glob.matches(name));
        }
        let lower = name.to_ascii_lowercase();
        let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| WORDS.contains(&word) || word.strip_suffix('s').is_some_and(|one| WORDS.contains(&one)))
    }
}

/// Where something is in memory, and how long it is.
type Place = (usize, usize);

/// Known resources of a service, each with whether it is sensitive.
type Known = BTreeMap<Arc<str>, bool>;

/// Resources of which something is known: those that recorded calls name, and those whose policies were collected.
#[derive(Debug, Default)]
pub struct Ground<'a> {
    /// By account and service: the resource, and whether it is sensitive.
    known: BTreeMap<AccountId, BTreeMap<&'a str, Known>>,
    /// The kinds of access of every set of actions that is granted: many principals hold the same.
    kinds: HashMap<&'a ActionSet, Vec<Kind<'a>>>,
    /// What scopes reach, by account, service and scope: found as it is asked for.
    reached: RwLock<HashMap<(AccountId, Place, Place), Arc<Reach>>>,
}

impl<'a> Ground<'a> {
    /// What a snapshot and the activity of a window tell.
    #[must_use]
    pub fn new(
        snapshot: &'a Snapshot,
        activity: &'a Activity,
        entitlements: &'a Entitlements,
        sensitivity: &Sensitivity,
        catalog: &'a Catalog,
    ) -> Self {
        let granted = entitlements.principals.iter().flat_map(|one| &one.entitlements);
        let sets: HashSet<&ActionSet> = granted.map(|one| &*one.actions).collect();
        let kinds = sets.into_par_iter().map(|set| (set, kinds(set, catalog)));
        let mut ground = Self { kinds: kinds.collect::<Vec<_>>().into_iter().collect(), ..Self::default() };
        let mut judged: BTreeMap<&str, bool> = BTreeMap::new();
        for key in activity.rows.keys().filter(|key| !key.resource.is_empty()) {
            let Some(action) = catalog.action(key.action) else { continue };
            let sensitive = *judged.entry(&key.resource).or_insert_with(|| sensitivity.holds(&key.resource));
            let Ok(account) = key.account.parse() else { continue };
            ground.place(account, action.prefix()).insert(Arc::clone(&key.resource), sensitive);
        }
        for ((account, service), resources) in &snapshot.resources {
            let place = ground.place(*account, service.as_str());
            for resource in &resources.resources {
                place.insert(resource.arn.as_str().into(), sensitivity.holds(resource.arn.as_str()));
            }
        }
        ground
    }

    fn place(&mut self, account: AccountId, service: &'a str) -> &mut Known {
        self.known.entry(account).or_default().entry(service).or_default()
    }

    /// What a scope reaches of a service in an account; many principals hold the same.
    fn reached(
        &self,
        (account, service): (AccountId, &'a str),
        scope: &Arc<Scope>,
        sensitivity: &Sensitivity,
    ) -> Arc<Reach> {
        // Scopes and names of services live longer than this, so that no two have one place in memory.
        let key = (account, (service.as_ptr() as usize, service.len()), (Arc::as_ptr(scope) as usize, 0));
        let known = self.reached.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let mut reach = Reach::default();
            add(&mut reach, scope, self.of(account, service), sensitivity);
            let reach = Arc::new(reach);
            self.reached.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&reach));
            reach
        })
    }

    fn of(&self, account: AccountId, service: &str) -> Option<&Known> {
        self.known.get(&account)?.get(service)
    }
}

/// What a kind of access to a service reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// It is granted on every resource, or on every one of a type.
    pub everywhere: bool,
    /// The resources as the policies name them; `*` for every one.
    pub named: BTreeSet<String>,
    /// Known resources among them.
    pub known: BTreeSet<Arc<str>>,
    /// Of these, those whose names say that they hold what is worth stealing; also names in policies that say so.
    pub sensitive: BTreeSet<Arc<str>>,
}

impl Reach {
    /// Adds what another reaches.
    pub fn merge(&mut self, other: &Self) {
        self.everywhere |= other.everywhere;
        self.named.extend(other.named.iter().cloned());
        self.known.extend(other.known.iter().cloned());
        self.sensitive.extend(other.sensitive.iter().cloned());
    }

    /// How much one service counts for: twice where every resource is meant, and twice where sensitive names are.
    /// Reading settings stays what it is, whatever the thing is called.
    #[must_use]
    pub fn units(&self, class: AccessClass) -> u64 {
        let sensitive = class != AccessClass::Read && !self.sensitive.is_empty();
        (1 + u64::from(self.everywhere)) * (1 + u64::from(sensitive))
    }
}

/// What a principal's entitlements reach, by kind of access and service.
#[must_use]
pub fn reaches<'c>(
    granted: &PrincipalEntitlements,
    ground: &Ground<'c>,
    sensitivity: &Sensitivity,
) -> BTreeMap<Kind<'c>, Arc<Reach>> {
    let mut scopes: BTreeMap<Kind<'c>, BTreeSet<usize>> = BTreeMap::new();
    for (at, entitlement) in granted.entitlements.iter().enumerate() {
        for kind in ground.kinds.get(&*entitlement.actions).into_iter().flatten() {
            scopes.entry(*kind).or_default().insert(at);
        }
    }
    let mut by_service: BTreeMap<(&str, BTreeSet<usize>), Arc<Reach>> = BTreeMap::new();
    let mut out = BTreeMap::new();
    for ((class, service), scopes) in scopes {
        let reach = by_service.entry((service, scopes)).or_insert_with_key(|(_, scopes)| {
            let scopes = scopes.iter().filter_map(|at| Some(&granted.entitlements.get(*at)?.scope));
            let mut reaches = scopes.map(|scope| ground.reached((granted.account, service), scope, sensitivity));
            let first = reaches.next().unwrap_or_default();
            let mut whole: Option<Reach> = None;
            reaches.for_each(|more| whole.get_or_insert_with(|| (*first).clone()).merge(&more));
            whole.map_or(first, Arc::new)
        });
        out.insert((class, service), Arc::clone(reach));
    }
    out
}

/// The kinds of access that actions give.
fn kinds<'c>(actions: &ActionSet, catalog: &'c Catalog) -> Vec<Kind<'c>> {
    let classes = AccessClasses::get();
    let kind = |id| Some((classes.of(id), catalog.action(id)?.prefix()));
    actions.iter().filter_map(kind).collect::<BTreeSet<Kind<'c>>>().into_iter().collect()
}

fn add(reach: &mut Reach, scope: &Scope, known: Option<&Known>, sensitivity: &Sensitivity) {
    let all = everything(&scope.resources);
    reach.everywhere |= all;
    match &scope.resources {
        ResourceMatch::Resource(patterns) => {
            for pattern in patterns {
                let text = pattern.to_string();
                if sensitivity.holds(&text) {
                    reach.sensitive.insert(text.as_str().into());
                }
                reach.named.insert(text);
            }
        }
        other => drop(reach.named.insert(other.to_string())),
    }
    for (resource, sensitive) in known.into_iter().flatten() {
        if scope.resources.is_everything() || scope_may_hold(scope, resource) {
            reach.known.insert(Arc::clone(resource));
            if *sensitive {
                reach.sensitive.insert(Arc::clone(resource));
            }
        }
    }
}

/// Whether every resource is meant, or every one of a type (`table/*`, but not a bucket's `bucket/*`).
fn everything(resources: &ResourceMatch) -> bool {
    let of_type = |resource: &str| {
        let mut parts = resource.splitn(2, ['/', ':']);
        let kind = parts.next().unwrap_or_default();
        !kind.contains(['*', '?', '$']) && parts.next() == Some("*")
    };
    match resources {
        ResourceMatch::Resource(patterns) => patterns.iter().any(|pattern| match pattern {
            ArnPattern::Any => true,
            ArnPattern::Arn(parts) => {
                parts.resource.is_any() || (!parts.service.matches("s3") && of_type(&parts.resource.to_string()))
            }
            ArnPattern::Other(_) => false,
        }),
        ResourceMatch::NotResource(_) => true,
        ResourceMatch::Implied => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_worth_stealing() {
        let usual = Sensitivity::default();
        for (name, want) in [
            ("arn:aws:s3:::lantern-invoices-prod", true),
            ("arn:aws:s3:::customers/2026", true),
            ("arn:aws:rds:eu-west-1:111122223333:db:hr", true),
            ("arn:aws:secretsmanager:eu-west-1:111122223333:secret:app/x", true),
            ("arn:aws:secretsmanager:eu-west-1:111122223333:*", false),
            ("arn:aws:s3:::web-assets", false),
            ("arn:aws:s3:::cardigan-shop", false),
            ("three", false),
        ] {
            assert_eq!(usual.holds(name), want, "{name}");
        }
        let own = Sensitivity { patterns: vec![Glob::new("*web-*")] };
        assert!(own.holds("arn:aws:s3:::web-assets") && !own.holds("arn:aws:s3:::customers"));
    }

    #[test]
    fn everything_and_everything_of_a_type() {
        for (text, want) in [
            ("*", true),
            ("arn:aws:s3:::*", true),
            ("arn:aws:s3:::bucket/*", false),
            ("arn:aws:dynamodb:*:*:table/*", true),
            ("arn:aws:lambda:*:*:function:*", true),
            ("arn:aws:lambda:*:*:function:prod-*", false),
            ("arn:aws:dynamodb:*:*:table/orders/index/*", false),
            ("arn:aws:iam::111122223333:role/app/*", false),
        ] {
            assert_eq!(everything(&ResourceMatch::Resource(vec![ArnPattern::parse(text, false)])), want, "{text}");
        }
        assert!(everything(&ResourceMatch::NotResource(vec![ArnPattern::parse("arn:aws:s3:::x", false)])));
    }
}
