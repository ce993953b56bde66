//! What must hold of decisions whatever the policies are.

use std::collections::BTreeSet;

use jitscan::decide::case::Case;
use jitscan::decide::context::Slot;
use jitscan::decide::{Answer, Decide, LayerKind, Request};
use proptest::prelude::*;
use proptest::sample::select;

use super::support::{
    ANYTHING, Asked, Clause, Document, Family, Layers, Limits, Listed, USER, asked, case, check, clause, compiler,
    crowded, family, layers, line, situation, values,
};

/// Where a statement is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    Identity,
    Boundary,
    Session,
    Scp(usize),
    Rcp(usize),
    Resource,
    Endpoint,
}

fn spot() -> impl Strategy<Value = Spot> {
    let limits =
        vec![Spot::Boundary, Spot::Session, Spot::Scp(0), Spot::Scp(1), Spot::Rcp(0), Spot::Rcp(1), Spot::Endpoint];
    prop_oneof![Just(Spot::Identity), Just(Spot::Resource), select(limits)]
}

/// Adds a statement as a policy of its own, or to the only one of a resource. A layer that is not there is made if
/// `make` says so: none, where there was none, is another thing than one that allows nothing.
fn add(layers: &mut Layers, spot: Spot, clause: Clause, make: bool) -> bool {
    let document = Document { variables: true, clauses: vec![clause.clone()] };
    let put = |list: &mut Option<Vec<Document>>, document: Document| match list {
        Some(list) => {
            list.push(document);
            true
        }
        None if make => {
            *list = Some(vec![document]);
            true
        }
        None => false,
    };
    let put_level = |levels: &mut Vec<Vec<Document>>, at: usize, document: Document| match levels.get_mut(at) {
        Some(level) => {
            level.push(document);
            true
        }
        None if make => {
            levels.push(vec![document]);
            true
        }
        None => false,
    };
    match spot {
        Spot::Identity => {
            layers.identity.push(document);
            true
        }
        Spot::Boundary => put(&mut layers.boundary, document),
        Spot::Session => put(&mut layers.session, document),
        Spot::Endpoint => put(&mut layers.endpoint, document),
        Spot::Scp(at) => put_level(&mut layers.scps, at, document),
        Spot::Rcp(at) => put_level(&mut layers.rcps, at, document),
        Spot::Resource => {
            match &mut layers.resource {
                Some(only) => only.clauses.push(clause),
                none => *none = Some(document),
            }
            true
        }
    }
}

/// A situation and a statement with one effect that is put somewhere in it.
fn with_another(allow: bool, conditions: usize) -> impl Strategy<Value = (Layers, Asked, Spot, Clause)> {
    family().prop_flat_map(move |family: Family| {
        let another = clause(family, Some(allow), conditions, ANYTHING);
        (layers(family, ANYTHING), asked(family, ANYTHING), spot(), another)
    })
}

fn is_denied(answer: Answer) -> bool {
    matches!(answer, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied)
}

fn is_complete(asked: &Asked) -> bool {
    asked.context.iter().all(|(_, slot)| *slot != Slot::Unknown)
}

fn answers(before: &Layers, after: &Layers, asked: &Asked) -> (Answer, Answer, String) {
    let of = |layers: &Layers| {
        let case = case(layers, asked);
        case.policies.decide(&case.request)
    };
    let (was, is) = (of(before), of(after));
    (was, is, format!("{was:?} became {is:?}\n{}\n{}", line(before, asked), line(after, asked)))
}

#[test]
fn another_deny_never_enlarges() {
    check(600, 10, with_another(false, 2), |(before, asked, spot, clause)| {
        let mut after = before.clone();
        add(&mut after, spot, clause, true);
        let (was, is, told) = answers(&before, &after, &asked);
        prop_assert!(is != Answer::Allowed || was == Answer::Allowed, "{}", told);
        // What a Deny can be unsure of makes nothing possible that was not.
        prop_assert!(!is_denied(was) || is_denied(is), "{}", told);
        let whole = is_complete(&asked);
        prop_assert!(!whole || was != Answer::ExplicitlyDenied || is == was, "{}", told);
        Ok(was != is)
    });
}

#[test]
fn another_allow_never_shrinks() {
    check(600, 3, with_another(true, 0), |(before, asked, spot, clause)| {
        let mut after = before.clone();
        if !add(&mut after, spot, clause, false) {
            return Ok(false);
        }
        let (was, is, told) = answers(&before, &after, &asked);
        prop_assert!(was != Answer::Allowed || is == was, "{}", told);
        prop_assert!(was != Answer::Undecided || !is_denied(is), "{}", told);
        // It does not take a Deny away either, or add one.
        let explicit = |answer| answer == Answer::ExplicitlyDenied;
        prop_assert!(!is_complete(&asked) || explicit(was) == explicit(is), "{}", told);
        Ok(was != is)
    });
}

/// Puts lists in another order.
struct Shuffle(u64);

impl Shuffle {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's multiplier; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn list<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }

    fn document(&mut self, document: &mut Document) {
        self.list(&mut document.clauses);
        for clause in &mut document.clauses {
            self.list(&mut clause.who.names);
            self.list(&mut clause.actions.list);
            self.list(&mut clause.resources.list);
            self.list(&mut clause.conditions);
            clause.conditions.iter_mut().for_each(|one| self.list(&mut one.values));
        }
    }

    fn set(&mut self, set: &mut [Document]) {
        self.list(set);
        set.iter_mut().for_each(|document| self.document(document));
    }

    fn layers(&mut self, layers: &mut Layers) {
        self.set(&mut layers.identity);
        for set in [&mut layers.boundary, &mut layers.session, &mut layers.endpoint].into_iter().flatten() {
            self.set(set);
        }
        for levels in [&mut layers.scps, &mut layers.rcps] {
            self.list(levels);
            levels.iter_mut().for_each(|level| self.set(level));
        }
        layers.resource.iter_mut().for_each(|document| self.document(document));
    }
}

/// What a decision is but for the statements' places: those change with their order.
fn told(case: &Case) -> (Answer, Vec<LayerKind>, Vec<String>, Vec<jitscan::decide::worlds::World>) {
    let decision = case.policies.explain(&case.request);
    (decision.answer, decision.decided_by, decision.depends_on, decision.examples)
}

#[test]
fn order_never_matters() {
    check(300, 50, (situation(ANYTHING), any::<u64>()), |((before, mut asked), seed)| {
        let mut after = before.clone();
        let mut shuffle = Shuffle(seed);
        shuffle.layers(&mut after);
        let first = told(&case(&before, &asked));
        shuffle.list(&mut asked.context);
        for (_, slot) in &mut asked.context {
            if let Slot::Known(values) = slot {
                shuffle.list(values);
            }
        }
        let second = case(&after, &asked);
        prop_assert_eq!(&first, &told(&second), "{}\n{}", line(&before, &asked), line(&after, &asked));
        Ok(line(&before, &asked) != line(&after, &asked))
    });
}

#[test]
fn the_ways_to_ask_agree() {
    check(300, 50, situation(ANYTHING), |(layers, asked)| {
        let case = case(&layers, &asked);
        let (quick, exact) = (case.policies.answer(&case.request), case.policies.decide(&case.request));
        // Each layer for itself may not see that one of them denies in every world.
        let reason = (quick, exact) == (Answer::ImplicitlyDenied, Answer::ExplicitlyDenied);
        prop_assert!(quick == exact || quick == Answer::Undecided || reason, "{quick:?} and {exact:?}");
        let decision = case.policies.explain(&case.request);
        prop_assert_eq!(exact, decision.answer);
        Ok(true)
    });
}

#[test]
fn whatever_is_decided_some_layer_decided() {
    check(400, 50, prop_oneof![situation(ANYTHING), crowded()], |(layers, asked)| {
        let case = case(&layers, &asked);
        let decision = case.policies.explain(&case.request);
        let exact = decision.answer;
        // What the root user's own account allows it, no layer grants.
        let root = asked.principal.as_str().is_some_and(|arn| arn.ends_with(":root"));
        let nobody = exact == Answer::Undecided || (exact == Answer::Allowed && root);
        prop_assert!(nobody || !decision.decided_by.is_empty(), "{}", line(&layers, &asked));
        prop_assert!(exact != Answer::Undecided || decision.decided_by.is_empty(), "{}", line(&layers, &asked));
        Ok(true)
    });
}

/// One statement for each action and resource; lists of exceptions stay whole, since they hold together.
fn split(document: &Document) -> Document {
    let single = |listed: &Listed| {
        if listed.all_but {
            return vec![listed.clone()];
        }
        listed.list.iter().map(|one| Listed { all_but: false, list: vec![one.clone()] }).collect()
    };
    let mut clauses = Vec::new();
    for clause in &document.clauses {
        for actions in single(&clause.actions) {
            for resources in single(&clause.resources) {
                clauses.push(Clause { actions: actions.clone(), resources, ..clause.clone() });
            }
        }
    }
    Document { clauses, ..document.clone() }
}

#[test]
fn splitting_statements_changes_nothing() {
    check(300, 50, situation(ANYTHING), |(before, asked)| {
        let set = |set: &Vec<Document>| set.iter().map(split).collect::<Vec<_>>();
        let after = Layers {
            identity: set(&before.identity),
            boundary: before.boundary.as_ref().map(set),
            session: before.session.as_ref().map(set),
            scps: before.scps.iter().map(set).collect(),
            rcps: before.rcps.iter().map(set).collect(),
            resource: before.resource.as_ref().map(split),
            endpoint: before.endpoint.as_ref().map(set),
        };
        let (first, second) = (told(&case(&before, &asked)), told(&case(&after, &asked)));
        prop_assert_eq!(&first, &second, "{}\n{}", line(&before, &asked), line(&after, &asked));
        Ok(line(&before, &asked) != line(&after, &asked))
    });
}

/// The case with keys set to something.
fn with(case: &Case, slots: &[(String, Slot)]) -> Request {
    let mut request = case.request.clone();
    for (key, slot) in slots {
        request.context.set(key, slot.clone());
    }
    request
}

/// Keys that may have several values, as these policies use them: a key that only single-valued operators name has one.
fn may_be(key: &str, slot: &Slot) -> bool {
    key == "aws:TagKeys" || !matches!(slot, Slot::Known(values) if values.len() > 1)
}

#[test]
fn what_is_unknown_cannot_change_what_is_decided() {
    check(600, 5, prop_oneof![situation(ANYTHING), crowded()], |(layers, asked)| {
        let case = case(&layers, &asked);
        let answer = case.policies.decide(&case.request);
        let unknown: Vec<&str> =
            asked.context.iter().filter(|(_, slot)| *slot == Slot::Unknown).map(|(key, _)| *key).collect();
        if answer == Answer::Undecided {
            return Ok(false);
        }
        let mut worlds: Vec<Vec<(String, Slot)>> = vec![Vec::new()];
        for key in &unknown {
            let slots: Vec<Slot> = values(key).into_iter().filter(|slot| may_be(key, slot)).collect();
            let longer = |world: &Vec<(String, Slot)>| {
                let world = world.clone();
                slots.iter().map(move |slot| [world.as_slice(), &[((*key).to_owned(), slot.clone())]].concat())
            };
            worlds = worlds.iter().flat_map(|world| longer(world).collect::<Vec<_>>()).collect();
        }
        for world in &worlds {
            let then = case.policies.decide(&with(&case, world));
            // Denied for different reasons in different worlds is denied implicitly.
            let same = then == answer || (answer == Answer::ImplicitlyDenied && is_denied(then));
            // A session that is not known, or a `NotPrincipal` that names half of a caller, stays open.
            prop_assert!(same, "{answer:?} but {then:?} with {world:?}: {}", line(&layers, &asked));
        }
        // Where the layers each for itself leave it open.
        Ok(case.policies.answer(&case.request) == Answer::Undecided)
    });
}

/// Denied explicitly in every world is denied explicitly, whether or not something would allow it.
#[test]
fn what_every_world_denies_explicitly_is_denied_explicitly() {
    let deny = |operator: &str| {
        let condition = serde_json::json!({operator: {"aws:RequestedRegion": "a"}});
        serde_json::json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition})
    };
    let allow = serde_json::json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let denies = [deny("StringEquals"), deny("StringNotEquals")];
    for statements in [denies.to_vec(), [&denies[..], &[allow]].concat()] {
        let line = serde_json::json!({
            "request": {"principal": USER, "action": "iam:ListUsers", "resource": "*",
                "unknown_context": ["aws:RequestedRegion"]},
            "identity_policies": [{"Version": "2012-10-17", "Statement": statements}],
        });
        let case = Case::parse(&line.to_string(), compiler()).unwrap();
        assert_eq!(case.policies.decide(&case.request), Answer::ExplicitlyDenied, "{line}");
    }
}

#[test]
fn what_is_undecided_can_be_shown_both_ways() {
    // One unknown key: a variable's value that depends on another's is not looked for.
    let limits = Limits { vague_principals: false, many_unknown: false };
    check(600, 5, prop_oneof![situation(limits), crowded()], |(layers, asked)| {
        let case = case(&layers, &asked);
        let decision = case.policies.explain(&case.request);
        if decision.answer != Answer::Undecided {
            prop_assert!(decision.examples.is_empty() && decision.depends_on.is_empty());
            return Ok(false);
        }
        let text = line(&layers, &asked);
        // A federated session does not say whose it is: there the example names the user, which a request cannot.
        for world in decision.examples.iter().filter(|world| world.caller.is_none()) {
            prop_assert_eq!(case.policies.decide(&with(&case, &world.values)), world.answer, "{:?}: {}", world, text);
        }
        let seen: Vec<Answer> = decision.examples.iter().map(|world| world.answer).collect();
        prop_assert!(seen.contains(&Answer::Allowed) && seen.iter().any(|one| is_denied(*one)), "{seen:?}: {text}");
        let unknown: BTreeSet<String> = asked
            .context
            .iter()
            .filter(|(_, slot)| *slot == Slot::Unknown)
            .map(|(key, _)| key.to_ascii_lowercase())
            .collect();
        let told = decision.depends_on.iter().map(|key| key.to_ascii_lowercase()).collect();
        prop_assert_eq!(unknown, told, "{}", text);
        Ok(true)
    });
}

// Wildcards against regular expressions.
