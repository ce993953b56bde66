//! The thresholds of the tests, each with where its default comes from.

use serde::{Deserialize, Serialize};

use super::result::ParameterValue;

/// Failing principals that T01 tolerates: none; whoever needs more names them as exceptions.
pub const STANDING_PRIVILEGE_MAX: u64 = 0;
/// Break-glass principals an account may have, by configuration: one, and one in reserve (our judgement).
pub const BREAK_GLASS_PER_ACCOUNT_MAX: u64 = 2;
/// Days without use after which a permission counts as unused: a quarter, so that quarterly work is seen (our judgement).
pub const UNUSED_LOOKBACK_DAYS: i64 = 90;
/// Percent of the granted actions that may be unused: half (our judgement; privileged ones may not be at all).
pub const UNUSED_PERCENT_MAX: u64 = 50;
/// Days without activity after which an identity is dormant: CIS AWS Foundations, unused credentials.
pub const DORMANT_DAYS: i64 = 45;
/// Days after which a credential that was never used counts: CIS AWS Foundations, unused credentials.
pub const NEVER_USED_DAYS: i64 = 45;
/// Days after which an access key is to be rotated: CIS AWS Foundations.
pub const KEY_AGE_DAYS: i64 = 90;
/// Active access keys a user may have: CIS AWS Foundations 3.0 to 6.0.
pub const KEYS_PER_USER_MAX: u64 = 1;

/// The thresholds. Unknown fields are refused when read from configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// T01: failing principals tolerated.
    pub standing_privilege_max: u64,
    /// T01, T02, T03, T32: break-glass principals per account whose rows the configuration excepts.
    pub break_glass_per_account_max: u64,
    /// T02: days without use after which a permission counts as unused.
    pub unused_lookback_days: i64,
    /// T02: percent of granted actions that may be unused.
    pub unused_percent_max: u64,
    /// T03: days without activity.
    pub dormant_days: i64,
    /// T04: days since creation or rotation.
    pub never_used_days: i64,
    /// T18: days since creation or rotation.
    pub key_age_days: i64,
    /// T18: active keys per user.
    pub keys_per_user_max: u64,
    /// T32: whether a statement that allows every action of one service on everything fails.
    pub service_wildcards_fail: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            standing_privilege_max: STANDING_PRIVILEGE_MAX,
            break_glass_per_account_max: BREAK_GLASS_PER_ACCOUNT_MAX,
            unused_lookback_days: UNUSED_LOOKBACK_DAYS,
            unused_percent_max: UNUSED_PERCENT_MAX,
            dormant_days: DORMANT_DAYS,
            never_used_days: NEVER_USED_DAYS,
            key_age_days: KEY_AGE_DAYS,
            keys_per_user_max: KEYS_PER_USER_MAX,
            service_wildcards_fail: true,
        }
    }
}

/// A parameter as the report shows it; the source says where the default comes from, or that it was configured.
pub(super) fn shown<T: ToString + PartialEq>(
    name: &str,
    value: &T,
    default: &T,
    unit: &str,
    why: &str,
) -> ParameterValue {
    let source = if value == default {
        format!("default: {why}")
    } else {
        format!("configured (default {})", default.to_string())
    };
    ParameterValue { name: name.to_owned(), value: value.to_string(), unit: unit.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_overrides_and_is_checked() {
        let read: Parameters = serde_json::from_str(r#"{"dormant_days": 90}"#).unwrap();
        assert_eq!(read, Parameters { dormant_days: 90, ..Parameters::default() });
        assert!(serde_json::from_str::<Parameters>(r#"{"dormant_dayz": 90}"#).is_err());
        assert_eq!(shown("dormant_days", &90, &45, "days", "x").source, "configured (default 45)");
    }
}
