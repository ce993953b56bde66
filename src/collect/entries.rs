//! Entries of lists: read one by one, so that a bad one costs no other.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads one entry; the error says why it is none.
pub(super) fn parse<'r, T: Deserialize<'r>>(raw: &'r RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

/// Pages may repeat an entry; a repetition with other content is a contradiction, and the first one stays.
pub(super) fn insert<K: Ord + Display, V: PartialEq>(
    into: &mut BTreeMap<K, V>,
    key: K,
    value: V,
) -> Result<(), String> {
    match into.get(&key) {
        None => {
            into.insert(key, value);
            Ok(())
        }
        Some(known) if *known == value => Ok(()),
        Some(_) => Err(format!("`{key}` is listed a second time with other content; the first was kept")),
    }
}
