//! Policies at resources, as they were collected: which of them a request meets.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::arn::AccountId;
use crate::model::resource_policy::PolicyState;
use crate::model::snapshot::Snapshot;
use crate::policy::DocumentKind;

use super::evaluate::ResourcePolicy;
use super::layers::{Layer, PolicySet};
use super::request::Target;
use super::standing::Compilation;

/// A resource that was collected.
#[derive(Debug)]
struct Kept {
    owner: AccountId,
    policy: ResourcePolicy,
}

/// The collected resources, by ARN.
#[derive(Debug, Default)]
pub(super) struct Resources<'s>(BTreeMap<&'s str, Kept>);

impl<'s> Resources<'s> {
    pub(super) fn of(snapshot: &'s Snapshot, compilation: &Compilation<'s, '_>) -> Self {
        let mut kept = BTreeMap::new();
        for ((owner, _), of) in &snapshot.resources {
            for resource in &of.resources {
                let arn = resource.arn.as_str();
                let policy = match &resource.policy {
                    PolicyState::None => ResourcePolicy::Absent,
                    PolicyState::Unread => ResourcePolicy::NotCollected,
                    PolicyState::Text(text) => ResourcePolicy::Is(Arc::new(compiled(compilation, arn, text))),
                };
                kept.insert(arn, Kept { owner: *owner, policy });
            }
        }
        Self(kept)
    }

    /// The policy at what is asked for; none where it was not collected. What was made later than the list is not in it.
    pub(super) fn policy(&self, target: &Target) -> Option<ResourcePolicy> {
        self.0.get(bearer(target)?.as_str()).map(|kept| kept.policy.clone())
    }

    /// Who owns it: the ARN of a bucket does not say.
    pub(super) fn owner(&self, target: &Target) -> Option<AccountId> {
        self.0.get(bearer(target)?.as_str()).map(|kept| kept.owner)
    }
}

fn compiled(compilation: &Compilation<'_, '_>, arn: &str, text: &str) -> PolicySet {
    let mut set = PolicySet::default();
    let name = format!("the policy of {arn}");
    match compilation.compile(&name, text, DocumentKind::Resource) {
        Some(statements) => set.add(&statements, Layer::Resource, &"resource policy".into(), &arn.into()),
        None => set.broken.push(name),
    }
    set
}

/// The ARN of the resource at which the policy for a target stands: the bucket of an object, the table of an index. None
/// where that resource has no policy that is collected, such as an alias of a function. Sources: Service Authorization
/// Reference, resource types of each service; Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda";
/// Amazon DynamoDB Developer Guide, "Using resource-based policies" (indexes have the table's, streams their own).
fn bearer(target: &Target) -> Option<String> {
    let [partition, service, region, account, rest] = target.parts()?;
    let head = format!("arn:{partition}:{service}:{region}:{account}:");
    match service {
        "s3" if region.is_empty() && account.is_empty() => {
            rest.split('/').next().map(|bucket| format!("{head}{bucket}"))
        }
        "dynamodb" => {
            let mut parts = rest.strip_prefix("table/")?.split('/');
            let table = parts.next()?;
            matches!(parts.next(), None | Some("index")).then(|| format!("{head}table/{table}"))
        }
        // A qualified ARN names a version or an alias, which have policies of their own.
        "lambda" if rest.strip_prefix("function:").is_some_and(|name| !name.contains(':')) => {
            Some(target.as_str().to_owned())
        }
        "ecr" | "secretsmanager" | "sns" | "sqs" => Some(target.as_str().to_owned()),
        // Aliases stand for a key that they do not name.
        "kms" if rest.starts_with("key/") => Some(target.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_stand_at_what_bears_them() {
        for (target, want) in [
            ("arn:aws:s3:::b/folder/key", Some("arn:aws:s3:::b")),
            ("arn:aws:s3:::b", Some("arn:aws:s3:::b")),
            ("arn:aws:s3:eu-west-1:111122223333:accesspoint/x/object/k", None),
            ("arn:aws:dynamodb:r:1:table/t", Some("arn:aws:dynamodb:r:1:table/t")),
            ("arn:aws:dynamodb:r:1:table/t/index/i", Some("arn:aws:dynamodb:r:1:table/t")),
            ("arn:aws:dynamodb:r:1:table/t/stream/2024-01-01T00:00:00.000", None),
            ("arn:aws:lambda:r:1:function:f", Some("arn:aws:lambda:r:1:function:f")),
            ("arn:aws:lambda:r:1:function:f:live", None),
            ("arn:aws-cn:kms:r:1:key/k", Some("arn:aws-cn:kms:r:1:key/k")),
            ("arn:aws:kms:r:1:alias/a", None),
            ("arn:aws:sqs:r:1:q", Some("arn:aws:sqs:r:1:q")),
            ("arn:aws:ec2:r:1:instance/i", None),
            ("*", None),
        ] {
            assert_eq!(bearer(&Target::new(target)).as_deref(), want, "{target}");
        }
    }
}
