//! T04, T16, T17 and T18: what the credential report says of passwords, access keys and multi-factor authentication.

use std::collections::{BTreeMap, BTreeSet};

use super::counted;
use super::parameters::{KEY_AGE_DAYS, KEYS_PER_USER_MAX, NEVER_USED_DAYS, Parameters, shown};
use super::result::{Draft, Excluded, Row, RowResult, Source};
use crate::compare::assessment::{Assessment, CredentialFacts, CredentialKind, PrincipalKind};
use crate::model::arn::AccountId;

/// Age of a credential report from which a limit is printed: a week, after which it says little of today (our judgement).
const REPORT_STALE_DAYS: i64 = 7;

/// What is missing from the credential reports: whole accounts, and users that the snapshot has and they have not.
struct Missing {
    accounts: Vec<AccountId>,
    /// (account, ARN)
    users: Vec<(AccountId, String)>,
}

impl Missing {
    fn of(assessment: &Assessment) -> Self {
        let reported: BTreeSet<AccountId> =
            assessment.credentials.iter().map(|credential| credential.account).collect();
        let known: BTreeSet<&str> = assessment.credentials.iter().map(|credential| credential.arn.as_str()).collect();
        let accounts: BTreeSet<AccountId> =
            assessment.accounts.iter().copied().filter(|account| !reported.contains(account)).collect();
        let users = assessment
            .principals
            .iter()
            .filter(|principal| principal.kind == PrincipalKind::User && !known.contains(principal.arn.as_str()))
            .map(|principal| (principal.account, principal.arn.clone()))
            .collect();
        Self { accounts: accounts.into_iter().collect(), users }
    }

    /// An inconclusive row for each account without a report, and for each user whom his account's report leaves out.
    fn rows(&self) -> Vec<Row> {
        let accounts = self.accounts.iter().map(|account| {
            let account = account.to_string();
            Row::new(&account, &account, RowResult::Inconclusive, "no credential report of this account".to_owned())
        });
        let users = self.users.iter().filter(|(account, _)| !self.accounts.contains(account)).map(|(account, arn)| {
            let why = "in the snapshot, but not in the credential report".to_owned();
            Row::new(arn, &account.to_string(), RowResult::Inconclusive, why)
        });
        accounts.chain(users).collect()
    }

    /// Members that [`Missing::rows`] stands for, counted apart from it.
    fn size(&self) -> u64 {
        let left_out = self.users.iter().filter(|(account, _)| self.accounts.binary_search(account).is_err()).count();
        (self.accounts.len() + left_out) as u64
    }
}

/// A limit for every account whose report is old at the as-of instant.
fn stale(assessment: &Assessment) -> Vec<String> {
    let mut made = BTreeMap::new();
    for credential in &assessment.credentials {
        let oldest = made.entry(credential.account).or_insert(credential.reported_at);
        *oldest = credential.reported_at.min(*oldest);
    }
    made.into_iter()
        .filter(|(_, at)| assessment.as_of.days_since(*at) >= REPORT_STALE_DAYS)
        .map(|(account, at)| {
            let days = counted(assessment.as_of.days_since(at).unsigned_abs(), "day");
            format!("The credential report of {account} was made at {at}, {days} before the as-of instant.")
        })
        .collect()
}

fn limits(assessment: &Assessment, own: &[&str]) -> Vec<String> {
    let common = [
        "The credential report has IAM users and root only: no roles, no Identity Center users.",
        "AWS makes a new credential report at most every four hours.",
    ];
    own.iter().chain(&common).map(|text| (*text).to_owned()).chain(stale(assessment)).collect()
}

fn row(credential: &CredentialFacts, result: RowResult, why: String) -> Row {
    Row {
        part: credential.kind.as_str().to_owned(),
        evidence: vec![format!("credential report of {}", credential.reported_at)],
        ..Row::new(&credential.arn, &credential.account.to_string(), result, why)
    }
}

/// T04: no active credential is older than the limit without ever having been used.
pub(super) fn never_used(assessment: &Assessment, parameters: &Parameters) -> Draft {
    let missing = Missing::of(assessment);
    // The report does not say whether root has a password, and one that was never used is how it should be.
    let of_root = |credential: &CredentialFacts| credential.root && credential.kind == CredentialKind::Password;
    let active = |credential: &&CredentialFacts| credential.active && !of_root(credential);
    let limit = parameters.never_used_days;
    let mut rows = missing.rows();
    rows.extend(assessment.credentials.iter().filter(active).map(|credential| {
        if let Some(last) = credential.last_used {
            return row(credential, RowResult::Pass, format!("used, last at {last}"));
        }
        let Some(since) = credential.since else {
            let why = "never used, but its age is not in the report".to_owned();
            return row(credential, RowResult::Inconclusive, why);
        };
        // "Never used" is known for the moment of the report; a later as-of instant adds no knowledge.
        let age = credential.reported_at.min(assessment.as_of).days_since(since);
        let result = if age > limit { RowResult::Fail } else { RowResult::Pass };
        row(credential, result, format!("never used in {} since {since}", counted(age.max(0).unsigned_abs(), "day")))
    }));
    let root_passwords = assessment.credentials.iter().filter(|credential| of_root(credential)).count() as u64;
    let inactive =
        assessment.credentials.iter().filter(|credential| !credential.active && !of_root(credential)).count() as u64;
    Draft {
        id: "T04",
        version: 1,
        over_period: false,
        unit: "credential",
        population: "active console passwords of IAM users, and active access keys of IAM users and root",
        predicate: "has been used, or was created or rotated within the days given",
        parameters: vec![shown(
            "never_used_days",
            &limit,
            &NEVER_USED_DAYS,
            "days",
            "CIS AWS Foundations, unused credentials",
        )],
        size: (assessment.credentials.len() as u64).saturating_sub(inactive + root_passwords) + missing.size(),
        rows,
        excluded: vec![
            Excluded { count: inactive, what: "credentials that are not active".to_owned() },
            Excluded {
                count: root_passwords,
                what: "root passwords: not using them is right, and T15 and T16 look at root".to_owned(),
            },
        ],
        limits: limits(
            assessment,
            &["The report has no use before AWS began to record it: passwords 2014-10-20, keys 2015-04-22."],
        ),
        manual: Vec::new(),
        sources: &[Source::R],
        tolerated: 0,
    }
}

/// T16: the root user of each account has no active access key and has MFA.
pub(super) fn root(assessment: &Assessment) -> Draft {
    let mut roots: BTreeMap<AccountId, Vec<&CredentialFacts>> = BTreeMap::new();
    for account in &assessment.accounts {
        roots.entry(*account).or_default();
    }
    for credential in assessment.credentials.iter().filter(|credential| credential.root) {
        roots.entry(credential.account).or_default().push(credential);
    }
    let size = roots.len() as u64;
    let reported: BTreeSet<AccountId> = assessment.credentials.iter().map(|credential| credential.account).collect();
    let rows = roots.into_iter().map(|(account, of_root)| root_row(account, &of_root, reported.contains(&account)));
    Draft {
        id: "T16",
        version: 1,
        over_period: false,
        unit: "account",
        population: "accounts in the snapshot or in a credential report",
        predicate: "root has no active access key and has multi-factor authentication",
        parameters: Vec::new(),
        size,
        rows: rows.collect(),
        excluded: Vec::new(),
        limits: limits(
            assessment,
            &[
                "The report does not tell a hardware device from a virtual one.",
                "Member accounts whose root credentials were removed centrally show no MFA here: name them as exceptions.",
            ],
        ),
        manual: vec!["That a hardware device protects root, where the entity requires one.".to_owned()],
        sources: &[Source::R],
        tolerated: 0,
    }
}

fn root_row(account: AccountId, of_root: &[&CredentialFacts], reported: bool) -> Row {
    let name = account.to_string();
    let Some(first) = of_root.first() else {
        let why =
            if reported { "no root row in the credential report" } else { "no credential report of this account" };
        return Row::new(&name, &name, RowResult::Inconclusive, why.to_owned());
    };
    let keys =
        of_root.iter().filter(|credential| credential.active && credential.kind != CredentialKind::Password).count()
            as u64;
    let mfa = of_root.iter().all(|credential| credential.mfa);
    let mut faults = Vec::new();
    if keys > 0 {
        faults.push(counted(keys, "active root access key"));
    }
    if !mfa {
        faults.push("root has no MFA".to_owned());
    }
    let (result, why) = if faults.is_empty() {
        (RowResult::Pass, "no active root access key, root has MFA".to_owned())
    } else {
        (RowResult::Fail, faults.join("; "))
    };
    Row {
        evidence: vec![format!("credential report of {}", first.reported_at)],
        ..Row::new(&first.arn, &name, result, why)
    }
}

/// T17: IAM users who may sign in to the console have MFA.
pub(super) fn mfa(assessment: &Assessment) -> Draft {
    let missing = Missing::of(assessment);
    let mut users: BTreeMap<&str, (&CredentialFacts, bool, bool)> = BTreeMap::new();
    for credential in assessment.credentials.iter().filter(|credential| !credential.root) {
        let user = users.entry(credential.arn.as_str()).or_insert((credential, false, true));
        user.1 |= credential.console;
        user.2 &= credential.mfa;
    }
    let without_console = users.values().filter(|(_, console, _)| !console).count() as u64;
    let size = (users.len() + missing.users.len()) as u64 - without_console;
    let mut rows: Vec<Row> = users
        .values()
        .filter(|(_, console, _)| *console)
        .map(|(credential, _, mfa)| {
            let (result, why) = if *mfa {
                (RowResult::Pass, "may sign in to the console, has MFA")
            } else {
                (RowResult::Fail, "may sign in to the console without MFA")
            };
            Row { part: String::new(), ..row(credential, result, why.to_owned()) }
        })
        .collect();
    rows.extend(missing.users.iter().map(|(account, arn)| {
        let why = if missing.accounts.contains(account) {
            "no credential report of its account"
        } else {
            "in the snapshot, but not in the credential report"
        };
        Row::new(arn, &account.to_string(), RowResult::Inconclusive, why.to_owned())
    }));
    let identity_center =
        assessment.principals.iter().filter(|principal| principal.kind == PrincipalKind::IdentityCenterRole).count();
    let mut manual = Vec::new();
    if identity_center > 0 {
        manual.push(format!(
            "That the identity provider asks for MFA: people enter {} through Identity Center, and neither IAM nor the credential report shows how they authenticated.",
            counted(identity_center as u64, "role")
        ));
    }
    Draft {
        id: "T17",
        version: 1,
        over_period: false,
        unit: "user",
        population: "IAM users who may sign in to the console, or of whom that is not known",
        predicate: "has a multi-factor device",
        parameters: Vec::new(),
        size,
        rows,
        excluded: vec![Excluded { count: without_console, what: "IAM users without a console password".to_owned() }],
        limits: limits(
            assessment,
            &[
                "A registered device does not prove that policies ask for it, nor that access keys are used with it.",
                "MFA of people who sign in through an identity provider or Identity Center lies there.",
                "Accounts without IAM users in the snapshot and without a credential report have no row.",
            ],
        ),
        manual,
        sources: &[Source::R, Source::C],
        tolerated: 0,
    }
}

/// T18: active access keys are younger than the limit, and no user has too many.
pub(super) fn key_hygiene(assessment: &Assessment, parameters: &Parameters) -> Draft {
    let missing = Missing::of(assessment);
    let is_key = |credential: &&CredentialFacts| credential.kind != CredentialKind::Password;
    let keys: Vec<&CredentialFacts> =
        assessment.credentials.iter().filter(is_key).filter(|credential| credential.active).collect();
    let inactive = assessment.credentials.iter().filter(is_key).filter(|credential| !credential.active).count() as u64;
    let mut per_user: BTreeMap<&str, u64> = BTreeMap::new();
    for key in &keys {
        *per_user.entry(key.arn.as_str()).or_default() += 1;
    }
    let mut rows = missing.rows();
    rows.extend(keys.iter().map(|key| {
        let many = per_user.get(key.arn.as_str()).copied().unwrap_or(0);
        let too_many = many > parameters.keys_per_user_max;
        let age = key.since.map(|since| key.reported_at.min(assessment.as_of).days_since(since));
        let too_old = age.is_some_and(|age| age > parameters.key_age_days);
        let mut why = vec![age.map_or_else(
            || "its age is not in the report".to_owned(),
            |age| format!("created or rotated {} ago", counted(age.max(0).unsigned_abs(), "day")),
        )];
        if too_many {
            why.push(format!("its user has {many} active keys"));
        }
        let result = match (too_old || too_many, age) {
            (true, _) => RowResult::Fail,
            (false, None) => RowResult::Inconclusive,
            (false, Some(_)) => RowResult::Pass,
        };
        row(key, result, why.join("; "))
    }));
    let passwords = assessment.credentials.iter().filter(|c| c.kind == CredentialKind::Password).count() as u64;
    Draft {
        id: "T18",
        version: 1,
        over_period: false,
        unit: "access key",
        population: "active access keys of IAM users and root",
        predicate: "was created or rotated within the days given, and its user has no more active keys than given",
        parameters: vec![
            shown("key_age_days", &parameters.key_age_days, &KEY_AGE_DAYS, "days", "CIS AWS Foundations, key rotation"),
            shown(
                "keys_per_user_max",
                &parameters.keys_per_user_max,
                &KEYS_PER_USER_MAX,
                "active keys",
                "CIS AWS Foundations 3.0 to 6.0",
            ),
        ],
        size: (assessment.credentials.len() as u64).saturating_sub(passwords + inactive) + missing.size(),
        rows,
        excluded: vec![Excluded { count: inactive, what: "access keys that are not active".to_owned() }],
        limits: limits(assessment, &["Secrets of other kinds (database passwords, tokens in code) are not looked at."]),
        manual: Vec::new(),
        sources: &[Source::R],
        tolerated: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::result::{Status, TestResult};
    use super::super::sample::{self, principal};
    use super::*;
    use crate::compare::assessment::Nature;
    use crate::model::time::Timestamp;

    fn ago(days: i64) -> Timestamp {
        sample::as_of().plus_days(-days)
    }

    fn key(user: &str, kind: CredentialKind, since: Option<i64>, used: Option<i64>) -> CredentialFacts {
        let facts = principal(user, PrincipalKind::User, Nature::Unknown);
        CredentialFacts {
            kind,
            since: since.map(ago),
            last_used: used.map(ago),
            console: false,
            ..sample::password(&facts, true)
        }
    }

    fn finish(draft: Draft, assessment: &Assessment) -> TestResult {
        draft.finish(assessment, &[]).unwrap()
    }

    #[test]
    fn never_used_credentials_age_from_creation() {
        use CredentialKind::{AccessKey1, Password};
        for (kind, since, used, want) in [
            (AccessKey1, Some(46), None, RowResult::Fail),
            (AccessKey1, Some(45), None, RowResult::Pass),
            (AccessKey1, None, None, RowResult::Inconclusive),
            (AccessKey1, Some(4000), Some(300), RowResult::Pass),
            (Password, Some(46), None, RowResult::Fail),
        ] {
            let assessment = sample::of(vec![], vec![key("u", kind, since, used)]);
            let result = finish(never_used(&assessment, &Parameters::default()), &assessment);
            assert_eq!(result.rows[0].result, want, "{kind:?} {since:?} {used:?}");
            assert_eq!(result.counts.population, 1);
        }
    }

    #[test]
    fn an_unused_root_password_is_no_fault_but_an_unused_root_key_is() {
        let user = principal("root", PrincipalKind::Root, Nature::Human);
        let password = sample::password(&user, true);
        let key = CredentialFacts { kind: CredentialKind::AccessKey1, ..password.clone() };
        let assessment = sample::of(vec![user], vec![password, key]);
        let result = finish(never_used(&assessment, &Parameters::default()), &assessment);
        assert_eq!((result.counts.population, result.counts.fail), (1, 1));
        assert_eq!(result.excluded.iter().map(|excluded| excluded.count).sum::<u64>(), 1);
    }

    #[test]
    fn never_used_is_known_up_to_the_report_only() {
        let old = CredentialFacts { reported_at: ago(30), ..key("u", CredentialKind::AccessKey1, Some(60), None) };
        let assessment = sample::of(vec![], vec![old]);
        let result = finish(never_used(&assessment, &Parameters::default()), &assessment);
        assert_eq!(result.rows[0].result, RowResult::Pass);
        assert!(result.limits.iter().any(|limit| limit.contains("30 days before the as-of instant")));
    }

    #[test]
    fn what_no_report_covers_is_inconclusive() {
        let user = principal("new", PrincipalKind::User, Nature::Human);
        let mut assessment = sample::of(vec![user], vec![]);
        for result in [
            finish(never_used(&assessment, &Parameters::default()), &assessment),
            finish(key_hygiene(&assessment, &Parameters::default()), &assessment),
            finish(mfa(&assessment), &assessment),
            finish(root(&assessment), &assessment),
        ] {
            assert_eq!((result.status, result.counts.inconclusive), (Status::Inconclusive, 1), "{}", result.id);
        }
        assessment.credentials = vec![key("other", CredentialKind::AccessKey1, Some(1), Some(1))];
        let result = finish(never_used(&assessment, &Parameters::default()), &assessment);
        assert_eq!((result.counts.pass, result.counts.inconclusive), (1, 1));
        assert!(result.rows[0].why.contains("not in the credential report"));
        let result = finish(root(&assessment), &assessment);
        assert!(result.rows[0].why.contains("no root row"));
    }

    #[test]
    fn root_needs_mfa_and_no_keys() {
        for (keys, mfa, want) in [
            (0, true, RowResult::Pass),
            (0, false, RowResult::Fail),
            (1, true, RowResult::Fail),
            (2, false, RowResult::Fail),
        ] {
            let root_user = principal("root", PrincipalKind::Root, Nature::Human);
            let base = CredentialFacts { root: true, mfa, ..sample::password(&root_user, true) };
            let mut rows = vec![base.clone()];
            for (index, kind) in [CredentialKind::AccessKey1, CredentialKind::AccessKey2].into_iter().enumerate() {
                rows.push(CredentialFacts { kind, active: index < keys, ..base.clone() });
            }
            let assessment = sample::of(vec![root_user], rows);
            let result = finish(root(&assessment), &assessment);
            assert_eq!((result.rows.len(), result.rows[0].result), (1, want), "{keys} {mfa}");
        }
    }

    #[test]
    fn console_users_need_mfa_and_the_identity_provider_is_for_a_person() {
        let user = principal("u", PrincipalKind::User, Nature::Human);
        let role = principal("sso", PrincipalKind::IdentityCenterRole, Nature::Human);
        for (console, has_mfa, want) in
            [(true, true, Status::Pass), (true, false, Status::Fail), (false, false, Status::Manual)]
        {
            let password = CredentialFacts { mfa: has_mfa, ..sample::password(&user, console) };
            let assessment = sample::of(vec![user.clone(), role.clone()], vec![password]);
            let result = finish(mfa(&assessment), &assessment);
            assert_eq!((result.status, result.manual.len()), (want, 1), "{console} {has_mfa}");
        }
        let password = sample::password(&user, false);
        let assessment = sample::of(vec![user], vec![password]);
        assert_eq!(finish(mfa(&assessment), &assessment).status, Status::NotApplicable);
    }

    #[test]
    fn keys_age_and_multiply() {
        use CredentialKind::{AccessKey1, AccessKey2};
        let one = |since| vec![key("u", AccessKey1, since, Some(1))];
        for (credentials, want) in [
            (one(Some(90)), vec![RowResult::Pass]),
            (one(Some(91)), vec![RowResult::Fail]),
            (one(None), vec![RowResult::Inconclusive]),
            (
                vec![key("u", AccessKey1, Some(1), None), key("u", AccessKey2, None, None)],
                vec![RowResult::Fail, RowResult::Fail],
            ),
            (
                vec![
                    key("u", AccessKey1, Some(1), None),
                    CredentialFacts { active: false, ..key("u", AccessKey2, Some(1), None) },
                ],
                vec![RowResult::Pass],
            ),
        ] {
            let assessment = sample::of(vec![], credentials);
            let result = finish(key_hygiene(&assessment, &Parameters::default()), &assessment);
            assert_eq!(result.rows.iter().map(|row| row.result).collect::<Vec<_>>(), want);
        }
    }
}
