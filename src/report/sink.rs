//! Where rendered reports go.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use thiserror::Error;

use super::render::{Format, RenderError, render};
use super::views::ReportModel;

/// Takes finished files.
pub trait Sink {
    /// Stores one file under a plain name (no folders).
    ///
    /// # Errors
    /// When it cannot be stored whole; then nothing of that name changes.
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// A folder: made if absent, files written beside and renamed, readable for the owner only (reports name people).
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Sink for Folder {
    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let temporary = self.0.join(format!(".{name}.part"));
        let written = (|| {
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, self.0.join(name))
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Name.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// `blake3:` and the hash of the bytes.
    pub hash: String,
}

/// Why a report could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// It could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// It could not be stored.
    #[error("report file `{name}` cannot be written: {source}")]
    Store {
        /// File name.
        name: String,
        /// Cause.
        source: io::Error,
    },
}

/// Renders the model in each format and hands the files, called after the framework, to the sink.
///
/// # Errors
/// When a format cannot be rendered or a file cannot be stored.
pub fn write(model: &ReportModel, formats: &[Format], sink: &mut dyn Sink) -> Result<Vec<Written>, WriteError> {
    let mut written = Vec::with_capacity(formats.len());
    for format in formats {
        let text = render(model, *format)?;
        let name = format!("{}.{}", model.id, format.extension());
        sink.put(&name, text.as_bytes()).map_err(|source| WriteError::Store { name: name.clone(), source })?;
        let hash = format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex());
        written.push(Written { name, bytes: text.len() as u64, hash });
    }
    Ok(written)
}
