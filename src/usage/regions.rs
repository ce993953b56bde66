//! Regions that recorded calls enabled: an account may use them, whatever the default is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fold::TrailCall;
use crate::model::event::Outcome;
use crate::model::trail::text;

/// Stands for the region of a call that does not name it: no logs can cover it.
pub const UNNAMED: &str = "a region that a recorded call enabled without a name";

/// Regions that calls may have enabled, by account. Source: "EnableRegion", AWS Account Management API Reference: a
/// call may be for another account of the organisation.
#[must_use]
pub fn enabled(calls: &[TrailCall]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let carried_out = |call: &&TrailCall| matches!(call.outcome, Outcome::Authorised | Outcome::Unknown);
    for call in calls.iter().filter(|call| call.name == "EnableRegion").filter(carried_out) {
        let request = serde_json::from_str(&call.request).unwrap_or(Value::Null);
        let account = text(&request, "AccountId").filter(|account| !account.is_empty());
        let region = text(&request, "RegionName").filter(|region| !region.is_empty());
        let region = region.unwrap_or_else(|| UNNAMED.to_owned());
        found.entry(account.unwrap_or_else(|| call.account.clone())).or_default().insert(region);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_enable_regions() {
        for (name, outcome, request, want) in [
            ("EnableRegion", Outcome::Authorised, r#"{"RegionName":"me-south-1"}"#, "1:me-south-1"),
            ("EnableRegion", Outcome::Unknown, r#"{"regionName":"me-south-1"}"#, "1:me-south-1"),
            ("EnableRegion", Outcome::Authorised, r#"{"AccountId":"2","RegionName":"af-south-1"}"#, "2:af-south-1"),
            ("EnableRegion", Outcome::Denied, r#"{"RegionName":"me-south-1"}"#, ""),
            ("DisableRegion", Outcome::Authorised, r#"{"RegionName":"me-south-1"}"#, ""),
            ("EnableRegion", Outcome::Authorised, "", &format!("1:{UNNAMED}")),
        ] {
            let call = TrailCall {
                time: "2026-01-01".parse().unwrap(),
                account: "1".into(),
                region: "us-east-1".into(),
                name: name.into(),
                outcome,
                error_code: String::new(),
                request: request.into(),
                response: String::new(),
                event_id: String::new(),
            };
            let found = enabled(&[call]);
            let shown = found.iter().flat_map(|(account, all)| all.iter().map(move |one| format!("{account}:{one}")));
            assert_eq!(shown.collect::<String>(), want, "{name} {request}");
        }
    }
}
