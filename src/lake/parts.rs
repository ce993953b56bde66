//! Writes the Parquet files of one generation and notes what the manifest has to name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hashbrown::HashMap;

use super::chunk::{Chunk, Row};
use super::disk;
use super::error::LakeError;
use super::fold::{ChunkFolds, Covered, Noted, Place, place};
use super::ids::Class;
use super::manifest::Part;
use super::schema::PartKind;
use super::symbols::Sym;
use super::table::{events_bytes, fold_bytes};
use crate::model::time::{Day, MICROS_PER_HOUR, Timestamp};
use crate::usage::fold::{CoverageFact, FOLD_VERSION};

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
        let mut copies = copies(chunk, classes);
        let mut months = by_month(chunk, classes);
        for month in copies.keys() {
            months.entry(month.clone()).or_default();
        }
        for (month, indices) in &months {
            let noted: Vec<(&Row, &Noted)> = chunk
                .noted
                .iter()
                .filter_map(|(index, noted)| {
                    let index = *index as usize;
                    let row =
                        chunk.rows.get(index).filter(|_| classes.get(index).is_some_and(|class| class.is_stored()))?;
                    (self::month(row.time.day()) == *month).then_some((row, noted))
                })
                .collect();
            let rows = sorted(chunk, indices);
            let mut folds = ChunkFolds::of(chunk, &rows);
            let copied = copies.remove(month).unwrap_or_default();
            let hour = |hour: i32| Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR);
            let times = rows.iter().map(|row| row.time);
            let span = (times.clone().min().unwrap_or_default(), times.clone().max().unwrap_or_default());
            let all = times.chain(copied.keys().map(|(_, _, at, _)| hour(*at)));
            let covered = (all.clone().min().unwrap_or_default(), all.max().unwrap_or_default());
            folds.cover_copies(copied);
            for kind in PartKind::ALL {
                let name = self.name(kind, month);
                let path = self.store.join(&name);
                let made = match kind {
                    PartKind::Events if rows.is_empty() => None,
                    PartKind::Events => Some((events_bytes(chunk, &rows, &path)?, rows.len())),
                    _ => fold_bytes(kind, chunk, &folds, &noted, &path)?,
                };
                if let Some((bytes, count)) = made {
                    let span = if kind == PartKind::Coverage { covered } else { span };
                    parts.push(self.put(kind, month, name, &bytes, count, span)?);
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

/// Rows in the order of a segment: account, time, id, so that queries prune by account and time.
fn sorted<'c>(chunk: &'c Chunk, indices: &[u32]) -> Vec<&'c Row> {
    let row = |index: u32| chunk.rows.get(index as usize);
    let accounts: BTreeSet<Sym> = indices.iter().filter_map(|index| Some(row(*index)?.account)).collect();
    let mut accounts: Vec<Sym> = accounts.into_iter().collect();
    accounts.sort_by_key(|account| chunk.sym(*account));
    let ranks: HashMap<Sym, u32> = accounts.into_iter().zip(0..).collect();
    let mut keys: Vec<(u32, Timestamp, u128, u32)> = indices
        .iter()
        .filter_map(|index| {
            let row = row(*index)?;
            let rank = ranks.get(&row.account).copied().unwrap_or_default();
            Some((rank, row.time, u128::from_be_bytes(row.entry.id), *index))
        })
        .collect();
    keys.sort_unstable();
    keys.into_iter().filter_map(|(.., index)| row(index)).collect()
}

/// The rows to be kept by month, as indices.
fn by_month(chunk: &Chunk, classes: &[Class]) -> BTreeMap<String, Vec<u32>> {
    let mut months: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut days: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
    // Rows of one file are of one day, mostly.
    let mut run: Option<(Day, Vec<u32>)> = None;
    for ((index, row), class) in (0..).zip(&chunk.rows).zip(classes) {
        if !class.is_stored() {
            continue;
        }
        let day = row.time.day();
        match &mut run {
            Some((known, rows)) if *known == day => rows.push(index),
            _ => {
                if let Some((day, rows)) = run.replace((day, vec![index])) {
                    days.entry(day).or_default().extend(rows);
                }
            }
        }
    }
    for (day, rows) in days.into_iter().chain(run) {
        months.entry(month(day)).or_default().extend(rows);
    }
    months
}

/// What copies of stored events say of hours, by month: an event first known from an export counts as coverage once its
/// trail file was read.
fn copies(chunk: &Chunk, classes: &[Class]) -> BTreeMap<String, Covered> {
    let mut months: BTreeMap<String, Covered> = BTreeMap::new();
    let mut run: Option<(Place, u64)> = None;
    let mut add = |cell: Option<(Place, u64)>| {
        let Some((place, whole)) = cell else { return };
        let day = Timestamp::from_micros(i64::from(place.2) * MICROS_PER_HOUR).day();
        let fact = CoverageFact { count: 0, whole };
        months.entry(month(day)).or_default().entry(place).or_default().merge(&fact);
    };
    for (row, class) in chunk.rows.iter().zip(classes) {
        if *class != Class::Duplicate || !chunk.is_whole(row.file) {
            continue;
        }
        let place = place(row);
        match &mut run {
            Some((known, sum)) if *known == place => *sum += 1,
            _ => add(run.replace((place, 1))),
        }
    }
    add(run);
    months
}

/// `2023-07`.
pub(crate) fn month(day: Day) -> String {
    let text = day.to_string();
    text.get(..7).unwrap_or(&text).to_owned()
}
