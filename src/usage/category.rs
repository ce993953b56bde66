//! The category of events whose record does not say it.

use crate::catalog::{Catalog, LogClass, Provenance};
use crate::model::event::EventCategory;

/// How the calls of an event are recorded, as far as AWS documents it or real logs show it; [`EventCategory::Unknown`]
/// otherwise. For records that do not say their category: it is stored with them, so a later catalogue does not change
/// it.
#[must_use]
pub fn recorded_as(source: &str, name: &str) -> EventCategory {
    match Catalog::get().event_facts(source, name) {
        Some(facts) if facts.provenance != Provenance::Assumed => match facts.class {
            LogClass::Management => EventCategory::Management,
            LogClass::Data => EventCategory::Data,
            LogClass::NetworkActivity | LogClass::NotLogged | LogClass::PermissionOnly => EventCategory::Unknown,
        },
        _ => EventCategory::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_has_a_category() {
        for (source, name, want) in [
            ("ec2.amazonaws.com", "RunInstances", EventCategory::Management),
            ("s3.amazonaws.com", "ListBuckets", EventCategory::Management),
            ("s3.amazonaws.com", "GetObject", EventCategory::Data),
            ("dynamodb.amazonaws.com", "GetItem", EventCategory::Data),
            ("dynamodb.amazonaws.com", "CreateTable", EventCategory::Management),
            ("made-up.amazonaws.com", "GetItem", EventCategory::Unknown),
        ] {
            assert_eq!(recorded_as(source, name), want, "{source} {name}");
        }
    }
}
