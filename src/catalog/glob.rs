//! Wildcard patterns over ASCII-case-insensitive names: `*` stands for any run of characters, `?` for exactly one.
//!
//! Parsed once, matched many times, by a loop with two positions and one remembered star: time is at most
//! (pattern length × text length), never exponential. No regular expressions.
//! Source: IAM JSON policy elements: Action, AWS IAM User Guide.

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    /// This character (lower case where the pattern ignores case).
    Literal(char),
    /// Exactly one character.
    One,
    /// Any run of characters, also none.
    Any,
}

/// A parsed pattern. Equal patterns compare equal however many stars were written in a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob {
    parts: Vec<Part>,
    /// Bytes of lower-case text with which every match starts.
    literal_prefix: String,
    ignore_case: bool,
}

impl Glob {
    /// A pattern that ignores ASCII case, as action names and service prefixes do.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self::parse(pattern, true)
    }

    /// A pattern that respects case, as ARNs and most values do.
    #[must_use]
    pub fn case_sensitive(pattern: &str) -> Self {
        Self::parse(pattern, false)
    }

    fn parse(pattern: &str, ignore_case: bool) -> Self {
        let mut parts = Vec::with_capacity(pattern.len());
        for c in pattern.chars() {
            match c {
                '*' => {
                    if parts.last() != Some(&Part::Any) {
                        parts.push(Part::Any);
                    }
                }
                '?' => parts.push(Part::One),
                c if ignore_case => parts.push(Part::Literal(c.to_ascii_lowercase())),
                c => parts.push(Part::Literal(c)),
            }
        }
        let literal_prefix = parts
            .iter()
            .map_while(|part| match part {
                Part::Literal(c) => Some(*c),
                Part::One | Part::Any => None,
            })
            .collect();
        Self { parts, literal_prefix, ignore_case }
    }

    /// The text (lower case where the pattern ignores case) with which every match starts.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        &self.literal_prefix
    }

    /// Whether the pattern has no wildcard, so that it matches exactly one text.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Whether the pattern is `*` (or several stars) and matches everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Any])
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0usize;
        // Where to go on after the last star: the part behind it, and the text from which it is tried next.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            match self.parts.get(at) {
                Some(Part::Any) => {
                    at += 1;
                    if at == self.parts.len() {
                        return true;
                    }
                    retry = Some((at, rest.clone()));
                    continue;
                }
                Some(part) => {
                    let mut ahead = rest.clone();
                    let fits = match (part, ahead.next()) {
                        (_, None) => return false,
                        (Part::Literal(want), Some(c)) => {
                            *want == if self.ignore_case { c.to_ascii_lowercase() } else { c }
                        }
                        (Part::One | Part::Any, Some(_)) => true,
                    };
                    if fits {
                        rest = ahead;
                        at += 1;
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            // No fit here: the last star swallows one character more.
            let Some((behind, from)) = retry.as_mut() else { return false };
            if from.next().is_none() {
                return false;
            }
            at = *behind;
            rest = from.clone();
        }
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        self.parts.iter().try_for_each(|part| {
            f.write_char(match part {
                Part::Literal(c) => *c,
                Part::One => '?',
                Part::Any => '*',
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of matching, written as a table over all pairs of positions: slow, and shares no code or
    /// idea with the loop above.
    fn oracle(pattern: &str, text: &str) -> bool {
        let p: Vec<char> = pattern.to_ascii_lowercase().chars().collect();
        let t: Vec<char> = text.to_ascii_lowercase().chars().collect();
        let mut table = vec![vec![false; t.len() + 1]; p.len() + 1];
        table[0][0] = true;
        for i in 1..=p.len() {
            for j in 0..=t.len() {
                table[i][j] = match p[i - 1] {
                    '*' => table[i - 1][j] || (j > 0 && table[i][j - 1]),
                    '?' => j > 0 && table[i - 1][j - 1],
                    c => j > 0 && t[j - 1] == c && table[i - 1][j - 1],
                };
            }
        }
        table[p.len()][t.len()]
    }

    #[test]
    fn matches_by_example() {
        for (pattern, text, want) in [
            ("Get*", "getobject", true),
            ("Describe?ags", "DescribeTags", true),
            ("Describe?ags", "DescribeFlags", false),
            ("*", "", true),
            ("?", "", false),
            ("", "", true),
            ("", "x", false),
            ("a*b*c", "aXXbXXc", true),
            ("a*b*c", "aXXbXX", false),
            ("*foo*bar", "foofoobar", true),
            ("**", "anything", true),
            ("a.b", "axb", false),
            ("List[AB]", "ListA", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), want, "{pattern} on {text}");
        }
        assert!(!Glob::case_sensitive("Get*").matches("getobject"));
        assert!(Glob::case_sensitive("Get*").matches("GetObject"));
    }

    #[test]
    fn long_hostile_patterns_stay_fast() {
        let pattern = Glob::new(&format!("{}b", "a*".repeat(200)));
        assert!(!pattern.matches(&"a".repeat(5_000)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(pattern in "[abAB*?é]{0,10}", text in "[abABé]{0,14}") {
            prop_assert_eq!(Glob::new(&pattern).matches(&text), oracle(&pattern, &text));
        }

        #[test]
        fn literal_prefix_is_necessary(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let glob = Glob::new(&pattern);
            if glob.matches(&text) {
                prop_assert!(text.starts_with(glob.literal_prefix()));
            }
        }
    }
}
