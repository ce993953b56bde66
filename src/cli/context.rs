//! One value that carries what commands ask of the outside: the clock, the settings, stdout and stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use crate::model::table::Rows;
use crate::model::time::{Timestamp, Window};

use super::args::Global;
use super::config::{Config, ConfigError};
use super::exit::Status;
use super::output::{self, Meta};
use super::pseudonyms::Pseudonyms;

/// Why a command could not do what was asked.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The command line is wrong in a way that only the command could see.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store, or what is to be read into it.
    #[error(transparent)]
    Lake(#[from] crate::lake::LakeError),
    /// A document.
    #[error(transparent)]
    Collect(#[from] crate::collect::CollectError),
    /// A file that a command reads or writes itself.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// stdout.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Anything else that failed, said in one line.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// The exit status that it means.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Usage(_) | Self::Config(_) => Status::Usage,
            // A reader that went away (`| head`) is no error.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Status::Done,
            _ => Status::Failed,
        }
    }
}

/// What a run carries.
pub struct Context<'a> {
    /// Global options.
    pub global: &'a Global,
    /// Configuration.
    pub config: Config,
    /// When the run began.
    pub now: Timestamp,
    /// Set by SIGINT and SIGTERM.
    pub stop: Arc<AtomicBool>,
    /// What stands in place of people's names; none where they stay.
    pub names: Option<Arc<Pseudonyms>>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("now", &self.now).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// The instant that analysis speaks for.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.global.as_of.unwrap_or(self.now)
    }

    /// The window of use.
    #[must_use]
    pub fn window(&self) -> Window {
        self.global.window.ending(self.as_of())
    }

    /// Threads for every pool.
    #[must_use]
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        self.global.threads.map_or_else(cores, std::num::NonZeroUsize::get)
    }

    /// Writes a table to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn emit(&self, meta: &Meta, table: &dyn Rows) -> Result<(), CommandError> {
        self.emit_as(self.global.format, meta, table)
    }

    /// Writes a table to stdout in a format of the command's own choice.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn emit_as(&self, format: output::Format, meta: &Meta, table: &dyn Rows) -> Result<(), CommandError> {
        let stdout = io::stdout();
        let width = self.width();
        let mut out = io::BufWriter::new(stdout.lock());
        match &self.names {
            Some(names) => output::write(&mut out, format, &names.meta(meta), &names.rows(table), width)?,
            None => output::write(&mut out, format, meta, table, width)?,
        }
        out.flush()?;
        Ok(())
    }

    /// Writes text to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn emit_text(&self, text: &str) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        out.write_all(self.unnamed(text).as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// A text without people's names, where that is asked for.
    #[must_use]
    pub fn unnamed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.names.as_ref().map_or(Cow::Borrowed(text), |names| names.text(text))
    }

    /// Says something to the person at the terminal. Failing to say it is no failure.
    pub fn note(&self, text: &str) {
        if !self.global.quiet {
            let _ = writeln!(io::stderr(), "{}", super::escape::terminal_lines(&self.unnamed(text)));
        }
    }

    /// Columns of the terminal that stdout is, none where it is not one.
    #[must_use]
    pub fn width(&self) -> Option<u16> {
        if io::stdout().is_terminal() { comfy_table::Table::new().width() } else { None }
    }

    /// Whether the output is for people: then a table may leave out what its other columns repeat.
    #[must_use]
    pub fn is_for_people(&self) -> bool {
        self.global.format == output::Format::Table
    }

    /// Whether progress bars make sense.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        !self.global.quiet && io::stderr().is_terminal()
    }
}
