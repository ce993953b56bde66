//! People: the roster and Identity Center's users as one index, so that every way of naming a person ends at one id.
//!
//! A person's id is the e-mail address in lower case where one is known, else the roster's id, else the Identity
//! Center user name, else the ARN of the IAM user that is all that is known of somebody.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::snapshot::{IdentityCenterUser, RosterEntry, RosterKind, Snapshot};

/// The index.
#[derive(Debug, Default)]
pub struct People {
    /// Every name under which somebody is known, lower case → person id; none where two people share the name.
    by_name: BTreeMap<String, Option<String>>,
    /// Identity store user id → person id.
    by_store_id: BTreeMap<String, String>,
    /// IAM user ARN or name, as the roster gives it → person id.
    by_iam_user: BTreeMap<String, String>,
    /// Person id → kind, where the roster says.
    kinds: BTreeMap<String, RosterKind>,
    /// Group id → person ids.
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl People {
    /// Builds the index of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut people = Self::default();
        for entry in &snapshot.roster {
            people.add_roster(entry);
        }
        for user in snapshot.identity_center.iter().flat_map(|center| &center.users) {
            people.add_user(user);
        }
        people
    }

    fn name(&mut self, name: &str, person: &str) {
        let key = name.trim().to_lowercase();
        if key.is_empty() {
            return;
        }
        self.by_name
            .entry(key)
            .and_modify(|known| {
                if known.as_deref() != Some(person) {
                    *known = None;
                }
            })
            .or_insert_with(|| Some(person.to_owned()));
    }

    fn add_roster(&mut self, entry: &RosterEntry) {
        let person = if entry.email.is_empty() { entry.id.clone() } else { entry.email.trim().to_lowercase() };
        self.name(&entry.id, &person);
        self.name(&entry.email, &person);
        for user in &entry.iam_users {
            self.by_iam_user.insert(user.clone(), person.clone());
        }
        self.kinds.insert(person, entry.kind);
    }

    fn add_user(&mut self, user: &IdentityCenterUser) {
        let person = self
            .named(&user.email)
            .or_else(|| self.named(&user.user_name))
            .unwrap_or_else(|| if user.email.is_empty() { &user.user_name } else { &user.email })
            .trim()
            .to_lowercase();
        self.name(&user.email, &person);
        self.name(&user.user_name, &person);
        self.by_store_id.insert(user.id.clone(), person.clone());
        for group in &user.groups {
            self.groups.entry(group.clone()).or_default().insert(person.clone());
        }
    }

    /// The person with this e-mail address, roster id or Identity Center user name; none where nobody or more
    /// than one has it.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&str> {
        self.by_name.get(&name.trim().to_lowercase())?.as_deref()
    }

    /// The person with this identity store user id.
    #[must_use]
    pub fn with_store_id(&self, id: &str) -> Option<&str> {
        self.by_store_id.get(id).map(String::as_str)
    }

    /// The people of an Identity Center group.
    pub fn in_group(&self, id: &str) -> impl Iterator<Item = &str> {
        self.groups.get(id).into_iter().flatten().map(String::as_str)
    }

    /// The person to whom the roster gives an IAM user. A bare name counts only where no ARN is listed for it, and
    /// an e-mail address used as user name names its owner.
    #[must_use]
    pub fn owner_of_iam_user(&self, arn: &str, name: &str) -> Option<&str> {
        self.by_iam_user
            .get(arn)
            .or_else(|| self.by_iam_user.get(name))
            .map(String::as_str)
            .or_else(|| if name.contains('@') { self.named(name) } else { None })
    }

    /// What the roster says somebody is.
    #[must_use]
    pub fn kind(&self, person: &str) -> Option<RosterKind> {
        self.kinds.get(person).copied()
    }
}
