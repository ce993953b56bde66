//! The flow of the main job, wired: store → snapshot → entitlements, store → activity and coverage → assessment.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{ActionId, Catalog, Glob};
use crate::compare::assessment::Gap;
use crate::compare::{Inputs, Settings, left};
use crate::entitlements::{self, Entitlements};
use crate::lake::Reader;
use crate::model::snapshot::Snapshot;
use crate::model::time::{MICROS_PER_HOUR, Timestamp, Window};
use crate::usage::activity::{Activity, Join};
use crate::usage::chain::{Logs, hidden};
use crate::usage::changes::PolicyChanges;
use crate::usage::code::{self, WrittenByCode};
use crate::usage::coverage::{AROUND_DAYS, Coverage, SETTLING_HOURS};
use crate::usage::fold::{FactSource, IssuedCredential, ShapeFact, ShapeKey};
use crate::usage::identity::{Actors, Resolver};
use crate::usage::kinds::Exported;
use crate::usage::people::People;
use crate::usage::regions;
use crate::usage::sessions::Sessions;
use crate::usage::trails::Trails;

use super::context::{CommandError, Context};
use super::documents;
use super::output::Meta;

/// Event ids of examples by (principal ARN, action).
pub type Examples = BTreeMap<(String, ActionId), Vec<String>>;

/// How much of a store a question needs; each has what those before it have. What is not loaded is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// State, people, coverage and trails: the ground that numbers stand on. It costs little, however much was logged.
    Ground,
    /// Who stands behind the sessions.
    Actors,
    /// What was used.
    Activity,
    /// What is granted, changes of policies, and examples.
    Granted,
}

/// Everything that analysis reads, loaded once.
#[derive(Debug)]
pub struct World {
    /// The catalogue.
    pub catalog: &'static Catalog,
    /// IAM, organisation, people.
    pub snapshot: Snapshot,
    /// The index of people.
    pub people: People,
    /// What is granted.
    pub entitlements: Entitlements,
    /// Who stands behind sessions.
    pub actors: Actors,
    /// Their identities and keys.
    pub sessions: Sessions,
    /// What was used.
    pub activity: Activity,
    /// What the logs speak for.
    pub coverage: Coverage,
    /// What trails were set to record.
    pub trails: Trails,
    /// Changes of policies that the logs show.
    pub changes: PolicyChanges,
    /// What code wrote, as far as the logs show.
    pub written: WrittenByCode,
    /// Regions that recorded calls enabled, by account.
    pub enabled: BTreeMap<String, BTreeSet<String>>,
    /// Evidence.
    pub examples: Examples,
    /// Settings.
    pub settings: Settings,
    /// Instant.
    pub as_of: Timestamp,
    /// Generation of the lake.
    pub generation: u64,
    /// What was found while loading that narrows the claims.
    pub gaps: Vec<Gap>,
}

impl World {
    /// Loads a store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(context: &Context<'_>, reader: &Reader) -> Result<Self, CommandError> {
        Self::load_to(context, reader, Depth::Granted)
    }

    /// Loads so much of a store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load_to(context: &Context<'_>, reader: &Reader, depth: Depth) -> Result<Self, CommandError> {
        Self::load_with(context, reader, depth, None)
    }

    /// Loads a store, and when people used what in so many days before the window's end, which may be more than its own.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load_with_times(context: &Context<'_>, reader: &Reader, days: i64) -> Result<Self, CommandError> {
        Self::load_with(context, reader, Depth::Granted, Some(days))
    }

    fn load_with(
        context: &Context<'_>,
        reader: &Reader,
        depth: Depth,
        times: Option<i64>,
    ) -> Result<Self, CommandError> {
        let as_of = context.as_of();
        let logged_to = reader.event_span().map(|span| span.to);
        let window = match context.global.as_of {
            Some(_) => context.window(),
            None => context.global.window.ending(settled(as_of, logged_to)),
        };
        let catalog = Catalog::get();
        let loaded = documents::load(reader, as_of)?;
        let snapshot = loaded.snapshot;
        let people = People::of(&snapshot);
        let around = Window { from: window.from.plus_days(-AROUND_DAYS), to: window.to.plus_days(AROUND_DAYS) };
        let coverage = Coverage::of(window, &reader.coverage(around)?);
        let collected: BTreeSet<String> = coverage.accounts().map(str::to_owned).collect();
        let members = snapshot
            .organization
            .as_ref()
            .map(|organization| organization.accounts.iter().map(|account| account.id.to_string()).collect());
        let trail_calls = reader.trail_calls()?;
        let trails = Trails::gather(&snapshot.trails, &trail_calls, members, window);
        let coverage = coverage.with_deliveries(&reader.digest_spans()?, |digest| trails.records_management(digest));
        let trails = trails.judged(&context.config.trails_in_hand, &coverage);
        let Acts { actors, sessions, activity, gap } =
            Acts::load(reader, (depth, times), (window, &collected), &snapshot, &people, catalog)?;
        let (mut changes, mut found, mut entitlements, mut written) = Default::default();
        if depth >= Depth::Granted {
            // Of millions of distinct calls these are all that is asked for.
            let privileged = entitlements::privileged_actions(catalog);
            let shapes = reader.shapes_of(&|source, name, variant| {
                let told = || catalog.event(source, name, variant);
                source.starts_with("iam.")
                    || code::is_write(source, name)
                    || told().certain().any(|action| privileged.contains(action.id))
            })?;
            changes = PolicyChanges::of(&shapes);
            written = WrittenByCode::of(&shapes, &actors);
            found = examples(&shapes, window, &actors, catalog);
            entitlements = entitlements::entitlements(&snapshot, catalog);
        }
        let gaps = found_gaps(context, reader, (window, as_of), loaded.younger, &trails, gap);
        let settings = Settings {
            break_glass: context.config.break_glass.iter().map(|pattern| Glob::new(pattern)).collect(),
            regions: context.config.regions.clone(),
        };
        let generation = u64::try_from(reader.generation().number).unwrap_or(0);
        Ok(Self {
            catalog,
            snapshot,
            people,
            entitlements,
            actors,
            sessions,
            activity,
            coverage,
            trails,
            changes,
            written,
            enabled: regions::enabled(&trail_calls),
            examples: found,
            settings,
            as_of,
            generation,
            gaps,
        })
    }

    /// The comparison's inputs.
    #[must_use]
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            snapshot: &self.snapshot,
            people: &self.people,
            entitlements: &self.entitlements,
            activity: &self.activity,
            coverage: &self.coverage,
            trails: &self.trails,
            catalog: self.catalog,
            settings: &self.settings,
            as_of: self.as_of,
            generation: self.generation,
            changes: &self.changes,
            enabled: &self.enabled,
            examples: &self.examples,
        }
    }

    /// People who have left, with their end.
    #[must_use]
    pub fn left(&self) -> BTreeMap<String, Timestamp> {
        left(&self.snapshot, &self.people, self.as_of)
    }

    /// People of whom the roster knows an end, past or to come.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<String, Timestamp> {
        left(&self.snapshot, &self.people, Timestamp::from_micros(i64::MAX))
    }

    /// What machine output says of where it comes from.
    #[must_use]
    pub fn meta(&self, command: &str, gaps: Vec<Gap>) -> Meta {
        Meta {
            command: command.to_owned(),
            as_of: Some(self.as_of),
            window: Some(self.coverage.window()),
            generation: Some(self.generation),
            catalogue: Some(self.catalog.version().to_owned()),
            snapshot: Some(self.snapshot.hash.clone()),
            coverage: Some(self.coverage_line()),
            gaps,
        }
    }

    /// Coverage in one line.
    #[must_use]
    pub fn coverage_line(&self) -> String {
        let days = self.coverage.window().days().count();
        let (mut cells, mut covered, mut regions) = (0usize, 0usize, 0usize);
        for account in self.coverage.accounts() {
            for region in self.coverage.regions(account) {
                regions += 1;
                cells += days;
                covered += days - self.coverage.missing_days(account, region).len();
            }
        }
        format!(
            "{covered} of {cells} days covered in {regions} regions of {} accounts",
            self.coverage.accounts().count()
        )
    }
}

/// What was found while loading that narrows the claims.
fn found_gaps(
    context: &Context<'_>,
    reader: &Reader,
    (window, as_of): (Window, Timestamp),
    younger: Vec<String>,
    trails: &Trails,
    chains: Option<Gap>,
) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = younger
        .into_iter()
        .map(|what| Gap {
            kind: "snapshot".to_owned(),
            what: format!("the store has {what} only, younger than {as_of}"),
            remedy: "ingest the state of that time, or move --as-of".to_owned(),
        })
        .collect();
    if let Some(span) = reader.event_span()
        && (span.to <= window.from || span.from >= window.to)
    {
        gaps.push(Gap {
            kind: "window".to_owned(),
            what: format!("the window {window} holds none of the lake's events, which run {span}"),
            remedy: format!("set --as-of, for example --as-of {}", span.to.plus_days(1).day()),
        });
    }
    gaps.extend(context.config.trails_in_hand.iter().filter(|name| !trails.knows(name)).map(|name| Gap {
        kind: "trails".to_owned(),
        what: format!("trail {name} of `trails_in_hand` is not known: neither its settings nor calls on it"),
        remedy: "ingest its settings, or correct its name in jitscan.toml".to_owned(),
    }));
    if reader.has_older_usage() {
        gaps.push(Gap {
            kind: "facts".to_owned(),
            what:
                "usage folded by an earlier release does not tell which calls were on several resources of a kind: of \
                   such a call all but the first may be said to be unused"
                    .to_owned(),
            remedy: "ingest the logs into a new store".to_owned(),
        });
    }
    gaps.extend(chains);
    gaps
}

/// Who acted, and what they did.
#[derive(Default)]
struct Acts {
    actors: Actors,
    sessions: Sessions,
    activity: Activity,
    gap: Option<Gap>,
}

impl Acts {
    /// In a window, with the logs of the accounts that are collected; and when people used what, in so many days before its
    /// end.
    fn load(
        reader: &Reader,
        (depth, times): (Depth, Option<i64>),
        (window, collected): (Window, &BTreeSet<String>),
        snapshot: &Snapshot,
        people: &People,
        catalog: &Catalog,
    ) -> Result<Self, CommandError> {
        if depth < Depth::Actors {
            return Ok(Self::default());
        }
        let sessions = reader.sessions()?;
        let issued = reader.issued()?;
        let from = reader.event_span().map(|span| span.from);
        let logs = Logs { from, seen: reader.session_spans(window)?, collected: collected.clone() };
        let actors = Resolver::new(snapshot, people, &sessions, &issued).with_logs(logs).resolve_all();
        let mut activity = Activity::default();
        if depth >= Depth::Activity {
            // Usage is of whole days, also at the ends of a window.
            let days = Window { from: window.from.plus_days(-1), to: window.to.plus_days(1) };
            let exported = Exported::of(&reader.coverage(days)?);
            let mut join = Join::new(&sessions, &actors, catalog).with_exported(exported);
            let mut read = window;
            if let Some(days) = times {
                join = join.with_times(window.from.day());
                read.from = window.to.plus_days(-days).min(window.from);
            }
            reader.usage_blocks(read, &mut |block| join.add(block))?;
            if join.left_copies() {
                reader.lone_copies(read, &sessions, &mut |block| join.add(block))?;
            }
            activity = join.finish();
        }
        Ok(Self { actors, sessions, activity, gap: chain_gap(&issued) })
    }
}

/// Until when logs that go on to `newest` tell what was not done, as far as anybody asks now: deliveries of the hours
/// before may still come. Where the logs ended long ago, now is what is asked about.
fn settled(now: Timestamp, newest: Option<Timestamp>) -> Timestamp {
    let Some(newest) = newest.filter(|newest| *newest > now.plus_seconds(-RECENT_HOURS * 3600)) else { return now };
    let hour = newest.hour().saturating_sub(SETTLING_HOURS);
    now.min(Timestamp::from_micros(i64::from(hour) * MICROS_PER_HOUR))
}

/// Hours within which logs count as being collected still.
const RECENT_HOURS: i64 = 48;

/// What calls for credentials leave open whose records do not show what they handed out.
fn chain_gap(issued: &[IssuedCredential]) -> Option<Gap> {
    let hidden = hidden(issued).count();
    (hidden > 0).then(|| Gap {
        kind: "chains".to_owned(),
        what: format!(
            "{hidden} calls for temporary credentials do not show which were handed out, so nothing leads from their \
             sessions back to the callers"
        ),
        remedy: "ingest the trail files, or an export with responseElements, instead".to_owned(),
    })
}

/// Example events by principal and action, from the distinct calls.
fn examples(shapes: &BTreeMap<ShapeKey, ShapeFact>, window: Window, actors: &Actors, catalog: &Catalog) -> Examples {
    let mut found: BTreeMap<(String, ActionId), BTreeSet<(Timestamp, String)>> = BTreeMap::new();
    for (key, fact) in shapes {
        let Some(actor) = actors.get(&key.session) else { continue };
        if !key.outcome.supports_use() || fact.example.is_empty() || !window.contains(fact.example_time) {
            continue;
        }
        for action in catalog.event(&key.source, &key.name, &key.variant).certain() {
            let events = found.entry((actor.principal.to_string(), action.id)).or_default();
            events.insert((fact.example_time, fact.example.clone()));
            if events.len() > MOST_EXAMPLES {
                events.pop_last();
            }
        }
    }
    found.into_iter().map(|(key, events)| (key, events.into_iter().map(|(_, id)| id).collect())).collect()
}

/// Most example events kept for one principal and action.
const MOST_EXAMPLES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_where_the_logs_are_settled() {
        let now = "2026-03-03T10:20:00Z";
        for (newest, want) in [
            (Some("2026-03-03T10:05:00Z"), "2026-03-03T08:00:00Z"),
            (Some("2026-03-02T23:59:00Z"), "2026-03-02T21:00:00Z"),
            // They ended long ago, or there are none, or they are of days to come.
            (Some("2026-02-27T10:05:00Z"), now),
            (None, now),
            (Some("2026-03-09T10:05:00Z"), now),
        ] {
            let newest = newest.map(|text| text.parse().unwrap());
            assert_eq!(settled(now.parse().unwrap(), newest), want.parse().unwrap(), "{newest:?}");
        }
    }
}
