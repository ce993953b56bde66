//! The calls of IAM that change access, and those that show what stands where.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Tag;

use crate::collect::document_text;
use crate::fetch::access::{Access, Pages};
use crate::fetch::calls::Call;
use crate::fetch::{Failure, FailureKind};
use crate::model::arn::Arn;
use crate::remediate::effect::{DEFAULT_SESSION, Effect, last_part, path_of};
use crate::remediate::place::{Place, Value};

use super::calls;

/// What is not there is no failure.
fn or_absent(read: Result<Value, Failure>) -> Result<Value, Failure> {
    match read {
        Err(failure) if failure.kind == FailureKind::Absent => Ok(Value::Absent),
        read => read,
    }
}

fn document(call: &Call, text: &str) -> Result<String, Failure> {
    let unreadable = || Failure::new(call, FailureKind::Service, "", "the document is not percent-encoded UTF-8");
    document_text(text).ok_or_else(unreadable)
}

/// All items of a list of IAM's, page by page.
macro_rules! listed {
    ($access:expr, $call:expr, $request:expr, $items:ident) => {{
        let (mut all, mut pages) = (Vec::new(), Pages::default());
        while let Some(marker) = pages.next() {
            let page = $access.call($call, || $request.set_marker(marker).send()).await?;
            all.extend(page.$items().iter().cloned());
            pages.after($call, page.marker().filter(|_| page.is_truncated()))?;
        }
        all
    }};
}

/// What stands at a place.
pub(super) async fn read(access: &Access, place: &Place) -> Result<Value, Failure> {
    or_absent(found(access, place).await)
}

async fn found(access: &Access, place: &Place) -> Result<Value, Failure> {
    let client = access.iam();
    let there = |yes: bool| if yes { Value::There } else { Value::Absent };
    Ok(match place {
        Place::RolePolicy { role, policy } => {
            let call = &calls::GET_ROLE_POLICY;
            let request = client.get_role_policy().role_name(role).policy_name(policy);
            let answer = access.call(call, || request.send()).await?;
            Value::Document(document(call, answer.policy_document())?)
        }
        Place::UserPolicy { user, policy } => {
            let call = &calls::GET_USER_POLICY;
            let request = client.get_user_policy().user_name(user).policy_name(policy);
            let answer = access.call(call, || request.send()).await?;
            Value::Document(document(call, answer.policy_document())?)
        }
        Place::RoleAttachment { role, policy } => {
            let request = || client.list_attached_role_policies().role_name(role);
            let all = listed!(access, &calls::LIST_ATTACHED_ROLE_POLICIES, request(), attached_policies);
            there(all.iter().any(|one| one.policy_arn() == Some(policy)))
        }
        Place::UserAttachment { user, policy } => {
            let request = || client.list_attached_user_policies().user_name(user);
            let all = listed!(access, &calls::LIST_ATTACHED_USER_POLICIES, request(), attached_policies);
            there(all.iter().any(|one| one.policy_arn() == Some(policy)))
        }
        Place::Membership { user, group } => {
            let request = || client.list_groups_for_user().user_name(user);
            let all = listed!(access, &calls::LIST_GROUPS_FOR_USER, request(), groups);
            there(all.iter().any(|one| one.group_name() == group))
        }
        Place::Policy { policy } => managed(access, policy).await?,
        Place::Role { role } => whole_role(access, role).await?,
        Place::RoleTrust { role } => {
            let call = &calls::GET_ROLE;
            let answer = access.call(call, || client.get_role().role_name(role).send()).await?;
            let trust = answer.role().and_then(|role| role.assume_role_policy_document()).unwrap_or_default();
            Value::Document(document(call, trust)?)
        }
        // No part of IAM.
        Place::PermissionSet { .. } => Value::Absent,
    })
}

async fn managed(access: &Access, policy: &str) -> Result<Value, Failure> {
    let client = access.iam();
    let answer = access.call(&calls::GET_POLICY, || client.get_policy().policy_arn(policy).send()).await?;
    let version = answer.policy().and_then(|policy| policy.default_version_id()).unwrap_or("v1");
    let call = &calls::GET_POLICY_VERSION;
    let request = client.get_policy_version().policy_arn(policy).version_id(version);
    let answer = access.call(call, || request.send()).await?;
    let text = answer.policy_version().and_then(|version| version.document()).unwrap_or_default();
    Ok(Value::Document(document(call, text)?))
}

async fn whole_role(access: &Access, arn: &str) -> Result<Value, Failure> {
    let client = access.iam();
    let call = &calls::GET_ROLE;
    let answer = access.call(call, || client.get_role().role_name(last_part(arn)).send()).await?;
    let none = || Failure::new(call, FailureKind::Service, "", "the answer holds no role");
    let role = answer.role().ok_or_else(none)?;
    // Names are unique whatever their path: another path is another role in the way.
    if role.arn() != arn {
        let message = format!("{} has the name of {arn}", role.arn());
        return Err(Failure::new(call, FailureKind::Service, "EntityAlreadyExists", &message));
    }
    let boundary = role.permissions_boundary().and_then(|one| one.permissions_boundary_arn());
    let seconds = role.max_session_duration().and_then(|seconds| u32::try_from(seconds).ok());
    let tags: BTreeMap<String, String> =
        role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    Ok(Value::Role {
        trust: document(call, role.assume_role_policy_document().unwrap_or_default())?,
        boundary: boundary.map(str::to_owned),
        max_session_seconds: seconds.unwrap_or(DEFAULT_SESSION),
        tags,
    })
}

/// The unique id of a user or role.
pub(super) async fn unique_id(access: &Access, arn: &str) -> Result<Option<String>, Failure> {
    let (client, name) = (access.iam(), last_part(arn));
    let found = if arn.contains(":user/") {
        let answer = access.call(&calls::GET_USER, || client.get_user().user_name(name).send()).await;
        answer.map(|answer| answer.user().map(|user| user.user_id().to_owned()))
    } else {
        let answer = access.call(&calls::GET_ROLE, || client.get_role().role_name(name).send()).await;
        answer.map(|answer| answer.role().map(|role| role.role_id().to_owned()))
    };
    match found {
        Err(failure) if failure.kind == FailureKind::Absent => Ok(None),
        found => found,
    }
}

/// The path of an ARN, `/` where it has none.
fn path(arn: &str) -> String {
    arn.parse::<Arn>().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn))
}

/// Makes a call, and nothing else: what there is to say about its answer is whether there was one.
pub(super) async fn make(access: &Access, effect: &Effect) -> Result<(), Failure> {
    let client = access.iam();
    macro_rules! sent {
        ($call:ident, $request:expr) => {{
            let request = $request;
            access.call(&calls::$call, || request.send()).await.map(drop)
        }};
    }
    match effect {
        Effect::PutRolePolicy { role, policy, document } => sent!(
            PUT_ROLE_POLICY,
            client.put_role_policy().role_name(role).policy_name(policy).policy_document(document)
        ),
        Effect::DeleteRolePolicy { role, policy } => {
            sent!(DELETE_ROLE_POLICY, client.delete_role_policy().role_name(role).policy_name(policy))
        }
        Effect::PutUserPolicy { user, policy, document } => sent!(
            PUT_USER_POLICY,
            client.put_user_policy().user_name(user).policy_name(policy).policy_document(document)
        ),
        Effect::DeleteUserPolicy { user, policy } => {
            sent!(DELETE_USER_POLICY, client.delete_user_policy().user_name(user).policy_name(policy))
        }
        Effect::AttachRolePolicy { role, policy } => {
            sent!(ATTACH_ROLE_POLICY, client.attach_role_policy().role_name(role).policy_arn(policy))
        }
        Effect::DetachRolePolicy { role, policy } => {
            sent!(DETACH_ROLE_POLICY, client.detach_role_policy().role_name(role).policy_arn(policy))
        }
        Effect::AttachUserPolicy { user, policy } => {
            sent!(ATTACH_USER_POLICY, client.attach_user_policy().user_name(user).policy_arn(policy))
        }
        Effect::DetachUserPolicy { user, policy } => {
            sent!(DETACH_USER_POLICY, client.detach_user_policy().user_name(user).policy_arn(policy))
        }
        Effect::AddUserToGroup { user, group } => {
            sent!(ADD_USER_TO_GROUP, client.add_user_to_group().user_name(user).group_name(group))
        }
        Effect::RemoveUserFromGroup { user, group } => {
            sent!(REMOVE_USER_FROM_GROUP, client.remove_user_from_group().user_name(user).group_name(group))
        }
        Effect::CreatePolicy { policy, document } => sent!(
            CREATE_POLICY,
            client.create_policy().policy_name(last_part(policy)).path(path(policy)).policy_document(document)
        ),
        Effect::DeletePolicy { policy } => sent!(DELETE_POLICY, client.delete_policy().policy_arn(policy)),
        Effect::UpdateAssumeRolePolicy { role, document } => sent!(
            UPDATE_ASSUME_ROLE_POLICY,
            client.update_assume_role_policy().role_name(role).policy_document(document)
        ),
        Effect::CreateRole { role, trust, boundary, max_session_seconds, tags } => {
            let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
            let tags: Result<Vec<Tag>, _> = tags.iter().map(tag).collect();
            let faulty = |error: aws_sdk_iam::error::BuildError| {
                Failure::new(&calls::CREATE_ROLE, FailureKind::Program, "", &error.to_string())
            };
            let tags = tags.map_err(faulty)?;
            let request = client
                .create_role()
                .role_name(last_part(role))
                .path(path(role))
                .assume_role_policy_document(trust)
                .set_permissions_boundary(boundary.clone())
                .max_session_duration(i32::try_from(*max_session_seconds).unwrap_or(i32::MAX))
                .set_tags(Some(tags).filter(|tags| !tags.is_empty()));
            sent!(CREATE_ROLE, request)
        }
        Effect::DeleteRole { role } => sent!(DELETE_ROLE, client.delete_role().role_name(last_part(role))),
        Effect::Set(_) => {
            Err(Failure::new(&calls::PROVISION_PERMISSION_SET, FailureKind::Program, "", "no call of IAM"))
        }
    }
}
