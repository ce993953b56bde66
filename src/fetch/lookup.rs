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
/// Numbers of parts that hold late records begin after all others.
const LATE_PARTS: usize = 1_000_000;
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
    // Of many regions that fail alike one tells; of those that an organisation policy closes none, unless it closes all.
    let all = ended.iter().all(|ended| ended.as_ref().is_err_and(Failure::is_closed));
    let mut failures: Vec<Failure> = Vec::new();
    for failure in ended.into_iter().filter_map(Result::err).filter(|failure| all || !failure.is_closed()) {
        if !failures.iter().any(|known| (known.kind, &known.code) == (failure.kind, &failure.code)) {
            failures.push(failure);
        }
    }
    failures
}

fn name_of(account: &str, region: &str, day: Timestamp) -> String {
    format!("cloudtrail://{account}/{region}/{}", day.day())
}

/// The oldest day that is to be asked about: the first that is not known, or was not over when it was.
fn oldest(account: &str, region: &str, wanted: &Wanted, now: Timestamp) -> Option<Timestamp> {
    let mut day = now.plus_seconds(-HISTORY_DAYS * DAY_SECONDS).max(wanted.since).day().start();
    while day < now {
        let over = day.plus_seconds(DAY_SECONDS + SETTLE_SECONDS);
        let known = wanted.known.get(&name_of(account, region, day));
        if known.is_none_or(|(_, at)| *at < over) {
            return Some(day);
        }
        day = day.plus_seconds(DAY_SECONDS);
    }
    None
}

/// Reads back from now to the oldest day that is wanted. Answers begin with the newest event, so a day is whole when an
/// older one is told of; then it is handed on, also a day without events.
async fn history(
    access: Access,
    account: &str,
    region: &str,
    wanted: &Wanted,
    now: Timestamp,
    send: &Sender<Message>,
) -> Result<(), Failure> {
    let Some(oldest) = oldest(account, region, wanted, now) else { return Ok(()) };
    let client = access.cloudtrail();
    let seconds = |at: Timestamp| DateTime::from_secs(at.micros().div_euclid(1_000_000));
    let mut days = Days::new(now);
    let mut pages = Pages::default();
    while let Some(token) = pages.next() {
        let request = client.lookup_events().start_time(seconds(oldest)).end_time(seconds(now)).max_results(PAGE);
        let page = access.call(&LOOKUP_EVENTS, || request.set_next_token(token).send()).await?;
        for event in page.events() {
            let (Some(time), Some(text)) = (event.event_time(), event.cloud_trail_event()) else {
                let message = "an event without its time or its record";
                return Err(Failure::new(&LOOKUP_EVENTS, FailureKind::Service, "", message));
            };
            days.add(Timestamp::from_seconds(time.secs()), text);
        }
        pages.after(&LOOKUP_EVENTS, page.next_token())?;
        for (day, part, bytes) in days.over() {
            hand_on(account, region, day, part, bytes, now, send).await;
        }
    }
    for (day, part, bytes) in days.rest(oldest) {
        hand_on(account, region, day, part, bytes, now, send).await;
    }
    Ok(())
}

async fn hand_on(
    account: &str,
    region: &str,
    day: Timestamp,
    part: usize,
    bytes: Vec<u8>,
    now: Timestamp,
    send: &Sender<Message>,
) {
    let name = name_of(account, region, day);
    // The day is known by the object without a number, which comes last.
    let name = if part == 0 { name } else { format!("{name}.{part}") };
    let log = Log { name, modified: now, bytes, complete: true };
    // Nobody listens only where the run ends.
    let _ = send.send(Message::Log(account.to_owned(), log)).await;
}

/// Records by day, from the newest day back.
struct Days {
    /// The day at hand, which is not over; days after it were handed on.
    day: Timestamp,
    records: Records,
    parts: usize,
    over: Vec<(Timestamp, usize, Vec<u8>)>,
    /// Records of days that were over: against what AWS says, but nothing is lost.
    late: usize,
}

impl Days {
    fn new(now: Timestamp) -> Self {
        let (day, records) = (now.day().start(), Records::default());
        Self { day, records, parts: 0, over: Vec::new(), late: 0 }
    }

    fn add(&mut self, time: Timestamp, text: &str) {
        let day = time.day().start();
        if day > self.day {
            self.late += 1;
            let mut alone = Records::default();
            alone.add(text);
            self.over.push((day, LATE_PARTS + self.late, alone.take()));
            return;
        }
        while self.day > day {
            self.end_day();
        }
        self.records.add(text);
        if self.records.text.len() > PART_BYTES {
            self.parts += 1;
            self.over.push((self.day, self.parts, self.records.take()));
        }
    }

    fn end_day(&mut self) {
        self.over.push((self.day, 0, self.records.take()));
        self.parts = 0;
        self.day = self.day.plus_seconds(-DAY_SECONDS);
    }

    /// What is whole by now.
    fn over(&mut self) -> Vec<(Timestamp, usize, Vec<u8>)> {
        std::mem::take(&mut self.over)
    }

    /// All that is left, down to the oldest day.
    fn rest(mut self, oldest: Timestamp) -> Vec<(Timestamp, usize, Vec<u8>)> {
        while self.day >= oldest {
            self.end_day();
        }
        self.over
    }
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
            oldest("1", "r", &wanted, now).map(|day| day.day().to_string())
        };
        assert_eq!(of(Known::new(), "2026-03-08").as_deref(), Some("2026-03-08"));
        assert_eq!(of(Known::new(), "2020-01-01").as_deref(), Some("2025-12-10"));
        let known = |day: &str, read: &str| (name_of("1", "r", at(day)), (10, at(read)));
        let mut all: Known = [
            known("2026-03-08", "2026-03-09T02:00:00Z"),
            known("2026-03-09", "2026-03-10T01:59:59Z"),
            known("2026-03-10", "2026-03-10T11:00:00Z"),
        ]
        .into();
        assert_eq!(of(all.clone(), "2026-03-08").as_deref(), Some("2026-03-09"));
        all.extend([known("2026-03-09", "2026-03-10T02:00:00Z")]);
        assert_eq!(of(all, "2026-03-08").as_deref(), Some("2026-03-10"));
    }

    #[test]
    fn days_are_handed_on_when_older_ones_are_told_of() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let shown = |days: Vec<(Timestamp, usize, Vec<u8>)>| -> Vec<String> {
            let one = |(day, part, bytes): (Timestamp, usize, Vec<u8>)| {
                format!("{}.{part} {}", day.day(), String::from_utf8(bytes).unwrap())
            };
            days.into_iter().map(one).collect()
        };
        let mut days = Days::new(at("2026-03-10T12:00:00Z"));
        days.add(at("2026-03-10T11:00:00Z"), "1");
        days.add(at("2026-03-10T10:00:00Z"), "2");
        assert!(days.over().is_empty());
        days.add(at("2026-03-08T10:00:00Z"), "3");
        days.add(at("2026-03-09T10:00:00Z"), "4");
        let want = [
            r#"2026-03-10.0 {"Records":[1,2]}"#,
            r#"2026-03-09.0 {"Records":[]}"#,
            r#"2026-03-09.1000001 {"Records":[4]}"#,
        ];
        assert_eq!(shown(days.over()), want);
        let want = [r#"2026-03-08.0 {"Records":[3]}"#, r#"2026-03-07.0 {"Records":[]}"#];
        assert_eq!(shown(days.rest(at("2026-03-07"))), want);
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
