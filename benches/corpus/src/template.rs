//! Records with slots: what is read out of `templates.jsonl`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::prng::hash_text;

/// Values of one record that may stand in several places.
pub const MAX_VALUES: usize = 64;

/// The templates, made by `tools/templates.py`; the first line says where they come from.
const TEMPLATES: &str = include_str!("templates.jsonl");

/// Who may make the call of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caller {
    /// A user or a session of a role.
    Session,
    /// An AWS service as itself; the identity stands in the template.
    Service,
    /// Nobody: a service event.
    Event,
}

/// How a value is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    Uuid,
    UpperUuid,
    Hex,
    /// Letters and digits, as in S3 request ids.
    Upper,
    /// Letters and digits of both cases.
    Mixed,
    Base64,
    Digits,
    /// A number below the argument.
    Number,
    /// Words, as people name roles, functions and tables.
    Name,
    /// A bucket's name.
    Bucket,
}

/// What is written in a place of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    /// `userIdentity`.
    Identity,
    /// ARN and name of the caller.
    Arn,
    User,
    Time,
    /// A time shortly before the event, in three forms.
    Iso,
    Spelled,
    Date,
    /// The day as `2026/09/16`.
    Path,
    SourceIp,
    UserAgent,
    Account,
    Region,
    /// `recipientAccountId`, and `sharedEventID` where there is one.
    Recipient,
    EventId,
    /// New in every record.
    Fresh {
        spelling: Spelling,
        size: u64,
        value: usize,
    },
    /// One of those that the account has.
    Pooled {
        spelling: Spelling,
        size: u64,
        kind: u64,
        pool: u64,
        value: usize,
    },
}

/// A template.
#[derive(Debug)]
pub struct Template {
    pub source: String,
    pub name: String,
    pub caller: Caller,
    /// The service through which the session called; empty where it did so itself.
    pub via: String,
    pub weight: u64,
    /// Only in us-east-1.
    pub global: bool,
    pub category: String,
    /// False for service events.
    pub call: bool,
    pub denied: bool,
    /// `invokedBy` of a service.
    pub service: String,
    pub pieces: Vec<Piece>,
}

#[derive(Deserialize)]
struct Line {
    source: String,
    name: String,
    kind: Caller,
    via: String,
    weight: u64,
    global: bool,
    category: String,
    call: bool,
    denied: bool,
    text: String,
}

/// All templates.
///
/// # Errors
/// Which line is none.
pub fn load() -> Result<Vec<Template>, String> {
    TEMPLATES
        .lines()
        .skip(1)
        .enumerate()
        .map(|(at, line)| read(line).map_err(|e| format!("template {at}: {e}")))
        .collect()
}

fn read(line: &str) -> Result<Template, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let service = line.text.split_once("\"invokedBy\":\"").and_then(|(_, rest)| rest.split('"').next());
    Ok(Template {
        service: service.unwrap_or_default().to_owned(),
        pieces: pieces(&line.text)?,
        source: line.source,
        name: line.name,
        caller: line.kind,
        via: line.via,
        weight: line.weight,
        global: line.global,
        category: line.category,
        call: line.call,
        denied: line.denied,
    })
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut out = Vec::new();
    let mut values = BTreeMap::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('⟦') {
        let (inside, next) = after.split_once('⟧').ok_or("a slot does not end")?;
        if !before.is_empty() {
            out.push(Piece::Text(before.as_bytes().to_vec()));
        }
        out.push(slot(inside, before, &mut values)?);
        rest = next;
    }
    out.push(Piece::Text(rest.as_bytes().to_vec()));
    if values.len() > MAX_VALUES {
        return Err(format!("{} values, {MAX_VALUES} at most", values.len()));
    }
    Ok(out)
}

/// `before` is the text before the slot: `vpc-` and `subnet-` have pools of their own.
fn slot(inside: &str, before: &str, values: &mut BTreeMap<String, usize>) -> Result<Piece, String> {
    let mut parts = inside.split(',');
    let kind = parts.next().unwrap_or_default();
    let size = parts.next().map_or(Ok(0), str::parse::<u64>).map_err(|e| format!("{inside}: {e}"))?;
    let number = parts.next().unwrap_or_default();
    let mut value = || {
        let next = values.len();
        *values.entry(number.to_owned()).or_insert(next)
    };
    let word = before.rsplit(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
    let mut pooled = |spelling, pool| {
        let kind = hash_text(match spelling {
            Spelling::Hex => word,
            _ => kind,
        });
        Piece::Pooled { spelling, size, kind, pool, value: value() }
    };
    Ok(match kind {
        "phex" => pooled(Spelling::Hex, 48),
        "puid" => pooled(Spelling::Upper, 48),
        "psfx" => pooled(Spelling::Mixed, 40),
        "pnum" => pooled(Spelling::Number, 40),
        "key" => pooled(Spelling::Uuid, 12),
        "name" => pooled(Spelling::Name, 60),
        "bkt" => pooled(Spelling::Bucket, 24),
        "uuid" => Piece::Fresh { spelling: Spelling::Uuid, size, value: value() },
        "UUID" => Piece::Fresh { spelling: Spelling::UpperUuid, size, value: value() },
        "hex" => Piece::Fresh { spelling: Spelling::Hex, size, value: value() },
        "upper" => Piece::Fresh { spelling: Spelling::Upper, size, value: value() },
        "b64" => Piece::Fresh { spelling: Spelling::Base64, size, value: value() },
        "dig" => Piece::Fresh { spelling: Spelling::Digits, size, value: value() },
        "num" => Piece::Fresh { spelling: Spelling::Number, size, value: value() },
        "id" => Piece::Identity,
        "arn" => Piece::Arn,
        "user" => Piece::User,
        "time" => Piece::Time,
        "iso" => Piece::Iso,
        "cons" => Piece::Spelled,
        "date" => Piece::Date,
        "path" => Piece::Path,
        "ip" => Piece::SourceIp,
        "ua" => Piece::UserAgent,
        "acct" => Piece::Account,
        "reg" => Piece::Region,
        "rec" => Piece::Recipient,
        "eid" => Piece::EventId,
        other => return Err(format!("no slot is called {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_read() {
        let all = load().unwrap();
        assert!(all.len() > 300, "{}", all.len());
        for caller in [Caller::Session, Caller::Service, Caller::Event] {
            assert!(all.iter().any(|t| t.caller == caller));
        }
        assert!(all.iter().filter(|t| t.caller == Caller::Service).all(|t| t.service.ends_with(".amazonaws.com")));
    }

    #[test]
    fn slots_of_one_number_share_a_value() {
        let got = pieces("a⟦uuid,0,7⟧b⟦uuid,0,7⟧vpc-⟦phex,8,9⟧").unwrap();
        let uuid = Piece::Fresh { spelling: Spelling::Uuid, size: 0, value: 0 };
        assert_eq!(got[1], uuid);
        assert_eq!(got[3], uuid);
        assert!(matches!(got[5], Piece::Pooled { spelling: Spelling::Hex, size: 8, value: 1, .. }), "{:?}", got[5]);
        assert!(pieces("⟦nothing⟧").is_err());
        assert!(pieces("⟦uuid").is_err());
    }
}
