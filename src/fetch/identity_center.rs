//! Identity Center: permission sets with what they grant, who may use them where, and the people of the identity store.

use std::collections::BTreeSet;

use aws_sdk_identitystore::types::MemberId;
use aws_sdk_ssoadmin::types;
use serde_json::Value;

use super::access::{Access, in_order, pages};
use super::calls;
use super::failure::{Failure, FailureKind};
use super::regions;
use super::shape::{list, maybe, object, text, time};

/// Calls that are under way at once; the pace is kept by `Access`.
const AT_ONCE: usize = 8;

/// Instance and identity store of an instance.
fn named(instance: &types::InstanceMetadata) -> Option<(String, String)> {
    Some((instance.instance_arn()?.to_owned(), instance.identity_store_id()?.to_owned()))
}

async fn instances(access: &Access) -> Result<Vec<types::InstanceMetadata>, Failure> {
    let admin = access.sso_admin();
    Ok(pages!(access, &calls::LIST_INSTANCES, admin.list_instances(), instances))
}

/// Where Identity Center is in use: it lives in one region, and others answer that there is none.
async fn located(access: &Access) -> Result<Option<(Access, Vec<types::InstanceMetadata>)>, Failure> {
    let found = instances(access).await?;
    if found.iter().any(|instance| named(instance).is_some()) {
        return Ok(Some((access.clone(), found)));
    }
    for region in regions::regions(access).await? {
        if region == access.region() {
            continue;
        }
        let there = access.at(&region);
        match instances(&there).await {
            Ok(found) if found.iter().any(|instance| named(instance).is_some()) => return Ok(Some((there, found))),
            Ok(_) => {}
            // Not every region has the service.
            Err(failure) if failure.kind == FailureKind::Absent || failure.is_nowhere() || failure.is_closed() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(None)
}

/// Reads the instance of the organisation, and says which tags it may not read; none where Identity Center is not in use.
pub(super) async fn identity_center(access: &Access) -> Result<Option<(Value, Option<Failure>)>, Failure> {
    let Some((access, instances)) = located(access).await? else { return Ok(None) };
    let Some((instance, store)) = instances.iter().find_map(named) else { return Ok(None) };
    let (access, admin) = (&access, access.sso_admin());
    let request = || admin.list_permission_sets().instance_arn(&instance);
    let mut sets = pages!(access, &calls::LIST_PERMISSION_SETS, request(), permission_sets);
    sets.sort();
    let read = sets.iter().map(|arn| set(access, &instance, arn));
    let mut described: Vec<Value> = in_order(read.collect(), AT_ONCE).await?;
    let read = sets.iter().map(|arn| tags(access, &instance, arn));
    let tags: Vec<Result<Value, Failure>> = in_order(read.collect(), AT_ONCE).await?;
    let untagged = tagged(&mut described, tags);
    let read = sets.iter().map(|arn| places(access, &instance, arn));
    let places: Vec<Vec<(String, String)>> = in_order(read.collect(), AT_ONCE).await?;
    let read = sets.iter().map(|arn| outdated(access, &instance, arn));
    let outdated: Vec<Vec<Value>> = in_order(read.collect(), AT_ONCE).await?;
    let read = places.into_iter().flatten().map(|(account, set)| assigned(access, &instance, account, set));
    let assignments: Vec<Vec<Value>> = in_order(read.collect(), AT_ONCE).await?;

    let people = access.identity_store();
    let users = pages!(access, &calls::LIST_USERS, people.list_users().identity_store_id(&store), users);
    let groups = pages!(access, &calls::LIST_GROUPS, people.list_groups().identity_store_id(&store), groups);
    let read = groups.iter().map(|group| memberships(access, &store, group.group_id()));
    let memberships: Vec<Vec<Value>> = in_order(read.collect(), AT_ONCE).await?;
    let instance_of = |instance: &types::InstanceMetadata| {
        object([
            ("InstanceArn", maybe(instance.instance_arn())),
            ("IdentityStoreId", maybe(instance.identity_store_id())),
            ("OwnerAccountId", maybe(instance.owner_account_id())),
            ("Region", text(access.region())),
        ])
    };
    let document = object([
        ("Instances", list(&instances, instance_of)),
        ("PermissionSets", Some(Value::Array(described))),
        ("OutdatedProvisionings", Some(Value::Array(outdated.into_iter().flatten().collect()))),
        ("AccountAssignments", Some(Value::Array(assignments.into_iter().flatten().collect()))),
        ("Users", list(&users, user)),
        (
            "Groups",
            list(&groups, |group| {
                object([("GroupId", text(group.group_id())), ("DisplayName", maybe(group.display_name()))])
            }),
        ),
        ("GroupMemberships", Some(Value::Array(memberships.into_iter().flatten().collect()))),
    ]);
    Ok(Some((document, untagged)))
}

/// Some permission sets, as [`identity_center`] reads all of them, with their assignments, without people, and without tags
/// where these may not be read.
pub(crate) async fn some_sets(access: &Access, instance: &str, sets: &BTreeSet<&str>) -> Result<Value, Failure> {
    let (mut described, mut behind, mut assignments) = (Vec::new(), Vec::new(), Vec::new());
    let mut tags_of = Vec::new();
    for arn in sets {
        described.push(set(access, instance, arn).await?);
        tags_of.push(tags(access, instance, arn).await?);
        behind.extend(outdated(access, instance, arn).await?);
        for (account, arn) in places(access, instance, arn).await? {
            assignments.extend(assigned(access, instance, account, arn).await?);
        }
    }
    // Without those that may not be read, the ones known stay.
    tagged(&mut described, tags_of);
    Ok(object([
        ("PermissionSets", Some(Value::Array(described))),
        ("OutdatedProvisionings", Some(Value::Array(behind))),
        ("AccountAssignments", Some(Value::Array(assignments))),
    ]))
}

/// A permission set and the policies in it.
async fn set(access: &Access, instance: &str, arn: &str) -> Result<Value, Failure> {
    let admin = access.sso_admin();
    let described = access
        .call(&calls::DESCRIBE_PERMISSION_SET, || {
            admin.describe_permission_set().instance_arn(instance).permission_set_arn(arn).send()
        })
        .await?;
    let request = || admin.list_managed_policies_in_permission_set().instance_arn(instance).permission_set_arn(arn);
    let managed = pages!(access, &calls::LIST_MANAGED_POLICIES, request(), attached_managed_policies);
    let request = || {
        admin.list_customer_managed_policy_references_in_permission_set().instance_arn(instance).permission_set_arn(arn)
    };
    let customer = pages!(access, &calls::LIST_CUSTOMER_POLICIES, request(), customer_managed_policy_references);
    let inline = access
        .call(&calls::GET_INLINE_POLICY, || {
            admin.get_inline_policy_for_permission_set().instance_arn(instance).permission_set_arn(arn).send()
        })
        .await?;
    let boundary = access
        .call(&calls::GET_PERMISSIONS_BOUNDARY, || {
            admin.get_permissions_boundary_for_permission_set().instance_arn(instance).permission_set_arn(arn).send()
        })
        .await;
    let boundary = match boundary {
        Ok(found) => found.permissions_boundary().cloned(),
        // A set without a boundary.
        Err(failure) if failure.kind == FailureKind::Absent => None,
        Err(failure) => return Err(failure),
    };
    let described = described.permission_set();
    let of = |get: fn(&types::PermissionSet) -> Option<&str>| described.and_then(get).and_then(text);
    Ok(object([
        ("PermissionSetArn", text(arn)),
        ("Name", of(types::PermissionSet::name)),
        ("Description", of(types::PermissionSet::description)),
        ("SessionDuration", of(types::PermissionSet::session_duration)),
        ("CreatedDate", time(described.and_then(types::PermissionSet::created_date))),
        (
            "ManagedPolicies",
            list(&managed, |policy| object([("Name", maybe(policy.name())), ("Arn", maybe(policy.arn()))])),
        ),
        ("CustomerManagedPolicyReferences", list(&customer, reference)),
        ("InlinePolicy", maybe(inline.inline_policy().filter(|text| !text.is_empty()))),
        (
            "PermissionsBoundary",
            boundary.map(|boundary| {
                object([
                    ("ManagedPolicyArn", maybe(boundary.managed_policy_arn())),
                    ("CustomerManagedPolicyReference", boundary.customer_managed_policy_reference().map(reference)),
                ])
            }),
        ),
    ]))
}

/// Tags of a permission set; within, that they may not be read: who grants what holds without them.
async fn tags(access: &Access, instance: &str, arn: &str) -> Result<Result<Value, Failure>, Failure> {
    match all_tags(access, instance, arn).await {
        Err(failure) if failure.kind == FailureKind::Denied => Ok(Err(failure)),
        read => read.map(Ok),
    }
}

async fn all_tags(access: &Access, instance: &str, arn: &str) -> Result<Value, Failure> {
    let admin = access.sso_admin();
    let request = || admin.list_tags_for_resource().instance_arn(instance).resource_arn(arn);
    let tags = pages!(access, &calls::LIST_TAGS_OF_SET, request(), tags);
    Ok(Value::Array(tags.iter().map(|tag| object([("Key", text(tag.key())), ("Value", text(tag.value()))])).collect()))
}

/// Gives sets the tags that were read; which could not be, in one failure.
fn tagged(sets: &mut [Value], tags: Vec<Result<Value, Failure>>) -> Option<Failure> {
    let (all, mut denied) = (sets.len(), Vec::new());
    for (set, tags) in sets.iter_mut().zip(tags) {
        match (set.as_object_mut(), tags) {
            (Some(fields), Ok(tags)) => drop(fields.insert("Tags".to_owned(), tags)),
            (_, Err(failure)) => denied.push(failure),
            (None, Ok(_)) => {}
        }
    }
    let mut first = denied.first()?.clone();
    first.message = format!("tags of {} of {all} permission sets: {}", denied.len(), first.message);
    Some(first)
}

fn reference(policy: &types::CustomerManagedPolicyReference) -> Value {
    object([("Name", text(policy.name())), ("Path", maybe(policy.path()))])
}

/// The accounts in which a permission set is provisioned, each with the set.
async fn places(access: &Access, instance: &str, arn: &str) -> Result<Vec<(String, String)>, Failure> {
    let admin = access.sso_admin();
    let request =
        || admin.list_accounts_for_provisioned_permission_set().instance_arn(instance).permission_set_arn(arn);
    let mut accounts = pages!(access, &calls::LIST_ACCOUNTS_FOR_SET, request(), account_ids);
    accounts.sort();
    Ok(accounts.into_iter().map(|account| (account, arn.to_owned())).collect())
}

/// The accounts in which a permission set was changed and not provisioned since: the role there is the older one.
async fn outdated(access: &Access, instance: &str, arn: &str) -> Result<Vec<Value>, Failure> {
    let admin = access.sso_admin();
    let request = || {
        admin
            .list_accounts_for_provisioned_permission_set()
            .instance_arn(instance)
            .permission_set_arn(arn)
            .provisioning_status(types::ProvisioningStatus::LatestPermissionSetNotProvisioned)
    };
    let accounts = pages!(access, &calls::LIST_ACCOUNTS_FOR_SET, request(), account_ids);
    Ok(accounts.iter().map(|id| object([("AccountId", text(id)), ("PermissionSetArn", text(arn))])).collect())
}

/// Who may use a permission set in an account.
async fn assigned(access: &Access, instance: &str, account: String, arn: String) -> Result<Vec<Value>, Failure> {
    let admin = access.sso_admin();
    let request =
        || admin.list_account_assignments().instance_arn(instance).account_id(&account).permission_set_arn(&arn);
    let found = pages!(access, &calls::LIST_ACCOUNT_ASSIGNMENTS, request(), account_assignments);
    let assignment = |assignment: &types::AccountAssignment| {
        object([
            ("AccountId", maybe(assignment.account_id())),
            ("PermissionSetArn", maybe(assignment.permission_set_arn())),
            ("PrincipalType", assignment.principal_type().and_then(|kind| text(kind.as_str()))),
            ("PrincipalId", maybe(assignment.principal_id())),
        ])
    };
    Ok(found.iter().map(assignment).collect())
}

/// The members of a group.
async fn memberships(access: &Access, store: &str, group: &str) -> Result<Vec<Value>, Failure> {
    let people = access.identity_store();
    let request = || people.list_group_memberships().identity_store_id(store).group_id(group);
    let found = pages!(access, &calls::LIST_GROUP_MEMBERSHIPS, request(), group_memberships);
    let member = |id: Option<&MemberId>| match id {
        Some(MemberId::UserId(user)) => Some(object([("UserId", text(user))])),
        _ => None,
    };
    let members = found.iter().filter_map(|membership| {
        Some(object([("GroupId", text(group)), ("MemberId", Some(member(membership.member_id())?))]))
    });
    Ok(members.collect())
}

fn user(user: &aws_sdk_identitystore::types::User) -> Value {
    let email = |email: &aws_sdk_identitystore::types::Email| {
        object([("Value", maybe(email.value())), ("Primary", Some(email.primary().into()))])
    };
    object([
        ("UserId", text(user.user_id())),
        ("UserName", maybe(user.user_name())),
        ("DisplayName", maybe(user.display_name())),
        ("Emails", list(user.emails(), email)),
    ])
}
