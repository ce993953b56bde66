//! Whether a plan still fits: whether its principals hold what they held when it was made.

use crate::model::snapshot::{AccountIam, IdentityCenter, Snapshot};

use super::aws_managed::is_of_aws;
use super::found::Found;
use super::{Plan, sets};

/// Hash of what a user or role holds: its policies with their documents, those of its groups, its boundary, and the trust
/// policy of a role. What else changes of it, such as when it was last used, changes nothing for a plan.
///
/// # Errors
/// When a document was not collected.
pub(super) fn state_of(found: &Found<'_>) -> Result<String, String> {
    let mut parts = vec![found.holder.arn.to_string(), found.holder.id.clone()];
    parts.push(found.holder.boundary.clone().unwrap_or_default());
    if let Some(arn) = &found.holder.boundary {
        let document = found.iam.policies.iter().find(|policy| policy.arn == *arn);
        parts.push(document.map(|policy| canonical(&policy.json)).unwrap_or_default());
    }
    let trust = found.iam.roles.iter().find(|role| role.holder.arn == found.holder.arn && found.groups.is_none());
    parts.push(trust.map(|role| canonical(&role.trust)).unwrap_or_default());
    let policies = found.policies()?;
    let mut held: Vec<(String, String)> =
        policies.iter().map(|held| (held.stands.to_string(), canonical(held.json))).collect();
    held.sort();
    parts.extend(held.into_iter().flat_map(|(place, json)| [place, json]));
    Ok(hashed(parts.iter().map(String::as_str)))
}

/// Hash of texts, in order: 32 hexadecimal digits.
pub(super) fn hashed<'t>(parts: impl Iterator<Item = &'t str>) -> String {
    let mut hash = blake3::Hasher::new();
    for text in parts {
        // With its length, so that no text can be taken for two.
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().to_hex().chars().take(32).collect()
}

/// A document in one form, however it was exported: members of objects by name, and no white space.
pub(super) fn canonical(json: &str) -> String {
    fn sorted(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(fields) => {
                let mut fields: Vec<_> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                serde_json::Value::Object(fields.into_iter().collect())
            }
            serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
            other => other,
        }
    }
    serde_json::from_str(json).map_or_else(|_| json.to_owned(), |value| sorted(value).to_string())
}

/// Whether two states say the same: documents by what they say, all else as it stands.
#[must_use]
pub fn same(a: &Snapshot, b: &Snapshot) -> bool {
    a.accounts.len() == b.accounts.len()
        && a.accounts.iter().zip(&b.accounts).all(|((_, a), (_, b))| a == b || plain(a.clone()) == plain(b.clone()))
        && plain_center(a) == plain_center(b)
}

/// Identity Center with the documents of its permission sets in one form.
fn plain_center(state: &Snapshot) -> Option<IdentityCenter> {
    let mut center = state.identity_center.clone()?;
    for policies in center.permission_sets.iter_mut().filter_map(|set| set.policies.as_mut()) {
        policies.inline = policies.inline.as_deref().map(canonical);
    }
    Some(center)
}

fn plain(mut iam: AccountIam) -> AccountIam {
    let users = iam.users.iter_mut().map(|user| &mut user.holder);
    let inline = users.chain(iam.roles.iter_mut().map(|role| &mut role.holder)).flat_map(|holder| &mut holder.inline);
    for one in inline.chain(iam.groups.iter_mut().flat_map(|group| &mut group.inline)) {
        one.json = canonical(&one.json);
    }
    // AWS's own are no part of an account.
    iam.policies.retain(|policy| !is_of_aws(&policy.arn));
    for policy in &mut iam.policies {
        policy.json = canonical(&policy.json);
    }
    for role in &mut iam.roles {
        role.trust = canonical(&role.trust);
    }
    iam
}

impl Plan {
    /// Why the plan does not fit a state any more: what its principals hold is not what they held. Empty where it fits.
    #[must_use]
    pub fn outdated(&self, now: &Snapshot) -> Vec<String> {
        let mut out = Vec::new();
        for change in &self.changes {
            if !change.roles.is_empty() {
                let why = match sets::state_of(now, &change.principal) {
                    Ok(state) if state == change.state => continue,
                    Ok(_) => "holds or reaches something else than when the plan was made".to_owned(),
                    Err(why) => format!("cannot be compared: {why}"),
                };
                out.push(format!("{} {why}", change.principal));
                continue;
            }
            let why = match Found::of(now, &change.principal) {
                None => "is not there any more".to_owned(),
                Some(found) if !change.id.is_empty() && found.holder.id != change.id => {
                    format!("is another one of the same name: its id is {}, and was {}", found.holder.id, change.id)
                }
                Some(found) => match state_of(&found) {
                    Ok(state) if state == change.state => continue,
                    Ok(_) => "holds other policies than when the plan was made".to_owned(),
                    Err(why) => format!("cannot be compared: {why}"),
                },
            };
            out.push(format!("{} {why}", change.principal));
        }
        // The roles of grants are new.
        for grant in &self.grants {
            let mut sets = now.identity_center.iter().flat_map(|center| &center.permission_sets);
            if Found::of(now, &grant.role).is_some() || sets.any(|set| set.name == grant.role) {
                out.push(format!("{} is there already", grant.role));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_compared_by_what_they_say() {
        assert_eq!(canonical("{\"b\": [1, {\"d\": 1, \"c\": 2}],\n \"a\": {}}"), r#"{"a":{},"b":[1,{"c":2,"d":1}]}"#);
        assert_ne!(canonical("[1,2]"), canonical("[2,1]"));
        assert_eq!(canonical("no json"), "no json");
    }
}
