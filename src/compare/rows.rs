//! Entitlements as rows: principal, action, scope, verdict, reason, provenance.

use std::collections::BTreeMap;

use crate::catalog::{ActionId, ActionSet};
use crate::entitlements::{Entitlement, LimitKind, PrincipalEntitlements, Provenance};

use super::Shared;
use super::accessed::Accessed;
use super::assessment::Verdict;
use super::used::OwnActivity;
use super::verdict::{Bench, Part};

/// A row of `jitscan entitlements`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitlementRow {
    /// ARN of the principal.
    pub principal: String,
    /// The action; `*` stands for the actions that the catalogue does not know.
    pub action: String,
    /// Resources, as the policy names them.
    pub resource_scope: String,
    /// Conditions and limits, empty where none.
    pub conditions: String,
    /// Verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub reason: String,
    /// Statements that grant it.
    pub provenance: Vec<String>,
}

/// The rows of one principal, limited to `actions` where given.
pub(super) fn of(
    shared: &Shared<'_>,
    granted: &PrincipalEntitlements,
    own: &OwnActivity<'_>,
    actions: Option<&ActionSet>,
) -> Vec<EntitlementRow> {
    let catalog = shared.inputs.catalog;
    let accessed = shared.accessed(granted, own);
    let (analyzed, logs) = (shared.analyzed(granted), shared.logs(own));
    let Some(bench) = shared.bench(granted, &accessed) else { return Vec::new() };
    let principal = granted.arn.to_string();
    let mut rows = Vec::new();
    for entitlement in &granted.entitlements {
        let parts = bench.judge(entitlement, own);
        let provenance: Vec<String> = entitlement.provenance.iter().map(provenance_text).collect();
        // Resources with the same verdict for the same reason share a row.
        let mut found: BTreeMap<(ActionId, Verdict, &str), Vec<usize>> = BTreeMap::new();
        for (at, part) in parts.iter().enumerate() {
            for (set, verdict, reason) in verdicts(part) {
                let mut set = set.clone();
                if let Some(actions) = actions {
                    set.intersect_with(actions);
                }
                for action in set.iter() {
                    found.entry((action, verdict, reason)).or_default().push(at);
                }
            }
        }
        let whole = entitlement.scope.resources_text();
        let texts: Vec<String> = parts.iter().map(|part| part.scope.resources_text()).collect();
        for ((id, verdict, reason), on) in found {
            let Some(action) = catalog.action(id) else { continue };
            let also = match verdict {
                Verdict::Used => own.last_use(id).and_then(|last| accessed.misses(action, last)),
                Verdict::Unused => accessed.agrees(action),
                Verdict::Unobservable | Verdict::UsedNotGranted => None,
            };
            let also = also.into_iter().chain(analyzed.of_action(&logs, action, verdict));
            let reasons: Vec<String> = std::iter::once(reason.to_owned()).chain(also).collect();
            let some = || on.iter().filter_map(|at| texts.get(*at)).cloned().collect::<Vec<_>>().join(", ");
            rows.push(EntitlementRow {
                principal: principal.clone(),
                action: action.full_name(),
                resource_scope: if on.len() == texts.len() { whole.clone() } else { some() },
                conditions: conditions_text(entitlement, id),
                verdict,
                reason: reasons.join("; "),
                provenance: provenance.clone(),
            });
        }
    }
    rows.extend(beyond(shared, granted, own, actions));
    rows.sort_by(|a, b| {
        (&a.action, &a.resource_scope, &a.conditions).cmp(&(&b.action, &b.resource_scope, &b.conditions))
    });
    rows
}

/// What was used that is not granted.
fn beyond(
    shared: &Shared<'_>,
    granted: &PrincipalEntitlements,
    own: &OwnActivity<'_>,
    actions: Option<&ActionSet>,
) -> Vec<EntitlementRow> {
    let catalog = shared.inputs.catalog;
    let principal = granted.arn.as_str();
    let mut beyond = own.ever_used(catalog);
    beyond.subtract(&granted.granted);
    beyond.subtract(&granted.undecided);
    if let Some(actions) = actions {
        beyond.intersect_with(actions);
    }
    let beyond = beyond.iter().filter_map(|id| catalog.action(id));
    beyond
        .map(|action| EntitlementRow {
            principal: principal.to_owned(),
            action: action.full_name(),
            resource_scope: String::new(),
            conditions: String::new(),
            verdict: Verdict::UsedNotGranted,
            reason: beyond_because(shared, principal, own, action.id()),
            provenance: Vec::new(),
        })
        .collect()
}

/// The verdicts of one part with what each rests on.
fn verdicts(part: &Part) -> Vec<(&ActionSet, Verdict, &str)> {
    let verdicts = &part.verdicts;
    let mut all = vec![
        (&verdicts.used, Verdict::Used, "an authorised call exercised it"),
        (&verdicts.unused, Verdict::Unused, "the logs cover it and show no use"),
        (&verdicts.unused_low, Verdict::Unused, "low confidence: no use seen, by an assumption about what is logged"),
    ];
    all.extend(verdicts.unobservable.iter().map(|(set, reason)| (set, Verdict::Unobservable, reason.as_str())));
    all
}

/// Why something was used that is not granted, as far as it is known.
fn beyond_because(shared: &Shared<'_>, principal: &str, own: &OwnActivity<'_>, action: ActionId) -> String {
    if shared.inputs.activity.permissionless.contains(&action) {
        return "the call needs no permission".to_owned();
    }
    let last = own.last_use(action);
    let taken = shared.inputs.changes.taken(principal).filter(|(at, _)| last.is_some_and(|last| last <= *at));
    match taken {
        Some((at, by)) => format!(
            "used, but not granted by what was collected: probably removed since, as {by} took something away on {}",
            at.day()
        ),
        None => {
            "used, but not granted by what was collected: removed since, or granted by a resource policy or a KMS grant"
                .to_owned()
        }
    }
}

/// A statement as text: layer, policy, what carries it, Sid or index.
#[must_use]
pub fn provenance_text(provenance: &Provenance) -> String {
    provenance.to_string()
}

/// The conditions on one action of an entitlement, and the limits that other statements put on it.
fn conditions_text(entitlement: &Entitlement, action: ActionId) -> String {
    let mut parts = Vec::new();
    let own = entitlement.scope.conditions_text();
    if !own.is_empty() {
        parts.push(own);
    }
    for limit in entitlement.limits.iter().filter(|limit| limit.actions.contains(action)) {
        let kind = match limit.kind {
            LimitKind::Denied => "denied on",
            LimitKind::DeniedIf => "denied if",
            LimitKind::OnlyWithin => "only within",
        };
        let conditions = limit.scope.conditions_text();
        let when = if conditions.is_empty() { String::new() } else { format!(" where {conditions}") };
        parts.push(format!("{kind} {}{when} ({})", limit.scope.resources_text(), provenance_text(&limit.provenance)));
    }
    parts.join("; ")
}

impl Shared<'_> {
    /// What the verdict on a principal rests on; none for an account that is not in the snapshot.
    pub(super) fn bench<'b>(
        &'b self,
        granted: &'b PrincipalEntitlements,
        accessed: &'b Accessed<'b>,
    ) -> Option<Bench<'b>> {
        Some(Bench {
            catalog: self.inputs.catalog,
            classes: self.classes,
            eyes: self.eyes.get(&granted.account.to_string())?,
            data_seen: &self.data_seen,
            changes: self.inputs.changes,
            roles: &self.roles,
            pass: self.inputs.catalog.find("iam:PassRole"),
            granted: &granted.entitlements,
            reach: &self.reach,
            accessed,
            principal: granted.arn.as_str(),
            window: self.inputs.coverage.window(),
        })
    }
}
