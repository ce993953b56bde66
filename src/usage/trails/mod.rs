//! What CloudTrail was set to record, when and where: the trails as they were collected, walked backward and forward
//! along the recorded calls that changed them.
//!
//! Which trail wrote the logs in hand is not recorded in them. Trails whose settings were collected are taken for
//! their writers, and an account counts as recorded where any of them recorded it. Where no settings of an account's
//! trails were collected, trails that only calls speak of count as long as nothing was recorded while they were off:
//! logs of such hours come from a trail that nobody knows, and then nothing is said of the account.
//!
//! Event data stores are left out: their events are in the lake only where somebody exported them.

mod selectors;
mod track;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::event::Outcome;
use crate::model::time::{Timestamp, Window};
use crate::model::trail::{Selectors, TrailState, get, text, trail_arn};

use super::coverage::Coverage;
use super::fold::TrailCall;

pub use selectors::{Question, Recorded, Resources, is_whole_service, recorded};
pub use track::{Mark, Track};

/// A trail through time.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// The account that owns it.
    pub account: String,
    /// Its home region.
    pub home: String,
    /// Whether its settings were collected, and not only calls on it recorded.
    pub documented: bool,
    /// Whether no change of it within the window went unseen: its settings were collected within the window, and the
    /// logs of its account and home region are whole.
    pub changes_seen: bool,
    /// When its settings were collected.
    collected: Vec<Timestamp>,
    exists: Track<bool>,
    logging: Track<bool>,
    multi_region: Track<bool>,
    global_events: Track<bool>,
    organization: Track<bool>,
    selectors: Track<Selectors>,
}

/// What a trail did for an account and region over a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// It recorded what its selectors say.
    On {
        /// The selectors.
        selectors: &'a Selectors,
        /// Whether events of global services are among it.
        global_events: bool,
    },
    /// It recorded nothing of it, and why.
    Off(&'static str),
    /// Nobody knows, and what is missing.
    Unclear(&'static str),
}

/// A span of time over which no trail changed.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// First instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// Each trail and what it did.
    pub states: Vec<(&'a Trail, State<'a>)>,
}

impl Trail {
    fn new(arn: &str, home: &str, account: &str, name: &str) -> Self {
        let [arn, home, account, name] = [arn, home, account, name].map(str::to_owned);
        Self { arn, home, account, name, ..Self::default() }
    }

    fn tell(&mut self, state: &TrailState) {
        let (at, seen) = (state.captured_at, Mark::Seen);
        self.documented = true;
        self.collected.push(at);
        self.exists.add(at, seen, Some(true));
        for (track, value) in [
            (&mut self.multi_region, state.multi_region),
            (&mut self.global_events, state.global_events),
            (&mut self.organization, state.organization),
            (&mut self.logging, state.logging),
        ] {
            if value.is_some() {
                track.add(at, seen, value);
            }
        }
        if let (Some(_), Some(since)) = (state.logging, state.logging_since) {
            self.logging.add(since, Mark::Set, state.logging);
        }
        if state.selectors.is_some() {
            self.selectors.add(at, seen, state.selectors.clone());
        }
    }

    /// Takes in a call that was carried out. Source: "Actions", AWS CloudTrail API Reference.
    fn call(&mut self, call: &TrailCall, request: &Value, response: &Value) {
        let (at, set) = (call.time, Mark::Set);
        let flag = |name: &str| get(response, name).or_else(|| get(request, name)).and_then(Value::as_bool);
        match call.name.as_str() {
            "CreateTrail" => {
                self.exists.add(at, set, Some(true));
                // A new trail records nothing until it is started.
                self.logging.add(at, set, Some(false));
                self.selectors.add(at, set, Some(Selectors::of_new_trail()));
                self.multi_region.add(at, set, Some(flag("isMultiRegionTrail").unwrap_or(false)));
                self.global_events.add(at, set, Some(flag("includeGlobalServiceEvents").unwrap_or(true)));
                self.organization.add(at, set, Some(flag("isOrganizationTrail").unwrap_or(false)));
            }
            "UpdateTrail" => {
                // A parameter that is left out changes nothing; the answer names all settings.
                for (track, name) in [
                    (&mut self.multi_region, "isMultiRegionTrail"),
                    (&mut self.global_events, "includeGlobalServiceEvents"),
                    (&mut self.organization, "isOrganizationTrail"),
                ] {
                    if let Some(value) = flag(name) {
                        track.add(at, set, Some(value));
                    }
                }
                if request.is_null() && response.is_null() {
                    self.multi_region.add(at, set, None);
                }
            }
            "DeleteTrail" => self.exists.add(at, set, Some(false)),
            "StartLogging" => self.logging.add(at, set, Some(true)),
            "StopLogging" => self.logging.add(at, set, Some(false)),
            "PutEventSelectors" => {
                let put = Selectors::of_json(response).or_else(|| Selectors::of_json(request));
                self.selectors.add(at, set, put);
            }
            _ => {}
        }
    }

    /// Whether it existed, none where that is open. A trail that was made within the window did not exist before; any
    /// other call on a trail shows that it was there.
    fn existed(&self, at: Timestamp) -> Option<bool> {
        let Some(first) = self.exists.times().next() else { return Some(true) };
        match self.exists.at(at) {
            // Before the first thing known of it: made then, so not yet there; or deleted then, so still there.
            None if at < first => Some(self.exists.at(first) == Some(&false)),
            known => known.copied(),
        }
    }

    /// What it did at a time for a region of an account that it may cover.
    fn state(&self, account: &str, region: &str, at: Timestamp) -> State<'_> {
        match self.existed(at) {
            Some(true) => {}
            Some(false) => return State::Off("did not exist"),
            None => return State::Unclear("may not have existed"),
        }
        if account != self.account {
            match self.organization.at(at) {
                Some(true) => {}
                Some(false) => return State::Off("recorded its own account only"),
                None => return State::Unclear("may have recorded its own account only"),
            }
        }
        if region != self.home {
            match self.multi_region.at(at) {
                Some(true) => {}
                Some(false) => return State::Off("recorded its home region only"),
                // Of a trail that only calls speak of, its files say which regions it recorded.
                None if !self.documented && self.multi_region.is_empty() => {}
                None => return State::Unclear("may have recorded its home region only"),
            }
        }
        // Where nobody ever said whether it is on, its files say so.
        if !self.logging.is_empty() {
            match self.logging.at(at) {
                Some(true) => {}
                Some(false) => return State::Off("was stopped"),
                None => return State::Unclear("may have been stopped"),
            }
        }
        let global_events = self.global_events.at(at).copied().unwrap_or(true);
        match self.selectors.at(at) {
            Some(selectors) => State::On { selectors, global_events },
            None if !self.documented && self.selectors.is_empty() => {
                State::On { selectors: new_trail(), global_events }
            }
            None => State::Unclear("had selectors that nobody knows"),
        }
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let flags = [&self.exists, &self.logging, &self.multi_region, &self.global_events, &self.organization];
        flags.into_iter().flat_map(Track::times).chain(self.selectors.times())
    }

    /// Whether it surely recorded nothing of its own account at all.
    fn off(&self, at: Timestamp) -> bool {
        self.existed(at) == Some(false) || self.logging.at(at) == Some(&false)
    }
}

/// What a trail records that nobody is known to have changed.
fn new_trail() -> &'static Selectors {
    static NEW: std::sync::OnceLock<Selectors> = std::sync::OnceLock::new();
    NEW.get_or_init(Selectors::of_new_trail)
}

/// All trails that anything is known of.
#[derive(Clone, Debug, Default)]
pub struct Trails {
    trails: Vec<Trail>,
    /// Accounts of the organisation; none where nobody told.
    members: Option<BTreeSet<String>>,
    /// ARNs of trails that only calls speak of and that cannot have written the logs in hand alone.
    contradicted: BTreeSet<String>,
    window: Option<Window>,
}

impl Trails {
    /// Puts the trails together. `members` are the accounts of the organisation, none where nobody told.
    #[must_use]
    pub fn of(
        states: &[TrailState],
        calls: &[TrailCall],
        members: Option<BTreeSet<String>>,
        coverage: &Coverage,
    ) -> Self {
        let mut trails: BTreeMap<String, Trail> = BTreeMap::new();
        for state in states {
            let Some((_, home, account, name)) = trail_arn(&state.arn) else { continue };
            trails.entry(state.arn.clone()).or_insert_with(|| Trail::new(&state.arn, home, account, name)).tell(state);
        }
        let mut calls: Vec<&TrailCall> = calls.iter().filter(|call| call.outcome == Outcome::Authorised).collect();
        calls.sort();
        for call in calls {
            let [request, response] =
                [&call.request, &call.response].map(|json| serde_json::from_str(json).unwrap_or(Value::Null));
            let Some(arn) = arn_of(call, &request, &response) else { continue };
            let Some((_, home, account, name)) = trail_arn(&arn) else { continue };
            trails
                .entry(arn.clone())
                .or_insert_with(|| Trail::new(&arn, home, account, name))
                .call(call, &request, &response);
        }
        let window = coverage.window();
        let mut trails: Vec<Trail> = trails.into_values().collect();
        for trail in &mut trails {
            // An answer of long before or after says nothing of changes in between, which no log in hand may show.
            let near = Window { from: window.from, to: window.to.plus_days(1) };
            trail.changes_seen = trail.collected.iter().any(|at| near.contains(*at))
                && coverage.missing_days(&trail.account, &trail.home).is_empty();
        }
        let contradicted = trails
            .iter()
            .filter(|trail| !trail.documented && was_off_while_others_wrote(trail, coverage))
            .map(|trail| trail.arn.clone())
            .collect();
        Self { trails, members, contradicted, window: Some(window) }
    }

    /// Whether an organisation's trail of that owner covers the account. Where nobody told who belongs to the
    /// organisation, every account in hand does.
    fn covers(&self, trail: &Trail, account: &str) -> bool {
        trail.account == account
            || (trail.organization.ever(&true) && self.members.as_ref().is_none_or(|members| members.contains(account)))
    }

    /// Whether the settings of any trail of the account were collected.
    #[must_use]
    pub fn documented(&self, account: &str) -> bool {
        self.trails.iter().any(|trail| trail.documented && self.covers(trail, account))
    }

    /// Whether it is known, not only taken for granted, which trails cover the account.
    #[must_use]
    pub fn membership_known(&self, trail: &Trail, account: &str) -> bool {
        trail.account == account || self.members.is_some()
    }

    /// The trails that are taken for the writers of the account's logs: those collected; else those that calls speak
    /// of, as long as the logs do not contradict it. Empty where nothing is known.
    #[must_use]
    pub fn of_account(&self, account: &str) -> Vec<&Trail> {
        let documented = self.documented(account);
        let wanted = |trail: &&Trail| {
            self.covers(trail, account)
                && (if documented { trail.documented } else { !self.contradicted.contains(&trail.arn) })
        };
        self.trails.iter().filter(wanted).collect()
    }

    /// The spans of the window over which the trails of an account did the same for a region, in order; empty where
    /// nothing is known of the account's trails.
    #[must_use]
    pub fn spans(&self, account: &str, region: &str) -> Vec<Span<'_>> {
        let trails = self.of_account(account);
        let Some(window) = self.window.filter(|window| !trails.is_empty() && window.from < window.to) else {
            return Vec::new();
        };
        let mut edges: BTreeSet<Timestamp> = trails.iter().flat_map(|trail| trail.times()).collect();
        edges.retain(|at| window.contains(*at));
        edges.insert(window.from);
        let mut spans: Vec<Span<'_>> = Vec::new();
        for from in edges {
            let states: Vec<_> = trails.iter().map(|trail| (*trail, trail.state(account, region, from))).collect();
            let same =
                |last: &Span<'_>| last.states.iter().zip(&states).all(|((_, before), (_, after))| before == after);
            match spans.last_mut() {
                Some(last) if same(last) => {}
                Some(last) => {
                    last.to = from;
                    spans.push(Span { from, to: window.to, states });
                }
                None => spans.push(Span { from, to: window.to, states }),
            }
        }
        spans
    }

    /// Home regions of trails: the regions in which trails may differ from what they do elsewhere.
    #[must_use]
    pub fn homes(&self) -> BTreeSet<&str> {
        self.trails.iter().map(|trail| trail.home.as_str()).collect()
    }
}

/// The ARN of the trail that a call is about: from its answer, from the request, or from the name, which only the
/// home region and the owner's account can use. Source: "StopLogging", AWS CloudTrail API Reference.
fn arn_of(call: &TrailCall, request: &Value, response: &Value) -> Option<String> {
    if let Some(arn) = text(response, "trailARN") {
        return Some(arn);
    }
    let name = text(request, "name").or_else(|| text(request, "trailName"))?;
    if name.starts_with("arn:") {
        return Some(name);
    }
    let partition = match call.region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if call.region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    Some(format!("arn:{partition}:cloudtrail:{}:{}:trail/{name}", call.region, call.account))
}

/// Whether its account's logs hold a whole hour in which it surely recorded nothing.
fn was_off_while_others_wrote(trail: &Trail, coverage: &Coverage) -> bool {
    let window = coverage.window();
    let mut edges: Vec<Timestamp> = trail.times().filter(|at| window.contains(*at)).collect();
    edges.push(window.from);
    edges.sort_unstable();
    edges.dedup();
    let ends = edges.iter().skip(1).chain(std::iter::once(&window.to));
    edges
        .iter()
        .zip(ends)
        .any(|(from, to)| trail.off(*from) && coverage.seen_within(&trail.account, Window { from: *from, to: *to }))
}

#[cfg(test)]
mod tests;
