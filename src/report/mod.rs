//! Reports: one [`ReportModel`] made of an evaluation, rendered as Markdown and as one HTML file; and one
//! [`StandingPage`] made of recommendations, rendered as one HTML file.
//!
//! Nothing is analysed here. Both formats of a report come from the same model, so they cannot disagree; every value
//! that did not come from a template is escaped for where it goes; equal input gives equal bytes. A model is only built
//! where every population adds up.

mod escape;
mod model;
mod render;
mod sink;
mod standing;
#[cfg(test)]
mod tests;
mod views;
mod wrap;

pub use model::{BuildError, InputRecord, ReportInputs, build};
pub use render::{Format, RenderError, render};
pub use sink::{Folder, Sink, WriteError, Written, write};
pub use standing::{StandingInputs, StandingPage, UseOfWeek, render_standing, standing};
pub use views::{
    ControlTest, ControlView, CoverageView, FindingsView, GridRow, GroupView, Header, InputKind, InputsView,
    ReportModel, RowView, StatusCount, TestView,
};
