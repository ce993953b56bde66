//! What IAM saw against what the logs show, and the verdicts that follow.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::compare::RoleNames;
use crate::compare::observe::{Classes, Eyes};
use crate::compare::verdict::{Bench, DataSeen};
use crate::entitlements::{Entitlement, Reach, Scope};
use crate::model::event::EventCategory;
use crate::policy::{ArnPattern, ResourceMatch};
use crate::usage::activity::{ActionUse, ActivityKey, Presence};
use crate::usage::changes::PolicyChanges;
use crate::usage::coverage::Coverage;
use crate::usage::fold::{CoverageFact, CoverageKey};

const ACCOUNT: &str = "111111111111";
const ROLE: &str = "arn:aws:iam::111111111111:role/x";
const ACTIONS: [&str; 3] = ["ec2:DescribeInstances", "ec2:RunInstances", "kms:CreateKey"];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(name: &str) -> ActionId {
    Catalog::get().find(name).unwrap()
}

fn window() -> Window {
    Window { from: at("2026-03-01"), to: at("2026-03-05") }
}

/// A day and a half after the window, and a day before the report.
fn as_of() -> Timestamp {
    at("2026-03-06T12:00:00Z")
}

fn action(name: &str, last: Option<&str>) -> ActionLastAccessed {
    ActionLastAccessed { name: name.to_owned(), at: last.map(at), region: String::new() }
}

fn service(namespace: &str, last: Option<&str>, actions: &[ActionLastAccessed]) -> ServiceLastAccessed {
    let region = if last.is_some() { "eu-west-1" } else { "" };
    ServiceLastAccessed {
        namespace: namespace.to_owned(),
        at: last.map(at),
        region: region.to_owned(),
        actions: actions.to_vec(),
    }
}

fn report(completed: &str, services: &[ServiceLastAccessed]) -> PrincipalLastAccessed {
    PrincipalLastAccessed { arn: ROLE.parse().unwrap(), completed: at(completed), services: services.to_vec() }
}

/// Logs of every hour in the only region that is in use.
fn coverage() -> Coverage {
    let first = window().from.hour();
    let cells = (first..first + 24 * 5)
        .map(|hour| {
            let key = CoverageKey {
                account: ACCOUNT.into(),
                region: "us-east-1".into(),
                hour,
                category: EventCategory::Management,
            };
            (key, CoverageFact::whole(1))
        })
        .collect();
    Coverage::of(window(), &cells)
}

/// The verdicts on [`ACTIONS`], granted on everything: `used`, `unused`, `low`, or the reason.
fn judge(report: &PrincipalLastAccessed, own: &OwnActivity<'_>) -> [String; 3] {
    let catalog = Catalog::get();
    let (coverage, classes, reach) = (coverage(), Classes::of(catalog), Reach::new(catalog));
    let regions = ["us-east-1".to_owned()];
    let eyes = Eyes::on(&coverage, &classes, ACCOUNT, "aws", &regions, Vec::new());
    let (changes, seen, roles) = (PolicyChanges::default(), DataSeen::default(), RoleNames::default());
    let accessed = Accessed::of(report, own, catalog, window(), as_of());
    let bench = Bench {
        catalog,
        classes: &classes,
        eyes: &eyes,
        data_seen: &seen,
        changes: &changes,
        reach: &reach,
        accessed: &accessed,
        roles: &roles,
        pass: catalog.find("iam:PassRole"),
        granted: &[],
        principal: ROLE,
        window: window(),
    };
    let mut set = catalog.no_actions();
    for name in ACTIONS {
        set.insert(id(name));
    }
    let everything = ResourceMatch::Resource(vec![ArnPattern::parse("*", true)]);
    let entitlement = Entitlement {
        scope: Arc::new(Scope { resources: everything, conditions: Vec::new() }),
        actions: Arc::new(set),
        open: false,
        limits: Vec::new(),
        provenance: Vec::new(),
        since: None,
    };
    let parts = bench.judge(&entitlement, own);
    ACTIONS.map(|name| {
        let verdicts = &parts[0].verdicts;
        let plain = [(&verdicts.used, "used"), (&verdicts.unused, "unused"), (&verdicts.unused_low, "low")];
        let reasons = verdicts.unobservable.iter().map(|(set, why)| (set, why.as_str()));
        let found = plain.into_iter().chain(reasons).find(|(set, _)| set.contains(id(name)));
        found.map(|(_, why)| why.to_owned()).unwrap_or_default()
    })
}

/// What was attempted: an action or an event source, and the day.
fn presence(attempts: &[(&str, &str)]) -> Presence {
    let mut presence = Presence::default();
    for (what, day) in attempts {
        let day = BTreeSet::from([at(day).day()]);
        match Catalog::get().find(what) {
            Some(action) => drop(presence.attempts.actions.insert(action, day)),
            None => drop(presence.attempts.services.insert((*what).to_owned(), day)),
        }
    }
    presence
}

fn judged(services: &[ServiceLastAccessed], attempts: &[(&str, &str)]) -> [String; 3] {
    let presence = presence(attempts);
    let own = OwnActivity { presence: vec![&presence], ..OwnActivity::default() };
    judge(&report("2026-03-07T12:00:00Z", services), &own)
}

const SEEN: &str = "IAM saw ec2 accessed on 2026-03-03 in eu-west-1, allowed or denied, which the logs do not show";

#[test]
fn what_only_iam_saw_is_not_unused() {
    assert_eq!(judged(&[], &[]), ["unused"; 3]);
    let ec2 = service("ec2", Some("2026-03-03T10:00:00Z"), &[]);
    assert_eq!(judged(std::slice::from_ref(&ec2), &[]), [SEEN, SEEN, "unused"]);
    // Calls of other services, or of other days, are not what IAM saw.
    for attempts in [("kms:CreateKey", "2026-03-03"), ("ec2:StopInstances", "2026-03-01"), ("kms", "2026-03-03")] {
        assert_eq!(judged(std::slice::from_ref(&ec2), &[attempts]), [SEEN, SEEN, "unused"], "{attempts:?}");
    }
    // A service that the catalogue does not know has no actions.
    assert_eq!(judged(&[service("nosuch", Some("2026-03-03"), &[])], &[]), ["unused"; 3]);
}

#[test]
fn an_attempt_in_the_logs_explains_what_iam_saw() {
    let ec2 = [service("ec2", Some("2026-03-03T10:00:00Z"), &[])];
    for attempt in [
        ("ec2:StopInstances", "2026-03-03"),
        ("ec2:RunInstances", "2026-03-03"),
        ("ec2:StopInstances", "2026-03-02"),
        ("ec2:StopInstances", "2026-03-04"),
        // Of a call that the catalogue does not know, the event source tells the service.
        ("ec2", "2026-03-03"),
    ] {
        assert_eq!(judged(&ec2, &[attempt]), ["unused"; 3], "{attempt:?}");
    }
}

#[test]
fn what_iam_says_of_an_action_overrides_what_it_says_of_the_service() {
    let run = "IAM saw ec2:RunInstances accessed on 2026-03-03, allowed or denied, which the logs do not show";
    let inside = Some("2026-03-03T10:00:00Z");
    for (last, actions, attempts, want) in [
        // Not this action, but something else of the service.
        (inside, vec![action("RunInstances", None)], vec![], [SEEN, "unused", "unused"]),
        (inside, vec![action("runinstances", Some("2025-01-01"))], vec![], [SEEN, "unused", "unused"]),
        // Another call of the service explains the service, not the action; its own call does.
        (
            inside,
            vec![action("RunInstances", inside)],
            vec![("ec2:StopInstances", "2026-03-03")],
            ["unused", run, "unused"],
        ),
        (inside, vec![action("RunInstances", inside)], vec![("ec2:RunInstances", "2026-03-03")], ["unused"; 3]),
        (inside, vec![action("RunInstances", inside)], vec![], [SEEN, run, "unused"]),
        (None, vec![action("NoSuchAction", inside)], vec![], ["unused"; 3]),
    ] {
        assert_eq!(judged(&[service("ec2", last, &actions)], &attempts), want, "{actions:?} {attempts:?}");
    }
}

#[test]
fn calls_that_were_denied_or_allowed_elsewhere_explain_an_action() {
    let run = [service("ec2", None, &[action("RunInstances", Some("2026-03-03T10:00:00Z"))])];
    let report = report("2026-03-07", &run);
    let key = ActivityKey {
        principal: Default::default(),
        person: "".into(),
        likely: "".into(),
        action: id("ec2:RunInstances"),
        resource: "".into(),
        account: ACCOUNT.into(),
        region: "us-east-1".into(),
    };
    let day = at("2026-03-03").day();
    let denied = ActionUse { denied: 1, by_day: (day, (0, 1)).into(), ..ActionUse::default() };
    let mut own = OwnActivity::default();
    own.by_action.insert(key.action, vec![(&key, &denied)]);
    assert_eq!(judge(&report, &own), ["unused"; 3]);
    // A use in the logs is a use, whatever IAM says.
    let used = ActionUse { count: 1, by_day: (at("2026-03-01").day(), (1, 0)).into(), ..ActionUse::default() };
    let mut own = OwnActivity::default();
    own.by_action.insert(key.action, vec![(&key, &used)]);
    assert_eq!(judge(&report, &own), ["unused", "used", "unused"]);
}

#[test]
fn only_attempts_up_to_the_instant_asked_about_count() {
    for (last, want) in [
        (None, "unused"),
        (Some("2026-02-28T23:59:59Z"), "unused"),
        // The logs of after the window are not settled, and somebody may have used it an hour ago.
        (Some("2026-03-06T11:00:00Z"), "IAM saw ec2 accessed on 2026-03-06 in eu-west-1"),
        (Some("2026-03-06T13:00:00Z"), "unused"),
    ] {
        let [describe, run, kms] = judged(&[service("ec2", last, &[])], &[]);
        assert!(describe.starts_with(want) && run.starts_with(want) && kms == "unused", "{last:?}: {describe}");
    }
}

#[test]
fn what_agrees_and_what_does_not_fit() {
    let none = OwnActivity::default();
    let catalog = Catalog::get();
    let told = |completed: &str, last: Option<&str>, actions: &[ActionLastAccessed], use_: Option<&str>| {
        let report = report(completed, &[service("ec2", last, actions)]);
        let accessed = Accessed::of(&report, &none, catalog, window(), as_of());
        let run = catalog.action(id("ec2:RunInstances")).unwrap();
        assert_eq!(accessed.agrees(catalog.action(id("kms:CreateKey")).unwrap()), None, "nothing is listed");
        let said = use_.map_or_else(|| accessed.agrees(run), |use_| accessed.misses(run, at(use_)));
        said.unwrap_or_default()
    };
    let (late, nothing) = ("2026-03-07", "");
    for (completed, last, actions, want) in [
        (late, None, vec![], "as of 2026-03-07 IAM tracked no attempt on ec2 within its tracking period"),
        (late, Some("2026-01-02"), vec![], "as of 2026-03-07 IAM tracked the last attempt on ec2 on 2026-01-02"),
        (late, Some("2026-03-03"), vec![], nothing),
        (late, Some("2026-03-06T13:00:00Z"), vec![], nothing),
        (
            late,
            Some("2026-03-03"),
            vec![action("RunInstances", None)],
            "as of 2026-03-07 IAM tracked no attempt on ec2:RunInstances within its tracking period",
        ),
        (late, None, vec![action("RunInstances", Some("2026-03-03"))], nothing),
        // A report from before the window says nothing of it.
        ("2026-02-20", None, vec![], nothing),
    ] {
        assert_eq!(told(completed, last, &actions, None), want, "{completed} {last:?} {actions:?}");
    }
    for (completed, last, want) in [
        (
            late,
            None,
            "as of 2026-03-07 IAM tracked no attempt on ec2 within its tracking period, and does not track every call",
        ),
        (
            late,
            Some("2026-03-01T23:00:00Z"),
            "as of 2026-03-07 IAM tracked the last attempt on ec2 on 2026-03-01, and does not track every call",
        ),
        (late, Some("2026-03-02"), nothing),
        (late, Some("2026-03-06"), nothing),
        // Too young a call for that report.
        ("2026-03-04", None, nothing),
    ] {
        assert_eq!(told(completed, last, &[], Some("2026-03-03T10:00:00Z")), want, "{completed} {last:?}");
    }
    assert_eq!(Accessed::default().agrees(catalog.action(id("ec2:RunInstances")).unwrap()), None);
}

#[test]
fn of_services_and_of_the_principal() {
    let services = [
        service("ec2", Some("2026-03-02"), &[action("RunInstances", Some("2026-03-03"))]),
        service("kms", Some("2026-03-07"), &[]),
        service("nosuch", None, &[]),
    ];
    let report = report("2026-03-08", &services);
    let catalog = Catalog::get();
    let accessed = Accessed::of(&report, &OwnActivity::default(), catalog, window(), as_of());
    assert_eq!(accessed.last(), Some(at("2026-03-03")), "the later ones are younger than the instant asked about");
    let first = |prefix: &str| catalog.service(prefix).unwrap().start;
    let ec2 = "as of 2026-03-08 IAM tracked the last attempt on ec2 on 2026-03-02";
    assert_eq!(accessed.of_service(first("ec2")).as_deref(), Some(ec2));
    assert_eq!(accessed.of_service(first("sqs")), None);
    assert_eq!((Accessed::default().last(), Accessed::default().of_service(0)), (None, None));
}
