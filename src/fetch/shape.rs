//! Answers of the SDK as the JSON that the AWS CLI prints of them, which is what the readers of `collect` take.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Map, Value};

/// An object of the members that are there.
pub(super) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect::<Map<_, _>>())
}

/// A list.
pub(super) fn list<T>(items: &[T], each: impl Fn(&T) -> Value) -> Option<Value> {
    Some(Value::Array(items.iter().map(each).collect()))
}

/// A text.
pub(super) fn text(text: impl ToString) -> Option<Value> {
    Some(Value::String(text.to_string()))
}

/// A text where there is one.
pub(super) fn maybe(text: Option<&str>) -> Option<Value> {
    text.map(Value::from)
}

/// A time, as the CLI prints it.
pub(super) fn time(at: Option<&DateTime>) -> Option<Value> {
    at.and_then(|at| at.fmt(Format::DateTime).ok()).map(Value::String)
}

/// A number.
pub(super) fn number(number: impl Into<serde_json::Number>) -> Option<Value> {
    Some(Value::Number(number.into()))
}
