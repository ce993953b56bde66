//! Calls of the AWS CLI, and those that take them back.

use super::super::Step;
use super::super::effect::Effect;
use super::super::place::Place;
use super::super::set_effect::SetChange;
use super::Part;

/// A call as a shell takes it.
#[must_use]
pub fn shell(arguments: &[String]) -> String {
    let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
    format!("aws {}", words.join(" "))
}

/// A word as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=@,".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A comment of one line.
fn comment(text: &str) -> String {
    format!("# {}\n", text.replace(['\n', '\r'], " "))
}

/// A call of a script. The ARN of a permission set that the plan makes is looked up, and what goes on after it is answered is
/// waited for.
fn call(effect: &Effect) -> String {
    let Effect::Set(effect) = effect else { return shell(&effect.arguments()) };
    let words = effect.arguments();
    let set = quoted(&effect.set);
    if effect.set.starts_with("arn:") {
        return match effect.change {
            SetChange::ProvisionPermissionSet => format!("provision {} {set}", quoted(&effect.instance)),
            _ => shell(&words),
        };
    }
    if matches!(effect.change, SetChange::CreatePermissionSet { .. }) {
        return shell(&words);
    }
    // Looked up anew whenever it is tried.
    let flag = words.iter().position(|word| word == "--permission-set-arn");
    let is_set = |at: usize| flag.is_some_and(|flag| at == flag || at == flag + 1);
    let others = words.iter().enumerate().filter(|(at, _)| !is_set(*at));
    let words: Vec<String> = others.map(|(_, word)| quoted(word)).collect();
    format!("of_set {} {set} {}", quoted(&effect.instance), words.join(" "))
}

/// What the calls about permission sets use.
const SETS: &str = r#"
set_arn() {
  for arn in $(aws sso-admin list-permission-sets --instance-arn "$1" --query 'PermissionSets[]' --output text); do
    name=$(aws sso-admin describe-permission-set --instance-arn "$1" --permission-set-arn "$arn" \
      --query PermissionSet.Name --output text)
    if [ "$name" = "$2" ]; then
      echo "$arn"
      return 0
    fi
  done
  echo "no permission set is called $2" >&2
  return 1
}
of_set() {
  arn=$(set_arn "$1" "$2") || return 1
  shift 2
  aws "$@" --permission-set-arn "$arn"
}
provision() {
  request=$(aws sso-admin provision-permission-set --instance-arn "$1" --permission-set-arn "$2" \
    --target-type ALL_PROVISIONED_ACCOUNTS --query PermissionSetProvisioningStatus.RequestId --output text) || return 1
  while :; do
    status=$(aws sso-admin describe-permission-set-provisioning-status --instance-arn "$1" \
      --provision-permission-set-request-id "$request" --query PermissionSetProvisioningStatus.Status --output text) ||
      return 1
    case $status in
      SUCCEEDED) return 0 ;;
      IN_PROGRESS) sleep "$wait" ;;
      *) return 1 ;;
    esac
  done
}
"#;

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

    /// Whether a call would bring roles to a permission set before anything of it was changed, or taken back.
    fn is_idle(&self, steps: &[(&str, &Step)], at: usize, back: bool) -> bool {
        let place = |at: usize| steps.get(at).map(|(_, step)| step.effect.place());
        let Some(own) = place(at).filter(Place::follows) else { return false };
        let theirs = |at: usize| place(at).is_some_and(|other| other.set() == own.set() && !other.follows());
        let mut earlier = if back { at + 1..steps.len() } else { 0..at };
        !earlier.any(theirs)
    }

    pub(super) fn scripts(&self) -> Vec<(&'static str, String)> {
        let steps = self.steps();
        let (mut there, mut back) = (self.head("The changes"), self.head("Taking back the changes"));
        if steps.iter().any(|(_, step)| matches!(step.effect, Effect::Set(_))) {
            there.push_str(SETS);
            back.push_str(SETS);
        }
        back.push_str("failed=0\n");
        let mut of_last = "";
        for (at, (of, step)) in steps.iter().enumerate() {
            if self.is_idle(&steps, at, false) {
                continue;
            }
            if *of != of_last {
                there.push('\n');
                there.push_str(&comment(of));
                of_last = of;
            }
            there.push_str(&comment(&step.about));
            there.push_str(&format!("make {} || exit 1\n", call(&step.effect)));
        }
        // What was never made cannot be taken back, and keeps nothing else.
        for (at, (of, step)) in steps.iter().enumerate().rev() {
            if self.is_idle(&steps, at, true) {
                continue;
            }
            back.push('\n');
            back.push_str(&comment(of));
            back.push_str(&format!("make {} || failed=$((failed + 1))\n", call(&step.undo)));
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
