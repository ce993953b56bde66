//! Chunks without events: new ones, and such that were committed and are filled again. Their memory is used again, since
//! fresh pages cost as much as what is written into them.

use super::{Chunk, Identities, Mark, Targets, Variant, append};

impl Chunk {
    pub(crate) fn new(slim: bool) -> Self {
        let mut chunk = Self { slim, ..Self::default() };
        chunk.start();
        chunk
    }

    /// The same, of exports of which the user says (`declared`) that they hold every event of their span.
    pub(crate) fn declared(mut self, declared: bool) -> Self {
        self.declared = declared;
        self
    }

    /// What every chunk holds: the call without anything special, and without resources.
    fn start(&mut self) {
        let none = self.symbols.intern("[]");
        self.variants.number(Variant { roles: none, ..Variant::default() });
        let empty = append(&mut self.texts, "[]");
        self.targets.push(Targets { list: empty, arns: empty, ..Targets::default() });
    }

    /// Forgets files and events, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        // Every field is named: what is forgotten here would come up in another file's events.
        let Self {
            files,
            rows,
            symbols,
            variants,
            targets,
            noted,
            slim: _,
            declared: _,
            bad_bytes,
            noted_bytes,
            mark,
            texts,
            target_keys,
            identities,
            hasher: _,
            effects,
            others: _,
            scratch: _,
        } = self;
        files.clear();
        rows.clear();
        symbols.clear();
        variants.clear();
        targets.clear();
        noted.clear();
        texts.clear();
        target_keys.clear();
        identities.clear();
        effects.clear();
        (*bad_bytes, *noted_bytes, *mark) = (0, 0, Mark::default());
        self.start();
    }
}

impl Identities {
    fn clear(&mut self) {
        let Self { raw, seen, latest, table, hasher: _, by_id, list } = self;
        raw.clear();
        seen.clear();
        *latest = 0;
        table.clear();
        by_id.clear();
        list.clear();
    }
}
