//! What IAM says of an account beside its principals and policies: summary, password policy, keys, MFA devices and
//! identity providers, in one document that `jitscan collect` writes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::entries::{insert, parse};
use super::text;
use super::{CollectError, FileKind, unusable};
use crate::model::account::{AccessKey, AccountDetails, MfaDevice, OidcProvider, PasswordPolicy, SamlProvider};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Parsed};
use crate::model::time::Timestamp;

/// Reads one JSON object that gathers answers of IAM about an account (`AccountId`): `SummaryMap` of
/// `get-account-summary`, `PasswordPolicy` of `get-account-password-policy` (absent where there is none), `AccessKeys`
/// (`list-access-keys` with the `AccessKeyLastUsed` of `get-access-key-last-used`), `MFADevices` of `list-mfa-devices`,
/// `SAMLProviderList` of `list-saml-providers`, and `OpenIDConnectProviderList` of `get-open-id-connect-provider` with
/// its `Arn`.
///
/// A list that is missing or is no list was not collected; an entry that cannot be read, and a second entry of the same
/// id with other content, are defects.
///
/// # Errors
/// Fails where the file is not text, is of another kind, or names no account.
pub fn account(bytes: &[u8], file: &str, captured_at: Timestamp) -> Result<Parsed<AccountDetails>, CollectError> {
    const WANTED: FileKind = FileKind::Account;
    let decoded = text::decode(bytes, file)?;
    let raw: Raw<'_> =
        serde_json::from_str(&decoded).map_err(|error| unusable(bytes, file, WANTED, error.to_string()))?;
    if raw.is_empty() {
        return Err(unusable(bytes, file, WANTED, "nothing stands beside AccountId".to_owned()));
    }
    let mut reader = Reader { file, text: &decoded, defects: Vec::new() };
    let value = AccountDetails {
        account: raw.account_id,
        captured_at,
        summary: reader.summary(raw.summary_map),
        password_policy: reader.password_policy(raw.password_policy),
        access_keys: reader.list(raw.access_keys, "AccessKeys", access_key, |key| key.id.as_str()),
        mfa_devices: reader.list(raw.mfa_devices, "MFADevices", mfa_device, |device| device.serial.as_str()),
        saml_providers: reader.list(raw.saml, "SAMLProviderList", saml_provider, |provider| provider.arn.as_str()),
        oidc_providers: reader
            .list(raw.oidc, "OpenIDConnectProviderList", oidc_provider, |provider| provider.arn.as_str()),
    };
    Ok(Parsed { value, defects: reader.defects })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    account_id: AccountId,
    #[serde(borrow)]
    summary_map: Option<&'a RawValue>,
    #[serde(borrow)]
    password_policy: Option<&'a RawValue>,
    #[serde(borrow)]
    access_keys: Option<&'a RawValue>,
    #[serde(borrow, rename = "MFADevices")]
    mfa_devices: Option<&'a RawValue>,
    #[serde(borrow, rename = "SAMLProviderList")]
    saml: Option<&'a RawValue>,
    #[serde(borrow, rename = "OpenIDConnectProviderList")]
    oidc: Option<&'a RawValue>,
}

impl Raw<'_> {
    fn is_empty(&self) -> bool {
        let parts = [self.summary_map, self.password_policy, self.access_keys, self.mfa_devices, self.saml, self.oidc];
        parts.iter().all(Option::is_none)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawKey {
    access_key_id: String,
    user_name: String,
    status: String,
    create_date: Option<Timestamp>,
    access_key_last_used: Option<RawKeyUse>,
}

/// IAM says `N/A` for the service and region of a key that was never used, and gives no date.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawKeyUse {
    last_used_date: Option<Timestamp>,
    service_name: Option<String>,
    region: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawDevice {
    serial_number: String,
    user_name: String,
    enable_date: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawSaml {
    arn: Arn,
    create_date: Option<Timestamp>,
    valid_until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawOidc {
    arn: Arn,
    url: Option<String>,
    #[serde(rename = "ClientIDList")]
    clients: Option<Vec<String>>,
    thumbprint_list: Option<Vec<String>>,
    create_date: Option<Timestamp>,
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    defects: Vec<Defect>,
}

impl Reader<'_> {
    fn defect(&mut self, raw: &RawValue, path: String, reason: String) {
        self.defects.push(text::defect(self.file, self.text, raw, path, reason));
    }

    /// The members of an object; none, with a defect, where it is none.
    fn members<'r>(&mut self, raw: &'r RawValue, path: &str) -> Option<BTreeMap<String, &'r RawValue>> {
        match parse(raw) {
            Ok(members) => Some(members),
            Err(reason) => {
                self.defect(raw, path.to_owned(), reason);
                None
            }
        }
    }

    fn summary(&mut self, raw: Option<&RawValue>) -> BTreeMap<String, i64> {
        let members = raw.and_then(|raw| self.members(raw, "SummaryMap")).unwrap_or_default();
        let mut summary = BTreeMap::new();
        for (name, value) in members {
            match parse::<i64>(value) {
                Ok(number) => {
                    summary.insert(name, number);
                }
                Err(reason) => self.defect(value, format!("SummaryMap.{name}"), reason),
            }
        }
        summary
    }

    /// One that cannot be read is there all the same, with nothing known of it.
    fn password_policy(&mut self, raw: Option<&RawValue>) -> Option<PasswordPolicy> {
        let members = self.members(raw?, "PasswordPolicy").unwrap_or_default();
        Some(PasswordPolicy {
            minimum_length: self.member(&members, "MinimumPasswordLength"),
            symbols: self.member(&members, "RequireSymbols"),
            numbers: self.member(&members, "RequireNumbers"),
            uppercase: self.member(&members, "RequireUppercaseCharacters"),
            lowercase: self.member(&members, "RequireLowercaseCharacters"),
            users_may_change: self.member(&members, "AllowUsersToChangePassword"),
            expires: self.member(&members, "ExpirePasswords"),
            max_age: self.member(&members, "MaxPasswordAge"),
            reuse_prevention: self.member(&members, "PasswordReusePrevention"),
            hard_expiry: self.member(&members, "HardExpiry"),
        })
    }

    fn member<T: DeserializeOwned>(&mut self, members: &BTreeMap<String, &RawValue>, name: &str) -> Option<T> {
        let raw = members.get(name).copied()?;
        match parse::<Option<T>>(raw) {
            Ok(value) => value,
            Err(reason) => {
                self.defect(raw, format!("PasswordPolicy.{name}"), reason);
                None
            }
        }
    }

    /// The entries of a list by their keys.
    fn list<T: PartialEq>(
        &mut self,
        raw: Option<&RawValue>,
        name: &str,
        read: impl Fn(&RawValue) -> Result<T, String>,
        key: impl Fn(&T) -> &str,
    ) -> Option<Vec<T>> {
        let raw = raw?;
        let entries: Vec<&RawValue> = match parse(raw) {
            Ok(entries) => entries,
            Err(reason) => {
                self.defect(raw, name.to_owned(), reason);
                return None;
            }
        };
        let mut found: BTreeMap<String, T> = BTreeMap::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let read = read(entry).and_then(|value| insert(&mut found, key(&value).to_owned(), value));
            if let Err(reason) = read {
                self.defect(entry, format!("{name}[{at}]"), reason);
            }
        }
        Some(found.into_values().collect())
    }
}

fn access_key(raw: &RawValue) -> Result<AccessKey, String> {
    let raw: RawKey = parse(raw)?;
    let used = raw.access_key_last_used.unwrap_or_default();
    let said = |text: Option<String>| text.filter(|text| text != "N/A").unwrap_or_default();
    Ok(AccessKey {
        id: raw.access_key_id,
        user: raw.user_name,
        active: match raw.status.as_str() {
            "Active" => true,
            "Inactive" | "Expired" => false,
            other => return Err(format!("Status `{other}` is not known; expected Active or Inactive")),
        },
        created: raw.create_date,
        last_used: used.last_used_date,
        last_service: said(used.service_name),
        last_region: said(used.region),
    })
}

fn mfa_device(raw: &RawValue) -> Result<MfaDevice, String> {
    let raw: RawDevice = parse(raw)?;
    Ok(MfaDevice { serial: raw.serial_number, user: raw.user_name, enabled: raw.enable_date })
}

fn saml_provider(raw: &RawValue) -> Result<SamlProvider, String> {
    let raw: RawSaml = parse(raw)?;
    Ok(SamlProvider { arn: raw.arn, created: raw.create_date, valid_until: raw.valid_until })
}

fn oidc_provider(raw: &RawValue) -> Result<OidcProvider, String> {
    let raw: RawOidc = parse(raw)?;
    let sorted = |list: Option<Vec<String>>| {
        let mut list = list.unwrap_or_default();
        list.sort();
        list.dedup();
        list
    };
    Ok(OidcProvider {
        arn: raw.arn,
        url: raw.url.unwrap_or_default(),
        clients: sorted(raw.clients),
        thumbprints: sorted(raw.thumbprint_list),
        created: raw.create_date,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"AccountId":"000000000001",
        "SummaryMap":{"Users":3,"AccountMFAEnabled":1,"Odd":"x","Half":0.5},
        "PasswordPolicy":{"MinimumPasswordLength":14,"RequireSymbols":true,"RequireNumbers":"yes","ExpirePasswords":false,
            "MaxPasswordAge":null,"Unknown":1},
        "AccessKeys":[
            {"UserName":"bo","AccessKeyId":"AKIAB","Status":"Inactive","CreateDate":"2026-01-02T03:04:05+00:00",
             "AccessKeyLastUsed":{"ServiceName":"N/A","Region":"N/A"}},
            {"UserName":"al","AccessKeyId":"AKIAA","Status":"Active","CreateDate":"2026-01-01T00:00:00Z",
             "AccessKeyLastUsed":{"LastUsedDate":"2026-02-01T00:00:00Z","ServiceName":"s3","Region":"eu-west-1"}},
            {"UserName":"al","AccessKeyId":"AKIAC","Status":"Active"},
            {"UserName":"al","AccessKeyId":"AKIAC","Status":"Active"},
            {"UserName":"al","AccessKeyId":"AKIAC","Status":"Inactive"},
            {"UserName":"al","AccessKeyId":"AKIAD","Status":"Asleep"},
            {"UserName":"al","AccessKeyId":"AKIAE","Status":"Active","CreateDate":1700000000},
            7],
        "MFADevices":[{"UserName":"al","SerialNumber":"arn:aws:iam::000000000001:mfa/al","EnableDate":"2026-01-01T00:00:00Z"}],
        "SAMLProviderList":{},
        "OpenIDConnectProviderList":[{"Arn":"arn:aws:iam::000000000001:oidc-provider/t.example","Url":"t.example",
            "ClientIDList":["b","a","a"],"ThumbprintList":[],"CreateDate":"2026-01-01T00:00:00Z"},{"Arn":"t.example"}]}"#;

    fn read(text: &str) -> Parsed<AccountDetails> {
        account(text.as_bytes(), "a.json", Timestamp::default()).unwrap()
    }

    #[test]
    fn all_parts_and_what_is_wrong_in_them() {
        let Parsed { value, defects } = read(TEXT);
        assert_eq!(value.account.to_string(), "000000000001");
        assert_eq!(value.summary, BTreeMap::from([("AccountMFAEnabled".into(), 1), ("Users".into(), 3)]));
        let policy = value.password_policy.as_ref().unwrap();
        assert_eq!((policy.minimum_length, policy.symbols, policy.numbers), (Some(14), Some(true), None));
        assert_eq!((policy.expires, policy.max_age, policy.hard_expiry), (Some(false), None, None));
        let keys = value.access_keys.as_ref().unwrap();
        let shown: Vec<(&str, bool)> = keys.iter().map(|key| (key.id.as_str(), key.active)).collect();
        assert_eq!(shown, [("AKIAA", true), ("AKIAB", false), ("AKIAC", true)]);
        assert_eq!((keys[0].last_service.as_str(), keys[0].last_region.as_str()), ("s3", "eu-west-1"));
        assert_eq!((keys[1].last_used, keys[1].last_service.as_str()), (None, ""));
        assert_eq!(value.last_key_use("al").unwrap().to_string(), "2026-02-01T00:00:00Z");
        assert_eq!(value.last_key_use("bo"), None);
        assert_eq!(value.mfa_devices.as_ref().map(Vec::len), Some(1));
        assert_eq!(value.saml_providers, None, "what cannot be read is not known to be empty");
        let oidc = value.oidc_providers.as_ref().unwrap();
        assert_eq!((oidc.len(), oidc[0].clients.as_slice()), (1, ["a".to_owned(), "b".to_owned()].as_slice()));
        let paths: Vec<&str> = defects.iter().filter_map(|defect| defect.place.path.as_deref()).collect();
        assert_eq!(
            paths,
            [
                "SummaryMap.Half",
                "SummaryMap.Odd",
                "PasswordPolicy.RequireNumbers",
                "AccessKeys[4]",
                "AccessKeys[5]",
                "AccessKeys[6]",
                "AccessKeys[7]",
                "SAMLProviderList",
                "OpenIDConnectProviderList[1]",
            ]
        );
        let seven = usize::try_from(defects[6].place.offset.unwrap()).unwrap();
        assert_eq!(TEXT.as_bytes()[seven], b'7');
    }

    #[test]
    fn absent_is_not_empty() {
        let some = read(r#"{"AccountId":"111111111111","AccessKeys":[],"PasswordPolicy":null}"#).value;
        assert_eq!((some.access_keys, some.mfa_devices, some.password_policy), (Some(Vec::new()), None, None));
        let odd = read(r#"{"AccountId":"111111111111","PasswordPolicy":[]}"#);
        assert_eq!((odd.value.password_policy, odd.defects.len()), (Some(PasswordPolicy::default()), 1));
    }

    #[test]
    fn wrong_files() {
        for (text, want) in [
            (r#"{"SummaryMap":{}}"#, "missing field `AccountId`"),
            (r#"{"AccountId":"1","SummaryMap":{}}"#, "is not an AWS account id"),
            (r#"{"AccountId":"111111111111"}"#, "nothing stands beside AccountId"),
            (r#"{"AccountId":"111111111111","LastAccessedDetails":[]}"#, "use `jitscan ingest last-accessed`"),
            (r#"{"UserDetailList":[]}"#, "use `jitscan ingest iam`"),
            ("", "EOF while parsing"),
        ] {
            let error = account(text.as_bytes(), "f", Timestamp::default()).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
