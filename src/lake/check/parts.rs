//! What parts say of themselves in the manifest, against what they hold.

use super::files::damage;
use super::{Check, Part, PartKind};
use crate::lake::error::LakeError;
use crate::lake::parts::month;
use crate::lake::sql::files;
use crate::lake::table::KeyColumns;
use crate::model::time::Timestamp;

/// What a part holds.
#[derive(Debug, Default)]
struct Found {
    rows: u64,
    /// First and last time of which it speaks, where it says.
    span: Option<(i64, i64)>,
    /// Rows that lie outside of its month, or contradict themselves.
    astray: u64,
    /// Rows that stand before one that should come first.
    unsorted: u64,
}

impl Check<'_> {
    /// Every part can be read, has as many rows as the manifest says, and speaks of the time that it says.
    pub(super) fn part_contents(&mut self) -> Result<(), LakeError> {
        let mut rows = 0;
        for part in self.parts.clone() {
            if self.broken.contains(&part.name) {
                continue;
            }
            let found = match PartKind::ALL.into_iter().find(|kind| kind.as_str() == part.kind) {
                Some(PartKind::Events) => self.segment(&part),
                Some(kind) => self.fold(kind, &part),
                None => continue,
            };
            match found {
                Ok(found) => {
                    rows += found.rows;
                    self.compare(&part, &found);
                }
                Err(error) => {
                    self.report.bad("contents", &part.name, format!("it cannot be read: {}", damage(error)?));
                    self.broken.insert(part.name);
                }
            }
        }
        self.report.close("contents", "parts", format!("{} files, {rows} rows", self.parts.len()));
        Ok(())
    }

    fn compare(&mut self, part: &Part, found: &Found) {
        let mut bad = |detail: String| self.report.bad("contents", &part.name, detail);
        if found.rows != part.rows {
            bad(format!("it has {} rows, the manifest says {}", found.rows, part.rows));
        }
        let exact = part.kind == PartKind::Events.as_str();
        if let Some((first, last)) = found.span
            && ((exact && (first, last) != (part.first, part.last)) || first < part.first || last > part.last)
        {
            let [first, last, from, to] = [first, last, part.first, part.last].map(Timestamp::from_micros);
            bad(format!("it speaks of {first} to {last}, the manifest says {from} to {to}"));
        }
        if found.astray > 0 {
            bad(format!("{} rows lie outside of {}, or their times and counts cannot be", found.astray, part.month));
        }
        if found.unsorted > 0 {
            bad(format!("it is not sorted by account and time: {} rows", found.unsorted));
        }
    }

    fn segment(&self, part: &Part) -> Result<Found, LakeError> {
        let path = self.store.join(&part.name);
        let columns = KeyColumns::read(&path)?;
        let mut found = Found::default();
        let mut before = None;
        let mut day = None;
        for row in columns.rows()? {
            let micros = row.time.micros();
            found.rows += 1;
            let (first, last) = found.span.unwrap_or((micros, micros));
            found.span = Some((first.min(micros), last.max(micros)));
            found.unsorted += u64::from(before.is_some_and(|before| before > (row.account, row.time)));
            before = Some((row.account, row.time));
            // Days repeat: their month is looked at once.
            if day.is_none_or(|(day, _)| day != row.time.day()) {
                day = Some((row.time.day(), month(row.time.day()) == part.month));
            }
            found.astray += u64::from(day.is_some_and(|(_, inside)| !inside));
        }
        Ok(found)
    }

    fn fold(&self, kind: PartKind, part: &Part) -> Result<Found, LakeError> {
        let path = self.store.join(&part.name);
        let (first, last, sane) = match kind {
            PartKind::Usage => (
                "min(first)",
                "max(last)",
                "count > 0 AND first <= last AND strftime(first, '%Y-%m-%d') = day
                 AND strftime(last, '%Y-%m-%d') = day AND strftime(first, '%Y-%m') = $month",
            ),
            PartKind::Shapes => (
                "min(first)",
                "max(last)",
                "count > 0 AND first <= last AND example_time BETWEEN first AND last AND example <> ''
                 AND strftime(first, '%Y-%m') = $month AND strftime(last, '%Y-%m') = $month",
            ),
            // An hour begins before its first event.
            PartKind::Coverage => (
                "min(hour) + to_microseconds(3599999999)",
                "max(hour)",
                "count >= 0 AND whole >= 0 AND count + whole > 0 AND hour = date_trunc('hour', hour)
                 AND strftime(hour, '%Y-%m') = $month",
            ),
            PartKind::Issued | PartKind::TrailCalls => {
                ("min(time)", "max(time)", "strftime(time, '%Y-%m') = $month AND event_id <> ''")
            }
            PartKind::Sessions | PartKind::Events => ("NULL::TIMESTAMP", "NULL::TIMESTAMP", "session IS NOT NULL"),
        };
        let from = files(self.store, std::iter::once(part.name.as_str()))?;
        let mut sane = sane.to_owned();
        // Files of earlier releases do not have it.
        if kind == PartKind::Usage && self.sql.columns(&from, &path)?.iter().any(|name| name == "several") {
            sane.push_str(" AND several BETWEEN 0 AND count");
        }
        let query = format!(
            "SELECT n, (a IS NOT NULL)::INTEGER, epoch_us(a), epoch_us(z), astray FROM (
                 SELECT count(*) AS n, {first} AS a, {last} AS z, count(*) FILTER (WHERE ({}) IS NOT TRUE) AS astray
                 FROM {from})",
            sane.replace("$month", &format!("'{}'", part.month.replace('\'', "''"))),
        );
        let [rows, spans, first, last, astray] = self.sql.integers(&query, &path)?;
        Ok(Found {
            rows: u64::try_from(rows).unwrap_or(0),
            span: (spans > 0).then_some((first, last)),
            astray: u64::try_from(astray).unwrap_or(0),
            unsorted: 0,
        })
    }
}
