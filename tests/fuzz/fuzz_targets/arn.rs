//! ARNs and patterns over them. Three lines: a pattern, another, and a resource.
#![no_main]

use std::time::Duration;

use jitscan_fuzz::decide::request::{Caller, Target, arn_parts};
use jitscan_fuzz::model::arn::{AccountId, Arn};
use jitscan_fuzz::policy::{ArnPattern, ResourceMatch, Variable};
use jitscan_fuzz::{check, timed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [p, q, resource] = [(); 3].map(|()| lines.next().unwrap_or(""));
    for text in [p, q, resource] {
        arn(text);
    }
    for variables in [true, false] {
        let (p, q) = (ArnPattern::parse(p, variables), ArnPattern::parse(q, variables));
        patterns(&p, &q, resource, variables);
        patterns(&q, &p, resource, variables);
    }
});

fn arn(text: &str) {
    let parts = arn_parts(text);
    check!("target-parts", Target::new(text).parts() == parts, "{text}");
    let _ = Target::new(text).account();
    if let Ok(account) = text.parse::<AccountId>() {
        check!("account-print", account.to_string() == text, "{text}");
    }
    let Ok(arn) = text.parse::<Arn>() else { return };
    check!("arn-print", arn.to_string() == text && arn.as_str() == text, "{text}");
    let own = [arn.partition(), arn.service(), arn.region(), arn.account_text(), arn.resource()];
    check!("arn-parts", parts == Some(own), "{text}: {parts:?} and {own:?}");
    check!("arn-name", arn.resource().ends_with(arn.name()), "{text}");
    check!("account", arn.account().is_none_or(|account| account.to_string() == arn.account_text()), "{text}");
    if let Some(caller) = Caller::of_arn(&arn, None) {
        let _ = (caller.is_service_linked(), caller.derived().count());
    }
    let json = serde_json::to_string(&arn).unwrap_or_default();
    check!("arn-serde", serde_json::from_str::<Arn>(&json).is_ok_and(|again| again == arn), "{json}");
}

fn patterns(p: &ArnPattern, q: &ArnPattern, resource: &str, variables: bool) {
    let printed = p.to_string();
    // Printed in the language that has variables, whichever it was written in.
    let again = ArnPattern::parse(&printed, true);
    check!("pattern-print", again == *p, "{p:?} prints {printed}, which is {again:?} (variables: {variables})");
    let (covers, overlaps) = timed("pattern-time", Duration::from_secs(3), || (p.covers(q), p.overlaps(q)));
    check!("overlap-symmetric", overlaps == q.overlaps(p), "{p} and {q}");
    check!("covers-itself", p.covers(p) && p.overlaps(p), "{p}");
    let (in_p, in_q) = (p.matches(resource), q.matches(resource));
    check!("covers", !covers || !in_q || in_p, "{p} covers {q} but not {resource:?} (variables: {variables})");
    let overlapping = overlaps || !in_p || !in_q;
    let what = format_args!("{p} and {q} both match {resource:?} (variables: {variables})");
    if variables {
        check!("overlaps", overlapping, "{what}");
    } else {
        check!("overlaps-old", overlapping, "{what}");
    }
    let parts = arn_parts(resource);
    let value = |value: Variable| move |_: &str| value.clone();
    let unknown = p.matches_with(resource, parts.as_ref(), &value(Variable::Unknown));
    check!("unknown", unknown.unwrap_or(true) == in_p, "{p} on {resource:?}: {unknown:?} and {in_p}");
    for known in [Variable::Absent, Variable::Text(String::new()), Variable::Text("a*".to_owned())] {
        let with = p.matches_with(resource, parts.as_ref(), &value(known.clone()));
        check!("known", with.is_some(), "{p} on {resource:?} with {known:?}");
        check!("known-within-unknown", with != Some(true) || in_p, "{p} on {resource:?} with {known:?}");
    }
    check!("no-variables", p.variables().is_empty() || variables, "{p}");
    lists(p, q, resource);
}

fn lists(p: &ArnPattern, q: &ArnPattern, resource: &str) {
    let whole = resource == "*" || arn_parts(resource).is_some();
    // Variables make both sides uncertain, each in its own direction.
    if !whole || !p.variables().is_empty() || !q.variables().is_empty() {
        return;
    }
    let only = |pattern: &ArnPattern| (ResourceMatch::Resource(vec![pattern.clone()]), pattern.matches(resource));
    let not = |pattern: &ArnPattern| (ResourceMatch::NotResource(vec![pattern.clone()]), !pattern.matches(resource));
    for ((mine, in_mine), (theirs, in_theirs)) in
        [(only(p), only(q)), (only(p), not(q)), (not(p), only(q)), (not(p), not(q))]
    {
        check!("may-match", !in_mine || mine.may_match(resource), "{mine} on {resource:?}");
        let (covers, overlaps) = (mine.covers(&theirs), mine.overlaps(&theirs));
        check!("list-covers", !covers || !in_theirs || in_mine, "{mine} covers {theirs}, not {resource:?}");
        check!("list-overlaps", overlaps || !in_mine || !in_theirs, "{mine} and {theirs}: {resource:?}");
        check!("list-symmetric", overlaps == theirs.overlaps(&mine), "{mine} and {theirs}");
    }
}
