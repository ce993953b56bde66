//! What people hold beside trail files: other containers of the same records, told by their first bytes and turned
//! back into records as a trail file's `Records[]` has them.
//!
//! | form | what it is | exact | what it does not carry |
//! |---|---|---|---|
//! | LookupEvents | `aws cloudtrail lookup-events` | yes | data events; only 90 days |
//! | CloudWatch Logs | subscription objects, export tasks, `filter-log-events`, `get-log-events`, Insights with `@message` | yes | records over 256 KB: CloudTrail does not send them there |
//! | CloudTrail Lake, `eventJson` | query results with that column | yes | what the query left out |
//! | CloudTrail Lake, columns | `query_results_*.csv.gz`, `get-query-results` | no | columns not selected; types inside request and response (maps of text); null against empty |
//! | Athena, CSV | results over the documented `cloudtrail_logs` table | no | `managementEvent`, `sourceIdentity` and whatever else the table lacks; null against empty |
//! | Athena, JSON | `UNLOAD … WITH (format = 'JSON')` | no | the same |
//! | Security Lake | OCSF 1.0 to 1.5 Parquet of CloudTrail | no | types of what stands in `unmapped`; which of two names an identity provider had; null against empty; Insights |
//!
//! A record of a form that is not exact says what it carries: its bytes differ from those of the trail file that holds
//! the same event, so only its core fields can tell a duplicate. All that a form carries is kept, nothing is made up
//! for what it does not: a column that was not selected makes what it would have told unknown, and the file says so
//! once among what was set aside.
//!
//! Sources: "View and download CloudTrail Lake query results", "Supported SQL schemas for event data stores", "Quotas
//! in AWS CloudTrail" (CloudTrail User Guide); "Create a table for CloudTrail logs in Athena using manual
//! partitioning" (Athena User Guide); "Log group-level subscription filters", "Export log data to Amazon S3"
//! (CloudWatch Logs User Guide); "CloudTrail event logs in Security Lake" (Security Lake User Guide) with the mapping
//! in github.com/ocsf/examples; the API references of LookupEvents, GetQueryResults and FilterLogEvents.

mod columns;
mod container;
mod delimited;
mod detect;
mod input;
mod lines;
mod notation;
mod ocsf;
mod parquet;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use crate::lake::normalise::Carried;
use crate::lake::split::MAX_RECORD_BYTES;

pub(crate) use detect::{detect, detect_file, head_of, head_of_file, is_table, is_trail_file};
use input::Input;

/// A container of records that is no trail file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON with a list of something that holds records: LookupEvents, CloudWatch Logs, CloudTrail Lake.
    Container,
    /// Lines of an export task: a time, a blank, a record.
    ExportedLines,
    /// Lines of JSON objects with Athena's lower-case column names.
    ColumnLines,
    /// A table with a header line.
    Delimited,
    /// A Parquet file.
    Parquet,
    /// A file that belongs to one of the forms and holds no records, such as the signature of Lake query results.
    Empty,
}

/// What was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detected {
    pub form: Form,
    /// The decompressed bytes are gzip once more: CloudWatch Logs compresses what it sends, and Firehose can be told
    /// to compress it again.
    pub nested: bool,
}

/// What a form yields, in order.
pub(crate) enum Item<'a> {
    /// A record.
    Record {
        /// Where it begins: byte within the decompressed file; row, from 0, of a Parquet file.
        offset: u64,
        /// Bytes that it takes there; 0 in a Parquet file.
        length: u64,
        /// The record as CloudTrail writes it in a trail file.
        text: &'a str,
        /// What the form carries of it.
        carried: Carried,
    },
    /// A stretch that holds none.
    Bad {
        offset: u64,
        length: u64,
        reason: String,
        /// The bytes, where they are at hand.
        raw: &'a [u8],
    },
}

/// Takes items; its error ends the reading.
pub(crate) type Out<'o, E> = dyn FnMut(Item<'_>) -> Result<(), E> + 'o;

/// Why a form could not be read.
#[derive(Debug)]
pub(crate) enum FormError<E> {
    /// Nothing of the file can be used.
    Lost(String),
    /// Whoever takes the items refused.
    Sink(E),
}

impl<E> From<E> for FormError<E> {
    fn from(error: E) -> Self {
        Self::Sink(error)
    }
}

/// Bytes of one element, line or row at most.
const MAX_BYTES: usize = MAX_RECORD_BYTES;
/// Raw bytes of a bad item that are handed on.
const KEPT_RAW_BYTES: usize = 256 << 10;

/// Reads a file of a form. `source` gives its decompressed bytes; Parquet files are read by their path.
///
/// True where the file ends as it should; false where it is cut and a later, whole version should be read again.
///
/// # Errors
/// When nothing of the file can be used, or the sink refuses.
pub(crate) fn read<E>(
    detected: Detected,
    path: &Path,
    source: &mut dyn Read,
    out: &mut Out<'_, E>,
) -> Result<bool, FormError<E>> {
    let mut inner;
    let source = if detected.nested {
        inner = flate2::read::MultiGzDecoder::new(source);
        &mut inner as &mut dyn Read
    } else {
        source
    };
    let mut input = Input::new(source);
    let mut stretch: Option<Stretch> = None;
    let whole = {
        let mut said = false;
        let mut merged = |item: Item<'_>| {
            if let Item::Record { offset, carried, .. } = &item
                && !said
                && let Some(reason) = carried.lack()
            {
                said = true;
                Stretch::merge(&mut stretch, Item::Bad { offset: *offset, length: 0, reason, raw: &[] }, out)?;
            }
            Stretch::merge(&mut stretch, item, out)
        };
        match detected.form {
            Form::Container => container::read(&mut input, &mut merged)?,
            Form::ExportedLines => lines::exported(&mut input, &mut merged)?,
            Form::ColumnLines => lines::columns(&mut input, &mut merged)?,
            Form::Delimited => delimited::read(&mut input, &mut merged)?,
            Form::Parquet => parquet::read(path, &mut merged)?,
            Form::Empty => true,
        }
    };
    Stretch::flush(&mut stretch, out)?;
    Ok(whole)
}

/// Bad items without a record between them: one stretch, so that garbage of any size is one row of the quarantine.
struct Stretch {
    offset: u64,
    end: u64,
    reason: String,
    items: u64,
    raw: Vec<u8>,
}

impl Stretch {
    fn merge<E>(stretch: &mut Option<Self>, item: Item<'_>, out: &mut Out<'_, E>) -> Result<(), E> {
        let Item::Bad { offset, length, reason, raw } = item else {
            Self::flush(stretch, out)?;
            return out(item);
        };
        match stretch {
            Some(known) => {
                known.end = offset.saturating_add(length).max(known.end);
                known.items += 1;
                known.raw = Vec::new();
            }
            None => {
                let raw = if raw.len() <= KEPT_RAW_BYTES { raw.to_vec() } else { Vec::new() };
                *stretch = Some(Self { offset, end: offset.saturating_add(length), reason, items: 1, raw });
            }
        }
        Ok(())
    }

    fn flush<E>(stretch: &mut Option<Self>, out: &mut Out<'_, E>) -> Result<(), E> {
        let Some(known) = stretch.take() else { return Ok(()) };
        let reason = match known.items {
            1 => known.reason,
            more => format!("{}; and {} more up to the next record", known.reason, more - 1),
        };
        out(Item::Bad { offset: known.offset, length: known.end - known.offset, reason, raw: &known.raw })
    }
}
