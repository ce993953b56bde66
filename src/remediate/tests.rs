use std::collections::BTreeMap;

use proptest::prelude::*;

use super::effect::{Conflict, Effect};
use super::*;
use crate::model::snapshot::{AccountIam, Attachment, Holder, ManagedPolicy, NamedDocument, Role, User};

const ACCOUNT: &str = "111122223333";

fn holder(kind: &str, name: &str) -> Holder {
    Holder {
        arn: format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}").parse().unwrap(),
        name: name.into(),
        path: "/".into(),
        id: format!("ID{name}"),
        created: None,
        inline: vec![NamedDocument { name: "own".into(), json: "{ \"Version\": \"2012-10-17\" }\n".into() }],
        attached: vec![Attachment { name: "shared".into(), arn: format!("arn:aws:iam::{ACCOUNT}:policy/shared") }],
        boundary: None,
        tags: BTreeMap::new(),
    }
}

fn account() -> AccountIam {
    let policy = |name: &str| ManagedPolicy {
        arn: format!("arn:aws:iam::{ACCOUNT}:policy/{name}"),
        name: name.into(),
        id: String::new(),
        version_created: None,
        version_id: "v1".into(),
        json: "{}".into(),
    };
    AccountIam {
        account: ACCOUNT.parse().unwrap(),
        captured_at: Timestamp::default(),
        users: vec![User { holder: holder("user", "u"), groups: vec!["g".into()] }],
        groups: Vec::new(),
        roles: vec![Role {
            holder: holder("role", "r"),
            trust: "{}".into(),
            last_used: None,
            instance_profiles: Vec::new(),
        }],
        policies: vec![policy("other"), policy("shared")],
    }
}

fn effect() -> impl Strategy<Value = Effect> {
    let name = prop::sample::select(vec!["r", "u", "nobody"]);
    let policy = prop::sample::select(vec!["own", "new"]);
    let arn = prop::sample::select(vec!["shared", "other", "jitscan/x"])
        .prop_map(|name| format!("arn:aws:iam::{ACCOUNT}:policy/{name}"));
    let group = prop::sample::select(vec!["g", "h"]);
    (0..13usize, name, policy, arn, group, "[a-z{}\" \n]{0,12}").prop_map(
        |(kind, name, policy, arn, group, document)| {
            let (name, policy, group) = (name.to_owned(), policy.to_owned(), group.to_owned());
            let role_arn = format!("arn:aws:iam::{ACCOUNT}:role/jitscan/{name}-jit");
            match kind {
                0 => Effect::PutRolePolicy { role: name, policy, document },
                1 => Effect::DeleteRolePolicy { role: name, policy },
                2 => Effect::PutUserPolicy { user: name, policy, document },
                3 => Effect::DeleteUserPolicy { user: name, policy },
                4 => Effect::AttachRolePolicy { role: name, policy: arn },
                5 => Effect::DetachRolePolicy { role: name, policy: arn },
                6 => Effect::AttachUserPolicy { user: name, policy: arn },
                7 => Effect::DetachUserPolicy { user: name, policy: arn },
                8 => Effect::AddUserToGroup { user: name, group },
                9 => Effect::RemoveUserFromGroup { user: name, group },
                10 => Effect::CreatePolicy { policy: arn, document },
                11 => Effect::DeletePolicy { policy: arn },
                _ => Effect::CreateRole {
                    role: role_arn,
                    trust: document,
                    boundary: None,
                    max_session_seconds: 3600,
                    tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
                },
            }
        },
    )
}

proptest! {
    /// Whatever is made can be taken back, byte for byte; and what does not fit changes nothing.
    #[test]
    fn every_call_is_taken_back_by_its_undo(effects in prop::collection::vec(effect(), 0..12)) {
        let start = account();
        let mut iam = start.clone();
        let mut undo = Vec::new();
        for effect in &effects {
            let before = iam.clone();
            match effect.make(&mut iam) {
                Ok(back) => undo.push(back),
                Err(_) => prop_assert_eq!(&before, &iam),
            }
        }
        for back in undo.into_iter().rev() {
            prop_assert!(back.make(&mut iam).is_ok(), "{:?}", back);
        }
        // Creating a policy anew loses what IAM numbers: id, version and dates.
        prop_assert_eq!(iam, start);
    }

    /// A plan is read back as it was written.
    #[test]
    fn a_plan_survives_its_file(effects in prop::collection::vec(effect(), 0..6)) {
        let steps = effects
            .into_iter()
            .map(|effect| Step { about: "x".into(), undo: effect.clone(), effect })
            .collect();
        let change = Change {
            principal: format!("arn:aws:iam::{ACCOUNT}:role/r"),
            id: "IDr".into(),
            account: ACCOUNT.parse().unwrap(),
            reasons: Vec::new(),
            state: "0".into(),
            roles: Vec::new(),
            granted: 2,
            removed: 1,
            steps,
        };
        let mut plan = Plan {
            form: FORM,
            hash: String::new(),
            as_of: Timestamp::default(),
            generation: 1,
            snapshot: "s".into(),
            catalogue: "c".into(),
            failing: Failing::Unwind,
            grants: Vec::new(),
            changes: vec![change],
            left: Vec::new(),
        };
        plan.hash = plan.hashed();
        let text = serde_json::to_string_pretty(&plan).unwrap();
        let back: Plan = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back.hashed(), &plan.hash);
        prop_assert_eq!(back, plan);
    }
}

#[test]
fn names_of_roles_are_unique_whatever_their_path() {
    let mut iam = account();
    let create = Effect::CreateRole {
        role: format!("arn:aws:iam::{ACCOUNT}:role/jitscan/R"),
        trust: "{}".into(),
        boundary: None,
        max_session_seconds: 3600,
        tags: BTreeMap::new(),
    };
    assert!(matches!(create.make(&mut iam), Err(Conflict::Exists(_))));
}

#[test]
fn calls_are_those_of_the_aws_cli() {
    let create = Effect::CreateRole {
        role: format!("arn:aws:iam::{ACCOUNT}:role/jitscan/team/jit-x"),
        trust: "{\"a\": 1}".into(),
        boundary: Some("arn:aws:iam::aws:policy/ReadOnlyAccess".into()),
        max_session_seconds: 7200,
        tags: BTreeMap::from([("jitscan:principal".to_owned(), "p".to_owned())]),
    };
    assert_eq!(
        create.arguments(),
        [
            "iam",
            "create-role",
            "--role-name",
            "jit-x",
            "--path",
            "/jitscan/team/",
            "--assume-role-policy-document",
            "{\"a\": 1}",
            "--max-session-duration",
            "7200",
            "--permissions-boundary",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "--tags",
            "Key=jitscan:principal,Value=p"
        ]
    );
}
