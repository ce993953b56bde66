//! What IAM Access Analyzer says of policies that are given to it. Nothing is read of the account, and nothing changes.

use aws_sdk_accessanalyzer::types::{
    Access as Granted, AccessCheckPolicyType, AccessCheckResourceType, PathElement, PolicyType, ReasonSummary,
    ValidatePolicyFinding, ValidatePolicyResourceType,
};

use super::access::{Access, Start, pages};
use super::calls::{CHECK_ACCESS_NOT_GRANTED, CHECK_NO_NEW_ACCESS, CHECK_NO_PUBLIC_ACCESS, Call, VALIDATE_POLICY};
use super::failure::Failure;
use super::run::runtime;

/// What kind of policy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Of a user, group or role, or a permission set.
    Identity,
    /// At a resource, or a role's trust.
    Resource,
    /// A service control policy.
    ServiceControl,
    /// A resource control policy.
    ResourceControl,
}

/// What is asked of one policy.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its text.
    pub policy: String,
    /// Its kind.
    pub kind: PolicyKind,
    /// Type of the resource that it is for, such as `AWS::S3::Bucket`.
    pub resource_type: Option<String>,
    /// The policy that it replaces: whether it allows more is asked.
    pub existing: Option<String>,
    /// Actions that it must not allow.
    pub denied: Vec<String>,
    /// Whether it makes its resource public is asked.
    pub not_public: bool,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The operation that was asked.
    pub check: &'static str,
    /// `PASS` or `FAIL`; of ValidatePolicy the type of the finding (`ERROR`, `SECURITY_WARNING`, `SUGGESTION`, `WARNING`).
    pub result: String,
    /// AWS's code of the issue; empty where there is none.
    pub code: String,
    /// AWS's words.
    pub message: String,
    /// Where in the policy, such as `Statement[0].Action 3:18`; empty where not said.
    pub place: String,
}

impl Remark {
    /// Whether the policy should not go out like this.
    #[must_use]
    pub fn is_grave(&self) -> bool {
        ["ERROR", "SECURITY_WARNING", "FAIL"].contains(&self.result.as_str())
    }
}

/// What was said of a draft, and what could not be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validated {
    /// By check.
    pub remarks: Vec<Remark>,
    /// Checks that failed.
    pub failures: Vec<Failure>,
}

/// Asks for every draft what it wants to know; in their order.
///
/// # Errors
/// Where it cannot even begin.
pub fn validate(start: &Start, drafts: &[Draft]) -> Result<Vec<Validated>, Failure> {
    runtime()?.block_on(async {
        let access = Access::begin(start).await;
        let mut out = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let mut one = Validated::default();
            for read in [
                validated(&access, draft).await,
                no_new_access(&access, draft).await,
                not_granted(&access, draft).await,
                not_public(&access, draft).await,
            ] {
                match read {
                    Ok(found) => one.remarks.extend(found),
                    Err(failure) => one.failures.push(failure),
                }
            }
            out.push(one);
        }
        Ok(out)
    })
}

async fn validated(access: &Access, draft: &Draft) -> Result<Vec<Remark>, Failure> {
    let kind = match draft.kind {
        PolicyKind::Identity => PolicyType::IdentityPolicy,
        PolicyKind::Resource => PolicyType::ResourcePolicy,
        PolicyKind::ServiceControl => PolicyType::ServiceControlPolicy,
        PolicyKind::ResourceControl => PolicyType::ResourceControlPolicy,
    };
    let client = access.access_analyzer();
    // It is for resource policies alone, and knows few types: of others AWS asks to leave it out. Source: Access Analyzer
    // API reference, "ValidatePolicy" (validatePolicyResourceType).
    let resource = draft.resource_type.as_deref().filter(|_| draft.kind == PolicyKind::Resource);
    let resource = resource.and_then(|name| ValidatePolicyResourceType::try_parse(name).ok());
    let request = || {
        client
            .validate_policy()
            .policy_document(&draft.policy)
            .policy_type(kind.clone())
            .set_validate_policy_resource_type(resource.clone())
    };
    let findings = pages!(access, &VALIDATE_POLICY, request(), findings);
    let check = VALIDATE_POLICY.operation;
    if findings.is_empty() {
        let (result, none) = ("PASS".to_owned(), String::new());
        return Ok(vec![Remark { check, result, code: none.clone(), message: none.clone(), place: none }]);
    }
    let remark = |finding: &ValidatePolicyFinding| Remark {
        check,
        result: finding.finding_type().as_str().to_owned(),
        code: finding.issue_code().to_owned(),
        message: finding.finding_details().to_owned(),
        place: place(finding),
    };
    Ok(findings.iter().map(remark).collect())
}

/// Where the first location of a finding is: `Statement[0].Action 3:18`, with line and column from one on.
fn place(finding: &ValidatePolicyFinding) -> String {
    let Some(location) = finding.locations().first() else { return String::new() };
    let mut out = String::new();
    for element in location.path() {
        match element {
            PathElement::Index(index) => out.push_str(&format!("[{index}]")),
            PathElement::Key(name) | PathElement::Value(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            _ => {}
        }
    }
    if let Some(start) = location.span().and_then(|span| span.start()) {
        // Columns are counted from nought, lines from one. Source: Access Analyzer API reference, "Position".
        let at = format!("{}:{}", start.line(), start.column() + 1);
        out = if out.is_empty() { at } else { format!("{out} {at}") };
    }
    out
}

/// For the checks that know identity and resource policies only.
fn checked(draft: &Draft) -> AccessCheckPolicyType {
    match draft.kind {
        PolicyKind::Resource => AccessCheckPolicyType::ResourcePolicy,
        _ => AccessCheckPolicyType::IdentityPolicy,
    }
}

/// The answer of a check: passed or failed, and why, a row each reason.
fn answer(call: &'static Call, result: Option<&str>, message: Option<&str>, reasons: &[ReasonSummary]) -> Vec<Remark> {
    let one = |message: &str, place: String| Remark {
        check: call.operation,
        result: result.unwrap_or("FAIL").to_owned(),
        code: String::new(),
        message: message.to_owned(),
        place,
    };
    if reasons.is_empty() {
        return vec![one(message.unwrap_or_default(), String::new())];
    }
    let reason = |reason: &ReasonSummary| {
        let place = match (reason.statement_id(), reason.statement_index()) {
            (Some(id), Some(index)) => format!("Statement[{index}] ({id})"),
            (None, Some(index)) => format!("Statement[{index}]"),
            (Some(id), None) => id.to_owned(),
            (None, None) => String::new(),
        };
        one(reason.description().unwrap_or_default(), place)
    };
    reasons.iter().map(reason).collect()
}

async fn no_new_access(access: &Access, draft: &Draft) -> Result<Vec<Remark>, Failure> {
    let Some(existing) = &draft.existing else { return Ok(Vec::new()) };
    let client = access.access_analyzer();
    let request = client.check_no_new_access().new_policy_document(&draft.policy).existing_policy_document(existing);
    let found = access.call(&CHECK_NO_NEW_ACCESS, || request.policy_type(checked(draft)).send()).await?;
    let result = found.result().map(aws_sdk_accessanalyzer::types::CheckNoNewAccessResult::as_str);
    Ok(answer(&CHECK_NO_NEW_ACCESS, result, found.message(), found.reasons()))
}

async fn not_granted(access: &Access, draft: &Draft) -> Result<Vec<Remark>, Failure> {
    if draft.denied.is_empty() {
        return Ok(Vec::new());
    }
    let client = access.access_analyzer();
    let granted = Granted::builder().set_actions(Some(draft.denied.clone())).build();
    let request = client.check_access_not_granted().policy_document(&draft.policy).access(granted);
    let found = access.call(&CHECK_ACCESS_NOT_GRANTED, || request.policy_type(checked(draft)).send()).await?;
    let result = found.result().map(aws_sdk_accessanalyzer::types::CheckAccessNotGrantedResult::as_str);
    Ok(answer(&CHECK_ACCESS_NOT_GRANTED, result, found.message(), found.reasons()))
}

async fn not_public(access: &Access, draft: &Draft) -> Result<Vec<Remark>, Failure> {
    let Some(resource) = draft.resource_type.as_deref().filter(|_| draft.not_public) else { return Ok(Vec::new()) };
    let client = access.access_analyzer();
    let request = client.check_no_public_access().policy_document(&draft.policy);
    let request = request.resource_type(AccessCheckResourceType::from(resource));
    let found = access.call(&CHECK_NO_PUBLIC_ACCESS, || request.send()).await?;
    let result = found.result().map(aws_sdk_accessanalyzer::types::CheckNoPublicAccessResult::as_str);
    Ok(answer(&CHECK_NO_PUBLIC_ACCESS, result, found.message(), found.reasons()))
}
