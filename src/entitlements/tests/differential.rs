//! The set algebra against a slow evaluator that knows nothing of it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::{ACCOUNT, attachment, document, holder, managed, organization, resolve_one, role_of, snapshot};
use crate::catalog::Catalog;
use crate::model::snapshot::ManagedPolicy;

// The slow evaluator: one request at a time, on the text of the documents, with its own matcher.

fn slow_glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => slow_glob(rest, text) || (!text.is_empty() && slow_glob(pattern, &text[1..])),
        (Some((b'?', rest)), Some((_, more))) => slow_glob(rest, more),
        (Some((p, rest)), Some((t, more))) => p == t && slow_glob(rest, more),
        _ => false,
    }
}

fn slow_matches(statement: &serde_json::Value, action: &str, resource: &str, tag: &str) -> bool {
    let any = |element: &str, hit: &dyn Fn(&str) -> bool| -> Option<bool> {
        statement.get(element).map(|list| list.as_array().unwrap().iter().any(|one| hit(one.as_str().unwrap())))
    };
    let lower = action.to_lowercase();
    let by_action = |pattern: &str| slow_glob(pattern.to_lowercase().as_bytes(), lower.as_bytes());
    let by_resource = |pattern: &str| slow_glob(pattern.as_bytes(), resource.as_bytes());
    let action = any("Action", &by_action).or_else(|| any("NotAction", &by_action).map(|hit| !hit)).unwrap();
    let place = any("Resource", &by_resource).or_else(|| any("NotResource", &by_resource).map(|hit| !hit)).unwrap();
    let condition = statement.get("Condition").is_none_or(|c| c["StringEquals"]["aws:PrincipalTag/t"] == tag);
    action && place && condition
}

/// Allowed by every layer that must allow, denied by none.
fn slow_allowed(identity: &str, boundary: Option<&str>, levels: &[String], request: (&str, &str, &str)) -> bool {
    let (action, resource, tag) = request;
    let votes = |text: &str| {
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let hit = |effect: &str| {
            let statements = document["Statement"].as_array().unwrap();
            statements.iter().any(|s| s["Effect"] == effect && slow_matches(s, action, resource, tag))
        };
        hit("Allow") && !hit("Deny")
    };
    votes(identity) && boundary.is_none_or(votes) && levels.iter().all(|level| votes(level))
}

const ACTIONS: [&str; 6] =
    ["s3:GetObject", "s3:PutObject", "sqs:SendMessage", "sqs:ReceiveMessage", "sns:Publish", "sqs:DeleteMessage"];

/// Resources of the small world, by service.
fn resources_of(action: &str) -> [&'static str; 4] {
    match action.split_once(':').unwrap().0 {
        "s3" => ["arn:aws:s3:::a/1", "arn:aws:s3:::a/2", "arn:aws:s3:::b/1", "arn:aws:s3:::c/3"],
        "sqs" => ["arn:aws:sqs:r:1:a", "arn:aws:sqs:r:1:ab", "arn:aws:sqs:r:1:b", "arn:aws:sqs:r:1:c"],
        _ => ["arn:aws:sns:r:1:a", "arn:aws:sns:r:1:ab", "arn:aws:sns:r:1:b", "arn:aws:sns:r:1:c"],
    }
}

fn some_actions() -> impl Strategy<Value = String> {
    let pattern = prop::sample::select(vec![
        "*",
        "s3:*",
        "sqs:*",
        "S3:get*",
        "sqs:*Message",
        "sns:Publish",
        "s3:?utObject",
        "sqs:SendMessage",
        "sqs:Receive*",
    ]);
    (prop::bool::weighted(0.25), prop::collection::vec(pattern, 1..3))
        .prop_map(|(not, list)| format!("{}{}", if not { "!" } else { "" }, list.join(" ")))
}

fn some_resources() -> impl Strategy<Value = String> {
    let pattern = prop::sample::select(vec![
        "*",
        "*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::a/1",
        "arn:aws:s3:::?/1",
        "arn:aws:sqs:*:*:a*",
        "arn:aws:sqs:r:1:b",
        "arn:aws:sns:*:1:*",
        "arn:aws:*:r:1:a",
    ]);
    (prop::bool::weighted(0.2), prop::collection::vec(pattern, 1..3))
        .prop_map(|(not, list)| format!("{}{}", if not { "!" } else { "" }, list.join(" ")))
}

fn some_policy(denies: f64) -> impl Strategy<Value = String> {
    let condition = prop::option::weighted(0.25, prop::sample::select(vec!["x", "y"]));
    let statement = (prop::bool::weighted(denies), some_actions(), some_resources(), condition);
    prop::collection::vec(statement, 1..5).prop_map(|statements| {
        let texts: Vec<String> = statements
            .into_iter()
            .map(|(deny, actions, resources, condition)| {
                let effect = if deny { "Deny" } else { "Allow" };
                let condition = condition.map_or(String::new(), |value| format!(" | {value}"));
                format!("{effect} | {actions} | {resources}{condition}")
            })
            .collect();
        document(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

/// Whether a request is surely outside of what a limit leaves, or surely inside.
fn inside(scope: &Scope, resource: &str, tag: &str) -> bool {
    scope.resources.may_match(resource) && scope.conditions.iter().all(|c| c.values.iter().any(|v| v == tag))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_algebra_agrees_with_one_request_at_a_time(
        identity in some_policy(0.3),
        boundary in prop::option::of(some_policy(0.2)),
        levels in prop::collection::vec(some_policy(0.3), 0..3),
    ) {
        let catalog = Catalog::get();
        let mut holder = holder("role", "/", "r", &[("p", identity.clone())]);
        let mut policies = Vec::new();
        if let Some(text) = &boundary {
            holder.boundary = Some(attachment("b").arn);
            policies.push(ManagedPolicy { json: text.clone(), ..managed("b", &[]) });
        }
        let mut snapshot = snapshot(Vec::new(), vec![role_of(holder)], Vec::new(), policies);
        let full = document(&["Allow | * | *"]);
        let level = |at: usize| levels.get(at).unwrap_or(&full).clone();
        snapshot.organization = Some(organization(
            &[("p-0", &["r-1"], level(0)), ("p-1", &["ou-1"], level(1)), ("p-2", &[ACCOUNT], full.clone())],
            "999999999999",
        ));
        let (principal, defects) = resolve_one(&snapshot);
        prop_assert_eq!(defects, []);
        for action in ACTIONS {
            let id = catalog.find(action).unwrap();
            let mut anywhere = false;
            for resource in resources_of(action) {
                for tag in ["x", "y", "z"] {
                    let allowed = slow_allowed(&identity, boundary.as_deref(), &levels, (action, resource, tag));
                    anywhere |= allowed;
                    // The entitlements with their limits decide every request as the slow evaluator does.
                    let told = principal.granting(id).any(|entitlement| {
                        let limits = |kind: LimitKind| {
                            entitlement.limits.iter().filter(move |l| l.kind == kind && l.actions.contains(id))
                        };
                        let denied = limits(LimitKind::Denied)
                            .chain(limits(LimitKind::DeniedIf))
                            .any(|limit| inside(&limit.scope, resource, tag));
                        let mut by_cap: BTreeMap<(Layer, &str), bool> = BTreeMap::new();
                        for limit in limits(LimitKind::OnlyWithin) {
                            let key = (limit.provenance.layer, limit.provenance.via.as_str());
                            *by_cap.entry(key).or_default() |= inside(&limit.scope, resource, tag);
                        }
                        inside(&entitlement.scope, resource, tag) && !denied && by_cap.values().all(|within| *within)
                    });
                    prop_assert_eq!(told, allowed, "{} on {} with {}\n{}", action, resource, tag, identity);
                }
            }
            // Nothing that some request is allowed to do may be missing from the granted set.
            prop_assert!(!anywhere || principal.granted.contains(id), "{}", action);
        }
    }
}
