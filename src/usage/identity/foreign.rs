//! Callers from another account. The copy of a call in the account of its resource shows the caller's account and unique
//! id (`AIDA…`, or `AROA…:session`), without a name and without a key. Ids are never given twice, so whoever has the id
//! elsewhere is the caller: for a role the session's name stays a name, which others may have chosen too.
//!
//! Sources: "CloudTrail userIdentity element", "Events for cross-account access" (CloudTrail User Guide); "IAM
//! identifiers" (IAM User Guide).

use hashbrown::HashMap;

use crate::model::event::Identity;
use crate::model::snapshot::Snapshot;
use crate::usage::fold::IssuedCredential;

/// ARNs of users and roles by their unique ids.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<String, String>);

impl Ids {
    /// What the snapshot, recorded identities and roles that were assumed say; the snapshot first, as users can be renamed.
    pub(super) fn of(snapshot: &Snapshot, identities: &[Identity], issued: &[IssuedCredential]) -> Self {
        let recorded = identities.iter().filter_map(|identity| match identity.kind.as_str() {
            "IAMUser" => Some((identity.principal_id.as_str(), identity.arn.as_str())),
            "AssumedRole" => Some((identity.issuer_id.as_str(), identity.issuer_arn.as_str())),
            _ => None,
        });
        let assumed = issued.iter().filter_map(|call| {
            Some((
                call.session_principal_id.split_once(':').filter(|(id, _)| id.starts_with("AROA"))?.0,
                &*call.role_arn,
            ))
        });
        let mut ids: HashMap<String, String> = HashMap::new();
        for (id, arn) in recorded.chain(assumed).filter(|(id, arn)| !id.is_empty() && !arn.is_empty()) {
            // Of several names the first in order, whatever order the records have.
            match ids.get_mut(id) {
                Some(known) if known.as_str() > arn => arn.clone_into(known),
                Some(_) => {}
                None => {
                    ids.insert(id.to_owned(), arn.to_owned());
                }
            }
        }
        let holders = snapshot.accounts.values().flat_map(|iam| {
            let users = iam.users.iter().map(|user| &user.holder);
            users.chain(iam.roles.iter().map(|role| &role.holder))
        });
        ids.extend(
            holders.filter(|holder| !holder.id.is_empty()).map(|holder| (holder.id.clone(), holder.arn.to_string())),
        );
        Self(ids)
    }

    /// The ARN of the user or role, of which this is the id or that of a session.
    pub(super) fn arn(&self, principal_id: &str) -> Option<&str> {
        let id = principal_id.split_once(':').map_or(principal_id, |(id, _)| id);
        self.0.get(id).map(String::as_str)
    }
}

/// The session's name, where the caller from another account is the session of a role.
pub(super) fn session_name(identity: &Identity) -> Option<&str> {
    let (id, session) = identity.principal_id.split_once(':')?;
    (identity.kind == "AWSAccount" && id.starts_with("AROA")).then_some(session)
}
