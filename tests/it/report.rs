//! Reports through the public interface, from an assessment to files.

use std::os::unix::fs::PermissionsExt;

use jitscan::compare::assessment::Assessment;
use jitscan::compliance::{Framework, Parameters, evaluate};
use jitscan::model::time::{Timestamp, Window};
use jitscan::report::{Folder, Format, ReportInputs, build, write};

fn nothing_collected() -> Assessment {
    let as_of = Timestamp::from_seconds(1_795_132_800);
    Assessment {
        as_of,
        window: Window::last_days(as_of, 90),
        generation: 0,
        snapshot: String::new(),
        catalogue: "0".into(),
        privileged_set: "0".into(),
        accounts: vec![],
        principals: vec![],
        credentials: vec![],
        shared: Vec::new(),
        ended: std::collections::BTreeMap::new(),
        coverage: vec![],
        gaps: vec![],
    }
}

#[test]
fn a_report_without_any_input_passes_nothing_and_is_written_for_the_owner_only() {
    let assessment = nothing_collected();
    let framework = Framework::soc2().unwrap();
    let results = evaluate(&assessment, &framework, &Parameters::default(), &[]).unwrap();
    let model = build(&ReportInputs {
        framework: &framework,
        assessment: &assessment,
        results: &results,
        exceptions: &[],
        findings: &[],
        inputs: &[],
        tool_version: env!("CARGO_PKG_VERSION"),
        command: "jitscan report --soc2",
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a/b");
    let written = write(&model, &[Format::Html, Format::Markdown], &mut Folder(target.clone())).unwrap();
    let names: Vec<&str> = written.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["soc2.html", "soc2.md"]);
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2, "no part files are left");
    for file in &written {
        let path = target.join(&file.name);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("no account was collected, so the population is not known"));
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let assessment = nothing_collected();
    let framework = Framework::soc2().unwrap();
    let results = evaluate(&assessment, &framework, &Parameters::default(), &[]).unwrap();
    let inputs = ReportInputs {
        framework: &framework,
        assessment: &assessment,
        results: &results,
        exceptions: &[],
        findings: &[],
        inputs: &[],
        tool_version: "0",
        command: "c",
    };
    let error = write(&build(&inputs).unwrap(), &[Format::Html], &mut Folder(file)).unwrap_err();
    assert!(error.to_string().starts_with("report file `soc2.html` cannot be written: "), "{error}");
}
