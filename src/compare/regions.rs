//! Regions that organisation policies close: a service control policy that denies everything outside some regions
//! makes the logs of the other regions irrelevant for the principals that it binds.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::model::arn::AccountId;
use crate::model::snapshot::{AccountIam, Organization};
use crate::policy::{Condition, DocumentKind, Effect, Operator, PolicyDocument, Qualifier, Statement, compile};

use super::observe::RegionLimit;

/// The region limits that bind the principals of an account. The management account is never bound.
#[must_use]
pub fn limits(organization: Option<&Organization>, account: AccountId, catalog: &Catalog) -> Vec<RegionLimit> {
    let Some(organization) = organization.filter(|organization| organization.management_account != account) else {
        return Vec::new();
    };
    let Some(member) = organization.accounts.iter().find(|member| member.id == account) else { return Vec::new() };
    let own = account.to_string();
    let above: BTreeSet<&str> = member.parents.iter().map(String::as_str).chain([own.as_str()]).collect();
    organization
        .policies
        .iter()
        .filter(|policy| policy.kind == "SERVICE_CONTROL_POLICY")
        .filter(|policy| policy.targets.iter().any(|target| above.contains(target.as_str())))
        .filter_map(|policy| PolicyDocument::parse(&policy.json, DocumentKind::ServiceControl).ok())
        .flat_map(|document| document.statements)
        .filter_map(|statement| limit(&statement, catalog))
        .collect()
}

/// A statement limits regions where it denies on every resource and its only condition is that the requested
/// region is none of some. A further condition (an exempted role, say) may spare the principal, so it is no limit.
fn limit(statement: &Statement, catalog: &Catalog) -> Option<RegionLimit> {
    let [condition] = statement.conditions.as_slice() else { return None };
    if statement.effect != Effect::Deny || !statement.resources.is_everything() || !names_regions(condition) {
        return None;
    }
    let actions = compile::compile(&statement.actions, catalog).set.as_ref().clone();
    Some(RegionLimit { actions, regions: condition.values.iter().cloned().collect() })
}

/// Regions that ARNs in the IAM data of an account name, for it or for any account: who names a region may use it, also
/// one that is not on by default.
#[must_use]
pub fn named(iam: &AccountIam, account: &str) -> BTreeSet<String> {
    in_arns(&serde_json::to_string(iam).unwrap_or_default(), account)
}

fn in_arns(text: &str, account: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("arn:aws") {
        let mut parts = text.get(at..).unwrap_or_default().split(':').skip(3);
        let (Some(region), Some(owner)) = (parts.next(), parts.next()) else { continue };
        if is_region(region) && (owner.is_empty() || owner.contains(['*', '?', '$']) || owner == account) {
            found.insert(region.to_owned());
        }
    }
    found
}

/// `us-east-1`, `us-gov-west-1` and the like.
fn is_region(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 32
        && text.bytes().all(known)
        && text.matches('-').count() >= 2
        && text.bytes().next_back().is_some_and(|b| b.is_ascii_digit())
}

fn names_regions(condition: &Condition) -> bool {
    condition.operator == Operator::StringNotEquals
        && condition.qualifier == Qualifier::None
        && condition.key.eq_ignore_ascii_case("aws:RequestedRegion")
        && condition.values.iter().all(|value| !value.contains(['*', '?', '$']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits_of(statement: &str) -> Vec<RegionLimit> {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        let document = PolicyDocument::parse(&text, DocumentKind::ServiceControl).unwrap();
        document.statements.iter().filter_map(|statement| limit(statement, Catalog::get())).collect()
    }

    #[test]
    fn regions_that_arns_name() {
        let text = r#"{"a":"arn:aws:sqs:me-south-1:111111111111:q","b":["arn:aws:sqs:af-south-1:*:q","arn:aws:s3:::b"],
            "c":"{\"Resource\":\"arn:aws:sqs:il-central-1:111111111111:q\"}","d":"arn:aws:sqs:ap-east-1:222222222222:q",
            "e":"arn:aws:sqs:*:111111111111:q","f":"arn:aws:sqs:eu-west-*:111111111111:q","g":"arn:aws"}"#;
        let found = in_arns(text, "111111111111");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["af-south-1", "il-central-1", "me-south-1"]);
    }

    #[test]
    fn only_a_plain_region_deny_limits() {
        let regions = r#""Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","us-east-1"]}}"#;
        let found =
            limits_of(&format!(r#"{{"Effect":"Deny","NotAction":["iam:*","sts:*"],"Resource":"*",{regions}}}"#));
        let catalog = Catalog::get();
        assert_eq!(found.len(), 1);
        assert!(found[0].actions.contains(catalog.find("ec2:RunInstances").unwrap()));
        assert!(!found[0].actions.contains(catalog.find("iam:CreateUser").unwrap()));
        assert_eq!(found[0].regions.iter().collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);
        for statement in [
            format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*",{regions}}}"#),
            format!(r#"{{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::a",{regions}}}"#),
            r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"},"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/x"}}}"#.to_owned(),
            r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotLike":{"aws:RequestedRegion":"eu-*"}}}"#.to_owned(),
            r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#.to_owned(),
        ] {
            assert_eq!(limits_of(&statement), [], "{statement}");
        }
    }
}
