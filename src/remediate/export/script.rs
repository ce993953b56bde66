//! Calls of the AWS CLI, and those that take them back.

use super::super::Step;
use super::Part;

/// A call as a shell takes it.
#[must_use]
pub fn shell(arguments: &[String]) -> String {
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=@,".contains(&b));
    let quoted = |text: &String| match plain(text) {
        true => text.clone(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    };
    let words: Vec<String> = arguments.iter().map(quoted).collect();
    format!("aws {}", words.join(" "))
}

/// A comment of one line.
fn comment(text: &str) -> String {
    format!("# {}\n", text.replace(['\n', '\r'], " "))
}

impl Part<'_> {
    fn steps(&self) -> Vec<(&str, &Step)> {
        let steps = self.plan.steps().filter(|(account, ..)| *account == self.account);
        steps.map(|(_, of, step)| (of, step)).collect()
    }

    fn head(&self, what: &str) -> String {
        let (hash, account) = (&self.plan.hash, self.account);
        format!(
            "#!/bin/sh\n# {what} of plan {hash} in account {account}. Made by `jitscan remediate export`.\n# It fits what stood \
             there when the plan was made, and looks at nothing: `jitscan remediate apply` does.\nset -u\n\
             if [ \"$(aws sts get-caller-identity --query Account --output text)\" != {account} ]; then\n  \
             echo \"these are not credentials of account {account}\" >&2\n  exit 1\nfi\n\n\
             # What was made a moment ago may not be seen yet.\nwait=${{JITSCAN_WAIT:-2}}\nmake() {{\n  for try in 1 2 3 4 5; do\n    \
             \"$@\" && return 0\n    sleep \"$wait\"\n  done\n  return 1\n}}\n"
        )
    }

    pub(super) fn scripts(&self) -> Vec<(&'static str, String)> {
        let steps = self.steps();
        let (mut there, mut back) = (self.head("The changes"), self.head("Taking back the changes"));
        back.push_str("failed=0\n");
        let mut of_last = "";
        for (of, step) in &steps {
            if *of != of_last {
                there.push('\n');
                there.push_str(&comment(of));
                of_last = of;
            }
            there.push_str(&comment(&step.about));
            there.push_str(&format!("make {} || exit 1\n", shell(&step.effect.arguments())));
        }
        // What was never made cannot be taken back, and keeps nothing else.
        for (of, step) in steps.iter().rev() {
            back.push('\n');
            back.push_str(&comment(of));
            back.push_str(&format!("make {} || failed=$((failed + 1))\n", shell(&step.undo.arguments())));
        }
        back.push_str(
            "\nif [ \"$failed\" -gt 0 ]; then\n  echo \"$failed calls failed: look at each\" >&2\n  exit 1\nfi\n",
        );
        vec![("apply.sh", there), ("rollback.sh", back)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(shell(&own(&["iam", "x", "it's $HOME", ""])), r"aws iam x 'it'\''s $HOME' ''");
        assert_eq!(comment("a\nrm -rf /"), "# a rm -rf /\n");
    }
}
