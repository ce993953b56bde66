//! `jitscan permissions`: what a role must be allowed.

use crate::cli::args::{PermissionsArgs, PermissionsFor, PermissionsForm, PermissionsRole};
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::fetch::Purpose;
use crate::fetch::permissions::{Role, Wanted};

/// Runs it.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &Context<'_>, args: &PermissionsArgs) -> Result<Status, CommandError> {
    let wanted = Wanted {
        role: match (args.purpose, args.role) {
            (PermissionsFor::Validate, _) => Role::Validator,
            (PermissionsFor::Collect, PermissionsRole::Central) => Role::Central,
            (PermissionsFor::Collect, PermissionsRole::Member) => Role::Member,
        },
        member_role: args.role_name.clone(),
        what: match args.purpose {
            PermissionsFor::Validate => [Purpose::Validation].into(),
            PermissionsFor::Collect if args.only.is_empty() => Purpose::CHOICES.into_iter().collect(),
            PermissionsFor::Collect => args.only.iter().copied().collect(),
        },
        buckets: args.buckets.clone(),
    };
    let text = match args.form {
        PermissionsForm::Json => format!("{:#}\n", wanted.policy()),
        PermissionsForm::Terraform => wanted.terraform(),
        PermissionsForm::Cloudformation => format!("{:#}\n", wanted.cloudformation()),
    };
    context.emit_text(&text)?;
    Ok(Status::Done)
}
