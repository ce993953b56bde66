//! Whether calls were on the resources of a grant: the usage fold keeps what holds them, and some records name none.

use crate::catalog::ActionId;
use crate::entitlements::{Entitlement, Scope};
use crate::policy::{ArnPattern, ResourceMatch};

use super::used::{Held, held, may_hold};
use super::verdict::Bench;

/// Of services whose resources the fold keeps as what they lie in: the types that lie inside. Source: "Resource types defined by
/// ..." (Service Authorization Reference).
const INNER: [(&str, &[&str]); 3] = [
    ("dynamodb", &["backup", "export", "import", "index", "stream"]),
    ("kinesis", &["consumer"]),
    ("lambda", &["durable execution", "function alias", "function version", "layerVersion"]),
];

impl Bench<'_> {
    /// Whether a call of an action on `resource` exercised a grant on the scope. `settled`: what is granted now was granted all
    /// the time.
    pub(super) fn held(&self, scope: &Scope, settled: bool, action: ActionId, resource: &str) -> Held {
        let resource = self.meant(action, resource);
        match scope_held(scope, resource) {
            Held::Maybe if self.is_on_parent(action, scope, resource) => Held::Surely,
            Held::Maybe if settled && self.only_one(action, resource) => Held::Surely,
            held => held,
        }
    }

    /// Whether calls of an action that are counted by a resource may have been on others, of the scope's, too.
    pub(super) fn is_apart(&self, scope: &Scope, action: ActionId, resource: &str) -> bool {
        let resource = self.meant(action, resource);
        let action = self.catalog.action(action).filter(|_| scope_held(scope, resource) == Held::No);
        action.is_some_and(|action| !self.reach.tells(action, resource, &scope.resources))
    }

    fn meant<'r>(&'r self, action: ActionId, resource: &'r str) -> &'r str {
        self.roles.meant(resource, self.pass == Some(action))
    }

    /// Whether a call of the action can only have been on the resource itself, not on what lies in it, and the scope names it.
    fn is_on_parent(&self, action: ActionId, scope: &Scope, resource: &str) -> bool {
        let ResourceMatch::Resource(patterns) = &scope.resources else { return false };
        let Some(action) = self.catalog.action(action) else { return false };
        let inner = INNER.iter().find(|(prefix, _)| *prefix == action.prefix());
        inner.is_some_and(|(_, inner)| {
            let mut types = action.resource_types().map(|(name, _)| name).peekable();
            types.peek().is_some() && types.all(|name| !inner.contains(&name))
        }) && resource.starts_with("arn:")
            && patterns.iter().any(|pattern| pattern.matches(resource))
    }

    /// Whether what is granted now was all that was granted through the window, as far as it is known: the entitlement is
    /// older, and nothing was taken from the principal since.
    pub(super) fn is_settled(&self, entitlement: &Entitlement) -> bool {
        self.since(entitlement).is_none_or(|since| since <= self.window.from)
            && self.changes.taken(self.principal).is_none_or(|(at, _)| at < self.window.from)
    }

    /// Whether a call that was made on a resource can have been allowed by one pattern only, of all that is granted by identity
    /// policies: then it was on what that names, whatever the record says.
    fn only_one(&self, action: ActionId, resource: &str) -> bool {
        let mut one: Option<Allowing<'_>> = None;
        for entitlement in self.granted.iter().filter(|entitlement| entitlement.actions.contains(action)) {
            let scope = &*entitlement.scope;
            let own = match &scope.resources {
                ResourceMatch::Resource(patterns) => {
                    patterns.iter().filter(|pattern| may_hold(pattern, resource)).map(Allowing::Pattern).collect()
                }
                _ if scope_held(scope, resource) == Held::No => Vec::new(),
                other => vec![Allowing::Others(other)],
            };
            for allowing in own {
                if one.is_some_and(|known| known != allowing) {
                    return false;
                }
                one = Some(allowing);
            }
        }
        one.is_some()
    }
}

/// Whether a call on `resource` exercised a grant on the scope.
pub(super) fn scope_held(scope: &Scope, resource: &str) -> Held {
    match &scope.resources {
        ResourceMatch::Resource(patterns) => {
            let mut best = Held::No;
            for pattern in patterns {
                best = best.max(held(pattern, resource));
                if best == Held::Surely {
                    break;
                }
            }
            best
        }
        other if !other.may_match(resource) => Held::No,
        ResourceMatch::NotResource(patterns) if patterns.iter().any(|pattern| may_hold(pattern, resource)) => {
            Held::Maybe
        }
        _ => Held::Surely,
    }
}

/// What of an entitlement can have allowed a call.
#[derive(Clone, Copy, PartialEq)]
enum Allowing<'a> {
    /// One of the patterns that it names.
    Pattern(&'a ArnPattern),
    /// All but what it names.
    Others(&'a ResourceMatch),
}
