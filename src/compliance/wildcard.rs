//! T32: wildcards and direct attachments.

use super::parameters::{Parameters, shown};
use super::privilege::BreakGlass;
use super::result::{Draft, Excluded, Row, RowResult, Source};
use crate::compare::assessment::{Assessment, PolicyRemark, PrincipalFacts, PrincipalKind};

/// T32: no principal holds `*` on `*` or a whole service, and no policy is attached straight to a user.
///
/// Service-linked roles are left out: AWS writes their policies and nobody else may change them. Roles that a
/// service made in the account's name (path `/service-role/`), Control Tower's and Identity Center's stay in: the
/// entity can change them or answer for them, and an auditor asks.
pub(super) fn wildcards_and_attachments(assessment: &Assessment, parameters: &Parameters) -> Draft {
    let break_glass = BreakGlass::of(assessment, parameters);
    let number = |kind| assessment.principals.iter().filter(|principal| principal.kind == kind).count() as u64;
    let (service_linked, root) = (number(PrincipalKind::ServiceLinkedRole), number(PrincipalKind::Root));
    let rows = assessment
        .principals
        .iter()
        .filter(|principal| !matches!(principal.kind, PrincipalKind::ServiceLinkedRole | PrincipalKind::Root))
        .map(|principal| row(principal, parameters, &break_glass))
        .collect();
    Draft {
        id: "T32",
        version: 1,
        over_period: false,
        unit: "principal",
        population: "IAM users, roles and Identity Center roles",
        predicate: "no statement in force allows every action on everything or every action of a service on everything, and no policy is attached to or inline in a user",
        parameters: vec![
            shown(
                "service_wildcards_fail",
                &parameters.service_wildcards_fail,
                &true,
                "",
                "a whole service on everything is more than a task needs, our judgement",
            ),
            BreakGlass::parameter(parameters),
        ],
        size: (assessment.principals.len() as u64).saturating_sub(service_linked + root),
        rows,
        excluded: vec![
            Excluded { count: service_linked, what: "service-linked roles, whose policies AWS writes".to_owned() },
            Excluded { count: root, what: "root users, which hold no policies".to_owned() },
        ],
        limits: vec![
            "Policies that are attached to nobody are not looked at.".to_owned(),
            "A wildcard that a boundary or a service control policy narrows still counts: the statement is what an auditor reads.".to_owned(),
            "AWS managed policies cannot be edited, but which of them is attached is the entity's choice; they count.".to_owned(),
        ],
        manual: Vec::new(),
        sources: &[Source::C],
        tolerated: 0,
    }
}

fn row(principal: &PrincipalFacts, parameters: &Parameters, break_glass: &BreakGlass) -> Row {
    let of = |kind: &str| principal.remarks.iter().filter(|remark| remark.kind == kind).collect::<Vec<_>>();
    let (full, direct) = (of("full_administrator"), of("direct_attachment"));
    let service = if parameters.service_wildcards_fail { of("service_wildcard") } else { Vec::new() };
    let account = principal.account.to_string();
    let mut faults = Vec::new();
    if !full.is_empty() {
        faults.push(format!("every action on everything ({})", names(&full, |remark| remark.policy.clone())));
    }
    if !service.is_empty() {
        let services = names(&service, |remark| format!("{}:* in {}", remark.service, remark.policy));
        faults.push(format!("whole services on everything ({services})"));
    }
    if !direct.is_empty() {
        faults.push(format!("policies straight on the user ({})", names(&direct, |remark| remark.policy.clone())));
    }
    if faults.is_empty() {
        let why = "no such statement or attachment".to_owned();
        return Row::new(&principal.arn, &account, RowResult::Pass, why);
    }
    let mut why = faults.join("; ");
    if principal.kind == PrincipalKind::IdentityCenterRole {
        why.push_str("; to be changed in its permission set");
    }
    let mut row = Row::new(&principal.arn, &account, RowResult::Fail, why);
    row.evidence = full
        .iter()
        .chain(&service)
        .map(|remark| format!("statement {}#{}", remark.policy, remark.statement))
        .chain(direct.iter().map(|remark| format!("attachment {}", remark.policy)))
        .collect();
    row.evidence.sort();
    row.evidence.dedup();
    // Break-glass explains administrator rights, never how the policy hangs on a user.
    if direct.is_empty() {
        break_glass.judge(principal, &mut row);
    }
    row
}

fn names(remarks: &[&PolicyRemark], name: impl Fn(&PolicyRemark) -> String) -> String {
    let mut names: Vec<String> = remarks.iter().map(|remark| name(remark)).collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, principal, remark};
    use super::*;
    use crate::compare::assessment::Nature;

    fn judge(facts: PrincipalFacts, parameters: &Parameters) -> (u64, Option<Row>) {
        let assessment = sample::of(vec![facts], vec![]);
        let result = wildcards_and_attachments(&assessment, parameters).finish(&assessment, &[]).unwrap();
        (result.excluded.iter().map(|excluded| excluded.count).sum(), result.rows.first().cloned())
    }

    #[test]
    fn remarks_fail_where_the_entity_answers_for_them() {
        let lenient = Parameters { service_wildcards_fail: false, ..Parameters::default() };
        let strict = Parameters::default();
        for (kind, remarks, parameters, want) in [
            (PrincipalKind::Role, vec![], &strict, Some(RowResult::Pass)),
            (
                PrincipalKind::Role,
                vec![remark("full_administrator", "AdministratorAccess")],
                &strict,
                Some(RowResult::Fail),
            ),
            (PrincipalKind::Role, vec![remark("service_wildcard", "S3Full")], &strict, Some(RowResult::Fail)),
            (PrincipalKind::Role, vec![remark("service_wildcard", "S3Full")], &lenient, Some(RowResult::Pass)),
            (PrincipalKind::User, vec![remark("direct_attachment", "inline:x")], &strict, Some(RowResult::Fail)),
            (PrincipalKind::ServiceLinkedRole, vec![remark("service_wildcard", "Slr")], &strict, None),
            (
                PrincipalKind::IdentityCenterRole,
                vec![remark("full_administrator", "A")],
                &strict,
                Some(RowResult::Fail),
            ),
        ] {
            let facts = PrincipalFacts { remarks, ..principal("x", kind, Nature::Unknown) };
            let (excluded, row) = judge(facts, parameters);
            assert_eq!(row.as_ref().map(|row| row.result), want, "{kind:?}");
            assert_eq!(excluded, u64::from(want.is_none()));
        }
    }

    #[test]
    fn break_glass_excuses_rights_but_not_attachments() {
        let glass = |remarks| PrincipalFacts {
            remarks,
            break_glass: true,
            ..principal("bg", PrincipalKind::User, Nature::Human)
        };
        let full = remark("full_administrator", "A");
        let (_, row) = judge(glass(vec![full.clone()]), &Parameters::default());
        assert_eq!(row.unwrap().result, RowResult::Excepted);
        let (_, row) = judge(glass(vec![full, remark("direct_attachment", "A")]), &Parameters::default());
        let row = row.unwrap();
        assert_eq!(row.result, RowResult::Fail);
        assert_eq!(row.evidence, ["attachment A", "statement A#s1"]);
    }
}
