//! Identity Center: permission sets, who may use them where, and the people of the identity store.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CollectError, FileKind, text, unusable};
use crate::model::arn::AccountId;
use crate::model::defect::{Defect, Parsed, Place};
use crate::model::snapshot::{
    Assignment, IdentityCenter, IdentityCenterUser, PermissionSet, PolicyName, SetBoundary, SetPolicies,
};
use crate::model::time::Timestamp;

/// Session length where a permission set names none (the service's default).
const DEFAULT_SESSION: &str = "PT1H";

/// Reads Identity Center from one JSON object that gathers the answers of `sso-admin` and `identitystore`: `Instances`,
/// `PermissionSets` (with `ManagedPolicies`, `CustomerManagedPolicyReferences`, `InlinePolicy`, `PermissionsBoundary` and the
/// `Tags` of ListTagsForResource), `AccountAssignments`, `Users`, `Groups`, `GroupMemberships` (`GroupId`, `MemberId.UserId`);
/// and `OutdatedProvisionings` (`AccountId`, `PermissionSetArn`), from ListAccountsForProvisionedPermissionSet with
/// `LATEST_PERMISSION_SET_NOT_PROVISIONED`.
///
/// Entries that cannot be read, and memberships of users that are not listed, are defects.
///
/// # Errors
/// Fails where the file is not text or is of another kind.
pub fn identity_center(
    bytes: &[u8],
    file: &str,
    captured_at: Timestamp,
) -> Result<Parsed<IdentityCenter>, CollectError> {
    const WANTED: FileKind = FileKind::IdentityCenter;
    let decoded = text::decode(bytes, file)?;
    let raw: Raw<'_> =
        serde_json::from_str(&decoded).map_err(|error| unusable(bytes, file, WANTED, error.to_string()))?;
    if raw.permission_sets.is_none() && raw.account_assignments.is_none() {
        return Err(unusable(bytes, file, WANTED, "no PermissionSets or AccountAssignments".to_owned()));
    }
    let mut defects = Vec::new();
    let mut value = empty(captured_at);
    if let Some((_, instance)) =
        entries::<RawInstance>(raw.instances, "Instances", file, &mut defects).into_iter().next()
    {
        value.instance = instance.instance_arn;
        value.owner = instance.owner_account_id;
        value.region = instance.region.unwrap_or_default();
    }
    for set in entries::<RawPermissionSet>(raw.permission_sets, "PermissionSets", file, &mut defects) {
        value.permission_sets.push(PermissionSet {
            policies: set.1.policies(),
            tags: set.1.tags.as_ref().map(|tags| tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()),
            arn: set.1.permission_set_arn,
            name: set.1.name,
            session_duration: set.1.session_duration.unwrap_or_else(|| DEFAULT_SESSION.to_owned()),
        });
    }
    for (_, raw) in entries::<RawAssignment>(raw.account_assignments, "AccountAssignments", file, &mut defects) {
        value.assignments.push(Assignment {
            account: raw.account_id,
            permission_set: raw.permission_set_arn,
            is_group: matches!(raw.principal_type, PrincipalType::Group),
            principal_id: raw.principal_id,
        });
    }
    for (_, raw) in entries::<RawProvisioning>(raw.outdated_provisionings, "OutdatedProvisionings", file, &mut defects)
    {
        value.outdated.push((raw.account_id, raw.permission_set_arn));
    }
    let mut users: BTreeMap<String, IdentityCenterUser> = BTreeMap::new();
    for (_, raw) in entries::<RawUser>(raw.users, "Users", file, &mut defects) {
        let email = primary(raw.emails.unwrap_or_default());
        let user = IdentityCenterUser { id: raw.user_id.clone(), user_name: raw.user_name, email, groups: Vec::new() };
        users.insert(raw.user_id, user);
    }
    for (at, raw) in entries::<RawMembership>(raw.group_memberships, "GroupMemberships", file, &mut defects) {
        match users.get_mut(&raw.member_id.user_id) {
            Some(user) => user.groups.push(raw.group_id),
            None => defects.push(Defect {
                place: Place::path(file, format!("GroupMemberships[{at}]")),
                reason: format!("user `{}` is not among Users", raw.member_id.user_id),
            }),
        }
    }
    value.users = users.into_values().collect();
    for user in &mut value.users {
        user.groups.sort();
        user.groups.dedup();
    }
    value.permission_sets.sort_by(|a, b| a.arn.cmp(&b.arn));
    value.assignments.sort();
    value.assignments.dedup();
    value.outdated.sort();
    value.outdated.dedup();
    Ok(Parsed { value, defects })
}

const fn empty(captured_at: Timestamp) -> IdentityCenter {
    IdentityCenter {
        captured_at,
        instance: String::new(),
        owner: None,
        region: String::new(),
        permission_sets: Vec::new(),
        assignments: Vec::new(),
        users: Vec::new(),
        outdated: Vec::new(),
    }
}

/// Every entry of a list that can be read, with its place in the list.
fn entries<'a, T: Deserialize<'a>>(
    list: Option<Vec<&'a RawValue>>,
    name: &str,
    file: &str,
    defects: &mut Vec<Defect>,
) -> Vec<(usize, T)> {
    let mut out = Vec::new();
    for (at, raw) in list.into_iter().flatten().enumerate() {
        match serde_json::from_str(raw.get()) {
            Ok(entry) => out.push((at, entry)),
            Err(error) => {
                defects.push(Defect { place: Place::path(file, format!("{name}[{at}]")), reason: error.to_string() })
            }
        }
    }
    out
}

/// The primary address, or the first.
fn primary(emails: Vec<RawEmail>) -> String {
    let at = emails.iter().position(|email| email.primary == Some(true)).unwrap_or(0);
    emails.into_iter().nth(at).and_then(|email| email.value).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    #[serde(borrow)]
    instances: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    permission_sets: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    account_assignments: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    outdated_provisionings: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    users: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    group_memberships: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInstance {
    instance_arn: String,
    owner_account_id: Option<AccountId>,
    region: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPermissionSet {
    permission_set_arn: String,
    name: String,
    session_duration: Option<String>,
    managed_policies: Option<Vec<RawManaged>>,
    customer_managed_policy_references: Option<Vec<RawReference>>,
    inline_policy: Option<String>,
    permissions_boundary: Option<RawBoundary>,
    tags: Option<Vec<RawTag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTag {
    key: String,
    value: String,
}

impl RawPermissionSet {
    /// Its policies; none where the file has none of the fields, as `describe-permission-set` alone gives.
    fn policies(&self) -> Option<SetPolicies> {
        let managed = self.managed_policies.as_ref()?;
        let mut out = SetPolicies {
            inline: self.inline_policy.clone().filter(|text| !text.is_empty()),
            managed: managed.iter().map(|one| one.arn.clone()).collect(),
            customer: self.customer_managed_policy_references.iter().flatten().map(RawReference::name).collect(),
            boundary: self.permissions_boundary.as_ref().and_then(|boundary| {
                let managed = boundary.managed_policy_arn.clone().map(SetBoundary::Managed);
                let customer = boundary.customer_managed_policy_reference.as_ref();
                managed.or_else(|| customer.map(|one| SetBoundary::Customer(one.name())))
            }),
        };
        out.managed.sort();
        out.customer.sort();
        Some(out)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawManaged {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawReference {
    name: String,
    path: Option<String>,
}

impl RawReference {
    fn name(&self) -> PolicyName {
        PolicyName { path: self.path.clone().unwrap_or_else(|| "/".to_owned()), name: self.name.clone() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawBoundary {
    managed_policy_arn: Option<String>,
    customer_managed_policy_reference: Option<RawReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum PrincipalType {
    User,
    Group,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAssignment {
    account_id: AccountId,
    permission_set_arn: String,
    principal_type: PrincipalType,
    principal_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawProvisioning {
    account_id: AccountId,
    permission_set_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawEmail {
    value: Option<String>,
    primary: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawUser {
    user_id: String,
    user_name: String,
    emails: Option<Vec<RawEmail>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawMember {
    user_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawMembership {
    group_id: String,
    member_id: RawMember,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_assignments_and_people() {
        let text = r#"{"Instances":[{"InstanceArn":"i","IdentityStoreId":"d-1","OwnerAccountId":"999999999999","Region":"eu-west-1"}],
            "PermissionSets":[{"PermissionSetArn":"arn:b","Name":"Admin","SessionDuration":"PT8H","InlinePolicy":"{}",
                    "Tags":[{"Key":"ManagedBy","Value":"Terraform"}],
                    "ManagedPolicies":[{"Name":"z","Arn":"arn:z"},{"Arn":"arn:a"}],
                    "CustomerManagedPolicyReferences":[{"Name":"own","Path":"/team/"},{"Name":"own"}],
                    "PermissionsBoundary":{"CustomerManagedPolicyReference":{"Name":"edge"}}},
                {"PermissionSetArn":"arn:a","Name":"Read"}, {"Name":"broken"}],
            "AccountAssignments":[
                {"AccountId":"111111111111","PermissionSetArn":"arn:b","PrincipalType":"GROUP","PrincipalId":"g-1"},
                {"AccountId":"111111111111","PermissionSetArn":"arn:a","PrincipalType":"USER","PrincipalId":"u-1"},
                {"AccountId":"111111111111","PermissionSetArn":"arn:a","PrincipalType":"ROBOT","PrincipalId":"u-1"}],
            "OutdatedProvisionings":[{"AccountId":"111111111111","PermissionSetArn":"arn:b"},{"AccountId":"x"}],
            "Users":[{"UserId":"u-1","UserName":"ann","DisplayName":"Ann",
                "Emails":[{"Value":"x@example.com"},{"Value":"ann@example.com","Primary":true}]}],
            "Groups":[{"GroupId":"g-1","DisplayName":"admins"}],
            "GroupMemberships":[{"GroupId":"g-1","MemberId":{"UserId":"u-1"}},{"GroupId":"g-1","MemberId":{"UserId":"u-9"}}]}"#;
        let Parsed { value, defects } = identity_center(text.as_bytes(), "i.json", Timestamp::default()).unwrap();
        assert_eq!(value.permission_sets[0].session_duration, "PT1H");
        assert_eq!((value.instance.as_str(), value.region.as_str()), ("i", "eu-west-1"));
        assert_eq!(value.owner, "999999999999".parse().ok());
        assert_eq!(value.permission_sets[0].policies, None);
        assert_eq!(value.permission_sets[0].tags, None);
        assert_eq!(value.permission_sets[1].tags, Some([("ManagedBy".to_owned(), "Terraform".to_owned())].into()));
        let name = |path: &str, name: &str| PolicyName { path: path.to_owned(), name: name.to_owned() };
        let want = SetPolicies {
            inline: Some("{}".to_owned()),
            managed: vec!["arn:a".to_owned(), "arn:z".to_owned()],
            customer: vec![name("/", "own"), name("/team/", "own")],
            boundary: Some(SetBoundary::Customer(name("/", "edge"))),
        };
        assert_eq!(value.permission_sets[1].policies, Some(want));
        assert_eq!(value.assignments.iter().filter(|assignment| assignment.is_group).count(), 1);
        assert_eq!((value.users[0].email.as_str(), value.users[0].groups.len()), ("ann@example.com", 1));
        let places: Vec<String> = defects.iter().map(|defect| defect.place.to_string()).collect();
        let want = [
            "i.json at PermissionSets[2]",
            "i.json at AccountAssignments[2]",
            "i.json at OutdatedProvisionings[1]",
            "i.json at GroupMemberships[1]",
        ];
        assert_eq!(places, want);
        assert_eq!(value.outdated, [("111111111111".parse().unwrap(), "arn:b".to_owned())]);
    }

    #[test]
    fn wrong_files() {
        let error = identity_center(br#"{"Organization":{}}"#, "f", Timestamp::default()).unwrap_err().to_string();
        assert!(error.contains("use `jitscan ingest organization`"), "{error}");
        assert!(identity_center(b"[", "f", Timestamp::default()).is_err());
    }
}
