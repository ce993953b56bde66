//! Columns on their way into a Parquet file.
//!
//! What repeats is known as numbers already, so dictionaries are taken from there: finding them anew, by hashing every
//! value of every column, costs more than all the rest of writing.

use polars_arrow::array::{Array, BinaryArray, BooleanArray, DictionaryArray, PrimitiveArray};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field, IntegerType, TimeUnit};
use polars_arrow::offset::OffsetsBuffer;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::write::{
    CompressionOptions, Compressor, DynIter, DynStreamingIterator, Encoding, FileWriter, StatisticsOptions, Version,
    WriteOptions, ZstdLevel, array_to_columns,
};

use polars::prelude::{PolarsError, PolarsResult};

use crate::lake::symbols::Symbols;
use crate::model::time::Timestamp;

/// zstd level of what an ingest writes: the fastest. Compaction packs tighter.
const ZSTD_LEVEL: i32 = 1;

/// A dictionary is worth its indirection when it has at most this share of the rows, in quarters.
const WORTH_QUARTERS: usize = 3;

/// How a column is written.
#[derive(Clone, Copy)]
enum Form {
    /// Sorted out by minimum and maximum when read.
    Sought(Encoding),
    /// Read as it is.
    Kept(Encoding),
    /// Random bytes: nothing to compress.
    Raw,
}

struct Column {
    field: Field,
    array: Box<dyn Array>,
    form: Form,
}

/// The columns of one row group, all equally long.
#[derive(Default)]
pub(super) struct Columns {
    list: Vec<Column>,
    rows: usize,
    /// Used again from column to column: see [`keys`].
    known: Vec<u32>,
    failed: Option<PolarsError>,
}

impl Columns {
    fn put(&mut self, name: &str, kind: ArrowDataType, array: PolarsResult<Box<dyn Array>>, form: Form) {
        match array {
            Ok(array) => {
                self.rows = array.len();
                self.list.push(Column { field: Field::new(name.into(), kind, true), array, form });
            }
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    /// Texts that are mostly different.
    pub(super) fn plain<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str> + Clone) {
        self.put(name, ArrowDataType::LargeUtf8, boxed(texts(values, None)), Form::Kept(Encoding::Plain));
    }

    /// Texts that are mostly different; the empty one is null.
    pub(super) fn optional<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str> + Clone) {
        let validity = Bitmap::from_iter(values.clone().map(|text| !text.is_empty()));
        let array = texts(values, Some(validity));
        self.put(name, ArrowDataType::LargeUtf8, boxed(array), Form::Kept(Encoding::Plain));
    }

    /// Texts by their number: `numbers` are below `count` (a hint of size), and equal ones have equal texts.
    pub(super) fn coded<'a>(
        &mut self,
        name: &str,
        count: usize,
        numbers: impl Iterator<Item = u32> + Clone,
        text: impl Fn(u32) -> &'a str,
    ) {
        let (keys, distinct) = keys(&mut self.known, count, numbers.clone());
        if worth(distinct.len(), keys.len()) {
            let values = boxed(texts(distinct.iter().map(|number| text(*number)), None));
            let array = values.and_then(|values| dictionary(keys, values, ArrowDataType::LargeBinary));
            self.put(name, ArrowDataType::LargeUtf8, array, Form::Sought(Encoding::RleDictionary));
        } else {
            self.plain(name, numbers.map(&text));
        }
    }

    /// Keys by the number of what they are the key of, below `count`.
    pub(super) fn coded_key(
        &mut self,
        name: &str,
        count: usize,
        numbers: impl Iterator<Item = u32> + Clone,
        key: impl Fn(u32) -> u64,
    ) {
        let (keys, distinct) = keys(&mut self.known, count, numbers.clone());
        if worth(distinct.len(), keys.len()) {
            let values = integers(distinct.into_iter().map(key), ArrowDataType::UInt64);
            let array = values.and_then(|values| dictionary(keys, values, ArrowDataType::UInt64));
            self.put(name, ArrowDataType::UInt64, array, Form::Sought(Encoding::RleDictionary));
        } else {
            self.key(name, numbers.map(key));
        }
    }

    /// Texts of which few are different, next to each other mostly the same.
    pub(super) fn text<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        let mut symbols = Symbols::default();
        let mut last = ("", symbols.intern(""));
        let numbers: Vec<u32> = values
            .map(|text| {
                if !std::ptr::eq(last.0, text) {
                    last = (text, symbols.intern(text));
                }
                last.1.0
            })
            .collect();
        self.coded(name, symbols.len(), numbers.iter().copied(), |number| symbols.text(number));
    }

    pub(super) fn flag(&mut self, name: &str, values: impl Iterator<Item = bool>) {
        let array = BooleanArray::new(ArrowDataType::Boolean, Bitmap::from_iter(values), None);
        self.put(name, ArrowDataType::Boolean, Ok(array.boxed()), Form::Sought(Encoding::Plain));
    }

    pub(super) fn optional_flag(&mut self, name: &str, values: impl Iterator<Item = Option<bool>> + Clone) {
        let validity = Bitmap::from_iter(values.clone().map(|value| value.is_some()));
        let values = Bitmap::from_iter(values.map(Option::unwrap_or_default));
        let array = BooleanArray::new(ArrowDataType::Boolean, values, Some(validity));
        self.put(name, ArrowDataType::Boolean, Ok(array.boxed()), Form::Sought(Encoding::Plain));
    }

    /// Numbers without order, such as keys and bit sets.
    pub(super) fn key(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let array = integers(values, ArrowDataType::UInt64);
        self.put(name, ArrowDataType::UInt64, array, Form::Kept(Encoding::Plain));
    }

    /// Hashes.
    pub(super) fn hash(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.put(name, ArrowDataType::UInt64, integers(values, ArrowDataType::UInt64), Form::Raw);
    }

    pub(super) fn count(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let array = integers(values.map(crate::lake::manifest::signed), ArrowDataType::Int64);
        self.put(name, ArrowDataType::Int64, array, Form::Sought(Encoding::DeltaBinaryPacked));
    }

    pub(super) fn time(&mut self, name: &str, values: impl Iterator<Item = Timestamp>) {
        let kind = ArrowDataType::Timestamp(TimeUnit::Microsecond, None);
        let array = integers(values.map(Timestamp::micros), kind.clone());
        self.put(name, kind, array, Form::Sought(Encoding::DeltaBinaryPacked));
    }
}

/// A Parquet file in memory: it is written out in one piece, so that a full disk is seen as what it is.
pub(super) struct ParquetBytes {
    writer: Option<FileWriter<Vec<u8>>>,
}

impl ParquetBytes {
    pub(super) fn new() -> Self {
        Self { writer: None }
    }

    /// Adds a row group. All of a file have the same columns.
    pub(super) fn add(&mut self, columns: Columns) -> PolarsResult<()> {
        if let Some(error) = columns.failed {
            return Err(error);
        }
        let zstd = CompressionOptions::Zstd(Some(ZstdLevel::try_new(ZSTD_LEVEL)?));
        // The options of the file decide on page indexes, which nobody reads; column chunks have statistics of their own.
        if self.writer.is_none() {
            let schema: ArrowSchema = columns.list.iter().map(|column| column.field.clone()).collect();
            self.writer = Some(FileWriter::try_new(Vec::new(), schema, options(false, zstd))?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let kinds = writer.parquet_schema().fields().to_vec();
        let encoded = columns.list.into_iter().zip(kinds).map(move |(column, kind)| {
            let (options, encoding) = match column.form {
                Form::Sought(encoding) => (options(true, zstd), encoding),
                Form::Kept(encoding) => (options(false, zstd), encoding),
                Form::Raw => (options(false, CompressionOptions::Uncompressed), Encoding::Plain),
            };
            let mut leaves = array_to_columns(column.array, kind, options, &[encoding])?;
            // Flat columns have one leaf.
            let pages = leaves.swap_remove(0).map(|page| page.map_err(|e| ParquetError::OutOfSpec(e.to_string())));
            let pages = Compressor::new(pages, options.compression, Vec::new());
            let pages = polars_parquet::parquet::FallibleStreamingIterator::map_err(pages, PolarsError::from);
            Ok(DynStreamingIterator::new(pages))
        });
        writer.write(columns.rows as u64, DynIter::new(encoded))
    }

    /// The whole file.
    pub(super) fn finish(self) -> PolarsResult<Vec<u8>> {
        let Some(mut writer) = self.writer else { return Ok(Vec::new()) };
        writer.end(None)?;
        Ok(writer.into_inner())
    }
}

fn options(statistics: bool, compression: CompressionOptions) -> WriteOptions {
    let full = StatisticsOptions::default();
    let statistics = if statistics { full } else { StatisticsOptions::empty() };
    WriteOptions { statistics, version: Version::V1, compression, data_page_size: None }
}

/// Numbers from zero in the order of first use, and which number of `numbers` each stands for. `count` is about how many
/// there can be. `known` is `u32::MAX` throughout before and after: most columns use few of a chunk's texts.
fn keys(known: &mut Vec<u32>, count: usize, numbers: impl Iterator<Item = u32>) -> (Vec<u32>, Vec<u32>) {
    if known.len() < count {
        known.resize(count, u32::MAX);
    }
    let mut distinct = Vec::new();
    let mut keys = Vec::with_capacity(numbers.size_hint().0);
    for number in numbers {
        if number as usize >= known.len() {
            known.resize(number as usize + 1, u32::MAX);
        }
        let Some(key) = known.get_mut(number as usize) else { continue };
        if *key == u32::MAX {
            *key = distinct.len() as u32;
            distinct.push(number);
        }
        keys.push(*key);
    }
    for number in &distinct {
        if let Some(key) = known.get_mut(*number as usize) {
            *key = u32::MAX;
        }
    }
    (keys, distinct)
}

fn worth(distinct: usize, rows: usize) -> bool {
    distinct * 4 <= rows * WORTH_QUARTERS
}

fn boxed<A: Array>(array: PolarsResult<A>) -> PolarsResult<Box<dyn Array>> {
    array.map(|array| Box::new(array) as Box<dyn Array>)
}

/// Texts as what they are on disk, bytes: they came as texts, so nobody needs to look again.
fn texts<'a>(
    values: impl Iterator<Item = &'a str> + Clone,
    validity: Option<Bitmap>,
) -> PolarsResult<BinaryArray<i64>> {
    let (count, length) = values.clone().fold((0, 0), |(count, sum), text| (count + 1, sum + text.len()));
    let (mut bytes, mut ends) = (Vec::with_capacity(length), Vec::with_capacity(count + 1));
    ends.push(0i64);
    for text in values {
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len() as i64);
    }
    BinaryArray::try_new(ArrowDataType::LargeBinary, OffsetsBuffer::try_from(ends)?, bytes.into(), validity)
}

fn integers<T: polars_arrow::types::NativeType>(
    values: impl Iterator<Item = T>,
    kind: ArrowDataType,
) -> PolarsResult<Box<dyn Array>> {
    boxed(PrimitiveArray::try_new(kind, values.collect::<Vec<T>>().into(), None))
}

fn dictionary(keys: Vec<u32>, values: Box<dyn Array>, kind: ArrowDataType) -> PolarsResult<Box<dyn Array>> {
    let kind = ArrowDataType::Dictionary(IntegerType::UInt32, Box::new(kind), false);
    let keys = PrimitiveArray::try_new(ArrowDataType::UInt32, keys.into(), None)?;
    boxed(DictionaryArray::try_new(kind, keys, values))
}
