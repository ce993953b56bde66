//! Policies that AWS publishes: they parse, expand, and mean what AWS says they mean.

use std::collections::BTreeMap;
use std::io::Read as _;

use jitscan::catalog::{AccessLevel, ActionSet, Catalog};
use jitscan::collect::authorization_details;
use jitscan::decide::compile::Compiler;
use jitscan::entitlements::{
    PrincipalEntitlements, PrincipalKind, Privileges, administrator_equivalent, entitlements, privileged,
    who_may_assume,
};
use jitscan::model::snapshot::{AccountIam, Attachment, Holder, ManagedPolicy, NamedDocument, Role, Snapshot};
use jitscan::model::time::Timestamp;
use jitscan::policy::compile::compile;
use jitscan::policy::{DocumentKind, Effect, PolicyDocument};

use super::collect::{shared, shared_root};

/// AWS managed policies by name, as document texts.
fn managed() -> Option<BTreeMap<String, String>> {
    let bytes = shared("moto/aws_managed_policies.json.gz")?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    Some(all.into_iter().map(|(name, policy)| (name, policy["Document"].to_string())).collect())
}

/// Actions that some Allow statement of the document names.
fn expand(document: &PolicyDocument) -> (ActionSet, bool) {
    let catalog = Catalog::get();
    let mut set = ActionSet::new(catalog.len());
    let mut open = false;
    for statement in document.statements.iter().filter(|statement| statement.effect == Effect::Allow) {
        let compiled = compile(&statement.actions, catalog);
        set.union_with(&compiled.set);
        open |= compiled.open;
    }
    (set, open)
}

#[test]
fn all_aws_managed_policies_parse_and_expand() {
    let Some(managed) = managed() else { return };
    assert_eq!(managed.len(), 1_582);
    let mut unmatched: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut empty = Vec::new();
    let mut statements = 0;
    for (name, text) in &managed {
        let document = PolicyDocument::parse(text, DocumentKind::Identity).unwrap_or_else(|e| panic!("{name}: {e}"));
        statements += document.statements.len();
        for statement in &document.statements {
            for pattern in compile(&statement.actions, Catalog::get()).unmatched {
                unmatched.entry(pattern).or_default().push(name);
            }
        }
        let allows = document.statements.iter().any(|statement| statement.effect == Effect::Allow);
        if allows && expand(&document).0.is_empty() {
            empty.push(name.as_str());
        }
    }
    assert_eq!(statements, 8_850);
    // Services that no longer exist, or never had public actions.
    assert_eq!(
        empty,
        ["AWSDeepRacerAccountAdminAccess", "AWSDeepRacerDefaultMultiUserAccess", "RDSCloudHsmAuthorizationRole"]
    );
    println!("{} patterns of AWS managed policies match nothing in the catalogue", unmatched.len());
    assert!(unmatched.len() < 200, "{unmatched:#?}");
}

#[test]
fn administrator_access_is_the_whole_catalogue() {
    let Some(managed) = managed() else { return };
    let document = PolicyDocument::parse(&managed["AdministratorAccess"], DocumentKind::Identity).unwrap();
    let (set, open) = expand(&document);
    assert!(open);
    assert_eq!(set.len(), Catalog::get().len());
}

#[test]
fn read_only_access_changes_only_what_aws_lets_it() {
    let Some(managed) = managed() else { return };
    let catalog = Catalog::get();
    let document = PolicyDocument::parse(&managed["ReadOnlyAccess"], DocumentKind::Identity).unwrap();
    let (set, open) = expand(&document);
    assert!(!open);
    assert!(set.len() > 5_000, "{}", set.len());
    let changing: Vec<String> = set
        .iter()
        .filter_map(|id| catalog.action(id))
        .filter(|action| !matches!(action.access(), AccessLevel::List | AccessLevel::Read))
        .map(|action| action.full_name())
        .collect();
    // What AWS itself classifies as more than reading, and itself names in the policy (`s3express:CreateSession`)
    // or takes in with `Get*` and `List*` patterns.
    let want = [
        "athena:GetSessionEndpoint",
        "backup:ListIndexedRecoveryPointsForSearch",
        "billing:GetResourcePolicy",
        "cognito-idp:GetTokensFromRefreshToken",
        "iot:GetConnection",
        "iot:ListSubscriptions",
        "s3express:CreateSession",
        "ssm-sap:GetResourcePermission",
    ];
    assert_eq!(changing, want);
}

#[test]
fn organisation_policy_examples_parse() {
    let Some(root) = shared_root("scp_rcp_examples") else { return };
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert_eq!(files.len(), 86);
    let (mut refused, mut statements) = (Vec::new(), 0);
    for path in &files {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let service_control = name.starts_with("service-control") || name.contains("service_control_policies");
        let kind = if service_control { DocumentKind::ServiceControl } else { DocumentKind::Resource };
        let mut text = std::fs::read_to_string(path).unwrap();
        if let Err(error) = PolicyDocument::parse(&text, kind) {
            refused.push(format!("{}: {error}", path.file_name().unwrap().display()));
            // As a reader would fill them in: the comment goes, the placeholder becomes an action.
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            text = lines.join("\n").replace("<action>", "s3:GetObject");
        }
        let document = PolicyDocument::parse(&text, kind).unwrap_or_else(|e| panic!("{name}: {e}"));
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        let written = written["Statement"].as_array().map_or(1, Vec::len);
        assert_eq!(document.statements.len(), written, "{name}: a statement was dropped");
        let compiled = Compiler::new(Catalog::get()).document(&text, kind).unwrap();
        assert_eq!(compiled.len(), written, "{name}: a statement was dropped");
        statements += written;
    }
    println!("{} documents, {statements} statements", files.len());
    refused.sort();
    assert_eq!(
        refused,
        [
            "deny-service-specific-credential-by-type.json: expected a policy document as JSON: expected `,` or `]` \
             at line 15 column 13",
            "s3_endpoint_policy.json: Statement[4].Action: expected \"*\" or service:Action, found `<action>`",
        ]
    );
}

fn example() -> Option<Snapshot> {
    let bytes = shared("cloudsplaining/example.json")?;
    let iam = authorization_details(&bytes, "example.json", Timestamp::default()).unwrap();
    assert_eq!(iam.defects, []);
    let accounts = iam.value.into_iter().map(|iam| (iam.account, iam)).collect();
    Some(Snapshot { accounts, ..Snapshot::default() })
}

#[test]
fn entitlements_of_a_real_account() {
    let Some(snapshot) = example() else { return };
    let catalog = Catalog::get();
    let start = std::time::Instant::now();
    let all = entitlements(&snapshot, catalog);
    println!("{} principals in {:?}", all.principals.len(), start.elapsed());
    assert_eq!((all.principals.len(), all.defects.as_slice()), (122, [].as_slice()));
    let find = |name: &str| {
        let mut named = all.principals.iter().filter(|p| p.arn.name() == name);
        named.next().unwrap_or_else(|| panic!("{name}"))
    };
    // The account's users and roles are named after what they can do: a planted truth of somebody else's.
    for (name, rule) in [
        ("privesc1-CreateNewPolicyVersion", Some("create_policy_version")),
        ("privesc2-SetExistingDefaultPolicyVersion", Some("set_default_policy_version")),
        ("privesc4-CreateAccessKey", None),
        ("privesc5-CreateLoginProfile", None),
        ("privesc6-UpdateLoginProfile", None),
        ("privesc7-AttachUserPolicy", Some("attach_user_policy")),
        ("privesc8-AttachGroupPolicy", Some("attach_group_policy")),
        ("privesc9-AttachRolePolicy", Some("attach_role_policy")),
        ("privesc10-PutUserPolicy", Some("put_user_policy")),
        ("privesc11-PutGroupPolicy", Some("put_group_policy")),
        ("privesc12-PutRolePolicy", Some("put_role_policy")),
        ("privesc13-AddUserToGroup", Some("add_user_to_group")),
        ("privesc14-UpdatingAssumeRolePolicy", Some("update_trust")),
        ("privesc15-PassExistingRoleToNewLambdaThenInvoke", None),
        ("privesc17-EditExistingLambdaFunctionWithRole", None),
        ("privesc-ssmSendCommand", None),
        ("privesc-codeBuildCreateProjectPassRole", None),
        ("fn2-exploitableResourceConstraint", None),
    ] {
        for kind in ["user", "role"] {
            let principal = find(&format!("{name}-{kind}"));
            let rules: Vec<&str> = administrator_equivalent(principal, catalog).iter().map(|p| p.rule.id).collect();
            assert_eq!(rules, rule.into_iter().collect::<Vec<_>>(), "{name}-{kind}");
            assert!(!privileged(principal, Privileges::get()).is_empty(), "{name}-{kind}");
        }
    }
    for name in ["fp1-allow-and-deny", "fp2-allow-and-deny-multiple-policies", "fp3-deny-iam"] {
        assert!(find(&format!("{name}-user")).granted.is_empty(), "{name}: its Deny takes all away");
        assert!(find(&format!("{name}-role")).granted.is_empty(), "{name}: its Deny takes all away");
    }
    for name in ["obama", "OrganizationAccountAccessRole", "AWSReservedSSO_AdministratorAccess_dc6414f7f2ab04fc"] {
        let principal = find(name);
        assert_eq!(principal.granted.len(), catalog.len());
        assert_eq!(administrator_equivalent(principal, catalog)[0].rule.id, "full_access", "{name}");
    }
    let viewer = find("AWSReservedSSO_ViewOnlyAccess_0ace44bbc7092ea8");
    assert_eq!(viewer.kind, PrincipalKind::IdentityCenterRole);
    assert!(privileged(viewer, Privileges::get()).is_empty());
    assert!(all.principals.iter().all(|p| p.undecided.is_empty()));
}

#[test]
fn trust_policies_of_a_real_account() {
    let Some(snapshot) = example() else { return };
    let roles: Vec<_> = snapshot.accounts.values().flat_map(|iam| &iam.roles).collect();
    assert_eq!(roles.len(), 78);
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for role in roles {
        let trust = who_may_assume(role).unwrap_or_else(|e| panic!("{}: {e}", role.holder.arn));
        assert!(!trust.allowed.is_empty(), "{}", role.holder.arn);
        let people = match (trust.human_assumable(false), trust.human_assumable(true)) {
            (true, _) => "people",
            (false, true) => "perhaps people",
            (false, false) => "machines",
        };
        *by_kind.entry(people).or_default() += 1;
        let linked = role.holder.path.starts_with("/aws-service-role/");
        assert!(!linked || people == "machines", "{}", role.holder.arn);
        assert!(role.holder.path != "/aws-reserved/sso.amazonaws.com/" || people == "people", "{}", role.holder.arn);
    }
    println!("{by_kind:?}");
    assert_eq!(by_kind.values().sum::<usize>(), 78);
}

/// A role with one inline policy.
fn role_with(name: &str, json: &str) -> Role {
    Role {
        holder: Holder {
            arn: format!("arn:aws:iam::111111111111:role/{name}").parse().unwrap(),
            name: name.to_owned(),
            path: "/".into(),
            id: format!("AROA{name}"),
            created: None,
            inline: vec![NamedDocument { name: "p".into(), json: json.to_owned() }],
            attached: Vec::new(),
            boundary: None,
            tags: BTreeMap::new(),
        },
        trust: "{}".into(),
        last_used: None,
        instance_profiles: Vec::new(),
    }
}

fn account_of(roles: Vec<Role>, policies: Vec<ManagedPolicy>) -> Snapshot {
    let account = "111111111111".parse().unwrap();
    let captured_at = Timestamp::default();
    let iam = AccountIam { account, captured_at, users: Vec::new(), groups: Vec::new(), roles, policies };
    Snapshot { accounts: BTreeMap::from([(account, iam)]), ..Snapshot::default() }
}

/// What AWS writes into its own policies works, nearly always: a rule that calls much of it ineffective is wrong.
#[test]
fn aws_managed_policies_are_effective() {
    let Some(managed) = managed() else { return };
    let roles = managed.iter().map(|(name, json)| role_with(name, json)).collect();
    let all = entitlements(&account_of(roles, Vec::new()), Catalog::get());
    assert_eq!(all.defects, []);
    let sum = |count: fn(&PrincipalEntitlements) -> usize| all.principals.iter().map(count).sum::<usize>();
    let (granted, ineffective) = (sum(|p| p.granted.len()), sum(|p| p.ineffective.len()));
    println!("{granted} granted, {ineffective} named in vain");
    assert!(ineffective > 0 && ineffective * 100 < granted);
}

/// Five thousand principals; prints the time and asserts nothing about it. Run with
/// `cargo nextest run --run-ignored only -E 'test(five_thousand)' --no-capture`.
#[test]
#[ignore = "a measurement, not a test"]
fn five_thousand_principals() {
    let Some(managed) = managed() else { return };
    let policies: Vec<ManagedPolicy> = managed
        .iter()
        .map(|(name, json)| ManagedPolicy {
            arn: format!("arn:aws:iam::aws:policy/{name}"),
            name: name.clone(),
            id: String::new(),
            version_created: None,
            version_id: "v1".into(),
            json: json.clone(),
        })
        .collect();
    let roles = (0..5_000usize).map(|at| {
        let attached = (0..10).map(|k| &policies[(at * 31 + k * 97) % policies.len()]);
        let inline = format!(
            r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":["s3:*","dynamodb:*"],"Resource":["arn:aws:s3:::app-{at}","arn:aws:s3:::app-{at}/*","arn:aws:dynamodb:*:*:table/app-{at}"]}},
            {{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{"StringEquals":{{"aws:ResourceTag/app":"{at}"}}}}}},
            {{"Effect":"Deny","Action":["iam:*","organizations:*"],"Resource":"*"}}]}}"#
        );
        let mut role = role_with(&format!("app-{at}"), &inline);
        role.holder.attached = attached.map(|p| Attachment { name: p.name.clone(), arn: p.arn.clone() }).collect();
        role.holder.boundary = (at % 3 == 0).then(|| "arn:aws:iam::aws:policy/PowerUserAccess".to_owned());
        role
    });
    let roles = roles.collect();
    let snapshot = account_of(roles, policies);
    let start = std::time::Instant::now();
    let all = entitlements(&snapshot, Catalog::get());
    let total: usize = all.principals.iter().map(|p| p.entitlements.len()).sum();
    println!("{} principals, {total} entitlements in {:?}", all.principals.len(), start.elapsed());
    let start = std::time::Instant::now();
    let admins = all.principals.iter().filter(|p| !administrator_equivalent(p, Catalog::get()).is_empty()).count();
    println!("{admins} administrators told in {:?}", start.elapsed());
    let resident = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{:?}", resident.lines().find(|line| line.starts_with("VmHWM")));
}
