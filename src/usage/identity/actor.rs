//! Who stands behind a session, and what that rests on.

use crate::model::text::Text;
use crate::usage::chain::{Hop, Missing};

/// What kind of principal acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    /// An IAM user (also through `GetSessionToken` and `GetFederationToken`, which carry its permissions).
    User,
    /// A session of a role.
    Role,
    /// The root user of an account.
    Root,
    /// A subject of a SAML provider, before it became a role session.
    SamlSubject,
    /// A subject of a web identity (OIDC) provider, before it became a role session.
    WebIdentity,
    /// An Identity Center user, outside a role session (portal sign-in and the like).
    IdentityCenterUser,
    /// A directory user.
    Directory,
    /// An AWS service acting as itself.
    Service,
    /// Another account: a copy of a cross-account call, which never makes a principal.
    OtherAccount,
    /// The record does not say.
    Unknown,
}

impl ActorKind {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
            Self::Root => "root",
            Self::SamlSubject => "saml_subject",
            Self::WebIdentity => "web_identity",
            Self::IdentityCenterUser => "identity_center_user",
            Self::Directory => "directory",
            Self::Service => "service",
            Self::OtherAccount => "other_account",
            Self::Unknown => "unknown",
        }
    }
}

/// What the attribution to a person rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// Identity Center: its user id, or the session name on a role that it provisioned.
    IdentityCenter,
    /// The owner of an IAM user.
    IamUser,
    /// The subject that a SAML provider asserted.
    SamlSubject,
    /// The subject of a web identity: a pipeline or workload.
    WebIdentity,
    /// Who obtained the session's credentials.
    CredentialChain,
    /// `SourceIdentity`, where the chain is not in the logs.
    SourceIdentity,
    /// One caller obtained sessions of this name, but not, as far as the logs show, this one's key.
    SessionName,
    /// An AWS service.
    Service,
    /// Nothing: the session name stays a claim.
    None,
}

impl Basis {
    /// Stable text used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityCenter => "identity_center",
            Self::IamUser => "iam_user",
            Self::SamlSubject => "saml_subject",
            Self::WebIdentity => "web_identity",
            Self::CredentialChain => "credential_chain",
            Self::SourceIdentity => "source_identity",
            Self::SessionName => "session_name",
            Self::Service => "service",
            Self::None => "none",
        }
    }
}

/// A session, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Kind of principal.
    pub kind: ActorKind,
    /// ARN of the principal: user, role with its path where known, root; for others the best name there is.
    pub principal: Text,
    /// Unique id of the principal (`AIDA…`, `AROA…`); empty where not recorded.
    pub principal_id: Text,
    /// Account that owns the principal; empty where not recorded.
    pub account: Text,
    /// Role session name; empty for others.
    pub session_name: Text,
    /// The person, where known.
    pub person: Option<Text>,
    /// What that rests on.
    pub basis: Basis,
    /// The origin is a program, a pipeline or an AWS service.
    pub machine: bool,
    /// False where an AWS service made the call with this identity (`invokedBy`): it is the principal's use, but
    /// not a separate act of the person.
    pub own_act: bool,
    /// The calls through which the session's credentials came, the first one first.
    pub hops: Vec<Hop>,
    /// Why the start of the chain is not known, or not for certain; none where it is, and where there is no chain.
    pub missing: Option<Missing>,
}

impl Actor {
    /// The person, unless nothing but the name of a session leads to them.
    #[must_use]
    pub fn sure_person(&self) -> Option<&str> {
        self.person.as_deref().filter(|_| self.basis != Basis::SessionName)
    }

    /// The person to whom nothing but the name of a session leads.
    #[must_use]
    pub fn likely_person(&self) -> Option<&str> {
        self.person.as_deref().filter(|_| self.basis == Basis::SessionName)
    }

    /// The principal at the start of the chain; the actor's own where there is none.
    #[must_use]
    pub fn start(&self) -> &str {
        self.hops.first().map_or(&self.principal, |hop| &hop.principal)
    }
}
