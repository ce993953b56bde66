//! What CloudTrail was set to record, when and where: the trails as they were collected, walked backward and forward
//! along the recorded calls that changed them.
//!
//! Which trail wrote the logs in hand is not recorded in them. Where digests show that all files of some trails are in
//! hand, or the user says so, an account counts as recorded where any of these recorded it. Otherwise any of the trails
//! that were on may have written the logs in hand, and what counts is what all of them recorded that record such events
//! at all. The trails are those whose settings were collected; where there are none, those that calls speak of, and logs
//! of hours in which such a trail was off come from one that nobody knows (`conflict`).
//!
//! Settings are known for the window only where no change of them can have gone unseen (`watch`).
//!
//! Event data stores are left out: their events are in the lake only where somebody exported them.

mod conflict;
mod selectors;
mod track;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::event::{EventCategory, Outcome};
use crate::model::region;
use crate::model::time::{Timestamp, Window};
use crate::model::trail::{Selectors, TrailState, get, text, trail_arn};

use super::coverage::Coverage;
use super::fold::{DigestSpan, TrailCall};
use conflict::Conflicts;

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
    /// Whether no change of it within the window can have gone unseen: see `watch`.
    pub changes_seen: bool,
    /// Accounts of whose logs its files are all in hand.
    in_hand: BTreeSet<String>,
    /// Where logs show that another trail was on while it was off.
    conflicts: Conflicts,
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
    /// The files of all these trails are in hand; else any of them may have written what is.
    pub in_hand: bool,
    /// The trails, by ARN, that may have recorded any events of a kind at some time of the window.
    once: BTreeSet<(&'a str, EventCategory)>,
}

impl<'a> Span<'a> {
    /// The trails that may have written the events of a kind that are in hand, also where they did not in this span.
    pub fn writers(&self, category: EventCategory) -> impl Iterator<Item = &(&'a Trail, State<'a>)> {
        self.states.iter().filter(move |(trail, _)| self.once.contains(&(trail.arn.as_str(), category)))
    }

    /// Whether the logs in hand recorded the calls.
    #[must_use]
    pub fn records(&self, question: &Question<'_>) -> Recorded {
        let mut answers = self.writers(question.category).map(|(_, state)| match state {
            State::On { selectors, .. } => recorded(selectors, question),
            State::Off(_) => Recorded::No,
            State::Unclear(_) => Recorded::Maybe,
        });
        let Some(first) = answers.next() else { return Recorded::No };
        answers.fold(first, if self.in_hand { Recorded::or } else { Recorded::and })
    }
}

impl Trail {
    fn new(arn: &str, home: &str, account: &str, name: &str) -> Self {
        let [arn, home, account, name] = [arn, home, account, name].map(str::to_owned);
        // Until the logs are held against it.
        Self { arn, home, account, name, changes_seen: true, ..Self::default() }
    }

    fn tell(&mut self, state: &TrailState) {
        let (at, seen) = (state.captured_at, Mark::Seen);
        self.documented = true;
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
        let asked = |name: &str| get(request, name).and_then(Value::as_bool);
        let flag = |name: &str| get(response, name).and_then(Value::as_bool).or_else(|| asked(name));
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
            "UpdateTrail" if request.is_null() && response.is_null() => self.doubt(call),
            "UpdateTrail" => {
                // A parameter that is left out changes nothing; the answer names all settings, these as they were, too.
                let readable = text(request, "name").is_some();
                let mark = |name: &str| if readable && asked(name).is_none() { Mark::Seen } else { set };
                for (track, name) in [
                    (&mut self.multi_region, "isMultiRegionTrail"),
                    (&mut self.global_events, "includeGlobalServiceEvents"),
                    (&mut self.organization, "isOrganizationTrail"),
                ] {
                    if let Some(value) = flag(name) {
                        track.add(at, mark(name), Some(value));
                    }
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

    /// Takes in a call of which nobody knows whether it was carried out, or on which trail: what it may have changed is
    /// not known from then on.
    fn doubt(&mut self, call: &TrailCall) {
        let (at, set) = (call.time, Mark::Set);
        match call.name.as_str() {
            "UpdateTrail" => {
                for track in [&mut self.multi_region, &mut self.global_events, &mut self.organization] {
                    track.add(at, set, None);
                }
            }
            "CreateTrail" | "DeleteTrail" => self.exists.add(at, set, None),
            "StartLogging" | "StopLogging" => self.logging.add(at, set, None),
            _ => self.selectors.add(at, set, None),
        }
    }

    /// Whether it existed, none where that is open. A trail that was made within the window did not exist before; any
    /// other call on a trail shows that it was there.
    fn existed(&self, at: Timestamp) -> Option<bool> {
        let Some(first) = self.exists.times().next() else { return Some(true) };
        match self.exists.at(at) {
            // Before the first thing known of it: made then, so not yet there; or deleted then, so still there.
            None if at < first => self.exists.at(first).map(|made| !made),
            known => known.copied(),
        }
    }

    /// What it did at a time for a region of an account that it may cover.
    fn state(&self, account: &str, region: &str, at: Timestamp) -> State<'_> {
        match self.own_state(account, region, at) {
            State::On { .. } if self.documented && !self.changes_seen => State::Unclear("may have been changed unseen"),
            off @ State::Off(_) => self.conflicts.state(account, region, at).unwrap_or(off),
            state => state,
        }
    }

    /// The same, as far as its settings and the calls on it say.
    fn own_state(&self, account: &str, region: &str, at: Timestamp) -> State<'_> {
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

    /// Whether of every setting that somebody looked at, somebody looked within a window.
    fn looked_at(&self, window: Window) -> bool {
        let flags = [&self.exists, &self.logging, &self.multi_region, &self.global_events, &self.organization];
        flags.into_iter().all(|flag| flag.looked_at(window)) && self.selectors.looked_at(window)
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let flags = [&self.exists, &self.logging, &self.multi_region, &self.global_events, &self.organization];
        flags.into_iter().flat_map(Track::times).chain(self.selectors.times())
    }

    /// Name and home region, as digests name it.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}_{}", self.name, self.home)
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
    window: Option<Window>,
    /// Calls that may have changed a trail and do not say which, in order of time.
    unread: Vec<TrailCall>,
    /// Accounts whose logs, as digests show, are those of trails whose settings were not collected.
    others: BTreeSet<String>,
}

/// Calls that change what a trail records.
const CHANGES: [&str; 6] =
    ["CreateTrail", "DeleteTrail", "PutEventSelectors", "StartLogging", "StopLogging", "UpdateTrail"];

impl Trails {
    /// Puts the trails together and holds them against the logs: [`Trails::gather`], then [`Trails::judged`].
    #[must_use]
    pub fn of(
        states: &[TrailState],
        calls: &[TrailCall],
        members: Option<BTreeSet<String>>,
        coverage: &Coverage,
    ) -> Self {
        Self::gather(states, calls, members, coverage.window()).judged(&[], coverage)
    }

    /// Puts the trails together, from their settings and the calls on them. `members` are the accounts of the
    /// organisation, none where nobody told.
    #[must_use]
    pub fn gather(
        states: &[TrailState],
        calls: &[TrailCall],
        members: Option<BTreeSet<String>>,
        window: Window,
    ) -> Self {
        let mut trails: BTreeMap<String, Trail> = BTreeMap::new();
        for state in states {
            let Some((_, home, account, name)) = trail_arn(&state.arn) else { continue };
            trails.entry(state.arn.clone()).or_insert_with(|| Trail::new(&state.arn, home, account, name)).tell(state);
        }
        let counts = |call: &&TrailCall| may_have_changed(call) && CHANGES.contains(&call.name.as_str());
        let mut calls: Vec<&TrailCall> = calls.iter().filter(counts).collect();
        calls.sort();
        let mut unread: Vec<TrailCall> = Vec::new();
        let mut doubtful: Vec<(&TrailCall, Option<String>)> = Vec::new();
        for call in calls {
            let [request, response] =
                [&call.request, &call.response].map(|json| serde_json::from_str(json).unwrap_or(Value::Null));
            let arn = arn_of(call, &request, &response);
            let Some((arn, (_, home, account, name))) = arn.as_ref().and_then(|arn| Some((arn, trail_arn(arn)?)))
            else {
                unread.push(call.clone());
                doubtful.push((call, None));
                continue;
            };
            let made = || Trail::new(arn, home, account, name);
            match call.outcome {
                Outcome::Authorised => trails.entry(arn.clone()).or_insert_with(made).call(call, &request, &response),
                // Whether there is such a trail at all is not known where only this says so.
                _ if call.name == "CreateTrail" => doubtful.push((call, Some(arn.clone()))),
                _ => {
                    trails.entry(arn.clone()).or_insert_with(made);
                    doubtful.push((call, Some(arn.clone())));
                }
            }
        }
        for (call, _) in doubtful.iter().filter(|(_, arn)| arn.is_none()) {
            // Of an account of whose trails nothing else is known, it is one that nobody knows.
            if !trails.values().any(|trail| may_be_on(call, trail)) {
                let arn = format!("arn:aws:cloudtrail:{}:{}:trail/?", call.region, call.account);
                trails.insert(arn.clone(), Trail::new(&arn, &call.region, &call.account, "of no known name"));
            }
        }
        for (call, arn) in doubtful {
            match arn {
                Some(arn) => trails.get_mut(&arn).into_iter().for_each(|trail| trail.doubt(call)),
                None => {
                    let meant = trails.values_mut().filter(|trail| may_be_on(call, trail));
                    meant.for_each(|trail| trail.doubt(call));
                }
            }
        }
        Self { trails: trails.into_values().collect(), members, window: Some(window), unread, others: BTreeSet::new() }
    }

    /// Holds the trails against the logs: whose files are in hand (`in_hand` are the names or ARNs of which the user says
    /// so), what may have gone unseen, and where others wrote while one was off.
    #[must_use]
    pub fn judged(mut self, in_hand: &[String], coverage: &Coverage) -> Self {
        let covered: Vec<&str> = coverage.accounts().collect();
        for trail in &mut self.trails {
            let said = in_hand.iter().any(|name| *name == trail.name || *name == trail.arn);
            let key = trail.key();
            let ours = covered.iter().filter(|account| said || coverage.in_hand(account, &key));
            trail.in_hand = ours.map(|account| (*account).to_owned()).collect();
        }
        let of_others = |account: &&str| {
            let mut here = coverage.trails_in_hand(account).peekable();
            let ours = |trail: &Trail| trail.documented && trail.in_hand.contains(*account);
            here.peek().is_some() && !self.trails.iter().any(ours)
        };
        self.others = covered.iter().copied().filter(of_others).map(str::to_owned).collect();
        let seen: Vec<bool> = self.trails.iter().map(|trail| self.changes_seen(trail, coverage)).collect();
        let conflicts: Vec<Conflicts> = self
            .trails
            .iter()
            .map(|trail| if trail.documented { Conflicts::default() } else { self.conflicts(trail, coverage) })
            .collect();
        for ((trail, seen), conflicts) in self.trails.iter_mut().zip(seen).zip(conflicts) {
            trail.changes_seen = seen;
            trail.conflicts = conflicts;
        }
        self
    }

    /// Calls that may have changed a trail and do not say which, in order of time.
    #[must_use]
    pub fn unread(&self) -> &[TrailCall] {
        &self.unread
    }

    /// Whether a trail of that name or ARN is known.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.trails.iter().any(|trail| trail.name == name || trail.arn == name)
    }

    /// Whether the trail of a digest recorded management events while the files of its span were delivered; none where
    /// nobody knows. Of a trail that only calls speak of nothing less than all of them will do.
    #[must_use]
    pub fn records_management(&self, span: &DigestSpan) -> Option<bool> {
        let of_digest = |trail: &&Trail| trail.key() == span.trail && self.covers(trail, &span.account);
        let mut found = self.trails.iter().filter(of_digest);
        let (trail, None) = (found.next()?, found.next()) else { return None };
        let edges = trail.times().filter(|at| span.from < *at && *at < span.to);
        let times: Vec<Timestamp> = std::iter::once(span.from).chain(edges).collect();
        let answers = times.iter().map(|at| match trail.own_state(&span.account, &span.region, *at) {
            State::On { selectors, global_events } => {
                let all = |read| {
                    let named = Question::management(read);
                    let question = if trail.documented { named } else { Question { source: None, ..named } };
                    recorded(selectors, &question)
                };
                match (all(true), all(false)) {
                    (Recorded::No, Recorded::No) => Recorded::No,
                    (read, write) if trail.documented => read.or(write),
                    (Recorded::Yes, Recorded::Yes) if global_events => Recorded::Yes,
                    _ => Recorded::Maybe,
                }
            }
            State::Off(_) => Recorded::No,
            State::Unclear(_) => Recorded::Maybe,
        });
        // What only calls speak of was set up before them.
        let said = trail.documented || !trail.selectors.is_empty();
        match answers.reduce(|a, b| if a == b { a } else { Recorded::Maybe })? {
            Recorded::Yes if said => Some(true),
            Recorded::No => Some(false),
            _ => None,
        }
    }

    /// Whether an organisation's trail of that owner covers the account. Where nobody told who belongs to the
    /// organisation, every account in hand does.
    fn covers(&self, trail: &Trail, account: &str) -> bool {
        trail.account == account
            || (trail.organization.ever(&true) && self.members.as_ref().is_none_or(|members| members.contains(account)))
    }

    /// Whether the settings of any trail of the account were collected that may have written the logs in hand.
    #[must_use]
    pub fn documented(&self, account: &str) -> bool {
        !self.others.contains(account)
            && self.trails.iter().any(|trail| trail.documented && self.covers(trail, account))
    }

    /// Whether anybody told what the trails of an account record: their settings were collected, or calls on record say of
    /// every trail that is known what it selected, and that it was on through the whole window. One that was off, as a
    /// trail that was made for a try, did not write these logs.
    #[must_use]
    pub fn told(&self, account: &str) -> bool {
        let Some(window) = self.window else { return false };
        let on = |trail: &Trail| {
            let edges = trail.times().filter(|at| window.contains(*at)).chain([window.from]);
            let on = |at| matches!(trail.own_state(account, &trail.home, at), State::On { .. });
            !trail.selectors.is_empty() && edges.into_iter().all(on)
        };
        let trails = self.of_account(account);
        self.documented(account) || !trails.is_empty() && trails.into_iter().all(on)
    }

    /// The trails that are taken for the writers of the account's logs: of those collected the ones whose files are in
    /// hand, or all where that is not known of any; else those that calls speak of. Empty where nothing is known.
    #[must_use]
    pub fn of_account(&self, account: &str) -> Vec<&Trail> {
        let documented = self.documented(account);
        let wanted = |trail: &&Trail| self.covers(trail, account) && trail.documented == documented;
        let trails: Vec<&Trail> = self.trails.iter().filter(wanted).collect();
        let ours: Vec<&Trail> = trails.iter().copied().filter(|trail| trail.in_hand.contains(account)).collect();
        if ours.is_empty() { trails } else { ours }
    }

    /// The spans of the window over which the trails of an account did the same for a region, in order; empty where
    /// nothing is known of the account's trails.
    #[must_use]
    pub fn spans(&self, account: &str, region: &str) -> Vec<Span<'_>> {
        let trails = self.of_account(account);
        let Some(window) = self.window.filter(|window| !trails.is_empty() && window.from < window.to) else {
            return Vec::new();
        };
        let in_hand = trails.iter().any(|trail| trail.in_hand.contains(account));
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
                    spans.push(Span { from, to: window.to, states, in_hand, once: BTreeSet::new() });
                }
                None => spans.push(Span { from, to: window.to, states, in_hand, once: BTreeSet::new() }),
            }
        }
        let once = once(&spans);
        for span in &mut spans {
            span.once.clone_from(&once);
        }
        spans
    }

    /// Regions in which the trails of an account may differ from what they do elsewhere: their homes, and those of whose
    /// logs others wrote a part.
    #[must_use]
    pub fn special(&self, account: &str) -> BTreeSet<&str> {
        let trails = self.of_account(account);
        let homes = trails.iter().map(|trail| trail.home.as_str());
        homes.chain(trails.iter().flat_map(|trail| trail.conflicts.regions(account))).collect()
    }
}

/// Which trails may have recorded any events of a kind in some of the spans.
fn once<'a>(spans: &[Span<'a>]) -> BTreeSet<(&'a str, EventCategory)> {
    let mut found = BTreeSet::new();
    for (trail, state) in spans.iter().flat_map(|span| &span.states) {
        for category in [EventCategory::Management, EventCategory::Data] {
            let writes = match state {
                State::On { selectors, .. } => recorded(selectors, &Question::any(category)) != Recorded::No,
                State::Unclear(_) => true,
                State::Off(_) => false,
            };
            if writes {
                found.insert((trail.arn.as_str(), category));
            }
        }
    }
    found
}

/// Whether a call may have been carried out. One that CloudTrail answered with an error of the caller's
/// (`TrailNotFoundException` and the like) changed nothing; what broke off on its own side may have. Source: "Common
/// Errors", AWS CloudTrail API Reference.
fn may_have_changed(call: &TrailCall) -> bool {
    const OF_THE_SERVICE: [&str; 4] = ["Internal", "Unavailable", "Timeout", "TimedOut"];
    match call.outcome {
        Outcome::Authorised => true,
        Outcome::Unknown => {
            call.error_code.is_empty() || OF_THE_SERVICE.iter().any(|kind| call.error_code.contains(kind))
        }
        _ => false,
    }
}

/// Whether a call that names no trail may have been on this one: one of its account or organisation, and of its region.
fn may_be_on(call: &TrailCall, trail: &Trail) -> bool {
    let placeless = call.account.is_empty() || call.region.is_empty();
    placeless || call.region == trail.home && (call.account == trail.account || trail.organization.ever(&true))
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
    let partition = region::partition(&call.region);
    Some(format!("arn:{partition}:cloudtrail:{}:{}:trail/{name}", call.region, call.account))
}

#[cfg(test)]
mod tests;
