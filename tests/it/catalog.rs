//! The catalogue against real logs and against what AWS documents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jitscan::catalog::{CallResource, Catalog, LogClass, Mapped, Need, Provenance, RoleKind};
use jitscan::model::event::CallVariant;

const PAIRS: &str = include_str!("data/event_pairs.tsv");

fn shared() -> Option<PathBuf> {
    let data = std::env::var_os("JITSCAN_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if data.is_dir() {
        return Some(data);
    }
    println!("skipped: {} is absent", data.display());
    None
}

fn variant(version_id: bool, tags: bool, roles: &[(&str, &str)]) -> CallVariant {
    let roles = roles.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
    CallVariant { version_id, tags, roles, refused: String::new() }
}

/// The actions that a call surely exercised, sorted; `none: …` and `unmapped` as they stand.
fn certain(source: &str, name: &str, variant: &CallVariant) -> String {
    let catalog = Catalog::get();
    let mapping = catalog.event(source, name, variant);
    match &mapping.mapped {
        Mapped::None { reason } => format!("none: {reason}"),
        Mapped::Unmapped => "unmapped".to_owned(),
        Mapped::Actions(_) => {
            let names: BTreeSet<String> =
                mapping.certain().map(|action| catalog.action(action.id).unwrap().full_name()).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        }
    }
}

fn plain(source: &str, name: &str) -> String {
    certain(&format!("{source}.amazonaws.com"), name, &CallVariant::default())
}

fn class(source: &str, name: &str) -> (LogClass, Provenance) {
    let variant = CallVariant::default();
    let mapping = Catalog::get().event(&format!("{source}.amazonaws.com"), name, &variant);
    (mapping.class, mapping.provenance)
}

fn expected() -> BTreeMap<(String, String), String> {
    let rows = PAIRS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        ((fields[0].to_owned(), fields[1].to_owned()), fields[2].to_owned())
    });
    rows.collect()
}

#[test]
fn every_pair_of_the_real_logs_maps_as_written_by_hand() {
    let expected = expected();
    assert_eq!(expected.len(), 280);
    let mut wrong = Vec::new();
    for ((source, name), want) in &expected {
        let got = certain(source, name, &CallVariant::default());
        if got != *want {
            wrong.push(format!("{source} {name}: expected {want}, got {got}"));
        }
        let short = source.strip_suffix(".amazonaws.com").unwrap();
        let (class, provenance) = class(short, name);
        if class != LogClass::Management || provenance == Provenance::Assumed {
            wrong.push(format!("{source} {name}: {class:?} {provenance:?}, but it stands in real logs"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_holds_exactly_the_pairs_of_the_logs() {
    let Some(data) = shared() else { return };
    let mut pairs = BTreeSet::new();
    let mut open = vec![data.join("invictus/CloudTrail"), data.join("stratus")];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            open.extend(std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if next.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&next).unwrap()).unwrap();
        let records = document.get("Records").unwrap_or(&document);
        for record in records.as_array().unwrap() {
            let text = |key: &str| record[key].as_str().unwrap().to_owned();
            pairs.insert((text("eventSource"), text("eventName")));
        }
    }
    assert_eq!(pairs, expected().into_keys().collect());
}

#[test]
fn names_that_differ_from_actions() {
    for (source, name, want) in [
        // Amazon S3
        ("s3", "ListObjects", "s3:ListBucket"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("s3", "HeadBucket", "s3:ListBucket"),
        ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
        ("s3", "ListObjectVersions", "s3:ListBucketVersions"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("s3", "GetObject", "s3:GetObject"),
        ("s3", "UploadPart", "s3:PutObject"),
        ("s3", "CreateMultipartUpload", "s3:PutObject"),
        ("s3", "CompleteMultipartUpload", "s3:PutObject"),
        ("s3", "PutObject", "s3:PutObject"),
        ("s3", "CopyObject", "s3:PutObject"),
        ("s3", "ListParts", "s3:ListMultipartUploadParts"),
        ("s3", "ListMultipartUploads", "s3:ListBucketMultipartUploads"),
        ("s3", "AbortMultipartUpload", "s3:AbortMultipartUpload"),
        ("s3", "DeleteBucketCors", "s3:PutBucketCORS"),
        ("s3", "DeleteBucketPolicy", "s3:DeleteBucketPolicy"),
        ("s3", "DeleteBucketWebsite", "s3:DeleteBucketWebsite"),
        ("s3", "DeleteBucketTagging", "s3:PutBucketTagging"),
        ("s3", "DeleteBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("s3", "PutBucketReplication", "s3:PutReplicationConfiguration"),
        ("s3", "DeleteBucketReplication", "s3:PutReplicationConfiguration"),
        ("s3", "DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
        ("s3", "DeleteBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        ("s3", "DeleteAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
        ("s3", "SelectObjectContent", "s3:GetObject"),
        ("s3express", "PutObject", "s3express:CreateSession"),
        ("s3express", "ListDirectoryBuckets", "s3express:ListAllMyDirectoryBuckets"),
        // event source is not the prefix
        ("monitoring", "PutMetricAlarm", "cloudwatch:PutMetricAlarm"),
        ("email", "SendEmail", "ses:SendEmail"),
        ("ses", "SendEmail", "ses:SendEmail"),
        ("models.lex", "PutBot", "lex:PutBot"),
        ("lex", "PutBot", "lex:PutBot"),
        ("tagging", "GetResources", "tag:GetResources"),
        ("elasticfilesystem", "CreateFileSystem", "elasticfilesystem:CreateFileSystem"),
        ("states", "StartExecution", "states:StartExecution"),
        ("ecr", "BatchGetImage", "ecr:BatchGetImage"),
        ("servicecatalog-appregistry", "ListApplications", "servicecatalog:ListApplications"),
        ("sso-directory", "CreateUser", "sso-directory:CreateUser"),
        // version suffixes
        ("lambda", "UpdateFunctionCode20150331v2", "lambda:UpdateFunctionCode"),
        ("lambda", "TagResource20170331v2", "lambda:TagResource"),
        ("lambda", "Invoke", "lambda:InvokeFunction"),
        ("cloudfront", "CreateDistribution2020_05_31", "cloudfront:CreateDistribution"),
        ("cloudfront", "UpdateDistribution", "cloudfront:UpdateDistribution"),
        ("cloudfront", "CreateDistributionWithTags2020_05_31", "cloudfront:CreateDistribution cloudfront:TagResource"),
        // API Gateway's HTTP verbs
        ("apigateway", "CreateRestApi", "apigateway:POST"),
        ("apigateway", "GetRestApis", "apigateway:GET"),
        ("apigateway", "UpdateStage", "apigateway:PATCH"),
        ("apigateway", "PutMethod", "apigateway:PUT"),
        ("apigateway", "DeleteRestApi", "apigateway:DELETE"),
        ("apigateway", "FlushStageCache", "apigateway:DELETE"),
        ("apigateway", "ImportApi", "apigateway:PUT"),
        ("apigateway", "TestInvokeMethod", "apigateway:POST"),
        // compound and batch calls
        ("kms", "ReEncrypt", "kms:ReEncryptFrom kms:ReEncryptTo"),
        ("sqs", "SendMessageBatch", "sqs:SendMessage"),
        ("sqs", "DeleteMessageBatch", "sqs:DeleteMessage"),
        ("sqs", "ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("sns", "PublishBatch", "sns:Publish"),
        ("dynamodb", "TransactGetItems", "dynamodb:GetItem"),
        ("dynamodb", "BatchGetItem", "dynamodb:BatchGetItem"),
        ("bedrock", "Converse", "bedrock:InvokeModel"),
        ("budgets", "CreateBudget", "budgets:ModifyBudget"),
        // none
        ("sts", "GetCallerIdentity", "none: permissionless call"),
        ("sts", "GetSessionToken", "none: permissionless call"),
        ("dynamodb", "DescribeEndpoints", "none: permissionless call"),
        ("signin", "SwitchRole", "none: console sign-in"),
        ("kms", "RotateKey", "none: service event"),
        ("nosuchservice", "DoIt", "unmapped"),
        ("s3", "NoSuchCall", "unmapped"),
    ] {
        assert_eq!(plain(source, name), want, "{source} {name}");
    }
}

#[test]
fn the_request_decides() {
    let s3 = "s3.amazonaws.com";
    for (name, want) in [
        ("HeadObject", "s3:GetObjectVersion"),
        ("GetObject", "s3:GetObjectVersion"),
        ("GetObjectAcl", "s3:GetObjectVersionAcl"),
        ("DeleteObject", "s3:DeleteObjectVersion"),
        ("PutObjectTagging", "s3:PutObjectVersionTagging"),
        ("GetObjectAttributes", "s3:GetObjectVersion s3:GetObjectVersionAttributes"),
        ("PutObject", "s3:PutObject"),
    ] {
        assert_eq!(certain(s3, name, &variant(true, false, &[])), want, "{name}");
    }
    assert_eq!(certain(s3, "PutObject", &variant(false, true, &[])), "s3:PutObject s3:PutObjectTagging");
    let ec2 = "ec2.amazonaws.com";
    assert_eq!(certain(ec2, "RunInstances", &variant(false, true, &[])), "ec2:CreateTags ec2:RunInstances");
    let iam = "iam.amazonaws.com";
    assert_eq!(certain(iam, "CreateRole", &variant(false, true, &[])), "iam:CreateRole iam:TagRole");
}

fn passed(source: &str, name: &str, path: &str, value: &str) -> Option<(String, RoleKind, Need)> {
    let catalog = Catalog::get();
    let variant = variant(false, false, &[(path, value)]);
    let mapping = catalog.event(source, name, &variant);
    let found = mapping.actions().iter().find_map(|action| match &action.on {
        CallResource::Role { value, kind } => Some(((*value).to_owned(), *kind, action.need, action.id)),
        CallResource::Main | CallResource::Named(_) => None,
    });
    found.map(|(value, kind, need, id)| {
        assert_eq!(catalog.action(id).unwrap().full_name(), "iam:PassRole");
        (value, kind, need)
    })
}

#[test]
fn pass_role_rests_on_the_request() {
    let role = "arn:aws:iam::123456789012:role/build";
    let linked = "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS";
    let profile = RoleKind::InstanceProfile;
    for (source, name, path, value, want) in [
        ("lambda", "CreateFunction20150331", "role", role, Some((RoleKind::Role, Need::Always))),
        ("ec2", "RunInstances", "iaminstanceprofile.name", "web", Some((profile, Need::Always))),
        (
            "ec2",
            "RunInstances",
            "iaminstanceprofile.arn",
            "arn:aws:iam::1:instance-profile/web",
            Some((profile, Need::Always)),
        ),
        (
            "ec2",
            "CreateFlowLogs",
            "createflowlogsrequest.deliverlogspermissionarn",
            role,
            Some((RoleKind::Role, Need::Always)),
        ),
        ("ecs", "RegisterTaskDefinition", "taskrolearn", role, Some((RoleKind::Role, Need::Always))),
        ("iam", "AddRoleToInstanceProfile", "rolename", "build", Some((RoleKind::Role, Need::Always))),
        ("rolesanywhere", "CreateProfile", "rolearns", role, Some((RoleKind::Role, Need::Always))),
        ("cloudformation", "CreateStack", "rolearn", role, Some((RoleKind::Role, Need::Always))),
        // an unknown parameter of a call that is known to pass roles: not sure
        ("lambda", "CreateFunction20150331", "something.else", role, Some((RoleKind::Role, Need::Sometimes))),
        ("lambda", "CreateFunction20150331", "something.else", "no arn", None),
        // service-linked roles need no permission to pass; naming a role is not passing it
        ("lambda", "CreateFunction20150331", "role", linked, None),
        ("sts", "AssumeRole", "rolearn", role, None),
        ("iam", "GetRole", "rolename", "build", None),
    ] {
        let got = passed(&format!("{source}.amazonaws.com"), name, path, value);
        assert_eq!(got, want.map(|(kind, need)| (value.to_owned(), kind, need)), "{source} {name} {path}");
    }
}

#[test]
fn logging_classes() {
    use LogClass::{Data, Management, NotLogged, PermissionOnly};
    for (source, name, want) in [
        ("s3", "ListObjects", Data),
        ("s3", "ListObjectVersions", Data),
        ("s3", "HeadBucket", Data),
        ("s3", "ListBuckets", Management),
        ("s3", "PutBucketPolicy", Management),
        ("kms", "Decrypt", Management),
        ("secretsmanager", "GetSecretValue", Management),
        ("bedrock", "InvokeModel", Management),
        ("bedrock", "InvokeAgent", Data),
        ("dynamodb", "GetItem", Data),
        ("dynamodb", "DescribeTable", Management),
        ("lambda", "Invoke", Data),
        ("sqs", "GetQueueUrl", Data),
        ("sns", "Publish", Data),
        ("sagemaker", "InvokeEndpoint", NotLogged),
        ("logs", "PutLogEvents", NotLogged),
    ] {
        assert_eq!(class(source, name), (want, Provenance::Documented), "{source} {name}");
    }
    let catalog = Catalog::get();
    for (action, want) in [
        ("s3:GetObject", Data),
        ("s3:GetObjectVersion", Data),
        ("s3:ListBucket", Data),
        ("s3:ListBucketVersions", Data),
        ("s3:ListAllMyBuckets", Management),
        ("iam:PassRole", PermissionOnly),
        ("s3:BypassGovernanceRetention", PermissionOnly),
        ("execute-api:Invoke", PermissionOnly),
        ("rds-db:connect", PermissionOnly),
        ("iam:CreateUser", Management),
        ("sqs:SendMessage", Data),
        ("ssmmessages:OpenControlChannel", Data),
    ] {
        let found = catalog.action(catalog.find(action).unwrap()).unwrap();
        assert_eq!(found.log_class(), want, "{action}");
        assert_eq!(found.permission_only(), want == PermissionOnly, "{action}");
    }
    let assumed = catalog.action(catalog.find("apprunner:CreateService").unwrap()).unwrap();
    assert_eq!((assumed.log_class(), assumed.provenance()), (Management, Provenance::Assumed));
}

#[test]
fn every_event_is_whole() {
    let catalog = Catalog::get();
    let mut count = 0;
    for (source, name) in catalog.events() {
        let facts = catalog.event_facts(&format!("{source}.amazonaws.com"), name).unwrap();
        assert_eq!(facts.actions.is_empty(), !facts.reason.is_empty(), "{source} {name}: neither or both");
        for fact in &facts.actions {
            assert!(catalog.action(fact.id).is_some(), "{source} {name} maps to an action that does not exist");
        }
        assert_ne!(facts.class, LogClass::PermissionOnly, "{source} {name}");
        count += 1;
    }
    assert!(count > 20_000, "{count}");
}
