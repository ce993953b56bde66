//! Recorded cases: reading them, deciding them, and explaining the decision.
#![no_main]

use jitscan_fuzz::catalog::Catalog;
use jitscan_fuzz::check;
use jitscan_fuzz::decide::case::Case;
use jitscan_fuzz::decide::compile::Compiler;
use jitscan_fuzz::decide::{Answer, CallerKind, Decide};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    jitscan_fuzz::mutate::json(data, size, max_size, seed)
});

fuzz_target!(|text: &str| {
    let compiler = Compiler::new(Catalog::get());
    let case = match Case::parse(text, &compiler) {
        Ok(case) => case,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let (policies, request) = (&case.policies, &case.request);
    let decision = policies.explain(request);
    let decided = policies.decide(request);
    check!("agree", decided == decision.answer, "explained as {:?}, decided as {decided:?}", decision.answer);
    let quick = policies.answer(request);
    // What was open may be settled, and a denial turn out to be explicit; nothing else changes.
    let settles =
        quick == Answer::Undecided || (quick, decided) == (Answer::ImplicitlyDenied, Answer::ExplicitlyDenied);
    check!("quick", settles || quick == decided, "at first {quick:?}, then {decided:?}");
    for cited in &decision.statements {
        assert!(!cited.to_string().is_empty());
    }
    let undecided = decision.answer == Answer::Undecided;
    check!("open-by-none", !undecided || decision.decided_by.is_empty(), "{:?}", decision.decided_by);
    check!("depends", undecided || decision.depends_on.is_empty() && decision.examples.is_empty(), "{decision:?}");
    // An example is a world, and its answer what it says, where it is said who asks: the session of a role, or the user
    // of a federated session, may be open too, and an example does not say them.
    let whole = match request.caller.kind {
        CallerKind::Role => request.caller.session.is_some(),
        CallerKind::FederatedUser => request.caller.arn.is_some(),
        _ => true,
    };
    for example in &decision.examples {
        let mut world = request.clone();
        for (key, slot) in &example.values {
            world.context.set(key, slot.clone());
        }
        let there = policies.answer(&world);
        let fits = there == example.answer || (!whole && there == Answer::Undecided);
        check!("example", fits, "{example:?} is {there:?}");
    }
    let denied = decision.answer == Answer::ExplicitlyDenied;
    check!("denied-by", !denied || !decision.decided_by.is_empty(), "nothing denies");
    // The same text gives the same answer, from a compiler that has seen it too.
    let again = Case::parse(text, &compiler).map(|case| case.policies.explain(&case.request));
    check!(
        "again",
        again.is_ok_and(|again| again.answer == decision.answer && again.statements == decision.statements),
        "{decision:?}"
    );
});
