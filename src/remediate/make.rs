//! A plan from recommendations: for each principal what stays, the policies that say so, and the calls that lead there.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde_json::json;

use crate::catalog::{ActionSet, Catalog};
use crate::compare::assessment::{Nature, PrincipalFacts, PrincipalKind};
use crate::compare::{ActionVerdicts, Confined};
use crate::entitlements::{AccessClass, AccessClasses, PrincipalEntitlements};
use crate::policy::confine::Confinement;
use crate::policy::narrow::narrow;
use crate::recommend::{self, Advice, Recommendation, after};

use super::aws_managed::AwsManaged;
use super::bind::{self, Pipelines};
use super::effect::Effect;
use super::fit::{self, Ungranted};
use super::found::{Code, Found, Held, code_of};
use super::lasting;
use super::narrowing::Narrowing;
use super::quota;
use super::resources::{self, Confining};
use super::sets::{self, Planned, SetSubject};
use super::side::Side;
use super::texts::{compact, denies, is_source_identity, seconds, short, tag};
use super::{Change, FORM, Failing, Grant, Left, PATH, Plan, Reason, Step, fresh, prove};

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
    /// Source identities that people's sessions carried, by principal and person.
    pub source_identities: &'a BTreeMap<(String, String), BTreeSet<String>>,
    /// What principals used on some resources alone.
    pub confined: &'a [Confined],
    /// Whose resources are narrowed to these.
    pub resources: Whose,
    /// Roles that are to be bound to the pipelines that enter them.
    pub pipelines: &'a Pipelines<'a>,
    /// Also change what CloudFormation or Terraform manage, which would change it back.
    pub managed_by_code: bool,
    /// What code manages although no tag says so.
    pub code: Code<'a>,
    /// What becomes of the plan when a step fails.
    pub failing: Failing,
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
        failing: inputs.failing,
        grants: Vec::new(),
        changes: Vec::new(),
        left: Vec::new(),
    };
    let mut by_principal: BTreeMap<&str, Vec<&Recommendation>> = BTreeMap::new();
    for row in inputs.all {
        by_principal.entry(&row.principal).or_default().push(row);
    }
    let managed = &AwsManaged::of(inputs.recommend.snapshot, inputs.recommend.catalog);
    let mut sets: BTreeMap<&str, Vec<&Recommendation>> = BTreeMap::new();
    let mut own: Vec<Asked<'_>> = Vec::new();
    for (arn, rows) in &by_principal {
        let asks = |row: &&&Recommendation| {
            let changes = matches!(row.advice, Advice::Remove | Advice::ConvertToJit | Advice::Shrink);
            changes && inputs.chosen.contains(row.id.as_str())
        };
        let chosen: Vec<&Recommendation> = rows.iter().filter(asks).copied().collect();
        if chosen.is_empty() {
            continue;
        }
        if let Some(set) = sets::arn_of_set(inputs.recommend.snapshot, arn) {
            sets.entry(set).or_default().extend(chosen);
            continue;
        }
        own.push(Asked { arn, rows, chosen });
    }
    let planned: Vec<_> = own.par_iter().map(|one| one.subject(inputs, managed).planned()).collect();
    own.iter().zip(planned).for_each(|(one, planned)| take(&mut made, planned, one.arn, &one.chosen));
    let sets: Vec<(&str, Vec<&Recommendation>)> = sets.into_iter().collect();
    let planned = sets.par_iter().map(|(set, _)| {
        let planned = SetSubject::of(inputs, managed, set).and_then(|subject| subject.planned());
        // Its ARN says its name to nobody.
        planned.map_err(|why| format!("permission set {}: {why}", sets::name_of(inputs.recommend.snapshot, set)))
    });
    let planned: Vec<_> = planned.collect();
    sets.iter().zip(planned).for_each(|((set, chosen), planned)| take(&mut made, planned, set, chosen));
    without_unusable(inputs, &by_principal, managed, &mut made);
    lasting::keep_an_administrator(inputs, &mut made);
    bind::bind(inputs, &mut made);
    made.left.sort();
    made.hash = made.hashed();
    made
}

/// A user or role of which something was chosen.
struct Asked<'r> {
    arn: &'r str,
    rows: &'r [&'r Recommendation],
    chosen: Vec<&'r Recommendation>,
}

impl Asked<'_> {
    const fn subject<'a>(&'a self, inputs: &'a Inputs<'a>, managed: &'a AwsManaged) -> Subject<'a> {
        Subject { inputs, arn: self.arn, rows: self.rows, chosen: self.chosen.as_slice(), managed }
    }
}

fn add(made: &mut Plan, subject: &Subject<'_>) {
    take(made, subject.planned(), subject.arn, subject.chosen);
}

fn take(made: &mut Plan, planned: Result<Planned, String>, arn: &str, chosen: &[&Recommendation]) {
    match planned {
        Ok((change, grants, left)) => {
            made.changes.extend(change);
            made.grants.extend(grants);
            made.left.extend(left);
        }
        Err(why) => made.left.push(left(arn, chosen, why)),
    }
}

/// Takes out what would be converted to grants that nobody could use, because of a boundary or a Deny: it stays, and the
/// rest of what was chosen of these principals is planned without it.
fn without_unusable(
    inputs: &Inputs<'_>,
    by_principal: &BTreeMap<&str, Vec<&Recommendation>>,
    managed: &AwsManaged,
    made: &mut Plan,
) {
    let (snapshot, at) = (inputs.recommend.snapshot, inputs.recommend.assessment.as_of);
    let unusable = prove::unusable(made, snapshot, at, inputs.recommend.catalog);
    for (arn, why) in unusable {
        let Some(rows) = by_principal.get(arn.as_str()) else { continue };
        made.changes.retain(|change| change.principal != arn);
        made.grants.retain(|grant| grant.principal != arn);
        made.left.retain(|left| left.principal != arn);
        let chosen = rows.iter().filter(|row| inputs.chosen.contains(row.id.as_str()));
        let (converted, others): (Vec<&Recommendation>, Vec<&Recommendation>) =
            chosen.copied().partition(|row| row.advice == Advice::ConvertToJit);
        let others: Vec<&Recommendation> =
            others.into_iter().filter(|row| matches!(row.advice, Advice::Remove | Advice::Shrink)).collect();
        made.left.push(left(&arn, &converted, format!("nobody could use a grant: {why}")));
        if !others.is_empty() {
            add(made, &Subject { inputs, arn: &arn, rows, chosen: &others, managed });
        }
    }
    made.changes.sort_by(|a, b| a.principal.cmp(&b.principal));
    made.grants.sort_by(|a, b| (&a.principal, &a.role).cmp(&(&b.principal, &b.role)));
}

pub(super) fn left(arn: &str, rows: &[&Recommendation], why: String) -> Left {
    Left { principal: arn.to_owned(), ids: rows.iter().map(|row| row.id.clone()).collect(), why }
}

pub(super) fn reason(row: &Recommendation) -> Reason {
    Reason {
        id: row.id.clone(),
        advice: row.advice.as_str().to_owned(),
        capability: row.capability.clone(),
        person: row.person.clone(),
        why: row.why.clone(),
    }
}

/// Whose resources a plan narrows to those that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Nobody's.
    Nobody,
    /// Those of programs, pipelines and services: their work is the same every day.
    Machines,
    /// Also those of people.
    Everybody,
}

/// A principal as it stands.
#[derive(Clone, Copy)]
struct Standing<'a> {
    found: &'a Found<'a>,
    policies: &'a [Held<'a>],
    granted: &'a PrincipalEntitlements,
}

/// What becomes of it.
struct Made {
    fit: fit::Fitted,
    grants: Vec<Grant>,
    left: Vec<Left>,
}

/// A principal of which something was chosen.
pub(super) struct Subject<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) arn: &'a str,
    pub(super) rows: &'a [&'a Recommendation],
    pub(super) chosen: &'a [&'a Recommendation],
    pub(super) managed: &'a AwsManaged,
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
        may_change(self.inputs, facts, &found)?;
        let granted = self.inputs.recommend.entitlements.of(self.arn).find(|one| one.id == facts.id);
        let granted = granted.ok_or("what it is granted is not known")?;
        let verdicts = self.inputs.verdicts.iter().find(|one| one.arn == self.arn && one.id == facts.id);
        let verdicts = verdicts.ok_or("what it used is not known")?;
        let keep = self.keep(granted, verdicts);
        let policies = found.policies()?;
        let confining = self.confining(facts, &keep);
        let held = Standing { found: &found, policies: &policies, granted };
        let mut confined = confining.is_some();
        let first = confining.as_ref().map(|to| self.fitted(&held, keep.clone(), &to.to));
        let made = match first {
            // What has to be given back for their names is worse than resources that stay as they are.
            Some(Ok(made)) if made.fit.back.is_empty() => made,
            _ => {
                confined = false;
                self.fitted(&held, keep.clone(), &[])?
            }
        };
        let Made { fit, grants, mut left } = made;
        let fit::Fitted { keep: mut stays, back, steps } = fit;
        left.extend(self.for_room(granted, &keep, &back));
        preferred(&steps, self.managed).for_each(|set| stays.union_with(set));
        let mut gone = granted.granted.clone();
        gone.subtract(&stays);
        if steps.is_empty() {
            left.push(self::left(self.arn, self.chosen, "others hold the same through it, and keep it".to_owned()));
            return Ok((None, Vec::new(), left));
        }
        let mut reasons: Vec<Reason> = self.chosen.iter().map(|row| reason(row)).collect();
        reasons.extend(confining.filter(|_| confined).map(|to| Reason {
            id: blake3::hash(format!("confine\n{}", self.arn).as_bytes()).to_hex().chars().take(16).collect(),
            advice: "confine".to_owned(),
            capability: "to the resources that were used".to_owned(),
            person: String::new(),
            why: to.why,
        }));
        let change = Change {
            principal: self.arn.to_owned(),
            id: facts.id.clone(),
            account: facts.account,
            state: fresh::state_of(&found)?,
            roles: Vec::new(),
            reasons,
            granted: granted.granted.len() as u64,
            removed: gone.len() as u64,
            steps,
        };
        Ok((Some(change), grants, left))
    }

    /// To which resources what stays is confined, where the principal is one whose resources are narrowed.
    fn confining(&self, facts: &PrincipalFacts, keep: &ActionSet) -> Option<Confining> {
        let whose = match self.inputs.resources {
            Whose::Nobody => false,
            Whose::Machines => facts.nature == Nature::Machine,
            Whose::Everybody => true,
        };
        let confined = self.inputs.confined.iter().find(|one| one.arn == self.arn && one.id == facts.id);
        let window = self.inputs.recommend.assessment.window;
        let side = Side::of(self.inputs.recommend.snapshot, self.arn, self.catalog());
        let allowed = |id, resource: &str| side.allows_on(id, resource);
        let to =
            confined.filter(|_| whose).map(|one| resources::confining(one, keep, window, self.catalog(), &allowed));
        to.filter(|to| !to.to.is_empty())
    }

    /// What is left of its policies, and roles for what is asked for; what cannot be asked for stays.
    fn fitted(&self, held: &Standing<'_>, mut keep: ActionSet, to: &[Confinement]) -> Result<Made, String> {
        let (catalog, managed) = (self.catalog(), self.managed);
        let Standing { found, policies, granted } = *held;
        let narrowing = |keep: &ActionSet| {
            let never = self.never(&granted.granted, keep);
            Narrowing { catalog, found, keep, managed, never: &never, to }.steps(policies)
        };
        let mut left = Vec::new();
        let mut last = None;
        loop {
            let fit = fit::fitted(keep.clone(), last.take(), &granted.granted, self.catalog(), narrowing)?;
            match self.grants(found, policies, granted, &fit.keep) {
                Ok((grants, stays)) => {
                    left.extend(stays);
                    return Ok(Made { fit, grants, left });
                }
                Err(Ungranted { rows, actions, why }) => {
                    left.push(self::left(self.arn, &rows, why));
                    keep.union_with(&actions);
                    last = Some(fit);
                }
            }
        }
    }

    /// The actions that stay: of every holder what is not taken, and what nobody could tell.
    pub(super) fn keep(&self, granted: &PrincipalEntitlements, verdicts: &ActionVerdicts) -> ActionSet {
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

    /// Of what goes, what must not come back with one of AWS's own policies: all but what only shows what there is, and
    /// what is to be asked for.
    pub(super) fn never(&self, granted: &ActionSet, keep: &ActionSet) -> ActionSet {
        let (catalog, classes) = (self.catalog(), AccessClasses::get());
        let mut never = granted.clone();
        never.subtract(keep);
        let reads: Vec<_> = never.iter().filter(|id| classes.of(*id) == AccessClass::Read).collect();
        for id in reads {
            never.remove(id);
        }
        for row in self.chosen.iter().filter(|row| row.advice == Advice::ConvertToJit) {
            let mut asked = after::actions_of(row, granted, catalog);
            asked.subtract(keep);
            never.union_with(&asked);
        }
        never
    }

    /// What was chosen and stays because the rest would not fit. `own`: what stays for its use.
    pub(super) fn for_room(&self, granted: &PrincipalEntitlements, own: &ActionSet, back: &ActionSet) -> Option<Left> {
        let mut all = self.catalog().no_actions();
        let stays = |row: &&&Recommendation| {
            let mut for_room = after::actions_of(row, &granted.granted, self.catalog());
            for_room.subtract(own);
            for_room.intersect_with(back);
            all.union_with(&for_room);
            !for_room.is_empty()
        };
        let rows: Vec<&Recommendation> = self.chosen.iter().filter(stays).copied().collect();
        let ranges = self.catalog().service_ranges().filter(|(_, range)| all.count_range(range.clone()) > 0);
        let services: Vec<&str> = ranges.map(|(prefix, _)| prefix).collect();
        let some: Vec<&str> = services.iter().copied().take(SERVICES_TOLD).collect();
        let more = if services.len() > SERVICES_TOLD {
            format!(" and {} more", services.len() - SERVICES_TOLD)
        } else {
            String::new()
        };
        let why = format!(
            "{} of its actions stay, of {}{more}: without them the names of what is left would be longer than IAM takes",
            all.len(),
            some.join(", ")
        );
        (!rows.is_empty()).then(|| left(self.arn, &rows, why))
    }

    /// Roles for what is asked for from now on; or the first capability that cannot be.
    fn grants(
        &self,
        found: &Found<'_>,
        policies: &[Held<'_>],
        granted: &PrincipalEntitlements,
        keep: &ActionSet,
    ) -> Result<(Vec<Grant>, Vec<Left>), Ungranted<'_>> {
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
            match self.grant(found, policies, &rows, &actions) {
                Ok(grant) => out.push(grant),
                Err(why) => return Err(Ungranted { rows, actions, why }),
            }
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
        let identities = self.source_identities(found, &people)?;
        let trust = self.trust(found, &identities);
        if quota::size(&trust) > quota::TRUST {
            return Err(format!(
                "the trust policy for {} people would be longer than {} characters",
                people.len(),
                quota::TRUST
            ));
        }
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
            reach: BTreeMap::new(),
            source_identities: identities.into_iter().collect(),
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

    /// The source identities by which people say who they are: their ids, and what their sessions carried, which cannot be
    /// changed along a chain of roles. Source: IAM User Guide, "Monitor and control actions taken with assumed roles".
    fn source_identities(&self, found: &Found<'_>, people: &BTreeSet<&str>) -> Result<BTreeSet<String>, String> {
        let mut out = BTreeSet::new();
        for person in people {
            let recorded = self.inputs.source_identities.get(&(self.arn.to_owned(), (*person).to_owned()));
            let name = found.groups.map(|_| found.holder.name.as_str());
            // A user is who it is, whatever it is called.
            let own = [Some(*person), name].into_iter().flatten().find(|text| is_source_identity(text));
            if own.is_none() && recorded.is_none_or(BTreeSet::is_empty) {
                return Err(format!(
                    "{person} cannot be a source identity, which the trust of a role for grants asks for"
                ));
            }
            out.extend(own.map(str::to_owned));
            out.extend(recorded.into_iter().flatten().filter(|text| is_source_identity(text)).cloned());
        }
        Ok(out)
    }

    /// Who may assume a role for a capability: those who hold it now, and not before a grant opens it.
    fn trust(&self, found: &Found<'_>, identities: &BTreeSet<String>) -> String {
        let mut condition = json!({
            "DateLessThan": {"aws:CurrentTime": CLOSED},
            "StringEquals": {"sts:SourceIdentity": identities},
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

/// What AWS's own policies that are attached allow.
pub(super) fn preferred<'m>(steps: &[Step], managed: &'m AwsManaged) -> impl Iterator<Item = &'m ActionSet> {
    let arns = steps.iter().filter_map(|step| match &step.effect {
        Effect::AttachRolePolicy { policy, .. } | Effect::AttachUserPolicy { policy, .. } => Some(policy.as_str()),
        Effect::Set(effect) => effect.attached(),
        _ => None,
    });
    arns.filter_map(|arn| managed.actions(arn)).collect::<Vec<_>>().into_iter()
}

/// Whether a plan may change a user or role, or why it may not.
pub(super) fn may_change(inputs: &Inputs<'_>, facts: &PrincipalFacts, found: &Found<'_>) -> Result<(), String> {
    if facts.break_glass {
        return Err("break-glass: there to be when all else fails".to_owned());
    }
    match facts.kind {
        PrincipalKind::ServiceLinkedRole => return Err("a service made it for itself".to_owned()),
        PrincipalKind::IdentityCenterRole => {
            return Err(
                "Identity Center makes it from a permission set, which is what has to change, and was not collected"
                    .to_owned(),
            );
        }
        PrincipalKind::Root => return Err("no policy of the account binds root".to_owned()),
        PrincipalKind::User | PrincipalKind::Role => {}
    }
    if found.holder.path.starts_with("/aws-reserved/") {
        return Err("an AWS service manages it".to_owned());
    }
    if let Some(code) =
        code_of(found.holder.arn.as_str(), &found.holder.tags, &inputs.code).filter(|_| !inputs.managed_by_code)
    {
        return Err(changed_back(&code));
    }
    Ok(())
}

/// Why what code manages is left as it is.
pub(super) fn changed_back(code: &str) -> String {
    format!(
        "managed by {code}, which would change it back: `plan --managed-by-code` and `export` write what to change there"
    )
}

/// When a role that nobody was granted could last be assumed: a grant puts its own end here.
pub(super) const CLOSED: &str = "1970-01-01T00:00:00Z";

/// Becoming another role.
const ENTERING: &str = "sts:AssumeRole";

/// Longest name of a role. Source: "IAM and AWS STS quotas", IAM User Guide.
const NAME: usize = 64;
/// Services that are named of what stays for room.
const SERVICES_TOLD: usize = 8;
