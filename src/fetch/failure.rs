//! Why a call did not bring what was asked for, in words that say what to do.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::calls::Call;

/// What kind of failure it is: it decides what is worth doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The caller may not make the call: the claim is narrower, the rest goes on.
    Denied,
    /// The credentials are missing, wrong or at their end: nothing else will work either.
    Credentials,
    /// AWS still refuses for the rate of calls after all retries.
    Throttled,
    /// What was asked for is not there, or the service is not in use.
    Absent,
    /// The service failed, or answered with what is no answer.
    Service,
    /// No answer in time, or no connection.
    Network,
    /// Asked for by mistake: a fault of this program.
    Program,
}

impl FailureKind {
    /// Stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Credentials => "credentials",
            Self::Throttled => "throttled",
            Self::Absent => "absent",
            Self::Service => "service",
            Self::Network => "network",
            Self::Program => "program",
        }
    }
}

/// A call that failed for good. Never holds a request, a header or a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kind.
    pub kind: FailureKind,
    /// Service and operation.
    pub call: String,
    /// The IAM action that the call needs.
    pub action: &'static str,
    /// AWS's code; empty where there is none.
    pub code: String,
    /// What AWS or the connection says, in one line.
    pub message: String,
}

/// Longest message kept, in characters: HTML pages and the like are cut.
const MAX_MESSAGE: usize = 300;

impl Failure {
    /// Whether an organisation policy refuses the call: where it does so in one region of many, the region is closed to
    /// whoever could act there, too. Source: IAM User Guide, "Troubleshoot access denied error messages".
    pub(super) fn is_closed(&self) -> bool {
        self.kind == FailureKind::Denied && self.message.contains("explicit deny in a service control policy")
    }

    /// Whether there is no such address: not every region has every service.
    pub(super) fn is_nowhere(&self) -> bool {
        // The words of hyper-util for a name that does not resolve.
        self.kind == FailureKind::Network && self.message.contains("dns error")
    }

    /// A document of ours that its own reader does not understand.
    #[must_use]
    pub fn unreadable(kind: &str, reason: &str) -> Self {
        let (call, action, code) = (format!("collecting {kind}"), "", String::new());
        Self { kind: FailureKind::Program, call, action, code, message: one_line(reason) }
    }

    /// Work that ended in a panic.
    pub(super) fn panicked() -> Self {
        let message = "a fault of jitscan itself: see the message about a panic".to_owned();
        Self { kind: FailureKind::Program, call: "collect".to_owned(), action: "", code: String::new(), message }
    }

    /// A failure of a kind, for tests of what is made of it.
    #[cfg(test)]
    pub(crate) fn of_kind(call: &Call, kind: FailureKind, message: &str) -> Self {
        Self::new(call, kind, "", message)
    }

    pub(crate) fn new(call: &Call, kind: FailureKind, code: &str, message: &str) -> Self {
        Self {
            kind,
            call: format!("{} {}", call.service, call.operation),
            action: call.action,
            code: code.to_owned(),
            message: one_line(message),
        }
    }

    pub(super) fn of<E>(call: &Call, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(kind) = of_credentials(error) {
            return Self::new(call, kind, "", &chain(error));
        }
        match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                let status = service.raw().status().as_u16();
                let code = meta.code().unwrap_or_default();
                let message = meta.message().unwrap_or_default();
                if code.is_empty() {
                    let said = service.raw().body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
                    let message = format!("HTTP {status}, and no error that can be read: {said}");
                    return Self::new(call, of_status(status), "", &message);
                }
                Self::new(call, of_code(code, status), code, message)
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let message = format!("HTTP {status}, and no answer that can be read: {}", chain(error));
                Self::new(call, FailureKind::Service, "", &message)
            }
            SdkError::TimeoutError(_) => Self::new(call, FailureKind::Network, "", "no answer in time"),
            SdkError::DispatchFailure(_) => Self::new(call, FailureKind::Network, "", &chain(error)),
            other => Self::new(call, FailureKind::Program, "", &chain(other)),
        }
    }
}

/// A text without breaks, cut where it is long.
fn one_line(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// What kind of failure it is that no credentials were to be had; none where that is not the cause. Where becoming a role
/// failed, it is of the kind that this was.
fn of_credentials(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    causes(error).find(|cause| cause.is::<CredentialsError>())?;
    let within = causes(error).find_map(|cause| cause.downcast_ref::<Failure>());
    Some(within.map_or(FailureKind::Credentials, |failure| failure.kind))
}

/// An error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for text in causes(error).map(ToString::to_string) {
        if !said.contains(&text) {
            said.push(text);
        }
    }
    said.join(": ")
}

fn of_status(status: u16) -> FailureKind {
    match status {
        401 | 403 => FailureKind::Denied,
        404 => FailureKind::Absent,
        429 => FailureKind::Throttled,
        _ => FailureKind::Service,
    }
}

/// By AWS's codes. Sources: "Common Errors" of the IAM, Organizations and CloudTrail API references; retryable ones:
/// "Retry behavior", AWS SDKs and Tools Reference Guide.
fn of_code(code: &str, status: u16) -> FailureKind {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "AccessDeniedForDependencyException"
        | "InsufficientEncryptionPolicyException" => FailureKind::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "RequestExpired"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "AuthFailure"
        | "TokenRefreshRequired"
        | "OptInRequired" => FailureKind::Credentials,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "LimitExceededException" => FailureKind::Throttled,
        "NoSuchEntity"
        | "ResourceNotFoundException"
        | "TrailNotFoundException"
        | "AWSOrganizationsNotInUseException"
        | "NoSuchBucket"
        | "PolicyNotFoundException"
        | "NoSuchBucketPolicy"
        | "NotFound"
        | "NotFoundException"
        | "RepositoryNotFoundException"
        | "RepositoryPolicyNotFoundException"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue"
        | "ReportNotPresent"
        | "ReportExpired" => FailureKind::Absent,
        _ => of_status(status),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, call, action, code, message } = self;
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        match kind {
            FailureKind::Denied => write!(f, "{call} is denied{code}: it needs {action}. {message}"),
            FailureKind::Credentials => write!(f, "{call}: the credentials do not work{code}: {message}"),
            FailureKind::Throttled => write!(f, "{call} is throttled{code}, also after retries: {message}"),
            FailureKind::Absent => write!(f, "{call}: not there{code}: {message}"),
            FailureKind::Service => write!(f, "{call}: the service failed{code}: {message}"),
            FailureKind::Network => write!(f, "{call}: no connection: {message}"),
            FailureKind::Program => write!(f, "{call}: {message}"),
        }
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::calls;

    #[test]
    fn codes_decide() {
        for (code, status, want) in [
            ("AccessDenied", 403, FailureKind::Denied),
            ("AccessDeniedException", 400, FailureKind::Denied),
            ("ExpiredToken", 403, FailureKind::Credentials),
            ("Throttling", 400, FailureKind::Throttled),
            ("TooManyRequestsException", 400, FailureKind::Throttled),
            ("NoSuchEntity", 404, FailureKind::Absent),
            ("InternalFailure", 500, FailureKind::Service),
            ("SomethingNew", 403, FailureKind::Denied),
        ] {
            assert_eq!(of_code(code, status), want, "{code}");
        }
    }

    #[test]
    fn missing_credentials_are_known_by_their_error_and_not_by_words() {
        let none = CredentialsError::not_loaded("nothing there");
        assert_eq!(of_credentials(&none), Some(FailureKind::Credentials));
        let storm = Failure::of_kind(&calls::ASSUME_ROLE, FailureKind::Throttled, "x");
        assert_eq!(of_credentials(&CredentialsError::provider_error(storm)), Some(FailureKind::Throttled));
        let host = std::io::Error::other("dns error: identitystore, token, credential");
        assert_eq!(of_credentials(&host), None);
    }

    #[test]
    fn regions_that_an_organisation_policy_closes() {
        let of =
            |kind, message| Failure::new(&calls::LOOKUP_EVENTS, kind, "AccessDeniedException", message).is_closed();
        let text = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: cloudtrail:LookupEvents with an \
                    explicit deny in a service control policy";
        assert!(of(FailureKind::Denied, text) && !of(FailureKind::Service, text));
        assert!(!of(FailureKind::Denied, "User: x is not authorized to perform: cloudtrail:LookupEvents"));
    }

    #[test]
    fn messages_are_one_line_and_short() {
        let page = format!("<html>\n<body>{}</body>", "x".repeat(1000));
        let failure = Failure::new(&calls::LIST_ROOTS, FailureKind::Denied, "AccessDenied", &page);
        let text = failure.to_string();
        assert!(text.starts_with(
            "Organizations ListRoots is denied (AccessDenied): it needs organizations:ListRoots. <html> <body>xx"
        ));
        assert!(text.ends_with('…') && text.len() < 450 && !text.contains('\n'), "{text}");
    }
}
