//! Trust policies of roles that pipelines enter with a token of an OIDC provider, narrowed to the subjects that came.
//!
//! Only statements that let in one such provider are touched, and of them only the values that the subject may have; all
//! else of the policy stays as it is written. Sources: IAM User Guide, "Create a role for OpenID Connect federation"; "IAM
//! and AWS STS condition context keys" (`PROVIDER:sub`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::model::event::Identity;
use crate::model::time::{Timestamp, Window};
use crate::policy::{DocumentKind, PolicyDocument, Wild};
use crate::usage::fold::{ShapeFact, ShapeKey};
use crate::usage::sessions::Sessions;

use super::quota;
use super::subjects::{self, Kin};

/// The call by which one comes in.
pub const ENTERING: &str = "AssumeRoleWithWebIdentity";

/// Who came into a role with a token, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// ARN of the provider.
    pub provider: String,
    /// Subject of the tokens; none where the record does not tell.
    pub subject: Option<String>,
    /// Recorded calls.
    pub calls: u64,
    /// The first, within the window.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// Calls by which somebody came in through one door that are enough to tell who does.
const ENOUGH: u64 = 3;

/// Issuers that many organisations share, of which IAM takes no new trust policy that asks nothing of the subject: what it takes
/// no more it could not be given back. Source: IAM User Guide, "Identity-provider controls for shared OIDC providers".
const SHARED: [&str; 3] = ["token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io"];

/// Who came into which role, by its ARN.
pub type Entries = BTreeMap<String, Vec<Entry>>;

/// Whether a shape is an entry with a token, whatever became of it.
#[must_use]
pub fn is_entry(key: &ShapeKey) -> bool {
    key.name == ENTERING && key.source.starts_with("sts.")
}

/// The subject of the token by which somebody is known; none where the record does not tell it whole.
#[must_use]
pub fn subject_of(identity: &Identity) -> Option<&str> {
    let (name, id) = (identity.user_name.as_str(), identity.principal_id.as_str());
    (!name.is_empty() && (id.is_empty() || id.ends_with(&format!(":{name}")))).then_some(name)
}

/// Who came into which of some roles within a window. Of calls that are not kept apart any more every role counts that it may
/// have been.
#[must_use]
pub fn entries(
    roles: &BTreeSet<&str>,
    shapes: &BTreeMap<ShapeKey, ShapeFact>,
    sessions: &Sessions,
    window: Window,
) -> Entries {
    let mut out: BTreeMap<String, BTreeMap<(String, Option<String>), Entry>> = BTreeMap::new();
    let within = |fact: &ShapeFact| fact.last >= window.from && fact.first < window.to;
    for (key, fact) in shapes.iter().filter(|(key, fact)| is_entry(key) && key.outcome.supports_use() && within(fact)) {
        let Some((_, identity)) = sessions.get(key.session) else { continue };
        let (provider, subject) = (identity.provider.clone(), subject_of(identity).map(str::to_owned));
        for role in roles.iter().filter(|role| names(key, role)) {
            let own = out.entry((*role).to_owned()).or_default();
            let entry = own.entry((provider.clone(), subject.clone())).or_insert_with(|| Entry {
                provider: provider.clone(),
                subject: subject.clone(),
                calls: 0,
                first: fact.first.max(window.from),
                last: fact.last,
            });
            entry.calls += fact.count;
            entry.first = entry.first.min(fact.first.max(window.from));
            entry.last = entry.last.max(fact.last);
        }
    }
    out.into_iter().map(|(role, entries)| (role, entries.into_values().collect())).collect()
}

/// Whether a call is about a role, or may be.
#[must_use]
pub fn names(key: &ShapeKey, role: &str) -> bool {
    match (key.resources.as_slice(), key.inexact) {
        ([], _) => true,
        (all, true) => all.iter().any(|text| role.starts_with(text.trim_end_matches('*'))),
        (all, false) => all.iter().any(|text| text == role),
    }
}

/// A trust policy, narrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The document.
    pub(super) document: String,
    /// What it lets in, and why, one line each.
    pub(super) why: Vec<String>,
}

/// The issuer that a provider's ARN names: conditions are on its keys.
fn issuer(provider: &str) -> Option<&str> {
    provider.split_once(":oidc-provider/").map(|(_, issuer)| issuer).filter(|issuer| !issuer.is_empty())
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn statements(document: &Value) -> &[Value] {
    match field(document, "Statement") {
        Some(Value::Array(all)) => all,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

/// Values that the subject may have: those of one operator.
struct Allowed<'v> {
    like: bool,
    values: Vec<&'v str>,
}

impl Allowed<'_> {
    fn covers(&self, pattern: &str) -> bool {
        let parse = |text: &str| Wild::parse(text, true);
        self.values.iter().any(|value| match self.like {
            true => parse(value).covers(&parse(pattern)),
            false => *value == pattern && !pattern.contains(['*', '?']),
        })
    }
}

/// A statement that lets in whoever has a token of one provider, and what it asks of the subject.
struct Door<'v> {
    provider: &'v str,
    key: String,
    /// All of these have to hold.
    allowed: Vec<Allowed<'v>>,
}

impl<'v> Door<'v> {
    /// None where a statement is something else, or asks in a way that is not narrowed here.
    fn of(statement: &'v Value) -> Option<Self> {
        let says = |name: &str| field(statement, name);
        let only = |text: &str| text.eq_ignore_ascii_case("sts:AssumeRoleWithWebIdentity");
        let beside = ["sts:tagsession", "sts:setsourceidentity"];
        let actions = texts(says("Action")?)?;
        let entering = actions.iter().any(|text| only(text));
        let others = actions.iter().all(|text| only(text) || beside.contains(&text.to_ascii_lowercase().as_str()));
        let principal = says("Principal")?.as_object()?;
        let (kind, who) = principal.iter().next().filter(|_| principal.len() == 1)?;
        let [provider] = texts(who)?[..] else { return None };
        let key = format!("{}:sub", issuer(provider)?);
        if !says("Effect")?.as_str()?.eq_ignore_ascii_case("Allow") || !entering || !others || kind != "Federated" {
            return None;
        }
        let mut allowed = Vec::new();
        for (operator, keys) in says("Condition").and_then(Value::as_object).into_iter().flatten() {
            for (name, values) in keys.as_object()? {
                if !name.eq_ignore_ascii_case(&key) {
                    continue;
                }
                let values = texts(values)?;
                // A token has one subject, so that some value of it is that one.
                let lower = operator.to_ascii_lowercase();
                let operator = lower.strip_prefix("foranyvalue:").unwrap_or(&lower);
                let like = operator == "stringlike";
                // What is compared in another way, or with what only the request tells, stays as it is.
                if !like && operator != "stringequals" || values.iter().any(|v| v.contains("${")) {
                    return None;
                }
                allowed.push(Allowed { like, values });
            }
        }
        Some(Self { provider, key, allowed })
    }

    fn takes(&self, pattern: &str) -> bool {
        self.allowed.iter().all(|one| one.covers(pattern))
    }

    /// The patterns that let in again who came, with why; none where nobody came.
    fn patterns(&self, entries: &[Entry], late: Timestamp) -> Result<Vec<(String, String)>, String> {
        let issuer = issuer(self.provider).unwrap_or_default();
        let theirs = || entries.iter().filter(|entry| entry.provider == self.provider);
        let mut came = BTreeSet::new();
        for entry in theirs() {
            let subject = entry.subject.as_ref();
            came.insert(subject.ok_or("of one who came the records do not show the subject")?.clone());
        }
        subjects::are_names(&came)?;
        came.retain(|subject| self.takes(subject));
        let own = |subjects: &BTreeSet<String>| -> Vec<&Entry> {
            let is = |entry: &&Entry| entry.subject.as_ref().is_some_and(|text| subjects.contains(text));
            theirs().filter(is).collect()
        };
        let calls: u64 = own(&came).iter().map(|entry| entry.calls).sum();
        if came.is_empty() {
            return Ok(Vec::new());
        }
        if calls < ENOUGH {
            return Err(format!(
                "somebody came {calls} times within the window, and {ENOUGH} are needed to tell who does"
            ));
        }
        let told = |kin: &Kin, pattern: &str| {
            let own = own(&kin.subjects);
            let calls: u64 = own.iter().map(|entry| entry.calls).sum();
            let last = own.iter().map(|entry| entry.last).max();
            let last = last.map(|last| format!(", the last on {}", last.day())).unwrap_or_default();
            let margin = if kin.margin.is_empty() || pattern != kin.pattern {
                String::new()
            } else {
                format!(" ({})", kin.margin)
            };
            format!("{pattern} came {calls} times{last}{margin}")
        };
        let mut out: BTreeMap<String, String> = BTreeMap::new();
        for kin in subjects::kin(issuer, &came)? {
            let first = own(&kin.subjects).iter().map(|entry| entry.first).min();
            if let Some(first) = first.filter(|first| *first >= late) {
                return Err(format!("{} came for the first time on {}: others may follow", kin.pattern, first.day()));
            }
            if self.takes(&kin.pattern) {
                out.insert(kin.pattern.clone(), told(&kin, &kin.pattern));
                continue;
            }
            // Somebody has said how far it goes: so far it goes.
            let own = |value: &&&str| kin.subjects.iter().any(|subject| Wild::parse(value, true).matches(subject));
            let said: Vec<&str> = match self.allowed.as_slice() {
                [one] if one.like => one.values.iter().filter(own).copied().collect(),
                _ => kin.subjects.iter().map(String::as_str).collect(),
            };
            out.extend(said.into_iter().map(|pattern| (pattern.to_owned(), told(&kin, pattern))));
        }
        Ok(out.into_iter().collect())
    }

    /// Whether patterns leave out something of what is let in now.
    fn is_narrowed_by(&self, patterns: &[(String, String)]) -> bool {
        let new = Allowed { like: true, values: patterns.iter().map(|(pattern, _)| pattern.as_str()).collect() };
        // One operator alone says it all; of several, one that is covered is enough.
        !self.allowed.iter().any(|one| one.values.iter().all(|value| new.covers(value)))
    }

    /// The statement with these values of the subject in place of its own.
    fn with(&self, statement: &Value, patterns: &[(String, String)]) -> Value {
        let mut out = statement.clone();
        let Some(fields) = out.as_object_mut() else { return out };
        let name = fields.keys().find(|key| key.eq_ignore_ascii_case("Condition")).cloned();
        let name = name.unwrap_or_else(|| "Condition".to_owned());
        let condition = fields.entry(name).or_insert_with(|| Value::Object(Map::new()));
        let Some(condition) = condition.as_object_mut() else { return out };
        for keys in condition.values_mut().filter_map(Value::as_object_mut) {
            keys.retain(|key, _| !key.eq_ignore_ascii_case(&self.key));
        }
        condition.retain(|_, keys| keys.as_object().is_none_or(|keys| !keys.is_empty()));
        let like = patterns.iter().any(|(pattern, _)| pattern.contains(['*', '?']));
        let wanted = if like { "StringLike" } else { "StringEquals" };
        let operator = condition.keys().find(|key| key.eq_ignore_ascii_case(wanted)).cloned();
        let keys = condition.entry(operator.unwrap_or_else(|| wanted.to_owned()));
        let values: Vec<Value> = patterns.iter().map(|(pattern, _)| pattern.as_str().into()).collect();
        let values = if let [one] = values.as_slice() { one.clone() } else { Value::from(values) };
        if let Some(keys) = keys.or_insert_with(|| Value::Object(Map::new())).as_object_mut() {
            keys.insert(self.key.clone(), values);
        }
        out
    }
}

/// The OIDC providers that a trust policy lets in by statements that can be narrowed, by ARN.
#[must_use]
pub fn providers(trust: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(trust).unwrap_or_default();
    statements(&document).iter().filter_map(Door::of).map(|door| door.provider.to_owned()).collect()
}

/// Narrows a trust policy to who came, if none of them came for the first time after `late`; none where it lets in nobody
/// else already, or nobody came.
///
/// # Errors
/// Why nobody can tell whom to let in.
pub(super) fn bound(trust: &str, entries: &[Entry], late: Timestamp) -> Result<Option<Bound>, String> {
    if entries.iter().any(|entry| entry.provider.is_empty()) {
        return Err("of one who came the records do not show the provider".to_owned());
    }
    let mut document: Value =
        serde_json::from_str(trust).map_err(|error| format!("its trust policy cannot be read: {error}"))?;
    let (mut all, mut why, mut any) = (Vec::new(), BTreeSet::new(), false);
    for statement in statements(&document) {
        let Some(door) = Door::of(statement) else {
            all.push(statement.clone());
            continue;
        };
        let patterns = door.patterns(entries, late)?;
        // A door that nobody took may be for what is done once a year: it stays beside those that are known.
        if patterns.is_empty() || !door.is_narrowed_by(&patterns) {
            all.push(statement.clone());
            continue;
        }
        if door.allowed.is_empty() && issuer(door.provider).is_some_and(|issuer| SHARED.contains(&issuer)) {
            let own: Vec<String> = patterns.into_iter().map(|(pattern, _)| pattern).collect();
            return Err(format!(
                "it asks nothing of the subject, which IAM takes no more for {}: narrowed to {} it could not be given back; do it \
                 by hand",
                issuer(door.provider).unwrap_or_default(),
                own.join(", ")
            ));
        }
        any = true;
        all.push(door.with(statement, &patterns));
        why.extend(patterns.into_iter().map(|(_, why)| why));
    }
    if !any {
        return Ok(None);
    }
    let lone = matches!(field(&document, "Statement"), Some(Value::Object(_)));
    let slot = document.as_object_mut().and_then(|fields| {
        fields.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case("Statement")).map(|(_, value)| value)
    });
    if let Some(slot) = slot {
        *slot = if lone { all.into_iter().next().unwrap_or_default() } else { Value::Array(all) };
    }
    let document = document.to_string();
    if quota::size(&document) > quota::TRUST.max(quota::size(trust)) {
        return Err(format!("its trust policy would be longer than {} characters", quota::TRUST));
    }
    Ok(Some(Bound { document, why: why.into_iter().collect() }))
}

/// Whether a trust policy lets in nobody whom another one does not: it is the same but for subjects of tokens, of which it
/// takes fewer.
pub(super) fn is_within(new: &str, old: &str) -> bool {
    let read = |text: &str| {
        PolicyDocument::parse(text, DocumentKind::Trust).ok()?;
        serde_json::from_str::<Value>(text).ok()
    };
    let (text, Some((new, old))) = (new, read(new).zip(read(old))) else { return false };
    // What is written twice one reader takes as it stands first and another as it stands last.
    let again = new.to_string();
    if again != text {
        return false;
    }
    let bare = |document: &Value| {
        let fields = document.as_object().into_iter().flatten();
        let fields = fields.filter(|(key, _)| !key.eq_ignore_ascii_case("Statement"));
        fields.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<String, Value>>()
    };
    let (theirs, ours) = (statements(&old), statements(&new));
    let narrowed = |(new, old): (&Value, &Value)| {
        let (Some(one), Some(two)) = (Door::of(new), Door::of(old)) else { return false };
        let rest = |door: &Door<'_>, statement: &Value| without_subject(statement, &door.key);
        let fewer = two.allowed.iter().all(|old| {
            one.allowed.iter().any(|new| {
                new.values.iter().all(|value| match new.like {
                    true => old.covers(value),
                    false => old.covers(value) && (!value.contains(['*', '?']) || !old.like),
                })
            })
        });
        one.provider == two.provider && rest(&one, new) == rest(&two, old) && fewer
    };
    bare(&new) == bare(&old)
        && theirs.len() == ours.len()
        && ours.iter().zip(theirs).all(|pair| pair.0 == pair.1 || narrowed(pair))
}

/// A statement without what it asks of the subject.
fn without_subject(statement: &Value, key: &str) -> Value {
    let mut out = statement.clone();
    let Some(fields) = out.as_object_mut() else { return out };
    for (_, condition) in fields.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("Condition")) {
        let Some(condition) = condition.as_object_mut() else { continue };
        for keys in condition.values_mut().filter_map(Value::as_object_mut) {
            keys.retain(|name, _| !name.eq_ignore_ascii_case(key));
        }
        condition.retain(|_, keys| keys.as_object().is_none_or(|keys| !keys.is_empty()));
    }
    fields.retain(|name, value| {
        !name.eq_ignore_ascii_case("Condition") || value.as_object().is_none_or(|keys| !keys.is_empty())
    });
    out
}

/// What bears on an entry with a token: the statements without what they ask of the subject, where it is as they ask. None
/// where a statement asks in a way that is not read here.
pub(super) fn bearing(trust: &str, provider: &str, subject: &str) -> Option<BTreeSet<String>> {
    let document: Value = serde_json::from_str(trust).ok()?;
    let mut out = BTreeSet::new();
    for statement in statements(&document) {
        let Some(door) = Door::of(statement) else {
            out.insert(statement.to_string());
            continue;
        };
        if door.provider == provider && door.takes(subject) {
            out.insert(without_subject(statement, &door.key).to_string());
        }
    }
    Some(out)
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
