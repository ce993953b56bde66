use super::*;
use crate::model::event::CallVariant;

fn names(set: &ActionSet) -> Vec<String> {
    let catalog = Catalog::get();
    set.iter().map(|id| catalog.action(id).unwrap().full_name()).collect()
}

#[test]
fn every_action_is_found_by_its_name_in_any_case() {
    let catalog = Catalog::get();
    assert!(catalog.len() > 20_000, "{}", catalog.len());
    let mut last = None;
    for action in catalog.actions() {
        let full = action.full_name();
        assert_eq!(catalog.find(&full), Some(action.id()), "{full}");
        assert_eq!(catalog.find(&full.to_ascii_uppercase()), Some(action.id()), "{full}");
        let key = (action.prefix().to_owned(), action.name().to_ascii_lowercase());
        assert!(last.as_ref().is_none_or(|before| *before < key), "{full} is out of order");
        assert!(catalog.service(action.prefix()).unwrap().contains(&action.id().0));
        last = Some(key);
    }
    for unknown in ["", ":", "s3", "s3:", ":GetObject", "s3:GetObjec", "s3:GetObjectX", "S4:GetObject"] {
        assert_eq!(catalog.find(unknown), None, "{unknown}");
    }
    assert!(catalog.action(ActionId(catalog.len() as u32)).is_none());
}

#[test]
fn facts_of_an_action() {
    let catalog = Catalog::get();
    let put = catalog.action(catalog.find("S3:putobject").unwrap()).unwrap();
    assert_eq!((put.prefix(), put.name(), put.access()), ("s3", "PutObject", AccessLevel::Write));
    assert!(put.resource_types().any(|(name, _)| name == "object"));
    assert!(put.condition_keys().any(|key| key == "s3:x-amz-acl"));
    let run = catalog.action(catalog.find("ec2:RunInstances").unwrap()).unwrap();
    assert!(run.dependent_actions().any(|id| catalog.action(id).unwrap().full_name() == "iam:PassRole"));
    assert!(run.resource_types().any(|(name, required)| name == "instance" && required));
    let key = catalog.action(catalog.find("iam:CreateAccessKey").unwrap()).unwrap();
    assert!(key.has_risk(Risk::CredentialExposure));
    let buckets = catalog.resource_types("S3");
    let bucket = buckets.iter().find(|kind| kind.name == "bucket").unwrap();
    assert_eq!(bucket.arns, ["arn:${Partition}:s3:::${BucketName}"]);
    assert!(catalog.services().any(|s| s.prefix == "iam" && s.home_region == Some("us-east-1")));
    assert!(catalog.services().any(|s| s.prefix == "ec2" && s.home_region.is_none() && s.name == "Amazon EC2"));
}

#[test]
fn patterns_name_the_same_actions_as_a_scan_over_all_of_them() {
    let catalog = Catalog::get();
    for pattern in [
        "*",
        "*:*",
        "s3:Get*",
        "S3:GET*",
        "ec2:Describe?ags",
        "s3*:GetObject",
        "?am:*Role",
        "iam:PassRole",
        "ec2:*s",
        "x:*",
        "s3:",
        "s3",
    ] {
        let glob = Glob::new(pattern);
        let want: Vec<String> =
            catalog.actions().map(|action| action.full_name()).filter(|name| glob.matches(name)).collect();
        assert_eq!(names(&catalog.actions_matching(pattern)), want, "{pattern}");
    }
    assert_eq!(catalog.actions_matching("*").len(), catalog.len());
    assert_eq!(names(&catalog.actions_matching("ec2:Describe?ags")), ["ec2:DescribeTags"]);
}

#[test]
fn damaged_data_is_an_error() {
    assert!(matches!(Catalog::open(b"no zstd"), Err(TablesError::Compression(_))));
    assert!(Catalog::open(EMBEDDED).is_ok());
    assert!(Catalog::open(&EMBEDDED[..EMBEDDED.len() / 2]).is_err());
}

#[test]
fn partitions_and_suffixes_reach_the_same_event() {
    let catalog = Catalog::get();
    let variant = CallVariant::default();
    let create = catalog.event("lambda.amazonaws.com", "CreateFunction", &variant);
    assert!(create.certain().any(|action| Some(action.id) == catalog.find("lambda:CreateFunction")));
    assert_eq!(catalog.event("lambda.amazonaws.com", "CreateFunction20150331", &variant), create);
    assert_eq!(catalog.event("lambda.amazonaws.com.cn", "CreateFunction20150331v2", &variant), create);
    assert_eq!(catalog.event("nosuch.amazonaws.com", "X", &variant).mapped, Mapped::Unmapped);
}

/// The third-party tables, where this machine has them.
fn sources() -> Option<build::Sources> {
    let data = std::env::var_os("JITSCAN_SHARED_DATA")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), Into::into);
    if data.is_dir() {
        return Some(build::Sources::read(&data).unwrap());
    }
    println!("skipped: {} is absent", data.display());
    None
}

#[test]
fn rebuilding_gives_the_embedded_bytes() {
    let Some(sources) = sources() else { return };
    let built = build::build(&sources, &build::Curated::embedded().unwrap()).unwrap();
    assert!(built.compressed == EMBEDDED, "the curated files or tables changed: run `make catalog`");
    assert_eq!(built.disagreements, include_str!("data/disagreements.tsv"));
    assert_eq!(built.unmapped, include_str!("data/unmapped.tsv"));
}

#[test]
fn a_mapping_to_an_action_that_does_not_exist_fails_the_build() {
    let Some(sources) = sources() else { return };
    let mut curated = build::Curated::embedded().unwrap();
    // The public maps' well-known mistake.
    curated.map_event("s3", "PutBucketReplication", "s3:PutBucketReplication").unwrap();
    let error = build::build(&sources, &curated).unwrap_err();
    assert!(error.to_string().contains("s3:PutBucketReplication"), "{error}");
    assert!(curated.map_event("s3", "X", "s3:GetObject?sometimes").is_err());
    assert!(curated.map_event("s3", "X", "GetObject").is_err());
}

#[test]
fn a_request_that_is_not_known_may_be_any() {
    let catalog = Catalog::get();
    let unknown = CallVariant::unknown();
    let needs = |source: &str, name: &str| {
        let mapping = catalog.event(source, name, &unknown);
        let named = mapping.actions().iter().map(|m| (catalog.action(m.id).unwrap().full_name(), m.need));
        named.collect::<Vec<_>>()
    };
    let object = needs("s3.amazonaws.com", "GetObject");
    for action in ["s3:GetObject", "s3:GetObjectVersion"] {
        assert!(object.contains(&(action.to_owned(), Need::Sometimes)), "{object:?}");
    }
    let instances = needs("ec2.amazonaws.com", "RunInstances");
    for (action, need) in
        [("ec2:RunInstances", Need::Always), ("iam:PassRole", Need::Sometimes), ("ec2:CreateTags", Need::Sometimes)]
    {
        assert!(instances.contains(&(action.to_owned(), need)), "{instances:?}");
    }
}
