//! Roles that pipelines enter, bound to the pipelines that did.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

use super::effect::Effect;
use super::found::Found;
use super::make::{Inputs, may_change};
use super::trust::{self, Bound, Entries};
use super::{Change, Left, Plan, Reason, Step, fresh};

/// Advice of what binds a role.
pub const ADVICE: &str = "bind_to_pipeline";

/// What is known of who enters roles by tokens.
#[derive(Debug)]
pub struct Pipelines<'a> {
    /// ARNs of the roles that are to be bound.
    pub roles: BTreeSet<&'a str>,
    /// Who came, within the window.
    pub entries: &'a Entries,
    /// Role → why the logs could not show everybody who came.
    pub unseen: &'a BTreeMap<String, String>,
    /// Role → when its trust policy was last written, as far as the logs show.
    pub written: &'a BTreeMap<String, Timestamp>,
}

/// The roles of a state that let in somebody by a token of an OIDC provider, in a way that can be narrowed.
#[must_use]
pub fn doors(snapshot: &Snapshot) -> BTreeSet<&str> {
    let roles = snapshot.accounts.values().flat_map(|iam| &iam.roles);
    let open = roles.filter(|role| !trust::providers(&role.trust).is_empty());
    open.map(|role| role.holder.arn.as_str()).collect()
}

/// Id by which a role is chosen, as a recommendation is by its own.
#[must_use]
pub fn id_of(role: &str) -> String {
    blake3::hash(format!("{ADVICE}\n{role}").as_bytes()).to_hex().chars().take(16).collect()
}

/// Adds to a plan what binds the roles.
pub(super) fn bind(inputs: &Inputs<'_>, made: &mut Plan) {
    for arn in &inputs.pipelines.roles {
        let Some(found) = Found::of(inputs.recommend.snapshot, arn) else { continue };
        let trust = found.iam.roles.iter().find(|role| role.holder.arn.as_str() == *arn).map(|role| &role.trust);
        let Some(trust) = trust else { continue };
        match bound(inputs, arn, &found, trust) {
            Ok(None) => {}
            Ok(Some(bound)) => add(inputs, made, arn, &found, (trust, bound)),
            Err(why) => {
                let why = format!("whom it lets in by token: {why}");
                made.left.push(Left { principal: (*arn).to_owned(), ids: vec![id_of(arn)], why });
            }
        }
    }
}

/// What its trust policy becomes; none where it lets in nobody else already.
fn bound(inputs: &Inputs<'_>, arn: &str, found: &Found<'_>, trust: &str) -> Result<Option<Bound>, String> {
    let entries = inputs.pipelines.entries.get(arn).map(Vec::as_slice).unwrap_or_default();
    // What nothing would change of needs no reason.
    let assessment = inputs.recommend.assessment;
    let window = assessment.window;
    let late = Timestamp::from_micros(window.to.micros() - (window.to.micros() - window.from.micros()) / 3);
    let Some(bound) = trust::bound(trust, entries, late)? else { return Ok(None) };
    let facts = assessment.principals.iter().find(|one| one.arn == *arn);
    may_change(inputs, facts.ok_or("it is not in the snapshot")?, found)?;
    if let Some(why) = inputs.pipelines.unseen.get(arn) {
        return Err(format!("the logs do not show everybody who came: {why}"));
    }
    let from = assessment.window.from;
    if let Some(at) = found.holder.created.filter(|at| *at > from) {
        return Err(format!("it is there only since {at}, which is within the window"));
    }
    if let Some(at) = inputs.pipelines.written.get(arn).filter(|at| **at > from) {
        return Err(format!("its trust policy was written on {at}, within the window: whom it is for may still come"));
    }
    Ok(Some(bound))
}

fn add(inputs: &Inputs<'_>, made: &mut Plan, arn: &str, found: &Found<'_>, (trust, bound): (&str, Bound)) {
    let role = found.holder.name.clone();
    let step = Step {
        about: "whom it lets in by token, narrowed to who came".to_owned(),
        effect: Effect::UpdateAssumeRolePolicy { role: role.clone(), document: bound.document },
        undo: Effect::UpdateAssumeRolePolicy { role, document: trust.to_owned() },
    };
    let reason = Reason {
        id: id_of(arn),
        advice: ADVICE.to_owned(),
        capability: "entry by token".to_owned(),
        person: String::new(),
        why: bound.why,
    };
    if let Some(change) = made.changes.iter_mut().find(|change| change.principal == arn) {
        change.reasons.push(reason);
        change.steps.push(step);
        return;
    }
    let Ok(state) = fresh::state_of(found) else { return };
    let granted = inputs.recommend.entitlements.of(arn).find(|one| one.id == found.holder.id);
    made.changes.push(Change {
        principal: arn.to_owned(),
        id: found.holder.id.clone(),
        account: found.iam.account,
        state,
        roles: Vec::new(),
        reasons: vec![reason],
        granted: granted.map_or(0, |one| one.granted.len() as u64),
        removed: 0,
        steps: vec![step],
    });
    made.changes.sort_by(|a, b| a.principal.cmp(&b.principal));
}
