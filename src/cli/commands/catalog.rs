//! `jitscan catalog …`: what the catalogue knows of actions and events.

use std::io::Read as _;

use crate::catalog::{Catalog, show};
use crate::cli::args::CatalogAction;
use crate::cli::context::{CommandError, Context};
use crate::cli::exit::Status;
use crate::cli::output::Meta;
use crate::model::table::Column;

/// Largest text that `events --stdin` reads: a list of every event of every service is far smaller.
const STDIN_BYTES_MAX: u64 = 64 << 20;

/// Columns of `catalog action`.
#[must_use]
pub fn action_columns() -> Vec<Column> {
    show::actions(Catalog::get(), "").columns
}

/// Columns of `catalog event` and `catalog events`.
#[must_use]
pub fn event_columns() -> Vec<Column> {
    show::events(Catalog::get(), []).columns
}

/// Runs it.
///
/// # Errors
/// When the pattern names nothing, or stdin is not a list of events.
pub fn run(context: &Context<'_>, action: &CatalogAction) -> Result<Status, CommandError> {
    let catalog = Catalog::get();
    let meta = |command: &str| Meta {
        command: command.to_owned(),
        catalogue: Some(catalog.version().to_owned()),
        ..Meta::default()
    };
    match action {
        CatalogAction::Action { pattern } => {
            let table = show::actions(catalog, pattern);
            if table.rows.is_empty() {
                return Err(CommandError::Usage(format!(
                    "`{pattern}` names no action; expected a pattern such as s3:Get* or iam:*"
                )));
            }
            context.emit(&meta("catalog action"), &table)?;
        }
        CatalogAction::Event { source, name } => {
            context.emit(&meta("catalog event"), &show::events(catalog, [(source.as_str(), name.as_str())]))?;
        }
        CatalogAction::Events { .. } => {
            let mut text = String::new();
            std::io::stdin()
                .take(STDIN_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(|source| CommandError::File { path: "stdin".to_owned(), source })?;
            let pairs = show::event_lines(&text).map_err(|error| CommandError::Usage(error.to_string()))?;
            context.emit(&meta("catalog events"), &show::events(catalog, pairs))?;
        }
    }
    Ok(Status::Done)
}
