//! Parquet in and out, by way of data frames. Nothing outside the lake sees a data frame.

mod events;
mod folds;
mod slices;

use std::io::Cursor;
use std::path::Path;

use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn, NamedFrom, NewChunkedArray, ParquetCompression, ParquetReader,
    ParquetWriter, PolarsError, PolarsResult, SerReader, Series, StatisticsOptions, StringChunked, TimeUnit,
};

use polars::polars_utils::compression::ZstdLevel;

use super::error::LakeError;
use crate::model::time::Timestamp;

pub use events::EventRow;
pub(crate) use events::{events_bytes, hex, read_events};
pub(crate) use folds::{fold_bytes, read_fold};
pub(crate) use slices::{CallColumns, CallRow, KeyColumns, via};

/// Rows of a row group: small enough to prune by, large enough to compress.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// zstd level of what an ingest writes: the fastest. Compaction packs tighter.
const ZSTD_LEVEL: i32 = 1;

/// Columns on their way into a data frame.
#[derive(Default)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    fn put(&mut self, name: &str, series: Series) {
        self.0.push(series.with_name(name.into()).into());
    }

    fn text<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        self.0.push(StringChunked::from_iter_values(name.into(), values).into_column());
    }

    fn texts(&mut self, name: &str, values: impl Iterator<Item = String>) {
        self.0.push(StringChunked::from_iter_values(name.into(), values).into_column());
    }

    fn optional_text<'a>(&mut self, name: &str, values: impl Iterator<Item = Option<&'a str>>) {
        self.put(name, Series::new(name.into(), values.collect::<Vec<_>>()));
    }

    fn flag(&mut self, name: &str, values: impl Iterator<Item = bool>) {
        self.put(name, Series::new(name.into(), values.collect::<Vec<_>>()));
    }

    fn optional_flag(&mut self, name: &str, values: impl Iterator<Item = Option<bool>>) {
        self.put(name, Series::new(name.into(), values.collect::<Vec<_>>()));
    }

    fn key(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.put(name, Series::new(name.into(), values.collect::<Vec<_>>()));
    }

    fn count(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let values: Vec<i64> = values.map(super::manifest::signed).collect();
        self.put(name, Series::new(name.into(), values));
    }

    fn time(&mut self, name: &str, values: impl Iterator<Item = Timestamp>) -> PolarsResult<()> {
        let values: Vec<i64> = values.map(Timestamp::micros).collect();
        let series = Series::new(name.into(), values).cast(&DataType::Datetime(TimeUnit::Microseconds, None))?;
        self.put(name, series);
        Ok(())
    }

    /// The Parquet file, in memory: it is written out in one piece, so that a full disk is seen as what it is.
    fn into_parquet(self, height: usize) -> PolarsResult<Vec<u8>> {
        let mut frame = DataFrame::new(height, self.0)?;
        let mut out = Vec::new();
        let mut statistics = StatisticsOptions::full();
        // Nobody asks for it, and it costs a hash a value.
        statistics.distinct_count = false;
        ParquetWriter::new(&mut out)
            .with_compression(ParquetCompression::Zstd(Some(ZstdLevel::try_new(ZSTD_LEVEL)?)))
            // The caller's threads are the only ones: each writes files of its own.
            .set_parallel(false)
            .with_statistics(statistics)
            .with_row_group_size(Some(ROW_GROUP_ROWS))
            .finish(&mut frame)?;
        Ok(out)
    }
}

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
