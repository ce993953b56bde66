//! Plans about permission sets of Identity Center: one set is one change, with every role that it becomes.
//!
//! A set has the same policies in all of its accounts. So what somebody uses through it in one account stays in all of them,
//! and what goes is what nobody uses anywhere. Assignments are left as they are: with the last one in an account Identity
//! Center deletes the role there, and one that is made anew has another ARN (IAM Identity Center User Guide, "Referencing
//! permission sets in resource policies, Amazon EKS, and AWS KMS"), which nothing could take back.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::ActionSet;
use crate::compare::holders::permission_set_of;
use crate::entitlements::PrincipalEntitlements;
use crate::model::arn::AccountId;
use crate::model::snapshot::{PermissionSet, SetPolicies, Snapshot};
use crate::policy::narrow::narrow;
use crate::recommend::{Advice, Recommendation, after};

use super::aws_managed::AwsManaged;
use super::effect::Effect;
use super::fit::{self, Unfit, Ungranted};
use super::found::Found;
use super::make::{Inputs, Subject, left, reason};
use super::merged::{Long, Merged};
use super::set_effect::{SetChange, SetEffect};
use super::texts::short;
use super::{Change, Grant, Left, Step, fresh};

/// Path of the roles of permission sets; a region may follow.
pub(super) const ROLE_PATH: &str = "/aws-reserved/sso.amazonaws.com/";
/// How their names begin.
pub(super) const ROLE_PREFIX: &str = "AWSReservedSSO_";
/// Name of the inline policy in the roles of permission sets.
pub(super) const INLINE: &str = "AwsSSOInlinePolicy";
/// Longest name of a permission set. Source: "CreatePermissionSet", IAM Identity Center API Reference.
const NAME: usize = 32;
/// Longest description. Source: as above.
const DESCRIPTION: usize = 700;

/// The permission set behind a role.
fn set_of<'s>(snapshot: &'s Snapshot, role: &str) -> Option<&'s PermissionSet> {
    let (path, name) = role.split_once(":role")?.1.rsplit_once('/')?;
    // Most roles are told apart by their names.
    let name = permission_set_of(name)?;
    if !format!("{path}/").starts_with(ROLE_PATH) {
        return None;
    }
    snapshot.identity_center.as_ref()?.permission_sets.iter().find(|set| set.name == name)
}

/// The roles of a permission set, by ARN or name of the set: account and ARN.
pub(super) fn roles_of(snapshot: &Snapshot, set: &str) -> Vec<(AccountId, String)> {
    let sets = snapshot.identity_center.iter().flat_map(|center| &center.permission_sets);
    let Some(name) = sets.into_iter().find(|one| one.arn == set || one.name == set).map(|one| &one.name) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for iam in snapshot.accounts.values() {
        let theirs = |arn: &&str| set_of(snapshot, arn).is_some_and(|one| one.name == *name);
        let arns = iam.roles.iter().map(|role| role.holder.arn.as_str());
        out.extend(arns.filter(theirs).map(|arn| (iam.account, arn.to_owned())));
    }
    out
}

/// The roles that change together with one: those of its permission set. The role itself where it has none.
#[must_use]
pub fn of_set(snapshot: &Snapshot, role: &str) -> Vec<String> {
    match set_of(snapshot, role) {
        Some(set) => roles_of(snapshot, &set.arn).into_iter().map(|(_, arn)| arn).collect(),
        None => vec![role.to_owned()],
    }
}

/// ARN of the permission set behind a role.
pub(super) fn arn_of_set<'s>(snapshot: &'s Snapshot, role: &str) -> Option<&'s str> {
    set_of(snapshot, role).map(|set| set.arn.as_str())
}

/// Puts the roles of a granted permission set into a state: one for each account in which somebody is eligible.
pub(super) fn granted(state: &mut Snapshot, grant: &Grant) {
    let center = state.identity_center.as_ref();
    let set = center.and_then(|center| center.permission_sets.iter().find(|set| set.name == grant.role));
    let Some(set) = set.map(|set| set.arn.clone()).filter(|_| !grant.reach.is_empty()) else { return };
    for account in grant.reach.keys() {
        let old = roles_of(state, &grant.principal).into_iter().find(|(one, _)| one == account);
        let Some(iam) = state.accounts.get_mut(account) else { continue };
        // It lets in whom the role of the other set does: the same people, by the same provider.
        let found = old.and_then(|(_, arn)| iam.roles.iter().find(|role| role.holder.arn.as_str() == arn).cloned());
        let Some(mut role) = found else { continue };
        let Ok(arn) = grant.role_in(*account, role.holder.arn.partition()).parse() else { continue };
        role.holder.arn = arn;
        role.holder.name = role.holder.arn.name().to_owned();
        role.holder.id = String::new();
        iam.roles.push(role);
        iam.roles.sort_by(|a, b| a.holder.arn.cmp(&b.holder.arn));
    }
    // They hold what the set says.
    drop(super::set_effect::provision(state, &set));
}

/// Name of a permission set.
pub(super) fn name_of<'s>(snapshot: &'s Snapshot, set: &str) -> &'s str {
    let mut sets = snapshot.identity_center.iter().flat_map(|center| &center.permission_sets);
    sets.find(|one| one.arn == set).map_or("", |one| one.name.as_str())
}

/// Hash of what a permission set is: its policies, who is assigned to it, and what its roles hold.
///
/// # Errors
/// When a part of that was not collected.
pub(super) fn state_of(snapshot: &Snapshot, set: &str) -> Result<String, String> {
    let center = snapshot.identity_center.as_ref().ok_or("Identity Center was not collected")?;
    let one = center.permission_sets.iter().find(|one| one.arn == set).ok_or("it is not there")?;
    let held = one.policies.as_ref().ok_or("what it holds was not collected")?;
    let mut parts = vec![one.arn.clone(), one.name.clone(), one.session_duration.clone()];
    parts.push(held.inline.as_deref().map(fresh::canonical).unwrap_or_default());
    parts.push(format!("{:?} {:?} {:?}", held.managed, held.customer, held.boundary));
    let assigned = center.assignments.iter().filter(|one| one.permission_set == set);
    parts.extend(assigned.map(|one| format!("{} {} {}", one.account, one.is_group, one.principal_id)));
    parts.extend(center.outdated.iter().filter(|(_, one)| one == set).map(|(account, _)| account.to_string()));
    for (_, arn) in roles_of(snapshot, set) {
        parts.push(fresh::state_of(&Found::of(snapshot, &arn).ok_or("a role of it is not there")?)?);
    }
    Ok(fresh::hashed(parts.iter().map(String::as_str)))
}

/// What a plan does about a permission set.
pub(super) type Planned = (Option<Change>, Vec<Grant>, Vec<Left>);

/// A permission set of which something was chosen.
pub(super) struct SetSubject<'a> {
    inputs: &'a Inputs<'a>,
    set: &'a PermissionSet,
    held: &'a SetPolicies,
    instance: &'a str,
    owner: AccountId,
    managed: &'a AwsManaged,
    /// Its roles, each with what was chosen of it.
    roles: Vec<SetRole<'a>>,
}

/// A role of a permission set.
struct SetRole<'a> {
    found: Found<'a>,
    granted: &'a PrincipalEntitlements,
    chosen: Vec<&'a Recommendation>,
    keep: ActionSet,
}

impl<'a> SetSubject<'a> {
    /// Looks at a set with all of its roles; or why it cannot be changed.
    pub(super) fn of(inputs: &'a Inputs<'a>, managed: &'a AwsManaged, set: &str) -> Result<Self, String> {
        let snapshot = inputs.recommend.snapshot;
        let center = snapshot.identity_center.as_ref().ok_or("Identity Center was not collected")?;
        let one =
            center.permission_sets.iter().find(|one| one.arn == set).ok_or("its permission set was not collected")?;
        let held = one.policies.as_ref().ok_or(
            "what its permission set holds was not collected: `jitscan collect` reads it, an export by hand has to have it",
        )?;
        let owner = center.owner.or_else(|| snapshot.organization.as_ref().map(|one| one.management_account));
        let owner = owner.ok_or("nobody told which account owns Identity Center")?;
        if center.instance.is_empty() {
            return Err("the ARN of the instance of Identity Center was not collected".to_owned());
        }
        let code = super::found::code_of(set, one.tags.as_ref().unwrap_or(&BTreeMap::new()), &inputs.code);
        if let Some(code) = code.filter(|_| !inputs.managed_by_code) {
            return Err(super::make::changed_back(&code));
        }
        if let Some((account, _)) = center.outdated.iter().find(|(_, one)| *one == set) {
            return Err(format!(
                "the permission set was changed and not provisioned in {account} since: provision it or put it back first"
            ));
        }
        let mut subject =
            Self { inputs, set: one, held, instance: &center.instance, owner, managed, roles: Vec::new() };
        let roles = roles_of(snapshot, set);
        let assigned: BTreeSet<AccountId> =
            center.assignments.iter().filter(|one| one.permission_set == set).map(|one| one.account).collect();
        if let Some(account) = assigned.iter().find(|account| !roles.iter().any(|(one, _)| one == *account)) {
            return Err(format!(
                "the permission set is also used in account {account}, of which nothing was collected"
            ));
        }
        for (_, arn) in roles {
            subject.roles.push(subject.role(&arn)?);
        }
        Ok(subject)
    }

    fn role(&self, arn: &str) -> Result<SetRole<'a>, String> {
        let inputs = self.inputs;
        let facts = inputs.recommend.assessment.principals.iter().find(|one| one.arn == arn);
        let facts = facts.ok_or_else(|| format!("{arn} is not in the snapshot"))?;
        if facts.break_glass {
            return Err(format!("{arn} is break-glass: there to be when all else fails"));
        }
        let found = Found::of(inputs.recommend.snapshot, arn).ok_or_else(|| format!("{arn} is not in the snapshot"))?;
        if let Some(code) =
            super::found::code_of(arn, &found.holder.tags, &inputs.code).filter(|_| !inputs.managed_by_code)
        {
            return Err(super::make::changed_back(&code));
        }
        self.is_as_the_set_says(&found)?;
        let granted = inputs.recommend.entitlements.of(arn).find(|one| one.id == facts.id);
        let granted = granted.ok_or_else(|| format!("what {arn} is granted is not known"))?;
        let rows: Vec<&Recommendation> = inputs.all.iter().filter(|row| row.principal == arn).collect();
        let chosen: Vec<&Recommendation> = rows
            .iter()
            .filter(|row| inputs.chosen.contains(row.id.as_str()))
            .filter(|row| matches!(row.advice, Advice::Remove | Advice::ConvertToJit | Advice::Shrink))
            .copied()
            .collect();
        // Of a role of which nothing was said everything stays.
        let mut keep = granted.granted.clone();
        if !rows.is_empty() {
            let verdicts = inputs.verdicts.iter().find(|one| one.arn == arn && one.id == facts.id);
            let verdicts = verdicts.ok_or_else(|| format!("what {arn} used is not known"))?;
            keep = Subject { inputs, arn, rows: &rows, chosen: &chosen, managed: self.managed }.keep(granted, verdicts);
        }
        Ok(SetRole { found, granted, chosen, keep })
    }

    /// A role that somebody changed by hand would be changed along with the set.
    fn is_as_the_set_says(&self, found: &Found<'_>) -> Result<(), String> {
        let (holder, account) = (found.holder, found.iam.account);
        let inline: Vec<&str> = holder.inline.iter().map(|one| one.json.as_str()).collect();
        let same_inline = match (&self.held.inline, inline.as_slice()) {
            (None, []) => true,
            (Some(a), [b]) => fresh::canonical(a) == fresh::canonical(b),
            _ => false,
        };
        let partition = holder.arn.partition();
        let wanted = self.held.attached(partition, account);
        let mut attached: Vec<&str> = holder.attached.iter().map(|one| one.arn.as_str()).collect();
        attached.sort_unstable();
        let boundary = self.held.boundary.as_ref().map(|boundary| boundary.arn(partition, account));
        if same_inline && wanted.iter().eq(attached.iter().copied()) && boundary == holder.boundary {
            return Ok(());
        }
        Err(format!("its role in account {account} does not hold what the permission set says: provision it first"))
    }

    /// What changes of it, or why nothing does.
    pub(super) fn planned(&self) -> Result<Planned, String> {
        let catalog = self.inputs.recommend.catalog;
        let (mut keep, mut granted) = (catalog.no_actions(), catalog.no_actions());
        for role in &self.roles {
            keep.union_with(&role.keep);
            granted.union_with(&role.granted.granted);
        }
        let mut left = self.kept_for_others(&keep);
        let own = keep.clone();
        let mut last = None;
        let (fit, grants) = loop {
            let fit = fit::fitted(keep.clone(), last.take(), &granted, catalog, |keep| self.steps(keep))?;
            match self.grants(&fit.keep) {
                Ok((grants, stays)) => {
                    left.extend(stays);
                    break (fit, grants);
                }
                Err(Ungranted { rows, actions, why }) => {
                    left.push(self::left(&self.set.arn, &rows, why));
                    keep.union_with(&actions);
                    last = Some(fit);
                }
            }
        };
        let fit::Fitted { mut keep, back, steps } = fit;
        for role in &self.roles {
            let (arn, rows) = (role.found.holder.arn.as_str(), &[]);
            let subject = Subject { inputs: self.inputs, arn, rows, chosen: &role.chosen, managed: self.managed };
            left.extend(subject.for_room(role.granted, &own, &back));
        }
        if steps.is_empty() {
            return Ok((None, Vec::new(), left));
        }
        super::make::preferred(&steps, self.managed).for_each(|set| keep.union_with(set));
        let mut gone = granted.clone();
        gone.subtract(&keep);
        let rows = self.roles.iter().flat_map(|role| &role.chosen);
        let change = Change {
            principal: self.set.arn.clone(),
            id: self.set.arn.clone(),
            account: self.owner,
            state: state_of(self.inputs.recommend.snapshot, &self.set.arn)?,
            roles: self.roles.iter().map(|role| role.found.holder.arn.to_string()).collect(),
            reasons: rows.map(|row| reason(row)).collect(),
            granted: granted.len() as u64,
            removed: gone.len() as u64,
            steps,
        };
        Ok((Some(change), grants, left))
    }

    /// What was chosen in one account and stays, because of another account.
    fn kept_for_others(&self, keep: &ActionSet) -> Vec<Left> {
        let catalog = self.inputs.recommend.catalog;
        let mut out = Vec::new();
        for role in &self.roles {
            let stays = |row: &&&Recommendation| {
                let mut taken = after::actions_of(row, &role.granted.granted, catalog);
                taken.subtract(&role.keep);
                let all = taken.len();
                taken.subtract(keep);
                all > 0 && taken.is_empty()
            };
            let rows: Vec<&Recommendation> = role.chosen.iter().filter(stays).copied().collect();
            if !rows.is_empty() {
                let why =
                    "the permission set is the same in other accounts, and what goes here is used there".to_owned();
                out.push(left(role.found.holder.arn.as_str(), &rows, why));
            }
        }
        out
    }

    fn effect(&self, set: &str, change: SetChange) -> Effect {
        Effect::Set(SetEffect { change, instance: self.instance.to_owned(), set: set.to_owned() })
    }

    fn step(&self, about: &str, change: SetChange, undo: SetChange) -> Step {
        let set = self.set.arn.as_str();
        Step { about: about.to_owned(), effect: self.effect(set, change), undo: self.effect(set, undo) }
    }

    /// Documents of a managed policy, one for each account that has other words.
    fn documents(&self, arn_in: impl Fn(&Found<'_>) -> String) -> Result<Vec<&'a str>, String> {
        let mut out: BTreeMap<String, &'a str> = BTreeMap::new();
        for role in &self.roles {
            let arn = arn_in(&role.found);
            let found = role.found.iam.policies.iter().find(|policy| policy.arn == arn);
            let json = &found.ok_or_else(|| format!("the document of {arn} was not collected"))?.json;
            out.insert(fresh::canonical(json), json);
        }
        Ok(out.into_values().collect())
    }

    fn of_customer(&self, policy: &crate::model::snapshot::PolicyName) -> Result<Vec<&'a str>, String> {
        self.documents(|found| policy.arn(found.holder.arn.partition(), found.iam.account))
    }

    /// The calls that leave it with fewer actions, or why that cannot be done.
    fn steps(&self, keep: &ActionSet) -> Result<Vec<Step>, Unfit> {
        let narrowed = |json: &str| {
            narrow(json, keep, self.inputs.recommend.catalog)
                .map_err(|error| format!("a policy cannot be read: {error}"))
        };
        let mut merged = Merged::default();
        let mut changed = false;
        let never = self.never(keep);
        let mut preferred: BTreeSet<&str> = BTreeSet::new();
        if let Some(json) = &self.held.inline {
            let one = narrowed(json)?;
            changed |= one.changed;
            merged.add(one.json.as_deref())?;
        }
        let mut detached = Vec::new();
        for arn in &self.held.managed {
            for json in self.documents(|_| arn.clone())? {
                let one = narrowed(json)?;
                if one.changed {
                    match self.managed.instead_of(json, keep, &never, self.inputs.recommend.catalog) {
                        Some(other) => drop(preferred.insert(other)),
                        None => merged.add(one.json.as_deref())?,
                    }
                    detached.push((
                        SetChange::DetachManagedPolicyFromPermissionSet { policy: arn.clone() },
                        SetChange::AttachManagedPolicyToPermissionSet { policy: arn.clone() },
                    ));
                }
            }
        }
        for policy in &self.held.customer {
            let documents = self.of_customer(policy)?;
            let all: Result<Vec<_>, String> = documents.iter().map(|json| narrowed(json)).collect();
            let all = all?;
            if !all.iter().any(|one| one.changed) {
                continue;
            }
            let [one] = all.as_slice() else {
                return Err(
                    format!("the policy {}{} says other things in other accounts", policy.path, policy.name).into()
                );
            };
            merged.add(one.json.as_deref())?;
            detached.push((
                SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy: policy.clone() },
                SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { policy: policy.clone() },
            ));
        }
        detached.dedup();
        if !changed && detached.is_empty() {
            return Ok(Vec::new());
        }
        let mut steps = self.inline(&merged)?;
        preferred.retain(|arn| !self.held.managed.iter().any(|one| one == arn));
        let about = "AWS's own, which allows what stays of another one and only shows more";
        steps.extend(preferred.into_iter().map(|arn| {
            let policy = arn.to_owned();
            let undo = SetChange::DetachManagedPolicyFromPermissionSet { policy: policy.clone() };
            self.step(about, SetChange::AttachManagedPolicyToPermissionSet { policy }, undo)
        }));
        steps.extend(
            detached
                .into_iter()
                .map(|(change, undo)| self.step("what stays of it stands in the inline policy", change, undo)),
        );
        let provision =
            |about: &str| self.step(about, SetChange::ProvisionPermissionSet, SetChange::ProvisionPermissionSet);
        steps.insert(0, provision("they are as it says; taken back last, it brings them back"));
        steps.push(provision("brings its roles in all accounts to it"));
        Ok(steps)
    }

    /// Of what goes, what must not come back with one of AWS's own policies.
    fn never(&self, keep: &ActionSet) -> ActionSet {
        let mut never = self.inputs.recommend.catalog.no_actions();
        for role in &self.roles {
            let (inputs, managed, arn) = (self.inputs, self.managed, role.found.holder.arn.as_str());
            let subject = Subject { inputs, arn, rows: &[], chosen: &role.chosen, managed };
            never.union_with(&subject.never(&role.granted.granted, keep));
        }
        never
    }

    fn inline(&self, merged: &Merged) -> Result<Vec<Step>, Unfit> {
        let undo = match &self.held.inline {
            Some(document) => SetChange::PutInlinePolicyToPermissionSet { document: document.clone() },
            None => SetChange::DeleteInlinePolicyFromPermissionSet,
        };
        Ok(match (merged.document()?, &self.held.inline) {
            (Some(document), _) => {
                let put = SetChange::PutInlinePolicyToPermissionSet { document };
                // It may be as it was: then only what is attached goes.
                if put == undo { Vec::new() } else { vec![self.step("what stays, narrowed", put, undo)] }
            }
            (None, Some(_)) => {
                vec![self.step("nothing of it stays here", SetChange::DeleteInlinePolicyFromPermissionSet, undo)]
            }
            (None, None) => Vec::new(),
        })
    }

    /// Permission sets for what is asked for from now on; or the first capability that cannot be.
    fn grants(&self, keep: &ActionSet) -> Result<(Vec<Grant>, Vec<Left>), Ungranted<'_>> {
        type Rows<'r> = Vec<(&'r SetRole<'r>, &'r Recommendation)>;
        let mut by_capability: BTreeMap<(&str, &[String]), Rows<'_>> = BTreeMap::new();
        for role in &self.roles {
            for row in role.chosen.iter().filter(|row| row.advice == Advice::ConvertToJit) {
                by_capability.entry((row.class.as_str(), row.services.as_slice())).or_default().push((role, row));
            }
        }
        let (mut out, mut stays) = (Vec::new(), Vec::new());
        for rows in by_capability.into_values() {
            let catalog = self.inputs.recommend.catalog;
            let mut actions = catalog.no_actions();
            for (role, row) in &rows {
                actions.union_with(&after::actions_of(row, &role.granted.granted, catalog));
            }
            actions.subtract(keep);
            if actions.is_empty() {
                stays.extend(self.kept_by_itself(&rows));
                continue;
            }
            match self.grant(&rows, &actions) {
                Ok(grant) => out.push(grant),
                Err(why) => {
                    let rows = rows.into_iter().map(|(_, row)| row).collect();
                    return Err(Ungranted { rows, actions, why });
                }
            }
        }
        Ok((out, stays))
    }

    /// What would be asked for and stays, not because of another account.
    fn kept_by_itself(&self, rows: &[(&SetRole<'_>, &Recommendation)]) -> Option<Left> {
        let catalog = self.inputs.recommend.catalog;
        let own = rows
            .iter()
            .filter(|(role, row)| after::actions_of(row, &role.granted.granted, catalog).is_subset(&role.keep));
        let own: Vec<&Recommendation> = own.map(|(_, row)| *row).collect();
        let why = "somebody else keeps it through the same permission set, or a role lets in this one by its name";
        (!own.is_empty()).then(|| left(&self.set.arn, &own, why.to_owned()))
    }

    fn grant(&self, rows: &[(&SetRole<'_>, &Recommendation)], actions: &ActionSet) -> Result<Grant, String> {
        let (_, first) = rows.first().ok_or("nothing was chosen")?;
        let mut reach: BTreeMap<AccountId, BTreeSet<&str>> = BTreeMap::new();
        for (role, row) in rows.iter().filter(|(_, row)| !row.person.is_empty()) {
            reach.entry(role.found.iam.account).or_default().insert(&row.person);
        }
        if rows.iter().any(|(_, row)| row.person.is_empty()) {
            return Err("nobody is known who would ask for it".to_owned());
        }
        let digits: String = first.id.chars().take(8).collect();
        let name = format!("jit-{}-{digits}", short(&self.set.name, NAME - "jit--".len() - digits.len()));
        let minutes = rows.iter().map(|(_, row)| row.friction.grant_minutes).max().unwrap_or(0);
        let create = SetChange::CreatePermissionSet {
            description: description(&first.capability, &self.set.name),
            session: format!("PT{}H", super::texts::seconds(minutes) / 3600),
            tags: BTreeMap::from([
                ("jitscan:capability".to_owned(), super::texts::tag(&first.capability)),
                ("jitscan:principal".to_owned(), super::texts::tag(&self.set.arn)),
            ]),
        };
        let step = |about: &str, change: SetChange, undo: SetChange| Step {
            about: about.to_owned(),
            effect: self.effect(&name, change),
            undo: self.effect(&name, undo),
        };
        let about = format!("a permission set for \"{}\", which nobody has until it is granted", first.capability);
        let mut steps = vec![step(&about, create, SetChange::DeletePermissionSet)];
        if let Some(boundary) = self.held.boundary.clone() {
            steps.push(step(
                "within the same bounds",
                SetChange::PutPermissionsBoundaryToPermissionSet { boundary },
                SetChange::DeletePermissionsBoundaryFromPermissionSet,
            ));
        }
        let document = self.of_grant(actions)?.ok_or("nothing gave it")?;
        steps.push(step(
            "the statements that gave it, narrowed to it",
            SetChange::PutInlinePolicyToPermissionSet { document },
            SetChange::DeleteInlinePolicyFromPermissionSet,
        ));
        let people: BTreeSet<&str> = reach.values().flatten().copied().collect();
        let own = |people: BTreeSet<&str>| people.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let reasons: BTreeSet<_> = rows.iter().map(|(_, row)| reason(row)).collect();
        Ok(Grant {
            role: name.clone(),
            account: self.owner,
            principal: self.set.arn.clone(),
            id: self.set.arn.clone(),
            people: own(people),
            reach: reach.into_iter().map(|(account, people)| (account, own(people))).collect(),
            source_identities: Vec::new(),
            minutes,
            reasons: reasons.into_iter().collect(),
            steps,
        })
    }

    /// The document of a permission set for a capability: what gave it, and everything that denies.
    fn of_grant(&self, actions: &ActionSet) -> Result<Option<String>, String> {
        let mut merged = Merged::default();
        let mut documents: Vec<&str> = self.held.inline.iter().map(String::as_str).collect();
        for arn in &self.held.managed {
            documents.extend(self.documents(|_| arn.clone())?);
        }
        for policy in &self.held.customer {
            documents.extend(self.of_customer(policy)?);
        }
        for json in documents {
            let narrowed = narrow(json, actions, self.inputs.recommend.catalog).map_err(|error| error.to_string())?;
            let wanted = narrowed.json.filter(|json| narrowed.after > 0 || super::texts::denies(json));
            merged.add(wanted.as_deref())?;
        }
        merged.document().map_err(|Long { why, .. }| why)
    }
}

/// What a permission set is for, in the characters that a description takes.
fn description(capability: &str, set: &str) -> String {
    let fits = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '_' };
    let text = format!("{capability}, asked for by holders of {set}. Made by jitscan.");
    text.chars().map(fits).take(DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_hold_what_they_may() {
        assert_eq!(
            description("write rds in \u{e9}t\u{e9}", "Ops"),
            "write rds in _t_, asked for by holders of Ops. Made by jitscan."
        );
        assert_eq!(description(&"x".repeat(900), "Ops").len(), DESCRIPTION);
    }
}
