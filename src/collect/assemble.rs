//! From loaded documents to one snapshot.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::access_analyzer::AccessAnalyzer;
use crate::model::account::AccountDetails;
use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Parsed};
use crate::model::last_accessed::{AccountLastAccessed, PrincipalLastAccessed};
use crate::model::resource_policy::{ResourcePolicies, ResourceService};
use crate::model::snapshot::{AccountIam, CredentialReport, IdentityCenter, Organization, RosterEntry, Snapshot};
use crate::model::time::Timestamp;
use crate::model::trail::TrailState;

/// What one document says.
#[derive(Clone, Debug)]
pub enum Content {
    /// IAM of one or more accounts.
    Iam(Vec<AccountIam>),
    /// A credential report.
    CredentialReport(CredentialReport),
    /// An account's summary, password policy, keys and identity providers.
    Account(AccountDetails),
    /// Last accessed information of one or more accounts.
    LastAccessed(Vec<AccountLastAccessed>),
    /// An account's analyzers and their findings.
    AccessAnalyzer(AccessAnalyzer),
    /// Policies at an account's resources.
    ResourcePolicies(ResourcePolicies),
    /// Public keys of CloudTrail, which say nothing of access.
    PublicKeys,
    /// The organisation.
    Organization(Organization),
    /// Identity Center.
    IdentityCenter(IdentityCenter),
    /// People.
    Roster(Vec<RosterEntry>),
    /// Trails: every document counts, because what was recorded changes with time.
    Trails(Vec<TrailState>),
}

/// A document that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Hash of the document's bytes, hexadecimal.
    pub hash: String,
    /// When its state was read from AWS, or for a roster when the file was made.
    pub captured_at: Timestamp,
    /// What it says and what of it was not understood.
    pub parsed: Parsed<Content>,
}

/// Puts documents together: for every account, and for the organisation, Identity Center and the roster, the
/// youngest document counts, and of two equally young ones the one with the greater hash. Authorisation details of
/// one account and time in several documents are pages of one listing and are united. Of last accessed information the
/// youngest report on each principal counts, because reports are made and may be kept one by one; of policies at resources
/// the youngest of each service, because a service that may not be read is missing from a document.
///
/// The snapshot's hash covers the hashes of the documents that count, not the order or the names of the files.
/// Of trails every document counts: they say what was recorded at different times.
/// Defects of documents that do not count are left out with them.
#[must_use]
pub fn assemble(mut documents: Vec<Loaded>) -> Snapshot {
    documents.sort_by(|a, b| (a.captured_at, &a.hash).cmp(&(b.captured_at, &b.hash)));
    documents.dedup_by(|a, b| a.captured_at == b.captured_at && a.hash == b.hash);
    let mut slots: BTreeMap<Slot, Vec<usize>> = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        for (slot, captured_at) in slots_of(document) {
            let taken = slots.entry(slot).or_default();
            let older = taken
                .last()
                .and_then(|last| documents.get(*last))
                .is_some_and(|last| slots_of(last).iter().any(|(other, time)| *other == slot && *time < captured_at));
            let all = matches!(slot, Slot::Trails | Slot::LastAccessed(_));
            if (older || !matches!(slot, Slot::Iam(_))) && !all {
                taken.clear();
            }
            taken.push(at);
        }
    }
    for (slot, taken) in &mut slots {
        if let Slot::LastAccessed(account) = slot {
            let counting = with_youngest_reports(&documents, taken, *account);
            taken.retain(|at| counting.contains(at));
        }
    }
    let mut snapshot = Snapshot::default();
    let mut used: Vec<usize> = slots.values().flatten().copied().collect();
    used.sort_unstable();
    used.dedup();
    let mut hash = blake3::Hasher::new();
    let mut hashes: Vec<&str> = used.iter().filter_map(|at| documents.get(*at)).map(|d| d.hash.as_str()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    for one in hashes {
        hash.update(one.as_bytes());
        hash.update(b"\n");
    }
    let hex = hash.finalize().to_hex();
    snapshot.hash = hex.get(..32).unwrap_or(&hex).to_owned();
    for (slot, taken) in &slots {
        for at in taken {
            if let Some(document) = documents.get(*at) {
                fill(&mut snapshot, *slot, &document.parsed.value);
            }
        }
    }
    let mut defects: Vec<Defect> =
        used.iter().filter_map(|at| documents.get(*at)).flat_map(|d| d.parsed.defects.iter().cloned()).collect();
    defects.sort();
    defects.dedup();
    snapshot.defects = defects;
    snapshot
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Iam(AccountId),
    Report(AccountId),
    Account(AccountId),
    LastAccessed(AccountId),
    AccessAnalyzer(AccountId),
    Resources(AccountId, ResourceService),
    Organization,
    IdentityCenter,
    Roster,
    Trails,
}

/// What a document has something to say about, and from when.
fn slots_of(document: &Loaded) -> Vec<(Slot, Timestamp)> {
    match &document.parsed.value {
        Content::Iam(accounts) => accounts.iter().map(|iam| (Slot::Iam(iam.account), iam.captured_at)).collect(),
        Content::CredentialReport(report) => vec![(Slot::Report(report.account), report.captured_at)],
        Content::Account(details) => vec![(Slot::Account(details.account), details.captured_at)],
        Content::LastAccessed(accounts) => {
            accounts.iter().map(|one| (Slot::LastAccessed(one.account), document.captured_at)).collect()
        }
        Content::AccessAnalyzer(one) => vec![(Slot::AccessAnalyzer(one.account), one.captured_at)],
        Content::ResourcePolicies(one) => {
            one.services.iter().map(|of| (Slot::Resources(one.account, of.service), one.captured_at)).collect()
        }
        Content::PublicKeys => Vec::new(),
        Content::Organization(organization) => vec![(Slot::Organization, organization.captured_at)],
        Content::IdentityCenter(center) => vec![(Slot::IdentityCenter, center.captured_at)],
        Content::Roster(_) => vec![(Slot::Roster, document.captured_at)],
        Content::Trails(_) => vec![(Slot::Trails, document.captured_at)],
    }
}

/// The reports of an account in last accessed information.
fn reports(content: &Content, account: AccountId) -> impl Iterator<Item = &PrincipalLastAccessed> {
    let accounts: &[AccountLastAccessed] = match content {
        Content::LastAccessed(accounts) => accounts,
        _ => &[],
    };
    accounts.iter().filter(move |one| one.account == account).flat_map(|one| &one.principals)
}

/// Of these documents those that hold the youngest report on some principal of the account.
fn with_youngest_reports(documents: &[Loaded], taken: &[usize], account: AccountId) -> BTreeSet<usize> {
    let mut youngest: BTreeMap<&Arn, (Timestamp, usize)> = BTreeMap::new();
    for at in taken {
        let Some(document) = documents.get(*at) else { continue };
        for report in reports(&document.parsed.value, account) {
            let known = youngest.entry(&report.arn).or_insert((report.completed, *at));
            *known = (*known).max((report.completed, *at));
        }
    }
    youngest.into_values().map(|(_, at)| at).collect()
}

fn fill(snapshot: &mut Snapshot, slot: Slot, content: &Content) {
    match (slot, content) {
        (Slot::Iam(account), Content::Iam(accounts)) => {
            for iam in accounts.iter().filter(|iam| iam.account == account) {
                match snapshot.accounts.get_mut(&account) {
                    None => drop(snapshot.accounts.insert(account, iam.clone())),
                    Some(known) => unite(known, iam),
                }
            }
        }
        (Slot::Report(account), Content::CredentialReport(report)) => {
            snapshot.credential_reports.insert(account, report.clone());
        }
        (Slot::Account(account), Content::Account(details)) => {
            snapshot.account_details.insert(account, details.clone());
        }
        (Slot::LastAccessed(account), content) => {
            // Documents come in the order in which the later one counts among equally young reports.
            for report in reports(content, account) {
                let known = snapshot.last_accessed.get(&report.arn);
                if known.is_none_or(|known| known.completed <= report.completed) {
                    snapshot.last_accessed.insert(report.arn.clone(), report.clone());
                }
            }
        }
        (Slot::AccessAnalyzer(account), Content::AccessAnalyzer(one)) => {
            snapshot.access_analyzers.insert(account, one.clone());
        }
        (Slot::Resources(account, service), Content::ResourcePolicies(one)) => {
            let of = one.services.iter().find(|of| of.service == service);
            snapshot.resources.extend(of.map(|of| ((account, service), of.clone())));
        }
        (Slot::Organization, Content::Organization(organization)) => {
            snapshot.organization = Some(organization.clone());
        }
        (Slot::IdentityCenter, Content::IdentityCenter(center)) => snapshot.identity_center = Some(center.clone()),
        (Slot::Roster, Content::Roster(people)) => snapshot.roster.clone_from(people),
        (Slot::Trails, Content::Trails(states)) => {
            snapshot.trails.extend(states.iter().cloned());
            snapshot.trails.sort();
            snapshot.trails.dedup();
        }
        _ => {}
    }
}

fn unite(known: &mut AccountIam, page: &AccountIam) {
    fn add<T: Clone + PartialEq, K: Ord>(into: &mut Vec<T>, from: &[T], key: impl Fn(&T) -> K) {
        into.extend(from.iter().cloned());
        into.sort_by_key(&key);
        into.dedup_by(|a, b| key(a) == key(b));
    }
    add(&mut known.users, &page.users, |user| user.holder.arn.clone());
    add(&mut known.groups, &page.groups, |group| group.arn.clone());
    add(&mut known.roles, &page.roles, |role| role.holder.arn.clone());
    add(&mut known.policies, &page.policies, |policy| policy.arn.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(hash: &str, at: &str, content: Content) -> Loaded {
        Loaded {
            hash: hash.to_owned(),
            captured_at: at.parse().unwrap(),
            parsed: Parsed { value: content, defects: Vec::new() },
        }
    }

    fn iam(role: &str, at: &str) -> Content {
        let text = format!(
            r#"{{"RoleDetailList":[{{"Arn":"arn:aws:iam::111111111111:role/{role}","RoleName":"{role}","RoleId":"A"}}]}}"#
        );
        Content::Iam(super::super::authorization_details(text.as_bytes(), "f", at.parse().unwrap()).unwrap().value)
    }

    fn roles(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.accounts.values().flat_map(|iam| &iam.roles).map(|role| role.holder.name.as_str()).collect()
    }

    #[test]
    fn the_youngest_counts_and_pages_unite() {
        let old = loaded("a", "2026-01-01", iam("old", "2026-01-01"));
        let one = loaded("b", "2026-02-01", iam("one", "2026-02-01"));
        let two = loaded("c", "2026-02-01", iam("two", "2026-02-01"));
        let roster = loaded("d", "2026-01-01", Content::Roster(Vec::new()));
        let snapshot = assemble(vec![two.clone(), old, roster.clone(), one.clone()]);
        assert_eq!(roles(&snapshot), ["one", "two"]);
        assert_eq!(snapshot.hash.len(), 32);
        assert_eq!(assemble(vec![roster.clone(), one.clone(), two, one.clone()]).hash, snapshot.hash);
        assert_ne!(assemble(vec![roster, one]).hash, snapshot.hash);
    }

    fn accessed(account: &str, reports: &[(&str, &str)]) -> Content {
        let list: Vec<String> = reports
            .iter()
            .map(|(name, completed)| {
                format!(
                    r#"{{"Arn":"arn:aws:iam::{account}:user/{name}","JobCompletionDate":"{completed}","ServicesLastAccessed":[]}}"#
                )
            })
            .collect();
        let text = format!(r#"{{"AccountId":"{account}","LastAccessedDetails":[{}]}}"#, list.join(","));
        let at = Timestamp::default();
        Content::LastAccessed(super::super::last_accessed(text.as_bytes(), "f", at).unwrap().value)
    }

    #[test]
    fn of_each_principal_the_youngest_report_counts() {
        const A: &str = "111111111111";
        let old = loaded("a", "2026-01-01", accessed(A, &[("ada", "2026-01-01"), ("bob", "2026-01-01")]));
        let young = loaded("b", "2026-02-01", accessed(A, &[("ada", "2026-02-01")]));
        // Ingested later, but made before.
        let late = loaded("c", "2026-03-01", accessed(A, &[("ada", "2026-01-15")]));
        let other = loaded("d", "2026-01-01", accessed("222222222222", &[("ada", "2026-01-01")]));
        let none = loaded("e", "2026-03-01", accessed(A, &[]));
        let shown = |documents: Vec<Loaded>| {
            let snapshot = assemble(documents);
            let shown: Vec<(String, String)> = snapshot
                .last_accessed
                .values()
                .map(|report| (report.arn.to_string(), report.completed.day().to_string()))
                .collect();
            (shown, snapshot.hash)
        };
        let arn = |account: &str, name: &str| format!("arn:aws:iam::{account}:user/{name}");
        let want = [
            (arn(A, "ada"), "2026-02-01".to_owned()),
            (arn(A, "bob"), "2026-01-01".to_owned()),
            (arn("222222222222", "ada"), "2026-01-01".to_owned()),
        ];
        let all = shown(vec![none, late, old.clone(), young.clone(), other.clone()]);
        assert_eq!(all.0, want);
        // What does not count does not change the hash, what counts does.
        assert_eq!(shown(vec![other.clone(), young.clone(), old]), all);
        assert_ne!(shown(vec![other, young]).1, all.1);
    }

    #[test]
    fn the_youngest_settings_of_an_account_count() {
        let details = |users: i64, at: &str| {
            let text = format!(r#"{{"AccountId":"111111111111","SummaryMap":{{"Users":{users}}}}}"#);
            Content::Account(super::super::account(text.as_bytes(), "f", at.parse().unwrap()).unwrap().value)
        };
        let snapshot = assemble(vec![
            loaded("b", "2026-02-01", details(2, "2026-02-01")),
            loaded("a", "2026-01-01", details(1, "2026-01-01")),
        ]);
        assert_eq!(snapshot.account_details.values().map(|one| one.summary["Users"]).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn of_policies_at_resources_the_youngest_of_each_service_counts() {
        let of = |services: &str, at: &str| {
            let text = format!(r#"{{"AccountId":"111111111111","Services":[{services}]}}"#);
            let read = super::super::resource_policies(text.as_bytes(), "f", at.parse().unwrap()).unwrap();
            assert!(read.defects.is_empty());
            Content::ResourcePolicies(read.value)
        };
        let service = |name: &str, arn: &str| format!(r#"{{"Service":"{name}","Resources":[{{"Arn":"{arn}"}}]}}"#);
        let (s3, sns) = (service("s3", "arn:aws:s3:::old"), service("sns", "arn:aws:sns:r:111111111111:old"));
        let snapshot = assemble(vec![
            // Of this one SNS was denied: what is known of it stays.
            loaded("b", "2026-02-01", of(&service("s3", "arn:aws:s3:::new"), "2026-02-01")),
            loaded("a", "2026-01-01", of(&format!("{s3},{sns}"), "2026-01-01")),
        ]);
        let arns: Vec<&str> =
            snapshot.resources.values().flat_map(|of| of.resources.iter().map(|one| one.arn.as_str())).collect();
        assert_eq!(arns, ["arn:aws:s3:::new", "arn:aws:sns:r:111111111111:old"]);
    }

    #[test]
    fn the_youngest_analyzers_of_an_account_count() {
        let analyzers = |account: &str, name: &str, at: &str| {
            let arn = format!("arn:aws:access-analyzer:eu-west-1:{account}:analyzer/{name}");
            let text = format!(
                r#"{{"AccountId":"{account}","Analyzers":[{{"Arn":"{arn}","Type":"ACCOUNT","Status":"ACTIVE","Findings":[]}}]}}"#
            );
            let read = super::super::access_analyzer(text.as_bytes(), "f", at.parse().unwrap()).unwrap();
            Content::AccessAnalyzer(read.value)
        };
        let snapshot = assemble(vec![
            loaded("b", "2026-02-01", analyzers("111111111111", "young", "2026-02-01")),
            loaded("c", "2026-01-01", analyzers("222222222222", "other", "2026-01-01")),
            loaded("a", "2026-01-01", analyzers("111111111111", "old", "2026-01-01")),
        ]);
        let all = snapshot.access_analyzers.values().flat_map(|one| &one.analyzers);
        assert_eq!(all.map(|one| one.name.as_str()).collect::<Vec<_>>(), ["young", "other"]);
    }
}
