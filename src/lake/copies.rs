//! Copies of cross-account calls that are the only record of their call.
//!
//! CloudTrail gives a copy to the account of the caller and to that of the resource, each to the trails there, and what
//! these record differs: data events stand where the owner's trail selects them, and hardly ever where the caller's does.
//! So the copy of the owner counts wherever the caller's own is not in the store, which the folds cannot tell: they keep no
//! ids. Source: "sharedEventID" in "CloudTrail record contents" (AWS CloudTrail User Guide).

use std::collections::BTreeMap;
use std::path::PathBuf;

use hashbrown::{HashMap, HashSet};

use super::ahead::ahead;
use super::error::LakeError;
use super::reader::Reader;
use super::schema::PartKind;
use super::table::{Copies, Foreign, SharedId, read_calls, read_copies};
use crate::model::time::Window;
use crate::usage::block::UsageBlock;
use crate::usage::sessions::Sessions;

impl Reader {
    /// Hands over, as rows of usage that count, the calls of a window of which only copies in other accounts than the caller's
    /// are in the store: one of each. Copies of a call have one time, so that those of a window are enough.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn lone_copies(
        &self,
        window: Window,
        sessions: &Sessions,
        each: &mut dyn FnMut(&UsageBlock),
    ) -> Result<(), LakeError> {
        let paths = self.paths_of(PartKind::Events, Some(window));
        let mut own: HashSet<SharedId> = HashSet::new();
        // Of each call the copy that would count, and in which file.
        let mut foreign: HashMap<SharedId, (Foreign, usize)> = HashMap::new();
        let read = |path: &PathBuf| read_copies(path, sessions);
        let mut file = 0;
        ahead(&paths, read, |copies: Copies| {
            own.extend(copies.own);
            for copy in copies.foreign {
                let best = foreign.entry(copy.id).or_insert((copy, file));
                *best = (*best).min((copy, file));
            }
            file += 1;
            Ok(())
        })?;
        let mut rows: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (copy, file) in foreign.into_values().filter(|(copy, _)| !own.contains(&copy.id)) {
            rows.entry(file).or_default().push(copy.row);
        }
        let rows: Vec<(&PathBuf, Vec<u32>)> =
            rows.into_iter().filter_map(|(file, rows)| Some((paths.get(file)?, rows))).collect();
        let inside = super::reader::days_of(window);
        let read = |(path, rows): &(&PathBuf, Vec<u32>)| read_calls(path, rows, &inside);
        ahead(&rows, read, |block| {
            each(&block);
            Ok(())
        })
    }
}
