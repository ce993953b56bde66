use super::*;
use crate::model::event::CallVariant;
use crate::model::time::{Day, Timestamp};
use crate::usage::fold::{CoverageFact, CoverageKey, UsageFact, UsageKey, UsageRow};

fn row(name: &str, outcome: Outcome, refused: &str, account: &str, shared: bool, by: &Identity) -> UsageRow {
    let key = UsageKey {
        session: SessionId::of(by),
        source: "ec2.amazonaws.com".into(),
        name: name.into(),
        variant: CallVariant { refused: refused.into(), ..CallVariant::default() },
        category: EventCategory::Management,
        resource: String::new(),
        outcome,
        account: account.into(),
        region: "us-east-1".into(),
        day: Day(20_000),
        shared,
    };
    UsageRow { key, fact: UsageFact::of(Timestamp::from_seconds(20_000 * 86_400)) }
}

fn joined(rows: &[UsageRow], identity: &Identity, own_act: bool) -> Vec<(String, String, ActionUse)> {
    let catalog = Catalog::get();
    let name = |id: ActionId| catalog.action(id).unwrap().full_name();
    activity_of(rows, identity, own_act)
        .into_iter()
        .map(|(key, use_)| (name(key.action), key.person.to_string(), use_))
        .collect()
}

fn joined_keys(rows: &[UsageRow], identity: &Identity) -> Vec<(ActivityKey, ActionUse)> {
    activity_of(rows, identity, true)
}

fn activity_of(rows: &[UsageRow], identity: &Identity, own_act: bool) -> Vec<(ActivityKey, ActionUse)> {
    joined_all(rows, identity, own_act).rows.into_iter().collect()
}

fn joined_all(rows: &[UsageRow], identity: &Identity, own_act: bool) -> Activity {
    let id = SessionId::of(identity);
    let sessions = Sessions::from_iter([(id, identity.clone())]);
    let actor = Actor {
        kind: ActorKind::User,
        principal: identity.arn.as_str().into(),
        principal_id: "AIDA1".into(),
        account: identity.account.as_str().into(),
        session_name: "".into(),
        person: Some("ada".into()),
        basis: crate::usage::identity::Basis::IamUser,
        machine: false,
        own_act,
        hops: Vec::new(),
        missing: None,
    };
    let catalog = Catalog::get();
    let actors = Actors::from([(id, actor.into())]);
    let mut join = Join::new(&sessions, &actors, catalog);
    let mut block = UsageBlock::default();
    rows.iter().for_each(|row| block.push(&row.view()));
    join.add(&block);
    join.finish()
}

fn identity() -> Identity {
    Identity { arn: "arn:aws:iam::1:user/ada".into(), account: "1".into(), ..Identity::default() }
}

#[test]
fn ranks_are_those_of_a_sort() {
    assert_eq!(ranks(&["b", "a", "c", "b", ""]), [2, 1, 3, 2, 0]);
    assert_eq!(ranks::<u8>(&[]), Vec::<u32>::new());
}

#[test]
fn rows_come_in_the_order_of_their_keys_however_they_came() {
    let ada = identity();
    let rows: Vec<UsageRow> = ["StopInstances", "DescribeVpcs", "DescribeVpcs", "RunInstances"]
        .iter()
        .zip(["2", "1", "10", "1"])
        .map(|(name, account)| row(name, Outcome::Authorised, "", account, false, &ada))
        .collect();
    let forth = joined_keys(&rows, &ada);
    let back = joined_keys(&rows.iter().rev().cloned().collect::<Vec<_>>(), &ada);
    assert_eq!(forth, back);
    assert!(forth.windows(2).all(|pair| pair[0].0 < pair[1].0), "{forth:?}");
    // In two halves it is as in one.
    assert_eq!(joined_keys(&[&rows[..], &rows[..]].concat(), &ada)[0].1.count, 2 * forth[0].1.count);
}

#[test]
fn a_denial_belongs_to_the_action_that_it_names() {
    let ada = identity();
    let found = joined(&[row("RunInstances", Outcome::Denied, "iam:PassRole", "1", false, &ada)], &ada, true);
    let names: Vec<(&str, u64)> = found.iter().map(|(name, _, use_)| (name.as_str(), use_.denied)).collect();
    assert_eq!(names, [("iam:PassRole", 1)]);
    let found = joined(&[row("RunInstances", Outcome::Denied, "", "1", false, &ada)], &ada, true);
    assert!(found.iter().any(|(name, _, use_)| name == "ec2:RunInstances" && use_.denied == 1));
}

#[test]
fn every_call_is_an_attempt_at_what_it_is_named_for() {
    let ada = identity();
    let mut unknown = row("NoSuchCall", Outcome::Unknown, "", "1", false, &ada);
    unknown.key.day = Day(20_001);
    let rows = [
        row("RunInstances", Outcome::Denied, "iam:PassRole", "1", false, &ada),
        row("DescribeVpcs", Outcome::NotEvaluated, "", "1", false, &ada),
        unknown,
    ];
    let presence = joined_all(&rows, &ada, true).presence;
    let attempts = &presence.values().next().unwrap().attempts;
    let days = |name: &str| attempts.actions.get(&Catalog::get().find(name).unwrap()).cloned().unwrap_or_default();
    assert_eq!(days("ec2:RunInstances"), BTreeSet::from([Day(20_000)]));
    assert_eq!(days("ec2:DescribeVpcs"), BTreeSet::from([Day(20_000)]));
    // It was refused for this, and is named for something else.
    assert_eq!(days("iam:PassRole"), BTreeSet::new());
    assert_eq!(attempts.services, BTreeMap::from([("ec2".to_owned(), BTreeSet::from([Day(20_001)]))]));
}

#[test]
fn one_call_counts_once_whatever_its_copies() {
    let ada = identity();
    let rows = [
        row("DescribeVpcs", Outcome::Authorised, "", "1", true, &ada),
        row("DescribeVpcs", Outcome::Authorised, "", "2", true, &ada),
    ];
    let found = joined(&rows, &ada, true);
    assert_eq!(found.iter().map(|row| row.2.count).sum::<u64>(), 1);
    // Whether another account's copy is all there is only the store can tell.
    assert!(joined(&rows[1..], &ada, true).is_empty());
}

#[test]
fn what_a_batch_does_not_show_is_undecided() {
    let ada = identity();
    let mut batch = row("BatchWriteItem", Outcome::Authorised, "", "1", false, &ada);
    batch.key.source = "dynamodb.amazonaws.com".into();
    batch.key.resource = "arn:aws:dynamodb:r:1:table/a".into();
    let activity = |row: UsageRow| {
        let mut found: Vec<(String, u64, u64)> = joined_keys(&[row], &ada)
            .into_iter()
            .map(|(key, use_)| (key.resource.to_string(), use_.count, use_.undecided))
            .collect();
        found.sort();
        found.dedup();
        found
    };
    let table = "arn:aws:dynamodb:r:1:table/a".to_owned();
    assert_eq!(activity(batch.clone()), [(String::new(), 0, 1), (table.clone(), 1, 0)]);
    batch.key.name = "PutItem".into();
    assert_eq!(activity(batch.clone()), [(table.clone(), 1, 0)]);
    // Of any call its record may show that there were others.
    batch.fact.several = 1;
    assert_eq!(activity(batch.clone()), [(String::new(), 0, 1), (table.clone(), 1, 0)]);
    batch.key.outcome = Outcome::Unknown;
    assert_eq!(activity(batch.clone()), [(String::new(), 0, 1), (table.clone(), 0, 1)]);
    batch.key.outcome = Outcome::Denied;
    assert_eq!(activity(batch), [(table, 0, 0)]);
}

#[test]
fn roles_that_are_passed_by_name_are_of_the_callers_account() {
    let ada = identity();
    let passed = |value: &str, path: &str| {
        let mut run = row("RunInstances", Outcome::Authorised, "", "1", false, &ada);
        run.key.variant.roles = vec![(path.to_owned(), value.to_owned())];
        let keys = joined_keys(&[run], &ada).into_iter().map(|(key, _)| key);
        let pass = Catalog::get().find("iam:PassRole").unwrap();
        keys.filter(|key| key.action == pass).map(|key| key.resource.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(passed("p", "iaminstanceprofile.name"), ["arn:aws:iam::1:instance-profile/p"]);
    let arn = "arn:aws:iam::1:instance-profile/a/p";
    assert_eq!(passed(arn, "iaminstanceprofile.arn"), [arn]);
}

#[test]
fn exports_show_nothing_of_what_trails_record() {
    let ada = identity();
    let mut read = row("DescribeVpcs", Outcome::Authorised, "", "1", false, &ada);
    let sessions = Sessions::from_iter([(SessionId::of(&ada), ada.clone())]);
    let actors = Actors::new();
    let hour = 20_000 * 24;
    let cell = |hour, count, whole| {
        let (account, region) = ("1".to_owned(), "us-east-1".to_owned());
        let key = CoverageKey { account, region, hour, category: EventCategory::Management };
        (key, CoverageFact { count, whole })
    };
    let mut kinds = |cells: &[(CoverageKey, CoverageFact)], also_later: bool| {
        if also_later {
            read.fact.add(Timestamp::from_seconds(20_000 * 86_400 + 3_600), false);
        }
        let exported = Exported::of(&cells.iter().cloned().collect());
        let mut join = Join::new(&sessions, &actors, Catalog::get()).with_exported(exported);
        let mut block = UsageBlock::default();
        block.push(&read.view());
        join.add(&block);
        join.finish().recorded.unwrap().contains_key("1")
    };
    assert!(kinds(&[cell(hour, 1, 1)], false));
    assert!(!kinds(&[cell(hour, 1, 0)], false));
    assert!(!kinds(&[cell(hour, 2, 1)], false), "which of the two the trail recorded is not known");
    // One of its hours is of trail files alone.
    assert!(kinds(&[cell(hour, 1, 0), cell(hour + 1, 1, 1)], true));
}

#[test]
fn a_call_by_a_service_is_use_but_nobodys_act() {
    let ada = identity();
    let found = joined(&[row("DescribeVpcs", Outcome::Authorised, "", "1", false, &ada)], &ada, false);
    assert_eq!((found[0].1.as_str(), found[0].2.count), ("", 1));
}

#[test]
fn what_passed_an_endpoint_is_no_call_of_its_own() {
    let ada = identity();
    let view = |outcome| {
        let mut view = row("DescribeVpcs", outcome, "", "1", false, &ada);
        view.key.category = EventCategory::NetworkActivity;
        view
    };
    let call = row("DescribeVpcs", Outcome::Authorised, "", "1", false, &ada);
    let counts = |rows: &[UsageRow]| {
        let all = joined_all(rows, &ada, true);
        let use_ = all.rows.values().next().unwrap();
        (use_.count, use_.undecided, use_.denied, all.presence.values().map(|one| one.calls).sum::<u64>())
    };
    assert_eq!(counts(&[call, view(Outcome::Authorised)]), (1, 1, 0, 1));
    // Alone it shows that there was a call, and not what became of it.
    assert_eq!(counts(&[view(Outcome::Authorised)]), (0, 1, 0, 0));
    assert_eq!(counts(&[view(Outcome::Denied)]), (0, 0, 1, 0));
}
