//! Whether a `Principal` or `NotPrincipal` element reaches a caller, and how.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "… NotPrincipal", and "Policy evaluation logic"
//! (which policies limit what a resource policy grants).

use crate::model::arn::{AccountId, Arn};
use crate::policy::{Effect, PrincipalElement, PrincipalPattern};

use super::request::{Caller, CallerKind};
use super::truth::Truth;

/// How a statement reaches a caller; the later, the closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// Not at all.
    Nobody,
    /// Through its account, which may delegate.
    Account,
    /// Through the role behind a session, or the user behind a federated one: a permissions boundary and a session
    /// policy still limit it.
    Issuer,
    /// Itself: nothing implicit limits it.
    Itself,
}

/// How surely a statement reaches a caller in each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Itself.
    pub itself: Truth,
    /// Through its role or user.
    pub issuer: Truth,
    /// Through its account.
    pub account: Truth,
}

impl Ways {
    /// Not at all.
    pub const NONE: Self = Self { itself: Truth::False, issuer: Truth::False, account: Truth::False };
    /// Itself: what policies without a principal do.
    pub const ITSELF: Self = Self { itself: Truth::True, issuer: Truth::False, account: Truth::False };

    /// In some way.
    #[must_use]
    pub fn any(self) -> Truth {
        self.itself.or(self.issuer).or(self.account)
    }

    /// Where something else holds as well.
    #[must_use]
    pub fn and(self, other: Truth) -> Self {
        Self { itself: self.itself.and(other), issuer: self.issuer.and(other), account: self.account.and(other) }
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            itself: self.itself.or(other.itself),
            issuer: self.issuer.or(other.issuer),
            account: self.account.or(other.account),
        }
    }

    fn add(&mut self, truth: Truth, how: Reached) {
        let way = match how {
            Reached::Nobody => return,
            Reached::Account => &mut self.account,
            Reached::Issuer => &mut self.issuer,
            Reached::Itself => &mut self.itself,
        };
        *way = way.or(truth);
    }
}

/// How the element reaches the caller. `bounded`: the caller has a permissions boundary.
#[must_use]
pub fn reaches(element: &PrincipalElement, effect: Effect, caller: &Caller, bounded: bool) -> Ways {
    match element {
        PrincipalElement::Principal(patterns) => {
            let mut ways = Ways::NONE;
            for pattern in patterns {
                let (truth, how) = one(pattern, caller);
                ways.add(truth, how);
            }
            ways
        }
        // AWS: such a Deny always hits a principal that has a permissions boundary.
        PrincipalElement::NotPrincipal(_) if effect == Effect::Deny && bounded => Ways::ITSELF,
        PrincipalElement::NotPrincipal(patterns) => Ways { itself: exempt(patterns, caller).negate(), ..Ways::NONE },
    }
}

fn one(pattern: &PrincipalPattern, caller: &Caller) -> (Truth, Reached) {
    let no = (Truth::False, Reached::Nobody);
    let when = |holds: bool, how: Reached| if holds { (Truth::True, how) } else { no };
    match pattern {
        PrincipalPattern::Everyone => (Truth::True, Reached::Itself),
        PrincipalPattern::Account(account) => when(
            is_of(caller, *account),
            if caller.kind == CallerKind::Root { Reached::Itself } else { Reached::Account },
        ),
        PrincipalPattern::Arn(arn) => by_arn(arn, caller),
        PrincipalPattern::UniqueId(id) => {
            let how = if caller.kind == CallerKind::Role { Reached::Issuer } else { Reached::Itself };
            match &caller.unique_id {
                Some(own) => when(own == id, how),
                // AWS writes an id in the place of the ARN of a principal that no longer exists.
                None => no,
            }
        }
        PrincipalPattern::Service(name) => {
            when(matches!(&caller.kind, CallerKind::Service(own) if own == name), Reached::Itself)
        }
        PrincipalPattern::Federated(name) => {
            when(matches!(&caller.kind, CallerKind::Provider(own) if own == name), Reached::Itself)
        }
        // Which account it stands for is not known here.
        PrincipalPattern::CanonicalUser(_) if caller.is_of_account() => (Truth::Unknown, Reached::Account),
        PrincipalPattern::CanonicalUser(_) => no,
    }
}

fn is_of(caller: &Caller, account: AccountId) -> bool {
    caller.is_of_account() && caller.account == Some(account)
}

fn by_arn(arn: &Arn, caller: &Caller) -> (Truth, Reached) {
    let is_own = caller.arn.as_ref() == Some(arn);
    match caller.kind {
        CallerKind::User if is_own => (Truth::True, Reached::Itself),
        CallerKind::Role | CallerKind::FederatedUser if is_own => (Truth::True, Reached::Issuer),
        CallerKind::Role | CallerKind::FederatedUser => match &caller.session {
            Some(session) if session == arn => (Truth::True, Reached::Itself),
            // Some user of the account asked for the federated session: perhaps this one.
            Some(_) if caller.taken_for(arn).is_some() => (Truth::Unknown, Reached::Issuer),
            // Some session of the role: perhaps this one.
            None if caller.taken_for(arn).is_some() => (Truth::Unknown, Reached::Itself),
            _ => (Truth::False, Reached::Nobody),
        },
        _ => (Truth::False, Reached::Nobody),
    }
}

/// Whether a `NotPrincipal` leaves the caller out. It surely does where it names the caller, its role and its account:
/// AWS says that services may look at each of them in turn.
fn exempt(patterns: &[PrincipalPattern], caller: &Caller) -> Truth {
    let found: Vec<(Truth, Reached)> = patterns.iter().map(|pattern| one(pattern, caller)).collect();
    let named =
        |how: Reached| found.iter().filter(|(_, at)| *at == how).map(|(truth, _)| *truth).fold(Truth::False, Truth::or);
    if patterns.contains(&PrincipalPattern::Everyone) {
        return Truth::True;
    }
    let (itself, issuer, account) = (named(Reached::Itself), named(Reached::Issuer), named(Reached::Account));
    match caller.kind {
        CallerKind::Anonymous | CallerKind::Service(_) | CallerKind::Provider(_) | CallerKind::Root => itself,
        CallerKind::User | CallerKind::FederatedUser => match (itself.or(issuer), account) {
            (Truth::True, Truth::True) => Truth::True,
            (Truth::False, _) => Truth::False,
            _ => Truth::Unknown,
        },
        CallerKind::Role => match (itself, issuer, account) {
            (Truth::True, Truth::True, Truth::True) => Truth::True,
            (Truth::False, Truth::False, _) => Truth::False,
            _ => Truth::Unknown,
        },
    }
}
