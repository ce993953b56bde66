//! Which actions a list of resource patterns can reach at all.
//!
//! An action that works on certain types of resources is not granted by a statement whose resources can be none of
//! them (`s3:GetObject` on a bucket's ARN). Source: Service Authorization Reference, "Resource types defined by ...".
//! Only the service and the resource part of the ARNs are compared: regions and accounts in the published patterns
//! are not always what services accept. A pattern of the service that fits none of its published types (AWS's own
//! policies hold some) rules nothing out: the publication may be behind.
//!
//! An action for which no type is published should be granted on `*` only, but services do evaluate some of them on
//! ARNs (`logs:DescribeLogGroups` on `log-group:*`, and AWS's own policies rely on it). So it is ruled out only on
//! resources of another service, and for the services of [`ON_STAR_ONLY`], where the publication is known to be whole.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::catalog::{AccessLevel, Action, ActionSet, Catalog};
use crate::policy::{ArnPattern, ResourceMatch};

/// Actions that AWS documents to be granted on `*` only, where they have no resource types. Source: Amazon EC2 User
/// Guide ("Describe actions do not support resource-level permissions"), IAM and S3 in the Service Authorization
/// Reference.
const ON_STAR_ONLY: [(&str, &str); 3] = [("ec2", "Describe"), ("iam", ""), ("s3", "ListAllMyBuckets")];

/// The resource types of a service, by name.
type Types = BTreeMap<String, Vec<ArnPattern>>;

/// Resource types of every service, parsed when first asked for.
#[derive(Debug)]
pub struct Reach<'c> {
    catalog: &'c Catalog,
    services: Vec<Service>,
}

#[derive(Debug)]
struct Service {
    prefix: String,
    range: std::ops::Range<u32>,
    types: OnceLock<Types>,
}

impl Service {
    /// Whether the pattern may mean a resource of this service: it bears the prefix, one that the prefix extends
    /// (`ssm` for `ssmmessages`), or what the service's types bear.
    fn is_meant(&self, types: &Types, pattern: &ArnPattern) -> bool {
        let ArnPattern::Arn(pattern) = pattern else { return true };
        let text = pattern.service.to_string();
        pattern.service.matches(&self.prefix)
            || (!text.is_empty() && self.prefix.starts_with(&text))
            || types
                .values()
                .flatten()
                .any(|arn| matches!(arn, ArnPattern::Arn(arn) if arn.service.overlaps(&pattern.service)))
    }
}

/// What a list of patterns means to one service.
struct Meaning<'s> {
    /// Whether some pattern may mean any of its resources.
    meant: bool,
    /// Whether such a pattern is of no published type, so that nothing can be ruled out.
    unknown: bool,
    /// Names of the types that some pattern may mean.
    reached: Vec<&'s str>,
}

impl<'c> Reach<'c> {
    /// Over a catalogue.
    #[must_use]
    pub fn new(catalog: &'c Catalog) -> Self {
        let services = catalog
            .services()
            .filter_map(|service| {
                let range = catalog.service(service.prefix)?;
                Some(Service { prefix: service.prefix.to_owned(), range, types: OnceLock::new() })
            })
            .collect();
        Self { catalog, services }
    }

    /// The actions of the set that the resources can never be used with. Nothing where that is not certain.
    #[must_use]
    pub fn unreachable(&self, actions: &ActionSet, resources: &ResourceMatch) -> ActionSet {
        let mut out = ActionSet::new(actions.capacity());
        let ResourceMatch::Resource(patterns) = resources else { return out };
        if patterns.iter().any(|pattern| !matches!(pattern, ArnPattern::Arn(_))) {
            return out;
        }
        let mut services = self.services.iter();
        let mut current: Option<(&Service, Meaning<'_>)> = None;
        // Members and services are both in order, so each service is looked at once.
        for id in actions.iter() {
            while current.as_ref().is_none_or(|(service, _)| service.range.end <= id.0) {
                let Some(service) = services.find(|service| service.range.end > id.0) else { return out };
                current = Some((service, self.meaning(service, patterns)));
            }
            let (Some((service, meaning)), Some(action)) = (&current, self.catalog.action(id)) else { continue };
            let types = self.types(service);
            let mut kinds = action.resource_types().peekable();
            let usable = if kinds.peek().is_none() {
                let on_star = ON_STAR_ONLY.iter().any(|(p, n)| *p == service.prefix && action.name().starts_with(n));
                !on_star && meaning.meant
            } else {
                // A type that the service does not define cannot be ruled out, and publications of what can be
                // tagged are seldom whole.
                meaning.unknown
                    || (meaning.meant && action.access() == AccessLevel::Tagging)
                    || kinds.any(|(name, _)| meaning.reached.contains(&name) || !types.contains_key(name))
            };
            if !usable {
                out.insert(id);
            }
        }
        out
    }

    /// Whether an action may work on a resource, by its ARN or name.
    #[must_use]
    pub fn works(&self, action: Action<'_>, resource: &str) -> bool {
        let mut one = self.catalog.no_actions();
        one.insert(action.id());
        self.unreachable(&one, &ResourceMatch::Resource(vec![ArnPattern::parse(resource, false)])).is_empty()
    }

    /// Whether calls of an action of which one resource is recorded (or what the others lie in) tell what it was not on: the
    /// resource is of every type of the action's that the others may be. A call that attaches a volume to an instance is
    /// checked on both; by the instance nobody knows which volume it was.
    #[must_use]
    pub fn tells(&self, action: Action<'_>, recorded: &str, others: &ResourceMatch) -> bool {
        let ResourceMatch::Resource(others) = others else { return true };
        let Some(service) = self.services.iter().find(|service| service.range.contains(&action.id().0)) else {
            return true;
        };
        let guises = ["", "/*", ":*"].map(|inside| ArnPattern::parse(&format!("{recorded}{inside}"), false));
        let (own, wanted) = (self.meaning(service, &guises), self.meaning(service, others));
        let mut types = action.resource_types().map(|(name, _)| name);
        !types.any(|name| wanted.reached.contains(&name) && !own.reached.contains(&name))
    }

    /// Whether an action needs a resource of a type of which none is named: a call that names an instance alone was checked on
    /// an image, a subnet and more. Not where a name is of no type that is known.
    #[must_use]
    pub fn lacks(&self, action: Action<'_>, named: &[&str]) -> bool {
        let Some(service) = self.services.iter().find(|service| service.range.contains(&action.id().0)) else {
            return false;
        };
        let patterns: Vec<ArnPattern> = named.iter().map(|text| ArnPattern::parse(text, false)).collect();
        let meaning = self.meaning(service, &patterns);
        let mut required = action.resource_types().filter(|(_, required)| *required);
        !meaning.unknown && required.any(|(name, _)| !meaning.reached.contains(&name))
    }

    fn meaning<'s>(&self, service: &'s Service, patterns: &[ArnPattern]) -> Meaning<'s> {
        let types = self.types(service);
        let fits = |arns: &[ArnPattern], pattern: &ArnPattern| arns.iter().any(|arn| meets(arn, pattern));
        let own: Vec<&ArnPattern> = patterns.iter().filter(|pattern| service.is_meant(types, pattern)).collect();
        let reached = types
            .iter()
            .filter(|(_, arns)| arns.is_empty() || own.iter().any(|pattern| fits(arns, pattern)))
            .map(|(name, _)| name.as_str())
            .collect();
        let unknown = own.iter().any(|pattern| !types.values().any(|arns| fits(arns, pattern)));
        Meaning { meant: !own.is_empty(), unknown, reached }
    }

    fn types<'s>(&self, service: &'s Service) -> &'s Types {
        service.types.get_or_init(|| self.read_types(&service.prefix))
    }

    fn read_types(&self, prefix: &str) -> Types {
        let mut out = Types::new();
        for kind in self.catalog.resource_types(prefix) {
            let arns: Vec<ArnPattern> =
                kind.arns.iter().map(|arn| ArnPattern::parse(&open_holes(arn), false)).collect();
            // A type whose ARN is not of the usual form is treated as one that anything may be.
            let known = arns.iter().all(|arn| matches!(arn, ArnPattern::Arn(_)));
            out.insert(kind.name.to_owned(), if known { arns } else { Vec::new() });
        }
        out
    }
}

/// `arn:${Partition}:s3:::${Bucket}` → `arn:*:s3:::*`
fn open_holes(arn: &str) -> String {
    let mut out = String::with_capacity(arn.len());
    let mut rest = arn;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        out.push('*');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

fn meets(kind: &ArnPattern, pattern: &ArnPattern) -> bool {
    match (kind, pattern) {
        (ArnPattern::Arn(kind), ArnPattern::Arn(pattern)) => {
            kind.service.overlaps(&pattern.service) && kind.resource.overlaps(&pattern.resource)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_reached() {
        let catalog = Catalog::get();
        let reach = Reach::new(catalog);
        for (action, resource, reachable) in [
            ("s3:GetObject", "arn:aws:s3:::bucket", false),
            ("s3:GetObject", "arn:aws:s3:::bucket*", true),
            ("s3:GetObject", "arn:aws:s3:::bucket/key", true),
            ("s3:ListBucket", "arn:aws:s3:::bucket", true),
            ("iam:CreateUser", "arn:aws:s3:::bucket", false),
            ("iam:PassRole", "arn:aws:iam::*:user/x", false),
            ("iam:PassRole", "arn:aws:iam::123456789012:role/x", true),
            ("ec2:DescribeInstances", "arn:aws:ec2:*:*:instance/*", false),
            ("ec2:DescribeInstances", "*", true),
            ("logs:DescribeLogGroups", "arn:aws:logs:*:*:log-group:*", true),
            ("logs:DescribeLogGroups", "arn:aws:s3:::bucket", false),
            ("s3:ListAllMyBuckets", "arn:aws:s3:::*", false),
            ("ssmmessages:OpenDataChannel", "arn:aws:ssm:*:*:session/*", true),
            ("iam:PassRole", "arn:aws:iam::*:brandnewtype/x", true),
            ("cloudformation:CreateStack", "arn:aws:cloudformation:*:*:stack/short", true),
            ("ec2:RunInstances", "arn:aws:ec2:*::image/ami-1", true),
            ("kms:Decrypt", "arn:aws:kms:*:*:key/*", true),
            ("iam:CreateUser", "<placeholder>", true),
        ] {
            let mut actions = ActionSet::new(catalog.len());
            actions.insert(catalog.find(action).unwrap());
            let resources = ResourceMatch::Resource(vec![ArnPattern::parse(resource, true)]);
            assert_eq!(reach.unreachable(&actions, &resources).is_empty(), reachable, "{action} on {resource}");
        }
        for (action, named, lacks) in [
            ("ec2:RunInstances", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", true),
            ("ec2:TerminateInstances", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", false),
            ("ssm:SendCommand", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1", true),
            ("s3:PutObject", "arn:aws:s3:::b/k", false),
            ("cloudformation:UpdateStack", "arn:aws:cloudformation:eu-west-1:111122223333:stack/short", false),
        ] {
            let found = catalog.find(action).and_then(|id| catalog.action(id)).unwrap();
            assert_eq!(reach.lacks(found, &[named]), lacks, "{action} on {named}");
        }
        assert_eq!(open_holes("arn:${Partition}:s3:::${Bucket}/${Key}"), "arn:*:s3:::*/*");
    }
}
