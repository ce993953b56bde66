//! Which calls the trails of one account recorded, action by action: what their selectors left out, when, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{ActionId, ActionSet, Catalog, LogClass, Need};
use crate::model::event::EventCategory;
use crate::model::time::{Day, Window};
use crate::model::trail::{Operator, Selectors};
use crate::policy::ArnPattern;
use crate::usage::coverage::Coverage;
use crate::usage::kinds::{Kinds, read_only};
use crate::usage::trails::{Question, Recorded, Resources, Span, State, Trail, Trails, recorded};

use super::observe::Classes;
use super::unshown::{self, Unshown};

/// Most spans of time that a reason names.
const MOST_SPANS: usize = 3;

/// A recorded call that exercises an action.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// Event source; none where only the service is known.
    pub source: Option<String>,
    /// Event name.
    name: Option<&'a str>,
    class: LogClass,
    /// Whether it is recorded as read-only; none where that is not known.
    pub read_only: Option<bool>,
}

/// The recorded calls that exercise each action.
#[derive(Debug, Default)]
pub struct Calls<'a> {
    by_action: BTreeMap<ActionId, Vec<Call<'a>>>,
}

impl<'a> Calls<'a> {
    /// Turns the catalogue's events round.
    #[must_use]
    pub fn of(catalog: &'a Catalog, classes: &Classes) -> Self {
        let mut by_action: BTreeMap<ActionId, Vec<Call<'a>>> = BTreeMap::new();
        for (source, name) in catalog.events() {
            let Some(facts) = catalog.event_facts(source, name) else { continue };
            let source = if source.contains('.') { source.to_owned() } else { format!("{source}.amazonaws.com") };
            // An event is recorded as what it is named for: `CopyObject` reads an object, and is a write.
            let main = facts.actions.first().and_then(|fact| catalog.action(fact.id));
            let own = main.and_then(|main| read_only(main.prefix(), name, classes.reads.contains(main.id())));
            for fact in &facts.actions {
                let Some(action) = catalog.action(fact.id) else { continue };
                // What a service calls on the caller's behalf is recorded as a call of its own.
                let read_only = match fact.need {
                    Need::Always => own,
                    Need::Sometimes => read_only(action.prefix(), action.name(), classes.reads.contains(fact.id)),
                };
                let call = Call { source: Some(source.clone()), name: Some(name), class: facts.class, read_only };
                by_action.entry(fact.id).or_default().push(call);
            }
        }
        for id in classes.management.iter().chain(classes.data.iter()) {
            let Some(action) = catalog.action(id) else { continue };
            let class = if classes.data.contains(id) { LogClass::Data } else { LogClass::Management };
            let calls = by_action.entry(id).or_default();
            if calls.iter().all(|call| call.class != class) {
                let read_only = read_only(action.prefix(), action.name(), classes.reads.contains(id));
                calls.push(Call { source: None, name: None, class, read_only });
            }
        }
        Self { by_action }
    }

    /// The calls of one class, of which there is at least one.
    pub(super) fn of_action(&self, id: ActionId, class: LogClass) -> impl Iterator<Item = &Call<'a>> {
        self.by_action.get(&id).into_iter().flatten().filter(move |call| call.class == class)
    }
}

/// What selectors leave out of the management events.
#[derive(Debug, Default)]
struct Mask {
    /// Actions with the words for why, without overlap: of the calls that may be recorded as reads, and of those that may
    /// be recorded as writes. A call of which that is not known is among both, and has to be recorded as either.
    left_out: [Vec<(ActionSet, String)>; 2],
}

/// The two ways in which a call may be recorded, in the order of [`Mask::left_out`].
const KINDS: [bool; 2] = [true, false];

impl Mask {
    fn of(selectors: &Selectors, catalog: &Catalog, classes: &Classes, calls: &Calls<'_>) -> Self {
        let [reads, writes] = KINDS.map(|read| recorded(selectors, &Question::management(read)));
        let left_out = KINDS.map(|kind| {
            let mut left_out: BTreeMap<String, ActionSet> = BTreeMap::new();
            for id in classes.management.iter() {
                let (mut answer, mut service) = (Recorded::Yes, None);
                let of_kind = |call: &&Call<'_>| call.read_only.is_none_or(|known| known == kind);
                for call in calls.of_action(id, LogClass::Management).filter(of_kind) {
                    let source = call.source.as_deref();
                    let question = Question { source, name: call.name, ..Question::management(kind) };
                    let one = recorded(selectors, &question);
                    let generic = Question { source: Some(""), ..question };
                    if one == Recorded::No && recorded(selectors, &generic) != Recorded::No {
                        service = source;
                    }
                    answer = answer.and(one);
                }
                if answer == Recorded::Yes {
                    continue;
                }
                let why = match (service, reads, writes) {
                    (_, Recorded::No, Recorded::No) => "recorded no management events".to_owned(),
                    (Some(service), _, _) => format!("left out {service}"),
                    (None, Recorded::No, _) if kind => "recorded write events only".to_owned(),
                    (None, _, Recorded::No) if !kind => "recorded read events only".to_owned(),
                    _ => "filtered events by what nobody can tell here".to_owned(),
                };
                left_out.entry(why).or_insert_with(|| catalog.no_actions()).insert(id);
            }
            left_out.into_iter().map(|(why, set)| (set, why)).collect()
        });
        Self { left_out }
    }
}

/// What is worked out once for all accounts: trails, and what each of their selectors leaves out.
#[derive(Debug)]
pub struct Recording<'a> {
    trails: &'a Trails,
    coverage: &'a Coverage,
    catalog: &'a Catalog,
    classes: &'a Classes,
    calls: Calls<'a>,
    masks: BTreeMap<&'a Selectors, Mask>,
    unshown: Unshown<'a>,
}

impl<'a> Recording<'a> {
    /// Works it out for the accounts. `kinds` are those of which the logs of an account hold events; none where nobody
    /// looked.
    #[must_use]
    pub fn of(
        trails: &'a Trails,
        coverage: &'a Coverage,
        (catalog, classes): (&'a Catalog, &'a Classes),
        accounts: &BTreeSet<String>,
        kinds: Option<&'a BTreeMap<String, Kinds>>,
    ) -> Self {
        let mut selectors: BTreeSet<&Selectors> = BTreeSet::new();
        for account in accounts {
            for region in trails.special(account).into_iter().chain([ELSEWHERE]) {
                for (_, state) in trails.spans(account, region).into_iter().flat_map(|span| span.states) {
                    if let State::On { selectors: on, .. } = state {
                        selectors.insert(on);
                    }
                }
            }
        }
        let lacking = accounts.iter().any(|account| !unshown::lacking(trails, account, kinds).is_empty());
        let asked = lacking || !selectors.is_empty();
        let calls = if asked { Calls::of(catalog, classes) } else { Calls::default() };
        let masks = selectors.into_iter().map(|one| (one, Mask::of(one, catalog, classes, &calls))).collect();
        let unshown = if lacking { Unshown::of(&calls, catalog, classes, kinds) } else { Unshown::default() };
        Self { trails, coverage, catalog, classes, calls, masks, unshown }
    }

    /// The trails.
    #[must_use]
    pub const fn trails(&self) -> &'a Trails {
        self.trails
    }

    /// What the files speak for.
    #[must_use]
    pub const fn coverage(&self) -> &'a Coverage {
        self.coverage
    }

    /// What the trails of an account recorded.
    #[must_use]
    pub fn account(&self, account: &str) -> Logged<'a> {
        let special = self.trails.special(account).into_iter();
        let regions = special.map(|region| (region.to_owned(), Arc::new(self.region(account, region)))).collect();
        let documented = self.trails.documented(account);
        let data = if documented { self.data_shown(account) } else { BTreeMap::new() };
        Logged { documented, data, elsewhere: Arc::new(self.region(account, ELSEWHERE)), regions }
    }

    /// What shows, region by region, that data events are in hand: a record on a day, or digests of a trail.
    fn data_shown(&self, account: &str) -> BTreeMap<String, DataShown<'a>> {
        let (coverage, trails) = (self.coverage, self.trails.of_account(account));
        let days: Vec<Day> = coverage.window().days().collect();
        let shown = |shown: &dyn Fn(&Day) -> bool| {
            let count = days.iter().filter(|day| shown(day)).count();
            Recorded::of(count == days.len()).or(if count > 0 { Recorded::Maybe } else { Recorded::No })
        };
        let of_region = |region: &str| {
            let blind: BTreeSet<Day> = coverage.blind_days(account, region).into_iter().collect();
            let mut by_trail: BTreeMap<&'a str, Recorded> = BTreeMap::new();
            for trail in &trails {
                let key = trail.key();
                let digests = shown(&|day| coverage.digested(account, region, &key, *day));
                // Files of one trail hold its management and its data events.
                let files = if trails.len() == 1 && self.records_management(account, region) {
                    shown(&|day| !blind.contains(day))
                } else {
                    Recorded::No
                };
                by_trail.insert(&trail.arn, digests.or(files));
            }
            DataShown { records: shown(&|day| coverage.has_data(account, region, *day)), by_trail }
        };
        coverage.regions(account).map(|region| (region.to_owned(), of_region(region))).collect()
    }

    /// Whether the trails of an account recorded management events of a region through the whole window.
    fn records_management(&self, account: &str, region: &str) -> bool {
        let any = Question::any(EventCategory::Management);
        self.trails.spans(account, region).iter().all(|span| span.records(&any) != Recorded::No)
    }

    fn region(&self, account: &str, region: &str) -> Region<'a> {
        let spans = self.trails.spans(account, region);
        let mut shades: BTreeMap<String, (ActionSet, Vec<Window>)> = BTreeMap::new();
        for span in &spans {
            for (set, words) in KINDS.into_iter().flat_map(|kind| self.left_out(span, kind)) {
                let (known, when) = shades.entry(words).or_insert_with(|| (self.catalog.no_actions(), Vec::new()));
                known.union_with(&set);
                let window = Window { from: span.from, to: span.to };
                if when.last() != Some(&window) {
                    when.push(window);
                }
            }
        }
        let whole = self.coverage.window();
        // What was surely not recorded comes before what only may not have been.
        let (unsure, sure): (Vec<_>, Vec<_>) = shades.into_iter().partition(|(words, _)| words.contains(UNSURE));
        let shades = sure.into_iter().chain(unsure);
        let shades = shades.map(|(words, (set, when))| (set, format!("{words} {}", times(&when, whole))));
        Region { shades: shades.chain(self.unshown.shades(self.trails, account)).collect(), spans }
    }

    /// Of an account of which nobody told what its trails record, the kinds of events that a trail may leave out and that
    /// its logs do not hold.
    pub(super) fn lacking(&self, account: &str) -> Vec<Kinds> {
        self.unshown.lacking(self.trails, account)
    }

    /// What the logs in hand did not record in a span of the calls that may be recorded as reads, or as writes, with the
    /// words for why.
    fn left_out(&self, span: &Span<'_>, kind: bool) -> Vec<(ActionSet, String)> {
        let mut writers = span.writers(EventCategory::Management).peekable();
        if !span.in_hand && writers.peek().is_some() {
            // Any of them may have written the logs in hand, so what one left out is not in them for sure.
            let mut rest = self.classes.management.clone();
            let mut out = Vec::new();
            for (mut set, why) in writers.flat_map(|(trail, state)| self.parts(trail, state, kind)) {
                set.intersect_with(&rest);
                rest.subtract(&set);
                if !set.is_empty() {
                    out.push((set, why));
                }
            }
            return out;
        }
        self.left_out_by_all(span, kind)
    }

    /// What none of the trails recorded.
    fn left_out_by_all(&self, span: &Span<'_>, kind: bool) -> Vec<(ActionSet, String)> {
        let mut groups = vec![(self.classes.management.clone(), String::new())];
        for (trail, state) in &span.states {
            let parts = self.parts(trail, state, kind);
            groups = groups
                .iter()
                .flat_map(|(set, words)| {
                    parts.iter().filter_map(move |(left, why)| {
                        let mut set = set.clone();
                        set.intersect_with(left);
                        let joined = if words.is_empty() { why.clone() } else { format!("{words} and {why}") };
                        (!set.is_empty()).then_some((set, joined))
                    })
                })
                .collect();
        }
        groups
    }

    /// What one trail leaves out, without overlap.
    fn parts(&self, trail: &Trail, state: &State<'_>, kind: bool) -> Vec<(ActionSet, String)> {
        let say = |why: &str| format!("trail {} {why}", trail.name);
        match state {
            State::Off(why) | State::Unclear(why) => vec![(self.classes.management.clone(), say(why))],
            State::On { selectors, global_events } => {
                let mut parts: Vec<(ActionSet, String)> = self
                    .masks
                    .get(*selectors)
                    .map(|mask| {
                        let [reads, writes] = &mask.left_out;
                        let left_out = if kind { reads } else { writes };
                        left_out.iter().map(|(set, why)| (set.clone(), say(why))).collect()
                    })
                    .unwrap_or_default();
                if !global_events {
                    // Of STS what is called at its global endpoint is among them. Source: "update-trail" (CloudTrail User Guide).
                    let mut rest = self.classes.global.clone();
                    self.catalog.service("sts").into_iter().for_each(|range| rest.insert_range(range));
                    rest.intersect_with(&self.classes.management);
                    for (set, _) in &parts {
                        rest.subtract(set);
                    }
                    parts.push((rest, say("left out global services")));
                }
                parts
            }
        }
    }
}

/// How all reasons read that rest on what is not known: see [`State::Unclear`].
const UNSURE: &str = " may have ";

/// A region that is no trail's home: what holds there holds in all others.
const ELSEWHERE: &str = "";

fn times(when: &[Window], whole: Window) -> String {
    let mut joined: Vec<Window> = Vec::new();
    for one in when {
        match joined.last_mut() {
            Some(last) if last.to == one.from => last.to = one.to,
            _ => joined.push(*one),
        }
    }
    if joined == [whole] {
        return "in the whole window".to_owned();
    }
    let shown: Vec<String> =
        joined.iter().take(MOST_SPANS).map(|one| format!("from {} to {}", one.from, one.to)).collect();
    let more = joined.len().saturating_sub(MOST_SPANS);
    let more = if more > 0 { format!(" and in {more} more spans") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

#[derive(Debug, Default)]
struct Region<'a> {
    spans: Vec<Span<'a>>,
    shades: Vec<(ActionSet, String)>,
}

/// What shows that data events of a region are in hand: on all days of the window (yes), on some, on none.
#[derive(Debug)]
struct DataShown<'a> {
    /// Data events of whole files.
    records: Recorded,
    /// What shows that the files of a trail are in hand, by its ARN.
    by_trail: BTreeMap<&'a str, Recorded>,
}

/// What the trails of one account recorded.
#[derive(Debug, Default)]
pub struct Logged<'a> {
    documented: bool,
    /// By region.
    data: BTreeMap<String, DataShown<'a>>,
    regions: BTreeMap<String, Arc<Region<'a>>>,
    elsewhere: Arc<Region<'a>>,
}

impl<'a> Logged<'a> {
    fn region(&self, region: &str) -> &Arc<Region<'a>> {
        self.regions.get(region).unwrap_or(&self.elsewhere)
    }

    /// The distinct behaviours over some regions.
    fn over<'s>(&'s self, regions: &'s BTreeSet<String>) -> Vec<&'s Arc<Region<'a>>> {
        let mut found: Vec<&Arc<Region<'a>>> = Vec::new();
        for region in regions {
            let one = self.region(region);
            if !found.iter().any(|known| Arc::ptr_eq(known, one)) {
                found.push(one);
            }
        }
        found
    }

    /// Whether the settings of the account's trails were collected.
    #[must_use]
    pub const fn documented(&self) -> bool {
        self.documented
    }

    /// The actions among `actions` whose calls in some of the regions were not surely recorded through the whole
    /// window, with the reason; the sets do not overlap.
    #[must_use]
    pub fn left_out(&self, actions: &ActionSet, regions: &BTreeSet<String>) -> Vec<(ActionSet, String)> {
        let mut by_reason: BTreeMap<&str, ActionSet> = BTreeMap::new();
        let mut rest = actions.clone();
        for region in self.over(regions) {
            for (set, reason) in &region.shades {
                let mut taken = rest.clone();
                taken.intersect_with(set);
                if !taken.is_empty() {
                    rest.subtract(&taken);
                    by_reason.entry(reason).and_modify(|known| known.union_with(&taken)).or_insert(taken);
                }
            }
        }
        by_reason.into_iter().map(|(reason, set)| (set, reason.to_owned())).collect()
    }

    /// Whether data events of the calls were surely recorded in all of the regions through the whole window, into
    /// logs that are in hand. Maybe: into logs of which some are.
    #[must_use]
    pub fn records(&self, question: &Question<'_>, regions: &BTreeSet<String>) -> Recorded {
        let recorded_in = |region: &String| {
            let spans = self.spans(region);
            !spans.is_empty() && spans.iter().all(|span| span.records(question) == Recorded::Yes)
        };
        if !self.documented || regions.is_empty() || !regions.iter().all(recorded_in) {
            return Recorded::No;
        }
        let shown = regions.iter().map(|region| self.shown(question, region));
        let (mut all, mut any) = (Recorded::Yes, Recorded::No);
        for one in shown {
            (all, any) = (all.and(one), any.or(one));
        }
        if all == Recorded::Yes { all } else { any.and(Recorded::Maybe) }
    }

    /// Whether files that would hold data events of the calls in a region are in hand.
    fn shown(&self, question: &Question<'_>, region: &str) -> Recorded {
        let Some(shown) = self.data.get(region) else { return Recorded::No };
        let selects = |arn: &str| {
            self.spans(region).iter().all(|span| {
                span.states.iter().any(|(trail, state)| {
                    trail.arn == arn
                        && matches!(state, State::On { selectors, .. } if recorded(selectors, question) == Recorded::Yes)
                })
            })
        };
        let own = shown.by_trail.iter().filter(|(arn, _)| selects(arn)).map(|(_, shown)| *shown);
        own.fold(shown.records, Recorded::or)
    }

    /// The trails' states over the window in one region.
    #[must_use]
    pub fn spans(&self, region: &str) -> &[Span<'a>] {
        &self.region(region).spans
    }
}

impl Recording<'_> {
    /// Whether the account's trails surely recorded data events of an action on everything that a pattern names: see
    /// [`Logged::records`].
    #[must_use]
    pub fn records_data(
        &self,
        logged: &Logged<'_>,
        action: ActionId,
        pattern: &ArnPattern,
        regions: &BTreeSet<String>,
    ) -> Recorded {
        let Some(known) = self.catalog.action(action) else { return Recorded::No };
        let Some(kind) = data_type(known.prefix(), known.name()) else { return Recorded::No };
        // A batch of deletions is recorded on the bucket, whatever the keys; and what lists a bucket is recorded as on all
        // that lies in it (`ARNPrefix`).
        let of_bucket = |pattern: &ArnPattern| matches!(pattern, ArnPattern::Arn(parts) if !parts.resource.to_string().contains('/'));
        let bucket = (known.prefix() == "s3" && (known.name().starts_with("DeleteObject") || of_bucket(pattern)))
            .then(|| whole_bucket(pattern));
        let scope = Scope(bucket.as_ref().unwrap_or(pattern));
        let answers = self.calls.of_action(action, LogClass::Data).map(|call| {
            let question = Question {
                category: EventCategory::Data,
                read_only: call.read_only,
                source: call.source.as_deref(),
                name: call.name,
                resource_type: Some(kind),
                resources: Some(&scope),
            };
            logged.records(&question, regions)
        });
        // Where no selectors are known, no calls were looked up: that is no yes.
        answers.reduce(Recorded::and).unwrap_or(Recorded::No)
    }
}

/// The `resources.type` under which the data events of an action are selected, where there is only one. Source:
/// "Logging data events", AWS CloudTrail User Guide.
#[must_use]
pub fn data_type(prefix: &str, name: &str) -> Option<&'static str> {
    match prefix {
        "s3" => Some("AWS::S3::Object"),
        "lambda" => Some("AWS::Lambda::Function"),
        "dynamodb" if matches!(name, "GetRecords" | "GetShardIterator" | "DescribeStream" | "ListStreams") => {
            Some("AWS::DynamoDB::Stream")
        }
        "dynamodb" => Some("AWS::DynamoDB::Table"),
        "sqs" => Some("AWS::SQS::Queue"),
        _ => None,
    }
}

/// Whether the resources of a scope may be reached in a way that is selected under another type: objects through
/// access points.
#[must_use]
pub fn may_be_of_another_type(prefix: &str, pattern: &ArnPattern) -> bool {
    prefix == "s3" && !ArnPattern::parse("arn:*:s3:::*", false).covers(pattern)
}

fn whole_bucket(pattern: &ArnPattern) -> ArnPattern {
    let ArnPattern::Arn(parts) = pattern else { return pattern.clone() };
    let resource = parts.resource.to_string();
    let bucket = resource.split('/').next().unwrap_or_default();
    if bucket.is_empty() || bucket.contains(['*', '?', '$']) {
        return pattern.clone();
    }
    ArnPattern::parse(&format!("arn:{}:s3:::{bucket}/*", parts.partition), false)
}

/// Everything that a pattern of a policy names.
struct Scope<'p>(&'p ArnPattern);

impl Resources for Scope<'_> {
    fn compare(&self, operator: Operator, value: &str) -> Recorded {
        // In a selector these characters stand for themselves, in a pattern they do not.
        if value.is_empty() || value.contains(['*', '?', '$']) {
            return Recorded::Maybe;
        }
        let wanted = match operator {
            // What is left out of an ARN pattern is anything.
            Operator::StartsWith => format!("{value}*"),
            Operator::Equals => value.to_owned(),
            _ => return self.ends_with(value),
        };
        let wanted = ArnPattern::parse(&wanted, false);
        if wanted.covers(self.0) {
            Recorded::Yes
        } else if wanted.overlaps(self.0) {
            Recorded::Maybe
        } else {
            Recorded::No
        }
    }
}

impl Scope<'_> {
    fn ends_with(&self, value: &str) -> Recorded {
        match self.0 {
            ArnPattern::Arn(parts) if parts.resource.is_literal() => {
                Recorded::of(parts.resource.to_string().ends_with(value)).or(Recorded::Maybe)
            }
            _ => Recorded::Maybe,
        }
    }
}

#[cfg(test)]
mod tests;
