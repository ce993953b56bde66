//! Who may assume a role, from its trust policy alone.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal" and "Compare IAM roles and resource-based policies".

use crate::model::arn::AccountId;
use crate::model::snapshot::Role;
use crate::policy::{
    ActionMatch, Condition, DocumentKind, Effect, PolicyDocument, PolicyError, PrincipalElement, PrincipalPattern,
    Statement,
};

/// Name with which Identity Center's SAML provider starts in every account.
const IDENTITY_CENTER_PROVIDER: &str = "saml-provider/AWSSSO_";

/// Kind of a trusted principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustedBy {
    /// Anybody in any account whose own policies allow it.
    Everyone,
    /// An AWS service.
    Service(String),
    /// Whoever the account allows: its users and roles.
    Account(AccountId),
    /// An IAM user.
    User(String),
    /// A role.
    Role(String),
    /// A session, federated user or other principal by ARN.
    Session(String),
    /// A deleted principal's unique id.
    UniqueId(String),
    /// Identity Center's SAML provider.
    IdentityCenter(String),
    /// Another SAML provider.
    Saml(String),
    /// An OIDC provider's ARN, or a web identity provider's domain.
    WebIdentity(String),
    /// Something else, as written.
    Other(String),
}

/// Whether people or machines come by a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assumer {
    /// People.
    Human,
    /// Machines.
    Machine,
    /// Either; who assumes it in fact shows in the logs.
    Either,
}

impl TrustedBy {
    /// Who comes by this way.
    #[must_use]
    pub const fn assumer(&self) -> Assumer {
        match self {
            Self::IdentityCenter(_) | Self::Saml(_) | Self::User(_) => Assumer::Human,
            Self::Service(_) => Assumer::Machine,
            Self::Everyone
            | Self::Account(_)
            | Self::Role(_)
            | Self::Session(_)
            | Self::UniqueId(_)
            | Self::WebIdentity(_)
            | Self::Other(_) => Assumer::Either,
        }
    }
}

/// One way into a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustPrincipal {
    /// Who.
    pub who: TrustedBy,
    /// The `sts` actions, as written, such as `sts:AssumeRoleWithSAML`; `not …` for `NotAction`.
    pub actions: Vec<String>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
    /// True where the statement trusts all but `who` (`NotPrincipal`).
    pub all_but: bool,
    /// Index of the statement.
    pub statement: usize,
}

/// A role's trust policy, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Ways in; sorted.
    pub allowed: Vec<TrustPrincipal>,
    /// What the policy denies; sorted.
    pub denied: Vec<TrustPrincipal>,
}

impl Trust {
    /// Whether people may come in by some way: human, or either where `either` is set.
    #[must_use]
    pub fn human_assumable(&self, either: bool) -> bool {
        self.allowed.iter().any(|way| {
            way.all_but
                || match way.who.assumer() {
                    Assumer::Human => true,
                    Assumer::Either => either,
                    Assumer::Machine => false,
                }
        })
    }
}

/// Who may assume the role by its trust policy.
///
/// # Errors
/// Where the trust policy cannot be parsed; then nobody knows who may.
pub fn who_may_assume(role: &Role) -> Result<Trust, PolicyError> {
    let document = PolicyDocument::parse(&role.trust, DocumentKind::Trust)?;
    let mut trust = Trust::default();
    for (index, statement) in document.statements.iter().enumerate() {
        let Some(actions) = assuming(statement) else { continue };
        let Some(principal) = &statement.principal else { continue };
        let into = match statement.effect {
            Effect::Allow => &mut trust.allowed,
            Effect::Deny => &mut trust.denied,
        };
        into.extend(principal.patterns().iter().map(|pattern| TrustPrincipal {
            who: trusted(pattern),
            actions: actions.clone(),
            conditions: statement.conditions.clone(),
            all_but: matches!(principal, PrincipalElement::NotPrincipal(_)),
            statement: index,
        }));
    }
    trust.allowed.sort();
    trust.denied.sort();
    Ok(trust)
}

/// The actions that let one in, or none where the statement is only about `sts:TagSession` and the like.
fn assuming(statement: &Statement) -> Option<Vec<String>> {
    const WAYS: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
    let names = |pattern: &str| {
        let glob = crate::catalog::Glob::new(pattern);
        WAYS.iter().any(|way| glob.matches(way))
    };
    match &statement.actions {
        ActionMatch::Action(patterns) => {
            let found: Vec<String> =
                patterns.iter().map(|p| p.as_str()).filter(|p| names(p)).map(str::to_owned).collect();
            (!found.is_empty()).then_some(found)
        }
        ActionMatch::NotAction(patterns) => Some(patterns.iter().map(|p| format!("not {}", p.as_str())).collect()),
    }
}

fn trusted(pattern: &PrincipalPattern) -> TrustedBy {
    match pattern {
        PrincipalPattern::Everyone => TrustedBy::Everyone,
        PrincipalPattern::Account(account) => TrustedBy::Account(*account),
        PrincipalPattern::UniqueId(id) => TrustedBy::UniqueId(id.clone()),
        PrincipalPattern::Service(name) => TrustedBy::Service(name.clone()),
        PrincipalPattern::CanonicalUser(id) => TrustedBy::Other(id.clone()),
        PrincipalPattern::Arn(arn) => {
            let text = arn.to_string();
            match (arn.service(), arn.resource()) {
                ("iam", resource) if resource.starts_with("user/") => TrustedBy::User(text),
                ("iam", resource) if resource.starts_with("role/") => TrustedBy::Role(text),
                ("sts", _) => TrustedBy::Session(text),
                _ => TrustedBy::Other(text),
            }
        }
        PrincipalPattern::Federated(text) => {
            if text.contains(":saml-provider/") {
                if text.contains(IDENTITY_CENTER_PROVIDER) {
                    TrustedBy::IdentityCenter(text.clone())
                } else {
                    TrustedBy::Saml(text.clone())
                }
            } else {
                TrustedBy::WebIdentity(text.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Holder;

    fn role(trust: &str) -> Role {
        Role {
            holder: Holder {
                arn: "arn:aws:iam::123456789012:role/r".parse().unwrap(),
                name: "r".into(),
                path: "/".into(),
                id: "AROA".into(),
                created: None,
                inline: Vec::new(),
                attached: Vec::new(),
                boundary: None,
                tags: std::collections::BTreeMap::new(),
            },
            trust: trust.to_owned(),
            last_used: None,
            instance_profiles: Vec::new(),
        }
    }

    #[test]
    fn ways_in() {
        for (principal, action, want, human) in [
            (
                r#"{"Service":"ec2.amazonaws.com"}"#,
                "sts:AssumeRole",
                TrustedBy::Service("ec2.amazonaws.com".into()),
                false,
            ),
            (r#"{"AWS":"123456789012"}"#, "sts:*", TrustedBy::Account("123456789012".parse().unwrap()), false),
            (
                r#"{"AWS":"arn:aws:iam::123456789012:user/ann"}"#,
                "sts:AssumeRole",
                TrustedBy::User("arn:aws:iam::123456789012:user/ann".into()),
                true,
            ),
            (
                r#"{"Federated":"arn:aws:iam::123456789012:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"}"#,
                "sts:AssumeRoleWithSAML",
                TrustedBy::IdentityCenter(
                    "arn:aws:iam::123456789012:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE".into(),
                ),
                true,
            ),
            (
                r#"{"Federated":"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}"#,
                "sts:AssumeRoleWithWebIdentity",
                TrustedBy::WebIdentity(
                    "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com".into(),
                ),
                false,
            ),
            (r#""*""#, "sts:AssumeRole", TrustedBy::Everyone, false),
        ] {
            let text = format!(
                r#"{{"Statement":[{{"Effect":"Allow","Principal":{principal},"Action":["sts:TagSession","{action}"],
                "Condition":{{"StringEquals":{{"sts:ExternalId":"x"}}}}}},
                {{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}}]}}"#
            );
            let trust = who_may_assume(&role(&text)).unwrap();
            let [way] = trust.allowed.as_slice() else { panic!("one way") };
            assert_eq!((&way.who, way.conditions.len(), &way.actions), (&want, 1, &vec![action.to_owned()]));
            assert_eq!(trust.human_assumable(false), human, "{principal}");
            assert!(trust.denied.is_empty());
        }
        assert!(who_may_assume(&role("")).is_err());
    }
}
