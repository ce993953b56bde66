//! What IAM itself saw of use: per principal and service, for some services per action, over about 400 days.

use std::time::Duration;

use aws_sdk_iam::types::{self, AccessAdvisorUsageGranularityType, JobStatusType};
use serde_json::Value;

use super::access::{Access, Pages, in_order};
use super::calls::{GENERATE_LAST_ACCESSED, GET_LAST_ACCESSED};
use super::failure::{Failure, FailureKind};
use super::shape::{list, maybe, object, text, time};

/// Jobs that are under way at once. AWS names no limit for them; each is two calls or more of IAM's pace.
const AT_ONCE: usize = 8;
/// How often a job is asked about, and how long between: most are done at once, of large accounts within minutes.
const TRIES: u32 = 60;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Reads the details of users and roles, by ARN.
pub(super) async fn last_accessed(access: &Access, account: &str, principals: &[String]) -> Result<Value, Failure> {
    let read = principals.iter().map(|arn| principal(access, arn));
    let found: Vec<Option<Value>> = in_order(read.collect(), AT_ONCE).await?;
    Ok(object([
        ("AccountId", text(account)),
        ("LastAccessedDetails", Some(Value::Array(found.into_iter().flatten().collect()))),
    ]))
}

/// One principal; none where it is gone by now.
async fn principal(access: &Access, arn: &str) -> Result<Option<Value>, Failure> {
    let client = access.iam();
    let actions = AccessAdvisorUsageGranularityType::ActionLevel;
    let begun = access
        .call(&GENERATE_LAST_ACCESSED, || {
            client.generate_service_last_accessed_details().arn(arn).granularity(actions.clone()).send()
        })
        .await;
    let job = match begun {
        Ok(begun) => begun.job_id().unwrap_or_default().to_owned(),
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let (mut wait, mut services, mut pages, mut tries) = (FIRST_WAIT, Vec::new(), Pages::default(), 0);
    let mut done = None;
    let mut marker = pages.next();
    while let Some(token) = marker {
        let page = access
            .call(&GET_LAST_ACCESSED, || {
                client.get_service_last_accessed_details().job_id(&job).set_marker(token.clone()).send()
            })
            .await?;
        match page.job_status() {
            JobStatusType::Completed => {
                services.extend(page.services_last_accessed().iter().map(service));
                done = time(Some(page.job_completion_date()));
                pages.after(&GET_LAST_ACCESSED, page.marker().filter(|_| page.is_truncated()))?;
                marker = pages.next();
            }
            JobStatusType::InProgress if tries < TRIES => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                tries += 1;
                marker = Some(token);
            }
            status => {
                let said = page.error().map(types::ErrorDetails::message).unwrap_or_default();
                let message = format!("the job for {arn} stands at {}: {said}", status.as_str());
                return Err(Failure::new(&GET_LAST_ACCESSED, FailureKind::Service, "", &message));
            }
        }
    }
    Ok(Some(object([
        ("Arn", text(arn)),
        ("JobCompletionDate", done),
        ("ServicesLastAccessed", Some(Value::Array(services))),
    ])))
}

/// A service that the principal may use, and when it last did.
fn service(service: &types::ServiceLastAccessed) -> Value {
    let action = |action: &types::TrackedActionLastAccessed| {
        object([
            ("ActionName", maybe(action.action_name())),
            ("LastAccessedTime", time(action.last_accessed_time())),
            ("LastAccessedRegion", maybe(action.last_accessed_region())),
        ])
    };
    let actions = service.tracked_actions_last_accessed();
    object([
        ("ServiceNamespace", text(service.service_namespace())),
        ("LastAuthenticated", time(service.last_authenticated())),
        ("LastAuthenticatedRegion", maybe(service.last_authenticated_region())),
        ("TrackedActionsLastAccessed", Some(actions).filter(|all| !all.is_empty()).and_then(|all| list(all, action))),
    ])
}
