//! What a call changes: a place in an account's IAM, and what stands there before and after.
//!
//! A call is made when its place stands as before, is done when it stands as after, and anything else is somebody else's
//! doing. So every step can be tried again, whatever became of the answer of the last try.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::arn::AccountId;
use crate::model::snapshot::{AccountIam, Holder, PolicyName, SetBoundary, Snapshot};

use super::effect::Effect;
use super::set_effect;

/// A place in an account's IAM that one call writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// An inline policy of a role.
    RolePolicy {
        /// Name of the role.
        role: String,
        /// Name of the policy.
        policy: String,
    },
    /// An inline policy of a user.
    UserPolicy {
        /// Name of the user.
        user: String,
        /// Name of the policy.
        policy: String,
    },
    /// A managed policy at a role.
    RoleAttachment {
        /// Name of the role.
        role: String,
        /// ARN of the policy.
        policy: String,
    },
    /// A managed policy at a user.
    UserAttachment {
        /// Name of the user.
        user: String,
        /// ARN of the policy.
        policy: String,
    },
    /// A user in a group.
    Membership {
        /// Name of the user.
        user: String,
        /// Name of the group.
        group: String,
    },
    /// The trust policy of a role.
    RoleTrust {
        /// Name of the role.
        role: String,
    },
    /// A managed policy.
    Policy {
        /// Its ARN.
        policy: String,
    },
    /// A role.
    Role {
        /// Its ARN.
        role: String,
    },
    /// A part of a permission set.
    PermissionSet {
        /// ARN of the instance.
        instance: String,
        /// ARN of the set; of one that a plan makes its name.
        set: String,
        /// Which part.
        part: SetPart,
    },
}

/// A part of a permission set that one call writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetPart {
    /// The set itself.
    Whole,
    /// Its inline policy.
    Inline,
    /// One of AWS's managed policies, by ARN.
    Managed(String),
    /// A managed policy of each account.
    Customer(PolicyName),
    /// Its permissions boundary.
    Boundary,
    /// Its roles: whether they are as the set says.
    Provisioned,
}

/// What stands at a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Value {
    /// Nothing.
    Absent,
    /// An attachment or a membership.
    There,
    /// A policy's document.
    Document(String),
    /// A role.
    Role {
        /// Its trust policy.
        trust: String,
        /// ARN of its permissions boundary.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boundary: Option<String>,
        /// Longest session, in seconds.
        max_session_seconds: u32,
        /// Tags.
        tags: BTreeMap<String, String>,
    },
    /// A permission set.
    PermissionSet {
        /// What it is for, in words.
        description: String,
        /// Longest session, such as `PT1H`.
        session: String,
        /// Tags.
        tags: BTreeMap<String, String>,
    },
    /// The permissions boundary of a permission set.
    Boundary(SetBoundary),
}

/// Documents are equal where they say the same: IAM keeps them as they were sent, and what exports them may not.
fn same_document(a: &str, b: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || value(a).zip(value(b)).is_some_and(|(a, b)| a == b)
}

/// Trust policies are equal where they let in the same: a grant moves the time at which one ends.
fn same_trust(a: &str, b: &str) -> bool {
    fn endless(trust: &str) -> Option<serde_json::Value> {
        let mut value: serde_json::Value = serde_json::from_str(trust).ok()?;
        let all = match value.get_mut("Statement")? {
            serde_json::Value::Array(all) => all.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        for statement in all {
            let condition = statement.get_mut("Condition").and_then(|condition| condition.as_object_mut());
            condition.map(|condition| condition.remove("DateLessThan"));
        }
        Some(value)
    }
    a == b || endless(a).zip(endless(b)).is_some_and(|(a, b)| a == b)
}

/// What a role is compared by is who it lets in and how far; tags, and until when it lets in, others may change.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) | (Self::There, Self::There) => true,
            (Self::Document(a), Self::Document(b)) => same_document(a, b),
            (Self::PermissionSet { session, .. }, Self::PermissionSet { session: other, .. }) => session == other,
            (Self::Boundary(a), Self::Boundary(b)) => a == b,
            (
                Self::Role { trust, boundary, max_session_seconds, .. },
                Self::Role { trust: other, boundary: b, max_session_seconds: seconds, .. },
            ) => same_trust(trust, other) && boundary == b && max_session_seconds == seconds,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// What it is, for people: documents are not printed.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Absent => "nothing".to_owned(),
            Self::There => "there".to_owned(),
            Self::Document(json) => format!("a document of {} characters", json.len()),
            Self::Role { .. } => "a role".to_owned(),
            Self::PermissionSet { .. } => "a permission set".to_owned(),
            Self::Boundary(_) => "a permissions boundary".to_owned(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RolePolicy { role, policy } => write!(f, "inline policy {policy} of role {role}"),
            Self::UserPolicy { user, policy } => write!(f, "inline policy {policy} of user {user}"),
            Self::RoleAttachment { role, policy } => write!(f, "{policy} at role {role}"),
            Self::UserAttachment { user, policy } => write!(f, "{policy} at user {user}"),
            Self::Membership { user, group } => write!(f, "user {user} in group {group}"),
            Self::RoleTrust { role } => write!(f, "trust policy of role {role}"),
            Self::Policy { policy } => write!(f, "policy {policy}"),
            Self::Role { role } => write!(f, "role {role}"),
            Self::PermissionSet { set, part, .. } => match part {
                SetPart::Whole => write!(f, "permission set {set}"),
                SetPart::Inline => write!(f, "inline policy of permission set {set}"),
                SetPart::Managed(policy) => write!(f, "{policy} at permission set {set}"),
                SetPart::Customer(policy) => write!(f, "{}{} at permission set {set}", policy.path, policy.name),
                SetPart::Boundary => write!(f, "permissions boundary of permission set {set}"),
                SetPart::Provisioned => write!(f, "roles of permission set {set}"),
            },
        }
    }
}

impl Effect {
    /// The place that it changes.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.clone() {
            Self::PutRolePolicy { role, policy, .. } | Self::DeleteRolePolicy { role, policy } => {
                Place::RolePolicy { role, policy }
            }
            Self::PutUserPolicy { user, policy, .. } | Self::DeleteUserPolicy { user, policy } => {
                Place::UserPolicy { user, policy }
            }
            Self::AttachRolePolicy { role, policy } | Self::DetachRolePolicy { role, policy } => {
                Place::RoleAttachment { role, policy }
            }
            Self::AttachUserPolicy { user, policy } | Self::DetachUserPolicy { user, policy } => {
                Place::UserAttachment { user, policy }
            }
            Self::AddUserToGroup { user, group } | Self::RemoveUserFromGroup { user, group } => {
                Place::Membership { user, group }
            }
            Self::UpdateAssumeRolePolicy { role, .. } => Place::RoleTrust { role },
            Self::CreatePolicy { policy, .. } | Self::DeletePolicy { policy } => Place::Policy { policy },
            Self::CreateRole { role, .. } | Self::DeleteRole { role } => Place::Role { role },
            Self::Set(effect) => effect.place(),
        }
    }

    /// What stands at its place once it is made.
    #[must_use]
    pub fn leaves(&self) -> Value {
        match self {
            Self::PutRolePolicy { document, .. }
            | Self::PutUserPolicy { document, .. }
            | Self::UpdateAssumeRolePolicy { document, .. }
            | Self::CreatePolicy { document, .. } => Value::Document(document.clone()),
            Self::AttachRolePolicy { .. } | Self::AttachUserPolicy { .. } | Self::AddUserToGroup { .. } => Value::There,
            Self::CreateRole { trust, boundary, max_session_seconds, tags, .. } => Value::Role {
                trust: trust.clone(),
                boundary: boundary.clone(),
                max_session_seconds: *max_session_seconds,
                tags: tags.clone(),
            },
            Self::DeleteRolePolicy { .. }
            | Self::DeleteUserPolicy { .. }
            | Self::DetachRolePolicy { .. }
            | Self::DetachUserPolicy { .. }
            | Self::RemoveUserFromGroup { .. }
            | Self::DeletePolicy { .. }
            | Self::DeleteRole { .. } => Value::Absent,
            Self::Set(effect) => effect.leaves(),
        }
    }
}

impl Place {
    /// The call that leaves a value here; none where there is no such call.
    #[must_use]
    pub fn putting(&self, value: &Value) -> Option<Effect> {
        Some(match (self.clone(), value.clone()) {
            (Self::RolePolicy { role, policy }, Value::Document(document)) => {
                Effect::PutRolePolicy { role, policy, document }
            }
            (Self::RolePolicy { role, policy }, Value::Absent) => Effect::DeleteRolePolicy { role, policy },
            (Self::UserPolicy { user, policy }, Value::Document(document)) => {
                Effect::PutUserPolicy { user, policy, document }
            }
            (Self::UserPolicy { user, policy }, Value::Absent) => Effect::DeleteUserPolicy { user, policy },
            (Self::RoleAttachment { role, policy }, Value::There) => Effect::AttachRolePolicy { role, policy },
            (Self::RoleAttachment { role, policy }, Value::Absent) => Effect::DetachRolePolicy { role, policy },
            (Self::UserAttachment { user, policy }, Value::There) => Effect::AttachUserPolicy { user, policy },
            (Self::UserAttachment { user, policy }, Value::Absent) => Effect::DetachUserPolicy { user, policy },
            (Self::Membership { user, group }, Value::There) => Effect::AddUserToGroup { user, group },
            (Self::Membership { user, group }, Value::Absent) => Effect::RemoveUserFromGroup { user, group },
            (Self::RoleTrust { role }, Value::Document(document)) => Effect::UpdateAssumeRolePolicy { role, document },
            (Self::Policy { policy }, Value::Document(document)) => Effect::CreatePolicy { policy, document },
            (Self::Policy { policy }, Value::Absent) => Effect::DeletePolicy { policy },
            (Self::Role { role }, Value::Role { trust, boundary, max_session_seconds, tags }) => {
                Effect::CreateRole { role, trust, boundary, max_session_seconds, tags }
            }
            (Self::Role { role }, Value::Absent) => Effect::DeleteRole { role },
            (Self::PermissionSet { instance, set, part }, value) => {
                return set_effect::putting(&instance, &set, &part, &value);
            }
            _ => return None,
        })
    }

    /// Whether what stands here follows from what stands elsewhere. The call that brings it about is made again whatever is
    /// seen: what was written a moment ago may not be.
    #[must_use]
    pub const fn follows(&self) -> bool {
        matches!(self, Self::PermissionSet { part: SetPart::Provisioned, .. })
    }

    /// ARN or name of the permission set that it is a part of.
    #[must_use]
    pub fn set(&self) -> Option<&str> {
        if let Self::PermissionSet { set, .. } = self { Some(set) } else { None }
    }

    /// What stands here in a state, in an account; none where nothing of that was collected. What a state does not tell is as
    /// `wanted` says.
    #[must_use]
    pub fn found_in(&self, state: &Snapshot, account: AccountId, wanted: &Value) -> Option<Value> {
        if let Self::PermissionSet { set, part, .. } = self {
            return set_effect::found(state, set, part, wanted).filter(|_| state.identity_center.is_some());
        }
        let seconds = if let Value::Role { max_session_seconds, .. } = wanted { *max_session_seconds } else { 0 };
        Some(self.found(state.accounts.get(&account)?, seconds))
    }

    /// What stands here in an account's state. How long a role's sessions may be the state does not tell: `seconds` stands
    /// for it.
    #[must_use]
    pub fn found(&self, iam: &AccountIam, seconds: u32) -> Value {
        let user = |name: &String| iam.users.iter().find(|one| one.holder.name == *name);
        let role = |name: &String| iam.roles.iter().find(|one| one.holder.name == *name).map(|one| &one.holder);
        let inline = |holder: Option<&Holder>, policy: &String| {
            let found = holder.and_then(|holder| holder.inline.iter().find(|one| one.name == *policy));
            found.map_or(Value::Absent, |one| Value::Document(one.json.clone()))
        };
        let there = |yes: bool| if yes { Value::There } else { Value::Absent };
        let attached = |holder: Option<&Holder>, policy: &String| {
            there(holder.is_some_and(|holder| holder.attached.iter().any(|one| one.arn == *policy)))
        };
        match self {
            Self::RolePolicy { role: name, policy } => inline(role(name), policy),
            Self::UserPolicy { user: name, policy } => inline(user(name).map(|one| &one.holder), policy),
            Self::RoleAttachment { role: name, policy } => attached(role(name), policy),
            Self::UserAttachment { user: name, policy } => attached(user(name).map(|one| &one.holder), policy),
            Self::Membership { user: name, group } => there(user(name).is_some_and(|one| one.groups.contains(group))),
            Self::RoleTrust { role } => {
                let found = iam.roles.iter().find(|one| one.holder.name == *role);
                found.map_or(Value::Absent, |one| Value::Document(one.trust.clone()))
            }
            Self::Policy { policy } => {
                let found = iam.policies.iter().find(|one| one.arn == *policy);
                found.map_or(Value::Absent, |one| Value::Document(one.json.clone()))
            }
            Self::Role { role } => {
                let found = iam.roles.iter().find(|one| one.holder.arn.as_str() == role);
                found.map_or(Value::Absent, |one| Value::Role {
                    trust: one.trust.clone(),
                    boundary: one.holder.boundary.clone(),
                    max_session_seconds: seconds,
                    tags: one.holder.tags.clone(),
                })
            }
            // No part of an account.
            Self::PermissionSet { .. } => Value::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_equal_where_they_say_the_same() {
        let document = |text: &str| Value::Document(text.to_owned());
        assert_eq!(document("{\"a\": 1, \"b\": [2]}"), document("{\"b\":[2],\"a\":1}"));
        assert_ne!(document("{\"a\": [1, 2]}"), document("{\"a\": [2, 1]}"));
        assert_ne!(document("{\"a\": 1}"), document("{\"A\": 1}"));
        // What is no JSON is equal to itself alone.
        assert_eq!(document("{"), document("{"));
        assert_ne!(document("{"), document("{ "));
        assert_ne!(document("{}"), Value::Absent);
    }

    #[test]
    fn a_grant_moves_the_end_of_a_trust_policy_and_nothing_else() {
        let role = |who: &str, end: &str, seconds: u32| Value::Role {
            trust: format!(
                r#"{{"Statement": [{{"Principal": "{who}", "Condition": {{"Bool": {{"k": "true"}}, "DateLessThan":
                   {{"aws:CurrentTime": "{end}"}}}}}}]}}"#
            ),
            boundary: None,
            max_session_seconds: seconds,
            tags: BTreeMap::from([("k".to_owned(), end.to_owned())]),
        };
        assert_eq!(role("a", "2026", 3600), role("a", "1970", 3600));
        assert_ne!(role("b", "1970", 3600), role("a", "1970", 3600));
        assert_ne!(role("a", "1970", 7200), role("a", "1970", 3600));
    }
}
