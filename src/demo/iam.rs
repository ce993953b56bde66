//! IAM as the AWS CLI prints it: `GetAccountAuthorizationDetails` and the credential report.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::DemoError;
use super::emit::{Seen, role_id};
use super::rng::{long_term_key, unique_id};
use super::world::{AccountIam, Key, PermissionSet, Policy, Role, User, World, user_id};
use crate::model::time::{MICROS_PER_SECOND, Timestamp};

const SSO_PATH: &str = "/aws-reserved/sso.amazonaws.com/";
/// When Identity Center made its roles.
const SSO_SINCE: &str = "2024-03-05";

/// When and where principals were last seen in the logs, by ARN or `key <id>`.
type SeenBy = BTreeMap<String, Seen>;

/// The CLI's form of a time.
fn cli_time(time: Timestamp) -> String {
    format!("{}+00:00", time.to_string().trim_end_matches('Z'))
}

fn dated(text: &str) -> Result<Timestamp, DemoError> {
    text.parse().map_err(|_| DemoError::unknown("date", text))
}

/// Creation times differ by the name, so that not everything was made at midnight.
fn created(text: &str, name: &str) -> Result<Timestamp, DemoError> {
    let second = name.bytes().fold(0i64, |sum, byte| (sum * 31 + i64::from(byte)) % 28_800);
    Ok(dated(text)?.plus_seconds(8 * 3_600 + second))
}

/// The authorization details of one account.
pub(super) fn details(world: &World, alias: &str, seen: &SeenBy, end: Timestamp) -> Result<Value, DemoError> {
    let account = world.account(alias)?;
    let iam = world.iam.get(alias).ok_or_else(|| DemoError::unknown("account", alias))?;
    let mut used = Attachments::default();
    let mut roles = Vec::new();
    for role in &iam.roles {
        roles.push(role_json(world, alias, iam, role, seen, &mut used)?);
    }
    for set in &world.center.sets {
        if set.accounts().iter().any(|assigned| assigned == alias) {
            roles.push(sso_role_json(world, alias, iam, set, seen, &mut used)?);
        }
    }
    roles.sort_by_key(|role| role.get("RoleName").and_then(Value::as_str).map(str::to_owned));
    let users = iam
        .users
        .iter()
        .map(|user| user_json(world, alias, iam, user, end, &mut used))
        .collect::<Result<Vec<_>, _>>()?;
    let mut groups = Vec::new();
    for group in &iam.groups {
        groups.push(json!({
            "Path": "/", "GroupName": group.name, "GroupId": unique_id("AGPA", &format!("{alias}/{}", group.name)),
            "Arn": format!("arn:aws:iam::{account}:group/{}", group.name),
            "CreateDate": cli_time(created("2023-01-17", &group.name)?),
            "GroupPolicyList": inline(&group.inline),
            "AttachedManagedPolicies": used.attach(world, account, iam, &group.managed)?,
        }));
    }
    let mut policies = Vec::new();
    for policy in &iam.policies {
        policies.push(policy_json(account, policy, end, &used)?);
    }
    for name in &used.aws {
        policies.push(aws_policy_json(world, name, &used)?);
    }
    Ok(json!({
        "UserDetailList": users, "GroupDetailList": groups, "RoleDetailList": roles, "Policies": policies,
    }))
}

/// Which managed policies are attached, and how often.
#[derive(Debug, Default)]
struct Attachments {
    aws: BTreeSet<String>,
    count: BTreeMap<String, u64>,
    boundaries: BTreeMap<String, u64>,
}

impl Attachments {
    fn attach(
        &mut self,
        world: &World,
        account: &str,
        iam: &AccountIam,
        names: &[String],
    ) -> Result<Vec<Value>, DemoError> {
        names
            .iter()
            .map(|name| {
                *self.count.entry(name.clone()).or_default() += 1;
                let arn = if iam.policies.iter().any(|policy| policy.name == *name) {
                    format!("arn:aws:iam::{account}:policy/{name}")
                } else {
                    self.aws.insert(name.clone());
                    world.aws_managed.get(name).ok_or_else(|| DemoError::unknown("policy", name))?.arn.clone()
                };
                Ok(json!({"PolicyName": name, "PolicyArn": arn}))
            })
            .collect()
    }
}

fn inline(documents: &Map<String, Value>) -> Vec<Value> {
    documents.iter().map(|(name, document)| json!({"PolicyName": name, "PolicyDocument": document})).collect()
}

fn tags(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn last_used(arn: &str, seen: &SeenBy, before: Option<&str>) -> Value {
    match (seen.get(arn), before) {
        (Some(seen), _) => json!({"LastUsedDate": cli_time(seen.time), "Region": seen.region}),
        (None, Some(time)) => json!({"LastUsedDate": time.replace('Z', "+00:00"), "Region": "us-east-1"}),
        (None, None) => json!({}),
    }
}

fn role_json(
    world: &World,
    alias: &str,
    iam: &AccountIam,
    role: &Role,
    seen: &SeenBy,
    used: &mut Attachments,
) -> Result<Value, DemoError> {
    let account = world.account(alias)?;
    let arn = format!("arn:aws:iam::{account}:role{}{}", role.path, role.name);
    let since = cli_time(created(&role.created, &role.name)?);
    let statements =
        role.trust.iter().map(|trust| trust_statement(world, account, trust)).collect::<Result<Vec<_>, _>>()?;
    let mut profiles = Vec::new();
    if role.profile {
        profiles.push(json!({
            "Path": "/", "InstanceProfileName": role.name,
            "InstanceProfileId": unique_id("AIPA", &format!("{alias}/{}", role.name)),
            "Arn": format!("arn:aws:iam::{account}:instance-profile/{}", role.name), "CreateDate": since,
            "Roles": [{"Path": role.path, "RoleName": role.name, "RoleId": role_id(alias, &role.name), "Arn": arn, "CreateDate": since}],
        }));
    }
    let mut value = json!({
        "Path": role.path, "RoleName": role.name, "RoleId": role_id(alias, &role.name), "Arn": arn, "CreateDate": since,
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": statements},
        "InstanceProfileList": profiles, "RolePolicyList": inline(&role.inline),
        "AttachedManagedPolicies": used.attach(world, account, iam, &role.managed)?,
        "Tags": tags(&role.tags), "RoleLastUsed": last_used(&arn, seen, role.last_used.as_deref()),
        "MaxSessionDuration": role.session,
    });
    if let (Some(name), Value::Object(fields)) = (&role.boundary, &mut value) {
        *used.boundaries.entry(name.clone()).or_default() += 1;
        let arn = format!("arn:aws:iam::{account}:policy/{name}");
        let boundary = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
        fields.insert("PermissionsBoundary".to_owned(), boundary);
    }
    Ok(value)
}

/// A statement of a trust policy from its short form in the fixture.
fn trust_statement(world: &World, account: &str, trust: &str) -> Result<Value, DemoError> {
    let (kind, rest) = trust.split_once(':').unwrap_or((trust, ""));
    Ok(match kind {
        "service" => json!({"Effect": "Allow", "Principal": {"Service": rest}, "Action": "sts:AssumeRole"}),
        "account" => json!({
            "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", world.account(rest)?)},
            "Action": "sts:AssumeRole",
        }),
        "role" => {
            json!({"Effect": "Allow", "Principal": {"AWS": world.principal_arn(trust)?}, "Action": "sts:AssumeRole"})
        }
        // Roles of Identity Center carry a generated suffix: trusts name them by pattern.
        "sso" => json!({
            "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
            "Condition": {"ArnLike": {"aws:PrincipalArn": format!("arn:aws:iam::{account}:role{SSO_PATH}*")}},
        }),
        "oidc" => json!({
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
                "StringLike": {"token.actions.githubusercontent.com:sub": rest},
            },
        }),
        "external" => {
            let (vendor, id) = rest.split_once(':').unwrap_or((rest, ""));
            json!({
                "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{vendor}:root")},
                "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": id}},
            })
        }
        _ => return Err(DemoError::unknown("trust", trust)),
    })
}

fn sso_role_json(
    world: &World,
    alias: &str,
    iam: &AccountIam,
    set: &PermissionSet,
    seen: &SeenBy,
    used: &mut Attachments,
) -> Result<Value, DemoError> {
    let account = world.account(alias)?;
    let name = set.role_name(alias);
    let arn = format!("arn:aws:iam::{account}:role{SSO_PATH}{name}");
    let provider =
        format!("arn:aws:iam::{account}:saml-provider/AWSSSO_{}_DO_NOT_DELETE", super::rng::named_hex(alias, 16));
    let policies: Vec<Value> = set
        .inline
        .iter()
        .map(|document| json!({"PolicyName": "AwsSSOInlinePolicy", "PolicyDocument": document}))
        .collect();
    Ok(json!({
        "Path": SSO_PATH, "RoleName": name, "RoleId": role_id(alias, &name), "Arn": arn,
        "CreateDate": cli_time(created(SSO_SINCE, &name)?),
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": provider},
            "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
            "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
        }]},
        "InstanceProfileList": [], "RolePolicyList": policies,
        "AttachedManagedPolicies": used.attach(world, account, iam, &set.managed)?,
        "Tags": [], "RoleLastUsed": last_used(&arn, seen, None), "MaxSessionDuration": 43_200,
    }))
}

fn user_since(user: &User, end: Timestamp) -> Result<Timestamp, DemoError> {
    match (&user.created, user.created_days_ago) {
        (Some(date), _) => created(date, &user.name),
        (None, Some(days)) => Ok(end.plus_days(-days).plus_seconds(9 * 3_600 + 4)),
        (None, None) => Err(DemoError::unknown("creation of user", &user.name)),
    }
}

fn user_json(
    world: &World,
    alias: &str,
    iam: &AccountIam,
    user: &User,
    end: Timestamp,
    used: &mut Attachments,
) -> Result<Value, DemoError> {
    let account = world.account(alias)?;
    Ok(json!({
        "Path": "/", "UserName": user.name, "UserId": user_id(alias, &user.name, false),
        "Arn": format!("arn:aws:iam::{account}:user/{}", user.name),
        "CreateDate": cli_time(user_since(user, end)?),
        "UserPolicyList": inline(&user.inline), "GroupList": user.groups,
        "AttachedManagedPolicies": used.attach(world, account, iam, &user.managed)?, "Tags": [],
    }))
}

fn policy_json(account: &str, policy: &Policy, end: Timestamp, used: &Attachments) -> Result<Value, DemoError> {
    let since = created(&policy.created, &policy.name)?;
    let version = policy.version.as_deref().unwrap_or("v1");
    let changed = match policy.version_days_ago {
        // The time of the planted CreatePolicyVersion call.
        Some(days) => end.plus_days(-days).plus_seconds(10 * 3_600 + 30 * 60 + 4),
        None => since,
    };
    Ok(json!({
        "PolicyName": policy.name, "PolicyId": unique_id("ANPA", &format!("{account}/{}", policy.name)),
        "Arn": format!("arn:aws:iam::{account}:policy/{}", policy.name), "Path": "/", "DefaultVersionId": version,
        "AttachmentCount": used.count.get(&policy.name).copied().unwrap_or(0),
        "PermissionsBoundaryUsageCount": used.boundaries.get(&policy.name).copied().unwrap_or(0),
        "IsAttachable": true, "CreateDate": cli_time(since), "UpdateDate": cli_time(changed),
        "PolicyVersionList": [
            {"Document": policy.document, "VersionId": version, "IsDefaultVersion": true, "CreateDate": cli_time(changed)},
        ],
    }))
}

fn aws_policy_json(world: &World, name: &str, used: &Attachments) -> Result<Value, DemoError> {
    let policy = world.aws_managed.get(name).ok_or_else(|| DemoError::unknown("policy", name))?;
    let path = policy.arn.split_once(":policy").map_or("/", |(_, path)| path.trim_end_matches(name));
    let since = cli_time(created("2023-02-06", name)?);
    Ok(json!({
        "PolicyName": name, "PolicyId": unique_id("ANPA", &format!("aws/{name}")), "Arn": policy.arn, "Path": path,
        "DefaultVersionId": "v1", "AttachmentCount": used.count.get(name).copied().unwrap_or(0),
        "PermissionsBoundaryUsageCount": 0, "IsAttachable": true, "CreateDate": since, "UpdateDate": since,
        "PolicyVersionList": [
            {"Document": policy.document, "VersionId": "v1", "IsDefaultVersion": true, "CreateDate": since},
        ],
    }))
}

const REPORT_HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated";
const NO_KEY: &str = "false,N/A,N/A,N/A,N/A";

/// The credential report of one account. AWS rounds nothing here that matters; times are whole seconds.
pub(super) fn credential_report(
    world: &World,
    alias: &str,
    seen: &SeenBy,
    end: Timestamp,
) -> Result<String, DemoError> {
    let account = world.account(alias)?;
    let iam = world.iam.get(alias).ok_or_else(|| DemoError::unknown("account", alias))?;
    let mut lines = vec![REPORT_HEADER.to_owned()];
    let root = &iam.root;
    let root_key = match &root.key {
        Some(key) => key_columns(key, None, dated(&root.created)?, end)?,
        None => NO_KEY.to_owned(),
    };
    lines.push(format!(
        "<root_account>,arn:aws:iam::{account}:root,{},not_supported,{},not_supported,not_supported,{},{root_key},{NO_KEY},false,N/A,false,N/A",
        cli_time(created(&root.created, alias)?),
        match &root.last_used {
            Some(time) => cli_time(dated(time)?),
            None => "no_information".to_owned(),
        },
        root.mfa,
    ));
    for user in &iam.users {
        let arn = format!("arn:aws:iam::{account}:user/{}", user.name);
        let since = user_since(user, end)?;
        let password = match &user.password {
            None => "false,N/A,N/A,N/A,false".to_owned(),
            Some(password) => {
                let last = match (seen.get(&format!("password {arn}")), &password.last_used) {
                    (Some(seen), _) => cli_time(seen.time),
                    (None, Some(time)) => cli_time(dated(time)?),
                    (None, None) => "no_information".to_owned(),
                };
                let changed = cli_time(created(&password.changed, &user.name)?);
                format!("true,{last},{changed},N/A,{}", password.mfa)
            }
        };
        let mut keys = Vec::new();
        for key in &user.keys {
            let id = long_term_key(&user_id(alias, &user.name, false));
            keys.push(key_columns(key, seen.get(&format!("key {id}")), since, end)?);
        }
        keys.resize(2, NO_KEY.to_owned());
        lines.push(format!(
            "{},{arn},{},{password},{},false,N/A,false,N/A",
            user.name,
            cli_time(since),
            keys.join(",")
        ));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn key_columns(key: &Key, seen: Option<&Seen>, since: Timestamp, end: Timestamp) -> Result<String, DemoError> {
    let rotated = match (&key.rotated, key.rotated_days_ago) {
        (Some(date), _) => dated(date)?.plus_seconds(9 * 3_600),
        (None, Some(days)) => end.plus_days(-days).plus_seconds(9 * 3_600 + 60),
        (None, None) => return Err(DemoError::unknown("rotation of a", "key")),
    };
    // A key made on its user's first day was made after the user.
    let rotated = rotated.max(since.plus_seconds(1));
    let used = match (seen, &key.last_used) {
        // AWS keeps the last use of a key to the quarter of an hour.
        (Some(seen), _) => {
            let quarter = 900 * MICROS_PER_SECOND;
            let rounded = Timestamp::from_micros(seen.time.micros().div_euclid(quarter) * quarter);
            format!("{},{},{}", cli_time(rounded), seen.region, seen.service)
        }
        (None, Some(time)) => format!("{},us-east-1,iam", cli_time(dated(time)?)),
        (None, None) => "N/A,N/A,N/A".to_owned(),
    };
    Ok(format!("true,{},{used}", cli_time(rotated)))
}
