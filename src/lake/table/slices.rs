//! Some columns of a segment: what checking and folding anew need, without the long texts.

use std::collections::BTreeMap;
use std::path::Path;

use super::events::{category, outcome};
use super::{Table, at};
use crate::lake::content::Content;
use crate::lake::error::LakeError;
use crate::model::event::{EventCategory, Outcome};
use crate::model::time::Timestamp;
use crate::usage::fold::SessionId;

/// What identifies the events of a segment.
pub(crate) struct KeyColumns<'p>(Table<'p>);

/// What identifies an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRow<'t> {
    /// Empty where it has none.
    pub id: &'t str,
    pub account: &'t str,
    pub time: Timestamp,
    pub content: Content,
}

impl<'p> KeyColumns<'p> {
    /// Reads a segment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(path: &'p Path) -> Result<Self, LakeError> {
        Table::read_columns(path, &["event_id", "account", "time", "content_core", "content_whole"]).map(Self)
    }

    /// The rows in their order.
    ///
    /// # Errors
    /// When a column is not what it should be.
    pub(crate) fn rows(&self) -> Result<impl Iterator<Item = KeyRow<'_>>, LakeError> {
        let (id, account, time) = (self.0.text("event_id")?, self.0.text("account")?, self.0.time("time")?);
        let (core, whole) = (self.0.key("content_core")?, self.0.key("content_whole")?);
        Ok((0..self.0.height()).map(move |row| KeyRow {
            id: at(&id, row),
            account: at(&account, row),
            time: at(&time, row),
            content: Content { core: at(&core, row), whole: at(&whole, row) },
        }))
    }
}

/// What the `shapes` fold is made of.
pub(crate) struct CallColumns<'p>(Table<'p>);

/// An event, as far as the `shapes` fold goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallRow<'t> {
    pub key: KeyRow<'t>,
    pub session: SessionId,
    pub source: &'t str,
    pub name: &'t str,
    pub region: &'t str,
    pub event_type: &'t str,
    pub category: EventCategory,
    pub outcome: Outcome,
    pub shared: &'t str,
    pub source_ip: &'t str,
    pub user_agent: &'t str,
    pub endpoint: &'t str,
    pub tls: &'t str,
    pub version_id: bool,
    pub tags: bool,
    /// JSON list of [path, value].
    pub roles: &'t str,
    pub refused: &'t str,
    /// JSON list of [arn, kind, account].
    pub resources: &'t str,
}

impl<'p> CallColumns<'p> {
    /// Reads a segment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(path: &'p Path) -> Result<Self, LakeError> {
        let columns = [
            "event_id",
            "account",
            "time",
            "content_core",
            "content_whole",
            "session",
            "source",
            "name",
            "region",
            "event_type",
            "category",
            "outcome",
            "shared_id",
            "source_ip",
            "user_agent",
            "vpc_endpoint",
            "tls_version",
            "version_id",
            "tags",
            "roles",
            "refused",
            "resources",
        ];
        Table::read_columns(path, &columns).map(Self)
    }

    /// Hands every row over, in their order.
    ///
    /// # Errors
    /// When a column is not what it should be, or `each` fails.
    pub(crate) fn each(&self, mut each: impl FnMut(CallRow<'_>) -> Result<(), LakeError>) -> Result<(), LakeError> {
        let (table, path) = (&self.0, self.0.path);
        let text = |name: &str| table.text(name);
        let (id, account, time) = (text("event_id")?, text("account")?, table.time("time")?);
        let (core, whole) = (table.key("content_core")?, table.key("content_whole")?);
        let (session, source, name) = (table.key("session")?, text("source")?, text("name")?);
        let (region, event_type, kind) = (text("region")?, text("event_type")?, text("category")?);
        let (result, shared, ip) = (text("outcome")?, text("shared_id")?, text("source_ip")?);
        let (agent, endpoint, tls) = (text("user_agent")?, text("vpc_endpoint")?, text("tls_version")?);
        let (version_id, tags) = (table.flag("version_id")?, table.flag("tags")?);
        let (roles, refused, resources) = (text("roles")?, text("refused")?, text("resources")?);
        for row in 0..table.height() {
            let content = Content { core: at(&core, row), whole: at(&whole, row) };
            each(CallRow {
                key: KeyRow { id: at(&id, row), account: at(&account, row), time: at(&time, row), content },
                session: SessionId(at(&session, row)),
                source: at(&source, row),
                name: at(&name, row),
                region: at(&region, row),
                event_type: at(&event_type, row),
                category: category(path, at(&kind, row))?,
                outcome: outcome(path, at(&result, row))?,
                shared: at(&shared, row),
                source_ip: at(&ip, row),
                user_agent: at(&agent, row),
                endpoint: at(&endpoint, row),
                tls: at(&tls, row),
                version_id: at(&version_id, row),
                tags: at(&tags, row),
                roles: at(&roles, row),
                refused: at(&refused, row),
                resources: at(&resources, row),
            })?;
        }
        Ok(())
    }
}

/// Adds the services by way of which the sessions of a file called, where they called by way of one.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn via(path: &Path, into: &mut BTreeMap<SessionId, String>) -> Result<(), LakeError> {
    let table = Table::read_columns(path, &["session", "invoked_by"])?;
    let (session, by) = (table.key("session")?, table.text("invoked_by")?);
    let all = session.into_iter().zip(by).filter(|(_, by)| !by.is_empty());
    into.extend(all.map(|(session, by)| (SessionId(session), by.to_owned())));
    Ok(())
}
