//! One CloudTrail record, normalised, without any judgement that a later release might make differently:
//! who the principal and the person were and which IAM actions were exercised is decided when facts are read.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// CloudTrail's `eventCategory`; records older than event version 1.07 lack it and are told by `managementEvent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventCategory {
    /// Control-plane calls, sign-ins and service events.
    Management,
    /// Data-plane calls (S3 objects, Lambda invocations, …): logged only where selectors ask for them.
    Data,
    /// Calls through a VPC endpoint, logged for the endpoint's owner.
    NetworkActivity,
    /// CloudTrail Insights: measurements, never a call.
    Insight,
    /// The record does not say, and nothing else tells: it proves nothing of what is recorded.
    Unknown,
}

impl EventCategory {
    /// Stable text used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Data => "data",
            Self::NetworkActivity => "network_activity",
            Self::Insight => "insight",
            Self::Unknown => "unknown",
        }
    }

    /// Every category.
    pub const ALL: [Self; 5] = [Self::Management, Self::Data, Self::NetworkActivity, Self::Insight, Self::Unknown];
}

/// What became of a call. Only [`Outcome::supports_use`] outcomes ever count as use of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No error: the call was authorised and carried out.
    Authorised,
    /// `DryRunOperation`: authorised, deliberately without effect.
    AuthorisedNoEffect,
    /// Refused by authorisation.
    Denied,
    /// Ended before authorisation: throttled, expired or invalid credential.
    NotEvaluated,
    /// Failed after authorisation had passed; only service + error code pairs listed as data.
    FailedAfterAuthorisation,
    /// An error that does not say on which side of authorisation it happened.
    Unknown,
}

impl Outcome {
    /// Every class, in storage order.
    pub const ALL: [Self; 6] = [
        Self::Authorised,
        Self::AuthorisedNoEffect,
        Self::Denied,
        Self::NotEvaluated,
        Self::FailedAfterAuthorisation,
        Self::Unknown,
    ];

    /// Whether the outcome proves that the permission was exercised.
    #[must_use]
    pub const fn supports_use(self) -> bool {
        matches!(self, Self::Authorised | Self::AuthorisedNoEffect | Self::FailedAfterAuthorisation)
    }

    /// Stable text used in storage and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::AuthorisedNoEffect => "authorised_no_effect",
            Self::Denied => "denied",
            Self::NotEvaluated => "not_evaluated",
            Self::FailedAfterAuthorisation => "failed_after_authorisation",
            Self::Unknown => "unknown",
        }
    }

    /// The class that [`Outcome::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// The `userIdentity` of a record, as recorded. Empty text means that the record did not say.
///
/// Source: "CloudTrail userIdentity element", AWS CloudTrail User Guide.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// `IAMUser`, `AssumedRole`, `Root`, `FederatedUser`, `AWSService`, `AWSAccount`, `IdentityCenterUser`,
    /// `SAMLUser`, `WebIdentityUser`, `Directory`, `Role`, `Unknown`, …; empty where the record has none.
    pub kind: String,
    /// Unique id; for sessions `AROA…:session-name`.
    pub principal_id: String,
    /// ARN as recorded; for assumed roles the session ARN (without the role's path).
    pub arn: String,
    /// The account that owns the identity.
    pub account: String,
    /// The access key id that signed the call.
    pub access_key: String,
    /// `userName`: IAM users, root alias, SAML and web identity subjects, Identity Center where still sent.
    pub user_name: String,
    /// The service that made the call with this identity (`invokedBy`).
    pub invoked_by: String,
    /// `sessionContext.sessionIssuer.type`: `Role`, `Root`, `IAMUser`.
    pub issuer_kind: String,
    /// `sessionContext.sessionIssuer.arn`, with the role's path.
    pub issuer_arn: String,
    /// `sessionContext.sessionIssuer.principalId`: the role's unique id (`AROA…`).
    pub issuer_id: String,
    /// `sessionContext.sourceIdentity`.
    pub source_identity: String,
    /// `sessionContext.webIdFederationData.federatedProvider` or `identityProvider`.
    pub provider: String,
    /// `sessionContext.attributes.mfaAuthenticated`.
    pub mfa: Option<bool>,
    /// `sessionContext.attributes.creationDate`: when the credentials were handed out, as RFC 3339 in whole seconds where
    /// it is a time. It is that of the call that handed them out, and stays when the console changes keys.
    pub created: String,
    /// `onBehalfOf.userId`: the Identity Center user behind an AWSReservedSSO session or `credentialId` owner.
    pub on_behalf_of: String,
    /// `onBehalfOf.identityStoreArn`.
    pub identity_store: String,
    /// `sessionContext.assumedRoot`.
    pub assumed_root: bool,
}

/// The path under which [`CallVariant::unknown`] stands among roles; no request parameter is called so.
const UNKNOWN_PATH: &str = "?";

impl CallVariant {
    /// The variant of a call whose request parameters its record's form does not carry: it may be any.
    #[must_use]
    pub fn unknown() -> Self {
        Self { roles: vec![(UNKNOWN_PATH.to_owned(), String::new())], ..Self::default() }
    }

    /// Whether nothing is known of the request.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.roles.as_slice(), [(path, _)] if path == UNKNOWN_PATH)
    }
}

/// What tells calls of one (event source, event name) apart where IAM asks for different actions.
///
/// Deliberately generous and independent of the catalogue: it keeps the facts of the request, the catalogue
/// decides when it is read which of them matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallVariant {
    /// The request named an object version (`versionId`).
    pub version_id: bool,
    /// The request carried tags to be set on what it creates.
    pub tags: bool,
    /// Request parameters whose name speaks of a role or an instance profile, as (lower-case dotted path without
    /// list indices, value), sorted: candidates for `iam:PassRole`, such as (`iaminstanceprofile.arn`, `arn:…`).
    pub roles: Vec<(String, String)>,
    /// Of a denied call the IAM action that was refused, where the error message names it, such as `iam:PassRole`
    /// for a `RunInstances`; empty otherwise.
    pub refused: String,
}

/// A resource that a record names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventResource {
    /// ARN, or the bare name where no ARN can be formed.
    pub arn: String,
    /// `AWS::S3::Bucket` and the like; empty where the record has none.
    pub kind: String,
    /// Owning account; empty where the record has none.
    pub account: String,
}

/// One CloudTrail record, normalised. Texts are as recorded; JSON parts keep their bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `eventID`; none in some hand-made or very old records, which are identified by their content.
    pub id: Option<String>,
    /// `eventTime` (CloudTrail records whole seconds).
    pub time: Timestamp,
    /// `eventSource`, such as `s3.amazonaws.com`.
    pub source: String,
    /// `eventName`.
    pub name: String,
    /// `awsRegion`.
    pub region: String,
    /// Management, data, network activity or Insights.
    pub category: EventCategory,
    /// `eventType`: `AwsApiCall`, `AwsServiceEvent`, `AwsConsoleSignIn`, `AwsConsoleAction`, ….
    pub event_type: String,
    /// `readOnly`.
    pub read_only: Option<bool>,
    /// Who called, as recorded.
    pub identity: Identity,
    /// What tells the call apart.
    pub variant: CallVariant,
    /// The resources named by the record, else formed from its request parameters; the first is the main one.
    pub resources: Vec<EventResource>,
    /// What became of the call.
    pub outcome: Outcome,
    /// `errorCode`.
    pub error_code: String,
    /// `errorMessage`.
    pub error_message: String,
    /// `recipientAccountId`, else the account of the identity.
    pub recipient_account: String,
    /// `sharedEventID`: the copies of one call in several accounts share it.
    pub shared_id: String,
    /// `requestID`.
    pub request_id: String,
    /// `sourceIPAddress`: an address, or a service's name.
    pub source_ip: String,
    /// `userAgent`.
    pub user_agent: String,
    /// `vpcEndpointId`.
    pub vpc_endpoint: String,
    /// `tlsDetails.tlsVersion`.
    pub tls_version: String,
    /// `sessionCredentialFromConsole`.
    pub from_console: bool,
    /// `requestParameters` as JSON text; empty where null.
    pub request: String,
    /// `responseElements` as JSON text; empty where null.
    pub response: String,
    /// `additionalEventData` as JSON text; empty where null.
    pub additional: String,
    /// `serviceEventDetails` as JSON text; empty where null.
    pub service_details: String,
}

impl Event {
    /// Whether the record is an act of an identity at all. Service events, digests of activity and Insights are not.
    #[must_use]
    pub fn is_call(&self) -> bool {
        is_call(self.category, &self.event_type)
    }
}

/// Whether records of a category and `eventType` are acts of an identity: [`Event::is_call`] before there is an event.
#[must_use]
pub fn is_call(category: EventCategory, event_type: &str) -> bool {
    category != EventCategory::Insight && event_type != "AwsServiceEvent"
}
