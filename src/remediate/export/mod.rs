//! A plan as text for teams whose IAM lives in code: Terraform, CloudFormation, and a script of AWS CLI calls. The same
//! changes in the same words; what carries them out is theirs.

mod cloudformation;
pub(crate) mod script;
mod sets;
mod terraform;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::arn::AccountId;
use crate::model::snapshot::{AccountIam, Holder, Snapshot};

use super::effect::Effect;
use super::found::{Code, Found};
use super::{Change, Misfit, Plan};

/// Form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// HCL with import blocks.
    Terraform,
    /// Templates.
    CloudFormation,
    /// A shell script.
    Cli,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its account: accounts are changed one by one, with credentials of their own.
    pub account: AccountId,
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub text: String,
}

/// A plan for an account, with the states that it leads from and to.
struct Part<'a> {
    plan: &'a Plan,
    account: AccountId,
    /// The states, for what is no part of an account.
    old: &'a Snapshot,
    new: &'a Snapshot,
    before: &'a AccountIam,
    after: &'a AccountIam,
}

/// What changes of one principal, by kind.
#[derive(Debug, Default)]
struct Touched<'p> {
    /// Inline policies that are written, with their documents as they become.
    written: BTreeMap<&'p str, &'p str>,
    /// Whether inline policies go.
    inline_goes: bool,
    /// Whether attachments change.
    attachments: bool,
    /// Whether memberships change.
    groups: bool,
    /// Its trust policy as it becomes, where that changes.
    trust: Option<&'p str>,
    /// Managed policies that are made for it: ARN and document.
    made: Vec<(&'p str, &'p str)>,
}

impl<'p> Touched<'p> {
    fn of(steps: &'p [super::Step]) -> Self {
        let mut out = Self::default();
        for step in steps {
            match &step.effect {
                Effect::PutRolePolicy { policy, document, .. } | Effect::PutUserPolicy { policy, document, .. } => {
                    out.written.insert(policy, document);
                }
                Effect::DeleteRolePolicy { policy, .. } | Effect::DeleteUserPolicy { policy, .. } => {
                    out.written.remove(policy.as_str());
                    out.inline_goes = true;
                }
                Effect::AttachRolePolicy { .. }
                | Effect::DetachRolePolicy { .. }
                | Effect::AttachUserPolicy { .. }
                | Effect::DetachUserPolicy { .. } => out.attachments = true,
                Effect::AddUserToGroup { .. } | Effect::RemoveUserFromGroup { .. } => out.groups = true,
                Effect::CreatePolicy { policy, document } => out.made.push((policy, document)),
                Effect::UpdateAssumeRolePolicy { document, .. } => out.trust = Some(document),
                Effect::DeletePolicy { .. }
                | Effect::CreateRole { .. }
                | Effect::DeleteRole { .. }
                | Effect::Set(_) => {}
            }
        }
        out
    }
}

impl<'a> Part<'a> {
    fn held(iam: &'a AccountIam, arn: &str) -> Option<(&'a Holder, Option<&'a [String]>)> {
        let user = iam.users.iter().find(|user| user.holder.arn.as_str() == arn);
        let user = user.map(|user| (&user.holder, Some(user.groups.as_slice())));
        user.or_else(|| iam.roles.iter().find(|role| role.holder.arn.as_str() == arn).map(|role| (&role.holder, None)))
    }
}

/// A name for code that says whose it is, and is nobody else's: letters, digits and `_`, with digits of a hash.
fn label(text: &str, arn: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(48).collect();
    let hash: String = blake3::hash(format!("{arn}\n{text}").as_bytes()).to_hex().chars().take(8).collect();
    // Names in code begin with a letter.
    let lead = if plain.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "n_" };
    format!("{lead}{plain}_{hash}")
}

/// A document over several lines; as it stands where it is no JSON.
fn pretty(json: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}

/// Writes a plan as files, some for each account that it changes.
///
/// # Errors
/// When the plan does not fit the state.
pub fn export(plan: &Plan, before: &Snapshot, form: Form) -> Result<Vec<Exported>, Misfit> {
    let after = plan.after(before)?;
    let accounts: BTreeSet<AccountId> = plan.steps().map(|(account, ..)| account).collect();
    let mut out = Vec::new();
    for account in accounts {
        // The account of Identity Center may not have been collected.
        let empty = AccountIam {
            account,
            captured_at: plan.as_of,
            users: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            policies: Vec::new(),
        };
        let of = |state: &Snapshot| state.accounts.get(&account).cloned().unwrap_or_else(|| empty.clone());
        let (old, new) = (of(before), of(&after));
        let part = Part { plan, account, old: before, new: &after, before: &old, after: &new };
        let files = match form {
            Form::Terraform => part.terraform(),
            Form::CloudFormation => part.cloudformation(),
            Form::Cli => part.scripts(),
        };
        out.extend(files.into_iter().map(|(name, text)| Exported { account, name, text }));
    }
    Ok(out)
}

/// Who manages the principals of a plan in code, by their tags or by patterns over ARNs: one line each.
#[must_use]
pub fn in_code(plan: &Plan, snapshot: &Snapshot, code: Code<'_>) -> Vec<String> {
    let of = |arn: &str| {
        let by = super::found::code_of(arn, &Found::of(snapshot, arn)?.holder.tags, &code)?;
        Some(format!("{arn} is managed by {by}"))
    };
    let sets = plan.changes.iter().filter(|change| !change.roles.is_empty()).map(|change| change.principal.as_str());
    let named = sets.filter_map(|arn| {
        let known = snapshot.identity_center.iter().flat_map(|center| &center.permission_sets);
        let tags = known.into_iter().find(|one| one.arn == arn).and_then(|one| one.tags.clone()).unwrap_or_default();
        Some(format!("{arn} is managed by {}", super::found::code_of(arn, &tags, &code)?))
    });
    plan.changes.iter().flat_map(Change::holders).filter_map(of).chain(named).collect()
}
