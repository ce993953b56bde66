//! Capabilities: entitlements grouped as people speak of them, such as "write rds in production".

use std::fmt;

use serde::Serialize;

use crate::catalog::Glob;
use crate::entitlements::AccessClass;
use crate::model::arn::AccountId;
use crate::model::snapshot::Snapshot;

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Development, test, staging, sandboxes.
    NonProduction,
    /// Nothing says.
    Unknown,
    /// What the business runs on.
    Production,
}

impl Environment {
    /// Stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonProduction => "non_production",
            Self::Unknown => "unknown",
            Self::Production => "production",
        }
    }
}

/// Words in the name of an account that say what it is for, where the configuration does not. The first that stands in
/// the name as a word of its own, or at its start, decides; those of non-production go first, so that `preprod` and
/// `non-prod` are none.
const NON_PRODUCTION: [&str; 12] =
    ["nonprod", "preprod", "dev", "test", "stag", "sandbox", "qa", "uat", "demo", "playground", "lab", "training"];
const PRODUCTION: [&str; 3] = ["prod", "prd", "live"];

/// Patterns of the configuration, over account ids and names.
#[derive(Clone, Debug, Default)]
pub struct Environments {
    /// Production.
    pub production: Vec<Glob>,
    /// Everything else that is known.
    pub non_production: Vec<Glob>,
}

impl Environments {
    /// What an account is for: by the configuration, else by its name. `parents` are the ids of the organisational units
    /// that it is in.
    #[must_use]
    pub fn of(&self, account: AccountId, name: &str, parents: &[String]) -> Environment {
        let id = account.to_string();
        let matches = |patterns: &[Glob]| {
            let named = |glob: &Glob| {
                glob.matches(&id) || glob.matches(name) || parents.iter().any(|parent| glob.matches(parent))
            };
            patterns.iter().any(named)
        };
        if matches(&self.production) {
            return Environment::Production;
        }
        if matches(&self.non_production) {
            return Environment::NonProduction;
        }
        let lower = name.to_ascii_lowercase().replace("non-prod", "nonprod").replace("pre-prod", "preprod");
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let says = |starts: &[&str]| words.iter().any(|word| starts.iter().any(|start| word.starts_with(start)));
        match (says(&NON_PRODUCTION), says(&PRODUCTION)) {
            (true, _) => Environment::NonProduction,
            (false, true) => Environment::Production,
            (false, false) => Environment::Unknown,
        }
    }
}

/// An account as people know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Its id.
    pub account: AccountId,
    /// Its name; the id where it has none.
    pub name: String,
    /// What it is for.
    pub environment: Environment,
}

impl Place {
    /// An account of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot, environments: &Environments, account: AccountId) -> Self {
        let mut accounts = snapshot.organization.iter().flat_map(|organization| &organization.accounts);
        let known = accounts.find(|one| one.id == account && !one.name.is_empty());
        let name = known.map_or_else(|| account.to_string(), |one| one.name.clone());
        let environment = environments.of(account, &name, known.map_or(&[][..], |one| one.parents.as_slice()));
        Self { account, name, environment }
    }
}

/// What belongs together: a kind of access, to one service or to several of which none was used, in one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Capability {
    /// Kind of access.
    pub class: AccessClass,
    /// Prefixes of the services, sorted.
    pub services: Vec<String>,
    /// Where.
    pub place: Place,
}

/// Most services that a name lists.
const LISTED: usize = 3;

/// A kind of access to services, in words: `write rds`, `manage permissions of 12 services`.
#[must_use]
pub fn words(class: AccessClass, services: &[String]) -> String {
    let what = match class {
        AccessClass::Read => "read",
        AccessClass::SensitiveRead => "read sensitive data of",
        AccessClass::Write => "write",
        AccessClass::Permissions => "manage permissions of",
    };
    match services {
        few if few.len() <= LISTED => format!("{what} {}", few.join(", ")),
        many => format!("{what} {} services", many.len()),
    }
}

impl fmt::Display for Capability {
    /// `write rds in production (prod-payments)`, `manage permissions of 12 services in 111122223333`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in ", words(self.class, &self.services))?;
        match self.place.environment {
            Environment::Production => write!(f, "production ({})", self.place.name),
            Environment::NonProduction | Environment::Unknown => f.write_str(&self.place.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_say_what_they_are_for() {
        let account: AccountId = "111122223333".parse().unwrap();
        let environments = Environments::default();
        for (name, want) in [
            ("production", Environment::Production),
            ("Acme-Prod-Payments", Environment::Production),
            ("payments_prd", Environment::Production),
            ("non-prod", Environment::NonProduction),
            ("preprod", Environment::NonProduction),
            ("Staging", Environment::NonProduction),
            ("dev-prod-mirror", Environment::NonProduction),
            ("security", Environment::Unknown),
            ("reproduction", Environment::Unknown),
            ("", Environment::Unknown),
        ] {
            assert_eq!(environments.of(account, name, &[]), want, "{name}");
        }
        let environments =
            Environments { production: vec![Glob::new("secur*")], non_production: vec![Glob::new("1111*")] };
        assert_eq!(environments.of(account, "security", &[]), Environment::Production);
        let production = environments.of(account, "production", &[]);
        assert_eq!(production, Environment::NonProduction, "the configuration goes first");
        let units = Environments { production: vec![Glob::new("ou-ab12-*")], ..Environments::default() };
        assert_eq!(units.of(account, "dev", &["ou-ab12-xyz".to_owned()]), Environment::Production);
    }

    #[test]
    fn capabilities_are_named_as_people_speak() {
        let place =
            |environment| Place { account: "111122223333".parse().unwrap(), name: "shop".to_owned(), environment };
        let capability = |class, services: &[&str], environment| Capability {
            class,
            services: services.iter().map(|one| (*one).to_owned()).collect(),
            place: place(environment),
        };
        let all: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        for (one, want) in [
            (capability(AccessClass::Write, &["rds"], Environment::Production), "write rds in production (shop)"),
            (
                capability(AccessClass::Permissions, &all, Environment::Unknown),
                "manage permissions of 12 services in shop",
            ),
        ] {
            assert_eq!(one.to_string(), want);
        }
    }
}
