//! From a recorded call to the actions that it exercised.

use super::types::coded;
use super::{ActionId, Catalog, LogClass, Provenance, byte, compare_ignoring_case, number, search};
use crate::model::event::CallVariant;

/// Whether a successful call surely exercised an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A successful call needs it: the call proves that it was used.
    Always,
    /// Some calls need it, and the record does not show which: the call proves nothing, but blocks "unused".
    Sometimes,
}

coded! {
    /// On which calls of an event a mapping holds.
    When {
        /// On all.
        Any = "",
        /// Where the request names an object version.
        VersionId = "version",
        /// Where it does not.
        NoVersionId = "no_version",
        /// Where the request sets tags on what it creates.
        Tags = "tags",
    }
}

impl When {
    const fn holds(self, variant: &CallVariant) -> bool {
        match self {
            Self::Any => true,
            Self::VersionId => variant.version_id,
            Self::NoVersionId => !variant.version_id,
            Self::Tags => variant.tags,
        }
    }
}

coded! {
    /// What a request parameter that passes a role holds.
    RoleKind {
        /// The ARN or the name of a role.
        Role = "role",
        /// The ARN or the name of an instance profile, which stands for its role.
        InstanceProfile = "instance_profile",
    }
}

coded! {
    /// Version suffixes that the event names of a source may carry, as AWS writes them.
    Suffix {
        /// None.
        None = "none",
        /// `20150331`, `20150331v2` (Lambda).
        Compact = "compact",
        /// `2020_05_31` (CloudFront).
        Underscored = "underscored",
    }
}

impl Suffix {
    /// The name without such a suffix, where it has one.
    pub(crate) fn strip(self, name: &str) -> Option<&str> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let split = |len: usize| name.len().checked_sub(len).and_then(|at| name.split_at_checked(at));
        match self {
            Self::None => None,
            Self::Compact => {
                let plain = split(8).filter(|(_, date)| digits(date)).map(|(head, _)| head);
                plain.or_else(|| {
                    let (head, date) = split(10)?;
                    let (day, version) = date.split_at_checked(8)?;
                    let revision = version.strip_prefix('v')?;
                    (digits(day) && digits(revision)).then_some(head)
                })
            }
            Self::Underscored => {
                let (head, date) = split(10)?;
                let mut parts = date.split('_');
                let lengths = [4, 2, 2];
                let fits = lengths.iter().all(|len| parts.next().is_some_and(|p| p.len() == *len && digits(p)));
                (fits && parts.next().is_none()).then(|| head.trim_end_matches('_'))
            }
        }
        .filter(|head| !head.is_empty())
    }
}

/// On what a call exercised an action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallResource<'a> {
    /// On the resources that the record names.
    Main,
    /// On one of them only, or on one that the record names elsewhere: `source` and `destination` of a copy,
    /// `secret` of a batch, ….
    Named(&'a str),
    /// On a role that the request passes to a service.
    Role {
        /// As the request names it: an ARN or a bare name.
        value: &'a str,
        /// A role, or an instance profile that stands for one.
        kind: RoleKind,
    },
}

/// An action that a call exercised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappedAction<'a> {
    /// The action.
    pub id: ActionId,
    /// Surely or not.
    pub need: Need,
    /// On what.
    pub on: CallResource<'a>,
}

/// An action of an event, with the calls on which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventFact<'a> {
    /// The action.
    pub id: ActionId,
    /// Surely or not, on those calls.
    pub need: Need,
    /// On which calls.
    pub when: When,
    /// On what; empty for the resources that the record names.
    pub on: &'a str,
}

/// A request parameter in which an event passes a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedRole<'a> {
    /// Lower-case dotted path without list indices; empty for any role in the request.
    pub path: &'a str,
    /// What stands there.
    pub kind: RoleKind,
    /// Surely passed or not.
    pub need: Need,
}

/// All that the catalogue knows of an event, whatever the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFacts<'a> {
    /// Actions; what the call is named for comes first.
    pub actions: Vec<EventFact<'a>>,
    /// Where roles are passed.
    pub roles: Vec<PassedRole<'a>>,
    /// Why the event exercises no action; empty where it does.
    pub reason: &'a str,
    /// How CloudTrail records it.
    pub class: LogClass,
    /// How that is known.
    pub provenance: Provenance,
}

/// What an event exercises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped<'a> {
    /// These actions, in the catalogue's order of importance: what the call is named for comes first.
    Actions(Vec<MappedAction<'a>>),
    /// No action, and this is known.
    None {
        /// Why, such as `permissionless call` or `service event`.
        reason: &'a str,
    },
    /// The catalogue does not know the event.
    Unmapped,
}

/// All that the catalogue knows of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMapping<'a> {
    /// What it exercises.
    pub mapped: Mapped<'a>,
    /// How CloudTrail records it; [`LogClass::Management`] for unmapped events.
    pub class: LogClass,
    /// How that is known.
    pub provenance: Provenance,
}

impl EventMapping<'_> {
    /// The actions that a successful call surely exercised.
    pub fn certain(&self) -> impl Iterator<Item = &MappedAction<'_>> {
        self.actions().iter().filter(|action| action.need == Need::Always)
    }

    /// Every action of the mapping; none for documented none and for unmapped events.
    #[must_use]
    pub fn actions(&self) -> &[MappedAction<'_>] {
        match &self.mapped {
            Mapped::Actions(actions) => actions,
            Mapped::None { .. } | Mapped::Unmapped => &[],
        }
    }
}

/// Ends of event sources in the partitions; what stands before them names the service.
/// Source: CloudTrail record contents, `eventSource`.
const SOURCE_ENDS: [&str; 4] = [".amazonaws.com.cn", ".amazonaws.com", ".amazonaws.cn", ".amazonaws.eu"];

/// A role of this path belongs to a service; creating or passing it needs no `iam:PassRole`.
/// Source: "Using service-linked roles", AWS IAM User Guide.
const SERVICE_LINKED_PATH: &str = ":role/aws-service-role/";

impl Catalog {
    /// The number of the event, whatever suffix its name carries.
    fn event_index(&self, source: &str, name: &str) -> Option<usize> {
        let tables = &self.tables;
        let short = SOURCE_ENDS.iter().find_map(|end| source.strip_suffix(end)).unwrap_or(source);
        let at = search(tables.source_text.len(), |at| {
            compare_ignoring_case(tables.texts.get(number(&tables.source_text, at)), short)
        })?;
        let group = number(&tables.source_group, at) as usize;
        let first = number(&tables.group_first_event, group) as usize;
        let count = (number(&tables.group_first_event, group + 1) as usize).checked_sub(first)?;
        let find = |wanted: &str| {
            search(count, |at| {
                compare_ignoring_case(tables.texts.get(number(&tables.event_name_text, first + at)), wanted)
            })
        };
        let suffix = Suffix::ALL.get(usize::from(byte(&tables.group_suffix, group))).copied().unwrap_or(Suffix::None);
        find(name).or_else(|| suffix.strip(name).and_then(find)).map(|at| first + at)
    }

    /// Everything that is known of an event, whatever the call; none where the catalogue does not know it.
    #[must_use]
    pub fn event_facts(&self, source: &str, name: &str) -> Option<EventFacts<'_>> {
        let tables = &self.tables;
        let at = self.event_index(source, name)?;
        let need = |code: u32| if code == 0 { Need::Always } else { Need::Sometimes };
        let (actions, _) = tables.lists.get(number(&tables.event_actions_list, at)).as_chunks::<3>();
        let (roles, _) = tables.lists.get(number(&tables.event_roles_list, at)).as_chunks::<3>();
        Some(EventFacts {
            actions: actions
                .iter()
                .map(|[id, code, on]| EventFact {
                    id: ActionId(*id),
                    need: need(code & 15),
                    when: When::ALL.get((code >> 4) as usize).copied().unwrap_or(When::Any),
                    on: tables.texts.get(*on),
                })
                .collect(),
            roles: roles
                .iter()
                .map(|[path, kind, code]| PassedRole {
                    path: tables.texts.get(*path),
                    kind: RoleKind::ALL.get(*kind as usize).copied().unwrap_or(RoleKind::Role),
                    need: need(*code),
                })
                .collect(),
            reason: tables.texts.get(number(&tables.event_reason_text, at)),
            class: LogClass::from_code(byte(&tables.event_class, at)),
            provenance: Provenance::from_code(byte(&tables.event_provenance, at)),
        })
    }

    /// Every event of the catalogue as (source, name), by source; a source that shares its events with another
    /// repeats them.
    pub fn events(&self) -> impl Iterator<Item = (&str, &str)> {
        let tables = &self.tables;
        tables.source_text.iter().zip(&tables.source_group).flat_map(move |(source, group)| {
            let group = *group as usize;
            let range = number(&tables.group_first_event, group)..number(&tables.group_first_event, group + 1);
            let source = tables.texts.get(*source);
            range.map(move |at| (source, tables.texts.get(number(&tables.event_name_text, at as usize))))
        })
    }

    /// What a recorded call exercised. `source` is `eventSource` (any partition's), `name` is `eventName`.
    #[must_use]
    pub fn event<'a>(&'a self, source: &str, name: &str, variant: &'a CallVariant) -> EventMapping<'a> {
        let Some(facts) = self.event_facts(source, name) else {
            return EventMapping {
                mapped: Mapped::Unmapped,
                class: LogClass::Management,
                provenance: Provenance::Assumed,
            };
        };
        let mapped = if facts.reason.is_empty() {
            // Of a request that is not known any way may be the one.
            let any = variant.is_unknown();
            let holding = facts.actions.iter().filter(|fact| any || fact.when.holds(variant));
            let mut actions: Vec<MappedAction<'a>> = holding
                .map(|fact| MappedAction {
                    id: fact.id,
                    need: if any && fact.when != When::Any { Need::Sometimes } else { fact.need },
                    on: if fact.on.is_empty() { CallResource::Main } else { CallResource::Named(fact.on) },
                })
                .collect();
            self.add_passed_roles(&facts.roles, variant, &mut actions);
            Mapped::Actions(actions)
        } else {
            Mapped::None { reason: facts.reason }
        };
        EventMapping { mapped, class: facts.class, provenance: facts.provenance }
    }

    /// Adds `iam:PassRole` for every role that the request passes.
    fn add_passed_roles<'a>(
        &self,
        places: &[PassedRole<'_>],
        variant: &'a CallVariant,
        actions: &mut Vec<MappedAction<'a>>,
    ) {
        if places.is_empty() || variant.roles.is_empty() {
            return;
        }
        let Some(id) = self.find("iam:PassRole") else { return };
        if variant.is_unknown() {
            return actions.push(MappedAction { id, need: Need::Sometimes, on: CallResource::Named("") });
        }
        for (path, value) in &variant.roles {
            let value = value.as_str();
            if value.is_empty() || value.contains(SERVICE_LINKED_PATH) {
                continue;
            }
            let named = places.iter().find(|place| place.path == path.as_str());
            // A service that is known to take roles, in a parameter that is not known: only an ARN of a role counts.
            let other = || places.iter().find(|place| place.path.is_empty() && value.contains(":role/"));
            if let Some(place) = named.or_else(other) {
                let on = CallResource::Role { value, kind: place.kind };
                actions.push(MappedAction { id, need: place.need, on });
            }
        }
    }

    /// Whether the last part of a request parameter's path is one in which some event passes a role or an instance
    /// profile, so that a reader of records knows what to keep. `path` is lower case, dotted, without indices.
    #[must_use]
    pub fn is_role_path(&self, source: &str, name: &str, path: &str) -> bool {
        self.event_facts(source, name).is_some_and(|facts| facts.roles.iter().any(|role| role.path == path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_suffixes() {
        for (suffix, name, want) in [
            (Suffix::Compact, "GetFunction20150331v2", Some("GetFunction")),
            (Suffix::Compact, "CreateFunction20150331", Some("CreateFunction")),
            (Suffix::Compact, "Invoke", None),
            (Suffix::Compact, "20150331", None),
            (Suffix::Compact, "GetFunction2015", None),
            (Suffix::Compact, "Gé20150331", Some("Gé")),
            (Suffix::Underscored, "CreateDistribution2020_05_31", Some("CreateDistribution")),
            (Suffix::Underscored, "CreateDistribution", None),
            (Suffix::Underscored, "Create2020_5_31", None),
            (Suffix::None, "CreateFunction20150331", None),
        ] {
            assert_eq!(suffix.strip(name), want, "{name}");
        }
    }
}
