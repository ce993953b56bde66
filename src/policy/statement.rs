//! Statements.
//!
//! Source: IAM User Guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language".

use std::fmt;

use super::condition::Condition;
use super::document::{DocumentKind, PolicyError};
use super::json::Node;
use super::pattern::ArnPattern;
use super::principal::{self, PrincipalElement};
use crate::catalog::Glob;

/// Allow or Deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Grants.
    Allow,
    /// Refuses, whatever else grants.
    Deny,
}

/// An action as a policy names it: `*`, or a service prefix and a name, both without case, with `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionPattern(String);

impl ActionPattern {
    fn parse(text: &str, path: &str) -> Result<Self, PolicyError> {
        let good = match text.split_once(':') {
            None => !text.is_empty() && text.bytes().all(|byte| byte == b'*'),
            Some((prefix, name)) => !prefix.is_empty() && !name.is_empty() && !name.contains(':'),
        };
        if good && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PolicyError::new(path, format!("expected \"*\" or service:Action, found `{text}`")))
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern, to be matched with `prefix:Name`.
    #[must_use]
    pub fn glob(&self) -> Glob {
        Glob::new(&self.0)
    }

    /// Whether it names every action of every service, also of those that no catalogue knows.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.bytes().all(|byte| matches!(byte, b'*' | b':'))
    }
}

/// Which actions a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionMatch {
    /// These.
    Action(Vec<ActionPattern>),
    /// All but these.
    NotAction(Vec<ActionPattern>),
}

impl ActionMatch {
    /// The named patterns.
    #[must_use]
    pub fn patterns(&self) -> &[ActionPattern] {
        match self {
            Self::Action(patterns) | Self::NotAction(patterns) => patterns,
        }
    }
}

/// Which resources a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceMatch {
    /// These.
    Resource(Vec<ArnPattern>),
    /// All but these.
    NotResource(Vec<ArnPattern>),
    /// Not said: the resource is the one that carries the policy (trust policies).
    Implied,
}

impl ResourceMatch {
    /// Whether every resource is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Resource(patterns) if patterns.iter().any(ArnPattern::is_any))
    }

    /// Whether the resource is meant; a variable may hold any text, so that of `NotResource` only what is surely
    /// excluded is left out.
    #[must_use]
    pub fn may_match(&self, resource: &str) -> bool {
        match self {
            Self::Resource(patterns) => patterns.iter().any(|pattern| pattern.matches(resource)),
            Self::NotResource(patterns) => {
                let exact = literal(resource);
                !patterns.iter().any(|pattern| pattern.covers(&exact))
            }
            Self::Implied => true,
        }
    }

    /// Whether every resource that the other means is surely meant by this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Implied, _) | (_, Self::Implied) => true,
            (Self::Resource(mine), Self::Resource(theirs)) => {
                theirs.iter().all(|their| mine.iter().any(|my| my.covers(their)))
            }
            (Self::Resource(mine), Self::NotResource(_)) => mine.iter().any(ArnPattern::is_any),
            (Self::NotResource(mine), Self::Resource(theirs)) => {
                theirs.iter().all(|their| !mine.iter().any(|my| my.overlaps(their)))
            }
            // All but `mine` holds all but `theirs` where everything in `mine` is surely left out by `theirs`.
            (Self::NotResource(mine), Self::NotResource(theirs)) => {
                mine.iter().all(|my| theirs.iter().any(|their| their.covers(my)))
            }
        }
    }

    /// Whether some resource may be meant by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Implied, _) | (_, Self::Implied) => true,
            (Self::Resource(mine), Self::Resource(theirs)) => {
                mine.iter().any(|my| theirs.iter().any(|their| my.overlaps(their)))
            }
            (Self::Resource(named), Self::NotResource(excluded))
            | (Self::NotResource(excluded), Self::Resource(named)) => {
                named.iter().any(|named| !excluded.iter().any(|excluded| excluded.covers(named)))
            }
            (Self::NotResource(mine), Self::NotResource(theirs)) => !mine.iter().chain(theirs).any(ArnPattern::is_any),
        }
    }
}

fn literal(resource: &str) -> ArnPattern {
    // Without variables; a literal star in a resource name would only widen the answer.
    if resource == "*" {
        ArnPattern::Other(super::wild::Wild::parse("${*}", true))
    } else {
        ArnPattern::parse(resource, false)
    }
}

impl fmt::Display for ResourceMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lead, patterns): (_, &[ArnPattern]) = match self {
            Self::Resource(patterns) => ("", patterns),
            Self::NotResource(patterns) => ("not ", patterns),
            Self::Implied => ("(the resource itself)", &[]),
        };
        f.write_str(lead)?;
        for (at, pattern) in patterns.iter().enumerate() {
            write!(f, "{}{pattern}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A statement, complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statement {
    /// Its id; AWS also stores empty ones.
    pub sid: Option<String>,
    /// Allow or Deny.
    pub effect: Effect,
    /// Whom it is about; none in identity policies, where it is the holder.
    pub principal: Option<PrincipalElement>,
    /// Actions.
    pub actions: ActionMatch,
    /// Resources.
    pub resources: ResourceMatch,
    /// Conditions, all of which must hold; sorted.
    pub conditions: Vec<Condition>,
}

/// Elements of a statement, as AWS writes them.
const ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

impl Statement {
    pub(super) fn parse(node: &Node, path: &str, kind: DocumentKind, variables: bool) -> Result<Self, PolicyError> {
        let Node::Object(fields) = node else {
            return Err(PolicyError::new(path, format!("expected a statement, found {}", node.kind())));
        };
        let fields = Fields::read(fields, path)?;
        let effect = match fields.get("Effect") {
            Some(Node::Text(text)) if text == "Allow" => Effect::Allow,
            Some(Node::Text(text)) if text == "Deny" => Effect::Deny,
            Some(Node::Text(text)) => {
                let reason = format!("expected \"Allow\" or \"Deny\", found `{text}`");
                return Err(PolicyError::new(&format!("{path}.Effect"), reason));
            }
            Some(other) => {
                let reason = format!("expected \"Allow\" or \"Deny\", found {}", other.kind());
                return Err(PolicyError::new(&format!("{path}.Effect"), reason));
            }
            None => return Err(PolicyError::new(path, "expected an Effect".to_owned())),
        };
        let sid = match fields.get("Sid") {
            None => None,
            Some(Node::Text(text)) => Some(text.clone()),
            Some(other) => {
                let reason = format!("expected a string, found {}", other.kind());
                return Err(PolicyError::new(&format!("{path}.Sid"), reason));
            }
        };
        let conditions = match fields.get("Condition") {
            None => Vec::new(),
            Some(node) => Condition::parse_all(node, &format!("{path}.Condition"))?,
        };
        Ok(Self {
            sid,
            effect,
            principal: principal_of(&fields, path, kind)?,
            actions: actions_of(&fields, path)?,
            resources: resources_of(&fields, path, kind, variables)?,
            conditions,
        })
    }
}

/// The fields of a statement by their canonical names; AWS takes the names in any case.
struct Fields<'n> {
    fields: Vec<(&'static str, &'n Node)>,
}

impl<'n> Fields<'n> {
    fn read(raw: &'n [(String, Node)], path: &str) -> Result<Self, PolicyError> {
        let mut fields: Vec<(&'static str, &Node)> = Vec::with_capacity(raw.len());
        for (name, value) in raw {
            let path = format!("{path}.{name}");
            let Some(canonical) = ELEMENTS.into_iter().find(|element| element.eq_ignore_ascii_case(name)) else {
                let reason = format!("expected one of {}, found `{name}`", ELEMENTS.join(", "));
                return Err(PolicyError::new(&path, reason));
            };
            if fields.iter().any(|(known, _)| *known == canonical) {
                return Err(PolicyError::new(&path, format!("expected {canonical} once")));
            }
            fields.push((canonical, value));
        }
        Ok(Self { fields })
    }

    fn get(&self, name: &str) -> Option<&'n Node> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, node)| *node)
    }

    /// The one of two elements that is there, and whether it is the second, the negated one.
    fn either(&self, name: &str, negated: &str, path: &str) -> Result<Option<(&'n Node, bool)>, PolicyError> {
        match (self.get(name), self.get(negated)) {
            (Some(_), Some(_)) => Err(PolicyError::new(path, format!("expected {name} or {negated}, found both"))),
            (Some(node), None) => Ok(Some((node, false))),
            (None, Some(node)) => Ok(Some((node, true))),
            (None, None) => Ok(None),
        }
    }
}

fn principal_of(fields: &Fields<'_>, path: &str, kind: DocumentKind) -> Result<Option<PrincipalElement>, PolicyError> {
    match fields.either("Principal", "NotPrincipal", path)? {
        Some(_) if !kind.takes_principal() => Err(PolicyError::new(path, format!("expected no Principal in {kind}"))),
        None if kind.takes_principal() => Err(PolicyError::new(path, format!("expected a Principal in {kind}"))),
        None => Ok(None),
        Some((node, false)) => {
            principal::parse(node, &format!("{path}.Principal")).map(|list| Some(PrincipalElement::Principal(list)))
        }
        Some((node, true)) => principal::parse(node, &format!("{path}.NotPrincipal"))
            .map(|list| Some(PrincipalElement::NotPrincipal(list))),
    }
}

fn actions_of(fields: &Fields<'_>, path: &str) -> Result<ActionMatch, PolicyError> {
    let Some((node, negated)) = fields.either("Action", "NotAction", path)? else {
        return Err(PolicyError::new(path, "expected an Action or NotAction".to_owned()));
    };
    let path = format!("{path}.{}", if negated { "NotAction" } else { "Action" });
    let mut patterns = Vec::new();
    for (at, text) in strings(node, &path, "an action")? {
        patterns.push(ActionPattern::parse(text, &at)?);
    }
    patterns.sort();
    patterns.dedup();
    Ok(if negated { ActionMatch::NotAction(patterns) } else { ActionMatch::Action(patterns) })
}

fn resources_of(
    fields: &Fields<'_>,
    path: &str,
    kind: DocumentKind,
    variables: bool,
) -> Result<ResourceMatch, PolicyError> {
    let Some((node, negated)) = fields.either("Resource", "NotResource", path)? else {
        return if kind.needs_resource() {
            Err(PolicyError::new(path, format!("expected a Resource or NotResource in {kind}")))
        } else {
            Ok(ResourceMatch::Implied)
        };
    };
    if !kind.takes_resource() {
        return Err(PolicyError::new(path, format!("expected no Resource in {kind}")));
    }
    let path = format!("{path}.{}", if negated { "NotResource" } else { "Resource" });
    let mut patterns: Vec<ArnPattern> =
        strings(node, &path, "a resource")?.into_iter().map(|(_, text)| ArnPattern::parse(text, variables)).collect();
    patterns.sort();
    patterns.dedup();
    Ok(if negated { ResourceMatch::NotResource(patterns) } else { ResourceMatch::Resource(patterns) })
}

/// A string or a list of at least one, each with its path.
fn strings<'n>(node: &'n Node, path: &str, what: &str) -> Result<Vec<(String, &'n str)>, PolicyError> {
    let text = |node: &'n Node, path: String| match node {
        Node::Text(text) if text.is_empty() => {
            Err(PolicyError::new(&path, format!("expected {what}, found an empty text")))
        }
        Node::Text(text) => Ok((path, text.as_str())),
        other => Err(PolicyError::new(&path, format!("expected {what}, found {}", other.kind()))),
    };
    match node {
        Node::List(list) if list.is_empty() => {
            Err(PolicyError::new(path, format!("expected {what}, found an empty list")))
        }
        Node::List(list) => list.iter().enumerate().map(|(at, node)| text(node, format!("{path}[{at}]"))).collect(),
        one => text(one, path.to_owned()).map(|one| vec![one]),
    }
}
