//! The verdict on an entitlement: used, unused or unobservable, by set algebra over whole action sets.
//!
//! An action is *used* where an authorised call surely exercised it on a resource of the scope. Everything else has
//! to earn "unused": its kind of call is logged, the logs cover every region and day in which it could have been
//! made, it was granted for the whole window, no call of doubtful outcome stands against it, and IAM itself saw no
//! attempt that the logs do not show.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::catalog::{ActionId, ActionSet, Catalog};
use crate::entitlements::{Entitlement, Layer, Reach, Scope};
use crate::model::time::{Timestamp, Window};
use crate::policy::{ArnPattern, ResourceMatch};
use crate::usage::activity::DataResource;
use crate::usage::changes::PolicyChanges;
use crate::usage::trails::Recorded;

use super::accessed::Accessed;
use super::logged::{data_type, may_be_of_another_type};
use super::observe::{Classes, Eyes};
use super::role_names::RoleNames;
use super::used::{OwnActivity, may_hold};

/// The verdicts on one entitlement's actions. Used, unused and unobservable ones do not overlap and together are its actions.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// Used.
    pub used: ActionSet,
    /// Unused, by documented or observed logging.
    pub unused: ActionSet,
    /// Unused as far as an assumption holds.
    pub unused_low: ActionSet,
    /// Not observable, by reason.
    pub unobservable: Vec<(ActionSet, String)>,
    /// Of these, what was used, and nothing tells whether here.
    pub unplaced: ActionSet,
}

impl Verdicts {
    /// Whether the action is among them.
    #[must_use]
    pub fn holds(&self, action: ActionId) -> bool {
        self.used.contains(action)
            || self.unused.contains(action)
            || self.unused_low.contains(action)
            || self.unobservable.iter().any(|(set, _)| set.contains(action))
    }
}

/// The verdicts on an entitlement for some of its resources.
#[derive(Clone, Debug)]
pub struct Part {
    /// The resources, with the entitlement's conditions.
    pub scope: Arc<Scope>,
    /// The verdicts on the actions there.
    pub verdicts: Verdicts,
}

/// Most resource patterns of one statement that are judged one by one; longer lists are judged as a whole, which
/// says less but costs no more.
const MOST_PARTS: usize = 64;

/// What the verdict on a principal's entitlements rests on.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// Its actions by class of logging.
    pub classes: &'a Classes,
    /// What the account's logs show.
    pub eyes: &'a Eyes<'a>,
    /// Resources with data events.
    pub data_seen: &'a DataSeen<'a>,
    /// Changes of policies that the logs show.
    pub changes: &'a PolicyChanges,
    /// Which actions work on which resources.
    pub reach: &'a Reach<'a>,
    /// What IAM saw of the principal beside the logs.
    pub accessed: &'a Accessed<'a>,
    /// What records call a role otherwise → its ARN.
    pub roles: &'a RoleNames<'a>,
    /// `iam:PassRole`.
    pub pass: Option<ActionId>,
    /// All that the principal is granted: what a call of unknown place can have been made by.
    pub granted: &'a [Entitlement],
    /// ARN of the principal.
    pub principal: &'a str,
    /// The window.
    pub window: Window,
}

impl Bench<'_> {
    /// Judges one entitlement, each of its resource patterns for itself: what is used on one bucket may be unused
    /// on the next, and not observable on a third.
    #[must_use]
    pub fn judge(&self, entitlement: &Entitlement, own: &OwnActivity<'_>) -> Vec<Part> {
        let whole = &entitlement.scope;
        let scopes: Vec<Arc<Scope>> = match &whole.resources {
            ResourceMatch::Resource(patterns) if (2..=MOST_PARTS).contains(&patterns.len()) => patterns
                .iter()
                .map(|pattern| {
                    let resources = ResourceMatch::Resource(vec![pattern.clone()]);
                    Arc::new(Scope { resources, conditions: whole.conditions.clone() })
                })
                .collect(),
            _ => vec![Arc::clone(whole)],
        };
        let sets = self.actions_of_parts(&entitlement.actions, &scopes);
        scopes
            .into_iter()
            .zip(sets)
            .map(|(scope, actions)| {
                let verdicts = self.judge_scope(entitlement, &scope, actions, own);
                Part { scope, verdicts }
            })
            .collect()
    }

    /// The actions that work on each part's resources (`s3:ListBucket` on the bucket, not on `bucket/*`). What would
    /// be left to no part stays with all of them.
    fn actions_of_parts(&self, actions: &ActionSet, scopes: &[Arc<Scope>]) -> Vec<ActionSet> {
        if scopes.len() < 2 {
            return vec![actions.clone()];
        }
        let mut homeless = actions.clone();
        let mut sets = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let mut set = actions.clone();
            set.subtract(&self.reach.unreachable(actions, &scope.resources));
            homeless.subtract(&set);
            sets.push(set);
        }
        for set in &mut sets {
            set.union_with(&homeless);
        }
        sets
    }

    fn judge_scope(
        &self,
        entitlement: &Entitlement,
        scope: &Scope,
        mut rest: ActionSet,
        own: &OwnActivity<'_>,
    ) -> Verdicts {
        let settled = self.is_settled(entitlement);
        let held = |action: ActionId, resource: &str| self.held(scope, settled, action, resource);
        let calls = own.tell(self.catalog, &rest, held);
        let used = take(&mut rest, &calls.used);
        let mut unobservable = Vec::new();
        let mut set_aside = |set: ActionSet, reason: String| {
            if !set.is_empty() {
                unobservable.push((set, reason));
            }
        };
        let unplaced = take(&mut rest, &calls.unplaced);
        set_aside(
            unplaced.clone(),
            "a call of this action may have been on these resources or on others that are granted: usage keeps a bucket, not \
             its objects, and some records name no resource"
                .to_owned(),
        );
        let doubtful = take(&mut rest, &calls.undecided);
        set_aside(
            doubtful,
            "a call was made whose outcome, or whose use of the action, the record does not show".to_owned(),
        );
        let apart = |action: ActionId, resource: &str| self.is_apart(scope, action, resource);
        let beside = own.beside(self.catalog, &rest, apart);
        set_aside(
            take(&mut rest, &beside),
            "calls of this action were made that are counted by a resource of another kind, and may have been on these"
                .to_owned(),
        );
        set_aside(take(&mut rest, &self.classes.dark), "CloudTrail does not record the use of this action".to_owned());
        if let Some(since) = self.since(entitlement).filter(|since| *since > self.window.from) {
            let young = std::mem::replace(&mut rest, self.catalog.no_actions());
            set_aside(young, format!("granted only since {since}, which is within the window"));
        }
        let data = take(&mut rest, &self.classes.data);
        let regions = scope_regions(scope);
        let data = self.split_data(&data, scope, regions.as_ref());
        set_aside(data.unseen, "data events of these resources are not in the logs".to_owned());
        set_aside(
            data.unselected,
            "no trail is known to have recorded data events of all these resources through the whole window".to_owned(),
        );
        let mut observable = rest;
        observable.union_with(&data.seen);
        observable.union_with(&data.selected);
        let blind = self.eyes.blind(&observable, regions.as_ref());
        for (set, reason) in blind.left_out {
            set_aside(take(&mut observable, &set), reason);
        }
        set_aside(take(&mut observable, &blind.actions), blind.reasons.join("; "));
        for (set, reason) in self.accessed.contradicted() {
            set_aside(take(&mut observable, set), reason.clone());
        }
        // That data events were seen for a resource does not say that they were selected for the whole window.
        let mut low = self.classes.assumed.clone();
        low.union_with(&data.seen);
        let unused_low = take(&mut observable, &low);
        Verdicts { used, unused: observable, unused_low, unobservable, unplaced }
    }

    /// Since when the entitlement is granted at the latest: what IAM's dates say, and what the logs show of the
    /// policy having been attached or put. Of several statements that grant it the oldest way counts.
    pub(super) fn since(&self, entitlement: &Entitlement) -> Option<Timestamp> {
        let mut oldest: Option<Option<Timestamp>> = None;
        for provenance in &entitlement.provenance {
            let at = match provenance.layer {
                Layer::IdentityManaged => self.changes.attached(self.principal, &provenance.policy),
                Layer::IdentityInline => self.changes.inline(self.principal),
                Layer::Group => self.changes.joined(self.principal),
                _ => None,
            };
            oldest = Some(oldest.map_or(at, |known| known.min(at)));
        }
        entitlement.since.max(oldest.flatten())
    }

    /// Splits data actions by what shows that their use would have been recorded: the selectors of trails where they
    /// were collected, else data events of the same kind (read or write) that were seen for every resource of the
    /// scope.
    fn split_data(&self, data: &ActionSet, scope: &Scope, regions: Option<&BTreeSet<String>>) -> Data {
        let none = || self.catalog.no_actions();
        let mut split = Data { selected: none(), seen: none(), unselected: none(), unseen: data.clone() };
        let ResourceMatch::Resource(patterns) = &scope.resources else { return split };
        let seen = self.data_seen.of_all(patterns);
        if seen.is_empty() && !self.eyes.documented() {
            return split;
        }
        for id in data.iter() {
            let Some(action) = self.catalog.action(id) else { continue };
            if self.eyes.documented() && data_type(action.prefix(), action.name()).is_some() {
                split.unseen.remove(id);
                let other = patterns.iter().any(|pattern| may_be_of_another_type(action.prefix(), pattern));
                match self.eyes.data_recorded(id, patterns, regions) {
                    Recorded::No => split.unselected.insert(id),
                    Recorded::Yes if !other => split.selected.insert(id),
                    Recorded::Yes | Recorded::Maybe => split.seen.insert(id),
                };
                continue;
            }
            let write = !self.classes.reads.contains(id);
            if seen.contains(&(action.prefix(), write)) {
                split.seen.insert(id);
                split.unseen.remove(id);
            }
        }
        split
    }
}

/// Resources with data events, to be found by what lies in them.
#[derive(Debug, Default)]
pub struct DataSeen<'a> {
    /// Resource → IAM prefix of the service, and whether a write was seen.
    by_resource: HashMap<&'a str, BTreeSet<(&'a str, bool)>>,
}

impl<'a> DataSeen<'a> {
    /// Sorts out resources with data events.
    #[must_use]
    pub fn of(seen: &'a BTreeSet<DataResource>) -> Self {
        let mut by_resource: HashMap<&str, BTreeSet<(&str, bool)>> = HashMap::new();
        for data in seen {
            by_resource.entry(&data.resource).or_default().insert((&data.service, data.write));
        }
        Self { by_resource }
    }

    /// Services, and whether it was a write, of which data events were seen on resources in which all patterns lie.
    fn of_all(&self, patterns: &[ArnPattern]) -> BTreeSet<(&'a str, bool)> {
        let mut rest = patterns.iter();
        let Some(first) = rest.next() else { return BTreeSet::new() };
        let mut seen = self.of_one(first);
        for pattern in rest {
            if seen.is_empty() {
                break;
            }
            let other = self.of_one(pattern);
            seen.retain(|kind| other.contains(kind));
        }
        seen
    }

    /// What a pattern lies in begins like it, up to a separator before its first wildcard or variable.
    fn of_one(&self, pattern: &ArnPattern) -> BTreeSet<(&'a str, bool)> {
        let text = pattern.to_string();
        let literal = text.find(['*', '?', '$']).and_then(|end| text.get(..end)).unwrap_or(&text);
        let ends = literal.match_indices(['/', ':']).map(|(at, _)| at).chain([literal.len()]);
        ends.filter_map(|end| self.by_resource.get_key_value(literal.get(..end)?))
            .filter(|(resource, _)| lies_within(pattern, resource))
            .flat_map(|(_, kinds)| kinds.iter().copied())
            .collect()
    }
}

/// Actions that are recorded as data events, by what is known of their being recorded.
struct Data {
    /// Trails selected them on every resource through the whole window.
    selected: ActionSet,
    /// Data events of the resources were seen, or were selected as far as an assumption holds.
    seen: ActionSet,
    /// Trails are known, and none is known to have selected them so.
    unselected: ActionSet,
    /// Nothing shows that they were recorded.
    unseen: ActionSet,
}

/// Removes from `rest` what `wanted` holds and gives it.
fn take(rest: &mut ActionSet, wanted: &ActionSet) -> ActionSet {
    let mut taken = rest.clone();
    taken.intersect_with(wanted);
    rest.subtract(&taken);
    taken
}

/// Whether a call on `resource` may have exercised a grant on the scope.
#[must_use]
pub fn scope_may_hold(scope: &Scope, resource: &str) -> bool {
    match &scope.resources {
        ResourceMatch::Resource(patterns) => patterns.iter().any(|pattern| may_hold(pattern, resource)),
        other => other.may_match(resource),
    }
}

/// Whether all that a pattern names lies in the resource.
fn lies_within(pattern: &ArnPattern, resource: &str) -> bool {
    [resource.to_owned(), format!("{resource}/*"), format!("{resource}:*")]
        .iter()
        .any(|whole| ArnPattern::parse(whole, false).covers(pattern))
}

/// The regions that the scope's resources name, where every one of them names one literally.
fn scope_regions(scope: &Scope) -> Option<BTreeSet<String>> {
    let ResourceMatch::Resource(patterns) = &scope.resources else { return None };
    patterns.iter().map(literal_region).collect()
}

fn literal_region(pattern: &ArnPattern) -> Option<String> {
    let ArnPattern::Arn(parts) = pattern else { return None };
    let region = parts.region.to_string();
    (parts.region.is_literal() && !region.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::activity::{ActionUse, ActivityKey};
    use crate::usage::coverage::Coverage;

    fn set(names: &[&str]) -> ActionSet {
        let mut set = Catalog::get().no_actions();
        for name in names {
            assert!(set.insert(Catalog::get().find(name).unwrap()), "{name}");
        }
        set
    }

    fn names(set: &ActionSet) -> Vec<String> {
        set.iter().map(|id| Catalog::get().action(id).unwrap().full_name()).collect()
    }

    /// Used, unused of low confidence, and not observable.
    type Shown = (Vec<String>, Vec<String>, Vec<String>);

    /// The verdicts on actions granted on some resources, part by part, where these calls (action, resource) were seen.
    fn judge(actions: &[&str], resources: &[&str], calls: &[(&str, &str)]) -> Vec<Shown> {
        let catalog = Catalog::get();
        let keys: Vec<(ActivityKey, ActionUse)> = calls
            .iter()
            .map(|(action, resource)| {
                let key = ActivityKey {
                    principal: Default::default(),
                    person: "".into(),
                    likely: "".into(),
                    action: catalog.find(action).unwrap(),
                    resource: (*resource).into(),
                    account: "".into(),
                    region: "".into(),
                };
                (key, ActionUse { count: 1, ..ActionUse::default() })
            })
            .collect();
        let mut own = OwnActivity::default();
        for (key, use_) in &keys {
            own.by_action.entry(key.action).or_default().push((key, use_));
        }
        let patterns = resources.iter().map(|text| ArnPattern::parse(text, true)).collect();
        let entitlement = Entitlement {
            scope: Arc::new(Scope { resources: ResourceMatch::Resource(patterns), conditions: Vec::new() }),
            actions: Arc::new(set(actions)),
            open: false,
            limits: Vec::new(),
            provenance: Vec::new(),
            since: None,
        };
        let granted = [entitlement];
        with_bench(&granted, |bench| bench.judge(&granted[0], &own).iter().map(shown).collect())
    }

    fn shown(part: &Part) -> Shown {
        // Without logs nothing can be seen, whatever else stands against it.
        let beside = |why: &str| if why.starts_with("calls of this action were made") { " beside" } else { "" };
        let dark = part.verdicts.unobservable.iter();
        let dark = dark.flat_map(|(set, why)| names(set).into_iter().map(move |name| name + beside(why)));
        (names(&part.verdicts.used), names(&part.verdicts.unused_low), dark.collect())
    }

    #[test]
    fn a_call_on_two_things_is_counted_by_one_and_says_nothing_of_the_other() {
        let instance = "arn:aws:ec2:r:1:instance/i-1";
        for (action, granted, counted, want) in [
            ("ec2:AttachVolume", "arn:aws:ec2:r:1:volume/*", instance, "ec2:AttachVolume beside"),
            ("ec2:AttachVolume", "arn:aws:ec2:r:1:instance/i-2", instance, "ec2:AttachVolume"),
            ("iam:AddUserToGroup", "arn:aws:iam::1:group/a", "arn:aws:iam::1:user/b", "iam:AddUserToGroup beside"),
            ("iam:AddUserToGroup", "arn:aws:iam::1:group/a", "arn:aws:iam::1:group/b", "iam:AddUserToGroup"),
            ("ecs:RunTask", "arn:aws:ecs:r:1:task-definition/t:*", "arn:aws:ecs:r:1:cluster/c", "ecs:RunTask beside"),
            ("s3:GetObject", "arn:aws:s3:::a/*", "arn:aws:s3:::b", "s3:GetObject"),
            (
                "logs:PutRetentionPolicy",
                "arn:aws:logs:r:1:log-group:a:*",
                "arn:aws:logs:r:1:log-group:b",
                "logs:PutRetentionPolicy",
            ),
        ] {
            let found = judge(&[action], &[granted], &[(action, counted)]);
            assert_eq!(found, [(vec![], vec![], vec![want.to_owned()])], "{action} {granted} {counted}");
        }
    }

    #[test]
    fn what_nothing_places_is_used_only_where_one_grant_can_have_allowed_it() {
        let none = Vec::<String>::new;
        let one = |name: &str| vec![name.to_owned()];
        let (get, query) = ("s3:GetObject", "dynamodb:Query");
        let bucket = [(get, "arn:aws:s3:::b")];
        assert_eq!(judge(&[get], &["arn:aws:s3:::b/x/*"], &bucket), [(one(get), none(), none())]);
        let two = judge(&[get], &["arn:aws:s3:::b/x/*", "arn:aws:s3:::b/y/*"], &bucket);
        assert_eq!(two, [(none(), none(), one(get)), (none(), none(), one(get))]);
        let all = judge(&[get], &["arn:aws:s3:::b/x/*", "arn:aws:s3:::b/*"], &bucket);
        assert_eq!(all, [(none(), none(), one(get)), (one(get), none(), none())]);
        // A batch whose record names no table, and a table that stands for its indexes.
        for resource in ["", "arn:aws:dynamodb:r:1:table/a"] {
            let tables = ["arn:aws:dynamodb:r:1:table/a", "arn:aws:dynamodb:r:1:table/a/index/*"];
            let found = judge(&[query], &tables, &[(query, resource)]);
            assert_eq!(found, [(none(), none(), one(query)), (none(), none(), one(query))], "{resource}");
        }
        // What works on tables alone was on the table.
        let (update, table) = ("dynamodb:UpdateTable", "arn:aws:dynamodb:r:1:table/a");
        let found = judge(&[update], &[table, "arn:aws:dynamodb:r:1:table/a/*"], &[(update, table)]);
        assert_eq!(found[0], (one(update), none(), none()));
        // A profile is one where it is not passed.
        let (read, profile) = ("iam:GetInstanceProfile", "arn:aws:iam::1:instance-profile/p");
        let found = judge(&[read], &["arn:aws:iam::1:instance-profile/*"], &[(read, profile)]);
        assert_eq!(found, [(one(read), none(), none())]);
        assert!(judge(&[read], &["arn:aws:iam::1:role/*"], &[(read, profile)])[0].0.is_empty());
        let others = |pattern: &str| {
            let resources = ResourceMatch::NotResource(vec![ArnPattern::parse(pattern, true)]);
            crate::compare::placed::scope_held(&Scope { resources, conditions: Vec::new() }, "arn:aws:s3:::b")
        };
        assert_eq!(others("arn:aws:s3:::b/x/*"), crate::compare::used::Held::Maybe);
        assert_eq!(others("arn:aws:s3:::c/*"), crate::compare::used::Held::Surely);
        assert_eq!(others("arn:aws:s3:::b*"), crate::compare::used::Held::No);
    }

    /// An account without logs, of which one bucket's data events were seen.
    fn with_bench<T>(granted: &[Entitlement], act: impl FnOnce(&Bench<'_>) -> T) -> T {
        let catalog = Catalog::get();
        let window = Window::last_days("2026-03-03".parse().unwrap(), 2);
        let coverage = Coverage::of(window, &std::collections::BTreeMap::new());
        let classes = Classes::of(catalog);
        let eyes = Eyes::on(&coverage, &classes, "111111111111", "aws", &[], Vec::new());
        let seen = DataResource { service: "s3".into(), resource: "arn:aws:s3:::seen".into(), write: true };
        act(&Bench {
            catalog,
            classes: &classes,
            eyes: &eyes,
            data_seen: &DataSeen::of(&BTreeSet::from([seen])),
            changes: &PolicyChanges::default(),
            reach: &Reach::new(catalog),
            accessed: &Accessed::default(),
            roles: &RoleNames::of([("arn:aws:iam::1:role/r", vec!["arn:aws:iam::1:instance-profile/p"])].into_iter()),
            pass: catalog.find("iam:PassRole"),
            granted,
            principal: "arn:aws:iam::111111111111:role/x",
            window,
        })
    }

    #[test]
    fn each_resource_of_a_list_is_judged_for_itself() {
        let none = Vec::<String>::new;
        let one = |name: &str| vec![name.to_owned()];
        // Two buckets, of which one has data events: its coverage says nothing of the other.
        let buckets = ["arn:aws:s3:::seen/*", "arn:aws:s3:::unseen/*"];
        assert_eq!(
            judge(&["s3:PutObject"], &buckets, &[("s3:PutObject", "arn:aws:s3:::seen")]),
            [(one("s3:PutObject"), none(), none()), (none(), none(), one("s3:PutObject"))]
        );
        // The profile stands for its role, and for no other.
        let roles = ["arn:aws:iam::1:role/r", "arn:aws:iam::1:role/other"];
        assert_eq!(
            judge(&["iam:PassRole"], &roles, &[("iam:PassRole", "arn:aws:iam::1:instance-profile/p")]),
            [(one("iam:PassRole"), none(), none()), (none(), none(), one("iam:PassRole"))]
        );
        let bucket = ["arn:aws:s3:::unseen", "arn:aws:s3:::unseen/*"];
        // Objects are read in the bucket, not on it. (What is published of buckets does not exclude a slash.)
        let dark = judge(&["s3:GetObject"], &bucket, &[]).into_iter().map(|part| part.2).collect::<Vec<_>>();
        assert_eq!(dark, [none(), one("s3:GetObject")]);
        // What works on none of the list's resources is left to all of them.
        assert_eq!(judge(&["iam:PassRole"], &bucket, &[]).len(), 2);
    }
}
