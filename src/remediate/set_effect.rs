//! Calls to Identity Center about one permission set, and what they change: the set, and its roles once it is provisioned.
//!
//! Source: operations on permission sets, IAM Identity Center API Reference. What is written into a set stands in the roles of
//! its accounts only after ProvisionPermissionSet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::snapshot::{
    Attachment, IdentityCenter, NamedDocument, PermissionSet, PolicyName, SetBoundary, SetPolicies, Snapshot,
};

use super::effect::{Conflict, Effect, known_everywhere, last_part};
use super::place::{Place, SetPart, Value};
use super::sets::{INLINE, roles_of};

/// A call about a permission set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetEffect {
    /// What it does.
    #[serde(flatten)]
    pub change: SetChange,
    /// ARN of the instance.
    pub instance: String,
    /// ARN of the permission set; of one that the plan makes its name.
    pub set: String,
}

/// What a call does, by the name of its API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call")]
pub enum SetChange {
    /// Makes a permission set, which nobody is assigned to.
    CreatePermissionSet {
        /// What it is for, in words.
        description: String,
        /// Longest session, as ISO 8601 writes it: `PT1H` to `PT12H`.
        session: String,
        /// Tags.
        tags: BTreeMap<String, String>,
    },
    /// Deletes a permission set, which nobody is assigned to.
    DeletePermissionSet,
    /// Puts its inline policy, in place of the one that it has.
    PutInlinePolicyToPermissionSet {
        /// The document.
        document: String,
    },
    /// Takes its inline policy off.
    DeleteInlinePolicyFromPermissionSet,
    /// Attaches one of AWS's managed policies.
    AttachManagedPolicyToPermissionSet {
        /// Its ARN.
        policy: String,
    },
    /// Detaches one of AWS's managed policies.
    DetachManagedPolicyFromPermissionSet {
        /// Its ARN.
        policy: String,
    },
    /// Refers to a managed policy of each account.
    AttachCustomerManagedPolicyReferenceToPermissionSet {
        /// Path and name.
        policy: PolicyName,
    },
    /// Refers to a managed policy of each account no more.
    DetachCustomerManagedPolicyReferenceFromPermissionSet {
        /// Path and name.
        policy: PolicyName,
    },
    /// Bounds what its roles may do.
    PutPermissionsBoundaryToPermissionSet {
        /// The boundary.
        boundary: SetBoundary,
    },
    /// Takes the bounds off.
    DeletePermissionsBoundaryFromPermissionSet,
    /// Brings its roles, in all accounts, to what it says.
    ProvisionPermissionSet,
}

impl SetEffect {
    /// ARN or name of its permission set.
    #[must_use]
    pub fn set(&self) -> &str {
        &self.set
    }

    /// ARN of one of AWS's managed policies that it attaches.
    pub(super) fn attached(&self) -> Option<&str> {
        match &self.change {
            SetChange::AttachManagedPolicyToPermissionSet { policy } => Some(policy),
            _ => None,
        }
    }

    fn with(&self, change: SetChange) -> Self {
        Self { change, instance: self.instance.clone(), set: self.set.clone() }
    }

    /// The action that the call needs. Source: Service Authorization Reference, "AWS IAM Identity Center".
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self.change {
            SetChange::CreatePermissionSet { .. } => "sso:CreatePermissionSet",
            SetChange::DeletePermissionSet => "sso:DeletePermissionSet",
            SetChange::PutInlinePolicyToPermissionSet { .. } => "sso:PutInlinePolicyToPermissionSet",
            SetChange::DeleteInlinePolicyFromPermissionSet => "sso:DeleteInlinePolicyFromPermissionSet",
            SetChange::AttachManagedPolicyToPermissionSet { .. } => "sso:AttachManagedPolicyToPermissionSet",
            SetChange::DetachManagedPolicyFromPermissionSet { .. } => "sso:DetachManagedPolicyFromPermissionSet",
            SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { .. } => {
                "sso:AttachCustomerManagedPolicyReferenceToPermissionSet"
            }
            SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { .. } => {
                "sso:DetachCustomerManagedPolicyReferenceFromPermissionSet"
            }
            SetChange::PutPermissionsBoundaryToPermissionSet { .. } => "sso:PutPermissionsBoundaryToPermissionSet",
            SetChange::DeletePermissionsBoundaryFromPermissionSet => "sso:DeletePermissionsBoundaryFromPermissionSet",
            SetChange::ProvisionPermissionSet => "sso:ProvisionPermissionSet",
        }
    }

    /// What its call is made on, for policies: the instance, or the permission set. The ARN of one that is made by the plan
    /// nobody knows before.
    #[must_use]
    pub fn resource(&self) -> String {
        let (partition, instance) = (self.instance.split(':').nth(1).unwrap_or("aws"), last_part(&self.instance));
        match (&self.change, self.set.starts_with("arn:")) {
            (SetChange::CreatePermissionSet { .. }, _) => self.instance.clone(),
            (_, true) => self.set.clone(),
            (_, false) => format!("arn:{partition}:sso:::permissionSet/{instance}/ps-0000000000000000"),
        }
    }

    /// The place that it changes.
    #[must_use]
    pub fn place(&self) -> Place {
        let part = match self.change.clone() {
            SetChange::CreatePermissionSet { .. } | SetChange::DeletePermissionSet => SetPart::Whole,
            SetChange::PutInlinePolicyToPermissionSet { .. } | SetChange::DeleteInlinePolicyFromPermissionSet => {
                SetPart::Inline
            }
            SetChange::AttachManagedPolicyToPermissionSet { policy }
            | SetChange::DetachManagedPolicyFromPermissionSet { policy } => SetPart::Managed(policy),
            SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { policy }
            | SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy } => SetPart::Customer(policy),
            SetChange::PutPermissionsBoundaryToPermissionSet { .. }
            | SetChange::DeletePermissionsBoundaryFromPermissionSet => SetPart::Boundary,
            SetChange::ProvisionPermissionSet => SetPart::Provisioned,
        };
        Place::PermissionSet { instance: self.instance.clone(), set: self.set.clone(), part }
    }

    /// What stands at its place once it is made.
    #[must_use]
    pub fn leaves(&self) -> Value {
        match &self.change {
            SetChange::CreatePermissionSet { description, session, tags } => {
                Value::PermissionSet { description: description.clone(), session: session.clone(), tags: tags.clone() }
            }
            SetChange::PutInlinePolicyToPermissionSet { document } => Value::Document(document.clone()),
            SetChange::PutPermissionsBoundaryToPermissionSet { boundary } => Value::Boundary(boundary.clone()),
            SetChange::AttachManagedPolicyToPermissionSet { .. }
            | SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { .. }
            | SetChange::ProvisionPermissionSet => Value::There,
            SetChange::DeletePermissionSet
            | SetChange::DeleteInlinePolicyFromPermissionSet
            | SetChange::DetachManagedPolicyFromPermissionSet { .. }
            | SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { .. }
            | SetChange::DeletePermissionsBoundaryFromPermissionSet => Value::Absent,
        }
    }

    /// The call as the AWS CLI takes it: service, operation and arguments, in order.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let action = self.action().trim_start_matches("sso:");
        let mut out = vec!["sso-admin".to_owned(), kebab(action)];
        let mut say = |name: &str, value: &str| out.extend([format!("--{name}"), value.to_owned()]);
        say("instance-arn", &self.instance);
        if let SetChange::CreatePermissionSet { description, session, tags } = &self.change {
            say("name", &self.set);
            say("description", description);
            say("session-duration", session);
            let tags: Vec<serde_json::Value> =
                tags.iter().map(|(key, value)| serde_json::json!({ "Key": key, "Value": value })).collect();
            say("tags", &serde_json::Value::from(tags).to_string());
            return out;
        }
        say("permission-set-arn", &self.set);
        let reference = |policy: &PolicyName| serde_json::json!({ "Name": policy.name, "Path": policy.path });
        match &self.change {
            SetChange::PutInlinePolicyToPermissionSet { document } => say("inline-policy", document),
            SetChange::AttachManagedPolicyToPermissionSet { policy }
            | SetChange::DetachManagedPolicyFromPermissionSet { policy } => say("managed-policy-arn", policy),
            SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { policy }
            | SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy } => {
                say("customer-managed-policy-reference", &reference(policy).to_string());
            }
            SetChange::PutPermissionsBoundaryToPermissionSet { boundary } => {
                let boundary = match boundary {
                    SetBoundary::Managed(arn) => serde_json::json!({ "ManagedPolicyArn": arn }),
                    SetBoundary::Customer(name) => {
                        serde_json::json!({ "CustomerManagedPolicyReference": reference(name) })
                    }
                };
                say("permissions-boundary", &boundary.to_string());
            }
            SetChange::ProvisionPermissionSet => say("target-type", "ALL_PROVISIONED_ACCOUNTS"),
            _ => {}
        }
        out
    }

    /// Makes the call on a state, and says which call takes it back.
    ///
    /// # Errors
    /// When what it is made on is not there, or what it makes is: then nothing changes.
    pub(super) fn make(&self, state: &mut Snapshot) -> Result<Self, Conflict> {
        let center = state.identity_center.as_mut().ok_or_else(|| Conflict::Missing("Identity Center".to_owned()))?;
        let back = match &self.change {
            SetChange::CreatePermissionSet { session, tags, .. } => {
                if center.permission_sets.iter().any(|one| one.name == self.set) {
                    return Err(Conflict::Exists(format!("permission set {}", self.set)));
                }
                center.permission_sets.push(PermissionSet {
                    // It gets one of its own when it is made.
                    arn: self.set.clone(),
                    name: self.set.clone(),
                    session_duration: session.clone(),
                    policies: Some(SetPolicies::default()),
                    tags: Some(tags.clone()),
                });
                return Ok(self.with(SetChange::DeletePermissionSet));
            }
            SetChange::DeletePermissionSet => {
                let at = center.permission_sets.iter().position(|one| one.arn == self.set || one.name == self.set);
                let at = at.ok_or_else(|| Conflict::Missing(format!("permission set {}", self.set)))?;
                if center.assignments.iter().any(|one| one.permission_set == self.set) {
                    return Err(Conflict::Exists(format!("an assignment of permission set {}", self.set)));
                }
                let gone = center.permission_sets.remove(at);
                let (description, session, tags) = (String::new(), gone.session_duration, BTreeMap::new());
                return Ok(self.with(SetChange::CreatePermissionSet { description, session, tags }));
            }
            SetChange::ProvisionPermissionSet => {
                provision(state, &self.set)?;
                return Ok(self.clone());
            }
            other => changed(policies(center, &self.set)?, other, &self.set)?,
        };
        stands_back(state, &self.set);
        Ok(self.with(back))
    }
}

/// `PutInlinePolicy` as the AWS CLI writes it: `put-inline-policy`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn policies<'c>(center: &'c mut IdentityCenter, set: &str) -> Result<&'c mut SetPolicies, Conflict> {
    let found = center.permission_sets.iter_mut().find(|one| one.arn == set || one.name == set);
    let missing = || Conflict::Missing(format!("permission set {set}"));
    found.ok_or_else(missing)?.policies.as_mut().ok_or_else(missing)
}

/// Takes something out of a list, or puts it in, where it is or is not.
fn moved<T: Ord + Clone>(all: &mut Vec<T>, one: &T, into: bool, told: impl Fn() -> String) -> Result<(), Conflict> {
    match (all.binary_search(one), into) {
        (Ok(at), false) => drop(all.remove(at)),
        (Err(at), true) => all.insert(at, one.clone()),
        (Ok(_), true) => return Err(Conflict::Exists(told())),
        (Err(_), false) => return Err(Conflict::Missing(told())),
    }
    Ok(())
}

/// Changes a set's policies, and says what takes it back.
fn changed(held: &mut SetPolicies, change: &SetChange, set: &str) -> Result<SetChange, Conflict> {
    let missing = |what: &str| Conflict::Missing(format!("{what} of permission set {set}"));
    let put = |before: Option<String>| match before {
        Some(document) => SetChange::PutInlinePolicyToPermissionSet { document },
        None => SetChange::DeleteInlinePolicyFromPermissionSet,
    };
    let bound = |before: Option<SetBoundary>| match before {
        Some(boundary) => SetChange::PutPermissionsBoundaryToPermissionSet { boundary },
        None => SetChange::DeletePermissionsBoundaryFromPermissionSet,
    };
    Ok(match change.clone() {
        SetChange::PutInlinePolicyToPermissionSet { document } => put(held.inline.replace(document)),
        SetChange::DeleteInlinePolicyFromPermissionSet => {
            put(Some(held.inline.take().ok_or_else(|| missing("the inline policy"))?))
        }
        SetChange::AttachManagedPolicyToPermissionSet { policy } => {
            moved(&mut held.managed, &policy, true, || format!("{policy} at permission set {set}"))?;
            SetChange::DetachManagedPolicyFromPermissionSet { policy }
        }
        SetChange::DetachManagedPolicyFromPermissionSet { policy } => {
            moved(&mut held.managed, &policy, false, || format!("{policy} at permission set {set}"))?;
            SetChange::AttachManagedPolicyToPermissionSet { policy }
        }
        SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { policy } => {
            moved(&mut held.customer, &policy, true, || format!("{} at permission set {set}", policy.name))?;
            SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy }
        }
        SetChange::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy } => {
            moved(&mut held.customer, &policy, false, || format!("{} at permission set {set}", policy.name))?;
            SetChange::AttachCustomerManagedPolicyReferenceToPermissionSet { policy }
        }
        SetChange::PutPermissionsBoundaryToPermissionSet { boundary } => bound(held.boundary.replace(boundary)),
        SetChange::DeletePermissionsBoundaryFromPermissionSet => {
            bound(Some(held.boundary.take().ok_or_else(|| missing("the permissions boundary"))?))
        }
        SetChange::CreatePermissionSet { .. } | SetChange::DeletePermissionSet | SetChange::ProvisionPermissionSet => {
            return Err(missing("the part"));
        }
    })
}

/// The roles of a set are behind it until it is provisioned.
fn stands_back(state: &mut Snapshot, set: &str) {
    let accounts: Vec<_> = roles_of(state, set).into_iter().map(|(account, _)| account).collect();
    let Some(center) = &mut state.identity_center else { return };
    for account in accounts {
        let one = (account, set.to_owned());
        if let Err(at) = center.outdated.binary_search(&one) {
            center.outdated.insert(at, one);
        }
    }
}

/// Brings the roles of a set to what it says.
pub(super) fn provision(state: &mut Snapshot, set: &str) -> Result<(), Conflict> {
    let roles = roles_of(state, set);
    let center = state.identity_center.as_mut().ok_or_else(|| Conflict::Missing("Identity Center".to_owned()))?;
    let held = policies(center, set)?.clone();
    center.outdated.retain(|(_, one)| one != set);
    for (account, arn) in roles {
        held.managed.iter().for_each(|policy| known_everywhere(state, account, policy));
        let roles = state.accounts.get_mut(&account).into_iter().flat_map(|iam| &mut iam.roles);
        for role in roles.filter(|role| role.holder.arn.as_str() == arn) {
            let partition = role.holder.arn.partition().to_owned();
            role.holder.inline =
                held.inline.iter().map(|json| NamedDocument { name: INLINE.to_owned(), json: json.clone() }).collect();
            let attach = |arn: String| Attachment { name: last_part(&arn).to_owned(), arn };
            role.holder.attached = held.attached(&partition, account).into_iter().map(attach).collect();
            role.holder.attached.sort();
            role.holder.boundary = held.boundary.as_ref().map(|boundary| boundary.arn(&partition, account));
        }
    }
    Ok(())
}

/// The call that leaves a value at a part of a permission set; none where there is no such call.
pub(super) fn putting(instance: &str, set: &str, part: &SetPart, value: &Value) -> Option<Effect> {
    use SetChange as Do;
    let change = match (part.clone(), value.clone()) {
        (SetPart::Whole, Value::PermissionSet { description, session, tags }) => {
            Do::CreatePermissionSet { description, session, tags }
        }
        (SetPart::Whole, Value::Absent) => Do::DeletePermissionSet,
        (SetPart::Inline, Value::Document(document)) => Do::PutInlinePolicyToPermissionSet { document },
        (SetPart::Inline, Value::Absent) => Do::DeleteInlinePolicyFromPermissionSet,
        (SetPart::Managed(policy), Value::There) => Do::AttachManagedPolicyToPermissionSet { policy },
        (SetPart::Managed(policy), Value::Absent) => Do::DetachManagedPolicyFromPermissionSet { policy },
        (SetPart::Customer(policy), Value::There) => Do::AttachCustomerManagedPolicyReferenceToPermissionSet { policy },
        (SetPart::Customer(policy), Value::Absent) => {
            Do::DetachCustomerManagedPolicyReferenceFromPermissionSet { policy }
        }
        (SetPart::Boundary, Value::Boundary(boundary)) => Do::PutPermissionsBoundaryToPermissionSet { boundary },
        (SetPart::Boundary, Value::Absent) => Do::DeletePermissionsBoundaryFromPermissionSet,
        (SetPart::Provisioned, _) => Do::ProvisionPermissionSet,
        _ => return None,
    };
    Some(Effect::Set(SetEffect { change, instance: instance.to_owned(), set: set.to_owned() }))
}

/// What stands at a part of a permission set in a state. Its description and tags the state does not tell: those of the
/// value that is looked for stand for them.
///
/// None where that was not collected.
pub(super) fn found(state: &Snapshot, set: &str, part: &SetPart, wanted: &Value) -> Option<Value> {
    let center = state.identity_center.as_ref();
    let one = center.and_then(|center| center.permission_sets.iter().find(|one| one.arn == set || one.name == set));
    let Some(one) = one else { return Some(Value::Absent) };
    let held = match part {
        SetPart::Whole | SetPart::Provisioned => one.policies.clone().unwrap_or_default(),
        _ => one.policies.clone()?,
    };
    let there = |yes: bool| if yes { Value::There } else { Value::Absent };
    Some(match part {
        SetPart::Whole => {
            let (description, tags) = match wanted {
                Value::PermissionSet { description, tags, .. } => (description.clone(), tags.clone()),
                _ => Default::default(),
            };
            Value::PermissionSet { description, session: one.session_duration.clone(), tags }
        }
        SetPart::Inline => held.inline.map_or(Value::Absent, Value::Document),
        SetPart::Managed(policy) => there(held.managed.contains(policy)),
        SetPart::Customer(policy) => there(held.customer.contains(policy)),
        SetPart::Boundary => held.boundary.map_or(Value::Absent, Value::Boundary),
        SetPart::Provisioned => there(!center.is_some_and(|center| center.outdated.iter().any(|(_, one)| one == set))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_and_read_among_those_of_iam() {
        let effect = |change: SetChange| Effect::Set(SetEffect { change, instance: "i".into(), set: "s".into() });
        for one in [
            effect(SetChange::ProvisionPermissionSet),
            effect(SetChange::PutInlinePolicyToPermissionSet { document: "{}".into() }),
            effect(SetChange::PutPermissionsBoundaryToPermissionSet { boundary: SetBoundary::Managed("arn:b".into()) }),
            Effect::DeleteRole { role: "r".into() },
        ] {
            let text = serde_json::to_string(&one).unwrap();
            assert_eq!(serde_json::from_str::<Effect>(&text).unwrap(), one, "{text}");
        }
        let text = serde_json::to_string(&effect(SetChange::ProvisionPermissionSet)).unwrap();
        assert_eq!(text, r#"{"call":"ProvisionPermissionSet","instance":"i","set":"s"}"#);
        assert!(serde_json::from_str::<Effect>(r#"{"call":"DeleteEverything","instance":"i","set":"s"}"#).is_err());
    }

    #[test]
    fn operations_are_named_as_the_cli_does() {
        assert_eq!(kebab("PutInlinePolicyToPermissionSet"), "put-inline-policy-to-permission-set");
    }
}
