//! What a call looks like in CloudTrail: the templates of `fixtures/demo/calls.json`, filled in.

use serde_json::{Map, Value, json};

use super::DemoError;
use super::rng::{Rng, named_alnum};
use super::world::{CallTemplate, World};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    /// No policy of the identity allows it.
    Identity,
    /// A service control policy denies it.
    Scp,
    /// The permissions boundary does not allow it.
    Boundary,
    Throttled,
}

/// A call as fixtures write it: `service:Name ARG… [@invoker] [!ending]`.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub key: &'a str,
    pub template: &'a CallTemplate,
    pub arguments: Vec<&'a str>,
    pub invoked_by: Option<&'a str>,
    pub ending: Ending,
}

impl<'a> Call<'a> {
    pub fn parse(world: &'a World, text: &'a str) -> Result<Self, DemoError> {
        let mut words = text.split_ascii_whitespace();
        let key = words.next().unwrap_or("");
        let template = world.calls.get(key).ok_or_else(|| DemoError::unknown("call", key))?;
        let mut call = Self { key, template, arguments: Vec::new(), invoked_by: None, ending: Ending::Done };
        for word in words {
            if let Some(service) = word.strip_prefix('@') {
                call.invoked_by = Some(service);
            } else if let Some(ending) = word.strip_prefix('!') {
                call.ending = match ending {
                    "identity" => Ending::Identity,
                    "scp" => Ending::Scp,
                    "boundary" => Ending::Boundary,
                    "throttle" => Ending::Throttled,
                    other => return Err(DemoError::unknown("ending", other)),
                };
            } else {
                call.arguments.push(word);
            }
        }
        Ok(call)
    }

    /// Prefix of the event source, such as `ec2`.
    pub fn service(&self) -> &'a str {
        self.key.split(':').next().unwrap_or(self.key)
    }

    pub fn event_name(&self) -> &str {
        self.template.name.as_deref().unwrap_or_else(|| self.key.split(':').nth(1).unwrap_or(""))
    }

    /// The IAM action.
    pub fn action(&self) -> &str {
        self.template.action.as_deref().unwrap_or(self.key)
    }
}

/// What placeholders in templates stand for.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    pub arguments: &'a [&'a str],
    pub account: &'a str,
    pub management: &'a str,
    pub region: &'a str,
    /// `YYYY-MM-DD`.
    pub date: &'a str,
    /// Session or user name.
    pub user: &'a str,
}

impl Slots<'_> {
    /// Fills one text. Unknown placeholders stay as they stand: policy documents carry braces of their own.
    pub fn fill(&self, text: &str, rng: &mut Rng) -> String {
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            match after.split_once('}').and_then(|(name, tail)| Some((self.value(name, rng)?, tail))) {
                Some((value, tail)) => {
                    out.push_str(&value);
                    rest = tail;
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&self, name: &str, rng: &mut Rng) -> Option<String> {
        Some(match name {
            "0" => (*self.arguments.first()?).to_owned(),
            "1" => (*self.arguments.get(1)?).to_owned(),
            "account" => self.account.to_owned(),
            "management" => self.management.to_owned(),
            "region" => self.region.to_owned(),
            "date" => self.date.replace('-', "/"),
            "date-" => self.date.to_owned(),
            "user" => self.user.to_owned(),
            "uuid" => rng.uuid(),
            "id8" => rng.hex(8),
            "id17" => rng.hex(17),
            "id32" => rng.hex(32),
            // The six characters that Secrets Manager appends to a name: fixed by the name.
            "stable6" => named_alnum(&format!("secret {}", self.arguments.first()?), 6),
            _ => return None,
        })
    }

    /// Fills every text of a JSON value.
    pub fn fill_json(&self, value: &Value, rng: &mut Rng) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text, rng)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill_json(item, rng)).collect()),
            Value::Object(fields) => {
                let mut filled = Map::new();
                for (name, field) in fields {
                    filled.insert(name.clone(), self.fill_json(field, rng));
                }
                Value::Object(filled)
            }
            other => other.clone(),
        }
    }
}

/// `errorCode` and `errorMessage` as the service words them; none where the call went through.
pub(super) fn error_of(call: &Call<'_>, caller_arn: &str, resource: &str) -> Option<(String, String)> {
    let action = call.action();
    let because = match call.ending {
        Ending::Done => return None,
        Ending::Throttled => return Some(("ThrottlingException".to_owned(), "Rate exceeded".to_owned())),
        Ending::Identity => format!("because no identity-based policy allows the {action} action"),
        Ending::Scp => "with an explicit deny in a service control policy".to_owned(),
        Ending::Boundary => format!("because no permissions boundary allows the {action} action"),
    };
    let message =
        format!("User: {caller_arn} is not authorized to perform: {action} on resource: {resource} {because}");
    Some(match call.service() {
        "ec2" => (
            "Client.UnauthorizedOperation".to_owned(),
            format!("You are not authorized to perform this operation. {message}"),
        ),
        "cloudtrail" => ("AccessDeniedException".to_owned(), message),
        _ => ("AccessDenied".to_owned(), message),
    })
}

/// The `resources` of a record; null where the service lists none.
pub(super) fn resources_of(call: &Call<'_>, arn: &str, bucket: Option<&str>, account: &str) -> Value {
    let (Some(kind), false) = (&call.template.kind, call.template.noresources) else { return Value::Null };
    match bucket {
        Some(bucket) => json!([
            {"type": kind, "ARN": arn},
            {"accountId": account, "type": "AWS::S3::Bucket", "ARN": bucket},
        ]),
        None => json!([{"accountId": account, "type": kind, "ARN": arn}]),
    }
}
