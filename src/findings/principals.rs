//! Findings about principals: unused permissions, dormancy, administrators, privilege managers, standing privilege.

use crate::compare::assessment::{Assessment, Nature, PrincipalFacts, PrincipalKind, ServiceUse};
use crate::model::finding::{Confidence, Evidence, Finding, FindingState, Severity};

use super::{JIT_MAX_DAY_SHARE_PERCENT, SERVICES_LISTED, count, id, short};

/// Most items of a list that an evidence note shows.
const SHOWN: usize = 12;

/// Adds every finding about one principal.
pub(super) fn find(assessment: &Assessment, principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    if principal.kind == PrincipalKind::ServiceLinkedRole {
        return;
    }
    after_end(assessment, principal, into);
    analyzer_disagrees(principal, into);
    administrator(principal, into);
    privilege_managing(principal, into);
    if principal.break_glass {
        return;
    }
    standing(assessment, principal, into);
    let dormant = dormant(assessment, principal, into);
    if !dormant {
        unused(assessment, principal, into);
    }
}

fn finding(principal: &PrincipalFacts, kind: &str, subject: &[&str], severity: Severity, title: String) -> Finding {
    let mut parts = vec![principal.arn.as_str(), principal.id.as_str()];
    parts.extend_from_slice(subject);
    Finding {
        id: id(kind, &parts),
        kind: kind.to_owned(),
        severity,
        principal: principal.arn.clone(),
        person: String::new(),
        account: principal.account.to_string(),
        title,
        state: FindingState::New,
        confidence: Confidence::High,
        evidence: Evidence::default(),
    }
}

/// People who act through the principal, or still may, after their end date in the roster. Their last day is theirs.
fn after_end(assessment: &Assessment, principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    for (person, end) in &assessment.ended {
        let holds = principal.holders.contains(person);
        let used = principal.users.iter().find(|user| &user.person == person);
        let days: Vec<String> =
            used.iter().flat_map(|user| &user.active_days).filter(|day| *day > end).map(ToString::to_string).collect();
        let through = short(&principal.arn);
        let still = if holds { "may do so still" } else { "can no longer" };
        let (kind, severity, title) = match (days.is_empty(), holds) {
            (false, _) => (
                "active_after_end_date",
                Severity::High,
                format!(
                    "{person} acted in {} through {through} on {} after {end}, the end date in the roster, and {still}",
                    principal.account,
                    count(days.len(), "day")
                ),
            ),
            (true, true) => (
                "access_after_end_date",
                Severity::Medium,
                format!(
                    "{person} still has access to {} through {through} after {end}, the end date in the roster",
                    principal.account
                ),
            ),
            (true, false) => continue,
        };
        let mut found = finding(principal, kind, &[person], severity, title);
        found.person.clone_from(person);
        if !days.is_empty() {
            found.evidence.notes.push(format!("days: {}", shown(&days, SHOWN, days.len())));
        }
        into.push(found);
    }
}

/// What IAM Access Analyzer calls unused and the logs show in use: whoever acts on it would take away what is needed.
fn analyzer_disagrees(principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    if principal.analyzers.disagreements.is_empty() {
        return;
    }
    let title = format!("{} uses what IAM Access Analyzer calls unused", short(&principal.arn));
    let mut found = finding(principal, "access_analyzer_disagrees", &[], Severity::Info, title);
    found.evidence.notes.clone_from(&principal.analyzers.disagreements);
    // "Refine permissions in AWS using last accessed information", AWS IAM User Guide.
    let why = "Access Analyzer rests on IAM's last accessed information, which does not track every call, and only \
               access that the principal's own policies allow";
    found.evidence.notes.push(why.to_owned());
    into.push(found);
}

fn administrator(principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    if !principal.administrator {
        return;
    }
    let severity = if principal.break_glass { Severity::Info } else { Severity::High };
    let who = match principal.nature {
        Nature::Human => "people hold",
        Nature::Machine => "a machine holds",
        Nature::Mixed => "people and machines hold",
        Nature::Unknown => "someone holds",
    };
    let note = if principal.break_glass { " (break-glass)" } else { "" };
    let title = format!("{who} administrator rights through {}{note}", short(&principal.arn));
    let mut found = finding(principal, "administrator_equivalent", &[], severity, title);
    found.evidence.statements.clone_from(&principal.privileged_statements);
    found.evidence.events.clone_from(&principal.privileged_events);
    into.push(found);
}

fn privilege_managing(principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    if principal.administrator || principal.privileged.is_empty() || principal.break_glass {
        return;
    }
    let title = format!(
        "{} can manage or escalate privileges: {}",
        short(&principal.arn),
        shown(&principal.privileged, 4, principal.privileged.len())
    );
    let mut found = finding(principal, "privilege_managing", &[], Severity::Medium, title);
    found.evidence.statements.clone_from(&principal.privileged_statements);
    found.evidence.events.clone_from(&principal.privileged_events);
    found.evidence.notes.push(shown(&principal.privileged, SHOWN * 4, principal.privileged.len()));
    into.push(found);
}

/// Standing privileged access held by a person: what just-in-time is for. One finding a person and principal.
fn standing(assessment: &Assessment, principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    let privileged = principal.administrator || !principal.privileged.is_empty();
    if !privileged || principal.nature == Nature::Machine {
        return;
    }
    let window_days = assessment.window.days().count();
    let what = if principal.administrator {
        "administrator rights".to_owned()
    } else {
        count(principal.privileged.len(), "privileged action")
    };
    for person in &principal.holders {
        let used = principal.users.iter().find(|user| &user.person == person);
        let days = used.map_or(0, |user| user.privileged_days.len());
        let often = days * 100 > window_days * JIT_MAX_DAY_SHARE_PERCENT;
        let (severity, advice) = match (days, often, principal.activity_observable) {
            (0, _, true) => (Severity::High, "never used: remove, or make it just-in-time"),
            (0, _, false) => (Severity::Medium, "no use seen, but the logs have gaps: just-in-time is the safe change"),
            (_, false, _) => (Severity::High, "convert to just-in-time"),
            (_, true, _) => (Severity::Medium, "used often: shrink it before anything else"),
        };
        let title = format!(
            "{person} holds {what} in {} through {} and used them on {} of {window_days}: {advice}",
            principal.account,
            short(&principal.arn),
            count(days, "day"),
        );
        let mut found = finding(principal, "standing_privileged_access", &[person], severity, title);
        found.person.clone_from(person);
        found.confidence = if principal.activity_observable { Confidence::High } else { Confidence::Medium };
        found.evidence.statements.clone_from(&principal.privileged_statements);
        found.evidence.events.clone_from(&principal.privileged_events);
        if let Some(user) = used {
            let days: Vec<String> = user.privileged_days.iter().map(ToString::to_string).collect();
            found.evidence.notes.push(format!("privileged days: {}", shown(&days, SHOWN, days.len())));
            if !user.likely_days.is_empty() {
                let days = count(user.likely_days.len(), "day");
                found.evidence.notes.push(format!("on {days} nothing but the name of a session leads to them"));
            }
        }
        found.evidence.notes.extend(principal.unobservable_because.iter().cloned());
        into.push(found);
    }
}

/// Adds the finding of a dormant principal; says whether there is one. A principal younger than the window, or one
/// whose activity the logs could not show, is never called dormant.
fn dormant(assessment: &Assessment, principal: &PrincipalFacts, into: &mut Vec<Finding>) -> bool {
    let older = principal.created.is_some_and(|created| created < assessment.window.from);
    let idle = principal.last_activity.is_none_or(|at| at < assessment.window.from);
    if !older || !idle || !principal.activity_observable {
        return false;
    }
    let privileged = principal.administrator || !principal.privileged.is_empty();
    let severity = match (privileged, principal.counts.granted) {
        (true, _) => Severity::High,
        (false, 0) => Severity::Low,
        (false, _) => Severity::Medium,
    };
    let last = match principal.last_activity {
        Some(at) => format!("last seen {}", at.day()),
        None => "never seen".to_owned(),
    };
    let days = assessment.window.days().count();
    let title = format!(
        "{} was not used for {} ({last}); it holds {}",
        short(&principal.arn),
        count(days, "day"),
        count(usize::try_from(principal.counts.granted).unwrap_or(usize::MAX), "action")
    );
    let mut found = finding(principal, "dormant_principal", &[], severity, title);
    found.evidence.notes.push(format!("window {}", assessment.window));
    found.evidence.notes.extend(principal.analyzers.idle.iter().cloned());
    into.push(found);
    true
}

fn unused(assessment: &Assessment, principal: &PrincipalFacts, into: &mut Vec<Finding>) {
    let idle: Vec<&ServiceUse> =
        principal.services.iter().filter(|s| s.counts.unused + s.counts.unused_low_confidence > 0).collect();
    if idle.len() > SERVICES_LISTED {
        into.push(unused_in_total(assessment, principal, &idle));
        return;
    }
    for service in principal.services.iter().filter(|service| !service.unused_parts.is_empty()) {
        if service.counts.unused + service.counts.unused_low_confidence == 0 {
            into.push(unused_in_part(principal, service));
        }
    }
    for service in idle {
        let counts = service.counts;
        let (severity, risk) = risk(service);
        let title = format!(
            "{} never used {} of its {} in {}: {risk}",
            short(&principal.arn),
            counts.unused + counts.unused_low_confidence,
            count(usize::try_from(counts.granted).unwrap_or(usize::MAX), "action"),
            service.service,
        );
        let mut found = finding(principal, "unused_permissions", &[&service.service], severity, title);
        found.confidence = if counts.unused == 0 { Confidence::Low } else { Confidence::High };
        explain(assessment, service, &mut found.evidence);
        into.push(found);
    }
}

/// What was never used on some of its resources, in a service of which nothing is unused altogether.
fn unused_in_part(principal: &PrincipalFacts, service: &ServiceUse) -> Finding {
    let parts = part_texts(service);
    let title = format!("{} never used {}", short(&principal.arn), shown(&parts, 3, parts.len()));
    let mut found = finding(principal, "unused_permissions", &[&service.service], Severity::Low, title);
    if service.unused_parts.iter().all(|part| part.low_confidence) {
        found.confidence = Confidence::Low;
    }
    found
        .evidence
        .notes
        .push(format!("unused on part of what it is granted on: {}", shown(&parts, SHOWN, parts.len())));
    found
}

fn part_texts(service: &ServiceUse) -> Vec<String> {
    service.unused_parts.iter().map(|part| format!("{} on {}", part.action, part.resources)).collect()
}

fn unused_in_total(assessment: &Assessment, principal: &PrincipalFacts, idle: &[&ServiceUse]) -> Finding {
    let unused = principal.counts.unused + principal.counts.unused_low_confidence;
    let never = idle.iter().filter(|service| service.last_used.is_none()).count();
    let severity = idle.iter().map(|service| risk(service).0).max().unwrap_or(Severity::Low);
    let title = format!(
        "{} never used {unused} of its {} actions; {} of {} services were not touched at all",
        short(&principal.arn),
        principal.counts.granted,
        never,
        principal.services.len()
    );
    let mut found = finding(principal, "unused_permissions", &["*"], severity, title);
    found.confidence = if principal.counts.unused == 0 { Confidence::Low } else { Confidence::High };
    for service in idle.iter().filter(|service| !service.unused_privileged.is_empty()).take(SHOWN) {
        explain(assessment, service, &mut found.evidence);
    }
    found
}

/// How bad it would be if somebody else used what nobody uses.
fn risk(service: &ServiceUse) -> (Severity, String) {
    let levels = service.unused_levels;
    if !service.unused_privileged.is_empty() {
        let listed = shown(&service.unused_privileged, 3, service.unused_privileged.len());
        return (Severity::High, format!("privileges could be changed with {listed}"));
    }
    if levels.permissions_management > 0 {
        return (Severity::High, format!("{} manage permissions", levels.permissions_management));
    }
    if levels.write + levels.tagging > 0 {
        return (Severity::Medium, format!("{} write or tag", levels.write + levels.tagging));
    }
    (Severity::Low, "all of them only read or list".to_owned())
}

fn explain(assessment: &Assessment, service: &ServiceUse, evidence: &mut Evidence) {
    let c = service.counts;
    evidence.notes.push(format!(
        "{}: granted {}, used {}, unused {}, unused as far as is known {}, not observable {}; window {}",
        service.service, c.granted, c.used, c.unused, c.unused_low_confidence, c.unobservable, assessment.window
    ));
    if !service.unused_privileged.is_empty() {
        let listed = shown(&service.unused_privileged, SHOWN, service.unused_privileged.len());
        evidence.notes.push(format!("unused and privileged: {listed}"));
    }
    evidence.notes.extend(service.last_accessed.clone());
    evidence.notes.extend(service.analyzers.iter().cloned());
    let parts = part_texts(service);
    if !parts.is_empty() {
        let listed = shown(&parts, SHOWN, parts.len());
        evidence.notes.push(format!("unused on part of what it is granted on: {listed}"));
    }
}

fn shown(items: &[String], most: usize, total: usize) -> String {
    let mut text = items.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    if total > most {
        text.push_str(&format!(" and {} more", total - most));
    }
    text
}
