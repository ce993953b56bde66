//! Rows of the `usage` fold as analysis reads them: many at a time, what repeats once and by number.
//!
//! A year of a large organisation has millions of rows, made of a few thousand sessions a day and a few hundred calls. What
//! belongs to a session or to a call is looked up once for all rows of a block, not once a row.

use hashbrown::HashMap;

use super::fold::{SessionId, UsageFact, UsageRef};
use crate::model::event::{CallVariant, EventCategory, Outcome};
use crate::model::time::Day;

/// A call as the fold tells calls apart, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UsageCall {
    /// `eventSource`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// What tells the call apart.
    pub variant: CallVariant,
    /// Kind of event.
    pub category: EventCategory,
    /// What became of it.
    pub outcome: Outcome,
}

/// A row: numbers into the lists of its block, and what the fold counts.
#[derive(Clone, Copy, Debug)]
pub struct UsageCell {
    /// Into [`UsageBlock::sessions`].
    pub session: u32,
    /// Into [`UsageBlock::calls`].
    pub call: u32,
    /// Main resource: into [`UsageBlock::texts`], as are the next two.
    pub resource: u32,
    /// `recipientAccountId`.
    pub account: u32,
    /// `awsRegion`.
    pub region: u32,
    /// UTC day.
    pub day: Day,
    /// The record carries a `sharedEventID`.
    pub shared: bool,
    /// How often, and when.
    pub fact: UsageFact,
}

/// Rows of usage, in the order in which they were added.
#[derive(Debug, Default)]
pub struct UsageBlock {
    sessions: Vec<SessionId>,
    calls: Vec<UsageCall>,
    texts: Vec<String>,
    rows: Vec<UsageCell>,
    index: Index,
}

/// Numbers of what a block has already.
#[derive(Debug, Default)]
struct Index {
    sessions: HashMap<SessionId, u32>,
    calls: HashMap<UsageCall, u32>,
    texts: HashMap<String, u32>,
}

impl UsageBlock {
    /// Adds a row.
    pub fn push(&mut self, row: &UsageRef<'_>) {
        let session = self.session(row.session);
        let (source, name, variant) = (row.source.to_owned(), row.name.to_owned(), row.variant.clone());
        let call = self.call(UsageCall { source, name, variant, category: row.category, outcome: row.outcome });
        let [resource, account, region] = [row.resource, row.account, row.region].map(|text| self.text(text));
        let (day, shared, fact) = (row.day, row.shared, row.fact);
        self.put(UsageCell { session, call, resource, account, region, day, shared, fact });
    }

    /// Adds a row whose numbers are those of this block.
    pub fn put(&mut self, cell: UsageCell) {
        self.rows.push(cell);
    }

    /// The number of a session.
    pub fn session(&mut self, id: SessionId) -> u32 {
        // Rows are stored sorted: most are of the session of the row before.
        let last = self.rows.last().map(|row| row.session);
        if let Some(last) = last.filter(|last| self.sessions.get(*last as usize) == Some(&id)) {
            return last;
        }
        *self.index.sessions.entry(id).or_insert_with(|| {
            self.sessions.push(id);
            self.sessions.len() as u32 - 1
        })
    }

    /// The number of a call.
    pub fn call(&mut self, call: UsageCall) -> u32 {
        let (next, calls) = (self.calls.len() as u32, &mut self.calls);
        *self.index.calls.entry(call).or_insert_with_key(|call| {
            calls.push(call.clone());
            next
        })
    }

    /// The number of a text.
    pub fn text(&mut self, text: &str) -> u32 {
        let (next, texts) = (self.texts.len() as u32, &mut self.texts);
        *self.index.texts.entry_ref(text).or_insert_with(|| {
            texts.push(text.to_owned());
            next
        })
    }

    /// The distinct sessions.
    #[must_use]
    pub fn sessions(&self) -> &[SessionId] {
        &self.sessions
    }

    /// The distinct calls.
    #[must_use]
    pub fn calls(&self) -> &[UsageCall] {
        &self.calls
    }

    /// The distinct texts.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The rows as numbers.
    #[must_use]
    pub fn cells(&self) -> &[UsageCell] {
        &self.rows
    }

    /// The text of a number; empty where there is none.
    #[must_use]
    pub fn text_of(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", String::as_str)
    }

    /// The rows, written out.
    pub fn rows(&self) -> impl Iterator<Item = UsageRef<'_>> {
        self.rows.iter().filter_map(|cell| {
            let call = self.calls.get(cell.call as usize)?;
            Some(UsageRef {
                session: *self.sessions.get(cell.session as usize)?,
                source: &call.source,
                name: &call.name,
                variant: &call.variant,
                category: call.category,
                resource: self.text_of(cell.resource),
                outcome: call.outcome,
                account: self.text_of(cell.account),
                region: self.text_of(cell.region),
                day: cell.day,
                shared: cell.shared,
                fact: cell.fact,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::time::Timestamp;
    use crate::usage::fold::{UsageKey, UsageRow};

    proptest! {
        #[test]
        fn what_was_added_is_there(all in prop::collection::vec((0u64..3, 0usize..3, 0usize..3, 0usize..3, any::<bool>(), any::<bool>()), 0..40)) {
            let pick = |at: usize| ["", "a", "b"][at].to_owned();
            let rows: Vec<UsageRow> = all
                .into_iter()
                .enumerate()
                .map(|(at, (session, one, two, three, denied, shared))| UsageRow {
                    key: UsageKey {
                        session: SessionId(session),
                        source: pick(one),
                        name: pick(two),
                        variant: CallVariant { refused: pick(three), tags: shared, ..CallVariant::default() },
                        category: if shared { EventCategory::Data } else { EventCategory::Management },
                        resource: pick(two),
                        outcome: if denied { Outcome::Denied } else { Outcome::Authorised },
                        account: pick(three),
                        region: pick(one),
                        day: Day(three as i32),
                        shared,
                    },
                    fact: UsageFact::of(Timestamp::from_seconds(at as i64)),
                })
                .collect();
            let mut block = UsageBlock::default();
            rows.iter().for_each(|row| block.push(&row.view()));
            let back: Vec<UsageRow> = block.rows().map(|row| UsageRow { key: row.to_key(), fact: row.fact }).collect();
            prop_assert_eq!(back, rows);
            // Each thing has one number.
            let sessions: std::collections::BTreeSet<_> = block.sessions().iter().collect();
            let calls: std::collections::HashSet<_> = block.calls().iter().collect();
            let texts: std::collections::BTreeSet<_> = block.texts().iter().collect();
            prop_assert_eq!(
                (block.sessions().len(), block.calls().len(), block.texts().len()),
                (sessions.len(), calls.len(), texts.len())
            );
        }
    }
}
