//! Records, ordinary and odd, and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::lake::json::Tape;
use crate::model::event::Outcome;

fn event(text: &str) -> Result<Event, String> {
    carrying(text, Carried::WHOLE)
}

fn carrying(text: &str, carried: Carried) -> Result<Event, String> {
    let mut tape = Tape::default();
    tape.parse(text.as_bytes(), usize::MAX).unwrap();
    let identity = tape.root(text).get("userIdentity").map(identity).unwrap_or_default();
    normalise(&Fields::of(tape.root(text)), carried, &|| identity.account.clone())
        .map(|record| record.to_event(identity.clone()))
}

fn with(fields: &str) -> Event {
    event(&format!(
        r#"{{"eventTime":"2024-02-29T23:59:59Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances",{fields}}}"#
    ))
    .unwrap()
}

#[test]
fn times_agree_with_the_general_parser() {
    for text in [
        "1970-01-01T00:00:00Z",
        "2000-02-28T12:30:01Z",
        "2024-02-29T23:59:59Z",
        "2023-12-31T00:00:00Z",
        "2100-03-01T00:00:00Z",
    ] {
        let want: Timestamp = text.parse().unwrap();
        assert!(plain_time(text.as_bytes()).is_none_or(|got| got == want), "{text}");
    }
    assert_eq!(plain_time(b"2023-07-10T11:42:24Z"), "2023-07-10T11:42:24Z".parse().ok());
    assert_eq!(plain_time(b"2023-13-10T11:42:24Z"), None);
}

#[test]
fn times_without_a_zone_are_utc() {
    for text in
        ["2022-09-15 13:45:24", "2022-09-15 13:45:24.000000000", "2022-09-15T13:45:24", "2022-09-15 15:45:24+02:00"]
    {
        let got = event(&format!(r#"{{"eventSource":"s","eventName":"n","eventTime":"{text}"}}"#)).unwrap();
        assert_eq!(got.time.to_string(), "2022-09-15T13:45:24Z", "{text}");
    }
}

#[test]
fn what_cannot_be_placed_says_why() {
    for (text, why) in [
        ("[]", "neither eventSource nor eventName"),
        ("{}", "neither eventSource nor eventName"),
        (r#"{"eventSource":"s3.amazonaws.com"}"#, "no eventName"),
        (r#"{"eventSource":"s","eventName":"n"}"#, "no eventTime"),
        (r#"{"eventSource":"s","eventName":"n","eventTime":null}"#, "no eventTime"),
        (r#"{"eventSource":"s","eventName":"n","eventTime":"today"}"#, "`today` is not a time"),
    ] {
        let got = event(text).unwrap_err();
        assert!(got.contains(why), "{got}");
    }
}

#[test]
fn odd_types_are_tolerated() {
    let got = with(
        r#""userIdentity":null,"requestParameters":"text","responseElements":[1],"resources":null,"readOnly":"true","recipientAccountId":123456789012,"errorMessage":{"a":1},"tlsDetails":null"#,
    );
    assert_eq!(got.identity, Identity::default());
    assert_eq!((got.request.as_str(), got.response.as_str()), ("\"text\"", "[1]"));
    assert_eq!((got.read_only, got.recipient_account.as_str()), (Some(true), "123456789012"));
    assert_eq!((got.error_message.as_str(), got.outcome), (r#"{"a":1}"#, Outcome::Unknown));
    assert_eq!(with(r#""userIdentity":"arn:aws:iam::1:user/x""#).identity.arn, "arn:aws:iam::1:user/x");
    assert_eq!(with(r#""eventID":"""#).id, None);
}

#[test]
fn identities() {
    let got = with(
        r#""userIdentity":{"type":"AssumedRole","principalId":"AROA1:bob","arn":"arn:aws:sts::1:assumed-role/r/bob","accountId":"1","accessKeyId":"ASIA1","invokedBy":"cloudformation.amazonaws.com","onBehalfOf":{"userId":"u-1","identityStoreArn":"arn:aws:identitystore::1:identitystore/d-1"},"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA1","arn":"arn:aws:iam::1:role/p/r"},"attributes":{"mfaAuthenticated":"false"},"sourceIdentity":"bob@example.com","webIdFederationData":{"federatedProvider":"accounts.google.com"},"assumedRoot":"true"}}"#,
    );
    let id = got.identity;
    assert_eq!((id.kind.as_str(), id.issuer_id.as_str(), id.issuer_kind.as_str()), ("AssumedRole", "AROA1", "Role"));
    assert_eq!((id.issuer_arn.as_str(), id.mfa), ("arn:aws:iam::1:role/p/r", Some(false)));
    assert_eq!((id.source_identity.as_str(), id.provider.as_str()), ("bob@example.com", "accounts.google.com"));
    assert_eq!((id.on_behalf_of.as_str(), id.assumed_root), ("u-1", true));
    assert_eq!(got.recipient_account, "1");
}

#[test]
fn what_tells_more_of_an_earlier_call_is_none_of_its_own() {
    for (addendum, want) in [
        (r#"{"reason":"UPDATED_DATA","originalEventID":"e1","updatedFields":"responseElements"}"#, Outcome::Unknown),
        (r#"{"reason":"DELIVERY_DELAY"}"#, Outcome::Authorised),
        (r#"{"reason":"SERVICE_OUTAGE"}"#, Outcome::Authorised),
        ("null", Outcome::Authorised),
        ("7", Outcome::Authorised),
    ] {
        assert_eq!(with(&format!(r#""addendum":{addendum}"#)).outcome, want, "{addendum}");
    }
}

#[test]
fn sign_ins() {
    for (name, answer, want) in [
        ("ConsoleLogin", "Failure", Outcome::NotEvaluated),
        ("ConsoleLogin", "Success", Outcome::Authorised),
        ("SwitchRole", "Failure", Outcome::Denied),
    ] {
        let text = format!(
            r#"{{"eventTime":"2024-01-01T00:00:00Z","eventSource":"signin.amazonaws.com","eventName":"{name}","responseElements":{{"{name}":"{answer}"}}}}"#
        );
        assert_eq!(event(&text).unwrap().outcome, want, "{name} {answer}");
    }
}

#[test]
fn categories() {
    for (fields, want) in [
        (r#""eventCategory":"Data""#, EventCategory::Data),
        (r#""eventCategory":"Management","managementEvent":true"#, EventCategory::Management),
        (r#""managementEvent":false"#, EventCategory::Data),
        (r#""eventType":"AwsApiCall""#, EventCategory::Management),
        (r#""eventType":"AwsVpceEvent","eventCategory":"NetworkActivity""#, EventCategory::NetworkActivity),
        (r#""eventType":"AwsCloudTrailInsight""#, EventCategory::Insight),
    ] {
        assert_eq!(with(fields).category, want, "{fields}");
    }
    let old = r#"{"eventVersion":"1.05","eventTime":"2018-02-01T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::b/k"}]}"#;
    assert_eq!(event(old).unwrap().category, EventCategory::Data);
    let aggregated = event(
        r#"{"eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","eventId":"x","accountId":"1","eventSource":"s3.amazonaws.com","timeWindow":{"windowStart":"2026-01-01T00:00:00Z"}}"#,
    )
    .unwrap();
    assert_eq!((aggregated.category, aggregated.is_call()), (EventCategory::Insight, false));
    assert_eq!((aggregated.id.as_deref(), aggregated.recipient_account.as_str()), (Some("x"), "1"));
}

#[test]
fn categories_that_nobody_says() {
    for (version, source, name, more, carried, want) in [
        ("1.08", "dynamodb", "GetItem", "", Carried::WHOLE, EventCategory::Data),
        ("1.10", "ec2", "RunInstances", "", Carried::WHOLE, EventCategory::Management),
        ("1.08", "made-up", "GetThing", "", Carried::WHOLE, EventCategory::Unknown),
        ("", "made-up", "GetThing", "", Carried::WHOLE, EventCategory::Unknown),
        // Before 1.07 no record said it, and only objects and functions had data events.
        ("1.05", "made-up", "GetThing", "", Carried::WHOLE, EventCategory::Management),
        ("1.05", "dynamodb", "GetItem", "", Carried { category: false, ..Carried::LOSSY }, EventCategory::Data),
        (
            "1.08",
            "signin",
            "ConsoleLogin",
            r#","eventType":"AwsConsoleSignIn""#,
            Carried::LOSSY,
            EventCategory::Management,
        ),
    ] {
        let text = format!(
            r#"{{"eventVersion":"{version}","eventTime":"2024-01-01T00:00:00Z","eventSource":"{source}.amazonaws.com","eventName":"{name}"{more}}}"#
        );
        assert_eq!(carrying(&text, carried).unwrap().category, want, "{version} {source} {name}");
    }
}

#[test]
fn what_a_form_does_not_carry_is_unknown() {
    let no_error = Carried { error_code: false, ..Carried::LOSSY };
    let no_request = Carried { request: false, ..Carried::LOSSY };
    let record = |source: &str, name: &str, more: &str| {
        format!(
            r#"{{"eventTime":"2024-01-01T00:00:00Z","eventSource":"{source}.amazonaws.com","eventName":"{name}"{more}}}"#
        )
    };
    for (source, name, more, carried, want) in [
        ("iam", "CreateUser", "", Carried::LOSSY, Outcome::Authorised),
        ("iam", "CreateUser", "", no_error, Outcome::Unknown),
        ("iam", "CreateUser", r#","errorCode":"AccessDenied""#, no_error, Outcome::Denied),
        ("signin", "ConsoleLogin", r#","responseElements":{"ConsoleLogin":"Success"}"#, no_error, Outcome::Authorised),
        (
            "signin",
            "ConsoleLogin",
            r#","responseElements":{"ConsoleLogin":"Failure"}"#,
            no_error,
            Outcome::NotEvaluated,
        ),
        ("signin", "ConsoleLogin", "", Carried::LOSSY, Outcome::Unknown),
    ] {
        let event = carrying(&record(source, name, more), carried).unwrap();
        assert_eq!(event.outcome, want, "{name} {more}");
        assert_eq!(event.variant, CallVariant::default());
    }
    assert!(carrying(&record("s3", "GetObject", ""), no_request).unwrap().variant.is_unknown());
}

#[test]
fn variants() {
    let got = with(
        r#""requestParameters":{"iamInstanceProfile":{"arn":"arn:aws:iam::1:instance-profile/p"},"tagSpecificationSet":{"items":[{"tags":[{"key":"a"}]}]},"versionId":"v","roleSessionName":"s","assumeRolePolicyDocument":"{\"Version\":1}","x":[{"RoleArn":"arn:aws:iam::1:role/r"},{"RoleArn":"arn:aws:iam::1:role/r"}]}"#,
    );
    let roles = [
        ("iaminstanceprofile.arn".to_owned(), "arn:aws:iam::1:instance-profile/p".to_owned()),
        ("x.rolearn".to_owned(), "arn:aws:iam::1:role/r".to_owned()),
    ];
    assert_eq!(
        got.variant,
        CallVariant { version_id: true, tags: true, roles: roles.to_vec(), refused: String::new() }
    );
    assert_eq!(with(r#""requestParameters":{"tags":[],"versionId":null}"#).variant, CallVariant::default());
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        "(arn:aws:[a-z0-9]{0,6}:(r)?:[0-9]{0,3}:|alias/|https://|:|/)[a-zé:/*]{0,10}".prop_map(Into::into),
    ];
    let keys = prop::sample::select(KEYS.to_vec());
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Names that the normaliser looks for, at any depth.
const KEYS: [&str; 40] = [
    "userIdentity",
    "type",
    "arn",
    "ARN",
    "principalId",
    "sessionContext",
    "sessionIssuer",
    "attributes",
    "onBehalfOf",
    "mfaAuthenticated",
    "resources",
    "accountId",
    "requestParameters",
    "responseElements",
    "bucketName",
    "key",
    "roleArn",
    "roleName",
    "keyId",
    "secretId",
    "queueUrl",
    "names",
    "logGroupName",
    "logStreamName",
    "tableName",
    "instancesSet",
    "items",
    "instanceId",
    "tags",
    "versionId",
    "credentials",
    "accessKeyId",
    "eventCategory",
    "managementEvent",
    "recipientAccountId",
    "awsRegion",
    "tlsDetails",
    "errorCode",
    "insightDetails",
    "ConsoleLogin",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever stands under the names that are known: an event, facts and a segment that reads back the same.
    #[test]
    fn anything_may_stand_anywhere(
        fields in prop::collection::btree_map(prop::sample::select(KEYS.to_vec()), any_json(), 0..12),
        source in prop::sample::select(vec!["s3", "iam", "sts", "kms", "sqs", "ssm", "logs", "ec2", "dynamodb", "signin"]),
        name in prop::sample::select(vec!["AssumeRole", "GetObject", "ConsoleLogin", "RunInstances"]),
    ) {
        let mut record: serde_json::Map<String, serde_json::Value> =
            fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        record.insert("eventSource".to_owned(), format!("{source}.amazonaws.com").into());
        record.insert("eventName".to_owned(), name.into());
        record.insert("eventTime".to_owned(), "2024-01-01T00:00:00Z".into());
        let text = serde_json::Value::Object(record).to_string();
        let event = event(&text).unwrap();
        for resource in &event.resources {
            prop_assert!(resource.arn.starts_with(parent(&resource.arn)));
        }
        let mut tape = Tape::default();
        tape.parse(text.as_bytes(), usize::MAX).unwrap();
        let mut chunk = crate::lake::chunk::Chunk::new(false);
        chunk.add(tape.root(&text), 1, 2, Carried::WHOLE).unwrap();
        let rows: Vec<_> = chunk.rows.iter().collect();
        let folds = crate::lake::fold::ChunkFolds::of(&chunk, &rows);
        prop_assert_eq!(folds.usage_facts.len(), usize::from(event.is_call()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        std::fs::write(&path, crate::lake::table::events_bytes(&chunk, &rows, &path).unwrap()).unwrap();
        let sessions = chunk.identity(0).cloned().into_iter().collect();
        let mut read = Vec::new();
        crate::lake::table::read_events(&path, &sessions, &mut |row| read.push(row)).unwrap();
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!((&read[0].event, read[0].offset, read[0].length), (&event, 1, 2));
        prop_assert_eq!(read[0].session, crate::usage::fold::SessionId::of(&event.identity));
    }
}
