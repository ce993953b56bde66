//! Activity as one principal of the snapshot sees it: rows matched by unique id, so that a principal that was
//! deleted and made again under the same name does not inherit what its predecessor did.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use crate::catalog::{ActionId, ActionSet, Catalog};
use crate::model::time::{Day, Timestamp};
use crate::policy::{ArnPattern, Wild};
use crate::usage::activity::{ActionUse, Activity, ActivityKey, Presence, PrincipalKey};

/// Whether a call was on one of some resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// It was not.
    No,
    /// The usage fold does not tell: it keeps the bucket of an object, and records do not name every resource.
    Maybe,
    /// It was.
    Surely,
}

/// What calls say of actions on some resources. An action that is used is in no other set.
#[derive(Clone, Debug)]
pub struct Calls {
    /// An authorised call surely exercised it there.
    pub used: ActionSet,
    /// An authorised call exercised it, there or elsewhere.
    pub unplaced: ActionSet,
    /// A call that blocks "unused" may have been there: one whose outcome is not known, or that ended before anybody asked
    /// whether it was allowed.
    pub undecided: ActionSet,
}

/// A principal's rows.
#[derive(Debug, Default)]
pub struct OwnActivity<'a> {
    /// Action → (resource, use), in key order.
    pub by_action: BTreeMap<ActionId, Vec<(&'a ActivityKey, &'a ActionUse)>>,
    /// All that it did.
    pub presence: Vec<&'a Presence>,
}

impl<'a> OwnActivity<'a> {
    /// Actions with an authorised call, on whatever resource.
    #[must_use]
    pub fn ever_used(&self, catalog: &Catalog) -> ActionSet {
        let mut set = catalog.no_actions();
        for (action, rows) in &self.by_action {
            if rows.iter().any(|(_, use_)| use_.count > 0) {
                set.insert(*action);
            }
        }
        set
    }

    /// What its calls say of some actions, where `held` tells whether a resource is one of those that are asked about.
    pub fn tell(&self, catalog: &Catalog, among: &ActionSet, held: impl Fn(ActionId, &str) -> Held) -> Calls {
        let none = || catalog.no_actions();
        let mut calls = Calls { used: none(), unplaced: none(), undecided: none() };
        for (action, rows) in self.by_action.iter().filter(|(action, _)| among.contains(**action)) {
            let (mut unplaced, mut undecided) = (false, false);
            for (key, use_) in rows {
                let open = use_.undecided + use_.not_evaluated > 0;
                // What was told already need not be asked again.
                if use_.count == 0 && (!open || undecided) {
                    continue;
                }
                match held(*action, &key.resource) {
                    Held::No => continue,
                    Held::Surely if use_.count > 0 => {
                        calls.used.insert(*action);
                        break;
                    }
                    _ => unplaced |= use_.count > 0,
                }
                undecided |= open;
            }
            if calls.used.contains(*action) {
                continue;
            }
            if unplaced {
                calls.unplaced.insert(*action);
            }
            if undecided {
                calls.undecided.insert(*action);
            }
        }
        calls
    }

    /// Those among some actions with a call that was not refused on a resource of which `apart` says that it may have been
    /// on others, too. Resources that are spelt alike are asked about once.
    pub fn beside(&self, catalog: &Catalog, among: &ActionSet, apart: impl Fn(ActionId, &str) -> bool) -> ActionSet {
        let mut set = catalog.no_actions();
        for (action, rows) in self.by_action.iter().filter(|(action, _)| among.contains(**action)) {
            let made = rows.iter().filter(|(_, use_)| use_.count + use_.undecided + use_.not_evaluated > 0);
            let alike: BTreeMap<_, &str> = made.map(|(key, _)| (spelling(&key.resource), &*key.resource)).collect();
            if alike.into_values().any(|resource| apart(*action, resource)) {
                set.insert(*action);
            }
        }
        set
    }

    /// The last authorised call of an action, on whatever resource.
    #[must_use]
    pub fn last_use(&self, action: ActionId) -> Option<Timestamp> {
        self.by_action.get(&action).into_iter().flatten().filter_map(|(_, use_)| use_.last).max()
    }

    /// Whether a call of an action was recorded on one of the days, allowed or denied.
    #[must_use]
    pub fn attempted(&self, action: ActionId, days: &RangeInclusive<Day>) -> bool {
        let within = |found: &BTreeSet<Day>| found.range(days.clone()).next().is_some();
        let mut rows = self.by_action.get(&action).into_iter().flatten();
        self.presence.iter().filter_map(|presence| presence.attempts.actions.get(&action)).any(within)
            || rows.any(|(_, use_)| use_.by_day.any_of(days))
    }

    /// Whether any call of a service was recorded on one of the days, whatever became of it. `actions` are the numbers
    /// of its actions; of calls behind which no action is known the event source has to tell.
    #[must_use]
    pub fn attempted_service(&self, prefix: &str, actions: &Range<u32>, days: &RangeInclusive<Day>) -> bool {
        let within = |found: &BTreeSet<Day>| found.range(days.clone()).next().is_some();
        let (first, end) = (ActionId(actions.start), ActionId(actions.end));
        self.presence.iter().any(|presence| {
            let attempts = &presence.attempts;
            attempts.actions.range(first..end).any(|(_, found)| within(found))
                || attempts.services.get(prefix).is_some_and(within)
        })
    }

    /// Days with an authorised call of one of the actions, for each person (empty: nobody known, or a service), also where
    /// only the name of a session leads to them: nobody is to be told that they did not use what they may have used.
    #[must_use]
    pub fn days_of(&self, actions: &ActionSet) -> BTreeMap<&'a str, BTreeSet<Day>> {
        let mut days: BTreeMap<&str, BTreeSet<Day>> = BTreeMap::new();
        for (action, rows) in &self.by_action {
            if actions.contains(*action) {
                for (key, use_) in rows {
                    if use_.count > 0 {
                        let person = if key.person.is_empty() { &key.likely } else { &key.person };
                        days.entry(person).or_default().extend(use_.days());
                    }
                }
            }
        }
        days
    }
}

/// Sorts activity by the principals of a snapshot, given as (ARN, unique id).
#[must_use]
pub fn by_principal<'a>(activity: &'a Activity, principals: &[(&str, &str)]) -> Vec<OwnActivity<'a>> {
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_arn: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (arn, id)) in principals.iter().enumerate() {
        if !id.is_empty() {
            by_id.insert(id, at);
        }
        by_arn.insert(arn, at);
    }
    let find = |key: &PrincipalKey| {
        if let Some(at) = by_id.get(&*key.id) {
            return Some(*at);
        }
        let at = *by_arn.get(&*key.arn)?;
        // Where either side has no unique id, the ARN has to do; two different ids are two principals.
        let snapshot_id = principals.get(at).map_or("", |(_, id)| *id);
        (key.id.is_empty() || snapshot_id.is_empty()).then_some(at)
    };
    let mut own: Vec<OwnActivity<'a>> = principals.iter().map(|_| OwnActivity::default()).collect();
    for (key, use_) in &activity.rows {
        if let Some(slot) = find(&key.principal).and_then(|at| own.get_mut(at)) {
            slot.by_action.entry(key.action).or_default().push((key, use_));
        }
    }
    for (key, presence) in &activity.presence {
        if let Some(slot) = find(key).and_then(|at| own.get_mut(at)) {
            slot.presence.push(presence);
        }
    }
    own
}

/// What tells the type of a resource: its service, the beginning of its name, and how many separators that has.
fn spelling(resource: &str) -> (&str, &str, usize) {
    let mut parts = resource.splitn(6, ':').skip(2);
    let (service, name) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    (
        service,
        name.split(['/', ':']).next().filter(|kind| kind.len() < name.len()).unwrap_or_default(),
        separators(name),
    )
}

fn separators(name: &str) -> usize {
    name.bytes().filter(|byte| matches!(byte, b'/' | b':')).count()
}

/// Whether a call on `resource` may have exercised a grant on `pattern`. The usage fold keeps the parent resource
/// (a bucket for its objects), so a pattern inside the parent counts; a bare name or nothing may be anything.
#[must_use]
pub fn may_hold(pattern: &ArnPattern, resource: &str) -> bool {
    if !resource.starts_with("arn:") || pattern.matches(resource) {
        return true;
    }
    // What it may be in full differs in its last part alone: most patterns are told apart by the others.
    let ArnPattern::Arn(parts) = pattern else {
        let guises = [format!("{resource}/*"), format!("{resource}:*")].into_iter().chain(full_name(resource));
        return guises.into_iter().any(|guise| pattern.overlaps(&ArnPattern::parse(&guise, false)));
    };
    let mut given = resource.splitn(6, ':').skip(1);
    let [partition, service, region, account, _] = parts.parts();
    if ![partition, service, region, account]
        .into_iter()
        .all(|wild| given.next().is_some_and(|part| wild.matches(part)))
    {
        return false;
    }
    let Some(name) = given.next() else { return false };
    let inside = |separator: &str| {
        let inside = format!("{name}{separator}");
        // A name that was cut to what many share ends in a wildcard of its own.
        if name.contains(['*', '?']) {
            // So does one of which a part is not known, as the number in the middle of an Auto Scaling group's ARN.
            return [name, &format!("{inside}*")].iter().any(|text| parts.resource.overlaps(&Wild::parse(text, false)));
        }
        parts.resource.may_begin(&inside)
    };
    inside("/")
        || inside(":")
        || full_name(resource).is_some_and(|full| pattern.overlaps(&ArnPattern::parse(&full, false)))
}

/// Whether a call on `resource` exercised a grant on `pattern`, as far as the fold tells, which keeps what holds the main
/// resource for some services (see `parent` of `lake::normalise`).
#[must_use]
pub fn held(pattern: &ArnPattern, resource: &str) -> Held {
    if pattern.is_any() {
        return Held::Surely;
    }
    if !may_hold(pattern, resource) {
        return Held::No;
    }
    if !resource.starts_with("arn:") {
        return Held::Maybe;
    }
    let covers = |guise: &str| pattern.covers(&ArnPattern::parse(guise, false));
    let inside = || ["/*", ":*"].iter().any(|end| covers(&format!("{resource}{end}")));
    let mut parts = resource.splitn(6, ':').skip(2);
    let (service, name) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let surely = match service {
        // An action is on the bucket or on what it holds, never on both; a log group is named with and without `:*`.
        "s3" if !name.starts_with("accesspoint") => pattern.matches(resource) || inside(),
        "logs" => pattern.matches(resource) || inside(),
        // A table and its indexes, a function and its versions are granted apart, and the fold keeps one for both.
        "s3" | "s3express" | "dynamodb" | "kinesis" | "lambda" => pattern.matches(resource) && inside(),
        _ => pattern.matches(resource) || full_name(resource).is_some_and(|full| covers(&full)),
    };
    if surely { Held::Surely } else { Held::Maybe }
}

/// What an ARN formed from the bare name of a request may be in full: a secret's ends in a hyphen and six random
/// characters, and what IAM holds may have a path. Source: "Secrets Manager secret ARNs" (Secrets Manager User
/// Guide, "What's in a Secrets Manager secret?"); "IAM identifiers" (IAM User Guide).
fn full_name(resource: &str) -> Option<String> {
    let (before, name) = match resource.split(':').nth(2)? {
        "secretsmanager" if resource.contains(":secret:") => return Some(format!("{resource}-??????")),
        "iam" => resource.split_once('/')?,
        _ => return None,
    };
    (!name.contains('/')).then(|| format!("{before}/*/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASG: &str = "arn:aws:autoscaling:r:1:autoScalingGroup:*:autoScalingGroupName/g";

    #[test]
    fn parents_stand_for_what_lies_inside() {
        for (pattern, resource, expected) in [
            ("*", "arn:aws:s3:::a", true),
            ("arn:aws:s3:::a/*", "arn:aws:s3:::a", true),
            ("arn:aws:s3:::a", "arn:aws:s3:::a", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::a", false),
            ("arn:aws:s3:::ab/*", "arn:aws:s3:::a", false),
            ("arn:aws:s3:::a*", "arn:aws:s3:::a", true),
            ("arn:aws:s3:::b/*", "", true),
            ("arn:aws:s3:::b/*", "some-name", true),
            ("arn:aws:secretsmanager:us-east-1:1:secret:a-??????", "arn:aws:secretsmanager:us-east-1:1:secret:a", true),
            ("arn:aws:secretsmanager:us-east-1:1:secret:b-*", "arn:aws:secretsmanager:us-east-1:1:secret:a", false),
            ("arn:aws:iam::1:role/app/*", "arn:aws:iam::1:role/web", true),
            ("arn:aws:iam::1:role/app/other", "arn:aws:iam::1:role/web", false),
            ("arn:aws:iam::1:role/app/*", "arn:aws:iam::1:role/team/web", false),
            ("arn:aws:autoscaling:r:1:autoScalingGroup:4ce9:autoScalingGroupName/g", ASG, true),
            ("arn:aws:autoscaling:r:1:autoScalingGroup:4ce9:autoScalingGroupName/h", ASG, false),
            ("arn:aws:lambda:*:*:function:f:*", "arn:aws:lambda:us-east-1:111111111111:function:f", true),
        ] {
            assert_eq!(may_hold(&ArnPattern::parse(pattern, true), resource), expected, "{pattern} {resource}");
        }
    }

    #[test]
    fn what_a_parent_tells_for_sure() {
        use Held::{Maybe, No, Surely};
        for (pattern, resource, expected) in [
            ("*", "", Surely),
            ("*", "some-name", Surely),
            ("arn:aws:s3:::b/*", "", Maybe),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b", Surely),
            ("arn:aws:s3:::b", "arn:aws:s3:::b", Surely),
            ("arn:aws:s3:::*", "arn:aws:s3:::b", Surely),
            ("arn:aws:s3:::b/home/*", "arn:aws:s3:::b", Maybe),
            ("arn:aws:s3:::c/home/*", "arn:aws:s3:::b", No),
            ("arn:aws:secretsmanager:r:1:secret:a-??????", "arn:aws:secretsmanager:r:1:secret:a", Surely),
            ("arn:aws:secretsmanager:r:1:secret:a-*", "arn:aws:secretsmanager:r:1:secret:a", Surely),
            ("arn:aws:secretsmanager:r:1:secret:a-x1y2z3", "arn:aws:secretsmanager:r:1:secret:a", Maybe),
            ("arn:aws:iam::1:role/app/*", "arn:aws:iam::1:role/web", Maybe),
            ("arn:aws:iam::1:role/*", "arn:aws:iam::1:role/web", Surely),
            ("arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:f", Maybe),
            ("arn:aws:lambda:r:1:function:f*", "arn:aws:lambda:r:1:function:f", Surely),
            ("arn:aws:dynamodb:r:1:table/a", "arn:aws:dynamodb:r:1:table/a", Maybe),
            ("arn:aws:dynamodb:r:1:table/a/*", "arn:aws:dynamodb:r:1:table/a", Maybe),
            ("arn:aws:dynamodb:r:1:table/*", "arn:aws:dynamodb:r:1:table/a", Surely),
            ("arn:aws:logs:r:1:log-group:g:*", "arn:aws:logs:r:1:log-group:g", Surely),
            ("arn:aws:ecr:r:1:repository/team", "arn:aws:ecr:r:1:repository/team", Surely),
            ("arn:aws:ecr:r:1:repository/team/*", "arn:aws:ecr:r:1:repository/team", Maybe),
            ("arn:aws:lambda:r:1:function:f:live", "arn:aws:lambda:r:1:function:f", Maybe),
            ("arn:aws:autoscaling:r:1:autoScalingGroup:4ce9:autoScalingGroupName/g", ASG, Maybe),
            ("arn:aws:autoscaling:r:1:autoScalingGroup:*", ASG, Surely),
        ] {
            assert_eq!(held(&ArnPattern::parse(pattern, true), resource), expected, "{pattern} {resource}");
        }
    }

    #[test]
    fn a_new_unique_id_is_a_new_principal() {
        let row = |arn: &str, id: &str| ActivityKey {
            principal: PrincipalKey { arn: arn.into(), id: id.into() },
            person: "".into(),
            likely: "".into(),
            action: ActionId(1),
            resource: "".into(),
            account: "".into(),
            region: "".into(),
        };
        let mut activity = Activity::default();
        for key in [row("arn:u", "AIDAOLD"), row("arn:u", "AIDANEW"), row("arn:u", ""), row("arn:renamed", "AIDANEW")] {
            activity.rows.insert(key, ActionUse { count: 1, ..ActionUse::default() });
        }
        let own = by_principal(&activity, &[("arn:u", "AIDANEW")]);
        assert_eq!(own[0].by_action[&ActionId(1)].len(), 3);
    }
}
