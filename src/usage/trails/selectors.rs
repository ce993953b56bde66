//! Would a call have been recorded? The question, asked of the selectors of one trail, with an answer of three
//! values: what a selector asks and the question does not know is neither yes nor no.

use crate::model::event::EventCategory;
use crate::model::trail::{AdvancedSelector, BasicSelector, FieldSelector, Operator, ReadWrite, Selectors};

/// A three-valued answer, from the least to the most that can be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recorded {
    /// Surely not recorded.
    No,
    /// Neither is sure.
    Maybe,
    /// Surely recorded.
    Yes,
}

impl Recorded {
    /// Yes or no.
    #[must_use]
    pub const fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// The opposite.
    #[must_use]
    pub const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

/// The resources of a question: one, or all that a pattern names.
pub trait Resources {
    /// Whether the comparison holds for all of them (yes), for none (no), or for some or nobody knows (maybe). Only
    /// [`Operator::Equals`], [`Operator::StartsWith`] and [`Operator::EndsWith`] are asked.
    fn compare(&self, operator: Operator, value: &str) -> Recorded;
}

/// One resource by its ARN.
impl Resources for &str {
    fn compare(&self, operator: Operator, value: &str) -> Recorded {
        compare(self, operator, value)
    }
}

fn compare(text: &str, operator: Operator, value: &str) -> Recorded {
    Recorded::of(match operator {
        Operator::StartsWith => text.starts_with(value),
        Operator::EndsWith => text.ends_with(value),
        _ => text == value,
    })
}

/// The calls that a question is about. What is none is not known. They are calls that succeeded, made through the
/// API or the console.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Kind of event.
    pub category: EventCategory,
    /// Whether the record says `readOnly`.
    pub read_only: Option<bool>,
    /// `eventSource`, such as `kms.amazonaws.com`.
    pub source: Option<&'a str>,
    /// `eventName`.
    pub name: Option<&'a str>,
    /// `resources.type`, such as `AWS::S3::Object`.
    pub resource_type: Option<&'a str>,
    /// The resources.
    pub resources: Option<&'a dyn Resources>,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { category, read_only, source, name, resource_type, resources } = self;
        write!(f, "{category:?} {read_only:?} {source:?} {name:?} {resource_type:?} {}", resources.is_some())
    }
}

impl Question<'_> {
    /// All events of a kind.
    #[must_use]
    pub const fn any(category: EventCategory) -> Self {
        Self { category, read_only: None, source: None, name: None, resource_type: None, resources: None }
    }

    /// A management call of any source and name that no selector singles out.
    #[must_use]
    pub const fn management(read_only: bool) -> Self {
        Self {
            category: EventCategory::Management,
            read_only: Some(read_only),
            source: Some(""),
            name: None,
            resource_type: None,
            resources: None,
        }
    }
}

/// Whether the selectors of a trail record the calls. Any selector may match. Source: "EventSelector",
/// "AdvancedEventSelector", AWS CloudTrail API Reference.
#[must_use]
pub fn recorded(selectors: &Selectors, question: &Question<'_>) -> Recorded {
    let any = |found: Recorded, next: Recorded| found.or(next);
    match selectors {
        Selectors::Basic(list) => list.iter().map(|one| basic(one, question)).fold(Recorded::No, any),
        Selectors::Advanced(list) => list.iter().map(|one| advanced(one, question)).fold(Recorded::No, any),
    }
}

fn basic(selector: &BasicSelector, question: &Question<'_>) -> Recorded {
    let kind = match (selector.read_write, question.read_only) {
        (ReadWrite::All, _) => Recorded::Yes,
        (ReadWrite::Other, _) | (_, None) => Recorded::Maybe,
        (ReadWrite::ReadOnly, Some(read)) => Recorded::of(read),
        (ReadWrite::WriteOnly, Some(read)) => Recorded::of(!read),
    };
    match question.category {
        EventCategory::Management if !selector.management => Recorded::No,
        EventCategory::Management => match question.source {
            Some(source) => kind.and(Recorded::of(!selector.excluded.iter().any(|out| same_source(out, source)))),
            None if selector.excluded.is_empty() => kind,
            None => kind.and(Recorded::Maybe),
        },
        EventCategory::Data => kind.and(basic_data(selector, question)),
        EventCategory::NetworkActivity | EventCategory::Insight | EventCategory::Unknown => Recorded::No,
    }
}

/// Sources of the other partitions end in `.amazonaws.com.cn` and the like; the excluded ones are the commercial
/// partition's.
fn same_source(a: &str, b: &str) -> bool {
    a.split('.').next() == b.split('.').next()
}

/// Whether the resources are among a basic selector's. Source: "DataResource", AWS CloudTrail API Reference: S3 values
/// are beginnings, Lambda's and DynamoDB's are exact, and `arn:aws:s3` alone is everything of the service.
fn basic_data(selector: &BasicSelector, question: &Question<'_>) -> Recorded {
    let mut found = Recorded::No;
    for selection in &selector.data {
        let kind = question.resource_type.map_or(Recorded::Maybe, |kind| Recorded::of(kind == selection.kind));
        let operator = if selection.kind == "AWS::S3::Object" { Operator::StartsWith } else { Operator::Equals };
        for value in &selection.values {
            let one = if is_whole_service(value, &selection.kind) {
                Recorded::Yes
            } else {
                question.resources.map_or(Recorded::Maybe, |resources| resources.compare(operator, value))
            };
            found = found.or(kind.and(one));
        }
    }
    found
}

/// `arn:aws:s3`, also with the empty parts after it, in any partition.
#[must_use]
pub fn is_whole_service(value: &str, kind: &str) -> bool {
    let mut parts = value.trim_end_matches(':').split(':');
    let service = match kind {
        "AWS::S3::Object" => "s3",
        "AWS::Lambda::Function" => "lambda",
        "AWS::DynamoDB::Table" => "dynamodb",
        _ => return false,
    };
    let (head, partition) = (parts.next(), parts.next());
    head == Some("arn")
        && partition.is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some(service)
        && parts.next().is_none()
}

fn advanced(selector: &AdvancedSelector, question: &Question<'_>) -> Recorded {
    // A selector must name its category; one that does not is none that this program understands.
    let named = selector.fields.iter().any(|field| field.field == "eventCategory");
    let start = if named { Recorded::Yes } else { Recorded::Maybe };
    selector.fields.iter().map(|one| field(one, question)).fold(start, Recorded::and)
}

/// What a question knows of a field.
enum Known<'a> {
    Text(&'a str),
    Resources(&'a dyn Resources),
    /// The record of a call that succeeded does not have the field.
    Absent,
    Nothing,
}

/// One field of an advanced selector: operators that take in are joined by "or", those that leave out by "and", and
/// both groups by "and". Source: "Filtering data events by using advanced event selectors", AWS CloudTrail User Guide.
fn field(selector: &FieldSelector, question: &Question<'_>) -> Recorded {
    if !selector.understood {
        return Recorded::Maybe;
    }
    let known = known(&selector.field, question);
    let (mut taken, mut any_taken, mut kept) = (Recorded::No, false, Recorded::Yes);
    for (operator, values) in &selector.conditions {
        let positive = operator.negates().unwrap_or(*operator);
        let held = values.iter().map(|value| holds(&known, positive, value)).fold(Recorded::No, Recorded::or);
        if operator.negates().is_some() {
            kept = kept.and(held.not());
        } else {
            any_taken = true;
            taken = taken.or(held);
        }
    }
    if any_taken { taken.and(kept) } else { kept }
}

fn holds(known: &Known<'_>, operator: Operator, value: &str) -> Recorded {
    match known {
        Known::Text(text) => compare(text, operator, value),
        Known::Resources(resources) => resources.compare(operator, value),
        Known::Absent => Recorded::No,
        Known::Nothing => Recorded::Maybe,
    }
}

fn known<'a>(field: &str, question: &Question<'a>) -> Known<'a> {
    let text = |text: Option<&'a str>| text.map_or(Known::Nothing, Known::Text);
    match field {
        "eventCategory" => Known::Text(match question.category {
            EventCategory::Management => "Management",
            EventCategory::Data => "Data",
            EventCategory::NetworkActivity => "NetworkActivity",
            EventCategory::Insight => "Insight",
            EventCategory::Unknown => "Unknown",
        }),
        "readOnly" => text(question.read_only.map(|read| if read { "true" } else { "false" })),
        "eventSource" => text(question.source),
        "eventName" => text(question.name),
        "resources.type" => text(question.resource_type),
        "resources.ARN" => question.resources.map_or(Known::Nothing, Known::Resources),
        "eventType" => Known::Text("AwsApiCall"),
        "errorCode" => Known::Absent,
        // Who called, from where and by which sign-in is not part of the question.
        _ => Known::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Recorded::{Maybe, No, Yes};

    fn selectors(json: &str) -> Selectors {
        Selectors::of_json(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn basic_of(json: &str) -> Selectors {
        selectors(&format!(r#"{{"EventSelectors":[{json}]}}"#))
    }

    fn advanced_of(fields: &str) -> Selectors {
        selectors(&format!(r#"{{"AdvancedEventSelectors":[{{"FieldSelectors":[{fields}]}}]}}"#))
    }

    fn management(read_only: Option<bool>, source: &'static str) -> Question<'static> {
        Question { read_only, source: Some(source), name: Some("Call"), ..Question::management(true) }
    }

    #[test]
    fn basic_selectors_for_management_events() {
        for (json, read_only, source, want) in [
            ("{}", None, "ec2.amazonaws.com", Yes),
            (r#"{"ReadWriteType":"WriteOnly"}"#, Some(true), "ec2.amazonaws.com", No),
            (r#"{"ReadWriteType":"WriteOnly"}"#, Some(false), "ec2.amazonaws.com", Yes),
            (r#"{"ReadWriteType":"WriteOnly"}"#, None, "ec2.amazonaws.com", Maybe),
            (r#"{"ReadWriteType":"ReadOnly"}"#, Some(true), "ec2.amazonaws.com", Yes),
            (r#"{"ReadWriteType":"ReadOnly"}"#, Some(false), "ec2.amazonaws.com", No),
            (r#"{"ReadWriteType":"New"}"#, Some(false), "ec2.amazonaws.com", Maybe),
            (r#"{"IncludeManagementEvents":false}"#, Some(true), "ec2.amazonaws.com", No),
            (r#"{"ExcludeManagementEventSources":["kms.amazonaws.com"]}"#, Some(true), "kms.amazonaws.com", No),
            (r#"{"ExcludeManagementEventSources":["kms.amazonaws.com"]}"#, Some(true), "kms.amazonaws.com.cn", No),
            (r#"{"ExcludeManagementEventSources":["rdsdata.amazonaws.com"]}"#, Some(true), "rdsdata.amazonaws.com", No),
            (r#"{"ExcludeManagementEventSources":["kms.amazonaws.com"]}"#, Some(true), "ec2.amazonaws.com", Yes),
            // Another selector of the trail takes in what the first leaves out.
            (r#"{"ReadWriteType":"WriteOnly"},{"ReadWriteType":"ReadOnly"}"#, Some(true), "ec2.amazonaws.com", Yes),
        ] {
            assert_eq!(
                recorded(&basic_of(json), &management(read_only, source)),
                want,
                "{json} {read_only:?} {source}"
            );
        }
        let excluded = basic_of(r#"{"ExcludeManagementEventSources":["kms.amazonaws.com"]}"#);
        assert_eq!(recorded(&excluded, &Question { source: None, ..Question::management(true) }), Maybe);
        assert_eq!(recorded(&Selectors::of_new_trail(), &Question::management(true)), Yes);
    }

    #[test]
    fn basic_selectors_for_data_events() {
        let (s3, lambda, table) = ("AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table");
        let function = "arn:aws:lambda:us-east-1:1:function:f";
        for (kind, value, asked, arn, want) in [
            (s3, "arn:aws:s3", s3, "arn:aws:s3:::a/k", Yes),
            (s3, "arn:aws:s3:::", s3, "arn:aws:s3:::a/k", Yes),
            (s3, "arn:aws-cn:s3", s3, "arn:aws-cn:s3:::a/k", Yes),
            (s3, "arn:aws:s3:::a/", s3, "arn:aws:s3:::a/k", Yes),
            (s3, "arn:aws:s3:::a/images", s3, "arn:aws:s3:::a/images-2/k", Yes),
            (s3, "arn:aws:s3:::a/images", s3, "arn:aws:s3:::a/other", No),
            (s3, "arn:aws:s3:::a/", s3, "arn:aws:s3:::ab/k", No),
            (s3, "arn:aws:s3", lambda, function, No),
            (lambda, "arn:aws:lambda", lambda, function, Yes),
            (lambda, function, lambda, function, Yes),
            (lambda, "arn:aws:lambda:us-east-1:1:function:", lambda, function, No),
            (table, "arn:aws:dynamodb", table, "arn:aws:dynamodb:us-east-1:1:table/t", Yes),
            (table, "arn:aws:dynamodb:us-east-1:1:table/t", table, "arn:aws:dynamodb:us-east-1:1:table/t2", No),
        ] {
            let selector = basic_of(&format!(r#"{{"DataResources":[{{"Type":"{kind}","Values":["{value}"]}}]}}"#));
            let question = Question {
                category: EventCategory::Data,
                resource_type: Some(asked),
                resources: Some(&arn),
                ..Question::management(true)
            };
            assert_eq!(recorded(&selector, &question), want, "{kind} {value} {arn}");
            let unknown = Question { resources: None, ..question };
            assert!(recorded(&selector, &unknown) != No || asked != kind, "{kind} {value}");
        }
        let writes = basic_of(
            r#"{"ReadWriteType":"WriteOnly","DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}]}"#,
        );
        let question =
            |read| Question { category: EventCategory::Data, resource_type: Some(s3), ..Question::management(read) };
        assert_eq!([true, false].map(|read| recorded(&writes, &question(read))), [No, Yes]);
        let network = Question { category: EventCategory::NetworkActivity, ..question(true) };
        assert_eq!(recorded(&writes, &network), No);
    }

    #[test]
    fn every_operator_of_advanced_selectors() {
        let arn = "arn:aws:s3:::a/k.csv";
        let question = Question {
            category: EventCategory::Data,
            read_only: Some(true),
            source: Some("s3.amazonaws.com"),
            name: Some("GetObject"),
            resource_type: Some("AWS::S3::Object"),
            resources: Some(&arn),
        };
        for (field, want) in [
            (r#""Field":"resources.ARN","Equals":["arn:aws:s3:::a/k.csv"]"#, Yes),
            (r#""Field":"resources.ARN","Equals":["arn:aws:s3:::a/k"]"#, No),
            (r#""Field":"resources.ARN","NotEquals":["arn:aws:s3:::a/k.csv"]"#, No),
            (r#""Field":"resources.ARN","NotEquals":["x","y"]"#, Yes),
            (r#""Field":"resources.ARN","StartsWith":["x","arn:aws:s3:::a/"]"#, Yes),
            (r#""Field":"resources.ARN","StartsWith":["arn:aws:s3:::b/"]"#, No),
            (r#""Field":"resources.ARN","NotStartsWith":["arn:aws:s3:::a/"]"#, No),
            (r#""Field":"resources.ARN","NotStartsWith":["arn:aws:s3:::b/"]"#, Yes),
            (r#""Field":"resources.ARN","EndsWith":[".csv"]"#, Yes),
            (r#""Field":"resources.ARN","EndsWith":[".txt"]"#, No),
            (r#""Field":"resources.ARN","NotEndsWith":[".csv"]"#, No),
            (r#""Field":"resources.ARN","NotEndsWith":[".txt"]"#, Yes),
            // What takes in is joined by "or", what leaves out by "and".
            (r#""Field":"resources.ARN","Equals":["x"],"EndsWith":[".csv"]"#, Yes),
            (r#""Field":"resources.ARN","StartsWith":["arn:aws:s3:::a/"],"NotEndsWith":[".csv"]"#, No),
            (r#""Field":"resources.ARN","StartsWith":["arn:aws:s3:::a/"],"NotEndsWith":[".txt"]"#, Yes),
            (r#""Field":"readOnly","Equals":["true"]"#, Yes),
            (r#""Field":"readOnly","Equals":["false"]"#, No),
            (r#""Field":"eventName","Equals":["PutObject","GetObject"]"#, Yes),
            (r#""Field":"eventName","NotStartsWith":["Get"]"#, No),
            (r#""Field":"eventSource","NotEquals":["kms.amazonaws.com"]"#, Yes),
            (r#""Field":"eventType","Equals":["AwsApiCall"]"#, Yes),
            (r#""Field":"eventType","Equals":["AwsServiceEvent"]"#, No),
            (r#""Field":"errorCode","Equals":["VpceAccessDenied"]"#, No),
            (r#""Field":"errorCode","NotEquals":["AccessDenied"]"#, Yes),
            // Nobody asked who calls.
            (r#""Field":"userIdentity.arn","NotEquals":["arn:aws:iam::1:user/x"]"#, Maybe),
            (r#""Field":"sessionCredentialFromConsole","Equals":["true"]"#, Maybe),
            (r#""Field":"vpcEndpointId","Equals":["vpce-1"]"#, Maybe),
            (r#""Field":"newField","Equals":["x"]"#, Maybe),
            (r#""Field":"resources.ARN","Contains":["x"]"#, Maybe),
        ] {
            let data = r#"{"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.type","Equals":["AWS::S3::Object"]}"#;
            let got = recorded(&advanced_of(&format!("{data},{{{field}}}")), &question);
            assert_eq!(got, want, "{field}");
            // Another type or category is left out whatever else is asked.
            let other = Question { resource_type: Some("AWS::Lambda::Function"), ..question };
            assert_eq!(recorded(&advanced_of(&format!("{data},{{{field}}}")), &other), No, "{field}");
        }
        assert_eq!(recorded(&advanced_of(r#"{"Field":"readOnly","Equals":["true"]}"#), &question), Maybe);
    }

    #[test]
    fn advanced_selectors_for_management_events() {
        let kms_out = r#"{"Field":"eventCategory","Equals":["Management"]},
            {"Field":"eventSource","NotEquals":["kms.amazonaws.com","rdsdata.amazonaws.com"]}"#;
        for (source, want) in [("kms.amazonaws.com", No), ("rdsdata.amazonaws.com", No), ("ec2.amazonaws.com", Yes)] {
            assert_eq!(recorded(&advanced_of(kms_out), &management(None, source)), want, "{source}");
        }
        let writes = r#"{"Field":"eventCategory","Equals":["Management"]},{"Field":"readOnly","Equals":["false"]}"#;
        for (read_only, want) in [(Some(true), No), (Some(false), Yes), (None, Maybe)] {
            assert_eq!(recorded(&advanced_of(writes), &management(read_only, "ec2.amazonaws.com")), want);
        }
        let data_only = r#"{"Field":"eventCategory","Equals":["Data"]}"#;
        assert_eq!(recorded(&advanced_of(data_only), &Question::management(false)), No);
        let vpce = r#"{"Field":"eventCategory","Equals":["NetworkActivity"]},{"Field":"eventSource","Equals":["s3.amazonaws.com"]}"#;
        let through =
            Question { category: EventCategory::NetworkActivity, ..management(Some(true), "s3.amazonaws.com") };
        assert_eq!(recorded(&advanced_of(vpce), &through), Yes);
    }
}
