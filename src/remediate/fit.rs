//! What stays has to fit into what IAM takes. Where its names are too many, some of what would go stays: wildcards are
//! shorter than lists, so what takes the most room for the least risk is given back first.

use crate::catalog::{ActionId, ActionSet, Catalog};
use crate::entitlements::{AccessClass, AccessClasses};
use crate::policy::narrow::patterns_of;
use crate::recommend::Recommendation;

use super::Step;

/// Why a principal cannot be left with fewer actions.
#[derive(Debug)]
pub(super) enum Unfit {
    /// What stays is too long, by so many characters.
    Long { why: String, excess: usize },
    /// Something else.
    Other(String),
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

/// What fits.
pub(super) struct Fitted {
    /// The actions that stay.
    pub(super) keep: ActionSet,
    /// Those of them that stay for room alone.
    pub(super) back: ActionSet,
    /// The calls.
    pub(super) steps: Vec<Step>,
}

/// A capability that cannot be asked for: it stays, and why.
pub(super) struct Ungranted<'r> {
    pub(super) rows: Vec<&'r Recommendation>,
    pub(super) actions: ActionSet,
    pub(super) why: String,
}

/// The calls that leave a principal with `keep`, or with so much more of what it is granted that it fits.
pub(super) fn fitted(
    mut keep: ActionSet,
    granted: &ActionSet,
    catalog: &Catalog,
    steps: impl Fn(&ActionSet) -> Result<Vec<Step>, Unfit>,
) -> Result<Fitted, String> {
    let mut back = catalog.no_actions();
    loop {
        match steps(&keep) {
            Ok(steps) => return Ok(Fitted { keep, back, steps }),
            Err(Unfit::Other(why)) => return Err(why),
            Err(Unfit::Long { why, excess }) => {
                let mut gone = granted.clone();
                gone.subtract(&keep);
                let more = given_back(&keep, &gone, excess, catalog);
                if more.is_empty() {
                    return Err(why);
                }
                keep.union_with(&more);
                back.union_with(&more);
            }
        }
    }
}

/// What it is worth to take an action away, in proportions: whoever may change permissions may do everything.
const fn weight(class: AccessClass) -> usize {
    match class {
        AccessClass::Read => 1,
        AccessClass::Write => 8,
        AccessClass::SensitiveRead => 16,
        AccessClass::Permissions => 128,
    }
}

/// Something that may be given back: classes of a service's actions.
struct Offer {
    actions: ActionSet,
    saved: usize,
    weight: usize,
}

/// Of `gone` what is given back so that the rest is shorter by `excess` characters or more, as far as that goes.
fn given_back(keep: &ActionSet, gone: &ActionSet, excess: usize, catalog: &Catalog) -> ActionSet {
    let classes = AccessClasses::get();
    let mut offers: Vec<Offer> = Vec::new();
    for (prefix, range) in catalog.service_ranges() {
        if gone.count_range(range.clone()) == 0 {
            continue;
        }
        let of = |set: &ActionSet| long(prefix, set, catalog);
        let before = of(keep);
        // Of one service the lighter classes first, and the heavier ones with them.
        let (mut actions, mut weighs) = (catalog.no_actions(), 0);
        for class in [AccessClass::Read, AccessClass::Write, AccessClass::SensitiveRead, AccessClass::Permissions] {
            let is = |id: &ActionId| gone.contains(*id) && classes.of(catalog, *id) == class;
            let more: Vec<ActionId> = range.clone().map(ActionId).filter(is).collect();
            if more.is_empty() {
                continue;
            }
            weighs += weight(class) * more.len();
            for id in more {
                actions.insert(id);
            }
            let mut with = keep.clone();
            with.union_with(&actions);
            let saved = before.saturating_sub(of(&with));
            if saved > 0 {
                offers.push(Offer { actions: actions.clone(), saved, weight: weighs });
            }
        }
    }
    // The most room for the least risk.
    offers.sort_by(|a, b| (b.saved * a.weight).cmp(&(a.saved * b.weight)));
    let (mut out, mut saved) = (catalog.no_actions(), 0);
    for offer in offers {
        if saved >= excess {
            break;
        }
        // Another offer of the same service has it, or a part of it.
        let mut new = offer.actions.clone();
        new.subtract(&out);
        if new.len() == offer.actions.len() {
            saved += offer.saved;
            out.union_with(&offer.actions);
        }
    }
    out
}

/// How long the names of a service's actions are in a list, where all of it was allowed.
fn long(prefix: &str, keep: &ActionSet, catalog: &Catalog) -> usize {
    patterns_of(prefix, keep, catalog).iter().map(|name| name.len() + "\"\",".len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::narrow::narrow;
    use crate::remediate::quota;

    #[test]
    fn what_takes_room_is_given_back_and_what_is_dangerous_last() {
        let catalog = Catalog::get();
        let all = catalog.all_actions();
        let classes = AccessClasses::get();
        // Every second action that only reads stays, and nothing else.
        let mut keep = catalog.no_actions();
        let ids = catalog.service_ranges().flat_map(|(_, range)| range).map(ActionId);
        let reads = ids.filter(|id| classes.of(catalog, *id) == AccessClass::Read).step_by(2);
        for id in reads {
            keep.insert(id);
        }
        let document = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let limit = 20_000;
        let steps = |keep: &ActionSet| {
            let long = narrow(document, keep, catalog).unwrap().json.map_or(0, |json| quota::size(&json));
            let excess = long.saturating_sub(limit);
            if excess == 0 { Ok(Vec::new()) } else { Err(Unfit::Long { why: "long".into(), excess }) }
        };
        let fit = fitted(keep.clone(), &all, catalog, steps).unwrap();
        assert!(keep.is_subset(&fit.keep) && fit.keep.len() < all.len());
        let mut sum = keep.clone();
        sum.union_with(&fit.back);
        assert_eq!(sum, fit.keep);
        let still = |class: AccessClass| {
            let ids = catalog.service_ranges().flat_map(|(_, range)| range).map(ActionId);
            let of = ids.filter(|id| classes.of(catalog, *id) == class).collect::<Vec<_>>();
            of.iter().filter(|id| !fit.keep.contains(**id)).count() * 100 / of.len()
        };
        println!("{:?}", AccessClass::ALL.map(still));
        assert!(still(AccessClass::Permissions) > still(AccessClass::Write), "{:?}", AccessClass::ALL.map(still));
        assert!(still(AccessClass::Write) > still(AccessClass::Read), "{:?}", AccessClass::ALL.map(still));
        // What cannot fit is told.
        let never = |_: &ActionSet| Err(Unfit::Long { why: "long".into(), excess: usize::MAX });
        assert_eq!(fitted(keep, &all, catalog, never).err().as_deref(), Some("long"));
    }
}
