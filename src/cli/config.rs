//! `jitscan.toml`: what only the user can know. Unknown keys are refused, so that a typing error never passes
//! silently for a setting.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::model::time::Timestamp;
use crate::recommend::times::WorkingHours;

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// ARN patterns (`*`, `?`) of break-glass principals: never called dormant, never a candidate for conversion.
    #[serde(default)]
    pub break_glass: Vec<String>,
    /// Regions in use. Where set, a region that is neither named here nor seen in the logs needs no coverage.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Names or ARNs of the trails whose bucket was ingested. Where set, or where digests show it, what other trails
    /// record does not matter; otherwise any trail of an account may have written the logs in hand.
    #[serde(default)]
    pub trails_in_hand: Vec<String>,
    /// Files with more techniques of privilege escalation, in the form of `src/recommend/data/escalations.toml`.
    #[serde(default)]
    pub escalation_techniques: Vec<PathBuf>,
    /// Files with more toxic combinations, in the form of `src/recommend/data/combinations.toml`.
    #[serde(default)]
    pub combinations: Vec<PathBuf>,
    /// Which accounts are production and which are not: patterns over their ids, their names, and the ids of the
    /// organisational units that they are in. Without them their names decide.
    #[serde(default)]
    pub environments: EnvironmentPatterns,
    /// Patterns (`*`, `?`) over names and ARNs of resources that hold what is worth stealing. Without them usual words in
    /// their names decide.
    #[serde(default)]
    pub sensitive_resources: Vec<String>,
    /// Use that does not count as need: of an incident, say.
    #[serde(default)]
    pub disregard: Vec<Disregard>,
    /// ARN patterns (`*`, `?`) of users and roles that code manages although no tag says so: plans leave them to it.
    #[serde(default)]
    pub managed_by_code: Vec<String>,
    /// When people work, for the share of requests outside of it.
    #[serde(default)]
    pub working_hours: Hours,
}

/// Patterns (`*`, `?`) over account ids and names, and over the ids of the organisational units that they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentPatterns {
    /// Production; it goes first.
    #[serde(default)]
    pub production: Vec<String>,
    /// Everything else that is known.
    #[serde(default)]
    pub non_production: Vec<String>,
}

/// A span of time in which what somebody did is no need.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disregard {
    /// Pattern (`*`, `?`) over the person, the principal's ARN, and its name.
    pub who: String,
    /// From when, RFC 3339.
    pub from: Timestamp,
    /// Until when, itself not included.
    pub to: Timestamp,
    /// Why; for people who read the file.
    #[serde(default)]
    pub why: String,
}

/// Working hours, Monday to Friday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "RawHours")]
pub struct Hours {
    /// First hour, 0 to 23.
    pub from: u8,
    /// The hour after the last, up to 24.
    pub to: u8,
    /// Minutes by which the clock is ahead of UTC.
    pub offset_minutes: i32,
}

impl Default for Hours {
    fn default() -> Self {
        let WorkingHours { from, to, offset_minutes } = WorkingHours::default();
        Self { from, to, offset_minutes }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawHours {
    from: u8,
    to: u8,
    offset_minutes: i32,
}

impl Default for RawHours {
    fn default() -> Self {
        let Hours { from, to, offset_minutes } = Hours::default();
        Self { from, to, offset_minutes }
    }
}

impl TryFrom<RawHours> for Hours {
    type Error = String;

    fn try_from(RawHours { from, to, offset_minutes }: RawHours) -> Result<Self, String> {
        if from >= to || to > 24 {
            return Err(format!(
                "working hours from {from} to {to}: expected hours from 0 to 24, the first before the last"
            ));
        }
        if offset_minutes.abs() > 14 * 60 {
            return Err(format!("offset_minutes {offset_minutes}: expected at most 14 hours"));
        }
        Ok(Self { from, to, offset_minutes })
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that is not known.
    #[error("the configuration {path} is not valid: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What, and where.
        message: String,
    },
}

/// Name of the file that is read where none is given.
const DEFAULT_FILE: &str = "jitscan.toml";

/// Reads the named file, or `jitscan.toml` where there is one.
///
/// # Errors
/// When a named file cannot be read, or any file has unknown keys or wrong types.
pub fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
        None => return Ok(Config::default()),
    };
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
    parse(&text).map_err(|message| ConfigError::Parse { path, message })
}

fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
        format!("line {line}: {}", error.message())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_settings_and_refuses_others() {
        let config = parse("break_glass = [\"arn:aws:iam::*:role/break-glass\"]\nregions = [\"us-east-1\"]\n").unwrap();
        assert_eq!((config.break_glass.len(), config.regions.len()), (1, 1));
        let config =
            parse("[environments]\nproduction = [\"shop-*\"]\n[working_hours]\nfrom = 9\noffset_minutes = 60\n")
                .unwrap();
        assert_eq!(config.environments.production, ["shop-*"]);
        assert_eq!((config.working_hours.from, config.working_hours.to), (9, 18));
        let error = parse("[working_hours]\nfrom = 20\n").unwrap_err();
        assert!(error.contains("working hours from 20 to 18"), "{error}");
        let error = parse("\nbreakglass = []\n").unwrap_err();
        assert!(error.contains("line 2: unknown field `breakglass`"), "{error}");
        assert!(parse("regions = 3").is_err());
    }
}
