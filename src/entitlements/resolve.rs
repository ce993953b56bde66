//! From a snapshot to the entitlements of its principals.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalog::{ActionSet, Catalog};
use crate::decide::compile::Compiler;
use crate::decide::standing::{Boundary, Control};
use crate::decide::{Placed, PrincipalKind, Roster, Standing};
use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;
use crate::policy::Effect;

use super::facts::Facts;
use super::layers::{Cap, Ceiling, Part, concerns};
use super::{Entitlement, Entitlements, PrincipalEntitlements, Scope};

/// What names a ceiling: the account, whether SCPs bind, and the boundary.
type CeilingKey<'s> = (AccountId, bool, Option<&'s str>);

pub(super) fn resolve(snapshot: &Snapshot, catalog: &Catalog) -> Entitlements {
    let compiler = Compiler::new(catalog);
    of_roster(&Roster::new(snapshot, &compiler), catalog)
}

pub(super) fn of_roster(roster: &Roster<'_>, catalog: &Catalog) -> Entitlements {
    let size = catalog.len();
    let mut caps: BTreeMap<AccountId, Vec<Arc<Cap>>> = BTreeMap::new();
    let mut ceilings: BTreeMap<CeilingKey<'_>, Ceiling> = BTreeMap::new();
    for standing in &roster.principals {
        ceilings.entry(key(standing)).or_insert_with(|| {
            let bound = standing.kind != PrincipalKind::ServiceLinkedRole;
            let control: &Control = &standing.control;
            let caps = if bound {
                caps.entry(standing.account).or_insert_with(|| caps_of(control, size)).clone()
            } else {
                Vec::new()
            };
            ceiling(caps, control, standing.boundary.as_deref(), size)
        });
    }
    let exempt = Ceiling::default();
    let principals = roster
        .principals
        .par_iter()
        .map(|standing| principal(roster, standing, ceilings.get(&key(standing)).unwrap_or(&exempt), size))
        .collect();
    Entitlements { principals, unmatched: roster.unmatched.clone(), defects: roster.defects.clone() }
}

fn key<'a>(standing: &'a Standing<'_>) -> CeilingKey<'a> {
    let boundary = standing.boundary.as_deref().map(|boundary| boundary.arn.as_str());
    (standing.account, standing.kind != PrincipalKind::ServiceLinkedRole, boundary)
}

/// One cap a level. A level with a policy that cannot be read caps nothing surely, and is undecidable.
fn caps_of(control: &Control, size: usize) -> Vec<Arc<Cap>> {
    let whole = control.levels.iter().filter(|level| level.broken.is_empty());
    whole.map(|level| Arc::new(Cap::new(level.statements(), size))).collect()
}

fn ceiling(caps: Vec<Arc<Cap>>, control: &Control, boundary: Option<&Boundary>, size: usize) -> Ceiling {
    let mut ceiling = Ceiling { caps, undecidable: control.undecidable, ..Ceiling::default() };
    ceiling.deny(control.levels.iter().flat_map(|level| level.statements().iter().cloned()));
    if let Some(boundary) = boundary {
        ceiling.undecidable |= !boundary.policies.broken.is_empty();
        if boundary.policies.broken.is_empty() {
            ceiling.caps.push(Arc::new(Cap::new(boundary.policies.statements(), size)));
        }
        ceiling.deny(boundary.policies.statements().iter().cloned());
        ceiling.since = boundary.since;
    }
    ceiling
}

fn principal(roster: &Roster<'_>, standing: &Standing<'_>, ceiling: &Ceiling, size: usize) -> PrincipalEntitlements {
    let holder = standing.holder;
    let account_facts = Facts::new(standing.account, standing.organization, None);
    let facts = Facts::new(standing.account, standing.organization, Some((&holder.arn, &holder.name, standing.kind)));
    let mut out = PrincipalEntitlements {
        arn: holder.arn.clone(),
        id: holder.id.clone(),
        account: standing.account,
        kind: standing.kind,
        granted: ActionSet::new(size),
        undecided: ActionSet::new(size),
        ineffective: ActionSet::new(size),
        open: false,
        entitlements: Vec::new(),
    };
    let (denies, allows): (Vec<&Placed>, Vec<&Placed>) =
        standing.identity.statements().iter().partition(|placed| placed.statement.effect == Effect::Deny);
    let mut sure = ActionSet::new(size);
    // The same statement may come by several ways; it is one entitlement with several provenances.
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for placed in allows {
        // Inline policies have no date of their own.
        let is_managed = placed.policy.starts_with("arn:");
        let version = if is_managed { roster.version_created(standing.account, &placed.policy) } else { None };
        let since = [version, holder.created, ceiling.since].into_iter().flatten().max();
        let key = Arc::as_ptr(&placed.statement).addr();
        if let Some(known) = seen.get(&key).and_then(|at| out.entitlements.get_mut(*at)) {
            known.provenance.push(placed.provenance());
            // Held by either way, so as old as the older of the two.
            known.since = known.since.zip(since).map(|(a, b)| a.min(b));
            continue;
        }
        if let Some(ineffective) = &placed.statement.ineffective {
            out.ineffective.union_with(ineffective);
        }
        let mut part: Arc<Part> = ceiling.under(&placed.statement, &account_facts);
        let personal = ceiling.personal.iter().chain(denies.iter().copied());
        for deny in personal.filter(|deny| concerns(deny, &placed.statement)) {
            Arc::make_mut(&mut part).deny(deny, &facts);
        }
        if part.actions.is_empty() && !part.open {
            continue;
        }
        out.granted.union_with(&part.actions);
        out.open |= part.open;
        if part.undecided.is_some() {
            out.undecided.union_with(&part.doubtful());
            sure.union_with(&part.certain());
        } else {
            sure.union_with(&part.actions);
        }
        seen.insert(key, out.entitlements.len());
        out.entitlements.push(Entitlement {
            scope: Arc::clone(&part.scope_of.scope),
            actions: Arc::clone(&part.actions),
            open: part.open,
            limits: live_limits(&part),
            provenance: vec![placed.provenance()],
            since,
        });
    }
    finish(&mut out, &sure, !standing.identity.broken.is_empty(), ceiling.undecidable);
    out
}

/// Limits noted before a later Deny took all their actions away say nothing any more.
fn live_limits(part: &Part) -> Vec<Arc<super::Limit>> {
    part.limits.iter().filter(|limit| limit.actions.intersects(&part.actions)).cloned().collect()
}

fn finish(out: &mut PrincipalEntitlements, sure: &ActionSet, unknown: bool, capped_unknown: bool) {
    if unknown {
        out.undecided = ActionSet::full(out.granted.capacity());
    } else if capped_unknown {
        out.undecided.union_with(&out.granted);
    } else {
        // What one entitlement surely grants is decided, whatever becomes of the others.
        out.undecided.subtract(sure);
    }
    out.ineffective.subtract(&out.granted);
    for entitlement in &mut out.entitlements {
        entitlement.provenance.sort();
        entitlement.provenance.dedup();
        entitlement.limits.sort_by(|a, b| limit_key(a).cmp(&limit_key(b)));
    }
    out.entitlements.sort_by(|a, b| (&a.scope, &a.provenance).cmp(&(&b.scope, &b.provenance)));
}

fn limit_key(limit: &super::Limit) -> (super::LimitKind, &Scope, &super::Provenance) {
    (limit.kind, &limit.scope, &limit.provenance)
}
