//! Files and folders of the store: private, durable before they are named, and locked.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::LakeError;

/// How often a waiting writer looks at the lock and at its stop flag.
const LOCK_POLL: Duration = Duration::from_millis(100);
/// Bytes read of what the holder wrote into the lock file.
const HOLDER_BYTES: u64 = 512;

/// Folders within a store.
pub(crate) const FOLDERS: [&str; 5] = ["segments", "folds", "ids", "documents", ARCHIVE];
/// Folder of the original files that `--archive` keeps.
pub(crate) const ARCHIVE: &str = "archive";
/// Bytes of a file that are copied or hashed at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Longest part of a file name's extension that is kept.
const EXTENSION_CHARS: usize = 8;

/// The manifest's database.
pub(crate) const MANIFEST: &str = "manifest.sqlite";
/// Held by the writer, and by readers.
const LOCKS: [&str; 2] = ["writer.lock", READERS];
/// The latter.
const READERS: &str = "readers.lock";
/// Folder within a store into which DuckDB spills; empty between runs.
pub(crate) const SPILL: &str = "spill";
/// Folder within a store of what was changed in AWS by plans, and how far they came. Only `remediate` writes there.
pub const CHANGES: &str = "changes";
/// Folder within a store in which log objects lie that were fetched, until they are read; empty between runs.
pub(crate) const INCOMING: &str = "incoming";

/// Whether a folder is a store.
pub(crate) fn is_store(path: &Path) -> bool {
    path.join(MANIFEST).is_file() && path.join("segments").is_dir() && path.join("ids").is_dir()
}

/// Whether a name stands directly in a store and is the store's own.
pub(crate) fn is_of_store(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        FOLDERS.contains(&name)
            || LOCKS.contains(&name)
            || name == SPILL
            || name == INCOMING
            || name == CHANGES
            || name.starts_with(MANIFEST)
    })
}

/// Files and folders that stand directly in a store, as far as they are there.
pub(crate) fn of_store(store: &Path) -> Vec<PathBuf> {
    let side = ["-wal", "-shm"].map(|end| format!("{MANIFEST}{end}"));
    let names =
        FOLDERS.iter().chain(&LOCKS).chain([&MANIFEST, &SPILL, &INCOMING, &CHANGES]).map(|name| store.join(name));
    let all = names.chain(side.iter().map(|name| store.join(name)));
    all.filter(|path| std::fs::symlink_metadata(path).is_ok()).collect()
}

/// Refuses a place for a store that DuckDB, which reads its files, cannot name.
///
/// # Errors
/// When the path has `*`, `?` or `[`, which DuckDB takes for patterns, or is not UTF-8.
pub(crate) fn check_place(store: &Path) -> Result<(), LakeError> {
    let absolute = std::path::absolute(store).map_err(|e| LakeError::io("find", store, e))?;
    match absolute.to_str() {
        Some(text) if !text.contains(['*', '?', '[', '\0']) => Ok(()),
        _ => Err(LakeError::Place { path: absolute }),
    }
}

/// Whether any of the store's folders holds anything.
pub(crate) fn holds_files(store: &Path) -> Result<bool, LakeError> {
    for folder in FOLDERS {
        let path = store.join(folder);
        match std::fs::read_dir(&path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(LakeError::io("read", &path, error)),
        }
    }
    Ok(false)
}

/// Whether a name within one of the store's folders is one that a writer gives, finished or not. Whatever has
/// another name was put there by somebody else, and is none of the store's business.
pub(crate) fn is_own_name(folder: &str, name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let digits = |text: &str| text.len() >= 8 && text.bytes().all(|b| b.is_ascii_digit());
    match folder {
        "ids" => name.strip_suffix(".ids").is_some_and(digits),
        "documents" => name.strip_suffix(".zst").is_some_and(is_hash),
        ARCHIVE => name.split_once('.').is_some_and(|(hash, extension)| {
            is_hash(hash) && extension.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        }),
        _ => name
            .strip_suffix(".parquet")
            .and_then(|stem| stem.rsplit_once('-'))
            .is_some_and(|(kind, generation)| !kind.is_empty() && digits(generation)),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

/// The place of an original file within the store: by its content, with the extension that it had, so that programs
/// that go by extensions still read it.
pub(crate) fn archive_name(original: &Path, hash: &str) -> String {
    let name = original.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let sane = |part: &&str| {
        (1..=EXTENSION_CHARS).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()) && *part != "tmp"
    };
    let mut parts = name.rsplit('.');
    let last = parts.next().filter(|part| *part != name).filter(sane).unwrap_or("log");
    let packed = matches!(last, "gz" | "zst" | "bz2");
    // What stands before the last dot but one is the name itself.
    let inner = parts.next().filter(|part| packed && parts.next().is_some() && sane(part));
    match inner {
        Some(inner) => format!("{ARCHIVE}/{hash}.{inner}.{last}"),
        None => format!("{ARCHIVE}/{hash}.{last}"),
    }
}

/// What became of a copy of somebody else's file.
#[derive(Debug)]
pub(crate) enum Copied {
    /// It is there, durable once its folder is; so many bytes.
    Done(u64),
    /// The file is not what it was, or cannot be read any more; nothing was kept.
    Changed,
}

/// Copies a file into the store (0600), under its name only where its BLAKE3 is the one expected.
pub(crate) fn copy_file(from: &Path, to: &Path, hash: &str) -> Result<Copied, LakeError> {
    let Ok(mut source) = File::open(from) else { return Ok(Copied::Changed) };
    let temporary = temporary(to);
    let copied = copy_pieces(&mut source, &temporary).and_then(|found| match found {
        Some((found, bytes)) if found == hash => finish(&temporary, to).map(|()| Copied::Done(bytes)),
        _ => Ok(Copied::Changed),
    });
    if !matches!(copied, Ok(Copied::Done(_))) {
        // Best effort: the next writer sweeps what is left.
        let _ = std::fs::remove_file(&temporary);
    }
    copied
}

/// The hash and the length of what was copied; none where the source could not be read to its end.
fn copy_pieces(source: &mut File, to: &Path) -> Result<Option<(String, u64)>, LakeError> {
    let write = |e| LakeError::io("write", to, e);
    let mut target = touch(to)?;
    target.set_len(0).map_err(write)?;
    let (mut hash, mut bytes, mut piece) = (blake3::Hasher::new(), 0u64, vec![0u8; PIECE_BYTES]);
    loop {
        let Ok(count) = source.read(&mut piece) else { return Ok(None) };
        let part = piece.get(..count).unwrap_or(&[]);
        if part.is_empty() {
            return Ok(Some((hash.finalize().to_hex().to_string(), bytes)));
        }
        hash.update(part);
        bytes += part.len() as u64;
        target.write_all(part).map_err(write)?;
    }
}

/// Makes a folder (0700) with its parents.
pub(crate) fn make_dir(path: &Path) -> Result<(), LakeError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| LakeError::io("create", path, e))
}

/// Makes a folder (0700) that is not there; none where it is.
pub(crate) fn make_new_dir(path: &Path) -> Result<Option<PathBuf>, LakeError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(Some(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(LakeError::io("create", path, error)),
    }
}

/// Makes a folder (0700) with its parents, durable: the names of all that were new are synced.
pub(crate) fn make_durable_dir(path: &Path) -> Result<(), LakeError> {
    let absolute = std::path::absolute(path).map_err(|e| LakeError::io("find", path, e))?;
    let new: Vec<&Path> = absolute.ancestors().take_while(|folder| !folder.exists()).collect();
    make_dir(path)?;
    new.iter().filter_map(|folder| folder.parent()).try_for_each(sync_dir)
}

/// Makes what was renamed or removed within a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), LakeError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| LakeError::io("sync", path, e))
}

/// The name under which a file is written until all of it is there.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    PathBuf::from(temporary)
}

/// Makes a file that was written under a temporary name durable and renames it. The folder is synced by the caller,
/// once for all files of a commit.
pub(crate) fn finish(temporary: &Path, path: &Path) -> Result<(), LakeError> {
    File::open(temporary).and_then(|file| file.sync_all()).map_err(|e| LakeError::io("sync", path, e))?;
    std::fs::rename(temporary, path).map_err(|e| LakeError::io("rename", path, e))
}

/// Writes a file (0600) under a temporary name, makes it durable and renames it. The folder is synced by the
/// caller, once for all files of a commit.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), LakeError> {
    let temporary = temporary(path);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    if let Err(error) = written {
        // Best effort: the next writer sweeps what is left.
        let _ = std::fs::remove_file(&temporary);
        return Err(LakeError::io("write", path, error));
    }
    std::fs::rename(&temporary, path).map_err(|e| LakeError::io("rename", path, e))
}

/// The BLAKE3 of a file and its length in bytes, read in pieces.
pub(crate) fn hash_file(path: &Path) -> Result<(String, u64), LakeError> {
    let read = |e| LakeError::io("read", path, e);
    let mut file = File::open(path).map_err(read)?;
    let (mut hash, mut length, mut piece) = (blake3::Hasher::new(), 0u64, vec![0u8; PIECE_BYTES]);
    loop {
        let count = file.read(&mut piece).map_err(read)?;
        if count == 0 {
            return Ok((hash.finalize().to_hex().to_string(), length));
        }
        hash.update(piece.get(..count).unwrap_or(&[]));
        length += count as u64;
    }
}

/// Compares a file with what the manifest says of it.
///
/// # Errors
/// When it is missing, has another length or other bytes, or cannot be read.
pub(crate) fn verify(path: &Path, bytes: u64, hash: &str) -> Result<(), LakeError> {
    let damaged = |reason| Err(LakeError::Damaged { path: path.to_owned(), reason });
    let found = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return damaged("it is missing, and the manifest names it".to_owned());
        }
        Err(error) => return Err(LakeError::io("read", path, error)),
    };
    if found != bytes {
        return damaged(format!("it has {found} bytes, the manifest says {bytes}"));
    }
    if hash_file(path)?.0 != hash {
        return damaged("its bytes are not those that were written (BLAKE3 differs)".to_owned());
    }
    Ok(())
}

/// Makes an empty file (0600) where there is none.
pub(crate) fn touch(path: &Path) -> Result<File, LakeError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| LakeError::io("open", path, e))
}

/// The one writer's lock. Dropping it, or dying, frees it.
#[derive(Debug)]
pub(crate) struct WriteLock {
    _file: File,
}

impl WriteLock {
    /// Takes the lock of a store, or says who holds it.
    pub(crate) fn take(store: &Path, wait: bool, stop: &AtomicBool) -> Result<Self, LakeError> {
        let path = store.join("writer.lock");
        let mut file = touch(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if wait => {
                    if stop.load(Ordering::Relaxed) {
                        return Err(LakeError::Stopped { path: store.to_owned() });
                    }
                    std::thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LakeError::Locked { path: store.to_owned(), holder: holder(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(LakeError::io("lock", &path, error)),
            }
        }
        // Arguments need not be UTF-8.
        let command: Vec<String> = std::env::args_os().take(3).map(|arg| arg.to_string_lossy().into_owned()).collect();
        let text = format!("process {} ({})\n", std::process::id(), command.join(" "));
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|e| LakeError::io("write", &path, e))?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

/// Where what a reader spills goes that cannot write to the store.
pub(crate) fn elsewhere() -> PathBuf {
    std::env::temp_dir()
}

/// The file that readers hold shared while they use a generation, for whoever writes.
pub(crate) fn readers_file(store: &Path) -> Result<File, LakeError> {
    touch(&store.join(READERS))
}

/// What a reader holds while it uses a generation.
#[derive(Debug)]
pub(crate) struct ReadLock {
    /// Those of the files that are there, where nothing can be written.
    _files: Vec<File>,
    /// Nothing can be written here, as on evidence that is mounted read-only.
    pub sealed: bool,
}

impl ReadLock {
    /// Takes it, with others.
    pub(crate) fn take(store: &Path) -> Result<Self, LakeError> {
        let path = store.join(READERS);
        match touch(&path) {
            Ok(file) => {
                file.lock_shared().map_err(|e| LakeError::io("lock", &path, e))?;
                Ok(Self { _files: vec![file], sealed: false })
            }
            Err(error) if error.is_of_read_only() => Self::of_sealed(store),
            Err(error) => Err(error),
        }
    }

    /// Where nothing can be written here, somebody else may write elsewhere: the writer's lock is held, too, since the
    /// manifest is then read as a file that nobody changes.
    fn of_sealed(store: &Path) -> Result<Self, LakeError> {
        let mut files = Vec::new();
        for path in LOCKS.map(|name| store.join(name)) {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(LakeError::io("open", &path, error)),
            };
            match file.try_lock_shared() {
                Ok(()) => files.push(file),
                Err(TryLockError::WouldBlock) => {
                    return Err(LakeError::Locked { path: store.to_owned(), holder: holder(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(LakeError::io("lock", &path, error)),
            }
        }
        Ok(Self { _files: files, sealed: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_writers_names_are_its_own() {
        let hash = "0123456789abcdef".repeat(4);
        for (folder, name, own) in [
            ("segments", "events-2023-07-00000001.parquet", true),
            ("folds", "shapes-00000012.parquet.tmp", true),
            ("folds", "usage-2023-07-123456789.parquet", true),
            ("ids", "00000001.ids", true),
            ("ids", "00000001.ids.tmp", true),
            ("documents", &format!("{hash}.zst"), true),
            ("documents", &format!("{hash}.zst.tmp"), true),
            ("documents", "thesis.txt", false),
            ("documents", "thesis.zst", false),
            ("segments", "x.parquet", false),
            ("segments", "-00000001.parquet", false),
            ("ids", "notes.ids", false),
            ("ids", ".ids", false),
            (ARCHIVE, &format!("{hash}.json.gz"), true),
            (ARCHIVE, &format!("{hash}.log.tmp"), true),
            (ARCHIVE, &format!("{hash}.json gz"), false),
            (ARCHIVE, &hash, false),
        ] {
            assert_eq!(is_own_name(folder, name), own, "{folder}/{name}");
        }
    }

    #[test]
    fn originals_keep_a_sane_extension() {
        let hash = "0123456789abcdef".repeat(4);
        for (path, extension) in [
            ("a/b.json.gz", "json.gz"),
            ("a/b.json", "json"),
            ("a/.json.gz", "json.gz"),
            ("a/json.gz", "gz"),
            ("a/B.JSON", "json"),
            ("a/none", "log"),
            ("a/.hidden", "hidden"),
            ("a/x.tmp", "log"),
            ("a/x.json/../y.a b", "log"),
            ("a/x.\n.gz", "gz"),
            ("a/x.averylongone", "log"),
            ("a.json/..", "log"),
        ] {
            let name = archive_name(Path::new(path), &hash);
            assert_eq!(name, format!("archive/{hash}.{extension}"), "{path}");
            assert!(is_own_name(ARCHIVE, name.strip_prefix("archive/").unwrap()), "{name}");
        }
    }
}
