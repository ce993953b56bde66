//! T02: unused permissions.

use super::counted;
use super::parameters::{Parameters, UNUSED_LOOKBACK_DAYS, UNUSED_PERCENT_MAX, shown};
use super::privilege::BreakGlass;
use super::result::{Draft, Excluded, Row, RowResult, Source};
use crate::compare::assessment::{Assessment, PrincipalFacts, PrincipalKind};
use crate::model::time::MICROS_PER_DAY;

/// T02: principals use most of what they hold, and all of what is privileged.
pub(super) fn unused_permissions(assessment: &Assessment, parameters: &Parameters) -> Draft {
    let break_glass = BreakGlass::of(assessment, parameters);
    let excluded = |kind| assessment.principals.iter().filter(|principal| principal.kind == kind).count() as u64;
    let (service_linked, root) = (excluded(PrincipalKind::ServiceLinkedRole), excluded(PrincipalKind::Root));
    let rows = assessment
        .principals
        .iter()
        .filter(|principal| !matches!(principal.kind, PrincipalKind::ServiceLinkedRole | PrincipalKind::Root))
        .map(|principal| {
            let mut row = row(assessment, parameters, principal);
            break_glass.judge(principal, &mut row);
            row
        })
        .collect();
    Draft {
        id: "T02",
        version: 1,
        over_period: true,
        unit: "principal",
        population: "IAM users, roles and Identity Center roles",
        predicate: "no granted action of the PRIV set is unused, and the share of granted actions that are unused is not above the limit",
        parameters: vec![
            shown(
                "unused_lookback_days",
                &parameters.unused_lookback_days,
                &UNUSED_LOOKBACK_DAYS,
                "days",
                "a quarter, our judgement",
            ),
            shown(
                "unused_percent_max",
                &parameters.unused_percent_max,
                &UNUSED_PERCENT_MAX,
                "percent of granted actions",
                "half, our judgement",
            ),
            BreakGlass::parameter(parameters),
        ],
        size: (assessment.principals.len() as u64).saturating_sub(service_linked + root),
        rows,
        excluded: vec![
            Excluded { count: service_linked, what: "service-linked roles, whose permissions AWS sets".to_owned() },
            Excluded { count: root, what: "root users, which hold no policies".to_owned() },
        ],
        limits: vec![
            "Counts distinct actions, not resources: an action used on one resource counts as used on all.".to_owned(),
            "Actions that the logs cannot show (data events not recorded, a region or day without logs, actions without an API call) are not counted as unused; where they decide the answer, it is inconclusive.".to_owned(),
            "Work that comes less often than the lookback (year end, recovery exercises) looks unused.".to_owned(),
        ],
        manual: Vec::new(),
        sources: &[Source::C, Source::T],
        tolerated: 0,
    }
}

fn row(assessment: &Assessment, parameters: &Parameters, principal: &PrincipalFacts) -> Row {
    let counts = &principal.counts;
    let account = principal.account.to_string();
    let make = |result, why| Row::new(&principal.arn, &account, result, why);
    if counts.granted == 0 {
        return make(RowResult::Pass, "holds no permission".to_owned());
    }
    let privileged: u64 = principal.services.iter().map(|service| service.unused_privileged.len() as u64).sum();
    let doubtful = counts.unused_low_confidence.saturating_add(counts.unobservable);
    let limit =
        |unused: u64| u128::from(unused) * 100 > u128::from(counts.granted) * u128::from(parameters.unused_percent_max);
    let figures = format!(
        "{} of {} granted actions used, {} unused, {doubtful} not certain",
        counts.used, counts.granted, counts.unused
    );
    let too_many = limit(counts.unused);
    // Nothing that the logs do not show can make these better: the answer holds whatever they miss.
    if privileged == 0 && !too_many {
        return if limit(counts.unused.saturating_add(doubtful)) {
            make(RowResult::Inconclusive, format!("{figures}: the uncertain ones decide"))
        } else {
            make(RowResult::Pass, figures)
        };
    }
    let fault = match (privileged, too_many) {
        (0, _) => figures,
        (number, true) => format!("{figures}; {} unused", counted(number, "privileged action")),
        (number, false) => format!("{} unused; {figures}", counted(number, "privileged action")),
    };
    if let Some(doubt) = doubt(assessment, parameters, principal) {
        return make(RowResult::Inconclusive, format!("{fault}; but {doubt}"));
    }
    let mut row = make(RowResult::Fail, fault);
    row.evidence = principal
        .services
        .iter()
        .flat_map(|service| &service.unused_privileged)
        .map(|action| format!("unused {action}"))
        .collect();
    row
}

/// Why "unused" cannot be claimed of a principal, where it cannot.
///
/// Holes in the logs are not looked at here: the verdict on each action has weighed them, and only actions that the
/// logs could have shown in every region and on every day count as unused. Asking again for the whole principal would
/// make one silent region hide an unused administrator.
fn doubt(assessment: &Assessment, parameters: &Parameters, principal: &PrincipalFacts) -> Option<String> {
    let needed = assessment.window.to.plus_days(-parameters.unused_lookback_days);
    if assessment.window.from > needed {
        let days = (assessment.window.to.micros() - assessment.window.from.micros()) / MICROS_PER_DAY;
        return Some(format!(
            "the window of {} is shorter than the lookback of {}",
            counted(days.unsigned_abs(), "day"),
            counted(parameters.unused_lookback_days.unsigned_abs(), "day")
        ));
    }
    match principal.created {
        None => Some("when it was created is not known".to_owned()),
        Some(created) if created > needed => Some(format!("it was created at {created}, within the lookback")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, principal};
    use super::*;
    use crate::compare::assessment::{LevelCounts, Nature, ServiceUse, VerdictCounts};

    fn facts(used: u64, unused: u64, low: u64, unobservable: u64, privileged: usize) -> PrincipalFacts {
        let mut facts = principal("p", PrincipalKind::Role, Nature::Machine);
        let granted = used + unused + low + unobservable;
        facts.counts =
            VerdictCounts { granted, used, unused, unused_low_confidence: low, unobservable, used_not_granted: 0 };
        facts.services = vec![ServiceUse {
            unused_levels: LevelCounts::default(),
            service: "iam".into(),
            counts: facts.counts,
            classes: Vec::new(),
            unused_privileged: (0..privileged).map(|n| format!("iam:P{n}")).collect(),
            last_used: None,
            unused_parts: Vec::new(),
            last_accessed: None,
            analyzers: Vec::new(),
        }];
        facts
    }

    fn judge(facts: PrincipalFacts, parameters: &Parameters) -> Row {
        let assessment = sample::of(vec![facts], vec![]);
        unused_permissions(&assessment, parameters).finish(&assessment, &[]).unwrap().rows.remove(0)
    }

    #[test]
    fn bounds_decide_what_the_uncertain_ones_leave_open() {
        for (used, unused, low, unobservable, privileged, want) in [
            (0, 0, 0, 0, 0, RowResult::Pass),
            (5, 5, 0, 0, 0, RowResult::Pass),
            (4, 6, 0, 0, 0, RowResult::Fail),
            (9, 1, 0, 0, 1, RowResult::Fail),
            (5, 4, 1, 0, 0, RowResult::Pass),
            (4, 4, 1, 1, 0, RowResult::Inconclusive),
            (0, 0, 0, 10, 0, RowResult::Inconclusive),
            (0, 6, 0, 4, 0, RowResult::Fail),
        ] {
            let row = judge(facts(used, unused, low, unobservable, privileged), &Parameters::default());
            assert_eq!(row.result, want, "{used} {unused} {low} {unobservable} {privileged}: {}", row.why);
        }
    }

    #[test]
    fn unknown_is_never_unused() {
        type Change = fn(&mut PrincipalFacts);
        let changes: [(Change, &str); 2] = [
            (|facts| facts.created = None, "when it was created is not known"),
            (|facts| facts.created = Some(sample::as_of().plus_days(-89)), "within the lookback"),
        ];
        for (change, why) in changes {
            let mut bad = facts(0, 10, 0, 0, 1);
            change(&mut bad);
            let row = judge(bad, &Parameters::default());
            assert_eq!(row.result, RowResult::Inconclusive);
            assert!(row.why.contains(why), "{}", row.why);
            let mut good = facts(10, 0, 0, 0, 0);
            change(&mut good);
            assert_eq!(judge(good, &Parameters::default()).result, RowResult::Pass, "use proves itself");
        }
        let longer = Parameters { unused_lookback_days: 91, ..Parameters::default() };
        let row = judge(facts(0, 10, 0, 0, 0), &longer);
        assert_eq!(row.result, RowResult::Inconclusive);
        assert!(row.why.contains("window of 90 days is shorter than the lookback of 91 days"), "{}", row.why);
    }

    #[test]
    fn holes_in_the_logs_count_action_by_action() {
        let mut holes = facts(0, 6, 0, 4, 0);
        holes.activity_observable = false;
        holes.unobservable_because = vec!["eu-west-1 has no logs".into()];
        assert_eq!(judge(holes, &Parameters::default()).result, RowResult::Fail, "six of ten are surely unused");
        let mut blind = facts(0, 0, 0, 10, 0);
        blind.activity_observable = false;
        assert_eq!(judge(blind, &Parameters::default()).result, RowResult::Inconclusive);
    }

    #[test]
    fn unused_privileges_are_named_as_evidence() {
        let row = judge(facts(8, 2, 0, 0, 2), &Parameters::default());
        assert_eq!(row.evidence, ["unused iam:P0", "unused iam:P1"]);
        assert_eq!(row.why, "2 privileged actions unused; 8 of 10 granted actions used, 2 unused, 0 not certain");
    }
}
