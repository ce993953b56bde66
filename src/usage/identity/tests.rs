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
            instance: String::new(),
            owner: None,
            region: String::new(),
            permission_sets: Vec::new(),
            assignments: Vec::new(),
            users: vec![IdentityCenterUser {
                id: "u-1".into(),
                user_name: "ada.l".into(),
                email: "ada@example.com".into(),
                groups: vec!["g-1".into()],
            }],
            outdated: Vec::new(),
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
        role_arn: "".into(),
        by: SessionId::of(by),
        time: Timestamp::default(),
        event_id: "".into(),
    }
}

fn resolve(identities: &[Identity], issued: &[IssuedCredential]) -> Vec<Actor> {
    let snapshot = snapshot();
    let people = People::of(&snapshot);
    let sessions = identities.iter().map(|i| (SessionId::of(i), i.clone())).collect();
    let done = Resolver::new(&snapshot, &people, &sessions, issued).resolve_all();
    identities.iter().map(|i| (*done[&SessionId::of(i)]).clone()).collect()
}

fn chain(actor: &Actor) -> Vec<&str> {
    actor.hops.iter().map(|hop| hop.principal.as_str()).collect()
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
    assert_eq!(chain(&actors[2]), [ada.arn.as_str(), "arn:aws:iam::111111111111:role/team/admin"]);
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
    assert!(actors[4].machine && chain(&actors[4]) == ["token.actions.githubusercontent.com"]);
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
fn callers_of_other_accounts_are_known_by_their_ids() {
    let foreign = |id: &str| Identity {
        kind: "AWSAccount".into(),
        account: "222222222222".into(),
        principal_id: id.into(),
        ..Identity::default()
    };
    let (ada, cai, bob) = (user("ada", "AKIA1"), user("cai", "AKIA2"), user("bob", "AKIA3"));
    let center = Identity { issuer_arn: SSO_ROLE.into(), ..role("center", "ada.l", "ASIA9") };
    // Nothing but the copies of their calls is there of the role `hop`, of a second session of Identity Center and of cai.
    let copies = [
        foreign("AROAhop:h"),
        foreign("AROAcenter:bob@example.com"),
        foreign("AIDAcai"),
        foreign("AROAnobody:x"),
        foreign("AROAhop:twice"),
        foreign("111111111111:fed"),
        foreign(""),
    ];
    let ends: Vec<Identity> =
        (0..copies.len()).map(|n| role("end", &format!("e{n}"), &format!("ASIAend{n}"))).collect();
    let assumed = |key: &str, session: &str, by: &Identity, event: &str| IssuedCredential {
        role_arn: "arn:aws:iam::222222222222:role/path/hop".into(),
        ..at(key, session, by, event, "2026-01-05T10:00:00Z")
    };
    let mut calls = vec![
        assumed("ASIA1", "AROAhop:h", &ada, "e1"),
        assumed("ASIA2", "AROAhop:twice", &ada, "e2"),
        assumed("ASIA3", "AROAhop:twice", &bob, "e3"),
        at("ASIA4", "111111111111:fed", &bob, "e4", "2026-01-05T10:00:00Z"),
    ];
    for (n, copy) in copies.iter().enumerate() {
        let (key, session) = (format!("ASIAend{n}"), format!("AROAend:e{n}"));
        calls.push(at(&key, &session, copy, &format!("c{n}"), "2026-01-05T10:05:00Z"));
    }
    let identities: Vec<Identity> = [ada, cai, bob, center].into_iter().chain(copies).chain(ends).collect();
    let actors = resolve(&identities, &calls);
    let (copies, ends) = actors[4..].split_at(7);
    let (hop, users) = ("arn:aws:iam::222222222222:role/path/hop", "arn:aws:iam::111111111111:user");
    for (n, person, basis, missing, chain_of) in [
        (0, Some("ada@example.com"), Basis::SessionName, Some("name_only"), vec![format!("{users}/ada"), hop.into()]),
        (1, Some("bob@example.com"), Basis::CredentialChain, None, vec![SSO_ROLE.to_owned()]),
        (2, Some("arn:aws:iam::111111111111:user/cai"), Basis::CredentialChain, None, vec![format!("{users}/cai")]),
        (3, None, Basis::None, Some("not_collected"), vec!["222222222222".into()]),
        (4, None, Basis::None, Some("not_collected"), vec![hop.into()]),
        (
            5,
            Some("bob@example.com"),
            Basis::SessionName,
            Some("name_only"),
            vec![format!("{users}/bob"), "222222222222".into()],
        ),
        (6, None, Basis::None, Some("not_collected"), vec!["222222222222".into()]),
    ] {
        let end = &ends[n];
        assert_eq!((end.person.as_deref(), end.basis), (person, basis), "{n}: {end:?}");
        assert_eq!(end.missing.as_ref().map(Missing::as_str), missing, "{n}: {end:?}");
        assert_eq!(chain(end), chain_of, "{n}");
        // A copy never makes a principal: its call is counted where the caller's own account recorded it.
        assert_eq!((copies[n].kind, &*copies[n].principal), (ActorKind::OtherAccount, "222222222222"));
    }
    assert_eq!(copies[4].missing, Some(Missing::SeveralCallers));
}

#[test]
fn subjects_of_web_identities_are_people_where_somebody_says_so() {
    for (provider, subject, person) in [
        ("token.actions.githubusercontent.com", "repo:acme/app:ref:refs/heads/main", None),
        ("oidc.eks.eu-west-1.amazonaws.com/id/A", "system:serviceaccount:web:app", None),
        ("accounts.google.com", "106611112222333344445", None),
        ("accounts.google.com", "build@acme.iam.gserviceaccount.com", None),
        ("accounts.google.com", "Eve@example.com", Some("eve@example.com")),
        ("acme.okta.com", "ada@example.com", Some("ada@example.com")),
        ("acme.okta.com", "ada.l", Some("ada@example.com")),
        // The roster names a program.
        ("acme.okta.com", "s1", None),
    ] {
        let web = Identity {
            kind: "WebIdentityUser".into(),
            user_name: subject.into(),
            provider: provider.into(),
            ..Identity::default()
        };
        let actor = &resolve(&[web], &[])[0];
        assert_eq!((actor.person.as_deref(), actor.machine), (person, person.is_none()), "{subject}");
    }
}

#[test]
fn whoever_an_application_acts_for_is_carried_on() {
    let mut session = role("app", "s", "ASIA1");
    session.on_behalf_of = "u-1".into();
    let function =
        Identity { kind: "AWSService".into(), invoked_by: "lambda.amazonaws.com".into(), ..Identity::default() };
    let actors = resolve(&[session, function.clone()], &[issued("ASIA1", "AROAapp:s", &function)]);
    assert_eq!((actors[0].person.as_deref(), actors[0].machine), (Some("ada@example.com"), false));
    assert_eq!(actors[0].basis, Basis::IdentityCenter);
}

#[test]
fn what_a_record_does_not_name_is_not_made_up() {
    let hidden = Identity {
        kind: "IAMUser".into(),
        account: "111111111111".into(),
        user_name: "HIDDEN_DUE_TO_SECURITY_REASONS".into(),
        ..Identity::default()
    };
    let mut gone = user("gone", "AKIA1");
    let mut there = user("there", "AKIA2");
    (gone.arn, there.arn) = (String::new(), there.arn.replace("arn:aws:", "arn:aws-cn:"));
    let actors = resolve(&[hidden, gone, there], &[]);
    assert_eq!((actors[0].kind, actors[0].person.as_deref()), (ActorKind::Unknown, None));
    assert_eq!(actors[1].principal, "arn:aws-cn:iam::111111111111:user/gone");
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

fn in_account(mut identity: Identity, account: &str) -> Identity {
    for text in [&mut identity.arn, &mut identity.issuer_arn, &mut identity.account] {
        *text = text.replace("111111111111", account);
    }
    identity
}

fn at(key: &str, session: &str, by: &Identity, event: &str, time: &str) -> IssuedCredential {
    IssuedCredential { event_id: event.into(), time: time.parse().unwrap(), ..issued(key, session, by) }
}

fn resolve_with(identities: &[Identity], issued: &[IssuedCredential], logs: Logs) -> Vec<Actor> {
    let snapshot = snapshot();
    let people = People::of(&snapshot);
    let sessions = identities.iter().map(|i| (SessionId::of(i), i.clone())).collect();
    let done = Resolver::new(&snapshot, &people, &sessions, issued).with_logs(logs).resolve_all();
    identities.iter().map(|i| (*done[&SessionId::of(i)]).clone()).collect()
}

#[test]
fn three_hops_across_accounts_lead_to_the_person() {
    let ada = user("ada", "AKIA1");
    let first = role("jump", "a", "ASIA1");
    let second = in_account(role("middle", "b", "ASIA2"), "222222222222");
    let third = in_account(role("end", "c", "ASIA3"), "333333333333");
    let copy = Identity { kind: "AWSAccount".into(), account: "222222222222".into(), ..Identity::default() };
    let calls = [
        at("ASIA1", "AROAjump:a", &ada, "e1", "2026-01-01T10:00:00Z"),
        at("ASIA2", "AROAmiddle:b", &first, "e2", "2026-01-01T10:01:00Z"),
        at("ASIA3", "AROAend:c", &second, "e3", "2026-01-01T10:02:00Z"),
        // The role's account sees the caller's account only.
        at("ASIA3", "AROAend:c", &copy, "e3b", "2026-01-01T10:02:00Z"),
    ];
    let actors = resolve(&[ada.clone(), copy, first, second, third], &calls);
    let end = &actors[4];
    assert_eq!(
        (end.person.as_deref(), end.basis, &end.missing),
        (Some("ada@example.com"), Basis::CredentialChain, &None)
    );
    let hops: Vec<(&str, &str, &str, Told)> = end
        .hops
        .iter()
        .map(|hop| (hop.principal.as_str(), hop.session_name.as_str(), hop.event_id.as_str(), hop.told))
        .collect();
    let wanted = [
        (ada.arn.as_str(), "", "e1", Told::Key),
        ("arn:aws:iam::111111111111:role/team/jump", "a", "e2", Told::Key),
        ("arn:aws:iam::222222222222:role/team/middle", "b", "e3", Told::Key),
    ];
    assert_eq!(hops, wanted);
    assert_eq!((end.start(), end.hops[2].account.as_str()), (ada.arn.as_str(), "222222222222"));
}

#[test]
fn a_missing_link_says_why() {
    let middle = role("middle", "b", "ASIA2");
    let end = role("end", "c", "ASIA3");
    let machine = role("app", "i-0123456789abcdef0", "ASIA4");
    let foreign = Identity { kind: "AWSAccount".into(), account: "999999999999".into(), ..Identity::default() };
    let own = Identity { kind: "AWSAccount".into(), account: "111111111111".into(), ..Identity::default() };
    let (vendor, copied) = (role("vendor", "v", "ASIA5"), role("copied", "v", "ASIA6"));
    let mut assumed_root =
        Identity { kind: "Root".into(), account: "1".into(), access_key: "ASIA7".into(), ..Identity::default() };
    assumed_root.assumed_root = true;
    let early = role("early", "e", "ASIA8");
    let named = Identity { source_identity: "bob@example.com".into(), ..role("named", "n", "ASIA9") };
    let calls = [
        at("ASIA3", "AROAend:c", &middle, "e3", "2026-01-05T10:00:00Z"),
        at("ASIA5", "AROAvendor:v", &foreign, "e5", "2026-01-05T10:00:00Z"),
        at("ASIA6", "AROAcopied:v", &own, "e6", "2026-01-05T10:00:00Z"),
    ];
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let seen = |identity: &Identity, text: &str| (SessionId::of(identity), (time(text), time(text)));
    let logs = Logs {
        from: Some(time("2026-01-01T00:00:00Z")),
        seen: [seen(&early, "2026-01-01T11:59:00Z"), seen(&middle, "2026-01-05T00:00:00Z")].into(),
        collected: ["111111111111".to_owned()].into(),
    };
    let identities =
        [middle, end, machine, foreign, own, vendor, copied, assumed_root, early, named, user("ada", "AKIA1")];
    let actors = resolve_with(&identities, &calls, logs);
    let missing = |at: usize| actors[at].missing.as_ref().map(Missing::as_str);
    for (at, want) in [
        (0, Some("no_record")),
        // The first link is missing, the second is there.
        (1, Some("no_record")),
        (2, Some("workload")),
        (3, None),
        (5, Some("not_collected")),
        (6, Some("copy_only")),
        (7, Some("no_record")),
        (8, Some("before_logs")),
        (9, Some("no_record")),
        (10, None),
    ] {
        assert_eq!(missing(at), want, "{at}: {:?}", actors[at]);
    }
    assert_eq!(
        (chain(&actors[1]), actors[1].person.as_deref()),
        (vec!["arn:aws:iam::111111111111:role/team/middle"], None)
    );
    assert!(actors[2].machine && actors[2].person.is_none());
    assert_eq!(
        actors[5].missing.as_ref().unwrap().about(),
        "obtained by account 999999999999, whose logs are not collected"
    );
    assert_eq!((actors[9].person.as_deref(), actors[9].basis), (Some("bob@example.com"), Basis::SourceIdentity));
}

#[test]
fn names_link_only_calls_near_the_session_and_say_so() {
    let (ada, bob) = (user("ada", "AKIA1"), user("bob", "AKIA2"));
    // The console changes the key within a session: this one was never handed out.
    let session = role("admin", "shared", "ASIA9");
    let id = SessionId::of(&session);
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let ada_call = at("ASIA1", "AROAadmin:shared", &ada, "e1", "2026-01-05T09:00:00Z");
    let again = at("ASIA3", "AROAadmin:shared", &ada, "e3", "2026-01-05T09:30:00Z");
    let bob_call = at("ASIA2", "AROAadmin:shared", &bob, "e2", "2026-01-05T09:10:00Z");
    let long_ago = at("ASIA4", "AROAadmin:shared", &bob, "e4", "2025-12-01T09:00:00Z");
    let later = at("ASIA5", "AROAadmin:shared", &bob, "e5", "2026-01-06T09:00:00Z");
    let identities = [ada, bob, session];
    for (calls, person, missing, event) in [
        (vec![ada_call.clone()], Some("ada@example.com"), "name_only", "e1"),
        (vec![ada_call.clone(), again], Some("ada@example.com"), "name_only", ""),
        (vec![ada_call.clone(), bob_call], None, "several_callers", "-"),
        (vec![ada_call, long_ago.clone(), later.clone()], Some("ada@example.com"), "name_only", "e1"),
        (vec![long_ago, later], None, "no_record", "-"),
    ] {
        let logs = Logs {
            seen: [(id, (time("2026-01-05T10:00:00Z"), time("2026-01-05T11:00:00Z")))].into(),
            ..Logs::default()
        };
        let actors = resolve_with(&identities, &calls, logs);
        let actor = &actors[2];
        assert_eq!(actor.person.as_deref(), person, "{calls:?}");
        assert_eq!(actor.missing.as_ref().map(Missing::as_str), Some(missing), "{calls:?}");
        assert_eq!(actor.hops.first().map_or("-", |hop| hop.event_id.as_str()), event, "{calls:?}");
        assert!(actor.hops.iter().all(|hop| hop.told == Told::Name));
        let basis = if person.is_some() { Basis::SessionName } else { Basis::None };
        assert_eq!((actor.basis, actor.sure_person(), actor.likely_person()), (basis, None, person));
    }
}

#[test]
fn tokens_of_users_and_circles() {
    let long_lived = user("ada", "AKIA1");
    let token = user("ada", "ASIA1");
    let looped = role("loop", "s", "ASIA7");
    let calls = [
        at("ASIA1", "", &long_lived, "e1", "2026-01-05T09:00:00Z"),
        at("ASIA7", "AROAloop:s", &looped, "e2", "2026-01-05T09:00:00Z"),
    ];
    let actors = resolve(&[long_lived.clone(), token, looped], &calls);
    assert_eq!((chain(&actors[1]), &actors[1].missing), (vec![long_lived.arn.as_str()], &None));
    assert_eq!(actors[1].person.as_deref(), Some("ada@example.com"));
    assert_eq!(actors[2].missing, Some(Missing::Circle));
}

#[test]
fn only_the_reserved_path_makes_an_identity_center_role() {
    let mallory = user("zoe", "AKIA9");
    let name = "AWSReservedSSO_Admin_0123456789abcdef";
    let own = role(name, "ceo@corp.example", "ASIA1");
    let real = Identity { issuer_arn: SSO_ROLE.into(), ..own.clone() };
    let bare = Identity { issuer_arn: String::new(), account: "999999999999".into(), ..own.clone() };
    let bare = Identity { arn: bare.arn.replace("111111111111", "999999999999"), ..bare };
    let saml = Identity { kind: "SAMLUser".into(), user_name: "CEO@corp.example".into(), ..Identity::default() };
    let call = |by: &Identity| vec![issued("ASIA1", &own.principal_id, by)];
    let ceo = Some("ceo@corp.example");
    let her = Some("arn:aws:iam::111111111111:user/zoe");
    for (session, calls, person, basis) in [
        (&own, vec![], None, Basis::None),
        (&own, call(&mallory), her, Basis::CredentialChain),
        (&real, vec![], ceo, Basis::IdentityCenter),
        (&real, call(&saml), ceo, Basis::IdentityCenter),
        (&real, call(&mallory), her, Basis::CredentialChain),
        // All that is known is the session's ARN, which has no path.
        (&bare, vec![], ceo, Basis::IdentityCenter),
        (&bare, call(&mallory), her, Basis::CredentialChain),
    ] {
        let actor = resolve(&[mallory.clone(), saml.clone(), session.clone()], &calls).remove(2);
        assert_eq!((actor.person.as_deref(), actor.basis), (person, basis), "{session:?} {calls:?}");
    }
}

#[test]
fn the_start_of_a_session_tells_more_than_its_name() {
    let (ada, bob) = (user("ada", "AKIA1"), user("bob", "AKIA2"));
    let logs = |id, at: &str| {
        let at: Timestamp = at.parse().unwrap();
        Logs { seen: [(id, (at, at))].into(), from: "2026-01-04".parse().ok(), ..Logs::default() }
    };
    let made = |created: &str| Identity { created: created.into(), ..role("admin", "shared", "ASIA9") };
    let first = at("ASIA1", "AROAadmin:shared", &ada, "e1", "2026-01-05T09:00:00Z");
    let other = at("ASIA2", "AROAadmin:shared", &bob, "e2", "2026-01-05T09:00:01Z");
    let unreadable = IssuedCredential {
        role_arn: "arn:aws:iam::111111111111:role/team/admin".into(),
        ..at("", "", &bob, "e3", "2026-01-05T09:00:00Z")
    };
    let (a, b) = (Some("ada@example.com"), Some("bob@example.com"));
    for (created, used, calls, person, basis, missing) in [
        ("2026-01-05T09:00:00Z", "2026-01-05T10:00:00Z", vec![&first, &other], a, Basis::CredentialChain, None),
        ("2026-01-05T09:00:01Z", "2026-01-05T10:00:00Z", vec![&first, &other], b, Basis::CredentialChain, None),
        // Nothing lives longer than twelve hours, whatever its record says.
        ("2026-01-05T09:00:00Z", "2026-01-05T21:01:00Z", vec![&first], None, Basis::None, Some("no_record")),
        // Made later than what was handed out, as a session of the console: its name is all that leads there.
        ("2026-01-05T09:30:00Z", "2026-01-05T10:00:00Z", vec![&first], a, Basis::SessionName, Some("name_only")),
        ("2026-01-05T08:59:00Z", "2026-01-05T10:00:00Z", vec![&first], None, Basis::None, Some("no_record")),
        ("2026-01-03T23:00:00Z", "2026-01-04T01:00:00Z", vec![], None, Basis::None, Some("before_logs")),
        // A role's session lives twelve hours, not thirty-six.
        ("", "2026-01-05T20:59:00Z", vec![&first], a, Basis::SessionName, Some("name_only")),
        ("", "2026-01-05T21:01:00Z", vec![&first], None, Basis::None, Some("no_record")),
        ("", "2026-01-05T10:00:00Z", vec![&unreadable], None, Basis::None, Some("unreadable")),
        ("", "2026-01-06T10:00:00Z", vec![&unreadable], None, Basis::None, Some("no_record")),
    ] {
        let session = made(created);
        let calls: Vec<_> = calls.into_iter().cloned().collect();
        let logs = logs(SessionId::of(&session), used);
        let actor = resolve_with(&[ada.clone(), bob.clone(), session], &calls, logs).remove(2);
        let found = actor.missing.as_ref().map(Missing::as_str);
        assert_eq!((actor.person.as_deref(), actor.basis, found), (person, basis, missing), "{created} {used}");
    }
}
