//! Escaping for where text goes: a terminal, a CSV reader, a Markdown page.

use std::borrow::Cow;

/// Whether a character can steer a terminal or reorder what a person reads: C0 and C1 controls, the bidirectional
/// overrides and isolates, line separators, zero-width and tag characters.
const fn steers(c: char) -> bool {
    c.is_ascii_control()
        || matches!(c,
            '\u{80}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{061c}' | '\u{e0000}'..='\u{e007f}')
}

/// Text that is safe on a terminal: steering characters are written out as `\u{…}`.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if steers(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The same for several lines: line feeds stay.
#[must_use]
pub fn terminal_lines(text: &str) -> String {
    text.split('\n').map(terminal).collect::<Vec<_>>().join("\n")
}

/// JSON text whose steering characters are written as JSON escapes. They stand within strings only, so the value
/// stays the same; JSON's own rules cover those below U+0020.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let shown = |c: char| c == '\n' || !steers(c);
    // Most text is plain: bytes are looked at faster than characters.
    if text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) || text.chars().all(shown) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if shown(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Cow::Owned(out)
}

/// Text for a cell of a CSV file: nothing steers a terminal, and a spreadsheet will not run it: a leading `=`, `+`, `-`, `@`, tab or carriage return gets an apostrophe
/// before it (OWASP, "CSV Injection").
#[must_use]
pub fn csv(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { Cow::Owned(format!("'{shown}")) } else { shown }
}

/// Text for a cell of a Markdown table: everything that Markdown or HTML would read as markup is escaped.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in terminal(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_reader() {
        assert_eq!(terminal("a\u{1b}[31mb\u{202e}c\nd"), "a\\u{1b}[31mb\\u{202e}c\\nd");
        assert_eq!(terminal("ünïcode 名前"), "ünïcode 名前");
        assert_eq!(csv("=1+1"), "'=1+1");
        assert_eq!(csv("a=1"), "a=1");
        assert_eq!(csv("\r=1\u{9b}"), "'\\r=1\\u{9b}");
        let steering = "a\u{9b}31m\u{202e}b\u{7f}\u{e0001}\u{1b}\n名";
        let written = serde_json::to_string(steering).unwrap();
        assert_eq!(json(&written), r#""a\u009b31m\u202eb\u007f\udb40\udc01\u001b\n名""#);
        assert_eq!(serde_json::from_str::<String>(&json(&written)).unwrap(), steering);
        assert_eq!(markdown("a|b<script>`*"), "a\\|b&lt;script&gt;\\`\\*");
    }
}
