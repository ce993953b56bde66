//! Wildcards, policy variables and ARN patterns, matched by plain recursion.

use std::collections::BTreeMap;

/// The request context of one possible world: lower-cased key to its values (never empty).
pub type Context = BTreeMap<String, Vec<String>>;

/// One piece of a pattern after its variables were put in.
#[derive(Clone, Copy, PartialEq)]
pub enum Token {
    /// Exactly this character.
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// A piece of policy text before variables are put in.
#[derive(Clone, PartialEq)]
pub enum Piece {
    /// A character as written (may be a wildcard where wildcards count).
    Text(char),
    /// `${*}`, `${?}` or `${$}`: the character itself.
    Literal(char),
    /// `${key}` or `${key, 'default'}`; the key is lower-cased.
    Variable(String, Option<String>),
}

/// Splits policy text into pieces; without `variables` (Version 2008-10-17) every character is plain text.
pub fn pieces(text: &str, variables: bool) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if variables
            && rest.starts_with("${")
            && let Some(end) = rest.find('}')
        {
            out.push(variable(&rest[2..end]));
            rest = &rest[end + 1..];
            continue;
        }
        out.push(Piece::Text(first));
        rest = &rest[first.len_utf8()..];
    }
    out
}

fn variable(inside: &str) -> Piece {
    match inside {
        "*" => return Piece::Literal('*'),
        "?" => return Piece::Literal('?'),
        "$" => return Piece::Literal('$'),
        _ => {}
    }
    match inside.split_once(',') {
        Some((key, default)) => {
            let default = default.trim().trim_start_matches('\'').trim_end_matches('\'');
            Piece::Variable(key.trim().to_lowercase(), Some(default.to_string()))
        }
        None => Piece::Variable(inside.trim().to_lowercase(), None),
    }
}

/// Puts the variables in. `None`: a key is absent without a default or has several values, so nothing matches.
pub fn fill(pieces: &[Piece], wildcards: bool, context: &Context) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text('*') if wildcards => out.push(Token::Any),
            Piece::Text('?') if wildcards => out.push(Token::One),
            Piece::Text(c) | Piece::Literal(c) => out.push(Token::Char(*c)),
            Piece::Variable(key, default) => match (context.get(key).map(Vec::as_slice), default) {
                (Some([value]), _) => out.extend(value.chars().map(Token::Char)),
                (Some(_), _) => return None,
                (None, Some(default)) => out.extend(default.chars().map(Token::Char)),
                (None, None) => return None,
            },
        }
    }
    Some(out)
}

/// Does the pattern match the whole text?
pub fn matches(pattern: &[Token], text: &[char]) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some(Token::Char(c)) => text.first() == Some(c) && matches(&pattern[1..], &text[1..]),
        Some(Token::One) => !text.is_empty() && matches(&pattern[1..], &text[1..]),
        Some(Token::Any) if pattern.len() == 1 => true,
        Some(Token::Any) => (0..=text.len()).any(|skip| matches(&pattern[1..], &text[skip..])),
    }
}

/// Matches policy text (variables, and wildcards if they count) against a text.
pub fn text_matches(policy: &str, text: &str, wildcards: bool, variables: bool, context: &Context) -> bool {
    match fill(&pieces(policy, variables), wildcards, context) {
        Some(tokens) => matches(&tokens, &text.chars().collect::<Vec<_>>()),
        None => false,
    }
}

/// Splits pieces at the first five colons that stand in the policy text itself.
pub fn arn_parts(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let mut parts = vec![Vec::new()];
    for piece in pieces {
        if *piece == Piece::Text(':') && parts.len() < 6 {
            parts.push(Vec::new());
        } else {
            parts.last_mut().unwrap().push(piece.clone());
        }
    }
    parts
}

/// Matches an ARN pattern: `*` alone matches everything, otherwise six parts one by one.
pub fn arn_matches(policy: &str, text: &str, variables: bool, context: &Context) -> bool {
    if policy == "*" {
        return true;
    }
    let texts: Vec<&str> = text.splitn(6, ':').collect();
    let parts = arn_parts(&pieces(policy, variables));
    if texts.len() != 6 || texts[0] != "arn" || parts.len() != 6 {
        return false;
    }
    // Every part has to be filled, since one unresolved variable makes the whole pattern match nothing.
    parts.iter().zip(texts).all(|(part, text)| match fill(part, true, context) {
        Some(tokens) => matches(&tokens, &text.chars().collect::<Vec<_>>()),
        None => false,
    })
}

/// Matches an action pattern, ignoring case.
pub fn action_matches(policy: &str, action: &str) -> bool {
    text_matches(&policy.to_lowercase(), &action.to_lowercase(), true, false, &Context::new())
}
