//! Wildcard matching by its definition: a table over all pairs of positions.

/// What a pattern is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This character.
    Literal(char),
    /// `?`
    One,
    /// `*`, or a variable, which may be any text.
    Any,
}

/// Pieces of a pattern without variables.
#[must_use]
pub fn plain(pattern: &str) -> Vec<Piece> {
    let piece = |c| match c {
        '*' => Piece::Any,
        '?' => Piece::One,
        c => Piece::Literal(c),
    };
    pattern.chars().map(piece).collect()
}

/// Pieces of a pattern in which `${…}` is a variable and `${*}`, `${?}`, `${$}` are the characters themselves.
#[must_use]
pub fn with_variables(pattern: &str) -> Vec<Piece> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at..].starts_with(&['$', '{'])
            && let Some(length) = chars[at + 2..].iter().position(|c| *c == '}')
        {
            let inside = &chars[at + 2..at + 2 + length];
            out.push(match inside {
                [c @ ('*' | '?' | '$')] => Piece::Literal(*c),
                _ => Piece::Any,
            });
            at += length + 3;
            continue;
        }
        out.push(match chars[at] {
            '*' => Piece::Any,
            '?' => Piece::One,
            c => Piece::Literal(c),
        });
        at += 1;
    }
    out
}

/// Whether the whole text matches.
#[must_use]
pub fn matches(pattern: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for piece in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match piece {
                Piece::Any => row[at] || (at > 0 && next[at - 1]),
                Piece::One => at > 0 && row[at - 1],
                Piece::Literal(c) => at > 0 && text[at - 1] == *c && row[at - 1],
            };
        }
        row = next;
    }
    row[text.len()]
}

/// Whether some text is matched by both.
#[must_use]
pub fn overlap(p: &[Piece], q: &[Piece]) -> bool {
    // From every reachable pair of positions, one character further in both.
    let width = q.len() + 1;
    let mut seen = vec![false; (p.len() + 1) * width];
    let mut todo = vec![(0, 0)];
    while let Some((i, j)) = todo.pop() {
        if std::mem::replace(&mut seen[i * width + j], true) {
            continue;
        }
        if i == p.len() && j == q.len() {
            return true;
        }
        let (mine, theirs) = (p.get(i), q.get(j));
        if mine == Some(&Piece::Any) {
            todo.push((i + 1, j));
        }
        if theirs == Some(&Piece::Any) {
            todo.push((i, j + 1));
        }
        let (Some(mine), Some(theirs)) = (mine, theirs) else { continue };
        let agree = match (mine, theirs) {
            (Piece::Literal(a), Piece::Literal(b)) => a == b,
            _ => true,
        };
        if agree {
            let after = |piece: &Piece, at: usize| if *piece == Piece::Any { at } else { at + 1 };
            todo.push((after(mine, i), after(theirs, j)));
        }
    }
    false
}
