//! Organisation, Identity Center and roster as files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::DemoError;
use super::rng::named_uuid;
use super::world::World;

/// `organization.json`: the answers of the Organizations API, put together.
pub(super) fn organization(world: &World) -> Result<Value, DemoError> {
    let org = &world.org;
    let management = world.account(&org.management)?;
    let units: Vec<Value> =
        org.units.iter().map(|unit| json!({"Id": unit.id, "Name": unit.name, "ParentId": org.root})).collect();
    let accounts: Vec<Value> = org
        .accounts
        .iter()
        .map(|account| {
            json!({
                "Id": account.id, "Name": account.name, "Email": account.email, "Status": "ACTIVE", "ParentId": account.ou,
            })
        })
        .collect();
    let policies: Vec<Value> = org
        .policies
        .iter()
        .map(|policy| {
            let targets: Vec<Value> = policy.targets.iter().map(|target| target_json(world, target)).collect();
            json!({
                "Id": policy.id, "Name": policy.name, "Type": "SERVICE_CONTROL_POLICY",
                "Content": policy.document.to_string(), "Targets": targets,
            })
        })
        .collect();
    Ok(json!({
        "Organization": {"Id": org.id, "MasterAccountId": management, "FeatureSet": "ALL"},
        "Roots": [{"Id": org.root, "Name": "Root"}],
        "OrganizationalUnits": units, "Accounts": accounts, "Policies": policies,
    }))
}

fn target_json(world: &World, target: &str) -> Value {
    let kind = match target.split('-').next() {
        Some("r") => "ROOT",
        Some("ou") => "ORGANIZATIONAL_UNIT",
        _ => "ACCOUNT",
    };
    json!({"TargetId": world.account(target).unwrap_or(target), "Type": kind})
}

fn group_id(name: &str) -> String {
    named_uuid(&format!("identity-store group {name}"))
}

/// `identity-center.json`: the answers of the SSO Admin and Identity Store APIs, put together.
pub(super) fn identity_center(world: &World) -> Result<Value, DemoError> {
    let center = &world.center;
    let (mut sets, mut assignments) = (Vec::new(), Vec::new());
    let mut groups: BTreeSet<&str> = BTreeSet::new();
    for set in &center.sets {
        let arn = set.arn(&center.instance);
        let mut managed = Vec::new();
        for name in &set.managed {
            let policy = world.aws_managed.get(name).ok_or_else(|| DemoError::unknown("policy", name))?;
            managed.push(json!({"Name": name, "Arn": policy.arn}));
        }
        let inline = set.inline.as_ref().map_or_else(String::new, Value::to_string);
        sets.push(json!({
            "PermissionSetArn": arn, "Name": set.name, "SessionDuration": set.duration,
            "ManagedPolicies": managed, "InlinePolicy": inline, "Tags": [],
        }));
        for (group, accounts) in &set.assign {
            groups.insert(group);
            for account in accounts {
                assignments.push(json!({
                    "AccountId": world.account(account)?, "PermissionSetArn": arn,
                    "PrincipalType": "GROUP", "PrincipalId": group_id(group),
                }));
            }
        }
    }
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for person in world.people.iter().filter(|person| !person.user.is_empty()) {
        users.push(json!({
            "UserId": person.store_id(), "UserName": person.user, "DisplayName": person.name,
            "Emails": [{"Value": person.email(), "Primary": true}],
        }));
        for group in &person.groups {
            memberships.push(json!({"GroupId": group_id(group), "MemberId": {"UserId": person.store_id()}}));
        }
    }
    let groups: Vec<Value> =
        groups.into_iter().map(|name| json!({"GroupId": group_id(name), "DisplayName": name})).collect();
    Ok(json!({
        "Instances": [{
            "InstanceArn": center.instance, "IdentityStoreId": center.store,
            "OwnerAccountId": world.account(&world.org.management)?, "Region": "us-east-1",
        }],
        "PermissionSets": sets, "AccountAssignments": assignments,
        "Users": users, "Groups": groups, "GroupMemberships": memberships,
    }))
}

/// `roster.csv`: people and machine identities as a personnel system would export them.
pub(super) fn roster(world: &World) -> Result<Vec<u8>, DemoError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let names: BTreeMap<&str, String> =
        world.people.iter().map(|person| (person.id.as_str(), person.email())).collect();
    let bad = |error: csv::Error| DemoError::Fixture { file: "people.json", reason: error.to_string() };
    out.write_record(["id", "name", "email", "manager", "team", "kind", "start", "end", "iam_users"]).map_err(bad)?;
    for person in &world.people {
        let manager = names.get(person.manager.as_str()).map_or("", String::as_str);
        let users = person.iam_users.join(";");
        let email = person.email();
        out.write_record([
            &person.id,
            &person.name,
            &email,
            manager,
            &person.team,
            &person.kind,
            &person.start,
            &person.end,
            &users,
        ])
        .map_err(bad)?;
    }
    out.into_inner().map_err(|error| DemoError::Fixture { file: "people.json", reason: error.to_string() })
}
