//! Reading one account: its parts one after the other, each whole or not at all.

use std::collections::BTreeSet;

use tokio::sync::mpsc::Sender;

use crate::model::time::Timestamp;

use super::access::Access;
use super::calls::Purpose;
use super::failure::{Failure, FailureKind};
use super::run::{AccountReport, Brought, Message, Options};
use super::scope::Target;
use super::{account, analyzer, events, iam, last_accessed, resources, trails};

/// What is read of one account, and what is not.
pub(super) struct Reading<'a> {
    access: &'a Access,
    target: &'a Target,
    what: &'a BTreeSet<Purpose>,
    begun: Timestamp,
    found: Vec<Brought>,
    brought: Vec<&'static str>,
    missing: Vec<(Purpose, Failure)>,
}

/// A document on its way out.
pub(super) fn brought(
    kind: Purpose,
    account: Option<&str>,
    value: &serde_json::Value,
    captured_at: Timestamp,
) -> Brought {
    let bytes = value.to_string().into_bytes();
    Brought { kind: kind.as_str(), account: account.map(str::to_owned), bytes, captured_at }
}

impl<'a> Reading<'a> {
    pub(super) fn new(access: &'a Access, target: &'a Target, options: &'a Options) -> Self {
        let begun = (options.clock)();
        let (found, brought, missing) = (Vec::new(), Vec::new(), Vec::new());
        Self { access, target, what: &options.what, begun, found, brought, missing }
    }

    /// Reads all that is wanted; the documents are handed on together. `read`: see [`events::events`].
    pub(super) async fn all(
        mut self,
        options: &Options,
        read: &BTreeSet<String>,
        partition: &str,
        send: &Sender<Message>,
    ) -> AccountReport {
        self.identities().await;
        self.the_rest().await;
        if self.wants(Purpose::Resources) {
            let (document, failures) = resources::policies(self.access, &self.target.account, partition).await;
            if let Some(document) = document {
                self.keep(Purpose::Resources, Ok(document));
            }
            self.missing.extend(failures.into_iter().map(|failure| (Purpose::Resources, failure)));
        }
        // Nobody listens only where the run ends.
        let _ = send.send(Message::State(std::mem::take(&mut self.found))).await;
        if let Some(wanted) = options.events.as_ref().filter(|_| self.wants(Purpose::Events)) {
            let (account, now) = (&self.target.account, (options.clock)());
            let failures = events::events(self.access, account, read, wanted, now, send).await;
            if failures.is_empty() {
                self.brought.push(Purpose::Events.as_str());
            }
            self.missing.extend(failures.into_iter().map(|failure| (Purpose::Events, failure)));
        }
        AccountReport::new(self.target, self.brought, self.missing)
    }

    /// Whether a part is to be read. With credentials that do not work nothing else would.
    fn wants(&self, purpose: Purpose) -> bool {
        self.what.contains(&purpose) && !self.missing.iter().any(|(_, f)| f.kind == FailureKind::Credentials)
    }

    fn keep(&mut self, purpose: Purpose, read: Result<serde_json::Value, Failure>) {
        match read {
            Ok(document) => {
                self.brought.push(purpose.as_str());
                self.found.push(brought(purpose, Some(&self.target.account), &document, self.begun));
            }
            Err(failure) => self.missing.push((purpose, failure)),
        }
    }

    /// Users, groups, roles and policies; and what is asked for each user and role by name.
    async fn identities(&mut self) {
        let asked = [Purpose::Iam, Purpose::Account, Purpose::LastAccessed];
        if !asked.into_iter().any(|purpose| self.wants(purpose)) {
            return;
        }
        let details = match iam::authorization_details(self.access).await {
            Ok(details) => details,
            Err(failure) => {
                let missed = asked.into_iter().filter(|purpose| self.what.contains(purpose));
                self.missing.extend(missed.map(|purpose| (purpose, failure.clone())));
                return;
            }
        };
        let (users, principals) = iam::named(&details);
        if self.wants(Purpose::Iam) {
            self.keep(Purpose::Iam, Ok(details));
        }
        if self.wants(Purpose::Account) {
            let read = account::account(self.access, &self.target.account, &users).await;
            self.keep(Purpose::Account, read);
        }
        if self.wants(Purpose::LastAccessed) {
            let read = last_accessed::last_accessed(self.access, &self.target.account, &principals).await;
            self.keep(Purpose::LastAccessed, read);
        }
    }

    async fn the_rest(&mut self) {
        if self.wants(Purpose::Credentials) {
            match iam::credential_report(self.access).await {
                Ok(bytes) => {
                    let (kind, account) = (Purpose::Credentials.as_str(), Some(self.target.account.clone()));
                    self.brought.push(kind);
                    self.found.push(Brought { kind, account, bytes, captured_at: self.begun });
                }
                Err(failure) => self.missing.push((Purpose::Credentials, failure)),
            }
        }
        if self.wants(Purpose::Trails) {
            let read = trails::trails(self.access, &self.target.account).await;
            self.keep(Purpose::Trails, read);
        }
        if self.wants(Purpose::Analyzer) {
            let read = analyzer::findings(self.access, &self.target.account).await;
            self.keep(Purpose::Analyzer, read);
        }
    }
}
