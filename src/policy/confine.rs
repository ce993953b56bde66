//! Policies that allow some actions on fewer resources: their statements are cut in two, and the part with these actions
//! names the resources. Conditions and Deny stay as they are written; whatever the new document allows, the old one allowed.

use serde_json::{Map, Value};

use crate::catalog::{ActionSet, Catalog};

use super::compile::compile;
use super::narrow::{Bounds, element, set_actions, short};
use super::statement::{ActionMatch, Effect};
use super::{ArnPattern, DocumentKind, PolicyDocument, PolicyError};

/// Actions that are to be allowed on some resources alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The actions.
    pub actions: ActionSet,
    /// Patterns over ARNs, without variables.
    pub resources: Vec<String>,
}

/// Confines the Allow statements of an identity policy; none where nothing changes.
///
/// # Errors
/// Where the text is no identity policy.
pub fn confine(text: &str, to: &[Confinement], catalog: &Catalog) -> Result<Option<String>, PolicyError> {
    let document = PolicyDocument::parse(text, DocumentKind::Identity)?;
    let mut value: Value = serde_json::from_str(text)
        .map_err(|error| PolicyError { path: String::new(), reason: format!("expected JSON: {error}") })?;
    let Some(slot) = element(&mut value, "Statement") else { return Ok(None) };
    let written = match slot.take() {
        Value::Array(list) => list,
        one => vec![one],
    };
    let (mut out, mut changed) = (Vec::with_capacity(written.len()), false);
    for (written, parsed) in written.into_iter().zip(&document.statements) {
        let parts = match (&parsed.effect, &parsed.actions) {
            (Effect::Allow, ActionMatch::Action(patterns)) => {
                let patterns: Vec<&str> = patterns.iter().map(|pattern| pattern.as_str()).collect();
                parts(&written, &parsed.actions, patterns, to, catalog)
            }
            _ => None,
        };
        match parts {
            Some(parts) => {
                changed = true;
                out.extend(parts);
            }
            None => out.push(written),
        }
    }
    // A document without statements is none; what is used is allowed by one of them.
    if !changed || out.is_empty() {
        return Ok(None);
    }
    *slot = Value::Array(out);
    Ok(Some(value.to_string()))
}

/// The statements that take the place of one; none where it stays.
fn parts(
    written: &Value,
    actions: &ActionMatch,
    allowed: Vec<&str>,
    to: &[Confinement],
    catalog: &Catalog,
) -> Option<Vec<Value>> {
    let fields = written.as_object()?;
    let old = match fields.iter().find(|(key, _)| key.eq_ignore_ascii_case("Resource"))?.1 {
        Value::String(one) => vec![one.as_str()],
        Value::Array(all) => all.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let compiled = compile(actions, catalog);
    // Whatever is called in future is not for anybody to name.
    if compiled.open {
        return None;
    }
    let bounds = Bounds::of(allowed.into_iter());
    let mut rest = (*compiled.set).clone();
    let mut out = Vec::new();
    let mut any = false;
    for one in to {
        let mut some = one.actions.clone();
        some.intersect_with(&rest);
        let Some(new) = both(&old, &one.resources).filter(|_| !some.is_empty()) else { continue };
        any = true;
        rest.subtract(&some);
        if !new.is_empty() {
            out.push(with(fields, short(&some, &bounds, catalog), Some(new), false));
        }
    }
    if !any {
        return None;
    }
    let mut names = short(&rest, &bounds, catalog);
    names.extend(compiled.unmatched.iter().cloned());
    let alone = out.len() == 1 && names.is_empty();
    if alone {
        restore_id(fields, &mut out);
    }
    if !names.is_empty() {
        out.insert(0, with(fields, names, None, true));
    }
    Some(out)
}

/// The statement that is left alone keeps its name.
fn restore_id(fields: &Map<String, Value>, out: &mut [Value]) {
    let id = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case("Sid"));
    if let (Some((key, id)), Some(Value::Object(only))) = (id, out.first_mut()) {
        let rest = std::mem::take(only);
        only.insert(key.clone(), id.clone());
        only.extend(rest);
    }
}

/// A statement with other actions, and other resources.
fn with(fields: &Map<String, Value>, names: Vec<String>, resources: Option<Vec<String>>, id: bool) -> Value {
    let mut out = fields.clone();
    // Names of statements are unique within a document.
    out.retain(|key, _| id || !key.eq_ignore_ascii_case("Sid"));
    set_actions(&mut out, names);
    if let (Some(resources), Some((_, slot))) =
        (resources, out.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case("Resource")))
    {
        *slot = match <[String; 1]>::try_from(resources) {
            Ok([one]) => Value::String(one),
            Err(many) => Value::Array(many.into_iter().map(Value::String).collect()),
        };
    }
    Value::Object(out)
}

/// The resources that are meant by both; none where that is all that the old ones mean. Of patterns of which neither lies in
/// the other the old one stays.
fn both(old: &[&str], new: &[String]) -> Option<Vec<String>> {
    let parse = |text: &str| ArnPattern::parse(text, true);
    let mut out: Vec<String> = Vec::new();
    for text in old {
        let was = parse(text);
        for one in new {
            let is = parse(one);
            let kept = if was.covers(&is) {
                one.as_str()
            } else if is.overlaps(&was) {
                text
            } else {
                continue;
            };
            if !out.iter().any(|known| known == kept) {
                out.push(kept.to_owned());
            }
        }
    }
    let all = old.iter().all(|text| out.iter().any(|one| parse(one).covers(&parse(text))));
    (!all).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(patterns: &[&str]) -> ActionSet {
        let catalog = Catalog::get();
        let mut set = catalog.no_actions();
        patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
        set
    }

    fn confined(statements: &Value, to: &[(&[&str], &[&str])]) -> Option<Value> {
        let to: Vec<Confinement> = to
            .iter()
            .map(|(actions, resources)| Confinement {
                actions: set(actions),
                resources: resources.iter().map(|one| (*one).to_owned()).collect(),
            })
            .collect();
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let found = confine(&text, &to, Catalog::get()).unwrap()?;
        Some(serde_json::from_str::<Value>(&found).unwrap()["Statement"].clone())
    }

    #[test]
    fn actions_get_resources_of_their_own_and_the_rest_stays() {
        let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders";
        let to: &[(&[&str], &[&str])] = &[(&["dynamodb:GetItem", "dynamodb:PutItem"], &[table])];
        let condition = json!({"Bool": {"aws:SecureTransport": "true"}});
        for (statement, want) in [
            (
                json!({"Sid": "A", "Effect": "Allow", "Action": ["dynamodb:GetItem", "sqs:SendMessage", "nosuch:Thing"],
                       "Resource": "*", "Condition": condition}),
                Some(json!([
                    {"Sid": "A", "Effect": "Allow", "Action": ["sqs:SendMessage", "nosuch:Thing"], "Resource": "*",
                     "Condition": condition},
                    {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table, "Condition": condition},
                ])),
            ),
            (
                json!({"Sid": "A", "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": ["arn:aws:dynamodb:*:*:table/*"]}),
                Some(json!([{"Sid": "A", "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table}])),
            ),
            // On those resources it is used by another statement.
            (
                json!({"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Scan"],
                       "Resource": "arn:aws:dynamodb:*:*:table/other"}),
                Some(
                    json!([{"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": "arn:aws:dynamodb:*:*:table/other"}]),
                ),
            ),
            // What may be the same is left.
            (
                json!({"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": ["arn:aws:dynamodb:*:*:table/${aws:username}"]}),
                None,
            ),
            (json!({"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table}), None),
            (json!({"Effect": "Allow", "Action": "*", "Resource": "*"}), None),
            (json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), None),
            (
                json!({"Effect": "Allow", "Action": "dynamodb:GetItem", "NotResource": "arn:aws:dynamodb:*:*:table/x"}),
                None,
            ),
            (json!({"Effect": "Deny", "Action": "dynamodb:GetItem", "Resource": "*"}), None),
        ] {
            assert_eq!(confined(&json!([statement]), to), want, "{statement}");
        }
    }

    fn some<T: Clone + std::fmt::Debug + 'static>(
        of: &[T],
        sizes: std::ops::Range<usize>,
    ) -> impl Strategy<Value = Vec<T>> + use<T> {
        prop::collection::vec(prop::sample::select(of.to_vec()), sizes)
    }

    const ACTIONS: [&str; 6] = [
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Scan",
        "sqs:SendMessage",
        "sqs:ReceiveMessage",
        "iam:PassRole",
    ];
    const RESOURCES: [&str; 5] = [
        "arn:aws:dynamodb:eu-west-1:111122223333:table/a",
        "arn:aws:dynamodb:eu-west-1:111122223333:table/ab",
        "arn:aws:dynamodb:us-east-1:111122223333:table/a/index/i",
        "arn:aws:sqs:eu-west-1:111122223333:a",
        "arn:aws:iam::111122223333:role/a",
    ];
    const PATTERNS: [&str; 7] = [
        "*",
        "arn:aws:dynamodb:*:*:table/a*",
        "arn:aws:dynamodb:eu-west-1:111122223333:table/a",
        "arn:aws:dynamodb:*:*:table/*/index/*",
        "arn:aws:sqs:*:*:?",
        "arn:aws:iam::*:role/*",
        "arn:aws:dynamodb:*:*:table/${aws:username}",
    ];

    fn statement() -> impl Strategy<Value = Value> {
        let actions = ["dynamodb:*", "dynamodb:Get*", "sqs:*", "*:*", "nosuch:Thing"].into_iter().chain(ACTIONS);
        let actions: Vec<&str> = actions.collect();
        (prop::bool::weighted(0.8), some(&actions, 1..4), some(&PATTERNS, 1..4), any::<bool>()).prop_map(
            |(allow, actions, resources, named)| {
                let mut out =
                    json!({"Effect": if allow { "Allow" } else { "Deny" }, "Action": actions, "Resource": resources});
                if named {
                    out["Sid"] = "A".into();
                }
                out
            },
        )
    }

    /// Whether a document's statements allow, or deny, an action on a resource.
    fn says(text: &str, action: &str, resource: &str, what: Effect) -> bool {
        let id = Catalog::get().find(action).unwrap();
        let document = PolicyDocument::parse(text, DocumentKind::Identity).unwrap();
        document.statements.iter().any(|one| {
            one.effect == what
                && compile(&one.actions, Catalog::get()).set.contains(id)
                && one.resources.may_match(resource)
        })
    }

    proptest! {
        /// Nothing is allowed that was not; what is confined is allowed where it was and where it is used, and anything else
        /// as before.
        #[test]
        fn only_what_is_confined_loses_and_only_elsewhere(
            statements in prop::collection::vec(statement(), 1..4),
            actions in some(&ACTIONS, 1..4),
            resources in some(&RESOURCES, 1..3),
        ) {
            let mut statements = statements;
            // Names are unique within a document.
            statements.iter_mut().skip(1).for_each(|one| drop(one.as_object_mut().unwrap().remove("Sid")));
            let old = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
            let to = [Confinement { actions: set(&actions), resources: resources.iter().map(|one| (*one).to_owned()).collect() }];
            let Some(new) = confine(&old, &to, Catalog::get()).unwrap() else { return Ok(()) };
            prop_assert_ne!(&new, &old);
            for action in ACTIONS {
                for resource in RESOURCES {
                    let (was, is) = (says(&old, action, resource, Effect::Allow), says(&new, action, resource, Effect::Allow));
                    prop_assert!(was || !is, "{} on {} was not allowed: {}", action, resource, new);
                    if !actions.contains(&action) || resources.contains(&resource) {
                        prop_assert_eq!(was, is, "{} on {}: {}", action, resource, new);
                    }
                    prop_assert_eq!(says(&old, action, resource, Effect::Deny), says(&new, action, resource, Effect::Deny));
                }
            }
        }
    }
}
