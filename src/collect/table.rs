//! CSV with a header: columns found by name, whatever their order, case and number.

use super::{CollectError, FileKind, text, unusable};

/// A read table: column names normalised to lower case with underscores, and the records with their line numbers.
pub(super) struct Table {
    names: Vec<String>,
    /// Line number (1 is the header) and fields.
    pub(super) records: Vec<(u64, csv::StringRecord)>,
    /// Lines that are not CSV.
    pub(super) broken: Vec<(u64, String)>,
}

impl Table {
    /// Reads the text of a table of the given kind.
    pub(super) fn read(bytes: &[u8], file: &str, wanted: FileKind) -> Result<Self, CollectError> {
        let text = text::decode(bytes, file)?;
        let text = text.trim_start();
        if text.is_empty() {
            return Err(unusable(bytes, file, wanted, "the file is empty".to_owned()));
        }
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(text))
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| unusable(bytes, file, wanted, error.to_string()))?;
        let names = header.iter().map(normal_name).collect();
        let mut table = Self { names, records: Vec::new(), broken: Vec::new() };
        let mut record = csv::StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    if record.iter().any(|field| !field.is_empty()) {
                        table.records.push((line, record.clone()));
                    }
                }
                Err(error) => table.broken.push((error.position().map_or(0, csv::Position::line), error.to_string())),
            }
        }
        Ok(table)
    }

    /// Index of the first column that bears one of the names.
    pub(super) fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|column| column == name))
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.names.len()
    }
}

/// Spreadsheets of many locales write semicolons or tabs; the header says which.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or("");
    let count = |c: char| header.matches(c).count();
    let commas = count(',');
    if count(';') > commas {
        b';'
    } else if count('\t') > commas {
        b'\t'
    } else {
        b','
    }
}

/// `E-Mail Address` and `e_mail_address` are the same name.
fn normal_name(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}
