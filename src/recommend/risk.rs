//! Risk of holding a capability: a number with its parts, never one without the other.

use serde::Serialize;

use super::capability::{Capability, Environment};
use super::scope::Reach;
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

/// A factor for what makes the holder an easier prey, or what it holds reach further.
const EXPOSED: u64 = 2;

/// A risk and what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// The product of the parts.
    pub score: u64,
    /// The parts, in words with their numbers.
    pub parts: Vec<String>,
}

/// What the services of a capability count for together: one each, twice where it is granted on every resource, and twice
/// where it reaches sensitive names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Services.
    pub services: u64,
    /// Of these, granted on every resource, or every one of a type.
    pub everywhere: u64,
    /// Of these, with names of what is worth stealing.
    pub sensitive: u64,
    /// The sum.
    pub sum: u64,
}

impl Units {
    /// Adds a service.
    pub fn add(&mut self, class: AccessClass, reach: &Reach) {
        self.services += 1;
        self.everywhere += u64::from(reach.everywhere);
        self.sensitive += u64::from(class != AccessClass::Read && !reach.sensitive.is_empty());
        self.sum += reach.units(class);
    }

    fn told(self) -> Vec<String> {
        if self.services > 1 {
            let Self { services, everywhere, sensitive, sum } = self;
            let text = format!(
                "{services} services, {everywhere} of them on every resource, {sensitive} with sensitive names"
            );
            return vec![format!("{text} x{sum}")];
        }
        let scope = if self.everywhere > 0 { "every resource x2" } else { "named resources x1" };
        let names = (self.sensitive > 0).then_some("sensitive names x2");
        std::iter::once(scope).chain(names).map(str::to_owned).collect()
    }
}

impl Risk {
    /// The risk of a capability; `exposed` says what makes its holder an easier prey, or reach further.
    #[must_use]
    pub fn of(capability: &Capability, units: Units, exposed: &[String]) -> Self {
        let (class, environment) = (capability.class, capability.place.environment);
        let mut score = weight(class) * factor(environment) * units.sum;
        let mut parts = vec![
            format!("{} {}", class.as_str().replace('_', " "), weight(class)),
            format!("{} x{}", environment.as_str().replace('_', "-"), factor(environment)),
        ];
        parts.extend(units.told());
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
        let capability = |class, environment| Capability {
            class,
            services: vec!["s".to_owned()],
            place: Place { account: "111122223333".parse().unwrap(), name: "x".to_owned(), environment },
        };
        let units = |class, reaches: &[(bool, bool)]| {
            let mut units = Units::default();
            for (everywhere, sensitive) in reaches {
                let sensitive = if *sensitive { ["arn:aws:s3:::customers".into()].into() } else { [].into() };
                units.add(class, &Reach { everywhere: *everywhere, sensitive, ..Reach::default() });
            }
            units
        };
        let write = AccessClass::Write;
        let one = Risk::of(
            &capability(write, Environment::Production),
            units(write, &[(true, true), (false, false)]),
            &["no MFA".to_owned()],
        );
        assert_eq!(one.score, 4 * 3 * 5 * 2);
        assert_eq!(
            one.parts,
            [
                "write 4",
                "production x3",
                "2 services, 1 of them on every resource, 1 with sensitive names x5",
                "no MFA x2"
            ]
        );
        for class in AccessClass::ALL {
            let named = units(class, &[(false, false)]);
            let less = Risk::of(&capability(class, Environment::Unknown), named, &[]);
            for more in [
                Risk::of(&capability(class, Environment::Unknown), units(class, &[(false, false); 2]), &[]),
                Risk::of(&capability(class, Environment::Unknown), units(class, &[(true, false)]), &[]),
                Risk::of(&capability(class, Environment::Production), named, &[]),
                Risk::of(&capability(class, Environment::Unknown), named, &["x".to_owned()]),
            ] {
                assert!(more.score > less.score, "{class:?}");
            }
            let sensitive = Risk::of(&capability(class, Environment::Unknown), units(class, &[(false, true)]), &[]);
            assert_eq!(sensitive.score > less.score, class != AccessClass::Read);
        }
    }
}
