//! Templates: one that takes what is there into a stack as it is, the resources that it takes in, and one that changes it.
//!
//! Source: CloudFormation User Guide, "Import AWS resources into a CloudFormation stack" (what is imported has a deletion
//! policy, is described as it is, and nothing else changes in the same operation), and "AWS::IAM::Role",
//! "AWS::IAM::User", "AWS::IAM::ManagedPolicy".

use serde_json::{Map, Value, json};

use crate::model::snapshot::{AccountIam, Holder};

use super::super::effect::{Effect, last_part, path_of};
use super::super::{Change, Grant};
use super::{Part, Touched, sets};

/// A name of letters and digits that says whose it is, and is nobody else's.
fn logical(arn: &str) -> String {
    super::label(last_part(arn), arn).chars().filter(char::is_ascii_alphanumeric).collect()
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::from(json))
}

fn tags<'t>(all: impl Iterator<Item = (&'t String, &'t String)>) -> Option<Value> {
    let all: Vec<Value> = all.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Some(Value::from(all)).filter(|all| all.as_array().is_some_and(|all| !all.is_empty()))
}

fn some(of: Vec<Value>) -> Option<Value> {
    Some(of).filter(|of| !of.is_empty()).map(Value::from)
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn inline(holder: &Holder) -> Option<Value> {
    let one = |name: &str, json: &str| json!({ "PolicyName": name, "PolicyDocument": value(json) });
    some(holder.inline.iter().map(|policy| one(&policy.name, &policy.json)).collect())
}

/// A user or role as a resource. `made`: policies that the template makes, which are named by reference.
fn principal(iam: &AccountIam, arn: &str, made: &[&str]) -> Option<Value> {
    let (holder, groups) = Part::held(iam, arn)?;
    let attached = |arn: &str| match made.contains(&arn) {
        true => json!({ "Ref": logical(arn) }),
        false => Value::from(arn),
    };
    let attached = some(holder.attached.iter().map(|one| attached(&one.arn)).collect());
    let boundary = holder.boundary.clone().map(Value::from);
    let (kind, properties) = match groups {
        Some(groups) => (
            "AWS::IAM::User",
            object([
                ("UserName", Some(holder.name.as_str().into())),
                ("Path", Some(holder.path.as_str().into())),
                ("Groups", some(groups.iter().map(|group| group.as_str().into()).collect())),
                ("ManagedPolicyArns", attached),
                ("Policies", inline(holder)),
                ("PermissionsBoundary", boundary),
                ("Tags", tags(holder.tags.iter())),
            ]),
        ),
        None => {
            let role = iam.roles.iter().find(|role| role.holder.arn.as_str() == arn)?;
            (
                "AWS::IAM::Role",
                object([
                    ("RoleName", Some(holder.name.as_str().into())),
                    ("Path", Some(holder.path.as_str().into())),
                    ("AssumeRolePolicyDocument", Some(value(&role.trust))),
                    ("ManagedPolicyArns", attached),
                    ("Policies", inline(holder)),
                    ("PermissionsBoundary", boundary),
                    ("Tags", tags(holder.tags.iter())),
                ]),
            )
        }
    };
    // Taken out of the stack, it stays.
    Some(json!({ "Type": kind, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": properties }))
}

fn grant_role(grant: &Grant) -> Option<Value> {
    let mut policies = Vec::new();
    let mut properties = None;
    for step in &grant.steps {
        match &step.effect {
            Effect::CreateRole { role, trust, boundary, max_session_seconds, tags: of_role } => {
                let path = role.parse().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn));
                properties = Some(object([
                    ("RoleName", Some(last_part(role).into())),
                    ("Path", Some(path.into())),
                    ("AssumeRolePolicyDocument", Some(value(trust))),
                    ("MaxSessionDuration", Some((*max_session_seconds).into())),
                    ("PermissionsBoundary", boundary.clone().map(Value::from)),
                    ("Tags", tags(of_role.iter())),
                ]));
            }
            Effect::PutRolePolicy { policy, document, .. } => {
                policies.push(json!({ "PolicyName": policy, "PolicyDocument": value(document) }));
            }
            _ => {}
        }
    }
    let mut properties = properties?;
    if let (Some(fields), Some(policies)) = (properties.as_object_mut(), some(policies)) {
        fields.insert("Policies".to_owned(), policies);
    }
    Some(json!({ "Type": "AWS::IAM::Role", "Properties": properties }))
}

impl Part<'_> {
    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.plan.changes.iter().filter(|change| change.account == self.account)
    }

    fn template(&self, what: &str, resources: Map<String, Value>) -> String {
        // Not collected, so not written: a template without it means an hour.
        let hint = "How long sessions of a role may be (MaxSessionDuration) is not collected: add it to roles that have more \
                    than an hour. Nor are descriptions and tags of permission sets. What a stack manages already is changed in its own template.";
        let text = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": format!("{what} plan {} in account {}", self.plan.hash, self.account),
            "Metadata": { "jitscan": { "account": self.account.to_string(), "plan": self.plan.hash, "note": hint } },
            "Resources": resources,
        });
        format!("{text:#}\n")
    }

    pub(super) fn cloudformation(&self) -> Vec<(&'static str, String)> {
        let (mut old, mut new, mut imports) = (Map::new(), Map::new(), Vec::new());
        for grant in self.plan.grants.iter().filter(|grant| grant.account == self.account) {
            let resource = match grant.reach.is_empty() {
                true => grant_role(grant),
                false => sets::granted_resource(grant, self.new),
            };
            new.extend(resource.map(|role| (logical(&grant.role), role)));
        }
        for change in self.changes().filter(|change| !change.roles.is_empty()) {
            let name = logical(&change.principal);
            let Some((before, after)) = sets::resource(change, self.old).zip(sets::resource(change, self.new)) else {
                continue;
            };
            imports.push(sets::to_import(change, &name));
            old.insert(name.clone(), before);
            new.insert(name, after);
        }
        for change in self.changes() {
            let arn = change.principal.as_str();
            let touched = Touched::of(&change.steps);
            let made: Vec<&str> = touched.made.iter().map(|(arn, _)| *arn).collect();
            for (policy, json) in &touched.made {
                let path = policy.parse().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn));
                let properties = json!({
                    "ManagedPolicyName": last_part(policy), "Path": path, "PolicyDocument": value(json)
                });
                new.insert(logical(policy), json!({ "Type": "AWS::IAM::ManagedPolicy", "Properties": properties }));
            }
            let name = logical(arn);
            if let Some((before, after)) = principal(self.before, arn, &[]).zip(principal(self.after, arn, &made)) {
                let is_user = before.get("Type").is_some_and(|kind| kind == "AWS::IAM::User");
                let key = if is_user { "UserName" } else { "RoleName" };
                imports.push(json!({
                    "ResourceType": before.get("Type"),
                    "LogicalResourceId": name,
                    "ResourceIdentifier": { key: last_part(arn) },
                }));
                old.insert(name.clone(), before);
                new.insert(name, after);
            }
        }
        let change = ("2-change.template.json", self.template("Changes of", new));
        if imports.is_empty() {
            return vec![change];
        }
        vec![
            ("1-import.template.json", self.template("What is there before", old)),
            ("resources-to-import.json", format!("{:#}\n", Value::from(imports))),
            change,
        ]
    }
}
