//! What the logs could have shown of one account's principals: for every action, the days and regions in which a
//! use would have been recorded, and why it would not.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{ActionId, ActionSet, Catalog, LogClass, Provenance};
use crate::model::region;
use crate::model::time::Day;
use crate::policy::ArnPattern;
use crate::usage::coverage::{Coverage, DEFAULT_REGIONS, show_days};
use crate::usage::trails::Recorded;

use super::logged::{Logged, Recording};

/// Regions that an account of the partition may use unless something closes them.
fn partition_regions(partition: &str) -> &'static [&'static str] {
    region::of_partition(partition).unwrap_or(&DEFAULT_REGIONS)
}

/// Actions that an organisation policy closes outside some regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionLimit {
    /// The actions.
    pub actions: ActionSet,
    /// The regions that stay open.
    pub regions: BTreeSet<String>,
}

/// The catalogue's actions by how they are logged; the same for every principal.
#[derive(Debug)]
pub struct Classes {
    /// Logged as management events, documented or observed.
    pub management: ActionSet,
    /// Of all classes: known only by assumption.
    pub assumed: ActionSet,
    /// Logged as data events.
    pub data: ActionSet,
    /// Not logged, permission-only, or logged for VPC endpoints only.
    pub dark: ActionSet,
    /// Actions of global services.
    pub global: ActionSet,
    /// The same by the region of the commercial partition in which they log.
    pub homes: BTreeMap<String, ActionSet>,
    /// Actions of IAM, which may have a home of its own.
    pub iam: ActionSet,
    /// Actions that only read or list.
    pub reads: ActionSet,
}

impl Classes {
    /// Sorts the catalogue's actions.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        use crate::catalog::AccessLevel::{List, Read};
        let mut classes = Self {
            management: catalog.no_actions(),
            assumed: catalog.no_actions(),
            data: catalog.no_actions(),
            dark: catalog.no_actions(),
            global: catalog.no_actions(),
            homes: BTreeMap::new(),
            iam: catalog.no_actions(),
            reads: catalog.no_actions(),
        };
        for action in catalog.actions() {
            match action.log_class() {
                LogClass::Management => classes.management.insert(action.id()),
                LogClass::Data => classes.data.insert(action.id()),
                LogClass::NetworkActivity | LogClass::NotLogged | LogClass::PermissionOnly => {
                    classes.dark.insert(action.id())
                }
            };
            if action.provenance() == Provenance::Assumed {
                classes.assumed.insert(action.id());
            }
            if matches!(action.access(), List | Read) {
                classes.reads.insert(action.id());
            }
        }
        catalog.service("iam").into_iter().for_each(|range| classes.iam.insert_range(range));
        for service in catalog.services() {
            if let (Some(home), Some(range)) = (service.home_region, catalog.service(service.prefix)) {
                classes.global.insert_range(range.clone());
                classes.homes.entry(home.to_owned()).or_insert_with(|| catalog.no_actions()).insert_range(range);
            }
        }
        classes
    }
}

/// What the logs of one account cannot show.
#[derive(Clone, Debug)]
pub struct Blindness {
    /// Actions of which some day or region is missing.
    pub actions: ActionSet,
    /// Why, in words, sorted.
    pub reasons: Vec<String>,
    /// Actions whose calls the trails left out at some time in some region, with the reason.
    pub left_out: Vec<(ActionSet, String)>,
}

/// The coverage of one account, asked per set of regions.
#[derive(Debug)]
pub struct Eyes<'a> {
    coverage: &'a Coverage,
    classes: &'a Classes,
    account: String,
    partition: String,
    limits: Vec<RegionLimit>,
    open: BTreeSet<String>,
    /// Region → missing days, where any.
    missing: BTreeMap<String, Vec<Day>>,
    /// What the account's trails recorded, where anything is known of them.
    recording: Option<&'a Recording<'a>>,
    logged: Logged<'a>,
}

impl<'a> Eyes<'a> {
    /// The eyes on an account. `configured` are the regions that the user says are in use; where there are none,
    /// every region of the partition that no policy closes must be covered.
    #[must_use]
    pub fn on(
        coverage: &'a Coverage,
        classes: &'a Classes,
        account: &str,
        partition: &str,
        configured: &[String],
        limits: Vec<RegionLimit>,
    ) -> Self {
        let mut open: BTreeSet<String> = if configured.is_empty() {
            partition_regions(partition).iter().map(|region| (*region).to_owned()).collect()
        } else {
            configured.iter().cloned().collect()
        };
        open.extend(coverage.regions(account).map(str::to_owned));
        open.insert(region::home(partition).to_owned());
        let missing = open
            .iter()
            .chain(limits.iter().flat_map(|limit| &limit.regions))
            .map(|region| (region.clone(), coverage.missing_days(account, region)))
            .filter(|(_, days)| !days.is_empty())
            .collect();
        Self {
            coverage,
            classes,
            account: account.to_owned(),
            partition: partition.to_owned(),
            limits,
            open,
            missing,
            recording: None,
            logged: Logged::default(),
        }
    }

    /// The same, where more regions may be in use: opt-in regions that are known to be enabled or are named.
    #[must_use]
    pub fn with_regions(mut self, regions: BTreeSet<String>) -> Self {
        for region in regions {
            let missing = self.coverage.missing_days(&self.account, &region);
            if self.open.insert(region.clone()) && !missing.is_empty() {
                self.missing.insert(region, missing);
            }
        }
        self
    }

    /// The same, with what the account's trails recorded.
    #[must_use]
    pub fn with_recording(mut self, recording: &'a Recording<'a>) -> Self {
        self.logged = recording.account(&self.account);
        self.recording = Some(recording);
        self
    }

    /// Whether the settings of the account's trails were collected.
    #[must_use]
    pub const fn documented(&self) -> bool {
        self.logged.documented()
    }

    /// Whether the trails surely recorded data events of an action on everything that the patterns name, wherever it
    /// lies (`only`: the regions that they name), through the whole window. Maybe: not all of these logs are known to be in
    /// hand.
    #[must_use]
    pub fn data_recorded(
        &self,
        action: ActionId,
        patterns: &[ArnPattern],
        only: Option<&BTreeSet<String>>,
    ) -> Recorded {
        let regions = only.unwrap_or(&self.open);
        let Some(recording) = self.recording else { return Recorded::No };
        let answers = patterns.iter().map(|pattern| recording.records_data(&self.logged, action, pattern, regions));
        answers.reduce(Recorded::and).unwrap_or(Recorded::No)
    }

    /// What cannot be seen of `actions`, if they can only be exercised in `only` (none: anywhere).
    #[must_use]
    pub fn blind(&self, actions: &ActionSet, only: Option<&BTreeSet<String>>) -> Blindness {
        let mut blind = Blindness { actions: actions.clone(), reasons: Vec::new(), left_out: Vec::new() };
        blind.actions.subtract(actions);
        let mut rest = actions.clone();
        rest.subtract(&self.classes.global);
        let mut reasons = BTreeSet::new();
        for (home, own) in &self.classes.homes {
            let mut global = actions.clone();
            global.intersect_with(own);
            // The other partitions have one home for all, or for all but IAM.
            let main = region::home(&self.partition);
            let home = if self.partition == "aws" { home.as_str() } else { main };
            if let Some(second) = region::second_home(&self.partition) {
                let mut others = global.clone();
                others.subtract(&self.classes.iam);
                global.intersect_with(&self.classes.iam);
                self.look(&others, &BTreeSet::from([second.to_owned()]), &mut blind, &mut reasons);
            }
            // A policy that closes the region of the endpoint closes the service, and the call is refused there.
            for limit in self.limits.iter().filter(|limit| home != main && !limit.regions.contains(home)) {
                global.subtract(&limit.actions);
            }
            self.look(&global, &BTreeSet::from([home.to_owned()]), &mut blind, &mut reasons);
        }
        for limit in &self.limits {
            let mut limited = rest.clone();
            limited.intersect_with(&limit.actions);
            rest.subtract(&limited);
            self.look(&limited, &narrowed(&limit.regions, only), &mut blind, &mut reasons);
        }
        self.look(&rest, &narrowed(&self.open, only), &mut blind, &mut reasons);
        blind.reasons = reasons.into_iter().collect();
        blind
    }

    fn look(
        &self,
        actions: &ActionSet,
        regions: &BTreeSet<String>,
        blind: &mut Blindness,
        reasons: &mut BTreeSet<String>,
    ) {
        if actions.is_empty() {
            return;
        }
        blind.left_out.extend(self.logged.left_out(actions, regions));
        if let Some(span) = self.coverage.settling() {
            blind.actions.union_with(actions);
            reasons.insert(format!("the last hours of the logs, {span}, may still be delivered"));
        }
        let mut never = Vec::new();
        let all = self.coverage.window().days().count();
        for region in regions {
            let missing = match self.missing.get(region) {
                Some(days) => days.clone(),
                None if self.open.contains(region) => continue,
                None => self.coverage.missing_days(&self.account, region),
            };
            if missing.is_empty() {
                continue;
            }
            blind.actions.union_with(actions);
            if missing.len() == all {
                never.push(region.as_str());
            } else {
                let some = missing.iter().any(|day| self.coverage.tally(&self.account, region, *day).covered > 0);
                let (account, days) = (&self.account, show_days(&missing));
                reasons.insert(if some {
                    format!("the logs of {account} in {region} are not whole on {days}")
                } else {
                    format!("no logs of {account} in {region} on {days}")
                });
            }
        }
        match never.as_slice() {
            [] => {}
            [one] => {
                reasons.insert(format!("no logs of {} in {one} in the whole window", self.account));
            }
            [first, rest @ ..] => {
                reasons.insert(format!(
                    "no logs of {} in {first} and {} more regions in the whole window",
                    self.account,
                    rest.len()
                ));
            }
        }
    }
}

fn narrowed(regions: &BTreeSet<String>, only: Option<&BTreeSet<String>>) -> BTreeSet<String> {
    match only {
        // A region that the scope names counts even where nobody said that it is in use.
        Some(only) => only.clone(),
        None => regions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::EventCategory;
    use crate::model::time::{Timestamp, Window};
    use crate::usage::fold::{CoverageFact, CoverageKey};

    const ACCOUNT: &str = "111111111111";

    /// Logs of every hour of the days, and of the days around the window.
    fn coverage(days: &[(&str, &str)]) -> Coverage {
        let around = days.iter().flat_map(|(region, _)| [(*region, "2026-02-28"), (*region, "2026-03-03")]);
        let cells = days
            .iter()
            .copied()
            .chain(around)
            .flat_map(|(region, day)| {
                let first = day.parse::<Timestamp>().unwrap().hour();
                (first..first + 24)
                    .map(|hour| {
                        let key = CoverageKey {
                            account: ACCOUNT.into(),
                            region: region.into(),
                            hour,
                            category: EventCategory::Management,
                        };
                        (key, CoverageFact::whole(1))
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        Coverage::of(Window::last_days("2026-03-03".parse().unwrap(), 2), &cells)
    }

    fn set(names: &[&str]) -> ActionSet {
        let mut set = Catalog::get().no_actions();
        for name in names {
            assert!(set.insert(Catalog::get().find(name).unwrap()));
        }
        set
    }

    fn blind(coverage: &Coverage, configured: &[&str], limits: Vec<RegionLimit>, only: Option<&[&str]>) -> Vec<String> {
        let catalog = Catalog::get();
        let classes = Classes::of(catalog);
        let configured: Vec<String> = configured.iter().map(|r| (*r).to_owned()).collect();
        let only: Option<BTreeSet<String>> = only.map(|o| o.iter().map(|r| (*r).to_owned()).collect());
        let eyes = Eyes::on(coverage, &classes, ACCOUNT, "aws", &configured, limits);
        let found = eyes.blind(&set(&["iam:CreateUser", "ec2:RunInstances"]), only.as_ref());
        found.actions.iter().map(|id| catalog.action(id).unwrap().full_name()).collect()
    }

    #[test]
    fn every_region_must_be_covered_unless_something_closes_it() {
        let both = [("us-east-1", "2026-03-01"), ("us-east-1", "2026-03-02")];
        let one = coverage(&both);
        // One region's logs say nothing of sixteen others.
        assert_eq!(blind(&one, &[], vec![], None), ["ec2:RunInstances"]);
        // The user says which regions are in use, or the scope names its region, or a policy closes the others.
        assert!(blind(&one, &["us-east-1"], vec![], None).is_empty());
        assert!(blind(&one, &[], vec![], Some(&["us-east-1"])).is_empty());
        let limit = RegionLimit { actions: set(&["ec2:RunInstances"]), regions: BTreeSet::from(["us-east-1".into()]) };
        assert!(blind(&one, &[], vec![limit], None).is_empty());
        assert_eq!(blind(&one, &["us-east-1"], vec![], Some(&["eu-west-1"])), ["ec2:RunInstances"]);
    }

    #[test]
    fn global_services_are_looked_for_where_they_log() {
        let names =
            ["chatbot:CreateSlackChannelConfiguration", "globalaccelerator:CreateAccelerator", "iam:CreateUser"];
        let classes = Classes::of(Catalog::get());
        let limited = |region: &str, partition: &str, configured: &[&str], limits: Vec<RegionLimit>| {
            let whole = coverage(&[(region, "2026-03-01"), (region, "2026-03-02")]);
            let configured: Vec<String> = configured.iter().map(|region| (*region).to_owned()).collect();
            let eyes = Eyes::on(&whole, &classes, ACCOUNT, partition, &configured, limits);
            let found = eyes.blind(&set(&names), None);
            found.actions.iter().map(|id| Catalog::get().action(id).unwrap().full_name()).collect::<Vec<_>>()
        };
        let dark = |region: &str, partition: &str, configured: &[&str]| limited(region, partition, configured, vec![]);
        // Chatbot logs where it is called, so every region that may be in use has to be covered.
        assert_eq!(dark("us-east-1", "aws", &[]), names[..2]);
        assert_eq!(dark("us-east-1", "aws", &["us-east-1"]), [names[1]]);
        assert_eq!(dark("us-west-2", "aws", &["us-west-2"]), [names[0], names[2]], "the home is always open");
        assert_eq!(dark("us-gov-west-1", "aws-us-gov", &["us-gov-west-1"]), [""; 0]);
        // In China IAM has one home and the others have another.
        assert_eq!(dark("cn-north-1", "aws-cn", &["cn-north-1"]), [names[1]]);
        assert_eq!(dark("cn-northwest-1", "aws-cn", &["cn-northwest-1"]), [names[0], names[2]]);
        assert_eq!(dark("us-iso-east-1", "aws-iso", &["us-iso-east-1"]), [""; 0]);
        // A policy that leaves us-east-1 open only closes Global Accelerator.
        let limit = RegionLimit { actions: set(&names), regions: BTreeSet::from(["us-east-1".into()]) };
        assert_eq!(limited("us-east-1", "aws", &[], vec![limit]), [""; 0]);
    }

    #[test]
    fn a_missing_day_blinds_only_where_it_matters() {
        let gap = coverage(&[("us-east-1", "2026-03-01"), ("us-east-1", "2026-03-02"), ("eu-west-1", "2026-03-01")]);
        assert_eq!(blind(&gap, &["us-east-1"], vec![], None), ["ec2:RunInstances"]);
        assert!(blind(&gap, &["us-east-1"], vec![], Some(&["us-east-1"])).is_empty());
        let home_gap = coverage(&[("us-east-1", "2026-03-01")]);
        assert_eq!(blind(&home_gap, &["us-east-1"], vec![], None), ["ec2:RunInstances", "iam:CreateUser"]);
    }
}
