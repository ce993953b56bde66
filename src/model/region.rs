//! Regions and the partitions that they belong to.

/// The partition that a region belongs to. Source: "Regions and Zones" and the SDKs' partition table.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    for (prefix, partition) in [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ] {
        if region.starts_with(prefix) {
            return partition;
        }
    }
    "aws"
}

/// The regions of a partition that are on in every account, as far as they are few; none for the commercial one, whose
/// regions are counted where coverage is. Source: the SDKs' endpoint table (botocore 1.4x, `endpoints.json`).
#[must_use]
pub fn of_partition(partition: &str) -> Option<&'static [&'static str]> {
    Some(match partition {
        "aws-cn" => &["cn-north-1", "cn-northwest-1"],
        "aws-us-gov" => &["us-gov-east-1", "us-gov-west-1"],
        "aws-iso" => &["us-iso-east-1", "us-iso-west-1"],
        "aws-iso-b" => &["us-isob-east-1", "us-isob-west-1"],
        "aws-iso-e" => &["eu-isoe-west-1"],
        "aws-iso-f" => &["us-isof-east-1", "us-isof-south-1"],
        "aws-eusc" => &["eusc-de-east-1"],
        _ => return None,
    })
}

/// Where IAM of a partition logs, and its other global services but those of [`second_home`]. Source: CloudTrail User
/// Guide, "Global service events"; for the other partitions the region of IAM's endpoint (as above).
#[must_use]
pub fn home(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => "us-east-1",
    }
}

/// Where global services other than IAM have their endpoint in a partition in which that is not IAM's: in China
/// Organizations, Route 53, CloudFront, Budgets, Cost Explorer, Health and Account Management. Source: as above.
#[must_use]
pub fn second_home(partition: &str) -> Option<&'static str> {
    (partition == "aws-cn").then_some("cn-northwest-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_regions_of_their_partition() {
        for name in ["aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"] {
            let regions = of_partition(name).unwrap_or_default();
            assert!(regions.contains(&home(name)), "{name}");
            assert!(regions.iter().all(|region| partition(region) == name), "{name}");
            assert!(second_home(name).is_none_or(|second| regions.contains(&second)), "{name}");
        }
        assert_eq!((partition("eu-west-1"), home("aws"), of_partition("aws")), ("aws", "us-east-1", None));
    }
}
