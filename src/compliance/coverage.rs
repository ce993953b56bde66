//! T22: log coverage.

use std::collections::BTreeSet;

use super::counted;
use super::result::{Draft, Row, RowResult, Source};
use crate::compare::assessment::{Assessment, RegionCoverage};
use crate::model::time::{Day, MICROS_PER_HOUR};

/// Spans of missing days written out in a row before it says how many more there are.
const SPANS_SHOWN_MAX: usize = 6;

/// T22: for every account, region and hour of the period there is at least one record of a management event.
///
/// A cell without records is inconclusive, not failed: a quiet region, a region that is switched off and a lost file
/// look alike in the logs. Only digest files tell them apart (T23).
pub(super) fn log_coverage(assessment: &Assessment) -> Draft {
    let hours = window_hours(assessment);
    let seen: BTreeSet<&str> = assessment.coverage.iter().map(|region| region.account.as_str()).collect();
    let silent: BTreeSet<String> = assessment
        .accounts
        .iter()
        .map(ToString::to_string)
        .filter(|account| !seen.contains(account.as_str()))
        .collect();
    let size = assessment.coverage.iter().map(|region| region.hours_total).sum::<u64>() + hours * silent.len() as u64;
    let mut rows: Vec<Row> = assessment.coverage.iter().flat_map(region_rows).collect();
    rows.extend(silent.iter().map(|account| Row {
        units: hours,
        part: "every region".to_owned(),
        ..Row::new(account, account, RowResult::Inconclusive, "no log records of this account in the period".to_owned())
    }));
    Draft {
        id: "T22",
        version: 1,
        over_period: true,
        unit: "cell (account × region × hour)",
        population: "hours of the period in every account and region of which the lake has records, and once for every account of the snapshot without any",
        predicate: "at least one record of a management event exists",
        parameters: Vec::new(),
        size,
        rows,
        excluded: Vec::new(),
        limits: vec![
            "An hour without records proves nothing: nobody may have called anything, the region may be off, or a file may be missing. Only digest files tell these apart (T23, not in this release).".to_owned(),
            "An hour with a record is not proof that all records of that hour arrived: CloudTrail delivers without order and may deliver late.".to_owned(),
            "Regions of which no record exists at all are not in the population: which regions an account has enabled is not collected.".to_owned(),
            "Data events are recorded only where a trail selects them; they do not count here.".to_owned(),
        ],
        manual: Vec::new(),
        sources: &[Source::O, Source::T],
        tolerated: 0,
    }
}

/// Hours that the window touches.
fn window_hours(assessment: &Assessment) -> u64 {
    let length = assessment.window.to.micros().saturating_sub(assessment.window.from.micros()).max(0);
    (length as u64).div_ceil(MICROS_PER_HOUR as u64)
}

fn region_rows(region: &RegionCoverage) -> Vec<Row> {
    let missing = region.hours_total.saturating_sub(region.hours_covered);
    let make = |result, units, why| Row {
        units,
        part: region.region.clone(),
        ..Row::new(&region.account, &region.account, result, why)
    };
    let mut rows = Vec::new();
    if region.hours_covered > 0 {
        let why = format!("{} with records", counted(region.hours_covered, "hour"));
        rows.push(make(RowResult::Pass, region.hours_covered, why));
    }
    if missing > 0 {
        let mut why = format!("{} without records", counted(missing, "hour"));
        if !region.days_missing.is_empty() {
            why.push_str(&format!("; none at all on {}", spans(&region.days_missing)));
        }
        rows.push(make(RowResult::Inconclusive, missing, why));
    }
    rows
}

/// Days as spans: "2026-01-02 to 2026-01-05, 2026-01-09".
fn spans(days: &[Day]) -> String {
    let days: BTreeSet<i32> = days.iter().map(|day| day.0).collect();
    let mut spans: Vec<(i32, i32)> = Vec::new();
    for day in days {
        match spans.last_mut() {
            Some((_, end)) if *end + 1 == day => *end = day,
            _ => spans.push((day, day)),
        }
    }
    let shown: Vec<String> = spans
        .iter()
        .take(SPANS_SHOWN_MAX)
        .map(|(from, to)| if from == to { Day(*from).to_string() } else { format!("{} to {}", Day(*from), Day(*to)) })
        .collect();
    let more = spans.len() - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {}", shown.join(", "), counted(more as u64, "more span")) }
}

#[cfg(test)]
mod tests {
    use super::super::result::Status;
    use super::super::sample;
    use super::*;

    fn region(covered: u64, total: u64, missing: &[i32]) -> RegionCoverage {
        RegionCoverage {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            days_covered: 0,
            days_missing: missing.iter().map(|day| Day(*day)).collect(),
            hours_covered: covered,
            hours_total: total,
            ..RegionCoverage::default()
        }
    }

    #[test]
    fn cells_without_records_prove_nothing() {
        for (coverage, status, counts) in [
            (vec![region(2160, 2160, &[])], Status::Pass, (2160, 2160, 0)),
            (vec![region(2000, 2160, &[1, 2, 3, 9])], Status::Inconclusive, (2160, 2000, 160)),
            (vec![region(0, 2160, &[])], Status::Inconclusive, (2160, 0, 2160)),
            (vec![], Status::Inconclusive, (2160, 0, 2160)),
        ] {
            let mut assessment = sample::of(vec![], vec![]);
            assessment.coverage = coverage;
            let result = log_coverage(&assessment).finish(&assessment, &[]).unwrap();
            let counted = (result.counts.population, result.counts.pass, result.counts.inconclusive);
            assert_eq!((result.status, counted), (status, counts));
            assert_eq!(result.counts.fail, 0);
        }
    }

    #[test]
    fn missing_days_are_spans() {
        let rows = region_rows(&region(1, 100, &[3, 1, 2, 9]));
        assert_eq!(rows[1].why, "99 hours without records; none at all on 1970-01-02 to 1970-01-04, 1970-01-10");
        let odd: Vec<Day> = (0..20).map(|day| Day(day * 2)).collect();
        assert!(spans(&odd).ends_with("and 14 more spans"));
    }
}
