//! What the names of digests and logs say, and whether a file stands where S3 had it.
//!
//! Sources: "CloudTrail digest file structure", Digest file location; "CloudTrail log file examples", CloudTrail log
//! file name format (AWS CloudTrail User Guide).

use crate::model::arn::AccountId;
use crate::model::time::Timestamp;

/// The name of a digest: `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOME_TIME[_backfill].json.gz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DigestName<'a> {
    pub account: &'a str,
    pub region: &'a str,
    /// May hold underscores.
    pub trail: &'a str,
    /// Region in which the trail was made.
    pub home: &'a str,
    pub end: Timestamp,
    pub backfill: bool,
}

/// The name of a log: `ACCOUNT_CloudTrail[-KIND]_REGION_TIME_UNIQUE.json.gz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogName<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub delivered: Timestamp,
    /// Whether it is of the kind that digests are known to name: management and data events.
    pub main: bool,
}

/// A file's name without folders.
pub(super) fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// A name without `.gz`, since downloads are sometimes stored uncompressed.
pub(super) fn bare(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

/// Reads the name of a digest.
pub(super) fn digest_name(name: &str) -> Option<DigestName<'_>> {
    let stem = bare(name).strip_suffix(".json")?;
    let (stem, backfill) = match stem.strip_suffix("_backfill") {
        Some(stem) => (stem, true),
        None => (stem, false),
    };
    let (account, rest) = stem.split_once("_CloudTrail-Digest_")?;
    let (rest, end) = rest.rsplit_once('_')?;
    let (region, rest) = rest.split_once('_')?;
    let (trail, home) = rest.rsplit_once('_')?;
    account.parse::<AccountId>().ok()?;
    (!region.is_empty() && !trail.is_empty() && !home.is_empty()).then_some(())?;
    Some(DigestName { account, region, trail, home, end: stamp(end)?, backfill })
}

/// Reads the name of a log.
pub(super) fn log_name(name: &str) -> Option<LogName<'_>> {
    let stem = bare(name).strip_suffix(".json")?;
    let mut parts = stem.split('_');
    let (account, kind, region) = (parts.next()?, parts.next()?, parts.next()?);
    account.parse::<AccountId>().ok()?;
    let kind = kind.strip_prefix("CloudTrail")?;
    (kind.is_empty() || (kind.starts_with('-') && kind != "-Digest")).then_some(())?;
    Some(LogName { account, region, delivered: stamp(parts.next()?)?, main: kind.is_empty() })
}

/// `20150801T0210Z`, or with seconds as digests have it.
fn stamp(text: &str) -> Option<Timestamp> {
    let digits = |from: usize, to: usize| text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let seconds = match text.len() {
        14 => "00",
        16 => digits(13, 15)?,
        _ => return None,
    };
    (text.get(8..9) == Some("T") && text.ends_with('Z')).then_some(())?;
    let (year, month, day, hour, minute) =
        (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?, digits(9, 11)?, digits(11, 13)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{seconds}Z").parse().ok()
}

/// Account and region of a path, from its folders `…/ACCOUNT/CloudTrail…/REGION/…`.
pub(super) fn folders(path: &str) -> (Option<&str>, Option<&str>) {
    let mut parts = path.split('/').rev().skip(1);
    let mut region = None;
    while let Some(part) = parts.next() {
        if part == "CloudTrail" || part.starts_with("CloudTrail-") {
            return (parts.next().filter(|account| account.parse::<AccountId>().is_ok()), region);
        }
        region = Some(part);
    }
    (None, None)
}

/// The organisation that a path lies under: `…/AWSLogs/o-…/ACCOUNT/CloudTrail-Digest/…`.
pub(super) fn organization(path: &str) -> Option<&str> {
    let mut parts = path.split('/').rev();
    parts.find(|part| part.starts_with("CloudTrail"))?;
    parts.next()?;
    parts.next().filter(|part| part.starts_with("o-"))
}

/// How many parts of a key, from its name backwards, a file's path must agree with: REGION/YYYY/MM/DD/NAME. Above
/// them a download may have any folders: a bucket's name, a prefix, or the user's own.
const FIXED_PARTS: usize = 5;

/// Whether a file with this path (below the folder that was given) stands where an object with this key would. Where
/// the path has fewer parts than the key, the given folder lies within the key; where it has more, above it. What
/// cannot be seen: that a whole tree was copied to another prefix or bucket.
pub(super) fn stands_at(path: &str, key: &str) -> bool {
    let (mut local, mut recorded) = (path.rsplit('/'), key.rsplit('/'));
    for at in 0usize.. {
        let (Some(local), Some(recorded)) = (local.next(), recorded.next()) else { return true };
        let same = if at == 0 { bare(local) == bare(recorded) } else { local == recorded };
        if !same {
            return at >= FIXED_PARTS && !is_structure(local);
        }
    }
    true
}

/// Whether a folder is one of CloudTrail's own, so that it cannot be the user's name for a download.
fn is_structure(folder: &str) -> bool {
    folder == "AWSLogs"
        || folder == "CloudTrail"
        || folder.starts_with("CloudTrail-")
        || folder.parse::<AccountId>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_digests() {
        let name = "111122223333_CloudTrail-Digest_us-east-2_my_own_trail_eu-west-1_20150817T150131Z.json.gz";
        let got = digest_name(name).unwrap();
        assert_eq!(
            (got.account, got.region, got.trail, got.home),
            ("111122223333", "us-east-2", "my_own_trail", "eu-west-1")
        );
        assert_eq!((got.end.to_string(), got.backfill), ("2015-08-17T15:01:31Z".to_owned(), false));
        let back = name.replace(".json.gz", "_backfill.json");
        assert_eq!(digest_name(&back), Some(DigestName { backfill: true, ..got }));
        for name in [
            "",
            "111122223333_CloudTrail-Digest_us-east-2_t_eu-west-1_20150817T150131Z.json.gz.meta.json",
            "111122223333_CloudTrail-Digest_us-east-2_eu-west-1_20150817T150131Z.json.gz",
            "11112222333_CloudTrail-Digest_us-east-2_t_eu-west-1_20150817T150131Z.json.gz",
            "111122223333_CloudTrail-Digest_us-east-2_t_eu-west-1_20151317T150131Z.json.gz",
            "111122223333_CloudTrail-Digest_us-east-2_t_eu-west-1_2015é817T15013Z.json.gz",
            "111122223333_CloudTrail_us-east-2_20150817T1501Z_x.json.gz",
        ] {
            assert_eq!(digest_name(name), None, "{name}");
        }
    }

    #[test]
    fn names_of_logs() {
        let got = log_name("111122223333_CloudTrail_us-east-2_20150801T0210Z_Mu0KsOhtH1ar15ZZ.json.gz").unwrap();
        assert_eq!((got.account, got.region, got.main), ("111122223333", "us-east-2", true));
        assert_eq!(got.delivered.to_string(), "2015-08-01T02:10:00Z");
        assert!(!log_name("111122223333_CloudTrail-Insight_us-east-2_20150801T0210Z_x.json.gz").unwrap().main);
        assert_eq!(log_name("111122223333_CloudTrail-Digest_us-east-2_t_us-east-2_20150817T150131Z.json.gz"), None);
        assert_eq!(log_name("x.json"), None);
    }

    #[test]
    fn places() {
        let key = "pre/fix/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2024/01/02/n.json.gz";
        for (path, stands) in [
            (key, true),
            ("bucket/pre/fix/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2024/01/02/n.json.gz", true),
            ("my/download/111122223333/CloudTrail-Digest/eu-west-1/2024/01/02/n.json", true),
            ("digests/eu-west-1/2024/01/02/n.json.gz", true),
            ("01/02/n.json.gz", true),
            ("n.json.gz", true),
            ("m.json.gz", false),
            ("01/03/n.json.gz", false),
            ("eu-west-2/2024/01/02/n.json.gz", false),
            ("CloudTrail/eu-west-1/2024/01/02/n.json.gz", false),
            ("444455556666/CloudTrail-Digest/eu-west-1/2024/01/02/n.json.gz", false),
            ("AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/01/02/n.json.gz", false),
        ] {
            assert_eq!(stands_at(path, key), stands, "{path}");
        }
        assert_eq!(organization(key), Some("o-abc"));
        assert_eq!(folders(key), (Some("111122223333"), Some("eu-west-1")));
        assert_eq!((organization("a/b"), folders("a/b")), (None, (None, None)));
    }
}
