use super::super::effect::Effect;
use super::super::{Change, FORM, Failing, Grant, Step};
use super::*;
use crate::model::snapshot::{AccountIam, Holder, NamedDocument, Role, User};

const ACCOUNT: &str = "111122223333";
const ANYTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
const READING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}}"#;

fn arn(resource: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{resource}")
}

fn holder(resource: &str, json: &str) -> Holder {
    Holder {
        arn: arn(resource).parse().unwrap(),
        name: resource.rsplit('/').next().unwrap().into(),
        path: "/".into(),
        id: String::new(),
        created: None,
        inline: vec![NamedDocument { name: "own".into(), json: json.into() }],
        attached: Vec::new(),
        boundary: None,
        tags: BTreeMap::new(),
    }
}

/// Two administrators, who reads, and the executor, which may do what it is asked for.
fn state() -> Snapshot {
    let user = |name: &str, json: &str| User { holder: holder(&format!("user/{name}"), json), groups: Vec::new() };
    let role = |name: &str, json: &str| Role {
        holder: holder(&format!("role/{name}"), json),
        trust: TRUST.into(),
        last_used: None,
        instance_profiles: Vec::new(),
    };
    let iam = AccountIam {
        account: ACCOUNT.parse().unwrap(),
        captured_at: Timestamp::default(),
        users: vec![user("admin", ANYTHING), user("reader", READING)],
        groups: Vec::new(),
        roles: vec![role("admin-role", ANYTHING), role("executor", ANYTHING), role("glass", READING)],
        policies: Vec::new(),
    };
    Snapshot { accounts: [(iam.account, iam)].into(), ..Snapshot::default() }
}

fn takes(kind: &str, name: &str) -> Step {
    let (name, policy) = (name.to_owned(), "own".to_owned());
    let document = "{}".to_owned();
    let (effect, undo) = if kind == "user" {
        let undo = Effect::PutUserPolicy { user: name.clone(), policy: policy.clone(), document };
        (Effect::DeleteUserPolicy { user: name, policy }, undo)
    } else {
        let undo = Effect::PutRolePolicy { role: name.clone(), policy: policy.clone(), document };
        (Effect::DeleteRolePolicy { role: name, policy }, undo)
    };
    Step { about: "x".into(), effect, undo }
}

fn change(principal: &str, steps: Vec<Step>) -> Change {
    Change {
        principal: arn(principal),
        id: String::new(),
        account: ACCOUNT.parse().unwrap(),
        state: String::new(),
        roles: Vec::new(),
        reasons: Vec::new(),
        granted: 1,
        removed: 1,
        steps,
    }
}

fn plan(changes: Vec<Change>) -> Plan {
    Plan {
        form: FORM,
        hash: String::new(),
        as_of: Timestamp::default(),
        generation: 0,
        snapshot: String::new(),
        catalogue: String::new(),
        failing: Failing::Unwind,
        grants: Vec::new(),
        changes,
        left: Vec::new(),
    }
}

fn said_of(plan: &Plan, before: &Snapshot, executor: &str, caller: &str) -> String {
    let account: AccountId = ACCOUNT.parse().unwrap();
    let after = plan.after(before).unwrap_or_else(|_| before.clone());
    let all = objections(&Inputs {
        plan,
        before,
        after: &after,
        executors: &[(account, executor.to_owned())].into(),
        caller,
        break_glass: &[Glob::new("*:role/glass")],
        may_return: None,
        going_on: false,
        limits: Limits { principals: 2, share: 50 },
        at: Timestamp::from_seconds(1_700_000_000),
        catalog: Catalog::get(),
    });
    all.join("; ")
}

fn said(plan: &Plan) -> String {
    said_of(plan, &state(), &arn("role/executor"), &arn("user/admin"))
}

#[test]
fn nobody_is_locked_out() {
    let of = |principal: &str| {
        let (kind, name) = principal.split_once('/').unwrap();
        said(&plan(vec![change(principal, vec![takes(kind, name)])]))
    };
    assert_eq!(of("user/reader"), "");
    assert_eq!(of("role/admin-role"), "");
    assert!(of("user/admin").contains("is who asks for it"), "{}", of("user/admin"));
    assert!(of("role/executor").contains("would change itself"), "{}", of("role/executor"));
    assert!(of("role/glass").contains("break-glass"), "{}", of("role/glass"));
    // By the session of a role, too.
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/executor/jitscan-remediate");
    let own = plan(vec![change("role/executor", vec![takes("role", "executor")])]);
    assert!(said_of(&own, &state(), &session, &arn("user/admin")).contains("would change itself"));
}

#[test]
fn an_account_keeps_an_administrator() {
    let both = plan(vec![
        change("user/admin", vec![takes("user", "admin")]),
        change("role/admin-role", vec![takes("role", "admin-role")]),
    ]);
    // The executor of this state administers, too; with one that may only write policies nobody is left.
    let mut state = state();
    let iam = state.accounts.values_mut().next().unwrap();
    let writes = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:Put*Policy","iam:Delete*Policy"],"Resource":"*"}}"#;
    iam.roles.iter_mut().find(|role| role.holder.name == "executor").unwrap().holder.inline[0].json = writes.into();
    let caller = arn("user/reader");
    let found = said_of(&both, &state, &arn("role/executor"), &caller);
    assert!(found.contains("without an administrator") && found.contains("user/admin"), "{found}");
    let one = plan(vec![change("user/admin", vec![takes("user", "admin")])]);
    assert_eq!(said_of(&one, &state, &arn("role/executor"), &caller), "");
    // One that only a service enters is nobody's.
    let iam = state.accounts.values_mut().next().unwrap();
    let service = TRUST.replace(r#"{"AWS":"111122223333"}"#, r#"{"Service":"lambda.amazonaws.com"}"#);
    iam.roles.iter_mut().find(|role| role.holder.name == "admin-role").unwrap().trust = service;
    assert!(said_of(&one, &state, &arn("role/executor"), &caller).contains("without an administrator"));
}

#[test]
fn a_step_touches_its_own_principal_and_nothing_else() {
    for (principal, step) in [
        ("user/reader", takes("user", "admin")),
        ("user/reader", takes("role", "reader")),
        ("role/admin-role", takes("role", "executor")),
        ("user/reader", Step { undo: takes("user", "admin").undo, ..takes("user", "reader") }),
        (
            "user/reader",
            Step {
                about: "x".into(),
                effect: Effect::CreatePolicy { policy: arn("policy/own/p"), document: ANYTHING.into() },
                undo: Effect::DeletePolicy { policy: arn("policy/own/p") },
            },
        ),
        (
            "user/reader",
            Step {
                about: "x".into(),
                effect: Effect::CreateRole {
                    role: arn("role/jitscan/x"),
                    trust: TRUST.into(),
                    boundary: None,
                    max_session_seconds: 3600,
                    tags: BTreeMap::new(),
                },
                undo: Effect::DeleteRole { role: arn("role/jitscan/x") },
            },
        ),
    ] {
        let found = said(&plan(vec![change(principal, vec![step.clone()])]));
        assert!(found.contains("which is not its own"), "{principal} {step:?}: {found}");
    }
}

/// The trust policy that a plan makes for the reader.
fn closed() -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Eligible","Effect":"Allow","Principal":{{"AWS":"{}"}},
           "Action":["sts:AssumeRole","sts:SetSourceIdentity"],"Condition":{{
           "DateLessThan":{{"aws:CurrentTime":"1970-01-01T00:00:00Z"}},"StringEquals":{{"sts:SourceIdentity":["ann"]}}}}}}]}}"#,
        arn("user/reader")
    )
}

/// What is said of a grant of the reader's.
fn of_grant(role: &str, made: &str, trust: &str, document: &str, change: impl Fn(&mut Grant)) -> String {
    let name = made.rsplit('/').next().unwrap().to_owned();
    let create = Effect::CreateRole {
        role: arn(made),
        trust: trust.into(),
        boundary: None,
        max_session_seconds: 3600,
        tags: BTreeMap::new(),
    };
    let put = Effect::PutRolePolicy { role: name.clone(), policy: "access-1".into(), document: document.into() };
    let mut grant = Grant {
        role: arn(role),
        account: ACCOUNT.parse().unwrap(),
        principal: arn("user/reader"),
        id: String::new(),
        people: vec!["ann".into()],
        reach: BTreeMap::new(),
        source_identities: vec!["ann".into()],
        minutes: 60,
        reasons: Vec::new(),
        steps: vec![
            Step { about: "x".into(), effect: create, undo: Effect::DeleteRole { role: arn(made) } },
            Step {
                about: "x".into(),
                effect: put,
                undo: Effect::DeleteRolePolicy { role: name, policy: "access-1".into() },
            },
        ],
    };
    change(&mut grant);
    let mut plan = plan(Vec::new());
    plan.grants.push(grant);
    said(&plan)
}

#[test]
fn a_grant_makes_its_own_role_for_its_principal_alone() {
    let own = "role/jitscan/a";
    let fine = |trust: &str, document: &str| of_grant(own, own, trust, document, |_| {});
    assert_eq!(fine(&closed(), READING), "");
    assert!(of_grant("role/a", "role/a", &closed(), READING, |_| {}).contains("which is not its own"));
    assert!(of_grant(own, "role/jitscan/b", &closed(), READING, |_| {}).contains("which is not its own"));
    // It writes on a role that stands already.
    let onto = of_grant("role/jitscan/glass", "role/jitscan/glass", &closed(), READING, |grant| {
        grant.steps.remove(0);
    });
    assert!(onto.contains("which is not its own"), "{onto}");
    let elsewhere =
        of_grant(own, own, &closed(), READING, |grant| grant.role = grant.role.replace(ACCOUNT, "444455556666"));
    assert!(elsewhere.contains("which is not its own"), "{elsewhere}");
    // More than its principal has, or open, or to others.
    assert!(fine(&closed(), ANYTHING).contains("could do more than before"));
    for (old, new) in [
        (arn("user/reader"), arn("root")),
        ("1970-01-01T00:00:00Z".into(), "2099-01-01T00:00:00Z".into()),
        (r#""sts:AssumeRole","#.into(), r#""sts:*","#.into()),
        (r#","StringEquals":{"sts:SourceIdentity":["ann"]}"#.into(), String::new()),
    ] {
        let trust = closed().replace(&old, &new);
        assert_ne!(trust, closed());
        assert!(fine(&trust, READING).contains("would let in others"), "{trust}");
    }
}

#[test]
fn nobody_may_do_more_than_before() {
    let allow = |rest: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{rest}}}]}}"#);
    let with = |before: &str, after: &str| {
        let mut state = state();
        let iam = state.accounts.values_mut().next().unwrap();
        iam.users.iter_mut().find(|user| user.holder.name == "reader").unwrap().holder.inline[0].json = before.into();
        let (user, policy) = ("reader".to_owned(), "own".to_owned());
        let step = Step {
            about: "x".into(),
            effect: Effect::PutUserPolicy { user: user.clone(), policy: policy.clone(), document: after.into() },
            undo: Effect::PutUserPolicy { user, policy, document: before.into() },
        };
        let plan = plan(vec![change("user/reader", vec![step])]);
        said_of(&plan, &state, &arn("role/executor"), &arn("user/admin"))
    };
    let (all, get) = (r#""Action":"s3:*","Resource":"*""#, r#""Action":"s3:GetObject","Resource":"*""#);
    let limited = r#""Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}"#;
    let but = r#""NotAction":["iam:*","s3:Put*"],"Resource":"*""#;
    for (before, after) in [
        (all, get),
        (all, limited),
        (all, r#""Action":["s3:Get*","s3:ListBucket"],"Resource":"*""#),
        (but, get),
        (but, r#""NotAction":["iam:*","s3:*","ec2:*"],"Resource":"*""#),
        (r#""Action":"nosuch:*","Resource":"*""#, r#""Action":"nosuch:Do","Resource":"*""#),
    ] {
        assert_eq!(with(&allow(before), &allow(after)), "", "{before} to {after}");
    }
    for (before, after) in [
        (get, all),
        (limited, all),
        (get, r#""Action":["s3:GetObject","nosuch:Do"],"Resource":"*""#),
        (r#""Action":"s3:*","Resource":"arn:aws:s3:::a/*""#, all),
        (but, r#""NotAction":["iam:*"],"Resource":"*""#),
        (but, r#""Action":"iam:CreateUser","Resource":"*""#),
        (all, r#""NotAction":"iam:*","Resource":"*""#),
    ] {
        let found = with(&allow(before), &allow(after));
        assert!(found.contains("could do more than before"), "{before} to {after}: {found}");
    }
    // What denies stays.
    let both =
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{all}}},{{"Effect":"Deny",{get}}}]}}"#);
    assert!(with(&both, &allow(all)).contains("would be denied less"));
}

#[test]
fn a_principal_is_of_its_own_account() {
    // The same name in another account is somebody else.
    let mut one = change("user/reader", vec![takes("user", "reader")]);
    one.principal = one.principal.replace(ACCOUNT, "444455556666");
    assert!(said(&plan(vec![one])).contains("which is not its own"));
}

#[test]
fn what_the_executor_may_not_do_is_known_before() {
    let reader = plan(vec![change("user/reader", vec![takes("user", "reader")])]);
    let found = said_of(&reader, &state(), &arn("role/glass"), &arn("user/admin"));
    assert!(found.contains("may not call iam:DeleteUserPolicy") && found.contains("which takes back"), "{found}");
}

#[test]
fn not_too_much_at_once() {
    let many = ["user/admin", "role/admin-role", "user/reader"];
    let all = plan(many.iter().map(|one| change(one, Vec::new())).collect());
    let found = said_of(&all, &state(), &arn("role/executor"), &arn("role/other"));
    assert!(found.contains("at most 2 may change in one run") && found.contains("at most 50 % may change"), "{found}");
}

/// What is said of a user whose policies are rewritten, step by step: (name, document before, documents after one another; none
/// takes it off).
fn rewritten(held: &[(&str, &str)], steps: &[(&str, Option<&str>)]) -> String {
    let mut state = state();
    let iam = state.accounts.values_mut().next().unwrap();
    let user = iam.users.iter_mut().find(|user| user.holder.name == "reader").unwrap();
    let named = |(name, json): &(&str, &str)| NamedDocument { name: (*name).into(), json: (*json).into() };
    user.holder.inline = held.iter().map(named).collect();
    let mut now = state.clone();
    let mut made = Vec::new();
    for (policy, document) in steps {
        let (user, policy) = ("reader".to_owned(), (*policy).to_owned());
        let effect = match document {
            Some(document) => Effect::PutUserPolicy { user, policy, document: (*document).to_owned() },
            None => Effect::DeleteUserPolicy { user, policy },
        };
        let undo = effect.make_in(&mut now, ACCOUNT.parse().unwrap()).unwrap();
        made.push(Step { about: "x".into(), effect, undo });
    }
    said_of(&plan(vec![change("user/reader", made)]), &state, &arn("role/executor"), &arn("user/admin"))
}

#[test]
fn nobody_may_do_more_in_between() {
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}}"#;
    let less = READING.replace("s3:Get*", "s3:GetObject");
    // Wider for a while, by one place that is written twice.
    let twice = rewritten(&[("own", READING)], &[("own", Some(ANYTHING)), ("own", Some(&less))]);
    assert!(twice.contains("what another one of its steps changes"), "{twice}");
    // Without the Deny for a while: its new place comes after the old one goes.
    let held = &[("own", READING), ("not", deny)];
    let late = rewritten(held, &[("not", None), ("other", Some(deny))]);
    assert!(late.contains("denied less than before, for a while"), "{late}");
    assert_eq!(rewritten(held, &[("other", Some(deny)), ("not", None)]), "");
}

#[test]
fn what_looks_the_same_is_not_always() {
    let of = |effect: &str, version: &str| {
        format!(
            r#"{{"Version":"{version}","Statement":{{"Effect":"{effect}","Action":"s3:GetObject","Resource":"*",
                "Condition":{{"StringEquals":{{"aws:ResourceTag/owner":"${{aws:username}}"}}}}}}}}"#
        )
    };
    // A variable in the newer version of the language is a text in the older one, and the other way round.
    for (effect, from, to, want) in [
        ("Deny", "2012-10-17", "2008-10-17", "denied less"),
        ("Allow", "2008-10-17", "2012-10-17", "could do more"),
        ("Deny", "2012-10-17", "2012-10-17", ""),
        ("Allow", "2008-10-17", "2008-10-17", ""),
    ] {
        let (before, after) = (of(effect, from), of(effect, to));
        let held: &[(&str, &str)] = &[("x", &before), ("z", READING)];
        let held = if effect == "Allow" { &held[..1] } else { held };
        let found = rewritten(held, &[("y", Some(&after)), ("x", None)]);
        assert!(found.contains(want) && found.is_empty() == want.is_empty(), "{effect} {from} {to}: {found}");
    }
    // An action that the catalogue does not know, and that was left out by name.
    let but = |element: &str| {
        format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow",{element},"Resource":"*"}}}}"#)
    };
    let all_but = but(r#""NotAction":"iam:*""#);
    for (element, want) in [
        (r#""Action":"iam:BrandNewAction""#, "could do more"),
        (r#""Action":"*:BrandNewAction""#, "could do more"),
        (r#""Action":"brandnew:Action""#, ""),
    ] {
        let found = rewritten(&[("own", &all_but)], &[("own", Some(&but(element)))]);
        assert!(found.contains(want) && found.is_empty() == want.is_empty(), "{element}: {found}");
    }
}
