//! Conditions, typed and complete.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".

use std::fmt;

use super::document::PolicyError;
use super::json::Node;

/// Declares the operators with their names.
macro_rules! operators {
    ($($variant:ident,)*) => {
        /// A condition operator without its qualifier and suffix.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are AWS's, documented in the IAM User Guide")]
        pub enum Operator {
            $($variant,)*
        }

        impl Operator {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as AWS writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

operators! {
    StringEquals, StringNotEquals, StringEqualsIgnoreCase, StringNotEqualsIgnoreCase, StringLike, StringNotLike,
    NumericEquals, NumericNotEquals, NumericLessThan, NumericLessThanEquals, NumericGreaterThan,
    NumericGreaterThanEquals,
    DateEquals, DateNotEquals, DateLessThan, DateLessThanEquals, DateGreaterThan, DateGreaterThanEquals,
    Bool, BinaryEquals, IpAddress, NotIpAddress, ArnEquals, ArnLike, ArnNotEquals, ArnNotLike, Null,
}

/// How an operator treats several values in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qualifier {
    /// No qualifier.
    None,
    /// `ForAllValues:` (also true where the key is absent).
    ForAllValues,
    /// `ForAnyValue:`
    ForAnyValue,
}

/// One condition: operator, key, values. All conditions of a statement must hold; of the values one suffices
/// (for negated operators: none may match).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// The operator.
    pub operator: Operator,
    /// Its qualifier.
    pub qualifier: Qualifier,
    /// Whether it also holds where the key is absent.
    pub if_exists: bool,
    /// The context key, in the case in which it was written; keys are compared without case.
    pub key: String,
    /// The values as written; booleans and numbers as text.
    pub values: Vec<String>,
}

impl Condition {
    /// Reads the `Condition` element. Sorted by operator and key, so that equal conditions are equal.
    pub(super) fn parse_all(node: &Node, path: &str) -> Result<Vec<Self>, PolicyError> {
        let Node::Object(operators) = node else {
            return Err(PolicyError::new(
                path,
                format!("expected an object of condition operators, found {}", node.kind()),
            ));
        };
        let mut out: Vec<Self> = Vec::new();
        for (name, keys) in operators {
            let path = format!("{path}.{name}");
            let (operator, qualifier, if_exists) = operator(name, &path)?;
            let Node::Object(keys) = keys else {
                let reason = format!("expected an object of condition keys, found {}", keys.kind());
                return Err(PolicyError::new(&path, reason));
            };
            for (key, values) in keys {
                let path = format!("{path}.{key}");
                if key.is_empty() {
                    return Err(PolicyError::new(&path, "expected a condition key, found an empty name".to_owned()));
                }
                let values = values_of(values, &path)?;
                let one = Self { operator, qualifier, if_exists, key: key.clone(), values };
                let twice = out.iter().any(|other| {
                    (other.operator, other.qualifier, other.if_exists) == (operator, qualifier, if_exists)
                        && other.key.eq_ignore_ascii_case(key)
                });
                if twice {
                    return Err(PolicyError::new(&path, "expected each key once under an operator".to_owned()));
                }
                out.push(one);
            }
        }
        out.sort();
        Ok(out)
    }
}

fn operator(name: &str, path: &str) -> Result<(Operator, Qualifier, bool), PolicyError> {
    let unknown = || {
        PolicyError::new(
            path,
            format!("expected a condition operator such as StringEquals or ForAnyValue:StringLike, found `{name}`"),
        )
    };
    let (qualifier, rest) = match name.split_once(':') {
        None => (Qualifier::None, name),
        Some((set, rest)) if set.eq_ignore_ascii_case("ForAllValues") => (Qualifier::ForAllValues, rest),
        Some((set, rest)) if set.eq_ignore_ascii_case("ForAnyValue") => (Qualifier::ForAnyValue, rest),
        Some(_) => return Err(unknown()),
    };
    let find = |text: &str| Operator::ALL.iter().copied().find(|operator| operator.as_str().eq_ignore_ascii_case(text));
    if let Some(operator) = find(rest) {
        return Ok((operator, qualifier, false));
    }
    const SUFFIX: &str = "IfExists";
    let base = rest
        .len()
        .checked_sub(SUFFIX.len())
        .and_then(|at| rest.split_at_checked(at))
        .filter(|(_, end)| end.eq_ignore_ascii_case(SUFFIX))
        .map(|(base, _)| base);
    match base.and_then(find) {
        Some(Operator::Null) | None => Err(unknown()),
        Some(operator) => Ok((operator, qualifier, true)),
    }
}

fn values_of(node: &Node, path: &str) -> Result<Vec<String>, PolicyError> {
    let scalar = |node: &Node, path: &str| match node {
        Node::Text(text) | Node::Number(text) => Ok(text.clone()),
        Node::Bool(value) => Ok(value.to_string()),
        other => Err(PolicyError::new(path, format!("expected a value, found {}", other.kind()))),
    };
    match node {
        Node::List(list) => {
            let mut values = Vec::with_capacity(list.len());
            for (at, value) in list.iter().enumerate() {
                values.push(scalar(value, &format!("{path}[{at}]"))?);
            }
            values.sort();
            values.dedup();
            Ok(values)
        }
        one => scalar(one, path).map(|value| vec![value]),
    }
}

impl fmt::Display for Condition {
    /// `ForAnyValue:StringLikeIfExists(aws:key: "a", "b")`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.qualifier {
            Qualifier::None => "",
            Qualifier::ForAllValues => "ForAllValues:",
            Qualifier::ForAnyValue => "ForAnyValue:",
        })?;
        write!(f, "{}{}({}:", self.operator.as_str(), if self.if_exists { "IfExists" } else { "" }, self.key)?;
        for (at, value) in self.values.iter().enumerate() {
            write!(f, "{}{value:?}", if at == 0 { " " } else { ", " })?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Condition>, PolicyError> {
        Condition::parse_all(&serde_json::from_str(text).unwrap(), "Condition")
    }

    #[test]
    fn operators_and_values() {
        for (text, want) in [
            (r#"{"Bool":{"aws:MultiFactorAuthPresent":true}}"#, r#"Bool(aws:MultiFactorAuthPresent: "true")"#),
            (r#"{"NumericLessThan":{"a":[10,2.5]}}"#, r#"NumericLessThan(a: "10", "2.5")"#),
            (r#"{"ForAnyValue:StringLikeIfExists":{"k":["b","a"]}}"#, r#"ForAnyValue:StringLikeIfExists(k: "a", "b")"#),
            (r#"{"stringequals":{"k":[]}}"#, "StringEquals(k:)"),
            (r#"{"Null":{"k":"true"}}"#, r#"Null(k: "true")"#),
        ] {
            let conditions = parse(text).unwrap();
            assert_eq!(conditions.iter().map(ToString::to_string).collect::<Vec<_>>(), [want]);
        }
        let two = parse(r#"{"StringLike":{"z":"1"},"StringEquals":{"b":"1","a":"1"}}"#).unwrap();
        assert_eq!(two.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["a", "b", "z"]);
    }

    #[test]
    fn what_is_refused() {
        for (text, path) in [
            ("[]", "Condition"),
            (r#"{"StringMatches":{"k":"v"}}"#, "Condition.StringMatches"),
            (r#"{"NullIfExists":{"k":"true"}}"#, "Condition.NullIfExists"),
            (r#"{"ForSomeValues:StringEquals":{"k":"v"}}"#, "Condition.ForSomeValues:StringEquals"),
            (r#"{"StringEquals":"v"}"#, "Condition.StringEquals"),
            (r#"{"StringEquals":{"k":{"a":"b"}}}"#, "Condition.StringEquals.k"),
            (r#"{"StringEquals":{"k":["a",null]}}"#, "Condition.StringEquals.k[1]"),
            (r#"{"StringEquals":{"k":"a","K":"b"}}"#, "Condition.StringEquals.K"),
        ] {
            assert_eq!(parse(text).unwrap_err().path, path, "{text}");
        }
    }
}
