//! What a trail is set to record: its selectors and settings, as AWS's answers and recorded calls spell them.
//!
//! Both spellings are read: `EventSelectors` of the command line's answers and `eventSelectors` of a CloudTrail
//! record. What is not understood is kept as not understood, so that nothing is claimed of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::Timestamp;

/// Most selectors that are kept of one trail, and most values of one condition; AWS allows 5 basic selectors with
/// 250 resources, and 500 values over all advanced selectors. What lies above is not understood.
const MOST_SELECTORS: usize = 500;
/// Most values of one list. See [`MOST_SELECTORS`].
const MOST_VALUES: usize = 2_048;

/// `ReadWriteType` of a basic selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadWrite {
    /// Both; what a selector says that does not name it.
    All,
    /// Read-only events.
    ReadOnly,
    /// All other events.
    WriteOnly,
    /// A value that this program does not know.
    Other,
}

/// Resources of one type in a basic selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DataSelection {
    /// `AWS::S3::Object`, `AWS::Lambda::Function` or `AWS::DynamoDB::Table`.
    pub kind: String,
    /// ARNs or their beginnings. Source: "DataResource", AWS CloudTrail API Reference.
    pub values: Vec<String>,
}

/// A basic selector. Source: "EventSelector", AWS CloudTrail API Reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BasicSelector {
    /// Reads, writes or both.
    pub read_write: ReadWrite,
    /// Whether management events are recorded.
    pub management: bool,
    /// Event sources whose management events are left out: KMS and the RDS Data API.
    pub excluded: Vec<String>,
    /// Data events.
    pub data: Vec<DataSelection>,
}

/// How a field of an advanced selector is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// The value itself.
    Equals,
    /// Any other value.
    NotEquals,
    /// Begins so.
    StartsWith,
    /// Begins otherwise.
    NotStartsWith,
    /// Ends so.
    EndsWith,
    /// Ends otherwise.
    NotEndsWith,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 6] =
        [Self::Equals, Self::NotEquals, Self::StartsWith, Self::NotStartsWith, Self::EndsWith, Self::NotEndsWith];

    /// AWS's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "Equals",
            Self::NotEquals => "NotEquals",
            Self::StartsWith => "StartsWith",
            Self::NotStartsWith => "NotStartsWith",
            Self::EndsWith => "EndsWith",
            Self::NotEndsWith => "NotEndsWith",
        }
    }

    /// The operator that it turns round, for those that leave events out.
    #[must_use]
    pub const fn negates(self) -> Option<Self> {
        match self {
            Self::NotEquals => Some(Self::Equals),
            Self::NotStartsWith => Some(Self::StartsWith),
            Self::NotEndsWith => Some(Self::EndsWith),
            Self::Equals | Self::StartsWith | Self::EndsWith => None,
        }
    }
}

/// What an advanced selector asks of one field. Source: "AdvancedFieldSelector", AWS CloudTrail API Reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldSelector {
    /// `eventCategory`, `readOnly`, `resources.ARN`, ….
    pub field: String,
    /// Operators with their values.
    pub conditions: Vec<(Operator, Vec<String>)>,
    /// Whether all of it is known to this program; where not, nothing is sure to match.
    pub understood: bool,
}

/// An advanced selector: its fields must all match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AdvancedSelector {
    /// Name; empty where none.
    pub name: String,
    /// Fields.
    pub fields: Vec<FieldSelector>,
}

/// The selectors of a trail, of which any may match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selectors {
    /// Basic ones.
    Basic(Vec<BasicSelector>),
    /// Advanced ones.
    Advanced(Vec<AdvancedSelector>),
}

impl Selectors {
    /// What a trail records that was never told: all management events, reads and writes, and nothing else.
    /// Source: "EventSelector", AWS CloudTrail API Reference.
    #[must_use]
    pub fn of_new_trail() -> Self {
        Self::Basic(vec![BasicSelector {
            read_write: ReadWrite::All,
            management: true,
            excluded: Vec::new(),
            data: Vec::new(),
        }])
    }

    /// Reads the selectors of an answer or of a call's parameters: advanced ones where there are any, else basic
    /// ones. None where it holds neither, or too many, or what is no list of objects.
    #[must_use]
    pub fn of_json(value: &Value) -> Option<Self> {
        let list = |name| get(value, name).and_then(Value::as_array).filter(|list| !list.is_empty());
        let bounded = |list: &Vec<Value>| list.len() <= MOST_SELECTORS && list.iter().all(Value::is_object);
        if let Some(advanced) = list("AdvancedEventSelectors") {
            return bounded(advanced).then(|| Self::Advanced(advanced.iter().map(advanced_selector).collect()));
        }
        let basic = list("EventSelectors")?;
        bounded(basic).then(|| Self::Basic(basic.iter().map(basic_selector).collect()))
    }
}

fn basic_selector(value: &Value) -> BasicSelector {
    let named = |name| get(value, name).filter(|value| !value.is_null());
    let mut read_write = match named("ReadWriteType").map(Value::as_str) {
        None | Some(Some("All")) => ReadWrite::All,
        Some(Some("ReadOnly")) => ReadWrite::ReadOnly,
        Some(Some("WriteOnly")) => ReadWrite::WriteOnly,
        Some(_) => ReadWrite::Other,
    };
    // The default is true.
    let management = named("IncludeManagementEvents").map_or(Some(true), Value::as_bool);
    let excluded = named("ExcludeManagementEventSources").map_or(Some(Vec::new()), |list| texts(Some(list)));
    if management.is_none() || excluded.is_none() {
        read_write = ReadWrite::Other;
    }
    // A resource that is not understood is one less that is recorded for sure.
    let data = named("DataResources").and_then(Value::as_array).into_iter().flatten().take(MOST_VALUES);
    BasicSelector {
        read_write,
        management: management.unwrap_or(true),
        excluded: excluded.unwrap_or_default(),
        data: data
            .map(|one| DataSelection {
                kind: text(one, "Type").unwrap_or_default(),
                values: texts(get(one, "Values")).unwrap_or_default(),
            })
            .collect(),
    }
}

fn advanced_selector(value: &Value) -> AdvancedSelector {
    let fields = get(value, "FieldSelectors").and_then(Value::as_array);
    let fields = fields.filter(|fields| fields.len() <= MOST_SELECTORS);
    let fields = fields.map(|fields| fields.iter().map(field_selector).collect::<Vec<_>>());
    AdvancedSelector {
        name: text(value, "Name").unwrap_or_default(),
        // A selector of which no field can be read is one that nothing is known to match.
        fields: fields.filter(|fields| !fields.is_empty()).unwrap_or_else(|| vec![field_selector(&Value::Null)]),
    }
}

fn field_selector(value: &Value) -> FieldSelector {
    let mut understood = true;
    let mut conditions = Vec::new();
    for (key, values) in value.as_object().into_iter().flatten() {
        if key.eq_ignore_ascii_case("Field") || values.is_null() {
            continue;
        }
        let operator = Operator::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(key));
        match (operator, texts(Some(values))) {
            // The command line prints an empty list for an operator that is not used.
            (Some(_), Some(values)) if values.is_empty() => {}
            (Some(operator), Some(values)) => conditions.push((operator, values)),
            _ => understood = false,
        }
    }
    conditions.sort();
    let field = text(value, "Field").unwrap_or_default();
    FieldSelector { understood: understood && !field.is_empty() && !conditions.is_empty(), field, conditions }
}

/// What one answer says of a trail at the time it was given. A field is none where that answer does not say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrailState {
    /// ARN of the trail; it names its account and home region.
    pub arn: String,
    /// When.
    pub captured_at: Timestamp,
    /// Whether it records every region.
    pub multi_region: Option<bool>,
    /// Whether it records global services. Source: "Trail", AWS CloudTrail API Reference.
    pub global_events: Option<bool>,
    /// Whether it records every account of the organisation.
    pub organization: Option<bool>,
    /// Whether it records at all.
    pub logging: Option<bool>,
    /// Since when it does, or does not.
    pub logging_since: Option<Timestamp>,
    /// What it records.
    pub selectors: Option<Selectors>,
}

impl TrailState {
    /// A state that says nothing yet.
    #[must_use]
    pub fn new(arn: String, captured_at: Timestamp) -> Self {
        Self {
            arn,
            captured_at,
            multi_region: None,
            global_events: None,
            organization: None,
            logging: None,
            logging_since: None,
            selectors: None,
        }
    }
}

/// The field of an object, whatever the case of its name: `TrailARN`, `trailARN`, `trailArn`.
#[must_use]
pub fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The text of an object's field.
#[must_use]
pub fn text(value: &Value, name: &str) -> Option<String> {
    get(value, name)?.as_str().map(str::to_owned)
}

/// A list of texts, or one text; none where it is something else, or too long.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(list) if list.len() <= MOST_VALUES => {
            list.iter().map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    }
}

/// The parts of a trail's ARN: partition, home region, account, name. None where it is no trail's.
#[must_use]
pub fn trail_arn(arn: &str) -> Option<(&str, &str, &str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (head, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?.strip_prefix("trail/")?);
    let whole = head == "arn" && service == "cloudtrail" && !region.is_empty() && !name.is_empty();
    (whole && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
        .then_some((partition, region, account, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Option<Selectors> {
        Selectors::of_json(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn both_spellings_are_the_same_selectors() {
        let answer =
            of(r#"{"TrailARN":"x","EventSelectors":[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":true,
            "DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::a/"]}],
            "ExcludeManagementEventSources":["kms.amazonaws.com"]}]}"#);
        let call =
            of(r#"{"trailName":"x","eventSelectors":[{"readWriteType":"WriteOnly","includeManagementEvents":true,
            "dataResources":[{"type":"AWS::S3::Object","values":["arn:aws:s3:::a/"]}],
            "excludeManagementEventSources":["kms.amazonaws.com"]}]}"#);
        assert_eq!(answer, call);
        let Some(Selectors::Basic(basic)) = answer else { panic!("basic") };
        assert_eq!((basic[0].read_write, basic[0].data[0].values.len()), (ReadWrite::WriteOnly, 1));
        let answer = of(r#"{"AdvancedEventSelectors":[{"Name":"n","FieldSelectors":[
            {"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.ARN","NotStartsWith":["a","b"],"Equals":[]}]}]}"#);
        let call = of(r#"{"eventSelectors":[],"advancedEventSelectors":[{"name":"n","fieldSelectors":[
            {"field":"eventCategory","equals":["Data"]},{"field":"resources.ARN","notStartsWith":["a","b"]}]}]}"#);
        assert_eq!(answer, call);
        assert!(matches!(answer, Some(Selectors::Advanced(list)) if list[0].fields.iter().all(|f| f.understood)));
    }

    #[test]
    fn what_is_not_known_is_not_understood() {
        for json in [r#"{}"#, r#"{"EventSelectors":[]}"#, r#"{"EventSelectors":null}"#, r#"{"EventSelectors":[1]}"#] {
            assert_eq!(of(json), None, "{json}");
        }
        for fields in [
            r#"[{"Field":"readOnly","Contains":["x"]}]"#,
            r#"[{"Field":"readOnly","Equals":[true]}]"#,
            r#"[{"Field":"readOnly"}]"#,
            r#"[{"Equals":["x"]}]"#,
            "[]",
            "7",
        ] {
            let got = of(&format!(r#"{{"AdvancedEventSelectors":[{{"FieldSelectors":{fields}}}]}}"#));
            assert!(matches!(&got, Some(Selectors::Advanced(list)) if !list[0].fields[0].understood), "{fields}");
        }
        for field in [
            r#""ReadWriteType":"Some""#,
            r#""ReadWriteType":1"#,
            r#""IncludeManagementEvents":"yes""#,
            r#""ExcludeManagementEventSources":[1]"#,
        ] {
            let got = of(&format!(r#"{{"EventSelectors":[{{{field}}}]}}"#));
            assert!(matches!(got, Some(Selectors::Basic(list)) if list[0].read_write == ReadWrite::Other), "{field}");
        }
    }

    #[test]
    fn arns() {
        let arn = "arn:aws-cn:cloudtrail:cn-north-1:111111111111:trail/t";
        assert_eq!(trail_arn(arn), Some(("aws-cn", "cn-north-1", "111111111111", "t")));
        for bad in
            ["t", "arn:aws:s3:::b", "arn:aws:cloudtrail:us-east-1:1:trail/t", "arn:aws:cloudtrail:a:111111111111:t"]
        {
            assert_eq!(trail_arn(bad), None, "{bad}");
        }
    }
}
