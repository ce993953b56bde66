//! Id packs: several become one, cell by cell, without holding them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk;
use super::error::LakeError;
use super::ids::{self, ENTRY_BYTES, Known};
use super::manifest::{Manifest, Pack, count};
use super::writer::{Run, Writer, pack_name};

/// What became of some packs.
#[derive(Debug, Default)]
pub(crate) struct MergedPacks {
    /// The new pack; none where nothing is left.
    pub pack: Option<Pack>,
    pub runs: Vec<Run>,
}

impl Manifest {
    /// Every id pack, by name.
    pub(crate) fn packs(&self) -> Result<Vec<Pack>, LakeError> {
        let read = || {
            let mut statement = self.connection.prepare("SELECT name, bytes, hash FROM packs ORDER BY name")?;
            let rows = statement
                .query_map([], |row| Ok(Pack { name: row.get(0)?, bytes: count(row, 1)?, hash: row.get(2)? }))?;
            rows.collect::<rusqlite::Result<Vec<Pack>>>()
        };
        read().map_err(self.fail())
    }
}

impl Writer {
    /// Writes the runs of some packs as one pack, a run a cell; those of hours before `from` are left out. The pack is
    /// durable once its folder is.
    ///
    /// # Errors
    /// When a pack is not what was written, or the disk refuses.
    pub(crate) fn merge_packs(
        &self,
        packs: &[Pack],
        from: Option<i32>,
        generation: i64,
    ) -> Result<MergedPacks, LakeError> {
        if packs.is_empty() {
            return Ok(MergedPacks::default());
        }
        let mut open: BTreeMap<&str, File> = BTreeMap::new();
        for pack in packs {
            let path = self.store().join(&pack.name);
            disk::verify(&path, pack.bytes, &pack.hash)?;
            open.insert(&pack.name, File::open(&path).map_err(|e| LakeError::io("open", &path, e))?);
        }
        let mut out = Output::begin(self.store(), generation)?;
        let manifest = self.manifest();
        let fail = manifest.fail();
        let mut statement = manifest
            .connection
            .prepare(
                "SELECT account, hour, pack, offset, count FROM id_runs WHERE hour >= ?1 ORDER BY account, hour, pack",
            )
            .map_err(&fail)?;
        let mut rows = statement.query([from.unwrap_or(i32::MIN)]).map_err(&fail)?;
        let mut cell: (Arc<str>, i32, Known) = Default::default();
        while let Some(row) = rows.next().map_err(&fail)? {
            let read = || {
                Ok((row.get_ref(0)?.as_str()?, row.get(1)?, row.get_ref(2)?.as_str()?, count(row, 3)?, count(row, 4)?))
            };
            let (account, hour, pack, offset, entries): (&str, i32, &str, u64, u64) = read().map_err(&fail)?;
            let Some(file) = open.get(pack) else { continue };
            if (&*cell.0, cell.1) != (account, hour) {
                let same = if &*cell.0 == account { Arc::clone(&cell.0) } else { account.into() };
                let (account, hour, known) = std::mem::replace(&mut cell, (same, hour, Known::default()));
                out.put(account, hour, known)?;
            }
            read_run(file, &self.store().join(pack), offset, entries, &mut cell.2)?;
        }
        out.put(cell.0, cell.1, cell.2)?;
        out.end()
    }
}

/// Adds one run of an open pack to what is known.
pub(crate) fn read_run(
    file: &File,
    path: &Path,
    offset: u64,
    entries: u64,
    known: &mut Known,
) -> Result<(), LakeError> {
    let short =
        || LakeError::Damaged { path: path.to_owned(), reason: "it is shorter than the manifest says".to_owned() };
    let length = file.metadata().map_err(|e| LakeError::io("read", path, e))?.len();
    // The manifest's numbers are not believed before memory is taken for them.
    let bytes = entries
        .checked_mul(ENTRY_BYTES as u64)
        .filter(|bytes| offset.checked_add(*bytes).is_some_and(|end| end <= length));
    let mut buffer = vec![0u8; bytes.ok_or_else(short)? as usize];
    file.read_exact_at(&mut buffer, offset).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => short(),
        _ => LakeError::io("read", path, error),
    })?;
    known.add(&buffer).ok_or_else(short)
}

/// A pack that is being written.
struct Output {
    name: String,
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    hash: blake3::Hasher,
    offset: u64,
    runs: Vec<Run>,
}

impl Output {
    fn begin(store: &Path, generation: i64) -> Result<Self, LakeError> {
        let name = pack_name(generation);
        let path = store.join(&name);
        let temporary = disk::temporary(&path);
        let file = disk::touch(&temporary)?;
        file.set_len(0).map_err(|e| LakeError::io("write", &path, e))?;
        let (file, hash) = (BufWriter::with_capacity(1 << 20, file), blake3::Hasher::new());
        Ok(Self { name, path, temporary, file, hash, offset: 0, runs: Vec::new() })
    }

    fn put(&mut self, account: Arc<str>, hour: i32, known: Known) -> Result<(), LakeError> {
        let entries = known.merged();
        if entries.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
        ids::append(&mut bytes, &entries);
        self.hash.update(&bytes);
        self.file.write_all(&bytes).map_err(|e| LakeError::io("write", &self.path, e))?;
        self.runs.push((account, hour, self.offset, entries.len() as u64));
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn end(self) -> Result<MergedPacks, LakeError> {
        let Self { name, path, temporary, file, hash, offset, runs } = self;
        let file = file.into_inner().map_err(|e| LakeError::io("write", &path, e.into_error()))?;
        drop(file);
        if runs.is_empty() {
            std::fs::remove_file(&temporary).map_err(|e| LakeError::io("remove", &temporary, e))?;
            return Ok(MergedPacks::default());
        }
        disk::finish(&temporary, &path)?;
        let pack = Pack { name, bytes: offset, hash: hash.finalize().to_hex().to_string() };
        Ok(MergedPacks { pack: Some(pack), runs })
    }
}
