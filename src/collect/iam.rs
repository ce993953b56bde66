//! `GetAccountAuthorizationDetails`: users, groups, roles and managed policies of an account.
//!
//! Format: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html>, as the
//! AWS CLI prints it; policy documents as objects, as JSON in a string, or percent-encoded as the API sends them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries::{insert, parse};
use super::text::{self, document};
use super::{CollectError, FileKind, unusable};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Parsed, Place};
use crate::model::snapshot::{AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Role, User};
use crate::model::time::Timestamp;

/// Account text of policies that AWS manages.
const AWS: &str = "aws";

/// Reads authorisation details: one page, concatenated pages, or an array of pages.
///
/// The account is the one that the ARNs name; where they name several, each gets its own entry and AWS managed
/// policies go to all of them (so the number of policies in the file is the number of distinct ARNs). Users, groups and roles whose ARN names no account (anonymised exports) go to the
/// sole account of the file. An entry that cannot be read, a second entry of the same ARN with other content, and
/// a listing that ends before its last page are defects. Lists that are missing are empty.
///
/// # Errors
/// Fails where the file is not text, is of another kind, or names no account at all.
pub fn authorization_details(
    bytes: &[u8],
    file: &str,
    captured_at: Timestamp,
) -> Result<Parsed<Vec<AccountIam>>, CollectError> {
    const WANTED: FileKind = FileKind::AuthorizationDetails;
    let decoded = text::decode(bytes, file)?;
    let pages = pages(&decoded).map_err(|reason| unusable(bytes, file, WANTED, reason))?;
    if !pages.iter().any(Page::has_lists) {
        let reason = "no UserDetailList, GroupDetailList, RoleDetailList or Policies".to_owned();
        return Err(unusable(bytes, file, WANTED, reason));
    }
    let mut reader = Reader { file, text: &decoded, defects: Vec::new(), lists: Lists::default() };
    for page in &pages {
        reader.page(page);
    }
    if pages.last().is_some_and(Page::is_cut_short) {
        reader.defects.push(Defect {
            place: Place::file(file),
            reason: "the listing is cut short: its last page says that more follows; expected all pages".to_owned(),
        });
    }
    let Reader { lists, mut defects, .. } = reader;
    let value = by_account(lists, file, captured_at, &mut defects);
    if value.is_empty() {
        return Err(unusable(bytes, file, WANTED, "no ARN names an account".to_owned()));
    }
    Ok(Parsed { value, defects })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page<'a> {
    #[serde(borrow)]
    user_detail_list: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    group_detail_list: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    role_detail_list: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    policies: Option<Vec<&'a RawValue>>,
    is_truncated: Option<bool>,
    marker: Option<String>,
    next_token: Option<String>,
}

impl Page<'_> {
    fn has_lists(&self) -> bool {
        self.user_detail_list.is_some()
            || self.group_detail_list.is_some()
            || self.role_detail_list.is_some()
            || self.policies.is_some()
    }

    fn is_cut_short(&self) -> bool {
        self.is_truncated == Some(true) || self.marker.is_some() || self.next_token.is_some()
    }
}

fn pages(text: &str) -> Result<Vec<Page<'_>>, String> {
    let message = |error: serde_json::Error| error.to_string();
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(message);
    }
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<Vec<_>, _>>().map_err(message)
}

#[derive(Default)]
struct Lists {
    users: BTreeMap<Arn, User>,
    groups: BTreeMap<Arn, Group>,
    roles: BTreeMap<Arn, Role>,
    policies: BTreeMap<String, ManagedPolicy>,
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    defects: Vec<Defect>,
    lists: Lists,
}

impl Reader<'_> {
    fn page(&mut self, page: &Page<'_>) {
        for (at, raw) in page.user_detail_list.iter().flatten().enumerate() {
            let read = user(raw).map(|user| insert(&mut self.lists.users, user.holder.arn.clone(), user));
            self.note(read, "UserDetailList", at, raw);
        }
        for (at, raw) in page.group_detail_list.iter().flatten().enumerate() {
            let read = group(raw).map(|group| insert(&mut self.lists.groups, group.arn.clone(), group));
            self.note(read, "GroupDetailList", at, raw);
        }
        for (at, raw) in page.role_detail_list.iter().flatten().enumerate() {
            let read = role(raw).map(|role| insert(&mut self.lists.roles, role.holder.arn.clone(), role));
            self.note(read, "RoleDetailList", at, raw);
        }
        for (at, raw) in page.policies.iter().flatten().enumerate() {
            let read = policy(raw).map(|policy| insert(&mut self.lists.policies, policy.arn.clone(), policy));
            self.note(read, "Policies", at, raw);
        }
    }

    fn note(&mut self, read: Result<Result<(), String>, String>, list: &str, at: usize, raw: &RawValue) {
        let Err(reason) = read.and_then(|inserted| inserted) else { return };
        let offset = raw.get().as_ptr().addr().checked_sub(self.text.as_ptr().addr()).map(|offset| offset as u64);
        let place = Place { file: self.file.to_owned(), offset, path: Some(format!("{list}[{at}]")) };
        self.defects.push(Defect { place, reason });
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAttachment {
    policy_name: Option<String>,
    policy_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInline<'a> {
    policy_name: String,
    #[serde(borrow)]
    policy_document: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTag {
    key: String,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawBoundary {
    permissions_boundary_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawUser<'a> {
    arn: Arn,
    user_name: String,
    path: Option<String>,
    user_id: String,
    create_date: Option<Timestamp>,
    group_list: Option<Vec<String>>,
    #[serde(borrow)]
    user_policy_list: Option<Vec<RawInline<'a>>>,
    attached_managed_policies: Option<Vec<RawAttachment>>,
    permissions_boundary: Option<RawBoundary>,
    tags: Option<Vec<RawTag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawGroup<'a> {
    arn: Arn,
    group_name: String,
    #[serde(borrow)]
    group_policy_list: Option<Vec<RawInline<'a>>>,
    attached_managed_policies: Option<Vec<RawAttachment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawLastUsed {
    last_used_date: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawProfile {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRole<'a> {
    arn: Arn,
    role_name: String,
    path: Option<String>,
    role_id: String,
    create_date: Option<Timestamp>,
    #[serde(borrow)]
    assume_role_policy_document: Option<&'a RawValue>,
    instance_profile_list: Option<Vec<RawProfile>>,
    #[serde(borrow)]
    role_policy_list: Option<Vec<RawInline<'a>>>,
    attached_managed_policies: Option<Vec<RawAttachment>>,
    permissions_boundary: Option<RawBoundary>,
    role_last_used: Option<RawLastUsed>,
    tags: Option<Vec<RawTag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawVersion<'a> {
    #[serde(borrow)]
    document: Option<&'a RawValue>,
    version_id: Option<String>,
    is_default_version: Option<bool>,
    create_date: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPolicy<'a> {
    arn: String,
    policy_name: String,
    policy_id: Option<String>,
    default_version_id: Option<String>,
    #[serde(borrow)]
    policy_version_list: Option<Vec<RawVersion<'a>>>,
}

fn user(raw: &RawValue) -> Result<User, String> {
    let raw: RawUser<'_> = parse(raw)?;
    is_iam(&raw.arn, "user/")?;
    Ok(User {
        holder: Holder {
            path: path(raw.path, &raw.arn),
            arn: raw.arn,
            name: raw.user_name,
            id: raw.user_id,
            created: raw.create_date,
            inline: inline(raw.user_policy_list),
            attached: attached(raw.attached_managed_policies),
            boundary: raw.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
            tags: tags(raw.tags),
        },
        groups: sorted(raw.group_list.unwrap_or_default()),
    })
}

fn group(raw: &RawValue) -> Result<Group, String> {
    let raw: RawGroup<'_> = parse(raw)?;
    is_iam(&raw.arn, "group/")?;
    Ok(Group {
        arn: raw.arn,
        name: raw.group_name,
        inline: inline(raw.group_policy_list),
        attached: attached(raw.attached_managed_policies),
    })
}

fn role(raw: &RawValue) -> Result<Role, String> {
    let raw: RawRole<'_> = parse(raw)?;
    is_iam(&raw.arn, "role/")?;
    let profiles = raw.instance_profile_list.unwrap_or_default().into_iter().map(|profile| profile.arn).collect();
    Ok(Role {
        holder: Holder {
            path: path(raw.path, &raw.arn),
            arn: raw.arn,
            name: raw.role_name,
            id: raw.role_id,
            created: raw.create_date,
            inline: inline(raw.role_policy_list),
            attached: attached(raw.attached_managed_policies),
            boundary: raw.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
            tags: tags(raw.tags),
        },
        trust: raw.assume_role_policy_document.map(document).unwrap_or_default(),
        last_used: raw.role_last_used.and_then(|used| used.last_used_date),
        instance_profiles: sorted(profiles),
    })
}

fn policy(raw: &RawValue) -> Result<ManagedPolicy, String> {
    let raw: RawPolicy<'_> = parse(raw)?;
    let arn: Arn = raw.arn.parse().map_err(|error| format!("{error}"))?;
    is_iam(&arn, "policy/")?;
    let versions = raw.policy_version_list.unwrap_or_default();
    let default = versions
        .iter()
        .find(|version| version.is_default_version == Some(true))
        .or_else(|| {
            versions.iter().find(|version| version.version_id.is_some() && version.version_id == raw.default_version_id)
        })
        .or_else(|| if versions.len() == 1 { versions.first() } else { None })
        .ok_or_else(|| format!("`{arn}`: no default version in PolicyVersionList"))?;
    let document =
        default.document.map(document).ok_or_else(|| format!("`{arn}`: its default version has no Document"))?;
    Ok(ManagedPolicy {
        arn: raw.arn,
        name: raw.policy_name,
        id: raw.policy_id.unwrap_or_default(),
        version_created: default.create_date,
        version_id: default.version_id.clone().or(raw.default_version_id).unwrap_or_default(),
        json: document,
    })
}

fn is_iam(arn: &Arn, prefix: &str) -> Result<(), String> {
    if arn.service() == "iam" && arn.resource().starts_with(prefix) {
        Ok(())
    } else {
        Err(format!(
            "`{arn}` is not the ARN of an IAM {}; expected arn:aws:iam::ACCOUNT:{prefix}NAME",
            prefix.trim_end_matches('/')
        ))
    }
}

/// The path as given, or as the ARN has it: all from the first slash to the last.
fn path(given: Option<String>, arn: &Arn) -> String {
    if let Some(path) = given.filter(|path| !path.is_empty()) {
        return path;
    }
    let resource = arn.resource();
    match (resource.find('/'), resource.rfind('/')) {
        (Some(from), Some(to)) => resource.get(from..=to).unwrap_or("/").to_owned(),
        _ => "/".to_owned(),
    }
}

/// A policy without a document keeps its place with an empty text, so that its holder's answer stays undecided.
fn inline(list: Option<Vec<RawInline<'_>>>) -> Vec<NamedDocument> {
    let mut out: Vec<NamedDocument> = list
        .unwrap_or_default()
        .into_iter()
        .map(|raw| NamedDocument { name: raw.policy_name, json: raw.policy_document.map(document).unwrap_or_default() })
        .collect();
    out.sort_by(|a, b| (&a.name, &a.json).cmp(&(&b.name, &b.json)));
    out
}

fn attached(list: Option<Vec<RawAttachment>>) -> Vec<Attachment> {
    let to_attachment = |raw: RawAttachment| {
        let name = raw.policy_name.unwrap_or_else(|| raw.policy_arn.rsplit('/').next().unwrap_or("").to_owned());
        Attachment { name, arn: raw.policy_arn }
    };
    sorted(list.unwrap_or_default().into_iter().map(to_attachment).collect())
}

fn tags(list: Option<Vec<RawTag>>) -> BTreeMap<String, String> {
    list.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

/// Splits the lists by the account that their ARNs name.
fn by_account(lists: Lists, file: &str, captured_at: Timestamp, defects: &mut Vec<Defect>) -> Vec<AccountIam> {
    let mut accounts: BTreeSet<AccountId> = BTreeSet::new();
    accounts.extend(lists.users.keys().chain(lists.groups.keys()).chain(lists.roles.keys()).filter_map(Arn::account));
    accounts.extend(lists.policies.keys().filter_map(|arn| arn.parse::<Arn>().ok()?.account()));
    let empty = |account| AccountIam {
        account,
        captured_at,
        users: Vec::new(),
        groups: Vec::new(),
        roles: Vec::new(),
        policies: Vec::new(),
    };
    let mut out: BTreeMap<AccountId, AccountIam> = accounts.iter().map(|id| (*id, empty(*id))).collect();
    let sole = if accounts.len() == 1 { accounts.first().copied() } else { None };
    let mut homeless = |arn: &Arn| {
        let reason = format!("`{arn}` names no account, and the file holds several");
        defects.push(Defect { place: Place::file(file), reason });
    };
    for (arn, user) in lists.users {
        match arn.account().or(sole).and_then(|id| out.get_mut(&id)) {
            Some(account) => account.users.push(user),
            None => homeless(&arn),
        }
    }
    for (arn, group) in lists.groups {
        match arn.account().or(sole).and_then(|id| out.get_mut(&id)) {
            Some(account) => account.groups.push(group),
            None => homeless(&arn),
        }
    }
    for (arn, role) in lists.roles {
        match arn.account().or(sole).and_then(|id| out.get_mut(&id)) {
            Some(account) => account.roles.push(role),
            None => homeless(&arn),
        }
    }
    for policy in lists.policies.into_values() {
        let Ok(arn) = policy.arn.parse::<Arn>() else { continue };
        match arn.account() {
            Some(id) => {
                if let Some(account) = out.get_mut(&id) {
                    account.policies.push(policy);
                }
            }
            None if arn.account_text() == AWS || sole.is_some() => {
                for account in out.values_mut() {
                    account.policies.push(policy.clone());
                }
            }
            None => homeless(&arn),
        }
    }
    out.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2026-01-01".parse().unwrap()
    }

    fn role(name: &str, account: &str, trust: &str) -> String {
        format!(
            r#"{{"Arn":"arn:aws:iam::{account}:role/p/{name}","RoleName":"{name}","RoleId":"AROA{name}","Path":"/p/",
            "CreateDate":"2020-01-01 10:00:00+00:00","AssumeRolePolicyDocument":{trust}}}"#
        )
    }

    const A: &str = "111111111111";
    const B: &str = "222222222222";

    #[test]
    fn pages_in_every_arrangement() {
        let page =
            |name: &str| format!(r#"{{"RoleDetailList":[{}],"IsTruncated":false}}"#, role(name, A, r#""%7B%7D""#));
        for text in [
            format!("{}\n{}", page("one"), page("two")),
            format!("[{},{}]", page("one"), page("two")),
            format!("\u{feff}{}{}{}", page("two"), page("one"), page("one")),
        ] {
            let parsed = authorization_details(text.as_bytes(), "f", at()).unwrap();
            assert_eq!(parsed.defects, []);
            let names: Vec<&str> = parsed.value[0].roles.iter().map(|role| role.holder.name.as_str()).collect();
            assert_eq!(names, ["one", "two"]);
            assert_eq!(parsed.value[0].roles[0].trust, "{}");
            assert_eq!(parsed.value[0].roles[0].holder.created.unwrap().to_string(), "2020-01-01T10:00:00Z");
        }
    }

    #[test]
    fn accounts_are_told_apart() {
        let aws = r#"{"Arn":"arn:aws:iam::aws:policy/X","PolicyName":"X","PolicyId":"ANPA","DefaultVersionId":"v2",
            "PolicyVersionList":[{"VersionId":"v1","Document":{}},{"VersionId":"v2","Document":{"a":1}}]}"#;
        let text =
            format!(r#"{{"RoleDetailList":[{},{}],"Policies":[{aws}]}}"#, role("r", B, "{}"), role("r", A, "{}"));
        let parsed = authorization_details(text.as_bytes(), "f", at()).unwrap();
        let accounts: Vec<String> = parsed.value.iter().map(|account| account.account.to_string()).collect();
        assert_eq!(accounts, [A, B]);
        assert!(parsed.value.iter().all(|account| account.policies[0].json == r#"{"a":1}"#));
    }

    #[test]
    fn one_bad_entry_costs_one_entry() {
        let good = role("good", A, "{}");
        let text = format!(
            r#"{{"UserDetailList":[{{"Arn":"arn:aws:iam::{A}:user/u"}},7],
            "RoleDetailList":[{good},{},{}],"Policies":[{{"Arn":"arn:aws:iam::{A}:policy/p","PolicyName":"p",
            "DefaultVersionId":"v3","PolicyVersionList":[{{"VersionId":"v1"}},{{"VersionId":"v2"}}]}}],"IsTruncated":true}}"#,
            good.replace("AROAgood", "AROAother"),
            good.replace(":iam:", ":s3:"),
        );
        let parsed = authorization_details(text.as_bytes(), "f.json", at()).unwrap();
        assert_eq!(parsed.value[0].roles.len(), 1);
        let shown: Vec<String> = parsed
            .defects
            .iter()
            .map(|d| format!("{}: {}", d.place.path.clone().unwrap_or_default(), d.reason))
            .collect();
        assert_eq!(shown.len(), 6, "{shown:#?}");
        assert!(shown[0].starts_with("UserDetailList[0]: missing field `UserName`"), "{}", shown[0]);
        assert!(shown[2].contains("listed a second time"), "{}", shown[2]);
        assert!(shown[3].contains("is not the ARN of an IAM role"), "{}", shown[3]);
        assert!(shown[4].contains("no default version"), "{}", shown[4]);
        assert!(shown[5].contains("cut short"), "{}", shown[5]);
        let offset = usize::try_from(parsed.defects[1].place.offset.unwrap()).unwrap();
        assert_eq!(text.as_bytes()[offset], b'7');
    }

    #[test]
    fn wrong_files() {
        for (text, want) in [
            ("user,arn,password_enabled\n", "use `jitscan ingest credential-report`"),
            (r#"{"Records":[]}"#, "use `jitscan ingest cloudtrail`"),
            (r#"{"hello":1}"#, "no UserDetailList"),
            (r#"{"UserDetailList":[]}"#, "no ARN names an account"),
            (r#"{"UserDetailList":[{"Arn"#, "EOF while parsing"),
            ("", "no UserDetailList"),
        ] {
            let error = authorization_details(text.as_bytes(), "f", at()).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
