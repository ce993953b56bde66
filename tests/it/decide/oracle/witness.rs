//! Texts that match any possible combination of patterns: a search that steps through all patterns side by side.

use super::pattern::{self, Context, Piece, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One step of a pattern.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Atom {
    /// This character.
    Char(char),
    /// This character in either case.
    EitherCase(char),
    /// Any one character; `true`: but a colon.
    One(bool),
    /// Any number of characters; `true`: but colons.
    Any(bool),
}

/// States that the search gives up at.
const MAX_STATES: usize = 4000;

/// A plain text as a pattern.
pub fn literal(text: &str) -> Vec<Atom> {
    text.chars().map(Atom::Char).collect()
}

/// The policy value of a text operator as a pattern (several: none or one).
pub fn atoms(base: &str, policy: &str, variables: bool, context: &Context) -> Option<Vec<Atom>> {
    let plain = |wildcards: bool| pattern::fill(&pattern::pieces(policy, variables), wildcards, context);
    match base {
        "stringequals" => Some(steps(&plain(false)?, false, false)),
        "stringlike" => Some(steps(&plain(true)?, false, false)),
        "stringequalsignorecase" => Some(steps(&plain(false)?, false, true)),
        "bool" => Some(policy.chars().map(Atom::EitherCase).collect()),
        "binaryequals" => Some(literal(policy)),
        "arnlike" if policy == "*" => Some(vec![Atom::Any(false)]),
        "arnlike" => {
            let parts = pattern::arn_parts(&pattern::pieces(policy, variables));
            let mut out = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push(Atom::Char(':'));
                }
                out.extend(steps(&pattern::fill(part, true, context)?, index < 5, false));
            }
            (parts.len() == 6 && parts[0].iter().all(|p| matches!(p, Piece::Text(_)))).then_some(out)
        }
        _ => None,
    }
}

fn steps(tokens: &[Token], inside: bool, either_case: bool) -> Vec<Atom> {
    let step = |token: &Token| match token {
        Token::Char(c) if either_case => Atom::EitherCase(*c),
        Token::Char(c) => Atom::Char(*c),
        Token::One => Atom::One(inside),
        Token::Any => Atom::Any(inside),
    };
    tokens.iter().map(step).collect()
}

type Positions = BTreeSet<usize>;

/// Positions reachable without reading a character.
fn closure(pattern: &[Atom], positions: Positions) -> Positions {
    let mut out = positions.clone();
    for start in positions {
        let mut at = start;
        while matches!(pattern.get(at), Some(Atom::Any(_))) {
            at += 1;
            out.insert(at);
        }
    }
    out
}

fn step(pattern: &[Atom], positions: &Positions, read: char) -> Positions {
    let mut out = Positions::new();
    for at in positions {
        match pattern.get(*at) {
            Some(Atom::Char(c)) if *c == read => drop(out.insert(at + 1)),
            Some(Atom::EitherCase(c)) if c.eq_ignore_ascii_case(&read) => drop(out.insert(at + 1)),
            Some(Atom::One(inside)) if !(*inside && read == ':') => drop(out.insert(at + 1)),
            Some(Atom::Any(inside)) if !(*inside && read == ':') => drop(out.insert(*at)),
            _ => {}
        }
    }
    closure(pattern, out)
}

/// Characters worth reading next.
fn next_characters(patterns: &[Vec<Atom>], state: &[Positions], fresh: char) -> BTreeSet<char> {
    let mut out = BTreeSet::from([fresh, ':']);
    for (pattern, positions) in patterns.iter().zip(state) {
        for at in positions {
            match pattern.get(*at) {
                Some(Atom::Char(c)) => drop(out.insert(*c)),
                Some(Atom::EitherCase(c)) => out.extend([c.to_ascii_lowercase(), c.to_ascii_uppercase()]),
                _ => {}
            }
        }
    }
    out
}

/// One text for every combination of "matches / does not match" that the patterns allow.
pub fn texts(patterns: &[Vec<Atom>]) -> Vec<String> {
    if patterns.is_empty() {
        return Vec::new();
    }
    let used: BTreeSet<char> = patterns
        .iter()
        .flatten()
        .filter_map(|a| match a {
            Atom::Char(c) | Atom::EitherCase(c) => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let fresh = ('a'..='z').rev().chain('0'..='9').chain(['~', '#', 'ß']).find(|c| !used.contains(c)).unwrap();
    let start: Vec<Positions> = patterns.iter().map(|p| closure(p, Positions::from([0]))).collect();
    let mut found: BTreeMap<Vec<bool>, String> = BTreeMap::new();
    let mut seen = BTreeSet::from([start.clone()]);
    let mut queue = VecDeque::from([(start, String::new())]);
    while let Some((state, text)) = queue.pop_front() {
        let accepts = patterns.iter().zip(&state).map(|(p, s)| s.contains(&p.len())).collect();
        found.entry(accepts).or_insert_with(|| text.clone());
        if state.iter().all(BTreeSet::is_empty) || seen.len() > MAX_STATES {
            continue;
        }
        for c in next_characters(patterns, &state, fresh) {
            let next: Vec<Positions> = patterns.iter().zip(&state).map(|(p, s)| step(p, s, c)).collect();
            if seen.insert(next.clone()) {
                queue.push_back((next, format!("{text}{c}")));
            }
        }
    }
    found.into_values().collect()
}
