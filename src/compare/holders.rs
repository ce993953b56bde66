//! Who may act through a principal: people through Identity Center assignments, users through themselves, roles
//! through their trust policies; and whether that makes a principal human or machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::entitlements::{TrustedBy, who_may_assume};
use crate::model::snapshot::{AccountIam, Role, RosterKind, Snapshot, User};
use crate::usage::identity::is_identity_center_role;
use crate::usage::people::People;

use super::assessment::Nature;

/// Rounds of following trust from role to role. Each round adds one hop; longer chains of named trust are rare and
/// their ends are found by the next release's escalation graph.
const TRUST_ROUNDS: usize = 4;

/// Who stands behind a principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// People.
    pub people: BTreeSet<String>,
    /// Whether people may act through it, known by name or not.
    pub human: bool,
    /// Whether services, pipelines or machine identities may.
    pub machine: bool,
}

impl Holding {
    /// Human, machine, both or unknown.
    #[must_use]
    pub const fn nature(&self) -> Nature {
        match (self.human, self.machine) {
            (true, true) => Nature::Mixed,
            (true, false) => Nature::Human,
            (false, true) => Nature::Machine,
            (false, false) => Nature::Unknown,
        }
    }

    fn add(&mut self, other: &Self) -> bool {
        let before = (self.people.len(), self.human, self.machine);
        self.people.extend(other.people.iter().cloned());
        self.human |= other.human;
        self.machine |= other.machine;
        before != (self.people.len(), self.human, self.machine)
    }
}

/// The holders of every user and role of a snapshot, by ARN.
#[must_use]
pub fn holders(snapshot: &Snapshot, people: &People) -> BTreeMap<String, Holding> {
    let mut holdings = BTreeMap::new();
    let mut trusts: Vec<(String, Vec<String>)> = Vec::new();
    for iam in snapshot.accounts.values() {
        for user in &iam.users {
            holdings.insert(user.holder.arn.to_string(), user_holding(snapshot, iam, user, people));
        }
        for role in &iam.roles {
            let (holding, named) = role_holding(snapshot, iam, role, people);
            holdings.insert(role.holder.arn.to_string(), holding);
            if !named.is_empty() {
                trusts.push((role.holder.arn.to_string(), named));
            }
        }
    }
    for _ in 0..TRUST_ROUNDS {
        let mut changed = false;
        for (role, named) in &trusts {
            for arn in named {
                let Some(other) = holdings.get(arn).cloned() else { continue };
                if let Some(holding) = holdings.get_mut(role) {
                    changed |= holding.add(&other);
                }
            }
        }
        if !changed {
            break;
        }
    }
    holdings
}

fn user_holding(snapshot: &Snapshot, iam: &AccountIam, user: &User, people: &People) -> Holding {
    let arn = user.holder.arn.to_string();
    let mut holding = Holding::default();
    if let Some(owner) = people.owner_of_iam_user(&arn, &user.holder.name) {
        if people.kind(owner) == Some(RosterKind::Service) {
            holding.machine = true;
        } else {
            holding.human = true;
            holding.people.insert(owner.to_owned());
        }
        return holding;
    }
    // Nobody says whose it is. A console password is for people; keys alone leave it open.
    let password = snapshot
        .credential_reports
        .get(&iam.account)
        .and_then(|report| report.rows.iter().find(|row| row.arn == user.holder.arn))
        .and_then(|row| row.password.as_ref());
    if password.is_some_and(|password| password.active) {
        holding.human = true;
        holding.people.insert(arn);
    }
    holding
}

/// What a role's trust alone says, and the users and roles that it names.
fn role_holding(snapshot: &Snapshot, iam: &AccountIam, role: &Role, people: &People) -> (Holding, Vec<String>) {
    let mut holding = Holding::default();
    let arn = role.holder.arn.as_str();
    if is_identity_center_role(arn) {
        holding.human = true;
        holding.people = assigned(snapshot, iam, &role.holder.name, people);
        return (holding, Vec::new());
    }
    let mut named = Vec::new();
    // An unreadable trust policy is a gap of the comparison; here it leaves the nature unknown.
    let Ok(trust) = who_may_assume(role) else { return (holding, named) };
    for way in trust.allowed.iter().filter(|way| !way.all_but) {
        match &way.who {
            TrustedBy::Service(_) | TrustedBy::WebIdentity(_) => holding.machine = true,
            TrustedBy::IdentityCenter(_) | TrustedBy::Saml(_) => holding.human = true,
            TrustedBy::User(arn) | TrustedBy::Role(arn) => named.push(arn.clone()),
            // A whole account, or everyone: whoever is allowed there. That names nobody.
            TrustedBy::Everyone
            | TrustedBy::Account(_)
            | TrustedBy::Session(_)
            | TrustedBy::UniqueId(_)
            | TrustedBy::Other(_) => {}
        }
    }
    (holding, named)
}

/// The people whom Identity Center lets into the account with the permission set that made the role.
fn assigned(snapshot: &Snapshot, iam: &AccountIam, role_name: &str, people: &People) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(center) = &snapshot.identity_center else { return found };
    let Some(set_name) = permission_set_of(role_name) else { return found };
    let sets: BTreeSet<&str> =
        center.permission_sets.iter().filter(|set| set.name == set_name).map(|set| set.arn.as_str()).collect();
    for assignment in &center.assignments {
        if assignment.account != iam.account || !sets.contains(assignment.permission_set.as_str()) {
            continue;
        }
        if assignment.is_group {
            found.extend(people.in_group(&assignment.principal_id).map(str::to_owned));
        } else if let Some(person) = people.with_store_id(&assignment.principal_id) {
            found.insert(person.to_owned());
        }
    }
    found
}

/// `AWSReservedSSO_<permission set>_<16 hex digits>` → the permission set's name.
#[must_use]
pub fn permission_set_of(role_name: &str) -> Option<&str> {
    let (name, suffix) = role_name.strip_prefix("AWSReservedSSO_")?.rsplit_once('_')?;
    (suffix.len() == 16 && suffix.bytes().all(|b| b.is_ascii_hexdigit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_sets_by_role_name() {
        for (name, set) in [
            ("AWSReservedSSO_Admin_0123456789abcdef", Some("Admin")),
            ("AWSReservedSSO_Prod_Read_Only_0123456789abcdef", Some("Prod_Read_Only")),
            ("AWSReservedSSO_Admin_0123", None),
            ("Admin_0123456789abcdef", None),
        ] {
            assert_eq!(permission_set_of(name), set);
        }
    }
}
