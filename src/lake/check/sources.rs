//! What the manifest says of log files, against their paths, their digests and the events that came from them.

use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::{Check, PartKind};
use crate::lake::compact::MERGE_FILES;
use crate::lake::error::LakeError;
use crate::lake::source::layout::{FileKind, layout, path_text};
use crate::lake::sql::files;
use crate::model::time::{MICROS_PER_DAY, Timestamp};

/// Log files of which the events' times are held at once.
const MOST_ORIGINS: i64 = 200_000;

/// What is known of the events of one log file.
struct OfFile {
    path: String,
    events: u64,
    first: i64,
    last: i64,
}

/// First and last event, events stored and duplicates of a log file, and whether it is to be read again.
type Said = (Option<i64>, Option<i64>, i64, i64, bool);

impl Check<'_> {
    /// Kind, account, region and time of delivery are what paths and contents say.
    pub(super) fn places(&mut self) -> Result<(), LakeError> {
        let connection = &self.manifest.connection;
        let fail = self.manifest.fail();
        let mut wrong = Vec::new();
        let mut statement = connection
            .prepare("SELECT path, kind, account, region, delivered FROM files ORDER BY path")
            .map_err(&fail)?;
        let mut rows = statement.query([]).map_err(&fail)?;
        while let Some(row) = rows.next().map_err(&fail)? {
            let read = || Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
            let (path, kind, account, region, delivered): (String, String, String, String, Option<i64>) =
                read().map_err(&fail)?;
            // A path that is no text stands in another form.
            if path_text(Path::new(&path)) != path {
                continue;
            }
            let says = layout(Path::new(&path));
            if (&says.account, &says.region, says.delivered.map(Timestamp::micros)) != (&account, &region, delivered) {
                wrong.push((path, "account, region or time of delivery are not those of its path"));
                continue;
            }
            // Contents tell digests from logs, paths tell the others.
            let own = match says.kind {
                FileKind::Log | FileKind::Digest => kind == FileKind::Log.as_str(),
                FileKind::Insight | FileKind::NetworkActivity => kind == says.kind.as_str(),
            };
            if !own && kind != FileKind::Digest.as_str() {
                wrong.push((path, "its kind is not that of its path"));
            }
        }
        drop(rows);
        drop(statement);
        for (path, detail) in wrong {
            self.report.bad("files", path, detail);
        }
        self.digests()
    }

    /// Digests and the files that hold them belong together. The spans of old digests go with a prune.
    fn digests(&mut self) -> Result<(), LakeError> {
        let pruned = self.manifest.pruned_before()?.map_or(i64::MIN, |time| time.micros() + MICROS_PER_DAY);
        let kind = FileKind::Digest.as_str();
        let lost = self.list_with(
            "SELECT path FROM files WHERE kind = ?1 AND path NOT IN (SELECT path FROM digests)
             AND coalesce(delivered, ?3) >= ?2 ORDER BY path",
            params![kind, pruned, if pruned == i64::MIN { i64::MAX } else { i64::MIN }],
            |row| row.get::<_, String>(0),
        )?;
        for path in lost {
            self.report.bad("digests", path, "it is a digest, and for which hours it speaks is not known");
        }
        let stray = self.list_with(
            "SELECT path FROM digests WHERE path NOT IN (SELECT path FROM files WHERE kind = ?1) OR first > last
             OR log_files < 0 ORDER BY path",
            [kind],
            |row| row.get::<_, String>(0),
        )?;
        for path in stray {
            self.report.bad("digests", path, "hours are said to be those of a digest, and no such digest was read");
        }
        let [count] = self.numbers("SELECT count(*) FROM digests")?;
        self.report.close("digests", "digests", format!("{count} digests"));
        Ok(())
    }

    /// The events of every log file lie in the time of which the manifest says that it speaks, and are as many.
    pub(super) fn origins(&mut self) -> Result<(), LakeError> {
        let parts: Vec<_> = self.parts.iter().filter(|part| part.kind == PartKind::Events.as_str()).collect();
        if parts.iter().any(|part| self.broken.contains(&part.name)) {
            self.report.info("origins", "events", "not compared with their log files: a file is damaged");
            return Ok(());
        }
        let table = "CREATE OR REPLACE TEMP TABLE origins (file VARCHAR, n BIGINT, first BIGINT, last BIGINT)";
        self.sql.run(table, self.store)?;
        for group in parts.chunks(MERGE_FILES) {
            let from = files(self.store, group.iter().map(|part| part.name.as_str()))?;
            let insert = format!(
                "INSERT INTO origins SELECT file, count(*), epoch_us(min(time)), epoch_us(max(time)) FROM {from}
                 GROUP BY file"
            );
            self.sql.run(&insert, self.store)?;
        }
        let pruned = self.manifest.pruned_before()?.map_or(i64::MIN, Timestamp::micros);
        let (mut wrong, mut silent) = (Vec::new(), 0u64);
        let (mut count, mut with_events) = (0u64, 0u64);
        // Some files at a time: the answer to a query is held as a whole.
        let [rows] = self.sql.integers("SELECT count(*) FROM origins", self.store)?;
        let portions = rows / MOST_ORIGINS + 1;
        for portion in 0..portions {
            let query = format!(
                "SELECT file, sum(n)::BIGINT, min(first), max(last) FROM origins
                 WHERE hash(file) % {portions} = {portion} GROUP BY file"
            );
            for row in self.sql.texts(&query, self.store)? {
                let number = |at: usize| row.get(at).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
                let events = u64::try_from(number(1)).unwrap_or(0);
                let path = row.first().cloned().unwrap_or_default();
                let of = OfFile { path, events, first: number(2), last: number(3) };
                count += 1;
                match self.origin(&of, pruned)? {
                    Origin::Fits { stored } => with_events += u64::from(stored),
                    Origin::Unknown => silent += 1,
                    Origin::Wrong(detail) => {
                        with_events += 1;
                        wrong.push((of.path, detail));
                    }
                }
            }
        }
        wrong.sort();
        for (path, detail) in wrong {
            self.report.bad("origins", path, detail);
        }
        let all = self.list_with(
            "SELECT count(*) FROM files WHERE stored > 0 AND coalesce(first, ?1) >= ?1",
            [pruned],
            |row| row.get::<_, i64>(0),
        )?;
        let all = all.first().and_then(|all| u64::try_from(*all).ok()).unwrap_or(0);
        if all > with_events {
            let detail = format!("{} log files are said to have brought events, and there are none", all - with_events);
            self.report.bad("origins", "files", detail);
        }
        if silent > 0 {
            let detail = format!("{silent} log files were not read to their end, and brought events");
            self.report.info("origins", "files", detail);
        }
        self.report.close("origins", "events", format!("of {count} log files"));
        Ok(())
    }

    /// What the manifest says of a log file, against its events.
    fn origin(&self, of: &OfFile, pruned: i64) -> Result<Origin, LakeError> {
        let read = || {
            let mut statement = self.manifest.connection.prepare_cached(
                "SELECT first, last, stored, duplicates, status LIKE 'changing%' FROM files WHERE path = ?1",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, bool>(4)?))
            };
            statement.query_row([&of.path], row).optional()
        };
        let row: Option<Said> = read().map_err(self.manifest.fail())?;
        let Some((first, last, stored, duplicates, changing)) = row else { return Ok(Origin::Unknown) };
        let (stored, duplicates) = (u64::try_from(stored).unwrap_or(0), u64::try_from(duplicates).unwrap_or(0));
        let cut = first.is_none_or(|first| first < pruned);
        if of.events < stored && !cut {
            return Ok(Origin::Wrong(format!("{stored} events came from it, {} are there", of.events)));
        }
        // More events than that came from an earlier reading, of which the manifest no longer speaks.
        let inside = first.is_some_and(|first| first <= of.first) && last.is_some_and(|last| of.last <= last);
        let exact = duplicates > 0 || cut || (first, last) == (Some(of.first), Some(of.last));
        if !changing && of.events <= stored && !(inside && exact) {
            let [from, to] = [of.first, of.last].map(Timestamp::from_micros);
            return Ok(Origin::Wrong(format!("its events are of {from} to {to}, the manifest says otherwise")));
        }
        Ok(Origin::Fits { stored: stored > 0 && !cut })
    }
}

/// How the events of a log file stand to what the manifest says of it.
enum Origin {
    Fits {
        /// It is said to have brought events that were not pruned.
        stored: bool,
    },
    /// The manifest does not know it.
    Unknown,
    Wrong(String),
}
