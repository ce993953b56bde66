//! What somebody with a person's sign-in could reach and do: today, and once the recommendations are followed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::ActionSet;
use crate::compare::ActionVerdicts;
use crate::entitlements::{AccessClass, Entitlements, administrator_equivalent, entitlements};

use super::escalation::{Survey, Technique, survey};
use super::{Advice, Inputs, Recommendation, after};

/// One measure of what could be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What is counted.
    pub what: String,
    /// As it stands.
    pub now: u64,
    /// Once the recommendations are followed, without asking anybody.
    pub after: u64,
    /// Of what goes, what could be had for some hours if somebody approved it.
    pub on_request: u64,
    /// What it is, as it stands: names, the first ones.
    pub some: Vec<String>,
}

/// Most names that a measure shows.
const SHOWN: usize = 8;

/// Names that are counted.
#[derive(Debug, Default)]
struct Names {
    now: BTreeSet<String>,
    after: BTreeSet<String>,
    on_request: BTreeSet<String>,
}

impl Names {
    fn add(&mut self, name: &str, advice: Advice) {
        self.now.insert(name.to_owned());
        match advice {
            Advice::Remove => {}
            Advice::ConvertToJit => drop(self.on_request.insert(name.to_owned())),
            _ => drop(self.after.insert(name.to_owned())),
        }
    }

    fn measure(self, what: &str) -> Measure {
        Measure {
            what: what.to_owned(),
            now: self.now.len() as u64,
            after: self.after.len() as u64,
            on_request: self.on_request.difference(&self.after).count() as u64,
            some: self.now.into_iter().take(SHOWN).collect(),
        }
    }
}

/// All that is known of one person's access, for the page about them.
#[derive(Debug)]
pub struct Victim<'a> {
    /// The person's rows.
    pub rows: Vec<&'a Recommendation>,
    /// Verdicts on the actions of the principals that the person holds.
    pub verdicts: &'a [ActionVerdicts],
    /// Who can get where as it stands.
    pub survey: &'a Survey,
    /// The techniques that were looked for.
    pub techniques: &'a [Technique],
}

/// Measures what somebody with the person's sign-in could reach and do.
#[must_use]
pub fn phished(inputs: &Inputs<'_>, victim: &Victim<'_>) -> Vec<Measure> {
    let mut by_principal: BTreeMap<&str, Vec<&Recommendation>> = BTreeMap::new();
    for row in &victim.rows {
        by_principal.entry(&row.principal).or_default().push(row);
    }
    let principals: BTreeSet<&str> = by_principal.keys().copied().collect();
    let (mut roles, mut accounts) = (Names::default(), Names::default());
    for row in &victim.rows {
        roles.add(&row.principal, row.advice);
        accounts.add(&row.account, row.advice);
    }
    let mut out = vec![roles.measure("users and roles"), accounts.measure("accounts")];
    for class in AccessClass::ALL.into_iter().rev() {
        let mut names = Names::default();
        victim.rows.iter().filter(|row| row.class == class).for_each(|row| names.add(&row.capability, row.advice));
        out.push(names.measure(&format!("capabilities: {}", class.as_str().replace('_', " "))));
    }
    let (mut known, mut sensitive) = (Names::default(), Names::default());
    for row in victim.rows.iter().filter(|row| row.class != AccessClass::Read) {
        row.reach.known.iter().for_each(|name| known.add(name, row.advice));
        row.reach.sensitive.iter().for_each(|name| sensitive.add(name, row.advice));
    }
    out.push(known.measure("known resources to change, or whose contents to read"));
    out.push(sensitive.measure("of these, with names of what is worth stealing"));
    // With what is left standing, and with what an approver would give beside it.
    let [later, asked] = [false, true].map(|asking| {
        let kept = kept(inputs, victim, &by_principal, asking);
        let snapshot = after::snapshot(inputs.snapshot, &kept, inputs.catalog);
        let survey = survey(&snapshot, victim.techniques, inputs.catalog, inputs.assessment.as_of);
        let administers = administrators(inputs, &principals, &entitlements(&snapshot, inputs.catalog), &survey);
        (chains(&principals, &survey), administers)
    });
    let now =
        (chains(&principals, victim.survey), administrators(inputs, &principals, inputs.entitlements, victim.survey));
    out.push(compared("more roles by assuming them, one after the other", now.0, &later.0, &asked.0));
    out.push(compared("accounts to become administrator of", now.1, &later.1, &asked.1));
    let sum = |of: fn(&Recommendation) -> u64| victim.rows.iter().map(|row| of(row)).sum();
    out.push(Measure {
        what: "exposure: hours a week x risk".to_owned(),
        now: sum(|row| row.exposure_before),
        after: sum(|row| if row.advice == Advice::ConvertToJit { 0 } else { row.exposure_after }),
        on_request: sum(|row| if row.advice == Advice::ConvertToJit { row.exposure_after } else { 0 }),
        some: Vec::new(),
    });
    out
}

/// The actions that stay with the person, or can be had by asking, too, by principal.
fn kept(
    inputs: &Inputs<'_>,
    victim: &Victim<'_>,
    by_principal: &BTreeMap<&str, Vec<&Recommendation>>,
    asking: bool,
) -> BTreeMap<String, Arc<ActionSet>> {
    let of = |(arn, rows): (&&str, &Vec<&Recommendation>)| {
        let granted = inputs.entitlements.of(arn).next()?;
        let verdicts = victim.verdicts.iter().find(|one| one.arn == *arn)?;
        let keep = after::standing(rows.iter().copied(), &granted.granted, verdicts, asking, inputs.catalog);
        Some(((*arn).to_owned(), Arc::new(keep)))
    };
    by_principal.iter().filter_map(of).collect()
}

/// The roles that can be assumed from there.
fn chains(principals: &BTreeSet<&str>, survey: &Survey) -> BTreeSet<String> {
    principals.iter().filter_map(|arn| survey.chains.get(*arn)).flatten().cloned().collect()
}

/// What there is now, what is left of it, and what of the rest can be had by asking.
fn compared(what: &str, now: BTreeSet<String>, later: &BTreeSet<String>, asked: &BTreeSet<String>) -> Measure {
    Measure {
        what: what.to_owned(),
        now: now.len() as u64,
        after: later.len() as u64,
        on_request: asked.difference(later).count() as u64,
        some: now.into_iter().take(SHOWN).collect(),
    }
}

/// Accounts of which the principals are administrators, or can surely become it.
fn administrators(
    inputs: &Inputs<'_>,
    principals: &BTreeSet<&str>,
    granted: &Entitlements,
    survey: &Survey,
) -> BTreeSet<String> {
    let management = inputs.snapshot.organization.as_ref().map(|organization| organization.management_account);
    let mut found = BTreeSet::new();
    for one in principals.iter().flat_map(|arn| granted.of(arn)) {
        // Permission sets live in the management account: elsewhere those actions change nothing.
        let paths = administrator_equivalent(one, inputs.catalog);
        let here = management == Some(one.account);
        if paths.iter().any(|path| here || !path.rule.id.starts_with("permission_set_")) {
            found.insert(one.account.to_string());
        }
    }
    for path in survey.paths.iter().filter(|path| path.sure && principals.contains(path.principal.as_str())) {
        found.insert(path.goal.trim_start_matches("administrator of ").to_owned());
    }
    found
}
