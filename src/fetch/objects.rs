//! Log files in the bucket of a trail: listed from a day on, and fetched where they are not known.

use std::collections::BTreeMap;

use aws_sdk_s3::types::Object;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc::Sender;

use crate::model::time::Timestamp;

use super::access::{Access, Pages};
use super::calls::{GET_BUCKET_LOCATION, GET_OBJECT, LIST_OBJECTS};
use super::events::{Known, Log, Place, Wanted};
use super::failure::{Failure, FailureKind};
use super::run::Message;

/// Objects that are fetched at once from one bucket.
const AT_ONCE: usize = 16;
/// How often a body that broke off is fetched again.
const BODY_TRIES: usize = 4;
/// Late files: how many days before the newest known one are listed again.
const LATE_DAYS: i64 = 7;
/// Objects of one listing that may fail before the rest is given up, where none could be read.
const HOPELESS: usize = 20;
/// Folders of an account that CloudTrail writes begin so.
const OF_CLOUDTRAIL: &str = "CloudTrail";
const DAY_SECONDS: i64 = 86_400;

/// Fetches what a place has; says what could not be had.
pub(super) async fn fetch(access: &Access, place: &Place, wanted: &Wanted, send: &Sender<Message>) -> Vec<Failure> {
    let access = match located(access, place).await {
        Ok(access) => access,
        Err(failure) => return vec![failure],
    };
    let folders = match folders(&access, place).await {
        Ok(folders) => folders,
        Err(failure) => return vec![failure],
    };
    let mut failures = Failures::default();
    for folder in folders {
        let from = first_day(&folder, place, wanted);
        if let Err(failure) = files(&access, place, &folder, from, wanted, &mut failures, send).await {
            failures.add(failure);
        }
        if failures.hopeless() {
            break;
        }
    }
    failures.told()
}

/// Access in the region of the bucket. Who may not ask where it is takes the trail's own.
async fn located(access: &Access, place: &Place) -> Result<Access, Failure> {
    let home = access.at(&place.region);
    let client = home.s3();
    let asked = home.call(&GET_BUCKET_LOCATION, || client.get_bucket_location().bucket(&place.bucket).send()).await;
    let found = match asked {
        Ok(found) => found,
        Err(failure) if failure.kind == FailureKind::Denied => return Ok(home),
        Err(failure) => return Err(failure),
    };
    Ok(match found.location_constraint().map(aws_sdk_s3::types::BucketLocationConstraint::as_str) {
        // S3 API reference, "GetBucketLocation": us-east-1 is told as null, and `EU` is an old name of eu-west-1.
        None | Some("") => home.at("us-east-1"),
        Some("EU") => home.at("eu-west-1"),
        Some(region) => home.at(region),
    })
}

/// The folders below one, by name with the slash at the end.
async fn below(access: &Access, bucket: &str, prefix: &str) -> Result<Vec<String>, Failure> {
    let (client, mut pages, mut found) = (access.s3(), Pages::default(), Vec::new());
    while let Some(token) = pages.next() {
        let request = client.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
        let page = access.call(&LIST_OBJECTS, || request.set_continuation_token(token).send()).await?;
        found.extend(page.common_prefixes().iter().filter_map(|one| one.prefix().map(str::to_owned)));
        pages.after(&LIST_OBJECTS, page.next_continuation_token())?;
    }
    Ok(found)
}

/// The folders of regions: `AWSLogs/[o-…/]ACCOUNT/CloudTrail…/REGION/`. Source: "Finding your CloudTrail log files" and
/// "CloudTrail digest file structure", CloudTrail User Guide.
async fn folders(access: &Access, place: &Place) -> Result<Vec<String>, Failure> {
    let name = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let is_account = |path: &String| name(path).len() == 12 && name(path).bytes().all(|b| b.is_ascii_digit());
    let mut accounts = Vec::new();
    for folder in below(access, &place.bucket, &format!("{}AWSLogs/", place.prefix)).await? {
        if is_account(&folder) {
            accounts.push(folder);
        } else if name(&folder).starts_with("o-") {
            accounts.extend(below(access, &place.bucket, &folder).await?.into_iter().filter(is_account));
        }
    }
    let mut found = Vec::new();
    for account in accounts {
        for kind in below(access, &place.bucket, &account).await? {
            if name(&kind).starts_with(OF_CLOUDTRAIL) {
                found.extend(below(access, &place.bucket, &kind).await?);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn name_of(place: &Place, key: &str) -> String {
    format!("s3://{}/{key}", place.bucket)
}

/// From which day a folder is listed: from where events are wanted, or from some days before the newest file that is
/// known.
fn first_day(folder: &str, place: &Place, wanted: &Wanted) -> Timestamp {
    let start = name_of(place, folder);
    let newest = newest_day(&wanted.known, &start).map(|day| day.plus_seconds(-LATE_DAYS * DAY_SECONDS));
    newest.unwrap_or(wanted.since).max(wanted.since)
}

fn newest_day(known: &Known, start: &str) -> Option<Timestamp> {
    // Names sort by day: the last one that begins like this is of the newest.
    let (name, _) = known.range(start.to_owned()..).take_while(|(name, _)| name.starts_with(start)).last()?;
    let day = name.strip_prefix(start)?.get(..10)?;
    day.replace('/', "-").parse().ok()
}

/// Fetches the unknown files of a folder.
async fn files(
    access: &Access,
    place: &Place,
    folder: &str,
    from: Timestamp,
    wanted: &Wanted,
    failures: &mut Failures,
    send: &Sender<Message>,
) -> Result<(), Failure> {
    let (client, mut pages) = (access.s3(), Pages::default());
    // Before every key of that day, and after those of the days before.
    let after = format!("{folder}{}", from.day().to_string().replace('-', "/"));
    while let Some(token) = pages.next() {
        let request = client.list_objects_v2().bucket(&place.bucket).prefix(folder).start_after(&after);
        let page = access.call(&LIST_OBJECTS, || request.set_continuation_token(token).send()).await?;
        let unknown = page.contents().iter().filter_map(|object| {
            let (key, size, modified) = told(object)?;
            let name = name_of(place, &key);
            (wanted.known.get(&name) != Some(&(size, modified))).then_some((key, name, modified))
        });
        let unknown: Vec<(String, String, Timestamp)> = unknown.collect();
        let fetched = unknown.into_iter().map(|(key, name, modified)| object(access, place, key, name, modified));
        let fetched: Vec<_> = fetched.collect();
        let mut fetched = stream::iter(fetched).buffer_unordered(AT_ONCE);
        while let Some(read) = fetched.next().await {
            match read {
                Ok(log) => {
                    failures.read += 1;
                    // Nobody listens only where the run ends.
                    let _ = send.send(Message::Log(access.account_id().to_owned(), log)).await;
                }
                Err(failure) => failures.add(failure),
            }
            if failures.hopeless() {
                return Ok(());
            }
        }
        pages.after(&LIST_OBJECTS, page.next_continuation_token())?;
    }
    Ok(())
}

/// Key, size and time of an object of a listing; none for a folder's marker.
fn told(object: &Object) -> Option<(String, u64, Timestamp)> {
    let key = object.key().filter(|key| !key.ends_with('/'))?;
    let size = u64::try_from(object.size()?).ok()?;
    Some((key.to_owned(), size, time(object.last_modified()?)))
}

/// Times of S3 are whole seconds in listings.
fn time(at: &aws_smithy_types::DateTime) -> Timestamp {
    Timestamp::from_seconds(at.secs())
}

/// One object, whole. A body that breaks off is fetched again.
async fn object(
    access: &Access,
    place: &Place,
    key: String,
    name: String,
    modified: Timestamp,
) -> Result<Log, Failure> {
    let client = access.s3();
    let mut last = String::new();
    for _ in 0..BODY_TRIES {
        let answer = access
            .call(&GET_OBJECT, || client.get_object().bucket(&place.bucket).key(&key).send())
            .await
            .map_err(|failure| explained(failure, &name))?;
        match answer.body.collect().await {
            Ok(body) => {
                let bytes = body.into_bytes().to_vec();
                return Ok(Log { name, modified, bytes, complete: false });
            }
            Err(error) => last = super::failure::chain(&error),
        }
    }
    Err(Failure::new(&GET_OBJECT, FailureKind::Network, "", &format!("{name} broke off again and again: {last}")))
}

/// Says what stands behind a refusal: the object's key, or the key that it is encrypted with.
fn explained(mut failure: Failure, name: &str) -> Failure {
    let said = failure.message.to_ascii_lowercase();
    if said.contains("kms") || failure.code.starts_with("KMS.") {
        failure.action = "kms:Decrypt";
        failure.message = format!("{name} is encrypted with a KMS key that may not be used: {}", failure.message);
    } else {
        failure.message = format!("{name}: {}", failure.message);
    }
    failure
}

/// What went wrong with single objects: told once a kind, with how often.
#[derive(Debug, Default)]
struct Failures {
    read: usize,
    failed: usize,
    kinds: BTreeMap<(FailureKind, String, &'static str), (Failure, usize)>,
}

impl Failures {
    fn add(&mut self, failure: Failure) {
        self.failed += 1;
        let key = (failure.kind, failure.code.clone(), failure.action);
        self.kinds.entry(key).or_insert((failure, 0)).1 += 1;
    }

    /// Whether going on would only fail as often as there are files.
    fn hopeless(&self) -> bool {
        self.kinds.keys().any(|(kind, _, _)| *kind == FailureKind::Credentials)
            || (self.read == 0 && self.failed >= HOPELESS)
    }

    fn told(self) -> Vec<Failure> {
        let one = |(mut failure, times): (Failure, usize)| {
            if times > 1 {
                failure.message = format!("{} (and {} others)", failure.message, times - 1);
            }
            failure
        };
        self.kinds.into_values().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::CALLS;

    fn place() -> Place {
        Place { bucket: "b".to_owned(), prefix: "p/".to_owned(), region: "eu-west-1".to_owned() }
    }

    #[test]
    fn listings_begin_some_days_before_what_is_known() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let folder = "p/AWSLogs/111122223333/CloudTrail/eu-west-1/";
        let known: Known = ["2026/03/01/a.json.gz", "2026/03/20/b.json.gz"]
            .iter()
            .map(|key| (format!("s3://b/{folder}{key}"), (1, at("2026-03-20"))))
            .chain([(
                "s3://b/p/AWSLogs/111122223333/CloudTrail/eu-west-2/2026/05/01/c.json.gz".to_owned(),
                (1, at("2026-05-01")),
            )])
            .collect();
        for (known, since, want) in [
            (Known::new(), "2026-01-05", "2026-01-05"),
            (known.clone(), "2026-01-05", "2026-03-13"),
            (known, "2026-03-25", "2026-03-25"),
        ] {
            let wanted = Wanted { since: at(since), known: known.into() };
            assert_eq!(first_day(folder, &place(), &wanted), at(want));
        }
    }

    #[test]
    fn refusals_by_kms_say_so_and_kinds_are_told_once() {
        let denied = |message: &str| {
            let mut failure = Failure::of_kind(&GET_OBJECT, FailureKind::Denied, message);
            failure.code = "AccessDenied".to_owned();
            explained(failure, "s3://b/k")
        };
        let mut failures = Failures::default();
        for _ in 0..3 {
            failures.add(denied("User: x is not authorized to perform: kms:Decrypt on the resource"));
        }
        failures.add(denied("Access Denied"));
        assert!(!failures.hopeless());
        let told: Vec<String> = failures.told().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().any(|text| text.contains("it needs kms:Decrypt") && text.contains("(and 2 others)")),
            "{told:?}"
        );
        assert!(
            told.iter().any(|text| text.contains("it needs s3:GetObject") && text.contains("s3://b/k")),
            "{told:?}"
        );
        assert!(CALLS.iter().any(|call| **call == GET_OBJECT));
    }

    #[test]
    fn nothing_but_failures_ends_it() {
        let mut failures = Failures::default();
        for _ in 0..HOPELESS {
            failures.add(Failure::of_kind(&GET_OBJECT, FailureKind::Denied, "x"));
        }
        assert!(failures.hopeless());
        failures.read = 1;
        assert!(!failures.hopeless());
        failures.add(Failure::of_kind(&GET_OBJECT, FailureKind::Credentials, "x"));
        assert!(failures.hopeless());
    }
}
