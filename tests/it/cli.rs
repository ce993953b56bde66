//! The program from outside: the real binary with a scrubbed environment, its exit code, stdout and stderr.

// The lints that spare tests know a test module by this.
#![cfg(test)]

mod access_analyzer;
mod arguments;
mod collect;
mod contract;
mod copies;
mod decide;

mod damage;
mod hostile;

mod ingest;
mod lake;
mod last_accessed;
mod logs;
mod process;
mod recommend;
mod remediate;
mod trails;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A folder to run in: nothing of the caller's environment, settings or store is seen.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jitscan"));
        command.args(args).env_clear().current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        self.command(args).output().unwrap().into()
    }

    /// Runs a line of words, of which none holds a blank.
    pub fn line(&self, line: &str) -> Run {
        self.run(line.split_whitespace())
    }

    /// The rows of a command that must succeed.
    pub fn rows(&self, line: &str) -> Vec<Value> {
        let run = self.line(&format!("{line} --format ndjson"));
        assert_eq!(run.code, Some(0), "{line}: {run:?}");
        run.rows()
    }

    /// Ingests a path into the default store.
    pub fn ingest(&self, path: &Path) -> Run {
        self.run([OsStr::new("ingest"), OsStr::new("cloudtrail"), path.as_os_str(), OsStr::new("--format=ndjson")])
    }
}

impl Run {
    pub fn rows(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asserts the exit code, and that stderr says so much.
    pub fn fails(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(said), "`{said}` is not in {self:?}");
        assert!(self.stdout.is_empty(), "stdout carries data only: {self:?}");
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains('\u{1b}'), "{self:?}");
    }
}

/// (read, stored, duplicates, quarantined), summed over the rows of an ingest.
pub fn counts(rows: &[Value]) -> [u64; 4] {
    let sum = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum();
    let counts = [sum("read"), sum("stored"), sum("duplicates"), sum("quarantined")];
    assert_eq!(counts[0], counts[1] + counts[2] + counts[3], "read = stored + duplicates + quarantined");
    counts
}
