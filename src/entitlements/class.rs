//! What kind of access an action is, as people weigh it.

use std::sync::LazyLock;

use serde::Serialize;

use super::privilege::Privileges;
use crate::catalog::{AccessLevel, Action, ActionId, Catalog, Risk};

const DATA: &str = include_str!("sensitive.tsv");
/// What the catalogue says of reads that are sensitive, too.
const SENSITIVE: [Risk; 2] = [Risk::CredentialExposure, Risk::DataAccess];

/// A kind of access, the lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessClass {
    /// Lists and describes.
    Read,
    /// Hands out secrets, clear text or the contents of data stores (`sensitive.tsv`).
    SensitiveRead,
    /// Changes things, tags included.
    Write,
    /// Changes who may do what: AWS's level of permissions management, and the PRIV set where it counts on any resource.
    Permissions,
}

impl AccessClass {
    /// All of them, the lightest first.
    pub const ALL: [Self; 4] = [Self::Read, Self::SensitiveRead, Self::Write, Self::Permissions];

    /// Stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::SensitiveRead => "sensitive_read",
            Self::Write => "write",
            Self::Permissions => "permissions",
        }
    }
}

/// The classes of all actions of the embedded catalogue.
#[derive(Debug)]
pub struct AccessClasses {
    /// By the number of the action.
    classes: Box<[AccessClass]>,
}

impl AccessClasses {
    /// Those of the embedded catalogue.
    #[must_use]
    pub fn get() -> &'static Self {
        static CLASSES: LazyLock<AccessClasses> = LazyLock::new(|| AccessClasses::over(Catalog::get()));
        &CLASSES
    }

    fn over(catalog: &Catalog) -> Self {
        let mut sensitive = catalog.no_actions();
        for (pattern, _) in rows() {
            sensitive.union_with(&catalog.actions_matching(pattern));
        }
        let reads = catalog.actions().filter(|action| matches!(action.access(), AccessLevel::List | AccessLevel::Read));
        for action in reads.filter(|action| action.risks().any(|risk| SENSITIVE.contains(&risk))) {
            sensitive.insert(action.id());
        }
        let privileges = Privileges::get();
        let mut privileged = privileges.actions.clone();
        privileged.subtract(&privileges.broad_only);
        let class = |action: Action<'_>| match action.access() {
            _ if privileged.contains(action.id()) => AccessClass::Permissions,
            AccessLevel::PermissionsManagement => AccessClass::Permissions,
            _ if sensitive.contains(action.id()) => AccessClass::SensitiveRead,
            AccessLevel::List | AccessLevel::Read => AccessClass::Read,
            _ => AccessClass::Write,
        };
        Self { classes: catalog.actions().map(class).collect() }
    }

    /// The class of an action.
    #[must_use]
    pub fn of(&self, action: ActionId) -> AccessClass {
        self.classes.get(action.0 as usize).copied().unwrap_or(AccessClass::Write)
    }
}

/// Patterns with their class of sensitivity.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    DATA.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sensitive_action_exists_and_says_why() {
        let catalog = Catalog::get();
        for line in DATA.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields.len(), 3, "{line}");
            assert!(catalog.find(fields[0]).is_some(), "no such action: {line}");
            assert!(["secret", "key", "data"].contains(&fields[1]), "{line}");
        }
    }

    #[test]
    fn actions_have_the_class_that_people_expect() {
        let (catalog, classes) = (Catalog::get(), AccessClasses::get());
        for (action, want) in [
            ("s3:ListBucket", AccessClass::Read),
            ("ec2:DescribeInstances", AccessClass::Read),
            ("s3:GetObject", AccessClass::SensitiveRead),
            ("kms:Decrypt", AccessClass::SensitiveRead),
            ("secretsmanager:GetSecretValue", AccessClass::SensitiveRead),
            ("rds:DeleteDBInstance", AccessClass::Write),
            ("ec2:CreateTags", AccessClass::Write),
            ("iam:PassRole", AccessClass::Write),
            ("iam:AttachRolePolicy", AccessClass::Permissions),
            ("s3:PutBucketPolicy", AccessClass::Permissions),
            ("cloudtrail:StopLogging", AccessClass::Permissions),
        ] {
            let id = catalog.find(action).unwrap();
            assert_eq!(classes.of(id), want, "{action}");
        }
    }
}
