//! `--pseudonymise`: names of people replaced by stable pseudonyms in everything that is told. The key that makes them is a
//! file of the user's: whoever destroys it leaves nobody who could say whose they were.
//!
//! Replaced are the ids, names, e-mail addresses and user names of everybody in the roster and in Identity Center, the
//! names of IAM users, and the names that sessions of Identity Center, source identities and SAML subjects bear in the
//! logs, wherever they stand as words of their own. What somebody is called nowhere but in free text is not known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

use crate::lake::Reader;
use crate::model::event::Identity;
use crate::model::snapshot::{RosterKind, Snapshot};
use crate::model::table::{Cell, Column, Rows};
use crate::model::time::Timestamp;
use crate::usage::fold::FactSource;
use crate::usage::people::People;

use super::context::CommandError;
use super::documents;
use super::output::Meta;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Hexadecimal digits of a pseudonym: two people of a million share one by chance once in a hundred organisations.
const DIGITS: usize = 12;
/// Names of fewer characters are words of other things too often.
const SHORTEST: usize = 3;

/// Names with what stands in their place.
pub struct Pseudonyms {
    matcher: AhoCorasick,
    instead: Vec<String>,
}

impl std::fmt::Debug for Pseudonyms {
    /// Without names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pseudonyms").field("names", &self.instead.len()).finish()
    }
}

impl Pseudonyms {
    /// Those for everybody whom a store names. The key is read from a file, which is made where there is none.
    ///
    /// # Errors
    /// When the store or the key cannot be read, or the key cannot be made.
    pub fn of_store(store: &Path, key: &Path, as_of: Timestamp) -> Result<Self, CommandError> {
        let reader = Reader::open(store)?;
        let failed = |source| CommandError::File { path: key.display().to_string(), source };
        let key_bytes = match std::fs::read(key) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make_key(key).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        let Ok(key_bytes) = <[u8; KEY_BYTES]>::try_from(key_bytes) else {
            let path = key.display();
            return Err(CommandError::Usage(format!(
                "{path}: expected a key of {KEY_BYTES} bytes, as jitscan makes it"
            )));
        };
        let snapshot = documents::load(&reader, as_of)?.snapshot;
        let sessions = reader.sessions()?;
        Self::of(&key_bytes, &snapshot, sessions.identities().iter())
    }

    fn of<'a>(
        key: &[u8; KEY_BYTES],
        snapshot: &Snapshot,
        identities: impl Iterator<Item = &'a Identity>,
    ) -> Result<Self, CommandError> {
        let people = People::of(snapshot);
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut put = |name: &str, person: &str, kind: &str| {
            let name = name.trim().to_lowercase();
            if name.chars().count() >= SHORTEST {
                let digits: String =
                    blake3::keyed_hash(key, person.to_lowercase().as_bytes()).to_hex().chars().take(DIGITS).collect();
                names.entry(name).or_insert_with(|| format!("{kind}-{digits}"));
            }
        };
        let mut owned: Vec<&str> = Vec::new();
        for entry in &snapshot.roster {
            owned.extend(entry.iam_users.iter().map(String::as_str));
            let person = people.named(&entry.id).or_else(|| people.named(&entry.email)).unwrap_or(&entry.id);
            if entry.kind == RosterKind::Service {
                continue;
            }
            let local = entry.email.split('@').next().unwrap_or_default();
            for name in [person, &entry.id, &entry.name, &entry.email, local] {
                put(name, person, "person");
            }
            for user in &entry.iam_users {
                put(user.rsplit(['/', ':']).next().unwrap_or(user), person, "person");
            }
        }
        for user in snapshot.identity_center.iter().flat_map(|center| &center.users) {
            let person = people.with_store_id(&user.id).unwrap_or(&user.user_name);
            for name in [person, &user.id, &user.user_name, &user.email] {
                put(name, person, "person");
            }
        }
        let known = |name: &str| people.named(name).unwrap_or(name).to_owned();
        for identity in identities {
            let session = identity.arn.rsplit('/').next().unwrap_or_default();
            if identity.issuer_arn.contains("/AWSReservedSSO_") {
                put(session, &known(session), "person");
            }
            put(&identity.source_identity, &known(&identity.source_identity), "person");
            if identity.kind.contains("SAML") || identity.kind == "IdentityCenterUser" {
                put(&identity.user_name, &known(&identity.user_name), "person");
            }
        }
        for user in snapshot.accounts.values().flat_map(|iam| &iam.users) {
            let arn = user.holder.arn.as_str();
            // Only in its ARN: what it is called may be a word of other things.
            let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
            if let Some(owner) = people.owner_of_iam_user(arn, &user.holder.name) {
                put(resource, owner, "user/person");
            } else if !owned.contains(&arn) && !owned.contains(&user.holder.name.as_str()) {
                put(resource, arn, "user/user");
            }
        }
        let (patterns, instead): (Vec<String>, Vec<String>) = names.into_iter().unzip();
        let matcher = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .map_err(|error| CommandError::Failed(format!("too many names to replace: {error}")))?;
        Ok(Self { matcher, instead })
    }

    /// A text with pseudonyms in place of names.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let apart =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        let mut out = String::new();
        let mut from = 0;
        for found in self.matcher.find_iter(text) {
            let whole = apart(found.start().checked_sub(1)) && apart(Some(found.end()));
            if let (true, Some(instead)) = (whole, self.instead.get(found.pattern().as_usize())) {
                out.push_str(text.get(from..found.start()).unwrap_or_default());
                out.push_str(instead);
                from = found.end();
            }
        }
        if from == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Rows with pseudonyms.
    #[must_use]
    pub const fn rows<'a>(&'a self, rows: &'a dyn Rows) -> Unnamed<'a> {
        Unnamed { names: self, rows }
    }

    fn cell(&self, cell: &Cell) -> Cell {
        match cell {
            Cell::Text(text) => Cell::Text(self.text(text).into_owned()),
            Cell::List(list) => Cell::List(list.iter().map(|text| self.text(text).into_owned()).collect()),
            Cell::Object(value) => Cell::Object(self.value(value)),
            Cell::Null | Cell::Boolean(_) | Cell::Integer(_) | Cell::Time(_) => cell.clone(),
        }
    }

    /// What machine output says of itself, with pseudonyms.
    #[must_use]
    pub fn meta(&self, meta: &Meta) -> Meta {
        let mut out = meta.clone();
        for gap in &mut out.gaps {
            gap.what = self.text(&gap.what).into_owned();
            gap.remedy = self.text(&gap.remedy).into_owned();
        }
        out
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text).into_owned()),
            Value::Array(list) => Value::Array(list.iter().map(|one| self.value(one)).collect()),
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, value)| (self.text(name).into_owned(), self.value(value))).collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// Rows in which pseudonyms stand for names.
#[expect(missing_debug_implementations, reason = "rows may hold a closure")]
pub struct Unnamed<'a> {
    names: &'a Pseudonyms,
    rows: &'a dyn Rows,
}

impl Rows for Unnamed<'_> {
    fn columns(&self) -> &[Column] {
        self.rows.columns()
    }

    fn count(&self) -> usize {
        self.rows.count()
    }

    fn row(&self, at: usize) -> Cow<'_, [Cell]> {
        self.rows.row(at).iter().map(|cell| self.names.cell(cell)).collect()
    }
}

/// Makes a key of random bytes that only its owner may read.
fn make_key(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut key = vec![0; KEY_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::RosterEntry;
    use crate::model::table::Table;

    fn entry(id: &str, name: &str, email: &str, iam_users: &[&str]) -> RosterEntry {
        RosterEntry {
            id: id.to_owned(),
            name: name.to_owned(),
            email: email.to_owned(),
            manager: String::new(),
            team: String::new(),
            kind: RosterKind::Human,
            start: None,
            end: None,
            iam_users: iam_users.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    #[test]
    fn one_person_has_one_pseudonym_by_whatever_name() {
        let roster =
            vec![entry("E1", "Ann Lee", "Ann.Lee@x.example", &["alee"]), entry("E22", "Bo", "bo@x.example", &[])];
        let snapshot = Snapshot { roster, ..Snapshot::default() };
        let identity = Identity {
            arn: "arn:aws:sts::1:assumed-role/AWSReservedSSO_X_1/ann.lee".to_owned(),
            issuer_arn: "arn:aws:iam::1:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_X_1".to_owned(),
            source_identity: "carol".to_owned(),
            ..Identity::default()
        };
        let of = |key: u8| Pseudonyms::of(&[key; KEY_BYTES], &snapshot, [&identity].into_iter()).unwrap();
        let names = of(1);
        let ann = names.text("ann.lee@x.example").into_owned();
        assert!(ann.starts_with("person-") && ann.len() == 7 + DIGITS, "{ann}");
        for text in ["Ann Lee", "ANN.LEE", "alee"] {
            assert_eq!(names.text(text), ann, "{text}");
        }
        assert_eq!(names.text("role/x/ann.lee, (alee)"), format!("role/x/{ann}, ({ann})"));
        assert!(names.text("carol did").starts_with("person-") && names.text("bo@x.example") != ann);
        // Words of other things stay, and names that are too short.
        for text in ["valeering", "alee7", "E1", "nobody"] {
            assert_eq!(names.text(text), text);
        }
        assert_ne!(of(2).text("alee"), ann, "another key makes others");
        let table = Table {
            columns: Vec::new(),
            rows: vec![vec![
                Cell::List(vec!["alee".to_owned()]),
                Cell::Object(serde_json::json!({"alee": ["Ann Lee", 1]})),
            ]],
        };
        let told = format!("{:?}", names.rows(&table).row(0));
        assert!(!told.to_lowercase().contains("lee") && told.matches(&ann).count() == 3, "{told}");
        assert!(!format!("{names:?}").contains("alee"));
    }
}
