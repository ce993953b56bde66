//! The manifest by itself, and its counts against each other.

use rusqlite::params;

use super::{Check, PartKind};
use crate::lake::FORMAT;
use crate::lake::disk::{FOLDERS, is_own_name};
use crate::lake::error::LakeError;
use crate::lake::manifest::count;
use crate::model::time::Timestamp;
use crate::usage::fold::FOLD_VERSION;

/// Damage that SQLite reports before it stops looking.
const MOST_ERRORS: usize = 20;

/// Whether a name is one that a writer gives to a file of the store: nothing outside of it is ever opened.
fn is_inside(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(folder, file)| FOLDERS.contains(&folder) && is_own_name(folder, file) && !file.ends_with(".tmp"))
}

impl Check<'_> {
    /// The database, and the names in it.
    pub(super) fn manifest(&mut self) -> Result<(), LakeError> {
        let name = "manifest.sqlite";
        for error in self.list(&format!("PRAGMA integrity_check({MOST_ERRORS})"), |row| row.get::<_, String>(0))? {
            if error != "ok" {
                self.report.bad("manifest", name, error);
            }
        }
        for part in self.parts.clone() {
            let known = PartKind::ALL.iter().any(|kind| kind.as_str() == part.kind);
            if !known || !is_inside(&part.name) {
                self.report.bad("manifest", &part.name, format!("no part has this name and kind (`{}`)", part.kind));
                self.broken.insert(part.name);
            } else if part.fold_version > FOLD_VERSION || part.fold_version == 0 {
                let detail = format!("made by version {} of the fold; {FOLD_VERSION} is known", part.fold_version);
                self.report.bad("manifest", &part.name, detail);
            }
        }
        for pack in self.packs.clone() {
            if !is_inside(&pack.name) {
                self.report.bad("manifest", &pack.name, "no pack has this name");
                self.broken.insert(pack.name);
            }
        }
        let stray = "SELECT DISTINCT pack FROM id_runs WHERE pack NOT IN (SELECT name FROM packs) ORDER BY 1";
        for pack in self.list(stray, |row| row.get::<_, String>(0))? {
            self.report.bad("manifest", &pack, "ids are said to stand in it, and no such pack is known");
        }
        self.report.generation = self.manifest.generation()?;
        let detail = format!("format {FORMAT}, generation {}", self.report.generation);
        self.report.close("manifest", name, detail);
        Ok(())
    }

    /// Generations follow one another, and their events are those that are stored.
    pub(super) fn generations(&mut self) -> Result<(), LakeError> {
        let [count, last, events] = self
            .numbers("SELECT count(*), coalesce(max(id), 0), coalesce(sum(events), 0) FROM generations WHERE id > 0")?;
        if count != last {
            self.report.bad("generations", "generations", format!("{count} of {last} are there"));
        }
        let rows: i64 = self
            .parts
            .iter()
            .filter(|part| part.kind == PartKind::Events.as_str())
            .map(|part| i64::try_from(part.rows).unwrap_or(i64::MAX))
            .fold(0, i64::saturating_add);
        if events != rows {
            let detail = format!("they brought {events} events, the segments have {rows}");
            self.report.bad("generations", "generations", detail);
        }
        let newest = self.parts.iter().map(|part| part.generation).max().unwrap_or(0);
        if newest > last {
            self.report.bad("generations", "parts", format!("a part is of generation {newest}, the last is {last}"));
        }
        self.report.close("generations", "generations", format!("{count}, which brought {events} events"));
        Ok(())
    }

    /// The log files that were read, and what was set aside of them.
    pub(super) fn log_files(&mut self) -> Result<(), LakeError> {
        let sums = "SELECT path, read, stored, duplicates, quarantined FROM files
             WHERE read <> stored + duplicates + quarantined OR conflicts > stored
             OR (length(hash) <> 64 AND NOT (hash = '' AND status = 'changing'))
             OR status NOT IN ('complete', 'incomplete', 'changing', 'changing_incomplete') ORDER BY path";
        let wrong = self.list(sums, |row| {
            let numbers = [count(row, 1)?, count(row, 2)?, count(row, 3)?, count(row, 4)?];
            Ok((row.get::<_, String>(0)?, numbers))
        })?;
        for (path, [read, stored, duplicates, quarantined]) in wrong {
            let detail = format!(
                "read {read}, stored {stored}, duplicates {duplicates}, quarantined {quarantined}: read is their sum, \
                 and hash and status are known, in every row that was written"
            );
            self.report.bad("files", path, detail);
        }
        self.set_aside()?;
        let [files, stored, changing] = self.numbers(
            "SELECT count(*), coalesce(sum(stored), 0), coalesce(sum(status LIKE 'changing%'), 0) FROM files",
        )?;
        let [events] = self.numbers("SELECT coalesce(sum(events), 0) FROM generations WHERE events > 0")?;
        if stored > events {
            let detail = format!("they say that they brought {stored} events, the generations {events}");
            self.report.bad("files", "files", detail);
        } else if stored < events {
            let more = events - stored;
            let detail =
                format!("{more} events came from earlier readings of files that were read again, or not to their end");
            self.report.info("files", "files", detail);
        }
        if changing > 0 {
            let detail = format!("{changing} changed while they were read: the next ingest reads them again");
            self.report.info("files", "files", detail);
        }
        self.report.close("files", "files", format!("{files} log files, which brought {stored} events"));
        Ok(())
    }

    fn set_aside(&mut self) -> Result<(), LakeError> {
        let pruned = self.manifest.pruned_before()?.map_or(i64::MIN, Timestamp::micros);
        // What a prune removed is gone as a whole.
        let wrong = self.list_with(
            "SELECT path, quarantined, found FROM (
                 SELECT path, quarantined, coalesce(last, delivered,
                            (SELECT committed_at FROM generations WHERE id = files.generation)) AS spoke,
                        (SELECT count(*) FROM quarantine WHERE file = path) AS found
                 FROM files WHERE status NOT LIKE 'changing%')
             WHERE found <> quarantined AND NOT (found = 0 AND spoke IS NOT NULL AND spoke < ?1) ORDER BY path",
            params![pruned],
            |row| Ok((row.get::<_, String>(0)?, count(row, 1)?, count(row, 2)?)),
        )?;
        for (path, want, found) in wrong {
            let detail = format!("{want} stretches of it were set aside, {found} are kept");
            self.report.bad("quarantine", path, detail);
        }
        let [rows, unfinished] = self.numbers(
            "SELECT count(*), coalesce(sum(file NOT IN (SELECT path FROM files WHERE status NOT LIKE 'changing%')), 0)
             FROM quarantine",
        )?;
        if unfinished > 0 {
            let detail = format!("{unfinished} stretches are of files that were not read to their end");
            self.report.info("quarantine", "quarantine", detail);
        }
        self.report.close("quarantine", "quarantine", format!("{rows} stretches"));
        Ok(())
    }

    /// The rows of a query on the manifest.
    pub(super) fn list<T>(
        &self,
        sql: &str,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LakeError> {
        self.list_with(sql, [], row)
    }

    pub(super) fn list_with<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LakeError> {
        let connection = &self.manifest.connection;
        let read = || connection.prepare(sql)?.query_map(values, row)?.collect::<rusqlite::Result<Vec<T>>>();
        read().map_err(self.manifest.fail())
    }

    pub(super) fn numbers<const N: usize>(&self, sql: &str) -> Result<[i64; N], LakeError> {
        let row = |row: &rusqlite::Row<'_>| (0..N).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<i64>>>();
        let numbers = self.manifest.connection.query_row(sql, [], row).map_err(self.manifest.fail())?;
        Ok(std::array::from_fn(|at| numbers.get(at).copied().unwrap_or(0)))
    }
}
