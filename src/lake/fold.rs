//! Folds events into the two fact tables, the sessions, the credentials handed out and the coverage.

use std::collections::BTreeMap;

use super::json::Tape;
use super::normalise::parent;
use crate::model::event::{CallVariant, Event, EventCategory};
use crate::usage::fold::{
    CoverageKey, Folds, IssuedCredential, SessionId, ShapeFact, ShapeKey, TrailCall, UsageFact, UsageKey, is_usage,
};

/// Longest user agent kept in a condition context, in bytes: some clients send kilobytes.
const MAX_USER_AGENT: usize = 256;

/// Calls that hand out credentials. `sso:GetRoleCredentials` records carry no response, so they say nothing here.
/// Source: STS API reference, "Actions".
const ISSUERS: [&str; 6] = [
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "GetFederationToken",
    "GetSessionToken",
];

/// Calls that change what CloudTrail records. Source: CloudTrail API reference, "Actions".
const TRAIL_CALLS: [&str; 16] = [
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

/// Adds one event of a session. `example` names it where it has no id of its own.
pub fn add(folds: &mut Folds, event: &Event, session: SessionId, example: &str) {
    let cell = CoverageKey {
        account: event.recipient_account.clone(),
        region: event.region.clone(),
        hour: event.time.hour(),
        category: event.category,
    };
    *folds.coverage.entry(cell).or_default() += 1;
    if event.category == EventCategory::Insight {
        return;
    }
    folds.sessions.entry(session).or_insert_with(|| event.identity.clone());
    if let Some(issued) = issued(event, session, example) {
        folds.issued.insert(issued);
    }
    if event.source == "cloudtrail.amazonaws.com" && TRAIL_CALLS.contains(&event.name.as_str()) {
        folds.trail_calls.insert(TrailCall {
            time: event.time,
            account: event.recipient_account.clone(),
            region: event.region.clone(),
            name: event.name.clone(),
            outcome: event.outcome,
            request: event.request.clone(),
            response: event.response.clone(),
            event_id: event.id.clone().unwrap_or_else(|| example.to_owned()),
        });
    }
    if is_usage(event) {
        add_usage(folds, event, session);
        add_shape(folds, event, session, example);
    }
}

fn add_usage(folds: &mut Folds, event: &Event, session: SessionId) {
    let key = UsageKey {
        session,
        source: event.source.clone(),
        name: event.name.clone(),
        variant: event.variant.clone(),
        category: event.category,
        resource: event.resources.first().map(|r| parent(&r.arn).to_owned()).unwrap_or_default(),
        outcome: event.outcome,
        account: event.recipient_account.clone(),
        region: event.region.clone(),
        day: event.time.day(),
        shared: !event.shared_id.is_empty(),
    };
    let fact = UsageFact::of(event.time);
    folds.usage.entry(key).and_modify(|known| known.merge(&fact)).or_insert(fact);
}

fn add_shape(folds: &mut Folds, event: &Event, session: SessionId, example: &str) {
    let mut resources: Vec<String> = event.resources.iter().map(|r| r.arn.clone()).collect();
    resources.sort();
    let key = ShapeKey {
        session,
        source: event.source.clone(),
        name: event.name.clone(),
        variant: event.variant.clone(),
        resources,
        outcome: event.outcome,
        account: event.recipient_account.clone(),
        region: event.region.clone(),
        context: context(event),
        shared: !event.shared_id.is_empty(),
        inexact: false,
    };
    let fact = ShapeFact {
        count: 1,
        first: event.time,
        last: event.time,
        example: event.id.clone().unwrap_or_else(|| example.to_owned()),
        example_time: event.time,
    };
    match folds.shapes.entry(key) {
        std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().merge(&fact),
        std::collections::btree_map::Entry::Vacant(free) => {
            free.insert(fact);
        }
    }
}

/// The condition context that a record shows. Source: "AWS global condition context keys", IAM user guide.
fn context(event: &Event) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: &str| out.push((key.to_owned(), value.to_owned()));
    let invoked_by = event.identity.invoked_by.as_str();
    if !invoked_by.is_empty() {
        put("aws:CalledVia", invoked_by);
        put("aws:ViaAWSService", "true");
    }
    if event.source_ip.parse::<std::net::IpAddr>().is_ok() {
        put(if event.vpc_endpoint.is_empty() { "aws:SourceIp" } else { "aws:VpcSourceIp" }, &event.source_ip);
    }
    if !event.vpc_endpoint.is_empty() {
        put("aws:SourceVpce", &event.vpc_endpoint);
    }
    if !event.tls_version.is_empty() {
        put("aws:SecureTransport", "true");
    }
    if !event.user_agent.is_empty() {
        let mut end = event.user_agent.len().min(MAX_USER_AGENT);
        while !event.user_agent.is_char_boundary(end) {
            end -= 1;
        }
        put("aws:UserAgent", event.user_agent.get(..end).unwrap_or(""));
    }
    out.sort();
    out
}

fn issued(event: &Event, by: SessionId, example: &str) -> Option<IssuedCredential> {
    if event.source != "sts.amazonaws.com" || !ISSUERS.contains(&event.name.as_str()) || event.response.is_empty() {
        return None;
    }
    let text = |json: &str, paths: &[&[&str]]| {
        let mut tape = Tape::default();
        tape.parse(json.as_bytes(), usize::MAX).ok()?;
        paths.iter().find_map(|path| {
            let value = path.iter().try_fold(tape.root(json), |value, key| value.get(key))?;
            value.text().map(|text| text.into_owned()).filter(|text| !text.is_empty())
        })
    };
    Some(IssuedCredential {
        access_key: text(&event.response, &[&["credentials", "accessKeyId"]])?,
        session_principal_id: text(
            &event.response,
            &[&["assumedRoleUser", "assumedRoleId"], &["federatedUser", "federatedUserId"]],
        )
        .unwrap_or_default(),
        role_arn: text(&event.request, &[&["roleArn"], &["targetPrincipal"]]).unwrap_or_default(),
        by,
        time: event.time,
        event_id: event.id.clone().unwrap_or_else(|| example.to_owned()),
    })
}

/// Adds the facts of `other` to `folds`. The result does not depend on the order of merging.
pub fn merge(folds: &mut Folds, other: Folds) {
    for (key, fact) in other.usage {
        folds.usage.entry(key).and_modify(|known| known.merge(&fact)).or_insert(fact);
    }
    for (key, fact) in other.shapes {
        match folds.shapes.entry(key) {
            std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().merge(&fact),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(fact);
            }
        }
    }
    for (id, identity) in other.sessions {
        folds.sessions.entry(id).or_insert(identity);
    }
    folds.issued.extend(other.issued);
    folds.trail_calls.extend(other.trail_calls);
    for (key, count) in other.coverage {
        *folds.coverage.entry(key).or_default() += count;
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
