//! AWS managed policies that would do: they allow all that is left of a principal's access, and less than it has today.

use std::sync::LazyLock;

use crate::catalog::{ActionSet, Catalog};
use crate::policy::compile::compile;
use crate::policy::{DocumentKind, Effect, PolicyDocument};

/// Made by `scripts/managed-policies.py`.
const DATA: &[u8] = include_bytes!("data/managed.tsv.zst");
/// Text of the table at most, in bytes: many times what it is.
const MAX_BYTES: usize = 16 << 20;

/// A managed policy, by what it allows on every resource without conditions.
#[derive(Debug)]
struct Managed {
    name: &'static str,
    path: &'static str,
    patterns: Vec<&'static str>,
}

static POLICIES: LazyLock<Vec<Managed>> = LazyLock::new(|| {
    let text = zstd::bulk::decompress(DATA, MAX_BYTES).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // It lives as long as the program.
    let text: &'static str = Box::leak(text.unwrap_or_default().into_boxed_str());
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let (name, path, patterns) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Managed { name, path, patterns: patterns.split(',').collect() })
        })
        .collect()
});

/// A policy that would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its ARN.
    pub arn: String,
    /// Services of which it allows something.
    pub services: u64,
    /// Actions that it allows.
    pub actions: u64,
    /// Of these, not needed.
    pub more: u64,
}

/// Policies that allow all of `keep` on every resource, nothing that is not in `granted`, and fewer actions than that;
/// those of the fewest services and actions first. `partition` is that of the principal's ARN.
///
/// Where `granted` holds on some resources only, a policy on every resource would allow more: the caller sees to it that
/// it does not.
#[must_use]
pub fn candidates(keep: &ActionSet, granted: &ActionSet, partition: &str, catalog: &Catalog) -> Vec<Candidate> {
    let services = services_of(keep, catalog);
    if services.is_empty() {
        return Vec::new();
    }
    let names = |policy: &&Managed| {
        let of = |service: &&str| {
            policy.patterns.iter().any(|pattern| {
                let prefix = pattern.split(':').next().unwrap_or_default();
                prefix.contains('*') || prefix.eq_ignore_ascii_case(service)
            })
        };
        services.iter().all(of)
    };
    let mut found: Vec<Candidate> = POLICIES
        .iter()
        .filter(names)
        .filter_map(|policy| {
            let mut set = catalog.no_actions();
            policy.patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
            let fits = keep.is_subset(&set) && set.is_subset(granted) && set.len() < granted.len();
            fits.then(|| Candidate {
                services: services_of(&set, catalog).len() as u64,
                arn: format!("arn:{partition}:iam::aws:policy{}{}", policy.path, policy.name),
                actions: set.len() as u64,
                more: (set.len() - keep.len()) as u64,
            })
        })
        .collect();
    found.sort_by(|a, b| (a.services, a.actions, &a.arn).cmp(&(b.services, b.actions, &b.arn)));
    found
}

/// Policies that would do in place of a document: for what is kept of it, where it allows that on every resource without
/// conditions and denies nothing. See [`candidates`].
#[must_use]
pub fn instead_of(json: &str, keep: &ActionSet, partition: &str, catalog: &Catalog) -> Vec<Candidate> {
    let Ok(document) = PolicyDocument::parse(json, DocumentKind::Identity) else { return Vec::new() };
    let (mut everywhere, mut left) = (catalog.no_actions(), catalog.no_actions());
    for statement in &document.statements {
        if statement.effect == Effect::Deny {
            return Vec::new();
        }
        let set = compile(&statement.actions, catalog).set;
        if statement.conditions.is_empty() && statement.resources.is_everything() {
            everywhere.union_with(&set);
        }
        left.union_with(&set);
    }
    left.intersect_with(keep);
    candidates(&left, &everywhere, partition, catalog)
}

fn services_of<'c>(set: &ActionSet, catalog: &'c Catalog) -> Vec<&'c str> {
    let ranges = catalog.service_ranges().filter(|(_, range)| set.count_range(range.clone()) > 0);
    ranges.map(|(prefix, _)| prefix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_policy_that_would_do() {
        let catalog = Catalog::get();
        assert!(POLICIES.len() > 800, "{}", POLICIES.len());
        let set = |patterns: &[&str]| {
            let mut set = catalog.no_actions();
            patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
            set
        };
        let all = catalog.all_actions();
        let found = candidates(&set(&["s3:GetObject", "s3:ListBucket"]), &all, "aws", catalog);
        assert_eq!(found.first().map(|one| one.arn.as_str()), Some("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"));
        let one = &found[0];
        assert!(one.actions < set(&["s3:*"]).len() as u64 && one.more == one.actions - 2, "{one:?}");
        // Never more than there is today, and never the same.
        let today = set(&["s3:Get*", "s3:ListBucket"]);
        for one in candidates(&set(&["s3:GetObject"]), &today, "aws-cn", catalog) {
            assert!(one.actions < today.len() as u64 && one.arn.starts_with("arn:aws-cn:"), "{one:?}");
        }
        assert!(candidates(&set(&["s3:GetObject"]), &set(&["s3:GetObject"]), "aws", catalog).is_empty());
        assert!(candidates(&catalog.no_actions(), &all, "aws", catalog).is_empty());
        // In place of a document: nothing where it binds what is left to resources or conditions.
        let document = |rest: &str| {
            format!(r#"{{"Statement":[{{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],{rest}}}]}}"#)
        };
        let keep = set(&["s3:GetObject", "iam:*"]);
        assert!(!instead_of(&document(r#""Resource":"*""#), &keep, "aws", catalog).is_empty());
        for rest in [
            r#""Resource":"arn:aws:s3:::b/*""#,
            r#""Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#,
        ] {
            assert!(instead_of(&document(rest), &keep, "aws", catalog).is_empty(), "{rest}");
        }
    }
}
