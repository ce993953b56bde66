//! The possible worlds of a case: what is not known may be anything.

use super::condition::{self, Operator, SetOperator};
use super::pattern::{self, Context, Piece};
use super::principal::{Kind, Named, named, possible_sessions};
use super::witness;
use super::{Broken, Request, World, address_of, boundary_hit, has_variables, list, parses, policy_of, texts};
use serde_json::Value;
use std::collections::BTreeSet;

/// One thing that may be so or so.
enum Choice {
    Key(String, Option<Vec<String>>),
    Partly(usize, bool),
    Broken(usize, Broken),
    Uncollected(bool),
    Session(Option<String>),
}

/// A condition on one key, in a policy of the case.
pub struct Use {
    /// The operator.
    pub op: Operator,
    /// The policy's values.
    pub values: Vec<String>,
    /// Do policy variables count there?
    pub variables: bool,
}

/// A pattern that has a variable, and the texts that it is held against.
struct Filled {
    policy: String,
    base: &'static str,
    targets: Vec<String>,
}

/// Calls `visit` for every world until it returns false.
pub(super) fn each(case: &Value, request: &Request, visit: &mut dyn FnMut(&World) -> bool) {
    let docs = documents(case);
    let sound: Vec<&Value> = docs.iter().map(|doc| policy_of(doc)).filter(|policy| parses(policy)).collect();
    let mut dimensions: Vec<Vec<Choice>> = Vec::new();
    for doc in &docs {
        if !parses(policy_of(doc)) {
            let at = address_of(doc);
            let choice = |broken| Choice::Broken(at, broken);
            dimensions.push(vec![choice(Broken::Nothing), choice(Broken::Allows), choice(Broken::Denies)]);
        }
    }
    let mut world = World {
        context: request.known.clone(),
        partly: Vec::new(),
        broken: Vec::new(),
        uncollected_grants: false,
        session: None,
    };
    for statement in sound.iter().flat_map(|policy| list(&policy["Statement"])) {
        let Some(element) = statement.get("NotPrincipal") else {
            continue;
        };
        let at = address_of(statement);
        if boundary_hit(statement, !case["permission_boundaries"].is_null(), &request.caller) {
            world.partly.push((at, true));
        } else if named(element, &request.caller) == Named::Partly {
            dimensions.push(vec![Choice::Partly(at, true), Choice::Partly(at, false)]);
        }
    }
    if uncollected(case, request) {
        dimensions.push(vec![Choice::Uncollected(false), Choice::Uncollected(true)]);
    }
    let named_sessions: BTreeSet<String> = statements(&sound)
        .iter()
        .filter_map(|(statement, _)| statement.get("Principal"))
        .flat_map(|element| possible_sessions(element, &request.caller))
        .collect();
    if !named_sessions.is_empty() {
        let sessions = std::iter::once(None).chain(named_sessions.into_iter().map(Some));
        dimensions.push(sessions.map(Choice::Session).collect());
    }
    for key in &request.unknown {
        if mentions(&sound, key) {
            dimensions.push(key_choices(key, &sound, request));
        }
    }
    walk(&dimensions, &mut world, visit);
}

fn walk(dimensions: &[Vec<Choice>], world: &mut World, visit: &mut dyn FnMut(&World) -> bool) -> bool {
    let Some((first, rest)) = dimensions.split_first() else {
        return visit(world);
    };
    for choice in first {
        match choice {
            Choice::Key(key, None) => drop(world.context.remove(key)),
            Choice::Key(key, Some(values)) => drop(world.context.insert(key.clone(), values.clone())),
            Choice::Session(arn) => world.session.clone_from(arn),
            Choice::Uncollected(grants) => world.uncollected_grants = *grants,
            Choice::Partly(at, applies) => {
                world.partly.retain(|(other, _)| other != at);
                world.partly.push((*at, *applies));
            }
            Choice::Broken(at, broken) => {
                world.broken.retain(|(other, _)| other != at);
                world.broken.push((*at, *broken));
            }
        }
        if !walk(rest, world, visit) {
            return false;
        }
    }
    true
}

/// Every policy document of the case, in all layers.
fn documents(case: &Value) -> Vec<&Value> {
    let mut out = Vec::new();
    let fields =
        ["identity_policies", "permission_boundaries", "resource_policy", "session_policy", "vpc_endpoint_policies"];
    for field in fields {
        out.extend(list(&case[field]));
    }
    // A management account has no organisation policies above it: what they say tells nothing.
    let above = |field: &str, account: &str| {
        if case["request"][account] == true { Vec::new() } else { list(&case[field]) }
    };
    let (scps, rcps) =
        (above("scps", "principal_account_is_management"), above("rcps", "resource_account_is_management"));
    for level in scps.into_iter().chain(rcps) {
        out.extend(list(&level["policies"]));
    }
    out
}

/// A resource policy that nobody collected matters unless the resource is an ordinary one of the caller's account.
fn uncollected(case: &Value, request: &Request) -> bool {
    case["resource_policy_unknown"] == true
        && case["resource_policy"].is_null()
        && (!request.same_account() || request.is_special() && request.caller.kind != Kind::Anonymous)
}

fn statements<'a>(policies: &[&'a Value]) -> Vec<(&'a Value, bool)> {
    policies
        .iter()
        .flat_map(|policy| list(&policy["Statement"]).into_iter().map(|s| (s, has_variables(policy))))
        .collect()
}

/// Every (operator, key, values, variables) of the policies.
fn conditions(policies: &[&Value]) -> Vec<(String, Use)> {
    let mut out = Vec::new();
    for (statement, variables) in statements(policies) {
        for (name, keys) in statement["Condition"].as_object().into_iter().flatten() {
            let op = condition::operator(name).unwrap();
            for (key, values) in keys.as_object().into_iter().flatten() {
                out.push((key.to_lowercase(), Use { op: op.clone(), values: texts(values), variables }));
            }
        }
    }
    out
}

fn takes_variables(base: &str) -> bool {
    base.starts_with("string") || base == "arnlike"
}

fn variables_of(policy: &str) -> BTreeSet<String> {
    pattern::pieces(policy, true)
        .into_iter()
        .filter_map(|piece| if let Piece::Variable(key, _) = piece { Some(key) } else { None })
        .collect()
}

/// Every pattern with a variable: in resources and in condition values.
fn filled(policies: &[&Value], request: &Request) -> Vec<Filled> {
    let mut out = Vec::new();
    let mut add = |policy: String, base, targets: Vec<String>| {
        if !variables_of(&policy).is_empty() {
            out.push(Filled { policy, base, targets });
        }
    };
    for (statement, variables) in statements(policies) {
        for field in ["Resource", "NotResource"] {
            for policy in texts(&statement[field]).into_iter().filter(|_| variables) {
                add(policy, "arnlike", vec![request.resource.clone()]);
            }
        }
    }
    for (key, used) in conditions(policies) {
        for policy in used.values.iter().filter(|_| used.variables && takes_variables(used.op.base)) {
            add(policy.clone(), used.op.base, request.known.get(&key).cloned().unwrap_or_default());
        }
    }
    out
}

fn mentions(policies: &[&Value], key: &str) -> bool {
    let in_condition = conditions(policies).iter().any(|(other, _)| other == key);
    let everything = policies.iter().map(|policy| policy.to_string()).collect::<String>();
    in_condition || variables_of(&everything).contains(key)
}

/// Global keys that may have several values: IAM User Guide, "AWS global condition context keys".
const SEVERAL: [&str; 7] = [
    "aws:calledvia",
    "aws:principalorgpaths",
    "aws:principalservicenameslist",
    "aws:resourceorgpaths",
    "aws:sourceorgpaths",
    "aws:tagkeys",
    "aws:vpceorgpaths",
];

/// Absent, or one of the values (sets of values for a multi-valued key) that stand for all there are.
fn key_choices(key: &str, policies: &[&Value], request: &Request) -> Vec<Choice> {
    let all = conditions(policies);
    let uses: Vec<&Use> = all.iter().filter(|(other, _)| other == key).map(|(_, used)| used).collect();
    let filled: Vec<Filled> =
        filled(policies, request).into_iter().filter(|f| variables_of(&f.policy).contains(key)).collect();
    let values = distinct(key, candidates(key, &uses, &filled, request), &uses, &filled, request);
    let mut choices: Vec<Option<Vec<String>>> = vec![None];
    choices.extend(values.iter().map(|value| Some(vec![value.clone()])));
    if SEVERAL.contains(&key) || uses.iter().any(|used| used.op.set != SetOperator::Plain) {
        choices.extend(sets(&values).into_iter().map(Some));
    }
    choices.into_iter().map(|values| Choice::Key(key.to_string(), values)).collect()
}

/// All pairs, and all triples and quadruples as long as they are few.
fn sets(values: &[String]) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    let mut last: Vec<Vec<usize>> = (0..values.len()).map(|i| vec![i]).collect();
    for size in 2..=4 {
        let mut next = Vec::new();
        for set in &last {
            for i in set.last().unwrap() + 1..values.len() {
                next.push([set.as_slice(), &[i]].concat());
            }
        }
        if size > 2 && next.len() > 6_000 {
            break;
        }
        out.extend(next.iter().map(|set: &Vec<usize>| set.iter().map(|i| values[*i].clone()).collect()));
        last = next;
    }
    out
}

/// The condition's policy value with the variables that are certain put in; `None` if it depends on unknown keys.
fn settled(policy: &str, used: &Use, request: &Request) -> bool {
    let counts = used.variables && takes_variables(used.op.base);
    !counts || variables_of(policy).iter().all(|key| !request.unknown.contains(key))
}

/// Values of a key that tell its conditions and variables apart in every possible way.
fn candidates(key: &str, uses: &[&Use], filled: &[Filled], request: &Request) -> Vec<String> {
    let mut out = vec![String::new(), "zq9".to_string(), "true".to_string(), "false".to_string()];
    let fitting = fitting(key, filled, request);
    let numbers = uses.iter().filter(|u| u.op.base.starts_with("numeric")).flat_map(|u| &u.values);
    out.extend(around(numbers.filter_map(|v| condition::decimal(v)).collect(), 1_000_000_000, &number_text));
    let times = uses.iter().filter(|u| u.op.base.starts_with("date")).flat_map(|u| &u.values);
    out.extend(around(times.filter_map(|v| condition::instant(v)).collect(), 1_000_000_000, &time_text));
    for value in uses.iter().flat_map(|u| &u.values) {
        out.push(value.clone());
        out.push(format!("{value}x"));
        out.push(format!("x{value}"));
        out.push(value.to_uppercase());
        out.push(value.replace(['*', '?'], "k"));
        out.extend(condition::block(value).into_iter().flat_map(addresses));
    }
    let mut patterns = Vec::new();
    for used in uses {
        for value in used.values.iter().filter(|value| settled(value, used, request)) {
            patterns.extend(witness::atoms(used.op.base, value, used.variables, &request.known));
        }
    }
    patterns.extend(fitting.iter().map(|value| witness::literal(value)));
    out.extend(fitting);
    out.extend(witness::texts(&patterns));
    for (other, used) in request.unknown.iter().filter(|other| *other != key).map(|other| (other, uses)) {
        for value in used.iter().flat_map(|u| &u.values).filter(|v| variables_of(v).contains(other)) {
            out.extend(["a", "zq9", ""].map(|fill| value.replace(&format!("${{{other}}}"), fill)));
        }
    }
    out
}

/// Parts of the targets that make a pattern with this variable match.
fn fitting(key: &str, filled: &[Filled], request: &Request) -> Vec<String> {
    let mut out = BTreeSet::new();
    for f in filled {
        let alone = variables_of(&f.policy).iter().all(|other| other == key || !request.unknown.contains(other));
        for target in &f.targets {
            for part in parts(target) {
                let mut context: Context = request.known.clone();
                context.insert(key.to_string(), vec![part.clone()]);
                if !alone || condition::compare(f.base, &f.policy, target, true, &context) {
                    out.insert(part);
                }
            }
        }
    }
    out.into_iter().collect()
}

/// Every piece of a text; of an ARN, pieces of each of its parts.
fn parts(target: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::from([target.to_string()]);
    for part in target.splitn(6, ':') {
        let chars: Vec<char> = part.chars().collect();
        for start in 0..=chars.len() {
            for end in start..=chars.len() {
                out.insert(chars[start..end].iter().collect());
            }
        }
    }
    out
}

/// Each constant, a little less, a little more, and the middles between neighbours.
fn around(mut constants: Vec<i128>, step: i128, write: &dyn Fn(i128) -> String) -> Vec<String> {
    constants.sort_unstable();
    constants.dedup();
    let mut out: Vec<i128> = constants.iter().flat_map(|c| [c - step, *c, c + step]).collect();
    out.extend(constants.windows(2).map(|pair| (pair[0] + pair[1]) / 2));
    out.into_iter().map(write).collect()
}

fn number_text(scaled: i128) -> String {
    let sign = if scaled < 0 { "-" } else { "" };
    let size = scaled.abs();
    format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000)
}

/// A time as ISO 8601 in UTC.
fn time_text(nanos: i128) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let (mut days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    let length = |year: i128| {
        if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 }
    };
    while days < 0 {
        year -= 1;
        days += length(year);
    }
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let mut month = 1;
    let february = length(year) - 337;
    for size in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < size {
            break;
        }
        days -= size;
        month += 1;
    }
    let (hour, minute, rest) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = nanos.rem_euclid(1_000_000_000);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{rest:02}.{fraction:09}Z", days + 1)
}

/// The first and last address of a block and their outer neighbours.
fn addresses((network, length, width): (u128, u32, u32)) -> Vec<String> {
    let host = width - length;
    let last = if host == 128 { u128::MAX } else { network | ((1 << host) - 1) };
    let highest = if width == 128 { u128::MAX } else { (1 << width) - 1 };
    let mut out = vec![network, last];
    out.extend(network.checked_sub(1));
    out.extend(last.checked_add(1).filter(|next| *next <= highest));
    out.into_iter().map(|number| address_text(number, width)).collect()
}

fn address_text(number: u128, width: u32) -> String {
    match width {
        32 => std::net::Ipv4Addr::from(number as u32).to_string(),
        _ => std::net::Ipv6Addr::from(number).to_string(),
    }
}

/// Of values that no condition and no variable tells apart, only the first.
fn distinct(key: &str, values: Vec<String>, uses: &[&Use], filled: &[Filled], request: &Request) -> Vec<String> {
    let tangled = uses.iter().any(|u| u.values.iter().any(|v| !settled(v, u, request)))
        || filled.iter().any(|f| {
            f.targets.is_empty() || variables_of(&f.policy).iter().any(|k| k != key && request.unknown.contains(k))
        });
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for value in values {
        let mut mark: Vec<bool> = Vec::new();
        for used in uses.iter().filter(|u| u.op.base != "null") {
            let compare = |p: &String| condition::compare(used.op.base, p, &value, used.variables, &request.known);
            mark.extend(used.values.iter().map(compare));
        }
        let mut context = request.known.clone();
        context.insert(key.to_string(), vec![value.clone()]);
        for f in filled {
            mark.extend(f.targets.iter().map(|t| condition::compare(f.base, &f.policy, t, true, &context)));
        }
        let text = if tangled { value.clone() } else { String::new() };
        if seen.insert((mark, text)) {
            out.push(value);
        }
    }
    out
}
