//! Where and why a text is not JSON.

use super::MAX_DEPTH;

/// Why a text does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxKind {
    /// The text ends inside the value.
    End,
    /// Not JSON.
    Bad,
    /// Nested deeper than [`MAX_DEPTH`].
    Deep,
    /// Longer than the limit given.
    Long,
}

/// A place at which a text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub at: usize,
    pub kind: SyntaxKind,
}

impl Syntax {
    pub(crate) fn reason(self) -> String {
        match self.kind {
            SyntaxKind::End => "truncated: the text ends inside the record".to_owned(),
            SyntaxKind::Bad => format!("not JSON: unexpected text at byte {} of the record", self.at),
            SyntaxKind::Deep => format!("nested deeper than {MAX_DEPTH} levels"),
            SyntaxKind::Long => "longer than the limit for one record".to_owned(),
        }
    }
}
