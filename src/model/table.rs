//! Typed tables: what a command returns, and the one shape from which every output format is rendered.

use serde::Serialize;

use std::borrow::Cow;

use super::time::Timestamp;

/// How a column is meant, for alignment and machine output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// An instant.
    Time,
    /// Yes or no.
    Boolean,
    /// A list of texts.
    List,
    /// A nested object.
    Object,
}

/// A column. `name` is the stable snake_case field name of every machine format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Field name.
    pub name: String,
    /// What the values are.
    pub kind: ColumnKind,
    /// One sentence for `jitscan schema`.
    pub about: String,
}

impl Column {
    /// A column of the given name, kind and meaning.
    #[must_use]
    pub fn new(name: &str, kind: ColumnKind, about: &str) -> Self {
        Self { name: name.to_owned(), kind, about: about.to_owned() }
    }
}

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing is known or applies.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// An instant.
    Time(Timestamp),
    /// A list of texts.
    List(Vec<String>),
    /// A nested value.
    Object(serde_json::Value),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for Cell {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}

impl From<Vec<String>> for Cell {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Rows that can be written out one by one: a large answer is not made whole first.
pub trait Rows: Sync {
    /// Columns, in display order.
    fn columns(&self) -> &[Column];
    /// How many rows there are.
    fn count(&self) -> usize;
    /// The cells of a row, as many as columns.
    fn row(&self, at: usize) -> Cow<'_, [Cell]>;
}

/// Rows that are made when they are asked for.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Made<'a> {
    /// Columns, in display order.
    pub columns: Vec<Column>,
    /// How many rows there are.
    pub count: usize,
    /// Makes a row.
    pub make: &'a (dyn Fn(usize) -> Vec<Cell> + Sync),
}

impl Rows for Made<'_> {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn count(&self) -> usize {
        self.count
    }

    fn row(&self, at: usize) -> Cow<'_, [Cell]> {
        Cow::Owned((self.make)(at))
    }
}

impl Rows for Table {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn count(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, at: usize) -> Cow<'_, [Cell]> {
        Cow::Borrowed(self.rows.get(at).map_or(&[], Vec::as_slice))
    }
}

/// A table: columns and rows of as many cells, totally ordered by whoever made it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// Columns, in display order.
    pub columns: Vec<Column>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
}
