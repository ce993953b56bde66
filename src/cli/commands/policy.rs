//! `jitscan policy test`: decides recorded cases.

use std::io::{BufRead, BufReader};
use std::path::Path;

use rayon::prelude::*;

use crate::catalog::Catalog;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::{Format, Meta};
use crate::decide::case::Case;
use crate::decide::compile::Compiler;
use crate::decide::{Answer, Cited, Decision};
use crate::model::table::{Cell, Column, ColumnKind, Table};

use crate::cli::args::PolicyAction;

/// Lines that are decided before their answers are printed: enough to keep every core busy, and little memory.
const BATCH: usize = 16_384;
/// Lines that share a compiler.
const CHUNK: usize = 256;

/// Columns.
#[must_use]
pub fn columns(explain: bool) -> Vec<Column> {
    use ColumnKind::{List, Text};
    let mut columns = vec![
        Column::new("id", Text, "id of the case"),
        Column::new("decision", Text, "Allowed, ImplicitlyDenied, ExplicitlyDenied or Undecided"),
        Column::new(
            "decided_by",
            List,
            "the layers that decided: boundary, identity, rcp, resource, scp, session, vpc_endpoint",
        ),
        Column::new("expected", Text, "what the case expects"),
    ];
    if explain {
        columns.extend([
            Column::new("statements", List, "statements that apply, or may: effect, layer, policy#statement"),
            Column::new("depends_on", List, "condition keys on which an open answer depends"),
            Column::new("caveats", List, "what could not be looked at and could change the answer"),
        ]);
    }
    columns
}

/// Runs it.
///
/// # Errors
/// When the file cannot be read or stdout cannot be written.
pub fn run(context: &Context<'_>, action: &PolicyAction) -> Result<Status, CommandError> {
    let (file, explain) = match action {
        PolicyAction::Test { file, explain } => (file, explain),
        PolicyAction::Validate(args) => return super::validate::run(context, args),
    };
    let meta = Meta {
        command: "policy test".to_owned(),
        catalogue: Some(Catalog::get().version().to_owned()),
        ..Meta::default()
    };
    // The contract is a line each; a table would be no use to whatever reads this.
    let format = if context.global.format == Format::Table { Format::Ndjson } else { context.global.format };
    let mut lines = Lines { input: read(file)?, file, number: 0 };
    let mut tally = Tally::default();
    let mut table = Table { columns: columns(*explain), rows: Vec::new() };
    loop {
        let batch = lines.batch()?;
        if batch.is_empty() {
            break;
        }
        let decided: Vec<Line> = batch.par_chunks(CHUNK).flat_map_iter(|chunk| decide_all(chunk, *explain)).collect();
        for ((number, _), line) in batch.iter().zip(decided) {
            tally.count(&line);
            for note in &line.notes {
                context.note(&format!("{}:{number}: {note}", file.display()));
            }
            table.rows.push(line.cells);
        }
        if format == Format::Ndjson {
            context.emit_as(format, &meta, &table)?;
            table.rows.clear();
        }
    }
    if format != Format::Ndjson {
        context.emit_as(format, &meta, &table)?;
    }
    context.note(&tally.to_string());
    Ok(if tally.missed + tally.unreadable > 0 { Status::Failed } else { Status::Done })
}

fn read(file: &Path) -> Result<Box<dyn BufRead>, CommandError> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    match std::fs::File::open(file) {
        Ok(input) => Ok(Box::new(BufReader::new(input))),
        Err(source) => Err(CommandError::File { path: file.display().to_string(), source }),
    }
}

/// The lines of a file that hold something, with their numbers.
struct Lines<'f> {
    input: Box<dyn BufRead>,
    file: &'f Path,
    number: usize,
}

impl Lines<'_> {
    fn batch(&mut self) -> Result<Vec<(usize, String)>, CommandError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let mut line = String::new();
            let read = self.input.read_line(&mut line);
            let place = || format!("{} line {}", self.file.display(), self.number + 1);
            let read = read.map_err(|source| CommandError::File { path: place(), source })?;
            if read == 0 {
                break;
            }
            self.number += 1;
            let text = line.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                batch.push((self.number, text.to_owned()));
            }
        }
        Ok(batch)
    }
}

/// Decides some lines. Their compiler is theirs alone: it keeps every document that it has seen.
fn decide_all(lines: &[(usize, String)], explain: bool) -> Vec<Line> {
    let compiler = Compiler::deciding(Catalog::get());
    lines.iter().map(|(_, line)| decide(line, &compiler, explain)).collect()
}

/// One decided line.
struct Line {
    cells: Vec<Cell>,
    answer: Option<Answer>,
    missed: bool,
    notes: Vec<String>,
}

fn decide(line: &str, compiler: &Compiler<'_>, explain: bool) -> Line {
    let case = match Case::parse(line, compiler) {
        Ok(case) => case,
        Err(error) => {
            let id = serde_json::from_str::<serde_json::Value>(line)
                .ok()
                .and_then(|value| value.get("id")?.as_str().map(str::to_owned));
            let mut cells = vec![Cell::from(id), Cell::Null, Cell::List(Vec::new()), Cell::Null];
            if explain {
                cells.extend([Cell::List(Vec::new()), Cell::List(Vec::new()), Cell::List(Vec::new())]);
            }
            return Line { cells, answer: None, missed: false, notes: vec![error.to_string()] };
        }
    };
    let decision: Decision = case.policies.explain(&case.request);
    let answer = decision.answer;
    // `Denied` stands for either kind.
    let missed = case.expected.as_deref().is_some_and(|expected| match expected {
        "Denied" => !matches!(answer, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied),
        expected => expected != answer.as_str(),
    });
    let mut notes: Vec<String> =
        case.defects.iter().map(|defect| format!("{}: {}", defect.place, defect.reason)).collect();
    if missed {
        let expected = case.expected.as_deref().unwrap_or_default();
        notes.push(format!("{}: expected {expected}, decided {}", case.id, answer.as_str()));
    }
    let layers = decision.decided_by.iter().map(|layer| layer.as_str().to_owned()).collect();
    let mut cells = vec![Cell::from(case.id), answer.as_str().into(), Cell::List(layers), Cell::from(case.expected)];
    if explain {
        let statements = decision.statements.iter().map(Cited::to_string).collect();
        cells.extend([Cell::List(statements), Cell::List(decision.depends_on), Cell::List(decision.caveats)]);
    }
    Line { cells, answer: Some(answer), missed, notes }
}

#[derive(Default)]
struct Tally {
    allowed: usize,
    implicit: usize,
    explicit: usize,
    undecided: usize,
    missed: usize,
    unreadable: usize,
}

impl Tally {
    fn count(&mut self, line: &Line) {
        match line.answer {
            Some(Answer::Allowed) => self.allowed += 1,
            Some(Answer::ImplicitlyDenied) => self.implicit += 1,
            Some(Answer::ExplicitlyDenied) => self.explicit += 1,
            Some(Answer::Undecided) => self.undecided += 1,
            None => self.unreadable += 1,
        }
        self.missed += usize::from(line.missed);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total = self.allowed + self.implicit + self.explicit + self.undecided + self.unreadable;
        write!(
            f,
            "{total} cases: {} allowed, {} implicitly denied, {} explicitly denied, {} undecided; {} unlike expected",
            self.allowed, self.implicit, self.explicit, self.undecided, self.missed
        )?;
        if self.unreadable > 0 {
            write!(f, "; {} unreadable", self.unreadable)?;
        }
        Ok(())
    }
}
