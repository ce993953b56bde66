//! The organisation: accounts, the tree above them, and the policies attached to its nodes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries::parse;
use super::text::{self, document};
use super::{CollectError, FileKind, unusable};
use crate::model::arn::AccountId;
use crate::model::defect::{Defect, Parsed, Place};
use crate::model::snapshot::{Organization, OrganizationAccount, OrganizationPolicy};
use crate::model::time::Timestamp;

/// Deepest tree that is followed; AWS allows five levels of OUs below a root.
const MAX_DEPTH: usize = 16;

/// Reads the organisation from one JSON object that gathers the answers of AWS Organizations:
/// `Organization` (`Id`, `MasterAccountId`), `Roots`, `OrganizationalUnits` (with `ParentId`), `Accounts` (with
/// `ParentId`), and `Policies` (`Id`, `Name`, `Type`, `Content` as object or string, `Targets`).
///
/// An account whose chain of parents does not reach a root is kept with the parents that are known, and is a
/// defect: what binds it cannot be decided.
///
/// # Errors
/// Fails where the file is not text, is of another kind, or lacks `Organization`.
pub fn organization(bytes: &[u8], file: &str, captured_at: Timestamp) -> Result<Parsed<Organization>, CollectError> {
    const WANTED: FileKind = FileKind::Organization;
    let decoded = text::decode(bytes, file)?;
    let raw: Raw<'_> =
        serde_json::from_str(&decoded).map_err(|error| unusable(bytes, file, WANTED, error.to_string()))?;
    let mut defects = Vec::new();
    let mut defect = |path: String, reason: String| defects.push(Defect { place: Place::path(file, path), reason });

    let mut parents: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (at, root) in raw.roots.iter().flatten().enumerate() {
        match parse::<RawNode>(root) {
            Ok(root) => drop(parents.insert(root.id, None)),
            Err(reason) => defect(format!("Roots[{at}]"), reason),
        }
    }
    for (at, unit) in raw.organizational_units.iter().flatten().enumerate() {
        match parse::<RawNode>(unit) {
            Ok(RawNode { id, parent_id: Some(parent) }) => drop(parents.insert(id, Some(parent))),
            Ok(RawNode { id, .. }) => defect(format!("OrganizationalUnits[{at}]"), format!("`{id}` has no ParentId")),
            Err(reason) => defect(format!("OrganizationalUnits[{at}]"), reason),
        }
    }
    let mut accounts = Vec::new();
    for (at, account) in raw.accounts.iter().flatten().enumerate() {
        match parse::<RawAccount>(account) {
            Ok(account) => {
                let (chain, reaches_root) = chain(account.parent_id, &parents);
                if !reaches_root {
                    let reason = format!(
                        "the parents of account {} do not lead to a root; expected a chain of ParentId through \
                         OrganizationalUnits to Roots",
                        account.id
                    );
                    defect(format!("Accounts[{at}]"), reason);
                }
                accounts.push(OrganizationAccount {
                    id: account.id,
                    name: account.name.unwrap_or_default(),
                    parents: chain,
                });
            }
            Err(reason) => defect(format!("Accounts[{at}]"), reason),
        }
    }
    let mut policies = Vec::new();
    for (at, policy) in raw.policies.iter().flatten().enumerate() {
        match parse::<RawPolicy<'_>>(policy) {
            Ok(policy) => policies.push(policy.into_model()),
            Err(reason) => defect(format!("Policies[{at}]"), reason),
        }
    }
    accounts.sort_by_key(|account| account.id);
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    let Root { id, master_account_id } = raw.organization;
    let value = Organization { id, management_account: master_account_id, captured_at, accounts, policies };
    Ok(Parsed { value, defects })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    organization: Root,
    #[serde(borrow)]
    roots: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    organizational_units: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    accounts: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    policies: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    id: String,
    #[serde(alias = "ManagementAccountId")]
    master_account_id: AccountId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawNode {
    id: String,
    parent_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAccount {
    id: AccountId,
    name: Option<String>,
    parent_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTarget {
    target_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPolicy<'a> {
    id: String,
    name: Option<String>,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    targets: Option<Vec<RawTarget>>,
}

impl RawPolicy<'_> {
    /// A policy without content keeps an empty text, so that what it binds stays undecided.
    fn into_model(self) -> OrganizationPolicy {
        let mut targets: Vec<String> =
            self.targets.unwrap_or_default().into_iter().map(|target| target.target_id).collect();
        targets.sort();
        targets.dedup();
        OrganizationPolicy {
            id: self.id,
            name: self.name.unwrap_or_default(),
            kind: self.kind,
            json: self.content.map(document).unwrap_or_default(),
            targets,
        }
    }
}

/// The parents from the root down, and whether the chain is whole.
fn chain(direct: Option<String>, parents: &BTreeMap<String, Option<String>>) -> (Vec<String>, bool) {
    let mut up = Vec::new();
    let mut next = direct;
    let mut whole = false;
    while let Some(id) = next {
        if up.len() >= MAX_DEPTH {
            break;
        }
        next = match parents.get(&id) {
            None => None,
            Some(None) => {
                whole = true;
                None
            }
            Some(Some(parent)) => Some(parent.clone()),
        };
        up.push(id);
    }
    up.reverse();
    (up, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "Organization": {"Id": "o-1", "MasterAccountId": "111111111111", "FeatureSet": "ALL"},
        "Roots": [{"Id": "r-1", "Name": "Root"}],
        "OrganizationalUnits": [{"Id": "ou-b", "Name": "B", "ParentId": "ou-a"}, {"Id": "ou-a", "ParentId": "r-1"},
            {"Id": "ou-x", "ParentId": "ou-y"}, {"Id": "ou-y", "ParentId": "ou-x"}],
        "Accounts": [{"Id": "222222222222", "Name": "two", "Email": "e", "Status": "ACTIVE", "ParentId": "ou-b"},
            {"Id": "111111111111", "Name": "one", "ParentId": "r-1"}, {"Id": "333333333333", "ParentId": "ou-x"},
            {"Id": "12"}],
        "Policies": [{"Id": "p-2", "Name": "deny", "Type": "SERVICE_CONTROL_POLICY", "Content": "{\"Version\":\"2012-10-17\"}",
            "Targets": [{"TargetId": "ou-b", "Type": "ORGANIZATIONAL_UNIT"}]},
            {"Id": "p-1", "Name": "o", "Type": "SERVICE_CONTROL_POLICY", "Content": {"a": 1}}]
    }"#;

    #[test]
    fn tree_and_policies() {
        let Parsed { value, defects } = organization(TEXT.as_bytes(), "o.json", Timestamp::default()).unwrap();
        assert_eq!(value.management_account.to_string(), "111111111111");
        assert_eq!(value.accounts[0].parents, ["r-1"]);
        assert_eq!(value.accounts[1].parents, ["r-1", "ou-a", "ou-b"]);
        assert_eq!(value.policies[0].json, r#"{"a": 1}"#);
        assert_eq!(value.policies[1].json, r#"{"Version":"2012-10-17"}"#);
        assert_eq!(value.policies[1].targets, ["ou-b"]);
        let places: Vec<String> = defects.iter().map(|defect| defect.place.to_string()).collect();
        assert_eq!(places, ["o.json at Accounts[2]", "o.json at Accounts[3]"], "a cycle, and a bad id");
        assert_eq!(value.accounts.len(), 3);
    }

    #[test]
    fn wrong_files() {
        let error = organization(br#"{"AccountAssignments":[]}"#, "f", Timestamp::default()).unwrap_err().to_string();
        assert!(error.contains("use `jitscan ingest identity-center`"), "{error}");
        let error = organization(br#"{"Accounts":[]}"#, "f", Timestamp::default()).unwrap_err().to_string();
        assert!(error.contains("missing field `Organization`"), "{error}");
    }
}
