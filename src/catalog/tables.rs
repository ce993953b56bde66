//! The catalogue as columns: what the builder writes and the program reads.
//!
//! Every text is kept once and every list (condition keys, resource types, …) is kept once; all else are numbers
//! that point into them. Reading is therefore one decompression and a few copies, without any parsing.

#[cfg(any(test, feature = "catalog-build"))]
use std::collections::BTreeMap;

use thiserror::Error;

/// First bytes of the decompressed form; the digit is the version of this layout.
const MAGIC: &[u8; 8] = b"JITSCAT1";

/// Why a catalogue file cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TablesError {
    /// Not zstd, or damaged.
    #[error("catalogue does not decompress: {0}")]
    Compression(String),
    /// Another file, or another version of the layout.
    #[error("catalogue starts with other bytes than expected for this version of the layout")]
    Magic,
    /// Shorter than its own lengths say.
    #[error("catalogue ends early, in column {0}")]
    Truncated(usize),
    /// A text that is not UTF-8.
    #[error("catalogue holds text that is not UTF-8")]
    Text,
}

/// Strings, each kept once; number 0 is the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    all: String,
    ends: Vec<u32>,
}

impl Texts {
    /// The text of that number; empty where there is none.
    pub fn get(&self, id: u32) -> &str {
        let at = id as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.all.get(start as usize..end as usize).unwrap_or("")
    }

    /// Appends a text without looking whether it is there; its number.
    #[cfg(any(test, feature = "catalog-build"))]
    pub fn push(&mut self, text: &str) -> u32 {
        self.all.push_str(text);
        self.ends.push(self.all.len() as u32);
        self.ends.len() as u32 - 1
    }
}

/// Lists of numbers, each kept once; number 0 is the empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    all: Vec<u32>,
    ends: Vec<u32>,
}

impl Lists {
    /// The list of that number; empty where there is none.
    pub fn get(&self, id: u32) -> &[u32] {
        let at = id as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.all.get(start as usize..end as usize).unwrap_or(&[])
    }
}

/// Gives texts and lists their numbers while the tables are built.
#[cfg(any(test, feature = "catalog-build"))]
#[derive(Debug)]
pub struct Interner {
    texts: Texts,
    lists: Lists,
    text_ids: BTreeMap<String, u32>,
    list_ids: BTreeMap<Vec<u32>, u32>,
}

#[cfg(any(test, feature = "catalog-build"))]
impl Default for Interner {
    fn default() -> Self {
        let mut interner = Self {
            texts: Texts::default(),
            lists: Lists::default(),
            text_ids: BTreeMap::new(),
            list_ids: BTreeMap::new(),
        };
        interner.text("");
        interner.list(Vec::new());
        interner
    }
}

#[cfg(any(test, feature = "catalog-build"))]
impl Interner {
    /// The number of a text.
    pub fn text(&mut self, text: &str) -> u32 {
        if let Some(id) = self.text_ids.get(text) {
            return *id;
        }
        let id = self.texts.push(text);
        self.text_ids.insert(text.to_owned(), id);
        id
    }

    /// The number of a list.
    pub fn list(&mut self, list: Vec<u32>) -> u32 {
        if let Some(id) = self.list_ids.get(&list) {
            return *id;
        }
        let id = self.lists.ends.len() as u32;
        self.lists.all.extend_from_slice(&list);
        self.lists.ends.push(self.lists.all.len() as u32);
        self.list_ids.insert(list, id);
        id
    }

    /// The number of a list of texts, in the given order.
    pub fn text_list<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> u32 {
        let ids = texts.into_iter().map(|text| self.text(text)).collect();
        self.list(ids)
    }

    /// All texts and lists.
    pub fn finish(self) -> (Texts, Lists) {
        (self.texts, self.lists)
    }
}

/// Declares the columns once, so that writing and reading cannot disagree about their order.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// The catalogue's columns. `…_text` are numbers of texts, `…_list` of lists.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Tables {
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl Tables {
            /// The uncompressed form.
            #[cfg(any(test, feature = "catalog-build"))]
            pub fn encode(&self) -> Vec<u8> {
                let mut out = MAGIC.to_vec();
                $(self.$name.write(&mut out);)*
                out
            }

            /// Reads what [`Tables::encode`] wrote.
            ///
            /// # Errors
            /// When the bytes are not a catalogue of this layout.
            pub fn decode(bytes: &[u8]) -> Result<Self, TablesError> {
                let rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(TablesError::Magic)?;
                let mut reader = Reader { rest, column: 0 };
                Ok(Self { $($name: Column::read(&mut reader)?,)* })
            }
        }
    };
}

tables! {
    /// Every text.
    texts: Texts,
    /// Every list.
    lists: Lists,
    /// One number: the text that names this version of the catalogue.
    version_text: Vec<u32>,
    /// Service prefix, sorted.
    service_prefix_text: Vec<u32>,
    /// Service name.
    service_name_text: Vec<u32>,
    /// Region in which a global service is logged; empty for regional ones.
    service_home_text: Vec<u32>,
    /// First action of each service, and one more: the number of actions.
    service_first_action: Vec<u32>,
    /// First resource type of each service, and one more.
    service_first_type: Vec<u32>,
    /// Action name, sorted within its service by its lower-case form.
    action_name_text: Vec<u32>,
    /// [`super::AccessLevel`] as a number.
    action_access: Vec<u8>,
    /// Bits from 2 on: the [`super::Risk`] tags.
    action_flags: Vec<u8>,
    /// [`super::LogClass`] as a number.
    action_class: Vec<u8>,
    /// [`super::Provenance`] as a number.
    action_provenance: Vec<u8>,
    /// Resource types: type index within the service × 2 + (1 where required).
    action_types_list: Vec<u32>,
    /// Condition keys (texts).
    action_conditions_list: Vec<u32>,
    /// Actions that this one needs in some cases (action numbers).
    action_dependents_list: Vec<u32>,
    /// Resource type name.
    type_name_text: Vec<u32>,
    /// ARN patterns (texts).
    type_arns_list: Vec<u32>,
    /// Condition keys of the resource type (texts).
    type_conditions_list: Vec<u32>,
    /// Event source, sorted.
    source_text: Vec<u32>,
    /// Group of events that the source names.
    source_group: Vec<u32>,
    /// [`super::event::Suffix`] as a number, by group: version suffixes that its event names may carry.
    group_suffix: Vec<u8>,
    /// First event of each group, and one more.
    group_first_event: Vec<u32>,
    /// Event name, sorted within its group by its lower-case form.
    event_name_text: Vec<u32>,
    /// Why the event exercises no action; empty where it does.
    event_reason_text: Vec<u32>,
    /// [`super::LogClass`] as a number.
    event_class: Vec<u8>,
    /// [`super::Provenance`] as a number.
    event_provenance: Vec<u8>,
    /// Actions: triples of action number, need + 16 × condition, text that names the resource.
    event_actions_list: Vec<u32>,
    /// Where the request names roles that it passes: pairs of path (text), kind.
    event_roles_list: Vec<u32>,
}

struct Reader<'a> {
    rest: &'a [u8],
    column: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], TablesError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(TablesError::Truncated(self.column))?;
        self.rest = rest;
        Ok(head)
    }

    /// The bytes of the next column, whose length stands before it.
    fn column(&mut self) -> Result<&'a [u8], TablesError> {
        self.column += 1;
        let mut length = [0u8; 4];
        length.copy_from_slice(self.take(4)?);
        self.take(u32::from_le_bytes(length) as usize)
    }
}

trait Column: Sized {
    #[cfg(any(test, feature = "catalog-build"))]
    fn write(&self, out: &mut Vec<u8>);
    fn read(reader: &mut Reader<'_>) -> Result<Self, TablesError>;
}

impl Column for Vec<u8> {
    #[cfg(any(test, feature = "catalog-build"))]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        out.extend_from_slice(self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TablesError> {
        Ok(reader.column()?.to_vec())
    }
}

impl Column for Vec<u32> {
    #[cfg(any(test, feature = "catalog-build"))]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u32 * 4).to_le_bytes());
        for value in self {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TablesError> {
        let (chunks, _) = reader.column()?.as_chunks::<4>();
        Ok(chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect())
    }
}

impl Column for String {
    #[cfg(any(test, feature = "catalog-build"))]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        out.extend_from_slice(self.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TablesError> {
        let text = std::str::from_utf8(reader.column()?).map_err(|_| TablesError::Text)?;
        Ok(text.to_owned())
    }
}

impl Column for Texts {
    #[cfg(any(test, feature = "catalog-build"))]
    fn write(&self, out: &mut Vec<u8>) {
        self.all.write(out);
        self.ends.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TablesError> {
        Ok(Self { all: Column::read(reader)?, ends: Column::read(reader)? })
    }
}

impl Column for Lists {
    #[cfg(any(test, feature = "catalog-build"))]
    fn write(&self, out: &mut Vec<u8>) {
        self.all.write(out);
        self.ends.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, TablesError> {
        Ok(Self { all: Column::read(reader)?, ends: Column::read(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tables {
        let mut interner = Interner::default();
        let s3 = interner.text("s3");
        let list = interner.text_list(["a", "s3", "a"]);
        assert_eq!(interner.text("s3"), s3);
        let (texts, lists) = interner.finish();
        Tables { texts, lists, service_prefix_text: vec![s3], action_types_list: vec![list], ..Tables::default() }
    }

    #[test]
    fn round_trip() {
        let tables = sample();
        let read = Tables::decode(&tables.encode()).unwrap();
        assert_eq!(read, tables);
        assert_eq!(read.texts.get(read.service_prefix_text[0]), "s3");
        let list: Vec<&str> = read.lists.get(read.action_types_list[0]).iter().map(|id| read.texts.get(*id)).collect();
        assert_eq!(list, ["a", "s3", "a"]);
        assert_eq!((read.texts.get(0), read.texts.get(999)), ("", ""));
        assert!(read.lists.get(999).is_empty());
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert!(Tables::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(Tables::decode(b"something else entirely"), Err(TablesError::Magic));
    }
}
