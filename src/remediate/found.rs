//! A user or role of a snapshot with every policy that applies to it.

use std::collections::BTreeMap;

use crate::catalog::Glob;
use crate::model::snapshot::{AccountIam, Holder, Snapshot};
use crate::usage::code::WrittenByCode;

/// Where a policy of a principal stands.
pub(super) enum Stands<'s> {
    Inline(&'s str),
    Attached(&'s str),
    GroupInline(&'s str),
    GroupAttached(&'s str, &'s str),
}

impl std::fmt::Display for Stands<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(name) => write!(f, "inline {name}"),
            Self::Attached(arn) => write!(f, "attached {arn}"),
            Self::GroupInline(group, ..) => write!(f, "inline of group {group}"),
            Self::GroupAttached(group, arn) => write!(f, "{arn} of group {group}"),
        }
    }
}

/// A policy of a principal: where it stands, and what it says.
pub(super) struct Held<'s> {
    pub(super) stands: Stands<'s>,
    pub(super) json: &'s str,
}

/// A user or role of a snapshot.
pub(super) struct Found<'s> {
    pub(super) iam: &'s AccountIam,
    pub(super) holder: &'s Holder,
    /// The groups of a user; none of a role.
    pub(super) groups: Option<&'s [String]>,
}

impl<'s> Found<'s> {
    pub(super) fn of(snapshot: &'s Snapshot, arn: &str) -> Option<Self> {
        snapshot.accounts.values().find_map(|iam| {
            let user = iam.users.iter().find(|user| user.holder.arn.as_str() == arn);
            let user = user.map(|user| (&user.holder, Some(user.groups.as_slice())));
            let role =
                || iam.roles.iter().find(|role| role.holder.arn.as_str() == arn).map(|role| (&role.holder, None));
            let (holder, groups) = user.or_else(role)?;
            Some(Self { iam, holder, groups })
        })
    }

    /// Every identity policy that applies.
    pub(super) fn policies(&self) -> Result<Vec<Held<'s>>, String> {
        let document = |arn: &str| {
            let found = self.iam.policies.iter().find(|policy| policy.arn == arn);
            found.map(|policy| policy.json.as_str()).ok_or_else(|| format!("the document of {arn} was not collected"))
        };
        let mut out = Vec::new();
        for one in &self.holder.inline {
            out.push(Held { stands: Stands::Inline(&one.name), json: &one.json });
        }
        for one in &self.holder.attached {
            out.push(Held { stands: Stands::Attached(&one.arn), json: document(&one.arn)? });
        }
        for name in self.groups.into_iter().flatten() {
            let group = self.iam.groups.iter().find(|group| group.name == *name);
            let group = group.ok_or_else(|| format!("group {name} was not collected"))?;
            for one in &group.inline {
                out.push(Held { stands: Stands::GroupInline(&group.name), json: &one.json });
            }
            for one in &group.attached {
                out.push(Held { stands: Stands::GroupAttached(&group.name, &one.arn), json: document(&one.arn)? });
            }
        }
        Ok(out)
    }
}

/// What is known of what is managed as code, beside tags.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// Patterns over ARNs.
    pub patterns: &'a [Glob],
    /// What the logs show of it.
    pub written: &'a WrittenByCode,
}

impl Code<'_> {
    /// Who manages a user, a role or a permission set in code, by its ARN.
    pub(super) fn of(&self, arn: &str) -> Option<String> {
        if self.patterns.iter().any(|glob| glob.matches(arn)) {
            return Some("code (by the configuration)".to_owned());
        }
        let written = self.written.of_holder(arn)?;
        Some(format!("{}, which called {} on it on {}", written.by, written.call, written.at.day()))
    }
}

/// Who manages a principal or a permission set in code, as its tags say it, the configuration, or the logs.
pub(super) fn code_of(arn: &str, tags: &BTreeMap<String, String>, code: &Code<'_>) -> Option<String> {
    let tagged = tags.iter().find_map(|(key, value)| {
        let lower = key.to_ascii_lowercase();
        let terraform = lower.contains("terraform") || value.eq_ignore_ascii_case("terraform");
        match lower.as_str() {
            "aws:cloudformation:stack-name" => Some(format!("CloudFormation (stack {value})")),
            _ if terraform => Some(format!("Terraform (tag {key})")),
            _ => None,
        }
    });
    tagged.or_else(|| code.of(arn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_what_is_managed_in_code() {
        let told = |key: &str, value: &str| {
            let tags = [(key.to_owned(), value.to_owned())].into();
            code_of(
                "arn:aws:iam::111122223333:role/x",
                &tags,
                &Code { patterns: &[], written: &WrittenByCode::default() },
            )
        };
        assert_eq!(told("aws:cloudformation:stack-name", "app").as_deref(), Some("CloudFormation (stack app)"));
        assert_eq!(told("ManagedBy", "terraform").as_deref(), Some("Terraform (tag ManagedBy)"));
        assert_eq!(told("Terraform", "true").as_deref(), Some("Terraform (tag Terraform)"));
        assert_eq!(told("team", "platform"), None);
    }
}
