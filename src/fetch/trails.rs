//! Trails of an account: what they are set to record, and whether they do.

use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::types;
use serde_json::Value;

use super::access::{Access, pages};
use super::calls::{DESCRIBE_TRAILS, GET_EVENT_SELECTORS, GET_TRAIL_STATUS, LIST_TRAILS};
use super::failure::Failure;
use super::shape::{list, maybe, object, text, time};

/// A trail as a list names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub home: String,
    pub arn: String,
}

impl Named {
    /// The account whose trail it is.
    pub(super) fn owner(&self) -> &str {
        owner(&self.arn)
    }
}

/// The account in the ARN of a trail; empty where there is none.
pub(super) fn owner(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The trails that the account is shown, whatever their home region.
pub(super) async fn named(access: &Access) -> Result<Vec<Named>, Failure> {
    let client = access.cloudtrail();
    let listed = pages!(access, &LIST_TRAILS, client.list_trails(), trails);
    let named = |trail: &types::TrailInfo| {
        Some(Named { home: trail.home_region()?.to_owned(), arn: trail.trail_arn()?.to_owned() })
    };
    let mut found: Vec<Named> = listed.iter().filter_map(named).collect();
    found.sort();
    Ok(found)
}

/// A trail's settings, as its home region tells them.
pub(super) async fn described(access: &Access, trail: &Named) -> Result<Vec<types::Trail>, Failure> {
    let (access, arn) = (access.at(&trail.home), &trail.arn);
    let client = access.cloudtrail();
    let answer = access.call(&DESCRIBE_TRAILS, || client.describe_trails().trail_name_list(arn).send()).await?;
    let named = |found: &types::Trail| found.trail_arn() == Some(arn);
    Ok(answer.trail_list.unwrap_or_default().into_iter().filter(named).collect())
}

/// What a trail is set to record.
pub(super) async fn selectors(access: &Access, trail: &Named) -> Result<GetEventSelectorsOutput, Failure> {
    let (access, arn) = (access.at(&trail.home), &trail.arn);
    let client = access.cloudtrail();
    access.call(&GET_EVENT_SELECTORS, || client.get_event_selectors().trail_name(arn).send()).await
}

/// Whether a trail records.
pub(super) async fn status(access: &Access, trail: &Named) -> Result<GetTrailStatusOutput, Failure> {
    let (access, arn) = (access.at(&trail.home), &trail.arn);
    let client = access.cloudtrail();
    access.call(&GET_TRAIL_STATUS, || client.get_trail_status().name(arn).send()).await
}

/// The answers of DescribeTrails, GetEventSelectors and GetTrailStatus for every trail of the account, as a list. A trail
/// of the organisation is its owner's: members are shown it, and may not look into it.
pub(super) async fn trails(access: &Access, account: &str) -> Result<Value, Failure> {
    let mut answers = vec![];
    for one in named(access).await?.iter().filter(|one| one.owner() == account) {
        answers.push(object([("trailList", list(&described(access, one).await?, trail))]));
        let selectors = selectors(access, one).await?;
        let basic = Some(selectors.event_selectors()).filter(|all| !all.is_empty());
        // Neither: then it is the basic ones of which there are none.
        let basic =
            basic.or(Some(selectors.event_selectors()).filter(|_| selectors.advanced_event_selectors().is_empty()));
        let advanced = Some(selectors.advanced_event_selectors()).filter(|all| !all.is_empty());
        answers.push(object([
            ("TrailARN", text(&one.arn)),
            ("EventSelectors", basic.and_then(|all| list(all, selector))),
            ("AdvancedEventSelectors", advanced.and_then(|all| list(all, advanced_selector))),
        ]));
        let status = status(access, one).await?;
        answers.push(object([
            ("TrailARN", text(&one.arn)),
            ("IsLogging", Some(status.is_logging().unwrap_or(false).into())),
            ("LatestDeliveryTime", time(status.latest_delivery_time())),
            ("LatestDeliveryError", maybe(status.latest_delivery_error())),
            ("LatestDigestDeliveryTime", time(status.latest_digest_delivery_time())),
            ("StartLoggingTime", time(status.start_logging_time())),
            ("StopLoggingTime", time(status.stop_logging_time())),
        ]));
    }
    // The reader tells the kind of file by what stands in it.
    if answers.is_empty() {
        answers.push(object([("trailList", Some(Value::Array(Vec::new())))]));
    }
    Ok(Value::Array(answers))
}

fn trail(trail: &types::Trail) -> Value {
    object([
        ("Name", maybe(trail.name())),
        ("TrailARN", maybe(trail.trail_arn())),
        ("HomeRegion", maybe(trail.home_region())),
        ("S3BucketName", maybe(trail.s3_bucket_name())),
        ("S3KeyPrefix", maybe(trail.s3_key_prefix())),
        ("IncludeGlobalServiceEvents", trail.include_global_service_events().map(Into::into)),
        ("IsMultiRegionTrail", trail.is_multi_region_trail().map(Into::into)),
        ("IsOrganizationTrail", trail.is_organization_trail().map(Into::into)),
        ("LogFileValidationEnabled", trail.log_file_validation_enabled().map(Into::into)),
        ("KmsKeyId", maybe(trail.kms_key_id())),
        ("CloudWatchLogsLogGroupArn", maybe(trail.cloud_watch_logs_log_group_arn())),
        ("HasCustomEventSelectors", trail.has_custom_event_selectors().map(Into::into)),
        ("HasInsightSelectors", trail.has_insight_selectors().map(Into::into)),
    ])
}

fn texts(items: &[String]) -> Option<Value> {
    Some(items).filter(|items| !items.is_empty()).and_then(|items| list(items, |item| item.as_str().into()))
}

fn selector(selector: &types::EventSelector) -> Value {
    let data = |data: &types::DataResource| object([("Type", maybe(data.r#type())), ("Values", texts(data.values()))]);
    let sources = selector.exclude_management_event_sources.as_deref();
    object([
        ("ReadWriteType", selector.read_write_type().and_then(|kind| text(kind.as_str()))),
        ("IncludeManagementEvents", selector.include_management_events().map(Into::into)),
        ("DataResources", selector.data_resources.as_deref().and_then(|all| list(all, data))),
        ("ExcludeManagementEventSources", sources.and_then(|all| list(all, |source| source.as_str().into()))),
    ])
}

fn advanced_selector(selector: &types::AdvancedEventSelector) -> Value {
    let field = |field: &types::AdvancedFieldSelector| {
        object([
            ("Field", text(field.field())),
            ("Equals", texts(field.equals())),
            ("StartsWith", texts(field.starts_with())),
            ("EndsWith", texts(field.ends_with())),
            ("NotEquals", texts(field.not_equals())),
            ("NotStartsWith", texts(field.not_starts_with())),
            ("NotEndsWith", texts(field.not_ends_with())),
        ])
    };
    object([("Name", maybe(selector.name())), ("FieldSelectors", list(selector.field_selectors(), field))])
}
