//! Policy documents as JSON again, from what the parser keeps of them.

use serde_json::{Map, Value, json};

use crate::policy::{
    ActionMatch, Condition, Effect, PolicyDocument, PrincipalElement, PrincipalPattern, Qualifier, ResourceMatch,
    Statement, Version,
};

/// The name of a condition's operator with its qualifier and suffix.
#[must_use]
pub fn operator(condition: &Condition) -> String {
    let qualifier = match condition.qualifier {
        Qualifier::None => "",
        Qualifier::ForAllValues => "ForAllValues:",
        Qualifier::ForAnyValue => "ForAnyValue:",
    };
    format!("{qualifier}{}{}", condition.operator.as_str(), if condition.if_exists { "IfExists" } else { "" })
}

fn principals(patterns: &[PrincipalPattern]) -> Value {
    let mut kinds: Map<String, Value> = Map::new();
    for pattern in patterns {
        let kind = match pattern {
            PrincipalPattern::Everyone
            | PrincipalPattern::Account(_)
            | PrincipalPattern::Arn(_)
            | PrincipalPattern::UniqueId(_) => "AWS",
            PrincipalPattern::Service(_) => "Service",
            PrincipalPattern::Federated(_) => "Federated",
            PrincipalPattern::CanonicalUser(_) => "CanonicalUser",
        };
        let list = kinds.entry(kind).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(pattern.to_string().into());
        }
    }
    Value::Object(kinds)
}

fn statement(statement: &Statement) -> Value {
    let mut out = Map::new();
    if let Some(sid) = &statement.sid {
        out.insert("Sid".into(), sid.as_str().into());
    }
    out.insert("Effect".into(), if statement.effect == Effect::Allow { "Allow" } else { "Deny" }.into());
    match &statement.principal {
        None => {}
        Some(PrincipalElement::Principal(patterns)) => {
            out.insert("Principal".into(), principals(patterns));
        }
        Some(PrincipalElement::NotPrincipal(patterns)) => {
            out.insert("NotPrincipal".into(), principals(patterns));
        }
    }
    let name = if matches!(statement.actions, ActionMatch::Action(_)) { "Action" } else { "NotAction" };
    let actions: Vec<&str> = statement.actions.patterns().iter().map(|pattern| pattern.as_str()).collect();
    out.insert(name.into(), json!(actions));
    match &statement.resources {
        ResourceMatch::Implied => {}
        ResourceMatch::Resource(patterns) => {
            out.insert("Resource".into(), patterns.iter().map(ToString::to_string).collect());
        }
        ResourceMatch::NotResource(patterns) => {
            out.insert("NotResource".into(), patterns.iter().map(ToString::to_string).collect());
        }
    }
    let mut conditions: Map<String, Value> = Map::new();
    for condition in &statement.conditions {
        let keys = conditions.entry(operator(condition)).or_insert_with(|| json!({}));
        keys[condition.key.as_str()] = json!(condition.values);
    }
    if !conditions.is_empty() {
        out.insert("Condition".into(), Value::Object(conditions));
    }
    Value::Object(out)
}

/// The document as JSON.
#[must_use]
pub fn document(document: &PolicyDocument) -> String {
    let mut out = Map::new();
    out.insert("Version".into(), if document.version == Version::V2012 { "2012-10-17" } else { "2008-10-17" }.into());
    if let Some(id) = &document.id {
        out.insert("Id".into(), id.as_str().into());
    }
    out.insert("Statement".into(), document.statements.iter().map(statement).collect());
    Value::Object(out).to_string()
}
