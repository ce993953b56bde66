//! The text that Presto and Athena make of structures: `{type=IAMUser, sessioncontext={attributes=null}}`, lists of
//! them in `[…]`, and maps. Nothing in it is quoted, so it is read by the names that a structure may have: a value ends
//! where the next name begins or the bracket closes.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::columns::{Field, Shape, field, quoted};

/// Nesting allowed. A user identity nests three deep.
const MAX_DEPTH: usize = 16;
/// Letters that make a word before `=` a name although the structure is not known to have it: AWS adds fields. What
/// is shorter stands in the distinguished names of directories (`ou=`, `dc=`, `uid=`).
const NEW_NAME_LETTERS: usize = 5;

/// Reads a whole text as a structure or a list of them; none where it is neither.
pub(super) fn read(text: &str, shape: Shape) -> Option<Value> {
    let text = text.trim();
    match shape {
        Shape::Struct(fields) => {
            let (value, rest) = structure(text, fields, 0)?;
            rest.is_empty().then_some(value)
        }
        Shape::List(fields) => list(text, fields),
        _ => None,
    }
}

/// `[{arn=…, type=…}, {…}]`. The structures of lists are flat: one ends where the next begins with a known name,
/// whatever brackets a resource's name has.
fn list(text: &str, fields: &[Field]) -> Option<Value> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let end = rest
            .match_indices("}, {")
            .map(|(at, _)| at + 1)
            .find(|at| rest.get(at + 3..).is_some_and(|next| name(next, fields).is_some()))
            .unwrap_or(rest.len());
        let (item, more) = rest.split_at_checked(end)?;
        let inner = item.strip_prefix('{')?.strip_suffix('}')?;
        items.push(flat(inner, fields)?);
        rest = more.strip_prefix(", ").unwrap_or(more);
    }
    Some(Value::Array(items))
}

fn flat(mut rest: &str, fields: &[Field]) -> Option<Value> {
    let mut out = Map::new();
    while !rest.is_empty() {
        let (known, value) = name(rest, fields)?;
        let end = boundary(value, fields).unwrap_or(value.len());
        insert(&mut out, known, value.get(..end)?, fields);
        rest = value.get(end..)?.strip_prefix(", ").unwrap_or("");
    }
    Some(Value::Object(out))
}

fn insert(out: &mut Map<String, Value>, known: &str, text: &str, fields: &[Field]) {
    if text != "null" {
        let name = field(fields, known).map_or(known, |field| field.name);
        out.insert(name.to_owned(), Value::from(text));
    }
}

/// The name that a text begins with, and what follows its `=`.
fn name<'t>(text: &'t str, fields: &[Field]) -> Option<(&'t str, &'t str)> {
    let (word, rest) = text.split_once('=')?;
    let new = word.len() >= NEW_NAME_LETTERS && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (new || field(fields, word).is_some()).then_some((word, rest))
}

/// Where `, name=` follows in a text.
fn boundary(text: &str, fields: &[Field]) -> Option<usize> {
    text.match_indices(", ")
        .map(|(at, _)| at)
        .find(|at| text.get(at + 2..).is_some_and(|next| name(next, fields).is_some()))
}

/// Reads `{…}` at the start of a text; returns what follows.
fn structure<'t>(text: &'t str, fields: &[Field], depth: usize) -> Option<(Value, &'t str)> {
    let mut rest = text.strip_prefix('{')?;
    let mut out = Map::new();
    if depth > MAX_DEPTH {
        return None;
    }
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((Value::Object(out), after));
        }
        let (known, value) = name(rest, fields)?;
        rest = match field(fields, known).map(|field| (field.name, field.shape)) {
            Some((name, Shape::Struct(inner))) if value.starts_with('{') => {
                let (value, after) = structure(value, inner, depth + 1)?;
                out.insert(name.to_owned(), value);
                after
            }
            Some((name, Shape::Any)) if value.starts_with('{') => {
                let end = closing(value)?;
                out.insert(name.to_owned(), serde_json::from_str(&map(value.get(..end)?)?).ok()?);
                value.get(end..)?
            }
            _ => {
                let close = open_end(value)?;
                let end = boundary(value.get(..close)?, fields).unwrap_or(close);
                insert(&mut out, known, value.get(..end)?, fields);
                value.get(end..)?
            }
        };
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
}

/// Where the bracket closes that was opened before a text.
fn open_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    text.bytes().position(|byte| match byte {
        b'{' => {
            depth += 1;
            false
        }
        b'}' if depth == 0 => true,
        b'}' => {
            depth -= 1;
            false
        }
        _ => false,
    })
}

/// Where the bracket at the start of a text closes, behind it.
fn closing(text: &str) -> Option<usize> {
    open_end(text.get(1..)?).map(|end| end + 2)
}

/// Reads `{key=value, …}` as JSON text. Values of nested parameters are JSON text or maps again; all others are text,
/// whatever they were.
pub(super) fn map(text: &str) -> Option<String> {
    map_at(text, 0)
}

fn map_at(text: &str, depth: usize) -> Option<String> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let (mut members, mut keys) = (Vec::new(), BTreeSet::new());
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        let end = map_boundary(value);
        let text = value.get(..end)?;
        if text != "null" {
            let inner = if is_document(key) { None } else { nested(text, depth) };
            members.push(format!("{}:{}", quoted(key), inner.unwrap_or_else(|| quoted(text))));
            if !keys.insert(key) {
                return None;
            }
        }
        rest = value.get(end..)?.strip_prefix(", ").unwrap_or("");
    }
    Some(format!("{{{}}}", members.join(",")))
}

/// Text that stands for an object or a list, as JSON text; none where it does not.
pub(super) fn nested(text: &str, depth: usize) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) || depth >= MAX_DEPTH {
        return None;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Some(text.to_owned()),
        Err(_) => map_at(text, depth + 1),
    }
}

/// Whether a parameter is text although it holds JSON: policy documents are in CloudTrail's own records, too.
pub(super) fn is_document(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "policy" || key.ends_with("document")
}

/// Where a value of a map ends: before `, key=` outside the brackets and quotes of JSON.
fn map_boundary(text: &str) -> usize {
    let json = text.starts_with(['{', '[']);
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if json => quoted = !quoted,
            b'{' | b'[' if json && !quoted => depth += 1,
            b'}' | b']' if json && !quoted => depth = depth.saturating_sub(1),
            b',' if depth == 0 && !quoted && text.get(at + 1..).is_some_and(starts_key) => return at,
            _ => {}
        }
    }
    text.len()
}

/// Whether ` key=` stands at the start: parameters' names have neither blanks nor brackets.
fn starts_key(text: &str) -> bool {
    text.strip_prefix(' ').and_then(|text| text.split_once('=')).is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'))
    })
}
