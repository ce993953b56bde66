//! The page of `jitscan recommend` as its template sees it: text, whole numbers and coordinates that it only places.

use serde::Serialize;

use crate::compare::assessment::Gap;
use crate::model::time::{Timestamp, Window};

/// What stands above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandingHeader {
    /// Version of the program.
    pub tool_version: String,
    /// The command that makes this page again.
    pub command: String,
    /// Period of use.
    pub window: Window,
    /// Instant of the state.
    pub as_of: Timestamp,
    /// Generation of the lake.
    pub generation: u64,
    /// Hash of the snapshot.
    pub snapshot: String,
    /// Version of the catalogue.
    pub catalogue: String,
    /// What the logs speak for, in words; may be empty.
    pub coverage: String,
    /// Working hours, in words.
    pub hours: String,
}

/// A number that stands out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tile {
    /// What it is of: an advice, `all` or `requests`.
    pub kind: &'static str,
    /// The number, as text.
    pub number: String,
    /// Whether it is nought.
    pub zero: bool,
    /// What it counts.
    pub label: &'static str,
}

/// Exposure before and after: two bars, and the numbers behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bars {
    /// An advice, or `all`.
    pub kind: &'static str,
    /// The same, in words.
    pub label: &'static str,
    /// Recommendations.
    pub rows: u64,
    /// Hours held a week times risk, as it stands.
    pub before: String,
    /// The same after what is advised.
    pub after: String,
    /// What is removed.
    pub removed: String,
    /// What is removed as a share of all exposure, in percent.
    pub share: String,
    /// Top of the pair, in units of the plot.
    pub y: i64,
    /// Length of the bar of what stands, in units of the plot; all exposure is [`ExposureView::width`].
    pub before_width: i64,
    /// Length of the bar of what is left.
    pub after_width: i64,
}

/// The first plot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExposureView {
    /// Width in units.
    pub width: i64,
    /// Height in units.
    pub height: i64,
    /// What it shows, for those who cannot see it.
    pub text: String,
    /// Everything, then each advice.
    pub bars: Vec<Bars>,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// Where, in units of the plot.
    pub at: i64,
    /// What is written there.
    pub text: String,
}

/// A place in a plot, in units of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dot {
    /// From the left.
    pub x: i64,
    /// From the top.
    pub y: i64,
}

/// Text beside a dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The dot.
    pub dot: Dot,
    /// Middle of the text, on its base line.
    pub at: Dot,
    /// Whether it lies so far off that a line leads to it.
    pub far: bool,
    /// The text.
    pub text: String,
}

/// Where the curve is drawn, in units of the plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Width of the plot.
    pub width: i64,
    /// Height of the plot.
    pub height: i64,
    /// Left end of the axis across.
    pub left: i64,
    /// Its right end.
    pub right: i64,
    /// Upper end of the axis up.
    pub top: i64,
    /// Its lower end.
    pub bottom: i64,
}

/// A point of the curve in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CurveRow {
    /// Requests a week that one person makes at most.
    pub budget: String,
    /// Conversions.
    pub conversions: u64,
    /// Requests a week of everybody.
    pub requests: String,
    /// Share of exposure that is removed, in percent.
    pub removed: String,
}

/// The second plot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CurveView {
    /// Where it is drawn.
    pub frame: Frame,
    /// What it shows, for those who cannot see it.
    pub text: String,
    /// Where the axis up begins, where that is not nought; else empty.
    pub begins: String,
    /// Marks across: requests a week of everybody.
    pub across: Vec<Tick>,
    /// Marks up: share of exposure that is removed.
    pub up: Vec<Tick>,
    /// The curve, as pairs of coordinates.
    pub line: String,
    /// A dot for each point, in order.
    pub points: Vec<Dot>,
    /// What is advised on this page.
    pub advised: Dot,
    /// Budgets beside the dots, one for dots that coincide; last, what is advised.
    pub labels: Vec<Label>,
    /// The same in numbers.
    pub rows: Vec<CurveRow>,
}

/// A shade of the third plots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shade {
    /// From 1, the lightest.
    pub level: u32,
    /// Fewest slots that it stands for.
    pub from: u64,
    /// Most slots that it stands for.
    pub to: u64,
}

/// An hour of the week with use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HourCell {
    /// Left edge, in units of the plot.
    pub x: i64,
    /// Upper edge.
    pub y: i64,
    /// Its shade, from 1.
    pub level: u32,
    /// Weekday, hour and slots, in words.
    pub text: String,
}

/// The week of one capability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeekView {
    /// The capability, in words.
    pub capability: String,
    /// Holders, sessions and slots, in words.
    pub sums: String,
    /// The hour with the most use, in words.
    pub text: String,
    /// Hours with use.
    pub cells: Vec<HourCell>,
}

/// The third plots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeeksView {
    /// Width of each in units.
    pub width: i64,
    /// Height of each in units.
    pub height: i64,
    /// Length of the sides of an hour, in units.
    pub side: i64,
    /// Where the hours begin, from the left.
    pub left: i64,
    /// How wide all hours of a day are together.
    pub across: i64,
    /// How high all days are together.
    pub down: i64,
    /// Base line of the hours' names.
    pub foot: i64,
    /// Base lines of the weekdays' names.
    pub days: Vec<Tick>,
    /// Middles of the hours' names.
    pub hours: Vec<Tick>,
    /// The shades, the same for all.
    pub shades: Vec<Shade>,
    /// Those that are shown at once.
    pub first: Vec<WeekView>,
    /// Those that are unfolded.
    pub more: Vec<WeekView>,
}

/// A recommendation as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdviceView {
    /// Its place among those that are listed, from 1.
    pub rank: u64,
    /// The advice.
    pub kind: &'static str,
    /// The same, in words.
    pub label: &'static str,
    /// The person, or the name of the principal where there is none.
    pub who: String,
    /// The name of the principal where a person holds it through that; else empty.
    pub through: String,
    /// ARN of the principal.
    pub principal: String,
    /// Account.
    pub account: String,
    /// The capability, in words.
    pub capability: String,
    /// Its services, in words.
    pub services: String,
    /// What it removes: hours held a week times risk.
    pub removed: String,
    /// Exposure as it stands.
    pub before: String,
    /// Exposure after what is advised.
    pub after: String,
    /// Why.
    pub why: Vec<String>,
    /// Requests that just-in-time would have cost, in words.
    pub requests: String,
    /// Who would approve; may be empty.
    pub approver: String,
    /// Use in the window, in words.
    pub usage: String,
    /// Actions used and granted, in words.
    pub actions: String,
    /// How sure it is.
    pub confidence: &'static str,
    /// The risk.
    pub risk: String,
    /// What it is the product of.
    pub parts: Vec<String>,
    /// Stable across runs.
    pub id: String,
}

/// The whole page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandingPage {
    /// What stands above.
    pub header: StandingHeader,
    /// Numbers that stand out.
    pub tiles: Vec<Tile>,
    /// The result, a sentence each.
    pub sums: Vec<String>,
    /// The first plot.
    pub exposure: ExposureView,
    /// The second.
    pub curve: CurveView,
    /// The third.
    pub weeks: WeeksView,
    /// Recommendations shown.
    pub rows: Vec<AdviceView>,
    /// Recommendations that were chosen for the list.
    pub chosen: u64,
    /// Of these, not shown.
    pub omitted: u64,
    /// All recommendations: what the sums and plots are made of.
    pub total: u64,
    /// What narrows the claims.
    pub gaps: Vec<Gap>,
    /// How to read the numbers.
    pub notes: Vec<String>,
}
