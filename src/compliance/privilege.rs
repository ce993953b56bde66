//! T01: standing privilege held by people.

use std::collections::{BTreeMap, BTreeSet};

use super::counted;
use super::parameters::{BREAK_GLASS_PER_ACCOUNT_MAX, Parameters, STANDING_PRIVILEGE_MAX, shown};
use super::result::{Draft, Excluded, ParameterValue, Row, RowResult, Source};
use crate::compare::assessment::{Assessment, Nature, PrincipalFacts, PrincipalKind};
use crate::model::arn::AccountId;

/// Events named as evidence in a row; the principal's own list is the full one.
const EVENTS_SHOWN_MAX: usize = 3;
/// Names written out in a sentence before it says how many more there are.
const NAMES_SHOWN_MAX: usize = 3;

/// The break-glass principals that the configuration names, and how many an account may have.
pub(super) struct BreakGlass {
    per_account: BTreeMap<AccountId, u64>,
    max: u64,
}

impl BreakGlass {
    pub(super) fn of(assessment: &Assessment, parameters: &Parameters) -> Self {
        let mut per_account = BTreeMap::new();
        for principal in assessment.principals.iter().filter(|principal| principal.break_glass) {
            *per_account.entry(principal.account).or_insert(0u64) += 1;
        }
        Self { per_account, max: parameters.break_glass_per_account_max }
    }

    /// Excepts a failing row of a break-glass principal, while its account has no more of them than allowed.
    pub(super) fn judge(&self, principal: &PrincipalFacts, row: &mut Row) {
        if !principal.break_glass || row.result != RowResult::Fail {
            return;
        }
        let here = self.per_account.get(&principal.account).copied().unwrap_or(0);
        if here <= self.max {
            row.result = RowResult::Excepted;
            row.why.push_str("; named as break-glass in the configuration");
        } else {
            row.why.push_str(&format!(
                "; break-glass, but its account has {here} such principals where at most {} are accepted",
                self.max
            ));
        }
    }

    pub(super) fn parameter(parameters: &Parameters) -> ParameterValue {
        shown(
            "break_glass_per_account_max",
            &parameters.break_glass_per_account_max,
            &BREAK_GLASS_PER_ACCOUNT_MAX,
            "principals",
            "one and one in reserve, our judgement",
        )
    }
}

/// Who holds a principal, as far as T01 is concerned.
enum Held {
    /// People, also people.
    ByPeople(&'static str),
    /// Machines only.
    ByMachines,
    /// Not known.
    Unknown,
}

fn held(principal: &PrincipalFacts, with_console: &BTreeSet<&str>) -> Held {
    match (principal.kind, principal.nature) {
        (PrincipalKind::IdentityCenterRole, _) => Held::ByPeople("people enter it through Identity Center"),
        (_, Nature::Human) => Held::ByPeople("people act through it"),
        (_, Nature::Mixed) => Held::ByPeople("people and machines act through it"),
        (PrincipalKind::User, _) if with_console.contains(principal.arn.as_str()) => {
            Held::ByPeople("it may sign in to the console")
        }
        (_, Nature::Machine) => Held::ByMachines,
        (_, Nature::Unknown) => Held::Unknown,
    }
}

/// T01: no person holds administrator or privilege-managing rights without a time-bound grant.
pub(super) fn standing_privilege(assessment: &Assessment, parameters: &Parameters) -> Draft {
    let with_console: BTreeSet<&str> = assessment
        .credentials
        .iter()
        .filter(|credential| credential.console)
        .map(|credential| credential.arn.as_str())
        .collect();
    let break_glass = BreakGlass::of(assessment, parameters);
    let (mut rows, mut machines, mut service_linked, mut root) = (Vec::new(), 0u64, 0u64, 0u64);
    for principal in &assessment.principals {
        match principal.kind {
            PrincipalKind::ServiceLinkedRole => service_linked += 1,
            PrincipalKind::Root => root += 1,
            _ => match held(principal, &with_console) {
                Held::ByMachines => machines += 1,
                Held::ByPeople(how) => rows.push(row(principal, Some(how), &break_glass)),
                Held::Unknown => rows.push(row(principal, None, &break_glass)),
            },
        }
    }
    let size = (assessment.principals.len() as u64).saturating_sub(machines + service_linked + root);
    Draft {
        id: "T01",
        version: 1,
        over_period: false,
        unit: "principal",
        population: "IAM users, roles and Identity Center roles through which people act, or of which nothing says that only machines do",
        predicate: "holds neither administrator rights nor an action of the PRIV set outside a time-bound grant",
        parameters: vec![
            shown(
                "standing_privilege_max",
                &parameters.standing_privilege_max,
                &STANDING_PRIVILEGE_MAX,
                "failing principals",
                "none is tolerated, our judgement",
            ),
            BreakGlass::parameter(parameters),
            ParameterValue {
                name: "privileged_set".to_owned(),
                value: assessment.privileged_set.clone(),
                unit: "version and hash".to_owned(),
                source: "which actions count as privileged is a judgement; the set is versioned and hashed".to_owned(),
            },
        ],
        size,
        rows,
        excluded: vec![
            Excluded { count: machines, what: "principals through which only machines act".to_owned() },
            Excluded { count: service_linked, what: "service-linked roles, which only AWS services may assume".to_owned() },
            Excluded { count: root, what: "root users, which T15 and T16 look at".to_owned() },
        ],
        limits: vec![
            "No grants ledger is read in this release: privilege held through a time-bound grant of another tool counts as standing.".to_owned(),
            "Rights are those of the snapshot; what service control policies, resource policies and session policies take away counts only as far as they were collected.".to_owned(),
            "The state at one instant: privilege granted and removed between two snapshots does not show.".to_owned(),
        ],
        manual: Vec::new(),
        sources: &[Source::C, Source::R, Source::T],
        tolerated: parameters.standing_privilege_max,
    }
}

fn row(principal: &PrincipalFacts, how: Option<&str>, break_glass: &BreakGlass) -> Row {
    let privileged = principal.administrator || !principal.privileged.is_empty();
    let account = principal.account.to_string();
    if !privileged {
        let why = "holds no privileged action".to_owned();
        return Row::new(&principal.arn, &account, RowResult::Pass, why);
    }
    let what = if principal.administrator {
        "holds administrator rights".to_owned()
    } else {
        format!("holds {}", listed(&principal.privileged, "privileged action"))
    };
    let used = match principal.privileged_days.len() {
        0 if principal.activity_observable => "used on no day of the window".to_owned(),
        0 => "use not fully observable".to_owned(),
        days => format!("used on {} of the window", counted(days as u64, "day")),
    };
    let holders = match principal.holders.len() {
        0 => "holders not known".to_owned(),
        _ => format!("held by {}", listed(&principal.holders, "person")),
    };
    let mut row = match how {
        Some(how) => Row::new(&principal.arn, &account, RowResult::Fail, format!("{what}; {how}; {holders}; {used}")),
        None => Row::new(
            &principal.arn,
            &account,
            RowResult::Inconclusive,
            format!("{what}; nothing says whether people or machines act through it; {used}"),
        ),
    };
    let statements = principal.privileged_statements.iter().map(|statement| format!("statement {statement}"));
    let events = principal.privileged_events.iter().take(EVENTS_SHOWN_MAX).map(|event| format!("event {event}"));
    row.evidence = statements.chain(events).collect();
    break_glass.judge(principal, &mut row);
    row
}

/// "3 privileged actions (a, b, c)", cut after a few names; "people" for persons.
fn listed(names: &[String], noun: &str) -> String {
    let number = match (noun, names.len()) {
        ("person", 1) => "1 person".to_owned(),
        ("person", many) => format!("{many} people"),
        (noun, many) => counted(many as u64, noun),
    };
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN_MAX).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{number} ({}{more})", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::result::Status;
    use super::super::sample::{self, principal};
    use super::*;

    #[test]
    fn who_holds_what_decides() {
        use PrincipalKind::{IdentityCenterRole, Role, Root, ServiceLinkedRole, User};
        for (kind, nature, admin, privileged, want) in [
            (User, Nature::Human, true, false, Some(RowResult::Fail)),
            (User, Nature::Human, false, true, Some(RowResult::Fail)),
            (User, Nature::Human, false, false, Some(RowResult::Pass)),
            (Role, Nature::Mixed, false, true, Some(RowResult::Fail)),
            (Role, Nature::Machine, true, true, None),
            (Role, Nature::Unknown, true, false, Some(RowResult::Inconclusive)),
            (Role, Nature::Unknown, false, false, Some(RowResult::Pass)),
            (IdentityCenterRole, Nature::Unknown, true, false, Some(RowResult::Fail)),
            (IdentityCenterRole, Nature::Machine, true, false, Some(RowResult::Fail)),
            (ServiceLinkedRole, Nature::Machine, true, true, None),
            (Root, Nature::Human, true, true, None),
        ] {
            let mut facts = principal("x", kind, nature);
            facts.administrator = admin;
            if privileged {
                facts.privileged = vec!["iam:CreateUser".into()];
            }
            let assessment = sample::of(vec![facts], vec![]);
            let result = standing_privilege(&assessment, &Parameters::default()).finish(&assessment, &[]).unwrap();
            assert_eq!(result.rows.first().map(|row| row.result), want, "{kind:?} {nature:?}");
            assert!(result.counts.add_up());
            assert_eq!(result.counts.population + result.excluded.iter().map(|e| e.count).sum::<u64>(), 1);
        }
    }

    #[test]
    fn a_console_password_makes_a_machine_user_a_persons() {
        let mut user = principal("legacy", PrincipalKind::User, Nature::Machine);
        user.administrator = true;
        let password = sample::password(&user, true);
        let assessment = sample::of(vec![user], vec![password]);
        let result = standing_privilege(&assessment, &Parameters::default()).finish(&assessment, &[]).unwrap();
        assert_eq!(result.status, Status::Fail);
        assert!(result.rows[0].why.contains("may sign in to the console"));
    }

    #[test]
    fn break_glass_is_shown_as_excepted_up_to_its_number() {
        for (number, want) in [(1, RowResult::Excepted), (2, RowResult::Excepted), (3, RowResult::Fail)] {
            let facts = (0..number)
                .map(|index| {
                    let mut facts = principal(&format!("bg{index}"), PrincipalKind::Role, Nature::Human);
                    facts.administrator = true;
                    facts.break_glass = true;
                    facts
                })
                .collect();
            let assessment = sample::of(facts, vec![]);
            let result = standing_privilege(&assessment, &Parameters::default()).finish(&assessment, &[]).unwrap();
            assert!(result.rows.iter().all(|row| row.result == want), "{number}");
        }
    }

    #[test]
    fn the_row_says_what_it_rests_on() {
        let mut facts = principal("r", PrincipalKind::Role, Nature::Human);
        facts.privileged = (0..5).map(|n| format!("iam:A{n}")).collect();
        facts.holders = vec!["ana".into(), "bo".into()];
        facts.privileged_days = vec![sample::as_of().day()];
        facts.privileged_statements = vec!["P#s".into()];
        facts.privileged_events = (0..9).map(|n| format!("e{n}")).collect();
        let assessment = sample::of(vec![facts], vec![]);
        let result = standing_privilege(&assessment, &Parameters::default()).finish(&assessment, &[]).unwrap();
        assert_eq!(
            result.rows[0].why,
            "holds 5 privileged actions (iam:A0, iam:A1, iam:A2, …); people act through it; \
             held by 2 people (ana, bo); used on 1 day of the window"
        );
        assert_eq!(result.rows[0].evidence, ["statement P#s", "event e0", "event e1", "event e2"]);
    }
}
