//! Finds the files below the paths that were given, in a fixed order, whatever the folders hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::forms::{Form, detect_file, is_table};
use super::layout::{Layout, layout};
use crate::lake::disk;
use crate::lake::error::LakeError;

/// Extensions of logs; all else inside a folder is left out and listed.
const EXTENSIONS: [&str; 6] = ["json", "gz", "jsonl", "ndjson", "log", "parquet"];
/// Extensions, none among them, of which only the content tells whether they are logs: tables of anything, and what
/// Firehose and Athena write without one.
const PERHAPS: [&str; 2] = ["csv", ""];

/// A file to be read.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// By which it is known: absolute, links resolved; of what was fetched its name elsewhere, such as `s3://…`.
    pub path: PathBuf,
    /// Where the bytes of what was fetched lie.
    pub local: Option<PathBuf>,
    pub size: u64,
    /// Modification time in nanoseconds since the epoch.
    pub mtime: i64,
    pub layout: Layout,
}

/// What lies below one path.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub files: Vec<Found>,
    pub skipped: Vec<PathBuf>,
    /// What could not be looked at, and why.
    pub lost: Vec<(PathBuf, String)>,
}

/// Lists one path. A file that is named is always taken.
///
/// # Errors
/// When the path itself does not exist.
pub(crate) fn find(path: &Path) -> Result<Listing, LakeError> {
    let mut out = Listing::default();
    if let Err(source) = std::fs::symlink_metadata(path)
        && source.kind() == std::io::ErrorKind::NotFound
    {
        return Err(LakeError::Input { path: path.to_owned(), source });
    }
    visit(path, true, &mut BTreeSet::new(), &mut out);
    out.files.sort_by(|a, b| a.path.cmp(&b.path));
    out.files.dedup_by(|a, b| a.path == b.path);
    out.skipped.sort();
    out.lost.sort();
    Ok(out)
}

fn visit(path: &Path, named: bool, seen: &mut BTreeSet<PathBuf>, out: &mut Listing) {
    let mut lose = |error: std::io::Error| out.lost.push((path.to_owned(), error.to_string()));
    let (real, meta) = match std::fs::canonicalize(path).and_then(|real| Ok((std::fs::metadata(&real)?, real))) {
        Ok((meta, real)) => (real, meta),
        Err(error) => return lose(error),
    };
    if meta.is_dir() {
        // A link that leads back up is seen here and not followed again.
        if !seen.insert(real.clone()) {
            return;
        }
        let mut entries = Vec::new();
        match std::fs::read_dir(&real) {
            Err(error) => return lose(error),
            Ok(reader) => {
                for entry in reader {
                    match entry {
                        Ok(entry) => entries.push(entry.path()),
                        Err(error) => lose(error),
                    }
                }
            }
        }
        entries.sort();
        let is_store = disk::is_store(&real);
        for entry in entries {
            // What a store wrote is no log, and what it archived was read.
            if is_store && entry.file_name().is_some_and(disk::is_of_store) {
                continue;
            }
            visit(&entry, false, seen, out);
        }
        if is_store {
            out.skipped.push(real);
        }
        return;
    }
    let layout = layout(&real);
    let extension = real.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).unwrap_or_default();
    let log = || {
        let perhaps = PERHAPS.contains(&extension.as_str());
        named || layout.named || EXTENSIONS.contains(&extension.as_str()) || (perhaps && is_form(&real))
    };
    if !meta.is_file() || !log() {
        if named {
            lose(std::io::Error::other("not a regular file"));
        } else {
            out.skipped.push(real);
        }
        return;
    }
    out.files.push(Found { path: real, local: None, size: meta.len(), mtime: mtime(&meta), layout });
}

fn mtime(meta: &std::fs::Metadata) -> i64 {
    meta.modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

impl Found {
    /// Where its bytes lie.
    pub(crate) fn file(&self) -> &Path {
        self.local.as_deref().unwrap_or(&self.path)
    }

    /// Whether the file is not what it was when it was listed. One that is gone was what it was, and so is our own copy.
    pub(crate) fn has_changed(&self) -> bool {
        self.local.is_none()
            && std::fs::metadata(&self.path).is_ok_and(|now| (now.len(), mtime(&now)) != (self.size, self.mtime))
    }
}

/// Whether the first bytes of a file are those of a form that holds records.
fn is_form(path: &Path) -> bool {
    match detect_file(path).map(|detected| detected.form) {
        Some(Form::Delimited) => is_table(path),
        Some(Form::Empty) | None => false,
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_links_and_what_is_no_log() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        for name in ["b/z.json", "b/c/a.json.gz", "a.JSON", "README.md", "b/x.csv"] {
            std::fs::write(root.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("..", root.join("b/c/up")).unwrap();
        std::os::unix::fs::symlink(root.join("b/z.json"), root.join("link.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling.json")).unwrap();
        let got = find(&root).unwrap();
        let names = |paths: Vec<&PathBuf>| -> Vec<String> {
            paths.iter().map(|p| p.strip_prefix(&root).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(got.files.iter().map(|f| &f.path).collect()), ["a.JSON", "b/c/a.json.gz", "b/z.json"]);
        assert_eq!(names(got.skipped.iter().collect()), ["README.md", "b/x.csv"]);
        assert_eq!(names(got.lost.iter().map(|(p, _)| p).collect()), ["dangling.json"]);
        assert_eq!(find(&root.join("README.md")).unwrap().files.len(), 1);
        assert!(find(&root.join("none")).is_err());
    }
}
