//! `jitscan report --soc2`: the evidence that auditors ask for.

use std::path::Path;

use crate::cli::args::{ReportArgs, ReportFormat};
use crate::cli::commands::{open, scan};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::pipeline::World;
use crate::compliance::{self, Exception, Framework, Parameters};
use crate::lake::Reader;
use crate::model::table::{Column, ColumnKind, Table};
use crate::report::{self, Folder, Format, InputRecord, ReportInputs, Sink, Written};

/// Columns.
#[must_use]
pub fn columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("file", Text, "the file that was written"),
        Column::new("bytes", Integer, "its length"),
        Column::new("hash", Text, "its hash, with the algorithm"),
    ]
}

/// Runs it.
///
/// # Errors
/// When the store cannot be read, or the report cannot be built or written.
pub fn run(context: &Context<'_>, args: &ReportArgs) -> Result<Status, CommandError> {
    let reader = open(context)?;
    let world = World::load(context, &reader)?;
    let inputs = inputs(&reader)?;
    drop(reader);
    let scan = scan::scan(context, &world)?;
    let exceptions = match &args.exceptions {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| CommandError::File { path: path.display().to_string(), source })?;
            Exception::read_all(&text).map_err(|error| CommandError::Usage(format!("{}: {error}", path.display())))?
        }
    };
    let written = write(context, &scan, &inputs, &exceptions, &args.formats, &args.output_dir)?;
    let rows = written
        .into_iter()
        .map(|file| {
            vec![args.output_dir.join(file.name).display().to_string().into(), file.bytes.into(), file.hash.into()]
        })
        .collect();
    context.emit(&world.meta("report", scan.assessment.gaps.clone()), &Table { columns: columns(), rows })?;
    Ok(scan::status(context, &scan))
}

/// A folder whose files name nobody, where that is asked for.
struct Unnamed<'a> {
    context: &'a Context<'a>,
    folder: Folder,
}

impl Sink for Unnamed<'_> {
    fn put(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.folder.put(name, self.context.unnamed(text).as_bytes()),
            Err(_) => self.folder.put(name, bytes),
        }
    }
}

/// Every input that the store names, with its hash.
///
/// # Errors
/// When the store cannot be read.
pub fn inputs(reader: &Reader) -> Result<Vec<InputRecord>, CommandError> {
    let mut found: Vec<InputRecord> = reader
        .documents()?
        .into_iter()
        .map(|meta| InputRecord {
            kind: meta.kind,
            name: meta.source,
            hash: format!("blake3:{}", meta.hash),
            records: None,
        })
        .collect();
    found.extend(reader.files()?.into_iter().map(|file| InputRecord {
        kind: file.kind,
        name: file.path,
        hash: format!("blake3:{}", file.hash),
        records: Some(file.read),
    }));
    found.sort();
    Ok(found)
}

/// Builds the report of a scan and writes it.
///
/// # Errors
/// When it cannot be built or written.
pub fn write(
    context: &Context<'_>,
    scan: &scan::Scan,
    inputs: &[InputRecord],
    exceptions: &[Exception],
    formats: &[ReportFormat],
    folder: &Path,
) -> Result<Vec<Written>, CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::Failed(error.to_string());
    let framework = Framework::soc2().map_err(|error| failed(&error))?;
    let results = compliance::evaluate(&scan.assessment, &framework, &Parameters::default(), exceptions)
        .map_err(|error| failed(&error))?;
    let command = format!("jitscan report --soc2 --as-of {} --window {}", context.as_of(), context.global.window);
    let model = report::build(&ReportInputs {
        framework: &framework,
        assessment: &scan.assessment,
        results: &results,
        exceptions,
        findings: &scan.findings,
        inputs,
        tool_version: env!("CARGO_PKG_VERSION"),
        command: &command,
    })
    .map_err(|error| failed(&error))?;
    let formats: Vec<Format> = formats
        .iter()
        .map(|format| match format {
            ReportFormat::Html => Format::Html,
            ReportFormat::Md => Format::Markdown,
        })
        .collect();
    let mut folder = Unnamed { context, folder: Folder(folder.to_owned()) };
    report::write(&model, &formats, &mut folder).map_err(|error| failed(&error))
}
