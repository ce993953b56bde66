//! Policy documents.

use std::fmt;

use thiserror::Error;

use super::json::Node;
use super::statement::Statement;

/// What a document is for: which elements it must and must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// Identity policy, permissions boundary or session policy: no `Principal`, a `Resource`.
    Identity,
    /// Service control policy: as identity policies.
    ServiceControl,
    /// A role's trust policy: a `Principal`, no `Resource`.
    Trust,
    /// A resource policy, resource control policy or VPC endpoint policy: a `Principal`; some services let the
    /// `Resource` be implied.
    Resource,
}

impl DocumentKind {
    pub(super) const fn takes_principal(self) -> bool {
        matches!(self, Self::Trust | Self::Resource)
    }

    pub(super) const fn takes_resource(self) -> bool {
        !matches!(self, Self::Trust)
    }

    pub(super) const fn needs_resource(self) -> bool {
        matches!(self, Self::Identity | Self::ServiceControl)
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "an identity policy",
            Self::ServiceControl => "a service control policy",
            Self::Trust => "a trust policy",
            Self::Resource => "a resource policy",
        })
    }
}

/// Version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// `2008-10-17`, also where none is given: no policy variables.
    V2008,
    /// `2012-10-17`.
    V2012,
}

/// Why a document is not a policy, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}{reason}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct PolicyError {
    /// Path in the document, such as `Statement[0].Action[2]`; empty for the whole of it.
    pub path: String,
    /// What was expected there and what was found.
    pub reason: String,
}

impl PolicyError {
    pub(super) fn new(path: &str, reason: String) -> Self {
        Self { path: path.to_owned(), reason }
    }
}

/// A policy document, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    /// Version of the language.
    pub version: Version,
    /// The `Id` element.
    pub id: Option<String>,
    /// Statements, in order.
    pub statements: Vec<Statement>,
}

impl PolicyDocument {
    /// Parses a document. Element names may have any case; a repeated element is refused.
    ///
    /// # Errors
    /// The first place at which the text is not a policy of that kind, and what was expected there.
    pub fn parse(text: &str, kind: DocumentKind) -> Result<Self, PolicyError> {
        if text.trim().is_empty() {
            return Err(PolicyError::new("", "expected a policy document, found nothing".to_owned()));
        }
        let node: Node = serde_json::from_str(text)
            .map_err(|error| PolicyError::new("", format!("expected a policy document as JSON: {error}")))?;
        let Node::Object(fields) = &node else {
            return Err(PolicyError::new("", format!("expected a policy document, found {}", node.kind())));
        };
        let (mut version, mut id, mut statement) = (None, None, None);
        for (name, value) in fields {
            let slot = match name {
                name if name.eq_ignore_ascii_case("Version") => &mut version,
                name if name.eq_ignore_ascii_case("Id") => &mut id,
                name if name.eq_ignore_ascii_case("Statement") => &mut statement,
                other => {
                    let reason = format!("expected one of Version, Id, Statement, found `{other}`");
                    return Err(PolicyError::new(name, reason));
                }
            };
            if slot.replace(value).is_some() {
                return Err(PolicyError::new(name, format!("expected {name} once")));
            }
        }
        let version = match version {
            None => Version::V2008,
            Some(Node::Text(text)) if text == "2012-10-17" => Version::V2012,
            Some(Node::Text(text)) if text == "2008-10-17" => Version::V2008,
            Some(other) => {
                let found = if let Node::Text(text) = other { format!("`{text}`") } else { other.kind().to_owned() };
                let reason = format!("expected \"2012-10-17\" or \"2008-10-17\", found {found}");
                return Err(PolicyError::new("Version", reason));
            }
        };
        let id = match id {
            None => None,
            Some(Node::Text(text)) => Some(text.clone()),
            Some(other) => return Err(PolicyError::new("Id", format!("expected a string, found {}", other.kind()))),
        };
        let variables = version == Version::V2012;
        let statements = match statement {
            None => return Err(PolicyError::new("", "expected a Statement".to_owned())),
            Some(Node::List(list)) if list.is_empty() => {
                return Err(PolicyError::new("Statement", "expected at least one statement".to_owned()));
            }
            Some(Node::List(list)) => {
                let mut out = Vec::with_capacity(list.len());
                for (at, node) in list.iter().enumerate() {
                    out.push(Statement::parse(node, &format!("Statement[{at}]"), kind, variables)?);
                }
                out
            }
            Some(one) => vec![Statement::parse(one, "Statement", kind, variables)?],
        };
        Ok(Self { version, id, statements })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ActionMatch, Effect, PrincipalElement, PrincipalPattern, ResourceMatch};
    use super::*;

    fn identity(text: &str) -> Result<PolicyDocument, PolicyError> {
        PolicyDocument::parse(text, DocumentKind::Identity)
    }

    #[test]
    fn what_aws_takes() {
        let one = identity(r#"{"Statement":{"effect":"Allow","ACTION":"S3:get*","resource":"*"}}"#).unwrap();
        assert_eq!(one.version, Version::V2008);
        let [statement] = one.statements.as_slice() else { panic!("one statement") };
        assert_eq!((statement.effect, statement.sid.as_deref()), (Effect::Allow, None));
        assert!(statement.resources.is_everything());
        let list = identity(
            r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"","Effect":"Deny","NotAction":["iam:*","sts:*"],
            "NotResource":["arn:aws:s3:::${aws:username}/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#,
        )
        .unwrap();
        let [statement] = list.statements.as_slice() else { panic!("one statement") };
        assert!(matches!(&statement.actions, ActionMatch::NotAction(patterns) if patterns.len() == 2));
        assert_eq!(statement.resources.to_string(), "not arn:aws:s3:::${aws:username}/*");
        assert_eq!(statement.conditions.len(), 1);
    }

    #[test]
    fn variables_only_in_the_new_language() {
        for (version, want) in
            [(r#""Version":"2012-10-17","#, true), (r#""Version":"2008-10-17","#, false), ("", false)]
        {
            let text = format!(
                r#"{{{version}"Statement":{{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${{aws:username}}"}}}}"#
            );
            let document = identity(&text).unwrap();
            assert_eq!(document.statements[0].resources.may_match("arn:aws:s3:::ann"), want, "{version}");
        }
    }

    #[test]
    fn principals_in_all_forms() {
        let trust = |principal: &str| {
            let text =
                format!(r#"{{"Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}}}]}}"#);
            let document = PolicyDocument::parse(&text, DocumentKind::Trust)?;
            Ok::<_, PolicyError>(match document.statements[0].principal.clone().unwrap() {
                PrincipalElement::Principal(list) => list,
                PrincipalElement::NotPrincipal(_) => panic!("not negated"),
            })
        };
        let account = || PrincipalPattern::Account("123456789012".parse().unwrap());
        for (text, want) in [
            (r#""*""#, vec![PrincipalPattern::Everyone]),
            (r#"{"AWS":"*"}"#, vec![PrincipalPattern::Everyone]),
            (r#"{"AWS":["123456789012","arn:aws-cn:iam::123456789012:root"]}"#, vec![account()]),
            (r#"{"AWS":"AROAEXAMPLE123456789"}"#, vec![PrincipalPattern::UniqueId("AROAEXAMPLE123456789".into())]),
            (
                r#"{"Service":["ec2.amazonaws.com","ecs-tasks.amazonaws.com"]}"#,
                vec![
                    PrincipalPattern::Service("ec2.amazonaws.com".into()),
                    PrincipalPattern::Service("ecs-tasks.amazonaws.com".into()),
                ],
            ),
            (
                r#"{"Federated":"cognito-identity.amazonaws.com"}"#,
                vec![PrincipalPattern::Federated("cognito-identity.amazonaws.com".into())],
            ),
        ] {
            assert_eq!(trust(text).unwrap(), want, "{text}");
        }
        for (text, path) in [
            (r#""ann""#, "Statement[0].Principal"),
            (r#"{"AWS":["*","ann"]}"#, "Statement[0].Principal.AWS[1]"),
            (r#"{"AWS":"arn:aws:iam::123456789012:user/*"}"#, "Statement[0].Principal.AWS"),
            (r#"{"Human":"ann"}"#, "Statement[0].Principal.Human"),
            (r#"{"AWS":[]}"#, "Statement[0].Principal.AWS"),
            (r#"{"AWS":[7]}"#, "Statement[0].Principal.AWS[0]"),
            ("{}", "Statement[0].Principal"),
        ] {
            assert_eq!(trust(text).unwrap_err().path, path, "{text}");
        }
    }

    #[test]
    fn what_aws_refuses() {
        let whole = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        for (text, want) in [
            (String::new(), "expected a policy document, found nothing"),
            ("[]".to_owned(), "expected a policy document, found a list"),
            ("{".to_owned(), "expected a policy document as JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"Version":"2012-10-17"}"#.to_owned(), "expected a Statement"),
            (
                r#"{"Version":"2020-01-01","Statement":[]}"#.to_owned(),
                "Version: expected \"2012-10-17\" or \"2008-10-17\", found `2020-01-01`",
            ),
            (r#"{"Statement":[]}"#.to_owned(), "Statement: expected at least one statement"),
            (r#"{"Statement":[],"statement":[]}"#.to_owned(), "statement: expected statement once"),
            (
                r#"{"Statement":[],"Rules":[]}"#.to_owned(),
                "Rules: expected one of Version, Id, Statement, found `Rules`",
            ),
            (whole("7"), "Statement[0]: expected a statement, found a number"),
            (whole(r#"{"Action":"*","Resource":"*"}"#), "Statement[0]: expected an Effect"),
            (
                whole(r#"{"Effect":"allow","Action":"*","Resource":"*"}"#),
                "Statement[0].Effect: expected \"Allow\" or \"Deny\", found `allow`",
            ),
            (whole(r#"{"Effect":"Allow","Resource":"*"}"#), "Statement[0]: expected an Action or NotAction"),
            (
                whole(r#"{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}"#),
                "Statement[0]: expected Action or NotAction, found both",
            ),
            (
                whole(r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#),
                "Statement[0].Action: expected an action, found an empty list",
            ),
            (
                whole(r#"{"Effect":"Allow","Action":["*","s3"],"Resource":"*"}"#),
                "Statement[0].Action[1]: expected \"*\" or service:Action, found `s3`",
            ),
            (
                whole(r#"{"Effect":"Allow","Action":"*"}"#),
                "Statement[0]: expected a Resource or NotResource in an identity policy",
            ),
            (
                whole(r#"{"Effect":"Allow","Action":"*","Resource":["*",1]}"#),
                "Statement[0].Resource[1]: expected a resource, found a number",
            ),
            (
                whole(r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}"#),
                "Statement[0]: expected no Principal in an identity policy",
            ),
            (
                whole(r#"{"Effect":"Allow","Action":"*","Action":"s3:*","Resource":"*"}"#),
                "Statement[0].Action: expected Action once",
            ),
            (
                whole(r#"{"Effect":"Allow","Actions":"*","Resource":"*"}"#),
                "Statement[0].Actions: expected one of Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition, found `Actions`",
            ),
        ] {
            assert_eq!(identity(&text).unwrap_err().to_string(), want, "{text}");
        }
        let trust = whole(r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*","Resource":"*"}"#);
        assert_eq!(
            PolicyDocument::parse(&trust, DocumentKind::Trust).unwrap_err().to_string(),
            "Statement[0]: expected no Resource in a trust policy"
        );
    }

    #[test]
    fn resources_cover_and_overlap() {
        let resources = |text: &str| {
            let (element, list) = text.split_once(' ').unwrap();
            let list: Vec<String> = list
                .split(' ')
                .map(|one| if one == "*" { one.to_owned() } else { format!("arn:aws:s3:::{one}") })
                .collect();
            let text = format!(r#"{{"Statement":{{"Effect":"Allow","Action":"s3:*","{element}":{list:?}}}}}"#);
            identity(&text).unwrap().statements.remove(0).resources
        };
        for (p, q, covers, overlaps) in [
            ("Resource *", "NotResource a", true, true),
            ("Resource a* b*", "Resource b1 a1", true, true),
            ("Resource a*", "Resource b", false, false),
            ("NotResource a*", "Resource b", true, true),
            ("NotResource a*", "Resource a1", false, false),
            ("NotResource a1", "Resource a*", false, true),
            ("NotResource a1", "NotResource a*", true, true),
            ("NotResource a*", "NotResource a1", false, true),
            ("NotResource *", "NotResource a1", false, false),
            ("Resource a*", "NotResource b", false, true),
        ] {
            let (mine, theirs) = (resources(p), resources(q));
            assert_eq!(mine.covers(&theirs), covers, "{p} covers {q}");
            assert_eq!(mine.overlaps(&theirs), overlaps, "{p} overlaps {q}");
            assert_eq!(theirs.overlaps(&mine), overlaps, "{q} overlaps {p}");
        }
        assert!(matches!(resources("NotResource *"), ResourceMatch::NotResource(_)));
        assert!(!resources("NotResource *").may_match("arn:aws:s3:::a"));
        assert!(resources("NotResource a").may_match("*"));
    }
}
