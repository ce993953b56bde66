//! The rows of coverage: what files, digests and the settings of trails say of each account and region, and what
//! remains open about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::EventCategory;
use crate::model::region;
use crate::model::snapshot::Snapshot;
use crate::model::trail::{Operator, Selectors};
use crate::usage::coverage::{Coverage, SETTLING_HOURS, Tally};
use crate::usage::kinds::Kinds;
use crate::usage::trails::{Question, Recorded, Span, State, is_whole_service};

use super::assessment::{Gap, ManagementEvents, RegionCoverage};
use super::logged::{Logged, Recording};

/// Most names that a gap lists.
const MOST_NAMES: usize = 3;

/// Coverage by account and region: every account of the snapshot or of the logs, every region seen, and the home
/// region even where nothing of it was seen.
pub(super) fn rows(snapshot: &Snapshot, coverage: &Coverage, recording: &Recording<'_>) -> Vec<RegionCoverage> {
    let mut accounts: BTreeMap<String, String> = BTreeMap::new();
    for (account, iam) in &snapshot.accounts {
        let partition = iam.roles.first().map_or("aws", |role| role.holder.arn.partition()).to_owned();
        accounts.insert(account.to_string(), partition);
    }
    for account in coverage.accounts() {
        let of_logs = || coverage.regions(account).next().map_or("aws", region::partition).to_owned();
        accounts.entry(account.to_owned()).or_insert_with(of_logs);
    }
    let days = coverage.window().days().count() as u64;
    let mut rows = Vec::new();
    for (account, partition) in accounts {
        let mut regions: BTreeSet<&str> = coverage.regions(&account).collect();
        regions.insert(region::home(&partition));
        let logged = recording.account(&account);
        for region in regions {
            let missing = coverage.missing_days(&account, region);
            let Tally { covered, empty, missing: hours_missing, total, settling } =
                coverage.tally_all(&account, region);
            let said = summary(&logged, region);
            rows.push(RegionCoverage {
                account: account.clone(),
                region: region.to_owned(),
                days_covered: days - missing.len() as u64,
                days_missing: missing,
                hours_covered: covered,
                hours_total: total,
                data_events: coverage.data_events(&account, region),
                hours_empty: empty,
                hours_missing,
                settling_hours: settling,
                management: said.management,
                excluded_sources: said.excluded.into_iter().collect(),
                data_selectors: said.data.into_iter().collect(),
                trails: said.trails.into_iter().collect(),
            });
        }
    }
    rows
}

#[derive(Default)]
struct Said {
    management: ManagementEvents,
    excluded: BTreeSet<String>,
    data: BTreeSet<String>,
    trails: BTreeSet<String>,
}

fn summary(logged: &Logged<'_>, region: &str) -> Said {
    let spans = logged.spans(region);
    if spans.is_empty() {
        return Said::default();
    }
    let whole = |read| {
        let question = Question::management(read);
        spans.iter().map(|span| span.records(&question)).fold(Recorded::Yes, Recorded::and)
    };
    let any = Question::any(EventCategory::Management);
    let never = spans.iter().all(|span| span.records(&any) == Recorded::No);
    let management = match (whole(true), whole(false)) {
        (Recorded::Yes, Recorded::Yes) => ManagementEvents::All,
        (Recorded::No, Recorded::Yes) => ManagementEvents::WriteOnly,
        (Recorded::Yes, Recorded::No) => ManagementEvents::ReadOnly,
        (Recorded::No, Recorded::No) if never => ManagementEvents::None,
        (Recorded::No, Recorded::No) => ManagementEvents::Some,
        (Recorded::Maybe, _) | (_, Recorded::Maybe) => ManagementEvents::Unknown,
    };
    let mut said = Said { management, ..Said::default() };
    for span in spans {
        said.trails.extend(span.states.iter().map(|(trail, _)| trail.name.clone()));
        for source in named_sources(span) {
            let out = [true, false].into_iter().any(|read| {
                let generic = Question::management(read);
                let named = Question { source: Some(&source), ..generic };
                span.records(&generic) != Recorded::No && span.records(&named) == Recorded::No
            });
            if out {
                said.excluded.insert(source);
            }
        }
    }
    for (_, state) in spans.last().into_iter().flat_map(|span| &span.states) {
        if let State::On { selectors, .. } = state {
            said.data.extend(data_selectors(selectors));
        }
    }
    said
}

/// The event sources that selectors single out.
fn named_sources(span: &Span<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, state) in &span.states {
        match state {
            State::On { selectors: Selectors::Basic(list), .. } => {
                found.extend(list.iter().flat_map(|one| one.excluded.iter().cloned()));
            }
            State::On { selectors: Selectors::Advanced(list), .. } => {
                let fields = list.iter().flat_map(|one| &one.fields).filter(|field| field.field == "eventSource");
                found.extend(fields.flat_map(|field| &field.conditions).flat_map(|(_, values)| values.iter().cloned()));
            }
            State::Off(_) | State::Unclear(_) => {}
        }
    }
    found
}

/// What selectors take in of data events, as type and number of resources: `AWS::S3::Object: all`.
fn data_selectors(selectors: &Selectors) -> Vec<String> {
    match selectors {
        Selectors::Basic(list) => list
            .iter()
            .flat_map(|one| &one.data)
            .filter(|selection| !selection.values.is_empty())
            .map(|selection| {
                let all = selection.values.iter().any(|value| is_whole_service(value, &selection.kind));
                let how = if all { "all".to_owned() } else { selection.values.len().to_string() };
                format!("{}: {how}", selection.kind)
            })
            .collect(),
        Selectors::Advanced(list) => list
            .iter()
            .flat_map(|one| {
                let equals = |name: &str| {
                    let fields = one.fields.iter().filter(move |field| field.field == name);
                    fields
                        .flat_map(|field| &field.conditions)
                        .filter(|(operator, _)| *operator == Operator::Equals)
                        .flat_map(|(_, values)| values.iter().cloned())
                        .collect::<Vec<_>>()
                };
                let category = equals("eventCategory").concat();
                let narrowed =
                    one.fields.iter().any(|field| !matches!(field.field.as_str(), "eventCategory" | "resources.type"));
                let how = if narrowed { "some" } else { "all" };
                let kinds = if category == "Data" { equals("resources.type") } else { Vec::new() };
                kinds.into_iter().map(move |kind| format!("{kind}: {how}")).collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// What remains open about trails and deliveries.
pub(super) fn gaps(recording: &Recording<'_>, accounts: &BTreeSet<String>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let silent: Vec<&str> =
        accounts.iter().filter(|account| !recording.trails().documented(account)).map(String::as_str).collect();
    if !silent.is_empty() {
        let names = named(&silent);
        gaps.push(gap(
            "trails",
            format!(
                "trail selectors not collected of {names}: their management events are taken to be recorded in \
                 full where there are logs, unless a recorded call says otherwise or the logs hold none of a kind"
            ),
            TELL,
        ));
    }
    gaps.extend(unshown_gaps(recording, accounts));
    gaps.extend(trail_gaps(recording, accounts));
    gaps.extend(file_gaps(recording));
    if let Some(span) = recording.coverage().settling() {
        gaps.push(gap(
            "settling",
            format!("the last {SETTLING_HOURS} hours of the logs, {span}, may still be delivered"),
            "ingest again later, or set --as-of to an earlier time",
        ));
    }
    gaps
}

/// The first of some accounts, and how many more there are.
fn named(accounts: &[&str]) -> String {
    let names = accounts.get(..MOST_NAMES).unwrap_or(accounts).join(", ");
    match accounts.len().saturating_sub(MOST_NAMES) {
        0 => names,
        more => format!("{names} and {more} more accounts"),
    }
}

/// What to do where nobody told what trails record.
const TELL: &str = "run `jitscan ingest trails` on the answers of `aws cloudtrail describe-trails`, `get-event-selectors` \
                    and `get-trail-status` for the trails whose logs are ingested";

/// Kinds of events that the logs of accounts do not hold at all, where nobody told what their trails record.
fn unshown_gaps(recording: &Recording<'_>, accounts: &BTreeSet<String>) -> Vec<Gap> {
    let mut by_kinds: BTreeMap<Vec<Kinds>, Vec<&str>> = BTreeMap::new();
    for account in accounts {
        by_kinds.entry(recording.lacking(account)).or_default().push(account);
    }
    let lacking = by_kinds.into_iter().filter(|(kinds, _)| !kinds.is_empty());
    lacking
        .map(|(kinds, accounts)| {
            let kinds: Vec<&str> = kinds.into_iter().map(Kinds::words).collect();
            let (kinds, names) = (kinds.join(" and no "), named(&accounts));
            let what = format!(
                "the logs of {names} hold no {kinds}, which a trail can leave out: what only these would show is \
                 unobservable"
            );
            gap("trails", what, TELL)
        })
        .collect()
}

/// What is not known of files and digests.
fn file_gaps(recording: &Recording<'_>) -> Vec<Gap> {
    let (coverage, mut gaps) = (recording.coverage(), Vec::new());
    let exported = coverage.exported();
    if exported > 0 {
        gaps.push(gap(
            "exports",
            format!(
                "{exported} events came from exports only, which do not say what their query left out: their hours are \
                 not covered"
            ),
            "ingest the trail's own files, or, where the exports hold every event of their span, ingest them with \
             --complete",
        ));
    }
    let placeless = coverage.placeless();
    if placeless > 0 {
        gaps.push(gap("exports", format!("{placeless} events name no account or no region: they cover nothing"), ""));
    }
    let mut unproven: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (account, trail) in coverage.unproven() {
        unproven.entry(trail).or_default().insert(account);
    }
    for (trail, accounts) in unproven {
        let (count, first) = (accounts.len(), accounts.first().copied().unwrap_or_default());
        let whose = if count == 1 { first.to_owned() } else { format!("{count} accounts") };
        let name = if trail.is_empty() { "an unnamed trail".to_owned() } else { format!("trail {trail}") };
        gaps.push(gap(
            "trails",
            format!(
                "digests of {name} for {whose} prove no quiet hours: nobody knows whether it records management events"
            ),
            "ingest its settings, or the log files that its digests name",
        ));
    }
    let unread = recording.trails().unread();
    for call in unread.iter().take(MOST_NAMES) {
        let (name, time, account, region) = (&call.name, call.time, &call.account, &call.region);
        gaps.push(gap(
            "trails",
            format!(
                "a call {name} of {time} in {account} {region} does not say on which trail: all of them are unclear from \
                 then on"
            ),
            "ingest the trail file that holds it, or the settings of the trails as they were after it",
        ));
    }
    if unread.len() > MOST_NAMES {
        let more = unread.len() - MOST_NAMES;
        gaps.push(gap("trails", format!("{more} more calls that change trails do not say on which"), ""));
    }
    gaps
}

fn gap(kind: &str, what: String, remedy: &str) -> Gap {
    Gap { kind: kind.to_owned(), what, remedy: remedy.to_owned() }
}

/// What is not known of the trails that are.
fn trail_gaps(recording: &Recording<'_>, accounts: &BTreeSet<String>) -> Vec<Gap> {
    let trails = recording.trails();
    let mut unclear: BTreeSet<(String, &str)> = BTreeSet::new();
    let mut unseen: BTreeSet<(String, String, String)> = BTreeSet::new();
    for account in accounts {
        for trail in trails.of_account(account) {
            if trail.documented && !trail.changes_seen {
                unseen.insert((trail.name.clone(), trail.account.clone(), trail.home.clone()));
            }
        }
        let regions = trails.special(account).into_iter().chain([""]);
        for (trail, state) in regions.flat_map(|region| trails.spans(account, region)).flat_map(|span| span.states) {
            if let State::Unclear(why) = state {
                unclear.insert((trail.name.clone(), why));
            }
        }
    }
    let unclear = unclear.into_iter().map(|(name, why)| {
        gap(
            "trails",
            format!("trail {name} {why} for a part of the window; what it may have left out is unobservable"),
            "ingest its settings as they were then, and all of its home region's logs",
        )
    });
    let unseen = unseen.into_iter().map(|(name, account, home)| {
        gap(
            "trails",
            format!(
                "changes of trail {name} may have gone unseen: its settings were not collected within the window, or \
                 the logs of {account} (and of whoever may change it) in {home} are not whole or leave out such \
                 changes; nothing that rests on it is called unused"
            ),
            "collect its settings every day, and ingest all logs of its home region with write management events",
        )
    });
    unclear.chain(unseen).collect()
}
