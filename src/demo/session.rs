//! Sessions: how credentials come about, step by step, each step leaving the record that CloudTrail would have.
//!
//! A chain is written `STEP > STEP`, the first step being one of
//! `sso:PERSON:SET:ACCOUNT`, `user:ACCOUNT:NAME`, `former:ACCOUNT:NAME` (the deleted user of that name),
//! `console:ACCOUNT:NAME`, `service:SERVICE:ACCOUNT:ROLE:SESSION`, `oidc:ACCOUNT:ROLE:SUBJECT:RUN`,
//! `external:ACCOUNT-ID:ACCOUNT:ROLE:SESSION`, and every further one `role:ACCOUNT:ROLE:SESSION[:SOURCE-IDENTITY]`.

use serde_json::{Map, Value, json};

use super::DemoError;
use super::emit::{Emitter, Parts, Session, role_id};
use super::rng::{long_term_key, named_address, named_alnum, named_hex, unique_id};
use super::world::user_id;
use crate::model::time::Timestamp;

const CLI: &str = "aws-cli/2.31.7 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.7 cfg/retry-mode#standard md/command#session";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
const SDK: &str = "Boto3/1.40.45 md/Botocore#1.40.45 ua/2.1 os/linux#6.1 md/arch#aarch64 lang/python#3.13.7";

/// Life of a session that Identity Center opens: the shortest of the permission sets allows four hours.
const SSO_SECONDS: i64 = 14_400;
/// Life of any other session; role chaining allows no more.
const ROLE_SECONDS: i64 = 3_600;

/// The new session of a role, before it has called anything.
#[derive(Debug)]
struct Issued {
    key: String,
    /// `AROA…:name`.
    assumed_id: String,
    session_arn: String,
    issuer: Value,
}

impl Emitter<'_> {
    /// Opens a chain of sessions; returns the last and the time at which it can be used.
    pub fn open(&mut self, chain: &str, time: Timestamp, region: &str) -> Result<(Session, Timestamp), DemoError> {
        let mut steps = chain.split(" > ");
        let mut session = self.start(steps.next().unwrap_or(""), time, region)?;
        let mut at = time.plus_seconds(2);
        for step in steps {
            session = self.assume(&session, step, at, region)?;
            at = at.plus_seconds(2);
        }
        Ok((session, at))
    }

    fn start(&mut self, step: &str, time: Timestamp, region: &str) -> Result<Session, DemoError> {
        let mut words = step.splitn(5, ':');
        let mut word = || words.next().unwrap_or("");
        match word() {
            "sso" => {
                let (person, set, account) = (word(), word(), word());
                self.sign_in(person, set, account, time)
            }
            "user" => self.user(word(), word(), false),
            "former" => self.user(word(), word(), true),
            "console" => self.console(word(), word(), time),
            "service" => {
                let (service, account, role, name) = (word(), word(), word(), word());
                let service = format!("{service}.amazonaws.com");
                self.by_service(&service, account, role, name, time, region)
            }
            "oidc" => {
                let (account, role) = (word(), word());
                let subject = step.splitn(4, ':').nth(3).unwrap_or("");
                self.by_pipeline(account, role, subject, time, region)
            }
            "external" => {
                let (vendor, account, role, name) = (word(), word(), word(), word());
                self.by_vendor(vendor, account, role, name, time, region)
            }
            _ => Err(DemoError::unknown("session", step)),
        }
    }

    fn issue(&mut self, account: &str, role: &str, path: &str, name: &str) -> Result<Issued, DemoError> {
        let id = role_id(account, role);
        let account_id = self.world.account(account)?;
        Ok(Issued {
            key: self.rng.access_key(),
            assumed_id: format!("{id}:{name}"),
            session_arn: format!("arn:aws:sts::{account_id}:assumed-role/{role}/{name}"),
            issuer: json!({
                "type": "Role", "principalId": id, "arn": format!("arn:aws:iam::{account_id}:role{path}{role}"),
                "accountId": account_id, "userName": role,
            }),
        })
    }

    fn response(&mut self, issued: &Issued, time: Timestamp, seconds: i64) -> Value {
        json!({
            "credentials": {
                "accessKeyId": issued.key,
                "sessionToken": self.rng.alnum(64),
                "expiration": time.plus_seconds(seconds),
            },
            "assumedRoleUser": {"assumedRoleId": issued.assumed_id, "arn": issued.session_arn},
        })
    }

    fn role_session(&mut self, account: &str, issued: &Issued, time: Timestamp) -> Session {
        let holder = issued.issuer.get("arn").and_then(Value::as_str).unwrap_or("").to_owned();
        let name = issued.assumed_id.split(':').nth(1).unwrap_or("").to_owned();
        let mut identity = Map::new();
        identity.insert("type".to_owned(), json!("AssumedRole"));
        identity.insert("principalId".to_owned(), json!(issued.assumed_id));
        identity.insert("arn".to_owned(), json!(issued.session_arn));
        identity.insert("accountId".to_owned(), issued.issuer.get("accountId").cloned().unwrap_or(Value::Null));
        identity.insert("accessKeyId".to_owned(), json!(issued.key));
        identity.insert(
            "sessionContext".to_owned(),
            json!({
                "sessionIssuer": issued.issuer,
                "attributes": {"creationDate": time, "mfaAuthenticated": "false"},
            }),
        );
        self.see(&holder, time, "us-east-1", "sts");
        Session {
            account: account.to_owned(),
            identity,
            arn: issued.session_arn.clone(),
            address: named_address(&format!("{account} {name}")),
            holder,
            name,
            agent: SDK.to_owned(),
            service: None,
            console: false,
        }
    }

    /// Signs a person in through Identity Center: `AssumeRoleWithSAML` in the account's own logs.
    fn sign_in(&mut self, user: &str, set: &str, account: &str, time: Timestamp) -> Result<Session, DemoError> {
        let store_user = self.world.person(user)?.store_id();
        let role = self.world.set(set)?.role_name(account);
        let path = "/aws-reserved/sso.amazonaws.com/";
        let issued = self.issue(account, &role, path, user)?;
        let account_id = self.world.account(account)?.to_owned();
        let provider = format!("{}=", named_alnum(&format!("sso provider {account}"), 27));
        let identity = json!({
            "type": "SAMLUser", "principalId": format!("{provider}:{user}"), "userName": user, "identityProvider": provider,
        });
        let mut response = self.response(&issued, time, SSO_SECONDS);
        if let Value::Object(fields) = &mut response {
            for (name, value) in [
                ("subjectType", json!("persistent")),
                ("issuer", json!("https://portal.sso.us-east-1.amazonaws.com/saml/assertion")),
                ("nameQualifier", json!(provider)),
                ("subject", json!(user)),
                ("audience", json!("https://signin.aws.amazon.com/saml")),
            ] {
                fields.insert(name.to_owned(), value);
            }
        }
        let role_arn = format!("arn:aws:iam::{account_id}:role{path}{role}");
        let saml = format!("arn:aws:iam::{account_id}:saml-provider/AWSSSO_{}_DO_NOT_DELETE", named_hex(account, 16));
        let parts = Parts {
            request: json!({
                "sAMLAssertionID": format!("_{}", self.rng.uuid()), "roleSessionName": user,
                "durationSeconds": SSO_SECONDS, "roleArn": role_arn, "principalArn": saml,
            }),
            response,
            resources: json!([
                {"accountId": account_id, "type": "AWS::IAM::Role", "ARN": role_arn},
                {"accountId": account_id, "type": "AWS::IAM::SAMLProvider", "ARN": saml},
            ]),
            ..sts("AssumeRoleWithSAML", "us-east-1")
        };
        let address = named_address(&format!("person {user}"));
        self.record(account, as_map(identity), (&address, "aws-internal/3 sso"), time, parts, false)?;
        let mut session = self.role_session(account, &issued, time);
        // Newer records name the Identity Center user; older ones of the same organisation do not.
        if time.day().0 % 2 == 0 {
            let management = self.world.account(&self.world.org.management)?;
            let store = format!("arn:aws:identitystore::{management}:identitystore/{}", self.world.center.store);
            session.identity.insert("onBehalfOf".to_owned(), json!({"userId": store_user, "identityStoreArn": store}));
        }
        session.address = address;
        session.agent = CLI.to_owned();
        Ok(session)
    }

    /// An IAM user with a long-term key.
    fn user(&mut self, account: &str, name: &str, former: bool) -> Result<Session, DemoError> {
        let account_id = self.world.account(account)?.to_owned();
        if !former {
            self.world.user(account, name)?;
        }
        let id = user_id(account, name, former);
        let arn = format!("arn:aws:iam::{account_id}:user/{name}");
        let identity = json!({
            "type": "IAMUser", "principalId": id, "arn": arn, "accountId": account_id,
            "accessKeyId": long_term_key(&id), "userName": name,
        });
        Ok(Session {
            account: account.to_owned(),
            identity: as_map(identity),
            // A deleted user's activity says nothing about the user who has its name now.
            holder: if former { format!("{arn} (deleted)") } else { arn.clone() },
            arn,
            name: name.to_owned(),
            address: named_address(&format!("user {name}")),
            agent: CLI.to_owned(),
            service: None,
            console: false,
        })
    }

    /// An IAM user at the console: a sign-in without MFA, then temporary credentials that no STS call issued.
    fn console(&mut self, account: &str, name: &str, time: Timestamp) -> Result<Session, DemoError> {
        let mut session = self.user(account, name, false)?;
        session.identity.remove("accessKeyId");
        let mfa = self.world.user(account, name)?.password.as_ref().is_some_and(|password| password.mfa);
        let parts = Parts {
            source: "signin.amazonaws.com".to_owned(),
            name: "ConsoleLogin".to_owned(),
            region: "us-east-1".to_owned(),
            response: json!({"ConsoleLogin": "Success"}),
            extra: json!({
                "LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No",
                "MFAUsed": if mfa { "Yes" } else { "No" },
            }),
            event_type: "AwsConsoleSignIn",
            ..Parts::default()
        };
        let address = session.address.clone();
        self.record(account, session.identity.clone(), (&address, BROWSER), time, parts, false)?;
        self.see(&format!("password {}", session.arn), time, "us-east-1", "signin");
        let key = self.rng.access_key();
        session.identity.insert("accessKeyId".to_owned(), json!(key));
        session.identity.insert(
            "sessionContext".to_owned(),
            json!({"attributes": {"creationDate": time, "mfaAuthenticated": if mfa { "true" } else { "false" }}}),
        );
        session.agent = BROWSER.to_owned();
        session.console = true;
        Ok(session)
    }

    /// A service takes its role.
    fn by_service(
        &mut self,
        service: &str,
        account: &str,
        role: &str,
        name: &str,
        time: Timestamp,
        region: &str,
    ) -> Result<Session, DemoError> {
        let path = self.world.role(account, role)?.path.clone();
        let name = if name == "{id32}" { self.rng.hex(32) } else { name.to_owned() };
        let issued = self.issue(account, role, &path, &name)?;
        let mut parts = Parts { from_service: true, ..self.assume_parts(&issued, &name, None, time, region) };
        parts.shared = Some(self.rng.uuid());
        let identity = as_map(json!({"type": "AWSService", "invokedBy": service}));
        self.record(account, identity, (service, service), time, parts, false)?;
        let mut session = self.role_session(account, &issued, time);
        if path.starts_with("/aws-service-role/") {
            session.service = Some(service.to_owned());
        }
        Ok(session)
    }

    /// A pipeline run takes a role by web identity; `subject` ends in the run's number.
    fn by_pipeline(
        &mut self,
        account: &str,
        role: &str,
        subject: &str,
        time: Timestamp,
        region: &str,
    ) -> Result<Session, DemoError> {
        let account_id = self.world.account(account)?.to_owned();
        let (subject, run) = subject.rsplit_once(':').unwrap_or((subject, "0"));
        let name = format!("gha-{run}");
        let issued = self.issue(account, role, "/", &name)?;
        let provider = format!("arn:aws:iam::{account_id}:oidc-provider/token.actions.githubusercontent.com");
        let mut parts = Parts {
            name: "AssumeRoleWithWebIdentity".to_owned(),
            ..self.assume_parts(&issued, &name, None, time, region)
        };
        if let Value::Object(fields) = &mut parts.response {
            fields.insert("subjectFromWebIdentityToken".to_owned(), json!(subject));
            fields.insert("audience".to_owned(), json!("sts.amazonaws.com"));
            fields.insert("provider".to_owned(), json!(provider));
        }
        let identity = json!({
            "type": "WebIdentityUser", "principalId": format!("{provider}:sts.amazonaws.com:{subject}"),
            "userName": subject, "identityProvider": provider,
        });
        let address = named_address("pipeline runner");
        self.record(account, as_map(identity), (&address, SDK), time, parts, false)?;
        let mut session = self.role_session(account, &issued, time);
        if let Some(Value::Object(context)) = session.identity.get_mut("sessionContext") {
            context.insert("webIdFederationData".to_owned(), json!({"federatedProvider": provider, "attributes": {}}));
        }
        session.address = address;
        Ok(session)
    }

    /// A supplier's account takes a role: only our copy of the call exists.
    fn by_vendor(
        &mut self,
        vendor: &str,
        account: &str,
        role: &str,
        name: &str,
        time: Timestamp,
        region: &str,
    ) -> Result<Session, DemoError> {
        let issued = self.issue(account, role, "/", name)?;
        let mut parts = self.assume_parts(&issued, name, Some("vm-4471-lantern"), time, region);
        parts.shared = Some(self.rng.uuid());
        let caller = format!("{}:collector", unique_id("AROA", vendor));
        let identity = as_map(json!({"type": "AWSAccount", "principalId": caller, "accountId": vendor}));
        let address = named_address(vendor);
        self.record(account, identity, (&address, SDK), time, parts, false)?;
        let mut session = self.role_session(account, &issued, time);
        session.address = address;
        Ok(session)
    }

    /// A session takes a further role. Across accounts both sides log the call under one `sharedEventID`.
    fn assume(&mut self, by: &Session, step: &str, time: Timestamp, region: &str) -> Result<Session, DemoError> {
        let mut words = step.split(':');
        let mut word = || words.next().unwrap_or("");
        let (kind, account, role, name, source) = (word(), word(), word(), word(), word());
        if kind != "role" {
            return Err(DemoError::unknown("session", step));
        }
        self.world.role(account, role)?;
        let issued = self.issue(account, role, "/", name)?;
        let mut parts = self.assume_parts(&issued, name, None, time, region);
        if !source.is_empty()
            && let (Value::Object(request), Value::Object(response)) = (&mut parts.request, &mut parts.response)
        {
            request.insert("sourceIdentity".to_owned(), json!(source));
            response.insert("sourceIdentity".to_owned(), json!(source));
        }
        let from = (by.address.clone(), by.agent.clone());
        if account != by.account {
            let shared = self.rng.uuid();
            parts.shared = Some(shared.clone());
            let copy = Parts {
                source: parts.source.clone(),
                name: parts.name.clone(),
                region: parts.region.clone(),
                request: parts.request.clone(),
                response: parts.response.clone(),
                resources: parts.resources.clone(),
                shared: Some(shared),
                ..sts("AssumeRole", region)
            };
            let caller = by.identity.get("principalId").cloned().unwrap_or(Value::Null);
            let identity =
                json!({"type": "AWSAccount", "principalId": caller, "accountId": self.world.account(&by.account)?});
            self.record(account, as_map(identity), (&from.0, &from.1), time, copy, false)?;
        }
        self.see(&by.holder, time, region, "sts");
        self.record(&by.account, by.identity.clone(), (&from.0, &from.1), time, parts, false)?;
        let mut session = self.role_session(account, &issued, time);
        if !source.is_empty()
            && let Some(Value::Object(context)) = session.identity.get_mut("sessionContext")
        {
            context.insert("sourceIdentity".to_owned(), json!(source));
        }
        (session.address, session.agent) = from;
        Ok(session)
    }

    fn assume_parts(
        &mut self,
        issued: &Issued,
        name: &str,
        external_id: Option<&str>,
        time: Timestamp,
        region: &str,
    ) -> Parts {
        let arn = issued.issuer.get("arn").cloned().unwrap_or(Value::Null);
        let mut request = json!({"roleArn": arn, "roleSessionName": name, "durationSeconds": ROLE_SECONDS});
        if let (Some(id), Value::Object(fields)) = (external_id, &mut request) {
            fields.insert("externalId".to_owned(), json!(id));
        }
        let account = issued.issuer.get("accountId").cloned().unwrap_or(Value::Null);
        Parts {
            request,
            response: self.response(issued, time, ROLE_SECONDS),
            resources: json!([{"accountId": account, "type": "AWS::IAM::Role", "ARN": arn}]),
            ..sts("AssumeRole", region)
        }
    }
}

fn sts(name: &str, region: &str) -> Parts {
    Parts {
        source: "sts.amazonaws.com".to_owned(),
        name: name.to_owned(),
        region: region.to_owned(),
        read_only: true,
        event_type: "AwsApiCall",
        ..Parts::default()
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
