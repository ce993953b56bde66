//! Exact answers where condition keys are not known.
//!
//! Kleene's logic leaves open what holds whatever an unknown key is: an Allow where it is `a` beside an Allow where it
//! is not. So where the layers leave an answer open, the unknown keys on which they depend are tried: absent, and with
//! one value for each way in which the policies can tell values apart. If the values cover all ways and the answers
//! agree, that is the answer; if some allow and some deny, it is open for good, and two examples say on what it turns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::arn::Arn;
use crate::policy::{ArnPattern, Bound, PrincipalPattern, Qualifier, ResourceMatch, Variable, Wild};

use super::condition::{CompiledCondition, Test};
use super::context::Slot;
use super::evaluate::{Answer, Policies};
use super::exempt;
use super::layers::PolicySet;
use super::request::{Caller, CallerKind, Request};
use super::truth::Truth;
use super::value;

/// Most combinations of values that are tried; beyond, an answer that is open stays open.
const MAX_WORLDS: usize = 70_000;
/// Worlds that are tried to find good examples and the keys on which an open answer turns.
const MAX_FOR_EXAMPLES: usize = 2_000;
/// Most values for one key.
const MAX_VALUES: usize = 200;
/// Most single values of a multi-valued key of which every combination is tried.
const MAX_SUBSETS_OF: usize = 16;
/// Stands for any text that no policy mentions.
const ANOTHER: &str = "(another value)";

/// Values of unknown keys and the answer with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Keys, as some policy writes them, with what they are taken to be.
    pub values: Vec<(String, Slot)>,
    /// ARN of the session, or of the federating user, that the caller is taken to be; none where the request says it
    /// or it does not matter.
    pub caller: Option<String>,
    /// The answer.
    pub answer: Answer,
}

/// What trying the unknown keys gave.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The answer.
    pub answer: Answer,
    /// The keys on which it turns, as some policy writes them.
    pub keys: Vec<String>,
    /// A world in which it is allowed and one in which it is not, where there are both.
    pub examples: Vec<World>,
}

/// The answer to a request that the layers leave open.
#[must_use]
pub fn answer(policies: &Policies, request: &Request) -> Answer {
    settle_within(policies, request, 0).answer
}

/// Settles a request that the layers leave open.
#[must_use]
pub fn settle(policies: &Policies, request: &Request) -> Settled {
    settle_within(policies, request, MAX_FOR_EXAMPLES)
}

/// Whether a request that is surely not allowed is denied explicitly, whatever the unknown keys are.
#[must_use]
pub fn always_denied_explicitly(policies: &Policies, request: &Request) -> bool {
    settle_within(policies, request, 0).answer == Answer::ExplicitlyDenied
}

/// Once it is clear that the answer stays open, only so many more worlds are tried.
fn settle_within(policies: &Policies, request: &Request, more: usize) -> Settled {
    let unknown = Unknowns::of(policies, request);
    let mut complete = true;
    let mut keys: Vec<(&str, Vec<Slot>)> = Vec::new();
    for (key, uses) in &unknown.keys {
        let (slots, whole) = uses.slots(key, request);
        complete &= whole;
        keys.push((&uses.name, slots));
    }
    let callers = callers(policies, request);
    let total = keys.iter().try_fold(callers.len(), |total, (_, slots)| total.checked_mul(slots.len()));
    let all = total.is_some_and(|total| total <= MAX_WORLDS);
    complete &= all;
    // Where they cannot all be tried, a few tell as much: only that both answers are possible.
    let most = if all { MAX_WORLDS } else { MAX_FOR_EXAMPLES };
    let mut tried: Vec<(Vec<usize>, Answer)> = Vec::new();
    let mut choice = vec![0usize; keys.len()];
    let (mut allowed, mut denied, mut open) = (false, false, false);
    let mut who = 0usize;
    loop {
        let mut world = request.clone();
        if let Some(caller) = callers.get(who) {
            world.caller = Arc::clone(caller);
        }
        for ((key, slots), at) in keys.iter().zip(&choice) {
            if let Some(slot) = slots.get(*at) {
                world.context.set(key, slot.clone());
            }
        }
        let answer = policies.answer(&world);
        allowed |= answer == Answer::Allowed;
        denied |= matches!(answer, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied);
        open |= answer == Answer::Undecided;
        // The caller counts as one more choice.
        tried.push((choice.iter().copied().chain([who]).collect(), answer));
        let clear = open || (allowed && denied);
        if tried.len() >= most || (clear && tried.len() > more) {
            break;
        }
        if !advance(&mut choice, &keys) {
            who += 1;
            if who >= callers.len() {
                break;
            }
        }
    }
    conclude(&keys, &callers, &tried, complete)
}

/// Whom the caller may be, where a policy names a session of the caller's role, or a user of whom a federated session
/// may be, and the request does not say which it is.
fn callers(policies: &Policies, request: &Request) -> Vec<Arc<Caller>> {
    let caller = &request.caller;
    let mut out = Vec::new();
    let mut named = BTreeSet::new();
    for placed in policies.every_set().into_iter().flat_map(PolicySet::statements) {
        for pattern in placed.statement.principal.iter().flat_map(|element| element.patterns()) {
            if let PrincipalPattern::Arn(arn) = pattern
                && named.insert(arn)
            {
                out.extend(caller.taken_for(arn).map(Arc::new));
            }
        }
    }
    if !out.is_empty() {
        out.extend(caller.taken_for_another().map(Arc::new));
    }
    if out.is_empty() { vec![Arc::clone(caller)] } else { out }
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

fn conclude(
    keys: &[(&str, Vec<Slot>)],
    callers: &[Arc<Caller>],
    tried: &[(Vec<usize>, Answer)],
    complete: bool,
) -> Settled {
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
        let who = best.0.last().and_then(|who| callers.get(*who)).filter(|_| callers.len() > 1);
        let taken = who.and_then(|caller| match caller.kind {
            CallerKind::FederatedUser => caller.arn.as_ref(),
            _ => caller.session.as_ref(),
        });
        Some(World { values: values.collect(), caller: taken.map(Arn::to_string), answer: best.1 })
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
    /// The key as a policy writes it.
    name: String,
    conditions: Vec<&'p CompiledCondition>,
    /// Patterns with the key as a variable, and the text that they are held against.
    variables: Vec<(Wild, String)>,
    /// Whether it is a variable in a pattern for another unknown key.
    tangled: bool,
    /// Whether some policy uses it as a key with several values.
    several: bool,
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
        // A set operator anywhere shows that the key may have several values.
        for placed in policies.every_set().into_iter().flat_map(PolicySet::statements) {
            for condition in placed.statement.conditions.iter().filter(|one| one.source.qualifier != Qualifier::None) {
                if let Some(uses) = out.keys.get_mut(&*condition.key) {
                    uses.several = true;
                }
            }
        }
        out
    }

    fn used(&mut self, key: &str) -> &mut Uses<'p> {
        let uses = self.keys.entry(key.to_ascii_lowercase()).or_default();
        // Of several spellings the first in order, so that the order of statements does not matter.
        if uses.name.is_empty() || key < uses.name.as_str() {
            uses.name = key.to_owned();
        }
        uses
    }

    fn condition(&mut self, condition: &'p CompiledCondition, request: &Request) {
        let slot = request.context.get(&condition.key);
        if *slot == Slot::Unknown {
            self.used(&condition.source.key).conditions.push(condition);
        }
        for (key, default) in condition.variables() {
            if *request.context.find(key) != Slot::Unknown {
                continue;
            }
            let uses = self.used(key);
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
                let uses = self.used(key);
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
        self.substitutes(key, request, &mut texts, &mut complete);
        let texts = self.told_apart(key, texts, request);
        let several = self.several || exempt::is_multivalued(key);
        let mut slots = if request.context.always_has(key) { Vec::new() } else { vec![Slot::Absent] };
        slots.extend(texts.iter().map(Slot::one));
        if several {
            complete &= texts.len() <= MAX_SUBSETS_OF;
            slots.extend(combinations(&texts));
        }
        (slots, complete)
    }

    /// Values as policies write them: the best examples, where they are.
    fn literals(&self) -> BTreeSet<String> {
        let of = |condition: &&CompiledCondition| match &condition.test {
            Test::Text { values, .. } | Test::Like(values) => {
                values.iter().filter_map(Wild::literal_text).collect::<Vec<_>>()
            }
            Test::Bool(values) => values.iter().map(bool::to_string).collect(),
            _ => Vec::new(),
        };
        self.conditions.iter().flat_map(of).collect()
    }

    /// One of all texts that the policies do not tell apart; a plain one first.
    fn told_apart(&self, key: &str, texts: BTreeSet<String>, request: &Request) -> Vec<String> {
        let mut seen: BTreeSet<Vec<Truth>> = BTreeSet::new();
        let all = std::iter::once(ANOTHER.to_owned()).chain(self.literals()).chain(texts);
        all.filter(|text| {
            let value = |name: &str| {
                if name.eq_ignore_ascii_case(key) {
                    Variable::Text(text.clone())
                } else {
                    request.context.find(name).variable()
                }
            };
            let by_conditions = self.conditions.iter().map(|condition| condition.matches(text, &request.context));
            let as_variable = self.variables.iter().map(|(wild, other)| Truth::from(wild.matches_with(other, value)));
            seen.insert(by_conditions.chain(as_variable).collect())
        })
        .collect()
    }

    fn patterns(&self, request: &Request, texts: &mut BTreeSet<String>, complete: &mut bool) -> bool {
        let mut wilds: Vec<(Wild, bool)> = Vec::new();
        for condition in &self.conditions {
            let (values, fold) = match &condition.test {
                Test::Text { values, fold } => (values, *fold),
                Test::Like(values) => (values, false),
                Test::Bool(values) => {
                    // Told apart from other texts by the two words, in whatever case.
                    wilds.extend(values.iter().map(|value| (Wild::exact(&value.to_string(), false), true)));
                    continue;
                }
                _ => continue,
            };
            for bound in values.iter().map(|value| value.bind(|key| request.context.find(key).variable())) {
                match bound {
                    Bound::Pattern(wild) if wild.has_variables() => *complete = false,
                    Bound::Pattern(wild) => wilds.push((wild, fold)),
                    Bound::Nothing => {}
                }
            }
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
        let mut patterns: Vec<[Wild; 5]> = Vec::new();
        let mut used = false;
        for condition in &self.conditions {
            let Test::Arn(list) = &condition.test else { continue };
            used = true;
            for pattern in list {
                let ArnPattern::Arn(pattern) = pattern else { continue };
                let bound = pattern.parts().map(|wild| wild.bind(|key| request.context.find(key).variable()));
                let parts = bound.map(|part| match part {
                    Bound::Pattern(wild) if !wild.has_variables() => Some(wild),
                    Bound::Pattern(_) => {
                        *complete = false;
                        None
                    }
                    Bound::Nothing => None,
                });
                if let [Some(a), Some(b), Some(c), Some(d), Some(e)] = parts {
                    patterns.push([a, b, c, d, e]);
                }
            }
        }
        // Part by part: of the beginnings that fit the same patterns one is enough.
        let mut found: BTreeMap<Vec<bool>, String> = BTreeMap::from([(vec![true; patterns.len()], "arn".to_owned())]);
        for at in 0..5 {
            let wilds: Vec<&Wild> = patterns.iter().filter_map(|parts| parts.get(at)).collect();
            let mut distinct: Vec<(Wild, bool)> = wilds.iter().map(|wild| ((*wild).clone(), false)).collect();
            distinct.sort();
            distinct.dedup();
            let Some(witnesses) = Wild::witnesses(&distinct) else {
                *complete = false;
                return used;
            };
            let mut next = BTreeMap::new();
            for (fits, head) in &found {
                // A colon would end any part but the last.
                for part in witnesses.iter().filter(|text| at == 4 || !text.contains(':')) {
                    let still = fits.iter().zip(&wilds).map(|(fits, wild)| *fits && wild.matches(part)).collect();
                    next.entry(still).or_insert_with(|| format!("{head}:{part}"));
                }
            }
            found = next;
        }
        texts.extend(found.into_values());
        used
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
        // One more or less is the same number where numbers are large.
        let far = [f64::MIN, f64::MAX];
        let all = between.chain(outside.into_iter().flatten()).chain(points.iter().copied()).chain(far);
        texts.extend(all.filter(|number| number.is_finite()).map(|number| number.to_string()));
        true
    }

    fn dates(&self, texts: &mut BTreeSet<String>) -> bool {
        const SECOND: i128 = 1_000_000_000;
        let tests = self.conditions.iter().filter_map(|condition| match &condition.test {
            Test::Date(values, _) => Some(values),
            _ => None,
        });
        let points: BTreeSet<i128> = tests.flatten().copied().collect();
        let between = points.iter().zip(points.iter().skip(1)).map(|(earlier, later)| i128::midpoint(*earlier, *later));
        let near = points.iter().flat_map(|point| [*point - SECOND, *point, *point + SECOND]).chain(between);
        texts.extend(near.filter_map(date_text));
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

/// An instant as a text that is read as it: seconds where it is whole ones, with zeros in front so that it is no year.
fn date_text(nanos: i128) -> Option<String> {
    const SECOND: i128 = 1_000_000_000;
    if nanos % SECOND == 0 {
        return i64::try_from(nanos / SECOND).ok().map(|seconds| {
            // As people write it, where that is possible.
            jiff::Timestamp::from_second(seconds)
                .map_or_else(|_| format!("{seconds:06}"), |instant| instant.to_string())
        });
    }
    Some(jiff::Timestamp::from_nanosecond(nanos).ok()?.to_string())
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
