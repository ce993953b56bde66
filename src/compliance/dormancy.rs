//! T03: dormant identities.

use std::collections::BTreeMap;

use super::counted;
use super::parameters::{DORMANT_DAYS, Parameters, shown};
use super::privilege::BreakGlass;
use super::result::{Draft, Excluded, Row, RowResult, Source};
use crate::compare::assessment::{Assessment, CredentialFacts, PrincipalFacts, PrincipalKind};
use crate::model::time::Timestamp;

/// The rows of the credential report by the ARN of their user.
type Reports<'a> = BTreeMap<&'a str, Vec<&'a CredentialFacts>>;

/// T03: enabled users and roles were active within the last `dormant_days`.
pub(super) fn dormant_identities(assessment: &Assessment, parameters: &Parameters) -> Draft {
    let break_glass = BreakGlass::of(assessment, parameters);
    let mut reports = Reports::new();
    for credential in assessment.credentials.iter().filter(|credential| !credential.root) {
        reports.entry(credential.arn.as_str()).or_default().push(credential);
    }
    let (mut rows, mut service_linked, mut root, mut disabled) = (Vec::new(), 0u64, 0u64, 0u64);
    for principal in &assessment.principals {
        let report = reports.get(principal.arn.as_str()).map(Vec::as_slice);
        match (principal.kind, report) {
            (PrincipalKind::ServiceLinkedRole, _) => service_linked += 1,
            (PrincipalKind::Root, _) => root += 1,
            (PrincipalKind::User, Some(report)) if !report.iter().any(|credential| credential.active) => disabled += 1,
            _ => {
                let mut row = row(assessment, parameters.dormant_days, principal, report);
                break_glass.judge(principal, &mut row);
                rows.push(row);
            }
        }
    }
    Draft {
        id: "T03",
        version: 1,
        over_period: false,
        unit: "identity",
        population: "roles, Identity Center roles, and IAM users with an active password or access key (or of whom that is not known)",
        predicate: "was used or assumed within the last days given, or is younger than that",
        parameters: vec![
            shown("dormant_days", &parameters.dormant_days, &DORMANT_DAYS, "days", "CIS AWS Foundations, unused credentials"),
            BreakGlass::parameter(parameters),
        ],
        size: (assessment.principals.len() as u64).saturating_sub(service_linked + root + disabled),
        rows,
        excluded: vec![
            Excluded { count: disabled, what: "IAM users without any active credential, who cannot act".to_owned() },
            Excluded { count: service_linked, what: "service-linked roles, which AWS services use when they need to".to_owned() },
            Excluded { count: root, what: "root users, whose use is not wanted (T15)".to_owned() },
        ],
        limits: vec![
            "IAM's own last-used data counts attempts, also denied ones; it can show an identity as active that did nothing.".to_owned(),
            "Where logs are missing and neither the credential report nor IAM's last-used data helps, the row is inconclusive.".to_owned(),
        ],
        manual: Vec::new(),
        sources: &[Source::C, Source::R, Source::S, Source::T],
        tolerated: 0,
    }
}

fn row(assessment: &Assessment, limit: i64, principal: &PrincipalFacts, report: Option<&[&CredentialFacts]>) -> Row {
    let now = assessment.as_of;
    let account = principal.account.to_string();
    let make = |result, why: String, evidence: Vec<String>| Row {
        evidence,
        ..Row::new(&principal.arn, &account, result, why)
    };
    let reported = report.and_then(|rows| rows.iter().filter_map(|row| row.last_used).max());
    let last = principal.last_activity.max(reported);
    let idle = |until: Timestamp, since: Timestamp| until.days_since(since);
    if let Some(last) = last
        && idle(now, last) <= limit
    {
        return make(RowResult::Pass, format!("last active at {last}"), Vec::new());
    }
    if let Some(created) = principal.created
        && idle(now, created) <= limit
    {
        return make(RowResult::Pass, format!("created at {created}, not older than the limit"), Vec::new());
    }
    let says = match last {
        Some(last) => format!("last active at {last}, {} ago", counted(idle(now, last).unsigned_abs(), "day")),
        None => "no activity known".to_owned(),
    };
    if last.is_none() && principal.created.is_none() {
        return make(RowResult::Inconclusive, format!("{says}, and its age is not known"), Vec::new());
    }
    // What the logs show of the whole span.
    let span_logged =
        principal.activity_observable && assessment.window.from <= now.plus_days(-limit) && assessment.window.to >= now;
    if span_logged {
        let evidence = vec![format!("CloudTrail from {} to {}", assessment.window.from, assessment.window.to)];
        return make(RowResult::Fail, says, evidence);
    }
    // What the credential report shows, up to the moment when it was made.
    if let Some(made) = report.and_then(|rows| rows.iter().map(|row| row.reported_at).min()) {
        let made = made.min(now);
        let since = last.or(principal.created);
        if since.is_some_and(|since| idle(made, since) > limit) {
            return make(RowResult::Fail, says, vec![format!("credential report of {made}")]);
        }
    }
    // An instant before the window cannot come from its logs: IAM's own last-used data named it.
    if let Some(last) = principal.last_activity
        && last < assessment.window.from
        && report.is_none()
    {
        return make(RowResult::Fail, says, vec![format!("IAM last-used data: {last}")]);
    }
    let because = if principal.unobservable_because.is_empty() {
        format!("the logs do not speak for all of the last {}", counted(limit.unsigned_abs(), "day"))
    } else {
        principal.unobservable_because.join(", ")
    };
    make(RowResult::Inconclusive, format!("{says}, but {because}"), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, principal};
    use super::*;
    use crate::compare::assessment::Nature;

    struct Case {
        name: &'static str,
        kind: PrincipalKind,
        created: Option<i64>,
        last: Option<i64>,
        observable: bool,
        /// (active, last used, reported) in days before as-of.
        report: Option<(bool, Option<i64>, i64)>,
        want: Option<RowResult>,
    }

    #[test]
    fn what_is_known_decides() {
        use PrincipalKind::{Role, Root, ServiceLinkedRole, User};
        use RowResult::{Fail, Inconclusive, Pass};
        let case = |name, kind, created, last, observable, report, want| Case {
            name,
            kind,
            created,
            last,
            observable,
            report,
            want,
        };
        for case in [
            case("active", Role, Some(400), Some(45), true, None, Some(Pass)),
            case("idle by the logs", Role, Some(400), Some(46), true, None, Some(Fail)),
            case("never in the logs", Role, Some(400), None, true, None, Some(Fail)),
            case("logs with holes", Role, Some(400), None, false, None, Some(Inconclusive)),
            case(
                "logs with holes, seen long ago in the window",
                Role,
                Some(400),
                Some(60),
                false,
                None,
                Some(Inconclusive),
            ),
            case("logs with holes, IAM knows", Role, Some(400), Some(200), false, None, Some(Fail)),
            case("logs with holes, still active", Role, Some(400), Some(3), false, None, Some(Pass)),
            case("young", Role, Some(45), None, true, None, Some(Pass)),
            case("of unknown age", Role, None, None, true, None, Some(Inconclusive)),
            case("used by the report only", User, Some(400), None, true, Some((true, Some(10), 0)), Some(Pass)),
            case("idle by the report", User, Some(400), None, false, Some((true, Some(100), 0)), Some(Fail)),
            case(
                "report too old to say",
                User,
                Some(400),
                None,
                false,
                Some((true, Some(100), 60)),
                Some(Inconclusive),
            ),
            case("never used by the report", User, Some(400), None, false, Some((true, None, 1)), Some(Fail)),
            case("no credential", User, Some(400), None, true, Some((false, None, 0)), None),
            case("not in the report", User, Some(400), None, false, None, Some(Inconclusive)),
            case("service-linked", ServiceLinkedRole, Some(400), None, true, None, None),
            case("root", Root, Some(400), None, true, None, None),
        ] {
            let ago = |days: i64| sample::as_of().plus_days(-days);
            let facts = PrincipalFacts {
                created: case.created.map(ago),
                last_activity: case.last.map(ago),
                activity_observable: case.observable,
                ..principal("x", case.kind, Nature::Unknown)
            };
            let credentials = case
                .report
                .map(|(active, last_used, reported)| CredentialFacts {
                    active,
                    last_used: last_used.map(ago),
                    reported_at: ago(reported),
                    ..sample::password(&facts, active)
                })
                .into_iter()
                .collect();
            let assessment = sample::of(vec![facts], credentials);
            let result = dormant_identities(&assessment, &Parameters::default()).finish(&assessment, &[]).unwrap();
            assert_eq!(result.rows.first().map(|row| row.result), case.want, "{}: {:?}", case.name, result.rows);
        }
    }

    #[test]
    fn a_window_shorter_than_the_limit_proves_nothing() {
        let assessment = sample::of(vec![principal("x", PrincipalKind::Role, Nature::Unknown)], vec![]);
        let parameters = Parameters { dormant_days: 91, ..Parameters::default() };
        let result = dormant_identities(&assessment, &parameters).finish(&assessment, &[]).unwrap();
        assert_eq!(result.rows[0].result, RowResult::Inconclusive);
    }
}
