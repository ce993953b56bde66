//! Small values of the command line: spans of time, severities, numbers of threads, accounts.

use std::num::NonZeroUsize;

use crate::fetch::Purpose;
use crate::model::finding::Severity;
use crate::model::time::{Timestamp, Window};

/// A length of time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    seconds: i64,
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.seconds % 86_400 == 0 {
            write!(f, "{}d", self.seconds / 86_400)
        } else {
            write!(f, "{}h", self.seconds / 3_600)
        }
    }
}

impl Span {
    /// The instant so long after another.
    #[must_use]
    pub const fn after(self, from: Timestamp) -> Timestamp {
        from.plus_seconds(self.seconds)
    }

    /// The window of this length that ends at `to`.
    #[must_use]
    pub const fn ending(self, to: Timestamp) -> Window {
        Window { from: to.plus_seconds(-self.seconds), to }
    }
}

/// Longest window: ten years. Longer ones are typing errors.
const MAX_SECONDS: i64 = 3653 * 86_400;

/// Reads `90d`, `12w` or `48h`.
///
/// # Errors
/// Says what was expected.
pub fn parse(text: &str) -> Result<Span, String> {
    let bad = || format!("`{text}` is not a span; expected a number and d, w or h, such as 90d");
    let unit = text.chars().next_back().ok_or_else(bad)?;
    let seconds = match unit {
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(bad()),
    };
    let number: i64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(bad)?;
    match number.checked_mul(seconds) {
        Some(seconds) if (1..=MAX_SECONDS).contains(&seconds) => Ok(Span { seconds }),
        _ => Err(format!("`{text}` is out of range; expected one hour to ten years")),
    }
}

/// Reads `2/week`, `5/month` or `1/day` as requests a week, in hundredths.
///
/// # Errors
/// Says what was expected.
pub fn budget(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is no budget of requests; expected a number and a span, such as 2/week or 5/month");
    let (number, span) = text.split_once('/').ok_or_else(bad)?;
    let days = match span.trim() {
        "day" | "d" => 1,
        "week" | "w" => 7,
        "month" | "m" => 30,
        _ => return Err(bad()),
    };
    let (whole, part) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 4 || part.len() > 2 || !digits(whole) || !digits(part) {
        return Err(bad());
    }
    let hundredths: u64 = format!("{whole}{part:0<2}").parse().map_err(|_| bad())?;
    Ok(hundredths * 7 / days)
}

/// Most threads: more than any machine has cores. A typing error must not start a hundred million of them.
const MAX_THREADS: usize = 1024;

/// Reads a number of threads.
///
/// # Errors
/// Says what was expected.
pub fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse::<NonZeroUsize>()
        .ok()
        .filter(|threads| threads.get() <= MAX_THREADS)
        .ok_or_else(|| format!("`{text}` is not a number of threads; expected 1 to {MAX_THREADS}"))
}

/// Reads a date, meaning its midnight UTC. Times of day are refused: what is asked by the day is done by the day.
///
/// # Errors
/// Says what was expected.
pub fn date(text: &str) -> Result<Timestamp, String> {
    let bad = || format!("`{text}` is not a date; expected a day such as 2026-01-31");
    let time: Timestamp = text.parse().map_err(|_| bad())?;
    if text.len() == 10 && time == time.day().start() { Ok(time) } else { Err(bad()) }
}

/// Reads a part of what `collect` brings.
///
/// # Errors
/// Lists the parts.
pub fn part(text: &str) -> Result<Purpose, String> {
    let parts = Purpose::CHOICES.map(Purpose::as_str).join(", ");
    Purpose::parse(text).ok_or_else(|| format!("`{text}` is no part of what is collected; expected one of {parts}"))
}

/// Reads the id of an account, an organisational unit or a root. Source: Organizations API reference, "Account",
/// "OrganizationalUnit" and "Root".
///
/// # Errors
/// Says what was expected.
pub fn account_or_unit(text: &str) -> Result<String, String> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let known = match text.split_once('-') {
        None => text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()),
        Some(("r", root)) => (4..=32).contains(&root.len()) && plain(root),
        Some(("ou", unit)) => {
            unit.split_once('-').is_some_and(|(root, unit)| plain(root) && plain(unit) && unit.len() > 7)
        }
        Some(_) => false,
    };
    let bad =
        || format!("`{text}` names no account; expected twelve digits, or an id such as ou-ab12-11111111 or r-ab12");
    known.then(|| text.to_owned()).ok_or_else(bad)
}

/// Reads the name of a role. Source: IAM User Guide, "IAM and AWS STS quotas" (64 characters of a-z, 0-9 and +=,.@_-).
///
/// # Errors
/// Says what was expected.
pub fn role_name(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    let bad = || format!("`{text}` is no name of a role; expected 1 to 64 letters, digits and +=,.@_-");
    let good = (1..=64).contains(&text.len()) && text.bytes().all(known);
    good.then(|| text.to_owned()).ok_or_else(bad)
}

/// Reads a path of users and roles. Source: IAM User Guide, "IAM identifiers" (paths).
///
/// # Errors
/// Says what was expected.
pub fn iam_path(text: &str) -> Result<String, String> {
    let fits = text.len() > 1 && text.len() <= 512 && text.starts_with('/') && text.ends_with('/');
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'?');
    if fits && plain { Ok(text.to_owned()) } else { Err(format!("`{text}` is no path; expected one such as /team/")) }
}

/// Reads the name of a bucket. Source: S3 User Guide, "General purpose bucket naming rules".
///
/// # Errors
/// Says what was expected.
pub fn bucket(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    let good = (3..=63).contains(&text.len()) && text.bytes().all(known);
    let bad = || format!("`{text}` is no name of a bucket; expected 3 to 63 small letters, digits, dots and hyphens");
    good.then(|| text.to_owned()).ok_or_else(bad)
}

/// Reads a severity.
///
/// # Errors
/// Lists the severities.
pub fn severity(text: &str) -> Result<Severity, String> {
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
        .into_iter()
        .find(|severity| severity.as_str() == text.to_lowercase())
        .ok_or_else(|| format!("`{text}` is not a severity; expected info, low, medium, high or critical"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_requests_a_week() {
        for (text, want) in
            [("2/week", 200), ("0.5/week", 50), ("1/day", 700), ("5/month", 116), ("0/week", 0), ("2.25/w", 225)]
        {
            assert_eq!(budget(text), Ok(want), "{text}");
        }
        for text in ["2", "/week", "two/week", "2/year", "-1/week", "2.123/week", "99999/week", "1e3/week"] {
            assert!(budget(text).unwrap_err().contains("expected"), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, seconds) in [("90d", 7_776_000), ("12w", 7_257_600), ("48h", 172_800)] {
            assert_eq!(parse(text).unwrap().seconds, seconds);
        }
        for text in ["", "d", "90", "90m", "-1d", "0d", "99999999999999999d", "4000d", "9é"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(severity("High").unwrap(), Severity::High);
        assert!(severity("bad").is_err());
        assert_eq!(threads("1024").unwrap().get(), 1024);
        for text in ["0", "1025", "-1", "", "two", "99999999999999999999"] {
            assert!(threads(text).is_err(), "{text}");
        }
    }
}
