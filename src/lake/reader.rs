//! Reads a store at one generation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension};

use super::ahead::ahead;
use super::disk::ReadLock;
use super::error::LakeError;
use super::fold::{MAX_SHAPES, collapse, merge};
use super::manifest::{Manifest, Part, count};
use super::schema::PartKind;
use super::source::layout::file_key;
use super::table::{
    CallFilter, EventRow, SessionFilter, read_events, read_fold, read_issued, read_sessions, read_shapes_of,
    read_usage, widen_spans,
};
use crate::model::time::{Day, Timestamp, Window};
use crate::usage::block::UsageBlock;
use crate::usage::fold::{
    CoverageFact, CoverageKey, DigestSpan, FactSource, Folds, IssuedCredential, SessionId, ShapeFact, ShapeKey,
    TrailCall,
};
use crate::usage::sessions::Sessions;

/// A complete state of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    /// Number; 0 for an empty store.
    pub number: i64,
    /// When it was committed, as the writer was told.
    pub committed_at: Timestamp,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Absolute path.
    pub path: String,
    /// Bytes on disk.
    pub size: u64,
    /// BLAKE3 of these bytes.
    pub hash: String,
    /// `log`, `digest`, `insight` or `network_activity`.
    pub kind: String,
    /// Account, as the path says; may be empty.
    pub account: String,
    /// Region, as the path says; may be empty.
    pub region: String,
    /// When CloudTrail delivered it, as the name says.
    pub delivered: Option<Timestamp>,
    /// Records found.
    pub read: u64,
    /// Events that were new.
    pub stored: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Stored events whose id was there with other content.
    pub conflicts: u64,
    /// Stretches set aside.
    pub quarantined: u64,
    /// First event.
    pub first: Option<Timestamp>,
    /// Last event.
    pub last: Option<Timestamp>,
    /// False where the file ends in the middle.
    pub complete: bool,
    /// `whole`: it holds all that was delivered; `export`: what was left out is not known; `declared`: an export that the
    /// user said to be complete.
    pub origin: String,
}

/// A stretch of a file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRow {
    /// Absolute path.
    pub file: String,
    /// Byte offset within the decompressed file.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// Why.
    pub reason: String,
    /// Hash of the bytes (32 hex digits), where they were at hand.
    pub hash: String,
}

/// A document of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentMeta {
    /// What it is, such as `iam`.
    pub kind: String,
    /// Whose; empty where it belongs to no account.
    pub account: String,
    /// The state that it shows.
    pub captured_at: Timestamp,
    /// Where it came from.
    pub source: String,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The generation that brought it.
    pub generation: i64,
}

/// The version of the fold that first counted [`crate::usage::fold::UsageFact::several`].
const SEVERAL_SINCE: u32 = 4;

/// A store, pinned at the generation that was complete when it was opened.
#[derive(Debug)]
pub struct Reader {
    store: PathBuf,
    path: PathBuf,
    /// Holds a read transaction open: every answer comes from one state.
    connection: Mutex<Connection>,
    generation: Generation,
    parts: Vec<Part>,
    _lock: ReadLock,
}

impl Reader {
    /// Opens a store.
    ///
    /// # Errors
    /// When there is none, it is newer than this program, files are missing or cut short, or it cannot be read.
    pub fn open(store: &Path) -> Result<Self, LakeError> {
        if !store.join("manifest.sqlite").is_file() {
            return Err(LakeError::Missing { path: store.to_owned() });
        }
        let lock = ReadLock::take(store)?;
        let manifest = if lock.sealed { Manifest::open_sealed(store)? } else { Manifest::open(store, false)? };
        manifest.connection.execute_batch("BEGIN").map_err(manifest.fail())?;
        let generation = manifest
            .connection
            .query_row("SELECT id, committed_at FROM generations ORDER BY id DESC LIMIT 1", [], |row| {
                Ok(Generation { number: row.get(0)?, committed_at: Timestamp::from_micros(row.get(1)?) })
            })
            .optional()
            .map_err(manifest.fail())?
            .unwrap_or(Generation { number: 0, committed_at: Timestamp::from_micros(0) });
        let parts = manifest.parts()?;
        parts.iter().try_for_each(|part| check_length(store, part))?;
        let Manifest { connection, path } = manifest;
        Ok(Self { store: store.to_owned(), path, connection: Mutex::new(connection), generation, parts, _lock: lock })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the manifest itself, as it is in this generation, and its parts.
    pub(super) fn with_manifest<T>(
        &self,
        ask: impl FnOnce(&Connection, &Path, &[Part]) -> Result<T, LakeError>,
    ) -> Result<T, LakeError> {
        ask(&self.connection(), &self.path, &self.parts)
    }

    fn query<T>(
        &self,
        sql: &str,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LakeError> {
        let connection = self.connection();
        let read = || connection.prepare(sql)?.query_map([], row)?.collect::<rusqlite::Result<Vec<T>>>();
        read().map_err(|e| LakeError::manifest(&self.path, e))
    }

    /// The generation that this reader sees.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The store's folder.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    fn parts(&self, kind: PartKind) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.kind == kind.as_str())
    }

    /// The Parquet files of a kind, in a fixed order. Columns: [`super::schema`].
    #[must_use]
    pub fn parquet_files(&self, kind: PartKind) -> Vec<PathBuf> {
        self.parts(kind).map(|part| self.store.join(&part.name)).collect()
    }

    /// Whether some usage was folded by a version that did not count calls on several resources of a kind.
    #[must_use]
    pub fn has_older_usage(&self) -> bool {
        self.parts(PartKind::Usage).any(|part| part.fold_version < SEVERAL_SINCE)
    }

    /// How many events are stored.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.parts(PartKind::Events).map(|part| part.rows).sum()
    }

    /// From the first event to just after the last; none where there are no events.
    #[must_use]
    pub fn event_span(&self) -> Option<Window> {
        let from = self.parts(PartKind::Events).map(|part| part.first).min()?;
        let last = self.parts(PartKind::Events).map(|part| part.last).max()?;
        Some(Window { from: Timestamp::from_micros(from), to: Timestamp::from_micros(last.saturating_add(1)) })
    }

    /// Every file that was read, by path.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn files(&self) -> Result<Vec<FileRow>, LakeError> {
        self.query(
            "SELECT path, size, hash, kind, account, region, delivered, read, stored, duplicates, conflicts,
             quarantined, first, last, status, origin FROM files ORDER BY path",
            |row| {
                let time =
                    |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_micros));
                Ok(FileRow {
                    path: row.get(0)?,
                    size: count(row, 1)?,
                    hash: row.get(2)?,
                    kind: row.get(3)?,
                    account: row.get(4)?,
                    region: row.get(5)?,
                    delivered: time(6)?,
                    read: count(row, 7)?,
                    stored: count(row, 8)?,
                    duplicates: count(row, 9)?,
                    conflicts: count(row, 10)?,
                    quarantined: count(row, 11)?,
                    first: time(12)?,
                    last: time(13)?,
                    complete: row.get::<_, String>(14)? == "complete",
                    origin: row.get(15)?,
                })
            },
        )
    }

    /// Everything that was set aside, by file and offset.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn quarantine(&self) -> Result<Vec<QuarantineRow>, LakeError> {
        self.query(
            "SELECT file, offset, length, reason, hash FROM quarantine ORDER BY file, offset, length, reason",
            |row| {
                Ok(QuarantineRow {
                    file: row.get(0)?,
                    offset: count(row, 1)?,
                    length: count(row, 2)?,
                    reason: row.get(3)?,
                    hash: row.get(4)?,
                })
            },
        )
    }

    /// Every document, by kind and account, the latest first.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn documents(&self) -> Result<Vec<DocumentMeta>, LakeError> {
        self.query(
            "SELECT kind, account, captured_at, source, hash, bytes, generation FROM documents
             ORDER BY kind, account, captured_at DESC, generation DESC, hash",
            |row| {
                Ok(DocumentMeta {
                    kind: row.get(0)?,
                    account: row.get(1)?,
                    captured_at: Timestamp::from_micros(row.get(2)?),
                    source: row.get(3)?,
                    hash: row.get(4)?,
                    bytes: count(row, 5)?,
                    generation: row.get(6)?,
                })
            },
        )
    }

    /// The bytes of a document, checked against its hash.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was stored.
    pub fn document_bytes(&self, meta: &DocumentMeta) -> Result<Vec<u8>, LakeError> {
        let path = self.store.join(format!("documents/{}.zst", meta.hash));
        let packed = std::fs::read(&path).map_err(|e| LakeError::io("read", &path, e))?;
        let bytes = zstd::decode_all(packed.as_slice()).map_err(|e| LakeError::io("decompress", &path, e))?;
        if blake3::hash(&bytes).to_hex().as_str() != meta.hash {
            return Err(LakeError::Damaged { path, reason: "its content does not have its hash".to_owned() });
        }
        Ok(bytes)
    }

    /// The value kept under a key.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn state(&self, key: &str) -> Result<Option<serde_json::Value>, LakeError> {
        let text: Option<String> = self
            .connection()
            .query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|e| LakeError::manifest(&self.path, e))?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| LakeError::Damaged { path: self.path.clone(), reason: format!("state `{key}`: {e}") })
    }

    /// Calls `each` with every event, file by file; within a file by account, time and id. For tests and small
    /// extracts: queries read the Parquet files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn events(&self, mut each: impl FnMut(EventRow)) -> Result<(), LakeError> {
        let sessions = self.folds(PartKind::Sessions, None)?.sessions;
        for part in self.parts(PartKind::Events) {
            read_events(&self.store.join(&part.name), &sessions, &mut each)?;
        }
        Ok(())
    }

    /// Calls `each` with the events of a window, in the order of [`Reader::events`]: only files that may hold some are read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn events_within(&self, window: Window, mut each: impl FnMut(EventRow)) -> Result<(), LakeError> {
        let sessions = self.folds(PartKind::Sessions, None)?.sessions;
        for part in self.parts_of(PartKind::Events, Some(window)) {
            read_events(&self.store.join(&part.name), &sessions, &mut |row: EventRow| {
                if row.event.time >= window.from && row.event.time < window.to {
                    each(row);
                }
            })?;
        }
        Ok(())
    }

    /// The files of a kind that may hold something of a window.
    fn parts_of(&self, kind: PartKind, window: Option<Window>) -> impl Iterator<Item = &Part> {
        self.parts(kind).filter(move |part| {
            window.is_none_or(|w| part.last >= w.from.day().start().micros() && part.first < w.to.micros())
        })
    }

    pub(super) fn paths_of(&self, kind: PartKind, window: Option<Window>) -> Vec<PathBuf> {
        self.parts_of(kind, window).map(|part| self.store.join(&part.name)).collect()
    }

    /// Reads and merges the files of a kind that may hold something of a window.
    fn folds(&self, kind: PartKind, window: Option<Window>) -> Result<Folds, LakeError> {
        let read = |path: &PathBuf| {
            let mut folds = Folds::default();
            read_fold(kind, path, &mut folds).map(|()| folds)
        };
        let mut folds = Folds::default();
        ahead(&self.paths_of(kind, window), read, |more| {
            merge(&mut folds, more);
            Ok(())
        })?;
        Ok(folds)
    }

    /// Every distinct call, merged, in key order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn shapes(&self) -> Result<BTreeMap<ShapeKey, ShapeFact>, LakeError> {
        self.shapes_of(&|_, _, _| true)
    }

    /// The distinct calls that are wanted, merged, in key order. `wanted` is told source, name and variant, by which
    /// calls are kept apart: what it leaves out costs no memory, and does not change the others.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn shapes_of(&self, wanted: CallFilter<'_>) -> Result<BTreeMap<ShapeKey, ShapeFact>, LakeError> {
        self.some_shapes(None, &|_| true, wanted)
    }

    /// The distinct calls of some sessions, merged, in key order: those of files that may hold something of a window, so
    /// that of calls which began earlier not all are counted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn shapes_of_sessions(
        &self,
        whose: SessionFilter<'_>,
        window: Window,
    ) -> Result<BTreeMap<ShapeKey, ShapeFact>, LakeError> {
        self.some_shapes(Some(window), whose, &|_, _, _| true)
    }

    fn some_shapes(
        &self,
        window: Option<Window>,
        whose: SessionFilter<'_>,
        wanted: CallFilter<'_>,
    ) -> Result<BTreeMap<ShapeKey, ShapeFact>, LakeError> {
        let read = |path: &PathBuf| {
            let mut folds = Folds::default();
            read_shapes_of(path, (whose, wanted), &mut folds).map(|()| folds)
        };
        let mut folds = Folds::default();
        ahead(&self.paths_of(PartKind::Shapes, window), read, |more| {
            merge(&mut folds, more);
            Ok(())
        })?;
        let mut shapes = folds.shapes;
        collapse(&mut shapes, MAX_SHAPES);
        Ok(shapes)
    }
}

impl Reader {
    /// The log files that were read to their end and of which nothing was set aside, by the key of their names, and how
    /// many management events they hold.
    fn known_logs(&self) -> Result<HashMap<u64, u64>, LakeError> {
        let rows = self.query(
            "SELECT path, management FROM files
             WHERE kind <> 'digest' AND status = 'complete' AND quarantined = 0 AND origin = 'whole'",
            |row| Ok((file_key(&row.get::<_, String>(0)?), count(row, 1)?)),
        )?;
        Ok(rows.into_iter().collect())
    }
}

/// Whether a day lies in a window, as far as usage goes, whose facts are of whole days.
pub(super) fn days_of(window: Window) -> impl Fn(Day) -> bool {
    move |day| day >= window.from.day() && day.start() < window.to && window.from < window.to
}

/// A file that is gone or cut short is told at once and by its name, whoever would have read it.
fn check_length(store: &Path, part: &Part) -> Result<(), LakeError> {
    let path = store.join(&part.name);
    match std::fs::metadata(&path) {
        Ok(found) if found.len() == part.bytes => Ok(()),
        Ok(found) => {
            let reason = format!("it has {} bytes, the manifest says {}", found.len(), part.bytes);
            Err(LakeError::Damaged { path, reason })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(LakeError::Damaged { path, reason: "it is missing, and the manifest names it".to_owned() })
        }
        Err(error) => Err(LakeError::io("read", &path, error)),
    }
}

impl FactSource for Reader {
    type Error = LakeError;

    fn usage_blocks(&self, window: Window, each: &mut dyn FnMut(&UsageBlock)) -> Result<(), LakeError> {
        let inside = days_of(window);
        let read = |path: &PathBuf| read_usage(path, &inside);
        ahead(&self.paths_of(PartKind::Usage, Some(window)), read, |block| {
            each(&block);
            Ok(())
        })
    }

    fn session_spans(&self, window: Window) -> Result<BTreeMap<SessionId, (Timestamp, Timestamp)>, LakeError> {
        let inside = days_of(window);
        let read = |path: &PathBuf| {
            let mut spans = BTreeMap::new();
            widen_spans(path, &inside, &mut spans).map(|()| spans)
        };
        let mut all: BTreeMap<SessionId, (Timestamp, Timestamp)> = BTreeMap::new();
        ahead(&self.paths_of(PartKind::Usage, Some(window)), read, |spans| {
            for (session, (first, last)) in spans {
                let span = all.entry(session).or_insert((first, last));
                *span = (span.0.min(first), span.1.max(last));
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn sessions(&self) -> Result<Sessions, LakeError> {
        let mut sessions = Sessions::default();
        ahead(
            &self.paths_of(PartKind::Sessions, None),
            |path| read_sessions(path),
            |more| {
                sessions.merge(more);
                Ok(())
            },
        )?;
        Ok(sessions)
    }

    fn issued(&self) -> Result<Vec<IssuedCredential>, LakeError> {
        let mut issued: Vec<IssuedCredential> = Vec::new();
        ahead(
            &self.paths_of(PartKind::Issued, None),
            |path| read_issued(path),
            |mut more| {
                issued.append(&mut more);
                Ok(())
            },
        )?;
        issued.par_sort_unstable();
        issued.dedup();
        Ok(issued)
    }

    fn coverage(&self, window: Window) -> Result<BTreeMap<CoverageKey, CoverageFact>, LakeError> {
        let mut coverage = self.folds(PartKind::Coverage, Some(window))?.coverage;
        coverage.retain(|key, _| key.hour >= window.from.hour() && key.hour < window.to.plus_seconds(3599).hour());
        Ok(coverage)
    }

    fn trail_calls(&self) -> Result<Vec<TrailCall>, LakeError> {
        Ok(self.folds(PartKind::TrailCalls, None)?.trail_calls.into_iter().collect())
    }

    fn digest_spans(&self) -> Result<Vec<DigestSpan>, LakeError> {
        let mut spans = self.query(
            "SELECT DISTINCT account, region, trail, first, last, log_files, names FROM digests
             ORDER BY 1, 2, 3, 4, 5, 6, 7",
            |row| {
                let span = DigestSpan {
                    account: row.get(0)?,
                    region: row.get(1)?,
                    trail: row.get(2)?,
                    from: Timestamp::from_micros(row.get(3)?),
                    to: Timestamp::from_micros(row.get(4)?),
                    log_files: count(row, 5)?,
                    in_hand: 0,
                    management: 0,
                    lost_from: None,
                };
                Ok((span, row.get::<_, Vec<u8>>(6)?))
            },
        )?;
        if spans.iter().any(|(_, names)| !names.is_empty()) {
            let known = self.known_logs()?;
            for (span, names) in &mut spans {
                for (key, oldest) in named(names, span.log_files) {
                    match known.get(&key) {
                        Some(management) => {
                            span.in_hand += 1;
                            span.management += management;
                        }
                        None => span.lost_from = span.lost_from.into_iter().chain(oldest).min(),
                    }
                }
            }
        }
        Ok(spans.into_iter().map(|(span, _)| span).collect())
    }
}

/// The files that a digest names, as the manifest holds them: keys, each followed by the time of the file's oldest event in
/// microseconds (0: not known); in stores of earlier releases keys alone.
fn named(names: &[u8], files: u64) -> Vec<(u64, Option<Timestamp>)> {
    let numbers = names.as_chunks::<8>().0;
    if numbers.len() as u64 == files {
        return numbers.iter().map(|key| (u64::from_be_bytes(*key), None)).collect();
    }
    let pairs = numbers.as_chunks::<2>().0.iter();
    pairs
        .map(|[key, oldest]| {
            let oldest = Some(i64::from_be_bytes(*oldest)).filter(|micros| *micros > 0);
            (u64::from_be_bytes(*key), oldest.map(Timestamp::from_micros))
        })
        .collect()
}
