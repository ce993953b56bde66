//! Writes the Parquet files of one generation and notes what the manifest has to name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::disk;
use super::error::LakeError;
use super::manifest::Part;
use super::schema::PartKind;
use super::table::{EventRow, events_bytes, fold_bytes};
use crate::model::time::{Day, MICROS_PER_DAY, MICROS_PER_HOUR, Timestamp};
use crate::usage::fold::{FOLD_VERSION, Folds};

/// Writes files of one generation.
pub(crate) struct PartWriter<'s> {
    store: &'s Path,
    generation: i64,
    /// What was written.
    pub parts: Vec<Part>,
}

impl<'s> PartWriter<'s> {
    pub(crate) fn new(store: &'s Path, generation: i64) -> Self {
        Self { store, generation, parts: Vec::new() }
    }

    /// One segment a month, sorted by account, time and id.
    pub(crate) fn segments(&mut self, kept: &[&EventRow]) -> Result<(), LakeError> {
        let mut months: BTreeMap<String, Vec<&EventRow>> = BTreeMap::new();
        let mut days: BTreeMap<Day, Vec<&EventRow>> = BTreeMap::new();
        for row in kept {
            days.entry(row.event.time.day()).or_default().push(row);
        }
        for (day, rows) in days {
            months.entry(month(day)).or_default().extend(rows);
        }
        for (month, mut rows) in months {
            rows.par_sort_unstable_by(|a, b| order(a).cmp(&order(b)));
            let times = || rows.iter().map(|r| r.event.time.micros());
            let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
            let part = Part { first, last, ..self.part(PartKind::Events, &month, rows.len()) };
            let bytes = events_bytes(&rows, &self.store.join(&part.name))?;
            self.write(part, &bytes)?;
        }
        Ok(())
    }

    /// Every kind of fold, by month where it has days.
    pub(crate) fn folds(&mut self, folds: Folds) -> Result<(), LakeError> {
        let (timeless, months) = by_month(folds);
        for kind in [PartKind::Shapes, PartKind::Sessions, PartKind::Issued, PartKind::TrailCalls] {
            self.fold(kind, "", &timeless)?;
        }
        for (month, folds) in &months {
            for kind in [PartKind::Usage, PartKind::Coverage] {
                self.fold(kind, month, folds)?;
            }
        }
        Ok(())
    }

    /// One kind of fold; nothing where it is empty.
    pub(crate) fn fold(&mut self, kind: PartKind, month: &str, folds: &Folds) -> Result<(), LakeError> {
        let (rows, first, last) = extent(kind, folds);
        if rows == 0 {
            return Ok(());
        }
        let part = Part { first, last, ..self.part(kind, month, rows) };
        let bytes = fold_bytes(kind, folds, &self.store.join(&part.name))?;
        self.write(part, &bytes)
    }

    fn write(&mut self, part: Part, bytes: &[u8]) -> Result<(), LakeError> {
        disk::write_file(&self.store.join(&part.name), bytes)?;
        self.parts.push(Part { bytes: bytes.len() as u64, ..part });
        Ok(())
    }

    fn part(&self, kind: PartKind, month: &str, rows: usize) -> Part {
        let generation = self.generation;
        let name = match month {
            "" => format!("{}/{kind}-{generation:08}.parquet", kind.folder()),
            month => format!("{}/{kind}-{month}-{generation:08}.parquet", kind.folder()),
        };
        Part {
            kind: kind.as_str().to_owned(),
            month: month.to_owned(),
            name,
            rows: rows as u64,
            bytes: 0,
            first: 0,
            last: 0,
            fold_version: FOLD_VERSION,
            generation,
        }
    }
}

/// The order of a segment: total, so that the same events make the same file.
fn order(row: &EventRow) -> (&str, Timestamp, Option<&str>, [u8; 16]) {
    (&row.event.recipient_account, row.event.time, row.event.id.as_deref(), row.content)
}

/// `2023-07`.
fn month(day: Day) -> String {
    let text = day.to_string();
    text.get(..7).unwrap_or(&text).to_owned()
}

/// Splits folds into what has no day and what belongs to a month.
fn by_month(folds: Folds) -> (Folds, BTreeMap<String, Folds>) {
    let mut months: BTreeMap<String, Folds> = BTreeMap::new();
    let mut names: BTreeMap<Day, String> = BTreeMap::new();
    let mut name = |day: Day| names.entry(day).or_insert_with(|| month(day)).clone();
    for (key, fact) in folds.usage {
        months.entry(name(key.day)).or_default().usage.insert(key, fact);
    }
    for (key, count) in folds.coverage {
        let day = Timestamp::from_micros(i64::from(key.hour) * MICROS_PER_HOUR).day();
        months.entry(name(day)).or_default().coverage.insert(key, count);
    }
    let timeless = Folds { usage: BTreeMap::new(), coverage: BTreeMap::new(), ..folds };
    (timeless, months)
}

/// Rows of a kind, and the first and last instant that they speak of.
fn extent(kind: PartKind, folds: &Folds) -> (usize, i64, i64) {
    let span = |days: BTreeSet<i64>, unit: i64| {
        let first = days.first().copied().unwrap_or(0);
        (first * unit, (days.last().copied().unwrap_or(0) + 1) * unit - 1)
    };
    let (rows, (first, last)) = match kind {
        PartKind::Usage => {
            (folds.usage.len(), span(folds.usage.keys().map(|k| i64::from(k.day.0)).collect(), MICROS_PER_DAY))
        }
        PartKind::Coverage => {
            (folds.coverage.len(), span(folds.coverage.keys().map(|k| i64::from(k.hour)).collect(), MICROS_PER_HOUR))
        }
        PartKind::Shapes => (folds.shapes.len(), (0, 0)),
        PartKind::Sessions => (folds.sessions.len(), (0, 0)),
        PartKind::Issued => (folds.issued.len(), (0, 0)),
        PartKind::TrailCalls => (folds.trail_calls.len(), (0, 0)),
        PartKind::Events => (0, (0, 0)),
    };
    (rows, first, last)
}
