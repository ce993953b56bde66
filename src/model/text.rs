//! Text that is kept many times: short ones where they stand, long ones once.

/// A text of which a copy costs nothing: names, ARNs and ids stand in millions of sessions.
pub type Text = smol_str::SmolStr;
