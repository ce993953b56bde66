//! Reads one log file: bytes, records, events.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libdeflater::Decompressor;

use super::find::Found;
use super::forms::{self, Detected, Form, FormError, Item};
use super::layout::{FileKind, file_key, in_security_lake};
use crate::lake::chunk::Chunk;
use crate::lake::json::{Tape, Value};
use crate::lake::normalise::Carried;
use crate::lake::split::{Ending, MAX_RECORD_BYTES, Piece, Splitter};
use crate::model::time::Timestamp;
use crate::usage::fold::DigestSpan;

/// Files up to this size on disk are read in one piece; larger ones stream. Every thread holds one such piece.
pub(crate) const WHOLE_FILE_BYTES: u64 = 32 << 20;
/// Members that say they hold up to this much are inflated in one piece; larger ones stream. As above.
const WHOLE_MEMBER_BYTES: usize = 32 << 20;
/// Raw bytes of a quarantined record that are kept in the store; the file and offset are kept always.
const KEPT_RAW_BYTES: usize = 256 << 10;
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// A stretch that was set aside.
#[derive(Clone, Debug)]
pub(crate) struct Bad {
    pub offset: u64,
    pub length: u64,
    pub reason: String,
    /// The bytes, where they are few enough to keep.
    pub raw: Option<Vec<u8>>,
}

/// What a file turned out to be.
#[derive(Clone, Debug)]
pub(crate) struct FileEnd {
    pub kind: FileKind,
    /// Hash of the file's bytes as they stand on disk.
    pub hash: String,
    pub whole: bool,
    /// The hash is the one that was known: nothing was read.
    pub unchanged: bool,
    /// What a digest speaks for.
    pub digest: Option<Digest>,
}

/// A digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// What it speaks for.
    pub span: DigestSpan,
    /// The log files that it names: their keys (see [`file_key`]), and when their oldest events were, in microseconds; 0
    /// where it does not say.
    pub files: Vec<(u64, i64)>,
}

/// Why reading stopped: the file, or what its events go to.
pub(crate) enum ReadError<E> {
    File(std::io::Error),
    Full(E),
}

/// Asked after every record, whether reading may go on; it may empty the chunk.
pub(crate) trait Room {
    type Error;
    /// Goes on, or stops reading.
    fn after(&mut self, chunk: &mut Chunk) -> Result<(), Self::Error>;

    /// Where to add the bytes that are read from the disk of a file that streams.
    fn position(&self) -> Arc<AtomicU64> {
        Arc::default()
    }
}

/// Reads a file into a chunk, where it was begun. `known` is the hash of its content as last read.
pub(crate) fn read<S: Room>(
    found: &Found,
    known: Option<&str>,
    chunk: &mut Chunk,
    room: &mut S,
) -> Result<FileEnd, ReadError<S::Error>> {
    if found.size > WHOLE_FILE_BYTES {
        return stream(found, chunk, room);
    }
    let Some(bytes) = read_whole(found).map_err(ReadError::File)? else { return stream(found, chunk, room) };
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let end = |kind, whole, unchanged| FileEnd { kind, hash: hash.clone(), whole, unchanged, digest: None };
    if known == Some(hash.as_str()) {
        return Ok(end(found.layout.kind, true, true));
    }
    chunk.set_origin(found.layout.named);
    if found.layout.kind == FileKind::Digest {
        let text = if bytes.starts_with(&GZIP) { inflate(&bytes) } else { None };
        let told = told(found, text.as_deref().unwrap_or(&bytes));
        if let Some(text) = text {
            REUSED.with_borrow_mut(|reused| reused.text = text);
        }
        if let Some(told) = told {
            return Ok(FileEnd { digest: told.into_digest(), ..end(FileKind::Digest, true, false) });
        }
        // It only stands where digests do: what it holds is read like any other, or set aside.
    }
    let mut state = State::new(found, chunk, room);
    let (text, bytes) = if bytes.starts_with(&GZIP) { (inflate(&bytes), bytes) } else { (Some(bytes), Vec::new()) };
    let whole = match text {
        Some(text) => match forms::detect(&found.path, &text) {
            Some(form) => state.form(form, found, &mut text.as_slice())?,
            None => {
                state.look(found, &text);
                let tape = REUSED.with_borrow_mut(|reused| reused.tape.take());
                let mut splitter = Splitter::whole(text, None).with_tape(tape);
                let ending = state.pieces(&mut splitter).map_err(ReadError::Full)?;
                give_back(splitter.into_reusable());
                ending == Ending::Whole
            }
        },
        None => {
            let mut gzip = flate2::read::MultiGzDecoder::new(bytes.as_slice());
            let head = forms::head_of(&bytes);
            state.look(found, &head);
            match forms::detect(&found.path, &head) {
                Some(form) => state.form(form, found, &mut gzip)?,
                None => state.run(Splitter::streaming(gzip)).map_err(ReadError::Full)?.1 == Ending::Whole,
            }
        }
    };
    Ok(FileEnd { digest: state.digest, ..end(state.kind, whole, false) })
}

/// The bytes of a file; none where it has grown beyond what is read in one piece.
fn read_whole(found: &Found) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(found.size as usize);
    File::open(found.file())?.take(WHOLE_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= WHOLE_FILE_BYTES).then_some(bytes))
}

fn stream<S: Room>(found: &Found, chunk: &mut Chunk, room: &mut S) -> Result<FileEnd, ReadError<S::Error>> {
    let mut file = File::open(found.file()).map_err(ReadError::File)?;
    let mut magic = [0u8; 3];
    let head = file.read(&mut magic).map_err(ReadError::File)?;
    let inner = File::open(found.file()).map_err(ReadError::File)?;
    let source = Hashing { inner, hash: blake3::Hasher::new(), position: room.position() };
    chunk.set_origin(found.layout.named);
    let mut state = State::new(found, chunk, room);
    if let Some(form) = forms::detect_file(found.file()) {
        return state.stream_form(form, found, source, head == 3 && magic == GZIP);
    }
    state.look(found, &forms::head_of_file(found.file()));
    let (mut source, ending) = if head == 3 && magic == GZIP {
        let gzip = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 20, source));
        let (rest, ending) = state.run(Splitter::streaming(gzip)).map_err(ReadError::Full)?;
        (rest.map(|gzip| gzip.into_inner().into_inner()), ending)
    } else {
        state.run(Splitter::streaming(source)).map_err(ReadError::Full)?
    };
    let (kind, digest) = (state.kind, state.digest);
    let mut hash = String::new();
    if let Some(source) = source.as_mut() {
        std::io::copy(source, &mut std::io::sink()).map_err(ReadError::File)?;
        hash = source.hash.finalize().to_hex().to_string();
    }
    Ok(FileEnd { kind, hash, whole: ending == Ending::Whole, unchanged: false, digest })
}

struct Hashing<R> {
    inner: R,
    hash: blake3::Hasher,
    position: Arc<AtomicU64>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or(&[]));
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// What is used again from file to file: fresh memory costs more than inflating into it.
#[derive(Default)]
struct Reused {
    inflater: Option<Decompressor>,
    text: Vec<u8>,
    tape: Option<Tape>,
}

thread_local! {
    static REUSED: RefCell<Reused> = RefCell::default();
}

/// Whether a gzip header may stand here: magic bytes alone stand by chance in every sixteenth megabyte. Source: RFC
/// 1952, 2.3: reserved flags are zero, XFL is 0, 2 or 4, OS is at most 13 or 255.
fn is_header(bytes: &[u8]) -> bool {
    let Some(&[_, _, _, flags, _, _, _, _, extra, system]) = bytes.first_chunk::<10>() else { return false };
    flags & 0xe0 == 0 && matches!(extra, 0 | 2 | 4) && (system <= 13 || system == 255)
}

/// Inflates a file of one gzip member of ordinary size. None where it is anything else: several members, a
/// damaged or huge one; those are left to the streaming reader, which keeps what comes before the damage.
fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let tail = bytes.len().checked_sub(4).and_then(|at| bytes.get(at..))?;
    let size = u32::from_le_bytes(tail.try_into().ok()?) as usize;
    // The size is a claim: deflate cannot expand more than 1032 times.
    if size > WHOLE_MEMBER_BYTES || size > bytes.len().saturating_mul(1032) {
        return None;
    }
    let rest = bytes.get(GZIP.len()..)?;
    if memchr::memmem::find_iter(rest, &GZIP).any(|at| rest.get(at..).is_some_and(is_header)) {
        return None;
    }
    REUSED.with_borrow_mut(|reused| {
        let mut text = std::mem::take(&mut reused.text);
        text.resize(size, 0);
        let written = reused.inflater.get_or_insert_with(Decompressor::new).gzip_decompress(bytes, &mut text);
        (written == Ok(size)).then_some(text)
    })
}

/// Keeps a text's memory, and what its records had in common, for the next file.
fn give_back((text, tape): (Vec<u8>, Tape)) {
    REUSED.with_borrow_mut(|reused| (reused.text, reused.tape) = (text, Some(tape)));
}

/// What a digest tells.
enum Told {
    /// Which files were delivered in its span, and that no others were.
    Span(Digest),
    /// Files that were delivered again, later: it speaks for no hour.
    Backfill,
}

impl Told {
    fn into_digest(self) -> Option<Digest> {
        match self {
            Self::Span(digest) => Some(digest),
            Self::Backfill => None,
        }
    }
}

/// What a digest file at its place tells; none where it is no digest.
fn told(found: &Found, text: &[u8]) -> Option<Told> {
    let text = std::str::from_utf8(text).ok()?;
    let mut tape = Tape::default();
    tape.parse(text.as_bytes(), usize::MAX).ok()?;
    told_by(tape.root(text), &found.path, &found.layout.region)
}

fn told_by(digest: Value<'_>, path: &Path, region: &str) -> Option<Told> {
    let key = digest.get("digestS3Object").map(Value::lenient).unwrap_or_default();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let span = span(digest, &key, region)?;
    Some(if is_backfill(&key) || is_backfill(name) { Told::Backfill } else { Told::Span(span) })
}

/// The trail of a digest, from `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_TIME.json.gz`; a trail's
/// name may hold underscores.
fn trail_of(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let stem = name.split(".json").next().unwrap_or(name);
    let rest = stem.splitn(4, '_').nth(3).unwrap_or("");
    rest.rsplit_once('_').map(|(trail, _time)| trail.to_owned()).unwrap_or_default()
}

/// Whether a digest tells of files that were delivered again, later: then it says nothing of what ordinary delivery
/// left out in its span. Source: "CloudTrail digest file structure", AWS CloudTrail User Guide (backfill digest files).
fn is_backfill(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.split(".json").next().is_some_and(|stem| stem.ends_with("_backfill"))
}

/// The span of a digest and the files that it names. Its region stands in its object key only.
fn span(digest: Value<'_>, key: &str, region: &str) -> Option<Digest> {
    let text = |key: &str| digest.get(key).map(Value::lenient).unwrap_or_default();
    let named = |file: Value<'_>| {
        let oldest = file.get("oldestEventTime").and_then(|time| time.lenient().parse::<Timestamp>().ok());
        let key = file.get("s3Object").map(|key| file_key(&key.lenient())).unwrap_or_default();
        (key, oldest.map_or(0, Timestamp::micros))
    };
    let files = digest.get("logFiles").map_or_else(Vec::new, |files| files.elements().map(named).collect::<Vec<_>>());
    let layout = super::layout::layout(Path::new(key));
    let span = DigestSpan {
        account: text("awsAccountId").into_owned(),
        trail: trail_of(key),
        region: if layout.region.is_empty() { region.to_owned() } else { layout.region },
        from: text("digestStartTime").parse().ok()?,
        to: text("digestEndTime").parse().ok()?,
        log_files: files.len() as u64,
        // Which of them are in hand is known when the store is read.
        in_hand: 0,
        management: 0,
        lost_from: None,
    };
    Some(Digest { span, files })
}

struct State<'s, S> {
    chunk: &'s mut Chunk,
    room: &'s mut S,
    kind: FileKind,
    path: PathBuf,
    region: String,
    digest: Option<Digest>,
}

impl<'s, S: Room> State<'s, S> {
    fn new(found: &Found, chunk: &'s mut Chunk, room: &'s mut S) -> Self {
        // What is a digest tells so itself.
        let kind = if found.layout.kind == FileKind::Digest { FileKind::Log } else { found.layout.kind };
        Self { chunk, room, kind, path: found.path.clone(), region: found.layout.region.clone(), digest: None }
    }

    /// Notes whether the file is one that a trail delivered.
    fn look(&mut self, found: &Found, head: &[u8]) {
        self.chunk.set_origin(found.layout.named || forms::is_trail_file(head));
    }

    fn run<R: Read>(&mut self, mut splitter: Splitter<R>) -> Result<(Option<R>, Ending), S::Error> {
        let ending = self.pieces(&mut splitter)?;
        Ok((splitter.into_source(), ending))
    }

    fn pieces<R: Read>(&mut self, splitter: &mut Splitter<R>) -> Result<Ending, S::Error> {
        splitter.run(&mut |piece| {
            match piece {
                Piece::Record { offset, text, value } => self.record(offset, text, value),
                Piece::Bad { offset, length, reason, raw } => self.bad(offset, length, reason, raw),
            }
            self.room.after(self.chunk)
        })
    }

    /// Reads a form from its decompressed bytes; true where the file ends as it should.
    fn form(&mut self, form: Detected, found: &Found, source: &mut dyn Read) -> Result<bool, ReadError<S::Error>> {
        let mut tape = Tape::default();
        self.chunk.set_origin(form.form == Form::Parquet && in_security_lake(&found.path));
        let read = forms::read(form, &found.path, source, &mut |item| {
            match item {
                Item::Bad { offset, length, reason, raw } => self.bad(offset, length, reason, raw),
                Item::Record { offset, length, text, carried } => match tape.parse(text.as_bytes(), MAX_RECORD_BYTES) {
                    Ok(end) if end == text.len() => self.placed(offset, length, text, tape.root(text), carried),
                    Ok(end) => {
                        let reason = format!("not JSON: text follows the record at its byte {end}");
                        self.bad(offset, length, reason, text.as_bytes());
                    }
                    Err(error) => self.bad(offset, length, error.reason(), text.as_bytes()),
                },
            }
            self.room.after(self.chunk)
        });
        read.map_err(|error| match error {
            FormError::Lost(reason) => ReadError::File(std::io::Error::other(reason)),
            FormError::Sink(error) => ReadError::Full(error),
        })
    }

    /// Reads a form of a file that does not fit in memory.
    fn stream_form(
        &mut self,
        form: Detected,
        found: &Found,
        source: Hashing<File>,
        gzip: bool,
    ) -> Result<FileEnd, ReadError<S::Error>> {
        let mut source = BufReader::with_capacity(1 << 20, source);
        let whole = match (form.form, gzip) {
            (Form::Parquet, _) | (_, false) => self.form(form, found, &mut source)?,
            (_, true) => self.form(form, found, &mut flate2::bufread::MultiGzDecoder::new(&mut source))?,
        };
        std::io::copy(&mut source, &mut std::io::sink()).map_err(ReadError::File)?;
        let hash = source.into_inner().hash.finalize().to_hex().to_string();
        Ok(FileEnd { kind: self.kind, hash, whole, unchanged: false, digest: self.digest.take() })
    }

    fn bad(&mut self, offset: u64, length: u64, reason: String, raw: &[u8]) {
        let raw = (!raw.is_empty() && raw.len() <= KEPT_RAW_BYTES).then(|| raw.to_vec());
        self.chunk.bad(Bad { offset, length, reason, raw });
    }

    fn record(&mut self, offset: u64, text: &str, value: Value<'_>) {
        self.placed(offset, text.len() as u64, text, value, Carried::WHOLE);
    }

    /// A record that takes `length` bytes at its place, which need not be those of its text.
    fn placed(&mut self, offset: u64, length: u64, text: &str, value: Value<'_>, carried: Carried) {
        match self.chunk.add(value, offset, length, carried) {
            Ok(()) => {}
            // A digest outside the S3 layout. Source: "CloudTrail digest file structure".
            Err(_) if value.get("digestStartTime").is_some() && value.get("logFiles").is_some() => {
                match told_by(value, &self.path, &self.region) {
                    Some(told) => (self.kind, self.digest) = (FileKind::Digest, told.into_digest()),
                    None => {
                        let reason = "a digest that does not say from when to when it speaks".to_owned();
                        self.bad(offset, length, reason, text.as_bytes());
                    }
                }
            }
            Err(reason) => self.bad(offset, length, reason, text.as_bytes()),
        }
    }
}

/// Reads a file to its end in memory, for tests of single files.
#[cfg(test)]
pub(crate) fn read_all(path: &Path) -> (usize, Vec<Bad>, FileEnd) {
    let (rows, bad, end, _) = read_declared(path, false);
    (rows, bad, end)
}

#[cfg(test)]
fn read_declared(path: &Path, declared: bool) -> (usize, Vec<Bad>, FileEnd, crate::lake::chunk::Origin) {
    struct Always;
    impl Room for Always {
        type Error = std::convert::Infallible;
        fn after(&mut self, _: &mut Chunk) -> Result<(), Self::Error> {
            Ok(())
        }
    }
    let found = super::find::find(path).unwrap().files.remove(0);
    let mut chunk = Chunk::new(false).declared(declared);
    chunk.begin(&found, 0);
    let Ok(end) = read(&found, None, &mut chunk, &mut Always) else { panic!("cannot read {}", path.display()) };
    let file = chunk.files.remove(0);
    (chunk.rows.len(), file.bad, end, file.origin)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::lake::chunk::Origin;

    fn record(id: usize) -> String {
        format!(
            r#"{{"eventID":"e{id}","eventTime":"2023-07-10T11:42:24Z","eventSource":"s3.amazonaws.com","eventName":"ListBuckets"}}"#
        )
    }

    fn gz(text: &str) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> (usize, Vec<String>, bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        std::fs::write(&path, bytes).unwrap();
        let (rows, bad, end) = read_all(&path);
        (rows, bad.into_iter().map(|b| b.reason).collect(), end.whole)
    }

    #[test]
    fn gzip_in_all_forms() {
        let list = format!("{{\"Records\":[{}]}}", (0..500).map(record).collect::<Vec<_>>().join(","));
        let plain = gz(&list);
        assert_eq!(read_bytes(&plain), (500, vec![], true));
        assert_eq!(read_bytes(list.as_bytes()), (500, vec![], true));
        assert_eq!(read_bytes(&[plain.clone(), plain.clone()].concat()), (1000, vec![], true));
        let (rows, bad, whole) = read_bytes(&plain[..plain.len() / 2]);
        assert!(rows > 50 && rows < 450 && bad.len() == 1 && !whole, "{rows} {bad:?}");
        assert!(bad[0].contains("truncated"), "{bad:?}");
        let (rows, bad, whole) = read_bytes(&[plain.as_slice(), b"garbage"].concat());
        assert!(rows == 500 && bad.len() == 1 && !whole, "{rows} {bad:?}");
        let mut flipped = plain;
        let at = flipped.len() - 6;
        flipped[at] ^= 1;
        let (rows, bad, whole) = read_bytes(&flipped);
        assert!(rows == 500 && bad.len() == 1 && !whole, "{rows} {bad:?}");
        let (rows, bad, _) = read_bytes(&GZIP);
        assert_eq!((rows, bad.len()), (0, 1), "{bad:?}");
    }

    #[test]
    fn trails_of_digests() {
        let key = |name: &str| format!("p/AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/01/02/{name}");
        for (name, want) in [
            ("111122223333_CloudTrail-Digest_eu-west-1_audit_us-east-1_20240102T000102Z.json.gz", "audit_us-east-1"),
            ("111122223333_CloudTrail-Digest_eu-west-1_a_b-c_us-east-1_20240102T000102Z.json.gz", "a_b-c_us-east-1"),
            ("digest.json", ""),
        ] {
            assert_eq!(trail_of(&key(name)), want);
        }
    }

    #[test]
    fn digests_are_told_by_their_content_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.json");
        std::fs::write(&path, r#"{"awsAccountId":"1","digestStartTime":"2015-08-17T14:01:31Z","digestEndTime":"2015-08-17T15:01:31Z","logFiles":[]}"#)
            .unwrap();
        let (rows, bad, end) = read_all(&path);
        assert_eq!((rows, bad.len(), end.kind, end.digest.is_some()), (0, 0, FileKind::Digest, true));
    }

    #[test]
    fn what_stands_among_digests_need_not_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2023/07/10");
        std::fs::create_dir_all(&place).unwrap();
        let digest = r#"{"awsAccountId":"111122223333","digestStartTime":"2023-07-10T10:00:00Z","digestEndTime":"2023-07-10T11:00:00Z","digestS3Object":"d.json.gz","logFiles":[{"s3Object":"a"},{"s3Object":"b"}]}"#;
        let without_end = digest.replace("digestEndTime", "digestEnd");
        let (whole, events) = (gz(digest), format!("{{\"Records\":[{},{}]}}", record(0), record(1)));
        let (head, tail) = digest.split_at(50);
        let members = [gz(head), gz(tail)].concat();
        type Case<'c> = (&'c str, &'c [u8], (usize, usize, bool, FileKind));
        let cases: [Case<'_>; 9] = [
            ("digest", &whole, (0, 0, true, FileKind::Digest)),
            ("plain", digest.as_bytes(), (0, 0, true, FileKind::Digest)),
            ("members", &members, (0, 0, true, FileKind::Digest)),
            ("cut", &whole[..whole.len() / 2], (0, 1, false, FileKind::Log)),
            ("junk", b"not json at all", (0, 1, true, FileKind::Log)),
            ("other", b"{\"x\":1}", (0, 1, true, FileKind::Log)),
            ("no end", without_end.as_bytes(), (0, 1, true, FileKind::Log)),
            ("events", &gz(&events), (2, 0, true, FileKind::Log)),
            ("empty", b"", (0, 1, true, FileKind::Log)),
        ];
        for (name, bytes, want) in cases {
            let path = place.join(format!("{name}.json"));
            std::fs::write(&path, bytes).unwrap();
            let (rows, bad, end) = read_all(&path);
            assert_eq!((rows, bad.len(), end.whole, end.kind), want, "{name}: {bad:?}");
            assert_eq!(
                end.digest.map(|digest| digest.span.log_files),
                (want.3 == FileKind::Digest).then_some(2),
                "{name}"
            );
        }
    }

    #[test]
    fn backfill_digests_speak_for_no_hour() {
        let folder = tempfile::tempdir().unwrap();
        let stem = "111122223333_CloudTrail-Digest_eu-west-1_audit_us-east-1_20240102T000102Z";
        for (name, key, speaks) in [("", "", true), ("_backfill", "", false), ("", "_backfill", false)] {
            let path = folder.path().join(format!("{stem}{name}.json"));
            let digest = format!(
                r#"{{"awsAccountId":"1","digestStartTime":"2024-01-01T23:00:00Z","digestEndTime":"2024-01-02T00:00:00Z","digestS3Object":"p/{stem}{key}.json.gz","logFiles":[{{"s3Object":"p/x.json.gz","oldestEventTime":"2024-01-01T20:00:00Z"}},{{}}]}}"#
            );
            std::fs::write(&path, digest).unwrap();
            let (.., end) = read_all(&path);
            assert_eq!((end.kind, end.digest.is_some()), (FileKind::Digest, speaks), "{name} {key}");
            if let Some(digest) = end.digest {
                assert_eq!((digest.span.trail.as_str(), digest.span.log_files), ("audit_us-east-1", 2));
                let oldest = "2024-01-01T20:00:00Z".parse::<Timestamp>().unwrap().micros();
                assert_eq!(digest.files[..], [(file_key("/elsewhere/x.json"), oldest), (0, 0)]);
            }
        }
    }

    #[test]
    fn files_of_trails_are_told_from_exports() {
        let folder = tempfile::tempdir().unwrap();
        let named = "111122223333_CloudTrail_eu-west-1_20240102T0000Z_abcdefghijklmnop.json";
        let lines = format!("{}\n{}\n", record(0), record(1));
        let answer = format!(r#"{{"Events":[{{"CloudTrailEvent":{:?}}}]}}"#, record(0));
        for (name, text, whole) in [
            ("a.json", format!(r#"{{"Records":[{}]}}"#, record(0)), true),
            ("b.json", format!("\u{feff} {{\"more\":{{\"a\":[1]}}, \"Records\" : [{}]}}", record(0)), true),
            ("c.json", format!("[{}]", record(0)), false),
            ("d.json", lines.clone(), false),
            (named, lines, true),
            ("e.json", answer.clone(), false),
            (&named.replace("abc", "xyz"), answer, false),
            ("f.json", record(0).replacen('{', r#"{"eventVersion":"1","Records":[],"#, 1), false),
        ] {
            let path = folder.path().join(name);
            for zipped in [false, true] {
                std::fs::write(&path, if zipped { gz(&text) } else { text.clone().into_bytes() }).unwrap();
                for declared in [false, true] {
                    let origin = match (whole, declared) {
                        (true, _) => Origin::Whole,
                        (false, true) => Origin::Declared,
                        (false, false) => Origin::Export,
                    };
                    assert_eq!(read_declared(&path, declared).3, origin, "{name} {zipped} {declared}");
                }
            }
        }
    }

    #[test]
    fn duplicate_keys_are_set_aside() {
        let twice = record(1).replacen("\"eventID\"", "\"eventName\":\"x\",\"eventID\"", 1);
        let (rows, bad, whole) = read_bytes(format!("[{},{twice}]", record(0)).as_bytes());
        assert_eq!((rows, bad.len(), whole), (1, 1, true));
        assert!(bad[0].contains("`eventName` stands twice"));
    }
}
