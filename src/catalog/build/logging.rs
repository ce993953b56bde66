//! How CloudTrail records events: curated classes, then what real logs showed, else assumed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::event::Suffix;
use super::super::{LogClass, Provenance};
use super::curated::Curated;
use super::operations::GroupFacts;
use super::{BuildError, Disagreement, Sources};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_source: Option<String>,
    event_name: Option<String>,
    event_category: Option<String>,
    management_event: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Records {
    Wrapped {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    Bare(Vec<Record>),
}

/// The classes of the (source, name) pairs in real logs; nothing else of the logs is kept.
fn observed(sources: &Sources) -> Result<BTreeMap<(String, String), LogClass>, BuildError> {
    let mut pairs = BTreeMap::new();
    for file in &sources.observed {
        let records: Records = serde_json::from_slice(file)
            .map_err(|source| BuildError::Json { file: "observed records".to_owned(), source })?;
        let records = match records {
            Records::Wrapped { records } | Records::Bare(records) => records,
        };
        for record in records {
            let (Some(source), Some(name)) = (record.event_source, record.event_name) else { continue };
            let class = match (record.event_category.as_deref(), record.management_event) {
                (Some("Data"), _) | (None, Some(false)) => LogClass::Data,
                (Some("NetworkActivity"), _) => LogClass::NetworkActivity,
                _ => LogClass::Management,
            };
            let short = source.strip_suffix(".amazonaws.com").unwrap_or(&source).to_owned();
            pairs.insert((short, name.to_ascii_lowercase()), class);
        }
    }
    Ok(pairs)
}

/// Gives every event its class and how that is known.
pub fn classify(
    groups: &mut [GroupFacts],
    curated: &Curated,
    sources: &Sources,
    out: &mut Vec<Disagreement>,
) -> Result<(), BuildError> {
    for ((source, name), class) in observed(sources)? {
        let Some(group) = groups.iter_mut().find(|group| group.sources.contains(&source)) else { continue };
        let suffix: Suffix = group.suffix;
        let key = if group.events.contains_key(&name) { Some(name.as_str()) } else { suffix.strip(&name) };
        if let Some(event) = key.and_then(|key| group.events.get_mut(key)) {
            event.class = class;
            event.provenance = Provenance::Observed;
            event.known = true;
        }
    }
    let mut unknown = Vec::new();
    for row in &curated.classes {
        let Some(group) = groups.iter_mut().find(|group| group.sources.contains(&row.source)) else {
            unknown.push(format!("{} (classes.tsv line {})", row.source, row.line));
            continue;
        };
        let names: Vec<String> = if row.names.is_empty() {
            group.events.keys().cloned().collect()
        } else {
            row.names.iter().map(|name| name.to_ascii_lowercase()).collect()
        };
        for name in names {
            let Some(event) = group.events.get_mut(&name) else {
                unknown.push(format!("{} {name} (classes.tsv line {})", row.source, row.line));
                continue;
            };
            event.known |= !row.names.is_empty();
            if event.provenance == Provenance::Observed && event.class != row.class {
                let subject = format!("{} {}", row.source, event.name);
                out.push(Disagreement::new("class", &subject, row.class.as_str(), "observed", event.class.as_str()));
            }
            event.class = row.class;
            event.provenance = row.provenance;
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(BuildError::UnknownEvents(unknown)) }
}
