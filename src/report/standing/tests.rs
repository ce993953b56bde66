//! What holds of the page: its numbers are those of the input, and nothing in it is more than text.

use super::*;
use crate::entitlements::AccessClass;
use crate::model::finding::Confidence;
use crate::recommend::Point;
use crate::recommend::friction::{Forecast, Friction};
use crate::recommend::risk::Risk;
use crate::recommend::scope::Reach;

/// Names that try to be more than names.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "nimda\u{202e}txt.exe",
    "</title></svg><img src=x>",
    "{{ 7 * 7 }}{% raw %}",
];
const HOURS: [[u64; 24]; 7] = [[1; 24]; 7];

fn row(capability: &str, advice: Advice, before: u64, after: u64) -> Recommendation {
    Recommendation {
        id: "0123456789abcdef".to_owned(),
        principal: "arn:aws:iam::111122223333:role/AWSReservedSSO_Operator_0123456789abcdef".to_owned(),
        person: "ana".to_owned(),
        account: "111122223333".to_owned(),
        capability: capability.to_owned(),
        class: AccessClass::Write,
        services: vec!["rds".to_owned()],
        advice,
        why: vec!["used in 9 sessions".to_owned()],
        confidence: Confidence::Medium,
        break_glass: false,
        granted: 10,
        used: 5,
        reach: Reach::default().into(),
        touched: Vec::new(),
        needed: Vec::new(),
        rhythm: None,
        sessions: 9,
        active_days: 1,
        duty_permille: 12,
        last: Some("2026-03-31T09:00:00Z".parse().unwrap()),
        friction: Friction { requests: 9, out_of_hours: 2, grant_minutes: 120, days: 90, at_least: true },
        approver: "bob".to_owned(),
        risk: Risk { score: 24, parts: vec!["write 4".to_owned(), "production x3".to_owned()] },
        exposure_before: before,
        exposure_after: after,
    }
}

fn point(budget: u64, requests: u64, removed: u64) -> Point {
    Point {
        budget_hundredths: budget,
        requests_hundredths: requests,
        removed_permille: removed,
        conversions: budget + 7,
    }
}

fn of(rows: Vec<Recommendation>, curve: Vec<Point>) -> Recommendations {
    Recommendations {
        exposure_before: rows.iter().map(|row| row.exposure_before).sum(),
        exposure_after: rows.iter().map(|row| row.exposure_after).sum(),
        forecast: Forecast { foreseen_hundredths: 300, counted: 4, error_hundredths: 150, proposals: 2 },
        rows,
        curve,
    }
}

fn inputs<'a>(
    all: &'a Recommendations,
    rows: &'a [&'a Recommendation],
    weeks: &'a [UseOfWeek<'a>],
) -> StandingInputs<'a> {
    StandingInputs {
        recommendations: all,
        rows,
        weeks,
        window: Window { from: "2026-01-01".parse().unwrap(), to: "2026-04-01".parse().unwrap() },
        as_of: "2026-04-01".parse().unwrap(),
        generation: 3,
        snapshot: "blake3:00",
        catalogue: "2026-01-01-00",
        coverage: "90 of 90 days",
        hours: "Monday to Friday, 8 to 18 UTC",
        gaps: &[],
        tool_version: "0.1.0",
        command: "jitscan recommend",
    }
}

/// A page of everything that there is.
fn page_of(all: &Recommendations, weeks: &[UseOfWeek<'_>]) -> StandingPage {
    let rows: Vec<&Recommendation> = all.rows.iter().collect();
    standing(&inputs(all, &rows, weeks))
}

#[test]
fn everything_is_escaped() {
    for name in HOSTILE {
        let mut one = row(name, Advice::ConvertToJit, 1000, 10);
        for field in [&mut one.id, &mut one.principal, &mut one.person, &mut one.account, &mut one.approver] {
            *field = name.to_owned();
        }
        for list in [&mut one.services, &mut one.why, &mut one.risk.parts] {
            *list = vec![name.to_owned()];
        }
        let all = of(vec![one], vec![point(0, 0, 0)]);
        let rows: Vec<&Recommendation> = all.rows.iter().collect();
        let weeks = [UseOfWeek { capability: name, holders: 3, sessions: 1, hours: &HOURS }];
        let gaps = [Gap { kind: name.to_owned(), what: name.to_owned(), remedy: name.to_owned() }];
        let page = standing(&StandingInputs {
            snapshot: name,
            catalogue: name,
            coverage: name,
            hours: name,
            gaps: &gaps,
            tool_version: name,
            command: name,
            ..inputs(&all, &rows, &weeks)
        });
        let html = render_standing(&page).unwrap();
        for forbidden in ["<script", "<img", "onmouseover=\"alert", "\u{202e}", "<link", "@import", "url("] {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
        assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'"));
        assert_eq!(html.matches("<style>").count(), 1);
        assert_eq!(html.matches("<svg").count(), 3);
        assert_eq!(html.matches("</svg>").count(), 3);
    }
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let gap = |kind: &str| Gap { kind: kind.to_owned(), what: "w".to_owned(), remedy: String::new() };
    let html = |gaps: &[Gap]| {
        let all = of(vec![row("a", Advice::Remove, 100, 0)], vec![point(0, 0, 0), point(100, 50, 800)]);
        let rows: Vec<&Recommendation> = all.rows.iter().collect();
        let weeks = [UseOfWeek { capability: "a", holders: 3, sessions: 1, hours: &HOURS }];
        render_standing(&standing(&StandingInputs { gaps, ..inputs(&all, &rows, &weeks) })).unwrap()
    };
    assert_eq!(html(&[gap("a"), gap("b")]), html(&[gap("b"), gap("a")]));
}

#[test]
fn empty_inputs_render() {
    let html = render_standing(&page_of(&Recommendations::default(), &[])).unwrap();
    for said in [
        "No recommendation was chosen for this list.",
        "No budget was tried.",
        "No capability was chosen to be shown here.",
        "No gap was recorded.",
        "Following all of it removes 0.0 % of exposure: 0 before, 0 after.",
    ] {
        assert!(html.contains(said), "{said}");
    }
    let unused = [UseOfWeek { capability: "a", holders: 0, sessions: 0, hours: &[[0; 24]; 7] }];
    let html = render_standing(&page_of(&of(vec![], vec![point(0, 0, 0)]), &unused)).unwrap();
    assert!(html.contains("0 holders, 0 sessions, 0 slots. No use in the window."));
}

#[test]
fn bars_are_as_long_as_exposure_is_great() {
    let all = of(
        vec![
            row("a", Advice::Remove, 600_000, 0),
            row("b", Advice::ConvertToJit, 200_000, 20_000),
            row("c", Advice::ConvertToJit, 100_000, 10_000),
            row("d", Advice::KeepStanding, 100_000, 100_000),
        ],
        vec![],
    );
    let page = page_of(&all, &[]);
    let lengths: Vec<(&str, u64, i64, i64)> =
        page.exposure.bars.iter().map(|bar| (bar.kind, bar.rows, bar.before_width, bar.after_width)).collect();
    assert_eq!(
        lengths,
        [
            ("all", 4, 1000, 130),
            ("remove", 1, 600, 0),
            ("convert_to_jit", 2, 300, 30),
            ("shrink", 0, 0, 0),
            ("decide_later", 0, 0, 0),
            ("keep_standing", 1, 100, 100),
        ]
    );
    let html = render_standing(&page).unwrap();
    for drawn in [
        "<rect class=\"before\" x=\"0\" y=\"46\" width=\"300\"",
        "<rect class=\"after\" x=\"0\" y=\"65\" width=\"30\"",
        ">1,000,000 → 130,000</text>",
        "<td>300,000</td><td>30,000</td><td>270,000</td><td>27.0 %</td>",
    ] {
        assert!(html.contains(drawn), "{drawn}");
    }
}

#[test]
fn every_point_of_the_curve_is_drawn_and_named() {
    let all = of(vec![], vec![point(0, 0, 0), point(25, 500, 500), point(50, 1000, 1000), point(100, 1000, 1000)]);
    let page = page_of(&all, &[]);
    let dots: Vec<(i64, i64)> = page.curve.points.iter().map(|dot| (dot.x, dot.y)).collect();
    assert_eq!(dots, [(130, 480), (545, 278), (960, 76), (960, 76)]);
    assert_eq!(page.curve.line, "130,480 545,278 960,76 960,76");
    let names: Vec<&str> = page.curve.labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(names, ["0.00", "0.25", "0.50 to 1.00", "as advised"]);
    let marks = |ticks: &[views::Tick]| ticks.iter().map(|tick| tick.text.clone()).collect::<Vec<_>>();
    assert_eq!(marks(&page.curve.across), ["0", "2", "4", "6", "8", "10"]);
    assert_eq!(marks(&page.curve.up), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
    assert!(page.curve.begins.is_empty());
    let html = render_standing(&page).unwrap();
    assert_eq!(html.matches("<circle class=\"dot\"").count(), 4);
    assert!(html.contains("<th scope=\"row\">0.25</th><td>32</td><td>5.00</td><td>50.0 %</td>"));
}

#[test]
fn small_differences_are_shown_large_and_said_to_be() {
    let all = of(vec![row("a", Advice::Remove, 1000, 80)], vec![point(0, 0, 900), point(100, 50, 950)]);
    let page = page_of(&all, &[]);
    let marks: Vec<&str> = page.curve.up.iter().map(|tick| tick.text.as_str()).collect();
    assert_eq!(marks, ["89 %", "90 %", "91 %", "92 %", "93 %", "94 %", "95 %"]);
    let html = render_standing(&page).unwrap();
    assert!(html.contains("The upright axis begins at 89.0 %, not at nought."));
    // All the same, at the end of the scale: nothing beyond it is drawn.
    let all = of(vec![row("a", Advice::Remove, 1000, 0)], vec![point(0, 0, 1000), point(100, 50, 1000)]);
    let page = page_of(&all, &[]);
    assert_eq!(page.curve.up.last().map(|tick| tick.text.as_str()), Some("100.0 %"));
}

#[test]
fn texts_of_the_curve_lie_apart() {
    let points = [
        (0, 0, 33),
        (25, 238, 39),
        (50, 392, 40),
        (100, 1076, 41),
        (200, 2053, 43),
        (300, 3615, 45),
        (500, 5807, 46),
        (1000, 6415, 46),
    ];
    let curve = points.into_iter().map(|(budget, requests, removed)| point(budget, requests, removed)).collect();
    let page = page_of(&of(vec![row("a", Advice::Remove, 1000, 955)], curve), &[]);
    let half = |text: &str| text.chars().count() as i64 * 9;
    for (at, one) in page.curve.labels.iter().enumerate() {
        for other in &page.curve.labels[at + 1..] {
            let across = (one.at.x - other.at.x).abs() >= half(&one.text) + half(&other.text);
            assert!(across || (one.at.y - other.at.y).abs() >= 35, "{one:?} {other:?}");
        }
    }
}

#[test]
fn weeks_show_the_hours_of_the_input() {
    let mut hours = [[0; 24]; 7];
    hours[0][9] = 4;
    hours[6][23] = 1;
    let week = UseOfWeek { capability: "write rds", holders: 3, sessions: 1, hours: &hours };
    let page = page_of(&Recommendations::default(), &[week]);
    let cells: Vec<(i64, i64, u32, &str)> =
        page.weeks.first[0].cells.iter().map(|cell| (cell.x, cell.y, cell.level, cell.text.as_str())).collect();
    assert_eq!(cells, [(231, 0, 5, "Monday 9:00 to 10:00: 4 slots"), (497, 114, 3, "Sunday 23:00 to 24:00: 1 slot")]);
    let shades: Vec<(u32, u64, u64)> =
        page.weeks.shades.iter().map(|shade| (shade.level, shade.from, shade.to)).collect();
    assert_eq!(shades, [(3, 1, 1), (4, 2, 2), (5, 3, 4)]);
    let html = render_standing(&page).unwrap();
    assert!(html.contains("3 holders, 1 session, 5 slots. Most use: Monday 9:00 to 10:00: 4 slots."));
    assert!(html.contains("<rect class=\"q5\" x=\"231\" y=\"0\" width=\"17\" height=\"17\">"));
    // What is not used has no rectangle: the field lies beneath.
    assert_eq!(html.matches("<rect class=\"q").count(), 2);
}

#[test]
fn many_weeks_are_unfolded() {
    let week = UseOfWeek { capability: "write rds", holders: 3, sessions: 1, hours: &HOURS };
    let page = page_of(&Recommendations::default(), &[week; 10]);
    assert_eq!((page.weeks.first.len(), page.weeks.more.len()), (8, 2));
    let html = render_standing(&page).unwrap();
    assert!(html.contains("<summary>2 more</summary>"));
    assert_eq!(html.matches("<svg class=\"plot heat\"").count(), 10);
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let rows = (0..302).map(|n| row(&format!("capability {n}"), Advice::Remove, 100, 0)).collect();
    let all = of(rows, vec![]);
    let page = page_of(&all, &[]);
    assert_eq!((page.rows.len(), page.chosen, page.omitted, page.total), (300, 302, 2, 302));
    for (at, one) in page.rows.iter().enumerate() {
        assert_eq!((one.rank, one.capability.clone()), (at as u64 + 1, format!("capability {at}")));
    }
    let html = render_standing(&page).unwrap();
    assert_eq!(html.matches("<details class=\"advice").count(), 300);
    assert!(html.contains("2 of 302 rows are not shown here"));
    let chosen: Vec<&Recommendation> = all.rows.iter().skip(300).collect();
    let page = standing(&inputs(&all, &chosen, &[]));
    assert_eq!((page.rows.len(), page.chosen, page.omitted, page.total), (2, 2, 0, 302));
    assert!(render_standing(&page).unwrap().contains("2 of 302 were chosen for this list"));
}

#[test]
fn a_row_says_what_it_rests_on() {
    let mut quiet = row("write s3", Advice::DecideLater, 4032, 4032);
    quiet.friction = Friction::default();
    quiet.person = String::new();
    (quiet.sessions, quiet.last) = (0, None);
    quiet.services = (0..14).map(|n| format!("s{n}")).collect();
    let page = page_of(&of(vec![row("write rds", Advice::ConvertToJit, 4032, 33), quiet], vec![]), &[]);
    let (asked, quiet) = (&page.rows[0], &page.rows[1]);
    assert_eq!((asked.who.as_str(), asked.through.as_str(), asked.removed.as_str()), ("ana", "Operator", "3,999"));
    assert_eq!(asked.requests, "at least 0.70 a week with grants of 2 h; 9 in the window, 2 outside working hours");
    assert_eq!(asked.usage, "9 sessions on 1 day, 1.2 % of working time; last on 2026-03-31");
    assert_eq!(asked.actions, "5 of 10 actions");
    assert_eq!((quiet.who.as_str(), quiet.through.as_str()), ("Operator", ""));
    assert_eq!((quiet.requests.as_str(), quiet.usage.as_str()), ("0 in the window", "none of their own in the window"));
    assert!(quiet.services.ends_with("s10, s11 and 2 more"), "{}", quiet.services);
    let html = render_standing(&page).unwrap();
    for said in ["medium", "24 <span class=\"dim\">= write 4 · production x3</span>", "approved by bob"] {
        assert!(html.contains(said), "{said}");
    }
    assert!(page.sums.contains(&"Most requests for one approver: 0.70 a week, for bob.".to_owned()), "{:?}", page.sums);
    assert!(page.sums.iter().any(|sum| sum.contains("3.00 were foreseen for the last third and 4 counted")));
}

#[test]
fn numbers_are_written_out() {
    for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), want);
    }
    assert_eq!((decimal(5), decimal(123_456)), ("0.05".to_owned(), "1,234.56".to_owned()));
    assert_eq!((percent(4), percent(1000)), ("0.4 %".to_owned(), "100.0 %".to_owned()));
    assert_eq!((permille(1, 3), permille(0, 0), permille(u64::MAX, u64::MAX)), (333, 0, 1000));
    assert_eq!((counted(1, "day"), counted(2, "day")), ("1 day".to_owned(), "2 days".to_owned()));
}
