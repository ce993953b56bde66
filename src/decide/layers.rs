//! The layers of policies above a request, and where a statement stands in them.

use std::sync::Arc;

use serde::Serialize;

use crate::policy::Effect;

use super::compile::CompiledStatement;
use super::principal::Ways;
use super::request::Request;
use super::truth::Truth;

/// The layer of policies in which a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The principal's own inline policy.
    IdentityInline,
    /// A managed policy attached to the principal.
    IdentityManaged,
    /// A policy of one of the user's groups, inline or managed.
    Group,
    /// The permissions boundary.
    Boundary,
    /// A service control policy.
    ServiceControl,
    /// A session policy.
    Session,
    /// A resource control policy.
    ResourceControl,
    /// The policy of the resource: bucket policy, key policy, role trust policy, and so on.
    Resource,
    /// The policy of the VPC endpoint through which the request comes.
    VpcEndpoint,
}

/// What decides, as output names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// Permissions boundary.
    Boundary,
    /// Identity policies: inline, attached, of groups.
    Identity,
    /// Resource control policies.
    Rcp,
    /// The resource's policy.
    Resource,
    /// Service control policies.
    Scp,
    /// Session policies.
    Session,
    /// The VPC endpoint's policy.
    VpcEndpoint,
}

impl LayerKind {
    /// The name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boundary => "boundary",
            Self::Identity => "identity",
            Self::Rcp => "rcp",
            Self::Resource => "resource",
            Self::Scp => "scp",
            Self::Session => "session",
            Self::VpcEndpoint => "vpc_endpoint",
        }
    }
}

impl Layer {
    /// What it is part of.
    #[must_use]
    pub const fn kind(self) -> LayerKind {
        match self {
            Self::IdentityInline | Self::IdentityManaged | Self::Group => LayerKind::Identity,
            Self::Boundary => LayerKind::Boundary,
            Self::ServiceControl => LayerKind::Scp,
            Self::Session => LayerKind::Session,
            Self::ResourceControl => LayerKind::Rcp,
            Self::Resource => LayerKind::Resource,
            Self::VpcEndpoint => LayerKind::VpcEndpoint,
        }
    }
}

/// Where a statement stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Provenance {
    /// The layer.
    pub layer: Layer,
    /// ARN of a managed policy, name of an inline policy, id of an SCP.
    pub policy: String,
    /// What carries the policy: the group's name, or the id of the root, OU or account of an SCP; otherwise empty.
    pub via: String,
    /// Index of the statement in the document.
    pub statement: usize,
    /// Its Sid; empty where none.
    pub sid: String,
}

impl std::fmt::Display for Provenance {
    /// Layer, policy, Sid or index, and what carries the policy: `managed arn:…:policy/x#Read`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layer = match self.layer {
            Layer::IdentityInline => "inline",
            Layer::IdentityManaged => "managed",
            Layer::Group => "group",
            Layer::Boundary => "boundary",
            Layer::ServiceControl => "scp",
            Layer::Session => "session",
            Layer::ResourceControl => "rcp",
            Layer::Resource => "resource",
            Layer::VpcEndpoint => "vpc-endpoint",
        };
        write!(f, "{layer} {}#", self.policy)?;
        if self.sid.is_empty() {
            write!(f, "[{}]", self.statement)?
        } else {
            f.write_str(&self.sid)?
        }
        if self.via.is_empty() { Ok(()) } else { write!(f, " via {}", self.via) }
    }
}

/// A statement and where it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The statement.
    pub statement: Arc<CompiledStatement>,
    /// Its layer.
    pub layer: Layer,
    /// As [`Provenance::policy`].
    pub policy: Arc<str>,
    /// As [`Provenance::via`].
    pub via: Arc<str>,
}

impl Placed {
    /// Where it stands, for output.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        Provenance {
            layer: self.layer,
            policy: self.policy.to_string(),
            via: self.via.to_string(),
            statement: self.statement.index,
            sid: self.statement.sid.clone(),
        }
    }
}

/// What one set of policies says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// In which ways some Allow reaches the caller.
    pub allow: Ways,
    /// Whether some Deny does.
    pub deny: Truth,
}

/// Policies that are taken together: those of a principal, one level of SCPs, a bucket's.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// Id of the root, OU or account for a level of organisation policies; otherwise empty.
    pub name: String,
    /// The statements.
    statements: Vec<Placed>,
    /// Names of policies that are missing or cannot be parsed: each may allow or deny anything.
    pub broken: Vec<String>,
}

impl PolicySet {
    /// A set by name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A set of which nothing is known.
    #[must_use]
    pub fn unknown(what: impl Into<String>) -> Self {
        Self { broken: vec![what.into()], ..Self::default() }
    }

    /// Adds statements.
    pub fn extend(&mut self, statements: impl IntoIterator<Item = Placed>) {
        self.statements.extend(statements);
    }

    /// Adds a compiled document.
    pub fn add(&mut self, statements: &Arc<[Arc<CompiledStatement>]>, layer: Layer, policy: &Arc<str>, via: &Arc<str>) {
        self.extend(place(statements, layer, policy, via));
    }

    /// The statements.
    #[must_use]
    pub fn statements(&self) -> &[Placed] {
        &self.statements
    }

    /// What the set says. Nothing more is looked at once a Deny surely applies.
    #[must_use]
    pub fn says(&self, request: &Request, bounded: bool) -> Said {
        let doubt = if self.broken.is_empty() { Truth::False } else { Truth::Unknown };
        let mut said = Said { allow: Ways::NONE, deny: doubt };
        if doubt == Truth::Unknown {
            said.allow = Ways { itself: doubt, issuer: doubt, account: doubt };
        }
        for placed in &self.statements {
            let statement = &placed.statement;
            match statement.effect {
                // Allowed already: another Allow changes nothing.
                Effect::Allow if said.allow.itself.is_true() => {}
                Effect::Allow => said.allow = said.allow.or(statement.applies(request, bounded)),
                Effect::Deny => {
                    said.deny = said.deny.or(statement.applies(request, bounded).any());
                    if said.deny.is_true() {
                        return said;
                    }
                }
            }
        }
        said
    }
}

/// Puts a document's statements in their place.
pub fn place<'a>(
    statements: &'a Arc<[Arc<CompiledStatement>]>,
    layer: Layer,
    policy: &'a Arc<str>,
    via: &'a Arc<str>,
) -> impl Iterator<Item = Placed> + 'a {
    statements.iter().map(move |statement| Placed {
        statement: Arc::clone(statement),
        layer,
        policy: Arc::clone(policy),
        via: Arc::clone(via),
    })
}
