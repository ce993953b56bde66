//! Policies at resources, as `jitscan collect` writes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries::{insert, parse};
use super::text;
use super::{CollectError, FileKind, unusable};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Parsed};
use crate::model::resource_policy::{
    PolicedResource, PolicyState, ResourcePolicies, ResourceService, ServiceResources,
};
use crate::model::time::Timestamp;

/// Reads one JSON object: `AccountId`, and `Services`, each with the `Service`'s prefix, the `Regions` that were asked and
/// its `Resources`: `Arn`, `Region`, `Policy` (the policy's text, missing where there is none) or `Denied` (true where it
/// may not be read).
///
/// A service or resource that cannot be read, one of another account or service, and a second entry of the same name
/// with other content are defects. Whether a policy's text is a policy is not asked here: who decides by it says so.
///
/// # Errors
/// Fails where the file is not text, is of another kind, names no account or holds no list of services.
pub fn resource_policies(
    bytes: &[u8],
    file: &str,
    captured_at: Timestamp,
) -> Result<Parsed<ResourcePolicies>, CollectError> {
    let decoded = text::decode(bytes, file)?;
    let raw: Raw<'_> = serde_json::from_str(&decoded)
        .map_err(|error| unusable(bytes, file, FileKind::ResourcePolicies, error.to_string()))?;
    let mut reader = Reader { file, text: &decoded, account: raw.account_id, defects: Vec::new() };
    let mut services: BTreeMap<ResourceService, ServiceResources> = BTreeMap::new();
    for (at, entry) in raw.services.iter().enumerate() {
        let place = format!("Services[{at}]");
        let read = reader.service(entry, &place).and_then(|read| insert(&mut services, read.service, read));
        if let Err(reason) = read {
            reader.defect(entry, place, reason);
        }
    }
    let services = services.into_values().collect();
    let value = ResourcePolicies { account: raw.account_id, captured_at, services };
    Ok(Parsed { value, defects: reader.defects })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw<'a> {
    account_id: AccountId,
    #[serde(borrow)]
    services: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawService<'a> {
    service: String,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(borrow)]
    resources: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawResource<'a> {
    arn: Arn,
    #[serde(default)]
    region: String,
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
    #[serde(default)]
    denied: bool,
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    account: AccountId,
    defects: Vec<Defect>,
}

impl Reader<'_> {
    fn defect(&mut self, raw: &RawValue, path: String, reason: String) {
        self.defects.push(text::defect(self.file, self.text, raw, path, reason));
    }

    fn service(&mut self, raw: &RawValue, path: &str) -> Result<ServiceResources, String> {
        let raw: RawService<'_> = parse(raw)?;
        let service = ResourceService::parse(&raw.service).ok_or_else(|| {
            let names = ResourceService::ALL.map(ResourceService::as_str).join(", ");
            format!("`{}` is no service whose resources' policies are read; expected one of {names}", raw.service)
        })?;
        let mut resources: BTreeMap<String, PolicedResource> = BTreeMap::new();
        for (at, entry) in raw.resources.iter().enumerate() {
            let read = self
                .resource(service, entry)
                .and_then(|read| insert(&mut resources, read.arn.as_str().to_owned(), read));
            if let Err(reason) = read {
                self.defect(entry, format!("{path}.Resources[{at}]"), reason);
            }
        }
        let mut regions = raw.regions;
        regions.sort();
        regions.dedup();
        Ok(ServiceResources { service, regions, resources: resources.into_values().collect() })
    }

    fn resource(&self, service: ResourceService, raw: &RawValue) -> Result<PolicedResource, String> {
        let raw: RawResource<'_> = parse(raw)?;
        if raw.arn.service() != service.as_str() {
            return Err(format!("`{}` is no resource of {service}", raw.arn));
        }
        // Buckets name no account.
        if let Some(other) = raw.arn.account().filter(|account| *account != self.account) {
            return Err(format!("`{}` belongs to account {other}, the document to {}", raw.arn, self.account));
        }
        let policy = match (raw.denied, raw.policy) {
            (true, _) => PolicyState::Unread,
            (false, None) => PolicyState::None,
            (false, Some(policy)) if policy.get() == "null" => PolicyState::None,
            (false, Some(policy)) => PolicyState::Text(text::document(policy)),
        };
        Ok(PolicedResource { arn: raw.arn, region: raw.region, policy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed<ResourcePolicies> {
        resource_policies(text.as_bytes(), "f", Timestamp::default()).unwrap()
    }

    #[test]
    fn policies_are_read_with_what_is_known_of_them() {
        let parsed = read(
            r#"{"AccountId":"111122223333","Services":[
            {"Service":"sqs","Regions":["us-east-1","eu-west-1"],"Resources":[
                {"Arn":"arn:aws:sqs:us-east-1:111122223333:b","Region":"us-east-1","Policy":"{\"Statement\":[]}"},
                {"Arn":"arn:aws:sqs:us-east-1:111122223333:a","Region":"us-east-1"}]},
            {"Service":"s3","Resources":[{"Arn":"arn:aws:s3:::x","Region":"eu-west-1","Denied":true}]}]}"#,
        );
        assert!(parsed.defects.is_empty(), "{:?}", parsed.defects);
        let shown: Vec<(&str, Vec<(&str, &PolicyState)>)> = parsed
            .value
            .services
            .iter()
            .map(|of| (of.service.as_str(), of.resources.iter().map(|one| (one.arn.as_str(), &one.policy)).collect()))
            .collect();
        let text = PolicyState::Text(r#"{"Statement":[]}"#.to_owned());
        let want = [
            ("s3", vec![("arn:aws:s3:::x", &PolicyState::Unread)]),
            (
                "sqs",
                vec![
                    ("arn:aws:sqs:us-east-1:111122223333:a", &PolicyState::None),
                    ("arn:aws:sqs:us-east-1:111122223333:b", &text),
                ],
            ),
        ];
        assert_eq!(shown, want);
        assert_eq!(parsed.value.services[1].regions, ["eu-west-1", "us-east-1"]);
    }

    #[test]
    fn what_is_wrong_costs_only_itself() {
        let parsed = read(
            r#"{"AccountId":"111122223333","Services":[{"Service":"ec2","Resources":[]},
            {"Service":"sns","Resources":[{"Arn":"arn:aws:sns:us-east-1:999988887777:t"},{"Arn":"arn:aws:sqs:r:111122223333:q"},
                {"Arn":"x"},{"Arn":"arn:aws:sns:us-east-1:111122223333:t","Policy":"1"},
                {"Arn":"arn:aws:sns:us-east-1:111122223333:t","Policy":"2"}]}]}"#,
        );
        let said: Vec<&str> = parsed.defects.iter().map(|defect| defect.reason.as_str()).collect();
        for (at, part) in [
            "belongs to account 999988887777",
            "is no resource of sns",
            "",
            "listed a second time",
            "`ec2` is no service",
        ]
        .iter()
        .enumerate()
        {
            assert!(said.iter().any(|said| said.contains(part)), "{at} {said:?}");
        }
        assert_eq!((said.len(), parsed.value.services[0].resources.len()), (5, 1), "{said:?}");
    }

    #[test]
    fn other_files_are_told_apart() {
        for (text, said) in [
            ("[]", "expected policies at resources"),
            (r#"{"Services":[]}"#, "missing field `AccountId`"),
            (r#"{"UserDetailList":[]}"#, "this looks like"),
        ] {
            let error = resource_policies(text.as_bytes(), "f", Timestamp::default()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
