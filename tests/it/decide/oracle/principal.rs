//! Who calls, and how a Principal or NotPrincipal element names the caller.

use super::{list, text};
use serde_json::Value;

/// The kinds of callers of the case format.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// An IAM user.
    User,
    /// A role's ARN: some session of it, whose ARN is not known.
    Role,
    /// An assumed-role session.
    Session,
    /// A GetFederationToken session.
    FederatedUser,
    /// An account's root user.
    Root,
    /// A SAML or OIDC provider.
    Provider,
    /// An AWS service.
    Service,
    /// Nobody known.
    Anonymous,
}

/// How closely a resource policy's Allow names the caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Not at all.
    None,
    /// By its account.
    Account,
    /// By its role (or, for a federated user, its user): boundary and session policy still limit.
    Limited,
    /// Itself.
    Direct,
}

/// How fully a NotPrincipal element names the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// The statement does not apply.
    Fully,
    /// It is not certain whether the statement applies.
    Partly,
    /// The statement applies.
    Not,
}

/// The caller of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Which kind.
    pub kind: Kind,
    /// The ARN as given, or the service's name.
    pub arn: String,
    /// The account, for those that have one and an identity side.
    pub account: Option<String>,
    /// Root ARN of the account.
    pub root_arn: String,
    /// The role's ARN with its path (roles and sessions).
    pub role_arn: Option<String>,
    /// The user's name (IAM users).
    pub user_name: Option<String>,
}

impl Caller {
    /// Reads `request.principal` and `request.principal_role_arn`.
    pub fn read(request: &Value) -> Caller {
        let principal = &request["principal"];
        let mut caller = Caller {
            kind: Kind::Anonymous,
            arn: String::new(),
            account: None,
            root_arn: String::new(),
            role_arn: None,
            user_name: None,
        };
        if principal["type"] == "Service" {
            caller.kind = Kind::Service;
            caller.arn = principal["name"].as_str().unwrap().to_string();
        } else if let Some(arn) = principal.as_str() {
            caller.read_arn(arn, request["principal_role_arn"].as_str());
        }
        caller
    }

    fn read_arn(&mut self, arn: &str, role_arn: Option<&str>) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let (partition, service, account, resource) = (parts[1], parts[2], parts[4], parts[5]);
        let (sort, name) = resource.split_once('/').unwrap_or((resource, ""));
        self.arn = arn.to_string();
        self.root_arn = format!("arn:{partition}:iam::{account}:root");
        self.kind = match (service, sort) {
            ("iam", "user") => Kind::User,
            ("iam", "role") => Kind::Role,
            ("iam", "root") => Kind::Root,
            ("iam", "saml-provider" | "oidc-provider") => Kind::Provider,
            ("sts", "assumed-role") => Kind::Session,
            ("sts", "federated-user") => Kind::FederatedUser,
            _ => panic!("principal {arn}"),
        };
        if self.kind != Kind::Provider {
            self.account = Some(account.to_string());
        }
        match self.kind {
            Kind::User => self.user_name = Some(name.rsplit('/').next().unwrap().to_string()),
            Kind::Role => self.role_arn = Some(arn.to_string()),
            Kind::Session => {
                let role = name.split('/').next().unwrap();
                let plain = format!("arn:{partition}:iam::{account}:role/{role}");
                self.role_arn = Some(role_arn.map_or(plain, str::to_string));
            }
            Kind::FederatedUser => self.role_arn = role_arn.map(str::to_string),
            _ => {}
        }
    }

    /// A service-linked role, told by its path.
    pub fn is_service_linked(&self) -> bool {
        self.role_arn.as_deref().is_some_and(|arn| {
            arn.splitn(6, ':').nth(5).is_some_and(|resource| resource.starts_with("role/aws-service-role/"))
        })
    }

    /// Callers whose identity policies, boundary and session policy are looked at.
    pub fn has_identity(&self) -> bool {
        matches!(self.kind, Kind::User | Kind::Role | Kind::Session | Kind::FederatedUser)
    }
}

/// Everything that a Principal element lists, as (type, value).
fn entries(element: &Value) -> Vec<(String, String)> {
    match element {
        Value::String(one) => vec![("*".to_string(), one.clone())],
        Value::Object(map) => map
            .iter()
            .flat_map(|(sort, values)| {
                list(values).into_iter().map(move |v| (sort.clone(), text(v).unwrap_or_default()))
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn is_account(entry: &str, caller: &Caller) -> bool {
    caller.account.as_deref() == Some(entry) || (caller.account.is_some() && entry == caller.root_arn)
}

/// How closely a Principal element names the caller; `session` is the session's ARN where the caller is a bare role.
pub fn level(element: &Value, caller: &Caller, session: Option<&str>) -> Level {
    entries(element).iter().map(|(sort, value)| entry_level(sort, value, caller, session)).max().unwrap_or(Level::None)
}

/// ARNs in a Principal element that may be the session of a caller who is given as a bare role.
pub fn possible_sessions(element: &Value, caller: &Caller) -> Vec<String> {
    // Which user asked for a federated session is not told: any user of the account that is listed may be it.
    if caller.kind == Kind::FederatedUser && caller.role_arn.is_none() {
        let start = caller.root_arn.replace(":root", ":user/");
        let listed = entries(element).into_iter().filter(|(sort, _)| sort == "AWS").map(|(_, value)| value);
        return listed.filter(|value| value.starts_with(&start)).collect();
    }
    if caller.kind != Kind::Role {
        return Vec::new();
    }
    let name = caller.arn.rsplit('/').next().unwrap();
    let start = format!("{}:assumed-role/{name}/", caller.root_arn.replace(":iam:", ":sts:").trim_end_matches(":root"));
    let listed = entries(element).into_iter().filter(|(sort, _)| sort == "AWS").map(|(_, value)| value);
    listed.filter(|value| value.starts_with(&start)).collect()
}

fn entry_level(sort: &str, value: &str, caller: &Caller, session: Option<&str>) -> Level {
    let own = |sort_of_caller: &str| sort == sort_of_caller && value == caller.arn;
    if value == "*" && (sort == "*" || sort == "AWS") {
        return Level::Direct;
    }
    let direct = match caller.kind {
        Kind::User | Kind::Session | Kind::FederatedUser => own("AWS"),
        Kind::Root => sort == "AWS" && is_account(value, caller),
        Kind::Provider => own("Federated"),
        Kind::Service => own("Service"),
        Kind::Role => sort == "AWS" && session == Some(value),
        Kind::Anonymous => false,
    };
    if direct {
        Level::Direct
    } else if sort == "AWS"
        && (caller.role_arn.as_deref() == Some(value) || (caller.kind == Kind::FederatedUser && session == Some(value)))
    {
        Level::Limited
    } else if sort == "AWS" && is_account(value, caller) {
        Level::Account
    } else {
        Level::None
    }
}

/// How fully a NotPrincipal element names the caller.
pub fn named(element: &Value, caller: &Caller) -> Named {
    let entries = entries(element);
    if entries.iter().any(|(sort, value)| value == "*" && (sort == "*" || sort == "AWS")) {
        return Named::Fully;
    }
    let lists = |sort: &str, arn: &str| entries.iter().any(|(s, value)| s == sort && value == arn);
    let account = entries.iter().any(|(sort, value)| sort == "AWS" && is_account(value, caller));
    let own = lists("AWS", &caller.arn);
    let role = caller.role_arn.as_deref().is_some_and(|arn| lists("AWS", arn));
    match caller.kind {
        Kind::FederatedUser if !own && !possible_sessions(element, caller).is_empty() => Named::Partly,
        Kind::User | Kind::FederatedUser if !own => Named::Not,
        Kind::User | Kind::FederatedUser => {
            if account {
                Named::Fully
            } else {
                Named::Partly
            }
        }
        Kind::Session if !own && !role => Named::Not,
        Kind::Session => {
            if account && role && own {
                Named::Fully
            } else {
                Named::Partly
            }
        }
        Kind::Role => {
            // A session of the role that is listed may be this one.
            if role || !possible_sessions(element, caller).is_empty() { Named::Partly } else { Named::Not }
        }
        Kind::Root => {
            if account {
                Named::Fully
            } else {
                Named::Not
            }
        }
        Kind::Provider => {
            if lists("Federated", &caller.arn) {
                Named::Fully
            } else {
                Named::Not
            }
        }
        Kind::Service => {
            if lists("Service", &caller.arn) {
                Named::Fully
            } else {
                Named::Not
            }
        }
        Kind::Anonymous => Named::Not,
    }
}
