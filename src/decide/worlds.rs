//! Exact answers where condition keys are not known.
//!
//! Kleene's logic leaves open what holds whatever an unknown key is: an Allow where it is `a` beside an Allow where it
//! is not. So where the layers leave an answer open, the unknown keys on which they depend are tried: absent, and with
//! one value for each way in which the policies can tell values apart. If the values cover all ways and the answers
//! agree, that is the answer; if some allow and some deny, it is open for good, and two examples say on what it turns.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::{ArnPattern, Bound, Qualifier, ResourceMatch, Variable, Wild};

use super::condition::{CompiledCondition, Test};
use super::context::Slot;
use super::evaluate::{Answer, Policies};
use super::exempt;
use super::layers::PolicySet;
use super::request::Request;
use super::value;

/// Most combinations of values that are tried; beyond, an answer that is open stays open.
const MAX_WORLDS: usize = 20_000;
/// Most values for one key.
const MAX_VALUES: usize = 200;
/// Most single values of a multi-valued key of which every combination is tried.
const MAX_SUBSETS_OF: usize = 7;
/// Most combinations of witnesses of the parts of ARN patterns.
const MAX_ARNS: usize = 128;
/// Stands for any text that no policy mentions.
const ANOTHER: &str = "(another value)";

/// Values of unknown keys and the answer with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Keys in lower case with what they are taken to be.
    pub values: Vec<(String, Slot)>,
    /// The answer.
    pub answer: Answer,
}

/// What trying the unknown keys gave.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The answer.
    pub answer: Answer,
    /// The keys on which it turns, in lower case.
    pub keys: Vec<String>,
    /// A world in which it is allowed and one in which it is not, where there are both.
    pub examples: Vec<World>,
}

/// Settles a request that the layers leave open.
#[must_use]
pub fn settle(policies: &Policies, request: &Request) -> Settled {
    let unknown = Unknowns::of(policies, request);
    let mut complete = true;
    let mut keys: Vec<(&str, Vec<Slot>)> = Vec::new();
    for (key, uses) in &unknown.keys {
        let (slots, whole) = uses.slots(key, request);
        complete &= whole;
        keys.push((key, slots));
    }
    let total = keys.iter().try_fold(1usize, |total, (_, slots)| total.checked_mul(slots.len()));
    complete &= total.is_some_and(|total| total <= MAX_WORLDS);
    let mut tried: Vec<(Vec<usize>, Answer)> = Vec::new();
    let mut choice = vec![0usize; keys.len()];
    loop {
        let mut world = request.clone();
        for ((key, slots), at) in keys.iter().zip(&choice) {
            if let Some(slot) = slots.get(*at) {
                world.context.set(key, slot.clone());
            }
        }
        tried.push((choice.clone(), policies.answer(&world)));
        if tried.len() >= MAX_WORLDS || !advance(&mut choice, &keys) {
            break;
        }
    }
    conclude(&keys, &tried, complete)
}

/// The next combination; false after the last.
fn advance(choice: &mut [usize], keys: &[(&str, Vec<Slot>)]) -> bool {
    for (at, (_, slots)) in choice.iter_mut().zip(keys) {
        *at += 1;
        if *at < slots.len() {
            return true;
        }
        *at = 0;
    }
    false
}

fn conclude(keys: &[(&str, Vec<Slot>)], tried: &[(Vec<usize>, Answer)], complete: bool) -> Settled {
    let seen: BTreeSet<Answer> = tried.iter().map(|(_, answer)| *answer).collect();
    let answer = if seen.contains(&Answer::Undecided) || !complete {
        Answer::Undecided
    } else if !seen.contains(&Answer::Allowed) {
        if seen.contains(&Answer::ImplicitlyDenied) { Answer::ImplicitlyDenied } else { Answer::ExplicitlyDenied }
    } else if seen.len() == 1 {
        Answer::Allowed
    } else {
        Answer::Undecided
    };
    let world = |wanted: &dyn Fn(Answer) -> bool| {
        // The first choices are "absent": the world with the most of them reads best.
        let best = tried
            .iter()
            .filter(|(_, answer)| wanted(*answer))
            .min_by_key(|(choice, _)| (choice.iter().filter(|at| **at > 0).count(), choice.clone()))?;
        let values = keys
            .iter()
            .zip(&best.0)
            .filter_map(|((key, slots), at)| Some(((*key).to_owned(), slots.get(*at)?.clone())));
        Some(World { values: values.collect(), answer: best.1 })
    };
    let denied = |answer: Answer| matches!(answer, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied);
    let examples: Vec<World> =
        [world(&|answer| answer == Answer::Allowed), world(&denied)].into_iter().flatten().collect();
    let mut turning = turning(keys, tried);
    if turning.is_empty() {
        turning = keys.iter().map(|(key, _)| (*key).to_owned()).collect();
    }
    Settled { answer, keys: turning, examples }
}

/// The keys for which a change of them alone changes the answer.
fn turning(keys: &[(&str, Vec<Slot>)], tried: &[(Vec<usize>, Answer)]) -> Vec<String> {
    let mut out = Vec::new();
    for (at, (key, _)) in keys.iter().enumerate() {
        let mut known: BTreeMap<Vec<usize>, Answer> = BTreeMap::new();
        let matters = tried.iter().any(|(choice, answer)| {
            let mut rest = choice.clone();
            if let Some(own) = rest.get_mut(at) {
                *own = 0;
            }
            *known.entry(rest).or_insert(*answer) != *answer
        });
        if matters {
            out.push((*key).to_owned());
        }
    }
    out
}

/// How the policies use one unknown key.
#[derive(Default)]
struct Uses<'p> {
    conditions: Vec<&'p CompiledCondition>,
    /// Patterns with the key as a variable, and the text that they are held against.
    variables: Vec<(Wild, String)>,
    /// Whether it is a variable in a pattern for another unknown key.
    tangled: bool,
    /// Defaults written for it.
    defaults: BTreeSet<String>,
}

struct Unknowns<'p> {
    keys: BTreeMap<String, Uses<'p>>,
}

impl<'p> Unknowns<'p> {
    fn of(policies: &'p Policies, request: &Request) -> Self {
        let mut out = Self { keys: BTreeMap::new() };
        let bounded = policies.boundary.is_some();
        for placed in policies.sets(request).into_iter().flat_map(PolicySet::statements) {
            let statement = &placed.statement;
            // A statement that surely does not apply tells nothing apart.
            if statement.applies(request, bounded).any().is_false() {
                continue;
            }
            if let ResourceMatch::Resource(patterns) | ResourceMatch::NotResource(patterns) = &statement.scope.resources
            {
                for pattern in patterns {
                    out.pattern(pattern, request.resource.as_str(), request);
                }
            }
            for condition in &statement.conditions {
                out.condition(condition, request);
            }
        }
        out
    }

    fn condition(&mut self, condition: &'p CompiledCondition, request: &Request) {
        let slot = request.context.get(&condition.key);
        if *slot == Slot::Unknown {
            self.keys.entry(condition.key.to_string()).or_default().conditions.push(condition);
        }
        for (key, default) in condition.variables() {
            if *request.context.find(key) != Slot::Unknown {
                continue;
            }
            let uses = self.keys.entry(key.to_ascii_lowercase()).or_default();
            uses.defaults.extend(default.map(str::to_owned));
            uses.tangled |= *slot == Slot::Unknown;
        }
        let Slot::Known(values) = slot else { return };
        for found in values {
            match &condition.test {
                Test::Text { values: wilds, .. } | Test::Like(wilds) => {
                    wilds.iter().for_each(|wild| self.variable(wild, found, request));
                }
                Test::Arn(patterns) => patterns.iter().for_each(|pattern| self.pattern(pattern, found, request)),
                _ => {}
            }
        }
    }

    fn pattern(&mut self, pattern: &ArnPattern, text: &str, request: &Request) {
        match pattern {
            ArnPattern::Any => {}
            ArnPattern::Other(wild) => self.variable(wild, text, request),
            ArnPattern::Arn(pattern) => {
                let Some(parts) = super::request::arn_parts(text) else { return };
                for (wild, part) in pattern.parts().into_iter().zip(parts) {
                    self.variable(wild, part, request);
                }
            }
        }
    }

    fn variable(&mut self, wild: &Wild, text: &str, request: &Request) {
        for (key, default) in wild.variables() {
            if *request.context.find(key) == Slot::Unknown {
                let uses = self.keys.entry(key.to_ascii_lowercase()).or_default();
                uses.variables.push((wild.clone(), text.to_owned()));
                uses.defaults.extend(default.map(str::to_owned));
            }
        }
    }
}

impl Uses<'_> {
    /// What the key may be: a slot for each way in which the policies tell its values apart, and whether these are
    /// all.
    fn slots(&self, key: &str, request: &Request) -> (Vec<Slot>, bool) {
        let mut complete = !self.tangled;
        let mut texts: BTreeSet<String> = self.defaults.clone();
        let kinds = [
            self.patterns(request, &mut texts, &mut complete),
            self.arns(request, &mut texts, &mut complete),
            self.numbers(&mut texts),
            self.dates(&mut texts),
            self.addresses(&mut texts),
        ];
        // Values that are told apart by two kinds of operators at once are not tried in all combinations.
        complete &= kinds.into_iter().filter(|used| *used).count() <= 1;
        if self.conditions.iter().any(|condition| matches!(condition.test, Test::Bool(_))) {
            texts.extend(["true".to_owned(), "false".to_owned()]);
        }
        self.substitutes(key, request, &mut texts, &mut complete);
        texts.insert(ANOTHER.to_owned());
        if texts.len() > MAX_VALUES {
            complete = false;
        }
        let texts: Vec<String> = texts.into_iter().take(MAX_VALUES).collect();
        let several = exempt::is_multivalued(key)
            || self.conditions.iter().any(|condition| condition.source.qualifier != Qualifier::None);
        let mut slots = vec![Slot::Absent];
        slots.extend(texts.iter().map(Slot::one));
        if several {
            complete &= texts.len() <= MAX_SUBSETS_OF;
            slots.extend(combinations(&texts));
        }
        (slots, complete)
    }

    fn patterns(&self, request: &Request, texts: &mut BTreeSet<String>, complete: &mut bool) -> bool {
        let mut wilds: Vec<Wild> = Vec::new();
        let mut folded = BTreeSet::new();
        for condition in &self.conditions {
            let (Test::Text { values, .. } | Test::Like(values)) = &condition.test else { continue };
            for bound in values.iter().map(|value| value.bind(|key| request.context.find(key).variable())) {
                match bound {
                    Bound::Pattern(wild) if wild.has_variables() => *complete = false,
                    Bound::Pattern(wild) => {
                        if matches!(condition.test, Test::Text { fold: true, .. }) {
                            folded.extend(wild.literal_text());
                        }
                        wilds.push(wild);
                    }
                    Bound::Nothing => {}
                }
            }
        }
        for text in folded {
            texts.extend([text.to_lowercase(), text.to_uppercase(), text]);
        }
        wilds.sort();
        wilds.dedup();
        match Wild::witnesses(&wilds) {
            Some(found) => texts.extend(found),
            None => *complete = false,
        }
        !wilds.is_empty()
    }

    fn arns(&self, request: &Request, texts: &mut BTreeSet<String>, complete: &mut bool) -> bool {
        let mut parts: [Vec<Wild>; 5] = Default::default();
        for condition in &self.conditions {
            let Test::Arn(patterns) = &condition.test else { continue };
            for pattern in patterns {
                let ArnPattern::Arn(pattern) = pattern else { continue };
                for (list, wild) in parts.iter_mut().zip(pattern.parts()) {
                    match wild.bind(|key| request.context.find(key).variable()) {
                        Bound::Pattern(wild) if !wild.has_variables() => list.push(wild),
                        Bound::Pattern(_) => *complete = false,
                        Bound::Nothing => {}
                    }
                }
            }
        }
        if parts.iter().all(Vec::is_empty) {
            return self.conditions.iter().any(|condition| matches!(condition.test, Test::Arn(_)));
        }
        let mut found = vec!["arn".to_owned()];
        for list in &mut parts {
            list.sort();
            list.dedup();
            let Some(witnesses) = Wild::witnesses(list) else {
                *complete = false;
                return true;
            };
            // A colon would end the part.
            let witnesses: Vec<&String> =
                witnesses.iter().filter(|text| !text.contains(':') || found.len() > MAX_ARNS).collect();
            found = found.iter().flat_map(|head| witnesses.iter().map(move |part| format!("{head}:{part}"))).collect();
            if found.len() > MAX_ARNS {
                *complete = false;
                found.truncate(MAX_ARNS);
            }
        }
        texts.extend(found);
        true
    }

    fn numbers(&self, texts: &mut BTreeSet<String>) -> bool {
        let tests = self.conditions.iter().filter_map(|condition| match &condition.test {
            Test::Number(values, _) => Some(values),
            _ => None,
        });
        let mut points: Vec<f64> = tests.flatten().copied().collect();
        if points.is_empty() {
            return false;
        }
        points.sort_by(f64::total_cmp);
        points.dedup();
        let between = points.windows(2).filter_map(|pair| Some(f64::midpoint(*pair.first()?, *pair.get(1)?)));
        let outside = [points.first().map(|first| first - 1.0), points.last().map(|last| last + 1.0)];
        texts.extend(
            between.chain(outside.into_iter().flatten()).chain(points.iter().copied()).map(|number| number.to_string()),
        );
        true
    }

    fn dates(&self, texts: &mut BTreeSet<String>) -> bool {
        const SECOND: i128 = 1_000_000_000;
        let tests = self.conditions.iter().filter_map(|condition| match &condition.test {
            Test::Date(values, _) => Some(values),
            _ => None,
        });
        let points: BTreeSet<i128> = tests.flatten().copied().collect();
        let near = points.iter().flat_map(|point| [*point - SECOND, *point, *point + SECOND]);
        texts.extend(near.filter_map(|nanos| Some(jiff::Timestamp::from_nanosecond(nanos).ok()?.to_string())));
        !points.is_empty()
    }

    fn addresses(&self, texts: &mut BTreeSet<String>) -> bool {
        let mut used = false;
        for condition in &self.conditions {
            let Test::Address(networks) = &condition.test else { continue };
            used = true;
            texts.extend(networks.iter().flat_map(value::Network::edges).map(|address| address.to_string()));
        }
        used
    }

    /// Values with which a pattern that has the key as a variable can match its text: parts of that text.
    fn substitutes(&self, key: &str, request: &Request, texts: &mut BTreeSet<String>, complete: &mut bool) {
        for (wild, text) in &self.variables {
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            for (from, start) in ends.iter().enumerate() {
                for end in ends.iter().skip(from) {
                    let Some(part) = text.get(*start..*end) else { continue };
                    let value = |name: &str| {
                        if name.eq_ignore_ascii_case(key) {
                            Variable::Text(part.to_owned())
                        } else {
                            request.context.find(name).variable()
                        }
                    };
                    if wild.matches_with(text, value) != Some(false) && !part.is_empty() {
                        texts.insert(part.to_owned());
                    }
                    if texts.len() > MAX_VALUES {
                        *complete = false;
                        return;
                    }
                }
            }
        }
    }
}

/// Lists of two values or more: all, of few; pairs and the whole, of many.
fn combinations(texts: &[String]) -> Vec<Slot> {
    let pick = |mask: usize| {
        texts.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, text)| text.clone()).collect::<Vec<_>>()
    };
    if texts.len() <= MAX_SUBSETS_OF {
        (0..1usize << texts.len()).filter(|mask| mask.count_ones() > 1).map(|mask| Slot::Known(pick(mask))).collect()
    } else {
        let mut out = vec![Slot::Known(texts.to_vec())];
        for (at, first) in texts.iter().enumerate() {
            out.extend(texts.iter().skip(at + 1).map(|second| Slot::Known(vec![first.clone(), second.clone()])));
        }
        out
    }
}
