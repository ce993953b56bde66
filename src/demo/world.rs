//! The made-up organisation as it is defined in `fixtures/demo`: who exists and what they hold.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::DemoError;
use super::rng::{named_hex, named_uuid, unique_id};

/// An account of the organisation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub alias: String,
    pub id: String,
    pub name: String,
    pub email: String,
    pub ou: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrgPolicy {
    pub id: String,
    pub name: String,
    pub targets: Vec<String>,
    pub document: Value,
}

/// The days without logs: from `from_days_ago` down to `to_days_ago`, both included.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gap {
    pub account: String,
    pub region: String,
    pub from_days_ago: i64,
    pub to_days_ago: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Org {
    pub id: String,
    pub root: String,
    pub management: String,
    pub accounts: Vec<Account>,
    pub units: Vec<Unit>,
    pub policies: Vec<OrgPolicy>,
    pub regions: Vec<String>,
    pub gap: Gap,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub id: String,
    pub name: String,
    /// Identity Center user name; empty for machine identities.
    pub user: String,
    pub team: String,
    pub manager: String,
    pub kind: String,
    pub start: String,
    pub end: String,
    pub groups: Vec<String>,
    pub iam_users: Vec<String>,
}

impl Person {
    pub fn email(&self) -> String {
        if self.user.is_empty() { String::new() } else { format!("{}@lanternfreight.example", self.user) }
    }

    /// Id in the identity store.
    pub fn store_id(&self) -> String {
        named_uuid(&format!("identity-store user {}", self.user))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PermissionSet {
    pub name: String,
    pub duration: String,
    pub managed: Vec<String>,
    /// Group to accounts.
    pub assign: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub inline: Option<Value>,
}

impl PermissionSet {
    /// The role that Identity Center makes for the set in an account.
    pub fn role_name(&self, account: &str) -> String {
        format!("AWSReservedSSO_{}_{}", self.name, named_hex(&format!("sso {} {account}", self.name), 16))
    }

    /// The accounts that it is assigned in, in order.
    pub fn accounts(&self) -> Vec<String> {
        let mut accounts: Vec<String> = self.assign.values().flatten().cloned().collect();
        accounts.sort();
        accounts.dedup();
        accounts
    }

    pub fn arn(&self, instance: &str) -> String {
        let instance = instance.rsplit('/').next().unwrap_or(instance);
        format!("arn:aws:sso:::permissionSet/{instance}/ps-{}", named_hex(&format!("ps {}", self.name), 16))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityCenter {
    pub instance: String,
    pub store: String,
    pub sets: Vec<PermissionSet>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AwsManaged {
    pub arn: String,
    pub document: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub name: String,
    pub trust: Vec<String>,
    pub created: String,
    pub managed: Vec<String>,
    pub inline: Map<String, Value>,
    #[serde(default = "root_path")]
    pub path: String,
    #[serde(default)]
    pub boundary: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub profile: bool,
    #[serde(default = "one_hour")]
    pub session: u32,
    /// Last use before the window, where there was one.
    #[serde(default)]
    pub last_used: Option<String>,
}

fn root_path() -> String {
    "/".to_owned()
}

const fn one_hour() -> u32 {
    3600
}

/// An access key of a user: rotated on a date, or so many days before the end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    #[serde(default)]
    pub rotated: Option<String>,
    #[serde(default)]
    pub rotated_days_ago: Option<i64>,
    #[serde(default)]
    pub last_used: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    pub changed: String,
    pub mfa: bool,
    #[serde(default)]
    pub last_used: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub name: String,
    #[serde(default)]
    pub created: Option<String>,
    #[serde(default)]
    pub created_days_ago: Option<i64>,
    pub groups: Vec<String>,
    pub managed: Vec<String>,
    pub inline: Map<String, Value>,
    pub keys: Vec<Key>,
    #[serde(default)]
    pub password: Option<Password>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub name: String,
    pub managed: Vec<String>,
    pub inline: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub name: String,
    pub created: String,
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub version_days_ago: Option<i64>,
    pub document: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    pub created: String,
    pub mfa: bool,
    pub key: Option<Key>,
    pub last_used: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountIam {
    pub roles: Vec<Role>,
    pub policies: Vec<Policy>,
    pub groups: Vec<Group>,
    pub users: Vec<User>,
    pub root: Root,
}

/// A call that the demo can make: what its record looks like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallTemplate {
    pub read: bool,
    pub request: Value,
    #[serde(default)]
    pub response: Value,
    /// The resource, also named in denials.
    #[serde(default)]
    pub arn: Option<String>,
    #[serde(default)]
    pub kind: Option<String>,
    /// The record does not list the resource although the call has one.
    #[serde(default)]
    pub noresources: bool,
    /// The IAM action where it is not the key of the template.
    #[serde(default)]
    pub action: Option<String>,
    /// The event name where it is not the second half of the key.
    #[serde(default)]
    pub name: Option<String>,
    /// A data event.
    #[serde(default)]
    pub data: bool,
    /// Bucket beside the object.
    #[serde(default)]
    pub bucket: Option<String>,
    /// A global service: logged in us-east-1.
    #[serde(default)]
    pub global: bool,
    #[serde(default)]
    pub extra: Value,
}

/// All that the fixtures define.
#[derive(Debug)]
pub(super) struct World {
    pub org: Org,
    pub people: Vec<Person>,
    pub center: IdentityCenter,
    pub aws_managed: BTreeMap<String, AwsManaged>,
    pub iam: BTreeMap<String, AccountIam>,
    pub calls: BTreeMap<String, CallTemplate>,
    ids: BTreeMap<String, String>,
}

/// Reads an embedded fixture.
pub(super) fn fixture<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, DemoError> {
    serde_json::from_str(text).map_err(|error| DemoError::Fixture { file, reason: error.to_string() })
}

impl World {
    pub fn load() -> Result<Self, DemoError> {
        let org: Org = fixture("organization.json", include_str!("../../fixtures/demo/organization.json"))?;
        let ids: BTreeMap<String, String> = org.accounts.iter().map(|a| (a.alias.clone(), a.id.clone())).collect();
        let center = with_ids(include_str!("../../fixtures/demo/permission_sets.json"), &ids);
        let iam = with_ids(include_str!("../../fixtures/demo/iam.json"), &ids);
        Ok(Self {
            people: fixture("people.json", include_str!("../../fixtures/demo/people.json"))?,
            center: fixture("permission_sets.json", &center)?,
            aws_managed: fixture(
                "aws_managed_policies.json",
                include_str!("../../fixtures/demo/aws_managed_policies.json"),
            )?,
            iam: fixture("iam.json", &iam)?,
            calls: fixture("calls.json", include_str!("../../fixtures/demo/calls.json"))?,
            org,
            ids,
        })
    }

    /// The id of the account with that alias.
    pub fn account(&self, alias: &str) -> Result<&str, DemoError> {
        self.ids.get(alias).map(String::as_str).ok_or_else(|| DemoError::unknown("account", alias))
    }

    /// Replaces `{alias}` by the account's id.
    pub fn resolve(&self, text: &str) -> String {
        with_ids(text, &self.ids)
    }

    /// The accounts whose IAM and logs exist, in order of their alias.
    pub fn logged_accounts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iam.keys().filter_map(|alias| Some((alias.as_str(), self.ids.get(alias)?.as_str())))
    }

    pub fn person(&self, user: &str) -> Result<&Person, DemoError> {
        self.people
            .iter()
            .find(|person| !user.is_empty() && person.user == user)
            .ok_or_else(|| DemoError::unknown("person", user))
    }

    pub fn set(&self, name: &str) -> Result<&PermissionSet, DemoError> {
        self.center.sets.iter().find(|set| set.name == name).ok_or_else(|| DemoError::unknown("permission set", name))
    }

    pub fn role(&self, account: &str, name: &str) -> Result<&Role, DemoError> {
        self.iam
            .get(account)
            .and_then(|iam| iam.roles.iter().find(|role| role.name == name))
            .ok_or_else(|| DemoError::unknown("role", &format!("{account}/{name}")))
    }

    pub fn user(&self, account: &str, name: &str) -> Result<&User, DemoError> {
        self.iam
            .get(account)
            .and_then(|iam| iam.users.iter().find(|user| user.name == name))
            .ok_or_else(|| DemoError::unknown("user", &format!("{account}/{name}")))
    }
}

fn with_ids(text: &str, ids: &BTreeMap<String, String>) -> String {
    ids.iter().fold(text.to_owned(), |text, (alias, id)| text.replace(&format!("{{{alias}}}"), id))
}

/// The unique id of a user; the deleted user of the same name has another one.
pub(super) fn user_id(account: &str, name: &str, former: bool) -> String {
    unique_id("AIDA", &format!("{account}/{name}{}", if former { " (deleted)" } else { "" }))
}

impl World {
    /// The IAM ARN of `sso:SET:ACCOUNT`, `role:ACCOUNT:NAME`, `user:ACCOUNT:NAME` or `root:ACCOUNT`; empty for empty.
    pub fn principal_arn(&self, text: &str) -> Result<String, DemoError> {
        let mut words = text.split(':');
        let (kind, first, second) =
            (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
        Ok(match kind {
            "" => String::new(),
            "sso" => format!(
                "arn:aws:iam::{}:role/aws-reserved/sso.amazonaws.com/{}",
                self.account(second)?,
                self.set(first)?.role_name(second)
            ),
            "role" => {
                let path = &self.role(first, second)?.path;
                format!("arn:aws:iam::{}:role{path}{second}", self.account(first)?)
            }
            "user" => format!("arn:aws:iam::{}:user/{}", self.account(first)?, self.user(first, second)?.name),
            "root" => format!("arn:aws:iam::{}:root", self.account(first)?),
            _ => return Err(DemoError::unknown("principal", text)),
        })
    }
}
