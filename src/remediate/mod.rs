//! From advice to changed access: a plan that can be read, and a proof on what was recorded that it breaks nobody's work.

mod aws_managed;
pub mod bind;
pub mod corroborate;
pub mod drift;
pub mod effect;
pub mod entering;
pub mod export;
mod fit;
mod found;
pub mod fresh;
pub mod journal;
mod lasting;
pub mod leaving;
mod make;
mod merged;
mod narrowing;
mod opened;
pub mod place;
mod progress;
pub mod prove;
pub mod quota;
mod resources;
pub mod restore;
pub mod run;
pub mod safety;
pub mod set_effect;
mod sets;
mod side;
mod subjects;
mod texts;
pub mod trust;
pub mod watch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::holders::permission_set_of;
use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

use effect::{Conflict, Effect};

pub use sets::of_set;

pub use found::Code;
pub use make::{Inputs, Whose, plan};

/// Version of the plan's form.
pub const FORM: u32 = 2;

/// Path of what jitscan makes: policies and roles under it are its own, nothing else is.
pub const PATH: &str = "/jitscan/";

/// A call with the one that takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it is for, in words.
    pub about: String,
    /// The call.
    #[serde(rename = "do")]
    pub effect: Effect,
    /// The call that takes it back.
    pub undo: Effect,
}

/// Why something changes: the recommendation that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Id of the recommendation.
    pub id: String,
    /// What it advises.
    pub advice: String,
    /// The capability, in words.
    pub capability: String,
    /// Who holds it; empty for programs.
    pub person: String,
    /// Why, in words.
    pub why: Vec<String>,
}

/// What changes of one principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// ARN of a user, a role, or a permission set: that one is changed as a whole, with every role that it becomes.
    pub principal: String,
    /// Unique id; empty where not known. Another one under the same name is another principal. Of a permission set its ARN.
    pub id: String,
    /// Account; of a permission set the one that owns Identity Center.
    pub account: AccountId,
    /// Hash of the policies that it held when the plan was made: [`fresh::state_of`]. With others the plan does not fit.
    pub state: String,
    /// Of a permission set the ARNs of the roles that it becomes, one for each account in which it is provisioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Actions of the catalogue that are granted before.
    pub granted: u64,
    /// How many of these go.
    pub removed: u64,
    /// Calls, in order: what is new comes before what is old goes, so that nobody lacks in between what they keep.
    pub steps: Vec<Step>,
}

/// A role, or a permission set, that stands for a capability which is granted for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// ARN of the role; name of the permission set, which has no ARN before it is made.
    pub role: String,
    /// Account; of a permission set the one that owns Identity Center.
    pub account: AccountId,
    /// ARN of the principal whose standing access it takes the place of; a role can be assumed by this one alone.
    pub principal: String,
    /// Its unique id.
    pub id: String,
    /// Who is eligible.
    pub people: Vec<String>,
    /// Of a permission set, who is eligible in which account: a grant is an assignment there, for a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reach: BTreeMap<AccountId, Vec<String>>,
    /// The source identities that its trust policy takes: a session says who it is by one of these.
    pub source_identities: Vec<String>,
    /// How long a grant fits most sessions, in minutes.
    pub minutes: i64,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Calls, in order.
    pub steps: Vec<Step>,
}

/// A principal that was chosen and is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// ARN.
    pub principal: String,
    /// Ids of the recommendations.
    pub ids: Vec<String>,
    /// Why.
    pub why: String,
}

/// What becomes of a plan of which a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failing {
    /// All of it is taken back.
    Unwind,
    /// What was made because of the same principal is taken back, and the others go on.
    GoOn,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of its form: [`FORM`].
    pub form: u32,
    /// BLAKE3 over the rest of the plan, 32 hexadecimal digits.
    pub hash: String,
    /// The instant that it speaks for.
    pub as_of: Timestamp,
    /// Generation of the lake that it was made from.
    pub generation: u64,
    /// Hash of the state that it was made from, and fits.
    pub snapshot: String,
    /// Version of the catalogue.
    pub catalogue: String,
    /// What becomes of it when a step fails.
    pub failing: Failing,
    /// Roles for what is granted for a time: made first.
    pub grants: Vec<Grant>,
    /// What changes.
    pub changes: Vec<Change>,
    /// What stays although it was chosen.
    pub left: Vec<Left>,
}

/// Why a plan does not fit a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step} of {principal}: {conflict}")]
pub struct Misfit {
    /// ARN of the principal or role.
    pub principal: String,
    /// Number of the step, from 1.
    pub step: usize,
    /// What is in the way.
    pub conflict: Conflict,
}

impl Change {
    /// The users and roles whose calls it bears on.
    pub fn holders(&self) -> impl Iterator<Item = &str> {
        let own = self.roles.is_empty().then_some(self.principal.as_str());
        own.into_iter().chain(self.roles.iter().map(String::as_str))
    }
}

impl Grant {
    /// ARN of the role that it is in an account, once it is granted there. A permission set's has digits at its end that
    /// nobody knows before; here they are zeros.
    #[must_use]
    pub fn role_in(&self, account: AccountId, partition: &str) -> String {
        match self.role.starts_with("arn:") {
            true => self.role.clone(),
            false => format!(
                "arn:{partition}:iam::{account}:role{}{}{}_0000000000000000",
                sets::ROLE_PATH,
                sets::ROLE_PREFIX,
                self.role
            ),
        }
    }
}

impl Grant {
    /// ARN of the role that it is for a user or role whose access it takes the place of; none in an account in which nobody
    /// is eligible.
    #[must_use]
    pub fn role_for(&self, holder: &str) -> Option<String> {
        let (partition, account) = (holder.split(':').nth(1)?, holder.split(':').nth(4)?.parse().ok()?);
        let there = self.reach.is_empty() || self.reach.contains_key(&account);
        there.then(|| self.role_in(account, partition))
    }

    /// Who is eligible in place of a user or role.
    #[must_use]
    pub fn people_for(&self, holder: &str) -> &[String] {
        let account = holder.split(':').nth(4).and_then(|account| account.parse().ok());
        match account.filter(|_| !self.reach.is_empty()) {
            Some(account) => self.reach.get(&account).map_or(&[], Vec::as_slice),
            None => &self.people,
        }
    }
}

impl Plan {
    /// The hash of the plan as it stands.
    #[must_use]
    pub fn hashed(&self) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        let text = serde_json::to_string(&bare).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex().chars().take(32).collect()
    }

    /// What people call a principal: of a permission set its name, of others the ARN.
    #[must_use]
    pub fn called<'p>(&'p self, principal: &'p str) -> std::borrow::Cow<'p, str> {
        let roles = self.changes.iter().filter(|change| change.principal == principal).flat_map(|change| &change.roles);
        let name = roles.filter_map(|arn| permission_set_of(arn.rsplit('/').next()?)).next();
        name.map_or(principal.into(), |name| format!("permission set {name}").into())
    }

    /// All steps in order, with the account and the principal or role that they are of.
    pub fn steps(&self) -> impl Iterator<Item = (AccountId, &str, &Step)> {
        let grants = self.grants.iter().map(|one| (one.account, one.role.as_str(), &one.steps));
        let changes = self.changes.iter().map(|one| (one.account, one.principal.as_str(), &one.steps));
        grants.chain(changes).flat_map(|(account, of, steps)| steps.iter().map(move |step| (account, of, step)))
    }

    /// The state after the plan.
    ///
    /// # Errors
    /// Where a step does not fit the state.
    pub fn after(&self, before: &Snapshot) -> Result<Snapshot, Misfit> {
        make_all(before, self.steps().map(|(account, of, step)| (account, of, &step.effect)))
    }

    /// The state once all that the plan did is taken back, the last step first.
    ///
    /// # Errors
    /// Where taking back a step does not fit the state.
    pub fn undone(&self, after: &Snapshot) -> Result<Snapshot, Misfit> {
        let mut steps: Vec<_> = self.steps().map(|(account, of, step)| (account, of, &step.undo)).collect();
        steps.reverse();
        make_all(after, steps.into_iter())
    }
}

fn make_all<'p>(
    state: &Snapshot,
    effects: impl Iterator<Item = (AccountId, &'p str, &'p Effect)>,
) -> Result<Snapshot, Misfit> {
    let mut state = state.clone();
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for (account, of, effect) in effects {
        let step = met.entry(of).or_default();
        *step += 1;
        let misfit = |conflict| Misfit { principal: of.to_owned(), step: *step, conflict };
        effect.make_in(&mut state, account).map_err(misfit)?;
    }
    Ok(state)
}

#[cfg(test)]
mod tests;
