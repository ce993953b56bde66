//! Risk of holding a capability: a number with its parts, never one without the other.

use serde::Serialize;

use super::capability::{Capability, Environment};
use crate::entitlements::AccessClass;

/// What each kind of access weighs: reading settings is the unit; contents and secrets, changes, and changes of who may
/// do what weigh more. A judgement: the parts are shown with every number.
const fn weight(class: AccessClass) -> u64 {
    match class {
        AccessClass::Read => 1,
        AccessClass::Write => 4,
        AccessClass::SensitiveRead => 6,
        AccessClass::Permissions => 10,
    }
}

/// How much more it weighs where the business runs. What nobody named is taken to lie between.
const fn factor(environment: Environment) -> u64 {
    match environment {
        Environment::NonProduction => 1,
        Environment::Unknown => 2,
        Environment::Production => 3,
    }
}

/// A factor for what makes the holder an easier prey.
const EXPOSED: u64 = 2;

/// A risk and what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// The product of the parts.
    pub score: u64,
    /// The parts, in words with their numbers.
    pub parts: Vec<String>,
}

impl Risk {
    /// The risk of a capability; `exposed` says what makes its holder an easier prey.
    #[must_use]
    pub fn of(capability: &Capability, exposed: &[String]) -> Self {
        let (class, environment) = (capability.class, capability.place.environment);
        let services = capability.services.len() as u64;
        let mut score = weight(class) * factor(environment) * services;
        let mut parts = vec![
            format!("{} {}", class.as_str().replace('_', " "), weight(class)),
            format!("{} x{}", environment.as_str().replace('_', "-"), factor(environment)),
        ];
        if services != 1 {
            parts.push(format!("{services} services x{services}"));
        }
        for reason in exposed {
            score *= EXPOSED;
            parts.push(format!("{reason} x{EXPOSED}"));
        }
        Self { score, parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::capability::Place;

    #[test]
    fn the_parts_make_the_number_and_more_is_never_less() {
        let capability = |class, services: usize, environment| Capability {
            class,
            services: (0..services).map(|n| format!("s{n}")).collect(),
            place: Place { account: "111122223333".parse().unwrap(), name: "x".to_owned(), environment },
        };
        let one = Risk::of(&capability(AccessClass::Write, 2, Environment::Production), &["no MFA".to_owned()]);
        assert_eq!(one.score, 4 * 3 * 2 * 2);
        assert_eq!(one.parts, ["write 4", "production x3", "2 services x2", "no MFA x2"]);
        for class in AccessClass::ALL {
            let less = Risk::of(&capability(class, 1, Environment::Unknown), &[]);
            for more in [
                Risk::of(&capability(class, 2, Environment::Unknown), &[]),
                Risk::of(&capability(class, 1, Environment::Production), &[]),
                Risk::of(&capability(class, 1, Environment::Unknown), &["x".to_owned()]),
            ] {
                assert!(more.score > less.score, "{class:?}");
            }
        }
    }
}
