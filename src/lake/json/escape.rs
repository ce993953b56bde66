//! What backslash escapes stand for.

pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or(""));
        let after = rest.get(at + 1..).unwrap_or("");
        let mut skip = 1;
        match after.bytes().next() {
            Some(b'n') => out.push('\n'),
            Some(b't') => out.push('\t'),
            Some(b'r') => out.push('\r'),
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'u') => {
                let unit = |text: &str| u32::from_str_radix(text, 16).ok();
                let high = after.get(1..5).and_then(unit).unwrap_or(0xfffd);
                skip = 5;
                let low = after.get(5..7).filter(|p| *p == "\\u").and_then(|_| after.get(7..11)).and_then(unit);
                match low {
                    Some(low) if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) => {
                        skip = 11;
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    // A lone surrogate is JSON but no text.
                    _ => out.push(char::from_u32(high).unwrap_or('\u{fffd}')),
                }
            }
            Some(other) => out.push(char::from(other)),
            None => skip = 0,
        }
        rest = after.get(skip..).unwrap_or("");
    }
    out.push_str(rest);
    out
}
