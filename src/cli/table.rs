//! Tables for people, as wide as their terminal.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table as TextTable, presets};

use crate::model::table::{ColumnKind, Rows, Table};

use super::escape;
use super::output::plain;

/// Widest content, in characters, of a column that never wraps.
const UNWRAPPED_MAX: usize = 20;
/// What a column that wraps wants at least, and the most lines that its widest cell may then take. Where a column would
/// get less, rows are shown one below the other.
const WRAPPED_MIN: usize = 12;
const LINES_MAX: usize = 8;
/// Blanks beside a column.
const PADDING: usize = 2;

/// Rows as text; without a width every row stays on one line, so that grep and `less -S` work.
pub(super) fn text(rows: &dyn Rows, width: Option<u16>) -> String {
    let table = whole(rows);
    let contents: Vec<usize> = (0..table.columns.len()).map(|at| content_width(&table, at)).collect();
    match width {
        Some(width) if !table.rows.is_empty() && least(&contents) > usize::from(width) => beneath(&table, width),
        _ => beside(&table, &contents, width).to_string(),
    }
}

/// The least width at which columns with these contents can be read beside each other.
fn least(contents: &[usize]) -> usize {
    let least = |content: usize| match content {
        ..=UNWRAPPED_MAX => content,
        _ => content.div_ceil(LINES_MAX).max(WRAPPED_MIN),
    };
    contents.iter().map(|content| least(*content) + PADDING).sum()
}

fn beside(table: &Table, contents: &[usize], width: Option<u16>) -> TextTable {
    let mut shown = TextTable::new();
    shown.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    match width {
        Some(width) => {
            shown.set_width(width);
        }
        None => {
            shown.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    let narrow = width.is_some_and(|width| contents.iter().map(|w| w + PADDING).sum::<usize>() > usize::from(width));
    shown.set_header(table.columns.iter().map(|column| column.name.to_uppercase()));
    for row in &table.rows {
        shown.add_row(table.columns.iter().zip(row).map(|(column, cell)| {
            let shown = comfy_table::Cell::new(escape::terminal(&plain(cell, ", ")));
            if column.kind == ColumnKind::Integer { shown.set_alignment(CellAlignment::Right) } else { shown }
        }));
    }
    if narrow {
        // Ids, times and numbers stay whole; what is long anyway takes the wrapping.
        for (at, content) in contents.iter().enumerate() {
            if *content <= UNWRAPPED_MAX
                && let Some(column) = shown.column_mut(at)
            {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    shown
}

/// Every row as lines of its own, a column a line, without those that are empty.
fn beneath(table: &Table, width: u16) -> String {
    let mut shown = TextTable::new();
    shown.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    for (at, row) in table.rows.iter().enumerate() {
        if at > 0 {
            shown.add_row(["", ""]);
        }
        for (column, cell) in table.columns.iter().zip(row) {
            let text = plain(cell, ", ");
            if !text.is_empty() {
                shown.add_row([column.name.to_uppercase(), escape::terminal(&text).into_owned()]);
            }
        }
    }
    if let Some(names) = shown.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    shown.to_string()
}

/// All rows: what columns need is known from them together.
fn whole(rows: &dyn Rows) -> Table {
    Table { columns: rows.columns().to_vec(), rows: (0..rows.count()).map(|at| rows.row(at).into_owned()).collect() }
}

/// The widest cell of a column, its name included.
fn content_width(table: &Table, at: usize) -> usize {
    let name = table.columns.get(at).map_or(0, |column| column.name.chars().count());
    let cells = table.rows.iter().filter_map(|row| row.get(at)).map(|cell| plain(cell, ", ").chars().count());
    cells.max().unwrap_or(0).max(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::{Cell, Column};

    fn sample(texts: usize, numbers: usize) -> Table {
        let columns = (0..texts)
            .map(|n| Column::new(&format!("text_{n}"), ColumnKind::Text, ""))
            .chain((0..numbers).map(|n| Column::new(&format!("number_{n}"), ColumnKind::Integer, "")));
        let row = |row: i64| {
            (0..texts)
                .map(|n| format!("arn:aws:iam::111122223333:role/service-role/{row}-of-{n}").into())
                .chain((0..numbers).map(|n| if n == 1 { Cell::Null } else { Cell::Integer(row * 1000 + n as i64) }))
                .collect()
        };
        Table { columns: columns.collect(), rows: vec![row(1), row(2)] }
    }

    fn lines(table: &Table, width: Option<u16>) -> Vec<String> {
        text(table, width).lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for (texts, numbers) in [(1, 0), (1, 4), (1, 9), (2, 3), (4, 4), (6, 0), (0, 12)] {
            for width in [40, 60, 80, 100, 120, 160] {
                let shown = lines(&sample(texts, numbers), Some(width));
                let widest = shown.iter().map(|line| line.chars().count()).max().unwrap_or(0);
                assert!(widest <= usize::from(width), "{texts} {numbers} {width}: {shown:#?}");
                // However it is laid out, numbers can be read, and texts do not stand one letter below the other.
                assert!(numbers == 0 || shown.iter().any(|line| line.contains("2000")), "{shown:#?}");
                assert!(shown.len() < 40, "{texts} {numbers} {width}: {shown:#?}");
            }
        }
    }

    #[test]
    fn beside_each_other_where_there_is_room_and_beneath_where_there_is_not() {
        let table = sample(1, 3);
        assert_eq!(lines(&table, Some(100)).len(), 3);
        assert_eq!(lines(&table, None), lines(&table, Some(200)));
        let want = [
            " TEXT_0    arn:aws:iam::111122223333:role/",
            "           service-role/1-of-0",
            " NUMBER_0  1000",
            " NUMBER_2  1002",
            "",
            " TEXT_0    arn:aws:iam::111122223333:role/",
            "           service-role/2-of-0",
            " NUMBER_0  2000",
            " NUMBER_2  2002",
        ];
        assert_eq!(lines(&table, Some(43)), want);
        let none = Table { rows: Vec::new(), ..table };
        assert_eq!(lines(&none, Some(20)).len(), lines(&none, Some(200)).len());
    }
}
