//! On which resources what stays is to be allowed: those on which it was used, with a margin.
//!
//! The margin, which every plan explains: what only shows what there is, and what makes something new, stays on the resources
//! that are written, and so does all else that is done to the kinds of things that the principal makes; what lies inside a
//! resource goes with it; an id that is new with every start is `*`; what one action of a service was used on, the others may
//! use, too. Where the list of resources still grew in the last third of the window, or is long, nothing is said at all; nor of
//! services whose records name resources otherwise than IAM does.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{ActionId, ActionSet, Catalog};
use crate::compare::Confined;
use crate::compare::elsewhere::{OnResource, is_making, kind_of};
use crate::entitlements::{AccessClass, AccessClasses};
use crate::model::time::Window;
use crate::policy::confine::Confinement;
use crate::policy::{ArnPattern, Wild};

/// Services whose records name resources as IAM checks them, or so that it follows from their names. Not among them are, for
/// example, EventBridge (a rule's bus is not in its name), Systems Manager (a parameter's version is), RDS (names in another
/// case) and ECS (the cluster may be left out).
const SERVICES: [&str; 13] = [
    "cloudformation",
    "codebuild",
    "dynamodb",
    "firehose",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
];
/// Days with use that are enough to tell what an action is used on.
const DAYS: usize = 3;
/// Days with use of each of the resources: what was used once may be no more.
const DAYS_EACH: usize = 2;
/// Most resources of a service that a policy names.
const MOST: usize = 10;
/// Length from which hexadecimal digits, with one that is no letter, are an id.
const ID: usize = 8;

/// Types of resources through which others are reached: a call names one or the other. Source: Amazon S3 User Guide, "Managing
/// access to shared datasets with access points".
const INSTEAD: &str = "accesspoint";

/// What confines one principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Confining {
    pub(super) to: Vec<Confinement>,
    /// One line for each service.
    pub(super) why: Vec<String>,
}

/// What actions of a service were used on, and the patterns over it.
type Actions<'a> = BTreeMap<ActionId, (&'a Vec<OnResource>, BTreeSet<String>)>;

/// What confines the actions of a principal that stay.
pub(super) fn confining(
    confined: &Confined,
    keep: &ActionSet,
    window: Window,
    catalog: &Catalog,
    allowed: &dyn Fn(ActionId, &str) -> bool,
) -> Confining {
    let mut by_service: BTreeMap<&str, Actions<'_>> = BTreeMap::new();
    for (id, on) in confined.actions.iter().filter(|(id, _)| keep.contains(**id)) {
        let Some(action) = catalog.action(*id) else { continue };
        let patterns = of_action(confined, *id, on, window, catalog);
        if let Some(patterns) = patterns.filter(|patterns| holds(confined.named.get(id), *id, patterns, allowed)) {
            by_service.entry(action.prefix()).or_default().insert(*id, (on, patterns));
        }
    }
    let mut out = Confining::default();
    for actions in by_service.into_values() {
        let resources: BTreeSet<&str> =
            actions.values().flat_map(|(on, _)| on.iter().map(|one| &*one.resource)).collect();
        if resources.len() > MOST {
            continue;
        }
        let mut set = catalog.no_actions();
        actions.keys().for_each(|id| {
            set.insert(*id);
        });
        let patterns: BTreeSet<&String> = actions.values().flat_map(|(_, patterns)| patterns).collect();
        let days: BTreeSet<_> = actions.values().flat_map(|(on, _)| on.iter().flat_map(|one| &one.days)).collect();
        let calls: u64 = actions.values().flat_map(|(on, _)| on.iter().map(|one| one.calls)).sum();
        let names: Vec<String> = actions.keys().filter_map(|id| Some(catalog.action(*id)?.full_name())).collect();
        let shown: Vec<&str> = resources.into_iter().collect();
        out.why.push(format!(
            "{}: {calls} calls on {} days, all on {}",
            names.join(", "),
            days.len(),
            shown.join(", ")
        ));
        out.to.push(Confinement { actions: set, resources: patterns.into_iter().cloned().collect() });
    }
    out
}

/// Whether the patterns mean all that calls named, batches too, and what is written allowed it by the same names.
fn holds(
    named: Option<&Option<BTreeSet<String>>>,
    id: ActionId,
    patterns: &BTreeSet<String>,
    allowed: &dyn Fn(ActionId, &str) -> bool,
) -> bool {
    let patterns: Vec<ArnPattern> = patterns.iter().map(|text| ArnPattern::parse(text, false)).collect();
    let Some(Some(named)) = named else { return false };
    !named.is_empty() && named.iter().all(|one| patterns.iter().any(|pattern| pattern.matches(one)) && allowed(id, one))
}

/// The patterns over what an action was used on; none where it stays as it is written.
fn of_action(
    confined: &Confined,
    id: ActionId,
    on: &[OnResource],
    window: Window,
    catalog: &Catalog,
) -> Option<BTreeSet<String>> {
    let action = catalog.action(id)?;
    let shows = AccessClasses::get().of(id) == AccessClass::Read;
    if shows || is_making(action.name()) || !SERVICES.contains(&action.prefix()) {
        return None;
    }
    let made = |resource: &str| {
        let kinds = [kind_of(resource), ""];
        kinds.iter().any(|kind| confined.makes.contains(&(action.prefix().to_owned(), (*kind).to_owned())))
    };
    let days: BTreeSet<_> = on.iter().flat_map(|one| &one.days).collect();
    let last_third = window.to.micros() - (window.to.micros() - window.from.micros()) / 3;
    let grows = on.iter().any(|one| one.first.is_none_or(|first| first.micros() >= last_third));
    let seldom = on.iter().any(|one| one.days.len() < DAYS_EACH);
    if days.len() < DAYS || grows || seldom || on.iter().any(|one| made(&one.resource)) {
        return None;
    }
    let templates = templates(id, catalog)?;
    let mut out = BTreeSet::new();
    let mut met = BTreeSet::new();
    for one in on {
        let resource = settled(&one.resource)?;
        let mut any = false;
        for (at, (_, template)) in templates.iter().enumerate() {
            if let Some(pattern) = within(&resource, template) {
                any = true;
                met.insert(at);
                out.extend(guises(&resource, pattern));
            }
        }
        if !any {
            return None;
        }
    }
    // A kind of thing that no call named it may need all the same, unless it stands for one that was.
    let reached: BTreeSet<&str> = met.iter().filter_map(|at| Some(templates.get(*at)?.0.as_str())).collect();
    let needed = |kind: &str| !kind.starts_with(INSTEAD);
    templates.iter().all(|(kind, _)| reached.contains(kind.as_str()) || !needed(kind)).then_some(out)
}

/// The ARNs of the types of resources that an action works on, each with the name of its type; none where it knows none, or
/// one of them is not known.
fn templates(id: ActionId, catalog: &Catalog) -> Option<Vec<(String, String)>> {
    let action = catalog.action(id)?;
    let all = catalog.resource_types(action.prefix());
    let mut out = Vec::new();
    for (name, _) in action.resource_types() {
        let kind = all.iter().find(|kind| kind.name == name).filter(|kind| !kind.arns.is_empty())?;
        out.extend(kind.arns.iter().map(|arn| (name.to_owned(), (*arn).to_owned())));
    }
    (!out.is_empty()).then_some(out)
}

/// `table/${Table}/index/${Index}` as a pattern.
fn open(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        out.push('*');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

/// The pattern for what of a type is the resource, or lies in it; none where it is of another type.
fn within(resource: &str, template: &str) -> Option<String> {
    let service = |arn: &str| arn.split(':').nth(2).map(str::to_owned);
    let (own, of_type) = (resource.splitn(6, ':').nth(5)?, template.splitn(6, ':').nth(5)?);
    if service(resource) != service(template) {
        return None;
    }
    // The longest beginning of the type that it is, which ends with a name.
    let ends = of_type.match_indices('}').map(|(at, _)| at + 1).chain([of_type.len()]);
    let mut ends: Vec<usize> = ends.collect();
    ends.dedup();
    let is = |end: &&usize| of_type.get(..**end).is_some_and(|start| Wild::parse(&open(start), false).matches(own));
    let end = ends.iter().rev().find(is)?;
    Some(format!("{resource}{}", open(of_type.get(*end..)?)))
}

/// The same resource as services and records write it: what IAM holds by its bare name, a secret with what AWS adds to its
/// name, a function or a group of logs with what lies in it. Sources: "IAM identifiers" (IAM User Guide), "What's in a Secrets
/// Manager secret?" (Secrets Manager User Guide), "Lambda function versions" (Lambda Developer Guide), "Resource types defined
/// by Amazon CloudWatch Logs" (Service Authorization Reference).
fn guises(resource: &str, pattern: String) -> Vec<String> {
    let mut out = vec![pattern];
    // Records name some by less than their whole ARN, as a stack without its id.
    let whole = out.iter().any(|pattern| Wild::parse(pattern, false).matches(resource));
    if !whole {
        out.push(resource.to_owned());
    }
    let service = resource.split(':').nth(2).unwrap_or_default();
    match service {
        "iam" => {
            if let Some((before, name)) = resource.split_once('/').filter(|(_, name)| !name.contains('/')) {
                out.push(format!("{before}/*/{name}"));
            }
        }
        "secretsmanager" => {
            // Made anew it has another suffix; and what looks like one may be part of a name.
            if let Some((name, _)) = resource.rsplit_once('-').filter(|(_, last)| is_suffix(last)) {
                out.push(format!("{name}-??????"));
            }
            out.push(format!("{resource}-??????"));
        }
        // A function is also called by its versions and aliases.
        "lambda" if resource.contains(":function:") => out.push(format!("{resource}:*")),
        "logs" => out.push(format!("{resource}:*")),
        _ => {}
    }
    out
}

/// A resource without ids that are new with every start: `task/cluster/0123456789abcdef…` is `task/cluster/*`. None where
/// nothing but the kind would be left.
fn settled(resource: &str) -> Option<String> {
    let own = resource.splitn(6, ':').nth(5)?;
    let fixed = resource.strip_suffix(own)?;
    // Keys keep their ids as long as they live.
    if resource.split(':').nth(2) == Some("kms") {
        return Some(resource.to_owned());
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut out = String::new();
    let mut before = "";
    for part in own.split_inclusive(['/', ':']) {
        let name = part.trim_end_matches(['/', ':']);
        // A revision or a version, after a colon.
        let changes = is_id(name) || before == ":" && is_number(name);
        out.push_str(if changes { "*" } else { name });
        before = part.strip_prefix(name).unwrap_or_default();
        out.push_str(before);
    }
    let own = out;
    let kind = usize::from(own.contains(['/', ':']));
    let named = own.split(['/', ':']).skip(kind).any(|part| part != "*" && !part.is_empty());
    named.then(|| format!("{fixed}{own}"))
}

/// Whether a text is what AWS adds to the name of a secret, and no word.
fn is_suffix(text: &str) -> bool {
    let made_up = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase();
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_alphanumeric()) && text.bytes().any(made_up)
}

/// Whether a text is an id that was made up: a UUID, or digits after a short prefix (`i-0123456789abcdef0`).
pub(super) fn is_id(text: &str) -> bool {
    let hex = |text: &str| {
        text.len() >= ID && text.bytes().all(|b| b.is_ascii_hexdigit()) && text.bytes().any(|b| b.is_ascii_digit())
    };
    let uuid = text.len() == 36
        && text.split('-').count() == 5
        && text.split('-').all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()));
    uuid || hex(text) || text.split_once('-').is_some_and(|(before, rest)| before.len() <= 8 && hex(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: &str = "eu-west-1:111122223333";

    /// The patterns for an action that was used on resources on so many days, the first of them so many days before the end
    /// of ninety.
    fn patterns(
        action: &str,
        resources: &[&str],
        days: i64,
        first: i64,
        makes: &[(&str, &str)],
    ) -> Option<Vec<String>> {
        let catalog = Catalog::get();
        let window = Window::last_days("2026-11-01".parse().unwrap(), 90);
        let id = catalog.find(action).unwrap();
        let on = resources.iter().map(|resource| OnResource {
            resource: (*resource).into(),
            calls: 5,
            days: (0..days).map(|day| window.to.plus_days(-1 - day).day()).collect(),
            first: Some(window.to.plus_days(-first)),
        });
        let confined = Confined {
            arn: String::new(),
            id: String::new(),
            actions: [(id, on.collect())].into(),
            named: [(id, Some(resources.iter().map(|one| (*one).to_owned()).collect()))].into(),
            makes: makes.iter().map(|(service, kind)| ((*service).to_owned(), (*kind).to_owned())).collect(),
        };
        let mut keep = catalog.no_actions();
        keep.insert(id);
        let found = confining(&confined, &keep, window, catalog, &|_, _| true);
        assert_eq!(found.to.len(), found.why.len());
        found.to.into_iter().next().map(|one| one.resources)
    }

    #[test]
    fn what_was_used_stays_with_what_lies_in_it() {
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{IN}:{rest}");
        for (action, resource, want) in [
            ("dynamodb:PutItem", arn("dynamodb", "table/orders"), vec![arn("dynamodb", "table/orders")]),
            (
                "dynamodb:Query",
                arn("dynamodb", "table/orders"),
                vec![arn("dynamodb", "table/orders"), arn("dynamodb", "table/orders/index/*")],
            ),
            (
                "s3:PutObject",
                "arn:aws:s3:::b".to_owned(),
                vec!["arn:aws:s3:::b".to_owned(), "arn:aws:s3:::b/*".to_owned()],
            ),
            ("s3:DeleteBucket", "arn:aws:s3:::b".to_owned(), vec!["arn:aws:s3:::b".to_owned()]),
            (
                "iam:PutRolePolicy",
                "arn:aws:iam::111122223333:role/r".to_owned(),
                vec!["arn:aws:iam::111122223333:role/*/r".to_owned(), "arn:aws:iam::111122223333:role/r".to_owned()],
            ),
            (
                "iam:PutRolePolicy",
                "arn:aws:iam::111122223333:role/team/r".to_owned(),
                vec!["arn:aws:iam::111122223333:role/team/r".to_owned()],
            ),
            (
                "secretsmanager:GetSecretValue",
                arn("secretsmanager", "secret:app/db-a1B2c3"),
                vec![
                    arn("secretsmanager", "secret:app/db-??????"),
                    arn("secretsmanager", "secret:app/db-a1B2c3"),
                    arn("secretsmanager", "secret:app/db-a1B2c3-??????"),
                ],
            ),
            (
                "secretsmanager:GetSecretValue",
                arn("secretsmanager", "secret:app/db-backup"),
                vec![
                    arn("secretsmanager", "secret:app/db-backup"),
                    arn("secretsmanager", "secret:app/db-backup-??????"),
                ],
            ),
            (
                "cloudformation:UpdateStack",
                arn("cloudformation", "stack/app"),
                vec![arn("cloudformation", "stack/app"), arn("cloudformation", "stack/app/*")],
            ),
            (
                "cloudformation:UpdateStack",
                arn("cloudformation", "stack/app/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
                vec![arn("cloudformation", "stack/app/*")],
            ),
            (
                "lambda:InvokeFunction",
                arn("lambda", "function:f"),
                vec![arn("lambda", "function:f"), arn("lambda", "function:f:*")],
            ),
            ("sqs:SendMessage", arn("sqs", "orders"), vec![arn("sqs", "orders")]),
            (
                "kms:Decrypt",
                arn("kms", "key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
                vec![arn("kms", "key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")],
            ),
        ] {
            assert_eq!(patterns(action, &[&resource], 20, 80, &[]), Some(want), "{action} {resource}");
        }
    }

    #[test]
    fn what_may_come_is_not_closed() {
        let queue = format!("arn:aws:sqs:{IN}:orders");
        let told = |days, first, makes: &[(&str, &str)]| patterns("sqs:SendMessage", &[&queue], days, first, makes);
        assert!(told(3, 80, &[]).is_some());
        // Too seldom; a new one only lately; or it makes its own.
        assert_eq!((told(2, 80, &[]), told(20, 20, &[]), told(20, 80, &[("sqs", "")])), (None, None, None));
        assert!(told(20, 80, &[("sns", "")]).is_some());
        let many: Vec<String> = (0..=MOST).map(|at| format!("arn:aws:sqs:{IN}:q{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(patterns("sqs:SendMessage", &many, 20, 80, &[]), None);
        for (action, resource) in [
            // Shows what there is; makes something; needs things that no record names; an id that is another one tomorrow.
            ("lambda:GetPolicy", format!("arn:aws:lambda:{IN}:function:f")),
            ("lambda:CreateFunction", format!("arn:aws:lambda:{IN}:function:f")),
            ("ec2:RunInstances", format!("arn:aws:ec2:{IN}:instance/i-0123456789abcdef0")),
            ("ssm:SendCommand", format!("arn:aws:ssm:{IN}:document/d")),
            ("ec2:TerminateInstances", format!("arn:aws:ec2:{IN}:instance/i-0123456789abcdef0")),
            // Named otherwise than IAM checks it.
            ("events:PutTargets", format!("arn:aws:events:{IN}:rule/r")),
            ("ssm:PutParameter", format!("arn:aws:ssm:{IN}:parameter/app/db:3")),
            // Of another type than the action works on.
            ("iam:PassRole", "arn:aws:iam::111122223333:instance-profile/p".to_owned()),
        ] {
            assert_eq!(patterns(action, &[&resource], 20, 80, &[]), None, "{action} {resource}");
        }
    }

    #[test]
    fn ids_are_not_names() {
        for (text, want) in [
            ("0123456789abcdef0123456789abcdef", true),
            ("i-0123456789abcdef0", true),
            ("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", true),
            ("orders", false),
            ("deadbeef", false),
            ("feedface-service", false),
            ("prod-20260101", true),
            ("facade", false),
        ] {
            assert_eq!(is_id(text), want, "{text}");
        }
    }
}
