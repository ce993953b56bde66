//! Where the numbers of a recommendation come from: sessions, requests, arithmetic, statements and events.

use crate::catalog::{ActionSet, Catalog};
use crate::compare::ActionVerdicts;
use crate::entitlements::PrincipalEntitlements;
use crate::model::time::Timestamp;

use super::friction::requests;
use super::times::{SLOT_MINUTES, Slot, WorkingHours, sessions, start_of};
use super::{Advice, Recommendation, WEEK_HOURS, after};

/// A recorded call that a recommendation rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// When.
    pub at: Timestamp,
    /// `eventID`.
    pub id: String,
    /// Source and name of the event, such as `rds.amazonaws.com ModifyDBInstance`.
    pub name: String,
    /// Its resources.
    pub resources: Vec<String>,
    /// How many calls like it there were, which differ in nothing that policies look at.
    pub like_it: u64,
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about: `advice`, `arithmetic`, `session`, `request`, `actions`, `statement` or `event`.
    pub part: &'static str,
    /// When, for sessions, requests and events.
    pub at: Option<Timestamp>,
    /// In words.
    pub text: String,
    /// What it can be looked up by: an event's id, a statement, a resource pattern.
    pub reference: String,
}

/// Explains a recommendation. `calls` are recorded calls of its holder through its principal.
#[must_use]
pub fn explain(
    row: &Recommendation,
    granted: Option<&PrincipalEntitlements>,
    verdicts: Option<&ActionVerdicts>,
    calls: &[Call],
    hours: WorkingHours,
    catalog: &Catalog,
) -> Vec<Line> {
    let mut out = Vec::new();
    let mut say = |part, at, text: String, reference: String| out.push(Line { part, at, text, reference });
    for why in &row.why {
        say("advice", None, format!("{}: {why}", row.advice.as_str()), String::new());
    }
    for text in arithmetic(row) {
        say("arithmetic", None, text, String::new());
    }
    if let Some(rhythm) = &row.rhythm {
        say("arithmetic", None, format!("rhythm of the sessions: {rhythm}"), String::new());
    }
    for session in sessions(&row.needed) {
        let end = start_of(session.last + 1);
        let minutes = session.slots() * SLOT_MINUTES;
        say("session", Some(start_of(session.first)), format!("until {end}, {minutes} minutes"), String::new());
    }
    if row.friction.requests > 0 {
        for slot in requests(&row.needed, row.friction.grant_minutes / SLOT_MINUTES) {
            say("request", Some(start_of(slot)), request(slot, row.friction.grant_minutes, hours), String::new());
        }
    }
    if let Some(granted) = granted {
        let held = after::actions_of(row, &granted.granted, catalog);
        for (what, set) in verdicts.into_iter().flat_map(by_verdict) {
            let mut set = set.clone();
            set.intersect_with(&held);
            if !set.is_empty() {
                say("actions", None, format!("{what}: {}", names(&set, catalog)), String::new());
            }
        }
        for entitlement in granted.entitlements.iter().filter(|one| one.actions.intersects(&held)) {
            let mut set = (*entitlement.actions).clone();
            set.intersect_with(&held);
            let conditions = entitlement.scope.conditions_text();
            let when = if conditions.is_empty() { String::new() } else { format!(" where {conditions}") };
            let on = entitlement.scope.resources_text();
            let text = format!("allows {} of these actions on {on}{when}", set.len());
            let by: Vec<String> = entitlement.provenance.iter().map(ToString::to_string).collect();
            say("statement", None, text, by.join("; "));
        }
    }
    for call in calls {
        let on = if call.resources.is_empty() { String::new() } else { format!(" on {}", call.resources.join(", ")) };
        let more = if call.like_it > 1 { format!(", one of {} alike", call.like_it) } else { String::new() };
        say("event", Some(call.at), format!("{}{on}{more}", call.name), call.id.clone());
    }
    out
}

fn by_verdict(verdicts: &ActionVerdicts) -> [(&'static str, &ActionSet); 4] {
    [
        ("used", &verdicts.used),
        ("unused", &verdicts.unused),
        ("unused by an assumption about logging", &verdicts.unused_low),
        ("not observable", &verdicts.unobservable),
    ]
}

/// Most actions that a line lists.
const LISTED: usize = 40;

fn names(set: &ActionSet, catalog: &Catalog) -> String {
    let names: Vec<String> =
        set.iter().filter_map(|id| catalog.action(id)).map(|action| action.full_name()).take(LISTED).collect();
    let more = set.len().saturating_sub(names.len());
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

fn request(slot: Slot, minutes: i64, hours: WorkingHours) -> String {
    let when = if hours.contains(slot) { "in working hours" } else { "outside working hours" };
    format!("a grant until {}, {when}", start_of(slot).plus_seconds(minutes * 60))
}

/// How the numbers come about.
fn arithmetic(row: &Recommendation) -> Vec<String> {
    let mut out = vec![
        format!("risk {} = {}", row.risk.score, row.risk.parts.join(", ")),
        format!("exposure as it stands: {WEEK_HOURS} hours a week x risk {} = {}", row.risk.score, row.exposure_before),
    ];
    let friction = &row.friction;
    if friction.requests > 0 {
        let per_week = friction.per_week_hundredths();
        out.push(format!(
            "{} requests in {} days = {}.{:02} a week, with grants of {} minutes that outlast most of the {} sessions",
            friction.requests,
            friction.days,
            per_week / 100,
            per_week % 100,
            friction.grant_minutes,
            row.sessions
        ));
    }
    out.push(match row.advice {
        Advice::Remove => "exposure after: 0".to_owned(),
        Advice::ConvertToJit => {
            format!("exposure after: requests a week x hours of a grant x risk = {}", row.exposure_after)
        }
        Advice::Shrink => format!(
            "exposure after: as it stands x {} used of {} granted actions = {}",
            row.used.max(1),
            row.granted,
            row.exposure_after
        ),
        Advice::DecideLater | Advice::KeepStanding => format!("exposure after: as it stands, {}", row.exposure_after),
    });
    out
}
