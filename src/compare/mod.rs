//! Granted against used: the verdict on every entitlement, and the facts about every principal that later stages
//! judge.

pub mod accessed;
pub mod analyzed;
pub mod assessment;
mod coverage;
pub mod elsewhere;
mod entering;
mod external;
pub mod holders;
pub mod logged;
pub mod observe;
mod placed;
mod principal;
pub mod regions;
mod role_names;
mod rows;
mod unshown;
pub mod used;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::catalog::{ActionSet, Catalog, Glob};
use crate::entitlements::{Entitlements, PrincipalEntitlements, PrincipalKind, Privileges, Reach, who_may_assume};
use crate::model::snapshot::{RosterKind, Snapshot};
use crate::model::time::{Day, Timestamp};
use crate::usage::activity::Activity;
use crate::usage::changes::PolicyChanges;
use crate::usage::coverage::{Coverage, show_days};
use crate::usage::people::People;
use crate::usage::trails::Trails;

use analyzed::Analyzers;
use assessment::{Assessment, CredentialFacts, CredentialKind, Gap, RegionCoverage};
use holders::Holding;
use logged::Recording;
use observe::{Classes, Eyes};
use role_names::RoleNames;
use used::OwnActivity;

pub use elsewhere::{Confined, confined};
pub use entering::entries_unseen;
pub use rows::EntitlementRow;

/// What only the user can know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Break-glass principals.
    pub break_glass: Vec<Glob>,
    /// Regions in use; empty: every region of the partition that no policy closes.
    pub regions: Vec<String>,
}

/// All that a comparison needs.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// IAM, organisation, people.
    pub snapshot: &'a Snapshot,
    /// The index of people.
    pub people: &'a People,
    /// What is granted.
    pub entitlements: &'a Entitlements,
    /// What was used.
    pub activity: &'a Activity,
    /// What the logs speak for.
    pub coverage: &'a Coverage,
    /// What trails were set to record.
    pub trails: &'a Trails,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// Settings.
    pub settings: &'a Settings,
    /// The instant that the comparison speaks for.
    pub as_of: Timestamp,
    /// Generation of the lake.
    pub generation: u64,
    /// Changes of policies that the logs show.
    pub changes: &'a PolicyChanges,
    /// Regions that recorded calls enabled, by account.
    pub enabled: &'a BTreeMap<String, BTreeSet<String>>,
    /// Event id of an example of (principal ARN, action), oldest first; evidence, not arithmetic.
    pub examples: &'a BTreeMap<(String, crate::catalog::ActionId), Vec<String>>,
}

/// What is worked out once and shared by all principals.
struct Shared<'a> {
    inputs: &'a Inputs<'a>,
    classes: &'a Classes,
    eyes: BTreeMap<String, Eyes<'a>>,
    holders: BTreeMap<String, Holding>,
    /// What the snapshot says of users and roles, by ARN.
    records: BTreeMap<&'a str, Record<'a>>,
    own: Vec<OwnActivity<'a>>,
    reach: Reach<'a>,
    roles: RoleNames<'a>,
    data_seen: verdict::DataSeen<'a>,
    analyzers: Analyzers<'a>,
}

impl<'a> Shared<'a> {
    fn new(inputs: &'a Inputs<'a>, classes: &'a Classes, recording: &'a Recording<'a>) -> Self {
        let mut eyes = BTreeMap::new();
        for principal in &inputs.entitlements.principals {
            let account = principal.account.to_string();
            eyes.entry(account.clone()).or_insert_with(|| {
                let limits = regions::limits(inputs.snapshot.organization.as_ref(), principal.account, inputs.catalog);
                let partition = principal.arn.partition();
                let eyes = Eyes::on(inputs.coverage, classes, &account, partition, &inputs.settings.regions, limits);
                let also = if inputs.settings.regions.is_empty() {
                    let iam = inputs.snapshot.accounts.get(&principal.account);
                    let named = iam.map(|iam| regions::named(iam, &account)).unwrap_or_default();
                    inputs.enabled.get(&account).into_iter().flatten().cloned().chain(named).collect()
                } else {
                    BTreeSet::new()
                };
                eyes.with_regions(also).with_recording(recording)
            });
        }
        let keys: Vec<(&str, &str)> =
            inputs.entitlements.principals.iter().map(|p| (p.arn.as_str(), p.id.as_str())).collect();
        let own = used::by_principal(inputs.activity, &keys);
        let holders = holders::holders(inputs.snapshot, inputs.people);
        let reach = Reach::new(inputs.catalog);
        let roles = inputs.snapshot.accounts.values().flat_map(|iam| &iam.roles);
        let roles = RoleNames::of(
            roles.map(|role| (role.holder.arn.as_str(), role.instance_profiles.iter().map(String::as_str).collect())),
        );
        let (records, data_seen) = (records(inputs.snapshot), verdict::DataSeen::of(&inputs.activity.data_seen));
        let analyzers = Analyzers::of(inputs.snapshot);
        Self { inputs, classes, eyes, holders, records, own, reach, roles, data_seen, analyzers }
    }
}

/// What a snapshot says of a user or role beside its policies.
struct Record<'a> {
    holder: &'a crate::model::snapshot::Holder,
    last_used: Option<Timestamp>,
}

fn records(snapshot: &Snapshot) -> BTreeMap<&str, Record<'_>> {
    let mut found = BTreeMap::new();
    for iam in snapshot.accounts.values() {
        for user in &iam.users {
            found.insert(user.holder.arn.as_str(), Record { holder: &user.holder, last_used: None });
        }
        for role in &iam.roles {
            found.insert(role.holder.arn.as_str(), Record { holder: &role.holder, last_used: role.last_used });
        }
    }
    found
}

/// Compares.
#[must_use]
pub fn assess(inputs: &Inputs<'_>) -> Assessment {
    let classes = Classes::of(inputs.catalog);
    let accounts = accounts(inputs);
    let recording = recording(inputs, &classes, &accounts);
    let shared = Shared::new(inputs, &classes, &recording);
    let coverage = coverage::rows(inputs.snapshot, inputs.coverage, &recording);
    let mut gaps = gaps(inputs, &coverage);
    gaps.extend(coverage::gaps(&recording, &accounts));
    let principals = inputs
        .entitlements
        .principals
        .par_iter()
        .zip(&shared.own)
        .map(|(granted, own)| principal::facts(&shared, granted, own))
        .collect();
    Assessment {
        as_of: inputs.as_of,
        window: inputs.coverage.window(),
        generation: inputs.generation,
        snapshot: inputs.snapshot.hash.clone(),
        catalogue: inputs.catalog.version().to_owned(),
        privileged_set: format!("{} {}", Privileges::get().version, Privileges::get().hash),
        accounts: inputs.snapshot.accounts.keys().copied().collect(),
        principals,
        credentials: credentials(inputs.snapshot, inputs.people, &shared.analyzers),
        shared: external::shared(inputs.snapshot, inputs.catalog),
        ended: left(inputs.snapshot, inputs.people, inputs.as_of)
            .into_iter()
            .map(|(person, end)| (person, last_day(end)))
            .collect(),
        coverage,
        gaps: gaps.into_iter().collect(),
    }
}

/// What the trails of accounts recorded.
fn recording<'a>(inputs: &Inputs<'a>, classes: &'a Classes, accounts: &BTreeSet<String>) -> Recording<'a> {
    let kinds = inputs.activity.recorded.as_ref();
    Recording::of(inputs.trails, inputs.coverage, (inputs.catalog, classes), accounts, kinds)
}

/// Accounts of the snapshot or of the logs.
fn accounts(inputs: &Inputs<'_>) -> BTreeSet<String> {
    let known = inputs.snapshot.accounts.keys().map(ToString::to_string);
    known.chain(inputs.coverage.accounts().map(str::to_owned)).collect()
}

/// Lists entitlements with their verdicts for the principals that `wanted` accepts and the actions of `actions`.
#[must_use]
pub fn entitlement_rows(
    inputs: &Inputs<'_>,
    wanted: impl Fn(&str) -> bool + Sync,
    actions: Option<&ActionSet>,
) -> Vec<EntitlementRow> {
    let classes = Classes::of(inputs.catalog);
    let recording = recording(inputs, &classes, &accounts(inputs));
    let shared = Shared::new(inputs, &classes, &recording);
    inputs
        .entitlements
        .principals
        .par_iter()
        .zip(&shared.own)
        .filter(|(granted, _)| wanted(granted.arn.as_str()))
        .flat_map_iter(|(granted, own)| rows::of(&shared, granted, own, actions))
        .collect()
}

/// The verdicts on all of a principal's actions, over all of its entitlements: the best counts.
#[derive(Clone, Debug)]
pub struct ActionVerdicts {
    /// ARN of the principal.
    pub arn: String,
    /// Its unique id.
    pub id: String,
    /// Granted, and used.
    pub used: ActionSet,
    /// Unused, by documented or observed logging.
    pub unused: ActionSet,
    /// Unused as far as an assumption about logging holds.
    pub unused_low: ActionSet,
    /// Not observable.
    pub unobservable: ActionSet,
    /// Used on whatever resource, also where no entitlement names it: somebody did it, so it may be needed.
    pub seen: ActionSet,
}

/// The verdicts by action, for the principals that `wanted` accepts.
#[must_use]
pub fn action_verdicts(inputs: &Inputs<'_>, wanted: impl Fn(&str) -> bool + Sync) -> Vec<ActionVerdicts> {
    let classes = Classes::of(inputs.catalog);
    let recording = recording(inputs, &classes, &accounts(inputs));
    let shared = Shared::new(inputs, &classes, &recording);
    let principals = inputs.entitlements.principals.par_iter().zip(&shared.own);
    principals
        .filter(|(granted, _)| wanted(granted.arn.as_str()))
        .map(|(granted, own)| {
            let totals = principal::totals(&shared, granted, own, &shared.accessed(granted, own));
            ActionVerdicts {
                arn: granted.arn.to_string(),
                id: granted.id.clone(),
                used: totals.used,
                unused: totals.unused,
                unused_low: totals.unused_low,
                unobservable: totals.unobservable,
                seen: own.ever_used(inputs.catalog),
            }
        })
        .collect()
}

/// People of the roster who have left by an instant, with the latest of their ends. Who stands in it more than once, as an
/// employee who was a supplier before or with a program of theirs, has left once every entry has ended; an entry that
/// begins after its end is of somebody who came back.
#[must_use]
pub fn left(snapshot: &Snapshot, people: &People, as_of: Timestamp) -> BTreeMap<String, Timestamp> {
    let mut all: BTreeMap<&str, (bool, Option<Timestamp>)> = BTreeMap::new();
    for entry in &snapshot.roster {
        let Some(person) = people.named(&entry.id) else { continue };
        let back = |end: &Timestamp| entry.start.is_some_and(|start| start > *end);
        let end = entry.end.filter(|end| *end <= as_of && !back(end));
        let (human, latest) = all.entry(person).or_insert((false, Some(Timestamp::default())));
        *human |= entry.kind != RosterKind::Service;
        *latest = latest.zip(end).map(|(known, end)| known.max(end));
    }
    let gone = all.into_iter().filter(|(_, (human, _))| *human);
    gone.filter_map(|(person, (_, latest))| Some((person.to_owned(), latest?))).collect()
}

/// The day that an end belongs to: an end at midnight, which a date in the roster means, is that of the day before.
#[must_use]
pub fn last_day(end: Timestamp) -> Day {
    Timestamp::from_micros(end.micros().saturating_sub(1)).day()
}

fn credentials(snapshot: &Snapshot, people: &People, analyzers: &Analyzers<'_>) -> Vec<CredentialFacts> {
    let mut found = Vec::new();
    for report in snapshot.credential_reports.values() {
        let details = snapshot.account_details.get(&report.account);
        for row in &report.rows {
            let root = row.user == "<root_account>";
            let arn = row.arn.to_string();
            let person = people.owner_of_iam_user(&arn, &row.user).unwrap_or_default().to_owned();
            let console = root || row.password.as_ref().is_some_and(|password| password.active);
            let kinds = [CredentialKind::AccessKey1, CredentialKind::AccessKey2];
            let keys = kinds.into_iter().zip(row.keys.iter().map(Some));
            // Root's password is not supported in the report, but it is there: its row carries root's MFA.
            let password = (CredentialKind::Password, row.password.as_ref());
            for (kind, credential) in std::iter::once(password).chain(keys) {
                if credential.is_none() && !(root && kind == CredentialKind::Password) {
                    continue;
                }
                let mut facts = CredentialFacts {
                    account: report.account,
                    user: row.user.clone(),
                    arn: arn.clone(),
                    person: person.clone(),
                    kind,
                    active: credential.map_or(root, |credential| credential.active),
                    since: credential.and_then(|credential| credential.rotated).or(row.created),
                    last_used: credential.and_then(|credential| credential.last_used),
                    reported_at: report.captured_at,
                    mfa: row.mfa,
                    root,
                    console,
                    analyzers: Vec::new(),
                };
                facts.analyzers = analyzers.on_credential(&facts, row, details);
                found.push(facts);
            }
        }
    }
    found.sort_by(|a, b| (a.account, &a.user, a.kind).cmp(&(b.account, &b.user, b.kind)));
    found
}

/// What narrows the claims, gathered.
#[derive(Default)]
struct Gaps(BTreeSet<Gap>);

impl Gaps {
    fn add(&mut self, kind: &str, what: String, remedy: &str) {
        self.0.insert(Gap { kind: kind.to_owned(), what, remedy: remedy.to_owned() });
    }
}

fn gaps(inputs: &Inputs<'_>, coverage: &[RegionCoverage]) -> BTreeSet<Gap> {
    let mut gaps = Gaps::default();
    log_gaps(inputs, coverage, &mut gaps);
    document_gaps(inputs, &mut gaps);
    trust_gaps(inputs, &mut gaps);
    for defect in inputs.snapshot.defects.iter().chain(&inputs.entitlements.defects) {
        gaps.add("snapshot", format!("{}: {}", defect.place, defect.reason), "");
    }
    gaps.0
}

/// Of what logs show: days, regions, calls.
fn log_gaps(inputs: &Inputs<'_>, coverage: &[RegionCoverage], gaps: &mut Gaps) {
    for row in coverage.iter().filter(|row| !row.days_missing.is_empty()) {
        let days = show_days(&row.days_missing);
        gaps.add(
            "coverage",
            format!("no management events of {} in {} on {days}", row.account, row.region),
            "ingest the missing logs; until then what could have been used there is unobservable",
        );
    }
    for principal in inputs.entitlements.principals.iter().filter(|_| inputs.settings.regions.is_empty()) {
        let account = principal.account;
        if regions::limits(inputs.snapshot.organization.as_ref(), account, inputs.catalog).is_empty()
            && inputs.coverage.regions(&account.to_string()).next().is_some()
        {
            gaps.add(
                "regions",
                format!(
                    "nothing says which regions {account} uses, so every default region counts as usable, and of \
                     opt-in regions those that logs, calls or ARNs name"
                ),
                "name the regions in use as `regions` in jitscan.toml, or ingest the organisation's policies",
            );
        }
    }
    if !inputs.activity.unmapped.is_empty() {
        let calls: u64 = inputs.activity.unmapped.values().sum();
        let names: Vec<String> =
            inputs.activity.unmapped.keys().take(3).map(|(source, name)| format!("{source} {name}")).collect();
        gaps.add(
            "mapping",
            format!(
                "{calls} calls of {} kinds stand behind no action that the catalogue knows, such as {}",
                inputs.activity.unmapped.len(),
                names.join(", ")
            ),
            "",
        );
    }
}

/// Of documents that were not ingested.
fn document_gaps(inputs: &Inputs<'_>, gaps: &mut Gaps) {
    for account in inputs.snapshot.accounts.keys() {
        if !inputs.snapshot.credential_reports.contains_key(account) {
            gaps.add(
                "credentials",
                format!("no credential report of {account}"),
                "run `jitscan ingest credential-report` on it; credentials and data-only use are not judged without it",
            );
        }
    }
    let from_sets = |principal: &&PrincipalEntitlements| principal.kind == PrincipalKind::IdentityCenterRole;
    let sets = inputs.entitlements.principals.iter().filter(from_sets).count();
    if inputs.snapshot.identity_center.is_none() && sets > 0 {
        gaps.add(
            "identity_center",
            format!("nobody told who is assigned to the permission sets behind {sets} roles"),
            "run `jitscan ingest identity-center`; until then only people seen using a role count as its holders",
        );
    }
    for (account, arn) in inputs.snapshot.identity_center.iter().flat_map(|center| &center.outdated) {
        let sets = inputs.snapshot.identity_center.iter().flat_map(|center| &center.permission_sets);
        let name = sets.into_iter().find(|set| set.arn == *arn).map_or(arn.as_str(), |set| set.name.as_str());
        gaps.add(
            "drift",
            format!("the permission set {name} was changed and not provisioned in {account} since: its role there is the older one"),
            "provision it there; what is said here is of the role",
        );
    }
    if inputs.snapshot.organization.is_none() && !inputs.snapshot.accounts.is_empty() {
        gaps.add(
            "organization",
            "no organisation policies were collected, so service control policies are not taken into account"
                .to_owned(),
            "run `jitscan ingest organization`",
        );
    }
}

/// Of trust policies that cannot be read.
fn trust_gaps(inputs: &Inputs<'_>, gaps: &mut Gaps) {
    for role in inputs.snapshot.accounts.values().flat_map(|iam| &iam.roles) {
        if let Err(error) = who_may_assume(role) {
            let what = format!(
                "the trust policy of {} cannot be read, so nobody knows who may assume it: {error}",
                role.holder.arn
            );
            gaps.add("snapshot", what, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_still_theirs() {
        for (end, last) in [("2026-09-21", "2026-09-20"), ("2026-09-20T17:00:00Z", "2026-09-20")] {
            assert_eq!(last_day(end.parse().unwrap()).to_string(), last, "{end}");
        }
    }
}
