//! Wildcard texts as policies write them: `*`, `?`, and policy variables such as `${aws:username}`.
//!
//! A variable stands for a text that only a request knows. Comparisons of patterns are three-valued where it
//! matters: [`Wild::covers`] is true only if it holds for every value of every variable, [`Wild::overlaps`] is
//! true if it may hold for some.
//! Source: IAM User Guide, "IAM policy elements: Variables and tags".

use std::fmt;

/// Places that [`Wild::covers`] looks at before it answers no, which is safe: some milliseconds.
const MAX_WORK: usize = 400_000;
/// The same for [`Wild::witnesses`], which is asked far more seldom: some tenths of a second.
const MAX_WITNESS_WORK: usize = 6_000_000;

/// One element of a wildcard text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Token {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Any,
    /// `${key}` or `${key, 'default'}`, as written between the braces.
    Variable(Box<str>),
}

/// A parsed wildcard text. Case matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wild {
    tokens: Box<[Token]>,
}

/// What a policy variable stands for in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// This text.
    Text(String),
    /// The request has no such key.
    Absent,
    /// The request has several values for it: only keys with a single value can be variables.
    Several,
    /// Not known.
    Unknown,
}

/// A pattern with its variables replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The pattern; variables that are still in it have values that are not known.
    Pattern(Wild),
    /// A variable without a value: it matches nothing.
    Nothing,
}

/// The `${…}` with which a text begins, and what comes after it.
fn escape(text: &str, variables: bool) -> Option<(Token, &str)> {
    if !variables {
        return None;
    }
    let (inside, after) = text.strip_prefix("${")?.split_once('}')?;
    let token = match inside {
        "*" => Token::Literal('*'),
        "?" => Token::Literal('?'),
        "$" => Token::Literal('$'),
        _ => Token::Variable(inside.into()),
    };
    Some((token, after))
}

/// The key and the default of `key` or `key, 'default'`.
fn variable(inside: &str) -> (&str, Option<&str>) {
    match inside.split_once(',') {
        None => (inside.trim(), None),
        Some((key, default)) => {
            let default = default.trim();
            let bare = default.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(default);
            (key.trim(), Some(bare))
        }
    }
}

impl Wild {
    /// A text in which `*` and `?` stand for themselves, as operators such as `StringEquals` take it; `variables` as
    /// for [`Wild::parse`].
    #[must_use]
    pub fn exact(text: &str, variables: bool) -> Self {
        let mut tokens: Vec<Token> = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match escape(rest, variables) {
                Some((token, after)) => {
                    tokens.push(token);
                    rest = after;
                }
                None => {
                    tokens.push(Token::Literal(c));
                    rest = rest.get(c.len_utf8()..).unwrap_or("");
                }
            }
        }
        Self { tokens: tokens.into() }
    }

    /// Parses a text. With `variables` (policy version 2012-10-17) `${…}` is a variable, and `${*}`, `${?}`, `${$}`
    /// stand for the characters themselves; without, it is literal text.
    #[must_use]
    pub fn parse(text: &str, variables: bool) -> Self {
        let mut tokens: Vec<Token> = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((token, after)) = escape(rest, variables) {
                tokens.push(token);
                rest = after;
                continue;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            match c {
                '*' => {
                    if tokens.last() != Some(&Token::Any) {
                        tokens.push(Token::Any);
                    }
                }
                '?' => {
                    // `*?` and `?*` mean the same; one order makes equal patterns equal.
                    if tokens.last() == Some(&Token::Any) {
                        tokens.insert(tokens.len() - 1, Token::One);
                    } else {
                        tokens.push(Token::One);
                    }
                }
                c => tokens.push(Token::Literal(c)),
            }
        }
        Self { tokens: tokens.into() }
    }

    /// `*`
    #[must_use]
    pub fn any() -> Self {
        Self { tokens: Box::new([Token::Any]) }
    }

    /// Whether it matches every text.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(*self.tokens, [Token::Any])
    }

    /// Whether it is a plain text: no wildcard, no variable.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Literal(_)))
    }

    /// Whether it holds a policy variable.
    #[must_use]
    pub fn has_variables(&self) -> bool {
        self.tokens.iter().any(|token| matches!(token, Token::Variable(_)))
    }

    /// Whether the text matches. A variable, whose value is not known here, may be any text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        // Greedy with one way back: the last star is the only one that ever needs to be extended.
        let mut rest = text.chars();
        let mut token = 0usize;
        let mut back: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let fits = match self.tokens.get(token) {
                Some(Token::Any | Token::Variable(_)) => {
                    token += 1;
                    if token == self.tokens.len() {
                        return true;
                    }
                    back = Some((token, rest.clone()));
                    continue;
                }
                None if rest.as_str().is_empty() => return true,
                None => false,
                Some(want) => {
                    let mut ahead = rest.clone();
                    match (want, ahead.next()) {
                        // Nothing left to match, and no star would give more.
                        (_, None) => return false,
                        (Token::Literal(c), Some(found)) if *c != found => false,
                        _ => {
                            rest = ahead;
                            true
                        }
                    }
                }
            };
            if fits {
                token += 1;
                continue;
            }
            let Some((after, from)) = back.as_mut() else { return false };
            if from.next().is_none() {
                return false;
            }
            token = *after;
            rest = from.clone();
        }
    }

    /// Whether the text is matched once variables have their values: none where that depends on a variable whose
    /// value is not known. A variable that has no value makes the pattern match nothing.
    pub fn matches_with(&self, text: &str, value: impl Fn(&str) -> Variable) -> Option<bool> {
        if !self.has_variables() {
            return Some(self.matches(text));
        }
        match self.bind(value) {
            Bound::Pattern(bound) if bound.has_variables() => {
                if bound.matches(text) {
                    None
                } else {
                    Some(false)
                }
            }
            Bound::Pattern(bound) => Some(bound.matches(text)),
            Bound::Nothing => Some(false),
        }
    }

    /// Puts values in the place of variables: a value is literal text, whatever characters it holds. Variables whose
    /// value is not known stay.
    pub fn bind(&self, value: impl Fn(&str) -> Variable) -> Bound {
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &*self.tokens {
            let Token::Variable(inside) = token else {
                tokens.push(token.clone());
                continue;
            };
            let (key, default) = variable(inside);
            match (value(key), default) {
                (Variable::Text(text), _) => tokens.extend(text.chars().map(Token::Literal)),
                (Variable::Absent, Some(default)) => tokens.extend(default.chars().map(Token::Literal)),
                (Variable::Absent, None) | (Variable::Several, _) => return Bound::Nothing,
                (Variable::Unknown, _) => tokens.push(token.clone()),
            }
        }
        Bound::Pattern(Self { tokens: tokens.into() })
    }

    /// Whether some text that begins so may match, variables and all.
    #[must_use]
    pub fn may_begin(&self, with: &str) -> bool {
        let mut tokens = self.tokens.iter();
        for c in with.chars() {
            match tokens.next() {
                // It takes the rest, and the text may go on as the pattern does.
                Some(Token::Any | Token::Variable(_)) => return true,
                Some(Token::One) => {}
                Some(Token::Literal(own)) if *own == c => {}
                Some(Token::Literal(_)) | None => return false,
            }
        }
        true
    }

    /// The keys of its variables, as written, each with its default.
    pub fn variables(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.tokens
            .iter()
            .filter_map(|token| if let Token::Variable(inside) = token { Some(variable(inside)) } else { None })
    }

    /// The plain text that it is, where it is one.
    #[must_use]
    pub fn literal_text(&self) -> Option<String> {
        self.tokens.iter().map(|token| if let Token::Literal(c) = token { Some(*c) } else { None }).collect()
    }

    /// Whether every text that `other` may match is surely matched by this one, whatever the variables hold. The
    /// same variable on both sides has the same value. May say no where only a very long search would say yes.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.is_any() || self.tokens == other.tokens {
            return true;
        }
        self.absorbs(other) || (self.tokens.contains(&Token::One) && self.includes(other))
    }

    /// Matches the other's tokens as if they were text, where only a star takes a star or a variable. Sound; and
    /// complete where this pattern has no `?`, since a star of the other may be one character that occurs nowhere.
    fn absorbs(&self, other: &Self) -> bool {
        let (mut at, mut token) = (0usize, 0usize);
        let mut back: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.tokens.get(token), other.tokens.get(at)) {
                (Some(Token::Any), _) => {
                    back = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                (Some(Token::One), Some(theirs)) => matches!(theirs, Token::Literal(_) | Token::One),
                (Some(mine), Some(theirs)) => mine == theirs,
                (None, None) => return true,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if fits {
                at += 1;
                token += 1;
            } else {
                match back {
                    Some((after, from)) if from < other.tokens.len() => {
                        back = Some((after, from + 1));
                        (token, at) = (after, from + 1);
                    }
                    _ => return false,
                }
            }
        }
    }

    /// Language inclusion by walking the other pattern and keeping the set of positions where this one may stand.
    fn includes(&self, other: &Self) -> bool {
        let mut letters: Vec<Option<char>> = self
            .tokens
            .iter()
            .chain(other.tokens.iter())
            .filter_map(|token| if let Token::Literal(c) = token { Some(Some(*c)) } else { None })
            .collect();
        letters.sort_unstable();
        letters.dedup();
        // None: a character that occurs in neither pattern.
        letters.push(None);
        let mut todo = vec![(0usize, self.closure(std::iter::once(0)))];
        let mut seen = std::collections::BTreeSet::new();
        let mut work = 0usize;
        while let Some((at, places)) = todo.pop() {
            if !seen.insert((at, places.clone())) {
                continue;
            }
            // Every letter may have to be tried from every place.
            work += (places.len() + 1) * (letters.len() + 1);
            if work > MAX_WORK {
                return false;
            }
            match other.tokens.get(at) {
                None => {
                    if !places.contains(&self.tokens.len()) {
                        return false;
                    }
                }
                Some(Token::Literal(c)) => todo.push((at + 1, self.step(&places, Some(*c)))),
                Some(Token::One) => todo.extend(letters.iter().map(|c| (at + 1, self.step(&places, *c)))),
                Some(Token::Any) => {
                    todo.push((at + 1, places.clone()));
                    todo.extend(letters.iter().map(|c| (at, self.step(&places, *c))));
                }
                Some(Token::Variable(key)) => {
                    // Taken whole by a star or by the same variable; anything else cannot be relied on.
                    let next = places.iter().filter_map(|place| match self.tokens.get(*place) {
                        Some(Token::Any) => Some(*place),
                        Some(Token::Variable(mine)) if mine == key => Some(place + 1),
                        _ => None,
                    });
                    todo.push((at + 1, self.closure(next)));
                }
            }
        }
        true
    }

    /// Texts that show every way in which some text can match some of the patterns and not the others: one for each
    /// set of patterns that a text can match exactly. Each pattern comes with whether case is ignored. None where
    /// finding them all would take too long. The patterns must not have variables.
    #[must_use]
    pub fn witnesses(patterns: &[(Self, bool)]) -> Option<Vec<String>> {
        let mut letters: Vec<char> = Vec::new();
        for (pattern, fold) in patterns {
            for token in &*pattern.tokens {
                let Token::Literal(c) = token else { continue };
                letters.push(*c);
                if *fold {
                    letters.extend(c.to_lowercase().chain(c.to_uppercase()));
                }
            }
        }
        letters.sort_unstable();
        letters.dedup();
        // A character that occurs in no pattern.
        letters.extend(('x'..='z').chain('0'..='9').chain('\u{e000}'..).find(|c| !letters.contains(c)));
        let start: Vec<Vec<usize>> = patterns.iter().map(|(pattern, _)| pattern.closure(std::iter::once(0))).collect();
        let mut seen = std::collections::BTreeSet::from([start.clone()]);
        let mut found = std::collections::BTreeMap::new();
        let mut todo = std::collections::VecDeque::from([(start, String::new())]);
        let mut work = 0usize;
        while let Some((places, text)) = todo.pop_front() {
            work += (places.iter().map(Vec::len).sum::<usize>() + patterns.len() + text.len()) * letters.len();
            if work > MAX_WITNESS_WORK {
                return None;
            }
            let ends: Vec<bool> =
                places.iter().zip(patterns).map(|(at, (pattern, _))| at.contains(&pattern.tokens.len())).collect();
            found.entry(ends).or_insert_with(|| text.clone());
            for c in &letters {
                let next: Vec<Vec<usize>> =
                    places.iter().zip(patterns).map(|(at, (pattern, fold))| pattern.step_as(at, *c, *fold)).collect();
                if seen.contains(&next) {
                    continue;
                }
                seen.insert(next.clone());
                let mut longer = text.clone();
                longer.push(*c);
                todo.push_back((next, longer));
            }
        }
        Some(found.into_values().collect())
    }

    fn step_as(&self, places: &[usize], c: char, fold: bool) -> Vec<usize> {
        let same = |mine: char| mine == c || (fold && mine.to_lowercase().eq(c.to_lowercase()));
        self.closure(places.iter().filter_map(|place| match self.tokens.get(*place) {
            Some(Token::Any) => Some(*place),
            Some(Token::One) => Some(place + 1),
            Some(Token::Literal(mine)) if same(*mine) => Some(place + 1),
            _ => None,
        }))
    }

    fn step(&self, places: &[usize], c: Option<char>) -> Vec<usize> {
        self.closure(places.iter().filter_map(|place| match self.tokens.get(*place) {
            Some(Token::Any) => Some(*place),
            Some(Token::One) => Some(place + 1),
            Some(Token::Literal(mine)) if Some(*mine) == c => Some(place + 1),
            _ => None,
        }))
    }

    /// The places and all that stars let one reach from them without a character; sorted.
    fn closure(&self, places: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut out = std::collections::BTreeSet::new();
        for mut place in places {
            out.insert(place);
            while matches!(self.tokens.get(place), Some(Token::Any)) {
                place += 1;
                out.insert(place);
            }
        }
        out.into_iter().collect()
    }

    /// Whether some text may be matched by both. A variable may hold any text.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.is_any() || other.is_any() {
            return true;
        }
        // Most pairs part at their first difference of plain characters.
        for pair in self.tokens.iter().zip(&other.tokens) {
            match pair {
                (Token::Literal(a), Token::Literal(b)) if a == b => {}
                (Token::Literal(_), Token::Literal(_)) => return false,
                _ => break,
            }
        }
        // Row by row over this pattern: which positions of the other can have been reached together.
        let is_star = |token: &Token| matches!(token, Token::Any | Token::Variable(_));
        let width = other.tokens.len() + 1;
        let spread = |row: &mut Vec<bool>| {
            for (at, token) in other.tokens.iter().enumerate() {
                if is_star(token)
                    && row.get(at) == Some(&true)
                    && let Some(next) = row.get_mut(at + 1)
                {
                    *next = true;
                }
            }
        };
        let mut row = vec![false; width];
        if let Some(first) = row.first_mut() {
            *first = true;
        }
        spread(&mut row);
        for mine in &*self.tokens {
            let mut next = vec![false; width];
            if is_star(mine) {
                // The star takes nothing, or any run of the other's tokens.
                let from = row.iter().position(|reached| *reached).unwrap_or(width);
                next.iter_mut().skip(from).for_each(|reached| *reached = true);
            } else {
                for (at, token) in other.tokens.iter().enumerate() {
                    if row.get(at) != Some(&true) {
                        continue;
                    }
                    let to = match (mine, token) {
                        (_, Token::Any | Token::Variable(_)) => at,
                        (Token::One, _) | (_, Token::One) => at + 1,
                        (mine, theirs) if mine == theirs => at + 1,
                        _ => continue,
                    };
                    if let Some(reached) = next.get_mut(to) {
                        *reached = true;
                    }
                }
                spread(&mut next);
            }
            row = next;
        }
        row.last() == Some(&true)
    }
}

impl fmt::Display for Wild {
    /// In the language of version 2012-10-17, whatever it was written in: parsed again with variables it is the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                // A literal star can only have come from `${*}`, or from a value.
                Token::Literal(c @ ('*' | '?')) => write!(f, "${{{c}}}")?,
                // Followed by a brace it would begin a variable.
                Token::Literal('$') if self.tokens.get(at + 1) == Some(&Token::Literal('{')) => f.write_str("${$}")?,
                Token::Literal(c) => write!(f, "{c}")?,
                Token::One => f.write_str("?")?,
                Token::Any => f.write_str("*")?,
                Token::Variable(key) => write!(f, "${{{key}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Wild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests;
