//! A record into a row. What a run of members brings is worked out once: see [`Run`].

use super::{Chunk, Content, Identities};
use crate::lake::content::{Hasher, repeats, twice_named};
use crate::lake::fold;
use crate::lake::json::{Kind, Part, Run, Value};
use crate::lake::normalise::{self, Field, Fields};
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
    fn of(
        run: &Run,
        hasher: &mut Hasher,
        identities: &mut Identities,
        symbols: &mut Symbols,
    ) -> Result<Self, String> {
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
    /// Adds a record of the file begun last. `lossy`: its form cannot carry the whole record.
    ///
    /// # Errors
    /// Why the record cannot be an event, in words.
    pub(crate) fn add(&mut self, value: Value<'_>, offset: u64, length: u64, lossy: bool) -> Result<(), String> {
        if value.kind() != Kind::Object {
            return Err("not a CloudTrail record: expected a JSON object".to_owned());
        }
        let mut members = self.members(value).map_err(|key| twice(&key))?;
        if members.twice || repeats(&mut members.others) {
            if let Some(key) = twice_named(value) {
                return Err(twice(&key.chars().take(64).collect::<String>()));
            }
        }
        let Self { hasher, identities, .. } = self;
        let session = match members.session {
            Some(session) => session,
            None => identities.of(None, hasher).map_err(|key| twice(&key))?.0,
        };
        let list = &identities.list;
        let owner = || list.get(session as usize).map(|(_, i)| i.account.clone()).unwrap_or_default();
        let record = normalise::normalise(&members.fields, &owner)?;
        let core = Content::core(&record);
        // Zero says that there is no such hash.
        let whole = if lossy { 0 } else { Hasher::RECORD.wrapping_add(members.sum).max(1) };
        let row = self.row(&record, &members.known, session, Content { core, whole }, (offset, length));
        if let Some(noted) = fold::noted(&record) {
            self.noted.push((self.rows.len() as u32, noted));
        }
        self.rows.push(row);
        Ok(())
    }

    /// # Errors
    /// The key that an object within the record holds twice.
    fn members<'t>(&mut self, value: Value<'t>) -> Result<Members<'t>, String> {
        let Self { hasher, identities, symbols, effects, .. } = self;
        let mut members = Members::default();
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
        Ok(members)
    }
}

fn twice(key: &str) -> String {
    format!("the key `{key}` stands twice in one object")
}
