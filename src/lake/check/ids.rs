//! The ids by which duplicates are known, against the events.
//!
//! Both sides are added up by account and hour, as hashes of their entries, a month at a time. Only where the sums differ
//! are the entries themselves laid side by side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::params;

use super::files::damage;
use super::{Check, PartKind};
use crate::lake::error::LakeError;
use crate::lake::ids::{Entry, Known};
use crate::lake::manifest::count;
use crate::lake::packs::OpenPacks;
use crate::lake::parts::month;
use crate::lake::symbols::{Sym, Symbols};
use crate::lake::table::KeyColumns;
use crate::model::time::{MICROS_PER_HOUR, Timestamp};

/// Hours of accounts that are looked at in full, and entries that they may have together.
const MOST_CELLS: usize = 8;
const MOST_ENTRIES: u64 = 2_000_000;
/// Events of one of them that are named.
const MOST_NAMED: usize = 3;

/// What the events of an account's hour add up to, less what their entries do.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    events: u64,
    entries: u64,
    sum: u128,
}

impl Cell {
    fn agrees(&self) -> bool {
        self.events == self.entries && self.sum == 0
    }
}

/// The months' sums.
#[derive(Default)]
struct Sums {
    accounts: Symbols,
    cells: HashMap<(Sym, i32), Cell>,
}

/// Totals over all months.
#[derive(Default)]
struct Totals {
    runs: u64,
    entries: u64,
    conflicts: u64,
}

impl Check<'_> {
    /// The entries are those of the events: none is missing, none is too many, none stands twice.
    pub(super) fn ids(&mut self) -> Result<(), LakeError> {
        let mut totals = Totals::default();
        let broken = self.packs.iter().any(|pack| self.broken.contains(&pack.name));
        let months: BTreeSet<String> = self
            .parts
            .iter()
            .filter(|part| part.kind == PartKind::Events.as_str())
            .map(|part| part.month.clone())
            .collect();
        let mut done = 0;
        for month in &months {
            if broken || self.month(PartKind::Events, month).is_none() {
                self.report.info("ids", month, "not compared with the events: a file is damaged");
                continue;
            }
            match self.ids_of(month, &mut totals) {
                Ok(()) => done += 1,
                Err(error) => {
                    let detail = format!("they cannot be compared with the events: {}", damage(error)?);
                    self.report.bad("ids", month, detail);
                }
            }
        }
        let all = self.list("SELECT count(*) FROM id_runs", |row| count(row, 0))?.into_iter().sum::<u64>();
        if done == months.len() && all != totals.runs {
            let detail = format!("{} runs are of hours of which there are no events", all.saturating_sub(totals.runs));
            self.report.bad("ids", "id_runs", detail);
        }
        self.dead()?;
        if totals.conflicts > 0 {
            let detail = format!("{} events have the id of another with other content", totals.conflicts);
            self.report.info("ids", "conflicts", detail);
        }
        self.close_months("ids", done, months.len());
        Ok(())
    }

    /// Packs whose entries are partly of no use.
    fn dead(&mut self) -> Result<(), LakeError> {
        let live: BTreeMap<String, u64> = self
            .list("SELECT pack, sum(count) FROM id_runs GROUP BY pack", |row| Ok((row.get(0)?, count(row, 1)?)))?
            .into_iter()
            .collect();
        for pack in self.packs.clone() {
            let used = live.get(&pack.name).copied().unwrap_or(0).saturating_mul(crate::lake::ids::ENTRY_BYTES as u64);
            if used != pack.bytes {
                let detail = format!("{used} of its {} bytes are used", pack.bytes);
                self.report.bad("ids", pack.name, detail);
            }
        }
        Ok(())
    }

    fn ids_of(&mut self, of: &str, totals: &mut Totals) -> Result<(), LakeError> {
        let mut sums = Sums::default();
        for part in self.month(PartKind::Events, of).unwrap_or_default() {
            let path = self.store.join(&part.name);
            for row in KeyColumns::read(&path)?.rows()? {
                let cell = sums.cells.entry((sums.accounts.intern(row.account), row.time.hour())).or_default();
                cell.events += 1;
                cell.sum = cell.sum.wrapping_add(Entry::new(row.id, row.content).hash());
            }
        }
        self.subtract(of, &mut sums, totals)?;
        let mut differ: Vec<(String, i32, Cell)> = sums
            .cells
            .iter()
            .filter(|(_, cell)| !cell.agrees())
            .map(|((account, hour), cell)| (sums.accounts.get(*account).to_owned(), *hour, *cell))
            .collect();
        drop(sums);
        differ.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut room = MOST_ENTRIES;
        let (mut closely, mut details) = (BTreeSet::new(), Vec::new());
        for (account, hour, cell) in differ {
            let entries = cell.events.saturating_add(cell.entries);
            if closely.len() < MOST_CELLS && entries <= room {
                room -= entries;
                closely.insert((account, hour));
            } else {
                details.push((account, hour, format!("{} events, {} entries", cell.events, cell.entries)));
            }
        }
        details.extend(self.differences(of, &closely)?);
        details.sort();
        for (account, hour, detail) in details {
            let hour = Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR);
            self.report.bad("ids", format!("{account}, hour {hour}"), detail);
        }
        Ok(())
    }

    /// Takes the entries of a month's runs off the sums, cell by cell.
    fn subtract(&mut self, of: &str, sums: &mut Sums, totals: &mut Totals) -> Result<(), LakeError> {
        let mut open = OpenPacks::new(self.store);
        let names: BTreeSet<&str> = self.packs.iter().map(|pack| pack.name.as_str()).collect();
        let Some((from, to)) = hours(of) else { return Ok(()) };
        let fail = self.manifest.fail();
        let connection = &self.manifest.connection;
        let mut statement = connection
            .prepare(
                "SELECT account, hour, pack, offset, count FROM id_runs WHERE hour >= ?1 AND hour < ?2
                 ORDER BY account, hour, pack",
            )
            .map_err(&fail)?;
        let mut rows = statement.query(params![from, to]).map_err(&fail)?;
        let mut bad = Vec::new();
        let mut cell: Option<(String, i32, Known)> = None;
        loop {
            let row = rows.next().map_err(&fail)?;
            let run = row.map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, count(row, 3)?, count(row, 4)?)));
            let run: Option<(String, i32, String, u64, u64)> = run.transpose().map_err(&fail)?;
            let same = run.as_ref().is_some_and(|(account, hour, ..)| {
                cell.as_ref().is_some_and(|(known, at, _)| (known, at) == (account, hour))
            });
            if !same && let Some((account, hour, known)) = cell.take() {
                bad.extend(take_off(sums, totals, account, hour, known));
            }
            let Some((account, hour, pack, offset, entries)) = run else { break };
            totals.runs += 1;
            if !names.contains(pack.as_str()) {
                continue;
            }
            let (_, _, known) = cell.get_or_insert_with(|| (account, hour, Known::default()));
            if let Err(error) = open.read(&pack, offset, entries, known) {
                bad.push((pack, damage(error)?));
            }
        }
        drop(rows);
        drop(statement);
        for (subject, detail) in bad {
            self.report.bad("ids", subject, detail);
        }
        Ok(())
    }

    /// Lays events and entries of some hours side by side.
    fn differences(&self, of: &str, cells: &BTreeSet<(String, i32)>) -> Result<Vec<(String, i32, String)>, LakeError> {
        let mut events: BTreeMap<&(String, i32), Vec<(Entry, String)>> = BTreeMap::new();
        for part in self.month(PartKind::Events, of).unwrap_or_default().into_iter().filter(|_| !cells.is_empty()) {
            let path = self.store.join(&part.name);
            for row in KeyColumns::read(&path)?.rows()? {
                let here = |(account, hour): &&(String, i32)| account == row.account && *hour == row.time.hour();
                if let Some(cell) = cells.iter().find(here) {
                    let id = if row.id.is_empty() { "an event without an id" } else { row.id };
                    let event = (Entry::new(row.id, row.content), id.chars().take(64).collect());
                    events.entry(cell).or_default().push(event);
                }
            }
        }
        let mut out = Vec::new();
        let mut open = OpenPacks::new(self.store);
        for cell in cells {
            let mut known = Known::default();
            for (pack, offset, entries) in self.manifest.runs(&cell.0, cell.1)? {
                open.read(&pack, offset, entries, &mut known)?;
            }
            let events = events.remove(cell).unwrap_or_default();
            out.push((cell.0.clone(), cell.1, difference(events, &known.merged())));
        }
        Ok(out)
    }
}

/// The hours of a month such as `2023-07`, from the first to just after the last; none where it is no month.
fn hours(of: &str) -> Option<(i32, i32)> {
    let start: Timestamp = format!("{of}-01").parse().ok()?;
    let mut day = start.day();
    while month(day) == of {
        day = day.next();
    }
    Some((start.hour(), day.start().hour()))
}

/// Takes the entries of a cell off, and says what is wrong with them by themselves.
fn take_off(sums: &mut Sums, totals: &mut Totals, account: String, hour: i32, known: Known) -> Vec<(String, String)> {
    let subject = || format!("{account}, hour {}", Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR));
    let mut bad = Vec::new();
    if !known.is_sorted() {
        bad.push((subject(), "a run is not sorted".to_owned()));
    }
    let entries = known.merged();
    let cell = sums.cells.entry((sums.accounts.intern(&account), hour)).or_default();
    for entry in &entries {
        cell.entries += 1;
        cell.sum = cell.sum.wrapping_sub(entry.hash());
    }
    totals.entries += entries.len() as u64;
    let mut twice = 0u64;
    for same in entries.chunk_by(|a, b| a.id == b.id) {
        totals.conflicts += same.len() as u64 - 1;
        for core in same.chunk_by(|a, b| a.content.core == b.content.core) {
            // A form without the whole is a copy of every other.
            let lossy = core.first().is_some_and(|entry| entry.content.whole == 0);
            let distinct = if lossy { 1 } else { core.chunk_by(|a, b| a.content == b.content).count() };
            twice += (core.len() - distinct) as u64;
        }
    }
    if twice > 0 {
        bad.push((subject(), format!("{twice} entries stand twice: an event was stored again")));
    }
    bad
}

/// What differs between events and sorted entries, in words.
fn difference(mut events: Vec<(Entry, String)>, entries: &[Entry]) -> String {
    events.sort();
    let mut left: BTreeMap<Entry, i64> = BTreeMap::new();
    entries.iter().for_each(|entry| *left.entry(*entry).or_default() += 1);
    let (mut twice, mut missing) = (Vec::new(), Vec::new());
    let mut before: Option<Entry> = None;
    for (entry, id) in &events {
        let known = left.entry(*entry).or_default();
        *known -= 1;
        if before == Some(*entry) {
            twice.push(id.as_str());
        } else if *known < 0 {
            missing.push(id.as_str());
        }
        before = Some(*entry);
    }
    let over: i64 = left.values().filter(|count| **count > 0).sum();
    let some = |names: &[&str]| names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    let mut said = Vec::new();
    if !twice.is_empty() {
        said.push(format!("{} events stand twice ({})", twice.len(), some(&twice)));
    }
    if !missing.is_empty() {
        said.push(format!("{} events have no entry ({})", missing.len(), some(&missing)));
    }
    if over > 0 {
        said.push(format!("{over} entries have no event"));
    }
    if said.is_empty() { "sums differ, entries do not".to_owned() } else { said.join("; ") }
}
