//! Forms of a record a line: export tasks of CloudWatch Logs, and JSON lines of Athena.

use super::columns::{self, Cell};
use super::input::{Input, Line};
use super::{Item, MAX_BYTES, Out};
use crate::lake::normalise::Carried;

/// Takes lines one by one. `read` turns one into a record and says what it carries.
fn each<E>(
    input: &mut Input<'_>,
    out: &mut Out<'_, E>,
    read: impl Fn(&str) -> Result<(std::borrow::Cow<'_, str>, Carried), String>,
) -> Result<bool, E> {
    while let Some(line) = input.line() {
        let length = match line {
            Line::Whole(length) => length,
            Line::Long(length) => {
                let reason = format!("a line of {length} bytes is longer than the limit of {MAX_BYTES}");
                out(Item::Bad { offset: input.offset() - length, length, reason, raw: &[] })?;
                continue;
            }
        };
        let offset = input.offset();
        let raw = input.rest().get(..length).unwrap_or(&[]).trim_ascii_end();
        let bytes = raw.len() as u64;
        if !raw.is_empty() {
            let text = std::str::from_utf8(raw)
                .map_err(|error| format!("invalid UTF-8 at byte {} of the line", error.valid_up_to()));
            match text.and_then(&read) {
                Ok((text, carried)) => out(Item::Record { offset, length: bytes, text: &text, carried })?,
                Err(reason) => out(Item::Bad { offset, length: bytes, reason, raw })?,
            }
        }
        input.take(length);
    }
    input.finish(out)
}

/// Bytes of the time and the blank before a record of an export task (`2023-07-10T11:42:24.000Z {…}`); none where
/// that is not what stands there.
pub(super) fn stamp(line: &[u8]) -> Option<usize> {
    let form = b"0000-00-00T00:00:00.000Z {";
    let head = line.get(..form.len())?;
    let fits = head.iter().zip(form).all(|(byte, wanted)| match wanted {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    });
    fits.then_some(form.len() - 1)
}

/// Lines of an export task. Source: "Export log data to Amazon S3", CloudWatch Logs User Guide.
pub(super) fn exported<E>(input: &mut Input<'_>, out: &mut Out<'_, E>) -> Result<bool, E> {
    each(input, out, |line| match stamp(line.as_bytes()).and_then(|skip| line.get(skip..)) {
        Some(record) => Ok((record.into(), Carried::WHOLE)),
        None => Err("not a line of an export: expected a time, a blank and a CloudTrail record".to_owned()),
    })
}

/// Lines of Athena's columns. Source: "UNLOAD", Athena User Guide.
pub(super) fn columns<E>(input: &mut Input<'_>, out: &mut Out<'_, E>) -> Result<bool, E> {
    each(input, out, |line| {
        let row: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
        let cells: Vec<(&str, Cell<'_>)> = row
            .iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => (name.as_str(), Cell::Text(text)),
                other => (name.as_str(), Cell::Json(other)),
            })
            .collect();
        let built = columns::record(&cells)?;
        Ok((built.text.into(), built.carried))
    })
}
