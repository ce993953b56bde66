//! Policies at the resources of an account, service by service in every region: what may not be read of one service
//! costs no other.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::model::resource_policy::ResourceService;

use super::access::{Access, in_order, pages};
use super::calls::{
    DESCRIBE_REPOSITORIES, GET_BUCKET_POLICY, GET_FUNCTION_POLICY, GET_KEY_POLICY, GET_QUEUE_ATTRIBUTES,
    GET_REPOSITORY_POLICY, GET_SECRET_POLICY, GET_TABLE_POLICY, GET_TOPIC_ATTRIBUTES, LIST_BUCKETS, LIST_FUNCTIONS,
    LIST_KEYS, LIST_QUEUES, LIST_SECRETS, LIST_TABLES, LIST_TOPICS,
};
use super::failure::{Failure, FailureKind};
use super::regions;
use super::shape::{list, object, text};

/// Resources of one region whose policies are asked for at once; the pace is kept by `Access`.
const AT_ONCE: usize = 8;
/// Items a page, where the service gives pages only to who asks for a size: its largest. Sources: S3 API reference,
/// "ListBuckets"; Amazon SQS API reference, "ListQueues".
const BUCKETS: i32 = 1000;
const QUEUES: i32 = 1000;
/// The one name that policies of keys have. Source: KMS API reference, "GetKeyPolicy".
const KEY_POLICY: &str = "default";

/// A resource.
struct Resource {
    arn: String,
    region: String,
    policy: Policy,
}

enum Policy {
    None,
    Text(String),
    /// It may not be read.
    Denied(Failure),
}

/// Who is asked about what.
#[derive(Clone)]
struct Asked {
    access: Access,
    /// Start of its ARNs: `arn:PARTITION`.
    arn: String,
    account: String,
}

impl Asked {
    fn at(&self, region: &str) -> Self {
        Self { access: self.access.at(region), ..self.clone() }
    }

    fn region(&self) -> String {
        self.access.region().to_owned()
    }
}

/// Reads what can be read, as `jitscan ingest resource-policies` takes it, and says what cannot.
pub(super) async fn policies(access: &Access, account: &str, partition: &str) -> (Option<Value>, Vec<Failure>) {
    let regions = match regions::regions(access).await {
        Ok(regions) => regions,
        Err(failure) => return (None, vec![failure]),
    };
    let asked = Asked { access: access.clone(), arn: format!("arn:{partition}"), account: account.to_owned() };
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for service in ResourceService::ALL {
        let read = match service {
            ResourceService::S3 => buckets(&asked).await.map(|found| (None, found)),
            _ => everywhere(service, &asked, &regions).await.map(|(regions, found)| (Some(regions), found)),
        };
        match read.and_then(|(regions, found)| Ok((regions, known(found, &mut failures)?))) {
            Ok((regions, resources)) => services.push(object([
                ("Service", text(service)),
                ("Regions", regions.and_then(|all: Vec<String>| list(&all, |region| region.as_str().into()))),
                ("Resources", Some(Value::Array(resources))),
            ])),
            Err(failure) => failures.push(failure),
        }
        if failures.iter().any(|failure| failure.kind == FailureKind::Credentials) {
            break;
        }
    }
    if services.is_empty() {
        return (None, failures);
    }
    let document = object([("AccountId", text(account)), ("Services", Some(Value::Array(services)))]);
    (Some(document), failures)
}

/// The resources as the document has them. Single policies may be closed to us by what they say themselves; where all of
/// them are, it is the permission that is missing.
fn known(mut found: Vec<Resource>, failures: &mut Vec<Failure>) -> Result<Vec<Value>, Failure> {
    found.sort_by(|a, b| a.arn.cmp(&b.arn));
    let mut denied = found.iter().filter_map(|one| match &one.policy {
        Policy::Denied(failure) => Some((failure, &one.arn)),
        _ => None,
    });
    if let Some((first, arn)) = denied.next() {
        let (mut failure, others) = (first.clone(), denied.count());
        if others + 1 == found.len() {
            return Err(failure);
        }
        let more = if others > 0 { format!(" (and {others} others)") } else { String::new() };
        failure.message = format!("{arn}: {}{more}", failure.message);
        failures.push(failure);
    }
    let value = |one: &Resource| {
        object([
            ("Arn", text(&one.arn)),
            ("Region", text(&one.region)),
            ("Policy", if let Policy::Text(policy) = &one.policy { text(policy) } else { None }),
            ("Denied", matches!(one.policy, Policy::Denied(_)).then_some(Value::Bool(true))),
        ])
    };
    Ok(found.iter().map(value).collect())
}

/// A regional service: which regions answered, and what they have.
async fn everywhere(
    service: ResourceService,
    asked: &Asked,
    regions: &[String],
) -> Result<(Vec<String>, Vec<Resource>), Failure> {
    let read = regions.iter().map(|region| {
        let asked = asked.at(region);
        async move {
            let found = match service {
                ResourceService::DynamoDb => tables(&asked).await,
                ResourceService::Ecr => repositories(&asked).await,
                ResourceService::Kms => keys(&asked).await,
                ResourceService::Lambda => functions(&asked).await,
                ResourceService::SecretsManager => secrets(&asked).await,
                ResourceService::Sns => topics(&asked).await,
                ResourceService::Sqs => queues(&asked).await,
                // Its list knows no regions.
                ResourceService::S3 => Ok(Vec::new()),
            };
            found.map(|found| (asked.region(), found))
        }
    });
    let (regions, found): (Vec<String>, Vec<Vec<Resource>>) = regions::open(read.collect()).await?.into_iter().unzip();
    Ok((regions, found.into_iter().flatten().collect()))
}

/// What an answer, or a refusal, says of a resource's policy. `none` is the code that says that it has none; where there
/// is no such code, or another one says that something is absent, the resource is gone by now.
fn told(
    arn: String,
    region: String,
    answer: Result<Option<String>, Failure>,
    none: &str,
) -> Result<Option<Resource>, Failure> {
    let policy = match answer {
        Ok(policy) => policy.filter(|text| !text.is_empty()).map_or(Policy::None, Policy::Text),
        Err(failure) if failure.kind == FailureKind::Absent && failure.code == none => Policy::None,
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(None),
        Err(failure) if failure.kind == FailureKind::Denied => Policy::Denied(failure),
        Err(failure) => return Err(failure),
    };
    Ok(Some(Resource { arn, region, policy }))
}

/// Asks for the policies of resources, some at once.
async fn each<F>(work: impl Iterator<Item = F>) -> Result<Vec<Resource>, Failure>
where
    F: Future<Output = Result<Option<Resource>, Failure>>,
{
    Ok(in_order(work.collect(), AT_ONCE).await?.into_iter().flatten().collect())
}

async fn buckets(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, asked.access.s3());
    let found = pages!(continued: access, &LIST_BUCKETS, client.list_buckets().max_buckets(BUCKETS), buckets);
    let read = found.into_iter().filter_map(|bucket| {
        // A region is told for whoever asks with a parameter; without it the bucket's own answer redirects.
        let region = bucket.bucket_region().unwrap_or_else(|| asked.access.region()).to_owned();
        let (name, there) = (bucket.name?, asked.at(&region).access);
        let arn = format!("{}:s3:::{name}", asked.arn);
        Some(async move {
            let client = there.s3();
            let read = there.call(&GET_BUCKET_POLICY, || client.get_bucket_policy().bucket(&name).send()).await;
            told(arn, region, read.map(|answer| answer.policy), "NoSuchBucketPolicy")
        })
    });
    each(read).await
}

async fn tables(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, asked.access.dynamodb());
    let found = pages!(tables: access, &LIST_TABLES, client.list_tables(), table_names);
    let read = found.into_iter().map(|name| {
        let arn = format!("{}:dynamodb:{}:{}:table/{name}", asked.arn, asked.region(), asked.account);
        async {
            let read = access.call(&GET_TABLE_POLICY, || client.get_resource_policy().resource_arn(&arn).send()).await;
            told(arn, asked.region(), read.map(|answer| answer.policy), "PolicyNotFoundException")
        }
    });
    each(read).await
}

async fn repositories(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, asked.access.ecr());
    let found = pages!(access, &DESCRIBE_REPOSITORIES, client.describe_repositories(), repositories);
    let named = found.into_iter().filter_map(|one| Some((one.repository_name?, one.repository_arn?)));
    let (client, read) = (&client, named);
    let read = read.map(|(name, arn)| async move {
        let read =
            access.call(&GET_REPOSITORY_POLICY, || client.get_repository_policy().repository_name(&name).send()).await;
        told(arn, asked.region(), read.map(|answer| answer.policy_text), "RepositoryPolicyNotFoundException")
    });
    each(read).await
}

async fn keys(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, &asked.access.kms());
    let found = pages!(truncated: access, &LIST_KEYS, client.list_keys(), keys);
    let named = found.into_iter().filter_map(|one| Some((one.key_id?, one.key_arn?)));
    let read = named.map(|(id, arn)| async move {
        let request = || client.get_key_policy().key_id(&id).policy_name(KEY_POLICY).send();
        let read = access.call(&GET_KEY_POLICY, request).await;
        told(arn, asked.region(), read.map(|answer| answer.policy), "")
    });
    each(read).await
}

async fn functions(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, &asked.access.lambda());
    let found = pages!(next_marked: access, &LIST_FUNCTIONS, client.list_functions(), functions);
    let read = found.into_iter().filter_map(|one| one.function_arn).map(|arn| async move {
        let read = access.call(&GET_FUNCTION_POLICY, || client.get_policy().function_name(&arn).send()).await;
        // The same code says that the function is gone.
        told(arn, asked.region(), read.map(|answer| answer.policy), "ResourceNotFoundException")
    });
    each(read).await
}

async fn secrets(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, &asked.access.secrets_manager());
    let found = pages!(access, &LIST_SECRETS, client.list_secrets(), secret_list);
    let read = found.into_iter().filter_map(|one| one.arn).map(|arn| async move {
        let read = access.call(&GET_SECRET_POLICY, || client.get_resource_policy().secret_id(&arn).send()).await;
        told(arn, asked.region(), read.map(|answer| answer.resource_policy), "")
    });
    each(read).await
}

async fn topics(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, &asked.access.sns());
    let found = pages!(access, &LIST_TOPICS, client.list_topics(), topics);
    let read = found.into_iter().filter_map(|one| one.topic_arn).map(|arn| async move {
        let read = access.call(&GET_TOPIC_ATTRIBUTES, || client.get_topic_attributes().topic_arn(&arn).send()).await;
        let policy = read.map(|answer| answer.attributes.and_then(|mut all| all.remove("Policy")));
        told(arn, asked.region(), policy, "")
    });
    each(read).await
}

async fn queues(asked: &Asked) -> Result<Vec<Resource>, Failure> {
    let (access, client) = (&asked.access, &asked.access.sqs());
    let found = pages!(access, &LIST_QUEUES, client.list_queues().max_results(QUEUES), queue_urls);
    let read = found.into_iter().map(|url| async move {
        // The name is the last part of the address. Source: SQS Developer Guide, "Queue URLs".
        let name = url.rsplit('/').next().unwrap_or_default();
        let arn = format!("{}:sqs:{}:{}:{name}", asked.arn, asked.region(), asked.account);
        let request = || {
            let wanted = [QueueAttributeName::Policy, QueueAttributeName::QueueArn];
            client.get_queue_attributes().queue_url(&url).set_attribute_names(Some(wanted.to_vec())).send()
        };
        let mut all = match access.call(&GET_QUEUE_ATTRIBUTES, request).await {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(failure) => return told(arn, asked.region(), Err(failure), ""),
        };
        let arn = all.remove(&QueueAttributeName::QueueArn).unwrap_or(arn);
        told(arn, asked.region(), Ok(all.remove(&QueueAttributeName::Policy)), "")
    });
    each(read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(arn: &str, policy: Policy) -> Resource {
        Resource { arn: arn.to_owned(), region: "r".to_owned(), policy }
    }

    fn denied() -> Policy {
        Policy::Denied(Failure::of_kind(&GET_KEY_POLICY, FailureKind::Denied, "no"))
    }

    #[test]
    fn single_policies_that_are_closed_do_not_cost_the_others() {
        let mut failures = Vec::new();
        let found = vec![resource("c", denied()), resource("b", Policy::None), resource("a", denied())];
        let known = known(found, &mut failures).unwrap();
        assert_eq!(known.iter().map(|one| one["Arn"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((known[0]["Denied"].as_bool(), known[1].get("Denied")), (Some(true), None));
        assert_eq!(failures.len(), 1);
        assert!(failures[0].to_string().contains("a: no (and 1 others)"), "{}", failures[0]);
    }

    #[test]
    fn where_all_are_closed_the_service_is() {
        let mut failures = Vec::new();
        assert!(known(vec![resource("a", denied()), resource("b", denied())], &mut failures).is_err());
        assert!(failures.is_empty());
        assert_eq!(known(Vec::new(), &mut failures).unwrap().len(), 0);
    }

    #[test]
    fn answers_say_whether_there_is_a_policy_or_a_resource() {
        let absent = |code: &str| {
            let mut failure = Failure::of_kind(&GET_KEY_POLICY, FailureKind::Absent, "x");
            code.clone_into(&mut failure.code);
            Err(failure)
        };
        let shown = |answer, none: &str| match told("a".to_owned(), "r".to_owned(), answer, none) {
            Ok(Some(Resource { policy: Policy::None, .. })) => "none",
            Ok(Some(Resource { policy: Policy::Text(_), .. })) => "text",
            Ok(Some(Resource { policy: Policy::Denied(_), .. })) => "denied",
            Ok(None) => "gone",
            Err(_) => "failed",
        };
        let denied = Failure::of_kind(&GET_KEY_POLICY, FailureKind::Denied, "x");
        let failed = Failure::of_kind(&GET_KEY_POLICY, FailureKind::Service, "x");
        for (answer, none, want) in [
            (Ok(Some("{}".to_owned())), "", "text"),
            (Ok(Some(String::new())), "", "none"),
            (Ok(None), "", "none"),
            (absent("NoSuchBucketPolicy"), "NoSuchBucketPolicy", "none"),
            (absent("NoSuchBucket"), "NoSuchBucketPolicy", "gone"),
            (absent("NotFoundException"), "", "gone"),
            (Err(denied), "", "denied"),
            (Err(failed), "", "failed"),
        ] {
            assert_eq!(shown(answer.clone(), none), want, "{answer:?}");
        }
    }
}
