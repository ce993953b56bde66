//! Log objects that were fetched from elsewhere: they lie in a folder of the store until they are read, and are known
//! afterwards by the name that they have there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::disk::INCOMING;
use super::error::LakeError;
use super::ingest::{IngestOptions, IngestReport, Quiet, ingest_listed};
use super::source::find::{Found, Listing};
use super::source::layout::layout;
use super::writer::Writer;
use crate::model::time::Timestamp;

/// An object, as it was fetched.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its name, such as `s3://bucket/key`: by it the object is known again.
    pub name: &'a str,
    /// When it was last changed there.
    pub modified: Timestamp,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether it holds every event of its span, although its form does not tell.
    pub complete: bool,
}

/// What the store knows of an object: its size in bytes, and when it was changed last.
pub type KnownObject = (u64, Timestamp);

impl Writer {
    /// The objects whose names begin like this, as they were when they were read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn known_objects(&self, start: &str) -> Result<BTreeMap<String, KnownObject>, LakeError> {
        let all = self.manifest.known_files()?;
        let of = |mtime: i64| Timestamp::from_micros(mtime.div_euclid(1000));
        let known = all.into_iter().filter(|(name, _)| name.starts_with(start));
        Ok(known.map(|(name, file)| (name, (file.size, of(file.mtime)))).collect())
    }
}

/// Objects that wait to be read.
#[derive(Debug)]
pub struct Incoming {
    folder: PathBuf,
    /// Those whose form tells whether they are complete, and those that are said to be.
    waiting: [Vec<Found>; 2],
    bytes: u64,
    count: usize,
}

impl Incoming {
    /// An empty folder for them. What a killed run left there is removed: it is fetched again.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn begin(writer: &Writer) -> Result<Self, LakeError> {
        let folder = writer.store.join(INCOMING);
        clear(&folder)?;
        std::fs::create_dir_all(&folder).map_err(|e| LakeError::io("create", &folder, e))?;
        Ok(Self { folder, waiting: [Vec::new(), Vec::new()], bytes: 0, count: 0 })
    }

    /// Keeps an object until it is read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, object: &Object<'_>) -> Result<(), LakeError> {
        let path = PathBuf::from(object.name);
        // The ending tells some of the readers what the file is.
        let end = if object.name.ends_with(".gz") { "json.gz" } else { "json" };
        let local = self.folder.join(format!("{}.{end}", self.count));
        std::fs::write(&local, object.bytes).map_err(|e| LakeError::io("write", &local, e))?;
        let size = object.bytes.len() as u64;
        let mtime = object.modified.micros().saturating_mul(1000);
        let layout = layout(&path);
        if let Some(waiting) = self.waiting.get_mut(usize::from(object.complete)) {
            waiting.push(Found { path, local: Some(local), size, mtime, layout });
        }
        self.bytes += size;
        self.count += 1;
        Ok(())
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many objects wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    /// Reads what waits into the store, and forgets it. A row of the report speaks of those whose form tells whether they
    /// are complete, the next of those that are said to be.
    ///
    /// # Errors
    /// When the store cannot be written; it then stands at its last complete generation.
    pub fn ingest(&mut self, writer: &mut Writer, options: &IngestOptions) -> Result<Vec<IngestReport>, LakeError> {
        let mut reports = Vec::new();
        for (complete, waiting) in [false, true].into_iter().zip(&mut self.waiting) {
            let mut files = std::mem::take(waiting);
            if files.is_empty() {
                continue;
            }
            files.sort_by(|a, b| a.path.cmp(&b.path));
            let listing = Listing { files, ..Listing::default() };
            let options = IngestOptions { complete, ..options.clone() };
            reports.push(ingest_listed(writer, &[PathBuf::from(INCOMING)], vec![listing], &options, &Quiet)?);
        }
        self.bytes = 0;
        clear(&self.folder)?;
        std::fs::create_dir_all(&self.folder).map_err(|e| LakeError::io("create", &self.folder, e))?;
        Ok(reports)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Best effort: whoever begins next clears it.
        let _ = clear(&self.folder);
    }
}

fn clear(folder: &Path) -> Result<(), LakeError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LakeError::io("remove", folder, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn record(id: &str) -> String {
        format!(
            r#"{{"eventVersion":"1.08","eventID":"{id}","eventTime":"2026-01-02T03:04:05Z","eventSource":"iam.amazonaws.com",
            "eventName":"ListUsers","awsRegion":"us-east-1","recipientAccountId":"111122223333","eventCategory":"Management",
            "userIdentity":{{"type":"IAMUser","accountId":"111122223333","userName":"u"}}}}"#
        )
    }

    #[test]
    fn objects_are_read_once_and_known_by_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let mut writer = Writer::open(&store, false, &AtomicBool::new(false)).unwrap();
        // What a killed run left behind is not read: it may be half a file.
        std::fs::create_dir_all(store.join(INCOMING)).unwrap();
        std::fs::write(store.join(INCOMING).join("0.json"), record("left")).unwrap();
        let mut incoming = Incoming::begin(&writer).unwrap();
        let now: Timestamp = "2026-01-03".parse().unwrap();
        let options = IngestOptions { threads: 1, ..IngestOptions::new(now) };
        let name = "s3://b/AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/x.json";
        let two = format!("[{},{}]", record("a"), record("b"));
        let object = |name, bytes, complete| Object { name, modified: now, bytes, complete };
        incoming.add(&object(name, two.as_bytes(), false)).unwrap();
        let more = format!("[{},{}]", record("b"), record("c"));
        incoming.add(&object("cloudtrail://111122223333/us-east-1/2026-01-02", more.as_bytes(), true)).unwrap();
        assert_eq!((incoming.waiting(), incoming.bytes()), (2, (two.len() + more.len()) as u64));
        let reports = incoming.ingest(&mut writer, &options).unwrap();
        let stored: Vec<(u64, u64)> = reports.iter().flat_map(|r| &r.sources).map(|s| (s.read, s.stored)).collect();
        assert_eq!(stored, [(2, 2), (2, 1)]);
        assert_eq!((incoming.waiting(), incoming.bytes()), (0, 0));
        let known = writer.known_objects("s3://").unwrap();
        assert_eq!(known, [(name.to_owned(), (two.len() as u64, now))].into());
        // The same object again brings nothing.
        incoming.add(&object(name, two.as_bytes(), false)).unwrap();
        assert_eq!(incoming.ingest(&mut writer, &options).unwrap()[0].sources[0].read, 0);
        drop(incoming);
        assert!(!store.join(INCOMING).exists());
    }
}
