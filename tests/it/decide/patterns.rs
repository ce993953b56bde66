//! What must hold of patterns: matching, covering, expanding.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use jitscan::catalog::{Catalog, Glob};
use jitscan::decide::case::Case;
use jitscan::decide::compile::Compiler;
use jitscan::decide::{ActionName, Decide, Request};
use jitscan::policy::{ArnPattern, DocumentKind, ResourceMatch, Variable, Wild};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use regex::Regex;

use super::support::{Clause, Document, Form, Limits, Listed, USER, check, clause, compiler, family};

/// The regular expression that means the same as a pattern.
fn expression(pattern: &str) -> Regex {
    let mut text = String::from(r"(?s)\A");
    for c in pattern.chars() {
        match c {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            c => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    Regex::new(&(text + r"\z")).unwrap()
}

/// A pattern and a text that it matches, or would but for one character more, less or other. The letters hold what
/// regular expressions treat specially, what has two cases, and characters of several bytes.
fn pattern_and_text() -> impl Strategy<Value = (String, String)> {
    let letter = || select(vec!['a', 'b', 'B', '.', '\n', '$', 'é', 'K', '\u{212a}']);
    let part = prop_oneof![
        3 => letter().prop_map(|c| (c.to_string(), c.to_string())),
        1 => letter().prop_map(|c| ("?".to_owned(), c.to_string())),
        1 => proptest::collection::vec(letter(), 0..4).prop_map(|list| ("*".to_owned(), list.into_iter().collect())),
        1 => Just(("?".to_owned(), String::new())),
    ];
    let change = prop::option::of((any::<prop::sample::Index>(), prop::option::of(letter()), any::<bool>()));
    (proptest::collection::vec(part, 0..8), change).prop_map(|(parts, change)| {
        let (patterns, texts): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
        let mut text: Vec<char> = texts.concat().chars().collect();
        if let Some((at, with, replace)) = change {
            let at = at.index(text.len() + 1);
            text.splice(at..(at + usize::from(replace)).min(text.len()), with);
        }
        (patterns.concat(), text.into_iter().collect())
    })
}

#[test]
fn wildcards_mean_their_regular_expression() {
    check(1_000, 30, pattern_and_text(), |(pattern, text)| {
        let want = expression(&pattern).is_match(&text);
        prop_assert_eq!(Wild::parse(&pattern, false).matches(&text), want);
        prop_assert_eq!(Glob::case_sensitive(&pattern).matches(&text), want);
        let plain = !pattern.contains('$');
        prop_assert!(!plain || Wild::parse(&pattern, true).matches(&text) == want);
        // Only ASCII has case: the sign of Kelvin is no `k`.
        let folded = expression(&pattern.to_ascii_lowercase()).is_match(&text.to_ascii_lowercase());
        prop_assert_eq!(Glob::new(&pattern).matches(&text), folded);
        prop_assert_eq!(Wild::exact(&pattern, false).matches(&text), pattern == text);
        Ok(want)
    });
}

#[test]
fn bound_variables_are_plain_text() {
    const PARTS: [&str; 7] = ["${v}", "${none, 'a*'}", "${*}", "${?}", "a", "*", "?"];
    let parts = proptest::collection::vec(select(PARTS.to_vec()), 0..6);
    check(2_000, 5, (parts, "[a*?]{0,2}", "[ab*?]{0,5}"), |(parts, value, text)| {
        let means = |part: &&str| match *part {
            "${v}" => regex::escape(&value),
            "${none, 'a*'}" => regex::escape("a*"),
            "${*}" => regex::escape("*"),
            "${?}" => regex::escape("?"),
            "*" => ".*".to_owned(),
            "?" => ".".to_owned(),
            letter => letter.to_owned(),
        };
        let whole: String = parts.iter().map(means).collect();
        let want = Regex::new(&format!(r"\A{whole}\z")).unwrap().is_match(&text);
        let lookup = |key: &str| if key == "v" { Variable::Text(value.clone()) } else { Variable::Absent };
        prop_assert_eq!(Wild::parse(&parts.concat(), true).matches_with(&text, lookup), Some(want));
        Ok(want)
    });
}

// Covering.

/// A part of an ARN pattern, and one that matches no more: stars and question marks have been filled in.
fn narrowed(longest: usize) -> impl Strategy<Value = (String, String)> {
    const WIDE: [&str; 8] = ["a", "b", "*", "*", "?", ":", "${v}", "${w, 'a'}"];
    const NARROW: [&str; 6] = ["a", "ab", "*", "?", "${v}", "?*"];
    let piece = (select(WIDE.to_vec()), select(NARROW.to_vec()), any::<bool>());
    proptest::collection::vec(piece, 1..=longest).prop_map(|pieces| {
        let (wide, narrow): (Vec<&str>, Vec<&str>) = pieces
            .into_iter()
            .map(|(wide, narrow, fill)| (wide, if fill && matches!(wide, "*" | "?") { narrow } else { wide }))
            .unzip();
        (wide.concat(), narrow.concat())
    })
}

/// Two patterns, of which the first often covers the second.
fn two_patterns() -> impl Strategy<Value = (String, String)> {
    let account = || select(vec!["", "1", "*", "?", "${v}"]);
    let arns = (account(), account(), any::<bool>(), narrowed(4)).prop_map(|(p, q, same, (wide, narrow))| {
        let second = if same { p } else { q };
        (format!("arn:aws:s3::{p}:{wide}"), format!("arn:aws:s3::{second}:{narrow}"))
    });
    let others = || select(vec!["*", "arn*", "?", "arn:*", "arn:aws:s3:::a*", "arn:aws:s?", "${v}", "*b"]);
    prop_oneof![
        6 => arns,
        1 => (others(), others()).prop_map(|(p, q)| (p.to_owned(), q.to_owned())),
    ]
}

/// Every resource of a small world, and no resource.
fn world() -> &'static [String] {
    static WORLD: OnceLock<Vec<String>> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut names = vec![String::new()];
        let mut last = names.clone();
        for _ in 0..3 {
            last = last.iter().flat_map(|text| ['a', 'b', ':', 'z'].map(|c| format!("{text}{c}"))).collect();
            names.extend(last.iter().cloned());
        }
        let arns = names.iter().flat_map(|name| ["", "1"].map(|account| format!("arn:aws:s3::{account}:{name}")));
        arns.chain(["*", "arn", "arn:aws:s3", "b"].map(str::to_owned)).collect()
    })
}

/// What the variables may stand for; nothing may stand for one that the request has not.
fn bindings() -> Vec<Variable> {
    let texts = ["", "a", "1", "b:", "zz"].map(|text| Variable::Text(text.to_owned()));
    texts.into_iter().chain([Variable::Absent]).collect()
}

fn means(resources: &ResourceMatch, text: &str, v: &Variable) -> bool {
    let parts = jitscan::decide::request::arn_parts(text);
    let value = |key: &str| if key == "v" { v.clone() } else { Variable::Absent };
    let any = |patterns: &[ArnPattern]| {
        patterns.iter().any(|pattern| pattern.matches_with(text, parts.as_ref(), &value).unwrap())
    };
    match resources {
        ResourceMatch::Resource(patterns) => any(patterns),
        ResourceMatch::NotResource(patterns) => !any(patterns),
        ResourceMatch::Implied => true,
    }
}

fn nothing_escapes(p: &ResourceMatch, q: &ResourceMatch) -> Result<(), TestCaseError> {
    for v in bindings() {
        for text in world() {
            let kept = means(p, text, &v) || !means(q, text, &v);
            prop_assert!(kept, "{p} does not mean {text}, {q} does, where v is {v:?}");
        }
    }
    Ok(())
}

#[test]
fn what_covers_a_pattern_matches_all_of_it() {
    check(800, 20, two_patterns(), |(p, q)| {
        let (p, q) = (ArnPattern::parse(&p, true), ArnPattern::parse(&q, true));
        // Nothing that is matched by both can be missed by `overlaps`.
        let (one, other) = (ResourceMatch::Resource(vec![p.clone()]), ResourceMatch::Resource(vec![q.clone()]));
        let v = Variable::Text("a".to_owned());
        let both = world().iter().find(|text| means(&one, text, &v) && means(&other, text, &v));
        prop_assert!(both.is_none() || p.overlaps(&q), "{p} and {q} both mean {both:?}");
        if p.covers(&q) {
            nothing_escapes(&one, &other)?;
        }
        Ok(p.covers(&q) && p != q)
    });
}

#[test]
fn what_covers_resources_means_all_of_them() {
    let lists = proptest::collection::vec((two_patterns(), any::<bool>(), any::<bool>()), 1..=3);
    check(800, 10, (lists, any::<bool>(), any::<bool>()), |(pairs, not_p, not_q)| {
        // The wider patterns on one side, and the narrower on the other; some on one side only.
        let list = |wide: bool| {
            let kept = pairs.iter().filter(|(_, in_p, in_q)| if wide { !in_p || *in_q } else { *in_p || !in_q });
            let texts: Vec<&str> = kept.map(|((p, q), ..)| if wide { p.as_str() } else { q.as_str() }).collect();
            texts.iter().map(|text| ArnPattern::parse(text, true)).collect::<Vec<_>>()
        };
        let resources =
            |not: bool, list| if not { ResourceMatch::NotResource(list) } else { ResourceMatch::Resource(list) };
        let (p, q) = (resources(not_p, list(!not_p)), resources(not_q, list(not_p)));
        if p.covers(&q) {
            nothing_escapes(&p, &q)?;
        }
        let v = Variable::Text("a".to_owned());
        let both = world().iter().find(|text| means(&p, text, &v) && means(&q, text, &v));
        prop_assert!(both.is_none() || p.overlaps(&q), "{p} and {q} both mean {both:?}");
        Ok(p.covers(&q) && p != q)
    });
}

// Expansion.

/// Action patterns of services that are small enough to be decided whole.
const PATTERNS: [&str; 14] = [
    "sqs:*",
    "sqs:*Message",
    "SQS:send*",
    "sqs:?etQueue*",
    "sts:*",
    "sts:Assume*",
    "sts:*Role*",
    "sts:GetSession?oken",
    "s?s:*Tag*",
    "*:Get*Attributes",
    "kms:*Key",
    "kms:*",
    "sqs:SendMessage",
    "nosuch:*",
];

fn expanded(clause: &Clause) -> Clause {
    static NAMES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let names = Catalog::get().actions().map(|action| action.full_name());
        names.map(|name| (name.to_ascii_lowercase(), name)).collect()
    });
    let mut list: Vec<String> = Vec::new();
    for pattern in &clause.actions.list {
        let wanted = expression(&pattern.to_ascii_lowercase());
        list.extend(names.iter().filter(|(lower, _)| wanted.is_match(lower)).map(|(_, name)| name.clone()));
    }
    // No catalogue has it; a list must not be empty.
    list.push("nosuch:Action".to_owned());
    Clause { actions: Listed { list, ..clause.actions.clone() }, ..clause.clone() }
}

fn expandable() -> impl Strategy<Value = Clause> {
    let limits = Limits { vague_principals: false, many_unknown: false };
    let actions = (prop::bool::weighted(0.2), proptest::sample::subsequence(PATTERNS.to_vec(), 1..=3));
    let resources = proptest::sample::subsequence(vec!["*", "arn:aws:sqs:*:*:*", "arn:aws:iam::*:role/*"], 1..=2);
    (family(), actions, resources).prop_flat_map(move |(family, actions, resources)| {
        clause(family, None, 1, limits).prop_map(move |clause| {
            let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let actions = Listed { all_but: actions.0, list: list(&actions.1) };
            let resources = Listed { list: list(&resources), ..clause.resources };
            Clause { actions, resources, ..clause }
        })
    })
}

/// Requests for every action of the services.
fn requests(prefixes: &[&str], resource: &str) -> Vec<Request> {
    let names = Catalog::get().actions().filter(|action| prefixes.contains(&action.prefix()));
    let line = |name: &str| {
        let request = serde_json::json!({"principal": USER, "action": name, "resource": resource});
        serde_json::json!({"request": request}).to_string()
    };
    names.map(|action| Case::parse(&line(&action.full_name()), compiler()).unwrap().request).collect()
}

#[test]
fn expanding_then_deciding_is_deciding() {
    let queue = requests(&["sqs", "sts"], "arn:aws:sqs:r:111111111111:q");
    let nothing = requests(&["sqs", "sts"], "*");
    let clauses = proptest::collection::vec(expandable(), 1..=2);
    check(200, 50, (clauses, any::<bool>()), |(clauses, star)| {
        let document = Document { variables: true, clauses };
        let flat = Document { clauses: document.clauses.iter().map(expanded).collect(), ..document.clone() };
        let about = |document: &Document| {
            let line = serde_json::json!({
                "request": {"principal": USER, "action": "sqs:SendMessage", "resource": "*"},
                "identity_policies": [document.json(Form::Identity)],
            });
            Case::parse(&line.to_string(), compiler()).unwrap().policies
        };
        let (policies, expanded) = (about(&document), about(&flat));
        let mut seen = BTreeSet::new();
        for request in if star { &nothing } else { &queue } {
            let answer = policies.decide(request);
            prop_assert_eq!(
                answer,
                expanded.decide(request),
                "{} {}",
                request.action.text,
                document.json(Form::Identity)
            );
            seen.insert(answer);
        }
        Ok(seen.len() > 1)
    });
}

/// The largest patterns, for every action that there is.
#[test]
fn the_largest_patterns_expand_to_what_they_name() {
    let catalog = Catalog::get();
    let compiler = Compiler::new(catalog);
    let actions: Vec<ActionName> = catalog.actions().map(|one| ActionName::new(&one.full_name(), catalog)).collect();
    for (element, pattern) in [("Action", "*"), ("NotAction", "?am:*"), ("Action", "*:*List*")] {
        let names = |text: &serde_json::Value| {
            let document = serde_json::json!({"Statement": {"Effect": "Allow", element: text, "Resource": "*"}});
            let compiled = compiler.document(&document.to_string(), DocumentKind::Identity).unwrap();
            actions.iter().map(|action| compiled[0].names(action)).collect::<Vec<bool>>()
        };
        let wanted = expression(&pattern.to_ascii_lowercase());
        let named = |action: &&ActionName| wanted.is_match(&action.text.to_ascii_lowercase());
        let mut list: Vec<&str> = actions.iter().filter(named).map(|action| action.text.as_str()).collect();
        list.push("nosuch:Action");
        assert!(names(&serde_json::json!(pattern)) == names(&serde_json::json!(list)), "{element} {pattern}");
    }
}
