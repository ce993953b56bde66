//! Condition values and conditions.
//!
//! Lines: the operator as a policy names it; values of the policy, separated by `|`; values of the request, separated
//! by `|`, or `?` for not known, or nothing for absent; then `key=value` for other keys, `?` for not known.
#![no_main]

use std::net::IpAddr;

use jitscan_fuzz::check;
use jitscan_fuzz::decide::Truth;
use jitscan_fuzz::decide::condition::{CompiledCondition, Test, all};
use jitscan_fuzz::decide::context::{Context, Slot};
use jitscan_fuzz::decide::value::{Network, date, number};
use jitscan_fuzz::oracle;
use jitscan_fuzz::policy::{Condition, Operator, Qualifier, Wild};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "aws:Key/x";

/// Operators and those that hold exactly where they do not.
const OPPOSITES: [(Operator, Operator); 8] = [
    (Operator::StringEquals, Operator::StringNotEquals),
    (Operator::StringEqualsIgnoreCase, Operator::StringNotEqualsIgnoreCase),
    (Operator::StringLike, Operator::StringNotLike),
    (Operator::ArnEquals, Operator::ArnNotEquals),
    (Operator::ArnLike, Operator::ArnNotLike),
    (Operator::NumericEquals, Operator::NumericNotEquals),
    (Operator::DateEquals, Operator::DateNotEquals),
    (Operator::IpAddress, Operator::NotIpAddress),
];

/// Of ordered values exactly one of the two holds, where both can be read.
const ORDERS: [(Operator, Operator); 4] = [
    (Operator::NumericLessThan, Operator::NumericGreaterThanEquals),
    (Operator::NumericLessThanEquals, Operator::NumericGreaterThan),
    (Operator::DateLessThan, Operator::DateGreaterThanEquals),
    (Operator::DateLessThanEquals, Operator::DateGreaterThan),
];

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let name = lines.next().unwrap_or("");
    let want: Vec<String> = lines.next().unwrap_or("").split('|').map(str::to_owned).collect();
    let found = slot(lines.next().unwrap_or(""));
    let mut context = Context::default();
    for (key, value) in lines.filter_map(|line| line.split_once('=')) {
        context.set(key, slot(value));
    }
    context.set(KEY, found.clone());
    for text in want.iter().chain(if let Slot::Known(values) = &found { values.as_slice() } else { &[] }) {
        values(text);
    }
    let (operator, qualifier, if_exists) = operator(name);
    let make = |operator| Condition { operator, qualifier, if_exists, key: KEY.to_owned(), values: want.clone() };
    for variables in [true, false] {
        let compiled = |operator| CompiledCondition::new(make(operator), variables);
        let condition = compiled(operator);
        let _ = (condition.variables(), condition.source.to_string());
        let truth = condition.decide(&context);
        check!("complete", !context.is_complete() || truth != Truth::Unknown, "{} on {context:?}", condition.source);
        check!("all", all(&[condition.clone(), condition.clone()], &context) == truth, "{}", condition.source);
        refine(&condition, truth, &context, &want, &found);
        let Slot::Known(values) = &found else { continue };
        if let [one] = values.as_slice() {
            for (positive, negated) in OPPOSITES {
                let (yes, no) = (compiled(positive).decide(&context), compiled(negated).decide(&context));
                check!("opposites", yes == no.negate(), "{}: {yes:?}, {no:?} on {one:?}", make(positive));
            }
            orders(&want, one, &context, &make);
            simple(&condition, &want, one, truth, variables);
        }
        several(&condition, values, &context, truth);
    }
});

fn slot(text: &str) -> Slot {
    match text {
        "" => Slot::Absent,
        "?" => Slot::Unknown,
        text => Slot::Known(text.split('|').map(str::to_owned).collect()),
    }
}

fn operator(name: &str) -> (Operator, Qualifier, bool) {
    let (qualifier, rest) = match name.split_once(':') {
        Some(("ForAllValues", rest)) => (Qualifier::ForAllValues, rest),
        Some(("ForAnyValue", rest)) => (Qualifier::ForAnyValue, rest),
        _ => (Qualifier::None, name),
    };
    let (rest, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |rest| (rest, true));
    let number = rest.bytes().fold(0usize, |sum, byte| sum + usize::from(byte)) % Operator::ALL.len();
    let found = Operator::ALL.iter().copied().find(|operator| operator.as_str() == rest);
    (found.unwrap_or(Operator::ALL[number]), qualifier, if_exists)
}

fn values(text: &str) {
    if let Some(number) = number(text)
        && number.is_finite()
    {
        let again = jitscan_fuzz::decide::value::number(&number.to_string());
        check!("number-print", again == Some(number), "{text:?} is {number}, and that {again:?}");
    }
    check!("number-nan", number(text).is_none_or(|number| !number.is_nan()), "{text:?}");
    if let Some(nanos) = date(text)
        && let Ok(instant) = jiff::Timestamp::from_nanosecond(nanos)
    {
        let printed = instant.to_string();
        check!("date-print", date(&printed) == Some(nanos), "{text:?} is {printed}, and that {:?}", date(&printed));
    }
    if let Some(network) = Network::parse(text) {
        let edges = network.edges();
        let inside: Vec<bool> = edges.iter().map(|edge| network.contains(*edge)).collect();
        check!("edges", inside.iter().filter(|inside| **inside).count() == 2, "{text:?}: {edges:?} {inside:?}");
        check!("edges-far", edges.len() >= 2 && edges.len() <= 4, "{text:?}: {edges:?}");
        let address = text.trim().split('/').next().unwrap_or("");
        let own = address.parse::<IpAddr>();
        check!("holds-itself", own.is_ok_and(|own| network.contains(own)), "{text:?}");
    }
}

/// What is decided without a value holds for every value.
fn refine(condition: &CompiledCondition, truth: Truth, context: &Context, want: &[String], found: &Slot) {
    if truth == Truth::Unknown {
        return;
    }
    let mut unknown = vec![KEY.to_owned()];
    unknown.extend(condition.variables().into_iter().map(|(key, _)| key.to_owned()));
    let candidates = ["", "a", "1", "true", "10.0.0.1", "2026-01-01", "arn:aws:s3:::b", "\u{e9}"];
    for key in unknown {
        if *context.find(&key) != Slot::Unknown {
            continue;
        }
        let values = candidates.iter().copied().chain(want.iter().map(String::as_str));
        for slot in values.map(Slot::one).chain([Slot::Absent]) {
            let mut world = context.clone();
            world.set(&key, slot.clone());
            let there = condition.decide(&world);
            let source = &condition.source;
            check!("refine", there == truth, "{source} is {truth:?} on {found:?}, but {there:?} with {key} {slot:?}");
        }
    }
}

fn orders(want: &[String], one: &str, context: &Context, make: &impl Fn(Operator) -> Condition) {
    let [want] = want else { return };
    for (less, more) in ORDERS {
        let numeric = matches!(less, Operator::NumericLessThan | Operator::NumericLessThanEquals);
        let read = |text: &str| if numeric { number(text).is_some() } else { date(text).is_some() };
        let both = read(want) && read(one);
        let hold = [less, more].map(|operator| CompiledCondition::new(make(operator), true).decide(context).is_true());
        check!(
            "orders",
            hold.into_iter().filter(|holds| *holds).count() == usize::from(both),
            "{} on {one:?}",
            make(less)
        );
    }
}

/// Texts by their definition.
fn simple(condition: &CompiledCondition, want: &[String], one: &str, truth: Truth, variables: bool) {
    let plain = |text: &String| !variables || !Wild::parse(text, true).has_variables() && !text.contains("${");
    if !want.iter().all(plain) {
        return;
    }
    let lower = |text: &str| text.to_lowercase();
    let hit = match condition.source.operator {
        Operator::StringEquals | Operator::StringNotEquals => want.iter().any(|want| want == one),
        Operator::StringEqualsIgnoreCase | Operator::StringNotEqualsIgnoreCase => {
            want.iter().any(|want| lower(want) == lower(one))
        }
        Operator::BinaryEquals => want.iter().any(|want| want == one),
        Operator::StringLike | Operator::StringNotLike => {
            want.iter().any(|want| oracle::matches(&oracle::plain(want), one))
        }
        Operator::Bool => {
            let known = ["true", "false"].iter().any(|text| one.eq_ignore_ascii_case(text));
            known && want.iter().any(|want| want.eq_ignore_ascii_case(one))
        }
        Operator::Null => want.iter().any(|want| want.eq_ignore_ascii_case("false")),
        _ => return,
    };
    check!("definition", truth == Truth::from(hit != condition.negated), "{} on {one:?}: {truth:?}", condition.source);
}

/// Several values are taken one by one.
fn several(condition: &CompiledCondition, values: &[String], context: &Context, truth: Truth) {
    if matches!(condition.test, Test::Null(_)) || values.len() > 16 {
        return;
    }
    let each: Vec<Truth> = values
        .iter()
        .map(|value| {
            let mut world = context.clone();
            world.set(KEY, Slot::one(value.as_str()));
            condition.decide(&world)
        })
        .collect();
    // A variable that names the key itself reads differently.
    if condition.variables().iter().any(|(key, _)| key.eq_ignore_ascii_case(KEY)) {
        return;
    }
    let conjunction = match condition.source.qualifier {
        Qualifier::ForAllValues => true,
        Qualifier::ForAnyValue => false,
        Qualifier::None => condition.negated,
    };
    let want = if conjunction {
        each.iter().copied().fold(Truth::True, Truth::and)
    } else {
        each.iter().copied().fold(Truth::False, Truth::or)
    };
    check!("several", truth == want, "{} on {values:?}: {truth:?}, one by one {each:?}", condition.source);
}
