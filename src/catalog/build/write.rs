//! Lays the merged facts out as columns.

use std::collections::BTreeMap;

use super::super::tables::{Interner, Tables};
use super::super::{LogClass, Need, Provenance};
use super::actions::{ActionTable, RiskTags};
use super::curated::Curated;
use super::operations::EventTable;
use super::{BuildError, ZSTD_LEVEL};

/// The weakest evidence among the events that surely exercise an action.
type Observability = BTreeMap<String, (LogClass, Provenance)>;

/// What unused rests on: an action is only as visible as the least visible of the calls that exercise it.
fn observability(events: &EventTable) -> Observability {
    let rank = |class: LogClass| match class {
        LogClass::Management => 0,
        LogClass::NetworkActivity => 1,
        LogClass::Data => 2,
        LogClass::NotLogged => 3,
        LogClass::PermissionOnly => 4,
    };
    let mut seen = Observability::new();
    for event in events.groups.iter().flat_map(|group| group.events.values()).filter(|event| event.known) {
        for action in &event.actions {
            // A call that asks for the action only in a variant still shows by its absence that the variant did not
            // happen, and so does the call of the action's own name. Other calls that sometimes need it do not count:
            // nobody lists them all.
            let own = action.action.rsplit(':').next().is_some_and(|name| name.eq_ignore_ascii_case(&event.name));
            if action.need == Need::Sometimes && !own {
                continue;
            }
            let known = seen.entry(action.action.clone()).or_insert((event.class, event.provenance));
            if (rank(event.class), event.provenance) > (rank(known.0), known.1) {
                *known = (event.class, event.provenance);
            }
        }
    }
    seen
}

/// The compressed catalogue, and its figures.
pub fn write(
    table: &ActionTable,
    risks: &RiskTags,
    events: &EventTable,
    curated: &Curated,
) -> Result<(Vec<u8>, Vec<String>), BuildError> {
    let mut interner = Interner::default();
    let mut tables = Tables::default();
    let ids = action_ids(table);
    let seen = observability(events);
    write_actions(&mut tables, &mut interner, table, risks, curated, &ids, &seen);
    write_events(&mut tables, &mut interner, events, &ids);
    let summary = vec![
        format!("services {}", tables.service_prefix_text.len()),
        format!("actions {}", tables.action_name_text.len()),
        format!("resource types {}", tables.type_name_text.len()),
        format!("event sources {}", tables.source_text.len()),
        format!("events {}", tables.event_name_text.len()),
        format!("actions seen in events {}", seen.len()),
    ];
    let (texts, lists) = interner.finish();
    (tables.texts, tables.lists) = (texts, lists);
    // The hash covers everything but the version itself, which is appended as the last text.
    let hash = blake3::hash(&tables.encode()).to_hex();
    let version = format!("{}-{}", table.date, hash.get(..12).unwrap_or_default());
    tables.version_text = vec![tables.texts.push(&version)];
    let compressed = zstd::bulk::compress(&tables.encode(), ZSTD_LEVEL).map_err(BuildError::Compress)?;
    Ok((compressed, summary))
}

fn action_ids(table: &ActionTable) -> BTreeMap<String, u32> {
    let names = table
        .services
        .iter()
        .flat_map(|(prefix, service)| service.actions.keys().map(move |name| format!("{prefix}:{name}")));
    names.zip(0u32..).collect()
}

fn write_actions(
    tables: &mut Tables,
    interner: &mut Interner,
    table: &ActionTable,
    risks: &RiskTags,
    curated: &Curated,
    ids: &BTreeMap<String, u32>,
    seen: &Observability,
) {
    for (prefix, service) in &table.services {
        tables.service_prefix_text.push(interner.text(prefix));
        tables.service_name_text.push(interner.text(&service.name));
        let home = curated.homes.get(prefix).map_or("", String::as_str);
        tables.service_home_text.push(interner.text(home));
        tables.service_first_action.push(tables.action_name_text.len() as u32);
        tables.service_first_type.push(tables.type_name_text.len() as u32);
        for (name, kind) in &service.types {
            tables.type_name_text.push(interner.text(name));
            tables.type_arns_list.push(interner.text_list(kind.arns.iter().map(String::as_str)));
            tables.type_conditions_list.push(interner.text_list(kind.conditions.iter().map(String::as_str)));
        }
        for (lower, action) in &service.actions {
            let full = format!("{prefix}:{lower}");
            tables.action_name_text.push(interner.text(&action.name));
            tables.action_access.push(action.access.code());
            let tags = risks.get(&full).into_iter().flatten().fold(0, |bits, risk| bits | risk.bit());
            tables.action_flags.push(tags);
            let (class, provenance) =
                seen.get(&full).copied().unwrap_or((LogClass::PermissionOnly, Provenance::Assumed));
            tables.action_class.push(class.code());
            tables.action_provenance.push(provenance.code());
            let types = service
                .types
                .keys()
                .zip(0u32..)
                .filter_map(|(name, at)| action.types.get(name).map(|required| at * 2 + u32::from(*required)));
            tables.action_types_list.push(interner.list(types.collect()));
            tables.action_conditions_list.push(interner.text_list(action.conditions.iter().map(String::as_str)));
            let dependents = action.dependents.iter().filter_map(|name| ids.get(name).copied()).collect();
            tables.action_dependents_list.push(interner.list(dependents));
        }
    }
    tables.service_first_action.push(tables.action_name_text.len() as u32);
    tables.service_first_type.push(tables.type_name_text.len() as u32);
}

fn write_events(tables: &mut Tables, interner: &mut Interner, events: &EventTable, ids: &BTreeMap<String, u32>) {
    let mut sources = BTreeMap::new();
    for (group, at) in events.groups.iter().zip(0u32..) {
        sources.extend(group.sources.iter().map(|source| (source.as_str(), at)));
        tables.group_suffix.push(group.suffix.code());
        tables.group_first_event.push(tables.event_name_text.len() as u32);
        for event in group.events.values() {
            tables.event_name_text.push(interner.text(&event.name));
            tables.event_reason_text.push(interner.text(&event.reason));
            tables.event_class.push(event.class.code());
            tables.event_provenance.push(event.provenance.code());
            let mut actions = Vec::new();
            for action in &event.actions {
                let need = u32::from(action.need == Need::Sometimes);
                let id = ids.get(&action.action).copied().unwrap_or(u32::MAX);
                actions.extend([id, need + 16 * u32::from(action.when.code()), interner.text(&action.on)]);
            }
            tables.event_actions_list.push(interner.list(actions));
            let mut roles = Vec::new();
            for (path, kind, need) in &event.roles {
                let need = u32::from(*need == Need::Sometimes);
                roles.extend([interner.text(path), u32::from(kind.code()), need]);
            }
            tables.event_roles_list.push(interner.list(roles));
        }
    }
    tables.group_first_event.push(tables.event_name_text.len() as u32);
    for (source, group) in sources {
        tables.source_text.push(interner.text(source));
        tables.source_group.push(group);
    }
}
