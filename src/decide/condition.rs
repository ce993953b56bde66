//! Conditions over a request: true, false, or unknown.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Set operators for multivalued context
//! keys" and "IAM policy elements: Variables and tags".

use std::net::IpAddr;

use crate::policy::{ArnPattern, Bound, Condition, Operator, Qualifier, Variable, Wild};

use super::context::{Context, Slot};
use super::request::arn_parts;
use super::truth::Truth;
use super::value::{self, Network};

/// How two ordered values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Equal.
    Equal,
    /// The request's is less.
    Less,
    /// The request's is less or equal.
    LessOrEqual,
    /// The request's is greater.
    Greater,
    /// The request's is greater or equal.
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, request: T, policy: T) -> bool {
        match self {
            Self::Equal => request == policy,
            Self::Less => request < policy,
            Self::LessOrEqual => request <= policy,
            Self::Greater => request > policy,
            Self::GreaterOrEqual => request >= policy,
        }
    }
}

/// The values of a condition, read for their operator once. A value that is none of its type is left out: it matches
/// nothing.
#[derive(Clone, Debug)]
pub enum Test {
    /// Equal texts, or texts that differ in case only.
    Text {
        /// The values; variables are texts.
        values: Vec<Wild>,
        /// Whether case is ignored.
        fold: bool,
    },
    /// Patterns.
    Like(Vec<Wild>),
    /// Patterns over ARNs.
    Arn(Vec<ArnPattern>),
    /// Numbers.
    Number(Vec<f64>, Order),
    /// Instants, in nanoseconds since 1970.
    Date(Vec<i128>, Order),
    /// Truth values.
    Bool(Vec<bool>),
    /// Address ranges.
    Address(Vec<Network>),
    /// Whether the key must be absent (`true`) or present (`false`).
    Null(Vec<bool>),
}

/// A condition ready to be decided.
#[derive(Clone, Debug)]
pub struct CompiledCondition {
    /// As written.
    pub source: Condition,
    /// The key in lower case.
    pub key: Box<str>,
    /// Whether it holds where no value matches (`…Not…`).
    pub negated: bool,
    /// What the values are.
    pub test: Test,
}

impl CompiledCondition {
    /// Reads a condition; `variables` where the policy's version has them.
    #[must_use]
    pub fn new(source: Condition, variables: bool) -> Self {
        use Operator as O;
        let values = || source.values.iter().map(String::as_str);
        let exact = || values().map(|text| Wild::exact(text, variables)).collect();
        let numbers = |order| Test::Number(values().filter_map(value::number).collect(), order);
        let dates = |order| Test::Date(values().filter_map(value::date).collect(), order);
        let truths = || values().filter_map(truth_value).collect();
        let test = match source.operator {
            O::StringEquals | O::StringNotEquals => Test::Text { values: exact(), fold: false },
            O::StringEqualsIgnoreCase | O::StringNotEqualsIgnoreCase => Test::Text { values: exact(), fold: true },
            O::BinaryEquals => {
                Test::Text { values: values().map(|text| Wild::exact(text, false)).collect(), fold: false }
            }
            O::StringLike | O::StringNotLike => Test::Like(values().map(|text| Wild::parse(text, variables)).collect()),
            O::ArnEquals | O::ArnLike | O::ArnNotEquals | O::ArnNotLike => Test::Arn(
                values()
                    .map(|text| ArnPattern::parse(text, variables))
                    .filter(|pattern| !matches!(pattern, ArnPattern::Other(_)))
                    .collect(),
            ),
            O::NumericEquals | O::NumericNotEquals => numbers(Order::Equal),
            O::NumericLessThan => numbers(Order::Less),
            O::NumericLessThanEquals => numbers(Order::LessOrEqual),
            O::NumericGreaterThan => numbers(Order::Greater),
            O::NumericGreaterThanEquals => numbers(Order::GreaterOrEqual),
            O::DateEquals | O::DateNotEquals => dates(Order::Equal),
            O::DateLessThan => dates(Order::Less),
            O::DateLessThanEquals => dates(Order::LessOrEqual),
            O::DateGreaterThan => dates(Order::Greater),
            O::DateGreaterThanEquals => dates(Order::GreaterOrEqual),
            O::Bool => Test::Bool(truths()),
            O::IpAddress | O::NotIpAddress => Test::Address(values().filter_map(Network::parse).collect()),
            O::Null => Test::Null(truths()),
        };
        let negated = matches!(
            source.operator,
            O::StringNotEquals
                | O::StringNotEqualsIgnoreCase
                | O::StringNotLike
                | O::ArnNotEquals
                | O::ArnNotLike
                | O::NumericNotEquals
                | O::DateNotEquals
                | O::NotIpAddress
        );
        let key = source.key.to_ascii_lowercase().into_boxed_str();
        Self { key, negated, test, source }
    }

    /// Whether it holds for a request.
    #[must_use]
    pub fn decide(&self, context: &Context) -> Truth {
        let slot = context.get(&self.key);
        if let Test::Null(values) = &self.test {
            return match slot {
                Slot::Unknown => {
                    // One of the two it is.
                    if values.contains(&true) && values.contains(&false) {
                        Truth::True
                    } else if values.is_empty() {
                        Truth::False
                    } else {
                        Truth::Unknown
                    }
                }
                slot => values.contains(&(*slot == Slot::Absent)).into(),
            };
        }
        match slot {
            Slot::Absent => self.holds_for_absent().into(),
            Slot::Unknown => self.for_any_value(context),
            Slot::Known(values) => self.for_values(values, context),
        }
    }

    /// Whether it holds where the request does not have the key.
    ///
    /// `ForAnyValue` asks for a value that matches, and there is none: `IfExists` does not change that, as tried on
    /// AWS by the asker of re:Post question QU9HFmDzP0QGuU-fd7rS6B7w.
    fn holds_for_absent(&self) -> bool {
        match self.source.qualifier {
            Qualifier::ForAllValues => true,
            Qualifier::ForAnyValue => false,
            Qualifier::None => self.source.if_exists || self.negated,
        }
    }

    /// Decides what holds whatever the value is; the rest is unknown.
    fn for_any_value(&self, context: &Context) -> Truth {
        let always = match &self.test {
            Test::Like(patterns) => patterns.iter().any(Wild::is_any),
            Test::Arn(patterns) => patterns.iter().any(ArnPattern::is_any),
            _ => false,
        };
        let never = match &self.test {
            Test::Text { values, .. } => values.iter().all(|value| bind(value, context) == Bound::Nothing),
            Test::Like(patterns) => patterns.iter().all(|value| bind(value, context) == Bound::Nothing),
            Test::Arn(patterns) => patterns.is_empty(),
            Test::Number(values, _) => values.is_empty(),
            Test::Date(values, _) => values.is_empty(),
            Test::Bool(values) => values.is_empty(),
            Test::Address(values) => values.is_empty(),
            Test::Null(_) => false,
        };
        let present = if always {
            !self.negated
        } else if never {
            self.negated
        } else {
            return Truth::Unknown;
        };
        if present == self.holds_for_absent() { present.into() } else { Truth::Unknown }
    }

    fn for_values(&self, values: &[String], context: &Context) -> Truth {
        let each = |value: &String| {
            let matches = self.matches(value, context);
            if self.negated { matches.negate() } else { matches }
        };
        let all = |values: &[String]| values.iter().map(each).fold(Truth::True, Truth::and);
        let any = |values: &[String]| values.iter().map(each).fold(Truth::False, Truth::or);
        match (self.source.qualifier, values) {
            (_, [one]) => each(one),
            (Qualifier::ForAllValues, values) => all(values),
            (Qualifier::ForAnyValue, values) => any(values),
            // Without a set operator several values are one match for a positive operator, and none for a negated.
            (Qualifier::None, values) => {
                if self.negated {
                    all(values)
                } else {
                    any(values)
                }
            }
        }
    }

    /// Whether a value of the request matches a value of the policy.
    pub(super) fn matches(&self, found: &str, context: &Context) -> Truth {
        let value = |key: &str| context.find(key).variable();
        match &self.test {
            Test::Text { values, fold: false } => any_of(values, |wild| wild.matches_with(found, value)),
            Test::Text { values, fold: true } => {
                let lower = found.to_lowercase();
                any_of(values, |wild| match bind(wild, context) {
                    Bound::Nothing => Some(false),
                    Bound::Pattern(bound) => bound.literal_text().map(|text| text.to_lowercase() == lower),
                })
            }
            Test::Like(patterns) => any_of(patterns, |wild| wild.matches_with(found, value)),
            Test::Arn(patterns) => {
                let parts = arn_parts(found);
                any_of(patterns, |pattern| pattern.matches_with(found, parts.as_ref(), &value))
            }
            Test::Number(values, order) => {
                value::number(found).is_some_and(|found| values.iter().any(|want| order.holds(found, *want))).into()
            }
            Test::Date(values, order) => {
                value::date(found).is_some_and(|found| values.iter().any(|want| order.holds(found, *want))).into()
            }
            Test::Bool(values) => truth_value(found).is_some_and(|found| values.contains(&found)).into(),
            Test::Address(networks) => {
                found.parse::<IpAddr>().is_ok_and(|found| networks.iter().any(|network| network.contains(found))).into()
            }
            Test::Null(_) => Truth::False,
        }
    }

    /// The keys, in whatever case, of the variables in its values.
    pub fn variables(&self) -> Vec<(&str, Option<&str>)> {
        match &self.test {
            Test::Text { values, .. } | Test::Like(values) => values.iter().flat_map(Wild::variables).collect(),
            Test::Arn(patterns) => patterns.iter().flat_map(ArnPattern::variables).collect(),
            _ => Vec::new(),
        }
    }
}

fn bind(wild: &Wild, context: &Context) -> Bound {
    wild.bind(|key| context.find(key).variable())
}

fn any_of<T>(list: &[T], matches: impl Fn(&T) -> Option<bool>) -> Truth {
    let mut found = Truth::False;
    for one in list {
        match Truth::from(matches(one)) {
            Truth::True => return Truth::True,
            other => found = found.or(other),
        }
    }
    found
}

fn truth_value(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Whether all conditions hold.
#[must_use]
pub fn all(conditions: &[CompiledCondition], context: &Context) -> Truth {
    let mut whole = Truth::True;
    for condition in conditions {
        match condition.decide(context) {
            Truth::False => return Truth::False,
            other => whole = whole.and(other),
        }
    }
    whole
}

/// A variable's value in a context.
pub(super) fn variable(context: &Context) -> impl Fn(&str) -> Variable + '_ {
    |key| context.find(key).variable()
}
