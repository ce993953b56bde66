//! What to do about a capability that somebody holds.

use serde::Serialize;

use crate::compare::assessment::VerdictCounts;
use crate::entitlements::AccessClass;
use crate::model::finding::Confidence;
use crate::model::time::{Day, Timestamp};

use super::friction::Friction;

/// The advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Take it away.
    Remove,
    /// Make it just-in-time.
    ConvertToJit,
    /// Keep what is used of it.
    Shrink,
    /// The evidence does not carry a decision; the reasons say what is missing.
    DecideLater,
    /// Leave it as it is.
    KeepStanding,
}

impl Advice {
    /// Stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::ConvertToJit => "convert_to_jit",
            Self::Shrink => "shrink",
            Self::DecideLater => "decide_later",
            Self::KeepStanding => "keep_standing",
        }
    }
}

/// What is known of one holder's capability.
#[derive(Clone, Debug)]
pub(super) struct Evidence<'a> {
    pub class: AccessClass,
    /// A person, and not a program.
    pub human: bool,
    /// Verdicts on its actions, over everybody who acts through the principal.
    pub counts: VerdictCounts,
    /// Sessions of the holder's own use in the window, without bursts.
    pub sessions: u64,
    /// Slots of use that were left out as bursts.
    pub burst_slots: u64,
    /// Slots of use that do not count for another reason.
    pub aside_slots: u64,
    /// The first day of the logs, where a year's work could not be looked for.
    pub short: Option<Day>,
    /// The last use of the holder's before the window.
    pub before: Option<Timestamp>,
    /// A permission set's role to which nobody is assigned.
    pub unassigned: bool,
    /// The person's last day, where it lies before the instant that is spoken for.
    pub left: Option<Day>,
    /// When IAM last saw the principal attempt one of the services, or anything at all, before the window.
    pub accessed: Option<Timestamp>,
    /// Others used it through the same principal.
    pub others: bool,
    /// Somebody used it whose name the logs do not tell, or tell only by a claim.
    pub nameless: bool,
    pub friction: &'a Friction,
    /// Requests a week, in hundredths, up to which conversion is proposed.
    pub limit: u64,
}

/// Advice with its reasons and how sure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advised {
    pub advice: Advice,
    pub why: Vec<String>,
    pub confidence: Confidence,
}

fn advised(advice: Advice, confidence: Confidence, why: impl Into<String>) -> Advised {
    Advised { advice, why: vec![why.into()], confidence }
}

/// The advice on what somebody holds.
pub(super) fn advise(evidence: &Evidence<'_>) -> Advised {
    let mut out = match (evidence.human, evidence.sessions) {
        _ if evidence.left.is_some() => gone(evidence),
        _ if evidence.unassigned => advised(Advice::Remove, Confidence::High, "nobody is assigned to it"),
        (true, 0) => idle_person(evidence),
        (true, _) => active_person(evidence),
        (false, 0) if evidence.counts.used == 0 => idle_machine(evidence),
        (false, _) => right_size(evidence, "used by a program, which cannot ask"),
    };
    if evidence.burst_slots > 0 {
        out.why.push(format!(
            "{} five-minute slots in which many services were gone through at once do not count as need",
            evidence.burst_slots
        ));
    }
    if evidence.aside_slots > 0 {
        out.why.push(format!(
            "{} five-minute slots of use do not count: they fall into a span that the configuration sets aside, or the person \
             had left",
            evidence.aside_slots
        ));
    }
    out
}

/// Who has left needs nothing.
fn gone(evidence: &Evidence<'_>) -> Advised {
    let day = evidence.left.map(|day| day.to_string()).unwrap_or_default();
    advised(Advice::Remove, Confidence::High, format!("the person's last day was {day}"))
}

fn per_week(friction: &Friction) -> String {
    let hundredths = friction.per_week_hundredths();
    let least = if friction.at_least { "at least " } else { "" };
    format!("{least}{}.{:02} requests a week", hundredths / 100, hundredths % 100)
}

/// Keeps it, without what nobody uses where that is known.
fn right_size(evidence: &Evidence<'_>, why: &str) -> Advised {
    let counts = evidence.counts;
    if counts.unused > 0 {
        // A resource's own policy may let in whoever's policies name other resources.
        let through = if counts.used > 0 {
            ""
        } else {
            ", but through nothing that its policies grant (on other resources, or by calls that need no permission)"
        };
        let why = format!("{why}{through}; {} of {} actions are unused", counts.unused, counts.granted);
        return advised(Advice::Shrink, Confidence::High, why);
    }
    advised(Advice::KeepStanding, Confidence::High, why)
}

fn active_person(evidence: &Evidence<'_>) -> Advised {
    let sessions = format!("used in {} sessions", evidence.sessions);
    if evidence.class == AccessClass::Read {
        return advised(Advice::KeepStanding, Confidence::High, format!("{sessions}, and reading is of low risk"));
    }
    let price = per_week(evidence.friction);
    if evidence.friction.per_week_hundredths() > evidence.limit {
        return right_size(evidence, &format!("{sessions}: {price} are more than is asked of people"));
    }
    let hours = evidence.friction.grant_minutes / 60;
    let confidence = if evidence.friction.at_least { Confidence::Medium } else { Confidence::High };
    advised(Advice::ConvertToJit, confidence, format!("{sessions}: {price} with grants of {hours} h"))
}

/// Use long ago that vetoes a removal: quarters and years have their work, too.
fn seasonal(evidence: &Evidence<'_>) -> Option<String> {
    match (evidence.before, evidence.accessed) {
        (Some(at), _) => Some(format!("last used on {}, before the window: it may be work of a season", at.day())),
        (None, Some(at)) => {
            Some(format!("IAM last saw an attempt on {}, before the window: it may be work of a season", at.day()))
        }
        (None, None) => None,
    }
}

fn idle_person(evidence: &Evidence<'_>) -> Advised {
    let counts = evidence.counts;
    if evidence.class == AccessClass::Read {
        return advised(Advice::KeepStanding, Confidence::High, "not used in the window, and reading is of low risk");
    }
    if let Some(why) = seasonal(evidence) {
        return advised(Advice::ConvertToJit, Confidence::Medium, why);
    }
    if evidence.nameless {
        let why = "somebody used it whose name the logs do not prove";
        return advised(Advice::DecideLater, Confidence::Low, why);
    }
    if evidence.others {
        let why = "not used by this person in the window, by others through the same principal";
        return advised(Advice::ConvertToJit, Confidence::High, why);
    }
    // Whoever can ask loses nothing. What data events alone would show may be needed every day.
    let changes = matches!(evidence.class, AccessClass::Write | AccessClass::Permissions);
    let seen = counts.unused + counts.unused_low_confidence;
    if changes && seen > 0 && counts.unused < counts.granted {
        let why = format!(
            "no use seen, but the logs would surely show only {} of {} actions: not removed, and asking may be needed more \
             often",
            counts.unused, counts.granted
        );
        return advised(Advice::ConvertToJit, Confidence::Low, why);
    }
    unseen(evidence).unwrap_or_else(|| unused(evidence))
}

/// What nobody used, although the logs would have shown it.
fn unused(evidence: &Evidence<'_>) -> Advised {
    let (unused, granted) = (evidence.counts.unused, evidence.counts.granted);
    let mut out =
        advised(Advice::Remove, Confidence::High, format!("{unused} of {granted} actions are granted and unused"));
    if let Some(day) = evidence.short {
        out.confidence = Confidence::Medium;
        out.why.push(format!("the logs begin on {day}: work that comes once a year could not be seen"));
    }
    out
}

fn idle_machine(evidence: &Evidence<'_>) -> Advised {
    if let Some(why) = seasonal(evidence) {
        return advised(Advice::DecideLater, Confidence::Medium, why);
    }
    unseen(evidence).unwrap_or_else(|| unused(evidence))
}

/// Where the logs cannot carry a removal.
fn unseen(evidence: &Evidence<'_>) -> Option<Advised> {
    let counts = evidence.counts;
    if counts.unobservable > 0 {
        let why = format!("the logs could not have shown {} of {} actions", counts.unobservable, counts.granted);
        return Some(advised(Advice::DecideLater, Confidence::Low, why));
    }
    if counts.unused_low_confidence > 0 {
        let why = format!(
            "{} of {} actions are unused only as far as an assumption about logging holds",
            counts.unused_low_confidence, counts.granted
        );
        return Some(advised(Advice::DecideLater, Confidence::Low, why));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(used: u64, unused: u64, low: u64, unobservable: u64) -> VerdictCounts {
        VerdictCounts {
            granted: used + unused + low + unobservable,
            used,
            unused,
            unused_low_confidence: low,
            unobservable,
            used_not_granted: 0,
        }
    }

    const QUIET: Friction = Friction { requests: 2, out_of_hours: 0, grant_minutes: 60, days: 90, at_least: false };
    const BUSY: Friction = Friction { requests: 90, out_of_hours: 0, grant_minutes: 60, days: 90, at_least: false };

    fn evidence(class: AccessClass, human: bool, sessions: u64, friction: &Friction) -> Evidence<'_> {
        Evidence {
            class,
            human,
            counts: if sessions > 0 { counts(1, 9, 0, 0) } else { counts(0, 10, 0, 0) },
            sessions,
            burst_slots: 0,
            aside_slots: 0,
            short: None,
            before: None,
            unassigned: false,
            left: None,
            accessed: None,
            others: false,
            nameless: false,
            friction,
            limit: 200,
        }
    }

    #[test]
    fn who_uses_what_how_often_decides() {
        use AccessClass::{Permissions, Read, SensitiveRead, Write};
        let at: Timestamp = "2025-12-31T00:00:00Z".parse().unwrap();
        let human = |class, sessions, friction| evidence(class, true, sessions, friction);
        let machine = |sessions| evidence(Write, false, sessions, &BUSY);
        for (name, given, want) in [
            ("seldom used", human(Write, 2, &QUIET), Advice::ConvertToJit),
            ("used daily", human(Write, 90, &BUSY), Advice::Shrink),
            (
                "used daily, all of it",
                Evidence { counts: counts(10, 0, 0, 0), ..human(Write, 90, &BUSY) },
                Advice::KeepStanding,
            ),
            ("reads", human(Read, 2, &QUIET), Advice::KeepStanding),
            ("reads, idle", human(Read, 0, &QUIET), Advice::KeepStanding),
            ("idle", human(Permissions, 0, &QUIET), Advice::Remove),
            ("idle, others not", Evidence { others: true, ..human(Write, 0, &QUIET) }, Advice::ConvertToJit),
            ("last year", Evidence { before: Some(at), ..human(Write, 0, &QUIET) }, Advice::ConvertToJit),
            ("IAM saw it", Evidence { accessed: Some(at), ..human(Write, 0, &QUIET) }, Advice::ConvertToJit),
            ("somebody", Evidence { nameless: true, ..human(Write, 0, &QUIET) }, Advice::DecideLater),
            ("partly unseen", Evidence { counts: counts(0, 5, 0, 5), ..human(Write, 0, &QUIET) }, Advice::ConvertToJit),
            ("unseen", Evidence { counts: counts(0, 0, 0, 5), ..human(Write, 0, &QUIET) }, Advice::DecideLater),
            (
                "contents, unseen",
                Evidence { counts: counts(0, 5, 0, 5), ..human(SensitiveRead, 0, &QUIET) },
                Advice::DecideLater,
            ),
            ("assumed", Evidence { counts: counts(0, 0, 5, 0), ..human(Write, 0, &QUIET) }, Advice::ConvertToJit),
            (
                "contents, assumed",
                Evidence { counts: counts(0, 0, 5, 0), ..human(SensitiveRead, 0, &QUIET) },
                Advice::DecideLater,
            ),
            ("used, and gone", Evidence { left: Some(at.day()), ..human(Write, 90, &BUSY) }, Advice::Remove),
            ("machine", machine(3), Advice::Shrink),
            ("machine, idle", machine(0), Advice::Remove),
            ("machine, last year", Evidence { before: Some(at), ..machine(0) }, Advice::DecideLater),
            ("machine, IAM saw it", Evidence { accessed: Some(at), ..machine(0) }, Advice::DecideLater),
            ("machine, unseen", Evidence { counts: counts(0, 5, 0, 5), ..machine(0) }, Advice::DecideLater),
        ] {
            assert_eq!(advise(&given).advice, want, "{name}: {:?}", advise(&given));
        }
    }

    #[test]
    fn use_that_nothing_granted_carries_is_told_apart() {
        let why = |used| {
            let given = Evidence { counts: counts(used, 1, 0, 0), ..evidence(AccessClass::Write, false, 3, &BUSY) };
            advise(&given).why.remove(0)
        };
        assert_eq!(why(1), "used by a program, which cannot ask; 1 of 2 actions are unused");
        assert!(why(0).contains("through nothing that its policies grant"), "{}", why(0));
    }

    #[test]
    fn a_year_has_to_be_looked_at() {
        let day = "2026-08-03T00:00:00Z".parse::<Timestamp>().unwrap().day();
        let short = advise(&Evidence { short: Some(day), ..evidence(AccessClass::Write, true, 0, &QUIET) });
        assert_eq!((short.advice, short.confidence), (Advice::Remove, Confidence::Medium));
        assert!(short.why.iter().any(|why| why.contains("2026-08-03")), "{short:?}");
        let aside = advise(&Evidence { aside_slots: 3, ..evidence(AccessClass::Write, true, 0, &QUIET) });
        assert!(aside.confidence == Confidence::High && aside.why.len() == 2, "{aside:?}");
    }

    proptest! {
        /// More use never turns what is kept into what is removed.
        #[test]
        fn use_never_leads_to_removal(
            class in prop::sample::select(AccessClass::ALL.to_vec()),
            human: bool,
            sessions in 1u64..100,
            requests in 1u64..200,
            shape in (0u64..5, 0u64..5, 0u64..5, any::<bool>(), any::<bool>()),
        ) {
            let friction = Friction { requests, ..QUIET };
            let (unused, low, unobservable, others, nameless) = shape;
            let used = Evidence {
                counts: counts(1, unused, low, unobservable),
                others,
                nameless,
                ..evidence(class, human, sessions, &friction)
            };
            prop_assert!(advise(&used).advice != Advice::Remove);
            let idle = Evidence { counts: counts(0, unused + 1, low, unobservable), sessions: 0, ..used };
            // Less known never makes a removal surer.
            if advise(&idle).advice == Advice::Remove {
                prop_assert!(low == 0 && unobservable == 0 && !(human && nameless));
            }
        }
    }
}
