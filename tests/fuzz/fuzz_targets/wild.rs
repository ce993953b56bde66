//! Wildcard texts against their definition. Three lines: a pattern, another, and a text.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use jitscan_fuzz::catalog::Glob;
use jitscan_fuzz::mutate::Random;
use jitscan_fuzz::oracle::{self, Piece};
use jitscan_fuzz::policy::{Bound, Variable, Wild};
use jitscan_fuzz::{check, timed};
use libfuzzer_sys::fuzz_target;

const LIMIT: Duration = Duration::from_secs(3);

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [p, q, text] = [(); 3].map(|()| lines.next().unwrap_or(""));
    if p.len().max(q.len()).max(text.len()) > 600 {
        return;
    }
    globs(p, text);
    for variables in [true, false] {
        wilds(p, q, text, variables);
        wilds(q, p, text, variables);
    }
    if seldom(p, 256) {
        long(p, text);
    }
});

/// What takes long is done for one text in so many.
fn seldom(text: &str, many: usize) -> bool {
    Random::of(text.as_bytes()).below(many) == 0
}

fn globs(p: &str, text: &str) {
    let lower = |text: &str| text.chars().map(|c| c.to_ascii_lowercase()).collect::<String>();
    let (glob, sensitive) = (Glob::new(p), Glob::case_sensitive(p));
    let found = glob.matches(text);
    check!("glob", found == oracle::matches(&oracle::plain(&lower(p)), &lower(text)), "{p:?} on {text:?}: {found}");
    let found = sensitive.matches(text);
    check!("glob-case", found == oracle::matches(&oracle::plain(p), text), "{p:?} on {text:?}: {found}");
    for (glob, text) in [(&glob, lower(text)), (&sensitive, text.to_owned())] {
        check!("glob-prefix", !glob.matches(&text) || text.starts_with(glob.literal_prefix()), "{p:?} on {text:?}");
        check!("glob-everything", !glob.is_everything() || glob.matches(&text), "{p:?}");
        check!("glob-literal", !glob.is_literal() || glob.matches(glob.literal_prefix()), "{p:?}");
    }
    check!("glob-print", Glob::new(&glob.to_string()) == glob, "{p:?}");
    check!("glob-print", Glob::case_sensitive(&sensitive.to_string()) == sensitive, "{p:?}");
}

fn pieces(text: &str, variables: bool) -> Vec<Piece> {
    if variables { oracle::with_variables(text) } else { oracle::plain(text) }
}

fn wilds(p: &str, q: &str, text: &str, variables: bool) {
    let (wild, other) = (Wild::parse(p, variables), Wild::parse(q, variables));
    let (of_p, of_q) = (pieces(p, variables), pieces(q, variables));
    let (in_p, in_q) = (wild.matches(text), other.matches(text));
    check!("matches", in_p == oracle::matches(&of_p, text), "{p:?} on {text:?}: {in_p} (variables: {variables})");
    let printed = wild.to_string();
    // Printed in the language that has variables, whichever it was written in.
    let again = Wild::parse(&printed, true);
    check!("wild-print", again == wild, "{p:?} prints {printed:?}, not the same (variables: {variables})");
    let exact = Wild::exact(p, variables);
    if !variables {
        check!("exact", exact.matches(text) == (p == text), "{p:?} on {text:?}");
        check!("exact-text", exact.literal_text().as_deref() == Some(p), "{p:?}");
    }
    check!("exact-literal", exact.is_literal() != exact.has_variables(), "{p:?}");
    let (covers, overlaps) = timed("wild-time", LIMIT, || (wild.covers(&other), wild.overlaps(&other)));
    check!("covers", !covers || !in_q || in_p, "{p:?} covers {q:?}, not {text:?} (variables: {variables})");
    check!("covers-itself", wild.covers(&wild), "{p:?}");
    check!(
        "overlaps",
        overlaps == oracle::overlap(&of_p, &of_q),
        "{p:?} and {q:?}: {overlaps} (variables: {variables})"
    );
    check!("covers-overlaps", !covers || overlaps, "{p:?} covers {q:?}, and they do not overlap");
    // A pattern without `?` and variables: `covers` is exact, and a literal is covered by what matches it.
    if !other.has_variables()
        && let Some(literal) = other.literal_text()
        && !wild.has_variables()
    {
        check!("covers-literal", covers == wild.matches(&literal), "{p:?} covers {literal:?}: {covers}");
    }
    values(&wild, p, text, in_p);
    if !wild.has_variables() && !other.has_variables() && p.len() + q.len() < 24 && seldom(p, 8) {
        let both = [(wild, false), (other, false)];
        if let Some(found) = timed("witness-time", LIMIT, || Wild::witnesses(&both)) {
            let ways: BTreeSet<Vec<bool>> =
                found.iter().map(|text| both.iter().map(|(wild, _)| wild.matches(text)).collect()).collect();
            check!(
                "witnesses",
                ways.contains(&vec![in_p, in_q]),
                "{p:?} and {q:?}: none of {found:?} is like {text:?}"
            );
            check!("witnesses-differ", ways.len() == found.len(), "{p:?} and {q:?}: {found:?}");
        }
        folded(p, q, text, variables);
    }
}

/// The same without regard to case, for plain texts: what `StringEqualsIgnoreCase` beside `StringEquals` needs.
fn folded(p: &str, q: &str, text: &str, variables: bool) {
    let (exact, other) = (Wild::exact(p, variables), Wild::parse(q, variables));
    let Some(plain) = exact.literal_text() else { return };
    let lower = plain.to_lowercase();
    let both = [(exact, true), (other, false)];
    if let Some(found) = timed("witness-time", LIMIT, || Wild::witnesses(&both)) {
        let way = |text: &str| (text.to_lowercase() == lower, both[1].0.matches(text));
        let ways: BTreeSet<(bool, bool)> = found.iter().map(|text| way(text)).collect();
        let want = way(text);
        check!("witnesses-fold", ways.contains(&want), "{p:?} and {q:?}: none of {found:?} is like {text:?}: {want:?}");
    }
}

fn values(wild: &Wild, p: &str, text: &str, in_p: bool) {
    let unknown = wild.matches_with(text, |_| Variable::Unknown);
    check!("unknown", unknown.unwrap_or(true) == in_p, "{p:?} on {text:?}: {unknown:?}");
    check!("unknown-known", wild.has_variables() || unknown == Some(in_p), "{p:?} on {text:?}: {unknown:?}");
    for value in ["", "*", "a", "${x}", text] {
        let found = wild.matches_with(text, |_| Variable::Text(value.to_owned()));
        check!("value", found.is_some() && (found == Some(false) || in_p), "{p:?} on {text:?} with {value:?}");
        let Bound::Pattern(bound) = wild.bind(|_| Variable::Text(value.to_owned())) else {
            panic!("{p:?} is nothing with {value:?}");
        };
        check!("bound", !bound.has_variables() && Some(bound.matches(text)) == found, "{p:?} with {value:?}");
        // A bound pattern is one without variables, however its text looks.
        let again = Wild::parse(&bound.to_string(), true);
        check!("bound-print", again.matches(text) == bound.matches(text), "{p:?} with {value:?} prints {bound}");
    }
    let lacking = wild.variables().any(|(_, default)| default.is_none());
    let absent = wild.bind(|_| Variable::Absent);
    check!("absent", (absent == Bound::Nothing) == lacking, "{p:?}: {absent:?}");
}

/// Long texts of the same make: quadratic time is fast enough, anything above is not.
fn long(p: &str, text: &str) {
    let stretch = |text: &str| text.repeat(3_000 / text.len().max(1)).chars().take(3_000).collect::<String>();
    let (p, text) = (stretch(p), stretch(text));
    timed("long-time", LIMIT, || Glob::new(&p).matches(&text));
    for variables in [true, false] {
        let wild = Wild::parse(&p, variables);
        timed("long-time", LIMIT, || wild.matches(&text));
        timed("long-time", LIMIT, || wild.matches_with(&text, |_| Variable::Text("a".to_owned())));
        // Sets of positions are slower to walk than positions, though not of another order.
        let half = |text: &str| Wild::parse(&text.chars().take(1_000).collect::<String>(), variables);
        let (wild, other) = (half(&p), half(&text));
        timed("long-overlaps-time", LIMIT, || wild.overlaps(&other));
        timed("long-covers-time", LIMIT, || wild.covers(&other));
    }
}
