//! A plan is carried out against an IAM that fails in every way that a call can, and the program dies at every record:
//! whatever happens, a new run ends with all of it made or all of it taken back.

use proptest::prelude::*;

use super::*;
use crate::model::snapshot::{SetBoundary, Snapshot};
use crate::model::time::Timestamp;
use crate::remediate::journal::Line;
use crate::remediate::place::SetPart;
use fake::{Fake, Fault, after, arn, iam_of, plan, start};

#[path = "run_fake.rs"]
mod fake;

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
    Run::new(plan, fake, paper, &AtomicBool::new(false)).roll_back("me", &[], &[])
}

#[test]
fn what_is_applied_and_taken_back_is_what_it_was_to_the_byte() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    for _ in 0..2 {
        assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Applied);
        assert_eq!(fake.state, after(&plan));
        assert!(matches!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::Already(_)));
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
        assert_eq!(fake.state, start());
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
                assert_eq!(fake.state, if back { start() } else { after(&plan) }, "{at} {written} {back}");
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
            assert_eq!(fake.state, start(), "{at} {written}");
        }
    }
}

/// Number of the call that an item is, in order: the roles of a permission set are first looked at, without one.
fn call_of(items: &[Item<'_>], at: usize) -> usize {
    let looks = items.iter().position(|item| item.step.effect.place().follows()).unwrap();
    if at > looks { at - 1 } else { at }
}

#[test]
fn every_call_may_fail_in_every_way() {
    let plan = plan(Failing::Unwind);
    for at in 0..plan.items().len() - 1 {
        for fault in [Fault::Refused, Fault::Again, Fault::Lost, Fault::LostRefused, Fault::Slow] {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            fake.faults.insert(at, fault);
            let ended = apply(&plan, &mut fake, &mut paper).unwrap();
            // What is refused is not made; all else is, once it is looked at.
            // That roles were not brought to what their set says is never doubted, where AWS says so.
            let items = plan.items();
            let follows = at + 1 == items.len() - 1 && items[at + 1].step.effect.place().follows();
            let refused = fault == Fault::Refused || fault == Fault::LostRefused && follows;
            assert_eq!(ended, if refused { Ended::RolledBack } else { Ended::Applied }, "{at} {fault:?}");
            assert_eq!(fake.state, if refused { start() } else { after(&plan) }, "{at} {fault:?}");
        }
        // The same of what takes a step back.
        for fault in [Fault::Again, Fault::Lost, Fault::LostRefused, Fault::Slow] {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            apply(&plan, &mut fake, &mut paper).unwrap();
            fake.faults.insert(fake.made + at, fault);
            let ended = roll_back(&plan, &mut fake, &mut paper).unwrap();
            // Bringing the roles of a permission set back is not made good by looking, where AWS says that it failed.
            if ended == Ended::Stuck {
                let items = plan.items();
                let parts = |item: &&Item<'_>| item.principal == items[items.len() - 1].principal;
                let own = items.iter().filter(parts).filter(|item| item.step.effect.place().set() != Some("jit-Ops"));
                assert_eq!((at, fault), (own.count() - 2, Fault::LostRefused));
                assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at} {fault:?}");
            } else {
                assert_eq!(ended, Ended::RolledBack, "{at} {fault:?}");
            }
            assert_eq!(fake.state, start(), "{at} {fault:?}");
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
        // The roles of a permission set are brought back once, at the end.
        let follows = items[at].step.effect.place().follows();
        let stuck = if follows { items.iter().position(|one| one.step.effect.place().follows()) } else { Some(at) };
        assert!(progress.stuck.contains_key(&stuck.unwrap()) && progress.stands(), "{at} {:?}", progress.stuck);
        fake.broken.clear();
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
        assert_eq!(fake.state, start(), "{at}");
        // While it is applied: a step fails, and one before it cannot be taken back.
        if at + 1 < items.len() {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            let from = call_of(&items, at + 1);
            fake.faults.insert(from, Fault::Refused);
            fake.broken = Vec::new();
            let broken = items[at].step.effect.place();
            // From the failed call on nothing goes through at that place.
            let mut run = Breaking { fake: &mut fake, from, place: broken };
            let ended = Run::new(&plan, &mut run, &mut paper, &AtomicBool::new(false)).apply(Some(begin())).unwrap();
            assert_eq!(ended, Ended::Stuck, "{at}");
            fake.broken.clear();
            assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
            assert_eq!(fake.state, start(), "{at}");
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
        Place::RolePolicy { .. } | Place::UserPolicy { .. } | Place::RoleTrust { .. } => {
            Value::Document("{\"theirs\":3}".into())
        }
        Place::PermissionSet { part: SetPart::Inline, .. } => Value::Document("{\"theirs\":3}".into()),
        Place::PermissionSet { part: SetPart::Boundary, .. } => Value::Boundary(SetBoundary::Managed("theirs".into())),
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
        let whole = matches!(place, Place::PermissionSet { part: SetPart::Whole, .. });
        if matches!(place, Place::Policy { .. } | Place::Role { .. }) || whole || place.follows() {
            continue;
        }
        // Before it is made.
        let jits =
            matches!(&place, Place::RolePolicy { role, .. } if role == "jit-r") || place.set() == Some("jit-Ops");
        let attached = matches!(&place, Place::UserAttachment { policy, .. } if policy.contains("/jitscan/"));
        if !jits && !attached {
            let (mut fake, mut paper) = (Fake::new(), Paper::default());
            meddle(&mut fake, &place);
            let theirs = fake.state.clone();
            assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
            assert_eq!(fake.state, theirs, "{at}");
        }
        // After it was made. Attachments and memberships that they changed are as before already.
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        apply(&plan, &mut fake, &mut paper).unwrap();
        meddle(&mut fake, &place);
        let theirs = fake.now(&place);
        let ended = roll_back(&plan, &mut fake, &mut paper).unwrap();
        let documents = matches!(
            place,
            Place::RolePolicy { .. }
                | Place::UserPolicy { .. }
                | Place::RoleTrust { .. }
                | Place::PermissionSet { part: SetPart::Inline | SetPart::Boundary, .. }
        );
        // What somebody wrote into a permission set and did not provision is nothing to bring into force.
        let of_set = place.set().is_some_and(|set| set.starts_with("arn:"));
        assert_eq!(ended, if documents || of_set { Ended::Stuck } else { Ended::RolledBack }, "{at}");
        assert_eq!(fake.now(&place), theirs, "{at}");
        // The rest of it is as it was.
        let others = items.iter().enumerate().filter(|(_, one)| one.step.effect.place() != place);
        for (number, one) in others {
            let place = one.step.effect.place();
            // Nothing of it is taken back, nor what was made because of it.
            if of_set && one.principal == item.principal {
                assert!(place.follows() || fake.now(&place) == one.step.effect.leaves(), "{at} {place}");
                continue;
            }
            // What took its place stays with the same principal: nobody is left with neither.
            if documents && number < at && one.principal == item.principal {
                assert_eq!(fake.now(&place), one.step.effect.leaves(), "{at} {place}");
                continue;
            }
            assert_eq!(fake.now(&place), Fake::new().now(&place), "{at} {place}");
        }
    }
}

#[test]
fn a_set_that_others_changed_before_anything_was_written_is_theirs() {
    let plan = plan(Failing::Unwind);
    let items = plan.items();
    // It dies when the roles of the set were looked at; then somebody writes into the set.
    let looked = items.iter().position(|item| item.step.effect.place().follows()).unwrap();
    let (mut fake, mut paper) = (Fake::new(), Paper { dies: Some((2 * looked + 2, true)), ..Paper::default() });
    assert!(apply(&plan, &mut fake, &mut paper).is_err());
    let place = items[looked + 1].step.effect.place();
    meddle(&mut fake, &place);
    let theirs = fake.now(&place);
    assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    // Nor is it brought into force.
    assert_eq!((fake.now(&place), fake.now(&items[looked].step.effect.place())), (theirs, Value::Absent));
}

#[test]
fn what_others_put_there_may_be_accepted_and_the_rest_is_taken_back() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    apply(&plan, &mut fake, &mut paper).unwrap();
    let place = Place::RolePolicy { role: "r".into(), policy: "a".into() };
    meddle(&mut fake, &place);
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::Stuck);
    let theirs = fake.now(&place);
    let stop = AtomicBool::new(false);
    let mut accept =
        |who: &str| Run::new(&plan, &mut fake, &mut paper, &stop).roll_back("me", &[], &[arn(who)]).unwrap();
    // Of another principal it changes nothing.
    assert_eq!(accept("user/u"), Ended::Stuck);
    assert_eq!(accept("role/r"), Ended::RolledBack);
    assert_eq!(fake.now(&place), theirs);
    for item in plan.items().iter().filter(|item| item.step.effect.place() != place) {
        let place = item.step.effect.place();
        assert_eq!(fake.now(&place), Fake::new().now(&place), "{place}");
    }
    assert_eq!(Progress::of(plan.items().len(), plan.failing, &paper.lines).phase, Phase::RolledBack);
}

#[test]
fn another_one_of_the_same_name_is_given_nothing() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    apply(&plan, &mut fake, &mut paper).unwrap();
    // The user was deleted, and somebody else has the name.
    fake.iam().users[0].holder.id = "IDother".into();
    let theirs = fake.iam().users.clone();
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::Stuck);
    assert_eq!((&iam_of(&fake.state).users, &iam_of(&fake.state).roles), (&theirs, &iam_of(&start()).roles));
    // Nor is anything taken from them.
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    fake.iam().users[0].holder.id = "IDother".into();
    let theirs = fake.state.clone();
    assert_eq!(apply(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    assert_eq!(fake.state, theirs);
}

#[test]
fn a_grant_that_was_opened_and_tagged_is_taken_back() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    apply(&plan, &mut fake, &mut paper).unwrap();
    let role = fake.iam().roles.iter_mut().find(|role| role.holder.name == "jit-r").unwrap();
    role.holder.tags.insert("cost-center".into(), "1".into());
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    assert_eq!(fake.state, start());
}

#[test]
fn what_fails_with_one_principal_keeps_nobody_else() {
    let plan = plan(Failing::GoOn);
    let items = plan.items();
    let (before, done) = (start(), after(&plan));
    for (at, item) in items.iter().enumerate() {
        let (mut fake, mut paper) = (Fake::new(), Paper::default());
        fake.broken = vec![item.step.effect.place()];
        let ended = apply(&plan, &mut fake, &mut paper).unwrap();
        // Roles that cannot be brought to what their set says cannot be brought back either.
        if item.step.effect.place().follows() {
            assert_eq!(ended, Ended::Stuck, "{at}");
        } else {
            assert_eq!(ended, Ended::Applied, "{at}");
            let roles = |state: &Snapshot, of_set: bool| {
                let mut roles = iam_of(state).roles;
                roles.retain(|role| role.holder.name.starts_with("AWSReservedSSO_") == of_set);
                format!("{roles:?}")
            };
            let part = |kind: &str, state: &Snapshot| match kind {
                ":role/" => roles(state, false),
                ":user/" => format!("{:?}", iam_of(state).users),
                _ => format!("{}{:?}", roles(state, true), state.identity_center),
            };
            for kind in [":role/", ":user/", ":permissionSet/"] {
                let wanted = if item.principal.contains(kind) { &before } else { &done };
                assert_eq!(part(kind, &fake.state), part(kind, wanted), "{at} {kind}");
            }
        }
        fake.broken.clear();
        assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack, "{at}");
        assert_eq!(fake.state, before, "{at}");
    }
}

#[test]
fn principals_are_taken_back_one_by_one() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    let stop = AtomicBool::new(false);
    apply(&plan, &mut fake, &mut paper).unwrap();
    let ended = Run::new(&plan, &mut fake, &mut paper, &stop).roll_back("me", &[arn("user/u")], &[]).unwrap();
    assert_eq!(ended, Ended::RolledBack);
    assert_eq!(
        (&iam_of(&fake.state).users, &iam_of(&fake.state).roles),
        (&iam_of(&start()).users, &iam_of(&after(&plan)).roles)
    );
    assert_eq!(Progress::of(plan.items().len(), plan.failing, &paper.lines).phase, Phase::Applied);
    assert_eq!(roll_back(&plan, &mut fake, &mut paper).unwrap(), Ended::RolledBack);
    assert_eq!(fake.state, start());
    assert_eq!(Progress::of(plan.items().len(), plan.failing, &paper.lines).phase, Phase::RolledBack);
}

#[test]
fn who_asks_it_to_stop_finds_it_ready_to_go_on() {
    let plan = plan(Failing::Unwind);
    let (mut fake, mut paper) = (Fake::new(), Paper::default());
    let stopped = Run::new(&plan, &mut fake, &mut paper, &AtomicBool::new(true)).apply(Some(begin())).unwrap();
    assert_eq!((stopped, &fake.state), (Ended::Stopped, &start()));
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
            Phase::New | Phase::RolledBack => prop_assert_eq!(&fake.state, &start()),
            Phase::Applied if !failed => prop_assert_eq!(&fake.state, &after(&plan)),
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
        prop_assert_eq!(&fake.state, &start());
    }
}
