//! What holds of whole reports.

use super::*;
use crate::compare::assessment::{Assessment, Nature, PrincipalKind};
use crate::compliance::{Exception, Framework, Parameters, evaluate, sample};
use crate::model::finding::{Confidence, Evidence, Finding, FindingState, Severity};

/// Names that try to be more than names.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "pipe|cell",
    "`code`",
    "line\nbreak\r\n## heading",
    "nimda\u{202e}txt.exe",
    "[click](javascript:alert(1)) ![x](http://evil.example/a.png)",
    "\" onmouseover=\"alert(1)",
    "{{ 7 * 7 }}{% raw %}",
];

fn finding(title: &str, severity: Severity, state: FindingState) -> Finding {
    Finding {
        id: format!("f-{}", title.len()),
        kind: "standing_privilege".into(),
        severity,
        principal: format!("arn:aws:iam::111122223333:role/{title}"),
        person: "ana".into(),
        account: sample::ACCOUNT.into(),
        title: title.into(),
        state,
        confidence: Confidence::High,
        evidence: Evidence::default(),
    }
}

fn model_of(assessment: &Assessment, exceptions: &[Exception]) -> ReportModel {
    let framework = Framework::soc2().unwrap();
    let results = evaluate(assessment, &framework, &Parameters::default(), exceptions).unwrap();
    build(&ReportInputs {
        framework: &framework,
        assessment,
        results: &results,
        exceptions,
        findings: &[
            finding("low one", Severity::Low, FindingState::Open),
            finding("critical one", Severity::Critical, FindingState::New),
            finding("gone", Severity::High, FindingState::Resolved),
        ],
        inputs: &[InputRecord {
            kind: "credential_report".into(),
            name: "report.csv".into(),
            hash: "blake3:00".into(),
            records: Some(3),
        }],
        tool_version: "0.1.0",
        command: "jitscan report --soc2 --as-of 2026-11-20T00:00:00Z --window 90d",
    })
    .unwrap()
}

fn exceptions() -> Vec<Exception> {
    vec![
        sample::exception("E-1", "T01", "arn:aws:iam::111122223333:user/legacy"),
        Exception {
            expires: Some(sample::as_of()),
            ..sample::exception("E-2", "T32", "arn:aws:iam::111122223333:user/legacy")
        },
        sample::exception("E-3", "T15", "arn:aws:iam::111122223333:root"),
    ]
}

fn hostile() -> Assessment {
    let mut assessment = sample::assessment();
    for (index, name) in HOSTILE.iter().enumerate() {
        let mut facts = sample::principal(name, PrincipalKind::Role, Nature::Human);
        facts.administrator = true;
        facts.holders = vec![(*name).to_owned()];
        facts.privileged_statements = vec![(*name).to_owned()];
        facts.unobservable_because = vec![(*name).to_owned()];
        facts.activity_observable = index % 2 == 0;
        facts.remarks = vec![sample::remark("full_administrator", name)];
        assessment.principals.push(facts);
    }
    assessment
}

/// The text that a reader of the HTML sees, with one blank for every tag.
fn text_of_html(html: &str) -> String {
    let body = html.split_once("</style>").unwrap().1;
    let mut text = String::new();
    let mut tag = false;
    for c in body.chars() {
        match c {
            '<' => tag = true,
            '>' => {
                tag = false;
                text.push(' ');
            }
            c if !tag => text.push(c),
            _ => {}
        }
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&#96;", "`").replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text that a reader of the Markdown sees, on one line.
fn text_of_markdown(markdown: &str) -> String {
    let mut text = String::new();
    let mut chars = markdown.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            '*' => {}
            c => text.push(c),
        }
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&#32;", " ").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every statement "population 5 = …; tested 4" in order.
fn sums(text: &str) -> Vec<String> {
    text.split("population ")
        .skip(1)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|rest| {
            let (sum, tested) = rest.split_once("; tested ").or_else(|| rest.split_once(" ; tested "))?;
            let sum = sum.split_whitespace().collect::<Vec<_>>().join(" ");
            let digits: String = tested.trim_start().chars().take_while(char::is_ascii_digit).collect();
            Some(format!("population {sum}; tested {digits}"))
        })
        .collect()
}

#[test]
fn both_formats_carry_the_same_numbers_and_rows() {
    let model = model_of(&hostile(), &exceptions());
    let html = text_of_html(&render(&model, Format::Html).unwrap());
    let markdown = text_of_markdown(&render(&model, Format::Markdown).unwrap());
    let wanted: Vec<String> = model
        .tests
        .iter()
        .map(|test| {
            let c = &test.result.counts;
            format!(
                "population {} = {} pass + {} fail + {} excepted + {} inconclusive; tested {}",
                c.population, c.pass, c.fail, c.excepted, c.inconclusive, c.tested
            )
        })
        .collect();
    assert_eq!(wanted.len(), 9);
    assert_eq!(sums(&html), wanted);
    assert_eq!(sums(&markdown), wanted);
    let squeeze = |text: &str| escape::visible(text).split_whitespace().collect::<Vec<_>>().join(" ");
    for row in model.tests.iter().flat_map(|test| &test.groups).flat_map(|group| &group.rows) {
        for field in [&row.subject, &row.why] {
            assert!(html.contains(&squeeze(field)), "{field} is not in the HTML");
            assert!(markdown.contains(&squeeze(field)), "{field} is not in the Markdown");
        }
    }
    for line in &model.grid {
        let cells: String = line.cells.iter().filter(|cell| !cell.is_empty()).map(|cell| format!("{cell} ")).collect();
        assert!(html.contains(format!("{} {cells}{}", line.control, line.later).trim()), "{line:?}");
    }
}

#[test]
fn hostile_names_are_only_names() {
    let model = model_of(&hostile(), &[]);
    let html = render(&model, Format::Html).unwrap();
    for forbidden in ["<script", "<img", "onmouseover=\"alert", "\u{202e}", "href=\"javascript"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("{{ 7 * 7 }}"), "template syntax in a name is text");
    assert_eq!(html.matches("<style>").count(), 1);
    for external in ["src=", "@import", "url(", "<link", "<script"] {
        assert!(!html.contains(external), "{external}");
    }
    let markdown = render(&model, Format::Markdown).unwrap();
    for forbidden in ["<", "\u{202e}", "\r", "://"] {
        assert!(!markdown.contains(forbidden), "{forbidden}");
    }
    assert_eq!(markdown.matches("](").count(), markdown.matches("\\](").count(), "no link");
    // A name adds no line, no table cell and no heading.
    assert!(!markdown.lines().any(|line| line.trim_start().starts_with("## heading")));
    let plain = render(&model_of(&sample::assessment(), &[]), Format::Markdown).unwrap();
    let headings = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert!(headings(&markdown) - headings(&plain) <= 3, "only groups that were empty before");
}

#[test]
fn text_keeps_within_eighty_columns() {
    let markdown = render(&model_of(&sample::assessment(), &exceptions()), Format::Markdown).unwrap();
    let too_wide: Vec<&str> = markdown
        .lines()
        .filter(|line| line.chars().count() > 80 && line.trim().contains(' ') && !line.trim().starts_with("- "))
        .collect();
    assert!(too_wide.is_empty(), "{too_wide:#?}");
}

#[test]
fn equal_input_gives_equal_bytes() {
    for format in [Format::Markdown, Format::Html] {
        let once = render(&model_of(&hostile(), &exceptions()), format).unwrap();
        let mut shuffled = hostile();
        shuffled.principals.reverse();
        shuffled.coverage.reverse();
        shuffled.gaps.reverse();
        let mut reversed = exceptions();
        reversed.reverse();
        assert_eq!(once, render(&model_of(&shuffled, &reversed), format).unwrap());
    }
}

#[test]
fn reports_never_say_compliant() {
    for format in [Format::Markdown, Format::Html] {
        let text = render(&model_of(&sample::assessment(), &exceptions()), format).unwrap().to_lowercase();
        assert!(!text.contains("compliant"));
    }
}

#[test]
fn every_exception_is_listed_with_its_fate() {
    let model = model_of(&sample::assessment(), &exceptions());
    let states: Vec<(&str, &str)> =
        model.exceptions.iter().map(|used| (used.exception.id.as_str(), used.state.as_str())).collect();
    assert_eq!(states, [("E-1", "applied"), ("E-3", "not_tested"), ("E-2", "expired")]);
}

#[test]
fn a_report_on_wrong_sums_is_refused() {
    let assessment = sample::assessment();
    let framework = Framework::soc2().unwrap();
    let results = evaluate(&assessment, &framework, &Parameters::default(), &[]).unwrap();
    let inputs = |results| ReportInputs {
        framework: &framework,
        assessment: &assessment,
        results,
        exceptions: &[],
        findings: &[],
        inputs: &[],
        tool_version: "0",
        command: "c",
    };
    let mut wrong = results.clone();
    wrong[0].counts.pass += 1;
    assert!(matches!(build(&inputs(&wrong)), Err(BuildError::Arithmetic { test, .. }) if test == "T01"));
    let mut lost = results.clone();
    lost[2].rows.pop();
    assert!(matches!(build(&inputs(&lost)), Err(BuildError::Arithmetic { .. })));
    assert!(matches!(build(&inputs(&results[1..])), Err(BuildError::Missing(test)) if test == "T01"));
    let mut twice = results.clone();
    twice.push(results[0].clone());
    assert!(matches!(build(&inputs(&twice)), Err(BuildError::Duplicate(test)) if test == "T01"));
}

#[test]
fn an_empty_assessment_passes_nothing() {
    let mut empty = sample::of(vec![], vec![]);
    empty.accounts.clear();
    let model = model_of(&empty, &[]);
    assert!(model.tests.iter().all(|test| test.status == "INCONCLUSIVE"));
    for format in [Format::Markdown, Format::Html] {
        assert!(render(&model, format).unwrap().contains("none collected"));
    }
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let mut assessment = sample::of(vec![], vec![]);
    assessment.principals = (0..700)
        .map(|index| {
            let mut facts = sample::principal(&format!("r{index:04}"), PrincipalKind::Role, Nature::Human);
            facts.administrator = true;
            facts
        })
        .collect();
    let model = model_of(&assessment, &[]);
    let group = &model.tests[0].groups[0];
    assert_eq!((group.total, group.omitted, group.units, group.rows.len()), (700, 200, 700, 500));
    for format in [Format::Markdown, Format::Html] {
        let text = render(&model, format).unwrap();
        assert!(text.contains("200 of 700 rows are counted above and not shown here."));
    }
}

#[test]
fn many_inputs_are_summed_and_hashed() {
    let assessment = sample::assessment();
    let framework = Framework::soc2().unwrap();
    let results = evaluate(&assessment, &framework, &Parameters::default(), &[]).unwrap();
    let mut files: Vec<InputRecord> = (0..1000)
        .map(|index| InputRecord {
            kind: "cloudtrail".into(),
            name: format!("{index:04}.json.gz"),
            hash: "blake3:00".into(),
            records: Some(2),
        })
        .collect();
    let of = |files: &[InputRecord]| {
        let inputs = ReportInputs {
            framework: &framework,
            assessment: &assessment,
            results: &results,
            exceptions: &[],
            findings: &[],
            inputs: files,
            tool_version: "0",
            command: "c",
        };
        build(&inputs).unwrap().inputs
    };
    let first = of(&files);
    assert_eq!((first.kinds[0].files, first.kinds[0].records, first.rows.len(), first.omitted), (1000, 2000, 200, 800));
    files.reverse();
    assert_eq!(first, of(&files));
    files[0].hash = "blake3:01".into();
    assert_ne!(first.kinds[0].hash, of(&files).kinds[0].hash, "also what is not shown is hashed");
}

/// Not a test of anything: writes reports to look at. `cargo nextest run --run-ignored only -E 'test(writes_reports_to_look_at)'`
#[test]
#[ignore = "writes files to look at"]
fn writes_reports_to_look_at() {
    let folder = std::env::temp_dir().join("jitscan-report-sample");
    let mut sink = Folder(folder.clone());
    let mut model = model_of(&hostile(), &exceptions());
    write(&model, &[Format::Markdown, Format::Html], &mut sink).unwrap();
    model = model_of(&sample::assessment(), &exceptions());
    model.id = "plain".into();
    for written in write(&model, &[Format::Markdown, Format::Html], &mut sink).unwrap() {
        println!("{} {} bytes", folder.join(written.name).display(), written.bytes);
    }
}
