//! Writes the Parquet files of one generation and notes what the manifest has to name.

use std::collections::BTreeMap;
use std::path::Path;

use super::chunk::{Chunk, Row};
use super::disk;
use super::error::LakeError;
use super::fold::{ChunkFolds, Noted};
use super::ids::Class;
use super::manifest::Part;
use super::schema::PartKind;
use super::table::{events_bytes, fold_bytes};
use crate::model::time::{Day, Timestamp};
use crate::usage::fold::FOLD_VERSION;

/// Writes the files of one chunk of a commit.
#[derive(Debug)]
pub(crate) struct PartWriter<'s> {
    pub store: &'s Path,
    pub generation: i64,
    /// Number of the chunk within the commit.
    pub chunk: usize,
}

impl PartWriter<'_> {
    /// Every kind of file of the rows that are no duplicates, by month.
    pub(crate) fn write(&self, chunk: &Chunk, classes: &[Class]) -> Result<Vec<Part>, LakeError> {
        let mut parts = Vec::new();
        for (month, mut rows) in by_month(chunk, classes) {
            let indices: std::collections::BTreeSet<u32> = rows.iter().map(|(index, _)| *index).collect();
            let noted: Vec<(&Row, &Noted)> = chunk
                .noted
                .iter()
                .filter(|(index, _)| indices.contains(index))
                .filter_map(|(index, noted)| Some((chunk.rows.get(*index as usize)?, noted)))
                .collect();
            rows.sort_by(|a, b| order(chunk, a.1).cmp(&order(chunk, b.1)));
            let rows: Vec<&Row> = rows.into_iter().map(|(_, row)| row).collect();
            let first = rows.iter().map(|row| row.time).min().unwrap_or_default();
            let last = rows.iter().map(|row| row.time).max().unwrap_or_default();
            let folds = ChunkFolds::of(chunk, &rows);
            for kind in PartKind::ALL {
                let name = self.name(kind, &month);
                let path = self.store.join(&name);
                let made = match kind {
                    PartKind::Events => Some((events_bytes(chunk, &rows, &path)?, rows.len())),
                    _ => fold_bytes(kind, chunk, &folds, &noted, &path)?,
                };
                if let Some((bytes, count)) = made {
                    parts.push(self.put(kind, &month, name, &bytes, count, (first, last))?);
                }
            }
        }
        Ok(parts)
    }

    fn put(
        &self,
        kind: PartKind,
        month: &str,
        name: String,
        bytes: &[u8],
        rows: usize,
        (first, last): (Timestamp, Timestamp),
    ) -> Result<Part, LakeError> {
        disk::write_file(&self.store.join(&name), bytes)?;
        Ok(Part {
            kind: kind.as_str().to_owned(),
            month: month.to_owned(),
            name,
            rows: rows as u64,
            bytes: bytes.len() as u64,
            hash: blake3::hash(bytes).to_hex().to_string(),
            first: first.micros(),
            last: last.micros(),
            fold_version: FOLD_VERSION,
            generation: self.generation,
        })
    }

    fn name(&self, kind: PartKind, month: &str) -> String {
        part_name(kind, month, self.chunk, self.generation)
    }
}

/// The path of a part within the store.
pub(crate) fn part_name(kind: PartKind, month: &str, chunk: usize, generation: i64) -> String {
    format!("{}/{kind}-{month}-{chunk:03}-{generation:08}.parquet", kind.folder())
}

/// The order of a segment: account, time, id, so that queries prune by account and time.
fn order<'c>(chunk: &'c Chunk, row: &Row) -> (&'c str, Timestamp, [u8; 16]) {
    (chunk.sym(row.account), row.time, row.entry.id)
}

/// The rows to be kept, by month, with their index.
fn by_month<'c>(chunk: &'c Chunk, classes: &[Class]) -> BTreeMap<String, Vec<(u32, &'c Row)>> {
    let mut days: BTreeMap<Day, Vec<(u32, &Row)>> = BTreeMap::new();
    for ((index, row), class) in (0..).zip(&chunk.rows).zip(classes) {
        if *class != Class::Duplicate {
            days.entry(row.time.day()).or_default().push((index, row));
        }
    }
    let mut months: BTreeMap<String, Vec<(u32, &Row)>> = BTreeMap::new();
    for (day, rows) in days {
        months.entry(month(day)).or_default().extend(rows);
    }
    months
}

/// `2023-07`.
pub(crate) fn month(day: Day) -> String {
    let text = day.to_string();
    text.get(..7).unwrap_or(&text).to_owned()
}
