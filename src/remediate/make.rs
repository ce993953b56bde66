//! A plan from recommendations: for each principal what stays, the policies that say so, and the calls that lead there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::catalog::{ActionSet, Catalog};
use crate::compare::ActionVerdicts;
use crate::compare::assessment::{PrincipalFacts, PrincipalKind};
use crate::entitlements::PrincipalEntitlements;
use crate::model::arn::AccountId;
use crate::model::snapshot::{AccountIam, Holder, Snapshot};
use crate::policy::narrow::narrow;
use crate::recommend::{self, Advice, Recommendation, after};

use super::effect::{DEFAULT_SESSION, Effect};
use super::quota;
use super::{Change, FORM, Grant, Left, PATH, Plan, Reason, Step};

/// All that a plan is made from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// What the recommendations rest on.
    pub recommend: &'a recommend::Inputs<'a>,
    /// All recommendations: what was not chosen stays.
    pub all: &'a [Recommendation],
    /// Ids of those that were chosen.
    pub chosen: &'a BTreeSet<&'a str>,
    /// The verdicts on the actions of their principals.
    pub verdicts: &'a [ActionVerdicts],
    /// Also change what CloudFormation or Terraform manage, which would change it back.
    pub managed_by_code: bool,
}

/// Makes a plan.
#[must_use]
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let assessment = inputs.recommend.assessment;
    let mut made = Plan {
        form: FORM,
        hash: String::new(),
        as_of: assessment.as_of,
        generation: assessment.generation,
        snapshot: assessment.snapshot.clone(),
        catalogue: assessment.catalogue.clone(),
        grants: Vec::new(),
        changes: Vec::new(),
        left: Vec::new(),
    };
    let mut by_principal: BTreeMap<&str, Vec<&Recommendation>> = BTreeMap::new();
    for row in inputs.all {
        by_principal.entry(&row.principal).or_default().push(row);
    }
    for (arn, rows) in by_principal {
        let asks = |row: &&&Recommendation| {
            let changes = matches!(row.advice, Advice::Remove | Advice::ConvertToJit | Advice::Shrink);
            changes && inputs.chosen.contains(row.id.as_str())
        };
        let chosen: Vec<&Recommendation> = rows.iter().filter(asks).copied().collect();
        if chosen.is_empty() {
            continue;
        }
        match (Subject { inputs, arn, rows: &rows, chosen: &chosen }).planned() {
            Ok((change, grants, left)) => {
                made.changes.extend(change);
                made.grants.extend(grants);
                made.left.extend(left);
            }
            Err(why) => made.left.push(left(arn, &chosen, why)),
        }
    }
    made.left.sort();
    made.hash = made.hashed();
    made
}

fn left(arn: &str, rows: &[&Recommendation], why: String) -> Left {
    Left { principal: arn.to_owned(), ids: rows.iter().map(|row| row.id.clone()).collect(), why }
}

fn reason(row: &Recommendation) -> Reason {
    Reason {
        id: row.id.clone(),
        advice: row.advice.as_str().to_owned(),
        capability: row.capability.clone(),
        person: row.person.clone(),
        why: row.why.clone(),
    }
}

/// What a plan does about a principal: what changes, the roles for what is asked for, and what stays all the same.
type Planned = (Option<Change>, Vec<Grant>, Vec<Left>);

/// A principal of which something was chosen.
struct Subject<'a> {
    inputs: &'a Inputs<'a>,
    arn: &'a str,
    rows: &'a [&'a Recommendation],
    chosen: &'a [&'a Recommendation],
}

/// Where a policy of a principal stands.
enum Stands<'s> {
    Inline(&'s str),
    Attached(&'s str),
    GroupInline(&'s str),
    GroupAttached(&'s str, &'s str),
}

/// A policy of a principal: where it stands, and what it says.
pub(super) struct Held<'s> {
    stands: Stands<'s>,
    pub(super) json: &'s str,
}

/// A user or role of a snapshot.
pub(super) struct Found<'s> {
    iam: &'s AccountIam,
    holder: &'s Holder,
    /// The groups of a user; none of a role.
    groups: Option<&'s [String]>,
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

/// Who manages a principal in code, as its tags say it.
fn code_of(holder: &Holder) -> Option<String> {
    holder.tags.iter().find_map(|(key, value)| {
        let lower = key.to_ascii_lowercase();
        let terraform = lower.contains("terraform") || value.eq_ignore_ascii_case("terraform");
        match lower.as_str() {
            "aws:cloudformation:stack-name" => Some(format!("CloudFormation (stack {value})")),
            _ if terraform => Some(format!("Terraform (tag {key})")),
            _ => None,
        }
    })
}

impl Subject<'_> {
    fn catalog(&self) -> &Catalog {
        self.inputs.recommend.catalog
    }

    /// What changes of it, or why nothing does.
    fn planned(&self) -> Result<Planned, String> {
        let facts = self.inputs.recommend.assessment.principals.iter().find(|one| one.arn == self.arn);
        let facts = facts.ok_or("it is not in the snapshot")?;
        let found = Found::of(self.inputs.recommend.snapshot, self.arn).ok_or("it is not in the snapshot")?;
        self.may_change(facts, &found)?;
        let granted = self.inputs.recommend.entitlements.of(self.arn).find(|one| one.id == facts.id);
        let granted = granted.ok_or("what it is granted is not known")?;
        let verdicts = self.inputs.verdicts.iter().find(|one| one.arn == self.arn && one.id == facts.id);
        let verdicts = verdicts.ok_or("what it used is not known")?;
        let keep = self.keep(granted, verdicts);
        let policies = found.policies()?;
        let (grants, mut left) = self.grants(&found, &policies, granted, &keep)?;
        let steps = Narrowing { catalog: self.catalog(), found: &found, keep: &keep }.steps(&policies)?;
        let mut gone = granted.granted.clone();
        gone.subtract(&keep);
        if steps.is_empty() {
            left.push(self::left(self.arn, self.chosen, "others hold the same through it, and keep it".to_owned()));
            return Ok((None, Vec::new(), left));
        }
        let change = Change {
            principal: self.arn.to_owned(),
            id: facts.id.clone(),
            account: facts.account,
            reasons: self.chosen.iter().map(|row| reason(row)).collect(),
            granted: granted.granted.len() as u64,
            removed: gone.len() as u64,
            steps,
        };
        Ok((Some(change), grants, left))
    }

    fn may_change(&self, facts: &PrincipalFacts, found: &Found<'_>) -> Result<(), String> {
        if facts.break_glass {
            return Err("break-glass: there to be when all else fails".to_owned());
        }
        match facts.kind {
            PrincipalKind::ServiceLinkedRole => return Err("a service made it for itself".to_owned()),
            PrincipalKind::IdentityCenterRole => {
                return Err("Identity Center makes it from a permission set, which is what has to change".to_owned());
            }
            PrincipalKind::Root => return Err("no policy of the account binds root".to_owned()),
            PrincipalKind::User | PrincipalKind::Role => {}
        }
        if found.holder.path.starts_with("/aws-reserved/") {
            return Err("an AWS service manages it".to_owned());
        }
        if let Some(code) = code_of(found.holder).filter(|_| !self.inputs.managed_by_code) {
            return Err(format!("{code} manages it, and would change it back: change it there"));
        }
        Ok(())
    }

    /// The actions that stay: of every holder what is not taken, and what nobody could tell.
    fn keep(&self, granted: &PrincipalEntitlements, verdicts: &ActionVerdicts) -> ActionSet {
        let catalog = self.catalog();
        let mut keep = granted.undecided.clone();
        for row in self.rows {
            // Another role lets this principal in by its trust policy: it would not let in a role that takes its place.
            if row.advice == Advice::ConvertToJit {
                let mut entering = after::actions_of(row, &granted.granted, catalog);
                entering.intersect_with(&catalog.actions_matching(ENTERING));
                keep.union_with(&entering);
            }
            let stays = if self.chosen.iter().any(|one| std::ptr::eq(*one, *row)) {
                after::standing([*row], &granted.granted, verdicts, false, catalog)
            } else {
                after::actions_of(row, &granted.granted, catalog)
            };
            keep.union_with(&stays);
        }
        keep
    }

    /// Roles for what is asked for from now on.
    fn grants(
        &self,
        found: &Found<'_>,
        policies: &[Held<'_>],
        granted: &PrincipalEntitlements,
        keep: &ActionSet,
    ) -> Result<(Vec<Grant>, Vec<Left>), String> {
        let mut by_capability: BTreeMap<(&str, &[String]), Vec<&Recommendation>> = BTreeMap::new();
        for row in self.chosen.iter().filter(|row| row.advice == Advice::ConvertToJit) {
            by_capability.entry((row.class.as_str(), row.services.as_slice())).or_default().push(row);
        }
        let (mut out, mut stays) = (Vec::new(), Vec::new());
        for rows in by_capability.into_values() {
            let Some(first) = rows.first() else { continue };
            let mut actions = after::actions_of(first, &granted.granted, self.catalog());
            actions.subtract(keep);
            if actions.is_empty() {
                let why =
                    "somebody else keeps it through the same principal, or it is becoming a role that lets in this one";
                stays.push(left(self.arn, &rows, why.to_owned()));
                continue;
            }
            out.push(self.grant(found, policies, &rows, &actions)?);
        }
        Ok((out, stays))
    }

    fn grant(
        &self,
        found: &Found<'_>,
        policies: &[Held<'_>],
        rows: &[&Recommendation],
        actions: &ActionSet,
    ) -> Result<Grant, String> {
        let first = rows.first().ok_or("nothing was chosen")?;
        let (holder, account) = (found.holder, found.iam.account);
        let people: BTreeSet<&str> = rows.iter().map(|row| row.person.as_str()).collect();
        if people.contains("") {
            return Err("nobody is known who would ask for it".to_owned());
        }
        let digits: String = first.id.chars().take(8).collect();
        let name = format!("jit-{}-{digits}", short(&holder.name, NAME - "jit--".len() - digits.len()));
        let role = format!("arn:{}:iam::{account}:role{PATH}{name}", holder.arn.partition());
        let tags = BTreeMap::from([
            ("jitscan:capability".to_owned(), tag(&first.capability)),
            ("jitscan:principal".to_owned(), tag(self.arn)),
        ]);
        let trust = self.trust(found, &people);
        let boundary = holder.boundary.clone();
        let create = Effect::CreateRole {
            role: role.clone(),
            trust,
            boundary,
            max_session_seconds: seconds(rows.iter().map(|row| row.friction.grant_minutes).max().unwrap_or(0)),
            tags,
        };
        let about = format!("a role for \"{}\", closed until a grant opens it", first.capability);
        let mut steps = vec![Step { about, effect: create, undo: Effect::DeleteRole { role: role.clone() } }];
        for (at, document) in self.of_grant(policies, actions)?.into_iter().enumerate() {
            let policy = format!("access-{}", at + 1);
            steps.push(Step {
                about: "the statements that gave it, narrowed to it".to_owned(),
                effect: Effect::PutRolePolicy { role: name.clone(), policy: policy.clone(), document },
                undo: Effect::DeleteRolePolicy { role: name.clone(), policy },
            });
        }
        Ok(Grant {
            role,
            account,
            principal: self.arn.to_owned(),
            id: holder.id.clone(),
            people: people.into_iter().map(str::to_owned).collect(),
            minutes: rows.iter().map(|row| row.friction.grant_minutes).max().unwrap_or(0),
            reasons: rows.iter().map(|row| reason(row)).collect(),
            steps,
        })
    }

    /// The documents of a role for a capability: what gave it, and everything that denies.
    fn of_grant(&self, policies: &[Held<'_>], actions: &ActionSet) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        for held in policies {
            let narrowed = narrow(held.json, actions, self.catalog()).map_err(|error| error.to_string())?;
            out.extend(narrowed.json.filter(|json| narrowed.after > 0 || denies(json)).map(|json| compact(&json)));
        }
        let total: usize = out.iter().map(|json| quota::size(json)).sum();
        if total > quota::ROLE_INLINE {
            return Err(format!("its policies would have {total} characters; a role takes {}", quota::ROLE_INLINE));
        }
        Ok(out)
    }

    /// Who may assume a role for a capability: those who hold it now, and not before a grant opens it.
    fn trust(&self, found: &Found<'_>, people: &BTreeSet<&str>) -> String {
        let mut condition = json!({
            "DateLessThan": {"aws:CurrentTime": CLOSED},
            "StringEquals": {"sts:SourceIdentity": people},
        });
        let reports = &self.inputs.recommend.snapshot.credential_reports;
        let report = reports.get(&found.iam.account).into_iter().flat_map(|report| &report.rows);
        let mfa = found.groups.is_some() && report.into_iter().any(|row| row.mfa && row.arn == found.holder.arn);
        if let Some(fields) = condition.as_object_mut().filter(|_| mfa) {
            fields.insert("Bool".to_owned(), json!({"aws:MultiFactorAuthPresent": "true"}));
        }
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "Eligible",
                "Effect": "Allow",
                "Principal": {"AWS": self.arn},
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
                "Condition": condition,
            }],
        })
        .to_string()
    }
}

/// When a role that nobody was granted could last be assumed: a grant puts its own end here.
const CLOSED: &str = "1970-01-01T00:00:00Z";

/// Becoming another role.
const ENTERING: &str = "sts:AssumeRole";

/// Longest name of a role. Source: "IAM and AWS STS quotas", IAM User Guide.
const NAME: usize = 64;
/// Longest name of a managed policy. Source: as above.
const POLICY_NAME: usize = 128;
/// Longest value of a tag. Source: as above.
const TAG_VALUE: usize = 256;

/// A text as the value of a tag: letters, digits, spaces and `_.:/=+-@`.
fn tag(text: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '_' }).take(TAG_VALUE).collect()
}

fn short(name: &str, most: usize) -> String {
    name.chars().take(most).collect()
}

/// Longest session of a role for grants of so many minutes: an hour at least, twelve at most.
fn seconds(minutes: i64) -> u32 {
    let hours = u32::try_from(minutes.clamp(0, 12 * 60)).unwrap_or(0).div_ceil(60).max(1);
    hours * DEFAULT_SESSION
}

/// A document without white space between its elements.
fn compact(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}

/// Whether a document denies anything.
fn denies(json: &str) -> bool {
    use crate::policy::{DocumentKind, Effect, PolicyDocument};
    let document = PolicyDocument::parse(json, DocumentKind::Identity);
    document.is_ok_and(|document| document.statements.iter().any(|one| one.effect == Effect::Deny))
}

/// The calls that leave a principal with fewer actions.
struct Narrowing<'a> {
    catalog: &'a Catalog,
    found: &'a Found<'a>,
    keep: &'a ActionSet,
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
    groups: BTreeSet<&'s str>,
}

impl Narrowing<'_> {
    fn narrowed(&self, json: &str) -> Result<crate::policy::narrow::Narrowed, String> {
        narrow(json, self.keep, self.catalog).map_err(|error| format!("a policy cannot be read: {error}"))
    }

    fn sorted<'s>(&self, policies: &'s [Held<'s>]) -> Result<Sorted<'s>, String> {
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
                    out.moved.extend(narrowed.json);
                }
                Stands::GroupInline(group) if out.groups.contains(group) => out.moved.extend(narrowed.json),
                Stands::GroupAttached(group, arn) if out.groups.contains(group) => {
                    if narrowed.changed {
                        out.moved.extend(narrowed.json);
                    } else {
                        out.attached.push(arn);
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
        Ok(out)
    }

    fn steps(&self, policies: &[Held<'_>]) -> Result<Vec<Step>, String> {
        let Sorted { mut inline, mut moved, detached, attached, groups } = self.sorted(policies)?;
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
            documents.extend(parts.ok_or_else(|| format!("a policy of {long} characters cannot be cut to fit"))?);
        }
        let most = self.found.holder.attached.len() + attached.len() + documents.len();
        if most > quota::ATTACHED {
            return Err(format!("it would have {most} managed policies for a while; {} are allowed", quota::ATTACHED));
        }
        for (at, document) in documents.into_iter().enumerate() {
            self.moved(at + 1, document, &mut steps);
        }
        for arn in attached {
            steps.push(self.attach(arn, "as it had it by a group"));
        }
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
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::entitlements::entitlements;
    use crate::model::snapshot::{Attachment, Group, ManagedPolicy, NamedDocument, Role, User};
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
            let Ok(steps) = (Narrowing { catalog, found: &found, keep: &keep }).steps(&held) else { return Ok(()) };
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
        let narrowing = Narrowing { catalog: Catalog::get(), found: &found, keep: &keep };
        let why = narrowing.steps(&found.policies().unwrap()).unwrap_err();
        assert!(why.contains("20 managed policies") && why.contains("10 are allowed"), "{why}");
    }

    #[test]
    fn sessions_are_whole_hours_within_what_a_role_takes() {
        for (minutes, want) in [(0, 3600), (60, 3600), (61, 7200), (720, 43_200), (100_000, 43_200), (-5, 3600)] {
            assert_eq!(seconds(minutes), want, "{minutes}");
        }
        assert_eq!(tag("write rds in \u{e9}t\u{e9} (shop)"), "write rds in \u{e9}t\u{e9} _shop_");
    }
}
