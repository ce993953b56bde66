//! The files of the store: there, whole, private, and all that is there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rayon::prelude::*;

use super::Check;
use crate::lake::disk::{self, FOLDERS};
use crate::lake::error::LakeError;
use crate::lake::manifest::count;
use crate::lake::source::layout::path_text;

/// What is wrong with a file of which the subject is named already.
///
/// # Errors
/// The error itself where it is none of the file: a disk that refuses, or a system that has no more open files to give,
/// damages nothing.
pub(super) fn damage(error: LakeError) -> Result<String, LakeError> {
    match error {
        LakeError::Damaged { reason, .. } | LakeError::Table { reason, .. } => Ok(reason),
        other => Err(other),
    }
}

impl Check<'_> {
    /// Parts and packs are what was written.
    pub(super) fn part_files(&mut self) -> Result<(), LakeError> {
        let parts = self.parts.iter().map(|part| (&part.name, part.bytes, &part.hash));
        let packs = self.packs.iter().map(|pack| (&pack.name, pack.bytes, &pack.hash));
        let all: Vec<(&String, u64, &String)> =
            parts.chain(packs).filter(|(name, ..)| !self.broken.contains(*name)).collect();
        let verify = |(name, bytes, hash): &(&String, u64, &String)| {
            let error = disk::verify(&self.store.join(name), *bytes, hash).err()?;
            Some(damage(error).map(|reason| ((*name).clone(), reason)))
        };
        let damaged: Vec<(String, String)> = all.par_iter().filter_map(verify).collect::<Result<_, _>>()?;
        let detail = format!("{} files, {} bytes", all.len(), all.iter().map(|(_, bytes, _)| bytes).sum::<u64>());
        for (name, reason) in damaged {
            self.report.bad("parts", &name, reason);
            self.broken.insert(name);
        }
        self.report.close("parts", "parts and id packs", detail);
        Ok(())
    }

    /// Documents hold the bytes that were put in.
    pub(super) fn documents(&mut self) -> Result<(), LakeError> {
        let all = self.list("SELECT DISTINCT hash, bytes FROM documents ORDER BY hash", |row| {
            Ok((row.get::<_, String>(0)?, count(row, 1)?))
        })?;
        for (hash, bytes) in &all {
            let name = format!("documents/{hash}.zst");
            if !name.strip_prefix("documents/").is_some_and(|file| disk::is_own_name("documents", file)) {
                self.report.bad("documents", name, "no document has this name");
                continue;
            }
            match unpacked(&self.store.join(&name)) {
                Ok(found) if found == (hash.clone(), *bytes) => {}
                Ok((_, found)) => {
                    let detail = format!("it holds {found} bytes with another hash; {bytes} were put in");
                    self.report.bad("documents", name, detail);
                }
                Err(error) => self.report.bad("documents", name, damage(error)?),
            }
        }
        self.report.close("documents", "documents", format!("{} files", all.len()));
        Ok(())
    }

    /// Original files hold what was read.
    pub(super) fn originals(&mut self) -> Result<(), LakeError> {
        let all = self.list("SELECT name, bytes, hash, min(path) FROM archive GROUP BY 1, 2, 3 ORDER BY 1", |row| {
            Ok((row.get::<_, String>(0)?, count(row, 1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
        })?;
        let (store, folder) = (self.store, disk::ARCHIVE);
        let verify = |(name, bytes, hash, path): &(String, u64, String, String)| {
            let own = name.strip_prefix("archive/").is_some_and(|file| disk::is_own_name(folder, file));
            let error = if own {
                disk::verify(&store.join(name), *bytes, hash).err().map(damage)?
            } else {
                Ok("no original file has this name".to_owned())
            };
            Some(error.map(|error| (name.clone(), format!("{error}; it is the original of {path}"))))
        };
        let damaged: Vec<(String, String)> = all.par_iter().filter_map(verify).collect::<Result<_, _>>()?;
        for (name, reason) in damaged {
            self.report.bad("archive", name, reason);
        }
        self.report.close("archive", "archive", format!("{} original files", all.len()));
        Ok(())
    }

    /// What lies in the store's folders without a name in the manifest, and who may read it.
    pub(super) fn folders(&mut self) -> Result<(), LakeError> {
        let named = self.manifest.named()?;
        let (mut orphans, mut strangers, mut open) = (Vec::new(), Vec::new(), Vec::new());
        if is_open(self.store) {
            open.push("the store's folder".to_owned());
        }
        for path in disk::of_store(self.store).into_iter().filter(|path| is_open(path)) {
            open.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        for folder in FOLDERS {
            let path = self.store.join(folder);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                // Only a writer makes folders that a store of an earlier release lacks.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(LakeError::io("read", &path, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| LakeError::io("read", &path, e))?;
                let name = format!("{folder}/{}", path_text(Path::new(&entry.file_name())));
                if is_open(&entry.path()) {
                    open.push(name.clone());
                }
                let own = entry.file_name().to_str().is_some_and(|name| disk::is_own_name(folder, name));
                match (named.contains(&name), own) {
                    (true, _) => {}
                    (false, true) => orphans.push(name),
                    (false, false) => strangers.push(name),
                }
            }
        }
        let why = [
            (
                orphans,
                "no generation names it: a run that did not end left it, somebody read it when it was replaced, or a \
                 writer is at work; the next writer removes it",
            ),
            (strangers, "it is not of the store; nothing touches it"),
            (open, "others than its owner may read or write it"),
        ];
        for (mut names, detail) in why {
            names.sort();
            names.into_iter().for_each(|name| self.report.info("folders", name, detail));
        }
        self.report.close("folders", "folders", format!("{} files are named", named.len()));
        Ok(())
    }
}

fn is_open(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// The BLAKE3 and the length of what a packed file holds, read in pieces.
fn unpacked(path: &Path) -> Result<(String, u64), LakeError> {
    // What zstd refuses is damage; what the disk refuses is told before.
    let fail = |e: std::io::Error| match e.raw_os_error() {
        Some(_) => LakeError::io("read", path, e),
        None => LakeError::Damaged { path: path.to_owned(), reason: format!("it cannot be unpacked: {e}") },
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let reason = "it is missing, and the manifest names it".to_owned();
            return Err(LakeError::Damaged { path: path.to_owned(), reason });
        }
        Err(error) => return Err(LakeError::io("read", path, error)),
    };
    let mut hash = blake3::Hasher::new();
    let bytes = std::io::copy(&mut zstd::Decoder::new(file).map_err(fail)?, &mut hash).map_err(fail)?;
    Ok((hash.finalize().to_hex().to_string(), bytes))
}
