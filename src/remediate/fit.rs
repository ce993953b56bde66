//! What stays has to fit into what IAM takes. Where its names are too many, some of what would go stays: wildcards are
//! shorter than lists, so the lightest is given back first, and of that what takes the most room.

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

/// The calls that leave a principal with `keep`, or with so much more of what it is granted that it fits. `last`: what fitted
/// before more had to stay.
pub(super) fn fitted(
    mut keep: ActionSet,
    last: Option<Fitted>,
    granted: &ActionSet,
    catalog: &Catalog,
    steps: impl Fn(&ActionSet) -> Result<Vec<Step>, Unfit>,
) -> Result<Fitted, String> {
    let first = last.is_none();
    let mut back = catalog.no_actions();
    if let Some(last) = last {
        keep.union_with(&last.keep);
        back = last.back;
    }
    loop {
        match steps(&keep) {
            Ok(made) => {
                let fit = Fitted { keep, back, steps: made };
                return Ok(if first && !fit.back.is_empty() { without_needless(fit, catalog, steps) } else { fit });
            }
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

/// Something that may be given back: classes of a service's actions.
struct Offer {
    actions: ActionSet,
    saved: usize,
}

/// The lightest first: whoever may change permissions may do everything.
const LIGHTEST_FIRST: [AccessClass; 4] =
    [AccessClass::Read, AccessClass::Write, AccessClass::SensitiveRead, AccessClass::Permissions];

/// Of `gone` what is given back so that the rest is shorter by `excess` characters or more, as far as that goes: of all
/// services what is of the lightest class, and of a heavier one only where that does not do.
fn given_back(keep: &ActionSet, gone: &ActionSet, excess: usize, catalog: &Catalog) -> ActionSet {
    let classes = AccessClasses::get();
    let (mut out, mut saved) = (catalog.no_actions(), 0);
    for heaviest in LIGHTEST_FIRST {
        let mut offers: Vec<Offer> = Vec::new();
        for (prefix, range) in catalog.service_ranges() {
            if gone.count_range(range.clone()) == 0 {
                continue;
            }
            let is = |id: &ActionId| gone.contains(*id) && !out.contains(*id) && classes.of(*id) <= heaviest;
            let some: Vec<ActionId> = range.map(ActionId).filter(is).collect();
            // What is lighter was looked at before.
            if !some.iter().any(|id| classes.of(*id) == heaviest) {
                continue;
            }
            let mut actions = catalog.no_actions();
            for id in some {
                actions.insert(id);
            }
            let mut now = keep.clone();
            now.union_with(&out);
            let before = long(prefix, &now, catalog);
            now.union_with(&actions);
            let less = before.saturating_sub(long(prefix, &now, catalog));
            if less > 0 {
                offers.push(Offer { actions, saved: less });
            }
        }
        // The most room for the fewest actions.
        offers.sort_by(|a, b| (b.saved * a.actions.len()).cmp(&(a.saved * b.actions.len())));
        for offer in offers {
            if saved >= excess {
                return out;
            }
            saved += offer.saved;
            out.union_with(&offer.actions);
        }
    }
    out
}

/// Most services of which it is tried whether they have to be given back after all.
const TRIED: usize = 8;

/// What was given back and is not needed for the rest to fit goes, the heaviest first.
fn without_needless(
    mut fit: Fitted,
    catalog: &Catalog,
    steps: impl Fn(&ActionSet) -> Result<Vec<Step>, Unfit>,
) -> Fitted {
    let classes = AccessClasses::get();
    let mut parts: Vec<(AccessClass, ActionSet)> = Vec::new();
    for (_, range) in catalog.service_ranges() {
        let of: Vec<ActionId> = range.map(ActionId).filter(|id| fit.back.contains(*id)).collect();
        let Some(heaviest) = of.iter().map(|id| classes.of(*id)).max() else { continue };
        let mut actions = catalog.no_actions();
        for id in of {
            actions.insert(id);
        }
        parts.push((heaviest, actions));
    }
    parts.sort_by_key(|(class, _)| std::cmp::Reverse(*class));
    for (_, actions) in parts.into_iter().take(TRIED) {
        let mut less = fit.keep.clone();
        less.subtract(&actions);
        if let Ok(steps) = steps(&less) {
            fit.back.subtract(&actions);
            (fit.keep, fit.steps) = (less, steps);
        }
    }
    fit
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
        let reads = ids.filter(|id| classes.of(*id) == AccessClass::Read).step_by(2);
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
        let fit = fitted(keep.clone(), None, &all, catalog, steps).unwrap();
        assert!(keep.is_subset(&fit.keep) && fit.keep.len() < all.len());
        let mut sum = keep.clone();
        sum.union_with(&fit.back);
        assert_eq!(sum, fit.keep);
        let still = |class: AccessClass| {
            let ids = catalog.service_ranges().flat_map(|(_, range)| range).map(ActionId);
            let of = ids.filter(|id| classes.of(*id) == class).collect::<Vec<_>>();
            of.iter().filter(|id| !fit.keep.contains(**id)).count() * 100 / of.len()
        };
        println!("{:?}", AccessClass::ALL.map(still));
        assert!(still(AccessClass::Permissions) > still(AccessClass::Write), "{:?}", AccessClass::ALL.map(still));
        assert!(still(AccessClass::Write) > still(AccessClass::Read), "{:?}", AccessClass::ALL.map(still));
        // What cannot fit is told.
        let never = |_: &ActionSet| Err(Unfit::Long { why: "long".into(), excess: usize::MAX });
        assert_eq!(fitted(keep, None, &all, catalog, never).err().as_deref(), Some("long"));
    }
}
