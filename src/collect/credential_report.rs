//! The credential report: one row a user, and root.
//!
//! Format: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>.

use serde::Deserialize;

use super::table::Table;
use super::{CollectError, FileKind, text, unusable};
use crate::model::arn::Arn;
use crate::model::defect::{Defect, Parsed, Place};
use crate::model::snapshot::{Credential, CredentialReport, CredentialRow};
use crate::model::time::Timestamp;

/// Columns without which the report would say less than it seems to.
const REQUIRED: [&str; 13] = [
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
];

/// Name of the root user's row.
#[cfg(test)]
const ROOT: &str = "<root_account>";

/// Reads a credential report: the CSV itself, or the JSON of `aws iam get-credential-report` (content in base64,
/// as AWS sends it, or plain), whose `GeneratedTime` then replaces `captured_at`.
///
/// `keys` of a row always has two entries; a key that does not exist is inactive and has no rotation time. Root's
/// password is reported where the report says when it was last used.
///
/// # Errors
/// Fails where the file is not text, is of another kind, lacks a column, or names no account.
pub fn credential_report(
    bytes: &[u8],
    file: &str,
    captured_at: Timestamp,
) -> Result<Parsed<CredentialReport>, CollectError> {
    const WANTED: FileKind = FileKind::CredentialReport;
    let decoded = text::decode(bytes, file)?;
    let (table, captured_at) = if decoded.trim_start().starts_with('{') {
        let wrapped: Wrapped =
            serde_json::from_str(&decoded).map_err(|error| unusable(bytes, file, WANTED, error.to_string()))?;
        let content = unwrap_content(&wrapped.content)
            .ok_or_else(|| unusable(bytes, file, WANTED, "Content is neither base64 nor CSV".to_owned()))?;
        (Table::read(&content, file, WANTED)?, wrapped.generated_time.unwrap_or(captured_at))
    } else {
        (Table::read(bytes, file, WANTED)?, captured_at)
    };
    let columns = columns(&table).map_err(|missing| {
        if missing.len() == REQUIRED.len() {
            unusable(bytes, file, WANTED, "none of the report's columns is there".to_owned())
        } else {
            CollectError::MissingColumns { file: file.to_owned(), missing, wanted: WANTED }
        }
    })?;
    let mut defects: Vec<Defect> = Vec::new();
    let mut rows = Vec::new();
    let mut account = None;
    for (line, message) in &table.broken {
        defects.push(defect(file, *line, message));
    }
    for (line, record) in &table.records {
        let field = |at: usize| columns.get(at).and_then(|column| record.get(*column)).unwrap_or("");
        match row(field) {
            Ok(row) => match (row.arn.account(), account) {
                (None, _) => defects.push(defect(file, *line, &format!("arn `{}` names no account", row.arn))),
                (Some(found), Some(known)) if found != known => {
                    let reason = format!("`{}` belongs to account {found}, the report to {known}", row.arn);
                    defects.push(defect(file, *line, &reason));
                }
                (Some(found), _) => {
                    account = Some(found);
                    rows.push(row);
                }
            },
            Err(reason) => defects.push(defect(file, *line, &reason)),
        }
    }
    let account =
        account.ok_or_else(|| unusable(bytes, file, WANTED, "no row could be read with its account".to_owned()))?;
    rows.sort_by(|a, b| a.arn.cmp(&b.arn));
    Ok(Parsed { value: CredentialReport { account, captured_at, rows }, defects })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapped {
    content: String,
    generated_time: Option<Timestamp>,
}

fn defect(file: &str, line: u64, reason: &str) -> Defect {
    Defect { place: Place::path(file, format!("line {line}")), reason: reason.to_owned() }
}

/// Indices of the required columns, or the names of those that are missing.
fn columns(table: &Table) -> Result<Vec<usize>, Vec<String>> {
    let found: Vec<Option<usize>> = REQUIRED.iter().map(|name| table.column(&[name])).collect();
    let missing: Vec<String> =
        REQUIRED.iter().zip(&found).filter(|(_, at)| at.is_none()).map(|(name, _)| (*name).to_owned()).collect();
    if missing.is_empty() { Ok(found.into_iter().flatten().collect()) } else { Err(missing) }
}

fn row<'r>(field: impl Fn(usize) -> &'r str) -> Result<CredentialRow, String> {
    let time = |at: usize| instant(field(at)).map_err(|error| format!("{}: {error}", name(at)));
    let flag = |at: usize| switch(field(at)).map_err(|error| format!("{}: {error}", name(at)));
    let user = field(0);
    if user.is_empty() {
        return Err("user is empty; expected a user name".to_owned());
    }
    let arn: Arn = field(1).parse().map_err(|error| format!("arn: {error}"))?;
    let password_used = time(4)?;
    let password = match flag(3)? {
        Some(active) => Some(Credential { active, rotated: time(5)?, last_used: password_used }),
        // Root: the report never says whether there is a password, but a use proves one.
        None => password_used.map(|_| Credential { active: true, rotated: None, last_used: password_used }),
    };
    let key = |at: usize| -> Result<Credential, String> {
        Ok(Credential { active: flag(at)?.unwrap_or(false), rotated: time(at + 1)?, last_used: time(at + 2)? })
    };
    Ok(CredentialRow {
        user: user.to_owned(),
        arn,
        created: time(2)?,
        password,
        mfa: flag(6)?.unwrap_or(false),
        keys: vec![key(7)?, key(10)?],
    })
}

fn name(at: usize) -> &'static str {
    REQUIRED.get(at).copied().unwrap_or("")
}

fn instant(text: &str) -> Result<Option<Timestamp>, String> {
    if absent(text) { Ok(None) } else { text.parse().map(Some).map_err(|error| format!("{error}")) }
}

fn switch(text: &str) -> Result<Option<bool>, String> {
    if absent(text) {
        Ok(None)
    } else if text.eq_ignore_ascii_case("true") {
        Ok(Some(true))
    } else if text.eq_ignore_ascii_case("false") {
        Ok(Some(false))
    } else {
        Err(format!("`{text}` is not a truth value; expected true, false, N/A or not_supported"))
    }
}

fn absent(text: &str) -> bool {
    ["", "n/a", "no_information", "not_supported"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// AWS sends base64; some tools have already decoded it.
fn unwrap_content(content: &str) -> Option<Vec<u8>> {
    if content.trim_start().starts_with("user,") {
        return Some(content.as_bytes().to_vec());
    }
    base64(content)
}

/// Standard base64 (RFC 4648), line breaks allowed.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    let mut padding = 0u32;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(((bits >> held) & 0xFF) as u8);
        }
    }
    (padding <= 2 && held < 6 && !out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
        password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
        access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,\
        access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,\
        cert_1_last_rotated,cert_2_active,cert_2_last_rotated,a_new_column";
    const ROWS: [&str; 2] = [
        "<root_account>,arn:aws:iam::123456789012:root,2018-08-12T17:20:55+00:00,not_supported,\
         2019-03-03T16:58:16+00:00,not_supported,not_supported,true,false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,\
         N/A,false,N/A,x",
        "ann,arn:aws:iam::123456789012:user/x/ann,2019-05-07T15:35:54+00:00,TRUE,no_information,\
         2020-01-01T00:00:00+00:00,N/A,FALSE,true,2019-05-07T15:35:55+00:00,2020-02-02T02:00:00Z,us-east-1,s3,false,\
         2018-05-07T15:35:54+00:00,N/A,N/A,N/A,false,N/A,false,N/A,x",
    ];

    fn at() -> Timestamp {
        "2026-01-01".parse().unwrap()
    }

    #[test]
    fn rows_and_their_absences() {
        let text = format!("\u{feff}{HEADER}\r\n{}\r\n{}\r\n", ROWS[0], ROWS[1]);
        let Parsed { value, defects } = credential_report(text.as_bytes(), "r.csv", at()).unwrap();
        assert_eq!(defects, []);
        assert_eq!(value.account.to_string(), "123456789012");
        let [root, ann] = value.rows.as_slice() else { panic!("two rows") };
        assert_eq!(root.user, ROOT);
        assert!(root.mfa);
        assert!(root.password.as_ref().is_some_and(|p| p.last_used.is_some() && p.rotated.is_none()));
        assert!(root.keys.iter().all(|key| !key.active && key.rotated.is_none()));
        let password = ann.password.as_ref().unwrap();
        assert!(password.active && password.last_used.is_none() && password.rotated.is_some());
        assert!(!ann.mfa);
        assert!(ann.keys[0].active && ann.keys[0].last_used.is_some());
        assert!(!ann.keys[1].active && ann.keys[1].rotated.is_some(), "an inactive key still exists");
    }

    #[test]
    fn base64_json_and_utf16() {
        let csv = format!("{HEADER}\n{}\n", ROWS[1]);
        let encoded = encode(csv.as_bytes());
        let json = format!(
            r#"{{"Content":"{encoded}","ReportFormat":"text/csv","GeneratedTime":"2019-05-07T15:40:22+00:00"}}"#
        );
        let report = credential_report(json.as_bytes(), "r.json", at()).unwrap().value;
        assert_eq!(report.captured_at.to_string(), "2019-05-07T15:40:22Z");
        assert_eq!(report.rows.len(), 1);
        let mut utf16 = vec![0xFF, 0xFE];
        utf16.extend(csv.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(credential_report(&utf16, "r.csv", at()).unwrap().value.rows, report.rows);
    }

    fn encode(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().enumerate().fold(0u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
            for i in 0..4 {
                let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
                out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
            }
        }
        out
    }

    #[test]
    fn what_is_wrong_is_named() {
        let broken = HEADER.replace("mfa_active,", "").replace("arn,", "");
        let error = credential_report(format!("{broken}\n").as_bytes(), "r.csv", at()).unwrap_err().to_string();
        assert_eq!(error, "r.csv: missing columns arn, mfa_active; expected an IAM credential report");
        let error = credential_report(br#"{"UserDetailList":[]}"#, "x", at()).unwrap_err().to_string();
        assert_eq!(
            error,
            "x: this looks like the output of `aws iam get-account-authorization-details`, not an IAM credential \
             report; use `jitscan ingest iam`"
        );
        assert!(credential_report(b"", "x", at()).is_err());
        let one_bad = format!("{HEADER}\n{}\n{}\n", ROWS[0], ROWS[1].replace("FALSE", "perhaps"));
        let parsed = credential_report(one_bad.as_bytes(), "r.csv", at()).unwrap();
        assert_eq!((parsed.value.rows.len(), parsed.defects.len()), (1, 1));
        assert_eq!(parsed.defects[0].place.to_string(), "r.csv at line 3");
        assert!(parsed.defects[0].reason.starts_with("mfa_active: `perhaps`"), "{}", parsed.defects[0].reason);
        let two_accounts = format!("{HEADER}\n{}\n{}\n", ROWS[0], ROWS[1].replace("123456789012", "210987654321"));
        assert_eq!(credential_report(two_accounts.as_bytes(), "r", at()).unwrap().defects.len(), 1);
    }
}
