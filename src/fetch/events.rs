//! CloudTrail's events of an account: from the buckets of its trails, and from its event history where none records it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::types;
use tokio::sync::mpsc::Sender;

use crate::model::time::Timestamp;

use super::access::Access;
use super::calls::DESCRIBE_TRAILS;
use super::failure::{Failure, FailureKind};
use super::run::Message;
use super::{lookup, objects, regions, trails};

/// A log object that was fetched whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its name: `s3://BUCKET/KEY`, or `cloudtrail://ACCOUNT/REGION/DAY` of the event history.
    pub name: String,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// It holds every management event of its span, although its form does not tell.
    pub complete: bool,
}

/// Objects that are known, by name: bytes and time of the last change.
pub type Known = BTreeMap<String, (u64, Timestamp)>;

/// What is wanted of events.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Events from then on.
    pub since: Timestamp,
    /// Objects that need not be fetched again.
    pub known: Arc<Known>,
}

/// Where a trail puts its logs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub bucket: String,
    /// Before `AWSLogs/`; empty, or with a slash at its end.
    pub prefix: String,
    /// Where the trail is at home, and mostly its bucket.
    pub region: String,
}

/// What records the management events of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recorded {
    /// Where its own trails put their logs.
    places: Vec<Place>,
    /// The regions that are recorded by trails whose logs are read; all where a trail records every region.
    regions: BTreeSet<String>,
    all: bool,
}

/// Whether a trail is set to record all management events. Source: CloudTrail User Guide, "Logging management events".
fn records_management(selectors: &GetEventSelectorsOutput) -> bool {
    let basic = selectors.event_selectors().iter().any(|one| {
        let both = one.read_write_type().is_none_or(|kind| *kind == types::ReadWriteType::All);
        one.include_management_events() != Some(false) && both
    });
    let advanced = selectors.advanced_event_selectors().iter().any(|one| {
        let fields = one.field_selectors();
        let management = |field: &types::AdvancedFieldSelector| {
            field.field() == "eventCategory" && field.equals().iter().any(|category| category == "Management")
        };
        fields.iter().any(management) && !fields.iter().any(|field| field.field() == "readOnly")
    });
    basic || advanced
}

/// Who may not ask goes by what is told otherwise: the logs are read all the same.
fn unless_denied<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(failure) if failure.kind == FailureKind::Denied => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What records the account. `read` are the accounts whose trails' logs are read.
async fn recorded(access: &Access, account: &str, read: &BTreeSet<String>) -> Result<Recorded, Failure> {
    let mut found = Recorded::default();
    for named in trails::named(access).await?.iter().filter(|named| named.owner() == account) {
        let logging = unless_denied(trails::status(access, named).await)?;
        let logging = logging.is_none_or(|status| status.is_logging() == Some(true));
        let management = unless_denied(trails::selectors(access, named).await)?;
        let management = management.is_none_or(|selectors| records_management(&selectors));
        for trail in trails::described(access, named).await? {
            if logging && management {
                found.all |= trail.is_multi_region_trail() == Some(true);
                found.regions.insert(named.home.clone());
            }
            if let Some(bucket) = trail.s3_bucket_name() {
                let prefix = trail.s3_key_prefix().map(|prefix| format!("{prefix}/")).unwrap_or_default();
                found.places.push(Place { bucket: bucket.to_owned(), prefix, region: named.home.clone() });
            }
        }
    }
    found.places.sort();
    found.places.dedup();
    // A member is shown the organisation's trail as a shadow in each of its regions, and may not look into it. Source:
    // CloudTrail API reference, "DescribeTrails" (includeShadowTrails), and "Creating a trail for an organization".
    let client = access.cloudtrail();
    let shown = access.call(&DESCRIBE_TRAILS, || client.describe_trails().send()).await?;
    for trail in shown.trail_list().iter().filter(|trail| trail.is_organization_trail() == Some(true)) {
        let owner = trail.trail_arn().map(trails::owner).unwrap_or_default();
        if owner != account && read.contains(owner) {
            found.all |= trail.is_multi_region_trail() == Some(true);
            found.regions.extend(trail.home_region().map(str::to_owned));
        }
    }
    Ok(found)
}

/// Hands the events of an account on, object by object, and says what could not be had: the logs of its trails, and of
/// regions that no trail records whose logs are read the event history. `read` are the accounts whose trails' logs are.
pub(super) async fn events(
    access: &Access,
    account: &str,
    read: &BTreeSet<String>,
    wanted: &Wanted,
    now: Timestamp,
    send: &Sender<Message>,
) -> Vec<Failure> {
    let recorded = match recorded(access, account, read).await {
        Ok(recorded) => recorded,
        Err(failure) => return vec![failure],
    };
    let mut failures = Vec::new();
    for place in &recorded.places {
        failures.extend(objects::fetch(access, place, wanted, send).await);
    }
    if recorded.all {
        return failures;
    }
    match regions::regions(access).await {
        Ok(mut regions) => {
            regions.retain(|region| !recorded.regions.contains(region));
            failures.extend(lookup::fetch(access, account, &regions, wanted, now, send).await);
        }
        Err(failure) => failures.push(failure),
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trails_of_data_events_or_of_half_the_calls_do_not_stand_for_the_history() {
        let basic = |kind: types::ReadWriteType, management: bool| {
            let one = types::EventSelector::builder().read_write_type(kind).include_management_events(management);
            GetEventSelectorsOutput::builder().event_selectors(one.build()).build()
        };
        let advanced = |fields: &[(&str, &str)]| {
            let field = |(field, value): &(&str, &str)| {
                types::AdvancedFieldSelector::builder().field(*field).equals(*value).build().unwrap()
            };
            let fields = Some(fields.iter().map(field).collect());
            let one = types::AdvancedEventSelector::builder().set_field_selectors(fields).build().unwrap();
            GetEventSelectorsOutput::builder().advanced_event_selectors(one).build()
        };
        for (selectors, want) in [
            (basic(types::ReadWriteType::All, true), true),
            (basic(types::ReadWriteType::WriteOnly, true), false),
            (basic(types::ReadWriteType::All, false), false),
            (advanced(&[("eventCategory", "Management")]), true),
            (advanced(&[("eventCategory", "Management"), ("readOnly", "false")]), false),
            (advanced(&[("eventCategory", "Data"), ("resources.type", "AWS::S3::Object")]), false),
            (GetEventSelectorsOutput::builder().build(), false),
        ] {
            assert_eq!(records_management(&selectors), want, "{selectors:?}");
        }
    }
}
