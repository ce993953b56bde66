//! People who leave in the random organisations, and what their proofs may say of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::Place;
use super::super::recommend::text;
use super::after::all_records;
use super::random::Random;

/// The roster, in which a few people leave within the window, and who does, by e-mail address, with the last day.
pub(super) fn leavers(random: &mut Random, old: &str) -> (String, BTreeMap<String, String>) {
    let mut rows = csv::Reader::from_reader(old.as_bytes());
    let header = rows.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|one| one == name).unwrap();
    let (kind, email, end) = (at("kind"), at("email"), at("end"));
    let mut left = BTreeMap::new();
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(&header).unwrap();
    for row in rows.records() {
        let mut row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
        if row[kind] == "human" && row[end].is_empty() && random.one_in(4) {
            // Half of them with the last week's last working day, after which the logs show few: the others work on, and have
            // a roster that is wrong.
            row[end] = match random.one_in(2) {
                true => "2026-10-30".into(),
                false => format!("2026-{:02}-{:02}", 8 + random.below(3), 1 + random.below(28)),
            };
            left.insert(row[email].clone(), row[end].clone());
        }
        out.write_record(&row).unwrap();
    }
    (String::from_utf8(out.into_inner().unwrap()).unwrap(), left)
}

/// The last day on which the logs name somebody, as a session, its source identity or an IAM user.
pub(super) fn last_seen(place: &Place) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for record in all_records(place).values() {
        let arn = text(record, "/userIdentity/arn").rsplit('/').next().unwrap();
        let day = text(record, "/eventTime").split('T').next().unwrap();
        for name in
            [arn, text(record, "/userIdentity/sessionContext/sourceIdentity"), text(record, "/userIdentity/userName")]
        {
            let last = seen.entry(name.to_owned()).or_default();
            *last = std::mem::take(last).max(day.to_owned());
        }
    }
    seen
}

/// Nobody is refused but who has left; and what is not certain of them is told apart.
pub(super) fn nobody_is_denied(
    proof: &str,
    ended: &BTreeMap<String, String>,
    seen: &BTreeMap<String, String>,
    seed: u64,
) -> (usize, usize) {
    let (mut left, mut later) = (0, 0);
    for row in proof.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let person = text(&row, "/person");
        let last = [person, person.split('@').next().unwrap()].iter().filter_map(|name| seen.get(*name)).max();
        let works_on = |day: &String| last.is_some_and(|last| last > day);
        match (text(&row, "/verdict"), ended.get(person)) {
            // Who works on has not left, whatever the roster says; and a user's keys may be a program's.
            ("would_be_denied", day) => {
                let by_user = text(&row, "/principal").contains(":user/");
                assert!(day.is_some_and(|day| by_user || works_on(day)), "seed {seed}: {row:#}");
                later += 1;
            }
            ("person_left", day) => {
                assert!(day.is_some_and(|day| !works_on(day)), "seed {seed}: {row:#}");
                left += 1;
            }
            _ => {}
        }
    }
    (left, later)
}
