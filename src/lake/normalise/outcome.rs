//! Which class of outcome a record's error belongs to, as data.
//!
//! The classes keep apart what proves that a permission was held and exercised from what proves nothing. A code
//! that stands in no table is [`Outcome::Unknown`]: it supports neither use nor non-use.

use crate::model::event::Outcome;

/// Refused by authorisation. Sources: "Common errors" of the AWS API references; EC2 API reference, "Error codes"
/// (`UnauthorizedOperation`); SNS API reference (`AuthorizationError`); CloudTrail user guide, "Network activity
/// events" (`VpceAccessDenied`).
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AccessDeniedFault",
    "AuthorizationError",
    "AuthorizationErrorException",
    "Forbidden",
    "ForbiddenException",
    "NotAuthorized",
    "Unauthorized",
    "UnauthorizedAccess",
    "UnauthorizedException",
    "UnauthorizedOperation",
    "VpceAccessDenied",
];

/// Services in which a code of [`DENIED`] says something else: Cognito answers a wrong password so.
const NOT_DENIED: &[(&str, &str)] = &[("cognito-idp.amazonaws.com", "NotAuthorizedException")];

/// Services that refuse with a code that elsewhere speaks of a credential.
const DENIED_BY_SERVICE: &[(&str, &str)] = &[
    ("cloudtrail.amazonaws.com", "InsufficientDependencyServiceAccessPermissionException"),
    ("cognito-identity.amazonaws.com", "NotAuthorizedException"),
    ("lakeformation.amazonaws.com", "PermissionTypeMismatchException"),
];

/// Ended before authorisation: throttles, expired or invalid credentials, accounts that are not signed up.
/// `AuthFailure` (EC2) is left out: EC2 documents it for both credentials and permissions.
const NOT_EVALUATED: &[&str] = &[
    "BandwidthLimitExceeded",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotSignedUp",
    "OptInRequired",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RateExceeded",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "SlowDown",
    "SubscriptionRequiredException",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TokenRefreshRequired",
    "TooManyRequests",
    "TooManyRequestsException",
    "UnrecognizedClientException",
];

/// Failed after authorisation had passed: the answer tells something that only an authorised caller is told.
/// Short on purpose. S3 answers 403 to whoever may not read a subresource, whether it is configured or not (S3
/// API reference, "Error responses", and `GetObject` on 403 against 404); IAM decides on the ARN formed from the
/// name before it looks the name up; a failed DynamoDB condition was evaluated against the item.
const FAILED_AFTER: &[(&str, &str)] = &[
    ("dynamodb.amazonaws.com", "ConditionalCheckFailedException"),
    ("iam.amazonaws.com", "DeleteConflict"),
    ("iam.amazonaws.com", "DeleteConflictException"),
    ("iam.amazonaws.com", "EntityAlreadyExists"),
    ("iam.amazonaws.com", "EntityAlreadyExistsException"),
    ("iam.amazonaws.com", "EntityTemporarilyUnmodifiable"),
    ("iam.amazonaws.com", "EntityTemporarilyUnmodifiableException"),
    ("iam.amazonaws.com", "NoSuchEntity"),
    ("iam.amazonaws.com", "NoSuchEntityException"),
    ("s3.amazonaws.com", "BucketNotEmpty"),
    ("s3.amazonaws.com", "NoSuchBucketPolicy"),
    ("s3.amazonaws.com", "NoSuchCORSConfiguration"),
    ("s3.amazonaws.com", "NoSuchConfiguration"),
    ("s3.amazonaws.com", "NoSuchKey"),
    ("s3.amazonaws.com", "NoSuchLifecycleConfiguration"),
    ("s3.amazonaws.com", "NoSuchPublicAccessBlockConfiguration"),
    ("s3.amazonaws.com", "NoSuchTagSet"),
    ("s3.amazonaws.com", "NoSuchTagSetError"),
    ("s3.amazonaws.com", "NoSuchVersion"),
    ("s3.amazonaws.com", "NoSuchWebsiteConfiguration"),
    ("s3.amazonaws.com", "ObjectLockConfigurationNotFoundError"),
    ("s3.amazonaws.com", "OwnershipControlsNotFoundError"),
    ("s3.amazonaws.com", "ReplicationConfigurationNotFoundError"),
    ("s3.amazonaws.com", "ServerSideEncryptionConfigurationNotFoundError"),
];

/// The class of a record, from its source, error code and message, and what a sign-in event says in its
/// `responseElements` (sign-in failures carry no error code).
pub(crate) fn classify(source: &str, name: &str, code: &str, message: &str, sign_in: Option<&str>) -> Outcome {
    if sign_in == Some("Failure") {
        // A refused sign-in is a credential that did not hold: nobody asked what it would have been allowed.
        // A refused change of role was asked, and denied.
        return if name == "SwitchRole" { Outcome::Denied } else { Outcome::NotEvaluated };
    }
    if code.is_empty() {
        return if message.is_empty() || sign_in == Some("Success") { Outcome::Authorised } else { Outcome::Unknown };
    }
    // EC2 prefixes its codes with whose fault it was.
    let bare = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    let pair = |table: &[(&str, &str)]| table.contains(&(source, bare));
    if bare == "DryRunOperation" {
        Outcome::AuthorisedNoEffect
    } else if pair(NOT_DENIED) {
        Outcome::Unknown
    } else if DENIED.contains(&bare) || pair(DENIED_BY_SERVICE) {
        Outcome::Denied
    } else if NOT_EVALUATED.contains(&bare) {
        Outcome::NotEvaluated
    } else if pair(FAILED_AFTER) {
        Outcome::FailedAfterAuthorisation
    } else {
        Outcome::Unknown
    }
}

/// The IAM action that an access-denied message says was refused: `… is not authorized to perform: iam:PassRole on
/// resource: …`. Source: IAM User Guide, "Troubleshoot access denied error messages".
pub(crate) fn refused(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("perform: ")?;
    let action = rest.split_whitespace().next()?.trim_end_matches([',', '.', ';']);
    let (prefix, name) = action.split_once(':')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain(prefix) && plain(name)).then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (source, code, message, login, want) in [
            ("s3.amazonaws.com", "", "", None, Outcome::Authorised),
            ("s3.amazonaws.com", "AccessDenied", "Access Denied", None, Outcome::Denied),
            ("s3.amazonaws.com", "NoSuchBucketPolicy", "", None, Outcome::FailedAfterAuthorisation),
            ("sqs.amazonaws.com", "NoSuchBucketPolicy", "", None, Outcome::Unknown),
            ("ec2.amazonaws.com", "Client.UnauthorizedOperation", "", None, Outcome::Denied),
            ("ec2.amazonaws.com", "Client.DryRunOperation", "", None, Outcome::AuthorisedNoEffect),
            ("ec2.amazonaws.com", "DryRunOperation", "", None, Outcome::AuthorisedNoEffect),
            ("ec2.amazonaws.com", "Client.RequestLimitExceeded", "", None, Outcome::NotEvaluated),
            ("ec2.amazonaws.com", "Client.InvalidVolume.NotFound", "", None, Outcome::Unknown),
            ("ec2.amazonaws.com", "Client.AuthFailure", "", None, Outcome::Unknown),
            ("iam.amazonaws.com", "NoSuchEntityException", "", None, Outcome::FailedAfterAuthorisation),
            ("sts.amazonaws.com", "ExpiredToken", "", None, Outcome::NotEvaluated),
            ("cognito-idp.amazonaws.com", "NotAuthorizedException", "", None, Outcome::Unknown),
            ("signin.amazonaws.com", "", "Failed authentication", Some("Failure"), Outcome::NotEvaluated),
            ("signin.amazonaws.com", "", "", Some("Failure"), Outcome::NotEvaluated),
            ("signin.amazonaws.com", "", "", Some("Success"), Outcome::Authorised),
            ("x.amazonaws.com", "", "something went wrong", None, Outcome::Unknown),
        ] {
            assert_eq!(classify(source, "ConsoleLogin", code, message, login), want, "{source} {code}");
        }
    }

    #[test]
    fn refused_actions() {
        for (message, want) in [
            (
                "User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: arn:x",
                Some("iam:PassRole"),
            ),
            ("User: a is not authorized to perform: s3:ListBucket with an explicit deny", Some("s3:ListBucket")),
            ("You are not authorized to perform this operation. Encoded authorization failure message: x", None),
            ("is not authorized to perform: everything", None),
            ("Access Denied", None),
        ] {
            assert_eq!(refused(message), want, "{message}");
        }
    }

    #[test]
    fn tables_are_sorted_and_disjoint() {
        assert!(DENIED.is_sorted() && NOT_EVALUATED.is_sorted() && FAILED_AFTER.is_sorted());
        assert!(DENIED.iter().all(|code| !NOT_EVALUATED.contains(code)));
        assert!(FAILED_AFTER.iter().all(|(_, code)| !NOT_EVALUATED.contains(code) && !DENIED.contains(code)));
    }
}
