//! Trails: what the CloudTrail commands answer about them, as many answers in one file as somebody gathered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::text;
use super::{CollectError, FileKind, unusable};
use crate::model::defect::{Defect, Parsed, Place};
use crate::model::time::{MICROS_PER_SECOND, Timestamp};
use crate::model::trail::{Selectors, TrailState, get, text as text_of, trail_arn};

/// Reads the answers of `aws cloudtrail describe-trails`, `get-trail`, `get-event-selectors`, `get-trail-status` and
/// `get-insight-selectors`: one JSON value, several after each other (NDJSON), or an array of them.
///
/// An answer of `get-trail-status` names no trail: it belongs to the trail that somebody added to it (`TrailARN` or
/// `Name`), else to the only trail of the file, and is a defect where there are several. Insights selectors say
/// nothing about calls and are passed over.
///
/// # Errors
/// Fails where the file is not text, is of another kind, or holds no answer about a trail.
pub fn trails(bytes: &[u8], file: &str, captured_at: Timestamp) -> Result<Parsed<Vec<TrailState>>, CollectError> {
    const WANTED: FileKind = FileKind::Trails;
    let decoded = text::decode(bytes, file)?;
    let mut reader =
        Reader { file, captured_at, states: Vec::new(), statuses: Vec::new(), defects: Vec::new(), answers: 0 };
    for (at, value) in serde_json::Deserializer::from_str(&decoded).into_iter::<Value>().enumerate() {
        let value = value.map_err(|error| unusable(bytes, file, WANTED, error.to_string()))?;
        match value {
            Value::Array(list) => {
                for (inside, one) in list.iter().enumerate() {
                    reader.answer(one, &format!("[{at}][{inside}]"));
                }
            }
            one => reader.answer(&one, &format!("[{at}]")),
        }
    }
    if reader.answers == 0 {
        return Err(unusable(bytes, file, WANTED, "no trailList, Trail, EventSelectors or IsLogging".to_owned()));
    }
    reader.place_statuses();
    reader.states.sort();
    reader.states.dedup();
    Ok(Parsed { value: reader.states, defects: reader.defects })
}

struct Reader<'f> {
    file: &'f str,
    captured_at: Timestamp,
    states: Vec<TrailState>,
    /// Statuses with the name or ARN that somebody added to them, and their places.
    statuses: Vec<(Option<String>, Value, String)>,
    defects: Vec<Defect>,
    /// Values that were answers about trails, understood or not.
    answers: usize,
}

impl Reader<'_> {
    fn defect(&mut self, path: String, reason: impl Into<String>) {
        self.defects.push(Defect { place: Place::path(self.file, path), reason: reason.into() });
    }

    fn answer(&mut self, value: &Value, path: &str) {
        let before = self.answers;
        if let Some(list) = get(value, "trailList") {
            self.answers += 1;
            match list.as_array() {
                Some(list) => {
                    for (at, trail) in list.iter().enumerate() {
                        self.settings(trail, format!("{path}.trailList[{at}]"));
                    }
                }
                None => self.defect(format!("{path}.trailList"), "not a list"),
            }
        }
        if let Some(trail) = get(value, "Trail") {
            self.answers += 1;
            self.settings(trail, format!("{path}.Trail"));
        }
        if get(value, "EventSelectors").is_some() || get(value, "AdvancedEventSelectors").is_some() {
            self.answers += 1;
            self.selectors(value, path);
        }
        if get(value, "IsLogging").is_some() {
            self.answers += 1;
            let named = text_of(value, "TrailARN").or_else(|| text_of(value, "Name"));
            self.statuses.push((named, value.clone(), path.to_owned()));
        }
        if get(value, "InsightSelectors").is_some() {
            self.answers += 1;
        }
        if self.answers == before {
            self.defect(path.to_owned(), "no answer about a trail that this program knows");
        }
    }

    /// An entry of `describe-trails`, or the answer of `get-trail`. Source: "Trail", AWS CloudTrail API Reference.
    fn settings(&mut self, trail: &Value, path: String) {
        let Some(arn) = text_of(trail, "TrailARN").filter(|arn| trail_arn(arn).is_some()) else {
            return self.defect(path, "no TrailARN such as arn:aws:cloudtrail:us-east-1:111111111111:trail/name");
        };
        let flag = |name| get(trail, name).and_then(Value::as_bool);
        let mut state = TrailState::new(arn, self.captured_at);
        state.multi_region = flag("IsMultiRegionTrail");
        state.global_events = flag("IncludeGlobalServiceEvents");
        state.organization = flag("IsOrganizationTrail");
        // A trail without selectors of its own has those of a new one.
        if flag("HasCustomEventSelectors") == Some(false) {
            state.selectors = Some(Selectors::of_new_trail());
        }
        self.states.push(state);
    }

    fn selectors(&mut self, value: &Value, path: &str) {
        let Some(arn) = text_of(value, "TrailARN").filter(|arn| trail_arn(arn).is_some()) else {
            return self.defect(path.to_owned(), "selectors without the TrailARN that they belong to");
        };
        let mut state = TrailState::new(arn, self.captured_at);
        state.selectors = Selectors::of_json(value);
        if state.selectors.is_none() {
            return self.defect(path.to_owned(), "no selectors that can be read");
        }
        self.states.push(state);
    }

    fn place_statuses(&mut self) {
        let arns: BTreeSet<String> = self.states.iter().map(|state| state.arn.clone()).collect();
        for (named, value, path) in std::mem::take(&mut self.statuses) {
            let mut fits = arns.iter().filter(|arn| match &named {
                None => true,
                Some(named) => *arn == named || trail_arn(arn).is_some_and(|(_, _, _, name)| name == named),
            });
            let arn = match (fits.next(), fits.next(), &named) {
                (Some(only), None, _) => only.clone(),
                (None, _, Some(arn)) if trail_arn(arn).is_some() => arn.clone(),
                _ => {
                    let reason = "a status that names no trail; add TrailARN to it, or keep it with one trail only";
                    self.defect(path, reason);
                    continue;
                }
            };
            let Some(logging) = get(&value, "IsLogging").and_then(Value::as_bool) else {
                self.defect(path, "IsLogging is neither true nor false");
                continue;
            };
            let mut state = TrailState::new(arn, self.captured_at);
            state.logging = Some(logging);
            state.logging_since = time(&value, if logging { "StartLoggingTime" } else { "StopLoggingTime" })
                .filter(|since| *since <= self.captured_at);
            self.states.push(state);
        }
    }
}

/// A time as the command line prints it: RFC 3339 (version 2), or seconds since the epoch (version 1).
fn time(value: &Value, name: &str) -> Option<Timestamp> {
    match get(value, name)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(seconds) => {
            let micros = seconds.as_f64()? * MICROS_PER_SECOND as f64;
            // Casts saturate; no time that AWS prints comes near.
            micros.is_finite().then_some(Timestamp::from_micros(micros as i64))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:cloudtrail:eu-west-1:111111111111:trail/main";

    fn read(text: &str) -> Parsed<Vec<TrailState>> {
        trails(text.as_bytes(), "t.json", "2026-11-01".parse().unwrap()).unwrap()
    }

    fn described(name: &str, more: &str) -> String {
        format!(
            r#"{{"Name":"{name}","TrailARN":"arn:aws:cloudtrail:eu-west-1:111111111111:trail/{name}","HomeRegion":"eu-west-1",
            "IsMultiRegionTrail":true,"IncludeGlobalServiceEvents":true,"IsOrganizationTrail":false{more}}}"#
        )
    }

    #[test]
    fn several_answers_in_one_file() {
        let text = format!(
            "{{\"trailList\":[{}]}}\n{{\"TrailARN\":\"{ARN}\",\"EventSelectors\":[{{\"ReadWriteType\":\"WriteOnly\"}}]}}\n{}",
            described("main", ""),
            r#"{"IsLogging":true,"StartLoggingTime":"2026-08-01T10:00:00.5+00:00"}{"InsightSelectors":[]}"#
        );
        let Parsed { value, defects } = read(&text);
        assert_eq!((value.len(), defects.len()), (3, 0), "{defects:?}");
        assert!(value.iter().all(|state| state.arn == ARN));
        assert!(value.iter().any(|state| state.multi_region == Some(true) && state.selectors.is_none()));
        let status = value.iter().find(|state| state.logging == Some(true)).unwrap();
        assert_eq!(status.logging_since.unwrap().to_string(), "2026-08-01T10:00:00.5Z");
        let get_trail = read(&format!(r#"{{"Trail":{}}}"#, described("main", r#","HasCustomEventSelectors":false"#)));
        assert_eq!(get_trail.value[0].selectors, Some(Selectors::of_new_trail()));
        let old = read(&format!(
            r#"[{{"Trail":{}}},{{"IsLogging":false,"StopLoggingTime":1793400000.25}}]"#,
            described("main", "")
        ));
        assert!(old.value.iter().any(|state| state.logging_since.is_some() && state.logging == Some(false)));
    }

    #[test]
    fn a_status_belongs_to_the_trail_that_it_names_or_to_the_only_one() {
        let two = format!(r#"{{"trailList":[{},{}]}}"#, described("main", ""), described("other", ""));
        let statuses = |text: &str| {
            let parsed = read(text);
            let found = parsed.value.iter().filter(|state| state.logging.is_some()).map(|state| state.arn.clone());
            (found.collect::<Vec<_>>(), parsed.defects.len())
        };
        assert_eq!(statuses(&format!(r#"{two}{{"IsLogging":true}}"#)), (vec![], 1));
        assert_eq!(statuses(&format!(r#"{two}{{"IsLogging":true,"Name":"main"}}"#)), (vec![ARN.to_owned()], 0));
        assert_eq!(statuses(&format!(r#"{{"IsLogging":true,"TrailARN":"{ARN}"}}"#)), (vec![ARN.to_owned()], 0));
        assert_eq!(statuses(r#"{"IsLogging":true}"#), (vec![], 1));
        assert_eq!(statuses(&format!(r#"{{"IsLogging":"x","TrailARN":"{ARN}"}}"#)), (vec![], 1));
    }

    #[test]
    fn what_cannot_be_read_is_a_defect_and_another_kind_an_error() {
        let parsed = read(&format!(
            r#"{{"trailList":[{{"Name":"x"}},{}]}}{{"EventSelectors":[]}}{{"TrailARN":"{ARN}","EventSelectors":[]}}{{"a":1}}"#,
            described("main", "")
        ));
        assert_eq!((parsed.value.len(), parsed.defects.len()), (1, 4), "{:?}", parsed.defects);
        let bad = |text: &str| trails(text.as_bytes(), "f", Timestamp::default()).unwrap_err().to_string();
        assert!(bad(r#"{"Records":[]}"#).contains("use `jitscan ingest cloudtrail`"));
        assert!(bad("").contains("expected"));
        assert!(bad(r#"{"trailList":["#).contains("EOF"));
    }
}
