//! What is known about a principal before it makes a request, and which conditions that decides.
//!
//! A service control policy that spares some roles (`ArnNotLike` on `aws:PrincipalArn`) or the whole organisation
//! can be decided for each principal; one on the region, the source address or MFA depends on the request, and
//! leaves the action granted for the requests that it does not mean.
//! Source: IAM User Guide, "AWS global condition context keys".

use crate::model::arn::{AccountId, Arn};
use crate::policy::{ArnPattern, Condition, Operator, Wild};

use super::PrincipalKind;

/// An answer where something may be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// Holds for every request of the principal.
    Always,
    /// Holds for none.
    Never,
    /// Holds for some requests and not for others.
    Sometimes,
    /// Depends on something about the principal that is not known here: it may hold for all requests or none.
    Unknown,
}

/// Facts about a principal, or about all of an account where `principal` is none.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) account: AccountId,
    /// The organisation, where the account is known to be in it.
    pub(super) organization: Option<&'a str>,
    pub(super) principal: Option<(&'a Arn, &'a str, PrincipalKind)>,
}

/// Keys that the principal decides; those of `Facts` without a principal come first.
const ACCOUNT_KEYS: [&str; 3] = ["aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalIsAWSService"];
const PRINCIPAL_KEYS: [&str; 3] = ["aws:PrincipalArn", "aws:PrincipalType", "aws:username"];
/// Beginning of the keys that belong to the principal and not to the request.
const FIXED: [&str; 3] = ["aws:principal", "aws:username", "aws:userid"];

/// Whether deciding the conditions needs to know which principal it is.
pub(super) fn personal(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| PRINCIPAL_KEYS.iter().any(|key| condition.key.eq_ignore_ascii_case(key)))
}

impl Facts<'_> {
    /// Whether all conditions hold.
    pub(super) fn decide(&self, conditions: &[Condition]) -> Truth {
        let mut all = Truth::Always;
        for condition in conditions {
            all = match (all, self.one(condition)) {
                (_, Truth::Never) => return Truth::Never,
                (all, Truth::Always) => all,
                // Only some requests at most: whatever the unknown is, the others are left.
                (_, Truth::Sometimes) | (Truth::Sometimes, _) => Truth::Sometimes,
                (_, Truth::Unknown) => Truth::Unknown,
            };
        }
        all
    }

    fn one(&self, condition: &Condition) -> Truth {
        let is = |key: &str| condition.key.eq_ignore_ascii_case(key);
        let value = match self.value(&condition.key) {
            Some(value) => value,
            None if FIXED
                .iter()
                .any(|start| condition.key.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))) =>
            {
                return Truth::Unknown;
            }
            None => return Truth::Sometimes,
        };
        let hits = |matches: &dyn Fn(&str) -> Option<bool>| -> Option<bool> {
            let mut unknown = false;
            for text in &condition.values {
                match matches(text) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => unknown = true,
                }
            }
            if unknown { None } else { Some(false) }
        };
        let Some(value) = value else {
            // The key is known to be absent.
            return match condition.operator {
                Operator::Null => truth(hits(&|text| Some(text.eq_ignore_ascii_case("true")))),
                operator if condition.if_exists || negated(operator) => Truth::Always,
                _ => Truth::Never,
            };
        };
        let exact = |fold: bool| {
            hits(&|text: &str| {
                if text.contains("${") {
                    return None;
                }
                Some(if fold { text.eq_ignore_ascii_case(&value) } else { text == value })
            })
        };
        let like = || {
            hits(&|text: &str| {
                let wild = Wild::parse(text, true);
                if wild.has_variables() { None } else { Some(wild.matches(&value)) }
            })
        };
        let arn = || {
            hits(&|text: &str| {
                if text.contains("${") { None } else { Some(ArnPattern::parse(text, false).matches(&value)) }
            })
        };
        let found = match condition.operator {
            Operator::StringEquals | Operator::StringNotEquals => exact(false),
            Operator::StringEqualsIgnoreCase | Operator::StringNotEqualsIgnoreCase | Operator::Bool => exact(true),
            Operator::StringLike | Operator::StringNotLike => like(),
            Operator::ArnEquals | Operator::ArnLike | Operator::ArnNotEquals | Operator::ArnNotLike
                if is("aws:PrincipalArn") =>
            {
                arn()
            }
            Operator::Null => hits(&|text| Some(text.eq_ignore_ascii_case("false"))),
            _ => None,
        };
        truth(if negated(condition.operator) { found.map(|hit| !hit) } else { found })
    }

    /// The value of a key: not known, known to be absent, or known.
    fn value(&self, key: &str) -> Option<Option<String>> {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let [account, organization, service] = ACCOUNT_KEYS;
        let [arn_key, type_key, user_key] = PRINCIPAL_KEYS;
        if is(account) {
            return Some(Some(self.account.to_string()));
        }
        if is(organization) {
            return self.organization.map(|id| Some(id.to_owned()));
        }
        if is(service) {
            return Some(Some("false".to_owned()));
        }
        let (arn, name, kind) = self.principal?;
        let user = kind == PrincipalKind::User;
        if is(arn_key) {
            Some(Some(arn.to_string()))
        } else if is(type_key) {
            Some(Some(if user { "User" } else { "AssumedRole" }.to_owned()))
        } else if is(user_key) {
            Some(user.then(|| name.to_owned()))
        } else {
            None
        }
    }
}

const fn negated(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::StringNotEquals
            | Operator::StringNotEqualsIgnoreCase
            | Operator::StringNotLike
            | Operator::ArnNotEquals
            | Operator::ArnNotLike
    )
}

const fn truth(found: Option<bool>) -> Truth {
    match found {
        Some(true) => Truth::Always,
        Some(false) => Truth::Never,
        None => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{DocumentKind, PolicyDocument};

    fn decide(condition: &str) -> Truth {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}}}"#
        );
        let conditions = PolicyDocument::parse(&text, DocumentKind::Identity).unwrap().statements.remove(0).conditions;
        let arn: Arn = "arn:aws:iam::111111111111:role/team/app".parse().unwrap();
        let facts = Facts {
            account: "111111111111".parse().unwrap(),
            organization: Some("o-1"),
            principal: Some((&arn, "app", PrincipalKind::Role)),
        };
        facts.decide(&conditions)
    }

    #[test]
    fn what_the_principal_decides() {
        for (condition, want) in [
            ("{}", Truth::Always),
            (r#"{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/team/*"}}"#, Truth::Never),
            (r#"{"ArnNotLike":{"aws:PrincipalARN":["arn:aws:iam::*:role/break-glass"]}}"#, Truth::Always),
            (r#"{"StringNotLike":{"aws:PrincipalArn":"arn:*:role/team/a?p"}}"#, Truth::Never),
            (r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/app"}}"#, Truth::Never),
            (
                r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:role/team/app"}}"#,
                Truth::Unknown,
            ),
            (r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#, Truth::Never),
            (r#"{"StringEquals":{"aws:PrincipalAccount":["2","111111111111"]}}"#, Truth::Always),
            (r#"{"Bool":{"aws:PrincipalIsAWSService":"true"}}"#, Truth::Never),
            (r#"{"StringEquals":{"aws:PrincipalTag/team":"x"}}"#, Truth::Unknown),
            (r#"{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}"#, Truth::Sometimes),
            (
                r#"{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"},"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/x"}}"#,
                Truth::Sometimes,
            ),
            (
                r#"{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/x"}}"#,
                Truth::Never,
            ),
            (r#"{"StringEquals":{"aws:PrincipalTag/a":"x","aws:RequestedRegion":"r"}}"#, Truth::Sometimes),
            (r#"{"StringEquals":{"aws:username":"app"}}"#, Truth::Never),
            (r#"{"StringEqualsIfExists":{"aws:username":"app"}}"#, Truth::Always),
            (r#"{"Null":{"aws:username":"true"}}"#, Truth::Always),
            (r#"{"Null":{"aws:PrincipalArn":"true"}}"#, Truth::Never),
        ] {
            assert_eq!(decide(condition), want, "{condition}");
        }
    }
}
