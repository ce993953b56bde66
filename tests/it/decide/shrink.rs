//! Makes a failing case small.

use serde_json::Value;

/// Removes policies, statements, conditions, keys and list members as long as `still_fails` holds.
pub fn shrink(case: &Value, still_fails: &dyn Fn(&Value) -> bool) -> Value {
    let mut best = case.clone();
    loop {
        let smaller = paths(&best).into_iter().flat_map(|path| removals(&best, &path)).find(|c| still_fails(c));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// A step into a JSON value.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// Paths to everything that can be removed, big things first.
fn paths(case: &Value) -> Vec<Vec<Step>> {
    let mut out = Vec::new();
    collect(case, &mut Vec::new(), &mut out);
    out.sort_by_key(Vec::len);
    out
}

fn collect(value: &Value, here: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    let steps: Vec<(Step, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(k, v)| (Step::Key(k.clone()), v)).collect(),
        Value::Array(values) => values.iter().enumerate().map(|(i, v)| (Step::Index(i), v)).collect(),
        _ => return,
    };
    for (step, inner) in steps {
        here.push(step);
        if !is_needed(here) {
            out.push(here.clone());
        }
        collect(inner, here, out);
        here.pop();
    }
}

/// Things without which a case is no case.
fn is_needed(path: &[Step]) -> bool {
    let Some(Step::Key(last)) = path.last() else {
        return false;
    };
    let needed =
        ["id", "request", "principal", "action", "resource", "Effect", "Statement", "type", "name", "policies"];
    match path {
        [Step::Key(_)] => needed[..2].contains(&last.as_str()),
        [Step::Key(first), Step::Key(_)] if first == "request" => needed[2..5].contains(&last.as_str()),
        [Step::Key(first), Step::Key(second), ..] if first == "request" && second == "principal" => true,
        [Step::Key(first), ..] if first == "request" => false,
        _ => {
            let in_policy = ["Effect", "Statement", "Action", "NotAction", "Principal", "NotPrincipal"];
            in_policy.contains(&last.as_str()) || needed[8..].contains(&last.as_str()) || last == "org_identifier"
        }
    }
}

/// The case without the thing, and with a one-member list replaced by its member.
fn removals(case: &Value, path: &[Step]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut without = case.clone();
    let (last, parents) = path.split_last().unwrap();
    let parent = walk(&mut without, parents);
    let removed = match (parent, last) {
        (Value::Object(map), Step::Key(key)) => map.remove(key).is_some(),
        (Value::Array(values), Step::Index(index)) if values.len() > 1 || may_be_empty(parents) => {
            values.remove(*index);
            true
        }
        _ => false,
    };
    if removed {
        out.push(without);
    }
    out
}

/// Lists in which "empty" has a meaning of its own; lists inside statements keep one member.
fn may_be_empty(path: &[Step]) -> bool {
    let inside = path.iter().any(|step| matches!(step, Step::Key(key) if key == "Statement"));
    let last = path.last();
    !inside || matches!(last, Some(Step::Key(key)) if key == "Statement")
}

fn walk<'a>(value: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Index(index) => &mut value[*index],
    })
}
