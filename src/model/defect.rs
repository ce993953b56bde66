//! What could not be understood, and where: nothing is dropped without one of these.

use serde::Serialize;

/// A place in an input: a file, and where the input has them an offset or a path inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Byte offset within the (uncompressed) file, where known.
    pub offset: Option<u64>,
    /// A path within a document, such as `Policies[3].Statement[0].Effect`.
    pub path: Option<String>,
}

impl Place {
    /// A whole file.
    #[must_use]
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), offset: None, path: None }
    }

    /// A path within a document.
    #[must_use]
    pub fn path(file: impl Into<String>, path: impl Into<String>) -> Self {
        Self { file: file.into(), offset: None, path: Some(path.into()) }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(path) = &self.path {
            write!(f, " at {path}")?;
        }
        Ok(())
    }
}

/// One thing that was not understood. It was set aside and counted, never dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Defect {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what was expected: lower case, no full stop.
    pub reason: String,
}

/// A value and everything that its parser had to set aside.
#[derive(Clone, Debug, Default)]
pub struct Parsed<T> {
    /// What was understood.
    pub value: T,
    /// What was not.
    pub defects: Vec<Defect>,
}
