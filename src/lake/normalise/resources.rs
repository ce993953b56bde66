//! Which resources a call names: the record's own `resources` first, else what its request parameters say by the
//! table in `resources.tsv`; and the resource within which another lies.

mod spelt;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::lake::json::{Kind, Value};
use crate::model::region::partition;

/// Resources kept of one record: a batch call may name hundreds.
const MAX_RESOURCES: usize = 64;

enum Part {
    Literal(&'static str),
    Partition,
    Region,
    Account,
    Parameter(Vec<&'static str>),
}

struct Template {
    parts: Vec<Part>,
    kind: &'static str,
}

/// The templates of one event source.
#[derive(Default)]
struct Templates {
    all: Vec<Template>,
    /// First name of the first parameter, in lower case → indices of the templates that begin with it. Most requests
    /// have a handful of members, a source up to a hundred templates.
    by_parameter: HashMap<String, Vec<usize>>,
    /// Templates without a parameter.
    fixed: Vec<usize>,
}

impl Templates {
    fn add(&mut self, template: Template) {
        let index = self.all.len();
        let first = template.parts.iter().find_map(|part| match part {
            Part::Parameter(path) => path.first(),
            _ => None,
        });
        match first {
            Some(name) => self.by_parameter.entry(name.to_ascii_lowercase()).or_default().push(index),
            None => self.fixed.push(index),
        }
        self.all.push(template);
    }

    /// The templates that a request may fill, in their order.
    fn of(&self, request: Value<'_>) -> impl Iterator<Item = &Template> {
        let mut indices = self.fixed.clone();
        if request.kind() == Kind::Array {
            indices = (0..self.all.len()).collect();
        }
        let mut name = String::new();
        for (key, _) in request.members() {
            name.clear();
            name.extend(key.chars().map(|c| c.to_ascii_lowercase()));
            indices.extend(self.by_parameter.get(&name).into_iter().flatten());
        }
        indices.sort_unstable();
        indices.dedup();
        indices.into_iter().filter_map(|index| self.all.get(index))
    }
}

static TABLE: LazyLock<HashMap<&'static str, Templates>> = LazyLock::new(|| {
    let mut table: HashMap<&'static str, Templates> = HashMap::new();
    for line in include_str!("resources.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        if let (Some(source), Some(template), Some(kind)) = (columns.next(), columns.next(), columns.next()) {
            table.entry(source).or_default().add(Template { parts: parts(template), kind });
        }
    }
    table
});

fn parts(template: &'static str) -> Vec<Part> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find(['{', '<']) {
        let (literal, from) = rest.split_at(open);
        if !literal.is_empty() {
            out.push(Part::Literal(literal));
        }
        let Some(close) = from.find(['}', '>']) else { break };
        out.push(match from.get(1..close).unwrap_or("") {
            "p" => Part::Partition,
            "r" => Part::Region,
            "a" => Part::Account,
            path => Part::Parameter(path.split('.').collect()),
        });
        rest = from.get(close + 1..).unwrap_or("");
    }
    if !rest.is_empty() {
        out.push(Part::Literal(rest));
    }
    out
}

/// The texts under a path, walking through lists.
fn values<'t>(value: Value<'t>, path: &[&str], out: &mut Vec<Cow<'t, str>>) {
    let mut any = false;
    for element in value.elements() {
        any = true;
        values(element, path, out);
    }
    if any {
        return;
    }
    match path.split_first() {
        None => {
            if let Some(text) = value.text().filter(|text| !text.is_empty() && out.len() < MAX_RESOURCES) {
                out.push(text);
            }
        }
        Some((first, rest)) => {
            for (key, member) in value.members() {
                if key.eq_ignore_ascii_case(first) {
                    values(member, rest, out);
                }
            }
        }
    }
}

fn fill(template: &Template, request: Value<'_>, region: &str, account: &str, out: &mut Vec<Named<'_>>) {
    // Each text and whether it is complete: a parameter that is an ARN already replaces the template.
    let mut texts = vec![(String::new(), false)];
    let last = template.parts.iter().rposition(|part| matches!(part, Part::Parameter(_)));
    for (at, part) in template.parts.iter().enumerate() {
        let literal = match part {
            Part::Literal(text) => text,
            Part::Partition => partition(region),
            Part::Region => region,
            Part::Account => account,
            Part::Parameter(path) => {
                let mut found = Vec::new();
                values(request, path, &mut found);
                let whole = Some(at) == last;
                texts =
                    found.iter().flat_map(|value| texts.iter().map(move |text| joined(text, value, whole))).collect();
                if texts.is_empty() {
                    return;
                }
                continue;
            }
        };
        for (text, _) in texts.iter_mut().filter(|(_, complete)| !complete) {
            text.push_str(literal);
        }
    }
    for (arn, _) in texts {
        let arn = spelt::on_default_bus(arn);
        push(out, Named { arn: arn.into(), kind: template.kind.into(), account: "".into() });
    }
}

/// A text with a parameter's value, which is the last or one of those before.
fn joined((text, complete): &(String, bool), value: &str, last: bool) -> (String, bool) {
    if *complete {
        return (text.clone(), true);
    }
    if value.starts_with("arn:") {
        return within(text, value).filter(|_| !last).map_or((value.to_owned(), true), |text| (text, false));
    }
    (spelt::spelt(text, value), false)
}

/// Where a parameter names by its ARN what the wanted resource lies in, and that is of another kind: what lies in the
/// same account and region, in what has that name. A service is `service/CLUSTER/NAME`, its cluster `cluster/CLUSTER`.
fn within(text: &str, holder: &str) -> Option<String> {
    let kind = text.strip_suffix('/')?.rsplit(':').next()?;
    let (own, name) = holder.splitn(6, ':').nth(5)?.split_once('/')?;
    let of_one_service = text.split(':').nth(2) == holder.split(':').nth(2);
    let place = holder.get(..holder.len().checked_sub(own.len() + 1 + name.len())?)?;
    (of_one_service && own != kind).then(|| format!("{place}{kind}/{name}"))
}

/// A resource that a record names, over its text where it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named<'t> {
    pub arn: Cow<'t, str>,
    pub kind: Cow<'t, str>,
    pub account: Cow<'t, str>,
}

impl Named<'_> {
    /// The resource as an event has it.
    #[cfg(test)]
    pub(crate) fn to_resource(&self) -> crate::model::event::EventResource {
        let own = |text: &Cow<'_, str>| text.clone().into_owned();
        crate::model::event::EventResource { arn: own(&self.arn), kind: own(&self.kind), account: own(&self.account) }
    }
}

/// An element of `resources`; its fields are spelt in several ways.
fn recorded_resource(element: Value<'_>) -> Named<'_> {
    let (mut out, mut prefix) = (Named::default(), None);
    let (mut arn, mut kind, mut account) = (false, false, false);
    let is = |key: &str, names: [&str; 2]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    for (key, value) in element.members() {
        if !arn && is(&key, ["ARN", "resourceName"]) {
            (out.arn, arn) = (value.lenient(), true);
        } else if !kind && is(&key, ["type", "resourceType"]) {
            (out.kind, kind) = (value.lenient(), true);
        } else if !account && key.eq_ignore_ascii_case("accountId") {
            (out.account, account) = (value.lenient(), true);
        } else if prefix.is_none() && key.eq_ignore_ascii_case("arnPrefix") {
            prefix = Some(value.lenient());
        }
    }
    if out.arn.is_empty() {
        out.arn = prefix.unwrap_or_default();
    }
    out
}

fn push<'t>(out: &mut Vec<Named<'t>>, resource: Named<'t>) {
    if out.len() < MAX_RESOURCES && !resource.arn.is_empty() && out.iter().all(|known| known.arn != resource.arn) {
        out.push(resource);
    }
}

/// The resources of a record; the first is the main one.
pub(crate) fn resources<'t>(
    source: &str,
    name: &str,
    region: &str,
    account: &str,
    recorded: Option<Value<'t>>,
    request: Option<Value<'t>>,
) -> Vec<Named<'t>> {
    let mut out = Vec::new();
    // The role that is assumed is the main resource, and only the request has it with certainty.
    if source == "sts.amazonaws.com"
        && name.starts_with("AssumeRole")
        && let Some(arn) = request.and_then(|r| r.get("roleArn")).and_then(Value::text)
    {
        push(&mut out, Named { arn, kind: "AWS::IAM::Role".into(), account: "".into() });
    }
    for element in recorded.into_iter().flat_map(Value::elements) {
        push(&mut out, recorded_resource(element));
    }
    if !out.is_empty() {
        return out;
    }
    if let (Some(request), Some(templates)) = (request, TABLE.get(source)) {
        for template in templates.of(request) {
            fill(template, request, region, account, &mut out);
        }
    }
    out
}

/// The resource within which another lies: bucket of an object, table of an index or stream, function of a
/// version, log group of a stream. What lies in nothing is returned as it is.
pub(crate) fn parent(arn: &str) -> &str {
    let mut ends = arn.match_indices(':').map(|(at, _)| at);
    let (Some(service), Some(service_end), Some(tail)) = (ends.nth(1), ends.next(), ends.nth(1)) else { return arn };
    let resource = arn.get(tail + 1..).unwrap_or("");
    let cut = |end: Option<usize>| end.and_then(|end| arn.get(..tail + 1 + end)).unwrap_or(arn);
    let nth = |separator: char, n: usize| resource.match_indices(separator).nth(n).map(|(at, _)| at);
    match arn.get(service + 1..service_end).unwrap_or("") {
        "s3" if !resource.starts_with("accesspoint") => cut(nth('/', 0)),
        "s3" | "s3express" | "dynamodb" | "kinesis" | "ecr" if resource.contains('/') => {
            match resource.split('/').next() {
                Some("accesspoint" | "bucket" | "table" | "stream") => cut(nth('/', 1)),
                _ => arn,
            }
        }
        "lambda" if resource.starts_with("function:") || resource.starts_with("layer:") => cut(nth(':', 1)),
        "logs" if resource.starts_with("log-group:") => cut(nth(':', 1)),
        "sns" => cut(nth(':', 0)),
        _ => arn,
    }
}

/// Whether a call names, beside its main resource, others of the same kind that do not lie in the same: (ARN, kind), the
/// main one first.
pub(crate) fn several<'t>(mut resources: impl Iterator<Item = (&'t str, &'t str)>) -> bool {
    let Some((main, kind)) = resources.next() else { return false };
    resources.any(|(arn, other)| {
        let alike =
            if kind.is_empty() || other.is_empty() { spelt::begins(main) == spelt::begins(arn) } else { kind == other };
        alike && parent(main) != parent(arn) && !spelt::may_be_one(main, arn)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::json::Tape;

    fn of(source: &str, name: &str, recorded: &str, request: &str) -> Vec<String> {
        let (mut a, mut b) = (Tape::default(), Tape::default());
        a.parse(recorded.as_bytes(), usize::MAX).unwrap();
        b.parse(request.as_bytes(), usize::MAX).unwrap();
        resources(source, name, "eu-west-1", "111122223333", Some(a.root(recorded)), Some(b.root(request)))
            .into_iter()
            .map(|r| r.arn.into_owned())
            .collect()
    }

    #[test]
    fn table_rows_are_well_formed() {
        let rows = include_str!("resources.tsv").lines().filter(|line| !line.starts_with('#'));
        for row in rows {
            let columns: Vec<_> = row.split('\t').collect();
            assert_eq!(columns.len(), 3, "{row}");
            assert!(columns[1].starts_with("arn:{p}:") && columns[2].starts_with("AWS::"), "{row}");
            assert!(columns[1].matches(':').count() >= 5, "{row}");
        }
    }

    #[test]
    fn from_request_parameters() {
        for (source, name, request, want) in [
            ("s3", "GetBucketAcl", r#"{"bucketName":"b","acl":""}"#, vec!["arn:aws:s3:::b"]),
            ("s3", "GetObject", r#"{"bucketName":"b","key":"/k/x"}"#, vec!["arn:aws:s3:::b/k/x", "arn:aws:s3:::b"]),
            ("iam", "GetRole", r#"{"roleName":"r"}"#, vec!["arn:aws:iam::111122223333:role/r"]),
            (
                "iam",
                "AttachRolePolicy",
                r#"{"roleName":"r","policyArn":"arn:aws:iam::aws:policy/X"}"#,
                vec!["arn:aws:iam::111122223333:role/r", "arn:aws:iam::aws:policy/X"],
            ),
            (
                "ec2",
                "StopInstances",
                r#"{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}"#,
                vec![
                    "arn:aws:ec2:eu-west-1:111122223333:instance/i-1",
                    "arn:aws:ec2:eu-west-1:111122223333:instance/i-2",
                ],
            ),
            (
                "sqs",
                "SendMessage",
                r#"{"queueUrl":"https://sqs.eu-west-1.amazonaws.com/111122223333/q"}"#,
                vec!["arn:aws:sqs:eu-west-1:111122223333:q"],
            ),
            (
                "ssm",
                "GetParameters",
                r#"{"names":["/a/b","c"]}"#,
                vec![
                    "arn:aws:ssm:eu-west-1:111122223333:parameter/a/b",
                    "arn:aws:ssm:eu-west-1:111122223333:parameter/c",
                ],
            ),
            ("kms", "Decrypt", r#"{"keyId":"arn:aws:kms:eu-west-1:1:key/k"}"#, vec!["arn:aws:kms:eu-west-1:1:key/k"]),
            ("s3", "PutObject", r#""a text""#, vec![]),
            (
                "sqs",
                "PurgeQueue",
                r#"{"queueUrl":"https://sqs.eu-west-1.amazonaws.com/444455556666/q"}"#,
                vec!["arn:aws:sqs:eu-west-1:444455556666:q"],
            ),
            (
                "ecs",
                "UpdateService",
                r#"{"cluster":"arn:aws:ecs:eu-west-1:444455556666:cluster/c","service":"s"}"#,
                vec!["arn:aws:ecs:eu-west-1:444455556666:service/c/s", "arn:aws:ecs:eu-west-1:444455556666:cluster/c"],
            ),
            (
                "ecs",
                "UpdateService",
                r#"{"cluster":"c","service":"arn:aws:ecs:eu-west-1:1:service/c/s"}"#,
                vec!["arn:aws:ecs:eu-west-1:1:service/c/s", "arn:aws:ecs:eu-west-1:111122223333:cluster/c"],
            ),
            (
                "s3",
                "GetObject",
                r#"{"bucketName":"arn:aws:s3:eu-west-1:1:accesspoint/ap","key":"k"}"#,
                vec!["arn:aws:s3:eu-west-1:1:accesspoint/ap"],
            ),
            (
                "events",
                "PutRule",
                r#"{"name":"r","eventBusName":"bus"}"#,
                vec![
                    "arn:aws:events:eu-west-1:111122223333:rule/bus/r",
                    "arn:aws:events:eu-west-1:111122223333:rule/r",
                ],
            ),
            (
                "events",
                "PutTargets",
                r#"{"rule":"r","eventBusName":"arn:aws:events:eu-west-1:1:event-bus/default"}"#,
                vec!["arn:aws:events:eu-west-1:1:rule/r", "arn:aws:events:eu-west-1:111122223333:rule/r"],
            ),
            (
                "rds",
                "StopDBInstance",
                r#"{"dBInstanceIdentifier":"Main"}"#,
                vec!["arn:aws:rds:eu-west-1:111122223333:db:main"],
            ),
            (
                "ssm",
                "StartSession",
                r#"{"target":"mi-0a1b"}"#,
                vec!["arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-0a1b"],
            ),
        ] {
            assert_eq!(of(&format!("{source}.amazonaws.com"), name, "null", request), want, "{name}");
        }
    }

    #[test]
    fn recorded_resources_come_first_and_the_assumed_role_before_them() {
        let recorded =
            r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::b/k"},{"ARN":"arn:aws:s3:::b","accountId":1},7]"#;
        assert_eq!(of("s3.amazonaws.com", "GetObject", recorded, "{}"), ["arn:aws:s3:::b/k", "arn:aws:s3:::b"]);
        let role = r#"{"roleArn":"arn:aws:iam::1:role/p/r"}"#;
        assert_eq!(
            of("sts.amazonaws.com", "AssumeRole", r#"[{"ARN":"arn:aws:iam::1:role/r"}]"#, role),
            ["arn:aws:iam::1:role/p/r", "arn:aws:iam::1:role/r"]
        );
    }

    #[test]
    fn several_of_a_kind() {
        const REPO: &str = "AWS::ECR::Repository";
        let one = |arn, kind| (arn, kind);
        for (want, all) in [
            (false, vec![]),
            (false, vec![one("arn:aws:ecr:r:1:repository/a", REPO)]),
            (true, vec![one("arn:aws:ecr:r:1:repository/a", REPO), one("arn:aws:ecr:r:1:repository/b", REPO)]),
            (true, vec![one("arn:aws:kms:r:1:key/a", ""), one("arn:aws:kms:r:1:key/b", "AWS::KMS::Key")]),
            (false, vec![one("arn:aws:kms:r:1:key/a", ""), one("arn:aws:kms:r:1:alias/b", "")]),
            // Of a bucket and its objects the bucket is what the fold keeps.
            (false, vec![one("arn:aws:s3:::b/k", "AWS::S3::Object"), one("arn:aws:s3:::b/l", "AWS::S3::Object")]),
            (false, vec![one("arn:aws:s3:::b/k", "AWS::S3::Object"), one("arn:aws:s3:::b", "AWS::S3::Bucket")]),
            // Two buckets of a copy.
            (true, vec![one("arn:aws:s3:::b/k", "AWS::S3::Object"), one("arn:aws:s3:::c/k", "AWS::S3::Object")]),
            // One role and one rule, spelt in two ways.
            (false, vec![one("arn:aws:iam::1:role/p/r", "AWS::IAM::Role"), one("arn:aws:iam::1:role/r", "")]),
            (true, vec![one("arn:aws:iam::1:role/p/r", "AWS::IAM::Role"), one("arn:aws:iam::1:role/q", "")]),
            (false, vec![one("arn:aws:events:r:1:rule/bus/r", ""), one("arn:aws:events:r:1:rule/r", "")]),
            (true, vec![one("arn:aws:ecr:r:1:repository/a/x", REPO), one("arn:aws:ecr:r:1:repository/b/x", REPO)]),
        ] {
            assert_eq!(several(all.iter().copied()), want, "{all:?}");
        }
    }

    #[test]
    fn parents() {
        for (arn, want) in [
            ("arn:aws:s3:::b/k/x:y", "arn:aws:s3:::b"),
            ("arn:aws:s3:::b", "arn:aws:s3:::b"),
            ("arn:aws:s3:eu-west-1:1:accesspoint/ap/object/k", "arn:aws:s3:eu-west-1:1:accesspoint/ap"),
            ("arn:aws:dynamodb:r:1:table/t/index/i", "arn:aws:dynamodb:r:1:table/t"),
            ("arn:aws:lambda:r:1:function:f:prod", "arn:aws:lambda:r:1:function:f"),
            ("arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:f"),
            ("arn:aws:logs:r:1:log-group:/aws/x:log-stream:s", "arn:aws:logs:r:1:log-group:/aws/x"),
            ("arn:aws:logs:r:1:log-group:/aws/x:*", "arn:aws:logs:r:1:log-group:/aws/x"),
            ("arn:aws:sns:r:1:topic:7a-b", "arn:aws:sns:r:1:topic"),
            ("arn:aws:iam::1:role/a/b", "arn:aws:iam::1:role/a/b"),
            ("arn:aws:ecr:r:1:repository/a/b", "arn:aws:ecr:r:1:repository/a/b"),
            ("bare", "bare"),
            ("", ""),
        ] {
            assert_eq!(parent(arn), want);
        }
    }
}
