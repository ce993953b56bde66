//! Choices over whole sets of rows; what single rows say is tested beside what makes them.

use super::*;

fn row(person: &str, capability: &str, requests: u64, score: u64) -> Recommendation {
    let friction = Friction { requests, out_of_hours: 0, grant_minutes: 60, days: 90, at_least: false };
    let risk = Risk { score, parts: Vec::new() };
    Recommendation {
        id: format!("{person}{capability}"),
        principal: "arn:aws:iam::111122223333:role/r".to_owned(),
        person: person.to_owned(),
        account: "111122223333".to_owned(),
        capability: capability.to_owned(),
        class: AccessClass::Write,
        services: vec!["s".to_owned()],
        advice: Advice::ConvertToJit,
        why: Vec::new(),
        confidence: Confidence::High,
        break_glass: false,
        granted: 10,
        used: 5,
        reach: Arc::default(),
        touched: Vec::new(),
        needed: Vec::new(),
        rhythm: None,
        sessions: requests,
        active_days: requests,
        duty_permille: 0,
        last: None,
        friction,
        approver: String::new(),
        exposure_before: standing(&risk),
        exposure_after: 0,
        risk,
    }
}

fn window() -> Window {
    Window { from: "2026-01-01".parse().unwrap(), to: "2026-04-01".parse().unwrap() }
}

#[test]
fn a_budget_buys_the_most_for_each_person() {
    // 90 days at 1 a week: 12 requests.
    let mut rows =
        vec![row("ann", "a", 10, 30), row("ann", "b", 6, 20), row("ann", "c", 6, 20), row("bob", "a", 10, 30)];
    within(&mut rows, 100, window());
    let advice: Vec<Advice> = rows.iter().map(|row| row.advice).collect();
    assert_eq!(advice, [Advice::Shrink, Advice::ConvertToJit, Advice::ConvertToJit, Advice::ConvertToJit]);
    let mut kept = vec![Recommendation { break_glass: true, advice: Advice::KeepStanding, ..row("ann", "a", 1, 30) }];
    within(&mut kept, 1000, window());
    assert_eq!(kept[0].advice, Advice::KeepStanding, "break-glass is converted by no budget");
    assert!(rows[0].why.iter().any(|why| why.contains("exceed the budget")), "{:?}", rows[0].why);
}

#[test]
fn more_friction_never_removes_less() {
    let rows: Vec<Recommendation> = (0..20)
        .map(|n| row(["ann", "bob", "cy"][n % 3], &n.to_string(), (n as u64 * 7) % 23, 1 + (n as u64 * 5) % 11))
        .collect();
    let curve = curve(&rows, window());
    assert_eq!(curve.len(), CURVE.len());
    for pair in curve.windows(2) {
        assert!(pair[0].removed_permille <= pair[1].removed_permille, "{pair:?}");
        assert!(pair[0].budget_hundredths < pair[1].budget_hundredths);
    }
    for point in &curve {
        // Three people, each within the budget.
        assert!(point.requests_hundredths <= 3 * point.budget_hundredths, "{point:?}");
    }
}

#[test]
fn what_is_left_is_what_is_asked_for() {
    let mut one = row("ann", "a", 9, 10);
    one.settle();
    // 0.7 requests a week of an hour, at a risk of 10.
    assert_eq!((one.exposure_before, one.exposure_after), (1680, 7));
    one.advice = Advice::Shrink;
    one.settle();
    assert_eq!(one.exposure_after, 840);
    one.advice = Advice::Remove;
    one.settle();
    assert_eq!((one.exposure_after, one.removed()), (0, 1680));
    one.advice = Advice::DecideLater;
    one.settle();
    assert_eq!(one.removed(), 0);
}

#[test]
fn the_load_is_that_of_conversions() {
    let mut rows = vec![row("ann", "a", 90, 10), row("bob", "b", 45, 10), row("cy", "c", 9, 10)];
    rows[0].approver = "dan".to_owned();
    rows[1].approver = "dan".to_owned();
    rows[2].advice = Advice::KeepStanding;
    rows[1].confidence = Confidence::Low;
    rows.iter_mut().for_each(Recommendation::settle);
    let lost = rows[1].removed();
    let all = Recommendations { rows, ..Recommendations::default() };
    let load = all.load();
    assert_eq!((load.requests, load.per_week_hundredths, load.approvers["dan"]), (135, 1050, 1050));
    assert_eq!(all.removed_without_sight(), lost);
}

#[test]
fn shrinking_keeps_what_was_done_whatever_on() {
    use crate::catalog::Catalog;
    let catalog = Catalog::get();
    let set = |patterns: &[&str]| {
        let mut set = catalog.no_actions();
        patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
        set
    };
    let granted = set(&["states:StartExecution", "states:DeleteStateMachine"]);
    // Started on something that its policy does not name; the logs know it, the entitlement does not.
    let verdicts = crate::compare::ActionVerdicts {
        arn: String::new(),
        id: String::new(),
        used: catalog.no_actions(),
        unused: granted.clone(),
        unused_low: catalog.no_actions(),
        unobservable: catalog.no_actions(),
        seen: set(&["states:StartExecution"]),
    };
    let services = vec!["states".to_owned()];
    let row = Recommendation { advice: Advice::Shrink, class: AccessClass::Write, services, ..row("ann", "a", 1, 30) };
    let left = after::standing([&row], &granted, &verdicts, false, catalog);
    assert_eq!(left, set(&["states:StartExecution"]));
}
