//! Id packs: several become one, cell by cell, without holding them.

use std::collections::{BTreeSet, VecDeque};
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

/// Packs of this many bytes are full; those of half as many are left as they are.
pub(crate) const PACK_BYTES: u64 = 256 << 20;
/// Packs that are open at a time: all of a store's may be more than the system allows.
const OPEN_PACKS: usize = 32;

/// What became of some packs.
#[derive(Debug, Default)]
pub(crate) struct MergedPacks {
    /// The new pack; none where nothing is left.
    pub pack: Option<Pack>,
    pub runs: Vec<Run>,
}

/// Packs in groups, in their order, each of which makes one.
pub(crate) fn groups(packs: Vec<Pack>, most: usize) -> Vec<Vec<Pack>> {
    let mut groups = Vec::new();
    let (mut group, mut bytes) = (Vec::new(), 0u64);
    for pack in packs {
        if group.len() >= most || (!group.is_empty() && bytes.saturating_add(pack.bytes) > PACK_BYTES) {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes = bytes.saturating_add(pack.bytes);
        group.push(pack);
    }
    groups.push(group);
    groups.retain(|group| !group.is_empty());
    groups
}

/// Packs that are open for reading: those that were read last.
#[derive(Debug)]
pub(crate) struct OpenPacks<'s> {
    store: &'s Path,
    /// The one read last at the end.
    open: VecDeque<(String, File)>,
}

impl<'s> OpenPacks<'s> {
    pub(crate) fn new(store: &'s Path) -> Self {
        Self { store, open: VecDeque::new() }
    }

    /// Adds one run of a pack to what is known.
    ///
    /// # Errors
    /// When the pack is not what the manifest says, or cannot be read.
    pub(crate) fn read(&mut self, pack: &str, offset: u64, entries: u64, known: &mut Known) -> Result<(), LakeError> {
        let path = self.store.join(pack);
        let at = self.open.iter().rposition(|(name, _)| name == pack);
        let opened = match at.and_then(|at| self.open.remove(at)) {
            Some(opened) => opened,
            None => {
                if self.open.len() >= OPEN_PACKS {
                    self.open.pop_front();
                }
                (pack.to_owned(), File::open(&path).map_err(|e| LakeError::io("open", &path, e))?)
            }
        };
        let read = read_run(&opened.1, &path, offset, entries, known);
        self.open.push_back(opened);
        read
    }
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
    /// Writes the runs of some packs as one pack, a run a cell; those of hours before `from` are left out. `at` is its
    /// number within the generation. The pack is durable once its folder is.
    ///
    /// # Errors
    /// When a pack is not what was written, or the disk refuses.
    pub(crate) fn merge_packs(
        &self,
        packs: &[Pack],
        from: Option<i32>,
        generation: i64,
        at: usize,
    ) -> Result<MergedPacks, LakeError> {
        if packs.is_empty() {
            return Ok(MergedPacks::default());
        }
        let names: BTreeSet<&str> = packs.iter().map(|pack| pack.name.as_str()).collect();
        for pack in packs {
            disk::verify(&self.store().join(&pack.name), pack.bytes, &pack.hash)?;
        }
        let mut open = OpenPacks::new(self.store());
        let mut out = Output::begin(self.store(), generation, at)?;
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
            if !names.contains(pack) {
                continue;
            }
            if (&*cell.0, cell.1) != (account, hour) {
                let same = if &*cell.0 == account { Arc::clone(&cell.0) } else { account.into() };
                let (account, hour, known) = std::mem::replace(&mut cell, (same, hour, Known::default()));
                out.put(account, hour, known)?;
            }
            open.read(pack, offset, entries, &mut cell.2)?;
        }
        out.put(cell.0, cell.1, cell.2)?;
        out.end()
    }
}

/// Adds one run of an open pack to what is known.
fn read_run(file: &File, path: &Path, offset: u64, entries: u64, known: &mut Known) -> Result<(), LakeError> {
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
    fn begin(store: &Path, generation: i64, at: usize) -> Result<Self, LakeError> {
        let name = pack_name(generation, at);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_is_in_one_group() {
        let pack = |n: u64, bytes: u64| Pack { name: format!("{n:03}"), bytes, hash: String::new() };
        let of = |sizes: &[u64], most| {
            let packs = (0..).zip(sizes).map(|(n, bytes)| pack(n, *bytes)).collect();
            groups(packs, most).iter().map(Vec::len).collect::<Vec<_>>()
        };
        let half = PACK_BYTES / 2;
        assert_eq!(of(&[], 9), [0; 0]);
        assert_eq!(of(&[1; 300], usize::MAX), [300]);
        assert_eq!(of(&[1; 5], 2), [2, 2, 1]);
        assert_eq!(of(&[half, half, half, 1, PACK_BYTES, u64::MAX, 1], usize::MAX), [2, 2, 1, 1, 1]);
    }

    #[test]
    fn few_packs_are_open_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("ids")).unwrap();
        let names: Vec<String> = (0..100).map(|n| format!("ids/{n:08}.ids")).collect();
        for name in &names {
            std::fs::write(folder.path().join(name), [7u8; ENTRY_BYTES]).unwrap();
        }
        let mut open = OpenPacks::new(folder.path());
        let mut known = Known::default();
        for name in names.iter().chain(names.iter().rev()) {
            open.read(name, 0, 1, &mut known).unwrap();
            assert!(open.open.len() <= OPEN_PACKS);
        }
        assert_eq!(known.merged().len(), 200);
        let mut known = Known::default();
        assert!(matches!(open.read(&names[0], 1, 1, &mut known), Err(LakeError::Damaged { .. })));
        assert!(matches!(open.read("ids/none", 0, 1, &mut known), Err(LakeError::Io { .. })));
    }
}
