//! The curated files: facts that no public table has right, each block with its source in a comment.
//!
//! Tab-separated, `#` starts a comment line, `-` stands for an empty field.

use std::collections::BTreeMap;

use super::super::event::{RoleKind, Suffix, When};
use super::super::{LogClass, Need, Provenance};
use super::BuildError;

const SERVICES: &str = include_str!("curated/services.tsv");
const SOURCES: &str = include_str!("curated/sources.tsv");
const EVENTS: &str = include_str!("curated/events.tsv");
const ROLES: &str = include_str!("curated/roles.tsv");
const CLASSES: &str = include_str!("curated/classes.tsv");
const HOMES: &str = include_str!("curated/homes.tsv");

/// What is curated of a botocore service.
#[derive(Clone, Debug, Default)]
pub struct ServiceRow {
    /// IAM prefixes in which its operations' actions are looked for, instead of the derived ones.
    pub prefixes: Vec<String>,
    /// Its name in the 2022 map, where it cannot be told from the service id.
    pub sdk: Option<String>,
}

/// What is curated of an event source.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// The other source whose events it carries.
    pub same_as: Option<String>,
    /// Version suffixes of its event names.
    pub suffix: Suffix,
}

/// An action of a curated mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionToken {
    /// Full name, as written.
    pub action: String,
    /// Surely or sometimes.
    pub need: Need,
    /// On which calls.
    pub when: When,
    /// On what; empty for the main resource.
    pub on: String,
}

impl std::fmt::Display for ActionToken {
    /// As the curated files write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sometimes = if self.need == Need::Sometimes { "~" } else { "" };
        write!(f, "{sometimes}{}", self.action)?;
        if self.when != When::Any {
            write!(f, "?{}", self.when.as_str())?;
        }
        if !self.on.is_empty() {
            write!(f, "@{}", self.on)?;
        }
        Ok(())
    }
}

/// A curated mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CuratedMapping {
    /// These actions.
    Actions(Vec<ActionToken>),
    /// None, for this reason.
    None(String),
    /// The derived actions and these.
    Add(Vec<ActionToken>),
}

/// A line of `events.tsv`, for one event.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Event source without its domain.
    pub source: String,
    /// Event name.
    pub name: String,
    /// What it exercises.
    pub mapping: CuratedMapping,
    /// Line in the file.
    pub line: usize,
}

/// A line of `roles.tsv`: where a request names a role that it passes.
#[derive(Clone, Debug)]
pub struct RoleRow {
    /// Event source without its domain.
    pub source: String,
    /// Event name.
    pub name: String,
    /// Lower-case dotted path.
    pub path: String,
    /// What stands there.
    pub kind: RoleKind,
    /// Whether what stands there is surely passed.
    pub need: Need,
}

/// A line of `classes.tsv`: how events are recorded.
#[derive(Clone, Debug)]
pub struct ClassRow {
    /// Event source without its domain.
    pub source: String,
    /// Event names; empty for all of the source.
    pub names: Vec<String>,
    /// Class.
    pub class: LogClass,
    /// How it is known.
    pub provenance: Provenance,
    /// Line in the file.
    pub line: usize,
}

/// All curated files.
#[derive(Clone, Debug, Default)]
pub struct Curated {
    /// By botocore service.
    pub services: BTreeMap<String, ServiceRow>,
    /// By event source.
    pub sources: BTreeMap<String, SourceRow>,
    /// Mappings of events.
    pub events: Vec<EventRow>,
    /// Passed roles.
    pub roles: Vec<RoleRow>,
    /// Logging classes; later lines win.
    pub classes: Vec<ClassRow>,
    /// Home region by IAM prefix.
    pub homes: BTreeMap<String, String>,
}

struct Line<'a> {
    file: &'static str,
    number: usize,
    fields: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn bad(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Curated { file: self.file, line: self.number, reason: reason.into() }
    }

    /// A field; empty where it is `-`.
    fn field(&self, at: usize) -> Result<&'a str, BuildError> {
        let text = self.fields.get(at).copied().ok_or_else(|| self.bad(format!("expected more than {at} fields")))?;
        Ok(if text == "-" { "" } else { text })
    }
}

fn lines<'a>(file: &'static str, text: &'a str) -> impl Iterator<Item = Line<'a>> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(move |(at, line)| Line { file, number: at + 1, fields: line.split('\t').map(str::trim).collect() })
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Reads `[~]prefix:Name[?when][@on]`.
fn token(line: &Line<'_>, text: &str) -> Result<ActionToken, BuildError> {
    let (text, on) = text.split_once('@').unwrap_or((text, ""));
    let (text, when) = text.split_once('?').unwrap_or((text, ""));
    let when = When::parse(when).ok_or_else(|| line.bad(format!("`{when}` is not a condition")))?;
    let (action, need) = match text.strip_prefix('~') {
        Some(rest) => (rest, Need::Sometimes),
        None => (text, Need::Always),
    };
    if !action.contains(':') {
        return Err(line.bad(format!("`{action}` is not an action; expected prefix:Name")));
    }
    Ok(ActionToken { action: action.to_owned(), need, when, on: on.to_owned() })
}

impl Curated {
    /// The files of this program.
    ///
    /// # Errors
    /// When a line is not understood.
    pub fn embedded() -> Result<Self, BuildError> {
        let mut curated = Self::default();
        for line in lines("services.tsv", SERVICES) {
            let sdk = line.field(2)?;
            let row = ServiceRow { prefixes: words(line.field(1)?), sdk: (!sdk.is_empty()).then(|| sdk.to_owned()) };
            curated.services.insert(line.field(0)?.to_owned(), row);
        }
        for line in lines("sources.tsv", SOURCES) {
            let same_as = line.field(1)?;
            let suffix = line.field(2)?;
            let suffix = if suffix.is_empty() { Some(Suffix::None) } else { Suffix::parse(suffix) };
            let row = SourceRow {
                same_as: (!same_as.is_empty()).then(|| same_as.to_owned()),
                suffix: suffix.ok_or_else(|| line.bad("unknown form of suffix"))?,
            };
            curated.sources.insert(line.field(0)?.to_owned(), row);
        }
        for line in lines("events.tsv", EVENTS) {
            curated.add_events(&line)?;
        }
        for line in lines("roles.tsv", ROLES) {
            let kind = RoleKind::parse(line.field(3)?).ok_or_else(|| line.bad("expected role or instance_profile"))?;
            for path in words(line.field(2)?) {
                let (source, name) = (line.field(0)?.to_owned(), line.field(1)?.to_owned());
                let (path, need) = match path.strip_prefix('~') {
                    Some(path) => (path, Need::Sometimes),
                    None => (path.as_str(), Need::Always),
                };
                curated.roles.push(RoleRow { source, name, path: path.to_ascii_lowercase(), kind, need });
            }
        }
        for line in lines("classes.tsv", CLASSES) {
            let names = line.field(1)?;
            curated.classes.push(ClassRow {
                source: line.field(0)?.to_owned(),
                names: if names == "*" { Vec::new() } else { words(names) },
                class: LogClass::parse(line.field(2)?).ok_or_else(|| line.bad("unknown logging class"))?,
                provenance: Provenance::parse(line.field(3)?).ok_or_else(|| line.bad("unknown provenance"))?,
                line: line.number,
            });
        }
        for line in lines("homes.tsv", HOMES) {
            for prefix in words(line.field(1)?) {
                curated.homes.insert(prefix, line.field(0)?.to_owned());
            }
        }
        Ok(curated)
    }

    /// Adds a mapping, as a line of `events.tsv` would.
    ///
    /// # Errors
    /// When the actions are not understood.
    pub fn map_event(&mut self, source: &str, name: &str, actions: &str) -> Result<(), BuildError> {
        self.add_events(&Line { file: "events.tsv", number: 0, fields: vec![source, name, actions] })
    }

    fn add_events(&mut self, line: &Line<'_>) -> Result<(), BuildError> {
        let text = line.field(2)?;
        let tokens = |text: &str| -> Result<Vec<ActionToken>, BuildError> {
            text.split_ascii_whitespace().map(|word| token(line, word)).collect()
        };
        let mapping = if let Some(reason) = text.strip_prefix("none:") {
            CuratedMapping::None(reason.trim().to_owned())
        } else if let Some(more) = text.strip_prefix("and ") {
            CuratedMapping::Add(tokens(more)?)
        } else {
            CuratedMapping::Actions(tokens(text)?)
        };
        for name in words(line.field(1)?) {
            let source = line.field(0)?.to_owned();
            self.events.push(EventRow { source, name, mapping: mapping.clone(), line: line.number });
        }
        Ok(())
    }
}
