//! A record into a row. What a run of members brings is worked out once: see [`Run`].

use super::{Chunk, Content, Identities, RECORD_FACTOR};
use crate::lake::content::{Hasher, repeats, twice_named};
use crate::lake::fold;
use crate::lake::json::{Kind, Part, Run, Value};
use crate::lake::normalise::{self, Carried, Field, Fields};
use crate::lake::symbols::{Sym, Symbols};

/// Runs of which a chunk remembers what they bring; past it all are forgotten.
const MAX_EFFECTS: usize = 8192;

/// Fields whose texts are symbols of the chunk.
const SYMBOLS: [Field; 10] = [
    Field::Source,
    Field::Name,
    Field::Region,
    Field::Type,
    Field::ErrorCode,
    Field::SourceIp,
    Field::UserAgent,
    Field::Endpoint,
    Field::Tls,
    Field::Recipient,
];

/// Symbols of a record's texts that are known without looking.
#[derive(Debug, Default)]
pub(super) struct Known {
    symbols: [Sym; Field::COUNT],
    set: u64,
}

impl Known {
    fn put(&mut self, field: Field, sym: Sym) {
        if let Some(slot) = self.symbols.get_mut(field as usize) {
            *slot = sym;
            self.set |= field.bit();
        }
    }

    pub(super) fn get(&self, field: Field) -> Option<Sym> {
        self.symbols.get(field as usize).copied().filter(|_| self.set & field.bit() != 0)
    }
}

/// What a run brings to a record.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// To the hash of its content.
    sum: u64,
    /// Its keys: those that are fields, and the hashes of the others.
    keys: u64,
    others: Vec<u64>,
    /// Where in the run the values of fields stand.
    fields: Vec<(Field, u32)>,
    symbols: Vec<(Field, Sym)>,
    session: Option<u32>,
}

impl Effect {
    fn of(run: &Run, hasher: &mut Hasher, identities: &mut Identities, symbols: &mut Symbols) -> Result<Self, String> {
        let mut effect = Self::default();
        for (key, value, at) in run.members() {
            let (field, sum, name) = member(key, value, hasher, identities, &mut effect.session)?;
            effect.sum = effect.sum.wrapping_add(sum);
            match field {
                // A run that holds a key twice is of no record that is stored; it stays one.
                Some(field) if effect.keys & field.bit() == 0 => effect.keys |= field.bit(),
                _ => effect.others.extend([name].repeat(1 + usize::from(field.is_some()))),
            }
            let Some(field) = field else { continue };
            effect.fields.push((field, at));
            if SYMBOLS.contains(&field) {
                let text = if field == Field::Tls { normalise::tls_version(value) } else { value.lenient() };
                effect.symbols.push((field, symbols.intern(&text)));
            }
        }
        Ok(effect)
    }
}

/// The field of a member, what it adds to the hash of the record, and the hash of its key.
fn member(
    key: Value<'_>,
    value: Value<'_>,
    hasher: &mut Hasher,
    identities: &mut Identities,
    session: &mut Option<u32>,
) -> Result<(Option<Field>, u64, u64), String> {
    let field = key.text().and_then(|key| Field::of(&key));
    let (sum, name) = if field == Some(Field::Identity) {
        let (index, hash) = identities.of(Some(value), hasher)?;
        *session = Some(index);
        Hasher::with_key(key, hash)
    } else {
        hasher.member(key, value)?
    };
    Ok((field, sum, name))
}

/// A record's members, gathered.
#[derive(Default)]
struct Members<'t> {
    fields: Fields<'t>,
    known: Known,
    sum: u64,
    keys: u64,
    /// Hashes of keys that are no fields.
    others: Vec<u64>,
    session: Option<u32>,
    twice: bool,
}

impl<'t> Members<'t> {
    fn run(&mut self, run: &'t Run, effect: &Effect) {
        self.sum = self.sum.wrapping_add(effect.sum);
        self.twice |= self.keys & effect.keys != 0;
        self.keys |= effect.keys;
        self.others.extend_from_slice(&effect.others);
        for (field, at) in &effect.fields {
            self.fields.set(*field, run.value(*at));
        }
        for (field, sym) in &effect.symbols {
            self.known.put(*field, *sym);
        }
        self.session = effect.session.or(self.session);
    }

    fn one(&mut self, value: Value<'t>, (field, sum, name): (Option<Field>, u64, u64)) {
        self.sum = self.sum.wrapping_add(sum);
        match field {
            Some(field) => {
                self.twice |= self.keys & field.bit() != 0;
                self.keys |= field.bit();
                self.fields.set(field, value);
            }
            None => self.others.push(name),
        }
    }
}

impl Chunk {
    /// Adds a record of the file begun last, of which its form carries so much.
    ///
    /// # Errors
    /// Why the record cannot be an event, in words.
    pub(crate) fn add(&mut self, value: Value<'_>, offset: u64, length: u64, carried: Carried) -> Result<(), String> {
        if value.kind() != Kind::Object {
            return Err("not a CloudTrail record: expected a JSON object".to_owned());
        }
        let more = value.raw().len().saturating_mul(RECORD_FACTOR);
        if self.bytes().saturating_add(more) > u32::MAX as usize {
            // Whoever fills a chunk empties it long before.
            return Err("no room is left for it beside what was read before".to_owned());
        }
        let mut members = Members { others: std::mem::take(&mut self.others), ..Members::default() };
        members.others.clear();
        self.gather(value, &mut members).map_err(|key| twice(&key))?;
        let repeated = members.twice || repeats(&mut members.others);
        self.others = std::mem::take(&mut members.others);
        if repeated && let Some(key) = twice_named(value) {
            return Err(twice(&key.chars().take(64).collect::<String>()));
        }
        let Self { hasher, identities, .. } = self;
        let session = match members.session {
            Some(session) => session,
            None => identities.of(None, hasher).map_err(|key| twice(&key))?.0,
        };
        let list = &identities.list;
        let owner = || list.get(session as usize).map(|(_, i)| i.account.clone()).unwrap_or_default();
        let record = normalise::normalise(&members.fields, carried, &owner)?;
        let core = Content::core(&record);
        // Zero says that there is no such hash.
        let whole = if carried.whole { Hasher::RECORD.wrapping_add(members.sum).max(1) } else { 0 };
        let row = self.row(&record, &members.known, session, Content { core, whole }, (offset, length));
        if let Some(noted) = fold::noted(&record) {
            self.noted_bytes += noted.bytes();
            self.noted.push((self.rows.len() as u32, noted));
        }
        self.rows.push(row);
        Ok(())
    }

    /// # Errors
    /// The key that an object within the record holds twice.
    fn gather<'t>(&mut self, value: Value<'t>, members: &mut Members<'t>) -> Result<(), String> {
        let Self { hasher, identities, symbols, effects, .. } = self;
        for part in value.parts() {
            match part {
                Part::Member(key, value) => {
                    let found = member(key, value, hasher, identities, &mut members.session)?;
                    members.one(value, found);
                }
                Part::Run(run) => {
                    if let Some(effect) = effects.get(&run.stamp()) {
                        members.run(run, effect);
                        continue;
                    }
                    if effects.len() >= MAX_EFFECTS {
                        effects.clear();
                    }
                    let effect = Effect::of(run, hasher, identities, symbols)?;
                    members.run(run, &effect);
                    effects.insert(run.stamp(), effect);
                }
            }
        }
        Ok(())
    }
}

fn twice(key: &str) -> String {
    format!("the key `{key}` stands twice in one object")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lake::json::Tape;

    /// All that a chunk knows of its rows, as text, and what it refused.
    fn told(records: &[String], tape: Tape) -> (Vec<String>, Vec<String>) {
        told_by(&mut Chunk::new(false), records, tape)
    }

    fn told_by(chunk: &mut Chunk, records: &[String], mut tape: Tape) -> (Vec<String>, Vec<String>) {
        let mut refused = Vec::new();
        for text in records {
            assert_eq!(tape.parse(text.as_bytes(), usize::MAX), Ok(text.len()), "{text}");
            if let Err(reason) = chunk.add(tape.root(text), 1, 2, Carried::WHOLE) {
                refused.push(format!("{text}: {reason}"));
            }
        }
        let row = |row: &crate::lake::chunk::Row| {
            let symbols = [
                row.source,
                row.name,
                row.region,
                row.account,
                row.event_type,
                row.error_code,
                row.error_message,
                row.source_ip,
                row.user_agent,
                row.endpoint,
                row.tls,
            ];
            let spans = [row.id, row.shared, row.request_id, row.request, row.response, row.additional, row.details];
            format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                row.time,
                row.entry,
                chunk.identity(row.session),
                symbols.map(|sym| chunk.sym(sym)),
                spans.map(|span| chunk.text(span)),
                chunk.variant_of(row.variant).tags,
                chunk.text(chunk.targets_of(row.targets).list),
                chunk.text(chunk.targets_of(row.targets).arns),
                row.category,
                row.outcome,
                row.read_only,
                row.console
            )
        };
        (chunk.rows.iter().map(row).collect(), refused)
    }

    /// A member of a record: of a few keys and few values, so that they stand together again and again, and sometimes
    /// twice.
    fn member() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "eventID",
            "eventVersion",
            "userIdentity",
            "eventTime",
            "awsRegion",
            "sourceIPAddress",
            "errorCode",
            "requestParameters",
            "resources",
            "readOnly",
            "recipientAccountId",
            "accountId",
            "eventCategory",
            "tlsDetails",
            "\\u0065ventID",
            "other",
            "vpcEndpointId",
            "sharedEventID",
            "insightDetails",
        ]);
        let value = prop::sample::select(vec![
            r#""a""#,
            r#""Insight""#,
            r#""2024-01-01T00:00:00Z""#,
            r#"{"type":"IAMUser","accountId":"1","tlsVersion":"TLSv1.3","eventName":"x"}"#,
            r#"[{"ARN":"arn:aws:s3:::b","accountId":"2"}]"#,
            "null",
            "true",
            r#""\u0041\"""#,
            r#"{"a":1,"a":2}"#,
        ]);
        (key, value, prop::sample::select(vec!["", " "])).prop_map(|(k, v, s)| format!("\"{k}\"{s}:{v}"))
    }

    /// What names an insight may stand elsewhere in it; that its run tells the rest holds all the same.
    #[test]
    fn runs_of_insights_tell_their_tls() {
        let record = r#"{"eventTime":"2023-07-10T11:42:24Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventCategory":"Insight","tlsDetails":{"tlsVersion":"TLSv1.3"}}"#;
        let records = vec![record.to_owned(); 3];
        assert_eq!(told(&records, Tape::of_records()), told(&records, Tape::default()));
    }

    proptest! {
        #[test]
        fn runs_of_members_bring_what_the_members_would(
            shapes in prop::collection::vec(prop::collection::vec(member(), 0..7), 1..5),
            picks in prop::collection::vec((0usize..5, 0usize..3), 1..30),
        ) {
            let records: Vec<String> = picks
                .iter()
                .enumerate()
                .map(|(n, (shape, head))| {
                    let shape = shapes.get(shape % shapes.len()).cloned().unwrap_or_default();
                    let head = ["s3.amazonaws.com", "ec2.amazonaws.com", ""][*head];
                    let id = if n % 3 == 0 { format!(r#","requestID":"{n}""#) } else { String::new() };
                    let time = if n % 4 == 0 { "" } else { r#""eventTime":"2023-07-10T11:42:24Z","# };
                    let tail: String = shape.iter().map(|member| format!(",{member}")).collect();
                    format!(r#"{{{time}"eventSource":"{head}","eventName":"GetObject"{id}{tail}}}"#)
                })
                .collect();
            prop_assert_eq!(told(&records, Tape::of_records()), told(&records, Tape::default()));
            // A chunk that held others before says the same as a new one.
            let mut used = Chunk::new(false);
            let others: Vec<String> = records.iter().rev().map(|record| record.replace("Get", "Put")).collect();
            told_by(&mut used, &others, Tape::of_records());
            used.clear();
            prop_assert_eq!(used.bytes(), Chunk::new(false).bytes());
            prop_assert_eq!(told_by(&mut used, &records, Tape::of_records()), told(&records, Tape::default()));
        }
    }
}
