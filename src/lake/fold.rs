//! Folds events into the two fact tables, the sessions, the credentials handed out and the coverage.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::chunk::{Chunk, Row};
use super::json::Value;
use super::normalise::Record;
use super::symbols::{Numbered, Sym, Symbols};
use crate::model::event::{CallVariant, EventCategory, Outcome, is_call};
use crate::model::time::{Day, Timestamp};
use crate::usage::fold::{CoverageFact, Folds, SessionId, ShapeFact, ShapeKey, UsageFact};

/// Longest user agent kept in a condition context, in bytes: some clients send kilobytes.
const MAX_USER_AGENT: usize = 256;

/// Calls that hand out credentials. `sso:GetRoleCredentials` records carry no response, so they say nothing here.
/// Source: STS API reference, "Actions".
pub(super) const ISSUERS: [&str; 6] = [
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "GetFederationToken",
    "GetSessionToken",
];

/// Calls that change what CloudTrail records. Source: CloudTrail API reference, "Actions".
pub(super) const TRAIL_CALLS: [&str; 16] = [
    "CreateEventDataStore",
    "CreateTrail",
    "DeleteEventDataStore",
    "DeleteTrail",
    "DeregisterOrganizationDelegatedAdmin",
    "PutEventConfiguration",
    "PutEventSelectors",
    "PutInsightSelectors",
    "RegisterOrganizationDelegatedAdmin",
    "RestoreEventDataStore",
    "StartEventDataStoreIngestion",
    "StartLogging",
    "StopEventDataStoreIngestion",
    "StopLogging",
    "UpdateEventDataStore",
    "UpdateTrail",
];

/// Calls that change which regions there are to record. Source: AWS Account Management API Reference, "Actions".
const REGION_CALLS: [&str; 2] = ["DisableRegion", "EnableRegion"];

/// What a single event says beside its call.
#[derive(Debug)]
pub(crate) enum Noted {
    /// It handed out credentials.
    Issued { access_key: String, session_principal_id: String, role_arn: String },
    /// It may change what is recorded.
    Trail { request: String, response: String },
}

impl Noted {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Issued { access_key, session_principal_id, role_arn } => {
                    access_key.len() + session_principal_id.len() + role_arn.len()
                }
                Self::Trail { request, response } => request.len() + response.len(),
            }
    }
}

/// What an event says beside its call, where it says anything.
pub(crate) fn noted(record: &Record<'_>) -> Option<Noted> {
    let raw = |value: Option<Value<'_>>| value.map(Value::raw).unwrap_or_default().to_owned();
    match record.source.as_ref() {
        "sts.amazonaws.com" if ISSUERS.contains(&record.name.as_ref()) => {
            issued(record.request, record.response, record.outcome.supports_use() || record.outcome == Outcome::Unknown)
        }
        "cloudtrail.amazonaws.com" if TRAIL_CALLS.contains(&record.name.as_ref()) => {
            Some(Noted::Trail { request: raw(record.request), response: raw(record.response) })
        }
        "account.amazonaws.com" if REGION_CALLS.contains(&record.name.as_ref()) => {
            Some(Noted::Trail { request: raw(record.request), response: raw(record.response) })
        }
        _ => None,
    }
}

/// What a call handed out. Where it succeeded (or may have) and the record does not show the key, it is noted without:
/// somebody obtained a session then.
fn issued(request: Option<Value<'_>>, response: Option<Value<'_>>, may_have: bool) -> Option<Noted> {
    let text = |from: Option<Value<'_>>, paths: &[&[&str]]| {
        paths.iter().find_map(|path| {
            let value = path.iter().try_fold(from?, |value, key| value.get(key))?;
            value.text().map(|text| text.into_owned()).filter(|text| !text.is_empty())
        })
    };
    let access_key = text(response, &[&["credentials", "accessKeyId"]]).unwrap_or_default();
    let session_principal_id =
        text(response, &[&["assumedRoleUser", "assumedRoleId"], &["federatedUser", "federatedUserId"]])
            .unwrap_or_default();
    let role_arn = text(request, &[&["roleArn"], &["targetPrincipal"]]).unwrap_or_default();
    let said = !access_key.is_empty() || may_have && !(session_principal_id.is_empty() && role_arn.is_empty());
    said.then_some(Noted::Issued { access_key, session_principal_id, role_arn })
}

/// Where an event belongs.
pub(crate) fn place(row: &Row) -> Place {
    (row.account, row.region, row.time.hour(), row.category)
}

/// What calls of a fold have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub session: u32,
    pub source: Sym,
    pub name: Sym,
    pub variant: u32,
    pub outcome: Outcome,
    pub account: Sym,
    pub region: Sym,
    pub shared: bool,
}

/// A cell of the `usage` fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UsageCell {
    /// Number of its call.
    pub call: u32,
    pub category: EventCategory,
    pub resource: Sym,
    pub day: Day,
}

/// A cell of the `shapes` fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShapeCell {
    /// Number of its call.
    pub call: u32,
    /// Number of its targets. Lists that differ in more than their ARNs are cells of their own; rows of one key are
    /// summed when they are read.
    pub targets: u32,
    /// JSON list of [key, value].
    pub context: Sym,
}

/// What a condition context is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ContextParts {
    session: u32,
    source_ip: Sym,
    endpoint: Sym,
    tls: bool,
    user_agent: Sym,
}

/// The facts of a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShapeSum<'c> {
    pub count: u64,
    pub last: Timestamp,
    /// The first call: the smallest (time, id).
    pub example: &'c Row,
}

impl ShapeSum<'_> {
    pub(crate) fn to_fact(self, chunk: &Chunk) -> ShapeFact {
        ShapeFact {
            count: self.count,
            first: self.example.time,
            last: self.last,
            example: chunk.example(self.example).into_owned(),
            example_time: self.example.time,
        }
    }
}

/// An hour of an account and region, by kind of events.
pub(crate) type Place = (Sym, Sym, i32, EventCategory);
/// What some events of one chunk say of hours.
pub(crate) type Covered = BTreeMap<Place, CoverageFact>;

/// The facts of some events of one chunk.
#[derive(Debug, Default)]
pub(crate) struct ChunkFolds<'c> {
    pub calls: Numbered<Call>,
    pub usage: Numbered<UsageCell>,
    pub usage_facts: Vec<UsageFact>,
    pub shapes: Numbered<ShapeCell>,
    pub shape_facts: Vec<ShapeSum<'c>>,
    contexts: HashMap<ContextParts, Sym>,
    /// JSON lists of [key, value].
    pub context_lists: Symbols,
    /// Sessions of these events, in the order of the chunk.
    pub sessions: Vec<u32>,
    pub coverage: Covered,
    /// Shapes of session × calls with more than [`MAX_SHAPES`] of them; they take the place of cells.
    pub cut: BTreeMap<ShapeKey, ShapeFact>,
    /// Calls whose shapes were cut.
    pub cut_calls: BTreeSet<u32>,
}

impl<'c> ChunkFolds<'c> {
    /// Folds rows of a chunk.
    pub(crate) fn of(chunk: &'c Chunk, rows: &[&'c Row]) -> Self {
        let mut folds = Self::default();
        let mut sessions = vec![false; chunk.sessions()];
        let mut cell: Option<(Place, CoverageFact)> = None;
        for row in rows {
            // Rows come by account and time, so that an hour's stand together.
            let place = place(row);
            let own = CoverageFact { count: 1, whole: u64::from(chunk.is_whole(row.file)) };
            match &mut cell {
                Some((known, sum)) if *known == place => sum.merge(&own),
                _ => folds.cover(cell.replace((place, own))),
            }
            if row.category == EventCategory::Insight {
                continue;
            }
            if let Some(seen) = sessions.get_mut(row.session as usize) {
                *seen = true;
            }
            if is_call(row.category, chunk.sym(row.event_type)) {
                folds.add(chunk, row);
            }
        }
        folds.cover(cell);
        folds.sessions = (0..).zip(sessions).filter(|(_, seen)| *seen).map(|(session, _)| session).collect();
        folds.cut(chunk, MAX_SHAPES);
        folds
    }

    fn cover(&mut self, cell: Option<(Place, CoverageFact)>) {
        if let Some((place, fact)) = cell {
            self.coverage.entry(place).or_default().merge(&fact);
        }
    }

    /// Adds what copies of stored events say of hours.
    pub(crate) fn cover_copies(&mut self, copies: Covered) {
        copies.into_iter().for_each(|cell| self.cover(Some(cell)));
    }

    fn add(&mut self, chunk: &Chunk, row: &'c Row) {
        let targets = chunk.targets_of(row.targets);
        let call = self.calls.number(Call {
            session: row.session,
            source: row.source,
            name: row.name,
            variant: row.variant,
            outcome: row.outcome,
            account: row.account,
            region: row.region,
            shared: !row.shared.is_empty(),
        });
        let cell = UsageCell { call, category: row.category, resource: targets.parent, day: row.time.day() };
        match self.usage_facts.get_mut(self.usage.number(cell) as usize) {
            Some(known) => known.add(row.time, targets.several),
            None => self.usage_facts.push(UsageFact::of_several(row.time, targets.several)),
        }
        let context = self.context(chunk, row);
        let cell = ShapeCell { call, targets: row.targets, context };
        match self.shape_facts.get_mut(self.shapes.number(cell) as usize) {
            Some(known) => {
                known.count = known.count.saturating_add(1);
                known.last = known.last.max(row.time);
                let before = known.example;
                if row.time < before.time || row.time == before.time && chunk.example(row) < chunk.example(before) {
                    known.example = row;
                }
            }
            None => self.shape_facts.push(ShapeSum { count: 1, last: row.time, example: row }),
        }
    }

    fn context(&mut self, chunk: &Chunk, row: &Row) -> Sym {
        let parts = ContextParts {
            session: row.session,
            source_ip: row.source_ip,
            endpoint: row.endpoint,
            tls: !row.tls.is_empty(),
            user_agent: row.user_agent,
        };
        let lists = &mut self.context_lists;
        *self.contexts.entry(parts).or_insert_with(|| {
            let invoked_by = chunk.identity(row.session).map(|(_, i)| i.invoked_by.as_str()).unwrap_or_default();
            let (ip, endpoint) = (chunk.sym(row.source_ip), chunk.sym(row.endpoint));
            let list = context(invoked_by, ip, endpoint, parts.tls, chunk.sym(row.user_agent));
            lists.intern(&serde_json::to_string(&list).unwrap_or_default())
        })
    }

    /// Cuts what has too many shapes, as [`collapse`] does.
    fn cut(&mut self, chunk: &Chunk, limit: usize) {
        let group = |call: &Call| (call.session, call.source, call.name, call.variant);
        let mut counts: HashMap<_, usize> = HashMap::new();
        for cell in self.shapes.all() {
            if let Some(call) = self.calls.get(cell.call) {
                *counts.entry(group(call)).or_default() += 1;
            }
        }
        if counts.values().all(|count| *count <= limit) {
            return;
        }
        for (number, call) in self.calls.all().iter().enumerate() {
            if counts.get(&group(call)).is_some_and(|count| *count > limit) {
                self.cut_calls.insert(number as u32);
            }
        }
        let mut cut = BTreeMap::new();
        for (cell, fact) in self.shapes.all().iter().zip(&self.shape_facts) {
            if let Some(call) = self.calls.get(cell.call).filter(|_| self.cut_calls.contains(&cell.call)) {
                let fact = fact.to_fact(chunk);
                match cut.entry(self.shape_key(chunk, call, cell)) {
                    Entry::Occupied(mut known) => ShapeFact::merge(known.get_mut(), &fact),
                    Entry::Vacant(free) => {
                        free.insert(fact);
                    }
                }
            }
        }
        collapse(&mut cut, limit);
        self.cut = cut;
    }

    fn shape_key(&self, chunk: &Chunk, call: &Call, cell: &ShapeCell) -> ShapeKey {
        let list = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let context = self.context_lists.get(cell.context);
        let variant = chunk.variant_of(call.variant);
        ShapeKey {
            session: chunk.session_id(call.session),
            source: chunk.sym(call.source).to_owned(),
            name: chunk.sym(call.name).to_owned(),
            variant: CallVariant {
                version_id: variant.version_id,
                tags: variant.tags,
                roles: serde_json::from_str(chunk.sym(variant.roles)).unwrap_or_default(),
                refused: chunk.sym(variant.refused).to_owned(),
            },
            resources: list(chunk.text(chunk.targets_of(cell.targets).arns)),
            outcome: call.outcome,
            account: chunk.sym(call.account).to_owned(),
            region: chunk.sym(call.region).to_owned(),
            context: serde_json::from_str(context).unwrap_or_default(),
            shared: call.shared,
            inexact: false,
        }
    }
}

/// The condition context that a record shows. Source: "AWS global condition context keys", IAM user guide.
fn context(invoked_by: &str, source_ip: &str, endpoint: &str, tls: bool, user_agent: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: &str| out.push((key.to_owned(), value.to_owned()));
    if !invoked_by.is_empty() {
        put("aws:CalledVia", invoked_by);
        put("aws:ViaAWSService", "true");
    }
    if source_ip.parse::<std::net::IpAddr>().is_ok() {
        put(if endpoint.is_empty() { "aws:SourceIp" } else { "aws:VpcSourceIp" }, source_ip);
    }
    if !endpoint.is_empty() {
        put("aws:SourceVpce", endpoint);
    }
    if tls {
        put("aws:SecureTransport", "true");
    }
    if !user_agent.is_empty() {
        let mut end = user_agent.len().min(MAX_USER_AGENT);
        while !user_agent.is_char_boundary(end) {
            end -= 1;
        }
        put("aws:UserAgent", user_agent.get(..end).unwrap_or(""));
    }
    out.sort();
    out
}

/// Adds the facts of `other` to `folds`. The result does not depend on the order of merging.
pub fn merge(folds: &mut Folds, other: Folds) {
    for (key, fact) in other.usage {
        folds.usage.entry(key).and_modify(|known| known.merge(&fact)).or_insert(fact);
    }
    for (key, fact) in other.shapes {
        match folds.shapes.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().merge(&fact),
            Entry::Vacant(free) => {
                free.insert(fact);
            }
        }
    }
    for (id, identity) in other.sessions {
        folds.sessions.entry(id).or_insert(identity);
    }
    folds.issued.extend(other.issued);
    folds.trail_calls.extend(other.trail_calls);
    for (key, fact) in other.coverage {
        folds.coverage.entry(key).or_default().merge(&fact);
    }
}

/// Distinct calls of one session × call that are kept apart; past it they become one inexact row per outcome,
/// account and region. A pipeline that writes a million objects would otherwise fill the fold with their names.
pub const MAX_SHAPES: usize = 1000;

/// What rows that were cut share: the prefix of their resources, their context, and the sum of their facts.
type Cut = (Option<String>, Vec<(String, String)>, ShapeFact);

/// Cuts session × calls with more than `limit` distinct calls down to the prefix that their resources share and
/// the context that all of them have.
///
/// Folding in parts and merging gives the same as folding at once, as long as every merge ends in this: what was
/// cut before stays cut, and shared prefixes and contexts do not depend on the order.
pub fn collapse(shapes: &mut BTreeMap<ShapeKey, ShapeFact>, limit: usize) {
    fn call(key: &ShapeKey) -> (SessionId, &str, &str, &CallVariant) {
        (key.session, &key.source, &key.name, &key.variant)
    }
    let keys: Vec<&ShapeKey> = shapes.keys().collect();
    let over: Vec<ShapeKey> = keys
        .chunk_by(|a, b| call(a) == call(b))
        .filter(|group| group.len() > limit || group.iter().any(|key| key.inexact))
        .flatten()
        .map(|key| (*key).clone())
        .collect();
    let mut cut: BTreeMap<ShapeKey, Cut> = BTreeMap::new();
    for mut key in over {
        let Some(fact) = shapes.remove(&key) else { continue };
        let (resources, context) = (std::mem::take(&mut key.resources), std::mem::take(&mut key.context));
        let texts = resources.iter().map(|text| if key.inexact { text.trim_end_matches('*') } else { text });
        let prefix = texts.fold(None, |prefix, text| Some(shared_prefix(prefix, text)));
        key.inexact = true;
        match cut.get_mut(&key) {
            None => {
                cut.insert(key, (prefix, context, fact));
            }
            Some((known, all, sum)) => {
                if let Some(text) = prefix {
                    *known = Some(shared_prefix(known.take(), &text));
                }
                all.retain(|pair| context.contains(pair));
                sum.merge(&fact);
            }
        }
    }
    for (key, (prefix, context, fact)) in cut {
        let resources = prefix.map(|text| format!("{}*", text.trim_end_matches('*'))).into_iter().collect();
        shapes.insert(ShapeKey { resources, context, ..key }, fact);
    }
}

fn shared_prefix(known: Option<String>, text: &str) -> String {
    let Some(mut known) = known else { return text.to_owned() };
    let same = known.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    known.truncate(same);
    known
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::event::Outcome;
    use crate::model::time::Timestamp;

    type Shapes = BTreeMap<ShapeKey, ShapeFact>;

    fn shape(session: u64, resource: &str, ip: &str, denied: bool, time: i64) -> (ShapeKey, ShapeFact) {
        let key = ShapeKey {
            session: SessionId(session),
            source: "s3.amazonaws.com".into(),
            name: "GetObject".into(),
            variant: CallVariant::default(),
            resources: if resource.is_empty() { vec![] } else { vec![format!("arn:aws:s3:::b/{resource}")] },
            outcome: if denied { Outcome::Denied } else { Outcome::Authorised },
            account: "1".into(),
            region: "r".into(),
            context: vec![("aws:SourceIp".into(), ip.into()), ("aws:UserAgent".into(), "x".into())],
            shared: false,
            inexact: false,
        };
        let time = Timestamp::from_seconds(time);
        (
            key,
            ShapeFact { count: 1, first: time, last: time, example: format!("e{}", time.micros()), example_time: time },
        )
    }

    fn folded(all: &[(ShapeKey, ShapeFact)], limit: usize) -> Shapes {
        let mut folds = Folds::default();
        for (key, fact) in all {
            merge(&mut folds, Folds { shapes: [(key.clone(), fact.clone())].into(), ..Folds::default() });
        }
        collapse(&mut folds.shapes, limit);
        folds.shapes
    }

    #[test]
    fn past_the_limit_one_inexact_row_is_left() {
        let all: Vec<_> =
            ["k/a1", "k/a2", "k/a3"].iter().zip(1..).map(|(k, t)| shape(1, k, "192.0.2.1", false, t)).collect();
        assert_eq!(folded(&all, 3).len(), 3);
        let cut = folded(&all, 2);
        let (key, fact) = cut.first_key_value().unwrap();
        assert_eq!((cut.len(), key.inexact, fact.count, fact.example.as_str()), (1, true, 3, "e1000000"));
        assert_eq!(key.resources, ["arn:aws:s3:::b/k/a*"]);
        assert_eq!(key.context.len(), 2);
    }

    proptest! {
        /// Folding in parts, cutting each, merging and cutting again gives the same as folding at once.
        #[test]
        fn cutting_commutes_with_merging(
            items in prop::collection::vec((0u64..2, "[ab*]{0,3}", 0u8..3, any::<bool>(), 0i64..50), 0..40),
            split in 0usize..40,
            limit in 1usize..6,
        ) {
            let all: Vec<_> = items.iter().map(|(s, r, ip, d, t)| shape(*s, r, &format!("192.0.2.{ip}"), *d, *t)).collect();
            let (left, right) = all.split_at(split.min(all.len()));
            let mut merged = Folds { shapes: folded(left, limit), ..Folds::default() };
            merge(&mut merged, Folds { shapes: folded(right, limit), ..Folds::default() });
            collapse(&mut merged.shapes, limit);
            let want = folded(&all, limit);
            prop_assert_eq!(&merged.shapes, &want);
            prop_assert_eq!(want.values().map(|f| f.count).sum::<u64>(), all.len() as u64);
        }
    }
}
