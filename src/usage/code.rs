//! What is managed as code, as far as the logs show: users, roles and permission sets of which the policies were written by
//! CloudFormation, by a tool that says so in its user agent, or by a pipeline that came by a token.

use std::collections::BTreeMap;

use crate::model::time::Timestamp;

use super::changes::pathless;
use super::fold::{ShapeFact, ShapeKey};
use super::identity::{Actor, Actors, Basis};

/// Operations that write what a user, a role or a permission set may do, or make one. Sources: IAM API Reference and IAM
/// Identity Center API Reference, "Actions".
const WRITES: [&str; 24] = [
    "AddUserToGroup",
    "AttachCustomerManagedPolicyReferenceToPermissionSet",
    "AttachManagedPolicyToPermissionSet",
    "AttachRolePolicy",
    "AttachUserPolicy",
    "CreatePermissionSet",
    "CreateRole",
    "CreateUser",
    "DeleteInlinePolicyFromPermissionSet",
    "DeleteRolePolicy",
    "DeleteUserPolicy",
    "DetachCustomerManagedPolicyReferenceFromPermissionSet",
    "DetachManagedPolicyFromPermissionSet",
    "DetachRolePolicy",
    "DetachUserPolicy",
    "PutInlinePolicyToPermissionSet",
    "PutPermissionsBoundaryToPermissionSet",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "PutUserPermissionsBoundary",
    "PutUserPolicy",
    "RemoveUserFromGroup",
    "UpdateAssumeRolePolicy",
    "UpdatePermissionSet",
];

/// Words in user agents of tools that keep IAM as code, and their names. CloudFormation calls as itself.
const TOOLS: [(&str, &str); 4] =
    [("terraform", "Terraform"), ("opentofu", "OpenTofu"), ("pulumi", "Pulumi"), ("cloudformation", "CloudFormation")];

/// How our own calls name themselves, whoever starts them.
const OURS: &str = "app/jitscan";

/// Whether a call writes what somebody may do.
#[must_use]
pub fn is_write(source: &str, name: &str) -> bool {
    (source.starts_with("iam.") || source.starts_with("sso.")) && WRITES.contains(&name)
}

/// A policy that code wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// When, the last time.
    pub at: Timestamp,
    /// Who, in words.
    pub by: String,
    /// The call.
    pub call: String,
}

/// What code wrote, by the ARN of whose policies they are, without its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenByCode(BTreeMap<String, Written>);

impl WrittenByCode {
    /// Reads the distinct calls of a lake.
    #[must_use]
    pub fn of<'a>(shapes: impl IntoIterator<Item = (&'a ShapeKey, &'a ShapeFact)>, actors: &Actors) -> Self {
        let mut out: BTreeMap<String, Written> = BTreeMap::new();
        for (key, fact) in shapes {
            if !is_write(&key.source, &key.name) || !key.outcome.supports_use() || key.inexact {
                continue;
            }
            let Some(by) = by(key, actors.get(&key.session).map(AsRef::as_ref)) else { continue };
            let whose = |arn: &&String| [":role/", ":user/", ":permissionSet/"].iter().any(|kind| arn.contains(kind));
            for arn in key.resources.iter().filter(whose) {
                let one = Written { at: fact.last, by: by.clone(), call: key.name.clone() };
                let known = out.entry(named(arn)).or_insert_with(|| one.clone());
                *known = one.max(known.clone());
            }
        }
        Self(out)
    }

    /// Who wrote the policies of a user, a role or a permission set, where that was code.
    #[must_use]
    pub fn of_holder(&self, arn: &str) -> Option<&Written> {
        self.0.get(&named(arn))
    }
}

/// Users and roles by their names: calls name no path. Permission sets have none, and their ARNs have more parts.
fn named(arn: &str) -> String {
    if arn.contains(":permissionSet/") { arn.to_owned() } else { pathless(arn) }
}

/// The code behind a call, in words.
fn by(key: &ShapeKey, actor: Option<&Actor>) -> Option<String> {
    let said = key.context.iter().filter(|(name, _)| name == "aws:UserAgent" || name.starts_with("aws:CalledVia"));
    let said = said.map(|(_, text)| text.to_ascii_lowercase()).collect::<Vec<_>>().join(" ");
    if said.contains(OURS) {
        return None;
    }
    if let Some((_, tool)) = TOOLS.iter().find(|(word, _)| said.contains(word)) {
        return Some((*tool).to_owned());
    }
    let actor = actor?;
    if actor.start().contains("cloudformation.amazonaws.com") {
        return Some("CloudFormation".to_owned());
    }
    let by_token = actor.basis == Basis::WebIdentity || actor.start().contains(":oidc-provider/");
    let (start, subject) =
        actor.hops.first().map_or((&actor.principal, &actor.session_name), |hop| (&hop.principal, &hop.session_name));
    let who = if subject.is_empty() { start.rsplit(":oidc-provider/").next().unwrap_or(start) } else { subject };
    by_token.then(|| format!("a pipeline ({who})"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::event::{CallVariant, Outcome};
    use crate::usage::fold::SessionId;
    use crate::usage::identity::ActorKind;

    fn shape(
        session: u64,
        name: &str,
        resource: &str,
        context: &[(&str, &str)],
        outcome: Outcome,
    ) -> (ShapeKey, ShapeFact) {
        let source = if resource.contains(":sso:") { "sso.amazonaws.com" } else { "iam.amazonaws.com" };
        let key = ShapeKey {
            session: SessionId(session),
            source: source.into(),
            name: name.into(),
            variant: CallVariant::default(),
            resources: vec![resource.to_owned()],
            outcome,
            account: String::new(),
            region: String::new(),
            context: context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            shared: false,
            inexact: false,
        };
        let last: Timestamp = "2026-01-02".parse().unwrap();
        (key, ShapeFact { count: 1, first: last, last, example: String::new(), example_time: last })
    }

    fn actor(basis: Basis) -> Arc<Actor> {
        Arc::new(Actor {
            kind: ActorKind::Role,
            principal: "arn:aws:iam::1:role/ci".into(),
            principal_id: Default::default(),
            account: "1".into(),
            session_name: "repo:o/r:ref:refs/heads/main".into(),
            person: None,
            basis,
            machine: true,
            own_act: true,
            hops: Vec::new(),
            missing: None,
        })
    }

    #[test]
    fn what_code_wrote_is_known_by_who_wrote_it() {
        let actors = Actors::from([(SessionId(1), actor(Basis::WebIdentity)), (SessionId(2), actor(Basis::None))]);
        let role = "arn:aws:iam::1:role/r";
        let set = "arn:aws:sso:::permissionSet/ssoins-1/ps-1";
        let plain: &[(&str, &str)] = &[("aws:UserAgent", "aws-cli/2.31")];
        let terraform: &[(&str, &str)] =
            &[("aws:UserAgent", "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 (+https://www.terraform.io)")];
        let stack: &[(&str, &str)] = &[("aws:UserAgent", "cloudformation.amazonaws.com")];
        let ours: &[(&str, &str)] = &[("aws:UserAgent", "aws-sdk-rust/1.3 app/jitscan")];
        for (session, name, resource, context, outcome, asked, by) in [
            (2, "PutRolePolicy", role, plain, Outcome::Authorised, role, None),
            (
                1,
                "PutRolePolicy",
                role,
                plain,
                Outcome::Authorised,
                role,
                Some("a pipeline (repo:o/r:ref:refs/heads/main)"),
            ),
            // The record has the bare name, the snapshot the path.
            (
                2,
                "AttachRolePolicy",
                role,
                terraform,
                Outcome::Authorised,
                "arn:aws:iam::1:role/team/r",
                Some("Terraform"),
            ),
            (2, "UpdateAssumeRolePolicy", role, stack, Outcome::Authorised, role, Some("CloudFormation")),
            (9, "PutInlinePolicyToPermissionSet", set, terraform, Outcome::Authorised, set, Some("Terraform")),
            // Refused; not a policy; ours.
            (2, "PutRolePolicy", role, terraform, Outcome::Denied, role, None),
            (2, "GetRole", role, terraform, Outcome::Authorised, role, None),
            (1, "PutRolePolicy", role, ours, Outcome::Authorised, role, None),
        ] {
            let shapes = [shape(session, name, resource, context, outcome)];
            let found = WrittenByCode::of(shapes.iter().map(|(key, fact)| (key, fact)), &actors);
            assert_eq!(found.of_holder(asked).map(|one| one.by.as_str()), by, "{name} {context:?}");
            assert_eq!(found.of_holder("arn:aws:iam::1:role/other"), None);
        }
    }
}
