//! What is left standing once recommendations are followed: which actions, and the policies that say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{ActionSet, Catalog};
use crate::compare::ActionVerdicts;
use crate::entitlements::AccessClasses;
use crate::model::snapshot::{AccountIam, Holder, NamedDocument, Snapshot};
use crate::policy::narrow::{Narrowed, narrow};

use super::{Advice, Recommendation};

/// The granted actions that a capability consists of.
#[must_use]
pub fn actions_of(row: &Recommendation, granted: &ActionSet, catalog: &Catalog) -> ActionSet {
    let classes = AccessClasses::get();
    let mut set = catalog.no_actions();
    for service in &row.services {
        let Some(range) = catalog.service(service) else { continue };
        for id in range.map(crate::catalog::ActionId).filter(|id| granted.contains(*id)) {
            if classes.of(id) == row.class {
                set.insert(id);
            }
        }
    }
    set
}

/// The actions that stay with a holder, by the rows about one principal and one person; where it is asked for also what
/// can be had by asking.
#[must_use]
pub fn standing<'a>(
    rows: impl IntoIterator<Item = &'a Recommendation>,
    granted: &ActionSet,
    verdicts: &ActionVerdicts,
    asking: bool,
    catalog: &Catalog,
) -> ActionSet {
    let mut keep = catalog.no_actions();
    for row in rows {
        let mut set = actions_of(row, granted, catalog);
        match row.advice {
            Advice::Remove => continue,
            Advice::ConvertToJit if !asking => continue,
            // What the logs could not show stays, and what was done on something that no entitlement names: either knows
            // more than the other of what the call was made on.
            Advice::Shrink => {
                let mut idle = verdicts.unused.clone();
                idle.subtract(&verdicts.seen);
                set.subtract(&idle);
            }
            Advice::ConvertToJit | Advice::DecideLater | Advice::KeepStanding => {}
        }
        keep.union_with(&set);
    }
    keep
}

/// An identity policy of a principal, as it is and as it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChange {
    /// Its name; of a group's, with the group.
    pub name: String,
    /// ARN of a managed policy; empty for inline ones.
    pub arn: String,
    /// The document as it is.
    pub json: String,
    /// As it would be; none where it cannot be read, and stays.
    pub after: Option<Narrowed>,
}

/// Every identity policy that applies to a principal, narrowed to the actions that stay. None where there is no such
/// principal.
#[must_use]
pub fn policies(snapshot: &Snapshot, arn: &str, keep: &ActionSet, catalog: &Catalog) -> Option<Vec<PolicyChange>> {
    let iam = snapshot.accounts.values().find(|iam| holders(iam).any(|holder| holder.arn.as_str() == arn))?;
    let holder = holders(iam).find(|holder| holder.arn.as_str() == arn)?;
    let change = |name: String, arn: &str, json: &str| PolicyChange {
        name,
        arn: arn.to_owned(),
        json: json.to_owned(),
        after: narrow(json, keep, catalog).ok(),
    };
    let managed = |arn: &str| iam.policies.iter().find(|policy| policy.arn == arn);
    let mut out: Vec<PolicyChange> = holder.inline.iter().map(|one| change(one.name.clone(), "", &one.json)).collect();
    for attached in holder.attached.iter().filter_map(|one| managed(&one.arn)) {
        out.push(change(attached.name.clone(), &attached.arn, &attached.json));
    }
    let user = iam.users.iter().find(|user| user.holder.arn.as_str() == arn);
    for name in user.into_iter().flat_map(|user| &user.groups) {
        let Some(group) = iam.groups.iter().find(|group| group.name == *name) else { continue };
        out.extend(group.inline.iter().map(|one| change(format!("{} of group {name}", one.name), "", &one.json)));
        for attached in group.attached.iter().filter_map(|one| managed(&one.arn)) {
            out.push(change(format!("{} of group {name}", attached.name), &attached.arn, &attached.json));
        }
    }
    Some(out)
}

fn holders(iam: &AccountIam) -> impl Iterator<Item = &Holder> {
    iam.users.iter().map(|user| &user.holder).chain(iam.roles.iter().map(|role| &role.holder))
}

/// A snapshot in which principals hold only the actions that stay with them: their policies, those of their groups
/// among them, are their own inline ones there. Boundaries, organisation policies and trust stay.
#[must_use]
pub fn snapshot(before: &Snapshot, keep: &BTreeMap<String, Arc<ActionSet>>, catalog: &Catalog) -> Snapshot {
    let mut after = before.clone();
    for (arn, keep) in keep {
        let Some(changes) = policies(before, arn, keep, catalog) else { continue };
        let inline = changes.into_iter().enumerate().filter_map(|(at, change)| {
            let json = match change.after {
                Some(narrowed) => narrowed.json?,
                None => change.json,
            };
            Some(NamedDocument { name: format!("{at} {}", change.name), json })
        });
        let inline: Vec<NamedDocument> = inline.collect();
        for iam in after.accounts.values_mut() {
            for user in iam.users.iter_mut().filter(|user| user.holder.arn.as_str() == arn) {
                user.groups.clear();
                put(&mut user.holder, &inline);
            }
            for role in iam.roles.iter_mut().filter(|role| role.holder.arn.as_str() == arn) {
                put(&mut role.holder, &inline);
            }
        }
    }
    after
}

fn put(holder: &mut Holder, inline: &[NamedDocument]) {
    holder.inline = inline.to_vec();
    holder.attached.clear();
}
