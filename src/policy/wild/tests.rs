use proptest::prelude::*;

use super::*;

/// Matching by its definition, with all ways tried.
fn oracle(pattern: &[char], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some('*'), _) => oracle(&pattern[1..], text) || (!text.is_empty() && oracle(pattern, &text[1..])),
        (Some('?'), Some(_)) => oracle(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) if p == t => oracle(&pattern[1..], &text[1..]),
        _ => false,
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Every text over three letters, one of which no pattern of the tests holds, up to a length.
fn texts(longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last.iter().flat_map(|text| ['a', 'b', 'z'].map(|c| format!("{text}{c}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

proptest! {
    #[test]
    fn matches_agrees(pattern in "[ab*?]{0,8}", text in "[abz]{0,8}") {
        prop_assert_eq!(Wild::parse(&pattern, true).matches(&text), oracle(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn may_begin_agrees(pattern in "[ab*?]{0,6}", with in "[ab]{0,5}") {
        let wild = Wild::parse(&pattern, true);
        prop_assert_eq!(wild.may_begin(&with), wild.overlaps(&Wild::parse(&format!("{with}*"), false)));
    }

    #[test]
    fn covers_and_overlaps_agree(p in "[ab*?]{0,4}", q in "[ab*?]{0,4}") {
        let (wild_p, wild_q) = (Wild::parse(&p, true), Wild::parse(&q, true));
        let (p, q) = (chars(&p), chars(&q));
        // Two patterns that differ, differ on a text no longer than both together: `*a??` and `aaaa*` agree up to
        // six letters and part at seven, `aaaazzz`.
        let both: Vec<(bool, bool)> =
            texts(8).iter().map(|text| chars(text)).map(|text| (oracle(&p, &text), oracle(&q, &text))).collect();
        prop_assert_eq!(wild_p.covers(&wild_q), both.iter().all(|(in_p, in_q)| *in_p || !in_q));
        prop_assert_eq!(wild_p.overlaps(&wild_q), both.iter().any(|(in_p, in_q)| *in_p && *in_q));
        prop_assert_eq!(wild_p.overlaps(&wild_q), wild_q.overlaps(&wild_p));
    }

    #[test]
    fn display_parses_back(text in "[ab*?$]{0,6}(\\$\\{(\\*|\\?|\\$|aws:username)\\})?[a*]{0,2}") {
        let wild = Wild::parse(&text, true);
        prop_assert_eq!(&Wild::parse(&wild.to_string(), true), &wild);
    }
}

#[test]
fn variables_are_decided_only_where_they_can_be() {
    let wild = |text| Wild::parse(text, true);
    let home = wild("home/${aws:username}/*");
    assert!(home.overlaps(&wild("home/ann/x")) && !home.overlaps(&wild("work/*")));
    assert!(wild("home/*").covers(&home) && home.covers(&home));
    assert!(!home.covers(&wild("home/ann/*")), "the user may be another");
    assert!(home.covers(&wild("home/${aws:username}/x")));
    assert!(!wild("home/?*").covers(&wild("home/${aws:username}")), "the variable may be empty");
    assert!(wild("h?me/*").covers(&home));
    let escaped = wild("a${*}b");
    assert!(escaped.matches("a*b") && !escaped.matches("axb") && escaped.is_literal());
    let old = Wild::parse("${aws:username}", false);
    assert!(old.matches("${aws:username}") && !old.matches("ann"));
    assert!(wild("${unclosed").is_literal());
}

#[test]
fn long_patterns_end() {
    let hard = Wild::parse(&format!("{}b", "*a".repeat(60)), true);
    assert!(!hard.matches(&"a".repeat(2_000)));
    let question = Wild::parse(&format!("*a{}", "?".repeat(40)), true);
    assert!(!question.covers(&Wild::parse("*a*b*", true)));
}
