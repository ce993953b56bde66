//! From standing access to just-in-time: for every person and capability what to do about it, what that removes of
//! exposure, and what people would feel of it, from what really happened.

pub mod after;
pub mod automation;
pub mod budget;
pub mod capability;
pub mod combinations;
pub mod escalation;
pub mod explain;
pub mod friction;
mod gather;
pub mod managed;
pub mod phished;
pub mod rhythm;
pub mod risk;
pub mod scope;
pub mod times;
mod verdict;
pub mod week;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::catalog::{Catalog, Glob};
use crate::compare::assessment::Assessment;
use crate::entitlements::{AccessClass, Entitlements};
use crate::model::arn::AccountId;
use crate::model::finding::Confidence;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, Window};
use crate::usage::activity::{Activity, TimeKey};

use budget::{Offer, choose};
use capability::Environments;
use friction::{Forecast, Friction};
use rhythm::Rhythm;
use risk::Risk;
use scope::{Reach, Sensitivity};
use times::{Slot, WorkingHours};

pub use verdict::Advice;

/// Hours of a week: what standing access is held for.
const WEEK_HOURS: u64 = 168;
/// Requests a week and capability, in hundredths, that conversion may cost where no budget is set.
pub const DEFAULT_LIMIT: u64 = 200;

/// What only the user can know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which accounts are production.
    pub environments: Environments,
    /// When people work.
    pub hours: WorkingHours,
    /// Which resources hold what is worth stealing.
    pub sensitivity: Sensitivity,
    /// Use that is no need: of an incident, say.
    pub disregarded: Vec<Disregard>,
    /// Requests a week, in hundredths, that one person is willing to make; none: each conversion is judged by itself.
    pub budget: Option<u64>,
}

/// A span of time in which what somebody did does not count as need.
#[derive(Clone, Debug)]
pub struct Disregard {
    /// Over the person, the principal's ARN, and its name.
    pub who: Glob,
    /// From when.
    pub from: Timestamp,
    /// Until when, itself not included.
    pub to: Timestamp,
}

/// All that a recommendation rests on.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Verdicts on everything that is granted.
    pub assessment: &'a Assessment,
    /// State of AWS.
    pub snapshot: &'a Snapshot,
    /// Who used what when, also before the window.
    pub times: &'a BTreeMap<TimeKey, Vec<Slot>>,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// What is granted.
    pub entitlements: &'a Entitlements,
    /// What was used in the window, with its resources.
    pub activity: &'a Activity,
    /// Since when there are logs; none where there are none.
    pub logged_from: Option<Timestamp>,
    /// ARNs of principals that surely can become administrators.
    pub escalating: &'a BTreeSet<String>,
    /// ARN → other accounts into which it surely gets by assuming roles, one after the other.
    pub chains: &'a BTreeMap<String, BTreeSet<AccountId>>,
    /// Settings.
    pub settings: &'a Settings,
}

/// What to do about one capability of one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    /// Stable across runs: a hash of principal, person, kind of access, services and account.
    pub id: String,
    /// ARN of the principal through which it is held.
    pub principal: String,
    /// The person; empty for programs and where nobody is known.
    pub person: String,
    /// Account.
    pub account: String,
    /// The capability, in words.
    pub capability: String,
    /// Its kind of access.
    pub class: AccessClass,
    /// Its services.
    pub services: Vec<String>,
    /// What to do.
    pub advice: Advice,
    /// Why, with what is missing where it cannot be decided.
    pub why: Vec<String>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Break-glass: no budget makes it ask.
    #[serde(skip)]
    pub break_glass: bool,
    /// Actions that are granted, and of these used by somebody through the principal.
    pub granted: u64,
    /// See `granted`.
    pub used: u64,
    /// On what it is granted.
    pub reach: Arc<Reach>,
    /// Resources on which the holder used it in the window, sorted.
    pub touched: Vec<String>,
    /// Sessions of the holder's own use in the window.
    pub sessions: u64,
    /// Five-minute slots of the window with own use that counts as need, in order.
    #[serde(skip)]
    pub needed: Vec<Slot>,
    /// Whether the sessions come at regular times; none of fewer than three.
    pub rhythm: Option<Rhythm>,
    /// Days with own use.
    pub active_days: u64,
    /// Share of working time with own use, in thousandths.
    pub duty_permille: u64,
    /// Last own use, also before the window.
    pub last: Option<Timestamp>,
    /// What just-in-time would have cost.
    pub friction: Friction,
    /// Who would approve: the person's manager in the roster; empty where not known.
    pub approver: String,
    /// Risk of holding it.
    pub risk: Risk,
    /// Hours held a week, weighed with the risk: as it stands.
    pub exposure_before: u64,
    /// After what is recommended.
    pub exposure_after: u64,
}

impl Recommendation {
    /// What following it removes.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.exposure_before.saturating_sub(self.exposure_after)
    }

    /// Exposure that is left where access is asked for.
    fn exposure_of_grants(&self) -> u64 {
        let hours_hundredths =
            self.friction.per_week_hundredths() * u64::try_from(self.friction.grant_minutes).unwrap_or(0) / 60;
        (self.risk.score * hours_hundredths / 100).min(self.exposure_before)
    }

    fn settle(&mut self) {
        self.exposure_after = self.exposure_with(self.advice);
    }

    /// Exposure that would be left if this were advised.
    fn exposure_with(&self, advice: Advice) -> u64 {
        match advice {
            Advice::Remove => 0,
            Advice::ConvertToJit => self.exposure_of_grants(),
            // What is left are the used actions.
            Advice::Shrink => self.exposure_before * self.used.max(1) / self.granted.max(1),
            Advice::DecideLater | Advice::KeepStanding => self.exposure_before,
        }
    }
}

/// A point of the trade-off between friction and exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Requests a week that each person would make at most, in hundredths.
    pub budget_hundredths: u64,
    /// Requests a week of everybody together, in hundredths.
    pub requests_hundredths: u64,
    /// Share of all exposure that is removed, in thousandths.
    pub removed_permille: u64,
    /// Conversions.
    pub conversions: u64,
}

/// Everything that is recommended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recommendations {
    /// The greatest removal of exposure first.
    pub rows: Vec<Recommendation>,
    /// Exposure as it stands.
    pub exposure_before: u64,
    /// Exposure after all of it.
    pub exposure_after: u64,
    /// How well friction is foreseen.
    pub forecast: Forecast,
    /// The trade-off, by budget.
    pub curve: Vec<Point>,
}

/// What people would have to do for everything that is converted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Requests a week, in hundredths.
    pub per_week_hundredths: u64,
    /// Requests in the window.
    pub requests: u64,
    /// Of these, outside working hours.
    pub out_of_hours: u64,
    /// Requests a week that each approver would see, in hundredths.
    pub approvers: BTreeMap<String, u64>,
}

impl Recommendations {
    /// What people would have to do.
    #[must_use]
    pub fn load(&self) -> Load {
        let mut load = Load::default();
        for row in self.rows.iter().filter(|row| row.advice == Advice::ConvertToJit && row.friction.requests > 0) {
            let per_week = row.friction.per_week_hundredths();
            load.per_week_hundredths += per_week;
            load.requests += row.friction.requests;
            load.out_of_hours += row.friction.out_of_hours;
            if !row.approver.is_empty() {
                *load.approvers.entry(row.approver.clone()).or_default() += per_week;
            }
        }
        load
    }

    /// Exposure that is removed by advice of low confidence: the logs could not fully have shown a use.
    #[must_use]
    pub fn removed_without_sight(&self) -> u64 {
        self.rows.iter().filter(|row| row.confidence == Confidence::Low).map(Recommendation::removed).sum()
    }
}

/// Budgets, in hundredths of a request a week, at which the trade-off is shown.
const CURVE: [u64; 8] = [0, 25, 50, 100, 200, 300, 500, 1000];

/// Recommends.
#[must_use]
pub fn recommend(inputs: &Inputs<'_>) -> Recommendations {
    let gathered = gather::gather(inputs);
    let (mut rows, forecast) = (gathered.rows, gathered.forecast);
    let curve = curve(&rows, inputs.assessment.window);
    if let Some(budget) = inputs.settings.budget {
        within(&mut rows, budget, inputs.assessment.window);
    }
    rows.iter_mut().for_each(Recommendation::settle);
    rows.sort_by(|a, b| {
        b.removed()
            .cmp(&a.removed())
            .then_with(|| b.exposure_before.cmp(&a.exposure_before))
            .then_with(|| (&a.principal, &a.person, &a.capability).cmp(&(&b.principal, &b.person, &b.capability)))
    });
    let sum = |of: fn(&Recommendation) -> u64| rows.iter().map(of).sum();
    let (exposure_before, exposure_after) = (sum(|row| row.exposure_before), sum(|row| row.exposure_after));
    Recommendations { exposure_before, exposure_after, forecast, curve, rows }
}

/// Conversions by person that cost requests: indices of rows. What costs nothing is not a matter of budgets.
fn conversions(rows: &[Recommendation]) -> BTreeMap<&str, Vec<usize>> {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let held = !row.person.is_empty() && !row.break_glass && row.class != AccessClass::Read && row.sessions > 0;
        if held && matches!(row.advice, Advice::ConvertToJit | Advice::Shrink | Advice::KeepStanding) {
            found.entry(&row.person).or_default().push(at);
        }
    }
    found
}

/// What a person can ask for within a window at so many requests a week.
fn allowance(budget_hundredths: u64, window: Window) -> u64 {
    budget_hundredths * window.days().count() as u64 / 700
}

fn offer(row: &Recommendation) -> Offer {
    let removed = row.exposure_before.saturating_sub(row.exposure_of_grants());
    Offer { requests: row.friction.requests, removed }
}

/// The rows that are converted within a budget.
fn chosen(rows: &[Recommendation], budget: u64, window: Window) -> BTreeSet<usize> {
    let allowance = allowance(budget, window);
    let of_person = |at: &Vec<usize>| {
        let offers: Vec<Offer> = at.iter().filter_map(|at| rows.get(*at)).map(offer).collect();
        choose(&offers, allowance).into_iter().filter_map(|taken| at.get(taken).copied()).collect::<Vec<_>>()
    };
    conversions(rows).values().flat_map(of_person).collect()
}

/// What is advised within a budget, by row, where that is not what was advised without.
fn advice_within(rows: &[Recommendation], budget: u64, window: Window) -> BTreeMap<usize, Advice> {
    let taken = chosen(rows, budget, window);
    let of = |at: usize| {
        let row = rows.get(at)?;
        let advice = match row.advice {
            _ if taken.contains(&at) => Advice::ConvertToJit,
            Advice::ConvertToJit if row.used < row.granted => Advice::Shrink,
            Advice::ConvertToJit => Advice::KeepStanding,
            other => other,
        };
        Some((at, advice))
    };
    conversions(rows).into_values().flatten().filter_map(of).collect()
}

fn within(rows: &mut [Recommendation], budget: u64, window: Window) {
    for (at, advice) in advice_within(rows, budget, window) {
        let Some(row) = rows.get_mut(at) else { continue };
        if advice == Advice::ConvertToJit {
            row.why.push("within the budget of requests".to_owned());
        } else if row.advice == Advice::ConvertToJit {
            row.why.push("converting it would exceed the budget of requests".to_owned());
        }
        row.advice = advice;
    }
}

fn curve(rows: &[Recommendation], window: Window) -> Vec<Point> {
    let total: u64 = rows.iter().map(|row| row.exposure_before).sum();
    let days = window.days().count().max(1) as u64;
    CURVE
        .into_iter()
        .map(|budget| {
            let changed = advice_within(rows, budget, window);
            let advice = |at: usize, row: &Recommendation| changed.get(&at).copied().unwrap_or(row.advice);
            let (mut conversions, mut requests, mut removed) = (0, 0, 0u64);
            for (at, row) in rows.iter().enumerate() {
                let advice = advice(at, row);
                removed += row.exposure_before.saturating_sub(row.exposure_with(advice));
                if advice == Advice::ConvertToJit {
                    conversions += 1;
                    requests += row.friction.requests;
                }
            }
            Point {
                budget_hundredths: budget,
                requests_hundredths: requests * 700 / days,
                removed_permille: removed.saturating_mul(1000) / total.max(1),
                conversions,
            }
        })
        .collect()
}

/// Exposure of holding something with this risk all the time, a week.
fn standing(risk: &Risk) -> u64 {
    risk.score * WEEK_HOURS
}

#[cfg(test)]
mod tests;
