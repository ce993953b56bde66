//! Subjects of OIDC tokens: which project, branch or workload a token is for, as its provider writes it, and how far to let
//! in others like those that came.
//!
//! Sources: GitHub Docs, "OpenID Connect reference" (example subject claims); GitLab Docs, "OpenID Connect (OIDC)
//! authentication using ID tokens" (`sub`); HCP Terraform documentation, "Workload identity tokens" (`sub`); CircleCI Docs,
//! "Using OpenID Connect tokens in jobs" (`sub`); Kubernetes documentation, "Managing Service Accounts" (bound tokens).

use std::collections::{BTreeMap, BTreeSet};

use super::resources::is_id;

/// Branches of one project that are named one by one; where more came, each has to be expected to be followed by others.
const BRANCHES: usize = 2;
/// Subjects in no form that is known, named one by one: where more came they may be as many as there are runs.
const UNKNOWN: usize = 10;

/// Digits from which a number is one of a run.
const RUN: usize = 5;

/// Subjects that came, and the pattern that lets them in again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kin {
    /// For `StringLike`.
    pub(super) pattern: String,
    /// Those that came and match it.
    pub(super) subjects: BTreeSet<String>,
    /// Why it is wider than they are; empty where it is not.
    pub(super) margin: String,
}

/// How a subject goes on after what names its project, and what others there are to be expected.
enum Form {
    /// It stands for itself.
    Exact,
    /// What follows is new every time.
    Each { fixed: usize, what: &'static str },
    /// A branch: a few stand for themselves.
    Branch { fixed: usize },
}

/// The length of a text up to the end of its nth part.
fn through(text: &str, separator: char, nth: usize) -> Option<usize> {
    text.match_indices(separator).nth(nth.checked_sub(1)?).map(|(at, _)| at + separator.len_utf8())
}

/// The form of a subject; none where nobody knows what may come next.
fn form(issuer: &str, subject: &str) -> Option<Form> {
    let host = issuer.split('/').next().unwrap_or(issuer);
    let github = host == "token.actions.githubusercontent.com" || issuer.ends_with("/_services/token");
    let each = |fixed, what| Some(Form::Each { fixed, what });
    if github && subject.starts_with("repo:") {
        let fixed = through(subject, ':', 2)?;
        let rest = subject.get(fixed..)?;
        if rest == "pull_request" || rest.starts_with("environment:") {
            return Some(Form::Exact);
        }
        // What else a repository may write there by a template of its own nobody knows.
        return of_ref(rest.strip_prefix("ref:")?, fixed + "ref:".len());
    }
    if subject.starts_with("project_path:") {
        // `project_path:GROUP/PROJECT:ref_type:TYPE:ref:NAME`.
        let fixed = through(subject, ':', 5)?;
        return match subject.split(':').nth(3)? {
            "branch" => Some(Form::Branch { fixed }),
            _ => each(fixed, "every tag is a new one"),
        };
    }
    if subject.starts_with("organization:") && subject.contains(":run_phase:") {
        let fixed = subject.find(":run_phase:")? + ":run_phase:".len();
        return each(fixed, "a run has several phases");
    }
    if subject.starts_with("org/") && subject.contains("/project/") {
        // `org/ORGANISATION/project/PROJECT/user/USER`.
        return each(through(subject, '/', 4)?, "whoever starts it");
    }
    subject.starts_with("system:serviceaccount:").then_some(Form::Exact)
}

/// The form of what names a git reference in full.
fn of_ref(reference: &str, before: usize) -> Option<Form> {
    let kinds = [
        ("refs/heads/gh-readonly-queue/", "every merge is a new one"),
        ("refs/heads/", ""),
        ("refs/tags/", "every tag is a new one"),
        ("refs/pull/", "every pull request is"),
    ];
    let (kind, what) = kinds.into_iter().find(|(kind, _)| reference.starts_with(kind))?;
    let fixed = before + kind.len();
    Some(if what.is_empty() { Form::Branch { fixed } } else { Form::Each { fixed, what } })
}

/// Whether subjects are names, and no patterns.
pub(super) fn are_names(subjects: &BTreeSet<String>) -> Result<(), String> {
    let odd = subjects.iter().find(|text| text.contains(['*', '?', '$']));
    odd.map_or(Ok(()), |odd| Err(format!("the subject `{odd}` would be a pattern")))
}

/// Whether a part of a subject in no form that is known may be another one the next time: an id, a commit, a number of a run.
fn may_change(subject: &str) -> bool {
    let parts = subject.split([':', '/', '@']).map(|part| part.trim_matches(['{', '}']));
    let number = |part: &str| part.len() >= RUN && part.bytes().all(|b| b.is_ascii_digit());
    parts.into_iter().any(|part| is_id(part) || number(part))
}

/// Patterns for the subjects that came by one provider, or why nobody can tell which others belong to them.
pub(super) fn kin(issuer: &str, subjects: &BTreeSet<String>) -> Result<Vec<Kin>, String> {
    are_names(subjects)?;
    let exact = |subject: &String| Kin {
        pattern: subject.clone(),
        subjects: BTreeSet::from([subject.clone()]),
        margin: String::new(),
    };
    let mut out = Vec::new();
    let mut alike: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    let mut unknown: Vec<Kin> = Vec::new();
    for subject in subjects {
        match form(issuer, subject) {
            Some(Form::Exact) => out.push(exact(subject)),
            Some(Form::Each { fixed, what }) => {
                alike.entry((subject.get(..fixed).unwrap_or(subject), what)).or_default().insert(subject.clone());
            }
            Some(Form::Branch { fixed }) => {
                alike.entry((subject.get(..fixed).unwrap_or(subject), "")).or_default().insert(subject.clone());
            }
            None => unknown.push(exact(subject)),
        }
    }
    if unknown.len() > UNKNOWN {
        return Err(format!(
            "{} subjects of {issuer} came, such as `{}`, in a form that is not known here",
            unknown.len(),
            unknown.first().map_or("", |one| one.pattern.as_str())
        ));
    }
    if let Some(one) = unknown.iter().find(|one| may_change(&one.pattern)) {
        return Err(format!("the subject `{}` of {issuer} may be another one the next time", one.pattern));
    }
    out.extend(unknown);
    for ((fixed, what), subjects) in alike {
        if what.is_empty() && subjects.len() <= BRANCHES {
            out.extend(subjects.iter().map(exact));
            continue;
        }
        let margin = if what.is_empty() { format!("{} branches came", subjects.len()) } else { what.to_owned() };
        out.push(Kin { pattern: format!("{fixed}*"), subjects, margin });
    }
    out.sort_by(|a, b| a.pattern.cmp(&b.pattern));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(issuer: &str, subjects: &[&str]) -> Vec<String> {
        let all = subjects.iter().map(|text| (*text).to_owned()).collect();
        kin(issuer, &all).unwrap().into_iter().map(|one| one.pattern).collect()
    }

    #[test]
    fn what_comes_next_is_let_in_as_far_as_it_is_the_same_project() {
        let github = "token.actions.githubusercontent.com";
        for (issuer, subjects, want) in [
            (github, &["repo:o/r:ref:refs/heads/main"][..], &["repo:o/r:ref:refs/heads/main"][..]),
            (
                github,
                &["repo:o/r:ref:refs/heads/a", "repo:o/r:ref:refs/heads/b/1", "repo:o/r:ref:refs/heads/b/2"],
                &["repo:o/r:ref:refs/heads/*"],
            ),
            // Two branches in each of two repositories are two in each.
            (
                github,
                &["repo:o/r:ref:refs/heads/a", "repo:o/r:ref:refs/heads/b", "repo:o/s:ref:refs/heads/c"],
                &["repo:o/r:ref:refs/heads/a", "repo:o/r:ref:refs/heads/b", "repo:o/s:ref:refs/heads/c"],
            ),
            (github, &["repo:o/r:ref:refs/tags/v1"], &["repo:o/r:ref:refs/tags/*"]),
            (github, &["repo:o/r:ref:refs/pull/7/merge"], &["repo:o/r:ref:refs/pull/*"]),
            (
                github,
                &["repo:o/r:environment:production", "repo:o/r:pull_request"],
                &["repo:o/r:environment:production", "repo:o/r:pull_request"],
            ),
            (
                github,
                &["repo:o/r:ref:refs/heads/gh-readonly-queue/main/pr-12-0123456789abcdef0123456789abcdef01234567"],
                &["repo:o/r:ref:refs/heads/gh-readonly-queue/*"],
            ),
            // An environment of whatever name is one.
            (github, &["repo:o/r:environment:ref:x"], &["repo:o/r:environment:ref:x"]),
            (
                "github.example.com/_services/token",
                &["repo:o@1/r@2:ref:refs/tags/v1"],
                &["repo:o@1/r@2:ref:refs/tags/*"],
            ),
            (
                "gitlab.example.com",
                &["project_path:g/s/p:ref_type:branch:ref:main", "project_path:g/s/p:ref_type:tag:ref:v1"],
                &["project_path:g/s/p:ref_type:branch:ref:main", "project_path:g/s/p:ref_type:tag:ref:*"],
            ),
            (
                "app.terraform.io",
                &["organization:o:project:p:workspace:w:run_phase:apply"],
                &["organization:o:project:p:workspace:w:run_phase:*"],
            ),
            ("oidc.circleci.com/org/1", &["org/1/project/2/user/3"], &["org/1/project/2/*"]),
            ("oidc.eks.eu-west-1.amazonaws.com/id/X", &["system:serviceaccount:n:a"], &["system:serviceaccount:n:a"]),
            ("idp.example.com", &["one", "two"], &["one", "two"]),
        ] {
            assert_eq!(patterns(issuer, subjects), want, "{issuer} {subjects:?}");
        }
    }

    #[test]
    fn nobody_guesses() {
        let many: BTreeSet<String> = (0..=UNKNOWN).map(|at| format!("job-{at}")).collect();
        assert!(kin("idp.example.com", &many).unwrap_err().contains("not known here"));
        assert!(kin("idp.example.com", &BTreeSet::from(["a*".to_owned()])).unwrap_err().contains("pattern"));
        // Forms that hold something new with each run.
        for (issuer, subject) in [
            (
                "api.bitbucket.org/2.0/workspaces/w/pipelines-config/identity/oidc",
                "{0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0}:{s}",
            ),
            (
                "agent.buildkite.com",
                "organization:o:pipeline:p:ref:refs/heads/main:commit:0123456789abcdef0123456789abcdef01234567:step:s",
            ),
            (
                "token.actions.githubusercontent.com",
                "repo:o/r:job_workflow_ref:o/w/.github/workflows/x.yml@0123456789abcdef0123",
            ),
            ("idp.example.com", "build/20261122"),
        ] {
            let found = kin(issuer, &BTreeSet::from([subject.to_owned()]));
            assert!(found.unwrap_err().contains("another one the next time"), "{subject}");
        }
    }
}
