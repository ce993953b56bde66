//! Changes of access in AWS: the calls that a plan's steps are, and reading back what stands where they were made.
//!
//! Nothing is decided here. [`crate::remediate::run`] says what is called and when; a guard in front of the wire refuses
//! every operation that [`calls::CALLS`] does not name.

pub mod calls;
mod center;
mod iam;
pub mod ledger;
pub mod permissions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fetch::access::Access;
use crate::fetch::calls::GET_CALLER_IDENTITY;
use crate::fetch::iam::authorization_details;
use crate::fetch::identity_center::some_sets;
use crate::fetch::run::runtime;
use crate::fetch::{Failure, FailureKind, Start};
use crate::model::arn::AccountId;
use crate::remediate::effect::Effect;
use crate::remediate::place::{Place, Value};
use crate::remediate::run::{Target, Trouble};

/// How our sessions are called: what CloudTrail shows of us.
const SESSION_NAME: &str = "jitscan-remediate";

/// Access to the accounts that a plan changes.
#[derive(Debug)]
pub struct Executor {
    runtime: tokio::runtime::Runtime,
    /// ARN of who started it.
    caller: String,
    accounts: BTreeMap<AccountId, One>,
    /// Where Identity Center stands; empty where nobody told, and the caller's region is asked.
    center: String,
    /// ARNs of permission sets, by name.
    sets: center::Known,
}

/// Access to one account.
#[derive(Debug)]
struct One {
    access: Access,
    /// ARN of as whom its calls are made.
    as_whom: String,
}

async fn who(access: &Access) -> Result<(AccountId, String), Failure> {
    let client = access.sts();
    let call = &GET_CALLER_IDENTITY;
    let told = access.call(call, || client.get_caller_identity().send()).await?;
    let unknown = || Failure::new(call, FailureKind::Service, "", "the answer names no account or no ARN");
    let account = told.account().and_then(|account| account.parse().ok()).ok_or_else(unknown)?;
    Ok((account, told.arn().ok_or_else(unknown)?.to_owned()))
}

impl Executor {
    /// Enters every account that a plan changes, by assuming a role in those that are not the caller's own. `center` is the
    /// region of Identity Center, empty where it is the caller's.
    ///
    /// # Errors
    /// When an account cannot be entered: then nothing is begun.
    pub fn connect(
        start: &Start,
        role_name: Option<&str>,
        external_id: Option<&str>,
        accounts: &BTreeSet<AccountId>,
        center: &str,
    ) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let (caller, accounts) = runtime.block_on(async {
            let access = Access::begin(start).await.making(calls::CALLS, SESSION_NAME);
            let (own, caller) = who(&access).await?;
            let access = access.of_account(&own.to_string());
            let partition = caller.split(':').nth(1).unwrap_or("aws").to_owned();
            let mut entered = BTreeMap::new();
            for account in accounts {
                let one = if *account == own {
                    One { access: access.clone(), as_whom: caller.clone() }
                } else {
                    let role = role_name.ok_or_else(|| {
                        let message =
                            format!("account {account} is not the caller's own: --role-name says as whom to enter it");
                        Failure::new(&GET_CALLER_IDENTITY, FailureKind::Program, "", &message)
                    })?;
                    let role = format!("arn:{partition}:iam::{account}:role/{role}");
                    let access = access.assume(&account.to_string(), &role, external_id).await?;
                    let (found, as_whom) = who(&access).await?;
                    if found != *account {
                        let message = format!("{role} leads to account {found}");
                        return Err(Failure::new(&GET_CALLER_IDENTITY, FailureKind::Service, "", &message));
                    }
                    One { access, as_whom }
                };
                entered.insert(*account, one);
            }
            Ok((caller, entered))
        })?;
        Ok(Self { runtime, caller, accounts, center: center.to_owned(), sets: center::Known::new() })
    }

    /// ARN of who started it.
    #[must_use]
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// As whom calls are made, by account.
    #[must_use]
    pub fn executors(&self) -> BTreeMap<AccountId, String> {
        self.accounts.iter().map(|(account, one)| (*account, one.as_whom.clone())).collect()
    }

    /// Users, groups, roles and policies of every account as they are now, as the readers of `collect` take them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn details(&self) -> Result<Vec<(AccountId, Vec<u8>)>, Failure> {
        self.runtime.block_on(async {
            let mut out = Vec::new();
            for (account, one) in &self.accounts {
                let document = authorization_details(&one.access).await?;
                out.push((*account, document.to_string().into_bytes()));
            }
            Ok(out)
        })
    }

    /// Permission sets as they are now, with who is assigned to them, as the readers of `collect` take them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn permission_sets(
        &self,
        account: AccountId,
        instance: &str,
        sets: &BTreeSet<&str>,
    ) -> Result<Vec<u8>, Failure> {
        let access = self
            .center_of(account)
            .map_err(|trouble| Failure::new(&GET_CALLER_IDENTITY, FailureKind::Program, "", &trouble.why))?;
        let document = self.runtime.block_on(some_sets(&access, instance, sets))?;
        Ok(document.to_string().into_bytes())
    }

    /// Access to Identity Center, by the account that owns it.
    fn center_of(&self, account: AccountId) -> Result<Access, Trouble> {
        let one = self.of(account)?;
        Ok(if self.center.is_empty() { one.access.clone() } else { one.access.at(&self.center) })
    }

    fn of(&self, account: AccountId) -> Result<&One, Trouble> {
        let none = || Trouble { why: format!("account {account} was not entered"), again: false };
        self.accounts.get(&account).ok_or_else(none)
    }
}

/// What may go through the next time. Sources: "Common errors" and the errors of each operation, IAM API Reference.
fn trouble(failure: &Failure) -> Trouble {
    let again = match failure.kind {
        FailureKind::Network | FailureKind::Throttled | FailureKind::Absent => true,
        FailureKind::Service => !matches!(
            failure.code.as_str(),
            // What was detached a moment ago may count as attached still: DeleteConflict is tried again.
            "EntityAlreadyExists"
                | "LimitExceeded"
                | "MalformedPolicyDocument"
                | "InvalidInput"
                | "ValidationError"
                | "ValidationException"
                | "ServiceQuotaExceededException"
                | "UnmodifiableEntity"
                | "PolicyNotAttachable"
        ),
        FailureKind::Denied | FailureKind::Credentials | FailureKind::Program => false,
    };
    Trouble { why: failure.to_string(), again }
}

impl Target for Executor {
    fn read(&mut self, account: AccountId, place: &Place) -> Result<Value, Trouble> {
        if let Place::PermissionSet { instance, set, part } = place {
            let access = self.center_of(account)?;
            let read = center::read(&access, center::Named { instance, set }, part, &mut self.sets);
            return self.runtime.block_on(read).map_err(|failure| trouble(&failure));
        }
        let one = self.of(account)?;
        self.runtime.block_on(iam::read(&one.access, place)).map_err(|failure| trouble(&failure))
    }

    fn make(&mut self, account: AccountId, effect: &Effect) -> Result<(), Trouble> {
        if let Effect::Set(effect) = effect {
            let access = self.center_of(account)?;
            let made = center::make(&access, effect, &mut self.sets);
            return self.runtime.block_on(made).map_err(|failure| trouble(&failure));
        }
        let one = self.of(account)?;
        self.runtime.block_on(iam::make(&one.access, effect)).map_err(|failure| trouble(&failure))
    }

    fn unique_id(&mut self, account: AccountId, arn: &str) -> Result<Option<String>, Trouble> {
        if arn.contains(":permissionSet/") {
            let access = self.center_of(account)?;
            return self.runtime.block_on(center::unique_id(&access, arn)).map_err(|failure| trouble(&failure));
        }
        let one = self.of(account)?;
        self.runtime.block_on(iam::unique_id(&one.access, arn)).map_err(|failure| trouble(&failure))
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}
