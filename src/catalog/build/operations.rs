//! From API operations to events and the actions that they exercise.
//!
//! An operation exercises what is curated for it; else the action of the same name in the prefixes of its
//! service, where the action table has one; else what the 2022 map says, as far as the table has it; else it is
//! listed as unmapped. Nothing is derived from the spelling of a name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;

use super::super::event::{RoleKind, Suffix, When};
use super::super::{AccessLevel, LogClass, Need, Provenance};
use super::actions::ActionTable;
use super::curated::{ActionToken, Curated, CuratedMapping};
use super::{BuildError, Disagreement, Sources, gunzip};

/// An event as derived.
#[derive(Clone, Debug)]
pub struct EventFacts {
    /// Its name in the case of the API.
    pub name: String,
    /// Actions, lower-case full names.
    pub actions: Vec<ActionToken>,
    /// Why there is none.
    pub reason: String,
    /// How CloudTrail records it.
    pub class: LogClass,
    /// How that is known.
    pub provenance: Provenance,
    /// From where the mapping is: `same name`, `public map`, `curated`, `action name`.
    pub origin: &'static str,
    /// Whether such calls are known to be recorded: an API operation, a curated line, or seen in real logs. Without
    /// that, the event shows a use where it occurs, but its absence shows nothing.
    pub known: bool,
    /// Where roles are passed: path (empty: any), kind, need.
    pub roles: Vec<(String, RoleKind, Need)>,
}

impl EventFacts {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            actions: Vec::new(),
            reason: String::new(),
            class: LogClass::Management,
            provenance: Provenance::Assumed,
            origin: "",
            known: true,
            roles: Vec::new(),
        }
    }

    fn is_mapped(&self) -> bool {
        !self.actions.is_empty() || !self.reason.is_empty()
    }
}

/// Events that share their sources.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    /// Event sources without their domain, sorted.
    pub sources: BTreeSet<String>,
    /// Version suffixes of the names.
    pub suffix: Suffix,
    /// IAM prefixes of its services, in order.
    pub prefixes: Vec<String>,
    /// Events by lower-case name.
    pub events: BTreeMap<String, EventFacts>,
}

/// All events.
#[derive(Clone, Debug, Default)]
pub struct EventTable {
    /// Groups, by their first source.
    pub groups: Vec<GroupFacts>,
    /// Operations without a known action: (first source, name).
    pub unmapped: BTreeSet<(String, String)>,
}

impl EventTable {
    /// Every event, a line each, for people who review or compare builds.
    pub fn listing(&self) -> String {
        let mut out = String::from("# source\tevent\tactions\tclass\tprovenance\torigin\troles\n");
        for group in &self.groups {
            let source = group.sources.iter().cloned().collect::<Vec<_>>().join(",");
            for event in group.events.values() {
                let actions: Vec<String> = event.actions.iter().map(ActionToken::to_string).collect();
                let actions =
                    if event.reason.is_empty() { actions.join(" ") } else { format!("none: {}", event.reason) };
                let roles: Vec<String> =
                    event.roles.iter().map(|(path, kind, _)| format!("{path}={}", kind.as_str())).collect();
                let (class, provenance) = (event.class.as_str(), event.provenance.as_str());
                let (name, origin, roles) = (&event.name, event.origin, roles.join(" "));
                let _ = writeln!(out, "{source}\t{name}\t{actions}\t{class}\t{provenance}\t{origin}\t{roles}");
            }
        }
        out
    }

    /// The unmapped operations by source.
    pub fn unmapped_by_source(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (source, name) in &self.unmapped {
            by_source.entry(source).or_default().push(name);
        }
        by_source
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiService {
    service: String,
    endpoint_prefix: String,
    signing_name: Option<String>,
    service_id: String,
    operations: Vec<String>,
}

#[derive(Deserialize)]
struct SdkMap {
    sdk_permissionless_actions: Vec<String>,
    sdk_method_iam_mappings: BTreeMap<String, Vec<SdkAction>>,
    sdk_service_mappings: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
struct SdkAction {
    /// Null in the older map where nothing is needed or known.
    action: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Renames {
    rename_services_operation_action_map: BTreeMap<String, String>,
    rename_services_service_reference: BTreeMap<String, String>,
}

/// What is needed to derive the events of a service.
struct Maps {
    newest: SdkMap,
    older: SdkMap,
    renames: Renames,
    /// Service names of the map, reduced to lower-case letters and digits, and as they are written there.
    sdk_names: BTreeMap<String, BTreeSet<String>>,
}

fn json<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, BuildError> {
    serde_json::from_slice(bytes).map_err(|source| BuildError::Json { file: name.to_owned(), source })
}

fn squeezed(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl Maps {
    fn read(sources: &Sources) -> Result<Self, BuildError> {
        let newest: SdkMap = json("iann0036_map_2022", &gunzip("iann0036_map_2022", &sources.sdk_map)?)?;
        let older: SdkMap = json("iamfast-python_mappings", &sources.iamfast)?;
        let mut sdk_names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for method in newest.sdk_method_iam_mappings.keys().chain(older.sdk_method_iam_mappings.keys()) {
            if let Some((service, _)) = method.split_once('.') {
                sdk_names.entry(squeezed(service)).or_default().insert(service.to_owned());
            }
        }
        Ok(Self { newest, older, renames: json("service-configuration.json", &sources.renames)?, sdk_names })
    }

    /// IAM prefixes in which actions of the service are looked for, in order.
    fn prefixes(&self, service: &ApiService, table: &ActionTable, curated: &Curated) -> Vec<String> {
        if let Some(row) = curated.services.get(&service.service)
            && !row.prefixes.is_empty()
        {
            return row.prefixes.clone();
        }
        let renames =
            [&self.renames.rename_services_operation_action_map, &self.renames.rename_services_service_reference];
        let renamed = renames.into_iter().filter_map(|map| map.get(&service.service).map(String::as_str));
        let sdk = self.newest.sdk_service_mappings.get(&service.service_id).and_then(Option::as_deref);
        let own = [service.signing_name.as_deref(), Some(&service.endpoint_prefix), Some(&service.service), sdk];
        let mut prefixes: Vec<String> = Vec::new();
        for prefix in renamed.chain(own.into_iter().flatten()) {
            if table.services.contains_key(prefix) && !prefixes.iter().any(|known| known == prefix) {
                prefixes.push(prefix.to_owned());
            }
        }
        prefixes
    }

    /// What the public maps say of an operation: the newer map, else the older.
    fn mapped(&self, service: &ApiService, curated: &Curated, operation: &str) -> Vec<String> {
        let names = match curated.services.get(&service.service).and_then(|row| row.sdk.as_ref()) {
            Some(sdk) => vec![sdk.clone()],
            None => self.sdk_names.get(&squeezed(&service.service_id)).into_iter().flatten().cloned().collect(),
        };
        for map in [&self.newest, &self.older] {
            for name in &names {
                if let Some(actions) = map.sdk_method_iam_mappings.get(&format!("{name}.{operation}")) {
                    return actions.iter().filter_map(|action| action.action.clone()).collect();
                }
            }
        }
        Vec::new()
    }

    fn permissionless(&self) -> BTreeSet<String> {
        let all = self.newest.sdk_permissionless_actions.iter().chain(&self.older.sdk_permissionless_actions);
        all.map(|method| squeezed(method)).collect()
    }
}

/// Derives every event.
pub fn derive(
    table: &ActionTable,
    sources: &Sources,
    curated: &Curated,
    out: &mut Vec<Disagreement>,
) -> Result<EventTable, BuildError> {
    let maps = Maps::read(sources)?;
    let services: Vec<ApiService> = json("botocore", &gunzip("botocore", &sources.botocore)?)?;
    let mut groups = group(&services, table, curated);
    let permissionless = maps.permissionless();
    for service in &services {
        let Some(group) = groups.iter_mut().find(|group| group.sources.contains(&service.endpoint_prefix)) else {
            continue;
        };
        let prefixes = maps.prefixes(service, table, curated);
        group.prefixes.extend(prefixes.iter().cloned());
        for operation in &service.operations {
            let derived = derive_one(service, operation, &prefixes, table, &maps, curated, &permissionless, out);
            add(group, derived, out);
        }
    }
    curated_events(&mut groups, table, curated)?;
    events_named_like_actions(&mut groups, table);
    may_tag(&mut groups, table);
    super::logging::classify(&mut groups, curated, sources, out)?;
    passed_roles(&mut groups, table, curated)?;
    let mut events = EventTable { groups, unmapped: BTreeSet::new() };
    for group in &mut events.groups {
        let first = group.sources.first().cloned().unwrap_or_default();
        group.events.retain(|_, event| {
            if !event.is_mapped() {
                events.unmapped.insert((first.clone(), event.name.clone()));
            }
            event.is_mapped()
        });
    }
    Ok(events)
}

/// The services, put together where they share an event source.
fn group(services: &[ApiService], table: &ActionTable, curated: &Curated) -> Vec<GroupFacts> {
    let mut sets: Vec<BTreeSet<String>> = Vec::new();
    let mut join = |names: BTreeSet<String>| {
        let (touching, mut rest): (Vec<_>, Vec<_>) = sets.drain(..).partition(|set| !set.is_disjoint(&names));
        rest.push(touching.into_iter().fold(names, |all, set| &all | &set));
        sets = rest;
    };
    for service in services {
        let names = [Some(&service.endpoint_prefix), service.signing_name.as_ref()];
        join(names.into_iter().flatten().map(|name| name.to_ascii_lowercase()).collect());
    }
    for prefix in table.services.keys() {
        join(BTreeSet::from([prefix.clone()]));
    }
    for row in &curated.events {
        join(BTreeSet::from([row.source.clone()]));
    }
    for (source, row) in &curated.sources {
        join([Some(source), row.same_as.as_ref()].into_iter().flatten().cloned().collect());
    }
    sets.sort();
    sets.into_iter()
        .map(|sources| {
            let suffix = sources.iter().filter_map(|source| curated.sources.get(source)).map(|row| row.suffix).max();
            let suffix = suffix.unwrap_or(Suffix::None);
            GroupFacts { sources, suffix, prefixes: Vec::new(), events: BTreeMap::new() }
        })
        .collect()
}

fn always(action: &str) -> ActionToken {
    ActionToken { action: action.to_ascii_lowercase(), need: Need::Always, when: When::Any, on: String::new() }
}

#[expect(clippy::too_many_arguments, reason = "one call site; a struct of borrowed tables would only rename them")]
fn derive_one(
    service: &ApiService,
    operation: &str,
    prefixes: &[String],
    table: &ActionTable,
    maps: &Maps,
    curated: &Curated,
    permissionless: &BTreeSet<String>,
    out: &mut Vec<Disagreement>,
) -> EventFacts {
    let mut event = EventFacts::new(operation);
    if permissionless.contains(&squeezed(&format!("{}{operation}", service.service_id))) {
        "permissionless call".clone_into(&mut event.reason);
        return event;
    }
    let said = maps.mapped(service, curated, operation);
    let own = |name: &str| name.split_once(':').is_some_and(|(prefix, _)| prefixes.iter().any(|own| own == prefix));
    let mut known = Vec::new();
    for name in said {
        let kept = match table.find(&name) {
            Some(_) if own(&name) => {
                known.push(name);
                continue;
            }
            Some(_) => "another service's action",
            None => "unknown action",
        };
        let subject = format!("{}.{operation}", service.service_id);
        if kept == "unknown action" || known.is_empty() {
            out.push(Disagreement::new("mapping", &subject, kept, "public maps", &name));
        }
    }
    let same_name =
        prefixes.iter().map(|prefix| format!("{prefix}:{operation}")).find(|name| table.find(name).is_some());
    event.origin = if same_name.is_some() { "same name" } else { "public map" };
    if let Some(name) = &same_name {
        event.actions.push(always(name));
    }
    // The first action of a public map is usually the primary one, the others depend on the request. Where the
    // table has an action of the operation's name, the map adds nothing that AWS's dependent actions do not say.
    for name in known.iter().filter(|_| same_name.is_none()) {
        let mut action = always(name);
        if !event.actions.is_empty() {
            action.need = Need::Sometimes;
        }
        event.actions.push(action);
    }
    add_dependents(&mut event, table);
    event
}

/// Adds what the actions of the event may need in addition. PassRole depends on the request and is not added here.
fn add_dependents(event: &mut EventFacts, table: &ActionTable) {
    let mut more = BTreeSet::new();
    for action in &event.actions {
        if action.need == Need::Always
            && let Some((_, facts)) = table.find(&action.action)
        {
            more.extend(facts.dependents.iter().cloned());
        }
    }
    for name in more {
        if name != "iam:passrole" && !event.actions.iter().any(|action| action.action == name) {
            let own = event.actions.first().and_then(|first| table.find(&first.action)).map(|(prefix, _)| prefix);
            let tags = table
                .find(&name)
                .is_some_and(|(prefix, facts)| facts.access == AccessLevel::Tagging && own == Some(prefix));
            event.actions.push(match tags {
                // Tag-on-create: the service's own tagging action is asked exactly where the request sets tags.
                true => ActionToken { when: When::Tags, ..always(&name) },
                false => ActionToken { need: Need::Sometimes, ..always(&name) },
            });
        }
    }
}

/// Adds, for every action of a service that has no event of its name, an event of that name: calls of consoles and
/// agents are recorded like that. Their absence shows nothing, because no API model says that they exist.
fn events_named_like_actions(groups: &mut [GroupFacts], table: &ActionTable) {
    for group in groups {
        let of_sources = group.sources.iter().filter(|source| table.services.contains_key(*source)).cloned();
        let prefixes: Vec<String> = group.prefixes.iter().cloned().chain(of_sources).collect();
        for prefix in prefixes {
            let Some(service) = table.services.get(&prefix) else { continue };
            for (lower, action) in &service.actions {
                let full = format!("{prefix}:{lower}");
                let event = group.events.entry(lower.clone()).or_insert_with(|| EventFacts::new(&action.name));
                if !event.is_mapped() {
                    event.actions.push(always(&full));
                    (event.origin, event.known) = ("action name", false);
                }
            }
        }
    }
}

/// Where an action takes tags in its request and AWS names no dependent action, setting them may need the
/// service's tagging action.
fn may_tag(groups: &mut [GroupFacts], table: &ActionTable) {
    for event in groups.iter_mut().flat_map(|group| group.events.values_mut()) {
        let Some(first) = event.actions.first() else { continue };
        let Some((prefix, facts)) = table.find(&first.action) else { continue };
        let takes_tags = facts.conditions.iter().any(|key| key.starts_with("aws:RequestTag/"));
        let tagging = format!("{prefix}:tagresource");
        let named = event.actions.iter().any(|action| action.when == When::Tags || action.action == tagging);
        if takes_tags && !named && facts.access != AccessLevel::Tagging && table.find(&tagging).is_some() {
            event.actions.push(ActionToken { need: Need::Sometimes, when: When::Tags, ..always(&tagging) });
        }
    }
}

/// Adds an event to its group. Where two services of a group disagree about a name, neither is sure.
fn add(group: &mut GroupFacts, event: EventFacts, out: &mut Vec<Disagreement>) {
    let lower = event.name.to_ascii_lowercase();
    let Some(known) = group.events.get_mut(&lower) else {
        group.events.insert(lower, event);
        return;
    };
    if !event.is_mapped() || (known.actions == event.actions && known.reason == event.reason) {
        return;
    }
    if !known.is_mapped() {
        *known = event;
        return;
    }
    let sure = |facts: &EventFacts| -> BTreeSet<String> {
        facts.actions.iter().filter(|a| a.need == Need::Always).map(|a| a.action.clone()).collect()
    };
    let (before, now) = (sure(known), sure(&event));
    if before != now {
        let subject = format!("{} {}", group.sources.first().map_or("", String::as_str), event.name);
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        out.push(Disagreement::new("mapping", &subject, &list(&before), "another API of the same source", &list(&now)));
    }
    for action in event.actions {
        if !known.actions.iter().any(|have| have.action == action.action) {
            known.actions.push(action);
        }
    }
    for action in &mut known.actions {
        if !(before.contains(&action.action) && now.contains(&action.action)) {
            action.need = Need::Sometimes;
        }
    }
}

/// Lets the curated mappings win. All errors are collected, so that one build shows them all.
fn curated_events(groups: &mut [GroupFacts], table: &ActionTable, curated: &Curated) -> Result<(), BuildError> {
    let mut unknown = Vec::new();
    for row in &curated.events {
        let Some(group) = groups.iter_mut().find(|group| group.sources.contains(&row.source)) else { continue };
        let lower = row.name.to_ascii_lowercase();
        let event = group.events.entry(lower).or_insert_with(|| EventFacts::new(&row.name));
        event.origin = "curated";
        event.known = true;
        let tokens = match &row.mapping {
            CuratedMapping::None(reason) => {
                event.actions.clear();
                event.reason.clone_from(reason);
                continue;
            }
            CuratedMapping::Actions(tokens) => {
                event.actions.clear();
                tokens
            }
            CuratedMapping::Add(tokens) => {
                event.actions.retain(|have| !tokens.iter().any(|t| t.action.eq_ignore_ascii_case(&have.action)));
                tokens
            }
        };
        event.reason.clear();
        for token in tokens {
            if table.find(&token.action).is_none() {
                unknown.push(format!("{} (events.tsv line {})", token.action, row.line));
            }
            let action = token.action.to_ascii_lowercase();
            event.actions.push(ActionToken { action, ..token.clone() });
        }
    }
    for action in groups.iter().flat_map(|group| group.events.values()).flat_map(|event| &event.actions) {
        if table.find(&action.action).is_none() {
            unknown.push(action.action.clone());
        }
    }
    unknown.sort();
    unknown.dedup();
    if unknown.is_empty() { Ok(()) } else { Err(BuildError::UnknownActions(unknown)) }
}

/// Where requests pass roles: what is curated; for other actions that AWS lists as depending on PassRole, any role
/// in the request may be one.
fn passed_roles(groups: &mut [GroupFacts], table: &ActionTable, curated: &Curated) -> Result<(), BuildError> {
    for row in &curated.roles {
        let event = groups
            .iter_mut()
            .find(|group| group.sources.contains(&row.source))
            .and_then(|group| group.events.get_mut(&row.name.to_ascii_lowercase()));
        let Some(event) = event else {
            let reason = format!("roles.tsv names {} {}, which is no known event", row.source, row.name);
            return Err(BuildError::Source { file: "roles.tsv".to_owned(), reason });
        };
        event.roles.push((row.path.clone(), row.kind, row.need));
    }
    for event in groups.iter_mut().flat_map(|group| group.events.values_mut()) {
        let passes = event.actions.iter().any(|action| {
            table.find(&action.action).is_some_and(|(_, facts)| facts.dependents.contains("iam:passrole"))
        });
        if passes {
            event.roles.push((String::new(), RoleKind::Role, Need::Sometimes));
        }
        event.roles.sort();
        event.roles.dedup();
    }
    Ok(())
}
