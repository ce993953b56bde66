//! IAM Access Analyzer: its analyzers and what they found, in every region of an account.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_accessanalyzer::types::{self, Criterion, FindingDetails};
use serde_json::Value;

use super::access::{Access, in_order, pages};
use super::calls::{GET_ANALYZER, GET_FINDING, LIST_ANALYZERS, LIST_FINDINGS};
use super::failure::{Failure, FailureKind};
use super::regions;
use super::shape::{list, maybe, object, text, time};

/// Findings of one analyzer that are asked about at once; the pace is kept by `Access`.
const AT_ONCE: usize = 8;

/// Reads all analyzers with what they found and what is not resolved.
pub(super) async fn findings(access: &Access, account: &str) -> Result<Value, Failure> {
    let regions = regions::regions(access).await?;
    let read = regions.iter().map(|region| of_region(access.at(region)));
    let found: Vec<Vec<Value>> = regions::open(read.collect()).await?;
    Ok(object([("AccountId", text(account)), ("Analyzers", Some(Value::Array(found.into_iter().flatten().collect())))]))
}

async fn of_region(access: Access) -> Result<Vec<Value>, Failure> {
    let client = access.access_analyzer();
    let analyzers = match analyzers(&access).await {
        Ok(analyzers) => analyzers,
        // Not every region has the service.
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let mut out = Vec::new();
    for analyzer in analyzers {
        // The list leaves out how an analyzer is configured. Source: Access Analyzer API reference, "AnalyzerSummary".
        let name = analyzer.name.as_str();
        let asked = access.call(&GET_ANALYZER, || client.get_analyzer().analyzer_name(name).send()).await;
        let configured = match asked {
            Ok(answer) => answer.analyzer,
            Err(failure) if failure.kind == FailureKind::Absent => continue,
            Err(failure) => return Err(failure),
        };
        let configuration = configured.as_ref().and_then(|analyzer| analyzer.configuration.as_ref());
        let findings = of_analyzer(&access, &analyzer.arn).await?;
        out.push(object([
            ("Arn", text(&analyzer.arn)),
            ("Name", text(&analyzer.name)),
            ("Type", text(analyzer.r#type.as_str())),
            ("Status", text(analyzer.status.as_str())),
            ("Region", text(access.region())),
            ("CreatedAt", time(Some(&analyzer.created_at))),
            ("LastResourceAnalyzedAt", time(analyzer.last_resource_analyzed_at.as_ref())),
            ("UnusedAccessAge", unused_age(configuration).map(Value::from)),
            ("Findings", Some(Value::Array(findings))),
        ]));
    }
    Ok(out)
}

async fn analyzers(access: &Access) -> Result<Vec<types::AnalyzerSummary>, Failure> {
    let client = access.access_analyzer();
    Ok(pages!(access, &LIST_ANALYZERS, client.list_analyzers(), analyzers))
}

/// After how many days without use an analyzer calls access unused.
fn unused_age(configuration: Option<&types::AnalyzerConfiguration>) -> Option<i32> {
    configuration?.as_unused_access().ok()?.unused_access_age
}

async fn of_analyzer(access: &Access, analyzer: &str) -> Result<Vec<Value>, Failure> {
    let client = access.access_analyzer();
    let open = HashMap::from([("status".to_owned(), Criterion::builder().neq("RESOLVED").build())]);
    let request = || client.list_findings_v2().analyzer_arn(analyzer).set_filter(Some(open.clone()));
    let summaries = pages!(access, &LIST_FINDINGS, request(), findings);
    let read = summaries.iter().map(|summary| finding(access, analyzer, summary));
    let mut found: Vec<Value> = in_order(read.collect(), AT_ONCE).await?.into_iter().flatten().collect();
    let id = |finding: &Value| finding.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
    found.sort_by_key(id);
    Ok(found)
}

/// One finding with its details; none where it is gone by now.
async fn finding(access: &Access, analyzer: &str, summary: &types::FindingSummaryV2) -> Result<Option<Value>, Failure> {
    let details = match details(access, analyzer, &summary.id).await {
        Ok(details) => details,
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(None),
        Err(failure) => return Err(failure),
    };
    Ok(Some(object([
        ("Id", text(&summary.id)),
        ("FindingType", summary.finding_type.as_ref().and_then(|kind| text(kind.as_str()))),
        ("Status", text(summary.status.as_str())),
        ("Resource", maybe(summary.resource.as_deref())),
        ("ResourceType", text(summary.resource_type.as_str())),
        ("ResourceOwnerAccount", text(&summary.resource_owner_account)),
        ("Error", maybe(summary.error.as_deref())),
        ("AnalyzedAt", time(Some(&summary.analyzed_at))),
        ("CreatedAt", time(Some(&summary.created_at))),
        ("UpdatedAt", time(Some(&summary.updated_at))),
        ("FindingDetails", list(&details, detail)),
    ])))
}

async fn details(access: &Access, analyzer: &str, id: &str) -> Result<Vec<FindingDetails>, Failure> {
    let client = access.access_analyzer();
    Ok(pages!(access, &GET_FINDING, client.get_finding_v2().analyzer_arn(analyzer).id(id), finding_details))
}

fn texts(items: &[String]) -> Option<Value> {
    list(items, |item| item.as_str().into())
}

fn map(items: Option<&HashMap<String, String>>) -> Option<Value> {
    let items: BTreeMap<&String, &String> = items?.iter().collect();
    serde_json::to_value(items).ok()
}

fn detail(details: &FindingDetails) -> Value {
    match details {
        FindingDetails::ExternalAccessDetails(found) => object([(
            "ExternalAccessDetails",
            Some(object([
                ("Action", texts(found.action())),
                ("Condition", map(Some(found.condition()))),
                ("IsPublic", found.is_public().map(Into::into)),
                ("Principal", map(found.principal())),
            ])),
        )]),
        FindingDetails::InternalAccessDetails(found) => object([(
            "InternalAccessDetails",
            Some(object([
                ("Action", texts(found.action())),
                ("Condition", map(found.condition())),
                ("Principal", map(found.principal())),
                ("PrincipalOwnerAccount", maybe(found.principal_owner_account())),
                ("AccessType", found.access_type().and_then(|kind| text(kind.as_str()))),
            ])),
        )]),
        FindingDetails::UnusedPermissionDetails(found) => {
            let action = |action: &types::UnusedAction| {
                object([("Action", text(action.action())), ("LastAccessed", time(action.last_accessed()))])
            };
            object([(
                "UnusedPermissionDetails",
                Some(object([
                    ("ServiceNamespace", text(found.service_namespace())),
                    ("LastAccessed", time(found.last_accessed())),
                    ("Actions", list(found.actions(), action)),
                ])),
            )])
        }
        FindingDetails::UnusedIamRoleDetails(found) => {
            object([("UnusedIamRoleDetails", Some(object([("LastAccessed", time(found.last_accessed()))])))])
        }
        FindingDetails::UnusedIamUserAccessKeyDetails(found) => object([(
            "UnusedIamUserAccessKeyDetails",
            Some(object([("AccessKeyId", text(found.access_key_id())), ("LastAccessed", time(found.last_accessed()))])),
        )]),
        FindingDetails::UnusedIamUserPasswordDetails(found) => {
            object([("UnusedIamUserPasswordDetails", Some(object([("LastAccessed", time(found.last_accessed()))])))])
        }
        // A kind that is newer than this program: that there is one stays visible.
        _ => object([("Unknown", Some(Value::Bool(true)))]),
    }
}
