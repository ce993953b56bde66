//! The organisation: its tree, its policies and what they are attached to.

use aws_sdk_organizations::types::{self, PolicyType};
use serde_json::Value;

use super::access::{Access, pages};
use super::calls;
use super::failure::Failure;
use super::shape::{list, maybe, object, text, time};

/// Kinds of policies that bound what members may do.
const POLICY_TYPES: [PolicyType; 2] = [PolicyType::ServiceControlPolicy, PolicyType::ResourceControlPolicy];

/// An account of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub id: String,
    pub name: String,
    /// It is closed or about to be: nothing of it can be read.
    pub suspended: bool,
    /// From its organisational unit up to the root.
    pub parents: Vec<String>,
}

/// The organisation's tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub members: Vec<Member>,
    organization: Option<Value>,
    roots: Vec<types::Root>,
    units: Vec<Value>,
    accounts: Vec<Value>,
}

/// Reads which accounts there are, and where they stand.
pub(super) async fn tree(access: &Access) -> Result<Tree, Failure> {
    let client = access.organizations();
    let described = access.call(&calls::DESCRIBE_ORGANIZATION, || client.describe_organization().send()).await?;
    let roots = pages!(access, &calls::LIST_ROOTS, client.list_roots(), roots);
    let (mut units, mut accounts, mut members) = (Vec::new(), Vec::new(), Vec::new());
    let mut parents: Vec<Vec<String>> = roots.iter().filter_map(|root| Some(vec![root.id()?.to_owned()])).collect();
    while let Some(path) = parents.pop() {
        let Some(parent) = path.first() else { continue };
        let request = || client.list_organizational_units_for_parent().parent_id(parent);
        for unit in pages!(access, &calls::LIST_ORGANIZATIONAL_UNITS_FOR_PARENT, request(), organizational_units) {
            let Some(id) = unit.id().map(str::to_owned) else { continue };
            units.push(object([
                ("Id", text(&id)),
                ("Arn", maybe(unit.arn())),
                ("Name", maybe(unit.name())),
                ("ParentId", text(parent)),
            ]));
            parents.push(std::iter::once(id).chain(path.iter().cloned()).collect());
        }
        let request = || client.list_accounts_for_parent().parent_id(parent);
        for account in pages!(access, &calls::LIST_ACCOUNTS_FOR_PARENT, request(), accounts) {
            accounts.push(self::account(&account, parent));
            members.push(Member {
                id: account.id().unwrap_or_default().to_owned(),
                name: account.name().unwrap_or_default().to_owned(),
                suspended: is_suspended(&account),
                parents: path.clone(),
            });
        }
    }
    members.sort();
    let organization = described.organization().map(|organization| {
        object([
            ("Id", maybe(organization.id())),
            ("Arn", maybe(organization.arn())),
            ("MasterAccountId", maybe(organization.master_account_id())),
            ("FeatureSet", organization.feature_set().and_then(|set| text(set.as_str()))),
        ])
    });
    Ok(Tree { members, organization, roots, units, accounts })
}

/// The organisation as `jitscan ingest organization` takes it: its tree, its policies with what they are attached to, and
/// its delegated administrators.
pub(super) async fn organization(access: &Access, tree: Tree) -> Result<Value, Failure> {
    let policies = policies(access).await?;
    let administrators = administrators(access).await?;
    let root = |root: &types::Root| {
        object([("Id", maybe(root.id())), ("Arn", maybe(root.arn())), ("Name", maybe(root.name()))])
    };
    Ok(object([
        ("Organization", tree.organization),
        ("Roots", list(&tree.roots, root)),
        ("OrganizationalUnits", Some(Value::Array(tree.units))),
        ("Accounts", Some(Value::Array(tree.accounts))),
        ("Policies", Some(Value::Array(policies))),
        ("DelegatedAdministrators", Some(Value::Array(administrators))),
    ]))
}

async fn policies(access: &Access) -> Result<Vec<Value>, Failure> {
    let client = access.organizations();
    let mut policies = Vec::new();
    for kind in POLICY_TYPES {
        let request = || client.list_policies().filter(kind.clone());
        for summary in pages!(access, &calls::LIST_POLICIES, request(), policies) {
            let Some(id) = summary.id() else { continue };
            let policy = access.call(&calls::DESCRIBE_POLICY, || client.describe_policy().policy_id(id).send()).await?;
            let content = policy.policy().and_then(types::Policy::content);
            let request = || client.list_targets_for_policy().policy_id(id);
            let targets = pages!(access, &calls::LIST_TARGETS_FOR_POLICY, request(), targets);
            policies.push(object([
                ("Id", text(id)),
                ("Arn", maybe(summary.arn())),
                ("Name", maybe(summary.name())),
                ("Type", text(kind.as_str())),
                ("AwsManaged", Some(summary.aws_managed().into())),
                ("Content", maybe(content)),
                ("Targets", list(&targets, target)),
            ]));
        }
    }
    Ok(policies)
}

async fn administrators(access: &Access) -> Result<Vec<Value>, Failure> {
    let client = access.organizations();
    let request = || client.list_delegated_administrators();
    let found = pages!(access, &calls::LIST_DELEGATED_ADMINISTRATORS, request(), delegated_administrators);
    let administrator = |one: &types::DelegatedAdministrator| {
        object([
            ("Id", maybe(one.id())),
            ("Arn", maybe(one.arn())),
            ("DelegationEnabledDate", time(one.delegation_enabled_date())),
        ])
    };
    Ok(found.iter().map(administrator).collect())
}

fn target(target: &types::PolicyTargetSummary) -> Value {
    object([("TargetId", maybe(target.target_id())), ("Type", target.r#type().and_then(|kind| text(kind.as_str())))])
}

fn is_suspended(account: &types::Account) -> bool {
    let state = account.state().map(types::AccountState::as_str);
    state.or(account.status.as_ref().map(types::AccountStatus::as_str)).is_some_and(|state| state != "ACTIVE")
}

fn account(account: &types::Account, parent: &str) -> Value {
    object([
        ("Id", maybe(account.id())),
        ("Arn", maybe(account.arn())),
        ("Name", maybe(account.name())),
        ("Email", maybe(account.email())),
        // The older name of it, which some answers have alone.
        ("Status", account.status.as_ref().and_then(|status| text(status.as_str()))),
        ("State", account.state().and_then(|state| text(state.as_str()))),
        ("JoinedMethod", account.joined_method().and_then(|method| text(method.as_str()))),
        ("JoinedTimestamp", time(account.joined_timestamp())),
        ("ParentId", text(parent)),
    ])
}
