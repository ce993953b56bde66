//! Frameworks as data: `reports/frameworks/*.json`. Control ids are the standard's, every word is ours.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::catalogue::test_entry;

/// The SOC 2 definition that is part of the program (Trust Services Criteria, common criteria).
pub const SOC2: &str = include_str!("../../reports/frameworks/soc2.json");

/// Why a framework definition cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FrameworkError {
    /// It is not JSON of the expected shape.
    #[error("framework definition cannot be read: {0}")]
    Shape(String),
    /// A control names a test that the catalogue does not have.
    #[error("control `{control}` names test `{test}`; expected one of the catalogue, such as T01")]
    UnknownTest {
        /// The control.
        control: String,
        /// The test.
        test: String,
    },
    /// A text that has to be there is empty.
    #[error("framework `{framework}` has an empty {field} at `{control}`; expected text")]
    Empty {
        /// The framework.
        framework: String,
        /// The control; empty for the framework itself.
        control: String,
        /// The field.
        field: &'static str,
    },
    /// The id cannot name a file.
    #[error("framework id `{0}` is malformed; expected lower-case letters, digits and hyphens")]
    Id(String),
    /// A control or a test of a control occurs twice.
    #[error("`{0}` occurs twice; expected once")]
    Duplicate(String),
}

/// A framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// Id, such as `soc2`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Version of the standard that the ids belong to.
    pub version: String,
    /// Version of this mapping.
    pub mapping_version: String,
    /// What a reader has to know before the controls: one sentence each.
    pub notes: Vec<String>,
    /// Controls, in the order of the standard.
    pub controls: Vec<Control>,
}

/// A control of a framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Id of the standard.
    pub id: String,
    /// What it asks for, in our own words.
    pub gist: String,
    /// Tests that serve it; empty where no test can.
    pub tests: Vec<String>,
    /// What no test of this program can evidence; never empty.
    pub cannot: Vec<String>,
}

impl Framework {
    /// Reads and checks a definition.
    ///
    /// # Errors
    /// When it is malformed, names unknown tests, repeats itself or leaves texts empty.
    pub fn parse(json: &str) -> Result<Self, FrameworkError> {
        let framework: Self = serde_json::from_str(json).map_err(|error| FrameworkError::Shape(error.to_string()))?;
        let id = framework.id.clone();
        let empty =
            |control: &str, field| FrameworkError::Empty { framework: id.clone(), control: control.to_owned(), field };
        let texts = [("id", &framework.id), ("name", &framework.name), ("version", &framework.version)];
        if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(empty("", field));
        }
        if !framework.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(FrameworkError::Id(framework.id));
        }
        if framework.controls.is_empty() {
            return Err(empty("", "list of controls"));
        }
        let mut controls = BTreeSet::new();
        for control in &framework.controls {
            if !controls.insert(control.id.as_str()) {
                return Err(FrameworkError::Duplicate(control.id.clone()));
            }
            if control.id.trim().is_empty() || control.gist.trim().is_empty() {
                return Err(empty(&control.id, "id or gist"));
            }
            if control.cannot.is_empty() || control.cannot.iter().any(|text| text.trim().is_empty()) {
                return Err(empty(&control.id, "list of what cannot be evidenced"));
            }
            let mut tests = BTreeSet::new();
            for test in &control.tests {
                if test_entry(test).is_none() {
                    return Err(FrameworkError::UnknownTest { control: control.id.clone(), test: test.clone() });
                }
                if !tests.insert(test.as_str()) {
                    return Err(FrameworkError::Duplicate(format!("{} {test}", control.id)));
                }
            }
        }
        Ok(framework)
    }

    /// The SOC 2 definition that is part of the program.
    ///
    /// # Errors
    /// When it is faulty, which a test rules out.
    pub fn soc2() -> Result<Self, FrameworkError> {
        Self::parse(SOC2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soc2_is_sound_and_has_the_controls_of_the_common_criteria_that_access_serves() {
        let soc2 = Framework::soc2().unwrap();
        let ids: Vec<&str> = soc2.controls.iter().map(|control| control.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "CC4.1", "CC4.2", "CC5.2", "CC6.1", "CC6.2", "CC6.3", "CC6.6", "CC6.7", "CC6.8", "CC7.1", "CC7.2",
                "CC7.3", "CC7.4", "CC8.1"
            ]
        );
        let text = SOC2.to_lowercase();
        assert!(!text.contains("compliant"), "a report never says so");
        let cc61 = soc2.controls.iter().find(|control| control.id == "CC6.1").unwrap();
        assert_eq!(cc61.tests, ["T01", "T02", "T16", "T17", "T18", "T20", "T32", "T34"]);
    }

    #[test]
    fn faulty_definitions_are_refused() {
        let control = |id: &str, tests: &str, cannot: &str| {
            format!(r#"{{"id":"{id}","gist":"g","tests":{tests},"cannot":{cannot}}}"#)
        };
        let framework = |controls: &str| {
            format!(r#"{{"id":"x","name":"X","version":"1","mapping_version":"1","notes":[],"controls":[{controls}]}}"#)
        };
        let good = control("A", r#"["T01"]"#, r#"["c"]"#);
        assert!(Framework::parse(&framework(&good)).is_ok());
        for (controls, error) in [
            (control("A", r#"["T99"]"#, r#"["c"]"#), "control `A` names test `T99`"),
            (control("A", r#"["T01","T01"]"#, r#"["c"]"#), "`A T01` occurs twice"),
            (format!("{good},{good}"), "`A` occurs twice"),
            (control("A", "[]", "[]"), "empty list of what cannot be evidenced at `A`"),
            (control("", "[]", r#"["c"]"#), "empty id or gist"),
            (String::new(), "empty list of controls"),
            (good.replace("gist", "jist"), "unknown field"),
        ] {
            let message = Framework::parse(&framework(&controls)).unwrap_err().to_string();
            assert!(message.contains(error), "{message} has no {error}");
        }
        let path = framework(&good).replace("\"x\"", "\"../x\"");
        assert_eq!(Framework::parse(&path), Err(FrameworkError::Id("../x".into())));
    }
}
