//! Which actions are privileged, and which principals are administrators by another name.
//!
//! Both are judgements, so both are data: [`Privileges`] is read from `privileged.tsv` and carries a version and a
//! hash; [`AdminRule`]s are a table.

use std::sync::LazyLock;

use crate::catalog::{AccessLevel, ActionSet, Catalog};
use crate::policy::{ArnPattern, ResourceMatch};

use super::{Entitlement, LimitKind, PrincipalEntitlements};

const DATA: &str = include_str!("privileged.tsv");

/// On which scope an action counts as privileged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breadth {
    /// On any resource.
    Any,
    /// Only where the resource scope holds everything of its kind in the account.
    Broad,
}

/// One rule of the list.
#[derive(Clone, Debug)]
pub struct PrivilegeRule {
    /// The action pattern.
    pub pattern: &'static str,
    /// Access levels to which it is limited; empty means all.
    pub levels: Vec<AccessLevel>,
    /// On which scope it counts.
    pub breadth: Breadth,
    /// Group of rules, such as `identity` or `logging`.
    pub class: &'static str,
    /// Why, in a few words.
    pub why: &'static str,
}

/// The PRIV set over one catalogue.
#[derive(Debug)]
pub struct Privileges {
    /// Version of the list.
    pub version: &'static str,
    /// BLAKE3 of the list; 32 hex digits.
    pub hash: String,
    /// The rules that add actions.
    pub rules: Vec<PrivilegeRule>,
    /// All privileged actions, whatever their breadth.
    pub actions: ActionSet,
    /// Those that count only where broad.
    pub broad_only: ActionSet,
}

impl Privileges {
    /// Expands the list over a catalogue. Later lines win over earlier ones.
    #[must_use]
    pub fn over(catalog: &Catalog) -> Self {
        let hash = blake3::hash(DATA.as_bytes()).to_hex();
        let mut out = Self {
            version: DATA.lines().find_map(|line| line.strip_prefix("# version\t")).unwrap_or(""),
            hash: hash.get(..32).unwrap_or(&hash).to_owned(),
            rules: Vec::new(),
            actions: ActionSet::new(catalog.len()),
            broad_only: ActionSet::new(catalog.len()),
        };
        for line in DATA.lines() {
            if let Some(rest) = line.strip_prefix("- ") {
                let pattern = rest.split('\t').next().unwrap_or("");
                let set = catalog.actions_matching(pattern);
                out.actions.subtract(&set);
                out.broad_only.subtract(&set);
            } else if let Some(rule) = line.strip_prefix("+ ").and_then(rule) {
                let set = expand(&rule, catalog);
                out.actions.union_with(&set);
                match rule.breadth {
                    Breadth::Any => out.broad_only.subtract(&set),
                    Breadth::Broad => out.broad_only.union_with(&set),
                }
                out.rules.push(rule);
            }
        }
        out
    }

    /// The list over the embedded catalogue, expanded once.
    #[must_use]
    pub fn get() -> &'static Self {
        static LIST: LazyLock<Privileges> = LazyLock::new(|| Privileges::over(Catalog::get()));
        &LIST
    }
}

fn rule(line: &'static str) -> Option<PrivilegeRule> {
    let mut fields = line.split('\t');
    let (pattern, levels, breadth, class, why) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let levels = if levels == "all" {
        Vec::new()
    } else {
        levels.split(',').map(AccessLevel::parse).collect::<Option<Vec<_>>>()?
    };
    let breadth = match breadth {
        "any" => Breadth::Any,
        "broad" => Breadth::Broad,
        _ => return None,
    };
    Some(PrivilegeRule { pattern, levels, breadth, class, why })
}

fn expand(rule: &PrivilegeRule, catalog: &Catalog) -> ActionSet {
    let matching = catalog.actions_matching(rule.pattern);
    if rule.levels.is_empty() {
        return matching;
    }
    let mut out = ActionSet::new(catalog.len());
    for id in matching.iter() {
        if catalog.action(id).is_some_and(|action| rule.levels.contains(&action.access())) {
            out.insert(id);
        }
    }
    out
}

/// Every privileged action of the embedded catalogue, whatever the scope. `catalog` must be the embedded one or of
/// the same size; see [`privileged`] for a principal's.
#[must_use]
pub fn privileged_actions(_catalog: &Catalog) -> &'static ActionSet {
    &Privileges::get().actions
}

/// The privileged actions that a principal effectively holds: those of the list, less what it holds only for itself
/// (resources that end in its own user name) and, where the list says so, only on named resources.
#[must_use]
pub fn privileged(principal: &PrincipalEntitlements, privileges: &Privileges) -> ActionSet {
    let mut out = ActionSet::new(principal.granted.capacity());
    for entitlement in &principal.entitlements {
        if !entitlement.actions.intersects(&privileges.actions) || is_own(&entitlement.scope.resources) {
            continue;
        }
        let mut set = (*entitlement.actions).clone();
        set.intersect_with(&privileges.actions);
        if !is_broad(&entitlement.scope.resources) {
            set.subtract(&privileges.broad_only);
        }
        out.union_with(&set);
    }
    out
}

/// Whether every resource is the user itself: `user/${aws:username}`, its MFA device and the like.
fn is_own(resources: &ResourceMatch) -> bool {
    let ResourceMatch::Resource(patterns) = resources else { return false };
    patterns.iter().all(|pattern| match pattern {
        ArnPattern::Arn(arn) => {
            let text = arn.resource.to_string();
            let last = text.rsplit('/').next().unwrap_or("");
            arn.service.to_string() == "iam" && (last == "${aws:username}" || last == "${aws:userid}")
        }
        ArnPattern::Any | ArnPattern::Other(_) => false,
    })
}

/// Whether some pattern holds everything of a kind: `*`, or a resource part such as `role/*`, `function:*` or `*`.
fn is_broad(resources: &ResourceMatch) -> bool {
    match resources {
        ResourceMatch::Resource(patterns) => patterns.iter().any(|pattern| match pattern {
            ArnPattern::Any => true,
            ArnPattern::Arn(arn) => {
                let text = arn.resource.to_string();
                let mut parts = text.splitn(2, ['/', ':']);
                matches!((parts.next(), parts.next()), (Some("*"), _) | (Some(_), Some("*")))
            }
            ArnPattern::Other(_) => false,
        }),
        ResourceMatch::NotResource(_) | ResourceMatch::Implied => true,
    }
}

/// A way in which a principal is an administrator by another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminRule {
    /// Stable id.
    pub id: &'static str,
    /// What it lets the principal do.
    pub title: &'static str,
    /// Actions that must all be held together ...
    pub all_of: &'static [&'static str],
    /// ... on every resource of this IAM type (`user`, `role`, `group`, `policy`), or of every type where empty.
    pub on: &'static str,
}

/// The rules, strongest first. Every action here changes what IAM grants without needing anything else.
/// Source: AWS Security Blog and IAM User Guide on privilege escalation through policy, attachment and trust edits.
pub const ADMIN_RULES: [AdminRule; 13] = [
    AdminRule {
        id: "full_access",
        title: "is granted every action on every resource",
        all_of: &["iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:CreatePolicyVersion", "iam:UpdateAssumeRolePolicy"],
        on: "",
    },
    AdminRule {
        id: "attach_user_policy",
        title: "can attach any policy to any user",
        all_of: &["iam:AttachUserPolicy"],
        on: "user",
    },
    AdminRule {
        id: "attach_group_policy",
        title: "can attach any policy to any group",
        all_of: &["iam:AttachGroupPolicy"],
        on: "group",
    },
    AdminRule {
        id: "attach_role_policy",
        title: "can attach any policy to any role",
        all_of: &["iam:AttachRolePolicy"],
        on: "role",
    },
    AdminRule {
        id: "put_user_policy",
        title: "can write inline policies of any user",
        all_of: &["iam:PutUserPolicy"],
        on: "user",
    },
    AdminRule {
        id: "put_group_policy",
        title: "can write inline policies of any group",
        all_of: &["iam:PutGroupPolicy"],
        on: "group",
    },
    AdminRule {
        id: "put_role_policy",
        title: "can write inline policies of any role",
        all_of: &["iam:PutRolePolicy"],
        on: "role",
    },
    AdminRule {
        id: "create_policy_version",
        title: "can rewrite any managed policy",
        all_of: &["iam:CreatePolicyVersion"],
        on: "policy",
    },
    AdminRule {
        id: "set_default_policy_version",
        title: "can choose the version of any managed policy",
        all_of: &["iam:SetDefaultPolicyVersion"],
        on: "policy",
    },
    AdminRule {
        id: "update_trust",
        title: "can let itself assume any role",
        all_of: &["iam:UpdateAssumeRolePolicy"],
        on: "role",
    },
    AdminRule { id: "add_user_to_group", title: "can join any group", all_of: &["iam:AddUserToGroup"], on: "group" },
    AdminRule {
        id: "permission_set_policy",
        title: "can rewrite any permission set",
        all_of: &["sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet"],
        on: "",
    },
    AdminRule {
        id: "permission_set_assignment",
        title: "can assign any permission set to anybody",
        all_of: &["sso:CreateAccountAssignment"],
        on: "",
    },
];

/// A rule that holds for a principal.
#[derive(Clone, Debug)]
pub struct AdminPath {
    /// The rule.
    pub rule: &'static AdminRule,
    /// Indices of the entitlements by which it holds, one for each action of the rule.
    pub entitlements: Vec<usize>,
    /// Whether a conditional Deny could take one of the actions away, or the principal's answer is undecided.
    pub undecided: bool,
}

/// Every rule that makes the principal an administrator by another name, strongest first; empty where none does.
/// Only unconditional entitlements on every resource of the kind count, and none that a boundary or SCP narrows.
#[must_use]
pub fn administrator_equivalent(principal: &PrincipalEntitlements, catalog: &Catalog) -> Vec<AdminPath> {
    ADMIN_RULES.iter().filter_map(|rule| path(principal, catalog, rule)).collect()
}

fn path(principal: &PrincipalEntitlements, catalog: &Catalog, rule: &'static AdminRule) -> Option<AdminPath> {
    let full = rule.id == "full_access";
    let partition = principal.arn.partition();
    let everything = if rule.on.is_empty() {
        ArnPattern::Any
    } else {
        ArnPattern::parse(&format!("arn:{partition}:iam::{}:{}/*", principal.account, rule.on), false)
    };
    let wanted = ResourceMatch::Resource(vec![everything]);
    let mut entitlements = Vec::with_capacity(rule.all_of.len());
    let mut undecided = false;
    for name in rule.all_of {
        let id = catalog.find(name)?;
        let holds = |entitlement: &Entitlement| {
            entitlement.actions.contains(id)
                && (!full || entitlement.open)
                && entitlement.scope.conditions.is_empty()
                && entitlement.scope.resources.covers(&wanted)
                && !entitlement.limits.iter().any(|l| l.kind == LimitKind::OnlyWithin && l.actions.contains(id))
        };
        entitlements.push(principal.entitlements.iter().position(holds)?);
        undecided |= principal.undecided.contains(id);
    }
    Some(AdminPath { rule, entitlements, undecided })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed() {
        let catalog = Catalog::get();
        let list = Privileges::get();
        assert_eq!((list.version, list.hash.len()), ("2026-11-21", 32));
        for line in DATA.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (sign, rest) = line.split_once(' ').unwrap();
            let pattern = rest.split('\t').next().unwrap();
            assert!(!catalog.actions_matching(pattern).is_empty(), "{pattern} matches nothing");
            match sign {
                "+" => {
                    let rule = rule(rest).unwrap_or_else(|| panic!("{line}"));
                    assert!(!expand(&rule, catalog).is_empty(), "{pattern} adds nothing");
                }
                "-" => assert_eq!(rest.split('\t').count(), 2, "{line}"),
                _ => panic!("{line}"),
            }
        }
        for rule in &ADMIN_RULES {
            for name in rule.all_of {
                let id = catalog.find(name).unwrap_or_else(|| panic!("{name}"));
                assert!(list.actions.contains(id), "{name} is not privileged");
            }
        }
    }

    #[test]
    fn what_is_privileged() {
        let catalog = Catalog::get();
        for (name, want) in [
            ("iam:CreateAccessKey", true),
            ("iam:PassRole", true),
            ("iam:ListRoles", false),
            ("iam:ChangePassword", false),
            ("sts:AssumeRole", true),
            ("sts:GetCallerIdentity", false),
            ("kms:Decrypt", false),
            ("kms:PutKeyPolicy", true),
            ("cloudtrail:StopLogging", true),
            ("organizations:AttachPolicy", true),
            ("s3:GetObject", false),
            ("lambda:UpdateFunctionCode", true),
        ] {
            assert_eq!(privileged_actions(catalog).contains(catalog.find(name).unwrap()), want, "{name}");
        }
    }
}
