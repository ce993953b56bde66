//! Which calls touch resources that their records do not show. What is not shown is unknown: it blocks "unused" of the
//! action on any resource, and never makes "used".
//!
//! That `CopyObject` and the like read a source of their own stands in the catalogue, as an action on a named resource.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What the record of a call does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Things inside the main resource, such as the objects that a batch delete removed from a bucket: the main resource
    /// stands for any of them, never for one.
    Inside,
    /// Further resources beside the main one.
    Others,
}

static TABLE: LazyLock<BTreeMap<(&'static str, &'static str), Unseen>> = LazyLock::new(|| {
    let mut table = BTreeMap::new();
    for line in include_str!("unseen.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        if let (Some(source), Some(names), Some(what)) = (columns.next(), columns.next(), columns.next()) {
            let unseen = if what == "inside" { Unseen::Inside } else { Unseen::Others };
            table.extend(names.split(' ').map(|name| ((source, name), unseen)));
        }
    }
    table
});

/// What records of this call do not show; none where they show all.
#[must_use]
pub fn unseen(source: &str, name: &str) -> Option<Unseen> {
    TABLE.get(&(source, name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_well_formed_and_found() {
        for row in include_str!("unseen.tsv").lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = row.split('\t').collect();
            assert!(columns.len() == 4 && columns[0].ends_with(".amazonaws.com"), "{row}");
            assert!(["inside", "others"].contains(&columns[2]) && !columns[3].is_empty(), "{row}");
        }
        assert_eq!(unseen("s3.amazonaws.com", "DeleteObjects"), Some(Unseen::Inside));
        assert_eq!(unseen("dynamodb.amazonaws.com", "BatchWriteItem"), Some(Unseen::Others));
        assert_eq!(unseen("s3.amazonaws.com", "DeleteObject"), None);
    }
}
