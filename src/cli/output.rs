//! One renderer turns a typed table into every format. stdout carries data only.

use std::io::{self, Write};

use clap::ValueEnum;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use crate::compare::assessment::Gap;
use crate::model::table::{Cell, Column, ColumnKind, Rows};
use crate::model::time::{Timestamp, Window};

use super::escape;

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One object: `{"meta": …, "rows": […]}`.
    Json,
    /// One object a row, a line each.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
    /// A Markdown table.
    Md,
}

/// What machine output says about itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Meta {
    /// The command.
    pub command: String,
    /// The instant that the answer speaks for.
    pub as_of: Option<Timestamp>,
    /// The window of use.
    pub window: Option<Window>,
    /// Generation of the lake.
    pub generation: Option<u64>,
    /// Version of the catalogue.
    pub catalogue: Option<String>,
    /// Hash of the IAM snapshot.
    pub snapshot: Option<String>,
    /// Coverage in one line.
    pub coverage: Option<String>,
    /// What narrows the claims.
    pub gaps: Vec<Gap>,
}

/// Writes rows in the chosen format.
///
/// # Errors
/// When the writer fails.
pub fn write(out: &mut dyn Write, format: Format, meta: &Meta, rows: &dyn Rows, width: Option<u16>) -> io::Result<()> {
    match format {
        Format::Table => writeln!(out, "{}", super::table::text(rows, width)),
        Format::Json => {
            let meta = nested(&serde_json::to_string_pretty(meta)?, "\n  ");
            write!(out, "{{\n  \"meta\": {meta},\n  \"rows\": [")?;
            each_row(out, rows, |at, row| {
                let comma = if at == 0 { "" } else { "," };
                Ok(format!("{comma}\n    {}", nested(&serde_json::to_string_pretty(row)?, "\n    ")))
            })?;
            writeln!(out, "{}]\n}}", if rows.count() == 0 { "" } else { "\n  " })
        }
        Format::Ndjson => each_row(out, rows, |_, row| {
            let text = serde_json::to_string(row)?;
            Ok(format!("{}\n", escape::json(&text)))
        }),
        Format::Csv => csv(out, rows),
        Format::Md => markdown(out, rows),
    }
}

/// JSON as it stands within more of it, where lines begin so.
fn nested(json: &str, line: &str) -> String {
    escape::json(json).replace('\n', line)
}

/// Rows that are rendered at once, for every core.
const ROWS_A_CORE: usize = 256;

/// Renders rows on all cores and writes them in their order: a large answer is never held whole.
fn each_row(
    out: &mut dyn Write,
    rows: &dyn Rows,
    render: impl Fn(usize, &Object<'_>) -> io::Result<String> + Sync,
) -> io::Result<()> {
    let step = ROWS_A_CORE * rayon::current_num_threads().max(1);
    for from in (0..rows.count()).step_by(step) {
        let some = from..rows.count().min(from + step);
        let rendered: io::Result<Vec<String>> = some
            .into_par_iter()
            .map(|at| render(at, &Object { columns: rows.columns(), cells: &rows.row(at) }))
            .collect();
        rendered?.iter().try_for_each(|text| out.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// A row as an object, its columns in their order.
struct Object<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().map(|column| &column.name).zip(self.cells))
    }
}

/// A cell as text.
pub(super) fn plain(cell: &Cell, separator: &str) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Boolean(b) => if *b { "yes" } else { "no" }.to_owned(),
        Cell::Integer(i) => i.to_string(),
        Cell::Text(t) => t.clone(),
        Cell::Time(t) => t.to_string(),
        Cell::List(items) => items.join(separator),
        Cell::Object(v) => v.to_string(),
    }
}

fn csv(out: &mut dyn Write, rows: &dyn Rows) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(rows.columns().iter().map(|column| column.name.as_str())).map_err(plain_io)?;
    for at in 0..rows.count() {
        let row = rows.row(at);
        let cells: Vec<String> = row
            .iter()
            .map(|cell| match cell {
                Cell::Boolean(b) => b.to_string(),
                Cell::Object(v) => escape::json(&v.to_string()).into_owned(),
                Cell::Text(_) | Cell::List(_) => escape::csv(&plain(cell, ";")).into_owned(),
                other => plain(other, ";"),
            })
            .collect();
        writer.write_record(cells).map_err(plain_io)?;
    }
    writer.flush()
}

/// The error beneath one of the CSV writer, which would hide that the reader of a pipe went away.
fn plain_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn markdown(out: &mut dyn Write, rows: &dyn Rows) -> io::Result<()> {
    let names: Vec<&str> = rows.columns().iter().map(|column| column.name.as_str()).collect();
    writeln!(out, "| {} |", names.join(" | "))?;
    let rule: Vec<&str> =
        rows.columns().iter().map(|column| if column.kind == ColumnKind::Integer { "---:" } else { "---" }).collect();
    writeln!(out, "| {} |", rule.join(" | "))?;
    for at in 0..rows.count() {
        let cells: Vec<String> = rows.row(at).iter().map(|cell| escape::markdown(&plain(cell, ", "))).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::Table;

    fn sample() -> Table {
        Table {
            columns: vec![
                Column::new("principal", ColumnKind::Text, ""),
                Column::new("count", ColumnKind::Integer, ""),
                Column::new("regions", ColumnKind::List, ""),
                Column::new("human", ColumnKind::Boolean, ""),
            ],
            rows: vec![
                vec![
                    "=cmd|' /C calc'".into(),
                    Cell::Integer(-3),
                    vec!["a".to_owned(), "b".to_owned()].into(),
                    true.into(),
                ],
                vec!["x\u{1b}[0m".into(), Cell::Null, Cell::List(Vec::new()), false.into()],
            ],
        }
    }

    fn rendered(format: Format) -> String {
        let mut out = Vec::new();
        write(&mut out, format, &Meta { command: "test".into(), ..Meta::default() }, &sample(), None).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_format_from_one_table() {
        assert_eq!(
            rendered(Format::Csv),
            "principal,count,regions,human\n'=cmd|' /C calc',-3,a;b,true\nx\\u{1b}[0m,,,false\n"
        );
        assert!(rendered(Format::Md).contains("| =cmd\\|' /C calc' | -3 | a, b | yes |"));
        assert_eq!(
            rendered(Format::Ndjson).lines().next(),
            Some(r#"{"principal":"=cmd|' /C calc'","count":-3,"regions":["a","b"],"human":true}"#)
        );
        let whole: serde_json::Value = serde_json::from_str(&rendered(Format::Json)).unwrap();
        assert_eq!(whole["rows"][1]["count"], serde_json::Value::Null);
        assert_eq!(whole["meta"]["command"], "test");
        assert!(!rendered(Format::Table).contains('\u{1b}'));
    }
}
