//! What IAM lets a policy and its holder hold, and documents cut so that they fit.
//!
//! Source: "IAM and AWS STS quotas", IAM User Guide: sizes count characters that are not white space.

use serde_json::{Map, Value};

/// Longest managed policy.
pub const MANAGED: usize = 6_144;
/// Most inline policy of a user, all of them together.
pub const USER_INLINE: usize = 2_048;
/// Most inline policy of a role, all of them together.
pub const ROLE_INLINE: usize = 10_240;
/// Most managed policies attached to a user or role.
pub const ATTACHED: usize = 10;
/// Longest trust policy, in characters without white space: the default.
pub const TRUST: usize = 2_048;

/// How long a document counts.
#[must_use]
pub fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// Documents that together say the same, none longer than `limit`: statements are spread over them in their order, and a
/// statement that alone is too long is cut at its list of actions. None where that does not do: a statement of one
/// action, say, with too many resources.
#[must_use]
pub fn split(document: &str, limit: usize) -> Option<Vec<String>> {
    if size(document) <= limit {
        return Some(vec![document.to_owned()]);
    }
    let value: Value = serde_json::from_str(document).ok()?;
    let fields = value.as_object()?;
    let of = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let written = match of("Statement")? {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let with = |statements: &[Value]| {
        let mut out = Map::new();
        if let Some(version) = of("Version") {
            out.insert("Version".to_owned(), version.clone());
        }
        out.insert("Statement".to_owned(), Value::Array(statements.to_vec()));
        Value::Object(out).to_string()
    };
    let empty = size(&with(&[]));
    let mut todo: Vec<Value> = written.into_iter().rev().collect();
    let (mut out, mut open): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut taken = empty;
    while let Some(statement) = todo.pop() {
        let own = size(&statement.to_string());
        if empty + own > limit {
            let (one, two) = halves(&statement)?;
            todo.extend([two, one]);
            continue;
        }
        let comma = usize::from(!open.is_empty());
        if taken + comma + own > limit {
            out.push(with(&open));
            open.clear();
            taken = empty;
        }
        taken += usize::from(!open.is_empty()) + own;
        open.push(statement);
    }
    if !open.is_empty() {
        out.push(with(&open));
    }
    Some(out)
}

/// A statement as two, each with half of its actions. `NotAction` cannot be cut: two statements with half of it each
/// would be about everything.
fn halves(statement: &Value) -> Option<(Value, Value)> {
    let fields = statement.as_object()?;
    let (name, actions) = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case("Action"))?;
    let actions = actions.as_array().filter(|actions| actions.len() > 1)?;
    let (first, second) = actions.split_at(actions.len() / 2);
    let with = |actions: &[Value], second: bool| {
        let mut out = fields.clone();
        out.insert(name.clone(), Value::Array(actions.to_vec()));
        // Statement ids are unique in a document.
        if second {
            out.retain(|key, _| !key.eq_ignore_ascii_case("Sid"));
        }
        Value::Object(out)
    };
    Some((with(first, false), with(second, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(document: &str) -> Vec<String> {
        let value: Value = serde_json::from_str(document).unwrap();
        let statements = value["Statement"].as_array().unwrap().clone();
        let of = |one: &Value| match &one["Action"] {
            Value::Array(all) => all.iter().map(|a| a.as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            one => vec![one.as_str().unwrap().to_owned()],
        };
        statements.iter().flat_map(of).collect()
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_the_same() {
        let many: Vec<String> = (0..40).map(|n| format!("\"s3:Action{n:02}\"")).collect();
        let many = many.join(", ");
        let document = format!(
            "{{\"Version\": \"2012-10-17\", \"Statement\": [\n {{\"Sid\": \"A\", \"Effect\": \"Allow\", \"Action\": [{many}], \
             \"Resource\": \"*\"}},\n {{\"Effect\": \"Deny\", \"Action\": \"iam:*\", \"Resource\": \"*\"}}]}}"
        );
        assert_eq!(split(&document, MANAGED), Some(vec![document.clone()]));
        let parts = split(&document, 300).unwrap();
        assert!(parts.len() > 1 && parts.iter().all(|part| size(part) <= 300), "{parts:?}");
        let all: Vec<String> = parts.iter().flat_map(|part| actions(part)).collect();
        assert_eq!(all, actions(&document));
        assert!(parts.iter().all(|part| part.contains("\"2012-10-17\"")));
        assert_eq!(parts.iter().filter(|part| part.contains("\"A\"")).count(), 1);
    }

    #[test]
    fn what_cannot_be_cut_is_not_cut() {
        let long = "x".repeat(400);
        let one = format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"s3:Get","Resource":"{long}"}}]}}"#);
        assert_eq!(split(&one, 300), None);
        let not = format!(r#"{{"Statement":[{{"Effect":"Allow","NotAction":["a:{long}","b:c"],"Resource":"*"}}]}}"#);
        assert_eq!(split(&not, 300), None);
    }
}
