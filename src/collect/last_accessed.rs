//! IAM's last accessed information about users and roles: what `jitscan collect` writes, or answers of
//! `aws iam get-service-last-accessed-details` with the principal added that they were asked for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::entries::parse;
use super::text;
use super::{CollectError, FileKind, unusable};
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Parsed};
use crate::model::last_accessed::{
    AccountLastAccessed, ActionLastAccessed, PrincipalLastAccessed, ServiceLastAccessed,
};
use crate::model::time::Timestamp;

const WANTED: FileKind = FileKind::LastAccessed;

/// Reads last accessed information: an object with `AccountId` and `LastAccessedDetails`, a list of answers of
/// `get-service-last-accessed-details` with `Arn` added to each; or such answers themselves, one, several after each
/// other, or an array.
///
/// A report that does not say when it was completed (`JobCompletionDate`) is as old as `captured_at`. Of two reports on
/// one principal the younger counts; of one age they are pages and are united. An entry that cannot be read, that is
/// no finished report on a user or role, or that belongs to another account, a second entry of one service with other
/// content, and a report that ends before its last page are defects. What is not listed is not known.
///
/// # Errors
/// Fails where the file is not text, is of another kind, holds an answer that names no principal, or names no account
/// at all.
pub fn last_accessed(
    bytes: &[u8],
    file: &str,
    captured_at: Timestamp,
) -> Result<Parsed<Vec<AccountLastAccessed>>, CollectError> {
    let decoded = text::decode(bytes, file)?;
    let refuse = |reason: String| unusable(bytes, file, WANTED, reason);
    let mut reader = Reader {
        file,
        text: &decoded,
        captured_at,
        accounts: BTreeMap::new(),
        cut_short: BTreeMap::new(),
        defects: Vec::new(),
    };
    let mut any = false;
    for value in serde_json::Deserializer::from_str(&decoded).into_iter::<&RawValue>() {
        let value = value.map_err(|error| refuse(error.to_string()))?;
        let several: Vec<&RawValue> =
            if value.get().starts_with('[') { parse(value).map_err(refuse)? } else { vec![value] };
        for one in several {
            reader.whole(one).map_err(refuse)?;
            any = true;
        }
    }
    if !any {
        return Err(refuse("no LastAccessedDetails or ServicesLastAccessed".to_owned()));
    }
    reader.defects.extend(std::mem::take(&mut reader.cut_short).into_values());
    if reader.accounts.is_empty() {
        let nobody = || "neither an AccountId nor the Arn of a report names an account".to_owned();
        return Err(refuse(reader.defects.first().map_or_else(nobody, |defect| defect.reason.clone())));
    }
    let accounts = reader.accounts.into_iter();
    let value = accounts
        .map(|(account, principals)| AccountLastAccessed { account, principals: principals.into_values().collect() })
        .collect();
    Ok(Parsed { value, defects: reader.defects })
}

/// Either the list that `jitscan collect` writes, or one answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawWhole<'a> {
    account_id: Option<AccountId>,
    #[serde(borrow)]
    last_accessed_details: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    services_last_accessed: Option<&'a RawValue>,
    #[serde(borrow)]
    arn: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawReport<'a> {
    arn: Arn,
    job_status: Option<String>,
    job_completion_date: Option<Timestamp>,
    #[serde(borrow)]
    services_last_accessed: Option<Vec<&'a RawValue>>,
    is_truncated: Option<bool>,
    marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawService<'a> {
    service_namespace: String,
    last_authenticated: Option<Timestamp>,
    last_authenticated_region: Option<String>,
    #[serde(borrow)]
    tracked_actions_last_accessed: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawAction {
    action_name: String,
    last_accessed_time: Option<Timestamp>,
    last_accessed_region: Option<String>,
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    captured_at: Timestamp,
    accounts: BTreeMap<AccountId, BTreeMap<Arn, PrincipalLastAccessed>>,
    /// Principals whose last page has not come yet.
    cut_short: BTreeMap<Arn, Defect>,
    defects: Vec<Defect>,
}

impl Reader<'_> {
    fn defect(&mut self, raw: &RawValue, path: String, reason: String) {
        self.defects.push(text::defect(self.file, self.text, raw, path, reason));
    }

    /// A value at the top of the file. Only what makes the file useless is an error.
    fn whole(&mut self, raw: &RawValue) -> Result<(), String> {
        let whole: RawWhole<'_> = parse(raw)?;
        if let Some(account) = whole.account_id {
            self.accounts.entry(account).or_default();
        }
        if let Some(list) = whole.last_accessed_details {
            for (at, report) in list.into_iter().enumerate() {
                self.report(report, whole.account_id, &format!("LastAccessedDetails[{at}]"));
            }
            return Ok(());
        }
        if whole.services_last_accessed.is_none() {
            return Err("no LastAccessedDetails or ServicesLastAccessed".to_owned());
        }
        if whole.arn.is_none() {
            let reason = "the report names no principal: add the ARN that `aws iam \
                          generate-service-last-accessed-details` was asked for, as \"Arn\" beside ServicesLastAccessed";
            return Err(reason.to_owned());
        }
        self.report(raw, whole.account_id, "");
        Ok(())
    }

    fn report(&mut self, raw: &RawValue, account: Option<AccountId>, path: &str) {
        let report = parse::<RawReport<'_>>(raw).and_then(|report| Ok((checked(&report, account)?, report)));
        let (account, report) = match report {
            Ok(read) => read,
            Err(reason) => return self.defect(raw, path.to_owned(), reason),
        };
        let services = match report.services_last_accessed {
            Some(list) => self.services(&list, path),
            None => return self.defect(raw, path.to_owned(), "missing field `ServicesLastAccessed`".to_owned()),
        };
        if report.is_truncated == Some(true) || report.marker.is_some() {
            let reason = "the report is cut short: its last page says that more follows; expected all pages".to_owned();
            let defect = text::defect(self.file, self.text, raw, path.to_owned(), reason);
            self.cut_short.insert(report.arn.clone(), defect);
        } else {
            self.cut_short.remove(&report.arn);
        }
        let completed = report.job_completion_date.unwrap_or(self.captured_at);
        let read = PrincipalLastAccessed { arn: report.arn.clone(), completed, services };
        let known = self.accounts.entry(account).or_default();
        let contradictions = match known.get_mut(&report.arn) {
            Some(other) if other.completed == read.completed => unite(&mut other.services, read.services),
            Some(other) if other.completed > read.completed => Vec::new(),
            _ => {
                known.insert(report.arn, read);
                Vec::new()
            }
        };
        for reason in contradictions {
            self.defect(raw, path.to_owned(), reason);
        }
    }

    fn services(&mut self, list: &[&RawValue], path: &str) -> Vec<ServiceLastAccessed> {
        let mut services = Vec::new();
        for (at, raw) in list.iter().enumerate() {
            let place = under(path, &format!("ServicesLastAccessed[{at}]"));
            let contradictions = match parse::<RawService<'_>>(raw) {
                Ok(service) => {
                    let read = ServiceLastAccessed {
                        actions: self.actions(service.tracked_actions_last_accessed, &place),
                        namespace: service.service_namespace,
                        at: service.last_authenticated,
                        region: service.last_authenticated_region.unwrap_or_default(),
                    };
                    unite(&mut services, vec![read])
                }
                Err(reason) => vec![reason],
            };
            for reason in contradictions {
                self.defect(raw, place.clone(), reason);
            }
        }
        services
    }

    /// The actions that are tracked, by name; of one that is listed twice the later attempt.
    fn actions(&mut self, raw: Option<&RawValue>, path: &str) -> Vec<ActionLastAccessed> {
        let Some(raw) = raw else { return Vec::new() };
        let place = under(path, "TrackedActionsLastAccessed");
        let list: Vec<&RawValue> = match parse(raw) {
            Ok(list) => list,
            Err(reason) => {
                self.defect(raw, place, reason);
                return Vec::new();
            }
        };
        let mut found: BTreeMap<String, ActionLastAccessed> = BTreeMap::new();
        for (at, raw) in list.into_iter().enumerate() {
            let action = match parse::<RawAction>(raw) {
                Ok(action) => action,
                Err(reason) => {
                    self.defect(raw, format!("{place}[{at}]"), reason);
                    continue;
                }
            };
            // Some tools write `s3:CreateBucket`.
            let name = action.action_name.rsplit(':').next().unwrap_or_default().to_owned();
            let (at, region) = (action.last_accessed_time, action.last_accessed_region.unwrap_or_default());
            let read = ActionLastAccessed { name: name.clone(), at, region };
            match found.get_mut(&name) {
                Some(known) => {
                    if known.at < read.at {
                        *known = read;
                    }
                }
                None => drop(found.insert(name, read)),
            }
        }
        found.into_values().collect()
    }
}

fn under(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The account of a report on a user or role that is whole.
fn checked(report: &RawReport<'_>, account: Option<AccountId>) -> Result<AccountId, String> {
    let arn = &report.arn;
    if arn.service() != "iam" || !["user/", "role/"].iter().any(|prefix| arn.resource().starts_with(prefix)) {
        return Err(format!(
            "`{arn}` is neither a user nor a role; expected arn:aws:iam::ACCOUNT:user/NAME or \
             arn:aws:iam::ACCOUNT:role/NAME"
        ));
    }
    let found = arn.account().ok_or_else(|| format!("`{arn}` names no account"))?;
    if let Some(known) = account.filter(|known| *known != found) {
        return Err(format!("`{arn}` belongs to account {found}, the document to {known}"));
    }
    match report.job_status.as_deref() {
        None | Some("COMPLETED") => Ok(found),
        Some(other) => Err(format!("the report on `{arn}` is not finished: JobStatus {other}; expected COMPLETED")),
    }
}

/// Adds services, by namespace; says which contradict those that are known.
fn unite(known: &mut Vec<ServiceLastAccessed>, more: Vec<ServiceLastAccessed>) -> Vec<String> {
    let mut contradictions = Vec::new();
    for service in more {
        match known.binary_search_by(|other| other.namespace.cmp(&service.namespace)) {
            Err(at) => known.insert(at, service),
            Ok(at) if known.get(at) == Some(&service) => {}
            Ok(_) => contradictions.push(format!(
                "service `{}` is listed a second time with other content; the first was kept",
                service.namespace
            )),
        }
    }
    contradictions
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "arn:aws:iam::111111111111:user/ada";
    const S3: &str = r#"{"ServiceName":"Amazon S3","ServiceNamespace":"s3","LastAuthenticated":"2026-11-02T10:00:00+00:00",
        "LastAuthenticatedRegion":"eu-west-1","TotalAuthenticatedEntities":1,"TrackedActionsLastAccessed":[
        {"ActionName":"s3:PutBucketPolicy"},{"ActionName":"CreateBucket","LastAccessedTime":"2026-10-01T00:00:00Z",
        "LastAccessedRegion":"eu-west-1"},{"LastAccessedTime":"2026-10-01T00:00:00Z"}]}"#;
    const EC2: &str = r#"{"ServiceNamespace":"ec2","ServiceName":"Amazon EC2"}"#;

    fn read(text: &str) -> Parsed<Vec<AccountLastAccessed>> {
        last_accessed(text.as_bytes(), "l.json", "2026-11-05".parse().unwrap()).unwrap()
    }

    fn report(arn: &str, completed: &str, services: &[&str]) -> String {
        let services = services.join(",");
        format!(
            r#"{{"Arn":"{arn}","JobStatus":"COMPLETED","JobCompletionDate":"{completed}","ServicesLastAccessed":[{services}]}}"#
        )
    }

    fn namespaces(report: &PrincipalLastAccessed) -> Vec<&str> {
        report.services.iter().map(|service| service.namespace.as_str()).collect()
    }

    #[test]
    fn a_list_or_the_answers_themselves() {
        let one = report(ADA, "2026-11-03", &[S3, EC2]);
        let other = report("arn:aws:iam::111111111111:role/p/ci", "2026-11-03", &[]);
        for text in [
            format!(r#"{{"AccountId":"111111111111","LastAccessedDetails":[{one},{other}]}}"#),
            format!("{one}\n{other}"),
            format!("\u{feff}[{other},{one}]"),
        ] {
            let Parsed { value, defects } = read(&text);
            assert_eq!((value.len(), defects.len()), (1, 1), "{text}");
            assert!(defects[0].reason.contains("missing field `ActionName`"), "{}", defects[0].reason);
            let [ci, ada] = value[0].principals.as_slice() else { panic!("two principals: {value:?}") };
            assert_eq!((ci.arn.name(), ci.services.len()), ("ci", 0));
            assert_eq!(ada.completed.to_string(), "2026-11-03T00:00:00Z");
            assert_eq!(namespaces(ada), ["ec2", "s3"]);
            assert_eq!((ada.services[0].at, ada.services[0].actions.len()), (None, 0));
            let s3 = &ada.services[1];
            assert_eq!((s3.at.unwrap().day().to_string(), s3.region.as_str()), ("2026-11-02".to_owned(), "eu-west-1"));
            let actions: Vec<(&str, bool)> = s3.actions.iter().map(|a| (a.name.as_str(), a.at.is_some())).collect();
            assert_eq!(actions, [("CreateBucket", true), ("PutBucketPolicy", false)]);
        }
        // Nobody is listed, and it is known of which account.
        let empty = read(r#"{"AccountId":"111111111111","LastAccessedDetails":[]}"#);
        assert_eq!((empty.value[0].principals.len(), empty.defects.len()), (0, 0));
    }

    #[test]
    fn of_one_principal_the_younger_report_counts_and_pages_unite() {
        let old = report(ADA, "2026-11-01", &[S3]);
        let young = report(ADA, "2026-11-03", &[EC2]);
        for text in [format!("{old}{young}"), format!("{young}{old}")] {
            assert_eq!(namespaces(&read(&text).value[0].principals[0]), ["ec2"]);
        }
        let first = report(ADA, "2026-11-03", &[EC2])
            .replace(r#""JobStatus""#, r#""IsTruncated":true,"Marker":"x","JobStatus""#);
        let last = report(ADA, "2026-11-03", &[r#"{"ServiceNamespace":"s3"}"#]);
        let both = read(&format!("{first}{last}"));
        assert_eq!((namespaces(&both.value[0].principals[0]), both.defects.len()), (vec!["ec2", "s3"], 0));
        let cut = read(&first);
        assert_eq!((cut.value[0].principals.len(), cut.defects.len()), (1, 1));
        assert!(cut.defects[0].reason.contains("cut short"));
        let dated = EC2.replace('}', r#","LastAuthenticated":"2026-11-01"}"#);
        let other = report(ADA, "2026-11-03", &[dated.as_str()]);
        let twice = read(&format!("{young}{young}{other}"));
        assert_eq!(twice.defects.len(), 1);
        assert!(twice.defects[0].reason.contains("`ec2` is listed a second time"), "{}", twice.defects[0].reason);
        assert_eq!(twice.value[0].principals[0].services[0].at, None, "the first was kept");
        // Without a date the report is as old as the file.
        let undated = read(&young.replace(r#""JobCompletionDate":"2026-11-03","#, ""));
        assert_eq!(undated.value[0].principals[0].completed.to_string(), "2026-11-05T00:00:00Z");
    }

    #[test]
    fn one_bad_entry_costs_one_entry() {
        let good = report(ADA, "2026-11-03", &[EC2, "7", r#"{"ServiceNamespace":"s3","LastAuthenticated":12}"#]);
        let odd = r#"{"ServiceNamespace":"iam","LastAuthenticated":"2026-11-01","TrackedActionsLastAccessed":{}}"#;
        let list = [
            good,
            report("arn:aws:iam::111111111111:role/r", "2026-11-03", &[odd]),
            report("arn:aws:iam::111111111111:group/g", "2026-11-03", &[]),
            report("arn:aws:iam::222222222222:user/u", "2026-11-03", &[]),
            report(ADA, "2026-11-03", &[]).replace("COMPLETED", "IN_PROGRESS"),
            r#"{"ServicesLastAccessed":[]}"#.to_owned(),
            format!(r#"{{"Arn":"{ADA}"}}"#),
            "null".to_owned(),
        ];
        let text = format!(r#"{{"AccountId":"111111111111","LastAccessedDetails":[{}]}}"#, list.join(","));
        let Parsed { value, defects } = read(&text);
        let [role, ada] = value[0].principals.as_slice() else { panic!("two principals: {value:?}") };
        assert_eq!(namespaces(ada), ["ec2"]);
        assert_eq!((namespaces(role), role.services[0].actions.len()), (vec!["iam"], 0));
        let shown: Vec<String> = defects
            .iter()
            .map(|defect| format!("{}: {}", defect.place.path.clone().unwrap_or_default(), defect.reason))
            .collect();
        let want = [
            "LastAccessedDetails[0].ServicesLastAccessed[1]: invalid type",
            "LastAccessedDetails[0].ServicesLastAccessed[2]: invalid type",
            "LastAccessedDetails[1].ServicesLastAccessed[0].TrackedActionsLastAccessed: invalid type",
            "LastAccessedDetails[2]: `arn:aws:iam::111111111111:group/g` is neither a user nor a role",
            "LastAccessedDetails[3]: `arn:aws:iam::222222222222:user/u` belongs to account 222222222222",
            "LastAccessedDetails[4]: the report on `arn:aws:iam::111111111111:user/ada` is not finished",
            "LastAccessedDetails[5]: missing field `Arn`",
            "LastAccessedDetails[6]: missing field `ServicesLastAccessed`",
            "LastAccessedDetails[7]: invalid type",
        ];
        assert_eq!(shown.len(), want.len(), "{shown:#?}");
        for (shown, want) in shown.iter().zip(want) {
            assert!(shown.starts_with(want), "{shown}, not {want}");
        }
        let seven = usize::try_from(defects[0].place.offset.unwrap()).unwrap();
        assert_eq!(text.as_bytes()[seven], b'7');
    }

    #[test]
    fn wrong_files() {
        let plain = format!(r#"{{"JobStatus":"COMPLETED","JobType":"SERVICE_LEVEL","ServicesLastAccessed":[{S3}]}}"#);
        for (text, want) in [
            (plain.as_str(), "l.json: the report names no principal: add the ARN"),
            (plain.as_str(), "as \"Arn\" beside ServicesLastAccessed; expected"),
            (r#"{"LastAccessedDetails":[]}"#, "names an account"),
            (
                r#"{"Arn":"arn:aws:iam::111111111111:group/g","ServicesLastAccessed":[]}"#,
                "is neither a user nor a role; expected arn:aws:iam::ACCOUNT:user/NAME or arn",
            ),
            (r#"{"LastAccessedDetails":{}}"#, "invalid type"),
            (r#"{"LastAccessedDetails":[]"#, "EOF while parsing"),
            (r#"{"JobStatus":"IN_PROGRESS","JobCompletionDate":"2026-11-01"}"#, "no LastAccessedDetails"),
            (r#"{"AccountId":"111111111111","SummaryMap":{}}"#, "use `jitscan ingest account`"),
            (r#"{"RoleDetailList":[]}"#, "use `jitscan ingest iam`"),
            ("7", "invalid type"),
            ("", "no LastAccessedDetails"),
        ] {
            let error = last_accessed(text.as_bytes(), "l.json", Timestamp::default()).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
