//! The physical floor of an ingest: reading and decompressing every file, nothing else; and a second one above it, at which
//! every file is also parsed, and nothing is made of what it says.

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
    /// Nodes of JSON, where files are parsed too.
    pub nodes: u64,
    /// Files that are not JSON as a whole.
    pub unparsed: u64,
    /// From the first file's opening to the last one's end; `listing` comes before.
    pub seconds: f64,
    pub listing: f64,
}

impl Floor {
    fn add(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
            nodes: self.nodes + other.nodes,
            unparsed: self.unparsed + other.unparsed,
            ..self
        }
    }
}

/// Reads every `.json.gz` and `.json` below a folder with `threads` threads (0: one a core). `parse`: every file is also
/// parsed, by simd-json into its tape.
///
/// # Errors
/// When a file cannot be read or is no gzip.
pub fn floor(folder: &Path, threads: usize, parse: bool) -> Result<Floor, String> {
    let began = Instant::now();
    let mut files = Vec::new();
    find(folder, &mut files)?;
    let listing = began.elapsed().as_secs_f64();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
    let began = Instant::now();
    let read = pool.install(|| {
        files
            .par_iter()
            .map_init(Buffers::new, |buffers, file| {
                let (bytes_in, bytes_out) = buffers.read(file)?;
                let nodes = if parse { buffers.parse(bytes_out as usize) } else { Some(0) };
                let unparsed = u64::from(nodes.is_none());
                let nodes = nodes.unwrap_or_default();
                Ok(Floor { files: 1, bytes_in, bytes_out, nodes, unparsed, ..Floor::default() })
            })
            .try_reduce(Floor::default, |a, b| Ok::<_, String>(a.add(b)))
    })?;
    Ok(Floor { seconds: began.elapsed().as_secs_f64(), listing, ..read })
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

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// What a thread keeps from file to file.
struct Buffers {
    bytes: Vec<u8>,
    text: Vec<u8>,
    decompressor: Decompressor,
    parser: simd_json::Buffers,
}

impl Buffers {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            text: Vec::new(),
            decompressor: Decompressor::new(),
            parser: simd_json::Buffers::default(),
        }
    }

    /// Parses the text that was read last: its first `length` bytes, or the file itself where it is no gzip. How many nodes
    /// it has; none where it is not JSON.
    fn parse(&mut self, length: usize) -> Option<u64> {
        let text = if is_gzip(&self.bytes) { self.text.get_mut(..length)? } else { self.bytes.as_mut_slice() };
        simd_json::to_tape_with_buffers(text, &mut self.parser).ok().map(|tape| tape.0.len() as u64)
    }

    fn read(&mut self, path: &Path) -> Result<(u64, u64), String> {
        let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        self.bytes.clear();
        let mut file = std::fs::File::open(path).map_err(|e| fail(&e))?;
        std::io::Read::read_to_end(&mut file, &mut self.bytes).map_err(|e| fail(&e))?;
        let size = self.bytes.len() as u64;
        if !is_gzip(&self.bytes) {
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
