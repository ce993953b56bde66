//! The calls of Identity Center that change permission sets, and those that show what stands where.
//!
//! What changes roles in accounts goes on after it is answered: its status is asked until it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ssoadmin::types::{
    CustomerManagedPolicyReference, PermissionsBoundary, ProvisionTargetType, ProvisioningStatus, StatusValues, Tag,
};

use crate::fetch::access::{Access, pages};
use crate::fetch::calls::{
    Call, DESCRIBE_PERMISSION_SET, GET_INLINE_POLICY, GET_PERMISSIONS_BOUNDARY, LIST_ACCOUNTS_FOR_SET,
    LIST_CUSTOMER_POLICIES, LIST_MANAGED_POLICIES, LIST_PERMISSION_SETS,
};
use crate::fetch::{Failure, FailureKind};
use crate::model::snapshot::{PolicyName, SetBoundary};
use crate::remediate::place::{SetPart, Value};
use crate::remediate::set_effect::{SetChange, SetEffect};

use super::calls;

/// First wait between two looks at what is under way; it doubles up to the longest.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// How often it is looked at: roles of hundreds of accounts take minutes. Half an hour in all.
const LOOKS: u32 = 360;

fn wait(look: u32) -> Duration {
    FIRST_LOOK.saturating_mul(1 << look.min(10)).min(LONGEST_LOOK)
}

/// A permission set: its instance, and its ARN or name.
#[derive(Clone, Copy)]
pub(super) struct Named<'n> {
    pub(super) instance: &'n str,
    pub(super) set: &'n str,
}

/// Names of permission sets that are known, with their ARNs.
pub(super) type Known = BTreeMap<String, String>;

fn faulty(call: &Call, error: &impl ToString) -> Failure {
    Failure::new(call, FailureKind::Program, "", &error.to_string())
}

async fn described(access: &Access, instance: &str, arn: &str) -> Result<Option<(String, String, String)>, Failure> {
    let admin = access.sso_admin();
    let request = admin.describe_permission_set().instance_arn(instance).permission_set_arn(arn);
    let set = match access.call(&DESCRIBE_PERMISSION_SET, || request.send()).await {
        Ok(answer) => answer.permission_set().cloned(),
        Err(failure) if failure.kind == FailureKind::Absent => None,
        Err(failure) => return Err(failure),
    };
    let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(set.map(|set| (own(set.name()), own(set.description()), own(set.session_duration()))))
}

/// The ARN of a permission set; none where there is none of that name.
pub(super) async fn arn_of(access: &Access, named: Named<'_>, known: &mut Known) -> Result<Option<String>, Failure> {
    if named.set.starts_with("arn:") {
        return Ok(Some(named.set.to_owned()));
    }
    // Where somebody deleted it meanwhile, what is asked about it is not there.
    if let Some(arn) = known.get(named.set) {
        return Ok(Some(arn.clone()));
    }
    let admin = access.sso_admin();
    let request = || admin.list_permission_sets().instance_arn(named.instance);
    let all = pages!(access, &LIST_PERMISSION_SETS, request(), permission_sets);
    for arn in all {
        if known.values().any(|one| *one == arn) {
            continue;
        }
        if let Some((name, ..)) = described(access, named.instance, &arn).await? {
            known.insert(name, arn);
        }
    }
    Ok(known.get(named.set).cloned())
}

/// What stands at a part of a permission set.
pub(super) async fn read(
    access: &Access,
    named: Named<'_>,
    part: &SetPart,
    known: &mut Known,
) -> Result<Value, Failure> {
    let Some(arn) = arn_of(access, named, known).await? else { return Ok(Value::Absent) };
    match found(access, named.instance, &arn, part).await {
        Err(failure) if failure.kind == FailureKind::Absent => Ok(Value::Absent),
        found => found,
    }
}

async fn found(access: &Access, instance: &str, arn: &str, part: &SetPart) -> Result<Value, Failure> {
    let admin = access.sso_admin();
    let there = |yes: bool| if yes { Value::There } else { Value::Absent };
    Ok(match part {
        SetPart::Whole => match described(access, instance, arn).await? {
            // Tags decide nothing: what carries a plan out does not compare them.
            Some((_, description, session)) => Value::PermissionSet { description, session, tags: BTreeMap::new() },
            None => Value::Absent,
        },
        SetPart::Inline => {
            let request = admin.get_inline_policy_for_permission_set().instance_arn(instance).permission_set_arn(arn);
            let answer = access.call(&GET_INLINE_POLICY, || request.send()).await?;
            let text = answer.inline_policy().filter(|text| !text.is_empty());
            text.map_or(Value::Absent, |text| Value::Document(text.to_owned()))
        }
        SetPart::Managed(policy) => {
            let request =
                || admin.list_managed_policies_in_permission_set().instance_arn(instance).permission_set_arn(arn);
            let all = pages!(access, &LIST_MANAGED_POLICIES, request(), attached_managed_policies);
            there(all.iter().any(|one| one.arn() == Some(policy)))
        }
        SetPart::Customer(policy) => {
            let request = || {
                let request = admin.list_customer_managed_policy_references_in_permission_set();
                request.instance_arn(instance).permission_set_arn(arn)
            };
            let all = pages!(access, &LIST_CUSTOMER_POLICIES, request(), customer_managed_policy_references);
            there(all.iter().any(|one| named_policy(one) == *policy))
        }
        SetPart::Boundary => {
            let request = admin.get_permissions_boundary_for_permission_set();
            let request = request.instance_arn(instance).permission_set_arn(arn);
            let answer = access.call(&GET_PERMISSIONS_BOUNDARY, || request.send()).await?;
            let boundary = answer.permissions_boundary().and_then(|boundary| {
                let managed = boundary.managed_policy_arn().map(|arn| SetBoundary::Managed(arn.to_owned()));
                let customer = boundary.customer_managed_policy_reference();
                managed.or_else(|| customer.map(|one| SetBoundary::Customer(named_policy(one))))
            });
            boundary.map_or(Value::Absent, Value::Boundary)
        }
        SetPart::Provisioned => {
            let request = || {
                let request = admin.list_accounts_for_provisioned_permission_set();
                request
                    .instance_arn(instance)
                    .permission_set_arn(arn)
                    .provisioning_status(ProvisioningStatus::LatestPermissionSetNotProvisioned)
            };
            there(pages!(access, &LIST_ACCOUNTS_FOR_SET, request(), account_ids).is_empty())
        }
    })
}

fn named_policy(one: &CustomerManagedPolicyReference) -> PolicyName {
    PolicyName { path: one.path().unwrap_or("/").to_owned(), name: one.name().to_owned() }
}

fn reference(policy: &PolicyName, call: &Call) -> Result<CustomerManagedPolicyReference, Failure> {
    let built = CustomerManagedPolicyReference::builder().name(&policy.name).path(&policy.path).build();
    built.map_err(|error| faulty(call, &error))
}

/// Makes a call, and waits until what it began has ended.
pub(super) async fn make(access: &Access, effect: &SetEffect, known: &mut Known) -> Result<(), Failure> {
    let named = Named { instance: &effect.instance, set: &effect.set };
    if let SetChange::CreatePermissionSet { description, session, tags } = &effect.change {
        return create(access, named, (description, session, tags), known).await;
    }
    let none =
        || Failure::new(&DESCRIBE_PERMISSION_SET, FailureKind::Absent, "", &format!("no set is called {}", effect.set));
    let arn = arn_of(access, named, known).await?.ok_or_else(none)?;
    let admin = access.sso_admin();
    macro_rules! sent {
        ($call:ident, $request:expr) => {{
            let request = $request.instance_arn(named.instance).permission_set_arn(&arn);
            access.call(&calls::$call, || request.send()).await.map(drop)
        }};
    }
    match &effect.change {
        SetChange::CreatePermissionSet { .. } => Ok(()),
        SetChange::DeletePermissionSet => {
            let deleted = sent!(DELETE_PERMISSION_SET, admin.delete_permission_set());
            if deleted.is_ok() {
                known.remove(named.set);
            }
            deleted
        }
        SetChange::PutInlinePolicyToPermissionSet { document } => {
            sent!(PUT_INLINE_POLICY, admin.put_inline_policy_to_permission_set().inline_policy(document))
        }
        SetChange::DeleteInlinePolicyFromPermissionSet => {
            sent!(DELETE_INLINE_POLICY, admin.delete_inline_policy_from_permission_set())
        }
        SetChange::AttachManagedPolicyToPermissionSet { policy } => {
            sent!(ATTACH_MANAGED_POLICY, admin.attach_managed_policy_to_permission_set().managed_policy_arn(policy))
        }
        SetChange::DetachManagedPolicyFromPermissionSet { policy } => {
            sent!(DETACH_MANAGED_POLICY, admin.detach_managed_policy_from_permission_set().managed_policy_arn(policy))
        }
        SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { policy } => {
            let request = admin.attach_customer_managed_policy_reference_to_permission_set();
            let policy = reference(policy, &calls::ATTACH_CUSTOMER_POLICY)?;
            sent!(ATTACH_CUSTOMER_POLICY, request.customer_managed_policy_reference(policy))
        }
        SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy } => {
            let request = admin.detach_customer_managed_policy_reference_from_permission_set();
            let policy = reference(policy, &calls::DETACH_CUSTOMER_POLICY)?;
            sent!(DETACH_CUSTOMER_POLICY, request.customer_managed_policy_reference(policy))
        }
        SetChange::PutPermissionsBoundaryToPermissionSet { boundary } => {
            let built = PermissionsBoundary::builder();
            let built = match boundary {
                SetBoundary::Managed(arn) => built.managed_policy_arn(arn),
                SetBoundary::Customer(policy) => {
                    built.customer_managed_policy_reference(reference(policy, &calls::PUT_BOUNDARY)?)
                }
            };
            let request = admin.put_permissions_boundary_to_permission_set();
            sent!(PUT_BOUNDARY, request.permissions_boundary(built.build()))
        }
        SetChange::DeletePermissionsBoundaryFromPermissionSet => {
            sent!(DELETE_BOUNDARY, admin.delete_permissions_boundary_from_permission_set())
        }
        SetChange::ProvisionPermissionSet => provision(access, named.instance, &arn).await,
    }
}

type Described<'d> = (&'d str, &'d str, &'d BTreeMap<String, String>);

async fn create(
    access: &Access,
    named: Named<'_>,
    (description, session, tags): Described<'_>,
    known: &mut Known,
) -> Result<(), Failure> {
    let call = &calls::CREATE_PERMISSION_SET;
    let admin = access.sso_admin();
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let tags: Result<Vec<Tag>, _> = tags.iter().map(tag).collect();
    let request = admin
        .create_permission_set()
        .instance_arn(named.instance)
        .name(named.set)
        .description(description)
        .session_duration(session)
        .set_tags(Some(tags.map_err(|error| faulty(call, &error))?).filter(|tags| !tags.is_empty()));
    let answer = access.call(call, || request.send()).await?;
    if let Some(arn) = answer.permission_set().and_then(|set| set.permission_set_arn()) {
        known.insert(named.set.to_owned(), arn.to_owned());
    }
    Ok(())
}

/// Brings the roles of all accounts to what a set says, and waits until they are.
async fn provision(access: &Access, instance: &str, arn: &str) -> Result<(), Failure> {
    let admin = access.sso_admin();
    let mut looks = 0;
    let begun = loop {
        let request = admin.provision_permission_set().instance_arn(instance).permission_set_arn(arn);
        let request = request.target_type(ProvisionTargetType::AllProvisionedAccounts);
        match access.call(&calls::PROVISION_PERMISSION_SET, || request.send()).await {
            // Another one is under way: it ends.
            Err(failure) if failure.code == "ConflictException" && looks < LOOKS => {
                tokio::time::sleep(wait(looks)).await;
                looks += 1;
            }
            begun => break begun?,
        }
    };
    let mut status = begun.permission_set_provisioning_status().cloned();
    for look in 0..LOOKS {
        let Some(one) = &status else {
            let message = "the answer says nothing of how far it is";
            return Err(Failure::new(&calls::PROVISION_PERMISSION_SET, FailureKind::Service, "", message));
        };
        match one.status() {
            Some(StatusValues::Succeeded) => return Ok(()),
            Some(StatusValues::Failed) => {
                let why = one.failure_reason().unwrap_or("it says not why");
                return Err(Failure::new(&calls::PROVISION_PERMISSION_SET, FailureKind::Service, "FAILED", why));
            }
            _ => {}
        }
        let id = one.request_id().unwrap_or_default().to_owned();
        tokio::time::sleep(wait(look)).await;
        let request = admin.describe_permission_set_provisioning_status().instance_arn(instance);
        let request = request.provision_permission_set_request_id(id);
        let answer = access.call(&calls::DESCRIBE_PROVISIONING_STATUS, || request.send()).await?;
        status = answer.permission_set_provisioning_status().cloned();
    }
    let message = "it is still under way";
    Err(Failure::new(&calls::DESCRIBE_PROVISIONING_STATUS, FailureKind::Service, "IN_PROGRESS", message))
}

/// Whether a permission set is there: its ARN then.
pub(super) async fn unique_id(access: &Access, arn: &str) -> Result<Option<String>, Failure> {
    // `arn:aws:sso:::permissionSet/INSTANCE/SET` names its instance.
    let instance = arn.rsplit_once('/').map_or("", |(instance, _)| instance);
    let instance = instance.replacen(":permissionSet/", ":instance/", 1);
    Ok(described(access, &instance, arn).await?.map(|_| arn.to_owned()))
}
