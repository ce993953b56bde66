//! The files below the given paths, and which of them stand where an S3 object had its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::layout::{bare, digest_name, folders, log_name, name_of, stands_at};

/// What a file is, by its name and folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Named as a digest.
    Digest,
    /// In a folder of digests, with a name that no digest has.
    OddDigest,
    /// Named as a log of management and data events.
    Log,
    /// Named as a log of another kind, such as Insights.
    OtherLog,
    /// In a folder of logs, with a name that no log has.
    OddLog,
    /// `….meta.json`: what S3 knew of an object.
    Sidecar,
    /// Anything else.
    Other,
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its path, with the given path at its beginning.
    pub path: String,
    /// Where, in bytes, the part below the given path begins.
    below: usize,
    pub kind: FileKind,
}

impl Found {
    /// The path below the folder that was given.
    pub(super) fn relative(&self) -> &str {
        self.path.get(self.below..).unwrap_or(&self.path)
    }

    pub(super) fn name(&self) -> &str {
        name_of(&self.path)
    }
}

/// An index into the files of a tree.
pub(super) type FileId = usize;

/// The files, ordered by name, then path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub files: Vec<Found>,
    /// What could not be looked at, and why.
    pub lost: Vec<(String, String)>,
}

impl Tree {
    /// Lists the paths. Links are followed; a folder is visited once.
    ///
    /// # Errors
    /// When a path does not exist.
    pub(super) fn list(paths: &[PathBuf]) -> Result<Self, (PathBuf, std::io::Error)> {
        let mut roots: Vec<(PathBuf, &PathBuf)> = Vec::new();
        for path in paths {
            roots.push((std::fs::canonicalize(path).map_err(|error| (path.clone(), error))?, path));
        }
        roots.sort();
        let mut tree = Self::default();
        let mut seen = BTreeSet::new();
        let mut within: Option<&Path> = None;
        for (real, given) in &roots {
            // What lies below another given path is seen there.
            if within.is_some_and(|outer| real.starts_with(outer)) {
                continue;
            }
            within = Some(real);
            tree.walk(given, &mut seen);
        }
        tree.files.sort_by(|a, b| (bare(a.name()), &a.path).cmp(&(bare(b.name()), &b.path)));
        tree.lost.sort();
        Ok(tree)
    }

    fn walk(&mut self, root: &Path, seen: &mut BTreeSet<PathBuf>) {
        let Some(text) = root.to_str() else { return self.lose(root, "its name is not UTF-8") };
        if !root.is_dir() {
            let below = text.len() - name_of(text).len();
            return self.keep(text.to_owned(), below);
        }
        let below = text.trim_end_matches('/').len() + 1;
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            match std::fs::canonicalize(&folder) {
                Ok(real) if !seen.insert(real.clone()) => continue,
                Ok(_) => {}
                Err(error) => {
                    self.lose(&folder, &error.to_string());
                    continue;
                }
            }
            match std::fs::read_dir(&folder) {
                Err(error) => self.lose(&folder, &error.to_string()),
                Ok(entries) => {
                    for entry in entries {
                        match entry {
                            Ok(entry) => self.entry(&entry.path(), below, &mut folders),
                            Err(error) => self.lose(&folder, &error.to_string()),
                        }
                    }
                }
            }
        }
    }

    fn entry(&mut self, path: &Path, below: usize, folders: &mut Vec<PathBuf>) {
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => return self.lose(path, &error.to_string()),
        };
        if meta.is_dir() {
            folders.push(path.to_owned());
        } else if let Some(text) = path.to_str() {
            self.keep(text.to_owned(), below);
        } else {
            self.lose(path, "its name is not UTF-8");
        }
    }

    fn keep(&mut self, path: String, below: usize) {
        let kind = kind_of(&path);
        self.files.push(Found { path, below, kind });
    }

    fn lose(&mut self, path: &Path, reason: &str) {
        self.lost.push((path.display().to_string(), reason.to_owned()));
    }

    pub(super) fn file(&self, id: FileId) -> Option<&Found> {
        self.files.get(id)
    }

    /// The files that stand where an object with this key would.
    pub(super) fn at<'t>(&'t self, key: &'t str) -> impl Iterator<Item = FileId> + 't {
        self.named(name_of(key)).filter(move |(_, file)| stands_at(file.relative(), key)).map(|(id, _)| id)
    }

    /// The files of that name, wherever they stand.
    pub(super) fn named<'t>(&'t self, name: &'t str) -> impl Iterator<Item = (FileId, &'t Found)> + 't {
        let name = bare(name);
        let first = self.files.partition_point(|file| bare(file.name()) < name);
        self.files.iter().enumerate().skip(first).take_while(move |(_, file)| bare(file.name()) == name)
    }

    /// The sidecar of a file: `NAME.meta.json` in the same folder.
    pub(super) fn sidecar(&self, of: &Found) -> Option<&Found> {
        let wanted = format!("{}.meta.json", of.path);
        let sought = (bare(name_of(&wanted)), wanted.as_str());
        let found = self.files.partition_point(|file| (bare(file.name()), file.path.as_str()) < sought);
        self.files.get(found).filter(|file| file.path == wanted)
    }
}

fn kind_of(path: &str) -> FileKind {
    let name = name_of(path);
    if name.ends_with(".meta.json") {
        FileKind::Sidecar
    } else if digest_name(name).is_some() {
        FileKind::Digest
    } else if let Some(log) = log_name(name) {
        if log.main { FileKind::Log } else { FileKind::OtherLog }
    } else if !(name.ends_with(".json") || name.ends_with(".gz")) || folders(path).0.is_none() {
        FileKind::Other
    } else if path.contains("/CloudTrail-Digest/") {
        FileKind::OddDigest
    } else if path.contains("/CloudTrail/") {
        FileKind::OddLog
    } else {
        FileKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_links_and_overlapping_paths() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("bucket");
        let day = root.join("AWSLogs/111122223333/CloudTrail/eu-west-1/2024/01/02");
        std::fs::create_dir_all(&day).unwrap();
        let log = "111122223333_CloudTrail_eu-west-1_20240102T0305Z_x.json.gz";
        for name in [log, "stray.json.gz", "notes.txt"] {
            std::fs::write(day.join(name), "x").unwrap();
        }
        std::fs::write(day.join(format!("{log}.meta.json")), "x").unwrap();
        std::os::unix::fs::symlink("../..", day.join("up")).unwrap();
        std::os::unix::fs::symlink("nowhere", day.join("dangling")).unwrap();
        let tree = Tree::list(&[day.clone(), root.clone(), root]).unwrap();
        let kinds: Vec<FileKind> = tree.files.iter().map(|file| file.kind).collect();
        assert_eq!(kinds, [FileKind::Log, FileKind::Sidecar, FileKind::Other, FileKind::OddLog]);
        assert_eq!(tree.lost.len(), 1);
        let key = format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2024/01/02/{log}");
        let at: Vec<FileId> = tree.at(&key).collect();
        assert_eq!(at, [0]);
        assert_eq!(tree.files[0].relative(), key);
        assert!(tree.sidecar(&tree.files[0]).is_some());
        assert_eq!(tree.at(&key.replace("/02/", "/03/")).count(), 0);
        assert_eq!(Tree::list(&[day.join(log)]).unwrap().at(&key).count(), 1);
        assert!(Tree::list(&[folder.path().join("none")]).is_err());
    }
}
