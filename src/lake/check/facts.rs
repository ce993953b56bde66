//! The facts against the events, month by month.
//!
//! Neither side is sorted or grouped by its keys: a key's hash, times its count, adds up to the same on both sides where
//! the keys and counts are the same. What differs is named by day and account.

use std::collections::BTreeMap;

use super::files::damage;
use super::{Check, PartKind};
use crate::lake::error::LakeError;
use crate::lake::sql::files;

/// Differences of one month and kind that are named.
const MOST_NAMED: usize = 10;

/// Events that are acts of an identity; see [`crate::model::event::is_call`].
const IS_CALL: &str = "category <> 'insight' AND event_type <> 'AwsServiceEvent'";
/// The slot of its day in which an event lies; see [`crate::model::time::Timestamp::slot`].
const SLOT: &str = "(((epoch_us(time) % 86400000000) + 86400000000) % 86400000000) // 300000000";

/// What is held against the events.
const KINDS: [PartKind; 6] =
    [PartKind::Usage, PartKind::Shapes, PartKind::Coverage, PartKind::Sessions, PartKind::Issued, PartKind::TrailCalls];

/// How a kind of fact is held against the events: what both sides say of a day and account.
struct Side {
    /// Columns of the key, as the events have them and as the facts do.
    key: [&'static str; 2],
    /// Which events count, and which facts: those of copies only tell where the copies came from.
    events: &'static str,
    facts: &'static str,
    /// The group: an expression on events and one on facts.
    day: [&'static str; 2],
    /// First and last time, on events and on facts.
    times: [&'static str; 2],
    slots: bool,
    /// What is counted.
    noun: &'static str,
}

fn side(kind: PartKind) -> Option<Side> {
    const DAY: &str = "strftime(time, '%Y-%m-%d')";
    Some(match kind {
        PartKind::Usage => Side {
            key: [
                "session, source, name, version_id, tags, roles, refused, category, parent_resource, outcome, account,
                 region, shared_id <> ''",
                "session, source, name, version_id, tags, roles, refused, category, resource, outcome, account, region,
                 shared",
            ],
            events: IS_CALL,
            facts: "true",
            day: [DAY, "day"],
            times: ["min(time), max(time)", "min(first), max(last)"],
            slots: true,
            noun: "calls",
        },
        PartKind::Shapes => Side {
            key: [
                "session, source, name, version_id, tags, roles, refused, outcome, account, region, shared_id <> ''",
                "session, source, name, version_id, tags, roles, refused, outcome, account, region, shared",
            ],
            events: IS_CALL,
            facts: "true",
            day: ["''", "''"],
            times: ["min(time), max(time)", "min(first), max(last)"],
            slots: false,
            noun: "calls",
        },
        PartKind::Coverage => Side {
            key: ["account, region, date_trunc('hour', time), category", "account, region, hour, category"],
            events: "true",
            facts: "count > 0",
            day: [DAY, "strftime(hour, '%Y-%m-%d')"],
            times: ["NULL, NULL", "NULL, NULL"],
            slots: false,
            noun: "events",
        },
        _ => return None,
    })
}

impl Side {
    /// The groups of which the two sides say something else.
    fn query(&self, events: &str, facts: &str) -> String {
        let slots = |of: &dyn Fn(usize) -> String| {
            let words = (0..if self.slots { 5 } else { 0 }).map(|word| format!(", bit_or({}) AS s{word}", of(word)));
            words.collect::<String>()
        };
        let of_event = slots(&|word| {
            format!("CASE WHEN {SLOT} // 64 = {word} THEN 1::UBIGINT << ({SLOT} % 64)::UBIGINT ELSE 0::UBIGINT END")
        });
        let of_fact = slots(&|word| format!("slots_{word}"));
        let [event_key, fact_key] = self.key;
        let [event_day, fact_day] = self.day;
        let [event_times, fact_times] = self.times;
        format!(
            "WITH e AS (SELECT {event_day} AS d, account AS a, count(*)::HUGEINT AS n,
                 sum(hash({event_key})::HUGEINT) AS h, [{event_times}] AS t{of_event}
                 FROM {events} WHERE {} GROUP BY d, a),
             f AS (SELECT {fact_day} AS d, account AS a, sum(count)::HUGEINT AS n,
                 sum(hash({fact_key})::HUGEINT * count) AS h, [{fact_times}] AS t{of_fact}
                 FROM {facts} WHERE {} GROUP BY d, a)
             SELECT coalesce(e.d, f.d) AS day, coalesce(e.a, f.a) AS account, coalesce(e.n, 0) AS of_events,
                 coalesce(f.n, 0) AS of_facts
             FROM e FULL JOIN f ON e.d = f.d AND e.a = f.a WHERE e IS DISTINCT FROM f ORDER BY ALL LIMIT {}",
            self.events,
            self.facts,
            MOST_NAMED + 1
        )
    }
}

impl Check<'_> {
    /// Usage, shapes, coverage, sessions, credentials and calls that changed trails are what the events say.
    pub(super) fn facts(&mut self) -> Result<(), LakeError> {
        let months = self.months();
        let mut compared: BTreeMap<PartKind, usize> = BTreeMap::new();
        for month in months.keys() {
            for kind in KINDS {
                let (Some(_), Some(_)) = (self.month(PartKind::Events, month), self.month(kind, month)) else {
                    self.report.info(kind.as_str(), month, "not compared with the events: a file is damaged");
                    continue;
                };
                *compared.entry(kind).or_default() += 1;
                let done = match kind {
                    PartKind::Sessions => self.sessions(month),
                    PartKind::Issued => self.issued(month),
                    PartKind::TrailCalls => self.trail_calls(month),
                    _ => self.counted(kind, month),
                };
                if let Err(error) = done {
                    let detail = format!("it cannot be compared with the events: {}", damage(error)?);
                    self.report.bad(kind.as_str(), month, detail);
                }
            }
        }
        for kind in KINDS {
            let done = compared.get(&kind).copied().unwrap_or(0);
            self.close_months(kind.as_str(), done, months.len());
        }
        Ok(())
    }

    /// Says that a comparison holds, where it was made in full.
    pub(super) fn close_months(&mut self, check: &'static str, done: usize, of: usize) {
        if done < of {
            self.report.info(check, "months", format!("{done} of {of} were compared with their events"));
        } else {
            self.report.close(check, "months", format!("{done} agree with their events"));
        }
    }

    /// The files of a month for SQL; none where there are no files.
    pub(super) fn from(&self, kind: PartKind, month: &str) -> Result<Option<String>, LakeError> {
        let parts = self.month(kind, month).unwrap_or_default();
        if parts.is_empty() {
            return Ok(None);
        }
        files(self.store, parts.iter().map(|part| part.name.as_str())).map(Some)
    }

    fn counted(&mut self, kind: PartKind, month: &str) -> Result<(), LakeError> {
        let Some(side) = side(kind) else { return Ok(()) };
        let none =
            "(SELECT session, ''::VARCHAR AS source, '' AS name, false AS version_id, false AS tags, '' AS roles,
             '' AS refused, '' AS category, '' AS resource, '' AS outcome, '' AS account, '' AS region, '' AS day,
             false AS shared, 0::BIGINT AS count, NULL::TIMESTAMP AS first, NULL::TIMESTAMP AS last,
             NULL::TIMESTAMP AS hour, 0::UBIGINT AS slots_0, 0::UBIGINT AS slots_1, 0::UBIGINT AS slots_2,
             0::UBIGINT AS slots_3, 0::UBIGINT AS slots_4, NULL::TIMESTAMP AS time, '' AS event_type,
             '' AS parent_resource, '' AS shared_id FROM (SELECT 0::UBIGINT AS session) WHERE false)";
        let events = self.from(PartKind::Events, month)?.unwrap_or_else(|| none.to_owned());
        let facts = self.from(kind, month)?.unwrap_or_else(|| none.to_owned());
        let rows = self.sql.texts(&side.query(&events, &facts), self.store)?;
        for row in rows.iter().take(MOST_NAMED) {
            let [day, account, events, facts] = std::array::from_fn(|at| row.get(at).map(String::as_str).unwrap_or(""));
            let place = if day.is_empty() { account.to_owned() } else { format!("{day}, account {account}") };
            let noun = side.noun;
            let detail = if events == facts {
                format!("{place}: as many {noun} as the events ({events}), but not the same or not at the same times")
            } else {
                format!("{place}: {facts} {noun}, the events have {events}")
            };
            self.report.bad(kind.as_str(), month, detail);
        }
        if rows.len() > MOST_NAMED {
            self.report.bad(kind.as_str(), month, "there are more days and accounts that differ");
        }
        Ok(())
    }

    /// The sessions of a month are those of its events, each with one identity; whoever names one names one of these.
    fn sessions(&mut self, month: &str) -> Result<(), LakeError> {
        let none = "(SELECT 0::UBIGINT AS session WHERE false)";
        let mut named = Vec::new();
        for kind in [PartKind::Usage, PartKind::Shapes, PartKind::Issued] {
            if let Some(from) = self.from(kind, month)? {
                named.push(format!("SELECT session FROM {from}"));
            }
        }
        if let Some(from) = self.from(PartKind::Events, month)? {
            named.push(format!("SELECT session FROM {from} WHERE category <> 'insight'"));
        }
        let named = if named.is_empty() { format!("SELECT session FROM {none}") } else { named.join(" UNION ALL ") };
        let sessions = self.from(PartKind::Sessions, month)?;
        let known = sessions.as_deref().unwrap_or(none);
        let query = format!(
            "WITH n AS (SELECT DISTINCT session FROM ({named})), k AS (SELECT DISTINCT session FROM {known}),
             t AS (SELECT session FROM (SELECT DISTINCT * FROM {known}) GROUP BY session HAVING count(*) > 1)
             SELECT (SELECT count(*) FROM n ANTI JOIN k USING (session)), (SELECT count(*) FROM k ANTI JOIN n USING (session)),
             (SELECT count(*) FROM t)"
        );
        let [missing, unused, twice] = self.sql.integers(&query, self.store)?;
        let wrong = [
            (missing, "sessions that events or facts name have no identity"),
            (unused, "sessions are of no event"),
            (twice, "sessions have two identities"),
        ];
        for (count, what) in wrong {
            if count > 0 {
                self.report.bad(PartKind::Sessions.as_str(), month, format!("{count} {what}"));
            }
        }
        Ok(())
    }
}
