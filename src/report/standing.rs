//! The page of `jitscan recommend`: what to do about standing access, with what that removes and what people would feel
//! of it. Nothing is judged here; shares and coordinates are worked out in whole numbers, so that equal inputs give
//! equal bytes.

mod plots;
#[cfg(test)]
mod tests;
mod views;

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::render::{Format, HTML_STYLE, RenderError, fill};
use crate::compare::assessment::Gap;
use crate::compare::holders::permission_set_of;
use crate::model::time::{Timestamp, Window};
use crate::recommend::{Advice, Load, Recommendation, Recommendations};

pub use views::StandingPage;
use views::{AdviceView, StandingHeader, Tile};

/// What this page needs beyond the style of reports.
const STYLE: &str = include_str!("../../reports/templates/recommend.css");

/// Recommendations that are listed; the others stay counted. A page with more cannot be read.
const ROWS_SHOWN_MAX: usize = 300;
/// Services that are named with a recommendation; the others are counted. An administrator holds hundreds.
const SERVICES_SHOWN_MAX: usize = 12;
/// All advice, in the order in which it is shown: what changes the most first.
const ADVICE: [Advice; 5] =
    [Advice::Remove, Advice::ConvertToJit, Advice::Shrink, Advice::DecideLater, Advice::KeepStanding];

/// How a capability is used over the week by all of its holders together.
#[derive(Clone, Copy, Debug)]
pub struct UseOfWeek<'a> {
    /// The capability, in words.
    pub capability: &'a str,
    /// Holders whose use it is.
    pub holders: u64,
    /// Sessions of use in the window.
    pub sessions: u64,
    /// Five-minute slots with use, by weekday from Monday and hour of the day, on the clock of the working hours.
    pub hours: &'a [[u64; 24]; 7],
}

/// What the page is built from.
#[derive(Clone, Copy, Debug)]
pub struct StandingInputs<'a> {
    /// Everything that is recommended: what sums and plots are made of.
    pub recommendations: &'a Recommendations,
    /// The rows to list (a selection of the above), in order.
    pub rows: &'a [&'a Recommendation],
    /// Weeks to plot, in order.
    pub weeks: &'a [UseOfWeek<'a>],
    /// Period of use.
    pub window: Window,
    /// Instant of the state.
    pub as_of: Timestamp,
    /// Generation of the lake.
    pub generation: u64,
    /// Hash of the snapshot.
    pub snapshot: &'a str,
    /// Version of the catalogue.
    pub catalogue: &'a str,
    /// What the logs speak for, in words.
    pub coverage: &'a str,
    /// Working hours, in words.
    pub hours: &'a str,
    /// What narrows the claims.
    pub gaps: &'a [Gap],
    /// Version of the program.
    pub tool_version: &'a str,
    /// The command that makes this page again.
    pub command: &'a str,
}

/// Builds the page.
#[must_use]
pub fn standing(inputs: &StandingInputs<'_>) -> StandingPage {
    let all = inputs.recommendations;
    let load = all.load();
    let rows: Vec<AdviceView> =
        inputs.rows.iter().zip(1..).take(ROWS_SHOWN_MAX).map(|(row, rank)| advice_view(row, rank)).collect();
    let mut gaps = inputs.gaps.to_vec();
    gaps.sort();
    StandingPage {
        header: header(inputs),
        tiles: tiles(all, &load),
        sums: sums(all, &load),
        exposure: plots::exposure(all),
        curve: plots::curve(all, load.per_week_hundredths),
        weeks: plots::weeks(inputs.weeks),
        chosen: inputs.rows.len() as u64,
        omitted: (inputs.rows.len() - rows.len()) as u64,
        total: all.rows.len() as u64,
        rows,
        gaps,
        notes: NOTES.iter().map(|note| (*note).to_owned()).collect(),
    }
}

/// Renders the page as one HTML file without any outside reference and without scripts. Equal pages give equal text.
///
/// # Errors
/// When the template is faulty, which the tests rule out.
pub fn render_standing(page: &StandingPage) -> Result<String, RenderError> {
    let style = format!("{HTML_STYLE}{STYLE}");
    fill("recommend.html", Format::Html, context! { page => Value::from(Serde(page)), style => style })
}

/// How to read the numbers.
const NOTES: [&str; 9] = [
    "A capability is a kind of access to a service in an account; services that nobody used stand together.",
    "Risk is the product of its parts, which stand with every row. The weights are a judgement, not a measurement.",
    "Exposure is hours held a week times risk: standing access counts all 168 hours, access that is asked for the \
     hours of its grants, what is shrunk the share of its actions that is used.",
    "A request is counted from what happened: every five-minute slot of use in which no grant would have been open. A \
     grant is the shortest of 1, 2, 4, 8 or 12 hours that outlasts 80 % of the sessions of use.",
    "“At least” stands where some of the use may not have been logged: there may be more requests.",
    "Going through a dozen services within fifteen minutes does not count as need.",
    "What was used before the window, or what IAM saw attempted then, is not removed: it may be work of a season.",
    "Confidence is high where the advice rests on recorded facts, medium where they are incomplete but consistent, and \
     low where it rests on an assumption, which is named.",
    "Rows name people and what they use: hand this file on with care. The plots of the week show all holders of a \
     capability together.",
];

fn header(inputs: &StandingInputs<'_>) -> StandingHeader {
    StandingHeader {
        tool_version: inputs.tool_version.to_owned(),
        command: inputs.command.to_owned(),
        window: inputs.window,
        as_of: inputs.as_of,
        generation: inputs.generation,
        snapshot: inputs.snapshot.to_owned(),
        catalogue: inputs.catalogue.to_owned(),
        coverage: inputs.coverage.to_owned(),
        hours: inputs.hours.to_owned(),
    }
}

/// An advice as people say it.
const fn words(advice: Advice) -> &'static str {
    match advice {
        Advice::Remove => "Remove",
        Advice::ConvertToJit => "Make just-in-time",
        Advice::Shrink => "Shrink",
        Advice::DecideLater => "Decide later",
        Advice::KeepStanding => "Keep standing",
    }
}

fn tiles(all: &Recommendations, load: &Load) -> Vec<Tile> {
    let removed = all.exposure_before.saturating_sub(all.exposure_after);
    let mut tiles = vec![Tile {
        kind: "all",
        number: percent(permille(removed, all.exposure_before)),
        zero: removed == 0,
        label: "of exposure removed",
    }];
    for advice in ADVICE {
        let count = all.rows.iter().filter(|row| row.advice == advice).count() as u64;
        tiles.push(Tile { kind: advice.as_str(), number: grouped(count), zero: count == 0, label: words(advice) });
    }
    tiles.push(Tile {
        kind: "requests",
        number: decimal(load.per_week_hundredths),
        zero: load.per_week_hundredths == 0,
        label: "requests a week",
    });
    tiles
}

/// The result, a sentence each.
fn sums(all: &Recommendations, load: &Load) -> Vec<String> {
    let share = |removed: u64| percent(permille(removed, all.exposure_before));
    let mut sums = vec![
        format!(
            "Following all of it removes {} of exposure: {} before, {} after.",
            share(all.exposure_before.saturating_sub(all.exposure_after)),
            grouped(all.exposure_before),
            grouped(all.exposure_after)
        ),
        format!(
            "{} of exposure would be removed by advice of low confidence: the logs could not fully have shown a use.",
            share(all.removed_without_sight())
        ),
        format!(
            "People would make {} requests a week together; in the window that is {}, {} of them outside working \
             hours.",
            decimal(load.per_week_hundredths),
            counted(load.requests, "request"),
            grouped(load.out_of_hours)
        ),
    ];
    if let Some((approver, most)) = load.approvers.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))) {
        sums.push(format!("Most requests for one approver: {} a week, for {approver}.", decimal(*most)));
    }
    let forecast = all.forecast;
    if let Some(error) = forecast.error_hundredths.checked_div(forecast.proposals) {
        sums.push(format!(
            "How well requests are foreseen: learned on two thirds of the window, {} were foreseen for the last third \
             and {} counted; the error of one proposal is {} on average.",
            decimal(forecast.foreseen_hundredths),
            grouped(forecast.counted),
            decimal(error)
        ));
    }
    sums
}

fn advice_view(row: &Recommendation, rank: u64) -> AdviceView {
    let name = row.principal.rsplit(['/', ':']).next().unwrap_or_default();
    let name = permission_set_of(name).unwrap_or(name);
    let (who, through) = if row.person.is_empty() { (name, "") } else { (row.person.as_str(), name) };
    AdviceView {
        rank,
        kind: row.advice.as_str(),
        label: words(row.advice),
        who: who.to_owned(),
        through: through.to_owned(),
        principal: row.principal.clone(),
        account: row.account.clone(),
        capability: row.capability.clone(),
        services: services(row),
        removed: grouped(row.removed()),
        before: grouped(row.exposure_before),
        after: grouped(row.exposure_after),
        why: row.why.clone(),
        requests: requests(row),
        approver: row.approver.clone(),
        usage: usage(row),
        actions: format!("{} of {}", grouped(row.used), counted(row.granted, "action")),
        confidence: row.confidence.as_str(),
        risk: grouped(row.risk.score),
        parts: row.risk.parts.clone(),
        id: row.id.clone(),
    }
}

fn services(row: &Recommendation) -> String {
    let shown: Vec<&str> = row.services.iter().take(SERVICES_SHOWN_MAX).map(String::as_str).collect();
    match row.services.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What just-in-time would have cost.
fn requests(row: &Recommendation) -> String {
    let friction = &row.friction;
    let least = if friction.at_least { "at least " } else { "" };
    if friction.requests == 0 {
        return format!("{least}0 in the window");
    }
    let (hours, minutes) = (friction.grant_minutes / 60, friction.grant_minutes % 60);
    let length = if minutes == 0 { format!("{hours} h") } else { format!("{} min", friction.grant_minutes) };
    format!(
        "{least}{} a week with grants of {length}; {} in the window, {} outside working hours",
        decimal(friction.per_week_hundredths()),
        grouped(friction.requests),
        grouped(friction.out_of_hours)
    )
}

fn usage(row: &Recommendation) -> String {
    let last = row.last.map_or_else(String::new, |last| format!("; last on {}", last.day()));
    if row.sessions == 0 {
        return format!("none of their own in the window{last}");
    }
    format!(
        "{} on {}, {} of working time{last}",
        counted(row.sessions, "session"),
        counted(row.active_days, "day"),
        percent(row.duty_permille)
    )
}

/// Hundredths as a decimal.
fn decimal(hundredths: u64) -> String {
    format!("{}.{:02}", grouped(hundredths / 100), hundredths % 100)
}

/// Thousandths as percent.
fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// A part in thousandths of the whole, rounded down.
fn permille(part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(part) * 1000 / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

/// A whole number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with what it counts.
fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}
