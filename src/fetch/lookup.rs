//! The event history of an account: management events of the last 90 days, region by region, for accounts that no trail
//! records.

use aws_smithy_types::DateTime;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc::Sender;

use crate::model::time::Timestamp;

use super::access::{Access, Pages};
use super::calls::LOOKUP_EVENTS;
use super::events::{Log, Wanted};
use super::failure::{Failure, FailureKind};
use super::run::Message;

/// Events a page: the most that there are. Source: CloudTrail API reference, "LookupEvents".
const PAGE: i32 = 50;
/// How far the history reaches. Source: "Working with CloudTrail event history", CloudTrail User Guide.
const HISTORY_DAYS: i64 = 90;
/// Regions that are asked at once; each has a quota of its own.
const REGIONS_AT_ONCE: usize = 16;
/// Events come into the history within minutes, seldom later: until then a day is not over.
const SETTLE_SECONDS: i64 = 2 * 3600;
/// Text of one object, at most: a busy day becomes several.
const PART_BYTES: usize = 16 << 20;
const DAY_SECONDS: i64 = 86_400;

/// Hands on the events of every region, a day at a time; says what could not be had.
pub(super) async fn fetch(
    access: &Access,
    account: &str,
    regions: &[String],
    wanted: &Wanted,
    now: Timestamp,
    send: &Sender<Message>,
) -> Vec<Failure> {
    let asked = regions.iter().map(|region| history(access.at(region), account, region, wanted, now, send));
    let asked: Vec<_> = asked.collect();
    let ended: Vec<Result<(), Failure>> = stream::iter(asked).buffer_unordered(REGIONS_AT_ONCE).collect().await;
    // Of many regions that fail alike one tells.
    let mut failures: Vec<Failure> = Vec::new();
    for failure in ended.into_iter().filter_map(Result::err) {
        if !failures.iter().any(|known| (known.kind, &known.code) == (failure.kind, &failure.code)) {
            failures.push(failure);
        }
    }
    failures
}

fn name_of(account: &str, region: &str, day: Timestamp) -> String {
    format!("cloudtrail://{account}/{region}/{}", day.day())
}

/// The days that are to be asked about: those that are not known, or were not over when they were.
fn days(account: &str, region: &str, wanted: &Wanted, now: Timestamp) -> Vec<Timestamp> {
    let oldest = now.plus_seconds(-HISTORY_DAYS * DAY_SECONDS).max(wanted.since).day().start();
    let mut days = Vec::new();
    let mut day = oldest;
    while day < now {
        let over = day.plus_seconds(DAY_SECONDS + SETTLE_SECONDS);
        let known = wanted.known.get(&name_of(account, region, day));
        if known.is_none_or(|(_, at)| *at < over) {
            days.push(day);
        }
        day = day.plus_seconds(DAY_SECONDS);
    }
    days
}

async fn history(
    access: Access,
    account: &str,
    region: &str,
    wanted: &Wanted,
    now: Timestamp,
    send: &Sender<Message>,
) -> Result<(), Failure> {
    for day in days(account, region, wanted, now) {
        let name = name_of(account, region, day);
        let (client, mut pages, mut records, mut parts) = (access.cloudtrail(), Pages::default(), Records::default(), 0);
        let seconds = day.micros().div_euclid(1_000_000);
        while let Some(token) = pages.next() {
            // Both ends belong to what is asked for.
            let (start, end) = (DateTime::from_secs(seconds), DateTime::from_secs(seconds + DAY_SECONDS - 1));
            let request = client.lookup_events().start_time(start).end_time(end).max_results(PAGE);
            let page = access.call(&LOOKUP_EVENTS, || request.set_next_token(token).send()).await?;
            for event in page.events() {
                match event.cloud_trail_event() {
                    Some(text) => records.add(text),
                    None => {
                        let message = "an event without its record";
                        return Err(Failure::new(&LOOKUP_EVENTS, FailureKind::Service, "", message));
                    }
                }
            }
            pages.after(&LOOKUP_EVENTS, page.next_token())?;
            if records.text.len() > PART_BYTES {
                parts += 1;
                let log = Log { name: format!("{name}.{parts}"), modified: now, bytes: records.take(), complete: true };
                let _ = send.send(Message::Log(log)).await;
            }
        }
        // The day is known by this one, so it comes last; also of a day without events.
        let log = Log { name, modified: now, bytes: records.take(), complete: true };
        let _ = send.send(Message::Log(log)).await;
    }
    Ok(())
}

/// Records as a log file has them.
#[derive(Debug, Default)]
struct Records {
    text: String,
}

impl Records {
    fn add(&mut self, record: &str) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(record);
    }

    fn take(&mut self) -> Vec<u8> {
        format!("{{\"Records\":[{}]}}", std::mem::take(&mut self.text)).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::events::Known;

    #[test]
    fn days_that_were_not_over_are_asked_again() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-10T12:00:00Z");
        let of = |known: Known, since: &str| {
            let wanted = Wanted { since: at(since), known: known.into() };
            days("1", "r", &wanted, now).iter().map(|day| day.day().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(Known::new(), "2026-03-08"), ["2026-03-08", "2026-03-09", "2026-03-10"]);
        assert_eq!(of(Known::new(), "2020-01-01").len(), HISTORY_DAYS as usize + 1);
        let known = |day: &str, read: &str| (name_of("1", "r", at(day)), (10, at(read)));
        let all: Known = [
            known("2026-03-08", "2026-03-09T02:00:00Z"),
            known("2026-03-09", "2026-03-10T01:59:59Z"),
            known("2026-03-10", "2026-03-10T11:00:00Z"),
        ]
        .into();
        assert_eq!(of(all, "2026-03-08"), ["2026-03-09", "2026-03-10"]);
    }

    #[test]
    fn records_make_a_log_file() {
        let mut records = Records::default();
        assert_eq!(records.take(), br#"{"Records":[]}"#);
        records.add(r#"{"eventID":"a"}"#);
        records.add(r#"{"eventID":"b"}"#);
        assert_eq!(records.take(), br#"{"Records":[{"eventID":"a"},{"eventID":"b"}]}"#);
        assert_eq!(records.take(), br#"{"Records":[]}"#);
    }
}
