//! The least that the executor must be allowed: what jitscan made, what it was told to manage, and never itself.

use serde_json::{Value, json};

use crate::fetch::permissions::RoleText;
use crate::remediate::PATH;

use super::calls::CALLS;

/// What the executor may change beside what jitscan makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// Name of the role in every account but that of who starts.
    pub role_name: String,
    /// Whether it is the role that starts: it changes its own account, and becomes the other role in every other one.
    pub starts: bool,
    /// Users and roles with this tag, key and value; none where `paths` say which.
    pub tag: Option<(String, String)>,
    /// Users and roles below these paths, such as `/team/`.
    pub paths: Vec<String>,
    /// Groups of which memberships may change: groups have no tags.
    pub groups: Vec<String>,
    /// Names of roles of which it may say anew whom they let in: no condition tells what a trust policy says, so that whoever
    /// may write one may let in anybody.
    pub trusts: Vec<String>,
    /// Whether permission sets of Identity Center may change: any of them, for no condition tells them apart that holds of
    /// the instance, which the same calls are about.
    pub permission_sets: bool,
}

/// Name of the role that starts.
const CENTRAL: &str = "jitscan-remediate-central";

/// Whether a call only reads.
fn reads(operation: &str) -> bool {
    operation.starts_with("Get") || operation.starts_with("List")
}

/// What it takes to change permission sets. Source: Service Authorization Reference, "AWS IAM Identity Center": calls about a
/// set are about its instance and, where they change roles, about accounts.
fn permission_sets() -> [Value; 3] {
    let of = |reading: bool| -> Vec<&str> {
        let all = CALLS.iter().filter(|call| call.service == "SSO Admin" && is_reading(call.operation) == reading);
        // With tags from the beginning.
        let tags = (!reading).then_some("sso:TagResource");
        all.map(|call| call.action).chain(tags).collect()
    };
    let kinds = ["instance/*", "permissionSet/*", "account/*"].map(|kind| format!("arn:*:sso:::{kind}"));
    [
        json!({ "Sid": "ReadPermissionSets", "Effect": "Allow", "Action": of(true), "Resource": "*" }),
        json!({ "Sid": "ChangePermissionSets", "Effect": "Allow", "Action": of(false), "Resource": kinds }),
        json!({
            "Sid": "NeverAssign", "Effect": "Deny", "Resource": "*",
            "Action": ["sso:CreateAccountAssignment", "sso:DeleteAccountAssignment"]
        }),
    ]
}

/// A role by its name, whatever its path.
fn named(name: &str) -> [String; 2] {
    [format!("arn:*:iam::*:role/{name}"), format!("arn:*:iam::*:role/*/{name}")]
}

fn is_reading(operation: &str) -> bool {
    reads(operation) || operation.starts_with("Describe")
}

impl Managed {
    /// The identity policy of the executor in an account.
    ///
    /// What it could do with it all the same: give what it manages any permission, and make roles below jitscan's path that
    /// others may enter. It cannot enter those itself, and cannot change itself.
    #[must_use]
    pub fn policy(&self) -> Value {
        let reading: Vec<&str> = CALLS
            .iter()
            .filter(|call| reads(call.operation) && call.service == "IAM")
            .map(|call| call.action)
            .collect();
        let own = |kind: &str| format!("arn:*:iam::*:{kind}{PATH}*");
        let of = |kind: &str| -> Vec<String> {
            if self.paths.is_empty() {
                vec![format!("arn:*:iam::*:{kind}/*")]
            } else {
                self.paths.iter().map(|path| format!("arn:*:iam::*:{kind}{path}*")).collect()
            }
        };
        let itself: Vec<String> = [CENTRAL, &self.role_name].into_iter().flat_map(named).collect();
        let managed = |sid: &str, actions: &[&str], resources: Vec<String>| {
            let mut one = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
            if let (Some((key, value)), Some(fields)) = (&self.tag, one.as_object_mut()) {
                let tagged = format!("aws:ResourceTag/{key}");
                fields.insert("Condition".to_owned(), json!({ "StringEquals": { tagged: value } }));
            }
            one
        };
        let mut statements = vec![
            json!({ "Sid": "ReadState", "Effect": "Allow", "Action": reading, "Resource": "*" }),
            json!({
                "Sid": "MakeRolesForGrants", "Effect": "Allow",
                "Action": ["iam:CreateRole", "iam:TagRole", "iam:DeleteRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"],
                "Resource": own("role")
            }),
            json!({
                "Sid": "MakePolicies", "Effect": "Allow", "Action": ["iam:CreatePolicy", "iam:DeletePolicy"],
                "Resource": own("policy")
            }),
            managed(
                "ChangeRoles",
                &["iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy"],
                of("role"),
            ),
            managed(
                "ChangeUsers",
                &["iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:AttachUserPolicy", "iam:DetachUserPolicy"],
                of("user"),
            ),
        ];
        statements.extend(self.asked_for());
        statements.extend(self.permission_sets.then(permission_sets).into_iter().flatten());
        statements.extend([
            json!({ "Sid": "NeverChangeItself", "Effect": "Deny", "Action": "iam:*", "Resource": itself }),
            json!({
                "Sid": "NeverEnterWhatItMakes", "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": own("role")
            }),
        ]);
        json!({ "Version": "2012-10-17", "Statement": statements })
    }

    /// What it may do where that is asked for.
    fn asked_for(&self) -> Vec<Value> {
        let mut statements = Vec::new();
        if !self.groups.is_empty() {
            let groups: Vec<String> = self.groups.iter().map(|name| format!("arn:*:iam::*:group/{name}")).collect();
            statements.push(json!({
                "Sid": "ChangeMemberships", "Effect": "Allow",
                "Action": ["iam:AddUserToGroup", "iam:RemoveUserFromGroup"], "Resource": groups
            }));
        }
        if !self.trusts.is_empty() {
            let roles = self.trusts.iter().flat_map(|name| named(name));
            statements.push(json!({
                "Sid": "ChangeTrust", "Effect": "Allow", "Action": "iam:UpdateAssumeRolePolicy",
                "Resource": roles.collect::<Vec<_>>()
            }));
        }
        if self.starts {
            statements.push(json!({
                "Sid": "EnterOtherAccounts", "Effect": "Allow", "Action": "sts:AssumeRole",
                "Resource": format!("arn:*:iam::*:role/{}", self.role_name)
            }));
        }
        statements
    }

    /// The role that carries the policy.
    #[must_use]
    pub fn role(&self) -> RoleText {
        RoleText {
            name: if self.starts { CENTRAL.to_owned() } else { self.role_name.clone() },
            command: "jitscan remediate",
            policy_name: "jitscan-remediate",
            about: "Changes access for jitscan remediate".to_owned(),
            starts: self.starts,
            policy: self.policy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_made_can_be_allowed() {
        let managed = Managed {
            role_name: "jitscan-remediate".to_owned(),
            starts: true,
            tag: None,
            paths: Vec::new(),
            groups: vec!["developers".to_owned()],
            trusts: vec!["pipeline".to_owned()],
            permission_sets: true,
        };
        let text = managed.policy().to_string();
        for call in CALLS.iter().filter(|call| call.service != "STS") {
            assert!(text.contains(&format!("\"{}\"", call.action)), "{call:?}");
        }
        assert!(!Managed { permission_sets: false, ..managed.clone() }.policy().to_string().contains("sso:"));
        assert!(!Managed { starts: false, ..managed }.policy().to_string().contains("EnterOtherAccounts"));
        // An inline policy of a role has at most 10,240 characters without white space.
        assert!(text.len() < 10_240);
    }
}
