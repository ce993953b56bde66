//! A plan is carried out against an IAM that fails in every way that a call can, and the program dies at every record:
//! whatever happens, a new run ends with all of it made or all of it taken back.

use proptest::prelude::*;

use super::*;
use crate::model::snapshot::{AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Role, User};
use crate::remediate::{Change, FORM, Grant};

const ACCOUNT: &str = "111122223333";

fn account() -> AccountId {
    ACCOUNT.parse().unwrap()
}

fn arn(resource: &str) -> String {
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

fn start() -> AccountIam {
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
        roles: vec![Role {
            holder: holder("role", "r"),
            trust: "{}".into(),
            last_used: None,
            instance_profiles: Vec::new(),
        }],
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

/// A plan with every kind of call, of a user and of a role.
fn plan(failing: Failing) -> Plan {
    let mut iam = start();
    let mut steps = |effects: Vec<Effect>| -> Vec<Step> {
        let made = |effect: Effect| Step { about: "x".into(), undo: effect.make(&mut iam).unwrap(), effect };
        effects.into_iter().map(made).collect()
    };
    let json = |text: &str| format!("{{\"{text}\":2}}");
    let own = str::to_owned;
    let (user, role, jit) = (own("u"), own("r"), arn("role/jitscan/jit-r"));
    let grant = steps(vec![
        Effect::CreateRole {
            role: jit.clone(),
            trust: json("trust"),
            boundary: None,
            max_session_seconds: 7200,
            tags: BTreeMap::from([(own("k"), own("v"))]),
        },
        Effect::PutRolePolicy { role: own("jit-r"), policy: own("access-1"), document: json("1") },
        Effect::PutRolePolicy { role: own("jit-r"), policy: own("access-2"), document: json("2") },
    ]);
    let of_role = steps(vec![
        Effect::PutRolePolicy { role: role.clone(), policy: own("new"), document: json("new") },
        Effect::PutRolePolicy { role: role.clone(), policy: own("a"), document: json("narrowed") },
        Effect::DetachRolePolicy { role: role.clone(), policy: arn("policy/old") },
        Effect::DeleteRolePolicy { role, policy: own("b") },
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
    let change = |principal: &str, steps: Vec<Step>| Change {
        principal: arn(principal),
        id: format!("ID{}", principal.rsplit('/').next().unwrap()),
        account: account(),
        state: String::new(),
        reasons: Vec::new(),
        granted: 1,
        removed: 1,
        steps,
    };
    let grant = Grant {
        role: jit,
        account: account(),
        principal: arn("role/r"),
        id: String::new(),
        people: vec![own("p")],
        source_identities: vec![own("p")],
        minutes: 60,
        reasons: Vec::new(),
        steps: grant,
    };
    Plan {
        form: FORM,
        hash: "h".into(),
        as_of: Timestamp::default(),
        generation: 1,
        snapshot: String::new(),
        catalogue: String::new(),
        failing,
        grants: vec![grant],
        changes: vec![change("role/r", of_role), change("user/u", of_user)],
        left: Vec::new(),
    }
}

fn after(plan: &Plan) -> AccountIam {
    let mut iam = start();
    for item in plan.items() {
        item.step.effect.make(&mut iam).unwrap();
    }
    iam
}

/// What goes wrong with a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
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
struct Fake {
    iam: AccountIam,
    seconds: BTreeMap<String, u32>,
    /// Which changing calls go wrong, by their number.
    faults: BTreeMap<usize, Fault>,
    /// Calls on these places are refused.
    broken: Vec<Place>,
    made: usize,
    /// Old values that reads still give, and how often.
    slow: Vec<(Place, Value, u32)>,
}

impl Fake {
    fn new() -> Self {
        let (seconds, faults) = (BTreeMap::new(), BTreeMap::new());
        Self { iam: start(), seconds, faults, broken: Vec::new(), made: 0, slow: Vec::new() }
    }

    fn now(&self, place: &Place) -> Value {
        let seconds = if let Place::Role { role } = place { self.seconds.get(role).copied() } else { None };
        place.found(&self.iam, seconds.unwrap_or(3600))
    }

    fn do_it(&mut self, effect: &Effect) -> Result<(), Trouble> {
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
        let made = effect.make(&mut self.iam);
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
        let users = self.iam.users.iter().map(|one| &one.holder);
        let mut all = users.chain(self.iam.roles.iter().map(|one| &one.holder));
        Ok(all.find(|one| one.arn.as_str() == arn).map(|one| one.id.clone()))
    }

    fn pause(&mut self, _: Duration) {}
}

/// A journal in memory, with which the program dies at a record: before it is written, or right after.
#[derive(Default)]
struct Paper {
    lines: Vec<Line>,
    dies: Option<(usize, bool)>,
    written: usize,
}

impl Journal for Paper {
    fn lines(&self) -> &[Line] {
        &self.lines
    }

    fn write(&mut self, record: Record) -> Result<(), JournalError> {
        let dies = self.dies.filter(|(at, _)| *at == self.written);
        self.written += 1;
        if dies == Some((self.written - 1, false)) {
            return Err(JournalError::Stopped);
        }
        let number = self.lines.len() as u64;
        self.lines.push(Line { number, at: Timestamp::default(), after: String::new(), record });
        if dies.is_some() { Err(JournalError::Stopped) } else { Ok(()) }
    }
}

fn begin() -> Record {
    let (from, to) = (Timestamp::default(), Timestamp::default());
    Record::Begin { by: "me".into(), generation: 1, from, to, accepted: Vec::new() }
}

fn apply(plan: &Plan, fake: &mut Fake, paper: &mut Paper) -> Result<Ended, JournalError> {
    Run::new(plan, fake, paper, &AtomicBool::new(false)).apply(Some(begin()))
}

fn roll_back(plan: &Plan, fake: &mut Fake, paper: &mut Paper) -> Result<Ended, JournalError> {
    Run::new(plan, fake, paper, &AtomicBool::new(false)).roll_back("me", &[])
}

#[test]
fn what_is_applied_and_taken_back_is_what_it_was_to_the_byte() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    for _ in 0..2 {
        assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Applied);
        assert_eq!(fake.iam, after(&plan));
        assert!(matches!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Already(_)));
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
        assert_eq!(fake.iam, start());
        assert!(matches!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::Already(_)));
    }
}

#[test]
fn it_may_die_at_every_record_of_an_application() {
    let plan = plan(Failing::Unwind);
    let all = {
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        apply(&plan, &mut fake, &mut paper).unwrap();
        paper.written
    };
    // Two a step, where it begins, and where it ends.
    assert_eq!(all, plan.items().len() * 2 + 2);
    for at in 0..all {
        for written in [false, true] {
            for back in [false, true] {
                let (mut fake, mut paper) = (Fake::new(), Paper { dies: Some((at, written)), ..Paper::default() });
                assert!(apply(&plan, &mut fake, &mut paper).is_err());
                let ended =
                    if back { roll_back(&plan, &mut fake, &mut paper) } else { apply(&plan, &mut fake, &mut paper) };
                // Of what was never begun nothing is to be taken back; what was ended is applied already.
                let fine = match ended.unwrap() {
                    Ended::Applied => !back,
                    Ended::RolledBack => back,
                    Ended::Already(_) => (at == 0 && !written && back) || (at + 1 == all && written && !back),
                    _ => false,
                };
                assert!(fine, "{at} {written} {back}");
                assert_eq!(fake.iam, if back { start() } else { after(&plan) }, "{at} {written} {back}");
            }
        }
    }
}

#[test]
fn it_may_die_at_every_record_of_taking_back() {
    let plan = plan(Failing::Unwind);
    for at in 0..plan.items().len() * 2 + 2 {
        for written in [false, true] {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            apply(&plan, &mut fake, &mut paper).unwrap();
            (paper.written, paper.dies) = (0, Some((at, written)));
            assert!(roll_back(&plan, &mut fake, &mut paper).is_err());
            // Whoever applies it now is told that it is being taken back.
            let told = apply(&plan, &mut fake, &mut paper).unwrap();
            // Where it died before it began, it is applied still.
            let refused =
                matches!(told, Ended::Refused(_)) || (at == 0 && !written && matches!(told, Ended::Already(_)));
            let done = at + 1 == plan.items().len() * 2 + 2 && written && told == Ended::Applied;
            assert!(refused || done, "{at} {told:?}");
            if done {
                continue;
            }
            assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at} {written}");
            assert_eq!(fake.iam, start(), "{at} {written}");
        }
    }
}

#[test]
fn every_call_may_fail_in_every_way() {
    let plan = plan(Failing::Unwind);
    for at in 0..plan.items().len() {
        for fault in [Fault::Refused, Fault::Again, Fault::Lost, Fault::LostRefused, Fault::Slow] {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            fake.faults.insert(at, fault);
            let ended = apply(&plan, &mut fake, &mut paper).unwrap();
            // What is refused is not made; all else is, once it is looked at.
            let refused = fault == Fault::Refused;
            assert_eq!(ended, if refused { Ended::RolledBack } else { Ended::Applied }, "{at} {fault:?}");
            assert_eq!(fake.iam, if refused { start() } else { after(&plan) }, "{at} {fault:?}");
        }
        // The same of what takes a step back.
        for fault in [Fault::Again, Fault::Lost, Fault::LostRefused, Fault::Slow] {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            apply(&plan, &mut fake, &mut paper).unwrap();
            fake.faults.insert(fake.made + at, fault);
            assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at} {fault:?}");
            assert_eq!(fake.iam, start(), "{at} {fault:?}");
        }
    }
}

#[test]
fn what_cannot_be_taken_back_is_told_and_taken_back_later() {
    let plan = plan(Failing::Unwind);
    let items = plan.items();
    for at in 0..items.len() {
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Applied);
        fake.broken = vec![items[at].step.effect.place()];
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::Stuck, "{at}");
        let progress = Progress::of(items.len(), plan.failing, &paper.lines);
        assert!(progress.stuck.contains_key(&at) && progress.stands(), "{at} {:?}", progress.stuck);
        fake.broken.clear();
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
        assert_eq!(fake.iam, start(), "{at}");
        // While it is applied: a step fails, and one before it cannot be taken back.
        if at + 1 < items.len() {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            fake.faults.insert(at + 1, Fault::Refused);
            fake.broken = Vec::new();
            let broken = items[at].step.effect.place();
            // From the failed call on nothing goes through at that place.
            let mut run = Breaking { fake: &mut fake, from: at + 1, place: broken };
            let ended = Run::new(&plan, &mut run, &mut paper, &AtomicBool::new(false)).apply(Some(begin())).unwrap();
            assert_eq!(ended, Ended::Stuck, "{at}");
            fake.broken.clear();
            assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
            assert_eq!(fake.iam, start(), "{at}");
        }
    }
}

/// From a call on a place cannot be changed.
struct Breaking<'f> {
    fake: &'f mut Fake,
    from: usize,
    place: Place,
}

impl Target for Breaking<'_> {
    fn read(&mut self, account: AccountId, place: &Place) -> Result<Value, Trouble> {
        self.fake.read(account, place)
    }

    fn make(&mut self, account: AccountId, effect: &Effect) -> Result<(), Trouble> {
        if self.fake.made == self.from {
            self.fake.broken = vec![self.place.clone()];
        }
        self.fake.make(account, effect)
    }

    fn unique_id(&mut self, account: AccountId, arn: &str) -> Result<Option<String>, Trouble> {
        self.fake.unique_id(account, arn)
    }

    fn pause(&mut self, _: Duration) {}
}

/// Somebody else changes a place.
fn meddle(fake: &mut Fake, place: &Place) {
    let other = match place {
        Place::RolePolicy { .. } | Place::UserPolicy { .. } => Value::Document("{\"theirs\":3}".into()),
        _ if fake.now(place) == Value::There => Value::Absent,
        _ => Value::There,
    };
    fake.do_it(&place.putting(&other).unwrap()).unwrap();
}

#[test]
fn what_others_changed_is_never_written_over() {
    let plan = plan(Failing::Unwind);
    let items = plan.items();
    for (at, item) in items.iter().enumerate() {
        let place = item.step.effect.place();
        if matches!(place, Place::Policy { .. } | Place::Role { .. }) {
            continue;
        }
        // Before it is made.
        let jits = matches!(&place, Place::RolePolicy { role, .. } if role == "jit-r");
        let attached = matches!(&place, Place::UserAttachment { policy, .. } if policy.contains("/jitscan/"));
        if !jits && !attached {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            meddle(&mut fake, &place);
            let theirs = fake.iam.clone();
            assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
            assert_eq!(fake.iam, theirs, "{at}");
        }
        // After it was made. Attachments and memberships that they changed are as before already.
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        apply(&plan, &mut fake, &mut paper).unwrap();
        meddle(&mut fake, &place);
        let theirs = fake.now(&place);
        let ended = roll_back(&plan, &mut fake, &mut paper).unwrap();
        let documents = matches!(place, Place::RolePolicy { .. } | Place::UserPolicy { .. });
        assert_eq!(ended, if documents { Ended::Stuck } else { Ended::RolledBack }, "{at}");
        assert_eq!(fake.now(&place), theirs, "{at}");
        // The rest of it is as it was.
        let others = items.iter().enumerate().filter(|(_, one)| one.step.effect.place() != place);
        for (number, one) in others {
            let place = one.step.effect.place();
            // What took its place stays with the same principal: nobody is left with neither.
            if documents && number < at && one.principal == item.principal {
                assert_eq!(fake.now(&place), one.step.effect.leaves(), "{at} {place}");
                continue;
            }
            assert_eq!(fake.now(&place), place.found(&start(), 3600), "{at} {place}");
        }
    }
}

#[test]
fn another_one_of_the_same_name_is_given_nothing() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    apply(&plan, &mut fake, &mut paper).unwrap();
    // The user was deleted, and somebody else has the name.
    fake.iam.users[0].holder.id = "IDother".into();
    let theirs = fake.iam.users.clone();
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::Stuck);
    assert_eq!((&fake.iam.users, &fake.iam.roles), (&theirs, &start().roles));
    // Nor is anything taken from them.
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    fake.iam.users[0].holder.id = "IDother".into();
    let theirs = fake.iam.clone();
    assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    assert_eq!(fake.iam, theirs);
}

#[test]
fn a_grant_that_was_opened_and_tagged_is_taken_back() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    apply(&plan, &mut fake, &mut paper).unwrap();
    let role = fake.iam.roles.iter_mut().find(|role| role.holder.name == "jit-r").unwrap();
    role.holder.tags.insert("cost-center".into(), "1".into());
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    assert_eq!(fake.iam, start());
}

#[test]
fn what_fails_with_one_principal_keeps_nobody_else() {
    let plan = plan(Failing::GoOn);
    let items = plan.items();
    let (before, done) = (start(), after(&plan));
    for (at, item) in items.iter().enumerate() {
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        fake.broken = vec![item.step.effect.place()];
        assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Applied, "{at}");
        let is_role = item.principal.contains(":role/");
        let [user, role] =
            [|iam: &AccountIam| format!("{:?}", iam.users), |iam: &AccountIam| format!("{:?}", iam.roles)];
        assert_eq!(role(&fake.iam), role(if is_role { &before } else { &done }), "{at}");
        assert_eq!(user(&fake.iam), user(if is_role { &done } else { &before }), "{at}");
        fake.broken.clear();
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
        assert_eq!(fake.iam, before, "{at}");
    }
}

#[test]
fn principals_are_taken_back_one_by_one() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    let stop = AtomicBool::new(false);
    apply(&plan, &mut fake, &mut paper).unwrap();
    let ended = Run::new(&plan, &mut fake, &mut paper, &stop).roll_back("me", &[arn("user/u")]).unwrap();
    assert_eq!(ended, Ended::RolledBack);
    assert_eq!((&fake.iam.users, &fake.iam.roles), (&start().users, &after(&plan).roles));
    assert_eq!(Progress::of(plan.items().len(), plan.failing, &paper.lines).phase, Phase::Applied);
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    assert_eq!(fake.iam, start());
    assert_eq!(Progress::of(plan.items().len(), plan.failing, &paper.lines).phase, Phase::RolledBack);
}

#[test]
fn who_asks_it_to_stop_finds_it_ready_to_go_on() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    let stopped = Run::new(&plan, &mut fake, &mut paper, &AtomicBool::new(true)).apply(Some(begin())).unwrap();
    assert_eq!((stopped, &fake.iam), (Ended::Stopped, &start()));
    assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Applied);
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![Fault::Refused, Fault::Again, Fault::Lost, Fault::LostRefused, Fault::Slow])
}

proptest! {
    /// Deaths and faults in any number, one run after the other, of which some take back: once nothing goes wrong any
    /// more, one run ends it.
    #[test]
    fn it_ends_applied_or_as_it_was(
        faults in prop::collection::btree_map(0..60usize, fault(), 0..12),
        runs in prop::collection::vec((0..40usize, any::<bool>(), any::<bool>()), 0..6),
        go_on in any::<bool>(),
        back in any::<bool>(),
    ) {
        let plan = plan(if go_on { Failing::GoOn } else { Failing::Unwind });
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        fake.faults = faults;
        for (at, written, back) in runs {
            (paper.written, paper.dies) = (0, Some((at, written)));
            let _ = if back { roll_back(&plan, &mut fake, &mut paper) } else { apply(&plan, &mut fake, &mut paper) };
        }
        paper.dies = None;
        fake.faults.clear();
        fake.slow.clear();
        let last = if back { roll_back(&plan, &mut fake, &mut paper) } else { apply(&plan, &mut fake, &mut paper) };
        let last = last.unwrap();
        let progress = Progress::of(plan.items().len(), plan.failing, &paper.lines);
        let failed = !progress.failed.is_empty();
        match progress.phase {
            // Nothing was begun, or all of it was taken back.
            Phase::New | Phase::RolledBack => prop_assert_eq!(&fake.iam, &start()),
            Phase::Applied if !failed => prop_assert_eq!(&fake.iam, &after(&plan)),
            // What failed with one principal is as it was with it.
            Phase::Applied => prop_assert!(go_on),
            // Whoever applies what is being taken back is sent to take it back.
            Phase::RollingBack(_) => prop_assert!(!back && matches!(last, Ended::Refused(_))),
            ref other => prop_assert!(false, "{:?} {:?}", other, last),
        }
        // And then it is as it was.
        if progress.stands() {
            prop_assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
        }
        prop_assert_eq!(&fake.iam, &start());
    }
}
