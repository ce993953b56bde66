//! In which bytes two records agree that say the same: what makes a duplicate a duplicate.

use std::borrow::Cow;

use super::json::{Kind, Value};

/// Writes the canonical bytes of a value: members sorted by key, texts unescaped, numbers by value. Equal bytes
/// mean equal content whatever the order of keys, the white space or the escapes.
///
/// # Errors
/// The key that an object holds twice.
pub(crate) fn canonical(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    write_canonical(value, out, &mut Vec::new())
}

fn write_text(tag: u8, text: &str, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// `stack` holds the members of the objects that are being written, so that no object allocates.
fn write_canonical<'t>(
    value: Value<'t>,
    out: &mut Vec<u8>,
    stack: &mut Vec<(&'t str, Value<'t>)>,
) -> Result<(), String> {
    match value.kind() {
        Kind::Null => out.push(b'n'),
        Kind::False => out.push(b'f'),
        Kind::True => out.push(b't'),
        Kind::Number => write_text(b'#', &number(value.raw()), out),
        Kind::Text | Kind::Escaped => write_text(b'"', &value.text().unwrap_or_default(), out),
        Kind::Array => {
            out.push(b'[');
            for element in value.elements() {
                write_canonical(element, out, stack)?;
            }
            out.push(b']');
        }
        Kind::Object => {
            let base = stack.len();
            for (key, member) in value.members() {
                match key {
                    Cow::Borrowed(key) => stack.push((key, member)),
                    Cow::Owned(_) => {
                        stack.truncate(base);
                        return write_escaped(value, out);
                    }
                }
            }
            let members = stack.get_mut(base..).unwrap_or(&mut []);
            members.sort_unstable_by(|a, b| a.0.cmp(b.0));
            twice(members.iter().map(|(key, _)| *key))?;
            out.push(b'{');
            let mut next = base;
            while let Some((key, member)) = stack.get(next).copied() {
                write_text(b'"', key, out);
                write_canonical(member, out, stack)?;
                next += 1;
            }
            stack.truncate(base);
            out.push(b'}');
        }
    }
    Ok(())
}

/// An object with escapes in its keys: rare enough to allocate.
fn write_escaped(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let mut members: Vec<_> = value.members().collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    twice(members.iter().map(|(key, _)| key.as_ref()))?;
    out.push(b'{');
    for (key, member) in members {
        write_text(b'"', &key, out);
        canonical(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Fails with the first of some sorted keys that stands twice.
fn twice<'k>(keys: impl Iterator<Item = &'k str>) -> Result<(), String> {
    let mut before = None;
    for key in keys {
        if before == Some(key) {
            return Err(key.chars().take(64).collect());
        }
        before = Some(key);
    }
    Ok(())
}

/// A number's canonical text: integers as they stand, others by their double where that is exact enough to read
/// back; `1.0`, `1e0` and `1` agree.
fn number(raw: &str) -> Cow<'_, str> {
    if raw == "-0" {
        return Cow::Borrowed("0");
    }
    if !raw.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        return Cow::Borrowed(raw);
    }
    match raw.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let shown = if value == 0.0 { "0".to_owned() } else { format!("{value}") };
            Cow::Owned(shown)
        }
        _ => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::json::Tape;

    fn canon(text: &str) -> Result<Vec<u8>, String> {
        let mut tape = Tape::default();
        assert_eq!(tape.parse(text.as_bytes(), usize::MAX).unwrap(), text.len(), "{text}");
        let mut out = Vec::new();
        canonical(tape.root(text), &mut out)?;
        Ok(out)
    }

    #[test]
    fn canonical_bytes_ignore_order_space_and_spelling() {
        for (a, b, same) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{ "b" : [ 1 , 2 ], "a":1.0 }"#, true),
            (r#"{"a":"é\n"}"#, r#"{"\u0061":"\u00e9\u000a"}"#, true),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, false),
            (r#"{"a":null}"#, r#"{}"#, false),
            (r#"{"a":1e2}"#, r#"{"a":100}"#, true),
            (r#"{"a":12345678901234567890123}"#, r#"{"a":12345678901234567890124}"#, false),
            (r#"{"a":"😀"}"#, r#"{"a":"\ud83d\ude00"}"#, true),
        ] {
            assert_eq!(canon(a) == canon(b), same, "{a} {b}");
        }
        assert_eq!(canon(r#"{"a":{"x":1,"y":2,"\u0078":3}}"#), Err("x".to_owned()));
    }
}
