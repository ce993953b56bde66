//! Table tests of the layers.

mod differential;

use std::collections::BTreeMap;

use super::*;
use crate::catalog::Catalog;
use crate::model::snapshot::{
    AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Organization, OrganizationAccount,
    OrganizationPolicy, Role, User,
};

const ACCOUNT: &str = "111111111111";

/// A document of statements written short: `EFFECT | ACTIONS | RESOURCES | CONDITION`, where a leading `!` means
/// NotAction or NotResource, and the condition is a tag value or nothing.
fn document(statements: &[&str]) -> String {
    let list: Vec<String> = statements
        .iter()
        .map(|text| {
            let parts: Vec<&str> = text.split('|').map(str::trim).collect();
            let element = |name: &str, text: &str| {
                let (not, list) = text.strip_prefix('!').map_or(("", text), |rest| ("Not", rest));
                let list: Vec<&str> = list.split_whitespace().collect();
                format!(r#""{not}{name}":{}"#, serde_json::to_string(&list).unwrap())
            };
            let condition = parts.get(3).map_or(String::new(), |value| {
                format!(r#","Condition":{{"StringEquals":{{"aws:PrincipalTag/t":"{value}"}}}}"#)
            });
            format!(
                r#"{{"Effect":"{}",{},{}{condition}}}"#,
                parts[0],
                element("Action", parts[1]),
                element("Resource", parts.get(2).copied().unwrap_or("*"))
            )
        })
        .collect();
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, list.join(","))
}

fn holder(kind: &str, path: &str, name: &str, inline: &[(&str, String)]) -> Holder {
    Holder {
        arn: format!("arn:aws:iam::{ACCOUNT}:{kind}{path}{name}").parse().unwrap(),
        name: name.to_owned(),
        path: path.to_owned(),
        id: format!("ID{name}"),
        created: Some("2024-01-01".parse().unwrap()),
        inline: inline.iter().map(|(name, json)| NamedDocument { name: (*name).into(), json: json.clone() }).collect(),
        attached: Vec::new(),
        boundary: None,
        tags: BTreeMap::new(),
    }
}

fn role_of(holder: Holder) -> Role {
    Role { holder, trust: "{}".into(), last_used: None, instance_profiles: Vec::new() }
}

fn managed(name: &str, statements: &[&str]) -> ManagedPolicy {
    ManagedPolicy {
        arn: format!("arn:aws:iam::{ACCOUNT}:policy/{name}"),
        name: name.into(),
        id: "ANPA".into(),
        version_created: Some("2025-06-01".parse().unwrap()),
        version_id: "v1".into(),
        json: document(statements),
    }
}

fn attachment(name: &str) -> Attachment {
    Attachment { name: name.into(), arn: format!("arn:aws:iam::{ACCOUNT}:policy/{name}") }
}

fn snapshot(users: Vec<User>, roles: Vec<Role>, groups: Vec<Group>, policies: Vec<ManagedPolicy>) -> Snapshot {
    let account: AccountId = ACCOUNT.parse().unwrap();
    let captured_at = Timestamp::default();
    let iam = AccountIam { account, captured_at, users, groups, roles, policies };
    Snapshot { accounts: BTreeMap::from([(account, iam)]), ..Snapshot::default() }
}

/// The only principal of a role with these inline statements, and a boundary where given.
fn role(statements: &[&str], boundary: Option<&[&str]>) -> PrincipalEntitlements {
    let mut holder = holder("role", "/", "r", &[("p", document(statements))]);
    let mut policies = Vec::new();
    if let Some(statements) = boundary {
        holder.boundary = Some(attachment("b").arn);
        policies.push(managed("b", statements));
    }
    resolve_one(&snapshot(Vec::new(), vec![role_of(holder)], Vec::new(), policies)).0
}

fn resolve_one(snapshot: &Snapshot) -> (PrincipalEntitlements, Vec<Defect>) {
    let mut all = entitlements(snapshot, Catalog::get());
    assert_eq!(all.principals.len(), 1);
    (all.principals.remove(0), all.defects)
}

fn holds(set: &ActionSet, name: &str) -> bool {
    set.contains(Catalog::get().find(name).unwrap_or_else(|| panic!("{name}")))
}

/// Kinds of the limits on an action.
fn limits(principal: &PrincipalEntitlements, name: &str) -> Vec<LimitKind> {
    let id = Catalog::get().find(name).unwrap();
    let all = principal.granting(id).flat_map(|entitlement| &entitlement.limits);
    all.filter(|limit| limit.actions.contains(id)).map(|limit| limit.kind).collect()
}

/// Name, statements, action; whether it is granted and undecided, and the limits on it.
type Case = (&'static str, &'static [&'static str], &'static str, bool, bool, &'static [LimitKind]);
const ALLOW_AND_DENY: &[Case] = &[
    ("plain allow", &["Allow | s3:GetObject | *"], "s3:GetObject", true, false, &[]),
    ("nothing else", &["Allow | s3:GetObject | *"], "s3:PutObject", false, false, &[]),
    ("case does not matter", &["Allow | S3:getobject | *"], "s3:GetObject", true, false, &[]),
    ("not action", &["Allow | !s3:* | *"], "sqs:SendMessage", true, false, &[]),
    ("not action excludes", &["Allow | !s3:* | *"], "s3:GetObject", false, false, &[]),
    ("deny wins", &["Allow | s3:* | *", "Deny | s3:GetObject | *"], "s3:GetObject", false, false, &[]),
    ("deny of others", &["Allow | s3:* | *", "Deny | s3:GetObject | *"], "s3:PutObject", true, false, &[]),
    ("deny not action", &["Allow | * | *", "Deny | !s3:* | *"], "sqs:SendMessage", false, false, &[]),
    ("deny not action spares", &["Allow | * | *", "Deny | !s3:* | *"], "s3:GetObject", true, false, &[]),
    (
        "deny on a part is a limit",
        &["Allow | s3:* | *", "Deny | s3:* | arn:aws:s3:::x/*"],
        "s3:GetObject",
        true,
        false,
        &[LimitKind::Denied],
    ),
    (
        "deny that covers the scope removes",
        &["Allow | s3:GetObject | arn:aws:s3:::x/a*", "Deny | s3:* | arn:aws:s3:::x/*"],
        "s3:GetObject",
        false,
        false,
        &[],
    ),
    (
        "deny elsewhere does nothing",
        &["Allow | s3:GetObject | arn:aws:s3:::y/*", "Deny | s3:* | arn:aws:s3:::x/*"],
        "s3:GetObject",
        true,
        false,
        &[],
    ),
    (
        "deny not resource removes outside",
        &["Allow | s3:GetObject | arn:aws:s3:::y/*", "Deny | s3:* | !arn:aws:s3:::x/*"],
        "s3:GetObject",
        false,
        false,
        &[],
    ),
    (
        "deny not resource spares inside",
        &["Allow | s3:GetObject | arn:aws:s3:::x/a", "Deny | s3:* | !arn:aws:s3:::x/*"],
        "s3:GetObject",
        true,
        false,
        &[],
    ),
    (
        "deny not resource limits the whole",
        &["Allow | s3:GetObject | *", "Deny | s3:* | !arn:aws:s3:::x/*"],
        "s3:GetObject",
        true,
        false,
        &[LimitKind::Denied],
    ),
    (
        "conditional deny leaves it open",
        &["Allow | s3:* | *", "Deny | s3:GetObject | * | a"],
        "s3:GetObject",
        true,
        true,
        &[LimitKind::DeniedIf],
    ),
    (
        "certain deny beats conditional deny",
        &["Allow | s3:* | *", "Deny | s3:GetObject | * | a", "Deny | s3:Get* | *"],
        "s3:GetObject",
        false,
        false,
        &[],
    ),
    (
        "another scope is free of the conditional deny",
        &[
            "Allow | s3:GetObject | arn:aws:s3:::x/* arn:aws:s3:::y/*",
            "Deny | s3:* | arn:aws:s3:::x/* | a",
            "Allow | s3:GetObject | arn:aws:s3:::z/*",
        ],
        "s3:GetObject",
        true,
        false,
        &[LimitKind::DeniedIf],
    ),
    ("conditional allow grants", &["Allow | s3:GetObject | * | a"], "s3:GetObject", true, false, &[]),
    ("wrong type of resource", &["Allow | s3:GetObject | arn:aws:s3:::x"], "s3:GetObject", false, false, &[]),
    ("wrong service", &["Allow | iam:* | arn:aws:s3:::x"], "iam:CreateUser", false, false, &[]),
    (
        "a variable is not surely another's",
        &["Allow | s3:GetObject | arn:aws:s3:::x/a", "Deny | s3:* | arn:aws:s3:::x/${aws:username}"],
        "s3:GetObject",
        true,
        false,
        &[LimitKind::Denied],
    ),
];

#[test]
fn allow_and_deny() {
    for (name, statements, action, granted, undecided, want) in ALLOW_AND_DENY {
        let principal = role(statements, None);
        assert_eq!(holds(&principal.granted, action), *granted, "{name}: granted");
        assert_eq!(holds(&principal.undecided, action), *undecided, "{name}: undecided");
        assert_eq!(limits(&principal, action), *want, "{name}: limits");
    }
}

#[test]
fn principals_are_found_by_arn() {
    let roles = ["b", "a-1", "a"].map(|name| role_of(holder("role", "/", name, &[]))).to_vec();
    let all = entitlements(&snapshot(Vec::new(), roles, Vec::new(), Vec::new()), Catalog::get());
    for name in ["a", "a-1", "b"] {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let found: Vec<&str> = all.of(&arn).map(|principal| principal.arn.as_str()).collect();
        assert_eq!(found, [arn.as_str()]);
    }
    assert_eq!(all.of("arn:aws:iam::111111111111:role/aa").count(), 0);
}

#[test]
fn boundaries() {
    type Case =
        (&'static str, &'static [&'static str], &'static [&'static str], &'static str, bool, &'static [LimitKind]);
    let cases: &[Case] = &[
        ("allows", &["Allow | s3:* | *"], &["Allow | s3:* | *"], "s3:GetObject", true, &[]),
        ("does not allow", &["Allow | s3:* sqs:* | *"], &["Allow | s3:* | *"], "sqs:SendMessage", false, &[]),
        ("grants nothing itself", &["Allow | sqs:* | *"], &["Allow | * | *"], "s3:GetObject", false, &[]),
        ("denies", &["Allow | s3:* | *"], &["Allow | * | *", "Deny | s3:GetObject | *"], "s3:GetObject", false, &[]),
        (
            "only within",
            &["Allow | s3:* | *"],
            &["Allow | s3:* | arn:aws:s3:::x/*"],
            "s3:GetObject",
            true,
            &[LimitKind::OnlyWithin],
        ),
        (
            "within anyway",
            &["Allow | s3:GetObject | arn:aws:s3:::x/a"],
            &["Allow | s3:* | arn:aws:s3:::x/*"],
            "s3:GetObject",
            true,
            &[],
        ),
        (
            "elsewhere",
            &["Allow | s3:GetObject | arn:aws:s3:::y/*"],
            &["Allow | s3:* | arn:aws:s3:::x/*"],
            "s3:GetObject",
            false,
            &[],
        ),
        (
            "no limit where another statement allows all",
            &["Allow | s3:GetObject | arn:aws:s3:::x/a"],
            &["Allow | s3:* | * | a", "Allow | s3:Get* | arn:aws:s3:::*"],
            "s3:GetObject",
            true,
            &[],
        ),
        (
            "conditional",
            &["Allow | s3:* | *"],
            &["Allow | s3:* | * | a"],
            "s3:GetObject",
            true,
            &[LimitKind::OnlyWithin],
        ),
    ];
    for (name, statements, boundary, action, granted, want) in cases {
        let principal = role(statements, Some(boundary));
        assert_eq!(holds(&principal.granted, action), *granted, "{name}: granted");
        assert!(principal.undecided.is_empty(), "{name}: undecided");
        assert_eq!(limits(&principal, action), *want, "{name}: limits");
    }
}

#[test]
fn what_is_missing_is_undecided() {
    let catalog = Catalog::get();
    let good = document(&["Allow | s3:GetObject | *"]);
    let mut no_boundary = holder("role", "/", "r", &[("p", good.clone())]);
    no_boundary.boundary = Some("arn:aws:iam::aws:policy/Gone".into());
    let broken =
        holder("role", "/", "r", &[("p", good.clone()), ("q", r#"{"Statement":[{"Effect":"Maybe"}]}"#.into())]);
    let mut unattached = holder("role", "/", "r", &[("p", good)]);
    unattached.attached.push(attachment("gone"));
    for (holder, all, reason) in [
        (
            no_boundary,
            false,
            "arn:aws:iam::aws:policy/Gone: is a permissions boundary, and its document was not collected",
        ),
        (
            broken,
            true,
            "arn:aws:iam::111111111111:role/r inline policy q at Statement[0].Effect: expected \"Allow\" or \"Deny\", found `Maybe`",
        ),
        (
            unattached,
            true,
            "arn:aws:iam::111111111111:policy/gone: is attached in account 111111111111, and its document was not collected",
        ),
    ] {
        let (principal, defects) = resolve_one(&snapshot(Vec::new(), vec![role_of(holder)], Vec::new(), Vec::new()));
        assert!(holds(&principal.granted, "s3:GetObject"), "what is known stays");
        assert!(holds(&principal.undecided, "s3:GetObject"), "and may be otherwise");
        assert_eq!(principal.undecided.len() == catalog.len(), all);
        let shown: Vec<String> = defects.iter().map(|defect| format!("{}: {}", defect.place, defect.reason)).collect();
        assert_eq!(shown, [reason]);
    }
}

#[test]
fn groups_and_provenance() {
    let group = |name: &str| Group {
        arn: format!("arn:aws:iam::{ACCOUNT}:group/{name}").parse().unwrap(),
        name: name.into(),
        inline: vec![NamedDocument { name: "g".into(), json: document(&["Allow | sqs:SendMessage | *"]) }],
        attached: vec![attachment("shared")],
    };
    let mut user = holder("user", "/", "ann", &[("own", document(&["Deny | sqs:* | *", "Allow | sns:Publish | *"]))]);
    user.attached.push(attachment("shared"));
    let user = User { holder: user, groups: vec!["one".into(), "two".into()] };
    let policies = vec![managed("shared", &["Allow | s3:GetObject | *"])];
    let (principal, defects) =
        resolve_one(&snapshot(vec![user.clone()], Vec::new(), vec![group("one"), group("two")], policies.clone()));
    assert_eq!(defects, []);
    assert_eq!(principal.kind, PrincipalKind::User);
    assert!(!holds(&principal.granted, "sqs:SendMessage"), "the user's Deny binds the group's Allow");
    let s3 = Catalog::get().find("s3:GetObject").unwrap();
    let [one] = principal.granting(s3).collect::<Vec<_>>()[..] else { panic!("one entitlement by three ways") };
    let ways: Vec<(Layer, &str)> = one.provenance.iter().map(|way| (way.layer, way.via.as_str())).collect();
    assert_eq!(ways, [(Layer::IdentityManaged, ""), (Layer::Group, "one"), (Layer::Group, "two")]);
    assert_eq!(principal.effective_since(s3).unwrap().to_string(), "2025-06-01T00:00:00Z", "the policy's version");
    let sns = Catalog::get().find("sns:Publish").unwrap();
    assert_eq!(principal.effective_since(sns).unwrap().to_string(), "2024-01-01T00:00:00Z", "the user's creation");
    let (principal, defects) = resolve_one(&snapshot(vec![user], Vec::new(), vec![group("one")], policies));
    assert_eq!(defects[0].reason, "is in group `two`, which was not collected");
    assert_eq!(principal.undecided.len(), Catalog::get().len());
}

fn organization(policies: &[(&str, &[&str], String)], management: &str) -> Organization {
    Organization {
        id: "o-1".into(),
        management_account: management.parse().unwrap(),
        captured_at: Timestamp::default(),
        accounts: vec![OrganizationAccount {
            id: ACCOUNT.parse().unwrap(),
            name: "one".into(),
            parents: vec!["r-1".into(), "ou-1".into()],
        }],
        policies: policies
            .iter()
            .map(|(id, targets, json)| OrganizationPolicy {
                id: (*id).into(),
                name: (*id).into(),
                kind: "SERVICE_CONTROL_POLICY".into(),
                json: json.clone(),
                targets: targets.iter().map(|target| (*target).into()).collect(),
            })
            .collect(),
    }
}

fn under(policies: &[(&str, &[&str], String)], management: &str, path: &str) -> (PrincipalEntitlements, Vec<Defect>) {
    let role = role_of(holder("role", path, "r", &[("p", document(&["Allow | * | *"]))]));
    let mut snapshot = snapshot(Vec::new(), vec![role], Vec::new(), Vec::new());
    snapshot.organization = Some(organization(policies, management));
    resolve_one(&snapshot)
}

#[test]
fn service_control_policies() {
    const OTHER: &str = "999999999999";
    let full = document(&["Allow | * | *"]);
    let everywhere: &[&str] = &["r-1", "ou-1", ACCOUNT];
    let no_iam = document(&["Deny | iam:* | *"]);
    let only_s3 = document(&["Allow | s3:* | *"]);
    let by_tag = document(&["Deny | s3:GetObject | * | a"]);
    let all = vec![("p-full", everywhere, full.clone())];
    let with = |id: &'static str, targets: &'static [&'static str], json: &str| {
        let mut list = all.clone();
        list.push((id, targets, json.to_owned()));
        list
    };
    let (free, _) = under(&all, OTHER, "/");
    assert!(free.open && free.granted.len() == Catalog::get().len());

    for level in [&["r-1"], &["ou-1"], &[ACCOUNT]] as [&'static [&'static str]; 3] {
        let (denied, defects) = under(&with("p-no", level, &no_iam), OTHER, "/");
        assert!(!holds(&denied.granted, "iam:CreateUser") && holds(&denied.granted, "s3:GetObject"), "{level:?}");
        assert_eq!(defects, []);
        assert!(denied.open);
    }
    let (management, _) = under(&with("p-no", &["r-1"], &no_iam), ACCOUNT, "/");
    assert!(holds(&management.granted, "iam:CreateUser"), "the management account is not bound");
    let (linked, _) = under(&with("p-no", &["r-1"], &no_iam), OTHER, "/aws-service-role/x.amazonaws.com/");
    assert!(holds(&linked.granted, "iam:CreateUser"), "service-linked roles are not bound");
    assert_eq!(linked.kind, PrincipalKind::ServiceLinkedRole);

    let narrow = vec![("p-full", &["r-1", ACCOUNT] as &[&str], full.clone()), ("p-s3", &["ou-1"], only_s3)];
    let (narrowed, _) = under(&narrow, OTHER, "/");
    assert!(holds(&narrowed.granted, "s3:GetObject") && !holds(&narrowed.granted, "sqs:SendMessage"));
    assert!(!narrowed.open, "one level that does not allow everything closes it");

    let (conditional, _) = under(&with("p-tag", &["ou-1"], &by_tag), OTHER, "/");
    assert!(holds(&conditional.undecided, "s3:GetObject") && !holds(&conditional.undecided, "s3:PutObject"));
    let id = Catalog::get().find("s3:GetObject").unwrap();
    let limit = conditional.granting(id).next().unwrap().limits[0].provenance.clone();
    assert_eq!((limit.layer, limit.policy.as_str(), limit.via.as_str()), (Layer::ServiceControl, "p-tag", "ou-1"));

    let (broken, defects) = under(&with("p-bad", &["ou-1"], "{"), OTHER, "/");
    assert_eq!(broken.undecided, broken.granted);
    assert_eq!(defects.len(), 1);
    let (bare, defects) = under(&[("p-full", &["r-1", ACCOUNT], full)], OTHER, "/");
    assert_eq!(bare.granted.len(), Catalog::get().len());
    assert!(defects[0].reason.starts_with("has no service control policy attached"), "{defects:?}");
    assert!(under(&[], OTHER, "/").1.is_empty(), "SCPs are not in use");
}

#[test]
fn conditions_on_the_principal_and_on_the_request() {
    let full = document(&["Allow | * | *"]);
    let scp = |condition: &str| {
        let deny = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{condition}}}}}"#
        );
        let everywhere: &[&str] = &["r-1", "ou-1", ACCOUNT];
        under(&[("p-full", everywhere, full.clone()), ("p-deny", &["r-1"], deny)], "999999999999", "/").0
    };
    for (condition, granted, undecided, want) in [
        (
            r#"{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}"#,
            true,
            false,
            &[LimitKind::DeniedIf] as &[LimitKind],
        ),
        (r#"{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/r"}}"#, true, false, &[]),
        (r#"{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/other"}}"#, false, false, &[]),
        (r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#, true, false, &[]),
        (r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-2"}}"#, false, false, &[]),
        (r#"{"StringNotEquals":{"aws:PrincipalTag/team":"x"}}"#, true, true, &[LimitKind::DeniedIf]),
    ] {
        let principal = scp(condition);
        assert_eq!(holds(&principal.granted, "s3:GetObject"), granted, "{condition}");
        assert_eq!(holds(&principal.undecided, "s3:GetObject"), undecided, "{condition}");
        assert_eq!(limits(&principal, "s3:GetObject"), want, "{condition}");
    }
}

#[test]
fn open_and_ineffective() {
    assert!(role(&["Allow | * | *"], None).open);
    assert!(role(&["Allow | !iam:* | *"], None).open);
    assert!(!role(&["Allow | s3:* | *"], None).open);
    assert!(!role(&["Allow | * | *", "Deny | * | *"], None).open);
    assert!(!role(&["Allow | * | *"], Some(&["Allow | s3:* | *"])).open);
    let vain = role(&["Allow | s3:GetObject sqs:SendMessage | arn:aws:s3:::x", "Allow | sqs:SendMessage | *"], None);
    assert!(holds(&vain.ineffective, "s3:GetObject") && !holds(&vain.ineffective, "sqs:SendMessage"));
}

#[test]
fn administrators_by_any_name() {
    for (name, statements, boundary, want) in [
        ("administrator", &["Allow | * | *"] as &[&str], None, Some("full_access")),
        ("power user", &["Allow | !iam:* organizations:* account:* sso:* | *"], None, None),
        ("administrator less iam", &["Allow | * | *", "Deny | iam:* sso:* | *"], None, None),
        ("capped administrator", &["Allow | * | *"], Some(&["Allow | s3:* | *"] as &[&str]), None),
        (
            "attaches on all roles",
            &["Allow | iam:AttachRolePolicy | arn:aws:iam::111111111111:role/*"],
            None,
            Some("attach_role_policy"),
        ),
        (
            "attaches on some roles",
            &["Allow | iam:AttachRolePolicy | arn:aws:iam::111111111111:role/app-*"],
            None,
            None,
        ),
        ("attaches elsewhere", &["Allow | iam:AttachRolePolicy | arn:aws:iam::222222222222:role/*"], None, None),
        ("attaches under a condition", &["Allow | iam:AttachRolePolicy | * | a"], None, None),
        ("rewrites policies", &["Allow | iam:Create* | *"], None, Some("create_policy_version")),
        ("reads", &["Allow | iam:Get* iam:List* s3:* | *"], None, None),
        (
            "all but one role",
            &["Allow | iam:Put* | *", "Deny | iam:* | arn:aws:iam::111111111111:role/break-glass"],
            None,
            Some("put_user_policy"),
        ),
    ] {
        let principal = role(statements, boundary);
        let paths = administrator_equivalent(&principal, Catalog::get());
        assert_eq!(paths.first().map(|path| path.rule.id), want, "{name}");
    }
}

#[test]
fn privileges_depend_on_the_scope() {
    for (statement, action, want) in [
        ("Allow | iam:CreateAccessKey | arn:aws:iam::111111111111:user/${aws:username}", "iam:CreateAccessKey", false),
        ("Allow | iam:CreateAccessKey | arn:aws:iam::111111111111:user/ann", "iam:CreateAccessKey", true),
        ("Allow | iam:PassRole | arn:aws:iam::111111111111:role/app", "iam:PassRole", false),
        ("Allow | iam:PassRole | arn:aws:iam::111111111111:role/*", "iam:PassRole", true),
        ("Allow | sts:AssumeRole | *", "sts:AssumeRole", true),
        ("Allow | sts:AssumeRole | arn:aws:iam::222222222222:role/reader", "sts:AssumeRole", false),
        ("Allow | lambda:UpdateFunctionCode | arn:aws:lambda:*:*:function:*", "lambda:UpdateFunctionCode", true),
        ("Allow | s3:* | *", "s3:PutBucketPolicy", true),
        ("Allow | s3:* | *", "s3:GetObject", false),
    ] {
        let principal = role(&[statement], None);
        assert_eq!(holds(&privileged(&principal, Privileges::get()), action), want, "{statement}");
    }
}
