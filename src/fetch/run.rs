//! Collecting from many accounts at once.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::model::time::Timestamp;

use super::access::{Access, Start};
use super::calls::{self, CALLS, Call, Purpose, SHARED};
use super::events::{Log, Wanted};
use super::failure::{Failure, FailureKind};
use super::reading::{Reading, brought};
use super::scope::{Scope, Target};
use super::{identity_center, public_keys};

/// How often the wish to stop is looked at.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// What to collect, and from where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where and as whom to begin.
    pub start: Start,
    /// Name of the role to assume in member accounts; without it only the caller's own account is read.
    pub role_name: Option<String>,
    /// External id that the role's trust asks for.
    pub external_id: Option<String>,
    /// Only these accounts, or accounts below these organisational units; all where empty.
    pub only: Vec<String>,
    /// What to read; see [`Purpose::CHOICES`].
    pub what: BTreeSet<Purpose>,
    /// Accounts that need not be read again.
    pub done: BTreeSet<String>,
    /// Which events, where they are among what is to be read.
    pub events: Option<Wanted>,
    /// Accounts read at once.
    pub at_once: usize,
    /// The clock, which tells when reading a document began.
    pub clock: fn() -> Timestamp,
    /// Set to end early: what was read by then is handed over.
    pub stop: Arc<AtomicBool>,
}

/// A document that was read in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Kind, as the store names it, such as `iam`.
    pub kind: &'static str,
    /// Its account; none for the organisation's.
    pub account: Option<String>,
    /// Its bytes, as the readers of `collect` take them.
    pub bytes: Vec<u8>,
    /// When reading it began.
    pub captured_at: Timestamp,
}

/// What became of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// All was read.
    Complete,
    /// Some was not; see what is missing.
    Partial,
    /// Nothing was.
    Failed,
}

impl Outcome {
    /// Stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }

    /// By what came and what did not.
    #[must_use]
    pub const fn of(brought: &[&'static str], missing: &[(Purpose, Failure)]) -> Self {
        match (brought.is_empty(), missing.is_empty()) {
            (_, true) => Self::Complete,
            (true, false) => Self::Failed,
            (false, false) => Self::Partial,
        }
    }
}

/// An account, and what came of it. Of what is read of the organisation as a whole the caller's account is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountReport {
    /// Account id.
    pub account: String,
    /// Its name in the organisation; empty where not known.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Kinds of documents that were read.
    pub brought: Vec<&'static str>,
    /// What was not read, and why.
    pub missing: Vec<(Purpose, Failure)>,
}

impl AccountReport {
    pub(super) fn new(target: &Target, brought: Vec<&'static str>, missing: Vec<(Purpose, Failure)>) -> Self {
        let (account, name) = (target.account.clone(), target.name.clone());
        Self { account, name, outcome: Outcome::of(&brought, &missing), brought, missing }
    }

    /// An account of which nothing could be read.
    pub(super) fn shut(target: &Target, failure: Failure) -> Self {
        Self::new(target, Vec::new(), vec![(Purpose::Session, failure)])
    }

    /// A part that was read turned out to be of no use.
    pub fn withdraw(&mut self, kind: &str, failure: Failure) {
        self.brought.retain(|brought| *brought != kind);
        self.missing.push((Purpose::parse(kind).unwrap_or(Purpose::Session), failure));
        self.outcome = Outcome::of(&self.brought, &self.missing);
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was tried.
    Whole,
    /// It was asked to stop before.
    Early,
}

/// Told while it goes on.
#[derive(Debug)]
pub enum Event {
    /// So many accounts are to be read.
    Accounts(usize),
    /// What is of the organisation as a whole was read, as far as it could be.
    Central(AccountReport, Vec<Brought>),
    /// What was read of an account's state: it belongs together.
    State(Vec<Brought>),
    /// A log object that came of an account.
    Log(String, Log),
    /// An account is done: what was read of it was told before.
    Account(AccountReport),
}

/// What tasks hand on.
#[derive(Debug)]
pub(super) enum Message {
    State(Vec<Brought>),
    Log(String, Log),
    Central(AccountReport, Vec<Brought>),
    Done(AccountReport),
}

/// What stands in place of a name where the organisation as a whole is told of.
const WHOLE: &str = "(organization)";

/// Messages that may wait: log objects are in memory until they are taken.
const WAITING: usize = 16;

/// What would be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Accounts that would be read.
    pub accounts: Vec<String>,
    /// Operations, each with how often it would be called at least: lists may have further pages.
    pub calls: Vec<(&'static Call, usize)>,
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| {
        Failure::new(&calls::GET_CALLER_IDENTITY, FailureKind::Program, "", &format!("no threads: {error}"))
    })
}

/// What comes of some work; none where the run is to end before.
async fn unless_stopped<T>(stop: &AtomicBool, work: impl Future<Output = T>) -> Option<T> {
    let stopped = async {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(STOP_LOOK).await;
        }
    };
    match select(pin!(work), pin!(stopped)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// Collects; says whether it came to its end. `each` is told on the calling thread of every document and log as it comes
/// in, and of every account as it is done. One account's failure never costs another's.
///
/// # Errors
/// Where it cannot even begin: the caller's own credentials do not work, or nobody answers.
pub fn collect(options: &Options, each: &mut dyn FnMut(Event)) -> Result<Ended, Failure> {
    let runtime = runtime()?;
    let scope =
        runtime.block_on(async { unless_stopped(&options.stop, Scope::of(options, true)).await.transpose() })?;
    let Some(scope) = scope else { return Ok(Ended::Early) };
    each(Event::Accounts(scope.targets.len()));
    let (send, mut receive) = mpsc::channel(WAITING);
    let work = runtime.spawn(accounts(options.clone(), scope, send));
    while let Some(message) = receive.blocking_recv() {
        each(match message {
            Message::State(documents) => Event::State(documents),
            Message::Log(account, log) => Event::Log(account, log),
            Message::Central(row, documents) => Event::Central(row, documents),
            Message::Done(row) => Event::Account(row),
        });
    }
    runtime.block_on(work).map_err(|_| Failure::panicked())?;
    Ok(if options.stop.load(Ordering::Relaxed) { Ended::Early } else { Ended::Whole })
}

/// Reads what is of the organisation as a whole beside the accounts; `central` and `missing` are what is known by now.
async fn whole(
    access: &Access,
    target: &Target,
    mut central: Vec<Brought>,
    mut missing: Vec<(Purpose, Failure)>,
    options: &Options,
) -> Option<(AccountReport, Vec<Brought>)> {
    if options.what.contains(&Purpose::IdentityCenter) {
        let begun = (options.clock)();
        match identity_center::identity_center(access).await {
            Ok(Some((document, untagged))) => {
                central.push(brought(Purpose::IdentityCenter, None, &document, begun));
                missing.extend(untagged.map(|failure| (Purpose::IdentityCenter, failure)));
            }
            Ok(None) => {}
            Err(failure) => missing.push((Purpose::IdentityCenter, failure)),
        }
    }
    if options.what.contains(&Purpose::PublicKeys) {
        let begun = (options.clock)();
        match public_keys::public_keys(access, begun).await {
            Ok(document) => central.push(brought(Purpose::PublicKeys, None, &document, begun)),
            Err(failure) => missing.push((Purpose::PublicKeys, failure)),
        }
    }
    if central.is_empty() && missing.is_empty() {
        return None;
    }
    let kinds = central.iter().map(|one| one.kind).collect();
    Some((AccountReport::new(target, kinds, missing), central))
}

/// What is under way, and whose it is.
#[derive(Default)]
struct Tasks {
    set: JoinSet<()>,
    whose: HashMap<tokio::task::Id, Target>,
}

impl Tasks {
    fn spawn(&mut self, target: Target, work: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(work).id();
        self.whose.insert(id, target);
    }

    /// Waits for all of it. A task that panicked told nothing of its account: it is named here.
    async fn all(&mut self, send: &mpsc::Sender<Message>) {
        while let Some(ended) = self.set.join_next_with_id().await {
            let panicked = ended.err().filter(tokio::task::JoinError::is_panic);
            let Some(target) = panicked.and_then(|error| self.whose.remove(&error.id())) else { continue };
            let row = AccountReport::shut(&target, Failure::panicked());
            let message = if target.name == WHOLE { Message::Central(row, Vec::new()) } else { Message::Done(row) };
            // Nobody listens only where the caller is gone.
            let _ = send.send(message).await;
        }
    }
}

/// Reads the accounts, some at once, until there are none left or the run is to end.
async fn accounts(options: Options, scope: Scope, send: mpsc::Sender<Message>) {
    let Scope { access, own, partition, targets, read, central, missing } = scope;
    let gate = Arc::new(Semaphore::new(options.at_once.max(1)));
    let (options, read) = (Arc::new(options), Arc::new(read));
    let mut tasks = Tasks::default();
    {
        let target = Target { account: own, name: WHOLE.to_owned(), own: true };
        let (access, send, options) = (access.clone(), send.clone(), Arc::clone(&options));
        tasks.spawn(target.clone(), async move {
            if let Some((row, documents)) = whole(&access, &target, central, missing, &options).await {
                let _ = send.send(Message::Central(row, documents)).await;
            }
        });
    }
    for target in targets {
        let Some(Ok(permit)) = unless_stopped(&options.stop, Arc::clone(&gate).acquire_owned()).await else { break };
        let role = options.role_name.as_ref().filter(|_| !target.own);
        let role = role.map(|name| format!("arn:{partition}:iam::{}:role/{name}", target.account));
        let (access, send) = (access.clone(), send.clone());
        let (options, read, partition) = (Arc::clone(&options), Arc::clone(&read), partition.clone());
        tasks.spawn(target.clone(), async move {
            let entered = match &role {
                Some(role) => access.assume(&target.account, role, options.external_id.as_deref()).await,
                None => Ok(access),
            };
            let row = match entered {
                Ok(access) => Reading::new(&access, &target, &options).all(&options, &read, &partition, &send).await,
                Err(failure) => AccountReport::shut(&target, failure),
            };
            // Nobody listens only where the caller is gone.
            let _ = send.send(Message::Done(row)).await;
            drop(permit);
        });
    }
    if unless_stopped(&options.stop, tasks.all(&send)).await.is_none() {
        // What is being read is half an account: it counts for nothing.
        tasks.set.abort_all();
    }
}

/// What collecting would call: the organisation is looked at, nothing else is.
///
/// # Errors
/// As [`collect`].
pub fn plan(options: &Options) -> Result<Plan, Failure> {
    let scope = runtime()?.block_on(Scope::of(options, false))?;
    let accounts: Vec<String> = scope.targets.iter().map(|target| target.account.clone()).collect();
    let members = scope.targets.iter().filter(|target| !target.own).count();
    let wanted = |call: &Call| {
        options.what.contains(&call.purpose)
            || SHARED.iter().any(|(purpose, shared)| options.what.contains(purpose) && **shared == *call)
    };
    let calls = CALLS
        .iter()
        .map(|call| {
            let times = match call.purpose {
                Purpose::Session if call.operation == "AssumeRole" => members,
                Purpose::Session | Purpose::Accounts => 1,
                _ if !wanted(call) => 0,
                purpose if purpose.is_central() => 1,
                _ => accounts.len(),
            };
            (*call, times)
        })
        .filter(|(_, times)| *times > 0)
        .collect();
    Ok(Plan { accounts, calls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_whose_work_panics_is_named() {
        let (send, mut receive) = mpsc::channel(WAITING);
        runtime().unwrap().block_on(async {
            let target =
                |account: &str, name: &str| Target { account: account.to_owned(), name: name.to_owned(), own: true };
            let mut tasks = Tasks::default();
            tasks.spawn(target("111111111111", "one"), async {});
            tasks.spawn(target("222222222222", "two"), async { panic!("as it should in this test") });
            tasks.spawn(target("333333333333", WHOLE), async { panic!("as it should in this test") });
            tasks.all(&send).await;
        });
        drop(send);
        let mut told: Vec<String> = Vec::new();
        while let Ok(message) = receive.try_recv() {
            let (of, row) = match message {
                Message::Central(row, _) => ("whole", row),
                Message::Done(row) => ("account", row),
                other => panic!("{other:?}"),
            };
            told.push(format!("{of} {} {} {}", row.account, row.outcome.as_str(), row.missing[0].1.kind.as_str()));
        }
        told.sort();
        assert_eq!(told, ["account 222222222222 failed program", "whole 333333333333 failed program"]);
    }
}
