//! What is known about a principal before it makes a request, and which conditions that decides.
//!
//! A service control policy that spares some roles (`ArnNotLike` on `aws:PrincipalArn`) or the whole organisation
//! can be decided for each principal; one on the region, the source address or MFA depends on the request, and
//! leaves the action granted for the requests that it does not mean.
//! Source: IAM User Guide, "AWS global condition context keys".

use crate::decide::condition::CompiledCondition;
use crate::decide::context::{Context, Slot};
use crate::decide::{PrincipalKind, Truth as Decided};
use crate::model::arn::{AccountId, Arn};

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

/// Facts about a principal, or about all of an account.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The keys that are known before any request; nothing is known of the others.
    context: Context,
}

/// Keys that tell the principals of an account apart.
const PRINCIPAL_KEYS: [&str; 3] = ["aws:principalarn", "aws:principaltype", "aws:username"];
/// Beginning of the keys that belong to the principal and not to the request.
const FIXED: [&str; 3] = ["aws:principal", "aws:username", "aws:userid"];

fn starts_with(key: &str, start: &str) -> bool {
    key.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

fn is_fixed(key: &str) -> bool {
    FIXED.iter().any(|start| starts_with(key, start))
}

/// Whether deciding the conditions needs to know which principal it is.
pub(super) fn personal(conditions: &[CompiledCondition]) -> bool {
    let is_personal = |key: &str| PRINCIPAL_KEYS.iter().any(|own| key.eq_ignore_ascii_case(own));
    conditions.iter().any(|one| is_personal(&one.key) || one.variables().into_iter().any(|(key, _)| is_personal(key)))
}

impl Facts {
    /// `organization` where the account is known to be in it; a principal by its ARN, name and kind.
    pub(super) fn new(
        account: AccountId,
        organization: Option<&str>,
        principal: Option<(&Arn, &str, PrincipalKind)>,
    ) -> Self {
        let mut context = Context::open();
        context.set("aws:PrincipalAccount", Slot::one(account.to_string()));
        context.set("aws:PrincipalIsAWSService", Slot::one("false"));
        context.set("aws:PrincipalServiceName", Slot::Absent);
        if let Some(id) = organization {
            context.set("aws:PrincipalOrgID", Slot::one(id));
        }
        if let Some((arn, name, kind)) = principal {
            let user = kind == PrincipalKind::User;
            context.set("aws:PrincipalArn", Slot::one(arn.as_str()));
            context.set("aws:PrincipalType", Slot::one(if user { "User" } else { "AssumedRole" }));
            context.set("aws:username", if user { Slot::one(name) } else { Slot::Absent });
        }
        Self { context }
    }

    /// Whether all conditions hold.
    pub(super) fn decide(&self, conditions: &[CompiledCondition]) -> Truth {
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

    fn one(&self, condition: &CompiledCondition) -> Truth {
        match condition.decide(&self.context) {
            Decided::True => Truth::Always,
            Decided::False => Truth::Never,
            // What belongs to the principal is the same for all its requests.
            Decided::Unknown
                if is_fixed(&condition.key) && condition.variables().into_iter().all(|(key, _)| is_fixed(key)) =>
            {
                Truth::Unknown
            }
            Decided::Unknown => Truth::Sometimes,
        }
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
        let account = "111111111111".parse().unwrap();
        let facts = Facts::new(account, Some("o-1"), Some((&arn, "app", PrincipalKind::Role)));
        let conditions: Vec<_> = conditions.into_iter().map(|one| CompiledCondition::new(one, true)).collect();
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
            (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:role/team/app"}}"#, Truth::Always),
            (r#"{"StringNotEquals":{"aws:PrincipalAccount":"${aws:ResourceAccount}"}}"#, Truth::Sometimes),
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
