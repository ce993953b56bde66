//! The fine print: calls that need no permission, and callers and resources that organisation policies do not bind.

use super::evaluate::Answer;
use super::request::{ActionName, CallerKind, Request};

/// Services whose resources RCPs govern. Source: AWS Organizations User Guide,
/// "Resource control policies (RCPs)", list of AWS services that support RCPs.
const RCP_SERVICES: &str = include_str!("data/rcp_services.tsv");

/// KMS operations that a principal of another account can be allowed.
const KMS_CROSS_ACCOUNT: &str = include_str!("data/kms_cross_account.tsv");
/// Services whose resources can carry a policy.
const RESOURCE_POLICIES: &str = include_str!("data/resource_policies.tsv");
/// Condition keys that may have several values.
const MULTIVALUED: &str = include_str!("data/multivalued_keys.tsv");

/// Calls that need no permission and which no policy takes away. Source: AWS STS API Reference, "GetCallerIdentity";
/// IAM User Guide, "Permissions for GetSessionToken" (users and root only: sessions of roles cannot call it).
#[must_use]
pub fn permissionless(request: &Request) -> Option<Answer> {
    let free = if request.action.is("sts:GetCallerIdentity") {
        request.caller.kind != CallerKind::Anonymous
    } else if request.action.is("sts:GetSessionToken") {
        matches!(request.caller.kind, CallerKind::User | CallerKind::Root)
    } else {
        return None;
    };
    Some(if free { Answer::Allowed } else { Answer::ImplicitlyDenied })
}

/// Whether a KMS operation can be allowed to another account's principals at all.
#[must_use]
pub fn kms_crosses_accounts(action: &ActionName) -> bool {
    rows(KMS_CROSS_ACCOUNT).any(|(name, _)| action.is(name))
}

/// Whether resources of a service can carry a policy.
#[must_use]
pub fn has_resource_policies(prefix: &str) -> bool {
    rows(RESOURCE_POLICIES).any(|(service, _)| service.eq_ignore_ascii_case(prefix))
}

/// Whether a condition key may have several values; its name in lower case.
#[must_use]
pub fn is_multivalued(key: &str) -> bool {
    rows(MULTIVALUED).any(|(name, _)| name == key)
}

/// Whether SCPs bind the caller: principals of an account, root too, but not roles that services made for themselves.
/// That the management account has none is said by there being none.
#[must_use]
pub fn scps_bind(request: &Request) -> bool {
    request.caller.is_of_account() && !request.caller.is_service_linked()
}

/// Whether RCPs bind the request: the service has to support them; roles that services made for themselves are
/// spared, and `kms:RetireGrant`, which the grant itself decides.
#[must_use]
pub fn rcps_bind(request: &Request) -> bool {
    request.action.rcps && !request.caller.is_service_linked() && !request.action.is("kms:RetireGrant")
}

/// Whether RCPs govern a service's resources.
#[must_use]
pub fn supports_rcps(prefix: &str) -> bool {
    rows(RCP_SERVICES).any(|(service, _)| service.eq_ignore_ascii_case(prefix))
}

/// Rows of a table: the first column, and the rest. Lines that begin with `#` are comments.
fn rows(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('\t').unwrap_or((line, "")))
}
