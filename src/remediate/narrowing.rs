//! The calls that leave a user or role with fewer actions, within what IAM takes.

use std::collections::BTreeSet;

use crate::catalog::{ActionSet, Catalog};
use crate::model::arn::AccountId;
use crate::policy::confine::{Confinement, confine};
use crate::policy::narrow::{Narrowed, narrow};

use super::aws_managed::AwsManaged;
use super::effect::Effect;
use super::fit::Unfit;
use super::found::{Found, Held, Stands};
use super::texts::short;
use super::{PATH, Step, quota};

/// Longest name of a managed policy. Source: "IAM and AWS STS quotas", IAM User Guide.
const POLICY_NAME: usize = 128;

/// The calls that leave a principal with fewer actions.
pub(super) struct Narrowing<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) found: &'a Found<'a>,
    pub(super) keep: &'a ActionSet,
    /// AWS's own policies, which may take the place of wider ones where they allow nothing of `never`.
    pub(super) managed: &'a AwsManaged,
    pub(super) never: &'a ActionSet,
    /// The resources to which some actions are confined.
    pub(super) to: &'a [Confinement],
}

/// What a principal's policies come to.
#[derive(Default)]
struct Sorted<'s> {
    /// Inline policies that change: name, before, after.
    inline: Vec<(&'s str, &'s str, Option<String>)>,
    /// Documents that get a managed policy of their own.
    moved: Vec<String>,
    detached: Vec<&'s str>,
    /// Managed policies of groups that are left, to be attached to the user.
    attached: Vec<&'s str>,
    /// AWS's own policies in place of wider ones.
    preferred: BTreeSet<&'s str>,
    groups: BTreeSet<&'s str>,
}

impl Narrowing<'_> {
    fn narrowed(&self, json: &str) -> Result<Narrowed, String> {
        let unreadable = |error| format!("a policy cannot be read: {error}");
        let mut out = narrow(json, self.keep, self.catalog).map_err(unreadable)?;
        if let Some(confined) = self.confined(out.json.as_deref())? {
            (out.json, out.changed) = (Some(confined), true);
        }
        Ok(out)
    }

    /// A document that allows some actions on fewer resources; none where that changes nothing.
    fn confined(&self, json: Option<&str>) -> Result<Option<String>, String> {
        let Some(json) = json.filter(|_| !self.to.is_empty()) else { return Ok(None) };
        confine(json, self.to, self.catalog).map_err(|error| format!("a policy cannot be read: {error}"))
    }

    /// One of AWS's own that does in place of a document; not of what is confined to some resources.
    fn preferred(&self, json: &str) -> Option<&str> {
        if !matches!(self.confined(Some(json)), Ok(None)) {
            return None;
        }
        self.managed.instead_of(json, self.keep, self.never, self.catalog)
    }

    fn sorted<'s>(&'s self, policies: &'s [Held<'s>]) -> Result<Sorted<'s>, String> {
        let mut out = Sorted::default();
        for held in policies {
            let (Stands::GroupInline(group) | Stands::GroupAttached(group, _)) = held.stands else { continue };
            if self.narrowed(held.json)?.changed {
                out.groups.insert(group);
            }
        }
        for held in policies {
            let narrowed = self.narrowed(held.json)?;
            match held.stands {
                Stands::Inline(name) if narrowed.changed => out.inline.push((name, held.json, narrowed.json)),
                Stands::Attached(arn) if narrowed.changed => {
                    out.detached.push(arn);
                    match self.preferred(held.json) {
                        Some(other) => drop(out.preferred.insert(other)),
                        None => out.moved.extend(narrowed.json),
                    }
                }
                Stands::GroupInline(group) if out.groups.contains(group) => out.moved.extend(narrowed.json),
                Stands::GroupAttached(group, arn) if out.groups.contains(group) => {
                    match self.preferred(held.json).filter(|_| narrowed.changed) {
                        Some(other) => drop(out.preferred.insert(other)),
                        None if narrowed.changed => out.moved.extend(narrowed.json),
                        None => out.attached.push(arn),
                    }
                }
                _ => {}
            }
        }
        // What it has by another way already.
        out.attached.sort_unstable();
        out.attached.dedup();
        let own = |arn: &&str| self.found.holder.attached.iter().any(|one| one.arn == **arn);
        out.attached.retain(|arn| !own(arn));
        let attached: BTreeSet<&str> = out.attached.iter().copied().collect();
        out.preferred.retain(|arn| !own(arn) && !attached.contains(arn));
        Ok(out)
    }

    /// The calls, in order: what is new comes before what is old goes. Or why it cannot be done.
    pub(super) fn steps(&self, policies: &[Held<'_>]) -> Result<Vec<Step>, Unfit> {
        let Sorted { mut inline, mut moved, detached, attached, preferred, groups } = self.sorted(policies)?;
        let user = self.found.groups.is_some();
        let limit = if user { quota::USER_INLINE } else { quota::ROLE_INLINE };
        let changed: BTreeSet<&str> = inline.iter().map(|(name, ..)| *name).collect();
        let others = self.found.holder.inline.iter().filter(|one| !changed.contains(one.name.as_str()));
        let mut total: usize = others.map(|one| quota::size(&one.json)).sum();
        total += inline.iter().filter_map(|(_, _, after)| after.as_deref()).map(quota::size).sum::<usize>();
        // Names take more room than a wildcard: what does not fit becomes a managed policy.
        for (_, _, after) in inline.iter_mut().rev() {
            if total > limit
                && let Some(document) = after.take()
            {
                total -= quota::size(&document);
                moved.push(document);
            }
        }
        let mut steps = Vec::new();
        let mut documents = Vec::new();
        for document in moved {
            let long = quota::size(&document);
            let parts = quota::split(&document, quota::MANAGED);
            documents.extend(parts.ok_or_else(|| Unfit::Long {
                why: format!("a policy of {long} characters cannot be cut to fit"),
                excess: long.saturating_sub(quota::MANAGED),
            })?);
        }
        let most = self.found.holder.attached.len() + attached.len() + preferred.len() + documents.len();
        if most > quota::ATTACHED {
            let why = format!("it would have {most} managed policies for a while; {} are allowed", quota::ATTACHED);
            // Every policy less is so much less text, as long as more than one is new.
            let room = quota::ATTACHED.saturating_sub(most - documents.len());
            let total: usize = documents.iter().map(|document| quota::size(document)).sum();
            return Err(match room {
                0 => Unfit::Other(why),
                room => Unfit::Long { why, excess: total.saturating_sub(room * quota::MANAGED).max(1) },
            });
        }
        for (at, document) in documents.into_iter().enumerate() {
            self.moved(at + 1, document, &mut steps);
        }
        for arn in attached {
            steps.push(self.attach(arn, "as it had it by a group"));
        }
        for arn in preferred {
            steps.push(self.attach(arn, "AWS's own, which allows what stays of another one and only shows more"));
        }
        // What gets shorter goes first: inline policies are counted together at every moment.
        let grows = |before: &str, after: Option<&str>| (after.map_or(0, quota::size), quota::size(before));
        inline.sort_by_key(|(_, before, after)| {
            let (after, before) = grows(before, after.as_deref());
            i64::try_from(after).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(0)
        });
        for (name, before, after) in inline {
            steps.push(self.inline(name, before, after));
        }
        for arn in detached {
            let Step { effect, undo, .. } = self.attach(arn, "");
            let about = "what stays of it stands in policies of its own".to_owned();
            steps.push(Step { about, effect: undo, undo: effect });
        }
        let user = self.found.holder.name.as_str();
        steps.extend(groups.into_iter().map(|group| Step {
            about: "what stays of it stands in policies of its own".to_owned(),
            effect: Effect::RemoveUserFromGroup { user: user.to_owned(), group: group.to_owned() },
            undo: Effect::AddUserToGroup { user: user.to_owned(), group: group.to_owned() },
        }));
        Ok(steps)
    }

    /// A managed policy of its own, attached.
    fn moved(&self, number: usize, document: String, steps: &mut Vec<Step>) {
        let (holder, account): (_, AccountId) = (self.found.holder, self.found.iam.account);
        let kind = if self.found.groups.is_some() { "user" } else { "role" };
        let digest: String = blake3::hash(document.as_bytes()).to_hex().chars().take(8).collect();
        let end = format!("-{kind}-{number}-{digest}");
        let name = format!("{}{end}", short(&holder.name, POLICY_NAME - end.len()));
        let policy = format!("arn:{}:iam::{account}:policy{PATH}{name}", holder.arn.partition());
        steps.push(Step {
            about: "what stays, narrowed".to_owned(),
            effect: Effect::CreatePolicy { policy: policy.clone(), document },
            undo: Effect::DeletePolicy { policy: policy.clone() },
        });
        steps.push(self.attach(&policy, "what stays, narrowed"));
    }

    fn attach(&self, arn: &str, about: &str) -> Step {
        let (name, policy) = (self.found.holder.name.clone(), arn.to_owned());
        let about = about.to_owned();
        if self.found.groups.is_some() {
            let effect = Effect::AttachUserPolicy { user: name.clone(), policy: policy.clone() };
            Step { about, effect, undo: Effect::DetachUserPolicy { user: name, policy } }
        } else {
            let effect = Effect::AttachRolePolicy { role: name.clone(), policy: policy.clone() };
            Step { about, effect, undo: Effect::DetachRolePolicy { role: name, policy } }
        }
    }

    fn inline(&self, policy: &str, before: &str, after: Option<String>) -> Step {
        let (name, policy) = (self.found.holder.name.clone(), policy.to_owned());
        let put = |document: String| match self.found.groups {
            Some(_) => Effect::PutUserPolicy { user: name.clone(), policy: policy.clone(), document },
            None => Effect::PutRolePolicy { role: name.clone(), policy: policy.clone(), document },
        };
        let undo = put(before.to_owned());
        match after {
            Some(document) => Step { about: "narrowed to what stays".to_owned(), effect: put(document), undo },
            None => {
                let effect = match self.found.groups {
                    Some(_) => Effect::DeleteUserPolicy { user: name, policy },
                    None => Effect::DeleteRolePolicy { role: name, policy },
                };
                Step { about: "nothing of it stays here".to_owned(), effect, undo }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::entitlements::entitlements;
    use crate::model::snapshot::{
        AccountIam, Attachment, Group, Holder, ManagedPolicy, NamedDocument, Role, Snapshot, User,
    };
    use crate::model::time::Timestamp;

    const ACCOUNT: &str = "111122223333";

    fn statement() -> impl Strategy<Value = Value> {
        let actions = prop::sample::select(vec![
            json!({"Action": "*"}),
            json!({"Action": "s3:*"}),
            json!({"Action": ["s3:Get*", "s3:List*", "nosuch:Thing"]}),
            json!({"Action": ["EC2:describe*", "ec2:StartInstances"]}),
            json!({"Action": "dynamodb:?etItem"}),
            json!({"NotAction": ["iam:*", "organizations:*"]}),
            json!({"NotAction": "s3:*"}),
            json!({"Action": ["iam:PassRole", "iam:CreateUser"]}),
        ]);
        let resources = prop::sample::select(vec![
            json!({"Resource": "*"}),
            json!({"Resource": ["arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home"]}),
            json!({"NotResource": "arn:aws:s3:::secret/*"}),
        ]);
        let condition = prop::sample::select(vec![
            json!({}),
            json!({"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}),
            json!({"Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-west-2"]}}}),
        ]);
        (prop::bool::weighted(0.8), actions, resources, condition).prop_map(|(allow, actions, resources, condition)| {
            let mut out = json!({"Effect": if allow { "Allow" } else { "Deny" }});
            let fields = out.as_object_mut().unwrap();
            for part in [actions, resources, condition] {
                fields.extend(part.as_object().unwrap().clone());
            }
            out
        })
    }

    fn document() -> impl Strategy<Value = String> {
        (prop::collection::vec(statement(), 1..4), any::<bool>()).prop_map(|(statements, pretty)| {
            let value = json!({"Version": "2012-10-17", "Statement": statements});
            if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
        })
    }

    fn keep() -> impl Strategy<Value = ActionSet> {
        let patterns =
            vec!["s3:GetObject", "s3:List*", "ec2:*", "dynamodb:GetItem", "iam:PassRole", "kms:*", "s3:*", "*"];
        prop::collection::vec(prop::sample::select(patterns), 0..4).prop_map(|patterns| {
            let catalog = Catalog::get();
            let mut set = catalog.no_actions();
            patterns.iter().for_each(|pattern| set.union_with(&catalog.actions_matching(pattern)));
            set
        })
    }

    fn arn(name: &str) -> String {
        format!("arn:aws:iam::{ACCOUNT}:{name}")
    }

    /// Inline policies, attached ones, and those of two groups.
    type Policies = (Vec<String>, Vec<String>, Vec<String>, Vec<String>);

    fn state((inline, attached, one, two): &Policies, user: bool) -> AccountIam {
        let named = |from: &str, all: &[String]| {
            let name = |(at, json): (usize, &String)| NamedDocument { name: format!("{from}{at}"), json: json.clone() };
            all.iter().enumerate().map(name).collect::<Vec<_>>()
        };
        let policies = attached.iter().chain(two).enumerate().map(|(at, json)| ManagedPolicy {
            arn: arn(&format!("policy/m{at}")),
            name: format!("m{at}"),
            id: String::new(),
            version_created: None,
            version_id: "v1".into(),
            json: json.clone(),
        });
        let attach = |range: std::ops::Range<usize>| {
            range
                .map(|at| Attachment { name: format!("m{at}"), arn: arn(&format!("policy/m{at}")) })
                .collect::<Vec<_>>()
        };
        let holder = Holder {
            arn: arn(if user { "user/team/x" } else { "role/team/x" }).parse().unwrap(),
            name: "x".into(),
            path: "/team/".into(),
            id: "ID".into(),
            created: None,
            inline: named("own", inline),
            attached: attach(0..attached.len()),
            boundary: None,
            tags: BTreeMap::new(),
        };
        let group = |name: &str, inline: Vec<NamedDocument>, attached: Vec<Attachment>| Group {
            arn: arn(&format!("group/{name}")).parse().unwrap(),
            name: name.into(),
            inline,
            attached,
        };
        let mut iam = AccountIam {
            account: ACCOUNT.parse().unwrap(),
            captured_at: Timestamp::default(),
            users: Vec::new(),
            groups: vec![
                group("g1", named("g", one), attach(0..attached.len().min(1))),
                group("g2", Vec::new(), attach(attached.len()..attached.len() + two.len())),
            ],
            roles: Vec::new(),
            policies: policies.collect(),
        };
        if user {
            iam.users.push(User { holder, groups: vec!["g1".into(), "g2".into()] });
        } else {
            iam.roles.push(Role { holder, trust: "{}".into(), last_used: None, instance_profiles: Vec::new() });
        }
        iam
    }

    fn snapshot(iam: AccountIam) -> Snapshot {
        Snapshot { accounts: [(iam.account, iam)].into(), ..Snapshot::default() }
    }

    fn granted(snapshot: &Snapshot, of: &str) -> ActionSet {
        let all = entitlements(snapshot, Catalog::get());
        all.of(of).next().map(|one| one.granted.clone()).unwrap_or_default()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whatever the policies: what is kept is granted as before, nothing is granted anew, IAM takes every document, and
        /// taking it all back leaves what there was.
        #[test]
        fn what_is_kept_stays_and_nothing_is_gained(
            policies in (
                prop::collection::vec(document(), 0..3),
                prop::collection::vec(document(), 0..3),
                prop::collection::vec(document(), 0..2),
                prop::collection::vec(document(), 0..2),
            ),
            user in any::<bool>(),
            keep in keep(),
        ) {
            let mut iam = state(&policies, user);
            let before = snapshot(iam.clone());
            let of = arn(if user { "user/team/x" } else { "role/team/x" });
            let found = Found::of(&before, &of).unwrap();
            let held = found.policies().unwrap();
            let catalog = Catalog::get();
            let (managed, never) = (AwsManaged::default(), catalog.no_actions());
            let narrowing = Narrowing { catalog, found: &found, keep: &keep, managed: &managed, never: &never, to: &[] };
            let Ok(steps) = narrowing.steps(&held) else { return Ok(()) };
            let mut undone = Vec::new();
            for step in &steps {
                let undo = step.effect.make(&mut iam).unwrap();
                prop_assert_eq!(&undo, &step.undo, "{:?}", step);
                undone.push(undo);
            }
            let after = snapshot(iam.clone());
            let (old, new) = (granted(&before, &of), granted(&after, &of));
            let mut gained = new.clone();
            gained.subtract(&old);
            prop_assert!(gained.is_empty(), "gained {} actions", gained.len());
            let mut kept = old.clone();
            kept.intersect_with(&keep);
            let mut lost = kept.clone();
            lost.subtract(&new);
            prop_assert!(lost.is_empty(), "lost {} actions", lost.len());
            let mut more = new;
            more.subtract(&keep);
            prop_assert!(more.is_empty(), "{} actions stay that should go", more.len());
            let now = Found::of(&after, &of).unwrap();
            prop_assert!(now.holder.attached.len() <= quota::ATTACHED);
            let documents = now.policies().unwrap();
            let own = documents.iter().filter(|one| matches!(one.stands, Stands::Attached(arn) if arn.contains(PATH)));
            for one in own {
                prop_assert!(quota::size(one.json) <= quota::MANAGED);
            }
            let inline: usize = now.holder.inline.iter().map(|one| quota::size(&one.json)).sum();
            let was: usize = found.holder.inline.iter().map(|one| quota::size(&one.json)).sum();
            let most = if user { quota::USER_INLINE } else { quota::ROLE_INLINE };
            prop_assert!(inline <= was.max(most));
            for undo in undone.iter().rev() {
                undo.make(&mut iam).unwrap();
            }
            prop_assert_eq!(&iam, &before.accounts[&iam.account]);
        }
    }

    #[test]
    fn ten_attached_policies_leave_no_room() {
        let one = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "*"}]});
        let iam = state(&(Vec::new(), vec![one.to_string(); 10], Vec::new(), Vec::new()), false);
        let before = snapshot(iam);
        let found = Found::of(&before, &arn("role/team/x")).unwrap();
        let keep = Catalog::get().actions_matching("s3:GetObject");
        let (managed, never) = (AwsManaged::default(), Catalog::get().no_actions());
        let catalog = Catalog::get();
        let narrowing = Narrowing { catalog, found: &found, keep: &keep, managed: &managed, never: &never, to: &[] };
        let Err(Unfit::Other(why)) = narrowing.steps(&found.policies().unwrap()) else { panic!() };
        assert!(why.contains("20 managed policies") && why.contains("10 are allowed"), "{why}");
    }
}
