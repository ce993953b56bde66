//! Tables with a header line: results that CloudTrail Lake delivers to S3 and those of Athena.
//!
//! RFC 4180 as the engines write it: commas, quotes doubled within quotes, line ends within quotes. A row that cannot be
//! read costs its first line, so that a quote which nobody closed does not cost the file.

use super::columns::{self, Cell, WHOLE};
use super::input::{Input, Line};
use super::{Item, MAX_BYTES, Out};

/// Columns of a table at most; a record has about forty fields.
const MAX_COLUMNS: usize = 1024;

/// How a row that was looked for ends.
enum Row {
    /// Its cells and the bytes that it takes, line end included.
    Cells(Vec<String>, usize),
    /// It goes on behind what is at hand.
    More,
    /// It is no row.
    Broken(&'static str),
}

/// Reads the row at the start of some bytes. `last` says that nothing follows them.
fn row(bytes: &[u8], last: bool) -> Row {
    let (mut cells, mut cell, mut at) = (Vec::new(), Vec::new(), 0usize);
    loop {
        let quoted = bytes.get(at) == Some(&b'"');
        if quoted {
            at += 1;
            loop {
                let Some(end) = memchr::memchr(b'"', bytes.get(at..).unwrap_or(&[])) else {
                    return if last { Row::Broken("a quote is not closed") } else { Row::More };
                };
                cell.extend_from_slice(bytes.get(at..at + end).unwrap_or(&[]));
                at += end + 1;
                match bytes.get(at) {
                    Some(b'"') => {
                        cell.push(b'"');
                        at += 1;
                    }
                    None if !last => return Row::More,
                    _ => break,
                }
            }
        } else {
            let plain = bytes.get(at..).unwrap_or(&[]);
            let Some(end) = memchr::memchr2(b',', b'\n', plain).or(last.then_some(plain.len())) else {
                return Row::More;
            };
            cell.extend_from_slice(plain.get(..end).unwrap_or(&[]));
            at += end;
        }
        let closes = bytes.get(at..).unwrap_or(&[]);
        let end = match closes {
            [b',', ..] => None,
            [] if last => Some(0),
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            [b'\r'] | [] if !last => return Row::More,
            _ => return Row::Broken("text follows a closing quote"),
        };
        if !quoted && end.is_some() && cell.last() == Some(&b'\r') {
            cell.pop();
        }
        match String::from_utf8(std::mem::take(&mut cell)) {
            Ok(text) => cells.push(text),
            Err(_) => return Row::Broken("invalid UTF-8"),
        }
        match end {
            Some(end) => return Row::Cells(cells, at + end),
            None if cells.len() == MAX_COLUMNS => return Row::Broken("more columns than a table may have"),
            None => at += 1,
        }
    }
}

/// The header at the start of some bytes; empty where there is none.
pub(super) fn header(bytes: &[u8]) -> Vec<String> {
    match row(bytes, false) {
        Row::Cells(cells, _) => cells,
        // A file of a header alone, or not a table.
        _ if bytes.len() < 4096 => match row(bytes, true) {
            Row::Cells(cells, _) => cells,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Whether a table has what a record cannot do without.
pub(super) fn is_cloudtrail(header: &[String]) -> bool {
    let has = |name: &str| header.iter().any(|column| column.trim().eq_ignore_ascii_case(name));
    has(WHOLE) || (has("eventTime") && has("eventSource") && has("eventName"))
}

/// Gets the row at hand into the window and reads it.
fn next(input: &mut Input<'_>) -> Row {
    loop {
        match row(input.rest(), false) {
            Row::More if input.rest().len() > MAX_BYTES => return Row::Broken("a row is longer than the limit"),
            Row::More if !input.fill() => return row(input.rest(), true),
            Row::More => {}
            found => return found,
        }
    }
}

pub(super) fn read<E>(input: &mut Input<'_>, out: &mut Out<'_, E>) -> Result<bool, E> {
    let header = match next(input) {
        Row::Cells(cells, length) if is_cloudtrail(&cells) => {
            input.take(length);
            cells
        }
        _ => {
            let reason = "not a table of CloudTrail records: its first line names neither eventJson nor eventTime, \
                          eventSource and eventName";
            input.bad(usize::MAX, reason.to_owned(), out)?;
            while input.fill() {
                input.take(usize::MAX);
            }
            return input.finish(out);
        }
    };
    while !input.rest().is_empty() || input.fill() {
        let reason = match next(input) {
            Row::Cells(cells, length) if cells.len() == header.len() => {
                one(input, &header, &cells, length, out)?;
                continue;
            }
            // An empty line.
            Row::Cells(cells, length) if cells.iter().all(String::is_empty) => {
                input.take(length);
                continue;
            }
            Row::Cells(cells, _) => format!("a row of {} columns; expected {}", cells.len(), header.len()),
            Row::Broken(why) => why.to_owned(),
            Row::More => "truncated: the file ends inside a row".to_owned(),
        };
        broken(input, reason, out)?;
    }
    input.finish(out)
}

/// A row that was read.
fn one<E>(
    input: &mut Input<'_>,
    header: &[String],
    cells: &[String],
    length: usize,
    out: &mut Out<'_, E>,
) -> Result<(), E> {
    let offset = input.offset();
    let raw = input.rest().get(..length).unwrap_or(&[]).trim_ascii_end();
    let bytes = raw.len() as u64;
    let named: Vec<(&str, Cell<'_>)> =
        header.iter().map(|name| name.trim()).zip(cells.iter().map(|cell| Cell::Text(cell))).collect();
    match columns::record(&named) {
        Ok(built) => out(Item::Record { offset, length: bytes, text: &built.text, carried: built.carried })?,
        Err(reason) => out(Item::Bad { offset, length: bytes, reason, raw })?,
    }
    input.take(length);
    Ok(())
}

/// Sets the first line of a row aside that cannot be read.
fn broken<E>(input: &mut Input<'_>, reason: String, out: &mut Out<'_, E>) -> Result<(), E> {
    match input.line() {
        Some(Line::Whole(length)) => input.bad(length, reason, out),
        Some(Line::Long(length)) => out(Item::Bad { offset: input.offset() - length, length, reason, raw: &[] }),
        None => Ok(()),
    }
}
