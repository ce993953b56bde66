//! The roster: who the people are, as the entity's own records know them.

use super::table::Table;
use super::{CollectError, FileKind, unusable};
use crate::model::defect::{Defect, Parsed, Place};
use crate::model::snapshot::{RosterEntry, RosterKind};
use crate::model::time::Timestamp;

/// Accepted names of each column, in [`Columns`] order; the first is the documented one.
const NAMES: [&[&str]; 9] = [
    &["id", "person_id", "employee_id", "employee_number", "employeeid", "user_id", "person"],
    &["name", "full_name", "display_name", "displayname", "fullname"],
    &["email", "e_mail", "mail", "email_address", "e_mail_address", "work_email"],
    &["manager", "manager_id", "manager_email", "reports_to", "supervisor", "line_manager"],
    &["team", "department", "group", "org", "organisation", "organization", "unit"],
    &["kind", "type", "person_type", "employment_type", "category"],
    &["start", "start_date", "started", "hire_date", "hired", "from"],
    &["end", "end_date", "ended", "termination_date", "leave_date", "last_day", "left", "to"],
    &["iam_users", "iam_user", "iam"],
];

/// Reads the roster: a CSV (comma, semicolon or tab) with a header. Only the id is required; a roster without a
/// `kind` column is one of employees. An end given as a date is the last day of work, so that the end of
/// employment is the midnight after it. `iam_users` holds names or ARNs separated by semicolons.
///
/// A row that cannot be understood, and a second row of the same id, is a defect.
///
/// # Errors
/// Fails where the file is not text, is of another kind, or has no id column.
pub fn roster(bytes: &[u8], file: &str) -> Result<Parsed<Vec<RosterEntry>>, CollectError> {
    const WANTED: FileKind = FileKind::Roster;
    let table = Table::read(bytes, file, WANTED)?;
    let columns: Vec<Option<usize>> = NAMES.iter().map(|names| table.column(names)).collect();
    let has = |at: usize| columns.get(at).copied().flatten();
    if has(0).is_none() || table.width() < 2 {
        let error = unusable(bytes, file, WANTED, "no id column".to_owned());
        return Err(match error {
            CollectError::Malformed { file, .. } => {
                CollectError::MissingColumns { file, missing: vec!["id".to_owned()], wanted: WANTED }
            }
            other => other,
        });
    }
    let mut value: Vec<RosterEntry> = Vec::with_capacity(table.records.len());
    let defect = |line: u64, reason: String| Defect { place: Place::path(file, format!("line {line}")), reason };
    let mut defects: Vec<Defect> = table.broken.iter().map(|(line, reason)| defect(*line, reason.clone())).collect();
    let mut ids = std::collections::BTreeSet::new();
    for (line, record) in &table.records {
        let field = |at: usize| has(at).and_then(|column| record.get(column)).unwrap_or("");
        match entry(field, has(5).is_some()) {
            Ok(entry) if !ids.insert(entry.id.clone()) => {
                defects.push(defect(*line, format!("id `{}` occurs twice; expected one row a person", entry.id)));
            }
            Ok(entry) => value.push(entry),
            Err(reason) => defects.push(defect(*line, reason)),
        }
    }
    value.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Parsed { value, defects })
}

fn entry<'r>(field: impl Fn(usize) -> &'r str, has_kind: bool) -> Result<RosterEntry, String> {
    let id = field(0);
    if id.is_empty() {
        return Err("id is empty".to_owned());
    }
    let kind = if has_kind { kind(field(5))? } else { RosterKind::Human };
    let start = field(6);
    let start = if start.is_empty() {
        None
    } else {
        Some(start.parse::<Timestamp>().map_err(|error| format!("start: {error}"))?)
    };
    let iam_users = field(8).split(';').map(str::trim).filter(|user| !user.is_empty()).map(str::to_owned).collect();
    Ok(RosterEntry {
        id: id.to_owned(),
        name: field(1).to_owned(),
        email: field(2).to_owned(),
        manager: field(3).to_owned(),
        team: field(4).to_owned(),
        kind,
        start,
        end: end(field(7))?,
        iam_users,
    })
}

fn end(text: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let at = text.parse::<Timestamp>().map_err(|error| format!("end: {error}"))?;
    // A bare date means the whole of that day.
    Ok(Some(if text.len() == 10 { at.plus_days(1) } else { at }))
}

fn kind(text: &str) -> Result<RosterKind, String> {
    match text.to_lowercase().as_str() {
        "human" | "person" | "employee" | "staff" | "permanent" | "user" => Ok(RosterKind::Human),
        "service" | "machine" | "system" | "robot" | "bot" | "service account" => Ok(RosterKind::Service),
        "vendor" | "contractor" | "supplier" | "external" | "consultant" | "third party" => Ok(RosterKind::Vendor),
        _ => Err(format!("kind `{text}` is not known; expected human, service or vendor")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_headers_and_values() {
        let text = "ID;E-Mail;Full Name;Type;Start Date;End Date;IAM Users;Shoe Size\r\n\
                    7;ann@example.com;Ann;Employee;2020-01-01;;\"ann; arn:aws:iam::123456789012:user/ann2\";38\r\n\
                    3;bob@example.com;Bob;CONTRACTOR;;2026-03-31;;\r\n";
        let Parsed { value, defects } = roster(text.as_bytes(), "r.csv").unwrap();
        assert_eq!(defects, []);
        assert_eq!(value.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["3", "7"]);
        assert_eq!(value[0].kind, RosterKind::Vendor);
        assert_eq!(value[0].end.unwrap().to_string(), "2026-04-01T00:00:00Z");
        assert_eq!(value[1].iam_users, ["ann", "arn:aws:iam::123456789012:user/ann2"]);
        assert_eq!(value[1].email, "ann@example.com");
    }

    #[test]
    fn bad_rows_are_set_aside() {
        let text = "id,name,kind,end\n1,A,human,\n1,B,human,\n,C,human,\n4,D,alien,\n5,E,service,soon\n6,F\n\n";
        let Parsed { value, defects } = roster(text.as_bytes(), "r.csv").unwrap();
        assert_eq!(value.len(), 1);
        let reasons: Vec<String> = defects.iter().map(|d| format!("{}: {}", d.place, d.reason)).collect();
        assert_eq!(reasons.len(), 5);
        assert_eq!(reasons[0], "r.csv at line 3: id `1` occurs twice; expected one row a person");
        assert_eq!(reasons[4], "r.csv at line 7: kind `` is not known; expected human, service or vendor");
    }

    #[test]
    fn without_kind_all_are_employees() {
        let parsed = roster(b"id,name\n1,A\n", "r").unwrap();
        assert_eq!(parsed.value[0].kind, RosterKind::Human);
    }

    #[test]
    fn wrong_files() {
        assert_eq!(
            roster(b"name,email\nA,a@example.com\n", "r.csv").unwrap_err().to_string(),
            "r.csv: missing column id; expected a roster (a CSV of people with at least an id column)"
        );
        let error = roster(b"user,arn,password_enabled\n", "r.csv").unwrap_err().to_string();
        assert!(error.contains("looks like an IAM credential report"), "{error}");
        assert!(roster(b"{\"Records\":[]}", "r.csv").unwrap_err().to_string().contains("ingest cloudtrail"));
    }
}
