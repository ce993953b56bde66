//! What the name of a log file says. Source: "CloudTrail log file name format" and "Digest file location",
//! CloudTrail user guide: `prefix/AWSLogs/[o-…/]ACCOUNT/CloudTrail[-Kind]/REGION/Y/M/D/
//! ACCOUNT_CloudTrail[-Kind]_REGION_TIME[_…].json.gz`.

use std::path::Path;

use crate::model::arn::AccountId;
use crate::model::time::Timestamp;

/// A path as text that no other path has: names need not be UTF-8. A byte that is no UTF-8 stands as `\xff`, a
/// backslash is written twice; all else, control characters too, stays as it is.
#[must_use]
pub fn path_text(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        match chunk.valid() {
            plain if !plain.contains('\\') => out.push_str(plain),
            text => out.push_str(&text.replace('\\', "\\\\")),
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out
}

/// What kind of file CloudTrail says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Management and data events, or nothing known.
    #[default]
    Log,
    /// A digest: hashes of log files, no events.
    Digest,
    /// CloudTrail Insights.
    Insight,
    /// Network activity events.
    NetworkActivity,
}

impl FileKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Digest => "digest",
            Self::Insight => "insight",
            Self::NetworkActivity => "network_activity",
        }
    }

    fn of(component: &str) -> Option<Self> {
        match component.strip_prefix("CloudTrail")? {
            "" => Some(Self::Log),
            "-Digest" => Some(Self::Digest),
            "-Insight" | "-Insights" => Some(Self::Insight),
            "-NetworkActivity" | "-NetworkActivityEvents" => Some(Self::NetworkActivity),
            kind if kind.starts_with('-') => Some(Self::Log),
            _ => None,
        }
    }
}

/// What a path tells; empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub kind: FileKind,
    pub account: String,
    pub region: String,
    /// When the file was delivered (logs) or which hour it closes (digests).
    pub delivered: Option<Timestamp>,
    /// Whether the file's own name has the form.
    pub named: bool,
}

/// What a log file is known by, whatever folder it lies in: its name up to `.json`, for it may have been unpacked. The
/// names end in sixteen random letters. Source: "CloudTrail log file name format", CloudTrail User Guide.
pub(crate) fn file_key(path: &str) -> u64 {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split(".json").next().unwrap_or(name);
    let mut first = [0u8; 8];
    for (to, from) in first.iter_mut().zip(blake3::hash(stem.as_bytes()).as_bytes()) {
        *to = *from;
    }
    u64::from_be_bytes(first)
}

/// Whether a path lies in Security Lake's folders, which hold all of a source. Source: "Amazon Security Lake: source
/// identification", Amazon Security Lake User Guide: `…/region=…/accountId=…/eventDay=…/`.
pub(crate) fn in_security_lake(path: &Path) -> bool {
    let folders: Vec<String> =
        path.components().filter_map(|c| c.as_os_str().to_str()).map(str::to_ascii_lowercase).collect();
    ["region=", "accountid=", "eventday="].iter().all(|key| folders.iter().any(|folder| folder.starts_with(key)))
}

/// Reads a path.
pub(crate) fn layout(path: &Path) -> Layout {
    let mut out = Layout::default();
    let components: Vec<&str> = path.components().filter_map(|c| c.as_os_str().to_str()).collect();
    let Some((name, folders)) = components.split_last() else { return out };
    for triple in folders.windows(3) {
        if let [account, kind, region] = triple
            && let (Ok(account), Some(kind)) = (account.parse::<AccountId>(), FileKind::of(kind))
        {
            out = Layout { kind, account: account.to_string(), region: (*region).to_owned(), ..Layout::default() };
        }
    }
    let stem = name.split('.').next().unwrap_or(name);
    let mut parts = stem.split('_');
    let (Some(account), Some(kind), Some(region)) = (parts.next(), parts.next(), parts.next()) else { return out };
    if let (Ok(account), Some(kind)) = (account.parse::<AccountId>(), FileKind::of(kind)) {
        out.kind = kind;
        out.account = account.to_string();
        out.region = region.to_owned();
        out.delivered = parts.filter_map(delivered).next_back();
        out.named = true;
    }
    out
}

/// `20230710T1145Z`, or with seconds as digests write it.
fn delivered(text: &str) -> Option<Timestamp> {
    let digits = |from: usize, to: usize| {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then_some(part)
    };
    if !matches!(text.len(), 14 | 16) || text.get(8..9) != Some("T") || !text.ends_with('Z') {
        return None;
    }
    let seconds = if text.len() == 16 { digits(13, 15)? } else { "00" };
    let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
    format!("{year}-{month}-{day}T{}:{}:{seconds}Z", digits(9, 11)?, digits(11, 13)?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_paths_have_one_text() {
        use std::os::unix::ffi::OsStrExt;
        let names: [&[u8]; 9] =
            [b"a", b"a\xff", b"a\xfe", b"a\\xff", b"a\\\\xff", b"a\n", b"a\xef\xbf\xbd", b"a\xc3", b"a\xc3\xa9"];
        let texts: Vec<String> =
            names.iter().map(|name| path_text(Path::new(std::ffi::OsStr::from_bytes(name)))).collect();
        assert_eq!(texts[..6], ["a", "a\\xff", "a\\xfe", "a\\\\xff", "a\\\\\\\\xff", "a\n"]);
        assert_eq!(texts.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len(), "{texts:?}");
    }

    #[test]
    fn names_and_folders() {
        for (path, kind, account, region, time) in [
            (
                "x/218007301253_CloudTrail_us-east-1_20230710T1145Z_7xgocspSowgK0Gto.json",
                FileKind::Log,
                "218007301253",
                "us-east-1",
                Some("2023-07-10T11:45:00Z"),
            ),
            (
                "p/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2024/01/02/111122223333_CloudTrail_eu-west-1_20240102T0000Z_x.json.gz",
                FileKind::Log,
                "111122223333",
                "eu-west-1",
                Some("2024-01-02T00:00:00Z"),
            ),
            (
                "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/01/02/111122223333_CloudTrail-Digest_eu-west-1_my-trail_eu-west-1_20240102T000102Z.json.gz",
                FileKind::Digest,
                "111122223333",
                "eu-west-1",
                Some("2024-01-02T00:01:02Z"),
            ),
            (
                "AWSLogs/111122223333/CloudTrail-Insight/eu-west-1/x.json",
                FileKind::Insight,
                "111122223333",
                "eu-west-1",
                None,
            ),
            (
                "AWSLogs/111122223333/CloudTrail-NetworkActivity/eu-west-1/x.json",
                FileKind::NetworkActivity,
                "111122223333",
                "eu-west-1",
                None,
            ),
            ("CloudTrail/events.json", FileKind::Log, "", "", None),
        ] {
            let got = layout(Path::new(path));
            assert_eq!((got.kind, got.account.as_str(), got.region.as_str()), (kind, account, region), "{path}");
            assert_eq!(got.delivered, time.map(|t| t.parse().unwrap()), "{path}");
        }
    }
}
