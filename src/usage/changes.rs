//! When principals were given policies, as far as the logs show: an entitlement that was attached yesterday was not
//! unused for ninety days. IAM itself dates policies and principals, but neither attachments nor inline policies.

use std::collections::BTreeMap;

use crate::model::time::Timestamp;

use super::fold::{ShapeFact, ShapeKey};

/// Operations that attach a managed policy to a user, role or group (the record names both).
const ATTACH: [&str; 3] = ["AttachRolePolicy", "AttachUserPolicy", "AttachGroupPolicy"];
/// Operations that write an inline policy of a user or role.
const PUT_INLINE: [&str; 2] = ["PutRolePolicy", "PutUserPolicy"];
/// Operations that give a user what a group has.
const JOIN: [&str; 1] = ["AddUserToGroup"];
/// Operations that say anew whom a role lets in.
const TRUST: [&str; 1] = ["UpdateAssumeRolePolicy"];

/// Operations that take a policy, or a group's policies, away from a user or role, as IAM actions.
const TAKE_AWAY: [(&str, &str); 5] = [
    ("DeleteRolePolicy", "iam:DeleteRolePolicy"),
    ("DeleteUserPolicy", "iam:DeleteUserPolicy"),
    ("DetachRolePolicy", "iam:DetachRolePolicy"),
    ("DetachUserPolicy", "iam:DetachUserPolicy"),
    ("RemoveUserFromGroup", "iam:RemoveUserFromGroup"),
];

/// Latest changes. Holders are known by their ARN without its path: these calls name users and roles by their bare
/// names, which are unique in an account whatever the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyChanges {
    /// (holder ARN, policy ARN) → last attachment.
    attached: BTreeMap<(String, String), Timestamp>,
    /// Holder ARN → last inline policy written.
    inline: BTreeMap<String, Timestamp>,
    /// User ARN → last time that it joined a group.
    joined: BTreeMap<String, Timestamp>,
    /// Holder ARN → last time that something was taken away from it, and by which action.
    taken: BTreeMap<String, (Timestamp, &'static str)>,
    /// Role ARN → last time that its trust policy was written.
    trusted: BTreeMap<String, Timestamp>,
}

impl PolicyChanges {
    /// Reads the distinct calls of a lake.
    #[must_use]
    pub fn of<'a>(shapes: impl IntoIterator<Item = (&'a ShapeKey, &'a ShapeFact)>) -> Self {
        let mut changes = Self::default();
        for (key, fact) in shapes {
            if !key.source.starts_with("iam.") || !key.outcome.supports_use() {
                continue;
            }
            let holders = || key.resources.iter().filter(|arn| !is_policy(arn));
            let name = key.name.as_str();
            if ATTACH.contains(&name) {
                for holder in holders() {
                    for policy in key.resources.iter().filter(|arn| is_policy(arn)) {
                        latest(changes.attached.entry((pathless(holder), policy.clone())).or_default(), fact.last);
                    }
                }
            } else if PUT_INLINE.contains(&name) {
                for holder in holders() {
                    latest(changes.inline.entry(pathless(holder)).or_default(), fact.last);
                }
            } else if TRUST.contains(&name) {
                for role in holders() {
                    latest(changes.trusted.entry(pathless(role)).or_default(), fact.last);
                }
            } else if JOIN.contains(&name) {
                for user in holders().filter(|arn| arn.contains(":user/")) {
                    latest(changes.joined.entry(pathless(user)).or_default(), fact.last);
                }
            } else if let Some((_, action)) = TAKE_AWAY.iter().find(|(operation, _)| *operation == name) {
                for holder in holders().filter(|arn| !arn.contains(":group/")) {
                    let known = changes.taken.entry(pathless(holder)).or_default();
                    *known = (*known).max((fact.last, action));
                }
            }
        }
        changes
    }

    /// When the managed policy was last attached to the holder.
    #[must_use]
    pub fn attached(&self, holder: &str, policy: &str) -> Option<Timestamp> {
        self.attached.get(&(pathless(holder), policy.to_owned())).copied()
    }

    /// When an inline policy of the holder was last written.
    #[must_use]
    pub fn inline(&self, holder: &str) -> Option<Timestamp> {
        self.inline.get(&pathless(holder)).copied()
    }

    /// When the user last joined a group.
    #[must_use]
    pub fn joined(&self, user: &str) -> Option<Timestamp> {
        self.joined.get(&pathless(user)).copied()
    }

    /// When the trust policy of the role was last written.
    #[must_use]
    pub fn trusted(&self, role: &str) -> Option<Timestamp> {
        self.trusted.get(&pathless(role)).copied()
    }

    /// When a policy or a group was last taken away from the holder, and by which action.
    #[must_use]
    pub fn taken(&self, holder: &str) -> Option<(Timestamp, &'static str)> {
        self.taken.get(&pathless(holder)).copied()
    }
}

/// `arn:aws:iam::1:role/path/name` as `arn:aws:iam::1:role/name`.
pub(super) fn pathless(arn: &str) -> String {
    match (arn.split_once('/'), arn.rsplit_once('/')) {
        (Some((kind, _)), Some((_, name))) => format!("{kind}/{name}"),
        _ => arn.to_owned(),
    }
}

fn is_policy(arn: &str) -> bool {
    arn.contains(":policy/")
}

fn latest(known: &mut Timestamp, at: Timestamp) {
    *known = (*known).max(at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{CallVariant, Outcome};
    use crate::usage::fold::SessionId;

    fn shape(name: &str, resources: &[&str], outcome: Outcome, at: &str) -> (ShapeKey, ShapeFact) {
        let key = ShapeKey {
            session: SessionId(1),
            source: "iam.amazonaws.com".into(),
            name: name.into(),
            variant: CallVariant::default(),
            resources: resources.iter().map(|r| (*r).to_owned()).collect(),
            outcome,
            account: String::new(),
            region: String::new(),
            context: Vec::new(),
            shared: false,
            inexact: false,
        };
        let last = at.parse().unwrap();
        (key, ShapeFact { count: 1, first: last, last, example: String::new(), example_time: last })
    }

    #[test]
    fn attachments_inline_policies_and_groups() {
        let (role, policy) = ("arn:aws:iam::1:role/r", "arn:aws:iam::aws:policy/P");
        let user = "arn:aws:iam::1:user/u";
        let shapes = [
            shape("AttachRolePolicy", &[policy, role], Outcome::Authorised, "2026-01-02"),
            shape("AttachRolePolicy", &[policy, role], Outcome::Denied, "2026-01-09"),
            shape("PutUserPolicy", &[user], Outcome::Authorised, "2026-01-03"),
            shape("AddUserToGroup", &["arn:aws:iam::1:group/g", user], Outcome::Authorised, "2026-01-04"),
            shape("DeleteRolePolicy", &[role], Outcome::Authorised, "2026-01-05"),
            shape("DetachRolePolicy", &[policy, role], Outcome::Denied, "2026-01-06"),
            shape("UpdateAssumeRolePolicy", &[role], Outcome::Authorised, "2026-01-07"),
        ];
        let changes = PolicyChanges::of(shapes.iter().map(|(k, f)| (k, f)));
        assert_eq!(changes.attached(role, policy), Some("2026-01-02".parse().unwrap()));
        assert_eq!(changes.inline(user), Some("2026-01-03".parse().unwrap()));
        assert_eq!(changes.joined(user), Some("2026-01-04".parse().unwrap()));
        assert_eq!(changes.inline(role), None);
        assert_eq!(changes.taken(role), Some(("2026-01-05".parse().unwrap(), "iam:DeleteRolePolicy")));
        assert_eq!(changes.taken(user), None);
        assert_eq!(changes.trusted("arn:aws:iam::1:role/team/r"), Some("2026-01-07".parse().unwrap()));
        // The record has the bare name, the snapshot the path.
        let with_path = "arn:aws:iam::1:user/team/u";
        assert_eq!(changes.inline(with_path), changes.inline(user));
    }
}
