//! Reads files as they are on disk: gzip or plain, with bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use ring::digest::{Context, SHA256};

/// A digest's uncompressed size: it is parsed in memory. An entry for a log takes about 400 bytes, and a busy account
/// writes some thousands of logs an hour; larger ones are not CloudTrail's.
pub(super) const MAX_DIGEST_BYTES: u64 = 64 << 20;
/// A log's uncompressed size up to which it is hashed. CloudTrail's are below 100 MB; deflate can expand a thousandfold,
/// so that without a limit a small file could cost hours.
pub(super) const MAX_LOG_BYTES: u64 = 4 << 30;
/// A sidecar's size: some object metadata.
pub(super) const MAX_SIDECAR_BYTES: u64 = 1 << 20;
/// Bytes that are inflated at a time.
const CHUNK: usize = 64 << 10;

/// SHA-256 of uncompressed content.
pub(super) type Hash = [u8; 32];

/// Why a file's content is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The operating system would not give it.
    Io(String),
    /// It is no whole gzip member, or has bytes after it.
    Broken(String),
    /// It holds more than the limit, in bytes.
    TooLarge(u64),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Broken(error) => write!(f, "cannot be uncompressed: {error}"),
            Self::TooLarge(limit) => write!(f, "holds more than {limit} bytes, which is the limit"),
        }
    }
}

/// The hash of a log's uncompressed content; memory does not depend on its size.
pub(super) fn hash_log(path: &Path) -> Result<Hash, ReadError> {
    let mut context = Context::new(&SHA256);
    inflate(path, MAX_LOG_BYTES, &mut |bytes| context.update(bytes))?;
    Ok(bytes_of(context.finish().as_ref()))
}

/// The uncompressed content of a digest or another small file, and its hash.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<(Vec<u8>, Hash), ReadError> {
    let mut text = Vec::new();
    inflate(path, limit, &mut |bytes| text.extend_from_slice(bytes))?;
    let hash = bytes_of(ring::digest::digest(&SHA256, &text).as_ref());
    Ok((text, hash))
}

fn bytes_of(digest: &[u8]) -> Hash {
    // SHA-256 has 32 bytes; the default is never taken.
    digest.try_into().unwrap_or_default()
}

/// Gives the uncompressed content piece by piece. Exactly one gzip member, as CloudTrail writes it: what is appended
/// would be read by other tools without being part of what was hashed.
fn inflate(path: &Path, limit: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
    let io = |error: std::io::Error| ReadError::Io(error.to_string());
    // A pipe or device of that name would block, or never end.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(ReadError::Io("not a regular file".to_owned()));
    }
    let mut source = BufReader::with_capacity(CHUNK, File::open(path).map_err(io)?);
    if !source.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]) {
        return copy(&mut source, limit, sink);
    }
    let mut gzip = flate2::bufread::GzDecoder::new(source);
    copy(&mut gzip, limit, sink)?;
    let mut rest = gzip.into_inner();
    if rest.fill_buf().map_err(io)?.is_empty() {
        Ok(())
    } else {
        Err(ReadError::Broken("bytes follow the end of the compressed content".to_owned()))
    }
}

fn copy(source: &mut dyn Read, limit: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
    let mut buffer = vec![0u8; CHUNK];
    let mut total = 0u64;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                let damaged =
                    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof);
                let text = error.to_string();
                return Err(if damaged { ReadError::Broken(text) } else { ReadError::Io(text) });
            }
        };
        total = total.saturating_add(count as u64);
        if total > limit {
            return Err(ReadError::TooLarge(limit));
        }
        sink(buffer.get(..count).unwrap_or(&[]));
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        out
    })
}

/// Reads hexadecimal of either case.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let nibbles = nibbles?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn one_gzip_member_or_plain_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let hash = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            hash_log(&path).map(|hash| hex(&hash))
        };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc").unwrap(), abc);
        assert_eq!(hash(&gz(b"abc")).unwrap(), abc);
        for bytes in [[gz(b"abc"), gz(b"")].concat(), [gz(b"abc"), vec![0]].concat(), gz(b"abc")[..12].to_vec()] {
            assert!(matches!(hash(&bytes), Err(ReadError::Broken(_))), "{bytes:?}");
        }
        assert!(matches!(hash_log(folder.path()), Err(ReadError::Io(_))));
        assert!(matches!(hash_log(&folder.path().join("none")), Err(ReadError::Io(_))));
    }

    #[test]
    fn bombs_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, gz(&vec![b' '; 3 << 20])).unwrap();
        assert_eq!(read_small(&path, 1 << 20), Err(ReadError::TooLarge(1 << 20)));
        assert_eq!(read_small(&path, 3 << 20).unwrap().0.len(), 3 << 20);
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex("00fFa1"), Some(vec![0, 255, 161]));
        assert_eq!(hex(&[0, 255, 161]), "00ffa1");
        for text in ["0", "0g", "é0"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }
}
