//! Original files, kept unchanged within the store by their content: what `ingest --archive` does.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use rusqlite::{Transaction, params};

use super::disk::{self, Copied};
use super::error::LakeError;
use super::manifest::signed;
use super::source::layout::path_text;
use crate::model::time::Timestamp;

/// A file whose original is to be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Original<'f> {
    pub path: &'f Path,
    /// BLAKE3 of what was read.
    pub hash: &'f str,
    /// The last time of which it speaks; none where the manifest knows it, or nobody.
    pub last: Option<Timestamp>,
}

/// An original file that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archived {
    /// Where it came from.
    pub path: String,
    hash: String,
    /// Path within the store.
    name: String,
    bytes: u64,
    last: Option<Timestamp>,
}

/// Copies original files into the store, copies of one content once. Those whose content is no longer the one that
/// was read are left out. The folder is synced by the caller.
pub(crate) fn keep(store: &Path, originals: &[Original<'_>]) -> Result<Vec<Archived>, LakeError> {
    let mut by_name: BTreeMap<String, Vec<&Original<'_>>> = BTreeMap::new();
    for original in originals {
        by_name.entry(disk::archive_name(original.path, original.hash)).or_default().push(original);
    }
    let kept: Vec<Vec<Archived>> =
        by_name.into_par_iter().map(|(name, same)| keep_one(store, &name, &same)).collect::<Result<_, _>>()?;
    Ok(kept.into_iter().flatten().collect())
}

fn keep_one(store: &Path, name: &str, same: &[&Original<'_>]) -> Result<Vec<Archived>, LakeError> {
    for source in same {
        if let Copied::Done(bytes) = disk::copy_file(source.path, &store.join(name), source.hash)? {
            let archived = |one: &&Original<'_>| Archived {
                path: path_text(one.path),
                hash: one.hash.to_owned(),
                name: name.to_owned(),
                bytes,
                last: one.last,
            };
            return Ok(same.iter().map(archived).collect());
        }
    }
    Ok(Vec::new())
}

/// Names originals in the manifest. One that is known stays as it is: its content is the same.
pub(crate) fn insert(tx: &Transaction<'_>, all: &[Archived], generation: i64) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO archive (path, hash, name, bytes, last, generation)
         VALUES (?1, ?2, ?3, ?4, coalesce(?5, (SELECT max(last) FROM digests WHERE path = ?1),
                 (SELECT coalesce(last, delivered) FROM files WHERE path = ?1)), ?6)
         ON CONFLICT (path, hash) DO NOTHING",
    )?;
    for one in all {
        let last = one.last.map(Timestamp::micros);
        statement.execute(params![one.path, one.hash, one.name, signed(one.bytes), last, generation])?;
    }
    Ok(())
}
