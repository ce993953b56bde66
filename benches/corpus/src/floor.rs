//! The physical floor of an ingest: reading and decompressing every file, nothing else.

use std::path::{Path, PathBuf};
use std::time::Instant;

use libdeflater::{DecompressionError, Decompressor};
use rayon::prelude::*;

/// Bytes of one file's text at most.
const MAX_TEXT: usize = 1 << 32;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor {
    pub files: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// From the first file's opening to the last one's end; `listing` comes before.
    pub seconds: f64,
    pub listing: f64,
}

/// Reads every `.json.gz` and `.json` below a folder with `threads` threads (0: one a core).
///
/// # Errors
/// When a file cannot be read or is no gzip.
pub fn floor(folder: &Path, threads: usize) -> Result<Floor, String> {
    let began = Instant::now();
    let mut files = Vec::new();
    find(folder, &mut files)?;
    let listing = began.elapsed().as_secs_f64();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
    let began = Instant::now();
    let (bytes_in, bytes_out) = pool.install(|| {
        files
            .par_iter()
            .map_init(Buffers::new, |buffers, file| buffers.read(file))
            .try_reduce(|| (0, 0), |a, b| Ok((a.0 + b.0, a.1 + b.1)))
    })?;
    Ok(Floor { files: files.len() as u64, bytes_in, bytes_out, seconds: began.elapsed().as_secs_f64(), listing })
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut entries: Vec<_> = std::fs::read_dir(folder).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(fail)?.is_dir() {
            find(&path, files)?;
        } else if path.to_string_lossy().ends_with(".json.gz") || path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    Ok(())
}

/// What a thread keeps from file to file.
struct Buffers {
    bytes: Vec<u8>,
    text: Vec<u8>,
    decompressor: Decompressor,
}

impl Buffers {
    fn new() -> Self {
        Self { bytes: Vec::new(), text: Vec::new(), decompressor: Decompressor::new() }
    }

    fn read(&mut self, path: &Path) -> Result<(u64, u64), String> {
        let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        self.bytes.clear();
        let mut file = std::fs::File::open(path).map_err(|e| fail(&e))?;
        std::io::Read::read_to_end(&mut file, &mut self.bytes).map_err(|e| fail(&e))?;
        let size = self.bytes.len() as u64;
        if !self.bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok((size, size));
        }
        // The last four bytes of a member say how long its text is, modulo 2^32.
        let said = self.bytes.last_chunk::<4>().map_or(0, |last| u32::from_le_bytes(*last) as usize);
        if self.text.len() < said.min(MAX_TEXT) {
            self.text.resize(said, 0);
        }
        loop {
            match self.decompressor.gzip_decompress(&self.bytes, &mut self.text) {
                Ok(length) => return Ok((size, length as u64)),
                Err(DecompressionError::InsufficientSpace) if self.text.len() < MAX_TEXT => {
                    self.text.resize((self.text.len() * 2).max(1 << 16), 0);
                }
                Err(error) => return Err(fail(&error)),
            }
        }
    }
}
