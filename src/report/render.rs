//! From the model to text, through the templates in `reports/templates`.

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use thiserror::Error;

use super::escape;
use super::views::ReportModel;
use super::wrap::fold;

const HTML_TEMPLATE: &str = include_str!("../../reports/templates/report.html");
/// The style of every HTML file.
pub(super) const HTML_STYLE: &str = include_str!("../../reports/templates/report.css");
const MARKDOWN_TEMPLATE: &str = include_str!("../../reports/templates/report.md");
const STANDING_TEMPLATE: &str = include_str!("../../reports/templates/recommend.html");

/// Name of the escaping that Markdown templates get.
const MARKDOWN: &str = "markdown";

/// A report format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// GitHub-flavoured Markdown, folded to 80 columns outside tables.
    Markdown,
    /// One HTML file without any outside reference and without scripts.
    Html,
}

impl Format {
    /// File name extension.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }

    /// The format that `--formats` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "md" | "markdown" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            _ => None,
        }
    }
}

/// A template that cannot be rendered: a fault in the program.
#[derive(Debug, Error)]
#[error("{format} report cannot be rendered: {reason}; this is a fault in jitscan")]
pub struct RenderError {
    format: &'static str,
    reason: String,
}

/// Renders the model. Equal models give equal text.
///
/// # Errors
/// When a template is faulty, which the tests rule out.
pub fn render(model: &ReportModel, format: Format) -> Result<String, RenderError> {
    let name = match format {
        Format::Markdown => "report.md",
        Format::Html => "report.html",
    };
    let text = fill(name, format, context! { report => Value::from(Serde(model)), style => HTML_STYLE })?;
    Ok(match format {
        Format::Markdown => fold(&text),
        Format::Html => text,
    })
}

/// Fills a template. Equal values give equal text.
pub(super) fn fill(name: &str, format: Format, values: Value) -> Result<String, RenderError> {
    let fault = |error: minijinja::Error| RenderError { format: format.extension(), reason: format!("{error:#}") };
    let environment = environment().map_err(fault)?;
    let template = environment.get_template(name).map_err(fault)?;
    template.render(values).map_err(fault)
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "md")) => AutoEscape::Custom(Cow::Borrowed(MARKDOWN)),
        // Whatever else a template is called, its values are escaped.
        _ => AutoEscape::Html,
    });
    environment.set_formatter(|out, state, value| {
        if value.is_safe() {
            return out.write_str(value.as_str().unwrap_or_default()).map_err(Into::into);
        }
        // A missing value is a fault of the template, not an empty text.
        if matches!(value.kind(), ValueKind::None | ValueKind::Undefined) {
            return Err(minijinja::Error::new(minijinja::ErrorKind::UndefinedError, "a value is missing"));
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let escaped = match state.auto_escape() {
            AutoEscape::Custom(name) if name == MARKDOWN => escape::markdown(&text),
            _ => escape::html(&text),
        };
        out.write_str(&escaped).map_err(Into::into)
    });
    environment.add_template("report.html", HTML_TEMPLATE)?;
    environment.add_template("report.md", MARKDOWN_TEMPLATE)?;
    environment.add_template("recommend.html", STANDING_TEMPLATE)?;
    Ok(environment)
}
