//! Permission sets as code.
//!
//! Sources: documentation of the AWS provider of Terraform, "Resource: aws_ssoadmin_permission_set_inline_policy" (which
//! provisions the set) and its siblings, with the identifiers that each is imported by; "AWS::SSO::PermissionSet",
//! CloudFormation Template Reference.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::model::snapshot::{PermissionSet, PolicyName, SetBoundary, SetPolicies, Snapshot};

use super::super::effect::Effect;
use super::super::set_effect::{SetChange, SetEffect};
use super::super::{Change, Grant, Step};
use super::label;
use super::terraform::{comment, document, import, list, quoted};

/// The set of a state; with what it holds.
pub(super) fn set_of<'s>(state: &'s Snapshot, arn: &str) -> Option<(&'s PermissionSet, &'s SetPolicies)> {
    let sets = state.identity_center.iter().flat_map(|center| &center.permission_sets);
    let set = sets.into_iter().find(|set| set.arn == arn || set.name == arn)?;
    Some((set, set.policies.as_ref()?))
}

fn instance(steps: &[Step]) -> &str {
    let of = |step: &Step| matches!(&step.effect, Effect::Set(_));
    steps.iter().find(|step| of(step)).map_or("", |step| match &step.effect {
        Effect::Set(SetEffect { instance, .. }) => instance,
        _ => "",
    })
}

/// What becomes of a permission set, as HCL.
pub(super) fn changed(out: &mut String, change: &Change, before: &Snapshot, after: &Snapshot) {
    let arn = change.principal.as_str();
    let Some(((_, old), (set, new))) = set_of(before, arn).zip(set_of(after, arn)) else { return };
    let (instance, own) = (instance(&change.steps), label(&set.name, arn));
    comment(out, &format!("{arn}, {}", set.name));
    let mut first = "[]".to_owned();
    let head = format!("  instance_arn       = {}\n  permission_set_arn = {}\n", quoted(instance), quoted(arn));
    match (&old.inline, &new.inline) {
        (_, Some(json)) if old.inline != new.inline => {
            let resource = "aws_ssoadmin_permission_set_inline_policy";
            let _ = writeln!(
                out,
                "resource \"{resource}\" \"{own}\" {{\n{head}  inline_policy      = {}\n}}",
                document(json)
            );
            if old.inline.is_some() {
                import(out, &format!("{resource}.{own}"), &format!("{arn},{instance}"));
            }
            first = format!("[{resource}.{own}]");
            out.push('\n');
        }
        (Some(_), None) => {
            comment(out, "its inline policy goes: no resource takes it off; the script of the same export does")
        }
        _ => {}
    }
    if old.managed != new.managed {
        let resource = "aws_ssoadmin_managed_policy_attachments_exclusive";
        let arns = list(new.managed.iter().map(|arn| quoted(arn)));
        let _ = writeln!(
            out,
            "resource \"{resource}\" \"{own}\" {{\n{head}  managed_policy_arns = {arns}\n  depends_on = {first}\n}}"
        );
        import(out, &format!("{resource}.{own}"), &format!("{instance},{arn}"));
    }
    if old.customer != new.customer {
        let resource = "aws_ssoadmin_customer_managed_policy_attachments_exclusive";
        let one = |policy: &PolicyName| {
            let (name, path) = (quoted(&policy.name), quoted(&policy.path));
            format!("  customer_managed_policy_reference {{\n    name = {name}\n    path = {path}\n  }}\n")
        };
        let all: String = new.customer.iter().map(one).collect();
        let _ = writeln!(out, "resource \"{resource}\" \"{own}\" {{\n{head}{all}  depends_on = {first}\n}}");
        import(out, &format!("{resource}.{own}"), &format!("{instance},{arn}"));
    }
}

/// A permission set for what is asked for, as HCL.
pub(super) fn granted(out: &mut String, grant: &Grant) {
    comment(out, &format!("{}, in place of standing access of {}", grant.role, grant.principal));
    let own = label(&grant.role, &grant.role);
    let at = format!(
        "  instance_arn       = aws_ssoadmin_permission_set.{own}.instance_arn\n  \
         permission_set_arn = aws_ssoadmin_permission_set.{own}.arn\n"
    );
    for step in &grant.steps {
        let Effect::Set(effect) = &step.effect else { continue };
        match &effect.change {
            SetChange::CreatePermissionSet { description, session, tags } => {
                let tags: String =
                    tags.iter().map(|(key, value)| format!("    {} = {}\n", quoted(key), quoted(value))).collect();
                let _ = writeln!(
                    out,
                    "resource \"aws_ssoadmin_permission_set\" \"{own}\" {{\n  name             = {}\n  description      = {}\n  \
                     instance_arn     = {}\n  session_duration = {}\n  tags = {{\n{tags}  }}\n}}\n",
                    quoted(&grant.role),
                    quoted(description),
                    quoted(&effect.instance),
                    quoted(session)
                );
            }
            SetChange::PutInlinePolicyToPermissionSet { document: json } => {
                let _ = writeln!(
                    out,
                    "resource \"aws_ssoadmin_permission_set_inline_policy\" \"{own}\" {{\n{at}  inline_policy      = {}\n}}\n",
                    document(json)
                );
            }
            SetChange::PutPermissionsBoundaryToPermissionSet { boundary } => {
                let inside = match boundary {
                    SetBoundary::Managed(arn) => format!("    managed_policy_arn = {}\n", quoted(arn)),
                    SetBoundary::Customer(policy) => format!(
                        "    customer_managed_policy_reference {{\n      name = {}\n      path = {}\n    }}\n",
                        quoted(&policy.name),
                        quoted(&policy.path)
                    ),
                };
                let _ = writeln!(
                    out,
                    "resource \"aws_ssoadmin_permissions_boundary_attachment\" \"{own}\" {{\n{at}  permissions_boundary {{\n{inside}  }}\n}}\n"
                );
            }
            _ => {}
        }
    }
}

fn reference(policy: &PolicyName) -> Value {
    json!({ "Name": policy.name, "Path": policy.path })
}

/// A permission set of a state as a resource of a template.
pub(super) fn resource(change: &Change, state: &Snapshot) -> Option<Value> {
    let (set, held) = set_of(state, &change.principal)?;
    let mut properties = described(instance(&change.steps), &set.name, &set.session_duration);
    held_by(&mut properties, held);
    // Taken out of the stack, it stays.
    Some(json!({
        "Type": "AWS::SSO::PermissionSet", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain",
        "Properties": properties
    }))
}

fn described(instance: &str, name: &str, session: &str) -> Map<String, Value> {
    let fields = [("InstanceArn", instance), ("Name", name), ("SessionDuration", session)];
    fields.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect()
}

fn held_by(properties: &mut Map<String, Value>, held: &SetPolicies) {
    let mut put = |key: &str, value: Option<Value>| value.map(|value| properties.insert(key.to_owned(), value));
    let inline = held.inline.as_ref();
    put("InlinePolicy", inline.map(|json| serde_json::from_str(json).unwrap_or_else(|_| Value::from(json.as_str()))));
    put("ManagedPolicies", Some(json!(held.managed)).filter(|_| !held.managed.is_empty()));
    let customer: Vec<Value> = held.customer.iter().map(reference).collect();
    put("CustomerManagedPolicyReferences", Some(Value::from(customer)).filter(|_| !held.customer.is_empty()));
    put(
        "PermissionsBoundary",
        held.boundary.as_ref().map(|boundary| match boundary {
            SetBoundary::Managed(arn) => json!({ "ManagedPolicyArn": arn }),
            SetBoundary::Customer(policy) => json!({ "CustomerManagedPolicyReference": reference(policy) }),
        }),
    );
}

/// A permission set for what is asked for, as a resource of a template.
pub(super) fn granted_resource(grant: &Grant, after: &Snapshot) -> Option<Value> {
    let (_, held) = set_of(after, &grant.role)?;
    let created = grant.steps.iter().find_map(|step| match &step.effect {
        Effect::Set(SetEffect { change: SetChange::CreatePermissionSet { description, session, tags }, .. }) => {
            Some((description, session, tags))
        }
        _ => None,
    });
    let (description, session, tags) = created?;
    let mut properties = described(instance(&grant.steps), &grant.role, session);
    properties.insert("Description".to_owned(), description.as_str().into());
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    properties.insert("Tags".to_owned(), tags.into());
    held_by(&mut properties, held);
    Some(json!({ "Type": "AWS::SSO::PermissionSet", "Properties": properties }))
}

/// How a stack takes a permission set in.
pub(super) fn to_import(change: &Change, name: &str) -> Value {
    json!({
        "ResourceType": "AWS::SSO::PermissionSet",
        "LogicalResourceId": name,
        "ResourceIdentifier": { "InstanceArn": instance(&change.steps), "PermissionSetArn": change.principal },
    })
}
