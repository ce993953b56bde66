//! Reports: one [`ReportModel`] made of an evaluation, rendered as Markdown and as one HTML file.
//!
//! Nothing is analysed here. Both formats come from the same model, so they cannot disagree; every value that did
//! not come from a template is escaped for where it goes; equal input gives equal bytes. A model is only built
//! where every population adds up.

mod escape;
mod model;
mod render;
mod sink;
#[cfg(test)]
mod tests;
mod views;
mod wrap;

pub use model::{BuildError, InputRecord, ReportInputs, build};
pub use render::{Format, RenderError, render};
pub use sink::{Folder, Sink, WriteError, Written, write};
pub use views::{
    ControlTest, ControlView, CoverageView, FindingsView, GridRow, GroupView, Header, InputKind, InputsView,
    ReportModel, RowView, StatusCount, TestView,
};
