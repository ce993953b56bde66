//! An IAM and an Identity Center in memory that answer as AWS does and fail in every way that a call can; and a plan with
//! every kind of call.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::arn::AccountId;
use crate::model::snapshot::{
    AccountIam, Attachment, Group, Holder, IdentityCenter, ManagedPolicy, NamedDocument, PermissionSet, PolicyName,
    Role, SetBoundary, SetPolicies, Snapshot, User,
};
use crate::model::time::Timestamp;
use crate::remediate::effect::Effect;
use crate::remediate::place::{Place, Value};
use crate::remediate::run::{Target, Trouble};
use crate::remediate::set_effect::{SetChange, SetEffect};
use crate::remediate::{Change, FORM, Failing, Grant, Plan, Step};

const ACCOUNT: &str = "111122223333";

fn account() -> AccountId {
    ACCOUNT.parse().unwrap()
}

pub(super) fn arn(resource: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{resource}")
}

fn holder(kind: &str, name: &str) -> Holder {
    Holder {
        arn: arn(&format!("{kind}/{name}")).parse().unwrap(),
        name: name.into(),
        path: "/".into(),
        id: format!("ID{name}"),
        created: None,
        // White space and order are kept to the byte.
        inline: ["a", "b"].map(|name| NamedDocument { name: name.into(), json: format!("{{ \"{name}\":\n1}}") }).into(),
        attached: vec![Attachment { name: "old".into(), arn: arn("policy/old") }],
        boundary: None,
        tags: BTreeMap::new(),
    }
}

fn iam() -> AccountIam {
    let group = |name: &str| Group {
        arn: arn(&format!("group/{name}")).parse().unwrap(),
        name: name.into(),
        inline: Vec::new(),
        attached: Vec::new(),
    };
    AccountIam {
        account: account(),
        captured_at: Timestamp::default(),
        users: vec![User { holder: holder("user", "u"), groups: vec!["g".into()] }],
        groups: vec![group("g"), group("h")],
        roles: vec![
            set_role(),
            Role { holder: holder("role", "r"), trust: "{}".into(), last_used: None, instance_profiles: Vec::new() },
        ],
        policies: vec![ManagedPolicy {
            arn: arn("policy/old"),
            name: "old".into(),
            id: String::new(),
            version_created: None,
            version_id: "v1".into(),
            json: "{\"old\": 1}".into(),
        }],
    }
}

/// ARN of a permission set.
const SET: &str = "arn:aws:sso:::permissionSet/ssoins-1/ps-1";
const INSTANCE: &str = "arn:aws:sso:::instance/ssoins-1";

fn customer() -> PolicyName {
    PolicyName { path: "/".into(), name: "old".into() }
}

fn set_role() -> Role {
    let name = "AWSReservedSSO_Ops_0011223344556677";
    let mut holder = holder("role/aws-reserved/sso.amazonaws.com", name);
    holder.inline = vec![NamedDocument { name: "AwsSSOInlinePolicy".into(), json: "{ \"set\":\n1}".into() }];
    let managed = Attachment { name: "Aws".into(), arn: "arn:aws:iam::aws:policy/Aws".into() };
    holder.attached.push(managed);
    holder.attached.sort();
    Role { holder, trust: "{}".into(), last_used: None, instance_profiles: Vec::new() }
}

pub(super) fn start() -> Snapshot {
    let policies = SetPolicies {
        inline: Some("{ \"set\":\n1}".into()),
        managed: vec!["arn:aws:iam::aws:policy/Aws".into()],
        customer: vec![customer()],
        boundary: None,
    };
    let set = PermissionSet {
        arn: SET.into(),
        name: "Ops".into(),
        session_duration: "PT8H".into(),
        policies: Some(policies),
        tags: None,
    };
    let center = IdentityCenter {
        captured_at: Timestamp::default(),
        instance: INSTANCE.into(),
        owner: Some(account()),
        region: String::new(),
        permission_sets: vec![set],
        assignments: Vec::new(),
        users: Vec::new(),
        outdated: Vec::new(),
    };
    let accounts = [(account(), iam())].into();
    Snapshot { accounts, identity_center: Some(center), ..Snapshot::default() }
}

/// The account in a state.
pub(super) fn iam_of(state: &Snapshot) -> AccountIam {
    state.accounts[&account()].clone()
}

/// A plan with every kind of call, of a user, of a role and of a permission set.
pub(super) fn plan(failing: Failing) -> Plan {
    let mut state = start();
    let mut steps = |effects: Vec<Effect>| -> Vec<Step> {
        let made =
            |effect: Effect| Step { about: "x".into(), undo: effect.make_in(&mut state, account()).unwrap(), effect };
        effects.into_iter().map(made).collect()
    };
    let json = |text: &str| format!("{{\"{text}\":2}}");
    let own = str::to_owned;
    let (user, role, jit) = (own("u"), own("r"), arn("role/jitscan/jit-r"));
    let tags = BTreeMap::from([(own("k"), own("v"))]);
    let of_grant = steps(vec![
        Effect::CreateRole { role: jit.clone(), trust: json("trust"), boundary: None, max_session_seconds: 7200, tags },
        Effect::PutRolePolicy { role: own("jit-r"), policy: own("access-1"), document: json("1") },
        Effect::PutRolePolicy { role: own("jit-r"), policy: own("access-2"), document: json("2") },
    ]);
    let of_role = steps(vec![
        Effect::PutRolePolicy { role: role.clone(), policy: own("new"), document: json("new") },
        Effect::PutRolePolicy { role: role.clone(), policy: own("a"), document: json("narrowed") },
        Effect::DetachRolePolicy { role: role.clone(), policy: arn("policy/old") },
        Effect::DeleteRolePolicy { role: role.clone(), policy: own("b") },
        Effect::UpdateAssumeRolePolicy { role, document: json("bound") },
    ]);
    let of_user = steps(vec![
        Effect::CreatePolicy { policy: arn("policy/jitscan/u"), document: json("moved") },
        Effect::AttachUserPolicy { user: user.clone(), policy: arn("policy/jitscan/u") },
        Effect::PutUserPolicy { user: user.clone(), policy: own("a"), document: json("narrowed") },
        Effect::DetachUserPolicy { user: user.clone(), policy: arn("policy/old") },
        Effect::DeleteUserPolicy { user: user.clone(), policy: own("b") },
        Effect::RemoveUserFromGroup { user: user.clone(), group: own("g") },
        Effect::AddUserToGroup { user, group: own("h") },
    ]);
    let (jit_set, of_set) = of_sets();
    let (jit_set, of_set) = (steps(jit_set), steps(of_set));
    let change = |principal: &str, steps: Vec<Step>| Change {
        principal: if principal == SET { own(SET) } else { arn(principal) },
        id: if principal == SET { own(SET) } else { format!("ID{}", principal.rsplit('/').next().unwrap()) },
        account: account(),
        state: String::new(),
        roles: Vec::new(),
        reasons: Vec::new(),
        granted: 1,
        removed: 1,
        steps,
    };
    let grant = |role: String, principal: String, steps: Vec<Step>| Grant {
        role,
        account: account(),
        principal,
        id: String::new(),
        people: vec![own("p")],
        reach: BTreeMap::new(),
        source_identities: vec![own("p")],
        minutes: 60,
        reasons: Vec::new(),
        steps,
    };
    Plan {
        form: FORM,
        hash: "h".into(),
        as_of: Timestamp::default(),
        generation: 1,
        snapshot: String::new(),
        catalogue: String::new(),
        failing,
        grants: vec![grant(jit, arn("role/r"), of_grant), grant(own("jit-Ops"), own(SET), jit_set)],
        changes: vec![change("role/r", of_role), change("user/u", of_user), change(SET, of_set)],
        left: Vec::new(),
    }
}

/// Calls that make a permission set for what is asked for, and those that narrow another one.
fn of_sets() -> (Vec<Effect>, Vec<Effect>) {
    let own = str::to_owned;
    let set = |set: &str, change: SetChange| Effect::Set(SetEffect { change, instance: own(INSTANCE), set: own(set) });
    let boundary = SetBoundary::Managed(own("arn:aws:iam::aws:policy/Edge"));
    let put = |text: &str| SetChange::PutInlinePolicyToPermissionSet { document: format!("{{\"{text}\":2}}") };
    let create = SetChange::CreatePermissionSet { description: own("d"), session: own("PT1H"), tags: BTreeMap::new() };
    let jit = vec![
        set("jit-Ops", create),
        set("jit-Ops", SetChange::PutPermissionsBoundaryToPermissionSet { boundary }),
        set("jit-Ops", put("jit")),
    ];
    let narrowed = vec![
        set(SET, SetChange::ProvisionPermissionSet),
        set(SET, put("narrowed")),
        set(SET, SetChange::DetachManagedPolicyFromPermissionSet { policy: own("arn:aws:iam::aws:policy/Aws") }),
        set(SET, SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy: customer() }),
        set(SET, SetChange::AttachManagedPolicyToPermissionSet { policy: own("arn:aws:iam::aws:policy/Less") }),
        set(SET, SetChange::ProvisionPermissionSet),
    ];
    (jit, narrowed)
}

pub(super) fn after(plan: &Plan) -> Snapshot {
    let mut state = start();
    for item in plan.items() {
        item.step.effect.make_in(&mut state, item.account).unwrap();
    }
    state
}

/// What goes wrong with a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is refused for good.
    Refused,
    /// It is not made, and may be the next time.
    Again,
    /// It is made, and the answer is lost.
    Lost,
    /// It is made, the answer is lost, and it is said that it cannot go through.
    LostRefused,
    /// It is made, and not to be seen for a while.
    Slow,
}

/// An IAM in memory that answers as AWS does.
pub(super) struct Fake {
    pub(super) state: Snapshot,
    pub(super) seconds: BTreeMap<String, u32>,
    /// Which changing calls go wrong, by their number.
    pub(super) faults: BTreeMap<usize, Fault>,
    /// Calls on these places are refused.
    pub(super) broken: Vec<Place>,
    pub(super) made: usize,
    /// Old values that reads still give, and how often.
    pub(super) slow: Vec<(Place, Value, u32)>,
}

impl Fake {
    pub(super) fn new() -> Self {
        let (seconds, faults) = (BTreeMap::new(), BTreeMap::new());
        Self { state: start(), seconds, faults, broken: Vec::new(), made: 0, slow: Vec::new() }
    }

    pub(super) fn now(&self, place: &Place) -> Value {
        match place {
            Place::PermissionSet { .. } => place.found_in(&self.state, account(), &Value::Absent).unwrap(),
            Place::Role { role } => place.found(&iam_of(&self.state), self.seconds.get(role).copied().unwrap_or(3600)),
            _ => place.found(&iam_of(&self.state), 0),
        }
    }

    pub(super) fn iam(&mut self) -> &mut AccountIam {
        self.state.accounts.get_mut(&account()).unwrap()
    }

    pub(super) fn do_it(&mut self, effect: &Effect) -> Result<(), Trouble> {
        // What is attached already may be attached again, and who is in a group may be added: nothing comes of it.
        let twice = matches!(
            effect,
            Effect::AttachRolePolicy { .. } | Effect::AttachUserPolicy { .. } | Effect::AddUserToGroup { .. }
        );
        if twice && self.now(&effect.place()) == Value::There {
            return Ok(());
        }
        if let Effect::CreateRole { role, max_session_seconds, .. } = effect {
            self.seconds.insert(role.clone(), *max_session_seconds);
        }
        let made = effect.make_in(&mut self.state, account());
        made.map(drop).map_err(|conflict| Trouble { why: conflict.to_string(), again: false })
    }
}

impl Target for Fake {
    fn read(&mut self, _: AccountId, place: &Place) -> Result<Value, Trouble> {
        if let Some((_, old, left)) = self.slow.iter_mut().find(|(of, _, left)| of == place && *left > 0) {
            *left -= 1;
            return Ok(old.clone());
        }
        Ok(self.now(place))
    }

    fn make(&mut self, _: AccountId, effect: &Effect) -> Result<(), Trouble> {
        let fault = self.faults.get(&self.made).copied();
        self.made += 1;
        let trouble = |again| Err(Trouble { why: "as it should in this test".into(), again });
        if self.broken.contains(&effect.place()) {
            return trouble(false);
        }
        match fault {
            None => self.do_it(effect),
            Some(Fault::Refused) => trouble(false),
            Some(Fault::Again) => trouble(true),
            Some(Fault::Lost) => self.do_it(effect).and(trouble(true)),
            Some(Fault::LostRefused) => self.do_it(effect).and(trouble(false)),
            Some(Fault::Slow) => {
                let old = self.now(&effect.place());
                self.do_it(effect)?;
                self.slow.push((effect.place(), old, 4));
                Ok(())
            }
        }
    }

    fn unique_id(&mut self, _: AccountId, arn: &str) -> Result<Option<String>, Trouble> {
        if arn == SET {
            return Ok(Some(SET.into()));
        }
        let iam = iam_of(&self.state);
        let users = iam.users.iter().map(|one| &one.holder);
        let mut all = users.chain(iam.roles.iter().map(|one| &one.holder));
        Ok(all.find(|one| one.arn.as_str() == arn).map(|one| one.id.clone()))
    }

    fn pause(&mut self, _: Duration) {}
}
