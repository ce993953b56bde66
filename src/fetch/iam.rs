//! Users, groups, roles and policies of an account, and its credential report.

use std::time::Duration;

use aws_sdk_iam::types;
use serde_json::Value;

use super::access::{Access, Pages};
use super::calls::{GENERATE_CREDENTIAL_REPORT, GET_ACCOUNT_AUTHORIZATION_DETAILS, GET_CREDENTIAL_REPORT};
use super::failure::{Failure, FailureKind};
use super::shape::{list, maybe, object, text, time};

/// Objects asked for a page: the most that IAM gives.
const PAGE: i32 = 1000;
/// How often the credential report is asked about while IAM makes it, and how long between: it takes seconds, of large
/// accounts minutes.
const REPORT_TRIES: usize = 100;
const REPORT_WAIT: Duration = Duration::from_secs(2);

/// All pages of GetAccountAuthorizationDetails as one document. Policies stay texts, as IAM sends them.
pub(crate) async fn authorization_details(access: &Access) -> Result<Value, Failure> {
    let client = access.iam();
    let (mut users, mut groups, mut roles, mut policies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut pages = Pages::default();
    while let Some(marker) = pages.next() {
        let call = &GET_ACCOUNT_AUTHORIZATION_DETAILS;
        let request = client.get_account_authorization_details().max_items(PAGE).set_marker(marker);
        let page = access.call(call, || request.send()).await?;
        users.extend(page.user_detail_list().iter().map(user));
        groups.extend(page.group_detail_list().iter().map(group));
        roles.extend(page.role_detail_list().iter().map(role));
        policies.extend(page.policies().iter().map(policy));
        if page.is_truncated() && page.marker().is_none_or(str::is_empty) {
            return Err(Failure::new(call, FailureKind::Service, "", "a page says that more follows and not where"));
        }
        pages.after(call, page.marker().filter(|_| page.is_truncated()))?;
    }
    let all = |items: Vec<Value>| Some(Value::Array(items));
    Ok(object([
        ("UserDetailList", all(users)),
        ("GroupDetailList", all(groups)),
        ("RoleDetailList", all(roles)),
        ("Policies", all(policies)),
    ]))
}

/// The names of the users of a document, and the ARNs of its users and roles.
pub(super) fn named(details: &Value) -> (Vec<String>, Vec<String>) {
    let entries = |list: &str| details.get(list).and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let users = entries("UserDetailList").filter_map(|user| text(user, "UserName")).collect();
    let both = entries("UserDetailList").chain(entries("RoleDetailList"));
    (users, both.filter_map(|entry| text(entry, "Arn")).collect())
}

fn inline(items: &[types::PolicyDetail]) -> Option<Value> {
    list(items, |item| {
        object([("PolicyName", maybe(item.policy_name())), ("PolicyDocument", maybe(item.policy_document()))])
    })
}

fn attached(items: &[types::AttachedPolicy]) -> Option<Value> {
    list(items, |item| object([("PolicyName", maybe(item.policy_name())), ("PolicyArn", maybe(item.policy_arn()))]))
}

fn boundary(item: Option<&types::AttachedPermissionsBoundary>) -> Option<Value> {
    let item = item?;
    Some(object([
        ("PermissionsBoundaryType", item.permissions_boundary_type().and_then(|kind| text(kind.as_str()))),
        ("PermissionsBoundaryArn", maybe(item.permissions_boundary_arn())),
    ]))
}

fn tags(items: &[types::Tag]) -> Option<Value> {
    list(items, |tag| object([("Key", text(tag.key())), ("Value", text(tag.value()))]))
}

fn user(user: &types::UserDetail) -> Value {
    object([
        ("Path", maybe(user.path())),
        ("UserName", maybe(user.user_name())),
        ("UserId", maybe(user.user_id())),
        ("Arn", maybe(user.arn())),
        ("CreateDate", time(user.create_date())),
        ("UserPolicyList", inline(user.user_policy_list())),
        ("GroupList", list(user.group_list(), |name| Value::from(name.as_str()))),
        ("AttachedManagedPolicies", attached(user.attached_managed_policies())),
        ("PermissionsBoundary", boundary(user.permissions_boundary())),
        ("Tags", tags(user.tags())),
    ])
}

fn group(group: &types::GroupDetail) -> Value {
    object([
        ("Path", maybe(group.path())),
        ("GroupName", maybe(group.group_name())),
        ("GroupId", maybe(group.group_id())),
        ("Arn", maybe(group.arn())),
        ("CreateDate", time(group.create_date())),
        ("GroupPolicyList", inline(group.group_policy_list())),
        ("AttachedManagedPolicies", attached(group.attached_managed_policies())),
    ])
}

fn role(role: &types::RoleDetail) -> Value {
    let last = role
        .role_last_used()
        .map(|last| object([("LastUsedDate", time(last.last_used_date())), ("Region", maybe(last.region()))]));
    object([
        ("Path", maybe(role.path())),
        ("RoleName", maybe(role.role_name())),
        ("RoleId", maybe(role.role_id())),
        ("Arn", maybe(role.arn())),
        ("CreateDate", time(role.create_date())),
        ("AssumeRolePolicyDocument", maybe(role.assume_role_policy_document())),
        ("InstanceProfileList", list(role.instance_profile_list(), profile)),
        ("RolePolicyList", inline(role.role_policy_list())),
        ("AttachedManagedPolicies", attached(role.attached_managed_policies())),
        ("PermissionsBoundary", boundary(role.permissions_boundary())),
        ("Tags", tags(role.tags())),
        ("RoleLastUsed", last),
    ])
}

fn profile(profile: &types::InstanceProfile) -> Value {
    object([
        ("InstanceProfileName", text(profile.instance_profile_name())),
        ("InstanceProfileId", text(profile.instance_profile_id())),
        ("Arn", text(profile.arn())),
        ("Path", text(profile.path())),
    ])
}

fn policy(policy: &types::ManagedPolicyDetail) -> Value {
    let version = |version: &types::PolicyVersion| {
        object([
            ("VersionId", maybe(version.version_id())),
            ("IsDefaultVersion", Some(version.is_default_version().into())),
            ("CreateDate", time(version.create_date())),
            ("Document", maybe(version.document())),
        ])
    };
    object([
        ("PolicyName", maybe(policy.policy_name())),
        ("PolicyId", maybe(policy.policy_id())),
        ("Arn", maybe(policy.arn())),
        ("Path", maybe(policy.path())),
        ("DefaultVersionId", maybe(policy.default_version_id())),
        ("AttachmentCount", policy.attachment_count().map(Into::into)),
        ("PermissionsBoundaryUsageCount", policy.permissions_boundary_usage_count().map(Into::into)),
        ("IsAttachable", Some(policy.is_attachable().into())),
        ("CreateDate", time(policy.create_date())),
        ("UpdateDate", time(policy.update_date())),
        ("PolicyVersionList", list(policy.policy_version_list(), version)),
    ])
}

/// The credential report, as CSV. IAM makes it on demand, at most every four hours.
pub(super) async fn credential_report(access: &Access) -> Result<Vec<u8>, Failure> {
    let client = access.iam();
    for _ in 0..REPORT_TRIES {
        let made = access.call(&GENERATE_CREDENTIAL_REPORT, || client.generate_credential_report().send()).await?;
        if made.state() == Some(&types::ReportStateType::Complete) {
            let report = access.call(&GET_CREDENTIAL_REPORT, || client.get_credential_report().send()).await?;
            let content = report.content().map(|content| content.as_ref().to_vec()).unwrap_or_default();
            if content.is_empty() {
                let message = "the credential report is empty";
                return Err(Failure::new(&GET_CREDENTIAL_REPORT, FailureKind::Service, "", message));
            }
            return Ok(content);
        }
        tokio::time::sleep(REPORT_WAIT).await;
    }
    let message = "IAM does not come to an end with the credential report";
    Err(Failure::new(&GENERATE_CREDENTIAL_REPORT, FailureKind::Service, "", message))
}
