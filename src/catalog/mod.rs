//! The catalogue: every AWS action, and for every CloudTrail event the actions that it exercises.
//!
//! It is data: facts from public tables (see `NOTICE`) and curated files in `src/catalog/build/curated`, compiled
//! by `catalog-build` into one compressed file that is embedded in the binary and opened in milliseconds. Nothing
//! here derives a permission from the spelling of an operation.
//!
//! - [`Catalog::get`] opens it; [`Catalog::find`], [`Catalog::action`] and [`Catalog::actions_matching`] read the
//!   action table; [`Catalog::event`] maps a recorded call.
//! - [`ActionSet`] is a set of actions as bits, the currency of entitlements.
//! - [`Glob`] is the wildcard pattern of IAM.

#[cfg(any(test, feature = "catalog-build"))]
pub mod build;
pub mod event;
mod glob;
mod set;
pub mod show;
mod tables;
mod types;

use std::ops::Range;
use std::sync::OnceLock;

pub use event::{
    CallResource, EventFact, EventFacts, EventMapping, Mapped, MappedAction, Need, PassedRole, RoleKind, When,
};
pub use glob::Glob;
pub use set::ActionSet;
pub use tables::TablesError;
pub use types::{AccessLevel, LogClass, Provenance, Risk};

use tables::Tables;

/// The embedded data, made by `catalog-build`.
const EMBEDDED: &[u8] = include_bytes!("data/catalog.zst");
/// Largest decompressed catalogue that is accepted, in bytes: several times the present size.
const DECOMPRESSED_MAX: usize = 64 << 20;

/// The number of an action in the catalogue: actions are sorted by (prefix, name), so a service's are contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u32);

/// A service of the action table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// The prefix of its actions, such as `s3`.
    pub prefix: &'a str,
    /// Its name, such as `Amazon S3`.
    pub name: &'a str,
    /// For a global service the region in which its events are logged, such as `us-east-1` for `iam`.
    pub home_region: Option<&'a str>,
}

/// A resource type of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceType<'a> {
    /// Its name in the action table, such as `bucket`.
    pub name: &'a str,
    /// Its ARN patterns with `${…}` holes.
    pub arns: Vec<&'a str>,
    /// Condition keys that it brings.
    pub condition_keys: Vec<&'a str>,
}

/// An action. Cheap: everything is borrowed from the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    catalog: &'a Catalog,
    id: ActionId,
    service: usize,
}

impl<'a> Action<'a> {
    fn at(&self) -> usize {
        self.id.0 as usize
    }

    fn texts(&self, list: &'a [u32]) -> impl Iterator<Item = &'a str> + use<'a> {
        let texts = &self.catalog.tables.texts;
        list.iter().map(move |id| texts.get(*id))
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> ActionId {
        self.id
    }

    /// The service prefix, such as `s3`.
    #[must_use]
    pub fn prefix(&self) -> &'a str {
        self.catalog.prefix_at(self.service)
    }

    /// The name in its canonical case, such as `GetObject`.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.catalog.name_at(self.at())
    }

    /// `prefix:Name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}:{}", self.prefix(), self.name())
    }

    /// List, Read, Write, Tagging or Permissions management, as AWS classifies it.
    #[must_use]
    pub fn access(&self) -> AccessLevel {
        AccessLevel::from_code(byte(&self.catalog.tables.action_access, self.at()))
    }

    /// Resource types on which it can be granted: name, and whether the action requires one of it. Empty where the
    /// action knows no resources and needs `*`.
    pub fn resource_types(&self) -> impl Iterator<Item = (&'a str, bool)> + use<'a> {
        let tables = &self.catalog.tables;
        let first = number(&tables.service_first_type, self.service);
        tables.lists.get(number(&tables.action_types_list, self.at())).iter().map(move |packed| {
            let name = number(&tables.type_name_text, (first + packed / 2) as usize);
            (tables.texts.get(name), packed % 2 == 1)
        })
    }

    /// Condition keys of the action and of its use on any of its resource types, sorted.
    pub fn condition_keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let tables = &self.catalog.tables;
        self.texts(tables.lists.get(number(&tables.action_conditions_list, self.at())))
    }

    /// Actions that a call needs in addition, in some cases.
    pub fn dependent_actions(&self) -> impl Iterator<Item = ActionId> + use<'a> {
        let tables = &self.catalog.tables;
        tables.lists.get(number(&tables.action_dependents_list, self.at())).iter().map(|id| ActionId(*id))
    }

    /// How CloudTrail records calls that exercise it.
    #[must_use]
    pub fn log_class(&self) -> LogClass {
        LogClass::from_code(byte(&self.catalog.tables.action_class, self.at()))
    }

    /// How that is known.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        Provenance::from_code(byte(&self.catalog.tables.action_provenance, self.at()))
    }

    /// Whether no known API operation surely exercises it, so that logs can never show it unused.
    #[must_use]
    pub fn permission_only(&self) -> bool {
        self.log_class() == LogClass::PermissionOnly
    }

    /// Whether it has a risk tag.
    #[must_use]
    pub fn has_risk(&self, risk: Risk) -> bool {
        byte(&self.catalog.tables.action_flags, self.at()) & risk.bit() != 0
    }

    /// Its risk tags, in their fixed order.
    pub fn risks(&self) -> impl Iterator<Item = Risk> + use<'a> {
        let flags = byte(&self.catalog.tables.action_flags, self.at());
        Risk::ALL.into_iter().filter(move |risk| flags & risk.bit() != 0)
    }
}

fn number(column: &[u32], at: usize) -> u32 {
    column.get(at).copied().unwrap_or(0)
}

fn byte(column: &[u8], at: usize) -> u8 {
    column.get(at).copied().unwrap_or(0)
}

/// Compares without case. Both sides are ASCII wherever it matters.
pub(crate) fn compare_ignoring_case(a: &str, b: &str) -> std::cmp::Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a.bytes().map(lower).cmp(b.bytes().map(lower))
}

/// The catalogue.
#[derive(Debug)]
pub struct Catalog {
    tables: Tables,
    /// The service of each action, by its number.
    services: Box<[u32]>,
}

impl Catalog {
    /// The embedded catalogue, opened on first use.
    ///
    /// The embedded bytes are checked by tests, so opening them cannot fail in a tested binary; a binary whose
    /// bytes were damaged has an empty catalogue whose [`Catalog::version`] is empty, and knows nothing rather
    /// than something wrong.
    #[must_use]
    pub fn get() -> &'static Self {
        static CATALOG: OnceLock<Catalog> = OnceLock::new();
        CATALOG.get_or_init(|| Self::open(EMBEDDED).unwrap_or_else(|_| Self::of(Tables::default())))
    }

    /// Opens a compressed catalogue.
    ///
    /// # Errors
    /// When the bytes are not a catalogue of this program's layout.
    pub fn open(compressed: &[u8]) -> Result<Self, TablesError> {
        let bytes = zstd::bulk::decompress(compressed, DECOMPRESSED_MAX)
            .map_err(|error| TablesError::Compression(error.to_string()))?;
        Ok(Self::of(Tables::decode(&bytes)?))
    }

    fn of(tables: Tables) -> Self {
        let mut out = Self { tables, services: Box::default() };
        let all = (0u32..).take(out.tables.service_prefix_text.len());
        out.services = all.flat_map(|service| out.service_range(service as usize).map(move |_| service)).collect();
        out
    }

    /// What names this state of the catalogue: the date of the newest source and a hash of the content.
    #[must_use]
    pub fn version(&self) -> &str {
        self.tables.texts.get(number(&self.tables.version_text, 0))
    }

    /// Number of actions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.action_name_text.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn prefix_at(&self, service: usize) -> &str {
        self.tables.texts.get(number(&self.tables.service_prefix_text, service))
    }

    fn name_at(&self, action: usize) -> &str {
        self.tables.texts.get(number(&self.tables.action_name_text, action))
    }

    fn service_range(&self, service: usize) -> Range<u32> {
        number(&self.tables.service_first_action, service)..number(&self.tables.service_first_action, service + 1)
    }

    fn service_index(&self, prefix: &str) -> Option<usize> {
        search(self.tables.service_prefix_text.len(), |at| compare_ignoring_case(self.prefix_at(at), prefix))
    }

    /// The action of that number.
    #[must_use]
    pub fn action(&self, id: ActionId) -> Option<Action<'_>> {
        let service = *self.services.get(id.0 as usize)? as usize;
        Some(Action { catalog: self, id, service })
    }

    /// Every action, in order.
    pub fn actions(&self) -> impl Iterator<Item = Action<'_>> {
        (0..self.tables.service_prefix_text.len()).flat_map(move |service| {
            self.service_range(service).map(move |id| Action { catalog: self, id: ActionId(id), service })
        })
    }

    /// The action of a full name such as `s3:GetObject`, whatever its case.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<ActionId> {
        let (prefix, name) = text.split_once(':')?;
        self.find_in(prefix, name)
    }

    /// The action of a prefix and a name, whatever their case.
    #[must_use]
    pub fn find_in(&self, prefix: &str, name: &str) -> Option<ActionId> {
        let range = self.service(prefix)?;
        let at = search(range.len(), |at| compare_ignoring_case(self.name_at(range.start as usize + at), name))?;
        Some(ActionId(range.start + at as u32))
    }

    /// The numbers of a service's actions; the prefix in any case.
    #[must_use]
    pub fn service(&self, prefix: &str) -> Option<Range<u32>> {
        self.service_index(prefix).map(|service| self.service_range(service))
    }

    /// Every service, by prefix.
    pub fn services(&self) -> impl Iterator<Item = Service<'_>> {
        let tables = &self.tables;
        (0..tables.service_prefix_text.len()).map(move |at| {
            let home = tables.texts.get(number(&tables.service_home_text, at));
            Service {
                prefix: self.prefix_at(at),
                name: tables.texts.get(number(&tables.service_name_text, at)),
                home_region: (!home.is_empty()).then_some(home),
            }
        })
    }

    /// Every service's prefix with its actions, by prefix.
    pub fn service_ranges(&self) -> impl Iterator<Item = (&str, Range<u32>)> {
        (0..self.tables.service_prefix_text.len()).map(|at| (self.prefix_at(at), self.service_range(at)))
    }

    /// The resource types of a service; none where the prefix is not known.
    #[must_use]
    pub fn resource_types(&self, prefix: &str) -> Vec<ResourceType<'_>> {
        let Some(service) = self.service_index(prefix) else { return Vec::new() };
        let tables = &self.tables;
        let range = number(&tables.service_first_type, service)..number(&tables.service_first_type, service + 1);
        let texts = |list: u32| tables.lists.get(list).iter().map(|id| tables.texts.get(*id)).collect();
        range
            .map(|at| ResourceType {
                name: tables.texts.get(number(&tables.type_name_text, at as usize)),
                arns: texts(number(&tables.type_arns_list, at as usize)),
                condition_keys: texts(number(&tables.type_conditions_list, at as usize)),
            })
            .collect()
    }

    /// The empty set of actions.
    #[must_use]
    pub fn no_actions(&self) -> ActionSet {
        ActionSet::new(self.len())
    }

    /// The set of all actions.
    #[must_use]
    pub fn all_actions(&self) -> ActionSet {
        ActionSet::full(self.len())
    }

    /// Every action that an `Action` pattern of a policy names: `*`, `*:*`, `s3:Get*`, `ec2:Describe?ags`, without
    /// regard to case. A pattern without a colon that is not `*` names nothing.
    #[must_use]
    pub fn actions_matching(&self, pattern: &str) -> ActionSet {
        let mut set = self.no_actions();
        if Glob::new(pattern).is_everything() {
            return self.all_actions();
        }
        let Some((prefix, name)) = pattern.split_once(':') else { return set };
        let (prefix, name) = (Glob::new(prefix), Glob::new(name));
        if prefix.is_literal() {
            if let Some(service) = self.service_index(prefix.literal_prefix()) {
                self.add_matching(service, &name, &mut set);
            }
            return set;
        }
        for service in 0..self.tables.service_prefix_text.len() {
            if prefix.matches(self.prefix_at(service)) {
                self.add_matching(service, &name, &mut set);
            }
        }
        set
    }

    /// Adds the actions of a service whose name matches, looking only at those that share the literal beginning.
    fn add_matching(&self, service: usize, name: &Glob, set: &mut ActionSet) {
        let range = self.service_range(service);
        if name.is_everything() {
            set.insert_range(range);
            return;
        }
        let names = self.tables.action_name_text.get(range.start as usize..range.end as usize).unwrap_or(&[]);
        let wanted = name.literal_prefix();
        let first = names.partition_point(|text| compare_ignoring_case(self.tables.texts.get(*text), wanted).is_lt());
        for (at, text) in names.iter().enumerate().skip(first) {
            let text = self.tables.texts.get(*text);
            let begins = text.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted));
            if !begins {
                break;
            }
            if name.matches(text) {
                set.insert(ActionId(range.start + at as u32));
            }
        }
    }
}

/// Binary search over `0..len`, where `order` compares the element with what is wanted.
fn search(len: usize, order: impl Fn(usize) -> std::cmp::Ordering) -> Option<usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        match order(middle) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(middle),
        }
    }
    None
}

#[cfg(test)]
mod tests;
