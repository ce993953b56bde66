//! JSON with a list of things that hold records: answers of LookupEvents, GetQueryResults, FilterLogEvents,
//! GetLogEvents and GetQueryResults of CloudWatch Logs, and subscription records, one or many in a file.

use serde_json::value::RawValue;

use super::columns::{self, Cell};
use super::input::Input;
use super::{Item, MAX_BYTES, Out};
use crate::lake::normalise::Carried;

/// The lists, by their key. `Events`: LookupEvents; `events`: FilterLogEvents and GetLogEvents; `logEvents`:
/// subscription records; `QueryResultRows`: CloudTrail Lake; `results`: CloudWatch Logs Insights.
const LISTS: [&str; 5] = ["Events", "events", "logEvents", "QueryResultRows", "results"];
/// What CloudWatch Logs writes to see whether a destination can be reached.
const CONTROL: &str = "CWL CONTROL MESSAGE";

pub(super) fn is_list_key(key: &[u8]) -> bool {
    LISTS.iter().any(|list| list.as_bytes() == key)
}

/// How far a JSON value reaches, from its brackets and quotes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// So many bytes.
    Done(usize),
    /// Further than what is at hand.
    More,
}

/// Looks at brackets and quotes only: what stands between them may still be no JSON.
#[derive(Default)]
struct Balance {
    depth: usize,
    text: bool,
    escape: bool,
}

impl Balance {
    /// Where the value ends; none where it goes on.
    fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.text {
                match byte {
                    _ if self.escape => self.escape = false,
                    b'\\' => self.escape = true,
                    b'"' => {
                        self.text = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth <= 1 => return Some(if self.depth == 0 { at } else { at + 1 }),
                b'}' | b']' => self.depth -= 1,
                b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(at),
                _ => {}
            }
        }
        None
    }
}

/// How far the value at the start of some bytes reaches.
pub(super) fn extent(bytes: &[u8]) -> Extent {
    Balance::default().feed(bytes).map_or(Extent::More, Extent::Done)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Top,
    /// Inside a list; `true` where it is a member of an object.
    List(bool),
    /// Inside the object, outside the list.
    Wrapper,
}

/// What stands at hand.
enum Next {
    /// A value of so many bytes.
    Value(usize),
    /// One longer than the limit; skipped.
    Long(u64),
    /// The end of the file, inside a value.
    Cut,
}

pub(super) fn read<E>(input: &mut Input<'_>, out: &mut Out<'_, E>) -> Result<bool, E> {
    let mut state = State::Top;
    while let Some(byte) = input.token() {
        match (state, byte) {
            (_, b',') => input.take(1),
            (State::List(member), b']') => {
                input.take(1);
                state = if member { State::Wrapper } else { State::Top };
            }
            (State::Wrapper, b'}') => {
                input.take(1);
                state = State::Top;
            }
            (State::Top, b'[') => {
                input.take(1);
                state = State::List(false);
            }
            (State::Top, b'{') if enter(input) => state = State::Wrapper,
            (State::Wrapper, b'"') => match member(input) {
                Some(true) => state = State::List(true),
                Some(false) => {}
                None => return cut(input, out),
            },
            (State::Top, b'{') | (State::List(_), _) => match next(input) {
                Next::Value(length) => element(input, length, out)?,
                Next::Long(length) => long(input, length, out)?,
                Next::Cut => return cut(input, out),
            },
            _ => {
                input.bad(usize::MAX, format!("not JSON: unexpected `{}`", byte.escape_ascii()), out)?;
                while input.fill() {
                    input.take(usize::MAX);
                }
                return Ok(false);
            }
        }
    }
    let whole = input.finish(out)?;
    if whole && state != State::Top {
        let reason = "truncated: the file ends inside its list of records".to_owned();
        out(Item::Bad { offset: input.offset(), length: 0, reason, raw: &[] })?;
    }
    Ok(whole && state == State::Top)
}

fn cut<E>(input: &mut Input<'_>, out: &mut Out<'_, E>) -> Result<bool, E> {
    let reason = input.failure.take().unwrap_or_else(|| "truncated: the file ends inside a record".to_owned());
    input.bad(usize::MAX, reason, out)?;
    Ok(false)
}

fn long<E>(input: &Input<'_>, length: u64, out: &mut Out<'_, E>) -> Result<(), E> {
    let reason = format!("an element of {length} bytes is longer than the limit of {MAX_BYTES}");
    out(Item::Bad { offset: input.offset() - length, length, reason, raw: &[] })
}

/// Moves into the object at hand where one of its first keys says that it has a list; an object that is itself an
/// element stays.
fn enter(input: &mut Input<'_>) -> bool {
    loop {
        match wrapper(input.rest()) {
            Some(true) => {
                input.take(1);
                return true;
            }
            Some(false) => return false,
            None if input.rest().len() > MAX_BYTES || !input.fill() => return false,
            None => {}
        }
    }
}

/// Whether the object at the start of some bytes has a list; none where they do not say.
fn wrapper(bytes: &[u8]) -> Option<bool> {
    let mut at = 1;
    loop {
        at += bytes.get(at..)?.iter().position(|b| !b.is_ascii_whitespace() && *b != b',')?;
        let Extent::Done(length) = extent(bytes.get(at..)?) else { return None };
        let key = bytes.get(at..at + length)?.trim_ascii();
        // The bracket that closes it, or what is no key.
        let Some(key) = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")) else { return Some(false) };
        at += length;
        at += bytes.get(at..)?.iter().position(|b| !b.is_ascii_whitespace() && *b != b':')?;
        if is_list_key(key) && bytes.get(at) == Some(&b'[') {
            return Some(true);
        }
        if matches!(key, b"CloudTrailEvent" | b"EventId" | b"message" | b"eventVersion" | b"userIdentity") {
            return Some(false);
        }
        let Extent::Done(length) = extent(bytes.get(at..)?) else { return None };
        at += length;
    }
}

/// Takes `"key":` and, unless it is the bracket of a list, the value. True where a list begins; none at the end.
fn member(input: &mut Input<'_>) -> Option<bool> {
    let Next::Value(length) = next(input) else { return None };
    let key = input.rest().get(1..length.saturating_sub(1)).unwrap_or(&[]).to_vec();
    input.take(length);
    if input.token()? == b':' {
        input.take(1);
    }
    if input.token()? == b'[' && is_list_key(&key) {
        input.take(1);
        return Some(true);
    }
    match next(input) {
        Next::Value(length) => input.take(length),
        Next::Long(_) => {}
        Next::Cut => return None,
    }
    Some(false)
}

/// Gets the value at hand into the window.
fn next(input: &mut Input<'_>) -> Next {
    loop {
        match extent(input.rest()) {
            // A bracket that closes nothing must not stop the reader where it stands.
            Extent::Done(length) => return Next::Value(length.max(1)),
            Extent::More if input.rest().len() > MAX_BYTES => return skip(input),
            Extent::More if !input.fill() => return Next::Cut,
            Extent::More => {}
        }
    }
}

/// Skips a value without holding it.
fn skip(input: &mut Input<'_>) -> Next {
    let (from, mut balance) = (input.offset(), Balance::default());
    loop {
        match balance.feed(input.rest()) {
            Some(end) => {
                input.take(end);
                return Next::Long(input.offset() - from);
            }
            None => {
                input.take(usize::MAX);
                if !input.fill() {
                    return Next::Cut;
                }
            }
        }
    }
}

/// Members of an element that may hold a record.
#[derive(Default, serde::Deserialize)]
struct Holder<'a> {
    #[serde(borrow, rename = "CloudTrailEvent")]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventName")]
    name: Option<&'a RawValue>,
}

/// One element: whatever it is, by its shape.
fn element<E>(input: &mut Input<'_>, length: usize, out: &mut Out<'_, E>) -> Result<(), E> {
    let offset = input.offset();
    let raw = input.rest().get(..length).unwrap_or(&[]);
    let bytes = length as u64;
    let found = match std::str::from_utf8(raw) {
        Err(error) => Err(format!("invalid UTF-8 at byte {} of the element", error.valid_up_to())),
        Ok(text) if text.starts_with('{') => holder(text),
        Ok(text) if text.starts_with('[') => row(text),
        Ok(_) => Err("expected an object or a list of columns".to_owned()),
    };
    match found {
        Ok(Some((text, carried))) => out(Item::Record { offset, length: bytes, text: &text, carried })?,
        Ok(None) => {}
        Err(reason) => out(Item::Bad { offset, length: bytes, reason, raw })?,
    }
    input.take(length);
    Ok(())
}

/// A record and what it carries; none where the element holds none and need not.
type Found = Result<Option<(String, Carried)>, String>;

fn holder(text: &str) -> Found {
    let holder: Holder<'_> = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match holder.event.or(holder.message) {
        Some(held) => message(held),
        // Somebody took the records out and kept the list.
        None if holder.name.is_some() => Ok(Some((text.to_owned(), Carried::WHOLE))),
        None => Err("the element has neither CloudTrailEvent nor message".to_owned()),
    }
}

/// A record as text, as CloudTrail and CloudWatch Logs hand it out, or as the object that a pipeline made of it.
fn message(held: &RawValue) -> Found {
    if held.get().starts_with('{') {
        return Ok(Some((held.get().to_owned(), Carried::WHOLE)));
    }
    let text: String = serde_json::from_str(held.get()).map_err(|error| format!("not a message: {error}"))?;
    exact(text)
}

fn exact(text: String) -> Found {
    match text.trim_start() {
        record if record.starts_with('{') => Ok(Some((record.trim_end().to_owned(), Carried::WHOLE))),
        control if control.starts_with(CONTROL) => Ok(None),
        _ => Err("the message is not a CloudTrail record".to_owned()),
    }
}

/// A row of query results: a list of objects with a column each, or with a field's name and value.
fn row(text: &str) -> Found {
    let parts: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(text).map_err(|error| format!("not a row of a query: {error}"))?;
    let mut cells = Vec::new();
    for part in parts {
        if let (Some(serde_json::Value::String(field)), Some(value), 2) =
            (part.get("field"), part.get("value"), part.len())
        {
            cells.push((field.clone(), value.clone()));
        } else {
            cells.extend(part);
        }
    }
    let messages = cells.iter_mut().find(|(name, _)| name == "@message").map(|(_, value)| value.take());
    if let Some(serde_json::Value::String(text)) = messages {
        return exact(text);
    }
    let cells: Vec<(&str, Cell<'_>)> = cells
        .iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => (name.as_str(), Cell::Text(text)),
            other => (name.as_str(), Cell::Json(other)),
        })
        .collect();
    columns::record(&cells).map(|built| Some((built.text, built.carried)))
}
