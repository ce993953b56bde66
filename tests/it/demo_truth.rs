//! The program's answers about the made-up organisation against every planted fact.
//!
//! The built program runs `demo` once; its tables are then read as a script would read them. Where a table has no
//! place for a figure (days of several rows together, sessions, events that are no IAM action), the stage behind it
//! is asked. All that is wrong is collected before the test fails.

mod answers;
mod credentials;
mod people;
mod permissions;
mod principals;

use answers::{Answers, number, on, text};

/// What was held against the answers.
struct Checks<'a> {
    answers: &'a Answers,
    done: std::collections::BTreeSet<String>,
    wrong: Vec<String>,
}

impl Checks<'_> {
    /// Holds one claim about a fact.
    fn that(&mut self, id: &str, holds: bool, what: impl Into<String>) {
        self.done.insert(id.to_owned());
        if !holds {
            self.wrong.push(format!("{id}: {}", what.into()));
        }
    }

    /// Holds that two things are equal.
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, id: &str, what: &str, found: T, expected: T) {
        let holds = found == expected;
        self.that(id, holds, format!("{what} is {found:?}, not {expected:?}"));
    }

    /// The fact's counts, days, dates and person, from `usage`.
    fn counts(&mut self, id: &str) {
        let answers = self.answers;
        let fact = answers.fact(id);
        let rows: Vec<_> = answers
            .usage
            .iter()
            .filter(|row| {
                text(row, "principal") == fact.principal
                    && fact.actions.iter().any(|action| action == text(row, "action"))
                    && on(text(row, "resource"), &fact.resource)
                    && (fact.region.is_empty() || text(row, "region") == fact.region)
                    && (fact.person.is_empty()
                        || text(row, "person").is_empty()
                        || text(row, "person") == answers.person(&fact.person))
            })
            .collect();
        let sum = |field: &str| rows.iter().map(|row| number(row, field)).sum::<u64>();
        self.equal(id, "authorised calls", sum("count"), fact.count);
        self.equal(id, "denied calls", sum("denied"), fact.denied);
        self.equal(id, "calls not evaluated", sum("not_evaluated"), fact.not_evaluated);
        let days = answers.days(fact);
        self.equal(id, "active days", days.len() as u64, fact.active_days);
        self.equal(id, "first day", days.first().copied(), fact.first);
        self.equal(id, "last day", days.last().copied(), fact.last);
        if let [row] = rows.as_slice() {
            self.equal(id, "active days printed", number(row, "active_days"), fact.active_days);
            let day = |field: &str| text(row, field).get(..10).unwrap_or("").to_owned();
            let shown = |day: Option<jitscan::model::time::Day>| day.map_or(String::new(), |day| day.to_string());
            self.equal(id, "first printed", day("first"), shown(fact.first));
            self.equal(id, "last printed", day("last"), shown(fact.last));
        }
    }

    /// Whoever stands in the person column of the fact's rows is this person, and nobody else.
    fn person(&mut self, id: &str, expected: &str) {
        let fact = self.answers.fact(id);
        for action in &fact.actions {
            for row in self.answers.used(&fact.principal, action) {
                if on(text(row, "resource"), &fact.resource) {
                    self.equal(id, &format!("person of {action}"), text(row, "person"), expected);
                }
            }
        }
    }

    /// Every entitlement of the fact's actions that speaks of its resource has its verdict, and there is one.
    fn verdict(&mut self, id: &str) {
        let fact = self.answers.fact(id);
        let expected = fact.verdict.replace(' ', "_").replace("but_", "");
        for action in &fact.actions {
            self.verdict_of(id, &fact.principal, action, &fact.resource, &expected);
        }
    }

    /// The verdict on one action.
    fn verdict_of(&mut self, id: &str, principal: &str, action: &str, resource: &str, expected: &str) {
        let rows: Vec<_> = self
            .answers
            .granted(principal, action)
            .into_iter()
            .filter(|row| speaks_of(text(row, "resource_scope"), resource))
            .collect();
        if expected == "not_granted" {
            self.that(id, rows.is_empty(), format!("{action} is granted: {rows:?}"));
            return;
        }
        self.that(id, !rows.is_empty(), format!("no entitlement of {action} on {resource:?}"));
        for row in rows {
            self.equal(id, &format!("verdict on {action} ({})", text(row, "reason")), text(row, "verdict"), expected);
        }
    }

    /// The kinds of findings of the principal.
    fn kinds(&mut self, id: &str, principal: &str, expected: &[&str]) {
        let found: Vec<&str> = self.answers.kinds(principal).into_iter().collect();
        self.equal(id, "findings", found.as_slice(), expected);
    }

    /// There is exactly one finding of the kind about the principal (and person), whose title holds each of `says`.
    fn finding(&mut self, id: &str, principal: &str, kind: &str, person: &str, says: &[&str]) {
        let found: Vec<_> = self
            .answers
            .found(principal)
            .into_iter()
            .filter(|row| text(row, "kind") == kind && (person.is_empty() || text(row, "person") == person))
            .filter(|row| says.iter().all(|word| text(row, "title").contains(word)))
            .collect();
        self.equal(id, &format!("findings {kind} that say {says:?}"), found.len(), 1);
    }
}

/// Whether a printed scope holds a resource, by a reading of its own: no resource means any scope.
fn speaks_of(scope: &str, resource: &str) -> bool {
    if resource.is_empty() || scope.is_empty() {
        return true;
    }
    scope.split(", ").any(|pattern| {
        let pattern = pattern.trim_end_matches("/*");
        let secret = pattern.strip_suffix("-*").or_else(|| pattern.strip_suffix("-??????"));
        secret == Some(resource) || wild(pattern, resource)
    })
}

fn wild(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| wild(after, rest))),
    }
}

#[test]
fn every_planted_fact_is_what_the_program_says() {
    let answers = Answers::get();
    let mut checks = Checks { answers: &answers, done: std::collections::BTreeSet::new(), wrong: Vec::new() };
    permissions::check(&mut checks);
    credentials::check(&mut checks);
    principals::check(&mut checks);
    people::check(&mut checks);
    let all: std::collections::BTreeSet<String> = answers.truth.facts.iter().map(|fact| fact.id.clone()).collect();
    assert_eq!(checks.done, all, "every fact is held against an answer");
    assert!(checks.wrong.is_empty(), "{} wrong:\n{}", checks.wrong.len(), checks.wrong.join("\n"));
}
