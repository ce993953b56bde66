//! Condition operators, one elementary comparison at a time.

use super::pattern::{self, Context};
use std::net::IpAddr;

/// `ForAllValues:` / `ForAnyValue:` or neither.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SetOperator {
    /// No set operator.
    Plain,
    /// `ForAllValues:`
    ForAll,
    /// `ForAnyValue:`
    ForAny,
}

/// A condition operator, taken apart.
#[derive(Clone, PartialEq, Debug)]
pub struct Operator {
    /// The positive operator in lower case (`stringequals`), or `null`.
    pub base: &'static str,
    /// True for `…Not…` operators.
    pub negated: bool,
    /// The set operator.
    pub set: SetOperator,
    /// `…IfExists`
    pub if_exists: bool,
}

/// What AWS's documentation leaves open and a user observed otherwise (see the report): `ForAnyValue:…IfExists` on a
/// key that is absent.
pub const FOR_ANY_IF_EXISTS_ABSENT: bool = false;

const OPERATORS: &[(&str, &str, bool)] = &[
    ("stringequals", "stringequals", false),
    ("stringnotequals", "stringequals", true),
    ("stringequalsignorecase", "stringequalsignorecase", false),
    ("stringnotequalsignorecase", "stringequalsignorecase", true),
    ("stringlike", "stringlike", false),
    ("stringnotlike", "stringlike", true),
    ("numericequals", "numericequals", false),
    ("numericnotequals", "numericequals", true),
    ("numericlessthan", "numericlessthan", false),
    ("numericlessthanequals", "numericlessthanequals", false),
    ("numericgreaterthan", "numericgreaterthan", false),
    ("numericgreaterthanequals", "numericgreaterthanequals", false),
    ("dateequals", "dateequals", false),
    ("datenotequals", "dateequals", true),
    ("datelessthan", "datelessthan", false),
    ("datelessthanequals", "datelessthanequals", false),
    ("dategreaterthan", "dategreaterthan", false),
    ("dategreaterthanequals", "dategreaterthanequals", false),
    ("bool", "bool", false),
    ("binaryequals", "binaryequals", false),
    ("ipaddress", "ipaddress", false),
    ("notipaddress", "ipaddress", true),
    ("arnequals", "arnlike", false),
    ("arnlike", "arnlike", false),
    ("arnnotequals", "arnlike", true),
    ("arnnotlike", "arnlike", true),
    ("null", "null", false),
];

/// Takes an operator's name apart; `None` if AWS knows no such operator.
pub fn operator(name: &str) -> Option<Operator> {
    let lower = name.to_lowercase();
    let (set, rest) = if let Some(rest) = lower.strip_prefix("forallvalues:") {
        (SetOperator::ForAll, rest)
    } else if let Some(rest) = lower.strip_prefix("foranyvalue:") {
        (SetOperator::ForAny, rest)
    } else {
        (SetOperator::Plain, lower.as_str())
    };
    let (plain, if_exists) = match rest.strip_suffix("ifexists") {
        Some(plain) => (plain, true),
        None => (rest, false),
    };
    let (_, base, negated) = OPERATORS.iter().find(|(name, _, _)| *name == plain)?;
    if *base == "null" && (if_exists || set != SetOperator::Plain) {
        return None;
    }
    Some(Operator { base, negated: *negated, set, if_exists })
}

/// Is the condition true? `request` is `None` for an absent key.
pub fn holds(op: &Operator, policy: &[String], request: Option<&[String]>, variables: bool, context: &Context) -> bool {
    let request = request.filter(|values| !values.is_empty());
    if op.base == "null" {
        let absent = if request.is_none() { "true" } else { "false" };
        return policy.iter().any(|value| value.eq_ignore_ascii_case(absent));
    }
    let Some(request) = request else {
        return match op.set {
            SetOperator::ForAll => true,
            SetOperator::ForAny => op.if_exists && FOR_ANY_IF_EXISTS_ABSENT,
            SetOperator::Plain => op.if_exists || op.negated,
        };
    };
    let in_policy = |value: &String| policy.iter().any(|p| compare(op.base, p, value, variables, context));
    match (op.set, op.negated) {
        (SetOperator::Plain | SetOperator::ForAny, false) => request.iter().any(in_policy),
        (SetOperator::Plain, true) => !request.iter().any(in_policy),
        (SetOperator::ForAny, true) => request.iter().any(|value| !in_policy(value)),
        (SetOperator::ForAll, false) => request.iter().all(in_policy),
        (SetOperator::ForAll, true) => request.iter().all(|value| !in_policy(value)),
    }
}

/// The elementary comparison of one policy value with one request value.
pub fn compare(base: &str, policy: &str, request: &str, variables: bool, context: &Context) -> bool {
    match base {
        "stringequals" => pattern::text_matches(policy, request, false, variables, context),
        "stringlike" => pattern::text_matches(policy, request, true, variables, context),
        "stringequalsignorecase" => same_ignoring_case(policy, request, variables, context),
        "arnlike" => pattern::arn_matches(policy, request, variables, context),
        "bool" => policy.eq_ignore_ascii_case(request),
        "binaryequals" => policy == request,
        "ipaddress" => address_in(policy, request),
        _ if base.starts_with("numeric") => ordered(&base[7..], decimal(request), decimal(policy)),
        _ => ordered(&base[4..], instant(request), instant(policy)),
    }
}

fn same_ignoring_case(policy: &str, request: &str, variables: bool, context: &Context) -> bool {
    let Some(tokens) = pattern::fill(&pattern::pieces(policy, variables), false, context) else {
        return false;
    };
    let text: String = tokens.iter().map(|t| if let pattern::Token::Char(c) = t { *c } else { '*' }).collect();
    text.to_lowercase() == request.to_lowercase()
}

fn ordered(relation: &str, request: Option<i128>, policy: Option<i128>) -> bool {
    let (Some(request), Some(policy)) = (request, policy) else {
        return false;
    };
    match relation {
        "equals" => request == policy,
        "lessthan" => request < policy,
        "lessthanequals" => request <= policy,
        "greaterthan" => request > policy,
        "greaterthanequals" => request >= policy,
        other => unreachable!("relation {other}"),
    }
}

/// Digits after the point that decimals keep.
pub const DECIMALS: usize = 9;

/// A decimal number, scaled by 10^9; `None` if the text is no such number.
pub fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || whole.len() > 18 || part.len() > DECIMALS {
        return None;
    }
    if !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let scaled: i128 = format!("{whole}{part:0<DECIMALS$}").parse().ok()?;
    Some(sign * scaled)
}

/// A time in nanoseconds since 1970: ISO 8601 date, date-time with offset, or epoch seconds.
pub fn instant(text: &str) -> Option<i128> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return decimal(text);
    }
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let nanos = match time {
        Some(time) => time_of_day(time)?,
        None => 0,
    };
    Some(i128::from(days_since_1970(year, month, day)) * 86_400 * 1_000_000_000 + nanos)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let right = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if right { text.parse().ok() } else { None }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |y: i64| (y - 1).div_euclid(4) - (y - 1).div_euclid(100) + (y - 1).div_euclid(400);
    let years = (year - 1970) * 365 + leaps(year) - leaps(1970);
    years + (1..month).map(|m| days_in_month(year, m)).sum::<i64>() + day - 1
}

/// `hh:mm[:ss[.fff]]` with `Z`, `±hh:mm` or nothing (UTC), as nanoseconds since that day's midnight UTC.
fn time_of_day(text: &str) -> Option<i128> {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (&text[..at], &text[at..]),
        None => (text, "Z"),
    };
    let minutes = if offset.eq_ignore_ascii_case("z") {
        0
    } else {
        let (hours, minutes) = match offset[1..].split_once(':') {
            Some(pair) => pair,
            None if offset.len() == 5 => offset[1..].split_at(2),
            None => return None,
        };
        let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        (hours * 60 + minutes) * if offset.starts_with('-') { -1 } else { 1 }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [h, m] => (digits(h, 2)?, digits(m, 2)?, 0),
        [h, m, s] => (digits(h, 2)?, digits(m, 2)?, digits(s, 2)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = if fraction.is_empty() { 0 } else { decimal(&format!("0.{fraction}"))? };
    Some(i128::from(hour * 3600 + minute * 60 + second - minutes * 60) * 1_000_000_000 + fraction)
}

/// An address block: the network's first address as a number, prefix length, and the width of the family.
pub fn block(text: &str) -> Option<(u128, u32, u32)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let (number, width) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let length = match prefix {
        Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => prefix.parse().ok()?,
        Some(_) => return None,
        None => width,
    };
    if length > width {
        return None;
    }
    let host = width - length;
    let network = if host == 128 { 0 } else { number >> host << host };
    Some((network, length, width))
}

fn address_in(policy: &str, request: &str) -> bool {
    let Ok(address) = request.parse::<IpAddr>() else {
        return false;
    };
    let (Some((network, length, width)), Some((number, _, own))) = (block(policy), block(&address.to_string())) else {
        return false;
    };
    let host = width - length;
    width == own && (host == 128 || number >> host == network >> host)
}
