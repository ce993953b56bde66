//! What is asked: a caller, an action, a resource and the context.
//!
//! Source: IAM User Guide, "Components of a request", "AWS global condition context keys" and "Comparing the AWS STS
//! API operations".

use std::sync::Arc;

use crate::catalog::{ActionId, Catalog};
use crate::model::arn::{AccountId, Arn};

use super::context::{Context, Slot};
use super::exempt;

/// Path of the roles that services make for themselves: neither SCPs nor RCPs bind what they do.
pub const SERVICE_LINKED: &str = "/aws-service-role/";

/// What kind of caller it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// Nobody that AWS knows: an unsigned request.
    Anonymous,
    /// An AWS service acting for itself, such as `logs.amazonaws.com`.
    Service(String),
    /// The root user of an account.
    Root,
    /// An IAM user.
    User,
    /// A session of a role.
    Role,
    /// A session that an IAM user got from `GetFederationToken`.
    FederatedUser,
    /// Somebody whom an identity provider vouches for, who asks for a role's session: the provider's ARN or domain.
    Provider(String),
}

/// Who asks. Made once for many requests.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The kind.
    pub kind: CallerKind,
    /// The account, for principals of an account.
    pub account: Option<AccountId>,
    /// ARN of the user, of root, or of the role (with its path) behind a session.
    pub arn: Option<Arn>,
    /// ARN of the session, where it is known.
    pub session: Option<Arn>,
    /// Unique id of the user or role, where it is known.
    pub unique_id: Option<String>,
    /// Keys that follow from who it is; lower-case names, sorted.
    derived: Vec<(&'static str, Slot)>,
}

impl Caller {
    /// A caller without an account.
    fn outside(kind: CallerKind) -> Self {
        let mut caller = Self { kind, account: None, arn: None, session: None, unique_id: None, derived: Vec::new() };
        caller.derive();
        caller
    }

    /// An unsigned request.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::outside(CallerKind::Anonymous)
    }

    /// A service.
    #[must_use]
    pub fn service(name: impl Into<String>) -> Self {
        Self::outside(CallerKind::Service(name.into()))
    }

    /// Somebody with an identity provider's word: the provider's ARN or domain.
    #[must_use]
    pub fn provider(name: impl Into<String>) -> Self {
        Self::outside(CallerKind::Provider(name.into()))
    }

    /// A principal by its ARN: an IAM user, a role (some session of it), a role session, a federated user's session,
    /// root, or an identity provider. `issuer` is the role's ARN with its path (or the federating user's ARN) where
    /// `arn` is a session; without it the role is taken to have no path, and the user is not known.
    #[must_use]
    pub fn of_arn(arn: &Arn, issuer: Option<&Arn>) -> Option<Self> {
        let of_account =
            |rest: &str| format!("arn:{}:iam::{}:{rest}", arn.partition(), arn.account_text()).parse().ok();
        let (kind, principal, session) = match (arn.service(), arn.resource().split_once('/')) {
            ("iam", None) if arn.resource() == "root" => (CallerKind::Root, Some(arn.clone()), None),
            ("iam", Some(("user", _))) => (CallerKind::User, Some(arn.clone()), None),
            ("iam", Some(("role", _))) => (CallerKind::Role, Some(arn.clone()), None),
            ("iam", Some(("saml-provider" | "oidc-provider", _))) => return Some(Self::provider(arn.as_str())),
            ("sts", Some(("assumed-role", rest))) => {
                let role = rest.split('/').next().unwrap_or(rest);
                let issuer = issuer.cloned().or_else(|| of_account(&format!("role/{role}")));
                (CallerKind::Role, issuer, Some(arn.clone()))
            }
            // The session's name is chosen freely: it does not tell the user.
            ("sts", Some(("federated-user", _))) => (CallerKind::FederatedUser, issuer.cloned(), Some(arn.clone())),
            _ => return None,
        };
        let account = arn.account()?;
        let mut caller =
            Self { kind, account: Some(account), arn: principal, session, unique_id: None, derived: Vec::new() };
        caller.derive();
        Some(caller)
    }

    /// With the unique id of the user or role.
    #[must_use]
    pub fn with_unique_id(mut self, id: &str) -> Self {
        self.unique_id = Some(id.to_owned());
        self
    }

    fn derive(&mut self) {
        let mut keys: Vec<(&'static str, Slot)> = Vec::new();
        let kind = match &self.kind {
            CallerKind::Anonymous => Some("Anonymous"),
            CallerKind::Root => Some("Account"),
            CallerKind::User => Some("User"),
            CallerKind::Role => Some("AssumedRole"),
            CallerKind::FederatedUser => Some("FederatedUser"),
            CallerKind::Service(_) | CallerKind::Provider(_) => None,
        };
        let anonymous = self.kind == CallerKind::Anonymous;
        if let Some(account) = self.account {
            keys.push(("aws:principalaccount", Slot::one(account.to_string())));
        } else if anonymous {
            keys.push(("aws:principalaccount", Slot::one("anonymous")));
            keys.push(("aws:userid", Slot::one("anonymous")));
        }
        let own = if self.kind == CallerKind::FederatedUser { &self.session } else { &self.arn };
        if let Some(arn) = own {
            keys.push(("aws:principalarn", Slot::one(arn.as_str())));
        }
        let service = matches!(self.kind, CallerKind::Service(_));
        if !anonymous {
            keys.push(("aws:principalisawsservice", Slot::one(service.to_string())));
        }
        if let CallerKind::Service(name) = &self.kind {
            keys.push(("aws:principalservicename", Slot::one(name.as_str())));
        }
        if let Some(kind) = kind {
            keys.push(("aws:principaltype", Slot::one(kind)));
        }
        if let (CallerKind::User, Some(arn)) = (&self.kind, &self.arn) {
            keys.push(("aws:username", Slot::one(arn.name())));
        }
        self.derived = keys;
    }

    /// Keys that follow from who it is.
    pub fn derived(&self) -> impl Iterator<Item = (&'static str, &Slot)> {
        self.derived.iter().map(|(key, slot)| (*key, slot))
    }

    /// Whether it acts through a role that a service made for itself.
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        self.kind == CallerKind::Role
            && self.arn.as_ref().is_some_and(|arn| {
                arn.resource().strip_prefix("role").is_some_and(|path| path.starts_with(SERVICE_LINKED))
            })
    }

    /// The caller, if the ARN is what it does not say of itself: its session, for a session of a role; its user, for a
    /// federated session. None where the ARN cannot be that, or the caller says it.
    #[must_use]
    pub fn taken_for(&self, arn: &Arn) -> Option<Self> {
        if arn.account().is_none() || arn.account() != self.account {
            return None;
        }
        match (&self.kind, &self.arn, &self.session) {
            (CallerKind::Role, Some(role), None) => {
                let rest = arn.resource().strip_prefix("assumed-role/").filter(|_| arn.service() == "sts")?;
                let own = rest.split('/').next() == Some(role.name());
                own.then(|| Self { session: Some(arn.clone()), ..self.clone() })
            }
            (CallerKind::FederatedUser, None, _) => {
                let user = arn.service() == "iam" && arn.resource().starts_with("user/");
                user.then(|| Self { arn: Some(arn.clone()), ..self.clone() })
            }
            _ => None,
        }
    }

    /// The caller, as something that no policy names.
    #[must_use]
    pub fn taken_for_another(&self) -> Option<Self> {
        let of = |service: &str, rest: String| {
            let partition = self.arn.as_ref().or(self.session.as_ref()).map_or("aws", Arn::partition).to_owned();
            format!("arn:{partition}:{service}::{}:{rest}", self.account?).parse::<Arn>().ok()
        };
        let arn = match self.kind {
            CallerKind::Role => of("sts", format!("assumed-role/{}/(another)", self.arn.as_ref()?.name()))?,
            CallerKind::FederatedUser => of("iam", "user/(another)".to_owned())?,
            _ => return None,
        };
        self.taken_for(&arn)
    }

    /// Whether it is a principal of an account, with policies of its own and SCPs above it.
    #[must_use]
    pub const fn is_of_account(&self) -> bool {
        matches!(self.kind, CallerKind::Root | CallerKind::User | CallerKind::Role | CallerKind::FederatedUser)
    }
}

/// An action as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionName {
    /// As written, such as `s3:GetObject`.
    pub text: String,
    /// Its number, where the catalogue knows it.
    pub id: Option<ActionId>,
    /// Whether its service supports resource control policies.
    pub rcps: bool,
}

impl ActionName {
    /// Looks it up, ignoring case.
    #[must_use]
    pub fn new(text: &str, catalog: &Catalog) -> Self {
        let rcps = text.split_once(':').is_some_and(|(prefix, _)| exempt::supports_rcps(prefix));
        Self { text: text.to_owned(), id: catalog.find(text), rcps }
    }

    /// The service prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.text.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// The name without the prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.split_once(':').map_or(self.text.as_str(), |(_, name)| name)
    }

    /// Whether it is this one, ignoring case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.text.eq_ignore_ascii_case(name)
    }
}

/// Partition, service, region, account and resource of an ARN; none where the text is none.
#[must_use]
pub fn arn_parts(text: &str) -> Option<[&str; 5]> {
    let mut parts = text.splitn(6, ':');
    if parts.next() != Some("arn") {
        return None;
    }
    Some([parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?])
}

/// What the request is about: an ARN, or `*` where it names no resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    text: String,
    /// Ends of the first five parts of an ARN.
    ends: Option<[usize; 5]>,
}

impl Target {
    /// Reads it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut ends = [0usize; 5];
        let mut colons = text.match_indices(':').map(|(at, _)| at);
        let whole = text.starts_with("arn:") && ends.iter_mut().all(|end| colons.next().map(|at| *end = at).is_some());
        Self { text: text.to_owned(), ends: whole.then_some(ends) }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Partition, service, region, account and resource, where it is an ARN.
    #[must_use]
    pub fn parts(&self) -> Option<[&str; 5]> {
        let [a, b, c, d, e] = self.ends?;
        let part = |from: usize, to: usize| self.text.get(from + 1..to).unwrap_or("");
        Some([part(a, b), part(b, c), part(c, d), part(d, e), self.text.get(e + 1..).unwrap_or("")])
    }

    /// The account that the ARN names.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.parts().and_then(|[_, _, _, account, _]| account.parse().ok())
    }
}

/// Which rules hold for the policy of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceRule {
    /// Either side may grant within an account.
    Ordinary,
    /// A KMS key: nobody has access that the key policy does not give or delegate, not even root.
    Key,
    /// A role that is to be assumed: the same for its trust policy.
    Trust,
}

/// Keys that follow from the caller: where they do not, the request has none.
const FOLLOWING: [&str; 6] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalservicename",
    "aws:principaltype",
    "aws:username",
];

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// What for.
    pub action: ActionName,
    /// On what.
    pub resource: Target,
    /// The account that owns the resource; none where it is not known.
    pub resource_account: Option<AccountId>,
    /// Condition keys, those that follow from the rest included.
    pub context: Context,
}

impl Request {
    /// Puts a request together. The owner of the resource is, in this order: as said, as the ARN says, the caller's
    /// account. Keys that follow from caller and resource are added where the context does not set them.
    #[must_use]
    pub fn new(
        caller: Arc<Caller>,
        action: ActionName,
        resource: Target,
        owner: Option<AccountId>,
        mut context: Context,
    ) -> Self {
        let resource_account = owner.or_else(|| resource.account()).or(caller.account);
        for (key, slot) in caller.derived() {
            context.set_default(key, slot.clone());
        }
        // What follows from the caller is absent where it does not.
        for key in FOLLOWING {
            context.set_default(key, Slot::Absent);
        }
        if let Some(account) = resource_account.filter(|_| resource.as_str() != "*") {
            context.set_default("aws:resourceaccount", Slot::one(account.to_string()));
        }
        Self { caller, action, resource, resource_account, context }
    }

    /// Which rules hold for the resource's policy.
    #[must_use]
    pub fn rule(&self) -> ResourceRule {
        let Some([_, service, _, _, resource]) = self.resource.parts() else { return ResourceRule::Ordinary };
        let is = |name: &str| self.action.is(name);
        if service == "kms" && resource.starts_with("key/") && self.action.prefix().eq_ignore_ascii_case("kms") {
            ResourceRule::Key
        } else if service == "iam"
            && resource.starts_with("role/")
            && (self.is_assuming() || is("sts:TagSession") || is("sts:SetSourceIdentity"))
        {
            ResourceRule::Trust
        } else {
            ResourceRule::Ordinary
        }
    }

    /// Whether it asks for a session of a role.
    #[must_use]
    pub fn is_assuming(&self) -> bool {
        ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"]
            .iter()
            .any(|name| self.action.is(name))
    }

    /// Whether caller and resource belong to one account.
    #[must_use]
    pub fn is_within_account(&self) -> bool {
        self.caller.account.is_some() && self.caller.account == self.resource_account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_by_arn() {
        let caller = |text: &str, issuer: Option<&str>| {
            let issuer: Option<Arn> = issuer.map(|text| text.parse().unwrap());
            Caller::of_arn(&text.parse().unwrap(), issuer.as_ref())
        };
        let key = |caller: &Caller, key: &str| {
            caller.derived().find(|(name, _)| *name == key).map(|(_, slot)| slot.clone()).unwrap_or(Slot::Absent)
        };
        let user = caller("arn:aws-cn:iam::123456789012:user/team/ann", None).unwrap();
        assert_eq!((&user.kind, key(&user, "aws:username")), (&CallerKind::User, Slot::one("ann")));
        let session = caller("arn:aws:sts::123456789012:assumed-role/app/i-1", None).unwrap();
        assert_eq!(key(&session, "aws:principalarn"), Slot::one("arn:aws:iam::123456789012:role/app"));
        let issuer = "arn:aws:iam::123456789012:role/aws-service-role/x.amazonaws.com/app";
        let session = caller("arn:aws:sts::123456789012:assumed-role/app/i-1", Some(issuer)).unwrap();
        assert_eq!(key(&session, "aws:principalarn"), Slot::one(issuer));
        assert!(session.is_service_linked());
        let root = caller("arn:aws:iam::123456789012:root", None).unwrap();
        assert_eq!(key(&root, "aws:principaltype"), Slot::one("Account"));
        let federated = caller("arn:aws:sts::123456789012:federated-user/bob", None).unwrap();
        assert_eq!(federated.arn, None);
        assert_eq!(key(&federated, "aws:principalarn"), Slot::one("arn:aws:sts::123456789012:federated-user/bob"));
        let saml = caller("arn:aws:iam::123456789012:saml-provider/corp", None).unwrap();
        assert!(matches!(saml.kind, CallerKind::Provider(_)) && saml.account.is_none());
        for text in ["arn:aws:s3:::bucket", "arn:aws:iam::123456789012:group/x", "arn:aws:iam::1:user/x"] {
            assert!(caller(text, None).is_none(), "{text}");
        }
    }

    #[test]
    fn targets() {
        let target = Target::new("arn:aws:s3:::bucket/key:with:colons");
        assert_eq!(target.parts(), Some(["aws", "s3", "", "", "bucket/key:with:colons"]));
        assert_eq!(target.parts(), arn_parts(target.as_str()));
        assert_eq!(Target::new("*").parts(), None);
        assert_eq!(Target::new("arn:aws:s3").parts(), None);
        assert_eq!(Target::new("arn:aws:sqs:eu-west-1:123456789012:q").account().unwrap().to_string(), "123456789012");
    }
}
