//! The least that a role must be allowed so that `jitscan collect` can do its work, made of the table of calls.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::calls::{ALSO, CALLS, Purpose, SHARED};

/// Which role a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever starts `collect`, in the management account or a delegated administrator's: it reads the organisation and
    /// its own account, and becomes the member role in every other one.
    Central,
    /// The role that is assumed in every other account.
    Member,
    /// Whoever asks Access Analyzer about policies.
    Validator,
}

/// What a policy is made for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which role.
    pub role: Role,
    /// Name of the role in member accounts.
    pub member_role: String,
    /// Parts of what is collected.
    pub what: BTreeSet<Purpose>,
    /// Buckets with logs; where none is named, the logs in any bucket, and nothing else in it.
    pub buckets: Vec<String>,
}

impl Wanted {
    /// The actions of each part that the role reads itself.
    fn actions(&self) -> BTreeMap<Purpose, BTreeSet<&'static str>> {
        let mut parts: BTreeMap<Purpose, BTreeSet<&'static str>> = BTreeMap::new();
        let of_role = |purpose: Purpose| match self.role {
            Role::Central => purpose != Purpose::Validation,
            Role::Member => !purpose.is_central(),
            Role::Validator => purpose == Purpose::Validation,
        };
        // Which accounts there are is always asked; who we are may always be asked.
        let asked = |purpose: Purpose| {
            let wanted = self.what.contains(&purpose) || purpose == Purpose::Accounts;
            wanted && of_role(purpose) && purpose != Purpose::Session
        };
        for call in CALLS.iter().filter(|call| asked(call.purpose)) {
            let part = parts.entry(call.purpose).or_default();
            part.insert(call.action);
            part.extend(ALSO.iter().filter(|(needs, _)| needs == call).map(|(_, action)| *action));
        }
        for (purpose, call) in SHARED.iter().filter(|(purpose, _)| asked(*purpose)) {
            parts.entry(*purpose).or_default().insert(call.action);
        }
        parts
    }

    /// The identity policy. Reading the state of an account has no narrower resource than all: lists span everything.
    /// Logs do: they lie below `AWSLogs/` of a bucket.
    #[must_use]
    pub fn policy(&self) -> Value {
        let mut statements = Vec::new();
        for (part, mut actions) in self.actions() {
            let of_logs = |action: &&str| action.starts_with("s3:") || *action == "kms:Decrypt";
            let logs = match part {
                Purpose::Events => actions.extract_if(.., |action| of_logs(action)).count(),
                _ => 0,
            };
            statements.push(json!({ "Sid": sid(part), "Effect": "Allow", "Action": actions, "Resource": "*" }));
            if logs > 0 {
                statements.extend(self.logs());
            }
        }
        if self.role == Role::Central {
            statements.push(json!({
                "Sid": "BecomeMemberRole",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": format!("arn:*:iam::*:role/{}", self.member_role)
            }));
        }
        json!({ "Version": "2012-10-17", "Statement": statements })
    }

    /// What reading logs needs. Sources: CloudTrail User Guide, "Finding your CloudTrail log files" (folders) and
    /// "Configure AWS KMS key policies for CloudTrail" (logs are decrypted under the encryption context of their trail).
    fn logs(&self) -> [Value; 4] {
        let any = vec!["*".to_owned()];
        let buckets = if self.buckets.is_empty() { &any } else { &self.buckets };
        let of = |end: &str| buckets.iter().map(|bucket| format!("arn:*:s3:::{bucket}{end}")).collect::<Vec<_>>();
        let objects: Vec<String> = of("/AWSLogs/*").into_iter().chain(of("/*/AWSLogs/*")).collect();
        [
            json!({ "Sid": "FindLogs", "Effect": "Allow", "Action": "s3:GetBucketLocation", "Resource": of("") }),
            json!({
                "Sid": "ListLogs", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": of(""),
                "Condition": { "StringLike": { "s3:prefix": ["AWSLogs/*", "*/AWSLogs/*"] } }
            }),
            json!({ "Sid": "ReadLogs", "Effect": "Allow", "Action": "s3:GetObject", "Resource": objects }),
            json!({
                "Sid": "DecryptLogs", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                "Condition": { "Null": { "kms:EncryptionContext:aws:cloudtrail:arn": "false" } }
            }),
        ]
    }

    /// The role's name.
    fn name(&self) -> &str {
        match self.role {
            Role::Central => "jitscan-collect-central",
            Role::Member => &self.member_role,
            Role::Validator => "jitscan-validate",
        }
    }

    /// The command that it is for.
    const fn command(&self) -> &'static str {
        match self.role {
            Role::Central | Role::Member => "jitscan collect",
            Role::Validator => "jitscan policy validate",
        }
    }

    /// The name of its policy.
    const fn policy_name(&self) -> &'static str {
        match self.role {
            Role::Central | Role::Member => "jitscan-collect",
            Role::Validator => "jitscan-validate",
        }
    }

    /// The role that carries the policy.
    #[must_use]
    pub fn role(&self) -> RoleText {
        RoleText {
            name: self.name().to_owned(),
            command: self.command(),
            policy_name: self.policy_name(),
            about: format!("Read-only access for {}", self.command()),
            starts: self.role != Role::Member,
            policy: self.policy(),
        }
    }

    /// Terraform of the role, with its trust.
    #[must_use]
    pub fn terraform(&self) -> String {
        self.role().terraform()
    }

    /// A CloudFormation template: of the member role for a StackSet, of the central one for a stack.
    #[must_use]
    pub fn cloudformation(&self) -> Value {
        self.role().cloudformation()
    }
}

/// A role of jitscan's own, to be written in the form of those who make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleText {
    /// Its name.
    pub name: String,
    /// The command that it is for.
    pub command: &'static str,
    /// Name of its policy.
    pub policy_name: &'static str,
    /// Its description.
    pub about: String,
    /// Whether the command is started with it; otherwise the role that starts it assumes this one, with an external id.
    pub starts: bool,
    /// Its policy.
    pub policy: Value,
}

impl RoleText {
    /// Terraform of the role, with its trust.
    #[must_use]
    pub fn terraform(&self) -> String {
        let (name, command) = (self.name.as_str(), self.command);
        let (trusted, about) = match self.starts {
            true => ("trusted_principal_arn", format!("who may start {command}")),
            false => ("central_role_arn", format!("the role that starts {command}")),
        };
        let external = format!(
            "\n\nvariable \"external_id\" {{\n  type        = string\n  description = \"What {command} gives as --external-id\"\n}}"
        );
        let external = if self.starts { "" } else { external.as_str() };
        let condition = "\n      Condition = { StringEquals = { \"sts:ExternalId\" = var.external_id } }";
        let condition = if self.starts { "" } else { condition };
        let label = name.replace(['+', '=', ',', '.', '@', '-'], "_");
        format!(
            r#"# Made by `jitscan permissions`: what `{command}` calls, and no more.

variable "{trusted}" {{
  type        = string
  description = "ARN of {about}"
}}{external}

resource "aws_iam_role" "{label}" {{
  name                 = "{name}"
  description          = "{description}"
  max_session_duration = 3600
  assume_role_policy = jsonencode({{
    Version = "2012-10-17"
    Statement = [{{
      Effect    = "Allow"
      Principal = {{ AWS = var.{trusted} }}
      Action    = "sts:AssumeRole"{condition}
    }}]
  }})
}}

resource "aws_iam_role_policy" "{label}" {{
  name   = "{policy_name}"
  role   = aws_iam_role.{label}.id
  policy = <<-POLICY
{policy}
  POLICY
}}
"#,
            description = self.about,
            policy_name = self.policy_name,
            policy = indented(&self.policy, 4)
        )
    }

    /// A CloudFormation template: of the member role for a StackSet, of the central one for a stack.
    #[must_use]
    pub fn cloudformation(&self) -> Value {
        let command = self.command;
        let (parameter, about) = match self.starts {
            true => ("TrustedPrincipalArn", format!("ARN of who may start {command}")),
            false => ("CentralRoleArn", format!("ARN of the role that starts {command}")),
        };
        let mut parameters = json!({ parameter: { "Type": "String", "Description": about } });
        let mut trust = json!({
            "Effect": "Allow", "Principal": { "AWS": { "Ref": parameter } }, "Action": "sts:AssumeRole"
        });
        if let (false, Some(parameters), Some(trust)) = (self.starts, parameters.as_object_mut(), trust.as_object_mut())
        {
            let about = format!("What {command} gives as --external-id");
            parameters.insert(
                "ExternalId".to_owned(),
                json!({ "Type": "String", "Description": about, "MinLength": 2, "NoEcho": true }),
            );
            trust.insert(
                "Condition".to_owned(),
                json!({ "StringEquals": { "sts:ExternalId": { "Ref": "ExternalId" } } }),
            );
        }
        json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": format!("Made by `jitscan permissions`: what `{command}` calls, and no more."),
            "Parameters": parameters,
            "Resources": {
                "Role": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "RoleName": self.name,
                        "Description": self.about,
                        "MaxSessionDuration": 3600,
                        "AssumeRolePolicyDocument": { "Version": "2012-10-17", "Statement": [trust] },
                        "Policies": [{ "PolicyName": self.policy_name, "PolicyDocument": self.policy }]
                    }
                }
            },
            "Outputs": { "RoleArn": { "Value": { "Fn::GetAtt": ["Role", "Arn"] } } }
        })
    }
}

/// Statement ids hold letters and digits only.
fn sid(part: Purpose) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    let words: String = part.as_str().split('-').map(word).collect();
    format!("Read{words}")
}

fn indented(value: &Value, spaces: usize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let lines = text.lines().map(|line| format!("{}{line}", " ".repeat(spaces)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(role: Role) -> Wanted {
        let mut what: BTreeSet<Purpose> = Purpose::CHOICES.into_iter().collect();
        what.insert(Purpose::Validation);
        Wanted { role, member_role: "jitscan-collect".to_owned(), what, buckets: Vec::new() }
    }

    fn all(role: Role) -> BTreeSet<&'static str> {
        wanted(role).actions().into_values().flatten().collect()
    }

    #[test]
    fn a_member_reads_its_account_and_nothing_else() {
        let (central, member) = (all(Role::Central), all(Role::Member));
        assert!(member.is_subset(&central) && member.len() < central.len());
        let whole = ["organizations:", "sso:", "identitystore:", "sts:"];
        assert!(member.iter().all(|action| whole.iter().all(|of| !action.starts_with(of))), "{member:?}");
        let validator = all(Role::Validator);
        assert_eq!(validator.len(), 4);
        assert!(validator.is_disjoint(&central), "{validator:?}");
        assert!(!wanted(Role::Member).policy().to_string().contains("sts:"));
    }

    #[test]
    fn every_call_is_allowed_and_nothing_else() {
        let also = ALSO.iter().map(|(_, action)| *action);
        let needed: BTreeSet<&str> = CALLS
            .iter()
            .map(|call| call.action)
            .chain(also)
            .filter(|action| *action != "sts:GetCallerIdentity")
            .collect();
        let policies = [Role::Central, Role::Validator].map(|role| wanted(role).policy());
        let mut allowed = BTreeSet::new();
        for statement in policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap()) {
            assert_eq!(statement["Effect"], "Allow");
            match &statement["Action"] {
                Value::String(action) => drop(allowed.insert(action.as_str())),
                actions => allowed.extend(actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap())),
            }
        }
        assert_eq!(allowed, needed);
        assert!(allowed.iter().all(|action| !action.contains('*')), "{allowed:?}");
    }

    #[test]
    fn parts_that_are_not_wanted_are_not_allowed() {
        let mut wanted = wanted(Role::Member);
        wanted.what = [Purpose::Trails].into();
        let actions: BTreeSet<&str> = wanted.actions().into_values().flatten().collect();
        assert!(actions.iter().all(|action| action.starts_with("cloudtrail:")) && actions.len() > 2, "{actions:?}");
    }

    #[test]
    fn of_buckets_only_logs_are_read() {
        let mut wanted = wanted(Role::Member);
        for (buckets, of) in [(vec![], "arn:*:s3:::*"), (vec!["logs-1".to_owned()], "arn:*:s3:::logs-1")] {
            wanted.buckets = buckets;
            let policy = wanted.policy();
            for statement in policy["Statement"].as_array().unwrap() {
                let text = statement["Action"].to_string();
                if text.contains("s3:GetObject") {
                    assert_eq!(statement["Resource"], json!([format!("{of}/AWSLogs/*"), format!("{of}/*/AWSLogs/*")]));
                } else if text.contains("s3:ListBucket") {
                    assert!(!statement["Condition"]["StringLike"]["s3:prefix"].is_null(), "{statement}");
                } else if text.contains("kms:Decrypt") {
                    assert!(!statement["Condition"].is_null(), "{statement}");
                } else {
                    assert!(!text.contains("s3:GetObject") && !text.contains("kms:Decrypt"), "{statement}");
                }
            }
        }
    }

    #[test]
    fn the_forms_hold_the_policy() {
        for role in [Role::Central, Role::Member, Role::Validator] {
            let wanted = wanted(role);
            let terraform = wanted.terraform();
            let (_, text) = terraform.split_once("<<-POLICY").unwrap();
            let (text, _) = text.rsplit_once("POLICY").unwrap();
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), wanted.policy());
            assert_eq!(terraform.matches('{').count(), terraform.matches('}').count());
            let template = wanted.cloudformation();
            let properties = &template["Resources"]["Role"]["Properties"];
            assert_eq!(properties["Policies"][0]["PolicyDocument"], wanted.policy());
            assert_eq!(terraform.contains("sts:ExternalId"), role == Role::Member);
            assert_eq!(template.to_string().contains("sts:ExternalId"), role == Role::Member);
            // IAM: an inline policy of a role has at most 10,240 characters without white space.
            assert!(wanted.policy().to_string().len() < 10_240);
        }
    }
}
