//! One call to IAM that changes who may do what: what it needs to find, what it leaves, and the call that takes it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::arn::{AccountId, Arn};
use crate::model::snapshot::{AccountIam, Attachment, Holder, ManagedPolicy, NamedDocument, Role, Snapshot};

use super::aws_managed::is_of_aws;
use super::set_effect::SetEffect;

/// A call, by the name of its API. Documents are texts, to be put back byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", deny_unknown_fields)]
pub enum Effect {
    /// Puts an inline policy on a role, in place of one of that name.
    PutRolePolicy {
        /// Name of the role.
        role: String,
        /// Name of the policy.
        policy: String,
        /// The document.
        document: String,
    },
    /// Takes an inline policy off a role.
    DeleteRolePolicy {
        /// Name of the role.
        role: String,
        /// Name of the policy.
        policy: String,
    },
    /// Puts an inline policy on a user, in place of one of that name.
    PutUserPolicy {
        /// Name of the user.
        user: String,
        /// Name of the policy.
        policy: String,
        /// The document.
        document: String,
    },
    /// Takes an inline policy off a user.
    DeleteUserPolicy {
        /// Name of the user.
        user: String,
        /// Name of the policy.
        policy: String,
    },
    /// Attaches a managed policy to a role.
    AttachRolePolicy {
        /// Name of the role.
        role: String,
        /// ARN of the policy.
        policy: String,
    },
    /// Detaches a managed policy from a role.
    DetachRolePolicy {
        /// Name of the role.
        role: String,
        /// ARN of the policy.
        policy: String,
    },
    /// Attaches a managed policy to a user.
    AttachUserPolicy {
        /// Name of the user.
        user: String,
        /// ARN of the policy.
        policy: String,
    },
    /// Detaches a managed policy from a user.
    DetachUserPolicy {
        /// Name of the user.
        user: String,
        /// ARN of the policy.
        policy: String,
    },
    /// Makes a user a member of a group.
    AddUserToGroup {
        /// Name of the user.
        user: String,
        /// Name of the group.
        group: String,
    },
    /// Ends a membership.
    RemoveUserFromGroup {
        /// Name of the user.
        user: String,
        /// Name of the group.
        group: String,
    },
    /// Makes a managed policy.
    CreatePolicy {
        /// Its ARN, with path and name.
        policy: String,
        /// The document of its only version.
        document: String,
    },
    /// Deletes a managed policy that nothing has attached.
    DeletePolicy {
        /// Its ARN.
        policy: String,
    },
    /// Makes a role.
    CreateRole {
        /// Its ARN, with path and name.
        role: String,
        /// Who may assume it: the trust policy.
        trust: String,
        /// ARN of its permissions boundary, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boundary: Option<String>,
        /// Longest session, in seconds.
        max_session_seconds: u32,
        /// Tags.
        tags: BTreeMap<String, String>,
    },
    /// Says anew whom a role lets in.
    UpdateAssumeRolePolicy {
        /// Name of the role.
        role: String,
        /// The trust policy.
        document: String,
    },
    /// Deletes a role without policies.
    DeleteRole {
        /// Its ARN.
        role: String,
    },
    /// A call to Identity Center, about a permission set.
    #[serde(untagged)]
    Set(SetEffect),
}

/// Why a call cannot be made on a state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Conflict {
    /// What it is made on is not there.
    #[error("{0} is not there")]
    Missing(String),
    /// What it would make is there already.
    #[error("{0} is there already")]
    Exists(String),
    /// The text is no ARN.
    #[error("`{0}` is no ARN")]
    Arn(String),
    /// The call is about something else than the state.
    #[error("{0} is no part of an account")]
    Elsewhere(String),
}

fn user<'i>(iam: &'i mut AccountIam, name: &str) -> Result<&'i mut crate::model::snapshot::User, Conflict> {
    let found = iam.users.iter_mut().find(|user| user.holder.name == name);
    found.ok_or_else(|| Conflict::Missing(format!("user {name}")))
}

fn role<'i>(iam: &'i mut AccountIam, name: &str) -> Result<&'i mut Holder, Conflict> {
    let found = iam.roles.iter_mut().map(|role| &mut role.holder).find(|holder| holder.name == name);
    found.ok_or_else(|| Conflict::Missing(format!("role {name}")))
}

/// Puts a document in place, and says what stood there.
fn put(holder: &mut Holder, name: &str, document: &str) -> Option<String> {
    match holder.inline.iter_mut().find(|one| one.name == name) {
        Some(known) => Some(std::mem::replace(&mut known.json, document.to_owned())),
        None => {
            holder.inline.push(NamedDocument { name: name.to_owned(), json: document.to_owned() });
            holder.inline.sort_by(|a, b| a.name.cmp(&b.name));
            None
        }
    }
}

fn take(holder: &mut Holder, name: &str) -> Result<String, Conflict> {
    let at = holder.inline.iter().position(|one| one.name == name);
    let at = at.ok_or_else(|| Conflict::Missing(format!("inline policy {name} of {}", holder.arn)))?;
    Ok(holder.inline.remove(at).json)
}

fn attach(holder: &mut Holder, policy: &str) -> Result<(), Conflict> {
    if holder.attached.iter().any(|one| one.arn == policy) {
        return Err(Conflict::Exists(format!("{policy} on {}", holder.arn)));
    }
    holder.attached.push(Attachment { name: last_part(policy).to_owned(), arn: policy.to_owned() });
    holder.attached.sort();
    Ok(())
}

fn detach(holder: &mut Holder, policy: &str) -> Result<(), Conflict> {
    let at = holder.attached.iter().position(|one| one.arn == policy);
    let at = at.ok_or_else(|| Conflict::Missing(format!("{policy} on {}", holder.arn)))?;
    holder.attached.remove(at);
    Ok(())
}

/// AWS's own policies are the same in every account: one that is attached is there.
pub(super) fn known_everywhere(state: &mut Snapshot, account: AccountId, arn: &str) {
    let known = |iam: &AccountIam| iam.policies.iter().find(|policy| policy.arn == arn).cloned();
    let newest = state.accounts.values().filter_map(|iam| Some((iam.captured_at, known(iam)?)));
    let newest = newest.max_by_key(|(at, _)| *at).map(|(_, policy)| policy);
    let Some(policy) = newest.filter(|_| is_of_aws(arn)) else { return };
    let Some(iam) = state.accounts.get_mut(&account) else { return };
    if !iam.policies.iter().any(|one| one.arn == arn) {
        iam.policies.push(policy);
        iam.policies.sort_by(|a, b| a.arn.cmp(&b.arn));
    }
}

fn join(user: &mut crate::model::snapshot::User, group: &str) -> Result<(), Conflict> {
    if user.groups.iter().any(|one| one == group) {
        return Err(Conflict::Exists(format!("user {} in group {group}", user.holder.name)));
    }
    user.groups.push(group.to_owned());
    user.groups.sort();
    Ok(())
}

fn leave(user: &mut crate::model::snapshot::User, group: &str) -> Result<(), Conflict> {
    let at = user.groups.iter().position(|one| one == group);
    let missing = || Conflict::Missing(format!("user {} in group {group}", user.holder.name));
    drop(user.groups.remove(at.ok_or_else(missing)?));
    Ok(())
}

/// The name at the end of an ARN.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The path between the kind of a resource and its name: `/` or `/team/`.
pub(crate) fn path_of(arn: &Arn) -> String {
    let inside = arn.resource().split_once('/').map_or("", |(_, rest)| rest);
    inside.rsplit_once('/').map_or_else(|| "/".to_owned(), |(path, _)| format!("/{path}/"))
}

impl Effect {
    /// Makes the call on a state, in an account, and says which call takes it back.
    ///
    /// # Errors
    /// As of [`Self::make`], and where nothing of the account was collected.
    pub fn make_in(&self, state: &mut Snapshot, account: AccountId) -> Result<Self, Conflict> {
        if let Self::Set(effect) = self {
            return effect.make(state).map(Self::Set);
        }
        if let Self::AttachRolePolicy { policy, .. } | Self::AttachUserPolicy { policy, .. } = self {
            known_everywhere(state, account, policy);
        }
        let iam = state.accounts.get_mut(&account);
        self.make(iam.ok_or_else(|| Conflict::Missing(format!("account {account}")))?)
    }

    /// Makes the call on an account's state, and says which call takes it back.
    ///
    /// # Errors
    /// When what it is made on is not there, or what it makes is: then nothing changes.
    pub fn make(&self, iam: &mut AccountIam) -> Result<Self, Conflict> {
        let own = str::to_owned;
        Ok(match self {
            Self::PutRolePolicy { role: name, policy, document } => match put(role(iam, name)?, policy, document) {
                Some(document) => Self::PutRolePolicy { role: own(name), policy: own(policy), document },
                None => Self::DeleteRolePolicy { role: own(name), policy: own(policy) },
            },
            Self::DeleteRolePolicy { role: name, policy } => {
                let document = take(role(iam, name)?, policy)?;
                Self::PutRolePolicy { role: own(name), policy: own(policy), document }
            }
            Self::PutUserPolicy { user: name, policy, document } => {
                match put(&mut user(iam, name)?.holder, policy, document) {
                    Some(document) => Self::PutUserPolicy { user: own(name), policy: own(policy), document },
                    None => Self::DeleteUserPolicy { user: own(name), policy: own(policy) },
                }
            }
            Self::DeleteUserPolicy { user: name, policy } => {
                let document = take(&mut user(iam, name)?.holder, policy)?;
                Self::PutUserPolicy { user: own(name), policy: own(policy), document }
            }
            Self::AttachRolePolicy { role: name, policy } => {
                attach(role(iam, name)?, policy)?;
                Self::DetachRolePolicy { role: own(name), policy: own(policy) }
            }
            Self::DetachRolePolicy { role: name, policy } => {
                detach(role(iam, name)?, policy)?;
                Self::AttachRolePolicy { role: own(name), policy: own(policy) }
            }
            Self::AttachUserPolicy { user: name, policy } => {
                attach(&mut user(iam, name)?.holder, policy)?;
                Self::DetachUserPolicy { user: own(name), policy: own(policy) }
            }
            Self::DetachUserPolicy { user: name, policy } => {
                detach(&mut user(iam, name)?.holder, policy)?;
                Self::AttachUserPolicy { user: own(name), policy: own(policy) }
            }
            Self::AddUserToGroup { user: name, group } => {
                join(user(iam, name)?, group)?;
                Self::RemoveUserFromGroup { user: own(name), group: own(group) }
            }
            Self::RemoveUserFromGroup { user: name, group } => {
                leave(user(iam, name)?, group)?;
                Self::AddUserToGroup { user: own(name), group: own(group) }
            }
            Self::CreatePolicy { policy, document } => {
                create_policy(iam, policy, document)?;
                Self::DeletePolicy { policy: own(policy) }
            }
            Self::DeletePolicy { policy } => {
                let at = iam.policies.iter().position(|one| one.arn == *policy);
                let at = at.ok_or_else(|| Conflict::Missing(policy.clone()))?;
                Self::CreatePolicy { policy: own(policy), document: iam.policies.remove(at).json }
            }
            Self::UpdateAssumeRolePolicy { role: name, document } => {
                let found = iam.roles.iter_mut().find(|role| role.holder.name == *name);
                let found = found.ok_or_else(|| Conflict::Missing(format!("role {name}")))?;
                let document = std::mem::replace(&mut found.trust, document.clone());
                Self::UpdateAssumeRolePolicy { role: own(name), document }
            }
            Self::CreateRole { role, trust, boundary, tags, .. } => {
                create_role(iam, role, trust, boundary.as_deref(), tags)?;
                Self::DeleteRole { role: own(role) }
            }
            Self::DeleteRole { role } => {
                let Role { holder, trust, .. } = delete_role(iam, role)?;
                let (boundary, tags) = (holder.boundary, holder.tags);
                Self::CreateRole { role: own(role), trust, boundary, max_session_seconds: DEFAULT_SESSION, tags }
            }
            Self::Set(effect) => return Err(Conflict::Elsewhere(effect.set().to_owned())),
        })
    }

    /// The IAM action that the call needs, and the managed policy that the key `iam:PolicyARN` names in it. Source: Service
    /// Authorization Reference, "AWS Identity and Access Management".
    #[must_use]
    pub fn action(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::PutRolePolicy { .. } => ("iam:PutRolePolicy", None),
            Self::DeleteRolePolicy { .. } => ("iam:DeleteRolePolicy", None),
            Self::PutUserPolicy { .. } => ("iam:PutUserPolicy", None),
            Self::DeleteUserPolicy { .. } => ("iam:DeleteUserPolicy", None),
            Self::AttachRolePolicy { policy, .. } => ("iam:AttachRolePolicy", Some(policy)),
            Self::DetachRolePolicy { policy, .. } => ("iam:DetachRolePolicy", Some(policy)),
            Self::AttachUserPolicy { policy, .. } => ("iam:AttachUserPolicy", Some(policy)),
            Self::DetachUserPolicy { policy, .. } => ("iam:DetachUserPolicy", Some(policy)),
            Self::AddUserToGroup { .. } => ("iam:AddUserToGroup", None),
            Self::RemoveUserFromGroup { .. } => ("iam:RemoveUserFromGroup", None),
            Self::CreatePolicy { .. } => ("iam:CreatePolicy", None),
            Self::DeletePolicy { .. } => ("iam:DeletePolicy", None),
            Self::UpdateAssumeRolePolicy { .. } => ("iam:UpdateAssumeRolePolicy", None),
            Self::CreateRole { .. } => ("iam:CreateRole", None),
            Self::DeleteRole { .. } => ("iam:DeleteRole", None),
            Self::Set(effect) => (effect.action(), None),
        }
    }

    /// The call as the AWS CLI takes it: service, operation and arguments, in order.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut out = vec!["iam".to_owned()];
        let mut say = |operation: &str, arguments: &[(&str, &str)]| {
            out.push(operation.to_owned());
            for (name, value) in arguments {
                out.extend([format!("--{name}"), (*value).to_owned()]);
            }
        };
        match self {
            Self::PutRolePolicy { role, policy, document } => {
                say("put-role-policy", &[("role-name", role), ("policy-name", policy), ("policy-document", document)])
            }
            Self::DeleteRolePolicy { role, policy } => {
                say("delete-role-policy", &[("role-name", role), ("policy-name", policy)]);
            }
            Self::PutUserPolicy { user, policy, document } => {
                say("put-user-policy", &[("user-name", user), ("policy-name", policy), ("policy-document", document)])
            }
            Self::DeleteUserPolicy { user, policy } => {
                say("delete-user-policy", &[("user-name", user), ("policy-name", policy)]);
            }
            Self::AttachRolePolicy { role, policy } => {
                say("attach-role-policy", &[("role-name", role), ("policy-arn", policy)]);
            }
            Self::DetachRolePolicy { role, policy } => {
                say("detach-role-policy", &[("role-name", role), ("policy-arn", policy)]);
            }
            Self::AttachUserPolicy { user, policy } => {
                say("attach-user-policy", &[("user-name", user), ("policy-arn", policy)]);
            }
            Self::DetachUserPolicy { user, policy } => {
                say("detach-user-policy", &[("user-name", user), ("policy-arn", policy)]);
            }
            Self::AddUserToGroup { user, group } => {
                say("add-user-to-group", &[("user-name", user), ("group-name", group)]);
            }
            Self::RemoveUserFromGroup { user, group } => {
                say("remove-user-from-group", &[("user-name", user), ("group-name", group)]);
            }
            Self::CreatePolicy { policy, document } => {
                let path = policy.parse::<Arn>().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn));
                say(
                    "create-policy",
                    &[("policy-name", last_part(policy)), ("path", &path), ("policy-document", document)],
                );
            }
            Self::DeletePolicy { policy } => say("delete-policy", &[("policy-arn", policy)]),
            Self::UpdateAssumeRolePolicy { role, document } => {
                say("update-assume-role-policy", &[("role-name", role), ("policy-document", document)]);
            }
            Self::CreateRole { role, trust, boundary, max_session_seconds, tags } => {
                let path = role.parse::<Arn>().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn));
                let longest = max_session_seconds.to_string();
                let mut arguments = vec![
                    ("role-name", last_part(role)),
                    ("path", path.as_str()),
                    ("assume-role-policy-document", trust.as_str()),
                    ("max-session-duration", longest.as_str()),
                ];
                arguments.extend(boundary.as_deref().map(|arn| ("permissions-boundary", arn)));
                say("create-role", &arguments);
                if !tags.is_empty() {
                    out.push("--tags".to_owned());
                    out.extend(tags.iter().map(|(key, value)| format!("Key={key},Value={value}")));
                }
            }
            Self::DeleteRole { role } => say("delete-role", &[("role-name", last_part(role))]),
            Self::Set(effect) => return effect.arguments(),
        }
        out
    }
}

/// Longest session of a role where nothing else is said, in seconds. Source: "CreateRole", IAM API Reference.
pub(crate) const DEFAULT_SESSION: u32 = 3600;

fn create_policy(iam: &mut AccountIam, arn: &str, document: &str) -> Result<(), Conflict> {
    if iam.policies.iter().any(|one| one.arn == arn) {
        return Err(Conflict::Exists(arn.to_owned()));
    }
    iam.policies.push(ManagedPolicy {
        arn: arn.to_owned(),
        name: last_part(arn).to_owned(),
        id: String::new(),
        version_created: None,
        version_id: "v1".to_owned(),
        json: document.to_owned(),
    });
    iam.policies.sort_by(|a, b| a.arn.cmp(&b.arn));
    Ok(())
}

fn delete_role(iam: &mut AccountIam, arn: &str) -> Result<Role, Conflict> {
    let at = iam.roles.iter().position(|one| one.holder.arn.as_str() == arn);
    let at = at.ok_or_else(|| Conflict::Missing(arn.to_owned()))?;
    // As IAM does: its policies go first.
    let held = iam.roles.get(at).is_some_and(|one| !one.holder.inline.is_empty() || !one.holder.attached.is_empty());
    if held { Err(Conflict::Exists(format!("a policy of {arn}"))) } else { Ok(iam.roles.remove(at)) }
}

fn create_role(
    iam: &mut AccountIam,
    role: &str,
    trust: &str,
    boundary: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> Result<(), Conflict> {
    let arn: Arn = role.parse().map_err(|_| Conflict::Arn(role.to_owned()))?;
    // Names of roles are unique in an account, whatever their path.
    if iam.roles.iter().any(|one| one.holder.name.eq_ignore_ascii_case(last_part(role))) {
        return Err(Conflict::Exists(role.to_owned()));
    }
    let holder = Holder {
        name: last_part(role).to_owned(),
        path: path_of(&arn),
        id: String::new(),
        created: None,
        inline: Vec::new(),
        attached: Vec::new(),
        boundary: boundary.map(str::to_owned),
        tags: tags.clone(),
        arn,
    };
    iam.roles.push(Role { holder, trust: trust.to_owned(), last_used: None, instance_profiles: Vec::new() });
    iam.roles.sort_by(|a, b| a.holder.arn.cmp(&b.holder.arn));
    Ok(())
}
