//! Who we are, and which accounts are to be read.

use std::collections::BTreeSet;

use super::access::Access;
use super::calls::{self, Purpose};
use super::failure::{Failure, FailureKind};
use super::organization::{Member, organization, tree};
use super::reading::brought;
use super::run::{Brought, Options};

/// An account that is to be read.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub account: String,
    /// Its name in the organisation; empty where not known.
    pub name: String,
    /// It is the caller's own.
    pub own: bool,
}

/// Who is asked, and of which accounts.
pub(super) struct Scope {
    pub access: Access,
    /// The caller's account, and the partition of all.
    pub own: String,
    pub partition: String,
    pub targets: Vec<Target>,
    /// All accounts that this run or the one that it goes on from reads.
    pub read: BTreeSet<String>,
    /// What was read of the organisation, and what was not.
    pub central: Vec<Brought>,
    pub missing: Vec<(Purpose, Failure)>,
}

/// The caller's account and partition.
async fn caller(access: &Access) -> Result<(String, String), Failure> {
    let client = access.sts();
    let call = &calls::GET_CALLER_IDENTITY;
    let who = access.call(call, || client.get_caller_identity().send()).await?;
    let unknown = || Failure::new(call, FailureKind::Service, "", "the answer names no account");
    let account = who.account().filter(|account| !account.is_empty()).ok_or_else(unknown)?;
    let partition = who.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
    Ok((account.to_owned(), partition.to_owned()))
}

fn wanted(member: &Member, only: &[String]) -> bool {
    !member.suspended && (only.is_empty() || only.iter().any(|one| *one == member.id || member.parents.contains(one)))
}

fn lone(id: &str) -> Member {
    Member { id: id.to_owned(), name: String::new(), suspended: false, parents: Vec::new() }
}

impl Scope {
    /// Finds out who we are, reads the organisation's tree, and says which accounts are to be read. `whole`: its policies
    /// are read too, where they are wanted.
    pub(super) async fn of(options: &Options, whole: bool) -> Result<Self, Failure> {
        let access = Access::begin(&options.start).await;
        let (own, partition) = caller(&access).await?;
        let access = access.of_account(&own);
        let (mut central, mut missing) = (Vec::new(), Vec::new());
        let mut members = vec![lone(&own)];
        let begun = (options.clock)();
        let whole = whole && options.what.contains(&Purpose::Organization);
        match tree(&access).await {
            Ok(mut found) => {
                members = std::mem::take(&mut found.members);
                if whole {
                    match organization(&access, found).await {
                        Ok(document) => central.push(brought(Purpose::Organization, None, &document, begun)),
                        Err(failure) => missing.push((Purpose::Organization, failure)),
                    }
                }
            }
            // A lone account has no organisation.
            Err(failure) if failure.kind == FailureKind::Absent => {}
            Err(failure) if failure.kind == FailureKind::Credentials => return Err(failure),
            Err(failure) => {
                // Without the organisation the accounts are those that are named.
                let named = options.only.iter().filter(|one| one.bytes().all(|b| b.is_ascii_digit()) && **one != own);
                members.extend(named.map(|id| lone(id)));
                if whole {
                    missing.push((Purpose::Organization, failure.clone()));
                }
                missing.push((Purpose::Accounts, failure));
            }
        }
        let mut targets: Vec<Target> = members
            .into_iter()
            .filter(|member| wanted(member, &options.only) && !options.done.contains(&member.id))
            .map(|member| Target { own: member.id == own, account: member.id, name: member.name })
            .filter(|target| target.own || options.role_name.is_some())
            .collect();
        targets.sort_by(|a, b| a.account.cmp(&b.account));
        let read = targets.iter().map(|target| target.account.clone()).chain(options.done.iter().cloned()).collect();
        Ok(Self { access, own, partition, targets, read, central, missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_chosen_by_id_and_by_any_unit_above_them() {
        let member = |id: &str, suspended: bool, parents: &[&str]| Member {
            id: id.to_owned(),
            name: String::new(),
            suspended,
            parents: parents.iter().map(|one| (*one).to_owned()).collect(),
        };
        let members = [
            member("111111111111", false, &["ou-a-inner", "ou-a-outer", "r-a"]),
            member("222222222222", false, &["ou-a-outer", "r-a"]),
            member("333333333333", true, &["ou-a-outer", "r-a"]),
            member("444444444444", false, &["r-a"]),
        ];
        for (only, want) in [
            (&[][..], &["111111111111", "222222222222", "444444444444"][..]),
            (&["444444444444"], &["444444444444"]),
            (&["ou-a-outer"], &["111111111111", "222222222222"]),
            (&["ou-a-inner", "444444444444"], &["111111111111", "444444444444"]),
            (&["r-a"], &["111111111111", "222222222222", "444444444444"]),
            (&["333333333333"], &[]),
            (&["ou-b"], &[]),
        ] {
            let only: Vec<String> = only.iter().map(|one| (*one).to_owned()).collect();
            let found: Vec<&str> = members.iter().filter(|m| wanted(m, &only)).map(|m| m.id.as_str()).collect();
            assert_eq!(found, want, "{only:?}");
        }
    }
}
