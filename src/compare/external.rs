//! Access that IAM Access Analyzer sees from outside (and within) an analyzer's zone of trust, held against the policies
//! that were collected.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::decide::compile::Compiler;
use crate::decide::context::Context;
use crate::decide::{ActionName, Answer, Caller, Layer, Policies, PolicySet, Request, ResourcePolicy, Target};
use crate::model::access_analyzer::{AnalyzerFinding, FindingDetail, FindingStatus, GrantedAccess};
use crate::model::arn::{AccountId, Arn};
use crate::model::resource_policy::PolicyState;
use crate::model::snapshot::Snapshot;
use crate::policy::DocumentKind;

use super::assessment::SharedAccess;

/// Whose policies would have to say yes, too, says so: what is asked is what the resource lets in.
const ANYTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

/// A resource's policy, as it was collected.
#[derive(Clone, Copy)]
enum Collected<'a> {
    Trust(&'a str),
    Resource(&'a str),
    /// There is none.
    None,
}

/// What analyzers found of access to resources, by resource; see [`SharedAccess`].
pub(super) fn shared(snapshot: &Snapshot, catalog: &Catalog) -> Vec<SharedAccess> {
    let found = || {
        let analyzers = snapshot.access_analyzers.values().flat_map(|one| &one.analyzers);
        analyzers.flat_map(|analyzer| analyzer.findings.iter().map(move |finding| (analyzer.name.as_str(), finding)))
    };
    let open = |finding: &AnalyzerFinding| finding.status == FindingStatus::Active;
    if !found().any(|(_, finding)| open(finding) && finding.details.iter().any(|detail| access(detail).is_some())) {
        return Vec::new();
    }
    let policies = collected(snapshot);
    let compiler = Compiler::deciding(catalog);
    let mut out: BTreeMap<(String, bool), SharedAccess> = BTreeMap::new();
    for (analyzer, finding) in found().filter(|(_, finding)| open(finding)) {
        for detail in &finding.details {
            let Some((granted, external, public)) = access(detail) else { continue };
            let one = out.entry((finding.resource.clone(), external)).or_insert_with(|| SharedAccess {
                account: finding.owner,
                resource: finding.resource.clone(),
                resource_type: finding.resource_type.clone(),
                external,
                public: false,
                disputed: false,
                notes: Vec::new(),
            });
            one.public |= public;
            let policy = policies.get(finding.resource.as_str()).copied();
            let opinion = opinion(&compiler, catalog, finding, granted, policy);
            one.disputed |= opinion.1;
            one.notes.push(format!("{}; {} (analyzer {analyzer}, finding {})", told(granted), opinion.0, finding.id));
        }
    }
    let mut out: Vec<SharedAccess> = out.into_values().collect();
    for one in &mut out {
        one.notes.sort();
        one.notes.dedup();
    }
    out
}

/// What is granted, whether to somebody outside, and whether to everybody.
fn access(detail: &FindingDetail) -> Option<(&GrantedAccess, bool, bool)> {
    match detail {
        FindingDetail::ExternalAccess { access, public } => Some((access, true, *public == Some(true))),
        FindingDetail::InternalAccess { access, .. } => Some((access, false, false)),
        _ => None,
    }
}

fn collected(snapshot: &Snapshot) -> BTreeMap<&str, Collected<'_>> {
    let roles = snapshot.accounts.values().flat_map(|iam| &iam.roles);
    let trusts = roles.map(|role| (role.holder.arn.as_str(), Collected::Trust(role.trust.as_str())));
    let resources = snapshot.resources.values().flat_map(|of| &of.resources);
    let resources = resources.filter_map(|one| match &one.policy {
        PolicyState::Text(text) => Some((one.arn.as_str(), Collected::Resource(text.as_str()))),
        PolicyState::None => Some((one.arn.as_str(), Collected::None)),
        PolicyState::Unread => None,
    });
    trusts.chain(resources).collect()
}

fn told(granted: &GrantedAccess) -> String {
    let who: Vec<String> = granted.principal.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
    let who = if who.is_empty() { "somebody".to_owned() } else { who.join(", ") };
    let actions: Vec<&str> = granted.actions.iter().map(String::as_str).collect();
    let conditions: Vec<String> = granted.condition.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let conditions = if conditions.is_empty() { String::new() } else { format!(" if {}", conditions.join(", ")) };
    format!("{who} may {}{conditions}", actions.join(", "))
}

/// What the collected policy says of it, and whether it contradicts.
fn opinion(
    compiler: &Compiler<'_>,
    catalog: &Catalog,
    finding: &AnalyzerFinding,
    granted: &GrantedAccess,
    policy: Option<Collected<'_>>,
) -> (String, bool) {
    let (text, kind) = match policy {
        None => return ("the policy was not collected".to_owned(), false),
        Some(Collected::None) => return ("as collected, the resource has no policy".to_owned(), true),
        Some(Collected::Trust(text)) => (text, DocumentKind::Trust),
        Some(Collected::Resource(text)) => (text, DocumentKind::Resource),
    };
    let Ok(statements) = compiler.document(text, kind) else {
        return ("the policy that was collected cannot be read".to_owned(), false);
    };
    let Some(caller) = granted.principal.iter().find_map(|(kind, name)| caller(kind, name, finding.owner)) else {
        return ("who it is cannot be asked about".to_owned(), false);
    };
    let mut resource = PolicySet::default();
    resource.add(&statements, Layer::Resource, &"policy".into(), &finding.resource.as_str().into());
    let mut identity = PolicySet::default();
    if let Ok(anything) = compiler.document(ANYTHING, DocumentKind::Identity) {
        identity.add(&anything, Layer::IdentityInline, &"anything".into(), &"".into());
    }
    let (caller, resource, identity) = (Arc::new(caller), ResourcePolicy::Is(Arc::new(resource)), Arc::new(identity));
    let policies = Policies { resource, identity, ..Policies::default() };
    let answers: Vec<Answer> = granted
        .actions
        .iter()
        .flat_map(|action| {
            // Objects lie below their bucket.
            let below = format!("{}/*", finding.resource);
            let targets =
                if action.starts_with("s3:") { vec![&finding.resource, &below] } else { vec![&finding.resource] };
            let ask = |target: &&String| {
                let (action, target) = (ActionName::new(action, catalog), Target::new(target));
                let request = Request::new(Arc::clone(&caller), action, target, Some(finding.owner), Context::open());
                policies.answer(&request)
            };
            targets.iter().map(ask).collect::<Vec<_>>()
        })
        .collect();
    if answers.contains(&Answer::Allowed) {
        ("the policy as collected allows it".to_owned(), false)
    } else if answers.contains(&Answer::Undecided) {
        ("the policy as collected may allow it: it depends on the request".to_owned(), false)
    } else if answers.is_empty() {
        ("no action is named".to_owned(), false)
    } else {
        ("the policy as collected does not allow it".to_owned(), true)
    }
}

/// The caller that a finding names: everybody, an account, or an ARN.
fn caller(kind: &str, name: &str, owner: AccountId) -> Option<Caller> {
    match kind {
        "AWS" if name == "*" => Some(Caller::anonymous()),
        "AWS" => {
            let arn = match name.parse::<AccountId>() {
                Ok(account) => format!("arn:aws:iam::{account}:root").parse::<Arn>().ok()?,
                Err(_) => name.parse::<Arn>().ok()?,
            };
            Caller::of_arn(&arn, None)
        }
        "Federated" => Some(Caller::provider(name)),
        "Service" => Some(Caller::service(name)),
        // Of internal findings: an account or an ARN, too.
        _ => name
            .parse::<AccountId>()
            .ok()
            .filter(|account| *account != owner)
            .and_then(|account| Caller::of_arn(&format!("arn:aws:iam::{account}:root").parse().ok()?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn snapshot(grants: &[(&str, &str, &str)]) -> Snapshot {
        let at = Timestamp::default();
        let finding = |(n, (resource, detail, more)): (usize, &(&str, &str, &str))| {
            format!(
                r#"{{"Id":"f{n}","FindingType":"{detail}","Status":"ACTIVE","Resource":"{resource}","ResourceType":"x",
                "ResourceOwnerAccount":"111122223333","FindingDetails":[{{"{detail}Details":{{{more}}}}}]}}"#
            )
        };
        let findings: Vec<String> = grants.iter().enumerate().map(finding).collect();
        let analyzers = format!(
            r#"{{"AccountId":"111122223333","Analyzers":[{{"Arn":"arn:aws:access-analyzer:r:111122223333:analyzer/a","Name":"a",
            "Type":"ACCOUNT","Status":"ACTIVE","Findings":[{}]}}]}}"#,
            findings.join(",")
        );
        let resources = r#"{"AccountId":"111122223333","Services":[{"Service":"sqs","Resources":[
            {"Arn":"arn:aws:sqs:r:111122223333:shared","Policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"sqs:SendMessage\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"999988887777\"}}}"},
            {"Arn":"arn:aws:sqs:r:111122223333:plain"}]},{"Service":"s3","Resources":[{"Arn":"arn:aws:s3:::open",
            "Policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::open/*\",\"Principal\":\"*\"}}"}]}]}"#;
        let mut snapshot = Snapshot::default();
        let read = crate::collect::access_analyzer(analyzers.as_bytes(), "f", at).unwrap();
        assert!(read.defects.is_empty(), "{:?}", read.defects);
        snapshot.access_analyzers.insert(read.value.account, read.value);
        let read = crate::collect::resource_policies(resources.as_bytes(), "f", at).unwrap();
        for of in read.value.services {
            snapshot.resources.insert((read.value.account, of.service), of);
        }
        snapshot
    }

    #[test]
    fn findings_are_held_against_the_policies() {
        let sqs = |name: &str| format!("arn:aws:sqs:r:111122223333:{name}");
        let (shared_queue, plain, unknown) = (sqs("shared"), sqs("plain"), sqs("unknown"));
        let to = |account: &str, action: &str| format!(r#""Action":["{action}"],"Principal":{{"AWS":"{account}"}}"#);
        let other = to("999988887777", "sqs:SendMessage");
        let third = to("777766665555", "sqs:SendMessage");
        let everybody = format!(r#"{},"IsPublic":true"#, to("*", "s3:GetObject"));
        let found = shared(
            &snapshot(&[
                (&shared_queue, "ExternalAccess", &other),
                (&shared_queue, "ExternalAccess", &third),
                (&plain, "ExternalAccess", &other),
                (&unknown, "InternalAccess", &other),
                ("arn:aws:s3:::open", "ExternalAccess", &everybody),
            ]),
            Catalog::get(),
        );
        let shown: Vec<(&str, bool, bool, bool, usize)> = found
            .iter()
            .map(|one| (one.resource.as_str(), one.external, one.public, one.disputed, one.notes.len()))
            .collect();
        let want = [
            ("arn:aws:s3:::open", true, true, false, 1),
            (plain.as_str(), true, false, true, 1),
            (shared_queue.as_str(), true, false, true, 2),
            (unknown.as_str(), false, false, false, 1),
        ];
        assert_eq!(shown, want, "{found:#?}");
        let notes = &found[2].notes;
        assert!(
            notes.iter().any(|note| note.contains("999988887777 may sqs:SendMessage; the policy as collected allows"))
        );
        assert!(
            notes.iter().any(|note| note.contains("777766665555") && note.contains("does not allow it")),
            "{notes:?}"
        );
    }

    #[test]
    fn without_findings_nothing_is_compiled() {
        assert!(shared(&Snapshot::default(), Catalog::get()).is_empty());
    }
}
