//! A trail of which only calls speak was off, and the logs of the time hold records: then another trail wrote them.

use std::collections::BTreeMap;

use super::{State, Trail, Trails, new_trail};
use crate::model::time::Timestamp;
use crate::usage::coverage::Coverage;

/// Spans in which a trail was off and others wrote, by account and region.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts(BTreeMap<String, BTreeMap<String, Vec<Conflict>>>);

/// Such a span.
#[derive(Clone, Copy, Debug)]
struct Conflict {
    from: Timestamp,
    to: Timestamp,
    /// Every hour of it has records or was quiet as the region is: another trail was on all the time.
    whole: bool,
}

impl Conflicts {
    /// What was done at a time at which the trail itself was off; none where nothing shows that any other was on.
    pub(super) fn state(&self, account: &str, region: &str, at: Timestamp) -> Option<State<'static>> {
        let spans = self.0.get(account)?.get(region)?;
        let found = spans.iter().find(|span| span.from <= at && at < span.to)?;
        Some(if found.whole {
            State::On { selectors: new_trail(), global_events: true }
        } else {
            State::Unclear("was off, and another trail that nobody knows recorded some hours")
        })
    }

    /// The regions of an account with such spans.
    pub(super) fn regions(&self, account: &str) -> impl Iterator<Item = &str> {
        self.0.get(account).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }
}

impl Trails {
    /// Holds a trail of which only calls speak against the logs, region by region. The hour of the call itself does not
    /// count: the trail recorded a part of it.
    pub(super) fn conflicts(&self, trail: &Trail, coverage: &Coverage) -> Conflicts {
        let mut found = Conflicts::default();
        let window = coverage.window();
        let mut edges: Vec<Timestamp> = trail.times().filter(|at| window.contains(*at)).collect();
        edges.push(window.from);
        edges.sort_unstable();
        edges.dedup();
        let ends: Vec<Timestamp> = edges.iter().skip(1).copied().chain([window.to]).collect();
        for account in coverage.accounts().filter(|account| self.covers(trail, account)) {
            for region in coverage.regions(account) {
                let off = |at: &Timestamp| matches!(trail.own_state(account, region, *at), State::Off(_));
                let spans = edges.iter().zip(&ends).filter(|(from, _)| off(from)).filter_map(|(from, to)| {
                    let first = if *from == window.from { from.hour() } else { from.hour().saturating_add(1) };
                    let (known, whole) = coverage.known_within(account, region, first, to.hour());
                    (known > 0).then_some(Conflict { from: *from, to: *to, whole })
                });
                let spans: Vec<Conflict> = spans.collect();
                if !spans.is_empty() {
                    found.0.entry(account.to_owned()).or_default().insert(region.to_owned(), spans);
                }
            }
        }
        found
    }
}
