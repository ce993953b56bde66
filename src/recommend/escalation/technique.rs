//! Known techniques of privilege escalation, as data.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::Catalog;

const DATA: &str = include_str!("../data/escalations.toml");

/// What a technique leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gives {
    /// The caller's own policies become what it wants.
    SelfAdmin,
    /// It becomes the user.
    TargetUser,
    /// It acts as the role.
    TargetRole,
    /// It becomes the role, with policies of its choosing.
    TargetAdminRole,
    /// It holds the policies of the group.
    TargetGroup,
    /// Administrator of the account.
    AccountAdmin,
    /// It acts in member accounts, or changes what binds them.
    Organization,
}

/// On what a call must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// The caller itself.
    #[serde(rename = "self")]
    Itself,
    /// A customer managed policy that applies to the caller.
    OwnPolicy,
    /// The customer managed policy that is its boundary.
    OwnBoundary,
    /// A group that it is in.
    OwnGroup,
    /// The victim.
    TargetUser,
    /// The victim.
    TargetRole,
    /// The victim.
    TargetGroup,
    /// A customer managed policy that applies to the victim.
    TargetPolicy,
    /// Anything.
    Any,
}

/// Who can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Users.
    User,
    /// Roles.
    Role,
}

/// Calls that must be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// All of them.
    #[serde(default)]
    pub actions: Vec<String>,
    /// One of them.
    #[serde(default)]
    pub any_of: Vec<String>,
    /// On what.
    pub on: On,
    /// Condition keys that the call carries.
    #[serde(default)]
    pub context: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    title: String,
    gives: Gives,
    trusts: Option<OneOrMany>,
    caller: Option<By>,
    holds: Option<String>,
    steps: Vec<Step>,
    #[serde(default)]
    #[expect(dead_code, reason = "what makes it easier is told to people who read the file")]
    optional: Vec<Step>,
    why: String,
    source: String,
    #[expect(dead_code, reason = "told to people who read the file")]
    services: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "technique")]
    techniques: Vec<Raw>,
}

/// One way to more than one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Technique {
    /// Stable name.
    pub id: String,
    /// What the caller does.
    pub title: String,
    /// What it leads to.
    pub gives: Gives,
    /// Services of which the victim's trust policy must name one; none where that does not matter.
    pub trusts: Vec<String>,
    /// Who can do it; none: both.
    pub by: Option<By>,
    /// A kind of thing that must run with the victim already, which IAM does not tell.
    pub holds: Option<String>,
    /// What must be allowed.
    pub steps: Vec<Step>,
    /// How it works, and what limits it.
    pub why: String,
    /// Where that is documented.
    pub source: String,
}

impl Technique {
    /// Whether it takes the caller's own boundary away on its way.
    #[must_use]
    pub fn lifts_boundary(&self) -> bool {
        let boundary = |action: &String| action.ends_with("PermissionsBoundary");
        self.steps.iter().any(|step| {
            step.on == On::OwnBoundary
                || (step.on == On::Itself && step.actions.iter().chain(&step.any_of).any(boundary))
        })
    }

    /// Whether it is nothing but to assume a role.
    #[must_use]
    pub fn assumes(&self) -> bool {
        self.gives == Gives::TargetRole && self.actions().eq(["sts:AssumeRole"])
    }

    /// Every action of its steps.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flat_map(|step| step.actions.iter().chain(&step.any_of)).map(String::as_str)
    }
}

/// The techniques that come with the program. That they can be read is what a test asserts.
#[must_use]
pub fn known() -> Vec<Technique> {
    parse(DATA).unwrap_or_default()
}

/// Reads techniques; see the head of `data/escalations.toml` for the fields.
///
/// # Errors
/// Says what is wrong, with the technique's id where it has one.
pub fn parse(text: &str) -> Result<Vec<Technique>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    file.techniques.into_iter().map(technique).collect()
}

fn technique(raw: Raw) -> Result<Technique, String> {
    let catalog = Catalog::get();
    let wrong = |reason: String| format!("technique `{}`: {reason}", raw.id);
    if raw.steps.is_empty() {
        return Err(wrong("it has no steps".to_owned()));
    }
    for step in &raw.steps {
        if step.actions.is_empty() == step.any_of.is_empty() {
            return Err(wrong("a step has either `actions` or `any_of`".to_owned()));
        }
        if let Some(action) = step.actions.iter().chain(&step.any_of).find(|action| catalog.find(action).is_none()) {
            return Err(wrong(format!("there is no action `{action}`")));
        }
    }
    let trusts = match raw.trusts {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    };
    let Raw { id, title, gives, caller, holds, steps, why, source, .. } = raw;
    Ok(Technique { id, title, gives, trusts, by: caller, holds, steps, why, source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_techniques_are_whole() {
        let all = parse(DATA).unwrap();
        assert!(all.len() >= 160, "{}", all.len());
        let ids: BTreeSet<&str> = all.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids.len(), all.len());
        for one in &all {
            for text in [&one.title, &one.why, &one.source] {
                assert!(!text.is_empty(), "{}", one.id);
            }
            // Whoever passes a role passes it to somebody.
            for step in one.steps.iter().filter(|step| step.actions.iter().any(|action| action == "iam:PassRole")) {
                assert_eq!(step.on, On::TargetRole, "{}", one.id);
                assert!(step.context.contains_key("iam:PassedToService"), "{}", one.id);
            }
            let about = |on: On| one.steps.iter().any(|step| step.on == on);
            match one.gives {
                Gives::TargetUser => assert!(about(On::TargetUser), "{}", one.id),
                Gives::TargetGroup => assert!(about(On::TargetGroup), "{}", one.id),
                Gives::TargetRole | Gives::TargetAdminRole => {
                    assert!(about(On::TargetRole) || about(On::TargetPolicy) || !one.trusts.is_empty(), "{}", one.id);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let one = |steps: &str| {
            format!(
                "[[technique]]\nid=\"x\"\ntitle=\"t\"\ngives=\"self-admin\"\nsteps=[{steps}]\nwhy=\"w\"\nsource=\"s\"\nservices=[]"
            )
        };
        for (steps, said) in [
            ("", "it has no steps"),
            (r#"{ on = "self" }"#, "either `actions` or `any_of`"),
            (r#"{ actions = ["iam:Nothing"], on = "self" }"#, "no action `iam:Nothing`"),
            (r#"{ actions = ["iam:PassRole"], on = "moon" }"#, "unknown variant `moon`"),
        ] {
            let error = parse(&one(steps)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(parse(&one(r#"{ actions = ["iam:PutUserPolicy"], on = "self" }"#)).unwrap().len(), 1);
    }
}
