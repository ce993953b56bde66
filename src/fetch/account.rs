//! How an account's people sign in: keys and their last use, MFA devices, identity providers, password policy.

use std::collections::BTreeMap;

use aws_sdk_iam::types;
use serde_json::Value;

use super::access::{Access, in_order, pages};
use super::calls;
use super::failure::{Failure, FailureKind};
use super::shape::{list, maybe, number, object, text, time};

/// Calls that are under way at once; the pace is kept by `Access`.
const AT_ONCE: usize = 8;

/// Reads the account. `users` are the names of its users.
pub(super) async fn account(access: &Access, account: &str, users: &[String]) -> Result<Value, Failure> {
    let client = access.iam();
    let summary = access.call(&calls::GET_ACCOUNT_SUMMARY, || client.get_account_summary().send()).await?;
    let counts: BTreeMap<&str, i32> =
        summary.summary_map().into_iter().flatten().map(|(key, count)| (key.as_str(), *count)).collect();
    let counts = counts.into_iter().map(|(key, count)| (key.to_owned(), Value::from(count))).collect();
    let policy = access.call(&calls::GET_ACCOUNT_PASSWORD_POLICY, || client.get_account_password_policy().send()).await;
    let policy = match policy {
        Ok(found) => found.password_policy().map(password_policy),
        // An account without a policy of its own.
        Err(failure) if failure.kind == FailureKind::Absent => None,
        Err(failure) => return Err(failure),
    };
    let read = users.iter().map(|user| keys(access, user));
    let keys: Vec<Vec<Value>> = in_order(read.collect(), AT_ONCE).await?;
    let read = users.iter().map(|user| devices(access, user));
    let devices: Vec<Vec<Value>> = in_order(read.collect(), AT_ONCE).await?;
    let saml = access.call(&calls::LIST_SAML_PROVIDERS, || client.list_saml_providers().send()).await?;
    let saml_provider = |provider: &types::SamlProviderListEntry| {
        object([
            ("Arn", maybe(provider.arn())),
            ("CreateDate", time(provider.create_date())),
            ("ValidUntil", time(provider.valid_until())),
        ])
    };
    Ok(object([
        ("AccountId", text(account)),
        ("SummaryMap", Some(Value::Object(counts))),
        ("PasswordPolicy", policy),
        ("AccessKeys", Some(Value::Array(keys.into_iter().flatten().collect()))),
        ("MFADevices", Some(Value::Array(devices.into_iter().flatten().collect()))),
        ("SAMLProviderList", list(saml.saml_provider_list(), saml_provider)),
        ("OpenIDConnectProviderList", Some(Value::Array(oidc(access).await?))),
    ]))
}

fn password_policy(policy: &types::PasswordPolicy) -> Value {
    object([
        ("MinimumPasswordLength", policy.minimum_password_length().and_then(number)),
        ("RequireSymbols", Some(policy.require_symbols().into())),
        ("RequireNumbers", Some(policy.require_numbers().into())),
        ("RequireUppercaseCharacters", Some(policy.require_uppercase_characters().into())),
        ("RequireLowercaseCharacters", Some(policy.require_lowercase_characters().into())),
        ("AllowUsersToChangePassword", Some(policy.allow_users_to_change_password().into())),
        ("ExpirePasswords", Some(policy.expire_passwords().into())),
        ("MaxPasswordAge", policy.max_password_age().and_then(number)),
        ("PasswordReusePrevention", policy.password_reuse_prevention().and_then(number)),
        ("HardExpiry", policy.hard_expiry().map(Into::into)),
    ])
}

/// The access keys of a user, each with its last use.
async fn keys(access: &Access, user: &str) -> Result<Vec<Value>, Failure> {
    let client = access.iam();
    let request = || client.list_access_keys().user_name(user);
    let mut out = Vec::new();
    for key in pages!(marked: access, &calls::LIST_ACCESS_KEYS, request(), access_key_metadata) {
        let Some(id) = key.access_key_id() else { continue };
        let used = access
            .call(&calls::GET_ACCESS_KEY_LAST_USED, || client.get_access_key_last_used().access_key_id(id).send())
            .await?;
        let used = used.access_key_last_used().map(|used| {
            object([
                ("LastUsedDate", time(used.last_used_date())),
                ("ServiceName", text(used.service_name())),
                ("Region", text(used.region())),
            ])
        });
        out.push(object([
            ("UserName", text(user)),
            ("AccessKeyId", text(id)),
            ("Status", key.status().and_then(|status| text(status.as_str()))),
            ("CreateDate", time(key.create_date())),
            ("AccessKeyLastUsed", used),
        ]));
    }
    Ok(out)
}

/// The MFA devices of a user.
async fn devices(access: &Access, user: &str) -> Result<Vec<Value>, Failure> {
    let client = access.iam();
    let request = || client.list_mfa_devices().user_name(user);
    let found = pages!(marked: access, &calls::LIST_MFA_DEVICES, request(), mfa_devices);
    let device = |device: &types::MfaDevice| {
        object([
            ("UserName", text(device.user_name())),
            ("SerialNumber", text(device.serial_number())),
            ("EnableDate", time(Some(device.enable_date()))),
        ])
    };
    Ok(found.iter().map(device).collect())
}

async fn oidc(access: &Access) -> Result<Vec<Value>, Failure> {
    let client = access.iam();
    let found =
        access.call(&calls::LIST_OPEN_ID_CONNECT_PROVIDERS, || client.list_open_id_connect_providers().send()).await?;
    let mut out = Vec::new();
    for provider in found.open_id_connect_provider_list() {
        let Some(arn) = provider.arn() else { continue };
        let read = access
            .call(&calls::GET_OPEN_ID_CONNECT_PROVIDER, || {
                client.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send()
            })
            .await?;
        out.push(object([
            ("Arn", text(arn)),
            ("Url", maybe(read.url())),
            ("ClientIDList", list(read.client_id_list(), |id| id.as_str().into())),
            ("ThumbprintList", list(read.thumbprint_list(), |print| print.as_str().into())),
            ("CreateDate", time(read.create_date())),
        ]));
    }
    Ok(out)
}
