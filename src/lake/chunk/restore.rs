//! Events of the store as rows of a chunk again, as far as the `shapes` fold goes: pruning folds the rest of a month
//! anew.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Chunk, Row, Span, Targets, Variant, append, json};
use crate::lake::error::LakeError;
use crate::lake::ids::Entry;
use crate::lake::table::CallRow;
use crate::model::event::Identity;
use crate::usage::fold::SessionId;

impl Chunk {
    /// Adds a stored event. `via` tells by way of which service a session called; `path` is the segment.
    ///
    /// # Errors
    /// When the segment's list of resources is none.
    pub(crate) fn restore(
        &mut self,
        call: &CallRow<'_>,
        via: &BTreeMap<SessionId, String>,
        path: &Path,
    ) -> Result<(), LakeError> {
        let targets = self.restore_targets(call.resources, path)?;
        let variant = Variant {
            version_id: call.version_id,
            tags: call.tags,
            roles: self.symbols.intern(call.roles),
            refused: self.symbols.intern(call.refused),
        };
        let variant = self.variants.number(variant);
        let session = self.restore_session(call.session, via);
        let (id, shared) = (append(&mut self.texts, call.key.id), append(&mut self.texts, call.shared));
        let mut sym = |text: &str| self.symbols.intern(text);
        let none = Span::default();
        let row = Row {
            time: call.key.time,
            entry: Entry::new(call.key.id, call.key.content),
            id,
            session,
            source: sym(call.source),
            name: sym(call.name),
            region: sym(call.region),
            account: sym(call.key.account),
            event_type: sym(call.event_type),
            error_code: sym(""),
            error_message: sym(""),
            source_ip: sym(call.source_ip),
            user_agent: sym(call.user_agent),
            endpoint: sym(call.endpoint),
            tls: sym(call.tls),
            variant,
            targets,
            category: call.category,
            outcome: call.outcome,
            read_only: None,
            console: false,
            shared,
            request_id: none,
            request: none,
            response: none,
            additional: none,
            details: none,
            file: 0,
            offset: 0,
            length: 0,
        };
        self.rows.push(row);
        Ok(())
    }

    fn restore_session(&mut self, id: SessionId, via: &BTreeMap<SessionId, String>) -> u32 {
        let identities = &mut self.identities;
        *identities.by_id.entry(id).or_insert_with(|| {
            let invoked_by = via.get(&id).cloned().unwrap_or_default();
            identities.list.push((id, Identity { invoked_by, ..Identity::default() }));
            identities.list.len() as u32 - 1
        })
    }

    fn restore_targets(&mut self, list: &str, path: &Path) -> Result<u32, LakeError> {
        if list == "[]" {
            return Ok(0);
        }
        let key = self.target_keys.intern(list);
        if (key.0 as usize) < self.targets.len() {
            return Ok(key.0);
        }
        let resources: Vec<[String; 3]> = serde_json::from_str(list)
            .map_err(|e| LakeError::Damaged { path: path.to_owned(), reason: e.to_string() })?;
        let mut arns: Vec<&str> = resources.iter().map(|[arn, ..]| arn.as_str()).collect();
        arns.sort_unstable();
        let arns = append(&mut self.texts, &json(&arns));
        self.targets.push(Targets { arns, ..Targets::default() });
        Ok(key.0)
    }
}
