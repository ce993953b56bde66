//! `jitscan permissions`: what a role must be allowed.

use crate::cli::args::{PermissionsArgs, PermissionsFor, PermissionsForm, PermissionsRole};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::executor::permissions::Managed;
use crate::fetch::Purpose;
use crate::fetch::permissions::{Role, RoleText, Wanted};

/// Runs it.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &Context<'_>, args: &PermissionsArgs) -> Result<Status, CommandError> {
    let role = match args.purpose {
        PermissionsFor::Remediate => executor(args)?,
        PermissionsFor::Collect | PermissionsFor::Validate => reader(args),
    };
    let text = match args.form {
        PermissionsForm::Json => format!("{:#}\n", role.policy),
        PermissionsForm::Terraform => role.terraform(),
        PermissionsForm::Cloudformation => format!("{:#}\n", role.cloudformation()),
    };
    context.emit_text(&text)?;
    Ok(Status::Done)
}

fn reader(args: &PermissionsArgs) -> RoleText {
    let wanted = Wanted {
        role: match (args.purpose, args.role) {
            (PermissionsFor::Validate, _) => Role::Validator,
            (_, PermissionsRole::Central) => Role::Central,
            (_, PermissionsRole::Member) => Role::Member,
        },
        member_role: args.role_name.clone().unwrap_or_else(|| "jitscan-collect".to_owned()),
        what: match args.purpose {
            PermissionsFor::Validate => [Purpose::Validation].into(),
            _ if args.only.is_empty() => Purpose::CHOICES.into_iter().collect(),
            _ => args.only.iter().copied().collect(),
        },
        buckets: args.buckets.clone(),
    };
    wanted.role()
}

fn executor(args: &PermissionsArgs) -> Result<RoleText, CommandError> {
    let tag = args.tag.split_once('=').filter(|(key, _)| !key.is_empty());
    let tag = tag.ok_or_else(|| CommandError::Usage(format!("--tag {}: expected KEY=VALUE", args.tag)))?;
    let managed = Managed {
        role_name: args.role_name.clone().unwrap_or_else(|| "jitscan-remediate".to_owned()),
        starts: args.role == PermissionsRole::Central,
        // Paths say which: what is below them needs no tag.
        tag: Some((tag.0.to_owned(), tag.1.to_owned())).filter(|_| args.path.is_empty()),
        paths: args.path.clone(),
        groups: args.group.clone(),
        trusts: args.trust.clone(),
        permission_sets: args.permission_sets,
    };
    Ok(managed.role())
}
