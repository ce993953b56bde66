//! Access to one account: its credentials, its clients, and the pace at which it is asked.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::calls::{self, CALLS, Call};
use super::failure::{Failure, FailureKind};
use super::guard::{Guard, Table};
use super::pace::{Pace, Watch};

/// Longest wait before the second attempt of a call, and between any two: each is chosen at random below a bound that
/// doubles. With the ordinary number of attempts a storm of a minute is sat out.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How sessions in member accounts are called where nothing is changed: what CloudTrail shows of us.
const SESSION_NAME: &str = "jitscan-collect";

/// Our name in user agents: what is changed by us is changed by nobody's code.
const APPLICATION: &str = "jitscan";

/// Where and as whom to begin.
#[derive(Clone, Debug)]
pub struct Start {
    /// Profile of the configuration files; the usual chain where none.
    pub profile: Option<String>,
    /// Region for services that have one; the profile's, else `us-east-1`.
    pub region: Option<String>,
    /// Endpoint of every service, for emulators.
    pub endpoint_url: Option<String>,
    /// Attempts of one call, the first included.
    pub attempts: u32,
    /// Longest wait for one attempt.
    pub attempt_timeout: Duration,
}

/// What is counted of retries, by account, region and service. How often a call is tried again is bounded by its attempts
/// alone, and `pace` slows down: the SDK's budget for retries is shared by all accounts, and its own adaptive mode waits
/// up to twenty seconds before every retry of a throttled service.
#[derive(Debug, Default)]
struct Partitions(Mutex<BTreeMap<(String, String, &'static str), RetryPartition>>);

impl Partitions {
    fn of(&self, account: &str, region: &str, service: &'static str) -> RetryPartition {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || RetryPartition::custom(service).token_bucket(TokenBucket::unlimited()).build();
        known.entry((account.to_owned(), region.to_owned(), service)).or_insert_with(new).clone()
    }
}

/// Access to one account in one region.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    config: SdkConfig,
    /// What may be called, and how our sessions are called.
    table: Table,
    session: &'static str,
    /// Whose calls these are.
    whose: String,
    /// All services stand behind one address, which tells buckets by their path.
    one_endpoint: bool,
    pace: Arc<Pace>,
    partitions: Arc<Partitions>,
}

impl Access {
    /// The caller's own access, by the usual chain of credentials.
    pub(crate) async fn begin(start: &Start) -> Self {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let retries = RetryConfig::standard()
            .with_max_attempts(start.attempts)
            .with_initial_backoff(FIRST_BACKOFF)
            .with_max_backoff(MAX_BACKOFF);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(start.attempt_timeout)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(retries)
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build());
        if let Ok(name) = AppName::new(APPLICATION) {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &start.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &start.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = &start.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let mut config = loader.load().await;
        if config.region().is_none() {
            config = config.into_builder().region(Region::from_static("us-east-1")).build();
        }
        let one_endpoint = start.endpoint_url.is_some();
        Self {
            config,
            table: CALLS,
            session: SESSION_NAME,
            whose: String::new(),
            one_endpoint,
            pace: Arc::default(),
            partitions: Arc::default(),
        }
    }

    /// The same access for other calls, in sessions of another name.
    pub(crate) fn making(mut self, table: Table, session: &'static str) -> Self {
        (self.table, self.session) = (table, session);
        self
    }

    /// The same account's access by another name for the pace.
    pub(crate) fn of_account(mut self, account: &str) -> Self {
        account.clone_into(&mut self.whose);
        self
    }

    /// Access to an account by assuming a role in it; it is assumed again before its credentials end.
    pub(crate) async fn assume(&self, account: &str, role_arn: &str, external: Option<&str>) -> Result<Self, Failure> {
        let become_role = Assume {
            access: self.clone(),
            role_arn: role_arn.to_owned(),
            external: external.map(str::to_owned),
            first: Mutex::default(),
        };
        let first = become_role.credentials().await?;
        *become_role.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(first);
        let config = self
            .config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(become_role))
            // Not the caller's cache: the new credentials must not meet the old ones there.
            .identity_cache(IdentityCache::lazy().build())
            .build();
        Ok(Self { config, whose: account.to_owned(), ..self.clone() })
    }

    /// The same account's access in another region.
    pub(crate) fn at(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(Region::new(region.to_owned())).build();
        Self { config, ..self.clone() }
    }

    /// Whose access it is.
    pub(crate) fn account_id(&self) -> &str {
        &self.whose
    }

    /// The region that is asked where a service has one.
    pub(super) fn region(&self) -> &str {
        self.config.region().map_or("us-east-1", AsRef::as_ref)
    }

    fn watch(&self) -> Watch {
        Watch {
            pace: Arc::clone(&self.pace),
            account: self.whose.clone(),
            region: self.region().to_owned(),
            table: self.table,
        }
    }

    /// Makes a call, at its pace. `run` sends it; it is retried within.
    pub(crate) async fn call<T, E, F>(&self, call: &'static Call, run: impl FnOnce() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.pace.wait(&self.whose, self.region(), call).await;
        tracing::debug!(service = call.service, operation = call.operation, account = self.whose, "call");
        let answer = run().await;
        if answer.is_ok() {
            self.pace.answered(&self.whose, self.region(), call);
        }
        answer.map_err(|error| Failure::of(call, &error))
    }
}

/// Becomes a role whenever credentials are asked for.
#[derive(Debug)]
struct Assume {
    access: Access,
    role_arn: String,
    external: Option<String>,
    /// What was got when it was tried whether it can be done.
    first: Mutex<Option<Credentials>>,
}

impl Assume {
    async fn credentials(&self) -> Result<Credentials, Failure> {
        let client = self.access.sts();
        let call = &calls::ASSUME_ROLE;
        let request = client.assume_role().role_arn(&self.role_arn).role_session_name(self.access.session);
        let request = request.set_external_id(self.external.clone());
        let answer = self.access.call(call, || request.send()).await?;
        let none = || Failure::new(call, FailureKind::Service, "", "the answer holds no credentials");
        let found = answer.credentials().ok_or_else(none)?;
        let ends = SystemTime::try_from(*found.expiration()).ok();
        let token = Some(found.session_token().to_owned());
        Ok(Credentials::new(found.access_key_id(), found.secret_access_key(), token, ends, "jitscan"))
    }
}

impl ProvideCredentials for Assume {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        future::ProvideCredentials::new(async move {
            match first {
                Some(credentials) => Ok(credentials),
                None => self.credentials().await.map_err(CredentialsError::provider_error),
            }
        })
    }
}

macro_rules! clients {
    ($($(#[$about:meta])* $name:ident: $service:ident;)*) => {
        impl Access {
            $($(#[$about])* pub(crate) fn $name(&self) -> $service::Client {
                let retries = self.partitions.of(&self.whose, self.region(), stringify!($name));
                let config = $service::config::Builder::from(&self.config).interceptor(Guard(self.table)).interceptor(self.watch());
                $service::Client::from_conf(config.retry_partition(retries).build())
            })*
        }
    };
}

clients! {
    sts: aws_sdk_sts;
    iam: aws_sdk_iam;
    organizations: aws_sdk_organizations;
    sso_admin: aws_sdk_ssoadmin;
    identity_store: aws_sdk_identitystore;
    cloudtrail: aws_sdk_cloudtrail;
    account: aws_sdk_account;
    access_analyzer: aws_sdk_accessanalyzer;
    dynamodb: aws_sdk_dynamodb;
    ecr: aws_sdk_ecr;
    kms: aws_sdk_kms;
    lambda: aws_sdk_lambda;
    secrets_manager: aws_sdk_secretsmanager;
    sns: aws_sdk_sns;
    sqs: aws_sdk_sqs;
}

impl Access {
    /// S3.
    pub(super) fn s3(&self) -> aws_sdk_s3::Client {
        let retries = self.partitions.of(&self.whose, self.region(), "s3");
        let config =
            aws_sdk_s3::config::Builder::from(&self.config).interceptor(Guard(self.table)).interceptor(self.watch());
        let config = config.retry_partition(retries);
        aws_sdk_s3::Client::from_conf(config.force_path_style(self.one_endpoint).build())
    }
}

/// Does work of which some is under way at once; what comes of it stands in its order. Futures, not what makes them: a
/// closure over borrowed items would not do across threads.
pub(super) async fn in_order<T, F>(work: Vec<F>, at_once: usize) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    stream::iter(work).buffered(at_once).try_collect().await
}

/// Goes on from page to page. A token that comes again would go on for ever.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    token: Option<String>,
    seen: std::collections::BTreeSet<String>,
    begun: bool,
}

impl Pages {
    /// The token to ask the next page with; none at the end. The first page has no token.
    pub(crate) fn next(&mut self) -> Option<Option<String>> {
        if !self.begun {
            self.begun = true;
            return Some(None);
        }
        self.token.take().map(Some)
    }

    /// Notes what a page says of the next one. An empty token is none.
    ///
    /// # Errors
    /// When the token was there before.
    pub(crate) fn after(&mut self, call: &Call, token: Option<&str>) -> Result<(), Failure> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(()) };
        if !self.seen.insert(token.to_owned()) {
            let message = "the pages do not end: a token came twice";
            return Err(Failure::new(call, FailureKind::Service, "", message));
        }
        self.token = Some(token.to_owned());
        Ok(())
    }
}

/// All items of a list, page by page. Services name the next page by a token; IAM (`marked:`) says whether more follows,
/// and then where. The request is made anew for every page.
macro_rules! pages {
    ($access:expr, $call:expr, $request:expr, $items:ident) => {
        pages!(@ $access, $call, $request, $items, set_next_token, page => page.next_token())
    };
    (marked: $access:expr, $call:expr, $request:expr, $items:ident) => {
        pages!(@ $access, $call, $request, $items, set_marker, page => page.marker().filter(|_| page.is_truncated()))
    };
    // S3, Lambda, KMS and DynamoDB each have words of their own.
    (continued: $access:expr, $call:expr, $request:expr, $items:ident) => {
        pages!(@ $access, $call, $request, $items, set_continuation_token, page => page.continuation_token())
    };
    (next_marked: $access:expr, $call:expr, $request:expr, $items:ident) => {
        pages!(@ $access, $call, $request, $items, set_marker, page => page.next_marker())
    };
    (truncated: $access:expr, $call:expr, $request:expr, $items:ident) => {
        pages!(@ $access, $call, $request, $items, set_marker, page => page.next_marker().filter(|_| page.truncated()))
    };
    (tables: $access:expr, $call:expr, $request:expr, $items:ident) => {
        pages!(@ $access, $call, $request, $items, set_exclusive_start_table_name,
            page => page.last_evaluated_table_name())
    };
    (@ $access:expr, $call:expr, $request:expr, $items:ident, $set:ident, $page:ident => $token:expr) => {{
        let (mut all, mut pages) = (Vec::new(), $crate::fetch::access::Pages::default());
        let call: &'static $crate::fetch::calls::Call = $call;
        while let Some(token) = pages.next() {
            let $page = $access.call(call, || $request.$set(token).send()).await?;
            all.extend($page.$items().iter().cloned());
            pages.after(call, $token)?;
        }
        all
    }};
}
pub(crate) use pages;
