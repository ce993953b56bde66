//! What `can` decides and what `entitlements` lists come from the same statements and must never contradict each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use jitscan::catalog::{ActionId, Catalog};
use jitscan::decide::condition::CompiledCondition;
use jitscan::decide::context::{Context, Slot};
use jitscan::decide::inquiry::{Inquiry, Question};
use jitscan::decide::request::ResourceRule;
use jitscan::decide::{ActionName, Answer, Decide, Request, ResourcePolicy, Roster, Standing, Target, Truth};
use jitscan::entitlements::{Entitlement, LimitKind, PrincipalEntitlements, Scope, entitlements};
use jitscan::model::arn::AccountId;
use jitscan::model::snapshot::{
    AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Organization, OrganizationAccount,
    OrganizationPolicy, Role, Snapshot, User,
};
use jitscan::model::time::Timestamp;
use jitscan::policy::{ArnPattern, ResourceMatch};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestCaseError;

use super::support::{Clause, Document, Form, Requirement, Who, about, check, compiler};

const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];
const MANAGED: usize = 3;

/// A document, or a text that is none.
type Text = Option<Document>;

/// What a user or role has: inline policies, numbers of managed policies, groups; a boundary by its number, where the
/// last is not collected; the value of its tag `t`.
#[derive(Clone, Debug)]
struct Holding {
    inline: Vec<Text>,
    attached: Vec<usize>,
    groups: Vec<usize>,
    boundary: Option<usize>,
    tag: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct AccountPlan {
    managed: Vec<Text>,
    /// Inline and attached policies of two groups.
    groups: Vec<(Vec<Text>, Vec<usize>)>,
    user: Holding,
    role: Holding,
    /// Whether sessions of the role may bring tags of their own.
    tagging: bool,
    /// A role that a service made for itself, where there is one.
    linked: Option<Holding>,
}

/// Service control policies, and for the root, the OU and each account which of them are attached; the last stands for
/// the one that allows everything.
#[derive(Clone, Debug)]
struct OrganizationPlan {
    scps: Vec<Text>,
    attached: Vec<Vec<usize>>,
    management: &'static str,
}

#[derive(Clone, Debug)]
struct Plan {
    accounts: Vec<AccountPlan>,
    organization: Option<OrganizationPlan>,
    /// The region and the tag of requests.
    contexts: Vec<(Slot, Option<Slot>)>,
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn requirement() -> impl Strategy<Value = Requirement> {
    const REGION: &[&str] = &["eu-west-1", "us-east-1"];
    const TAG: &[&str] = &["x", "y"];
    const PRINCIPAL: &[&str] =
        &["arn:aws:iam::*:user/*", "arn:aws:iam::111111111111:role/app", "arn:aws:iam::222222222222:*"];
    let one = |operators: &'static [&'static str], key: &'static str, values: &'static [&'static str]| {
        (select(operators), subsequence(values, 1..=values.len())).prop_map(move |(operator, values)| Requirement {
            operator: operator.to_owned(),
            key: key.to_owned(),
            values: owned(&values),
        })
    };
    prop_oneof![
        3 => one(&["StringEquals", "StringNotEquals", "StringEqualsIfExists"], "aws:RequestedRegion", REGION),
        2 => one(&["ArnLike", "ArnNotLike"], "aws:PrincipalArn", PRINCIPAL),
        2 => one(&["StringEquals", "StringNotEquals", "StringNotLikeIfExists"], "aws:PrincipalTag/t", TAG),
        1 => one(&["Null"], "aws:PrincipalTag/t", &["true", "false"]),
        1 => one(&["StringEquals", "StringNotEquals"], "aws:PrincipalOrgID", &["o-1"]),
        1 => one(&["StringEquals", "StringNotEquals"], "aws:PrincipalAccount", &["${aws:ResourceAccount}", ACCOUNTS[0]]),
        1 => one(&["StringLike", "StringNotLike"], "aws:username", &["a*", "${aws:PrincipalTag/t, 'ann'}"]),
    ]
}

fn statement() -> impl Strategy<Value = Clause> {
    const ACTIONS: [&str; 14] = [
        "*",
        "*",
        "s3:*",
        "s3:Get*",
        "S3:putobject",
        "s3:List*",
        "s3:ListBucket",
        "sqs:*",
        "sqs:SendMessage",
        "sqs:ListQueues",
        "iam:*",
        "iam:PassRole",
        "iam:*User*",
        "iam:Get?ser",
    ];
    const RESOURCES: [&str; 13] = [
        "*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::b",
        "arn:aws:s3:::b*",
        "arn:aws:s3:::*/k",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::${aws:PrincipalTag/t}/*",
        "arn:aws:sqs:*:111111111111:q",
        "arn:aws:sqs:eu-west-1",
        "arn:aws:iam::*:user/${aws:username}",
        "arn:aws:iam::111111111111:*",
        "arn:aws:iam::*:role/a?p",
        "arn:aws:iam::*:user/*",
    ];
    let actions = (prop::bool::weighted(0.15), subsequence(ACTIONS.to_vec(), 1..=3));
    let resources = prop_oneof![
        1 => Just((false, vec!["*"])),
        1 => (prop::bool::weighted(0.2), subsequence(RESOURCES.to_vec(), 1..=3)),
    ];
    let conditions = prop_oneof![2 => Just(None), 1 => requirement().prop_map(Some)];
    (prop::bool::weighted(0.7), actions, resources, conditions).prop_map(|(allow, actions, resources, condition)| {
        let actions = (actions.0, owned(&actions.1));
        Clause {
            allow,
            who: Who { all_but: false, names: Vec::new() },
            resources: about(&actions, (resources.0, owned(&resources.1))),
            actions: super::support::Listed { all_but: actions.0, list: actions.1 },
            conditions: condition.into_iter().collect(),
        }
    })
}

fn text() -> impl Strategy<Value = Text> {
    let whole =
        proptest::collection::vec(statement(), 1..=3).prop_map(|clauses| Some(Document { variables: true, clauses }));
    prop_oneof![60 => whole, 1 => Just(None)]
}

/// Statements that leave most of what others grant: what a boundary or an organisation is likely to have.
fn mild() -> impl Strategy<Value = Text> {
    let everything = Clause {
        allow: true,
        who: Who { all_but: false, names: Vec::new() },
        actions: super::support::Listed { all_but: false, list: owned(&["*"]) },
        resources: super::support::Listed { all_but: false, list: owned(&["*"]) },
        conditions: Vec::new(),
    };
    (text(), any::<bool>()).prop_map(move |(mut text, add)| {
        if let (Some(document), true) = (&mut text, add) {
            document.clauses.push(everything.clone());
        }
        text
    })
}

fn numbers() -> impl Strategy<Value = Vec<usize>> {
    subsequence((0..MANAGED).collect::<Vec<_>>(), 0..=2)
}

fn holding() -> impl Strategy<Value = Holding> {
    // Number `MANAGED` is a policy that was not collected.
    let boundary = prop_oneof![20 => Just(None), 12 => (0..MANAGED).prop_map(Some), 1 => Just(Some(MANAGED))];
    let tag = prop::option::of(select(vec!["x", "y", "b"]));
    let groups = subsequence(vec![0usize, 1], 0..=2);
    (proptest::collection::vec(text(), 0..=2), numbers(), groups, boundary, tag)
        .prop_map(|(inline, attached, groups, boundary, tag)| Holding { inline, attached, groups, boundary, tag })
}

fn account() -> impl Strategy<Value = AccountPlan> {
    let managed = proptest::collection::vec(mild(), MANAGED);
    let group = (proptest::collection::vec(text(), 0..=1), numbers());
    let groups = proptest::collection::vec(group, 2);
    (managed, groups, holding(), holding(), any::<bool>(), prop::option::weighted(0.3, holding())).prop_map(
        |(managed, groups, user, role, tagging, linked)| AccountPlan { managed, groups, user, role, tagging, linked },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let scps = proptest::collection::vec(mild(), 2);
    // Level by level: mostly the one that allows everything, seldom nothing at all.
    let level = prop_oneof![
        6 => Just(vec![2usize]),
        6 => subsequence(vec![0usize, 1, 2], 1..=3),
        1 => Just(Vec::new()),
    ];
    let management = select(vec![ACCOUNTS[0], "999999999999", "999999999999"]);
    let organization = (scps, proptest::collection::vec(level, 4), management)
        .prop_map(|(scps, attached, management)| OrganizationPlan { scps, attached, management });
    let region = select(vec![Slot::one("eu-west-1"), Slot::one("us-east-1"), Slot::Absent, Slot::Unknown]);
    let tag = select(vec![None, Some(Slot::one("x")), Some(Slot::one("b")), Some(Slot::Absent), Some(Slot::Unknown)]);
    let contexts = proptest::collection::vec((region, tag), 2);
    (proptest::collection::vec(account(), 1..=2), prop::option::weighted(0.7, organization), contexts)
        .prop_map(|(accounts, organization, contexts)| Plan { accounts, organization, contexts })
}

fn json(text: &Text) -> String {
    text.as_ref().map_or_else(|| "{".to_owned(), |document| document.json(Form::Identity).to_string())
}

fn named(list: &[Text]) -> Vec<NamedDocument> {
    let one = |(at, text): (usize, &Text)| NamedDocument { name: format!("inline{at}"), json: json(text) };
    list.iter().enumerate().map(one).collect()
}

fn policy_arn(account: &str, at: usize) -> String {
    format!("arn:aws:iam::{account}:policy/p{at}")
}

fn attachments(account: &str, list: &[usize]) -> Vec<Attachment> {
    list.iter().map(|at| Attachment { name: format!("p{at}"), arn: policy_arn(account, *at) }).collect()
}

fn holder(account: &str, kind: &str, path: &str, name: &str, holding: &Holding) -> Holder {
    Holder {
        arn: format!("arn:aws:iam::{account}:{kind}{path}{name}").parse().unwrap(),
        name: name.to_owned(),
        path: path.to_owned(),
        id: format!("ID{name}"),
        created: None,
        inline: named(&holding.inline),
        attached: attachments(account, &holding.attached),
        boundary: holding.boundary.map(|at| policy_arn(account, at)),
        tags: holding.tag.map(|value| ("t".to_owned(), value.to_owned())).into_iter().collect(),
    }
}

fn iam(account: &str, plan: &AccountPlan) -> AccountIam {
    let action = if plan.tagging { r#"["sts:AssumeRole","sts:TagSession"]"# } else { r#""sts:AssumeRole""# };
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"*"}},"Action":{action}}}}}"#
    );
    let role = |holder| Role { holder, trust: trust.clone(), last_used: None, instance_profiles: Vec::new() };
    let mut roles = vec![role(holder(account, "role", "/", "app", &plan.role))];
    let linked = plan.linked.as_ref();
    roles.extend(linked.map(|plan| role(holder(account, "role", "/aws-service-role/x.amazonaws.com/", "l", plan))));
    let groups = plan.groups.iter().enumerate().map(|(at, (inline, attached))| Group {
        arn: format!("arn:aws:iam::{account}:group/g{at}").parse().unwrap(),
        name: format!("g{at}"),
        inline: named(inline),
        attached: attachments(account, attached),
    });
    let managed = plan.managed.iter().enumerate().map(|(at, text)| ManagedPolicy {
        arn: policy_arn(account, at),
        name: format!("p{at}"),
        id: format!("ANPA{at}"),
        version_created: None,
        version_id: "v1".to_owned(),
        json: json(text),
    });
    AccountIam {
        account: account.parse().unwrap(),
        captured_at: Timestamp::default(),
        users: vec![User {
            holder: holder(account, "user", "/", "ann", &plan.user),
            groups: plan.user.groups.iter().map(|at| format!("g{at}")).collect(),
        }],
        groups: groups.collect(),
        roles,
        policies: managed.collect(),
    }
}

fn organization(plan: &OrganizationPlan) -> Organization {
    const TARGETS: [&str; 4] = ["r-1", "ou-1", ACCOUNTS[0], ACCOUNTS[1]];
    const FULL: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let texts = plan.scps.iter().map(json).chain([FULL.to_owned()]);
    let policies = texts.enumerate().map(|(at, json)| OrganizationPolicy {
        id: format!("p-{at}"),
        name: format!("scp{at}"),
        kind: "SERVICE_CONTROL_POLICY".to_owned(),
        json,
        targets: TARGETS
            .iter()
            .zip(&plan.attached)
            .filter(|(_, list)| list.contains(&at))
            .map(|(id, _)| (*id).to_owned())
            .collect(),
    });
    let accounts = ACCOUNTS.iter().map(|id| OrganizationAccount {
        id: id.parse().unwrap(),
        name: (*id).to_owned(),
        parents: owned(&["r-1", "ou-1"]),
    });
    Organization {
        id: "o-1".to_owned(),
        management_account: plan.management.parse().unwrap(),
        captured_at: Timestamp::default(),
        accounts: accounts.collect(),
        policies: policies.collect(),
    }
}

fn snapshot(plan: &Plan) -> Snapshot {
    let accounts: BTreeMap<AccountId, AccountIam> =
        ACCOUNTS.iter().zip(&plan.accounts).map(|(id, plan)| (id.parse().unwrap(), iam(id, plan))).collect();
    Snapshot { accounts, organization: plan.organization.as_ref().map(organization), ..Snapshot::default() }
}

/// Every action with the resources that requests for it can name.
///
/// A statement that names an action on resources of which none can be used with it (`s3:GetObject` on a bucket) does
/// not grant it: entitlements leave such actions out as ineffective. The engine takes a request as it is and would
/// allow `s3:GetObject` on the bucket, but no such request exists. So an action is asked only on what is of one of the
/// types that the catalogue has for it, and on `*`.
fn requests() -> Vec<(ActionName, ActionId, Target)> {
    const ACTIONS: [&str; 12] = [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
        "s3:ListAllMyBuckets",
        "sqs:SendMessage",
        "sqs:ReceiveMessage",
        "sqs:ListQueues",
        "iam:GetUser",
        "iam:CreateUser",
        "iam:PassRole",
        "iam:ListUsers",
    ];
    const RESOURCES: [(&str, &str); 10] = [
        ("bucket", "arn:aws:s3:::b"),
        ("bucket", "arn:aws:s3:::c"),
        ("object", "arn:aws:s3:::b/k"),
        ("object", "arn:aws:s3:::b/x"),
        ("object", "arn:aws:s3:::c/k"),
        ("queue", "arn:aws:sqs:eu-west-1:111111111111:q"),
        ("queue", "arn:aws:sqs:eu-west-1:222222222222:q"),
        ("user", "arn:aws:iam::111111111111:user/ann"),
        ("user", "arn:aws:iam::222222222222:user/bob"),
        ("role", "arn:aws:iam::111111111111:role/app"),
    ];
    let catalog = Catalog::get();
    let mut out = Vec::new();
    for name in ACTIONS {
        let id = catalog.find(name).unwrap();
        let action = catalog.action(id).unwrap();
        let mut add = |resource: &str| out.push((ActionName::new(name, catalog), id, Target::new(resource)));
        add("*");
        for (kind, resource) in RESOURCES {
            if action.resource_types().any(|(name, _)| name == kind) {
                add(resource);
            }
        }
    }
    out
}

/// Whether a scope holds for a request.
fn holds(scope: &Scope, request: &Request) -> Truth {
    let (text, parts) = (request.resource.as_str(), request.resource.parts());
    let value = |key: &str| request.context.find(key).variable();
    let any = |patterns: &[ArnPattern]| {
        let each = patterns.iter().map(|pattern| Truth::from(pattern.matches_with(text, parts.as_ref(), &value)));
        each.fold(Truth::False, Truth::or)
    };
    let concerned = match &scope.resources {
        ResourceMatch::Resource(patterns) => any(patterns),
        ResourceMatch::NotResource(patterns) => any(patterns).negate(),
        ResourceMatch::Implied => Truth::True,
    };
    let conditions = scope.conditions.iter().map(|one| CompiledCondition::new(one.clone(), true));
    conditions.map(|one| one.decide(&request.context)).fold(concerned, Truth::and)
}

/// What an entitlement, with its limits, says to a request.
fn says(entitlement: &Entitlement, action: ActionId, request: &Request) -> Truth {
    let mut all = holds(&entitlement.scope, request);
    // Of what the boundary, or one level, allows within limits, one statement is enough.
    let mut within = BTreeMap::new();
    for limit in entitlement.limits.iter().filter(|limit| limit.actions.contains(action)) {
        let truth = holds(&limit.scope, request);
        match limit.kind {
            LimitKind::Denied | LimitKind::DeniedIf => all = all.and(truth.negate()),
            LimitKind::OnlyWithin => {
                let level = (limit.provenance.layer, limit.provenance.via.as_str());
                let known = within.entry(level).or_insert(Truth::False);
                *known = known.or(truth);
            }
        }
    }
    within.into_values().fold(all, Truth::and)
}

fn is_whole(standing: &Standing<'_>) -> bool {
    standing.identity.broken.is_empty()
        && standing.boundary.as_ref().is_none_or(|boundary| boundary.policies.broken.is_empty())
        && !standing.control.undecidable
}

/// One decision against what is listed. The request is for a resource without a policy.
fn agree(
    standing: &Standing<'_>,
    listed: &PrincipalEntitlements,
    action: ActionId,
    request: &Request,
    answer: Answer,
) -> Result<(), TestCaseError> {
    let told = || {
        let (arn, resource) = (standing.holder.arn.as_str(), request.resource.as_str());
        format!("{answer:?}: {arn} {} on {resource} with {:?}", request.action.text, request.context)
    };
    let granted = listed.granted.contains(action);
    let undecided = listed.undecided.contains(action);
    if answer == Answer::Allowed {
        prop_assert!(granted, "not listed, but {}", told());
        let named = listed.granting(action).any(|one| one.scope.resources.may_match(request.resource.as_str()));
        prop_assert!(named, "not in the scope of an entitlement, but {}", told());
    }
    // What is not even undecided is denied, whatever else is not known.
    let out_of_reach = !granted && !undecided;
    let denied = matches!(answer, Answer::ImplicitlyDenied | Answer::ExplicitlyDenied);
    prop_assert!(!out_of_reach || answer != Answer::Allowed, "surely not granted, but {}", told());
    // In another account, the resource's policy would have to allow it too.
    let alone = request.is_within_account() && request.rule() == ResourceRule::Ordinary;
    let free =
        |one: &Entitlement| one.scope.is_everything() && !one.limits.iter().any(|limit| limit.actions.contains(action));
    if alone && !undecided && listed.granting(action).any(free) {
        prop_assert_eq!(answer, Answer::Allowed, "granted without limits, but {}", told());
    }
    // The entitlements with their limits say everything that the statements do.
    if is_whole(standing) {
        let whole = listed.granting(action).map(|one| says(one, action, request)).fold(Truth::False, Truth::or);
        prop_assert!(answer != Answer::Allowed || !whole.is_false(), "no entitlement holds, but {}", told());
        prop_assert!(!(denied && alone && whole.is_true()), "an entitlement holds, but {}", told());
        let sure = alone && request.context.is_complete();
        prop_assert!(!sure || answer != Answer::Undecided, "all is known, but {}", told());
    }
    Ok(())
}

#[test]
fn decisions_and_entitlements_agree() {
    let catalog = Catalog::get();
    let asked = requests();
    assert_eq!(asked.len(), 32, "every action with the resources that it can be used with");
    check(200, 60, plan(), |plan| {
        let snapshot = snapshot(&plan);
        let roster = Roster::new(&snapshot, compiler());
        let all = entitlements(&snapshot, catalog);
        let inquiry = Inquiry { roster: &roster, organization: snapshot.organization.as_ref() };
        prop_assert_eq!(roster.principals.len(), all.principals.len());
        let (mut allowed, mut denied) = (false, false);
        for (standing, listed) in roster.principals.iter().zip(&all.principals) {
            prop_assert_eq!(&standing.holder.arn, &listed.arn);
            let caller = Arc::new(inquiry.caller(standing, None).unwrap());
            for (region, tag) in &plan.contexts {
                let mut context = Context::default();
                context.set("aws:RequestedRegion", region.clone());
                if let Some(tag) = tag {
                    context.set("aws:PrincipalTag/t", tag.clone());
                }
                for (action, id, target) in &asked {
                    let (action, target) = (action.clone(), target.clone());
                    let resource = Some(ResourcePolicy::Absent);
                    let question = Question { action, target, owner: None, context: context.clone(), resource };
                    let (policies, request) = inquiry.of_principal(standing, Arc::clone(&caller), &question);
                    let answer = policies.decide(&request);
                    agree(standing, listed, *id, &request, answer)?;
                    allowed |= answer == Answer::Allowed;
                    denied |= answer == Answer::ImplicitlyDenied || answer == Answer::ExplicitlyDenied;
                }
            }
        }
        Ok(allowed && denied)
    });
}
