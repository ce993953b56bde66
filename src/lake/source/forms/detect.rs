//! Tells forms apart by the first bytes, and by the name where the bytes could be anything.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::container::{Extent, extent, is_list_key};
use super::delimited::{header, is_cloudtrail};
use super::{Detected, Form};

/// Decompressed bytes that are looked at. A header line or the first keys of an object are far shorter.
const HEAD_BYTES: usize = 64 << 10;
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// What a file is, from its name and the first decompressed bytes; none where it is a trail file or nothing known.
pub(crate) fn detect(path: &Path, head: &[u8]) -> Option<Detected> {
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    if head.starts_with(&GZIP) {
        let inner = inflate(head);
        return plain(path, &inner).map(|form| Detected { form, nested: true });
    }
    plain(path, head).map(|form| Detected { form, nested: false })
}

/// The first decompressed bytes of a file as it stands on disk.
pub(crate) fn head_of(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(&GZIP) { inflate(bytes) } else { bytes.get(..HEAD_BYTES).unwrap_or(bytes).to_vec() }
}

/// Whether a file holds what a trail delivered: an object whose `Records` come before anything of a record. Lists and
/// lines of records are somebody's selection. `head` are its first decompressed bytes.
pub(crate) fn is_trail_file(head: &[u8]) -> bool {
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let mut found = false;
    if head.first() == Some(&b'{') {
        members(head, |key, value| {
            found = key == b"Records" && value.starts_with(b"[");
            !found && !RECORD_KEYS.contains(&key)
        });
    }
    found
}

/// The first decompressed bytes of a file on disk; none where it cannot be read.
pub(crate) fn head_of_file(path: &Path) -> Vec<u8> {
    let mut raw = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut raw));
    if read.is_ok() { head_of(&raw) } else { Vec::new() }
}

/// What a file on disk is, from its first bytes; none also where it cannot be read.
pub(crate) fn detect_file(path: &Path) -> Option<Detected> {
    let mut raw = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES as u64).read_to_end(&mut raw).ok()?;
    detect(path, &head_of(&raw))
}

/// Whether a file on disk begins with a header of CloudTrail's columns.
pub(crate) fn is_table(path: &Path) -> bool {
    let mut raw = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut raw));
    let head = head_of(&raw);
    read.is_ok() && is_cloudtrail(&header(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head)))
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // A cut stream is an error after the bytes that could be read; those are what is wanted.
    let _ = flate2::read::MultiGzDecoder::new(bytes).take(HEAD_BYTES as u64).read_to_end(&mut out);
    out
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_ascii_lowercase();
    name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.').is_some_and(|(_, end)| end == wanted)
}

fn plain(path: &Path, head: &[u8]) -> Option<Form> {
    if head.starts_with(b"PAR1") || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet")) {
        return Some(Form::Parquet);
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match head.first()? {
        // The trail file, before anything else is looked at.
        b'{' if head.starts_with(b"{\"Records\"") => None,
        b'{' => object(path, head),
        b'[' => list(head),
        b'0'..=b'9' if super::lines::stamp(head).is_some() => Some(Form::ExportedLines),
        // Export tasks and Athena try first whether they may write. Source: "Export log data to Amazon S3".
        b'P' if head.starts_with(b"Permission Check Successful") => Some(Form::Empty),
        _ if is_cloudtrail(&header(head)) || has_extension(path, "csv") => Some(Form::Delimited),
        _ => None,
    }
}

/// Keys of an object that starts a file, up to the first that tells.
fn object(path: &Path, head: &[u8]) -> Option<Form> {
    // "CloudTrail Lake sign file structure".
    if path.file_name().is_some_and(|name| name == "result_sign.json") {
        return Some(Form::Empty);
    }
    let mut form = None;
    members(head, |key, value| {
        form = match key {
            _ if key == b"Records" || RECORD_KEYS.contains(&key) => None,
            b"eventversion" | b"useridentity" | b"eventtime" | b"eventsource" | b"eventname" => Some(Form::ColumnLines),
            b"CloudTrailEvent" | b"EventId" | b"messageType" | b"logGroup" | b"subscriptionFilters" => {
                Some(Form::Container)
            }
            _ if is_list_key(key) && value.starts_with(b"[") => Some(Form::Container),
            _ => return true,
        };
        false
    });
    form
}

/// Keys of a record.
const RECORD_KEYS: [&[u8]; 6] =
    [b"eventVersion", b"userIdentity", b"eventTime", b"eventSource", b"eventName", b"eventID"];

/// Calls `each` with the keys of an object that starts a file, and the bytes from their values on, until it says that
/// it has seen enough or the bytes end.
fn members<'h>(head: &'h [u8], mut each: impl FnMut(&'h [u8], &'h [u8]) -> bool) {
    let mut at = 1;
    let skip = |at: usize, mark: u8| {
        let rest = head.get(at..)?;
        rest.iter().position(|b| !b.is_ascii_whitespace() && *b != mark).map(|more| at + more)
    };
    let length = |at: usize| match extent(head.get(at..)?) {
        Extent::Done(length) => Some(length),
        _ => None,
    };
    let mut next = || -> Option<bool> {
        at = skip(at, b',')?;
        let end = at + length(at)?;
        let key = head.get(at..end)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        at = skip(end, b':')?;
        let go_on = each(key, head.get(at..)?);
        if go_on {
            at += length(at)?;
        }
        Some(go_on)
    };
    while next() == Some(true) {}
}

/// A bare list: of what `--query` leaves of an answer, or of records.
fn list(head: &[u8]) -> Option<Form> {
    let inner = head.get(1..)?.trim_ascii_start();
    match inner.first()? {
        // Rows of a query: lists of columns.
        b'[' if inner.get(1..)?.trim_ascii_start().starts_with(b"{") => Some(Form::Container),
        b'{' => match object(Path::new(""), inner)? {
            Form::Container => Some(Form::Container),
            _ => None,
        },
        _ => None,
    }
}
