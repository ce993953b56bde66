//! CloudTrail's events of an account: from the buckets of its trails, or where it has none from its event history.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::model::time::Timestamp;

use super::access::{Access, Pages};
use super::calls::{DESCRIBE_TRAILS, LIST_TRAILS};
use super::failure::Failure;
use super::run::Message;
use super::{lookup, objects, regions};

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

/// The trails that record an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trails {
    /// Places of its own trails.
    pub places: Vec<Place>,
    /// A trail of another account, which is the organisation's, records it.
    pub covered: bool,
}

/// Which trails record the account.
pub(super) async fn trails(access: &Access, account: &str) -> Result<Trails, Failure> {
    let (client, mut pages, mut homes) = (access.cloudtrail(), Pages::default(), Vec::new());
    while let Some(token) = pages.next() {
        let page = access.call(&LIST_TRAILS, || client.list_trails().set_next_token(token).send()).await?;
        homes.extend(page.trails().iter().filter_map(|trail| trail.home_region().map(str::to_owned)));
        pages.after(&LIST_TRAILS, page.next_token())?;
    }
    homes.sort();
    homes.dedup();
    let mut found = Trails::default();
    for home in homes {
        let client = access.at(&home).cloudtrail();
        let described =
            access.call(&DESCRIBE_TRAILS, || client.describe_trails().include_shadow_trails(false).send()).await?;
        for trail in described.trail_list() {
            let own = trail.trail_arn().and_then(|arn| arn.split(':').nth(4)) == Some(account);
            found.covered |= !own && trail.is_organization_trail() == Some(true);
            if let Some(bucket) = trail.s3_bucket_name().filter(|_| own) {
                let prefix = trail.s3_key_prefix().map(|prefix| format!("{prefix}/")).unwrap_or_default();
                let region = trail.home_region().unwrap_or(&home).to_owned();
                found.places.push(Place { bucket: bucket.to_owned(), prefix, region });
            }
        }
    }
    found.places.sort();
    found.places.dedup();
    Ok(found)
}

/// Hands the events of an account on, object by object, and says what could not be had.
pub(super) async fn events(
    access: &Access,
    account: &str,
    wanted: &Wanted,
    now: Timestamp,
    send: &Sender<Message>,
) -> Vec<Failure> {
    let trails = match trails(access, account).await {
        Ok(trails) => trails,
        Err(failure) => return vec![failure],
    };
    let mut failures = Vec::new();
    for place in &trails.places {
        failures.extend(objects::fetch(access, place, wanted, send).await);
    }
    if trails.places.is_empty() && !trails.covered {
        match regions::regions(access).await {
            Ok(regions) => failures.extend(lookup::fetch(access, account, &regions, wanted, now, send).await),
            Err(failure) => failures.push(failure),
        }
    }
    failures
}
