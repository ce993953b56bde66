//! Parquet in and out, by way of data frames. Nothing outside the lake sees a data frame.

mod columns;
mod copies;
mod events;
mod folds;
mod slices;

use std::io::Cursor;
use std::path::Path;

use hashbrown::HashMap;

use polars::prelude::{Column, DataFrame, DataType, ParquetReader, PolarsError, SerReader};

use super::error::LakeError;
use crate::model::time::Timestamp;

use columns::{Columns, ParquetBytes};
pub(crate) use copies::{Copies, Foreign, SharedId, read_calls, read_copies};
pub use events::EventRow;
pub(crate) use events::{events_bytes, hex, read_events};
pub(crate) use folds::{
    CallFilter, SessionFilter, fold_bytes, read_fold, read_issued, read_sessions, read_shapes_of, read_usage,
    widen_spans,
};
pub(crate) use slices::{CallColumns, CallRow, KeyColumns, via};

/// Rows of a row group: small enough to prune by, large enough to compress.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// A data frame that was read, with typed access by column name.
pub(crate) struct Table<'p> {
    frame: DataFrame,
    path: &'p Path,
}

impl<'p> Table<'p> {
    pub(crate) fn read(path: &'p Path) -> Result<Self, LakeError> {
        let bytes = std::fs::read(path).map_err(|e| LakeError::io("read", path, e))?;
        match ParquetReader::new(Cursor::new(bytes)).finish() {
            Ok(frame) => Ok(Self { frame, path }),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Reads some columns only.
    pub(crate) fn read_columns(path: &'p Path, columns: &[&str]) -> Result<Self, LakeError> {
        let bytes = std::fs::read(path).map_err(|e| LakeError::io("read", path, e))?;
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        match ParquetReader::new(Cursor::new(bytes)).with_columns(Some(columns)).finish() {
            Ok(frame) => Ok(Self { frame, path }),
            Err(error) => Err(failed(path, &error)),
        }
    }

    pub(crate) fn height(&self) -> usize {
        self.frame.height()
    }

    fn column(&self, name: &str) -> Result<&Column, LakeError> {
        self.frame.column(name).map_err(|e| failed(self.path, &e))
    }

    fn text(&self, name: &str) -> Result<Vec<&str>, LakeError> {
        let column = self.column(name)?.str().map_err(|e| failed(self.path, &e))?;
        Ok(column.iter().map(Option::unwrap_or_default).collect())
    }

    /// A column whose texts repeat, as numbers.
    fn coded(&self, name: &str) -> Result<Coded<'_>, LakeError> {
        let column = self.column(name)?.str().map_err(|e| failed(self.path, &e))?;
        let mut coded = Coded { numbers: Vec::with_capacity(column.len()), texts: Vec::new() };
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut last = ("", None);
        for text in column.iter().map(Option::unwrap_or_default) {
            let number = match last {
                // Rows are stored sorted: most are as the one before.
                (before, Some(number)) if before == text => number,
                _ => *known.entry(text).or_insert_with(|| {
                    coded.texts.push(text);
                    coded.texts.len() as u32 - 1
                }),
            };
            last = (text, Some(number));
            coded.numbers.push(number);
        }
        Ok(coded)
    }

    /// A column that tables of earlier releases do not have; empty there.
    fn later_text(&self, name: &str) -> Result<Vec<&str>, LakeError> {
        if self.frame.get_column_index(name).is_some() { self.text(name) } else { Ok(Vec::new()) }
    }

    /// As [`Table::later_text`], of numbers.
    fn later_count(&self, name: &str) -> Result<Vec<u64>, LakeError> {
        if self.frame.get_column_index(name).is_some() { self.count(name) } else { Ok(Vec::new()) }
    }

    fn optional_text(&self, name: &str) -> Result<Vec<Option<&str>>, LakeError> {
        Ok(self.column(name)?.str().map_err(|e| failed(self.path, &e))?.iter().collect())
    }

    fn optional_flag(&self, name: &str) -> Result<Vec<Option<bool>>, LakeError> {
        Ok(self.column(name)?.bool().map_err(|e| failed(self.path, &e))?.iter().collect())
    }

    fn flag(&self, name: &str) -> Result<Vec<bool>, LakeError> {
        Ok(self.optional_flag(name)?.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn key(&self, name: &str) -> Result<Vec<u64>, LakeError> {
        let column = self.column(name)?.u64().map_err(|e| failed(self.path, &e))?;
        Ok(column.iter().map(Option::unwrap_or_default).collect())
    }

    fn count(&self, name: &str) -> Result<Vec<u64>, LakeError> {
        let column = self.column(name)?.i64().map_err(|e| failed(self.path, &e))?;
        Ok(column.iter().map(|v| u64::try_from(v.unwrap_or_default()).unwrap_or(0)).collect())
    }

    fn time(&self, name: &str) -> Result<Vec<Timestamp>, LakeError> {
        let column = self.column(name)?.cast(&DataType::Int64).map_err(|e| failed(self.path, &e))?;
        let column = column.i64().map_err(|e| failed(self.path, &e))?;
        Ok(column.iter().map(|v| Timestamp::from_micros(v.unwrap_or_default())).collect())
    }
}

/// A column of texts: each once, and of each row its number.
pub(crate) struct Coded<'t> {
    numbers: Vec<u32>,
    texts: Vec<&'t str>,
}

impl<'t> Coded<'t> {
    fn at(&self, row: usize) -> u32 {
        at(&self.numbers, row)
    }

    fn text(&self, row: usize) -> &'t str {
        at(&self.texts, self.at(row) as usize)
    }
}

fn failed(path: &Path, error: &PolarsError) -> LakeError {
    LakeError::Table { path: path.to_owned(), reason: error.to_string() }
}

/// A value as JSON text; these are lists of texts, which cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn from_json<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, LakeError> {
    serde_json::from_str(text).map_err(|e| LakeError::Damaged { path: path.to_owned(), reason: e.to_string() })
}

/// The n-th value of a column; columns of one table are equally long.
fn at<T: Clone + Default>(column: &[T], row: usize) -> T {
    column.get(row).cloned().unwrap_or_default()
}
