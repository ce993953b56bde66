//! Escaping of values for HTML and Markdown. Templates never decide it: the renderer escapes every value.

use std::fmt::Write as _;

/// Characters that change how text runs or that nobody sees: control, bidirectional, zero-width, separators, tags.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E
            | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF)
}

/// Makes such characters visible as `⟨U+202E⟩`, so that a name cannot pose as another one or reorder a line.
pub(super) fn visible(text: &str) -> String {
    if !text.chars().any(is_invisible) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_invisible(c) {
            let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A value as HTML text or as a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            c => out.push(c),
        }
    }
    out
}

/// A value as inline Markdown, wherever it stands: in a paragraph, a list item, a heading or a table cell.
///
/// Nothing in it can open markup, a block, a table cell, raw HTML, math or a link (also not one that renderers make
/// of bare addresses).
pub(super) fn markdown(text: &str) -> String {
    let text = visible(text);
    let trimmed = text.trim_start_matches(' ');
    let mut out = "&#32;".repeat(text.len() - trimmed.len());
    let body = trimmed.trim_end_matches(' ');
    let mut before = '\0';
    for (index, c) in body.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Within a word an underscore is only itself, and names full of backslashes cannot be read or copied.
            '_' if before.is_alphanumeric() && next_is_alphanumeric(body, index) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // A block at the start of a value: list, rule, underline of a heading.
            '-' | '+' | '=' if index == 0 => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if index > 0 && is_digits(body, index) && ends_word(body, index) => {
                out.push('\\');
                out.push(c);
            }
            // Bare addresses: `scheme://`, `www.`, `mailto:`, `xmpp:`.
            '/' if before == ':' => out.push_str("\\/"),
            '.' if ends_with_www(body, index) => out.push_str("\\."),
            ':' if ends_with_scheme(body, index) => out.push_str("\\:"),
            c => out.push(c),
        }
        before = c;
    }
    for _ in 0..trimmed.len() - body.len() {
        out.push_str("&#32;");
    }
    out
}

fn is_digits(body: &str, end: usize) -> bool {
    body.get(..end).is_some_and(|start| start.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the one-byte character at `index` is the last of a word.
fn ends_word(body: &str, index: usize) -> bool {
    body.get(index + 1..).is_none_or(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn next_is_alphanumeric(body: &str, index: usize) -> bool {
    body.get(index + 1..).and_then(|rest| rest.chars().next()).is_some_and(char::is_alphanumeric)
}

fn ends_with_www(body: &str, end: usize) -> bool {
    body.get(..end)
        .and_then(|start| start.get(start.len().checked_sub(3)?..))
        .is_some_and(|w| w.eq_ignore_ascii_case("www"))
}

fn ends_with_scheme(body: &str, end: usize) -> bool {
    ["mailto", "xmpp"].iter().any(|scheme| {
        body.get(..end)
            .and_then(|start| start.get(start.len().checked_sub(scheme.len())?..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(scheme))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_come_out_harmless() {
        for (name, in_html, in_markdown) in [
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("a|b", "a|b", "a\\|b"),
            ("`rm`", "&#96;rm&#96;", "\\`rm\\`"),
            ("a\nb\r\n", "a⟨U+000A⟩b⟨U+000D⟩⟨U+000A⟩", "a⟨U+000A⟩b⟨U+000D⟩⟨U+000A⟩"),
            ("nimda\u{202e}x", "nimda⟨U+202E⟩x", "nimda⟨U+202E⟩x"),
            ("a\u{200b}b", "a⟨U+200B⟩b", "a⟨U+200B⟩b"),
            ("[x](javascript:1)", "[x](javascript:1)", "\\[x\\](javascript:1)"),
            ("http://evil.example", "http://evil.example", "http:\\//evil.example"),
            ("www.evil.example", "www.evil.example", "www\\.evil.example"),
            ("mailto:x@y.z", "mailto:x@y.z", "mailto\\:x@y.z"),
            ("- item", "- item", "\\- item"),
            ("12. item", "12. item", "12\\. item"),
            ("0.1.0", "0.1.0", "0.1.0"),
            ("access_key_1 _em_ a_", "access_key_1 _em_ a_", "access_key_1 \\_em\\_ a\\_"),
            ("# h", "# h", "\\# h"),
            ("  code", "  code", "&#32;&#32;code"),
            ("&lt;", "&amp;lt;", "&amp;lt;"),
            ("' \" onload=", "&#39; &quot; onload=", "' \" onload=&#32;".trim_end_matches("&#32;")),
            (
                "arn:aws:iam::111122223333:role/a/b-c",
                "arn:aws:iam::111122223333:role/a/b-c",
                "arn:aws:iam::111122223333:role/a/b-c",
            ),
        ] {
            assert_eq!(html(name), in_html);
            assert_eq!(markdown(name), in_markdown);
        }
    }

    fn unescaped(text: &str, of: &str) -> bool {
        let mut backslash = false;
        for c in text.chars() {
            if backslash {
                backslash = false;
            } else if c == '\\' {
                backslash = true;
            } else if of.contains(c) {
                return true;
            }
        }
        false
    }

    proptest! {
        #[test]
        fn nothing_active_survives(text in "\\PC*|[<>&\"'`|*_~#\\[\\]\\\\\n\r\u{202e}a1. -]{0,30}") {
            let escaped = html(&text);
            let active = escaped.contains(['<', '>', '"', '\'', '`', '\n', '\r']);
            prop_assert!(!active);
            let escaped = markdown(&text);
            let active = escaped.contains(['<', '>', '\n', '\r', '\u{202e}']);
            prop_assert!(!active);
            prop_assert!(!unescaped(&escaped.replace("&#32;", ""), "`*[]|~#$"), "{}", escaped);
            let opens = escaped.starts_with([' ', '-', '+', '=', '\t']);
            prop_assert!(!opens);
        }
    }
}
