//! What is decided although keys are not known holds whatever they are: cases whose unknown keys are given values.
#![no_main]

use jitscan_fuzz::catalog::Catalog;
use jitscan_fuzz::check;
use jitscan_fuzz::decide::case::Case;
use jitscan_fuzz::decide::compile::Compiler;
use jitscan_fuzz::decide::context::Slot;
use jitscan_fuzz::decide::exempt::is_multivalued;
use jitscan_fuzz::decide::value::{date, number};
use jitscan_fuzz::decide::{Answer, Decide};
use jitscan_fuzz::mutate::Random;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

/// Unknown keys of a case that is tried; with more, a single decision takes long.
const MAX_KEYS: usize = 3;
/// Worlds that are tried for a case.
const TRIES: usize = 48;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    jitscan_fuzz::mutate::json(data, size, max_size, seed)
});

fuzz_target!(|text: &str| {
    let Ok(tree) = serde_json::from_str::<Value>(text) else { return };
    let unknown: Vec<&str> = tree["request"]["unknown_context"]
        .as_array()
        .map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect());
    if unknown.is_empty() || unknown.len() > MAX_KEYS {
        return;
    }
    let compiler = Compiler::new(Catalog::get());
    let Ok(case) = Case::parse(text, &compiler) else { return };
    let answer = case.policies.decide(&case.request);
    if answer == Answer::Undecided {
        return;
    }
    let mut random = Random::of(text.as_bytes());
    let mut texts = Vec::new();
    leaves(&tree, &mut texts);
    let texts = candidates(&texts, &mut random);
    for _ in 0..TRIES {
        let mut world = case.request.clone();
        let mut said = Vec::new();
        for key in &unknown {
            let mut one = || texts[random.below(texts.len())].clone();
            let values = [one(), one()];
            let slot = match random.below(8) {
                0 => Slot::Absent,
                1 if is_multivalued(&key.to_ascii_lowercase()) => Slot::Known(values.to_vec()),
                _ => Slot::one(values[0].clone()),
            };
            world.context.set(key, slot.clone());
            said.push((*key, slot));
        }
        let there = case.policies.decide(&world);
        let fits = match answer {
            Answer::Allowed => there == Answer::Allowed,
            Answer::ExplicitlyDenied => there == Answer::ExplicitlyDenied,
            _ => matches!(there, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied),
        };
        check!("worlds", fits, "{answer:?} whatever {unknown:?} are, but {there:?} with {said:?}");
    }
});

fn leaves(tree: &Value, out: &mut Vec<String>) {
    match tree {
        Value::Array(list) => list.iter().for_each(|one| leaves(one, out)),
        Value::Object(fields) => fields.values().for_each(|one| leaves(one, out)),
        Value::String(text) => out.push(text.clone()),
        Value::Number(number) => out.push(number.to_string()),
        _ => {}
    }
}

/// Texts of the case, and texts near to them that its policies may tell apart.
fn candidates(texts: &[String], random: &mut Random) -> Vec<String> {
    const NANOS: i128 = 1_000_000_000;
    let mut out: Vec<String> =
        ["", "x", "true", "false", "TRUE", "0", "10.1.2.3", "11.0.0.0", "::1", "2026-06-01T00:00:00Z", "arn:a:b:c:d:e"]
            .map(str::to_owned)
            .into();
    let numbers: Vec<f64> = texts.iter().filter_map(|text| number(text)).filter(|number| number.is_finite()).collect();
    for text in texts.iter().filter(|text| text.len() <= 200) {
        out.push(text.clone());
        out.push(text.replace('*', "").replace('?', "x"));
        out.push(text.replace('*', "zz").replace('?', "é"));
        out.push(text.to_uppercase());
        // Some letters in the other case.
        let mixed = |c: char| if random.below(2) == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        out.push(text.chars().map(mixed).collect());
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let (a, b) = (ends[random.below(ends.len())], ends[random.below(ends.len())]);
        out.push(text[a.min(b)..a.max(b)].to_owned());
        if let Some(number) = number(text) {
            out.extend([number - 0.25, number + 0.25, number * 2.0, -number].map(|near| near.to_string()));
            out.extend(numbers.iter().map(|other| f64::midpoint(number, *other).to_string()));
        }
        if let Some(nanos) = date(text) {
            let near =
                [nanos - NANOS / 4, nanos + NANOS / 4, nanos - 400 * 86_400 * NANOS, nanos + 400 * 86_400 * NANOS];
            out.extend(near.iter().filter_map(|at| Some(jiff::Timestamp::from_nanosecond(*at).ok()?.to_string())));
        }
    }
    out
}
