use super::*;
use crate::model::snapshot::{IdentityCenter, IdentityCenterUser, RosterEntry};
use crate::model::time::Timestamp;

const SSO_ROLE: &str =
    "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef";

fn entry(id: &str, email: &str, kind: RosterKind, iam_users: &[&str]) -> RosterEntry {
    RosterEntry {
        id: id.into(),
        name: String::new(),
        email: email.into(),
        manager: String::new(),
        team: String::new(),
        kind,
        start: None,
        end: None,
        iam_users: iam_users.iter().map(|user| (*user).to_owned()).collect(),
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        roster: vec![
            entry("e1", "Ada@example.com", RosterKind::Human, &["arn:aws:iam::111111111111:user/ada"]),
            entry("e2", "bob@example.com", RosterKind::Human, &["bob"]),
            entry("s1", "", RosterKind::Service, &["deployer"]),
        ],
        identity_center: Some(IdentityCenter {
            captured_at: Timestamp::default(),
            permission_sets: Vec::new(),
            assignments: Vec::new(),
            users: vec![IdentityCenterUser {
                id: "u-1".into(),
                user_name: "ada.l".into(),
                email: "ada@example.com".into(),
                groups: vec!["g-1".into()],
            }],
        }),
        ..Snapshot::default()
    }
}

fn user(name: &str, key: &str) -> Identity {
    Identity {
        kind: "IAMUser".into(),
        principal_id: format!("AIDA{name}"),
        arn: format!("arn:aws:iam::111111111111:user/{name}"),
        account: "111111111111".into(),
        access_key: key.into(),
        user_name: name.into(),
        ..Identity::default()
    }
}

fn role(name: &str, session: &str, key: &str) -> Identity {
    Identity {
        kind: "AssumedRole".into(),
        principal_id: format!("AROA{name}:{session}"),
        arn: format!("arn:aws:sts::111111111111:assumed-role/{name}/{session}"),
        account: "111111111111".into(),
        access_key: key.into(),
        issuer_kind: "Role".into(),
        issuer_arn: format!("arn:aws:iam::111111111111:role/team/{name}"),
        issuer_id: format!("AROA{name}"),
        ..Identity::default()
    }
}

fn issued(key: &str, session: &str, by: &Identity) -> IssuedCredential {
    IssuedCredential {
        access_key: key.into(),
        session_principal_id: session.into(),
        role_arn: String::new(),
        by: SessionId::of(by),
        time: Timestamp::default(),
        event_id: String::new(),
    }
}

fn resolve(identities: &[Identity], issued: &[IssuedCredential]) -> Vec<Actor> {
    let snapshot = snapshot();
    let people = People::of(&snapshot);
    let sessions = identities.iter().map(|i| (SessionId::of(i), i.clone())).collect();
    let done = Resolver::new(&snapshot, &people, &sessions, issued).resolve_all();
    identities.iter().map(|i| done[&SessionId::of(i)].clone()).collect()
}

#[test]
fn users_belong_to_their_owner_or_to_themselves() {
    let actors =
        resolve(&[user("ada", "AKIA1"), user("bob", "AKIA2"), user("zoe", "AKIA3"), user("deployer", "AKIA4")], &[]);
    let people: Vec<&str> = actors.iter().map(|a| a.person.as_deref().unwrap_or("")).collect();
    assert_eq!(people, ["ada@example.com", "bob@example.com", "arn:aws:iam::111111111111:user/zoe", ""]);
    assert_eq!(actors.iter().map(|a| a.machine).collect::<Vec<_>>(), [false, false, false, true]);
}

#[test]
fn who_obtained_the_credentials_decides_not_the_session_name() {
    let ada = user("ada", "AKIA1");
    let first = role("admin", "bob@example.com", "ASIA1");
    let second = role("deeper", "x", "ASIA2");
    let actors = resolve(
        &[ada.clone(), first.clone(), second],
        &[issued("ASIA1", "AROAadmin:bob@example.com", &ada), issued("ASIA2", "AROAdeeper:x", &first)],
    );
    assert_eq!(actors[1].person.as_deref(), Some("ada@example.com"));
    assert_eq!(actors[1].basis, Basis::CredentialChain);
    assert_eq!(actors[2].person.as_deref(), Some("ada@example.com"));
    assert_eq!(actors[2].principal, "arn:aws:iam::111111111111:role/team/deeper");
    assert_eq!(actors[2].chain, [ada.arn.as_str(), "arn:aws:iam::111111111111:role/team/admin"]);
}

#[test]
fn a_session_name_alone_is_a_claim() {
    let actors = resolve(&[role("admin", "bob@example.com", "ASIA9")], &[]);
    assert_eq!((actors[0].person.as_deref(), actors[0].basis), (None, Basis::None));
    let mut with_source = role("admin", "whatever", "ASIA9");
    with_source.source_identity = "bob@example.com".into();
    let actors = resolve(&[with_source], &[]);
    assert_eq!((actors[0].person.as_deref(), actors[0].basis), (Some("bob@example.com"), Basis::SourceIdentity));
}

#[test]
fn shared_session_names_do_not_name_a_person() {
    let (ada, bob) = (user("ada", "AKIA1"), user("bob", "AKIA2"));
    let session = role("admin", "shared", "");
    let both = [issued("ASIA1", "AROAadmin:shared", &ada), issued("ASIA2", "AROAadmin:shared", &bob)];
    let actors = resolve(&[ada.clone(), bob, session.clone()], &both);
    assert_eq!(actors[2].person, None);
    let actors = resolve(&[ada.clone(), session], &[issued("ASIA1", "AROAadmin:shared", &ada)]);
    assert_eq!(actors[1].person.as_deref(), Some("ada@example.com"));
}

#[test]
fn identity_center_roles_name_the_person() {
    let mut session = role("AWSReservedSSO_Admin_0123456789abcdef", "ada.l", "ASIA1");
    session.issuer_arn = SSO_ROLE.into();
    let mut by_id = session.clone();
    by_id.principal_id = "AROAx:renamed".into();
    by_id.on_behalf_of = "u-1".into();
    let actors = resolve(&[session, by_id], &[]);
    for actor in &actors {
        assert_eq!((actor.person.as_deref(), actor.basis), (Some("ada@example.com"), Basis::IdentityCenter));
        assert_eq!(actor.principal, SSO_ROLE);
    }
}

#[test]
fn services_pipelines_and_copies() {
    let service =
        Identity { kind: "AWSService".into(), invoked_by: "lambda.amazonaws.com".into(), ..Identity::default() };
    let untyped = Identity { invoked_by: "config.amazonaws.com".into(), account: "1".into(), ..Identity::default() };
    let pipeline = Identity {
        kind: "WebIdentityUser".into(),
        user_name: "repo:acme/app:ref:refs/heads/main".into(),
        provider: "token.actions.githubusercontent.com".into(),
        ..Identity::default()
    };
    let function = role("function", "handler", "ASIA1");
    let deploy = role("deploy", "GitHubActions", "ASIA2");
    let copy = Identity { kind: "AWSAccount".into(), account: "222222222222".into(), ..Identity::default() };
    let actors = resolve(
        &[service.clone(), untyped, pipeline.clone(), function, deploy, copy],
        &[issued("ASIA1", "AROAfunction:handler", &service), issued("ASIA2", "AROAdeploy:GitHubActions", &pipeline)],
    );
    assert_eq!(actors[0].principal, "lambda.amazonaws.com");
    assert_eq!(actors[1].kind, ActorKind::Service);
    assert!(actors[3].machine && actors[3].person.is_none());
    assert!(actors[4].machine && actors[4].chain == ["token.actions.githubusercontent.com"]);
    assert_eq!(actors[5].kind, ActorKind::OtherAccount);
}

#[test]
fn the_copy_that_knows_the_caller_wins() {
    let ada = user("ada", "AKIA1");
    let copy = Identity { kind: "AWSAccount".into(), account: "111111111111".into(), ..Identity::default() };
    let session = role("cross", "x", "ASIA1");
    for order in [[&ada, &copy], [&copy, &ada]] {
        let credentials: Vec<_> = order.iter().map(|by| issued("ASIA1", "AROAcross:x", by)).collect();
        let actors = resolve(&[ada.clone(), copy.clone(), session.clone()], &credentials);
        assert_eq!(actors[2].person.as_deref(), Some("ada@example.com"));
    }
}

#[test]
fn odd_identities_still_resolve() {
    let mut no_arn = user("gone", "AKIA1");
    no_arn.arn = String::new();
    let mut bare = role("plain", "s", "ASIA1");
    bare.issuer_arn = String::new();
    let federated = Identity {
        kind: "FederatedUser".into(),
        arn: "arn:aws:sts::111111111111:federated-user/web".into(),
        principal_id: "111111111111:web".into(),
        account: "111111111111".into(),
        issuer_kind: "IAMUser".into(),
        issuer_arn: "arn:aws:iam::111111111111:user/ada".into(),
        issuer_id: "AIDAada".into(),
        ..Identity::default()
    };
    let mut invoked = user("ada", "AKIA1");
    invoked.invoked_by = "cloudformation.amazonaws.com".into();
    let looped = role("loop", "s", "ASIA7");
    let actors =
        resolve(&[no_arn, bare, federated, invoked, looped.clone()], &[issued("ASIA7", "AROAloop:s", &looped)]);
    assert_eq!(actors[0].principal, "arn:aws:iam::111111111111:user/gone");
    assert_eq!(actors[1].principal, "arn:aws:iam::111111111111:role/plain");
    assert_eq!(
        (actors[2].principal.as_str(), actors[2].person.as_deref()),
        ("arn:aws:iam::111111111111:user/ada", Some("ada@example.com"))
    );
    assert!(!actors[3].own_act && actors[3].kind == ActorKind::User);
    assert_eq!(actors[4].person, None);
}
