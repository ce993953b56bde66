//! What the executor of changes may do, as the engine sees the policy that is printed for it.

use jitscan::executor::permissions::Managed;
use serde_json::json;

use super::super::Place;

fn managed() -> Managed {
    Managed {
        role_name: "jitscan-remediate".to_owned(),
        starts: true,
        tag: Some(("jitscan:managed".to_owned(), "true".to_owned())),
        paths: Vec::new(),
        groups: vec!["developers".to_owned()],
        trusts: vec!["pipeline".to_owned()],
        permission_sets: true,
    }
}

/// What `policy test` says to a call of the executor that starts.
fn decision(place: &Place, managed: &Managed, action: &str, resource: &str, tag: Option<&str>) -> String {
    let account = "111122223333";
    let mut context = serde_json::Map::new();
    context.extend(tag.map(|value| ("aws:ResourceTag/jitscan:managed".to_owned(), json!(value))));
    let open = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "AWS": format!("arn:aws:iam::{account}:root") }, "Action": "sts:AssumeRole"
    } });
    let case = json!({
        "id": "x",
        "request": {
            "principal": format!("arn:aws:sts::{account}:assumed-role/jitscan-remediate-central/s"),
            "principal_role_arn": format!("arn:aws:iam::{account}:role/jitscan-remediate-central"),
            "action": action,
            "resource": if resource.starts_with("arn:") {
                resource.to_owned()
            } else {
                format!("arn:aws:iam::{account}:{resource}")
            },
            "resource_account": account,
            "context": context,
        },
        "identity_policies": [managed.policy()],
        "resource_policy": if action.starts_with("sts:") { open } else { json!(null) },
    });
    std::fs::write(place.path("case.jsonl"), case.to_string()).unwrap();
    place.rows("policy test case.jsonl")[0]["decision"].as_str().unwrap().to_owned()
}

#[test]
fn it_changes_what_it_was_told_to_manage_and_never_itself() {
    let place = Place::new();
    let tagged = managed();
    let no_sets = Managed { permission_sets: false, ..managed() };
    let below = Managed { tag: None, paths: vec!["/team/".to_owned()], ..managed() };
    let (yes, no, never) = ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied");
    for (managed, action, resource, tag, want) in [
        (&tagged, "iam:PutRolePolicy", "role/app", Some("true"), yes),
        (&tagged, "iam:PutRolePolicy", "role/app", Some("false"), no),
        (&tagged, "iam:PutRolePolicy", "role/app", None, no),
        (&tagged, "iam:UpdateAssumeRolePolicy", "role/app", Some("true"), no),
        (&tagged, "iam:UpdateAssumeRolePolicy", "role/ci/pipeline", None, yes),
        (&tagged, "iam:UpdateAssumeRolePolicy", "role/jitscan-remediate", None, never),
        (&tagged, "iam:AttachUserPolicy", "user/x/ann", Some("true"), yes),
        (&tagged, "iam:CreateAccessKey", "user/x/ann", Some("true"), no),
        (&tagged, "iam:UpdateAssumeRolePolicy", "role/app", Some("true"), no),
        // Itself, whatever tag somebody gave it.
        (&tagged, "iam:PutRolePolicy", "role/jitscan-remediate", Some("true"), never),
        (&tagged, "iam:PutRolePolicy", "role/x/jitscan-remediate", Some("true"), never),
        (&tagged, "iam:DeleteRolePolicy", "role/jitscan-remediate-central", Some("true"), never),
        (&tagged, "iam:TagRole", "role/app", None, no),
        // What it makes, which it cannot enter.
        (&tagged, "iam:CreateRole", "role/jitscan/jit-x", None, yes),
        (&tagged, "iam:PutRolePolicy", "role/jitscan/jit-x", None, yes),
        (&tagged, "iam:CreateRole", "role/jit-x", None, no),
        (&tagged, "iam:CreatePolicy", "policy/jitscan/p", None, yes),
        (&tagged, "iam:CreatePolicyVersion", "policy/jitscan/p", None, no),
        (&tagged, "sts:AssumeRole", "role/jitscan/jit-x", None, never),
        (&tagged, "sts:AssumeRole", "role/jitscan-remediate", None, yes),
        (&tagged, "sts:AssumeRole", "role/app", Some("true"), no),
        (&tagged, "iam:RemoveUserFromGroup", "group/developers", None, yes),
        (&tagged, "iam:AddUserToGroup", "group/admins", None, no),
        // Permission sets, and never who has them.
        (&tagged, "sso:PutInlinePolicyToPermissionSet", "arn:aws:sso:::permissionSet/ssoins-1/ps-1", None, yes),
        (&tagged, "sso:CreatePermissionSet", "arn:aws:sso:::instance/ssoins-1", None, yes),
        (&tagged, "sso:CreateAccountAssignment", "arn:aws:sso:::account/111122223333", None, never),
        (&tagged, "sso:UpdatePermissionSet", "arn:aws:sso:::permissionSet/ssoins-1/ps-1", None, no),
        (&no_sets, "sso:PutInlinePolicyToPermissionSet", "arn:aws:sso:::permissionSet/ssoins-1/ps-1", None, no),
        (&below, "iam:PutRolePolicy", "role/team/app", None, yes),
        (&below, "iam:PutRolePolicy", "role/other/app", Some("true"), no),
    ] {
        assert_eq!(decision(&place, managed, action, resource, tag), want, "{action} {resource} {tag:?}");
    }
}
