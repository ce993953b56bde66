//! Plots in whole numbers: no floating point, so that every machine draws the same. Units are those of each plot's own
//! `viewBox`; the style scales them to the screen.

use super::views::{
    Bars, CurveRow, CurveView, Dot, ExposureView, Frame, HourCell, Label, Shade, Tick, WeekView, WeeksView,
};
use super::{ADVICE, UseOfWeek, counted, decimal, grouped, percent, permille, words};
use crate::recommend::{Recommendation, Recommendations};

/// Width of the first two plots: a bar of all exposure is a thousand long.
const WIDTH: i64 = 1000;
/// Height of a pair of bars with its text.
const PAIR: i64 = 104;

/// Where the curve lies: text of 32 units, as on phones, has its place around it.
const FRAME: Frame = Frame { width: WIDTH, height: 600, left: 130, right: 960, top: 76, bottom: 480 };
/// Parts of the axes, at most.
const PARTS: u64 = 6;
/// The finest marks: a fifth of a request a week, half a percent.
const REQUESTS_STEP: u64 = 20;
const SHARE_STEP: u64 = 5;

/// Width of a character, and the space that a dot and the line take up to each side, in units.
const CHARACTER: i64 = 18;
const DOT: i64 = 10;
const STROKE: i64 = 4;
/// Parts into which a stretch of the curve is cut to see what it runs through.
const LINE: i64 = 32;

/// Distance from one hour or weekday to the next, and the sides of an hour, in units.
const PITCH: i64 = 19;
const SIDE: i64 = 17;
/// Space for the names of weekdays and of hours.
const WEEK_LEFT: i64 = 60;
const WEEK_FOOT: i64 = 28;
/// Most shades. Each stands for twice as much as the one before it: rare use is seen beside frequent use.
const SHADES: u32 = 5;
/// Weeks that are shown at once; the others are unfolded.
const WEEKS_OPEN_MAX: usize = 8;
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// So many units as `value` is a part of `of`, rounded down.
fn scale(value: u64, of: u64, units: i64) -> i64 {
    let product = u128::from(value.min(of)) * u128::from(units.unsigned_abs());
    i64::try_from(product / u128::from(of.max(1))).unwrap_or(0)
}

/// Exposure of one advice, or of all.
#[derive(Clone, Copy, Debug)]
struct Sum {
    rows: u64,
    before: u64,
    after: u64,
}

/// The first plot: bars of exposure before and after.
pub(super) fn exposure(all: &Recommendations) -> ExposureView {
    let whole = Sum { rows: all.rows.len() as u64, before: all.exposure_before, after: all.exposure_after };
    let mut sums = vec![("all", "Everything", whole)];
    for advice in ADVICE {
        let of: Vec<&Recommendation> = all.rows.iter().filter(|row| row.advice == advice).collect();
        let sum = Sum {
            rows: of.len() as u64,
            before: of.iter().map(|row| row.exposure_before).sum(),
            after: of.iter().map(|row| row.exposure_after).sum(),
        };
        sums.push((advice.as_str(), words(advice), sum));
    }
    let bars: Vec<Bars> =
        sums.into_iter().zip(0i64..).map(|((kind, label, sum), at)| pair(kind, label, sum, whole.before, at)).collect();
    let each: Vec<String> =
        bars.iter().map(|bar| format!("{}: {} before, {} after", bar.label, bar.before, bar.after)).collect();
    ExposureView { width: WIDTH, height: PAIR * bars.len() as i64, text: format!("{}.", each.join("; ")), bars }
}

fn pair(kind: &'static str, label: &'static str, sum: Sum, whole: u64, at: i64) -> Bars {
    let removed = sum.before.saturating_sub(sum.after);
    Bars {
        kind,
        label,
        rows: sum.rows,
        before: grouped(sum.before),
        after: grouped(sum.after),
        removed: grouped(removed),
        share: percent(permille(removed, whole)),
        y: at * PAIR,
        before_width: scale(sum.before, whole, WIDTH),
        after_width: scale(sum.after, whole, WIDTH),
    }
}

/// An axis: both ends and the distance of its marks, in the unit of its values.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: u64,
    to: u64,
    step: u64,
}

impl Axis {
    /// An axis over all values from `low` to `high`, with marks at round numbers, `least` apart or more.
    fn over(low: u64, high: u64, least: u64) -> Self {
        // What begins low is shown from nought; what differs little high up could not be told apart there.
        let low = if low <= high / 2 { 0 } else { low };
        let step = step(high.saturating_sub(low), PARTS).max(least);
        let from = low.saturating_sub(1) / step * step;
        let to = high.div_ceil(step).max(from / step + 1).saturating_mul(step);
        Self { from, to, step }
    }

    fn at(self, value: u64, units: i64) -> i64 {
        scale(value.saturating_sub(self.from), self.to - self.from, units)
    }

    fn marks(self) -> impl Iterator<Item = u64> {
        (0..=(self.to - self.from) / self.step).map(move |n| self.from + n * self.step)
    }
}

/// The smallest 1, 2 or 5 with noughts that divides a range into so many parts or fewer.
fn step(range: u64, parts: u64) -> u64 {
    let mut steps =
        (0..20).flat_map(|power| [1, 2, 5].map(|first: u64| first.saturating_mul(10u64.saturating_pow(power))));
    steps.find(|step| range.div_ceil(*step) <= parts).unwrap_or(u64::MAX)
}

/// The second plot: what is removed against what everybody has to ask for. `per_week` is what people would have to do
/// for what is advised, in hundredths of a request.
pub(super) fn curve(all: &Recommendations, per_week: u64) -> CurveView {
    let share = permille(all.exposure_before.saturating_sub(all.exposure_after), all.exposure_before);
    let most = all.curve.iter().map(|point| point.requests_hundredths).max().unwrap_or(0).max(per_week);
    let shares = || all.curve.iter().map(|point| point.removed_permille).chain([share]);
    let across = Axis::over(0, most, REQUESTS_STEP);
    let up = Axis::over(shares().min().unwrap_or(0), shares().max().unwrap_or(0), SHARE_STEP);
    let dot = |requests: u64, removed: u64| Dot {
        x: FRAME.left + across.at(requests, FRAME.right - FRAME.left),
        y: FRAME.bottom - up.at(removed, FRAME.bottom - FRAME.top),
    };
    let points: Vec<(Dot, u64)> = all
        .curve
        .iter()
        .map(|point| (dot(point.requests_hundredths, point.removed_permille), point.budget_hundredths))
        .collect();
    let advised = dot(per_week, share);
    let mut named = names(&points);
    named.push((advised, "as advised".to_owned()));
    let pairs: Vec<String> = points.iter().map(|(dot, _)| format!("{},{}", dot.x, dot.y)).collect();
    let rows: Vec<CurveRow> = all
        .curve
        .iter()
        .map(|point| CurveRow {
            budget: decimal(point.budget_hundredths),
            conversions: point.conversions,
            requests: decimal(point.requests_hundredths),
            removed: percent(point.removed_permille),
        })
        .collect();
    CurveView {
        frame: FRAME,
        text: curve_text(&rows),
        begins: if up.from == 0 { String::new() } else { percent(up.from) },
        across: across
            .marks()
            .map(|mark| Tick { at: dot(mark, 0).x, text: requests_mark(mark, across.step) })
            .collect(),
        up: up.marks().map(|mark| Tick { at: dot(0, mark).y, text: share_mark(mark, up.step) }).collect(),
        line: pairs.join(" "),
        points: points.iter().map(|(dot, _)| *dot).collect(),
        advised,
        labels: labels(&named, &points),
        rows,
    }
}

fn curve_text(rows: &[CurveRow]) -> String {
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => format!(
            "From {} requests a week of everybody, which remove {} of exposure, to {}, which remove {}.",
            first.requests, first.removed, last.requests, last.removed
        ),
        _ => "No budget was tried.".to_owned(),
    }
}

fn requests_mark(hundredths: u64, step: u64) -> String {
    if step.is_multiple_of(100) { grouped(hundredths / 100) } else { decimal(hundredths) }
}

fn share_mark(permille: u64, step: u64) -> String {
    if step.is_multiple_of(10) { format!("{} %", permille / 10) } else { percent(permille) }
}

/// What is written beside the dots: the budget, or the first and the last of budgets that come to the same.
fn names(points: &[(Dot, u64)]) -> Vec<(Dot, String)> {
    let name = |same: &[(Dot, u64)]| {
        let ((dot, first), (_, last)) = (same.first()?, same.last()?);
        let text = if same.len() == 1 { decimal(*first) } else { format!("{} to {}", decimal(*first), decimal(*last)) };
        Some((*dot, text))
    };
    points.chunk_by(|a, b| a.0 == b.0).filter_map(name).collect()
}

/// What a text or a dot covers.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: i64,
    right: i64,
    top: i64,
    bottom: i64,
}

impl Area {
    const fn around(dot: Dot, by: i64) -> Self {
        Self { left: dot.x - by, right: dot.x + by, top: dot.y - by, bottom: dot.y + by }
    }

    const fn of_text(at: Dot, half: i64) -> Self {
        Self { left: at.x - half, right: at.x + half, top: at.y - 27, bottom: at.y + 8 }
    }

    const fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    const fn is_inside(&self) -> bool {
        // A little over the lower axis, whose own marks are written further down.
        self.left >= FRAME.left
            && self.right <= FRAME.width
            && self.top > FRAME.top - 36
            && self.bottom < FRAME.bottom + 8
    }
}

/// Dots along the curve, near enough to each other that no text fits between them.
fn along(points: &[(Dot, u64)]) -> Vec<Dot> {
    let between = |(from, to): (&(Dot, u64), &(Dot, u64))| {
        let (from, to) = (from.0, to.0);
        let part = move |n: i64| Dot { x: from.x + (to.x - from.x) * n / LINE, y: from.y + (to.y - from.y) * n / LINE };
        (0..=LINE).map(part)
    };
    points.iter().zip(points.iter().skip(1)).flat_map(between).collect()
}

/// Places of texts beside dots: the first that is free of dots and of other texts, and of the curve where that can be.
/// A curve that rises ever less has its space above to the left and below to the right.
fn labels(named: &[(Dot, String)], points: &[(Dot, u64)]) -> Vec<Label> {
    let line: Vec<Area> = along(points).into_iter().map(|dot| Area::around(dot, STROKE)).collect();
    let mut taken: Vec<Area> = named.iter().map(|(dot, _)| Area::around(*dot, DOT)).collect();
    let mut out = Vec::with_capacity(named.len());
    for (dot, text) in named {
        let half = text.chars().count() as i64 * CHARACTER / 2;
        let spots: Vec<(Dot, bool)> =
            places(half).into_iter().map(|(x, y, far)| (Dot { x: dot.x + x, y: dot.y + y }, far)).collect();
        let is_free = |at: Dot, of: &[Area]| {
            let area = Area::of_text(at, half);
            area.is_inside() && !of.iter().any(|other| other.meets(&area))
        };
        let off_the_line = spots.iter().find(|(at, _)| is_free(*at, &taken) && is_free(*at, &line));
        let free = off_the_line.or_else(|| spots.iter().find(|(at, _)| is_free(*at, &taken)));
        // With more dots than there is space for, a text over another one beats none.
        let (at, far) = free.copied().unwrap_or((Dot { x: dot.x, y: dot.y - 20 }, false));
        taken.push(Area::of_text(at, half));
        out.push(Label { dot: *dot, at, far, text: text.clone() });
    }
    out
}

/// From the dot to the middle of a text's base line, the best first; and whether that is far.
fn places(half: i64) -> [(i64, i64, bool); 16] {
    let side = half + DOT;
    [
        (0, -20, false),
        (-half, -18, false),
        (side, 34, false),
        (0, 42, false),
        (side + 6, 11, false),
        (-side - 6, 11, false),
        (half, -18, false),
        (-half, 42, false),
        (0, -64, true),
        (side, 78, true),
        (0, 86, true),
        (-side, -64, true),
        (side, 122, true),
        (0, 130, true),
        (side, -64, true),
        (0, -108, true),
    ]
}

/// The third plots: the week of each capability.
pub(super) fn weeks(weeks: &[UseOfWeek<'_>]) -> WeeksView {
    let most = weeks.iter().flat_map(|week| week.hours.iter().flatten()).copied().max().unwrap_or(0);
    let shades = shades(most);
    let mut first: Vec<WeekView> = weeks.iter().map(|week| week_view(week, &shades)).collect();
    let more = first.split_off(first.len().min(WEEKS_OPEN_MAX));
    let (across, down) = (PITCH * 24, PITCH * DAYS.len() as i64);
    let day = |(name, at): (&&str, i64)| Tick { at: at * PITCH + 14, text: name.chars().take(3).collect() };
    WeeksView {
        width: WEEK_LEFT + across + 12,
        height: down + WEEK_FOOT,
        side: SIDE,
        left: WEEK_LEFT,
        across,
        down,
        foot: down + WEEK_FOOT - 8,
        days: DAYS.iter().zip(0i64..).map(day).collect(),
        hours: (0..=24i64)
            .step_by(6)
            .map(|hour| Tick { at: WEEK_LEFT + hour * PITCH, text: hour.to_string() })
            .collect(),
        shades,
        first,
        more,
    }
}

/// Shades for one slot up to `most`.
fn shades(most: u64) -> Vec<Shade> {
    let mut shades: Vec<Shade> = Vec::new();
    for level in 1..=SHADES {
        let to = most.div_ceil(1u64 << (SHADES - level));
        let from = shades.last().map_or(1, |last| last.to + 1);
        if from <= to {
            shades.push(Shade { level, from, to });
        } else if let Some(last) = shades.last_mut() {
            // Where there is little use, the shades are fewer, and the most is still the darkest.
            last.level = level;
        }
    }
    shades
}

fn week_view(week: &UseOfWeek<'_>, shades: &[Shade]) -> WeekView {
    let mut cells = Vec::new();
    let (mut all, mut most, mut text) = (0, 0, "No use in the window.".to_owned());
    for ((name, hours), y) in DAYS.iter().zip(week.hours).zip(0i64..) {
        for (slots, x) in hours.iter().copied().zip(0i64..) {
            if slots == 0 {
                continue;
            }
            let shade = shades.iter().find(|shade| slots <= shade.to);
            let when = format!("{name} {x}:00 to {}:00: {}", x + 1, counted(slots, "slot"));
            all += slots;
            if slots > most {
                (most, text) = (slots, format!("Most use: {when}."));
            }
            let level = shade.map_or(SHADES, |shade| shade.level);
            cells.push(HourCell { x: WEEK_LEFT + x * PITCH, y: y * PITCH, level, text: when });
        }
    }
    let sums = [counted(week.holders, "holder"), counted(week.sessions, "session"), counted(all, "slot")].join(", ");
    WeekView { capability: week.capability.to_owned(), sums, text, cells }
}
