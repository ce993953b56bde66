//! Policies that allow less: the same statements with fewer actions. Conditions, resources and Deny statements stay as
//! they are written, and wildcards are only ever narrowed: whatever the new document allows, the old one allowed.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::catalog::{ActionId, ActionSet, Catalog, compare_ignoring_case};

use super::compile::compile;
use super::statement::{ActionMatch, Effect};
use super::wild::Wild;
use super::{DocumentKind, PolicyDocument, PolicyError};

/// An identity policy, narrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The document, without white space between its elements; the text as it was where nothing changed, and none where
    /// no statement is left.
    pub json: Option<String>,
    /// Whether it differs.
    pub changed: bool,
    /// Actions that its Allow statements name in the catalogue, before and after.
    pub before: u64,
    /// See `before`.
    pub after: u64,
    /// Actions which the catalogue does not know were allowed (by `*`, say) and are no longer, or only where a wildcard
    /// that is left names them.
    pub closed: bool,
}

/// Narrows the Allow statements of an identity policy to `keep`. Patterns that match nothing in the catalogue stay: nobody
/// can say that they are not needed.
///
/// # Errors
/// Where the text is no identity policy.
pub fn narrow(text: &str, keep: &ActionSet, catalog: &Catalog) -> Result<Narrowed, PolicyError> {
    let document = PolicyDocument::parse(text, DocumentKind::Identity)?;
    let mut out = Narrowed { json: Some(text.to_owned()), changed: false, before: 0, after: 0, closed: false };
    let mut value: Value = serde_json::from_str(text)
        .map_err(|error| PolicyError { path: String::new(), reason: format!("expected JSON: {error}") })?;
    let Some(slot) = element(&mut value, "Statement") else { return Ok(out) };
    let written = match slot.take() {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut statements = Vec::with_capacity(written.len());
    let (mut before, mut after) = (catalog.no_actions(), catalog.no_actions());
    for (mut written, parsed) in written.into_iter().zip(&document.statements) {
        if parsed.effect == Effect::Deny {
            statements.push(written);
            continue;
        }
        let compiled = compile(&parsed.actions, catalog);
        let mut kept = (*compiled.set).clone();
        before.union_with(&kept);
        kept.intersect_with(keep);
        after.union_with(&kept);
        if kept == *compiled.set {
            statements.push(written);
            continue;
        }
        out.changed = true;
        out.closed |= compiled.open;
        let mut names = match &parsed.actions {
            ActionMatch::Action(patterns) => {
                short(&kept, &Bounds::of(patterns.iter().map(|pattern| pattern.as_str())), catalog)
            }
            ActionMatch::NotAction(patterns) => {
                short(&kept, &Bounds::but(patterns.iter().map(|pattern| pattern.as_str())), catalog)
            }
        };
        if matches!(parsed.actions, ActionMatch::Action(_)) {
            names.extend(compiled.unmatched.iter().cloned());
        }
        if let (false, Some(fields)) = (names.is_empty(), written.as_object_mut()) {
            set_actions(fields, names);
            statements.push(written);
        }
    }
    (out.before, out.after) = (before.len() as u64, after.len() as u64);
    if !out.changed {
        return Ok(out);
    }
    let any = !statements.is_empty();
    *slot = Value::Array(statements);
    out.json = any.then(|| value.to_string());
    Ok(out)
}

/// An element of a document, whose names may have any case.
pub(super) fn element<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    let fields = value.as_object_mut()?;
    fields.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Puts the names where the statement's `Action` or `NotAction` stands.
pub(super) fn set_actions(fields: &mut Map<String, Value>, names: Vec<String>) {
    let is_action = |key: &str| key.eq_ignore_ascii_case("Action") || key.eq_ignore_ascii_case("NotAction");
    let names = match <[String; 1]>::try_from(names) {
        Ok([one]) => Value::String(one),
        Err(many) => Value::Array(many.into_iter().map(Value::String).collect()),
    };
    let old = std::mem::take(fields);
    for (key, value) in old {
        if is_action(&key) {
            fields.insert("Action".to_owned(), names.clone());
        } else {
            fields.insert(key, value);
        }
    }
}

/// What a new pattern must stay within.
pub(super) struct Bounds {
    /// Some of these has to cover it.
    allowed: Vec<Wild>,
    /// None of these may overlap with it.
    excluded: Vec<Wild>,
}

impl Bounds {
    /// What these allow. Plain names are left out: none of them covers a new pattern, which ends with a star.
    pub(super) fn of<'p>(allowed: impl Iterator<Item = &'p str>) -> Self {
        Self { allowed: allowed.map(lower).filter(|old| !old.is_literal()).collect(), excluded: Vec::new() }
    }

    /// All but these.
    fn but<'p>(excluded: impl Iterator<Item = &'p str>) -> Self {
        Self { allowed: vec![Wild::any()], excluded: excluded.map(lower).collect() }
    }

    /// Whether everything that a pattern with a star at its end may match, also what the catalogue does not know, was
    /// allowed.
    fn hold(&self, pattern: &str) -> bool {
        // Most statements name actions one by one.
        if self.allowed.is_empty() {
            return false;
        }
        let new = lower(pattern);
        self.allowed.iter().any(|old| old.covers(&new)) && !self.excluded.iter().any(|old| old.overlaps(&new))
    }
}

/// A pattern over names of actions, in which case does not matter.
fn lower(text: &str) -> Wild {
    Wild::parse(&text.to_ascii_lowercase(), false)
}

/// Patterns that name exactly the actions: a wildcard stands for all actions of a service, or for all whose names begin
/// with the same words, where every one of them is meant.
pub(super) fn short(kept: &ActionSet, bounds: &Bounds, catalog: &Catalog) -> Vec<String> {
    let mut out = Vec::new();
    for (prefix, range) in catalog.service_ranges() {
        of_service(prefix, range, kept, bounds, catalog, &mut out);
    }
    out
}

fn of_service(
    prefix: &str,
    range: Range<u32>,
    kept: &ActionSet,
    bounds: &Bounds,
    catalog: &Catalog,
    out: &mut Vec<String>,
) {
    if kept.count_range(range.clone()) == 0 {
        return;
    }
    let names: Vec<(&str, bool)> =
        range.map(ActionId).filter_map(|id| Some((catalog.action(id)?.name(), kept.contains(id)))).collect();
    Service { prefix, names: &names, bounds }.cover("", &names, out);
}

/// Patterns that name exactly what is kept of a service, where all of it was allowed.
#[must_use]
pub fn patterns_of(service: &str, kept: &ActionSet, catalog: &Catalog) -> Vec<String> {
    let all = format!("{service}:*");
    let bounds = Bounds::of([all.as_str()].into_iter());
    let mut out = Vec::new();
    if let Some(range) = catalog.service(service) {
        of_service(service, range, kept, &bounds, catalog, &mut out);
    }
    out
}

/// The actions of a service, each with whether it is kept; sorted as in the catalogue, by their lower-case form.
struct Service<'a> {
    prefix: &'a str,
    names: &'a [(&'a str, bool)],
    bounds: &'a Bounds,
}

impl Service<'_> {
    /// The pattern for all names that begin so, where every one of them is kept and was allowed. `some`: names that do.
    fn all(&self, start: &str, some: &[(&str, bool)]) -> Option<String> {
        if !some.iter().all(|(_, kept)| *kept) {
            return None;
        }
        // Sorted without regard to case, as patterns match: those that begin so stand together.
        let head = |name: &str| compare_ignoring_case(name.get(..start.len()).unwrap_or(name), start);
        let from = self.names.partition_point(|(name, _)| head(name).is_lt());
        let begin = self.names.get(from..).unwrap_or_default().iter().take_while(|(name, _)| head(name).is_eq());
        if !begin.into_iter().all(|(_, kept)| *kept) {
            return None;
        }
        let pattern = format!("{}:{start}*", self.prefix);
        self.bounds.hold(&pattern).then_some(pattern)
    }

    /// Patterns for those of some names that are kept; all of them begin with `start`.
    fn cover(&self, start: &str, names: &[(&str, bool)], out: &mut Vec<String>) {
        if names.iter().all(|(_, kept)| !kept) {
            return;
        }
        if let [(name, true)] = names {
            out.push(format!("{}:{name}", self.prefix));
            return;
        }
        if let Some(pattern) = self.all(start, names) {
            out.push(pattern);
            return;
        }
        let mut groups: Vec<(&str, Vec<(&str, bool)>)> = Vec::new();
        for (name, kept) in names {
            let word = with_next_word(name, start.len());
            // Mostly the last one.
            match groups.iter_mut().rev().find(|(known, _)| *known == word) {
                Some((_, group)) => group.push((name, *kept)),
                None => groups.push((word, vec![(name, *kept)])),
            }
        }
        for (word, group) in &groups {
            // The name that ends with its first words stands beside those that go on.
            let (whole, longer): (Vec<_>, Vec<_>) = group.iter().copied().partition(|(name, _)| name == word);
            if let Some(pattern) = (group.len() > 1).then(|| self.all(word, group)).flatten() {
                out.push(pattern);
                continue;
            }
            out.extend(whole.iter().filter(|(_, kept)| *kept).map(|(name, _)| format!("{}:{name}", self.prefix)));
            if !longer.is_empty() {
                self.cover(word, &longer, out);
            }
        }
    }
}

/// The name up to the end of the word that begins at `from`: words begin with a capital letter that follows a small one.
fn with_next_word(name: &str, from: usize) -> &str {
    let bytes = name.as_bytes();
    let starts = |at: &usize| {
        let small = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii_uppercase());
        bytes.get(*at).is_some_and(u8::is_ascii_uppercase) && small(bytes.get(at.wrapping_sub(1)))
    };
    let end = (from + 1..bytes.len()).find(starts).unwrap_or(bytes.len());
    name.get(..end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(patterns: &[&str]) -> ActionSet {
        let catalog = Catalog::get();
        let mut set = catalog.no_actions();
        patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
        set
    }

    fn narrowed(text: &str, keep: &[&str]) -> Narrowed {
        narrow(text, &set(keep), Catalog::get()).unwrap()
    }

    #[test]
    fn statements_lose_actions_and_nothing_else() {
        let text = r#"{"Version":"2012-10-17","Statement":[
            {"Sid":"A","Effect":"Allow","Action":["s3:*","nosuch:Thing"],"Resource":"arn:aws:s3:::b/*",
             "Condition":{"Bool":{"aws:SecureTransport":"true"}}},
            {"Effect":"Allow","Action":"iam:*","Resource":"*"},
            {"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}"#;
        let one = narrowed(text, &["s3:GetObject", "s3:PutObject"]);
        assert_eq!(
            one.json.as_deref(),
            Some(concat!(
                r#"{"Version":"2012-10-17","Statement":["#,
                r#"{"Sid":"A","Effect":"Allow","Action":["s3:GetObject","s3:PutObject","nosuch:Thing"],"#,
                r#""Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},"#,
                r#"{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}"#
            ))
        );
        assert!(one.changed && !one.closed && one.after == 2 && one.before > 200, "{one:?}");
        // Nothing to take away: not a byte changes.
        let same = narrowed(text, &["*"]);
        assert_eq!((same.json.as_deref(), same.changed), (Some(text), false));
        // A lone statement, elements of any case, nothing left.
        let lone = r#"{"statement":{"effect":"Allow","notaction":["iam:*"],"resource":"*"}}"#;
        let some = narrowed(lone, &["sqs:*", "iam:*"]);
        assert_eq!(some.json.as_deref(), Some(r#"{"statement":[{"effect":"Allow","Action":"sqs:*","resource":"*"}]}"#));
        assert!(some.closed);
        assert_eq!(narrowed(lone, &["iam:*"]).json, None);
        assert!(narrow("{}", &set(&["*"]), Catalog::get()).is_err());
    }

    #[test]
    fn wildcards_are_only_narrowed() {
        let with = |element: &str, keep: &[&str]| {
            let text = format!(r#"{{"Statement":[{{"Effect":"Allow",{element},"Resource":"*"}}]}}"#);
            let value: Value = serde_json::from_str(&narrowed(&text, keep).json.unwrap()).unwrap();
            value["Statement"][0]["Action"].to_string().replace('"', "")
        };
        for (element, keep, want) in [
            (r#""Action":"*""#, &["sqs:*"][..], "sqs:*"),
            (r#""Action":"sqs:*""#, &["sqs:Get*", "sqs:SendMessage"], "[sqs:Get*,sqs:SendMessage]"),
            // All of them are kept, but nobody allowed whatever else begins so.
            (
                r#""Action":["sqs:GetQueueUrl","sqs:GetQueueAttributes","s3:*"]"#,
                &["sqs:*"],
                "[sqs:GetQueueAttributes,sqs:GetQueueUrl]",
            ),
            (r#""NotAction":["sqs:Nothing*"]"#, &["sqs:Get*", "sqs:ListQueues"], "[sqs:Get*,sqs:ListQueues]"),
            (r#""NotAction":["sqs:GetNothing"]"#, &["sqs:Get*"], "sqs:GetQueue*"),
            (r#""NotAction":["sqs:GetQueueX"]"#, &["sqs:Get*"], "[sqs:GetQueueAttributes,sqs:GetQueueUrl]"),
        ] {
            assert_eq!(with(element, keep), want, "{element} {keep:?}");
        }
    }

    #[test]
    fn words() {
        for (name, from, want) in
            [("GetObject", 0, "Get"), ("GetObject", 3, "GetObject"), ("DescribeDBInstances", 8, "DescribeDBInstances")]
        {
            assert_eq!(with_next_word(name, from), want);
        }
    }

    /// Actions of a few services, by pattern.
    fn patterns() -> impl Strategy<Value = Vec<&'static str>> {
        let some = vec![
            "s3:*",
            "s3:Get*",
            "s3:*Object*",
            "s3:PutObject",
            "sqs:*",
            "sqs:?et*",
            "iam:Pass*",
            "iam:*",
            "ec2:Describe*",
            "*",
            "kms:D*",
            "sts:AssumeRole",
            "*:List*",
            "nosuch:*",
        ];
        prop::collection::vec(prop::sample::select(some), 1..4)
    }

    /// Any actions at all: about so many of a hundred, chosen by their number.
    fn any_actions(seed: u64, percent: u64) -> ActionSet {
        let catalog = Catalog::get();
        let mut set = catalog.no_actions();
        for action in catalog.actions() {
            let mixed = (u64::from(action.id().0) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            if mixed % 100 < percent {
                set.insert(action.id());
            }
        }
        set
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
        #[test]
        fn whatever_is_kept_is_what_is_named(seed: u64, percent in 1u64..100) {
            let (catalog, keep) = (Catalog::get(), any_actions(seed, percent));
            let text = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
            let after = narrow(text, &keep, catalog).unwrap().json.unwrap();
            let document = PolicyDocument::parse(&after, DocumentKind::Identity).unwrap();
            prop_assert!(*compile(&document.statements[0].actions, catalog).set == keep);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn what_is_left_is_what_was_and_is_kept(of in patterns(), not: bool, keep in patterns()) {
            let catalog = Catalog::get();
            let element = if not { "NotAction" } else { "Action" };
            let list = serde_json::to_string(&of).unwrap();
            let text = format!(r#"{{"Statement":[{{"Effect":"Allow","{element}":{list},"Resource":"*"}}]}}"#);
            let keep = set(&keep);
            let allowed = |text: &str| {
                let document = PolicyDocument::parse(text, DocumentKind::Identity).unwrap();
                (*compile(&document.statements[0].actions, catalog).set).clone()
            };
            let mut want = allowed(&text);
            want.intersect_with(&keep);
            match narrow(&text, &keep, catalog).unwrap().json {
                Some(after) => {
                    prop_assert!(allowed(&after) == want, "{after}");
                    // Also of what the catalogue does not know: every new pattern lies within an old one.
                    if !not && after != text {
                        let document = PolicyDocument::parse(&after, DocumentKind::Identity).unwrap();
                        for new in document.statements[0].actions.patterns() {
                            let parse = |text: &str| Wild::parse(&text.to_ascii_lowercase(), false);
                            prop_assert!(of.iter().any(|old| parse(old).covers(&parse(new.as_str()))), "{}", new.as_str());
                        }
                    }
                }
                None => prop_assert!(want.is_empty()),
            }
        }
    }
}
