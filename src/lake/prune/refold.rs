//! The distinct calls of the events that are left, folded from their segments.

use std::collections::BTreeMap;

use super::{Cutter, PartKind};
use crate::lake::chunk::{Chunk, Row};
use crate::lake::disk;
use crate::lake::error::LakeError;
use crate::lake::fold::ChunkFolds;
use crate::lake::manifest::Part;
use crate::lake::table::{CallColumns, fold_bytes, via};
use crate::usage::fold::FOLD_VERSION;

/// Events that are folded at once: a few hundred bytes each; and the bytes that they hold at most.
const FOLD_ROWS: usize = 200_000;
const FOLD_BYTES: usize = 128 << 20;

impl Cutter<'_> {
    /// Folds the distinct calls of segments. `sessions` are the files that name the sessions of their months.
    pub(super) fn shapes(&mut self, segments: &[Part], sessions: &[&Part]) -> Result<(), LakeError> {
        let mut by = BTreeMap::new();
        for part in sessions {
            via(&self.store.join(&part.name), &mut by)?;
        }
        for part in segments {
            let path = self.store.join(&part.name);
            let columns = CallColumns::read(&path)?;
            let mut chunk = Chunk::new(true);
            columns.each(|call| {
                chunk.restore(&call, &by, &path)?;
                if chunk.rows.len() >= FOLD_ROWS || chunk.bytes() >= FOLD_BYTES {
                    self.fold(&std::mem::replace(&mut chunk, Chunk::new(true)), part)?;
                }
                Ok(())
            })?;
            self.fold(&chunk, part)?;
        }
        Ok(())
    }

    fn fold(&mut self, chunk: &Chunk, of: &Part) -> Result<(), LakeError> {
        let rows: Vec<&Row> = chunk.rows.iter().collect();
        let folds = ChunkFolds::of(chunk, &rows);
        let name = self.name(PartKind::Shapes, &of.month);
        let path = self.store.join(&name);
        let Some((bytes, count)) = fold_bytes(PartKind::Shapes, chunk, &folds, &[], &path)? else { return Ok(()) };
        disk::write_file(&path, &bytes)?;
        self.written.push(Part {
            kind: PartKind::Shapes.as_str().to_owned(),
            month: of.month.clone(),
            name,
            rows: count as u64,
            bytes: bytes.len() as u64,
            hash: blake3::hash(&bytes).to_hex().to_string(),
            first: rows.iter().map(|row| row.time.micros()).min().unwrap_or(0),
            last: rows.iter().map(|row| row.time.micros()).max().unwrap_or(0),
            // Folded by this version, from columns of that one.
            fold_version: of.fold_version.min(FOLD_VERSION),
            generation: self.generation,
        });
        Ok(())
    }
}
