//! Recorded cases: a request with all its policies as one JSON object, as `policy test` reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::model::arn::{AccountId, Arn};
use crate::model::defect::{Defect, Place};
use crate::policy::DocumentKind;

use super::compile::Compiler;
use super::context::{Context, Slot};
use super::evaluate::{Policies, ResourcePolicy};
use super::layers::{Layer, PolicySet};
use super::request::{ActionName, Caller, Request, ResourceRule, Target};

/// Why a line is not a case.
#[derive(Debug, Error)]
pub enum CaseError {
    /// Not JSON of the expected form.
    #[error("expected a case as one JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// A field has a value that it cannot have.
    #[error("{field}: {reason}")]
    Field {
        /// Path of the field.
        field: &'static str,
        /// What was expected and what was found.
        reason: String,
    },
}

/// A case, ready to be decided.
#[derive(Debug)]
pub struct Case {
    /// Its id.
    pub id: String,
    /// What is asked.
    pub request: Request,
    /// The policies.
    pub policies: Policies,
    /// The answer that somebody expects, as written.
    pub expected: Option<String>,
    /// Policies that cannot be read.
    pub defects: Vec<Defect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest<'a> {
    #[serde(borrow)]
    principal: RawPrincipal<'a>,
    #[serde(default)]
    principal_role_arn: Option<String>,
    action: String,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    resource_account: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, Values>,
    #[serde(default)]
    unknown_context: Vec<String>,
    #[serde(default)]
    principal_account_is_management: bool,
    #[serde(default)]
    resource_account_is_management: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPrincipal<'a> {
    Arn(std::borrow::Cow<'a, str>),
    Kind {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        name: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(Scalar),
    Many(Vec<Scalar>),
    /// `null`: the request does not have the key.
    None(()),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
}

impl Scalar {
    fn clone_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
struct RawCase<'a> {
    #[serde(default)]
    id: Option<serde_json::Value>,
    #[serde(borrow)]
    request: RawRequest<'a>,
    #[serde(borrow, default)]
    identity_policies: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    permission_boundaries: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    scps: Vec<RawLevel<'a>>,
    #[serde(borrow, default)]
    rcps: Vec<RawLevel<'a>>,
    #[serde(borrow, default)]
    resource_policy: Option<&'a RawValue>,
    #[serde(default)]
    resource_policy_unknown: bool,
    #[serde(borrow, default)]
    session_policy: Option<&'a RawValue>,
    #[serde(borrow, default)]
    vpc_endpoint_policies: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    expected: Option<String>,
}

#[derive(Deserialize)]
struct RawLevel<'a> {
    #[serde(default)]
    org_identifier: Option<String>,
    #[serde(borrow, default)]
    policies: Vec<&'a RawValue>,
}

/// Reads policies of one case and remembers what cannot be read.
struct Documents<'c, 'k> {
    compiler: &'c Compiler<'k>,
    defects: Vec<Defect>,
}

impl Documents<'_, '_> {
    /// A document, or `{name, policy}`.
    fn add(&mut self, set: &mut PolicySet, raw: &RawValue, kind: DocumentKind, layer: Layer, fallback: String) {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(default)]
            name: Option<String>,
            #[serde(borrow)]
            policy: &'a RawValue,
        }
        let named: Option<Named<'_>> = serde_json::from_str(raw.get()).ok();
        let (name, text) = match &named {
            Some(named) => (named.name.clone().unwrap_or(fallback), named.policy.get()),
            None => (fallback, raw.get()),
        };
        // A document may also be given as a JSON string, as AWS's APIs return it.
        let quoted: Option<String> =
            text.trim_start().starts_with('"').then(|| serde_json::from_str(text).ok()).flatten();
        match self.compiler.document(quoted.as_deref().unwrap_or(text), kind) {
            Ok(statements) => set.add(&statements, layer, &name.as_str().into(), &set.name.as_str().into()),
            Err(error) => {
                let path = (!error.path.is_empty()).then(|| error.path.clone());
                let place = Place { file: name.clone(), offset: None, path };
                self.defects.push(Defect { place, reason: error.reason.clone() });
                set.broken.push(name);
            }
        }
    }

    fn set(&mut self, list: &[&RawValue], kind: DocumentKind, layer: Layer, name: &str) -> PolicySet {
        let mut set = PolicySet::default();
        for (at, raw) in list.iter().enumerate() {
            self.add(&mut set, raw, kind, layer, format!("{name}[{at}]"));
        }
        set
    }

    fn levels(&mut self, levels: &[RawLevel<'_>], kind: DocumentKind, layer: Layer, name: &str) -> Arc<[PolicySet]> {
        let mut out = Vec::with_capacity(levels.len());
        for (at, level) in levels.iter().enumerate() {
            let mut set = PolicySet::named(level.org_identifier.clone().unwrap_or_default());
            for (index, raw) in level.policies.iter().enumerate() {
                self.add(&mut set, raw, kind, layer, format!("{name}[{at}].policies[{index}]"));
            }
            out.push(set);
        }
        out.into()
    }
}

impl Case {
    /// Reads one line.
    ///
    /// # Errors
    /// When it is not a case. Policies that cannot be read are no error: see [`Case::defects`].
    pub fn parse(line: &str, compiler: &Compiler<'_>) -> Result<Self, CaseError> {
        let raw: RawCase<'_> = serde_json::from_str(line)?;
        let request = request(&raw.request, compiler)?;
        let mut documents = Documents { compiler, defects: Vec::new() };
        let identity =
            documents.set(&raw.identity_policies, DocumentKind::Identity, Layer::IdentityInline, "identity_policies");
        let boundary = raw.permission_boundaries.as_ref().map(|list| {
            Arc::new(documents.set(list, DocumentKind::Identity, Layer::Boundary, "permission_boundaries"))
        });
        let session = match raw.session_policy {
            None => None,
            Some(one) => {
                let many: Option<Vec<&RawValue>> = serde_json::from_str(one.get()).ok();
                let list = many.unwrap_or_else(|| vec![one]);
                Some(Arc::new(documents.set(&list, DocumentKind::Identity, Layer::Session, "session_policy")))
            }
        };
        let scps = if raw.request.principal_account_is_management { &[] } else { raw.scps.as_slice() };
        let rcps = if raw.request.resource_account_is_management { &[] } else { raw.rcps.as_slice() };
        let scps = documents.levels(scps, DocumentKind::ServiceControl, Layer::ServiceControl, "scps");
        let rcps = documents.levels(rcps, DocumentKind::Resource, Layer::ResourceControl, "rcps");
        let resource = match raw.resource_policy {
            Some(one) => {
                let kind =
                    if request.rule() == ResourceRule::Trust { DocumentKind::Trust } else { DocumentKind::Resource };
                let mut set = PolicySet::default();
                documents.add(&mut set, one, kind, Layer::Resource, "resource_policy".to_owned());
                ResourcePolicy::Is(Arc::new(set))
            }
            None if raw.resource_policy_unknown => ResourcePolicy::NotCollected,
            None => ResourcePolicy::Absent,
        };
        let endpoint = raw.vpc_endpoint_policies.as_ref().map(|list| {
            Arc::new(documents.set(list, DocumentKind::Resource, Layer::VpcEndpoint, "vpc_endpoint_policies"))
        });
        let policies = Policies { identity: Arc::new(identity), boundary, session, scps, rcps, resource, endpoint };
        let id = match raw.id {
            None => String::new(),
            Some(serde_json::Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        Ok(Self { id, request, policies, expected: raw.expected, defects: documents.defects })
    }
}

fn arn(field: &'static str, text: &str) -> Result<Arn, CaseError> {
    text.parse().map_err(|error: crate::model::arn::ArnError| CaseError::Field { field, reason: error.to_string() })
}

fn caller(raw: &RawRequest<'_>) -> Result<Caller, CaseError> {
    const FIELD: &str = "request.principal";
    let wrong = |reason: String| CaseError::Field { field: FIELD, reason };
    match &raw.principal {
        RawPrincipal::Kind { kind, name } if kind.eq_ignore_ascii_case("service") => match name {
            Some(name) => Ok(Caller::service(name)),
            None => Err(wrong("expected the service's name in `name`".to_owned())),
        },
        RawPrincipal::Kind { kind, .. } if kind.eq_ignore_ascii_case("anonymous") => Ok(Caller::anonymous()),
        RawPrincipal::Kind { kind, .. } => {
            Err(wrong(format!("expected the type Anonymous or Service, found `{kind}`")))
        }
        RawPrincipal::Arn(text) => {
            let principal = arn(FIELD, text)?;
            let issuer = match &raw.principal_role_arn {
                Some(text) => Some(arn("request.principal_role_arn", text)?),
                None => None,
            };
            Caller::of_arn(&principal, issuer.as_ref()).ok_or_else(|| {
                wrong(format!(
                    "expected the ARN of a user, role, role session, federated user, root or identity provider, found `{text}`"
                ))
            })
        }
    }
}

fn request(raw: &RawRequest<'_>, compiler: &Compiler<'_>) -> Result<Request, CaseError> {
    let owner: Option<AccountId> = match &raw.resource_account {
        None => None,
        Some(text) => Some(text.parse().map_err(|error: crate::model::arn::AccountIdError| CaseError::Field {
            field: "request.resource_account",
            reason: error.to_string(),
        })?),
    };
    if !raw.action.contains(':') {
        let reason = format!("expected service:Action, found `{}`", raw.action);
        return Err(CaseError::Field { field: "request.action", reason });
    }
    let mut context = Context::default();
    for (key, values) in &raw.context {
        let values = match values {
            Values::One(one) => vec![one.clone_text()],
            Values::Many(many) => many.iter().map(Scalar::clone_text).collect(),
            Values::None(()) => Vec::new(),
        };
        context.set(key, Slot::Known(values));
    }
    for key in &raw.unknown_context {
        context.set(key, Slot::Unknown);
    }
    Ok(Request::new(
        Arc::new(caller(raw)?),
        ActionName::new(&raw.action, compiler.catalog),
        Target::new(raw.resource.as_deref().unwrap_or("*")),
        owner,
        context,
    ))
}
