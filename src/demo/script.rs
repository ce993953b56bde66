//! What happens in the ninety days: planted acts, the activity of grants, and routine that the seed moves about.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::DemoError;
use super::calls::Call;
use super::emit::{Emitter, Parts};
use super::grants::Grant;
use super::rng::{Rng, named_address, named_uuid};
use super::world::{fixture, user_id};
use crate::model::time::Timestamp;

/// Planted facts reach so many days back; shorter demos are lengthened to it.
pub(super) const PLANTED_DAYS: u32 = 90;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days before the end on which KMS rotated a key by itself (fact F37).
const ROTATION_DAYS: [i64; 6] = [80, 65, 50, 35, 20, 5];
/// When somebody tried a dormant user's password in vain (fact F47): days before the end, time of day.
const FAILED_SIGN_INS: [(i64, &str); 3] = [(14, "03:11"), (14, "03:12"), (14, "03:14")];

/// Days before the end: a list, or every so many days.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Days {
    List(Vec<i64>),
    Every { from: i64, to: i64, every: usize },
}

impl Days {
    fn all(&self) -> Vec<i64> {
        match self {
            Self::List(days) => days.clone(),
            Self::Every { from, to, every } => (*to..=*from).rev().step_by((*every).max(1)).collect(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    #[serde(rename = "fact")]
    _fact: String,
    who: String,
    days: Days,
    at: String,
    calls: Vec<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    twice: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Routine {
    who: String,
    #[serde(default)]
    people: Vec<String>,
    regions: Vec<String>,
    /// Sessions a day and region, spread over the day: machines.
    #[serde(default)]
    per_day: i64,
    /// Percentage of working days with a session: people.
    #[serde(default)]
    workday_chance: u64,
    /// Calls a session, from and to.
    pick: (u64, u64),
    calls: Vec<String>,
}

/// The instant `at` (`HH:MM`) on the day that many days before the end: 1 is the last day of the window.
pub(super) fn moment(end: Timestamp, days_ago: i64, at: &str) -> Result<Timestamp, DemoError> {
    let minutes = at
        .split_once(':')
        .and_then(|(hours, minutes)| Some(hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?))
        .ok_or_else(|| DemoError::unknown("time of day", at))?;
    Ok(end.plus_days(-days_ago).plus_seconds(minutes * 60))
}

/// Plants the facts.
pub(super) fn plant(emitter: &mut Emitter<'_>, end: Timestamp) -> Result<(), DemoError> {
    let planted: Vec<Planted> = fixture("planted.json", include_str!("../../fixtures/demo/planted.json"))?;
    let world = emitter.world;
    for item in &planted {
        let region = item.region.as_deref().unwrap_or("us-east-1");
        let calls = item.calls.iter().map(|text| world.resolve(text)).collect::<Vec<_>>();
        for days_ago in item.days.all() {
            let day = format!("{days_ago:02}");
            let who = item.who.replace("{day}", &day);
            let (session, mut at) = emitter.open(&who, moment(end, days_ago, &item.at)?, region)?;
            for text in &calls {
                let text = text.replace("{day}", &day);
                let call = Call::parse(world, &text)?;
                emitter.call(&session, &call, at, region, item.twice)?;
                at = at.plus_seconds(25);
            }
        }
    }
    service_events(emitter, end)?;
    failed_sign_ins(emitter, end)
}

/// What AWS does by itself: records without an identity type.
fn service_events(emitter: &mut Emitter<'_>, end: Timestamp) -> Result<(), DemoError> {
    let account = emitter.world.account("production")?.to_owned();
    let key = format!("arn:aws:kms:us-east-1:{account}:key/{}", named_uuid("kms key orders"));
    for days_ago in ROTATION_DAYS {
        let mut identity = Map::new();
        identity.insert("accountId".to_owned(), json!(account));
        identity.insert("invokedBy".to_owned(), json!("AWS Internal"));
        let parts = Parts {
            source: "kms.amazonaws.com".to_owned(),
            name: "RotateKey".to_owned(),
            region: "us-east-1".to_owned(),
            resources: json!([{"accountId": account, "type": "AWS::KMS::Key", "ARN": key}]),
            event_type: "AwsServiceEvent",
            ..Parts::default()
        };
        let at = moment(end, days_ago, "23:40")?;
        emitter.record("production", identity, ("AWS Internal", "AWS Internal"), at, parts, false)?;
    }
    Ok(())
}

/// Failed sign-ins carry no error code and no ARN, only a message and `ConsoleLogin: Failure`.
///
/// Source: "AWS Management Console sign-in events", AWS CloudTrail User Guide.
fn failed_sign_ins(emitter: &mut Emitter<'_>, end: Timestamp) -> Result<(), DemoError> {
    let account = emitter.world.account("production")?.to_owned();
    let name = "j.former";
    emitter.world.user("production", name)?;
    for (days_ago, at) in FAILED_SIGN_INS {
        let mut identity = Map::new();
        for (field, value) in [
            ("type", "IAMUser"),
            ("principalId", user_id("production", name, false).as_str()),
            ("accountId", account.as_str()),
            ("accessKeyId", ""),
            ("userName", name),
        ] {
            identity.insert(field.to_owned(), json!(value));
        }
        let parts = Parts {
            source: "signin.amazonaws.com".to_owned(),
            name: "ConsoleLogin".to_owned(),
            region: "us-east-1".to_owned(),
            error: Some((String::new(), "Failed authentication".to_owned())),
            response: json!({"ConsoleLogin": "Failure"}),
            extra: json!({
                "LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": "No",
            }),
            event_type: "AwsConsoleSignIn",
            ..Parts::default()
        };
        let address = named_address("stranger");
        let at = moment(end, days_ago, at)?;
        emitter.record("production", identity, (&address, "curl/8.5.0"), at, parts, false)?;
    }
    Ok(())
}

/// What was done under (and beside) the grants.
pub(super) fn act_on_grants(emitter: &mut Emitter<'_>, grants: &[Grant], end: Timestamp) -> Result<(), DemoError> {
    let world = emitter.world;
    for grant in grants {
        let start = grant.start(end)?;
        // All acts through one door share one session, which may outlive the grant.
        let mut open: Vec<(String, super::emit::Session)> = Vec::new();
        for act in &grant.acts {
            let at = start.plus_seconds(act.minute * 60);
            let door = act.through.as_deref().unwrap_or(&grant.through);
            let chain = grant.chain(door)?;
            let known = open.iter().find(|(known, _)| *known == chain).map(|(_, session)| session.clone());
            let session = match known {
                Some(session) => session,
                None => {
                    let (session, _) = emitter.open(&chain, at.plus_seconds(-120), "us-east-1")?;
                    open.push((chain, session.clone()));
                    session
                }
            };
            let text = world.resolve(&act.call);
            emitter.call(&session, &Call::parse(world, &text)?, at, "us-east-1", false)?;
        }
    }
    Ok(())
}

/// Everyday noise: the only part that the seed changes beyond ids.
pub(super) fn routine(emitter: &mut Emitter<'_>, seed: u64, end: Timestamp, days: u32) -> Result<(), DemoError> {
    let routines: Vec<Routine> = fixture("routine.json", include_str!("../../fixtures/demo/routine.json"))?;
    for (index, item) in routines.iter().enumerate() {
        if item.people.is_empty() {
            let mut rng = Rng::stream(seed, &format!("routine {index}"));
            machine(emitter, &mut rng, item, end, days)?;
        }
        for person in &item.people {
            let mut rng = Rng::stream(seed, &format!("routine {index} {person}"));
            at_work(emitter, &mut rng, item, person, end, days)?;
        }
    }
    Ok(())
}

/// Hours between backups: the logs of no account and region fall silent for longer.
const BACKUP_HOURS: i64 = 4;
/// Hours of logs before and after the window: what lies there shows that silence at its ends is silence.
const AROUND_HOURS: i64 = 8;

/// Backups that AWS makes by itself, in every account and region, day and night. Source: "Logging AWS Backup API calls
/// with CloudTrail", AWS Backup Developer Guide.
pub(super) fn backups(emitter: &mut Emitter<'_>, end: Timestamp, days: u32) -> Result<(), DemoError> {
    let places: Vec<(String, String)> = emitter
        .world
        .logged_accounts()
        .flat_map(|(alias, _)| emitter.world.org.regions.iter().map(move |region| (alias.to_owned(), region.clone())))
        .collect();
    let hours = -i64::from(days) * 24 - AROUND_HOURS..AROUND_HOURS;
    for (account, region) in places {
        for hour in hours.clone().filter(|hour| hour.rem_euclid(BACKUP_HOURS) == 0) {
            let identity = json!({"accountId": emitter.world.account(&account)?, "invokedBy": BACKUP});
            let Value::Object(identity) = identity else { continue };
            let parts = Parts {
                source: BACKUP.to_owned(),
                name: "BackupJobCompleted".to_owned(),
                region: region.clone(),
                read_only: false,
                request: Value::Null,
                response: Value::Null,
                extra: Value::Null,
                resources: Value::Null,
                error: None,
                event_type: "AwsServiceEvent",
                data: false,
                shared: None,
                from_service: true,
                console: false,
            };
            let time = end.plus_seconds(hour * 3_600 + 11 * 60);
            emitter.record(&account, identity, (BACKUP, BACKUP), time, parts, false)?;
        }
    }
    Ok(())
}

/// The service that makes backups.
const BACKUP: &str = "backup.amazonaws.com";

fn machine(
    emitter: &mut Emitter<'_>,
    rng: &mut Rng,
    item: &Routine,
    end: Timestamp,
    days: u32,
) -> Result<(), DemoError> {
    let step = SECONDS_PER_DAY / item.per_day.max(1);
    for days_ago in (1..=i64::from(days)).rev() {
        for region in &item.regions {
            for turn in 0..item.per_day {
                // A session stays inside its part of the day, so that no day's work runs into the next.
                let jitter = i64::try_from(rng.below(step.unsigned_abs() / 2)).unwrap_or(0);
                let at = end.plus_days(-days_ago).plus_seconds(turn * step + jitter);
                session_of(emitter, rng, item, &item.who, region, at)?;
            }
        }
    }
    Ok(())
}

fn at_work(
    emitter: &mut Emitter<'_>,
    rng: &mut Rng,
    item: &Routine,
    person: &str,
    end: Timestamp,
    days: u32,
) -> Result<(), DemoError> {
    let who = item.who.replace("{person}", person);
    for days_ago in (1..=i64::from(days)).rev() {
        let midnight = end.plus_days(-days_ago);
        // 1970-01-01 was a Thursday: 2 and 3 are Saturday and Sunday.
        let weekend = matches!(midnight.day().0.rem_euclid(7), 2 | 3);
        if !rng.chance(if weekend { item.workday_chance / 20 } else { item.workday_chance }) {
            continue;
        }
        let seconds = i64::try_from(rng.between(7 * 3_600, 16 * 3_600)).unwrap_or(0);
        let region = rng.pick(&item.regions).cloned().unwrap_or_default();
        session_of(emitter, rng, item, &who, &region, midnight.plus_seconds(seconds))?;
    }
    Ok(())
}

fn session_of(
    emitter: &mut Emitter<'_>,
    rng: &mut Rng,
    item: &Routine,
    who: &str,
    region: &str,
    at: Timestamp,
) -> Result<(), DemoError> {
    let world = emitter.world;
    let (session, mut at) = emitter.open(who, at, region)?;
    for _ in 0..rng.between(item.pick.0, item.pick.1) {
        if let Some(text) = rng.pick(&item.calls) {
            at = at.plus_seconds(i64::try_from(rng.between(3, 240)).unwrap_or(3));
            emitter.call(&session, &Call::parse(world, text)?, at, region, false)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments() {
        assert_eq!(Days::List(vec![5, 3]).all(), [5, 3]);
        assert_eq!(Days::Every { from: 10, to: 1, every: 4 }.all(), [10, 6, 2]);
        let end: Timestamp = "2026-11-01".parse().unwrap();
        assert_eq!(moment(end, 1, "10:15").unwrap().to_string(), "2026-10-31T10:15:00Z");
        assert!(moment(end, 1, "noon").is_err());
    }
}
