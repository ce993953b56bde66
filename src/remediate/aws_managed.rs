//! AWS's own policies in place of wider ones: where one that is narrower covers all that stays, and beside it only shows what
//! there is, it is what a team would choose, and is kept up to date.
//!
//! Only policies of which the document was collected count: what they say is proved like everything else.

use std::collections::BTreeMap;

use crate::catalog::{ActionSet, Catalog};
use crate::model::snapshot::Snapshot;
use crate::policy::compile::compile;
use crate::policy::{ActionMatch, ActionPattern, DocumentKind, Effect, PolicyDocument, Statement, Wild};

/// AWS's own policies that allow actions on everything without conditions, and do nothing else.
#[derive(Debug, Default)]
pub(super) struct AwsManaged {
    all: BTreeMap<String, (Vec<ActionPattern>, ActionSet)>,
}

/// Whether an ARN is that of one of AWS's own policies.
pub(super) fn is_of_aws(arn: &str) -> bool {
    arn.split(':').nth(4) == Some("aws")
}

/// The patterns of statements that allow on everything, without conditions; and the others.
fn plain(document: &PolicyDocument) -> (Vec<ActionPattern>, Vec<&Statement>) {
    let (mut patterns, mut others) = (Vec::new(), Vec::new());
    for statement in &document.statements {
        match &statement.actions {
            ActionMatch::Action(all)
                if statement.effect == Effect::Allow
                    && statement.conditions.is_empty()
                    && statement.resources.is_everything() =>
            {
                patterns.extend(all.iter().cloned());
            }
            _ => others.push(statement),
        }
    }
    (patterns, others)
}

fn set_of(patterns: &[ActionPattern], catalog: &Catalog) -> ActionSet {
    (*compile(&ActionMatch::Action(patterns.to_vec()), catalog).set).clone()
}

impl AwsManaged {
    /// Those of a state.
    pub(super) fn of(state: &Snapshot, catalog: &Catalog) -> Self {
        let mut all = BTreeMap::new();
        // AWS changes them: the newest counts.
        let mut accounts: Vec<_> = state.accounts.values().collect();
        accounts.sort_by_key(|iam| std::cmp::Reverse(iam.captured_at));
        for policy in accounts.into_iter().flat_map(|iam| &iam.policies) {
            // What is for service-linked roles cannot be attached to others.
            if !is_of_aws(&policy.arn) || policy.arn.contains("/aws-service-role/") || all.contains_key(&policy.arn) {
                continue;
            }
            let Ok(document) = PolicyDocument::parse(&policy.json, DocumentKind::Identity) else { continue };
            if let (patterns, []) = (plain(&document).0, plain(&document).1.as_slice()) {
                let set = set_of(&patterns, catalog);
                all.insert(policy.arn.clone(), (patterns, set));
            }
        }
        Self { all }
    }

    /// The actions of one.
    pub(super) fn actions(&self, arn: &str) -> Option<&ActionSet> {
        self.all.get(arn).map(|(_, set)| set)
    }

    /// The smallest that allows all that is kept of a document, and nothing of `never`, where the document allows more on
    /// everything. None where the document denies, or what is kept of it is bound to resources or conditions.
    pub(super) fn instead_of(
        &self,
        json: &str,
        keep: &ActionSet,
        never: &ActionSet,
        catalog: &Catalog,
    ) -> Option<&str> {
        let document = PolicyDocument::parse(json, DocumentKind::Identity).ok()?;
        let (patterns, others) = plain(&document);
        let wide = set_of(&patterns, catalog);
        let mut left = wide.clone();
        // What the catalogue does not know may be needed.
        if !compile(&ActionMatch::Action(patterns.clone()), catalog).unmatched.is_empty() {
            return None;
        }
        for statement in others {
            let compiled = compile(&statement.actions, catalog);
            if statement.effect == Effect::Allow && !compiled.unmatched.is_empty() {
                return None;
            }
            let set = compiled.set;
            if statement.effect == Effect::Deny {
                return None;
            }
            left.union_with(&set);
        }
        left.intersect_with(keep);
        let parse = |pattern: &ActionPattern| Wild::parse(&pattern.as_str().to_ascii_lowercase(), false);
        // Also of actions that the catalogue does not know.
        let within =
            |own: &[ActionPattern]| own.iter().all(|one| patterns.iter().any(|wide| parse(wide).covers(&parse(one))));
        let fits = |(_, (own, set)): &(&String, &(Vec<ActionPattern>, ActionSet))| {
            let mut more = set.clone();
            more.intersect_with(never);
            left.is_subset(set) && more.is_empty() && set.len() < wide.len() && within(own)
        };
        if left.is_empty() {
            return None;
        }
        self.all
            .iter()
            .filter(fits)
            .min_by_key(|(arn, (_, set))| (set.len(), arn.as_str()))
            .map(|(arn, _)| arn.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{AccountIam, ManagedPolicy};
    use crate::model::time::Timestamp;

    fn state(policies: &[(&str, &str)]) -> Snapshot {
        let policy = |(name, json): &(&str, &str)| ManagedPolicy {
            arn: format!("arn:aws:iam::aws:policy/{name}"),
            name: (*name).to_owned(),
            id: String::new(),
            version_created: None,
            version_id: "v1".to_owned(),
            json: (*json).to_owned(),
        };
        let iam = AccountIam {
            account: "111122223333".parse().unwrap(),
            captured_at: Timestamp::default(),
            users: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            policies: policies.iter().map(policy).collect(),
        };
        Snapshot { accounts: [(iam.account, iam)].into(), ..Snapshot::default() }
    }

    #[test]
    fn what_covers_the_use_and_nothing_that_should_go() {
        let catalog = Catalog::get();
        let allow = |actions: &str, rest: &str| {
            format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},{rest}}}]}}"#)
        };
        let everywhere = r#""Resource":"*""#;
        let reading = allow(r#"["s3:Get*","s3:List*"]"#, everywhere);
        let bound = allow(r#""s3:*""#, r#""Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#);
        let state = state(&[
            ("Reading", &reading),
            ("Bound", &bound),
            ("All", &allow(r#""s3:*""#, everywhere)),
            ("More", &allow(r#"["s3:Get*","s3:List*","ec2:Describe*"]"#, everywhere)),
        ]);
        let known = AwsManaged::of(&state, catalog);
        let set = |patterns: &[&str]| {
            let mut set = catalog.no_actions();
            patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
            set
        };
        let keep = set(&["s3:GetObject", "s3:ListBucket"]);
        let ask = |json: &str, keep: &ActionSet, never: &[&str]| {
            known.instead_of(json, keep, &set(never), catalog).and_then(|arn| arn.rsplit('/').next()).map(str::to_owned)
        };
        let wide = allow(r#"["s3:*","ec2:*"]"#, everywhere);
        assert_eq!(ask(&wide, &keep, &["s3:Put*"]).as_deref(), Some("Reading"));
        // Something that should go would stay, or something that stays would go.
        assert_eq!(ask(&wide, &keep, &["s3:GetObjectAcl"]), None);
        assert_eq!(ask(&wide, &set(&["s3:GetObject", "ec2:DescribeInstances"]), &[]).as_deref(), Some("More"));
        assert_eq!(ask(&wide, &set(&["sqs:*"]), &[]), None);
        // The document does not allow all of it, or on some things only, or denies, or names no wider pattern.
        assert_eq!(ask(&allow(r#"["s3:GetObject","s3:PutObject"]"#, everywhere), &keep, &[]), None);
        assert_eq!(ask(&allow(r#""s3:*""#, r#""Resource":"arn:aws:s3:::b/*""#), &keep, &[]), None);
        assert_eq!(ask(&bound, &keep, &[]), None);
        let denies = wide.replace("]}", r#",{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}"#);
        assert_eq!(ask(&denies, &keep, &[]), None);
        assert_eq!(ask(&allow(r#"["s3:*","ec2:*","nosuchservice:Do"]"#, everywhere), &keep, &[]), None);
        assert!(is_of_aws("arn:aws-cn:iam::aws:policy/x") && !is_of_aws("arn:aws:iam::111122223333:policy/x"));
    }
}
