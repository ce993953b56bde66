//! The `Principal` and `NotPrincipal` elements.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal".

use std::fmt;

use super::document::PolicyError;
use super::json::Node;
use crate::model::arn::{AccountId, Arn};

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalElement {
    /// These.
    Principal(Vec<PrincipalPattern>),
    /// All but these.
    NotPrincipal(Vec<PrincipalPattern>),
}

/// One principal as a policy names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalPattern {
    /// `*` or `{"AWS": "*"}`: everyone, also anonymous.
    Everyone,
    /// An account: its id, or the ARN of its root. It delegates to whomever the account allows.
    Account(AccountId),
    /// A user, role, assumed-role session or federated user by ARN.
    Arn(Arn),
    /// A unique id such as `AROA…`: what AWS shows for a principal that was deleted.
    UniqueId(String),
    /// An AWS service, such as `ec2.amazonaws.com`.
    Service(String),
    /// A SAML or OIDC provider's ARN, or a web identity provider's domain.
    Federated(String),
    /// An S3 canonical user id.
    CanonicalUser(String),
}

impl PrincipalElement {
    /// The named principals.
    #[must_use]
    pub fn patterns(&self) -> &[PrincipalPattern] {
        match self {
            Self::Principal(patterns) | Self::NotPrincipal(patterns) => patterns,
        }
    }
}

/// Reads the value of `Principal` or `NotPrincipal`; sorted, without repetition.
pub(super) fn parse(node: &Node, path: &str) -> Result<Vec<PrincipalPattern>, PolicyError> {
    let mut out = Vec::new();
    match node {
        Node::Text(text) if text == "*" => out.push(PrincipalPattern::Everyone),
        Node::Object(kinds) if !kinds.is_empty() => {
            for (kind, values) in kinds {
                let path = format!("{path}.{kind}");
                for (at, value) in texts(values, &path)?.into_iter().enumerate() {
                    let at = if matches!(values, Node::List(_)) { format!("{path}[{at}]") } else { path.clone() };
                    out.push(pattern(kind, value, &at)?);
                }
            }
        }
        other => {
            let reason = format!(
                "expected \"*\" or an object with AWS, Service, Federated or CanonicalUser, found {}",
                other.kind()
            );
            return Err(PolicyError::new(path, reason));
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

fn texts<'n>(node: &'n Node, path: &str) -> Result<Vec<&'n str>, PolicyError> {
    let text = |node: &'n Node, path: &str| match node {
        Node::Text(text) => Ok(text.as_str()),
        other => Err(PolicyError::new(path, format!("expected a principal, found {}", other.kind()))),
    };
    match node {
        Node::List(list) if !list.is_empty() => {
            list.iter().enumerate().map(|(at, node)| text(node, &format!("{path}[{at}]"))).collect()
        }
        Node::List(_) => Err(PolicyError::new(path, "expected at least one principal".to_owned())),
        one => text(one, path).map(|one| vec![one]),
    }
}

fn pattern(kind: &str, value: &str, path: &str) -> Result<PrincipalPattern, PolicyError> {
    let is = |name: &str| kind.eq_ignore_ascii_case(name);
    if value.is_empty() {
        return Err(PolicyError::new(path, "expected a principal, found an empty text".to_owned()));
    }
    if is("AWS") {
        return aws(value, path);
    }
    if is("Service") {
        return Ok(PrincipalPattern::Service(value.to_owned()));
    }
    if is("Federated") {
        return Ok(PrincipalPattern::Federated(value.to_owned()));
    }
    if is("CanonicalUser") {
        return Ok(PrincipalPattern::CanonicalUser(value.to_owned()));
    }
    Err(PolicyError::new(path, format!("expected AWS, Service, Federated or CanonicalUser, found `{kind}`")))
}

fn aws(value: &str, path: &str) -> Result<PrincipalPattern, PolicyError> {
    if value == "*" {
        return Ok(PrincipalPattern::Everyone);
    }
    if let Ok(account) = value.parse::<AccountId>() {
        return Ok(PrincipalPattern::Account(account));
    }
    if value.contains(['*', '?']) {
        let reason = format!("expected \"*\" alone or an ARN without wildcards, found `{value}`");
        return Err(PolicyError::new(path, reason));
    }
    if let Ok(arn) = value.parse::<Arn>() {
        return Ok(match arn.account() {
            Some(account) if arn.service() == "iam" && arn.resource() == "root" => PrincipalPattern::Account(account),
            _ => PrincipalPattern::Arn(arn),
        });
    }
    // Unique ids are upper-case letters and digits: AIDA… a user, AROA… a role, and so on.
    if value.len() >= 16 && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return Ok(PrincipalPattern::UniqueId(value.to_owned()));
    }
    Err(PolicyError::new(path, format!("expected an account id, an ARN, a unique id or \"*\", found `{value}`")))
}

impl fmt::Display for PrincipalPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("*"),
            Self::Account(account) => write!(f, "{account}"),
            Self::Arn(arn) => write!(f, "{arn}"),
            Self::UniqueId(text) | Self::Service(text) | Self::Federated(text) | Self::CanonicalUser(text) => {
                f.write_str(text)
            }
        }
    }
}
