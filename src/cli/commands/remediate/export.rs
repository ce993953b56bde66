//! `jitscan remediate export`: a plan as code.

use crate::cli::args::{ExportArgs, ExportForm};
use crate::cli::commands::open;
use crate::cli::context::{CommandError, Context};
use crate::cli::documents;
use crate::cli::exit::Status;
use crate::model::table::{Column, ColumnKind, Table};
use crate::remediate::export::{Form, export as exported};
use crate::report::{Folder, Sink as _};

use super::prove::fits;
use super::{meta, read};

/// Columns of `export`.
#[must_use]
pub fn export_columns() -> Vec<Column> {
    use ColumnKind::{Integer, Text};
    vec![
        Column::new("account", Text, "the account whose credentials it takes"),
        Column::new("file", Text, "what was written"),
        Column::new("bytes", Integer, "its length"),
    ]
}

/// Writes a plan as files.
pub(super) fn export(context: &Context<'_>, args: &ExportArgs) -> Result<Status, CommandError> {
    let plan = read(&args.plan)?;
    let snapshot = documents::load(&open(context)?, context.as_of())?.snapshot;
    fits(&plan, &snapshot)?;
    let form = match args.form {
        ExportForm::Terraform => Form::Terraform,
        ExportForm::Cloudformation => Form::CloudFormation,
        ExportForm::Cli => Form::Cli,
    };
    let files = exported(&plan, &snapshot, form)
        .map_err(|misfit| CommandError::Failed(format!("the plan does not fit the state: {misfit}")))?;
    let mut rows = Vec::new();
    for file in files {
        let folder = args.out.join(file.account.to_string());
        let path = folder.join(file.name).display().to_string();
        let failed = |source| CommandError::File { path: path.clone(), source };
        Folder(folder).put(file.name, file.text.as_bytes()).map_err(failed)?;
        rows.push(vec![file.account.to_string().into(), path.into(), file.text.len().into()]);
    }
    context.emit(&meta(&plan, "remediate export"), &Table { columns: export_columns(), rows })?;
    Ok(Status::Done)
}
