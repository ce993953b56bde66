//! What IAM says of an account beside its users, groups, roles and policies: what it counts, how people sign in, keys
//! and identity providers.
//!
//! Source: "GetAccountSummary", "PasswordPolicy", "AccessKeyMetadata", "AccessKeyLastUsed", "MFADevice",
//! "SAMLProviderListEntry" and "GetOpenIDConnectProvider", AWS IAM API Reference. A list that was not collected is
//! none, not empty.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arn::{AccountId, Arn};
use super::time::Timestamp;

/// The password policy; a field that is none was not given or could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordPolicy {
    /// `MinimumPasswordLength`.
    pub minimum_length: Option<u32>,
    /// `RequireSymbols`.
    pub symbols: Option<bool>,
    /// `RequireNumbers`.
    pub numbers: Option<bool>,
    /// `RequireUppercaseCharacters`.
    pub uppercase: Option<bool>,
    /// `RequireLowercaseCharacters`.
    pub lowercase: Option<bool>,
    /// `AllowUsersToChangePassword`.
    pub users_may_change: Option<bool>,
    /// `ExpirePasswords`.
    pub expires: Option<bool>,
    /// `MaxPasswordAge`, in days.
    pub max_age: Option<u32>,
    /// `PasswordReusePrevention`: how many earlier passwords may not be used again.
    pub reuse_prevention: Option<u32>,
    /// `HardExpiry`: who let the password expire cannot set a new one.
    pub hard_expiry: Option<bool>,
}

/// An access key of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Key id (`AKIA…`).
    pub id: String,
    /// Name of its user.
    pub user: String,
    /// Whether it can be used.
    pub active: bool,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// Last use; none where never, or not since AWS began to track it.
    pub last_used: Option<Timestamp>,
    /// The service used last; empty where not said.
    pub last_service: String,
    /// The region used last; empty where not said.
    pub last_region: String,
}

/// An MFA device of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaDevice {
    /// Serial number; an ARN for virtual devices.
    pub serial: String,
    /// Name of its user.
    pub user: String,
    /// When it was enabled.
    pub enabled: Option<Timestamp>,
}

/// A SAML identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamlProvider {
    /// ARN.
    pub arn: Arn,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// Until when its metadata are valid.
    pub valid_until: Option<Timestamp>,
}

/// An OpenID Connect identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// ARN.
    pub arn: Arn,
    /// URL, as IAM gives it; empty where not said.
    pub url: String,
    /// Client ids (audiences), sorted.
    pub clients: Vec<String>,
    /// Thumbprints of the server's certificates, sorted.
    pub thumbprints: Vec<String>,
    /// Creation time.
    pub created: Option<Timestamp>,
}

/// What IAM says of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// The account.
    pub account: AccountId,
    /// When this state was read from AWS.
    pub captured_at: Timestamp,
    /// `SummaryMap`: what IAM counts and its quotas, by AWS's name such as `AccountMFAEnabled`.
    pub summary: BTreeMap<String, i64>,
    /// The password policy; none where the account has none of its own.
    pub password_policy: Option<PasswordPolicy>,
    /// Access keys by id.
    pub access_keys: Option<Vec<AccessKey>>,
    /// MFA devices by serial number.
    pub mfa_devices: Option<Vec<MfaDevice>>,
    /// SAML providers by ARN.
    pub saml_providers: Option<Vec<SamlProvider>>,
    /// OpenID Connect providers by ARN.
    pub oidc_providers: Option<Vec<OidcProvider>>,
}

impl AccountDetails {
    /// When one of a user's access keys was last used, as far as it is known.
    #[must_use]
    pub fn last_key_use(&self, user: &str) -> Option<Timestamp> {
        let keys = self.access_keys.iter().flatten().filter(|key| key.user == user);
        keys.filter_map(|key| key.last_used).max()
    }
}
