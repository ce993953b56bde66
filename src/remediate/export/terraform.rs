//! HCL: what the plan makes as resources, what was there before with import blocks, and what goes by resources that own a
//! whole list (`…_exclusive`).
//!
//! Sources: documentation of the AWS provider of Terraform, "Resource: aws_iam_role_policies_exclusive" and its siblings
//! for attachments and users, "aws_iam_user_group_membership" and the identifiers that each is imported by.

use std::fmt::Write as _;

use crate::model::snapshot::Holder;

use super::super::effect::{Effect, last_part, path_of};
use super::super::{Change, Grant};
use super::{Part, Touched, label, pretty, sets};

/// First version of the provider that has every resource that is used here.
const PROVIDER: &str = ">= 5.80.0";
/// And the first that has those for permission sets.
const PROVIDER_OF_SETS: &str = ">= 6.31.0";

/// A text in quotes. Source: HCL native syntax specification, "Quoted Templates".
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    literal(&out)
}

/// `${` and `%{` stand for themselves: IAM has variables of its own.
fn literal(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// A document, line by line.
pub(super) fn document(json: &str) -> String {
    let text = literal(&pretty(json));
    // A line that is the mark alone would end it.
    let mut mark = "JSON".to_owned();
    while text.lines().any(|line| line.trim() == mark) {
        mark.push('_');
    }
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    format!("<<-{mark}\n{}\n  {mark}", lines.join("\n"))
}

pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    if items.is_empty() { "[]".to_owned() } else { format!("[\n    {},\n  ]", items.join(",\n    ")) }
}

pub(super) fn import(out: &mut String, to: &str, id: &str) {
    let _ = writeln!(out, "\nimport {{\n  to = {to}\n  id = {}\n}}", quoted(id));
}

pub(super) fn comment(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n# {}", text.replace(['\n', '\r'], " "));
}

impl Part<'_> {
    pub(super) fn terraform(&self) -> Vec<(&'static str, String)> {
        let (hash, account) = (&self.plan.hash, self.account);
        let sets = self.plan.steps().any(|(of, _, step)| of == account && matches!(step.effect, Effect::Set(_)));
        let provider = if sets { PROVIDER_OF_SETS } else { PROVIDER };
        let mut out = format!(
            "# Plan {hash} in account {account}. Made by `jitscan remediate export`.\n# Where another configuration manages \
             one of these, put what stands here in its place there: two would undo each other.\n\nterraform {{\n  \
             required_version = \">= 1.5.0\"\n  required_providers {{\n    aws = {{\n      source  = \"hashicorp/aws\"\n      \
             version = \"{provider}\"\n    }}\n  }}\n}}\n\nprovider \"aws\" {{\n  allowed_account_ids = [\"{account}\"]\n}}\n"
        );
        for grant in self.plan.grants.iter().filter(|grant| grant.account == account) {
            match grant.reach.is_empty() {
                true => granted(&mut out, grant),
                false => sets::granted(&mut out, grant),
            }
        }
        for change in self.plan.changes.iter().filter(|change| change.account == account) {
            match change.roles.is_empty() {
                true => self.changed(&mut out, change),
                false => sets::changed(&mut out, change, self.old, self.new),
            }
        }
        vec![("main.tf", out)]
    }

    fn changed(&self, out: &mut String, change: &Change) {
        let arn = change.principal.as_str();
        let Some(((old, old_groups), (new, new_groups))) =
            Self::held(self.before, arn).zip(Self::held(self.after, arn))
        else {
            return;
        };
        let touched = Touched::of(&change.steps);
        let kind = if new_groups.is_some() { "user" } else { "role" };
        let name = &new.name;
        comment(out, arn);
        // What is new is there before what is old goes.
        let after = list(added(out, &touched, kind, old, new));
        let own = label(name, arn);
        if let Some(trust) = touched.trust {
            trusting(out, new, trust);
        }
        if touched.inline_goes {
            let names = list(new.inline.iter().map(|one| quoted(&one.name)));
            let resource = format!("aws_iam_{kind}_policies_exclusive");
            let _ = writeln!(
                out,
                "resource \"{resource}\" \"{own}\" {{\n  {kind}_name    = {}\n  policy_names = {names}\n  depends_on   = {after}\n}}",
                quoted(name),
            );
            import(out, &format!("{resource}.{own}"), name);
        }
        if touched.attachments {
            let arns = list(new.attached.iter().map(|one| quoted(&one.arn)));
            let resource = format!("aws_iam_{kind}_policy_attachments_exclusive");
            let _ = writeln!(
                out,
                "\nresource \"{resource}\" \"{own}\" {{\n  {kind}_name   = {}\n  policy_arns = {arns}\n  depends_on  = {after}\n}}",
                quoted(name),
            );
            import(out, &format!("{resource}.{own}"), name);
        }
        if let (true, Some(old), Some(new)) = (touched.groups, old_groups, new_groups) {
            let _ = writeln!(
                out,
                "\nresource \"aws_iam_user_group_membership\" \"{own}\" {{\n  user       = {}\n  groups     = {}\n  depends_on = {after}\n}}",
                quoted(name),
                list(new.iter().map(|group| quoted(group))),
            );
            import(out, &format!("aws_iam_user_group_membership.{own}"), &format!("{name}/{}", old.join("/")));
        }
    }
}

/// A role that stands, of which nothing is managed but whom it lets in: there is no resource for that alone.
fn trusting(out: &mut String, role: &Holder, trust: &str) {
    let own = label(&role.name, role.arn.as_str());
    let _ = writeln!(
        out,
        "resource \"aws_iam_role\" \"{own}\" {{\n  name               = {}\n  path               = {}\n  assume_role_policy = {}\n  \
         lifecycle {{\n    ignore_changes = [description, max_session_duration, permissions_boundary, tags, tags_all]\n  }}\n}}",
        quoted(&role.name),
        quoted(&role.path),
        document(trust),
    );
    import(out, &format!("aws_iam_role.{own}"), &role.name);
}

/// What a change makes of one principal; the addresses of it all.
fn added(out: &mut String, touched: &Touched<'_>, kind: &str, old: &Holder, new: &Holder) -> Vec<String> {
    let (name, arn) = (&new.name, new.arn.as_str());
    let mut first = Vec::new();
    for (policy, json) in &touched.made {
        let at = format!("aws_iam_policy.{}", label(last_part(policy), policy));
        let path = policy.parse().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn));
        let _ = writeln!(
            out,
            "resource \"aws_iam_policy\" \"{}\" {{\n  name   = {}\n  path   = {}\n  policy = {}\n}}\n",
            label(last_part(policy), policy),
            quoted(last_part(policy)),
            quoted(&path),
            document(json)
        );
        first.push(at);
    }
    for (policy, json) in &touched.written {
        let own = label(&format!("{name}_{policy}"), arn);
        let _ = writeln!(
            out,
            "resource \"aws_iam_{kind}_policy\" \"{own}\" {{\n  {kind}   = {}\n  name   = {}\n  policy = {}\n}}",
            quoted(name),
            quoted(policy),
            document(json)
        );
        let at = format!("aws_iam_{kind}_policy.{own}");
        if old.inline.iter().any(|one| one.name == *policy) {
            import(out, &at, &format!("{name}:{policy}"));
        }
        out.push('\n');
        first.push(at);
    }
    for one in new.attached.iter().filter(|one| !old.attached.contains(one)) {
        let attachment = label(&format!("{name}_{}", one.name), arn);
        let made = touched.made.iter().any(|(policy, _)| *policy == one.arn);
        let made = made.then(|| format!("  depends_on = [aws_iam_policy.{}]\n", label(last_part(&one.arn), &one.arn)));
        let _ = writeln!(
            out,
            "resource \"aws_iam_{kind}_policy_attachment\" \"{attachment}\" {{\n  {kind}       = {}\n  policy_arn = {}\n{}}}\n",
            quoted(name),
            quoted(&one.arn),
            made.unwrap_or_default()
        );
        first.push(format!("aws_iam_{kind}_policy_attachment.{attachment}"));
    }
    first
}

fn granted(out: &mut String, grant: &Grant) {
    comment(out, &format!("{}, in place of standing access of {}", grant.role, grant.principal));
    let own = label(last_part(&grant.role), &grant.role);
    for step in &grant.steps {
        match &step.effect {
            Effect::CreateRole { role, trust, boundary, max_session_seconds, tags } => {
                let path = role.parse().map_or_else(|_| "/".to_owned(), |arn| path_of(&arn));
                let boundary = boundary.as_deref().map(|arn| format!("  permissions_boundary = {}\n", quoted(arn)));
                let tags: Vec<String> =
                    tags.iter().map(|(key, value)| format!("    {} = {}\n", quoted(key), quoted(value))).collect();
                // A grant moves the date in the trust policy: that is not to be put back.
                let _ = writeln!(
                    out,
                    "resource \"aws_iam_role\" \"{own}\" {{\n  name                 = {}\n  path                 = {}\n  \
                     max_session_duration = {max_session_seconds}\n{}  assume_role_policy   = {}\n  tags = {{\n{}  }}\n  \
                     lifecycle {{\n    ignore_changes = [assume_role_policy]\n  }}\n}}\n",
                    quoted(last_part(role)),
                    quoted(&path),
                    boundary.unwrap_or_default(),
                    document(trust),
                    tags.concat()
                );
            }
            Effect::PutRolePolicy { policy, document: json, .. } => {
                let _ = writeln!(
                    out,
                    "resource \"aws_iam_role_policy\" \"{}\" {{\n  role   = aws_iam_role.{own}.name\n  name   = {}\n  policy = {}\n}}\n",
                    label(&format!("{}_{policy}", last_part(&grant.role)), &grant.role),
                    quoted(policy),
                    document(json)
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(body: &str) -> String {
        let body: hcl::Body = hcl::from_str(&format!("x = {body}\n")).unwrap();
        let found = body.attributes().next().unwrap().expr().clone();
        match found {
            hcl::Expression::String(text) => text,
            // What has `$${` in it, or is over several lines, is a template of literals alone.
            hcl::Expression::TemplateExpr(template) => {
                let template = hcl::Template::from_expr(&template).unwrap();
                let literals = template.elements().iter().map(|element| match element {
                    hcl::template::Element::Literal(text) => text.clone(),
                    other => panic!("{other:?} is no literal: {body:?}"),
                });
                literals.collect()
            }
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        /// Whatever a name or a document holds, Terraform reads it as it is.
        #[test]
        fn texts_come_back(text in "[ -~äß\n\t\"\\\\${}%]{0,30}") {
            prop_assert_eq!(&parsed(&quoted(&text)), &text);
            let json = serde_json::json!({ "Sid": text, "JSON": ["${aws:username}", "%{x}", "JSON\nJSON"] });
            let found = parsed(&document(&json.to_string()));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&found).unwrap(), json);
        }
    }
}
