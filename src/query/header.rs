//! The header of a query file: question, parameters and output columns, as comments.
//!
//! ```sql
//! -- question: What did an access key do?
//! -- about: A second sentence, where one is needed; may repeat.
//! -- param access_key text : the key's id
//! -- param days integer = 90 : days before the as-of instant
//! -- param since time = null : earliest instant
//! -- column action text : what was called
//! SELECT …
//! ```

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::model::table::{Column, ColumnKind};

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// An instant, RFC 3339 or a date.
    Time,
    /// `true` or `false`.
    Boolean,
}

/// A parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryParameter {
    /// Name, without the `$`.
    pub name: String,
    /// Kind.
    pub kind: ParameterKind,
    /// Whether it has to be given.
    pub required: bool,
    /// Default; none stands for null.
    pub default: Option<String>,
    /// Meaning.
    pub about: String,
}

/// A query, as its header describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryInfo {
    /// Name: the file's, without `.sql`.
    pub name: String,
    /// Question.
    pub question: String,
    /// More about it; may be empty.
    pub about: String,
    /// Parameters, in the order of the file.
    pub parameters: Vec<QueryParameter>,
    /// Output columns, in order.
    pub columns: Vec<Column>,
    /// The SQL text, header included.
    pub sql: String,
}

/// A query file whose header cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("query `{query}`, line {line}: {reason}")]
pub struct HeaderError {
    /// Query.
    pub query: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what was expected.
    pub reason: String,
}

impl QueryInfo {
    /// Whether the text names a table. What it names otherwise by that word counts, too: to load more than is asked for
    /// changes no answer.
    #[must_use]
    pub fn names(&self, table: &str) -> bool {
        let text = self.sql.lines().filter(|line| !line.trim_start().starts_with("--"));
        let mut words = text.flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
        words.any(|word| word.eq_ignore_ascii_case(table))
    }

    /// Reads the header of a query file.
    ///
    /// # Errors
    /// When a line of the header is none of those above, or question or columns are missing.
    pub fn parse(name: &str, sql: &str) -> Result<Self, HeaderError> {
        let mut info = Self {
            name: name.to_owned(),
            question: String::new(),
            about: String::new(),
            parameters: Vec::new(),
            columns: Vec::new(),
            sql: sql.to_owned(),
        };
        let mut names = BTreeSet::new();
        let mut last = 0;
        for (index, line) in sql.lines().enumerate() {
            let Some(comment) = line.strip_prefix("--") else { break };
            last = index + 1;
            let failed = |reason: String| HeaderError { query: name.to_owned(), line: last, reason };
            let (key, rest) = comment.trim().split_once([' ', ':']).unwrap_or((comment.trim(), ""));
            let rest = rest.trim().trim_start_matches(':').trim();
            match key {
                "question" if info.question.is_empty() => info.question = rest.to_owned(),
                "about" if info.about.is_empty() => info.about = rest.to_owned(),
                "about" => info.about = format!("{} {rest}", info.about),
                "param" => info.parameters.push(parameter(rest).map_err(failed)?),
                "column" => info.columns.push(column(rest).map_err(failed)?),
                other => {
                    let reason =
                        format!("`{other}` is not part of a header; expected question, about, param or column");
                    return Err(failed(reason));
                }
            }
            let named = match key {
                "param" => info.parameters.last().map(|parameter| format!("${}", parameter.name)),
                "column" => info.columns.last().map(|column| column.name.clone()),
                _ => None,
            };
            if let Some(named) = named
                && !names.insert(named.clone())
            {
                return Err(failed(format!("`{named}` occurs twice; expected once")));
            }
        }
        let missing = |what: &str| HeaderError {
            query: name.to_owned(),
            line: last + 1,
            reason: format!("header has no {what}; expected one before the first statement"),
        };
        if info.question.is_empty() {
            return Err(missing("question"));
        }
        if info.columns.is_empty() {
            return Err(missing("column"));
        }
        Ok(info)
    }
}

/// `NAME TYPE [= DEFAULT] : MEANING`
fn parameter(text: &str) -> Result<QueryParameter, String> {
    let (declared, about) = split_meaning(text)?;
    let (declared, default) = match declared.split_once('=') {
        Some((declared, default)) => (declared.trim(), Some(default.trim())),
        None => (declared, None),
    };
    let (name, kind) = name_and_kind(declared)?;
    let kind = match kind {
        "text" => ParameterKind::Text,
        "integer" => ParameterKind::Integer,
        "time" => ParameterKind::Time,
        "boolean" => ParameterKind::Boolean,
        other => return Err(format!("`{other}` is no kind of parameter; expected text, integer, time or boolean")),
    };
    Ok(QueryParameter {
        name: name.to_owned(),
        kind,
        required: default.is_none(),
        default: default.filter(|default| *default != "null").map(str::to_owned),
        about: about.to_owned(),
    })
}

/// `NAME KIND : MEANING`
fn column(text: &str) -> Result<Column, String> {
    let (declared, about) = split_meaning(text)?;
    let (name, kind) = name_and_kind(declared)?;
    let kind = match kind {
        "text" => ColumnKind::Text,
        "integer" => ColumnKind::Integer,
        "time" => ColumnKind::Time,
        "boolean" => ColumnKind::Boolean,
        "list" => ColumnKind::List,
        other => return Err(format!("`{other}` is no kind of column; expected text, integer, time, boolean or list")),
    };
    Ok(Column::new(name, kind, about))
}

fn split_meaning(text: &str) -> Result<(&str, &str), String> {
    match text.split_once(" : ") {
        Some((declared, about)) if !about.trim().is_empty() => Ok((declared.trim(), about.trim())),
        _ => Err("meaning is missing; expected ` : ` and a sentence".to_owned()),
    }
}

fn name_and_kind(declared: &str) -> Result<(&str, &str), String> {
    let (name, kind) =
        declared.split_once(' ').ok_or_else(|| format!("`{declared}` has no kind; expected a name and a kind"))?;
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_lowercase());
    if plain { Ok((name, kind.trim())) } else { Err(format!("`{name}` is no field name; expected snake_case")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let sql = "-- question: What?\n-- about: More.\n-- about: And more.\n-- param who text : the one\n\
                   -- param days integer = 90 : how far\n-- param since time = null : from\n-- column a text : an a\nSELECT 1\n-- later comment";
        let info = QueryInfo::parse("q", sql).unwrap();
        assert_eq!((info.question.as_str(), info.about.as_str()), ("What?", "More. And more."));
        let parameters: Vec<(&str, bool, Option<&str>)> =
            info.parameters.iter().map(|p| (p.name.as_str(), p.required, p.default.as_deref())).collect();
        assert_eq!(parameters, [("who", true, None), ("days", false, Some("90")), ("since", false, None)]);
        assert_eq!(info.columns, [Column::new("a", ColumnKind::Text, "an a")]);
    }

    #[test]
    fn faulty_headers_are_refused_with_their_line() {
        for (sql, line, reason) in [
            ("SELECT 1", 1, "no question"),
            ("-- question: Q\nSELECT 1", 2, "no column"),
            ("-- question: Q\n-- hello\n", 2, "`hello` is not part"),
            ("-- question: Q\n-- param x texts : m\n", 2, "no kind of parameter"),
            ("-- question: Q\n-- param x text\n", 2, "meaning is missing"),
            ("-- question: Q\n-- column X text : m\n", 2, "no field name"),
            ("-- question: Q\n-- column x text : m\n-- column x text : m\n", 3, "occurs twice"),
            ("-- question: Q\n-- column x : m\n", 2, "has no kind"),
        ] {
            let error = QueryInfo::parse("q", sql).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
    }
}
